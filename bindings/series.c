/* series.c - ctx:bars(tf) and the series drawn from bars.
 *
 * A series is a checked userdata over a line of values that the market keeps; the script holds one
 * reference on each of its bars and studies, given back when the guest is closed. The same line is
 * always the same userdata, so asking again is free. */
#include "bindings/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SERIES[] = "series";
static const char LINES[] = "lines";
static const char BARS[] = "bars";

/* One line: of a study, or of bars. */
struct line {
    struct script *script;
    const struct series *values;
    struct study *study; /* NULL: a line of the bars */
    int number;          /* of the study's lines, or enum bar_line */
    struct bars *bars;
};

/* A study of several lines. */
struct lines {
    struct script *script;
    struct study *study;
    struct bars *bars;
};

struct bars_view {
    struct script *script;
    struct bars *bars;
};

/* ---- making userdata ---- */

/* Pushes the userdata known for this C object; false, and nothing pushed, when there is none. */
static bool push_known(lua_State *L, const struct script *script, const void *object)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->series_ref);
    bool known = lua_rawgetp(L, -1, object) == LUA_TUSERDATA;
    lua_remove(L, -2);
    if (!known)
        lua_pop(L, 1);
    return known;
}

/* Gives the userdata on the top its metatable, and remembers it for the object. */
static void remember(lua_State *L, const struct script *script, const void *object,
                     const char *metatable)
{
    luaL_setmetatable(L, metatable);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->series_ref);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, object);
    lua_pop(L, 1);
}

static void push_line(lua_State *L, struct script *script, struct bars *bars, struct study *study,
                      int number)
{
    const struct series *values =
        study ? study_line(study, number) : bars_line(bars, (enum bar_line)number);
    if (push_known(L, script, values))
        return;
    struct line *line = lua_newuserdatauv(L, sizeof(*line), 0);
    *line = (struct line){
        .script = script, .values = values, .study = study, .number = number, .bars = bars
    };
    remember(L, script, values, SERIES);
}

/* A study of one line is that series; of several, an object with the lines as fields. */
static void push_study(lua_State *L, struct script *script, struct bars *bars, struct study *study)
{
    const struct indicator_info *info = indicator_info(study_spec(study)->kind);
    if (!info->lines[1]) {
        push_line(L, script, bars, study, 0);
        return;
    }
    if (push_known(L, script, study))
        return;
    struct lines *lines = lua_newuserdatauv(L, sizeof(*lines), 0);
    *lines = (struct lines){ .script = script, .study = study, .bars = bars };
    remember(L, script, study, LINES);
}

/* Keeps one reference on the study; a second one is given back. */
static void hold_study(struct script *script, struct study *study, uint32_t instrument)
{
    for (size_t i = 0; i < script->study_count; i++) {
        if (script->studies[i].study == study) {
            study_release(study);
            return;
        }
    }
    script->studies = memory_grow(script->studies, &script->study_capacity, script->study_count + 1,
                                  sizeof(script->studies[0]));
    script->studies[script->study_count++] =
        (struct held_study){ .study = study, .instrument = instrument };
}

/* ---- what can be asked of a series ---- */

/* The metatable of the value at index; NULL for none. */
static const void *class_of(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return NULL;
    const void *class = lua_topointer(L, -1);
    lua_pop(L, 1);
    return class;
}

static struct line *check_line(lua_State *L, int index, const char *what)
{
    const struct script *script = upvalue_script(L);
    const void *class = class_of(L, index);
    if (class == script->series_class && lua_isuserdata(L, index))
        return lua_touserdata(L, index);
    if (class == script->lines_class)
        luaL_error(L, "%s: this study has several lines; name one, such as .upper", what);
    luaL_error(L, "%s: a series is wanted, not %s (write x:%s(...) with a colon)", what,
               luaL_typename(L, index), what);
    return NULL;
}

static uint64_t check_count(lua_State *L, const char *what)
{
    lua_Integer n = 0;
    if (lua_type(L, 2) == LUA_TNUMBER)
        n = lua_tointeger(L, 2);
    if (n < 1 || n > SERIES_KEPT)
        luaL_error(L, "%s: n must be a whole number from 1 to %d", what, SERIES_KEPT);
    return (uint64_t)n;
}

