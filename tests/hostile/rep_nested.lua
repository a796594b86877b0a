-- Attacks: memory: repeating what was repeated
-- Ends: any
return function()
  local s = "x"
  while true do s = s:rep(1000) end
end
