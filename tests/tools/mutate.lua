-- mutate.lua: whether the unit tests of a C file would notice if it were wrong.
--
--   lua5.4 tests/tools/mutate.lua [--list] SOURCE=TEST[,TEST...] ...
--   lua5.4 tests/tools/mutate.lua runtime/risk/breaker.c=breaker_test
--
-- Makes one small change at a time (RULES below), compiles that file alone, links its tests and runs
-- them until one fails: then the change was found. Changes that do not compile, or that compile to the
-- same code under -O2, are no changes. Those that cannot matter are listed in
-- tests/tools/mutate_equivalent.txt with the reason, and counted apart.
--
-- Environment: CC, PKG_CFLAGS and LIBS as in the Makefile ("make mutate" sets them), JOBS (2).
-- Works in build/mutate. Exit 1: a change survived, or an entry of that list is of no use.

local BUILD = "build/mutate"
local EQUIVALENT = "tests/tools/mutate_equivalent.txt"
local CC = os.getenv("CC") or "cc"
local FLAGS = "-std=c11 -D_GNU_SOURCE -w -ffp-contract=off -pthread -I. " .. (os.getenv("PKG_CFLAGS") or "")
local LIBS = os.getenv("LIBS") or "-lm"
local JOBS = tonumber(os.getenv("JOBS")) or 2
local SLOWEST_S = 60 -- a test that takes longer is of no use here

local function die(...)
  io.stderr:write("mutate: ", string.format(...), "\n")
  os.exit(2)
end

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function run(format, ...)
  return os.execute(string.format(format, ...))
end

-- ---- where a change may be made ----

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- The end of what begins with the bracket at `from`.
local function closing(text, from)
  local _, to = text:find("^%b()", from)
  return to
end

