-- Works long when it starts, and trades rarely, by hour-long averages.
local S = { api = 1, name = "slow", version = "1" }

local fast, slow

function S.on_start(ctx)
  local sum = 0
  for i = 1, 2000 do sum = sum + i % 7 end
  ctx.state.sum = sum
  local bars = ctx:bars("1m")
  fast, slow = bars:ema(5), bars:ema(60)
end

function S.on_bar(ctx)
  ctx:target(fast[1] > slow[1] and 0.1 or 0)
end

function S.on_fill(ctx)
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

return S
