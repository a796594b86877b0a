/* market_test.c - bars from trades, from bars and from history; the newest facts; studies. */
#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/market/market.h"

#define SECOND NS_PER_SECOND
#define MINUTE NS_PER_MINUTE
#define HOUR (60 * NS_PER_MINUTE)
#define T0 (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01T00:00:00Z */

/* ---- a market and its driver ---- */

#define LOG_MAX 20000

struct stage {
    struct instruments instruments; /* two decimals in prices, three in quantities */
    struct market *market;
    struct bar log[LOG_MAX]; /* what was delivered, in order */
    size_t logged;
};

static int open_stage(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    assert_non_null(stage);
    stage->instruments.count = 40;
    for (uint32_t i = 0; i < stage->instruments.count; i++) {
        struct instrument *instrument = &stage->instruments.list[i];
        snprintf(instrument->symbol, sizeof(instrument->symbol), "S%u/USD", i);
        instrument->price_scale = 2;
        instrument->price_unit = 100;
        instrument->qty_scale = 3;
        instrument->qty_unit = 1000;
    }
    stage->market = market_open(&stage->instruments);
    *state = stage;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *stage = *state;
    market_close(stage->market);
    free(stage);
    return 0;
}

static void log_closed(struct stage *stage, const struct bars *const *closed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(stage->logged < LOG_MAX);
        stage->log[stage->logged++] = *bars_newest(closed[i]);
    }
}

/* As the driver does: each due instant in turn. */
static void clock_to(struct stage *stage, int64_t now_ns)
{
    const struct bars *const *closed;
    while (market_due_ns(stage->market) <= now_ns && market_due_ns(stage->market) != TIME_NEVER) {
        int64_t due_ns = market_due_ns(stage->market);
        size_t count = market_advance(stage->market, due_ns, &closed);
        assert_true(count > 0);
        assert_true(market_due_ns(stage->market) > due_ns);
        log_closed(stage, closed, count);
    }
}

static struct event trade_at(uint32_t instrument, int64_t time_ns, int64_t price, int64_t qty)
{
    return (struct event){ .kind = EVENT_TRADE,
                           .instrument = instrument,
                           .time_ns = time_ns,
                           .trade = { .price = price, .qty = qty, .side = 1 } };
}

static void trade(struct stage *stage, int64_t time_ns, int64_t price, int64_t qty)
{
    struct event event = trade_at(0, time_ns, price, qty);
    clock_to(stage, time_ns);
    market_trade(stage->market, &event);
}

static struct event bar_of(int64_t open_ns, int64_t tf_ns, int64_t open, int64_t high, int64_t low,
                           int64_t close, int64_t volume)
{
    return (struct event){ .kind = EVENT_BAR,
                           .time_ns = open_ns + tf_ns,
                           .bar = { .open_ns = open_ns,
                                    .open = open,
                                    .high = high,
                                    .low = low,
                                    .close = close,
                                    .volume = volume } };
}

static void supply(struct stage *stage, struct event event)
{
    const struct bars *const *closed;
    clock_to(stage, event.time_ns);
    market_bar(stage->market, &event);
    size_t count = market_closed_by_bar(stage->market, &closed);
    log_closed(stage, closed, count);
}

/* A supplied bar of one price and volume 1. */
static void supply_plain(struct stage *stage, int64_t open_ns, int64_t tf_ns, int64_t price)
{
    supply(stage, bar_of(open_ns, tf_ns, price, price, price, price, 1000));
}

static void history(struct stage *stage, int64_t open_ns, int64_t tf_ns, int64_t price)
{
    struct event event = bar_of(open_ns, tf_ns, price, price, price, price, 1000);
    const struct bars *const *closed;
    event.bar.is_history = true;
    market_bar(stage->market, &event);
    assert_int_equal(market_closed_by_bar(stage->market, &closed), 0);
}

static struct bars *bars_on(struct stage *stage, uint32_t instrument, int64_t tf_ns, bool flat)
{
    struct bars *bars = NULL;
    struct error err = { 0 };
    assert_int_equal(market_bars(stage->market, instrument, tf_ns, flat, &bars, &err), 0);
    return bars;
}

static void assert_bar(const struct bar *bar, int64_t time_ns, double open, double high, double low,
                       double close, double volume)
{
    assert_non_null(bar);
    assert_int_equal(bar->time_ns, time_ns);
    assert_true(bar->open == open);
    assert_true(bar->high == high);
    assert_true(bar->low == low);
    assert_true(bar->close == close);
    assert_true(bar->volume == volume);
}

static double close_of(const struct bars *bars, uint64_t back)
{
    return series_at(bars_line(bars, BAR_CLOSE), back);
}

/* ---- bars from trades ---- */

static void a_bar_is_made_of_its_trades(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    assert_null(bars_newest(bars));
    trade(stage, T0 + 5 * SECOND, 10000, 1000);
    trade(stage, T0 + 6 * SECOND, 10150, 500);
    trade(stage, T0 + 7 * SECOND, 9925, 250);
    trade(stage, T0 + MINUTE - 1, 10001, 1);
    assert_int_equal(bars_count(bars), 0);
    clock_to(stage, T0 + MINUTE);
    assert_int_equal(stage->logged, 1);
    assert_bar(bars_newest(bars), T0, 100, 101.5, 99.25, 100.01, 1.751);
    assert_int_equal(stage->log[0].time_end_ns, T0 + MINUTE);
    assert_int_equal(stage->log[0].tf_ns, MINUTE);
    assert_true(series_at(bars_line(bars, BAR_OPEN), 1) == 100);
    assert_true(series_at(bars_line(bars, BAR_HIGH), 1) == 101.5);
    assert_true(series_at(bars_line(bars, BAR_LOW), 1) == 99.25);
    assert_true(series_at(bars_line(bars, BAR_CLOSE), 1) == 100.01);
    assert_true(series_at(bars_line(bars, BAR_VOLUME), 1) == 1.751);
}

