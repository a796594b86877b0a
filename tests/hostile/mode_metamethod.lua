-- Attacks: the collector: weak tables, from the start and later
-- Ends: ok
return function()
  assert(not pcall(setmetatable, {}, { __mode = "k" }))
  local mt = {}
  local t = setmetatable({}, mt)
  mt.__mode = "kv"
  t[1] = {}
  local junk = {}
  for i = 1, 20000 do junk[i] = { {} } end
  assert(type(t[1]) == "table")
end
