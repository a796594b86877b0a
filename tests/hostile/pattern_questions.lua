-- Attacks: one C call: a?a?a?... against aaa..., two to the power of forty
-- Ends: error
return function() return (("a"):rep(40)):find(("a?"):rep(40) .. ("a"):rep(40)) end
