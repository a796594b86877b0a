-- Attacks: one C call: back references to megabytes
-- Ends: error
return function() return (("a"):rep(200000) .. "b"):find("(.+)%1c") end
