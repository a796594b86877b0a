/* session_test.c - a whole session in one process: the driver, reloads, the end. */
#include <dirent.h>
#include <malloc.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/app/session.h"

/* A protected entry of 1 that fills in part: two trades through its price carry 0.4 of it. Then
 * quiet, so that nothing else changes while the file is reloaded. */
static const char strategy_text[] =
    "local S = { api = 1, name = 'holder', version = '%d' }\n"
    "local average\n"
    "function S.on_start(ctx) average = ctx:bars('1m'):sma(3) end\n"
    "function S.on_tick(ctx, tick)\n"
    "  if not ctx.state.asked and average[1] then\n"
    "    ctx.state.asked = true\n"
    "    ctx:buy(1, { type = 'limit', price = 100, stop = 50, take = 150, tag = 'entry' })\n"
    "  end\n"
    "end\n"
    "function S.on_fill(ctx, fill) ctx.state.filled = (ctx.state.filled or 0) + fill.qty end\n"
    "function S.on_reload(ctx, old) ctx.state.reloads = (ctx.state.reloads or 0) + 1 end\n"
    "return S\n";

struct fixture {
    char folder[64], strategy[128], feed[128], state[128];
    struct options options;
    struct session *session;
};

static void write_strategy(const struct fixture *fixture, int version)
{
    char text[2048];
    struct error err = { 0 };
    snprintf(text, sizeof(text), strategy_text, version);
    assert_int_equal(text_write_file(fixture->strategy, text, strlen(text), &err), 0);
}

static void write_feed(const struct fixture *fixture)
{
    struct text rows;
    text_init(&rows, 1u << 24);
    text_add(&rows, "time,price,qty,side\n");
    int64_t start = INT64_C(1704067200000);
    for (int i = 0; i < 600; i++)
        text_printf(&rows, "%" PRId64 ",101.00,5.000,buy\n", start + i * 1000);
    /* Through the bid at 100: it fills by what was traded, 0.1 and 0.3. */
    text_printf(&rows, "%" PRId64 ",99.00,0.100,sell\n", start + 600 * 1000);
    text_printf(&rows, "%" PRId64 ",99.00,0.300,sell\n", start + 601 * 1000);
    for (int i = 602; i < 20000; i++)
        text_printf(&rows, "%" PRId64 ",101.00,5.000,buy\n", start + i * 1000);
    struct error err = { 0 };
    assert_int_equal(text_write_file(fixture->feed, rows.data, rows.length, &err), 0);
    text_release(&rows);
}

static int open_fixture(struct fixture *fixture)
{
    char *argv[] = { fixture->strategy,    "--feed",        fixture->feed,
                     "--symbols",          "BTC/USDT:USDT", "--state",
                     fixture->state,       "--speed",       "max",
                     "--capital",          "1000",          "--config",
                     "config/runtime.yaml" };
    struct error err = { 0 };
    assert_int_equal(options_parse(ARRAY_SIZE(argv), argv, &fixture->options, &err), 0);
    int code = session_open(&fixture->options, NULL, NULL, &fixture->session, &err);
    if (code < 0)
        fail_msg("%s %s", err.where, err.message);
    return code;
}

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    strcpy(fixture->folder, "/tmp/session_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->strategy, sizeof(fixture->strategy), "%s/holder.lua", fixture->folder);
    snprintf(fixture->feed, sizeof(fixture->feed), "%s/trades.csv", fixture->folder);
    snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder);
    write_strategy(fixture, 0);
    write_feed(fixture);
    *state = fixture;
    return open_fixture(fixture);
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

static void run_until(struct session *session, int64_t seconds)
{
    struct error err = { 0 };
    int64_t until = INT64_C(1704067200) * NS_PER_SECOND + seconds * NS_PER_SECOND;
    int code = session_run(session, until, UINT64_MAX, &err);
    if (code < 0)
        fail_msg("%s %s", err.where, err.message);
}

