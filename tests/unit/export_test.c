/* export_test.c - the CSV files and the checkpoint, byte for byte. */
#include "tests/unit/ledger_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/base/json.h"
#include "runtime/ledger/export.h"

#define ORDERS_HEADER                                                                              \
    "time,order_id,client_order_id,strategy,venue,symbol,side,type,qty,price,trigger_price,tif,"   \
    "status,filled_qty,avg_price,reason,tag\n"
#define FILLS_HEADER                                                                               \
    "time,exec_id,order_id,client_order_id,strategy,venue,symbol,side,qty,price,fee,"              \
    "fee_currency,liquidity\n"
#define TRADES_HEADER                                                                              \
    "opened,closed,strategy,symbol,side,qty,entry_price,exit_price,gross_pnl,fees,net_pnl,"        \
    "bars_held,tag\n"

static int setup(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));
    setup_ledger(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    teardown_ledger(*state);
    free(*state);
    return 0;
}

static struct export *open_export(struct fixture *f, const char *mode)
{
    struct export *export;
    if (export_open(f->ledger, f->directory, mode, &export, &f->err) < 0)
        fail_msg("%s", f->err.message);
    return export;
}

static void update(struct fixture *f, struct export *export)
{
    if (export_update(export, &f->err) < 0)
        fail_msg("%s", f->err.message);
}

