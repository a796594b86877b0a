-- Attacks: the C stack: a coroutine that makes and runs another, and so on
-- Ends: error
local function deep(n) return coroutine.wrap(function() return deep(n + 1) end)() end
return function() deep(1) end
