/* risk_numbers_test.c - hostile numbers on their ways to the risk room: the configuration's file,
 * the environment, and the limits of a strategy file. Each is refused with its key and what is
 * allowed, or it arrives exactly. */
#include <math.h>
#include <unistd.h>

#include "runtime/config/config.h"
#include "runtime/config/schema.h"
#include "runtime/risk/rollout.h"
#include "tests/unit/bindings_fixture.h"

#define MONEY "a number >0 <=1000000000000000"
#define SHARE "a fraction >0 <=1 (0.02 = 2 %)"
#define COUNT "a whole number >0 <=1000000"

/* What docs/configuration.md promises, not what the schema says. */
static const struct limit_case {
    enum limit limit;
    const char *name, *environment;
    const char *allowed;
    const char *most, *over; /* the last that is taken, and the next in its own unit */
} limit_cases[] = {
    { LIMIT_ORDER_SIZE, "max_order_size_usd", "MAX_ORDER_SIZE_USD", MONEY, "1000000000000000",
      "1000000000000000.5" },
    { LIMIT_DAILY_VOLUME, "max_daily_volume_usd", "MAX_DAILY_VOLUME_USD", MONEY, "1000000000000000",
      "1000000000000001" },
    { LIMIT_OPEN_POSITIONS, "max_open_positions", "MAX_OPEN_POSITIONS", COUNT, "1000000",
      "1000001" },
    { LIMIT_DAILY_LOSS, "max_daily_loss_usd", "MAX_DAILY_LOSS_USD", MONEY, "1000000000000000",
      "999999999999999999" },
    { LIMIT_DAILY_LOSS_PCT, "max_daily_loss_pct", "MAX_DAILY_LOSS_PCT", SHARE, "1", "1.01" },
    { LIMIT_POSITION_SIZE, "max_position_size", "MAX_POSITION_SIZE", SHARE, "1", "20" },
    { LIMIT_VOLATILITY, "max_portfolio_volatility", "MAX_PORTFOLIO_VOLATILITY",
      "a fraction >0 <=3 (0.02 = 2 %)", "3", "3.0001" },
    { LIMIT_HEAT, "max_portfolio_heat", "MAX_PORTFOLIO_HEAT", SHARE, "1", "6" },
    { LIMIT_DRAWDOWN, "max_drawdown", "MAX_DRAWDOWN", SHARE, "1", "1.0000001" },
    { LIMIT_TRADE_RISK, "per_trade_risk_pct", "PER_TRADE_RISK_PCT", SHARE, "1", "100" },
    { LIMIT_DAILY_TRADES, "max_daily_trades", "MAX_DAILY_TRADES", COUNT, "1000000", "1000001" },
    { LIMIT_ORDER_RATE, "max_orders_per_second", "MAX_ORDERS_PER_SECOND",
      "a whole number >0 <=100000", "100000", "100001" },
    { LIMIT_COLLAR, "price_collar_pct", "PRICE_COLLAR_PCT", SHARE, "1", "5" },
};

static bool is_count(const struct limit_case *one)
{
    return text_starts_with(one->allowed, "a whole number");
}

static void every_limit_has_its_case(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_SIZE(limit_cases), LIMITS);
    for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++) {
        assert_int_equal(limit_cases[i].limit, i);
        assert_string_equal(limit_info((enum limit)i)->name, limit_cases[i].name);
    }
}

/* ---- loading ---- */

struct world {
    char directory[64];
    const char *name, *text; /* the one variable that is set */
    struct config *config;
    struct text faults;
};

static const char *look_up(void *self, const char *name)
{
    const struct world *world = self;
    return world->name && strcmp(world->name, name) == 0 ? world->text : NULL;
}

static int set_up(void **state)
{
    struct world *world = memory_new(sizeof(*world));
    text_copy(world->directory, sizeof(world->directory), "/tmp/risk_numbers_test-XXXXXX");
    text_init(&world->faults, 1 << 20);
    *state = world;
    return !mkdtemp(world->directory);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char path[100];
    snprintf(path, sizeof(path), "%s/runtime.yaml", world->directory);
    unlink(path);
    int failed = rmdir(world->directory);
    config_release(world->config);
    text_release(&world->faults);
    free(world);
    return failed;
}

