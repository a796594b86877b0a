-- testing - small markets written by hand, and strategies run on them in this process.
--
--   local testing = require("testing")
--   after_each(testing.cleanup)
--   local bars = testing.bars({ { 100, 101, 99, 100 }, ... })          -- one row a minute
--   local result = testing.run({ strategy = "strategies/momentum.lua", feed = bars, params = { fast = 3 } })
--   result.orders[1].qty, result.fills, result.journal.trades[1].net_pnl
--
-- Unless a spec says otherwise trading costs nothing and orders arrive at once, so that the right
-- answer can be worked out by hand. Money in results is text, exact; state is decoded JSON.
package.cpath = "build/module/?.so;" .. package.cpath
local runtime = require("runtime_testing")
local json = require("dkjson")

local testing = {}

testing.start = 1704067200 -- 2024-01-01T00:00:00Z
testing.symbols = { "BTC/USDT:USDT", "ETH/USDT:USDT" }
testing.symbol = testing.symbols[1]
testing.USAGE, testing.DATA, testing.NO_INPUT = -64, -65, -66 -- minus the exit codes

local FREE = [[
backtest:
  fees: { maker: 0, taker: 0 }
  slippage_model: none
  latency: 0ms
]]

local TERMS = "{ tick_size: 0.01, lot_size: 0.001, min_notional: 5, leverage: 1 }"

