/* ledger_test.c - what was committed is there, once, in order, and nothing else. */
#include "tests/unit/ledger_fixture.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/base/random.h"
#include "runtime/ledger/private.h"
#include "tests/unit/ledger_v1.h"

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

/* Recomputed from the file alone, by the rule in the schema's comment. */
static void assert_chain(const struct fixture *f, int rows_expected)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    char head[65];
    memset(head, '0', 64);
    head[64] = '\0';
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT prev_hash || seq || '|' || session_id || '|' ||"
                                        " time_ns || '|' || event || '|' || kind || '|' ||"
                                        " order_id || '|' || body, prev_hash, hash, seq"
                                        " FROM trading_events ORDER BY seq",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    int count = 0;
    while (sqlite3_step(rows) == SQLITE_ROW) {
        unsigned char digest[SHA256_DIGEST_LENGTH];
        SHA256(sqlite3_column_text(rows, 0), (size_t)sqlite3_column_bytes(rows, 0), digest);
        assert_string_equal(column_text(rows, 1), head);
        for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
            snprintf(head + 2 * i, 3, "%02x", digest[i]);
        assert_string_equal(column_text(rows, 2), head);
        assert_int_equal(column_int(rows, 3), ++count);
    }
    assert_int_equal(count, rows_expected);
    sqlite3_finalize(rows);
    sqlite3_close(db);
}

/* ---- opening ---- */

static void a_new_ledger_has_an_id_that_stays(void **state)
{
    struct fixture *f = *state;
    char *id = query(f, "SELECT value FROM meta WHERE key = 'ledger_id'");
    assert_int_equal(strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"), 4);
    assert_int_equal(strlen(id), 5); /* and the newline */
    close_ledger(f);
    open_ledger(f);
    assert_query(f, "SELECT value FROM meta WHERE key = 'ledger_id'", id);
    free(id);
    assert_query(f, "SELECT * FROM pragma_user_version", "2\n");
    assert_query(f, "SELECT * FROM pragma_journal_mode", "wal\n");
}

static void assert_synchronous(struct fixture *f, int expected)
{
    sqlite3_stmt *get = NULL;
    sqlite3_prepare_v2(f->ledger->db, "PRAGMA synchronous", -1, &get, NULL);
    assert_int_equal(sqlite3_step(get), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(get, 0), expected);
    sqlite3_finalize(get);
}

/* power: each commit waits for the disk; process: the system's cache is enough. */
static void durability_is_as_asked(void **state)
{
    struct fixture *f = *state;
    assert_synchronous(f, 1);
    close_ledger(f);
    struct ledger_options options = options_of(f);
    options.power_safe = true;
    assert_int_equal(ledger_open(&options, &f->ledger, &f->err), 0);
    assert_synchronous(f, 2);
}

/* For a run that keeps nothing. */
static void a_ledger_may_live_in_memory(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    snprintf(f->path, sizeof(f->path), ":memory:");
    open_ledger(f);
    begin(f, "feed");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    assert_int_equal(access(":memory:", F_OK), -1);
}

struct loaded {
    struct order orders[4];
    size_t count;
    struct position position;
    uint32_t instrument;
    size_t positions;
};
static void load(struct fixture *f, struct loaded *loaded);
static void assert_decimal(decimal actual, decimal expected);

/* Opens what is at f->path and expects a refusal. */
static void refused(struct fixture *f, int code, const char *word)
{
    struct ledger_options options = options_of(f);
    struct ledger *ledger;
    f->err = (struct error){ 0 };
    assert_int_equal(ledger_open(&options, &ledger, &f->err), code);
    assert_null(ledger);
    assert_says(f, word);
    assert_says(f, f->path);
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(bytes, 1, length, file);
    fclose(file);
}

/* What lies there is somebody's: it is named, and never written over. */
static void a_file_that_is_no_ledger_is_refused(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    static char text[5000];
    memset(text, 'x', sizeof(text));

    snprintf(f->path, sizeof(f->path), "%s/text", f->directory);
    write_bytes(f->path, text, sizeof(text));
    refused(f, ERROR_IO, "is no ledger; move it away");

    snprintf(f->path, sizeof(f->path), "%s/other", f->directory);
    tamper(f, "CREATE TABLE mine(a)");
    refused(f, ERROR_DATA, "is a database of another program");
    assert_query(f, "SELECT name FROM sqlite_schema", "mine\n");

    snprintf(f->path, sizeof(f->path), "%s", f->directory);
    refused(f, ERROR_IO, "is a directory");

    snprintf(f->path, sizeof(f->path), "/dev/null");
    refused(f, ERROR_IO, "not a regular file");

    snprintf(f->path, sizeof(f->path), "%s/text/ledger", f->directory);
    refused(f, ERROR_IO, "Not a directory");

    snprintf(f->path, sizeof(f->path), "%s/absent/ledger", f->directory);
    refused(f, ERROR_IO, "cannot be opened");
}

static void a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    tamper(f, "PRAGMA user_version = 3");
    refused(f, ERROR_DATA, "schema version 3; this program reads version 2");
    assert_says(f, "runtime restore");
    assert_query(f, "SELECT * FROM pragma_user_version", "3\n");
    tamper(f, "PRAGMA user_version = 0");
    refused(f, ERROR_DATA, "schema version 0");
    tamper(f, "PRAGMA user_version = 2; DROP TABLE fills");
    refused(f, ERROR_IO, "no such table: fills");
}

/* A file as version 1 left it, with an order that rests and another that filled. */
static void make_version_1(struct fixture *f)
{
    close_ledger(f);
    snprintf(f->path, sizeof(f->path), "%s/old.sqlite", f->directory);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    for (size_t i = 0; i < ARRAY_SIZE(LEDGER_V1); i++)
        assert_int_equal(sqlite3_exec(db, LEDGER_V1[i], NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    tamper(f, "INSERT INTO meta VALUES('ledger_id', 'abcd');"
              "INSERT INTO sessions VALUES(1, 1699999999, 'paper', 'sim', 1704067200000000000,"
              " 1704067200000000002, NULL, 2, 1, 1, '{}', '0.1.0');"
              "INSERT INTO instances VALUES(1, 'sim', 'momentum', 'BTC/USDT', '1', 'm.lua', 'h',"
              " '10000');"
              "INSERT INTO orders VALUES(1, 'rabcds44we7000001', 'rabcds44we7000001', 'v-1', 1,"
              " 'sim', 'BTC/USDT', 'buy', 'limit', 'gtc', '2', '100', NULL, 'partially_filled',"
              " 'partially_filled', 0, NULL, '0.5', '50', 0, 0, 0, '', 'old', 1, 2, '0.05',"
              " 'plain', NULL, NULL, 'last', 0, NULL, NULL, NULL);"
              "INSERT INTO fills VALUES(1, 'sim', 'BTC/USDT', 'e-1', 1, 'buy', '0.5', '100', '50',"
              " '0.05', 'USDT', 'maker', 7, 'trade', NULL);"
              "INSERT INTO positions VALUES(1, 'sim', 'BTC/USDT', '0.5', '50', '0', '0.05', '0');"
              "INSERT INTO trading_events VALUES(1, 1, 1704067200000000001, 1, 'order', 1, '{}',"
              " '0000000000000000000000000000000000000000000000000000000000000000',"
              " 'd97fb2264bebed4cf23af1dd72fe0d3f1c9bde5b1a53d7ea9cd2ee25f0a1cb6e')");
}

/* The books of a version that people ran must not be lost by a newer one. */
static void a_file_of_version_1_goes_on(void **state)
{
    struct fixture *f = *state;
    make_version_1(f);
    open_ledger(f);
    assert_query(f, "SELECT * FROM pragma_user_version", "2\n");
    resume(f, "sim", false);
    struct loaded loaded;
    load(f, &loaded);
    assert_int_equal(loaded.count, 1);
    struct order *order = &loaded.orders[0];
    assert_string_equal(order->current_client_order_id, "rabcds44we7000001");
    assert_string_equal(order->pending_client_order_id, "");
    assert_false(decimal_valid(order->trail));
    assert_false(order->held || order->trail_is_share || order->revision);
    assert_decimal(order->inferred_qty, DECIMAL_ZERO);
    assert_decimal(order->inferred_notional, DECIMAL_ZERO);
    assert_decimal(order->filled_qty, D("0.5"));
    struct fill booked;
    assert_int_equal(f->port.find_fill(f->port.self, BTC, "e-1", &booked, NULL), BOOKED_YES);
    assert_int_equal(booked.liquidity, LIQUIDITY_MAKER);

    struct record records[] = { fill_record(order, "e-2", "1.5", "100"), order_record(order) };
    assert_int_equal(commit_at(f, START_NS + 9, 3, records, 2), 0);
    assert_query(f, "SELECT status, filled_qty, held FROM orders", "filled|2|0\n");
    assert_query(f, "SELECT prev_hash FROM trading_events WHERE seq = 2",
                 "d97fb2264bebed4cf23af1dd72fe0d3f1c9bde5b1a53d7ea9cd2ee25f0a1cb6e\n");
    close_ledger(f);
    open_ledger(f); /* is migrated once */
    assert_query(f, "SELECT count(*) FROM trading_events", "3\n");
}

#define TABLES                                                                                     \
    "SELECT t.name, c.name, c.type, c.\"notnull\", c.pk FROM sqlite_schema t,"                     \
    " pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY 1, 2"
#define OTHERS "SELECT type, name, tbl_name FROM sqlite_schema WHERE type <> 'table' ORDER BY 1, 2"

static void a_migrated_file_has_what_a_new_one_has(void **state)
{
    struct fixture *f = *state;
    char *tables = query(f, TABLES), *others = query(f, OTHERS);
    make_version_1(f);
    open_ledger(f);
    assert_query(f, TABLES, tables);
    assert_query(f, OTHERS, others);
    free(tables);
    free(others);
}

/* A migration that cannot end leaves the file as it was, for the program that wrote it. */
static void a_migration_happens_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    make_version_1(f);
    tamper(f, "CREATE TABLE cash(mine)");
    char *before = query(f, TABLES);
    refused(f, ERROR_IO, "from version 1 to version 2");
    assert_query(f, TABLES, before);
    assert_query(f, "SELECT * FROM pragma_user_version", "1\n");
    tamper(f, "DROP TABLE cash");
    open_ledger(f);
    free(before);
}

static int ignore_order(void *self, const struct order *order, struct error *err)
{
    (void)self, (void)order, (void)err;
    return 0;
}

static int ignore_position(void *self, uint32_t instrument, const struct position *position,
                           struct error *err)
{
    (void)self, (void)instrument, (void)position, (void)err;
    return 0;
}

/* How many of the calls failed. */
static int use_whatever_is_there(struct fixture *f)
{
    int failures = 0;
    struct session_record record = { 0 };
    struct journal_entry *entries;
    char hash[SHA256_TEXT_MAX], *json;
    size_t count;
    bool found;
    f->port = ledger_port(f->ledger);
    if (ledger_last_session(f->ledger, "paper", "feed", &found, &record, &f->err) == 0 && found &&
        ledger_session_begin(f->ledger, &record, true, true, WALL_NS, &f->err) == 0) {
        struct order order = new_order(f);
        struct record row = order_record(&order);
        (void)commit_at(f, START_NS + 1, 1, &row, 1);
        failures += ledger_result_hash(f->ledger, hash, &f->err) < 0;
        if (ledger_journal(f->ledger, &entries, &count, &f->err) == 0)
            journal_release(entries, count);
    }
    failures += ledger_each_open_order(f->ledger, 1, ignore_order, NULL, &f->err) < 0;
    failures += ledger_each_position(f->ledger, 1, ignore_position, NULL, &f->err) < 0;
    if (ledger_state(f->ledger, 1, &json, &count, &f->err) == 0)
        free(json);
    session_record_release(&record);
    return failures;
}

static void a_cut_or_damaged_file_is_refused(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    struct stat info;
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(truncate(f->path, info.st_size / 2), 0);
    refused(f, ERROR_IO, "damaged; go back to a backup with runtime restore");

    assert_int_equal(truncate(f->path, 50), 0);
    refused(f, ERROR_IO, "damaged");
}

/* Any bits may rot: what comes is an error or old data, never a crash or an assertion. */
static void rotten_bits_never_break_the_process(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    for (uint64_t event = 1; event <= 20; event++) {
        struct order order = new_order(f);
        struct record records[] = { order_record(&order),
                                    fill_record(&order, order.client_order_id, "1.5", "100"),
                                    said_record(RECORD_JOURNAL, "reload", "{}") };
        assert_int_equal(commit_at(f, START_NS + (int64_t)event, event, records, 3), 0);
    }
    close_ledger(f);
    char *good, *bad;
    size_t length;
    assert_int_equal(text_read_file(f->path, 1 << 24, &good, &length, &f->err), 0);
    bad = memory_new(length);
    struct random random;
    random_seed(&random, 1);
    int opened = 0, failures = 0;
    for (int i = 0; i < 200; i++) {
        memcpy(bad, good, length);
        for (uint64_t flips = 1 + random_below(&random, 8); flips > 0; flips--)
            bad[random_below(&random, length)] ^= (char)(1 << random_below(&random, 8));
        write_bytes(f->path, bad, length);
        struct ledger_options options = options_of(f);
        if (ledger_open(&options, &f->ledger, &f->err) < 0)
            continue;
        opened++;
        failures += use_whatever_is_there(f);
        close_ledger(f);
    }
    assert_true(opened > 50 && failures > 10);
    free(good);
    free(bad);
}

/* Root may write anywhere, so the child becomes somebody else first. */
static int as_nobody(struct fixture *f, const char *word)
{
    struct ledger_options options = options_of(f);
    struct ledger *ledger;
    if (geteuid() == 0 && seteuid(65534) != 0)
        return 2;
    if (ledger_open(&options, &ledger, &f->err) != ERROR_IO)
        return 3;
    return strstr(f->err.message, word) ? 0 : (fprintf(stderr, "%s\n", f->err.message), 4);
}

static int child_of(struct fixture *f, int (*run)(struct fixture *f, const char *word),
                    const char *word)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(f, word));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void an_unwritable_place_is_said(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    assert_int_equal(chmod(f->directory, 0555), 0);
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(child_of(f, as_nobody, "read-only"), 0);
    assert_int_equal(chmod(f->directory, 0555), 0);
    snprintf(f->path, sizeof(f->path), "%s/new.sqlite", f->directory);
    assert_int_equal(child_of(f, as_nobody, "cannot be opened"), 0);
    assert_int_equal(chmod(f->directory, 0755), 0);
}

