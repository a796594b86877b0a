/* halts.c - where no new risk may go, and why: the session, one instrument, or for now nothing at
 * all because the books are being compared. Getting out is always possible. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"

/* A halt is an object in the ledger: {"code","reason"}, or {"lifted_by"}. */
static void record_halt(struct engine *engine, int instance, const char *scope, const char *key,
                        const char *value, const char *reason)
{
    engine->counts.halts += strcmp(key, "code") == 0;
    struct text body;
    text_init(&body, 4096);
    struct json_writer *writer = json_writer_open(&body, false);
    json_object_begin(writer);
    json_key(writer, key);
    json_string(writer, value);
    if (reason) {
        json_key(writer, "reason");
        json_string(writer, reason);
    }
    json_object_end(writer);
    json_writer_close(writer);
    turn_say(engine, RECORD_HALT, instance, scope, body.data);
    text_release(&body);
}

static const char *symbol_of(const struct engine *engine, uint32_t instrument)
{
    return engine->instruments->list[instrument].symbol;
}

static void set_halt(struct halt *halt, const char *code, const char *reason)
{
    halt->set = true;
    text_copy(halt->code, sizeof(halt->code), code);
    text_copy(halt->reason, sizeof(halt->reason), reason);
}

static void cancel_entries(struct engine *engine, uint32_t instrument)
{
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instrument == instrument && !order->reduce_only)
            desk_cancel(engine, order);
    }
}

void halts_instrument(struct engine *engine, uint32_t instrument, const char *code,
                      const char *reason)
{
    struct halt *halt = &engine->instrument_halts[instrument];
    char text[REASON_MAX + SYMBOL_MAX + 4];
    if (halt->set)
        return;
    rollout_watch_critical(engine);
    set_halt(halt, code, reason);
    halt->since_ns = engine->now_ns;
    snprintf(text, sizeof(text), "%s: no new risk: %s", symbol_of(engine, instrument), reason);
    turn_alert(engine, -1, code, text);
    record_halt(engine, -1, symbol_of(engine, instrument), "code", code, reason);
    cancel_entries(engine, instrument);
}

void halts_lift_instrument(struct engine *engine, uint32_t instrument, int64_t since_ns,
                           const char *by)
{
    struct halt *halt = &engine->instrument_halts[instrument];
    if (!halt->set || halt->since_ns > since_ns)
        return;
    halt->set = false;
    record_halt(engine, -1, symbol_of(engine, instrument), "lifted_by", by, NULL);
    LOG(engine->options.log, LOG_WARN, "risk", "the instrument trades again",
        F_STR("symbol", symbol_of(engine, instrument)), F_STR("by", by));
}

void halts_session(struct engine *engine, int instance, const char *code, const char *text,
                   bool for_day)
{
    if (engine->halted && !engine->halted_for_day)
        return; /* already, and for longer than a day */
    rollout_watch_critical(engine);
    engine->halted = true;
    engine->halted_for_day = for_day;
    text_copy(engine->halt_code, sizeof(engine->halt_code), code);
    text_copy(engine->halt_reason, sizeof(engine->halt_reason), text);
    record_halt(engine, instance, "session", "code", code, text);
    for (int i = 0; i < engine->instance_count; i++)
        desk_stop_orders(engine, i, POLICY_CANCEL);
}

/* Recorded, or a restart would find it standing and keep it for ever. */
void halts_lift_session(struct engine *engine, const char *by)
{
    if (!engine->halted)
        return;
    engine->halted = engine->halted_for_day = false;
    record_halt(engine, -1, "session", "lifted_by", by, NULL);
    LOG(engine->options.log, LOG_WARN, "risk", "the session trades again", F_STR("by", by),
        F_STR("reason", engine->halt_reason));
}

void halts_lift_day(struct engine *engine)
{
    if (engine->halted_for_day)
        halts_lift_session(engine, "the day's end");
}

static bool is_of(struct engine *engine, const struct scope *scope, const struct order *order)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance_of_order(engine, order), order->instrument, scopes);
    return scopes[scope->kind] == scope;
}

