-- Attacks: string.format: widths, precisions and conversions beyond what is sane
-- Ends: ok
return function()
  for _, spec in ipairs{ "%99999d", "%.99999f", "%1000s", "%p", "%n", "%", "%-+ #0-+ #0d", "%*d",
      "%5", "%$1s", "%ld", "%.", "%5q", "% 100d", "%\0" } do
    assert(not pcall(string.format, spec, 1), spec)
  end
  assert(#string.format("%99.99f", -1.7e308) > 400)
  assert(string.format("%s", 0/0) == "nan" and string.format("%f", -(0/0)) == "nan")
  assert(string.format("%5.1f|%-5s|%05d|%x", 3.14159, "ab", 42, 255) == "  3.1|ab   |00042|ff")
  assert(not pcall(string.format, "%d", 1.5))
  assert(not pcall(string.format, "%s"))
end
