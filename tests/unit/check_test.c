/* check_test.c - every check of the gate on both sides of its edge, in every scope, by hand. */
#include "check_fixture.h"

/* ---- one limit at a time ---- */

static void day_volume(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    (void)beyond;
    scope->day_volume = D("1500");
}

static void volume_is_used_up(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->day_volume = beyond ? D("2000") : D("1990");
}

static void positions(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->open_positions = beyond ? 3 : 2;
}

static void trades(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->day_trades = beyond ? 41 : 39;
}

static void trades_at_limit(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->day_trades = beyond ? 40 : 39;
}

static void rate(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->rate_is_reached = beyond;
}

static void day_loss(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->equity = beyond ? D("9900") : D("9900.01");
}

/* Of 8,000, not of the equity now: 2 % are 160. */
static void day_loss_pct(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->day_opening_equity = D("8000");
    scope->equity = beyond ? D("7840") : D("7840.01");
}

static void drawdown(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    scope->peak_equity = D("12000");
    scope->day_opening_equity = D("9000"); /* the day's own loss is another matter */
    scope->equity = beyond ? D("9600") : D("9600.01");
}

/* 10 held and 5 at work of 2,500: 10 are left. */
static void position(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)gate;
    (void)beyond;
    scope->position_qty = D("10");
    scope->working_buy = D("5");
    scope->working_sell = D("3");
}

/* Each loses 4 of 25. */
static void stop(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)scope;
    (void)beyond;
    gate->order.stop = D("96");
}

/* 600 less 540: 15 of 4. */
static void heat(struct gate *gate, struct scope_view *scope, bool beyond)
{
    stop(gate, scope, beyond);
    scope->heat = D("540");
}

static void collar(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)scope;
    gate->order.type = ORDER_LIMIT;
    gate->order.price = beyond ? D("105.01") : D("105");
}

/* A deviation of 0.5 a year, alone: half of the equity is 0.25, 50 units. A billionth is given
 * away. */
static void volatility(struct gate *gate, struct scope_view *scope, bool beyond)
{
    (void)beyond;
    gate->book[0] = gate->book[1] = (struct volatility_book){ .s2 = 0.25 };
    show_books(gate, (enum scope_kind)(scope - gate->view.scopes));
}

static void no_volatility(struct gate *gate, struct scope_view *scope, bool beyond)
{
    volatility(gate, scope, beyond);
    if (beyond)
        scope->volatility[0] = NULL;
}

static void no_volatility_without_orders(struct gate *gate, struct scope_view *scope, bool beyond)
{
    volatility(gate, scope, beyond);
    if (beyond)
        scope->volatility[1] = NULL;
}

