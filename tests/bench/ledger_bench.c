/* ledger_bench.c - what a turn with one order intent costs, against SQLite alone.
 *
 * Both commit two rows in one transaction to a file in WAL mode, synchronous = NORMAL: bare SQLite
 * rows of 128 bytes, the ledger an order and its event in the hash chain. Rounds of both alternate,
 * so that a busy machine slows both; the ratio is the median of the rounds' ratios. Aim: 3. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/ledger/ledger.h"

#define ROUNDS 41
#define COMMITS 500
#define AIM 3.0

struct bare {
    sqlite3 *db;
    sqlite3_stmt *begin, *first, *second, *commit;
    int64_t id;
};

struct ours {
    struct instruments instruments;
    struct ledger *ledger;
    struct ledger_port port;
    struct record record;
    int64_t now_ns;
};

static void check(int code, const struct error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "ledger_bench: %s\n", err->message);
    exit(1);
}

/* ---- bare SQLite ---- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    ASSERT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

static void bare_open(struct bare *bare, const char *path)
{
    ASSERT(sqlite3_open(path, &bare->db) == SQLITE_OK);
    ASSERT(sqlite3_exec(bare->db,
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                        "CREATE TABLE a(id INTEGER PRIMARY KEY, body TEXT);"
                        "CREATE TABLE b(id INTEGER PRIMARY KEY, body TEXT)",
                        NULL, NULL, NULL) == SQLITE_OK);
    bare->begin = prepare(bare->db, "BEGIN IMMEDIATE");
    bare->first = prepare(bare->db, "INSERT INTO a VALUES(?, ?)");
    bare->second = prepare(bare->db, "INSERT INTO b VALUES(?, ?)");
    bare->commit = prepare(bare->db, "COMMIT");
}

static void run(sqlite3_stmt *statement)
{
    ASSERT(sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

static void bare_turn(struct bare *bare)
{
    static const char body[] =
        "{\"symbol\":\"BTC/USDT\",\"side\":\"buy\",\"type\":\"limit\",\"qty\":"
        "\"0.125\",\"price\":\"42000.5\",\"status\":\"pending_new\",\"tag\":"
        "\"entry\"}      ";
    _Static_assert(sizeof(body) - 1 >= 115 && sizeof(body) - 1 <= 130, "about 128 bytes");
    sqlite3_stmt *const inserts[] = { bare->first, bare->second };
    bare->id++;
    run(bare->begin);
    for (int i = 0; i < 2; i++) {
        sqlite3_bind_int64(inserts[i], 1, bare->id);
        sqlite3_bind_text(inserts[i], 2, body, sizeof(body) - 1, SQLITE_STATIC);
        run(inserts[i]);
    }
    run(bare->commit);
}

static void bare_close(struct bare *bare)
{
    sqlite3_finalize(bare->begin);
    sqlite3_finalize(bare->first);
    sqlite3_finalize(bare->second);
    sqlite3_finalize(bare->commit);
    sqlite3_close(bare->db);
}

/* ---- the ledger ---- */

static void make_record(struct record *record, uint32_t instance_id)
{
    struct order order = { .instance_id = instance_id,
                           .side = SIDE_BUY,
                           .type = ORDER_LIMIT,
                           .qty = decimal_text("0.125"),
                           .price = decimal_text("42000.5"),
                           .trigger_price = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .pending_qty = DECIMAL_NONE,
                           .pending_price = DECIMAL_NONE,
                           .filled_qty = DECIMAL_ZERO,
                           .notional = DECIMAL_ZERO,
                           .fees = DECIMAL_ZERO,
                           .expires_ns = TIME_NEVER,
                           .tag = "entry" };
    *record = (struct record){ .kind = RECORD_ORDER, .instance_id = instance_id, .order = order };
}

static void ours_open(struct ours *ours, const char *path)
{
    struct error err = { 0 };
    struct instrument instrument = { .symbol = "BTC/USDT",
                                     .venue = "sim",
                                     .tick_size = decimal_text("0.01"),
                                     .lot_size = decimal_text("0.001"),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    struct ledger_options options = { .path = path, .instruments = &ours->instruments };
    struct session_record session = { .mode = "paper", .source = "sim", .build = "bench" };
    struct instance_record instance = { .strategy = "momentum",
                                        .symbol = "BTC/USDT",
                                        .capital = decimal_int(10000) };
    uint32_t index;
    bool is_new;
    check(instruments_add(&ours->instruments, &instrument, &index, &err), &err);
    check(ledger_open(&options, &ours->ledger, &err), &err);
    check(ledger_session_begin(ours->ledger, &session, false, false, NS_PER_DAY, &err), &err);
    check(ledger_instance(ours->ledger, &instance, &is_new, &err), &err);
    ours->port = ledger_port(ours->ledger);
    ours->now_ns = INT64_C(1704067200) * NS_PER_SECOND;
    make_record(&ours->record, instance.instance_id);
}

static void ours_turn(struct ours *ours)
{
    struct error err = { 0 };
    struct order *order = &ours->record.order;
    order->order_id = ours->port.next_order_id(ours->port.self, order->client_order_id);
    order->created_ns = order->updated_ns = ours->now_ns += NS_PER_SECOND;
    struct turn turn = {
        .time_ns = ours->now_ns, .event = order->order_id, .records = &ours->record, .count = 1
    };
    check(ours->port.commit(ours->port.self, &turn, &err), &err);
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(*values), compare);
    return values[ROUNDS / 2];
}

static void remove_files(const char *directory, const char *name)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        char path[160];
        snprintf(path, sizeof(path), "%s/%s%s", directory, name, suffixes[i]);
        unlink(path);
    }
}

int main(void)
{
    char directory[] = "/tmp/ledger-bench-XXXXXX", path[160];
    struct clock clock = clock_monotonic();
    struct ours *ours = memory_new(sizeof(*ours));
    struct bare bare = { 0 };
    double bare_us[ROUNDS], ours_us[ROUNDS], ratio[ROUNDS];
    ASSERT(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/bare", directory);
    bare_open(&bare, path);
    snprintf(path, sizeof(path), "%s/ledger", directory);
    ours_open(ours, path);

    for (int i = 0; i < ROUNDS; i++) {
        int64_t start = clock_now(clock);
        for (int k = 0; k < COMMITS; k++)
            bare_turn(&bare);
        int64_t middle = clock_now(clock);
        for (int k = 0; k < COMMITS; k++)
            ours_turn(ours);
        bare_us[i] = (double)(middle - start) / COMMITS / 1e3;
        ours_us[i] = (double)(clock_now(clock) - middle) / COMMITS / 1e3;
        ratio[i] = ours_us[i] / bare_us[i];
    }
    bare_close(&bare);
    ledger_close(ours->ledger);
    free(ours);
    remove_files(directory, "bare");
    remove_files(directory, "ledger");
    rmdir(directory);

    double times = median(ratio);
    printf("ledger: a turn with one order %.1f us, bare SQLite with two rows %.1f us, ratio %.2f "
           "(aim %.0f)\n",
           median(ours_us), median(bare_us), times, AIM);
    return times <= AIM ? 0 : 1;
}
