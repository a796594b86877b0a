-- Attacks: pure C loops: lengths and elements that metamethods invent
-- Ends: ok
return function()
  local mt = { __len = function() return math.maxinteger end, __index = string.rep,
    __newindex = rawequal }
  local t = setmetatable({}, mt)
  table.insert(t, 1)
  assert(rawlen(t) == 1 and table.concat(t) == "1")
  assert(table.remove(t) == 1)
  table.sort(t)
  assert(select("#", table.unpack(t)) == 0)
  assert(#table.pack(table.unpack(t)) == 0)
  assert(not pcall(table.concat, t, "", 1, math.maxinteger))
  assert(not pcall(table.insert, t, 5, 1))
end
