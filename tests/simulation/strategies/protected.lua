-- Protected entries, both ways, at the market and by limits; sometimes closed or canceled by hand.
local S = { api = 1, name = "protected", version = "1", needs = { warmup = false } }

function S.on_start(ctx)
  ctx:timer("enter", 11)
  ctx.state.entries = ctx.state.entries or 0
end

function S.on_timer(ctx)
  local last = ctx:last()
  if not last then return end
  local held = ctx:position().qty
  if held ~= 0 or #ctx:orders() > 0 then
    local dice = math.random(20)
    if dice == 1 then ctx:close() end
    if dice == 2 then ctx:cancel_all() end
    return
  end
  local far = last * math.random(2, 20) / 10000
  local options = { tag = "entry" }
  if math.random() < 0.5 then options.type, options.price = "limit", last * 0.9997 end
  ctx.state.entries = ctx.state.entries + 1
  if math.random() < 0.6 or not ctx:instrument().short_allowed then
    options.stop, options.take = last - far, last + far
    ctx:buy(math.random(20, 500) / 1000, options)
  else
    if options.price then options.price = last * 1.0003 end
    options.stop, options.take = last + far, last - far
    ctx:sell(math.random(20, 500) / 1000, options)
  end
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
