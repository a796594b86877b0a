-- Takes what it is not given: memory, too much state, no numbers, too many orders; trades besides.
local S = { api = 1, name = "greedy", version = "1", needs = { warmup = false } }

local demands = {
  function() return string.rep("x", 1 << 28) end,
  function() local t = {} for i = 1, 1000 do t[i] = ("x"):rep(10000) .. i end return t end,
  function(ctx) ctx.state.huge = ("x"):rep(100000) end,
  function(ctx) ctx.state.nan = 0 / 0 end,
  function(ctx) ctx:buy(0 / 0) end,
  function(ctx) ctx:buy(1e300) end,
  function(ctx) ctx:buy(-1) end,
  function(ctx) coroutine.wrap(function() coroutine.yield(ctx:buy(0.01)) end)() end,
  function(ctx) ctx:buy(0.01, { type = "limit", price = 1e-9 }) end,
  function(ctx) ctx:amend(ctx:orders()[1], { qty = 1e300 }) end,
}

function S.on_start(ctx)
  ctx:timer("demand", 7)
end

function S.on_timer(ctx)
  if not ctx:last() then return end
  pcall(demands[math.random(#demands)], ctx)
  if math.random() < 0.5 then ctx:target(math.random(0, 2) * 0.01) end
  if math.random() < 0.01 then
    for _ = 1, 30 do ctx:buy(0.001, { type = "limit", price = ctx:last() * 0.99 }) end
  end
  if #ctx:orders() > 20 then ctx:cancel_all() end
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
