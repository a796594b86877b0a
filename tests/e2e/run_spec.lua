-- What a user sees of one run on the embedded market: summary, streams, signals, the status line.
local support = require("e2e.support")

local MOMENTUM = support.root .. "/strategies/momentum.lua"
local UTC = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%d%d%d%d%d%d%dZ$"

local function lines_of(text)
  local _, count = text:gsub("\n", "")
  return count
end

-- A strategy that holds one resting order and one position from the first tick on.
local HOLDER = [[
local S = { api = 1, name = "holder", version = "1.0.0" }
local begun = false
function S.on_tick(ctx, tick)
  if begun then return end
  begun = true
  ctx:buy(nil, { notional = 50 })
  ctx:buy(0.001, { type = "limit", price = tick.price * 0.5 })
end
return S
]]

describe("a run on the sim market", function()
  after_each(support.cleanup)

  describe("of an hour as JSON", function()
    local result, summary
    before_each(function()
      result = support.expect(0, { MOMENTUM, "--duration", "3600", "--speed", "max", "--json" })
      summary = support.json(result.out)
    end)

    it("prints exactly one line on stdout", function()
      assert.equal(1, lines_of(result.out))
      assert.equal("{", result.out:sub(1, 1))
      assert.equal("}\n", result.out:sub(-2))
    end)

    it("has every key of the contract, and no other", function()
      local wanted = [[mode strategies broker symbols started ended events trades_seen quotes_seen bars
        orders fills fees funding equity_start equity_end cash realized_pnl unrealized_pnl return max_drawdown
        sharpe sortino calmar win_rate profit_factor exposure turnover round_trips positions data models
        result_hash]]
      local left = {}
      for key in pairs(summary) do left[key] = true end
      for key in wanted:gmatch("%S+") do
        assert.is_not_nil(summary[key], key .. " is missing")
        left[key] = nil
      end
      assert.same({}, left)
    end)

    it("has every key inside them", function()
      local inner = {
        orders = "submitted filled canceled rejected blocked reduced expired",
        data = "files rows skipped sorted first last",
        models = "fees slippage latency fill",
      }
      for outer, names in pairs(inner) do
        for name in names:gmatch("%S+") do
          assert.is_not_nil(summary[outer][name], outer .. "." .. name .. " is missing")
        end
      end
      assert.equal(3, #summary.strategies)
      for _, strategy in ipairs(summary.strategies) do
        for name in ("file name version symbol params"):gmatch("%S+") do
          assert.is_not_nil(strategy[name], "strategies[]." .. name .. " is missing")
        end
        assert.equal(12, strategy.params.fast)
      end
    end)

    it("writes money as exact decimals, ratios as numbers, what is undefined as null", function()
      for name in ("fees funding equity_start equity_end cash realized_pnl unrealized_pnl"):gmatch("%S+") do
        assert.equal("string", type(summary[name]), name)
        assert.truthy(summary[name]:match("^%-?%d+%.?%d*$"), name .. " is " .. summary[name])
      end
      for _, name in ipairs({ "return", "max_drawdown", "exposure", "turnover" }) do
        assert.equal("number", type(summary[name]), name)
      end
      for _, name in ipairs({ "sharpe", "sortino", "calmar" }) do -- one day is no day to annualise
        assert.equal(support.null, summary[name], name)
      end
      for _, position in ipairs(summary.positions) do
        for name in ("symbol qty avg_price mark_price"):gmatch("%S+") do
          assert.equal("string", type(position[name]), name)
        end
      end
    end)

    it("accounts for every cent", function()
      assert.equal("100", summary.equity_start)
      assert.truthy(summary.fills > 0, "the hour should see some fills")
      assert.equal(support.sum(summary.equity_end),
        support.sum(summary.equity_start, summary.realized_pnl, summary.unrealized_pnl,
          "-" .. summary.fees, summary.funding))
    end)

    it("covers the market time that was asked for", function()
      assert.equal("2024-01-01T00:00:00.000000000Z", summary.started)
      assert.truthy(summary.ended:match(UTC))
      assert.truthy(summary.ended > "2024-01-01T00:59:50" and
        summary.ended <= "2024-01-01T01:00:00.000000000Z", summary.ended)
    end)

    it("says where it was, and on what", function()
      assert.equal("paper", summary.mode)
      assert.equal("sim", summary.broker)
      assert.same({ "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT" }, summary.symbols)
      assert.truthy(summary.events >= summary.trades_seen + summary.quotes_seen)
      assert.truthy(summary.result_hash:match("^%x+$") and #summary.result_hash == 64)
    end)
  end)

  it("needs no option at all", function()
    local run = support.start({ MOMENTUM })
    run:wait_for_running()
    run:signal("INT")
    local result = run:wait()
    assert.equal(0, result.code, support.told(result))
    assert.truthy(result.out:find("PAPER on sim"), result.out)
  end)

  it("gives the same result for the same seed and another for another", function()
    local hashes = {}
    for i, seed in ipairs({ "5", "5", "6" }) do
      local result = support.expect(0, { MOMENTUM, "--duration", "7200", "--speed", "max", "--json",
                                         "--seed", seed })
      hashes[i] = support.json(result.out).result_hash
    end
    assert.equal(hashes[1], hashes[2])
    assert.not_equal(hashes[1], hashes[3])
  end)

  it("starts the market when it is told to", function()
    local result = support.expect(0, { MOMENTUM, "--duration", "60", "--speed", "max", "--json",
                                       "--clock-start", "2025-06-01T12:00:00Z" })
    assert.equal("2025-06-01T12:00:00.000000000Z", support.json(result.out).started)
  end)

  it("prints a table for people on stdout, and logs on stderr only", function()
    local result = support.expect(0, { MOMENTUM, "--duration", "3600", "--speed", "max" })
    for _, words in ipairs({ "PAPER on sim", "equity", "return", "fees", "orders:", "models:", "result" }) do
      assert.truthy(result.out:find(words, 1, true), words .. " is not in\n" .. result.out)
    end
    assert.is_nil(result.out:find(" info ", 1, true))
    assert.is_nil(result.err:find("max drawdown", 1, true))
    for line in result.err:gmatch("[^\n]+") do
      assert.truthy(line:match("^%d%d%d%d%-%d%d%-%d%dT[%d:%.]+Z %a+ %S+ "), "not a log line: " .. line)
    end
  end)

  it("is quiet when asked", function()
    local result = support.expect(0, { MOMENTUM, "--duration", "600", "--speed", "max", "--quiet" })
    assert.equal("", result.err)
    assert.truthy(result.out:find("PAPER on sim", 1, true))
  end)

  it("writes the log as JSON lines too", function()
    local cwd = support.directory()
    support.expect(0, { MOMENTUM, "--duration", "600", "--speed", "max" }, { cwd = cwd })
    local text = support.read(cwd .. "/artifacts/logs/events.jsonl")
    for line in text:gmatch("[^\n]+") do assert.equal("table", type(support.json(line))) end
    -- What was said before the state directory was known is in it too.
    assert.truthy(text:find("no configuration file found", 1, true), "events.jsonl holds: " .. text)
    assert.truthy(text:find("file read", 1, true), "events.jsonl holds: " .. text)
  end)
end)

describe("a paced run", function()
  after_each(support.cleanup)

  it("ends in order at the first Ctrl-C", function()
    local run = support.start({ MOMENTUM, "--speed", "60", "--json" })
    run:wait_for_running()
    run:signal("INT")
    local result = run:wait()
    assert.equal(0, result.code, support.told(result))
    assert.equal(1, lines_of(result.out))
    local summary = support.json(result.out)
    assert.truthy(summary.ended >= summary.started)
    assert.truthy(result.err:find("stopping in order", 1, true))
  end)

  it("ends in order on SIGTERM", function()
    local run = support.start({ MOMENTUM, "--speed", "60", "--json" })
    run:wait_for_running()
    run:signal("TERM")
    local result = run:wait()
    assert.equal(0, result.code, support.told(result))
    assert.equal("paper", support.json(result.out).mode)
  end)

  it("ends in order while a large data file is still being read", function()
    local cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
    support.write(cwd .. "/feed.csv",
      "time,price,qty,side\n" .. ("1700000000000,100.00,1.0,buy\n"):rep(3000000))
    for _, signal in ipairs({ "TERM", "INT" }) do
      local run = support.start({ "holder.lua", "--feed", "feed.csv", "--json", "--symbols",
                                  "BTC/USDT:USDT" }, { cwd = cwd })
      run:wait_for_log("file read")
      run:signal(signal)
      local result = run:wait()
      assert.equal(0, result.code, support.told(result))
      local told = "stopped by SIG" .. signal .. " before trading began"
      assert.truthy(result.err:find(told, 1, true), result.err)
    end
  end)

  it("keeps the pace: market time follows the wall", function()
    local cwd = support.directory()
    support.write(cwd .. "/beat.lua", [[
local S = { api = 1, name = "beat", version = "1.0.0" }
function S.on_start(ctx) ctx:timer("beat", 10) end
function S.on_timer(ctx) ctx:log("beat at %d", ctx:now()) end
return S
]])
    -- Two seconds of wall at least, whatever the machine does: a bound from below only.
    local began = tonumber(support.first_line("date +%s%N"))
    local result = support.expect(0, { "beat.lua", "--speed", "60", "--duration", "120", "--json",
                                       "--symbols", "BTC/USDT:USDT" }, { cwd = cwd })
    local wall = (tonumber(support.first_line("date +%s%N")) - began) / 1e9
    assert.truthy(wall > 1.9, "two minutes of market at 60 took " .. wall .. " s")
    local _, beats = result.err:gsub("beat at", "")
    assert.truthy(beats >= 11, result.err)
  end)

  it("leaves at once at the second Ctrl-C", function()
    local cwd = support.directory()
    -- While on_stop works the first wish is being granted: the second must not wait for it.
    support.write(cwd .. "/slow.lua", [[
local S = { api = 1, name = "slow", version = "1.0.0" }
function S.on_tick() end
function S.on_stop(ctx)
  ctx:log("on_stop begins")
  while true do end
end
return S
]])
    support.write(cwd .. "/slow.yaml", "sandbox: { callback_hard_ms: 60000 }\n")
    local run = support.start({ "slow.lua", "--config", "slow.yaml", "--speed", "60", "--symbols",
                                "BTC/USDT:USDT" }, { cwd = cwd })
    run:wait_for_running()
    run:signal("INT")
    run:wait_for_log("on_stop begins")
    run:signal("INT")
    local result = run:wait(10)
    assert.equal(130, result.code, support.told(result))
  end)

  it("stops everything on SIGUSR2, and says so with 75", function()
    local cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
    local run = support.start({ "holder.lua", "--speed", "60", "--json", "--symbols", "BTC/USDT:USDT" },
      { cwd = cwd })
    support.wait_for("a fill", 20, function()
      return support.query(cwd .. "/artifacts/ledger-paper.sqlite", "select count(*) from fills")[1] == "1"
    end, function() return run:err() end)
    run:signal("USR2")
    local result = run:wait()
    assert.equal(75, result.code, support.told(result))
    local open = support.query(cwd .. "/artifacts/ledger-paper.sqlite",
      "select status from orders where type = 'limit'")
    assert.same({ "canceled" }, open)
  end)

  it("stops when STATE/EMERGENCY_STOP appears, and does not start while it is there", function()
    local cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
    local words = { "holder.lua", "--speed", "60", "--json", "--symbols", "BTC/USDT:USDT" }
    local run = support.start(words, { cwd = cwd })
    run:wait_for_running()
    support.write(cwd .. "/artifacts/EMERGENCY_STOP", "")
    local result = run:wait()
    assert.equal(75, result.code, support.told(result))
    result = support.expect(75, words, { cwd = cwd })
    assert.truthy(result.err:find("EMERGENCY_STOP", 1, true), result.err)
  end)
end)

describe("on a terminal", function()
  after_each(support.cleanup)

  -- stdout and stderr are one terminal of 120 columns; NO_COLOR or not.
  local function on_terminal(environment, words)
    local cwd = support.directory()
    support.write(cwd .. "/holder.lua", HOLDER)
    local command = support.quote(support.bin)
    for _, word in ipairs(words or {}) do command = command .. " " .. support.quote(word) end
    local result = support.expect(0, { "-qec", "stty cols 120; exec " .. command, "/dev/null" },
      { cwd = cwd, env = environment, program = "script" })
    return result.out
  end
  local words = { "holder.lua", "--speed", "max", "--duration", "600", "--symbols", "BTC/USDT:USDT" }

  it("draws a status line with equity, positions and orders", function()
    local out = on_terminal({ TERM = "xterm" }, words)
    local line = out:match("[^\r\n]*equity [^\r\n]*orders [^\r\n]*")
    assert.truthy(line, out)
    assert.truthy(line:find("equity %d+%.%d%d"), line)
    assert.truthy(line:find("orders 1", 1, true), line)
    assert.truthy(line:find("BTC +", 1, true), line)
    assert.truthy(out:find("\27[", 1, true))
  end)

  it("uses no colours with NO_COLOR", function()
    local out = on_terminal({ TERM = "xterm", NO_COLOR = "1" }, words)
    assert.truthy(out:find("equity", 1, true))
    assert.is_nil(out:match("\27%[[%d;]*m"))
    local coloured = on_terminal({ TERM = "xterm" }, words)
    assert.truthy(coloured:match("\27%[[%d;]*m"))
  end)

  it("says in the status line that trading is halted", function()
    local cwd = support.directory()
    support.write(cwd .. "/s/halt-paper.latch", "what cannot be read counts as set")
    support.write(cwd .. "/holder.lua", HOLDER)
    local command = support.quote(support.bin) .. " holder.lua --state s --speed max --duration 600"
    local result = support.expect(75, { "-qec", "stty cols 120; exec " .. command, "/dev/null" },
      { cwd = cwd, env = { TERM = "xterm", NO_COLOR = "1" }, program = "script" })
    assert.truthy(result.out:find("PAPER  HALTED  2024-", 1, true), result.out)
  end)

  it("draws none with --quiet", function()
    local quiet = { table.unpack(words) }
    quiet[#quiet + 1] = "--quiet"
    assert.is_nil(on_terminal({ TERM = "xterm" }, quiet):find("\r\27[K", 1, true))
  end)
end)
