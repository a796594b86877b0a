-- Buys a little and closes it again, for ever: while it can, the session is alive.
local S = { api = 1, name = "probe", version = "1", needs = { warmup = false } }

local inside = false

local function count(ctx, key, by)
  ctx.state[key] = (ctx.state[key] or 0) + (by or 1)
end

function S.on_start(ctx)
  ctx:timer("probe", 17)
end

function S.on_timer(ctx)
  assert(not inside, "callbacks are nested")
  inside = true
  if ctx:last() then
    if ctx:position().qty == 0 then
      ctx:buy(0.01, { tag = "probe" })
    else
      ctx:close()
    end
  end
  inside = false
end

function S.on_fill(ctx)
  assert(not inside, "callbacks are nested")
  inside = true
  count(ctx, "fills")
  inside = false
end

return S
