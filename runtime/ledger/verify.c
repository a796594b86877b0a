/* verify.c - the chain, and what the tables say against it.
 *
 * The tables are read through their column names: a column whose name is a key of the row's body
 * must hold what the body says. Bodies of older versions have fewer keys. */
#include "runtime/ledger/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/ledger/private.h"

#define PAUSE_EVERY 1000 /* steps of SQLite's machine: about 0.1 ms */

enum query {
    Q_ROWS,
    Q_SESSION,
    Q_FILL,
    Q_JOURNAL,
    Q_HALT,
    Q_ADJUSTMENT,
    Q_ORDERS,
    Q_CASH,
    Q_STRAYS,
    Q_COUNTS,
    Q_CHECK,
    QUERIES
};

#define WITHOUT_ROW(table, id, kind)                                                               \
    "SELECT '" table "', " id " FROM " table " WHERE NOT EXISTS"                                   \
    " (SELECT 1 FROM trading_events WHERE seq = " table "." id " AND kind = '" kind "')"

/* clang-format off */
static const char *const texts[QUERIES] = {
    [Q_ROWS] = "SELECT seq, session_id, time_ns, event, kind, order_id, body, prev_hash, hash"
               " FROM trading_events ORDER BY seq",
    [Q_SESSION] = "SELECT 1 FROM sessions WHERE session_id = ?",
    [Q_FILL] = "SELECT transact_ns, order_id, notional, kind, venue, symbol, exec_id, side, qty, price,"
               " fee, fee_currency, liquidity, CASE WHEN kind = 'reversal' AND replaces IS NULL THEN"
               " 'inferred' ELSE (SELECT r.exec_id FROM fills r WHERE r.fill_id = f.replaces) END"
               " AS replaces FROM fills f WHERE fill_id = ?",
    [Q_JOURNAL] = "SELECT kind, body, session_id, event FROM journal WHERE seq = ?",
    [Q_HALT] = "SELECT scope, code, reason, since_ns FROM halts WHERE halt_id = ?",
    [Q_ADJUSTMENT] = "SELECT adjustment_id, instance_id, venue, symbol, qty_before, qty_after,"
                     " venue_qty, price, reason, time_ns FROM adjustments WHERE seq = ?",
    /* A bare column beside max() is of the row that has the maximum. */
    [Q_ORDERS] = "SELECT l.seq, l.body, o.order_id IS NULL, o.client_order_id,"
                 " o.current_client_order_id, o.venue_order_id, o.instance_id, o.venue, o.symbol,"
                 " o.side, o.type, o.tif, o.qty, o.price, o.trigger_price,"
                 " CASE o.type WHEN 'trailing' THEN o.trail END AS trail, o.trail_is_share,"
                 " o.stop, o.take, o.reduce_only, o.post_only, o.role, o.parent_order_id, o.status,"
                 " o.held, o.filled_qty, o.notional, o.fees, o.reason, o.tag"
                 " FROM (SELECT order_id, max(seq) AS seq, body FROM trading_events"
                 " WHERE kind = 'order' GROUP BY order_id) l"
                 " LEFT JOIN orders o ON o.order_id = l.order_id ORDER BY l.seq",
    [Q_CASH] = "SELECT l.seq, l.body, c.venue IS NULL, c.amount, c.own"
               " FROM (SELECT max(seq) AS seq, body, json_extract(body, '$.venue') AS venue,"
               " json_extract(body, '$.currency') AS currency FROM trading_events"
               " WHERE kind = 'cash' GROUP BY 3, 4) l"
               " LEFT JOIN cash c ON c.venue = l.venue AND c.currency = l.currency ORDER BY l.seq",
    [Q_STRAYS] = WITHOUT_ROW("fills", "fill_id", "fill") " UNION ALL "
                 WITHOUT_ROW("journal", "seq", "journal") " UNION ALL "
                 WITHOUT_ROW("halts", "halt_id", "halt") " UNION ALL "
                 WITHOUT_ROW("adjustments", "seq", "adjustment") " UNION ALL "
                 "SELECT 'orders', order_id FROM orders WHERE order_id NOT IN"
                 " (SELECT order_id FROM trading_events WHERE kind = 'order') LIMIT 1",
    [Q_COUNTS] = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM orders),"
                 " (SELECT count(*) FROM fills)",
    [Q_CHECK] = "PRAGMA integrity_check(1)",
};
/* clang-format on */

