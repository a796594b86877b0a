/* config_test.c - what a user may write, in which of several places it counts, and what is said
 * when it is wrong. Each test runs in a directory of its own, with an environment of its own. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/config/config.h"
#include "runtime/config/schema.h"
#include "runtime/config/yaml.h"

#define VARIABLES_MAX 8

struct world {
    char directory[64];
    int home; /* where the tests were started */
    const char *variables[VARIABLES_MAX][2];
    struct config_flags flags;
    struct config *config;
    struct text faults;
    struct error err;
};

static const char *look_up(void *self, const char *name)
{
    const struct world *world = self;
    for (size_t i = 0; i < VARIABLES_MAX && world->variables[i][0]; i++)
        if (strcmp(world->variables[i][0], name) == 0)
            return world->variables[i][1];
    return NULL;
}

static int set_up(void **state)
{
    struct world *world = memory_new(sizeof(*world));
    text_copy(world->directory, sizeof(world->directory), "/tmp/config_test-XXXXXX");
    text_init(&world->faults, 1 << 20);
    world->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = world;
    return world->home < 0 || !mkdtemp(world->directory) || chdir(world->directory) != 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char command[128];
    config_release(world->config);
    text_release(&world->faults);
    int failed = fchdir(world->home);
    close(world->home);
    snprintf(command, sizeof(command), "rm -rf %s", world->directory);
    failed |= system(command);
    free(world);
    return failed;
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    struct error err = { 0 };
    int code = text_write_file(path, bytes, length, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(code, 0);
}

static void write_yaml(struct world *world, const char *yaml)
{
    write_bytes("runtime.yaml", yaml, strlen(yaml));
    world->flags.config_path = "runtime.yaml";
}

static void set_variable(struct world *world, const char *name, const char *text)
{
    size_t i = 0;
    while (i < VARIABLES_MAX - 1 && world->variables[i][0])
        i++;
    world->variables[i][0] = name;
    world->variables[i][1] = text;
}

static int load(struct world *world)
{
    config_release(world->config);
    text_clear(&world->faults);
    world->err = (struct error){ 0 };
    return config_load(&world->flags, look_up, world, &world->config, &world->faults, &world->err);
}

static const struct config *accepted(struct world *world)
{
    int code = load(world);
    assert_string_equal(world->faults.data, "");
    assert_int_equal(code, 0);
    assert_non_null(world->config);
    return world->config;
}

static const struct config *accepted_yaml(struct world *world, const char *yaml)
{
    write_yaml(world, yaml);
    return accepted(world);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* The load fails with this code, and one line of the faults begins with `line`. */
static void refused(struct world *world, int code, const char *line)
{
    assert_int_equal(load(world), code);
    assert_int_equal(world->err.code, code);
    assert_null(world->config);
    for (const char *at = world->faults.data; at; at = strchr(at, '\n'), at += at != NULL)
        if (text_starts_with(at, line))
            return;
    print_error("wanted: %s\nfound:\n%s", line, world->faults.data);
    fail();
}

/* One fault alone, and it begins with `line`. */
static void refused_yaml(struct world *world, const char *yaml, const char *line)
{
    write_yaml(world, yaml);
    refused(world, ERROR_CONFIG, line);
    if (count_lines(world->faults.data) != 1)
        print_error("more than one fault:\n%s", world->faults.data);
    assert_int_equal(count_lines(world->faults.data), 1);
}

static void refused_variable(struct world *world, const char *name, const char *text)
{
    char line[128];
    memset(world->variables, 0, sizeof(world->variables));
    set_variable(world, name, text);
    snprintf(line, sizeof(line), "environment %s: ", name);
    refused(world, ERROR_CONFIG, line);
    assert_int_equal(count_lines(world->faults.data), 1);
}

static void assert_decimal(const struct config *config, const char *key, const char *text)
{
    char buffer[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(config_decimal(config, key), buffer), text);
}

static void assert_list(const struct config *config, const char *key, const char *joined)
{
    struct text text;
    text_init(&text, 4096);
    for (size_t i = 0; i < config_list_count(config, key); i++)
        text_printf(&text, "%s%s", i ? "," : "", config_list_at(config, key, i));
    assert_string_equal(text.data, joined);
    text_release(&text);
}

/* ---- the three steps ---- */

/* The first run of a new user has no file and no variables: it must start. */
static void without_file_and_environment_the_defaults_count(void **state)
{
    const struct config *config = accepted(*state);
    assert_string_equal(config_string(config, "trading.mode"), "paper");
    assert_list(config, "trading.broker", "sim");
    assert_decimal(config, "trading.capital", "100");
    assert_list(config, "trading.symbols", "BTC/USDT:USDT,ETH/USDT:USDT,SOL/USDT:USDT");
    assert_int_equal(config_duration(config, "trading.duration"), 0);
    assert_int_equal(config_source(config, "trading.symbols"), FROM_DEFAULT);
    assert_string_equal(config_origin(config, "trading.capital"), "default");
    assert_false(config_set_by_user(config, "risk.max_daily_loss_usd"));
    assert_true(config_has(config, "trading.capital"));
    assert_false(config_has(config, "reconciliation.interval"));
}

/* Callers decide by kind: each getter must give what its kind promises. */
static void every_kind_of_value_is_read(void **state)
{
    const struct config *config = accepted(*state);
    assert_int_equal(config_integer(config, "risk.max_open_positions"), 3);
    assert_true(config_number(config, "risk.max_open_positions") == 3.0);
    assert_true(config_number(config, "risk.max_position_size") == 0.2);
    assert_true(isnan(config_number(config, "backtest.margin")));
    assert_false(decimal_valid(config_decimal(config, "backtest.borrow")));
    assert_int_equal(config_duration(config, "websocket.stale_after"), 10 * NS_PER_SECOND);
    assert_int_equal(config_duration(config, "rollout.require.latency"), 500 * NS_PER_MS);
    assert_true(config_bool(config, "persistence.use_wal"));
    assert_false(config_bool(config, "rollout.enabled"));
    assert_null(config_string(config, "backtest.funding_file"));
    assert_string_equal(config_string(config, "dashboard.listen"), "127.0.0.1:8480");
    assert_string_equal(config_string(config, "backtest.default_start"), "2020-01-01");
}

static void flag_stands_above_environment_above_file(void **state)
{
    struct world *world = *state;
    const struct config *config = accepted_yaml(world, "trading:\n  capital: 200\n");
    assert_decimal(config, "trading.capital", "200");
    assert_string_equal(config_origin(config, "trading.capital"), "runtime.yaml:2:3");
    assert_int_equal(config_source(config, "trading.capital"), FROM_FILE);

    set_variable(world, "EQUITY_USD", "300.50");
    config = accepted(world);
    assert_decimal(config, "trading.capital", "300.5");
    assert_string_equal(config_origin(config, "trading.capital"), "environment EQUITY_USD");

    world->flags.capital = "400";
    config = accepted(world);
    assert_decimal(config, "trading.capital", "400");
    assert_string_equal(config_origin(config, "trading.capital"), "--capital");
    assert_int_equal(config_source(config, "trading.capital"), FROM_FLAG);
}

/* Symbols are the exception users asked for: their file stands above TRADING_SYMBOLS. */
static void symbols_alone_take_the_file_before_the_environment(void **state)
{
    struct world *world = *state;
    set_variable(world, "TRADING_SYMBOLS", "ADA/USDT:USDT, XRP/USDT:USDT");
    const struct config *config = accepted(world);
    assert_list(config, "trading.symbols", "ADA/USDT:USDT,XRP/USDT:USDT");
    assert_int_equal(config_source(config, "trading.symbols"), FROM_ENVIRONMENT);

    config = accepted_yaml(world, "trading: { symbols: [BTC/USDT:USDT, ETH/USDT:USDT@binance] }\n");
    assert_list(config, "trading.symbols", "BTC/USDT:USDT,ETH/USDT:USDT@binance");
    assert_int_equal(config_source(config, "trading.symbols"), FROM_FILE);

    world->flags.symbols = "AAPL";
    config = accepted(world);
    assert_list(config, "trading.symbols", "AAPL");
    assert_string_equal(config_origin(config, "trading.symbols"), "--symbols");
}

static void null_symbols_in_the_file_leave_the_environment(void **state)
{
    struct world *world = *state;
    set_variable(world, "TRADING_SYMBOLS", "BRK.B");
    const struct config *config =
        accepted_yaml(world, "trading: { symbols: null }\nuniverse: { fixed_symbols: ~ }\n");
    assert_list(config, "trading.symbols", "BRK.B");
}

static void every_variable_of_the_contract_is_read(void **state)
{
    struct world *world = *state;
    set_variable(world, "TRADING_MODE", "LIVE");
    set_variable(world, "TRADING_DURATION", "90");
    set_variable(world, "EXCHANGES", "binance, kucoinfutures");
    set_variable(world, "PAPER_TRADING", "False");
    set_variable(world, "LIVE_TRADING_ENABLED", "true");
    set_variable(world, "ENVIRONMENT", "production");
    set_variable(world, "EMERGENCY_STOP", "1");
    set_variable(world, "LOG_LEVEL", "DEBUG");
    const struct config *config = accepted(world);
    assert_string_equal(config_string(config, "trading.mode"), "live");
    assert_int_equal(config_duration(config, "trading.duration"), 90 * NS_PER_SECOND);
    assert_list(config, "trading.broker", "binance,kucoinfutures");
    assert_false(config_bool(config, "switches.paper_trading"));
    assert_true(config_bool(config, "switches.live_trading_enabled"));
    assert_string_equal(config_string(config, "switches.environment"), "production");
    assert_true(config_bool(config, "switches.emergency_stop"));
    assert_string_equal(config_string(config, "logging.level"), "debug");
}

/* A gate that nobody touched must be closed. */
static void switches_that_are_not_set_are_safe(void **state)
{
    const struct config *config = accepted(*state);
    assert_true(config_bool(config, "switches.paper_trading"));
    assert_false(config_bool(config, "switches.live_trading_enabled"));
    assert_false(config_bool(config, "switches.emergency_stop"));
    assert_null(config_string(config, "switches.environment"));
    assert_null(config_string(config, "switches.trading_mode"));
}

/* `--live` stands above TRADING_MODE=paper as a mode, but the gate must still see the paper. */
static void the_gate_sees_what_the_environment_said(void **state)
{
    struct world *world = *state;
    set_variable(world, "TRADING_MODE", "paper");
    world->flags.mode = "live";
    const struct config *config = accepted(world);
    assert_string_equal(config_string(config, "trading.mode"), "live");
    assert_string_equal(config_origin(config, "trading.mode"), "--live");
    assert_string_equal(config_string(config, "switches.trading_mode"), "paper");
}

static void wrong_variables_are_named(void **state)
{
    struct world *world = *state;
    refused_variable(world, "EQUITY_USD", "abc");
    assert_string_equal(world->err.where, "environment EQUITY_USD");
    assert_string_equal(world->err.message, "trading.capital: found \"abc\"; allowed a number >0");
    refused_variable(world, "EQUITY_USD", "");
    refused_variable(world, "EQUITY_USD", "nan");
    refused_variable(world, "EQUITY_USD", "inf");
    refused_variable(world, "EQUITY_USD", "-5");
    refused_variable(world, "EQUITY_USD", "0");
    refused_variable(world, "EQUITY_USD", "1e3");
    refused_variable(world, "EQUITY_USD", " 5");
    refused_variable(world, "TRADING_MODE", "real");
    refused_variable(world, "TRADING_DURATION", "-1");
    refused_variable(world, "TRADING_DURATION", "soon");
    refused_variable(world, "EXCHANGES", "binance,nowhere");
    refused_variable(world, "EXCHANGES", "binance,binance");
    refused_variable(world, "EXCHANGES", "");
    refused_variable(world, "TRADING_SYMBOLS", "");
    refused_variable(world, "TRADING_SYMBOLS", "BTC/USDT:USDT,");
    refused_variable(world, "TRADING_SYMBOLS", "BTC USDT");
    refused_variable(world, "PAPER_TRADING", "maybe");
    refused_variable(world, "EMERGENCY_STOP", "yes");
    refused_variable(world, "MAX_ORDER_SIZE_USD", "-1");
    refused_variable(world, "MAX_OPEN_POSITIONS", "2.5");
    refused_variable(world, "MAX_POSITION_SIZE", "20");
    refused_variable(world, "max_drawdown", "much");
    refused_variable(world, "LOG_LEVEL", "loud");
    refused_variable(world, "TRADING_SYMBOLS", "A\x1b[31m");
    assert_null(strchr(world->faults.data, '\x1b'));
}

static void wrong_flags_are_usage_errors(void **state)
{
    struct world *world = *state;
    world->flags = (struct config_flags){ .broker = "binanse" };
    refused(world, ERROR_USAGE, "--broker: trading.broker: found \"binanse\"; allowed sim, ");
    assert_non_null(strstr(world->faults.data, "did you mean binance?"));
    world->flags = (struct config_flags){ .capital = "lots" };
    refused(world, ERROR_USAGE, "--capital: ");
    world->flags = (struct config_flags){ .symbols = "" };
    refused(world, ERROR_USAGE, "--symbols: ");
    world->flags = (struct config_flags){ .mode = "life" };
    refused(world, ERROR_USAGE, "--mode: ");
    assert_non_null(strstr(world->faults.data, "did you mean live?"));
    world->flags = (struct config_flags){ .duration = "-3" };
    refused(world, ERROR_USAGE, "--duration: ");
    world->flags = (struct config_flags){ .log_level = "x" };
    refused(world, ERROR_USAGE, "--log-level: ");
}

/* A typo on the command line is a usage error even when the file is broken too. */
static void a_wrong_flag_is_told_before_the_file(void **state)
{
    struct world *world = *state;
    write_yaml(world, "trading: [");
    world->flags.capital = "-1";
    refused(world, ERROR_USAGE, "--capital: ");
}

static void durations_outside_the_file_may_have_a_unit(void **state)
{
    struct world *world = *state;
    world->flags.duration = "5m";
    const struct config *config = accepted(world);
    assert_int_equal(config_duration(config, "trading.duration"), 5 * NS_PER_MINUTE);
    world->flags.duration = "0.5";
    config = accepted(world);
    assert_int_equal(config_duration(config, "trading.duration"), 500 * NS_PER_MS);
}

/* ---- limits ---- */

/* A limit can be tightened from anywhere and loosened from nowhere. */
static void of_two_limits_the_stricter_counts(void **state)
{
    struct world *world = *state;
    set_variable(world, "MAX_ORDER_SIZE_USD", "80");
    set_variable(world, "MAX_OPEN_POSITIONS", "2");
    const struct config *config =
        accepted_yaml(world, "risk:\n  max_order_size_usd: 50\n  max_open_positions: 9\n");
    assert_decimal(config, "risk.max_order_size_usd", "50");
    assert_string_equal(config_origin(config, "risk.max_order_size_usd"),
                        "runtime.yaml:2:3 (stricter than environment MAX_ORDER_SIZE_USD)");
    assert_int_equal(config_source(config, "risk.max_order_size_usd"), FROM_FILE);
    assert_int_equal(config_integer(config, "risk.max_open_positions"), 2);
    assert_string_equal(config_origin(config, "risk.max_open_positions"),
                        "environment MAX_OPEN_POSITIONS (stricter than runtime.yaml:3:3)");
    assert_int_equal(config_source(config, "risk.max_open_positions"), FROM_ENVIRONMENT);
}

/* The default is no one's decision: a user may set a higher limit. */
static void the_default_of_a_limit_is_not_compared(void **state)
{
    struct world *world = *state;
    set_variable(world, "MAX_DAILY_LOSS_USD", "5000");
    const struct config *config = accepted(world);
    assert_decimal(config, "risk.max_daily_loss_usd", "5000");
    assert_true(config_set_by_user(config, "risk.max_daily_loss_usd"));
}

static void limits_are_known_in_lower_case(void **state)
{
    struct world *world = *state;
    set_variable(world, "max_daily_loss_usd", "70");
    set_variable(world, "MAX_DAILY_LOSS_USD", "60");
    set_variable(world, "max_drawdown", "0.1");
    set_variable(world, "MAX_PORTFOLIO_VOLATILITY", "0.3");
    const struct config *config = accepted(world);
    assert_decimal(config, "risk.max_daily_loss_usd", "60");
    assert_decimal(config, "risk.max_drawdown", "0.1");
    assert_string_equal(config_origin(config, "risk.max_drawdown"), "environment max_drawdown");
    assert_decimal(config, "risk.max_portfolio_volatility", "0.3");
}

static void equal_limits_name_both_places(void **state)
{
    struct world *world = *state;
    set_variable(world, "MAX_DAILY_VOLUME_USD", "7");
    const struct config *config = accepted_yaml(world, "risk: { max_daily_volume_usd: 7.0 }\n");
    assert_string_equal(config_origin(config, "risk.max_daily_volume_usd"),
                        "environment MAX_DAILY_VOLUME_USD (as runtime.yaml:1:9)");
}

/* Under both of its names in one file a limit is still a limit. */
static void max_daily_loss_is_the_same_limit(void **state)
{
    struct world *world = *state;
    const struct config *config = accepted_yaml(world, "max_daily_loss: 90\n");
    assert_decimal(config, "risk.max_daily_loss_usd", "90");
    config = accepted_yaml(world, "max_daily_loss: 90\nrisk: { max_daily_loss_usd: 40 }\n");
    assert_decimal(config, "risk.max_daily_loss_usd", "40");
    config = accepted_yaml(world, "risk: { max_daily_loss: 30 }\n");
    assert_decimal(config, "risk.max_daily_loss_usd", "30");
}

static void limits_that_are_none_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "risk:\n  max_order_size_usd: -1\n",
                 "runtime.yaml:2:23: risk.max_order_size_usd: found -1; allowed a number >0");
    refused_yaml(world, "risk: { max_daily_loss_usd: 0 }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_daily_loss_usd: .nan }\n",
                 "runtime.yaml:1:29: risk.max_daily_loss_usd: found .nan; allowed a number >0");
    refused_yaml(world, "risk: { max_daily_loss_usd: NaN }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_daily_loss_usd: .inf }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_daily_loss_usd: -.inf }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_daily_loss_usd: }\n",
                 "runtime.yaml:1:29: risk.max_daily_loss_usd: found nothing; allowed a number >0");
    refused_yaml(world, "risk: { max_open_positions: 2.5 }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_open_positions: 3.0 }\n", "runtime.yaml:1:29: ");
    refused_yaml(world, "risk: { max_open_positions: 99999999999999999999 }\n",
                 "runtime.yaml:1:29: ");
    refused_yaml(world, "risk:\n  symbols:\n    BRK.B: { max_order_size_usd: -5 }\n",
                 "runtime.yaml:3:34: risk.symbols.BRK.B.max_order_size_usd: found -5; allowed");
}

