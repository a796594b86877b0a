/* check_range_test.c - the gate where a number is none, too large or too fine: nothing leaves that
 * cannot be judged. */
#include "check_fixture.h"

/* ---- numbers that are none ---- */

/* All limits are set, and wide. */
static void wide_limits(struct gate *gate, enum scope_kind scope)
{
    const char *const values[LIMITS] = {
        [LIMIT_ORDER_SIZE] = "100000",  [LIMIT_DAILY_VOLUME] = "100000",
        [LIMIT_OPEN_POSITIONS] = "10",  [LIMIT_DAILY_LOSS] = "5000",
        [LIMIT_DAILY_LOSS_PCT] = "0.5", [LIMIT_POSITION_SIZE] = "10",
        [LIMIT_VOLATILITY] = "10",      [LIMIT_HEAT] = "10",
        [LIMIT_DRAWDOWN] = "0.5",       [LIMIT_TRADE_RISK] = "1",
        [LIMIT_DAILY_TRADES] = "10",    [LIMIT_ORDER_RATE] = "10",
        [LIMIT_COLLAR] = "0.05",
    };
    for (enum limit limit = 0; limit < LIMITS; limit++)
        limit_scope(gate, scope, limit, values[limit]);
    gate->book[0] = gate->book[1] = (struct volatility_book){ .s2 = 0.25 };
    show_books(gate, scope);
}

static void spoil(struct gate *gate, size_t offset, decimal with)
{
    memcpy((char *)gate + offset, &with, sizeof(with));
}

#define IN_GATE(member) offsetof(struct gate, member)
#define IN_SCOPE(member) offsetof(struct scope_view, member)

/* Whatever is no number, or does not fit: nothing leaves. */
static void a_number_of_the_view_that_is_none_blocks(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        const char *code;
    } cases[] = {
        { IN_GATE(view.reference), "no_quote" },       { IN_GATE(view.fx), "no_fx_rate" },
        { IN_GATE(view.no_stop_pct), "range" },        { IN_GATE(view.exposure_others), "range" },
        { IN_GATE(instrument.multiplier), "range" },   { IN_GATE(instrument.leverage), "range" },
        { IN_GATE(instrument.min_notional), "range" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
            struct gate gate;
            gate_reset(&gate);
            wide_limits(&gate, scope);
            judge(&gate, SIDE_BUY, "1");
            assert_approved(&gate, "1");
            spoil(&gate, cases[i].offset, DECIMAL_NONE);
            judge(&gate, SIDE_BUY, "1");
            assert_int_equal(gate.verdict.verdict, VERDICT_BLOCK);
            assert_string_equal(gate.verdict.code, cases[i].code);
            assert_true(decimal_is_zero(gate.verdict.qty));
        }
    for (int i = 0; i < 2; i++) {
        struct gate gate;
        gate_reset(&gate);
        spoil(&gate, i ? IN_GATE(view.fx) : IN_GATE(view.reference), DECIMAL_ZERO);
        judge(&gate, SIDE_BUY, "1");
        assert_blocked(&gate, SCOPE_ACCOUNT, i ? "no_fx_rate" : "no_quote");
        spoil(&gate, i ? IN_GATE(view.fx) : IN_GATE(view.reference), D("-1"));
        judge(&gate, SIDE_BUY, "1");
        assert_blocked(&gate, SCOPE_ACCOUNT, i ? "no_fx_rate" : "no_quote");
    }
    struct gate gate;
    gate_reset(&gate);
    gate.instrument.lot_size = DECIMAL_NONE; /* matters where something is lowered */
    judge(&gate, SIDE_BUY, "101");
    assert_blocked(&gate, SCOPE_ACCOUNT, "buying_power");
    gate_reset(&gate);
    judge_decimal(&gate, SIDE_BUY, DECIMAL_NONE);
    assert_blocked(&gate, SCOPE_ACCOUNT, "range");
}