static void reload(struct fixture *fixture, int version)
{
    struct source source;
    struct error err = { 0 };
    write_strategy(fixture, version);
    assert_int_equal(source_read(fixture->strategy, &source, &err), 0);
    int code = reload_prepare(fixture->session, 0, &source, &err);
    if (code < 0)
        fail_msg("%s %s", err.where, err.message);
    code = reload_swap_ready(fixture->session, &err);
    if (code < 0)
        fail_msg("%s %s", err.where, err.message);
    char wanted[16];
    snprintf(wanted, sizeof(wanted), "%d", version);
    assert_string_equal(fixture->session->strategies[0].code->info.version, wanted);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

/* Without SQLite's page cache, which fills to its own bound. */
static size_t memory_in_use(void)
{
    malloc_trim(0);
    return mallinfo2().uordblks - (size_t)sqlite3_memory_used();
}

static bool describe_order(void *self, const struct order *order)
{
    char qty[DECIMAL_TEXT_MAX], filled[DECIMAL_TEXT_MAX];
    text_printf(self, "%s %s %s/%s; ", order_role_name(order->role),
                order_status_name(order_status(order)), decimal_format(order->filled_qty, filled),
                decimal_format(order->qty, qty));
    return true;
}

static void describe_orders(const struct session *session, struct text *out)
{
    text_clear(out);
    engine_each_order(session->engine, 0, true, describe_order, out);
}

static decimal held(const struct session *session)
{
    return engine_position(session->engine, 0, 0)->qty;
}

/* Reloading is what users do all day: nothing may drift, leak or be asked for again. */
static void a_thousand_reloads_leave_everything_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct session *session = fixture->session;
    struct text before, after;
    text_init(&before, 65536);
    text_init(&after, 65536);
    run_until(session, 700);
    assert_int_equal(decimal_cmp(held(session), decimal_text("0.4")), 0);
    describe_orders(session, &before);
    assert_string_equal(before.data,
                        "plain partially_filled 0.4/1; stop new 0/0.4; take new 0/0.4; ");

    for (int i = 1; i <= 100; i++) { /* what is allocated once is allocated now */
        run_until(session, 700 + i);
        reload(fixture, i);
    }
    size_t files = open_files();
    size_t memory = memory_in_use();
    for (int i = 101; i <= 1000; i++) {
        run_until(session, 700 + i);
        reload(fixture, i);
    }
    describe_orders(session, &after);
    assert_string_equal(after.data, before.data);
    assert_int_equal(decimal_cmp(held(session), decimal_text("0.4")), 0);
    assert_int_equal(open_files(), files);
    /* The address sanitizer keeps its own books; mallinfo2 is then constant. */
    assert_true(memory_in_use() <= memory + 64 * 1024);

    struct text body;
    text_init(&body, 65536);
    guest_state(engine_guest(session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"filled\":0.4,\"reloads\":1000}");
    text_release(&body);
    text_release(&before);
    text_release(&after);
}

/* A reloaded strategy goes on with warm indicators: it never sees nil where there was a value. */
static void a_reload_is_warm_at_once(void **state)
{
    struct fixture *fixture = *state;
    run_until(fixture->session, 400);
    reload(fixture, 1);
    size_t count;
    const uint32_t *instruments = engine_instance_instruments(fixture->session->engine, 0, &count);
    const struct guest *guest = engine_guest(fixture->session->engine, 0);
    assert_true(guest->ready(guest->self, instruments[0]));
}

static void write_quarantine(const struct fixture *fixture, const char *hash, uint64_t event)
{
    char path[192], line[512];
    struct error err = { 0 };
    snprintf(path, sizeof(path), "%s/quarantine", fixture->state);
    snprintf(line, sizeof(line),
             "{\"source_hash\":\"%s\",\"strategy\":\"holder\",\"symbol\":\"BTC/USDT:USDT\","
             "\"instance_id\":1,\"event\":%" PRIu64 "}\n",
             hash, event);
    assert_int_equal(text_write_file(path, line, strlen(line), &err), 0);
}

/* Runs to an instant, then ends as a process that the watchdog killed there would. */
static void crash_in_a_callback(struct fixture *fixture, int64_t seconds)
{
    run_until(fixture->session, seconds);
    char hash[SHA256_TEXT_MAX];
    memcpy(hash, fixture->session->strategies[0].code->source.hash, sizeof(hash));
    uint64_t event = engine_counts(fixture->session->engine)->events;
    session_close(fixture->session);
    write_quarantine(fixture, hash, event);
}

/* The watchdog ended the process in a callback: the next start must not run into it again, and the
 * orders are handled: the entry canceled, the exits of what is held kept. */
static void a_quarantined_instance_stops_at_its_event(void **state)
{
    struct fixture *fixture = *state;
    crash_in_a_callback(fixture, 700);
    open_fixture(fixture);
    run_until(fixture->session, 699);
    assert_true(engine_instance_alive(fixture->session->engine, 0, NULL, NULL));

    struct error err = { 0 };
    int code = 0;
    int64_t end = INT64_C(1704067200) * NS_PER_SECOND + 800 * NS_PER_SECOND;
    code = session_run(fixture->session, end, UINT64_MAX, &err);
    assert_int_equal(code, SESSION_ENDED);
    assert_int_equal(session_failure(fixture->session, &err), ERROR_DATA); /* it was the last */
    assert_non_null(strstr(err.message, "quarantined"));
    const char *why;
    assert_false(engine_instance_alive(fixture->session->engine, 0, NULL, &why));
    struct text orders;
    text_init(&orders, 65536);
    describe_orders(fixture->session, &orders);
    assert_string_equal(orders.data,
                        "plain pending_cancel 0.4/1; stop new 0/0.4; take new 0/0.4; ");
    text_release(&orders);
}

/* It is about one content of the file: a changed one may run. */
static void a_changed_file_lifts_the_quarantine(void **state)
{
    struct fixture *fixture = *state;
    crash_in_a_callback(fixture, 700);
    write_quarantine(fixture, "0000000000000000000000000000000000000000000000000000000000000000",
                     10);
    open_fixture(fixture);
    run_until(fixture->session, 800);
    assert_true(engine_instance_alive(fixture->session->engine, 0, NULL, NULL));
}

/* Everything before the crash is replayed and compared; the end is that of a run without it. */
static void a_crashed_feed_session_ends_as_if_it_had_not(void **state)
{
    struct fixture *fixture = *state;
    struct text whole, resumed;
    text_init(&whole, 65536);
    text_init(&resumed, 65536);
    run_until(fixture->session, 650);
    session_close(fixture->session);
    open_fixture(fixture);
    assert_true(fixture->session->resumed);
    run_until(fixture->session, 20000);
    describe_orders(fixture->session, &resumed);
    guest_state(engine_guest(fixture->session->engine, 0), &resumed);

    assert_int_equal(teardown(state), 0);
    setup(state);
    fixture = *state;
    run_until(fixture->session, 20000);
    describe_orders(fixture->session, &whole);
    guest_state(engine_guest(fixture->session->engine, 0), &whole);
    assert_string_equal(resumed.data, whole.data);
    text_release(&whole);
    text_release(&resumed);
}

/* Reloads come from outside: a replay repeats those that were taken and those that were refused. */
static void a_replay_repeats_reloads_and_refusals(void **state)
{
    struct fixture *fixture = *state;
    struct source source;
    struct error err = { 0 };
    run_until(fixture->session, 300);
    reload(fixture, 1);
    run_until(fixture->session, 610);
    assert_int_equal(text_write_file(fixture->strategy, "return 1 +", 10, &err), 0);
    assert_int_equal(source_read(fixture->strategy, &source, &err), 0);
    assert_int_equal(reload_prepare(fixture->session, 0, &source, &err), 0);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "1");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);
    run_until(fixture->session, 700);
    session_close(fixture->session);

    write_strategy(fixture, 1);
    open_fixture(fixture);
    assert_true(ledger_replaying(fixture->session->ledger));
    assert_string_equal(fixture->session->strategies[0].code->info.version, "0");
    run_until(fixture->session, 800);
    assert_false(ledger_replaying(fixture->session->ledger));
    assert_string_equal(fixture->session->strategies[0].code->info.version, "1");
    assert_int_equal(decimal_cmp(held(fixture->session), decimal_text("0.4")), 0);
}

