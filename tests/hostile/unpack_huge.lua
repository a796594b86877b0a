-- Attacks: the stack: unpacking more than there is
-- Ends: ok
return function()
  assert(not pcall(table.unpack, {}, 1, 1e8))
  assert(not pcall(table.unpack, {}, math.mininteger, math.maxinteger))
  assert(not pcall(table.unpack, {}, 0, math.maxinteger))
  assert(not pcall(table.unpack, {}, math.mininteger, 0))
  assert(select("#", table.unpack({}, math.maxinteger, math.maxinteger)) == 1)
  assert(select("#", table.unpack({}, 1, 0)) == 0)
end
