-- Attacks: time: for loops that count towards infinity
-- Ends: stopped
return function() for _ = 1, math.huge do for _ = math.mininteger, math.maxinteger do end end end
