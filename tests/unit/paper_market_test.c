/* paper_market_test.c - whatever is asked of the paper venue, over whole markets: no fill that the
 * market did not offer at or after the order's arrival, none better, none missed.
 *
 * The checker here shares no code with paper: it keeps its own view of the market (integers) and of
 * every order, and judges each report when it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"
#include "runtime/sim/paper.h"
#include "runtime/sim/synthetic.h"

#define ORIGIN (INT64_C(1704067200) * NS_PER_SECOND)
#define LATENCY (50 * NS_PER_MS)
#define ORDERS 4000
#define INSTANCES 3
#define TAKER_FEE 0.0005
#define MAKER_FEE 0.0002

/* ---- the checker's own view ---- */

/* Quantities are in lots and prices in ticks: both exact in the integers used here. */
struct seen_order {
    struct order order;
    int64_t limit, trigger; /* mantissas, 0 for none */
    int64_t trail, best;    /* of a trailing stop: its distance, the best price since arrival */
    int64_t qty, filled;
    int64_t arrival_ns; /* of the acknowledgement, 0 before */
    int64_t amended_ns; /* of the last replace */
    bool done, reached; /* reached: the trigger was, at or after arrival */
    bool amended;       /* its queue is no longer followed */
    int64_t ahead;      /* shown in front when it rested; -1: the first trade counts */
    int64_t traded_at;  /* at its price, since */
    int64_t made_at;    /* of that, to us */
};

struct seen_book {
    struct quote_event quote; /* standing */
    int64_t bid_left, ask_left;
    int64_t last;
    int64_t position[INSTANCES];
    struct bar_event bar;
    int64_t bar_end_ns;
};

struct checker {
    struct instruments instruments;
    struct random random;
    struct paper *paper;
    struct venue_port venue;
    struct seen_book books[3];
    struct seen_order orders[ORDERS];
    size_t count;
    struct event now; /* being told; kind EVENT_REPORT: none, the clock only */
    int64_t trade_left;
    int64_t told_ns;
    uint64_t execs;
    size_t fills, rejects, cancels, expired, trailed;
    bool on_bars;
    /* Entries that were filled while a bar was told, whose exits must be sent. */
    size_t entered[ORDERS];
    size_t entered_count;
};

static int64_t mantissa(decimal value, int scale)
{
    int64_t result;
    assert_int_equal(decimal_mantissa(value, scale, &result), 0);
    return result;
}

static const struct instrument *instrument_of(const struct checker *checker,
                                              const struct order *order)
{
    return &checker->instruments.list[order->instrument];
}

static struct seen_order *find(struct checker *checker, const char *id)
{
    size_t index = (size_t)atoi(id + 1);
    assert_true(index < checker->count);
    return &checker->orders[index];
}

static bool is_buy(const struct seen_order *seen)
{
    return seen->order.side == SIDE_BUY;
}

static int64_t sign(const struct seen_order *seen)
{
    return is_buy(seen) ? 1 : -1;
}

/* price is at least as good as the limit for whoever deals with the order's owner. */
static bool within(const struct seen_order *seen, int64_t price)
{
    return is_buy(seen) ? price <= seen->limit : price >= seen->limit;
}

static bool through(const struct seen_order *seen, int64_t price)
{
    return is_buy(seen) ? price < seen->limit : price > seen->limit;
}

static bool triggers(const struct seen_order *seen, int64_t price)
{
    return is_buy(seen) ? price >= seen->trigger : price <= seen->trigger;
}

/* A trailing stop sees a price: the trigger keeps its distance from the best one. */
static void trail(struct seen_order *seen, int64_t price)
{
    if (!seen->trail || (seen->best && !(is_buy(seen) ? price < seen->best : price > seen->best)))
        return;
    seen->best = price;
    seen->trigger = is_buy(seen) ? price + seen->trail : price - seen->trail;
}

/* ---- judging fills on ticks ---- */

