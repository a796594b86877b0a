-- Attacks: addresses: every way by which a value becomes text
-- Ends: ok
return function()
  local values = { {}, print, coroutine.create(print), string.rep, math, setmetatable({}, {}) }
  for _, v in ipairs(values) do
    assert(not tostring(v):find("0x", 1, true))
    assert(not string.format("%s|%10.20s", v, v):find("0x", 1, true))
    local _, e = pcall(function() return v < v end)
    assert(not tostring(e):find("0x", 1, true))
    local _, e2 = pcall(error, v)
    assert(not tostring(e2):find("0x", 1, true))
    local _, e3 = pcall(function() return _G[v] end)
    assert(not tostring(e3):find("0x", 1, true))
    assert(not pcall(table.concat, { v }))
  end
  assert(not pcall(string.format, "%p", {}))
  local a = {}
  assert(tostring(a) == tostring(a) and tostring(a) ~= tostring({}))
end
