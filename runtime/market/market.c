/* market.c - events in, newest facts and closed bars out.
 *
 * Invariants:
 *   1. market->bars is sorted by timeframe (longest first), instrument, gaps; closed lists and each
 *      instrument's chain have the same order.
 *   2. market->closes_ns[i] is the instant at which the clock closes the open bar of bars[i]:
 *      TIME_NEVER when none is open, its end when trades feed it, its end + 1 ns when supplied bars
 *      do, because its last one is told at its end, after the clock got there.
 *   3. market->due_ns is the least of closes_ns between calls.
 *   4. Bars have one source: trades, or supplied bars of one timeframe. The coarsest that was ever
 *      seen live takes over, drops what a finer one had begun, and finer ones are ignored from then
 *      on. So a supplied bar beats a built one and nothing is counted twice.
 *
 * Rules where the data leaves a choice:
 *   - A bar begins at floor(time / timeframe) * timeframe, UTC. Supplied bars of the same timeframe
 *     keep their own times. A supplied bar belongs to the larger bar that holds its last
 * nanosecond.
 *   - Late trades, older than the open bar or for an interval that is over, change market_last but
 *     no bar: closed bars never change. The driver's grace is what late trades have.
 *   - Flat gaps: an interval without trades gets a bar of no volume at the previous close, but at
 *     most SERIES_KEPT of them in a row; then bars wait for the next trade, and what lies between
 *     is skipped in one go. Nothing is flat before the first bar. */
#include "runtime/market/bars.h"

#include "runtime/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct facts {
    struct market_last last;
    struct bars *bars; /* of this instrument */
    struct quote_event quote;
    int64_t quote_ns;
    bool has_quote;
};

struct closed_list {
    size_t count;
    const struct bars *list[MARKET_BARS_MAX];
};

struct market {
    const struct instruments *instruments;
    int64_t due_ns; /* invariant 3 */
    bool is_due_stale;
    int64_t now_ns; /* of the last advance */
    size_t count;
    struct bars *bars[MARKET_BARS_MAX]; /* invariant 1 */
    int64_t closes_ns[MARKET_BARS_MAX]; /* invariant 2 */
    struct closed_list closed, closed_by_bar;
    struct facts facts[INSTRUMENTS_MAX];
};

struct market *market_open(const struct instruments *instruments)
{
    struct market *market = memory_new(sizeof(*market));
    market->instruments = instruments;
    market->due_ns = TIME_NEVER;
    market->now_ns = INT64_MIN;
    return market;
}

void market_close(struct market *market)
{
    if (!market)
        return;
    for (size_t i = 0; i < market->count; i++)
        bars_close(market->bars[i]);
    free(market);
}

/* ---- when bars close ---- */

static void set_closes(struct market *market, const struct bars *bars, int64_t closes_ns)
{
    int64_t *at = &market->closes_ns[bars->place];
    if (closes_ns < market->due_ns)
        market->due_ns = closes_ns;
    else if (*at == market->due_ns && closes_ns != *at)
        market->is_due_stale = true;
    *at = closes_ns;
}

/* Restores invariant 3 after bars were closed. */
static void refresh_due(struct market *market)
{
    if (!market->is_due_stale)
        return;
    market->is_due_stale = false;
    market->due_ns = TIME_NEVER;
    for (size_t i = 0; i < market->count; i++)
        if (market->closes_ns[i] < market->due_ns)
            market->due_ns = market->closes_ns[i];
}

int64_t market_due_ns(const struct market *market)
{
    return market->due_ns;
}

static void note_closed(struct closed_list *closed, const struct bars *bars)
{
    if (closed->count == 0 || closed->list[closed->count - 1] != bars)
        closed->list[closed->count++] = bars;
}

/* ---- the open bar ---- */

/* Times that no int64 can tell stay at its ends: a bar there never closes. */
static int64_t later(int64_t time_ns, int64_t by_ns)
{
    return time_ns > TIME_NEVER - by_ns ? TIME_NEVER : time_ns + by_ns;
}

static int64_t floor_to(int64_t time_ns, int64_t tf_ns)
{
    if (time_ns < INT64_MIN + tf_ns)
        return INT64_MIN;
    int64_t over = time_ns % tf_ns;
    return time_ns - (over < 0 ? over + tf_ns : over);
}

static void drop_open(struct market *market, struct bars *bars)
{
    bars->state = BARS_IDLE;
    bars->trades_from_ns = TIME_NEVER;
    set_closes(market, bars, TIME_NEVER);
}

