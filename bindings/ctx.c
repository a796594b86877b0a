/* ctx.c - ctx: what a strategy reads, and what it says to people. Orders are in orders.c.
 *
 * ctx is one userdata whose __index is a plain table, so a method is found without entering C. Each
 * function is a closure over the script. */
#include "bindings/script.h"

#include <stdio.h>
#include <string.h>

#define LOG_PER_SECOND 100 /* of market time */
#define LOG_BURST 1000
#define ALERTS_PER_SECOND 1
#define ALERTS_BURST 10
#define TIMER_NAME_MAX 47
#define PLOT_NAME_MAX 64
#define ALERT_MAX 500

struct script *check_ctx(lua_State *L, const char *call)
{
    struct script *script = upvalue_script(L);
    if (lua_touserdata(L, 1) != script->ctx)
        luaL_error(L, "call it with a colon: %s(...)", call);
    return script;
}

/* ---- time and market ---- */

/* ctx:now() -> market time, UTC seconds, float */
static int ctx_now(lua_State *L)
{
    push_time(L, engine_now(check_ctx(L, "ctx:now")->engine));
    return 1;
}

/* ctx:now_ns() -> market time, UTC nanoseconds, integer */
static int ctx_now_ns(lua_State *L)
{
    lua_pushinteger(L, engine_now(check_ctx(L, "ctx:now_ns")->engine));
    return 1;
}

/* ctx:quote([symbol]) -> a live view of the newest quote; nil before the first */
static int ctx_quote(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:quote");
    uint32_t instrument = check_symbol(L, script, 2, "ctx:quote");
    if (market_quote_now(script->market, instrument))
        push_quote(L, script, instrument);
    else
        lua_pushnil(L);
    return 1;
}

/* ctx:last([symbol]) -> price of the last trade (or closed bar, where the data is bars); nil before
 * the first */
static int ctx_last(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:last");
    uint32_t instrument = check_symbol(L, script, 2, "ctx:last");
    const struct market_last *last = market_last(script->market, instrument);
    if (last->price)
        lua_pushnumber(L, instrument_price(&script->instruments->list[instrument], last->price));
    else
        lua_pushnil(L);
    return 1;
}

/* ctx:book([symbol]) -> nil: this version keeps no order book */
static int ctx_book(lua_State *L)
{
    check_symbol(L, check_ctx(L, "ctx:book"), 2, "ctx:book");
    lua_pushnil(L);
    return 1;
}

static void set_number(lua_State *L, const char *name, decimal value)
{
    push_decimal(L, value);
    lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void push_instrument(lua_State *L, const struct instrument *instrument)
{
    lua_createtable(L, 0, 9);
    set_string(L, "symbol", instrument->symbol);
    set_string(L, "venue", instrument->venue);
    set_string(L, "currency", instrument->currency);
    set_number(L, "tick_size", instrument->tick_size);
    set_number(L, "lot_size", instrument->lot_size);
    set_number(L, "min_notional", instrument->min_notional);
    set_number(L, "multiplier", instrument->multiplier);
    set_number(L, "leverage", instrument->leverage);
    lua_pushboolean(L, instrument->short_allowed);
    lua_setfield(L, -2, "short_allowed");
    make_strict(L, "instrument");
}

/* ctx:instrument([symbol]) -> table: symbol, venue, currency, tick_size, lot_size, min_notional,
 * multiplier, leverage, short_allowed; made once */
static int ctx_instrument(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:instrument");
    uint32_t instrument = check_symbol(L, script, 2, "ctx:instrument");
    lua_Integer place = (lua_Integer)symbol_place(script, instrument) + 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->instruments_ref);
    if (lua_rawgeti(L, -1, place) == LUA_TNIL) {
        lua_pop(L, 1);
        push_instrument(L, &script->instruments->list[instrument]);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, place);
    }
    return 1;
}

/* "'kite', 'alpaca'": each venue of this instance's instruments once, as many as fit; pushed. */
static const char *push_venues(lua_State *L, const struct script *script)
{
    char list[400] = "";
    for (size_t i = 0; i < script->symbol_count; i++) {
        char quoted[VENUE_MAX + 3];
        size_t length = strlen(list);
        snprintf(quoted, sizeof(quoted), "'%s'",
                 script->instruments->list[script->symbols[i]].venue);
        if (!strstr(list, quoted) && length + sizeof(quoted) + 2 < sizeof(list))
            snprintf(list + length, sizeof(list) - length, "%s%s", length ? ", " : "", quoted);
    }
    return lua_pushstring(L, list);
}