static void judge_taker(struct checker *checker, struct seen_order *seen, int64_t price,
                        int64_t qty, int64_t ns)
{
    struct seen_book *book = &checker->books[seen->order.instrument];
    int64_t touch = is_buy(seen) ? book->quote.ask : book->quote.bid;
    int64_t *left = is_buy(seen) ? &book->ask_left : &book->bid_left;
    double worst = (double)touch * (is_buy(seen) ? 1.0005 : 0.9995);
    assert_true(touch > 0);
    if (is_buy(seen))
        assert_true(price >= touch && (double)price < worst + 1);
    else
        assert_true(price <= touch && (double)price > worst - 1);
    assert_true(*left >= qty);
    *left -= qty;
    bool is_now = checker->now.kind != EVENT_REPORT && ns == checker->now.time_ns;
    assert_true(is_now || ns == seen->arrival_ns || ns == seen->amended_ns);
    if (seen->order.type == ORDER_STOP || seen->order.type == ORDER_TRAILING)
        assert_true(seen->reached);
}

static void judge_maker(struct checker *checker, struct seen_order *seen, int64_t price,
                        int64_t qty, int64_t ns)
{
    struct seen_book *book = &checker->books[seen->order.instrument];
    const struct event *now = &checker->now;
    assert_int_equal(seen->order.type, ORDER_LIMIT);
    assert_true(price == seen->limit);
    assert_true(now->kind == EVENT_TRADE || now->kind == EVENT_QUOTE);
    assert_true(now->instrument == seen->order.instrument && now->time_ns == ns);
    if (now->kind == EVENT_QUOTE) {
        int64_t *left = is_buy(seen) ? &book->ask_left : &book->bid_left;
        assert_true(within(seen, is_buy(seen) ? now->quote.ask : now->quote.bid));
        assert_true(*left >= qty);
        *left -= qty;
        return;
    }
    assert_true(within(seen, now->trade.price));
    assert_true(checker->trade_left >= qty);
    checker->trade_left -= qty;
    if (through(seen, now->trade.price))
        return;
    assert_true(now->trade.side != (int)seen->order.side);
    seen->made_at += qty;
    if (!seen->amended) /* nobody jumped the queue */
        assert_true(seen->made_at <= seen->traded_at - seen->ahead);
}

/* ---- judging fills on bars: no slippage, so prices are known exactly ---- */

static int64_t third(const struct seen_book *book)
{
    return (book->bar_end_ns - book->bar.open_ns) / 3;
}

static bool in_bar(const struct seen_book *book, int64_t price)
{
    return price >= book->bar.low && price <= book->bar.high;
}

static void judge_on_bar(struct checker *checker, struct seen_order *seen, int64_t price,
                         int64_t ns, enum liquidity liquidity)
{
    const struct seen_book *book = &checker->books[seen->order.instrument];
    const struct bar_event *bar = &book->bar;
    assert_true(ns >= bar->open_ns && ns <= book->bar_end_ns);
    bool early = seen->arrival_ns < bar->open_ns + third(book);
    if (seen->order.type == ORDER_MARKET) {
        assert_true(in_bar(book, price));
        if (early)
            assert_true(price == bar->open);
    } else if (seen->order.type == ORDER_STOP) {
        assert_true(price == seen->trigger ? in_bar(book, price)
                                           : price == bar->open && triggers(seen, price));
    } else if (liquidity == LIQUIDITY_TAKER) {
        assert_true(price == bar->open && through(seen, price) && early);
    } else {
        assert_true(price == seen->limit);
        assert_true(through(seen, is_buy(seen) ? bar->low : bar->high));
        if (seen->order.role == ROLE_TAKE && seen->arrival_ns > bar->open_ns + LATENCY)
            assert_true(through(seen, bar->close)); /* the entry's own bar */
    }
}

/* ---- judging reports ---- */

