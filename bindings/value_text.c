/* value_text.c - values as text, and text that grows: neither shows an address. */
#include "bindings/sandbox_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char identities_key; /* registry: object -> number, weak */

size_t number_text(lua_State *L, int index, char text[NUMBER_TEXT_MAX])
{
    if (lua_isinteger(L, index))
        return (size_t)snprintf(text, NUMBER_TEXT_MAX, LUA_INTEGER_FMT, lua_tointeger(L, index));
    lua_Number number = lua_tonumber(L, index);
    if (isnan(number))
        return (size_t)snprintf(text, NUMBER_TEXT_MAX, "nan"); /* never "-nan" */
    int length = snprintf(text, NUMBER_TEXT_MAX, LUA_NUMBER_FMT, number);
    if (text[strspn(text, "-0123456789")] == '\0') { /* as Lua shows a float that looks whole */
        memcpy(text + length, ".0", 3);
        length += 2;
    }
    return (size_t)length;
}

/* Objects are numbered in the order in which a script first asks. */
static lua_Integer identity_of(lua_State *L, int index)
{
    struct sandbox *sandbox = sandbox_of(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &identities_key) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "k");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &identities_key);
    }
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_Integer identity = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (identity == 0) {
        lua_pushvalue(L, index);
        lua_pushinteger(L, (lua_Integer)sandbox->identities + 1);
        lua_rawset(L, -3);
        identity = (lua_Integer)++sandbox->identities;
    }
    lua_pop(L, 1);
    return identity;
}

void sandbox_push_text(lua_State *L, int index)
{
    char number[NUMBER_TEXT_MAX];
    luaL_checkstack(L, 6, NULL);
    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        return;
    case LUA_TNUMBER:
        lua_pushlstring(L, number, number_text(L, index, number));
        return;
    case LUA_TBOOLEAN:
        lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
        return;
    case LUA_TNIL:
        lua_pushliteral(L, "nil");
        return;
    case LUA_TLIGHTUSERDATA:
        lua_pushliteral(L, "userdata");
        return;
    default:
        break;
    }
    lua_Integer identity = identity_of(L, index);
    const char *kind = luaL_typename(L, index);
    int named = luaL_getmetafield(L, index, "__name");
    if (named == LUA_TSTRING)
        kind = lua_tostring(L, -1);
    lua_pushfstring(L, "%s: #%I", kind, (LUAI_UACINT)identity);
    if (named != LUA_TNIL)
        lua_remove(L, -2);
}

const char *value_push_string(lua_State *L, int index, size_t *length)
{
    luaL_checkstack(L, 6, NULL);
    if (luaL_callmeta(L, index, "__tostring")) {
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "'__tostring' must return a string");
    } else {
        sandbox_push_text(L, index);
    }
    return lua_tolstring(L, -1, length);
}

/* ---- growing text ---- */

void builder_open(lua_State *L, struct builder *builder)
{
    lua_pushnil(L);
    builder->L = L;
    builder->slot = lua_gettop(L);
    builder->data = builder->local;
    builder->length = 0;
    builder->capacity = sizeof builder->local;
}

char *builder_reserve(struct builder *builder, size_t more)
{
    lua_State *L = builder->L;
    size_t limit = sandbox_of(L)->limits.string_max;
    if (more > limit || builder->length > limit - more)
        luaL_error(L, "the string would be longer than the %d KiB a library function may make",
                   (int)(limit >> 10));
    size_t need = builder->length + more;
    if (need > builder->capacity) {
        size_t capacity = builder->capacity * 2;
        if (capacity > limit)
            capacity = limit;
        if (capacity < need)
            capacity = need;
        luaL_checkstack(L, 2, NULL);
        char *data = lua_newuserdatauv(L, capacity, 0);
        memcpy(data, builder->data, builder->length);
        lua_replace(L, builder->slot);
        builder->data = data;
        builder->capacity = capacity;
    }
    return builder->data + builder->length;
}

void builder_add(struct builder *builder, const char *bytes, size_t length)
{
    memcpy(builder_reserve(builder, length), bytes, length);
    builder->length += length;
}

void builder_push(struct builder *builder)
{
    lua_pushlstring(builder->L, builder->data, builder->length);
}
