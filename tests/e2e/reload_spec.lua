-- Saving a strategy file while it runs: what is swapped, what stays, what is refused.
--
-- The market is a paced feed that these tests write, so that the position stands where they want it:
-- a protected entry of 1.0 of which 0.3 is filled, with its stop and its take resting.
local support = require("e2e.support")

local cwd

-- One trade a second. The second one fills 0.3 of a buy limit at 100; the market then stays between
-- the stop at 95 and the take at 110, and above the entry.
local function feed()
  local lines = { "time,price,qty,side" }
  local random = support.random(5)
  for i = 1, 7200 do
    local price = i <= 3 and 10100 or i == 4 and 9950 or 10100 + random(100)
    lines[#lines + 1] = ("%d,%d.%02d,%s,%s"):format(support.start_ms + i * 1000, price // 100, price % 100,
      i == 4 and "0.3" or "0.5", i == 4 and "sell" or "buy")
  end
  return table.concat(lines, "\n") .. "\n"
end

local HOLDER = [[
local S = { api = 1, name = "holder", version = "1.0.0" }
S.params = { gain = { 1, min = 1, max = 5 } }
local seen = 0
local function tell(ctx, what)
  local open = {}
  for _, order in ipairs(ctx:orders()) do
    open[#open + 1] = order.side .. " " .. order.type .. " " .. order.remaining_qty
  end
  table.sort(open)
  ctx:log("%s: qty=%s count=%s open=[%s]", what, ctx:position().qty, ctx.state.count or 0,
    table.concat(open, "; "))
end
function S.on_start(ctx) ctx.state.starts = (ctx.state.starts or 0) + 1 end
function S.on_tick(ctx)
  seen = seen + 1
  if not ctx.state.entered then
    ctx.state.entered = true
    ctx:buy(1, { type = "limit", price = 100, stop = 95, take = 110, tag = "entry" })
  end
  if seen == 10 then tell(ctx, "steady") end
end
function S.on_fill(ctx, fill) ctx.state.count = (ctx.state.count or 0) + 1 end
function S.on_reload(ctx, old) tell(ctx, "reloaded from " .. old) end
return S
]]

local STEADY = "qty=0.3 count=1 open=[buy limit 0.7; sell limit 0.3; sell stop 0.3]"

local function version(source, number)
  return (source:gsub('version = "[^"]*"', ('version = "1.0.%d"'):format(number)))
end

local function save(source)
  support.save(cwd .. "/holder.lua", source)
end

local function orders()
  return support.query(cwd .. "/artifacts/ledger-paper.sqlite",
    "select order_id, side, type, qty, price, trigger_price, status, filled_qty from orders order by 1")
end

-- A run that stands in the position described above. 20 market seconds a second: 6 minutes at most.
-- files: others to write before, by their names. The ledger of a feed may lag, since a feed can be
-- replayed: this waits until it holds the three orders.
local function start(source, files, ...)
  cwd = support.directory()
  for name, text in pairs(files or {}) do support.write(cwd .. "/" .. name, text) end
  support.write(cwd .. "/holder.lua", source or HOLDER)
  support.write(cwd .. "/feed.csv", feed())
  local run = support.start({ "holder.lua", "--feed", "feed.csv", "--symbols", "BTC/USDT:USDT", "--speed",
                              "20", "--capital", "1000", "--json", ... }, { cwd = cwd })
  run:wait_for_log("steady: " .. STEADY)
  support.wait_for("three orders in the ledger", 10, function()
    local rows = orders()
    return #rows == 3 and rows[1]:find("partially_filled", 1, true)
  end, function() return table.concat(orders(), "\n") end)
  return run
end

-- Ends the run in order; the summary.
local function finish(run)
  run:signal("INT")
  local result = run:wait()
  assert.equal(0, result.code, support.told(result))
  return support.json(result.out), result
end

describe("saving the file", function()
  after_each(support.cleanup)

  it("swaps the code, tells both versions, and keeps position, orders and ctx.state", function()
    local run = start()
    local before = orders()
    assert.equal(3, #before)
    save(version(HOLDER, 1))
    run:wait_for_log("reloaded from 1.0.0: " .. STEADY)
    run:wait_for_log("strategy swapped")
    local line = run:err():match("[^\n]*strategy swapped[^\n]*")
    assert.truthy(line:find("old_version=1.0.0", 1, true), line)
    assert.truthy(line:find("new_version=1.0.1", 1, true), line)
    assert.same(before, orders())
    local summary = finish(run)
    assert.equal("1.0.1", summary.strategies[1].version)
    assert.equal("0.3", summary.positions[1].qty)
    assert.equal(1, summary.fills)
  end)

  it("uses the new code at once", function()
    local run = start()
    save((version(HOLDER, 1):gsub('if seen == 10 then tell', 'if seen == 5 then ctx:log("new code") tell')))
    run:wait_for_log("reloaded from 1.0.0")
    run:wait_for_log("new code")
    finish(run)
  end)

  it("migrates ctx.state when the file says how", function()
    local run = start()
    save(version(HOLDER, 1):gsub("return S\n$", [[
function S.migrate(state, old)
  state.count = state.count + 41
  state.from = old
  return state
end
return S
]]))
    run:wait_for_log("reloaded from 1.0.0: qty=0.3 count=42")
    finish(run)
    local state = support.query(cwd .. "/artifacts/ledger-paper.sqlite", "select body from strategy_state")
    assert.truthy(state[1]:find('"from":"1.0.0"', 1, true), state[1])
  end)

  it("does nothing when the bytes are the same", function()
    local run = start()
    save(HOLDER)
    save(HOLDER)
    save(version(HOLDER, 1))
    run:wait_for_log("strategy swapped")
    local _, swaps = run:err():gsub("strategy swapped", "")
    assert.equal(1, swaps)
    finish(run)
  end)

  it("is seen for a module under lib/ too", function()
    local source = 'local words = require("words")\n' ..
      HOLDER:gsub("function S.on_reload%(ctx, old%)", '%0 ctx:log("says %%s", words.greeting)')
    local run = start(source, { ["lib/words.lua"] = "return { greeting = 'hello' }\n" })
    support.save(cwd .. "/lib/words.lua", "return { greeting = 'goodbye' }\n")
    run:wait_for_log("says goodbye")
    finish(run)
  end)

  it("can be switched off", function()
    local run = start(HOLDER, { ["off.yaml"] = "reload: { watch: false }\n" }, "--config", "off.yaml")
    save(version(HOLDER, 1))
    -- Two flushes of the ledger later (they are a second apart) a watcher would long have seen it.
    local events = "select events from sessions"
    local database = cwd .. "/artifacts/ledger-paper.sqlite"
    local from = tonumber(support.query(database, events)[1])
    support.wait_for("forty more market events", 20, function()
      return (tonumber(support.query(database, events)[1]) or 0) > from + 40
    end)
    assert.is_nil(run:err():find("1.0.1", 1, true))
    assert.equal("1.0.0", finish(run).strategies[1].version)
  end)
end)

describe("a file that must not run is refused, and the old code goes on:", function()
  after_each(support.cleanup)

  -- Saves the source; the log must give the reason and the place; orders stay; a good file then works.
  local function refused(source, reason)
    local run = start()
    local before = orders()
    save(source)
    local at = run:wait_for_log("the old code goes on", 30)
    local line = run:err():match("[^\n]*the old code goes on[^\n]*")
    assert.truthy(line:find(reason, 1, true), line)
    assert.truthy(line:find("holder.lua", 1, true), line)
    assert.same(before, orders())
    assert.is_nil(run:code())
    save(version(HOLDER, 2))
    run:wait_for_log("reloaded from 1.0.0: " .. STEADY, 20, at)
    local summary = finish(run)
    assert.equal("1.0.2", summary.strategies[1].version)
    assert.equal("0.3", summary.positions[1].qty)
  end

  it("it does not parse", function()
    refused(version(HOLDER, 1):gsub("return S\n$", "return S end\n"), "holder.lua:")
  end)

  it("it fails while it is loaded", function()
    refused("error('no luck')\n" .. version(HOLDER, 1), "no luck")
  end)

  it("its description is wrong", function()
    refused(version(HOLDER, 1):gsub("function S.on_tick", "function S.on_tikc"), "on_tick")
  end)

  it("it returns nothing", function()
    refused(version(HOLDER, 1):gsub("return S\n$", "\n"), "return")
  end)

  it("it loops for ever while it is loaded", function()
    refused("while true do end\n" .. version(HOLDER, 1), "holder.lua:1")
  end)

  it("its on_start fails", function()
    refused(version(HOLDER, 1):gsub("function S.on_start%(ctx%)", "%0 error('not today')"), "not today")
  end)

  it("its on_start loops for ever", function()
    refused(version(HOLDER, 1):gsub("function S.on_start%(ctx%)", "%0 while true do end"), "holder.lua:")
  end)

  it("its migrate fails", function()
    refused(version(HOLDER, 1):gsub("return S\n$",
      "function S.migrate(state) error('cannot migrate') end\nreturn S\n"), "cannot migrate")
  end)

  it("it drops on_fill while orders are open", function()
    refused(version(HOLDER, 1):gsub("function S.on_fill.-end\n", ""), "on_fill")
  end)

  it("it has another name", function()
    refused(version(HOLDER, 1):gsub('name = "holder"', 'name = "other"'), "name")
  end)

  it("it takes the default of a param out of its range", function()
    refused(version(HOLDER, 1):gsub("{ 1, min = 1, max = 5 }", "{ 9, min = 1, max = 5 }"), "gain")
  end)

  it("it is bytecode, or empty", function()
    refused("\27Lua", "holder.lua")
    support.cleanup()
    refused("", "holder.lua")
  end)

  it("it is removed for a moment", function()
    local run = start()
    assert(os.remove(cwd .. "/holder.lua"))
    run:wait_for_log("the old code goes on")
    save(version(HOLDER, 1))
    run:wait_for_log("reloaded from 1.0.0: " .. STEADY)
    finish(run)
  end)
end)

describe("saving again and again", function()
  after_each(support.cleanup)

  local function descriptors(run)
    local count = 0
    local pipe = assert(io.popen("ls /proc/" .. run.pid .. "/fd"))
    for _ in pipe:lines() do count = count + 1 end
    pipe:close()
    return count
  end

  local function resident_kb(run)
    return tonumber(support.read("/proc/" .. run.pid .. "/status"):match("VmRSS:%s*(%d+)"))
  end

  -- Each save waits until the one before was swapped in, so none can be lost. Five to begin with: what
  -- is kept for later use has been made by then.
  it("leaves orders, state, descriptors and memory as they were", function()
    local run = start()
    local before, open, memory = orders(), nil, nil
    local at = 1
    for i = 1, 20 do
      save(version(HOLDER, i))
      at = run:wait_for_log(("reloaded from 1.0.%d: %s"):format(i - 1, STEADY), 20, at)
      if i == 5 then open, memory = descriptors(run), resident_kb(run) end
    end
    assert.same(before, orders())
    assert.equal(open, descriptors(run))
    -- The sanitizers keep freed blocks for a while (their quarantine), up to 256 MB.
    local bound_kb = support.sanitized and 64 * 1024 or 1024
    local grown = resident_kb(run) - memory
    assert.truthy(grown < bound_kb, "15 reloads took " .. grown .. " kB")
    local summary = finish(run)
    assert.equal("1.0.20", summary.strategies[1].version)
    assert.equal(1, summary.fills)
    assert.equal("0.3", summary.positions[1].qty)
  end)
end)
