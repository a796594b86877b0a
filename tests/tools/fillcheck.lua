-- Proves each fill of a run against the market data of that run.
--
--   lua5.4 fillcheck.lua JOURNAL_DAY_DIR LATENCY_NS DATA.csv [DATA.csv ...]
--
-- DATA are the files of --record (or the feed itself, in the same layout): trades, quotes or bars,
-- told apart by their header. The checker shares no code with the program; it knows only:
--
--   1. an order arrives no earlier than its asking plus the latency; on bars, which are told at their
--      end, an exit was asked for at the instant of the fill that it protects
--   2. a fill is no earlier than the arrival
--   3. a limit price is never passed, a stop_limit's neither
--   4. a taker never gets a better price than what was offered at that instant: the standing quote,
--      else a trade at that instant, else the range of the bar it fell into
--   5. a maker gets exactly its limit, and only when a trade or quote at that instant reached it,
--      and all makers of one instant together no more than what was traded or shown
--   6. an order is never filled beyond its quantity
--   7. a stop is filled only after the last trade reached its trigger; the trigger of a trailing stop
--      is made again from the trades since its arrival where the order's tag says the distance
--      ("trail=1.5%", "trail=20"), and then it must not be filled later than the market allowed
--   8. a fok is filled whole at one instant; nothing is filled after an order's end, a day order not
--      after its UTC day
--
-- Prints a line per violation; the last line is "N fills proven, N not". Exit 0 or 1.

local DAY = 86400 * 1000000000
local SCALE = 12 -- digits after the point that integers keep: exact for market data

