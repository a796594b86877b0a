-- Attacks: string.pack: sizes, alignments and formats that overflow
-- Ends: ok
return function()
  for _, format in ipairs{ "c2147483647", "c9999999999999999999", "i17", "i0", "!17", "!3 i4", "Xc4",
      "X", "?", "s20", "c" } do
    assert(not pcall(string.pack, format, "x"), format)
  end
  assert(not pcall(string.packsize, ("c16000000"):rep(1000)))
  assert(not pcall(string.packsize, "s") and not pcall(string.packsize, "z"))
  assert(not pcall(string.unpack, "s8", ("\xff"):rep(8)))
  assert(not pcall(string.unpack, "z", "abc"))
  assert(not pcall(string.unpack, "i16", ("\1"):rep(16)))
  assert(not pcall(string.unpack, "i4", "abc"))
  assert(not pcall(string.unpack, "i4", "abcd", 100))
  assert(not pcall(string.unpack, "b", "abcd", math.maxinteger))
  assert(string.unpack("b", "abcd", math.mininteger) == 97)
  assert(not pcall(string.pack, "b", 128) and not pcall(string.pack, "z", "a\0b"))
  assert(string.unpack("<i3", "\xff\xff\xff") == -1 and string.unpack(">I2", "\1\2") == 258)
  assert(string.pack(">!4 i1 i4", 1, 2) == "\1\0\0\0\0\0\0\2")
  assert(string.unpack("<d", string.pack("<d", 0.1)) == 0.1)
end
