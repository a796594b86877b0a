/* orders.c - what a strategy does: order calls and order handles.
 *
 * Every call reads its arguments whole before it asks the engine, so a mistake changes nothing.
 * Results are an order handle, or nil, reason, code for a market fact. A handle holds an order's id
 * and reads the engine's order anew each time; one order has one handle, so == and table keys work.
 */
#include "bindings/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"

static const char ORDER[] = "order";

struct handle {
    struct script *script;
    uint64_t id;
};

/* ---- handles ---- */

enum {
    FIELD_ID,
    FIELD_CLIENT_ORDER_ID,
    FIELD_STATUS,
    FIELD_SIDE,
    FIELD_TYPE,
    FIELD_QTY,
    FIELD_FILLED_QTY,
    FIELD_REMAINING_QTY,
    FIELD_PRICE,
    FIELD_AVG_PRICE,
    FIELD_REASON,
    FIELD_TAG,
    FIELD_SYMBOL,
    FIELD_TRIGGER_PRICE,
    FIELD_TRAIL,
    FIELD_TIF,
    FIELD_EXPIRES,
    FIELD_STOP,
    FIELD_TAKE,
    FIELD_REDUCE_ONLY,
    FIELD_POST_ONLY,
    FIELD_TIME,
    FIELD_TIME_NS,
};
const char *const order_fields[] = {
    "id",         "client_order_id", "status",    "side",      "type",    "qty",
    "filled_qty", "remaining_qty",   "price",     "avg_price", "reason",  "tag",
    "symbol",     "trigger_price",   "trail",     "tif",       "expires", "stop",
    "take",       "reduce_only",     "post_only", "time",      "time_ns", NULL
};

/* The distance of a trailing stop as it was asked for: a number, or "1.5%"; nil of other types. */
static void push_trail(lua_State *L, const struct order *order)
{
    char text[DECIMAL_TEXT_MAX];
    if (order->trail_is_share)
        lua_pushfstring(L, "%s%%",
                        decimal_format(decimal_mul(order->trail, decimal_int(100)), text));
    else if (order->type == ORDER_TRAILING)
        push_decimal(L, order->trail);
    else
        lua_pushnil(L);
}

/* Pushes one field of an order; an empty reason is nil, so is a price that the type has none of. */
static void push_order_field(lua_State *L, const struct script *script, const struct order *order,
                             int field)
{
    switch (field) {
    case FIELD_ID:
        lua_pushinteger(L, (lua_Integer)order->order_id);
        break;
    case FIELD_CLIENT_ORDER_ID:
        lua_pushstring(L, order->client_order_id);
        break;
    case FIELD_STATUS:
        lua_pushstring(L, order_status_name(order_status(order)));
        break;
    case FIELD_SIDE:
        lua_pushstring(L, order_side_name(order->side));
        break;
    case FIELD_TYPE:
        lua_pushstring(L, order_type_name(order->type));
        break;
    case FIELD_QTY:
        push_decimal(L, order->qty);
        break;
    case FIELD_FILLED_QTY:
        push_decimal(L, order->filled_qty);
        break;
    case FIELD_REMAINING_QTY:
        push_decimal(L, order_remaining(order));
        break;
    case FIELD_PRICE:
        push_decimal(L, order->price);
        break;
    case FIELD_AVG_PRICE:
        push_decimal(L, order_avg_price(order));
        break;
    case FIELD_REASON:
        lua_pushstring(L, order->reason[0] ? order->reason : NULL);
        break;
    case FIELD_TAG:
        lua_pushstring(L, order->tag[0] ? order->tag : NULL);
        break;
    case FIELD_SYMBOL:
        lua_pushstring(L, script->instruments->list[order->instrument].symbol);
        break;
    case FIELD_TRIGGER_PRICE:
        push_decimal(L, order->trigger_price);
        break;
    case FIELD_TRAIL:
        push_trail(L, order);
        break;
    case FIELD_EXPIRES:
        if (order->expires_ns == TIME_NEVER)
            lua_pushnil(L);
        else
            push_time(L, order->expires_ns);
        break;
    case FIELD_TIF:
        lua_pushstring(L, order_tif_name(order->tif));
        break;
    case FIELD_STOP:
        push_decimal(L, order->stop);
        break;
    case FIELD_TAKE:
        push_decimal(L, order->take);
        break;
    case FIELD_REDUCE_ONLY:
        lua_pushboolean(L, order->reduce_only);
        break;
    case FIELD_POST_ONLY:
        lua_pushboolean(L, order->post_only);
        break;
    case FIELD_TIME:
        push_time(L, order->created_ns);
        break;
    default:
        lua_pushinteger(L, order->created_ns);
    }
}

