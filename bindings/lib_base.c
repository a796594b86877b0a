/* lib_base.c - the basic functions: what the sandbox keeps, and what it replaces.
 *
 * Kept from Lua: assert error ipairs rawequal select tonumber type.
 * Ours: pcall xpcall setmetatable getmetatable rawget rawset rawlen pairs next tostring print
 * collectgarbage("count").
 * Absent: load loadstring loadfile dofile warn and all of io, debug, package. */
#include "bindings/sandbox_internal.h"

#include <string.h>

/* ---- protected calls: they never swallow a spent budget (R2) ---- */

static int failed(lua_State *L)
{
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

static int finish_pcall(lua_State *L, int status, lua_KContext extra)
{
    budget_check(L, status);
    if (status != LUA_OK && status != LUA_YIELD)
        return failed(L);
    return lua_gettop(L) - (int)extra;
}

static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1); /* the first result, if all goes well */
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall);
    return finish_pcall(L, status, 0);
}

static int finish_handler(lua_State *L, int status, lua_KContext extra)
{
    (void)extra;
    budget_check(L, status);
    return failed(L); /* with what the handler returned, or raised */
}

static int finish_xpcall(lua_State *L, int status, lua_KContext extra)
{
    budget_check(L, status);
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)extra;
    lua_pushvalue(L, 2);
    lua_insert(L, -2);
    status = lua_pcallk(L, 1, 1, 0, 0, finish_handler);
    return finish_handler(L, status, 0);
}

/* The handler runs after unwinding: inside the error Lua would call it with hooks off, where a loop
 * is endless. */
static int base_xpcall(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* function, handler, true, function, arguments */
    int status = lua_pcallk(L, count - 2, LUA_MULTRET, 0, 2, finish_xpcall);
    return finish_xpcall(L, status, 2);
}

/* ---- metatables ---- */

static const char shadow_key;   /* in a script's metatable: its shadow */
static const char original_key; /* in a shadow: the script's metatable */
static const char mask_key;     /* in a shadow: which events it has */
static const char sealed_key;   /* in a metatable of the host */
const char SANDBOX_PROXY_KEY = 'p';

/* Lua's core reads only the shadow, which is brought up to date at each setmetatable. So a __gc,
 * __close or __mode that is set on the script's table later has no effect. */
static const char *const events[] = {
    "__index", "__newindex", "__call",  "__tostring", "__len", "__eq",   "__lt",
    "__le",    "__concat",   "__unm",   "__add",      "__sub", "__mul",  "__div",
    "__mod",   "__pow",      "__idiv",  "__band",     "__bor", "__bxor", "__shl",
    "__shr",   "__bnot",     "__pairs", "__name",
};
static const char *const refused[] = { "__gc", "__close", "__mode" };
#define EVENTS ((int)ARRAY_SIZE(events))
#define REFUSED ((int)ARRAY_SIZE(refused))
#define NAME_MAX_SHOWN 60 /* bytes of __name */

bool metatable_is_sealed(lua_State *L, int index)
{
    bool sealed = lua_rawgetp(L, index, &sealed_key) != LUA_TNIL;
    lua_pop(L, 1);
    return sealed;
}

bool value_is_sealed(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool sealed = metatable_is_sealed(L, -1);
    lua_pop(L, 1);
    return sealed;
}

void sandbox_seal_metatable(lua_State *L)
{
    lua_pushboolean(L, 1);
    lua_rawsetp(L, -2, &sealed_key);
}

bool proxy_push_behind(lua_State *L, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    if (lua_rawgetp(L, -1, &SANDBOX_PROXY_KEY) != LUA_TTABLE) {
        lua_pop(L, 2);
        return false;
    }
    lua_remove(L, -2);
    return true;
}

static void refuse_events(lua_State *L, int metatable)
{
    for (int i = 0; i < REFUSED; i++) {
        lua_pushvalue(L, lua_upvalueindex(EVENTS + 1 + i));
        if (lua_rawget(L, metatable) != LUA_TNIL)
            luaL_error(L, "setmetatable: %s is not available to scripts", refused[i]);
        lua_pop(L, 1);
    }
}

static bool event_is_usable(lua_State *L, int event)
{
    size_t length;
    /* Lua follows a chain of callable tables in one instruction, moving all arguments at each: a
     * table that is its own __call keeps it for minutes. */
    if (strcmp(events[event], "__call") == 0 && !lua_isfunction(L, -1))
        luaL_error(L, "setmetatable: __call is a %s, not a function", luaL_typename(L, -1));
    if (strcmp(events[event], "__name") != 0)
        return true;
    return lua_type(L, -1) == LUA_TSTRING && lua_tolstring(L, -1, &length) &&
           length <= NAME_MAX_SHOWN;
}

