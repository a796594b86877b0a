---@meta
-- ta: indicators that a script feeds by itself. Make them once; there may be 1,024.

---@class runtime.indicator
---@field value number? the newest, of those with one line
---@field upper number? bollinger
---@field middle number? bollinger
---@field lower number? bollinger
---@field ready boolean
local indicator = {}

---Feeds one value (atr: high, low, close) and gives the newest: nil before it is ready; bollinger
---gives upper, middle, lower.
---@param value number
---@param low? number
---@param close? number
---@return number?
---@return number?
---@return number?
function indicator:update(value, low, close) end

ta = {}

---@param n integer
---@return runtime.indicator
function ta.sma(n) end

---@param n integer
---@return runtime.indicator
function ta.ema(n) end

---@param n? integer 14
---@return runtime.indicator
function ta.rsi(n) end

---update(high, low, close)
---@param n? integer 14
---@return runtime.indicator
function ta.atr(n) end

---@param n? integer 20
---@param k? number 2
---@return runtime.indicator
function ta.bollinger(n, k) end

---@param n integer
---@return runtime.indicator
function ta.highest(n) end

---@param n integer
---@return runtime.indicator
function ta.lowest(n) end
