/* reach.h - which fault met an order in which status, which limit spoke with which verdict, and
 * which pairs can be met at all. */
#ifndef SIMULATION_REACH_H
#define SIMULATION_REACH_H

#include <stdio.h>

#include "runtime/domain/order.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/rules.h"

#define REACH_STATUSES (ORDER_UNKNOWN + 1) /* public ones */

enum reach_verdict { REACH_REDUCE, REACH_BLOCK, REACH_HALT, REACH_VERDICTS };

struct reach {
    uint64_t hits[FAULTS][REACH_STATUSES];
    uint64_t spoke[RULES][REACH_VERDICTS];
};

void reach_hit(struct reach *reach, enum fault fault, int status /* negative: no order */);
/* A limit spoke, by the code of its verdict; `set`: of two that share a code those that are set. */
void reach_spoke(struct reach *reach, const char *code, enum reach_verdict verdict,
                 const struct rules *rules);
void reach_add(struct reach *sum, const struct reach *more);
/* Prints the table; returns how many pairs that are declared reachable were not hit. */
size_t reach_print(const struct reach *reach, FILE *out);

#endif
