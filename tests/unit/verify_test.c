/* verify_test.c - whoever edits the ledger is found, and the first bad record is the one named. */
#include "tests/unit/ledger_fixture.h"

#include <sys/stat.h>

#include "runtime/base/random.h"
#include "runtime/ledger/private.h"
#include "runtime/ledger/verify.h"

/* A ledger at rest with every kind of row, as bytes, to be edited again and again. */
struct subject {
    struct fixture fixture;
    char anchor[128];
    char *bytes;
    size_t length;
    int64_t rows, orders, fills;
    struct verify_result result;
};

static struct record fill_of_kind(struct order *order, enum fill_kind kind, const char *exec_id,
                                  const char *replaces)
{
    struct record record = fill_record(order, exec_id, "0.25", "100");
    record.fill.kind = kind;
    record.fill.notional = D("25");
    text_copy(record.fill.replaces, sizeof(record.fill.replaces), replaces);
    return record;
}

static void commit_all_kinds(struct fixture *f)
{
    struct order order = { 0 };
    for (uint64_t event = 1; event <= 6; event++) {
        char exec_id[16];
        order = new_order(f);
        commit_one(f, event, order_record(&order));
        order.known = ORDER_NEW;
        snprintf(exec_id, sizeof(exec_id), "e-%d", (int)event);
        struct record fill = fill_record(&order, exec_id, "0.5", "100.5");
        struct record both[] = { fill, order_record(&order) };
        assert_int_equal(commit_at(f, START_NS + (int64_t)event, event, both, 2), 0);
    }
    struct record made[] = { fill_of_kind(&order, FILL_INFERRED, "i-1", ""),
                             fill_of_kind(&order, FILL_REVERSAL, "r-1", "inferred"),
                             fill_of_kind(&order, FILL_REVERSAL, "r-2", "e-6") };
    assert_int_equal(commit_at(f, START_NS + 7, 7, made, 3), 0);
    commit_one(f, 8, said_record(RECORD_HALT, "session", "{\"code\":\"loss\",\"reason\":\"r\"}"));
    commit_one(f, 9, said_record(RECORD_HALT, "session", "{\"lifted_by\":\"resume\"}"));
    commit_one(f, 9, said_record(RECORD_HALT, "BTC/USDT", "in words"));
    commit_one(f, 10, said_record(RECORD_JOURNAL, "reload", "{\"hash\":\"ab\"}"));
    commit_one(f, 10, said_record(RECORD_JOURNAL, "note", "in words"));
    commit_one(f, 11, said_record(RECORD_ALERT, "late_fill", "hello"));
    struct record adjustment = { .kind = RECORD_ADJUSTMENT,
                                 .instance_id = f->instance.instance_id,
                                 .instrument = ETH,
                                 .adjustment = { "a1", D("1"), D("2"), D("2"), DECIMAL_NONE,
                                                 "start" } };
    commit_one(f, 12, adjustment);
    struct record cash = { .kind = RECORD_CASH, .cash = { "USDT", D("1"), D("2") } };
    commit_one(f, 13, cash);
    cash.cash.amount = D("3");
    commit_one(f, 14, cash);
    struct record trip = { .kind = RECORD_TRIP,
                           .instance_id = f->instance.instance_id,
                           .instrument = ETH,
                           .trip = { START_NS, START_NS + 1, SIDE_SELL, D("3"), D("300"), D("200"),
                                     D("3"), D("0.1"), D("100"), 4, "entry", false } };
    commit_one(f, 15, trip);
}

static int64_t query_int(const struct fixture *f, const char *sql)
{
    char *rows = query(f, sql);
    int64_t value = strtoll(rows, NULL, 10);
    free(rows);
    return value;
}