static void without_trades_there_is_no_bar(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0, 100, 1);
    trade(stage, T0 + 10 * MINUTE, 200, 1);
    clock_to(stage, T0 + HOUR);
    assert_int_equal(bars_count(bars), 2);
    assert_int_equal(stage->log[0].time_ns, T0);
    assert_int_equal(stage->log[1].time_ns, T0 + 10 * MINUTE);
}

static void a_trade_at_the_end_is_of_the_next_bar(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0, 100, 1);
    trade(stage, T0 + MINUTE, 900, 1);
    assert_bar(bars_newest(bars), T0, 1, 1, 1, 1, 0.001);
    clock_to(stage, T0 + 2 * MINUTE);
    assert_bar(bars_newest(bars), T0 + MINUTE, 9, 9, 9, 9, 0.001);
}

/* Old daily data lies before 1970: the floor goes down, not toward zero. */
static void bars_are_aligned_in_utc(void **state)
{
    struct stage *stage = *state;
    bars_on(stage, 0, 4 * HOUR, false);
    trade(stage, -1, 100, 1);
    clock_to(stage, 0);
    assert_int_equal(stage->log[0].time_ns, -4 * HOUR);
    trade(stage, T0 + 7 * HOUR + 3, 100, 1);
    clock_to(stage, T0 + 8 * HOUR);
    assert_int_equal(stage->log[1].time_ns, T0 + 4 * HOUR);
}

static void due_is_the_next_end_of_an_open_bar(void **state)
{
    struct stage *stage = *state;
    const struct bars *const *closed;
    bars_on(stage, 0, HOUR, false);
    bars_on(stage, 0, MINUTE, false);
    bars_on(stage, 1, SECOND, false);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
    assert_int_equal(market_advance(stage->market, T0, &closed), 0);
    trade(stage, T0, 100, 1);
    assert_int_equal(market_due_ns(stage->market), T0 + MINUTE);
    struct event other = trade_at(1, T0, 100, 1);
    market_trade(stage->market, &other);
    assert_int_equal(market_due_ns(stage->market), T0 + SECOND);
    assert_int_equal(market_advance(stage->market, T0 + SECOND - 1, &closed), 0);
    assert_int_equal(market_advance(stage->market, T0 + SECOND, &closed), 1);
    assert_int_equal(bars_instrument(closed[0]), 1);
    assert_int_equal(market_due_ns(stage->market), T0 + MINUTE);
    clock_to(stage, T0 + MINUTE);
    assert_int_equal(market_due_ns(stage->market), T0 + HOUR);
    clock_to(stage, T0 + HOUR);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
}

/* Whatever the order they were asked for in. */
static void closed_bars_come_longest_first_then_by_instrument(void **state)
{
    struct stage *stage = *state;
    bars_on(stage, 2, MINUTE, false);
    bars_on(stage, 0, MINUTE, false);
    bars_on(stage, 1, HOUR, false);
    bars_on(stage, 0, HOUR, false);
    bars_on(stage, 1, MINUTE, false);
    for (uint32_t i = 3; i-- > 0;) {
        struct event event = trade_at(i, T0 + 59 * MINUTE, 100, 1);
        market_trade(stage->market, &event);
    }
    clock_to(stage, T0 + HOUR);
    static const struct {
        int64_t tf_ns;
        uint32_t instrument;
    } expected[] = { { HOUR, 0 }, { HOUR, 1 }, { MINUTE, 0 }, { MINUTE, 1 }, { MINUTE, 2 } };
    assert_int_equal(stage->logged, ARRAY_SIZE(expected));
    for (size_t i = 0; i < stage->logged; i++) {
        assert_int_equal(stage->log[i].tf_ns, expected[i].tf_ns);
        assert_int_equal(stage->log[i].instrument, expected[i].instrument);
    }
}

/* A study read in a callback of one bar must show all bars of that instant. */
static void all_series_are_updated_before_any_bar_is_told(void **state)
{
    struct stage *stage = *state;
    const struct bars *const *closed;
    struct bars *hour = bars_on(stage, 0, HOUR, false), *minute = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0 + 59 * MINUTE, 100, 1);
    assert_int_equal(market_advance(stage->market, T0 + HOUR, &closed), 2);
    assert_ptr_equal(closed[0], hour);
    assert_ptr_equal(closed[1], minute);
    assert_int_equal(bars_count(hour), 1);
    assert_int_equal(bars_count(minute), 1);
}

/* A closed bar is what strategies acted on: it never changes. */
static void late_trades_change_no_bar(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0 + 5 * SECOND, 100, 1);
    clock_to(stage, T0 + MINUTE);
    struct event late = trade_at(0, T0 + 50 * SECOND, 500, 1);
    market_trade(stage->market, &late); /* no bar is open: must not open that one again */
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
    trade(stage, T0 + MINUTE + 5, 200, 1);
    market_trade(stage->market, &late); /* nor get into the next one */
    assert_int_equal(market_last(stage->market, 0)->price, 500);
    clock_to(stage, T0 + 2 * MINUTE);
    assert_int_equal(bars_count(bars), 2);
    assert_bar(bars_newest(bars), T0 + MINUTE, 2, 2, 2, 2, 0.001);
}

static void an_interval_the_clock_has_left_stays_empty(void **state)
{
    struct stage *stage = *state;
    const struct bars *const *closed;
    bars_on(stage, 0, MINUTE, false);
    market_advance(stage->market, T0 + MINUTE, &closed);
    struct event late = trade_at(0, T0 + 50 * SECOND, 500, 1);
    market_trade(stage->market, &late);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
}

