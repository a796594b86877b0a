/* reach.c - see reach.h. */
#include "tests/simulation/reach.h"

/* What a fault can meet: it strikes when something about an order is sent, happens or is told, and
 * the status is what the runtime believes at that moment. */
#define SENT (1u << ORDER_PENDING_NEW | 1u << ORDER_PENDING_CANCEL | 1u << ORDER_PENDING_REPLACE)
#define WORKS (1u << ORDER_NEW | 1u << ORDER_PARTIALLY_FILLED)
#define TOLD (SENT | WORKS)

static const unsigned declared[FAULTS] = {
    [FAULT_REQUEST_LOST] = SENT,
    [FAULT_ANSWER_LOST] = SENT,
    [FAULT_SERVER_ERROR] = SENT,
    [FAULT_SILENCE] = SENT,
    [FAULT_RATE_LIMIT] = SENT,
    [FAULT_REFUSED] = SENT,
    [FAULT_DUPLICATE] = TOLD,
    [FAULT_STREAM_LOSS] = TOLD,
    [FAULT_REORDER] = TOLD,
    [FAULT_NOT_FOUND] = 1u << ORDER_UNKNOWN,
    [FAULT_LATE_FILL] = 1u << ORDER_PENDING_CANCEL,
    [FAULT_OVERFILL] = 1u << ORDER_FILLED,
    [FAULT_ZERO_FILL] = 1u << ORDER_PENDING_NEW | WORKS,
};

void reach_hit(struct reach *reach, enum fault fault, int status)
{
    if (status >= 0)
        reach->hits[fault][status]++;
}

void reach_add(struct reach *sum, const struct reach *more)
{
    for (int f = 0; f < FAULTS; f++)
        for (int s = 0; s < REACH_STATUSES; s++)
            sum->hits[f][s] += more->hits[f][s];
}

size_t reach_print(const struct reach *reach, FILE *out)
{
    size_t missing = 0;
    fprintf(out, "%-16s", "fault");
    for (int s = 0; s < REACH_STATUSES; s++)
        fprintf(out, " %10.10s", order_status_name((enum order_status)s));
    fprintf(out, "\n");
    for (int f = 0; f < FAULTS; f++) {
        if (!declared[f])
            continue;
        fprintf(out, "%-16s", fault_name((enum fault)f));
        for (int s = 0; s < REACH_STATUSES; s++) {
            bool must = declared[f] & (1u << s);
            missing += must && reach->hits[f][s] == 0;
            fprintf(out, " %9" PRIu64 "%c", reach->hits[f][s],
                    must && reach->hits[f][s] == 0 ? '!'
                    : must                         ? '+'
                                                   : ' ');
        }
        fprintf(out, "\n");
    }
    if (missing)
        fprintf(out, "%zu pairs that can be reached were not (marked !)\n", missing);
    return missing;
}
