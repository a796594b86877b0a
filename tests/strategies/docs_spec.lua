-- docs/strategies.md says what is: its strategies run, and its list of refusals is the code's.
local testing = require("testing")

local page = assert(testing.read("docs/strategies.md"))

-- Where an order is refused, or trading halts, the code stands in the source as a word in quotes.
local codes = {}

function codes.take(found, path, pattern)
  for code in assert(testing.read(path)):gmatch(pattern) do found[code] = true end
end

function codes.refusals()
  local used = {}
  local function take(path, ...)
    for _, pattern in ipairs({ ... }) do codes.take(used, path, pattern) end
  end
  take("runtime/engine/desk.c", 'refuse%(refusal,%s+"([%w_]+)"')
  take("runtime/engine/targets.c", 'refuse%(refusal,%s+"([%w_]+)"')
  take("runtime/engine/halts.c", '%*code = "([%w_]+)"')
  take("runtime/engine/guards.c", 'say%(engine,%s+code,%s+"([%w_]+)"')
  take("runtime/engine/gate.c", 'verdict%->code,%s+sizeof%(verdict%->code%),%s+"([%w_]+)"')
  take("runtime/risk/check.c", 'block%(j,%s+"([%w_]+)"', 'lower%(j,[^;]-"([%w_]+)",',
    'say%(j?%-?>?out,%s+[%u_]+,%s+"([%w_]+)"', '[^%w]code = "([%w_]+)"')
  take("runtime/risk/limits.c", '{ "[%w_]+", "([%w_]+)", LIMIT_IS_')
  used.min_notional = true -- check.c chooses between two
  return used
end

function codes.halts()
  local used = { operator_halt = true, emergency_stop = true, latch_unreadable = true } -- of operate and app
  codes.take(used, "runtime/engine/scopes.c", '"([%w_]+_limit)"')
  codes.take(used, "runtime/engine/gate.c", '"([%w_]+_limit)"')
  codes.take(used, "runtime/engine/guards.c", 'halts_session%(engine, [%w%-]+, "([%w_]+)"')
  codes.take(used, "runtime/engine/reconcile.c", 'halts_%w+%(engine, [%w%-]+, "([%w_]+)"')
  codes.take(used, "runtime/engine/reports.c", 'halt_for%(engine, order,[^;]-"([%w_]+)"')
  codes.take(used, "runtime/engine/reports.c", 'halt_for%(engine, order,[^;]-"[%w_]+" : "([%w_]+)"')
  return used
end

-- The codes in the first column of the tables of a section.
local function listed(text, heading)
  local section = assert(text:match("\n##+ " .. heading .. "\n(.-)\n## "), heading)
  local found = {}
  for row in section:gmatch("\n|([^|]+)|") do
    for code in row:gmatch("`([%w_]+)`") do found[code] = true end
  end
  return found
end

-- The blocks marked as whole strategies.
local function strategies()
  local list = {}
  for block in page:gmatch("```lua strategy\n(.-)\n```") do list[#list + 1] = block .. "\n" end
  return list
end

describe("docs/strategies.md", function()
  after_each(testing.cleanup)

  it("shows strategies that pass check and trade", function()
    local list = strategies()
    assert.is_true(#list >= 3)
    for i, text in ipairs(list) do
      local path = testing.write(("example%d.lua"):format(i), text)
      local found, message, _, where = testing.check(path)
      assert(found, ("%s %s"):format(where, message))
      assert.equal("", found.notes)
      local result = testing.run_well({ strategy = path, config = "", terms = "{}", capital = 1000,
                                        words = { "--duration", "14400" } })
      assert.is_true(result.counts.submitted > 0, found.name .. " placed no order in four hours")
    end
  end)

  it("marks every whole strategy", function()
    for block in page:gmatch("```lua\n(.-)\n```") do
      assert.is_nil(block:find("\nreturn S"), "this block is a whole strategy: mark it ```lua strategy")
    end
  end)

  it("lists the refusal codes that there are, and no others", function()
    local used = codes.refusals()
    codes.take(used, "bindings/orders.c", 'push_failure%(L,%s+"([%w_]+)"')
    codes.take(used, "bindings/ctx.c", 'push_failure%(L,%s+"([%w_]+)"')

    assert.same(used, listed(page, "Refusals"))
  end)

  -- What can be called is on the page; the stubs in docs/api are tested to be complete.
  it("names every ctx function and callback of the stubs", function()
    for _, stub in ipairs({ "ctx", "orders", "series", "stats", "ta" }) do
      local text = assert(testing.read("docs/api/" .. stub .. ".lua"))
      for owner, name in text:gmatch("\nfunction (%w+)[.:]([%w_]+)%(") do
        local spelled = (owner == "ctx" and "ctx:" or owner == "bars" and "bars:" or owner == "series" and
          "x:" or
                         owner == "indicator" and "e:" or owner .. ".") .. name
        assert(page:find(spelled, 1, true), spelled .. " is not on the page")
      end
    end
    for name in assert(testing.read("docs/api/strategy.lua")):gmatch("%-%-%-@field (on_[%w_]+)") do
      assert(page:find("`" .. name .. "(", 1, true), name .. " is not on the page")
    end
  end)
end)

describe("docs/risk.md", function()
  local risk = assert(testing.read("docs/risk.md"))

  it("has every code of a refusal, and no others", function()
    assert.same(codes.refusals(), listed(risk, "Codes"))
  end)

  it("has every code of a halt, and no others", function()
    assert.same(codes.halts(), listed(risk, "After a halt"))
  end)

  it("has every trigger of the breaker", function()
    local used = {}
    for _, file in ipairs({ "runtime/risk/breaker.c", "runtime/engine/guards.c" }) do
      codes.take(used, file, 'breaker_trip%([^;]-"([%w_]+)", ')
      codes.take(used, file, 'explain%(breaker, "([%w_]+)"')
    end
    local section = assert(risk:match("\n## Circuit breaker\n(.-)\n## "))
    local found = {}
    for row in section:gmatch("\n|[^|]+|([^|]+)|") do
      for code in row:gmatch("`([%w_]+)`") do found[code] = true end
    end
    assert.same(used, found)
  end)

  -- Name, name in the environment, code: as in the code, with the default of the configuration.
  it("has every limit with its environment name, default and code", function()
    local known = {}
    local names = assert(testing.read("runtime/risk/limits.c"))
    for name, code in names:gmatch('{ "([%w_]+)", "([%w_]+)", LIMIT_') do known[name] = code end
    local count = 0
    for name, normal, environment in assert(testing.read("runtime/config/schema.c")):gmatch(
      'LINE%("([%w_]+)", [%u_]+, [^,]+, "([^"]+)", "([%u_]+)"%)') do
      assert.equal(environment, name:upper())
      local row = ("| `%s` | `%s` | "):format(name, environment)
      local line = assert(risk:match("\n" .. row:gsub("%p", "%%%0") .. "([^\n]+)"), row)
      assert.equal(normal, line:match("^[^|]+| ([%d.]+)"), name)
      assert.equal(known[name], line:match("| `([%w_]+)` |"), name)
      assert(risk:find("\n| `" .. name .. "` | [^`]", 1), name .. " has no formula")
      count = count + 1
    end
    assert.equal(13, count)
  end)
end)
