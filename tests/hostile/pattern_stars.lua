-- Attacks: one C call: nested greedy repeats with captures
-- Ends: error
return function() return (("a"):rep(5000)):match("(.*)(.*)(.*)(.*)(.*)x") end
