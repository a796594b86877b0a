/* paper_fixture.h - a paper venue and what it told, in order. Times are milliseconds after START;
 * the instrument has a tick and a lot of 0.1. */
#ifndef TESTS_UNIT_PAPER_FIXTURE_H
#define TESTS_UNIT_PAPER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/sim/paper.h"

#define START (INT64_C(1704067200) * NS_PER_SECOND)
#define REPORTS_MAX 256
#define BAR_MS 60000
#define NANOSECOND 1e-6 /* in milliseconds */

struct told {
    struct report report;
    int64_t time_ns;
    uint32_t instrument;
    bool is_answer, is_bar, is_position;
    struct answer_event answer;
    struct position_event position;
};

struct desk {
    struct instruments instruments;
    struct paper *paper;
    struct venue_port venue;
    struct told told[REPORTS_MAX];
    size_t count, read;
    uint64_t next_id;
};

static inline void hear(void *self, const struct event *event)
{
    struct desk *desk = self;
    assert_true(desk->count < REPORTS_MAX);
    struct told *told = &desk->told[desk->count++];
    told->time_ns = event->time_ns;
    told->instrument = event->instrument;
    told->is_answer = event->kind == EVENT_ANSWER;
    told->is_bar = event->kind == EVENT_BAR;
    told->is_position = event->kind == EVENT_POSITION;
    if (told->is_position)
        told->position = event->position;
    if (event->kind == EVENT_REPORT)
        told->report = *event->report;
    if (told->is_answer)
        told->answer = event->answer;
    if (desk->count > 1)
        assert_true(told->is_bar || event->time_ns >= told[-1].time_ns);
}

static inline struct paper_options plain_options(void)
{
    return (struct paper_options){ .costs = { .maker_fee = decimal_text("0.0002"),
                                              .taker_fee = decimal_text("0.0005"),
                                              .slippage = SLIPPAGE_NONE,
                                              .slippage_bps = decimal_int(5) },
                                   .latency_ns = 50 * NS_PER_MS,
                                   .first_exec = 1,
                                   .exec_prefix = "e-" };
}

static inline struct desk *desk_with(struct paper_options options)
{
    struct desk *desk = memory_new(sizeof(*desk));
    struct error err = { 0 };
    for (int i = 0; i < 2; i++) {
        struct instrument instrument = { .tick_size = decimal_text("0.1"),
                                         .lot_size = decimal_text("0.1"),
                                         .min_notional = DECIMAL_ZERO,
                                         .multiplier = decimal_int(1),
                                         .leverage = decimal_int(1),
                                         .price_scale = 1,
                                         .qty_scale = 1,
                                         .venue = "sim" };
        snprintf(instrument.symbol, sizeof(instrument.symbol), "X%d/USDT", i);
        uint32_t index;
        assert_int_equal(instruments_add(&desk->instruments, &instrument, &index, &err), 0);
    }
    options.instruments = &desk->instruments;
    options.sink = (struct event_sink){ desk, hear };
    assert_int_equal(paper_open(&options, &desk->paper, &err), 0);
    desk->venue = paper_port(desk->paper);
    return desk;
}

static inline struct desk *desk_new(void)
{
    return desk_with(plain_options());
}

static inline struct desk *desk_slipping(enum slippage_model model)
{
    struct paper_options options = plain_options();
    options.costs.slippage = model;
    return desk_with(options);
}

static inline struct desk *desk_filling(enum fill_on fill_on)
{
    struct paper_options options = plain_options();
    options.fill_on = fill_on;
    options.costs.slippage = SLIPPAGE_FIXED;
    return desk_with(options);
}

/* ---- time and market, as the driver does it ---- */

static inline int64_t at(double ms)
{
    return START + llround(ms * 1e6);
}

static inline void run_to(struct desk *desk, double ms)
{
    int64_t due_ns;
    while ((due_ns = desk->venue.due_ns(desk->venue.self)) <= at(ms))
        desk->venue.advance(desk->venue.self, due_ns);
}

static inline void happen(struct desk *desk, double ms, struct event event)
{
    event.time_ns = at(ms);
    run_to(desk, ms);
    desk->venue.market(desk->venue.self, &event);
}

static inline int64_t m(const char *text)
{
    int64_t mantissa;
    assert_int_equal(decimal_mantissa(decimal_text(text), 1, &mantissa), 0);
    return mantissa;
}

static inline void quote(struct desk *desk, double ms, const char *bid, const char *bid_qty,
                         const char *ask, const char *ask_qty)
{
    happen(
        desk, ms,
        (struct event){ .kind = EVENT_QUOTE, .quote = { m(bid), m(ask), m(bid_qty), m(ask_qty) } });
}

static inline void trade(struct desk *desk, double ms, const char *price, const char *qty, int side)
{
    happen(desk, ms, (struct event){ .kind = EVENT_TRADE, .trade = { m(price), m(qty), side } });
}

/* The bar of minute `minute`, told at its end. */
static inline void bar(struct desk *desk, int minute, const char *open, const char *high,
                       const char *low, const char *close)
{
    happen(desk, (minute + 1) * (int64_t)BAR_MS,
           (struct event){ .kind = EVENT_BAR,
                           .bar = { .open_ns = at(minute * (int64_t)BAR_MS),
                                    .open = m(open),
                                    .high = m(high),
                                    .low = m(low),
                                    .close = m(close),
                                    .volume = 1000 } });
}