/* order.FIELD
 *
 *   raises for an unknown field, and when the order finished so long ago that only its id is left
 */
static int order_index(lua_State *L)
{
    const struct handle *handle = lua_touserdata(L, 1);
    const struct script *script = handle->script;
    int field = names_field(L, &script->names[NAMES_ORDER], 2, "an order");
    if (field == FIELD_ID) {
        lua_pushinteger(L, (lua_Integer)handle->id);
        return 1;
    }
    const struct order *order = engine_order(script->engine, handle->id);
    if (!order)
        return luaL_error(L, "order %I finished long ago; copy what you keep",
                          (LUAI_UACINT)handle->id);
    push_order_field(L, script, order, field);
    return 1;
}

/* tostring(order) -> "order 12 (buy 0.5 BTC/USDT:USDT, new)" */
static int order_tostring(lua_State *L)
{
    const struct handle *handle = lua_touserdata(L, 1);
    const struct order *order = engine_order(handle->script->engine, handle->id);
    char qty[DECIMAL_TEXT_MAX];
    if (!order)
        lua_pushfstring(L, "order %I (finished long ago)", (LUAI_UACINT)handle->id);
    else
        lua_pushfstring(L, "order %I (%s %s %s, %s)", (LUAI_UACINT)handle->id,
                        order_side_name(order->side), decimal_format(order->qty, qty),
                        handle->script->instruments->list[order->instrument].symbol,
                        order_status_name(order_status(order)));
    return 1;
}

void push_order(lua_State *L, struct script *script, uint64_t order_id)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->handles_ref);
    if (lua_rawgeti(L, -1, (lua_Integer)order_id) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return;
    }
    lua_pop(L, 1);
    struct handle *handle = lua_newuserdatauv(L, sizeof(*handle), 0);
    *handle = (struct handle){ .script = script, .id = order_id };
    luaL_setmetatable(L, ORDER);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)order_id);
    lua_remove(L, -2);
}

/* An order by its handle or its id. */
static uint64_t check_order(lua_State *L, int index, const char *what)
{
    const struct handle *handle = luaL_testudata(L, index, ORDER);
    if (handle)
        return handle->id;
    if (lua_isinteger(L, index) && lua_tointeger(L, index) > 0)
        return (uint64_t)lua_tointeger(L, index);
    luaL_error(L, "%s: an order is wanted, not %s", what, luaL_typename(L, index));
    return 0;
}

/* ---- options ---- */

enum {
    OPTION_SYMBOL,
    OPTION_SIDE,
    OPTION_TYPE,
    OPTION_QTY,
    OPTION_NOTIONAL,
    OPTION_PRICE,
    OPTION_TIF,
    OPTION_POST_ONLY,
    OPTION_REDUCE_ONLY,
    OPTION_STOP,
    OPTION_TAKE,
    OPTION_STOP_ON,
    OPTION_TAG,
    OPTION_TRIGGER_PRICE,
    OPTION_TRAIL,
    OPTION_EXPIRES,
};
const char *const order_options[] = { "symbol",      "side",          "type",  "qty",
                                      "notional",    "price",         "tif",   "post_only",
                                      "reduce_only", "stop",          "take",  "stop_on",
                                      "tag",         "trigger_price", "trail", "expires",
                                      NULL };

#define BIT(option) (1u << (option))
#define TERMS                                                                                      \
    (BIT(OPTION_SYMBOL) | BIT(OPTION_TYPE) | BIT(OPTION_PRICE) | BIT(OPTION_TRIGGER_PRICE) |       \
     BIT(OPTION_TRAIL) | BIT(OPTION_STOP_ON) | BIT(OPTION_TIF) | BIT(OPTION_EXPIRES) |             \
     BIT(OPTION_POST_ONLY) | BIT(OPTION_TAG))
#define ENTRY (TERMS | BIT(OPTION_STOP) | BIT(OPTION_TAKE))
#define BUY (ENTRY | BIT(OPTION_NOTIONAL) | BIT(OPTION_REDUCE_ONLY))
#define SUBMIT (BUY | BIT(OPTION_SIDE) | BIT(OPTION_QTY))
#define CLOSE TERMS

