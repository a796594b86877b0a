-- An operator and a running instance: what each command does, who may ask, and that everything can be
-- stopped, whatever the run is busy with.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local cwd

-- Holds a protected position and tries to add to it at every tick; says what it was told.
local HOLDER = [[
local S = { api = 1, name = "holder", version = "1.0.0" }
local seen = 0
function S.on_tick(ctx, tick)
  seen = seen + 1
  if seen == 3 then
    ctx:buy(0.01, { stop = tick.price * 0.5, take = tick.price * 2, tag = "protected" })
    ctx:buy(0.01, { type = "limit", price = tick.price * 0.5, tag = "bid" })
  elseif seen > 10 and seen % 20 == 0 then
    local order, why, code = ctx:buy(0.001, { type = "limit", price = tick.price * 0.4, tag = "more" })
    ctx.state.told = code or "taken"
    if order then ctx:cancel(order) end
  end
end
return S
]]

-- As above, and then a callback that never returns.
local HANGER = [[
local S = { api = 1, name = "hanger", version = "1.0.0" }
local seen = 0
function S.on_tick(ctx, tick)
  seen = seen + 1
  if seen == 3 then
    ctx:buy(0.01, { stop = tick.price * 0.5, take = tick.price * 2 })
    ctx:buy(0.01, { type = "limit", price = tick.price * 0.5 })
  elseif seen == 60 then
    ctx:log("hangs now")
    while true do end
  end
end
return S
]]

-- The watchdog must not end a hanging callback first.
local PATIENT = "sandbox: { callback_ms: 50000, callback_hard_ms: 50000, instructions: 1000000000000 }\n"

local function query(sql, state)
  return support.query(cwd .. "/" .. (state or "s") .. "/ledger-paper.sqlite", sql)
end

local function command(...)
  return support.run({ ... }, { cwd = cwd })
end

local function expect(code, ...)
  return support.expect(code, { ... }, { cwd = cwd })
end

