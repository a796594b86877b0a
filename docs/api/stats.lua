---@meta
-- stats: small statistics over a list of at most 100,000 finite numbers.

stats = {}

---@param list number[]
---@return number? nil for an empty list
function stats.mean(list) end

---Of the sample (n - 1).
---@param list number[]
---@return number? nil below two values
function stats.stdev(list) end

---@param list number[]
---@return number? nil for an empty list
function stats.median(list) end

---Pearson's.
---@param x number[]
---@param y number[] as long as x
---@return number? nil below two values, or where one list is constant
function stats.correlation(x, y) end

---How many population deviations the last value is above the mean.
---@param list number[]
---@return number? nil below two values, or where all are equal
function stats.zscore(list) end
