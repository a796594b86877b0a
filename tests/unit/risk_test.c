/* risk_test.c - the gate, each check on both sides of its edge, by hand.
 *
 * The instrument trades in lots of 0.1 at a tick of 1, the reference is 100 and equity 10,000,
 * unless a test says otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "runtime/base/random.h"
#include "runtime/risk/check.h"

#define D(text) decimal_text(text)

/* What most tests say of the account: one strategy that is all of it. */
struct plain_view {
    decimal reference, equity, position_qty, working_buy, working_sell, exposure_others;
    decimal day_opening_equity, account_equity, day_volume;
    uint32_t open_positions, day_trades, orders_last_second;
    const char *barred_code, *barred_why;
};

struct gate {
    struct instrument instrument;
    struct risk_limits account, strategy;
    struct plain_view view;
    struct order order;
    struct risk_verdict verdict;
};

static struct gate *gate_new(void)
{
    static struct gate gate;
    memset(&gate, 0, sizeof(gate));
    gate.instrument = (struct instrument){ .tick_size = D("1"),
                                           .lot_size = D("0.1"),
                                           .min_notional = D("10"),
                                           .multiplier = D("1"),
                                           .leverage = D("1"),
                                           .short_allowed = true };
    risk_limits_init(&gate.account);
    risk_limits_init(&gate.strategy);
    gate.view = (struct plain_view){ .reference = D("100"),
                                     .equity = D("10000"),
                                     .position_qty = DECIMAL_ZERO,
                                     .working_buy = DECIMAL_ZERO,
                                     .working_sell = DECIMAL_ZERO,
                                     .exposure_others = DECIMAL_ZERO,
                                     .day_opening_equity = D("10000"),
                                     .account_equity = D("10000"),
                                     .day_volume = DECIMAL_ZERO };
    gate.order = (struct order){ .type = ORDER_MARKET,
                                 .price = DECIMAL_NONE,
                                 .trigger_price = DECIMAL_NONE };
    return &gate;
}

static struct scope_view scope_of(const struct plain_view *view, const struct risk_limits *limits,
                                  decimal equity, const char *name)
{
    int64_t rate = INT64_MAX;
    if (limit_is_set(limits, LIMIT_ORDER_RATE))
        assert_int_equal(decimal_mantissa(limits->value[LIMIT_ORDER_RATE], 0, &rate), 0);
    return (struct scope_view){ .limits = limits,
                                .name = name,
                                .equity = equity,
                                .day_opening_equity = view->day_opening_equity,
                                .peak_equity = view->day_opening_equity,
                                .day_volume = view->day_volume,
                                .heat = DECIMAL_ZERO,
                                .position_qty = view->position_qty,
                                .working_buy = view->working_buy,
                                .working_sell = view->working_sell,
                                .day_trades = view->day_trades,
                                .open_positions = view->open_positions,
                                .is_open = !decimal_is_zero(view->position_qty),
                                .rate_is_reached = view->orders_last_second >= rate };
}

static void check(struct gate *gate)
{
    const struct plain_view *plain = &gate->view;
    struct risk_view view = { .instrument = &gate->instrument,
                              .reference = plain->reference,
                              .fx = decimal_int(1),
                              .working_price = DECIMAL_NONE,
                              .no_stop_pct = D("0.05"),
                              .exposure_others = plain->exposure_others,
                              .exposure_left = DECIMAL_NONE,
                              .barred_code = plain->barred_code,
                              .barred_why = plain->barred_why };
    view.scopes[SCOPE_ACCOUNT] =
        scope_of(plain, &gate->account, plain->account_equity, "the account");
    view.scopes[SCOPE_STRATEGY] = scope_of(plain, &gate->strategy, plain->equity, "strategy test");
    /* What is left over from the last judgement must not matter. */
    memset(&gate->verdict, 0x55, sizeof(gate->verdict));
    risk_check(&view, &gate->order, &gate->verdict);
}

static void judge(struct gate *gate, enum order_side side, const char *qty)
{
    gate->order.side = side;
    gate->order.qty = D(qty);
    check(gate);
}

