---@meta
-- Orders: what places them, what is given back.
--
-- Each call gives an order handle, or nil, reason, code for a market fact (zero quantity, no price
-- yet, a limit). A mistake (wrong type, unknown option, NaN) raises with file and line. In on_start
-- they raise. Numbers may also be strings ("0.1"), and are rounded to tick and lot once, safely.

---@class runtime.options
---@field symbol? string
---@field type? "market"|"limit"|"stop"|"stop_limit"|"trailing" market where absent
---@field price? number|string of a limit and a stop_limit
---@field trigger_price? number|string of a stop and a stop_limit; where a trailing stop begins
---@field trail? number|string of a trailing stop: an amount, or a share of the price ("1.5%")
---@field tif? "gtc"|"day"|"ioc"|"fok"|"gtd" gtc where absent
---@field expires? number|string of gtd: UTC seconds, or ISO text
---@field post_only? boolean
---@field reduce_only? boolean about this instance's own position
---@field notional? number|string money instead of a quantity
---@field stop? number|string exit of a protected entry
---@field take? number|string exit of a protected entry
---@field stop_on? "last"|"mark"|"quote" what a stop or the exits watch
---@field tag? string at most 63 bytes
---@field side? "buy"|"sell" of ctx:submit
---@field qty? number|string of ctx:submit and ctx:amend

---An order, read anew at each access. Handles of one order are equal.
---@class runtime.order
---@field id integer
---@field client_order_id string
---@field status "pending_new"|"new"|"partially_filled"|"filled"|"canceled"|"rejected"|"expired"|"pending_cancel"|"pending_replace"|"unknown"
---@field side "buy"|"sell"
---@field type "market"|"limit"|"stop"|"stop_limit"|"trailing"
---@field qty number
---@field filled_qty number
---@field remaining_qty number
---@field price number?
---@field avg_price number? nil before a fill
---@field reason string? of a rejection, cancel or block
---@field tag string?
---@field symbol string
---@field trigger_price number?
---@field trail number|string|nil as it was asked for; nil of other types
---@field expires number? UTC seconds, of gtd
---@field tif "gtc"|"day"|"ioc"|"fok"|"gtd"
---@field stop number?
---@field take number?
---@field reduce_only boolean
---@field post_only boolean
---@field time number when it was asked for, UTC seconds
---@field time_ns integer

---@class runtime.ctx
local ctx = {}

---@param qty number|string|nil nil where options.notional stands
---@param options? runtime.options
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:buy(qty, options) end

---@param qty number|string|nil nil where options.notional stands
---@param options? runtime.options
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:sell(qty, options) end

---@param options runtime.options side and qty (or notional) in it
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:submit(options) end

---Two orders of which a fill of one cancels the other; part of it reduces the other. Both or none.
---@param orders { [1]: runtime.options, [2]: runtime.options } each as for ctx:submit
---@return runtime.order? first
---@return runtime.order|string|nil second or the reason
---@return string? code
function ctx:oco(orders) end

---One order for what is missing to a signed position; nil alone when there is nothing to do.
---@param qty number|string
---@param options? runtime.options
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:target(qty, options) end

---The same at a share of equity: 1 fully long, -0.5 half short.
---@param fraction number|string
---@param options? runtime.options
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:target_weight(fraction, options) end

---Ends the position exactly; nil alone when flat.
---@param options? runtime.options symbol, type and its prices, stop_on, tif, expires, post_only, tag
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:close(options) end

---ctx:close of every symbol. A reason and code come from the first refusal.
---@return runtime.order[] orders
---@return string? reason
---@return string? code
function ctx:close_all() end

---@param order runtime.order|integer
---@return runtime.order? order asked for; its end comes with on_order
---@return string? reason
---@return string? code
function ctx:cancel(order) end

---How many were asked for. Exits of protected entries stay.
---@param symbol? string
---@return integer
function ctx:cancel_all(symbol) end

---@param order runtime.order|integer
---@param terms { price?: number|string, qty?: number|string }
---@return runtime.order? order
---@return string? reason
---@return string? code
function ctx:amend(order, terms) end

---The quantity that loses risk_percent of equity over stop_distance: a lot multiple, at most what buying
---power, max_order_size_usd and max_position_size allow from flat; 0, reason, code where there is none.
---@param risk_percent number above 0
---@param stop_distance number
---@param symbol? string
---@return number qty
---@return string? reason
---@return string? code
function ctx:size(risk_percent, stop_distance, symbol) end

---An order of this instance by its id; nil when it finished long ago.
---@param id integer
---@return runtime.order?
function ctx:order(id) end

---Open orders, oldest first; status = "all" adds those finished lately.
---@param filter? { status?: string, symbol?: string, side?: "buy"|"sell", tag?: string }
---@return runtime.order[]
function ctx:orders(filter) end
