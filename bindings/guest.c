/* guest.c - opens a strategy as a guest of the engine, and runs its callbacks.
 *
 * A callback is a transaction: when it fails, its changes to ctx.state are taken back here, and its
 * orders by the engine. Market callbacks push what was made at opening and allocate nothing; the
 * others are called from inside the protected call, where making values may fail safely. */
#include "bindings/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the sandbox asks ---- */

static int64_t host_now(void *self)
{
    return engine_now(((const struct script *)self)->engine);
}

static void host_print(void *self, const char *text)
{
    script_log(self, LOG_INFO, text);
}

static void host_slow(void *self, int64_t elapsed_ns)
{
    const struct script *script = self;
    LOG(script->log, LOG_WARN, "strategy", "a callback was slow",
        F_STR("strategy", script->info->name), F_STR("callback", callback_names[script->running]),
        F_DBL("ms", (double)elapsed_ns / (double)NS_PER_MS));
}

static const char *host_module(void *self, const char *name, size_t *length)
{
    return source_module(((const struct script *)self)->source, name, length);
}

/* ---- calling ---- */

/* A callback whose arguments are made inside the protected call. */
struct delivery {
    struct script *script;
    enum guest_call call;
    const struct guest_event *event;
};

/* { name = old value } of the params that changed. */
static void push_changed(lua_State *L, const struct script *script)
{
    const struct strategy_info *info = script->info;
    lua_newtable(L);
    for (size_t i = 0; i < info->param_count; i++) {
        const struct param_value *before = &script->params_before.values[i];
        if (param_equal(before, &script->params.values[i]))
            continue;
        param_push(L, before);
        lua_setfield(L, -2, info->params[i].name);
    }
}

static void push_view(lua_State *L, struct script *script, enum view_kind kind,
                      const struct guest_event *event)
{
    script->views[kind]->event = event;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->view_refs[kind]);
}

/* What stands between ctx and p. */
static void push_subject(lua_State *L, const struct delivery *delivery)
{
    struct script *script = delivery->script;
    const struct guest_event *event = delivery->event;
    switch (delivery->call) {
    case GUEST_ORDER:
        push_order(L, script, event->order->order_id);
        break;
    case GUEST_REJECT:
        push_order(L, script, event->order->order_id);
        lua_pushstring(L, event->name ? event->name : "");
        break;
    case GUEST_FILL:
        push_view(L, script, VIEW_FILL, event);
        break;
    case GUEST_RISK:
        push_view(L, script, VIEW_VERDICT, event);
        break;
    case GUEST_RECONCILE:
        push_view(L, script, VIEW_DIFFERENCE, event);
        break;
    case GUEST_CONNECTION:
    case GUEST_SESSION:
        lua_pushstring(L, script->instruments->list[event->instrument].venue);
        lua_pushstring(L, event->name);
        break;
    case GUEST_POSITION:
        push_position(L, script, event->instrument);
        break;
    case GUEST_STOP:
    case GUEST_TIMER:
    case GUEST_RELOAD:
        lua_pushstring(L, event->name ? event->name : "");
        break;
    default:
        break;
    }
}

static int deliver(lua_State *L)
{
    const struct delivery *delivery = lua_touserdata(L, 1);
    const struct script *script = delivery->script;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->calls[delivery->call]);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->ctx_ref);
    push_subject(L, delivery);
    if (delivery->call != GUEST_STOP)
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->params_ref);
    if (delivery->call == GUEST_PARAMS)
        push_changed(L, script);
    lua_call(L, lua_gettop(L) - 2, 0);
    return 0;
}

static int call_delivered(struct script *script, enum guest_call call,
                          const struct guest_event *event, struct error *err)
{
    struct delivery delivery = { .script = script, .call = call, .event = event };
    lua_pushcfunction(script->L, deliver);
    lua_pushlightuserdata(script->L, &delivery);
    int code = sandbox_call(script->sandbox, 1, 0,
                            call == GUEST_START ? BUDGET_LOAD : BUDGET_CALLBACK, err);
    script->views[VIEW_FILL]->event = NULL;
    script->views[VIEW_VERDICT]->event = NULL;
    script->views[VIEW_DIFFERENCE]->event = NULL;
    return code;
}