/* A driver that skips a bar's end would put trades into the wrong bar: it must not go on. */
static void a_trade_past_an_open_bar_aborts(void **state)
{
    struct stage *stage = *state;
    bars_on(stage, 0, MINUTE, false);
    trade(stage, T0, 100, 1);
    struct event event = trade_at(0, T0 + MINUTE, 100, 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        market_trade(stage->market, &event);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* Against a second implementation: group all trades by floor(time / timeframe). */
static void random_trades_make_the_bars_of_a_plain_grouping(void **state)
{
    struct stage *stage = *state;
    enum { TRADES = 4000 };
    static int64_t times[TRADES], prices[TRADES], qtys[TRADES];
    static const int64_t timeframes[] = { 5 * SECOND, MINUTE, 3 * MINUTE };
    for (size_t k = 0; k < ARRAY_SIZE(timeframes); k++)
        bars_on(stage, 0, timeframes[k], false);

    struct random random;
    random_seed(&random, 3);
    int64_t now_ns = T0, price = 10000;
    for (int i = 0; i < TRADES; i++) {
        now_ns += (int64_t)random_below(&random, 4) * (int64_t)random_below(&random, 2 * SECOND);
        if (random_below(&random, 20) == 0)
            now_ns += MINUTE - now_ns % MINUTE; /* exactly on a border */
        price += (int64_t)random_below(&random, 21) - 10;
        times[i] = now_ns;
        prices[i] = price;
        qtys[i] = (int64_t)random_below(&random, 5000);
        trade(stage, now_ns, prices[i], qtys[i]);
    }
    clock_to(stage, now_ns + HOUR);

    for (size_t k = 0; k < ARRAY_SIZE(timeframes); k++) {
        int64_t tf_ns = timeframes[k];
        size_t at = 0;
        for (int first = 0, next; first < TRADES; first = next) {
            int64_t begin_ns = times[first] / tf_ns * tf_ns;
            int64_t high = prices[first], low = prices[first], volume = 0;
            for (next = first; next < TRADES && times[next] < begin_ns + tf_ns; next++) {
                high = prices[next] > high ? prices[next] : high;
                low = prices[next] < low ? prices[next] : low;
                volume += qtys[next];
            }
            while (at < stage->logged && stage->log[at].tf_ns != tf_ns)
                at++;
            assert_true(at < stage->logged);
            assert_bar(&stage->log[at++], begin_ns, (double)prices[first] / 100, (double)high / 100,
                       (double)low / 100, (double)prices[next - 1] / 100, (double)volume / 1000);
        }
        while (at < stage->logged)
            assert_true(stage->log[at++].tf_ns != tf_ns);
    }
    for (size_t i = 1; i < stage->logged; i++)
        assert_true(stage->log[i].time_end_ns >= stage->log[i - 1].time_end_ns);
}

static void a_volume_that_does_not_fit_stays_at_the_largest(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0, 100, INT64_MAX - 1);
    trade(stage, T0, 100, INT64_MAX - 1);
    clock_to(stage, T0 + MINUTE);
    assert_true(bars_newest(bars)->volume == (double)INT64_MAX / 1000);
}

/* A broken file may hold any number as a time. */
static void times_at_the_ends_of_int64_do_no_harm(void **state)
{
    struct stage *stage = *state;
    bars_on(stage, 0, 24 * HOUR, true);
    bars_on(stage, 0, MINUTE, false);
    trade(stage, INT64_MIN + 1, 100, 1);
    clock_to(stage, INT64_MIN + 48 * HOUR);
    struct event event = trade_at(1, TIME_NEVER - 1, 100, 1);
    bars_on(stage, 1, MINUTE, true);
    market_trade(stage->market, &event);
    event = bar_of(TIME_NEVER - 1 - MINUTE, MINUTE, 1, 1, 1, 1, 1);
    event.instrument = 2;
    bars_on(stage, 2, MINUTE, true);
    market_bar(stage->market, &event);
}

/* ---- flat gaps ---- */

static void flat_gaps_are_filled_at_the_previous_close(void **state)
{
    struct stage *stage = *state;
    struct bars *flat = bars_on(stage, 0, MINUTE, true), *plain = bars_on(stage, 0, MINUTE, false);
    assert_ptr_not_equal(flat, plain);
    clock_to(stage, T0); /* nothing is flat before the first bar */
    trade(stage, T0 + 1, 100, 1);
    trade(stage, T0 + 2, 300, 1);
    clock_to(stage, T0 + 3 * MINUTE);
    assert_int_equal(bars_count(flat), 3);
    assert_int_equal(bars_count(plain), 1);
    assert_bar(bars_newest(flat), T0 + 2 * MINUTE, 3, 3, 3, 3, 0);
    assert_int_equal(bars_newest(flat)->time_end_ns, T0 + 3 * MINUTE);
    assert_int_equal(stage->logged, 4);

    trade(stage, T0 + 4 * MINUTE + 5, 500, 1); /* in an interval that is open and empty */
    clock_to(stage, T0 + 5 * MINUTE);
    assert_int_equal(bars_count(flat), 5);
    assert_bar(bars_newest(flat), T0 + 4 * MINUTE, 5, 5, 5, 5, 0.001);
    assert_bar(bars_newest(plain), T0 + 4 * MINUTE, 5, 5, 5, 5, 0.001);
}

/* A weekend in seconds is 172,800 bars that nobody looks at. */
static void a_long_silence_is_skipped(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, SECOND, true);
    trade(stage, T0, 100, 1);
    clock_to(stage, T0 + 48 * HOUR);
    assert_int_equal(bars_count(bars), 1 + SERIES_KEPT);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
    trade(stage, T0 + 48 * HOUR, 200, 1);
    clock_to(stage, T0 + 48 * HOUR + SECOND);
    assert_int_equal(bars_count(bars), 2 + SERIES_KEPT);
    assert_bar(bars_newest(bars), T0 + 48 * HOUR, 2, 2, 2, 2, 0.001);
    clock_to(stage, T0 + 48 * HOUR + 3 * SECOND); /* and it is flat again after it */
    assert_int_equal(bars_count(bars), 4 + SERIES_KEPT);
}

/* ---- supplied bars ---- */

static void a_supplied_bar_is_closed_at_once(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    supply(stage, bar_of(T0, MINUTE, 100, 300, 50, 200, 7000));
    assert_int_equal(stage->logged, 1);
    assert_bar(bars_newest(bars), T0, 1, 3, 0.5, 2, 7);
    const struct market_last *last = market_last(stage->market, 0);
    assert_int_equal(last->price, 200);
    assert_int_equal(last->time_ns, T0 + MINUTE);
    assert_int_equal(last->side, 0);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
}