-- The text with all that is never changed made blank, byte for byte: comments, strings, characters,
-- the preprocessor's lines, ASSERTs, and what stands at the margin (declarations, definitions).
local function mask(text)
  local out, at = {}, 1
  local patterns = { "^/%*.-%*/", "^//[^\n]*", '^"[^"\\\n]*"', "^'[^'\\\n]*'" }
  local function skip(to)
    out[#out + 1] = blank(text:sub(at, to))
    at = to + 1
  end
  while at <= #text do
    local to
    for _, pattern in ipairs(patterns) do
      to = to or select(2, text:find(pattern, at))
    end
    local quote = text:match("^[\"']", at)
    if not to and quote then -- with escapes in it
      to = at + 1
      while text:sub(to, to) ~= quote do
        to = to + (text:sub(to, to) == "\\" and 2 or 1)
      end
    end
    local margin = at == 1 or text:sub(at - 1, at - 1) == "\n"
    if not to and margin then
      to = select(2, text:find("^#[^\n]*\\\n.-[^\\]\n", at)) or select(2, text:find("^[^%s][^\n]*", at))
      -- A comment that begins at the margin was found above; a definition's head may go on.
      if to and not text:find("^#", at) and text:sub(at, to):find("/%*") then to = nil end
    end
    if not to and text:find("^ASSERT%(", at) then to = closing(text, at + 6) end
    if to then
      skip(to)
    else
      out[#out + 1] = text:sub(at, at)
      at = at + 1
    end
  end
  return table.concat(out)
end

-- ---- the rules: each gives (from, to, replacement, name) for every place ----

local SWAPS = {
  ["=="] = "!=", ["!="] = "==", ["<"] = "<=", ["<="] = "<", [">"] = ">=", [">="] = ">",
  ["&&"] = "||", ["||"] = "&&", ["+"] = "-", ["-"] = "+", ["++"] = "--", ["--"] = "++",
  ["+="] = "-=", ["-="] = "+=",
}
-- Longest first: what is read whole is not read in parts. Those without a swap are only read.
local OPERATORS = {
  "<<=", ">>=", "...", "==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "++", "--", "+=", "-=", "->",
  "<", ">", "+", "-",
}
local WORDS = {
  ROUND_DOWN = "ROUND_UP", ROUND_UP = "ROUND_DOWN", ROUND_FLOOR = "ROUND_CEILING",
  ROUND_CEILING = "ROUND_FLOOR", floor = "ceil", ceil = "floor", fmin = "fmax", fmax = "fmin",
  decimal_min = "decimal_max", decimal_max = "decimal_min", decimal_add = "decimal_sub",
  decimal_sub = "decimal_add",
}

local function operators(text, emit)
  local at = 1
  while at <= #text do
    local found
    for _, operator in ipairs(OPERATORS) do
      if text:sub(at, at + #operator - 1) == operator then
        found = operator
        break
      end
    end
    if found then
      local binary = text:sub(1, at - 1):sub(-80):match("[%w_%)%]]%s*$")
      local sign = found == "+" or found == "-"
      local exponent = sign and text:sub(1, at - 1):sub(-80):find("%f[%w_.]%d[%d.]*[eE]$") -- 1e-9
      if exponent then binary = nil end
      local swap = SWAPS[found]
      if swap and (not sign or binary) then emit(at, at + #found - 1, swap, found .. " to " .. swap) end
      at = at + #found
    else
      at = at + 1
    end
  end
end

local function words(text, emit)
  for from, word, to in text:gmatch("()([%a_][%w_]*)()") do
    local swap = WORDS[word]
    if swap then emit(from, to - 1, swap, word .. " to " .. swap) end
  end
end

local function returns(text, emit)
  for from, value, to in text:gmatch("()return (%a+)();") do
    local swap = value == "true" and "false" or value == "false" and "true"
    if swap then emit(from, to - 1, "return " .. swap, "return " .. value .. " to " .. swap) end
  end
end

local function conditions(text, emit)
  for from in text:gmatch("%f[%w_]if ()%(") do
    local to = closing(text, from)
    emit(from, to, nil, "if not", "(!", ")")
    emit(from, to, "(false)", "if false")
  end
end

-- What stands before a "?": back to the bracket, comma, "=" or "return" that it begins after.
local function ternaries(text, emit)
  for at in text:gmatch("()%?") do
    local depth, from = 0, at - 1
    while from > 0 do
      local c = text:sub(from, from)
      if c == ")" or c == "]" then depth = depth + 1 end
      if (c == "(" or c == "[") and depth == 0 then break end
      if c == "(" or c == "[" then depth = depth - 1 end
      if depth == 0 and c:find("[,;{}:]") then break end
      if depth == 0 and c == "=" and not text:sub(from - 1, from + 1):find("[=!<>]=") and
        text:sub(from + 1, from + 1) ~= "=" then break end
      if depth == 0 and text:sub(from - 5, from) == "return" then break end
      from = from - 1
    end
    from = text:find("%S", from + 1)
    local to = at - #text:sub(1, at - 1):match("%s*$") - 1
    emit(from, to, nil, "? not", "!(", ")")
  end
end

-- A call that answers yes or no, by its name, is answered without asking.
local QUESTIONS = {
  "^check_", "^is_", "_is_", "_valid$", "^too_", "^has_", "^may_", "_may_", "_within$", "_allows$",
}
local function questions(text, emit)
  for from, name, bracket in text:gmatch("()%f[%w_]([%a_][%w_]*)()%(") do
    for _, pattern in ipairs(QUESTIONS) do
      if name:find(pattern) then
        local to = closing(text, bracket)
        emit(from, to, "true", name .. " says true")
        emit(from, to, "false", name .. " says false")
        break
      end
    end
  end
end

-- A call, an assignment or a count that is not made: a statement that is no declaration.
local KEYWORDS = {}
for word in ("return if else for while do break continue goto case default switch sizeof"):gmatch("%a+") do
  KEYWORDS[word] = true
end
local function statements(text, emit)
  for from, first, to in text:gmatch("()%f[^%s;{})]([%a_*%(][^;{}]*)();") do
    local word, rest = first:match("^([%a_][%w_]*)(.*)$")
    local declares = rest and rest:find("^%s+[%a_*]")
    -- Only where a statement may begin: at the start of its line.
    local starts = text:sub(1, from - 1):match("[\n]%s*$") or from == 1
    if starts and word and not KEYWORDS[word] and not declares and rest:find("[%(=+-]") then
      local depth = select(2, first:gsub("%(", "")) - select(2, first:gsub("%)", ""))
      if depth == 0 then emit(from, to, ";", "dropped") end
    end
  end
end

local function constants(text, emit)
  for from, number, to in text:gmatch("()%f[%w_.]([%d][%w_.]*)()") do
    local before = text:sub(1, from - 1):match("[^\n]*$")
    local buffer = before:find("^%s*[%a_][%w_ ]*%[$") -- char text[64]: more room is no change
    if number:find("^%d[%d.]*[eE]$") then -- 1e-9
      to = select(2, text:find("^[+-]%d+", to)) + 1
      number = text:sub(from, to - 1)
    end
    local value = math.tointeger(tonumber(number))
    local in_exponent = text:sub(1, from - 1):sub(-80):find("%f[%w_.]%d[%d.]*[eE][+-]$")
    if not buffer and not in_exponent then
      if value then
        emit(from, to - 1, tostring(value + 1), "constant + 1")
      elseif tonumber(number) then
        emit(from, to - 1, "(" .. number .. " + 1)", "constant + 1")
      end
    end
  end
  for from, name, to in text:gmatch("()%f[%w_]([%u][%u%d_]+)%f[^%w_]()") do
    local before = text:sub(1, from - 1):match("[^\n]*$")
    local buffer = before:find("^%s*[%a_][%w_ ]*%[$")
    if name ~= "NULL" and not buffer and not WORDS[name] and not text:find("^%s*%(", to) then
      emit(from, to - 1, "(" .. name .. " + 1)", "constant + 1")
    end
  end
end

local RULES = { operators, words, returns, conditions, ternaries, questions, statements, constants }

-- All changes of a source, in the order of their places.
local function mutants_of(path)
  local source = read(path) or die("%s cannot be read", path)
  local masked = mask(source)
  local lines, place = {}, "top"
  for from, line in (source .. "\n"):gmatch("()([^\n]*)\n") do
    place = line:find("^%a") and line:match("([%w_]+)%(") or place
    lines[#lines + 1] = { from = from, text = line, place = place }
  end
  local list, current = {}, 1
  local function line_at(at)
    if lines[current].from > at then current = 1 end
    while lines[current + 1] and lines[current + 1].from <= at do current = current + 1 end
    return current
  end
  local function emit(from, to, replacement, rule, before, after)
    local old = source:sub(from, to)
    local new = replacement or before .. old .. after
    if old == new then return end
    local number = line_at(from)
    list[#list + 1] = {
      path = path, place = lines[number].place, line = number, at = from, rule = rule, order = #list,
      text = lines[number].text:match("^%s*(.-)%s*$"),
      old = old:gsub("%s+", " "), new = new:gsub("%s+", " "),
      source = source:sub(1, from - 1) .. new .. source:sub(to + 1),
    }
  end
  for _, rule in ipairs(RULES) do rule(masked, emit) end
  table.sort(list, function(a, b) return a.at < b.at or a.at == b.at and a.order < b.order end)
  local seen = {}
  for _, m in ipairs(list) do -- the second of a rule on a line (of a function) is "#2"
    local key = m.place .. "\n" .. m.text .. "\n" .. m.rule
    seen[key] = (seen[key] or 0) + 1
    m.rule = seen[key] > 1 and m.rule .. " #" .. seen[key] or m.rule
  end
  return list
end

-- ---- the list of changes that cannot matter ----

-- Three lines each: "FILE FUNCTION: RULE", the line as it stands, the reason.
local function read_equivalent()
  local known, stanza = {}, {}
  for line in ((read(EQUIVALENT) or "") .. "\n\n"):gmatch("([^\n]*)\n") do
    if not line:find("^#") then
      if line:find("%S") then
        stanza[#stanza + 1] = line:match("^%s*(.-)%s*$")
      elseif #stanza > 0 then
        if #stanza < 3 then die("%s: '%s' needs a line and a reason", EQUIVALENT, stanza[1]) end
        known[stanza[1] .. "\n" .. stanza[2]] =
          { name = stanza[1], text = stanza[2], path = stanza[1]:match("^%S*") }
        stanza = {}
      end
    end
  end
  return known
end

-- ---- compiling and running ----

local ONE = [[
# NUMBER "TEST TEST..." NAME: found, survived, equal (the same code) or invalid, into NUMBER/result
here=@BUILD@/$1
verdict() { echo "$1" >$here/result; exit 0; }
ulimit -c 0
ulimit -v 4000000
@COMPILE@ -O0 -c -o $here/m.o $here/m.c || verdict invalid
for test in $2; do
  @CC@ -o $here/test @BUILD@/obj/tests/unit/$test.o $here/m.o @BUILD@/libsimulation.a @BUILD@/libruntime.a \
    -Wl,--as-needed @LIBS@ -lcmocka || verdict "does not link"
  CMOCKA_TEST_ABORT=1 timeout "$(cat @BUILD@/$test.timeout)" $here/test || verdict found
done
@COMPILE@ -O2 -c -o $here/o.o $here/m.c
cmp -s $here/o.o @BUILD@/$3.o && verdict equal
verdict survived
]]

local function now_s()
  local pipe = io.popen("date +%s.%N")
  local text = pipe:read("a")
  pipe:close()
  return tonumber(text)
end

-- Builds the tests and sees that they pass without a change. A loop without end counts as found: after
-- two seconds, and ten times what the test took.
local function prepare(targets)
  local tests, binaries, log = {}, {}, BUILD .. "/log"
  for _, target in ipairs(targets) do
    for _, test in ipairs(target.tests) do
      if not tests[test] then binaries[#binaries + 1] = BUILD .. "/unit/" .. test end
      tests[test] = true
    end
  end
  if not run("make -s B=%s CFLAGS=-O1 %s/libsimulation.a %s >%s 2>&1", BUILD, BUILD,
    table.concat(binaries, " "), log) then
    die("the tests do not build: see %s", log)
  end
  for test in pairs(tests) do
    local began = now_s()
    if not run("timeout %d %s/unit/%s >%s 2>&1", SLOWEST_S, BUILD, test, log) then
      die("%s fails, or takes more than %d s, before anything is changed: see %s", test, SLOWEST_S, log)
    end
    write(string.format("%s/%s.timeout", BUILD, test), string.format("%.1f", 2 + 10 * (now_s() - began)))
  end
  local holes = { BUILD = BUILD, CC = CC, LIBS = LIBS, COMPILE = CC .. " " .. FLAGS }
  write(BUILD .. "/one.sh", (ONE:gsub("@(%u+)@", holes)))
end

local function line_directive(path)
  return string.format('#line 1 "%s"\n', path)
end

local function judge(all)
  local queue = {}
  for i, m in ipairs(all) do
    run("rm -rf %s/%d && mkdir %s/%d", BUILD, i, BUILD, i)
    write(string.format("%s/%d/m.c", BUILD, i), line_directive(m.path) .. m.source)
    queue[i] = string.format("%d '%s' %s", i, table.concat(m.target.tests, " "), m.target.name)
  end
  write(BUILD .. "/queue", table.concat(queue, "\n") .. "\n")
  run("xargs -P %d -L 1 sh %s/one.sh <%s/queue >/dev/null 2>&1", JOBS, BUILD, BUILD)
  for i, m in ipairs(all) do
    m.verdict = (read(string.format("%s/%d/result", BUILD, i)) or "no verdict"):match("[^\n]*")
    run("rm -rf %s/%d", BUILD, i)
  end
end

-- The code without a change, to tell what changes nothing. Of the same file name: the object holds it.
local function compile_original(target)
  target.name = target.path:gsub("[/.]", "_")
  local folder = BUILD .. "/" .. target.name
  run("mkdir -p %s", folder)
  write(folder .. "/m.c", line_directive(target.path) .. read(target.path))
  if not run("%s %s -O2 -c -o %s.o %s/m.c", CC, FLAGS, folder, folder) then
    die("%s does not compile", target.path)
  end
end

-- ---- the report ----

-- What a change counts as, once the list is asked. Says what is wrong with the list.
local function settle(m, known)
  local entry = known[string.format("%s %s: %s\n%s", m.path, m.place, m.rule, m.text)]
  if not entry or m.verdict == "invalid" then return m.verdict end
  entry.used = true
  if m.verdict == "survived" or m.verdict == "equal" then return "listed" end
  print(string.format("%s:%d: is listed as equivalent, but it is %s: %s", m.path, m.line, m.verdict, m.rule))
  entry.wrong = true
  return m.verdict
end

local function report_target(target, all, known)
  local count = { found = 0, survived = 0, equal = 0, invalid = 0, listed = 0 }
  for _, m in ipairs(all) do
    if m.target == target then
      local verdict = settle(m, known)
      if not count[verdict] then die("%s:%d: %s: %s", m.path, m.line, m.rule, verdict) end
      count[verdict] = count[verdict] + 1
      if verdict == "survived" then
        print(string.format("%s:%d: SURVIVED", m.path, m.line))
        print(string.format("    %s %s: %s\n    %s", m.path, m.place, m.rule, m.text))
        print(string.format("    %s  ->  %s", m.old, m.new))
      end
    end
  end
  local total = count.found + count.survived
  print(string.format("%-28s %4d of %4d found  %5.1f %%   (equivalent: %d listed, %d the same code; "
    .. "not C: %d)", target.path, count.found, total, total > 0 and 100 * count.found / total or 100,
    count.listed, count.equal, count.invalid))
  return count.found, total
end

local function report(targets, all)
  local known, found, total, clean = read_equivalent(), 0, 0, true
  for _, target in ipairs(targets) do
    local some, of = report_target(target, all, known)
    found, total = found + some, total + of
    for _, entry in pairs(known) do
      if entry.path == target.path and not entry.used then
        print(string.format("%s: there is no such change any more:", EQUIVALENT))
        print(string.format("    %s\n    %s", entry.name, entry.text))
        entry.wrong = true
      end
      clean = clean and not entry.wrong
    end
  end
  print(string.format("mutation score: %d of %d, %.1f %%", found, total,
    total > 0 and 100 * found / total or 100))
  return clean and found == total
end

-- ---- the command ----

local targets, only_list = {}, false
for _, argument in ipairs(arg) do
  local path, tests = argument:match("^([^=]+)=(.+)$")
  if argument == "--list" then
    only_list = true
  elseif not path then
    die("'%s' is not SOURCE=TEST[,TEST...]", argument)
  else
    local target = { path = path, tests = {} }
    for test in tests:gmatch("[^,]+") do target.tests[#target.tests + 1] = test end
    targets[#targets + 1] = target
  end
end
if #targets == 0 then die("no SOURCE=TEST was given") end

local all = {}
for _, target in ipairs(targets) do
  for _, m in ipairs(mutants_of(target.path)) do
    m.target = target
    all[#all + 1] = m
  end
end
if only_list then
  for _, m in ipairs(all) do
    print(string.format("%s:%d: %s: %s  ->  %s", m.path, m.line, m.rule, m.old, m.new))
  end
  os.exit(0)
end
run("mkdir -p %s", BUILD)
prepare(targets)
for _, target in ipairs(targets) do compile_original(target) end
local began = os.time()
-- First each source as it is: what is not judged "equal" then proves nothing later.
local unchanged = {}
for i, target in ipairs(targets) do
  unchanged[i] = { path = target.path, target = target, source = read(target.path) }
end
judge(unchanged)
for _, m in ipairs(unchanged) do
  if m.verdict ~= "equal" then die("%s without a change: %s", m.path, m.verdict) end
end
judge(all)
local clean = report(targets, all)
print(string.format("%d changes in %d s", #all, os.time() - began))
os.exit(clean and 0 or 1)
