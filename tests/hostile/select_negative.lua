-- Attacks: select: counts from the end, and beyond it
-- Ends: ok
return function()
  assert(select("#") == 0 and select(-1, 1, 2, 3) == 3)
  assert(not pcall(select, -4, 1, 2, 3) and not pcall(select, 0))
  assert(not pcall(select, math.mininteger, 1))
  assert(select("#", select(math.maxinteger, 1)) == 0)
end
