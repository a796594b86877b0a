-- Attacks: time: living at the cap, where every allocation forces a collection
-- Ends: stopped
return function()
  local kept = {}
  pcall(function() while true do kept[#kept + 1] = ("x"):rep(100000) .. #kept end end)
  while true do local _ = { {}, {}, {} } end
end
