-- Attacks: metatables: what getmetatable shows can be changed at will, to no effect on the rest
-- Ends: ok
return function()
  local mt = { __index = { a = 1 } }
  local t = setmetatable({}, mt)
  assert(getmetatable(t) == mt and t.a == 1)
  for k in pairs(mt) do assert(type(k) == "string") end
  for k in next, mt do assert(type(k) == "string") end
  assert(rawlen(mt) == 0)
  assert(getmetatable(setmetatable({}, { __metatable = "no" })) == "no")
  assert(not pcall(setmetatable, setmetatable({}, { __metatable = 1 }), {}))
  mt.__index = nil
  setmetatable(t, mt)
  assert(t.a == nil)
end