/* Daily bars of a stock exchange do not begin at midnight UTC. */
static void a_supplied_bar_keeps_its_own_times(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, 24 * HOUR, false);
    supply_plain(stage, T0 + 5 * HOUR, 24 * HOUR, 100);
    assert_int_equal(bars_newest(bars)->time_ns, T0 + 5 * HOUR);
    assert_int_equal(bars_newest(bars)->time_end_ns, T0 + 29 * HOUR);
}

static void smaller_supplied_bars_build_larger_ones(void **state)
{
    struct stage *stage = *state;
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    struct bars *minute = bars_on(stage, 0, MINUTE, false);
    for (int i = 0; i < 4; i++)
        supply(stage, bar_of(T0 + i * MINUTE, MINUTE, 100 + i, 200 + i, 90 - i, 110 + i, 1000));
    assert_int_equal(bars_count(five), 0);
    assert_int_equal(stage->logged, 4);
    supply(stage, bar_of(T0 + 4 * MINUTE, MINUTE, 104, 150, 80, 140, 1000));
    assert_bar(bars_newest(five), T0, 1, 2.03, 0.8, 1.4, 5);
    assert_int_equal(bars_count(minute), 5);
    assert_int_equal(stage->logged, 6);
    assert_int_equal(stage->log[4].tf_ns, 5 * MINUTE); /* longest first */
    assert_int_equal(stage->log[5].tf_ns, MINUTE);
    clock_to(stage, T0 + HOUR);
    assert_int_equal(stage->logged, 6);
}

/* The clock gets to the larger bar's end before its last part is told. */
static void the_clock_leaves_room_for_the_last_part(void **state)
{
    struct stage *stage = *state;
    const struct bars *const *closed;
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    supply_plain(stage, T0, MINUTE, 100);
    int64_t end_ns = T0 + 5 * MINUTE;
    assert_int_equal(market_due_ns(stage->market), end_ns + 1);
    assert_int_equal(market_advance(stage->market, end_ns, &closed), 0);
    supply_plain(stage, end_ns - MINUTE, MINUTE, 300);
    assert_bar(bars_newest(five), T0, 1, 3, 1, 3, 2);

    supply_plain(stage, end_ns, MINUTE, 400); /* the last part of this one never comes */
    assert_int_equal(market_advance(stage->market, end_ns + 5 * MINUTE, &closed), 0);
    assert_int_equal(market_advance(stage->market, end_ns + 5 * MINUTE + 1, &closed), 1);
    assert_bar(bars_newest(five), end_ns, 4, 4, 4, 4, 1);
    assert_int_equal(bars_newest(five)->time_end_ns, end_ns + 5 * MINUTE);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);
}

static void the_last_part_alone_makes_a_larger_bar(void **state)
{
    struct stage *stage = *state;
    const struct bars *const *closed;
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    supply_plain(stage, T0, MINUTE, 100);
    market_advance(stage->market, T0 + 5 * MINUTE + 1, &closed);
    market_advance(stage->market, T0 + 10 * MINUTE, &closed);
    supply_plain(stage, T0 + 9 * MINUTE, MINUTE, 300);
    assert_int_equal(bars_count(five), 2);
    assert_bar(bars_newest(five), T0 + 5 * MINUTE, 3, 3, 3, 3, 1);
}

static void a_later_supplied_bar_closes_what_it_left_behind(void **state)
{
    struct stage *stage = *state;
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    supply_plain(stage, T0, MINUTE, 100);
    struct event next = bar_of(T0 + 5 * MINUTE, MINUTE, 200, 200, 200, 200, 1);
    const struct bars *const *closed;
    market_bar(stage->market, &next); /* the clock was not asked in between */
    assert_int_equal(market_closed_by_bar(stage->market, &closed), 1);
    assert_bar(bars_newest(five), T0, 1, 1, 1, 1, 1);
}

/* A bar across a border is known at its end: it belongs to the larger bar that holds its end. */
static void a_bar_across_a_border_belongs_where_it_ends(void **state)
{
    struct stage *stage = *state;
    struct bars *two = bars_on(stage, 0, 2 * HOUR, false);
    supply_plain(stage, T0 + 45 * MINUTE, HOUR, 100);
    supply_plain(stage, T0 + 105 * MINUTE, HOUR, 200);
    supply_plain(stage, T0 + 165 * MINUTE, HOUR, 300);
    supply_plain(stage, T0 + 225 * MINUTE, HOUR, 400);
    assert_int_equal(bars_count(two), 2);
    assert_bar(bars_newest(two), T0 + 2 * HOUR, 2, 3, 2, 3, 2);
    assert_true(close_of(two, 2) == 1);
}

static void supplied_bars_beat_trades(void **state)
{
    struct stage *stage = *state;
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    struct bars *minute = bars_on(stage, 0, MINUTE, false);
    for (int i = 0; i < 10; i++) {
        trade(stage, T0 + i * MINUTE + SECOND, 900, 5000);
        supply_plain(stage, T0 + i * MINUTE, MINUTE, 100);
    }
    assert_int_equal(bars_count(minute), 10); /* the first was built before bars were seen */
    assert_true(close_of(minute, 10) == 9);
    for (uint64_t back = 1; back <= 9; back++)
        assert_true(close_of(minute, back) == 1);
    assert_int_equal(bars_count(five), 2); /* no volume is counted twice */
    assert_bar(bars_newest(five), T0 + 5 * MINUTE, 1, 1, 1, 1, 5);
    assert_true(series_at(bars_line(five, BAR_VOLUME), 2) == 5);
}

static void coarser_supplied_bars_beat_finer_ones(void **state)
{
    struct stage *stage = *state;
    struct bars *quarter = bars_on(stage, 0, 15 * MINUTE, false);
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    for (int i = 0; i < 15; i++) {
        if (i % 5 == 4)
            supply_plain(stage, T0 + (i - 4) * MINUTE, 5 * MINUTE, 500);
        supply_plain(stage, T0 + i * MINUTE, MINUTE, 100);
    }
    assert_int_equal(bars_count(five), 3);
    assert_true(series_lowest(bars_line(five, BAR_CLOSE), 3) == 5);
    assert_bar(bars_newest(quarter), T0, 5, 5, 5, 5, 3);
}

