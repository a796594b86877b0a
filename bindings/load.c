/* load.c - runs a strategy's chunk: the common beginning of describing, checking and opening it. */
#include "bindings/script.h"

static const char STRATEGY_KEY = 0; /* registry: the table that the chunk returned */

const char *const callback_names[GUEST_CALLS + 1] = {
    [GUEST_START] = "on_start",
    [GUEST_STOP] = "on_stop",
    [GUEST_TRADE] = "on_tick",
    [GUEST_QUOTE] = "on_quote",
    [GUEST_BAR] = "on_bar",
    [GUEST_ORDER] = "on_order",
    [GUEST_FILL] = "on_fill",
    [GUEST_REJECT] = "on_reject",
    [GUEST_POSITION] = "on_position",
    [GUEST_TIMER] = "on_timer",
    [GUEST_RISK] = "on_risk",
    [GUEST_RELOAD] = "on_reload",
    [GUEST_PARAMS] = "on_params",
    [GUEST_CONNECTION] = "on_connection",
    [GUEST_RECONCILE] = "on_reconcile",
    [GUEST_SESSION] = "on_session",
};

const char *strategy_module(void *source, const char *name, size_t *length)
{
    return source_module(source, name, length);
}

void strategy_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &STRATEGY_KEY);
}

static int open_libraries(lua_State *L)
{
    struct ta *ta = lua_touserdata(L, 1);
    ta_open(L, ta);
    stats_open(L);
    lua_pushboolean(L, false); /* makes the slot, so that filling it allocates nothing */
    lua_rawsetp(L, LUA_REGISTRYINDEX, &STRATEGY_KEY);
    return 0;
}

int strategy_load(struct sandbox *sandbox, const struct source *source, struct ta *ta,
                  struct error *err)
{
    lua_State *L = sandbox_lua(sandbox);
    int code = sandbox_protect(sandbox, open_libraries, ta, err);
    if (code < 0)
        return code;
    code = sandbox_load(sandbox, source->path, source->bytes, source->length, err);
    if (code < 0)
        return code;
    if (!lua_istable(L, -1)) {
        code = error_at(err, ERROR_DATA, source->path,
                        "a strategy file returns its table; this one returns %s (its last line "
                        "should be: return S)",
                        luaL_typename(L, -1));
        lua_pop(L, 1);
        return code;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &STRATEGY_KEY);
    sandbox_freeze_globals(sandbox);
    return 0;
}