static void a_locked_file_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct record record = said_record(RECORD_ALERT, "alert", "hello");

    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(commit_at(f, START_NS, 1, &record, 1), ERROR_IO);
    assert_says(f, "another program holds a lock");
    refused(f, ERROR_UNAVAILABLE, "another program holds a lock");
    sqlite3_close(other);

    assert_int_equal(commit_at(f, START_NS, 1, &record, 1), ERROR_IO);
    assert_says(f, "an earlier write failed");
    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    commit_one(f, 1, record);
    assert_query(f, "SELECT count(*) FROM trading_events", "1\n");
}

/* ---- each kind of record ---- */

static int load_order(void *self, const struct order *order, struct error *err)
{
    (void)err;
    struct loaded *loaded = self;
    assert_true(loaded->count < ARRAY_SIZE(loaded->orders));
    loaded->orders[loaded->count++] = *order;
    return 0;
}

static int load_position(void *self, uint32_t instrument, const struct position *position,
                         struct error *err)
{
    (void)err;
    struct loaded *loaded = self;
    loaded->position = *position;
    loaded->instrument = instrument;
    loaded->positions++;
    return 0;
}

static void load(struct fixture *f, struct loaded *loaded)
{
    *loaded = (struct loaded){ 0 };
    if (ledger_each_open_order(f->ledger, f->instance.instance_id, load_order, loaded, &f->err) ||
        ledger_each_position(f->ledger, f->instance.instance_id, load_position, loaded, &f->err))
        fail_msg("%s", f->err.message);
}

static void assert_decimal(decimal actual, decimal expected)
{
    char a[DECIMAL_TEXT_MAX], b[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(actual, a), decimal_format(expected, b));
}

static void assert_same_order(const struct order *a, const struct order *b)
{
    assert_true(a->order_id == b->order_id);
    assert_string_equal(a->client_order_id, b->client_order_id);
    assert_string_equal(a->venue_order_id, b->venue_order_id);
    assert_int_equal(a->instance_id, b->instance_id);
    assert_int_equal(a->instrument, b->instrument);
    assert_int_equal(a->side, b->side);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->tif, b->tif);
    assert_int_equal(a->stop_on, b->stop_on);
    assert_decimal(a->qty, b->qty);
    assert_decimal(a->price, b->price);
    assert_decimal(a->trigger_price, b->trigger_price);
    assert_decimal(a->stop, b->stop);
    assert_decimal(a->take, b->take);
    assert_int_equal(a->reduce_only, b->reduce_only);
    assert_int_equal(a->post_only, b->post_only);
    assert_int_equal(a->role, b->role);
    assert_true(a->parent_order_id == b->parent_order_id);
    assert_true(a->group_id == b->group_id);
    assert_int_equal(a->known, b->known);
    assert_int_equal(a->pending, b->pending);
    assert_int_equal(a->doubt, b->doubt);
    assert_true(!a->doubt || a->doubt_since_ns == b->doubt_since_ns);
    assert_decimal(a->pending_qty, b->pending_qty);
    assert_decimal(a->pending_price, b->pending_price);
    assert_decimal(a->filled_qty, b->filled_qty);
    assert_decimal(a->notional, b->notional);
    assert_decimal(a->fees, b->fees);
    assert_true(a->created_ns == b->created_ns);
    assert_true(a->updated_ns == b->updated_ns);
    assert_true(a->expires_ns == b->expires_ns);
    assert_string_equal(a->tag, b->tag);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->current_client_order_id, b->current_client_order_id);
    assert_string_equal(a->pending_client_order_id, b->pending_client_order_id);
    assert_decimal(a->trail, b->trail);
    assert_int_equal(a->trail_is_share, b->trail_is_share);
    assert_int_equal(a->held, b->held);
    assert_decimal(a->inferred_qty, b->inferred_qty);
    assert_decimal(a->inferred_notional, b->inferred_notional);
    assert_int_equal(a->revision, b->revision);
}

/* Whatever a resumed run does not get back is an order at the venue that nobody minds. */
static void orders_are_written_and_read_back(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order plain = new_order(f);
    commit_one(f, 1, order_record(&plain));

    struct order full = new_order(f);
    text_copy(full.venue_order_id, sizeof(full.venue_order_id), "v-17");
    full.instrument = ETH;
    full.side = SIDE_SELL;
    full.type = ORDER_STOP_LIMIT;
    full.tif = TIF_GTD;
    full.stop_on = TRIGGER_QUOTE;
    full.qty = D("123456789012.123456789012345678");
    full.price = D("0.000000000000000000000000000000000001");
    full.trigger_price = D("-1");
    full.stop = D("3");
    full.take = D("4");
    full.reduce_only = full.post_only = true;
    full.role = ROLE_TAKE;
    full.parent_order_id = 1;
    full.group_id = 9;
    full.known = ORDER_PARTIALLY_FILLED;
    full.pending = PENDING_CANCEL | PENDING_REPLACE;
    full.doubt = true;
    full.doubt_since_ns = START_NS + 5;
    full.pending_qty = D("5");
    full.pending_price = D("6");
    full.filled_qty = D("7");
    full.notional = D("8");
    full.fees = D("-9");
    full.updated_ns = START_NS + 6;
    full.expires_ns = START_NS + NS_PER_DAY;
    text_copy(full.tag, sizeof(full.tag), "a \"tag\", with é and 'quotes'");
    text_copy(full.reason, sizeof(full.reason), "late");
    text_copy(full.current_client_order_id, sizeof(full.current_client_order_id), "c-2");
    text_copy(full.pending_client_order_id, sizeof(full.pending_client_order_id), "c-3");
    full.trail = D("0.015");
    full.trail_is_share = full.held = true;
    full.inferred_qty = D("1.25");
    full.inferred_notional = D("1.000000000000000000000000000001");
    full.revision = 4294967295;
    commit_one(f, 2, order_record(&full));

    struct order done = new_order(f);
    commit_one(f, 3, order_record(&done));
    done.known = ORDER_CANCELED;
    commit_one(f, 4, order_record(&done));

    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    struct loaded loaded;
    load(f, &loaded);
    assert_int_equal(loaded.count, 2);
    assert_same_order(&loaded.orders[0], &plain);
    assert_same_order(&loaded.orders[1], &full);
    assert_query(f, "SELECT order_id, status, known_status FROM orders",
                 "1|pending_new|pending_new\n2|unknown|partially_filled\n3|canceled|canceled\n");
    assert_query(
        f, "SELECT typeof(qty), qty, price, trigger_price FROM orders WHERE order_id = 2",
        "text|123456789012.123456789012345678|0.000000000000000000000000000000000001|-1\n");
}

/* Only what can change is updated, and all of it. */
static void an_order_that_goes_on_is_updated_in_place(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    text_copy(order.venue_order_id, sizeof(order.venue_order_id), "v-1");
    text_copy(order.reason, sizeof(order.reason), "r");
    order.known = ORDER_NEW;
    order.qty = D("2");
    order.price = D("3");
    order.trigger_price = D("4");
    order.stop = D("5");
    order.take = D("6");
    order.group_id = 7;
    order.pending = PENDING_REPLACE;
    order.pending_qty = D("8");
    order.pending_price = D("9");
    order.filled_qty = D("0.5");
    order.notional = D("10");
    order.fees = D("11");
    order.updated_ns = START_NS + 12;
    order.doubt = true;
    order.doubt_since_ns = START_NS + 13;
    text_copy(order.current_client_order_id, sizeof(order.current_client_order_id), "c-2");
    text_copy(order.pending_client_order_id, sizeof(order.pending_client_order_id), "c-3");
    order.type = ORDER_LIMIT;
    order.held = true;
    order.trail = D("14");
    order.inferred_qty = D("0.25");
    order.inferred_notional = D("15");
    order.revision = 16;
    commit_one(f, 2, order_record(&order));
    struct loaded loaded;
    load(f, &loaded);
    assert_int_equal(loaded.count, 1);
    assert_same_order(&loaded.orders[0], &order);

    order.doubt = false;
    commit_one(f, 3, order_record(&order));
    load(f, &loaded);
    assert_false(loaded.orders[0].doubt);
}

