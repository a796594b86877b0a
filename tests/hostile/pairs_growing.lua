-- Attacks: time: a table that grows while it is walked
-- Ends: ok
return function()
  local t = { 1 }
  for k in pairs(t) do t[k + 1] = 1 t["x" .. k] = 1 end
  assert(#t == 2)
  local u = { a = 1, b = 2, c = 3 }
  for k in pairs(u) do u[k] = nil u.b = nil end
  assert(next(u) == nil)
  local n, k = 0, nil
  local v = { x = 1, y = 2, z = 3, 10, 20 }
  repeat k = next(v, k) if k then v[k] = nil n = n + 1 end until not k
  assert(n == 5)
end
