-- Attacks: the budget: a module that never ends, caught
-- Ends: stopped
return function() while true do pcall(require, "loop") end end