static void every_kind_of_record_is_kept(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    struct order blocked = order;
    blocked.order_id = 0;
    blocked.client_order_id[0] = '\0';
    text_copy(blocked.reason, sizeof(blocked.reason), "too large");
    struct record asked = order_record(&blocked);
    asked.kind = RECORD_BLOCKED;
    text_copy(asked.code, sizeof(asked.code), "max_order_size");
    struct record sent = order_record(&order);
    struct record filled = fill_record(&order, "e-1", "1.5", "42000.10");
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = f->instance.instance_id,
                               .instrument = BTC,
                               .position = { D("1.5"), D("63000.15"), D("-1"), D("0.05"),
                                             D("0.25") } };
    struct record trip = { .kind = RECORD_TRIP,
                           .instance_id = f->instance.instance_id,
                           .instrument = ETH,
                           .trip = { START_NS, START_NS + 1, SIDE_SELL, D("3"), D("300"), D("200"),
                                     D("3"), D("0.1"), D("100"), 4, "entry", false } };
    struct record keep = said_record(RECORD_STATE, "state", "{\"n\":1}");
    keep.instance_id = f->instance.instance_id;
    struct record all[] = { asked,
                            sent,
                            filled,
                            position,
                            trip,
                            keep,
                            said_record(RECORD_HALT, "session", "lost it"),
                            said_record(RECORD_HALT, "BTC/USDT",
                                        "{\"code\":\"suspect\",\"reason\":\"overfill\"}"),
                            said_record(RECORD_JOURNAL, "reload", "{\"hash\":\"ab\"}"),
                            said_record(RECORD_ALERT, "late_fill", "he said \"no\"") };
    if (commit_at(f, START_NS + 9, 12, all, ARRAY_SIZE(all)) < 0)
        fail_msg("%s", f->err.message);

    assert_query(f,
                 "SELECT seq, session_id, time_ns - 1704067200000000000, event, kind, order_id"
                 " FROM trading_events",
                 "1|1|9|12|blocked|0\n2|1|9|12|order|1\n3|1|9|12|fill|1\n4|1|9|12|trip|0\n"
                 "5|1|9|12|halt|0\n6|1|9|12|halt|0\n7|1|9|12|journal|0\n8|1|9|12|alert|0\n");
    assert_query(
        f,
        "SELECT CASE kind WHEN 'fill' THEN json_remove(body, '$.client_order_id') ELSE body END"
        " FROM trading_events WHERE seq IN (1, 3, 4, 6, 8)",
        "{\"time\":\"2024-01-01T00:00:00.000000009Z\",\"instance_id\":1,"
        "\"strategy\":\"momentum\",\"venue\":\"sim\",\"symbol\":\"BTC/USDT\","
        "\"side\":\"buy\",\"type\":\"market\",\"tif\":\"gtc\",\"qty\":\"1.5\","
        "\"price\":null,\"trigger_price\":null,\"trail\":null,\"trail_is_share\":false,"
        "\"stop\":null,\"take\":null,"
        "\"reduce_only\":false,\"post_only\":false,\"role\":\"plain\","
        "\"parent_order_id\":0,\"code\":\"max_order_size\",\"reason\":\"too large\","
        "\"tag\":\"\"}\n"
        "{\"time\":\"2024-01-01T00:00:00.000000007Z\",\"instance_id\":1,"
        "\"strategy\":\"momentum\",\"venue\":\"sim\",\"symbol\":\"BTC/USDT\","
        "\"exec_id\":\"e-1\",\"kind\":\"trade\",\"replaces\":null,\"side\":\"buy\","
        "\"qty\":\"1.5\",\"price\":\"42000.1\",\"notional\":\"63000.15\",\"fee\":\"0.05\",\"fee_"
        "currency\":\"USDT\","
        "\"liquidity\":\"taker\"}\n"
        "{\"time\":\"2024-01-01T00:00:00.000000001Z\",\"instance_id\":1,"
        "\"strategy\":\"momentum\",\"venue\":\"sim\",\"symbol\":\"ETH/USDT:USDT\","
        "\"opened\":\"2024-01-01T00:00:00.000000000Z\",\"side\":\"sell\",\"qty\":\"3\","
        "\"entry_notional\":\"300\",\"entry_price\":\"10\",\"exit_qty\":\"3\","
        "\"exit_notional\":\"200\",\"exit_price\":\"6.666666666666666667\","
        "\"gross_pnl\":\"100\",\"fees\":\"0.1\",\"net_pnl\":\"99.9\",\"bars_held\":4,"
        "\"tag\":\"entry\"}\n"
        "{\"instance_id\":0,\"strategy\":\"\",\"name\":\"BTC/USDT\",\"body\":"
        "{\"code\":\"suspect\",\"reason\":\"overfill\"}}\n"
        "{\"instance_id\":0,\"strategy\":\"\",\"name\":\"late_fill\","
        "\"body\":\"he said \\\"no\\\"\"}\n");
    assert_query(f, "SELECT * FROM fills",
                 "3|sim|BTC/USDT|e-1|1|buy|1.5|42000.1|63000.15|0.05|USDT|taker|"
                 "1704067200000000007|trade|NULL\n");
    assert_query(f, "SELECT * FROM positions", "1|sim|BTC/USDT|1.5|63000.15|-1|0.05|0.25\n");
    assert_query(f, "SELECT * FROM strategy_state", "1|12|{\"n\":1}\n");
    assert_query(f, "SELECT * FROM halts",
                 "5|session|halt|lost it|1704067200000000009|NULL|NULL\n"
                 "6|BTC/USDT|suspect|overfill|1704067200000000009|NULL|NULL\n");
    assert_query(f, "SELECT * FROM journal", "7|1|12|reload|{\"hash\":\"ab\"}\n");
}

struct halts {
    struct halt_record list[4];
    size_t count;
};

static void keep_halt(void *self, const struct halt_record *halt)
{
    struct halts *halts = self;
    assert_true(halts->count < ARRAY_SIZE(halts->list));
    halts->list[halts->count++] = *halt;
}

static size_t halts_now(struct fixture *f, struct halts *halts)
{
    halts->count = 0;
    assert_int_equal(ledger_each_halt(f->ledger, keep_halt, halts, &f->err), 0);
    return halts->count;
}

static void a_halt_is_lifted_once(void **state)
{
    struct fixture *f = *state;
    struct halts halts;
    begin(f, "sim");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "loss"));
    commit_one(f, 2, said_record(RECORD_HALT, "BTC/USDT", "{\"code\":\"a\",\"reason\":\"b\"}"));
    commit_one(f, 3, said_record(RECORD_HALT, "session", "{\"lifted_by\":\"resume\"}"));
    assert_int_equal(halts_now(f, &halts), 1);
    commit_one(f, 4, said_record(RECORD_HALT, "session", "again"));
    assert_query(f, "SELECT reason, lifted_ns - since_ns, lifted_by FROM halts",
                 "loss|2|resume\nb|NULL|NULL\nagain|NULL|NULL\n");
    assert_int_equal(halts_now(f, &halts), 2);
    assert_string_equal(halts.list[0].scope, "BTC/USDT");
    assert_string_equal(halts.list[0].code, "a");
    assert_string_equal(halts.list[0].reason, "b");
    assert_string_equal(halts.list[1].scope, "session");
    assert_string_equal(halts.list[1].code, "halt");
    assert_string_equal(halts.list[1].reason, "again");
}

/* A feed's run begins anew: what halted another run says nothing about it, nor the reverse. */
static void halts_go_on_within_a_source_only(void **state)
{
    struct fixture *f = *state;
    struct halts halts;
    begin(f, "sim");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "sim"));
    begin(f, "feed");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "feed"));
    assert_int_equal(halts_now(f, &halts), 1);
    begin(f, "feed");
    assert_int_equal(halts_now(f, &halts), 0);
    commit_one(f, 1, said_record(RECORD_HALT, "session", "{\"lifted_by\":\"x\"}"));
    begin(f, "sim");
    assert_int_equal(halts_now(f, &halts), 1);
    assert_string_equal(halts.list[0].reason, "sim");
    commit_one(f, 2, said_record(RECORD_HALT, "session", "{\"lifted_by\":\"y\"}"));
    assert_int_equal(halts_now(f, &halts), 0);
    assert_query(f, "SELECT reason, lifted_by FROM halts", "sim|y\nfeed|NULL\n");
}

/* ---- what reconciliation writes ---- */

static struct record adjustment_record(struct fixture *f, const char *id)
{
    struct record record = { .kind = RECORD_ADJUSTMENT,
                             .instance_id = f->instance.instance_id,
                             .instrument = ETH,
                             .adjustment = { .qty_before = D("1"),
                                             .qty_after = D("-0.5"),
                                             .venue_qty = D("-0.25"),
                                             .price = D("2000.5"),
                                             .reason = "start" } };
    text_copy(record.adjustment.id, sizeof(record.adjustment.id), id);
    return record;
}

/* Seen again after a crash between the commit and the next comparison, it must not count twice. */
static void an_adjustment_is_booked_once(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_one(f, 1, adjustment_record(f, "a1"));
    struct record again = adjustment_record(f, "a1");
    again.adjustment.qty_before = D("7");
    struct record both[] = { again, adjustment_record(f, "a2"), adjustment_record(f, "a2") };
    assert_int_equal(commit_at(f, START_NS + 2, 2, both, 3), 0);
    both[0].adjustment.price = DECIMAL_NONE;
    text_copy(both[0].adjustment.id, sizeof(both[0].adjustment.id), "a3");
    commit_one(f, 3, both[0]);
    assert_query(f, "SELECT * FROM adjustments",
                 "1|a1|1704067200000000001|1|sim|ETH/USDT:USDT|1|-0.5|-0.25|2000.5|start\n"
                 "2|a2|1704067200000000002|1|sim|ETH/USDT:USDT|1|-0.5|-0.25|2000.5|start\n"
                 "3|a3|1704067200000000003|1|sim|ETH/USDT:USDT|7|-0.5|-0.25|NULL|start\n");
    assert_query(f, "SELECT kind, body FROM trading_events WHERE seq = 1",
                 "adjustment|{\"time\":\"2024-01-01T00:00:00.000000001Z\",\"instance_id\":1,"
                 "\"strategy\":\"momentum\",\"venue\":\"sim\",\"symbol\":\"ETH/USDT:USDT\","
                 "\"adjustment_id\":\"a1\",\"qty_before\":\"1\",\"qty_after\":\"-0.5\","
                 "\"venue_qty\":\"-0.25\",\"price\":\"2000.5\",\"reason\":\"start\"}\n");
    assert_chain(f, 3);
}

/* The rows are compared as any: one that comes again in a replay is of its own past, or is new. */
static void adjustments_and_cash_are_replayed(void **state)
{
    struct fixture *f = *state;
    for (int run = 0; run < 2; run++) {
        if (run == 0)
            begin(f, "feed");
        else
            resume(f, "feed", true);
        commit_one(f, 1, adjustment_record(f, "a1"));
        commit_one(f, 2, adjustment_record(f, "a1"));
        commit_one(f, 3, (struct record){ .kind = RECORD_CASH, .cash = { "EUR", D("1"), D("2") } });
        commit_one(f, 4, adjustment_record(f, "a2"));
    }
    assert_false(ledger_replaying(f->ledger));
    assert_query(f, "SELECT seq, event FROM trading_events", "1|1\n2|3\n3|4\n");
    assert_query(f, "SELECT seq, adjustment_id FROM adjustments", "1|a1\n3|a2\n");
}

struct cashes {
    struct cash_record list[4];
    size_t count;
};

static void keep_cash(void *self, const struct cash_record *cash)
{
    struct cashes *cashes = self;
    assert_true(cashes->count < ARRAY_SIZE(cashes->list));
    cashes->list[cashes->count++] = *cash;
}

static void cash_is_as_last_agreed(void **state)
{
    struct fixture *f = *state;
    struct cashes cashes = { 0 };
    begin(f, "sim");
    struct record records[] = {
        { .kind = RECORD_CASH, .instrument = BTC, .cash = { "USDT", D("100.5"), D("90") } },
        { .kind = RECORD_CASH, .instrument = INSTRUMENT_NONE, .cash = { "BTC", D("2"), D("2") } },
    };
    assert_int_equal(commit_at(f, START_NS, 1, records, 2), 0);
    records[0].cash.amount = D("-7");
    records[0].cash.own = D("0.25");
    commit_one(f, 2, records[0]);
    assert_int_equal(ledger_each_cash(f->ledger, "sim", keep_cash, &cashes, &f->err), 0);
    assert_int_equal(cashes.count, 2);
    assert_string_equal(cashes.list[0].currency, "BTC");
    assert_string_equal(cashes.list[1].currency, "USDT");
    assert_decimal(cashes.list[1].amount, D("-7"));
    assert_decimal(cashes.list[1].own, D("0.25"));
    assert_int_equal(ledger_each_cash(f->ledger, "other", keep_cash, &cashes, &f->err), 0);
    assert_int_equal(cashes.count, 2);
    assert_query(f, "SELECT kind, body FROM trading_events WHERE seq = 3",
                 "cash|{\"time\":\"2024-01-01T00:00:00.000000002Z\",\"venue\":\"sim\","
                 "\"currency\":\"USDT\",\"amount\":\"-7\",\"own\":\"0.25\"}\n");
    tamper(f, "UPDATE cash SET own = 'x'");
    assert_int_equal(ledger_each_cash(f->ledger, "sim", keep_cash, &cashes, &f->err), ERROR_IO);
    assert_says(f, "column own");
}

