/* recovery_test.c - what a venue, a clock or a lost line must not be able to do to us: end the
 * process, lose a wish, send more than is wanted, or make us write without end. */
#include "tests/unit/fakes.h"

#define SECONDS(n) ((n)*NS_PER_SECOND)
#define A 0

static void step(struct stage *s, const struct event *event)
{
    assert_done(s, engine_step(s->engine, event, &s->err));
}

static void pass(struct stage *s, int64_t ns)
{
    clock_to(s, s->now_ns + ns);
}

static void connection(struct stage *s, bool up)
{
    step(s, &(struct event){
                .kind = EVENT_CONNECTION, .time_ns = s->now_ns, .connection = { .up = up } });
}

/* ---- outside input ends no process ---- */

static void what_is_told_of_unknown_instruments_is_no_crash(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    trade(s, BTC, "100");
    struct report report = { .kind = REPORT_STATUS,
                             .side = SIDE_BUY,
                             .qty = D("2"),
                             .price = D("95"),
                             .status = ORDER_NEW,
                             .cum_qty = D("0"),
                             .avg_price = DECIMAL_NONE,
                             .client_order_id = "c777" };
    struct event event = {
        .kind = EVENT_REPORT, .instrument = INSTRUMENT_NONE, .time_ns = s->now_ns, .report = &report
    };
    for (int i = 0; i < 5; i++)
        step(s, &event);
    assert_int_equal(engine_counts(s->engine)->alerts, 1); /* a person is told, once */
    assert_int_equal(engine_open_orders(s->engine), 0);
    connection(s, true);
    while (last_query(s)->kind != QUERY_POSITIONS)
        step(s, &(struct event){ .kind = EVENT_ANSWER,
                                 .time_ns = s->now_ns,
                                 .answer = { last_query(s)->ticket, true, "" } });
    event = (struct event){ .kind = EVENT_POSITION,
                            .instrument = INSTRUMENT_NONE,
                            .time_ns = s->now_ns,
                            .position = { last_query(s)->ticket, D("1"), DECIMAL_NONE } };
    step(s, &event);
    event.instrument = 3; /* one more than there are */
    step(s, &event);
}

static void an_event_from_the_past_moves_no_clock_back(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    pass(s, SECONDS(60));
    trade(s, BTC, "100");
    int64_t now_ns = engine_now(s->engine);
    s->now_ns -= SECONDS(1);
    tell(s, id, REPORT_ACK);
    trade(s, BTC, "101");
    quote(s, BTC, "100", "101");
    assert_string_equal(status_of(s, id), "new");
    assert_true(engine_now(s->engine) == now_ns);
    assert_done(s, engine_advance(s->engine, s->now_ns, &s->err));
    assert_true(engine_now(s->engine) == now_ns);
}

/* A held order was never sent: a venue that fills it, and takes that back, is wrong twice. */
static void a_trade_of_a_held_order_that_is_busted_is_no_crash(void **state)
{
    struct stage *s = *state;
    s->abilities.types = ~(1u << ORDER_STOP);
    trade(s, BTC, "100");
    struct order_request request = request_of(SIDE_BUY, "1");
    request.type = ORDER_STOP;
    request.trigger_price = D("110");
    uint64_t id = submit(s, A, request);
    assert_true(order_at(s, id)->held);
    struct report trade_report = fill_report(s, id, D("1"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &trade_report));
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    struct report bust = trade_report;
    bust.kind = REPORT_BUST;
    assert_done(s, tell_code(s, &bust));
    assert_decimal(held(s, BTC), "0");
    connection(s, false);
    connection(s, true);
    trade(s, BTC, "111");
}

/* ---- what is sent again ---- */

static void answer_not_found(struct stage *s, uint64_t id)
{
    struct report report = report_on(s, id, REPORT_NOT_FOUND);
    report.ticket = last_query(s)->ticket;
    assert_done(s, tell_code(s, &report));
    step(s, &(struct event){ .kind = EVENT_ANSWER,
                             .time_ns = s->now_ns,
                             .answer = { report.ticket, true, "" } });
}

static uint64_t lost_reduce_only(struct stage *s, const char *qty)
{
    struct order_request request = request_of(SIDE_SELL, qty);
    request.reduce_only = true;
    uint64_t id = submit(s, A, request);
    tell(s, id, REPORT_DOUBT);
    answer_not_found(s, id);
    return id;
}

static void no_more_is_sent_again_than_is_held(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    bought(s, SIDE_BUY, "1", "100");
    uint64_t id = lost_reduce_only(s, "1");
    bought(s, SIDE_SELL, "0.6", "100"); /* it took another way meanwhile */
    size_t sent = count_sent(s, SENT_SUBMIT);
    pass(s, SECONDS(32));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), sent);
    assert_string_equal(status_of(s, id), "rejected");
}

/* ---- wishes to cancel ---- */

