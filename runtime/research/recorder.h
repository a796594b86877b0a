/* recorder.h - what a run saw: its market events, in the CSV that any run can read again.
 *
 * One file per symbol and kind under a directory: SYMBOL-trades.csv (time,price,qty,side),
 * SYMBOL-quotes.csv (time,bid,ask,bid_qty,ask_qty), SYMBOL-bars.csv
 * (time,open,high,low,close,volume; time is the open). Times are epoch nanoseconds, numbers exact.
 * '/' and ':' in symbols become '-'. */
#ifndef RUNTIME_RESEARCH_RECORDER_H
#define RUNTIME_RESEARCH_RECORDER_H

#include "runtime/base/error.h"
#include "runtime/domain/event.h"
#include "runtime/domain/instrument.h"

struct recorder; /* opaque */
MUST_CHECK int recorder_open(const char *directory, const struct instruments *instruments,
                             struct recorder **out, struct error *err);
MUST_CHECK int recorder_put(struct recorder *recorder, const struct event *event,
                            struct error *err); /* market events; others are passed over */
MUST_CHECK int recorder_close(struct recorder *recorder,
                              struct error *err); /* flushes; NULL is fine */

#endif
