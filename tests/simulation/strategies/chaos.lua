-- Orders of every kind at random, cancels, amends, targets and closes.
local S = { api = 1, name = "chaos", version = "1", needs = { warmup = false } }

local inside = false
local types = { "market", "limit", "limit", "limit", "stop", "stop_limit", "trailing" }
local tifs = { "gtc", "gtc", "gtc", "ioc", "fok", "day", "gtd" }

local function pick(list)
  return list[math.random(#list)]
end

local function order(ctx)
  local last = ctx:last()
  local side = math.random() < 0.5 and "buy" or "sell"
  local sign = side == "buy" and 1 or -1
  local options = { side = side, type = pick(types), qty = math.random(1, 400) / 1000, tag = "chaos" }
  options.tif = pick(tifs)
  if options.type == "limit" then
    options.price = last * (1 + sign * math.random(-40, 10) / 20000)
    options.post_only = math.random() < 0.2 and options.tif == "gtc" or nil
  elseif options.type == "stop" or options.type == "stop_limit" then
    options.trigger_price = last * (1 + sign * math.random(1, 40) / 20000)
    if options.type == "stop_limit" then options.price = options.trigger_price * (1 + sign * 0.001) end
  elseif options.type == "trailing" then
    options.trail = last * math.random(1, 40) / 20000
  end
  if options.tif == "gtd" then options.expires = ctx:now() + math.random(1, 120) end
  if options.tif ~= "gtc" and options.type ~= "limit" then options.tif = nil end
  if options.tif == nil then options.expires = nil end
  if ctx:position().qty * sign < 0 then options.reduce_only = math.random() < 0.5 or nil end
  -- What this version or venue does not have raises or is refused.
  pcall(ctx.submit, ctx, options)
end

local function touch(ctx)
  local open = ctx:orders()
  if #open == 0 then return end
  local one = pick(open)
  if math.random() < 0.5 or not one.price then
    ctx:cancel(one)
  else
    local change = {}
    if math.random() < 0.7 then change.price = one.price * (1 + math.random(-10, 10) / 20000) end
    if math.random() < 0.5 or not change.price then change.qty = one.qty + math.random(-5, 5) / 100 end
    if not change.qty or change.qty > 0 then ctx:amend(one, change) end
  end
end

local function act(ctx)
  local dice = math.random(100)
  if dice <= 55 then order(ctx)
  elseif dice <= 80 then touch(ctx)
  elseif dice <= 88 then ctx:target(math.random(-200, 200) / 1000)
  elseif dice <= 94 then ctx:close()
  elseif dice <= 96 then ctx:cancel_all()
  elseif dice <= 98 then
    local last, qty = ctx:last(), math.random(1, 100) / 1000
    ctx:oco{ { side = "buy", qty = qty, type = "limit", price = last * 0.999 },
      { side = "buy", qty = qty, type = "stop", trigger_price = last * 1.001 } }
  else
    local last = ctx:last()
    ctx:buy(math.random(1, 300) / 1000,
      { type = "limit", price = last * 0.9995, stop = last * 0.997, take = last * 1.002 })
  end
  if #ctx:orders() > 12 then ctx:cancel_all() end
end

function S.on_start(ctx)
  ctx:timer("act", 1 + math.random() * 4)
end

function S.on_timer(ctx)
  assert(not inside, "callbacks are nested")
  inside = true
  if ctx:last() then act(ctx) end
  inside = false
end

function S.on_fill(ctx)
  assert(not inside, "callbacks are nested")
  ctx.state.fills = (ctx.state.fills or 0) + 1
end

function S.on_order() assert(not inside, "callbacks are nested") end

function S.on_reject() assert(not inside, "callbacks are nested") end

return S
