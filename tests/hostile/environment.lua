-- Attacks: globals: other environments than the one given
-- Ends: ok
return function()
  local function in_nothing() local _ENV = nil return x end
  assert(not pcall(in_nothing))
  local function in_own() local _ENV = { y = 1 } z = 2 return y + z end
  assert(in_own() == 3)
  local function in_copy() local _ENV <const> = setmetatable({}, { __index = _G }) w = 1 return w end
  assert(in_copy() == 1)
  assert(not pcall(function() return undeclared end))
  assert(not pcall(function() undeclared = 1 end))
  assert(not pcall(function() _G.undeclared = 1 end))
end
