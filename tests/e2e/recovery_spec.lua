-- What is written, and what a crash at any instant leaves: the same command goes on and ends as if it
-- had never been interrupted.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local cwd

local HEADERS = {
  ["orders.csv"] = "time,order_id,client_order_id,strategy,venue,symbol,side,type,qty,price,trigger_price," ..
    "tif,status,filled_qty,avg_price,reason,tag",
  ["fills.csv"] = "time,exec_id,order_id,client_order_id,strategy,venue,symbol,side,qty,price,fee," ..
    "fee_currency,liquidity",
  ["trades.csv"] = "opened,closed,strategy,symbol,side,qty,entry_price,exit_price,gross_pnl,fees,net_pnl," ..
    "bars_held,tag",
}

-- Uses all that must survive: Lua locals, ctx.state, dice, series, timers, resting and protected orders.
local WORKER = [[
local S = { api = 1, name = "worker", version = "1.0.0" }
local seen, ema, pulse = 0, nil, 0
function S.on_start(ctx)
  ema = ctx:bars("1m"):ema(3)
  ctx:timer("pulse", 45)
end
function S.on_timer(ctx)
  pulse = pulse + 1
  if pulse % 5 == 0 then ctx:cancel_all() end
end
function S.on_tick(ctx, tick)
  seen = seen + 1
  ctx.state.seen = (ctx.state.seen or 0) + 1
  local held = ctx:position().qty
  local dice = math.random(100)
  if dice <= 4 and held == 0 then
    ctx:buy(0.5, { stop = tick.price - 0.4, take = tick.price + 0.4, tag = "protected " .. seen })
  elseif dice <= 8 then
    ctx:buy(0.2, { type = "limit", price = tick.price - 0.1 * math.random(5), tag = "bid" })
  elseif dice <= 10 then
    ctx:sell(5, { type = "limit", price = tick.price + 0.05, reduce_only = true })
  elseif dice == 11 then
    ctx:buy(1000000) -- more than the money: blocked
  elseif dice == 12 and ema[1] and tick.price > ema[1] then
    ctx:close({ tag = "exit" })
  end
end
function S.on_fill(ctx, fill)
  ctx.state.fills = (ctx.state.fills or 0) + 1
  ctx.state.last = { id = fill.exec_id or "", qty = fill.qty, dice = math.random(1000) }
end
return S
]]

local FEED_ROWS = 6000
-- In the foreground timeout waits until what it killed is gone, and with it its lock.
local KILL_AFTER = "--foreground --preserve-status -s KILL %.4f"
local ROUNDS = support.sanitized and 25 or 100 -- of kill -9

local function words_for(state, ...)
  return { "worker.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", "max", "--capital", "1000",
           "--json", "--state", state, ... }
end

-- Times differ from run to run in nothing; of ids only what is drawn once for a ledger: "r", four
-- letters of the ledger and six of the session.
local function without_prefix(text)
  return (text:gsub("%f[%w]r%w%w%w%w%w%w%w%w%w%w(%w%w%w%w%w%w)%f[%W]", "ID%1"))
end

-- All that a user can see of a finished run.
local function remains(state)
  local seen = {}
  for name in pairs(HEADERS) do
    seen[name] = without_prefix(table.concat(support.journal(cwd .. "/" .. state, name), "\n"))
  end
  local database = cwd .. "/" .. state .. "/ledger-paper.sqlite"
  for name, sql in pairs({
    positions = "select * from positions order by 1, 2, 3",
    state = "select instance_id, event, body from strategy_state order by 1",
    fills = [[select exec_id, order_id, side, qty, price, fee, liquidity, transact_ns from fills
      order by fill_id]],
    orders = [[select order_id, status, qty, price, trigger_price, filled_qty, notional, fees, reason, tag,
      created_ns, updated_ns, group_id, parent_order_id, role from orders order by 1]],
    events = "select seq, session_id, time_ns, event, kind, order_id from trading_events order by 1",
    sessions = "select session_id, started_ns, market_ns, ended_ns, events from sessions",
  }) do
    seen[name] = table.concat(support.query(database, sql), "\n")
  end
  local path = cwd .. "/" .. state .. "/checkpoints/paper_state_latest.json"
  seen.checkpoint = without_prefix(support.read(path))
  assert(support.json(seen.checkpoint))
  return seen
