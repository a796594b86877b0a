-- Attacks: the budget: a coroutine kept for after the stop
-- Ends: stopped
local kept = coroutine.wrap(function() while true do coroutine.yield() end end)
return function()
  kept()
  pcall(coroutine.wrap(function() while true do end end))
  while true do kept() end
end
