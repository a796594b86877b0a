-- Attacks: Lua before 5.4.4: code for a constant _ENV (CVE-2022-28805)
-- Load: any
local _ENV <const> = 1
return function() local a = b c = a end
