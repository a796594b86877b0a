-- Risk as a user meets it: limits in the file and in the environment, what a strategy is told, what the
-- log, the journal, the ledger and `runtime why` say, halts and what ends them.
--
-- Most worlds are two feeds of one trade a second at 100, a capital of 10,000, lots of 0.001, no costs,
-- and fills at the next trade: what is expected is then plain arithmetic.
local support = require("e2e.support")

local MIDNIGHT = 1704067200 -- 2024-01-01T00:00:00Z, a Monday
local cwd

-- ---- a world ----------------------------------------------------------------------------------------

-- Does what ACTIONS says at the n-th trade of X, and says what it was answered.
local ASKER = [[
local S = { api = 1, name = "NAME", version = "1.0.0", scope = "portfolio", limits = { LIMITS } }
local seen = 0
local actions = {
  ACTIONS
}
function S.on_tick(ctx, tick)
  if tick.symbol ~= "X/USDT" then return end
  seen = seen + 1
  local action = actions[seen]
  if not action then return end
  local order, reason, code = action(ctx, tick)
  ctx:log("ANSWER %d|%s|%s|%s", seen, order and order.qty or "-", code or "-", reason or "-")
end
function S.on_risk(ctx, verdict)
  ctx:log("RISK %s|%s|%g|%s", verdict.verdict, verdict.code, verdict.qty, verdict.reason)
end
return S
]]

local BASE = [[
trading: { capital: 10000, symbols: [X/USDT, Y/USDT] }
instruments:
  X/USDT: { tick_size: 0.01, lot_size: 0.001, min_notional: 5 }
  Y/USDT: { tick_size: 0.01, lot_size: 0.001, min_notional: 5 }
backtest: { slippage_model: none, fees: { maker: 0, taker: 0 }, latency: 0s }
]]

