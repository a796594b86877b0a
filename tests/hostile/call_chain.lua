-- Attacks: one instruction: a table that is its own __call, for which Lua moves all arguments each turn
-- Ends: ok
return function()
  local t, mt = {}, {}
  mt.__call = t
  assert(not pcall(setmetatable, t, mt))
  mt.__call = nil
  setmetatable(t, mt)
  mt.__call = t
  assert(not pcall(function() t() end))
end
