/* blotter.h - the orders of a session: all open ones, and the newest finished ones.
 *
 * Orders are known by id (the list is sorted by it) and by client order id. Pointers stay valid
 * until the order is forgotten, which happens only in blotter_prune and blotter_drop. */
#ifndef RUNTIME_ENGINE_BLOTTER_H
#define RUNTIME_ENGINE_BLOTTER_H

#include "runtime/base/base.h"
#include "runtime/domain/order.h"

/* What an open order counts for in the sums of what is at stake (exposure.c). */
struct stake {
    decimal qty, value, heat;
    decimal price;     /* DECIMAL_NONE: it counts nothing */
    decimal reference; /* what the market asked when it was counted first */
    bool opens;        /* it may add to a position */
    bool rests;        /* at the venue, at a limit: another order of ours could meet it */
    bool is_unfilled;
};

struct blotter; /* opaque */
struct blotter *blotter_open(size_t open_max, size_t done_kept);
void blotter_close(struct blotter *blotter);

/* Adds a copy, in the order of ids; the id must be new. NULL when open_max orders are open. */
struct order *blotter_add(struct blotter *blotter, const struct order *order);
/* Forgets the newest order: a callback that asked for it has failed. */
void blotter_drop(struct blotter *blotter, uint64_t order_id);
struct order *blotter_find(const struct blotter *blotter, uint64_t order_id);
/* By any client order id it has had. */
struct order *blotter_find_client(const struct blotter *blotter, const char *client_order_id);

/* As it was last counted; zero at first. */
struct stake *blotter_stake(struct order *order);

/* Another name of the same order: a replaced one, at a venue that renames them. */
void blotter_alias(struct blotter *blotter, struct order *order, const char *client_order_id);

/* Call after an order may have become final (or live again): keeps the list of open ones true. */
void blotter_update(struct blotter *blotter, struct order *order);
/* Forgets the oldest finished orders beyond done_kept. Between turns only. */
void blotter_prune(struct blotter *blotter);

/* Open orders, oldest first. Adding while walking is allowed: new ones come last. */
size_t blotter_open_count(const struct blotter *blotter);
struct order *blotter_open_at(const struct blotter *blotter, size_t index);
/* All kept orders, oldest first. */
size_t blotter_count(const struct blotter *blotter);
struct order *blotter_at(const struct blotter *blotter, size_t index);

#endif
