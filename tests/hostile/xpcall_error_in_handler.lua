-- Attacks: error handling: handlers that raise, each handled by another
-- Ends: stopped
local function bad() error("again") end
return function() while true do xpcall(bad, function() xpcall(bad, bad) error({}) end) end end