static int setup(void **state)
{
    struct subject *s = memory_new(sizeof(*s));
    struct fixture *f = &s->fixture;
    setup_ledger(f);
    close_ledger(f);
    snprintf(s->anchor, sizeof(s->anchor), "%s/audit-paper.head", f->directory);
    struct ledger_options options = options_of(f);
    options.anchor_path = s->anchor;
    assert_int_equal(ledger_open(&options, &f->ledger, &f->err), 0);
    f->port = ledger_port(f->ledger);
    begin(f, "sim");
    commit_all_kinds(f);
    s->rows = query_int(f, "SELECT max(seq) FROM trading_events");
    s->orders = query_int(f, "SELECT count(*) FROM orders");
    s->fills = query_int(f, "SELECT count(*) FROM fills");
    close_ledger(f);
    tamper(f, "DROP TRIGGER trading_events_unchanged; DROP TRIGGER trading_events_kept");
    assert_int_equal(text_read_file(f->path, 1 << 24, &s->bytes, &s->length, &f->err), 0);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct subject *s = *state;
    teardown_ledger(&s->fixture);
    free(s->bytes);
    free(s);
    return 0;
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(bytes, 1, length, file);
    fclose(file);
}

/* The ledger as it was, then this done to it. */
static void edit(struct subject *s, const char *sql)
{
    write_bytes(s->fixture.path, s->bytes, s->length);
    if (sql)
        tamper(&s->fixture, sql);
}

static int verify(struct subject *s, const char *anchor)
{
    struct verify_options options = { .path = s->fixture.path,
                                      .anchor_path = anchor,
                                      .at_rest = true };
    s->fixture.err = (struct error){ 0 };
    return ledger_verify(&options, &s->result, &s->fixture.err);
}

static void expect_bad(struct subject *s, const char *sql, int64_t seq, const char *what)
{
    if (verify(s, s->anchor) < 0)
        fail_msg("%s: %s", sql, s->fixture.err.message);
    if (s->result.good)
        fail_msg("%s: not found", sql);
    if (s->result.seq != seq || (what && strcmp(s->result.what, what) != 0))
        fail_msg("%s: row %" PRId64 " %s: %s; expected row %" PRId64 " %s", sql, s->result.seq,
                 s->result.what, s->result.message, seq, what ? what : "");
}

static void bad(struct subject *s, const char *sql, int64_t seq, const char *what)
{
    edit(s, sql);
    expect_bad(s, sql, seq, what);
}

/* ---- what is good ---- */

static void an_untouched_ledger_is_good(void **state)
{
    struct subject *s = *state;
    edit(s, NULL);
    assert_int_equal(verify(s, s->anchor), 0);
    assert_string_equal(s->result.message, "");
    assert_true(s->result.good && s->result.anchored);
    assert_int_equal(s->result.rows, s->rows);
    assert_int_equal(s->result.sessions, 1);
    assert_int_equal(s->result.orders, s->orders);
    assert_int_equal(s->result.fills, s->fills);
    assert_true(s->result.last_ns == START_NS + 15);
    char head[80];
    snprintf(head, sizeof(head), "%s\n", s->result.head);
    assert_query(&s->fixture, "SELECT hash FROM trading_events ORDER BY seq DESC LIMIT 1", head);

    assert_int_equal(verify(s, NULL), 0);
    assert_true(s->result.good && !s->result.anchored);
}

static void an_empty_ledger_is_good(void **state)
{
    struct subject *s = *state;
    struct fixture f;
    struct verify_options options = { .path = f.path };
    setup_ledger(&f);
    assert_int_equal(ledger_verify(&options, &s->result, &f.err), 0);
    assert_true(s->result.good);
    assert_int_equal(s->result.rows, 0);
    teardown_ledger(&f);
}

