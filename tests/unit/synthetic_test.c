/* synthetic_test.c - the embedded market: the same for the same seed, and like a market. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/sim/synthetic.h"

#define ORIGIN (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01, the default --clock-start */
#define FINGERPRINT UINT64_C(0x7ea1f924dc46c22f)
#define HOUR (60 * NS_PER_MINUTE)

static const char *const DEFAULTS[] = { "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT" };

static struct instruments *instruments_new(void)
{
    struct instruments *list = memory_new(sizeof(*list));
    struct error err = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(DEFAULTS); i++) {
        struct instrument instrument;
        uint32_t index;
        synthetic_instrument(DEFAULTS[i], &instrument);
        assert_int_equal(instruments_add(list, &instrument, &index, &err), 0);
    }
    return list;
}

static struct synthetic_options options(int64_t start_ns)
{
    return (struct synthetic_options){
        .seed = 1, .volatility = 0.6, .spread_bps = 1.0, .origin_ns = ORIGIN, .start_ns = start_ns
    };
}

static struct synthetic *market_with(const struct synthetic_options *with,
                                     const struct instruments *instruments)
{
    struct synthetic *market = NULL;
    struct error err = { 0 };
    assert_int_equal(synthetic_open(with, instruments, &market, &err), 0);
    return market;
}

static struct synthetic *market_from(int64_t start_ns, const struct instruments *instruments)
{
    struct synthetic_options with = options(start_ns);
    return market_with(&with, instruments);
}

static struct event next_of(struct synthetic *market)
{
    struct feed_port feed = synthetic_feed(market);
    struct event event = { 0 };
    struct error err = { 0 };
    int64_t announced = feed.next_ns(feed.self);
    assert_int_equal(feed.next(feed.self, &event, &err), 1);
    assert_true(event.time_ns == announced);
    return event;
}

static bool same_event(const struct event *a, const struct event *b)
{
    if (a->kind != b->kind || a->instrument != b->instrument || a->time_ns != b->time_ns)
        return false;
    if (a->kind == EVENT_TRADE)
        return a->trade.price == b->trade.price && a->trade.qty == b->trade.qty &&
               a->trade.side == b->trade.side;
    return a->quote.bid == b->quote.bid && a->quote.ask == b->quote.ask &&
           a->quote.bid_qty == b->quote.bid_qty && a->quote.ask_qty == b->quote.ask_qty;
}

/* ---- bars gathered ---- */

struct gathered {
    struct event bars[20000];
    size_t count;
};

static void gather(void *self, const struct event *event)
{
    struct gathered *gathered = self;
    assert_true(gathered->count < ARRAY_SIZE(gathered->bars));
    gathered->bars[gathered->count++] = *event;
}

static struct gathered *history(struct synthetic *market, uint32_t instrument, int64_t tf_ns,
                                int64_t to_ns, uint64_t limit)
{
    struct gathered *gathered = memory_new(sizeof(*gathered));
    synthetic_history(market, instrument, tf_ns, to_ns, limit, gather, gathered);
    return gathered;
}

/* ---- the same for the same ---- */

static void two_markets_of_one_seed_are_equal(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *a = market_from(ORIGIN, instruments);
    struct synthetic *b = market_from(ORIGIN, instruments);
    for (int i = 0; i < 50000; i++) {
        struct event x = next_of(a), y = next_of(b);
        assert_true(same_event(&x, &y));
    }
    synthetic_close(a);
    synthetic_close(b);
    free(instruments);
}

static uint64_t fingerprint(struct synthetic *market, int events)
{
    uint64_t hash = 0;
    for (int i = 0; i < events; i++) {
        struct event event = next_of(market);
        hash = hash64(hash, (uint64_t)event.time_ns, event.instrument);
        hash = event.kind == EVENT_TRADE
                   ? hash64(hash, (uint64_t)event.trade.price, (uint64_t)event.trade.qty)
                   : hash64(hash64(hash, (uint64_t)event.quote.bid, (uint64_t)event.quote.ask),
                            (uint64_t)event.quote.bid_qty, (uint64_t)event.quote.ask_qty);
    }
    return hash;
}

