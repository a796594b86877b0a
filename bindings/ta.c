/* ta.c - the global `ta`: indicators that a script feeds by itself.
 *
 *   local e = ta.ema(12)
 *   local value = e:update(price)   -- nil until it is ready
 *
 * They are C memory outside the sandbox's cap and no finalizer ever runs, so their number and size
 * are bounded: make them once. */
#include "bindings/script.h"

#include <stdio.h>
#include <string.h>

#define TA_VALUES_MAX 1000000 /* sum of the periods of one script's indicators */

static const char INDICATOR[] = "indicator";

struct own {
    struct indicator *indicator;
    const struct indicator_info *info;
};

/* Reads the params of an indicator from index on; `what` leads messages: "ta.ema". */
struct indicator_spec check_spec(lua_State *L, enum indicator_kind kind, int index,
                                 const char *what)
{
    const struct indicator_info *info = indicator_info(kind);
    struct indicator_spec spec = { .kind = kind };
    for (int i = 0; i < INDICATOR_PARAMS_MAX && info->params[i]; i++) {
        char name[80];
        snprintf(name, sizeof(name), "%s: %s", what, info->params[i]);
        if (lua_isnoneornil(L, index + i) && info->defaults[i] != 0)
            spec.params[i] = info->defaults[i];
        else
            spec.params[i] = check_finite(L, index + i, name);
    }
    return spec;
}

static int count_lines(const struct indicator_info *info)
{
    int count = 0;
    while (count < INDICATOR_LINES_MAX && info->lines[count])
        count++;
    return count;
}

static void push_line_value(lua_State *L, const struct own *own, int line)
{
    push_double(L, indicator_line(own->indicator, line));
}

static struct own *check_own(lua_State *L)
{
    struct own *own = luaL_testudata(L, 1, INDICATOR);
    if (!own)
        luaL_error(L, "call it with a colon: e:update(price)");
    return own;
}

/* e:update(price), or e:update(high, low, close) for those that need bars
 *
 *   -> value, or one per line (bollinger: upper, middle, lower); nil before it is ready
 *   raises when an argument is no finite number */
static int own_update(lua_State *L)
{
    struct own *own = check_own(L);
    struct bar_values values;
    if (own->info->needs_bars) {
        values.high = check_finite(L, 2, "update: high");
        values.low = check_finite(L, 3, "update: low");
        values.open = values.close = check_finite(L, 4, "update: close");
    } else {
        values.open = values.high = values.low = values.close =
            check_finite(L, 2, "update: the value");
    }
    values.volume = 0;
    indicator_update(own->indicator, &values);
    int lines = count_lines(own->info);
    for (int line = 0; line < lines; line++)
        push_line_value(L, own, line);
    return lines;
}

/* e.value (one line) or e.upper, e.middle, e.lower: the newest, nil before it is ready; e.ready */
static int own_index(lua_State *L)
{
    const struct own *own = lua_touserdata(L, 1);
    const char *known[INDICATOR_LINES_MAX + 3] = { "update", "ready" };
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    if (strcmp(name, "update") == 0) {
        lua_pushvalue(L, lua_upvalueindex(2));
        return 1;
    }
    if (strcmp(name, "ready") == 0) {
        lua_pushboolean(L, indicator_ready(own->indicator));
        return 1;
    }
    for (int line = 0; line < count_lines(own->info); line++) {
        known[2 + line] = own->info->lines[line];
        if (strcmp(name, own->info->lines[line]) == 0) {
            push_line_value(L, own, line);
            return 1;
        }
    }
    raise_unknown(L, own->info->name, name, known);
}

static void push_own_metatable(lua_State *L)
{
    if (!luaL_newmetatable(L, INDICATOR))
        return;
    lua_pushlightuserdata(L, NULL);
    lua_pushcfunction(L, own_update);
    lua_pushcclosure(L, own_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, raise_read_only);
    lua_setfield(L, -2, "__newindex");
    sandbox_seal_metatable(L);
}

/* ta.NAME(params...): sma(n), ema(n), rsi(n), atr(n), bollinger(n, k), highest(n), lowest(n)
 *
 *   -> an indicator that e:update feeds
 *   raises when a param is not allowed, or when there are too many indicators */
static int ta_new(lua_State *L)
{
    struct ta *ta = lua_touserdata(L, lua_upvalueindex(1));
    enum indicator_kind kind = (enum indicator_kind)lua_tointeger(L, lua_upvalueindex(2));
    const struct indicator_info *info = indicator_info(kind);
    char what[32];
    snprintf(what, sizeof(what), "ta.%s", info->name);
    struct indicator_spec spec = check_spec(L, kind, 1, what);
    if (ta->count == TA_MAX || ta->values + spec.params[0] > TA_VALUES_MAX)
        return luaL_error(L,
                          "%s: too many stand-alone indicators; make them once, at the top of "
                          "the file or in on_start",
                          what);

    struct own *own = lua_newuserdatauv(L, sizeof(*own), 0);
    push_own_metatable(L);
    struct error err = { 0 };
    if (indicator_open(&spec, &own->indicator, &err) < 0)
        return luaL_error(L, "ta.%s", err.message);
    own->info = info;
    ta->list[ta->count++] = own->indicator;
    ta->values += spec.params[0];
    lua_setmetatable(L, -2);
    return 1;
}

void ta_open(lua_State *L, struct ta *ta)
{
    lua_newtable(L);
    for (int kind = 0; kind < INDICATOR_KINDS; kind++) {
        lua_pushlightuserdata(L, ta);
        lua_pushinteger(L, kind);
        lua_pushcclosure(L, ta_new, 2);
        lua_setfield(L, -2, indicator_info((enum indicator_kind)kind)->name);
    }
    sandbox_read_only(L, "ta");
}

void ta_release(struct ta *ta)
{
    while (ta->count > 0)
        indicator_close(ta->list[--ta->count]);
    ta->values = 0;
}
