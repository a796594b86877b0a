-- Paper trading on recorded data: every layout of the contract, and equal results for equal input.
--
-- The same trades, bars or quotes are written in each layout that can hold them. What a file looks
-- like must not matter: all layouts of one market have one result_hash.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"

local TICKS = support.busy

local BARS = [[
local S = { api = 1, name = "alternate", version = "1.0.0" }
local fast
function S.on_start(ctx) fast = ctx:bars("1m"):sma(3) end
function S.on_bar(ctx, bar)
  if bar.close > fast[1] and ctx:position().qty == 0 then ctx:buy(0.01)
  elseif bar.close < fast[1] and ctx:position().qty > 0 then ctx:close() end
end
return S
]]

local QUOTES = [[
local S = { api = 1, name = "quoting", version = "1.0.0" }
local seen = 0
function S.on_quote(ctx, quote)
  seen = seen + 1
  if seen % 7 ~= 0 then return end
  if ctx:position().qty > 0 then ctx:close() else ctx:buy(0.01, { type = "limit", price = quote.ask }) end
end
return S
]]

local function iso(ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", ms // 1000) .. (".%03dZ"):format(ms % 1000)
end

local function table_of(header, list, line_of)
  local lines = { header }
  for i, row in ipairs(list) do lines[#lines + 1] = line_of(row, i) end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- the layouts of trades ---------------------------------------------------------------------------

local trades = support.walk(1500)

local function binance_trades(header, unit, tail)
  return table_of(header, trades, function(row, i)
    return ("%d,%s,%s,%s,%s,%s%s"):format(100 + i, row.price, row.qty, "1.0", row.ms .. unit,
      row.sell and "true" or "false", tail)
  end)
end

local function agg_trades(header, unit, tail)
  return table_of(header, trades, function(row, i)
    return ("%d,%s,%s,%d,%d,%s,%s%s"):format(100 + i, row.price, row.qty, 200 + i, 200 + i, row.ms .. unit,
      row.sell and "true" or "false", tail)
  end)
end

local function generic_trades(header, time_of)
  return table_of(header, trades, function(row)
    return ("%s,%s,%s,%s"):format(time_of(row.ms), row.price, row.qty, row.sell and "sell" or "buy")
  end)
end

local trade_files = {
  ["Binance trades in ms"] = binance_trades(nil, "", ",True"),
  ["Binance trades in us"] = binance_trades(nil, "000", ",True"),
  ["Binance futures trades with header"] =
    binance_trades("id,price,qty,quote_qty,time,is_buyer_maker", "", ""),
  ["Binance aggTrades in ms"] = agg_trades(nil, "", ",True"),
  ["Binance aggTrades in us"] = agg_trades(nil, "000", ",True"),
  ["Binance futures aggTrades with header"] = agg_trades(
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", "", ""),
  ["CSV with time in ms"] = generic_trades("time,price,qty,side", tostring),
  ["CSV with ts in ns"] = generic_trades("ts,price,size,side", function(ms) return ms .. "000000" end),
  ["CSV with timestamp in us"] = generic_trades("timestamp,price,amount,side",
    function(ms) return ms .. "000" end),
  ["CSV with time in s"] = generic_trades("time,price,quantity,side",
    function(ms) return tostring(ms // 1000) end),
  ["CSV with ISO 8601 time"] = generic_trades("Time,Price,Qty,Side", iso),
  ["CSV with CRLF"] = generic_trades("time,price,qty,side", tostring):gsub("\n", "\r\n"),
}

-- ---- of bars -----------------------------------------------------------------------------------------

local function bar_rows()
  local random, list, close = support.random(11), {}, 10000
  for i = 1, 240 do
    local open = close
    close = open + random(101) - 50
    local high, low = math.max(open, close) + random(20), math.min(open, close) - random(20)
    local function price(cents) return ("%d.%02d"):format(cents // 100, cents % 100) end
    list[i] = { ms = support.start_ms - 20000 + i * 60000, open = price(open), high = price(high),
                low = price(low), close = price(close),
                volume = ("%d.%04d"):format(random(90), random(10000)) }
  end
  return list
end

local bars = bar_rows()

local function klines(header, unit)
  return table_of(header, bars, function(row)
    local last = unit == "" and row.ms + 59999 .. "" or row.ms + 59999 .. "999"
    return ("%s,%s,%s,%s,%s,%s,%s,1.0,10,0.5,0.5,0"):format(row.ms .. unit, row.open, row.high, row.low,
      row.close, row.volume, last)
  end)
end

local function generic_bars(header, time_of)
  return table_of(header, bars, function(row)
    return ("%s,%s,%s,%s,%s,%s"):format(time_of(row.ms), row.open, row.high, row.low, row.close, row.volume)
  end)
end

local KLINE_HEADER = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume," ..
  "taker_buy_quote_volume,ignore"

local bar_files = {
  ["Binance klines in ms"] = klines(nil, ""),
  ["Binance klines in us"] = klines(nil, "000"),
  ["Binance klines with header"] = klines(KLINE_HEADER, ""),
  ["Binance klines with header in us"] = klines(KLINE_HEADER, "000"),
  ["CSV bars in ms"] = generic_bars("time,open,high,low,close,volume", tostring),
  ["CSV bars with ISO 8601 time"] = generic_bars("timestamp,open,high,low,close,volume", iso),
}

-- ---- of quotes ---------------------------------------------------------------------------------------

local function quotes_in(header, line_of)
  return table_of(header, support.walk(600), function(row, i)
    local ask = row.cents + 5
    return line_of(row.ms, row.price, row.qty, ("%d.%02d"):format(ask // 100, ask % 100), row.qty, i)
  end)
end

local quote_files = {
  ["Binance bookTicker with header"] = quotes_in(
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    function(ms, bid, bid_qty, ask, ask_qty, i)
      return ("%d,%s,%s,%s,%s,%d,%d"):format(i, bid, bid_qty, ask, ask_qty, ms, ms)
    end),
  ["CSV quotes"] = quotes_in("time,bid,ask,bid_qty,ask_qty", function(ms, bid, bid_qty, ask, ask_qty)
    return ("%d,%s,%s,%s,%s"):format(ms, bid, ask, bid_qty, ask_qty)
  end),
  ["CSV quotes with ISO 8601 time"] = quotes_in("ts,bid,bid_qty,ask,ask_qty",
    function(ms, bid, bid_qty, ask, ask_qty)
      return ("%s,%s,%s,%s,%s"):format(iso(ms), bid, bid_qty, ask, ask_qty)
    end),
}

-- ---- running them ------------------------------------------------------------------------------------

local cwd
local function setup()
  cwd = support.directory()
  support.write(cwd .. "/ticks.lua", TICKS)
  support.write(cwd .. "/bars.lua", BARS)
  support.write(cwd .. "/quotes.lua", QUOTES)
end

local function summary_of(strategy, feed, ...)
  local result = support.expect(0, { strategy, "--feed", feed, "--speed", "max", "--json", "--symbols",
                                     SYMBOL, "--capital", "1000", ... }, { cwd = cwd })
  return support.json(result.out)
end

local function sorted(files)
  local names = {}
  for name in pairs(files) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- Each layout, plain and compressed, gives the first one's hash.
local function all_equal(strategy, files, rows)
  local first
  for _, name in ipairs(sorted(files)) do
    it("reads " .. name, function()
      setup()
      support.write(cwd .. "/feed.csv", files[name])
      local plain = summary_of(strategy, "feed.csv")
      assert.truthy(plain.fills >= 10, "only " .. plain.fills .. " fills")
      assert.equal(rows, plain.data.rows)
      assert.equal(1, plain.data.files)
      assert.equal(0, plain.data.skipped)
      first = first or plain.result_hash
      assert.equal(first, plain.result_hash)
      support.gzip(cwd .. "/feed.csv")
      assert.equal(first, summary_of(strategy, "feed.csv.gz").result_hash)
    end)
  end
end

describe("trades on a feed:", function()
  after_each(support.cleanup)
  all_equal("ticks.lua", trade_files, 1500)
end)

describe("bars on a feed:", function()
  after_each(support.cleanup)
  all_equal("bars.lua", bar_files, 240)
end)

describe("quotes on a feed:", function()
  after_each(support.cleanup)
  all_equal("quotes.lua", quote_files, 600)
end)

describe("a feed", function()
  before_each(function()
    setup()
    support.write(cwd .. "/feed.csv", trade_files["CSV with time in ms"])
  end)
  after_each(support.cleanup)

  it("gives the same result each time, and another for another param", function()
    local first, second = summary_of("ticks.lua", "feed.csv"), summary_of("ticks.lua", "feed.csv")
    assert.same(first, second)
    local other = summary_of("ticks.lua", "feed.csv", "--param", "every=11")
    assert.not_equal(first.result_hash, other.result_hash)
  end)

  it("gives another result for another seed where the strategy rolls dice", function()
    support.write(cwd .. "/dice.lua", [[
local S = { api = 1, name = "dice", version = "1.0.0" }
function S.on_tick(ctx)
  if math.random(10) > 1 then return end
  if ctx:position().qty > 0 then ctx:close() else ctx:buy(0.01) end
end
return S
]])
    local hashes = {}
    for i, seed in ipairs({ "1", "1", "2" }) do
      hashes[i] = summary_of("dice.lua", "feed.csv", "--seed", seed).result_hash
    end
    assert.equal(hashes[1], hashes[2])
    assert.not_equal(hashes[1], hashes[3])
  end)

  it("gives the same result at a pace", function()
    local quick = summary_of("ticks.lua", "feed.csv", "--duration", "300")
    local paced = summary_of("ticks.lua", "feed.csv", "--duration", "300", "--speed", "300")
    assert.equal(quick.result_hash, paced.result_hash)
  end)

  it("tells what the data was", function()
    local summary = summary_of("ticks.lua", "feed.csv")
    assert.equal(iso(trades[1].ms):gsub("Z$", "000000Z"), summary.data.first)
    assert.equal(iso(trades[#trades].ms):gsub("Z$", "000000Z"), summary.data.last)
    assert.equal(#trades, summary.trades_seen)
    assert.equal(summary.data.first, summary.started)
    local result = support.expect(0, { "ticks.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed",
                                       "max" }, { cwd = cwd })
    assert.truthy(result.out:find("ticks and lots:[^\n]*feed.csv"), result.out)
  end)

  it("accounts for every cent", function()
    local summary = summary_of("ticks.lua", "feed.csv")
    assert.equal(support.sum(summary.equity_end),
      support.sum(summary.equity_start, summary.realized_pnl, summary.unrealized_pnl,
        "-" .. summary.fees, summary.funding))
  end)

  it("names its symbol itself: SYMBOL=FILE", function()
    local result = support.expect(0, { "ticks.lua", "--feed", "ETH/USDT:USDT=feed.csv", "--speed", "max",
                                       "--json" }, { cwd = cwd })
    assert.same({ "ETH/USDT:USDT" }, support.json(result.out).symbols)
  end)

  it("may be several files, merged by time", function()
    local walk = support.walk(500, { seed = 3, every_ms = 1500 })
    support.write(cwd .. "/eth.csv", support.trades_csv(walk))
    local words = { "ticks.lua", "--feed", "BTC/USDT:USDT=feed.csv", "--feed", "ETH/USDT:USDT=eth.csv",
                    "--speed", "max", "--json" }
    local first = support.json(support.expect(0, words, { cwd = cwd }).out)
    assert.equal(2, first.data.files)
    assert.equal(2000, first.data.rows)
    assert.equal(2000, first.trades_seen)
    assert.same({ "BTC/USDT:USDT", "ETH/USDT:USDT" }, first.symbols)
    assert.equal(first.result_hash, support.json(support.expect(0, words, { cwd = cwd }).out).result_hash)
  end)

  it("is taken from --data as well", function()
    local result = support.expect(0, { "ticks.lua", "--paper", "--data", "feed.csv", "--symbols", SYMBOL,
                                       "--capital", "1000", "--speed", "max", "--json" }, { cwd = cwd })
    assert.equal(summary_of("ticks.lua", "feed.csv").result_hash, support.json(result.out).result_hash)
  end)

  it("takes names for the columns of a file without header", function()
    support.write(cwd .. "/bare.csv", (trade_files["CSV with time in ms"]:gsub("^[^\n]*\n", "")))
    local summary = summary_of("ticks.lua", "bare.csv", "--columns", "time,price,qty,side")
    assert.equal(summary_of("ticks.lua", "feed.csv").result_hash, summary.result_hash)
  end)

  it("is sorted with --sort, and says so", function()
    local lines = {}
    for line in trade_files["CSV with time in ms"]:gmatch("[^\n]+\n") do lines[#lines + 1] = line end
    lines[700], lines[701] = lines[701], lines[700]
    support.write(cwd .. "/mixed.csv", table.concat(lines))
    local summary = summary_of("ticks.lua", "mixed.csv", "--sort")
    assert.equal(summary_of("ticks.lua", "feed.csv").result_hash, summary.result_hash)
    assert.truthy(summary.data.sorted > 0)
  end)

  it("goes on after bad rows when told to, and counts them", function()
    local text = trade_files["CSV with time in ms"]
    support.write(cwd .. "/holes.csv", text .. ("%d,oops,1,buy\n"):format(trades[#trades].ms))
    local summary = summary_of("ticks.lua", "holes.csv", "--skip-bad-rows", "1")
    assert.equal(1, summary.data.skipped)
    assert.equal(summary_of("ticks.lua", "feed.csv").result_hash, summary.result_hash)
  end)

  it("ends after --duration of market time", function()
    local summary = summary_of("ticks.lua", "feed.csv", "--duration", "100")
    assert.truthy(summary.trades_seen >= 100 and summary.trades_seen <= 101, tostring(summary.trades_seen))
  end)

  for tool, words in pairs({
    zstd = "zstd -q feed.csv -o feed.csv.zst", zip = "zip -q feed.csv.zip feed.csv",
  }) do
    it("is read from a file that " .. tool .. " made", function()
      if support.shell("command -v " .. tool .. " >/dev/null") ~= 0 then
        pending(tool .. " is not on this machine")
        return
      end
      assert.equal(0, support.shell("cd " .. support.quote(cwd) .. " && " .. words))
      assert.equal(summary_of("ticks.lua", "feed.csv").result_hash,
        summary_of("ticks.lua", words:match("%S+%.zs?[ti]p?")).result_hash)
    end)
  end

  it("runs one real day of Binance trades", function()
    local path = support.root .. "/../shared/data/crypto/trades/btcusdt_binance_trades_2022-01-15.csv.gz"
    if not support.exists(path) then
      pending("the recorded day is not on this machine")
      return
    end
    local first = support.expect(0, { support.root .. "/strategies/momentum.lua", "--feed", path, "--symbols",
                                      SYMBOL, "--speed", "max", "--json" }, { cwd = cwd })
    local again = support.expect(0, { support.root .. "/strategies/momentum.lua", "--feed", path, "--symbols",
                                      SYMBOL, "--speed", "max", "--json", "--state", "other" }, { cwd = cwd })
    assert.equal(first.out, again.out)
    local summary = support.json(first.out)
    assert.equal(451466, summary.data.rows)
    assert.equal(451466, summary.trades_seen)
    assert.truthy(summary.fills > 10)
  end)
end)
