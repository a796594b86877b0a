-- Attacks: time: a loop without an end
-- Ends: stopped
return function() while true do end end
