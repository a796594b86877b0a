-- Attacks: the way out: everything that reads code, files or the machine
-- Ends: ok
return function()
  for _, name in ipairs{ "load", "loadstring", "loadfile", "dofile", "io", "debug", "package", "module",
      "newproxy", "warn", "setfenv", "getfenv", "unpack" } do
    assert(rawget(_G, name) == nil, name)
  end
  for _, name in ipairs{ "execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname" } do
    assert(os[name] == nil, name)
  end
  assert(string.dump == nil and coroutine.close == nil)
  for _, option in ipairs{ "collect", "stop", "restart", "step", "generational", "setpause" } do
    assert(not pcall(collectgarbage, option))
  end
  assert(math.type(collectgarbage("count")) == "integer")
end
