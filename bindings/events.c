/* events.c - what callbacks are told: tick, quote, bar, fill, verdict, difference; and live views
 * of position and quote.
 *
 * One userdata per kind, made once and pointed at the event while its callback runs: nothing is
 * allocated per event. Used later it raises ("copy what you keep"). A live view always shows what
 * holds now. Times are `time`, UTC seconds as a float, and `time_ns`, whole nanoseconds. */
#include "bindings/script.h"

#include <stdio.h>

static const char POSITION[] = "position";

static const struct instrument *instrument_of(const struct script *script, uint32_t index)
{
    return &script->instruments->list[index];
}

static void push_symbol(lua_State *L, const struct script *script, uint32_t instrument)
{
    lua_pushstring(L, instrument_of(script, instrument)->symbol);
}

/* "buy", "sell", or nil where the venue does not say. */
static void push_side(lua_State *L, int side)
{
    lua_pushstring(L, side ? order_side_name((enum order_side)side) : NULL);
}

/* The event behind the view at index 1; raises after its callback. */
static const struct guest_event *check_event(lua_State *L, const char *name)
{
    const struct view *view = lua_touserdata(L, 1);
    if (!view->event)
        luaL_error(L, "this %s's callback has ended; copy what you keep", name);
    return view->event;
}

/* ---- tick ---- */

enum { TICK_SYMBOL, TICK_PRICE, TICK_QTY, TICK_SIDE, TICK_TIME, TICK_TIME_NS };
const char *const tick_fields[] = { "symbol", "price", "qty", "side", "time", "time_ns", NULL };

/* tick.symbol, price, qty, side ("buy", "sell": the aggressor's; or nil), time, time_ns */
static int tick_index(lua_State *L)
{
    const struct script *script = ((const struct view *)lua_touserdata(L, 1))->script;
    const struct event *event = check_event(L, "tick")->market;
    const struct instrument *instrument = instrument_of(script, event->instrument);
    switch (names_field(L, &script->names[NAMES_TICK], 2, "a tick")) {
    case TICK_SYMBOL:
        push_symbol(L, script, event->instrument);
        break;
    case TICK_PRICE:
        lua_pushnumber(L, instrument_price(instrument, event->trade.price));
        break;
    case TICK_QTY:
        lua_pushnumber(L, instrument_qty(instrument, event->trade.qty));
        break;
    case TICK_SIDE:
        push_side(L, event->trade.side);
        break;
    case TICK_TIME:
        push_time(L, event->time_ns);
        break;
    default:
        lua_pushinteger(L, event->time_ns);
    }
    return 1;
}

/* ---- quote ---- */

enum {
    QUOTE_SYMBOL,
    QUOTE_BID,
    QUOTE_ASK,
    QUOTE_BID_QTY,
    QUOTE_ASK_QTY,
    QUOTE_TIME,
    QUOTE_TIME_NS
};
const char *const quote_fields[] = { "symbol",  "bid",  "ask",     "bid_qty",
                                     "ask_qty", "time", "time_ns", NULL };

/* quote.symbol, bid, ask, bid_qty, ask_qty (nil where not known), time, time_ns: of on_quote, or
 * the live one of ctx:quote() */
static int quote_index(lua_State *L)
{
    const struct view *view = lua_touserdata(L, 1);
    const struct script *script = view->script;
    bool live = view->live != INSTRUMENT_NONE;
    const struct event *event = live ? NULL : check_event(L, "quote")->market;
    uint32_t index = live ? view->live : event->instrument;
    const struct quote_event *quote =
        live ? market_quote_now(script->market, index) : &event->quote;
    int64_t time_ns = live ? market_quote_ns(script->market, index) : event->time_ns;
    const struct instrument *instrument = instrument_of(script, index);
    int field = names_field(L, &script->names[NAMES_QUOTE], 2, "a quote");
    switch (field) {
    case QUOTE_SYMBOL:
        push_symbol(L, script, index);
        break;
    case QUOTE_BID:
        lua_pushnumber(L, instrument_price(instrument, quote->bid));
        break;
    case QUOTE_ASK:
        lua_pushnumber(L, instrument_price(instrument, quote->ask));
        break;
    case QUOTE_BID_QTY:
    case QUOTE_ASK_QTY: {
        int64_t qty = field == QUOTE_BID_QTY ? quote->bid_qty : quote->ask_qty;
        if (qty)
            lua_pushnumber(L, instrument_qty(instrument, qty));
        else
            lua_pushnil(L);
        break;
    }
    case QUOTE_TIME:
        push_time(L, time_ns);
        break;
    default:
        lua_pushinteger(L, time_ns);
    }
    return 1;
}

/* ---- bar ---- */

