/* check_numbers_test.c - what the gate computes: money in every currency and size, losses, a real
 * estimate of volatility, and the price that bounds a market order. Expected values by hand. */
#include "check_fixture.h"

/* ---- money ---- */

/* Each row gives 10,000 of buying power room for exactly `good` and not for a lot more. */
static void one_unit_is_worth_price_times_multiplier_times_fx(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *price, *trigger, *multiplier, *fx, *leverage, *lot, *good, *bad;
    } cases[] = {
        { "100", NULL, NULL, "1", "1", "1", "0.1", "100", "100.1" },
        { "100", NULL, NULL, "0.01", "1", "1", "1", "10000", "10001" },
        { "100", NULL, NULL, "5", "1", "1", "0.1", "20", "20.1" },
        { "100", NULL, NULL, "1", "1.25", "1", "0.1", "80", "80.1" },
        { "100", NULL, NULL, "1", "0.008", "1", "1", "12500", "12501" },
        { "100", NULL, NULL, "1", "1", "3", "0.1", "300", "300.1" },
        { "100", NULL, NULL, "1", "1", "1.5", "0.1", "150", "150.1" },
        { "100", NULL, NULL, "10", "2.5", "5", "0.1", "20", "20.1" },
        { "100", "125", NULL, "1", "1", "1", "0.1", "80", "80.1" },
        { "100", "50", NULL, "1", "1", "1", "0.1", "100", "100.1" },
        { "100", NULL, "200", "1", "1", "1", "0.1", "50", "50.1" },
        { "100", NULL, "50", "1", "1", "1", "0.1", "100", "100.1" },
        { "100", "200", "160", "1", "1", "1", "0.1", "50", "50.1" },
        { "100", "160", "200", "1", "1", "1", "0.1", "50", "50.1" },
        /* Lots of odd sizes: 10,000 / 7 = 1428.57, / 0.3 = 33333.3 */
        { "7", NULL, NULL, "1", "1", "1", "0.3", "1428.3", "1428.6" },
        { "7", NULL, NULL, "1", "1", "1", "7", "1428", "1435" },
        { "7", NULL, NULL, "1", "1", "1", "0.001", "1428.571", "1428.572" },
        { "0.3", NULL, NULL, "1", "1", "1", "7", "33327", "33334" },
        { "0.3", NULL, NULL, "1", "1", "1", "0.3", "33333.3", "33333.6" },
        { "7", NULL, NULL, "0.3", "0.7", "3", "0.001", "20408.163", "20408.164" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int side = -1; side <= 1; side += 2) {
            struct gate gate;
            gate_reset(&gate);
            gate.instrument.lot_size = D(cases[i].lot);
            gate.instrument.multiplier = D(cases[i].multiplier);
            gate.instrument.leverage = D(cases[i].leverage);
            gate.view.reference = D(cases[i].reference);
            gate.view.fx = D(cases[i].fx);
            gate.order.price = cases[i].price ? D(cases[i].price) : DECIMAL_NONE;
            gate.order.trigger_price = cases[i].trigger ? D(cases[i].trigger) : DECIMAL_NONE;
            judge(&gate, (enum order_side)side, cases[i].good);
            assert_approved(&gate, cases[i].good);
            judge(&gate, (enum order_side)side, cases[i].bad);
            assert_reduced(&gate, SCOPE_ACCOUNT, cases[i].good, "buying_power");
            judge(&gate, (enum order_side)side, "600000.6"); /* however much is asked */
            assert_reduced(&gate, SCOPE_ACCOUNT, cases[i].good, "buying_power");
        }
}

