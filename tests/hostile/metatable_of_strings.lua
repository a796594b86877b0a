-- Attacks: other scripts' strings: changing what strings do
-- Ends: ok
return function()
  assert(getmetatable("") == false)
  assert(not pcall(setmetatable, "", {}))
  assert(not pcall(function() string.rep = nil end))
  assert(not pcall(rawset, string, "rep", print))
  assert(not pcall(table.insert, string, 1))
  assert(not pcall(setmetatable, string, {}))
  assert(getmetatable(string) == false)
  assert(("x").format == string.format and ("x").dump == nil)
end
