-- market_maker.lua on quotes, with its defaults: 8 bps to each side, 20 % of 10,000 in a quote, 60 % at
-- most in the position, a look every 30 s. At a middle of 100 a quote is 0.08 away and 20 large.
-- A resting bid is filled at its price when the ask comes down to it.
local testing = require("testing")

local function calm(from, to)
  local rows = {}
  for second = from, to do rows[#rows + 1] = { second, 99.99, 100.01 } end
  return rows
end

-- The market falls through the bid for one second.
local function fall(second, ask)
  return { { second, ask - 0.01, ask } }
end

local function run(rows, params, more)
  local options = { strategy = "strategies/market_maker.lua", feed = testing.quotes(rows), params = params }
  for name, value in pairs(more or {}) do options[name] = value end
  return testing.run_well(options)
end

-- The newest order of a side as it stood before the end, where on_stop cancels what is open.
local function newest(result, side)
  local orders = testing.find(result.orders, { side = side })
  return orders[#orders]
end

-- Three falls, 20 bought in each; at 120 s it is full.
local function three_falls()
  return testing.join(calm(0, 34), fall(35, 99.8), calm(36, 64), fall(65, 99.8), calm(66, 94), fall(95, 99.8),
    calm(96, 124), fall(125, 99), calm(126, 154), fall(155, 98.5), calm(156, 170))
end

describe("market_maker", function()
  after_each(testing.cleanup)

  it("rests a bid and an ask around the middle, each post-only", function()
    local result = run(calm(0, 40))
    assert.same({ "buy", "sell" }, testing.pluck(result.orders, "side"))
    assert.same({ "99.92", "100.08" }, testing.pluck(result.orders, "price"))
    assert.same({ "20", "20" }, testing.pluck(result.orders, "qty"))
    assert.same({ "limit", "limit" }, testing.pluck(result.orders, "type"))
    assert.equal(0, result.fills)
  end)

  it("does nothing before the first look, or without a quote", function()
    assert.equal(0, run(calm(0, 29)).counts.submitted)
    local blind = run(calm(0, 5), nil, { feed = testing.trades({ { 0, 100 }, { 40, 100 }, { 80, 100 } }) })
    assert.equal(0, blind.counts.submitted)
  end)

  -- At a middle of 100.05 a quote is 0.08004 away: 99.96996, a bid rounds down; 100.13004, an ask up.
  it("moves its quotes with the market, the same two orders", function()
    local rows = calm(0, 40)
    for second = 41, 70 do rows[#rows + 1] = { second, 100.04, 100.06 } end
    local result = run(rows)
    assert.equal(2, result.counts.submitted)
    assert.same({ "99.96", "100.14" }, testing.pluck(result.orders, "price"))
  end)

  it("leaves quotes alone that are a tick off, to keep their place", function()
    local rows = calm(0, 40)
    for second = 41, 70 do rows[#rows + 1] = { second, 99.99, 100.02 } end -- the middle moves by half a tick
    assert.same({ "99.92", "100.08" }, testing.pluck(run(rows).orders, "price"))
  end)

  -- Bought 20 at 99.92. Back at 100, equity is 10,001.6, full is 60.0096, so the quotes lean by
  -- 8 bps * 20 / 60.0096 = 0.0267: bid 99.8933 (down: 99.89), ask 100.0533 (up: 100.06).
  it("leans against what it holds", function()
    local result = run(testing.join(calm(0, 34), fall(35, 99.9), calm(36, 70)))
    assert.equal("20", result.positions[1].qty)
    assert.equal("99.92", result.positions[1].avg_price)
    assert.same({ "99.89", "100.06" }, { newest(result, "buy").price, newest(result, "sell").price })
  end)

  -- Each fill is at most 20.01 large. Three fit into 60 %, a fourth would not: from then on it only
  -- sells, though the market falls through every bid it could have made.
  it("withdraws a side when it is full", function()
    local result = run(three_falls())
    local bids = testing.find(result.orders, { side = "buy" })
    assert.equal(3, #bids)
    assert.same({ "filled", "filled", "filled" }, testing.pluck(bids, "status"))
    assert.is_true(tonumber(result.positions[1].qty) * 100 <= 0.6 * tonumber(result.equity))
    assert.equal(1, #testing.find(result.orders, { side = "sell" }))
  end)

  -- Leaning by 2 % at two thirds full would put the ask at 98.75, far below the bid.
  it("never crosses, however far it leans", function()
    local result = run(testing.join(calm(0, 34), fall(35, 99.8), calm(36, 64), fall(65, 97), calm(66, 100)),
      { lean = 200 })
    assert.equal("100.01", newest(result, "sell").price) -- the touch: no better
    for _, fill in ipairs(result.journal.fills) do assert.equal("maker", fill.liquidity) end
    assert.equal(0, result.counts.rejected)
  end)

  it("finds its quotes again after a reload", function()
    local path = testing.write("maker.lua", testing.read("strategies/market_maker.lua"))
    local result = run(calm(0, 100), nil, { strategy = path, pauses = { { 45, function()
      testing.overwrite(path, (testing.read(path):gsub('version = "[%d.]+"', 'version = "9"')))
    end } } })
    assert.equal(2, result.counts.submitted)
  end)

  it("refuses a quote larger than the position it may have", function()
    local result, message, code = testing.run({ strategy = "strategies/market_maker.lua",
                                                params = { weight = 0.7 }, feed = testing.quotes(calm(0,
                                                  2)) })
    assert.is_nil(result)
    assert.equal(testing.USAGE, code)
    assert.matches("weight must not be above most", message)
  end)

  -- The embedded market, as `make run` shows it: it must be seen to trade.
  it("fills on both sides within an hour of sim, always as the maker", function()
    for seed = 1, 3 do
      local result = testing.run_well({ strategy = "strategies/market_maker.lua", capital = 100, config = "",
        terms = "{}", symbols = false, words = { "--duration", "3600", "--seed", seed } })
      local sides = { buy = 0, sell = 0 }
      for _, fill in ipairs(result.journal.fills) do
        sides[fill.side] = sides[fill.side] + 1
        assert.equal("maker", fill.liquidity)
      end
      assert.is_true(sides.buy >= 5 and sides.sell >= 5,
        ("seed %d: %d and %d"):format(seed, sides.buy, sides.sell))
    end
  end)
end)