/* The two newest values of the other side: a series, or a constant level. */
static int push_crossed(lua_State *L, bool above)
{
    const char *what = above ? "crossed_above" : "crossed_below";
    const struct series *x = check_line(L, 1, what)->values;
    bool crossed;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        double level = check_finite(L, 2, what), before = series_at(x, 2), now = series_at(x, 1);
        crossed = above ? before <= level && now > level : before >= level && now < level;
    } else {
        const struct series *y = check_line(L, 2, what)->values;
        crossed = above ? series_crossed_above(x, y) : series_crossed_below(x, y);
    }
    lua_pushboolean(L, crossed);
    return 1;
}

/* x:crossed_above(y) -> boolean: x was at or below y, and is above it at the newest value.
 * y is a series or a number; false while values are missing. */
static int series_crossed_above_of(lua_State *L)
{
    return push_crossed(L, true);
}

/* x:crossed_below(y) -> boolean: the mirror of crossed_above. */
static int series_crossed_below_of(lua_State *L)
{
    return push_crossed(L, false);
}

/* x:highest(n) -> number: of the newest n values; nil when there are fewer. */
static int series_highest_of(lua_State *L)
{
    const struct series *x = check_line(L, 1, "highest")->values;
    push_double(L, series_highest(x, check_count(L, "highest")));
    return 1;
}

/* x:lowest(n) -> number: of the newest n values; nil when there are fewer. */
static int series_lowest_of(lua_State *L)
{
    const struct series *x = check_line(L, 1, "lowest")->values;
    push_double(L, series_lowest(x, check_count(L, "lowest")));
    return 1;
}

/* x:change(n) -> number: x[1] - x[1 + n]; nil when there are fewer. */
static int series_change_of(lua_State *L)
{
    const struct series *x = check_line(L, 1, "change")->values;
    push_double(L, series_change(x, check_count(L, "change")));
    return 1;
}

/* x:zscore(n) -> number: how many population deviations x[1] is above the mean of the newest n; nil
 * when there are fewer, or where all are equal. */
static int series_zscore_of(lua_State *L)
{
    const struct series *x = check_line(L, 1, "zscore")->values;
    push_double(L, series_zscore(x, check_count(L, "zscore")));
    return 1;
}

static bool line_ready(const struct line *line)
{
    return line->study ? study_ready(line->study) : line->values->count > 0;
}

static int raise_index(lua_State *L)
{
    return luaL_error(L, "a series is read by x[1] (the newest) to x[%d]; not x[%s]", SERIES_KEPT,
                      lua_type(L, 2) == LUA_TNUMBER ? lua_tostring(L, 2) : luaL_typename(L, 2));
}

/* x[1] -> the newest closed value, x[2] the one before; nil where there is none yet.
 * x.ready -> boolean. Else a method, or raises naming the nearest. */
static int series_get(lua_State *L)
{
    const struct line *line = lua_touserdata(L, 1);
    if (lua_type(L, 2) == LUA_TNUMBER) {
        int whole;
        lua_Integer back = lua_tointegerx(L, 2, &whole);
        if (!whole || back < 1 || back > SERIES_KEPT)
            return raise_index(L);
        push_double(L, series_at(line->values, (uint64_t)back));
        return 1;
    }
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
        return 1;
    if (lua_type(L, 2) != LUA_TSTRING)
        return raise_index(L);
    if (strcmp(lua_tostring(L, 2), "ready") != 0)
        raise_unknown(L, "a series", lua_tostring(L, 2), series_fields);
    lua_pushboolean(L, line_ready(line));
    return 1;
}

/* #x -> how many values can be read. */
static int series_length(lua_State *L)
{
    const struct line *line = lua_touserdata(L, 1);
    uint64_t count = line->values->count;
    lua_pushinteger(L, (lua_Integer)(count < SERIES_KEPT ? count : SERIES_KEPT));
    return 1;
}

/* ---- studies ---- */

