-- Momentum: long while the fast EMA of closes leads the slow one, with a stop two ATR below.
-- Idea taught: enter on a cross, size by the money lost at the stop, let the stop rest at the venue.
-- Why it may work: trends in futures persisted for 1-12 months (Moskowitz, Ooi, Pedersen 2012).
-- Where it fails: ranges; every cross then pays spread and fee for nothing.
local S = {
  api = 1, name = "momentum", version = "1.0.0", license = "MIT",
  about = "long while the fast EMA leads the slow one, with an ATR stop",
}

S.params = {
  tf   = { "1m", choices = { "1m", "5m", "15m", "1h" }, help = "bars" },
  fast = { 12, min = 2, max = 100, help = "fast EMA, bars" },
  slow = { 48, min = 5, max = 400, help = "slow EMA, bars" },
  risk = { 0.5, min = 0.1, max = 2, live = true, help = "% of capital lost at the stop" },
  stop = { 2.0, min = 0.5, max = 10, help = "distance of the stop, in ATR" },
}

function S.check(p)
  if p.fast >= p.slow then return false, "fast must be below slow" end
  return true
end

local fast, slow, atr

function S.on_start(ctx, p)
  local bars = ctx:bars(p.tf)
  fast, slow, atr = bars:ema(p.fast), bars:ema(p.slow), bars:atr(14)
end

function S.on_bar(ctx, bar, p)
  local held = ctx:position().qty
  if held == 0 and fast:crossed_above(slow) then
    local gap = p.stop * atr[1]
    local order, why = ctx:buy(ctx:size(p.risk, gap), { stop = bar.close - gap, tag = "entry" })
    if not order and why then ctx:log("info", "no entry: %s", why) end
  elseif held > 0 and fast:crossed_below(slow) then
    ctx:close({ tag = "exit" })
  end
end

return S