/* What market callbacks take, kept on the bottom of the main stack: copying it from there is the
 * cheapest push. From script->slots on: ctx, params, then function and view of each kind. */
static int hot_slot(const struct script *script, enum view_kind kind)
{
    return script->slots + 2 + 2 * (int)kind;
}

static int call_market(struct script *script, enum view_kind kind, const struct guest_event *event,
                       struct error *err)
{
    lua_State *L = script->L;
    int slot = hot_slot(script, kind);
    lua_pushvalue(L, slot);
    lua_pushvalue(L, script->slots);
    lua_pushvalue(L, slot + 1);
    lua_pushvalue(L, script->slots + 1);
    script->views[kind]->event = event;
    int code = sandbox_call(script->sandbox, 3, 0, BUDGET_CALLBACK, err);
    script->views[kind]->event = NULL;
    return code;
}

/* Allocates nothing once the stack has room. */
static int fill_slots(struct script *script, struct error *err)
{
    static const enum guest_call calls[] = {
        [VIEW_TICK] = GUEST_TRADE, [VIEW_QUOTE] = GUEST_QUOTE, [VIEW_BAR] = GUEST_BAR
    };
    lua_State *L = script->L;
    if (!lua_checkstack(L, 32))
        return error_set(err, ERROR_RANGE, "no memory for the stack");
    script->slots = lua_gettop(L) + 1;
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->ctx_ref);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->params_ref);
    for (size_t kind = 0; kind < ARRAY_SIZE(calls); kind++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->calls[calls[kind]]); /* nil without one */
        lua_rawgeti(L, LUA_REGISTRYINDEX, script->view_refs[kind]);
    }
    return 0;
}

static int run(struct script *script, enum guest_call call, const struct guest_event *event,
               struct error *err)
{
    script->running = call;
    switch (call) {
    case GUEST_TRADE:
        return call_market(script, VIEW_TICK, event, err);
    case GUEST_QUOTE:
        return call_market(script, VIEW_QUOTE, event, err);
    case GUEST_BAR:
        return call_market(script, VIEW_BAR, event, err);
    default:
        return call_delivered(script, call, event, err);
    }
}

/* Bars that call on_bar, told once on_start has asked for all of them. */
static void subscribe(struct script *script)
{
    struct bar_subscription list[SCRIPT_BARS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < script->bars_count; i++) {
        if (!script->bars_asked[i].events || script->calls[GUEST_BAR] == LUA_NOREF)
            continue;
        list[count++] = (struct bar_subscription){ .instrument = bars_instrument(script->bars[i]),
                                                   .tf_ns = bars_tf_ns(script->bars[i]) };
    }
    engine_subscribe_bars(script->engine, script->instance, list, count);
}

static int start(struct script *script, const struct guest_event *event, struct error *err)
{
    int code = 0;
    script->in_start = true;
    if (script->calls[GUEST_START] != LUA_NOREF)
        code = run(script, GUEST_START, event, err);
    script->in_start = false;
    script->studies_at_start = script->study_count;
    if (code == 0 && !script->rehearsal)
        subscribe(script);
    return code;
}

static int guest_call(void *self, enum guest_call call, const struct guest_event *event,
                      struct error *err)
{
    struct script *script = self;
    int code = 0;
    if (script->watchdog)
        watchdog_describe(script->watchdog, &script->subject);
    if (call == GUEST_START)
        code = start(script, event, err);
    else if (script->calls[call] != LUA_NOREF)
        code = run(script, call, event, err);
    if (code < 0)
        state_rollback(script->sandbox, &script->state);
    else
        state_commit(script->L, &script->state);
    return code;
}

/* ---- state, readiness ---- */