/* Runs to an instant, ends as a killed process would, and leaves another file on disk. */
static void crash_and_change_the_file(struct fixture *fixture, int64_t seconds, const char *text)
{
    struct error err = { 0 };
    run_until(fixture->session, seconds);
    assert_int_equal(session_flush(fixture->session, false, &err), 0);
    session_close(fixture->session);
    assert_int_equal(text_write_file(fixture->strategy, text, strlen(text), &err), 0);
    open_fixture(fixture);
    assert_true(fixture->session->resumed);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "0");
}

/* What happened is not undone by a file that was broken later: the old code is replayed and goes
 * on, as it would have when the file was saved while it ran. */
static void a_broken_file_does_not_stop_a_replay(void **state)
{
    struct fixture *fixture = *state;
    crash_and_change_the_file(fixture, 650, "return 1 +");
    run_until(fixture->session, 700);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "0");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);
    assert_int_equal(decimal_cmp(held(fixture->session), decimal_text("0.4")), 0);
}

/* Params are part of a command, and its files' defaults with them; but a changed default is a
 * change of the file, which is taken after the replay. */
static void a_file_with_other_params_is_reloaded_after_the_replay(void **state)
{
    struct fixture *fixture = *state;
    static const char changed[] =
        "local S = { api = 1, name = 'holder', version = '7', params = { size = { 3 } } }\n"
        "function S.on_order() end\n"
        "function S.on_fill() end\n"
        "function S.on_reload(ctx, old) ctx.state.from = old end\n"
        "return S\n";
    crash_and_change_the_file(fixture, 650, changed);
    run_until(fixture->session, 700);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "7");
    assert_int_equal(decimal_cmp(held(fixture->session), decimal_text("0.4")), 0);
    struct text body;
    text_init(&body, 65536);
    guest_state(engine_guest(fixture->session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"filled\":0.4,\"from\":\"0\"}");
    text_release(&body);

    /* And once more: the reload itself is replayed. */
    session_close(fixture->session);
    open_fixture(fixture);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "0");
    run_until(fixture->session, 800);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "7");
}

