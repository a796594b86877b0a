-- Attacks: order: keys that have none
-- Ends: ok
return function()
  assert(not pcall(pairs, { [{}] = 1 }))
  assert(not pcall(pairs, { [print] = 1 }))
  assert(not pcall(next, { [{}] = 1 }))
  assert(not pcall(next, {}, {}))
  local seen = {}
  for k in pairs{ b = 1, a = 1, [2] = 1, [1] = 1, [-1] = 1, [1.5] = 1, [true] = 1, [false] = 1,
      ["a\0b"] = 1, [""] = 1, [math.huge] = 1, [-math.huge] = 1, [math.maxinteger] = 1 } do
    seen[#seen + 1] = tostring(k)
  end
  assert(table.concat(seen, " ") ==
    "-inf -1 1 1.5 2 9223372036854775807 inf  a a\0b b false true")
end