/* x:NAME(params...): an indicator on this line. sma, ema, rsi, bollinger */
static int series_study(lua_State *L)
{
    enum indicator_kind kind = (enum indicator_kind)lua_tointeger(L, lua_upvalueindex(2));
    const char *name = indicator_info(kind)->name;
    struct line *line = check_line(L, 1, name);
    struct indicator_spec spec = check_spec(L, kind, 2, name);
    struct study *study;
    struct error err = { 0 };
    int code = line->study
                   ? study_study(line->study, line->number, &spec, &study, &err)
                   : bars_study(line->bars, &spec, (enum bar_line)line->number, &study, &err);
    if (code < 0)
        return luaL_error(L, "%s", err.message);
    hold_study(line->script, study, bars_instrument(line->bars));
    push_study(L, line->script, line->bars, study);
    return 1;
}

/* bars:NAME(params...) -> series: sma, ema, rsi, bollinger on closes, atr on whole bars, highest(n)
 * on highs, lowest(n) on lows.
 *
 *   raises when a param is not allowed, or there are too many series */
static int bars_study_of(lua_State *L)
{
    enum indicator_kind kind = (enum indicator_kind)lua_tointeger(L, lua_upvalueindex(2));
    char what[32];
    snprintf(what, sizeof(what), "bars:%s", indicator_info(kind)->name);
    struct bars_view *view = luaL_testudata(L, 1, BARS);
    if (!view)
        return luaL_error(L, "call it with a colon: %s(...)", what);
    struct indicator_spec spec = check_spec(L, kind, 2, what);
    enum bar_line input = kind == INDICATOR_HIGHEST  ? BAR_HIGH
                          : kind == INDICATOR_LOWEST ? BAR_LOW
                                                     : BAR_CLOSE;
    struct study *study;
    struct error err = { 0 };
    if (bars_study(view->bars, &spec, input, &study, &err) < 0)
        return luaL_error(L, "bars:%s", err.message);
    hold_study(view->script, study, bars_instrument(view->bars));
    push_study(L, view->script, view->bars, study);
    return 1;
}

/* study.upper -> series, one field a line; study.ready -> boolean. */
static int lines_get(lua_State *L)
{
    const struct lines *lines = lua_touserdata(L, 1);
    const struct indicator_info *info = indicator_info(study_spec(lines->study)->kind);
    const char *known[INDICATOR_LINES_MAX + 2] = { NULL };
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "%s has several lines; name one, such as .%s[1]", info->name,
                          info->lines[0]);
    const char *name = lua_tostring(L, 2);
    int count = 0;
    for (; count < INDICATOR_LINES_MAX && info->lines[count]; count++) {
        known[count] = info->lines[count];
        if (strcmp(name, info->lines[count]) == 0) {
            push_line(L, lines->script, lines->bars, lines->study, count);
            return 1;
        }
    }
    known[count] = "ready";
    if (strcmp(name, "ready") != 0)
        raise_unknown(L, info->name, name, known);
    lua_pushboolean(L, study_ready(lines->study));
    return 1;
}

/* ---- bars ---- */

enum { BARS_FIELD_SYMBOL = BAR_LINES, BARS_FIELD_TF };
const char *const bars_fields[] = {
    "open", "high", "low", "close", "volume", "symbol", "tf", NULL
};

NORETURN static void raise_no_such_line(lua_State *L)
{
    const char *known[ARRAY_SIZE(bars_fields) + INDICATOR_KINDS];
    size_t count = 0;
    if (lua_type(L, 2) != LUA_TSTRING)
        luaL_error(L, "bars has named fields, not [%s]", luaL_typename(L, 2));
    for (; bars_fields[count]; count++)
        known[count] = bars_fields[count];
    for (int kind = 0; kind < INDICATOR_KINDS; kind++)
        known[count++] = indicator_info((enum indicator_kind)kind)->name;
    known[count] = NULL;
    raise_unknown(L, "bars", lua_tostring(L, 2), known);
    __builtin_unreachable();
}

