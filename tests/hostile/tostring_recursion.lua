-- Attacks: the C stack: __tostring that asks tostring, print and format in turn
-- Ends: error
local mt = {}
function mt.__tostring(v) return string.format("%s%s", v, tostring(v)) .. tostring(print(v)) end
return function() return tostring(setmetatable({}, mt)) end
