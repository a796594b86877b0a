-- Attacks: coroutines: resuming what runs, what waits, what is dead
-- Ends: ok
return function()
  local co
  co = coroutine.create(function()
    assert(not coroutine.resume(co))
    local inner = coroutine.create(function() return coroutine.resume(co) end)
    local ok, resumed = coroutine.resume(inner)
    assert(ok and not resumed)
    assert(not coroutine.resume(inner))
    assert(coroutine.status(inner) == "dead")
  end)
  assert(coroutine.resume(co))
  assert(not coroutine.resume(co))
  assert(not coroutine.resume(coroutine.running()))
  assert(not pcall(coroutine.yield))
end
