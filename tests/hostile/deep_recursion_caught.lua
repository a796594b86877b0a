-- Attacks: the stack: recursion without an end, caught, again
-- Ends: stopped
local function f(n) return 1 + f(n + 1) end
return function() while true do pcall(f, 1) end end
