-- Attacks: memory: coroutines that are kept
-- Ends: error
return function()
  local kept = {}
  for i = 1, 1000000 do
    kept[i] = coroutine.create(print)
    coroutine.resume(kept[i])
    kept[i] = coroutine.wrap(coroutine.yield)
    kept[i]()
  end
end
