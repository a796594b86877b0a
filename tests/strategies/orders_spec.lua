-- Order types, times in force and linked orders as a strategy uses them, on trades written by hand:
-- a taker gets the trade after the one that triggered it, orders arrive at once, nothing costs.
local testing = require("testing")

local START = testing.start

-- Runs `body` at the first tick; more(ctx, n) runs at each tick after it, n from 2 on.
local function run(rows, body, more)
  return testing.run_well({
    feed = testing.trades(rows),
    strategy = testing.strategy(([[
      local n, kept = 0, nil
      local function first(ctx) %s end
      local function more(ctx, n) %s end
      function S.on_tick(ctx)
        n = n + 1
        if n == 1 then kept = first(ctx) else more(ctx, n) end
      end
      function S.on_order(ctx, order)
        local said = ctx.state.said or {}
        ctx.state.said = said
        local reason = order.reason and " " .. order.reason or ""
        ctx.state.said[#said + 1] = order.type .. " " .. order.status .. reason
      end
    ]]):format(body, more or "return kept")),
  })
end

-- The trades { 0, 1, 2, ... } seconds after the start at these prices.
local function prices(...)
  local rows = {}
  for i, price in ipairs({ ... }) do rows[i] = { i - 1, price } end
  return rows
end

local function fill(result, n)
  local row = result.journal.fills[n or 1]
  return row and { row.side, row.qty, row.price, row.liquidity, row.time:sub(12, 19) }
end

describe("a stop", function()
  after_each(testing.cleanup)

  it("waits for its trigger, then takes the next trade", function()
    local result = run(prices(100, 104, 105, 106, 107), [[
      local o = ctx:buy(1, { type = "stop", trigger_price = 105, tag = "up" })
      ctx.state.view = { o.type, o.trigger_price, o.price or "none", o.trail or "none", o.tif }
    ]])
    assert.same({ "buy", "1", "106", "taker", "00:00:03" }, fill(result))
    assert.same({ "stop", 105, "none", "none", "gtc" }, result.state.view)
    assert.equal("105", result.journal.orders[1].trigger_price)
  end)

  it("that sells rounds its trigger up, one that buys down", function()
    local result = run(prices(100, 99.02, 98, 97), [[
      ctx:sell(1, { type = "stop", trigger_price = 99.015 })
      ctx:buy(1, { type = "stop", trigger_price = 104.999 })
    ]])
    assert.same({ "99.02", "104.99" }, testing.pluck(result.orders, "trigger_price"))
    assert.same({ "sell", "1", "98", "taker", "00:00:02" }, fill(result))
  end)

  it("with a limit becomes a limit", function()
    -- Triggered at 105; the next trade is beyond 105.5, so it rests; 105.4 goes through it.
    local result = run(prices(100, 105, 106, 105.4), [[
      local o = ctx:buy(1, { type = "stop_limit", trigger_price = 105, price = 105.5 })
      ctx.state.view = { o.type, o.trigger_price, o.price }
    ]])
    assert.same({ "buy", "1", "105.5", "maker", "00:00:03" }, fill(result))
    assert.same({ "stop_limit", 105, 105.5 }, result.state.view)
  end)

  it("that trails follows the best price by an amount", function()
    -- Best 110: 107; 108 draws nothing; 107 fires, the next trade is 106.
    local result = run(prices(100, 110, 108, 107, 106), [[
      local o = ctx:sell(1, { type = "trailing", trail = 3 })
      ctx.state.view = { o.type, o.trail, o.tif }
    ]])
    assert.same({ "sell", "1", "106", "taker", "00:00:04" }, fill(result))
    assert.same({ "trailing", 3, "gtc" }, result.state.view)
  end)

  it("that trails follows the best price by a percentage, exactly", function()
    -- 1.5 % of 110.02 is 1.6503: 108.3697, a tick nearer is 108.37.
    local result = run(prices(100, 110.02, 108.38, 108.37, 108), [[
      local o = ctx:sell(1, { type = "trailing", trail = "1.5%" })
      ctx.state.trail = o.trail
    ]])
    assert.same({ "sell", "1", "108", "taker", "00:00:04" }, fill(result))
    assert.equal("1.5%", result.state.trail)
  end)

  it("protects what is held when it only reduces", function()
    local result = run(prices(100, 100, 100, 95, 94), [[ctx:buy(1)]], [[
      if n == 3 then ctx:sell(5, { type = "stop", trigger_price = 96, reduce_only = true }) end
    ]])
    assert.same({ "sell", "1", "94", "taker", "00:00:04" }, fill(result, 2))
    assert.same({}, result.positions)
  end)

  it("may be how a position is closed", function()
    local result = run(prices(100, 100, 100, 103, 101, 100.5), [[ctx:buy(2)]], [[
      if n == 3 then ctx:close({ type = "trailing", trail = 2 }) end
    ]])
    assert.same({ "sell", "2", "100.5", "taker", "00:00:05" }, fill(result, 2))
  end)
end)

describe("time in force", function()
  after_each(testing.cleanup)

  it("fok is all or nothing at once", function()
    local result = run({ { 0, 100 }, { 1, 100 }, { 2, 98 } }, [[
      ctx:buy(1, { type = "limit", price = 99, tif = "fok" })
    ]])
    assert.equal("fok: not filled whole", result.journal.orders[#result.journal.orders].reason)
    assert.equal(0, result.fills)
  end)

  it("day ends with the UTC day", function()
    local result = run({ { 0, 100 }, { 86399, 100 }, { 86400, 80 }, { 86401, 80 } }, [[
      ctx:buy(1, { type = "limit", price = 90, tif = "day" })
    ]])
    assert.same({ "limit new", "limit expired" }, result.state.said)
    assert.equal(0, result.fills)
  end)

  it("gtd ends at its time, in seconds or as text", function()
    local result = run({ { 0, 100 }, { 6, 80 }, { 8, 79 }, { 9, 79 } }, [[
      local a = ctx:buy(1, { type = "limit", price = 90, tif = "gtd", expires = ctx:now() + 5 })
      local b = ctx:buy(1, { type = "limit", price = 79.5, tif = "gtd", expires = "2024-01-01T00:00:08.5Z" })
      ctx.state.expires = { a.expires, b.expires, a.tif }
    ]])
    assert.same({ START + 5, START + 8.5, "gtd" }, result.state.expires)
    assert.same({ "buy", "1", "79.5", "maker", "00:00:08" }, fill(result))
    assert.same({ "limit new", "limit new", "limit expired", "limit filled" }, result.state.said)
  end)

  it("gtd in the past is refused", function()
    local result = run(prices(100, 100), [[
      local o, reason, code = ctx:buy(1, { type = "limit", price = 90, tif = "gtd", expires = ctx:now() })
      ctx.state.out = { o == nil, reason, code }
    ]])
    assert.same({ true, "the order would have expired already", "expired" }, result.state.out)
    assert.equal("blocked", result.journal.orders[1].status)
  end)
end)

describe("ctx:oco", function()
  after_each(testing.cleanup)

  local BOTH = [[
    local a, b, code = ctx:oco{
      { side = "sell", qty = 1, type = "limit", price = 110, reduce_only = true, tag = "take" },
      { side = "sell", qty = 1, type = "stop", trigger_price = 95, reduce_only = true, tag = "stop" },
    }
    ctx.state.out = a and { a.tag, b.tag } or { b, code }
  ]]

  it("gives two orders, of which a fill of one cancels the other", function()
    local result = run(prices(100, 100, 100, 110.5, 94, 93), [[ctx:buy(1)]],
      "if n == 3 then " .. BOTH .. " end")
    assert.same({ "take", "stop" }, result.state.out)
    assert.same({ "sell", "1", "110", "maker", "00:00:03" }, fill(result, 2))
    assert.equal(2, result.fills)
    local stop = testing.find(result.orders, { tag = "stop" })[1]
    assert.same({ "canceled", "oco" }, { stop.status, stop.reason })
  end)

  it("reduces the other by what fills of one", function()
    local rows = { { 0, 100 }, { 1, 100 }, { 2, 100 }, { 3, 110.5, 0.4 }, { 4, 95 }, { 5, 94 } }
    local result = run(rows, [[ctx:buy(1)]], "if n == 3 then " .. BOTH .. " end")
    assert.same({ "sell", "0.4", "110", "maker", "00:00:03" }, fill(result, 2))
    assert.same({ "sell", "0.6", "94", "taker", "00:00:05" }, fill(result, 3))
    assert.same({}, result.positions)
  end)

  it("links entries too", function()
    local result = run(prices(100, 105, 106, 90, 90), [[
      ctx:oco{ { side = "buy", qty = 1, type = "stop", trigger_price = 105 },
               { side = "buy", qty = 1, type = "limit", price = 95 } }
    ]])
    assert.same({ "buy", "1", "106", "taker", "00:00:02" }, fill(result))
    assert.equal(1, result.fills)
  end)

  it("places none when one is refused", function()
    local result = run(prices(100, 90, 120), [[
      local a, reason, code = ctx:oco{ { side = "buy", qty = 1, type = "limit", price = 95 },
                                       { side = "buy", qty = 0.0001, type = "stop", trigger_price = 110 } }
      ctx.state.out = { a == nil, type(reason), code }
    ]])
    assert.same({ true, "string", "zero_qty" }, result.state.out)
    assert.equal(0, result.counts.submitted)
    assert.equal(0, result.fills)
  end)
end)