/* Q_ROWS */
enum { C_SEQ, C_SESSION, C_TIME, C_EVENT, C_KIND, C_ORDER, C_BODY, C_PREV, C_HASH };

struct walk {
    const char *path;
    sqlite3 *db;
    sqlite3_stmt *queries[QUERIES];
    struct verify_result *result;
    int64_t seq;        /* of the row that was last good */
    int64_t session_id; /* known to be there */
    bool anchored;
    struct anchor_head anchor;
    struct text line;
};

static int failed(const struct walk *walk, struct error *err)
{
    int code = sqlite3_extended_errcode(walk->db);
    if ((code & 0xff) == SQLITE_INTERRUPT)
        return error_set(err, ERROR_TIME, "ledger %s: not checked to its end", walk->path);
    return ledger_failed(walk->db, walk->path, ERROR_UNAVAILABLE, err, "check it");
}

/* 1 a row, 0 no more, negative: *err. */
static int step(struct walk *walk, enum query which, struct error *err)
{
    errno = 0;
    int code = sqlite3_step(walk->queries[which]);
    if (code == SQLITE_ROW)
        return 1;
    int answer = code == SQLITE_DONE ? 0 : failed(walk, err);
    sqlite3_reset(walk->queries[which]);
    return answer;
}

static int find(struct walk *walk, enum query which, int64_t id, struct error *err)
{
    sqlite3_reset(walk->queries[which]);
    sqlite3_bind_int64(walk->queries[which], 1, id);
    return step(walk, which, err);
}

/* The first bad record: what is told. */
static void tell(struct walk *walk, int64_t seq, const char *kind, const char *what,
                 const char *format, ...) PRINTF_LIKE(5, 6);
static void tell(struct walk *walk, int64_t seq, const char *kind, const char *what,
                 const char *format, ...)
{
    struct verify_result *result = walk->result;
    va_list arguments;
    result->good = false;
    result->seq = seq;
    text_copy(result->kind, sizeof(result->kind), kind);
    text_copy(result->what, sizeof(result->what), what);
    va_start(arguments, format);
    vsnprintf(result->message, sizeof(result->message), format, arguments);
    va_end(arguments);
}

/* ---- a table's row against a body ---- */

static bool is_same(const struct json *value, sqlite3_stmt *row, int column)
{
    const char *text = json_as_string(value);
    if (json_kind(value) == JSON_NULL)
        return column_is_null(row, column);
    if (json_kind(value) == JSON_BOOL)
        return json_as_bool(value) == (column_int(row, column) != 0);
    if (!text)
        text = json_as_number_text(value);
    return text && !column_is_null(row, column) && strcmp(text, column_text(row, column)) == 0;
}

/* The name of the first column from `from` on that says something else, or NULL. */
static const char *differing_column(const struct json *body, sqlite3_stmt *row, int from)
{
    for (int i = from; i < sqlite3_column_count(row); i++) {
        const struct json *value = json_get(body, sqlite3_column_name(row, i));
        if (value && !is_same(value, row, i))
            return sqlite3_column_name(row, i);
    }
    return NULL;
}

static const char *string_of(const struct json *body, const char *key)
{
    const char *text = json_as_string(json_get(body, key));
    return text ? text : "";
}

/* Each returns the name of the column that is not as the body says, or NULL. */

static const char *check_fill(sqlite3_stmt *row, sqlite3_stmt *event, const struct json *body)
{
    char time[TIME_TEXT_MAX], notional[DECIMAL_TEXT_MAX];
    decimal qty, price;
    if (strcmp(time_format(column_int(row, 0), time), string_of(body, "time")) != 0)
        return "transact_ns";
    if (column_int(row, 1) != column_int(event, C_ORDER))
        return "order_id";
    if (!json_get(body, "kind")) { /* of version 1 */
        if (strcmp(column_text(row, 3), fill_kind_name(FILL_TRADE)) != 0)
            return "kind";
        if (!column_decimal(row, 8, &qty) || !column_decimal(row, 9, &price) ||
            strcmp(decimal_format(decimal_mul(qty, price), notional), column_text(row, 2)) != 0)
            return "notional";
    }
    return differing_column(body, row, 2);
}

