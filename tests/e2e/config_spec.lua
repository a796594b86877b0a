-- Which setting counts, where it came from, and what is refused.
local support = require("e2e.support")

local cwd

-- Tells what it was given; trades nothing.
local TELLER = [[
local S = { api = 1, name = "teller", version = "1.0.0" }
S.params = {
  fast = { 12, min = 2, max = 100 },
  slow = { 48, min = 5, max = 400 },
  word = { "up", choices = { "up", "down" } },
  wide = { true },
}
function S.on_tick() end
return S
]]

local BUYER = [[
local S = { api = 1, name = "buyer", version = "1.0.0" }
local done = false
function S.on_tick(ctx)
  if done then return end
  done = true
  ctx:buy(nil, { notional = 50 })
end
return S
]]

local function words_of(arguments)
  local words = { "teller.lua", "--speed", "max", "--json", "--fresh" }
  local timed = false
  for _, word in ipairs(arguments) do
    words[#words + 1] = word
    timed = timed or word == "--duration"
  end
  return words, timed
end

-- One run of the teller; a minute of market unless the test says.
local function run(arguments, environment, code)
  local words = words_of(arguments)
  return support.expect(code or 0, words, { cwd = cwd, env = environment })
end

local function summary(arguments, environment)
  local words, timed = words_of(arguments)
  if not timed then words[#words + 1], words[#words + 2] = "--duration", "60" end
  local result = support.expect(0, words, { cwd = cwd, env = environment })
  return support.json(result.out), result
end

local function setup()
  cwd = support.directory()
  support.write(cwd .. "/teller.lua", TELLER)
  support.write(cwd .. "/buyer.lua", BUYER)
end

describe("flag over environment over file over default:", function()
  before_each(setup)
  after_each(support.cleanup)

  it("capital", function()
    support.write(cwd .. "/some.yaml", "trading: { capital: 300 }\n")
    local config, environment = { "--config", "some.yaml" }, { EQUITY_USD = "200" }
    assert.equal("100", summary({}).equity_start)
    assert.equal("300", summary(config).equity_start)
    assert.equal("200", summary(config, environment).equity_start)
    config[3], config[4] = "--capital", "150.25"
    assert.equal("150.25", summary(config, environment).equity_start)
  end)

  it("paper_capital instead of the file's capital", function()
    support.write(cwd .. "/some.yaml", "paper_capital: 70\ntrading: { capital: 300 }\n")
    assert.equal("70", summary({ "--config", "some.yaml" }).equity_start)
    assert.equal("200", summary({ "--config", "some.yaml" }, { EQUITY_USD = "200" }).equity_start)
    assert.equal("90", summary({ "--config", "some.yaml", "--capital", "90" }).equity_start)
  end)

  it("symbols, where the file stands above the environment", function()
    support.write(cwd .. "/some.yaml", "trading: { symbols: [SOL/USDT:USDT] }\n")
    local environment = { TRADING_SYMBOLS = "ETH/USDT:USDT,SOL/USDT:USDT" }
    assert.same({ "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT" }, summary({}).symbols)
    assert.same({ "ETH/USDT:USDT", "SOL/USDT:USDT" }, summary({}, environment).symbols)
    assert.same({ "SOL/USDT:USDT" }, summary({ "--config", "some.yaml" }, environment).symbols)
    assert.same({ "BTC/USDT:USDT" },
      summary({ "--config", "some.yaml", "--symbols", "BTC/USDT:USDT" }, environment).symbols)
  end)

  it("symbols of the strategy over the file's, its entry over both, the flag over all", function()
    support.write(cwd .. "/teller.lua", (TELLER:gsub('version = "1.0.0"',
      'version = "1.0.0", symbols = { "ETH/USDT:USDT" }')))
    support.write(cwd .. "/some.yaml", "trading: { symbols: [SOL/USDT:USDT] }\n")
    assert.same({ "ETH/USDT:USDT" }, summary({ "--config", "some.yaml" }).symbols)
    support.write(cwd .. "/entry.yaml", "strategies:\n  - file: teller.lua\n    symbols: [SOL/USDT:USDT]\n")
    assert.same({ "SOL/USDT:USDT" }, summary({ "--config", "entry.yaml" }).symbols)
    assert.same({ "BTC/USDT:USDT" },
      summary({ "--config", "entry.yaml", "--symbols", "BTC/USDT:USDT" }).symbols)
  end)

  it("duration", function()
    support.write(cwd .. "/some.yaml", "trading: { duration: 3m }\n")
    local function minutes(arguments, environment)
      arguments[#arguments + 1], arguments[#arguments + 2] = "--state", support.directory()
      local result = support.json(run(arguments, environment).out)
      local hour, minute, second = result.ended:match("T(%d+):(%d+):(%d+)")
      return math.ceil((hour * 3600 + minute * 60 + second) / 60)
    end
    assert.equal(3, minutes({ "--config", "some.yaml" }))
    assert.equal(2, minutes({ "--config", "some.yaml" }, { TRADING_DURATION = "120" }))
    assert.equal(1, minutes({ "--config", "some.yaml", "--duration", "60" }, { TRADING_DURATION = "120" }))
  end)

  it("the log level", function()
    support.write(cwd .. "/some.yaml", "logging: { level: error }\n")
    local _, result = summary({ "--config", "some.yaml" })
    assert.is_nil(result.err:find(" info ", 1, true), result.err)
    _, result = summary({ "--config", "some.yaml" }, { LOG_LEVEL = "info" })
    assert.truthy(result.err:find(" info ", 1, true))
    _, result = summary({ "--log-level", "error" }, { LOG_LEVEL = "info" })
    assert.is_nil(result.err:find(" info ", 1, true), result.err)
  end)

  it("the file itself: --config, CONFIG_PATH, config/runtime.yaml here, the user's own", function()
    local environment = { XDG_CONFIG_HOME = cwd .. "/home" }
    support.write(cwd .. "/home/runtime/config/runtime.yaml", "trading: { capital: 400 }\n")
    assert.equal("400", summary({}, environment).equity_start)
    support.write(cwd .. "/config/runtime.yaml", "trading: { capital: 300 }\n")
    assert.equal("300", summary({}, environment).equity_start)
    support.write(cwd .. "/env.yaml", "trading: { capital: 200 }\n")
    environment.CONFIG_PATH = cwd .. "/env.yaml"
    assert.equal("200", summary({}, environment).equity_start)
    support.write(cwd .. "/flag.yaml", "trading: { capital: 150 }\n")
    assert.equal("150", summary({ "--config", "flag.yaml" }, environment).equity_start)
  end)

  it("the state directory", function()
    summary({})
    assert.truthy(support.exists(cwd .. "/artifacts/ledger-paper.sqlite"))
    summary({ "--state", "elsewhere/deep" })
    assert.truthy(support.exists(cwd .. "/elsewhere/deep/ledger-paper.sqlite"))
  end)
end)

describe("of a limit set in two places", function()
  before_each(setup)
  after_each(support.cleanup)

  local function blocked(file, environment)
    support.write(cwd .. "/some.yaml", file)
    local result = support.expect(0, { "buyer.lua", "--speed", "max", "--duration", "60", "--json",
                                       "--symbols", "BTC/USDT:USDT", "--fresh", "--config", "some.yaml" },
      { cwd = cwd, env = environment })
    local orders = support.json(result.out).orders
    return orders.blocked + orders.reduced > 0
  end

  it("the stricter counts, whoever set it", function()
    assert.is_false(blocked("{}\n", {}))
    assert.is_true(blocked("risk: { max_order_size_usd: 20 }\n", {}))
    assert.is_true(blocked("risk: { max_order_size_usd: 1000 }\n", { MAX_ORDER_SIZE_USD = "20" }))
    assert.is_true(blocked("risk: { max_order_size_usd: 20 }\n", { MAX_ORDER_SIZE_USD = "1000" }))
    assert.is_false(blocked("risk: { max_order_size_usd: 1000 }\n", { MAX_ORDER_SIZE_USD = "900" }))
  end)
end)

describe("strategies in the configuration", function()
  before_each(setup)
  after_each(support.cleanup)

  it("run when no file is named on the command line", function()
    support.write(cwd .. "/some.yaml", [[
trading: { capital: 200 }
strategies:
  - file: teller.lua
    capital: 0.25
    symbols: [BTC/USDT:USDT]
    params: { fast: 5, word: down }
]])
    local result = support.expect(0, { "--config", "some.yaml", "--speed", "max", "--duration", "60",
                                       "--json", "--param", "fast=6" }, { cwd = cwd })
    local seen = support.json(result.out)
    assert.same({ "BTC/USDT:USDT" }, seen.symbols)
    assert.equal("50", seen.equity_start)
    assert.equal("down", seen.strategies[1].params.word)
    assert.equal(6, seen.strategies[1].params.fast)
  end)

  it("are asked for when there is none at all", function()
    local result = support.expect(64, { "--speed", "max", "--duration", "60" }, { cwd = cwd })
    assert.truthy(result.err:find("strateg", 1, true), result.err)
  end)
end)

describe("the fragments users have", function()
  before_each(setup)
  after_each(support.cleanup)

  it("load as they are", function()
    support.write(cwd .. "/old.yaml", [[
live_trading:
  trading: { capital: 250 }
  universe: { fixed_symbols: [ETH/USDT:USDT] }
  websocket: { max_streams_per_exchange: { bingx: 10, binance: 20, kucoinfutures: 15 } }
  risk: { max_daily_loss: 100 }
]])
    local seen = summary({ "--config", "old.yaml" })
    assert.equal("250", seen.equity_start)
    assert.same({ "ETH/USDT:USDT" }, seen.symbols)
  end)

  it("and the shipped file sets nothing", function()
    local shipped = summary({ "--config", support.root .. "/config/runtime.yaml" })
    assert.same(summary({ "--state", "other" }), shipped)
  end)
end)

describe("the log says where a value is from:", function()
  before_each(setup)
  after_each(support.cleanup)

  it("each of the four", function()
    support.write(cwd .. "/some.yaml", "trading:\n  capital: 300\n")
    local _, result = summary({ "--config", "some.yaml", "--symbols", "BTC/USDT:USDT" },
      { TRADING_DURATION = "120", TRADING_MODE = "paper" })
    for _, words in ipairs({ "some.yaml:2:", "environment TRADING_MODE", "origin=--symbols" }) do
      assert.truthy(result.err:find(words, 1, true), words .. " is not in\n" .. result.err)
    end
    _, result = summary({})
    assert.truthy(result.err:find("origin=default", 1, true), result.err)
    assert.truthy(result.err:find("no configuration file found", 1, true), result.err)
  end)
end)

describe("a param", function()
  before_each(setup)
  after_each(support.cleanup)

  it("is set by NAME=VALUE, in each kind", function()
    local params = summary({ "--param", "fast=3", "--param", "word=down", "--param", "wide=false",
                             "--param=slow=7" }).strategies[1].params
    assert.same({ fast = 3, slow = 7, word = "down", wide = false }, params)
  end)

  it("is set for one of several files, or for one symbol", function()
    support.write(cwd .. "/second.lua", (TELLER:gsub('name = "teller"', 'name = "second"')))
    local result = support.expect(0, { "teller.lua", "second.lua", "--symbols",
                                       "BTC/USDT:USDT,ETH/USDT:USDT", "--speed", "max", "--duration",
                                       "60", "--json", "--param", "fast=3", "--param",
                                       "second.lua:fast=4", "--param", "ETH/USDT:USDT:slow=9" },
      { cwd = cwd })
    local fast, slow = {}, {}
    for _, strategy in ipairs(support.json(result.out).strategies) do
      fast[strategy.name .. " " .. strategy.symbol] = strategy.params.fast
      slow[strategy.symbol] = strategy.params.slow
    end
    assert.same({ ["teller BTC/USDT:USDT"] = 3, ["teller ETH/USDT:USDT"] = 3, ["second BTC/USDT:USDT"] = 4,
                  ["second ETH/USDT:USDT"] = 4 }, fast)
    assert.same({ ["BTC/USDT:USDT"] = 48, ["ETH/USDT:USDT"] = 9 }, slow)
  end)
end)

describe("live trading is refused", function()
  before_each(setup)
  after_each(support.cleanup)

  it("from the environment", function()
    local result = run({}, { TRADING_MODE = "live" }, 77)
    assert.equal(77, support.json(result.out).error.code)
    assert.is_false(support.exists(cwd .. "/artifacts"))
  end)

  it("from the file", function()
    support.write(cwd .. "/live.yaml", "trading: { mode: live }\n")
    run({ "--config", "live.yaml" }, {}, 77)
  end)
end)

describe("venues", function()
  before_each(setup)
  after_each(support.cleanup)

  it("come from EXCHANGES, the file and --broker", function()
    assert.equal("sim", summary({}, { EXCHANGES = "sim" }).broker)
    assert.equal("sim", summary({ "--broker", "sim" }, { EXCHANGES = "binance" }).broker)
  end)

  it("are refused when unknown: 64 on the command line, 78 in YAML", function()
    local result = run({ "--broker", "binanse" }, {}, 64)
    assert.truthy(result.err:find("binance", 1, true), result.err)
    support.write(cwd .. "/venue.yaml", "trading: { broker: binanse }\n")
    result = run({ "--config", "venue.yaml" }, {}, 78)
    assert.truthy(result.err:find("venue.yaml:1:", 1, true), result.err)
  end)
end)

describe("the emergency switch", function()
  before_each(setup)
  after_each(support.cleanup)

  for _, value in ipairs({ "true", "TRUE", "1" }) do
    it("stops the start when it is " .. value, function()
      local result = run({ "--duration", "60" }, { EMERGENCY_STOP = value }, 75)
      assert.truthy(result.err:find("EMERGENCY_STOP", 1, true), result.err)
    end)
  end

  it("does nothing when it is off", function()
    summary({}, { EMERGENCY_STOP = "false" })
  end)

  it("is not taken for off when it cannot be read", function()
    local result = support.run(words_of({ "--duration", "60" }),
      { cwd = cwd, env = { EMERGENCY_STOP = "maybe" } })
    assert.truthy(result.code == 75 or result.code == 78, support.told(result))
  end)
end)

describe("a broken file", function()
  before_each(setup)
  after_each(support.cleanup)

  -- Refused with 78; stderr holds each of the words; nothing was written.
  local function refused(text, ...)
    support.write(cwd .. "/broken.yaml", text)
    local result = run({ "--config", "broken.yaml" }, {}, 78)
    for _, words in ipairs({ ... }) do
      assert.truthy(result.err:find(words, 1, true), words .. " is not in\n" .. result.err)
    end
    local told = support.json(result.out).error
    assert.equal(78, told.code)
    assert.equal("string", type(told.message))
    assert.is_false(support.exists(cwd .. "/artifacts"))
    return told
  end

  it("holds a tab in the indentation", function()
    local told = refused("trading:\n\tcapital: 5\n", "broken.yaml:2:1", "tab")
    assert.truthy(told.where:find("broken.yaml:2:", 1, true))
  end)

  it("holds a key twice", function()
    refused("trading:\n  capital: 5\n  capital: 6\n", "broken.yaml:3:3", "trading.capital", "line 2")
  end)

  it("holds an unknown key, and the nearest is named", function()
    refused("trading:\n  capitel: 5\n", "broken.yaml:2:3", "trading.capitel", "did you mean capital?")
    refused("tradin:\n  capital: 5\n", "broken.yaml:1:1", "did you mean trading?")
  end)

  it("holds no number where one is wanted", function()
    for _, value in ipairs({ ".nan", "nan", ".inf", "1e3", "abc", "[1]", "'5'" }) do
      refused("trading:\n  capital: " .. value .. "\n", "broken.yaml:2:12", "trading.capital")
    end
  end)

  it("holds a negative limit", function()
    refused("risk:\n  max_order_size_usd: -5\n", "broken.yaml:2:23", "risk.max_order_size_usd", "-5")
  end)

  it("holds a secret", function()
    local told = refused("brokers:\n  binance:\n    api_key: hush-hush\n", "broken.yaml:3:")
    assert.is_nil(told.message:find("hush-hush", 1, true))
  end)

  it("holds an empty list of symbols, or both names for it", function()
    refused("trading: { symbols: [] }\n", "trading.symbols")
    refused("trading: { symbols: [A/B] }\nuniverse: { fixed_symbols: [C/D] }\n", "fixed_symbols")
  end)

  it("is no YAML at all", function()
    refused("trading: [1, 2\nrisk: {\n", "broken.yaml:")
  end)

  it("tells all its faults at once", function()
    refused([[
trading:
  mode: papper
  capitel: 5
risk:
  max_drawdown: -1
  max_open_positions: many
unknown: 1
]], "broken.yaml:2:9", "did you mean paper?", "broken.yaml:3:3", "broken.yaml:5:17", "broken.yaml:6:23",
      "broken.yaml:7:1")
  end)

  it("is never passed over for the next place", function()
    support.write(cwd .. "/config/runtime.yaml", "trading: { capital: -1 }\n")
    run({}, {}, 78)
  end)

  it("may be the environment: an empty or wrong variable", function()
    local result = run({}, { EQUITY_USD = "abc", TRADING_DURATION = "" }, 78)
    assert.truthy(result.err:find("EQUITY_USD", 1, true), result.err)
    assert.truthy(result.err:find("TRADING_DURATION", 1, true), result.err)
  end)

  it("is missing where it was named: 66", function()
    local result = run({ "--config", "nowhere.yaml" }, {}, 66)
    assert.truthy(result.err:find("nowhere.yaml", 1, true), result.err)
    run({}, { CONFIG_PATH = "nowhere.yaml" }, 66)
  end)

  it("is a directory", function()
    support.write(cwd .. "/folder/x", "")
    run({ "--config", "folder" }, {}, 78)
  end)
end)

describe("flags with wrong values", function()
  before_each(setup)
  after_each(support.cleanup)

  for _, words in ipairs({ "--capital abc", "--capital -5", "--capital 0", "--capital nan", "--duration soon",
                           "--duration -1", "--speed 0", "--speed fast", "--seed 0", "--log-level loud",
                           "--mode papper", "--param fast", "--symbols ,", "--clock-start noon",
                           "--skip-bad-rows -1" }) do
    it("are refused: " .. words, function()
      local flag, value = words:match("^(%S+) (.*)$")
      local result = run({ flag, value }, {}, 64)
      assert.truthy(result.err:find(flag, 1, true), result.err)
      assert.equal(64, support.json(result.out).error.code)
      assert.is_false(support.exists(cwd .. "/artifacts"))
    end)
  end
end)
