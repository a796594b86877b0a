-- Attacks: the C stack: the same, caught and tried again
-- Ends: stopped
local function deep(n) return coroutine.wrap(function() return deep(n + 1) end)() end
return function() while true do pcall(deep, 1) end end