static const struct edge {
    enum limit limit;
    const char *value;
    void (*set)(struct gate *gate, struct scope_view *scope, bool beyond); /* or NULL */
    const char *good, *bad;                                                /* quantities */
    enum verdict verdict;
    const char *left, *code, *reason;
} edges[] = {
    { LIMIT_ORDER_SIZE, "1230", NULL, "12.3", "12.4", VERDICT_REDUCE, "12.3", "max_order_size",
      "qty 12.4 is worth more than max_order_size_usd 1230" },
    { LIMIT_ORDER_SIZE, "9.99", NULL, NULL, "1", VERDICT_BLOCK, "0", "max_order_size",
      "qty 1 is worth more than max_order_size_usd 9.99" },
    { LIMIT_DAILY_VOLUME, "2000", day_volume, "5", "5.1", VERDICT_REDUCE, "5", "max_daily_volume",
      "qty 5.1 goes over max_daily_volume_usd 2000" },
    { LIMIT_DAILY_VOLUME, "2000", volume_is_used_up, "0.1", "0.1", VERDICT_BLOCK, "0",
      "max_daily_volume", "qty 0.1 goes over max_daily_volume_usd 2000" },
    { LIMIT_OPEN_POSITIONS, "3", positions, "1", "1", VERDICT_BLOCK, "0", "max_open_positions",
      "3 positions are open, allowed 3" },
    { LIMIT_DAILY_TRADES, "40", trades_at_limit, "1", "1", VERDICT_BLOCK, "0", "max_daily_trades",
      "40 trades today, allowed 40" },
    { LIMIT_DAILY_TRADES, "40", trades, "1", "1", VERDICT_BLOCK, "0", "max_daily_trades",
      "41 trades today, allowed 40" },
    { LIMIT_ORDER_RATE, "10", rate, "1", "1", VERDICT_BLOCK, "0", "max_orders_per_second",
      "as many messages in this second as are allowed: 10, less what is kept for cancels" },
    { LIMIT_DAILY_LOSS, "100", day_loss, "1", "1", VERDICT_HALT, "0", "max_daily_loss",
      "today's loss of 100 reaches the limit of 100" },
    { LIMIT_DAILY_LOSS_PCT, "0.02", day_loss_pct, "1", "1", VERDICT_HALT, "0", "max_daily_loss",
      "today's loss of 160 reaches the limit of 160" },
    { LIMIT_DRAWDOWN, "0.2", drawdown, "1", "1", VERDICT_HALT, "0", "max_drawdown",
      "the loss of 2400 from the peak reaches the limit of 2400" },
    { LIMIT_POSITION_SIZE, "0.25", position, "10", "10.1", VERDICT_REDUCE, "10",
      "max_position_size", "qty 10.1 makes the position larger than 0.25 of equity" },
    { LIMIT_TRADE_RISK, "0.0025", stop, "6.2", "6.3", VERDICT_REDUCE, "6.2", "per_trade_risk",
      "qty 6.3 loses more than 0.0025 of equity at its stop" },
    { LIMIT_TRADE_RISK, "0.0025", NULL, "5", "5.1", VERDICT_REDUCE, "5", "per_trade_risk",
      "qty 5.1 loses more than 0.0025 of equity at its stop" },
    { LIMIT_HEAT, "0.06", heat, "15", "15.1", VERDICT_REDUCE, "15", "max_portfolio_heat",
      "qty 15.1 makes all positions lose more than 0.06 of equity at their stops" },
    { LIMIT_COLLAR, "0.05", collar, "1", "1", VERDICT_BLOCK, "0", "price_collar",
      "limit price 105.01 is too far through the market at 100" },
    { LIMIT_VOLATILITY, "0.25", volatility, "49.9", "50.1", VERDICT_REDUCE, "49.9",
      "max_portfolio_volatility", "qty 50.1 makes the portfolio move more than 0.25 a year" },
    { LIMIT_VOLATILITY, "0.25", no_volatility, "1", "1", VERDICT_BLOCK, "0", "no_volatility",
      "too few hourly prices to estimate volatility: qty 1, limit 0.25" },
    { LIMIT_VOLATILITY, "0.25", no_volatility_without_orders, "1", "1", VERDICT_BLOCK, "0",
      "no_volatility", "too few hourly prices to estimate volatility: qty 1, limit 0.25" },
};

static void every_limit_binds_at_its_edge_in_every_scope(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(edges); i++)
        for (enum scope_kind scope = 0; scope < SCOPES; scope++)
            for (int beyond = 0; beyond < 2; beyond++) {
                const struct edge *edge = &edges[i];
                struct gate gate;
                gate_reset(&gate);
                /* Buying power is not what is tested here. */
                gate.instrument.leverage = D("1000");
                limit_scope(&gate, scope, edge->limit, edge->value);
                if (edge->set)
                    edge->set(&gate, &gate.view.scopes[scope], beyond);
                if (!beyond && !edge->good)
                    continue;
                judge(&gate, SIDE_BUY, beyond ? edge->bad : edge->good);
                if (beyond)
                    assert_verdict(&gate, edge->verdict, scope, edge->left, edge->code,
                                   edge->reason);
                else
                    assert_approved(&gate, edge->good);
                /* Where the scope has no limits the rest of it says nothing. */
                gate.view.scopes[scope].limits = NULL;
                judge(&gate, SIDE_BUY, edge->bad);
                assert_approved(&gate, edge->bad);
            }
}

