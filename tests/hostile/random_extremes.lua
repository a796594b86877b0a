-- Attacks: math.random: intervals as wide as integers go
-- Ends: ok
return function()
  for _ = 1, 100 do
    math.random(math.mininteger, math.maxinteger)
    assert(math.random(0) and math.random(3, 3) == 3)
    local r = math.random()
    assert(r >= 0 and r < 1)
  end
  assert(not pcall(math.random, 2, 1) and not pcall(math.random, -5))
  assert(not pcall(math.random, 1, 2, 3) and not pcall(math.random, 0/0))
  math.randomseed(1)
end
