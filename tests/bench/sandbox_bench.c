/* sandbox_bench.c - what a call into the sandbox costs beside a bare lua_pcall, in one run.
 *
 * Each figure is the least of several rounds, and each round runs all variants in turn, so that
 * what else the machine does falls on all of them alike. Only ratios are to be quoted. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/sandbox.h"
#include "runtime/base/clock.h"

#define CALLS 1000000
#define ROUNDS 15

static const char script[] = "local fast, slow, held = 0, 0, 0\n"
                             "local S = {}\n"
                             "function S.empty(price, qty, time) end\n"
                             "function S.ema(price, qty, time)\n"
                             "  fast = fast + (price - fast) * 2 / 13\n"
                             "  slow = slow + (price - slow) * 2 / 27\n"
                             "  if fast > slow and held == 0 then held = 1 elseif fast < slow and "
                             "held == 1 then held = 0 end\n"
                             "end\n"
                             "return S\n";

struct variant {
    const char *name;
    struct sandbox *sandbox; /* NULL: a bare lua_pcall */
    lua_State *L;
    int function; /* registry reference */
    int64_t best_ns;
};

static void push_arguments(lua_State *L, int function, int i)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    lua_pushnumber(L, 100.0 + (i & 63));
    lua_pushnumber(L, 1.0);
    lua_pushinteger(L, i);
}

static void run_bare(lua_State *L, int function)
{
    for (int i = 0; i < CALLS; i++) {
        push_arguments(L, function, i);
        if (lua_pcall(L, 3, 0, 0) != LUA_OK)
            abort();
    }
}

static void run_sandbox(struct sandbox *sandbox, lua_State *L, int function)
{
    struct error err;
    for (int i = 0; i < CALLS; i++) {
        push_arguments(L, function, i);
        if (sandbox_call(sandbox, 3, 0, BUDGET_CALLBACK, &err) < 0)
            abort();
    }
}

static void run(struct variant *variant)
{
    int64_t begun = clock_now(clock_monotonic());
    if (variant->sandbox)
        run_sandbox(variant->sandbox, variant->L, variant->function);
    else
        run_bare(variant->L, variant->function);
    int64_t spent = clock_now(clock_monotonic()) - begun;
    if (variant->best_ns == 0 || spent < variant->best_ns)
        variant->best_ns = spent;
}

static int function_of(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct sandbox *open_sandbox(struct watchdog *watchdog, bool exact)
{
    struct sandbox_limits limits;
    struct sandbox *sandbox;
    struct error err;
    sandbox_limits_init(&limits);
    limits.exact_budget = exact;
    if (sandbox_open(&limits, NULL, 1, watchdog, &sandbox, &err) < 0 ||
        sandbox_load(sandbox, "bench.lua", script, strlen(script), &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return sandbox;
}

int main(void)
{
    struct watchdog_options options = { .hard_ns = 100 * NS_PER_MS, .quarantine_fd = -1 };
    struct watchdog *watchdog;
    struct error err;
    if (watchdog_open(&options, &watchdog, &err) < 0)
        return 1;

    lua_State *bare = luaL_newstate();
    if (!bare || luaL_dostring(bare, script) != LUA_OK)
        return 1;
    struct sandbox *plain = open_sandbox(watchdog, false);
    struct sandbox *exact = open_sandbox(watchdog, true);
    lua_State *P = sandbox_lua(plain), *E = sandbox_lua(exact);
    struct variant variants[] = {
        { "empty, bare lua_pcall", NULL, bare, function_of(bare, "empty"), 0 },
        { "empty, sandbox_call", plain, P, function_of(P, "empty"), 0 },
        { "empty, exact budget", exact, E, function_of(E, "empty"), 0 },
        { "EMA, bare lua_pcall", NULL, bare, function_of(bare, "ema"), 0 },
        { "EMA, sandbox_call", plain, P, function_of(P, "ema"), 0 },
        { "EMA, exact budget", exact, E, function_of(E, "ema"), 0 },
    };
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
            run(&variants[i]);

    printf("sandbox: %-24s %10s %8s\n", "call", "ns", "ratio");
    for (size_t i = 0; i < ARRAY_SIZE(variants); i++)
        printf("sandbox: %-24s %10.1f %8.2f\n", variants[i].name,
               (double)variants[i].best_ns / CALLS,
               (double)variants[i].best_ns / (double)variants[i - i % 3].best_ns);

    sandbox_close(exact);
    sandbox_close(plain);
    lua_close(bare);
    watchdog_close(watchdog);
    return 0;
}
