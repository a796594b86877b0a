-- breakout.lua on markets of minute bars, with a channel of 5 bars, half of 10,000 at stake, and free
-- trading. Quiet bars span 99 to 101. Orders are filled at the open of the bar after.
local testing = require("testing")

local quiet = { 100, 101, 99, 100 }
local up = { 100, 102.5, 99.5, 102 } -- closes above 101
local high = { 102, 103, 101, 102 } -- opens where the entry is filled
local down = { 102, 102, 97, 98 } -- closes below 99
local low = { 98, 99, 97, 98 }

local function run(rows, params)
  params = params or {}
  params.channel = 5
  return testing.run_well({ strategy = "strategies/breakout.lua", feed = testing.bars(rows),
                            params = params })
end

describe("breakout", function()
  after_each(testing.cleanup)

  -- 5,000 / 102 = 49.0196
  it("goes long for its weight on a close above the channel", function()
    local result = run(testing.join(testing.flat(6, quiet), { up, high }))
    assert.same({ "buy" }, testing.pluck(result.orders, "side"))
    assert.same({ "49.019" }, testing.pluck(result.positions, "qty"))
    assert.equal("102", result.positions[1].avg_price)
  end)

  -- At 98 equity is 10,000 - 49.019 * 4 = 9,803.924; half of it buys 50.0200 at 98. One order sells
  -- 49.019 + 50.020 = 99.039. Long from 102 to 98: -196.076.
  it("reverses as a whole, in one order", function()
    local result = run(testing.join(testing.flat(6, quiet), { up, high, down, low }))
    assert.same({ "49.019", "99.039" }, testing.pluck(result.orders, "filled_qty"))
    assert.same({ "up", "down" }, testing.pluck(result.orders, "tag"))
    assert.same({ "-50.02" }, testing.pluck(result.positions, "qty"))
    assert.equal("-196.076", result.realized_pnl)
  end)

  it("goes short out of nothing on a close below the channel", function()
    local result = run(testing.join(testing.flat(6, quiet), { { 100, 100, 97, 98 }, low }))
    assert.same({ "-51.02" }, testing.pluck(result.positions, "qty")) -- 5,000 / 98 = 51.0204
  end)

  it("only leaves on the lower break when it may not be short", function()
    local result = run(testing.join(testing.flat(6, quiet), { up, high, down, low, low }), { short = false })
    assert.same({ "49.019", "49.019" }, testing.pluck(result.orders, "filled_qty"))
    assert.same({}, result.positions)
    assert.equal(0, run(testing.join(testing.flat(6, quiet), { { 100, 100, 97, 98 }, low }),
      { short = false }).counts.submitted)
  end)

  it("does not take the edge of the channel, nor a high that does not hold, for a break", function()
    local at_the_edge = { 100, 101, 99, 101 }
    local fell_back = { 100, 105, 99.5, 100.9 }
    local result = run(testing.join(testing.flat(6, quiet), { at_the_edge, quiet, fell_back, quiet }))
    assert.equal(0, result.counts.submitted)
  end)

  -- The fifth bar completes the first channel; the sixth is the first that can be compared with one.
  it("does nothing before there is a channel to break", function()
    assert.equal(0, run(testing.join(testing.flat(4, quiet), { up, high, high })).counts.submitted)
    assert.equal(1, run(testing.join(testing.flat(5, quiet), { up, high })).counts.submitted)
  end)

  it("adds nothing on further breaks of the same side", function()
    local rows = testing.join(testing.flat(6, quiet), { up, high })
    for close = 104, 130, 2 do rows[#rows + 1] = { close - 2, close + 0.5, close - 2.5, close } end
    local result = run(rows)
    assert.equal(1, result.counts.submitted)
    assert.equal("49.019", result.positions[1].qty)
  end)
end)
