-- Market hours through whole runs: a run that was killed between two sessions, or in one, hears of each
-- border once, and ends as if it had not been interrupted.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local ROWS = 12000 -- one each 36 s: from Monday, 2024-01-08, to the end of Friday
local cwd

local WORKER = [[
local S = { api = 1, name = "hours", version = "1" }
function S.on_session(ctx, venue, state)
  ctx.state.told = (ctx.state.told or "") .. state:sub(1, 1)
  ctx.state.closes = ctx:session(venue).closes
  if state == "open" then ctx:buy(math.random(3)) else ctx:close() end
end
function S.on_tick(ctx, tick)
  if math.random(50) == 1 then
    ctx:buy(1, { type = "limit", price = tick.price - math.random(20) / 10, tif = "day" })
  end
end
function S.on_stop(ctx) ctx:log("told " .. ctx.state.told) end
return S
]]

local function feed()
  local random, price, lines = support.random(11), 10000, { "time,price,qty,side" }
  for i = 0, ROWS - 1 do
    price = price + 5 * (random(3) - 1)
    lines[#lines + 1] = ("%d,%.2f,1,%s"):format(1704672000000 + i * 36000, price / 100,
      random(2) == 0 and "buy" or "sell")
  end
  return table.concat(lines, "\n") .. "\n"
end

local function words_for(state, speed)
  return { "hours.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", speed, "--capital", "10000",
           "--json", "--state", state }
end

local function stored(state)
  return support.query(cwd .. "/" .. state .. "/ledger-paper.sqlite",
    "select count(*) > 20 from trading_events")[1] == "1"
end

describe("market hours", function()
  setup(function()
    cwd = support.directory()
    support.write(cwd .. "/hours.lua", WORKER)
    support.write(cwd .. "/feed.csv", feed())
    support.write(cwd .. "/config/runtime.yaml", "calendar: { venues: { sim: nyse } }\n")
    local calendar = "/config/calendars/nyse.yaml"
    support.write(cwd .. calendar, support.read(support.root .. calendar))
  end)
  teardown(support.cleanup)

  it("are heard of once, also by a run that is killed and goes on", function()
    local whole = support.expect(0, words_for("whole", "max"), { cwd = cwd })
    local summary = support.json(whole.out)
    assert.truthy(whole.err:find('"told ocococococ"', 1, true), whole.err) -- Monday to Friday
    assert.truthy(summary.orders.expired > 0 and summary.orders.filled > 4, whole.out)
    for i = 1, 4 do
      local state = "state" .. i
      local run = support.start(words_for(state, "40000"), { cwd = cwd })
      support.wait_for("events in the ledger", 60, function() return stored(state) end,
        function() return run:err():sub(-3000) end)
      run:signal("KILL")
      assert.equal(137, run:wait(60).code)
      local again = support.expect(0, words_for(state, "max"), { cwd = cwd })
      assert.equal(whole.out, again.out)
      assert.truthy(again.err:find('"told ocococococ"', 1, true), again.err)
    end
  end)
end)
