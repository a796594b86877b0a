-- Attacks: memory: the chunk itself fills it
-- Load: stopped
local t = {} while true do t[#t + 1] = { {} } end
