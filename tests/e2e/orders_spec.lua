-- Orders that wait at the paper venue for something: what a kill -9 and a restart leave of them.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local cwd

-- Holds 0.02; a trailing stop for one half, a linked pair for the other, and a bid with an end.
local WAITER = [[
local S = { api = 1, name = "waiter", version = "1", params = { trail = { "0.5%" } } }
function S.on_start(ctx)
  ctx.state.starts = (ctx.state.starts or 0) + 1
  local list = {}
  for i, order in ipairs(ctx:orders()) do
    local more = order.trail or order.expires or "-"
    list[i] = ("%s:%s:%s:%s"):format(order.tag, order.type, order.status, more)
  end
  ctx:log("start %d: %s", ctx.state.starts, table.concat(list, " "))
end
function S.on_tick(ctx)
  if ctx.state.begun then return end
  ctx.state.begun = true
  ctx:buy(0.02, { tag = "entry" })
end
function S.on_fill(ctx, fill, p)
  if fill.tag ~= "entry" or ctx:position().qty < 0.02 then return end
  local half = { side = "sell", qty = 0.01, reduce_only = true }
  local function order(more)
    for name, value in pairs(half) do more[name] = value end
    return more
  end
  assert(ctx:submit(order{ type = "trailing", trail = p.trail, tag = "trail" }))
  assert(ctx:oco{ order{ type = "limit", price = fill.price * 1.5, tag = "take" },
                  order{ type = "stop", trigger_price = fill.price * 0.5, tag = "stop" } })
  assert(ctx:buy(0.01, { type = "limit", price = fill.price * 0.5, tif = "gtd", tag = "bid",
                         expires = ctx:now() + 864000 }))
end
return S
]]

local function words(...)
  return { "waiter.lua", "--symbols", SYMBOL, "--capital", "10000", "--json", ... }
end

local function query(sql) return support.query(cwd .. "/artifacts/ledger-paper.sqlite", sql) end

local OPEN = "select order_id, client_order_id, type, status, qty, price, trigger_price, trail, " ..
  "expires_ns, group_id, tag from orders where status = 'new' order by 1"

-- Runs until all four rest, then kills.
local function kill_when_armed(...)
  local run = support.start(words("--speed", "60", ...), { cwd = cwd })
  support.wait_for("four resting orders", 20, function()
    return query("select count(*) from orders where status = 'new'")[1] == "4"
  end, function() return run:err() end)
  run:signal("KILL")
  assert.equal(137, run:wait().code)
end

local function fills()
  return query("select order_id, side, qty, price, transact_ns from fills order by fill_id")
end

-- Changes the order with that tag behind the back of a ledger that nobody has open.
local function doctor(tag, changes)
  local sql = ("update orders set %s where tag = '%s'"):format(changes, tag)
  local ledger = cwd .. "/artifacts/ledger-paper.sqlite"
  assert.equal(0, support.shell(("sqlite3 %s %s"):format(support.quote(ledger), support.quote(sql))))
end

describe("after kill -9", function()
  before_each(function()
    cwd = support.directory()
    support.write(cwd .. "/waiter.lua", WAITER)
  end)
  after_each(support.cleanup)

  it("a trailing stop, a linked pair and a bid with an end rest as before", function()
    kill_when_armed("--param", "trail=30%")
    local before = query(OPEN)
    assert.equal(4, #before)
    local groups = query("select distinct group_id from orders where tag in ('take', 'stop')")
    assert.equal(1, #groups)
    assert.truthy(tonumber(groups[1]) > 0)
    local result = support.expect(0, words("--speed", "max", "--duration", "600", "--param", "trail=30%"),
      { cwd = cwd })
    assert.truthy(result.err:find("start 2: trail:trailing:new:30%% take:limit:new:%- stop:stop:new:%- " ..
      "bid:limit:new:%d"), result.err)
    assert.same(before, query(OPEN))
    assert.equal(1, #fills())
  end)

  -- The market is the same without crash and restarts, so the stop must fire at the same trade: its best
  -- price may lie sessions back.
  it("a trailing stop fires where it would have fired", function()
    kill_when_armed()
    local restarts = 0
    repeat
      support.expect(0, words("--speed", "max", "--duration", "60"), { cwd = cwd })
      restarts = restarts + 1
    until #fills() == 2 or restarts == 240
    local crashed = fills()
    cwd = support.directory()
    support.write(cwd .. "/waiter.lua", WAITER)
    support.expect(0, words("--speed", "max", "--duration", "14400"), { cwd = cwd })
    assert.equal(2, #fills(), "the trailing stop did not fire within the time: choose another one")
    assert.same(fills(), crashed)
    assert.truthy(restarts > 5)
  end)

  -- Market time stands still on sim while nobody runs, so the ledger says that it ended before.
  it("what expired while nobody ran ends at the restart and does not trade", function()
    kill_when_armed("--param", "trail=30%")
    doctor("bid", "expires_ns = created_ns + 1, price = '1000000'")
    support.expect(0, words("--speed", "max", "--duration", "600", "--param", "trail=30%"), { cwd = cwd })
    assert.same({ "expired|0" }, query("select status, filled_qty from orders where tag = 'bid'"))
    assert.equal(1, #fills())
    assert.equal(3, #query(OPEN))
  end)

  -- A fill of one takes the other along, though they were placed before the crash.
  it("a linked pair is still linked", function()
    kill_when_armed("--param", "trail=30%")
    doctor("take", "price = '1000'")
    support.expect(0, words("--speed", "max", "--duration", "600", "--param", "trail=30%"), { cwd = cwd })
    assert.same({ "take|filled|", "stop|canceled|oco" },
      query("select tag, status, reason from orders where tag in ('take', 'stop') order by order_id"))
    assert.equal(2, #fills())
  end)
end)

describe("a session that ends", function()
  after_each(support.cleanup)

  it("does not wait for orders that only have an end", function()
    cwd = support.directory()
    support.write(cwd .. "/waiter.lua", WAITER)
    local result = support.expect(0, words("--speed", "max", "--duration", "600", "--param", "trail=30%"),
      { cwd = cwd })
    assert.is_nil(result.err:find("still under way", 1, true), result.err)
    assert.truthy(support.json(result.out).ended < "2024-01-01T00:10:01")
  end)
end)
