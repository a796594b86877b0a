/* sandbox.c - a state opened, called and closed.
 *
 * Stack slot 1 of the main thread holds the message handler for as long as the state lives, so a
 * call needs neither to push nor to fetch it: whoever works on sandbox_lua() keeps slot 1. */
#include "bindings/sandbox_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"

#define HANDLER 1         /* stack slot of the message handler */
#define HOST_STACK 200    /* slots the host may use without asking */
#define SUGGEST_COST 5000 /* instructions: comparing a name with all of them */
#define SUGGEST_MAX 300   /* globals among which a near miss is looked for */

void sandbox_limits_init(struct sandbox_limits *limits)
{
    *limits = (struct sandbox_limits){
        .callback_soft_ns = 10 * NS_PER_MS,
        .callback_hard_ns = 100 * NS_PER_MS,
        .instructions = 1000000,
        .load_instructions = 50000000,
        .exact_budget = false,
        .memory = (size_t)64 << 20,
        .pattern_steps = 1000000,
        .table_slots = 65536,
        .string_max = (size_t)16 << 20,
        .coroutines = 1000,
    };
}

lua_State *sandbox_lua(struct sandbox *sandbox)
{
    return sandbox->L;
}

struct sandbox *sandbox_of(lua_State *L)
{
    struct sandbox *sandbox; /* a new thread copies the main thread's extra space */
    memcpy(&sandbox, lua_getextraspace(L), sizeof(void *));
    return sandbox;
}

size_t sandbox_memory(const struct sandbox *sandbox)
{
    return sandbox->memory.used;
}

uint64_t sandbox_instructions_last(const struct sandbox *sandbox)
{
    return sandbox->last;
}

/* ---- globals ---- */

static const char declared_key; /* registry: names assigned while the file loads -> true */

/* Names near which a misspelt one is looked for; too many are not worth the time. */
static const char *nearest_global(lua_State *L, const char *name)
{
    const char *words[SUGGEST_MAX + 1];
    size_t count = 0;
    sandbox_charge(L, SUGGEST_COST);
    lua_pushglobaltable(L);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            continue;
        if (count == SUGGEST_MAX)
            return NULL;
        words[count++] = lua_tostring(L, -1);
    }
    words[count] = NULL;
    return text_nearest(name, words);
}

NORETURN static void raise_global(lua_State *L, const char *doing)
{
    char shown[80];
    size_t length;
    sandbox_push_text(L, 2);
    const char *name = lua_tolstring(L, -1, &length);
    text_escape(shown, sizeof shown, name, length);
    const char *near = lua_type(L, 2) == LUA_TSTRING ? nearest_global(L, name) : NULL;
    if (near)
        luaL_error(L, "%s undeclared global '%s' (did you mean '%s'?)", doing, shown, near);
    luaL_error(L, "%s undeclared global '%s': declare it while the file loads, or make it local",
               doing, shown);
    __builtin_unreachable();
}

static bool is_declared(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &declared_key);
    lua_pushvalue(L, 2);
    bool declared = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return declared;
}

static int global_index(lua_State *L)
{
    if (sandbox_of(L)->frozen && !is_declared(L))
        raise_global(L, "reading");
    lua_pushnil(L);
    return 1;
}

static int global_newindex(lua_State *L)
{
    lua_settop(L, 3);
    if (!is_declared(L)) {
        if (sandbox_of(L)->frozen)
            raise_global(L, "writing");
        lua_rawgetp(L, LUA_REGISTRYINDEX, &declared_key);
        lua_pushvalue(L, 2);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    lua_rawset(L, 1);
    return 0;
}

void sandbox_freeze_globals(struct sandbox *sandbox)
{
    sandbox->frozen = true;
}

/* ---- read-only tables ---- */

static int refuse_write(lua_State *L)
{
    char shown[80] = "";
    size_t length;
    if (lua_type(L, 2) == LUA_TSTRING) {
        const char *name = lua_tolstring(L, 2, &length);
        text_escape(shown, sizeof shown, name, length);
    }
    return luaL_error(L, "%s is read-only%s%s%s", lua_tostring(L, lua_upvalueindex(1)),
                      *shown ? " (field '" : "", shown, *shown ? "')" : "");
}

static int length_behind(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, lua_upvalueindex(1)));
    return 1;
}

void sandbox_read_only(lua_State *L, const char *name)
{
    int plain = lua_gettop(L);
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L); /* what scripts hold */
    lua_createtable(L, 0, 8);
    lua_pushvalue(L, plain);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, plain);
    lua_rawsetp(L, -2, &SANDBOX_PROXY_KEY);
    lua_pushstring(L, name ? name : "the table");
    lua_pushcclosure(L, refuse_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushvalue(L, plain);
    lua_pushcclosure(L, length_behind, 1);
    lua_setfield(L, -2, "__len");
    sandbox_seal_metatable(L);
    lua_setmetatable(L, -2);
    lua_replace(L, plain);
    if (name) {
        lua_pushglobaltable(L);
        lua_pushstring(L, name);
        lua_rotate(L, plain, -1);
        lua_rawset(L, plain);
        lua_pop(L, 1);
    }
}