/* The close of a bar is older than a trade at its end. */
static void a_supplied_bar_does_not_hide_a_newer_trade(void **state)
{
    struct stage *stage = *state;
    trade(stage, T0 + MINUTE, 900, 1);
    supply_plain(stage, T0, MINUTE, 100);
    assert_int_equal(market_last(stage->market, 0)->price, 900);
    supply_plain(stage, T0 + MINUTE, MINUTE, 200);
    assert_int_equal(market_last(stage->market, 0)->price, 200);
}

static void a_supplied_bar_told_twice_counts_once(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    supply_plain(stage, T0 + MINUTE, MINUTE, 100);
    supply_plain(stage, T0 + MINUTE, MINUTE, 200);
    supply_plain(stage, T0, MINUTE, 300);
    assert_int_equal(bars_count(bars), 1);
    assert_int_equal(stage->logged, 1);
    assert_true(close_of(bars, 1) == 1);
}

static void gaps_between_supplied_bars_can_be_flat(void **state)
{
    struct stage *stage = *state;
    struct bars *minute = bars_on(stage, 0, MINUTE, true);
    struct bars *three = bars_on(stage, 0, 3 * MINUTE, true);
    supply_plain(stage, T0, MINUTE, 100);
    supply_plain(stage, T0 + MINUTE, MINUTE, 200);
    supply_plain(stage, T0 + 4 * MINUTE, MINUTE, 300);
    assert_int_equal(bars_count(minute), 5);
    assert_int_equal(stage->logged, 6);
    assert_true(close_of(minute, 2) == 2);
    assert_true(series_at(bars_line(minute, BAR_VOLUME), 2) == 0);
    assert_bar(bars_newest(three), T0, 1, 2, 1, 2, 2);
    clock_to(stage, T0 + 10 * MINUTE + 1);
    assert_int_equal(bars_count(minute), 10);
    assert_int_equal(bars_count(three), 3);
    assert_bar(bars_newest(three), T0 + 6 * MINUTE, 3, 3, 3, 3, 0);
}

/* ---- history ---- */

static void history_only_fills(void **state)
{
    struct stage *stage = *state;
    struct bars *minute = bars_on(stage, 0, MINUTE, false);
    struct bars *five = bars_on(stage, 0, 5 * MINUTE, false);
    for (int i = 0; i < 10; i++)
        history(stage, T0 + i * MINUTE, MINUTE, 100 + i);
    assert_int_equal(bars_count(minute), 10);
    assert_true(close_of(minute, 1) == 1.09);
    assert_int_equal(bars_count(five), 0); /* each timeframe asks for its own */
    assert_int_equal(market_last(stage->market, 0)->price, 0);
    assert_int_equal(market_due_ns(stage->market), TIME_NEVER);

    history(stage, T0 + 9 * MINUTE, MINUTE, 500); /* told again */
    history(stage, T0 + 3 * MINUTE, MINUTE, 500);
    assert_int_equal(bars_count(minute), 10);
    assert_true(close_of(minute, 1) == 1.09);

    trade(stage, T0 + 12 * MINUTE, 700, 1); /* and trades go on from there */
    clock_to(stage, T0 + 13 * MINUTE);
    assert_int_equal(stage->logged, 1);
    assert_int_equal(bars_count(minute), 11);
}

/* The answer to a query may come when live trades are under way. */
static void history_does_not_disturb_the_open_bar(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0 + 10 * MINUTE + 5, 900, 1);
    history(stage, T0 + 8 * MINUTE, MINUTE, 100);
    history(stage, T0 + 9 * MINUTE, MINUTE, 200);
    history(stage, T0 + 10 * MINUTE, MINUTE, 300); /* live wins */
    trade(stage, T0 + 10 * MINUTE + 6, 800, 1);
    clock_to(stage, T0 + 11 * MINUTE);
    assert_int_equal(bars_count(bars), 3);
    assert_bar(bars_newest(bars), T0 + 10 * MINUTE, 9, 9, 8, 8, 0.002);
    assert_true(close_of(bars, 2) == 2);
    history(stage, T0 + 9 * MINUTE, MINUTE, 300);
    assert_int_equal(bars_count(bars), 3);
}

static void flat_gaps_reach_from_history_to_live(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, true);
    trade(stage, T0 + 10 * MINUTE, 900, 1);
    history(stage, T0 + 2 * MINUTE, MINUTE, 100);
    history(stage, T0 + 5 * MINUTE, MINUTE, 200);
    assert_int_equal(bars_count(bars), 4);
    clock_to(stage, T0 + 11 * MINUTE);
    assert_int_equal(bars_count(bars), 9);
    assert_int_equal(stage->logged, 1);
    for (uint64_t back = 2; back <= 5; back++)
        assert_true(close_of(bars, back) == 2);
    history(stage, T0 + 12 * MINUTE, MINUTE, 100); /* an empty live bar is open there */
    assert_int_equal(bars_count(bars), 9);
}

/* ---- the newest facts ---- */

static void quote(struct stage *stage, int64_t time_ns, int64_t bid, int64_t ask)
{
    struct event event = { .kind = EVENT_QUOTE,
                           .time_ns = time_ns,
                           .quote = { .bid = bid, .ask = ask, .bid_qty = 1, .ask_qty = 2 } };
    market_quote(stage->market, &event);
}

