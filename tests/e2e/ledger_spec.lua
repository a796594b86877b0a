-- The ledger from outside: checked while it is written, found out when it was edited, backed up by itself,
-- and put back from a backup.
local support = require("e2e.support")

local cwd, state

local TRADER = [[
local S = { api = 1, name = "trader", version = "1.0.0" }
function S.on_tick(ctx)
  if ctx:position().qty > 0 then ctx:sell(0.001) else ctx:buy(0.001) end
end
return S
]]

local function arguments(more)
  local list = { "trader.lua", "--state", state, "--capital", "100000", "-q" }
  for _, word in ipairs(more or {}) do list[#list + 1] = word end
  return list
end

local function run(seconds)
  return support.expect(0, arguments({ "--speed", "max", "--duration", tostring(seconds) }), { cwd = cwd })
end

local function verify(code, more)
  return support.expect(code, { "audit", "verify", "--state", state, more }, { cwd = cwd })
end

local function tamper(sql)
  assert(support.shell("sqlite3 " .. support.quote(state .. "/ledger-paper.sqlite") .. " " ..
    support.quote("DROP TRIGGER IF EXISTS trading_events_unchanged;" ..
    "DROP TRIGGER IF EXISTS trading_events_kept;" .. sql)) == 0)
end

describe("the ledger", function()
  before_each(function()
    cwd = support.directory()
    state = cwd .. "/state"
    support.write(cwd .. "/trader.lua", TRADER)
    -- A backup each second, the newest two are kept.
    support.write(cwd .. "/runtime.yaml", "persistence: { backup_count: 2, backup_every: 1s }\n")
  end)
  after_each(support.cleanup)

  it("is as it was written after each run, and says so", function()
    verify(66)
    run(60)
    run(60)
    local result = verify(0)
    assert.matches("verdict +good", result.out)
    assert.matches("anchor +agrees", result.out)
    local json = support.json(verify(0, "--json").out)
    assert.is_true(json.good)
    assert.is_true(json.anchored)
    assert.equal(2, json.sessions)
    assert.equal(support.null, json.first_bad)
    assert.equal(tostring(json.rows),
      support.query(state .. "/ledger-paper.sqlite", "SELECT max(seq) FROM trading_events")[1])
  end)

  it("tells of the first record that was edited, and refuses a tail that was cut", function()
    run(60)
    local rows = support.json(verify(0, "--json").out).rows
    tamper("UPDATE fills SET price = '1' WHERE fill_id = (SELECT min(fill_id) FROM fills)")
    local json = support.json(verify(74, "--json").out)
    assert.equal("fills", json.first_bad.what)
    assert.equal("fill", json.first_bad.kind)
    tamper("DELETE FROM trading_events WHERE seq = 2")
    json = support.json(verify(74, "--json").out)
    assert.equal(2, json.first_bad.seq)
    assert.equal("gap", json.first_bad.what)
    tamper("DELETE FROM trading_events WHERE seq = " .. rows)
    local result = support.expect(74, arguments({ "--duration", "1" }), { cwd = cwd })
    assert.matches("tail was cut", result.err)
    assert.matches("runtime restore", result.err)
  end)

  it("is checked as far as that goes when its anchor cannot be read, and the way on is true", function()
    run(60)
    support.write(state .. "/audit-paper.head", ("damaged "):rep(532))
    local json = support.json(verify(74, "--json").out)
    assert.equal("anchor", json.first_bad.what)
    assert.matches("remove this file to go on", json.first_bad.message)
    local result = support.expect(74, arguments({ "--duration", "1" }), { cwd = cwd })
    assert.matches("runtime audit verify", result.err)
    os.remove(state .. "/audit-paper.head")
    run(1)
    verify(0)
  end)

  it("is checked and backed up while an instance trades; a restore waits for its end", function()
    local process = support.start(arguments({ "--speed", "100", "--config", "runtime.yaml" }), { cwd = cwd })
    process:wait_for_running()
    support.wait_for("a backup", 30, function()
      for _, file in ipairs(support.files(state .. "/backups")) do
        if file:match("^ledger%-paper%-%d+T%d+Z%.sqlite$") then return true end
      end
    end)
    verify(0)
    local list = support.expect(0, { "restore", "--state", state, "--json" }, { cwd = cwd })
    local listed = support.json(list.out)
    assert.is_true(listed[1].verified)
    assert.equal(1, listed[1].sessions)
    support.write(state .. "/backups/ledger-paper-20240101T000000Z.sqlite", "no ledger\n")
    list = support.expect(0, { "restore", "--state", state }, { cwd = cwd })
    assert.matches("ledger%-paper%-20240101T000000Z.sqlite +%- +0.00  no\n    ", list.out)
    for line in list.out:gmatch("[^\n]+") do
      assert.truthy(#line <= 80 or line:match("^    "), line) -- a reason may be longer
    end
    local result = support.expect(69, { "restore", listed[1].backup, "--state", state }, { cwd = cwd })
    assert.matches("stop it first", result.err)
    process:signal("INT")
    assert.equal(0, process:wait().code)
    verify(0)
  end)

  it("goes on from a backup, and its chain tells of it", function()
    local process = support.start(arguments({ "--speed", "100", "--config", "runtime.yaml" }), { cwd = cwd })
    process:wait_for_running()
    local backup
    support.wait_for("a backup", 30, function()
      for _, file in ipairs(support.files(state .. "/backups")) do
        backup = file:match("^ledger%-paper%-%d+T%d+Z%.sqlite$") or backup
      end
      return backup
    end)
    process:signal("KILL")
    process:wait()
    support.shell("cp " .. support.quote(state .. "/backups/" .. backup) .. " " ..
      support.quote(cwd .. "/mine.sqlite")) -- the next run prunes
    run(30)
    local result = support.expect(0, { "restore", "./mine.sqlite", "--state", state }, { cwd = cwd })
    assert.matches("restored ", result.out)
    assert.matches("replaced%-", result.out)
    verify(0)
    assert.same({ "restored" }, support.query(state .. "/ledger-paper.sqlite",
      "SELECT kind FROM journal WHERE session_id = 0"))
    run(30)
    verify(0)
    support.expect(66, { "restore", "nothing.sqlite", "--state", state }, { cwd = cwd })
    support.expect(66, { "restore", "./state", "--state", state }, { cwd = cwd })
    support.expect(64, { "restore", "a", "b" }, { cwd = cwd })
    support.expect(64, { "audit" }, { cwd = cwd })
  end)
end)