/* What a call was given: the request, and which options stood in the table. */
struct asked {
    struct order_request request;
    unsigned given;
};

/* "1.5%" is 0.015 of the price, exactly; anything else is an amount. */
static void check_trail(lua_State *L, struct order_request *request, const char *what)
{
    size_t length = 0;
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    request->trail_is_share = length > 0 && text[length - 1] == '%';
    if (!text)
        request->trail = check_decimal(L, -1, what);
    else if (decimal_parse(text, length - request->trail_is_share, &request->trail) == ERROR_DATA)
        luaL_error(L, "%s must be a number or a percentage such as \"1.5%%\", not '%s'", what,
                   text);
    if (request->trail_is_share)
        request->trail = decimal_mul(request->trail, decimal_make(1, 2));
    if (!decimal_valid(request->trail))
        luaL_error(L, "%s has more digits than fit: %s", what, lua_tostring(L, -1));
    if (decimal_sign(request->trail) <= 0)
        luaL_error(L, "%s must be above 0", what);
    if (request->trail_is_share && decimal_cmp(request->trail, decimal_int(1)) >= 0)
        luaL_error(L, "%s must be below 100%%", what);
}

#define EXPIRES_LATEST 9.2e9 /* seconds: the last that fit into nanoseconds, in 2261 */

/* UTC seconds, or ISO text. */
static int64_t check_expires(lua_State *L, const char *what)
{
    int64_t time_ns;
    size_t length;
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, -1, &length);
        if (!time_parse(text, length, &time_ns))
            luaL_error(
                L, "%s must be UTC seconds or a time such as \"2024-01-31T12:00:00Z\", not '%s'",
                what, text);
        return time_ns;
    }
    double seconds = check_finite(L, -1, what);
    if (seconds < 0 || seconds > EXPIRES_LATEST)
        luaL_error(L, "%s is in UTC seconds; %f is none of this age", what, seconds);
    if (lua_isinteger(L, -1))
        return lua_tointeger(L, -1) * NS_PER_SECOND;
    return (int64_t)llround(seconds * (double)NS_PER_SECOND);
}

/* One option, its value on the stack top. `what` leads messages: "ctx:buy: price". */
static void read_option(lua_State *L, const struct script *script, struct order_request *request,
                        int option, const char *what)
{
    static const char *const sides[] = { "buy", "sell", NULL };
    static const char *const types[] = {
        "market", "limit", "stop", "stop_limit", "trailing", NULL
    };
    static const char *const tifs[] = { "gtc", "day", "ioc", "fok", "gtd", NULL };
    static const char *const triggers[] = { "last", "mark", "quote", NULL };
    switch (option) {
    case OPTION_SYMBOL:
        request->instrument = check_symbol(L, script, -1, what);
        break;
    case OPTION_SIDE:
        request->side = check_word(L, -1, sides, what) == 0 ? SIDE_BUY : SIDE_SELL;
        break;
    case OPTION_TYPE:
        request->type = (enum order_type)check_word(L, -1, types, what);
        break;
    case OPTION_QTY:
        request->qty = check_decimal(L, -1, what);
        break;
    case OPTION_NOTIONAL:
        request->notional = check_decimal(L, -1, what);
        break;
    case OPTION_PRICE:
        request->price = check_decimal(L, -1, what);
        break;
    case OPTION_TIF:
        request->tif = (enum order_tif)check_word(L, -1, tifs, what);
        break;
    case OPTION_POST_ONLY:
        request->post_only = check_flag(L, -1, what);
        break;
    case OPTION_REDUCE_ONLY:
        request->reduce_only = check_flag(L, -1, what);
        break;
    case OPTION_STOP:
        request->stop = check_decimal(L, -1, what);
        break;
    case OPTION_TAKE:
        request->take = check_decimal(L, -1, what);
        break;
    case OPTION_STOP_ON:
        request->stop_on = (enum order_trigger)check_word(L, -1, triggers, what);
        break;
    case OPTION_TAG:
        text_copy(request->tag, sizeof(request->tag), check_name(L, -1, TAG_MAX - 1, what));
        break;
    case OPTION_TRIGGER_PRICE:
        request->trigger_price = check_decimal(L, -1, what);
        break;
    case OPTION_TRAIL:
        check_trail(L, request, what);
        break;
    default:
        request->expires_ns = check_expires(L, what);
    }
}

