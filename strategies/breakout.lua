-- Breakout: long above the highest high, short below the lowest low of the bars before this one.
-- Idea taught: a target position, reversed as a whole; highs and lows of a series on the fly.
-- Why it may work: new extremes draw in those who waited for them (Donchian's four-week rule, 1960).
-- Where it fails: false breaks; the channel's width is the price of being wrong.
local S = {
  api = 1, name = "breakout", version = "1.0.0", license = "MIT",
  about = "always with the last break of a high-low channel",
}

S.params = {
  tf      = { "1m", choices = { "1m", "5m", "15m", "1h" }, help = "bars" },
  channel = { 30, min = 5, max = 500, help = "bars before this one that the channel spans" },
  weight  = { 0.5, min = 0.05, max = 1, live = true, help = "share of equity in a position" },
  short   = { true, help = "also trade the lower break" },
}

local bars

function S.on_start(ctx, p)
  bars = ctx:bars(p.tf)
  -- The channel needs this much history before the first decision.
  bars:highest(p.channel)
end

-- The extremes of the channel as it stood before the newest bar.
local function channel_before(n)
  local high, low = bars.high[2], bars.low[2]
  for i = 3, n + 1 do
    high, low = math.max(high, bars.high[i]), math.min(low, bars.low[i])
  end
  return high, low
end

function S.on_bar(ctx, bar, p)
  if #bars.high < p.channel + 1 then return end
  local high, low = channel_before(p.channel)
  if bar.close > high then
    ctx:target_weight(p.weight, { tag = "up" })
  elseif bar.close < low then
    ctx:target_weight(p.short and -p.weight or 0, { tag = "down" })
  end
end

return S
