-- Attacks: one C call: a plain search that compares every pair
-- Ends: ok
return function()
  local hay, needle = ("a"):rep(4000000), ("a"):rep(2000000) .. "b"
  assert(not hay:find(needle, 1, true))
  assert(not hay:find(needle))
end