/* Names this call does not take: the nearest it does. */
static NORETURN void raise_option(lua_State *L, const char *call, unsigned allowed)
{
    const char *known[ARRAY_SIZE(order_options)] = { NULL };
    size_t count = 0;
    char owner[48];
    snprintf(owner, sizeof(owner), "the options of %s", call);
    if (lua_type(L, -2) != LUA_TSTRING)
        luaL_error(L, "%s have names; found [%s]", owner, luaL_typename(L, -2));
    for (int i = 0; order_options[i]; i++)
        if (allowed & BIT(i))
            known[count++] = order_options[i];
    const char *name = lua_tostring(L, -2), *nearest = text_nearest(name, known);
    luaL_error(L, nearest ? "%s have no '%s'; did you mean '%s'?" : "%s have no '%s'", owner, name,
               nearest);
    abort(); /* luaL_error does not return */
}

/* The options table at index (nil: none). Of several unknown names any may be told. */
static struct asked check_options(lua_State *L, const struct script *script, int index,
                                  unsigned allowed, const char *call)
{
    struct asked asked = { .given = 0 };
    order_request_init(&asked.request);
    asked.request.instrument = script->symbols[0];
    if (lua_isnoneornil(L, index))
        return asked;
    if (!lua_istable(L, index))
        luaL_error(L, "%s: options must be a table, not %s", call, luaL_typename(L, index));

    push_plain(L, index);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        int option = names_find(L, &script->names[NAMES_OPTIONS], -2);
        if (option < 0 || !(allowed & BIT(option)))
            raise_option(L, call, allowed);
        char what[64];
        snprintf(what, sizeof(what), "%s: %s", call, order_options[option]);
        read_option(L, script, &asked.request, option, what);
        asked.given |= BIT(option);
    }
    lua_pop(L, 1);
    return asked;
}

static bool is_given(const struct asked *asked, int option)
{
    return asked->given & BIT(option);
}

/* Each type has the prices that it needs and no others. */
static void check_prices(lua_State *L, const struct asked *asked, const char *call)
{
    enum order_type type = asked->request.type;
    bool limits = type == ORDER_LIMIT || type == ORDER_STOP_LIMIT;
    bool stops = type == ORDER_STOP || type == ORDER_STOP_LIMIT;
    const char *name = order_type_name(type);
    if (limits && !is_given(asked, OPTION_PRICE))
        luaL_error(L, "%s: a %s order needs a price", call, name);
    if (stops && !is_given(asked, OPTION_TRIGGER_PRICE))
        luaL_error(L, "%s: a %s order needs a trigger_price", call, name);
    if (type == ORDER_TRAILING && !is_given(asked, OPTION_TRAIL))
        luaL_error(L, "%s: a trailing stop needs a trail", call);
    if (type == ORDER_MARKET && is_given(asked, OPTION_PRICE))
        luaL_error(L, "%s: a price makes a limit order; add type = \"limit\"", call);
    if (type == ORDER_STOP && is_given(asked, OPTION_PRICE))
        luaL_error(L, "%s: a stop has no limit price; type = \"stop_limit\" has one", call);
    if (type == ORDER_TRAILING && is_given(asked, OPTION_PRICE))
        luaL_error(L, "%s: a trailing stop has no limit price", call);
    if (type != ORDER_TRAILING && is_given(asked, OPTION_TRAIL))
        luaL_error(L, "%s: a trail makes a trailing stop; add type = \"trailing\"", call);
    if (type < ORDER_STOP && is_given(asked, OPTION_TRIGGER_PRICE))
        luaL_error(L, "%s: a trigger_price makes a stop; add type = \"stop\"", call);
}

/* What options mean together; mistakes of the script, so they raise. */
static void check_together(lua_State *L, const struct asked *asked, const char *call)
{
    const struct order_request *request = &asked->request;
    bool protects = is_given(asked, OPTION_STOP) || is_given(asked, OPTION_TAKE);
    check_prices(L, asked, call);
    if (request->post_only && request->type != ORDER_LIMIT)
        luaL_error(L, "%s: post_only is for limit orders; add type = \"limit\" and a price", call);
    if (request->post_only && (request->tif == TIF_IOC || request->tif == TIF_FOK))
        luaL_error(L, "%s: post_only and tif = \"%s\" exclude each other", call,
                   order_tif_name(request->tif));
    if (request->tif == TIF_GTD && !is_given(asked, OPTION_EXPIRES))
        luaL_error(L, "%s: tif = \"gtd\" needs expires", call);
    if (request->tif != TIF_GTD && is_given(asked, OPTION_EXPIRES))
        luaL_error(L, "%s: expires goes with tif = \"gtd\"", call);
    if (request->reduce_only && protects)
        luaL_error(L, "%s: stop and take protect an entry; this order is reduce_only", call);
    if (is_given(asked, OPTION_STOP_ON) && !protects && request->type < ORDER_STOP)
        luaL_error(L, "%s: stop_on says what a stop or take watches; there is neither", call);
}

