-- Attacks: the budget: work done in the handler after the budget was spent
-- Ends: stopped
local runs = 0
local function loop() while true do end end
local function handler() runs = runs + 1 for _ = 1, 1e9 do runs = runs + 1 end end
return function() while true do xpcall(loop, handler) end end
