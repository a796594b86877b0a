-- Attacks: the stack: hundreds of thousands of values through yield and resume
-- Ends: any
return function()
  local t = {}
  for i = 1, 200000 do t[i] = i end
  local co = coroutine.wrap(function(...)
    local n = select("#", ...)
    while true do n = select("#", coroutine.yield(...)) end
  end)
  for _ = 1, 20 do co(table.unpack(t)) end
end