static void judge_limit(struct gate *gate, enum order_side side, const char *qty, const char *price)
{
    gate->order.type = ORDER_LIMIT;
    gate->order.price = D(price);
    judge(gate, side, qty);
}

static void assert_verdict(const struct gate *gate, enum verdict verdict, const char *qty,
                           const char *code)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(verdict_name(gate->verdict.verdict), verdict_name(verdict));
    assert_string_equal(decimal_format(gate->verdict.qty, text), qty);
    assert_string_equal(gate->verdict.code, code);
    assert_int_equal(gate->verdict.reason[0] == '\0', code[0] == '\0');
}

#define assert_approved(gate, qty) assert_verdict(gate, VERDICT_APPROVE, qty, "")
#define assert_reduced(gate, qty, code) assert_verdict(gate, VERDICT_REDUCE, qty, code)
#define assert_blocked(gate, code) assert_verdict(gate, VERDICT_BLOCK, "0", code)

/* ---- without limits ---- */

static void buying_power_is_equity_times_leverage(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    judge(gate, SIDE_BUY, "100"); /* 100 * 100 = 10,000 */
    assert_approved(gate, "100");
    judge(gate, SIDE_BUY, "100.1");
    assert_reduced(gate, "100", "buying_power");
    gate->instrument.leverage = D("3");
    judge(gate, SIDE_SELL, "300");
    assert_approved(gate, "300");
    judge(gate, SIDE_SELL, "300.1");
    assert_reduced(gate, "300", "buying_power");
}

static void contracts_are_worth_their_multiplier(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->instrument.multiplier = D("10");
    judge(gate, SIDE_BUY, "10"); /* 10 * 100 * 10 */
    assert_approved(gate, "10");
    judge(gate, SIDE_BUY, "10.1");
    assert_reduced(gate, "10", "buying_power");
}

/* A limit below the market may still fill at the market's price while it travels. */
static void the_dearer_of_limit_and_reference_counts(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    judge_limit(gate, SIDE_BUY, "100", "50");
    assert_approved(gate, "100");
    judge_limit(gate, SIDE_BUY, "100.1", "50");
    assert_reduced(gate, "100", "buying_power");
    judge_limit(gate, SIDE_BUY, "80", "125");
    assert_approved(gate, "80");
    judge_limit(gate, SIDE_BUY, "80.1", "125");
    assert_reduced(gate, "80", "buying_power");
}

/* A buy stop above the market fills at its trigger, not at today's price. */
static void a_stop_is_worth_its_trigger(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->order.type = ORDER_STOP;
    gate->order.trigger_price = D("200");
    judge(gate, SIDE_BUY, "50");
    assert_approved(gate, "50");
    judge(gate, SIDE_BUY, "50.1");
    assert_reduced(gate, "50", "buying_power");
}

/* 10,000 / 99.99 = 100.010001: 100 lots of 1; a third of a lot must not round up. */
static void what_is_left_is_cut_to_whole_lots_toward_zero(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->instrument.lot_size = D("1");
    gate->view.reference = D("99.99");
    judge(gate, SIDE_BUY, "150");
    assert_reduced(gate, "100", "buying_power");
    gate->view.reference = D("100.01"); /* 99.99000099 */
    judge(gate, SIDE_BUY, "150");
    assert_reduced(gate, "99", "buying_power");
    /* 100 less 1e-7 of a lot is "100" as a rounded value, and above the limit: 99. */
    gate->view.reference = D("100");
    gate->view.equity = D("9999.99999");
    judge(gate, SIDE_BUY, "150");
    assert_reduced(gate, "99", "buying_power");
}

static void position_and_working_orders_of_the_same_side_use_buying_power(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.position_qty = D("40");
    gate->view.working_buy = D("30");
    gate->view.working_sell = D("25");
    judge(gate, SIDE_BUY, "30"); /* 40 + 30 + 30 = 100 */
    assert_approved(gate, "30");
    judge(gate, SIDE_BUY, "30.1");
    assert_reduced(gate, "30", "buying_power");
    gate->view.exposure_others = D("1000"); /* ten less */
    judge(gate, SIDE_BUY, "30");
    assert_reduced(gate, "20", "buying_power");
    gate->view.position_qty = D("100");
    judge(gate, SIDE_BUY, "0.1");
    assert_blocked(gate, "buying_power");
}