static void positions_state_journal_and_sources_come_back(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = f->instance.instance_id,
                               .instrument = ETH,
                               .position = { D("-2"), D("-20.5"), D("1.25"), D("0.3"), D("0") } };
    struct record keep = said_record(RECORD_STATE, "state", "{\"n\":1}");
    keep.instance_id = f->instance.instance_id;
    struct record records[] = { position, keep,
                                said_record(RECORD_JOURNAL, "reload.swap", "{\"a\":[1]}") };
    assert_int_equal(commit_at(f, START_NS, 5, records, 3), 0);
    keep.body = "{\"n\":2}";
    commit_one(f, 6, keep);
    assert_int_equal(ledger_put_source(f->ledger, "h1", "{\"file\":1}", 10, &f->err), 0);
    assert_int_equal(ledger_put_source(f->ledger, "h1", "{\"file\":1}", 10, &f->err), 0);

    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    struct loaded loaded;
    load(f, &loaded);
    assert_int_equal(loaded.positions, 1);
    assert_int_equal(loaded.instrument, ETH);
    assert_decimal(loaded.position.qty, D("-2"));
    assert_decimal(loaded.position.cost, D("-20.5"));
    assert_decimal(loaded.position.realized_pnl, D("1.25"));
    assert_decimal(loaded.position.fees, D("0.3"));
    assert_decimal(loaded.position.funding, D("0"));

    char *json;
    size_t length;
    assert_int_equal(ledger_state(f->ledger, f->instance.instance_id, &json, &length, &f->err), 0);
    assert_string_equal(json, "{\"n\":2}");
    assert_int_equal(length, 7);
    free(json);
    assert_int_equal(ledger_state(f->ledger, 99, &json, &length, &f->err), 0);
    assert_null(json);
    assert_int_equal(ledger_get_source(f->ledger, "h1", &json, &length, &f->err), 0);
    assert_string_equal(json, "{\"file\":1}");
    free(json);
    assert_int_equal(ledger_get_source(f->ledger, "h2", &json, &length, &f->err), 0);
    assert_null(json);

    struct journal_entry *entries;
    size_t count;
    assert_int_equal(ledger_journal(f->ledger, &entries, &count, &f->err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].name, "reload.swap");
    assert_string_equal(entries[0].body, "{\"a\":[1]}");
    assert_true(entries[0].event == 5);
    journal_release(entries, count);
}

/* Somebody edited the file: the number is not guessed. */
static void a_row_that_makes_no_sense_is_named(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    struct loaded loaded = { 0 };
    static const struct {
        const char *edit, *column;
    } cases[] = {
        { "qty = '1,5'", "column qty" },          { "side = 'up'", "column side" },
        { "price = 'cheap'", "column price" },    { "symbol = hex(zeroblob(99))", "column symbol" },
        { "stop_on = 'moon'", "column stop_on" }, { "type = ''", "column type" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char sql[200];
        tamper(f, "CREATE TABLE kept AS SELECT * FROM orders");
        snprintf(sql, sizeof(sql), "UPDATE orders SET %s", cases[i].edit);
        tamper(f, sql);
        assert_int_equal(ledger_each_open_order(f->ledger, f->instance.instance_id, load_order,
                                                &loaded, &f->err),
                         ERROR_IO);
        assert_says(f, "order 1");
        assert_says(f, cases[i].column);
        tamper(f, "DELETE FROM orders; INSERT INTO orders SELECT * FROM kept; DROP TABLE kept");
    }
    tamper(f, "UPDATE orders SET symbol = 'DOGE/USDT'");
    assert_int_equal(
        ledger_each_open_order(f->ledger, f->instance.instance_id, load_order, &loaded, &f->err),
        ERROR_CONFIG);
    assert_says(f, "DOGE/USDT");
    tamper(f, "INSERT INTO positions VALUES(1, 'sim', 'DOGE/USDT', '0', '0', '1', '0', '0')");
    load_position(&loaded, 0, &loaded.position, &f->err);
    loaded.positions = 0;
    assert_int_equal(
        ledger_each_position(f->ledger, f->instance.instance_id, load_position, &loaded, &f->err),
        0);
    assert_int_equal(loaded.positions, 0);
    tamper(f, "UPDATE positions SET qty = '1'");
    assert_int_equal(
        ledger_each_position(f->ledger, f->instance.instance_id, load_position, &loaded, &f->err),
        ERROR_CONFIG);
    tamper(f, "UPDATE positions SET cost = 'x'");
    assert_int_equal(
        ledger_each_position(f->ledger, f->instance.instance_id, load_position, &loaded, &f->err),
        ERROR_IO);
    assert_says(f, "column cost");
}

/* ---- all or nothing ---- */

/* Counting one execution twice would double the position. */
static void a_fill_is_booked_once(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    assert_false(BOOKED_NOT != f->port.find_fill(f->port.self, BTC, "e-1", NULL, NULL));
    commit_one(f, 1, fill_record(&order, "e-1", "0.5", "100"));
    assert_true(BOOKED_YES == f->port.find_fill(f->port.self, BTC, "e-1", NULL, NULL));
    assert_false(BOOKED_NOT != f->port.find_fill(f->port.self, ETH, "e-1", NULL, NULL));
    assert_false(BOOKED_NOT != f->port.find_fill(f->port.self, BTC, "e-2", NULL, NULL));

    struct record records[] = { order_record(&order), fill_record(&order, "e-1", "0.5", "100") };
    char *before = query(f, "SELECT * FROM trading_events, orders");
    assert_int_equal(commit_at(f, START_NS + 2, 2, records, 2), ERROR_INTERNAL);
    assert_says(f, "book fill e-1 of BTC/USDT at sim");
    assert_query(f, "SELECT * FROM trading_events, orders", before);
    free(before);

    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    assert_true(BOOKED_YES == f->port.find_fill(f->port.self, BTC, "e-1", NULL, NULL));
}

static struct record own_fill(struct order *order, enum fill_kind kind, const char *exec_id,
                              const char *qty, const char *notional, const char *fee)
{
    struct record record = order_record(order);
    record.kind = RECORD_FILL;
    record.fill = (struct fill){ .kind = kind,
                                 .qty = D(qty),
                                 .price = D("100"),
                                 .notional = D(notional),
                                 .fee = D(fee),
                                 .transact_ns = START_NS + 8 };
    text_copy(record.fill.exec_id, sizeof(record.fill.exec_id), exec_id);
    return record;
}

/* Whoever adds up the rows of an order gets what the order says, whatever was taken back. */
static void what_is_taken_back_is_taken_off(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    struct record trade = fill_record(&order, "e-1", "0.5", "100");
    struct record inferred = own_fill(&order, FILL_INFERRED, "i-1", "0.75", "75.0000001", "0");
    struct record part = own_fill(&order, FILL_REVERSAL, "r-1", "0.25", "25.0000001", "0");
    struct record bust = own_fill(&order, FILL_REVERSAL, "r-2", "0.5", "50", "0.05");
    text_copy(part.fill.replaces, sizeof(part.fill.replaces), "inferred");
    text_copy(bust.fill.replaces, sizeof(bust.fill.replaces), "e-1");
    struct record records[] = { trade, inferred, part };
    assert_int_equal(commit_at(f, START_NS, 1, records, 3), 0);

    struct fill booked;
    uint64_t order_id = 0;
    assert_int_equal(f->port.find_fill(f->port.self, BTC, "e-1", &booked, &order_id), BOOKED_YES);
    assert_true(order_id == order.order_id);
    commit_one(f, 2, bust);
    assert_int_equal(f->port.find_fill(f->port.self, BTC, "e-1", &booked, NULL), BOOKED_REVERSED);
    assert_string_equal(booked.exec_id, "e-1");
    assert_int_equal(booked.kind, FILL_TRADE);
    assert_decimal(booked.qty, D("0.5"));
    assert_decimal(booked.price, D("100"));
    assert_decimal(booked.notional, D("50"));
    assert_decimal(booked.fee, D("0.05"));
    assert_true(booked.transact_ns == START_NS + 7);
    assert_int_equal(f->port.find_fill(f->port.self, BTC, "r-2", &booked, NULL), BOOKED_YES);
    assert_int_equal(booked.kind, FILL_REVERSAL);
    assert_decimal(booked.qty, D("0.5")); /* > 0: a reversal is told by its kind */
    assert_decimal(booked.notional, D("50"));

    assert_query(f, "SELECT fill_id, exec_id, kind, qty, notional, fee, replaces FROM fills",
                 "1|e-1|trade|0.5|50|0.05|NULL\n2|i-1|inferred|0.75|75.0000001|0|NULL\n"
                 "3|r-1|reversal|-0.25|-25.0000001|0|NULL\n4|r-2|reversal|-0.5|-50|-0.05|1\n");
    assert_query(f,
                 "SELECT json_extract(body, '$.kind', '$.replaces', '$.qty', '$.notional', '$.fee')"
                 " FROM trading_events WHERE seq > 2",
                 "[\"reversal\",\"inferred\",\"-0.25\",\"-25.0000001\",\"0\"]\n"
                 "[\"reversal\",\"e-1\",\"-0.5\",\"-50\",\"-0.05\"]\n");

    struct record stray = own_fill(&order, FILL_REVERSAL, "r-3", "0.5", "50", "0");
    text_copy(stray.fill.replaces, sizeof(stray.fill.replaces), "e-9");
    assert_int_equal(commit_at(f, START_NS, 3, &stray, 1), ERROR_INTERNAL);
    assert_says(f, "takes back e-9, which is not there");
}

/* The venue goes on naming a trade by its first id: what stands for it is found under that. */
static void what_corrects_a_trade_is_found_under_its_first_id(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    static const char *const takes_back[] = { "e-1", "c-1", "c-2" };
    struct fill booked;
    commit_one(f, 1, fill_record(&order, "e-1", "0.5", "100"));
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof(id), "r-%d", i + 1);
        struct record off = own_fill(&order, FILL_REVERSAL, id, "0.5", "50", "0");
        text_copy(off.fill.replaces, sizeof(off.fill.replaces), takes_back[i]);
        snprintf(id, sizeof(id), "c-%d", i + 1);
        struct record is = own_fill(&order, FILL_TRADE, id, "0.25", "0", "0");
        text_copy(is.fill.replaces, sizeof(is.fill.replaces), "e-1");
        struct record records[] = { off, is };
        assert_int_equal(commit_at(f, START_NS + i, (uint64_t)i + 2, records, 2), 0);
        assert_int_equal(f->port.find_fill(f->port.self, BTC, "e-1", &booked, NULL), BOOKED_YES);
        assert_string_equal(booked.exec_id, id);
        assert_int_equal(booked.kind, FILL_TRADE);
        assert_decimal(booked.qty, D("0.25"));
    }
    struct record bust = own_fill(&order, FILL_REVERSAL, "r-4", "0.25", "25", "0");
    text_copy(bust.fill.replaces, sizeof(bust.fill.replaces), "c-3");
    commit_one(f, 9, bust);
    assert_int_equal(f->port.find_fill(f->port.self, BTC, "e-1", &booked, NULL), BOOKED_REVERSED);
    assert_string_equal(booked.exec_id, "c-3");
    assert_query(f, "SELECT exec_id, replaces FROM fills WHERE kind = 'trade'",
                 "e-1|NULL\nc-1|1\nc-2|1\nc-3|1\n");
}