/* The record is about one content: with another on disk the event that it hung in is reached by the
 * new code, and the old one is not stopped for it. */
static void a_file_that_was_mended_is_reloaded_before_the_quarantine(void **state)
{
    struct fixture *fixture = *state;
    crash_in_a_callback(fixture, 700);
    write_strategy(fixture, 1);
    open_fixture(fixture);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "0");
    run_until(fixture->session, 800);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "1");
    assert_true(engine_instance_alive(fixture->session->engine, 0, NULL, NULL));
}

/* Other capital, another symbol: nothing of the old session is touched, on the files of today. */
static void another_command_runs_the_file_on_disk(void **state)
{
    struct fixture *fixture = *state;
    run_until(fixture->session, 650);
    session_close(fixture->session);
    write_strategy(fixture, 1);
    char *argv[] = { fixture->strategy,    "--feed",        fixture->feed,
                     "--symbols",          "BTC/USDT:USDT", "--state",
                     fixture->state,       "--speed",       "max",
                     "--capital",          "2000",          "--config",
                     "config/runtime.yaml" };
    struct error err = { 0 };
    assert_int_equal(options_parse(ARRAY_SIZE(argv), argv, &fixture->options, &err), 0);
    assert_int_equal(session_open(&fixture->options, NULL, NULL, &fixture->session, &err), 0);
    assert_false(fixture->session->resumed);
    assert_string_equal(fixture->session->strategies[0].code->info.version, "1");
    assert_int_equal(fixture->session->instance_count, 1);
    assert_int_equal(fixture->session->record.session_id, 2);
    run_until(fixture->session, 700);
    assert_int_equal(decimal_cmp(held(fixture->session), decimal_text("0.4")), 0);
}

/* Its rehearsal passes: the count of ticks is small then. When its series are warm the state has
 * moved on, and on_start fails where it counts. */
static const char late_failure[] = "local S = { api = 1, name = 'holder', version = '9' }\n"
                                   "function S.on_start(ctx)\n"
                                   "  local slow = ctx:bars('1m'):sma(14)\n"
                                   "  ctx:timer('mine', 1)\n"
                                   "  if (ctx.state.beats or 0) > 1 then error('too late') end\n"
                                   "  ctx.state.started = true\n"
                                   "end\n"
                                   "function S.on_timer(ctx) ctx.state.wrong = true end\n"
                                   "function S.on_order() end\n"
                                   "function S.on_fill() end\n"
                                   "return S\n";
