/* ledger_script.h - turns of a made-up session, the same each time: what a ledger is put to test
 * with.
 *
 * Include ledger_fixture.h before. */
#ifndef TESTS_UNIT_LEDGER_SCRIPT_H
#define TESTS_UNIT_LEDGER_SCRIPT_H

#include "runtime/base/hash.h"
#include "runtime/ledger/private.h"

#define SCRIPT_WORDS 700 /* of the longest state: overflow pages */

/* A ledger at this path; a disk in use decides where that is. The id is the same each time. */
static inline void script_begin(struct fixture *f, const char *path, const char *anchor,
                                bool power_safe)
{
    struct ledger_options options = { .path = path,
                                      .anchor_path = anchor, /* NULL: none */
                                      .instruments = &f->instruments,
                                      .power_safe = power_safe };
    if (f->instruments.count == 0) {
        add_instrument(f, "BTC/USDT", "1");
        add_instrument(f, "ETH/USDT:USDT", "10");
    }
    snprintf(f->path, sizeof(f->path), "%s", path);
    if (ledger_open(&options, &f->ledger, &f->err) < 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(sqlite3_exec(f->ledger->db,
                                  "UPDATE meta SET value = 'test' WHERE key = 'ledger_id'", NULL,
                                  NULL, NULL),
                     SQLITE_OK);
    text_copy(f->ledger->ledger_id, sizeof(f->ledger->ledger_id), "test");
    f->port = ledger_port(f->ledger);
}

struct script {
    struct fixture *f;
    struct order order;
    struct position position;
    uint64_t turns; /* committed, or refused */
};

static inline void script_order(struct script *script)
{
    uint64_t number = script->turns;
    script->order = new_order(script->f);
    script->order.type = ORDER_LIMIT;
    script->order.side = number % 8 < 4 ? SIDE_BUY : SIDE_SELL;
    script->order.price = decimal_int(100 + (int64_t)number);
}

/* A few bytes in most turns, several pages in some. */
static inline void script_state(struct text *body, uint64_t number)
{
    text_printf(body, "{\"n\":%" PRIu64 ",\"words\":[0", number);
    for (uint64_t i = 0; i < (number % 12 == 3 ? SCRIPT_WORDS : number % 5); i++)
        text_printf(body, ",%" PRIu64, hash64(number, i, 0) % 100000000);
    text_add(body, "]}");
}

/* The next turn: an order, its acknowledgement, two fills, and what goes with them. The code of the
 * commit; after a failure the script cannot go on. */
static inline int script_turn(struct script *script)
{
    struct fixture *f = script->f;
    struct order *order = &script->order;
    uint64_t number = script->turns;
    struct record records[8];
    struct text body;
    size_t count = 0;
    char exec_id[EXEC_ID_MAX];
    text_init(&body, 1 << 20);
    script_state(&body, number);

    switch (number % 4) {
    case 0:
        script_order(script);
        records[count++] = order_record(order);
        break;
    case 1:
        order->known = ORDER_NEW;
        snprintf(order->venue_order_id, sizeof(order->venue_order_id), "v%" PRIu64,
                 order->order_id);
        records[count++] = order_record(order);
        break;
    default:
        snprintf(exec_id, sizeof(exec_id), "e%" PRIu64, number);
        records[count] = fill_record(order, exec_id, "0.75", "100");
        assert_int_equal(position_apply(&script->position, order->side, &records[count].fill,
                                        decimal_int(1), NULL, &f->err),
                         0);
        count++;
        records[count] = (struct record){ .kind = RECORD_POSITION,
                                          .instance_id = order->instance_id,
                                          .instrument = order->instrument,
                                          .position = script->position };
        count++;
        records[count] = said_record(RECORD_STATE, "state", body.data);
        records[count++].instance_id = order->instance_id;
    }
    if (number % 10 == 5)
        records[count++] = said_record(RECORD_HALT, "session", "{\"code\":\"x\",\"reason\":\"y\"}");
    if (number % 10 == 6)
        records[count++] = said_record(RECORD_HALT, "session", "{\"lifted_by\":\"test\"}");
    if (number % 7 == 0)
        records[count++] = said_record(RECORD_ALERT, "alert", "said");
    if (number % 15 == 0)
        records[count++] = said_record(RECORD_JOURNAL, "reload", "{\"hash\":\"ab\"}");
    int code = commit_at(f, START_NS + (int64_t)number * NS_PER_SECOND, number + 1, records, count);
    text_release(&body);
    script->turns++;
    return code;
}

static inline struct script script_of(struct fixture *f)
{
    struct script script = { .f = f };
    position_init(&script.position);
    return script;
}

/* ---- what a ledger holds, from outside: all rows of all tables ---- */

static inline void dump_rows(sqlite3 *db, const char *sql, struct text *out)
{
    sqlite3_stmt *rows = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &rows, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int code;
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const void *value = sqlite3_column_text(rows, i);
            text_add(out, value ? value : "NULL");
            text_add(out, i + 1 < sqlite3_column_count(rows) ? "|" : "\n");
        }
    }
    if (code != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(rows);
}

/* malloc'd. */
static inline char *dump_ledger(sqlite3 *db)
{
    struct text tables, out;
    text_init(&tables, 1 << 20);
    text_init(&out, 1 << 26);
    dump_rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &tables);
    for (char *name = tables.data, *end; (end = strchr(name, '\n')); name = end + 1) {
        char sql[128];
        snprintf(sql, sizeof(sql), "SELECT '%.*s', * FROM %.*s", (int)(end - name), name,
                 (int)(end - name), name);
        dump_rows(db, sql, &out);
    }
    text_release(&tables);
    assert_false(out.overflow);
    return out.data;
}

#endif
