/* recall_test.c - what the paper venue answers when it is asked: history, orders, fills, positions.
 */
#include "tests/unit/paper_fixture.h"

static void two_bars(void *self, uint32_t instrument, int64_t tf_ns, int64_t to_ns, uint64_t bars,
                     void (*put)(void *self, const struct event *event), void *put_self)
{
    (void)self;
    assert_int_equal(instrument, 1);
    assert_int_equal(bars, 2);
    for (int i = 0; i < 2; i++) {
        struct event event = { .kind = EVENT_BAR,
                               .instrument = instrument,
                               .time_ns = to_ns - (1 - i) * tf_ns,
                               .bar = { .is_history = true } };
        put(put_self, &event);
    }
}

static void history_comes_at_once_and_ends_with_its_ticket(void **state)
{
    (void)state;
    struct paper_options options = plain_options();
    options.history = two_bars;
    struct desk *desk = desk_with(options);
    struct venue_query query = { .kind = QUERY_BARS,
                                 .ticket = 99,
                                 .instrument = 1,
                                 .to_ns = at(0),
                                 .tf_ns = NS_PER_MINUTE,
                                 .limit = 2 };
    struct error err = { 0 };
    assert_int_equal(desk->venue.query(desk->venue.self, &query, at(0), &err), 0);
    assert_int_equal(desk->count, 0); /* nothing answers synchronously */
    run_to(desk, 0);
    assert_int_equal(desk->count, 3);
    assert_true(desk->told[0].is_bar && desk->told[1].is_bar && desk->told[2].is_answer);
    assert_true(desk->told[2].answer.ticket == 99 && desk->told[2].answer.complete);
    desk->read = 3;
    done(desk);
}

static void without_history_the_query_fails(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct venue_query query = { .kind = QUERY_BARS, .ticket = 5 };
    struct error err = { 0 };
    assert_int_equal(desk->venue.query(desk->venue.self, &query, at(0), &err), 0);
    run_to(desk, 0);
    assert_true(desk->told[0].is_answer && !desk->told[0].answer.complete);
    assert_string_equal(desk->told[0].answer.reason, "no history is known here");
    desk->read = 1;
    done(desk);
}

static void ask(struct desk *desk, double ms, struct venue_query query)
{
    struct error err = { 0 };
    size_t before = desk->count;
    assert_int_equal(desk->venue.query(desk->venue.self, &query, at(ms), &err), 0);
    assert_true(desk->count == before); /* nothing answers synchronously */
    assert_true(desk->venue.due_ns(desk->venue.self) == at(ms));
    run_to(desk, ms);
}

static void expect_answer(struct desk *desk, uint64_t ticket)
{
    assert_true(desk->read < desk->count);
    const struct told *told = &desk->told[desk->read++];
    assert_true(told->is_answer && told->answer.ticket == ticket && told->answer.complete);
}

static void expect_status(struct desk *desk, struct order order, double ms, uint64_t ticket,
                          enum order_status status, const char *qty, const char *cum_qty,
                          const char *avg_price)
{
    const struct report *report = next(desk, REPORT_STATUS, order, ms);
    assert_true(report->ticket == ticket);
    assert_string_equal(order_status_name(report->status), order_status_name(status));
    assert_int_equal(report->side, order.side);
    assert_decimal(report->qty, qty);
    assert_decimal(report->cum_qty, cum_qty);
    if (avg_price)
        assert_decimal(report->avg_price, avg_price);
    else
        assert_false(decimal_valid(report->avg_price));
}

static void expect_position(struct desk *desk, uint32_t instrument, uint64_t ticket,
                            const char *qty)
{
    const struct told *told = &desk->told[desk->read++];
    assert_true(told->is_position && told->instrument == instrument);
    assert_true(told->position.ticket == ticket);
    assert_decimal(told->position.qty, qty);
    assert_false(decimal_valid(told->position.avg_price));
}

