-- The strategy API, used from strategies on small markets: docs/strategies.md says what must come out.
--
-- What a strategy sees it writes into ctx.state, which the run hands back.
local testing = require("testing")

-- One trade of 1 at `price` each second of [from, to].
local function ticks(from, to, price)
  local rows = {}
  for second = from, to do rows[#rows + 1] = { second, price } end
  return rows
end

local function run(body, options)
  options = options or {}
  options.strategy = options.strategy or testing.strategy(body)
  options.feed = options.feed or testing.trades(ticks(0, 9, 100))
  return testing.run_well(options)
end

-- Runs `body` in on_tick, once, at the first tick; what it returns is `out` in ctx.state.
local function once(body, options)
  return run(([[
    local done
    function S.on_tick(ctx, tick, p)
      if done then return end
      done = true
      local function body() %s end
      ctx.state.out = body()
    end
  ]]):format(body), options)
end

describe("callbacks", function()
  after_each(testing.cleanup)

  it("come in the order in which things happen", function()
    local result = run([[
      local function note(ctx, what) ctx.state[#ctx.state + 1] = what end
      function S.on_start(ctx) note(ctx, "start") ctx:timer("beat", 4) end
      function S.on_tick(ctx, tick)
        note(ctx, "tick")
        if #ctx.state == 2 then ctx:buy(1) end
      end
      function S.on_timer(ctx, name) note(ctx, "timer " .. name) end
      function S.on_order(ctx, order) note(ctx, "order " .. order.status) end
      function S.on_fill(ctx, fill) note(ctx, "fill " .. fill.qty) end
      function S.on_position(ctx, position) note(ctx, "position " .. position.qty) end
      function S.on_stop(ctx, why) note(ctx, "stop " .. why) end
    ]], { feed = testing.trades(ticks(0, 4, 100)) })
    -- The order waits for the next trade, and the strategy hears of the fill before it sees the trade.
    assert.same({ "start", "tick", "order new", "order filled", "fill 1.0", "position 1.0", "tick", "tick",
                  "tick", "timer beat", "tick", "stop end of data" }, result.state)
  end)

  it("are told of ticks, quotes and bars with all their fields", function()
    local result = run([[
      function S.on_start(ctx) ctx:bars("1m") end
      function S.on_tick(ctx, t)
        ctx.state.tick = { t.symbol, t.price, t.qty, t.side, t.time, t.time_ns, ctx:now(), ctx:now_ns() }
      end
      function S.on_quote(ctx, q)
        ctx.state.quote = { q.symbol, q.bid, q.ask, q.bid_qty, q.ask_qty, q.time, q.time_ns }
      end
      function S.on_bar(ctx, b)
        ctx.state.bar = { b.symbol, b.tf, b.open, b.high, b.low, b.close, b.volume, b.time, b.time_end,
                          b.time_ns, b.time_end_ns, ctx:now() }
      end
    ]], { symbols = false, feed = {
      testing.symbol .. "=" .. testing.trades({ { 0, 100, 1 }, { 20, 103, 2 }, { 40, 99, 3 },
                                                { 61.5, 101, 0.5, "sell" } }),
      testing.symbol .. "=" .. testing.quotes({ { 62, 100.5, 101.5, 7, 8 } }) } })
    local start = testing.start
    assert.same({ testing.symbol, 101, 0.5, "sell", start + 61.5, (start * 10 + 615) * 100000000,
                  start + 61.5, (start * 10 + 615) * 100000000 }, result.state.tick)
    assert.same({ testing.symbol, 100.5, 101.5, 7, 8, start + 62, (start + 62) * 1000000000 },
      result.state.quote)
    assert.same({ testing.symbol, "1m", 100, 103, 99, 99, 6, start, start + 60, start * 1000000000,
                  (start + 60) * 1000000000, start + 60 }, result.state.bar)
  end)

  it("are told of fills with all their fields", function()
    local result = run([[
      function S.on_tick(ctx) if ctx:position().qty == 0 then ctx:buy(0.5, { tag = "mine" }) end end
      function S.on_fill(ctx, f)
        ctx.state.fill = { f.symbol, f.side, f.qty, f.price, f.fee, f.fee_currency, f.liquidity, f.tag,
                           f.order.status, f.order_id == f.order.id,
                             f.client_order_id == f.order.client_order_id,
                           #f.exec_id > 0, f.time, f.time_ns }
      end
    ]],
      { config = "backtest: { fees: { maker: 0.0002, taker: 0.0005 }, slippage_model: none, latency: 0ms }" })
    -- 0.5 * 100 * 0.0005
    assert.same({ testing.symbol, "buy", 0.5, 100, 0.025, "USDT", "taker", "mine", "filled", true, true, true,
                  testing.start + 1, (testing.start + 1) * 1000000000 }, result.state.fill)
  end)

  it("tell a rejection of an order that had a handle", function()
    -- Risk passes it; when it arrives 2 s later the market is through its price.
    local result = run([[
      function S.on_tick(ctx)
        if not ctx.state.asked then
          ctx.state.asked = true
          ctx:buy(1, { type = "limit", price = 99, post_only = true })
        end
      end
      function S.on_reject(ctx, order, reason) ctx.state.out = { order.status, reason, order.reason } end
    ]], { feed = testing.trades({ { 0, 100 }, { 1, 98 }, { 3, 98 }, { 4, 98 } }),
          config = "backtest: { latency: 2s, slippage_model: none }" })
    assert.same({ "rejected", "post-only would take", "post-only would take" }, result.state.out)
    assert.equal(1, result.counts.rejected)
  end)

  it("never nest: what an order causes comes after the callback that asked", function()
    local result = run([[
      local inside
      function S.on_tick(ctx)
        inside = true
        ctx:buy(1)
        inside = false
      end
      function S.on_risk(ctx, verdict)
        ctx.state.nested = inside
        ctx.state.verdict = { verdict.verdict, verdict.code, verdict.qty, verdict.side, verdict.type,
                              verdict.symbol }
      end
    ]], { feed = testing.trades(ticks(0, 0, 100)), config = "risk: { max_order_size_usd: 50 }" })
    assert.is_false(result.state.nested)
    assert.same({ "reduce", "max_order_size", 1, "buy", "market", testing.symbol }, result.state.verdict)
    assert.same({ "0.5" }, testing.pluck(result.orders, "qty"))
  end)

  it("give events that must be copied to be kept", function()
    local result = run([[
      local kept
      function S.on_tick(ctx, tick)
        if kept then ctx.state.why = select(2, pcall(function() return kept.price end)) end
        kept = tick
        ctx.state.now = tick.price -- the same object is valid again in its next callback
      end
      function S.on_timer(ctx) ctx.state.late = select(2, pcall(function() return kept.price end)) end
      function S.on_start(ctx) ctx:timer("t", 2.5) end
    ]])
    assert.matches("callback has ended; copy what you keep", result.state.late)
  end)
end)

describe("bars", function()
  after_each(testing.cleanup)

  it("close at their end, skip minutes without a trade, and are not delivered open", function()
    local result = run([[
      function S.on_start(ctx) ctx:bars("1m") end
      function S.on_bar(ctx, bar) ctx.state[#ctx.state + 1] = bar.time end
    ]], { feed = testing.trades({ { 0, 100 }, { 59, 101 }, { 200, 102 }, { 250, 103 } }) })
    assert.same({ testing.start, testing.start + 180 }, result.state)
  end)

  it("fill gaps where that is asked for", function()
    local result = run([[
      function S.on_start(ctx) ctx:bars("1m", { gaps = "flat" }) end
      function S.on_bar(ctx, bar) ctx.state[#ctx.state + 1] = { bar.open, bar.close, bar.volume } end
    ]], { feed = testing.trades({ { 0, 100 }, { 59, 101 }, { 180, 102 }, { 250, 103 } }) })
    assert.same({ { 100, 101, 2 }, { 101, 101, 0 }, { 101, 101, 0 }, { 102, 102, 1 } }, result.state)
  end)

  -- At 180 s bars of 1m and 3m end: every series has moved before the first on_bar runs, 3m first.
  it("come longest first, when all series of the instant have moved", function()
    local result = run([[
      local one, three
      function S.on_start(ctx) one, three = ctx:bars("1m"), ctx:bars("3m") end
      function S.on_bar(ctx, bar)
        ctx.state[#ctx.state + 1] = { bar.tf, #one.close, #three.close }
      end
    ]], { feed = testing.trades({ { 0, 100 }, { 60, 101 }, { 120, 102 }, { 181, 103 } }) })
    assert.same({ { "1m", 1, 0 }, { "1m", 2, 0 }, { "3m", 3, 1 }, { "1m", 3, 1 } }, result.state)
  end)

  it("may be kept for their series alone", function()
    local result = run([[
      local bars
      function S.on_start(ctx) bars = ctx:bars("1m", { events = false }) end
      function S.on_bar(ctx) ctx.state.called = true end
      function S.on_tick(ctx) ctx.state.closes = #bars.close end
    ]], { feed = testing.trades({ { 0, 100 }, { 60, 101 }, { 121, 102 } }) })
    assert.same({ closes = 2 }, result.state)
  end)

  it("wait until every series of on_start is ready", function()
    local body = [[
      %s
      local average
      function S.on_start(ctx) average = ctx:bars("1m"):sma(3) end
      function S.on_tick(ctx) ctx.state.ticks = (ctx.state.ticks or 0) + 1 end
      function S.on_bar(ctx, bar)
        ctx.state.bars = (ctx.state.bars or 0) + 1
        ctx.state.first = ctx.state.first or { average.ready, average[1] or "nil" }
      end
    ]]
    local rows = { { 0, 100 }, { 60, 101 }, { 120, 102 }, { 180, 103 }, { 240, 104 } }
    local waits = run(body:format(""), { feed = testing.trades(rows) })
    -- 100, 101, 102: the third bar closes before the trade at 180 s.
    assert.same({ bars = 2, ticks = 2, first = { true, 101 } }, waits.state)
    local hasty = run(body:format("S.needs = { warmup = false }"), { feed = testing.trades(rows) })
    assert.same({ bars = 4, ticks = 5, first = { false, "nil" } }, hasty.state)
  end)
end)

describe("series", function()
  after_each(testing.cleanup)

  -- Closes 1 to 6 (times 10). EMA(3) begins with the mean of 10, 20, 30 and moves by half.
  it("hold the values worked out by hand", function()
    local rows = {}
    for i = 1, 6 do rows[i] = { i * 10, i * 10 + 1, i * 10 - 1, i * 10, i } end
    local result = run([[
      local b, sma, ema, high, low, bands, rsi, atr, over
      function S.on_start(ctx)
        b = ctx:bars("1m")
        sma, ema, high, low = b:sma(3), b:ema(3), b:highest(2), b:lowest(2)
        bands, rsi, atr, over = b:bollinger(4, 2), b:rsi(2), b:atr(2), b:sma(2):sma(2)
      end
      function S.on_bar(ctx, bar)
        ctx.state.out = { sma[1], sma[2], ema[1], high[1], low[1], rsi[1], atr[1], over[1] }
        ctx.state.bands = { bands.upper[1], bands.middle[1], bands.lower[1] }
        ctx.state.of = { b.close:highest(3), b.close:lowest(3), b.close:change(2), b.close:zscore(4),
                         #b.close,
                         b.volume[1], b.open[6], tostring(b.open[7]), tostring(b.close:highest(7)) }
        ctx.state.crossed = { b.close:crossed_above(55), b.close:crossed_above(60),
                              b.close:crossed_below(ema) }
      end
    ]], { feed = testing.bars(rows) })
    -- ATR: each true range is 11 (the high of 61 less the close of 50 before); RSI: rises only.
    assert.same({ 50, 40, 50, 61, 49, 100, 11, 50 }, result.state.out)
    -- 30, 40, 50, 60: mean 45, deviation sqrt(125) = 11.18
    assert.near(45 + 2 * 125 ^ 0.5, result.state.bands[1], 1e-9)
    assert.near(45 - 2 * 125 ^ 0.5, result.state.bands[3], 1e-9)
    assert.equal(45, result.state.bands[2])
    local of = result.state.of
    assert.near(15 / 125 ^ 0.5, of[4], 1e-9)
    of[4] = "seen"
    assert.same({ 60, 40, 20, "seen", 6, 6, 10, "nil", "nil" }, of)
    assert.same({ true, false, false }, result.state.crossed)
  end)

  it("of ta are fed by the strategy", function()
    local result = once([[
      local e, a, b = ta.ema(2), ta.atr(2), ta.bollinger(2, 1)
      local first = e:update(1)
      local out = { first == nil, e:update(3), e:update(5), e.value, e.ready }
      a:update(2, 0, 1) a:update(3, 1, 2)
      out[#out + 1] = a:update(4, 2, 3)
      b:update(1)
      local upper, middle, lower = b:update(3)
      return { out, { upper, middle, lower } }
    ]])
    -- EMA(2): the mean of 1 and 3, then 2 + 2/3 * (5 - 2) = 4.
    assert.same({ { true, 2, 4, 4, true, 2 }, { 3, 2, 1 } }, result.state.out)
  end)

  it("of stats are sums over a list", function()
    local result = once([[
      return { stats.mean({ 1, 2, 6 }), stats.median({ 9, 1, 2 }), stats.stdev({ 2, 4 }), stats.zscore({ 1,
        3 }),
               stats.correlation({ 1, 2, 3 }, { 2, 4, 6 }), tostring(stats.mean({})),
                 tostring(stats.stdev({ 1 })) }
    ]])
    local out = result.state.out
    assert.near(2 ^ 0.5, out[3], 1e-12)
    out[3] = "seen"
    assert.same({ 3, 2, "seen", 1, 1, "nil", "nil" }, out)
  end)
end)

describe("order calls", function()
  after_each(testing.cleanup)

  it("give a handle that shows the order as it is now", function()
    local result = run([[
      local order
      function S.on_tick(ctx)
        if not order then
          order = ctx:buy(2, { tag = "t" })
          ctx.state.before = { order.status, order.qty, order.filled_qty, order.remaining_qty, order.side,
                               order.type,
                               order.tif, order.tag, order.symbol, tostring(order.avg_price),
                                 tostring(order.price) }
          ctx.state.same = ctx:orders()[1] == order and ctx:order(order.id) == order
        end
        ctx.state.after = { order.status, order.filled_qty, order.remaining_qty, order.avg_price }
        ctx.state.open = #ctx:orders()
        ctx.state.all = #ctx:orders({ status = "all" })
        ctx.state.text = tostring(order)
      end
    ]])
    assert.same({ "pending_new", 2, 0, 2, "buy", "market", "gtc", "t", testing.symbol, "nil", "nil" },
      result.state.before)
    assert.same({ "filled", 2, 0, 100 }, result.state.after)
    assert.same({ true, 0, 1 }, { result.state.same, result.state.open, result.state.all })
    assert.equal("order 1 (buy 2 BTC/USDT:USDT, filled)", result.state.text)
  end)

  -- Toward zero in quantity; a buy limit down, a sell limit up; within 1e-6 of a tick it is that tick.
  it("round once, in the safe direction", function()
    local result = once([[
      local function terms(order) return { order.qty, order.price } end
      local at = { type = "limit" }
      local function limit(call, qty, price)
        at.price = price
        return terms(ctx[call](ctx, qty, at))
      end
      return { limit("buy", 1.23456, 90.019), limit("sell", 1.0019, 110.011), limit("buy", 0.1 + 0.2, 90.05),
               limit("buy", "0.30000000000000004", "90.01") }
    ]])
    assert.same({ { 1.234, 90.01 }, { 1.001, 110.02 }, { 0.3, 90.05 }, { 0.3, 90.01 } }, result.state.out)
  end)

  -- 1,000 / 100 at the last price; 1,000 / 80 at a limit's own.
  it("turn a notional into a quantity", function()
    local result = once([[
      return { ctx:buy(nil, { notional = 1000 }).qty,
               ctx:submit({ side = "buy", type = "limit", price = 80, notional = 1000 }).qty }
    ]])
    assert.same({ 10, 12.5 }, result.state.out)
  end)

  it("refuse market facts with nil, a reason and a code", function()
    local result = once([[
      local function code(...) local order, reason, name = ... return { tostring(order), #reason > 0,
        name } end
      local far = ctx:buy(1, { type = "limit", price = 50 })
      ctx:cancel(far)
      local size, _, why = ctx:size(1, 0)
      return {
        code(ctx:buy(0)), code(ctx:buy(0.0004)), code(ctx:buy(0.01)), code(ctx:sell(1,
          { reduce_only = true })),
        code(ctx:cancel(999)), code(ctx:amend(far, { price = 51 })), code(ctx:amend(far, { qty = 0.0001 })),
        code(ctx:buy(1, { type = "limit", price = 0.001 })), { tostring(size), true, why },
      }
    ]])
    assert.same({ "zero_qty", "zero_qty", "min_notional", "nothing_to_reduce", "no_order", "pending",
                  "pending",
                  "price", "stop_distance" }, testing.pluck(result.state.out, 3))
    for i, row in ipairs(result.state.out) do
      assert.same({ i == 9 and "0.0" or "nil", true }, { row[1], row[2] })
    end
  end)

  it("know nothing before the first price", function()
    local result = run([[
      function S.on_start(ctx) ctx:timer("early", 0.5) end
      function S.on_timer(ctx)
        if ctx.state.out then return end
        local other = "ETH/USDT:USDT"
        local function code(...) return (select(3, ...)) end
        ctx.state.out = { tostring(ctx:last(other)), tostring(ctx:quote(other)),
                          code(ctx:buy(1, { symbol = other })), code(ctx:target_weight(1,
                            { symbol = other })),
                          code(ctx:buy(nil, { notional = 10, symbol = other })), code(ctx:size(1, 1, other)) }
      end
      S.scope = "portfolio"
    ]], { symbols = false, feed = { testing.symbols[1] .. "=" .. testing.trades(ticks(0, 5, 100)),
                                    testing.symbols[2] .. "=" .. testing.trades({ { 5, 10 } }) } })
    assert.same({ "nil", "nil", "no_quote", "no_quote", "no_quote", "no_quote" }, result.state.out)
  end)
end)

describe("targets and sizes", function()
  after_each(testing.cleanup)

  -- 3, then 5 (one buy of 2), then -1.5 (one sell of 6.5), then the same again: nothing to do.
  it("reach a position by one order for what is missing", function()
    local result = run([[
      local wanted = { 3, 5, -1.5, -1.5, -1.5004 }
      local at = 0
      function S.on_tick(ctx)
        at = at + 1
        if not wanted[at] then return end
        local order, reason = ctx:target(wanted[at])
        ctx.state[at] = order and order.side .. " " .. order.qty or tostring(reason)
      end
    ]])
    assert.same({ "buy 3.0", "buy 2.0", "sell 6.5", "nil", "nil" }, result.state)
    assert.equal("-1.5", result.positions[1].qty)
  end)

  it("count market orders that are under way", function()
    local result = once([[
      local first, second = ctx:target(3), ctx:target(5)
      return { first.qty, second.qty, tostring(ctx:target(5)) }
    ]])
    assert.same({ 3, 2, "nil" }, result.state.out)
    assert.equal("5", result.positions[1].qty)
  end)

  -- 0.5 * 10,000 / 100 = 50. At 110 equity is 10,500: 0.5 of it is 47.727 there, 2.273 less.
  it("are shares of equity at the mark", function()
    local result = run([[
      function S.on_tick(ctx, tick)
        if tick.price == 100 and ctx:position().qty == 0 then ctx:target_weight(0.5) end
        if tick.price == 110 and not ctx.state.equity then
          ctx.state.equity = ctx:equity()
          ctx.state.sold = ctx:target_weight(0.5).qty
        end
      end
    ]], { feed = testing.trades(testing.join(ticks(0, 3, 100), ticks(4, 6, 110))) })
    assert.same({ equity = 10500, sold = 2.273 }, result.state) -- 50 - 47.727 (toward zero)
    assert.equal("47.727", result.positions[1].qty)
  end)

  it("close what is held, exactly, and nothing twice", function()
    local result = run([[
      local at = 0
      function S.on_tick(ctx)
        at = at + 1
        if at == 1 then ctx:buy(1.234) end
        if at == 3 then
          local order = ctx:close({ tag = "out" })
          ctx.state.out = { order.side, order.qty, order.reduce_only, tostring(ctx:close()) }
        end
        if at == 5 then ctx.state.flat = { select("#", ctx:close()), ctx:position().qty,
                                           #ctx:positions() } end
      end
    ]])
    assert.same({ "sell", 1.234, true, "nil" }, result.state.out)
    assert.same({ 0, 0 }, { result.state.flat[2], result.state.flat[3] })
    assert.same({}, result.positions)
  end)

  -- 1 % of 10,000 over 4 is 25; over 0.5 it is 200, more than 10,000 buys at 100.
  it("are sized by what the stop loses, within buying power and limits", function()
    local body = "return { ctx:size(1, 4), ctx:size(1, 0.5), ctx:size(0.0001, 4) }"
    assert.same({ 25, 100, 0 }, { table.unpack(once(body).state.out, 1, 3) })
    local narrow = once(body, { config = "risk: { max_position_size: 0.2 }" })
    assert.same({ 20, 20 }, { table.unpack(narrow.state.out, 1, 2) })
  end)

  it("show what is held and what it is worth", function()
    local result = run([[
      function S.on_tick(ctx, tick)
        if tick.price == 100 and ctx:position().qty == 0 then ctx:buy(10) end
        local position, risk = ctx:position(), ctx:risk()
        ctx.state.position = { position.symbol, position.qty, position.avg_price, position.unrealized_pnl,
                               position.realized_pnl, position.value, position.fees, position.funding }
        ctx.state.money = { ctx:capital(), ctx:cash(), ctx:equity(), risk.exposure, risk.open_positions }
      end
    ]], { feed = testing.trades(testing.join(ticks(0, 2, 100), ticks(3, 4, 90))) })
    assert.same({ testing.symbol, 10, 100, -100, 0, 900, 0, 0 }, result.state.position)
    assert.same({ 10000, 10000, 9900, 900, 1 }, result.state.money)
  end)

  it("belong to the instance: capital is an equal share", function()
    local result = run([[
      function S.on_tick(ctx) ctx.state.capital, ctx.state.symbol = ctx:capital(), ctx.symbol end
    ]],
      { symbols = false, feed = { testing.symbols[1] .. "=" .. testing.trades(ticks(0, 2, 100)),
                                  testing.symbols[2] .. "=" .. testing.trades(ticks(0, 2, 10)) } })
    assert.same({ { capital = 5000, symbol = testing.symbols[1] }, { capital = 5000,
                                                                     symbol = testing.symbols[2] } },
      testing.pluck(result.instances, "state"))
  end)
end)

describe("resting orders", function()
  after_each(testing.cleanup)

  it("fill at their price, are amended and canceled", function()
    local result = run([[
      local low, high
      function S.on_tick(ctx, tick)
        local second = math.tointeger(tick.time) - 1704067200
        if second == 0 then
          low = ctx:buy(1, { type = "limit", price = 90, tag = "low" })
          high = ctx:sell(1, { type = "limit", price = 110, tag = "high" })
        elseif second == 2 then
          ctx.state.amended = ctx:amend(low, { price = 95, qty = 2 }) == low
          ctx.state.waiting = { low.status, (select(3, ctx:amend(low, { price = 96 }))) }
          ctx.state.canceled = ctx:cancel(high) == high
          ctx.state.twice = ctx:cancel(high) == high
          ctx.state.leaving = high.status
        elseif second == 4 then
          ctx.state.terms = { low.status, low.price, low.qty, high.status, (select(3, ctx:cancel(high))) }
        end
      end
    ]], { feed = testing.trades(testing.join(ticks(0, 4, 100), { { 5, 94, 5, "sell" } })) })
    local state = result.state
    assert.same({ true, true, true }, { state.amended, state.canceled, state.twice })
    assert.same({ "pending_replace", "pending" }, state.waiting)
    assert.equal("pending_cancel", state.leaving)
    assert.same({ "new", 95, 2, "canceled", "done" }, state.terms)
    assert.same({ "2", "95" }, { result.positions[1].qty, result.positions[1].avg_price })
  end)

  it("are found by status, side and tag, oldest first", function()
    local result = once([[
      for i = 1, 3 do
        ctx:submit({ side = i == 2 and "sell" or "buy", qty = i, type = "limit", price = i == 2 and 110 or 90,
                     tag = i < 3 and "a" or "b" })
      end
      local function qtys(filter)
        local list = {}
        for i, order in ipairs(ctx:orders(filter)) do list[i] = order.qty end
        return list
      end
      local out = { qtys(), qtys({ side = "buy" }), qtys({ tag = "a" }), qtys({ status = "pending_new" }),
                    qtys({ status = "filled" }), qtys({ symbol = ctx.symbol }) }
      out[7] = ctx:cancel_all()
      out[8] = qtys({ status = "pending_cancel" })
      return out
    ]])
    assert.same({ { 1, 2, 3 }, { 1, 3 }, { 1, 2 }, { 1, 2, 3 }, {}, { 1, 2, 3 }, 3, { 1, 2, 3 } },
      result.state.out)
    assert.equal(3, result.counts.canceled)
  end)

  -- The market shows 3 at 100.01; the limit reaches them and nothing beyond, the rest ends.
  it("with ioc take what is there and end", function()
    local result = run([[
      function S.on_quote(ctx)
        if ctx.state.asked then return end
        ctx.state.asked = true
        ctx:buy(5, { type = "limit", price = 100.01, tif = "ioc" })
      end
    ]], { feed = testing.quotes({ { 0, 99.99, 100.01, 3, 3 }, { 1, 99.99, 100.01, 3, 3 } }) })
    local order = result.orders[1]
    assert.same({ "canceled", "3", "100.01" }, { order.status, order.filled_qty, order.avg_price })
  end)
end)

describe("a protected entry", function()
  after_each(testing.cleanup)

  -- A limit of 2 at 99. A trade of 0.5 goes through it, then one of 1.5: the exits rest for what is
  -- filled, before on_fill, and grow. At 110 the take sells all of it and the stop goes.
  it("has exits that grow with its fills, and end one another", function()
    local result = run([[
      function S.on_tick(ctx)
        if ctx.state.asked then return end
        ctx.state.asked = true
        ctx.state.seen = {}
        ctx:buy(2, { type = "limit", price = 99, stop = 90, take = 110, tag = "entry" })
      end
      function S.on_fill(ctx, fill)
        local seen = { fill.order.tag, fill.qty }
        for _, order in ipairs(ctx:orders()) do
          if order.reduce_only then seen[#seen + 1] = order.type .. " " .. order.qty end
        end
        ctx.state.seen[#ctx.state.seen + 1] = seen
      end
    ]], { feed = testing.trades({ { 0, 100 }, { 1, 98, 0.5, "sell" }, { 2, 100 }, { 3, 98, 1.5, "sell" },
                                  { 4, 100 }, { 5, 111, 9, "buy" }, { 6, 80, 9, "sell" } }) })
    assert.same({ "entry", 0.5, "stop 0.5", "limit 0.5" }, result.state.seen[1])
    assert.same({ "entry", 1.5 }, { result.state.seen[2][1], result.state.seen[2][2] })
    assert.same({}, result.positions)
    assert.equal("10022", result.equity) -- 2 * (110 - 99)
    assert.same({ "2" }, testing.pluck(testing.find(result.orders, { role = "take" }), "filled_qty"))
    assert.same({ "canceled" }, testing.pluck(testing.find(result.orders, { role = "stop" }), "status"))
  end)

  it("has exits that shrink when the strategy reduces, and that cancel_all leaves alone", function()
    local result = run([[
      local at = 0
      function S.on_tick(ctx)
        at = at + 1
        if at == 1 then ctx:buy(3, { stop = 90 }) end
        if at == 4 then ctx.state.canceled = ctx:cancel_all() ctx:sell(1) end
      end
    ]])
    assert.equal(0, result.state.canceled)
    local stop = testing.find(result.orders, { role = "stop" })[1]
    assert.same({ "2", "new" }, { stop.qty, stop.status })
    assert.equal("2", result.positions[1].qty)
  end)

  -- Short at 100 with a stop at 105: a trade at 106 triggers it, the next one at 107 fills it.
  it("of a short is stopped above", function()
    local result = run([[
      function S.on_tick(ctx)
        if ctx.state.asked then return end
        ctx.state.asked = true
        ctx:sell(1, { stop = 105, take = 80 })
      end
    ]], { feed = testing.trades({ { 0, 100 }, { 1, 100 }, { 2, 106 }, { 3, 107 }, { 4, 70 }, { 5, 70 } }) })
    assert.same({}, result.positions)
    assert.equal("9993", result.equity)
    assert.equal(2, result.fills)
  end)
end)

describe("mistakes", function()
  after_each(testing.cleanup)

  -- { what is written, what the message must say }
  local mistakes = {
    { 'ctx:buy("x")', "ctx:buy: qty must be a number, not the string 'x'" },
    { "ctx:buy(0/0)", "ctx:buy: qty must be a finite number" },
    { "ctx:buy(-1)", "ctx:buy: qty is negative; the side says the direction" },
    { "ctx:buy()", "ctx:buy: qty is missing" },
    { "ctx:buy(1, { notional = 5 })", "give qty or notional, not both" },
    { "ctx:buy(1, { prise = 5 })", "the options of ctx:buy have no 'prise'; did you mean 'price'" },
    { "ctx:buy(1, 5)", "ctx:buy: options must be a table, not number" },
    { 'ctx:buy(1, { type = "limit" })', "a limit order needs a price" },
    { "ctx:buy(1, { price = 5 })", 'a price makes a limit order; add type = "limit"' },
    { "ctx:buy(1, { post_only = true })", "post_only is for limit orders" },
    { 'ctx:buy(1, { type = "limit", price = 5, post_only = true, tif = "ioc" })', "exclude each other" },
    { "ctx:buy(1, { reduce_only = true, stop = 5 })", "stop and take protect an entry" },
    { 'ctx:buy(1, { stop_on = "mark" })', "there is neither" },
    { 'ctx:buy(1, { symbol = "DOGE/USDT" })', "'DOGE/USDT' is not among this strategy's symbols" },
    { 'ctx:buy(1, { type = "stop" })', "ctx:buy: a stop order needs a trigger_price" },
    { 'ctx:buy(1, { type = "stop_limit", price = 5 })', "a stop_limit order needs a trigger_price" },
    { 'ctx:buy(1, { type = "stop_limit", trigger_price = 5 })', "a stop_limit order needs a price" },
    { 'ctx:buy(1, { type = "stop", trigger_price = 5, price = 5 })',
      'a stop has no limit price; type = "stop_limit" has one' },
    { 'ctx:buy(1, { type = "trailing" })', "a trailing stop needs a trail" },
    { 'ctx:buy(1, { type = "trailing", trail = 5, price = 5 })', "a trailing stop has no limit price" },
    { 'ctx:buy(1, { type = "trailing", trail = 0 })', "ctx:buy: trail must be above 0" },
    { 'ctx:buy(1, { type = "trailing", trail = "-1%" })', "ctx:buy: trail must be above 0" },
    { 'ctx:buy(1, { type = "trailing", trail = "100%" })', "ctx:buy: trail must be below 100%" },
    { 'ctx:buy(1, { type = "trailing", trail = "a bit" })', 'a percentage such as "1.5%", not \'a bit\'' },
    { 'ctx:buy(1, { type = "trailing", trail = "1e99%" })', "trail has more digits than fit: 1e99%" },
    { 'ctx:buy(1, { type = "trailing", trail = "x%" })', 'a percentage such as "1.5%", not \'x%\'' },
    { 'ctx:buy(1, { type = "trailing", trail = "%" })', "a percentage" },
    { 'ctx:buy(1, { type = "trailing", trail = 0/0 })', "finite" },
    { "ctx:buy(1, { trail = 5 })", 'a trail makes a trailing stop; add type = "trailing"' },
    { "ctx:buy(1, { trigger_price = 5 })", 'a trigger_price makes a stop; add type = "stop"' },
    { 'ctx:buy(1, { type = "stop", trigger_price = 5, post_only = true })', "post_only is for limit" },
    { 'ctx:buy(1, { type = "limit", price = 5, post_only = true, tif = "fok" })', "exclude each other" },
    { 'ctx:buy(1, { tif = "gtx" })', "tif cannot be 'gtx'; allowed: gtc, day, ioc, fok, gtd" },
    { 'ctx:buy(1, { tif = "gtd" })', 'tif = "gtd" needs expires' },
    { "ctx:buy(1, { expires = 5 })", 'expires goes with tif = "gtd"' },
    { 'ctx:buy(1, { tif = "gtd", expires = "soon" })', "UTC seconds or a time such as" },
    { 'ctx:buy(1, { tif = "gtd", expires = 1704067200000 })', "none of this age" },
    { 'ctx:buy(1, { tif = "gtd", expires = true })', "expires must be a number, not boolean" },
    { "ctx:oco()", "ctx:oco: a list of two orders is wanted" },
    { "ctx:oco({})", "ctx:oco: a list of two orders is wanted" },
    { 'ctx:oco{ { side = "buy", qty = 1 } }', "a list of two orders is wanted" },
    { "ctx:oco{ {}, {}, {} }", "a list of two orders is wanted" },
    { 'ctx:oco{ { side = "buy", qty = 1 }, { qty = 1 } }', "ctx:oco: order 2: side is missing" },
    { 'ctx:oco{ { side = "buy", qty = 1, prise = 2 }, {} }',
      "the options of ctx:oco: order 1 have no 'prise'" },
    { 'ctx:oco{ { side = "buy", qty = 1, type = "limit" }, {} }',
      "ctx:oco: order 1: a limit order needs a price" },
    { "ctx:submit({ qty = 1 })", "ctx:submit: side is missing" },
    { 'ctx:submit({ side = "long", qty = 1 })', "side cannot be 'long'; allowed: buy, sell" },
    { "ctx:target(1, { reduce_only = true })", "the options of ctx:target have no 'reduce_only'" },
    { "ctx:close({ qty = 1 })", "the options of ctx:close have no 'qty'" },
    { "ctx:amend(1, {})", "ctx:amend: nothing to change" },
    { "ctx:cancel(nil)", "ctx:cancel: an order is wanted, not nil" },
    { "ctx:size(0, 1)", "ctx:size: risk_percent must be above 0" },
    { 'ctx:orders({ side = "up" })', "side cannot be 'up'" },
    { 'ctx:bars("1m")', "ctx:bars belongs in on_start" },
    { 'ctx:timer("t", 0)', "seconds must be above 0" },
    { "ctx:plot('x', 0/0)", "finite number" },
    { "ctx:log()", "a text is missing" },
    { "ctx.buy(1)", "call it with a colon: ctx:buy(...)" },
    { "ctx:close_al(1)", "ctx has no 'close_al'; did you mean 'close_all'" },
    { "ctx:when(1)", "ctx:when is not in this version" },
    { "ctx.symbol = 1", "read-only" },
    { "p.fats = 1", "read-only" },
    { "return p.fats", "params has no 'fats'; did you mean 'fast'" },
    { "return tick.prise", "a tick has no 'prise'; did you mean 'price'" },
    { "return ctx:position().quantity", "a position has no 'quantity'" },
    { "return ctx:instrument().tick", "instrument has no 'tick'" },
    { "tick.price = 1", "read-only" },
    { "ctx.state.x = print", "'x' holds a function; numbers, strings, booleans and tables are kept" },
    { "ctx.state.x = 0/0", "'x' is not a number" },
    { "ctx.state[{}] = 1", "a key must be a string, number or boolean" },
    { "prise = 1", "'prise'" },
    { "return prise", "'prise'" },
    { 'os.execute("ls")', "execute" },
    { 'require("socket")', "there is no lib/socket.lua beside the strategy" },
    { "for _ in pairs({ [print] = 1 }) do end", "function" },
  }

  it("raise where they are made, and say what is right", function()
    local lines = { "S.params = { fast = { 1 } }", "local mistakes = {" }
    for i, mistake in ipairs(mistakes) do
      lines[i + 2] = "function(ctx, tick, p) " .. mistake[1] .. " end,"
    end
    lines[#lines + 1] = [[}
      function S.on_tick(ctx, tick, p)
        for i, mistake in ipairs(mistakes) do
          local ok, why = pcall(mistake, ctx, tick, p)
          ctx.state[i] = ok and "no error" or why
        end
      end
    ]]
    local result = run(table.concat(lines, "\n"), { feed = testing.trades(ticks(0, 0, 100)) })
    for i, mistake in ipairs(mistakes) do
      local found = result.state[i]
      local told = mistake[1] .. "\n  wanted: " .. mistake[2] .. "\n  found:  " .. found
      assert(found:find(mistake[2], 1, true), told)
      -- The head of the file is one line, and the list begins on the fourth.
      assert(found:find(("%%.lua:%d: "):format(i + 3)), told)
    end
    assert.equal(0, result.counts.submitted)
  end)

  it("in on_start refuse the start", function()
    for body, wanted in pairs({
      ["ctx:buy(1)"] = "orders cannot be placed in on_start",
      ['ctx:bars("7m")'] = "7m",
      ['ctx:bars("1m"):bolinger(3)'] = "bars has no 'bolinger'",
      ["error('no')"] = "no",
    }) do
      local path = testing.strategy("function S.on_start(ctx) " .. body .. " end")
      local result, message, code, where = testing.run({ strategy = path, feed = testing.trades(ticks(0, 3,
        100)) })
      assert.is_nil(result)
      assert.equal(testing.DATA, code)
      assert(message:find(wanted, 1, true), message)
      assert.matches("strategy%-%d+%.lua:2", where .. message)
    end
  end)

  it("stop the instance, and take back what its callback did", function()
    local bad = [[
      local at = 0
      function S.on_tick(ctx)
        at = at + 1
        ctx.state.seen = at
        if at == 3 then
          ctx:buy(1)
          local nothing
          return nothing.field
        end
      end
    ]]
    local result, message, code = testing.run({ strategy = testing.strategy(bad),
                                                feed = testing.trades(ticks(0, 9, 100)) })
    assert.is_nil(result) -- it was the only one
    assert.equal(testing.DATA, code)
    assert.matches("the last strategy failed: .*%.lua:9: attempt to index a nil value", message)

    local good = testing.strategy("local S = { api = 1, name = 'good' }\n" ..
      "function S.on_tick(ctx) ctx.state.n = (ctx.state.n or 0) + 1 end")
    result = assert(testing.run({ strategy = { testing.strategy(bad), good },
                                  feed = testing.trades(ticks(0, 9, 100)) }))
    assert.is_false(result.instances[1].alive)
    assert.same({ seen = 2 }, result.instances[1].state)
    assert.equal(0, result.counts.submitted)
    assert.is_true(result.instances[2].alive)
    assert.same({ n = 10 }, result.instances[2].state)
  end)

  it("in the file's table name the field, and near misses", function()
    for text, wanted in pairs({
      ["return 1"] = "table",
      ["return { api = 2 }"] = "api",
      ["return { api = 1, on_tik = function() end }"] = "did you mean 'on_tick'",
      ["return { api = 1, parms = {} }"] = "did you mean 'params'",
      ["return { api = 1, params = { n = { 5, min = 6 } } }"] = "min",
      ["return { api = 1"] = "}",
    }) do
      local path = testing.write("bad.lua", text)
      local found, message, code = testing.check(path)
      assert.is_nil(found, text)
      assert.equal(testing.DATA, code)
      assert(message:find(wanted, 1, true), message)
    end
  end)
end)

describe("a strategy file", function()
  after_each(testing.cleanup)

  it("takes params from the command line, checked", function()
    local path = testing.strategy([[
      S.params = { n = { 5, min = 1, max = 9 }, w = { 0.5 }, tf = { "1m", choices = { "1m", "5m" } },
                   on = { true } }
      function S.check(p)
        if p.n == 7 then return false, "seven will not do" end
        return true
      end
      function S.on_tick(ctx, _, p) ctx.state.out = { p.n, p.w, p.tf, p.on, ctx.params.n } end
    ]])
    local feed = testing.trades(ticks(0, 1, 100))
    local given = { n = 6, w = 1.5, tf = "5m", on = false }
    local result = testing.run_well({ strategy = path, feed = feed, params = given })
    assert.same({ 6, 1.5, "5m", false, 6 }, result.state.out)
    for name, case in pairs({ n = { 10, "9" }, tf = { "2m", "5m" }, on = { "maybe", "true" }, m = { 1,
      "'n'" } }) do
      local refused, message, code = testing.run({ strategy = path, feed = feed,
                                                   params = { [name] = case[1] } })
      assert.is_nil(refused)
      assert.equal(testing.USAGE, code)
      assert(message:find(case[2], 1, true), message)
    end
    local _, message = testing.run({ strategy = path, feed = feed, params = { n = 7 } })
    assert.matches("seven will not do", message)
  end)

  it("sees one symbol in each instance, or all in one", function()
    local feeds = { testing.symbols[1] .. "=" .. testing.trades(ticks(0, 2, 100)),
                    testing.symbols[2] .. "=" .. testing.trades(ticks(0, 2, 10)) }
    local body = [[
      %s
      function S.on_tick(ctx, tick)
        ctx.state[tick.symbol] = (ctx.state[tick.symbol] or 0) + 1
        ctx.state.symbols = #ctx.symbols
        if #ctx.symbols == 2 and tick.symbol == ctx.symbols[2] and #ctx:orders({ status = "all" }) == 0 then
          ctx:buy(1, { symbol = ctx.symbols[1] })
          ctx:sell(2, { symbol = ctx.symbols[2] })
        end
        if #ctx:positions() == 2 and not ctx.state.held then
          ctx.state.held = { ctx:positions()[1].symbol, ctx:position(ctx.symbols[2]).qty }
          ctx.state.closing = #ctx:close_all()
        end
      end
    ]]
    local alone = run(body:format(""), { symbols = false, feed = feeds })
    assert.same({ { [testing.symbols[1]] = 3, symbols = 1 }, { [testing.symbols[2]] = 3, symbols = 1 } },
      testing.pluck(alone.instances, "state"))
    local all = run(body:format("S.scope = 'portfolio'"), { symbols = false, feed = feeds })
    assert.equal(1, #all.instances)
    assert.same({ 3, 3, 2 }, { all.state[testing.symbols[1]], all.state[testing.symbols[2]],
                               all.state.closing })
    assert.same({ testing.symbols[1], -2 }, all.state.held)
  end)

  it("narrows the operator's limits", function()
    local result = run([[
      S.limits = { max_order_size_usd = 50 }
      function S.on_tick(ctx) if #ctx:orders({ status = "all" }) == 0 then ctx:buy(1) end end
    ]])
    assert.same({ "0.5" }, testing.pluck(result.orders, "qty"))
  end)

  it("brings modules along from lib/ beside it", function()
    os.execute("mkdir -p '" .. testing.folder() .. "/lib'")
    testing.write("lib/twice.lua", "return function(x) return 2 * x end")
    local result = once('local twice = require("twice") return { twice(21) }')
    assert.same({ 42 }, result.state.out)
  end)
end)

describe("time and talk", function()
  after_each(testing.cleanup)

  -- A timer of 3 s fires at 3 and 6; ended at 6 it does not at 9.
  it("timers repeat until they are ended", function()
    local result = run([[
      function S.on_start(ctx) ctx:timer("beat", 3) ctx:timer("slow", 1000) end
      function S.on_timer(ctx, name)
        ctx.state[#ctx.state + 1] = ctx:now() - 1704067200
        if #ctx.state == 2 then ctx:timer(name, nil) end
      end
    ]], { feed = testing.trades(ticks(0, 12, 100)) })
    assert.same({ 3, 6 }, result.state)
  end)

  it("log, print and alert reach people", function()
    local result = once([[
      ctx:log("plain %")
      ctx:log("warn", "spread %.1f", 2)
      print("one", 2)
      ctx:alert("look")
      ctx:plot("x", 1)
      ctx:metric("y", 2)
    ]])
    assert.same({ "info plain %", "warn spread 2.0", "info one\t2" }, result.said)
    assert.equal(1, result.counts.alerts)
  end)

  it("the market's facts are at hand", function()
    local result = run([[
      function S.on_tick(ctx)
        local i = ctx:instrument()
        ctx.state.instrument = { i.symbol, i.tick_size, i.lot_size, i.min_notional, i.leverage, i.multiplier,
                                 i.currency, i.short_allowed }
        ctx.state.out = { ctx:last(), ctx.mode, ctx:session("sim").state, tostring(ctx:book()),
                          tostring(ctx:signal("x")),
                          tostring(ctx:quote()) }
      end
    ]])
    assert.same({ testing.symbol, 0.01, 0.001, 5, 1, 1, "USDT", true }, result.state.instrument)
    assert.same({ 100, "paper", "open", "nil", "nil", "nil" }, result.state.out)
  end)

  it("ctx:stop ends the instance after its callback", function()
    local result = assert(testing.run({ feed = testing.trades(ticks(0, 9, 100)),
                                        strategy = testing.strategy([[
      function S.on_tick(ctx)
        ctx.state.n = (ctx.state.n or 0) + 1
        if ctx.state.n == 3 then ctx:stop("enough") ctx.state.after = true end
      end
    ]]) }))
    assert.same({ n = 3, after = true }, result.state)
    assert.is_false(result.instances[1].alive)
    assert.equal("enough", result.instances[1].why)
  end)
end)

-- 2024-01-01 is a holiday in New York; the next session is Tuesday 14:30-21:00 UTC, then Wednesday's.
describe("market sessions", function()
  after_each(testing.cleanup)

  local HOUR = 3600
  local OPEN, CLOSE = 24 * HOUR + 14.5 * HOUR, 24 * HOUR + 21 * HOUR
  local CONFIG = [[
backtest: { fees: { maker: 0, taker: 0 }, slippage_model: none, latency: 0ms }
calendar: { venues: { sim: nyse } }
]]

  -- A trade at 100 every half hour of three days, a second after it.
  local function three_days()
    local rows = {}
    for half = 0, 143 do rows[#rows + 1] = { half * HOUR / 2 + 1, 100 } end
    return testing.trades(rows)
  end

  local NOTES = [[
      function S.on_session(ctx, venue, state)
        local list = ctx.state.list or {}
        list[#list + 1] = ("%s %s %d"):format(venue, state, ctx:now())
        ctx.state.list = list
      end
  ]]

  local function told(venue, state, seconds)
    return ("%s %s %d"):format(venue, state, testing.start + seconds)
  end

  it("are told at their borders, and can be asked for", function()
    local result = run(NOTES .. [[
      function S.on_start(ctx) ctx.state.at_start = ctx:session() end
      function S.on_tick(ctx)
        if ctx:session("sim").state == "open" then ctx.state.open_ticks = (ctx.state.open_ticks or 0) + 1 end
      end
    ]], { feed = three_days(), config = CONFIG })
    local start = testing.start
    assert.same({ state = "closed", opens = start + OPEN, closes = start + CLOSE, day_end = start + CLOSE },
      result.state.at_start)
    assert.same({ told("sim", "open", OPEN), told("sim", "closed", CLOSE),
                  told("sim", "open", OPEN + 24 * HOUR), told("sim", "closed", CLOSE + 24 * HOUR) },
      result.state.list)
    assert.equal(2 * 13, result.state.open_ticks)
  end)

  it("a reload hears of what comes next", function()
    local strategy = testing.strategy("function S.on_tick() end")
    local result = run(nil, { feed = three_days(), config = CONFIG, strategy = strategy,
                              pauses = { { OPEN + HOUR, function()
      local head = "local S = { api = 1, name = 'spec', version = '2' }\n"
      testing.overwrite(strategy, head .. NOTES .. "return S\n")
    end } } })
    assert.same({ told("sim", "closed", CLOSE), told("sim", "open", OPEN + 24 * HOUR),
                  told("sim", "closed", CLOSE + 24 * HOUR) }, result.state.list)
  end)

  it("end day orders: by the calendar, else with the UTC day", function()
    local body = [[
      function S.on_tick(ctx)
        if ctx.state.asked or ctx:now() < %d then return end
        ctx.state.asked = true
        assert(ctx:buy(1, { type = "limit", price = 90, tif = "day" }))
      end
      function S.on_order(ctx, order) ctx.state.out = { order.status, ctx:now() } end
    ]]
    body = body:format(testing.start + OPEN)
    local result = run(body, { feed = three_days(), config = CONFIG })
    assert.same({ "expired", testing.start + CLOSE }, result.state.out)
    result = run(body, { feed = three_days() })
    assert.same({ "expired", testing.start + 48 * HOUR }, result.state.out)
  end)

  it("warn once where the calendar's dates end before the data", function()
    local function warnings(day)
      local rows = { { 0, 100 }, { day * 24 * HOUR, 100 } }
      local result = run("function S.on_tick() end", { feed = testing.trades(rows),
        config = CONFIG:gsub("nyse", "nse") })
      local list = {}
      for _, line in ipairs(result.log) do
        if line.component == "calendar" then list[#list + 1] = line end
      end
      return list
    end
    assert.same({}, warnings(1095)) -- 2026-12-31
    local list = warnings(1096)
    assert.equal(1, #list)
    assert.same({ "nse", "2026-12-31", "2027-01-01" },
      { list[1].calendar, list[1].known_until, list[1].run_until })
  end)
end)

describe("ctx.state", function()
  after_each(testing.cleanup)

  it("keeps plain data, by value", function()
    local result = once([[
      local mine = { 1, { deep = true } }
      ctx.state.list = mine
      mine[1] = "changed here only"
      ctx.state.list[3] = "added there"
      ctx.state.gone = 1
      ctx.state.gone = nil
      ctx.state.int, ctx.state.float, ctx.state.text = 7, 0.1, "café"
      return { #ctx.state.list, math.type(ctx.state.int), ctx.state.list[2].deep }
    ]])
    assert.same({ out = { 3, "integer", true }, list = { 1, { deep = true }, "added there" }, int = 7,
                  float = 0.1, text = "café" }, result.state)
  end)

  -- Reloaded at 4.5 s: the position, its resting stop and ctx.state stay, locals begin anew.
  it("and what is held outlive a reload; locals and timers do not", function()
    local path = testing.strategy([[
      S.version = "1"
      local ticks = 0
      function S.on_start(ctx)
        ctx.state.starts = (ctx.state.starts or 0) + 1
        if S.version == "1" then ctx:timer("beat", 2) end
      end
      function S.on_tick(ctx)
        ticks = ticks + 1
        ctx.state.ticks = ticks
        ctx.state.version = S.version
        if not ctx.state.asked then
          ctx.state.asked = true
          ctx:buy(1, { stop = 90 })
        end
      end
      function S.on_timer(ctx) ctx.state.beats = (ctx.state.beats or 0) + 1 end
      function S.on_reload(ctx, old) ctx.state.old = old end
      function S.migrate(state, old) state.migrated = old .. " to " .. S.version end
    ]])
    local result = run(nil, { strategy = path, pauses = { { 4.5, function()
      testing.overwrite(path, (testing.read(path):gsub('S.version = "1"\n', 'S.version = "2"\n')))
    end } } })
    assert.same({ starts = 2, ticks = 5, version = "2", asked = true, beats = 2, old = "1",
                  migrated = "1 to 2" },
      result.state)
    assert.equal("1", result.positions[1].qty)
    assert.same({ "new" }, testing.pluck(testing.find(result.orders, { role = "stop" }), "status"))
    assert.equal(2, result.counts.submitted)
  end)

  it("and the old code go on when a new file is wrong", function()
    local path = testing.strategy("function S.on_tick(ctx) ctx.state.n = (ctx.state.n or 0) + 1 end")
    local text = testing.read(path)
    local fails = "local S = { api = 1, name = 'spec' } function S.on_start() error('x') end return S"
    for _, wrong in ipairs({ "return {", "return { api = 1, name = 'other' }", fails }) do
      testing.overwrite(path, text)
      local result = run(nil, { strategy = path, pauses = { { 4.5, function() testing.overwrite(path,
        wrong) end } } })
      assert.same({ n = 10 }, result.state)
      assert.equal(1, #testing.find(result.log, { component = "reload", level = "error" }))
    end
  end)
end)

describe("the same run", function()
  after_each(testing.cleanup)

  local wild = [[
    local names = { beta = 1, alpha = 2, [3] = 3, [1.5] = 4, [true] = 5, [-1] = 6 }
    function S.on_tick(ctx)
      local order = {}
      for key in pairs(names) do order[#order + 1] = tostring(key) end
      ctx.state.order = order
      ctx.state.first = (next(names))
      math.randomseed(os.time(), 12345) -- does nothing: the run's seed is the only one
      local list = { { 2, "a" }, { 1, "b" }, { 2, "c" }, { 1, "d" } }
      table.sort(list, function(x, y) return x[1] < y[1] end)
      ctx.state.sorted = list[1][2] .. list[2][2] .. list[3][2] .. list[4][2]
      ctx.state.clock = os.time() == ctx:now() // 1
      local side = math.random(2) == 1 and "buy" or "sell"
      ctx:submit({ side = side, qty = math.random(100) / 1000 + 0.1 })
    end
  ]]

  it("gives the same result, and another seed another", function()
    local path = testing.strategy(wild)
    local feed = testing.trades(ticks(0, 40, 100))
    local function hash(seed)
      local result = testing.run_well({ strategy = path, feed = feed, words = { "--seed", seed } })
      assert.is_true(result.fills > 10)
      return result.result_hash
    end
    assert.equal(hash(1), hash(1))
    assert.not_equal(hash(1), hash(2))
  end)

  it("visits tables in one order: numbers, strings, booleans", function()
    local result = run(wild, { feed = testing.trades(ticks(0, 1, 100)) })
    assert.same({ "-1", "1.5", "3", "alpha", "beta", "true" }, result.state.order)
    assert.equal(-1, result.state.first)
    assert.equal("bdac", result.state.sorted) -- stable
    assert.is_true(result.state.clock)
  end)

  it("on sim gives the same result too", function()
    local function hash()
      return testing.run_well({ strategy = "strategies/momentum.lua", config = "", terms = "{}",
                                capital = 100,
                                words = { "--duration", "1800" } }).result_hash
    end
    assert.equal(hash(), hash())
  end)
end)
