/* model.h - a second, naive account of what happened, and what must always be true.
 *
 * It is fed with the turns that the ledger committed, with what leaves for the venue, and looks at
 * the exchange's own orders and trades. Sums are in 128-bit integers; it never calls the runtime's
 * order machine, portfolio or decimals to add. The first thing that is not true is kept as text.
 *
 *   C1  no order leaves beyond a limit (referee.h)
 *   C2  an intent becomes at most one order at the venue
 *   C3  filled is the sum of the fills; what is open has something left
 *   C4  an order's status only takes legal steps
 *   C5  a position is the sum of its fills and adjustments, its money the sum of theirs; each trade
 *       of the venue is booked at most once and as it was
 *   C6  what leaves is in the ledger already
 *   C7  the ledger's chain of hashes is whole (chain.h, at each start)
 *   C8  while halted nothing leaves that adds risk
 *   C9  no order that adds risk leaves above the operator's limit
 *   C10 queues and lists are bounded
 *   C11 a strategy hears of each fill once
 *   C12 an intent's orders fill no more than was asked for
 *   C13 what has ended here does not work at the venue then
 *   C14 a position is not acted on while our books and the venue agree
 *   C15 a trade that was booked is taken back when its bust is told
 *   C16 an order that waits here leaves or ends when the price goes through its trigger
 *   Q1  at rest: open orders and positions are the venue's, or the difference is flagged
 *   Q2  at rest: nothing is under way or in doubt
 *   Q3  at rest: money is the venue's to the last digit, where it tells trades
 *   Q4  what a new start reads is what the last process knew, its halts too
 *   Q5  after healing an order goes through again
 *   Q6  at rest: no more exits than there is to protect, and no order whose linked one is filled */
#ifndef SIMULATION_MODEL_H
#define SIMULATION_MODEL_H

#include "runtime/app/session.h"
#include "tests/simulation/exchange.h"
#include "tests/simulation/referee.h"
#include "tests/simulation/wire.h"

struct model; /* opaque */

struct model *model_open(const struct exchange *exchange);
void model_close(struct model *model);
void model_set_wire(struct model *model, const struct wire *wire);

/* What is not true: "C5 ..."; NULL: all is well. */
const char *model_failure(const struct model *model);
PRINTF_LIKE(2, 3) void model_fail(struct model *model, const char *format, ...);

/* The ledger committed this turn. */
void model_commit(struct model *model, const struct turn *turn);
/* The process ended inside this commit: whether it counts the next start tells. */
void model_commit_unsure(struct model *model, const struct turn *turn);
void model_settle_unsure(struct model *model, const struct ledger_port *ledger);
/* Power is lost: turns without an intent or a fill may be gone, and the next start says how orders
 * stand. */
void model_loses_power(struct model *model);
/* It is about to leave. */
void model_send(struct model *model, const struct referee_send *send);
/* The process is about to hear this. */
void model_event(struct model *model, const struct event *event);
/* After each event. */
void model_step(struct model *model, const struct session *session);
/* A process begins: what the last one heard is forgotten. */
void model_restart(struct model *model);
/* It has begun, under these limits: the engine's books against ours. */
void model_reopened(struct model *model, const struct rules *rules, const struct session *session,
                    const char *const *symbols);
/* The operator opened the breaker, or closed it. */
void model_breaker(struct model *model, bool open);
/* From now on strategies are called no more, until a process begins. */
void model_silence(struct model *model, bool silent);
/* From now on no limit order that adds risk may be worth more. */
void model_limit_orders(struct model *model, int64_t usd);
/* What the venue did that our books may show for ever. */
struct model_excuses {
    bool quantity; /* it changed what it had said (busts, overfills): a halt or an adjustment may
                      stand; otherwise each is one too many */
    bool money;    /* it said so only once, and that may have been lost */
};
/* At rest, with all faults over. */
void model_rest(struct model *model, const struct session *session,
                const struct model_excuses *excuses);

/* The mirror's status of an order, for the table of what was reached; -1: not known. */
int model_status(const struct model *model, const char *client_order_id);
/* How many orders that are not over stand in each status. */
void model_count_open(const struct model *model, uint64_t counts[ORDER_UNKNOWN + 1]);
uint64_t model_transitions(const struct model *model);
/* Requests that risk blocked, as recorded. */
uint64_t model_refused(const struct model *model);
uint64_t model_fills(const struct model *model);

#endif
