-- Attacks: memory: a long format of long arguments
-- Ends: error
return function()
  local s = ("x"):rep(1000000)
  return string.format(("%s"):rep(100), table.unpack({ s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s }))
end
