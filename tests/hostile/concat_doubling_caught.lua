-- Attacks: memory: the same, caught each time
-- Ends: stopped
local function double() local s = "x" while true do s = s .. s end end
return function() while true do pcall(double) end end
