-- Market maker: one resting bid and one resting ask around the middle, moved when the market moves.
-- Idea taught: post-only limit orders, amends, and leaning quotes against what is held.
-- Why it may work: makers earn the spread from those who want to trade now (Ho, Stoll 1981).
-- Where it fails: informed flow; the side that fills is the side that was wrong.
local S = {
  api = 1, name = "market_maker", version = "1.0.0", license = "MIT",
  about = "quotes both sides around the middle and leans against its position",
}

S.params = {
  half_spread = { 8, min = 0.5, max = 200, help = "distance of each quote from the middle, bps" },
  lean        = { 8, min = 0, max = 200, help = "bps the quotes lean when the position is full" },
  weight      = { 0.2, min = 0.01, max = 1, live = true, help = "share of equity in one quote" },
  most        = { 0.6, min = 0.05, max = 1, live = true, help = "share of equity in the position" },
  move        = { 2, min = 0.1, max = 100, help = "requote when a quote is off by so many bps" },
}

local bid, ask

function S.on_start(ctx)
  ctx:timer("requote", 1)
end

local function is_open(order)
  return order and order.remaining_qty > 0 and
    (order.status == "new" or order.status == "partially_filled")
end

local function is_pending(order)
  return order and (order.status == "pending_new" or order.status == "pending_replace" or
    order.status == "pending_cancel")
end

-- Brings one side to rest at `price`; returns the order that stands for it.
local function quote(ctx, order, side, price, qty, p)
  if is_pending(order) then return order end
  if is_open(order) then
    if math.abs(order.price / price - 1) * 1e4 > p.move then ctx:amend(order, { price = price }) end
    return order
  end
  return ctx:submit({ side = side, type = "limit", qty = qty, price = price,
                      post_only = true, tag = side == "buy" and "bid" or "ask" })
end

local function withdraw(ctx, order)
  if is_open(order) then ctx:cancel(order) end
  return order
end

function S.on_timer(ctx, _, p)
  local q = ctx:quote()
  if not q then return end
  local middle = (q.bid + q.ask) / 2
  local equity = ctx:equity()
  local full = equity * p.most / middle
  local held = ctx:position().qty
  local leaning = middle * (1 - p.lean * 1e-4 * held / full)
  local qty = equity * p.weight / middle
  if held < full then
    bid = quote(ctx, bid, "buy", math.min(leaning * (1 - p.half_spread * 1e-4), q.bid), qty, p)
  else
    bid = withdraw(ctx, bid)
  end
  if held > -full then
    ask = quote(ctx, ask, "sell", math.max(leaning * (1 + p.half_spread * 1e-4), q.ask), qty, p)
  else
    ask = withdraw(ctx, ask)
  end
end

function S.on_stop(ctx)
  ctx:cancel_all()
end

return S