local function ask(...)
  local words = { ... }
  for _, word in ipairs({ "--state", "s", "--json" }) do words[#words + 1] = word end
  return support.json(support.expect(0, words, { cwd = cwd }).out)
end

local function start(file, ...)
  local run = support.start({ file, "--symbols", SYMBOL, "--speed", "60", "--capital", "100000",
                              "--state", "s", "--json", ... }, { cwd = cwd })
  support.wait_for("the socket", 20, function()
    if run:code() then error(run:err():sub(-2000), 0) end
    return support.exists(cwd .. "/s/control.sock")
  end)
  return run
end

-- Until the position and its two exits are there, and the bid.
local function wait_for_orders(run)
  support.wait_for("three open orders and a position", 20, function()
    if run:code() then error(run:err():sub(-2000), 0) end
    local status = ask("status")
    return status.open_orders >= 3 and #status.positions == 1
  end)
end

local function told(state)
  local body = query("select body from strategy_state where instance_id > 0", state)[1]
  return (body or ""):match('"told":"([%w_]+)"')
end

local OPEN = "select count(*) from orders where known_status in ('pending_new', 'new', 'partially_filled')"
local EXITS = OPEN .. " and reduce_only"

local function latch_is_set()
  return (support.read(cwd .. "/s/halt-paper.latch") or ""):find("runtime latch 1: set", 1, true) ~= nil
end

describe("a running instance", function()
  before_each(function()
    cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
  end)
  after_each(support.cleanup)

  it("tells how it stands", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    local status = ask("status")
    assert.is_true(status.running)
    assert.equal("paper", status.mode)
    assert.equal("sim", status.source)
    assert.equal("trading", status.phase)
    assert.equal(run.pid, status.pid)
    assert.equal("holder", status.strategies[1].strategy)
    assert.equal("running", status.strategies[1].state)
    assert.equal("100000", status.equity_start)
    assert.truthy(status.equity:match("^%d+%.?%d*$"), status.equity)
    assert.equal("0.01", status.positions[1].qty)
    assert.equal(support.null, status.halt)
    assert.same({}, status.halted_symbols)
    assert.equal("100000", status.day.opening_equity)
    assert.equal(1, status.day.trades)
    assert.truthy(status.open_orders >= 3)

    local exits = 0
    for _, order in ipairs(ask("orders").orders) do exits = exits + (order.reduce_only and 1 or 0) end
    assert.equal(2, exits)
    assert.equal("0.01", ask("positions").positions[1].qty)

    for _, name in ipairs({ "status", "orders", "positions", "why" }) do
      for line in expect(0, name, "--state", "s").out:gmatch("[^\n]*") do
        assert.truthy(utf8.len(line) <= 80, line)
      end
    end
    run:signal("TERM")
    assert.equal(0, run:wait().code)
    assert.falsy(support.exists(cwd .. "/s/control.sock"))
  end)

  it("takes no new risk after halt, keeps its exits, and trades again after resume", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    support.wait_for("an order that is taken", 20, function() return told() == "taken" end)
    assert.truthy(ask("halt", "venue acts oddly").ok)
    assert.is_true(latch_is_set())
    support.wait_for("an order that is refused", 20, function() return told() == "halted" end)
    assert.same({ "2" }, query(EXITS))
    assert.same({ "2" }, query(OPEN)) -- the bid is gone
    local status = ask("status")
    assert.equal("operator_halt", status.halt.code)
    assert.truthy(status.halt.reason:find("venue acts oddly", 1, true))
    assert.equal("0.01", status.positions[1].qty)
    local verdict = ask("why", "1").verdicts[1]
    assert.equal("halted", verdict.code)
    assert.equal(SYMBOL, verdict.symbol)
    assert.equal("buy", verdict.side)
    assert.equal("0.001", verdict.asked)

    assert.truthy(ask("resume").ok)
    assert.is_false(latch_is_set())
    support.wait_for("an order that is taken", 20, function() return told() == "taken" end)
    assert.equal(support.null, ask("status").halt)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
    local who = query([[select json_extract(body, '$.command'),
      json_extract(body, '$.peer') like 'uid %, pid %' from journal where kind = 'control']])
    assert.same({ "halt|1", "resume|1" }, who)
  end)

  it("stays halted over a restart, until runtime resume", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    ask("halt")
    support.wait_for("an order that is refused", 20, function() return told() == "halted" end)
    run:signal("TERM")
    assert.equal(75, run:wait().code)
    assert.equal("halted", ask("why", "1").verdicts[1].code) -- from the ledger
    local again = { "holder.lua", "--symbols", SYMBOL, "--speed", "max", "--duration", "120", "--capital",
                    "100000", "--state", "s", "--json" }
    support.expect(75, again, { cwd = cwd })
    assert.equal("halted", told())
    assert.equal("operator_halt", ask("status").halt.code) -- of a stopped one
    assert.truthy(expect(0, "resume", "--state", "s").out:find("operator_halt", 1, true))
    assert.is_false(latch_is_set())
    support.expect(0, again, { cwd = cwd })
    assert.equal("taken", told())
  end)

  it("begins halted when only the latch says so, and cancels the entries that rest", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    run:signal("KILL")
    run:wait()
    assert.same({ "3" }, query(OPEN))
    support.write(cwd .. "/s/halt-paper.latch", "what a power cut left")
    support.expect(75, { "holder.lua", "--symbols", SYMBOL, "--speed", "max", "--duration", "60", "--capital",
                         "100000", "--state", "s", "--json" }, { cwd = cwd })
    assert.same({ "2" }, query(EXITS))
    assert.same({ "2" }, query(OPEN))
    assert.same({ "latch_unreadable" }, query("select code from halts where lifted_ns is null"))
    expect(0, "resume", "--state", "s")
    assert.equal(support.null, ask("status").halt)
  end)

  it("shows a reason without moving the cursor", function()
    local run = start("holder.lua")
    expect(0, "halt", "\27[2J\8\127 odd \255", "--state", "s")
    local out = expect(0, "status", "--state", "s").out
    assert.truthy(out:find("odd", 1, true), out)
    assert.falsy(out:find("[%z\1-\9\11-\31\127]"), out)
    run:signal("TERM")
    assert.equal(75, run:wait().code)
  end)

  it("breaks long reasons at the 80th column", function()
    local run = start("holder.lua")
    expect(0, "halt", "because of holder.lua", "--state", "s")
    assert.truthy(ask("status").halt.reason:find("because of holder.lua", 1, true))
    expect(0, "resume", "--state", "s")
    expect(0, "halt", ("a reason of many words "):rep(4), "--state", "s")
    expect(0, "breaker", "open", "--state", "s")
    local out = expect(0, "status", "--state", "s").out
    assert.truthy(out:find("\nHALTED      operator_halt: a reason of many words a reason of many " ..
      "words a\n" .. "            reason of many words a reason of many words  (uid ", 1, true), out)
    for line in out:gmatch("[^\n]+") do assert.is_true(#line <= 80, line) end
    run:signal("TERM")
    assert.equal(75, run:wait().code)
  end)

  it("latches a halt that a limit caused", function()
    support.write(cwd .. "/c.yaml", "risk: { max_daily_loss_usd: 0.01 }\n")
    local run = start("holder.lua", "--config", "c.yaml") -- the fee alone is more
    support.wait_for("the halt", 20, function() return ask("status").halt ~= support.null end)
    assert.equal("daily_loss_limit", ask("status").halt.code)
    assert.is_true(latch_is_set())
    assert.truthy(support.read(cwd .. "/s/halt-paper.latch"):find("code: daily_loss_limit", 1, true))
    run:signal("TERM")
    assert.equal(75, run:wait().code)
    expect(0, "resume", "--state", "s")
    assert.is_false(latch_is_set())
  end)

  it("flattens, all or one symbol", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    assert.truthy(expect(64, "flatten", "NO/SUCH", "--state", "s").err:find(
      "this run does not trade 'NO/SUCH'; it trades " .. SYMBOL, 1, true))
    expect(64, "flatten", "holder.lua", "--state", "s") -- a slip must not close everything
    assert.equal(1, #ask("positions").positions)
    assert.truthy(ask("flatten", SYMBOL).ok)
    support.wait_for("a flat position", 20, function() return #ask("positions").positions == 0 end)
    assert.same({ "0" }, query(EXITS))
    run:signal("TERM")
    assert.equal(0, run:wait().code)
    assert.same({ "flatten|" .. SYMBOL }, query("select json_extract(body, '$.command'), " ..
      "json_extract(body, '$.symbol') from journal where kind = 'control'"))
  end)

  it("refuses new risk while its breaker is open", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    assert.equal("closed", ask("status").breakers[1].state)
    assert.truthy(expect(64, "breaker", "open", "nowhere", "--state", "s").err:find(
      "this run does not trade on 'nowhere'; it trades on sim", 1, true))
    expect(64, "breaker", "ajar", "--state", "s")
    expect(64, "breaker", "--state", "s")
    support.wait_for("an order that is taken", 20, function() return told() == "taken" end)
    ask("breaker", "open", "sim")
    support.wait_for("an order that is refused", 20, function() return told() ~= "taken" end)
    assert.equal("breaker_open", told())
    local breaker = ask("status").breakers[1]
    assert.equal("open", breaker.state)
    assert.is_true(breaker.by_hand)
    local verdict = ask("why", "1").verdicts[1]
    assert.truthy(verdict.reason:find("by an operator", 1, true), verdict.reason)
    assert.same({ "2" }, query(EXITS)) -- they stay
    assert.truthy(ask("flatten").ok) -- getting out is possible
    support.wait_for("a flat position", 20, function() return #ask("positions").positions == 0 end)
    ask("breaker", "close")
    support.wait_for("an order that is taken", 20, function() return told() == "taken" end)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
  end)

  it("takes changed files at reload alone where it does not watch", function()
    support.write(cwd .. "/c.yaml", "reload: { watch: false }\n")
    local run = start("holder.lua", "--config", "c.yaml")
    assert.equal("unchanged", ask("reload").files[1].result)
    support.save(cwd .. "/holder.lua", (HOLDER:gsub("1%.0%.0", "2.0.0")))
    assert.equal("1.0.0", ask("status").strategies[1].version)
    assert.equal("accepted", ask("reload").files[1].result)
    support.wait_for("the new version", 20, function()
      return ask("status").strategies[1].version == "2.0.0"
    end)
    support.save(cwd .. "/holder.lua", "return {")
    local answer = ask("reload").files[1]
    assert.equal("refused", answer.result)
    assert.truthy(answer.reason:find("holder.lua:1", 1, true), answer.reason)
    assert.equal("2.0.0", ask("status").strategies[1].version)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
  end)

  it("ends in order at stop", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    assert.truthy(ask("stop").ok)
    local result = run:wait()
    assert.equal(0, result.code)
    assert.equal("paper", support.json(result.out).mode)
    assert.same({ "1" }, query("select count(*) from sessions where ended_ns is not null"))
  end)

  it("is found under a path that no socket address could hold", function()
    local long = ("d"):rep(120) .. "/" .. ("e"):rep(120)
    local run = support.start({ "holder.lua", "--symbols", SYMBOL, "--speed", "60", "--state", long,
                                "--json" }, { cwd = cwd })
    support.wait_for("an answer", 20, function()
      return command("status", "--state", long, "--json").out:find('"running":true', 1, true)
    end, function() return run:err():sub(-2000) end)
    expect(0, "stop", "--state", long)
    assert.equal(0, run:wait().code)
  end)

  it("keeps its socket when a second one is refused, and takes the place of a dead one", function()
    local run = start("holder.lua")
    expect(69, "holder.lua", "--symbols", SYMBOL, "--state", "s")
    assert.is_true(ask("status").running)
    run:signal("KILL")
    run:wait()
    assert.truthy(support.exists(cwd .. "/s/control.sock"))
    assert.is_false(ask("status").running) -- from the ledger
    run = start("holder.lua")
    support.wait_for("an answer of the new one", 20, function() return ask("status").running end)
    assert.equal(run.pid, ask("status").pid)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
  end)

  it("answers its owner alone", function()
    local run = start("holder.lua")
    assert.equal("600", support.first_line("stat -c %a " .. support.quote(cwd .. "/s/control.sock")))
    if support.shell("test $(id -u) = 0 && command -v setpriv >/dev/null") ~= 0 then
      pending("only root can be somebody else")
      return
    end
    support.shell("chmod 755 " .. support.quote(cwd) .. " " .. support.quote(cwd .. "/s"))
    local nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups "
    support.shell("cp " .. support.quote(support.bin) .. " " .. support.quote(cwd .. "/runtime"))
    local function as_nobody()
      return support.run({ "halt", "--state", "s" },
        { cwd = cwd, program = cwd .. "/runtime", prefix = nobody })
    end
    assert.equal(77, as_nobody().code)
    support.shell("chmod 666 " .. support.quote(cwd .. "/s/control.sock"))
    local result = as_nobody()
    assert.equal(77, result.code, support.told(result))
    assert.truthy(result.err:find("another user", 1, true), result.err)
    assert.equal(support.null, ask("status").halt)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
  end)
end)

describe("where nothing runs", function()
  before_each(function() cwd = support.directory() end)
  after_each(support.cleanup)

  it("commands say so, with 69", function()
    for _, words in ipairs({ { "status" }, { "orders" }, { "positions" }, { "why" }, { "halt" },
                             { "halt", "--emergency" }, { "flatten" }, { "reload" }, { "stop" } }) do
      words[#words + 1] = "--state"
      words[#words + 1] = "s"
      local result = support.expect(69, words, { cwd = cwd })
      assert.equal("", result.out)
      assert.truthy(result.err:find("nothing runs in this state directory", 1, true), result.err)
      assert.truthy(result.err:find("with --state", 1, true), result.err)
    end
    assert.falsy(support.exists(cwd .. "/s")) -- a question makes nothing
    assert.equal(69, support.json(expect(69, "halt", "--state", "s", "--json").out).error.code)
  end)

  it("a state directory that is none is refused with 74, by the option's name", function()
    support.write(cwd .. "/holder.lua", HOLDER)
    support.write(cwd .. "/s", "a file")
    local result = support.expect(74, { "holder.lua", "--state", "s", "--duration", "1" }, { cwd = cwd })
    assert.truthy(result.err:find("--state must name a directory that can be written: cannot make " ..
      "directory s", 1, true), result.err)
  end)

  it("those that look are answered from the ledger", function()
    support.write(cwd .. "/holder.lua", HOLDER)
    local result = support.expect(0, { "holder.lua", "--symbols", SYMBOL, "--speed", "max", "--duration",
                                       "60", "--capital", "100000", "--state", "s", "--json" }, { cwd = cwd })
    local summary = support.json(result.out)
    local status = ask("status")
    assert.is_false(status.running)
    assert.equal("ended", status.phase)
    assert.equal(summary.equity_end, status.equity)
    assert.equal(3, status.open_orders)
    assert.equal("0.01", status.positions[1].qty)
    assert.equal(3, #ask("orders").orders)
    assert.equal("0.01", ask("positions").positions[1].qty)
    assert.same({}, ask("why").verdicts)
    expect(0, "orders", "--state", "s")
    assert.equal("2024-01-01", status.day.date)
    assert.equal("100000", status.day.opening_equity)
    assert.equal(support.sum(summary.equity_end, "-100000"), support.sum(status.day.pnl))
    assert.equal(1, status.day.trades)
    assert.truthy(expect(0, "status", "--state", "s").out:find("\nday         2024-01-01: P&L ", 1, true))
    for _, name in ipairs({ "halt", "flatten", "reload", "stop" }) do expect(69, name, "--state", "s") end
  end)
end)

describe("an emergency stop", function()
  before_each(function()
    cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
    support.write(cwd .. "/hanger.lua", HANGER)
    support.write(cwd .. "/patient.yaml", PATIENT)
  end)
  after_each(support.cleanup)

  local stops = {
    SIGUSR2 = function(run) run:signal("USR2") end,
    ["the file"] = function() support.write(cwd .. "/s/EMERGENCY_STOP", "") end,
    ["halt --emergency"] = function() expect(0, "halt", "--emergency", "--state", "s") end,
  }

  for how, stop in pairs(stops) do
    it("by " .. how .. " cancels everything, exits too, and latches", function()
      local run = start("holder.lua")
      wait_for_orders(run)
      stop(run)
      local result = run:wait()
      assert.equal(75, result.code, support.told(result))
      assert.same({ "0" }, query(OPEN))
      assert.same({ "0.01" }, query("select qty from positions"))
      assert.is_true(latch_is_set())
      assert.equal("emergency_stop", ask("status").halt.code)
      assert.same({ "emergency_stop" }, query("select json_extract(body, '$.name') from trading_events " ..
        "where kind = 'alert'"))
      os.remove(cwd .. "/s/EMERGENCY_STOP")
      local again = { "holder.lua", "--symbols", SYMBOL, "--speed", "max", "--duration", "120", "--capital",
                      "100000", "--state", "s", "--json" }
      support.expect(75, again, { cwd = cwd })
      assert.equal("halted", told())
      expect(0, "resume", "--state", "s")
      support.expect(0, again, { cwd = cwd })
      assert.equal("taken", told())
    end)

    it("by " .. how .. " works while a callback hangs", function()
      local run = start("hanger.lua", "--config", "patient.yaml")
      run:wait_for_log("hangs now")
      assert.same({ "3" }, query(OPEN))
      stop(run)
      local result = run:wait(20)
      assert.equal(75, result.code, support.told(result))
      assert.equal(75, support.json(result.out).error.code)
      assert.same({ "0" }, query(OPEN))
      assert.is_true(latch_is_set())
      assert.truthy(result.err:find("what remains", 1, true), support.told(result))
      os.remove(cwd .. "/s/EMERGENCY_STOP")
      support.expect(75, { "holder.lua", "--symbols", SYMBOL, "--speed", "max", "--duration", "60",
                           "--capital", "100000", "--state", "s", "--json" }, { cwd = cwd })
      assert.equal("halted", told())
      expect(0, "audit", "verify", "--state", "s")
    end)
  end

  it("flattens where the configuration says so, hanging or not", function()
    support.write(cwd .. "/flat.yaml", "risk: { emergency: flatten }\n")
    local run = start("holder.lua", "--config", "flat.yaml")
    wait_for_orders(run)
    run:signal("USR2")
    assert.equal(75, run:wait().code)
    assert.same({ "0" }, query(OPEN))
    assert.same({ "0" }, query("select qty from positions"))
    expect(0, "resume", "--state", "s")
    support.shell("rm -rf " .. support.quote(cwd .. "/s"))

    support.write(cwd .. "/flat.yaml", "risk: { emergency: flatten }\n" .. PATIENT)
    run = start("hanger.lua", "--config", "flat.yaml")
    run:wait_for_log("hangs now")
    run:signal("USR2")
    local result = run:wait(20)
    assert.equal(75, result.code, support.told(result))
    assert.same({ "0" }, query("select qty from positions"))
    assert.same({ "0" }, query(OPEN))
  end)

  it("comes after a stop that hangs, too", function()
    support.write(cwd .. "/hanger.lua", (HANGER:gsub("seen == 60", "false") .. ""):gsub("return S",
      "function S.on_stop(ctx) ctx:log('hangs now') while true do end end\nreturn S"))
    local run = start("hanger.lua", "--config", "patient.yaml")
    wait_for_orders(run)
    run:signal("TERM")
    run:wait_for_log("hangs now")
    run:signal("USR2")
    local result = run:wait(20)
    assert.equal(75, result.code, support.told(result))
    assert.same({ "0" }, query(OPEN))
  end)

  it("at the start cancels what an earlier run left", function()
    local run = start("holder.lua")
    wait_for_orders(run)
    run:signal("TERM")
    assert.equal(0, run:wait().code)
    assert.same({ "3" }, query(OPEN))
    local result = support.expect(75, { "holder.lua", "--symbols", SYMBOL, "--capital", "100000", "--state",
                                        "s", "--json" }, { cwd = cwd, env = { EMERGENCY_STOP = "true" } })
    assert.truthy(result.err:find("EMERGENCY_STOP", 1, true), support.told(result))
    assert.same({ "0" }, query(OPEN))
    assert.is_true(latch_is_set())
  end)
end)

describe("on a feed", function()
  local WORDS

  before_each(function()
    cwd = support.directory()
    support.write(cwd .. "/busy.lua", support.busy)
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(6000)))
    WORDS = { "busy.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--capital", "1000", "--json" }
  end)
  after_each(support.cleanup)

  local function with(...)
    local list = { table.unpack(WORDS) }
    for _, word in ipairs({ ... }) do list[#list + 1] = word end
    return list
  end

  local function ask_until_taken(run, ...)
    local words = { ... }
    for _, word in ipairs({ "--state", "s" }) do words[#words + 1] = word end
    support.wait_for("the run to take it", 20, function()
      if run:code() then error(run:err():sub(-2000), 0) end
      return command(table.unpack(words)).code == 0
    end, function() return run:err():sub(-2000) end)
  end

  local function all_of(state)
    local seen = {}
    for name, sql in pairs({
      events = [[select seq, time_ns, event, kind, order_id,
        case kind when 'order' then json_extract(body, '$.status')
        when 'fill' then json_extract(body, '$.price') else body end from trading_events order by 1]],
      positions = "select * from positions", journal = "select seq, event, kind, body from journal",
    }) do
      seen[name] = table.concat(query(sql, state), "\n")
    end
    return seen
  end

  -- What kill -9 leaves is what a stopped process has written: the copy goes on from there, the
  -- original as if nothing had been.
  it("a run that is killed after a halt ends as if it had not been", function()
    local run = support.start(with("--speed", "1500", "--state", "s"), { cwd = cwd })
    ask_until_taken(run, "halt", "first")
    ask_until_taken(run, "resume")
    ask_until_taken(run, "flatten")
    ask_until_taken(run, "halt", "second")
    support.wait_for("some events after it", 20, function()
      return ask("status").counts.blocked > 3
    end)
    run:signal("STOP")
    assert.equal(0, support.shell(("cp -r %s %s"):format(support.quote(cwd .. "/s"),
      support.quote(cwd .. "/copy"))))
    assert.same({ "0" }, query("select count(*) from sessions where ended_ns is not null", "copy"))
    run:signal("CONT")
    local whole = run:wait(60)
    assert.equal(0, whole.code, support.told(whole)) -- a feed does not latch
    assert.is_false(latch_is_set())

    local resumed = support.expect(0, with("--speed", "max", "--state", "copy"), { cwd = cwd })
    assert.truthy(resumed.err:find("replaying", 1, true), support.told(resumed))
    assert.equal(support.json(whole.out).result_hash, support.json(resumed.out).result_hash)
    local a, b = all_of("s"), all_of("copy")
    assert.equal(4, select(2, a.journal:gsub("|control|", "")))
    for name in pairs(a) do support.same_lines(a[name], b[name], name) end
    assert.truthy(tonumber(query("select count(*) from trading_events where kind = 'blocked'")[1]) > 3)
  end)

  it("what a run that hangs leaves is listed, since only its market could cancel it", function()
    support.write(cwd .. "/hanger.lua", HANGER)
    support.write(cwd .. "/patient.yaml", PATIENT)
    local run = support.start({ "hanger.lua", "--feed", "feed.csv", "--symbols", SYMBOL, "--speed", "20",
                                "--capital", "1000", "--config", "patient.yaml", "--state", "s" },
      { cwd = cwd })
    run:wait_for_log("hangs now")
    run:signal("USR2")
    local result = run:wait(20)
    assert.equal(75, result.code, support.told(result))
    local list = result.err:match("what remains:\n(.*)")
    assert.equal(1, select(2, list:gsub("\norder +hanger", "")), support.told(result))
    assert.equal(2, select(2, list:gsub("\nexit +hanger", "")), support.told(result))
    for line in list:gmatch("[^\n]+") do assert.is_true(#line <= 80, line) end
    assert.is_false(latch_is_set())
    assert.falsy(list:find("runtime resume", 1, true))
  end)
end)
