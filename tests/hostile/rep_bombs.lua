-- Attacks: memory: string.rep, and its loop where nothing is repeated
-- Ends: ok
return function()
  assert(string.rep("", 1 << 62) == "")
  assert(string.rep("", math.maxinteger, "") == "")
  assert(not pcall(string.rep, "x", 1 << 62))
  assert(not pcall(string.rep, "x", 1e9))
  assert(not pcall(string.rep, "", 1 << 62, "x"))
  assert(not pcall(string.rep, "ab", math.maxinteger // 2, "c"))
  assert(not pcall(string.rep, "x", 1e308))
  assert(string.rep("x", -1) == "" and string.rep("ab", 3, "-") == "ab-ab-ab")
end
