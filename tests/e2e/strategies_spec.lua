-- Several strategies in one run: each has its own money, and a broken one is stopped alone.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local cwd

-- Buys once, and says what it has.
local STEADY = [[
local S = { api = 1, name = "NAME", version = "1.0.0" }
local seen = 0
function S.on_tick(ctx)
  seen = seen + 1
  if seen == 1 then ctx:log("NAME has %s", ctx:capital()) end
  if seen == 2 then ctx:buy(nil, { notional = 20 }) end
  if seen == 600 then ctx:log("NAME still runs with %s", ctx:equity()) end
end
return S
]]

-- Holds a protected, filled position and a resting entry; then does what FAULT says.
local FAULTY = [[
local S = { api = 1, name = "faulty", version = "1.0.0" }
local seen = 0
function S.on_tick(ctx, tick)
  seen = seen + 1
  if seen == 1 then
    ctx:buy(nil, { notional = 20, stop = tick.price * 0.5, tag = "protected" })
    ctx:buy(0.0004, { type = "limit", price = tick.price * 0.6, tag = "entry" })
  end
  if seen == 300 then
    ctx.state.half = "written by the failing callback"
    ctx:buy(0.0004, { type = "limit", price = tick.price * 0.7, tag = "dropped" })
    FAULT
  end
end
return S
]]

local function steady(name)
  support.write(cwd .. "/" .. name .. ".lua", (STEADY:gsub("NAME", name)))
  return name .. ".lua"
end

local function faulty(fault)
  support.write(cwd .. "/faulty.lua", (FAULTY:gsub("FAULT", fault)))
  return "faulty.lua"
end

local function run(code, ...)
  return support.expect(code, { "--symbols", SYMBOL, "--speed", "max", "--duration", "900", "--json", ... },
    { cwd = cwd })
end

-- The orders of the faulty one: tag -> role and status.
local function orders()
  return support.query(cwd .. "/artifacts/ledger-paper.sqlite", [[
    select tag || ' ' || side || ' ' || type || ' ' || status from orders
      join instances using (instance_id) where strategy = 'faulty' order by order_id]])
end

