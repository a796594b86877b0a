-- Attacks: lookups: a chain of __index that closes
-- Ends: error
return function()
  local a, b = {}, {}
  setmetatable(a, { __index = b })
  setmetatable(b, { __index = a })
  return a.x
end
