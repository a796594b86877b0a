-- Attacks: error reports: a message of 8 MiB with every kind of byte
-- Ends: error
return function() error(("\0\27[2J\r\n\xff\u{202e}%s%n"):rep(600000)) end