/* Seed 1 is one market on every machine, with every compiler. When the model is changed on purpose
 * the number changes with it, and stored sessions on the sim no longer go on as they would have. */
static void the_default_market_is_known_by_its_fingerprint(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    uint64_t found = fingerprint(market, 100000);
    if (found != FINGERPRINT)
        print_message("fingerprint 0x%016" PRIx64 "\n", found);
    assert_true(found == FINGERPRINT);
    synthetic_close(market);
    free(instruments);
}

static void another_seed_is_another_market(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic_options with = options(ORIGIN);
    struct synthetic *a = market_with(&with, instruments);
    with.seed = 2;
    struct synthetic *b = market_with(&with, instruments);
    int equal = 0;
    for (int i = 0; i < 1000; i++) {
        struct event x = next_of(a), y = next_of(b);
        equal += same_event(&x, &y);
    }
    assert_int_equal(equal, 0);
    synthetic_close(a);
    synthetic_close(b);
    free(instruments);
}

/* A symbol's prices do not depend on which others are in the session. */
static void a_symbol_is_the_same_in_other_company(void **state)
{
    (void)state;
    struct instruments *all = instruments_new();
    struct instruments *one = memory_new(sizeof(*one));
    one->list[0] = all->list[1];
    one->count = 1;
    struct synthetic *a = market_from(ORIGIN, all);
    struct synthetic *b = market_from(ORIGIN, one);
    for (int i = 0; i < 2000; i++) {
        struct event x, y = next_of(b);
        do
            x = next_of(a);
        while (x.instrument != 1);
        x.instrument = 0;
        assert_true(same_event(&x, &y));
    }
    synthetic_close(a);
    synthetic_close(b);
    free(all);
    free(one);
}

/* A session that goes on from a stored market time must see what an uninterrupted one would have.
 */
static void a_resumed_start_is_the_tail(void **state)
{
    (void)state;
    static const int64_t starts[] = { 0,
                                      1,
                                      30 * NS_PER_SECOND,
                                      NS_PER_MINUTE - 1,
                                      NS_PER_MINUTE,
                                      7 * NS_PER_MINUTE + 12345,
                                      2 * HOUR + 59 * NS_PER_SECOND };
    struct instruments *instruments = instruments_new();
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        struct synthetic *whole = market_from(ORIGIN, instruments);
        struct synthetic *tail = market_from(ORIGIN + starts[i], instruments);
        struct event x;
        do
            x = next_of(whole);
        while (x.time_ns < ORIGIN + starts[i]);
        for (int k = 0; k < 3000; k++) {
            struct event y = next_of(tail);
            assert_true(same_event(&x, &y));
            x = next_of(whole);
        }
        synthetic_close(whole);
        synthetic_close(tail);
    }
    free(instruments);
}

/* ---- history ---- */

static void add_trade(struct event *bars, size_t *count, const struct event *event, int64_t tf_ns)
{
    int64_t open_ns = event->time_ns / tf_ns * tf_ns;
    if (*count == 0 || bars[*count - 1].bar.open_ns != open_ns)
        bars[(*count)++] = (struct event){ .kind = EVENT_BAR,
                                           .time_ns = open_ns + tf_ns,
                                           .bar = { .open_ns = open_ns,
                                                    .open = event->trade.price,
                                                    .high = event->trade.price,
                                                    .low = event->trade.price } };
    struct bar_event *bar = &bars[*count - 1].bar;
    if (event->trade.price > bar->high)
        bar->high = event->trade.price;
    if (event->trade.price < bar->low)
        bar->low = event->trade.price;
    bar->close = event->trade.price;
    bar->volume += event->trade.qty;
}

