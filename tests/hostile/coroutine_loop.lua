-- Attacks: time: a loop in a coroutine, whose hook is not the main thread's
-- Ends: stopped
return function() coroutine.wrap(function() while true do end end)() end
