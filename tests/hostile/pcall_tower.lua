-- Attacks: the budget: protected calls within protected calls, each with a loop after it
-- Ends: stopped
local function tower(n)
  if n > 0 then pcall(tower, n - 1) end
  while true do pcall(tower, 0) end
end
return function() tower(150) end
