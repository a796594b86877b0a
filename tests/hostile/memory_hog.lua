-- Attacks: memory: keeping everything
-- Ends: stopped
return function() local t = {} while true do t[#t + 1] = { {} } end end