/* "@" in the expected text stands for the ledger's id. */
static void assert_file(const struct fixture *f, const char *name, const char *expected)
{
    struct text wanted;
    char path[160], *data;
    size_t length;
    struct error err = { 0 };
    char *id = query(f, "SELECT value FROM meta WHERE key = 'ledger_id'");
    text_init(&wanted, 100000);
    for (const char *at = expected; *at; at++)
        text_append(&wanted, *at == '@' ? id : at, *at == '@' ? 4 : 1);
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    if (text_read_file(path, 1 << 20, &data, &length, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(data, wanted.data);
    assert_int_equal(length, wanted.length);
    free(data);
    free(id);
    text_release(&wanted);
}

static bool exists(const struct fixture *f, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    return access(path, F_OK) == 0;
}

static void append_to(const struct fixture *f, const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct record trip_record(struct fixture *f, int64_t closed_ns)
{
    return (struct record){ .kind = RECORD_TRIP,
                            .instance_id = f->instance.instance_id,
                            .instrument = ETH,
                            .trip = { .opened_ns = START_NS,
                                      .closed_ns = closed_ns,
                                      .side = SIDE_SELL,
                                      .qty = D("3"),
                                      .entry_notional = D("61.5"),
                                      .exit_qty = D("3"),
                                      .exit_notional = D("60"),
                                      .fees = D("0.1"),
                                      .gross_pnl = D("1.5"),
                                      .bars_held = 4,
                                      .tag = "in, \"out\"" } };
}

/* One order's whole life, a blocked request and a trip. */
static void commit_life(struct fixture *f)
{
    struct order order = new_order(f);
    order.type = ORDER_LIMIT;
    order.price = D("100.10");
    text_copy(order.tag, sizeof(order.tag), "entry");
    commit_one(f, 1, order_record(&order));
    order.known = ORDER_NEW;
    text_copy(order.venue_order_id, sizeof(order.venue_order_id), "v-1");
    commit_one(f, 2, order_record(&order));
    struct record part[] = { fill_record(&order, "e-1", "0.5", "100"), order_record(&order) };
    part[0].fill.liquidity = LIQUIDITY_MAKER;
    assert_int_equal(commit_at(f, START_NS + 3, 3, part, 2), 0);
    struct record more[] = { fill_record(&order, "e-2", "0.25", "100.1"), order_record(&order) };
    assert_int_equal(commit_at(f, START_NS + 4, 4, more, 2), 0); /* status as before: no line */
    order.known = ORDER_CANCELED;
    text_copy(order.reason, sizeof(order.reason), "asked for,\ntwice");
    commit_one(f, 5, order_record(&order));

    struct order asked = order;
    asked.order_id = 0;
    asked.client_order_id[0] = '\0';
    asked.filled_qty = asked.notional = DECIMAL_ZERO;
    asked.trigger_price = D("99");
    text_copy(asked.reason, sizeof(asked.reason), "order of 150 is above 100");
    struct record blocked = order_record(&asked);
    blocked.kind = RECORD_BLOCKED;
    struct record rest[] = { blocked, trip_record(f, START_NS + 6),
                             said_record(RECORD_ALERT, "alert", "not exported") };
    assert_int_equal(commit_at(f, START_NS + 6, 6, rest, 3), 0);
}

#define LIFE_ORDERS                                                                                \
    "2024-01-01T00:00:00.000000001Z,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,limit,1.5,100.1,,"  \
    "gtc,pending_new,0,,,entry\n"                                                                  \
    "2024-01-01T00:00:00.000000002Z,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,limit,1.5,100.1,,"  \
    "gtc,new,0,,,entry\n"                                                                          \
    "2024-01-01T00:00:00.000000003Z,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,limit,1.5,100.1,,"  \
    "gtc,partially_filled,0.5,100,,entry\n"                                                        \
    "2024-01-01T00:00:00.000000005Z,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,limit,1.5,100.1,,"  \
    "gtc,canceled,0.75,100.033333333333333333,\"asked for,\ntwice\",entry\n"                       \
    "2024-01-01T00:00:00.000000006Z,,,momentum,sim,BTC/USDT,buy,limit,1.5,100.1,99,gtc,blocked,0," \
    ",order of 150 is above 100,entry\n"
#define LIFE_FILLS                                                                                 \
    "2024-01-01T00:00:00.000000007Z,e-1,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,0.5,100,0.05,"  \
    "USDT,maker\n"                                                                                 \
    "2024-01-01T00:00:00.000000007Z,e-2,1,r@s44we8000001,momentum,sim,BTC/USDT,buy,0.25,100.1,"    \
    "0.05,USDT,taker\n"
#define LIFE_TRADES                                                                                \
    "2024-01-01T00:00:00.000000000Z,2024-01-01T00:00:00.000000006Z,momentum,ETH/USDT:USDT,sell,3," \
    "2.05,2,1.5,0.1,1.4,4,\"in, \"\"out\"\"\"\n"

static void assert_life(const struct fixture *f)
{
    assert_file(f, "journal/2024-01-01/orders.csv", ORDERS_HEADER LIFE_ORDERS);
    assert_file(f, "journal/2024-01-01/fills.csv", FILLS_HEADER LIFE_FILLS);
    assert_file(f, "journal/2024-01-01/trades.csv", TRADES_HEADER LIFE_TRADES);
    assert_false(exists(f, "journal/2024-01-01/orders.csv.tmp"));
}

/* ---- CSV ---- */

static void rows_are_appended_as_they_come(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct export *export = open_export(f, "paper");
    assert_false(exists(f, "journal"));
    update(f, export);
    commit_life(f);
    update(f, export);
    assert_life(f);
    update(f, export); /* nothing new: nothing twice */
    assert_life(f);
    export_close(export);
    assert_life(f);
}

static void files_are_made_again_from_the_ledger(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_life(f);
    struct export *export = open_export(f, "paper");
    assert_life(f);
    export_close(export);

    append_to(f, "journal/2024-01-01/orders.csv", "2024-01-01T00:00:00.00");
    append_to(f, "journal/2024-01-01/fills.csv.tmp", "left by a crash");
    char path[160];
    snprintf(path, sizeof(path), "%s/journal/2024-01-01/trades.csv", f->directory);
    assert_int_equal(unlink(path), 0);
    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    export = open_export(f, "paper");
    assert_life(f);
    export_close(export);
}

static void live_has_its_own_directory(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_life(f);
    struct export *export = open_export(f, "live");
    assert_file(f, "live/2024-01-01/orders.csv", ORDERS_HEADER LIFE_ORDERS);
    assert_false(exists(f, "journal"));
    export_close(export);
}

static void commit_order_at(struct fixture *f, int64_t time_ns, uint64_t event)
{
    struct order order = new_order(f);
    struct record record = order_record(&order);
    assert_int_equal(commit_at(f, time_ns, event, &record, 1), 0);
}

static char *days_of(const struct fixture *f, const char *day)
{
    char path[160], *data;
    size_t length;
    struct error err = { 0 };
    snprintf(path, sizeof(path), "%s/journal/%s/orders.csv", f->directory, day);
    if (text_read_file(path, 1 << 20, &data, &length, &err) < 0)
        fail_msg("%s", err.message);
    struct text found;
    text_init(&found, 10000);
    for (char *line = strchr(data, '\n') + 1; *line; line = strchr(line, '\n') + 1)
        text_printf(&found, "%.*s ", (int)strcspn(strchr(line, ',') + 1, ","),
                    strchr(line, ',') + 1);
    free(data);
    return found.data; /* order ids, each followed by a blank */
}

static void assert_day(const struct fixture *f, const char *day, const char *order_ids)
{
    char *found = days_of(f, day);
    assert_string_equal(found, order_ids);
    free(found);
}

/* The UTC day is that of the time in the row, also where rows go back and forth over midnight. */
static void each_row_is_in_the_file_of_its_day(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct export *export = open_export(f, "paper");
    commit_order_at(f, START_NS - 1, 1);
    commit_order_at(f, START_NS, 2);
    update(f, export);
    commit_order_at(f, START_NS + NS_PER_DAY - 1, 3);
    commit_order_at(f, START_NS + NS_PER_DAY, 4);
    commit_order_at(f, START_NS + 5, 5);
    update(f, export);
    struct order order = new_order(f);
    struct record late = fill_record(&order, "e-1", "1.5", "1");
    late.fill.transact_ns = START_NS - 1; /* told the next day: it is of its own time */
    assert_int_equal(commit_at(f, START_NS + 1, 6, &late, 1), 0);
    update(f, export);
    for (int i = 0; i < 2; i++) { /* appended, then rewritten */
        assert_day(f, "2023-12-31", "1 ");
        assert_day(f, "2024-01-01", "2 3 5 ");
        assert_day(f, "2024-01-02", "4 ");
        assert_file(f, "journal/2023-12-31/fills.csv",
                    FILLS_HEADER "2023-12-31T23:59:59.999999999Z,e-1,6,r@s44we8000006,momentum,sim,"
                                 "BTC/USDT,buy,1.5,1,0.05,USDT,taker\n");
        assert_file(f, "journal/2024-01-02/fills.csv", FILLS_HEADER);
        export_close(export);
        export = open_export(f, "paper");
    }
    export_close(export);
}

/* A day belongs to all sessions of the ledger; a start rewrites the days that its session and the
 * one before it touched: what a crash kept from the files comes back. */
static void a_day_holds_the_rows_of_all_sessions(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_order_at(f, START_NS, 1);
    commit_order_at(f, START_NS + NS_PER_DAY, 2);
    export_close(open_export(f, "paper"));
    append_to(f, "journal/2024-01-01/orders.csv", "x,mine,\n");
    append_to(f, "journal/2024-01-02/orders.csv", "x,mine,\n");

    begin(f, "feed");
    commit_order_at(f, START_NS, 1);
    struct export *export = open_export(f, "paper");
    assert_day(f, "2024-01-01", "1 3 ");
    assert_day(f, "2024-01-02", "2 ");
    commit_order_at(f, START_NS + NS_PER_DAY, 2);
    update(f, export);
    export_close(export);
    assert_day(f, "2024-01-02", "2 4 ");
    resume(f, "feed", true);
    export_close(open_export(f, "paper"));
    assert_day(f, "2024-01-02", "2 4 ");
}

static void a_replay_appends_nothing_until_it_has_caught_up(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    commit_life(f);
    resume(f, "feed", true);
    struct export *export = open_export(f, "paper");
    assert_life(f);
    commit_life(f);
    update(f, export);
    assert_life(f);
    commit_order_at(f, START_NS + 9, 9);
    update(f, export);
    export_close(export);
    assert_file(f, "journal/2024-01-01/orders.csv",
                ORDERS_HEADER LIFE_ORDERS
                "2024-01-01T00:00:00.000000009Z,2,r@s44we8000002,momentum,sim,BTC/USDT,buy,market,"
                "1.5,,,gtc,pending_new,0,,,\n");
}

/* Children, because a limit on file sizes cannot be taken back. */
static int fill_up(struct fixture *f)
{
    open_ledger(f);
    begin(f, "sim");
    struct export *export = open_export(f, "paper");
    commit_order_at(f, START_NS, 1);
    if (export_update(export, &f->err) != 0)
        return 2;
    commit_life(f);

    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t all = limit.rlim_cur;
    signal(SIGXFSZ, SIG_IGN);
    limit.rlim_cur = 400; /* orders.csv is cut in a row */
    setrlimit(RLIMIT_FSIZE, &limit);
    if (export_update(export, &f->err) != ERROR_IO || !strstr(f->err.message, "orders.csv") ||
        !strstr(f->err.message, "File too large"))
        return (fprintf(stderr, "%s\n", f->err.message), 3);
    if (export_update(export, &f->err) != ERROR_IO)
        return 4;
    limit.rlim_cur = all;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (export_update(export, &f->err) != 0)
        return 5;
    export_close(export);
    return 0;
}

static int as_nobody(struct fixture *f)
{
    open_ledger(f);
    begin(f, "sim");
    struct export *export = open_export(f, "paper");
    commit_order_at(f, START_NS, 1);
    if (chmod(f->directory, 0555) != 0 || (geteuid() == 0 && seteuid(65534) != 0))
        return 2;
    if (export_update(export, &f->err) != ERROR_IO || !strstr(f->err.message, "Permission denied"))
        return (fprintf(stderr, "%s\n", f->err.message), 3);
    if (export_checkpoint(export, START_NS, D("1"), D("1"), NULL, &f->err) != ERROR_IO)
        return 4;
    return 0;
}

static int child_of(struct fixture *f, int (*run)(struct fixture *f))
{
    int status;
    close_ledger(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(f));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void half_a_row_is_written_again_whole(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(child_of(f, fill_up), 0);
    open_ledger(f);
    resume(f, "sim", false);
    char path[160], *data;
    size_t length;
    snprintf(path, sizeof(path), "%s/journal/2024-01-01/orders.csv", f->directory);
    assert_int_equal(text_read_file(path, 1 << 20, &data, &length, &f->err), 0);
    assert_non_null(strstr(data, ",1,r"));
    assert_non_null(strstr(data, "asked for"));
    append_to(f, "journal/2024-01-01/orders.csv", "x");
    export_close(open_export(f, "paper"));
    assert_file(f, "journal/2024-01-01/orders.csv", data);
    free(data);
    assert_false(exists(f, "journal/2024-01-01/orders.csv.tmp"));
}

static void an_unwritable_directory_is_said(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(child_of(f, as_nobody), 0);
    assert_int_equal(chmod(f->directory, 0755), 0);
}

static void a_file_in_the_way_is_said(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_life(f);
    append_to(f, "journal", "a file");
    struct export *export;
    assert_int_equal(export_open(f->ledger, f->directory, "paper", &export, &f->err), ERROR_IO);
    assert_null(export);
    assert_says(f, "journal");
}

/* Only where there is no directory yet was nothing written yet. */
static void a_directory_that_cannot_be_read_is_said(void **state)
{
    struct fixture *f = *state;
    struct export *export;
    char path[160];
    begin(f, "sim");
    snprintf(path, sizeof(path), "%s/journal", f->directory);
    assert_int_equal(symlink(path, path), 0); /* goes round in circles */
    assert_int_equal(export_open(f->ledger, f->directory, "paper", &export, &f->err), ERROR_IO);
    assert_null(export);
    assert_says(f, "cannot read");
    assert_says(f, "/journal: Too many levels");
    assert_int_equal(unlink(path), 0);
    export_close(open_export(f, "paper"));
    assert_false(exists(f, "journal"));
}

/* A start rewrites the days of its session and the one before: an older day stays as it lies there,
 * and one that a crash kept from the ledger gets its headers alone. */
static void a_start_leaves_older_days_and_empties_lost_ones(void **state)
{
    struct fixture *f = *state;
    char path[160];
    begin(f, "one");
    commit_order_at(f, START_NS - NS_PER_DAY, 1);
    export_close(open_export(f, "paper"));
    append_to(f, "journal/2023-12-31/fills.csv", "x,mine,\n");
    begin(f, "two");
    begin(f, "three");
    commit_order_at(f, START_NS, 1);
    snprintf(path, sizeof(path), "%s/journal/2024-01-05", f->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    append_to(f, "journal/2024-01-05/fills.csv", "of a turn that was lost\n");
    export_close(open_export(f, "paper"));
    assert_day(f, "2024-01-01", "2 ");
    assert_file(f, "journal/2023-12-31/fills.csv", FILLS_HEADER "x,mine,\n");
    assert_file(f, "journal/2024-01-05/fills.csv", FILLS_HEADER);
    assert_file(f, "journal/2024-01-05/orders.csv", ORDERS_HEADER);
}

static void what_cannot_be_exported_is_said(void **state)
{
    struct fixture *f = *state;
    struct export *export;
    char longest[5000];
    begin(f, "sim");
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(export_open(f->ledger, longest, "paper", &export, &f->err), ERROR_IO);
    assert_says(f, "the name is too long");
    assert_null(export);
    commit_order_at(f, START_NS, 1);
    tamper(f, "DROP TRIGGER trading_events_unchanged; UPDATE trading_events SET body = '{'");
    assert_true(export_open(f->ledger, f->directory, "paper", &export, &f->err) < 0);
    assert_says(f, "trading_events");
    assert_null(export);
}

/* ---- checkpoint ---- */

static void the_checkpoint_says_where_the_session_stands(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order old = new_order(f);
    struct order done = new_order(f);
    commit_one(f, 1, order_record(&old));
    commit_one(f, 2, order_record(&done));
    resume(f, "sim", false); /* one open order from before, one of now */
    struct export *export = open_export(f, "paper");
    struct order now = new_order(f);
    now.known = ORDER_NEW;
    now.pending = PENDING_CANCEL;
    now.type = ORDER_LIMIT;
    now.price = D("99.5");
    done.known = ORDER_CANCELED;
    struct record records[] = { order_record(&now),
                                order_record(&done),
                                { .kind = RECORD_POSITION,
                                  .instance_id = f->instance.instance_id,
                                  .instrument = ETH,
                                  .position = { D("-2"), D("-41"), D("0.5"), D("0.1"), D("0") } },
                                { .kind = RECORD_POSITION,
                                  .instance_id = f->instance.instance_id,
                                  .instrument = BTC,
                                  .position = { D("0"), D("0"), D("7"), D("0"), D("0") } } };
    assert_int_equal(commit_at(f, START_NS + 3, 3, records, 4), 0);
    assert_int_equal(export_checkpoint(export, START_NS + 4, D("10000.50"), D("9999"),
                                       "\"feed\": { \"event\": 3 }", &f->err),
                     0);
    assert_file(f, "checkpoints/paper_state_latest.json",
                "{\n"
                "  \"session\": 1,\n"
                "  \"mode\": \"paper\",\n"
                "  \"source\": \"sim\",\n"
                "  \"time\": \"2024-01-01T00:00:00.000000004Z\",\n"
                "  \"cash\": \"10000.5\",\n"
                "  \"equity\": \"9999\",\n"
                "  \"positions\": [\n"
                "    {\n"
                "      \"strategy\": \"momentum\",\n"
                "      \"venue\": \"sim\",\n"
                "      \"symbol\": \"ETH/USDT:USDT\",\n"
                "      \"qty\": \"-2\",\n"
                "      \"cost\": \"-41\",\n"
                "      \"realized_pnl\": \"0.5\",\n"
                "      \"fees\": \"0.1\",\n"
                "      \"funding\": \"0\",\n"
                "      \"avg_price\": \"2.05\"\n"
                "    }\n"
                "  ],\n"
                "  \"open_orders\": [\n"
                "    {\n"
                "      \"order_id\": 1,\n"
                "      \"strategy\": \"momentum\",\n"
                "      \"client_order_id\": \"r@s44we8000001\",\n"
                "      \"venue_order_id\": \"\",\n"
                "      \"venue\": \"sim\",\n"
                "      \"symbol\": \"BTC/USDT\",\n"
                "      \"side\": \"buy\",\n"
                "      \"type\": \"market\",\n"
                "      \"tif\": \"gtc\",\n"
                "      \"qty\": \"1.5\",\n"
                "      \"price\": null,\n"
                "      \"trigger_price\": null,\n"
                "      \"filled_qty\": \"0\",\n"
                "      \"status\": \"pending_new\",\n"
                "      \"tag\": \"\"\n"
                "    },\n"
                "    {\n"
                "      \"order_id\": 3,\n"
                "      \"strategy\": \"momentum\",\n"
                "      \"client_order_id\": \"r@s46r28000003\",\n"
                "      \"venue_order_id\": \"\",\n"
                "      \"venue\": \"sim\",\n"
                "      \"symbol\": \"BTC/USDT\",\n"
                "      \"side\": \"buy\",\n"
                "      \"type\": \"limit\",\n"
                "      \"tif\": \"gtc\",\n"
                "      \"qty\": \"1.5\",\n"
                "      \"price\": \"99.5\",\n"
                "      \"trigger_price\": null,\n"
                "      \"filled_qty\": \"0\",\n"
                "      \"status\": \"pending_cancel\",\n"
                "      \"tag\": \"\"\n"
                "    }\n"
                "  ],\n"
                "  \"strategies\": [\n"
                "    {\n"
                "      \"name\": \"momentum\",\n"
                "      \"version\": \"1.0.0\",\n"
                "      \"symbol\": \"BTC/USDT\",\n"
                "      \"file\": \"momentum.lua\",\n"
                "      \"hash\": \"feed\"\n"
                "    }\n"
                "  ],\n"
                "  \"feed\": { \"event\": 3 }\n"
                "}\n");
    export_close(export);
}

static void assert_average(struct fixture *f, struct export *export, const char *expected)
{
    char path[160], *data;
    size_t length;
    struct json *root;
    assert_int_equal(export_checkpoint(export, START_NS, D("1"), D("1"), "", &f->err), 0);
    snprintf(path, sizeof(path), "%s/checkpoints/paper_state_latest.json", f->directory);
    assert_int_equal(text_read_file(path, 1 << 20, &data, &length, &f->err), 0);
    assert_int_equal(json_parse(data, length, &root, &f->err), 0);
    const struct json *positions = json_get(root, "positions");
    assert_int_equal(json_count(positions), 1);
    const char *average = json_as_string(json_get(json_at(positions, 0), "avg_price"));
    if (expected)
        assert_string_equal(average, expected);
    else
        assert_null(average);
    json_release(root);
    free(data);
}

/* An average needs both numbers and the contract's size. */
static void a_position_without_an_average_is_still_shown(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct record record = { .kind = RECORD_POSITION,
                             .instance_id = f->instance.instance_id,
                             .instrument = BTC,
                             .position = { D("2"), D("41"), D("0"), D("0"), D("0") } };
    commit_one(f, 1, record);
    struct export *export = open_export(f, "paper");
    assert_average(f, export, "20.5");
    tamper(f, "UPDATE positions SET cost = 'x'");
    assert_average(f, export, NULL);
    tamper(f, "UPDATE positions SET cost = '41', qty = 'x'");
    assert_average(f, export, NULL);
    tamper(f, "UPDATE positions SET qty = '2', symbol = 'GONE/USDT'");
    assert_average(f, export, NULL);
    export_close(export);
}

static void an_empty_checkpoint_is_json_too(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    commit_life(f);
    resume(f, "feed", true);
    struct export *export = open_export(f, "paper");
    assert_int_equal(export_checkpoint(export, START_NS, D("1"), D("1"), NULL, &f->err), 0);
    assert_false(exists(f, "checkpoints")); /* the ledger is ahead of a replay */
    export_close(export);

    begin(f, "feed");
    export = open_export(f, "live");
    assert_int_equal(export_checkpoint(export, START_NS, D("1"), D("1"), NULL, &f->err), 0);
    char path[160], *data;
    size_t length;
    struct json *root;
    snprintf(path, sizeof(path), "%s/checkpoints/live_state_latest.json", f->directory);
    assert_int_equal(text_read_file(path, 1 << 20, &data, &length, &f->err), 0);
    assert_int_equal(json_parse(data, length, &root, &f->err), 0);
    assert_int_equal(json_count(json_get(root, "open_orders")), 0);
    assert_int_equal(json_count(json_get(root, "strategies")), 1);
    json_release(root);
    free(data);
    export_close(export);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_appended_as_they_come),
        TEST(files_are_made_again_from_the_ledger),
        TEST(live_has_its_own_directory),
        TEST(each_row_is_in_the_file_of_its_day),
        TEST(a_day_holds_the_rows_of_all_sessions),
        TEST(a_replay_appends_nothing_until_it_has_caught_up),
        TEST(half_a_row_is_written_again_whole),
        TEST(an_unwritable_directory_is_said),
        TEST(a_file_in_the_way_is_said),
        TEST(a_directory_that_cannot_be_read_is_said),
        TEST(a_start_leaves_older_days_and_empties_lost_ones),
        TEST(what_cannot_be_exported_is_said),
        TEST(the_checkpoint_says_where_the_session_stands),
        TEST(a_position_without_an_average_is_still_shown),
        TEST(an_empty_checkpoint_is_json_too),
    };
    return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
