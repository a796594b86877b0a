/* books_fixture.h - a venue that says what it holds: what reconciliation asks is answered. */
#ifndef TESTS_UNIT_BOOKS_FIXTURE_H
#define TESTS_UNIT_BOOKS_FIXTURE_H

#include "tests/unit/fakes.h"

#define SECONDS(n) ((n)*NS_PER_SECOND)
#define A 0

struct venue_books {
    const char *btc, *eth; /* positions, NULL: not told */
    const char *price;     /* the average that goes with the positions, NULL: not told */
    const char *cash;      /* NULL: not told */
    uint64_t open[4];      /* order ids that the list of open orders has */
    int fail;              /* 1 + the kind of question that fails, 0: none */
    uint64_t late_fill;    /* the trades' answer holds a fill of this order */
};

static inline void step(struct stage *s, const struct event *event)
{
    assert_done(s, engine_step(s->engine, event, &s->err));
}

static inline void tell_position_at(struct stage *s, uint64_t ticket, uint32_t instrument,
                                    const char *qty, const char *price)
{
    struct event event = { .kind = EVENT_POSITION,
                           .instrument = instrument,
                           .time_ns = s->now_ns,
                           .position = { .ticket = ticket, .avg_price = DECIMAL_NONE } };
    if (!qty)
        return;
    event.position.qty = D(qty);
    if (price)
        event.position.avg_price = D(price);
    step(s, &event);
}

static inline void tell_cash(struct stage *s, uint64_t ticket, const char *amount)
{
    struct event event = { .kind = EVENT_CASH,
                           .time_ns = s->now_ns,
                           .cash = { .ticket = ticket, .currency = "USDT" } };
    if (!amount)
        return;
    event.cash.amount = D(amount);
    step(s, &event);
}

static inline void tell_open(struct stage *s, uint64_t ticket, uint64_t id)
{
    struct report report = report_on(s, id, REPORT_STATUS);
    report.ticket = ticket;
    report.status = ORDER_NEW;
    report.cum_qty = order_at(s, id)->filled_qty;
    report.avg_price = order_avg_price(order_at(s, id));
    assert_done(s, tell_code(s, &report));
}

/* Answers the newest question, of whatever kind. */
static inline void answer(struct stage *s, const struct venue_books *books)
{
    struct venue_query query = *last_query(s);
    struct event end = { .kind = EVENT_ANSWER,
                         .time_ns = s->now_ns,
                         .answer = { .ticket = query.ticket,
                                     .complete = books->fail != 1 + (int)query.kind } };
    if (!end.answer.complete) {
        step(s, &end);
        return;
    }
    switch (query.kind) {
    case QUERY_OPEN_ORDERS:
        for (size_t i = 0; i < ARRAY_SIZE(books->open); i++)
            if (books->open[i])
                tell_open(s, query.ticket, books->open[i]);
        break;
    case QUERY_POSITIONS:
        tell_position_at(s, query.ticket, BTC, books->btc, books->price);
        tell_position_at(s, query.ticket, ETH, books->eth, books->price);
        break;
    case QUERY_BALANCES:
        tell_cash(s, query.ticket, books->cash);
        break;
    case QUERY_FILLS:
        if (books->late_fill)
            fill(s, books->late_fill, "1", "100");
        break;
    default:
        break;
    }
    step(s, &end);
}

/* Answers until nothing is asked any more. */
static inline void answer_all(struct stage *s, const struct venue_books *books)
{
    size_t answered = 0;
    while (answered != s->query_count) {
        answered = s->query_count;
        answer(s, books);
    }
}

static inline void connect(struct stage *s)
{
    step(s, &(struct event){
                .kind = EVENT_CONNECTION, .time_ns = s->now_ns, .connection = { .up = true } });
}

static inline void pass(struct stage *s, int64_t ns)
{
    clock_to(s, s->now_ns + ns);
}

/* A difference counts when it is seen twice, two seconds apart. */
static inline void look_twice(struct stage *s, const struct venue_books *books)
{
    answer_all(s, books);
    pass(s, SECONDS(2));
    answer_all(s, books);
}

static inline const char *last_alert(const struct stage *s)
{
    const struct record *record = last_record(s, RECORD_ALERT);
    return record ? record->name : "none";
}

static inline struct stage *stage_of(enum reconcile_mode mode)
{
    struct stage *s = stage_new_in(NULL, mode);
    stage_add(s, instance_defaults());
    return s;
}

/* One instance that trades BTC alone. */
static inline struct stage *stage_of_one_instrument(enum reconcile_mode mode)
{
    static const uint32_t only[] = { BTC };
    struct stage *s = stage_new_in(NULL, mode);
    struct instance_options options = instance_defaults();
    options.instruments = only;
    options.instrument_count = ARRAY_SIZE(only);
    stage_add(s, options);
    return s;
}

static inline void hold(struct stage *s, const char *qty)
{
    trade(s, BTC, "100");
    fill(s, market_order(s, SIDE_BUY, qty), qty, "100");
}

static inline struct report stranger(const char *name, enum report_kind kind)
{
    struct report report = { .kind = kind,
                             .side = SIDE_BUY,
                             .qty = D("2"),
                             .price = D("95"),
                             .status = ORDER_NEW,
                             .cum_qty = DECIMAL_ZERO,
                             .avg_price = DECIMAL_NONE,
                             .transact_ns = T0 };
    text_copy(report.client_order_id, sizeof(report.client_order_id), name);
    return report;
}

static const struct venue_books FLAT = { 0 };

/* An instance that trades all, warned of differences. */
static inline int books_setup(void **state)
{
    *state = stage_of(RECONCILE_WARN);
    return 0;
}

#endif
