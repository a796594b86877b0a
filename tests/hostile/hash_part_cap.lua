-- Attacks: memory: a table with more keys outside its list part than allowed, caught
-- Ends: stopped
local function fill() local t = {} for i = 1, 1000000 do t["k" .. i] = i end end
return function() while true do pcall(fill) end end