static void judge_fill(struct checker *checker, struct seen_order *seen, const struct fill *fill)
{
    const struct instrument *instrument = instrument_of(checker, &seen->order);
    int64_t price = mantissa(fill->price, instrument->price_scale);
    int64_t qty = mantissa(fill->qty, instrument->qty_scale);
    struct seen_book *book = &checker->books[seen->order.instrument];
    char exec_id[EXEC_ID_MAX];
    snprintf(exec_id, sizeof(exec_id), "e%" PRIu64, checker->execs++);
    assert_string_equal(fill->exec_id, exec_id);
    assert_true(seen->arrival_ns > 0 && !seen->done);
    assert_true(fill->transact_ns >= seen->arrival_ns);
    assert_true(qty > 0 && decimal_is_multiple(fill->qty, instrument->lot_size));
    assert_true(decimal_is_multiple(fill->price, instrument->tick_size));
    assert_true(!seen->limit || within(seen, price));
    double rate = fill->liquidity == LIQUIDITY_TAKER ? TAKER_FEE : MAKER_FEE;
    double fee = decimal_to_double(fill->price) * decimal_to_double(fill->qty) * rate;
    assert_true(fabs(decimal_to_double(fill->fee) - fee) < 1e-8);

    if (checker->on_bars)
        judge_on_bar(checker, seen, price, fill->transact_ns, fill->liquidity);
    else if (fill->liquidity == LIQUIDITY_TAKER)
        judge_taker(checker, seen, price, qty, fill->transact_ns);
    else
        judge_maker(checker, seen, price, qty, fill->transact_ns);

    int64_t *position = &book->position[seen->order.instance_id];
    if (seen->order.reduce_only) {
        assert_true(*position * sign(seen) < 0);
        assert_true(qty <= llabs(*position));
    }
    *position += sign(seen) * qty;
    seen->filled += qty;
    assert_true(seen->filled <= seen->qty);
    if (seen->filled == seen->qty)
        seen->done = true;
    if (checker->on_bars && seen->order.role == ROLE_PLAIN && decimal_valid(seen->order.stop))
        checker->entered[checker->entered_count++] = (size_t)(seen - checker->orders);
    checker->fills++;
    checker->trailed += seen->trail > 0;
}

static void judge_ack(struct checker *checker, struct seen_order *seen, int64_t ns)
{
    const struct seen_book *book = &checker->books[seen->order.instrument];
    assert_true(seen->arrival_ns == 0 && !seen->done);
    seen->arrival_ns = ns;
    if (seen->order.role == ROLE_PLAIN)
        assert_true(ns == seen->order.created_ns + LATENCY);
    int64_t touch = is_buy(seen) ? book->quote.bid : book->quote.ask;
    seen->ahead = -1;
    if (seen->limit && touch == seen->limit)
        seen->ahead = is_buy(seen) ? book->quote.bid_qty : book->quote.ask_qty;
    else if (seen->limit && within(seen, touch) && touch > 0)
        seen->ahead = 0;
    if (book->last)
        trail(seen, book->last);
    if (seen->trigger && book->last && triggers(seen, book->last))
        seen->reached = true;
}

static void judge_rejection(struct checker *checker, struct seen_order *seen,
                            const struct report *report)
{
    const struct seen_book *book = &checker->books[seen->order.instrument];
    int64_t touch = is_buy(seen) ? book->quote.ask : book->quote.bid;
    if (strcmp(report->reason, "post-only would take") == 0)
        assert_true(seen->order.post_only && within(seen, touch));
    else if (strcmp(report->reason, "reduce-only: nothing to reduce") == 0)
        assert_true(seen->order.reduce_only &&
                    book->position[seen->order.instance_id] * sign(seen) >= 0);
    else
        fail_msg("rejected: %s", report->reason);
    seen->done = true;
    checker->rejects++;
}

static void judge_replaced(struct checker *checker, struct seen_order *seen,
                           const struct report *report)
{
    const struct instrument *instrument = instrument_of(checker, &seen->order);
    assert_false(seen->done);
    seen->qty = mantissa(report->qty, instrument->qty_scale);
    if (seen->limit)
        seen->limit = mantissa(report->price, instrument->price_scale);
    seen->amended = true;
    seen->amended_ns = report->transact_ns;
    if (seen->qty <= seen->filled)
        seen->done = true;
}

