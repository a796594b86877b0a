-- Attacks: Lua 5.4.4: closing variables; __close from the start, later, nested
-- Ends: ok
return function()
  assert(not pcall(setmetatable, {}, { __close = print }))
  local mt = {}
  local value = setmetatable({}, mt)
  mt.__close = function() while true do end end
  local function nest(n) local c <close> = value return n == 0 or nest(n - 1) end
  assert(not pcall(nest, 150))
  assert(not pcall(function() for _ in next, {}, nil, value do end end))
end