/* An object was put into the row as it came; anything else as a string. */
static const char *check_journal(sqlite3_stmt *row, sqlite3_stmt *event, const struct json *body)
{
    const char *kept = column_text(row, 1);
    const char *whole = column_text(event, C_BODY);
    size_t length = strlen(kept), end = strlen(whole);
    bool same = json_kind(json_get(body, "body")) == JSON_STRING
                    ? strcmp(string_of(body, "body"), kept) == 0
                    : end > length && strncmp(whole + end - 1 - length, kept, length) == 0;
    if (strcmp(column_text(row, 0), string_of(body, "name")) != 0)
        return "kind";
    if (column_int(row, 2) != column_int(event, C_SESSION))
        return "session_id";
    if (column_int(row, 3) != column_int(event, C_EVENT))
        return "event";
    return same ? NULL : "body";
}

static const char *check_halt(sqlite3_stmt *row, sqlite3_stmt *event, const struct json *body)
{
    const struct json *said = json_get(body, "body");
    const char *scope = string_of(body, "name");
    if (json_get(said, "scope")) /* of version 1 */
        scope = string_of(said, "scope");
    if (strcmp(column_text(row, 0), scope) != 0)
        return "scope";
    if (column_int(row, 3) != column_int(event, C_TIME))
        return "since_ns";
    if (json_kind(said) == JSON_STRING && strcmp(json_as_string(said), column_text(row, 2)) != 0)
        return "reason";
    return differing_column(said, row, 1);
}

static const char *check_adjustment(sqlite3_stmt *row, sqlite3_stmt *event, const struct json *body)
{
    return column_int(row, 9) != column_int(event, C_TIME) ? "time_ns"
                                                           : differing_column(body, row, 0);
}

static bool is_lift(const char *kind, const struct json *body)
{
    return strcmp(kind, "halt") == 0 && json_get(json_get(body, "body"), "lifted_by");
}

static const struct {
    const char *kind, *table;
    enum query query;
    const char *(*check)(sqlite3_stmt *row, sqlite3_stmt *event, const struct json *body);
} copies[] = {
    { "fill", "fills", Q_FILL, check_fill },
    { "journal", "journal", Q_JOURNAL, check_journal },
    { "halt", "halts", Q_HALT, check_halt },
    { "adjustment", "adjustments", Q_ADJUSTMENT, check_adjustment },
};

/* The row that this record made in a table of its own. 1 as it was, 0 told, negative: *err. */
static int check_copy(struct walk *walk, sqlite3_stmt *event, size_t which, struct error *err)
{
    const char *kind = copies[which].kind;
    int64_t seq = column_int(event, C_SEQ);
    struct json *body = NULL;
    if (json_parse(column_text(event, C_BODY), (size_t)sqlite3_column_bytes(event, C_BODY), &body,
                   NULL) < 0) {
        tell(walk, seq, kind, "foreign", "row %" PRId64 " (%s): its body is no JSON", seq, kind);
        return 0;
    }
    int code = 1;
    if (!is_lift(kind, body))
        code = find(walk, copies[which].query, seq, err);
    if (code == 0)
        tell(walk, seq, kind, copies[which].table,
             "row %" PRId64 " (%s): its row in the table %s is gone", seq, kind,
             copies[which].table);
    if (code == 1 && !is_lift(kind, body)) {
        sqlite3_stmt *row = walk->queries[copies[which].query];
        const char *column = copies[which].check(row, event, body);
        if (column) {
            tell(walk, seq, kind, copies[which].table,
                 "row %" PRId64 " (%s): the table %s says another %s: %.60s", seq, kind,
                 copies[which].table, column, string_of(body, "exec_id"));
            code = 0;
        }
    }
    json_release(body);
    return code;
}