-- The configuration of a run: what it says itself, and the terms of its symbols.
local function config_of(options)
  local lines = { options.config or FREE, "instruments:" }
  for _, symbol in ipairs(testing.symbols) do
    lines[#lines + 1] = ('  "%s": %s'):format(symbol, options.terms or TERMS)
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- files ----

local folder, made = nil, 0

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- The temporary directory of the test that runs.
function testing.folder()
  if not folder then
    local pipe = assert(io.popen('mktemp -d "${TMPDIR:-/tmp}/runtime-spec.XXXXXX"'))
    folder = assert(pipe:read("l"), "no temporary directory")
    pipe:close()
  end
  return folder
end

-- To be called after each test: nothing stays.
function testing.cleanup()
  if folder then os.execute("rm -rf " .. quote(folder)) end
  folder = nil
end

function testing.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

function testing.overwrite(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- A new file in the test's directory; its path.
function testing.write(name, text)
  return testing.overwrite(testing.folder() .. "/" .. name, text)
end

local function unique(kind)
  made = made + 1
  return ("%s-%d"):format(kind, made)
end

-- A strategy file; the head makes S, the end returns it.
function testing.strategy(body)
  local head = body:find("local S%s*=") and "" or "local S = { api = 1, name = 'spec', version = '1' }\n"
  return testing.write(unique("strategy") .. ".lua", head .. body .. "\nreturn S\n")
end

-- ---- markets ----

local function rows_to_csv(kind, header, rows, format)
  local lines = { header }
  for i, row in ipairs(rows) do lines[i + 1] = format(row, i) end
  return testing.write(unique(kind) .. ".csv", table.concat(lines, "\n") .. "\n")
end

local function time_text(seconds) return ("%d"):format(math.floor((testing.start + seconds) * 1000 + 0.5)) end

-- { { seconds after the start, price [, qty [, side]] }, ... }; 1, bought, where left out
function testing.trades(rows)
  return rows_to_csv("trades", "time,price,qty,side", rows, function(row)
    return ("%s,%.2f,%.3f,%s"):format(time_text(row[1]), row[2], row[3] or 1, row[4] or "buy")
  end)
end

-- { { seconds after the start, bid, ask [, bid_qty, ask_qty] }, ... }
function testing.quotes(rows)
  return rows_to_csv("quotes", "time,bid,ask,bid_qty,ask_qty", rows, function(row)
    return ("%s,%.2f,%.2f,%.3f,%.3f"):format(time_text(row[1]), row[2], row[3], row[4] or 100, row[5] or 100)
  end)
end

-- { { open, high, low, close [, volume] }, ... }: one a minute, from the start
function testing.bars(rows)
  return rows_to_csv("bars", "time,open,high,low,close,volume", rows, function(row, i)
    return ("%s,%.2f,%.2f,%.2f,%.2f,%.3f"):format(time_text((i - 1) * 60), row[1], row[2], row[3], row[4],
      row[5] or 1000)
  end)
end

-- `count` times the same row, for the beginning of a market.
function testing.flat(count, row)
  local rows = {}
  for i = 1, count do rows[i] = row end
  return rows
end

-- The lists one after the other.
function testing.join(...)
  local rows = {}
  for _, list in ipairs({ ... }) do table.move(list, 1, #list, #rows + 1, rows) end
  return rows
end

-- ---- what a run leaves ----

local function csv_fields(line)
  local fields = {}
  local at = 1
  while at <= #line + 1 do
    local value, after
    if line:sub(at, at) == '"' then
      value, after = line:match('^"(.-)"()%f[,\0]', at)
      value = value:gsub('""', '"')
    else
      value, after = line:match("^([^,]*)()", at)
    end
    fields[#fields + 1] = value
    at = after + 1
  end
  return fields
end

-- All rows of a journal's CSV over its days, each as { column = text }.
local function journal(state, name)
  local rows = {}
  local pipe = assert(io.popen("ls " .. quote(state .. "/journal") .. "/*/" .. name .. ".csv 2>/dev/null"))
  for path in pipe:lines() do
    local header
    for line in io.lines(path) do
      local fields = csv_fields(line)
      if header then
        local row = {}
        for i, column in ipairs(header) do row[column] = fields[i] end
        rows[#rows + 1] = row
      else
        header = fields
      end
    end
  end
  pipe:close()
  return rows
end

-- The log's records, oldest first.
local function log_of(state)
  local records = {}
  for line in (testing.read(state .. "/logs/events.jsonl") or ""):gmatch("[^\n]+") do
    records[#records + 1] = assert(json.decode(line))
  end
  return records
end

-- What strategies said by ctx:log and print: "level message".
local function said(log)
  local lines = {}
  for _, record in ipairs(log) do
    if record.component == "strategy" and record.symbol then
      lines[#lines + 1] = record.level .. " " .. record.message
    end
  end
  return lines
end

-- ---- running ----

local function list_of(value)
  if value == nil then return {} end
  return type(value) == "table" and value or { value }
end

local function words_of(options, state)
  local words = {}
  local function add(...) for _, word in ipairs({ ... }) do words[#words + 1] = tostring(word) end end
  for _, path in ipairs(list_of(options.strategy)) do add(path) end
  for _, feed in ipairs(list_of(options.feed)) do add("--feed", feed) end
  add("--state", state, "--speed", "max", "--log-level", "error", "--capital", options.capital or 10000)
  add("--config", testing.write(unique("config") .. ".yaml", config_of(options)))
  if options.symbols ~= false then add("--symbols", options.symbols or testing.symbol) end
  local names = {}
  for name in pairs(options.params or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add("--param", name .. "=" .. tostring(options.params[name])) end
  add(table.unpack(options.words or {}))
  return words
end

-- One session, to its end.
--   strategy   path, or several
--   feed       data file, or several ("SYMBOL=FILE"); none: the sim market, then words say how long
--   symbols    default BTC/USDT:USDT; false: what the strategy or the feeds say
--   params, capital (10000), config (YAML), terms (of the instruments, YAML), state (directory)
--   words      more of the command line
--   pauses     { { seconds after the start, function }, ... }; files changed there are reloaded
-- Gives what runtime_testing.run gives, and: journal.orders, journal.fills, journal.trades (CSV
-- rows), log (records), said (what strategies logged), state (of the first instance). Or nil,
-- message, code, where.
function testing.run(options)
  local state = options.state or testing.folder() .. "/" .. unique("state")
  local pauses = {}
  for i, pause in ipairs(options.pauses or {}) do pauses[i] = { testing.start + pause[1], pause[2] } end
  local result, message, code, where = runtime.run(words_of(options, state), pauses)
  if not result then return nil, message, code, where end
  for _, instance in ipairs(result.instances) do
    instance.state = instance.state ~= "" and json.decode(instance.state) or nil
  end
  result.state = result.instances[1].state
  result.journal = { orders = journal(state, "orders"), fills = journal(state, "fills"),
                     trades = journal(state, "trades") }
  result.log = log_of(state)
  result.said = said(result.log)
  return result
end

-- The same, for runs that must succeed with every instance alive.
function testing.run_well(options)
  local result, message, _, where = testing.run(options)
  if not result then error(("the run failed: %s %s"):format(where, message), 2) end
  for _, instance in ipairs(result.instances) do
    if not instance.alive then error("an instance was stopped: " .. instance.why, 2) end
  end
  return result
end

-- What `runtime check` says of a file: a table, or nil, message, code, where.
testing.check = runtime.check

-- ---- looking ----

-- Orders that have these fields: testing.find(result.orders, { side = "buy", tag = "entry" })
function testing.find(orders, fields)
  local found = {}
  for _, order in ipairs(orders) do
    local wanted = true
    for name, value in pairs(fields) do wanted = wanted and order[name] == value end
    if wanted then found[#found + 1] = order end
  end
  return found
end

-- The list's values of one field, to compare at a glance.
function testing.pluck(list, field)
  local values = {}
  for i, item in ipairs(list) do values[i] = item[field] end
  return values
end

return testing