/* The bars of the first three hours, made here from the feed's own trades. */
static void history_is_what_the_trades_make(void **state)
{
    (void)state;
    static const int64_t frames[] = { NS_PER_SECOND, 15 * NS_PER_SECOND, NS_PER_MINUTE,
                                      5 * NS_PER_MINUTE, HOUR };
    struct instruments *instruments = instruments_new();
    for (size_t f = 0; f < ARRAY_SIZE(frames); f++)
        for (uint32_t instrument = 0; instrument < 3; instrument++) {
            struct event *bars = memory_new(11000 * sizeof(*bars));
            size_t count = 0;
            struct synthetic *market = market_from(ORIGIN, instruments);
            struct event event;
            while ((event = next_of(market)).time_ns < ORIGIN + 3 * HOUR)
                if (event.kind == EVENT_TRADE && event.instrument == instrument)
                    add_trade(bars, &count, &event, frames[f]);
            struct gathered *told =
                history(market, instrument, frames[f], ORIGIN + 3 * HOUR + 1, count);
            assert_true(told->count == count);
            for (size_t i = 0; i < count; i++) {
                const struct event *bar = &told->bars[i];
                assert_true(bar->kind == EVENT_BAR && bar->bar.is_history);
                assert_true(bar->instrument == instrument && bar->time_ns == bars[i].time_ns);
                assert_true(bar->bar.open_ns == bars[i].bar.open_ns);
                assert_true(bar->bar.open == bars[i].bar.open &&
                            bar->bar.high == bars[i].bar.high && bar->bar.low == bars[i].bar.low &&
                            bar->bar.close == bars[i].bar.close &&
                            bar->bar.volume == bars[i].bar.volume);
            }
            free(told);
            free(bars);
            synthetic_close(market);
        }
    free(instruments);
}

/* Warm-up asks for what was before the session began; it must join the first live trade. */
static void history_reaches_back_before_the_origin(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    struct gathered *before = history(market, 0, NS_PER_MINUTE, ORIGIN, 200);
    assert_true(before->count == 200);
    assert_true(before->bars[0].bar.open_ns == ORIGIN - 200 * NS_PER_MINUTE);
    assert_true(before->bars[199].time_ns == ORIGIN);
    struct event event;
    while ((event = next_of(market)).kind != EVENT_TRADE || event.instrument != 0)
        continue;
    double gap = (double)event.trade.price / (double)before->bars[199].bar.close - 1;
    assert_true(fabs(gap) < 0.005);

    /* The same minutes, seen by a market whose origin is the same but that runs a day later. */
    struct synthetic *later = market_from(ORIGIN + 24 * HOUR, instruments);
    struct gathered *again = history(later, 0, NS_PER_MINUTE, ORIGIN, 200);
    assert_memory_equal(&before->bars[0].bar, &again->bars[0].bar, sizeof(struct bar_event));
    assert_memory_equal(&before->bars[199].bar, &again->bars[199].bar, sizeof(struct bar_event));
    free(before);
    free(again);
    synthetic_close(market);
    synthetic_close(later);
    free(instruments);
}

static void history_ends_at_the_last_closed_bar_and_keeps_its_limit(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    struct gathered *bars = history(market, 1, HOUR, ORIGIN + 90 * NS_PER_MINUTE, 3);
    assert_true(bars->count == 3);
    assert_true(bars->bars[2].time_ns == ORIGIN + HOUR);
    free(bars);
    bars = history(market, 1, 5 * NS_PER_SECOND, ORIGIN + HOUR, 100);
    assert_true(bars->count == 100);
    assert_true(bars->bars[99].time_ns <= ORIGIN + HOUR);
    free(bars);
    bars = history(market, 1, HOUR, ORIGIN, 0);
    assert_true(bars->count == 0);
    free(bars);
    synthetic_close(market);
    free(instruments);
}

/* ---- like a market ---- */