/* Exactly one of qty and notional, neither below zero. */
static void check_amount(lua_State *L, const struct asked *asked, const char *call)
{
    const struct order_request *request = &asked->request;
    bool has_qty = decimal_valid(request->qty), has_notional = decimal_valid(request->notional);
    if (has_qty && has_notional)
        luaL_error(L, "%s: give qty or notional, not both", call);
    if (!has_qty && !has_notional)
        luaL_error(L, "%s: qty is missing (a number, or notional = amount in the options)", call);
    decimal amount = has_qty ? request->qty : request->notional;
    if (decimal_sign(amount) < 0)
        luaL_error(L, "%s: %s is negative; the side says the direction", call,
                   has_qty ? "qty" : "notional");
}

/* ---- asking the engine ---- */

/* The script of an order call: raises in on_start. */
static struct script *check_desk(lua_State *L, const char *call)
{
    struct script *script = check_ctx(L, call);
    if (script->in_start)
        luaL_error(L,
                   "%s: orders cannot be placed in on_start; place them in on_bar, on_tick or "
                   "on_timer",
                   call);
    return script;
}

static int push_result(lua_State *L, struct script *script, uint64_t order_id,
                       const struct refusal *refusal)
{
    if (order_id == 0)
        return push_refusal(L, refusal);
    push_order(L, script, order_id);
    return 1;
}

static int submit(lua_State *L, struct script *script, const struct asked *asked, const char *call)
{
    check_together(L, asked, call);
    check_amount(L, asked, call);
    struct refusal refusal = { 0 };
    uint64_t id = engine_submit(script->engine, script->instance, &asked->request, &refusal);
    return push_result(L, script, id, &refusal);
}

static int enter(lua_State *L, enum order_side side, const char *call)
{
    struct script *script = check_desk(L, call);
    struct asked asked = check_options(L, script, 3, BUY, call);
    asked.request.side = side;
    if (!lua_isnoneornil(L, 2)) {
        char what[32];
        snprintf(what, sizeof(what), "%s: qty", call);
        asked.request.qty = check_decimal(L, 2, what);
    }
    return submit(L, script, &asked, call);
}

/* ctx:buy(qty [, options]); qty nil where options.notional stands
 *
 *   -> order handle              accepted by risk; durable, then sent, when the turn commits
 *   -> nil, reason, code         zero_qty, no_quote, min_notional, buying_power, a limit, ...
 *   raises                       wrong type, unknown option, NaN; in on_start
 *
 * options: symbol, type ("market", "limit", "stop", "stop_limit", "trailing"), price,
 * trigger_price, trail (an amount, or "1.5%"), tif ("gtc", "day", "ioc", "fok", "gtd"), expires
 * (UTC seconds or ISO text), post_only, reduce_only, notional, stop, take, stop_on ("last", "mark",
 * "quote"), tag. Numbers are rounded to tick and lot by the engine, once. */
static int order_buy(lua_State *L)
{
    return enter(L, SIDE_BUY, "ctx:buy");
}

/* ctx:sell(qty [, options]): as ctx:buy. */
static int order_sell(lua_State *L)
{
    return enter(L, SIDE_SELL, "ctx:sell");
}

/* A whole order in the table at index. */
static struct asked check_submit(lua_State *L, const struct script *script, int index,
                                 const char *call)
{
    struct asked asked = check_options(L, script, index, SUBMIT, call);
    if (!is_given(&asked, OPTION_SIDE))
        luaL_error(L, "%s: side is missing: \"buy\" or \"sell\"", call);
    return asked;
}

/* ctx:submit{ side =, qty =, ... }: as ctx:buy, all in one table
 *
 *   -> order handle, or nil, reason, code
 *   raises as ctx:buy, and without a side */
static int order_submit(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:submit");
    if (!lua_istable(L, 2))
        return luaL_error(L, "ctx:submit: a table is wanted, such as { side = \"buy\", qty = 1 }");
    struct asked asked = check_submit(L, script, 2, "ctx:submit");
    return submit(L, script, &asked, "ctx:submit");
}

