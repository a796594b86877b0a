-- Two resting quotes that are amended with each bar of a minute, and canceled at times.
local S = { api = 1, name = "quoter", version = "1" }

local average

function S.on_start(ctx)
  average = ctx:bars("1m", { events = true }):sma(5)
  ctx:timer("quote", 9)
end

local function quote(ctx, side, price)
  local open = ctx:orders{ side = side }
  if #open == 0 then
    ctx:submit{ side = side, qty = 0.05, type = "limit", price = price, tag = side }
  elseif math.random() < 0.1 then
    ctx:cancel(open[1])
  elseif open[1].status == "new" then
    ctx:amend(open[1], { price = price })
  end
end

function S.on_timer(ctx)
  local last = ctx:last()
  if not last then return end
  local held = ctx:position().qty
  if held < 0.5 then quote(ctx, "buy", last * 0.9995) end
  if held > (ctx:instrument().short_allowed and -0.5 or 0.04) then quote(ctx, "sell", last * 1.0005) end
end

function S.on_bar(ctx)
  ctx.state.bars = (ctx.state.bars or 0) + 1
  ctx.state.average = average[1]
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
