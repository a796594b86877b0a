/* status.h - one live line on the terminal: time, equity, positions, orders, events a second.
 *
 * Drawn only on a terminal; log lines clear it and draw it again. */
#ifndef RUNTIME_OPERATE_STATUS_H
#define RUNTIME_OPERATE_STATUS_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/log.h"

struct status_facts {
    const char *mode; /* "PAPER", "LIVE" in red */
    int64_t market_ns;
    decimal equity, equity_start;
    const char *positions; /* "BTC +0.001  ETH -0.02", cut to the width */
    size_t open_orders;
    uint64_t fills;
    uint64_t events;  /* so far: the line shows the rate between two calls */
    double progress;  /* 0..1 through the feed, negative when unknown: a bar with ETA */
    const char *note; /* "replaying", "HALTED", or NULL */
};

struct status; /* opaque */
/* NULL when fd is no terminal (every function takes NULL and does nothing). */
struct status *status_open(int fd, bool colour, struct log *log);
void status_close(struct status *status); /* leaves the cursor on a clean line */
/* Draws when 100 ms have passed since the last time (monotonic now), or always if `force`. */
void status_draw(struct status *status, const struct status_facts *facts, int64_t mono_ns,
                 bool force);

#endif