/* It reads one state of the file and locks nobody out. */
static void a_running_session_is_checked_beside_it(void **state)
{
    struct subject *s = *state;
    struct fixture *f = &s->fixture;
    struct ledger_options options = options_of(f);
    struct verify_options asked = { .path = f->path, .anchor_path = s->anchor };
    options.anchor_path = s->anchor;
    edit(s, NULL);
    assert_int_equal(ledger_open(&options, &f->ledger, &f->err), 0);
    f->port = ledger_port(f->ledger);
    resume(f, "sim", false);
    for (uint64_t event = 20; event < 25; event++) {
        struct order order = new_order(f);
        commit_one(f, event, order_record(&order));
        assert_int_equal(ledger_verify(&asked, &s->result, &f->err), 0);
        assert_true(s->result.good && s->result.anchored);
        assert_int_equal(s->result.rows, s->rows + (int64_t)event - 19);
    }
    close_ledger(f);
}

/* ---- what cannot be checked ---- */

static int give_up(void *self)
{
    ++*(int *)self;
    return 1;
}

static void what_is_no_ledger_is_refused(void **state)
{
    struct subject *s = *state;
    struct fixture *f = &s->fixture;
    int calls = 0;
    struct verify_options options = { .path = "/nowhere/ledger.sqlite" };
    assert_int_equal(ledger_verify(&options, &s->result, &f->err), ERROR_NO_INPUT);
    options.path = f->path;
    options.pause = give_up;
    options.pauser = &calls;
    edit(s, NULL);
    assert_int_equal(ledger_verify(&options, &s->result, &f->err), ERROR_TIME);
    assert_int_equal(calls, 1);

    edit(s, "PRAGMA user_version = 1");
    assert_int_equal(verify(s, NULL), ERROR_DATA);
    assert_says(f, "another schema version");
    edit(s, "PRAGMA application_id = 1");
    assert_int_equal(verify(s, NULL), ERROR_DATA);
    assert_says(f, "another program");
    edit(s, "DROP TABLE fills");
    assert_int_equal(verify(s, NULL), ERROR_IO);
    write_bytes(f->path, "not a database, for sure; not even near to one", 46);
    assert_int_equal(verify(s, NULL), ERROR_IO);
    write_bytes(s->anchor, "garbage", 7);
    edit(s, NULL);
    assert_int_equal(verify(s, s->anchor), 0);
    assert_false(s->result.good);
    assert_string_equal(s->result.what, "anchor");
    assert_non_null(strstr(s->result.message, "neither of its records"));
}

/* A name that a URI would read otherwise. */
static void any_path_is_a_path(void **state)
{
    struct subject *s = *state;
    struct fixture *f = &s->fixture;
    char odd[128];
    snprintf(odd, sizeof(odd), "%s/a?b#c%%41 d", f->directory);
    write_bytes(odd, s->bytes, s->length);
    struct verify_options options = { .path = odd, .at_rest = true };
    assert_int_equal(ledger_verify(&options, &s->result, &f->err), 0);
    assert_true(s->result.good);
}

/* On a read-only medium SQLite cannot make its file beside the ledger: a copy at rest is read as it
 * lies there, one whose WAL holds more is not. */
static void a_copy_on_a_read_only_medium_is_read(void **state)
{
    struct subject *s = *state;
    struct fixture *f = &s->fixture;
    struct verify_options options = { .path = f->path };
    char wal[170];
    bool is_root = getuid() == 0 && geteuid() == 0;
    edit(s, NULL);
    assert_int_equal(chmod(f->directory, 0555), 0);
    if (is_root)
        assert_int_equal(setreuid(65534, (uid_t)-1), 0); /* access() asks for the real user */
    int code = ledger_verify(&options, &s->result, &f->err);
    if (is_root)
        assert_int_equal(setreuid(0, 0), 0);
    assert_int_equal(chmod(f->directory, 0700), 0);
    if (code < 0)
        fail_msg("%s", f->err.message);
    assert_true(s->result.good);
    assert_int_equal(s->result.rows, s->rows);
    snprintf(wal, sizeof(wal), "%s-shm", f->path);
    assert_int_equal(access(wal, F_OK), -1); /* nothing was made beside it */
}