static void a_broke_instance_opens_nothing_but_may_close(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.equity = D("-1");
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "buying_power");
    gate->view.position_qty = D("-1");
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
}

static void no_price_blocks_what_opens(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.reference = DECIMAL_NONE;
    judge_limit(gate, SIDE_BUY, "1", "100");
    assert_blocked(gate, "no_quote");
    gate->view.reference = DECIMAL_ZERO;
    judge_limit(gate, SIDE_BUY, "1", "100");
    assert_blocked(gate, "no_quote");
    gate->view.position_qty = D("1");
    gate->view.reference = DECIMAL_NONE;
    judge(gate, SIDE_SELL, "1");
    assert_approved(gate, "1");
}

static void below_the_minimum_nothing_opens(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    judge(gate, SIDE_BUY, "0.1"); /* 10 */
    assert_approved(gate, "0.1");
    gate->instrument.min_notional = D("10.01");
    judge(gate, SIDE_BUY, "0.1");
    assert_blocked(gate, "min_notional");
}

/* What a limit leaves may be too small to send: the limit is the reason, and nothing leaves. */
static void reduced_below_the_minimum_is_blocked_by_the_limit_that_reduced(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->account.value[LIMIT_ORDER_SIZE] = D("15");
    gate->instrument.min_notional = D("11");
    judge(gate, SIDE_BUY, "5"); /* 0.15 -> 0.1 -> 10 < 11 */
    assert_blocked(gate, "max_order_size");
}

/* ---- what reduces ---- */

static void what_reduces_passes_every_limit(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    const char *tiny[LIMITS] = { [LIMIT_ORDER_SIZE] = "1",          [LIMIT_DAILY_VOLUME] = "1",
                                 [LIMIT_POSITION_SIZE] = "0.0001",  [LIMIT_DAILY_LOSS] = "1",
                                 [LIMIT_DAILY_LOSS_PCT] = "0.0001", [LIMIT_COLLAR] = "0.0001",
                                 [LIMIT_OPEN_POSITIONS] = "1",      [LIMIT_DAILY_TRADES] = "1",
                                 [LIMIT_ORDER_RATE] = "1" };
    for (enum limit i = 0; i < LIMITS; i++)
        gate->account.value[i] = tiny[i] ? D(tiny[i]) : DECIMAL_NONE;
    gate->strategy = gate->account;
    gate->view.barred_code = "halted";
    gate->view.account_equity = D("1");
    gate->view.equity = D("-5");
    gate->view.day_volume = D("1000000");
    gate->view.open_positions = gate->view.day_trades = gate->view.orders_last_second = 9;
    gate->instrument.short_allowed = false;
    gate->view.position_qty = D("7.3");
    judge_limit(gate, SIDE_SELL, "7.3", "1");
    assert_approved(gate, "7.3");
    gate->view.position_qty = D("-7.3");
    judge_limit(gate, SIDE_BUY, "7.3", "1000");
    assert_approved(gate, "7.3");
    gate->order.reduce_only = true;
    judge_limit(gate, SIDE_BUY, "0.1", "1000"); /* below the minimum: it may be all there is */
    assert_approved(gate, "0.1");
}

static void of_a_flip_only_the_opening_part_is_limited(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.position_qty = D("10");
    judge(gate, SIDE_SELL, "110"); /* 10 close, 100 open: 10,000 */
    assert_approved(gate, "110");
    judge(gate, SIDE_SELL, "110.1");
    assert_reduced(gate, "110", "buying_power");
    gate->account.value[LIMIT_POSITION_SIZE] = D("0.5");
    judge(gate, SIDE_SELL, "110");
    assert_reduced(gate, "60", "max_position_size");
    gate->view.barred_code = "halted";
    gate->view.barred_why = "a test";
    judge(gate, SIDE_SELL, "110");
    assert_blocked(gate, "halted");
}

