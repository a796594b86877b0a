/* values.c - numbers, names and refusals between Lua and C. */
#include "bindings/script.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

#define NAMES_STRICT_MAX 64

/* ---- names ---- */

void raise_unknown(lua_State *L, const char *owner, const char *name, const char *const *known)
{
    const char *nearest = text_nearest(name, known);
    if (nearest)
        luaL_error(L, "%s has no '%s'; did you mean '%s'?", owner, name, nearest);
    luaL_error(L, "%s has no '%s'", owner, name);
    abort(); /* luaL_error does not return */
}

void names_open(lua_State *L, struct names *names, const char *const *spelled)
{
    *names = (struct names){ .spelled = spelled };
    for (int i = 0; spelled[i]; i++) {
        ASSERT(i < NAMES_MAX);
        names->interned[i] = lua_pushstring(L, spelled[i]);
        luaL_ref(L, LUA_REGISTRYINDEX); /* for the life of the state */
        names->count = i + 1;
    }
}

int names_find(lua_State *L, const struct names *names, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return -1;
    const char *name = lua_tostring(L, index);
    for (int i = 0; i < names->count; i++)
        if (names->interned[i] == name)
            return i;
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->spelled[i], name) == 0)
            return i;
    return -1;
}

int names_field(lua_State *L, const struct names *names, int index, const char *owner)
{
    int field = names_find(L, names, index);
    if (field >= 0)
        return field;
    if (lua_type(L, index) == LUA_TSTRING)
        raise_unknown(L, owner, lua_tostring(L, index), names->spelled);
    return luaL_error(L, "%s has named fields, not [%s]", owner, luaL_typename(L, index));
}

int check_word(lua_State *L, int index, const char *const *words, const char *what)
{
    char list[160] = "";
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s must be a string, not %s", what, luaL_typename(L, index));
    const char *word = lua_tostring(L, index);
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
        size_t length = strlen(list);
        snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "", words[i]);
    }
    return luaL_error(L, "%s cannot be '%s'; allowed: %s", what, word, list);
}

/* ---- numbers ---- */

double check_finite(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        luaL_error(L, "%s must be a number, not %s", what, luaL_typename(L, index));
    double value = lua_tonumber(L, index);
    if (!isfinite(value))
        luaL_error(L, "%s must be a finite number, not %s", what,
                   isnan(value) ? "nan" : "infinity");
    return value;
}

decimal check_decimal(lua_State *L, int index, const char *what)
{
    decimal value = DECIMAL_NONE;
    if (lua_isinteger(L, index)) {
        value = decimal_int(lua_tointeger(L, index));
    } else if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *text = lua_tolstring(L, index, &length);
        int code = decimal_parse(text, length, &value);
        if (code == ERROR_DATA)
            luaL_error(L, "%s must be a number, not the string '%s'", what, text);
    } else {
        value = decimal_from_double(check_finite(L, index, what));
    }
    if (!decimal_valid(value))
        luaL_error(L, "%s has more digits than fit: %s", what, lua_tostring(L, index));
    return value;
}

void push_decimal(lua_State *L, decimal value)
{
    if (decimal_valid(value))
        lua_pushnumber(L, decimal_to_double(value));
    else
        lua_pushnil(L);
}

void push_double(lua_State *L, double value)
{
    if (isnan(value))
        lua_pushnil(L);
    else
        lua_pushnumber(L, value);
}

void push_time(lua_State *L, int64_t time_ns)
{
    lua_pushnumber(L, (double)time_ns / (double)NS_PER_SECOND);
}

/* ---- strings and flags ---- */

const char *check_name(lua_State *L, int index, size_t limit, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s must be a string, not %s", what, luaL_typename(L, index));
    size_t length;
    const char *name = lua_tolstring(L, index, &length);
    if (length > limit)
        luaL_error(L, "%s has %d bytes, more than the %d allowed", what, (int)length, (int)limit);
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(name + i, length - i);
        if (step == 0 || (unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            luaL_error(L, "%s must be plain text: byte %d is not", what, (int)i + 1);
        i += step;
    }
    return name;
}

bool check_flag(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TBOOLEAN)
        luaL_error(L, "%s must be true or false, not %s", what, luaL_typename(L, index));
    return lua_toboolean(L, index);
}

/* ---- instruments ---- */

size_t symbol_place(const struct script *script, uint32_t instrument)
{
    for (size_t i = 0; i < script->symbol_count; i++)
        if (script->symbols[i] == instrument)
            return i;
    return SIZE_MAX;
}

