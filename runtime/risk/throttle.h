/* throttle.h - how often messages and executions may come: two sliding windows over market time.
 *
 * Pure; exact: at no instant are there more than the limit within the window that ends there. */
#ifndef RUNTIME_RISK_THROTTLE_H
#define RUNTIME_RISK_THROTTLE_H

#include "runtime/base/base.h"

#define THROTTLE_MAX 100000 /* the most that a limit can say */

/* The times of the newest events, a ring as large as the limit that watches it. */
struct throttle {
    int64_t *times; /* owned; NULL: nothing is counted */
    uint32_t size, next;
    uint64_t count; /* all that were ever noted */
};
/* `size` events are remembered. 0: none, and throttle_within is 0 always. */
void throttle_init(struct throttle *throttle, uint32_t size);
void throttle_release(struct throttle *throttle);
void throttle_note(struct throttle *throttle, int64_t now_ns); /* never earlier than the last one */
/* Takes back the newest `count` notes: a callback that asked for them has failed. What they pushed
 * out of the ring is lost; only the newest `size` are ever asked for, so that errs to the safe side
 * never: init with twice the limit where notes are taken back. */
void throttle_take_back(struct throttle *throttle, uint32_t count);
/* How many of the newest were later than now_ns - window_ns; counts no further than `most`. O(1)
 * to tell whether it is `most`: see throttle_is_full. */
uint32_t throttle_within(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                         uint32_t most);
/* Whether `most` (> 0, at most the size) lie within the window: one comparison. */
bool throttle_is_full(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                      uint32_t most);

/* Of `limit` messages a second, how many may be orders: the rest is kept for cancels. At least 1.
 * reserve: 0 <= share < 1. */
uint32_t throttle_for_orders(uint32_t limit, double reserve);

#endif
