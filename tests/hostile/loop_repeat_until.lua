-- Attacks: time: a loop whose condition calls out
-- Ends: stopped
return function() repeat local x = tostring(1) until x == 2 end