/* One of this instance's instruments at the venue that argument 2 names; raises where there is
 * none, and says which venues there are. None or nil is the venue of ctx.symbol. */
static uint32_t check_venue(lua_State *L, const struct script *script)
{
    if (lua_isnoneornil(L, 2))
        return script->symbols[0];
    const char *name = check_name(L, 2, VENUE_MAX - 1, "ctx:session: venue");
    for (size_t i = 0; i < script->symbol_count; i++)
        if (strcmp(script->instruments->list[script->symbols[i]].venue, name) == 0)
            return script->symbols[i];
    luaL_error(L, "ctx:session: '%s' is not a venue of this strategy's symbols; those are %s", name,
               push_venues(L, script));
    return INSTRUMENT_NONE;
}

static void set_instant(lua_State *L, const char *name, int64_t time_ns)
{
    if (time_ns == TIME_NEVER)
        return;
    push_time(L, time_ns);
    lua_setfield(L, -2, name);
}

/* ctx:session([venue]) -> table: state "open" or "closed", opens, closes (the next instants, nil
 * for none within two years), day_end; seconds. Venue absent: that of ctx.symbol.
 *
 *   raises when none of this strategy's symbols is of the venue */
static int ctx_session(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:session");
    struct venue_session session;
    engine_venue_session(script->engine, script->instance, check_venue(L, script), &session);
    lua_createtable(L, 0, 4);
    set_string(L, "state", session.is_open ? "open" : "closed");
    set_instant(L, "opens", session.opens_ns);
    set_instant(L, "closes", session.closes_ns);
    set_instant(L, "day_end", session.day_end_ns);
    return 1;
}

/* ctx:signal(name) -> nil: this version has no signals */
static int ctx_signal(lua_State *L)
{
    check_ctx(L, "ctx:signal");
    check_name(L, 2, 64, "ctx:signal: name");
    lua_pushnil(L);
    return 1;
}

/* ---- money ---- */

/* ctx:position([symbol]) -> a live view of this instance's own book: qty (signed), avg_price,
 * unrealized_pnl, realized_pnl, value, fees, funding; the same object each time */
static int ctx_position(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:position");
    push_position(L, script, check_symbol(L, script, 2, "ctx:position"));
    return 1;
}