static void a_path_is_told_whatever_its_form(void **state)
{
    struct subject *s = *state;
    struct fixture *f = &s->fixture;
    char before[1000], longest[5000];
    struct verify_options options = { .path = "ledger-paper.sqlite" };
    edit(s, NULL);
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->directory), 0);
    int code = ledger_verify(&options, &s->result, &f->err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(code, 0);
    assert_true(s->result.good);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    options.path = longest;
    assert_int_equal(ledger_verify(&options, &s->result, &f->err), ERROR_IO);
    assert_non_null(strchr(f->err.message, 'x')); /* it is named */
}

/* What is worse than an anchor that cannot be read is told instead of it. */
static void the_first_bad_row_goes_before_an_unreadable_anchor(void **state)
{
    struct subject *s = *state;
    write_bytes(s->anchor, "garbage", 7);
    bad(s, "UPDATE trading_events SET prev_hash = hash WHERE seq = 4", 4, "prev_hash");
}

/* ---- the chain ---- */

static void an_edited_chain_is_found(void **state)
{
    struct subject *s = *state;
    bad(s, "UPDATE trading_events SET body = replace(body, '100.5', '100.6') WHERE seq = 2", 2,
        "hash");
    bad(s, "UPDATE trading_events SET prev_hash = hash WHERE seq = 4", 4, "prev_hash");
    bad(s, "DELETE FROM trading_events WHERE seq = 1", 1, "gap");
    bad(s, "DELETE FROM trading_events WHERE seq IN (5, 6)", 5, "gap");
    assert_string_equal(s->result.message, "row 5 is missing: row 7 follows");
    bad(s, "DELETE FROM trading_events WHERE seq > 20", 21, "cut");
    bad(s, "DELETE FROM trading_events", 1, "cut");
    bad(s,
        "INSERT INTO trading_events SELECT -4, session_id, time_ns, event, kind, order_id, body,"
        " prev_hash, hash FROM trading_events WHERE seq = 1",
        -4, "foreign");
    bad(s, "UPDATE sessions SET session_id = 2", 1, "foreign");
    bad(s, "UPDATE trading_events SET body = printf('%.*c', 17000000, 'x') WHERE seq = 3", 3,
        "hash");
    bad(s, "UPDATE trading_events SET kind = printf('%.*c', 17000000, 'x') WHERE seq = 3", 3,
        "hash");
    edit(s, NULL);
    int64_t reversal = query_int(&s->fixture, "SELECT fill_id FROM fills WHERE exec_id = 'r-2'");
    bad(s, "UPDATE fills SET replaces = NULL, kind = 'trade' WHERE exec_id = 'r-2'", reversal,
        "fills");
    bad(s, "UPDATE fills SET replaces = 9999 WHERE exec_id = 'r-2'", reversal, "fills");
}

/* Recomputes every hash from row `seq` on, as somebody would who knows how. */
static void forge(struct subject *s, int64_t seq)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL, *put = NULL;
    struct text line;
    char head[SHA256_TEXT_MAX];
    memset(head, '0', 64);
    head[64] = '\0';
    text_init(&line, 1 << 20);
    assert_int_equal(sqlite3_open(s->fixture.path, &db), SQLITE_OK);
    sqlite3_prepare_v2(db,
                       "SELECT seq, session_id, time_ns, event, kind, order_id, body, hash"
                       " FROM trading_events ORDER BY seq",
                       -1, &rows, NULL);
    sqlite3_prepare_v2(db, "UPDATE trading_events SET prev_hash = ?, hash = ? WHERE seq = ?", -1,
                       &put, NULL);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        struct event_row row = { .time_ns = column_int(rows, 2),
                                 .event = (uint64_t)column_int(rows, 3),
                                 .kind = column_text(rows, 4),
                                 .order_id = (uint64_t)column_int(rows, 5),
                                 .body = column_text(rows, 6),
                                 .body_length = (size_t)sqlite3_column_bytes(rows, 6) };
        char hash[SHA256_TEXT_MAX];
        audit_hash(&line, head, column_int(rows, 0), column_int(rows, 1), &row, hash);
        if (column_int(rows, 0) >= seq) {
            sqlite3_bind_text(put, 1, head, -1, SQLITE_STATIC);
            sqlite3_bind_text(put, 2, hash, -1, SQLITE_STATIC);
            sqlite3_bind_int64(put, 3, column_int(rows, 0));
            assert_int_equal(sqlite3_step(put), SQLITE_DONE);
            sqlite3_reset(put);
        }
        text_copy(head, sizeof(head), hash);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(put);
    sqlite3_close(db);
    text_release(&line);
}

