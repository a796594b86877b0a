/* params.c - the parameters of one instance: set from text, checked, shown to the script. */
#include "bindings/script.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void params_init(const struct strategy_info *info, struct params *params)
{
    *params = (struct params){ 0 };
    for (size_t i = 0; i < info->param_count; i++)
        params->values[i] = info->params[i].value;
}

void param_format(const struct param_value *value, char *buffer, size_t size)
{
    char number[DOUBLE_TEXT_MAX];
    switch (value->kind) {
    case PARAM_NUMBER:
        text_copy(buffer, size, double_format(value->number, number));
        break;
    case PARAM_INTEGER:
        snprintf(buffer, size, "%lld", (long long)value->integer);
        break;
    case PARAM_STRING:
        text_copy(buffer, size, value->string);
        break;
    case PARAM_BOOL:
        text_copy(buffer, size, value->boolean ? "true" : "false");
        break;
    }
}

/* ---- setting ---- */

static bool parse_number(const char *text, double *value)
{
    decimal exact; /* refuses blanks, hexadecimal, inf and nan */
    if (decimal_parse(text, strlen(text), &exact) == ERROR_DATA)
        return false;
    *value = strtod(text, NULL);
    return isfinite(*value);
}

/* "12", and "12.0" or "1e3" too: what sweeps and spreadsheets write. */
static bool parse_integer(const char *text, int64_t *value)
{
    decimal exact;
    return decimal_parse(text, strlen(text), &exact) == 0 && decimal_mantissa(exact, 0, value) == 0;
}

static bool parse_value(enum param_kind kind, const char *text, struct param_value *value)
{
    *value = (struct param_value){ .kind = kind };
    switch (kind) {
    case PARAM_NUMBER:
        return parse_number(text, &value->number);
    case PARAM_INTEGER:
        if (!parse_integer(text, &value->integer))
            return false;
        value->number = (double)value->integer;
        return true;
    case PARAM_STRING:
        return text_copy(value->string, sizeof(value->string), text);
    case PARAM_BOOL:
        value->boolean = strcmp(text, "true") == 0;
        return value->boolean || strcmp(text, "false") == 0;
    }
    return false;
}

bool param_equal(const struct param_value *a, const struct param_value *b)
{
    switch (a->kind) {
    case PARAM_NUMBER:
        return a->number == b->number;
    case PARAM_INTEGER:
        return a->integer == b->integer;
    case PARAM_STRING:
        return strcmp(a->string, b->string) == 0;
    case PARAM_BOOL:
        return a->boolean == b->boolean;
    }
    return false;
}

static void list_choices(const struct param_spec *spec, char *buffer, size_t size)
{
    buffer[0] = '\0';
    for (size_t i = 0; i < spec->choice_count; i++) {
        char one[DOUBLE_TEXT_MAX + 64];
        size_t length = strlen(buffer);
        param_format(&spec->choices[i], one, sizeof(one));
        snprintf(buffer + length, size - length, "%s%s", i ? ", " : "", one);
    }
}

int param_allowed(const struct param_spec *spec, const struct param_value *value, int code,
                  struct error *err)
{
    char found[DOUBLE_TEXT_MAX + 64], limit[DOUBLE_TEXT_MAX], choices[300];
    param_format(value, found, sizeof(found));
    if (value->kind == PARAM_NUMBER || value->kind == PARAM_INTEGER) {
        if (value->number < spec->min)
            return error_set(err, code, "%s = %s is below its min %s", spec->name, found,
                             double_format(spec->min, limit));
        if (value->number > spec->max)
            return error_set(err, code, "%s = %s is above its max %s", spec->name, found,
                             double_format(spec->max, limit));
    }
    if (spec->choice_count == 0)
        return 0;
    for (size_t i = 0; i < spec->choice_count; i++)
        if (param_equal(&spec->choices[i], value))
            return 0;
    list_choices(spec, choices, sizeof(choices));
    return error_set(err, code, "%s = %s is not one of its choices: %s", spec->name, found,
                     choices);
}

