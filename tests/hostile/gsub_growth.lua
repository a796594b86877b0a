-- Attacks: memory: a replacement a thousand times longer than what it replaces
-- Ends: error
return function() return (("x"):rep(100000)):gsub("x", ("y"):rep(100000)) end
