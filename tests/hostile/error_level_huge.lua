-- Attacks: error reports: levels far beyond the stack
-- Ends: error
return function()
  pcall(error, "x", math.mininteger)
  pcall(error, "x", -1)
  error("x", math.maxinteger)
end