/* Invariant 2. */
static int64_t closes_at(const struct bars *bars, int64_t end_ns)
{
    return later(end_ns, bars->source_tf_ns == 0 ? 0 : 1);
}

/* Opens the interval that begins at begin_ns, with nothing in it yet. */
static void open_empty(struct market *market, struct bars *bars, int64_t begin_ns)
{
    bars->state = BARS_EMPTY;
    bars->trades_from_ns = TIME_NEVER;
    bars->begin_ns = begin_ns;
    bars->end_ns = later(begin_ns, bars_tf_ns(bars));
    set_closes(market, bars, closes_at(bars, bars->end_ns));
}

/* Puts the first prices into the open interval. */
static void open_filled(struct bars *bars, int64_t open, int64_t high, int64_t low, int64_t close,
                        int64_t volume)
{
    bars->state = BARS_FILLED;
    bars->open = open;
    bars->high = high;
    bars->low = low;
    bars->close = close;
    bars->volume = volume;
    if (bars->source_tf_ns == 0)
        bars->trades_from_ns = bars->begin_ns;
}

/* A volume that does not fit stays at the largest that does: it can only come from broken data. */
static inline void merge(struct bars *bars, int64_t high, int64_t low, int64_t close,
                         int64_t volume)
{
    if (high > bars->high)
        bars->high = high;
    if (low < bars->low)
        bars->low = low;
    bars->close = close;
    if (__builtin_add_overflow(bars->volume, volume, &bars->volume))
        bars->volume = INT64_MAX;
}

/* Bars that ask for it get flat bars up to until_ns. */
static void fill_gap(struct bars *bars, int64_t until_ns)
{
    if (!bars->flat_gaps || bars_count(bars) == 0)
        return;
    while (bars->flat_run < SERIES_KEPT &&
           bars_newest(bars)->time_end_ns <= until_ns - bars_tf_ns(bars))
        bars_push_flat(bars);
}

/* After a bar closed: with flat gaps the next interval is open at once. */
static void open_next(struct market *market, struct bars *bars)
{
    if (bars->flat_gaps && bars->flat_run < SERIES_KEPT)
        open_empty(market, bars, bars_newest(bars)->time_end_ns);
    else
        drop_open(market, bars);
}

static void close_open(struct market *market, struct bars *bars)
{
    ASSERT(bars->state != BARS_IDLE);
    if (bars->state == BARS_EMPTY) {
        bars_push_flat(bars);
    } else {
        fill_gap(bars, bars->begin_ns); /* here and not at its opening: history may come between */
        bars_push(bars, bars->begin_ns, bars->end_ns,
                  &(struct bar_event){ .open = bars->open,
                                       .high = bars->high,
                                       .low = bars->low,
                                       .close = bars->close,
                                       .volume = bars->volume });
    }
    open_next(market, bars);
}

size_t market_advance(struct market *market, int64_t now_ns, const struct bars *const **closed)
{
    market->closed.count = 0;
    *closed = market->closed.list;
    if (now_ns > market->now_ns)
        market->now_ns = now_ns;
    if (now_ns < market->due_ns || market->due_ns == TIME_NEVER)
        return 0;
    for (size_t i = 0; i < market->count; i++)
        while (market->closes_ns[i] <= now_ns && market->closes_ns[i] != TIME_NEVER) {
            close_open(market, market->bars[i]);
            note_closed(&market->closed, market->bars[i]);
        }
    refresh_due(market);
    return market->closed.count;
}

size_t market_closed_by_bar(struct market *market, const struct bars *const **closed)
{
    *closed = market->closed_by_bar.list;
    return market->closed_by_bar.count;
}

/* ---- trades and quotes ---- */

static struct facts *facts_of(struct market *market, const struct event *event)
{
    ASSERT(event->instrument < market->instruments->count);
    return &market->facts[event->instrument];
}

/* Opens the interval of `time_ns` when none is open. False when that interval is over. */
static bool open_interval(struct market *market, struct bars *bars, int64_t time_ns)
{
    if (bars->state != BARS_IDLE)
        return time_ns >= bars->begin_ns;
    int64_t begin_ns = floor_to(time_ns, bars_tf_ns(bars));
    if (!bars_accepts(bars, begin_ns) ||
        closes_at(bars, later(begin_ns, bars_tf_ns(bars))) <= market->now_ns)
        return false;
    open_empty(market, bars, begin_ns);
    return true;
}

