-- Attacks: the C stack: captures and repeats nested in a long pattern
-- Ends: ok
return function()
  assert(not pcall(string.find, ("a"):rep(100), ("("):rep(33) .. ("a"):rep(33) .. (")"):rep(33)))
  assert(not pcall(string.find, ("a"):rep(1000), ("a?"):rep(1000)))
  assert(not pcall(string.find, ("a"):rep(1000), ("a*"):rep(1000)))
  assert(not pcall(string.find, "", ("()"):rep(40)))
end