/* The chain is then whole again; the anchor tells. Without it, and with the tables edited to fit,
 * nothing does: the chain is not keyed. */
static void a_chain_made_anew_is_told_by_the_anchor(void **state)
{
    struct subject *s = *state;
    edit(s, "UPDATE trading_events SET body = replace(body, 'hello', 'jello')");
    forge(s, 1);
    expect_bad(s, "forged", s->rows, "anchor");
    assert_int_equal(verify(s, NULL), 0);
    assert_true(s->result.good);

    edit(s, "UPDATE trading_events SET body = 'x' WHERE kind = 'fill' AND seq = 2");
    forge(s, 1);
    expect_bad(s, "forged", 2, "foreign");
    edit(s, "UPDATE trading_events SET body = 'x' WHERE kind = 'order' AND seq = 3");
    forge(s, 1);
    assert_int_equal(verify(s, NULL), 0);
    assert_int_equal(s->result.seq, 3);
    assert_string_equal(s->result.what, "foreign");
}

/* ---- the tables ---- */

static void a_table_that_says_otherwise_is_found(void **state)
{
    struct subject *s = *state;
    static const struct {
        const char *table, *id, *kind, *set;
    } edits[] = {
        { "fills", "fill_id", "fill", "qty = '0.6'" },
        { "fills", "fill_id", "fill", "transact_ns = transact_ns + 1" },
        { "fills", "fill_id", "fill", "order_id = order_id + 1" },
        { "fills", "fill_id", "fill", "exec_id = 'x' || fill_id" },
        { "fills", "fill_id", "fill", "notional = '1'" },
        { "fills", "fill_id", "fill", "fee = '-1'" },
        { "fills", "fill_id", "fill", "kind = 'inferred'" },
        { "fills", "fill_id", "fill", "replaces = 2" },
        { "journal", "seq", "journal", "kind = 'other'" },
        { "journal", "seq", "journal", "body = '{}'" },
        { "journal", "seq", "journal", "session_id = 0" },
        { "journal", "seq", "journal", "event = 0" },
        { "halts", "halt_id", "halt", "scope = 'x'" },
        { "halts", "halt_id", "halt", "code = 'x'" },
        { "halts", "halt_id", "halt", "reason = 'x'" },
        { "halts", "halt_id", "halt", "since_ns = 0" },
        { "adjustments", "seq", "adjustment", "qty_after = '9'" },
        { "adjustments", "seq", "adjustment", "price = '9'" },
        { "adjustments", "seq", "adjustment", "time_ns = 9" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
        char sql[200];
        snprintf(sql, sizeof(sql), "SELECT min(%s) FROM %s", edits[i].id, edits[i].table);
        edit(s, NULL);
        int64_t seq = query_int(&s->fixture, sql);
        snprintf(sql, sizeof(sql), "UPDATE %s SET %s WHERE %s = %" PRId64, edits[i].table,
                 edits[i].set, edits[i].id, seq);
        bad(s, sql, seq, edits[i].table);
        assert_string_equal(s->result.kind, edits[i].kind);
        snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE %s = %" PRId64, edits[i].table,
                 edits[i].id, seq);
        bad(s, sql, seq, edits[i].table);
    }
    bad(s, "UPDATE halts SET reason = 'x' WHERE code = 'halt'", s->rows - 7, "halts");
    bad(s, "UPDATE journal SET body = 'in other words' WHERE kind = 'note'", s->rows - 5,
        "journal");
    bad(s, "UPDATE orders SET status = 'canceled' WHERE order_id = 3", 9, "orders");
    bad(s, "UPDATE orders SET filled_qty = '1' WHERE order_id = 1", 3, "orders");
    bad(s, "UPDATE orders SET reduce_only = 1 WHERE order_id = 1", 3, "orders");
    bad(s, "DELETE FROM orders WHERE order_id = 2", 6, "orders");
    bad(s, "UPDATE cash SET amount = '4'", s->rows - 1, "cash");
    bad(s, "DELETE FROM cash", s->rows - 1, "cash");
    bad(s,
        "INSERT INTO fills SELECT 99, venue, symbol, 'new', order_id, side, qty, price, notional,"
        " fee, fee_currency, liquidity, transact_ns, kind, replaces FROM fills WHERE fill_id = 2",
        99, "foreign");
    bad(s, "INSERT INTO journal VALUES(99, 1, 1, 'x', '{}')", 99, "foreign");
    bad(s,
        "CREATE TABLE t AS SELECT * FROM orders WHERE order_id = 1; UPDATE t SET order_id = 99;"
        " INSERT INTO orders SELECT * FROM t",
        99, "foreign");
}

