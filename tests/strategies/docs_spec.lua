-- docs/strategies.md says what is: its strategies run, and its list of refusals is the code's.
local testing = require("testing")

local page = assert(testing.read("docs/strategies.md"))

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

  -- Where an order is refused the code stands in the source as a word in quotes.
  it("lists the refusal codes that there are, and no others", function()
    local used = {}
    local function take(path, pattern)
      for code in assert(testing.read(path)):gmatch(pattern) do used[code] = true end
    end
    take("runtime/engine/desk.c", 'refuse%(refusal,%s+"([%w_]+)"')
    take("runtime/engine/targets.c", 'refuse%(refusal,%s+"([%w_]+)"')
    take("runtime/engine/halts.c", '%*code = "([%w_]+)"')
    take("runtime/risk/check.c", 'block%(j,%s+"([%w_]+)"')
    take("runtime/risk/check.c", 'lower%(j,[^;]-"([%w_]+)",')
    take("runtime/risk/check.c", 'say%(j?%-?>?out,%s+[%u_]+,%s+"([%w_]+)"')
    take("bindings/orders.c", 'push_failure%(L,%s+"([%w_]+)"')
    take("bindings/ctx.c", 'push_failure%(L,%s+"([%w_]+)"')
    used.min_notional = true -- check.c chooses between two

    local section = assert(page:match("### Refusals\n(.-)\n## "))
    local listed = {}
    for row in section:gmatch("\n|([^|]+)|") do
      for code in row:gmatch("`([%w_]+)`") do listed[code] = true end
    end
    assert.same(used, listed)
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