/* Copies the events of the script's metatable into its shadow (on the stack top). */
static void update_shadow(lua_State *L, int metatable)
{
    int shadow = lua_gettop(L);
    lua_rawgetp(L, shadow, &mask_key);
    lua_Integer before = lua_tointeger(L, -1), now = 0;
    lua_pop(L, 1);
    for (int i = 0; i < EVENTS; i++) {
        lua_Integer bit = (lua_Integer)1 << i;
        lua_pushvalue(L, lua_upvalueindex(i + 1));
        if (lua_rawget(L, metatable) != LUA_TNIL && event_is_usable(L, i)) {
            now |= bit;
        } else if (before & bit) {
            lua_pop(L, 1);
            lua_pushnil(L);
        } else {
            lua_pop(L, 1);
            continue;
        }
        lua_pushvalue(L, lua_upvalueindex(i + 1));
        lua_insert(L, -2);
        lua_rawset(L, shadow);
    }
    if (now != before) {
        lua_pushinteger(L, now);
        lua_rawsetp(L, shadow, &mask_key);
    }
}

static void push_shadow(lua_State *L, int metatable)
{
    if (lua_rawgetp(L, metatable, &shadow_key) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_createtable(L, 0, 4);
        lua_pushvalue(L, metatable);
        lua_rawsetp(L, -2, &original_key);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, metatable, &shadow_key);
    }
    update_shadow(L, metatable);
}

/* The metatable of the value at 1 as its script may see it: pushes it, false when there is none. */
static bool push_visible_metatable(lua_State *L, bool *protected)
{
    *protected = false;
    if (!lua_getmetatable(L, 1))
        return false;
    if (metatable_is_sealed(L, -1) || lua_rawgetp(L, -1, &original_key) != LUA_TTABLE) {
        *protected = true;
        lua_pushboolean(L, 0);
        return true;
    }
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) == LUA_TNIL)
        lua_pop(L, 1);
    else
        *protected = true;
    return true;
}

static int base_setmetatable(lua_State *L)
{
    bool is_protected;
    luaL_checktype(L, 1, LUA_TTABLE);
    int kind = lua_type(L, 2);
    luaL_argexpected(L, kind == LUA_TNIL || kind == LUA_TTABLE, 2, "nil or table");
    lua_settop(L, 2);
    if (push_visible_metatable(L, &is_protected) && is_protected)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (kind == LUA_TTABLE) {
        if (value_is_sealed(L, 2))
            return luaL_argerror(L, 2, "a table of the runtime cannot be a metatable");
        refuse_events(L, 2);
        push_shadow(L, 2);
    }
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int base_getmetatable(lua_State *L)
{
    bool is_protected;
    luaL_checkany(L, 1);
    if (!push_visible_metatable(L, &is_protected))
        lua_pushnil(L);
    return 1;
}

/* ---- raw access ---- */

static int base_rawget(lua_State *L)
{
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (proxy_push_behind(L, 1)) { /* a proxy's fields are as raw as they get */
        lua_pop(L, 1);
        lua_gettable(L, 1);
        return 1;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_rawget(L, 1);
    return 1;
}

static int base_rawset(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkany(L, 2);
    luaL_checkany(L, 3);
    lua_settop(L, 3);
    if (value_is_sealed(L, 1))
        return luaL_error(L, "rawset: a table of the runtime cannot be changed this way");
    lua_rawset(L, 1);
    return 1;
}

static int base_rawlen(lua_State *L)
{
    int kind = lua_type(L, 1);
    luaL_argexpected(L, kind == LUA_TTABLE || kind == LUA_TSTRING, 1, "table or string");
    if (kind == LUA_TTABLE && proxy_push_behind(L, 1))
        lua_replace(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

/* ---- traversal, in the contract's order ---- */

static int base_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    luaL_checkstack(L, 16, NULL);
    keys_push_next(L, 1, 2);
    if (lua_isnil(L, -1))
        return 1;
    lua_pushvalue(L, -1);
    if (proxy_push_behind(L, 1)) {
        lua_pop(L, 1);
        lua_gettable(L, 1);
    } else {
        lua_rawget(L, 1);
    }
    return 2;
}

/* Upvalues: the sorted keys, the place among them, whether the table is a proxy. The keys are those
 * at the call of pairs: what is added during the traversal is not visited. */
static int pairs_step(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    bool is_proxy = lua_toboolean(L, lua_upvalueindex(3));
    luaL_checktype(L, 1, LUA_TTABLE);
    for (;;) {
        at++;
        if (lua_rawgeti(L, lua_upvalueindex(1), at) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, -1);
        int kind = is_proxy ? lua_gettable(L, 1) : lua_rawget(L, 1);
        if (kind != LUA_TNIL)
            break;
        lua_pop(L, 2); /* removed during the traversal */
        if (at % 512 == 0)
            sandbox_charge(L, 64);
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int finish_pairs(lua_State *L, int status, lua_KContext extra)
{
    (void)L;
    (void)status;
    (void)extra;
    return 3;
}

static int base_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, finish_pairs);
        return 3;
    }
    bool is_proxy = proxy_push_behind(L, 1);
    if (is_proxy)
        lua_pop(L, 1);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    sandbox_push_sorted_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushboolean(L, is_proxy);
    lua_pushcclosure(L, pairs_step, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* ---- text ---- */

static int base_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    value_push_string(L, 1, NULL);
    return 1;
}

#define PRINT_MAX 1024
#define PRINT_COST 50 /* instructions: a line of the log */

/* print(...): the values as text, parted by tabs, as one line of the log; cut at 1 KiB. */
static int base_print(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    char line[PRINT_MAX + 64];
    sandbox_charge(L, PRINT_COST);
    size_t at = 0;
    int count = lua_gettop(L);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *text = value_push_string(L, i, &length);
        if (i > 1 && at < PRINT_MAX)
            line[at++] = '\t';
        if (at < PRINT_MAX) {
            size_t take = length < PRINT_MAX + 16 ? length : PRINT_MAX + 16; /* shown as cut */
            at += text_escape(line + at, PRINT_MAX - at + 8, text, take);
        }
        lua_pop(L, 1);
    }
    line[at] = '\0';
    if (sandbox->host.print)
        sandbox->host.print(sandbox->host.self, line);
    return 0;
}

static int base_collectgarbage(lua_State *L)
{
    const char *what = luaL_optstring(L, 1, "collect");
    if (strcmp(what, "count") != 0)
        return luaL_error(L,
                          "collectgarbage: only \"count\" is available; memory is the runtime's");
    lua_pushinteger(L, (lua_Integer)(sandbox_memory(sandbox_of(L)) >> 10));
    return 1;
}

/* ---- require ---- */

static bool is_module_name(const char *name, size_t length)
{
    if (length == 0 || length > 100 || strlen(name) != length)
        return false;
    char before = '/';
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool parts = c == '/' || c == '.';
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!word && !(parts && before != '/' && before != '.'))
            return false;
        before = c;
    }
    return before != '/' && before != '.';
}