/* Rows that version 1 wrote have fewer keys: what they do not say follows from what they do. */
static void rows_of_version_1_are_checked_too(void **state)
{
    struct subject *s = *state;
    static const char old[] =
        "UPDATE trading_events SET body = json_remove(body, '$.kind', '$.notional', '$.replaces')"
        " WHERE seq = 2;"
        "UPDATE trading_events SET body = json_remove(body, '$.notional', '$.held', '$.trail',"
        " '$.trail_is_share', '$.current_client_order_id') WHERE kind = 'order';"
        "UPDATE trading_events SET body = '{\"name\":null,\"body\":{\"scope\":\"BTC/USDT\",'"
        " || '\"code\":\"halt\",\"reason\":\"in words\"}}' WHERE body LIKE '%\"in words\"%' AND"
        " kind = 'halt'";
    static const struct {
        const char *sql, *what;
        int64_t seq;
    } edits[] = {
        { "UPDATE fills SET kind = 'inferred' WHERE fill_id = 2", "fills", 2 },
        { "UPDATE fills SET notional = '1' WHERE fill_id = 2", "fills", 2 },
        { "UPDATE fills SET qty = 'x' WHERE fill_id = 2", "fills", 2 },
        { "UPDATE fills SET price = 'x' WHERE fill_id = 2", "fills", 2 },
        { "UPDATE orders SET tag = 'x' WHERE order_id = 1", "orders", 3 },
    };
    edit(s, old);
    forge(s, 1);
    assert_int_equal(verify(s, NULL), 0);
    if (!s->result.good)
        fail_msg("%s", s->result.message);
    for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
        edit(s, old);
        forge(s, 1);
        tamper(&s->fixture, edits[i].sql);
        assert_int_equal(verify(s, NULL), 0);
        assert_false(s->result.good);
        assert_int_equal(s->result.seq, edits[i].seq);
        assert_string_equal(s->result.what, edits[i].what);
    }
    edit(s, old);
    forge(s, 1);
    tamper(&s->fixture, "UPDATE halts SET scope = 'ETH/USDT' WHERE scope = 'BTC/USDT'");
    assert_int_equal(verify(s, NULL), 0);
    assert_string_equal(s->result.what, "halts");
}

/* ---- at random ---- */

struct attack {
    char sql[900];
    int64_t seq; /* of the first bad record */
};