static void judge(void *self, const struct event *event)
{
    struct checker *checker = self;
    assert_int_equal(event->kind, EVENT_REPORT);
    assert_true(event->time_ns >= checker->told_ns);
    assert_true(event->time_ns >= event->report->transact_ns);
    checker->told_ns = event->time_ns;
    const struct report *report = event->report;
    struct seen_order *seen = find(checker, report->client_order_id);
    assert_int_equal(event->instrument, seen->order.instrument);
    switch (report->kind) {
    case REPORT_ACK:
        judge_ack(checker, seen, report->transact_ns);
        break;
    case REPORT_FILL:
        judge_fill(checker, seen, &report->fill);
        break;
    case REPORT_REJECTED:
        judge_rejection(checker, seen, report);
        break;
    case REPORT_CANCELED:
        assert_false(seen->done);
        seen->done = true;
        checker->cancels++;
        break;
    case REPORT_EXPIRED:
        assert_true(!seen->done && report->transact_ns == seen->order.expires_ns);
        seen->done = true;
        checker->expired++;
        break;
    case REPORT_REPLACED:
        judge_replaced(checker, seen, report);
        break;
    case REPORT_RESTATED:
        assert_string_equal(report->reason, "oco");
        seen->qty = mantissa(report->qty, instrument_of(checker, &seen->order)->qty_scale);
        assert_true(seen->qty > seen->filled);
        break;
    case REPORT_CANCEL_REJECT:
        assert_true(seen->done);
        break;
    case REPORT_REPLACE_REJECT:
        assert_true(seen->done || strcmp(report->reason, "post-only would take") == 0);
        break;
    default:
        fail_msg("%s was not asked for", report_kind_name(report->kind));
    }
}

/* ---- what must not be missed ---- */

static void nothing_is_missed(struct checker *checker)
{
    const struct event *now = &checker->now;
    const struct seen_book *book = &checker->books[now->instrument];
    const struct instrument *instrument = &checker->instruments.list[now->instrument];
    int64_t lot = mantissa(instrument->lot_size, instrument->qty_scale);
    for (size_t i = 0; i < checker->count; i++) {
        const struct seen_order *seen = &checker->orders[i];
        if (seen->done || seen->arrival_ns == 0 || seen->order.instrument != now->instrument)
            continue;
        if (seen->order.reduce_only)
            assert_true(book->position[seen->order.instance_id] * sign(seen) < 0);
        int64_t touch = is_buy(seen) ? book->quote.ask : book->quote.bid;
        int64_t left = is_buy(seen) ? book->ask_left : book->bid_left;
        bool takes = seen->order.type == ORDER_MARKET || (!seen->limit && seen->reached);
        assert_true(seen->order.expires_ns > now->time_ns);
        if (now->kind == EVENT_QUOTE && (takes || (seen->limit && within(seen, touch))))
            assert_true(left < lot);
        if (now->kind == EVENT_TRADE && seen->limit && through(seen, now->trade.price))
            assert_true(checker->trade_left < lot);
        if (seen->limit)
            assert_true(seen->order.tif != TIF_IOC && seen->order.tif != TIF_FOK);
    }
}

static void nothing_is_missed_on_a_bar(struct checker *checker)
{
    const struct seen_book *book = &checker->books[0];
    for (size_t i = 0; i < checker->count; i++) {
        const struct seen_order *seen = &checker->orders[i];
        if (seen->done || seen->arrival_ns == 0 ||
            seen->arrival_ns >= book->bar.open_ns + third(book))
            continue;
        assert_true(seen->order.type != ORDER_MARKET);
        bool entrys_bar =
            seen->order.role != ROLE_PLAIN && seen->arrival_ns > book->bar.open_ns + LATENCY;
        int64_t best = is_buy(seen) ? book->bar.low : book->bar.high;
        int64_t worst = is_buy(seen) ? book->bar.high : book->bar.low;
        if (seen->order.type == ORDER_STOP || seen->order.type == ORDER_TRAILING)
            assert_false(triggers(seen, worst));
        else if (!entrys_bar)
            assert_false(through(seen, best));
        else
            assert_false(through(seen, book->bar.close));
    }
}

/* ---- random wishes ---- */

static bool chance(struct checker *checker, double probability)
{
    return random_unit(&checker->random) < probability;
}

static int64_t between(struct checker *checker, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&checker->random, (uint64_t)(high - low + 1));
}

static struct seen_order *new_order(struct checker *checker, uint32_t instrument, int64_t ns)
{
    struct seen_order *seen = &checker->orders[checker->count];
    *seen = (struct seen_order){ 0 };
    seen->order = (struct order){ .order_id = checker->count + 1,
                                  .instance_id = (uint32_t)between(checker, 0, INSTANCES - 1),
                                  .instrument = instrument,
                                  .side = chance(checker, 0.5) ? SIDE_BUY : SIDE_SELL,
                                  .price = DECIMAL_NONE,
                                  .trigger_price = DECIMAL_NONE,
                                  .stop = DECIMAL_NONE,
                                  .take = DECIMAL_NONE,
                                  .filled_qty = DECIMAL_ZERO,
                                  .created_ns = ns,
                                  .expires_ns = TIME_NEVER };
    snprintf(seen->order.client_order_id, sizeof(seen->order.client_order_id), "o%zu",
             checker->count++);
    return seen;
}

