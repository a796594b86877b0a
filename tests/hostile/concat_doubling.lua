-- Attacks: memory: a string that doubles
-- Ends: stopped
return function() local s = "x" while true do s = s .. s end end
