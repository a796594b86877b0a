-- Attacks: time: sorting many elements again and again
-- Ends: any
-- Modes: timed
return function()
  local t = {}
  for i = 1, 150000 do t[i] = (i * 7919) % 500009 end
  while true do table.sort(t) t[1], t[#t] = t[#t], t[1] end
end