static void set_qty(struct checker *checker, struct seen_order *seen, int64_t qty)
{
    seen->qty = qty;
    seen->order.qty = decimal_make(qty, instrument_of(checker, &seen->order)->qty_scale);
}

static void set_limit(struct checker *checker, struct seen_order *seen, int64_t price)
{
    seen->order.type = ORDER_LIMIT;
    seen->limit = price;
    seen->order.price = decimal_make(price, instrument_of(checker, &seen->order)->price_scale);
}

static void set_trigger(struct checker *checker, struct seen_order *seen, int64_t price)
{
    seen->order.type = ORDER_STOP;
    seen->trigger = price;
    seen->order.trigger_price =
        decimal_make(price, instrument_of(checker, &seen->order)->price_scale);
}

static void submit(struct checker *checker, const struct seen_order *seen, int64_t ns)
{
    struct error err = { 0 };
    assert_int_equal(checker->venue.submit(checker->venue.self, &seen->order, ns, &err), 0);
}

static void wish_new(struct checker *checker, int64_t ns)
{
    uint32_t instrument = (uint32_t)between(checker, 0, 2);
    const struct seen_book *book = &checker->books[instrument];
    if (book->last == 0 || book->quote.bid == 0 || checker->count >= ORDERS - 2)
        return;
    struct seen_order *seen = new_order(checker, instrument, ns);
    int64_t spread = book->quote.ask - book->quote.bid;
    set_qty(checker, seen, between(checker, 1, 3 * book->quote.bid_qty));
    switch (between(checker, 0, 6)) {
    case 0:
        seen->order.type = ORDER_MARKET;
        break;
    case 6:
        seen->order.type = ORDER_TRAILING;
        seen->trail = between(checker, 1, 4 * spread);
        seen->order.trail =
            decimal_make(seen->trail, instrument_of(checker, &seen->order)->price_scale);
        break;
    case 1: /* at the touch of its own side */
        set_limit(checker, seen, is_buy(seen) ? book->quote.bid : book->quote.ask);
        break;
    case 2:
    case 3:
        set_limit(checker, seen, book->quote.bid + between(checker, -3 * spread, 3 * spread));
        break;
    default:
        set_trigger(checker, seen, book->last + between(checker, -4 * spread, 4 * spread));
    }
    if (seen->limit) {
        seen->order.post_only = chance(checker, 0.3);
        seen->order.tif = chance(checker, 0.2) ? TIF_IOC : chance(checker, 0.1) ? TIF_FOK : TIF_GTC;
    }
    seen->order.reduce_only = chance(checker, 0.3);
    if (seen->order.tif == TIF_GTC && chance(checker, 0.2)) {
        seen->order.tif = TIF_GTD;
        seen->order.expires_ns = ns + LATENCY + between(checker, 1, 60) * NS_PER_SECOND;
    }
    submit(checker, seen, ns);
    if (!seen->limit || seen->order.tif != TIF_GTC || !chance(checker, 0.4))
        return;
    /* Its sibling, on the other side of the market. */
    struct seen_order *sibling = new_order(checker, instrument, ns);
    sibling->order.side = seen->order.side;
    sibling->order.instance_id = seen->order.instance_id;
    sibling->order.group_id = seen->order.group_id = seen->order.order_id;
    set_qty(checker, sibling, seen->qty);
    set_trigger(checker, sibling, book->last + sign(seen) * between(checker, 0, 4 * spread));
    submit(checker, sibling, ns);
}

static void wish_change(struct checker *checker, int64_t ns)
{
    if (checker->count == 0)
        return;
    size_t newest = checker->count - 1, reach = newest < 30 ? newest : 30;
    struct seen_order *seen =
        &checker->orders[newest - (size_t)between(checker, 0, (int64_t)reach)];
    struct error err = { 0 };
    if (chance(checker, 0.5)) {
        assert_int_equal(checker->venue.cancel(checker->venue.self, &seen->order, ns, &err), 0);
        return;
    }
    decimal qty = decimal_make(between(checker, 1, 2 * seen->qty),
                               instrument_of(checker, &seen->order)->qty_scale);
    decimal price = DECIMAL_NONE;
    if (seen->limit)
        price = decimal_make(seen->limit + between(checker, -5, 5),
                             instrument_of(checker, &seen->order)->price_scale);
    assert_int_equal(checker->venue.amend(checker->venue.self, &seen->order, qty, price, ns, &err),
                     0);
}

