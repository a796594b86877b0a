-- Attacks: the budget: filling memory in fresh coroutines
-- Ends: stopped
local function hog() local t = {} while true do t[#t + 1] = ("x"):rep(100000) .. #t end end
return function() while true do coroutine.resume(coroutine.create(hog)) end end
