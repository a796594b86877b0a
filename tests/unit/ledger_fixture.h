/* ledger_fixture.h - a ledger in a directory of its own, and records to put into it. */
#ifndef TESTS_UNIT_LEDGER_FIXTURE_H
#define TESTS_UNIT_LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/ledger/ledger.h"

#define D(text) decimal_text(text)
#define START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */
#define WALL_NS (INT64_C(1700000000) * NS_PER_SECOND)  /* base 36: s44we8 */
enum { BTC, ETH };

struct fixture {
    char directory[64];
    char path[160];
    struct instruments instruments;
    struct ledger *ledger;
    struct ledger_port port;
    struct session_record session;
    struct instance_record instance;
    struct error err;
};

static inline void add_instrument(struct fixture *f, const char *symbol, const char *multiplier)
{
    struct instrument instrument = { .venue = "sim",
                                     .tick_size = D("0.01"),
                                     .lot_size = D("0.001"),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = D(multiplier),
                                     .leverage = decimal_int(1),
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    uint32_t index;
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    text_copy(instrument.origin, sizeof(instrument.origin), "test");
    assert_int_equal(instruments_add(&f->instruments, &instrument, &index, &f->err), 0);
}

static inline struct ledger_options options_of(const struct fixture *f)
{
    return (struct ledger_options){ .path = f->path, .instruments = &f->instruments };
}

static inline void open_ledger(struct fixture *f)
{
    struct ledger_options options = options_of(f);
    f->err = (struct error){ 0 };
    if (ledger_open(&options, &f->ledger, &f->err) < 0)
        fail_msg("%s", f->err.message);
    f->port = ledger_port(f->ledger);
}

static inline void close_ledger(struct fixture *f)
{
    ledger_close(f->ledger);
    f->ledger = NULL;
}

static inline void add_instance(struct fixture *f, const char *strategy, const char *symbol)
{
    bool is_new;
    f->instance = (struct instance_record){ .capital = D("10000") };
    text_copy(f->instance.strategy, sizeof(f->instance.strategy), strategy);
    text_copy(f->instance.symbol, sizeof(f->instance.symbol), symbol);
    text_copy(f->instance.version, sizeof(f->instance.version), "1.0.0");
    text_copy(f->instance.file, sizeof(f->instance.file), "momentum.lua");
    text_copy(f->instance.hash, sizeof(f->instance.hash), "feed");
    assert_int_equal(ledger_instance(f->ledger, &f->instance, &is_new, &f->err), 0);
}

/* A new session of this source, with one instance. */
static inline void begin(struct fixture *f, const char *source)
{
    session_record_release(&f->session);
    f->session = (struct session_record){ .started_ns = START_NS, .market_ns = START_NS };
    text_copy(f->session.mode, sizeof(f->session.mode), "paper");
    text_copy(f->session.source, sizeof(f->session.source), source);
    text_copy(f->session.build, sizeof(f->session.build), "0.1.0 test");
    f->session.config = strdup("{\"seed\":1}");
    assert_int_equal(ledger_session_begin(f->ledger, &f->session, false, false, WALL_NS, &f->err),
                     0);
    add_instance(f, "momentum", "BTC/USDT");
}

/* Goes on with the newest session of this source, a day of wall time later. */
static inline void resume(struct fixture *f, const char *source, bool replay)
{
    bool found;
    session_record_release(&f->session);
    assert_int_equal(ledger_last_session(f->ledger, "paper", source, &found, &f->session, &f->err),
                     0);
    assert_true(found);
    if (ledger_session_begin(f->ledger, &f->session, true, replay, WALL_NS + NS_PER_DAY, &f->err))
        fail_msg("%s", f->err.message);
    add_instance(f, "momentum", "BTC/USDT");
}

static inline void setup_ledger(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    snprintf(f->directory, sizeof(f->directory), "%s/ledger-test-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"); /* memory syncs at once */
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/ledger-paper.sqlite", f->directory);
    add_instrument(f, "BTC/USDT", "1");
    add_instrument(f, "ETH/USDT:USDT", "10");
    open_ledger(f);
}

static inline int remove_entry(const char *path, const struct stat *info, int kind,
                               struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static inline void teardown_ledger(struct fixture *f)
{
    ledger_close(f->ledger);
    session_record_release(&f->session);
    nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- records ---- */

/* The next order of the instance: buy 1.5 BTC at market. */
static inline struct order new_order(struct fixture *f)
{
    struct order order;
    order_init(&order);
    order.instance_id = f->instance.instance_id;
    order.instrument = BTC;
    order.side = SIDE_BUY;
    order.qty = D("1.5");
    order.created_ns = START_NS;
    order.updated_ns = START_NS;
    order.order_id = f->port.next_order_id(f->port.self, order.client_order_id);
    memcpy(order.current_client_order_id, order.client_order_id, CLIENT_ORDER_ID_MAX);
    return order;
}

static inline struct record order_record(const struct order *order)
{
    return (struct record){ .kind = RECORD_ORDER,
                            .instance_id = order->instance_id,
                            .instrument = order->instrument,
                            .order = *order };
}

/* Books it on the order too. */
static inline struct record fill_record(struct order *order, const char *exec_id, const char *qty,
                                        const char *price)
{
    struct record record = order_record(order);
    record.kind = RECORD_FILL;
    text_copy(record.fill.exec_id, sizeof(record.fill.exec_id), exec_id);
    record.fill.qty = D(qty);
    record.fill.price = D(price);
    record.fill.fee = D("0.05");
    record.fill.transact_ns = START_NS + 7;
    order->filled_qty = decimal_add(order->filled_qty, record.fill.qty);
    order->notional = decimal_add(order->notional, decimal_mul(record.fill.qty, record.fill.price));
    order->known =
        decimal_cmp(order->filled_qty, order->qty) < 0 ? ORDER_PARTIALLY_FILLED : ORDER_FILLED;
    record.order = *order;
    return record;
}

static inline struct record said_record(enum record_kind kind, const char *name, const char *body)
{
    return (struct record){ .kind = kind,
                            .instrument = INSTRUMENT_NONE,
                            .name = name,
                            .body = body,
                            .body_length = strlen(body) };
}

static inline int commit_at(struct fixture *f, int64_t time_ns, uint64_t event,
                            const struct record *records, size_t count)
{
    struct turn turn = { .time_ns = time_ns, .event = event, .records = records, .count = count };
    f->err = (struct error){ 0 };
    return f->port.commit(f->port.self, &turn, &f->err);
}

/* One record at START_NS + event ns. */
static inline void commit_one(struct fixture *f, uint64_t event, struct record record)
{
    if (commit_at(f, START_NS + (int64_t)event, event, &record, 1) < 0)
        fail_msg("%s", f->err.message);
}

/* ---- looking into the file from outside ---- */

/* The rows of a query as "a|b\nc|d\n"; the caller frees it. */
static inline char *query(const struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *rows = NULL;
    struct text out;
    text_init(&out, SIZE_MAX - 1);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &rows, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const void *text = sqlite3_column_text(rows, i);
            text_printf(&out, "%s%s", i ? "|" : "", text ? (const char *)text : "NULL");
        }
        text_add(&out, "\n");
    }
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return out.data;
}

static inline void assert_query(const struct fixture *f, const char *sql, const char *expected)
{
    char *rows = query(f, sql);
    size_t same = 0;
    while (rows[same] && rows[same] == expected[same])
        same++;
    if (rows[same] != expected[same])
        fail_msg("%s\ngave:     %.200s\nexpected: %.200s", sql, rows + same, expected + same);
    free(rows);
}

/* Changes the file behind the ledger's back. */
static inline void tamper(const struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

#define assert_says(f, word)                                                                       \
    do {                                                                                           \
        if (!strstr((f)->err.message, word))                                                       \
            fail_msg("\"%s\" is not in \"%s\"", word, (f)->err.message);                           \
    } while (0)

#endif
