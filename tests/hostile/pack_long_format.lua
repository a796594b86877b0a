-- Attacks: time: a format of a million options
-- Ends: any
return function()
  local format = ("x"):rep(4000000)
  while true do pcall(string.pack, format) pcall(string.packsize, format) end
end