local function asker(name, actions, limits)
  local lines = {}
  for at, action in pairs(actions) do
    lines[#lines + 1] = ("[%d] = function(ctx, tick) return %s end,"):format(at, action)
  end
  local source = ASKER:gsub("NAME", name):gsub("LIMITS", function() return limits or "" end)
  support.write(cwd .. "/" .. name .. ".lua", (source:gsub("ACTIONS", function()
    return table.concat(lines, "\n  ")
  end)))
  return name .. ".lua"
end

-- Trades at these prices (numbers; a list { price, times }), one every so many seconds.
local function prices(list, options)
  options = options or {}
  local rows, time = { "time,price,qty,side" }, options.from or MIDNIGHT
  for _, one in ipairs(list) do
    local price, times = one, 1
    if type(one) == "table" then price, times = one[1], one[2] end
    for _ = 1, times do
      rows[#rows + 1] = ("%d,%.2f,1000,buy"):format(time * 1000, price)
      time = time + (options.every or 1)
    end
  end
  return table.concat(rows, "\n") .. "\n"
end

local FLAT = { { 100, 20 } }

local function feeds(x, options)
  support.write(cwd .. "/x.csv", prices(x or FLAT, options))
  support.write(cwd .. "/y.csv", prices({ { 100, 2 } }, options))
  return "X/USDT=x.csv", "Y/USDT=y.csv"
end

-- What was told, by the lines of the log.
local function told(log)
  local found = { answers = {}, risk = {}, log = log }
  for at, qty, code, reason in log:gmatch('"ANSWER (%d+)|([^|]*)|([^|]*)|([^\n]-)" market_time') do
    found.answers[tonumber(at)] = { qty = tonumber(qty), code = code, reason = reason }
  end
  for verdict, code, qty, reason in log:gmatch('"RISK (%w+)|([^|]*)|([^|]*)|([^\n]-)" market_time') do
    found.risk[#found.risk + 1] = { verdict = verdict, code = code, qty = tonumber(qty), reason = reason }
  end
  return found
end

-- world{ actions =, risk = (YAML), env =, prices =, every =, code = }: one run from beginning to end.
local function world(terms)
  local words = terms.files or { asker(terms.name or "asker", terms.actions, terms.limits) }
  support.write(cwd .. "/c.yaml", BASE .. (terms.yaml or ""))
  local x, y = feeds(terms.prices, { every = terms.every, from = terms.from })
  for _, word in ipairs({ "--feed", x, "--feed", y, "--config", "c.yaml", "--speed", "max", "--fresh",
                          "--json", "--state", "s" }) do
    words[#words + 1] = word
  end
  local result = support.expect(terms.code or 0, words, { cwd = cwd, env = terms.env })
  local found = told(result.err)
  found.summary = support.json(result.out)
  return found
end

local function query(sql)
  return support.query(cwd .. "/s/ledger-paper.sqlite", sql)
end

local function why()
  return support.json(support.expect(0, { "why", "--state", "s", "--json" }, { cwd = cwd }).out).verdicts
end

-- ---- each limit -------------------------------------------------------------------------------------

-- value: what binds; looser: what does not; actions at trades 3 and 4, the last is judged: to qty (of
-- asked), or blocked.
local LIMITS = {
  { name = "max_order_size_usd", code = "max_order_size", value = "200", looser = "5000", asked = 10,
    qty = 2, reason = "qty 10 is worth more than max_order_size_usd 200" },
  { name = "max_daily_volume_usd", code = "max_daily_volume", value = "500", looser = "5000",
    before = "ctx:buy(3)", asked = 3, qty = 2, reason = "qty 3 goes over max_daily_volume_usd 500" },
  { name = "max_open_positions", code = "max_open_positions", value = "1", looser = "2",
    before = "ctx:buy(1, { symbol = 'Y/USDT' })", asked = 1, reason = "1 positions are open, allowed 1" },
  { name = "max_position_size", code = "max_position_size", value = "0.05", looser = "0.9",
    before = "ctx:buy(3)", asked = 3, qty = 2,
    reason = "qty 3 makes the position larger than 0.05 of equity" },
  { name = "max_portfolio_heat", code = "max_portfolio_heat", value = "0.01", looser = "0.9", asked = 50,
    qty = 20, reason = "qty 50 makes all positions lose more than 0.01 of equity at their stops" },
  { name = "per_trade_risk_pct", code = "per_trade_risk", value = "0.001", looser = "0.9", asked = 8,
    options = "stop = 98", qty = 5, reason = "qty 8 loses more than 0.001 of equity at its stop" },
  { name = "max_daily_trades", code = "max_daily_trades", value = "1", looser = "2", before = "ctx:buy(1)",
    asked = 1, reason = "1 trades today, allowed 1" },
  { name = "max_orders_per_second", code = "max_orders_per_second", value = "2", looser = "20",
    before = "ctx:buy(1)", at = 3, asked = 1,
    reason = "as many messages in this second as are allowed: 2" },
  { name = "price_collar_pct", code = "price_collar", value = "0.01", looser = "0.1", asked = 1,
    options = "type = 'limit', price = 101.01",
    reason = "limit price 101.01 is too far through the market at 100" },
  { name = "max_portfolio_volatility", code = "no_volatility", value = "0.25", looser = "3", asked = 1,
    reason = "too few hourly prices to estimate volatility", always = true },
}

local function actions_of(limit)
  local last = ("ctx:buy(%g%s)"):format(limit.asked, limit.options and ", { " .. limit.options .. " }" or "")
  if limit.at then return { [3] = ("(function() %s return %s end)()"):format(limit.before, last) } end
  return { [3] = limit.before, [5] = last }
end

-- Whether it bound; fails where it bound otherwise than said.
local function bound(limit, yaml, env)
  local found = world({ actions = actions_of(limit), yaml = yaml, env = env })
  local answer, risk = found.answers[limit.at or 5], found.risk[1]
  if not risk then
    assert.equal(limit.asked, answer.qty, limit.name)
    return false, found
  end
  assert.equal(1, #found.risk, limit.name)
  assert.equal(limit.code, risk.code, limit.name)
  assert.equal(limit.asked, risk.qty, limit.name)
  assert.truthy(risk.reason:find(limit.reason, 1, true), risk.reason)
  assert.equal(limit.qty and "reduce" or "block", risk.verdict, limit.name)
  assert.equal(limit.qty, answer.qty, limit.name)
  if not limit.qty then
    assert.equal(limit.code, answer.code)
    assert.equal(risk.reason, answer.reason)
  end
  return true, found
end

describe("a limit", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  for _, limit in ipairs(LIMITS) do
    local function yaml(value) return ("risk: { %s: %s }\n"):format(limit.name, value) end

    it(limit.name .. " binds, and is told in every place", function()
      local did, found = bound(limit, yaml(limit.value))
      assert.is_true(did)
      local verdict = limit.qty and "reduce" or "block"
      assert.truthy(found.log:find(('info risk "%s"'):format(verdict), 1, true), found.log)
      assert.truthy(found.log:find("code=" .. limit.code .. " reason=", 1, true))
      assert.equal(limit.qty and 1 or 0, found.summary.orders.reduced)
      assert.equal(limit.qty and 0 or 1, found.summary.orders.blocked)

      local rows = query("select kind, json_extract(body, '$.code'), json_extract(body, '$.qty'), " ..
        "json_extract(body, '$.allowed') from trading_events where kind in ('blocked', 'reduced', 'halt')")
      assert.same({ ("%s|%s|%g|%s"):format(limit.qty and "reduced" or "blocked", limit.code, limit.asked,
        limit.qty or "") }, rows)

      local csv = {}
      for _, line in ipairs(support.journal(cwd .. "/s", "orders.csv")) do
        local fields = support.fields(line)
        if fields[13] == "blocked" then csv[#csv + 1] = fields end
      end
      assert.equal(limit.qty and 0 or 1, #csv)
      if csv[1] then assert.truthy(csv[1][16]:find(limit.reason, 1, true), csv[1][16]) end

      local told_why = why()
      assert.equal(1, #told_why)
      assert.same({ verdict, limit.code, tostring(limit.asked), tostring(limit.qty or 0) },
        { told_why[1].verdict, told_why[1].code, told_why[1].asked, told_why[1].allowed })
      assert.truthy(told_why[1].reason:find(limit.reason, 1, true))
    end)

    it(limit.name .. " is read from the environment, and the stricter one counts", function()
      local capitals, small = limit.name:upper(), limit.name
      assert.is_true(bound(limit, "", { [capitals] = limit.value }))
      assert.is_true(bound(limit, yaml(limit.looser), { [small] = limit.value }))
      assert.is_true(bound(limit, yaml(limit.value), { [capitals] = limit.looser }))
      if not limit.always then
        assert.is_false(bound(limit, yaml(limit.looser), { [capitals] = limit.looser }))
        assert.is_false(bound(limit, "", {}))
      end
    end)
  end
end)

-- A trade an hour, 100 and 101 in turn. 21 closes are 20 returns of +-ln 1.01; a year has 8760 hours:
-- sqrt(20/19 * ln(1.01)^2 * 8760) = 0.955494. 0.25 / 0.955494 of 10,000 at 101 are 25.905.
it("max_portfolio_volatility lowers to what leaves the portfolio calm enough", function()
  cwd = support.directory()
  local turns = {}
  for i = 1, 26 do turns[i] = 100 + (i + 1) % 2 end
  local found = world({ actions = { [21] = "ctx:buy(50)", [22] = "ctx:buy(50)" }, prices = turns,
                        every = 3600, yaml = "risk: { max_portfolio_volatility: 0.25 }\n" })
  assert.equal("no_volatility", found.answers[21].code)
  assert.equal(25.905, found.answers[22].qty)
  assert.equal("qty 50 makes the portfolio move more than 0.25 a year", found.risk[2].reason)
  support.cleanup()
end)

-- ---- losses -----------------------------------------------------------------------------------------

-- Ten are bought at 100; at 94 the loss is 60.
local FALL = { { 100, 5 }, { 94, 5 }, { 100, 10 } }
local HOLD = { [3] = "ctx:buy(10)", [8] = "ctx:buy(1)", [9] = "ctx:close()", [15] = "ctx:buy(1)" }

describe("a loss", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  for _, limit in ipairs({
    { name = "max_daily_loss_usd", value = "60", looser = "61", kind = "daily_loss_limit",
      reason = "today's loss of 60 reaches the limit of 60" },
    { name = "max_daily_loss", value = "60", looser = "61", kind = "daily_loss_limit",
      reason = "today's loss of 60 reaches the limit of 60" },
    { name = "max_daily_loss_pct", value = "0.006", looser = "0.0061", kind = "daily_loss_limit",
      reason = "today's loss of 60 reaches the limit of 60" },
    { name = "max_drawdown", value = "0.006", looser = "0.0061", kind = "drawdown_limit",
      reason = "the loss of 60 from the peak reaches the limit of 60" },
  }) do
    local function yaml(value) return ("risk: { %s: %s }\n"):format(limit.name, value) end

    it("of " .. limit.name .. " halts: entries are refused, a way out is not", function()
      local found = world({ actions = HOLD, prices = FALL, yaml = yaml(limit.value) })
      assert.same({ qty = 10, code = "-", reason = "-" }, found.answers[3])
      assert.equal("halted", found.answers[8].code)
      assert.equal("trading is halted: " .. limit.reason, found.answers[8].reason)
      assert.equal(10, found.answers[9].qty)
      assert.equal("halted", found.answers[15].code)
      assert.same({ "session|" .. limit.kind .. "|" .. limit.reason },
        query("select scope, code, reason from halts where lifted_ns is null"))
      assert.same({ limit.kind .. "|" .. limit.reason }, query("select json_extract(body, '$.name'), " ..
        "json_extract(body, '$.body') from trading_events where kind = 'alert'"))
      local list = why()
      assert.same({ "block", "halted" }, { list[1].verdict, list[1].code })
      assert.same({ "halt", limit.kind }, { list[3].verdict, list[3].code })
    end)

    it("of " .. limit.name .. " is read from the environment, and the stricter one counts", function()
      local function halts(file, env)
        return world({ actions = HOLD, prices = FALL, yaml = file, env = env }).answers[15].code == "halted"
      end
      assert.is_false(halts(yaml(limit.looser)))
      assert.is_true(halts("", { [limit.name:upper()] = limit.value }))
      assert.is_true(halts(yaml(limit.looser), { [limit.name] = limit.value }))
      assert.is_true(halts(yaml(limit.value), { [limit.name:upper()] = limit.looser }))
    end)
  end

  it("that an order finds before the second's look does is a halt of its own", function()
    for name, code in pairs({ max_daily_loss_usd = "max_daily_loss", max_drawdown = "max_drawdown" }) do
      local value = name == "max_drawdown" and "0.006" or "60"
      -- Two trades a second: the fall comes in the middle of one.
      local found = world({ actions = { [3] = "ctx:buy(10)", [6] = "ctx:buy(1)", [7] = "ctx:buy(1)" },
                            prices = FALL, every = 0.5, yaml = ("risk: { %s: %s }\n"):format(name, value) })
      assert.equal(code, found.answers[6].code)
      assert.same({ "halt", code }, { found.risk[1].verdict, found.risk[1].code })
      assert.equal("halted", found.answers[7].code)
      local seen = {}
      for i, verdict in ipairs(why()) do seen[i] = verdict.verdict .. " " .. verdict.code end
      local kind = name == "max_drawdown" and "drawdown_limit" or "daily_loss_limit"
      assert.same({ "block halted", "halt " .. kind, "halt " .. code }, seen)
    end
  end)

  it("of the day is lifted at the day's border on a feed: the run ends with 0", function()
    local found = world({ actions = HOLD, prices = FALL, from = MIDNIGHT - 12,
                          yaml = "risk: { max_daily_loss_usd: 60 }\n" })
    assert.equal("halted", found.answers[8].code)
    assert.equal(1, found.answers[15].qty) -- two seconds after midnight
    assert.same({}, query("select * from halts where lifted_ns is null"))
    assert.same({ "session|daily_loss_limit" }, query("select scope, code from halts"))
    local table = support.expect(0, { "asker.lua", "--feed", "X/USDT=x.csv", "--feed", "Y/USDT=y.csv",
                                      "--config", "c.yaml", "--speed", "max", "--fresh" }, { cwd = cwd })
    assert.truthy(table.out:find("\n  halts: 1\n", 1, true), table.out)
  end)
end)

-- ---- scopes -----------------------------------------------------------------------------------------

local BOTH = { [3] = "ctx:buy(10)", [5] = "ctx:buy(10, { symbol = 'Y/USDT' })" }

local function bought(found)
  return { found.answers[3].qty, found.answers[5].qty }
end

describe("a limit of", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("a symbol binds there alone, and is named", function()
    local found = world({ actions = BOTH, yaml = [[
risk: { symbols: { Y/USDT: { max_order_size_usd: 300 } } }
]] })
    assert.same({ 10, 3 }, bought(found))
    assert.equal("qty 10 is worth more than max_order_size_usd 300 (symbol Y/USDT)", found.risk[1].reason)
  end)

  it("a venue binds all its symbols together", function()
    local found = world({ actions = BOTH, yaml = [[
risk: { venues: { sim: { max_daily_volume_usd: 1500 } } }
]] })
    assert.same({ 10, 5 }, bought(found))
    assert.equal("qty 10 goes over max_daily_volume_usd 1500 (venue sim)", found.risk[1].reason)
  end)

  it("the strictest scope binds", function()
    local found = world({ actions = BOTH, yaml = [[
risk:
  max_order_size_usd: 500
  venues: { sim: { max_order_size_usd: 600 } }
  symbols: { X/USDT: { max_order_size_usd: 400 }, Y/USDT: { max_order_size_usd: 900 } }
]] })
    assert.same({ 4, 5 }, bought(found))
  end)

  it("a strategy file narrows, and never widens", function()
    local found = world({ actions = BOTH, limits = "max_order_size_usd = 250" })
    assert.same({ 2.5, 2.5 }, bought(found))
    assert.truthy(found.risk[1].reason:find("(strategy asker on X/USDT)", 1, true), found.risk[1].reason)
    for _, of in ipairs({ { "300", "400", 3 }, { "400", "300", 3 } }) do
      found = world({ actions = BOTH, limits = "max_order_size_usd = " .. of[1],
                      yaml = ("risk: { max_order_size_usd: %s }\n"):format(of[2]) })
      assert.same({ of[3], of[3] }, bought(found))
    end
  end)

  it("an entry of strategies: binds its strategy alone, with what the file says", function()
    asker("one", BOTH, "max_order_size_usd = 200")
    asker("two", BOTH)
    local found = world({ files = {}, yaml = [[
strategies:
  - { file: one.lua, capital: 0.5, limits: { max_order_size_usd: 300 } }
  - { file: two.lua, capital: 0.5, limits: { max_order_size_usd: 400 } }
]] })
    assert.same({ "one|2", "one|2", "two|4", "two|4" }, query("select strategy, qty from orders " ..
      "join instances using (instance_id) order by 1, 2"))
    assert.equal(4, #found.risk)
  end)

  it("a symbol that loses halts that symbol alone, until the day ends", function()
    local actions = { [3] = "ctx:buy(10)", [8] = "ctx:buy(1)", [9] = "ctx:buy(1, { symbol = 'Y/USDT' })",
                      [15] = "ctx:buy(1)" }
    local found = world({ actions = actions, prices = FALL, from = MIDNIGHT - 12,
                          yaml = "risk: { symbols: { X/USDT: { max_daily_loss_usd: 60 } } }\n" })
    assert.equal("trading is halted: today's loss of 60 reaches the limit of 60 (symbol X/USDT)",
      found.answers[8].reason)
    assert.equal("halted", found.answers[8].code)
    assert.equal(1, found.answers[9].qty)
    assert.equal(1, found.answers[15].qty)
    assert.same({ "symbol X/USDT|daily_loss_limit|1" },
      query("select scope, code, lifted_ns is not null from halts"))
  end)
end)

-- ---- the simulated market, and restarts ---------------------------------------------------------------

-- Turns a position over at every 20th trade: each turn pays the spread and two fees.
local CHURN = support.busy

local function sim(code, seconds, yaml, env)
  support.write(cwd .. "/churn.lua", CHURN)
  support.write(cwd .. "/c.yaml", yaml)
  return support.expect(code, { "churn.lua", "--symbols", "BTC/USDT:USDT", "--capital", "10000", "--config",
                                "c.yaml", "--speed", "max", "--duration", tostring(seconds), "--state", "s",
                                "--json" }, { cwd = cwd, env = env })
end

-- The day as a restart would find it: what the ledger keeps of instance 0.
local function day()
  local body = query("select body from strategy_state where instance_id = 0")[1]
  return support.json(body).scopes["the account"]
end

describe("on sim", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("a day's loss ends with 75, latched: a restart in that day stays halted until runtime resume", function()
    local yaml = "risk: { max_daily_loss_usd: 5 }\n"
    local first = support.json(sim(75, 3600, yaml).out)
    assert.is_true(first.orders.blocked > 0)
    assert.same({ "session|daily_loss_limit" },
      query("select scope, code from halts where lifted_ns is null"))
    local status = support.expect(0, { "status", "--state", "s" }, { cwd = cwd })
    assert.truthy(status.out:find("\nHALTED      daily_loss_limit: today's loss of ", 1, true), status.out)
    local fills = query("select count(*) from fills")[1]

    local again = support.json(sim(75, 3600, yaml).out)
    assert.equal(0, again.orders.filled)
    assert.equal(fills, query("select count(*) from fills")[1])
    for _, verdict in ipairs(why()) do
      if verdict.verdict == "block" then assert.equal("halted", verdict.code) end
    end

    local resumed = support.expect(0, { "resume", "--state", "s" }, { cwd = cwd })
    assert.truthy(resumed.out:find("today's loss of", 1, true), resumed.out)
    assert.same({}, query("select * from halts where lifted_ns is null"))
    -- The loss of the day stands: what it halted for is reached at once.
    sim(75, 600, yaml)
    support.expect(0, { "resume", "--state", "s" }, { cwd = cwd })
    assert.is_true(support.json(sim(0, 600, "risk: { max_daily_loss_usd: 5000 }\n").out).fills > 0)
  end)

  it("what is halted in one scope is seen in status, running and stopped", function()
    sim(0, 3600, "risk: { symbols: { BTC/USDT:USDT: { max_daily_loss_usd: 5 } } }\n")
    local function seen()
      local text = support.expect(0, { "status", "--state", "s" }, { cwd = cwd }).out
      assert.truthy(text:find("\nno new risk symbol BTC/USDT:USDT: daily_loss_limit\n" ..
        "            today's loss of ", 1, true), text)
      local answer = support.expect(0, { "status", "--state", "s", "--json" }, { cwd = cwd }).out
      answer = support.json(answer)
      assert.equal(support.null, answer.halt)
      assert.equal(1, #answer.halts)
      assert.equal("symbol BTC/USDT:USDT", answer.halts[1].scope)
      assert.equal("daily_loss_limit", answer.halts[1].code)
      assert.truthy(answer.halts[1].reason:find("reaches the limit of 5", 1, true))
      for line in support.expect(0, { "why", "--state", "s" }, { cwd = cwd }).out:gmatch("[^\n]+") do
        assert.is_true(#line <= 80, line)
      end
    end
    seen()
    local run = support.start({ "churn.lua", "--symbols", "BTC/USDT:USDT", "--capital", "10000", "--config",
                                "c.yaml", "--speed", "60", "--state", "s", "--json" }, { cwd = cwd })
    support.wait_for("the socket", 20, function() return support.exists(cwd .. "/s/control.sock") end)
    seen()
    support.expect(0, { "resume", "--state", "s" }, { cwd = cwd })
    run:signal("TERM")
    assert.equal(0, run:wait().code)
  end)

  it("what is halted of one strategy has its name in status and resume, running and stopped", function()
    sim(0, 3600, "strategies: [ { file: churn.lua, symbols: [BTC/USDT:USDT], " ..
      "limits: { max_daily_loss_usd: 5 } } ]\n")
    local name = "strategy busy on BTC/USDT:USDT"
    local text = support.expect(0, { "status", "--state", "s" }, { cwd = cwd }).out
    assert.truthy(text:find("\nno new risk " .. name .. ": daily_loss_limit\n", 1, true), text)
    local run = support.start({ "churn.lua", "--symbols", "BTC/USDT:USDT", "--capital", "10000", "--config",
                                "c.yaml", "--speed", "60", "--state", "s", "--json" }, { cwd = cwd })
    support.wait_for("the socket", 20, function() return support.exists(cwd .. "/s/control.sock") end)
    local status = support.expect(0, { "status", "--state", "s", "--json" }, { cwd = cwd })
    assert.equal(name, support.json(status.out).halts[1].scope)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
    local resumed = support.expect(0, { "resume", "--state", "s" }, { cwd = cwd })
    assert.truthy(resumed.out:find("\npaper " .. name .. "  daily_loss_limit", 1, true), resumed.out)
    for line in resumed.out:gmatch("[^\n]+") do assert.is_true(#line <= 80, line) end
    assert.same({}, query("select * from halts where lifted_ns is null"))
    -- The end of a halt is no verdict, and takes the place of none.
    local last = support.json(support.expect(0, { "why", "1", "--state", "s", "--json" }, { cwd = cwd }).out)
    assert.equal(1, #last.verdicts)
  end)

  it("a restart in the middle of a busy day keeps the day's volume and trades", function()
    sim(0, 600, "risk: { max_daily_trades: 1000, max_daily_volume_usd: 1000000000 }\n")
    local before = day()
    assert.is_true(before.trades > 5)
    local trades = before.trades + 3
    local result = sim(0, 3600, ("risk: { max_daily_trades: %d }\n"):format(trades))
    -- The way out of the last position is no new risk and passes.
    assert.is_true(support.json(result.out).orders.filled <= 4)
    local after = day()
    assert.is_true(after.trades >= trades and after.trades <= trades + 1)
    assert.equal("max_daily_trades", why()[1].code)
    assert.equal(query("select count(*) from orders where filled_qty <> '0'")[1], tostring(after.trades))
    local sum = tonumber(query("select sum(cast(notional as real)) from fills")[1])
    assert.is_true(math.abs(sum - tonumber(after.volume)) < 1e-6 * sum)
    assert.is_true(tonumber(after.volume) > tonumber(before.volume))
  end)
end)

-- ---- what stops new risk besides limits ---------------------------------------------------------------

describe("market hours", function()
  before_each(function()
    cwd = support.directory()
    local nyse = "/config/calendars/nyse.yaml"
    support.write(cwd .. nyse, support.read(support.root .. nyse))
  end)
  after_each(support.cleanup)

  local NYSE = "calendar: { venues: { sim: nyse } }\n"

  -- A trade every ten minutes from 14:00 UTC of a winter day; NYSE is open from 14:30 to 21:00.
  local function on(day_of_january, actions, yaml)
    local from = MIDNIGHT + (day_of_january - 1) * 86400 + 14 * 3600
    return world({ actions = actions, prices = { { 100, 45 } }, every = 600, from = from,
                   yaml = yaml or NYSE })
  end

  it("block what would open, with the next opening; a way out passes", function()
    local found = on(2, { [3] = "ctx:buy(1)", [4] = "ctx:buy(1)", [42] = "ctx:buy(2)", [43] = "ctx:buy(3)",
                          [44] = "ctx:close()" })
    assert.equal("market_closed", found.answers[3].code) -- 14:20
    assert.equal("the market is closed; it opens at 2024-01-02T14:30:00.000000000Z", found.answers[3].reason)
    assert.equal(1, found.answers[4].qty) -- the first instant
    assert.equal(2, found.answers[42].qty) -- 20:50
    assert.equal("market_closed", found.answers[43].code) -- 21:00, the first instant after it
    assert.equal("the market is closed; it opens at 2024-01-03T14:30:00.000000000Z", found.answers[43].reason)
    assert.equal(3, found.answers[44].qty)
    assert.equal("market_closed", why()[1].code)
  end)

  it("know weekends and holidays", function()
    -- Friday evening before Martin Luther King Jr. Day: Tuesday is next.
    local found = on(12, { [43] = "ctx:buy(1)" })
    assert.equal("the market is closed; it opens at 2024-01-16T14:30:00.000000000Z", found.answers[43].reason)
    found = on(1, { [20] = "ctx:buy(1)" }) -- New Year's Day
    assert.equal("the market is closed; it opens at 2024-01-02T14:30:00.000000000Z", found.answers[20].reason)
  end)

  it("may be of one symbol, or an instrument's own", function()
    local actions = { [3] = "ctx:buy(1)", [20] = "ctx:buy(1, { symbol = 'Y/USDT' })" }
    local found = on(1, actions, "calendar: { venues: { X/USDT: nyse, sim: 24x7 } }\n")
    assert.equal("market_closed", found.answers[3].code)
    assert.equal(1, found.answers[20].qty)
    local words = asker("asker", actions)
    support.write(cwd .. "/c.yaml", (BASE:gsub("min_notional: 5 }", "min_notional: 5, calendar: nyse }", 1)))
    local x, y = feeds({ { 100, 45 } }, { every = 600, from = MIDNIGHT + 14 * 3600 })
    local result = support.expect(0, { words, "--feed", x, "--feed", y, "--config", "c.yaml", "--speed",
                                       "max", "--fresh" }, { cwd = cwd })
    found = told(result.err)
    assert.equal("market_closed", found.answers[3].code)
    assert.equal(1, found.answers[20].qty)
  end)
end)

-- The orders as they ended, oldest first.
local function orders()
  return query("select side || ' ' || type || ' ' || qty || ' ' || coalesce(price, trigger_price, '-')" ..
    " || ' ' || status || ' ' || tag from orders order by order_id")
end

describe("a guard:", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("require_stop gives a position a stop, which fires", function()
    world({ actions = { [3] = "ctx:buy(10)" }, prices = { { 100, 6 }, { 98.01, 3 }, { 97.99, 3 } },
            yaml = "risk: { require_stop: true }\n" })
    assert.same({ "buy market 10 - filled ", "sell stop 10 98 filled require_stop" }, orders())
    assert.same({ "0" }, query("select qty from positions where symbol = 'X/USDT'"))
  end)

  it("require_stop's stop goes when the strategy places its own", function()
    world({ actions = { [3] = "ctx:sell(10)", [6] = "ctx:buy(10, { type = 'stop', trigger_price = 105, " ..
                              "reduce_only = true, tag = 'mine' })" },
            yaml = "risk: { require_stop: true, stop_distance_pct: 0.03 }\n" })
    assert.same({ "sell market 10 - filled ", "buy stop 10 103 canceled require_stop",
                  "buy stop 10 105 new mine" }, orders())
  end)

  it("a protected entry needs no other stop", function()
    world({ actions = { [3] = "ctx:buy(10, { stop = 90, tag = 'own' })" },
            yaml = "risk: { require_stop: true }\n" })
    assert.equal(2, #orders())
  end)

  it("the collar binds a market order: it does not chase a jump, and a way out is not bound", function()
    world({ actions = { [3] = "ctx:buy(1)", [5] = "ctx:buy(2)", [8] = "ctx:close()" },
            prices = { { 100, 5 }, { 120, 3 }, { 80, 4 } }, yaml = "risk: { price_collar_pct: 0.05 }\n" })
    assert.same({ "buy market 1 105 filled ", "buy market 2 105 canceled ", "sell market 1 - filled " },
      orders())
    assert.same({ "100", "80" }, query("select price from fills order by fill_id"))
  end)

  it("two strategies do not trade with each other", function()
    asker("maker", { [3] = "ctx:buy(1, { type = 'limit', price = 99 })" })
    asker("taker", { [5] = "ctx:sell(1, { type = 'limit', price = 98 })", [6] = "ctx:sell(1)" })
    local files = { "maker.lua", "taker.lua" }
    local found = world({ files = files })
    assert.equal("self_trade", found.answers[5].code)
    assert.truthy(found.answers[5].reason:find("it would trade with our own buy order ", 1, true))
    assert.truthy(found.answers[5].reason:find(" at 99", 1, true))
    assert.equal(1, found.answers[6].qty) -- at 100 nobody of ours is met
    found = world({ files = files, yaml = "risk: { self_trade_prevention: false }\n" })
    assert.equal(1, found.answers[5].qty)
  end)

  it("repeated executions halt, of fills and of equal orders", function()
    local yaml = "risk: { repeated_executions: { count: 3, within: 4s } }\n"
    local found = world({ actions = { [3] = "ctx:buy(1)", [5] = "ctx:buy(2)", [6] = "ctx:buy(3)",
                                      [9] = "ctx:buy(4)" }, yaml = yaml }) -- filled a second later each
    assert.equal("halted", found.answers[9].code)
    assert.truthy(found.answers[9].reason:find("3 fills of asker on X/USDT within 4s", 1, true),
      found.answers[9].reason)
    assert.same({ "session|repeated_executions" },
      query("select scope, code from halts where lifted_ns is null"))
    -- Exactly four seconds after the first, it counts no more.
    found = world({ actions = { [3] = "ctx:buy(1)", [5] = "ctx:buy(2)", [7] = "ctx:buy(3)",
                                [9] = "ctx:buy(4)" }, yaml = yaml })
    assert.equal(4, found.answers[9].qty)

    local bid = "ctx:buy(1, { type = 'limit', price = 50 })"
    found = world({ actions = { [3] = bid, [4] = bid, [5] = bid, [9] = bid }, yaml = yaml })
    assert.equal("halted", found.answers[5].code)
    local reason = "3 equal orders in a row of asker on X/USDT within 4s"
    assert.truthy(found.answers[5].reason:find(reason, 1, true),
      found.answers[5].reason)
    assert.same({ "canceled", "canceled" }, query("select status from orders"))
  end)

  it("why shows the whole code, however long", function()
    world({ actions = { [3] = "(ctx:buy(1) and ctx:buy(1))" },
            yaml = "risk: { max_orders_per_second: 1 }\n" })
    local text = support.expect(0, { "why", "--state", "s" }, { cwd = cwd }).out
    assert.truthy(text:find("  block  max_orders_per_second +asker\n"), text)
  end)

  it("a price that jumps opens the breaker, for a time", function()
    local found = world({ actions = { [3] = "ctx:buy(2)", [6] = "ctx:buy(1)", [7] = "ctx:sell(1)",
                                      [11] = "ctx:buy(1)", [12] = "ctx:buy(1)" },
                          prices = { { 100, 5 }, { 111, 15 } }, every = 10,
                          yaml = "circuit_breaker: { price_jump_pct: 0.1 }\n" })
    assert.equal("breaker_open", found.answers[6].code)
    assert.equal("the breaker is open: a price went from 100 to 111, allowed is 0.1 of it",
      found.answers[6].reason)
    assert.equal(1, found.answers[7].qty) -- a way out
    assert.equal("breaker_open", found.answers[11].code) -- 50 s later
    assert.equal(1, found.answers[12].qty) -- 60 s later: a probe
    assert.same({ "breaker_open" }, query("select json_extract(body, '$.name') from trading_events " ..
      "where kind = 'alert'"))
  end)
end)

-- ---- wrong input --------------------------------------------------------------------------------------

describe("a limit that is none is refused with 78, wherever it stands:", function()
  before_each(function()
    cwd = support.directory()
    asker("asker", {})
  end)
  after_each(support.cleanup)

  local function refused(code, yaml, env, ...)
    support.write(cwd .. "/c.yaml", yaml)
    local result = support.expect(code, { "asker.lua", "--symbols", "X/USDT", "--config", "c.yaml", "--speed",
                                          "max", "--duration", "60" }, { cwd = cwd, env = env })
    for _, words in ipairs({ ... }) do
      assert.truthy(result.err:find(words, 1, true), words .. " is not in\n" .. result.err)
    end
    assert.is_false(support.exists(cwd .. "/artifacts"), "something was written")
  end

  for _, value in ipairs({ "nan", "inf", "-0", "1e400", "5%", "-5", "0", "1e-400", "0x10" }) do
    it(value, function()
      refused(78, ("risk: { max_order_size_usd: %s }\n"):format(value), nil, "c.yaml:1:29",
        "risk.max_order_size_usd: found " .. value, "allowed a number >0")
      refused(78, ('risk: { symbols: { X/USDT: { max_daily_trades: "%s" } } }\n'):format(value), nil,
        "risk.symbols.X/USDT.max_daily_trades", "allowed a whole number >0")
      refused(78, "{}\n", { max_drawdown = value }, "environment max_drawdown", "allowed a fraction >0")
    end)
  end

  it("a percentage where a fraction is meant", function()
    refused(78, "risk: { max_position_size: 20 }\n", nil, "did you mean 0.2?")
  end)

  it("a name that is no limit's, with the nearest", function()
    refused(78, "risk: { max_order_sise_usd: 5 }\n", nil, "did you mean max_order_size_usd?")
    refused(78, "risk: { venues: { simm: { max_drawdown: 0.1 } } }\n", nil, "did you mean sim?")
    refused(78, "risk: { symbols: { X/USDT: { max_drawdwn: 0.1 } } }\n", nil, "did you mean max_drawdown?")
    refused(78, "strategies: [ { file: asker.lua, limits: { per_trade_risk: 0.1 } } ]\n", nil,
      "did you mean per_trade_risk_pct?")
  end)

  it("in a strategy's file, with 65", function()
    for _, one in ipairs({ { "max_order_size_usd = 0/0", "max_order_size_usd" },
                           { "max_order_size_usd = 1/0", "max_order_size_usd" },
                           { "max_order_size_usd = -5", "max_order_size_usd" },
                           { "max_drawdown = '5%'", "max_drawdown" }, { "max_drawdown = 20", "max_drawdown" },
                           { "max_drawdwn = 0.2", "did you mean 'max_drawdown'?" } }) do
      asker("asker", {}, one[1])
      refused(65, "{}\n", nil, "asker.lua", "limits", one[2])
    end
  end)

  it("a calendar that there is none of: what is allowed is named", function()
    refused(78, "calendar: { venues: { sim: nasdaq } }\n", nil, "calendar.venues.sim: found nasdaq",
      "allowed nse, nfo, mcx, nyse, cme or 24x7")
    refused(78, "calendar: { venues: { sim: nyse } }\n", nil, "found no calendar nyse; allowed 24x7, or a " ..
      "name whose file is there (looked for config/calendars/nyse.yaml")
  end)

  it("stages that do not grow are refused where they stand, before anything is written", function()
    local bad = "rollout: { enabled: true, stages: [ { capital: 5, days: 1 }, { capital: 5, days: 1 } ] }\n"
    refused(78, bad, nil, "c.yaml:1:", "rollout.stages.1.capital: found 5")
    assert.falsy(support.exists(cwd .. "/artifacts"))
  end)

  it("a variable whose name is nearly that of a limit is warned of, without its value", function()
    local words = { "asker.lua", "--symbols", "X/USDT", "--speed", "max", "--duration", "60" }
    local result = support.expect(0, words,
      { cwd = cwd, env = { MAX_ORDER_SIZE = "4711", emergency_stop = "true", MAX_DAILY_TRADES = "5" } })
    assert.truthy(result.err:find('warn config "no variable of this program: it sets nothing" ' ..
      'name=MAX_ORDER_SIZE did_you_mean=MAX_ORDER_SIZE_USD', 1, true), result.err)
    assert.truthy(result.err:find("name=emergency_stop did_you_mean=EMERGENCY_STOP", 1, true), result.err)
    assert.falsy(result.err:find("4711", 1, true))
    assert.equal(2, select(2, result.err:gsub("did_you_mean=", "")))
  end)

  it("what nothing can bind to is warned of", function()
    support.write(cwd .. "/c.yaml", [[
risk: { symbols: { X/USD: { max_order_size_usd: 5 } } }
calendar: { venues: { smi: nyse } }
]])
    local result = support.expect(0, { "asker.lua", "--symbols", "X/USDT", "--config", "c.yaml", "--speed",
                                       "max", "--duration", "60" }, { cwd = cwd })
    assert.truthy(result.err:find('warn risk "no symbol of this run: its limits bind nothing" key=' ..
      'risk.symbols.X/USD', 1, true), result.err)
    assert.truthy(result.err:find('warn calendar "neither a venue nor a symbol of this run: its hours ' ..
      'bind nothing" key=calendar.venues.smi', 1, true), result.err)
  end)
end)
