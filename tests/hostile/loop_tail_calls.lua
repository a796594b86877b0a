-- Attacks: time: endless tail calls, which take no stack
-- Ends: stopped
local function f(n) return f(n + 1) end
return function() return f(1) end