/* Every limit has a row above. */
static void every_limit_is_tried(void **state)
{
    (void)state;
    for (enum limit limit = 0; limit < LIMITS; limit++) {
        bool tried = false;
        for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
            tried |= edges[i].limit == limit;
            if (edges[i].limit == limit && limit != LIMIT_VOLATILITY)
                assert_string_equal(edges[i].code, limit_info(limit)->code);
        }
        assert_true(tried);
    }
}

static void names_of_verdicts(void **state)
{
    (void)state;
    assert_string_equal(verdict_name(VERDICT_APPROVE), "approve");
    assert_string_equal(verdict_name(VERDICT_REDUCE), "reduce");
    assert_string_equal(verdict_name(VERDICT_BLOCK), "block");
    assert_string_equal(verdict_name(VERDICT_HALT), "halt");
}

/* ---- who speaks first ---- */

/* Everything is wrong at once, then is mended in the order in which the checks speak. */
static void the_order_in_which_the_checks_speak(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    gate.view.barred_code = "halted";
    gate.view.barred_why = "the session is halted";
    gate.view.reference = DECIMAL_NONE;
    gate.view.fx = DECIMAL_NONE;
    gate.instrument.short_allowed = false;
    gate.order.price = D("94");
    for (enum scope_kind i = 0; i < SCOPES; i++) {
        struct scope_view *scope = &gate.view.scopes[i];
        const char *const values[LIMITS] = {
            [LIMIT_ORDER_SIZE] = "1",        [LIMIT_DAILY_VOLUME] = "1",
            [LIMIT_OPEN_POSITIONS] = "1",    [LIMIT_DAILY_LOSS] = "1",
            [LIMIT_DAILY_LOSS_PCT] = "0.01", [LIMIT_POSITION_SIZE] = "0.00001",
            [LIMIT_VOLATILITY] = "0.1",      [LIMIT_HEAT] = "0.00001",
            [LIMIT_DRAWDOWN] = "0.01",       [LIMIT_TRADE_RISK] = "0.00001",
            [LIMIT_DAILY_TRADES] = "1",      [LIMIT_ORDER_RATE] = "1",
            [LIMIT_COLLAR] = "0.05",
        };
        for (enum limit limit = 0; limit < LIMITS; limit++)
            limit_scope(&gate, i, limit, values[limit]);
        scope->equity = D("9000");
        scope->rate_is_reached = true;
        scope->day_trades = scope->open_positions = 1;
    }
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "halted", "the session is halted");
    gate.view.barred_why = NULL;
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "halted", "no reason given");
    gate.view.barred_code = NULL;
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "no_quote",
                   "no price yet for this instrument: qty 1 cannot be judged");
    gate.view.reference = D("100");
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "no_fx_rate",
                   "no rate into the account's currency: qty 1 at 100 cannot be judged");
    gate.view.fx = D("1");
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "no_short",
                   "selling 1 would open a short position, which this instrument does not allow "
                   "(position 0)");
    gate.instrument.short_allowed = true;
    for (enum scope_kind i = 0; i < SCOPES; i++) {
        struct scope_view *scope = &gate.view.scopes[i];
        struct risk_limits *limits = &gate.limits[i];
        judge(&gate, SIDE_SELL, "1");
        assert_blocked(&gate, i, "max_orders_per_second");
        scope->rate_is_reached = false;
        judge(&gate, SIDE_SELL, "1");
        assert_blocked(&gate, i, "max_daily_trades");
        scope->day_trades = 0;
        judge(&gate, SIDE_SELL, "1");
        assert_blocked(&gate, i, "max_open_positions");
        scope->is_open = true; /* it is one of those that may be open */
        judge(&gate, SIDE_SELL, "1");
        assert_blocked(&gate, i, "price_collar");
        limits->value[LIMIT_COLLAR] = D("0.06");
        judge(&gate, SIDE_SELL, "1");
        assert_halted(&gate, i, "max_daily_loss");
        limits->value[LIMIT_DAILY_LOSS] = limits->value[LIMIT_DAILY_LOSS_PCT] = DECIMAL_NONE;
        judge(&gate, SIDE_SELL, "1");
        assert_halted(&gate, i, "max_drawdown");
        static const enum limit rest[] = { LIMIT_DRAWDOWN,     LIMIT_ORDER_SIZE,
                                           LIMIT_DAILY_VOLUME, LIMIT_POSITION_SIZE,
                                           LIMIT_TRADE_RISK,   LIMIT_HEAT,
                                           LIMIT_VOLATILITY };
        for (size_t k = 0; k < ARRAY_SIZE(rest); k++) {
            limits->value[rest[k]] = DECIMAL_NONE;
            if (k + 1 == ARRAY_SIZE(rest))
                break;
            judge(&gate, SIDE_SELL, "1");
            assert_blocked(&gate, i,
                           rest[k + 1] == LIMIT_VOLATILITY ? "no_volatility"
                                                           : limit_info(rest[k + 1])->code);
        }
    }
    gate.view.exposure_left = D("1");
    gate.view.scopes[SCOPE_STRATEGY].equity = DECIMAL_ZERO;
    gate.instrument.min_notional = D("1000");
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "rollout_stage",
                   "qty 1 goes over what this stage of the rollout may have at stake: 1 is left");
    gate.view.exposure_left = D("1000");
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "buying_power",
                   "qty 1 costs more than the buying power (equity times leverage 0)");
    gate.view.scopes[SCOPE_STRATEGY].equity = D("10000");
    judge(&gate, SIDE_SELL, "1");
    assert_verdict(&gate, VERDICT_BLOCK, SCOPE_ACCOUNT, "0", "min_notional",
                   "an order worth 94 is below the instrument's min_notional 1000");
    gate.instrument.min_notional = D("94");
    judge(&gate, SIDE_SELL, "1");
    assert_approved(&gate, "1");
}

