-- Attacks: one C call: a set of thousands of items for every character
-- Ends: error
return function()
  return (("a"):rep(10000)):find("%f[" .. ("bcdefghijk"):rep(1000) .. "]z")
end
