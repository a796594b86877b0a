-- Attacks: one C call: %b from every start to the end
-- Ends: error
return function() return (("("):rep(100000)):find("%b()") end