/* 20 meant as 20 % would be a limit of twenty times the equity. */
static void percentages_are_fractions(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "risk: { max_position_size: 20 }\n",
                 "runtime.yaml:1:28: risk.max_position_size: found 20; allowed a fraction >0 <=1 "
                 "(0.02 = 2 %); did you mean 0.2?");
    refused_yaml(world, "risk: { max_drawdown: 20% }\n", "runtime.yaml:1:23: ");
}

static void narrower_limits_stand_under_names(void **state)
{
    struct world *world = *state;
    const struct config *config =
        accepted_yaml(world, "risk:\n"
                             "  symbols:\n"
                             "    BTC/USDT:USDT: { max_order_size_usd: 20, max_daily_loss: 5 }\n"
                             "  venues:\n"
                             "    binance: { max_orders_per_second: 5 }\n");
    assert_int_equal(config_members(config, "risk.symbols"), 1);
    assert_string_equal(config_member(config, "risk.symbols", 0), "BTC/USDT:USDT");
    assert_decimal(config, "risk.symbols.BTC/USDT:USDT.max_order_size_usd", "20");
    assert_decimal(config, "risk.symbols.BTC/USDT:USDT.max_daily_loss_usd", "5");
    assert_false(config_has(config, "risk.symbols.BTC/USDT:USDT.max_drawdown"));
    assert_false(decimal_valid(config_decimal(config, "risk.symbols.BTC/USDT:USDT.max_drawdown")));
    assert_int_equal(config_integer(config, "risk.venues.binance.max_orders_per_second"), 5);
}

