-- Attacks: messages: a type name of megabytes, or with control bytes
-- Ends: ok
return function()
  local long = setmetatable({}, { __name = ("x"):rep(1000000) })
  assert(#tostring(long) < 100)
  local _, e = pcall(function() return long + 1 end)
  assert(#e < 300)
end
