/* operator.c - what a person asks of a running engine: halt, lift, flatten; and why orders did not
 * leave. Each call is a turn of its own. */
#include "runtime/engine/state.h"

#include <string.h>

static void reach(struct engine *engine, int64_t now_ns)
{
    if (now_ns > engine->now_ns && engine->started_ns == TIME_NEVER)
        engine->now_ns = now_ns;
}

/* Positions are closed by orders that only reduce; a halt lets these pass. */
static void flatten_all(struct engine *engine)
{
    for (int i = 0; i < engine->instance_count; i++)
        desk_stop_orders(engine, i, POLICY_FLATTEN);
}

int engine_halt(struct engine *engine, int64_t now_ns, const char *code, const char *reason,
                bool everything, bool flatten, struct error *err)
{
    reach(engine, now_ns);
    turn_alert(engine, -1, code, reason);
    halts_session(engine, -1, code, reason, false);
    engine->closes_all |= flatten;
    if (flatten)
        flatten_all(engine);
    else if (everything)
        engine_cancel_everything(engine);
    return turn_finish(engine, err);
}

int engine_lift_halts(struct engine *engine, int64_t now_ns, const char *by, struct error *err)
{
    reach(engine, now_ns);
    halts_lift_session(engine, by);
    scopes_lift_all(engine, by);
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        halts_lift_instrument(engine, i, INT64_MAX, by);
    engine->cancels_all = engine->closes_all = false;
    return turn_finish(engine, err);
}

static bool is_meant(const struct order *order, uint32_t instrument)
{
    return instrument == INSTRUMENT_NONE || order->instrument == instrument;
}

static void flatten_instance(struct engine *engine, int index, uint32_t instrument)
{
    struct instance *instance = &engine->instances[index];
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id == instance->instance_id && is_meant(order, instrument) &&
            desk_ends_with(order, POLICY_FLATTEN))
            desk_cancel(engine, order);
    }
    for (size_t k = 0; k < instance->instrument_count; k++)
        if (instrument == INSTRUMENT_NONE || instance->instruments[k] == instrument)
            targets_flatten(engine, index, instance->instruments[k],
                            decimal_abs(instance->holdings[k].position.qty));
}

int engine_flatten(struct engine *engine, int64_t now_ns, int index, uint32_t instrument,
                   struct error *err)
{
    reach(engine, now_ns);
    for (int i = 0; i < engine->instance_count; i++)
        if (index < 0 || index == i)
            flatten_instance(engine, i, instrument);
    return turn_finish(engine, err);
}

/* ---- why an order did not leave as asked ---- */

void operator_note_verdict(struct engine *engine, const struct told_verdict *verdict)
{
    engine->verdicts[engine->verdict_next % VERDICTS_KEPT] = *verdict;
    engine->verdict_next++;
}

bool engine_verdict(const struct engine *engine, size_t index, struct told_verdict *out)
{
    if (index >= engine->verdict_next || index >= VERDICTS_KEPT)
        return false;
    *out = engine->verdicts[(engine->verdict_next - 1 - index) % VERDICTS_KEPT];
    return true;
}
