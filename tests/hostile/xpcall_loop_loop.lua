-- Attacks: the budget: a message handler that loops, run where hooks are off
-- Ends: stopped
local function loop() while true do end end
return function() xpcall(loop, loop) end
