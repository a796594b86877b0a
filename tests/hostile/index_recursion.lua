-- Attacks: the C stack: an __index function that indexes
-- Ends: error
return function()
  local t = setmetatable({}, { __index = function(t, k) return t[k .. "x"] end })
  return t.a
end
