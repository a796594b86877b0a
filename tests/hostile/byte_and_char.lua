-- Attacks: the stack: a million bytes as values
-- Ends: ok
return function()
  local s = ("x"):rep(1500000)
  assert(not pcall(string.byte, s, 1, -1))
  assert(not pcall(string.char, -1) and not pcall(string.char, 256))
  assert(select("#", string.byte(s, 1, 100000)) == 100000)
  assert(s:byte(math.mininteger, math.mininteger) == nil)
  assert(s:sub(math.mininteger, math.maxinteger) == s and s:sub(math.maxinteger) == "")
end
