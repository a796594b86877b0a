-- Attacks: time: a tail call with one argument more each time
-- Ends: any
-- Modes: timed
local function f(...) return f(1, ...) end
return function() return f() end
