-- Attacks: the C stack: errors raised while the stack is full
-- Ends: any
local function overflow() return overflow() .. "" end
return function()
  for _ = 1, 50 do
    pcall(function() local ok, e = pcall(overflow) error(tostring(e) .. tostring(overflow())) end)
  end
end