static void an_order_is_found_by_any_of_its_names(void **state)
{
    struct fixture *f = *state;
    struct order order, found;
    begin(f, "sim");
    struct order first = new_order(f);
    commit_one(f, 1, order_record(&first));
    order = new_order(f);
    f->port.next_client_order_id(f->port.self, order.current_client_order_id);
    f->port.next_client_order_id(f->port.self, order.pending_client_order_id);
    order.known = ORDER_CANCELED;
    order.inferred_qty = order.inferred_notional = DECIMAL_ZERO;
    commit_one(f, 2, order_record(&order));
    struct order adopted =
        new_order(f); /* of a tail that a backup lacks: its number is another's */
    text_copy(adopted.client_order_id, sizeof(adopted.client_order_id), first.client_order_id);
    adopted.client_order_id[6] = '0';
    commit_one(f, 3, order_record(&adopted));

    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    const char *const names[] = { order.client_order_id, order.current_client_order_id,
                                  order.pending_client_order_id };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_true(f->port.find_order(f->port.self, names[i], &found));
        assert_same_order(&found, &order);
    }
    assert_true(f->port.find_order(f->port.self, first.client_order_id, &found));
    assert_true(found.order_id == first.order_id);
    assert_true(f->port.find_order(f->port.self, adopted.client_order_id, &found));
    assert_true(found.order_id == adopted.order_id);
    assert_false(f->port.find_order(f->port.self, "", &found));
    assert_false(f->port.find_order(f->port.self, "web_7", &found));
    adopted.client_order_id[16] = 'A'; /* not of our letters */
    assert_false(f->port.find_order(f->port.self, adopted.client_order_id, &found));
    adopted.client_order_id[16] = '!';
    assert_false(f->port.find_order(f->port.self, adopted.client_order_id, &found));

    assert_query(f,
                 "EXPLAIN QUERY PLAN SELECT 1 FROM orders WHERE current_client_order_id = 'x'"
                 " AND current_client_order_id <> client_order_id",
                 "3|0|0|SEARCH orders USING INDEX orders_renamed (current_client_order_id=?)\n");
    tamper(f, "UPDATE orders SET qty = 'x' WHERE order_id = 1");
    assert_false(f->port.find_order(f->port.self, first.client_order_id, &found));
    tamper(f, "UPDATE orders SET qty = '1', symbol = 'DOGE/USDT' WHERE order_id = 1");
    assert_false(f->port.find_order(f->port.self, first.client_order_id, &found));
}

static void an_invalid_number_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order good = new_order(f), bad = new_order(f);
    bad.notional = DECIMAL_NONE;
    struct record records[] = { order_record(&good), order_record(&bad) };
    assert_int_equal(commit_at(f, START_NS, 1, records, 2), ERROR_INTERNAL);
    assert_says(f, "order 2");
    assert_query(f, "SELECT count(*) FROM trading_events", "0\n");
    assert_query(f, "SELECT count(*) FROM orders", "0\n");
}

/* A turn that failed and is tried again is recorded as if it had not failed. */
static void a_failed_turn_leaves_no_trace_in_memory(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    order.known = ORDER_NEW;
    sqlite3 *db = f->ledger->db;
    for (int i = 0; i < 2; i++) {
        struct record records[] = { order_record(&order), order_record(&order) };
        records[1].order.qty = DECIMAL_NONE;
        assert_int_equal(commit_at(f, START_NS + 2, 2, records, 2), ERROR_INTERNAL);
        assert_true(sqlite3_get_autocommit(db));
    }
    commit_one(f, 2, order_record(&order));
    assert_query(f,
                 "SELECT seq, json_extract(body, '$.status_before', '$.status')"
                 " FROM trading_events",
                 "1|[null,\"pending_new\"]\n2|[\"pending_new\",\"new\"]\n");
    assert_chain(f, 2);
}

/* The status before is that of the last run, or of the part that was replayed. */
static void the_status_before_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    resume(f, "sim", false);
    order.known = ORDER_NEW;
    struct record both[] = { order_record(&order), order_record(&order) };
    both[1].order.known = ORDER_CANCELED;
    assert_int_equal(commit_at(f, START_NS, 2, both, 2), 0);

    begin(f, "feed");
    order = new_order(f);
    commit_one(f, 1, order_record(&order));
    resume(f, "feed", true);
    commit_one(f, 1, order_record(&order));
    struct record bad = order_record(&order);
    bad.order.fees = DECIMAL_NONE;
    assert_int_equal(commit_at(f, START_NS, 2, &bad, 1), ERROR_INTERNAL);
    order.known = ORDER_NEW;
    commit_one(f, 2, order_record(&order));
    assert_query(f, "SELECT json_extract(body, '$.status_before', '$.status') FROM trading_events",
                 "[null,\"pending_new\"]\n[\"pending_new\",\"new\"]\n[\"new\",\"canceled\"]\n"
                 "[null,\"pending_new\"]\n[\"pending_new\",\"new\"]\n");
    assert_chain(f, 5);
}

static void an_empty_turn_writes_nothing(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    int before = sqlite3_total_changes(f->ledger->db);
    assert_int_equal(commit_at(f, START_NS, 1, NULL, 0), 0);
    assert_int_equal(sqlite3_total_changes(f->ledger->db), before);
}

static void a_full_disk_stops_the_turn(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    char *before = query(f, "SELECT * FROM trading_events, orders");

    assert_int_equal(sqlite3_exec(f->ledger->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), 0);
    static char large[64 * 1024];
    memset(large, 'x', sizeof(large) - 1);
    order.known = ORDER_NEW;
    struct record records[] = { order_record(&order), said_record(RECORD_ALERT, "alert", large) };
    assert_int_equal(commit_at(f, START_NS + 2, 2, records, 2), ERROR_IO);
    assert_says(f, "disk is full");
    assert_says(f, "nothing of event 2 was recorded");
    assert_query(f, "SELECT * FROM trading_events, orders", before);
    free(before);

    assert_int_equal(
        sqlite3_exec(f->ledger->db, "PRAGMA max_page_count = 100000", NULL, NULL, NULL), 0);
    assert_int_equal(commit_at(f, START_NS + 2, 2, records, 2), ERROR_IO);
    assert_int_equal(ledger_progress(f->ledger, START_NS + 2, 2, &f->err), ERROR_IO);
    assert_int_equal(ledger_session_end(f->ledger, START_NS + 2, &f->err), ERROR_IO);
    close_ledger(f);
    open_ledger(f);
    resume(f, "sim", false);
    assert_int_equal(commit_at(f, START_NS + 2, 2, records, 2), 0);
}

/* Commits until the file may not grow. */
static int until_too_large(struct fixture *f, const char *word)
{
    struct rlimit limit = { 512 * 1024, 512 * 1024 };
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    open_ledger(f);
    begin(f, "sim");
    for (uint64_t event = 1; event < 10000; event++) {
        struct order order = new_order(f);
        struct record record = order_record(&order);
        if (commit_at(f, START_NS, event, &record, 1) == 0)
            continue;
        if (f->err.code != ERROR_IO || !strstr(f->err.message, word))
            return (fprintf(stderr, "%s\n", f->err.message), 3);
        return 0; /* and dies without closing */
    }
    return 4;
}

static void a_file_that_may_not_grow_keeps_what_was_committed(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    assert_int_equal(child_of(f, until_too_large, "File too large"), 0);
    open_ledger(f);
    assert_query(f, "SELECT count(*) > 10, count(*) - max(seq) FROM trading_events", "1|0\n");
    assert_query(f, "SELECT * FROM pragma_integrity_check", "ok\n");
    assert_query(f, "SELECT (SELECT count(*) FROM orders) = (SELECT count(*) FROM trading_events)",
                 "1\n");
}

/* ---- ids ---- */

static void client_order_ids_are_short_and_never_come_twice(void **state)
{
    struct fixture *f = *state;
    char *ledger_id = query(f, "SELECT value FROM meta WHERE key = 'ledger_id'");
    ledger_id[4] = '\0';
    char expected[32], id[CLIENT_ORDER_ID_MAX];

    begin(f, "sim");
    snprintf(expected, sizeof(expected), "r%ss44we8000001", ledger_id);
    assert_int_equal(f->port.next_order_id(f->port.self, id), 1);
    assert_string_equal(id, expected);
    assert_int_equal(strlen(id), 17);
    struct order order = new_order(f);
    assert_int_equal(order.order_id, 2);
    commit_one(f, 1, order_record(&order));

    /* An id of a turn that never committed was never seen: it may come again, but not its name. */
    begin(f, "sim"); /* in the same second */
    assert_true(f->session.epoch == WALL_NS / NS_PER_SECOND + 1);
    snprintf(expected, sizeof(expected), "r%ss44we9000003", ledger_id);
    assert_int_equal(f->port.next_order_id(f->port.self, id), 3);
    assert_string_equal(id, expected);

    resume(f, "sim", false);
    assert_true(f->session.epoch == WALL_NS / NS_PER_SECOND + 86400);
    snprintf(expected, sizeof(expected), "r%ss46r28000003", ledger_id);
    assert_int_equal(f->port.next_order_id(f->port.self, id), 3);
    assert_string_equal(id, expected);

    /* A clock that was set back. */
    begin(f, "sim");
    assert_true(f->session.epoch == WALL_NS / NS_PER_SECOND + 86401);
    free(ledger_id);
}

/* ---- sessions ---- */

static void sessions_are_found_by_mode_and_source(void **state)
{
    struct fixture *f = *state;
    bool found;
    struct session_record record;
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    assert_false(found);

    begin(f, "feed");
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 40, order_record(&order));
    assert_int_equal(ledger_progress(f->ledger, START_NS + 30, 50, &f->err), 0);
    assert_int_equal(ledger_last_session(f->ledger, "live", "sim", &found, &record, &f->err), 0);
    assert_false(found);
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    assert_true(found);
    assert_true(record.session_id == 2);
    assert_string_equal(record.mode, "paper");
    assert_string_equal(record.source, "sim");
    assert_string_equal(record.config, "{\"seed\":1}");
    assert_string_equal(record.build, "0.1.0 test");
    assert_true(record.started_ns == START_NS);
    assert_true(record.market_ns == START_NS + 40); /* the commit's; progress never goes back */
    assert_true(record.events == 50);
    assert_true(record.ended_ns == TIME_NEVER);
    session_record_release(&record);

    assert_int_equal(ledger_session_end(f->ledger, START_NS + 60, &f->err), 0);
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    assert_true(record.ended_ns == START_NS + 60);
    assert_true(record.market_ns == START_NS + 60);
    session_record_release(&record);
    assert_int_equal(ledger_last_session(f->ledger, "paper", "feed", &found, &record, &f->err), 0);
    assert_true(record.session_id == 1);
    session_record_release(&record);

    record = (struct session_record){ .session_id = 77, .mode = "paper", .source = "sim" };
    assert_int_equal(ledger_session_begin(f->ledger, &record, true, false, WALL_NS, &f->err),
                     ERROR_INTERNAL);
    assert_says(f, "no session 77");
}

/* The time reached is kept up by commits that append no row, too. */
static void the_time_reached_is_kept_up(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct record keep = said_record(RECORD_STATE, "state", "{}");
    keep.instance_id = f->instance.instance_id;
    commit_one(f, 25, keep);
    bool found;
    struct session_record record;
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    assert_true(record.market_ns == START_NS + 25);
    assert_true(record.events == 25);
    session_record_release(&record);
}

static void resuming_takes_over_what_the_command_says_now(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    assert_int_equal(ledger_session_end(f->ledger, START_NS, &f->err), 0);
    bool found;
    struct session_record record;
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    free(record.config);
    record.config = strdup("{\"seed\":2}");
    assert_int_equal(ledger_session_begin(f->ledger, &record, true, false, WALL_NS, &f->err), 0);
    session_record_release(&record);
    assert_query(f, "SELECT session_id, config, ended_ns FROM sessions", "1|{\"seed\":2}|NULL\n");
}

static void instances_are_shared_by_a_source_and_never_by_feeds(void **state)
{
    struct fixture *f = *state;
    bool is_new;
    begin(f, "sim");
    assert_int_equal(f->instance.instance_id, 1);
    assert_int_equal(ledger_instance(f->ledger, &f->instance, &is_new, &f->err), 0);
    assert_false(is_new);
    begin(f, "feed");
    assert_int_equal(f->instance.instance_id, 2);
    begin(f, "feed");
    assert_int_equal(f->instance.instance_id, 3);
    resume(f, "feed", true);
    assert_int_equal(f->instance.instance_id, 3);
    begin(f, "sim");
    text_copy(f->instance.version, sizeof(f->instance.version), "2.0.0");
    assert_int_equal(ledger_instance(f->ledger, &f->instance, &is_new, &f->err), 0);
    assert_false(is_new);
    add_instance(f, "momentum", "ETH/USDT:USDT");
    assert_query(f, "SELECT instance_id, scope, strategy, symbol, version, capital FROM instances",
                 "1|sim|momentum|BTC/USDT|2.0.0|10000\n2|feed#2|momentum|BTC/USDT|1.0.0|10000\n"
                 "3|feed#3|momentum|BTC/USDT|1.0.0|10000\n"
                 "4|sim|momentum|ETH/USDT:USDT|1.0.0|10000\n");
}

