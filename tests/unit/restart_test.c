/* restart_test.c - a paper session on the sim market that dies and goes on from the ledger; and
 * what a start refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/app/session.h"

#define MARKET_START "2024-03-01T00:00:00Z"
#define ARGUMENTS_MAX 24

/* Half a minute lies between a wish and the venue: a crash comes while it travels. */
static const char slow_venue[] = "backtest: { latency: 30s, fees: { maker: 0, taker: 0 } }\n";

static const char asker[] = "local S = { api = 1, name = 'asker', version = '1' }\n"
                            "local first, second\n"
                            "function S.on_tick(ctx)\n"
                            "  local s = ctx.state\n"
                            "  if not s.placed then\n"
                            "    s.placed = ctx:now()\n"
                            "    first = ctx:buy(0.01, { type = 'limit', price = 100 })\n"
                            "    second = ctx:buy(0.01, { type = 'limit', price = 101 })\n"
                            "  elseif not s.asked and ctx:now() > s.placed + 90 then\n"
                            "    s.asked = true\n"
                            "    ctx:cancel(first)\n"
                            "    ctx:amend(second, { price = 99 })\n"
                            "  end\n"
                            "end\n"
                            "return S\n";

static const char protected[] =
    "local S = { api = 1, name = 'protected', version = '1' }\n"
    "function S.on_tick(ctx, tick)\n"
    "  if ctx.state.asked then return end\n"
    "  ctx.state.asked = true\n"
    "  ctx:buy(0.01, { stop = tick.price * 0.5, take = tick.price * 2 })\n"
    "end\n"
    "return S\n";

struct fixture {
    char folder[64], strategy[128], state[128], config[128];
    struct options options;
    struct session *session;
};

static void write_file(const char *path, const char *text)
{
    struct error err = { 0 };
    assert_int_equal(text_write_file(path, text, strlen(text), &err), 0);
}

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    strcpy(fixture->folder, "/tmp/restart_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->strategy, sizeof(fixture->strategy), "%s/strategy.lua", fixture->folder);
    snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder);
    snprintf(fixture->config, sizeof(fixture->config), "%s/runtime.yaml", fixture->folder);
    write_file(fixture->strategy, asker);
    write_file(fixture->config, slow_venue);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[160];
    session_close(fixture->session);
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
    int code = system(command);
    free(fixture);
    return code;
}

/* Extra words end with NULL. */
static int start(struct fixture *fixture, char *const *extra, struct error *err)
{
    char *argv[ARGUMENTS_MAX] = { fixture->strategy, "--symbols", "BTC/USDT:USDT", "--state",
                                  fixture->state,    "--config",  fixture->config };
    int argc = 7;
    for (; *extra; extra++)
        argv[argc++] = *extra;
    assert_int_equal(options_parse(argc, argv, &fixture->options, err), 0);
    return session_open(&fixture->options, NULL, NULL, &fixture->session, err);
}

static char *const usual[] = { "--seed",        "7",          "--capital", "1000",
                               "--clock-start", MARKET_START, NULL };

static void must_start(struct fixture *fixture, char *const *extra)
{
    struct error err = { 0 };
    if (start(fixture, extra, &err) < 0)
        fail_msg("%s %s", err.where, err.message);
}

/* Market time is kept once a second; then the process is gone. */
static void die(struct fixture *fixture)
{
    struct error err = { 0 };
    assert_int_equal(session_flush(fixture->session, false, &err), 0);
    session_close(fixture->session);
    fixture->session = NULL;
}

static bool describe_order(void *self, const struct order *order)
{
    char qty[DECIMAL_TEXT_MAX], price[DECIMAL_TEXT_MAX] = "-";
    if (decimal_valid(order->price))
        decimal_format(order->price, price);
    text_printf(self, "%s %s %s at %s; ", order_role_name(order->role),
                order_status_name(order_status(order)), decimal_format(order->qty, qty), price);
    return true;
}

/* Open orders; the caller releases. */
static struct text open_orders(const struct session *session)
{
    struct text out;
    text_init(&out, 65536);
    text_add(&out, "");
    engine_each_order(session->engine, 0, false, describe_order, &out);
    return out;
}