/* The order as a whole is what max_order_size measures, but it never holds back the closing part.
 */
static void order_size_of_a_flip_counts_the_whole_order(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.position_qty = D("10");
    gate->account.value[LIMIT_ORDER_SIZE] = D("1500");
    judge(gate, SIDE_SELL, "15");
    assert_approved(gate, "15");
    judge(gate, SIDE_SELL, "16");
    assert_reduced(gate, "15", "max_order_size");
    gate->account.value[LIMIT_ORDER_SIZE] = D("500");
    judge(gate, SIDE_SELL, "16");
    assert_reduced(gate, "10", "max_order_size");
}

static void where_shorts_are_not_allowed_a_flip_ends_flat(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->instrument.short_allowed = false;
    judge(gate, SIDE_SELL, "1");
    assert_blocked(gate, "no_short");
    gate->view.position_qty = D("2");
    judge(gate, SIDE_SELL, "3");
    assert_reduced(gate, "2", "no_short");
    judge(gate, SIDE_SELL, "2");
    assert_approved(gate, "2");
}

/* Two sells of the whole position would both look like closing it: the second opens a short. */
static void what_working_orders_will_close_cannot_be_closed_again(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->instrument.short_allowed = false;
    gate->view.position_qty = D("10");
    gate->view.working_sell = D("10");
    judge(gate, SIDE_SELL, "10");
    assert_blocked(gate, "no_short");
    gate->view.working_sell = D("4");
    judge(gate, SIDE_SELL, "10");
    assert_reduced(gate, "6", "no_short");
    gate->instrument.short_allowed = true; /* 6 close; 94 + 6 = 100 */
    judge(gate, SIDE_SELL, "106");
    assert_approved(gate, "106");
    judge(gate, SIDE_SELL, "106.1");
    assert_reduced(gate, "106", "buying_power");
    gate->view.working_sell = D("14"); /* 4 of them open already */
    judge(gate, SIDE_SELL, "96");
    assert_approved(gate, "96");
    judge(gate, SIDE_SELL, "96.1");
    assert_reduced(gate, "96", "buying_power");
}

/* ---- limits, of the account and of the strategy ---- */

static void each_size_limit_binds_at_its_edge(void **state)
{
    (void)state;
    for (int of_strategy = 0; of_strategy < 2; of_strategy++) {
        struct gate *gate = gate_new();
        struct risk_limits *limits = of_strategy ? &gate->strategy : &gate->account;
        limits->value[LIMIT_ORDER_SIZE] = D("1230");
        judge(gate, SIDE_BUY, "12.3");
        assert_approved(gate, "12.3");
        judge(gate, SIDE_BUY, "12.4");
        assert_reduced(gate, "12.3", "max_order_size");

        risk_limits_init(limits);
        limits->value[LIMIT_DAILY_VOLUME] = D("2000");
        gate->view.day_volume = D("1500");
        judge(gate, SIDE_BUY, "5");
        assert_approved(gate, "5");
        judge(gate, SIDE_BUY, "5.1");
        assert_reduced(gate, "5", "max_daily_volume");
        gate->view.day_volume = D("2000");
        judge(gate, SIDE_BUY, "0.1");
        assert_blocked(gate, "max_daily_volume");

        risk_limits_init(limits);
        limits->value[LIMIT_POSITION_SIZE] = D("0.25"); /* 2,500 */
        gate->view.position_qty = D("10");
        gate->view.working_buy = D("5");
        judge(gate, SIDE_BUY, "10");
        assert_approved(gate, "10");
        judge(gate, SIDE_BUY, "10.1");
        assert_reduced(gate, "10", "max_position_size");
        judge(gate, SIDE_SELL, "35"); /* 10 close, 25 open */
        assert_approved(gate, "35");
        judge(gate, SIDE_SELL, "35.1");
        assert_reduced(gate, "35", "max_position_size");
    }
}

