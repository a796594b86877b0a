-- Attacks: error reports: a value whose __tostring never ends
-- Ends: error
local mt = { __tostring = function() while true do end end, __name = "value" }
return function() error(setmetatable({}, mt)) end
