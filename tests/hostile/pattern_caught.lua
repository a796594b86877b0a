-- Attacks: the budget: pattern after pattern, each at its limit, caught
-- Ends: stopped
return function()
  local s = ("a"):rep(20000)
  while true do pcall(string.find, s, ".-.-.-.-b") end
end
