-- Mean reversion: buy a close below the lower Bollinger band while the RSI is low, leave at the middle.
-- Idea taught: a protected entry: its stop and take rest at the venue, and one ends the other.
-- Why it may work: short-term overreaction reverts as liquidity returns (Lehmann 1990, Jegadeesh 1990).
-- Where it fails: the start of a trend; then every dip is bought until the stop.
local S = {
  api = 1, name = "mean_reversion", version = "1.1.0", license = "MIT",
  about = "buys closes below the lower Bollinger band, leaves at the middle",
}

S.params = {
  tf     = { "1m", choices = { "1m", "5m", "15m", "1h" }, help = "bars" },
  window = { 20, min = 5, max = 200, help = "Bollinger window, bars" },
  width  = { 2.0, min = 0.5, max = 4, help = "Bollinger width, deviations" },
  rsi    = { 35, min = 5, max = 50, help = "buy only while the RSI is at or below" },
  weight = { 0.5, min = 0.05, max = 1, live = true, help = "share of equity in a position" },
  stop   = { 3.0, min = 0.5, max = 10, help = "distance of the stop, in ATR" },
}

local bands, rsi, atr

function S.on_start(ctx, p)
  local bars = ctx:bars(p.tf)
  bands, rsi, atr = bars:bollinger(p.window, p.width), bars:rsi(14), bars:atr(14)
end

function S.on_bar(ctx, bar, p)
  if ctx:position().qty ~= 0 then return end
  if bar.close >= bands.lower[1] or rsi[1] > p.rsi then return end
  local order, why = ctx:buy(nil, {
    notional = ctx:equity() * p.weight,
    stop = bar.close - p.stop * atr[1],
    take = bands.middle[1],
    tag = "dip",
  })
  if not order then ctx:log("info", "no entry: %s", why) end
end

return S
