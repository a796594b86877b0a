/* ledger_bench.c - what a turn with one order intent costs, against SQLite alone.
 *
 * Files in WAL mode, synchronous = NORMAL (durability: process). The ledger commits an order and
 * its event in the hash chain, tells the anchor, and has a keeper beside it that checkpoints and
 * makes backups on its own thread; bare SQLite commits one row of 128 bytes and checkpoints within
 * the commit, as it does by itself, every 1,000 pages. Rounds of both alternate, so that a busy
 * machine slows both; each commit is timed. Aim: the median of the rounds' ratios of medians is 3.
 * The tail is printed: the checkpoint's spike is in bare SQLite's and must not be in ours. */
#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/ledger/keeper.h"
#include "runtime/ledger/ledger.h"

#define ROUNDS 41
#define COMMITS 1000
#define TOTAL (ROUNDS * COMMITS)
#define WAL_PAGES 1000
#define AIM 3.0

struct bare {
    sqlite3 *db;
    sqlite3_stmt *begin, *insert, *commit;
    int64_t id;
};

struct ours {
    struct instruments instruments;
    struct ledger *ledger;
    struct keeper *keeper;
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
                        "CREATE TABLE a(id INTEGER PRIMARY KEY, body TEXT)",
                        NULL, NULL, NULL) == SQLITE_OK);
    bare->begin = prepare(bare->db, "BEGIN IMMEDIATE");
    bare->insert = prepare(bare->db, "INSERT INTO a VALUES(?, ?)");
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
    bare->id++;
    run(bare->begin);
    sqlite3_bind_int64(bare->insert, 1, bare->id);
    sqlite3_bind_text(bare->insert, 2, body, sizeof(body) - 1, SQLITE_STATIC);
    run(bare->insert);
    run(bare->commit);
}

static void bare_close(struct bare *bare)
{
    sqlite3_finalize(bare->begin);
    sqlite3_finalize(bare->insert);
    sqlite3_finalize(bare->commit);
    sqlite3_close(bare->db);
}

/* ---- the ledger ---- */

static void make_record(struct record *record, uint32_t instance_id)
{
    struct order order;
    order_init(&order);
    order.instance_id = instance_id;
    order.side = SIDE_BUY;
    order.type = ORDER_LIMIT;
    order.qty = decimal_text("0.125");
    order.price = decimal_text("42000.5");
    text_copy(order.tag, sizeof(order.tag), "entry");
    *record = (struct record){ .kind = RECORD_ORDER, .instance_id = instance_id, .order = order };
}

static void ours_open(struct ours *ours, const char *path, const char *anchor, const char *backups)
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
    struct ledger_options options = { .path = path,
                                      .anchor_path = anchor,
                                      .instruments = &ours->instruments };
    struct keeper_options keeping = { .ledger = path,
                                      .backups = backups,
                                      .name = "ledger",
                                      .backup_count = 1,
                                      .backup_every_ns = NS_PER_SECOND,
                                      .wal_pages = WAL_PAGES,
                                      .wall = clock_wall() };
    struct session_record session = { .mode = "paper", .source = "sim", .build = "bench" };
    struct instance_record instance = { .strategy = "momentum",
                                        .symbol = "BTC/USDT",
                                        .capital = decimal_int(10000) };
    uint32_t index;
    bool is_new;
    check(instruments_add(&ours->instruments, &instrument, &index, &err), &err);
    check(ledger_open(&options, &ours->ledger, &err), &err);
    check(keeper_open(ours->ledger, &keeping, &ours->keeper, &err), &err);
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
    memcpy(order->current_client_order_id, order->client_order_id, CLIENT_ORDER_ID_MAX);
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

/* Sorts. */
static double quantile(double *values, int count, double share)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    int at = (int)(share * count);
    return values[at < count ? at : count - 1];
}

/* One series of commits. What another program did to this thread by taking its processor is not the
 * commit's doing: those are counted apart. */
struct series {
    double *us;
    int count;
    int slept;     /* waited for a disk or a lock */
    int preempted; /* lost the processor: not in us */
    struct rusage last;
    int64_t last_ns;
};

static void series_begin(struct series *series)
{
    getrusage(RUSAGE_THREAD, &series->last);
    series->last_ns = clock_now(clock_monotonic());
}

static void series_add(struct series *series)
{
    int64_t now = clock_now(clock_monotonic());
    struct rusage use;
    getrusage(RUSAGE_THREAD, &use);
    if (use.ru_nivcsw != series->last.ru_nivcsw) {
        series->preempted++;
    } else {
        series->us[series->count++] = (double)(now - series->last_ns) / 1e3;
        series->slept += use.ru_nvcsw != series->last.ru_nvcsw;
    }
    series->last = use;
    series->last_ns = clock_now(clock_monotonic());
}

static void print_tail(const char *name, const struct series *series)
{
    printf("  %-12s median %6.1f us, p99 %6.1f, p99.9 %7.1f, max %8.1f; %d waited, %d preempted\n",
           name, quantile(series->us, series->count, 0.5),
           quantile(series->us, series->count, 0.99), quantile(series->us, series->count, 0.999),
           quantile(series->us, series->count, 1), series->slept, series->preempted);
}

/* Between two flushes of a session: what it does for the WAL, at its price. */
static double help(struct ours *ours)
{
    struct clock clock = clock_monotonic();
    struct error err = { 0 };
    int64_t start = clock_now(clock);
    check(ledger_checkpoint_now(ours->ledger, 4 * WAL_PAGES, &err), &err);
    return (double)(clock_now(clock) - start) / 1e3;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

int main(void)
{
    char directory[] = "/tmp/ledger-bench-XXXXXX", path[4][160];
    static const char *const names[] = { "bare", "ledger", "head", "backups" };
    struct ours *ours = memory_new(sizeof(*ours));
    struct bare bare = { 0 };
    struct series theirs = { .us = memory_new(TOTAL * sizeof(double)) };
    struct series mine = { .us = memory_new(TOTAL * sizeof(double)) };
    double ratio[ROUNDS], longest_help = 0;
    struct keeper_news news;
    ASSERT(mkdtemp(directory));
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof(path[i]), "%s/%s", directory, names[i]);
    bare_open(&bare, path[0]);
    ours_open(ours, path[1], path[2], path[3]);

    for (int i = 0; i < ROUNDS; i++) {
        int a = theirs.count, b = mine.count;
        series_begin(&theirs);
        for (int k = 0; k < COMMITS; k++, series_add(&theirs))
            bare_turn(&bare);
        series_begin(&mine);
        for (int k = 0; k < COMMITS; k++, series_add(&mine))
            ours_turn(ours);
        ratio[i] = quantile(mine.us + b, mine.count - b, 0.5) /
                   quantile(theirs.us + a, theirs.count - a, 0.5);
        double helped = help(ours);
        longest_help = helped > longest_help ? helped : longest_help;
    }
    (void)keeper_news(ours->keeper, &news);
    keeper_close(ours->keeper);
    bare_close(&bare);
    ledger_close(ours->ledger);
    free(ours);
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

    double times = quantile(ratio, ROUNDS, 0.5);
    printf("ledger: a turn with one order against one bare row in SQLite, ratio %.2f (aim %.0f)\n",
           times, AIM);
    print_tail("bare SQLite", &theirs);
    print_tail("ledger", &mine);
    printf("  meanwhile: %" PRIu64 " checkpoints and %" PRIu64 " backups by the keeper; between "
           "turns at most %.0f us\n",
           news.checkpoints, news.backups, longest_help);
    free(theirs.us);
    free(mine.us);
    return times <= AIM ? 0 : 1;
}