enum {
    BAR_FIELD_SYMBOL,
    BAR_FIELD_TF,
    BAR_FIELD_OPEN,
    BAR_FIELD_HIGH,
    BAR_FIELD_LOW,
    BAR_FIELD_CLOSE,
    BAR_FIELD_VOLUME,
    BAR_FIELD_TIME,
    BAR_FIELD_TIME_END,
    BAR_FIELD_TIME_NS,
    BAR_FIELD_TIME_END_NS
};
const char *const bar_fields[] = { "symbol", "tf",   "open",     "high",    "low",         "close",
                                   "volume", "time", "time_end", "time_ns", "time_end_ns", NULL };

/* bar.symbol, tf ("1m"), open, high, low, close, volume, time (of the open), time_end (of the
 * close, which is ctx:now()), time_ns, time_end_ns */
static int bar_index(lua_State *L)
{
    const struct script *script = ((const struct view *)lua_touserdata(L, 1))->script;
    const struct bar *bar = check_event(L, "bar")->bar;
    switch (names_field(L, &script->names[NAMES_BAR], 2, "a bar")) {
    case BAR_FIELD_SYMBOL:
        push_symbol(L, script, bar->instrument);
        break;
    case BAR_FIELD_TF:
        lua_pushstring(L, timeframe_name(bar->tf_ns));
        break;
    case BAR_FIELD_OPEN:
        lua_pushnumber(L, bar->open);
        break;
    case BAR_FIELD_HIGH:
        lua_pushnumber(L, bar->high);
        break;
    case BAR_FIELD_LOW:
        lua_pushnumber(L, bar->low);
        break;
    case BAR_FIELD_CLOSE:
        lua_pushnumber(L, bar->close);
        break;
    case BAR_FIELD_VOLUME:
        lua_pushnumber(L, bar->volume);
        break;
    case BAR_FIELD_TIME:
        push_time(L, bar->time_ns);
        break;
    case BAR_FIELD_TIME_END:
        push_time(L, bar->time_end_ns);
        break;
    case BAR_FIELD_TIME_NS:
        lua_pushinteger(L, bar->time_ns);
        break;
    default:
        lua_pushinteger(L, bar->time_end_ns);
    }
    return 1;
}

/* ---- fill ---- */

enum {
    FILL_EXEC_ID,
    FILL_ORDER,
    FILL_ORDER_ID,
    FILL_CLIENT_ORDER_ID,
    FILL_SYMBOL,
    FILL_SIDE,
    FILL_QTY,
    FILL_PRICE,
    FILL_FEE,
    FILL_FEE_CURRENCY,
    FILL_LIQUIDITY,
    FILL_TAG,
    FILL_TIME,
    FILL_TIME_NS
};
const char *const fill_fields[] = { "exec_id", "order",        "order_id",  "client_order_id",
                                    "symbol",  "side",         "qty",       "price",
                                    "fee",     "fee_currency", "liquidity", "tag",
                                    "time",    "time_ns",      NULL };

/* fill.exec_id, order (handle), order_id, client_order_id, symbol, side, qty, price, fee (paid
 * positive), fee_currency, liquidity ("maker", "taker"), tag (the order's), time, time_ns (the
 * venue's) */
static int fill_index(lua_State *L)
{
    struct script *script = ((const struct view *)lua_touserdata(L, 1))->script;
    const struct guest_event *event = check_event(L, "fill");
    const struct order *order = event->order;
    const struct fill *fill = event->fill;
    switch (names_field(L, &script->names[NAMES_FILL], 2, "a fill")) {
    case FILL_EXEC_ID:
        lua_pushstring(L, fill->exec_id);
        break;
    case FILL_ORDER:
        push_order(L, script, order->order_id);
        break;
    case FILL_ORDER_ID:
        lua_pushinteger(L, (lua_Integer)order->order_id);
        break;
    case FILL_CLIENT_ORDER_ID:
        lua_pushstring(L, order->client_order_id);
        break;
    case FILL_SYMBOL:
        push_symbol(L, script, order->instrument);
        break;
    case FILL_SIDE:
        push_side(L, order->side);
        break;
    case FILL_QTY:
        push_decimal(L, fill->qty);
        break;
    case FILL_PRICE:
        push_decimal(L, fill->price);
        break;
    case FILL_FEE:
        push_decimal(L, fill->fee);
        break;
    case FILL_FEE_CURRENCY:
        lua_pushstring(L, instrument_of(script, order->instrument)->currency);
        break;
    case FILL_LIQUIDITY:
        lua_pushstring(L, fill->liquidity == LIQUIDITY_MAKER ? "maker" : "taker");
        break;
    case FILL_TAG:
        lua_pushstring(L, order->tag[0] ? order->tag : NULL);
        break;
    case FILL_TIME:
        push_time(L, fill->transact_ns);
        break;
    default:
        lua_pushinteger(L, fill->transact_ns);
    }
    return 1;
}