/* ---- the chain ---- */

/* No session: what was done to the ledger between two of them. */
static int check_session(struct walk *walk, int64_t session_id, struct error *err)
{
    if (session_id == 0 || session_id == walk->session_id)
        return 1;
    int found = find(walk, Q_SESSION, session_id, err);
    if (found == 1)
        walk->session_id = session_id;
    return found;
}

/* 1 good, 0 told, negative: *err. */
static int check_row(struct walk *walk, sqlite3_stmt *row, struct error *err)
{
    int64_t seq = column_int(row, C_SEQ);
    const char *kind = column_text(row, C_KIND);
    struct event_row event = { .time_ns = column_int(row, C_TIME),
                               .event = (uint64_t)column_int(row, C_EVENT),
                               .kind = kind,
                               .order_id = (uint64_t)column_int(row, C_ORDER),
                               .body = column_text(row, C_BODY),
                               .body_length = (size_t)sqlite3_column_bytes(row, C_BODY) };
    char hash[SHA256_TEXT_MAX];
    if (seq <= walk->seq) {
        tell(walk, seq, kind, "foreign", "row %" PRId64 " (%s) lies before the chain's first row",
             seq, kind);
        return 0;
    }
    if (seq != walk->seq + 1) {
        tell(walk, walk->seq + 1, "", "gap", "row %" PRId64 " is missing: row %" PRId64 " follows",
             walk->seq + 1, seq);
        return 0;
    }
    if (strcmp(column_text(row, C_PREV), walk->result->head) != 0) {
        tell(walk, seq, kind, "prev_hash",
             "row %" PRId64 " (%s): it does not follow the row before it", seq, kind);
        return 0;
    }
    if (event.body_length > ROW_BODY_MAX || strlen(kind) > ROW_BODY_MAX) {
        tell(walk, seq, "", "hash", "row %" PRId64 " is longer than any that this program writes",
             seq);
        return 0;
    }
    audit_hash(&walk->line, walk->result->head, seq, column_int(row, C_SESSION), &event, hash);
    if (strcmp(column_text(row, C_HASH), hash) != 0) {
        tell(walk, seq, kind, "hash", "row %" PRId64 " (%s): its content is not what its hash says",
             seq, kind);
        return 0;
    }
    if (walk->anchored && walk->anchor.seq == seq && strcmp(walk->anchor.hash, hash) != 0) {
        tell(walk, seq, kind, "anchor",
             "row %" PRId64 " (%s) is not the one that the anchor knows: the chain was made anew, "
             "or is another ledger's",
             seq, kind);
        return 0;
    }
    int code = check_session(walk, column_int(row, C_SESSION), err);
    if (code == 0)
        tell(walk, seq, kind, "foreign",
             "row %" PRId64 " (%s) is of session %" PRId64 ", which is not there", seq, kind,
             column_int(row, C_SESSION));
    for (size_t i = 0; i < ARRAY_SIZE(copies) && code == 1; i++)
        if (strcmp(kind, copies[i].kind) == 0)
            code = check_copy(walk, row, i, err);
    if (code == 1) {
        walk->seq = walk->result->rows = seq;
        if (column_int(row, C_SESSION) != 0)
            walk->result->last_ns = event.time_ns;
        text_copy(walk->result->head, SHA256_TEXT_MAX, hash);
    }
    return code;
}

/* Each of the following goes on while the result is good. */

static int walk_chain(struct walk *walk, struct error *err)
{
    int found, code = 1;
    memset(walk->result->head, '0', SHA256_TEXT_MAX - 1);
    while (code == 1 && (found = step(walk, Q_ROWS, err)) != 0)
        code = found < 0 ? found : check_row(walk, walk->queries[Q_ROWS], err);
    sqlite3_reset(walk->queries[Q_ROWS]);
    if (code == 1 && walk->anchored && walk->anchor.seq > walk->seq)
        tell(walk, walk->seq + 1, "", "cut",
             "row %" PRId64 " is missing: the chain ends before it, but the anchor knows row "
             "%" PRId64,
             walk->seq + 1, walk->anchor.seq);
    return code < 0 ? code : 0;
}

