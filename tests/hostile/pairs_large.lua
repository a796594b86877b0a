-- Attacks: time: walking a large table from its start, again and again
-- Ends: stopped
return function()
  local t = {}
  for i = 1, 100000 do t[i] = i end
  for i = 1, 30000 do t["k" .. i] = i end
  while true do for _ in pairs(t) do break end end
end
