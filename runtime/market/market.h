/* market.h - what is known of the market: last trade, quote, bars, and the series drawn from them.
 *
 * A bar closes when the clock reaches its end, before any event at or after it; no trades, no bar
 * (unless flat gaps are asked for). Bars of one timeframe build from trades, or from smaller bars
 * where bars are what the data has. Series are shared: the same (bars, kind, params) asked for
 * twice is one series with two references. Nothing here allocates per event.
 *
 * Closed values are kept for SERIES_KEPT steps. */
#ifndef RUNTIME_MARKET_MARKET_H
#define RUNTIME_MARKET_MARKET_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/domain/event.h"
#include "runtime/domain/instrument.h"
#include "runtime/market/indicator.h"

#define SERIES_KEPT 1024
#define MARKET_BARS_MAX 1024 /* (instrument, timeframe, gaps) triples in one session */
#define BARS_SERIES_MAX 256  /* series on one of them */

/* One line of values, newest first by series_at(s, 1). */
struct series {
    double ring[SERIES_KEPT];
    uint64_t count; /* values ever pushed */
};

/* A plain line of closed values: x[1] is the newest. NaN when there is no such value. */
static inline double series_at(const struct series *series, uint64_t back)
{
    if (back == 0 || back > series->count || back > SERIES_KEPT)
        return __builtin_nan("");
    return series->ring[(series->count - back) % SERIES_KEPT];
}
void series_push(struct series *series, double value);

/* Lines crossing at the newest value: x was at or below y, and is above it now; or the mirror. */
bool series_crossed_above(const struct series *x, const struct series *y);
bool series_crossed_below(const struct series *x, const struct series *y);
/* Of the newest n; NaN when there are fewer. */
double series_highest(const struct series *series, uint64_t n);
double series_lowest(const struct series *series, uint64_t n);
double series_change(const struct series *series, uint64_t n); /* x[1] - x[1 + n] */
double series_zscore(const struct series *series, uint64_t n); /* population deviation; NaN if 0 */

enum bar_line { BAR_OPEN, BAR_HIGH, BAR_LOW, BAR_CLOSE, BAR_VOLUME, BAR_LINES };

/* A closed bar, as callbacks see it. */
struct bar {
    uint32_t instrument;
    int64_t tf_ns;
    int64_t time_ns, time_end_ns;
    double open, high, low, close, volume;
};

struct bars;  /* opaque: the bars of one (instrument, timeframe, gaps) */
struct study; /* opaque: one indicator on bars, or on another series; holds its lines */

struct market; /* opaque */
struct market *market_open(const struct instruments *instruments);
void market_close(struct market *market);

/* ---- events in ---- */
void market_trade(struct market *market, const struct event *event);
void market_quote(struct market *market, const struct event *event);
/* A supplied bar: feeds the bars of its timeframe (event time - open_ns) and the larger ones built
 * from it. The last part of a larger bar is told at that bar's end, so the clock closes such bars
 * one nanosecond after their end, and market_bar itself when the last part comes. History bars
 * (is_history) only fill the bars of their own timeframe; they must be finished, come in order and
 * before live ones: one that is not newer than the newest kept bar, or that reaches into the open
 * one, is ignored. */
void market_bar(struct market *market, const struct event *event);

int64_t market_due_ns(const struct market *market); /* next bar end, TIME_NEVER without */

/* Closes every bar whose end is <= now_ns and updates all series on them; then `closed` holds
 * pointers to the bars closed now: longest timeframe first, then instrument order. Call it for each
 * due instant in turn. Returns how many. Valid until the next call. */
size_t market_advance(struct market *market, int64_t now_ns, const struct bars *const **closed);
/* The bars that market_bar closed by itself (supplied bars are closed at once), same rules. */
size_t market_closed_by_bar(struct market *market, const struct bars *const **closed);

/* ---- the newest facts ---- */
struct market_last {
    int64_t price, qty; /* mantissas; price 0 before the first */
    int64_t time_ns;
    int side;
};
const struct market_last *market_last(const struct market *market, uint32_t instrument);
/* NULL before the first. */
const struct quote_event *market_quote_now(const struct market *market, uint32_t instrument);
int64_t market_quote_ns(const struct market *market, uint32_t instrument); /* 0 before the first */
/* Mid of the last quote, else the last trade or close, as an exact decimal; DECIMAL_NONE before. */
decimal market_mark(const struct market *market, uint32_t instrument);
double market_mark_double(const struct market *market, uint32_t instrument); /* NaN before */

/* ---- bars and studies ---- */
/* The bars of (instrument, timeframe); made on first use, then referenced. ERROR_REFUSED when the
 * timeframe is not a known one or there are too many. */
MUST_CHECK int market_bars(struct market *market, uint32_t instrument, int64_t tf_ns,
                           bool flat_gaps, struct bars **out, struct error *err);
/* Of either gaps, or NULL. */
struct bars *market_find_bars(struct market *market, uint32_t instrument, int64_t tf_ns);
/* Values stay until the market closes. Studies have references of their own: release each, before
 * or after the bars. */
void bars_release(struct bars *bars);

const struct bar *bars_newest(const struct bars *bars); /* NULL before the first */
const struct series *bars_line(const struct bars *bars, enum bar_line line);
uint32_t bars_instrument(const struct bars *bars);
int64_t bars_tf_ns(const struct bars *bars);
uint64_t bars_count(const struct bars *bars);
/* How many closed bars its studies and readers need to be ready; what QUERY_BARS must ask for. */
uint64_t bars_needed(const struct bars *bars);

/* An indicator on these bars (input = BAR_CLOSE where it takes one value). A study made late is
 * computed from the kept bars at once. Shared and counted. ERROR_REFUSED as indicator_open. */
MUST_CHECK int bars_study(struct bars *bars, const struct indicator_spec *spec, enum bar_line input,
                          struct study **out, struct error *err);
/* An indicator on one line of another study. */
MUST_CHECK int study_study(struct study *of, int line, const struct indicator_spec *spec,
                           struct study **out, struct error *err);
void study_release(struct study *study);
const struct series *study_line(const struct study *study, int line);
const struct indicator_spec *study_spec(const struct study *study);
bool study_ready(const struct study *study);

#endif
