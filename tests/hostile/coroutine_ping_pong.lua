-- Attacks: time: two coroutines that resume one another for ever
-- Ends: stopped
return function()
  local a = coroutine.wrap(function() while true do coroutine.yield() end end)
  local b = coroutine.wrap(function() while true do a() coroutine.yield() end end)
  while true do b() end
end