static void status_working(struct stage *s, uint64_t id)
{
    struct report report = report_on(s, id, REPORT_STATUS);
    report.ticket = last_query(s)->ticket;
    report.status = ORDER_NEW;
    report.cum_qty = DECIMAL_ZERO;
    report.avg_price = DECIMAL_NONE;
    assert_done(s, tell_code(s, &report));
    step(s, &(struct event){ .kind = EVENT_ANSWER,
                             .time_ns = s->now_ns,
                             .answer = { report.ticket, true, "" } });
}

/* A venue that is busy refuses the cancel of a halt: the order may not stay for that. */
static void a_refused_cancel_of_a_halted_instrument_is_sent_again(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    uint64_t done = bought(s, SIDE_BUY, "1", "100");
    fill(s, done, "1", "100"); /* beyond its quantity: no new risk in BTC */
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    size_t asked = s->query_count;
    for (int i = 0; i < 50; i++) {
        tell_why(s, id, REPORT_CANCEL_REJECT, "rate limit");
        if (s->query_count > asked) {
            asked = s->query_count;
            status_working(s, id);
        }
        pass(s, SECONDS(1));
    }
    size_t cancels = count_sent(s, SENT_CANCEL);
    assert_true(cancels > 3 && cancels < 10); /* 1, 2, 4 ... s apart */
    tell(s, id, REPORT_CANCELED);
    assert_string_equal(status_of(s, id), "canceled");
}

static void a_refused_cancel_of_the_strategy_itself_is_told_and_left(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    tell_why(s, id, REPORT_CANCEL_REJECT, "rate limit");
    assert_string_equal(status_of(s, id), "new");
    pass(s, SECONDS(60));
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
}

/* ---- getting out while the port takes nothing ---- */

static void cut(struct stage *s, bool is_cut)
{
    s->is_line_cut = is_cut;
    connection(s, !is_cut);
}

/* A long entry of 1 at 100 with a stop at 90. */
static uint64_t enter(struct stage *s)
{
    struct order_request request = request_of(SIDE_BUY, "1");
    request.stop = D("90");
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, request);
    assert_true(id != 0);
    tell(s, id, REPORT_ACK);
    return id;
}

static void an_exit_of_a_fill_that_is_told_while_the_line_is_cut_is_sent_after_it(void **state)
{
    struct stage *s = *state;
    uint64_t id = enter(s);
    cut(s, true);
    fill(s, id, "1", "100");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    pass(s, SECONDS(120));
    cut(s, false);
    pass(s, SECONDS(1));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    const struct order *stop = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(stop->type, ORDER_STOP);
    assert_decimal(stop->qty, "1");
    tell(s, stop->order_id, REPORT_ACK);
    pass(s, SECONDS(600));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_string_equal(status_of(s, stop->order_id), "new");
}

static void a_watched_stop_that_is_reached_while_the_line_is_cut_sells_after_it(void **state)
{
    struct stage *s = *state;
    s->abilities.types = ~(1u << ORDER_STOP);
    s->abilities.oco = false;
    fill(s, enter(s), "1", "100");
    cut(s, true);
    trade(s, BTC, "89");
    trade(s, BTC, "95"); /* it was reached all the same */
    pass(s, SECONDS(5));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    cut(s, false);
    pass(s, SECONDS(1));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
}

/* No line was lost: the port was busy for a moment, again and again. */
static void an_exit_that_the_port_cannot_take_is_sent_later_and_later(void **state)
{
    struct stage *s = *state;
    uint64_t id = enter(s);
    s->is_line_cut = true;
    uint64_t alerts = engine_counts(s->engine)->alerts;
    fill(s, id, "1", "100");
    pass(s, SECONDS(300));
    assert_int_equal(engine_counts(s->engine)->alerts, alerts + 1);
    s->is_line_cut = false;
    pass(s, SECONDS(60));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_STOP);
}

static void an_exit_that_waits_to_be_sent_is_never_more_than_is_held(void **state)
{
    struct stage *s = *state;
    uint64_t id = enter(s);
    s->is_line_cut = true;
    fill(s, id, "1", "100");
    s->is_line_cut = false;
    bought(s, SIDE_SELL, "0.4", "100");
    pass(s, SECONDS(10));
    const struct order *stop = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(stop->type, ORDER_STOP);
    assert_decimal(stop->qty, "0.6");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 3);
}

static void what_a_strategy_sends_into_a_cut_line_is_rejected_at_once(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    bought(s, SIDE_BUY, "1", "100");
    s->is_line_cut = true;
    struct order_request request = request_of(SIDE_SELL, "1");
    request.reduce_only = true;
    assert_string_equal(status_of(s, submit(s, A, request)), "rejected");
}

/* ---- what a venue can make us write ---- */