static void a_number_of_a_scope_that_is_none_blocks_or_halts(void **state)
{
    (void)state;
    static const struct {
        enum limit limit; /* the only one that is set; LIMITS: all */
        size_t offset;
        enum order_side side;
        const char *code;
    } cases[] = {
        { LIMIT_DAILY_LOSS, IN_SCOPE(equity), SIDE_BUY, "max_daily_loss" },
        { LIMIT_DAILY_LOSS_PCT, IN_SCOPE(equity), SIDE_BUY, "max_daily_loss" },
        { LIMIT_DRAWDOWN, IN_SCOPE(equity), SIDE_BUY, "max_drawdown" },
        { LIMIT_POSITION_SIZE, IN_SCOPE(equity), SIDE_BUY, "range" },
        { LIMIT_TRADE_RISK, IN_SCOPE(equity), SIDE_BUY, "range" },
        { LIMIT_HEAT, IN_SCOPE(equity), SIDE_BUY, "range" },
        { LIMIT_VOLATILITY, IN_SCOPE(equity), SIDE_BUY, "max_portfolio_volatility" },
        { LIMIT_DAILY_LOSS, IN_SCOPE(day_opening_equity), SIDE_BUY, "max_daily_loss" },
        { LIMIT_DAILY_LOSS_PCT, IN_SCOPE(day_opening_equity), SIDE_BUY, "max_daily_loss" },
        { LIMIT_DRAWDOWN, IN_SCOPE(peak_equity), SIDE_BUY, "max_drawdown" },
        { LIMIT_DAILY_VOLUME, IN_SCOPE(day_volume), SIDE_BUY, "range" },
        { LIMIT_HEAT, IN_SCOPE(heat), SIDE_BUY, "range" },
        { LIMIT_POSITION_SIZE, IN_SCOPE(position_qty), SIDE_BUY, "range" },
        { LIMIT_POSITION_SIZE, IN_SCOPE(position_qty), SIDE_SELL, "range" },
        { LIMIT_POSITION_SIZE, IN_SCOPE(working_buy), SIDE_BUY, "range" },
        { LIMIT_POSITION_SIZE, IN_SCOPE(working_sell), SIDE_SELL, "range" },
        { LIMIT_VOLATILITY, IN_SCOPE(working_buy), SIDE_BUY, "max_portfolio_volatility" },
        { LIMIT_VOLATILITY, IN_SCOPE(working_sell), SIDE_SELL, "max_portfolio_volatility" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
            struct gate gate;
            gate_reset(&gate);
            wide_limits(&gate, scope);
            decimal only = gate.limits[scope].value[cases[i].limit];
            risk_limits_init(&gate.limits[scope]);
            gate.limits[scope].value[cases[i].limit] = only;
            memcpy((char *)&gate.view.scopes[scope] + cases[i].offset, &DECIMAL_NONE,
                   sizeof(decimal));
            judge(&gate, cases[i].side, "1");
            bool halts = strstr(cases[i].code, "max_d") != NULL;
            /* Nobody knows what of it closes. */
            bool cannot_split =
                scope == SCOPE_STRATEGY && cases[i].offset >= IN_SCOPE(position_qty);
            assert_verdict(&gate, halts ? VERDICT_HALT : VERDICT_BLOCK, scope, "0",
                           cannot_split ? "range" : cases[i].code, NULL);
        }
}

/* What the gate itself needs, though no limit is set. */
static void buying_power_of_nothing_known_is_none(void **state)
{
    (void)state;
    static const struct {
        size_t offset;
        enum order_side side;
    } cases[] = {
        { IN_SCOPE(equity), SIDE_BUY },        { IN_SCOPE(position_qty), SIDE_BUY },
        { IN_SCOPE(position_qty), SIDE_SELL }, { IN_SCOPE(working_buy), SIDE_BUY },
        { IN_SCOPE(working_sell), SIDE_SELL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gate gate;
        gate_reset(&gate);
        memcpy((char *)&gate.view.scopes[SCOPE_STRATEGY] + cases[i].offset, &DECIMAL_NONE,
               sizeof(decimal));
        judge(&gate, cases[i].side, "1");
        assert_blocked(&gate, SCOPE_ACCOUNT, "range");
    }
    static const char *const equities[] = { "0", "-1", "-1e30" };
    for (size_t i = 0; i < ARRAY_SIZE(equities); i++) {
        static const enum limit of_equity[] = { LIMIT_POSITION_SIZE, LIMIT_TRADE_RISK, LIMIT_HEAT,
                                                LIMIT_VOLATILITY };
        for (size_t k = 0; k < ARRAY_SIZE(of_equity); k++)
            for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
                struct gate gate;
                gate_reset(&gate);
                wide_limits(&gate, scope);
                decimal limit = gate.limits[scope].value[of_equity[k]];
                risk_limits_init(&gate.limits[scope]);
                gate.limits[scope].value[of_equity[k]] = limit;
                gate.view.scopes[scope].equity = D(equities[i]);
                judge(&gate, SIDE_BUY, "1");
                assert_blocked(&gate, scope, limit_info(of_equity[k])->code);
            }
        struct gate gate;
        gate_reset(&gate);
        gate.view.scopes[SCOPE_STRATEGY].equity = D(equities[i]);
        judge(&gate, SIDE_BUY, "1");
        assert_blocked(&gate, SCOPE_ACCOUNT, "buying_power");
    }
}

static void sums_that_do_not_fit_block(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.instrument.multiplier = D("1e10");
    judge_limit(&gate, SIDE_BUY, "1", "1e30");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "range",
                   "a sum does not fit a decimal (1, limit 10000)");

    /* 37 digits and 6 more: the worth of the order cannot be told, so neither can the minimum. */
    gate_reset(&gate);
    gate.instrument.lot_size = D("1e-36");
    judge_limit(&gate, SIDE_BUY, "1.000000000000000000000000000000000001", "100.001");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "range",
                   "a sum does not fit a decimal (1.000000000000000000000000000000000001, limit "
                   "10)");

    gate_reset(&gate);
    gate.view.exposure_others = D("1.6e38");
    hold(&gate, "1.6e36", "0", "0");
    judge(&gate, SIDE_BUY, "1");
    assert_blocked(&gate, SCOPE_ACCOUNT, "range");

    gate_reset(&gate);
    hold(&gate, "1.6e38", "1.6e38", "0");
    judge(&gate, SIDE_BUY, "1");
    assert_blocked(&gate, SCOPE_ACCOUNT, "range");

    gate_reset(&gate);
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_COLLAR, "0.05"); /* no gap of 75 digits */
    gate.view.reference = D("1e-36");
    judge_limit(&gate, SIDE_BUY, "1", "1e38");
    assert_blocked(&gate, SCOPE_SYMBOL, "price_collar");
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_COLLAR, "1e37");
    gate.view.reference = D("100");
    judge_limit(&gate, SIDE_BUY, "1", "100");
    assert_blocked(&gate, SCOPE_SYMBOL, "price_collar");

    gate_reset(&gate);
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_POSITION_SIZE, "1e35");
    gate.view.scopes[SCOPE_SYMBOL].equity = D("1e35");
    judge(&gate, SIDE_BUY, "1");
    assert_blocked(&gate, SCOPE_SYMBOL, "range");
}

