-- Attacks: Lua 5.4.4: coroutine.close crashes on long chains; it is not there
-- Ends: ok
return function() assert(coroutine.close == nil) end
