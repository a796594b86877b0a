/* engine_bench.c - what the whole engine adds to a strategy's callback, in one run.
 *
 * The same array of trades and the same EMA cross, three ways: an inlined C loop, a C loop that
 * calls the Lua function by lua_pcall with the contract's three arguments, and the engine with
 * market, paper venue, gate and a ledger on disk. Each figure is the least of several rounds, and
 * each round runs all ways in turn. Only ratios are to be quoted.
 *
 *   sparse: an order on at most one of 1,000 ticks (the aim: engine within 2x of bare lua_pcall)
 *   dense:  an order on every thirtieth tick or so (printed without an aim) */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "tests/bench/rig.h"

#define ROUNDS 5
#define START_NS INT64_C(1704067200000000000)

/* Counts every allocation of this process: glibc lets a program stand before its malloc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
static uint64_t allocations;
void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}

/* ---- the inlined C loop ------------------------------------------------------------------------
 */

static uint64_t run_c(const struct ticks *ticks, int fast_n, int slow_n)
{
    double fast = 0, slow = 0, a = 2.0 / (fast_n + 1), b = 2.0 / (slow_n + 1);
    bool above = false;
    uint64_t orders = 0;
    for (size_t i = 0; i < ticks->count; i++) {
        double price = (double)ticks->events[i].trade.price / 10.0;
        if (i == 0)
            fast = slow = price;
        fast = fast + (price - fast) * a;
        slow = slow + (price - slow) * b;
        if ((fast > slow) != above) {
            above = !above;
            orders++;
        }
    }
    return orders;
}

/* ---- the bare lua_pcall loop: a ctx that does nothing, a reused tick userdata
 * -------------------- */

struct bare_tick {
    const struct event *event;
};

static int bare_index(lua_State *L)
{
    const struct bare_tick *tick = lua_touserdata(L, 1);
    size_t length;
    const char *key = lua_tolstring(L, 2, &length);
    if (length == 5 && memcmp(key, "price", 5) == 0)
        lua_pushnumber(L, (double)tick->event->trade.price / 10.0);
    else
        lua_pushnil(L);
    return 1;
}

static uint64_t bare_orders;

static int bare_target(lua_State *L)
{
    (void)L;
    bare_orders++;
    return 0;
}

static int keep_message(lua_State *L)
{
    (void)L;
    return 1;
}

static uint64_t run_bare(const struct ticks *ticks, const char *text, int fast_n, int slow_n)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dostring(L, text) != LUA_OK)
        abort();
    lua_getfield(L, -1, "on_tick");
    int function = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L); /* ctx */
    lua_pushcfunction(L, bare_target);
    lua_setfield(L, -2, "target");
    struct bare_tick *tick = lua_newuserdatauv(L, sizeof(*tick), 0);
    lua_newtable(L);
    lua_pushcfunction(L, bare_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_newtable(L); /* p */
    lua_pushinteger(L, fast_n);
    lua_setfield(L, -2, "fast");
    lua_pushinteger(L, slow_n);
    lua_setfield(L, -2, "slow");
    int p = lua_gettop(L), ctx = p - 2;
    lua_pushcfunction(L, keep_message);
    int handler = lua_gettop(L);
    bare_orders = 0;
    for (size_t i = 0; i < ticks->count; i++) {
        tick->event = &ticks->events[i];
        lua_rawgeti(L, LUA_REGISTRYINDEX, function);
        lua_pushvalue(L, ctx);
        lua_pushvalue(L, ctx + 1);
        lua_pushvalue(L, p);
        if (lua_pcall(L, 3, 0, handler) != LUA_OK)
            abort();
    }
    lua_close(L);
    return bare_orders;
}

/* ---- the figures
 * ------------------------------------------------------------------------------------ */

static void measure(const char *name, size_t count, int fast, int slow)
{
    char text[2048];
    snprintf(text, sizeof(text), strategy_text, fast, slow);
    struct risk_limits none;
    risk_limits_init(&none);
    struct ticks ticks = make_ticks(count, START_NS);
    double c = 0, bare = 0, whole = 0;
    uint64_t orders = 0, wanted = 0, per_tick = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begun = clock_now(clock_monotonic());
        wanted = run_c(&ticks, fast, slow);
        keep_least(&c, since(begun));
        begun = clock_now(clock_monotonic());
        if (run_bare(&ticks, text, fast, slow) != wanted)
            abort();
        keep_least(&bare, since(begun));
        struct rig *rig = rig_open(text, &none, START_NS);
        uint64_t before = allocations;
        begun = clock_now(clock_monotonic());
        orders = rig_run(rig, &ticks);
        keep_least(&whole, since(begun));
        per_tick = allocations - before;
        rig_close(rig);
    }
    double n = (double)count;
    printf("%-7s %9zu ticks, %6" PRIu64 " orders (%.2f of 1,000 ticks)\n", name, count, orders,
           1000.0 * (double)orders / n);
    printf(
        "        C loop %6.1f ns/tick   bare lua_pcall %6.1f   engine %6.1f   (%.1f M ticks/s)\n",
        c / n, bare / n, whole / n, n / whole * 1e3);
    printf("        engine to bare lua_pcall: %.2f   engine to C loop: %.1f\n", whole / bare,
           whole / c);
    printf("        allocations: %.4f a tick, %.0f an order\n", (double)per_tick / n,
           orders ? (double)per_tick / (double)orders : 0.0);
    free(ticks.events);
}

int main(void)
{
    measure("quiet", 1000000, 50000, 99999);
    measure("sparse", 100000, 600, 3000);
    measure("sparse", 1000000, 600, 3000);
    measure("sparse", 10000000, 600, 3000);
    measure("dense", 1000000, 12, 26);
    return 0;
}