static void many_foreign_orders_are_not_told_at_each_look(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    for (int look = 0; look < 20; look++) {
        for (int i = 0; i < 400; i++) {
            struct report report = { .kind = REPORT_STATUS,
                                     .side = SIDE_BUY,
                                     .qty = D("2"),
                                     .price = D("95"),
                                     .status = ORDER_NEW,
                                     .cum_qty = D("0"),
                                     .avg_price = DECIMAL_NONE };
            snprintf(report.client_order_id, sizeof(report.client_order_id), "web-%d", i);
            assert_done(s, tell_code(s, &report));
        }
        pass(s, SECONDS(60));
    }
    assert_true(engine_counts(s->engine)->alerts <= 600);
}

static void an_order_of_ours_that_cannot_be_adopted_is_told_once(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    for (int i = 0; i < 20; i++) {
        struct report report = { .kind = REPORT_ACK, .client_order_id = "c777" };
        assert_done(s, tell_code(s, &report)); /* on which side, nobody says */
    }
    assert_int_equal(engine_counts(s->engine)->alerts, 1);
}

/* A name between two replaces is forgotten with a restart; its trades are told again by each look.
 */
static void a_booked_trade_under_a_forgotten_name_adopts_nothing(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    trade(s, BTC, "100");
    uint64_t id = market_order(s, SIDE_BUY, "1");
    struct report booked = fill_report(s, id, D("1"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &booked));
    text_copy(booked.client_order_id, sizeof(booked.client_order_id), "c777");
    booked.side = SIDE_BUY;
    booked.ticket = 9;
    assert_done(s, tell_code(s, &booked));
    assert_int_equal(engine_counts(s->engine)->alerts, 0);
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    assert_null(engine_order(s->engine, id + 1));
}

/* Answers all that is asked: `id` works, and so much is held. */
static void answer_all(struct stage *s, uint64_t id, const char *qty)
{
    for (size_t answered = 0; answered != s->query_count;) {
        struct venue_query query = *last_query(s);
        answered = s->query_count;
        if (query.kind == QUERY_OPEN_ORDERS)
            status_working(s, id);
        if (query.kind == QUERY_POSITIONS)
            step(s, &(struct event){ .kind = EVENT_POSITION,
                                     .instrument = BTC,
                                     .time_ns = s->now_ns,
                                     .position = { query.ticket, D(qty), DECIMAL_NONE } });
        if (query.kind != QUERY_OPEN_ORDERS)
            step(s, &(struct event){ .kind = EVENT_ANSWER,
                                     .time_ns = s->now_ns,
                                     .answer = { query.ticket, true, "" } });
    }
}

static void a_change_of_an_exit_that_was_refused_is_tried_at_the_next_look(void **state)
{
    struct stage *s = *state;
    struct order_request request = request_of(SIDE_BUY, "2");
    request.stop = D("90");
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, request);
    fill(s, id, "1", "100");
    uint64_t stop = last_sent(s, SENT_SUBMIT)->order.order_id;
    tell(s, stop, REPORT_ACK);
    s->is_line_cut = true;
    fill(s, id, "1", "100");
    s->is_line_cut = false;
    assert_int_equal(count_sent(s, SENT_AMEND), 0);
    uint64_t alerts = engine_counts(s->engine)->alerts;
    pass(s, SECONDS(1));
    connection(s, true);
    answer_all(s, stop, "2");
    assert_int_equal(count_sent(s, SENT_AMEND), 1);
    assert_decimal(last_sent(s, SENT_AMEND)->qty, "2");
    for (int i = 0; i < 5; i++) { /* a venue that never does is asked once a look */
        tell(s, stop, REPORT_REPLACE_REJECT);
        pass(s, SECONDS(60));
        answer_all(s, stop, "2");
    }
    assert_int_equal(count_sent(s, SENT_AMEND), 6);
    assert_int_equal(engine_counts(s->engine)->alerts, alerts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)

static int setup(void **state)
{
    struct stage *s = stage_new_in(NULL, RECONCILE_WARN);
    stage_add(s, instance_defaults());
    s->quiet = true;
    *state = s;
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_told_of_unknown_instruments_is_no_crash),
        TEST(an_event_from_the_past_moves_no_clock_back),
        TEST(a_trade_of_a_held_order_that_is_busted_is_no_crash),
        TEST(no_more_is_sent_again_than_is_held),
        TEST(a_refused_cancel_of_a_halted_instrument_is_sent_again),
        TEST(a_refused_cancel_of_the_strategy_itself_is_told_and_left),
        TEST(an_exit_of_a_fill_that_is_told_while_the_line_is_cut_is_sent_after_it),
        TEST(a_watched_stop_that_is_reached_while_the_line_is_cut_sells_after_it),
        TEST(an_exit_that_the_port_cannot_take_is_sent_later_and_later),
        TEST(an_exit_that_waits_to_be_sent_is_never_more_than_is_held),
        TEST(what_a_strategy_sends_into_a_cut_line_is_rejected_at_once),
        TEST(a_change_of_an_exit_that_was_refused_is_tried_at_the_next_look),
        TEST(many_foreign_orders_are_not_told_at_each_look),
        TEST(a_booked_trade_under_a_forgotten_name_adopts_nothing),
        TEST(an_order_of_ours_that_cannot_be_adopted_is_told_once),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
