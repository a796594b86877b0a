/* synthetic.h - the embedded market: trades and quotes that never end, the same for the same seed.
 *
 * The market is a pure function of (seed, symbol, minute): each minute's events come from counter-
 * based randomness, so any stretch of time, the history before the start included, can be made
 * again without the rest. Volatility clusters, trends turn, spreads breathe with volatility. */
#ifndef RUNTIME_SIM_SYNTHETIC_H
#define RUNTIME_SIM_SYNTHETIC_H

#include "runtime/base/error.h"
#include "runtime/domain/instrument.h"
#include "runtime/engine/ports.h"

struct synthetic_options {
    uint64_t seed;
    double volatility; /* annual, 0.6 */
    double spread_bps; /* typical, 1.0 */
    int64_t origin_ns; /* where prices stand at their base: --clock-start */
    int64_t start_ns;  /* first event at or after it; >= origin when resumed */
};

/* Tick, lot and rules of a symbol: known ones by table, others made from the name. Always tradable
 * with small capital. The currency is left to instruments_add, which takes it from the symbol. */
void synthetic_instrument(const char *symbol, struct instrument *out);

struct synthetic; /* opaque */
/* ERROR_CONFIG when an option is out of range. */
MUST_CHECK int synthetic_open(const struct synthetic_options *options,
                              const struct instruments *instruments, struct synthetic **out,
                              struct error *err);
void synthetic_close(struct synthetic *synthetic);
struct feed_port synthetic_feed(struct synthetic *synthetic); /* its close is synthetic_close */

/* Closed bars of one instrument that ended at or before to_ns, oldest first, exactly those its
 * trades make. Calls put with EVENT_BAR events (is_history set). */
void synthetic_history(struct synthetic *synthetic, uint32_t instrument, int64_t tf_ns,
                       int64_t to_ns, uint64_t limit,
                       void (*put)(void *self, const struct event *event), void *self);

#endif