/* What each event must keep, whatever the seed; the newest quote stands. */
static void check_event(const struct instrument *instrument, const struct event *event,
                        struct event *quote)
{
    int64_t tick, lot;
    assert_int_equal(decimal_mantissa(instrument->tick_size, instrument->price_scale, &tick), 0);
    assert_int_equal(decimal_mantissa(instrument->lot_size, instrument->qty_scale, &lot), 0);
    if (event->kind == EVENT_QUOTE) {
        const struct quote_event *q = &event->quote;
        assert_true(q->bid >= 5 * tick && q->bid < q->ask);
        assert_true(q->bid % tick == 0 && q->ask % tick == 0);
        assert_true(q->bid_qty > 0 && q->ask_qty > 0);
        assert_true(q->bid_qty % lot == 0 && q->ask_qty % lot == 0);
        *quote = *event;
        return;
    }
    const struct trade_event *t = &event->trade;
    assert_int_equal(event->kind, EVENT_TRADE);
    assert_true(quote->kind == EVENT_QUOTE); /* the first event of all is a quote */
    assert_true(t->side == SIDE_BUY ? t->price == quote->quote.ask : t->price == quote->quote.bid);
    assert_true(t->side == SIDE_BUY || t->side == SIDE_SELL);
    assert_true(t->qty > 0 && t->qty % lot == 0);
}

static void quotes_and_trades_are_sound(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct synthetic_options with = options(ORIGIN);
        with.seed = seed;
        struct synthetic *market = market_with(&with, instruments);
        struct event quotes[3] = { 0 };
        int64_t last_ns[3] = { 0 }, before_ns = 0;
        for (int i = 0; i < 100000; i++) {
            struct event event = next_of(market);
            assert_true(event.time_ns >= before_ns);
            assert_true(event.time_ns > last_ns[event.instrument]);
            before_ns = last_ns[event.instrument] = event.time_ns;
            check_event(&instruments->list[event.instrument], &event, &quotes[event.instrument]);
        }
        synthetic_close(market);
    }
    free(instruments);
}

static void a_second_has_about_one_trade_and_two_quotes(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    double trades[3] = { 0 }, quotes[3] = { 0 };
    struct event event;
    while ((event = next_of(market)).time_ns < ORIGIN + 24 * HOUR)
        (event.kind == EVENT_TRADE ? trades : quotes)[event.instrument]++;
    for (int i = 0; i < 3; i++) {
        assert_true(trades[i] / 86400 > 0.7 && trades[i] / 86400 < 1.4);
        assert_true(quotes[i] / 86400 > 1.4 && quotes[i] / 86400 < 2.8);
    }
    synthetic_close(market);
    free(instruments);
}

struct returns {
    double annual, clustering; /* volatility; autocorrelation of their sizes */
};

static struct returns returns_of(const struct gathered *bars, size_t step, double steps_a_year)
{
    double sum = 0, size = 0, both = 0, before = 0, n = 0;
    for (size_t i = step; i < bars->count; i += step) {
        double r = log((double)bars->bars[i].bar.close / (double)bars->bars[i - step].bar.close);
        sum += r * r;
        size += fabs(r);
        both += fabs(r) * before;
        before = fabs(r);
        n++;
    }
    double mean = size / n;
    return (struct returns){ sqrt(sum / n * steps_a_year),
                             (both / n - mean * mean) / (sum / n - mean * mean) };
}

static void volatility_is_what_was_asked_and_clusters(void **state)
{
    (void)state;
    static const double asked[] = { 0.15, 0.6, 1.2 };
    struct instruments *instruments = instruments_new();
    for (size_t v = 0; v < ARRAY_SIZE(asked); v++)
        for (uint32_t i = 0; i < 3; i++) {
            struct synthetic_options with = options(ORIGIN);
            with.volatility = asked[v];
            struct synthetic *market = market_with(&with, instruments);
            struct gathered *bars =
                history(market, i, NS_PER_MINUTE, ORIGIN + 5 * 24 * HOUR, 5 * 24 * 60);
            struct returns minutes = returns_of(bars, 1, 525600);
            struct returns hours = returns_of(bars, 60, 8760);
            assert_true(minutes.annual > asked[v] / 2 && minutes.annual < asked[v] * 2);
            assert_true(hours.annual > asked[v] / 2 && hours.annual < asked[v] * 2);
            assert_true(minutes.clustering > 0.05);
            free(bars);
            synthetic_close(market);
        }
    free(instruments);
}

