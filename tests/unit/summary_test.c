/* summary_test.c - what a run ends with: the ratios against published figures, JSON and table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/app/summary.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

#define OUTPUT_MAX 65536

/* ---- ratios ---- */

/* Daily returns whose ratios QuantStats and empyrical agree on to 12 digits. */
static const double reference[] = {
    0.0100, -0.0050, 0.0000, 0.0200,  -0.0150, 0.0075, -0.0300, 0.0125, 0.0050,  -0.0025,
    0.0180, -0.0080, 0.0040, -0.0120, 0.0250,  0.0000, -0.0060, 0.0110, -0.0010, 0.0090,
};
#define REFERENCE_DAYS (ARRAY_SIZE(reference) + 1)

static double reference_equity(double daily[REFERENCE_DAYS])
{
    double peak = 100000, drawdown = 0;
    daily[0] = 100000;
    for (size_t i = 0; i < ARRAY_SIZE(reference); i++) {
        daily[i + 1] = daily[i] * (1 + reference[i]);
        peak = fmax(peak, daily[i + 1]);
        drawdown = fmax(drawdown, 1 - daily[i + 1] / peak);
    }
    return drawdown;
}

static void ratios_are_the_published_ones(void **state)
{
    (void)state;
    double daily[REFERENCE_DAYS];
    double drawdown = reference_equity(daily);
    struct summary_ratios ratios = summary_ratios(daily, REFERENCE_DAYS, drawdown);
    assert_true(fabs(ratios.sharpe - 3.12077264755) < 1e-10);
    assert_true(fabs(ratios.sortino - 4.85023243601) < 1e-10);
    assert_true(fabs(ratios.calmar - 29.622793731) < 1e-8);
}

/* A drawdown told as a negative number means the same. */
static void a_negative_drawdown_is_a_drawdown(void **state)
{
    (void)state;
    double daily[REFERENCE_DAYS];
    double drawdown = reference_equity(daily);
    struct summary_ratios ratios = summary_ratios(daily, REFERENCE_DAYS, -drawdown);
    assert_true(fabs(ratios.calmar - 29.622793731) < 1e-8);
}

/* An infinite Sharpe of a flat line, or a zero, would rank first in somebody's table. */
static void what_is_undefined_is_nan(void **state)
{
    (void)state;
    const double one[] = { 100, 101 }, flat[] = { 100, 100, 100 }, rising[] = { 100, 101, 103 },
                 ruined[] = { 100, -1, 50 };
    assert_true(isnan(summary_ratios(NULL, 0, 0).sharpe));
    assert_true(isnan(summary_ratios(one, 2, 0.1).sharpe));
    assert_true(isnan(summary_ratios(one, 2, 0.1).calmar));
    assert_true(isnan(summary_ratios(flat, 3, 0).sharpe));
    assert_true(isnan(summary_ratios(flat, 3, 0).sortino));
    assert_true(isfinite(summary_ratios(rising, 3, 0).sharpe));
    assert_true(isnan(summary_ratios(rising, 3, 0).sortino));
    assert_true(isnan(summary_ratios(rising, 3, 0).calmar));
    assert_true(isnan(summary_ratios(ruined, 3, 1.01).sharpe));
    assert_true(isnan(summary_ratios(ruined, 3, 1.01).calmar));
}

/* ---- a run ---- */

struct run {
    struct instruments instruments;
    struct market *market;
    struct engine *engine;
    struct strategy_info info;
    struct params params;
    struct summary_strategy strategy;
    struct summary summary;
};

static void describe_strategy(struct run *run)
{
    struct strategy_info *info = &run->info;
    strcpy(info->name, "momentum");
    strcpy(info->version, "1.0.0");
    info->param_count = 4;
    strcpy(info->params[0].name, "fast");
    strcpy(info->params[1].name, "flip");
    strcpy(info->params[2].name, "risk");
    strcpy(info->params[3].name, "tf");
    run->params.values[0] =
        (struct param_value){ .kind = PARAM_INTEGER, .integer = 12, .number = 12 };
    run->params.values[1] = (struct param_value){ .kind = PARAM_BOOL, .boolean = true };
    run->params.values[2] = (struct param_value){ .kind = PARAM_NUMBER, .number = 0.5 };
    run->params.values[3] = (struct param_value){ .kind = PARAM_STRING, .string = "1m" };
    run->strategy = (struct summary_strategy){ .file = "strategies/momentum.lua",
                                               .info = info,
                                               .symbol = "BTC/USDT:USDT",
                                               .params = &run->params,
                                               .alive = true };
}

