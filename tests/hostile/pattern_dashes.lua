-- Attacks: one C call: nested lazy repeats over a long text
-- Ends: error
return function() return (("a"):rep(20000)):match(".-.-.-.-.-b") end
