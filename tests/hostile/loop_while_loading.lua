-- Attacks: time: the chunk itself never ends
-- Load: stopped
while true do end
