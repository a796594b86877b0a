/* bars.h - the inside of one instrument's bars, for market.c alone.
 *
 * bars.c keeps what is closed: the lines, the newest bar, the studies. market.c fills the open bar
 * and decides when it closes. */
#ifndef RUNTIME_MARKET_BARS_H
#define RUNTIME_MARKET_BARS_H

#include "runtime/market/market.h"

enum bars_state {
    BARS_IDLE,  /* no bar is open */
    BARS_EMPTY, /* a bar is open and nothing happened in it yet (flat gaps only) */
    BARS_FILLED /* a bar is open */
};

struct bars {
    /* What every trade touches, together. A trade at trades_from_ns <= t < end_ns just adds up;
     * trades_from_ns is TIME_NEVER where that is not so. */
    int64_t trades_from_ns, end_ns;
    int64_t open, high, low, close, volume; /* mantissas of the open bar, when BARS_FILLED */
    struct bars *next;                      /* of the same instrument, longest timeframe first */

    enum bars_state state;
    int64_t begin_ns;     /* of the open bar */
    int64_t source_tf_ns; /* timeframe of the supplied bars that feed this; 0 = trades */
    size_t place;         /* in the market's list */
    const struct instrument *instrument;
    struct bar newest; /* tells instrument and timeframe from the start */
    bool flat_gaps;
    uint32_t flat_run; /* flat bars in a row up to the newest */
    uint32_t references;
    size_t study_count;
    struct study *studies[BARS_SERIES_MAX]; /* as made, so a study comes after the one it is on */
    struct series lines[BAR_LINES];
};

struct bars *bars_open(const struct instrument *instrument, uint32_t index, int64_t tf_ns,
                       bool flat_gaps);
void bars_close(struct bars *bars); /* with its studies, referenced or not */

/* False for a bar that is not newer than the newest kept one. */
bool bars_accepts(const struct bars *bars, int64_t time_ns);

/* Appends a closed bar and updates the studies. ASSERTs that it is accepted. */
void bars_push(struct bars *bars, int64_t time_ns, int64_t time_end_ns,
               const struct bar_event *mantissas);

/* Appends a bar of no volume at the newest close, right after the newest bar. */
void bars_push_flat(struct bars *bars);

#endif