describe("several strategies at once", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("share the capital equally", function()
    local result = run(0, steady("one"), steady("two"), steady("three"), "--capital", "300")
    for _, name in ipairs({ "one", "two", "three" }) do
      assert.truthy(result.err:find(name .. " has 100", 1, true), result.err)
    end
    local summary = support.json(result.out)
    assert.equal("300", summary.equity_start)
    assert.equal(3, #summary.strategies)
    assert.equal(3, summary.fills)
    assert.equal(support.sum(summary.equity_end),
      support.sum(summary.equity_start, summary.realized_pnl, summary.unrealized_pnl,
        "-" .. summary.fees, summary.funding))
  end)

  it("share it among their instances too", function()
    local result = run(0, steady("one"), "--capital", "300", "--symbols",
      "BTC/USDT:USDT,ETH/USDT:USDT,SOL/USDT:USDT")
    local _, count = result.err:gsub("one has 100", "")
    assert.equal(3, count, result.err)
  end)

  it("take what the configuration gives them", function()
    support.write(cwd .. "/shares.yaml", [[
strategies:
  - { file: one.lua, capital: 0.5 }
  - { file: two.lua, capital: 60 }
]])
    local result = run(0, steady("one"), steady("two"), steady("three"), "--capital", "300", "--config",
      "shares.yaml")
    for _, words in ipairs({ "one has 150", "two has 60", "three has 90" }) do
      assert.truthy(result.err:find(words, 1, true), words .. " is not in\n" .. result.err)
    end
  end)

  it("keep books of their own on the same symbol", function()
    run(0, steady("one"), steady("two"))
    local rows = support.query(cwd .. "/artifacts/ledger-paper.sqlite",
      "select strategy, qty > 0 from positions join instances using (instance_id) order by 1")
    assert.same({ "one|1", "two|1" }, rows)
  end)

  it("need names of their own", function()
    steady("one")
    support.write(cwd .. "/copy.lua", support.read(cwd .. "/one.lua"))
    local result = run(65, "one.lua", "copy.lua")
    assert.truthy(result.err:find("copy.lua", 1, true), result.err)
    assert.is_false(support.exists(cwd .. "/artifacts"))
  end)
end)

describe("a strategy that", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  local faults = {
    ["raises an error"] = { fault = 'error("it broke")', reason = "it broke" },
    ["calls nil"] = { fault = "local f; f()", reason = "nil value" },
    ["uses an undeclared global"] = { fault = "seeen = 1", reason = "seeen" },
    ["wants too much memory"] = {
      fault = 'local t = {} while true do t[#t + 1] = ("x"):rep(1000000) .. #t end', reason = "memory" },
    ["gives a wrong argument"] = { fault = 'ctx:buy("much")', reason = "buy" },
    ["loops for ever"] = { fault = "while true do end", reason = "" },
    ["loops for ever inside pcall"] = {
      fault = "while true do pcall(function() while true do end end) end", reason = "" },
    ["recurses for ever"] = { fault = "local function f() return 1 + f() end f()", reason = "" },
  }
  local names = {}
  for name in pairs(faults) do names[#names + 1] = name end
  table.sort(names)

  for _, name in ipairs(names) do
    it(name .. " is stopped alone: its entries are canceled, its exits stay, the others go on", function()
      local fault = faults[name]
      local result = run(0, faulty(fault.fault), steady("one"))
      assert.truthy(result.err:find("one still runs", 1, true), result.err)
      local alert = result.err:match("[^\n]*faulty on [^\n]*stopped[^\n]*")
      assert.truthy(alert, result.err)
      assert.truthy(alert:find(fault.reason, 1, true) and alert:find("faulty.lua:%d"), alert)
      -- The order and the state of the failing callback are dropped with it.
      assert.same({ "protected buy market filled", "entry buy limit canceled", "protected sell stop new" },
        orders())
      local kept = support.query(cwd .. "/artifacts/ledger-paper.sqlite",
        "select body from strategy_state where body like '%failing%'")
      assert.same({}, kept)
    end)
  end

  it("fails may leave its orders, or be made flat, as the configuration says", function()
    faulty('error("it broke")')
    local wanted = {
      leave = { "protected buy market filled", "entry buy limit new", "protected sell stop new" },
      flatten = { "protected buy market filled", "entry buy limit canceled", "protected sell stop canceled" },
    }
    for policy, statuses in pairs(wanted) do
      support.write(cwd .. "/policy.yaml",
        "strategies:\n  - { file: faulty.lua, on_error: " .. policy .. " }\n")
      run(0, "faulty.lua", steady("one"), "--config", "policy.yaml", "--fresh")
      local seen = orders()
      assert.same(statuses, { seen[1], seen[2], seen[3] }, policy)
      local held = support.query(cwd .. "/artifacts/ledger-paper.sqlite", [[
        select count(*) from positions join instances using (instance_id)
          where strategy = 'faulty' and qty <> '0']])
      assert.same({ policy == "flatten" and "0" or "1" }, held, policy)
    end
  end)

  it("was the last one ends the run with 65", function()
    local result = run(65, faulty('error("it broke")'))
    local told = support.json(result.out).error
    assert.equal(65, told.code)
    assert.truthy(told.message:find("it broke", 1, true), told.message)
    assert.same({ "protected buy market filled", "entry buy limit canceled", "protected sell stop new" },
      orders())
    -- What happened is written out all the same, the end of the session too.
    local rows = support.journal(cwd .. "/artifacts", "orders.csv")
    assert.truthy(#rows >= 6, table.concat(rows, "\n"))
    assert.truthy(support.exists(cwd .. "/artifacts/checkpoints/paper_state_latest.json"))
  end)

  it("failed on a feed runs again once it is repaired", function()
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(700)))
    run(65, faulty('error("it broke")'), "--feed", "feed.csv", "--capital", "1000")
    local result = run(0, faulty("ctx:log('repaired')"), "--feed", "feed.csv", "--capital", "1000")
    assert.truthy(result.err:find("repaired", 1, true), result.err)
  end)

  it("stops itself is no failure", function()
    local result = run(0, faulty('ctx:stop("enough")'), steady("one"))
    assert.truthy(result.err:find("one still runs", 1, true), result.err)
    result = run(0, faulty('ctx:stop("enough")'), "--fresh")
    assert.equal(1, support.json(result.out).fills)
  end)

  it("fails in on_start refuses the start", function()
    support.write(cwd .. "/early.lua", [[
local S = { api = 1, name = "early", version = "1.0.0" }
function S.on_start() error("not ready") end
function S.on_tick() end
return S
]])
    local result = run(65, "early.lua", steady("one"))
    assert.truthy(result.err:find("not ready", 1, true), result.err)
    assert.truthy(result.err:find("early.lua:2", 1, true), result.err)
  end)

  it("loops on a feed gives no result: time is the machine's", function()
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(400)))
    support.write(cwd .. "/quick.yaml", "sandbox: { callback_hard_ms: 200 }\n")
    run(65, faulty("while true do end"), steady("one"), "--feed", "feed.csv", "--config", "quick.yaml")
  end)

  it("loops on a feed is stopped alone where instructions are counted", function()
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(700)))
    local hashes = {}
    for i = 1, 2 do
      local result = run(0, faulty("while true do end"), steady("one"), "--feed", "feed.csv",
        "--exact-budget", "--fresh", "--capital", "1000")
      assert.truthy(result.err:find("one still runs", 1, true), result.err)
      hashes[i] = support.json(result.out).result_hash
    end
    assert.equal(hashes[1], hashes[2])
  end)
end)

describe("one bad file among several", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("refuses the whole start with 65, and nothing is written", function()
    local bad = {
      "return {", "error('at load')", "return 42", "while true do end", "return { api = 1, name = 5 }",
      "return { api = 1, name = 'bad', version = '1', on_tikc = function() end }",
      "return { api = 2, name = 'bad', version = '1', on_tick = function() end }",
    }
    for _, source in ipairs(bad) do
      support.write(cwd .. "/bad.lua", source)
      local result = run(65, steady("one"), "bad.lua", steady("two"))
      assert.truthy(result.err:find("bad.lua", 1, true), source .. "\n" .. result.err)
      assert.equal(65, support.json(result.out).error.code)
      assert.is_false(support.exists(cwd .. "/artifacts"), source)
    end
  end)
end)