/* An EMA 12/48 on 1m closes, warmed up before the origin: when does the fast one cross above? */
static int first_entry_minute(struct synthetic *market, uint32_t instrument, int *entries)
{
    struct gathered *bars = history(market, instrument, NS_PER_MINUTE, ORIGIN + 24 * HOUR, 1740);
    double fast = (double)bars->bars[0].bar.close, slow = fast;
    int first = -1;
    for (size_t i = 1; i < bars->count; i++) {
        double close = (double)bars->bars[i].bar.close;
        bool was_above = fast > slow;
        fast += (close - fast) * 2 / 13;
        slow += (close - slow) * 2 / 49;
        if (i < 300 || was_above || !(fast > slow))
            continue;
        ++*entries;
        if (first < 0)
            first = (int)i - 300;
    }
    free(bars);
    return first;
}

/* The first minutes of the default session are what a newcomer sees: something must happen. */
static void a_trend_follower_has_something_to_do(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    int entries = 0, early = 0;
    for (uint32_t i = 0; i < 3; i++) {
        int first = first_entry_minute(market, i, &entries);
        early += first >= 0 && first < 15;
    }
    assert_true(early >= 2);
    assert_true(entries >= 24 && entries <= 24 * 6); /* a few an hour over three symbols */
    synthetic_close(market);
    free(instruments);
}

static void the_default_symbols_start_at_familiar_prices(void **state)
{
    (void)state;
    static const double prices[] = { 42000, 2300, 100 };
    static const char *const ticks[] = { "0.1", "0.01", "0.01" };
    static const char *const lots[] = { "0.00001", "0.0001", "0.001" };
    struct instruments *instruments = instruments_new();
    struct synthetic *market = market_from(ORIGIN, instruments);
    double seen[3] = { 0 };
    while (seen[0] == 0 || seen[1] == 0 || seen[2] == 0) {
        struct event event = next_of(market);
        if (event.kind == EVENT_TRADE && seen[event.instrument] == 0)
            seen[event.instrument] =
                instrument_price(&instruments->list[event.instrument], event.trade.price);
    }
    for (int i = 0; i < 3; i++) {
        const struct instrument *instrument = &instruments->list[i];
        char text[DECIMAL_TEXT_MAX];
        assert_true(fabs(seen[i] / prices[i] - 1) < 0.01);
        assert_string_equal(decimal_format(instrument->tick_size, text), ticks[i]);
        assert_string_equal(decimal_format(instrument->lot_size, text), lots[i]);
        assert_string_equal(decimal_format(instrument->min_notional, text), "1");
        assert_string_equal(instrument->currency, "USDT");
        assert_string_equal(instrument->venue, "sim");
        assert_true(instrument->short_allowed);
    }
    synthetic_close(market);
    free(instruments);
}

/* A made-up symbol must be tradable with a capital of 100: lots below 1, ticks fine enough. */
static void any_name_makes_a_tradable_symbol(void **state)
{
    (void)state;
    static const char *const names[] = { "AAPL",    "DOGE/USDT",     "X/USDT:USDT", "GOLD",
                                         "ABC/USD", "ZZZ/USDT:USDT", "FOO/EUR" };
    struct instruments *instruments = memory_new(sizeof(*instruments));
    struct error err = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct instrument instrument;
        uint32_t index;
        synthetic_instrument(names[i], &instrument);
        assert_int_equal(instruments_add(instruments, &instrument, &index, &err), 0);
    }
    struct synthetic *market = market_from(ORIGIN, instruments);
    double price[ARRAY_SIZE(names)] = { 0 };
    for (int i = 0; i < 2000; i++) {
        struct event event = next_of(market);
        if (event.kind == EVENT_QUOTE && price[event.instrument] == 0)
            price[event.instrument] =
                instrument_price(&instruments->list[event.instrument], event.quote.bid);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct instrument *instrument = &instruments->list[i];
        assert_true(price[i] > 0.99 && price[i] < 1010);
        assert_true(price[i] * decimal_to_double(instrument->lot_size) <= 1.01);
        double relative = decimal_to_double(instrument->tick_size) / price[i];
        assert_true(relative > 0.5e-5 && relative < 2e-4);
    }
    synthetic_close(market);
    free(instruments);
}