/* The last that lowered speaks; one that blocks after it speaks instead. */
static void several_limits_lower_one_after_the_other(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_ORDER_SIZE, "5000");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_DAILY_VOLUME, "4000");
    limit_scope(&gate, SCOPE_STRATEGY, LIMIT_POSITION_SIZE, "0.3");
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_ORDER_SIZE, "2000");
    judge(&gate, SIDE_BUY, "60");
    assert_verdict(&gate, VERDICT_REDUCE, SCOPE_SYMBOL, "20", "max_order_size",
                   "qty 60 is worth more than max_order_size_usd 2000");
    judge(&gate, SIDE_BUY, "20");
    assert_approved(&gate, "20");
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_ORDER_SIZE, "3000"); /* as much as is left */
    judge(&gate, SIDE_BUY, "60");
    assert_reduced(&gate, SCOPE_STRATEGY, "30", "max_position_size");
    limit_scope(&gate, SCOPE_STRATEGY, LIMIT_POSITION_SIZE, "0.4");
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_ORDER_SIZE, "6000");
    judge(&gate, SIDE_BUY, "60");
    assert_reduced(&gate, SCOPE_VENUE, "40", "max_daily_volume");
    gate.view.exposure_left = D("3500");
    judge(&gate, SIDE_BUY, "60");
    assert_reduced(&gate, SCOPE_ACCOUNT, "35", "rollout_stage");
    gate.view.exposure_others = D("6600");
    judge(&gate, SIDE_BUY, "60");
    assert_reduced(&gate, SCOPE_ACCOUNT, "34", "buying_power");
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_DAILY_TRADES, "1");
    gate.view.scopes[SCOPE_SYMBOL].day_trades = 1;
    judge(&gate, SIDE_BUY, "60");
    assert_blocked(&gate, SCOPE_SYMBOL, "max_daily_trades");
    limit_scope(&gate, SCOPE_STRATEGY, LIMIT_DAILY_LOSS, "1");
    gate.view.scopes[SCOPE_STRATEGY].equity = D("9999");
    judge(&gate, SIDE_BUY, "60");
    assert_halted(&gate, SCOPE_STRATEGY, "max_daily_loss");
}

