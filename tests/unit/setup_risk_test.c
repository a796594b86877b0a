/* setup_risk_test.c - from the configuration to what binds: in paper what the user set, in live the
 * defaults too, and there the limits in money and the counts must be the user's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/app/setup.h"

#define OWN                                                                                        \
    "max_order_size_usd: 90, max_daily_volume_usd: 400, max_open_positions: 2,"                    \
    " max_daily_loss_usd: 50, max_daily_trades: 30, max_orders_per_second: 5"

struct fixture {
    char folder[64], path[128];
    struct session session;
    struct engine_options options;
    struct error err;
};

static const char *nothing(void *self, const char *name)
{
    (void)self;
    (void)name;
    return NULL;
}

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    strcpy(fixture->folder, "/tmp/setup_risk_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof(fixture->path), "%s/runtime.yaml", fixture->folder);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    setup_risk_release(fixture->session.risk);
    config_release(fixture->session.config);
    remove(fixture->path);
    remove(fixture->folder);
    free(fixture);
    return 0;
}

/* What this file means to a session of that kind. */
static int read(struct fixture *fixture, enum session_source source, const char *yaml)
{
    struct config_flags flags = { .config_path = fixture->path };
    struct session *session = &fixture->session;
    struct error *err = &fixture->err;
    struct text faults;
    setup_risk_release(session->risk);
    config_release(session->config);
    memset(session, 0, sizeof(*session));
    memset(&fixture->options, 0, sizeof(fixture->options));
    session->source = source;
    session->mode = source == SOURCE_VENUE ? "live" : "paper";
    session->end_ns = TIME_NEVER;
    assert_int_equal(text_write_file(fixture->path, yaml, strlen(yaml), err), 0);
    text_init(&faults, 1 << 16);
    int code = config_load(&flags, nothing, NULL, &session->config, &faults, err);
    if (code < 0)
        fail_msg("%s", faults.data);
    text_release(&faults);
    struct instrument instrument = { .symbol = "BTC/USDT:USDT",
                                     .venue = "sim",
                                     .tick_size = decimal_text("0.1"),
                                     .lot_size = decimal_text("0.001"),
                                     .min_notional = decimal_int(5),
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .price_scale = 1,
                                     .qty_scale = 3 };
    uint32_t index;
    assert_int_equal(instruments_add(&session->instruments, &instrument, &index, err), 0);
    if ((code = setup_calendars(session, err)) < 0)
        return code;
    return setup_risk(session, &fixture->options, err);
}

static void assert_limit(const struct fixture *fixture, enum limit limit, const char *value)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(fixture->options.account.value[limit], text), value);
}

static void in_paper_only_what_was_set_binds(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_SIM, "risk: { max_order_size_usd: 90 }\n"), 0);
    for (enum limit i = 0; i < LIMITS; i++)
        assert_int_equal(limit_is_set(&fixture->options.account, i), i == LIMIT_ORDER_SIZE);
    assert_limit(fixture, LIMIT_ORDER_SIZE, "90");
    assert_int_equal(fixture->options.risk.breaker.open_for_ns, 0);
    assert_int_equal(fixture->options.risk.repeated_count, 0);
    assert_int_equal(fixture->options.risk.stale_after_ns, 0);
    assert_true(fixture->options.risk.halts_latch);
    assert_true(fixture->options.risk.self_trade_prevention);
}

static void on_a_feed_halts_end_with_the_day(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_FEED, "risk: {}\n"), 0);
    assert_false(fixture->options.risk.halts_latch);
    assert_false(fixture->options.risk.keeps_day);
}

/* The figures of the shared runtime.yaml. */
static void in_live_the_defaults_bind_too(void **state)
{
    struct fixture *fixture = *state;
    if (read(fixture, SOURCE_VENUE, "risk: { " OWN " }\n") < 0)
        fail_msg("%s", fixture->err.message);
    static const struct {
        enum limit limit;
        const char *value;
    } wanted[LIMITS] = { { LIMIT_ORDER_SIZE, "90" },       { LIMIT_DAILY_VOLUME, "400" },
                         { LIMIT_OPEN_POSITIONS, "2" },    { LIMIT_DAILY_LOSS, "50" },
                         { LIMIT_DAILY_LOSS_PCT, "0.02" }, { LIMIT_POSITION_SIZE, "0.2" },
                         { LIMIT_VOLATILITY, "0.25" },     { LIMIT_HEAT, "0.06" },
                         { LIMIT_DRAWDOWN, "0.2" },        { LIMIT_TRADE_RISK, "0.0025" },
                         { LIMIT_DAILY_TRADES, "30" },     { LIMIT_ORDER_RATE, "5" },
                         { LIMIT_COLLAR, "0.05" } };
    for (size_t i = 0; i < LIMITS; i++)
        assert_limit(fixture, wanted[i].limit, wanted[i].value);
    const struct risk_options *risk = &fixture->options.risk;
    assert_int_equal(risk->breaker.failures, 5);
    assert_int_equal(risk->breaker.open_for_ns, 60 * NS_PER_SECOND);
    assert_int_equal(risk->breaker.half_open_probes, 3);
    assert_int_equal(risk->breaker.max_latency_ns, 2 * NS_PER_SECOND);
    assert_int_equal(risk->repeated_count, 20);
    assert_int_equal(risk->repeated_within_ns, 10 * NS_PER_SECOND);
    assert_int_equal(risk->max_clock_skew_ns, NS_PER_SECOND);
    assert_int_equal(risk->stale_after_ns, 10 * NS_PER_SECOND);
}