static const char beating[] =
    "local S = { api = 1, name = 'holder', version = '8' }\n"
    "function S.on_start(ctx) ctx:timer('beat', 60) end\n"
    "function S.on_timer(ctx) ctx.state.beats = (ctx.state.beats or 0) + 1 end\n"
    "function S.on_order() end\n"
    "function S.on_fill() end\n"
    "return S\n";

static void prepare_text(struct fixture *fixture, const char *text)
{
    struct source source;
    struct error err = { 0 };
    assert_int_equal(text_write_file(fixture->strategy, text, strlen(text), &err), 0);
    assert_int_equal(source_read(fixture->strategy, &source, &err), 0);
    if (reload_prepare(fixture->session, 0, &source, &err) < 0)
        fail_msg("%s %s", err.where, err.message);
}

static const char *version_of(const struct fixture *fixture)
{
    return fixture->session->strategies[0].code->info.version;
}

/* The old one goes on as if nothing had been tried: code, state, timers, orders. */
static void an_on_start_that_fails_on_the_real_state_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct text before, after, body;
    text_init(&before, 65536);
    text_init(&after, 65536);
    text_init(&body, 65536);
    run_until(fixture->session, 700); /* the position is there */
    prepare_text(fixture, beating);
    run_until(fixture->session, 701);
    assert_string_equal(version_of(fixture), "8");
    describe_orders(fixture->session, &before);
    prepare_text(fixture, late_failure);
    assert_true(fixture->session->any_reloading);
    run_until(fixture->session, 1000); /* 14 minutes are over at 840 */
    assert_false(fixture->session->any_reloading);
    assert_string_equal(version_of(fixture), "8");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);
    assert_int_equal(engine_counts(fixture->session->engine)->failed_instances, 0);
    assert_true(engine_instance_alive(fixture->session->engine, 0, NULL, NULL));
    describe_orders(fixture->session, &after);
    assert_string_equal(after.data, before.data);
    /* Beats at 760, 820, 880, 940, 1000: none was lost, none began anew. */
    run_until(fixture->session, 1001);
    guest_state(engine_guest(fixture->session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"beats\":5,\"filled\":0.4}");
    text_release(&before);
    text_release(&after);
    text_release(&body);
}

/* ---- what a reload leaves to be replayed ---- */

/* Ends as a killed process would, what is committed kept; then the same command with that file. */
static void die_and_resume(struct fixture *fixture, const char *text)
{
    struct error err = { 0 };
    assert_int_equal(session_flush(fixture->session, false, &err), 0);
    session_close(fixture->session);
    assert_int_equal(text_write_file(fixture->strategy, text, strlen(text), &err), 0);
    open_fixture(fixture);
    assert_true(ledger_replaying(fixture->session->ledger));
}

/* migrate works on the copy at 700 s; when the series are warm the state is another. */
static const char migrate_fails[] = "local S = { api = 1, name = 'holder', version = '9' }\n"
                                    "function S.migrate(state)\n"
                                    "  if (state.beats or 0) > 1 then error('cannot migrate') end\n"
                                    "  return state\n"
                                    "end\n"
                                    "function S.on_start(ctx) ctx:bars('1m'):sma(14) end\n"
                                    "function S.on_bar() end\n"
                                    "function S.on_order() end\n"
                                    "function S.on_fill() end\n"
                                    "return S\n";

/* The failure follows from the events, as the swap would have: nothing of it comes from outside. */
static void a_swap_that_fails_in_migrate_is_replayed(void **state)
{
    struct fixture *fixture = *state;
    run_until(fixture->session, 700);
    prepare_text(fixture, beating);
    run_until(fixture->session, 701);
    prepare_text(fixture, migrate_fails);
    assert_true(fixture->session->any_reloading);
    run_until(fixture->session, 1000);
    assert_false(fixture->session->any_reloading);
    assert_string_equal(version_of(fixture), "8");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);

    die_and_resume(fixture, beating);
    run_until(fixture->session, 1100);
    assert_false(ledger_replaying(fixture->session->ledger));
    assert_string_equal(version_of(fixture), "8");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);
    struct text body;
    text_init(&body, 65536);
    guest_state(engine_guest(fixture->session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"beats\":6,\"filled\":0.4}");
    text_release(&body);
}