static void counts_block_at_their_limit(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->account.value[LIMIT_ORDER_RATE] = decimal_int(5);
    gate->view.orders_last_second = 4;
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.orders_last_second = 5;
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "max_orders_per_second");

    gate = gate_new();
    gate->strategy.value[LIMIT_DAILY_TRADES] = decimal_int(3);
    gate->view.day_trades = 2;
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.day_trades = 3;
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "max_daily_trades");

    gate = gate_new();
    gate->account.value[LIMIT_OPEN_POSITIONS] = decimal_int(2);
    gate->view.open_positions = 1;
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.open_positions = 2;
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "max_open_positions");
    gate->view.position_qty = D("1"); /* it is one of those that may be open */
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
}

static void the_collar_binds_the_aggressive_side(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->account.value[LIMIT_COLLAR] = D("0.05");
    judge_limit(gate, SIDE_BUY, "1", "105");
    assert_approved(gate, "1");
    judge_limit(gate, SIDE_BUY, "1", "106");
    assert_blocked(gate, "price_collar");
    judge_limit(gate, SIDE_BUY, "10", "1");
    assert_approved(gate, "10");
    judge_limit(gate, SIDE_SELL, "1", "95");
    assert_approved(gate, "1");
    judge_limit(gate, SIDE_SELL, "1", "94");
    assert_blocked(gate, "price_collar");
    judge_limit(gate, SIDE_SELL, "1", "1000");
    assert_approved(gate, "1");
    gate->order.trigger_price = D("120"); /* a stop-limit meets the market at its trigger */
    gate->order.type = ORDER_STOP_LIMIT;
    gate->order.price = D("126");
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->order.price = D("127");
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "price_collar");
    gate->order.trigger_price = DECIMAL_NONE;
    gate->view.position_qty = D("-1"); /* a way out is not bound */
    judge_limit(gate, SIDE_BUY, "1", "200");
    assert_approved(gate, "1");
}

static void a_days_loss_halts_at_the_limit(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->account.value[LIMIT_DAILY_LOSS] = D("500");
    gate->view.account_equity = D("9500.01");
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.account_equity = D("9500");
    judge(gate, SIDE_BUY, "1");
    assert_verdict(gate, VERDICT_HALT, "0", "max_daily_loss");
}

static void of_two_loss_limits_the_lower_binds(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->strategy.value[LIMIT_DAILY_LOSS] = D("500");
    gate->strategy.value[LIMIT_DAILY_LOSS_PCT] = D("0.04");
    gate->view.equity = D("9600.01");
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.equity = D("9600");
    judge(gate, SIDE_BUY, "1");
    assert_verdict(gate, VERDICT_HALT, "0", "max_daily_loss");
    gate->strategy.value[LIMIT_DAILY_LOSS_PCT] = D("0.06");
    judge(gate, SIDE_BUY, "1");
    assert_approved(gate, "1");
    gate->view.equity = D("9500");
    judge(gate, SIDE_BUY, "1");
    assert_verdict(gate, VERDICT_HALT, "0", "max_daily_loss");
}

static void the_stricter_of_account_and_strategy_binds(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->account.value[LIMIT_ORDER_SIZE] = D("500");
    gate->strategy.value[LIMIT_ORDER_SIZE] = D("300");
    judge(gate, SIDE_BUY, "9");
    assert_reduced(gate, "3", "max_order_size");
    gate->strategy.value[LIMIT_ORDER_SIZE] = D("700");
    judge(gate, SIDE_BUY, "9");
    assert_reduced(gate, "5", "max_order_size");
}

/* ---- numbers that are none, and numbers beyond measure ---- */

/* "No limit" is often spelled as a very large number: it must not block. */
static void a_huge_limit_is_no_limit(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.reference = D("3");
    gate->account.value[LIMIT_ORDER_SIZE] = D("1e30");
    gate->account.value[LIMIT_DAILY_VOLUME] = D("1e37");
    gate->account.value[LIMIT_POSITION_SIZE] = D("1e30");
    gate->account.value[LIMIT_DAILY_LOSS] = D("1e30");
    judge(gate, SIDE_BUY, "7");
    assert_approved(gate, "7");
    gate->view.equity = D("1e30");
    gate->account.value[LIMIT_POSITION_SIZE] = D("1");
    judge(gate, SIDE_BUY, "7");
    assert_approved(gate, "7");
}