void halts_scope(struct engine *engine, struct scope *scope, const char *code, const char *reason)
{
    char text[REASON_MAX + sizeof(scope->name)];
    if (scope->halt.set)
        return;
    set_halt(&scope->halt, code, reason);
    scope->halt.since_ns = engine->now_ns;
    snprintf(text, sizeof(text), "%s: no new risk until the day ends: %s", scope->name, reason);
    turn_alert(engine, -1, code, text);
    record_halt(engine, -1, scope->key, "code", code, reason);
    for (size_t i = blotter_open_count(engine->blotter); i-- > 0;) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (!order->reduce_only && is_of(engine, scope, order))
            desk_cancel(engine, order);
    }
}

void halts_lift_scope(struct engine *engine, struct scope *scope, const char *by)
{
    if (!scope->halt.set)
        return;
    scope->halt.set = false;
    record_halt(engine, -1, scope->key, "lifted_by", by, NULL);
    LOG(engine->options.log, LOG_WARN, "risk", "new risk is allowed again",
        F_STR("scope", scope->name), F_STR("by", by));
}

void halts_enforce(struct engine *engine)
{
    for (size_t i = blotter_open_count(engine->blotter); i-- > 0;) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (!order->reduce_only && desk_must_go(engine, order))
            desk_cancel(engine, order);
    }
}

static const char *halted(struct engine *engine, const char *reason, const char **code)
{
    *code = "halted";
    snprintf(engine->guards.why, sizeof(engine->guards.why), "trading is halted: %.140s", reason);
    return engine->guards.why;
}

static const char *scope_halted(struct engine *engine, const struct scope *scope, const char **code)
{
    *code = "halted";
    snprintf(engine->guards.why, sizeof(engine->guards.why), "trading is halted: %.90s (%.45s)",
             scope->halt.reason, scope->name);
    return engine->guards.why;
}

bool halts_of_scopes(struct engine *engine, const struct order *order)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance_of_order(engine, order), order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        if (scopes[i]->halt.set)
            return true;
    return false;
}

const char *halts_why(struct engine *engine, int index, uint32_t instrument, const char **code)
{
    struct scope *scopes[SCOPES];
    if (engine->halted)
        return halted(engine, engine->halt_reason, code);
    if (engine->is_stopping && engine->stopping != POLICY_LEAVE)
        return halted(engine, "the run is ending", code);
    scopes_of(engine, index, instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        if (scopes[i]->halt.set)
            return scope_halted(engine, scopes[i], code);
    if (engine->instrument_halts[instrument].set)
        return halted(engine, engine->instrument_halts[instrument].reason, code);
    if (!engine->is_connected) {
        *code = "disconnected";
        return "the line to the venue is down";
    }
    if (engine->reconciliation.at_start) {
        *code = "reconciling";
        return "the books are being compared with the venue's";
    }
    if (engine->unmarked > 0 && scopes_watch_loss(engine)) {
        *code = "no_mark";
        return "a position from before the restart has no price yet: what is lost is not known";
    }
    return NULL;
}

void engine_restore_halt(struct engine *engine, const char *scope, const char *code,
                         const char *reason)
{
    if (strcmp(scope, "session") == 0) {
        engine->halted = true;
        engine->halted_for_day = strcmp(code, "daily_loss_limit") == 0;
        text_copy(engine->halt_code, sizeof(engine->halt_code), code);
        text_copy(engine->halt_reason, sizeof(engine->halt_reason), reason);
        return;
    }
    struct scope *found = scope_find(engine, scope);
    if (found) {
        set_halt(&found->halt, code, reason);
        return;
    }
    uint32_t instrument = instruments_find(engine->instruments, scope, NULL);
    if (instrument != INSTRUMENT_NONE)
        set_halt(&engine->instrument_halts[instrument], code, reason);
}

bool engine_is_halted(const struct engine *engine, const char **reason)
{
    if (reason)
        *reason = engine->halt_reason;
    return engine->halted;
}

const char *engine_halt_code(const struct engine *engine)
{
    return engine->halt_code;
}

bool engine_is_instrument_halted(const struct engine *engine, uint32_t instrument)
{
    return engine->instrument_halts[instrument].set;
}
