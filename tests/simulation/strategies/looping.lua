-- Trades, then loops until its budget is spent.
local S = { api = 1, name = "looping", version = "1", needs = { warmup = false } }

function S.on_start(ctx)
  ctx:timer("trade", 19)
end

function S.on_timer(ctx)
  if not ctx:last() then return end
  ctx:target(math.random(0, 1) * 0.03)
  if math.random() < 0.02 then
    ctx:buy(0.5, { tag = "must_not_leave" })
    while true do pcall(function() while true do end end) end
  end
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