static int64_t any_row(struct subject *s, struct random *random)
{
    return 1 + (int64_t)random_below(random, (uint64_t)s->rows);
}

static void flip_byte(struct subject *s, struct random *random, struct attack *attack)
{
    static const char *const texts[] = { "kind", "body", "prev_hash", "hash" };
    static const char *const numbers[] = { "session_id", "time_ns", "event", "order_id" };
    uint64_t pick = random_below(random, 8);
    attack->seq = any_row(s, random);
    if (pick < 4) {
        snprintf(attack->sql, sizeof(attack->sql),
                 "UPDATE trading_events SET %s = %s + (1 << %d) WHERE seq = %" PRId64,
                 numbers[pick], numbers[pick], (int)random_below(random, 40), attack->seq);
    } else { /* another letter at a random place */
        const char *column = texts[pick - 4];
        int at = (int)random_below(random, 400), letter = 'a' + (int)random_below(random, 26);
        snprintf(attack->sql, sizeof(attack->sql),
                 "UPDATE trading_events SET %s = substr(%s, 1, %d %% length(%s)) || CASE"
                 " substr(%s, 1 + %d %% length(%s), 1) WHEN '%c' THEN '~' ELSE '%c' END ||"
                 " substr(%s, 2 + %d %% length(%s)) WHERE seq = %" PRId64,
                 column, column, at, column, column, at, column, letter, letter, column, at, column,
                 attack->seq);
    }
}

static void drop_row(struct subject *s, struct random *random, struct attack *attack)
{
    attack->seq = any_row(s, random);
    snprintf(attack->sql, sizeof(attack->sql), "DELETE FROM trading_events WHERE seq = %" PRId64,
             attack->seq);
}

static void swap_rows(struct subject *s, struct random *random, struct attack *attack)
{
    int64_t a = any_row(s, random), b = any_row(s, random);
    while (b == a)
        b = any_row(s, random);
    attack->seq = a < b ? a : b;
    snprintf(attack->sql, sizeof(attack->sql),
             "UPDATE trading_events SET seq = -1 WHERE seq = %" PRId64 ";"
             "UPDATE trading_events SET seq = %" PRId64 " WHERE seq = %" PRId64 ";"
             "UPDATE trading_events SET seq = %" PRId64 " WHERE seq = -1",
             a, a, b, b);
}

/* A copy of some row, with every later one moved on. */
static void insert_row(struct subject *s, struct random *random, struct attack *attack)
{
    int64_t of = any_row(s, random);
    attack->seq = 1 + (int64_t)random_below(random, (uint64_t)s->rows + 1);
    snprintf(attack->sql, sizeof(attack->sql),
             "CREATE TEMP TABLE t AS SELECT * FROM trading_events WHERE seq = %" PRId64 ";"
             "UPDATE trading_events SET seq = -seq - 1 WHERE seq >= %" PRId64 ";"
             "UPDATE trading_events SET seq = -seq WHERE seq < 0;"
             "UPDATE t SET seq = %" PRId64 "; INSERT INTO trading_events SELECT * FROM t",
             of, attack->seq, attack->seq);
    if (of == attack->seq) /* the same row twice: the second of them is the stranger */
        attack->seq++;
}

static void cut_tail(struct subject *s, struct random *random, struct attack *attack)
{
    attack->seq = any_row(s, random);
    snprintf(attack->sql, sizeof(attack->sql), "DELETE FROM trading_events WHERE seq >= %" PRId64,
             attack->seq);
}