/* As spelled, else with slashes for dots: require("stats.kalman") is lib/stats/kalman.lua. */
static const char *find_module(struct sandbox *sandbox, char *name, size_t *length)
{
    if (!sandbox->host.module)
        return NULL;
    const char *bytes = sandbox->host.module(sandbox->host.self, name, length);
    if (bytes || !strchr(name, '.'))
        return bytes;
    for (char *c = name; *c; c++)
        if (*c == '.')
            *c = '/';
    return sandbox->host.module(sandbox->host.self, name, length);
}

/* Upvalue 1: the modules by name; true while one loads. */
static int base_require(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    size_t length;
    char name[128], path[144] = "lib/";
    const char *asked = luaL_checklstring(L, 1, &length);
    if (!is_module_name(asked, length))
        return luaL_error(L, "require: a module's name is words parted by / or ., such as "
                             "require(\"stats/kalman\")");
    memcpy(name, asked, length + 1);
    lua_settop(L, 1);
    const char *bytes = find_module(sandbox, name, &length);
    if (!bytes)
        return luaL_error(L, "require: there is no lib/%s.lua beside the strategy", name);

    if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) {
        if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
            return luaL_error(L, "require: lib/%s.lua requires itself, or failed before", name);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, lua_upvalueindex(1), name);

    int line;
    memcpy(path + 4, name, strlen(name));
    memcpy(path + 4 + strlen(name), ".lua", 5);
    const char *fault = source_fault(bytes, length, &line);
    if (fault)
        return luaL_error(L, "%s:%d: %s", path, line, fault);
    int status = source_compile(sandbox, L, path, bytes, length);
    budget_check(L, status);
    if (status != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1) || (lua_isboolean(L, -1) && !lua_toboolean(L, -1))) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(1), name);
    return 1;
}

/* ---- the table ---- */

static const char *const kept[] = { "assert", "error",    "ipairs", "rawequal",
                                    "select", "tonumber", "type" };

static const luaL_Reg functions[] = { { "pcall", base_pcall },
                                      { "xpcall", base_xpcall },
                                      { "getmetatable", base_getmetatable },
                                      { "rawget", base_rawget },
                                      { "rawset", base_rawset },
                                      { "rawlen", base_rawlen },
                                      { "pairs", base_pairs },
                                      { "tostring", base_tostring },
                                      { "print", base_print },
                                      { "collectgarbage", base_collectgarbage },
                                      { NULL, NULL } };

void lib_base_open(lua_State *L, int original)
{
    int library = lua_gettop(L);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        lua_getfield(L, original, kept[i]);
        lua_setfield(L, library, kept[i]);
    }
    luaL_setfuncs(L, functions, 0);

    for (int i = 0; i < EVENTS; i++)
        lua_pushstring(L, events[i]);
    for (int i = 0; i < REFUSED; i++)
        lua_pushstring(L, refused[i]);
    lua_pushcclosure(L, base_setmetatable, EVENTS + REFUSED);
    lua_setfield(L, library, "setmetatable");

    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushinteger(L, 0);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, base_next, 4);
    lua_setfield(L, library, "next");

    lua_newtable(L);
    lua_pushcclosure(L, base_require, 1);
    lua_setfield(L, library, "require");

    lua_pushliteral(L, LUA_VERSION);
    lua_setfield(L, library, "_VERSION");
}