end

-- Did its session end in order? No ledger, or none of its tables yet: it did not.
local function ended(state)
  local database = cwd .. "/" .. state .. "/ledger-paper.sqlite"
  local answer = support.exists(database) and support.query(database,
    "select count(*) from sessions where ended_ns is not null")[1] or "0"
  assert(tonumber(answer) or answer:find("no such table"), answer)
  return answer == "1"
end

local function setup()
  cwd = support.directory()
  support.write(cwd .. "/worker.lua", WORKER)
  support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(FEED_ROWS)))
end

describe("the state directory", function()
  before_each(setup)
  after_each(support.cleanup)

  it("holds the files of the contract", function()
    support.expect(0, words_for("state"), { cwd = cwd })
    for _, name in ipairs({ "ledger-paper.sqlite", "checkpoints/paper_state_latest.json", "logs/events.jsonl",
                            "backups" }) do
      assert.truthy(support.exists(cwd .. "/state/" .. name), name)
    end
    for _, name in ipairs({ "orders.csv", "fills.csv", "trades.csv" }) do
      local text = support.read(cwd .. "/state/journal/2023-11-14/" .. name)
      assert.truthy(text, name)
      assert.equal(HEADERS[name], text:match("^[^\n]*"))
      assert.is_nil(text:find("\r", 1, true))
      assert.equal("\n", text:sub(-1))
    end
  end)

  it("holds journals whose rows agree with each other and with the summary", function()
    local summary = support.json(support.expect(0, words_for("state"), { cwd = cwd }).out)
    local time = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d%d%d%dZ$"
    local fills, fees = support.journal(cwd .. "/state", "fills.csv"), {}
    assert.equal(summary.fills, #fills)
    for i, line in ipairs(fills) do
      local fields = support.fields(line)
      assert.equal(13, #fields, line)
      assert.truthy(fields[1]:match(time), line)
      fees[i] = fields[11]
    end
    assert.equal(support.sum(summary.fees), support.sum(table.unpack(fees)))
    local last, blocked = {}, 0
    for _, line in ipairs(support.journal(cwd .. "/state", "orders.csv")) do
      local fields = support.fields(line)
      assert.equal(17, #fields, line)
      if fields[13] == "blocked" then
        blocked = blocked + 1
        assert.same({ "", "" }, { fields[2], fields[3] })
      else
        last[fields[2]] = fields[13]
      end
    end
    local counts = { filled = 0, canceled = 0 }
    for _, status in pairs(last) do counts[status] = (counts[status] or 0) + 1 end
    assert.equal(summary.orders.filled, counts.filled)
    assert.equal(summary.orders.canceled, counts.canceled)
    assert.equal(summary.orders.blocked, blocked)
    local gross = {}
    local trips = support.journal(cwd .. "/state", "trades.csv")
    assert.equal(summary.round_trips, #trips)
    for i, line in ipairs(trips) do
      local fields = support.fields(line)
      assert.equal(13, #fields, line)
      assert.equal(support.sum(fields[11]), support.sum(fields[9], "-" .. fields[10]), line)
      gross[i] = fields[9]
    end
    if #summary.positions == 0 then
      assert.equal(support.sum(summary.realized_pnl), support.sum(table.unpack(gross)))
    end
  end)

  it("holds a new session for the same command after a clean end", function()
    local first = support.expect(0, words_for("state"), { cwd = cwd })
    local second = support.expect(0, words_for("state"), { cwd = cwd })
    assert.equal(first.out, second.out)
    assert.same({ "1|1", "2|1" }, support.query(cwd .. "/state/ledger-paper.sqlite",
      "select session_id, ended_ns is not null from sessions order by 1"))
    assert.same({ "0" }, support.query(cwd .. "/state/ledger-paper.sqlite",
      "select count(*) - count(distinct client_order_id) from orders"))
  end)

  it("is moved aside by --fresh, and begun anew", function()
    local first = support.expect(0, words_for("state"), { cwd = cwd })
    local second = support.expect(0, words_for("state", "--fresh"), { cwd = cwd })
    assert.equal(first.out, second.out)
    local moved = {}
    for _, name in ipairs(support.files(cwd .. "/state/backups")) do
      moved[#moved + 1] = name:match("^[^/]+/(.*)")
    end
    for _, name in ipairs({ "ledger-paper.sqlite", "paper_state_latest.json",
                            "journal/2023-11-14/orders.csv" }) do
      assert.truthy(table.concat(moved, "\n"):find(name, 1, true), name .. " was not moved")
    end
    assert.same({ "1" }, support.query(cwd .. "/state/ledger-paper.sqlite", "select count(*) from sessions"))
  end)

  it("has one user at a time: the second gets 69", function()
    local run = support.start({ "worker.lua", "--symbols", SYMBOL, "--speed", "60", "--state", "state" },
      { cwd = cwd })
    run:wait_for_running()
    local result = support.expect(69, words_for("state"), { cwd = cwd })
    assert.truthy(result.err:find("state", 1, true), result.err)
    assert.equal(69, support.json(result.out).error.code)
    run:signal("INT")
    assert.equal(0, run:wait().code)
    support.expect(0, words_for("state"), { cwd = cwd })
  end)

  it("must be writable: 74", function()
    support.write(cwd .. "/file", "no directory")
    support.expect(74, words_for("file"), { cwd = cwd })
    support.expect(74, words_for("file/below"), { cwd = cwd })
    support.expect(74, words_for("/proc/none"), { cwd = cwd })
    if support.first_line("id -u") ~= "0" then
      support.write(cwd .. "/shut/x", "")
      assert.equal(0, support.shell("chmod a-w " .. support.quote(cwd .. "/shut")))
      support.expect(74, words_for("shut"), { cwd = cwd })
    end
  end)

  it("with a ledger that is none is refused: 74, and the file stays", function()
    support.write(cwd .. "/state/ledger-paper.sqlite", ("this is no ledger\n"):rep(100))
    support.expect(74, words_for("state"), { cwd = cwd })
    assert.equal(("this is no ledger\n"):rep(100), support.read(cwd .. "/state/ledger-paper.sqlite"))
  end)

  it("with another program's database, or a newer ledger, is refused: 65, and not a byte changes", function()
    local path = cwd .. "/state/ledger-paper.sqlite"
    assert.equal(0, support.shell("mkdir -p " .. support.quote(cwd .. "/state")))
    local function refused(sql, words)
      assert.equal(0, support.shell("sqlite3 " .. support.quote(path) .. " " .. support.quote(sql)))
      local before = support.read(path)
      local result = support.expect(65, words_for("state"), { cwd = cwd })
      assert.truthy(result.err:find(words, 1, true), result.err)
      assert.is_true(before == support.read(path), "the file was changed")
      support.expect(65, { "audit", "verify", "--state", "state" }, { cwd = cwd })
      assert.is_true(before == support.read(path), "the file was changed")
    end
    refused("CREATE TABLE notes(a); INSERT INTO notes VALUES (1)", "of another program")
    refused("PRAGMA application_id = 0x72746c67; PRAGMA user_version = 99", "schema version 99")
  end)
end)

describe("a run on a feed that is killed", function()
  before_each(setup)
  after_each(support.cleanup)

  local function nanoseconds()
    return tonumber(support.first_line("date +%s%N"))
  end

  -- The whole run once, for what it leaves and for how long it takes here.
  local function whole_run()
    support.expect(0, words_for("warm"), { cwd = cwd })
    local began = nanoseconds()
    local result = support.expect(0, words_for("whole"), { cwd = cwd })
    local took = (nanoseconds() - began) / 1e9
    local summary = support.json(result.out)
    assert.truthy(summary.fills > 200 and summary.orders.blocked > 20 and summary.orders.canceled > 50,
      "the worker does too little: " .. result.out)
    return result.out, remains("whole"), took
  end

  local function forget_checkpoint(state)
    os.remove(cwd .. "/" .. state .. "/checkpoints/paper_state_latest.json")
  end

  -- Starts the same command again until it ends, killing it on the way at those shares of the time that
  -- a whole run takes. Nothing is returned when it had ended before: the next would be a new session.
  local function go_on(state, shares, took)
    for _, share in ipairs(shares) do
      local result = support.run(words_for(state), { cwd = cwd,
        limits = KILL_AFTER:format(math.max(share * took, 0.001)) })
      if result.code == 0 then return result.out end
      if ended(state) then return nil end
      assert.equal(137, result.code, support.told(result))
      forget_checkpoint(state)
    end
    return support.expect(0, words_for(state), { cwd = cwd }).out
  end

  local function check(state, printed, out, wanted, how)
    if printed then assert.equal(out, printed, how) end
    for name, text in pairs(remains(state)) do
      support.same_lines(wanted[name], text, how .. ": " .. name)
    end
    support.shell("rm -rf " .. support.quote(cwd .. "/" .. state))
  end

  it(("ends as if it had not been, %d times at full speed"):format(ROUNDS // 5), function()
    local out, wanted, took = whole_run()
    local random = support.random(os.time())
    for i = 1, ROUNDS // 5 do
      local shares = {}
      for k = 1, 1 + i % 3 do shares[k] = random(950) / 1000 end
      local how = ("killed at %s of %.3f s"):format(table.concat(shares, ", "), took)
      check("state" .. i, go_on("state" .. i, shares, took), out, wanted, how)
    end
  end)

  -- At full speed the whole run is shorter than the second between two commits of a feed's ledger. Here
  -- it takes three, several at once; speed is no part of what a session is.
  local function words_in(state, seconds)
    local words = words_for(state)
    for k, word in ipairs(words) do if word == "max" then words[k] = tostring(FEED_ROWS // seconds) end end
    return words
  end

  local function stored(state)
    return support.query(cwd .. "/" .. state .. "/ledger-paper.sqlite",
      "select count(*) > 50 from trading_events")[1] == "1"
  end

  local partly = "ends as if it had not been, %d times with a part of it in the ledger"
  it(partly:format(ROUNDS // 5 * 4), function()
    local out, wanted, took = whole_run()
    local random, found = support.random(os.time()), 0
    for batch = 1, ROUNDS // 5 * 4 // 20 do
      local runs = {}
      for i = 1, 20 do
        if i % 2 == 0 then -- at any time, be it before the first commit
          local seconds = 0.05 + random(2900) / 1000
          local limits = KILL_AFTER:format(seconds)
          runs[i] = support.start(words_in("state" .. i, 3), { cwd = cwd, limits = limits })
          runs[i].when = ("after %.4f s of three"):format(seconds)
        else -- as soon as something is there, however slow the machine
          runs[i] = support.start(words_in("state" .. i, 30), { cwd = cwd })
          runs[i].when = "with events in its ledger"
        end
      end
      for i, run in ipairs(runs) do
        local state = "state" .. i
        if i % 2 == 1 then
          support.wait_for("events in the ledger", 60, function() return stored(state) end,
            function() return run:err():sub(-3000) end)
          run:signal("KILL")
        end
        assert.equal(137, run:wait(60).code)
        forget_checkpoint(state)
        if stored(state) then found = found + 1 end
        local shares = i % 4 < 2 and { random(950) / 1000 } or {}
        local how = ("batch %d, killed %s, then at %s of %.3f s"):format(batch, run.when,
          table.concat(shares, ", "), took)
        check(state, go_on(state, shares, took), out, wanted, how)
      end
    end
    assert.truthy(found >= 10, "only " .. found .. " runs had events in the ledger when killed")
  end)

  it("goes on with the code it had, when the file was changed meanwhile", function()
    local run = support.start({ "worker.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", "200",
                                "--capital", "1000", "--json", "--state", "state" }, { cwd = cwd })
    support.wait_for("some fills", 20, function()
      local seen = support.query(cwd .. "/state/ledger-paper.sqlite", "select count(*) from fills")
      return (tonumber(seen[1]) or 0) > 5
    end, function() return run:err() end)
    run:signal("KILL")
    run:wait()
    support.save(cwd .. "/worker.lua", (WORKER:gsub("1%.0%.0", "1.0.1")))
    local result = support.expect(0, words_for("state"), { cwd = cwd })
    local summary = support.json(result.out)
    assert.equal(FEED_ROWS, summary.trades_seen)
    assert.same({ "1" }, support.query(cwd .. "/state/ledger-paper.sqlite", "select count(*) from sessions"))
  end)

  it("is a new session for another command", function()
    local run = support.start({ "worker.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", "200",
                                "--capital", "1000", "--json", "--state", "state" }, { cwd = cwd })
    run:wait_for_running()
    run:signal("KILL")
    run:wait()
    local result = support.expect(0, words_for("state", "--capital", "2000"), { cwd = cwd })
    assert.equal("2000", support.json(result.out).equity_start)
    local other = support.expect(0, words_for("other", "--capital", "2000"), { cwd = cwd })
    assert.equal(other.out, result.out)
  end)

  it("is begun anew with --fresh", function()
    local whole = support.expect(0, words_for("whole"), { cwd = cwd })
    local run = support.start({ "worker.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", "200",
                                "--capital", "1000", "--json", "--state", "state" }, { cwd = cwd })
    run:wait_for_running()
    run:signal("KILL")
    run:wait()
    assert.equal(whole.out, support.expect(0, words_for("state", "--fresh"), { cwd = cwd }).out)
  end)
end)

describe("a run on the sim market", function()
  before_each(function()
    cwd = support.directory()
    support.write(cwd .. "/rester.lua", [[
local S = { api = 1, name = "rester", version = "1.0.0" }
function S.on_start(ctx)
  ctx.state.starts = (ctx.state.starts or 0) + 1
  ctx:log("start %d: qty=%s orders=%d", ctx.state.starts, ctx:position().qty, #ctx:orders())
end
function S.on_tick(ctx, tick)
  if ctx.state.begun then return end
  ctx.state.begun = true
  ctx:buy(nil, { notional = 20, stop = tick.price * 0.5, tag = "held" })
  ctx:buy(0.0004, { type = "limit", price = tick.price * 0.6, tag = "resting" })
end
return S
]])
  end)
  after_each(support.cleanup)

  local words = { "rester.lua", "--symbols", SYMBOL, "--speed", "max", "--duration", "600", "--json" }
  local function query(sql) return support.query(cwd .. "/artifacts/ledger-paper.sqlite", sql) end
  local open = "select order_id, client_order_id, type, status, qty, trigger_price, tag from orders " ..
    "where status = 'new' order by 1"

  local function check_second_start(result)
    assert.truthy(result.err:find("start 2: qty=0.000%d+ orders=2"), result.err)
    assert.truthy(result.err:find("resuming from the ledger", 1, true), result.err)
  end

  it("goes on where it stopped: orders rest, positions stay, time goes on, no id comes twice", function()
    local first = support.json(support.expect(0, words, { cwd = cwd }).out)
    local orders, positions = query(open), query("select * from positions")
    assert.equal(2, #orders)
    local result = support.expect(0, words, { cwd = cwd })
    check_second_start(result)
    local second = support.json(result.out)
    assert.same(orders, query(open))
    assert.same(positions, query("select * from positions"))
    assert.truthy(second.started >= first.ended, second.started)
    assert.truthy(second.ended > "2024-01-01T00:19:50", second.ended)
    assert.equal(first.positions[1].qty, second.positions[1].qty)
    -- The summary is of the second session alone. Its equity begins where the first one's ended, or,
    -- while there is no price to mark the position at, at the cash.
    local unrealized = second.equity_start == first.equity_end and first.unrealized_pnl or "0"
    assert.equal(support.sum(first.cash, unrealized), support.sum(second.equity_start))
    assert.equal(0, second.fills)
    assert.equal("0", second.fees)
    assert.equal(support.sum(second.equity_end),
      support.sum(second.equity_start, second.realized_pnl, second.unrealized_pnl, "-" .. unrealized,
        "-" .. second.fees, second.funding))
    assert.same({ "0" }, query("select count(*) - count(distinct client_order_id) from orders"))
  end)

  it("goes on after kill -9 too", function()
    local run = support.start({ "rester.lua", "--symbols", SYMBOL, "--speed", "60", "--json" }, { cwd = cwd })
    support.wait_for("the position", 20, function()
      return query("select count(*) from orders where status = 'new'")[1] == "2"
    end, function() return run:err() end)
    local orders, positions = query(open), query("select * from positions")
    run:signal("KILL")
    assert.equal(137, run:wait().code)
    os.remove(cwd .. "/artifacts/checkpoints/paper_state_latest.json")
    local result = support.expect(0, words, { cwd = cwd })
    check_second_start(result)
    assert.same(orders, query(open))
    assert.same(positions, query("select * from positions"))
    assert.same({ "0" }, query("select count(*) - count(distinct client_order_id) from orders"))
  end)

  it("ends with the stop policy of the configuration", function()
    local function ended_with(policy)
      support.write(cwd .. "/policy.yaml", "trading: { stop_policy: " .. policy .. " }\n")
      local run = support.start({ "rester.lua", "--symbols", SYMBOL, "--speed", "60", "--json", "--fresh",
                                  "--config", "policy.yaml" }, { cwd = cwd })
      support.wait_for("the position", 20, function()
        return query("select count(*) from orders where status = 'new'")[1] == "2"
      end, function() return run:err() end)
      run:signal("INT")
      local result = run:wait()
      assert.equal(0, result.code, support.told(result))
      local held = #support.json(result.out).positions
      return held, query("select tag || ' ' || status from orders where status <> 'filled' order by order_id")
    end
    local held, orders = ended_with("leave")
    assert.same({ 1, { "resting new", "held new" } }, { held, orders })
    held, orders = ended_with("cancel")
    assert.same({ 1, { "resting canceled", "held new" } }, { held, orders })
    held, orders = ended_with("flatten")
    assert.same({ 0, { "resting canceled", "held canceled" } }, { held, orders })
  end)

  it("takes no new risk while a halt stands, ends with 75, and goes on after resume", function()
    support.expect(0, words, { cwd = cwd })
    support.expect(0, { "resume" }, { cwd = cwd }) -- nothing stands: that is no failure
    -- As a strict reconciliation leaves it.
    assert.equal(0, support.shell(("sqlite3 %s %s"):format(
      support.quote(cwd .. "/artifacts/ledger-paper.sqlite"),
      support.quote([[insert into halts(halt_id, scope, code, reason, since_ns)
        select max(seq), 'session', 'reconcile_diff', 'not ours', max(time_ns) from trading_events]]))))
    local result = support.expect(75, words, { cwd = cwd })
    assert.truthy(result.err:find("a halt goes on", 1, true), result.err)
    assert.truthy(support.json(result.out).ended > "2024-01-01T00:19:50", result.out) -- it stayed up

    local run = support.start({ "rester.lua", "--symbols", SYMBOL, "--speed", "60", "--json" }, { cwd = cwd })
    run:wait_for_running()
    run:signal("INT")
    assert.equal(75, run:wait().code)

    result = support.expect(0, { "resume", "--json" }, { cwd = cwd })
    local lifted = support.json(result.out).lifted
    assert.equal(1, #lifted)
    assert.same({ "paper", "session", "reconcile_diff", "not ours" },
      { lifted[1].mode, lifted[1].scope, lifted[1].code, lifted[1].reason })
    assert.same({ "resume" }, query("select lifted_by from halts"))
    assert.same({ "1" }, query("select count(*) from trading_events where kind = 'halt'"))
    support.expect(0, words, { cwd = cwd })
    support.expect(66, { "resume", "--state", "nowhere" }, { cwd = cwd })
    support.expect(64, { "resume", "rester.lua" }, { cwd = cwd })
  end)
end)
