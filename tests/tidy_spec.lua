-- What a machine can check about the tree: who includes whom, banned calls, what must not be there.

local floors = {
  base = 1,
  domain = 2,
  config = 3, net = 3,
  market = 4,
  risk = 5,
  engine = 6,
  sim = 7, ledger = 7, venue = 7,
  research = 8, operate = 8, bindings = 8,
  app = 9,
}

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  pipe:close()
  return list
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

local sources = lines_of("git ls-files 'runtime/*.c' 'runtime/*.h' 'bindings/*.c' 'bindings/*.h'")
local all_files = lines_of("git ls-files")

local function room_of(path)
  return path:match("^runtime/([%w_]+)/") or path:match("^(bindings)/") or "app"
end

-- Comments and strings may say anything; code may not.
local function code_of(text)
  text = text:gsub("/%*.-%*/", function(c) return (c:gsub("[^\n]", " ")) end)
  return (text:gsub('"[^"\n]*"', '""'))
end

describe("the tree", function()
  it("runs its specs on Lua 5.4", function()
    assert.equal("Lua 5.4", _VERSION)
  end)

  it("explains every kind of alert to its users", function()
    local page, missing, seen = read("docs/reliability.md"), {}, 0
    for _, path in ipairs(lines_of("git ls-files 'runtime/engine/*.c' 'runtime/domain/*.c'")) do
      for name, arguments in read(path):gmatch("([%w_]+)(%b())") do
        local tells = name:match("alert") or name == "suspect" or name == "give_up" or
          name:match("^halts_[is]") or name == "halt_for" or name == "down_name"
        for kind in (tells and arguments or ""):gmatch('"([a-z_]+)"') do
          seen = seen + 1
          if not page:find("`" .. kind .. "`", 1, true) then missing[#missing + 1] = path .. ": " .. kind end
        end
      end
    end
    assert.same({}, missing)
    assert.truthy(seen > 25, seen) -- or the pattern finds nothing any more
  end)

  it("includes only its own room or floors below", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local room = room_of(path)
      for include in read(path):gmatch('#include "([^"]+)"') do
        local other = room_of(include)
        if not (other == room or floors[other] < floors[room]) then
          wrong[#wrong + 1] = path .. " includes " .. include
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("names every include from the root", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      for include in read(path):gmatch('#include "([^"]+)"') do
        if not include:find("^runtime/") and not include:find("^bindings/") then
          wrong[#wrong + 1] = path .. " includes " .. include
        end
      end
    end
    assert.same({}, wrong)
  end)

  it("knows Lua in bindings alone", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      if room_of(path) ~= "bindings" and path ~= "runtime/app/commands.c" and
        read(path):find("#include <l[ua]") and read(path):find("#include <lua") then
        wrong[#wrong + 1] = path
      end
    end
    assert.same({}, wrong)
  end)

  -- The engine and what it stands on take time as an argument and are deterministic.
  it("reads no clock and rolls no dice outside the rooms that may", function()
    local banned = { "clock_gettime", "gettimeofday", "%f[%w_]time%(", "%f[%w_]rand%(", "random%(%)",
                     "getrandom", "getenv" }
    local may = {
      ["runtime/base/clock.c"] = true, ["runtime/ledger/"] = true, ["runtime/app/"] = true,
      ["bindings/watchdog.c"] = true, ["runtime/operate/"] = true,
    }
    local wrong = {}
    for _, path in ipairs(sources) do
      local allowed = false
      for prefix in pairs(may) do allowed = allowed or path:sub(1, #prefix) == prefix end
      local code = code_of(read(path))
      for _, call in ipairs(banned) do
        if not allowed and code:find(call) then wrong[#wrong + 1] = path .. ": " .. call end
      end
    end
    assert.same({}, wrong)
  end)

  it("calls nothing that cannot be bounded", function()
    local banned = { "strcpy", "strcat", "sprintf", "gets", "alloca", "system", "popen", "atoi", "atof" }
    local wrong = {}
    for _, path in ipairs(sources) do
      local code = code_of(read(path))
      for _, call in ipairs(banned) do
        if code:find("%f[%w_]" .. call .. "%s*%(") then wrong[#wrong + 1] = path .. ": " .. call end
      end
    end
    assert.same({}, wrong)
  end)

  it("opens every file with what it is for", function()
    local wrong = {}
    for _, path in ipairs(sources) do
      local name = path:match("[^/]+$")
      if not read(path):find("^/%* " .. name:gsub("[%.%-]", "%%%0") .. " %- ") then
        wrong[#wrong + 1] = path
      end
    end
    assert.same({}, wrong)
  end)

  it("has a test or a user for every header", function()
    local text = {}
    for _, path in ipairs(all_files) do
      if path:find("%.[ch]$") then text[#text + 1] = read(path) end
    end
    local joined = table.concat(text, "\n")
    local dead = {}
    for _, path in ipairs(sources) do
      if path:find("%.h$") and not joined:find('#include "' .. path .. '"', 1, true) then
        dead[#dead + 1] = path
      end
    end
    assert.same({}, dead)
  end)

  it("has seeded bugs that all apply", function()
    local patches = lines_of("git ls-files 'tests/mutants/*.patch'")
    assert.is_true(#patches >= 30)
    assert.same({}, lines_of("sh tests/mutants/run.sh --check 2>&1"))
  end)

  it("holds no machine's paths, no leftovers and no large files", function()
    local wrong = {}
    for _, path in ipairs(all_files) do
      local text = read(path)
      if #text > 1000000 then wrong[#wrong + 1] = path .. " is over 1 MB" end
      if path ~= "tests/tidy_spec.lua" then
        for _, word in ipairs({ "TO" .. "DO", "FIX" .. "ME", "/ro" .. "ot/", "/wo" .. "rk/" }) do
          if text:find(word, 1, true) then wrong[#wrong + 1] = path .. ": " .. word end
        end
      end
    end
    assert.same({}, wrong)
  end)
end)
