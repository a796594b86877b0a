-- Attacks: arithmetic: where C is undefined and Lua is not
-- Ends: ok
return function()
  assert(math.mininteger // -1 == math.mininteger and math.mininteger % -1 == 0)
  assert(not pcall(function() return 1 // 0 end) and not pcall(function() return 1 % 0 end))
  assert(1 << 64 == 0 and 1 >> -1 == 2 and 1 << math.mininteger == 0)
  for i = math.maxinteger - 1, math.maxinteger do assert(i > 0) end
  assert(not pcall(function() for _ = 1, 10, 0 do end end))
  assert(not pcall(function() local t = {} t[0/0] = 1 end))
  assert(not pcall(function() local t = {} t[nil] = 1 end))
end