static struct run *run_open(void)
{
    struct run *run = memory_new(sizeof(*run));
    struct error err = { 0 };
    struct instrument instrument = { .symbol = "BTC/USDT:USDT",
                                     .venue = "sim",
                                     .tick_size = decimal_text("0.01"),
                                     .lot_size = decimal_text("0.001"),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .short_allowed = true,
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    uint32_t index;
    assert_int_equal(instruments_add(&run->instruments, &instrument, &index, &err), 0);
    run->market = market_open(&run->instruments);
    struct engine_options options = { .instruments = &run->instruments, .market = run->market };
    risk_limits_init(&options.account);
    run->engine = engine_open(&options);
    struct instance_options instance = { .instance_id = 1,
                                         .strategy = "momentum",
                                         .capital = decimal_int(1000),
                                         .instruments = &index,
                                         .instrument_count = 1 };
    risk_limits_init(&instance.limits);
    assert_int_equal(engine_add_instance(run->engine, &instance, &err), 0);
    describe_strategy(run);
    run->summary = (struct summary){ .mode = "paper",
                                     .broker = "sim",
                                     .strategies = &run->strategy,
                                     .strategy_count = 1,
                                     .engine = run->engine,
                                     .instance_count = 1,
                                     .started_ns = INT64_C(1704067200) * NS_PER_SECOND,
                                     .ended_ns = INT64_C(1704070800) * NS_PER_SECOND,
                                     .equity_start = decimal_int(1000),
                                     .data = { .first_ns = TIME_NEVER, .last_ns = TIME_NEVER },
                                     .fees = "maker 2, taker 5 bps",
                                     .stopped_by = "duration",
                                     .wall_seconds = 2.5 };
    return run;
}

static void run_close(struct run *run)
{
    engine_close(run->engine);
    market_close(run->market);
    free(run);
}

static struct json *json_of(const struct run *run, struct text *text)
{
    struct error err = { 0 };
    struct json *root;
    text_init(text, OUTPUT_MAX);
    summary_json(&run->summary, text);
    assert_int_equal(json_parse(text->data, text->length, &root, &err), 0);
    return root;
}

/* "a b{c d}": the keys of an object in their order, those of objects within too. */
static void list_keys(const struct json *object, struct text *out)
{
    for (size_t i = 0; i < json_count(object); i++) {
        const struct json *value = json_at(object, i);
        text_printf(out, "%s%s", i ? " " : "", json_key_at(object, i));
        if (json_kind(value) == JSON_ARRAY && json_count(value) > 0 &&
            json_kind(json_at(value, 0)) == JSON_OBJECT)
            value = json_at(value, 0);
        if (json_kind(value) == JSON_OBJECT && strcmp(json_key_at(object, i), "params") != 0) {
            text_add(out, "{");
            list_keys(value, out);
            text_add(out, "}");
        }
    }
}

static void hold(struct run *run, const char *qty, const char *cost)
{
    struct position position;
    position_init(&position);
    position.qty = decimal_text(qty);
    position.cost = decimal_text(cost);
    position.realized_pnl = decimal_text("12.5");
    position.fees = decimal_text("0.75");
    position.funding = decimal_text("-0.25");
    /* As fills of this session would leave it; a restored one would count as from before. */
    struct position *held = (struct position *)(uintptr_t)engine_position(run->engine, 0, 0);
    *held = position;
    struct event event = { .kind = EVENT_TRADE,
                           .time_ns = run->summary.started_ns,
                           .trade = { .price = 10100, .qty = 1000 } };
    market_trade(run->market, &event);
}

/* Scripts of users read these keys; the contract fixes names and order. */
static void json_has_the_keys_of_the_contract(void **state)
{
    (void)state;
    struct run *run = run_open();
    struct text text, keys;
    hold(run, "2", "200");
    struct json *root = json_of(run, &text);
    text_init(&keys, OUTPUT_MAX);
    list_keys(root, &keys);
    assert_string_equal(
        keys.data,
        "mode strategies{file name version symbol params} broker symbols started ended events "
        "trades_seen quotes_seen bars orders{submitted filled canceled rejected blocked reduced "
        "expired} fills fees funding equity_start equity_end cash realized_pnl unrealized_pnl "
        "return max_drawdown sharpe sortino calmar win_rate profit_factor exposure turnover "
        "round_trips positions{symbol qty avg_price mark_price} data{files rows skipped sorted "
        "first last} models{fees slippage latency fill} result_hash");
    assert_int_equal(text.data[text.length - 1], '\n');
    assert_int_equal(strcspn(text.data, "\n"), text.length - 1);
    json_release(root);
    text_release(&text);
    text_release(&keys);
    run_close(run);
}

static void assert_string(const struct json *root, const char *key, const char *value)
{
    const struct json *node = json_get(root, key);
    assert_non_null(node);
    assert_int_equal(json_kind(node), JSON_STRING);
    assert_string_equal(json_as_string(node), value);
}

/* equity_end = equity_start + realized + change of unrealized - fees + funding, exactly. */
static void money_is_exact_text_and_adds_up(void **state)
{
    (void)state;
    struct run *run = run_open();
    struct text text;
    hold(run, "2", "200");
    struct json *root = json_of(run, &text);
    assert_string(root, "equity_start", "1000");
    assert_string(root, "realized_pnl", "12.5");
    assert_string(root, "unrealized_pnl", "2");
    assert_string(root, "fees", "0.75");
    assert_string(root, "funding", "-0.25");
    assert_string(root, "cash", "1011.5");
    assert_string(root, "equity_end", "1013.5");
    assert_string_equal(json_as_number_text(json_get(root, "return")), "0.0135");
    const struct json *position = json_at(json_get(root, "positions"), 0);
    assert_string(position, "symbol", "BTC/USDT:USDT");
    assert_string(position, "qty", "2");
    assert_string(position, "avg_price", "100");
    assert_string(position, "mark_price", "101");
    assert_string(root, "started", "2024-01-01T00:00:00.000000000Z");
    const struct json *params = json_get(json_at(json_get(root, "strategies"), 0), "params");
    assert_string_equal(json_as_number_text(json_get(params, "fast")), "12");
    assert_string_equal(json_as_number_text(json_get(params, "risk")), "0.5");
    assert_true(json_as_bool(json_get(params, "flip")));
    assert_string(params, "tf", "1m");
    json_release(root);
    text_release(&text);
    run_close(run);
}

/* A run without trades has no win rate: 0 would be a lie, NaN is no JSON. */
static void what_is_undefined_is_null(void **state)
{
    (void)state;
    struct run *run = run_open();
    struct text text;
    struct json *root = json_of(run, &text);
    const char *const keys[] = { "sharpe",   "sortino",       "calmar",
                                 "win_rate", "profit_factor", "result_hash" };
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        assert_int_equal(json_kind(json_get(root, keys[i])), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_get(root, "data"), "first")), JSON_NULL);
    assert_int_equal(json_kind(json_get(json_get(root, "models"), "fill")), JSON_NULL);
    assert_int_equal(json_count(json_get(root, "positions")), 0);
    assert_string_equal(json_as_number_text(json_get(root, "return")), "0");
    json_release(root);
    text_release(&text);
    run_close(run);
}

