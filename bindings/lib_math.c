/* lib_math.c - Lua's mathematics, with random numbers that a run can repeat. */
#include "bindings/sandbox_internal.h"

static const char *const kept[] = { "abs",        "acos", "asin",      "atan",       "ceil",
                                    "cos",        "deg",  "exp",       "floor",      "fmod",
                                    "huge",       "log",  "max",       "maxinteger", "min",
                                    "mininteger", "modf", "pi",        "rad",        "sin",
                                    "sqrt",       "tan",  "tointeger", "type",       "ult" };

/* math.random([m [, n]]): seeded by the run, one stream per state. */
static int math_random(lua_State *L)
{
    struct random *random = &sandbox_of(L)->random;
    lua_Integer low = 1, high;
    switch (lua_gettop(L)) {
    case 0:
        lua_pushnumber(L, random_unit(random));
        return 1;
    case 1:
        high = luaL_checkinteger(L, 1);
        if (high == 0) {
            lua_pushinteger(L, (lua_Integer)random_next(random));
            return 1;
        }
        break;
    case 2:
        low = luaL_checkinteger(L, 1);
        high = luaL_checkinteger(L, 2);
        break;
    default:
        return luaL_error(L, "wrong number of arguments");
    }
    luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
    uint64_t width = (uint64_t)high - (uint64_t)low;
    uint64_t drawn = width == UINT64_MAX ? random_next(random) : random_below(random, width + 1);
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + drawn));
    return 1;
}

/* math.randomseed(...) does nothing: the run's seed is the only one (--seed). */
static int math_randomseed(lua_State *L)
{
    (void)L;
    return 0;
}

static const luaL_Reg functions[] = { { "random", math_random },
                                      { "randomseed", math_randomseed },
                                      { NULL, NULL } };

void lib_math_open(lua_State *L)
{
    lua_pushcfunction(L, luaopen_math);
    lua_call(L, 0, 1);
    int original = lua_gettop(L);
    luaL_newlib(L, functions);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        lua_getfield(L, original, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_remove(L, original);
}

static const char *const kept_utf8[] = { "char",  "charpattern", "codepoint",
                                         "codes", "len",         "offset" };

void lib_utf8_open(lua_State *L)
{
    lua_pushcfunction(L, luaopen_utf8);
    lua_call(L, 0, 1);
    int original = lua_gettop(L);
    lua_newtable(L);
    for (size_t i = 0; i < ARRAY_SIZE(kept_utf8); i++) {
        lua_getfield(L, original, kept_utf8[i]);
        lua_setfield(L, -2, kept_utf8[i]);
    }
    lua_remove(L, original);
}