static int load(struct world *world, const char *yaml)
{
    char path[100];
    struct error err = { 0 };
    snprintf(path, sizeof(path), "%s/runtime.yaml", world->directory);
    FILE *file = fopen(path, "w"); /* nothing here needs the disk */
    assert_non_null(file);
    assert_true(fputs(yaml, file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct config_flags flags = { .config_path = path };
    config_release(world->config);
    text_clear(&world->faults);
    return config_load(&flags, look_up, world, &world->config, &world->faults, &err);
}

/* One fault alone, which names the key and says what is allowed. */
static void expect_fault(struct world *world, int code, const char *path, const char *allowed,
                         const char *shown)
{
    char found[200], wanted[200];
    snprintf(found, sizeof(found), ": %s: found ", path);
    snprintf(wanted, sizeof(wanted), "; allowed %s", allowed);
    const char *line = world->faults.data, *end = strchr(line, '\n');
    if (code != ERROR_CONFIG || world->config || !end || end[1] || !strstr(line, found) ||
        !strstr(line, wanted))
        fail_msg("%s: %s: code %d: %s", path, shown, code, line);
    assert_true(world->faults.length < 500); /* however long the value was */
}

static void expect_exact(struct world *world, int code, const char *path, const char *text)
{
    if (code != 0)
        fail_msg("%s: %s: %s", path, text, world->faults.data);
    decimal has = config_decimal(world->config, path);
    if (decimal_cmp(has, decimal_text(text)) != 0)
        fail_msg("%s: %s became %s", path, text, config_string(world->config, path));
}

/* ---- what is no limit ---- */

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const char *const hostile[] = {
    "nan",
    "NaN",
    "-nan",
    ".nan",
    ".NaN",
    "inf",
    "Inf",
    "-inf",
    ".inf",
    "-.inf",
    "Infinity",
    "1e400",
    "-1e400",
    "1e-400",
    "-0",
    "-0.0",
    "0",
    "0.0",
    "0.000000000000000000",
    "-1",
    "-0.01",
    "-1e-40",
    "1e-40",
    "1e36",
    "1e3",
    "1E3",
    "1e+0",
    "1e0",
    "5e-1",
    "+1",
    "+0.5",
    "007",
    "00.5",
    "0x10",
    "0b1",
    "0o7",
    "1_000",
    "1,000",
    "1 000",
    "0,5",
    "5%",
    "0.5%",
    "$50",
    "50 USD",
    "50usd",
    ".5",
    "5.",
    "--1",
    "1.2.3",
    "1/2",
    "1:30",
    "true",
    "yes",
    "none",
    "unlimited",
    "0.0000000000000000001", /* finer than 18 digits */
    "0.0000000000000000000000000000000000000001",
    "1000000000000000000", /* 19 digits */
    "100000000000000000000000000000000000000000",
    "170141183460469231731687303715884105728", /* 2^127 */
    "340282366920938463463374607431768211457", /* 2^128 + 1 */
    "18446744073709551617",
    "9223372036854775808",
    "-9223372036854775808",
    "4294967297",
    "1" HUNDRED HUNDRED HUNDRED,
    "0." HUNDRED HUNDRED,
    "x" HUNDRED HUNDRED HUNDRED,
};

/* 2^32 + 1 is money that one may have, and no count or share. */
static bool is_fit(const struct limit_case *one, const char *text)
{
    bool is_money = strcmp(one->allowed, MONEY) == 0;
    return is_money && strcmp(text, "4294967297") == 0;
}

static void a_file_is_refused_or_exact(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *before, *path;
    } scopes[] = {
        { "risk:\n  ", "risk" },
        { "strategies:\n  - file: a.lua\n    limits:\n      ", "strategies.0.limits" },
        { "risk:\n  symbols:\n    BTC/USDT:USDT:\n      ", "risk.symbols.BTC/USDT:USDT" },
        { "risk:\n  venues:\n    binance:\n      ", "risk.venues.binance" },
    };
    static const char *const forms[] = { "\"1\"", "'0.5'",    "",     "null", "~",
                                         "[1]",   "{ a: 1 }", "\"\"", "! 1",  "\"1\\0\"" };
    for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++) {
        const struct limit_case *one = &limit_cases[i];
        for (size_t s = 0; s < ARRAY_SIZE(scopes); s++) {
            char path[120], yaml[1000];
            snprintf(path, sizeof(path), "%s.%s", scopes[s].path, one->name);
            for (size_t k = 0; k < ARRAY_SIZE(hostile); k++) {
                snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, hostile[k]);
                int code = load(world, yaml);
                if (is_fit(one, hostile[k]))
                    expect_exact(world, code, path, hostile[k]);
                else
                    expect_fault(world, code, path, one->allowed, hostile[k]);
            }
            for (size_t k = 0; k < ARRAY_SIZE(forms); k++) {
                snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, forms[k]);
                if (load(world, yaml) != ERROR_CONFIG || !strstr(world->faults.data, one->name))
                    fail_msg("%s: %s: %s", path, forms[k], world->faults.data);
            }
            snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, one->over);
            expect_fault(world, load(world, yaml), path, one->allowed, one->over);
            snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, one->most);
            expect_exact(world, load(world, yaml), path, one->most);
            const char *least = is_count(one) ? "1" : "0.000000000000000001";
            snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, least);
            expect_exact(world, load(world, yaml), path, least);
            const char *exact = is_count(one) ? "12345" : "0.123456789012345678";
            snprintf(yaml, sizeof(yaml), "%s%s: %s\n", scopes[s].before, one->name, exact);
            expect_exact(world, load(world, yaml), path, exact);
        }
    }
}