/* At 1000 % a year the walk soon meets its bounds, and turns round. */
static void a_price_never_runs_off(void **state)
{
    (void)state;
    struct instruments *instruments = instruments_new();
    for (int month = 1; month <= 9; month += 2) {
        struct synthetic_options with = options(ORIGIN + month * 30 * 24 * HOUR);
        with.volatility = 10;
        struct synthetic *market = market_with(&with, instruments);
        struct event quotes[3] = { 0 };
        for (int i = 0; i < 2000; i++) {
            struct event event = next_of(market);
            check_event(&instruments->list[event.instrument], &event, &quotes[event.instrument]);
        }
        double btc = (double)quotes[0].quote.bid / 10;
        assert_true(btc > 42000 / 20.0 && btc < 42000 * 20.0);
        synthetic_close(market);
    }
    free(instruments);
}

/* ---- what is refused ---- */

static void assert_refused(const struct synthetic_options *with, const char *says)
{
    struct instruments *instruments = instruments_new();
    struct synthetic *market = NULL;
    struct error err = { 0 };
    assert_int_equal(synthetic_open(with, instruments, &market, &err), ERROR_CONFIG);
    assert_null(market);
    assert_non_null(strstr(err.message, says));
    free(instruments);
}

static void senseless_options_are_refused(void **state)
{
    (void)state;
    struct synthetic_options with = options(ORIGIN);
    with.volatility = 0;
    assert_refused(&with, "volatility");
    with.volatility = NAN;
    assert_refused(&with, "volatility");
    with.volatility = 11;
    assert_refused(&with, "volatility");
    with = options(ORIGIN);
    with.spread_bps = -1;
    assert_refused(&with, "spread");
    with.spread_bps = NAN;
    assert_refused(&with, "spread");
    with = options(ORIGIN - 1);
    assert_refused(&with, "before its --clock-start");
    with = options(INT64_MAX);
    assert_refused(&with, "2100");
    with = options(-1);
    with.origin_ns = -1;
    assert_refused(&with, "1970");
}

static void a_market_without_symbols_is_at_its_end(void **state)
{
    (void)state;
    struct instruments *none = memory_new(sizeof(*none));
    struct synthetic *market = market_from(ORIGIN, none);
    struct feed_port feed = synthetic_feed(market);
    struct event event;
    struct error err = { 0 };
    assert_true(feed.next_ns(feed.self) == TIME_NEVER);
    assert_int_equal(feed.next(feed.self, &event, &err), 0);
    feed.close(feed.self);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_markets_of_one_seed_are_equal),
        cmocka_unit_test(the_default_market_is_known_by_its_fingerprint),
        cmocka_unit_test(another_seed_is_another_market),
        cmocka_unit_test(a_symbol_is_the_same_in_other_company),
        cmocka_unit_test(a_resumed_start_is_the_tail),
        cmocka_unit_test(history_is_what_the_trades_make),
        cmocka_unit_test(history_reaches_back_before_the_origin),
        cmocka_unit_test(history_ends_at_the_last_closed_bar_and_keeps_its_limit),
        cmocka_unit_test(quotes_and_trades_are_sound),
        cmocka_unit_test(a_second_has_about_one_trade_and_two_quotes),
        cmocka_unit_test(volatility_is_what_was_asked_and_clusters),
        cmocka_unit_test(a_trend_follower_has_something_to_do),
        cmocka_unit_test(the_default_symbols_start_at_familiar_prices),
        cmocka_unit_test(any_name_makes_a_tradable_symbol),
        cmocka_unit_test(a_price_never_runs_off),
        cmocka_unit_test(senseless_options_are_refused),
        cmocka_unit_test(a_market_without_symbols_is_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
