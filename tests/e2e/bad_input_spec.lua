-- What is refused, with which code, where the fault is said to be, and that nothing is written.
local support = require("e2e.support")

local SYMBOL = "BTC/USDT:USDT"
local cwd

local GOOD = [[
local S = { api = 1, name = "good", version = "1.0.0" }
S.params = {
  fast = { 12, min = 2, max = 100 },
  slow = { 48, min = 5, max = 400 },
  tf = { "1m", choices = { "1m", "5m" } },
  on = { true },
}
function S.check(p)
  if p.fast >= p.slow then return false, "fast must be below slow" end
end
function S.on_tick() end
return S
]]

local function setup()
  cwd = support.directory()
  support.write(cwd .. "/good.lua", GOOD)
end

-- The words must all be in what is told; stdout holds the error as JSON; nothing was written.
local function refused(code, arguments, ...)
  local words = { "--json", "--speed", "max", "--duration", "60", "--symbols", SYMBOL }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  local result = support.expect(code, words, { cwd = cwd })
  for _, text in ipairs({ ... }) do
    assert.truthy(result.err:find(text, 1, true), text .. " is not in\n" .. result.err)
  end
  local told = support.json(result.out).error
  assert.equal(code, told.code)
  assert.truthy(#told.message > 0)
  assert.is_not_nil(told.where)
  assert.is_false(support.exists(cwd .. "/artifacts"), "something was written")
  return told, result
end

describe("a strategy file", function()
  before_each(setup)
  after_each(support.cleanup)

  local function bad(source, ...)
    support.write(cwd .. "/bad.lua", source)
    return refused(65, { "bad.lua" }, "bad.lua", ...)
  end

  it("that is missing: 66", function()
    refused(66, { "nowhere.lua" }, "nowhere.lua")
    refused(66, { "good.lua", "no/where.lua" }, "no/where.lua")
  end)

  it("that is a directory", function()
    support.write(cwd .. "/bad.lua/x", "")
    refused(65, { "bad.lua" }, "bad.lua", "directory")
  end)

  it("that is bytecode", function()
    if support.shell("command -v luac5.4 >/dev/null") == 0 then
      support.write(cwd .. "/source.lua", GOOD)
      assert.equal(0, support.shell(("cd %s && luac5.4 -o bad.lua source.lua"):format(cwd)))
      refused(65, { "bad.lua" }, "bad.lua", "compiled")
    end
    bad("\27Lua\x54\0\x19\x93\r\n", "compiled")
  end)

  it("that is empty, or returns nothing, or no table", function()
    bad("", "return")
    bad("local S = {}\n", "return")
    bad("return 5\n", "number")
    bad("return nil\n", "nil")
  end)

  it("that is not UTF-8, or holds a NUL", function()
    bad("return { api = 1, name = 'b\xe4d', version = '1' }\n")
    bad("return { api = 1, name = 'bad\0', version = '1' }\n")
  end)

  it("that does not parse, with its line", function()
    local told = bad("local S = {}\nS.x = = 5\nreturn S\n", "bad.lua:2")
    assert.truthy(told.where:find("bad.lua:2", 1, true), tostring(told.where))
  end)

  it("that fails while it is loaded, with its line", function()
    bad("local x\nlocal y = x.z\nreturn {}\n", "bad.lua:2")
  end)

  it("that reaches for what a guest has not", function()
    for _, call in ipairs({ "io.open('x')", "os.execute('x')", "os.exit(0)", "load('return 1')()",
                            "dofile('x')", "debug.getinfo(1)", "require('socket')",
                            "package.loadlib('x', 'y')", "os.remove('good.lua')",
                            "collectgarbage('stop')" }) do
      bad(call .. "\nreturn { api = 1, name = 'bad', version = '1', on_tick = function() end }\n",
        "bad.lua:1")
    end
    assert.equal(GOOD, support.read(cwd .. "/good.lua"))
  end)

  it("whose description is wrong: the field is named", function()
    for source, words in pairs({
      ["api = 7"] = "api", ["api = 1, name = 5"] = "name",
      ["api = 1, name = 'x', scope = 'galaxy'"] = "scope",
      ["api = 1, name = 'x', params = { a = 5 }"] = "params",
      ["api = 1, name = 'x', symbols = 5"] = "symbols",
      ["api = 1, name = 'x', params = { a = { 5, min = 6 } }"] = "a",
      ["api = 1, name = 'x', params = { a = { 0/0 } }"] = "a",
      ["api = 1, name = 'x', on_tick = 5"] = "on_tick", ["api = 1, name = 'x', verison = '1'"] = "version",
      ["name = 'x'"] = "api",
    }) do
      bad("return { " .. source .. " }\n", words)
    end
  end)
end)

describe("a param", function()
  before_each(setup)
  after_each(support.cleanup)

  it("that is unknown: 64, with the nearest name", function()
    refused(64, { "good.lua", "--param", "fats=5" }, "fats", "fast")
    refused(64, { "good.lua", "--param", "volume=5" }, "volume")
  end)

  it("that is out of range, or of another kind: 64, with what is allowed", function()
    refused(64, { "good.lua", "--param", "fast=1" }, "fast", "min 2")
    refused(64, { "good.lua", "--param", "fast=101" }, "fast", "max 100")
    refused(64, { "good.lua", "--param", "fast=3.5" }, "fast")
    refused(64, { "good.lua", "--param", "fast=many" }, "fast", "many")
    refused(64, { "good.lua", "--param", "fast=nan" }, "fast")
    refused(64, { "good.lua", "--param", "fast=" }, "fast")
    refused(64, { "good.lua", "--param", "tf=7m" }, "tf", "7m", "5m")
    refused(64, { "good.lua", "--param", "on=perhaps" }, "on", "perhaps")
  end)

  it("that breaks the strategy's own rule: 64, with its reason", function()
    refused(64, { "good.lua", "--param", "fast=50" }, "fast must be below slow")
  end)

  it("for no file and no symbol of the run: 64", function()
    refused(64, { "good.lua", "--param", "other.lua:fast=5" }, "other.lua")
  end)
end)

describe("market data", function()
  before_each(setup)
  after_each(support.cleanup)

  local START = support.start_ms

  -- Rows of a trades file; the one at `line` replaced.
  local function with_row(line, text)
    local rows = { "time,price,qty,side" }
    for i = 2, 20 do rows[i] = ("%d,100.5,0.01,buy"):format(START + i * 1000) end
    rows[line] = text
    return table.concat(rows, "\n") .. "\n"
  end

  local function bad(text, ...)
    support.write(cwd .. "/feed.csv", text)
    return refused(65, { "good.lua", "--feed", "feed.csv" }, "feed.csv", ...)
  end

  it("that is missing: 66", function()
    refused(66, { "good.lua", "--feed", "nowhere.csv" }, "nowhere.csv")
  end)

  it("that is a directory, or empty, or a header alone, or of a layout nobody knows", function()
    support.write(cwd .. "/folder/x", "")
    refused(65, { "good.lua", "--feed", "folder" }, "folder")
    bad("")
    bad("time,price,qty\n")
    bad("hello world\nthis is no data\n")
    bad(("%d,5,6\n"):format(START))
  end)

  it("with a row that cannot be read: path and line, counted from the header", function()
    local at = START + 7000
    for text, words in pairs({
      [("%d,abc,0.01,buy"):format(at)] = "abc", [("%d,nan,0.01,buy"):format(at)] = "nan",
      [("%d,NaN,0.01,buy"):format(at)] = "NaN", [("%d,inf,0.01,buy"):format(at)] = "inf",
      [("%d,-5,0.01,buy"):format(at)] = "-5", [("%d,0,0.01,buy"):format(at)] = "price",
      [("%d,,0.01,buy"):format(at)] = "price", [("%d,100,-1,buy"):format(at)] = "qty",
      [("%d,100,0.01,up"):format(at)] = "up", [("%d,100"):format(at)] = "column",
      ["yesterday,100,0.01,buy"] = "yesterday", [("%d,1e400,0.01,buy"):format(at)] = "1e400",
      [("%d,0x10,0.01,buy"):format(at)] = "0x10", [("%d,1 0,0.01,buy"):format(at)] = "1 0",
      [("%d,99999999999999999999,0.01,buy"):format(at)] = "price",
    }) do
      local told = bad(with_row(7, text), "feed.csv:7", words)
      assert.truthy(tostring(told.where):find("feed.csv:7", 1, true), told.where)
    end
  end)

  it("with a row that cannot be read in the first or the last line", function()
    bad(with_row(2, "x,1,1,buy"), "feed.csv:2")
    bad(with_row(20, "x,1,1,buy"), "feed.csv:20")
  end)

  it("with times out of order", function()
    bad(with_row(9, ("%d,100,0.01,buy"):format(START)), "feed.csv:9", "--sort")
  end)

  it("with more bad rows than are allowed", function()
    support.write(cwd .. "/feed.csv", with_row(9, "x,1,1,buy"):gsub("\n$", "\nx,1,1,buy\n"))
    refused(65, { "good.lua", "--feed", "feed.csv", "--skip-bad-rows", "1" }, "feed.csv:21")
  end)

  it("with bars or quotes that cannot be", function()
    local head = "time,open,high,low,close,volume\n"
    bad(head .. ("%d,10,9,8,10,5\n"):format(START), "feed.csv:2", "high")
    bad(head .. ("%d,10,12,11,12,5\n"):format(START), "feed.csv:2", "low")
    bad(head .. ("%d,10,12,8,11,-5\n"):format(START), "feed.csv:2", "volume")
    bad(("time,bid,ask\n%d,10,9\n"):format(START), "feed.csv:2", "ask")
  end)

  it("in an archive that is cut off, or is none", function()
    support.write(cwd .. "/feed.csv", support.trades_csv(support.walk(5000)))
    support.gzip(cwd .. "/feed.csv")
    local whole = support.read(cwd .. "/feed.csv.gz")
    support.write(cwd .. "/cut.csv.gz", whole:sub(1, #whole // 2))
    refused(65, { "good.lua", "--feed", "cut.csv.gz" }, "cut.csv.gz")
    support.write(cwd .. "/cut.csv.gz", whole:sub(1, #whole - 4)) -- the length at its end is missing
    refused(65, { "good.lua", "--feed", "cut.csv.gz" }, "cut.csv.gz")
    support.write(cwd .. "/cut.csv.gz", whole:sub(1, 20))
    refused(65, { "good.lua", "--feed", "cut.csv.gz" }, "cut.csv.gz")
    local broken = whole:sub(1, #whole // 2) .. "\0\0\0\0" .. whole:sub(#whole // 2 + 5)
    support.write(cwd .. "/cut.csv.gz", broken)
    refused(65, { "good.lua", "--feed", "cut.csv.gz" }, "cut.csv.gz")
  end)

  it("with a line that never ends", function()
    bad("time,price,qty\n" .. ("9"):rep(200000) .. "\n", "feed.csv:2")
  end)

  it("with a symbol twice, or for none of the symbols", function()
    support.write(cwd .. "/feed.csv", with_row(2, ("%d,100,1,buy"):format(START)))
    local result = support.run({ "good.lua", "--feed", "A/B=feed.csv", "--symbols", "C/D", "--speed", "max" },
      { cwd = cwd })
    assert.truthy(result.code == 64 or result.code == 65, support.told(result))
    assert.is_false(support.exists(cwd .. "/artifacts"))
  end)

  it("whose symbol nobody names, where several could be meant", function()
    support.write(cwd .. "/feed.csv", with_row(2, ("%d,100,1,buy"):format(START)))
    local result = support.expect(64, { "good.lua", "--feed", "feed.csv", "--symbols", "A/B,C/D" },
      { cwd = cwd })
    assert.truthy(result.err:find("SYMBOL=feed.csv", 1, true), result.err)
  end)
end)
