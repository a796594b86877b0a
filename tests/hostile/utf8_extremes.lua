-- Attacks: utf8: positions and bytes at the edges
-- Ends: ok
return function()
  assert(not pcall(utf8.char, -1) and not pcall(utf8.char, 1 << 40))
  assert(not pcall(utf8.codepoint, "abc", 1, math.maxinteger))
  assert(not pcall(utf8.len, "abc", 10))
  assert(not utf8.len("\xff\xfe"))
  assert(not pcall(utf8.offset, "abc", 1, math.maxinteger))
  assert(not pcall(function() for _ in utf8.codes("\x80\x80") do end end) or true)
  assert(utf8.offset("abc", math.mininteger) == nil)
  assert(utf8.offset("abc", math.maxinteger) == nil)
  assert(utf8.len(("\u{10ffff}"):rep(100000)) == 100000)
  assert(not pcall(utf8.codepoint, ("x"):rep(2000000), 1, -1))
end
