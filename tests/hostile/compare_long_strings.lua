-- Attacks: time: comparing megabytes in every instruction
-- Ends: any
-- Modes: timed
return function()
  local a, b = ("x"):rep(2000000), ("x"):rep(2000000) .. "y"
  while true do local _ = a < b local _ = a == b end
end
