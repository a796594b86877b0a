-- support.lua - what the end-to-end specs share: run the built binary as a user would, and look.
--
-- Nothing is waited for by time alone: wait_for looks for a stated condition, a bounded number of
-- times, and fails with what it saw. Every command has an upper bound; cleanup ends what is left.
local support = {}

local LOOK_EVERY = "0.02" -- seconds between two looks of wait_for
local LOOKS_A_SECOND = 50
local COMMAND_BOUND = 120 -- seconds; no command of a spec takes that long unless it hangs

-- ---- the shell ------------------------------------------------------------------------------------

function support.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end
local quote = support.quote

-- One line of a command's output; for mktemp, pwd and the like.
local function first_line(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read("l")
  pipe:close()
  return line
end
support.first_line = first_line

local function shell(command)
  local _, how, code = os.execute(command)
  return how == "signal" and 128 + code or code
end
support.shell = shell

support.root = first_line("pwd")
support.bin = os.getenv("RUNTIME_BIN") or "build/runtime"
if support.bin:sub(1, 1) ~= "/" then support.bin = support.root .. "/" .. support.bin end
assert(shell("test -x " .. quote(support.bin)) == 0, support.bin .. " is not there: run make")

-- Sanitizers are slow: specs do fewer rounds under them.
support.sanitized = shell("grep -q __asan_init " .. quote(support.bin)) == 0

-- ---- files ----------------------------------------------------------------------------------------

local directories, processes = {}, {}

-- A new directory, removed by cleanup.
function support.directory()
  local path = assert(first_line("mktemp -d \"${TMPDIR:-/tmp}/runtime-e2e.XXXXXX\""))
  directories[#directories + 1] = path
  return path
end

function support.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

function support.write(path, text)
  local file = io.open(path, "wb")
  if not file then
    assert(shell("mkdir -p " .. quote(path:match("^(.*)/"))) == 0)
    file = assert(io.open(path, "wb"))
  end
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Replaces a file at once, as most editors save.
function support.save(path, text)
  support.write(path .. ".new", text)
  assert(os.rename(path .. ".new", path))
end

function support.exists(path)
  return shell("test -e " .. quote(path)) == 0
end

function support.gzip(path)
  assert(shell("gzip -n -9 -k -f " .. quote(path)) == 0)
  return path .. ".gz"
end

-- Names of the files under a directory, sorted, relative to it.
function support.files(path)
  local list = {}
  local pipe = assert(io.popen("cd " .. quote(path) .. " 2>/dev/null && find . -type f | sort"))
  for line in pipe:lines() do list[#list + 1] = line:sub(3) end
  pipe:close()
  return list
end

-- The files of that name of all days, one after the other, each without its header line.
function support.journal(state, name)
  local rows = {}
  for _, file in ipairs(support.files(state .. "/journal")) do
    if file:match("[^/]+$") == name then
      local text = support.read(state .. "/journal/" .. file)
      for line in text:gsub("^[^\n]*\n", ""):gmatch("[^\n]+") do rows[#rows + 1] = line end
    end
  end
  return rows
end

-- The fields of one CSV line.
function support.fields(line)
  local fields, at = {}, 1
  repeat
    local quoted, after = line:match('^"(.-)"()%f[,\0]', at)
    if quoted then
      fields[#fields + 1] = quoted:gsub('""', '"')
    else
      fields[#fields + 1], after = line:match("^([^,]*)()", at)
    end
    at = after + 1
  until after > #line
  return fields
end

function support.query(database, sql)
  local rows = {}
  local pipe = assert(io.popen("sqlite3 -readonly " .. quote(database) .. " " .. quote(sql) .. " 2>&1"))
  for line in pipe:lines() do rows[#rows + 1] = line end
  pipe:close()
  return rows
end

-- Fails at the first line in which two texts differ, and shows that line alone.
function support.same_lines(wanted, seen, what)
  if wanted == seen then return end
  local next_wanted, next_seen, number = wanted:gmatch("[^\n]*"), seen:gmatch("[^\n]*"), 0
  repeat
    local a, b = next_wanted(), next_seen()
    number = number + 1
    if a ~= b then
      error(("%s: line %d differs\nwanted: %s\nseen:   %s"):format(what, number, a or "(the end)",
        b or "(the end)"), 2)
    end
  until not a
end

-- ---- commands -------------------------------------------------------------------------------------

-- The environment is empty but for what a spec gives: a user's settings must not change a test.
local function command_line(arguments, options)
  local words = { "env", "-i", "--default-signal=INT", "PATH=" .. quote(os.getenv("PATH")),
                  "HOME=" .. quote(options.cwd), "LC_ALL=C" }
  for _, name in ipairs({ "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS" }) do
    if os.getenv(name) then words[#words + 1] = name .. "=" .. quote(os.getenv(name)) end
  end
  for name, value in pairs(options.env or {}) do words[#words + 1] = name .. "=" .. quote(value) end
  words[#words + 1] = quote(options.program or support.bin)
  for _, argument in ipairs(arguments) do words[#words + 1] = quote(argument) end
  return table.concat(words, " ")
end

-- Runs the binary to its end: { out, err, code }. options: cwd, env, program, limits ("timeout" words
-- that replace the bound, such as "-s KILL 0.05"), prefix (shell text in front of it all).
function support.run(arguments, options)
  options = options or {}
  options.cwd = options.cwd or support.directory()
  local base = os.tmpname()
  local command = ("cd %s && %s timeout %s %s >%s.out 2>%s.err </dev/null"):format(
    quote(options.cwd), options.prefix or "", options.limits or ("-k 5 " .. COMMAND_BOUND),
    command_line(arguments, options), base, base)
  local code = shell(command)
  local result = { out = support.read(base .. ".out"), err = support.read(base .. ".err"), code = code }
  for _, ending in ipairs({ "", ".out", ".err" }) do os.remove(base .. ending) end
  assert(code ~= 124, "still running after " .. COMMAND_BOUND .. " s: " .. command)
  assert(not result.err:find("Sanitizer"), result.err)
  return result
end

-- The last line of the log that holds a reason, for a failing assertion.
function support.told(result)
  return ("exit code %s\nstdout: %s\nstderr: %s"):format(result.code, result.out:sub(1, 2000),
    result.err:sub(-3000))
end

-- Runs a command that has to end with that code.
function support.expect(code, arguments, options)
  local result = support.run(arguments, options)
  assert(result.code == code, ("%s: expected exit code %d\n%s"):format(
    table.concat(arguments, " "), code, support.told(result)))
  return result
end

-- ---- processes in the background --------------------------------------------------------------------

local process = {}
process.__index = process

-- Starts the binary; files for its output lie in a directory of their own. With options.limits it runs
-- under timeout, which then is the process that signals reach.
function support.start(arguments, options)
  options = options or {}
  options.cwd = options.cwd or support.directory()
  local folder = support.directory()
  local script = ("cd %s && { %s >%s/out 2>%s/err </dev/null & pid=$!; echo $pid >%s/pid; " ..
    "wait $pid; echo $? >%s/code.new; mv %s/code.new %s/code; }"):format(quote(options.cwd),
    (options.limits and "timeout " .. options.limits .. " " or "") .. command_line(arguments, options),
    folder, folder, folder, folder, folder, folder)
  assert(shell(("sh -c %s </dev/null >/dev/null 2>&1 &"):format(quote(script))) == 0)
  local self = setmetatable({ folder = folder }, process)
  processes[#processes + 1] = self
  support.wait_for("the process to start", 10, function()
    self.pid = tonumber(support.read(folder .. "/pid") or "")
    return self.pid
  end)
  return self
end

function process:out() return support.read(self.folder .. "/out") or "" end
function process:err() return support.read(self.folder .. "/err") or "" end
function process:code() return tonumber(support.read(self.folder .. "/code") or "") end

function process:signal(name)
  shell(("kill -%s %d 2>/dev/null"):format(name, self.pid))
end

-- Waits until it minds signals: it trades then, or is about to.
function process:wait_for_running(seconds)
  support.wait_for("a handler of SIGTERM", seconds or 20, function()
    if self:code() then error("it ended with " .. self:code() .. "\n" .. self:err():sub(-3000), 0) end
    local status = support.read("/proc/" .. self.pid .. "/status") or ""
    local caught = tonumber(status:match("SigCgt:%s*(%x+)") or "0", 16)
    return caught & (1 << 14) ~= 0
  end, function() return self:err():sub(-3000) end)
end

-- Waits until stderr holds the text (plain), after byte `from` when given; returns where it ends.
function process:wait_for_log(text, seconds, from)
  local position
  support.wait_for("the log to say: " .. text, seconds or 20, function()
    local _, last = self:err():find(text, from or 1, true)
    position = last
    if not last and self:code() then error("it ended with " .. self:code() .. " without saying: " ..
      text .. "\n" .. self:err():sub(-3000), 0) end
    return last
  end, function() return self:err():sub(-3000) end)
  return position
end

-- Waits for the end: { out, err, code }.
function process:wait(seconds)
  support.wait_for("the process to end", seconds or 30, function() return self:code() end,
    function() return self:err():sub(-3000) end)
  local result = { out = self:out(), err = self:err(), code = self:code() }
  assert(not result.err:find("Sanitizer"), result.err)
  return result
end

-- Looks until look() is true, for at most so many seconds; then fails with what seen() tells.
function support.wait_for(what, seconds, look, seen)
  for _ = 1, seconds * LOOKS_A_SECOND do
    local result = look()
    if result then return result end
    shell("sleep " .. LOOK_EVERY)
  end
  error(("waited for %s, for %g s in vain; seen: %s"):format(what, seconds, seen and seen() or "-"), 2)
end

-- To be called after each test: nothing stays.
function support.cleanup()
  for _, one in ipairs(processes) do
    if one.pid and not one:code() then
      one:signal("KILL")
      pcall(support.wait_for, "a killed process to end", 5, function() return one:code() end)
    end
  end
  for _, path in ipairs(directories) do
    shell("chmod -R u+rwx " .. quote(path) .. " 2>/dev/null; rm -rf " .. quote(path))
  end
  directories, processes = {}, {}
end

-- ---- JSON -------------------------------------------------------------------------------------------

support.null = setmetatable({}, { __tostring = function() return "null" end })

local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local decode_value

local function decode_string(text, at)
  local parts = {}
  while true do
    local plain, stop = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1] = plain
    local byte = text:sub(stop, stop)
    if byte == '"' then return table.concat(parts), stop + 1 end
    assert(byte == "\\", "JSON: a string is not closed at byte " .. at)
    local letter = text:sub(stop + 1, stop + 1)
    if letter == "u" then
      parts[#parts + 1] = utf8.char(assert(tonumber(text:sub(stop + 2, stop + 5), 16)))
      at = stop + 6
    else
      parts[#parts + 1] = assert(escapes[letter], "JSON: a bad escape at byte " .. stop)
      at = stop + 2
    end
  end
end

local function decode_list(text, at, close, item)
  at = text:match("^%s*()", at)
  if text:sub(at, at) == close then return at + 1 end
  while true do
    at = item(at)
    local byte, after = text:match("^%s*(.)()", at)
    if byte == close then return after end
    assert(byte == ",", "JSON: a comma is missing at byte " .. at)
    at = after
  end
end

function decode_value(text, at)
  at = text:match("^%s*()", at)
  local byte = text:sub(at, at)
  if byte == '"' then return decode_string(text, at + 1) end
  if byte == "{" then
    local object = {}
    return object, decode_list(text, at + 1, "}", function(place)
      local key, value
      place = assert(text:match('^%s*"()', place), "JSON: a key is missing at byte " .. place)
      key, place = decode_string(text, place)
      assert(object[key] == nil, "JSON: the key " .. key .. " comes twice")
      place = assert(text:match("^%s*:()", place), "JSON: a colon is missing at byte " .. place)
      value, place = decode_value(text, place)
      object[key] = value
      return place
    end)
  end
  if byte == "[" then
    local array = {}
    return array, decode_list(text, at + 1, "]", function(place)
      array[#array + 1], place = decode_value(text, place)
      return place
    end)
  end
  for word, value in pairs({ ["true"] = true, ["false"] = false, null = support.null }) do
    if text:sub(at, at + #word - 1) == word then return value, at + #word end
  end
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  assert(number and tonumber(number), "JSON: not a value at byte " .. at .. ": " .. text:sub(at, at + 20))
  return tonumber(number), at + #number
end

-- One value, and nothing after it but blanks.
function support.json(text)
  local value, after = decode_value(text, 1)
  assert(text:match("^%s*$", after), "JSON: more after the value: " .. text:sub(after, after + 40))
  return value
end

-- ---- exact decimals ---------------------------------------------------------------------------------

-- "-12.5" as { whole, 9 digits, 9 digits, 9 digits }, all with the number's sign.
local function limbs(text)
  local sign, whole, rest = assert(text, "a decimal is missing"):match("^(-?)(%d+)%.?(%d*)$")
  assert(whole and #rest <= 27, "not a decimal: " .. text)
  rest = rest .. ("0"):rep(27 - #rest)
  local list = { tonumber(whole) }
  for i = 2, 4 do list[i] = tonumber(rest:sub(9 * i - 17, 9 * i - 9)) end
  for i = 1, 4 do list[i] = sign == "-" and -list[i] or list[i] end
  return list
end

-- The exact sum of decimals written as text; a term "-x" of a minus sign and a text is subtracted.
-- Two sums are equal when their texts are.
function support.sum(...)
  local total = { 0, 0, 0, 0 }
  for _, text in ipairs({ ... }) do
    text = text:gsub("^%-%-", "")
    for i, limb in ipairs(limbs(text)) do total[i] = total[i] + limb end
  end
  for i = 4, 2, -1 do
    local carry = total[i] // 1000000000
    total[i] = total[i] - carry * 1000000000
    total[i - 1] = total[i - 1] + carry
  end
  return ("%d.%09d%09d%09d"):format(table.unpack(total))
end

-- ---- market data ------------------------------------------------------------------------------------

-- Numbers that look random and are the same everywhere.
function support.random(seed)
  local state = seed
  return function(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n
  end
end

support.start_ms = 1700000000000 -- 2023-11-14T22:13:20Z

-- A price walk: rows of { ms, price, qty, sell } with two and four decimals.
function support.walk(rows, options)
  options = options or {}
  local random = support.random(options.seed or 7)
  local list, cents = {}, options.cents or 10000
  for i = 1, rows do
    cents = math.max(cents + random(21) - 10, 100)
    list[i] = { ms = support.start_ms + (i - 1) * (options.every_ms or 1000), cents = cents,
                price = ("%d.%02d"):format(cents // 100, cents % 100),
                qty = ("0.%04d"):format(1 + random(9999)), sell = random(2) == 1 }
  end
  return list
end

-- The walk as generic CSV with a header; times in ms.
function support.trades_csv(list)
  local lines = { "time,price,qty,side" }
  for i, row in ipairs(list) do
    lines[i + 1] = ("%d,%s,%s,%s"):format(row.ms, row.price, row.qty, row.sell and "sell" or "buy")
  end
  return table.concat(lines, "\n") .. "\n"
end

-- A strategy that trades on every few ticks, whatever the market does.
support.busy = [[
local S = { api = 1, name = "busy", version = "1.0.0" }
S.params = { every = { 10, min = 1, max = 1000 }, qty = { 0.01, min = 0.0001, max = 10 } }
local seen = 0
function S.on_tick(ctx, tick, p)
  seen = seen + 1
  if seen % p.every ~= 0 then return end
  if ctx:position().qty > 0 then ctx:sell(p.qty) else ctx:buy(p.qty) end
end
return S
]]

return support
