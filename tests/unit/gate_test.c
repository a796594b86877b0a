/* gate_test.c - the second leg of a pair at the gate: it is judged beside the first, which is not
 * in the books yet.
 *
 * Capital is 100,000. BTC trades in lots of 0.001 at a tick of 0.1, a price of 100 stands. */
#include "tests/unit/risk_fixture.h"

static const struct risk_options plain = { .no_stop_pct = { 5, 2 } };

static struct stage *stage_with(enum limit limit, const char *value, bool links)
{
    struct risk_limits limits = limits_of(limit, value);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    s->abilities.oco = links;
    trade(s, BTC, "100");
    return s;
}

static struct order_request stop_of(enum order_side side, const char *qty, const char *trigger)
{
    struct order_request request = request_of(side, qty);
    request.type = ORDER_STOP;
    request.trigger_price = D(trigger);
    return request;
}

/* The second leg leaves with this quantity; NULL: both are refused with the code. */
static void expect_second(struct stage *s, struct order_request first, struct order_request second,
                          const char *qty, const char *code)
{
    struct order_request legs[2] = { first, second };
    uint64_t ids[2];
    bool placed = engine_oco(s->engine, A, legs, ids, &s->refusal);
    if (placed != (qty != NULL))
        fail_msg("%s %s", placed ? "placed" : s->refusal.code, placed ? "" : s->refusal.reason);
    if (qty)
        assert_decimal(order_at(s, ids[1])->qty, qty);
    else
        assert_string_equal(s->refusal.code, code);
    settle(s);
    sums_agree(s);
    stage_free(s);
}

/* 1,000 a day, and the first leg may fill 600 of it: 400 are left where nobody links them. */
static void the_first_leg_may_use_the_days_volume(void **state)
{
    (void)state;
    struct order_request six = limit_of(SIDE_BUY, "6", "100");
    expect_second(stage_with(LIMIT_DAILY_VOLUME, "1000", false), six, six, "4", NULL);
    expect_second(stage_with(LIMIT_DAILY_VOLUME, "1000", true), six, six, "6", NULL);
    /* Of the other side too. */
    struct order_request sell = limit_of(SIDE_SELL, "6", "100");
    expect_second(stage_with(LIMIT_DAILY_VOLUME, "1000", false), six, sell, "4", NULL);
    expect_second(stage_with(LIMIT_DAILY_VOLUME, "1000", false), sell, six, "4", NULL);
}

static void the_first_leg_may_be_the_days_last_trade(void **state)
{
    (void)state;
    struct order_request one = limit_of(SIDE_BUY, "1", "100");
    expect_second(stage_with(LIMIT_DAILY_TRADES, "1", false), one, one, NULL, "max_daily_trades");
    expect_second(stage_with(LIMIT_DAILY_TRADES, "2", false), one, one, "1", NULL);
    expect_second(stage_with(LIMIT_DAILY_TRADES, "1", true), one, one, "1", NULL);
}

/* Without stops 5 % are at risk: 0.01 of 100,000 is 200 units of 100, the first leg has 150. */
static void the_first_leg_is_heat(void **state)
{
    (void)state;
    struct order_request first = limit_of(SIDE_BUY, "150", "100");
    expect_second(stage_with(LIMIT_HEAT, "0.01", false), first, first, "50", NULL);
    expect_second(stage_with(LIMIT_HEAT, "0.01", true), first, first, "150", NULL);
}

/* A message of each leg that leaves; a stop that rests here is none. */
static void the_first_leg_is_a_message_where_it_leaves(void **state)
{
    (void)state;
    struct order_request one = limit_of(SIDE_BUY, "1", "90");
    struct order_request stop = stop_of(SIDE_BUY, "1", "110");
    expect_second(stage_with(LIMIT_ORDER_RATE, "1", false), one, one, NULL,
                  "max_orders_per_second");
    expect_second(stage_with(LIMIT_ORDER_RATE, "2", false), one, one, "1", NULL);
    expect_second(stage_with(LIMIT_ORDER_RATE, "1", false), stop, one, NULL,
                  "max_orders_per_second");
    struct stage *s = stage_with(LIMIT_ORDER_RATE, "1", false);
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    expect_second(s, stop, one, "1", NULL);
}

/* What only reduces takes no room of what the other may open. */
static void a_first_leg_that_reduces_takes_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_with(LIMIT_DAILY_VOLUME, "1600", false);
    take(s, A, BTC, SIDE_BUY, "6", "100");
    expect_second(s, reduce_only(limit_of(SIDE_SELL, "6", "110")), limit_of(SIDE_BUY, "6", "100"),
                  "6", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_leg_may_use_the_days_volume),
        cmocka_unit_test(the_first_leg_may_be_the_days_last_trade),
        cmocka_unit_test(the_first_leg_is_heat),
        cmocka_unit_test(the_first_leg_is_a_message_where_it_leaves),
        cmocka_unit_test(a_first_leg_that_reduces_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