/* The tables of the two orders, pushed. */
static void push_legs(lua_State *L)
{
    static const char wanted[] = "ctx:oco: a list of two orders is wanted, such as "
                                 "{ { side = \"sell\", ... }, { side = \"sell\", ... } }";
    int count = 0;
    if (!lua_istable(L, 2))
        luaL_error(L, "%s", wanted);
    push_plain(L, 2);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        count++;
    for (int i = 1; i <= 2; i++)
        if (lua_rawgeti(L, -i, i) != LUA_TTABLE || count != 2)
            luaL_error(L, "%s", wanted);
}

/* ctx:oco{ a, b }: two orders as for ctx:submit; a fill of one cancels the other, a part of it
 * reduces the other
 *
 *   -> two order handles
 *   -> nil, reason, code         one was refused, so neither was placed
 *   raises as ctx:submit, naming the order */
static int order_oco(lua_State *L)
{
    static const char *const calls[] = { "ctx:oco: order 1", "ctx:oco: order 2" };
    struct script *script = check_desk(L, "ctx:oco");
    struct order_request requests[2];
    push_legs(L);
    int first = lua_gettop(L) - 1;
    for (int i = 0; i < 2; i++) {
        struct asked asked = check_submit(L, script, first + i, calls[i]);
        check_together(L, &asked, calls[i]);
        check_amount(L, &asked, calls[i]);
        requests[i] = asked.request;
    }
    struct refusal refusal = { 0 };
    uint64_t ids[2];
    if (!engine_oco(script->engine, script->instance, requests, ids, &refusal))
        return push_refusal(L, &refusal);
    push_order(L, script, ids[0]);
    push_order(L, script, ids[1]);
    return 2;
}

/* ctx:target(qty [, options]): one order for what is missing to a signed position
 *
 *   -> order handle; nil alone when there is nothing to do; nil, reason, code when refused
 *   raises as ctx:buy; reduce_only and notional are no options here */
static int order_target(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:target");
    struct asked asked = check_options(L, script, 3, ENTRY, "ctx:target");
    decimal qty = check_decimal(L, 2, "ctx:target: qty");
    check_together(L, &asked, "ctx:target");
    struct refusal refusal = { 0 };
    uint64_t id = engine_target(script->engine, script->instance, asked.request.instrument, qty,
                                &asked.request, &refusal);
    return push_result(L, script, id, &refusal);
}

/* ctx:target_weight(fraction [, options]): ctx:target at fraction * equity / price, a share of the
 * instance's equity at the mark; 1 is fully long, -0.5 half short
 *
 *   -> as ctx:target; nil, reason, "no_quote" before the first price */
static int order_target_weight(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:target_weight");
    struct asked asked = check_options(L, script, 3, ENTRY, "ctx:target_weight");
    decimal fraction = check_decimal(L, 2, "ctx:target_weight: fraction");
    check_together(L, &asked, "ctx:target_weight");

    uint32_t instrument = asked.request.instrument;
    decimal mark = market_mark(script->market, instrument);
    if (!decimal_valid(mark) || decimal_sign(mark) <= 0)
        return push_failure(L, "no_quote", "no price yet to turn a weight into a quantity");
    decimal equity = engine_equity(script->engine, script->instance);
    decimal unit = decimal_mul(mark, script->instruments->list[instrument].multiplier);
    decimal qty = decimal_div(decimal_mul(fraction, equity), unit, 18, ROUND_DOWN);
    if (!decimal_valid(qty))
        return push_failure(L, "range", "the target does not fit a decimal");

    struct refusal refusal = { 0 };
    uint64_t id =
        engine_target(script->engine, script->instance, instrument, qty, &asked.request, &refusal);
    return push_result(L, script, id, &refusal);
}

/* ctx:close([options]): ends the position exactly
 *
 *   -> order handle; nil alone when flat; nil, reason, code when refused
 *   options: symbol, type, price, trigger_price, trail, stop_on, tif, expires, post_only, tag */
static int order_close(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:close");
    struct asked asked = check_options(L, script, 2, CLOSE, "ctx:close");
    check_together(L, &asked, "ctx:close");
    struct refusal refusal = { 0 };
    uint64_t id = engine_close_position(script->engine, script->instance, asked.request.instrument,
                                        &asked.request, &refusal);
    return push_result(L, script, id, &refusal);
}