/* What a limit leaves may be too small to send: the limit is the reason. */
static void whoever_lowered_it_below_the_minimum_speaks(void **state)
{
    (void)state;
    for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
        struct gate gate;
        gate_reset(&gate);
        gate.instrument.min_notional = D("11");
        limit_scope(&gate, scope, LIMIT_ORDER_SIZE, "15");
        judge(&gate, SIDE_BUY, "5"); /* 0.15 -> 0.1 -> 10 */
        assert_verdict(&gate, VERDICT_BLOCK, scope, "0", "max_order_size",
                       "an order worth 10 is below the instrument's min_notional 11");
        gate.instrument.min_notional = D("10");
        judge(&gate, SIDE_BUY, "5");
        assert_reduced(&gate, scope, "0.1", "max_order_size");
    }
    struct gate gate;
    gate_reset(&gate);
    gate.instrument.min_notional = D("11");
    gate.view.scopes[SCOPE_STRATEGY].equity = D("15");
    judge(&gate, SIDE_BUY, "5");
    assert_blocked(&gate, SCOPE_ACCOUNT, "buying_power");
}

/* The name of a scope that does not fit is left away, and nothing is written beyond the reason. */
static void a_long_reason_is_cut(void **state)
{
    (void)state;
    struct gate gate;
    char name[2 * REASON_MAX];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    gate_reset(&gate);
    gate.view.scopes[SCOPE_VENUE].name = name;
    limit_scope(&gate, SCOPE_VENUE, LIMIT_ORDER_SIZE, "1");
    judge(&gate, SIDE_BUY, "1");
    assert_int_equal(strlen(gate.verdict.reason), REASON_MAX - 1);
    assert_non_null(strstr(gate.verdict.reason, "max_order_size_usd 1 (xxx"));

    char why[2 * REASON_MAX];
    memset(why, 'y', sizeof(why) - 1);
    why[sizeof(why) - 1] = '\0';
    gate_reset(&gate);
    gate.view.barred_code = "halted";
    gate.view.barred_why = why;
    judge(&gate, SIDE_BUY, "1");
    assert_int_equal(strlen(gate.verdict.reason), REASON_MAX - 1);
    assert_null(strchr(gate.verdict.reason, '('));

    /* A reason that leaves exactly no room for a name. */
    limit_scope(&gate, SCOPE_VENUE, LIMIT_HEAT, "0.000000000000000000000000000000000001");
    gate.view.barred_code = NULL;
    judge(&gate, SIDE_BUY, "123456789012345678901234567890123456.7");
    assert_blocked(&gate, SCOPE_VENUE, "max_portfolio_heat");
    assert_true(strlen(gate.verdict.reason) < REASON_MAX);
}

/* ---- what reduces, and what flips ---- */