/* ---- orders ---- */

static inline struct order make(struct desk *desk, enum order_side side, enum order_type type,
                                const char *qty)
{
    struct order order;
    order_init(&order);
    order.order_id = ++desk->next_id;
    order.instance_id = 1;
    order.side = side;
    order.type = type;
    order.qty = decimal_text(qty);
    snprintf(order.client_order_id, sizeof(order.client_order_id), "o%d", (int)order.order_id);
    return order;
}

static inline struct order limit(struct desk *desk, enum order_side side, const char *qty,
                                 const char *price)
{
    struct order order = make(desk, side, ORDER_LIMIT, qty);
    order.price = decimal_text(price);
    return order;
}

static inline struct order stop(struct desk *desk, enum order_side side, const char *qty,
                                const char *trigger)
{
    struct order order = make(desk, side, ORDER_STOP, qty);
    order.trigger_price = decimal_text(trigger);
    return order;
}

static inline struct order send(struct desk *desk, double ms, struct order order)
{
    struct error err = { 0 };
    assert_int_equal(desk->venue.submit(desk->venue.self, &order, at(ms), &err), 0);
    return order;
}

static inline struct order send_market(struct desk *desk, double ms, enum order_side side,
                                       const char *qty)
{
    return send(desk, ms, make(desk, side, ORDER_MARKET, qty));
}

static inline struct order send_limit(struct desk *desk, double ms, enum order_side side,
                                      const char *qty, const char *price)
{
    return send(desk, ms, limit(desk, side, qty, price));
}

static inline struct order send_stop(struct desk *desk, double ms, enum order_side side,
                                     const char *qty, const char *trigger)
{
    return send(desk, ms, stop(desk, side, qty, trigger));
}

static inline void cancel(struct desk *desk, double ms, struct order order)
{
    struct error err = { 0 };
    assert_int_equal(desk->venue.cancel(desk->venue.self, &order, at(ms), &err), 0);
}

static inline void amend(struct desk *desk, double ms, struct order order, const char *qty,
                         const char *price)
{
    struct error err = { 0 };
    assert_int_equal(desk->venue.amend(desk->venue.self, &order,
                                       qty ? decimal_text(qty) : DECIMAL_NONE,
                                       price ? decimal_text(price) : DECIMAL_NONE, at(ms), &err),
                     0);
}

/* ---- what was told, in order ---- */

static inline void quiet(struct desk *desk)
{
    if (desk->read < desk->count)
        print_message(
            "unread: %s of %s, %s\n", report_kind_name(desk->told[desk->read].report.kind),
            desk->told[desk->read].report.client_order_id, desk->told[desk->read].report.reason);
    assert_true(desk->read == desk->count);
}

static inline const struct report *next(struct desk *desk, enum report_kind kind,
                                        struct order order, double ms)
{
    assert_true(desk->read < desk->count);
    const struct told *told = &desk->told[desk->read++];
    assert_false(told->is_answer || told->is_bar);
    assert_string_equal(report_kind_name(told->report.kind), report_kind_name(kind));
    assert_string_equal(told->report.client_order_id, order.client_order_id);
    assert_true(told->report.transact_ns == at(ms));
    assert_true(told->time_ns >= told->report.transact_ns);
    return &told->report;
}

static inline void expect_ack(struct desk *desk, struct order order, double ms)
{
    assert_string_not_equal(next(desk, REPORT_ACK, order, ms)->venue_order_id, "");
}

static inline void expect(struct desk *desk, enum report_kind kind, struct order order, double ms,
                          const char *reason)
{
    assert_string_equal(next(desk, kind, order, ms)->reason, reason);
}

static inline void assert_decimal(decimal actual, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(actual, text), expected);
}

static inline const struct fill *expect_fill(struct desk *desk, struct order order, double ms,
                                             const char *price, const char *qty)
{
    const struct report *report = next(desk, REPORT_FILL, order, ms);
    assert_decimal(report->fill.price, price);
    assert_decimal(report->fill.qty, qty);
    assert_true(report->fill.transact_ns == at(ms));
    return &report->fill;
}

static inline void expect_taker(struct desk *desk, struct order order, double ms, const char *price,
                                const char *qty)
{
    assert_int_equal(expect_fill(desk, order, ms, price, qty)->liquidity, LIQUIDITY_TAKER);
}

static inline void expect_maker(struct desk *desk, struct order order, double ms, const char *price,
                                const char *qty)
{
    assert_int_equal(expect_fill(desk, order, ms, price, qty)->liquidity, LIQUIDITY_MAKER);
}

static inline void expect_qty(struct desk *desk, enum report_kind kind, struct order order,
                              double ms, const char *qty)
{
    assert_decimal(next(desk, kind, order, ms)->qty, qty);
}

/* Ends a test: all was read. */
static inline void done(struct desk *desk)
{
    quiet(desk);
    desk->venue.close(desk->venue.self);
    free(desk);
}

/* Buys `qty` for instance 1 and reads its reports. Leaves 99.9 x 50 / 100.1 x 50 standing. */
static inline void hold_long(struct desk *desk, const char *qty)
{
    quote(desk, 0, "99.9", "50", "100.1", "50");
    struct order entry = send_market(desk, 0, SIDE_BUY, qty);
    run_to(desk, 50);
    expect_ack(desk, entry, 50);
    expect_taker(desk, entry, 50, "100.1", qty);
}

#endif
