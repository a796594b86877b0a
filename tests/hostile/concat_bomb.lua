-- Attacks: memory: joining a thousand megabytes
-- Ends: ok
return function()
  local t, s = {}, ("x"):rep(1000000)
  for i = 1, 1000 do t[i] = s end
  assert(not pcall(table.concat, t))
  assert(not pcall(table.concat, { 1, 2, 3 }, ("x"):rep(9000000)))
  assert(not pcall(table.concat, {}, "", 1, 3))
  assert(table.concat({}, "", 1, math.mininteger) == "")
  assert(table.concat({ [math.maxinteger] = "x" }, "", math.maxinteger, math.maxinteger) == "x")
end
