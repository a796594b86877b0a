/* referee.h - judges each order as it leaves, by docs/risk.md and by nothing that the runtime says.
 *
 * It has books of its own (account.h) and shares no code with runtime/risk and the engine's gate.
 * What it counts is never more than what the runtime must count, so that a complaint is always
 * right; where the two may differ the comment in referee.c says which bound is taken.
 *
 *   C1  no order that adds risk leaves beyond a limit, with all that is open, on its way, unknown
 *       or resting here counted
 *   C8  after a loss that a limit bounds was reached, or a halt, nothing leaves that adds risk
 *   C12 an exit is no larger than what its entry filled and its exits have not, nor than what is
 *       held; linked orders together no larger than either; a target is not passed */
#ifndef SIMULATION_REFEREE_H
#define SIMULATION_REFEREE_H

#include "runtime/engine/ports.h"
#include "tests/simulation/rules.h"
#include "tests/simulation/wire.h"

struct referee; /* opaque */

struct referee *referee_open(uint32_t market_count);
void referee_close(struct referee *referee);

/* A process begins: what the last one heard is forgotten. Then it runs under these rules. ids: of
 * the instances, in the order of rules->strategies; names: of their strategies. */
void referee_restart(struct referee *referee);
struct referee_instances {
    uint32_t ids[RULE_STRATEGIES_MAX];
    const char *names[RULE_STRATEGIES_MAX];
    size_t count;
    const char *const *symbols; /* of the markets */
    const char *venue;
    int64_t leverage, now_ns;
};
void referee_begin(struct referee *referee, const struct rules *rules,
                   const struct referee_instances *instances);

/* A record of a turn that is in the ledger, at the turn's time; then all of the turn were told. */
void referee_record(struct referee *referee, const struct record *record, int64_t now_ns);
void referee_turn(struct referee *referee);
/* The runtime is about to hear this. */
void referee_event(struct referee *referee, const struct event *event);

/* It answers what an order waited for. */
void referee_answer(struct referee *referee, const struct report *report, int64_t now_ns);
/* The operator opened or closed the breaker. */
void referee_breaker(struct referee *referee, bool open);

/* It is about to leave: "" or what is not true of it. */
struct referee_send {
    enum wire_send kind; /* no query */
    const struct order *order;
    decimal qty, price; /* of an amend */
    int64_t now_ns;     /* the runtime's time */
    int64_t rate_ns;    /* that of its last event, by the venue's clock, which no restart moves */
};
const char *referee_send(struct referee *referee, const struct referee_send *send);

/* What the books hold of an order or a position after turns were lost with the power. */
void referee_order_is(struct referee *referee, const struct order *order);
void referee_position_is(struct referee *referee, uint32_t instance_id, uint32_t market,
                         const struct position *position);
/* Orders that are not in the books any more never were. */
void referee_forget_orders(struct referee *referee, bool (*is_known)(void *self, uint64_t order_id),
                           void *self);
/* What was recorded of the day may be gone. */
void referee_forget_figures(struct referee *referee);
/* Whether this halt was set or lifted nobody knows. */
void referee_halt_unsure(struct referee *referee, const char *scope);

#endif
