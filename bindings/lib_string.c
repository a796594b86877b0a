/* lib_string.c - strings: every function makes at most limits.string_max bytes.
 *
 * Kept from Lua: byte char len sub, and arithmetic on numerals ("10" + 1). Ours: find match gmatch
 * gsub (pattern.c), format (format.c), pack packsize unpack (pack.c), lower rep reverse upper.
 * Absent: dump. */
#include "bindings/lib_string.h"

#include <string.h>

static int string_rep(lua_State *L)
{
    struct builder out;
    size_t length, gap;
    const char *bytes = luaL_checklstring(L, 1, &length);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &gap);
    size_t unit = length + gap;
    if (count <= 0 || unit == 0) { /* no bytes, however often */
        lua_pushliteral(L, "");
        return 1;
    }
    size_t limit = sandbox_of(L)->limits.string_max;
    builder_open(L, &out);
    if ((lua_Unsigned)count > (limit + gap) / unit)
        builder_reserve(&out, SIZE_MAX); /* raises */
    size_t total = (size_t)count * unit - gap;
    char *to = builder_reserve(&out, total);
    memcpy(to, bytes, length);
    if (count > 1) {
        memcpy(to + length, separator, gap);
        for (size_t done = unit; done < total;) { /* doubling */
            size_t more = done < total - done ? done : total - done;
            memcpy(to + done, to, more);
            done += more;
        }
    }
    out.length = total;
    sandbox_charge(L, total / 256);
    builder_push(&out);
    return 1;
}

static int map_bytes(lua_State *L, char (*map)(char), bool backwards)
{
    struct builder out;
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    builder_open(L, &out);
    char *to = builder_reserve(&out, length);
    for (size_t i = 0; i < length; i++)
        to[backwards ? length - 1 - i : i] = map(bytes[i]);
    out.length = length;
    sandbox_charge(L, length / 64);
    builder_push(&out);
    return 1;
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

static char same(char c)
{
    return c;
}

static int string_lower(lua_State *L)
{
    return map_bytes(L, to_lower, false);
}

static int string_upper(lua_State *L)
{
    return map_bytes(L, to_upper, false);
}

static int string_reverse(lua_State *L)
{
    return map_bytes(L, same, true);
}

static const luaL_Reg functions[] = {
    { "find", string_find },
    { "format", string_format },
    { "gmatch", string_gmatch },
    { "gsub", string_gsub },
    { "lower", string_lower },
    { "match", string_match },
    { "pack", string_pack },
    { "rep", string_rep },
    { "packsize", string_packsize },
    { "reverse", string_reverse },
    { "unpack", string_unpack },
    { "upper", string_upper },
    { NULL, NULL },
};
static const char *const kept[] = { "byte", "char", "len", "sub" };

void lib_string_open(lua_State *L)
{
    lua_pushcfunction(L, luaopen_string);
    lua_call(L, 0, 1);
    int original = lua_gettop(L);
    luaL_newlib(L, functions);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        lua_getfield(L, original, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_remove(L, original);

    /* Methods are looked up here: the plain table, which no script holds. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushvalue(L, original);
    lua_setfield(L, -2, "__index");
    sandbox_seal_metatable(L);
    lua_pop(L, 2);
}
