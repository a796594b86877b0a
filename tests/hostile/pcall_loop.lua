-- Attacks: the budget: catching the error that ends the call, again and again
-- Ends: stopped
local function loop() while true do end end
return function() while true do pcall(loop) end end
