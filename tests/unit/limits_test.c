/* limits_test.c - the names of the limits as users write them, and the narrowing of one set by
 * another. The table is docs/risk.md's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/risk/limits.h"

#define D(text) decimal_text(text)

static const struct {
    enum limit limit;
    const char *name, *code;
    enum limit_kind kind;
} expected[] = {
    { LIMIT_ORDER_SIZE, "max_order_size_usd", "max_order_size", LIMIT_IS_MONEY },
    { LIMIT_DAILY_VOLUME, "max_daily_volume_usd", "max_daily_volume", LIMIT_IS_MONEY },
    { LIMIT_OPEN_POSITIONS, "max_open_positions", "max_open_positions", LIMIT_IS_COUNT },
    { LIMIT_DAILY_LOSS, "max_daily_loss_usd", "max_daily_loss", LIMIT_IS_MONEY },
    { LIMIT_DAILY_LOSS_PCT, "max_daily_loss_pct", "max_daily_loss", LIMIT_IS_SHARE },
    { LIMIT_POSITION_SIZE, "max_position_size", "max_position_size", LIMIT_IS_SHARE },
    { LIMIT_VOLATILITY, "max_portfolio_volatility", "max_portfolio_volatility", LIMIT_IS_SHARE },
    { LIMIT_HEAT, "max_portfolio_heat", "max_portfolio_heat", LIMIT_IS_SHARE },
    { LIMIT_DRAWDOWN, "max_drawdown", "max_drawdown", LIMIT_IS_SHARE },
    { LIMIT_TRADE_RISK, "per_trade_risk_pct", "per_trade_risk", LIMIT_IS_SHARE },
    { LIMIT_DAILY_TRADES, "max_daily_trades", "max_daily_trades", LIMIT_IS_COUNT },
    { LIMIT_ORDER_RATE, "max_orders_per_second", "max_orders_per_second", LIMIT_IS_COUNT },
    { LIMIT_COLLAR, "price_collar_pct", "price_collar", LIMIT_IS_SHARE },
};

static void every_limit_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_SIZE(expected), LIMITS);
    for (size_t i = 0; i < LIMITS; i++) {
        const struct limit_info *info = limit_info(expected[i].limit);
        assert_string_equal(info->name, expected[i].name);
        assert_string_equal(info->code, expected[i].code);
        assert_int_equal(info->kind, expected[i].kind);
        assert_int_equal(limit_by_name(expected[i].name), expected[i].limit);
    }
}

static void names_that_users_have(void **state)
{
    (void)state;
    assert_int_equal(limit_by_name("max_daily_loss"), LIMIT_DAILY_LOSS);
    static const char *const none[] = {
        "",  "max", "max_order_size", "MAX_DRAWDOWN", "max_drawdown ", "max_daily_loss_usd_",
        "a", "z"
    };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_int_equal(limit_by_name(none[i]), LIMITS);
}

static void none_at_first(void **state)
{
    (void)state;
    struct risk_limits limits[2];
    for (size_t i = 0; i < LIMITS; i++)
        limits[0].value[i] = limits[1].value[i] = D("7");
    risk_limits_init(&limits[0]);
    for (enum limit limit = 0; limit < LIMITS; limit++) {
        assert_false(limit_is_set(&limits[0], limit));
        assert_true(limit_is_set(&limits[1], limit)); /* and nothing beyond it */
    }
}

/* Each of the two may be set or not; where both are, the stricter counts. */
static void the_stricter_of_two(void **state)
{
    (void)state;
    static const struct {
        const char *own, *by, *result; /* NULL: not set */
    } cases[] = {
        { NULL, NULL, NULL }, { "5", NULL, "5" },
        { NULL, "5", "5" },   { "5", "5", "5" },
        { "5", "3", "3" },    { "3", "5", "3" },
        { "5", "0", "0" },    { "0.02", "0.0200001", "0.02" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (enum limit limit = 0; limit < LIMITS; limit++) {
            struct {
                struct risk_limits limits;
                decimal behind;
            } own = { .behind = D("9") };
            struct risk_limits by;
            risk_limits_init(&own.limits);
            risk_limits_init(&by);
            own.limits.value[limit] = cases[i].own ? D(cases[i].own) : DECIMAL_NONE;
            by.value[limit] = cases[i].by ? D(cases[i].by) : DECIMAL_NONE;
            risk_limits_narrow(&own.limits, &by);
            for (enum limit other = 0; other < LIMITS; other++) {
                bool set = other == limit && cases[i].result;
                assert_int_equal(limit_is_set(&own.limits, other), set);
                if (set)
                    assert_int_equal(decimal_cmp(own.limits.value[other], D(cases[i].result)), 0);
            }
            assert_int_equal(decimal_cmp(own.behind, D("9")), 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_by_its_name),
        cmocka_unit_test(names_that_users_have),
        cmocka_unit_test(none_at_first),
        cmocka_unit_test(the_stricter_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
