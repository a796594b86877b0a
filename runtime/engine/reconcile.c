/* reconcile.c - our books against the venue's. */
#include "runtime/engine/state.h"

void reconcile_begin(struct engine *engine, bool at_start)
{
    (void)engine, (void)at_start;
}
void reconcile_soon(struct engine *engine)
{
    (void)engine;
}
void reconcile_stop(struct engine *engine)
{
    (void)engine;
}
void reconcile_follow(struct engine *engine, const struct report *report)
{
    (void)engine, (void)report;
}
void reconcile_position(struct engine *engine, uint32_t instrument,
                        const struct position_event *position)
{
    (void)engine, (void)instrument, (void)position;
}
void reconcile_cash(struct engine *engine, const struct cash_event *cash)
{
    (void)engine, (void)cash;
}
void reconcile_answer(struct engine *engine, const struct answer_event *answer)
{
    (void)engine, (void)answer;
}
int64_t reconcile_due_ns(const struct engine *engine)
{
    (void)engine;
    return TIME_NEVER;
}
void reconcile_advance(struct engine *engine)
{
    (void)engine;
}
bool engine_is_reconciling(const struct engine *engine)
{
    return engine->reconciliation.at_start;
}
size_t engine_orders_in_flight(const struct engine *engine)
{
    (void)engine;
    return 0;
}
void engine_set_external(struct engine *engine, uint32_t instance_id)
{
    (void)engine, (void)instance_id;
}
void engine_restore_cash(struct engine *engine, const struct cash_record *cash)
{
    (void)engine, (void)cash;
}
int engine_resume(struct engine *engine, int64_t now_ns, struct error *err)
{
    (void)engine, (void)now_ns, (void)err;
    return 0;
}
