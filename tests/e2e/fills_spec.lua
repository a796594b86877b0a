-- Every fill of a run is proved from the market data of that run by a program of its own:
-- tests/tools/fillcheck.lua shares no code with the binary.
local support = require("e2e.support")

local CHECKER = support.root .. "/tests/tools/fillcheck.lua"
local LATENCY_NS = "50000000" -- backtest.latency's default
local DATA = os.getenv("RUNTIME_SHARED_DATA") or support.root .. "/../shared/data"

-- The day files of a journal as one, header once.
local function gather(cwd, name)
  local command = "cd %s && awk 'FNR > 1 || NR == 1' state/journal/*/%s.csv > all/%s.csv"
  support.shell(command:format(cwd, name, name))
end

-- The checker's verdict on a run in cwd/state.
local function prove(cwd)
  support.shell("mkdir -p " .. cwd .. "/all")
  gather(cwd, "fills")
  gather(cwd, "orders")
  local pipe = assert(io.popen(("lua5.4 %s %s/all %s %s/state/recordings/*/*.csv 2>&1"):format(
    support.quote(CHECKER), cwd, LATENCY_NS, cwd)))
  local said = pipe:read("a")
  pipe:close()
  local proven, wrong = said:match("(%d+) fills proven, (%d+) not")
  assert(proven, said)
  return tonumber(proven), tonumber(wrong), said
end

local function run(cwd, ...)
  support.expect(0, { "--record", "--speed", "max", "--state", "state", "--quiet", ... }, { cwd = cwd })
end

local function strategy(name)
  return support.root .. "/strategies/" .. name .. ".lua"
end

local function all_proven(cwd, at_least)
  local proven, wrong, said = prove(cwd)
  assert.equal(0, wrong, said:sub(1, 2000))
  assert.truthy(proven >= at_least, "only " .. proven .. " fills")
end

local function bars_csv(count)
  local random, rows, close = support.random(5), { "time,open,high,low,close,volume" }, 1000000
  for i = 1, count do
    local open = close
    close = open + random(801) - 400
    local high, low = math.max(open, close) + random(200), math.min(open, close) - random(200)
    rows[#rows + 1] = ("%d,%.2f,%.2f,%.2f,%.2f,5.0"):format(support.start_ms - 20000 + i * 60000,
      open / 100, high / 100, low / 100, close / 100)
  end
  return table.concat(rows, "\n") .. "\n"
end

-- One order of each kind after the other, near the market; flat again every few minutes. The tag of a
-- trailing stop tells the checker its distance.
local TYPES = [[
local S = { api = 1, name = "types" }
local turn, kind = 0, 0
local function sorts(last, now)
  return {
    { type = "stop", trigger_price = last * 1.0002 },
    { type = "stop_limit", trigger_price = last * 1.0002, price = last * 1.0003 },
    { type = "trailing", trail = "0.03%", tag = "trail=0.03%" },
    { type = "trailing", trail = 12.5, tag = "trail=12.5" },
    { type = "limit", price = last * 0.9998, tif = "gtd", expires = now + 40 },
    { type = "limit", price = last * 1.0001, tif = "fok" },
    { type = "limit", price = last * 0.9997, tif = "day" },
    { type = "limit", price = last * 1.0002, tif = "ioc" },
    { type = "limit", price = last * 0.9999, post_only = true },
  }
end
function S.on_start(ctx) ctx:timer("turn", 60) end
function S.on_timer(ctx)
  turn = turn + 1
  local last = ctx:last()
  if not last then return end
  if turn % 3 == 0 then
    ctx:cancel_all()
    ctx:close_all()
    return
  end
  kind = kind % 9 + 1
  local order = sorts(last, ctx:now())[kind]
  order.side, order.qty = "buy", 0.005 * (1 + turn % 7)
  if turn % 2 == 0 and not order.price then
    order.side = "sell"
    if order.trigger_price then order.trigger_price = last * 0.9998 end
  end
  ctx:submit(order)
end
return S
]]

-- What of the orders of a run in cwd/state was filled: { ["trailing gtc"] = 35, ... }
local function filled_kinds(cwd)
  local kinds = {}
  for _, line in ipairs(support.journal(cwd .. "/state", "orders.csv")) do
    local row = support.fields(line)
    local kind = row[8] .. " " .. row[12]
    if row[13] == "filled" then kinds[kind] = (kinds[kind] or 0) + 1 end
  end
  return kinds