/* ctx:close_all(): ctx:close of every symbol
 *
 *   -> list of order handles, and reason, code of the first refusal where there was one */
static int order_close_all(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:close_all");
    struct refusal first = { 0 };
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < script->symbol_count; i++) {
        struct refusal refusal = { 0 };
        struct order_request request;
        order_request_init(&request);
        request.instrument = script->symbols[i];
        uint64_t id = engine_close_position(script->engine, script->instance, request.instrument,
                                            &request, &refusal);
        if (id != 0) {
            push_order(L, script, id);
            lua_rawseti(L, -2, ++count);
        } else if (refusal.code[0] && !first.code[0]) {
            first = refusal;
        }
    }
    if (!first.code[0])
        return 1;
    lua_pushstring(L, first.reason);
    lua_pushstring(L, first.code);
    return 3;
}

/* ctx:cancel(order or id)
 *
 *   -> order handle              asked for; the end comes with on_order
 *   -> nil, reason, code         "done" already, "no_order" not this instance's */
static int order_cancel(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:cancel");
    uint64_t id = check_order(L, 2, "ctx:cancel");
    struct refusal refusal = { 0 };
    bool asked = engine_cancel(script->engine, script->instance, id, &refusal);
    return push_result(L, script, asked ? id : 0, &refusal);
}

/* ctx:cancel_all([symbol]) -> how many were asked for; exits of protected entries stay */
static int order_cancel_all(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:cancel_all");
    uint32_t instrument =
        lua_isnoneornil(L, 2) ? INSTRUMENT_NONE : check_symbol(L, script, 2, "ctx:cancel_all");
    lua_pushinteger(L, engine_cancel_all(script->engine, script->instance, instrument));
    return 1;
}

/* ctx:amend(order or id, { price =, qty = }): new terms of a resting order
 *
 *   -> order handle, or nil, reason, code */
static int order_amend(lua_State *L)
{
    struct script *script = check_desk(L, "ctx:amend");
    uint64_t id = check_order(L, 2, "ctx:amend");
    unsigned allowed = BIT(OPTION_PRICE) | BIT(OPTION_QTY);
    struct asked asked = check_options(L, script, 3, allowed, "ctx:amend");
    if (asked.given == 0)
        return luaL_error(L, "ctx:amend: nothing to change; give price or qty");
    struct refusal refusal = { 0 };
    bool taken = engine_amend(script->engine, script->instance, id, asked.request.qty,
                              asked.request.price, &refusal);
    return push_result(L, script, taken ? id : 0, &refusal);
}

/* ctx:size(risk_percent, stop_distance [, symbol]): the quantity that loses risk_percent of equity
 * over stop_distance
 *
 *   -> number                    a lot multiple, capped by buying power and limits
 *   -> 0, reason, code           distance not above 0 or not finite, or below the minimum order
 *   raises                       when an argument is no number, or risk_percent is not above 0 */
static int order_size(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:size");
    double risk = check_finite(L, 2, "ctx:size: risk_percent");
    if (risk <= 0)
        return luaL_error(L, "ctx:size: risk_percent must be above 0");
    if (lua_type(L, 3) != LUA_TNUMBER)
        return luaL_error(L, "ctx:size: stop_distance must be a number, not %s",
                          luaL_typename(L, 3));
    uint32_t instrument = check_symbol(L, script, 4, "ctx:size");
    struct refusal refusal = { 0 };
    decimal qty = engine_size(script->engine, script->instance, instrument, risk,
                              lua_tonumber(L, 3), &refusal);
    push_decimal(L, qty);
    if (!refusal.code[0])
        return 1;
    lua_pushstring(L, refusal.reason);
    lua_pushstring(L, refusal.code);
    return 3;
}

/* ---- looking ---- */

/* ctx:order(id) -> order handle; nil when it is not this instance's, or finished long ago */
static int order_by_id(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:order");
    uint64_t id = check_order(L, 2, "ctx:order");
    const struct order *order = engine_order(script->engine, id);
    if (order && order->instance_id == script->instance_id)
        push_order(L, script, id);
    else
        lua_pushnil(L);
    return 1;
}

/* Which orders ctx:orders wants; the ids go into memory that Lua owns. */
struct filter {
    uint32_t instrument; /* or INSTRUMENT_NONE */
    int side;            /* 0: both */
    int status;          /* enum order_status, or one of the two below */
    const char *tag;     /* NULL: any */
    uint64_t *ids;       /* NULL: only count */
    size_t count;
};
enum { STATUS_OPEN = -1, STATUS_ALL = -2 };

