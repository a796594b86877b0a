/* rollout_watch_test.c - the stages of a rollout in a whole engine: what they bound, what is
 * counted during one, and when the next one opens.
 *
 * Stages of 200, 500 and 1,000, a day each; BTC stands at 100. */
#include "tests/unit/risk_fixture.h"

#include <math.h>

static const struct rollout_options stages = {
    .enabled = true,
    .stages = { { .capital = { 200, 0 }, .days = 1 },
                { .capital = { 500, 0 }, .days = 1 },
                { .capital = { 1000, 0 }, .days = 1 } },
    .stage_count = 3,
    .order_success_rate = 0.99,
    .api_error_rate = 0.01,
    .latency_ns = 500 * NS_PER_MS,
    .slippage = 0.001,
    .breaker_events_per_week = 1,
};

static struct stage *stage_rolling(void)
{
    struct stage *s = stage_new_planned(&(struct stage_plan){
        .risk = { .no_stop_pct = D("0.05"), .keeps_day = true, .rollout = stages },
        .more_instruments = more_venues });
    add_of_all(s, NULL);
    trade(s, BTC, "100");
    trade(s, ETH, "50");
    return s;
}

static struct rollout_record record_of(struct stage *s)
{
    struct rollout_record record;
    engine_rollout(s->engine, &record);
    return record;
}

static decimal capital_of(struct stage *s)
{
    struct rollout_record record;
    return engine_rollout(s->engine, &record);
}

/* 1 x 100 and 2 x 50 are all of 200. */
static void a_stage_bounds_what_the_account_has_at_stake(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")));
    uint64_t second = submit(s, A, in(ETH, limit_of(SIDE_BUY, "3", "50")));
    assert_passes(s, second);
    assert_decimal(order_at(s, second)->qty, "2");
    assert_string_equal(newest_verdict(s).code, "rollout_stage");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "0.1", "100")), "rollout_stage", "stage");
    stage_free(s);
}

/* Nine of ten orders were taken; half a second and one and a half are a second on average; bought
 * at 100.1 where 100 stood, and sold at 100.05 where 100.1 did. */
static void what_happens_is_counted(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    uint64_t id = submit(s, A, request_of(SIDE_BUY, "1"));
    settle(s);
    later(s, 500 * NS_PER_MS);
    tell(s, id, REPORT_ACK);
    fill(s, id, "1", "100.1");
    trade(s, BTC, "100.1");
    id = submit(s, A, request_of(SIDE_SELL, "2"));
    settle(s);
    later(s, 1500 * NS_PER_MS);
    fill(s, id, "2", "100.0"); /* half of it reduces; it is an entry all the same */
    id = submit(s, A, limit_of(SIDE_BUY, "1", "99"));
    settle(s);
    tell_why(s, id, REPORT_REJECTED, "no");
    struct rollout_record record = record_of(s);
    assert_int_equal(record.requests_good, 3);
    assert_int_equal(record.requests_bad, 0);
    assert_int_equal(record.orders_good, 2);
    assert_int_equal(record.orders_bad, 1);
    assert_int_equal(record.latency_sum_ns, 2 * NS_PER_SECOND);
    assert_int_equal(record.latency_count, 3);
    assert_int_equal(record.slippage_count, 2);
    assert_true(fabs(record.slippage_sum - (0.1 / 100 + 0.1 / 100.1)) < 1e-15);
    stage_free(s);
}

/* A limit order has the price that it asked for, however far the market went. */
static void a_limit_order_does_not_slip(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "110"));
    settle(s);
    tell(s, id, REPORT_ACK);
    fill(s, id, "1", "110");
    assert_int_equal(record_of(s).orders_good, 1);
    assert_int_equal(record_of(s).slippage_count, 0);
    stage_free(s);
}

/* An answer that leaves it in doubt is a request that failed; two open the breaker. */
static void failed_requests_and_breakers_are_counted(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++) {
        struct risk_options risk = { .no_stop_pct = D("0.05"),
                                     .breaker = { .failures = 2, .open_for_ns = SECONDS(30) } };
        if (on)
            risk.rollout = stages;
        struct stage *s = stage_new_planned(
            &(struct stage_plan){ .risk = risk, .more_instruments = more_venues });
        add_of_all(s, NULL);
        trade(s, BTC, "100");
        for (int i = 0; i < 2; i++) {
            assert_int_equal(record_of(s).breaker_events, 0);
            uint64_t id = submit(s, A, limit_of(SIDE_BUY, "0.1", "100"));
            assert_passes(s, id);
            tell_why(s, id, REPORT_DOUBT, "500");
        }
        assert_int_equal(record_of(s).requests_bad, on ? 2 : 0);
        assert_int_equal(record_of(s).requests_good, 0);
        assert_int_equal(record_of(s).breaker_events, on);
        assert_done(s, engine_halt(s->engine, s->now_ns, "halted", "x", false, false, &s->err));
        assert_int_equal(record_of(s).critical_errors, on);
        stage_free(s);
    }
}

static void trade_well(struct stage *s)
{
    for (int i = 0; i < 10; i++) {
        uint64_t id = submit(s, A, request_of(i % 2 ? SIDE_SELL : SIDE_BUY, "1"));
        assert_int_not_equal(id, 0);
        settle(s);
        tell(s, id, REPORT_ACK);
        fill(s, id, "1", "100");
    }
}