end

describe("each fill is one that the market offered", function()
  after_each(support.cleanup)

  for _, name in ipairs({ "momentum", "mean_reversion", "breakout", "market_maker" }) do
    it("on sim: " .. name, function()
      local cwd = support.directory()
      run(cwd, strategy(name), "--duration", "7200")
      all_proven(cwd, 3)
    end)
  end

  it("on sim: every type and time in force", function()
    local cwd = support.directory()
    support.write(cwd .. "/types.lua", TYPES)
    run(cwd, "types.lua", "--duration", "14400", "--symbols", "BTC/USDT:USDT", "--capital", "10000")
    all_proven(cwd, 150)
    local kinds = filled_kinds(cwd)
    for _, kind in ipairs({ "market gtc", "stop gtc", "stop_limit gtc", "trailing gtc", "limit gtc",
                            "limit gtd", "limit fok", "limit day", "limit ioc" }) do
      assert.truthy((kinds[kind] or 0) >= 5, kind .. ": " .. (kinds[kind] or 0))
    end
  end)

  it("on trades alone: every type and time in force", function()
    local cwd = support.directory()
    support.write(cwd .. "/types.lua", TYPES)
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(8000)))
    run(cwd, "types.lua", "--feed", "feed.csv", "--symbols", "BTC/USDT:USDT", "--capital", "10000")
    all_proven(cwd, 20)
  end)

  it("on trades alone", function()
    local cwd = support.directory()
    support.write(cwd .. "/busy.lua", support.busy)
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(2000)))
    run(cwd, "busy.lua", "--feed", "feed.csv", "--symbols", "BTC/USDT:USDT")
    all_proven(cwd, 100)
  end)

  for _, name in ipairs({ "momentum", "mean_reversion", "breakout" }) do
    it("on bars: " .. name, function()
      local cwd = support.directory()
      support.write(cwd .. "/bars.csv", bars_csv(1300))
      run(cwd, strategy(name), "--feed", "bars.csv", "--symbols", "BTC/USDT:USDT", "--capital", "100000")
      all_proven(cwd, 5)
    end)

    it("on recorded trades: " .. name, function()
      local file = DATA .. "/crypto/trades/btcusdt_binance_trades_2022-01-15.csv.gz"
      if not support.exists(file) then return pending("needs " .. file) end
      local cwd = support.directory()
      run(cwd, strategy(name), "--feed", file, "--symbols", "BTC/USDT:USDT", "--capital", "10000")
      all_proven(cwd, 20)
    end)
  end

  -- The checker must be able to say no: the same run with one thing changed.
  local lies = {
    { "a better price", "s/,sell,\\([0-9.]*\\),\\([0-9]*\\)\\./,sell,\\1,9\\2./" },
    { "a fill from before its order arrived",
      "s/^2024-01-01T00/2024-01-01T00:00:00.000000000Z#/;s/#[^,]*,/,/" },
    { "a quantity that was not ordered", "s/,buy,0\\./,buy,7./" },
  }
  -- The same of trailing stops: the distance asked for was another one.
  for _, lie in ipairs({ { "trail=12.5", "trail=30" }, { "trail=12.5", "trail=5" },
                         { "trail=0.03%", "trail=0.1%" }, { "trail=0.03%", "trail=0.01%" } }) do
    it(("and the checker tells %s from %s"):format(lie[1], lie[2]), function()
      local cwd = support.directory()
      support.write(cwd .. "/types.lua", TYPES)
      run(cwd, "types.lua", "--duration", "7200", "--symbols", "BTC/USDT:USDT", "--capital", "10000")
      support.shell(("sed -i 's/%s$/%s/' %s/state/journal/*/orders.csv"):format(lie[1], lie[2], cwd))
      local _, wrong, said = prove(cwd)
      assert.truthy(wrong > 0, said)
    end)
  end

  for _, lie in ipairs(lies) do
    it("and the checker finds " .. lie[1], function()
      local cwd = support.directory()
      run(cwd, strategy("momentum"), "--duration", "3600")
      local script = lie[2]:gsub(";", "; 2,$ ")
      support.shell(("sed -i '2,$ %s' %s/state/journal/*/fills.csv"):format(script, cwd))
      local _, wrong, said = prove(cwd)
      assert.truthy(wrong > 0, said)
    end)
  end
end)