static void what_does_not_fit_is_blocked(void **state)
{
    (void)state;
    struct gate *gate = gate_new();
    gate->view.exposure_others = DECIMAL_NONE;
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "range");
    gate = gate_new();
    gate->view.equity = DECIMAL_NONE;
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "range");
    gate = gate_new();
    gate->account.value[LIMIT_DAILY_LOSS_PCT] = D("0.05"); /* of what? */
    gate->view.day_opening_equity = DECIMAL_NONE;
    judge(gate, SIDE_BUY, "1");
    assert_int_not_equal(gate->verdict.verdict, VERDICT_APPROVE);
    gate = gate_new();
    gate->order.price = D("1e30");
    gate->order.type = ORDER_LIMIT;
    gate->instrument.multiplier = D("1e10");
    judge(gate, SIDE_BUY, "1");
    assert_blocked(gate, "range");
}

/* Every number of the gate is a random one of these: it must answer, and never more than asked. */
static void no_numbers_break_the_gate(void **state)
{
    (void)state;
    const decimal numbers[] = { DECIMAL_NONE, DECIMAL_ZERO, D("1"),     D("-1"),   D("0.1"),
                                D("1e30"),    D("-1e30"),   D("1e-30"), D("1e38"), D("0.30000001"),
                                D("12345.6"), D("-0.1"),    D("1e20"),  D("33"),   D("1.7e38") };
    struct random random;
    random_seed(&random, 7);
#define ANY numbers[random_below(&random, ARRAY_SIZE(numbers))]
    for (int i = 0; i < 200000; i++) {
        struct gate *gate = gate_new();
        const decimal lots[] = { D("0.1"), D("3"), D("1e-18"), D("0.03") };
        gate->instrument.lot_size = lots[random_below(&random, ARRAY_SIZE(lots))];
        gate->instrument.short_allowed = random_below(&random, 2);
        gate->view.reference = ANY;
        gate->view.equity = ANY;
        gate->view.position_qty = random_below(&random, 3) ? ANY : DECIMAL_ZERO;
        gate->view.working_buy = ANY;
        gate->view.working_sell = ANY;
        gate->view.exposure_others = random_below(&random, 3) ? DECIMAL_ZERO : ANY;
        gate->view.day_opening_equity = ANY;
        gate->view.account_equity = ANY;
        gate->view.day_volume = ANY;
        gate->account.value[LIMIT_ORDER_SIZE] = ANY;
        gate->account.value[LIMIT_DAILY_VOLUME] = ANY;
        gate->account.value[LIMIT_POSITION_SIZE] = ANY;
        gate->strategy.value[LIMIT_DAILY_LOSS] = random_below(&random, 3) ? DECIMAL_NONE : ANY;
        gate->strategy.value[LIMIT_DAILY_LOSS_PCT] = random_below(&random, 3) ? DECIMAL_NONE : ANY;
        gate->strategy.value[LIMIT_COLLAR] = random_below(&random, 3) ? DECIMAL_NONE : ANY;
        gate->order.price = random_below(&random, 2) ? DECIMAL_NONE : ANY;
        gate->order.trigger_price = random_below(&random, 2) ? DECIMAL_NONE : ANY;
        gate->order.side = random_below(&random, 2) ? SIDE_BUY : SIDE_SELL;
        gate->order.qty = ANY;
        check(gate);
        if (gate->verdict.verdict == VERDICT_APPROVE)
            continue;
        assert_true(decimal_valid(gate->verdict.qty));
        assert_true(decimal_sign(gate->verdict.qty) >= 0);
        if (decimal_valid(gate->order.qty) && decimal_sign(gate->order.qty) > 0)
            assert_true(decimal_cmp(gate->verdict.qty, gate->order.qty) <= 0);
        assert_true(gate->verdict.code[0] != '\0');
    }
#undef ANY
}