static void a_clean_day_opens_the_next_stage(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    assert_decimal(capital_of(s), "200");
    assert_true(record_of(s).began_ns == T0);
    trade_well(s);
    clock_to(s, T0 + DAY - SECOND);
    trade(s, BTC, "100");
    assert_decimal(capital_of(s), "200");
    clock_to(s, T0 + DAY);
    trade(s, BTC, "100");
    assert_decimal(capital_of(s), "500");
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "rollout_stage");
    assert_int_equal(record_of(s).orders_good, 0); /* counts begin anew */
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "5", "100")));
    stage_free(s);
}

static void a_halt_keeps_it_shut(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    trade_well(s);
    assert_done(s,
                engine_halt(s->engine, s->now_ns, "halted", "a person's", false, false, &s->err));
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "a person", &s->err));
    assert_int_equal(record_of(s).critical_errors, 1);
    clock_to(s, T0 + DAY);
    trade(s, BTC, "100");
    assert_decimal(capital_of(s), "200");
    stage_free(s);
}

/* What instance 0 remembers brings it back; garbage in it is refused. */
static void a_restart_goes_on_in_its_stage(void **state)
{
    (void)state;
    struct stage *s = stage_rolling(), *again = stage_rolling();
    trade_well(s);
    clock_to(s, T0 + DAY);
    trade(s, BTC, "100");
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    assert_done(again, engine_restore_risk(again->engine, s->risk_state.data, s->risk_state.length,
                                           &again->err));
    assert_decimal(capital_of(again), "500");
    assert_int_equal(record_of(again).began_ns, T0 + DAY);
    static const char bad[] = "{\"day_end_ns\":1,\"scopes\":{},\"rollout\":\"{}\"}";
    assert_int_equal(engine_restore_risk(again->engine, bad, sizeof(bad) - 1, &again->err),
                     ERROR_IO);
    stage_free(s);
    stage_free(again);
}

static void paper_days_come_first(void **state)
{
    (void)state;
    struct rollout_options careful = stages;
    careful.paper_days = 7;
    struct stage *s = stage_new_planned(
        &(struct stage_plan){ .risk = { .rollout = careful }, .more_instruments = more_venues });
    add_of_all(s, NULL);
    engine_set_paper_days(s->engine, 6);
    trade(s, BTC, "100");
    assert_decimal(capital_of(s), "0");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "0.1", "100")), "rollout_stage", "stage");
    engine_set_paper_days(s->engine, 7);
    assert_decimal(capital_of(s), "200");
    stage_free(s);
}

static void without_it_nothing_is_counted_or_bound(void **state)
{
    (void)state;
    struct stage *s = stage_new_planned(&(struct stage_plan){ .more_instruments = more_venues });
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "9", "100");
    assert_false(decimal_valid(capital_of(s)));
    struct rollout_record record = record_of(s), none = { 0 };
    assert_memory_equal(&record, &none, sizeof(none));
    stage_free(s);
}

/* A limit has its price; without a reference there is nothing to compare with. */
static void slippage_is_of_orders_without_a_limit_and_with_a_reference(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "101"));
    fill(s, id, "1", "100.5");
    assert_int_equal(record_of(s).slippage_count, 0);
    stage_free(s);

    /* Restored, and no price has come since. */
    s = stage_new_planned(
        &(struct stage_plan){ .risk = { .rollout = stages }, .more_instruments = more_venues });
    add_of_all(s, NULL);
    struct order order;
    order_init(&order);
    order.order_id = ++s->next_id;
    order.instance_id = 1;
    order.instrument = BTC;
    order.side = SIDE_BUY;
    order.type = ORDER_MARKET;
    order.tif = TIF_GTC;
    order.qty = D("1");
    strcpy(order.client_order_id, "c1");
    strcpy(order.current_client_order_id, "c1");
    order.known = ORDER_NEW;
    assert_done(s, engine_restore_order(s->engine, &order, &s->err));
    fill(s, order.order_id, "1", "100");
    assert_int_equal(record_of(s).slippage_count, 0);
    stage_free(s);
}

/* Begun and judged before the restart: the session's begin does not do it again. */
static void a_restart_within_a_day_judges_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_rolling();
    trade_well(s);
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    struct stage *again = stage_new_planned(&(struct stage_plan){
        .risk = { .keeps_day = true, .rollout = stages }, .more_instruments = more_venues });
    add_of_all(again, NULL);
    assert_done(again, engine_restore_risk(again->engine, s->risk_state.data, s->risk_state.length,
                                           &again->err));
    clock_to(again, T0 + SECOND);
    trade(again, BTC, "100");
    assert_int_equal(record_of(again).began_ns, T0);
    assert_int_equal(record_of(again).orders_good, 10);
    clock_to(again, T0 + DAY);
    trade(again, BTC, "100");
    assert_decimal(capital_of(again), "500"); /* the whole day counts */
    stage_free(s);
    stage_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_bounds_what_the_account_has_at_stake),
        cmocka_unit_test(what_happens_is_counted),
        cmocka_unit_test(a_limit_order_does_not_slip),
        cmocka_unit_test(failed_requests_and_breakers_are_counted),
        cmocka_unit_test(a_clean_day_opens_the_next_stage),
        cmocka_unit_test(a_halt_keeps_it_shut),
        cmocka_unit_test(a_restart_goes_on_in_its_stage),
        cmocka_unit_test(paper_days_come_first),
        cmocka_unit_test(without_it_nothing_is_counted_or_bound),
        cmocka_unit_test(slippage_is_of_orders_without_a_limit_and_with_a_reference),
        cmocka_unit_test(a_restart_within_a_day_judges_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
