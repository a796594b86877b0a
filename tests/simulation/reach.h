/* reach.h - which fault met an order in which status, and which pairs can be met at all. */
#ifndef SIMULATION_REACH_H
#define SIMULATION_REACH_H

#include <stdio.h>

#include "runtime/domain/order.h"
#include "tests/simulation/faults.h"

#define REACH_STATUSES (ORDER_UNKNOWN + 1) /* public ones */

struct reach {
    uint64_t hits[FAULTS][REACH_STATUSES];
};

void reach_hit(struct reach *reach, enum fault fault, int status /* negative: no order */);
void reach_add(struct reach *sum, const struct reach *more);
/* Prints the table; returns how many pairs that are declared reachable were not hit. */
size_t reach_print(const struct reach *reach, FILE *out);

#endif
