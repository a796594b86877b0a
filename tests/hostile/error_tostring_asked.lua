-- Attacks: time: tostring of a value whose __tostring never ends
-- Ends: stopped
local mt = { __tostring = function() while true do end end }
return function() while true do pcall(tostring, setmetatable({}, mt)) end end