static void the_mark_is_the_middle_else_the_last_price(void **state)
{
    struct stage *stage = *state;
    char text[DECIMAL_TEXT_MAX];
    assert_false(decimal_valid(market_mark(stage->market, 0)));
    assert_true(isnan(market_mark_double(stage->market, 0)));
    assert_null(market_quote_now(stage->market, 0));
    assert_int_equal(market_last(stage->market, 0)->price, 0);

    trade(stage, T0, 10001, 3000);
    assert_string_equal(decimal_format(market_mark(stage->market, 0), text), "100.01");
    assert_true(market_mark_double(stage->market, 0) == 100.01);
    assert_int_equal(market_last(stage->market, 0)->qty, 3000);
    assert_int_equal(market_last(stage->market, 0)->side, 1);

    quote(stage, T0 + 1, 10000, 10003);
    assert_string_equal(decimal_format(market_mark(stage->market, 0), text), "100.015");
    assert_true(market_mark_double(stage->market, 0) == 100.015);
    assert_int_equal(market_quote_now(stage->market, 0)->ask, 10003);
    assert_int_equal(market_quote_ns(stage->market, 0), T0 + 1);

    quote(stage, T0 + 2, INT64_MAX - 1, INT64_MAX); /* the sum of both needs 64 bits */
    assert_string_equal(decimal_format(market_mark(stage->market, 0), text),
                        "92233720368547758.065");
    assert_null(market_quote_now(stage->market, 1));
}

/* ---- asking for bars ---- */

static void bars_asked_for_twice_are_the_same(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 3, HOUR, false);
    assert_ptr_equal(bars_on(stage, 3, HOUR, false), bars);
    assert_ptr_not_equal(bars_on(stage, 4, HOUR, false), bars);
    assert_int_equal(bars_instrument(bars), 3);
    assert_int_equal(bars_tf_ns(bars), HOUR);
    struct bars *flat = bars_on(stage, 3, MINUTE, true);
    assert_ptr_equal(market_find_bars(stage->market, 3, MINUTE), flat);
    assert_ptr_equal(market_find_bars(stage->market, 3, HOUR), bars);
    assert_null(market_find_bars(stage->market, 3, 4 * HOUR));
    assert_null(market_find_bars(stage->market, 5, HOUR));
}

/* Bars made while others are open must not move what is known about those. */
static void bars_made_late_leave_open_ones_alone(void **state)
{
    struct stage *stage = *state;
    struct bars *minute = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0 + 1, 100, 1);
    struct bars *hour = bars_on(stage, 0, HOUR, false), *second = bars_on(stage, 0, SECOND, false);
    trade(stage, T0 + 2, 200, 1);
    clock_to(stage, T0 + MINUTE);
    assert_bar(bars_newest(minute), T0, 1, 2, 1, 2, 0.002);
    assert_bar(bars_newest(second), T0, 2, 2, 2, 2, 0.001);
    clock_to(stage, T0 + HOUR);
    assert_bar(bars_newest(hour), T0, 2, 2, 2, 2, 0.001);
}

/* A reload releases what the old file asked for and asks again. */
static void released_bars_keep_their_values(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    trade(stage, T0, 100, 1);
    bars_release(bars);
    trade(stage, T0 + MINUTE, 200, 1);
    clock_to(stage, T0 + 2 * MINUTE);
    assert_ptr_equal(bars_on(stage, 0, MINUTE, false), bars);
    assert_int_equal(bars_count(bars), 2);
}

static void unknown_timeframes_and_too_many_bars_are_refused(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = NULL;
    struct error err = { 0 };
    assert_int_equal(market_bars(stage->market, 0, 7 * SECOND, false, &bars, &err), ERROR_REFUSED);
    assert_int_equal(market_bars(stage->market, 0, 0, false, &bars, &err), ERROR_REFUSED);
    assert_int_equal(market_bars(stage->market, 0, -MINUTE, false, &bars, &err), ERROR_REFUSED);

    static const int64_t timeframes[] = { SECOND,      5 * SECOND, 15 * SECOND, 30 * SECOND,
                                          MINUTE,      3 * MINUTE, 5 * MINUTE,  15 * MINUTE,
                                          30 * MINUTE, HOUR,       2 * HOUR,    4 * HOUR,
                                          6 * HOUR,    12 * HOUR,  24 * HOUR };
    int made = 0, code = 0;
    for (uint32_t i = 0; i < stage->instruments.count; i++)
        for (size_t k = 0; k < 2 * ARRAY_SIZE(timeframes) && code == 0; k++) {
            code = market_bars(stage->market, i, timeframes[k / 2], k % 2, &bars, &err);
            made += code == 0;
        }
    assert_int_equal(code, ERROR_REFUSED);
    assert_int_equal(made, MARKET_BARS_MAX);
    bars_on(stage, 0, SECOND, false); /* one that is there can still be had */
}

/* ---- studies ---- */

static struct study *study_on(struct bars *bars, enum indicator_kind kind, double n, double k,
                              enum bar_line input)
{
    struct indicator_spec spec = { .kind = kind, .params = { n, k } };
    struct study *study = NULL;
    struct error err = { 0 };
    assert_int_equal(bars_study(bars, &spec, input, &study, &err), 0);
    return study;
}

static struct study *study_over(struct study *of, int line, enum indicator_kind kind, double n)
{
    struct indicator_spec spec = { .kind = kind, .params = { n } };
    struct study *study = NULL;
    struct error err = { 0 };
    assert_int_equal(study_study(of, line, &spec, &study, &err), 0);
    return study;
}

/* `count` one-minute bars, wandering. */
static void wander(struct stage *stage, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        int64_t middle = 10000 + i * i % 137 - i % 29;
        supply(stage, bar_of(T0 + i * MINUTE, MINUTE, middle, middle + 20 + i % 7, middle - 30,
                             middle + i % 11, 1000 * (1 + i % 5)));
    }
}

static void assert_same_lines(const struct series *a, const struct series *b)
{
    assert_int_equal(a->count, b->count);
    for (uint64_t back = 1; back <= a->count && back <= SERIES_KEPT; back++)
        assert_true(series_at(a, back) == series_at(b, back));
}