/* ---- over the synthetic market ---- */

static void see(struct checker *checker, const struct event *event)
{
    struct seen_book *book = &checker->books[event->instrument];
    checker->now = *event;
    if (event->kind == EVENT_QUOTE) {
        book->quote = event->quote;
        book->bid_left = event->quote.bid_qty;
        book->ask_left = event->quote.ask_qty;
        return;
    }
    book->last = event->trade.price;
    checker->trade_left = event->trade.qty;
    for (size_t i = 0; i < checker->count; i++) {
        struct seen_order *seen = &checker->orders[i];
        if (seen->done || seen->arrival_ns == 0 || seen->order.instrument != event->instrument)
            continue;
        if (!seen->reached)
            trail(seen, event->trade.price);
        if (seen->trigger && triggers(seen, event->trade.price))
            seen->reached = true;
        if (seen->limit != event->trade.price || event->trade.side == (int)seen->order.side)
            continue;
        if (seen->ahead < 0)
            seen->ahead = event->trade.qty;
        seen->traded_at += event->trade.qty;
    }
}

static void advance_to(struct checker *checker, int64_t ns)
{
    checker->now.kind = EVENT_REPORT;
    int64_t due_ns;
    while ((due_ns = checker->venue.due_ns(checker->venue.self)) <= ns)
        checker->venue.advance(checker->venue.self, due_ns);
}

static struct checker *checker_new(uint64_t seed, enum slippage_model slippage)
{
    struct checker *checker = memory_new(sizeof(*checker));
    random_seed(&checker->random, seed);
    struct error err = { 0 };
    static const char *const symbols[] = { "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT" };
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        struct instrument instrument;
        uint32_t index;
        synthetic_instrument(symbols[i], &instrument);
        assert_int_equal(instruments_add(&checker->instruments, &instrument, &index, &err), 0);
    }
    struct paper_options options = { .instruments = &checker->instruments,
                                     .costs = { .maker_fee = decimal_text("0.0002"),
                                                .taker_fee = decimal_text("0.0005"),
                                                .slippage = slippage,
                                                .slippage_bps = decimal_int(5) },
                                     .latency_ns = LATENCY,
                                     .sink = { checker, judge },
                                     .exec_prefix = "e" };
    assert_int_equal(paper_open(&options, &checker->paper, &err), 0);
    checker->venue = paper_port(checker->paper);
    return checker;
}

static void checker_close(struct checker *checker)
{
    checker->venue.close(checker->venue.self);
    free(checker);
}

static void no_fill_is_better_than_the_market_and_none_is_missed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct checker *checker = checker_new(seed, seed % 2 ? SLIPPAGE_FIXED : SLIPPAGE_NONE);
        struct synthetic_options options = { seed, 0.6, 1.0, ORIGIN, ORIGIN };
        struct synthetic *market;
        struct error err = { 0 };
        assert_int_equal(synthetic_open(&options, &checker->instruments, &market, &err), 0);
        struct feed_port feed = synthetic_feed(market);
        for (int i = 0; i < 20000; i++) {
            struct event event;
            assert_int_equal(feed.next(feed.self, &event, &err), 1);
            advance_to(checker, event.time_ns);
            see(checker, &event);
            checker->venue.market(checker->venue.self, &event);
            nothing_is_missed(checker);
            if (chance(checker, 0.04))
                wish_new(checker, event.time_ns);
            if (chance(checker, 0.04))
                wish_change(checker, event.time_ns);
        }
        assert_true(checker->fills > 200 && checker->rejects > 20 && checker->cancels > 100);
        assert_true(checker->expired > 5 && checker->trailed > 20);
        feed.close(feed.self);
        checker_close(checker);
    }
}

/* ---- over bars ---- */