/* A look has no latency: what stands is told as it stands, what travels as not there yet. */
static void open_orders_are_told_at_once(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order part = send_limit(desk, 0, SIDE_BUY, "10", "100.1");
    struct order rests = send_limit(desk, 0, SIDE_BUY, "1", "99");
    run_to(desk, 50);
    expect_ack(desk, part, 50);
    expect_taker(desk, part, 50, "100.1", "4");
    expect_ack(desk, rests, 50);
    struct order travels = send_limit(desk, 55, SIDE_SELL, "1", "110");
    ask(desk, 60, (struct venue_query){ .kind = QUERY_OPEN_ORDERS, .ticket = 2 });
    expect_status(desk, part, 60, 2, ORDER_PARTIALLY_FILLED, "10", "4", "100.1");
    expect_status(desk, rests, 60, 2, ORDER_NEW, "1", "0", NULL);
    expect_answer(desk, 2);
    run_to(desk, 200);
    expect_ack(desk, travels, 105);
    done(desk);
}

/* 4 at 100.1 and 2 at 100.4: (400.4 + 200.8) / 6 = 100.2. */
static void one_order_is_told_by_either_id(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order gone = send_market(desk, 0, SIDE_BUY, "6");
    struct order canceled = send_limit(desk, 0, SIDE_BUY, "1", "99");
    struct order refused = make(desk, SIDE_SELL, ORDER_MARKET, "1");
    refused.reduce_only = true;
    refused.instance_id = 2; /* which holds nothing */
    send(desk, 0, refused);
    struct order rests = send_limit(desk, 0, SIDE_BUY, "1", "98");
    run_to(desk, 50);
    quote(desk, 60, "100.3", "5", "100.4", "4");
    cancel(desk, 60, canceled);
    run_to(desk, 150);
    desk->read = desk->count;
    ask(desk, 200,
        (struct venue_query){
            .kind = QUERY_ORDER, .ticket = 1, .client_order_id = gone.client_order_id });
    expect_status(desk, gone, 200, 1, ORDER_FILLED, "6", "6", "100.2");
    expect_answer(desk, 1);
    ask(desk, 200,
        (struct venue_query){
            .kind = QUERY_ORDER, .ticket = 2, .client_order_id = canceled.client_order_id });
    expect_status(desk, canceled, 200, 2, ORDER_CANCELED, "1", "0", NULL);
    expect_answer(desk, 2);
    ask(desk, 200,
        (struct venue_query){
            .kind = QUERY_ORDER, .ticket = 3, .client_order_id = refused.client_order_id });
    expect_status(desk, refused, 200, 3, ORDER_REJECTED, "1", "0", NULL);
    expect_answer(desk, 3);
    ask(desk, 200,
        (struct venue_query){
            .kind = QUERY_ORDER, .ticket = 4, .client_order_id = "", .venue_order_id = "sim-4" });
    expect_status(desk, rests, 200, 4, ORDER_NEW, "1", "0", NULL);
    expect_answer(desk, 4);
    done(desk);
}

static void an_order_that_never_came_is_not_found(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order never = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    ask(desk, 0,
        (struct venue_query){
            .kind = QUERY_ORDER, .ticket = 7, .client_order_id = never.client_order_id });
    const struct report *report = next(desk, REPORT_NOT_FOUND, never, 0);
    assert_true(report->ticket == 7);
    expect_answer(desk, 7);
    done(desk);
}