static bool write_state(struct script *script, struct text *body)
{
    struct error err = { 0 };
    int code = state_write(script->sandbox, &script->state, body, &err);
    if (code == 0 && !body->overflow)
        return true;
    LOG(script->log, LOG_ERROR, "strategy", "ctx.state cannot be stored",
        F_STR("strategy", script->info->name),
        F_STR("reason", code < 0 ? err.message : "its text is too long"));
    return false;
}

static bool guest_changed_state(void *self, struct text *body)
{
    struct script *script = self;
    if (!script->state.dirty || script->state.lost || !write_state(script, body))
        return false;
    script->state.dirty = false;
    return true;
}

void guest_state(const struct guest *guest, struct text *body)
{
    if (!write_state(guest->self, body))
        text_clear(body);
}

static bool guest_ready(void *self, uint32_t instrument)
{
    return series_ready(self, instrument);
}

size_t guest_bars(const struct guest *guest, struct bars *const **list)
{
    const struct script *script = guest->self;
    *list = script->bars;
    return script->bars_count;
}

/* ---- params ---- */

static int store_params(lua_State *L)
{
    const struct script *script = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->params_raw_ref);
    for (size_t i = 0; i < script->info->param_count; i++) {
        lua_pushstring(L, script->info->params[i].name);
        param_push(L, &script->params.values[i]);
        lua_rawset(L, -3);
    }
    return 0;
}

int guest_set_params(struct guest *guest, const struct params *params, struct error *err)
{
    struct script *script = guest->self;
    for (size_t i = 0; i < script->info->param_count; i++) {
        const struct param_spec *spec = &script->info->params[i];
        if (!spec->live && !param_equal(&params->values[i], &script->params.values[i]))
            return error_set(err, ERROR_REFUSED,
                             "%s is not live: it can change only by a restart or reload",
                             spec->name);
    }
    script->params_before = script->params;
    script->params = *params;
    return sandbox_protect(script->sandbox, store_params, script, err);
}

/* ---- opening ---- */

static void guest_close(void *self)
{
    struct script *script = self;
    series_close(script);
    if (script->sandbox)
        sandbox_close(script->sandbox);
    ta_release(&script->ta);
    state_close(&script->state);
    free(script);
}

static int open_tables(lua_State *L)
{
    struct script *script = lua_touserdata(L, 1);
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "format");
    script->format_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);

    params_push_raw(L, script->info, &script->params);
    lua_pushvalue(L, -1);
    script->params_raw_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    make_strict(L, "params");
    script->params_ref = luaL_ref(L, LUA_REGISTRYINDEX);

    state_open(L, &script->state);
    events_open(L, script);
    orders_open(L, script);
    series_open(L, script);
    ctx_open(L, script);
    return 0;
}

static int fetch_callbacks(lua_State *L)
{
    struct script *script = lua_touserdata(L, 1);
    strategy_push(L);
    for (int call = 0; call < GUEST_CALLS; call++) {
        lua_pushstring(L, callback_names[call]);
        if (lua_rawget(L, -2) == LUA_TFUNCTION)
            script->calls[call] = luaL_ref(L, LUA_REGISTRYINDEX);
        else
            lua_pop(L, 1);
    }
    return 0;
}

struct migration {
    struct script *script;
    const char *from;
};

/* S.migrate(state, old_version) -> a table that replaces the state, or nothing */
static int run_migrate(lua_State *L)
{
    const struct migration *migration = lua_touserdata(L, 1);
    strategy_push(L);
    lua_pushstring(L, "migrate");
    if (lua_rawget(L, -2) != LUA_TFUNCTION)
        return 0;
    state_push(L, &migration->script->state);
    lua_pushstring(L, migration->from);
    lua_call(L, 2, 1);
    if (lua_istable(L, -1))
        state_replace(L, &migration->script->state, -1);
    else if (!lua_isnil(L, -1))
        luaL_error(L, "S.migrate returns a table or nothing, not %s", luaL_typename(L, -1));
    return 0;
}

