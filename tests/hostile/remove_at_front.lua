-- Attacks: time: each removal moves everything
-- Ends: stopped
return function()
  local t = {}
  for i = 1, 100000 do t[i] = i end
  for _ = 1, 100000 do table.remove(t, 1) end
end
