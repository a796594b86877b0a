-- Attacks: memory: millions of short strings
-- Ends: stopped
return function() local t = {} for i = 1, 1e9 do t[i] = "s" .. i end end