static void studies_follow_their_bars(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    struct study *sma = study_on(bars, INDICATOR_SMA, 3, 0, BAR_CLOSE);
    struct study *volume = study_on(bars, INDICATOR_SMA, 3, 0, BAR_VOLUME);
    struct study *top = study_on(bars, INDICATOR_HIGHEST, 2, 0, BAR_HIGH);
    struct study *atr = study_on(bars, INDICATOR_ATR, 1, 0, BAR_CLOSE);
    supply(stage, bar_of(T0, MINUTE, 100, 500, 100, 200, 1000));
    supply(stage, bar_of(T0 + MINUTE, MINUTE, 200, 300, 100, 300, 2000));
    assert_false(study_ready(sma));
    assert_int_equal(study_line(sma, 0)->count, 0);
    assert_true(series_at(study_line(top, 0), 1) == 5);
    assert_true(series_at(study_line(atr, 0), 1) == 2);
    supply(stage, bar_of(T0 + 2 * MINUTE, MINUTE, 300, 400, 0, 700, 6000));
    assert_true(study_ready(sma));
    assert_true(series_at(study_line(sma, 0), 1) == 4);
    assert_true(series_at(study_line(volume, 0), 1) == 3);
    assert_true(series_at(study_line(top, 0), 1) == 4);
    assert_true(series_at(study_line(top, 0), 2) == 5);
    assert_true(series_at(study_line(atr, 0), 1) == 4);
    assert_int_equal(study_spec(sma)->kind, INDICATOR_SMA);
}

/* A study made at a reload must know what one made at the start knows. */
static void a_late_study_is_computed_from_the_kept_bars(void **state)
{
    struct stage *stage = *state;
    struct bars *early = bars_on(stage, 0, MINUTE, false), *late = bars_on(stage, 0, MINUTE, true);
    static const struct {
        enum indicator_kind kind;
        double n, k;
        enum bar_line input;
    } specs[] = {
        { INDICATOR_SMA, 10, 0, BAR_CLOSE },       { INDICATOR_EMA, 12, 0, BAR_OPEN },
        { INDICATOR_RSI, 14, 0, BAR_CLOSE },       { INDICATOR_ATR, 14, 0, BAR_CLOSE },
        { INDICATOR_BOLLINGER, 20, 2, BAR_CLOSE }, { INDICATOR_HIGHEST, 9, 0, BAR_HIGH },
        { INDICATOR_LOWEST, 9, 0, BAR_LOW },
    };
    struct study *first[ARRAY_SIZE(specs)];
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        first[i] = study_on(early, specs[i].kind, specs[i].n, specs[i].k, specs[i].input);
    struct study *ema = study_over(first[2], 0, INDICATOR_EMA, 5);
    struct study *top = study_over(first[4], 2, INDICATOR_HIGHEST, 3);
    wander(stage, 0, 200);

    struct study *second[ARRAY_SIZE(specs)];
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
        second[i] = study_on(late, specs[i].kind, specs[i].n, specs[i].k, specs[i].input);
    struct study *late_ema = study_over(second[2], 0, INDICATOR_EMA, 5);
    struct study *late_top = study_over(second[4], 2, INDICATOR_HIGHEST, 3);
    for (int more = 0; more < 2; more++) {
        for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
            for (int line = 0; line < (specs[i].kind == INDICATOR_BOLLINGER ? 3 : 1); line++)
                assert_same_lines(study_line(first[i], line), study_line(second[i], line));
        assert_same_lines(study_line(ema, 0), study_line(late_ema, 0));
        assert_same_lines(study_line(top, 0), study_line(late_top, 0));
        wander(stage, 200, 50);
    }
    assert_int_equal(study_line(ema, 0)->count, 250 - 15 - 5 + 2);
}

/* More bars went by than are kept: the newest ones make the study. */
static void a_late_study_uses_at_most_what_is_kept(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    wander(stage, 0, SERIES_KEPT + 100);
    struct study *sma = study_on(bars, INDICATOR_SMA, 10, 0, BAR_CLOSE);
    assert_int_equal(study_line(sma, 0)->count, SERIES_KEPT - 9);
    struct study *long_sma = study_on(bars, INDICATOR_SMA, SERIES_KEPT + 1, 0, BAR_CLOSE);
    assert_false(study_ready(long_sma));
    wander(stage, SERIES_KEPT + 100, 1);
    assert_true(study_ready(long_sma));
}

static void equal_studies_are_shared(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    struct study *rsi = study_on(bars, INDICATOR_RSI, 14, 0, BAR_CLOSE);
    assert_ptr_equal(study_on(bars, INDICATOR_RSI, 14, 0, BAR_CLOSE), rsi);
    assert_ptr_not_equal(study_on(bars, INDICATOR_RSI, 13, 0, BAR_CLOSE), rsi);
    assert_ptr_not_equal(study_on(bars, INDICATOR_RSI, 14, 0, BAR_HIGH), rsi);
    assert_ptr_not_equal(study_on(bars, INDICATOR_EMA, 14, 0, BAR_CLOSE), rsi);
    struct study *ema = study_over(rsi, 0, INDICATOR_EMA, 14);
    assert_ptr_equal(study_over(rsi, 0, INDICATOR_EMA, 14), ema);
    struct study *bands = study_on(bars, INDICATOR_BOLLINGER, 14, 2, BAR_CLOSE);
    assert_ptr_not_equal(study_on(bars, INDICATOR_BOLLINGER, 14, 3, BAR_CLOSE), bands);
    assert_ptr_not_equal(study_over(bands, 0, INDICATOR_EMA, 14),
                         study_over(bands, 1, INDICATOR_EMA, 14));
    assert_ptr_equal(study_on(bars, INDICATOR_ATR, 14, 0, BAR_CLOSE),
                     study_on(bars, INDICATOR_ATR, 14, 0, BAR_LOW)); /* it eats whole bars */
}

static void needed_bars_add_along_a_chain(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    assert_int_equal(bars_needed(bars), 0);
    struct study *sma = study_on(bars, INDICATOR_SMA, 10, 0, BAR_CLOSE);
    assert_int_equal(bars_needed(bars), 10);
    struct study *rsi = study_on(bars, INDICATOR_RSI, 14, 0, BAR_CLOSE);
    assert_int_equal(bars_needed(bars), 15);
    struct study *ema = study_over(rsi, 0, INDICATOR_EMA, 10);
    struct study *top = study_over(ema, 0, INDICATOR_HIGHEST, 3);
    assert_int_equal(bars_needed(bars), 15 + 9 + 2);

    wander(stage, 0, 25); /* that many are exactly enough */
    assert_false(study_ready(top));
    wander(stage, 25, 1);
    assert_true(study_ready(top));

    study_release(rsi); /* still held by the studies on it */
    study_release(ema);
    assert_int_equal(bars_needed(bars), 26);
    wander(stage, 26, 1);
    assert_int_equal(study_line(top, 0)->count, 2);
    study_release(top);
    assert_int_equal(bars_needed(bars), 10);
    study_release(sma);
    assert_int_equal(bars_needed(bars), 0);
    wander(stage, 27, 1);
}