/* ---- what YAML itself may hold ---- */

static void a_duplicate_key_is_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n  capital: 100\n  capital: 100000\n",
                 "runtime.yaml:3:3: trading.capital: found the key a second time; allowed once "
                 "(the first is in line 2)");
    refused_yaml(world, "risk: {}\nrisk: {}\n", "runtime.yaml:2:1: risk: found the key");
}

static void a_tab_is_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n\tcapital: 100\n",
                 "runtime.yaml:2:1: capital: found a tab in the indentation; allowed spaces");
    refused_yaml(world, "trading: { capital: 1,\n  \tmode: paper }\n", "runtime.yaml:2:3: mode: ");
    refused_yaml(world, "trading:\n\t# remark: one\n", "runtime.yaml:2:1: found a tab");
    accepted_yaml(world, "trading:\n  capital:\t100\t# re\tmark\n");
}

/* A few lines of aliases can unfold into billions of values. */
static void an_alias_bomb_is_refused(void **state)
{
    struct world *world = *state;
    write_yaml(world, "a: &a [x, x, x, x, x, x, x, x, x]\n"
                      "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
                      "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
                      "d: [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n");
    refused(world, ERROR_CONFIG, "runtime.yaml:1:4: a: found an anchor (&)");
    assert_non_null(strstr(world->faults.data, "runtime.yaml:2:8: b.0: found an alias (*)"));
    refused_yaml(world, "trading: &t { capital: 1 }\n",
                 "runtime.yaml:1:10: trading: found an anchor");
    refused_yaml(world, "trading: { capital: *x }\n",
                 "runtime.yaml:1:21: trading.capital: found an alias");
}

static void tags_and_second_documents_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { mode: !!str paper }\n",
                 "runtime.yaml:1:18: trading.mode: found a tag (!)");
    refused_yaml(world, "trading: { capital: 1 }\n---\ntrading: { capital: 2 }\n",
                 "runtime.yaml:2:1: found a second document (---)");
    accepted_yaml(world, "---\ntrading: { capital: 1 }\n...\n");
}

static void byte_order_mark_and_crlf_are_read(void **state)
{
    struct world *world = *state;
    const struct config *config = accepted_yaml(
        world, "\xef\xbb\xbftrading:\r\n  capital: 250\r\nrisk:\r\n  max_drawdown: 0.1\r\n");
    assert_decimal(config, "trading.capital", "250");
    assert_string_equal(config_origin(config, "trading.capital"), "runtime.yaml:2:3");
    assert_string_equal(config_origin(config, "risk.max_drawdown"), "runtime.yaml:4:3");
    refused_yaml(world, "trading:\r\n  capital: 1\r\n  capitol: 2\r\n", "runtime.yaml:3:3: ");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n  mode: \xff\n",
                 "runtime.yaml:2:9: found byte 0xff (invalid leading UTF-8 octet)");
    refused_yaml(world, "\xff\xfet\n", "runtime.yaml:1:1: found UTF-16 text; allowed UTF-8");
    refused_yaml(world, "trading: { mode: \"a\\0b\" }\n",
                 "runtime.yaml:1:18: trading.mode: found a control character");
    static const char zero[] = "trading:\n  mode: a\0b\n";
    write_bytes("runtime.yaml", zero, sizeof(zero) - 1);
    refused(world, ERROR_CONFIG, "runtime.yaml:2:10: found byte 0x00");
}

