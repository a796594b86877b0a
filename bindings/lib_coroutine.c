/* lib_coroutine.c - coroutines that keep the budget: a hook on each, a cap on those alive, and the
 * watchdog told which one runs.
 *
 * Kept from Lua: yield isyieldable running. Absent: close (Lua 5.4.4 overflows the C stack on a
 * long chain of pending closes). */
#include "bindings/sandbox_internal.h"

static const char alive_key; /* registry: suspended or running coroutines -> true, weak */

#define CREATE_COST 100    /* instructions charged for a new coroutine: what its hook may not see */
#define COLLECT_COST 20000 /* for a full collection */

/* ---- how many live ---- */

static void push_alive(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &alive_key);
}

/* The coroutine at index has ended. */
static void forget(lua_State *L, int index)
{
    struct sandbox *sandbox = sandbox_of(L);
    push_alive(L);
    lua_pushvalue(L, index);
    bool counted = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    if (counted && sandbox->coroutines > 0)
        sandbox->coroutines--;
}

/* Those abandoned while suspended are found by a collection, made only when the cap is reached. */
static void recount(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    uint32_t count = 0;
    sandbox_charge(L, COLLECT_COST);
    lua_gc(L, LUA_GCCOLLECT);
    push_alive(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        count++;
    }
    lua_pop(L, 1);
    sandbox->coroutines = count;
}

static lua_State *new_coroutine(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    if (sandbox->coroutines >= sandbox->limits.coroutines) {
        recount(L);
        if (sandbox->coroutines >= sandbox->limits.coroutines)
            luaL_error(L, "more than %d coroutines are alive", (int)sandbox->limits.coroutines);
    }
    sandbox_charge(L, CREATE_COST);

    lua_State *coroutine = lua_newthread(L);
    lua_sethook(coroutine, NULL, 0, 0); /* a new thread inherits its maker's */
    push_alive(L);
    lua_pushvalue(L, 2);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    sandbox->coroutines++;
    lua_pushvalue(L, 1);
    lua_xmove(L, coroutine, 1);
    return coroutine;
}

/* ---- status ---- */

static const char *status_of(lua_State *L, lua_State *coroutine)
{
    lua_Debug ar;
    if (L == coroutine)
        return "running";
    switch (lua_status(coroutine)) {
    case LUA_YIELD:
        return "suspended";
    case LUA_OK:
        if (lua_getstack(coroutine, 0, &ar))
            return "normal"; /* it resumed another */
        return lua_gettop(coroutine) == 0 ? "dead" : "suspended";
    default:
        return "dead";
    }
}

static lua_State *check_coroutine(lua_State *L)
{
    lua_State *coroutine = lua_tothread(L, 1);
    luaL_argexpected(L, coroutine, 1, "coroutine");
    return coroutine;
}

static int coroutine_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

/* ---- resuming ---- */

static int refuse(lua_State *L, const char *why)
{
    lua_pushstring(L, why);
    return -1;
}

static bool has_ended(lua_State *coroutine, int code)
{
    /* An error before the start ("C stack overflow") leaves it as it was. */
    return code == LUA_OK || (code != LUA_YIELD && lua_status(coroutine) > LUA_YIELD);
}

static void run(struct sandbox *sandbox, lua_State *L)
{
    sandbox->running = L;
    if (sandbox->beat)
        atomic_store_explicit(&sandbox->beat->running, L, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* before the first instruction of L */
}

/* Moves `arguments` from the top of L to the coroutine at index, runs it, and moves the results
 * back: their number, or -1 with the error value on top. */
static int resume(lua_State *L, int index, int arguments)
{
    struct sandbox *sandbox = sandbox_of(L);
    lua_State *coroutine = lua_tothread(L, index);
    const char *status = status_of(L, coroutine);
    if (status[0] == 'd')
        return refuse(L, "cannot resume dead coroutine");
    if (status[0] != 's')
        return refuse(L, "cannot resume non-suspended coroutine");
    if (!lua_checkstack(coroutine, arguments))
        return refuse(L, "too many arguments to resume");

    int results = 0;
    lua_xmove(L, coroutine, arguments);
    budget_attend(sandbox, coroutine);
    run(sandbox, coroutine);
    int code = lua_resume(coroutine, L, arguments, &results);
    run(sandbox, L);

    if (has_ended(coroutine, code))
        forget(L, index);
    budget_check(L, code);
    if (code != LUA_OK && code != LUA_YIELD) {
        lua_xmove(coroutine, L, 1); /* the error value */
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(coroutine, results);
        return refuse(L, "too many results to resume");
    }
    lua_xmove(coroutine, L, results);
    return results;
}

static int coroutine_resume(lua_State *L)
{
    check_coroutine(L);
    int results = resume(L, 1, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    lua_insert(L, results >= 0 ? -(results + 1) : -2);
    return results >= 0 ? results + 1 : 2;
}

static int call_wrapped(lua_State *L)
{
    int results = resume(L, lua_upvalueindex(1), lua_gettop(L));
    if (results < 0)
        return lua_error(L);
    return results;
}

static int coroutine_create(lua_State *L)
{
    new_coroutine(L);
    return 1;
}

static int coroutine_wrap(lua_State *L)
{
    new_coroutine(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static const luaL_Reg functions[] = { { "create", coroutine_create },
                                      { "resume", coroutine_resume },
                                      { "status", coroutine_status },
                                      { "wrap", coroutine_wrap },
                                      { NULL, NULL } };
static const char *const kept[] = { "isyieldable", "running", "yield" };

void lib_coroutine_open(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &alive_key);

    lua_pushcfunction(L, luaopen_coroutine);
    lua_call(L, 0, 1);
    int original = lua_gettop(L);
    luaL_newlib(L, functions);
    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        lua_getfield(L, original, kept[i]);
        lua_setfield(L, -2, kept[i]);
    }
    lua_remove(L, original);
}
