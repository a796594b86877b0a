-- Attacks: the C stack: gsub within gsub within gsub
-- Ends: error
local function again() return (("x"):gsub("x", again)) end
return function() return again() end
