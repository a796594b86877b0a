-- Attacks: the log: lines without end
-- Ends: stopped
return function() while true do print(("x"):rep(1000), {}, nil, "\27[31m\0") end end
