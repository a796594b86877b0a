-- Risk as a user meets it: limits in the file and in the environment, what a strategy is told, what the
-- log, the journal, the ledger and `runtime why` say, halts and what ends them.
--
-- Most worlds are two feeds of one trade a second at 100, a capital of 10,000, lots of 0.001, no costs,
-- and fills at the next trade: what is expected is then plain arithmetic.
local support = require("e2e.support")

local X, Y = "X/USDT", "Y/USDT"
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
  local source = ASKER:gsub("NAME", name):gsub("LIMITS", limits or "")
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
  { name = "max_order_size_usd", code = "max_order_size", value = "200", looser = "5000", asked = 10, qty = 2,
    reason = "qty 10 is worth more than max_order_size_usd 200" },
  { name = "max_daily_volume_usd", code = "max_daily_volume", value = "500", looser = "5000",
    before = "ctx:buy(3)", asked = 3, qty = 2, reason = "qty 3 goes over max_daily_volume_usd 500" },
  { name = "max_open_positions", code = "max_open_positions", value = "1", looser = "2",
    before = "ctx:buy(1, { symbol = 'Y/USDT' })", asked = 1, reason = "1 positions are open, allowed 1" },
  { name = "max_position_size", code = "max_position_size", value = "0.05", looser = "0.9",
    before = "ctx:buy(3)", asked = 3, qty = 2, reason = "qty 3 makes the position larger than 0.05 of equity" },
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
      if limit.name == "max_daily_loss" then return end -- a name of the file alone
      assert.is_true(halts("", { [limit.name:upper()] = limit.value }))
      assert.is_true(halts(yaml(limit.looser), { [limit.name] = limit.value }))
      assert.is_true(halts(yaml(limit.value), { [limit.name:upper()] = limit.looser }))
    end)
  end

  it("of the day is lifted at the day's border on a feed: the run ends with 0", function()
    local found = world({ actions = HOLD, prices = FALL, from = MIDNIGHT - 12,
                          yaml = "risk: { max_daily_loss_usd: 60 }\n" })
    assert.equal("halted", found.answers[8].code)
    assert.equal(1, found.answers[15].qty) -- two seconds after midnight
    assert.same({}, query("select * from halts where lifted_ns is null"))
    assert.same({ "session|daily_loss_limit" }, query("select scope, code from halts"))
    local table = support.expect(0, { "asker.lua", "--feed", "X/USDT=x.csv", "--feed", "Y/USDT=y.csv",
                                      "--config", "c.yaml", "--speed", "max", "--fresh" }, { cwd = cwd })
    assert.truthy(table.out:find("; halts: 1\n", 1, true), table.out)
  end)
end)