/* Every member is wrong, or no number: what only reduces gets out. */
static void what_opens_nothing_asks_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *position, *buys, *sells;
        enum order_side side;
        const char *qty;
        bool reduce_only;
    } cases[] = {
        { "7.3", "0", "0", SIDE_SELL, "7.3", false },
        { "7.3", "0", "0", SIDE_SELL, "0.1", false },
        { "-7.3", "0", "0", SIDE_BUY, "7.3", false },
        { "7.3", "0", "5", SIDE_SELL, "2.3", false },
        { "-7.3", "5", "0", SIDE_BUY, "2.3", false },
        { "7.3", "99", "0", SIDE_SELL, "7.3", false },
        { "7.3", "0", "0", SIDE_SELL, "9", true },
        { "-1", "0", "5", SIDE_SELL, "9", true },
        { "0", "0", "0", SIDE_BUY, "0", false },
        { "0.05", "0", "0", SIDE_SELL, "0.05", false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct gate gate;
        gate_reset(&gate);
        memset(&gate.limits, 0, sizeof(gate.limits)); /* each limit is 0 */
        hold(&gate, cases[i].position, cases[i].buys, cases[i].sells);
        gate.view.barred_code = "halted";
        gate.instrument.short_allowed = false;
        gate.view.reference = gate.view.fx = gate.view.exposure_others = DECIMAL_NONE;
        gate.view.exposure_left = DECIMAL_ZERO;
        gate.instrument.min_notional = D("1000000");
        gate.order.reduce_only = cases[i].reduce_only;
        for (int k = 0; k < SCOPES; k++)
            gate.view.scopes[k].equity = DECIMAL_NONE;
        judge(&gate, cases[i].side, cases[i].qty);
        assert_approved(&gate, cases[i].qty);
    }
}

