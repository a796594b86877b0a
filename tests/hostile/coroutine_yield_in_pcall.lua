-- Attacks: coroutines: yielding inside pcall and xpcall, and failing afterwards
-- Ends: ok
return function()
  local co = coroutine.wrap(function()
    local ok, e = pcall(function() coroutine.yield(1) error("late", 0) end)
    assert(not ok and e == "late")
    local ok2, e2 = xpcall(function() coroutine.yield(2) error("later", 0) end,
      function(m) coroutine.yield(3) return m .. "!" end)
    assert(not ok2 and e2 == "later!")
    return 4
  end)
  assert(co() == 1 and co() == 2 and co() == 3 and co() == 4)
end