/* The newest row about each order, or about each currency, against the table. */
static int check_newest(struct walk *walk, enum query which, const char *kind, const char *table,
                        struct error *err)
{
    sqlite3_stmt *row = walk->queries[which];
    int found = 0;
    while (walk->result->good && (found = step(walk, which, err)) > 0) {
        struct json *body = NULL;
        int64_t seq = column_int(row, 0);
        const char *column = NULL;
        bool gone = column_int(row, 2) != 0;
        bool readable =
            json_parse(column_text(row, 1), (size_t)sqlite3_column_bytes(row, 1), &body, NULL) == 0;
        if (!readable)
            tell(walk, seq, kind, "foreign", "row %" PRId64 " (%s): its body is no JSON", seq,
                 kind);
        else if (gone)
            tell(walk, seq, kind, table, "row %" PRId64 " (%s): its row in the table %s is gone",
                 seq, kind, table);
        else if ((column = differing_column(body, row, 3)))
            tell(walk, seq, kind, table,
                 "row %" PRId64
                 " (%s) is the newest of its kind, and the table %s says another %s: "
                 "%.60s",
                 seq, kind, table, column, string_of(body, "client_order_id"));
        json_release(body);
    }
    sqlite3_reset(row);
    return found < 0 ? found : 0;
}

static int check_strays(struct walk *walk, struct error *err)
{
    int found = step(walk, Q_STRAYS, err);
    if (found <= 0)
        return found;
    const char *table = column_text(walk->queries[Q_STRAYS], 0);
    int64_t id = column_int(walk->queries[Q_STRAYS], 1);
    tell(walk, id, "", "foreign",
         "the table %s has a row %" PRId64 " that no row of the chain tells of", table, id);
    sqlite3_reset(walk->queries[Q_STRAYS]);
    return 0;
}

static int check_pages(struct walk *walk, struct error *err)
{
    int found = step(walk, Q_CHECK, err);
    if (found < 0)
        return found;
    const char *said = column_text(walk->queries[Q_CHECK], 0);
    /* SQLite heads its list of faults with a line of its own. */
    const char *first = strchr(said, '\n') ? strchr(said, '\n') + 1 : said;
    if (strcmp(said, "ok") != 0)
        tell(walk, 0, "", "file", "the file is damaged: %.*s", (int)strcspn(first, "\n"), first);
    sqlite3_reset(walk->queries[Q_CHECK]);
    return 0;
}

static int count(struct walk *walk, struct error *err)
{
    int found = step(walk, Q_COUNTS, err);
    if (found < 0)
        return found;
    walk->result->sessions = column_int(walk->queries[Q_COUNTS], 0);
    walk->result->orders = column_int(walk->queries[Q_COUNTS], 1);
    walk->result->fills = column_int(walk->queries[Q_COUNTS], 2);
    sqlite3_reset(walk->queries[Q_COUNTS]);
    return 0;
}

/* All in one read transaction: one state of the file. */
static int check_all(struct walk *walk, struct error *err)
{
    struct verify_result *result = walk->result;
    int code = count(walk, err);
    if (code == 0)
        code = walk_chain(walk, err);
    if (code == 0 && result->good)
        code = check_newest(walk, Q_ORDERS, "order", "orders", err);
    if (code == 0 && result->good)
        code = check_newest(walk, Q_CASH, "cash", "cash", err);
    if (code == 0 && result->good)
        code = check_strays(walk, err);
    if (code == 0 && result->good)
        code = check_pages(walk, err);
    result->anchored = walk->anchored && result->good;
    return code;
}

/* ---- opening ---- */

/* A URI: its special bytes are escaped. */
static void put_uri(struct text *uri, const char *path, bool at_rest)
{
    text_add(uri, "file:");
    for (const char *at = path; *at; at++)
        if (strchr("?#%", *at))
            text_printf(uri, "%%%02x", (unsigned char)*at);
        else
            text_append(uri, at, 1);
    text_add(uri, at_rest ? "?mode=ro&immutable=1" : "?mode=ro");
}

