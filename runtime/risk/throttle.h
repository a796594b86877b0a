/* throttle.h - how often messages and executions may come: two sliding windows over market time.
 *
 * Pure; exact: at no instant are there more than the limit within the window that ends there. */
#ifndef RUNTIME_RISK_THROTTLE_H
#define RUNTIME_RISK_THROTTLE_H

#include "runtime/base/base.h"

#define THROTTLE_MAX 100000 /* the most that a limit can say */

/* The times of the newest events: a ring of twice as many as are asked for, so that the newest of
 * them can be taken back and those before are still known. */
struct throttle {
    int64_t *times; /* owned; NULL: nothing is counted */
    uint32_t size;  /* events that can be asked for */
    uint32_t next;  /* where in the ring the next one goes */
    uint64_t count; /* all that were ever noted, less those taken back */
    uint64_t most;  /* the largest that count ever was */
};
/* The newest `size` events (at most THROTTLE_MAX) can be asked for. 0: none, and throttle_within is
 * 0 always. */
void throttle_init(struct throttle *throttle, uint32_t size);
void throttle_release(struct throttle *throttle);
/* An event earlier than the last one counts as of the last one's time: it stays for longer. */
void throttle_note(struct throttle *throttle, int64_t now_ns);
/* Takes back the newest `count` notes, as if they had never been made: the callback that asked for
 * them has failed. Of more than `size` at once the older ones stay: that counts too many, never too
 * few. */
void throttle_take_back(struct throttle *throttle, uint32_t count);
/* Notes what `from` knows, oldest first: another size counts on. */
void throttle_adopt(struct throttle *throttle, const struct throttle *from);
/* How many of the newest were later than now_ns - window_ns; counts no further than `most`, nor
 * than the size. */
uint32_t throttle_within(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                         uint32_t most);
/* Whether `most` (> 0, at most the size) lie within the window: one comparison. */
bool throttle_is_full(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                      uint32_t most);

/* Of `limit` (> 0) messages a second, how many may be orders: the rest is kept for cancels, rounded
 * up. At least 1. reserve: 0 <= share < 1. */
uint32_t throttle_for_orders(uint32_t limit, double reserve);

#endif
