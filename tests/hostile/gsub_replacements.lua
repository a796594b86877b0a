-- Attacks: gsub: replacements that are no text, templates that end in %
-- Ends: ok
return function()
  assert(not pcall(string.gsub, "a", "a", "%"))
  assert(not pcall(string.gsub, "a", "a", "%2"))
  assert(not pcall(string.gsub, "a", "a", "%x"))
  assert(not pcall(string.gsub, "a", "a", function() return {} end))
  assert(not pcall(string.gsub, "a", "a", { a = print }))
  assert(not pcall(string.gsub, "a", "a", nil))
  assert(("abc"):gsub("", "-") == "-a-b-c-")
  assert(("abc"):gsub("%w", "%0%0", 2) == "aabbc")
  assert(("hello world"):gsub("(o)", "<%1>") == "hell<o> w<o>rld")
  assert(not pcall(string.gsub, "abc", "b", false))
end
