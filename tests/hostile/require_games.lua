-- Attacks: require: paths out of the folder, cycles, modules that loop or are no text
-- Ends: ok
return function()
  for _, name in ipairs{ "../secret", "/etc/passwd", "a//b", "a..b", "", ".", "a/", "x\0y", "missing",
      ("x"):rep(100000), "cycle", "broken", "bytecode" } do
    assert(not pcall(require, name), name)
  end
  assert(require("good").answer == 42 and require("good") == require("good"))
  assert(not pcall(require) and not pcall(require, {}))
end
