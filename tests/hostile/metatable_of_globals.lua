-- Attacks: the globals' own metatable
-- Ends: ok
return function()
  assert(getmetatable(_G) == false)
  assert(not pcall(setmetatable, _G, nil))
  assert(not pcall(setmetatable, _G, { __index = print }))
  assert(not pcall(rawset, _G, "secret", 1))
  assert(not pcall(table.insert, _G, 1))
  assert(not pcall(table.sort, _G))
  assert(rawget(_G, "secret") == nil)
end
