-- Attacks: time: copying megabytes in every instruction
-- Ends: any
-- Modes: timed
return function() local s = ("x"):rep(2000000) while true do local _ = s .. "y" end end
