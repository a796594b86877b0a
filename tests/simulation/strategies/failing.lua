-- Trades, then fails with an order asked for in the callback that fails: it must not leave.
local S = { api = 1, name = "failing", version = "1", needs = { warmup = false } }

function S.on_start(ctx)
  ctx:timer("trade", 13)
end

function S.on_timer(ctx)
  if not ctx:last() then return end
  ctx:target(math.random(-1, 1) * 0.02)
  if math.random() < 0.02 then
    ctx:buy(0.5, { tag = "must_not_leave" })
    ctx.state.fills = 1000000
    error("as planned")
  end
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