/* bars.open, high, low, close, volume -> series; bars.symbol, bars.tf -> string; or a method. */
static int bars_get(lua_State *L)
{
    const struct bars_view *view = lua_touserdata(L, 1);
    struct script *script = view->script;
    int field = names_find(L, &script->names[NAMES_BARS], 2);
    if (field >= 0 && field < BAR_LINES) {
        push_line(L, script, view->bars, NULL, field);
    } else if (field == BARS_FIELD_SYMBOL) {
        lua_pushstring(L, script->instruments->list[bars_instrument(view->bars)].symbol);
    } else if (field == BARS_FIELD_TF) {
        lua_pushstring(L, timeframe_name(bars_tf_ns(view->bars)));
    } else {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL)
            raise_no_such_line(L);
    }
    return 1;
}

/* #bars -> how many closed bars can be read. */
static int bars_length(lua_State *L)
{
    const struct bars_view *view = lua_touserdata(L, 1);
    uint64_t count = bars_count(view->bars);
    lua_pushinteger(L, (lua_Integer)(count < SERIES_KEPT ? count : SERIES_KEPT));
    return 1;
}

struct bars_options {
    bool events, flat;
};

static struct bars_options check_bars_options(lua_State *L, int index)
{
    static const char *const known[] = { "events", "gaps", NULL };
    static const char *const gaps[] = { "none", "flat", NULL };
    struct bars_options options = { .events = true };
    if (lua_isnoneornil(L, index))
        return options;
    if (!lua_istable(L, index))
        luaL_error(L, "ctx:bars: options must be a table, not %s", luaL_typename(L, index));
    push_plain(L, index);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(name, "events") == 0)
            options.events = check_flag(L, -1, "ctx:bars: events");
        else if (strcmp(name, "gaps") == 0)
            options.flat = check_word(L, -1, gaps, "ctx:bars: gaps") == 1;
        else
            raise_unknown(L, "ctx:bars options", name, known);
    }
    lua_pop(L, 1);
    return options;
}

/* The place of these bars in script->bars, SIZE_MAX when they were not asked for yet. */
static size_t bars_place(const struct script *script, uint32_t instrument, int64_t tf_ns)
{
    for (size_t i = 0; i < script->bars_count; i++)
        if (bars_instrument(script->bars[i]) == instrument && bars_tf_ns(script->bars[i]) == tf_ns)
            return i;
    return SIZE_MAX;
}

static size_t add_bars(lua_State *L, struct script *script, uint32_t instrument, int64_t tf_ns,
                       bool flat)
{
    struct bars *bars;
    struct error err = { 0 };
    if (script->bars_count == SCRIPT_BARS_MAX)
        luaL_error(L, "ctx:bars: more than the %d bars allowed", SCRIPT_BARS_MAX);
    if (market_bars(script->market, instrument, tf_ns, flat, &bars, &err) < 0)
        luaL_error(L, "ctx:bars: %s", err.message);
    size_t place = script->bars_count++;
    script->bars =
        memory_grow(script->bars, &script->bars_capacity, place + 1, sizeof(script->bars[0]));
    script->bars_asked = memory_grow(script->bars_asked, &script->bars_asked_capacity, place + 1,
                                     sizeof(script->bars_asked[0]));
    script->bars[place] = bars;
    script->bars_asked[place] = (struct bars_asked){ .flat = flat };
    return place;
}

/* ctx:bars(tf [, symbol] [, { events = true, gaps = "none" | "flat" }]) -> bars
 *
 *   raises outside on_start, for an unknown timeframe, symbol or option, and when the same bars are
 *   asked for with other gaps */
