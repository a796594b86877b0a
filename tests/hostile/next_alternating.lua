-- Attacks: time: next on two large tables in turn, which defeats its memory
-- Ends: stopped
return function()
  local a, b = {}, {}
  for i = 1, 30000 do a["k" .. i] = i b["k" .. i] = i end
  local ka, kb
  while true do ka = next(a, ka) kb = next(b, kb) end
end