static void depth_and_size_have_limits(void **state)
{
    struct world *world = *state;
    struct text yaml;
    text_init(&yaml, 4 << 20);
    text_add(&yaml, "a: ");
    for (int i = 0; i < 10000; i++)
        text_add(&yaml, "[");
    refused_yaml(world, yaml.data,
                 "runtime.yaml:1:19: a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0: found more "
                 "than 16 levels");

    text_clear(&yaml);
    text_add(&yaml, "trading:\n  symbols:\n");
    for (int i = 0; i < 5000; i++)
        text_printf(&yaml, "    - S%d\n", i);
    refused_yaml(world, yaml.data,
                 "runtime.yaml:4099:7: trading.symbols.4096: found more than "
                 "4096 entries");

    text_clear(&yaml);
    while (yaml.length <= 1 << 20)
        text_add(&yaml, "# a remark that says nothing\n");
    refused_yaml(world, yaml.data, "runtime.yaml: runtime.yaml is ");

    text_clear(&yaml);
    text_add(&yaml, "trading: { mode: ");
    for (int i = 0; i < 5000; i++)
        text_add(&yaml, "x");
    text_add(&yaml, " }\n");
    refused_yaml(world, yaml.data, "runtime.yaml:1:18: trading.mode: found a text of more than");
    text_release(&yaml);
}

static void broken_yaml_names_line_and_key(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n  capital: 1\n   mode: paper\n",
                 "runtime.yaml:3:8: trading: found broken YAML: ");
    refused_yaml(world, "trading: [", "runtime.yaml:2:1: trading: found broken YAML: ");
    refused_yaml(world, "trading: {\n  mode: paper\nrisk:\n  day: utc\n",
                 "runtime.yaml:3:5: trading: found broken YAML: ");
    refused_yaml(world, "trading: { ? [a] : 1 }\n", "runtime.yaml:1:14: trading: found a key that");
    refused_yaml(world, "trading: \"", "runtime.yaml:1:11: trading: found broken YAML: ");
}

static void an_empty_file_says_nothing(void **state)
{
    struct world *world = *state;
    assert_decimal(accepted_yaml(world, ""), "trading.capital", "100");
    assert_decimal(accepted_yaml(world, "# nothing\n"), "trading.capital", "100");
    assert_decimal(accepted_yaml(world, "---\n"), "trading.capital", "100");
    /* A section whose every line is commented out. */
    assert_decimal(accepted_yaml(world, "risk:\ntrading:\n  # capital: 5\nbrokers:\n"),
                   "trading.capital", "100");
}

/* ---- types ---- */

/* YAML 1.1 would read each of these as a number or a truth value. */
static void only_plain_numbers_and_truth_values_count(void **state)
{
    struct world *world = *state;
    static const char *const numbers[] = { "0100",  "0x64", "0o144", "1_000", "1:30", "1e3",
                                           "+5",    ".5",   "5.",    "1,000", "$5",   "\"100\"",
                                           "'100'", "true", "yes",   "1 2",   "--5",  "00" };
    static const char *const truths[] = { "yes",  "no", "on", "off", "True",
                                          "TRUE", "y",  "0",  "1",   "\"true\"" };
    char yaml[128];
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        snprintf(yaml, sizeof(yaml), "trading:\n  capital: %s\n", numbers[i]);
        refused_yaml(world, yaml, "runtime.yaml:2:12: trading.capital: found ");
    }
    for (size_t i = 0; i < ARRAY_SIZE(truths); i++) {
        snprintf(yaml, sizeof(yaml), "risk:\n  require_stop: %s\n", truths[i]);
        refused_yaml(world, yaml, "runtime.yaml:2:17: risk.require_stop: found ");
    }
}

static void a_number_written_as_text_is_refused(void **state)
{
    refused_yaml(*state, "trading: { capital: \"100\" }\n",
                 "runtime.yaml:1:21: trading.capital: found \"100\"; allowed a number >0");
}

static void text_that_looks_like_a_number_needs_quotes(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { symbols: [600000] }\n", "runtime.yaml:1:22: trading.symbols: ");
    refused_yaml(world, "trading: { symbols: [true] }\n", "runtime.yaml:1:22: trading.symbols: ");
    assert_list(accepted_yaml(world, "trading: { symbols: [\"600000\", NO, ON] }\n"),
                "trading.symbols", "600000,NO,ON");
}

static void durations_need_a_unit(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { duration: 60 }\n",
                 "runtime.yaml:1:22: trading.duration: found 60; allowed a duration >=0s with its "
                 "unit (250ms, 30s, 5m, 1h, 1d); did you mean 60s?");
    refused_yaml(world, "websocket: { stale_after: 0s }\n", "runtime.yaml:1:27: ");
    refused_yaml(world, "websocket: { stale_after: -1s }\n", "runtime.yaml:1:27: ");
    refused_yaml(world, "websocket: { stale_after: 1y }\n", "runtime.yaml:1:27: ");
    assert_int_equal(
        config_duration(accepted_yaml(world, "trading: { duration: 2h }\n"), "trading.duration"),
        120 * NS_PER_MINUTE);
}

static void the_wrong_shape_is_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { capital: [100] }\n",
                 "runtime.yaml:1:21: trading.capital: found a list; allowed a number >0");
    refused_yaml(world, "trading: { capital: { usd: 100 } }\n",
                 "runtime.yaml:1:21: trading.capital: found a mapping; allowed a number >0");
    refused_yaml(world, "trading: { symbols: BTC/USDT:USDT }\n",
                 "runtime.yaml:1:21: trading.symbols: found a single value; allowed a list, each a "
                 "symbol");
    refused_yaml(world, "trading: { symbols: [[BTC/USDT:USDT]] }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "trading: { symbols: [~] }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "trading: 5\n",
                 "runtime.yaml:1:10: trading: found a single value; allowed a mapping");
    refused_yaml(world, "- trading\n", "runtime.yaml:1:1: found a list; allowed a mapping");
    refused_yaml(world, "hello\n", "runtime.yaml:1:1: found a single value; allowed a mapping");
    refused_yaml(world, "strategies: { file: a.lua }\n",
                 "runtime.yaml:1:13: strategies: found a mapping; allowed a list of mappings");
    refused_yaml(world, "strategies: [a.lua]\n", "runtime.yaml:1:14: strategies.0: found a single");
    refused_yaml(world, "brokers: [sim]\n", "runtime.yaml:1:10: brokers: found a list");
}

static void choices_addresses_and_days_are_checked(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { mode: papper }\n",
                 "runtime.yaml:1:18: trading.mode: found papper; allowed paper, live or backtest; "
                 "did you mean paper?");
    refused_yaml(world, "trading: { mode: Paper }\n", "runtime.yaml:1:18: ");
    refused_yaml(world, "dashboard: { listen: 8480 }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "dashboard: { listen: \"127.0.0.1:99999\" }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "dashboard: { listen: \"::1:80\" }\n", "runtime.yaml:1:22: ");
    accepted_yaml(world, "dashboard: { listen: \"[::1]:80\" }\n");
    refused_yaml(world, "backtest: { default_start: 2020-13-01 }\n", "runtime.yaml:1:28: ");
    refused_yaml(world, "backtest: { default_start: yesterday }\n", "runtime.yaml:1:28: ");
    refused_yaml(world, "websocket: { stream_timeframes: [7m] }\n", "runtime.yaml:1:34: ");
    refused_yaml(world, "websocket: { stream_timeframes: [] }\n", "runtime.yaml:1:33: ");
    refused_yaml(world, "persistence: { use_wal: false }\n",
                 "runtime.yaml:1:25: persistence.use_wal: found false; allowed true");
}

static void null_switches_prometheus_off(void **state)
{
    struct world *world = *state;
    const struct config *config =
        accepted_yaml(world, "observability: { metrics: { prometheus: null, statsd: ~ } }\n");
    assert_null(config_string(config, "observability.metrics.prometheus"));
    assert_true(config_set_by_user(config, "observability.metrics.prometheus"));
    assert_false(config_set_by_user(config, "observability.metrics.statsd"));
}

/* ---- keys ---- */

static void an_unknown_key_names_the_nearest(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n  capitl: 5\n",
                 "runtime.yaml:2:3: trading.capitl: found an unknown key; allowed mode, broker, ");
    assert_non_null(strstr(world->faults.data, "; did you mean capital?\n"));
    refused_yaml(world, "tradin: {}\n", "runtime.yaml:1:1: tradin: found an unknown key");
    assert_non_null(strstr(world->faults.data, "; did you mean trading?\n"));
    /* Known, but elsewhere: a line whose section is still commented out. */
    refused_yaml(world, "  stop_policy: flatten\n",
                 "runtime.yaml:1:3: stop_policy: found an unknown");
    assert_non_null(strstr(world->faults.data, "; did you mean trading.stop_policy?\n"));
    refused_yaml(world, "trading.mode: paper\n",
                 "runtime.yaml:1:1: trading.mode: found an unknown");
    refused_yaml(world, "brokers: { \"*\": {} }\n", "runtime.yaml:1:12: brokers.*: found \"*\"");
    refused_yaml(world, "{ 5: 1 }\n", "runtime.yaml:1:3: 5: found an unknown key");
    refused_yaml(world, "risk: { <<: 5 }\n", "runtime.yaml:1:9: risk.<<: found an unknown key");
}

