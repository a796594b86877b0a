-- Attacks: the C stack: __pairs = pairs
-- Ends: error
return function() pairs(setmetatable({}, { __pairs = pairs })) end
