-- Attacks: the collector: a list a million tables deep
-- Ends: any
return function()
  local t = {}
  for _ = 1, 100000 do t = { t } end
  return nil
end