/* A file must not open a gate of live trading, and says so. */
static void switches_are_refused_in_files(void **state)
{
    struct world *world = *state;
    refused_yaml(
        world, "paper_trading: false\n",
        "runtime.yaml:1:1: paper_trading: found an unknown key; allowed in the environment "
        "alone: PAPER_TRADING");
    refused_yaml(world, "switches: { live_trading_enabled: true }\n",
                 "runtime.yaml:1:1: switches: ");
    refused_yaml(world, "trading: { emergency_stop: true }\n",
                 "runtime.yaml:1:12: trading.emergency_stop: found an unknown key");
}

static void secrets_are_refused_and_not_repeated(void **state)
{
    struct world *world = *state;
    static const char *const names[] = { "api_key",    "api_secret",  "secret",       "password",
                                         "passphrase", "token",       "access_token", "API-KEY",
                                         "apiSecret",  "private_key", "bot_token",    "key" };
    char yaml[128], line[128];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(yaml, sizeof(yaml), "brokers:\n  binance:\n    %s: hunter2hunter2\n", names[i]);
        snprintf(line, sizeof(line),
                 "runtime.yaml:3:5: brokers.binance.%s: found a secret; allowed "
                 "none in this file: keep it in the vault",
                 names[i]);
        refused_yaml(world, yaml, line);
        assert_null(strstr(world->faults.data, "hunter2"));
    }
    refused_yaml(world, "brokers: { kite: { settings: { api_secret: hunter2 } } }\n",
                 "runtime.yaml:1:32: brokers.kite.settings.api_secret: found a secret");
    refused_yaml(world, "password: hunter2\n", "runtime.yaml:1:1: password: found a secret");
    /* A key in the place of the variable's name, a password in an address. */
    refused_yaml(world, "brokers: { binance: { api_key_env: hunter2+hunter2 } }\n",
                 "runtime.yaml:1:36: brokers.binance.api_key_env: found something else (not shown");
    assert_null(strstr(world->faults.data, "hunter2"));
    refused_yaml(world, "brokers: { binance: { rest_url: \"https://me:hunter2@x.y\" } }\n",
                 "runtime.yaml:1:33: brokers.binance.rest_url: found something else (not shown");
    assert_null(strstr(world->faults.data, "hunter2"));
}

static void unknown_venues_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { broker: binanc }\n",
                 "runtime.yaml:1:20: trading.broker: found binanc; allowed sim, ");
    assert_non_null(strstr(world->faults.data, "did you mean binance?"));
    refused_yaml(world, "trading: { broker: [sim, nowhere] }\n",
                 "runtime.yaml:1:26: trading.broker: ");
    refused_yaml(world, "brokers: { krakn: {} }\n",
                 "runtime.yaml:1:12: brokers.krakn: found \"krakn\" as a name; allowed sim, ");
    assert_non_null(strstr(world->faults.data, "did you mean kraken?"));
    refused_yaml(world, "risk: { venues: { nowhere: {} } }\n", "runtime.yaml:1:19: ");
    refused_yaml(world, "data: { provider: nowhere }\n", "runtime.yaml:1:19: ");
    refused_yaml(world, "trading: { symbols: [BTC/USDT@nowhere] }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "trading: { broker: [] }\n", "runtime.yaml:1:20: ");
    assert_list(accepted_yaml(world, "trading: { broker: kraken }\n"), "trading.broker", "kraken");
}

/* A venue is a file; C must not have to learn its name. */
static void a_venue_file_makes_its_name_known(void **state)
{
    struct world *world = *state;
    assert_int_equal(mkdir("brokers", 0700), 0);
    write_bytes("brokers/bybit.lua", "return {}", 9);
    const struct config *config =
        accepted_yaml(world, "trading: { broker: [bybit] }\nbrokers: { bybit: {} }\n");
    assert_list(config, "trading.broker", "bybit");
    assert_true(config_has(config, "brokers.bybit"));
}

static void symbols_are_checked(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading:\n  symbols: []\n",
                 "runtime.yaml:2:12: trading.symbols: found an empty list; allowed a list, each a "
                 "symbol such as BTC/USDT:USDT, at least one");
    refused_yaml(world, "universe: { fixed_symbols: [] }\n",
                 "runtime.yaml:1:28: universe.fixed_symbols: found an empty list");
    refused_yaml(world, "trading: { symbols: [A, A] }\n",
                 "runtime.yaml:1:25: trading.symbols: found the same entry twice");
    refused_yaml(world, "trading: { symbols: [A B] }\n", "runtime.yaml:1:22: ");
    refused_yaml(world, "trading: { symbols: [\"\"] }\n", "runtime.yaml:1:22: ");
    refused_yaml(world,
                 "trading: { symbols: [A2345678901234567890123456789012345678901234567890] }\n",
                 "runtime.yaml:1:22: ");
}

/* All faults of a file at once, in its order: nobody likes to fix one a start. */
static void all_faults_are_told_at_once(void **state)
{
    struct world *world = *state;
    write_yaml(world, "trading:\n"
                      "  mode: papper\n"
                      "  capital: -1\n"
                      "  capital: 5\n"
                      "risk:\n"
                      "  max_drawdown: 20\n"
                      "nonsense: 1\n");
    set_variable(world, "EQUITY_USD", "x");
    refused(world, ERROR_CONFIG, "runtime.yaml:2:9: trading.mode: ");
    assert_int_equal(count_lines(world->faults.data), 6);
    assert_string_equal(world->err.where, "runtime.yaml:2:9");
    assert_true(text_starts_with(world->err.message, "trading.mode: found papper"));
    const char *at = world->faults.data;
    static const char *const order[] = { "runtime.yaml:2:9: ", "runtime.yaml:3:12: ",
                                         "runtime.yaml:4:3: ", "runtime.yaml:6:17: ",
                                         "runtime.yaml:7:1: ", "environment EQUITY_USD: " };
    for (size_t i = 0; i < ARRAY_SIZE(order); i++, at = strchr(at, '\n') + 1)
        assert_true(text_starts_with(at, order[i]));
}

static void very_many_faults_are_counted(void **state)
{
    struct world *world = *state;
    struct text yaml;
    text_init(&yaml, 1 << 20);
    for (int i = 0; i < 150; i++)
        text_printf(&yaml, "unknown%d: 1\n", i);
    write_yaml(world, yaml.data);
    text_release(&yaml);
    refused(world, ERROR_CONFIG, "runtime.yaml: and 50 more");
    assert_int_equal(count_lines(world->faults.data), 101);
}

/* ---- fragments users have ---- */

static void both_lists_of_symbols_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world, "trading: { symbols: [A] }\nuniverse:\n  fixed_symbols: [A]\n",
                 "runtime.yaml:3:3: universe.fixed_symbols: found a second value for "
                 "trading.symbols; allowed one (the first is at runtime.yaml:1:12)");
    const struct config *config = accepted_yaml(world, "universe:\n  fixed_symbols: [A, B]\n");
    assert_list(config, "trading.symbols", "A,B");
    assert_int_equal(config_source(config, "trading.symbols"), FROM_FILE);
    assert_string_equal(config_origin(config, "trading.symbols"), "runtime.yaml:2:3");
    refused_yaml(world, "universe: { fixed_simbols: [A] }\n", "runtime.yaml:1:13: ");
}