static void edit_fill(struct subject *s, struct random *random, struct attack *attack)
{
    static const char *const sets[] = { "price = price || '1'", "qty = qty || '1'",
                                        "fee = '-' || fee",     "liquidity = 'x'",
                                        "side = 'sell'",        "symbol = symbol || 'X'",
                                        "fee_currency = 'EUR'", "transact_ns = transact_ns - 1" };
    char sql[120];
    snprintf(sql, sizeof(sql), "SELECT fill_id FROM fills ORDER BY 1 LIMIT 1 OFFSET %d",
             (int)random_below(random, (uint64_t)s->fills));
    attack->seq = query_int(&s->fixture, sql);
    snprintf(attack->sql, sizeof(attack->sql), "UPDATE fills SET %s WHERE fill_id = %" PRId64,
             sets[random_below(random, ARRAY_SIZE(sets))], attack->seq);
}

static void edit_order(struct subject *s, struct random *random, struct attack *attack)
{
    static const char *const sets[] = { "status = 'expired'",
                                        "qty = qty || '1'",
                                        "filled_qty = '0.1'",
                                        "fees = '9'",
                                        "side = 'sell'",
                                        "symbol = symbol || 'X'",
                                        "reason = reason || 'x'",
                                        "tag = 'x'",
                                        "post_only = 1 - post_only",
                                        "price = '3'",
                                        "client_order_id = 'x'",
                                        "notional = '0.1'" };
    char sql[160];
    int64_t order_id = 1 + (int64_t)random_below(random, (uint64_t)s->orders);
    snprintf(sql, sizeof(sql),
             "SELECT max(seq) FROM trading_events WHERE kind = 'order' AND order_id = %" PRId64,
             order_id);
    attack->seq = query_int(&s->fixture, sql);
    snprintf(attack->sql, sizeof(attack->sql), "UPDATE orders SET %s WHERE order_id = %" PRId64,
             sets[random_below(random, ARRAY_SIZE(sets))], order_id);
}

#define ATTACKS 2000

static void any_edit_is_found(void **state)
{
    struct subject *s = *state;
    static void (*const attacks[])(struct subject *, struct random *, struct attack *) = {
        flip_byte, flip_byte, drop_row, swap_rows, insert_row, cut_tail, edit_fill, edit_order
    };
    struct random random;
    random_seed(&random, 20);
    for (int i = 0; i < ATTACKS; i++) {
        struct attack attack;
        edit(s, NULL);
        attacks[random_below(&random, ARRAY_SIZE(attacks))](s, &random, &attack);
        bad(s, attack.sql, attack.seq, NULL);
    }
}

/* Bits of the file itself: an error or a verdict, never a crash, and never a wrong "good" about a
 * row that reads otherwise. */
static void rotten_bits_are_found_or_harmless(void **state)
{
    struct subject *s = *state;
    struct random random;
    char *rotten = memory_new(s->length);
    random_seed(&random, 4);
    int bad = 0;
    edit(s, NULL);
    char *rows = query(&s->fixture, "SELECT * FROM trading_events");
    for (int i = 0; i < 300; i++) {
        memcpy(rotten, s->bytes, s->length);
        rotten[random_below(&random, s->length)] ^= (char)(1 << random_below(&random, 8));
        write_bytes(s->fixture.path, rotten, s->length);
        bool good = verify(s, s->anchor) == 0 && s->result.good;
        bad += !good;
        if (good)
            assert_query(&s->fixture, "SELECT * FROM trading_events", rows);
    }
    assert_true(bad > 30);
    free(rows);
    free(rotten);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_untouched_ledger_is_good),
        TEST(an_empty_ledger_is_good),
        TEST(a_running_session_is_checked_beside_it),
        TEST(what_is_no_ledger_is_refused),
        TEST(any_path_is_a_path),
        TEST(a_copy_on_a_read_only_medium_is_read),
        TEST(a_path_is_told_whatever_its_form),
        TEST(the_first_bad_row_goes_before_an_unreadable_anchor),
        TEST(an_edited_chain_is_found),
        TEST(a_chain_made_anew_is_told_by_the_anchor),
        TEST(a_table_that_says_otherwise_is_found),
        TEST(rows_of_version_1_are_checked_too),
        TEST(any_edit_is_found),
        TEST(rotten_bits_are_found_or_harmless),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
