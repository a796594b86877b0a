-- Attacks: the budget: pcall as the function that pcall calls
-- Ends: stopped
local function loop() while true do end end
return function() while true do pcall(pcall, pcall, pcall, loop) end end
