-- Attacks: counting: coroutines too short for a look of the hook
-- Ends: stopped
local function short() for _ = 1, 20 do end end
return function() while true do coroutine.wrap(short)() end end
