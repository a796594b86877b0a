-- Attacks: os.date: conversions that are none, years beyond the calendar, long formats
-- Ends: ok
return function()
  for _, format in ipairs{ "%", "%E", "%Ez", "%Q", "%9", "%\0", "%s", "%i", "%O" } do
    assert(not pcall(os.date, format), format)
  end
  assert(not pcall(os.date, "%Y", math.maxinteger) and not pcall(os.date, "*t", math.mininteger))
  assert(not pcall(os.date, ("%c"):rep(1000000)))
  assert(os.date("!%Y-%m-%dT%H:%M:%SZ", 0) == "1970-01-01T00:00:00Z")
  assert(os.date("%F %j %G-W%V %u %a %b %p %y", 1704067200) == "2024-01-01 001 2024-W01 1 Mon Jan AM 24")
  assert(os.date("%G-W%V", 1609459200) == "2020-W53" and os.date("%U %W", 0) == "00 00")
  assert(os.date("*t", 951782400).day == 29)
  assert(not pcall(os.time, { year = math.maxinteger, month = 1, day = 1 }))
  assert(not pcall(os.time, { year = 2024, month = 1 }))
  assert(not pcall(os.time, { year = 2024, month = "x", day = 1 }))
  assert(os.time{ year = 2024, month = 14, day = -1, hour = 0 } == os.time{ year = 2025, month = 1, day = 30, hour = 0 })
  assert(os.time(setmetatable({ year = 2024, month = 1, day = 1, hour = 0 }, { __index = error })) == 1704067200)
end
