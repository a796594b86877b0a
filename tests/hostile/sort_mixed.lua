-- Attacks: sort: values without an order, holes, NaN
-- Ends: ok
return function()
  assert(not pcall(table.sort, { 1, "a" }))
  assert(not pcall(table.sort, { {}, {} }))
  assert(not pcall(table.sort, { true, false }))
  table.sort({ 0/0, 1, 0/0, -1, 0/0 })
  pcall(table.sort, { 1, 2, nil, 4 })
end
