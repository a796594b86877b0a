-- Attacks: sort: comparators that contradict themselves
-- Ends: ok
return function()
  local t = {}
  for i = 1, 500 do t[i] = (i * 7919) % 501 end
  table.sort(t, function() return true end)
  table.sort(t, function() return false end)
  table.sort(t, function(a, b) return a <= b end)
  table.sort(t, function() return math.random() < 0.5 end)
  local sum = 0
  for _, v in ipairs(t) do sum = sum + v end
  assert(#t == 500 and sum == 500 * 501 // 2)
end