uint32_t check_symbol(lua_State *L, const struct script *script, int index, const char *what)
{
    if (lua_isnoneornil(L, index))
        return script->symbols[0];
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s: symbol must be a string, not %s", what, luaL_typename(L, index));

    const char *symbol = lua_tostring(L, index);
    const char *known[INSTRUMENTS_MAX + 1] = { NULL };
    for (size_t i = 0; i < script->symbol_count; i++) {
        const struct instrument *instrument = &script->instruments->list[script->symbols[i]];
        if (strcmp(instrument->symbol, symbol) == 0)
            return script->symbols[i];
        size_t length = strlen(instrument->symbol);
        if (strncmp(instrument->symbol, symbol, length) == 0 && symbol[length] == '@' &&
            strcmp(instrument->venue, symbol + length + 1) == 0)
            return script->symbols[i];
        known[i] = instrument->symbol;
    }
    const char *nearest = text_nearest(symbol, known);
    luaL_error(L, "%s: '%s' is not among this strategy's symbols; %s '%s'", what, symbol,
               nearest ? "did you mean" : "the first is", nearest ? nearest : known[0]);
    return INSTRUMENT_NONE;
}

/* ---- refusals ---- */

int push_failure(lua_State *L, const char *code, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    lua_pushstring(L, code);
    return 3;
}

int push_refusal(lua_State *L, const struct refusal *refusal)
{
    if (refusal->code[0])
        return push_failure(L, refusal->code, refusal->reason);
    lua_pushnil(L);
    return 1;
}

/* ---- tables and metatables ---- */

void push_plain(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (lua_getmetatable(L, index)) {
        if (lua_rawgetp(L, -1, &SANDBOX_PROXY_KEY) == LUA_TTABLE) {
            lua_remove(L, -2);
            return;
        }
        lua_pop(L, 2);
    }
    lua_pushvalue(L, index);
}

void add_functions(lua_State *L, const luaL_Reg *list, void *self)
{
    lua_pushlightuserdata(L, self);
    luaL_setfuncs(L, list, 1);
}

void push_metatable(lua_State *L, const char *name, const luaL_Reg *metamethods, void *self)
{
    if (!luaL_newmetatable(L, name))
        return;
    add_functions(L, metamethods, self);
    sandbox_seal_metatable(L);
}

int raise_read_only(lua_State *L)
{
    const char *name =
        luaL_getmetafield(L, 1, "__name") == LUA_TSTRING ? lua_tostring(L, -1) : "it";
    return luaL_error(L, "%s is read-only; keep values of your own in ctx.state or in a local",
                      name);
}

/* t.nmae on a strict table: raises with the nearest key. Upvalue 1: what the table is called. */
static int strict_index(lua_State *L)
{
    const char *known[NAMES_STRICT_MAX + 1] = { NULL };
    const char *owner = lua_tostring(L, lua_upvalueindex(1));
    int count = 0;
    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "%s has named fields, not [%s]", owner, luaL_typename(L, 2));
    lua_settop(L, 2);
    sandbox_push_sorted_keys(L, 1);
    for (lua_Integer i = 1; count < NAMES_STRICT_MAX && lua_rawgeti(L, 3, i) == LUA_TSTRING; i++)
        known[count++] = lua_tostring(L, -1); /* the table keeps it */
    raise_unknown(L, owner, lua_tostring(L, 2), known);
}

void make_strict(lua_State *L, const char *owner)
{
    lua_newtable(L);
    lua_pushstring(L, owner);
    lua_pushcclosure(L, strict_index, 1);
    lua_setfield(L, -2, "__index");
    sandbox_seal_metatable(L);
    lua_setmetatable(L, -2);
    sandbox_read_only(L, NULL);
}

/* ---- rates ---- */

bool bucket_take(struct bucket *bucket, int64_t now_ns, int64_t per_second, int64_t burst)
{
    int64_t cost = NS_PER_SECOND / per_second, full = burst * cost;
    int64_t passed = now_ns - bucket->filled_ns;
    if (!bucket->begun || passed >= full - bucket->tokens)
        bucket->tokens = full;
    else if (passed > 0)
        bucket->tokens += passed;
    bucket->begun = true;
    bucket->filled_ns = now_ns;
    if (bucket->tokens < cost) {
        bucket->dropped++;
        return false;
    }
    bucket->tokens -= cost;
    return true;
}