static int commit_and_die(struct fixture *f, const char *word)
{
    (void)word;
    open_ledger(f);
    begin(f, "sim");
    for (uint64_t event = 1; event <= 20; event++) {
        struct order order = new_order(f);
        struct record records[] = { order_record(&order),
                                    fill_record(&order, order.client_order_id, "1.5", "100") };
        if (commit_at(f, START_NS + (int64_t)event, event, records, 2) < 0)
            return 2;
    }
    kill(getpid(), SIGKILL);
    return 3;
}

/* What was committed is there after a kill, and the session is seen not to have ended. */
static void a_killed_process_loses_nothing_it_committed(void **state)
{
    struct fixture *f = *state;
    close_ledger(f);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(commit_and_die(f, ""));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    open_ledger(f);
    bool found;
    struct session_record record;
    assert_int_equal(ledger_last_session(f->ledger, "paper", "sim", &found, &record, &f->err), 0);
    assert_true(found);
    assert_true(record.ended_ns == TIME_NEVER);
    assert_true(record.events == 20);
    assert_true(record.market_ns == START_NS + 20);
    session_record_release(&record);
    assert_query(f, "SELECT count(*), max(seq) FROM trading_events", "40|40\n");
    assert_query(f, "SELECT count(*) FROM fills", "20\n");
    resume(f, "sim", false);
    assert_int_equal(new_order(f).order_id, 21);
}

/* ---- the chain ---- */

static void anybody_can_check_the_chain(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));
    commit_one(f, 2, fill_record(&order, "e-1", "1.5", "100"));
    close_ledger(f);
    open_ledger(f);
    begin(f, "feed"); /* goes on over sessions */
    order = new_order(f);
    commit_one(f, 3, order_record(&order));
    assert_chain(f, 3);

    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(db, "DELETE FROM trading_events", NULL, NULL, NULL), 0);
    assert_int_not_equal(sqlite3_exec(db, "UPDATE trading_events SET event = 9", NULL, NULL, NULL),
                         0);
    sqlite3_close(db);
}

/* ---- the anchor ---- */

static const char *anchor_path(const struct fixture *f)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/audit-paper.head", f->directory);
    return path;
}

static int open_anchored(struct fixture *f, bool power_safe)
{
    struct ledger_options options = options_of(f);
    options.anchor_path = anchor_path(f);
    options.power_safe = power_safe;
    f->err = (struct error){ 0 };
    close_ledger(f);
    int code = ledger_open(&options, &f->ledger, &f->err);
    if (code == 0)
        f->port = ledger_port(f->ledger);
    return code;
}

static void assert_anchor(const struct fixture *f)
{
    struct anchor_head head = { 0 };
    struct error err = { 0 };
    char text[100], *expected = query(f, "SELECT coalesce(max(seq), 0), coalesce((SELECT hash FROM"
                                         " trading_events ORDER BY seq DESC LIMIT 1),"
                                         " replace(hex(zeroblob(32)), 'x', '0'))"
                                         " FROM trading_events");
    bool found;
    assert_int_equal(anchor_read(anchor_path(f), &found, &head, &err), 0);
    assert_true(found);
    snprintf(text, sizeof(text), "%" PRId64 "|%s\n", head.seq, head.hash);
    assert_string_equal(text, expected);
    free(expected);
}

static void commit_order(struct fixture *f, uint64_t event)
{
    struct order order = new_order(f);
    commit_one(f, event, order_record(&order));
}

static void the_anchor_follows_the_head(void **state)
{
    struct fixture *f = *state;
    bool found;
    struct anchor_head head;
    assert_int_equal(anchor_read(anchor_path(f), &found, &head, &f->err), 0);
    assert_false(found);
    for (int power = 0; power < 2; power++) {
        assert_int_equal(open_anchored(f, power), 0);
        assert_anchor(f);
        begin(f, "sim");
        for (uint64_t event = 1; event < 5; event++) {
            commit_order(f, event);
            assert_anchor(f);
            commit_one(f, event, said_record(RECORD_ALERT, "a", "b"));
            assert_anchor(f);
        }
    }
    /* Gathered turns are anchored when they are committed. */
    begin(f, "feed");
    ledger_group_turns(f->ledger);
    commit_order(f, 9);
    assert_int_equal(anchor_read(anchor_path(f), &found, &head, &f->err), 0);
    assert_int_equal(head.seq, 16);
    assert_int_equal(ledger_progress(f->ledger, START_NS + 9, 9, &f->err), 0);
    assert_anchor(f);
    assert_int_equal(open_anchored(f, false), 0);
}

/* After a kill between the commit and the anchor. */
static void an_anchor_that_is_behind_is_brought_up(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_anchored(f, false), 0);
    begin(f, "sim");
    commit_order(f, 1);
    close_ledger(f);
    open_ledger(f); /* without it */
    resume(f, "sim", false);
    commit_order(f, 2);
    assert_int_equal(open_anchored(f, false), 0);
    assert_anchor(f);
}

static void a_cut_tail_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_anchored(f, false), 0);
    begin(f, "sim");
    commit_order(f, 1);
    commit_order(f, 2);
    tamper(f, "DROP TRIGGER trading_events_kept; DELETE FROM trading_events WHERE seq = 2");
    assert_int_equal(open_anchored(f, false), ERROR_IO);
    assert_says(f, "ends at row 1, but");
    assert_says(f, "knows row 2");
    assert_says(f, "runtime restore");
    assert_int_equal(unlink(anchor_path(f)), 0); /* the way back that it names */
    assert_int_equal(open_anchored(f, false), 0);
    assert_anchor(f);
}

/* Nothing is made where it was: what is put back there must not meet an empty one. */
static void a_ledger_that_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    char wal[256];
    assert_int_equal(open_anchored(f, false), 0);
    close_ledger(f);
    assert_int_equal(unlink(f->path), 0); /* the anchor knows no row yet: nothing is lost */
    assert_int_equal(open_anchored(f, false), 0);
    begin(f, "sim");
    commit_order(f, 1);
    close_ledger(f);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(open_anchored(f, false), ERROR_IO);
    assert_says(f, "is not there, but");
    assert_says(f, "knows row 1");
    assert_says(f, "runtime restore");
    assert_int_equal(access(f->path, F_OK), -1);
    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    assert_int_equal(access(wal, F_OK), -1);
    assert_int_equal(unlink(anchor_path(f)), 0); /* the way on that it names */
    assert_int_equal(open_anchored(f, false), 0);
    assert_anchor(f);
}

static void another_ledger_in_its_place_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_anchored(f, false), 0);
    begin(f, "sim");
    commit_order(f, 1);
    tamper(f, "DROP TRIGGER trading_events_unchanged;"
              "UPDATE trading_events SET hash = substr(hash, 2) || substr(hash, 1, 1)");
    assert_int_equal(open_anchored(f, false), ERROR_IO);
    assert_says(f, "row 1 is not the one");
}

/* What the anchor names is gone from the middle, though the chain goes on after it. */
static void a_row_that_the_anchor_names_and_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_anchored(f, false), 0);
    begin(f, "sim");
    commit_order(f, 1);
    close_ledger(f);
    open_ledger(f); /* without it */
    resume(f, "sim", false);
    commit_order(f, 2);
    tamper(f, "DROP TRIGGER trading_events_kept; DELETE FROM trading_events WHERE seq = 1");
    assert_int_equal(open_anchored(f, false), ERROR_IO);
    assert_says(f, "row 1 is not the one");
}

/* Numbers below zero are in no record, whatever their checksum. */
static void a_record_of_what_cannot_be_is_none(void **state)
{
    struct fixture *f = *state;
    static const char *const heads[] = { "-1 5", "5 -1" };
    bool found;
    struct anchor_head head;
    char name[1000];
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        FILE *file = fopen(anchor_path(f), "w");
        assert_non_null(file);
        fprintf(file, "runtime-head 1 %s %064d \n", heads[i], 0);
        fclose(file);
        assert_int_equal(anchor_read(anchor_path(f), &found, &head, &f->err), ERROR_IO);
        assert_false(found);
        assert_says(f, "neither of its records can be read");
    }
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct anchor *anchor;
    assert_int_equal(anchor_open(name, &anchor, &found, &head, &f->err), ERROR_IO);
    assert_says(f, "cannot open it");
    assert_null(anchor);
}

static void fail_with(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    sqlite3_result_error_code(context, sqlite3_value_int(values[0]));
}

/* Whoever reads it learns what to do. */
static void each_class_of_failure_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int sqlite, code;
        const char *words;
    } classes[] = {
        { SQLITE_FULL, ERROR_IO, "the disk is full; free some space" },
        { SQLITE_READONLY, ERROR_IO, "the file or its directory is read-only" },
        { SQLITE_PERM, ERROR_IO, "permission denied" },
        { SQLITE_AUTH, ERROR_IO, "permission denied" },
        { SQLITE_BUSY, ERROR_UNAVAILABLE, "another program holds a lock on it" },
        { SQLITE_LOCKED, ERROR_UNAVAILABLE, "another program holds a lock on it" },
        { SQLITE_CORRUPT, ERROR_IO, "the file is damaged; go back to a backup" },
        { SQLITE_NOTADB, ERROR_IO, "the file is no ledger" },
        { SQLITE_CANTOPEN, ERROR_IO, "the file cannot be opened" },
        { SQLITE_IOERR, ERROR_IO, "the disk failed" },
        { SQLITE_TOOBIG, ERROR_IO, "a row is too long" },
        { SQLITE_MISMATCH, ERROR_IO, "SQLite refused" },
    };
    sqlite3 *db;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_create_function(db, "fail_with", 1, SQLITE_UTF8, NULL, fail_with, NULL, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        char sql[40];
        snprintf(sql, sizeof(sql), "SELECT fail_with(%d)", classes[i].sqlite);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), classes[i].sqlite);
        assert_int_equal(ledger_failed(db, "l.sqlite", ERROR_UNAVAILABLE, &f->err, "read %s", "it"),
                         classes[i].code);
        assert_says(f, "ledger l.sqlite: cannot read it: ");
        assert_says(f, classes[i].words);
    }
    sqlite3_close(db);
}

static void an_order_id_has_six_digits(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    assert_int_equal(ledger_set_next_order_id(f->ledger, 0, &f->err), ERROR_IO);
    assert_says(f, "the next order id would be 0, allowed 1 to 2176782335");
    assert_int_equal(ledger_set_next_order_id(f->ledger, 2176782336, &f->err), ERROR_IO);
    assert_int_equal(ledger_set_next_order_id(f->ledger, 2176782335, &f->err), 0);
    struct order order = new_order(f);
    assert_string_equal(order.client_order_id + 11, "zzzzzz");
    assert_int_equal(ledger_order_number(f->ledger, order.client_order_id), 2176782335);
}