/* A save that is broken ends the rehearsal of the one before it; a replay must end it there too. */
static void a_broken_save_that_ends_a_rehearsal_is_replayed(void **state)
{
    struct fixture *fixture = *state;
    static const char slow[] = "local S = { api = 1, name = 'holder', version = '5' }\n"
                               "function S.on_start(ctx) ctx:bars('1m'):sma(14) end\n"
                               "function S.on_bar() end\n"
                               "function S.on_order() end\n"
                               "function S.on_fill() end\n"
                               "return S\n";
    run_until(fixture->session, 700);
    prepare_text(fixture, slow);
    assert_true(fixture->session->any_reloading);
    run_until(fixture->session, 750); /* warm at 840 */
    prepare_text(fixture, "return 1 +");
    assert_false(fixture->session->any_reloading);
    run_until(fixture->session, 1000);
    assert_string_equal(version_of(fixture), "0");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);

    die_and_resume(fixture, "");
    write_strategy(fixture, 0);
    run_until(fixture->session, 740);
    assert_true(fixture->session->any_reloading); /* it is being replayed */
    run_until(fixture->session, 1100);
    assert_false(ledger_replaying(fixture->session->ledger));
    assert_string_equal(version_of(fixture), "0");
    assert_int_equal(engine_counts(fixture->session->engine)->alerts, 1);
    assert_int_equal(decimal_cmp(held(fixture->session), decimal_text("0.4")), 0);
}

/* needs.warmup is part of the new file: false lets callbacks come at once, true makes them wait. */
static const char impatient[] =
    "local S = { api = 1, name = 'holder', version = '6', needs = { warmup = %s } }\n"
    "function S.on_start(ctx) ctx:bars('1m'):sma(14) end\n"
    "function S.on_tick(ctx) ctx.state.ticks = (ctx.state.ticks or 0) + 1 end\n"
    "function S.on_order() end\n"
    "function S.on_fill() end\n"
    "return S\n";

static void a_reloaded_file_says_whether_it_waits_for_its_series(void **state)
{
    struct fixture *fixture = *state;
    char text[512];
    run_until(fixture->session, 700);
    snprintf(text, sizeof(text), impatient, "false");
    prepare_text(fixture, text);
    run_until(fixture->session, 710);
    assert_string_equal(version_of(fixture), "6"); /* it waits for nothing */
    struct text body;
    text_init(&body, 65536);
    guest_state(engine_guest(fixture->session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"filled\":0.4,\"ticks\":10}");
    text_release(&body);

    /* And after a crash it is the replayed file's word that counts, not the first one's. */
    die_and_resume(fixture, text);
    run_until(fixture->session, 720);
    text_init(&body, 65536);
    guest_state(engine_guest(fixture->session->engine, 0), &body);
    assert_string_equal(body.data, "{\"asked\":true,\"filled\":0.4,\"ticks\":20}");
    text_release(&body);

    snprintf(text, sizeof(text), impatient, "true");
    memcpy(strstr(text, "'6'"), "'7'", 3);
    prepare_text(fixture, text);
    run_until(fixture->session, 800);
    assert_string_equal(version_of(fixture), "6"); /* warm at 840 */
    run_until(fixture->session, 850);
    assert_string_equal(version_of(fixture), "7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thousand_reloads_leave_everything_as_it_was, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reload_is_warm_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_quarantined_instance_stops_at_its_event, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_file_lifts_the_quarantine, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crashed_feed_session_ends_as_if_it_had_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_replay_repeats_reloads_and_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_file_does_not_stop_a_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_with_other_params_is_reloaded_after_the_replay,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_was_mended_is_reloaded_before_the_quarantine,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(another_command_runs_the_file_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swap_that_fails_in_migrate_is_replayed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_broken_save_that_ends_a_rehearsal_is_replayed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reloaded_file_says_whether_it_waits_for_its_series, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_on_start_that_fails_on_the_real_state_changes_nothing,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