static int restore_state(struct script *script, const struct guest_options *options,
                         struct error *err)
{
    int code = 0;
    if (options->state_json && options->state_json[0])
        code = state_parse(script->sandbox, &script->state, options->state_json, err);
    if (code < 0 || !options->migrate_from)
        return code;
    struct migration migration = { .script = script, .from = options->migrate_from };
    lua_pushcfunction(script->L, run_migrate);
    lua_pushlightuserdata(script->L, &migration);
    code = sandbox_call(script->sandbox, 1, 0, BUDGET_LOAD, err);
    if (code < 0)
        return error_wrap(err, "migrate ctx.state from version %s", options->migrate_from);
    state_commit(script->L, &script->state);
    return 0;
}

static int open_script(struct script *script, const struct guest_options *options,
                       struct error *err)
{
    struct sandbox_host host = { .self = script,
                                 .now_ns = host_now,
                                 .print = host_print,
                                 .slow = host_slow,
                                 .module = host_module };
    int code = sandbox_open(options->limits, &host, options->seed, options->watchdog,
                            &script->sandbox, err);
    if (code < 0)
        return code;
    script->L = sandbox_lua(script->sandbox);
    code = sandbox_protect(script->sandbox, open_tables, script, err);
    if (code == 0)
        code = strategy_load(script->sandbox, script->source, &script->ta, err);
    if (code == 0)
        code = sandbox_protect(script->sandbox, fetch_callbacks, script, err);
    if (code == 0)
        code = restore_state(script, options, err);
    return code < 0 ? code : fill_slots(script, err);
}

static void name_subject(struct script *script)
{
    struct watchdog_subject *subject = &script->subject;
    text_copy(subject->source_hash, sizeof(subject->source_hash), script->info->hash);
    text_copy(subject->strategy, sizeof(subject->strategy), script->info->name);
    text_copy(subject->symbol, sizeof(subject->symbol),
              script->instruments->list[script->symbols[0]].symbol);
    subject->instance_id = script->instance_id;
}

static struct script *new_script(const struct guest_options *options)
{
    struct script *script = memory_new(sizeof(*script));
    script->source = options->source;
    script->info = options->info;
    script->params = *options->params;
    script->params_before = *options->params;
    script->engine = options->engine;
    script->market = engine_market(options->engine);
    script->instruments = engine_instruments(options->engine);
    script->symbols =
        engine_instance_instruments(options->engine, options->instance, &script->symbol_count);
    script->instance = options->instance;
    script->instance_id = options->instance_id;
    text_copy(script->mode, sizeof(script->mode), options->mode);
    script->log = options->log;
    script->watchdog = options->watchdog;
    name_subject(script);
    script->plot = options->plot;
    script->plot_self = options->plot_self;
    script->rehearsal = options->rehearsal;
    for (int call = 0; call < GUEST_CALLS; call++)
        script->calls[call] = LUA_NOREF;
    return script;
}

int guest_open(const struct guest_options *options, struct guest *out, struct error *err)
{
    struct script *script = new_script(options);
    int code = open_script(script, options, err);
    if (code < 0) {
        guest_close(script);
        return code;
    }
    *out = (struct guest){ .self = script,
                           .call = guest_call,
                           .state = guest_changed_state,
                           .ready = guest_ready,
                           .close = guest_close };
    for (int call = 0; call < GUEST_CALLS; call++)
        if (script->calls[call] != LUA_NOREF)
            out->calls |= 1u << call;
    return 0;
}

int guest_rehearse(struct guest *guest, struct error *err)
{
    struct script *script = guest->self;
    struct guest_event event = { .time_ns = engine_now(script->engine),
                                 .instrument = script->symbols[0] };
    int code = guest->call(script, GUEST_START, &event, err);
    if (code == 0 && script->stop_asked)
        return error_at(err, ERROR_DATA, script->source->path, "on_start stops the strategy: %s",
                        script->stop_reason);
    return code;
}
