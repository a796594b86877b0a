-- Attacks: time: each insertion moves everything
-- Ends: stopped
return function()
  local t = {}
  for i = 1, 1000000 do table.insert(t, 1, i) end
end