static void released_studies_leave_the_others_in_order(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    struct study *sma = study_on(bars, INDICATOR_SMA, 2, 0, BAR_CLOSE);
    struct study *rsi = study_on(bars, INDICATOR_RSI, 2, 0, BAR_CLOSE);
    struct study *ema = study_over(rsi, 0, INDICATOR_EMA, 1);
    study_release(sma);
    wander(stage, 0, 20);
    assert_same_lines(study_line(rsi, 0), study_line(ema, 0)); /* never a bar behind */
    bars_release(bars);
    study_release(ema);
    study_release(rsi);
    assert_int_equal(bars_needed(bars), 0);
}

static void too_many_or_wrong_studies_are_refused(void **state)
{
    struct stage *stage = *state;
    struct bars *bars = bars_on(stage, 0, MINUTE, false);
    struct indicator_spec spec = { .kind = INDICATOR_EMA, .params = { 0 } };
    struct study *study = NULL;
    struct error err = { 0 };
    assert_int_equal(bars_study(bars, &spec, BAR_CLOSE, &study, &err), ERROR_REFUSED);
    assert_null(study);
    for (int i = 1; i <= BARS_SERIES_MAX; i++)
        study_on(bars, INDICATOR_EMA, i, 0, BAR_CLOSE);
    spec.params[0] = BARS_SERIES_MAX + 1;
    assert_int_equal(bars_study(bars, &spec, BAR_CLOSE, &study, &err), ERROR_REFUSED);
    assert_string_equal(
        err.message, "ema: there are 256 series on the bars of S0/USD already, the most allowed");
    study_on(bars, INDICATOR_EMA, 1, 0, BAR_CLOSE); /* a shared one takes no room */
}

/* Reloads come and go for days in one process. (Sanitizers report 0 here and look for leaks.) */
static void studies_that_come_and_go_keep_memory_flat(void **state)
{
    struct stage *stage = *state;
    wander(stage, 0, 50);
    size_t before = 0;
    for (int i = 0; i < 1000; i++) {
        struct bars *bars = bars_on(stage, 0, MINUTE, false);
        struct study *bands = study_on(bars, INDICATOR_BOLLINGER, 20, 2, BAR_CLOSE);
        struct study *rsi = study_on(bars, INDICATOR_RSI, 14, 0, BAR_CLOSE);
        struct study *top = study_on(bars, INDICATOR_HIGHEST, 100, 0, BAR_HIGH);
        struct study *ema = study_over(rsi, 0, INDICATOR_EMA, 10);
        study_release(rsi);
        study_release(top);
        if (i % 2 == 0)
            bars_release(bars);
        study_release(ema);
        study_release(bands);
        if (i % 2 != 0)
            bars_release(bars);
        if (i == 0)
            before = mallinfo2().uordblks;
    }
    /* The allocator's own caches move a little; the smallest thing lost 1,000 times is 64 KB. */
    assert_true(mallinfo2().uordblks < before + 16384);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_bar_is_made_of_its_trades),
        TEST(without_trades_there_is_no_bar),
        TEST(a_trade_at_the_end_is_of_the_next_bar),
        TEST(bars_are_aligned_in_utc),
        TEST(due_is_the_next_end_of_an_open_bar),
        TEST(closed_bars_come_longest_first_then_by_instrument),
        TEST(all_series_are_updated_before_any_bar_is_told),
        TEST(late_trades_change_no_bar),
        TEST(an_interval_the_clock_has_left_stays_empty),
        TEST(a_trade_past_an_open_bar_aborts),
        TEST(random_trades_make_the_bars_of_a_plain_grouping),
        TEST(a_volume_that_does_not_fit_stays_at_the_largest),
        TEST(times_at_the_ends_of_int64_do_no_harm),
        TEST(flat_gaps_are_filled_at_the_previous_close),
        TEST(a_long_silence_is_skipped),
        TEST(a_supplied_bar_is_closed_at_once),
        TEST(a_supplied_bar_keeps_its_own_times),
        TEST(smaller_supplied_bars_build_larger_ones),
        TEST(the_clock_leaves_room_for_the_last_part),
        TEST(the_last_part_alone_makes_a_larger_bar),
        TEST(a_later_supplied_bar_closes_what_it_left_behind),
        TEST(a_bar_across_a_border_belongs_where_it_ends),
        TEST(supplied_bars_beat_trades),
        TEST(coarser_supplied_bars_beat_finer_ones),
        TEST(a_supplied_bar_does_not_hide_a_newer_trade),
        TEST(a_supplied_bar_told_twice_counts_once),
        TEST(gaps_between_supplied_bars_can_be_flat),
        TEST(history_only_fills),
        TEST(history_does_not_disturb_the_open_bar),
        TEST(flat_gaps_reach_from_history_to_live),
        TEST(the_mark_is_the_middle_else_the_last_price),
        TEST(bars_asked_for_twice_are_the_same),
        TEST(bars_made_late_leave_open_ones_alone),
        TEST(released_bars_keep_their_values),
        TEST(unknown_timeframes_and_too_many_bars_are_refused),
        TEST(studies_follow_their_bars),
        TEST(a_late_study_is_computed_from_the_kept_bars),
        TEST(a_late_study_uses_at_most_what_is_kept),
        TEST(equal_studies_are_shared),
        TEST(needed_bars_add_along_a_chain),
        TEST(released_studies_leave_the_others_in_order),
        TEST(too_many_or_wrong_studies_are_refused),
        TEST(studies_that_come_and_go_keep_memory_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