/* Whatever is approved or reduced to keeps every size limit, to the last digit. */
static void what_leaves_keeps_the_limits(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 8);
#define ANY(bound, scale) decimal_make((int64_t)random_below(&random, bound), scale)
    for (int i = 0; i < 50000; i++) {
        struct gate *gate = gate_new();
        gate->instrument.min_notional = DECIMAL_ZERO;
        gate->view.reference = decimal_add(ANY(100000, 3), D("0.001"));
        gate->view.equity = ANY(10000000, 2);
        gate->view.position_qty = decimal_sub(ANY(2000, 1), D("100"));
        gate->view.working_buy = ANY(1000, 1);
        gate->view.working_sell = ANY(1000, 1);
        gate->account.value[LIMIT_ORDER_SIZE] = ANY(1000000, 2);
        gate->strategy.value[LIMIT_POSITION_SIZE] = ANY(200, 2);
        gate->order.side = random_below(&random, 2) ? SIDE_BUY : SIDE_SELL;
        gate->order.qty = decimal_add(ANY(5000, 1), D("0.1"));
        check(gate);

        bool buys = gate->order.side == SIDE_BUY;
        decimal toward = buys ? gate->view.position_qty : decimal_neg(gate->view.position_qty);
        decimal working = buys ? gate->view.working_buy : gate->view.working_sell;
        decimal before = decimal_max(decimal_add(toward, working), DECIMAL_ZERO);
        decimal after =
            decimal_max(decimal_add(decimal_add(toward, working), gate->verdict.qty), DECIMAL_ZERO);
        assert_true(decimal_is_multiple(gate->verdict.qty, gate->instrument.lot_size));
        if (decimal_cmp(after, before) <= 0)
            continue; /* nothing opened */
        decimal worth = decimal_mul(after, gate->view.reference);
        assert_true(decimal_cmp(worth, gate->view.equity) <= 0);
        assert_true(decimal_cmp(worth, decimal_mul(gate->view.equity,
                                                   gate->strategy.value[LIMIT_POSITION_SIZE])) <=
                    0);
        assert_true(decimal_cmp(decimal_mul(gate->verdict.qty, gate->view.reference),
                                gate->account.value[LIMIT_ORDER_SIZE]) <= 0);
    }
#undef ANY
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buying_power_is_equity_times_leverage),
        cmocka_unit_test(contracts_are_worth_their_multiplier),
        cmocka_unit_test(the_dearer_of_limit_and_reference_counts),
        cmocka_unit_test(a_stop_is_worth_its_trigger),
        cmocka_unit_test(what_is_left_is_cut_to_whole_lots_toward_zero),
        cmocka_unit_test(position_and_working_orders_of_the_same_side_use_buying_power),
        cmocka_unit_test(a_broke_instance_opens_nothing_but_may_close),
        cmocka_unit_test(no_price_blocks_what_opens),
        cmocka_unit_test(below_the_minimum_nothing_opens),
        cmocka_unit_test(reduced_below_the_minimum_is_blocked_by_the_limit_that_reduced),
        cmocka_unit_test(what_reduces_passes_every_limit),
        cmocka_unit_test(of_a_flip_only_the_opening_part_is_limited),
        cmocka_unit_test(order_size_of_a_flip_counts_the_whole_order),
        cmocka_unit_test(where_shorts_are_not_allowed_a_flip_ends_flat),
        cmocka_unit_test(what_working_orders_will_close_cannot_be_closed_again),
        cmocka_unit_test(each_size_limit_binds_at_its_edge),
        cmocka_unit_test(counts_block_at_their_limit),
        cmocka_unit_test(the_collar_binds_the_aggressive_side),
        cmocka_unit_test(a_days_loss_halts_at_the_limit),
        cmocka_unit_test(of_two_loss_limits_the_lower_binds),
        cmocka_unit_test(the_stricter_of_account_and_strategy_binds),
        cmocka_unit_test(a_huge_limit_is_no_limit),
        cmocka_unit_test(what_does_not_fit_is_blocked),
        cmocka_unit_test(no_numbers_break_the_gate),
        cmocka_unit_test(what_leaves_keeps_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
