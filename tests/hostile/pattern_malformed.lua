-- Attacks: the matcher: patterns that end too early
-- Ends: ok
return function()
  for _, p in ipairs{ "[", "[^", "[]", "[a", "[a-", "[%", "[%a", "%", "(()", "a*)", "%1", "(%1)",
      "%f", "%fa", "%b", "%bx", "[^]", "[]-", "a(%", "%9" } do
    assert(not pcall(string.find, "aaa", p), p)
    assert(not pcall(string.gsub, "aaa", p, "%1"), p)
    assert(not pcall(string.gmatch("aaa", p)), p)
  end
  for _, p in ipairs{ "[]]", "[a-]", "[^]]", "[-a]", "[%]]", "^$", "$", "a$b", "^^", "%f[%z]", "\0" } do
    assert(pcall(string.find, "aaa\0]", p), p)
  end
end