/* 10 are held. What opens goes down to nothing, what closes stays. */
static void of_a_flip_only_the_opening_part_is_lowered(void **state)
{
    (void)state;
    static const struct {
        enum limit limit;
        const char *value, *left; /* of a sale of 40: 10 close, 30 open */
    } cases[] = {
        { LIMIT_ORDER_SIZE, "4000", "40" },
        { LIMIT_ORDER_SIZE, "3990", "39.9" },
        { LIMIT_ORDER_SIZE, "1000", "10" },
        { LIMIT_ORDER_SIZE, "10", "10" },
        { LIMIT_DAILY_VOLUME, "4100", "40" },
        { LIMIT_DAILY_VOLUME, "4090", "39.9" },
        { LIMIT_DAILY_VOLUME, "100", "10" },
        { LIMIT_POSITION_SIZE, "0.3", "40" },
        { LIMIT_POSITION_SIZE, "0.299", "39.9" },
        { LIMIT_POSITION_SIZE, "0.0001", "10" },
        { LIMIT_TRADE_RISK, "0.015", "40" },
        { LIMIT_TRADE_RISK, "0.01495", "39.9" },
        { LIMIT_TRADE_RISK, "0.00001", "10" },
        { LIMIT_HEAT, "0.02", "40" },
        { LIMIT_HEAT, "0.01995", "39.9" },
        { LIMIT_HEAT, "0.005", "10" },
        { LIMIT_VOLATILITY, "0.15001", "40" },
        { LIMIT_VOLATILITY, "0.14975", "39.9" },
        { LIMIT_VOLATILITY, "0.05001", "20" },
        /* As far on the other side as it was on this, less the billionth. */
        { LIMIT_VOLATILITY, "0.00001", "19.9" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int side = -1; side <= 1; side += 2)
            for (enum scope_kind k = 0; k < SCOPES; k++) {
                struct gate gate;
                gate_reset(&gate);
                hold(&gate, side == SIDE_SELL ? "10" : "-10", "0", "0");
                struct scope_view *scope = &gate.view.scopes[k];
                scope->day_volume = D("100");
                scope->heat = D("50");
                /* A deviation of 0.5 of what is held: 0.1 of the equity. */
                gate.book[0] = (struct volatility_book){
                    .s2 = 0.25, .weight = -0.1 * side, .g = -0.025 * side, .q = 0.0025
                };
                gate.book[1] = gate.book[0];
                show_books(&gate, k);
                limit_scope(&gate, k, cases[i].limit, cases[i].value);
                judge(&gate, (enum order_side)side, "40");
                if (strcmp(cases[i].left, "40") == 0)
                    assert_approved(&gate, "40");
                else
                    assert_reduced(&gate, k, cases[i].left, limit_info(cases[i].limit)->code);
            }
}

static void a_flip_meets_stage_and_buying_power(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    hold(&gate, "10", "0", "0");
    gate.view.exposure_left = D("3000");
    judge(&gate, SIDE_SELL, "40");
    assert_approved(&gate, "40");
    judge(&gate, SIDE_SELL, "40.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "40", "rollout_stage");
    gate.view.exposure_left = D("-1"); /* the others are over it already */
    judge(&gate, SIDE_SELL, "40");
    assert_reduced(&gate, SCOPE_ACCOUNT, "10", "rollout_stage");
    gate.view.exposure_left = DECIMAL_NONE;
    judge(&gate, SIDE_SELL, "110.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "110", "buying_power");
    gate.view.scopes[SCOPE_STRATEGY].equity = D("-1");
    judge(&gate, SIDE_SELL, "110.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "10", "buying_power");
    gate.view.barred_code = "halted";
    judge(&gate, SIDE_SELL, "110.1");
    assert_blocked(&gate, SCOPE_ACCOUNT, "halted");
}

/* Once nothing is left that opens the checks that follow have nothing to say. */
static void what_is_left_of_a_flip_is_a_way_out(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    hold(&gate, "0.1", "0", "0");
    gate.instrument.min_notional = D("11");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_ORDER_SIZE, "5");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.1"); /* no estimate */
    limit_scope(&gate, SCOPE_SYMBOL, LIMIT_DAILY_TRADES, "1");
    gate.view.scopes[SCOPE_SYMBOL].day_trades = 1;
    judge(&gate, SIDE_SELL, "5");
    assert_reduced(&gate, SCOPE_VENUE, "0.1", "max_order_size");

    /* Down to the closing part by the first book: the second is not asked. */
    gate_reset(&gate);
    hold(&gate, "0.1", "0", "0");
    limit_scope(&gate, SCOPE_VENUE, LIMIT_VOLATILITY, "0.0005");
    gate.book[0] =
        (struct volatility_book){ .s2 = 0.25, .weight = 0.001, .g = 0.00025, .q = 0.00000025 };
    show_books(&gate, SCOPE_VENUE);
    gate.view.scopes[SCOPE_VENUE].volatility[1] = NULL;
    judge(&gate, SIDE_SELL, "5"); /* 0.2 less the billionth */
    assert_reduced(&gate, SCOPE_VENUE, "0.1", "max_portfolio_volatility");

    gate_reset(&gate);
    hold(&gate, "0.1", "0", "0");
    gate.instrument.min_notional = D("11");
    gate.view.exposure_left = DECIMAL_ZERO;
    gate.view.exposure_others = DECIMAL_NONE;
    judge(&gate, SIDE_SELL, "5");
    assert_reduced(&gate, SCOPE_ACCOUNT, "0.1", "rollout_stage");
}

/* Whatever stands in the view, where no limit asks for it. */
static void what_no_limit_asks_for_says_nothing(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    for (int i = 0; i < SCOPES; i++) {
        struct scope_view *scope = &gate.view.scopes[i];
        scope->day_opening_equity = scope->peak_equity = scope->day_volume = DECIMAL_NONE;
        scope->heat = DECIMAL_NONE;
        scope->day_trades = scope->open_positions = UINT32_MAX;
        scope->rate_is_reached = true;
        if (i != SCOPE_STRATEGY)
            scope->equity = scope->position_qty = scope->working_buy = scope->working_sell =
                DECIMAL_NONE;
    }
    gate.view.no_stop_pct = DECIMAL_NONE;
    judge_limit(&gate, SIDE_BUY, "1", "1000");
    assert_approved(&gate, "1");
}

/* A fee in the coin leaves 10.05 of a lot of 0.1. A flip that is lowered still leaves in lots. */
static void an_odd_position_flips_in_whole_lots(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    hold(&gate, "10.05", "0", "0");
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_POSITION_SIZE, "0.05");
    judge(&gate, SIDE_SELL, "15"); /* 4.95 open */
    assert_approved(&gate, "15");
    judge(&gate, SIDE_SELL, "15.1"); /* 15.05 would pass */
    assert_reduced(&gate, SCOPE_ACCOUNT, "15", "max_position_size");
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_POSITION_SIZE, "0.0001");
    judge(&gate, SIDE_SELL, "15"); /* 0.01 may open: not a lot */
    assert_reduced(&gate, SCOPE_ACCOUNT, "10", "max_position_size");
    gate.limits[SCOPE_ACCOUNT].value[LIMIT_POSITION_SIZE] = DECIMAL_NONE;
    gate.instrument.short_allowed = false;
    gate.view.scopes[SCOPE_SYMBOL].position_qty = D("77"); /* others' too */
    judge(&gate, SIDE_SELL, "10.1");
    assert_verdict(&gate, VERDICT_REDUCE, SCOPE_ACCOUNT, "10", "no_short",
                   "selling 10.1 would open a short position, which this instrument does not allow "
                   "(position 10.05)");
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_DAILY_TRADES, "1"); /* asked of what opens */
    gate.view.scopes[SCOPE_ACCOUNT].day_trades = 1;
    judge(&gate, SIDE_SELL, "10.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "10", "no_short");
    gate.limits[SCOPE_ACCOUNT].value[LIMIT_DAILY_TRADES] = DECIMAL_NONE;
    hold(&gate, "0.05", "0", "0"); /* dust: no lot of it can be sold */
    judge(&gate, SIDE_SELL, "0.1");
    assert_blocked(&gate, SCOPE_ACCOUNT, "no_short");
    hold(&gate, "-0.05", "0", "0"); /* buying is no short */
    judge(&gate, SIDE_BUY, "0.2");
    assert_approved(&gate, "0.2");
}

/* Of the account's position others hold a part, maybe on the other side. */
static void others_in_the_same_instrument_count(void **state)
{
    (void)state;
    struct gate gate;
    gate_reset(&gate);
    limit_scope(&gate, SCOPE_ACCOUNT, LIMIT_POSITION_SIZE, "0.2"); /* 20 */
    struct scope_view *account = &gate.view.scopes[SCOPE_ACCOUNT];
    struct scope_view *own = &gate.view.scopes[SCOPE_STRATEGY];
    own->position_qty = D("5");
    account->position_qty = D("-10"); /* others: -15 */
    judge(&gate, SIDE_SELL, "10");    /* -20 */
    assert_approved(&gate, "10");
    judge(&gate, SIDE_SELL, "10.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "10", "max_position_size");
    judge(&gate, SIDE_BUY, "20"); /* others may leave any time: nothing is netted */
    assert_approved(&gate, "20");
    judge(&gate, SIDE_BUY, "20.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "20", "max_position_size");
    account->working_buy = D("13"); /* 3 more than they are short */
    judge(&gate, SIDE_BUY, "17.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "17", "max_position_size");
    account->position_qty = D("4");
    account->working_sell = D("9");
    judge(&gate, SIDE_SELL, "15"); /* 5 close: -4 + 9 + 15 = 20 */
    assert_approved(&gate, "15");
    judge(&gate, SIDE_SELL, "15.1");
    assert_reduced(&gate, SCOPE_ACCOUNT, "15", "max_position_size");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_binds_at_its_edge_in_every_scope),
        cmocka_unit_test(every_limit_is_tried),
        cmocka_unit_test(names_of_verdicts),
        cmocka_unit_test(the_order_in_which_the_checks_speak),
        cmocka_unit_test(several_limits_lower_one_after_the_other),
        cmocka_unit_test(whoever_lowered_it_below_the_minimum_speaks),
        cmocka_unit_test(a_long_reason_is_cut),
        cmocka_unit_test(what_opens_nothing_asks_nothing),
        cmocka_unit_test(of_a_flip_only_the_opening_part_is_lowered),
        cmocka_unit_test(a_flip_meets_stage_and_buying_power),
        cmocka_unit_test(what_is_left_of_a_flip_is_a_way_out),
        cmocka_unit_test(what_no_limit_asks_for_says_nothing),
        cmocka_unit_test(an_odd_position_flips_in_whole_lots),
        cmocka_unit_test(others_in_the_same_instrument_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
