-- Attacks: error reports: nil, a number, a boolean, a function as error values
-- Ends: error
return function()
  for _, v in ipairs{ false, 1.5, print, "" } do assert(not pcall(error, v)) end
  error()
end