/* ---- opening ---- */

static void open_original(lua_State *L, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
}

/* The globals scripts get are a fresh table into which only what is allowed is put. */
static int open_libraries(lua_State *L)
{
    struct sandbox *sandbox = lua_touserdata(L, 1);
    allocator_measure(L, &sandbox->memory, sandbox->limits.table_slots);
    open_original(L, luaopen_base);
    int base = lua_gettop(L);

    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &declared_key);

    lua_newtable(L);
    int globals = lua_gettop(L);
    lua_createtable(L, 0, 4);
    lua_pushcfunction(L, global_index);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, global_newindex);
    lua_setfield(L, -2, "__newindex");
    sandbox_seal_metatable(L);
    int metatable = lua_gettop(L);

    lua_pushvalue(L, globals);
    lib_base_open(L, base);
    lua_pushvalue(L, globals);
    lua_setfield(L, globals, "_G");
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, globals);

    static const struct {
        const char *name;
        void (*open)(lua_State *L);
    } libraries[] = {
        { "string", lib_string_open },       { "table", lib_table_open },
        { "math", lib_math_open },           { "os", lib_os_open },
        { "coroutine", lib_coroutine_open }, { "utf8", lib_utf8_open },
    };
    for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
        libraries[i].open(L);
        sandbox_read_only(L, libraries[i].name);
    }
    return 0;
}

static int on_panic(lua_State *L)
{
    const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text";
    fprintf(stderr, "runtime: a Lua error outside any protected call: %s\n", message);
    return 0; /* Lua aborts */
}

int sandbox_open_failing(const struct sandbox_limits *limits, const struct sandbox_host *host,
                         uint64_t seed, struct watchdog *watchdog, uint64_t fail_at, bool fail_on,
                         struct sandbox **out, struct error *err)
{
    *out = NULL;
    struct sandbox *sandbox = memory_new(sizeof *sandbox);
    sandbox->limits = *limits;
    if (host)
        sandbox->host = *host;
    sandbox->beat = watchdog ? watchdog_beat(watchdog) : NULL;
    sandbox->always_counting = limits->exact_budget || !watchdog;
    sandbox->guard_span_ns = GUARD_NS;
    sandbox->memory.limit = limits->memory;
    sandbox->memory.fail_at = fail_at;
    sandbox->memory.fail_on = fail_on;
    sandbox->memory.owner = sandbox;
    random_seed(&sandbox->random, seed);

    lua_State *L = lua_newstate(allocator_run, &sandbox->memory);
    sandbox->L = sandbox->running = L;
    if (L) {
        lua_atpanic(L, on_panic);
        memcpy(lua_getextraspace(L), &sandbox, sizeof(void *));
        if (lua_checkstack(L, HOST_STACK)) {
            lua_pushcfunction(L, failure_handler);
            if (sandbox_protect(sandbox, open_libraries, sandbox, err) == 0 &&
                sandbox->memory.used <= limits->memory) {
                *out = sandbox;
                return 0;
            }
        }
    }
    sandbox_close(sandbox);
    return error_set(err, ERROR_RANGE,
                     "the memory cap of %zu KiB is too small for Lua's libraries "
                     "(sandbox.memory_mb)",
                     limits->memory >> 10);
}

int sandbox_open(const struct sandbox_limits *limits, const struct sandbox_host *host,
                 uint64_t seed, struct watchdog *watchdog, struct sandbox **out, struct error *err)
{
    return sandbox_open_failing(limits, host, seed, watchdog, 0, false, out, err);
}

void sandbox_close(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    ASSERT(sandbox->depth == 0);
    if (sandbox->L) /* finalizers are the host's: a script's never reach a metatable (R4) */
        lua_close(sandbox->L);
    ASSERT(sandbox->memory.used == 0);
    for (size_t i = 0; i < sandbox->chunk_count; i++)
        free(sandbox->chunks[i]);
    free(sandbox);
}

/* ---- calling ---- */

/* A call from C inside a call: the budgets of the outer one go on. */
static int call_nested(struct sandbox *sandbox, int arguments, int results, struct error *err)
{
    lua_State *L = sandbox->running;
    sandbox->failure.is_set = false;
    int status = lua_pcall(L, arguments, results, 0);
    if (status == LUA_OK)
        return 0;
    failure_take(sandbox, L, -1);
    lua_pop(L, 1);
    if (status == LUA_ERRMEM && ++sandbox->memory_hits >= MEMORY_HITS_MAX)
        budget_stop(sandbox, L, STOP_MEMORY);
    if (sandbox->stop != STOP_NONE)
        budget_arm(L); /* R2, in what called us */
    return failure_report(sandbox, status, err);
}