static void the_environment_is_refused_or_exact(void **state)
{
    struct world *world = *state;
    static const char *const forms[] = {
        "", " ", " 1", "1 ", "\t1", "1\n", "\"1\"", "'1'", "null"
    };
    for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++) {
        const struct limit_case *one = &limit_cases[i];
        const char *const names[] = { one->environment, one->name }; /* in capitals, and not */
        char path[100], where[100];
        snprintf(path, sizeof(path), "risk.%s", one->name);
        for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
            world->name = names[n];
            snprintf(where, sizeof(where), "environment %s: ", names[n]);
            for (size_t k = 0; k < ARRAY_SIZE(hostile) + ARRAY_SIZE(forms); k++) {
                world->text = k < ARRAY_SIZE(hostile) ? hostile[k] : forms[k - ARRAY_SIZE(hostile)];
                int code = load(world, "");
                if (is_fit(one, world->text)) {
                    expect_exact(world, code, path, world->text);
                    continue;
                }
                expect_fault(world, code, path, one->allowed, world->text);
                assert_true(text_starts_with(world->faults.data, where));
            }
            world->text = one->over;
            expect_fault(world, load(world, ""), path, one->allowed, one->over);
            world->text = one->most;
            expect_exact(world, load(world, ""), path, one->most);
            assert_true(config_set_by_user(world->config, path));
            world->text = is_count(one) ? "7" : "0.002500000000000001";
            expect_exact(world, load(world, ""), path, world->text);
        }
    }
}

