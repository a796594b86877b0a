-- The command line: commands, help, what is unknown, what is refused.
local support = require("e2e.support")

local MOMENTUM = support.root .. "/strategies/momentum.lua"
local cwd

local function run(code, ...)
  return support.expect(code, { ... }, { cwd = cwd })
end

local function says(text, ...)
  for _, words in ipairs({ ... }) do
    assert.truthy(text:find(words, 1, true), words .. " is not in\n" .. text)
  end
end

local function nothing_written()
  assert.is_false(support.exists(cwd .. "/artifacts"))
end

describe("runtime check", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("lists params, callbacks, subscriptions and problems", function()
    local result = run(0, "check", MOMENTUM)
    says(result.out, "momentum", "fast", "slow", "on_bar", "bars 1m", "problems: none")
    nothing_written()
  end)

  it("passes every strategy that is shipped", function()
    local pipe = assert(io.popen("ls " .. support.quote(support.root) .. "/strategies/*.lua"))
    for path in pipe:lines() do run(0, "check", path) end
    pipe:close()
  end)

  it("takes --json", function()
    local seen = support.json(run(0, "check", MOMENTUM, "--json").out)
    assert.equal("momentum", seen.name)
    assert.is_true(seen.ok)
    assert.same({}, seen.problems)
  end)

  it("tells the fault with file and line, and 65", function()
    support.write(cwd .. "/bad.lua", "local S = { api = 1, name = 'bad', version = '1' }\n" ..
      "function S.on_start(ctx) ctx:bars('7m') end\nfunction S.on_bar() end\nreturn S\n")
    local result = run(65, "check", "bad.lua")
    says(result.err, "bad.lua:2", "7m")
    result = run(65, "check", "bad.lua", "--json")
    local seen = support.json(result.out)
    assert.is_false(seen.ok)
    assert.equal(1, #seen.problems)
    says(seen.problems[1].where, "bad.lua:2")
    assert.equal(65, seen.error.code)
  end)

  it("names the nearest callback of a misspelled one", function()
    support.write(cwd .. "/bad.lua",
      "return { api = 1, name = 'bad', version = '1', on_tikc = function() end }\n")
    says(run(65, "check", "bad.lua").err, "on_tikc", "on_tick")
  end)

  it("runs S.check with the defaults", function()
    support.write(cwd .. "/bad.lua", [[
return { api = 1, name = "bad", version = "1", check = function() return false, "never good" end,
  on_tick = function() end }
]])
    says(run(65, "check", "bad.lua").err, "never good")
  end)

  it("finds an endless loop by itself", function()
    support.write(cwd .. "/bad.lua", "while true do end\n")
    says(run(65, "check", "bad.lua").err, "bad.lua:1")
  end)

  it("needs a file that is there", function()
    says(run(66, "check", "nowhere.lua").err, "nowhere.lua")
    run(64, "check")
  end)

  it("checks several, and fails when one does", function()
    support.write(cwd .. "/bad.lua", "return 1\n")
    local result = run(65, "check", MOMENTUM, "bad.lua")
    says(result.out, "momentum")
    says(result.err, "bad.lua")
  end)
end)

describe("runtime inspect", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("tells all that a file says of itself", function()
    local result = run(0, "inspect", MOMENTUM)
    says(result.out, "name", "momentum", "version", "1.0.0", "MIT", "callbacks", "on_bar", "fast", "hash")
    nothing_written()
  end)

  it("takes --json", function()
    local seen = support.json(run(0, "inspect", MOMENTUM, "--json").out)
    assert.equal("momentum", seen.name)
    assert.equal("MIT", seen.license)
    assert.is_true(seen.has_check)
    assert.truthy(seen.hash:match("^%x+$") and #seen.hash == 64)
    local names = {}
    for _, param in ipairs(seen.params) do names[#names + 1] = param.name end
    table.sort(names)
    assert.same({ "fast", "risk", "slow", "stop", "tf" }, names)
  end)

  it("needs one file that is there", function()
    run(66, "inspect", "nowhere.lua")
    run(64, "inspect")
    run(64, "inspect", MOMENTUM, MOMENTUM)
  end)
end)

describe("runtime new", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("writes a strategy that passes check, trades, and is never overwritten", function()
    local result = run(0, "new", "my_first")
    says(result.out, "my_first.lua")
    run(0, "check", "my_first.lua")
    result = run(0, "my_first.lua", "--duration", "86400", "--speed", "max", "--json")
    local summary = support.json(result.out)
    assert.truthy(summary.fills > 0, "it does not trade")
    assert.equal("my_first", summary.strategies[1].name)
    support.write(cwd .. "/my_first.lua", "-- mine\n")
    says(run(64, "new", "my_first").err, "not overwritten")
    assert.equal("-- mine\n", support.read(cwd .. "/my_first.lua"))
  end)

  it("writes into strategies/ where there is one", function()
    support.write(cwd .. "/strategies/other.lua", "")
    says(run(0, "new", "second").out, "strategies/second.lua")
    assert.truthy(support.exists(cwd .. "/strategies/second.lua"))
  end)

  it("takes names with and without .lua, and says --json", function()
    assert.equal("third.lua", support.json(run(0, "new", "third.lua", "--json").out).file)
    run(0, "check", "third.lua")
  end)

  it("refuses names that would leave the directory, or are no names", function()
    for _, name in ipairs({ "../evil", "a/b", "", "1st", "with space", 'quo"te', ("x"):rep(300) }) do
      run(64, "new", name)
    end
    assert.same({}, support.files(cwd))
    run(64, "new")
    run(64, "new", "one", "two")
  end)

  it("says 74 where it cannot write", function()
    if support.first_line("id -u") == "0" then
      pending("root may write everywhere")
      return
    end
    assert.equal(0, support.shell("chmod a-w " .. support.quote(cwd)))
    run(74, "new", "nope")
  end)
end)

describe("help", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("lists commands and options, and nothing that is not there", function()
    local result = run(0, "--help")
    says(result.out, "check", "inspect", "new", "--feed", "--param", "--symbols", "--speed", "--state",
      "--json", "--fresh")
    for _, planned in ipairs({ "walkforward", "--dashboard", "vault" }) do
      assert.is_nil(result.out:find(planned, 1, true), planned .. " is listed")
    end
    assert.equal("", result.err)
    assert.equal(result.out, run(0, "-h").out)
    assert.equal(result.out, run(0, "help").out)
  end)

  it("fits a terminal of 80 columns", function()
    for line in run(0, "--help").out:gmatch("[^\n]*") do
      assert.truthy(utf8.len(line) <= 80, line)
    end
  end)

  it("shows a command's usage with an example", function()
    local names = { "check", "inspect", "new", "audit", "restore", "help", "status", "orders", "positions",
                    "why", "halt", "resume", "flatten", "breaker", "reload", "stop" }
    for _, name in ipairs(names) do
      local result = run(0, "help", name)
      says(result.out, "usage: runtime " .. name, "Example:\n  runtime " .. name)
      for line in result.out:gmatch("[^\n]*") do assert.truthy(utf8.len(line) <= 80, line) end
      assert.equal(result.out, run(0, name, "--help").out)
    end
  end)

  it("knows what is unknown, and what is planned", function()
    says(run(64, "help", "chekc").err, "check")
    says(run(64, "help", "sweep").err, "not in this version")
  end)

  it("is short, on stderr and 64 for a bare runtime", function()
    local result = run(64)
    assert.equal("", result.out)
    says(result.err, "runtime", "--help")
  end)

  it("--version names the program and its libraries", function()
    local result = run(0, "--version")
    says(result.out, "runtime ", "Lua 5.4", "SQLite ")
    assert.equal("string", type(support.json(run(0, "--version", "--json").out).runtime))
  end)
end)

describe("what is not known", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("gets the nearest command", function()
    says(run(64, "chek", "x.lua").err, "chek", "check")
    says(run(64, "inspekt").err, "inspect")
  end)

  it("gets the nearest option", function()
    says(run(64, MOMENTUM, "--sybmols", "A/B").err, "--sybmols", "--symbols")
    says(run(64, MOMENTUM, "--dration=5").err, "--dration", "--duration")
    nothing_written()
  end)

  it("is told as JSON when JSON was asked for", function()
    for _, words in ipairs({ { "chekc", "--json" }, { MOMENTUM, "--json", "--sybmols", "A/B" },
                             { MOMENTUM, "--sybmols", "A/B", "--json" }, { "help", "chekc", "--json" } }) do
      local result = support.expect(64, words, { cwd = cwd })
      local told = support.json(result.out).error
      assert.equal(64, told.code)
      assert.equal("string", type(told.message))
      assert.is_not_nil(told.where)
    end
  end)

  it("may be a strategy whose ending was forgotten", function()
    support.write(cwd .. "/mine.lua", "")
    says(run(64, "mine").err, "mine.lua")
  end)

  it("may be an option of another command", function()
    for words, option in pairs({ ["restore --capital 5"] = "--capital", ["check x.lua --state s"] = "--state",
                                 ["status --speed max"] = "--speed", ["flatten --emergency"] = "--emergency",
                                 ["resume --live"] = "--live", ["new a --seed 3 --json"] = "--seed",
                                 ["mine.lua --emergency"] = "--emergency" }) do
      local list = {}
      for word in words:gmatch("%S+") do list[#list + 1] = word end
      says(run(64, table.unpack(list)).err, "does not take " .. option)
    end
  end)

  it("may be an option without its value", function()
    says(run(64, MOMENTUM, "--symbols").err, "--symbols")
    says(run(64, MOMENTUM, "--json=yes").err, "--json")
  end)
end)

describe("what is planned", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  for name in ([[backtest sweep walkforward report test sign verify record replay import download doctor
      venues vault login config]]):gmatch("%S+") do
    it("answers 64: " .. name, function()
      says(run(64, name).err, "not in this version")
      nothing_written()
    end)
  end

  it("answers 64: --backtest and --dashboard", function()
    says(run(64, MOMENTUM, "--backtest", "data.csv").err, "not in this version")
    says(run(64, MOMENTUM, "--dashboard").err, "not in this version")
    nothing_written()
  end)
end)

describe("live trading", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("is refused with 77: its gates are closed", function()
    local result = run(77, MOMENTUM, "--json", "--duration", "1", "--live", "--broker", "binance")
    assert.equal(77, support.json(result.out).error.code)
    nothing_written()
  end)

  it("is refused where no venue is named: the gates are closed, and the venue would be sim", function()
    for _, words in ipairs({ { "--live" }, { "--mode", "live" } }) do
      local result = support.run({ MOMENTUM, "--duration", "1", table.unpack(words) }, { cwd = cwd })
      assert.truthy(result.code == 77 or result.code == 64, support.told(result))
      nothing_written()
    end
  end)

  it("on sim is a usage error", function()
    for _, words in ipairs({ { "--live", "--broker", "sim" }, { "--mode=live", "--broker=sim" } }) do
      support.expect(64, { MOMENTUM, "--duration", "1", table.unpack(words) }, { cwd = cwd })
      nothing_written()
    end
  end)

  it("is never what --paper gives", function()
    for _, words in ipairs({ { "--paper" }, { "--mode", "paper" }, {} }) do
      local result = support.expect(0, { MOMENTUM, "--duration", "10", "--speed", "max", "--json",
                                         table.unpack(words) }, { cwd = cwd })
      assert.equal("paper", support.json(result.out).mode)
    end
  end)
end)

describe("the installed program", function()
  after_each(support.cleanup)

  it("runs from anywhere, by any path", function()
    cwd = support.directory()
    assert.equal(0, support.shell(("ln -s %s %s/linked"):format(support.quote(support.bin), cwd)))
    local result = support.expect(0, { "--version" }, { cwd = cwd, program = "./linked" })
    says(result.out, "runtime ")
  end)

  it("says so when nobody reads its result", function()
    cwd = support.directory()
    local result = support.run({ "-c", support.quote(support.bin) .. " --help >/dev/full" },
      { cwd = cwd, program = "sh" })
    assert.equal(74, result.code, support.told(result))
  end)
end)
