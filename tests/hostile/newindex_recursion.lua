-- Attacks: the C stack: a __newindex function that assigns
-- Ends: error
return function()
  local t = setmetatable({}, { __newindex = function(t, k, v) t[k + 1] = v end })
  t[1] = 1
end
