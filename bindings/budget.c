/* budget.c - how much a call may do, and how it is made to stop.
 *
 * Where instructions are counted a hook looks every HOOK_EVERY instructions. Elsewhere no hook is
 * set: an active hook makes Lua's VM trap at every instruction (1.7 times slower); the watchdog's
 * signal arms one when time is up. Work in C functions is charged as instructions, and each charge
 * looks at the clock outside too.
 *
 * Once spent, the hook fires at each instruction and throws a light userdata, which takes no memory
 * and which no script can hold. It is thrown again by everything that could catch it (R2), up to
 * the call from C. */
#include "bindings/sandbox_internal.h"

#include "runtime/base/clock.h"

static const char stop_value; /* its address is what is thrown */

bool budget_time_over(struct sandbox *sandbox)
{
    if (sandbox->beat)
        return beat_overdue(sandbox->beat);
    return clock_now(clock_monotonic()) > sandbox->guard_ns;
}

void budget_begin(struct sandbox *sandbox, enum sandbox_budget budget)
{
    budget_reset(sandbox);
    sandbox->loading = budget == BUDGET_LOAD;
    sandbox->counting = sandbox->always_counting || sandbox->loading;
    if (sandbox->counting) {
        sandbox->limit =
            sandbox->loading ? sandbox->limits.load_instructions : sandbox->limits.instructions;
        lua_sethook(sandbox->L, budget_hook, LUA_MASKCOUNT, HOOK_EVERY);
    }
    if (sandbox->beat)
        beat_enter(sandbox->beat, sandbox->L, sandbox->loading);
    else
        sandbox->guard_ns = clock_now(clock_monotonic()) + sandbox->guard_span_ns;
}

void budget_end(struct sandbox *sandbox)
{
    if (sandbox->beat)
        beat_leave(sandbox->beat);
    if (sandbox->counting)
        lua_sethook(sandbox->L, NULL, 0, 0);
    sandbox->memory.stopped = false;
    sandbox->last = sandbox->counting ? sandbox->used : 0;
    sandbox->counting = false;
}

void budget_stop(struct sandbox *sandbox, lua_State *L, enum stop stop)
{
    if (sandbox->stop != STOP_NONE)
        return;
    sandbox->stop = stop;
    failure_place(L, sandbox->failure.where, sizeof sandbox->failure.where);
}

void budget_arm(lua_State *L)
{
    if (lua_gethook(L) != budget_hook || lua_gethookmask(L) == 0 || lua_gethookcount(L) != 1)
        lua_sethook(L, budget_hook, LUA_MASKCOUNT, 1);
}

void budget_raise(lua_State *L)
{
    budget_arm(L); /* what script code were still to run meets it at its first instruction */
    lua_pushlightuserdata(L, (void *)(uintptr_t)&stop_value);
    lua_error(L);
    __builtin_unreachable();
}

static void look(struct sandbox *sandbox, lua_State *L)
{
    if (sandbox->stop == STOP_NONE) {
        if (budget_time_over(sandbox))
            budget_stop(sandbox, L, STOP_TIME);
        else if (sandbox->counting && sandbox->used > sandbox->limit)
            budget_stop(sandbox, L, STOP_INSTRUCTIONS);
        else
            return;
    }
    budget_raise(L);
}

void sandbox_charge(lua_State *L, uint64_t instructions)
{
    struct sandbox *sandbox = sandbox_of(L);
    sandbox->used += instructions;
    if (sandbox->depth > 0)
        look(sandbox, L);
}

static int hook_interval(const struct sandbox *sandbox, const lua_State *L)
{
    return L == sandbox->L ? HOOK_EVERY : HOOK_EVERY_COROUTINE;
}

void budget_attend(struct sandbox *sandbox, lua_State *L)
{
    bool hooked = lua_gethook(L) != NULL;
    if (sandbox->counting) {
        if (!hooked || lua_gethookcount(L) != hook_interval(sandbox, L))
            lua_sethook(L, budget_hook, LUA_MASKCOUNT, hook_interval(sandbox, L));
    } else if (hooked) {
        lua_sethook(L, NULL, 0, 0); /* armed by a signal in an earlier call */
    }
}

void budget_hook(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct sandbox *sandbox = sandbox_of(L);
    sandbox->used += (uint64_t)lua_gethookcount(L);
    look(sandbox, L);
    budget_attend(sandbox, L); /* a signal meant for a call that has ended is undone here */
}

void budget_check(lua_State *L, int status)
{
    struct sandbox *sandbox = sandbox_of(L);
    if (status == LUA_ERRMEM && ++sandbox->memory_hits >= MEMORY_HITS_MAX)
        budget_stop(sandbox, L, STOP_MEMORY);
    if (sandbox->stop != STOP_NONE)
        budget_raise(L);
}
