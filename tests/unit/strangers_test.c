/* strangers_test.c - orders at the venue that the blotter does not hold: ours, lost, and other
 * people's. */
#include "tests/unit/books_fixture.h"

static void an_order_with_our_name_is_adopted_and_canceled(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    struct report report = stranger("c777", REPORT_STATUS);
    assert_done(s, tell_code(s, &report));
    assert_string_equal(last_alert(s), "unknown_order");
    const struct sent *cancel = last_sent(s, SENT_CANCEL);
    assert_non_null(cancel);
    assert_string_equal(cancel->order.client_order_id, "c777");
    assert_decimal(cancel->order.qty, "2");
    report = stranger("c777", REPORT_FILL);
    report.fill =
        (struct fill){ .exec_id = "x1", .qty = D("1"), .price = D("95"), .fee = DECIMAL_ZERO };
    assert_done(s, tell_code(s, &report));
    assert_decimal(engine_position(s->engine, 1, BTC)->qty, "1");
}

static void an_ended_order_with_our_name_is_left(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    struct report report = stranger("c777", REPORT_STATUS);
    report.status = ORDER_CANCELED;
    assert_done(s, tell_code(s, &report));
    assert_null(last_sent(s, SENT_CANCEL));
    report = stranger("c778", REPORT_ACK);
    report.side = 0; /* nobody says which side: it cannot be booked, only told */
    assert_done(s, tell_code(s, &report));
    assert_null(last_sent(s, SENT_CANCEL));
}

static void a_foreign_order_is_told_once(void **state)
{
    struct stage *s = *state;
    uint64_t before = engine_counts(s->engine)->alerts;
    for (int i = 0; i < 5; i++) {
        struct report report = stranger("web-1", REPORT_STATUS);
        assert_done(s, tell_code(s, &report));
    }
    assert_int_equal(engine_counts(s->engine)->alerts, before + 1);
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 5);
    assert_null(last_sent(s, SENT_CANCEL));
}

/* A day's worth of names is told, then that there are more, once. */
static void a_flood_of_foreign_orders_is_told_once_a_day(void **state)
{
    struct stage *s = *state;
    uint64_t before = engine_counts(s->engine)->alerts;
    char name[CLIENT_ORDER_ID_MAX];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "web-%d", i);
        struct report report = stranger(name, REPORT_STATUS);
        assert_done(s, tell_code(s, &report));
    }
    assert_int_equal(engine_counts(s->engine)->alerts - before, 256 + 1);
    s->now_ns += 86400 * SECONDS(1);
    struct report report = stranger("web-400", REPORT_STATUS);
    assert_done(s, tell_code(s, &report));
    assert_int_equal(engine_counts(s->engine)->alerts - before, 256 + 2);
}

/* Some venues name foreign orders by their own number alone. */
static void a_foreign_order_without_our_kind_of_name_is_told_once(void **state)
{
    struct stage *s = *state;
    uint64_t before = engine_counts(s->engine)->alerts;
    struct report report = stranger("", REPORT_STATUS);
    text_copy(report.venue_order_id, sizeof(report.venue_order_id), "v1");
    assert_done(s, tell_code(s, &report));
    assert_done(s, tell_code(s, &report));
    text_copy(report.venue_order_id, sizeof(report.venue_order_id), "v2");
    assert_done(s, tell_code(s, &report));
    assert_int_equal(engine_counts(s->engine)->alerts, before + 2);
}

static struct report lost_fill(const char *name)
{
    struct report report = stranger(name, REPORT_FILL);
    report.qty = DECIMAL_NONE;
    report.fill =
        (struct fill){ .exec_id = "x1", .qty = D("1"), .price = D("95"), .fee = DECIMAL_ZERO };
    return report;
}

static void a_trade_of_a_lost_order_is_booked(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    struct report report = lost_fill("c777");
    assert_done(s, tell_code(s, &report));
    assert_decimal(engine_position(s->engine, 1, BTC)->qty, "1");
    assert_decimal(last_record(s, RECORD_FILL)->fill.price, "95");
}