/* Numbers that are none of a limit's: shares and counts of the other risk sections. */
static void the_other_risk_numbers_are_refused_or_exact(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *before, *path, *allowed, *most, *over;
    } keys[] = {
        { "risk:\n  stop_distance_pct: ", "risk.stop_distance_pct", "a fraction >0 <1",
          "0.999999999999999999", "1" },
        { "risk:\n  heat_no_stop_pct: ", "risk.heat_no_stop_pct", SHARE, "1", "1.01" },
        { "risk:\n  cancel_reserve: ", "risk.cancel_reserve", "a fraction >=0 <1", "0.99", "1" },
        { "risk:\n  repeated_executions:\n    count: ", "risk.repeated_executions.count", COUNT,
          "1000000", "1000001" },
        { "circuit_breaker:\n  failures: ", "circuit_breaker.failures", COUNT, "1000000",
          "1000001" },
        { "circuit_breaker:\n  half_open_probes: ", "circuit_breaker.half_open_probes", COUNT,
          "1000000", "1000001" },
        { "circuit_breaker:\n  max_error_rate: ", "circuit_breaker.max_error_rate", SHARE, "1",
          "5" },
        { "circuit_breaker:\n  price_jump_pct: ", "circuit_breaker.price_jump_pct", SHARE, "1",
          "10" },
        { "rollout:\n  require:\n    order_success_rate: ", "rollout.require.order_success_rate",
          "a fraction >=0 <=1", "1", "99" },
        { "rollout:\n  require:\n    api_error_rate: ", "rollout.require.api_error_rate",
          "a fraction >=0 <=1", "1", "1.1" },
        { "rollout:\n  require:\n    slippage: ", "rollout.require.slippage", "a fraction >=0 <=1",
          "1", "1.1" },
        { "rollout:\n  require:\n    breaker_events_per_week: ",
          "rollout.require.breaker_events_per_week", "a whole number >=0 <=1000000", "1000000",
          "1000001" },
        { "rollout:\n  require:\n    paper_days: ", "rollout.require.paper_days",
          "a whole number >=0 <=10000", "10000", "10001" },
        { "rollout:\n  stages:\n    - days: 7\n      capital: ", "rollout.stages.0.capital", MONEY,
          "1000000000000000", "1000000000000001" },
        { "rollout:\n  stages:\n    - capital: 100\n      days: ", "rollout.stages.0.days",
          "a whole number >0 <=10000", "10000", "10001" },
        { "trading:\n  capital: ", "trading.capital", "a number >0",
          "999999999999999999.999999999999999999", "1000000000000000000" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char yaml[1000];
        bool from_zero = strstr(keys[i].allowed, ">=0");
        for (size_t k = 0; k < ARRAY_SIZE(hostile); k++) {
            const char *text = hostile[k];
            bool is_zero = text[strspn(text, "-.0")] == '\0';
            bool is_large =
                strcmp(text, "4294967297") == 0 && text_starts_with(keys[i].allowed, "a number");
            snprintf(yaml, sizeof(yaml), "%s%s\n", keys[i].before, text);
            int code = load(world, yaml);
            if (from_zero && is_zero && strstr(keys[i].allowed, "whole") && strchr(text, '.'))
                expect_fault(world, code, keys[i].path, keys[i].allowed, text);
            else if ((from_zero && is_zero) || is_large)
                expect_exact(world, code, keys[i].path, is_zero ? "0" : text);
            else
                expect_fault(world, code, keys[i].path, keys[i].allowed, text);
        }
        snprintf(yaml, sizeof(yaml), "%s%s\n", keys[i].before, keys[i].over);
        expect_fault(world, load(world, yaml), keys[i].path, keys[i].allowed, keys[i].over);
        snprintf(yaml, sizeof(yaml), "%s%s\n", keys[i].before, keys[i].most);
        expect_exact(world, load(world, yaml), keys[i].path, keys[i].most);
    }
}

/* What is meant but not understood is said in words. */
static void a_refusal_helps(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        { "max_position_size", "5%", "; did you mean 0.05?\n" },
        { "max_daily_loss_pct", "2.5%", "; did you mean 0.025?\n" },
        { "max_drawdown", "20", "; did you mean 0.2?\n" },
        { "max_drawdown", "200%", " (0.02 = 2 %)\n" }, /* no fraction that is allowed */
        { "max_drawdown", "-5%", " (0.02 = 2 %)\n" },
        { "max_drawdown", "5%%", " (0.02 = 2 %)\n" },
        { "max_order_size_usd", "5%", "allowed " MONEY "\n" },
        { "max_order_size_usd", "1e3",
          "; write it in digits, at most 18 before the point and 18 after it\n" },
        { "max_order_size_usd", "1e400",
          "; write it in digits, at most 18 before the point and 18 after it\n" },
        { "max_order_size_usd", "+50",
          "; write it in digits, at most 18 before the point and 18 after it\n" },
        { "max_order_size_usd", "0.0000000000000000001",
          "; write it in digits, at most 18 before the point and 18 after it\n" },
        { "max_order_size_usd", "-1", "allowed " MONEY "\n" },
        { "max_order_size_usd", "abc", "allowed " MONEY "\n" },
        { "max_open_positions", "2.5", "allowed " COUNT "\n" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char yaml[200];
        snprintf(yaml, sizeof(yaml), "risk:\n  %s: %s\n", cases[i].name, cases[i].text);
        assert_int_equal(load(world, yaml), ERROR_CONFIG);
        if (!text_ends_with(world->faults.data, cases[i].says))
            fail_msg("%s: %s", cases[i].text, world->faults.data);
    }
}

