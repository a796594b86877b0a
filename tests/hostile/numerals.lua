-- Attacks: conversions: numerals of megabytes
-- Ends: ok
return function()
  local digits = ("1"):rep(2000000)
  assert(tonumber(digits) == math.huge or tonumber(digits) == nil)
  assert(tonumber(digits, 36) ~= nil)
  tonumber("0x" .. ("f"):rep(300) .. "." .. ("f"):rep(300))
  assert(not pcall(function() return digits .. "x" + 1 end))
  assert(not pcall(tonumber, "z", 99) and not pcall(tonumber, "1", -1))
end