static int fail(struct sandbox *sandbox, int status, struct error *err)
{
    lua_pop(sandbox->L, 1);
    lua_sethook(sandbox->L, NULL, 0, 0);
    sandbox->memory.stopped = false;
    return failure_report(sandbox, status, err);
}

static inline void tell_slow(struct sandbox *sandbox, int64_t begun_ns)
{
    int64_t elapsed_ns = beat_clock_ns(sandbox->beat) - begun_ns;
    if (elapsed_ns > sandbox->limits.callback_soft_ns && sandbox->host.slow)
        sandbox->host.slow(sandbox->host.self, elapsed_ns);
}

/* Where the watchdog's time is the only budget nothing is armed and nothing to be disarmed. */
static int call_timed(struct sandbox *sandbox, int arguments, int results)
{
    budget_reset(sandbox);
    int64_t begun_ns = beat_clock_ns(sandbox->beat);
    beat_enter(sandbox->beat, sandbox->L, false);
    int status = lua_pcall(sandbox->L, arguments, results, HANDLER);
    beat_leave(sandbox->beat);
    tell_slow(sandbox, begun_ns);
    return status;
}

static int call_counted(struct sandbox *sandbox, int arguments, int results,
                        enum sandbox_budget budget)
{
    budget_begin(sandbox, budget);
    int64_t begun_ns = sandbox->beat ? beat_clock_ns(sandbox->beat) : 0;
    int status = lua_pcall(sandbox->L, arguments, results, HANDLER);
    budget_end(sandbox);
    if (sandbox->beat && budget == BUDGET_CALLBACK)
        tell_slow(sandbox, begun_ns);
    return status;
}

int sandbox_call(struct sandbox *sandbox, int arguments, int results, enum sandbox_budget budget,
                 struct error *err)
{
    if (sandbox->depth > 0) {
        ASSERT(sandbox->running == sandbox->L); /* the arguments lie on the main thread */
        return call_nested(sandbox, arguments, results, err);
    }
    ASSERT(lua_tocfunction(sandbox->L, HANDLER) == failure_handler);
    sandbox->depth = 1;
    int status = budget == BUDGET_CALLBACK && !sandbox->always_counting
                     ? call_timed(sandbox, arguments, results)
                     : call_counted(sandbox, arguments, results, budget);
    sandbox->depth = 0;
    return status == LUA_OK ? 0 : fail(sandbox, status, err);
}

int sandbox_protect(struct sandbox *sandbox, lua_CFunction function, void *argument,
                    struct error *err)
{
    lua_State *L = sandbox->running;
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, argument);
    if (sandbox->depth > 0)
        return call_nested(sandbox, 1, 0, err);

    uint64_t last = sandbox->last;
    sandbox->depth = 1;
    budget_begin(sandbox, BUDGET_LOAD);
    sandbox->memory.limit +=
        MEMORY_HEADROOM; /* the host goes on where a script filled its memory */
    int status = lua_pcall(L, 1, 0, HANDLER);
    sandbox->memory.limit -= MEMORY_HEADROOM;
    budget_end(sandbox);
    sandbox->depth = 0;
    sandbox->last = last;
    return status == LUA_OK ? 0 : fail(sandbox, status, err);
}

int sandbox_compile(struct sandbox *sandbox, const char *path, const char *bytes, size_t length,
                    struct error *err)
{
    ASSERT(sandbox->depth == 0);
    char where[256];
    int line;
    const char *fault = source_fault(bytes, length, &line);
    if (fault) {
        snprintf(where, sizeof where, "%.240s:%d", path, line);
        return error_at(err, ERROR_DATA, where, "%s", fault);
    }
    sandbox->depth = 1;
    budget_begin(sandbox, BUDGET_LOAD);
    if (sandbox->guard_span_ns > COMPILE_NS)
        sandbox->guard_ns -= sandbox->guard_span_ns - COMPILE_NS;
    int status = source_compile(sandbox, sandbox->L, path, bytes, length);
    budget_end(sandbox);
    sandbox->depth = 0;
    if (status == LUA_OK)
        return 0;
    failure_take(sandbox, sandbox->L, -1);
    return fail(sandbox, status, err);
}

int sandbox_load(struct sandbox *sandbox, const char *path, const char *bytes, size_t length,
                 struct error *err)
{
    struct error ignored;
    if (!err)
        err = &ignored;
    int code = sandbox_compile(sandbox, path, bytes, length, err);
    if (code == 0)
        code = sandbox_call(sandbox, 0, 1, BUDGET_LOAD, err);
    if (code == 0)
        return 0;
    if (!err->where[0])
        snprintf(err->where, sizeof err->where, "%.250s", path);
    return err->code = ERROR_DATA; /* a spent budget is the file's fault here */
}
