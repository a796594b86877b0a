-- Attacks: error reports: a message that names another file's line
-- Ends: error
return function() error("fake.lua:1: " .. ("lib/"):rep(1000) .. ":99999999999999999999: x", 0) end