/* A trade that does not simply go on with an open bar. */
static void trade_apart(struct market *market, struct bars *bars, const struct event *event)
{
    if (bars->source_tf_ns != 0) /* invariant 4 */
        return;
    ASSERT(bars->state == BARS_IDLE || event->time_ns < bars->end_ns); /* the clock comes first */
    if (!open_interval(market, bars, event->time_ns))
        return;
    int64_t price = event->trade.price;
    if (bars->state == BARS_EMPTY)
        open_filled(bars, price, price, price, price, event->trade.qty);
}

void market_trade(struct market *market, const struct event *event)
{
    struct facts *facts = facts_of(market, event);
    int64_t price = event->trade.price, qty = event->trade.qty, time_ns = event->time_ns;
    facts->last = (struct market_last){
        .price = price, .qty = qty, .time_ns = time_ns, .side = event->trade.side
    };
    for (struct bars *bars = facts->bars; bars; bars = bars->next) {
        if (time_ns >= bars->trades_from_ns && time_ns < bars->end_ns)
            merge(bars, price, price, price, qty);
        else
            trade_apart(market, bars, event);
    }
}

void market_quote(struct market *market, const struct event *event)
{
    struct facts *facts = facts_of(market, event);
    facts->quote = event->quote;
    facts->quote_ns = event->time_ns;
    facts->has_quote = true;
}

/* ---- supplied bars ---- */

/* History of the same timeframe. Live wins: a bar that reaches into the open one is ignored. */
static void add_history(struct bars *bars, const struct event *event)
{
    int64_t time_ns = event->bar.open_ns;
    if (!bars_accepts(bars, time_ns))
        return;
    if (bars->state != BARS_IDLE && event->time_ns > bars->begin_ns)
        return;
    fill_gap(bars, time_ns);
    bars_push(bars, time_ns, event->time_ns, &event->bar);
}

/* A whole bar from outside. */
static void add_whole(struct market *market, struct bars *bars, const struct event *event)
{
    int64_t time_ns = event->bar.open_ns;
    if (!bars_accepts(bars, time_ns))
        return;
    fill_gap(bars, time_ns);
    bars_push(bars, time_ns, event->time_ns, &event->bar);
    open_next(market, bars);
    note_closed(&market->closed_by_bar, bars);
}

/* A bar from outside as a part of a larger one, which it closes when it is the last. */
static void add_part(struct market *market, struct bars *bars, const struct event *event)
{
    const struct bar_event *part = &event->bar;
    int64_t inside_ns = event->time_ns - 1;
    while (bars->state != BARS_IDLE && bars->end_ns <= inside_ns) {
        close_open(market, bars);
        note_closed(&market->closed_by_bar, bars);
    }
    if (!open_interval(market, bars, inside_ns))
        return;
    if (bars->state == BARS_EMPTY)
        open_filled(bars, part->open, part->high, part->low, part->close, part->volume);
    else
        merge(bars, part->high, part->low, part->close, part->volume);
    if (bars->end_ns == event->time_ns) {
        close_open(market, bars);
        note_closed(&market->closed_by_bar, bars);
    }
}

static void add_supplied(struct market *market, struct bars *bars, int64_t tf_ns,
                         const struct event *event)
{
    if (tf_ns < bars->source_tf_ns || tf_ns > bars_tf_ns(bars)) /* invariant 4 */
        return;
    if (tf_ns > bars->source_tf_ns) {
        bars->source_tf_ns = tf_ns;
        drop_open(market, bars);
    }
    if (tf_ns == bars_tf_ns(bars))
        add_whole(market, bars, event);
    else
        add_part(market, bars, event);
}

void market_bar(struct market *market, const struct event *event)
{
    struct facts *facts = facts_of(market, event);
    const struct bar_event *bar = &event->bar;
    int64_t tf_ns = event->time_ns - bar->open_ns;
    ASSERT(tf_ns > 0);

    market->closed_by_bar.count = 0;
    if (bar->is_history) {
        for (struct bars *bars = facts->bars; bars; bars = bars->next)
            if (bars_tf_ns(bars) == tf_ns)
                add_history(bars, event);
        return;
    }

    /* Two supplied timeframes may end together: the first to come speaks. A trade at that very
     * instant is of the next bar, so it is newer. */
    if (facts->last.price == 0 || event->time_ns > facts->last.time_ns)
        facts->last = (struct market_last){ .price = bar->close, .time_ns = event->time_ns };
    for (struct bars *bars = facts->bars; bars; bars = bars->next)
        add_supplied(market, bars, tf_ns, event);
    refresh_due(market);
}

/* ---- the newest facts ---- */

