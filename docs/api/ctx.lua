---@meta
-- ctx: what a strategy reads, and what it says to people. Orders are in orders.lua.

---@class runtime.session
---@field state "open"|"closed"
---@field opens? number the next opening after now, UTC seconds; nil: none within two years
---@field closes? number the next closing
---@field day_end? number the end of the trading day

---@class runtime.ctx
---@field symbol string the first of `symbols`
---@field symbols string[] read-only
---@field mode "paper"|"live"|"backtest"
---@field params runtime.params
---@field state table plain data kept over reloads and restarts; assigning a table copies it
local ctx = {}

---Market time, UTC seconds.
---@return number
function ctx:now() end

---Market time, UTC nanoseconds.
---@return integer
function ctx:now_ns() end

---Bars of a timeframe, in on_start only.
---@param tf "1s"|"5s"|"15s"|"30s"|"1m"|"3m"|"5m"|"15m"|"30m"|"1h"|"2h"|"4h"|"6h"|"12h"|"1d"
---@param symbol? string
---@param options? { events?: boolean, gaps?: "none"|"flat" } events = false: series only, no on_bar
---@return runtime.bars
---@overload fun(self: runtime.ctx, tf: string, options: table): runtime.bars
function ctx:bars(tf, symbol, options) end

---A live view of the newest quote; nil before the first.
---@param symbol? string
---@return runtime.quote?
function ctx:quote(symbol) end

---Price of the last trade (of the last closed bar, where the data is bars); nil before the first.
---@param symbol? string
---@return number?
function ctx:last(symbol) end

---Nil: this version keeps no order book.
---@param symbol? string
---@return nil
function ctx:book(symbol) end

---@class runtime.instrument
---@field symbol string
---@field venue string
---@field currency string of price, profit and fees
---@field tick_size number
---@field lot_size number
---@field min_notional number
---@field multiplier number
---@field leverage number 1: no borrowing
---@field short_allowed boolean

---@param symbol? string
---@return runtime.instrument
function ctx:instrument(symbol) end

---A live view of this instance's own book; the same object each time.
---@param symbol? string
---@return runtime.position
function ctx:position(symbol) end

---The views whose qty is not 0, symbols in listed order.
---@return runtime.position[]
function ctx:positions() end

---Capital, plus this instance's profit and loss, less fees, plus funding.
---@return number
function ctx:equity() end

---Capital, plus what is realized, less fees, plus funding.
---@return number
function ctx:cash() end

---This instance's share of the capital.
---@return number
function ctx:capital() end

---Of this instance: equity, cash, capital, exposure (money in positions at the mark), open_positions,
---and the limits that its own file declares. What the operator set besides is in the verdicts.
---@return table
function ctx:risk() end

---When a venue trades: that of ctx.symbol where none is named. One without symbols here raises.
---@param venue? string
---@return runtime.session
function ctx:session(venue) end

---Nil: this version has no signals.
---@param name string
---@return nil
function ctx:signal(name) end

---on_timer(ctx, name) every so many seconds of market time; nil ends the timer.
---@param name string at most 47 bytes
---@param seconds number? above 0
---@return boolean? ok
---@return string? reason
---@return string? code
function ctx:timer(name, seconds) end

---ctx:log("warn", "spread %.1f bps", x). At most 100 lines a second of market time, 1,000 at once.
---@param level "debug"|"info"|"warn"|"error"|any or the format itself
---@param ... any
function ctx:log(level, ...) end

---A point of a line in reports and on the dashboard.
---@param name string
---@param value number
function ctx:plot(name, value) end

---Sets a gauge.
---@param name string
---@param value number
function ctx:metric(name, value) end

---Tells a person; one a second of market time, ten at once.
---@param text string at most 500 bytes
function ctx:alert(text) end

---Ends this instance after the callback; its policy handles what is open.
---@param reason? string
function ctx:stop(reason) end
