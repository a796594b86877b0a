-- Attacks: sort: a comparator that empties, fills and sorts the table
-- Ends: ok
return function()
  local t = { 5, 3, 1, 4, 2 }
  table.sort(t, function(a, b)
    for i = 1, 100 do t[i] = nil end
    for i = 1, 50 do t[i] = {} end
    table.sort({ 3, 2, 1 })
    return a < b
  end)
  assert(t[1] == 1 and t[5] == 5)
  local u = { 3, 2, 1 }
  assert(not pcall(table.sort, u, function() error("no") end))
  assert(u[1] == 3 and u[3] == 1)
end
