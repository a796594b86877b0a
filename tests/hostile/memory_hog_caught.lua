-- Attacks: the budget: filling memory, caught, again
-- Ends: stopped
local function hog() local t = {} while true do t[#t + 1] = { {} } end end
return function() while true do pcall(hog) end end
