---@meta
-- Bars and the series drawn from them. x[1] is the newest closed value, x[2] the one before; nil
-- where there is none yet; #x values can be read, up to 1,024.

---@class runtime.series
---@field [integer] number?
---@field ready boolean
local series = {}

---At or below y before, above it now. y is a series or a number.
---@param y runtime.series|number
---@return boolean
function series:crossed_above(y) end

---At or above y before, below it now.
---@param y runtime.series|number
---@return boolean
function series:crossed_below(y) end

---Of the newest n values; nil when there are fewer.
---@param n integer
---@return number?
function series:highest(n) end

---Of the newest n values; nil when there are fewer.
---@param n integer
---@return number?
function series:lowest(n) end

---x[1] - x[1 + n]; nil when there are fewer.
---@param n integer
---@return number?
function series:change(n) end

---Population deviations of x[1] above the mean of the newest n.
---@param n integer
---@return number?
function series:zscore(n) end

---@param n integer
---@return runtime.series
function series:sma(n) end

---@param n integer
---@return runtime.series
function series:ema(n) end

---@param n? integer 14
---@return runtime.series
function series:rsi(n) end

---@param n? integer 20
---@param k? number 2
---@return runtime.bands
function series:bollinger(n, k) end

---@class runtime.bands
---@field upper runtime.series
---@field middle runtime.series
---@field lower runtime.series
---@field ready boolean

---@class runtime.bars
---@field open runtime.series
---@field high runtime.series
---@field low runtime.series
---@field close runtime.series
---@field volume runtime.series
---@field symbol string
---@field tf string
local bars = {}

---Simple moving average of closes.
---@param n integer
---@return runtime.series
function bars:sma(n) end

---Exponential moving average of closes, seeded with the mean of the first n.
---@param n integer
---@return runtime.series
function bars:ema(n) end

---Wilder's relative strength of closes, 0 to 100.
---@param n? integer 14
---@return runtime.series
function bars:rsi(n) end

---Wilder's average true range.
---@param n? integer 14
---@return runtime.series
function bars:atr(n) end

---Bands of k population deviations around the mean of n closes.
---@param n? integer 20
---@param k? number 2
---@return runtime.bands
function bars:bollinger(n, k) end

---Highest high of n bars, as a series; bars.high:highest(n) is the number now.
---@param n integer
---@return runtime.series
function bars:highest(n) end

---Lowest low of n bars, as a series; bars.low:lowest(n) is the number now.
---@param n integer
---@return runtime.series
function bars:lowest(n) end
