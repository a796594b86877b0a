/* referee.h - judges each order as it leaves, by docs/risk.md and by nothing that the runtime says.
 *
 * A naive account of its own in integers of lots and ticks: fed with the records that the ledger
 * committed, with the prices that the runtime was told, and with what is sent. It shares no code
 * with runtime/risk and runtime/engine/gate.c.
 *
 * What it counts is never more than what the runtime must count, so that a complaint is always
 * right; where the two may differ the comment in referee.c says which bound is taken, and why a
 * real break is seen all the same.
 *
 *   C1  no order that adds risk leaves beyond a limit, with all that is open, on its way, unknown
 *       or resting here counted
 *   C8  after a loss that a limit bounds was reached, nothing leaves that adds risk
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

/* A process begins under these rules. ids: of the instances, in the order of rules->strategies;
 * names: of their strategies. */
struct referee_instances {
    uint32_t ids[RULE_STRATEGIES_MAX];
    const char *names[RULE_STRATEGIES_MAX];
    size_t count;
    int64_t leverage;
};
void referee_begin(struct referee *referee, const struct rules *rules,
                   const struct referee_instances *instances);

/* A record of a turn that is in the ledger; the turn's last one was told. now_ns: the turn's time.
 */
void referee_record(struct referee *referee, const struct record *record, int64_t now_ns);
void referee_turn(struct referee *referee, int64_t now_ns);
/* The runtime is about to hear this. */
void referee_event(struct referee *referee, const struct event *event, int64_t now_ns);
/* It is about to leave: "" or what is not true of it. now_ns: the runtime's time; true_ns: the
 * venue's, which no restart moves. */
struct referee_send {
    enum wire_send kind;
    const struct order *order;
    decimal qty, price; /* of an amend */
    int64_t now_ns, true_ns;
};
const char *referee_send(struct referee *referee, const struct referee_send *send);
/* What the books hold of an order or a position after turns were lost with the power. */
void referee_order_is(struct referee *referee, const struct order *order);
void referee_position_is(struct referee *referee, uint32_t instance_id, uint32_t market,
                         const struct position *position);
/* All orders that are not in the books any more: they never were. */
void referee_forget_orders(struct referee *referee, bool (*is_known)(void *self, uint64_t order_id),
                           void *self);

#endif