/* Each of the six alone is enough to refuse, and is named; the others are not. */
static void live_needs_limits_of_the_users_own(void **state)
{
    struct fixture *fixture = *state;
    static const char *const own[] = { "max_order_size_usd: 90", "max_daily_volume_usd: 400",
                                       "max_open_positions: 2",  "max_daily_loss_usd: 50",
                                       "max_daily_trades: 30",   "max_orders_per_second: 5" };
    for (size_t missing = 0; missing < ARRAY_SIZE(own); missing++) {
        char yaml[400] = "risk: { max_position_size: 0.1";
        for (size_t i = 0; i < ARRAY_SIZE(own); i++)
            if (i != missing)
                snprintf(yaml + strlen(yaml), sizeof(yaml) - strlen(yaml), ", %s", own[i]);
        strcat(yaml, " }\n");
        assert_int_equal(read(fixture, SOURCE_VENUE, yaml), ERROR_PERMISSION);
        for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
            char name[48];
            snprintf(name, sizeof(name), "risk.%.*s", (int)strcspn(own[i], ":"), own[i]);
            assert_int_equal(strstr(fixture->err.message, name) != NULL, i == missing);
        }
    }
}

/* Whoever only cancels what is left opens nothing: no limit may keep it from that. */
static void what_only_cancels_needs_none(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_VENUE, "risk: {}\n"), ERROR_PERMISSION);
    fixture->session.only_remains = true;
    assert_int_equal(setup_risk(&fixture->session, &fixture->options, &fixture->err), 0);
}

static void scopes_have_what_was_set_for_them(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_SIM,
                          "risk:\n"
                          "  symbols: { BTC/USDT:USDT: { max_order_size_usd: 7 } }\n"
                          "  venues: { sim: { max_daily_trades: 3 } }\n"),
                     0);
    const struct risk_options *risk = &fixture->options.risk;
    assert_int_equal(risk->symbol_count, 1);
    assert_string_equal(risk->symbols[0].name, "BTC/USDT:USDT");
    assert_int_equal(decimal_cmp(risk->symbols[0].limits.value[LIMIT_ORDER_SIZE], decimal_int(7)),
                     0);
    assert_false(limit_is_set(&risk->symbols[0].limits, LIMIT_DAILY_TRADES));
    assert_int_equal(risk->venue_count, 1);
    assert_int_equal(decimal_cmp(risk->venues[0].limits.value[LIMIT_DAILY_TRADES], decimal_int(3)),
                     0);
}

static void one_key_of_a_breaker_or_throttle_binds_all_of_it(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_SIM,
                          "circuit_breaker: { failures: 2 }\n"
                          "risk: { repeated_executions: { count: 4 } }\n"),
                     0);
    assert_int_equal(fixture->options.risk.breaker.failures, 2);
    assert_int_equal(fixture->options.risk.breaker.open_for_ns, 60 * NS_PER_SECOND);
    assert_int_equal(fixture->options.risk.repeated_count, 4);
    assert_int_equal(fixture->options.risk.repeated_within_ns, 10 * NS_PER_SECOND);
}

/* Without stages of one's own the four weeks of the default; in live the paper days come first. */
static void a_rollout_has_its_stages(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read(fixture, SOURCE_SIM, "rollout: { enabled: true }\n"), 0);
    const struct rollout_options *rollout = &fixture->options.risk.rollout;
    assert_true(rollout->enabled);
    assert_int_equal(rollout->stage_count, 4);
    static const int capital[] = { 200, 500, 1000, 2000 };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(decimal_cmp(rollout->stages[i].capital, decimal_int(capital[i])), 0);
        assert_int_equal(rollout->stages[i].days, 7);
    }
    assert_int_equal(rollout->paper_days, 0);
    assert_int_equal(read(fixture, SOURCE_VENUE, "rollout: { enabled: true }\nrisk: { " OWN " }\n"),
                     0);
    assert_int_equal(rollout->paper_days, 7);
    assert_int_equal(rollout->latency_ns, 500 * NS_PER_MS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(in_paper_only_what_was_set_binds),
        TEST(on_a_feed_halts_end_with_the_day),
        TEST(in_live_the_defaults_bind_too),
        TEST(live_needs_limits_of_the_users_own),
        TEST(what_only_cancels_needs_none),
        TEST(scopes_have_what_was_set_for_them),
        TEST(one_key_of_a_breaker_or_throttle_binds_all_of_it),
        TEST(a_rollout_has_its_stages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
