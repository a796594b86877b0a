-- Attacks: time: a loop made of goto, with blocks to leave
-- Ends: stopped
return function()
  ::top::
  do local a <const>, b = 1, {} ; b[a] = a end
  goto top
end
