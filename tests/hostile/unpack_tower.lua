-- Attacks: the stack: a quarter of a million values at every depth
-- Ends: any
local t = {}
for i = 1, 200000 do t[i] = i end
local function f(n, ...) return f(n + 1, table.unpack(t)) + select("#", ...) end
return function() while true do pcall(f, 1) end end