/* ctx:positions() -> list of the views whose qty is not 0, symbols in listed order */
static int ctx_positions(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:positions");
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < script->symbol_count; i++) {
        const struct position *position =
            engine_position(script->engine, script->instance, script->symbols[i]);
        if (decimal_is_zero(position->qty))
            continue;
        push_position(L, script, script->symbols[i]);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* ctx:equity() -> capital, plus this instance's profit and loss, less fees, plus funding */
static int ctx_equity(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:equity");
    push_decimal(L, engine_equity(script->engine, script->instance));
    return 1;
}

/* ctx:cash() -> capital, plus what is realized, less fees, plus funding */
static int ctx_cash(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:cash");
    push_decimal(L, engine_cash(script->engine, script->instance));
    return 1;
}

/* ctx:capital() -> this instance's share of the capital */
static int ctx_capital(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:capital");
    push_decimal(L, engine_capital(script->engine, script->instance));
    return 1;
}

static void push_limits(lua_State *L, const struct risk_limits *limits)
{
    lua_newtable(L);
    for (enum limit i = 0; i < LIMITS; i++)
        if (limit_is_set(limits, i))
            set_number(L, limit_info(i)->name, limits->value[i]);
}

/* ctx:risk() -> table: equity, cash, capital, exposure (money in positions at the mark, both sides
 * added), open_positions, limits (those the strategy declared, by their configuration names) */
static int ctx_risk(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:risk");
    decimal exposure = DECIMAL_ZERO;
    lua_Integer open = 0;
    for (size_t i = 0; i < script->symbol_count; i++) {
        uint32_t index = script->symbols[i];
        const struct position *position = engine_position(script->engine, script->instance, index);
        decimal mark = market_mark(script->market, index);
        if (decimal_is_zero(position->qty))
            continue;
        open++;
        exposure = decimal_add(
            exposure, decimal_abs(position_value(position, mark,
                                                 script->instruments->list[index].multiplier)));
    }
    lua_createtable(L, 0, 6);
    set_number(L, "equity", engine_equity(script->engine, script->instance));
    set_number(L, "cash", engine_cash(script->engine, script->instance));
    set_number(L, "capital", engine_capital(script->engine, script->instance));
    set_number(L, "exposure", exposure);
    lua_pushinteger(L, open);
    lua_setfield(L, -2, "open_positions");
    push_limits(L, &script->info->limits);
    lua_setfield(L, -2, "limits");
    return 1;
}

/* ---- saying ---- */

static void write_log(struct script *script, enum log_level level, const char *text)
{
    LOG(script->log, level, "strategy", text, F_STR("strategy", script->info->name),
        F_STR("symbol", script->instruments->list[script->symbols[0]].symbol));
}

void script_log(struct script *script, enum log_level level, const char *text)
{
    uint64_t dropped = script->log_bucket.dropped;
    if (script->rehearsal ||
        !bucket_take(&script->log_bucket, engine_now(script->engine), LOG_PER_SECOND, LOG_BURST))
        return;
    if (dropped > 0) {
        char line[96];
        snprintf(line, sizeof(line),
                 "%" PRIu64 " lines dropped: more than %d a second of market time", dropped,
                 LOG_PER_SECOND);
        script->log_bucket.dropped = 0;
        write_log(script, LOG_WARN, line);
    }
    write_log(script, level, text);
}

/* ctx:log([level,] format, ...): level is "debug", "info" (default), "warn" or "error"; the rest as
 * string.format, or one value alone. At most 100 lines a second of market time, 1,000 at once; more
 * are counted and dropped. */
static int ctx_log(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:log");
    enum log_level level = LOG_INFO;
    int first = 2, count = lua_gettop(L) - 1;
    if (count < 1)
        return luaL_error(L, "ctx:log: a text is missing");
    if (count > 1 && lua_type(L, 2) == LUA_TSTRING && log_level_parse(lua_tostring(L, 2), &level)) {
        first = 3;
        count--;
    }
    luaL_checkstack(L, count + 2, "ctx:log");
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->format_ref);
    if (count == 1)
        lua_pushstring(L, "%s"); /* a lone text may hold a % */
    for (int i = 0; i < count; i++)
        lua_pushvalue(L, first + i);
    lua_call(L, count == 1 ? 2 : count, 1);
    script_log(script, level, lua_tostring(L, -1));
    return 0;
}

static int plot(lua_State *L, const char *call, bool metric)
{
    struct script *script = check_ctx(L, call);
    char what[32];
    snprintf(what, sizeof(what), "%s: name", call);
    const char *name = check_name(L, 2, PLOT_NAME_MAX, what);
    snprintf(what, sizeof(what), "%s: value", call);
    double value = check_finite(L, 3, what);
    if (script->plot && !script->rehearsal)
        script->plot(script->plot_self, script->instance, name, value, metric);
    return 0;
}

/* ctx:plot(name, value): a point of a line in reports and on the dashboard
 *
 *   raises when the value is no finite number */
static int ctx_plot(lua_State *L)
{
    return plot(L, "ctx:plot", false);
}

/* ctx:metric(name, value): sets a gauge; raises as ctx:plot */
static int ctx_metric(lua_State *L)
{
    return plot(L, "ctx:metric", true);
}

/* ctx:alert(text): tells a person; one a second of market time, ten at once, more are dropped */
static int ctx_alert(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:alert");
    const char *text = check_name(L, 2, ALERT_MAX, "ctx:alert: text");
    if (!script->rehearsal && bucket_take(&script->alert_bucket, engine_now(script->engine),
                                          ALERTS_PER_SECOND, ALERTS_BURST))
        engine_alert(script->engine, script->instance, text);
    return 0;
}

/* ctx:timer(name, seconds): on_timer(ctx, name) every so many seconds of market time; the same name
 * again changes it, ctx:timer(name, nil) ends it
 *
 *   -> true
 *   -> nil, reason, "too_many_timers"
 *   raises when seconds is not above 0 */
static int ctx_timer(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:timer");
    const char *name = check_name(L, 2, TIMER_NAME_MAX, "ctx:timer: name");
    double seconds = lua_isnoneornil(L, 3) ? 0 : check_finite(L, 3, "ctx:timer: seconds");
    if (!lua_isnoneornil(L, 3) && seconds <= 0)
        return luaL_error(L, "ctx:timer: seconds must be above 0; nil ends the timer");
    if (!script->rehearsal && !engine_timer(script->engine, script->instance, name, seconds))
        return push_failure(L, "too_many_timers", "there are too many timers");
    lua_pushboolean(L, true);
    return 1;
}