/* "None" is often spelled as a very large number: it must not block. */
static void a_limit_beyond_measure_is_no_limit(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.view.reference = D("3");
    for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
        limit_scope(&gate, scope, LIMIT_ORDER_SIZE, "1.7e38");
        limit_scope(&gate, scope, LIMIT_DAILY_VOLUME, "1e30");
        limit_scope(&gate, scope, LIMIT_POSITION_SIZE, "1e33");
        limit_scope(&gate, scope, LIMIT_DAILY_LOSS, "1e38");
        limit_scope(&gate, scope, LIMIT_DAILY_TRADES, "1e38");
        limit_scope(&gate, scope, LIMIT_OPEN_POSITIONS, "1e38");
        limit_scope(&gate, scope, LIMIT_HEAT, "1e33");
        limit_scope(&gate, scope, LIMIT_TRADE_RISK, "1e33");
    }
    judge(&gate, SIDE_BUY, "7");
    assert_approved(&gate, "7");
    gate.view.reference = D("0.003"); /* what it buys does not fit */
    gate.instrument.min_notional = DECIMAL_ZERO;
    judge(&gate, SIDE_BUY, "7");
    assert_approved(&gate, "7");
}

/* 1e38 / 3 has room for no digit after the point, 10 / 3 for more than 18 are not kept. */
static void what_is_left_is_cut_to_what_fits(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.view.reference = D("3");
    gate.instrument.lot_size = D("1");
    gate.instrument.leverage = D("1e34");
    judge(&gate, SIDE_BUY, "5e37");
    assert_reduced(&gate, SCOPE_ACCOUNT, "33333333333333333333333333333333333333", "buying_power");
    gate.view.reference = D("1"); /* the next lot does not fit */
    gate.instrument.lot_size = D("1e38");
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_ORDER_SIZE, "1.2e38");
    judge(&gate, SIDE_BUY, "1.5e38");
    assert_reduced(&gate, SCOPE_ACCOUNT, "100000000000000000000000000000000000000",
                   "max_order_size");
    gate_reset(&gate);
    gate.view.reference = D("3");
    gate.instrument.leverage = D("0.001");
    gate.instrument.lot_size = D("1e-20");
    gate.instrument.min_notional = D("9.9");
    judge(&gate, SIDE_BUY, "5");
    assert_reduced(&gate, SCOPE_ACCOUNT, "3.333333333333333333", "buying_power");
}

/* "Within 1e-6 of a lot" is that lot where floats round, and must not be above a limit. */
static void a_hair_below_a_lot_is_the_lot_below(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.instrument.lot_size = D("1");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_ORDER_SIZE, "999.99999");
    judge(&gate, SIDE_BUY, "12");
    assert_reduced(&gate, SCOPE_VENUE, "9", "max_order_size");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_ORDER_SIZE, "1000.00001");
    judge(&gate, SIDE_BUY, "12");
    assert_reduced(&gate, SCOPE_VENUE, "10", "max_order_size");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_ORDER_SIZE, "99.99999999");
    judge(&gate, SIDE_BUY, "12");
    assert_blocked(&gate, SCOPE_VENUE, "max_order_size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_of_the_view_that_is_none_blocks),
        cmocka_unit_test(a_number_of_a_scope_that_is_none_blocks_or_halts),
        cmocka_unit_test(buying_power_of_nothing_known_is_none),
        cmocka_unit_test(sums_that_do_not_fit_block),
        cmocka_unit_test(a_limit_beyond_measure_is_no_limit),
        cmocka_unit_test(what_is_left_is_cut_to_what_fits),
        cmocka_unit_test(a_hair_below_a_lot_is_the_lot_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
