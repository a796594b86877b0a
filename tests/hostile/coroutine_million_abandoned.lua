-- Attacks: memory: coroutines left suspended
-- Ends: stopped
return function()
  for _ = 1, 1000000 do coroutine.wrap(coroutine.yield)() end
end
