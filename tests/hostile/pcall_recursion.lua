-- Attacks: the C stack: pcall of pcall of pcall
-- Ends: any
local function deep() return pcall(deep) end
return function() while true do pcall(deep) end end
