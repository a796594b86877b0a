/* describe.c - reads the table that a strategy file returns: what it is, wants and calls.
 *
 * Everything is read raw, once, and checked before anything is used. A fault names the field, what
 * was found and what is allowed. */
#include "bindings/script.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/value.h"

const char *const strategy_fields[] = { "api",    "name",  "version", "author", "license",
                                        "about",  "scope", "symbols", "params", "needs",
                                        "limits", "check", "migrate", NULL };
const char *const param_fields[] = { "min", "max", "step", "choices", "help", "live", NULL };
static const char *const needs_fields[] = { "book", "signals", "warmup", NULL };
/* Callbacks of the contract that this version never calls. */
static const char *const later_callbacks[] = { "on_book", "on_signal", "on_funding", NULL };

struct reading {
    struct strategy_info *info;
    const struct source *source;
    struct error err; /* set by wrong(), with its place */
};

/* ---- faults ---- */

static void wrong(lua_State *L, struct reading *reading, const char *where, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Raises; `where` NULL means the file. */
static void wrong(lua_State *L, struct reading *reading, const char *where, const char *format, ...)
{
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    error_at(&reading->err, ERROR_DATA, where ? where : reading->source->path, "%s", message);
    lua_pushnil(L);
    lua_error(L);
}

/* "12", "'abc'", "a table": what stands at index. */
static const char *found(lua_State *L, int index, char buffer[64])
{
    char number[DOUBLE_TEXT_MAX];
    if (lua_isinteger(L, index))
        snprintf(buffer, 64, "%lld", lua_tointeger(L, index));
    else if (lua_type(L, index) == LUA_TNUMBER)
        snprintf(buffer, 64, "%s", double_format(lua_tonumber(L, index), number));
    else if (lua_type(L, index) == LUA_TSTRING)
        snprintf(buffer, 64, "'%.40s'", lua_tostring(L, index));
    else if (lua_type(L, index) == LUA_TBOOLEAN)
        snprintf(buffer, 64, "%s", lua_toboolean(L, index) ? "true" : "false");
    else
        snprintf(buffer, 64, "%s%s", lua_isnil(L, index) ? "" : "a ", luaL_typename(L, index));
    return buffer;
}

static void wrong_value(lua_State *L, struct reading *reading, const char *field, int index,
                        const char *allowed)
{
    char value[64];
    wrong(L, reading, NULL, "%s is %s; allowed: %s", field, found(L, index, value), allowed);
}

static int get(lua_State *L, int table, const char *key)
{
    table = lua_absindex(L, table);
    lua_pushstring(L, key);
    return lua_rawget(L, table);
}

static bool in_list(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* "path:line" of the function at index, for a fault in it. */
static const char *place_of(lua_State *L, int index, const struct reading *reading, char *buffer,
                            size_t size)
{
    lua_Debug info;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &info);
    snprintf(buffer, size, "%.230s:%d", reading->source->path, info.linedefined);
    return buffer;
}

/* Raises unless every key of the table at index is a known name; of several faults the first by
 * name. `positions`: how many leading positions are allowed too. */
static void check_keys(lua_State *L, struct reading *reading, int index, const char *owner,
                       const char *const *known, lua_Integer positions)
{
    const char *unknown = NULL;
    index = lua_absindex(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            const char *key = lua_tostring(L, -2);
            if (!in_list(key, known) && (!unknown || strcmp(key, unknown) < 0))
                unknown = key; /* the table keeps it */
        } else if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 ||
                   lua_tointeger(L, -2) > positions) {
            char key[64];
            wrong(L, reading, NULL, "%s has a value without a name at [%s]", owner,
                  found(L, -2, key));
        }
    }
    if (!unknown)
        return;
    const char *nearest = text_nearest(unknown, known);
    if (nearest)
        wrong(L, reading, NULL, "%s has no field '%s'; did you mean '%s'?", owner, unknown,
              nearest);
    wrong(L, reading, NULL, "%s has no field '%s'", owner, unknown);
}

/* ---- plain fields ---- */