/* ---- verdict ---- */

enum {
    VERDICT_FIELD_VERDICT,
    VERDICT_FIELD_CODE,
    VERDICT_FIELD_REASON,
    VERDICT_FIELD_SYMBOL,
    VERDICT_FIELD_SIDE,
    VERDICT_FIELD_TYPE,
    VERDICT_FIELD_QTY,
    VERDICT_FIELD_PRICE,
    VERDICT_FIELD_TAG,
    VERDICT_FIELD_TIME,
    VERDICT_FIELD_TIME_NS
};
const char *const verdict_fields[] = { "verdict", "code",  "reason", "symbol", "side",    "type",
                                       "qty",     "price", "tag",    "time",   "time_ns", NULL };

/* verdict.verdict ("reduce", "block", "halt"), code, reason; and of the order as it was asked for:
 * symbol, side, type, qty, price, tag; time, time_ns */
static int verdict_index(lua_State *L)
{
    const struct script *script = ((const struct view *)lua_touserdata(L, 1))->script;
    const struct guest_event *event = check_event(L, "verdict");
    const struct order *order = event->order;
    switch (names_field(L, &script->names[NAMES_VERDICT], 2, "a verdict")) {
    case VERDICT_FIELD_VERDICT:
        lua_pushstring(L, event->verdict);
        break;
    case VERDICT_FIELD_CODE:
        lua_pushstring(L, event->code);
        break;
    case VERDICT_FIELD_REASON:
        lua_pushstring(L, event->name);
        break;
    case VERDICT_FIELD_SYMBOL:
        push_symbol(L, script, order->instrument);
        break;
    case VERDICT_FIELD_SIDE:
        push_side(L, order->side);
        break;
    case VERDICT_FIELD_TYPE:
        lua_pushstring(L, order_type_name(order->type));
        break;
    case VERDICT_FIELD_QTY:
        push_decimal(L, order->qty);
        break;
    case VERDICT_FIELD_PRICE:
        push_decimal(L, order->price);
        break;
    case VERDICT_FIELD_TAG:
        lua_pushstring(L, order->tag[0] ? order->tag : NULL);
        break;
    case VERDICT_FIELD_TIME:
        push_time(L, event->time_ns);
        break;
    default:
        lua_pushinteger(L, event->time_ns);
    }
    return 1;
}

/* ---- difference ---- */

enum {
    DIFFERENCE_SYMBOL,
    DIFFERENCE_OWN,
    DIFFERENCE_VENUE,
    DIFFERENCE_ACTION,
    DIFFERENCE_TIME,
    DIFFERENCE_TIME_NS
};
const char *const difference_fields[] = { "symbol", "own",     "venue", "action",
                                          "time",   "time_ns", NULL };

/* difference.symbol (nil: cash), own, venue (quantities, or amounts of cash), action ("halt",
 * "block", "adjust"), time, time_ns */
static int difference_index(lua_State *L)
{
    const struct script *script = ((const struct view *)lua_touserdata(L, 1))->script;
    const struct guest_event *event = check_event(L, "difference");
    const struct difference *difference = event->difference;
    switch (names_field(L, &script->names[NAMES_DIFFERENCE], 2, "a difference")) {
    case DIFFERENCE_SYMBOL:
        if (difference->instrument == INSTRUMENT_NONE)
            lua_pushnil(L);
        else
            push_symbol(L, script, difference->instrument);
        break;
    case DIFFERENCE_OWN:
        push_decimal(L, difference->own);
        break;
    case DIFFERENCE_VENUE:
        push_decimal(L, difference->venue);
        break;
    case DIFFERENCE_ACTION:
        lua_pushstring(L, difference->action);
        break;
    case DIFFERENCE_TIME:
        push_time(L, event->time_ns);
        break;
    default:
        lua_pushinteger(L, event->time_ns);
    }
    return 1;
}

/* ---- position ---- */

struct position_view {
    struct script *script;
    uint32_t instrument;
};

enum {
    POSITION_SYMBOL,
    POSITION_QTY,
    POSITION_AVG_PRICE,
    POSITION_UNREALIZED_PNL,
    POSITION_REALIZED_PNL,
    POSITION_VALUE,
    POSITION_FEES,
    POSITION_FUNDING
};
const char *const position_fields[] = { "symbol",         "qty",          "avg_price",
                                        "unrealized_pnl", "realized_pnl", "value",
                                        "fees",           "funding",      NULL };

/* position.symbol, qty (signed), avg_price (nil when flat), realized_pnl (gross), fees (paid),
 * funding (received); at the mark: unrealized_pnl, value (signed), nil before the first price
 * unless flat */
