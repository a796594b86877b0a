-- Attacks: time: comparison, arithmetic, length and concatenation that never end
-- Ends: stopped
local function loop() while true do end end
local v = setmetatable({}, { __lt = loop, __le = loop, __eq = loop, __add = loop, __len = loop,
  __concat = loop, __unm = loop, __call = loop, __index = loop, __newindex = loop })
return function()
  while true do
    pcall(function() return v < v end)
    pcall(function() return v .. "" end)
    pcall(function() return #v end)
    pcall(v)
  end
end