/* As many stages as a rollout can hold, and one more. */
static void a_rollout_has_at_most_sixteen_stages(void **state)
{
    struct world *world = *state;
    struct text yaml;
    text_init(&yaml, 4096);
    text_add(&yaml, "rollout:\n  stages:\n");
    for (int i = 0; i < ROLLOUT_STAGES_MAX; i++)
        text_printf(&yaml, "    - { capital: %d, days: 7 }\n", 100 * (i + 1));
    assert_int_equal(load(world, yaml.data), 0);
    assert_int_equal(config_members(world->config, "rollout.stages"), ROLLOUT_STAGES_MAX);
    text_add(&yaml, "    - { capital: 9000, days: 7 }\n");
    expect_fault(world, load(world, yaml.data), "rollout.stages", "at most 16", "17 stages");
    assert_contains(world->faults.data, ":19:"); /* the line of the seventeenth */
    text_release(&yaml);
}

/* ---- the limits of a strategy file ---- */

static int describe(const char *limits, struct strategy_info *info, struct error *err)
{
    char text[500];
    struct sandbox_limits bounds;
    sandbox_limits_init(&bounds);
    snprintf(text, sizeof(text), "return { api = 1, limits = { %s } }", limits);
    struct source source = source_of(text);
    int code = strategy_describe(&source, &bounds, info, err);
    source_release(&source);
    return code;
}

static void expect_no_limit(const struct limit_case *one, const char *value)
{
    char limits[300], begins[100], ends[100];
    static struct strategy_info info;
    struct error err = { 0 };
    snprintf(limits, sizeof(limits), "%s = %s", one->name, value);
    snprintf(begins, sizeof(begins), "limits.%s is ", one->name);
    snprintf(ends, sizeof(ends), "; allowed: %s", one->allowed);
    if (describe(limits, &info, &err) != ERROR_DATA || !text_starts_with(err.message, begins) ||
        !strstr(err.message, ends))
        fail_msg("%s: '%s'", limits, err.message);
}

static void expect_limit(const struct limit_case *one, const char *value, const char *exact)
{
    char limits[300], has[DECIMAL_TEXT_MAX];
    static struct strategy_info info;
    struct error err = { 0 };
    snprintf(limits, sizeof(limits), "%s = %s", one->name, value);
    if (describe(limits, &info, &err) != 0)
        fail_msg("%s: %s", limits, err.message);
    assert_string_equal(decimal_format(info.limits.value[one->limit], has), exact);
}