/* Also while it is compared with what was recorded. */
static void a_row_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    commit_one(f, 1, said_record(RECORD_ALERT, "a", "b"));
    char *longest = memory_new(ROW_BODY_MAX + 2);
    memset(longest, 'x', ROW_BODY_MAX + 1);
    struct record record = said_record(RECORD_ALERT, "a", longest);
    resume(f, "feed", true);
    assert_int_equal(commit_at(f, START_NS + 1, 1, &record, 1), ERROR_INTERNAL);
    assert_says(f, "a row of kind alert is longer than 16777216 bytes");
    resume(f, "feed", false);
    assert_int_equal(commit_at(f, START_NS + 2, 2, &record, 1), ERROR_INTERNAL);
    assert_says(f, "a row of kind alert is longer than 16777216 bytes");
    free(longest);
    assert_query(f, "SELECT count(*) FROM trading_events", "1\n");
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, at, SEEK_SET);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* A write that was cut in the middle leaves the record before it, whichever byte it stopped at. */
static void a_torn_record_leaves_the_older_one(void **state)
{
    struct fixture *f = *state;
    struct anchor *anchor;
    struct anchor_head head = { .seq = 1 }, read;
    bool found;
    memset(head.hash, 'a', 64);
    for (long slot = 0; slot < 2; slot++) {
        for (long at = 0; at < 160; at += 1 + at / 40) {
            unlink(anchor_path(f));
            assert_int_equal(anchor_open(anchor_path(f), &anchor, &found, &read, &f->err), 0);
            assert_false(found);
            for (head.seq = 1; head.seq < 8 + slot; head.seq++)
                assert_int_equal(anchor_write(anchor, &head, true, &f->err), 0);
            anchor_close(anchor);
            flip(anchor_path(f), (head.seq - 1) % 2 * 4096 + at);
            assert_int_equal(anchor_read(anchor_path(f), &found, &read, &f->err), 0);
            assert_true(found);
            assert_int_equal(read.seq, head.seq - 2);
        }
    }
    /* The next one goes over the torn one, never over the one that is left. */
    assert_int_equal(anchor_open(anchor_path(f), &anchor, &found, &read, &f->err), 0);
    assert_int_equal(anchor_write(anchor, &head, false, &f->err), 0);
    anchor_close(anchor);
    flip(anchor_path(f), (head.seq - 1) % 2 * 4096);
    assert_int_equal(anchor_read(anchor_path(f), &found, &read, &f->err), 0);
    assert_int_equal(read.seq, head.seq - 2);

    flip(anchor_path(f), (head.seq - 2) % 2 * 4096 + 20);
    assert_int_equal(anchor_read(anchor_path(f), &found, &read, &f->err), ERROR_IO);
    assert_says(f, "neither of its records can be read");
    assert_int_equal(open_anchored(f, false), ERROR_IO);
    assert_int_equal(truncate(anchor_path(f), 0), 0); /* a crash while it was made */
    assert_int_equal(open_anchored(f, false), 0);
    assert_anchor(f);
}

static void an_anchor_that_cannot_be_written_stops_the_run(void **state)
{
    struct fixture *f = *state;
    struct ledger_options options = options_of(f);
    options.anchor_path = f->directory;
    close_ledger(f);
    assert_int_equal(ledger_open(&options, &f->ledger, &f->err), ERROR_IO);
    assert_says(f, "cannot open it");
}

/* ---- replay ---- */

/* A run's events are orders that fill, three turns each; event 2 wastes an id, as a callback does
 * that asks and then fails. */
struct run {
    struct order order;
};

static void run_turn(struct fixture *f, struct run *run, uint64_t event, int phase)
{
    struct order *order = &run->order;
    char exec_id[16];
    snprintf(exec_id, sizeof(exec_id), "e-%d", (int)event);
    uint64_t number = event * 10 + (uint64_t)phase;
    if (phase < 2) {
        if (phase == 0)
            *order = new_order(f);
        if (phase == 0 && event == 2)
            (void)new_order(f);
        order->known = phase == 0 ? ORDER_PENDING_NEW : ORDER_NEW;
        commit_one(f, number, order_record(order));
        return;
    }
    assert_false(BOOKED_NOT != f->port.find_fill(f->port.self, BTC, exec_id, NULL, NULL));
    struct record records[] = { fill_record(order, exec_id, "1.5", "100"),
                                order_record(order),
                                { .kind = RECORD_POSITION,
                                  .instance_id = f->instance.instance_id,
                                  .instrument = BTC,
                                  .position = { decimal_int((int64_t)event), D("1"), D("1"), D("1"),
                                                D("0") } } };
    if (commit_at(f, START_NS + (int64_t)number, number, records, 3) < 0)
        fail_msg("%s", f->err.message);
    assert_true(BOOKED_YES == f->port.find_fill(f->port.self, BTC, exec_id, NULL, NULL));
    assert_int_equal(
        ledger_progress(f->ledger, START_NS + (int64_t)number + 3, number + 3, &f->err), 0);
}

static void run_part(struct fixture *f, uint64_t from, uint64_t to)
{
    struct run run;
    for (uint64_t event = from; event <= to; event++)
        for (int phase = 0; phase < 3; phase++)
            run_turn(f, &run, event, phase);
}

/* Turns of a run from its start; the process is killed after the last one. */
static int run_and_die(struct fixture *f, int turns, bool replay)
{
    struct run run;
    open_ledger(f);
    if (replay)
        resume(f, "feed", true);
    for (int i = 0; i < turns; i++)
        run_turn(f, &run, 1 + (uint64_t)i / 3, i % 3);
    kill(getpid(), SIGKILL);
    return 1;
}

static void killed_after(struct fixture *f, int turns, bool replay)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run_and_die(f, turns, replay));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

#define ALL_OF_IT                                                                                  \
    "SELECT 'e', seq, time_ns, event, kind, order_id, body, prev_hash, hash FROM trading_events"   \
    " UNION ALL SELECT 'o', order_id, client_order_id, status, filled_qty, notional, updated_ns,"  \
    " tag, instance_id FROM orders"                                                                \
    " UNION ALL SELECT 'f', fill_id, venue, symbol, exec_id, order_id, qty, price, fee FROM fills" \
    " UNION ALL SELECT 'p', instance_id, venue, symbol, qty, cost, realized_pnl, fees, funding"    \
    " FROM positions"                                                                              \
    " UNION ALL SELECT 's', session_id, epoch, market_ns, ended_ns, events, first_seq,"            \
    " first_order_id, config FROM sessions"

/* Two kills at any two turns, then to the end: every table is what it would have been. */
static void killed_at_any_turn_it_ends_the_same(void **state)
{
    struct fixture *f = *state;
    enum { TURNS = 9 };
    char *id = query(f, "SELECT value FROM meta WHERE key = 'ledger_id'"), *expected = NULL;
    for (int first = -1; first <= TURNS; first++) { /* -1: never killed */
        for (int second = 0; second <= (first < 0 ? 0 : TURNS); second += 2) {
            struct fixture other;
            char sql[64];
            setup_ledger(&other);
            snprintf(sql, sizeof(sql), "UPDATE meta SET value = '%.4s'", id);
            tamper(&other, sql); /* the same ledger, so that all ids are equal */
            close_ledger(&other);
            open_ledger(&other);
            begin(&other, "feed");
            if (first >= 0) {
                close_ledger(&other);
                killed_after(&other, first, true);
                killed_after(&other, second, true);
                open_ledger(&other);
                resume(&other, "feed", true);
            }
            run_part(&other, 1, TURNS / 3);
            assert_int_equal(ledger_session_end(other.ledger, START_NS + 99, &other.err), 0);
            if (expected)
                assert_query(&other, ALL_OF_IT, expected);
            else
                expected = query(&other, ALL_OF_IT);
            teardown_ledger(&other);
        }
    }
    free(expected);
    free(id);
}

static void a_run_that_is_replayed_goes_on_as_if_never_interrupted(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    run_part(f, 1, 3);
    char *events = query(f, "SELECT * FROM trading_events");
    char *orders = query(f, "SELECT * FROM orders");
    close_ledger(f);

    open_ledger(f);
    resume(f, "feed", true);
    assert_true(f->session.epoch == WALL_NS / NS_PER_SECOND);
    assert_true(ledger_replaying(f->ledger));
    int changes = sqlite3_total_changes(f->ledger->db);
    run_part(f, 1, 2);
    assert_int_equal(sqlite3_total_changes(f->ledger->db), changes);
    assert_true(ledger_replaying(f->ledger));
    assert_query(f, "SELECT qty FROM positions", "3\n"); /* not set back */
    run_part(f, 3, 3);
    assert_false(ledger_replaying(f->ledger));
    assert_query(f, "SELECT * FROM trading_events", events);
    assert_query(f, "SELECT * FROM orders", orders);
    free(events);
    free(orders);

    run_part(f, 4, 5);
    assert_query(f, "SELECT qty FROM positions", "5\n");
    assert_query(f, "SELECT max(order_id), count(*), count(DISTINCT client_order_id) FROM orders",
                 "6|5|5\n");
    char hash[SHA256_TEXT_MAX], straight[SHA256_TEXT_MAX];
    assert_int_equal(ledger_result_hash(f->ledger, hash, &f->err), 0);
    assert_int_equal(ledger_session_end(f->ledger, START_NS + 100, &f->err), 0);

    struct fixture other;
    setup_ledger(&other);
    begin(&other, "feed");
    run_part(&other, 1, 5);
    assert_int_equal(ledger_result_hash(other.ledger, straight, &other.err), 0);
    assert_string_equal(hash, straight);
    char *there = query(&other, "SELECT time_ns, event, kind, order_id FROM trading_events");
    assert_query(f, "SELECT time_ns, event, kind, order_id FROM trading_events", there);
    free(there);
    teardown_ledger(&other);
}

/* A run on the simulator in between takes order ids; the feed's session steps over them, every time
 * it is run again. */
static void sessions_of_other_sources_may_run_in_between(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    begin(f, "sim"); /* the feed was killed before its first row */
    run_part(f, 6, 6);
    resume(f, "feed", true);
    assert_false(ledger_replaying(f->ledger));
    run_part(f, 1, 1);
    resume(f, "sim", false);
    run_part(f, 7, 8);
    for (int i = 0; i < 3; i++) {
        resume(f, "feed", true);
        assert_true(ledger_replaying(f->ledger));
        run_part(f, 1, i == 0 ? 2 : 3);
        assert_false(ledger_replaying(f->ledger));
        if (i < 2)
            continue;
        run_part(f, 4, 4);
    }
    assert_query(f, "SELECT DISTINCT session_id, order_id FROM trading_events ORDER BY seq",
                 "2|1\n1|2\n2|3\n2|4\n1|5\n1|7\n1|8\n");
}

/* Replays event 1 with one thing changed, and expects the difference to be told. */
static void replay_differs(struct fixture *f, int64_t time_ns, uint64_t event,
                           const struct record *record, const char *word)
{
    resume(f, "feed", true);
    char *before = query(f, "SELECT * FROM trading_events, orders");
    assert_int_equal(commit_at(f, time_ns, event, record, 1), ERROR_INTERNAL);
    assert_says(f, "row 1 is not what was recorded");
    assert_says(f, word);
    assert_query(f, "SELECT * FROM trading_events, orders", before);
    free(before);
}

static void the_first_difference_of_a_replay_is_told(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));

    struct record record = order_record(&order);
    replay_differs(f, START_NS + 2, 1, &record, "event 1, 2024-01-01T00:00:00.000000002Z");
    replay_differs(f, START_NS + 1, 2, &record, "came order of order 1, event 2");
    record.order.order_id = 2;
    replay_differs(f, START_NS + 1, 1, &record, "came order of order 2, event 1");
    record.order.order_id = 1;
    record.order.qty = D("1.6");
    replay_differs(f, START_NS + 1, 1, &record, "\"qty\":\"1.6\"");
    assert_says(f, "\"qty\":\"1.5\"");
    record.kind = RECORD_BLOCKED;
    replay_differs(f, START_NS + 1, 1, &record, "came blocked of order 0");
}

static void a_replay_that_stops_early_or_turns_too_long_is_told(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    struct order order = new_order(f);
    commit_one(f, 1, order_record(&order));

    resume(f, "feed", true);
    assert_int_equal(ledger_session_end(f->ledger, START_NS, &f->err), ERROR_INTERNAL);
    assert_says(f, "before row 1");

    resume(f, "feed", true);
    struct record records[] = { order_record(&order), said_record(RECORD_ALERT, "alert", "new") };
    assert_int_equal(commit_at(f, START_NS + 1, 1, records, 2), ERROR_INTERNAL);
    assert_says(f, "was not recorded");
    assert_query(f, "SELECT count(*) FROM trading_events", "1\n");

    resume(f, "feed", true);
    assert_int_equal(commit_at(f, START_NS + 1, 1, records, 1), 0);
    assert_false(ledger_replaying(f->ledger));
    assert_int_equal(commit_at(f, START_NS + 1, 1, records + 1, 1), 0);
    assert_query(f, "SELECT kind FROM trading_events", "order\nalert\n");
}