/* 4,000 are bound by the position, 1,500 by orders, 2,500 elsewhere: 2,000 are left. */
static void what_is_bound_uses_buying_power(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    hold(&gate, "40", "15", "30");
    gate.view.exposure_others = D("2500");
    judge(&gate, SIDE_BUY, "20");
    assert_approved(&gate, "20");
    judge(&gate, SIDE_BUY, "20.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "20", "buying_power");
    judge(&gate, SIDE_SELL, "85"); /* 10 close: 75 short */
    assert_approved(&gate, "85");
    judge(&gate, SIDE_SELL, "85.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "85", "buying_power");
    /* Only the instance's own count here, and only what the account may have at stake there. */
    gate.view.scopes[SCOPE_ACCOUNT].position_qty = D("1000");
    judge(&gate, SIDE_BUY, "20");
    assert_approved(&gate, "20");
    gate.view.exposure_left = D("102000");
    gate.view.scopes[SCOPE_ACCOUNT].working_buy = D("0");
    judge(&gate, SIDE_BUY, "20");
    assert_approved(&gate, "20");
    gate.view.exposure_left = D("101999.99");
    judge(&gate, SIDE_BUY, "20");
    assert_reduced(&gate, SCOPE_ACCOUNT, "19.9", "rollout_stage");
    gate.view.exposure_left = D("100000");
    judge(&gate, SIDE_BUY, "20");
    assert_blocked(&gate, SCOPE_ACCOUNT, "rollout_stage");
}

/* Orders at 150 are open: what is held counts at 150, the order at 100. */
static void open_orders_may_be_dearer(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.instrument.multiplier = D("2");
    gate.view.fx = D("0.5");
    hold(&gate, "10", "30", "0");
    gate.view.working_price = D("150"); /* 6,000 */
    judge(&gate, SIDE_BUY, "40");
    assert_approved(&gate, "40");
    judge(&gate, SIDE_BUY, "40.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "40", "buying_power");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_POSITION_SIZE, "0.7");
    judge(&gate, SIDE_BUY, "40");
    assert_reduced(&gate, SCOPE_VENUE, "10", "max_position_size");
    gate.view.working_price = D("50"); /* cheaper: the order's own price counts */
    judge(&gate, SIDE_BUY, "30");
    assert_approved(&gate, "30");
    judge(&gate, SIDE_BUY, "30.1");
    assert_reduced(&gate, SCOPE_VENUE, "30", "max_position_size");
    gate.view.working_price = D("1e38");
    judge(&gate, SIDE_BUY, "1");
    assert_blocked(&gate, SCOPE_VENUE, "range");
}

/* In the instrument's own money, at the price at which the order enters. */
static void the_minimum_is_measured_at_the_entry_price(void **state)
{
    (void)state;
    static const struct {
        const char *price, *trigger, *multiplier, *fx, *minimum;
        bool passes;
    } cases[] = {
        { NULL, NULL, "1", "1", "100", true },  { NULL, NULL, "1", "1", "100.01", false },
        { "50", NULL, "1", "1", "50", true },   { "50", NULL, "1", "1", "50.01", false },
        { "150", NULL, "1", "1", "150", true }, { "150", NULL, "1", "1", "150.01", false },
        { NULL, "200", "1", "1", "200", true }, { NULL, "200", "1", "1", "200.01", false },
        { "90", "200", "1", "1", "90", true },  { "90", "200", "1", "1", "90.01", false },
        { NULL, NULL, "3", "1", "300", true },  { NULL, NULL, "3", "1", "300.01", false },
        { NULL, NULL, "1", "7", "100", true },  { NULL, NULL, "1", "7", "100.01", false },
        { NULL, NULL, "1", "1", "0", true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gate gate;
        gate_reset(&gate);
        gate.instrument.multiplier = D(cases[i].multiplier);
        gate.instrument.min_notional = D(cases[i].minimum);
        gate.view.fx = D(cases[i].fx);
        gate.order.price = cases[i].price ? D(cases[i].price) : DECIMAL_NONE;
        gate.order.trigger_price = cases[i].trigger ? D(cases[i].trigger) : DECIMAL_NONE;
        judge(&gate, SIDE_BUY, "1");
        if (cases[i].passes)
            assert_approved(&gate, "1");
        else
            assert_blocked(&gate, SCOPE_ACCOUNT, "min_notional");
        hold(&gate, "-1", "0", "0"); /* out goes what there is */
        judge(&gate, SIDE_BUY, "1");
        assert_approved(&gate, "1");
    }
    struct gate gate;
    gate_reset(&gate);
    hold(&gate, "9.5", "0", "0"); /* of a flip the whole order is measured */
    gate.instrument.min_notional = D("1000");
    judge(&gate, SIDE_SELL, "10");
    assert_approved(&gate, "10");
}

static void the_collar_binds_the_aggressive_side(void **state)
{
    (void)state;
    static const struct {
        enum order_side side;
        const char *price;
        bool passes;
    } cases[] = {
        { SIDE_BUY, "102.5", true },       { SIDE_BUY, "102.500001", false },
        { SIDE_BUY, "1", true },           { SIDE_SELL, "97.5", true },
        { SIDE_SELL, "97.499999", false }, { SIDE_SELL, "102.6", true },
        { SIDE_BUY, "97.4", true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gate gate;
        gate_reset(&gate);
        gate.instrument.min_notional = DECIMAL_ZERO;
        limit_scope(&gate, SCOPE_VENUE, LIMIT_COLLAR, "0.025");
        judge_limit(&gate, cases[i].side, "1", cases[i].price);
        if (cases[i].passes)
            assert_approved(&gate, "1");
        else
            assert_blocked(&gate, SCOPE_VENUE, "price_collar");
        gate.order.price = DECIMAL_NONE; /* a market order leaves bound */
        judge(&gate, cases[i].side, "1");
        assert_approved(&gate, "1");
    }
}

/* ---- what an entry may lose ---- */

static void an_entry_enters_at_its_limit_its_trigger_or_the_reference(void **state)
{
    (void)state;
    struct order order = { .price = D("5"), .trigger_price = D("6") };
    assert_int_equal(decimal_cmp(risk_entry_price(&order, D("7")), D("5")), 0);
    order.price = DECIMAL_NONE;
    assert_int_equal(decimal_cmp(risk_entry_price(&order, D("7")), D("6")), 0);
    order.trigger_price = DECIMAL_NONE;
    assert_int_equal(decimal_cmp(risk_entry_price(&order, D("7")), D("7")), 0);
    assert_false(decimal_valid(risk_entry_price(&order, DECIMAL_NONE)));
}

static void what_one_unit_loses(void **state)
{
    (void)state;
    static const struct {
        const char *price, *trigger, *stop, *multiplier, *no_stop, *loss; /* NULL: none */
    } cases[] = {
        { "50", NULL, "46", "1", "0.05", "4" },    { "46", NULL, "50", "1", "0.05", "4" },
        { "50", NULL, "46", "10", "0.05", "40" },  { NULL, NULL, "93", "1", "0.05", "7" },
        { NULL, "120", "110", "1", "0.05", "10" }, { NULL, NULL, NULL, "1", "0.05", "5" },
        { "50", NULL, NULL, "10", "0.05", "25" },  { NULL, "120", NULL, "1", "0.1", "12" },
        { "50", NULL, "50", "1", "0.05", "0" },    { NULL, NULL, NULL, "1", NULL, NULL },
        { NULL, NULL, "93", "1", NULL, "7" },      { "50", NULL, "46", NULL, "0.05", NULL },
        { "1e38", NULL, "0", "10", "0.05", NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct order order = { .price = OR_NONE(cases[i].price),
                               .trigger_price = OR_NONE(cases[i].trigger),
                               .stop = OR_NONE(cases[i].stop) };
        struct instrument instrument = { .multiplier = OR_NONE(cases[i].multiplier) };
        decimal loss = risk_of_unit(&order, &instrument, D("100"), OR_NONE(cases[i].no_stop));
        assert_int_equal(decimal_valid(loss), cases[i].loss != NULL);
        if (cases[i].loss)
            assert_int_equal(decimal_cmp(loss, D(cases[i].loss)), 0);
    }
}

/* The example of docs/risk.md: 40 are at stake, an entry of 5 at 50 with a stop at 46 adds 20. */
static void heat_and_trade_risk_by_the_documents_example(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.view.reference = D("50");
    gate.order.stop = D("46");
    gate.view.scopes[SCOPE_ACCOUNT].heat = D("40");
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_HEAT, "0.006");
    limit_scope(&gate, SCOPE_STRATEGY, LIMIT_TRADE_RISK, "0.0025");
    judge_limit(&gate, SIDE_BUY, "5", "50");
    assert_approved(&gate, "5");
    judge_limit(&gate, SIDE_BUY, "5.1", "50");
    assert_reduced(&gate, SCOPE_ACCOUNT, "5", "max_portfolio_heat");
    gate.limits[SCOPE_ACCOUNT].value[LIMIT_HEAT] = DECIMAL_NONE;
    judge_limit(&gate, SIDE_BUY, "6.3", "50");
    assert_reduced(&gate, SCOPE_STRATEGY, "6.2", "per_trade_risk");
    gate.view.fx = D("2"); /* twice the money */
    judge_limit(&gate, SIDE_BUY, "6.2", "50");
    assert_reduced(&gate, SCOPE_STRATEGY, "3.1", "per_trade_risk");
    gate.order.stop = D("50"); /* loses nothing */
    judge_limit(&gate, SIDE_BUY, "80", "50");
    assert_approved(&gate, "80");
    gate.view.scopes[SCOPE_STRATEGY].equity = DECIMAL_ZERO; /* and yet: of nothing, nothing */
    judge_limit(&gate, SIDE_BUY, "80", "50");
    assert_blocked(&gate, SCOPE_STRATEGY, "per_trade_risk");
    gate.view.scopes[SCOPE_STRATEGY].equity = D("0.01");
    limit_scope(&gate, SCOPE_STRATEGY, LIMIT_ORDER_SIZE, "100");
    gate.instrument.leverage = D("1000000");
    judge_limit(&gate, SIDE_BUY, "80", "50");
    assert_reduced(&gate, SCOPE_STRATEGY, "1", "max_order_size");
}

/* ---- losses ---- */

static void losses_reach_their_limits(void **state)
{
    (void)state;
    static const struct {
        const char *money, *share, *drawdown, *equity, *opening, *peak; /* NULL: none */
        const char *code, *reason;                                      /* NULL: not reached */
    } cases[] = {
        { NULL, NULL, NULL, "-100", "10000", "10000", NULL, NULL },
        { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL },
        { "500", NULL, NULL, "9500.01", "10000", "20000", NULL, NULL },
        { "500", NULL, NULL, "9500", "10000", NULL, "max_daily_loss",
          "today's loss of 500 reaches the limit of 500" },
        { "500", NULL, NULL, "9000", "10000", "10000", "max_daily_loss",
          "today's loss of 1000 reaches the limit of 500" },
        { "500", NULL, NULL, "10500", "10000", "10500", NULL, NULL },
        { NULL, "0.05", NULL, "9500.01", "10000", "20000", NULL, NULL },
        { NULL, "0.05", NULL, "9500", "10000", "10000", "max_daily_loss",
          "today's loss of 500 reaches the limit of 500" },
        { "500", "0.04", NULL, "9600.01", "10000", "10000", NULL, NULL },
        { "500", "0.04", NULL, "9600", "10000", "10000", "max_daily_loss",
          "today's loss of 400 reaches the limit of 400" },
        { "300", "0.04", NULL, "9700", "10000", "10000", "max_daily_loss",
          "today's loss of 300 reaches the limit of 300" },
        { NULL, NULL, "0.1", "9000.01", "5000", "10000", NULL, NULL },
        { NULL, NULL, "0.1", "9000", NULL, "10000", "max_drawdown",
          "the loss of 1000 from the peak reaches the limit of 1000" },
        { "2000", "0.2", "0.1", "9000", "10000", "10000", "max_drawdown",
          "the loss of 1000 from the peak reaches the limit of 1000" },
        { "500", "0.2", "0.1", "9000", "10000", "10000", "max_daily_loss",
          "today's loss of 1000 reaches the limit of 500" },
        /* Nothing at the beginning: nothing is left to lose. */
        { NULL, "0.05", NULL, "0", "0", "0", "max_daily_loss",
          "today's loss of 0 reaches the limit of 0" },
        { NULL, NULL, "0.1", "0", "0", "0", "max_drawdown",
          "the loss of 0 from the peak reaches the limit of 0" },
        /* What cannot be told counts as reached. */
        { "500", NULL, NULL, NULL, "10000", "10000", "max_daily_loss",
          "today's loss of invalid reaches the limit of 500" },
        { "500", NULL, NULL, "10000", NULL, "10000", "max_daily_loss",
          "today's loss of invalid reaches the limit of 500" },
        { "500", "0.05", NULL, "10000", NULL, "10000", "max_daily_loss",
          "today's loss of invalid reaches the limit of 500" },
        { NULL, "0.05", NULL, NULL, "10000", "10000", "max_daily_loss",
          "today's loss of invalid reaches the limit of 500" },
        { NULL, "100", NULL, "1e37", "1e37", "0", "max_daily_loss",
          "today's loss of 0 reaches the limit of invalid" },
        { "1", NULL, NULL, "-1e38", "1e38", "0", "max_daily_loss",
          "today's loss of invalid reaches the limit of 1" },
        { NULL, NULL, "0.1", NULL, "10000", "10000", "max_drawdown",
          "the loss of invalid from the peak reaches the limit of 1000" },
        { NULL, NULL, "0.1", "10000", "10000", NULL, "max_drawdown",
          "the loss of invalid from the peak reaches the limit of invalid" },
        { NULL, NULL, "100", "1e37", "0", "1e37", "max_drawdown",
          "the loss of 0 from the peak reaches the limit of invalid" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct risk_limits limits;
        struct risk_verdict out;
        risk_limits_init(&limits);
        limits.value[LIMIT_DAILY_LOSS] = OR_NONE(cases[i].money);
        limits.value[LIMIT_DAILY_LOSS_PCT] = OR_NONE(cases[i].share);
        limits.value[LIMIT_DRAWDOWN] = OR_NONE(cases[i].drawdown);
        memset(&out, 0x55, sizeof(out));
        bool is_lost = risk_is_lost(&limits, OR_NONE(cases[i].equity), OR_NONE(cases[i].opening),
                                    OR_NONE(cases[i].peak), &out);
        assert_int_equal(is_lost, cases[i].code != NULL);
        if (!is_lost)
            continue;
        assert_int_equal(out.verdict, VERDICT_HALT);
        assert_int_equal(out.scope, SCOPE_ACCOUNT);
        assert_true(decimal_is_zero(out.qty));
        assert_string_equal(out.code, cases[i].code);
        assert_string_equal(out.reason, cases[i].reason);
    }
}

/* ---- volatility ---- */

static double closes_a(int hour)
{
    return hour % 2 ? 101 : 100;
}

static double closes_b(int hour)
{
    return hour % 4 == 1 ? 51 : 50;
}

/* The example of docs/risk.md: two instruments, 0.2 of the equity in A, B is what is traded. */
static void book_of_the_example(struct volatility_book *book, double weight_b)
{
    const double hours[] = { 8760, 8760 }, weights[] = { 0.2, weight_b };
    struct volatility *volatility = volatility_open(2, hours);
    for (int hour = 0; hour < 21; hour++) {
        volatility_price(volatility, 0, 1000 + hour, closes_a(hour));
        volatility_price(volatility, 1, 1000 + hour, closes_b(hour));
    }
    assert_true(volatility_book(volatility, weights, 1, book));
    volatility_close(volatility);
}

/* With S_AA 0.912968, S_AB 0.908471, S_BB 1.807990 the volatility stays at or under 0.25 for a
 * weight of B from -0.256922 to 0.055932, that is from -51.384 to 11.186 units of 50; at or under
 * 0.9 from -0.7616 to 0.5606: beyond the buying power. */
static void volatility_by_the_documents_example(void **state)
{
    (void)state;
    static const struct {
        const char *position, *buys, *sells;
        double weight;
        enum order_side side;
        const char *asked, *left;
    } cases[] = {
        { "0", "0", "0", 0, SIDE_BUY, "11.1", "11.1" },
        { "0", "0", "0", 0, SIDE_BUY, "20", "11.1" },
        { "0", "0", "0", 0, SIDE_SELL, "51.3", "51.3" },
        { "0", "0", "0", 0, SIDE_SELL, "60", "51.3" },
        { "5", "0", "0", 0.025, SIDE_BUY, "6.1", "6.1" },
        { "5", "0", "0", 0.025, SIDE_BUY, "6.3", "6.1" },
        { "2", "3", "0", 0.025, SIDE_BUY, "6.3", "6.1" },
        { "5", "0", "0", 0.025, SIDE_SELL, "56.3", "56.3" }, /* 5 close */
        { "5", "0", "0", 0.025, SIDE_SELL, "56.5", "56.3" },
        { "-10", "0", "0", -0.05, SIDE_BUY, "21.1", "21.1" }, /* 10 close */
        { "-10", "0", "0", -0.05, SIDE_BUY, "21.3", "21.1" },
        { "-10", "0", "0", -0.05, SIDE_SELL, "41.3", "41.3" },
        { "-10", "0", "0", -0.05, SIDE_SELL, "41.5", "41.3" },
        /* What works on the other side may not fill: it makes no room. */
        { "0", "0", "20", -0.1, SIDE_BUY, "11.1", "11.1" },
        { "0", "0", "20", -0.1, SIDE_BUY, "11.3", "11.1" },
        { "5", "0", "40", -0.175, SIDE_BUY, "6.1", "6.1" },
        { "5", "0", "40", -0.175, SIDE_BUY, "6.3", "6.1" },
        { "0", "10", "0", 0.05, SIDE_SELL, "51.3", "51.3" },
        { "0", "10", "0", 0.05, SIDE_SELL, "51.5", "51.3" },
        { "0", "10", "10", 0.05, SIDE_SELL, "41.5", "41.3" },
        { "0", "10", "10", -0.05, SIDE_BUY, "1.3", "1.1" },
        /* A weight at another mark than the order's price makes no room either. */
        { "0", "10", "0", 0.06, SIDE_BUY, "0.1", "0" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
            struct gate gate;
            gate_reset(&gate);
            gate.instrument.min_notional = DECIMAL_ZERO;
            gate.view.reference = D("50");
            hold(&gate, cases[i].position, cases[i].buys, cases[i].sells);
            book_of_the_example(&gate.book[0], cases[i].weight);
            double held = decimal_to_double(D(cases[i].position));
            book_of_the_example(&gate.book[1], held * 50 / 10000);
            show_books(&gate, scope);
            limit_scope(&gate, scope, LIMIT_VOLATILITY, "0.25");
            judge(&gate, cases[i].side, cases[i].asked);
            if (strcmp(cases[i].left, "0") == 0)
                assert_blocked(&gate, scope, "max_portfolio_volatility");
            else if (strcmp(cases[i].left, cases[i].asked) == 0)
                assert_approved(&gate, cases[i].left);
            else
                assert_reduced(&gate, scope, cases[i].left, "max_portfolio_volatility");
        }
}

/* 0.9 of the equity are 1.8 units of 5,000; a limit of 0.45 is met exactly, a billionth less not.
 */
static void volatility_is_rounded_against_the_user(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.view.reference = D("5000");
    gate.book[0] = gate.book[1] = (struct volatility_book){ .s2 = 0.25 };
    show_books(&gate, SCOPE_VENUE);
    gate.view.scopes[SCOPE_VENUE + 1].limits = NULL; /* what stands behind the books is none */
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.45001");
    judge(&gate, SIDE_BUY, "1.8");
    assert_approved(&gate, "1.8");
    judge(&gate, SIDE_BUY, "1.9");
    assert_reduced(&gate, SCOPE_VENUE, "1.8", "max_portfolio_volatility");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.4500000004"); /* 1.8 * (1 + 0.9e-9) */
    judge(&gate, SIDE_BUY, "1.9");
    assert_reduced(&gate, SCOPE_VENUE, "1.7", "max_portfolio_volatility");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.4500000006");
    judge(&gate, SIDE_BUY, "1.9");
    assert_reduced(&gate, SCOPE_VENUE, "1.8", "max_portfolio_volatility");
    /* Of an equity of 0.5: half of it. */
    gate.view.scopes[SCOPE_VENUE].equity = D("0.5");
    gate.instrument.min_notional = DECIMAL_ZERO;
    gate.instrument.lot_size = D("0.000001");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.2500001");
    judge(&gate, SIDE_BUY, "1.9");
    assert_reduced(&gate, SCOPE_VENUE, "0.00005", "max_portfolio_volatility");
    gate.view.scopes[SCOPE_VENUE].equity = D("10000");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.45");
    /* Digits that a double does not have are no reason to lower anything. */
    gate.instrument.lot_size = D("1e-18");
    judge(&gate, SIDE_BUY, "1.234567890123456789");
    assert_approved(&gate, "1.234567890123456789");
    /* One that is lost in the digits of what works before it: its share cannot be told. */
    hold(&gate, "0", "1", "0");
    judge(&gate, SIDE_BUY, "1e-18");
    assert_blocked(&gate, SCOPE_VENUE, "max_portfolio_volatility");
    hold(&gate, "0", "0", "0");
    judge(&gate, SIDE_BUY, "1e-18");
    assert_approved(&gate, "0.000000000000000001");
}

/* ---- the bound of a market order ---- */

static void the_bound_of_a_market_order(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *collar, *tick, *buy, *sell; /* NULL: none */
    } cases[] = {
        { "100", "0.05", "1", "105", "95" },
        { "100.5", "0.05", "1", "105", "96" }, /* 105.525, 95.475 */
        { "100.5", "0.05", "0.001", "105.525", "95.475" },
        { "100.5", "0.05", "0.01", "105.52", "95.48" },
        { "10", "0.04", "0.3", "10.2", "9.6" }, /* 10.4, 9.6 */
        { "10", "0.05", "0.3", "10.5", "9.6" }, /* 10.5, 9.5 */
        { "100", "0.05", "7", "105", "98" },
        { "106", "0.05", "7", "105", "105" }, /* 111.3, 100.7 */
        { "100", "1", "1", "200", NULL },
        { "100", "2", "1", "300", NULL },
        { "100", "0.999", "1", "199", "1" },
        { "3", "0.05", "7", NULL, "7" }, /* no tick at or under 3.15 */
        { "7", "0.0000000001", "7", "7", "7" },
        /* A hair beside a tick is not on it. */
        { "100", "0.0499999999", "1", "104", "96" },
        { "100", "0.0500000001", "1", "105", "95" },
        { "1", "0.9999999999", "1", "1", "1" },
        { "0.5", "0.9999999999", "1", NULL, "1" },
        { "0", "0.05", "1", NULL, NULL },
        { "-100", "0.05", "1", NULL, NULL },
        { "1.7e38", "0.05", "1", NULL, "161500000000000000000000000000000000000" },
        { "1e38", "10", "1", NULL, NULL },
        { "1.6e38", "0.05", "1e38", "100000000000000000000000000000000000000", NULL },
        { NULL, "0.05", "1", NULL, NULL },
        { "100", NULL, "1", NULL, NULL },
        { "100", "0.05", NULL, NULL, NULL },
        { "1e-36", "1", "1e-36", "0.000000000000000000000000000000000002", NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int side = -1; side <= 1; side += 2) {
            struct instrument instrument = { .tick_size = OR_NONE(cases[i].tick) };
            decimal bound =
                risk_collar_bound(&instrument, (enum order_side)side, OR_NONE(cases[i].reference),
                                  OR_NONE(cases[i].collar));
            const char *expected = side == SIDE_BUY ? cases[i].buy : cases[i].sell;
            char text[DECIMAL_TEXT_MAX];
            assert_string_equal(decimal_format(bound, text), expected ? expected : "invalid");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_unit_is_worth_price_times_multiplier_times_fx),
        cmocka_unit_test(what_is_bound_uses_buying_power),
        cmocka_unit_test(open_orders_may_be_dearer),
        cmocka_unit_test(the_minimum_is_measured_at_the_entry_price),
        cmocka_unit_test(the_collar_binds_the_aggressive_side),
        cmocka_unit_test(an_entry_enters_at_its_limit_its_trigger_or_the_reference),
        cmocka_unit_test(what_one_unit_loses),
        cmocka_unit_test(heat_and_trade_risk_by_the_documents_example),
        cmocka_unit_test(losses_reach_their_limits),
        cmocka_unit_test(volatility_by_the_documents_example),
        cmocka_unit_test(volatility_is_rounded_against_the_user),
        cmocka_unit_test(the_bound_of_a_market_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
