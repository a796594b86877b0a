-- Attacks: time: moving what may be moved, for ever
-- Ends: stopped
return function() while true do table.move({}, 1, 10000000, 1, {}) end end