static void read_string(lua_State *L, struct reading *reading, int table, const char *owner,
                        const char *key, char *field, size_t size)
{
    char name[80], allowed[64];
    snprintf(name, sizeof(name), "%s%s", owner, key);
    snprintf(allowed, sizeof(allowed), "a text of at most %zu bytes", size - 1);
    if (get(L, table, key) == LUA_TSTRING) {
        for (const char *c = lua_tostring(L, -1); *c; c++)
            if (iscntrl((unsigned char)*c) && *c != '\n' && *c != '\t')
                wrong(L, reading, NULL, "%s holds a control character", name);
        if (!text_copy(field, size, lua_tostring(L, -1)))
            wrong_value(L, reading, name, -1, allowed);
    } else if (!lua_isnil(L, -1)) {
        wrong_value(L, reading, name, -1, allowed);
    }
    lua_pop(L, 1);
}

static void read_api(lua_State *L, struct reading *reading, int table)
{
    get(L, table, "api");
    if (lua_isnil(L, -1))
        wrong(L, reading, NULL, "api is missing; write: api = 1");
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) != 1)
        wrong_value(L, reading, "api", -1, "1, the one this version knows");
    lua_pop(L, 1);
}

/* The name goes into files, tables and logs: letters, digits, _ - and . only. */
static void read_name(lua_State *L, struct reading *reading, int table)
{
    struct strategy_info *info = reading->info;
    read_string(L, reading, table, "", "name", info->name, sizeof(info->name));
    if (!info->name[0]) {
        const char *slash = strrchr(reading->source->path, '/');
        const char *base = slash ? slash + 1 : reading->source->path;
        size_t length = strlen(base);
        if (text_ends_with(base, ".lua"))
            length -= strlen(".lua");
        text_copy_span(info->name, sizeof(info->name), base, length);
        for (char *c = info->name; *c; c++)
            if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
                *c = '_';
    }
    for (const char *c = info->name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_-.", *c))
            wrong(L, reading, NULL, "name is '%s'; allowed: letters, digits, _ - and .",
                  info->name);
}

static void read_scope(lua_State *L, struct reading *reading, int table)
{
    char scope[16] = "symbol";
    read_string(L, reading, table, "", "scope", scope, sizeof(scope));
    if (strcmp(scope, "symbol") != 0 && strcmp(scope, "portfolio") != 0)
        wrong(L, reading, NULL, "scope is '%s'; allowed: 'symbol' (the default) or 'portfolio'",
              scope);
    reading->info->portfolio = strcmp(scope, "portfolio") == 0;
}

static void read_symbols(lua_State *L, struct reading *reading, int table)
{
    struct strategy_info *info = reading->info;
    int type = get(L, table, "symbols");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        wrong_value(L, reading, "symbols", -1, "a list of names");
    lua_Integer count = type == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (type == LUA_TTABLE) {
        static const char *const none[] = { NULL };
        check_keys(L, reading, -1, "symbols", none, count);
        if (count == 0)
            wrong(L, reading, NULL, "symbols is empty; leave it out to trade what is asked for");
    }
    if (count > STRATEGY_SYMBOLS_MAX)
        wrong(L, reading, NULL, "symbols has %lld names; allowed: %d", (long long)count,
              STRATEGY_SYMBOLS_MAX);
    for (lua_Integer i = 1; i <= count; i++) {
        char field[32];
        snprintf(field, sizeof(field), "symbols[%lld]", (long long)i);
        if (lua_rawgeti(L, -1, i) != LUA_TSTRING || lua_rawlen(L, -1) == 0 ||
            !text_copy(info->symbols[info->symbol_count], SYMBOL_MAX, lua_tostring(L, -1)))
            wrong_value(L, reading, field, -1, "a name such as 'BTC/USDT:USDT'");
        for (size_t before = 0; before < info->symbol_count; before++)
            if (strcmp(info->symbols[before], info->symbols[info->symbol_count]) == 0)
                wrong(L, reading, NULL, "%s names '%s' again", field, info->symbols[before]);
        info->symbol_count++;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* ---- params ---- */

static void read_value(lua_State *L, struct reading *reading, int index, const char *field,
                       struct param_value *value)
{
    *value = (struct param_value){ .kind = PARAM_BOOL };
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        value->boolean = lua_toboolean(L, index);
        return;
    case LUA_TSTRING:
        value->kind = PARAM_STRING;
        if (strlen(lua_tostring(L, index)) != lua_rawlen(L, index) ||
            !text_copy(value->string, sizeof(value->string), lua_tostring(L, index)))
            wrong_value(L, reading, field, index, "a text of at most 63 bytes");
        return;
    case LUA_TNUMBER:
        value->number = lua_tonumber(L, index);
        value->integer = lua_tointeger(L, index); /* 0 when it has a fraction */
        value->kind = value->number == (double)value->integer && lua_isinteger(L, index)
                          ? PARAM_INTEGER
                          : PARAM_NUMBER;
        if (!isfinite(value->number))
            wrong_value(L, reading, field, index, "a finite number");
        return;
    default:
        wrong_value(L, reading, field, index, "a number, text, true or false");
    }
}

/* min, max or step; NaN when absent. */
static double read_bound(lua_State *L, struct reading *reading, int table, const char *param,
                         const char *key, enum param_kind kind)
{
    char field[80];
    double bound = NAN;
    snprintf(field, sizeof(field), "params.%s.%s", param, key);
    int type = get(L, table, key);
    if (type == LUA_TNUMBER)
        bound = lua_tonumber(L, -1);
    if ((type != LUA_TNUMBER && type != LUA_TNIL) || isinf(bound) ||
        (type == LUA_TNUMBER && isnan(bound)))
        wrong_value(L, reading, field, -1, "a finite number");
    if (type != LUA_TNIL && kind != PARAM_NUMBER && kind != PARAM_INTEGER)
        wrong(L, reading, NULL, "%s is for numbers; params.%s has a default that is none", field,
              param);
    lua_pop(L, 1);
    return bound;
}

static bool has_fraction(double value)
{
    return isfinite(value) && value != floor(value);
}

/* A whole default among fractions is a number: { 2, min = 0.5, step = 0.5 }. */
static void settle_kind(struct param_spec *spec)
{
    bool fraction = has_fraction(spec->min) || has_fraction(spec->max) || has_fraction(spec->step);
    for (size_t i = 0; i < spec->choice_count; i++)
        fraction = fraction || (spec->choices[i].kind == PARAM_NUMBER);
    if (spec->value.kind == PARAM_INTEGER && fraction)
        spec->value.kind = PARAM_NUMBER;
    for (size_t i = 0; i < spec->choice_count; i++)
        if (spec->value.kind == PARAM_NUMBER && spec->choices[i].kind == PARAM_INTEGER)
            spec->choices[i].kind = PARAM_NUMBER;
}

static void read_choices(lua_State *L, struct reading *reading, int table, struct param_spec *spec)
{
    char field[80];
    static const char *const none[] = { NULL };
    snprintf(field, sizeof(field), "params.%s.choices", spec->name);
    int type = get(L, table, "choices");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        wrong_value(L, reading, field, -1, "a list of values");
    lua_Integer count = type == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (type == LUA_TTABLE) {
        check_keys(L, reading, -1, field, none, count);
        if (count == 0 || count > CHOICES_MAX)
            wrong(L, reading, NULL, "%s has %lld values; allowed: 1 to %d", field, (long long)count,
                  CHOICES_MAX);
    }
    for (lua_Integer i = 1; i <= count; i++, lua_pop(L, 1)) {
        struct param_value *choice = &spec->choices[spec->choice_count++];
        lua_rawgeti(L, -1, i);
        read_value(L, reading, -1, field, choice);
        bool numbers = choice->kind <= PARAM_INTEGER && spec->value.kind <= PARAM_INTEGER;
        if (choice->kind != spec->value.kind && !numbers)
            wrong_value(L, reading, field, -1, "values of the default's type");
    }
    lua_pop(L, 1);
}

static void read_range(lua_State *L, struct reading *reading, int table, struct param_spec *spec)
{
    spec->min = read_bound(L, reading, table, spec->name, "min", spec->value.kind);
    spec->max = read_bound(L, reading, table, spec->name, "max", spec->value.kind);
    spec->step = read_bound(L, reading, table, spec->name, "step", spec->value.kind);
    if (spec->min > spec->max)
        wrong(L, reading, NULL, "params.%s: min %g is above max %g", spec->name, spec->min,
              spec->max);
    if (spec->step <= 0)
        wrong(L, reading, NULL, "params.%s.step is %g; allowed: above 0", spec->name, spec->step);
}

static void check_param_name(lua_State *L, struct reading *reading, int index, char *name,
                             size_t size)
{
    char key[64];
    bool good =
        lua_type(L, index) == LUA_TSTRING && text_copy(name, size, lua_tostring(L, index)) &&
        strlen(name) == lua_rawlen(L, index) && (isalpha((unsigned char)name[0]) || name[0] == '_');
    for (const char *c = name; good && *c; c++)
        good = isalnum((unsigned char)*c) || *c == '_';
    if (!good)
        wrong(
            L, reading, NULL,
            "params has a name %s; allowed: letters, digits and _, a letter first, up to %zu bytes",
            found(L, index, key), size - 1);
}

/* { default, min =, max =, step =, choices =, help =, live = } on the stack top. */
static void read_param(lua_State *L, struct reading *reading, struct param_spec *spec)
{
    char field[64], owner[80];
    snprintf(field, sizeof(field), "params.%s", spec->name);
    if (!lua_istable(L, -1))
        wrong_value(L, reading, field, -1, "a table such as { 12, min = 2, max = 100 }");
    check_keys(L, reading, -1, field, param_fields, 1);

    int table = lua_gettop(L);
    snprintf(owner, sizeof(owner), "%s.", field);
    if (lua_rawgeti(L, table, 1) == LUA_TNIL)
        wrong(L, reading, NULL, "%s has no default; write it first: { 12, min = 2 }", field);
    read_value(L, reading, -1, field, &spec->value);
    lua_pop(L, 1);
    read_range(L, reading, table, spec);
    read_choices(L, reading, table, spec);
    read_string(L, reading, table, owner, "help", spec->help, sizeof(spec->help));
    if (get(L, table, "live") != LUA_TNIL && !lua_isboolean(L, -1)) {
        snprintf(owner, sizeof(owner), "%s.live", field);
        wrong_value(L, reading, owner, -1, "true or false");
    }
    spec->live = lua_toboolean(L, -1);
    lua_pop(L, 1);

    settle_kind(spec);
    struct error err = { 0 };
    if (param_allowed(spec, &spec->value, ERROR_DATA, &err) < 0)
        wrong(L, reading, NULL, "params.%s: the default is not allowed: %s", spec->name,
              err.message);
}

static int compare_specs(const void *a, const void *b)
{
    const struct param_spec *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* A table has no order: params are told by name. */
static void read_params(lua_State *L, struct reading *reading, int table)
{
    struct strategy_info *info = reading->info;
    int type = get(L, table, "params");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        wrong_value(L, reading, "params", -1, "a table of params");
    if (type == LUA_TTABLE) {
        int params = lua_gettop(L);
        for (lua_pushnil(L); lua_next(L, params); lua_pop(L, 1)) {
            if (info->param_count == PARAMS_MAX)
                wrong(L, reading, NULL, "more than the %d params allowed", PARAMS_MAX);
            struct param_spec *spec = &info->params[info->param_count++];
            *spec = (struct param_spec){ .min = NAN, .max = NAN, .step = NAN };
            check_param_name(L, reading, -2, spec->name, sizeof(spec->name));
        }
        qsort(info->params, info->param_count, sizeof(info->params[0]), compare_specs);
        for (size_t i = 0; i < info->param_count; i++) {
            get(L, params, info->params[i].name);
            read_param(L, reading, &info->params[i]);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* ---- needs and limits ---- */

static void note(struct strategy_info *info, const char *format, const char *name)
{
    size_t length = strlen(info->notes);
    snprintf(info->notes + length, sizeof(info->notes) - length, format, name);
}

static void read_needs(lua_State *L, struct reading *reading, int table)
{
    int type = get(L, table, "needs");
    reading->info->warmup = true;
    if (type != LUA_TNIL && type != LUA_TTABLE)
        wrong_value(L, reading, "needs", -1, "a table");
    if (type == LUA_TTABLE) {
        check_keys(L, reading, -1, "needs", needs_fields, 0);
        int book = get(L, -1, "book");
        if (book != LUA_TNIL && (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1))
            wrong_value(L, reading, "needs.book", -1, "how many levels, 1 or more");
        int signals = get(L, -2, "signals");
        if (signals != LUA_TNIL && signals != LUA_TTABLE)
            wrong_value(L, reading, "needs.signals", -1, "a list of names");
        if (get(L, -3, "warmup") != LUA_TNIL && !lua_isboolean(L, -1))
            wrong_value(L, reading, "needs.warmup", -1, "true or false");
        reading->info->warmup = lua_isnil(L, -1) || lua_toboolean(L, -1);
        lua_pop(L, 3);
        if (book != LUA_TNIL)
            note(reading->info, "needs.%s: no order book in this version\n", "book");
        if (signals != LUA_TNIL)
            note(reading->info, "needs.%s: no signals in this version\n", "signals");
    }
    lua_pop(L, 1);
}

static void wrong_limit(lua_State *L, struct reading *reading, const char *field,
                        const struct schema_key *key)
{
    char allowed[128];
    struct text text;
    text_init(&text, sizeof(allowed));
    value_allowed(&text, key, NULL);
    text_copy(allowed, sizeof(allowed), text.data);
    text_release(&text); /* what follows does not return */
    wrong_value(L, reading, field, -1, allowed);
}

static void read_limit(lua_State *L, struct reading *reading, const char *name)
{
    char field[64];
    decimal value = DECIMAL_NONE;
    snprintf(field, sizeof(field), "limits.%s", name);
    if (lua_isinteger(L, -1))
        value = decimal_int(lua_tointeger(L, -1));
    else if (lua_type(L, -1) == LUA_TNUMBER)
        value = decimal_from_double(lua_tonumber(L, -1));
    else if (lua_type(L, -1) == LUA_TSTRING &&
             decimal_parse(lua_tostring(L, -1), lua_rawlen(L, -1), &value) < 0)
        value = DECIMAL_NONE;

    /* What the configuration allows, so that 20 meant as 20 % is no limit of twenty times. */
    enum limit limit = limit_by_name(name);
    char path[96];
    snprintf(path, sizeof(path), "strategies.*.limits.%s", limit_info(limit)->name);
    const struct schema_key *key = schema_find(path);
    ASSERT(key);
    if (!value_number_allowed(key, value))
        wrong_limit(L, reading, field, key);

    struct risk_limits *limits =
        &reading->info->limits; /* it may have been set by its other name */
    limits->value[limit] =
        limit_is_set(limits, limit) ? decimal_min(limits->value[limit], value) : value;
}

static void read_limits(lua_State *L, struct reading *reading, int table)
{
    const char *known[LIMITS + 2] = { "max_daily_loss" }; /* the name users have */
    for (enum limit i = 0; i < LIMITS; i++)
        known[i + 1] = limit_info(i)->name;

    risk_limits_init(&reading->info->limits);
    int type = get(L, table, "limits");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        wrong_value(L, reading, "limits", -1, "a table");
    if (type == LUA_TTABLE) {
        check_keys(L, reading, -1, "limits", known, 0);
        for (size_t i = 0; known[i]; i++) {
            if (get(L, -1, known[i]) != LUA_TNIL)
                read_limit(L, reading, known[i]);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* ---- callbacks ---- */

static bool read_function(lua_State *L, struct reading *reading, int table, const char *name)
{
    int type = get(L, table, name);
    if (type != LUA_TNIL && type != LUA_TFUNCTION)
        wrong_value(L, reading, name, -1, "a function");
    lua_pop(L, 1);
    return type == LUA_TFUNCTION;
}

static void read_callbacks(lua_State *L, struct reading *reading, int table)
{
    struct strategy_info *info = reading->info;
    for (int call = 0; call < GUEST_CALLS; call++)
        if (read_function(L, reading, table, callback_names[call]))
            info->calls |= 1u << call;
    info->has_check = read_function(L, reading, table, "check");
    info->has_migrate = read_function(L, reading, table, "migrate");

    for (const char *const *later = later_callbacks; *later; later++)
        if (read_function(L, reading, table, *later))
            note(info, "%s: never called in this version\n", *later);
    if (info->calls & (1u << GUEST_BAR) && !(info->calls & (1u << GUEST_START)))
        note(info, "%s: no bars without an on_start that asks for them (ctx:bars)\n", "on_bar");
    if (info->calls == 0)
        note(info, "%s: no callback is defined, so nothing will ever run\n", "S");
}

/* Names that are neither fields nor callbacks: near misses and on_* are faults, so is anything that
 * is no function; a helper may stand there for tests to reach. */
static void check_names(lua_State *L, struct reading *reading, int table)
{
    const char *known[ARRAY_SIZE(strategy_fields) + ARRAY_SIZE(later_callbacks) + GUEST_CALLS] = {
        NULL
    };
    const char *const *lists[] = { strategy_fields, callback_names, later_callbacks };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        for (const char *const *name = lists[i]; *name; name++)
            known[count++] = *name;

    const char *bad = NULL;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        char key[64];
        if (lua_type(L, -2) != LUA_TSTRING)
            wrong(L, reading, NULL, "the strategy has a value without a name at [%s]",
                  found(L, -2, key));
        const char *name = lua_tostring(L, -2);
        bool helper =
            lua_isfunction(L, -1) && !text_starts_with(name, "on_") && !text_nearest(name, known);
        if (!in_list(name, known) && !helper && (!bad || strcmp(name, bad) < 0))
            bad = name;
    }
    if (!bad)
        return;

    char place[256];
    const char *where =
        get(L, table, bad) == LUA_TFUNCTION ? place_of(L, -1, reading, place, sizeof(place)) : NULL;
    const char *what = text_starts_with(bad, "on_") ? "callback" : "field";
    const char *nearest = text_nearest(bad, known);
    if (nearest)
        wrong(L, reading, where, "there is no %s '%s'; did you mean '%s'?", what, bad, nearest);
    wrong(L, reading, where, "there is no %s '%s'; keep values of your own in locals", what, bad);
}

/* ---- the whole ---- */

static int read_strategy(lua_State *L)
{
    struct reading *reading = lua_touserdata(L, 1);
    struct strategy_info *info = reading->info;
    strategy_push(L);
    int table = lua_gettop(L);

    check_names(L, reading, table);
    read_api(L, reading, table);
    read_name(L, reading, table);
    text_copy(info->version, sizeof(info->version), "0");
    read_string(L, reading, table, "", "version", info->version, sizeof(info->version));
    read_string(L, reading, table, "", "author", info->author, sizeof(info->author));
    read_string(L, reading, table, "", "license", info->license, sizeof(info->license));
    read_string(L, reading, table, "", "about", info->about, sizeof(info->about));
    read_scope(L, reading, table);
    read_symbols(L, reading, table);
    read_params(L, reading, table);
    read_needs(L, reading, table);
    read_limits(L, reading, table);
    read_callbacks(L, reading, table);
    return 0;
}

static int describe(struct sandbox *sandbox, const struct source *source, struct ta *ta,
                    struct strategy_info *info, struct error *err)
{
    struct reading reading = { .info = info, .source = source };
    int code = strategy_load(sandbox, source, ta, err);
    if (code < 0)
        return code;
    info->instructions = sandbox_instructions_last(sandbox);
    info->memory = sandbox_memory(sandbox);

    code = sandbox_protect(sandbox, read_strategy, &reading, err);
    if (code < 0 && reading.err.code < 0) {
        code = reading.err.code;
        if (err)
            *err = reading.err;
    }
    return code;
}

/* The linked Lua may compile a function with very many constants wrongly, without a word: say so
 * where a file has one. The file ran, so it compiles; if memory is short now, nothing is said. */
static void note_constants(struct sandbox *sandbox, const struct source *source,
                           struct strategy_info *info)
{
    int line = 0, constants = 0;
    struct error ignored;
    if (!(sandbox_lua_bugs() & LUA_BUG_CONSTANTS) ||
        sandbox_find_constants(sandbox, source->path, source->bytes, source->length, &line,
                               &constants, &ignored) < 0 ||
        constants == 0)
        return;
    size_t length = strlen(info->notes);
    snprintf(info->notes + length, sizeof(info->notes) - length,
             "the function at line %d has %d constants; this Lua computes some expressions of such "
             "functions wrongly, so split it\n",
             line, constants);
}

int strategy_describe(const struct source *source, const struct sandbox_limits *limits,
                      struct strategy_info *info, struct error *err)
{
    struct sandbox_host host = { .self = (void *)(uintptr_t)source, .module = strategy_module };
    struct ta ta = { .count = 0 };
    struct sandbox *sandbox;
    *info = (struct strategy_info){ 0 };
    text_copy(info->hash, sizeof(info->hash), source->hash);

    int code = sandbox_open(limits, &host, 0, NULL, &sandbox, err);
    if (code < 0)
        return code;
    code = describe(sandbox, source, &ta, info, err);
    if (code == 0)
        note_constants(sandbox, source, info);
    sandbox_close(sandbox);
    ta_release(&ta);
    return code;
}