static bool take_order(void *self, const struct order *order)
{
    struct filter *filter = self;
    bool wanted =
        (filter->instrument == INSTRUMENT_NONE || filter->instrument == order->instrument) &&
        (filter->side == 0 || filter->side == (int)order->side) &&
        (filter->status < 0 || filter->status == (int)order_status(order)) &&
        (!filter->tag || strcmp(filter->tag, order->tag) == 0);
    if (wanted && filter->ids)
        filter->ids[filter->count] = order->order_id;
    filter->count += wanted;
    return true;
}

static struct filter check_filter(lua_State *L, const struct script *script, int index)
{
    static const char *const known[] = { "status", "symbol", "side", "tag", NULL };
    static const char *const sides[] = { "buy", "sell", NULL };
    static const char *const statuses[] = { "pending_new",
                                            "new",
                                            "partially_filled",
                                            "filled",
                                            "canceled",
                                            "rejected",
                                            "expired",
                                            "pending_cancel",
                                            "pending_replace",
                                            "unknown",
                                            "open",
                                            "all",
                                            NULL };
    struct filter filter = { .instrument = INSTRUMENT_NONE, .status = STATUS_OPEN };
    if (lua_isnoneornil(L, index))
        return filter;
    if (!lua_istable(L, index))
        luaL_error(L, "ctx:orders: the filter must be a table, not %s", luaL_typename(L, index));
    push_plain(L, index);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(name, "symbol") == 0) {
            filter.instrument = check_symbol(L, script, -1, "ctx:orders");
        } else if (strcmp(name, "side") == 0) {
            filter.side = check_word(L, -1, sides, "ctx:orders: side") == 0 ? SIDE_BUY : SIDE_SELL;
        } else if (strcmp(name, "tag") == 0) {
            filter.tag = check_name(L, -1, TAG_MAX - 1, "ctx:orders: tag"); /* the table keeps it */
        } else if (strcmp(name, "status") == 0) {
            int status = check_word(L, -1, statuses, "ctx:orders: status");
            filter.status = status <= ORDER_UNKNOWN       ? status
                            : status == ORDER_UNKNOWN + 1 ? STATUS_OPEN
                                                          : STATUS_ALL;
        } else {
            raise_unknown(L, "the filter of ctx:orders", name, known);
        }
    }
    lua_pop(L, 1);
    return filter;
}

/* ctx:orders([{ status =, symbol =, side =, tag = }]) -> list of order handles, oldest first
 *
 * Without a status the open ones; status = "all" adds those finished lately. */
static int order_list(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:orders");
    struct filter filter = check_filter(L, script, 2);
    bool all = filter.status != STATUS_OPEN;
    engine_each_order(script->engine, script->instance, all, take_order, &filter);

    /* Nothing may raise inside the walk, so the ids are gathered before handles are made. */
    size_t count = filter.count;
    filter.ids = lua_newuserdatauv(L, count * sizeof(uint64_t) + 1, 0);
    filter.count = 0;
    engine_each_order(script->engine, script->instance, all, take_order, &filter);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        push_order(L, script, filter.ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

const luaL_Reg order_functions[] = { { "buy", order_buy },
                                     { "sell", order_sell },
                                     { "submit", order_submit },
                                     { "oco", order_oco },
                                     { "target", order_target },
                                     { "target_weight", order_target_weight },
                                     { "close", order_close },
                                     { "close_all", order_close_all },
                                     { "cancel", order_cancel },
                                     { "cancel_all", order_cancel_all },
                                     { "amend", order_amend },
                                     { "size", order_size },
                                     { "order", order_by_id },
                                     { "orders", order_list },
                                     { NULL, NULL } };

static const luaL_Reg order_metamethods[] = { { "__index", order_index },
                                              { "__newindex", raise_read_only },
                                              { "__tostring", order_tostring },
                                              { NULL, NULL } };

void orders_open(lua_State *L, struct script *script)
{
    names_open(L, &script->names[NAMES_ORDER], order_fields);
    names_open(L, &script->names[NAMES_OPTIONS], order_options);
    push_metatable(L, ORDER, order_metamethods, script);
    lua_pop(L, 1);

    lua_newtable(L); /* handles by id; a forgotten one is collected */
    lua_newtable(L);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    script->handles_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