static void the_whole_may_stand_under_live_trading(void **state)
{
    struct world *world = *state;
    const struct config *config = accepted_yaml(world, "live_trading:\n"
                                                       "  trading: { capital: 700 }\n"
                                                       "  universe: { fixed_symbols: [A] }\n"
                                                       "  max_daily_loss: 12\n"
                                                       "websocket: { stale_after: 5s }\n");
    assert_decimal(config, "trading.capital", "700");
    assert_list(config, "trading.symbols", "A");
    assert_decimal(config, "risk.max_daily_loss_usd", "12");
    assert_int_equal(config_duration(config, "websocket.stale_after"), 5 * NS_PER_SECOND);
    refused_yaml(world, "live_trading:\n  trading: { capitol: 700 }\n",
                 "runtime.yaml:2:14: live_trading.trading.capitol: found an unknown key");
    refused_yaml(world, "live_trading: { live_trading: {} }\n", "runtime.yaml:1:17: ");
    refused_yaml(world, "live_trading: { trading: { capital: 1 } }\ntrading: { capital: 2 }\n",
                 "runtime.yaml:2:12: trading.capital: found a second value");
    accepted_yaml(world, "live_trading:\n");
}

static void paper_capital_counts_in_paper_runs(void **state)
{
    struct world *world = *state;
    const char *yaml = "paper_capital: 5000\ntrading: { capital: 200 }\n";
    const struct config *config = accepted_yaml(world, yaml);
    assert_decimal(config, "trading.capital", "5000");
    assert_string_equal(config_origin(config, "trading.capital"), "runtime.yaml:1:1");

    world->flags.mode = "live";
    assert_decimal(accepted(world), "trading.capital", "200");

    world->flags.mode = NULL;
    set_variable(world, "EQUITY_USD", "300");
    assert_decimal(accepted(world), "trading.capital", "300");
}

static void other_fragments_load_as_they_are(void **state)
{
    struct world *world = *state;
    const struct config *config =
        accepted_yaml(world, "logical_universe: [NIFTY, BANKNIFTY]\n"
                             "websocket:\n"
                             "  max_streams_per_exchange: { bingx: 7, kraken: 3 }\n"
                             "instruments:\n"
                             "  BRK.B: { tick_size: 0.01, short: false, calendar: nyse }\n"
                             "brokers:\n"
                             "  ibkr: { host: 10.0.0.1, port: 7496, client_id: 4 }\n"
                             "  binance: { base_url: \"https://api.example.com\" }\n"
                             "data: { alpaca: { feed: sip } }\n");
    assert_list(config, "trading.logical_universe", "NIFTY,BANKNIFTY");
    assert_int_equal(config_integer(config, "websocket.max_streams_per_exchange.bingx"), 7);
    assert_int_equal(config_integer(config, "websocket.max_streams_per_exchange.kraken"), 3);
    assert_int_equal(config_integer(config, "websocket.max_streams_per_exchange.binance"), 20);
    assert_int_equal(config_integer(config, "websocket.max_streams_per_exchange.coinbase"), 10);
    assert_decimal(config, "instruments.BRK.B.tick_size", "0.01");
    assert_false(config_bool(config, "instruments.BRK.B.short"));
    assert_true(config_bool(config, "instruments.AAPL.short"));
    assert_false(config_has(config, "instruments.BRK.B.lot_size"));
    assert_string_equal(config_string(config, "brokers.ibkr.settings.host"), "10.0.0.1");
    assert_string_equal(config_string(config, "brokers.ibkr.settings.port"), "7496");
    assert_string_equal(config_origin(config, "brokers.ibkr.settings.port"), "runtime.yaml:7:27");
    assert_int_equal(config_members(config, "brokers.ibkr.settings"), 3);
    assert_string_equal(config_member(config, "brokers.ibkr.settings", 0), "host");
    assert_string_equal(config_string(config, "brokers.binance.rest_url"),
                        "https://api.example.com");
    assert_string_equal(config_string(config, "brokers.alpaca.settings.data_feed"), "sip");
    assert_string_equal(config_string(config, "data.alpaca.feed"), "sip");
}

static void fragments_that_contradict_are_refused(void **state)
{
    struct world *world = *state;
    refused_yaml(world,
                 "brokers: { kraken: { base_url: \"https://a.b\", rest_url: \"https://c.d\" } }\n",
                 "runtime.yaml:1:47: brokers.kraken.rest_url: found a second value");
    refused_yaml(world,
                 "brokers: { alpaca: { settings: { data_feed: iex } } }\n"
                 "data: { alpaca: { feed: sip } }\n",
                 "runtime.yaml:2:19: data.alpaca.feed: found sip; allowed the same as ");
    accepted_yaml(world, "brokers: { alpaca: { settings: { data_feed: sip } } }\n"
                         "data: { alpaca: { feed: sip } }\n");
    refused_yaml(world, "brokers: { kraken: { host: 10.0.0.1 } }\n",
                 "runtime.yaml:1:22: brokers.kraken.host: found an unknown key");
    refused_yaml(world, "sandbox: { callback_ms: 200 }\n",
                 "runtime.yaml:1:12: sandbox.callback_ms: found 200; allowed at most "
                 "sandbox.callback_hard_ms, which is 100 (default)");
    refused_yaml(world, "backtest: { default_end: 2019-01-01 }\n", "runtime.yaml:1:13: ");
}

/* ---- lists of mappings ---- */

static void strategies_are_read_in_order(void **state)
{
    struct world *world = *state;
    const struct config *config =
        accepted_yaml(world, "strategies:\n"
                             "  - file: strategies/a.lua\n"
                             "    capital: 0.5\n"
                             "    symbols: [A, B]\n"
                             "    params: { fast: 12, tf: 1m, capital: x }\n"
                             "    limits: { max_daily_trades: 4 }\n"
                             "  - file: b.lua\n"
                             "    symbols: []\n"
                             "    on_error: flatten\n");
    assert_int_equal(config_members(config, "strategies"), 2);
    assert_string_equal(config_member(config, "strategies", 1), "1");
    assert_string_equal(config_string(config, "strategies.0.file"), "strategies/a.lua");
    assert_decimal(config, "strategies.0.capital", "0.5");
    assert_list(config, "strategies.0.symbols", "A,B");
    assert_int_equal(config_members(config, "strategies.0.params"), 3);
    assert_string_equal(config_string(config, "strategies.0.params.fast"), "12");
    assert_string_equal(config_string(config, "strategies.0.params.capital"), "x");
    assert_null(config_string(config, "strategies.1.params.capital"));
    assert_int_equal(config_integer(config, "strategies.0.limits.max_daily_trades"), 4);
    assert_string_equal(config_string(config, "strategies.0.on_error"), "cancel");
    assert_string_equal(config_string(config, "strategies.1.on_error"), "flatten");
    assert_int_equal(config_list_count(config, "strategies.1.symbols"), 0);
    assert_int_equal(config_members(accepted_yaml(world, "strategies: []\n"), "strategies"), 0);
    refused_yaml(world, "strategies:\n  - capital: 1\n",
                 "runtime.yaml:2:5: strategies.0: found no file; allowed a mapping that has it");
    refused_yaml(world, "strategies:\n  - file: a.lua\n    capital: 0\n", "runtime.yaml:3:14: ");
}

static void stages_of_the_user_replace_the_default_ones(void **state)
{
    struct world *world = *state;
    const struct config *config = accepted(world);
    assert_int_equal(config_members(config, "rollout.stages"), 4);
    assert_decimal(config, "rollout.stages.3.capital", "2000");
    assert_string_equal(config_origin(config, "rollout.stages.3.capital"), "default");
    assert_false(config_set_by_user(config, "rollout.stages.0.days"));

    config = accepted_yaml(world, "rollout: { stages: [ { capital: 10, days: 1 } ] }\n");
    assert_int_equal(config_members(config, "rollout.stages"), 1);
    assert_decimal(config, "rollout.stages.0.capital", "10");
    assert_true(config_set_by_user(config, "rollout.stages.0.days"));
    refused_yaml(world, "rollout: { stages: [] }\n", "runtime.yaml:1:20: rollout.stages: ");
    refused_yaml(world, "rollout: { stages: [ { capital: 10 } ] }\n", "runtime.yaml:1:22: ");
}

