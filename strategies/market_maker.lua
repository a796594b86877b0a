-- Market maker: one resting bid and one resting ask around the middle, moved when the market moves.
-- Idea taught: post-only limit orders, amends, and leaning quotes against what is held.
-- Why it may work: makers earn the spread from those who want to trade now (Ho, Stoll 1981).
-- Where it fails: informed flow; the side that fills is the side that was wrong.
local S = {
  api = 1, name = "market_maker", version = "1.1.0", license = "MIT",
  about = "quotes both sides around the middle and leans against its position",
}

S.params = {
  half_spread = { 8, min = 0.5, max = 200, help = "distance of each quote from the middle, bps" },
  lean        = { 8, min = 0, max = 200, help = "bps the quotes lean when the position is full" },
  weight      = { 0.2, min = 0.01, max = 1, live = true, help = "share of equity in one quote" },
  most        = { 0.6, min = 0.05, max = 1, live = true, help = "share of equity in the position" },
  every       = { 30, min = 1, max = 3600, help = "seconds from one look at the quotes to the next" },
}

function S.check(p)
  if p.weight > p.most then return false, "weight must not be above most" end
  return true
end

function S.on_start(ctx, p)
  ctx:timer("requote", p.every)
end

-- Makes one side rest at `price`, or nowhere. The order is looked up, not remembered: after a reload or
-- a restart the new code finds the quotes of the old.
local function quote(ctx, side, price, qty, wanted)
  local order = ctx:orders({ side = side })[1]
  if not order then
    if wanted then
      ctx:submit({ side = side, type = "limit", price = price, qty = qty, post_only = true, tag = side })
    end
  elseif not wanted then
    ctx:cancel(order)
  elseif math.abs(order.price - price) > ctx:instrument().tick_size then
    ctx:amend(order, { price = price }) -- nil where an answer is awaited; the next look tries again
  end
end

function S.on_timer(ctx, _, p)
  local touch = ctx:quote()
  if not touch then return end
  local middle = (touch.bid + touch.ask) / 2
  local qty = ctx:equity() * p.weight / middle
  local full = ctx:equity() * p.most / middle
  local held = ctx:position().qty
  -- Holding long moves both quotes down: selling becomes likelier than buying more.
  local centre = middle * (1 - p.lean * 1e-4 * held / full)
  local half = middle * p.half_spread * 1e-4
  quote(ctx, "buy", math.min(centre - half, touch.bid), qty, held + qty <= full)
  quote(ctx, "sell", math.max(centre + half, touch.ask), qty, held - qty >= -full)
end

function S.on_stop(ctx)
  ctx:cancel_all()
end

return S
