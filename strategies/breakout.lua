-- Breakout: long above the highest high of the bars before this one, short below their lowest low.
-- Idea taught: series of extremes, read one bar back; a target that reverses a position in one order.
-- Why it may work: new extremes draw in those who waited for them (Donchian's four-week rule, 1960).
-- Where it fails: false breaks; the channel's width is the price of being wrong.
local S = {
  api = 1, name = "breakout", version = "1.1.0", license = "MIT",
  about = "always with the last break of a high-low channel",
}

S.params = {
  tf      = { "1m", choices = { "1m", "5m", "15m", "1h" }, help = "bars" },
  channel = { 30, min = 2, max = 500, help = "bars before this one that the channel spans" },
  weight  = { 0.5, min = 0.05, max = 1, live = true, help = "share of equity in a position" },
  short   = { true, help = "also trade the lower break" },
}

local top, bottom

function S.on_start(ctx, p)
  local bars = ctx:bars(p.tf)
  top, bottom = bars:highest(p.channel), bars:lowest(p.channel)
end

function S.on_bar(ctx, bar, p)
  -- [1] spans the newest bar too, which can never be above its own high: [2] is the channel before it.
  if not top[2] then return end
  local held = ctx:position().qty
  local order, why
  if bar.close > top[2] and held <= 0 then
    order, why = ctx:target_weight(p.weight, { tag = "up" })
  elseif bar.close < bottom[2] and held >= 0 then
    order, why = ctx:target_weight(p.short and -p.weight or 0, { tag = "down" })
  end
  if not order and why then ctx:log("info", "no order: %s", why) end
end

return S
