-- Attacks: one instruction: rehashing a table of colliding integer keys
-- Ends: stopped
return function()
  local t = {}
  for i = 1, 200000 do t[i * ((1 << 17) - 1)] = i end
end