static void fills_are_told_again_with_their_ids(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order first = send_market(desk, 0, SIDE_BUY, "1");
    struct order second = send_market(desk, 10, SIDE_SELL, "2");
    run_to(desk, 100);
    desk->read = desk->count;
    /* From 60 ms on: the second alone, as it was told. */
    ask(desk, 200, (struct venue_query){ .kind = QUERY_FILLS, .ticket = 3, .from_ns = at(60) });
    const struct fill *fill = expect_fill(desk, second, 60, "99.9", "2");
    assert_string_equal(fill->exec_id, "e-2");
    assert_decimal(fill->fee, "0.0999"); /* 99.9 x 2 x 0.0005 */
    assert_true(desk->told[desk->read - 1].report.ticket == 3);
    assert_int_equal(desk->told[desk->read - 1].report.side, SIDE_SELL);
    expect_answer(desk, 3);
    /* One order's, of all time. */
    ask(desk, 200,
        (struct venue_query){
            .kind = QUERY_FILLS, .ticket = 4, .client_order_id = first.client_order_id });
    expect_fill(desk, first, 50, "100.1", "1");
    expect_answer(desk, 4);
    /* Another instrument has none. */
    ask(desk, 200, (struct venue_query){ .kind = QUERY_FILLS, .ticket = 5, .instrument = 1 });
    expect_answer(desk, 5);
    done(desk);
}

#define FILLS_KEPT 4096

static void the_newest_fills_are_kept(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "0", "100.1", "0");
    for (int i = 0; i < FILLS_KEPT + 10; i++) {
        send_market(desk, 0, i % 2 ? SIDE_SELL : SIDE_BUY, "1");
        run_to(desk, 50);
        desk->count = desk->read = 0;
    }
    struct order last = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    send(desk, 100, last);
    run_to(desk, 150);
    desk->count = desk->read = 0;
    ask(desk, 200, (struct venue_query){ .kind = QUERY_FILLS, .ticket = 1, .from_ns = at(51) });
    expect_fill(desk, last, 150, "100.1", "1");
    expect_answer(desk, 1);
    done(desk);
}

/* Two instances, 3 long and 1 short: one account holds 2. */
static void positions_are_the_sum_of_the_accounts(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    ask(desk, 0, (struct venue_query){ .kind = QUERY_POSITIONS, .ticket = 1 });
    expect_answer(desk, 1); /* flat is not told */
    paper_restore_position(desk->paper, 1, 0, decimal_int(3));
    paper_restore_position(desk->paper, 2, 0, decimal_int(-1));
    paper_restore_position(desk->paper, 1, 1, decimal_text("-0.5"));
    ask(desk, 1, (struct venue_query){ .kind = QUERY_POSITIONS, .ticket = 2 });
    expect_position(desk, 0, 2, "2");
    expect_position(desk, 1, 2, "-0.5");
    expect_answer(desk, 2);
    done(desk);
}

static void cash_is_not_kept_here(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    ask(desk, 0, (struct venue_query){ .kind = QUERY_BALANCES, .ticket = 1 });
    expect_answer(desk, 1);
    done(desk);
}

/* What was given back is told; fills of before the restart are not known. */
static void a_restored_venue_tells_what_it_was_given(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    struct order order = limit(desk, SIDE_BUY, "3", "99");
    order.known = ORDER_PARTIALLY_FILLED;
    order.filled_qty = decimal_int(1);
    order.notional = decimal_text("98.9");
    order.created_ns = at(-1000);
    assert_int_equal(desk->venue.restore(desk->venue.self, &order, &err), 0);
    paper_restore_position(desk->paper, 1, 0, decimal_int(1));
    ask(desk, 0, (struct venue_query){ .kind = QUERY_OPEN_ORDERS, .ticket = 1 });
    expect_status(desk, order, 0, 1, ORDER_PARTIALLY_FILLED, "3", "1", "98.9");
    expect_answer(desk, 1);
    ask(desk, 0, (struct venue_query){ .kind = QUERY_FILLS, .ticket = 2 });
    expect_answer(desk, 2);
    done(desk);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(history_comes_at_once_and_ends_with_its_ticket),
        TEST(without_history_the_query_fails),
        TEST(open_orders_are_told_at_once),
        TEST(one_order_is_told_by_either_id),
        TEST(an_order_that_never_came_is_not_found),
        TEST(fills_are_told_again_with_their_ids),
        TEST(the_newest_fills_are_kept),
        TEST(positions_are_the_sum_of_the_accounts),
        TEST(cash_is_not_kept_here),
        TEST(a_restored_venue_tells_what_it_was_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