/* ctx:stop([reason]): this instance ends after the callback; its policy handles what is open */
static int ctx_stop(lua_State *L)
{
    struct script *script = check_ctx(L, "ctx:stop");
    const char *reason = lua_isnoneornil(L, 2)
                             ? "the strategy asked for it"
                             : check_name(L, 2, REASON_MAX - 1, "ctx:stop: reason");
    if (script->rehearsal) {
        script->stop_asked = true;
        text_copy(script->stop_reason, sizeof(script->stop_reason), reason);
    } else {
        engine_request_stop(script->engine, script->instance, reason);
    }
    return 0;
}

static int ctx_bars_method(lua_State *L)
{
    check_ctx(L, "ctx:bars");
    return ctx_bars(L);
}

/* ---- the table ---- */

const luaL_Reg ctx_functions[] = {
    { "now", ctx_now },
    { "now_ns", ctx_now_ns },
    { "bars", ctx_bars_method },
    { "quote", ctx_quote },
    { "last", ctx_last },
    { "book", ctx_book },
    { "instrument", ctx_instrument },
    { "position", ctx_position },
    { "positions", ctx_positions },
    { "equity", ctx_equity },
    { "cash", ctx_cash },
    { "capital", ctx_capital },
    { "risk", ctx_risk },
    { "session", ctx_session },
    { "signal", ctx_signal },
    { "timer", ctx_timer },
    { "log", ctx_log },
    { "plot", ctx_plot },
    { "metric", ctx_metric },
    { "alert", ctx_alert },
    { "stop", ctx_stop },
    { NULL, NULL },
};
const char *const ctx_fields[] = { "symbol", "symbols", "mode", "params", "state", NULL };

/* ctx.NAME for a name that is not there. */
static int ctx_unknown(lua_State *L)
{
    static const char *const later[] = { "when", "price_above", "price_below", "at",
                                         "position_is" };
    const char *known[128] = { NULL };
    size_t count = 0;
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "ctx has names, not [%s]", luaL_typename(L, 2));
    const char *name = lua_tostring(L, 2);
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (strcmp(later[i], name) == 0)
            return luaL_error(L, "ctx:%s is not in this version", name);
    for (const luaL_Reg *entry = ctx_functions; entry->name; entry++)
        known[count++] = entry->name;
    for (const luaL_Reg *entry = order_functions; entry->name; entry++)
        known[count++] = entry->name;
    for (const char *const *field = ctx_fields; *field; field++)
        known[count++] = *field;
    raise_unknown(L, "ctx", name, known);
}

static void push_symbols(lua_State *L, const struct script *script)
{
    lua_createtable(L, (int)script->symbol_count, 0);
    for (size_t i = 0; i < script->symbol_count; i++) {
        lua_pushstring(L, script->instruments->list[script->symbols[i]].symbol);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    sandbox_read_only(L, NULL);
}

/* The table behind ctx: methods and the fields that never change. */
static void push_names(lua_State *L, struct script *script)
{
    lua_createtable(L, 0, 48);
    add_functions(L, ctx_functions, script);
    add_functions(L, order_functions, script);
    set_string(L, "symbol", script->instruments->list[script->symbols[0]].symbol);
    set_string(L, "mode", script->mode);
    push_symbols(L, script);
    lua_setfield(L, -2, "symbols");
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->params_ref);
    lua_setfield(L, -2, "params");
    state_push(L, &script->state);
    lua_setfield(L, -2, "state");

    lua_newtable(L);
    lua_pushcfunction(L, ctx_unknown);
    lua_setfield(L, -2, "__index");
    sandbox_seal_metatable(L);
    lua_setmetatable(L, -2);
}

void ctx_open(lua_State *L, struct script *script)
{
    static const luaL_Reg metamethods[] = { { "__newindex", raise_read_only }, { NULL, NULL } };
    lua_newtable(L);
    script->instruments_ref = luaL_ref(L, LUA_REGISTRYINDEX);

    script->ctx = lua_newuserdatauv(L, 1, 0);
    push_metatable(L, "ctx", metamethods, script);
    push_names(L, script);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    script->ctx_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}
