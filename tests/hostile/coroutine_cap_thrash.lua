-- Attacks: time: staying at the cap, so that each new coroutine forces a collection
-- Ends: any
return function()
  local kept = {}
  for i = 1, 999 do kept[i] = coroutine.wrap(coroutine.yield) kept[i]() end
  for _ = 1, 1000000 do coroutine.wrap(coroutine.yield)() end
end