static void each_stage_has_more_capital_than_the_one_before(void **state)
{
    struct world *world = *state;
    refused_yaml(world,
                 "rollout:\n  stages:\n    - { capital: 500, days: 3 }\n"
                 "    - { capital: 500, days: 2 }\n    - { capital: 600, days: 2 }\n",
                 "runtime.yaml:4:9: rollout.stages.1.capital: found 500; allowed more than the "
                 "stage before has: 500 (runtime.yaml:3:9)");
    accepted_yaml(world,
                  "rollout: { stages: [ { capital: 10, days: 1 }, { capital: 10.1, days: 1 } "
                  "] }\n");
}

/* ---- names that are nearly those of limits ---- */

static void a_variable_that_is_nearly_a_limit_is_known(void **state)
{
    static const char *const near[][2] = {
        { "MAX_ORDER_SIZE", "MAX_ORDER_SIZE_USD" },
        { "max_order_size", "MAX_ORDER_SIZE_USD" },
        { "MAX_DAILY_LOS_USD", "MAX_DAILY_LOSS_USD" },
        { "MAX_DAILY_VOLUME", "MAX_DAILY_VOLUME_USD" },
        { "Max_Daily_Trades", "MAX_DAILY_TRADES" },
        { "MAX_DRAWDOWN_PCT", "MAX_DRAWDOWN" },
        { "MAX_PORTFOLIO_VOL", "MAX_PORTFOLIO_VOLATILITY" },
        { "PER_TRADE_RISK", "PER_TRADE_RISK_PCT" },
        { "PRICE_COLLAR", "PRICE_COLLAR_PCT" },
        { "RISK_MAX_OPEN_POSITIONS", "MAX_OPEN_POSITIONS" },
        { "MAX_ORDERS_PER_SEC", "MAX_ORDERS_PER_SECOND" },
        { "emergency_stop", "EMERGENCY_STOP" },
        { "EMERGENCY_STP", "EMERGENCY_STOP" },
    };
    static const char *const others[] = {
        "MAX_ORDER_SIZE_USD",
        "max_order_size_usd",
        "MAX_DAILY_LOSS",
        "max_daily_loss",
        "EMERGENCY_STOP",
        "ENVIRONMENT",
        "PATH",
        "MAX",
        "MAX_JOBS",
        "TRADING_MODE",
        "",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
        const char *meant = config_near_variable(near[i][0]);
        assert_string_equal(meant ? meant : near[i][0], near[i][1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_null(config_near_variable(others[i]));
}

/* ---- files ---- */

static void a_named_file_that_is_missing_is_no_input(void **state)
{
    struct world *world = *state;
    world->flags.config_path = "nowhere.yaml";
    refused(world, ERROR_NO_INPUT, "nowhere.yaml: cannot open nowhere.yaml: ");
    world->flags.config_path = NULL;
    set_variable(world, "CONFIG_PATH", "elsewhere.yaml");
    refused(world, ERROR_NO_INPUT, "elsewhere.yaml: ");
    assert_non_null(strstr(world->faults.data, "CONFIG_PATH"));
    world->flags.config_path = "";
    refused(world, ERROR_NO_INPUT, "--config: ");
}

static void a_directory_is_no_configuration(void **state)
{
    struct world *world = *state;
    assert_int_equal(mkdir("folder", 0700), 0);
    world->flags.config_path = "folder";
    refused(world, ERROR_CONFIG, "folder: folder is a directory");
}

static void the_flag_stands_above_config_path(void **state)
{
    struct world *world = *state;
    write_bytes("other.yaml", "trading: { capital: 1 }", 23);
    set_variable(world, "CONFIG_PATH", "other.yaml");
    assert_decimal(accepted(world), "trading.capital", "1");
    assert_decimal(accepted_yaml(world, "trading: { capital: 2 }\n"), "trading.capital", "2");
}

static void files_are_looked_for_where_they_live(void **state)
{
    struct world *world = *state;
    struct error err = { 0 };
    char home[128], path[256];
    snprintf(home, sizeof(home), "%s/home", world->directory);
    snprintf(path, sizeof(path), "%s/.config/runtime/config", home);
    assert_int_equal(text_make_directories(path, &err), 0);
    set_variable(world, "HOME", home);
    assert_decimal(accepted(world), "trading.capital", "100");

    snprintf(path, sizeof(path), "%s/.config/runtime/runtime.yaml", home);
    write_bytes(path, "trading: { capital: 11 }", 24);
    assert_decimal(accepted(world), "trading.capital", "11");
    snprintf(path, sizeof(path), "%s/.config/runtime/config/runtime.yaml", home);
    write_bytes(path, "trading: { capital: 12 }", 24);
    assert_decimal(accepted(world), "trading.capital", "12");

    snprintf(path, sizeof(path), "%s/xdg/runtime/config", home);
    assert_int_equal(text_make_directories(path, &err), 0);
    snprintf(path, sizeof(path), "%s/xdg/runtime/config/runtime.yaml", home);
    write_bytes(path, "trading: { capital: 13 }", 24);
    char xdg[256];
    snprintf(xdg, sizeof(xdg), "%s/xdg", home);
    set_variable(world, "XDG_CONFIG_HOME", xdg);
    assert_decimal(accepted(world), "trading.capital", "13");

    assert_int_equal(mkdir("config", 0700), 0);
    write_bytes("config/runtime.yaml", "trading: { capital: 14 }", 24);
    const struct config *config = accepted(world);
    assert_decimal(config, "trading.capital", "14");
    assert_string_equal(config_origin(config, "trading.capital"), "config/runtime.yaml:1:12");
}

/* A broken file that was found is never passed over for the next one. */
static void a_broken_file_that_was_found_stops_the_start(void **state)
{
    struct world *world = *state;
    assert_int_equal(mkdir("config", 0700), 0);
    write_bytes("config/runtime.yaml", "trading: [", 10);
    refused(world, ERROR_CONFIG, "config/runtime.yaml:2:1: trading: found broken YAML");
}

/* ---- the rest ---- */

static void live_waits_for_the_disk(void **state)
{
    struct world *world = *state;
    assert_string_equal(config_string(accepted(world), "persistence.durability"), "process");
    world->flags.mode = "live";
    const struct config *config = accepted(world);
    assert_string_equal(config_string(config, "persistence.durability"), "power");
    assert_false(config_set_by_user(config, "persistence.durability"));
    config = accepted_yaml(world, "persistence: { durability: process }\n");
    assert_string_equal(config_string(config, "persistence.durability"), "process");
}

/* `config show` prints all of it, so no secret may be among it. */
static void everything_can_be_listed_but_secrets(void **state)
{
    struct world *world = *state;
    const struct config *config =
        accepted_yaml(world, "alerting: { slack: { webhook_url: \"https://hooks.x/hunter2\" } }\n"
                             "instruments: { AAPL: { tick_size: 0.010 } }\n"
                             "trading: { symbols: [AAPL] }\n");
    assert_string_equal(config_string(config, "alerting.slack.webhook_url"),
                        "https://hooks.x/hunter2");
    struct text all;
    text_init(&all, 1 << 20);
    for (size_t i = 0; i < config_count(config); i++) {
        text_printf(&all, "%s=", config_key(config, i));
        config_show(config, config_key(config, i), &all);
        text_add(&all, "\n");
    }
    assert_non_null(strstr(all.data, "trading.mode=paper\n"));
    assert_non_null(strstr(all.data, "trading.symbols=[AAPL]\n"));
    assert_non_null(strstr(all.data, "backtest.margin=null\n"));
    assert_non_null(strstr(all.data, "instruments.AAPL.tick_size=0.01\n"));
    assert_non_null(strstr(all.data, "alerting.slack.webhook_url=(hidden)\n"));
    assert_null(strstr(all.data, "hunter2"));
    assert_null(strchr(all.data, '*'));
    text_release(&all);
}

/* Which step supplied what is logged; the losers too, for a forgotten variable is hard to find. */
static void the_steps_are_logged(void **state)
{
    struct world *world = *state;
    set_variable(world, "TRADING_SYMBOLS", "B");
    set_variable(world, "EQUITY_USD", "5");
    const struct config *config = accepted_yaml(
        world,
        "trading: { symbols: [A] }\nalerting: { webhook: { url: \"https://x/hunter2\" } }\n");
    struct log_options options = { .level = LOG_ERROR, .quiet = true, .clock = clock_wall() };
    struct log *log = log_open(&options);
    struct error err = { 0 };
    assert_int_equal(log_attach_file(log, "events.jsonl", &err), 0);
    config_log(config, log);
    log_close(log);
    config_log(config, NULL);

    char *data;
    size_t length;
    assert_int_equal(text_read_file("events.jsonl", 1 << 20, &data, &length, &err), 0);
    assert_non_null(strstr(data, "runtime.yaml"));
    assert_non_null(strstr(data, "EQUITY_USD"));
    assert_non_null(strstr(data, "trading.symbols: runtime.yaml:1:12 stands above environment "
                                 "TRADING_SYMBOLS"));
    assert_non_null(strstr(data, "\"trading.capital\""));
    assert_non_null(strstr(data, "[A]"));
    assert_null(strstr(data, "hunter2"));
    assert_null(strstr(data, "trading.mode"));
    free(data);
}

/* ---- what we ship ---- */

static char *read_shipped(const struct world *world, const char *path)
{
    char *data;
    size_t length;
    struct error err = { 0 };
    assert_int_equal(fchdir(world->home), 0);
    int code = text_read_file(path, 1 << 20, &data, &length, &err);
    assert_int_equal(chdir(world->directory), 0);
    assert_string_equal(err.message, "");
    assert_int_equal(code, 0);
    return data;
}

/* A shipped file that sets anything would count as the user's decision about limits. */
static void the_shipped_file_sets_nothing(void **state)
{
    struct world *world = *state;
    char *shipped = read_shipped(world, "config/runtime.yaml");
    const struct config *config = accepted_yaml(world, shipped);
    for (size_t i = 0; i < config_count(config); i++)
        assert_false(config_set_by_user(config, config_key(config, i)));
    free(shipped);
}

/* Remarks are "# word"; every other line is a setting behind its #. */
static void uncomment(const char *shipped, struct text *yaml)
{
    for (const char *at = shipped; *at;) {
        size_t length = strcspn(at, "\n") + 1;
        bool remark = at[0] != '#' || (at[1] == ' ' && at[2] != ' ');
        text_append(yaml, remark ? "#" : at + 1, remark ? 1 : length - 1);
        if (remark)
            text_add(yaml, "\n");
        at += length;
    }
}

/* What the shipped file shows must load, and show the defaults that the schema has. */
static void the_shipped_file_shows_the_defaults(void **state)
{
    struct world *world = *state;
    struct config *defaults = NULL;
    struct config_flags none = { 0 };
    struct text yaml, was, is;
    assert_int_equal(config_load(&none, NULL, NULL, &defaults, NULL, NULL), 0);
    char *shipped = read_shipped(world, "config/runtime.yaml");
    text_init(&yaml, 1 << 20);
    text_init(&was, 4096);
    text_init(&is, 4096);
    uncomment(shipped, &yaml);
    const struct config *config = accepted_yaml(world, yaml.data);

    size_t shown = 0;
    for (size_t i = 0; i < config_count(defaults); i++) {
        const char *key = config_key(defaults, i);
        text_clear(&was);
        text_clear(&is);
        config_show(defaults, key, &was);
        config_show(config, key, &is);
        if (strcmp(was.data, is.data) != 0)
            print_error("%s\n", key);
        assert_string_equal(was.data, is.data);
        shown += config_set_by_user(config, key);
    }
    assert_true(shown > 80);
    free(shipped);
    text_release(&yaml);
    text_release(&was);
    text_release(&is);
    config_release(defaults);
}

static void the_manual_names_every_key_and_variable(void **state)
{
    struct world *world = *state;
    char *manual = read_shipped(world, "docs/configuration.md");
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        const char *dot = strrchr(key->path, '.');
        const char *name = dot ? dot + 1 : key->path;
        bool starred = *name == '*' || key->kind == KIND_ENTRIES || key->kind == KIND_ROWS;
        bool known = starred || (key->flags & FLAG_SWITCH) || strstr(manual, name);
        bool variable = !key->environment || strstr(manual, key->environment);
        if (!known || !variable)
            print_error("%s is not in docs/configuration.md\n", key->path);
        assert_true(known && variable);
    }
    free(manual);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_file_and_environment_the_defaults_count),
        TEST(every_kind_of_value_is_read),
        TEST(flag_stands_above_environment_above_file),
        TEST(symbols_alone_take_the_file_before_the_environment),
        TEST(null_symbols_in_the_file_leave_the_environment),
        TEST(every_variable_of_the_contract_is_read),
        TEST(switches_that_are_not_set_are_safe),
        TEST(the_gate_sees_what_the_environment_said),
        TEST(wrong_variables_are_named),
        TEST(wrong_flags_are_usage_errors),
        TEST(a_wrong_flag_is_told_before_the_file),
        TEST(durations_outside_the_file_may_have_a_unit),
        TEST(of_two_limits_the_stricter_counts),
        TEST(the_default_of_a_limit_is_not_compared),
        TEST(limits_are_known_in_lower_case),
        TEST(equal_limits_name_both_places),
        TEST(max_daily_loss_is_the_same_limit),
        TEST(limits_that_are_none_are_refused),
        TEST(percentages_are_fractions),
        TEST(narrower_limits_stand_under_names),
        TEST(a_duplicate_key_is_refused),
        TEST(a_tab_is_refused),
        TEST(an_alias_bomb_is_refused),
        TEST(tags_and_second_documents_are_refused),
        TEST(byte_order_mark_and_crlf_are_read),
        TEST(bytes_that_are_no_text_are_refused),
        TEST(depth_and_size_have_limits),
        TEST(broken_yaml_names_line_and_key),
        TEST(an_empty_file_says_nothing),
        TEST(only_plain_numbers_and_truth_values_count),
        TEST(a_number_written_as_text_is_refused),
        TEST(text_that_looks_like_a_number_needs_quotes),
        TEST(durations_need_a_unit),
        TEST(the_wrong_shape_is_refused),
        TEST(choices_addresses_and_days_are_checked),
        TEST(null_switches_prometheus_off),
        TEST(an_unknown_key_names_the_nearest),
        TEST(switches_are_refused_in_files),
        TEST(secrets_are_refused_and_not_repeated),
        TEST(unknown_venues_are_refused),
        TEST(a_venue_file_makes_its_name_known),
        TEST(symbols_are_checked),
        TEST(all_faults_are_told_at_once),
        TEST(very_many_faults_are_counted),
        TEST(both_lists_of_symbols_are_refused),
        TEST(the_whole_may_stand_under_live_trading),
        TEST(paper_capital_counts_in_paper_runs),
        TEST(other_fragments_load_as_they_are),
        TEST(fragments_that_contradict_are_refused),
        TEST(strategies_are_read_in_order),
        TEST(stages_of_the_user_replace_the_default_ones),
        TEST(each_stage_has_more_capital_than_the_one_before),
        TEST(a_variable_that_is_nearly_a_limit_is_known),
        TEST(a_named_file_that_is_missing_is_no_input),
        TEST(a_directory_is_no_configuration),
        TEST(the_flag_stands_above_config_path),
        TEST(files_are_looked_for_where_they_live),
        TEST(a_broken_file_that_was_found_stops_the_start),
        TEST(live_waits_for_the_disk),
        TEST(everything_can_be_listed_but_secrets),
        TEST(the_steps_are_logged),
        TEST(the_shipped_file_sets_nothing),
        TEST(the_shipped_file_shows_the_defaults),
        TEST(the_manual_names_every_key_and_variable),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
