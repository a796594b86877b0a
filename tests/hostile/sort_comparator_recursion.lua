-- Attacks: the C stack: a comparator that sorts
-- Ends: error
local function less() table.sort({ 2, 1 }, less) return false end
return function() table.sort({ 2, 1 }, less) end
