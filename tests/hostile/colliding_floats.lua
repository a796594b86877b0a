-- Attacks: one instruction: rehashing colliding float keys
-- Ends: stopped
return function()
  local t = {}
  for i = 1, 200000 do t[1 + i * 2.0 ^ -52] = i end
end