static void a_trade_that_is_booked_already_is_not_strange(void **state)
{
    struct stage *s = *state;
    engine_set_external(s->engine, 99);
    map_put(s->exec_ids, "x1", 1);
    uint64_t alerts = engine_counts(s->engine)->alerts;
    struct report report = lost_fill("c777");
    assert_done(s, tell_code(s, &report));
    assert_int_equal(engine_counts(s->engine)->alerts, alerts);
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 0);
    assert_decimal(engine_position(s->engine, 1, BTC)->qty, "0");
}

/* It changes the account: the books are compared soon, not in a minute. */
static void a_foreign_trade_makes_it_look_soon(void **state)
{
    struct stage *s = *state;
    connect(s);
    answer_all(s, &FLAT);
    size_t asked = s->query_count;
    struct report report = lost_fill("web-1");
    assert_done(s, tell_code(s, &report));
    pass(s, SECONDS(5));
    assert_int_equal(s->query_count, asked + 1);
    answer_all(s, &FLAT);
    asked = s->query_count;
    report.ticket = 4711; /* told by an answer: the look itself */
    assert_done(s, tell_code(s, &report));
    pass(s, SECONDS(5));
    assert_int_equal(s->query_count, asked);
}

/* Without its instrument, a quantity, or an instance for what is nobody's: told, not booked. */
static void a_lost_order_that_cannot_be_booked_is_only_told(void **state)
{
    struct stage *s = *state;
    struct report report = stranger("c770", REPORT_ACK);
    assert_done(s, tell_code(s, &report)); /* no external instance */
    assert_string_equal(last_alert(s), "unknown_order");
    engine_set_external(s->engine, 99);
    report = stranger("c771", REPORT_ACK);
    report.qty = DECIMAL_ZERO;
    assert_done(s, tell_code(s, &report));
    report = stranger("c772", REPORT_ACK);
    report.qty = DECIMAL_NONE;
    report.cum_qty = DECIMAL_NONE;
    assert_done(s, tell_code(s, &report));
    report = stranger("c773", REPORT_EXPIRED); /* it does not live */
    assert_done(s, tell_code(s, &report));
    assert_null(last_record(s, RECORD_ORDER));
    assert_null(last_sent(s, SENT_CANCEL));
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 4);
}

/* It ended before this start; a late trade of it is booked where it belongs. */
static void a_late_trade_finds_its_order_in_the_ledger(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    struct order old = *order_at(s, id);
    old.order_id = 500;
    old.known = ORDER_CANCELED;
    text_copy(old.client_order_id, sizeof(old.client_order_id), "c500");
    text_copy(old.current_client_order_id, sizeof(old.current_client_order_id), "c500");
    s->forgotten = &old;
    fill(s, 500, "1", "90");
    assert_decimal(held(s, BTC), "1");
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 0);
    fill(s, 501, "1", "90"); /* the ledger lacks that one */
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 1);
}

/* Its strategy was taken out, or trades another instrument now. */
static void a_late_trade_of_an_order_without_its_instance_is_foreign(void **state)
{
    (void)state;
    struct stage *s = stage_of_one_instrument(RECONCILE_WARN);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    struct order old = *order_at(s, id);
    old.order_id = 500;
    old.known = ORDER_CANCELED;
    text_copy(old.client_order_id, sizeof(old.client_order_id), "c500");
    text_copy(old.current_client_order_id, sizeof(old.current_client_order_id), "c500");
    s->forgotten = &old;
    old.instance_id = 12345;
    fill(s, 500, "1", "90");
    old.instance_id = order_at(s, id)->instance_id;
    old.instrument = ETH;
    fill(s, 500, "1", "90");
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 2);
    assert_decimal(held(s, BTC), "0");
    stage_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, books_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_with_our_name_is_adopted_and_canceled),
        TEST(an_ended_order_with_our_name_is_left),
        TEST(a_foreign_order_is_told_once),
        TEST(a_flood_of_foreign_orders_is_told_once_a_day),
        TEST(a_foreign_order_without_our_kind_of_name_is_told_once),
        TEST(a_trade_of_a_lost_order_is_booked),
        TEST(a_trade_that_is_booked_already_is_not_strange),
        TEST(a_foreign_trade_makes_it_look_soon),
        TEST(a_lost_order_that_cannot_be_booked_is_only_told),
        TEST(a_late_trade_finds_its_order_in_the_ledger),
        TEST(a_late_trade_of_an_order_without_its_instance_is_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
