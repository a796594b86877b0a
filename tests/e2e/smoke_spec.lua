-- The five critical paths, in seconds: `make smoke`.
local support = require("e2e.support")

local MOMENTUM = support.root .. "/strategies/momentum.lua"

describe("smoke:", function()
  after_each(support.cleanup)

  it("a run on the sim market ends with a summary that adds up", function()
    local result = support.expect(0, { MOMENTUM, "--duration", "3600", "--speed", "max", "--json" })
    local summary = support.json(result.out)
    assert.equal(support.sum(summary.equity_end),
      support.sum(summary.equity_start, summary.realized_pnl, summary.unrealized_pnl,
        "-" .. summary.fees, summary.funding))
  end)

  it("the same feed twice gives the same result", function()
    local cwd = support.directory()
    support.write(cwd .. "/busy.lua", support.busy)
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(2000)))
    local hashes = {}
    for i = 1, 2 do
      local result = support.expect(0, { "busy.lua", "--feed", "feed.csv", "--symbols", "BTC/USDT:USDT",
                                         "--speed", "max", "--json" }, { cwd = cwd })
      local summary = support.json(result.out)
      assert.truthy(summary.fills > 100)
      hashes[i] = summary.result_hash
    end
    assert.equal(hashes[1], hashes[2])
  end)

  it("saving the file swaps the code", function()
    local cwd = support.directory()
    support.write(cwd .. "/busy.lua", support.busy)
    local run = support.start({ "busy.lua", "--speed", "60", "--duration", "3600", "--symbols",
                                "BTC/USDT:USDT" }, { cwd = cwd })
    run:wait_for_running()
    support.save(cwd .. "/busy.lua", (support.busy:gsub("1%.0%.0", "1.0.1")))
    run:wait_for_log("strategy swapped")
    run:signal("INT")
    local result = run:wait()
    assert.equal(0, result.code, support.told(result))
    assert.truthy(result.out:find("busy 1.0.1", 1, true), result.out)
  end)

  it("a killed run ends as if nothing had happened", function()
    local cwd = support.directory()
    support.write(cwd .. "/busy.lua", support.busy)
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(40000)))
    local words = { "busy.lua", "--feed", "feed.csv", "--symbols", "BTC/USDT:USDT", "--speed", "max",
                    "--json", "--state", "whole" }
    local whole = support.expect(0, words, { cwd = cwd })
    words[#words] = "killed"
    local run = support.start(words, { cwd = cwd })
    support.wait_for("a hundred orders", 20, function()
      local seen = support.query(cwd .. "/killed/ledger-paper.sqlite", "select max(order_id) from orders")
      return (tonumber(seen[1]) or 0) > 100
    end, function() return run:err() end)
    run:signal("KILL")
    assert.equal(137, run:wait().code)
    local again = support.expect(0, words, { cwd = cwd })
    assert.equal(whole.out, again.out)
  end)

  it("a bad file is refused before anything is written", function()
    local cwd = support.directory()
    support.write(cwd .. "/bad.lua", "return { api = 1, name = ")
    local result = support.expect(65, { "bad.lua", "--duration", "60", "--speed", "max" }, { cwd = cwd })
    assert.truthy(result.err:find("bad.lua:1", 1, true), result.err)
    assert.is_false(support.exists(cwd .. "/artifacts"))
  end)
end)
