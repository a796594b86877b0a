-- momentum.lua on markets of minute bars, with fast = 2, slow = 5, the 14-bar ATR and free trading.
--
-- Every bar of a market spans a true range of 2, so the ATR is exactly 2 and the stop 2 * 2 = 4 below
-- the close of the entry. A quiet bar closes at 100, so both EMAs stand at 100. EMA(2) moves by 2/3 of
-- the distance to the close, EMA(5) by 1/3: a close at 101 puts them at 100.67 and 100.33, a cross.
-- The ATR needs 15 bars (14 true ranges), so nothing is traded before the 15th.
local testing = require("testing")

local quiet = { 100, 101, 99, 100 }
local up = { 100, 101.5, 99.5, 101 } -- the cross; its close decides the entry
local high = { 101, 102, 100, 101 } -- opens where the entry is filled

local function run(rows, options)
  options = options or {}
  return testing.run_well({ strategy = "strategies/momentum.lua", feed = testing.bars(rows),
                            params = options.params or { fast = 2, slow = 5 },
                            capital = options.capital, terms = options.terms })
end

describe("momentum", function()
  after_each(testing.cleanup)

  -- 0.5 % of 10,000 is 50; over a gap of 4 that is 12.5. The next bar opens at 101.
  it("buys the cross so that its stop loses the risk asked for", function()
    local result = run(testing.join(testing.flat(20, quiet), { up, high, high }))
    local entries = testing.find(result.orders, { role = "plain" })
    assert.same({ "buy" }, testing.pluck(entries, "side"))
    assert.same({ "12.5" }, testing.pluck(entries, "filled_qty"))
    assert.same({ "101" }, testing.pluck(entries, "avg_price"))
    assert.equal("entry", entries[1].tag)
    local stops = testing.find(result.orders, { role = "stop" })
    assert.equal(1, #stops)
    assert.same({ "97", "12.5", "new", "sell" },
      { stops[1].trigger_price, stops[1].qty, stops[1].status, stops[1].side })
  end)

  -- 12.5 bought at 101 and stopped at 97 is 50 less.
  it("leaves at its stop and loses what it said it would", function()
    local result = run(testing.join(testing.flat(20, quiet), { up, high, { 101, 101, 96, 96.5 }, quiet }))
    assert.same({}, result.positions)
    assert.equal("9950", result.equity)
    assert.equal("97", result.journal.trades[1].exit_price)
  end)

  -- From 100.67 and 100.33: a close at 101 makes 100.89 and 100.56, then one at 99 makes 99.63 and
  -- 100.04: crossed below. The low of 98.5 is above the stop. 12.5 * (99 - 101) is 25 less.
  it("leaves when the averages cross back, and takes its stop along", function()
    local result = run(testing.join(testing.flat(20, quiet),
      { up, high, { 101, 101, 98.5, 99 }, { 99, 100, 98.5, 99 }, { 99, 100, 90, 99 } }))
    assert.same({}, result.positions)
    assert.equal("9975", result.equity)
    local exits = testing.find(result.orders, { tag = "exit" })
    assert.same({ "filled" }, testing.pluck(exits, "status"))
    assert.is_true(exits[1].reduce_only)
    assert.same({ "canceled" }, testing.pluck(testing.find(result.orders, { role = "stop" }), "status"))
    assert.equal(2, result.fills) -- the fall to 90 afterwards sells nothing more
  end)

  -- The cross comes at the 14th bar, one before the ATR is there. The averages then stay apart, and
  -- what is not a cross is no entry, however long the fast one leads.
  it("does nothing before its averages are warm, and chases nothing afterwards", function()
    local result = run(testing.join(testing.flat(13, quiet), { up }, testing.flat(20, high)))
    assert.equal(0, result.counts.submitted)
  end)

  it("takes the cross of the first bar on which all is warm", function()
    local result = run(testing.join(testing.flat(14, quiet), { up, high }))
    assert.equal(1, #testing.find(result.orders, { side = "buy" }))
  end)

  it("holds one position, however often the averages cross above again", function()
    local dip = { 101, 102, 100, 100.9 }
    local result = run(testing.join(testing.flat(20, quiet), { up, high, dip, high, dip, high, high }))
    assert.equal(1, #testing.find(result.orders, { side = "buy" }))
    assert.equal("12.5", result.positions[1].qty)
  end)

  it("buys nothing while prices fall", function()
    local rows = testing.flat(20, quiet)
    for close = 99, 80, -1 do rows[#rows + 1] = { close + 1, close + 1.5, close - 0.5, close } end
    assert.equal(0, run(rows).counts.submitted)
  end)

  -- 2 % of 10,000 is 200; over a gap of half an ATR, 1.0, that is 200 units worth 20,200. Equity pays
  -- for 10,000 / 101 = 99.0099 of them.
  it("never buys more than its equity pays for", function()
    local result = run(testing.join(testing.flat(20, quiet), { up, high }),
      { params = { fast = 2, slow = 5, risk = 2, stop = 0.5 } })
    assert.same({ "99.009" }, testing.pluck(testing.find(result.orders, { side = "buy" }), "qty"))
  end)

  it("refuses a fast average that is not the faster", function()
    for _, fast in ipairs({ 48, 60 }) do
      local result, message, code = testing.run({ strategy = "strategies/momentum.lua",
                                                  params = { fast = fast },
                                                  feed = testing.bars(testing.flat(5, quiet)) })
      assert.is_nil(result)
      assert.equal(testing.USAGE, code)
      assert.matches("fast must be below slow", message)
    end
  end)
end)
