-- Attacks: the budget: a fresh coroutine with a loop, each time one is stopped
-- Ends: stopped
local function loop() while true do end end
return function()
  while true do coroutine.resume(coroutine.create(loop)) pcall(coroutine.wrap(loop)) end
end