static const char *kind_name(enum param_kind kind)
{
    static const char *const names[] = { [PARAM_NUMBER] = "a number",
                                         [PARAM_INTEGER] = "a whole number",
                                         [PARAM_STRING] = "a text of at most 63 bytes",
                                         [PARAM_BOOL] = "true or false" };
    return names[kind];
}

int params_set(const struct strategy_info *info, struct params *params, const char *name,
               const char *text, struct error *err)
{
    const char *known[PARAMS_MAX + 1] = { NULL };
    for (size_t i = 0; i < info->param_count; i++) {
        const struct param_spec *spec = &info->params[i];
        known[i] = spec->name;
        if (strcmp(spec->name, name) != 0)
            continue;
        struct param_value value;
        if (!parse_value(spec->value.kind, text, &value))
            return error_set(err, ERROR_USAGE, "%s = %s: %s is wanted", name, text,
                             kind_name(spec->value.kind));
        int code = param_allowed(spec, &value, ERROR_USAGE, err);
        if (code == 0)
            params->values[i] = value;
        return code;
    }
    if (info->param_count == 0)
        return error_set(err, ERROR_USAGE, "%s has no params, so no '%s'", info->name, name);
    const char *nearest = text_nearest(name, known);
    return nearest ? error_set(err, ERROR_USAGE, "%s has no param '%s'; did you mean '%s'?",
                               info->name, name, nearest)
                   : error_set(err, ERROR_USAGE, "%s has no param '%s'; the first is '%s'",
                               info->name, name, known[0]);
}

/* ---- in Lua ---- */

void param_push(lua_State *L, const struct param_value *value)
{
    switch (value->kind) {
    case PARAM_NUMBER:
        lua_pushnumber(L, value->number);
        break;
    case PARAM_INTEGER:
        lua_pushinteger(L, value->integer);
        break;
    case PARAM_STRING:
        lua_pushstring(L, value->string);
        break;
    case PARAM_BOOL:
        lua_pushboolean(L, value->boolean);
        break;
    }
}

void params_push_raw(lua_State *L, const struct strategy_info *info, const struct params *params)
{
    lua_createtable(L, 0, (int)info->param_count);
    for (size_t i = 0; i < info->param_count; i++) {
        param_push(L, &params->values[i]);
        lua_setfield(L, -2, info->params[i].name);
    }
}

/* ---- S.check ---- */

struct check {
    const struct strategy_info *info;
    const struct params *params;
    bool refused;
    char reason[400];
};

/* S.check(p) -> nothing or true: fine; false or nil, reason: refused. */
static int run_check(lua_State *L)
{
    struct check *check = lua_touserdata(L, 1);
    strategy_push(L);
    lua_pushstring(L, "check");
    lua_rawget(L, -2);
    params_push_raw(L, check->info, check->params);
    make_strict(L, "params");
    lua_call(L, 1, 2);
    bool has_reason = lua_type(L, -1) == LUA_TSTRING;
    check->refused = !lua_toboolean(L, -2) && (lua_isboolean(L, -2) || has_reason);
    text_copy(check->reason, sizeof(check->reason),
              has_reason ? lua_tostring(L, -1) : "S.check refused these params without a reason");
    return 0;
}

int params_check(const struct source *source, const struct strategy_info *info,
                 const struct sandbox_limits *limits, const struct params *params,
                 struct error *err)
{
    if (!info->has_check)
        return 0;
    struct check check = { .info = info, .params = params };
    struct sandbox_host host = { .self = (void *)(uintptr_t)source, .module = strategy_module };
    struct ta ta = { .count = 0 };
    struct sandbox *sandbox;
    int code = sandbox_open(limits, &host, 0, NULL, &sandbox, err);
    if (code < 0)
        return code;
    code = strategy_load(sandbox, source, &ta, err);
    if (code == 0) {
        lua_State *L = sandbox_lua(sandbox);
        lua_pushcfunction(L, run_check);
        lua_pushlightuserdata(L, &check);
        code = sandbox_call(sandbox, 1, 0, BUDGET_LOAD, err);
    }
    if (code == 0 && check.refused)
        code = error_set(err, ERROR_USAGE, "params of %s: %s", info->name, check.reason);
    sandbox_close(sandbox);
    ta_release(&ta);
    return code;
}
