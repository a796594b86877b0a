-- mean_reversion.lua on markets of minute bars, with window = 5, width = 1.5 and free trading.
--
-- Quiet bars close at 100 with a range of 2. The dip closes at 97: of 100, 100, 100, 100, 97 the mean
-- is 99.4 and the deviation sqrt((4 * 0.36 + 5.76) / 5) = 1.2, so the bands stand at 99.4 - 1.8 = 97.6
-- and above: 97 is below. There was no rise, so the RSI is 0. The dip's true range is 3.5, the ATR
-- (13 * 2 + 3.5) / 14 = 2.107, and the stop 97 - 3 * 2.107 = 90.679: 90.68, since a sell rounds up.
local testing = require("testing")

local quiet = { 100, 101, 99, 100 }
local dip = { 100, 100, 96.5, 97 }
local after = { 97, 98, 96, 97 } -- opens where the entry is filled

local function run(rows, params)
  params = params or {}
  params.window, params.width = 5, params.width or 1.5
  return testing.run_well({ strategy = "strategies/mean_reversion.lua", feed = testing.bars(rows),
                            params = params })
end

describe("mean_reversion", function()
  after_each(testing.cleanup)

  -- Half of 10,000 at 97 is 51.5463.
  it("buys a close below the lower band for its share of equity, with a stop and a take", function()
    local result = run(testing.join(testing.flat(20, quiet), { dip, after, after }))
    local entries = testing.find(result.orders, { role = "plain" })
    assert.same({ "51.546" }, testing.pluck(entries, "filled_qty"))
    assert.same({ "97" }, testing.pluck(entries, "avg_price"))
    assert.equal("dip", entries[1].tag)
    local stop = testing.find(result.orders, { role = "stop" })[1]
    local take = testing.find(result.orders, { role = "take" })[1]
    assert.same({ "90.68", "51.546", "new" }, { stop.trigger_price, stop.qty, stop.status })
    assert.same({ "99.4", "51.546", "new" }, { take.price, take.qty, take.status })
  end)

  -- A limit at 99.40 is filled by a high of 99.41, not of 99.40. 51.546 * (99.4 - 97) = 123.7104.
  it("takes its profit where the middle stood, and its stop goes", function()
    local result = run(testing.join(testing.flat(20, quiet),
      { dip, after, { 97, 99.4, 96, 97 }, { 97, 99.41, 96, 97 }, { 97, 97, 80, 97 } }))
    assert.same({}, result.positions)
    assert.equal("10123.7104", result.equity)
    assert.equal(2, result.fills)
    assert.same({ "canceled" }, testing.pluck(testing.find(result.orders, { role = "stop" }), "status"))
  end)

  -- 51.546 * (90.68 - 97) = -325.77072. The bar closes at 97 again, so there is no new dip.
  it("leaves at its stop when it does not revert, and its take goes", function()
    local result = run(testing.join(testing.flat(20, quiet),
      { dip, after, { 97, 97, 90, 97 }, { 97, 105, 96, 97 } }))
    assert.same({}, result.positions)
    assert.equal("9674.22928", result.equity)
    assert.equal(2, result.fills)
    assert.same({ "canceled" }, testing.pluck(testing.find(result.orders, { role = "take" }), "status"))
  end)

  -- With width 2.5 the lower band is 99.4 - 3 = 96.4.
  it("does nothing while the close is above the band", function()
    local result = run(testing.join(testing.flat(20, quiet), { dip, after }), { width = 2.5 })
    assert.equal(0, result.counts.submitted)
  end)

  -- Closes rise by 1 to 100, then fall to 94. Of 97, 98, 99, 100, 94 the mean is 97.6, the deviation
  -- 2.06, the band 94.51: below. But the RSI is 100 * (13/14) / (13/14 + 6/14) = 68.
  it("does nothing while the RSI is high", function()
    local rows = {}
    for close = 81, 100 do rows[#rows + 1] = { close - 1, close + 0.5, close - 1.5, close } end
    local result = run(testing.join(rows, { { 100, 100, 93.5, 94 }, { 94, 95, 93, 94 } }))
    assert.equal(0, result.counts.submitted)
  end)

  -- RSI and ATR are there with the 15th bar; the dip is the 14th, and what follows lies in the bands.
  it("does nothing before its studies are warm", function()
    local early = run(testing.join(testing.flat(13, quiet), { dip }, testing.flat(10, after)))
    assert.equal(0, early.counts.submitted)
    local result = run(testing.join(testing.flat(14, quiet), { dip, after }))
    assert.equal(1, #testing.find(result.orders, { role = "plain" }))
  end)

  -- 97, then 94 while it holds: below the band again, but one position is all it takes.
  it("buys no second time while it holds", function()
    local result = run(testing.join(testing.flat(20, quiet),
      { dip, after, { 97, 97, 93.5, 94 }, { 94, 95, 93, 94 } }))
    assert.equal(1, #testing.find(result.orders, { role = "plain" }))
    assert.equal("51.546", result.positions[1].qty)
  end)
end)
