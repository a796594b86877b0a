-- Attacks: finalizers: __gc from the start, later, by way of __index
-- Ends: ok
return function()
  local ran = false
  local function fin() ran = true while true do end end
  assert(not pcall(setmetatable, {}, { __gc = fin }))
  assert(not pcall(setmetatable, {}, { __gc = false }))
  local mt = {}
  setmetatable({}, mt)
  mt.__gc = fin
  assert(not pcall(setmetatable, {}, mt))
  local other = setmetatable({}, { __index = { __gc = fin } })
  setmetatable({}, other)
  for _ = 1, 20000 do local _ = { {} } end
  assert(not ran)
end
