/* doubt.c - orders whose answer is missing. */
#include "runtime/engine/state.h"

void doubt_follow(struct engine *engine, struct order *order, const struct report *report,
                  int change)
{
    (void)engine, (void)order, (void)report, (void)change;
}
void doubt_begin(struct engine *engine, struct order *order)
{
    (void)engine, (void)order;
}
void doubt_all_in_flight(struct engine *engine)
{
    (void)engine;
}
void doubt_answer(struct engine *engine, const struct answer_event *answer)
{
    (void)engine, (void)answer;
}
void doubt_sent(struct engine *engine, const struct order *order)
{
    (void)engine, (void)order;
}
int64_t doubt_due_ns(const struct engine *engine)
{
    (void)engine;
    return TIME_NEVER;
}
void doubt_advance(struct engine *engine)
{
    (void)engine;
}