int ctx_bars(lua_State *L)
{
    struct script *script = upvalue_script(L);
    int64_t tf_ns;
    if (!script->in_start)
        return luaL_error(L, "ctx:bars belongs in on_start: history is loaded once, before the "
                             "first event; keep its result in a local of the file");
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "ctx:bars: the timeframe must be a string such as '1m', not %s",
                          luaL_typename(L, 2));
    if (!timeframe_parse(lua_tostring(L, 2), &tf_ns))
        return luaL_error(L,
                          "ctx:bars: '%s' is no timeframe; allowed: 1s 5s 15s 30s 1m 3m 5m 15m "
                          "30m 1h 2h 4h 6h 12h 1d",
                          lua_tostring(L, 2));

    int options_at = lua_istable(L, 3) ? 3 : 4;
    uint32_t instrument =
        check_symbol(L, script, options_at == 3 ? lua_gettop(L) + 1 : 3, "ctx:bars");
    struct bars_options options = check_bars_options(L, options_at);
    size_t place = bars_place(script, instrument, tf_ns);
    if (place == SIZE_MAX)
        place = add_bars(L, script, instrument, tf_ns, options.flat);
    if (script->bars_asked[place].flat != options.flat)
        return luaL_error(L, "ctx:bars: these %s bars were asked for with other gaps before",
                          lua_tostring(L, 2));
    script->bars_asked[place].events |= options.events;

    struct bars *bars = script->bars[place];
    if (push_known(L, script, bars))
        return 1;
    struct bars_view *view = lua_newuserdatauv(L, sizeof(*view), 0);
    *view = (struct bars_view){ .script = script, .bars = bars };
    remember(L, script, bars, BARS);
    return 1;
}

/* ---- the room's side ---- */

static const luaL_Reg series_functions[] = { { "crossed_above", series_crossed_above_of },
                                             { "crossed_below", series_crossed_below_of },
                                             { "highest", series_highest_of },
                                             { "lowest", series_lowest_of },
                                             { "change", series_change_of },
                                             { "zscore", series_zscore_of },
                                             { NULL, NULL } };
/* What a series has, for messages and docs: methods, studies on it, `ready`. */
const char *const series_fields[] = { "crossed_above", "crossed_below", "highest", "lowest",
                                      "change",        "zscore",        "sma",     "ema",
                                      "rsi",           "bollinger",     "ready",   NULL };

/* The indicators as methods into the table on the top. */
static void add_studies(lua_State *L, struct script *script, lua_CFunction function, bool on_bars)
{
    for (int kind = 0; kind < INDICATOR_KINDS; kind++) {
        const struct indicator_info *info = indicator_info((enum indicator_kind)kind);
        bool is_method = kind == INDICATOR_HIGHEST || kind == INDICATOR_LOWEST;
        if (!on_bars && (info->needs_bars || is_method))
            continue;
        lua_pushlightuserdata(L, script);
        lua_pushinteger(L, kind);
        lua_pushcclosure(L, function, 2);
        lua_setfield(L, -2, info->name);
    }
}

/* A metatable whose __index finds methods in the table on the top, which it consumes. */
static const void *make_class(lua_State *L, struct script *script, const char *name,
                              lua_CFunction get, lua_CFunction length)
{
    luaL_newmetatable(L, name);
    lua_pushlightuserdata(L, script);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, get, 2);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, raise_read_only);
    lua_setfield(L, -2, "__newindex");
    if (length) {
        lua_pushcfunction(L, length);
        lua_setfield(L, -2, "__len");
    }
    sandbox_seal_metatable(L);
    const void *class = lua_topointer(L, -1);
    lua_pop(L, 2);
    return class;
}

void series_open(lua_State *L, struct script *script)
{
    lua_newtable(L);
    script->series_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    names_open(L, &script->names[NAMES_BARS], bars_fields);

    lua_newtable(L);
    add_functions(L, series_functions, script);
    add_studies(L, script, series_study, false);
    script->series_class = make_class(L, script, SERIES, series_get, series_length);
    lua_newtable(L);
    script->lines_class = make_class(L, script, LINES, lines_get, NULL);
    lua_newtable(L);
    add_studies(L, script, bars_study_of, true);
    make_class(L, script, BARS, bars_get, bars_length);
}

void series_close(struct script *script)
{
    while (script->study_count > 0)
        study_release(script->studies[--script->study_count].study);
    while (script->bars_count > 0)
        bars_release(script->bars[--script->bars_count]);
    free(script->studies);
    free(script->bars);
    free(script->bars_asked);
    script->studies = NULL;
    script->bars = NULL;
    script->bars_asked = NULL;
}

bool series_ready(const struct script *script, uint32_t instrument)
{
    for (size_t i = 0; i < script->studies_at_start; i++)
        if (script->studies[i].instrument == instrument && !study_ready(script->studies[i].study))
            return false;
    return true;
}