static const struct facts *facts_at(const struct market *market, uint32_t instrument)
{
    ASSERT(instrument < market->instruments->count);
    return &market->facts[instrument];
}

const struct market_last *market_last(const struct market *market, uint32_t instrument)
{
    return &facts_at(market, instrument)->last;
}

const struct quote_event *market_quote_now(const struct market *market, uint32_t instrument)
{
    const struct facts *facts = facts_at(market, instrument);
    return facts->has_quote ? &facts->quote : NULL;
}

int64_t market_quote_ns(const struct market *market, uint32_t instrument)
{
    return facts_at(market, instrument)->quote_ns;
}

decimal market_mark(const struct market *market, uint32_t instrument)
{
    const struct facts *facts = facts_at(market, instrument);
    int scale = market->instruments->list[instrument].price_scale;
    if (facts->has_quote)
        return decimal_mul(decimal_add(decimal_make(facts->quote.bid, scale),
                                       decimal_make(facts->quote.ask, scale)),
                           decimal_make(5, 1));
    if (facts->last.price != 0)
        return decimal_make(facts->last.price, scale);
    return DECIMAL_NONE;
}

double market_mark_double(const struct market *market, uint32_t instrument)
{
    const struct facts *facts = facts_at(market, instrument);
    const struct instrument *known = &market->instruments->list[instrument];
    if (facts->has_quote) /* one rounding: twice a power of ten up to 10^22 is exact */
        return ((double)facts->quote.bid + (double)facts->quote.ask) / (2 * known->price_unit);
    if (facts->last.price != 0)
        return instrument_price(known, facts->last.price);
    return (double)NAN;
}

/* ---- bars ---- */

/* The order of invariant 1. */
static bool comes_before(const struct bars *bars, int64_t tf_ns, uint32_t instrument,
                         bool flat_gaps)
{
    if (bars_tf_ns(bars) != tf_ns)
        return bars_tf_ns(bars) > tf_ns;
    if (bars_instrument(bars) != instrument)
        return bars_instrument(bars) < instrument;
    return !bars->flat_gaps && flat_gaps;
}

static void chain_bars(struct market *market, uint32_t instrument)
{
    struct bars **link = &market->facts[instrument].bars;
    for (size_t i = 0; i < market->count; i++) {
        market->bars[i]->place = i;
        if (bars_instrument(market->bars[i]) == instrument) {
            *link = market->bars[i];
            link = &market->bars[i]->next;
        }
    }
    *link = NULL;
}

static void insert_bars(struct market *market, size_t place, struct bars *bars)
{
    size_t after = market->count - place;
    memmove(&market->bars[place + 1], &market->bars[place], after * sizeof(market->bars[0]));
    memmove(&market->closes_ns[place + 1], &market->closes_ns[place],
            after * sizeof(market->closes_ns[0]));
    market->bars[place] = bars;
    market->closes_ns[place] = TIME_NEVER;
    market->count++;
    chain_bars(market, bars_instrument(bars));
}

int market_bars(struct market *market, uint32_t instrument, int64_t tf_ns, bool flat_gaps,
                struct bars **out, struct error *err)
{
    ASSERT(instrument < market->instruments->count);
    if (!timeframe_name(tf_ns))
        return error_set(err, ERROR_REFUSED,
                         "bars: a timeframe of %" PRId64 " ns is not known: 1s 5s 15s 30s 1m 3m 5m "
                         "15m 30m 1h 2h 4h 6h 12h 1d are allowed",
                         tf_ns);

    size_t place = 0;
    while (place < market->count && comes_before(market->bars[place], tf_ns, instrument, flat_gaps))
        place++;
    struct bars *bars = place < market->count ? market->bars[place] : NULL;
    if (!bars || bars_tf_ns(bars) != tf_ns || bars_instrument(bars) != instrument ||
        bars->flat_gaps != flat_gaps) {
        if (market->count == MARKET_BARS_MAX)
            return error_set(err, ERROR_REFUSED,
                             "bars: %d of instrument and timeframe are open already, the most "
                             "allowed",
                             MARKET_BARS_MAX);
        bars = bars_open(&market->instruments->list[instrument], instrument, tf_ns, flat_gaps);
        insert_bars(market, place, bars);
    }
    bars->references++;
    *out = bars;
    return 0;
}

struct bars *market_find_bars(struct market *market, uint32_t instrument, int64_t tf_ns)
{
    ASSERT(instrument < market->instruments->count);
    struct bars *bars = market->facts[instrument].bars;
    while (bars && bars_tf_ns(bars) != tf_ns)
        bars = bars->next;
    return bars;
}
