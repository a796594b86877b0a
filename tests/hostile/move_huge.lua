-- Attacks: one C call: moving two to the power of sixty elements
-- Ends: ok
return function()
  assert(not pcall(table.move, {}, 1, 1 << 60, 1, {}))
  assert(not pcall(table.move, {}, math.mininteger, math.maxinteger, 1))
  assert(not pcall(table.move, {}, 1, 2, math.maxinteger))
  assert(not pcall(table.move, {}, 0, math.maxinteger, 2))
  local t = table.move({ 1, 2, 3 }, 1, 3, 2)
  assert(t[1] == 1 and t[2] == 1 and t[4] == 3)
end
