/* paper.h - a venue inside the process: fills orders against whatever market data drives the run.
 *
 * It fills the same port, with the same reports, asynchronously, as a real venue. An order takes
 * `latency` to arrive; a fill never uses a price from before that arrival unless it still stands
 * (a quote), and never one that the market did not offer; slippage comes on top.
 *
 * A bar is told at its end and fills inside its span: reports about it are events of its end whose
 * transact_ns lies inside. Exits that the engine asks for when it hears of such an entry still meet
 * the rest of that bar, so they are due at once: best before the engine is stepped with the bar.
 *
 * Each instance has its own sub-account here, so reduce-only is judged per instance. */
#ifndef RUNTIME_SIM_PAPER_H
#define RUNTIME_SIM_PAPER_H

#include "runtime/base/error.h"
#include "runtime/domain/calendar.h"
#include "runtime/engine/ports.h"
#include "runtime/sim/costs.h"

enum fill_on { FILL_ON_NEXT, FILL_ON_CLOSE, FILL_ON_INSTANT };

struct paper_options {
    const struct instruments *instruments;
    struct costs costs;
    int64_t latency_ns;
    enum fill_on fill_on;
    const struct calendar *const *calendars; /* by instrument, NULL: always open; borrowed */
    struct event_sink sink;
    uint64_t first_exec;     /* exec ids count from here; resumed sessions go on */
    const char *exec_prefix; /* makes exec ids unique over sessions */
    /* History for QUERY_BARS, or NULL: the query fails. */
    void (*history)(void *self, uint32_t instrument, int64_t tf_ns, int64_t to_ns, uint64_t limit,
                    void (*put)(void *self, const struct event *event), void *put_self);
    void *history_self;
};

struct paper; /* opaque */
MUST_CHECK int paper_open(const struct paper_options *options, struct paper **out,
                          struct error *err);
struct venue_port paper_port(struct paper *paper); /* its close closes the paper venue */

/* After a restart: what an instance held, so that reduce-only can be judged. Orders come back
 * through the port's restore. */
void paper_restore_position(struct paper *paper, uint32_t instance_id, uint32_t instrument,
                            decimal qty);

#endif