local function fixed(text)
  local sign, whole, fraction = text:match("^(-?)(%d+)%.?(%d*)$")
  assert(whole, "not a number: " .. text)
  assert(#fraction <= SCALE and #whole <= 18 - SCALE, "too many digits: " .. text)
  local value = math.tointeger(tonumber(whole .. fraction .. ("0"):rep(SCALE - #fraction)))
  return sign == "-" and -value or value
end

-- Notional sizes do not matter here, quantities may have more whole digits than prices.
local function quantity(text)
  return tonumber(text)
end

local function nanoseconds(text)
  if text:match("^%d+$") then
    local unit = ({ [10] = 1000000000, [13] = 1000000, [16] = 1000, [19] = 1 })[#text]
    return math.tointeger(tonumber(text)) * assert(unit, "time of unknown size: " .. text)
  end
  local y, mo, d, h, mi, s, f = text:match("^(%d+)-(%d+)-(%d+)[T ](%d+):(%d+):(%d+)%.?(%d*)Z?$")
  assert(y, "not a time: " .. text)
  -- Days since 1970 by the civil calendar (Hinnant, "chrono-compatible low-level date algorithms").
  y, mo, d = math.tointeger(tonumber(y)), math.tointeger(tonumber(mo)), math.tointeger(tonumber(d))
  if mo <= 2 then y = y - 1 end
  local era = y // 400
  local yoe = y - era * 400
  local doy = (153 * (mo + (mo > 2 and -3 or 9)) + 2) // 5 + d - 1
  local days = era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468
  local seconds = days * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s)
  return math.tointeger(seconds) * 1000000000 + math.tointeger(tonumber((f .. "000000000"):sub(1, 9)))
end

local function read_csv(path)
  local rows, names = {}, nil
  for line in io.lines(path) do
    local cells = {}
    local rest = line .. ","
    while #rest > 0 do
      local quoted, after = rest:match('^"(.-)",(.*)$')
      if not quoted then quoted, after = rest:match("^(.-),(.*)$") end
      cells[#cells + 1], rest = quoted, after
    end
    if not names then
      names = cells
    else
      local row = {}
      for i, name in ipairs(names) do row[name] = cells[i] end
      rows[#rows + 1] = row
    end
  end
  return rows, names
end

-- A file's symbol, as the recorder names its files; nil where the name does not say.
local function symbol_of(path)
  return path:match("([^/]+)%-%a+%.csv$")
end

local function load_data(paths)
  local data = {}
  for _, path in ipairs(paths) do
    local rows, names = read_csv(path)
    local symbol = symbol_of(path) or "*"
    local of = data[symbol] or { trades = {}, quotes = {}, bars = {} }
    data[symbol] = of
    local has = {}
    for _, name in ipairs(names) do has[name:lower()] = name end
    local time = has.time or has.timestamp or has.ts
    for _, row in ipairs(rows) do
      local at = nanoseconds(row[time])
      if has.bid then
        of.quotes[#of.quotes + 1] = { time = at, bid = fixed(row[has.bid]), ask = fixed(row[has.ask]),
                                      bid_qty = quantity(row[has.bid_qty] or "0"),
                                      ask_qty = quantity(row[has.ask_qty] or "0") }
      elseif has.open then
        of.bars[#of.bars + 1] = { time = at, low = fixed(row[has.low]), high = fixed(row[has.high]) }
      else
        of.trades[#of.trades + 1] = { time = at, price = fixed(row[has.price]),
                                      qty = quantity(row[has.qty or has.quantity]) }
      end
    end
  end
  return data
end

-- The index of the last row at or before `time`; 0 when there is none.
local function last_at(rows, time)
  local low, high = 0, #rows
  while low < high do
    local middle = (low + high + 1) // 2
    if rows[middle].time <= time then low = middle else high = middle - 1 end
  end
  return low
end

-- Rows at exactly `time`, and for quotes also the one that stood before them.
local function rows_at(rows, time, with_standing)
  local found = {}
  local i = last_at(rows, time)
  while i > 0 and rows[i].time == time do
    found[#found + 1] = rows[i]
    i = i - 1
  end
  if with_standing and i > 0 then found[#found + 1] = rows[i] end
  return found
end

local function better(side, a, b) -- a is a better price than b for this side
  if side == "buy" then return a < b end
  return a > b
end

-- The best price a taker could have had at this instant; nil when the data offers none.
local function best_offer(of, side, time)
  local best
  local function offer(price)
    if not best or better(side, price, best) then best = price end
  end
  if #of.quotes > 0 then
    for _, quote in ipairs(rows_at(of.quotes, time, true)) do
      offer(side == "buy" and quote.ask or quote.bid)
    end
  elseif #of.trades > 0 then
    for _, trade in ipairs(rows_at(of.trades, time, false)) do offer(trade.price) end
  else
    local bar = of.bars[last_at(of.bars, time)]
    if bar then offer(side == "buy" and bar.low or bar.high) end
  end
  return best
end

-- What reached a maker's price at this instant, as a quantity; nil when nothing did.
local function reached(of, side, time, limit)
  local total, any = 0, false
  for _, trade in ipairs(rows_at(of.trades, time, false)) do
    if trade.price == limit or better(side, trade.price, limit) then
      total, any = total + trade.qty, true
    end
  end
  for _, quote in ipairs(rows_at(of.quotes, time, true)) do
    local opposite = side == "buy" and quote.ask or quote.bid
    if opposite == limit or better(side, opposite, limit) then
      total, any = total + (side == "buy" and quote.ask_qty or quote.bid_qty), true
    end
  end
  if #of.bars > 0 and #of.trades == 0 and #of.quotes == 0 then
    local bar = of.bars[last_at(of.bars, time)]
    if bar and bar.low <= limit and limit <= bar.high then return math.huge end
  end
  return any and total or nil
end

-- The venue's time of the newest fill of an order, by order id.
local function fill_times(fills)
  local times = {}
  for _, fill in ipairs(fills) do times[fill.order_id] = nanoseconds(fill.time) end
  return times
end

-- What all prices of these trades are multiples of; 0 when there are none.
local function tick_of(trades)
  local tick = 0
  for _, trade in ipairs(trades) do
    local a, b = tick, trade.price
    while b ~= 0 do a, b = b, a % b end
    tick = a
  end
  return tick
end

-- "1.5%" or "20" of a tag: how far from the best price, as a function of it.
local function trail_of(tag)
  local number, percent = tag:match("^trail=([%d.]+)(%%?)$")
  if not number then return nil end
  if percent == "" then
    local distance = fixed(number)
    return function() return distance end
  end
  return function(best) return best * tonumber(number) / 100 end
end

-- Watches the trades from the one that stood at the arrival on. Gives the time of the first that may
-- fire the stop, and of the first that must; nil where there is none until `time`.
local function fired(order, of, time)
  local buys, best = order.side == "buy", nil
  local tick = tick_of(of.trades)
  local may, must
  for i = math.max(1, last_at(of.trades, order.arrived)), last_at(of.trades, time) do
    local price, at = of.trades[i].price, math.max(of.trades[i].time, order.arrived)
    local function reaches(trigger) if buys then return price >= trigger end return price <= trigger end
    for _, trigger in ipairs(order.triggers) do
      if reaches(trigger) then may = may or at end
    end
    if order.trail then
      best = best and (buys and math.min(best, price) or math.max(best, price)) or price
      local distance = buys and order.trail(best) or -order.trail(best)
      if reaches(best + distance - (buys and tick or -tick)) and price ~= best then may = may or at end
      if reaches(best + distance) then must = must or at end
    elseif may then
      must = may
    end
    if must then break end
  end
  return may, must
end

-- On trades alone a taker gets the trade after the one that fired it.
local function check_stop(fill, order, of, time, say)
  if #of.trades == 0 or (#order.triggers == 0 and not order.trail) then return end
  local may, must = fired(order, of, time)
  if not may then return say("is of a stop whose trigger no trade reached") end
  if may > time then say("is of a stop that had not fired") end
  local first = not order.stop_seen
  order.stop_seen = true
  if not first or not must or order.type == "stop_limit" or fill.liquidity == "maker" then return end
  local after = #of.quotes > 0 and must or (of.trades[last_at(of.trades, must) + 1] or {}).time
  if after and time > after then say("is later than the market allowed") end
end

local function read_orders(path, filled_at, latency, on_bars)
  local orders = {}
  local told, cause -- when a fill was told, and when it happened
  for _, row in ipairs((read_csv(path))) do
    if row.order_id ~= "" then
      local order = orders[row.order_id] or { limits = {}, triggers = {}, fills = {} }
      orders[row.order_id] = order
      local at = nanoseconds(row.time)
      if row.status == "pending_new" and not order.asked then
        local is_exit = on_bars and told == at and (row.type == "stop" or row.type == "limit")
        order.asked = is_exit and cause or at
        if is_exit then order.arrived = order.asked + latency end
      end
      if row.status ~= "pending_new" and not order.arrived then order.arrived = at end
      if row.status == "filled" or row.status == "partially_filled" then
        told, cause = at, filled_at[row.order_id]
      end
      order.type, order.side = row.type, row.side
      order.qty, order.tif, order.trail = quantity(row.qty), row.tif, trail_of(row.tag)
      order.first_qty = order.first_qty or order.qty
      if row.status == "canceled" or row.status == "expired" then order.ended = at end
      if row.trigger_price ~= "" then
        order.triggers[#order.triggers + 1] = fixed(row.trigger_price)
      end
      if row.price ~= "" then order.limits[#order.limits + 1] = fixed(row.price) end
    end
  end
  return orders
end

local function check_fill(fill, order, of, latency, makers, say)
  local time, price = nanoseconds(fill.time), fixed(fill.price)
  if not order then return say("belongs to no order") end
  if order.asked and order.arrived < order.asked + latency then
    say("is of an order that arrived before the latency was over")
  end
  if time < order.arrived then say("is before the order's arrival") end
  order.filled = (order.filled or 0) + quantity(fill.qty)
  order.fills[#order.fills + 1] = time
  if order.filled > order.qty * (1 + 1e-12) then say("fills beyond the order's quantity") end
  if order.ended and time > order.ended then say("is after the order's end") end
  if order.tif == "day" and time // DAY ~= order.arrived // DAY then say("is after the order's day") end
  if order.type == "stop" or order.type == "stop_limit" or order.type == "trailing" then
    check_stop(fill, order, of, time, say)
  end
  if order.type == "limit" or order.type == "stop_limit" then
    local within = false
    for _, limit in ipairs(order.limits) do
      within = within or price == limit or better(fill.side, price, limit)
    end
    if not within then say("passes the limit") end
  end
  if fill.liquidity == "maker" then
    local available = reached(of, fill.side, time, price)
    if not available then return say("is a maker's, but nothing reached its price") end
    local key = fill.symbol .. fill.time .. fill.side
    makers[key] = (makers[key] or 0) + quantity(fill.qty)
    if makers[key] > available * (1 + 1e-12) then say("is more than was traded or shown") end
    return nil
  end
  local best = best_offer(of, fill.side, time)
  if not best then return say("has no market data at its instant") end
  if better(fill.side, price, best) then say("is better than what was offered") end
end

local day, latency = arg[1], math.tointeger(tonumber(arg[2]))
local data = load_data({ table.unpack(arg, 3) })
local fills = read_csv(day .. "/fills.csv")
local on_bars = false
for _, of in pairs(data) do on_bars = on_bars or #of.bars > 0 end
local orders = read_orders(day .. "/orders.csv", fill_times(fills), latency, on_bars)
local proven, wrong, makers = 0, 0, {}
for _, fill in ipairs(fills) do
  local faults = 0
  local function say(what)
    faults = faults + 1
    print(("fill %s of order %s at %s: %s"):format(fill.exec_id, fill.order_id, fill.time, what))
  end
  local of = data[(fill.symbol:gsub("[/:]", "-"))] or data["*"]
  if of then
    check_fill(fill, orders[fill.order_id], of, latency, makers, say)
  else
    say("has no data file")
  end
  if faults == 0 then proven = proven + 1 else wrong = wrong + 1 end
end
for id, order in pairs(orders) do
  local once = order.fills[1] == order.fills[#order.fills]
  local whole = math.abs((order.filled or 0) - (order.first_qty or 0)) < 1e-9
  if order.tif == "fok" and #order.fills > 0 and not (whole and once) then
    wrong, proven = wrong + #order.fills, proven - #order.fills
    print(("order %s is fok and was filled in part"):format(id))
  end
end
print(("%d fills proven, %d not"):format(proven, wrong))
os.exit(wrong == 0 and proven > 0)