static void a_strategy_file_is_refused_or_exact(void **state)
{
    (void)state;
    static const char *const values[] = {
        "0/0",
        "-(0/0)",
        "1/0",
        "-1/0",
        "1e400",
        "-1e400",
        "math.huge",
        "'nan'",
        "'NaN'",
        "'inf'",
        "'-inf'",
        "'Infinity'",
        "'1e400'",
        "'-1e400'",
        "'1e-400'",
        "0",
        "0.0",
        "-0.0",
        "'-0'",
        "'0'",
        "'0.000'",
        "'0e5'",
        "-1",
        "-0.01",
        "'-1'",
        "'-0.5'",
        "math.mininteger",
        "math.maxinteger",
        "1e36",
        "'1e36'",
        "1e18",
        "'1e18'",
        "1e300",
        "1e-40",
        "'1e-40'",
        "1e-36",
        "'1e-36'",
        "1e-19",
        "'0.0000000000000000001'",
        "5e-324",
        "'5%'",
        "'0.5%'",
        "'0x10'",
        "'0b1'",
        "''",
        "' '",
        "' 1'",
        "'1 '",
        "'1\\n'",
        "'1\\0'",
        "'1\\0000'",
        "'1,000'",
        "'1_000'",
        "'.5'",
        "'5.'",
        "'--1'",
        "'1.2.3'",
        "'$50'",
        "'1 USD'",
        "'true'",
        "true",
        "false",
        "{}",
        "{ 1 }",
        "print",
        "string.rep('9', 50000)",
        "string.rep('x', 50000)",
        "'0.' .. string.rep('0', 50000) .. '1'",
        "'1e' .. string.rep('9', 1000)",
        "'170141183460469231731687303715884105728'",
    };
    for (size_t i = 0; i < ARRAY_SIZE(limit_cases); i++) {
        const struct limit_case *one = &limit_cases[i];
        char quoted[64];
        for (size_t k = 0; k < ARRAY_SIZE(values); k++)
            expect_no_limit(one, values[k]);
        expect_no_limit(one, one->over);
        snprintf(quoted, sizeof(quoted), "'%s'", one->over);
        expect_no_limit(one, quoted);
        expect_limit(one, one->most, one->most);
        snprintf(quoted, sizeof(quoted), "'%s'", one->most);
        expect_limit(one, quoted, one->most);
        expect_limit(one, "1", "1");
        expect_limit(one, "1.0", "1");
        expect_limit(one, "'1.00'", "1");
        expect_limit(one, "'1e0'", "1");
        if (is_count(one)) {
            expect_no_limit(one, "1.5");
            expect_no_limit(one, "'1.5'");
            expect_no_limit(one, "1.0000000000000002");
            expect_no_limit(one, "2^53");
            expect_limit(one, "12345", "12345");
        } else {
            expect_limit(one, "0.1", "0.1");
            expect_limit(one, "0.0025", "0.0025");
            expect_limit(one, "0.0025 / 3", "0.0008333333333333334"); /* as Lua prints it */
            expect_limit(one, "1e-18", "0.000000000000000001");
            expect_limit(one, "'0.123456789012345678'", "0.123456789012345678");
        }
    }
}

/* Under both of its names a limit is still a limit, and the stricter counts. */
static void of_two_names_the_stricter_counts(void **state)
{
    (void)state;
    static const struct {
        const char *limits, *wanted;
    } cases[] = {
        { "max_daily_loss = 10", "10" },
        { "max_daily_loss = 10, max_daily_loss_usd = 500", "10" },
        { "max_daily_loss = 500, max_daily_loss_usd = 10", "10" },
        { "max_daily_loss_usd = 500, max_daily_loss = 10", "10" },
        { "max_daily_loss_usd = 10, max_daily_loss = 500", "10" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        static struct strategy_info info;
        struct error err = { 0 };
        char has[DECIMAL_TEXT_MAX];
        if (describe(cases[i].limits, &info, &err) != 0)
            fail_msg("%s: %s", cases[i].limits, err.message);
        decimal_format(info.limits.value[LIMIT_DAILY_LOSS], has);
        assert_string_equal(has, cases[i].wanted);
    }
    static struct strategy_info info;
    struct error err = { 0 };
    assert_int_equal(describe("max_daily_loss = 0/0, max_daily_loss_usd = 10", &info, &err),
                     ERROR_DATA);
    assert_true(text_starts_with(err.message, "limits.max_daily_loss is "));
    assert_contains(err.message, "; allowed: " MONEY);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_has_its_case),
        TEST(a_file_is_refused_or_exact),
        TEST(the_environment_is_refused_or_exact),
        TEST(the_other_risk_numbers_are_refused_or_exact),
        TEST(a_refusal_helps),
        TEST(a_rollout_has_at_most_sixteen_stages),
        cmocka_unit_test(a_strategy_file_is_refused_or_exact),
        cmocka_unit_test(of_two_names_the_stricter_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