static void contains(const struct text *text, const char *words)
{
    if (!strstr(text->data, words))
        print_error("%s\nlacks: %s\n", text->data, words);
    assert_non_null(strstr(text->data, words));
}

static void the_table_is_for_people(void **state)
{
    (void)state;
    struct run *run = run_open();
    struct text text;
    hold(run, "-2", "-210");
    run->strategy.alive = false;
    run->strategy.why_not = "strategies/momentum.lua:9: attempt to compare nil";
    run->summary.data.files = 1;
    run->summary.data.rows = 1000;
    run->summary.data.skipped = 3;
    run->summary.data.instruments_from = "finest decimals in a.csv";
    text_init(&text, OUTPUT_MAX);
    summary_table(&run->summary, &text, false);
    contains(&text, "PAPER on sim  2024-01-01 00:00:00 to 2024-01-01 01:00:00 UTC (0d 01:00:00), "
                    "ended by duration");
    contains(&text, "momentum 1.0.0  BTC/USDT:USDT  fast=12 flip=true risk=0.5 tf=1m");
    contains(&text, "stopped: strategies/momentum.lua:9: attempt to compare nil");
    contains(&text, "equity                   1019.5    started with               1000");
    contains(&text, "sharpe                      n/a    sortino                     n/a");
    contains(&text, "holds BTC/USDT:USDT -2 at 105, marked at 101");
    contains(&text, "data: 1 file, 1000 rows, 3 skipped");
    contains(&text, "ticks and lots: finest decimals in a.csv");
    contains(&text, "fees maker 2, taker 5 bps");
    assert_null(strchr(text.data, '\033'));
    assert_null(strstr(text.data, "nan"));
    text_release(&text);
    run_close(run);
}

/* Somebody who forgets which window is which must see it: live is red. */
static void live_is_red_where_colour_is_asked_for(void **state)
{
    (void)state;
    struct run *run = run_open();
    struct text text;
    run->summary.mode = "live";
    text_init(&text, OUTPUT_MAX);
    summary_table(&run->summary, &text, true);
    contains(&text, "\033[31mLIVE\033[0m");
    text_release(&text);
    run_close(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ratios_are_the_published_ones),
        cmocka_unit_test(a_negative_drawdown_is_a_drawdown),
        cmocka_unit_test(what_is_undefined_is_nan),
        cmocka_unit_test(json_has_the_keys_of_the_contract),
        cmocka_unit_test(money_is_exact_text_and_adds_up),
        cmocka_unit_test(what_is_undefined_is_null),
        cmocka_unit_test(the_table_is_for_people),
        cmocka_unit_test(live_is_red_where_colour_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