static int position_index(lua_State *L)
{
    const struct position_view *view = lua_touserdata(L, 1);
    const struct script *script = view->script;
    const struct position *position =
        engine_position(script->engine, script->instance, view->instrument);
    decimal multiplier = instrument_of(script, view->instrument)->multiplier;
    int field = names_field(L, &script->names[NAMES_POSITION], 2, "a position");
    bool flat = decimal_is_zero(position->qty);
    switch (field) {
    case POSITION_SYMBOL:
        push_symbol(L, script, view->instrument);
        break;
    case POSITION_QTY:
        if (flat)
            lua_pushnumber(L, 0);
        else
            push_decimal(L, position->qty);
        break;
    case POSITION_AVG_PRICE:
        push_decimal(L, position_avg_price(position, multiplier));
        break;
    case POSITION_UNREALIZED_PNL:
    case POSITION_VALUE: {
        decimal mark = market_mark(script->market, view->instrument);
        if (flat)
            lua_pushnumber(L, 0);
        else if (!decimal_valid(mark))
            lua_pushnil(L);
        else if (field == POSITION_VALUE)
            push_decimal(L, position_value(position, mark, multiplier));
        else
            push_decimal(L, position_unrealized(position, mark, multiplier));
        break;
    }
    case POSITION_REALIZED_PNL:
        push_decimal(L, position->realized_pnl);
        break;
    case POSITION_FEES:
        push_decimal(L, position->fees);
        break;
    default:
        push_decimal(L, position->funding);
    }
    return 1;
}

void push_position(lua_State *L, struct script *script, uint32_t instrument)
{
    size_t place = symbol_place(script, instrument);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->positions_ref);
    lua_rawgeti(L, -1, (lua_Integer)place + 1);
    lua_remove(L, -2);
}

void push_quote(lua_State *L, struct script *script, uint32_t instrument)
{
    size_t place = symbol_place(script, instrument);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->quotes_ref);
    lua_rawgeti(L, -1, (lua_Integer)place + 1);
    lua_remove(L, -2);
}

/* ---- making them ---- */

struct view_class {
    const char *name;
    lua_CFunction index;
    enum names_class names;
    const char *const *fields;
};
static const struct view_class view_classes[VIEW_KINDS] = {
    [VIEW_TICK] = { "tick", tick_index, NAMES_TICK, tick_fields },
    [VIEW_QUOTE] = { "quote", quote_index, NAMES_QUOTE, quote_fields },
    [VIEW_BAR] = { "bar", bar_index, NAMES_BAR, bar_fields },
    [VIEW_FILL] = { "fill", fill_index, NAMES_FILL, fill_fields },
    [VIEW_VERDICT] = { "verdict", verdict_index, NAMES_VERDICT, verdict_fields },
    [VIEW_DIFFERENCE] = { "difference", difference_index, NAMES_DIFFERENCE, difference_fields },
};

static struct view *push_view(lua_State *L, struct script *script, enum view_kind kind,
                              uint32_t live)
{
    const struct view_class *class = &view_classes[kind];
    const luaL_Reg metamethods[] = { { "__index", class->index },
                                     { "__newindex", raise_read_only },
                                     { NULL, NULL } };
    struct view *view = lua_newuserdatauv(L, sizeof(*view), 0);
    *view = (struct view){ .script = script, .live = live };
    push_metatable(L, class->name, metamethods, script);
    lua_setmetatable(L, -2);
    return view;
}

void events_open(lua_State *L, struct script *script)
{
    for (int kind = 0; kind < VIEW_KINDS; kind++) {
        const struct view_class *class = &view_classes[kind];
        names_open(L, &script->names[class->names], class->fields);
        script->views[kind] = push_view(L, script, (enum view_kind)kind, INSTRUMENT_NONE);
        script->view_refs[kind] = luaL_ref(L, LUA_REGISTRYINDEX);
    }

    static const luaL_Reg metamethods[] = { { "__index", position_index },
                                            { "__newindex", raise_read_only },
                                            { NULL, NULL } };
    names_open(L, &script->names[NAMES_POSITION], position_fields);
    lua_createtable(L, (int)script->symbol_count, 0);
    lua_createtable(L, (int)script->symbol_count, 0);
    for (size_t i = 0; i < script->symbol_count; i++) {
        struct position_view *view = lua_newuserdatauv(L, sizeof(*view), 0);
        *view = (struct position_view){ .script = script, .instrument = script->symbols[i] };
        push_metatable(L, POSITION, metamethods, script);
        lua_setmetatable(L, -2);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        push_view(L, script, VIEW_QUOTE, script->symbols[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    script->quotes_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    script->positions_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