static bool is_there(const struct session *session, const char *part)
{
    struct text orders = open_orders(session);
    bool found = orders.length > 0 && strstr(orders.data, part);
    text_release(&orders);
    return found;
}

static void assert_orders(const struct session *session, const char *wanted)
{
    struct text orders = open_orders(session);
    assert_string_equal(orders.length ? orders.data : "", wanted);
    text_release(&orders);
}

/* One event at a time, until the orders show it. */
static void run_until_there(struct session *session, const char *part)
{
    struct error err = { 0 };
    for (int i = 0; i < 100000 && !is_there(session, part); i++)
        if (session_run(session, TIME_NEVER - 1, 1, &err) < 0)
            fail_msg("%s", err.message);
    if (!is_there(session, part)) {
        struct text orders = open_orders(session);
        fail_msg("no '%s': %s", part, orders.data);
    }
}

static void run_for(struct session *session, int64_t seconds)
{
    struct error err = { 0 };
    int64_t until_ns = session->now_ns + seconds * NS_PER_SECOND;
    if (session_run(session, until_ns, UINT64_MAX, &err) < 0)
        fail_msg("%s", err.message);
}

/* The venue died with the process, and with it what was on its way: it is asked for again. */
static void a_cancel_and_a_replace_under_way_are_asked_again(void **state)
{
    struct fixture *fixture = *state;
    must_start(fixture, usual);
    run_until_there(fixture->session, "pending_replace");
    assert_orders(fixture->session,
                  "plain pending_cancel 0.01 at 100; plain pending_replace 0.01 at 101; ");
    die(fixture);

    must_start(fixture, usual);
    assert_true(fixture->session->resumed);
    run_for(fixture->session, 120);
    assert_orders(fixture->session, "plain new 0.01 at 99; ");
}

/* The entry is filled, its exits have not arrived when the process dies. */
static void exits_under_way_rest_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture->strategy, protected);
    must_start(fixture, usual);
    run_until_there(fixture->session, "stop pending_new");
    assert_true(is_there(fixture->session, "take pending_new 0.01"));
    die(fixture);

    must_start(fixture, usual);
    run_for(fixture->session, 120);
    assert_true(is_there(fixture->session, "stop new 0.01"));
    assert_true(is_there(fixture->session, "take new 0.01"));
    assert_int_equal(engine_open_orders(fixture->session->engine), 2);
}

/* Another market under what is held would be another world. */
static void a_resumed_sim_keeps_seed_start_and_capital(void **state)
{
    struct fixture *fixture = *state;
    char *const other_seed[] = { "--seed",        "8",          "--capital", "1000",
                                 "--clock-start", MARKET_START, NULL };
    char *const other_start[] = {
        "--seed", "7", "--capital", "1000", "--clock-start", "2024-04-01T00:00:00Z", NULL
    };
    char *const other_capital[] = { "--seed",        "7",          "--capital", "5000",
                                    "--clock-start", MARKET_START, NULL };
    struct error err = { 0 };
    must_start(fixture, usual);
    run_for(fixture->session, 60);
    int64_t reached_ns = fixture->session->now_ns;
    die(fixture);

    assert_int_equal(start(fixture, other_seed, &err), ERROR_USAGE);
    assert_non_null(strstr(err.message, "give --seed 7"));
    assert_null(fixture->session);
    err = (struct error){ 0 };
    assert_int_equal(start(fixture, other_start, &err), ERROR_USAGE);
    assert_non_null(strstr(err.message, "give --clock-start 2024-03-01T00:00:00.000000000Z"));

    /* The capital is that of the instance's beginning; the start goes on and warns. */
    must_start(fixture, other_capital);
    assert_int_equal(decimal_cmp(engine_capital(fixture->session->engine, 0), decimal_text("1000")),
                     0);
    assert_true(fixture->session->now_ns >= reached_ns - NS_PER_SECOND);
    assert_true(fixture->session->now_ns <= reached_ns);
    die(fixture);

    /* And what was refused left nothing behind that changes the next start. */
    must_start(fixture, usual);
    assert_int_equal(decimal_cmp(engine_capital(fixture->session->engine, 0), decimal_text("1000")),
                     0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cancel_and_a_replace_under_way_are_asked_again),
        TEST(exits_under_way_rest_after_a_restart),
        TEST(a_resumed_sim_keeps_seed_start_and_capital),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