static void a_replay_knows_only_the_fills_of_its_past(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order order = new_order(f);
    commit_one(f, 1, fill_record(&order, "old", "1", "100"));
    begin(f, "feed");
    run_part(f, 1, 2);
    resume(f, "feed", true);
    assert_true(BOOKED_YES == f->port.find_fill(f->port.self, BTC, "old", NULL, NULL));
    run_part(f, 1, 1); /* asks about its own fills before and after */
    assert_false(BOOKED_NOT != f->port.find_fill(f->port.self, BTC, "e-2", NULL, NULL));
    run_part(f, 2, 2);
}

/* ---- the result ---- */

struct variant {
    const char *what;
    void (*change)(struct order *order, struct record *fill, int64_t *time_ns);
    bool same;
};

static void nothing(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)fill, (void)time_ns;
}
static void id(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)time_ns;
    text_copy(order->venue_order_id, sizeof(order->venue_order_id), "x");
    text_copy(fill->fill.exec_id, sizeof(fill->fill.exec_id), "x");
    text_copy(order->tag, sizeof(order->tag), "x");
}
static void later(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)fill;
    *time_ns += 1;
}
static void symbol(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)time_ns;
    order->instrument = fill->instrument = ETH;
}
static void side(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)time_ns;
    order->side = fill->order.side = SIDE_SELL;
}
static void type(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)fill, (void)time_ns;
    order->type = ORDER_LIMIT;
}
static void qty(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)fill, (void)time_ns;
    order->qty = D("1.4");
}
static void price(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)fill, (void)time_ns;
    order->price = D("0");
}
static void status(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)fill, (void)time_ns;
    order->known = ORDER_CANCELED;
}
static void fill_qty(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)time_ns;
    fill->fill.qty = D("1.4");
}
static void fill_price(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)time_ns;
    fill->fill.price = D("100.1");
}
static void fee(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)time_ns;
    fill->fill.fee = D("0.06");
}
static void fill_time(struct order *order, struct record *fill, int64_t *time_ns)
{
    (void)order, (void)time_ns;
    fill->fill.transact_ns++;
}

static void hash_of(void (*change)(struct order *, struct record *, int64_t *), bool noise,
                    char hash[SHA256_TEXT_MAX])
{
    struct fixture f;
    setup_ledger(&f);
    if (noise) { /* other ids, and things that are not of the result */
        begin(&f, "sim");
        (void)new_order(&f);
        run_part(&f, 1, 2);
    }
    begin(&f, "feed");
    struct order order = new_order(&f);
    int64_t time_ns = START_NS + 10;
    struct record fill = fill_record(&order, "e-10", "1.5", "100");
    change(&order, &fill, &time_ns);
    struct record records[] = { order_record(&order), fill, order_record(&order),
                                order_record(&order), said_record(RECORD_ALERT, "alert", "x") };
    records[3].kind = RECORD_BLOCKED;
    if (commit_at(&f, time_ns, 1, records, noise ? 5 : 2) < 0)
        fail_msg("%s", f.err.message);
    assert_int_equal(ledger_result_hash(f.ledger, hash, &f.err), 0);
    teardown_ledger(&f);
}

/* The lines of result.c, by hand. */
static void the_result_hash_is_over_the_stated_lines(void **state)
{
    (void)state;
    static const char lines[] =
        "order|2024-01-01T00:00:00.000000010Z|BTC/USDT|buy|market|1.5||filled\n"
        "fill|2024-01-01T00:00:00.000000007Z|BTC/USDT|buy|1.5|100|0.05\n";
    char hash[SHA256_TEXT_MAX], expected[SHA256_TEXT_MAX];
    sha256_hex(lines, strlen(lines), expected);
    hash_of(nothing, false, hash);
    assert_string_equal(hash, expected);
    hash_of(nothing, true, hash);
    assert_string_equal(hash, expected);
}

static void any_changed_field_changes_the_result_hash(void **state)
{
    (void)state;
    static const struct variant variants[] = {
        { "ids and tag", id, true },
        { "time", later, false },
        { "symbol", symbol, false },
        { "side", side, false },
        { "type", type, false },
        { "qty", qty, false },
        { "price", price, false },
        { "status", status, false },
        { "fill qty", fill_qty, false },
        { "fee", fee, false },
        { "fill price", fill_price, false },
        { "fill time", fill_time, false },
    };
    char expected[SHA256_TEXT_MAX], hash[SHA256_TEXT_MAX];
    hash_of(nothing, false, expected);
    for (size_t i = 0; i < ARRAY_SIZE(variants); i++) {
        hash_of(variants[i].change, false, hash);
        if ((strcmp(hash, expected) == 0) != variants[i].same)
            fail_msg("changed: %s", variants[i].what);
    }
}

/* ---- what is not ours, or makes no sense ---- */

static void only_our_names_are_ours(void **state)
{
    struct fixture *f = *state;
    struct order order, found;
    char name[CLIENT_ORDER_ID_MAX];
    begin(f, "sim");
    for (uint64_t event = 1; event <= 12; event++) { /* the last one's number is a letter */
        order = new_order(f);
        commit_one(f, event, order_record(&order));
    }
    assert_true(f->port.is_ours(f->port.self, order.client_order_id));
    assert_true(f->port.find_order(f->port.self, order.client_order_id, &found));
    assert_int_equal(found.order_id, 12);
    memcpy(name, order.client_order_id, sizeof(name));
    name[0] = 'x';
    assert_false(f->port.is_ours(f->port.self, name));
    name[0] = 'r';
    name[1] = name[1] == '0' ? '1' : '0'; /* another ledger's */
    assert_false(f->port.is_ours(f->port.self, name));
    assert_false(f->port.is_ours(f->port.self, "r12"));
    static const char odd[] = "-Z{";
    for (const char *at = odd; *at; at++) {
        memcpy(name, order.client_order_id, sizeof(name));
        name[16] = *at;
        assert_false(f->port.find_order(f->port.self, name, &found));
        assert_int_equal(ledger_order_number(f->ledger, name), 0);
    }
}

static void an_id_of_another_form_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = { "abc", "ab$d", "abcde" };
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        char sql[100];
        close_ledger(f);
        snprintf(sql, sizeof(sql), "UPDATE meta SET value = '%s' WHERE key = 'ledger_id'", ids[i]);
        tamper(f, sql);
        struct ledger_options options = options_of(f);
        f->err = (struct error){ 0 };
        assert_int_equal(ledger_open(&options, &f->ledger, &f->err), ERROR_IO);
        assert_says(f, "is not four of 0-9 a-z");
        f->ledger = NULL;
    }
}

static void an_instance_that_is_not_there_or_unreadable_is_told(void **state)
{
    struct fixture *f = *state;
    struct instance_record record;
    begin(f, "sim");
    uint32_t id = f->instance.instance_id;
    assert_int_equal(ledger_recall_instance(f->ledger, id, &record, &f->err), 0);
    assert_string_equal(record.strategy, "momentum");
    assert_int_equal(ledger_recall_instance(f->ledger, id + 1, &record, &f->err), ERROR_INTERNAL);
    assert_says(f, "has no instance");
    tamper(f, "UPDATE instances SET capital = 'much'");
    assert_int_equal(ledger_recall_instance(f->ledger, id, &record, &f->err), ERROR_IO);
    assert_says(f, "no readable capital");
    bool is_new;
    assert_int_equal(ledger_instance(f->ledger, &f->instance, &is_new, &f->err), ERROR_IO);
    assert_says(f, "no readable capital");
}

/* Nothing, text, and JSON that is no object: each is kept as it was said. */
static void a_halt_may_say_nothing_or_anything(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct record silent = said_record(RECORD_HALT, "session", "x");
    silent.body = NULL;
    silent.body_length = 0;
    commit_one(f, 1, silent);
    commit_one(f, 2, said_record(RECORD_HALT, "session", "[1]"));
    assert_query(f, "SELECT code, reason FROM halts ORDER BY rowid", "halt|\nhalt|[1]\n");
}

static void a_session_without_a_configuration_begins_and_goes_on(void **state)
{
    struct fixture *f = *state;
    struct session_record record = { .started_ns = START_NS, .market_ns = START_NS - 1 };
    text_copy(record.mode, sizeof(record.mode), "backtest");
    text_copy(record.source, sizeof(record.source), "file");
    assert_int_equal(ledger_session_begin(f->ledger, &record, false, false, WALL_NS, &f->err), 0);
    assert_true(record.market_ns == START_NS); /* no market before its start */
    assert_int_equal(ledger_session_begin(f->ledger, &record, true, false, WALL_NS, &f->err), 0);
    assert_query(f, "SELECT config FROM sessions", "\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_new_ledger_has_an_id_that_stays),
        TEST(durability_is_as_asked),
        TEST(a_ledger_may_live_in_memory),
        TEST(a_file_that_is_no_ledger_is_refused),
        TEST(a_newer_schema_is_refused),
        TEST(a_file_of_version_1_goes_on),
        TEST(a_migrated_file_has_what_a_new_one_has),
        TEST(a_migration_happens_whole_or_not_at_all),
        TEST(a_cut_or_damaged_file_is_refused),
        TEST(rotten_bits_never_break_the_process),
        TEST(an_unwritable_place_is_said),
        TEST(a_locked_file_is_not_waited_for),
        TEST(orders_are_written_and_read_back),
        TEST(an_order_that_goes_on_is_updated_in_place),
        TEST(every_kind_of_record_is_kept),
        TEST(a_halt_is_lifted_once),
        TEST(halts_go_on_within_a_source_only),
        TEST(an_adjustment_is_booked_once),
        TEST(adjustments_and_cash_are_replayed),
        TEST(cash_is_as_last_agreed),
        TEST(positions_state_journal_and_sources_come_back),
        TEST(a_row_that_makes_no_sense_is_named),
        TEST(a_fill_is_booked_once),
        TEST(what_is_taken_back_is_taken_off),
        TEST(what_corrects_a_trade_is_found_under_its_first_id),
        TEST(an_order_is_found_by_any_of_its_names),
        TEST(an_invalid_number_is_refused_whole),
        TEST(a_failed_turn_leaves_no_trace_in_memory),
        TEST(the_status_before_survives_a_restart),
        TEST(an_empty_turn_writes_nothing),
        TEST(a_full_disk_stops_the_turn),
        TEST(a_file_that_may_not_grow_keeps_what_was_committed),
        TEST(client_order_ids_are_short_and_never_come_twice),
        TEST(sessions_are_found_by_mode_and_source),
        TEST(the_time_reached_is_kept_up),
        TEST(resuming_takes_over_what_the_command_says_now),
        TEST(instances_are_shared_by_a_source_and_never_by_feeds),
        TEST(a_killed_process_loses_nothing_it_committed),
        TEST(anybody_can_check_the_chain),
        TEST(the_anchor_follows_the_head),
        TEST(an_anchor_that_is_behind_is_brought_up),
        TEST(a_cut_tail_is_told),
        TEST(a_ledger_that_is_gone_is_told),
        TEST(another_ledger_in_its_place_is_told),
        TEST(a_row_that_the_anchor_names_and_is_gone_is_told),
        TEST(a_record_of_what_cannot_be_is_none),
        TEST(each_class_of_failure_says_what_to_do),
        TEST(an_order_id_has_six_digits),
        TEST(a_row_that_is_too_long_is_refused),
        TEST(a_torn_record_leaves_the_older_one),
        TEST(an_anchor_that_cannot_be_written_stops_the_run),
        TEST(a_run_that_is_replayed_goes_on_as_if_never_interrupted),
        TEST(killed_at_any_turn_it_ends_the_same),
        TEST(sessions_of_other_sources_may_run_in_between),
        TEST(the_first_difference_of_a_replay_is_told),
        TEST(a_replay_that_stops_early_or_turns_too_long_is_told),
        TEST(a_replay_knows_only_the_fills_of_its_past),
        cmocka_unit_test(the_result_hash_is_over_the_stated_lines),
        cmocka_unit_test(any_changed_field_changes_the_result_hash),
        TEST(only_our_names_are_ours),
        TEST(an_id_of_another_form_is_refused),
        TEST(an_instance_that_is_not_there_or_unreadable_is_told),
        TEST(a_halt_may_say_nothing_or_anything),
        TEST(a_session_without_a_configuration_begins_and_goes_on),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
