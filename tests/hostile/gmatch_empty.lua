-- Attacks: time: a pattern that matches nothing, everywhere
-- Ends: ok
return function()
  local n = 0
  for _ in (("x"):rep(1000)):gmatch("") do n = n + 1 end
  assert(n == 1001)
end