/* Beside a ledger in WAL mode SQLite makes a file of its own, also to read. Where it cannot (a copy
 * on a read-only medium), a ledger without a WAL is read as it lies there. */
static bool is_kept_copy(const char *path)
{
    char directory[4096], wal[4096];
    const char *slash = strrchr(path, '/');
    int length = snprintf(wal, sizeof(wal), "%s-wal", path);
    if (length < 0 || (size_t)length >= sizeof(wal))
        return false;
    snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    return access(directory, W_OK) != 0 && access(wal, F_OK) != 0 && errno == ENOENT;
}

static int read_version(struct walk *walk, const char *pragma, int64_t *value, struct error *err)
{
    sqlite3_stmt *get = NULL;
    int code = sqlite3_prepare_v2(walk->db, pragma, -1, &get, NULL);
    if (code == SQLITE_OK && sqlite3_step(get) == SQLITE_ROW)
        *value = column_int(get, 0);
    return sqlite3_finalize(get) == SQLITE_OK && code == SQLITE_OK ? 0 : failed(walk, err);
}

static int open_database(struct walk *walk, const struct verify_options *options, struct error *err)
{
    struct text uri;
    int64_t application = 0, version = 0;
    text_init(&uri, 8192);
    put_uri(&uri, options->path, options->at_rest || is_kept_copy(options->path));
    errno = 0;
    int opened = sqlite3_open_v2(
        uri.data, &walk->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    text_release(&uri);
    ASSERT(walk->db);
    if (opened != SQLITE_OK)
        return failed(walk, err);
    sqlite3_extended_result_codes(walk->db, 1);
    if (options->pause)
        sqlite3_progress_handler(walk->db, PAUSE_EVERY, options->pause, options->pauser);
    if (sqlite3_exec(walk->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return failed(walk, err);
    int code = read_version(walk, "PRAGMA application_id", &application, err);
    if (code == 0)
        code = read_version(walk, "PRAGMA user_version", &version, err);
    if (code == 0 && (application != LEDGER_APPLICATION_ID || version != LEDGER_SCHEMA_VERSION))
        code = error_set(err, ERROR_DATA,
                         application != LEDGER_APPLICATION_ID
                             ? "%s is a database of another program, not a ledger"
                             : "%s is a ledger of another schema version: check it with the "
                               "program that wrote it, or start that session once with this one",
                         options->path);
    return code;
}

static int prepare(struct walk *walk, struct error *err)
{
    for (int i = 0; i < QUERIES; i++)
        if (sqlite3_prepare_v2(walk->db, texts[i], -1, &walk->queries[i], NULL) != SQLITE_OK)
            return error_set(
                err, ERROR_IO,
                "ledger %s: its tables are not as this program made them (%s); go back "
                "to a backup with runtime restore",
                walk->path, sqlite3_errmsg(walk->db));
    return 0;
}

int ledger_verify(const struct verify_options *options, struct verify_result *result,
                  struct error *err)
{
    struct walk walk = { .path = options->path, .result = result };
    *result = (struct verify_result){ .good = true };
    if (access(options->path, F_OK) != 0 && errno == ENOENT)
        return error_set(err, ERROR_NO_INPUT,
                         "no ledger %s; name the directory of the run with --state", options->path);
    text_init(&walk.line, 2 * (size_t)ROW_BODY_MAX + 4096);

    /* The anchor first: the ledger only ever runs ahead of it. One that cannot be read is told of
     * when nothing worse is found. */
    struct error unread = { 0 };
    int anchored = 0;
    if (options->anchor_path)
        anchored = anchor_read(options->anchor_path, &walk.anchored, &walk.anchor, &unread);
    int code = open_database(&walk, options, err);
    if (code == 0)
        code = prepare(&walk, err);
    if (code == 0)
        code = check_all(&walk, err);
    if (code == 0 && anchored < 0 && result->good)
        tell(&walk, 0, "", "anchor", "the chain is whole; whether a tail was cut is not known: %s",
             unread.message);
    for (int i = 0; i < QUERIES; i++)
        sqlite3_finalize(walk.queries[i]);
    sqlite3_close(walk.db);
    text_release(&walk.line);
    return code;
}
