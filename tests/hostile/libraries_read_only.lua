-- Attacks: the libraries: writing to them by every road
-- Ends: ok
return function()
  for _, library in ipairs{ math, string, table, os, coroutine, utf8 } do
    assert(not pcall(function() library.pi = 3 end))
    assert(not pcall(rawset, library, "pi", 3))
    assert(not pcall(table.insert, library, 3))
    assert(not pcall(table.move, { 1 }, 1, 1, 1, library))
    assert(not pcall(setmetatable, library, nil))
    assert(not pcall(setmetatable, {}, library))
    for k in pairs(library) do assert(type(k) == "string") end
  end
  assert(next(os) == "clock" and rawget(math, "pi") == math.pi)
end