static struct event random_bar(struct checker *checker, int64_t open_ns, int64_t *price)
{
    struct bar_event bar = { .open_ns = open_ns, .open = *price + between(checker, -20, 20) };
    bar.close = bar.open + between(checker, -60, 60);
    bar.high = (bar.open > bar.close ? bar.open : bar.close) + between(checker, 0, 40);
    bar.low = (bar.open < bar.close ? bar.open : bar.close) - between(checker, 0, 40);
    bar.volume = 100;
    *price = bar.close;
    return (struct event){ .kind = EVENT_BAR, .time_ns = open_ns + NS_PER_MINUTE, .bar = bar };
}

static void wish_on_bar(struct checker *checker, int64_t ns, int64_t price)
{
    struct seen_order *seen = new_order(checker, 0, ns);
    set_qty(checker, seen, between(checker, 1, 50));
    int64_t kind = between(checker, 0, 3);
    if (kind == 1)
        set_limit(checker, seen, price + between(checker, -80, 80));
    else if (kind == 2)
        set_trigger(checker, seen, price + between(checker, -80, 80));
    else
        seen->order.type = ORDER_MARKET;
    if (kind == 3) { /* an entry with exits: `stop` marks it for this test */
        seen->order.stop = decimal_int(1);
    } else {
        seen->order.reduce_only = chance(checker, 0.3);
    }
    submit(checker, seen, ns);
}

/* What the engine does when it hears that an entry was filled. */
static void send_exits(struct checker *checker, int64_t ns)
{
    for (size_t i = 0; i < checker->entered_count && checker->count < ORDERS - 2; i++) {
        const struct seen_order *entry = &checker->orders[checker->entered[i]];
        int64_t around = checker->books[0].bar.close;
        for (int leg = 0; leg < 2; leg++) {
            struct seen_order *exit = new_order(checker, 0, ns);
            exit->order.instance_id = entry->order.instance_id;
            exit->order.side = is_buy(entry) ? SIDE_SELL : SIDE_BUY;
            exit->order.parent_order_id = exit->order.group_id = entry->order.order_id;
            exit->order.reduce_only = true;
            exit->order.role = leg == 0 ? ROLE_TAKE : ROLE_STOP;
            set_qty(checker, exit, entry->filled);
            if (leg == 0)
                set_limit(checker, exit, around + sign(entry) * between(checker, 10, 100));
            else
                set_trigger(checker, exit, around - sign(entry) * between(checker, 10, 100));
            submit(checker, exit, ns);
        }
    }
    checker->entered_count = 0;
}

/* Of a group of exits never both are filled, and together never more than the entry. */
static void groups_are_sound(const struct checker *checker)
{
    for (size_t i = 0; i + 1 < checker->count; i++) {
        const struct seen_order *take = &checker->orders[i];
        const struct seen_order *stop = &checker->orders[i + 1];
        if (take->order.role != ROLE_TAKE || stop->order.role != ROLE_STOP || take->amended ||
            stop->amended)
            continue;
        assert_true(take->filled == 0 || stop->filled == 0);
        int64_t asked = mantissa(take->order.qty, 5); /* what was sent: the BTC lot has 5 digits */
        assert_true(take->filled + stop->filled <= asked);
    }
}

static void bars_fill_only_what_their_path_allows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct checker *checker = checker_new(seed, SLIPPAGE_NONE);
        checker->on_bars = true;
        struct seen_book *book = &checker->books[0];
        int64_t price = 420000;
        for (int minute = 0; minute < 1000 && checker->count < ORDERS - 10; minute++) {
            struct event event = random_bar(checker, ORIGIN + minute * NS_PER_MINUTE, &price);
            advance_to(checker, event.time_ns);
            checker->now = event;
            book->bar = event.bar;
            book->bar_end_ns = event.time_ns;
            checker->venue.market(checker->venue.self, &event);
            send_exits(checker, event.time_ns);
            advance_to(checker, event.time_ns);
            nothing_is_missed_on_a_bar(checker);
            for (int64_t wishes = between(checker, 0, 2); wishes > 0; wishes--)
                wish_on_bar(checker, event.time_ns, price);
            if (chance(checker, 0.3))
                wish_change(checker, event.time_ns);
        }
        groups_are_sound(checker);
        assert_true(checker->fills > 200);
        checker_close(checker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_fill_is_better_than_the_market_and_none_is_missed),
        cmocka_unit_test(bars_fill_only_what_their_path_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
