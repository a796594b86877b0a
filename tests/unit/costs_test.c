/* costs_test.c - fees and slippage against values computed by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/sim/costs.h"

static struct instrument instrument(const char *tick, const char *multiplier)
{
    return (struct instrument){ .tick_size = decimal_text(tick),
                                .multiplier = decimal_text(multiplier) };
}

static struct costs costs(enum slippage_model model, const char *bps)
{
    return (struct costs){ .maker_fee = decimal_text("0.0002"),
                           .taker_fee = decimal_text("0.0005"),
                           .slippage = model,
                           .slippage_bps = decimal_text(bps) };
}

static void assert_decimal(decimal actual, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(actual, text), expected);
}

static decimal fee(const char *price, const char *qty, const char *multiplier,
                   enum liquidity liquidity)
{
    struct costs model = costs(SLIPPAGE_NONE, "0");
    struct instrument traded = instrument("0.01", multiplier);
    return costs_fee(&model, &traded, decimal_text(price), decimal_text(qty), liquidity);
}

static decimal slip(enum slippage_model model, const char *bps, enum order_side side,
                    const char *price, const char *spread)
{
    struct costs list = costs(model, bps);
    struct instrument traded = instrument("0.1", "1");
    return costs_slip(&list, &traded, side, decimal_text(price), decimal_text(spread));
}

static void a_taker_pays_his_share_of_the_notional(void **state)
{
    (void)state;
    assert_decimal(fee("42014", "0.5", "1", LIQUIDITY_TAKER), "10.5035");
    assert_decimal(fee("42014", "0.5", "1", LIQUIDITY_MAKER), "4.2014");
}

/* A contract of ten units moves ten times the money. */
static void the_multiplier_counts(void **state)
{
    (void)state;
    assert_decimal(fee("100", "3", "10", LIQUIDITY_TAKER), "1.5");
}

/* 0.00001 * 0.003 * 0.0005 = 1.5e-11 goes to 0; 0.5e-8 goes to the even neighbour, 1.5e-8 up. */
static void a_fee_has_eight_digits_rounded_half_to_even(void **state)
{
    (void)state;
    assert_decimal(fee("0.00001", "0.003", "1", LIQUIDITY_TAKER), "0");
    assert_decimal(fee("0.00001", "1", "1", LIQUIDITY_TAKER), "0");          /* 0.5e-8 */
    assert_decimal(fee("0.00003", "1", "1", LIQUIDITY_TAKER), "0.00000002"); /* 1.5e-8 */
}

static void a_rebate_is_a_negative_fee(void **state)
{
    (void)state;
    struct costs model = costs(SLIPPAGE_NONE, "0");
    model.maker_fee = decimal_text("-0.0001");
    struct instrument traded = instrument("0.01", "1");
    assert_decimal(costs_fee(&model, &traded, decimal_int(100), decimal_int(2), LIQUIDITY_MAKER),
                   "-0.02");
}

static void without_slippage_a_price_stays(void **state)
{
    (void)state;
    assert_decimal(slip(SLIPPAGE_NONE, "5", SIDE_BUY, "42000.1", "5"), "42000.1");
    assert_decimal(slip(SLIPPAGE_NONE, "5", SIDE_SELL, "42000.1", "5"), "42000.1");
}

/* 5 basis points of 42000.1 are 21.00005. */
static void fixed_slippage_moves_against_the_order_and_rounds_against_it(void **state)
{
    (void)state;
    assert_decimal(slip(SLIPPAGE_FIXED, "5", SIDE_BUY, "42000.1", "0"), "42021.2");
    assert_decimal(slip(SLIPPAGE_FIXED, "5", SIDE_SELL, "42000.1", "0"), "41979");
}

static void half_the_spread_is_half_the_spread(void **state)
{
    (void)state;
    assert_decimal(slip(SLIPPAGE_HALF_SPREAD, "5", SIDE_BUY, "100", "0.4"), "100.2");
    assert_decimal(slip(SLIPPAGE_HALF_SPREAD, "5", SIDE_SELL, "100", "0.3"), "99.8");
    assert_decimal(slip(SLIPPAGE_HALF_SPREAD, "5", SIDE_SELL, "100", "0"), "100");
}

static void nothing_is_sold_for_nothing(void **state)
{
    (void)state;
    assert_decimal(slip(SLIPPAGE_FIXED, "9999", SIDE_SELL, "0.2", "0"), "0.1");
    assert_decimal(slip(SLIPPAGE_FIXED, "20000", SIDE_SELL, "0.2", "0"), "0.1");
}

static void a_sum_that_does_not_fit_is_invalid(void **state)
{
    (void)state;
    assert_false(decimal_valid(fee("1e30", "1e30", "1", LIQUIDITY_TAKER)));
}

static void models_are_known_by_name(void **state)
{
    (void)state;
    static const char *const names[] = { "none", "fixed", "half_spread" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        enum slippage_model model;
        assert_true(slippage_parse(names[i], &model));
        assert_string_equal(slippage_name(model), names[i]);
    }
    enum slippage_model model;
    assert_false(slippage_parse("volume", &model));
    assert_false(slippage_parse("Fixed", &model));
    assert_false(slippage_parse("", &model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_taker_pays_his_share_of_the_notional),
        cmocka_unit_test(the_multiplier_counts),
        cmocka_unit_test(a_fee_has_eight_digits_rounded_half_to_even),
        cmocka_unit_test(a_rebate_is_a_negative_fee),
        cmocka_unit_test(without_slippage_a_price_stays),
        cmocka_unit_test(fixed_slippage_moves_against_the_order_and_rounds_against_it),
        cmocka_unit_test(half_the_spread_is_half_the_spread),
        cmocka_unit_test(nothing_is_sold_for_nothing),
        cmocka_unit_test(a_sum_that_does_not_fit_is_invalid),
        cmocka_unit_test(models_are_known_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
