/* crash_points_test.c - a ledger that ends at any write, truncate, sync, creation or deletion is
 * found as it was after a whole number of turns: those that were acknowledged, or one more.
 *
 * A run is made twice with one seed. The first notes what the tables hold after each step and
 * verifies the audit chain there. The second stops before each point, copies the disk as a crash
 * would leave it, opens a ledger on the copy, and looks for what it holds among the notes. */
#include "tests/unit/ledger_fixture.h"

#include <openssl/sha.h>

#include "runtime/ledger/private.h"
#include "tests/simulation/disk.h"
#include "tests/unit/ledger_script.h"

#define PATH "/state/ledger.sqlite"
#define ANCHOR "/state/audit.head"
#define TURNS 60
#define RESTART 31 /* turns before a clean end and a new start */
#define STEPS_MAX 128
#define CHECKPOINT_PAGES 40 /* often: checkpoints have points of their own */
#define GOES_ON_EVERY 16    /* so many crashes are followed by a resumed session */

enum promise {
    PROMISE_PROCESS, /* durability process: whole against kills; a power cut loses the last turns */
    PROMISE_POWER,   /* durability power: whole against both */
    PROMISE_GROUPED, /* turns share transactions: a kill loses the last group */
};

struct run {
    enum promise promise;
    bool is_watched;
    struct disk *disk;
    struct fixture f;
    struct script script;
    char notes[STEPS_MAX][SHA256_TEXT_MAX]; /* what the tables held after each step, [0] not used */
    size_t acknowledged;                    /* steps done */
    size_t flushed;                         /* steps that no kill may lose */
    size_t steps;                           /* of the noted run */
    bool was_sync;                          /* the last point */
    uint64_t points, copies, cut_tails;
};

/* Called with "all": every crash of every point, for the patient. */
static bool all_crashes;

/* ---- looking ---- */

static void hash_rows(sqlite3 *db, const char *sql, struct sha256 *hash)
{
    sqlite3_stmt *rows = NULL;
    int code;
    if (sqlite3_prepare_v2(db, sql, -1, &rows, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const void *value = sqlite3_column_text(rows, i);
            int length = value ? sqlite3_column_bytes(rows, i) : -1;
            sha256_update(hash, &length, sizeof(length));
            if (value)
                sha256_update(hash, value, (size_t)length);
        }
    }
    if (code != SQLITE_DONE)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(rows);
}

/* Over all rows of all tables. */
static void look(sqlite3 *db, char hex[SHA256_TEXT_MAX])
{
    struct sha256 *hash = sha256_open();
    struct text tables;
    text_init(&tables, 1 << 20);
    dump_rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &tables);
    for (char *name = tables.data, *end; (end = strchr(name, '\n')); name = end + 1) {
        char sql[128];
        snprintf(sql, sizeof(sql), "SELECT '%.*s', * FROM %.*s", (int)(end - name), name,
                 (int)(end - name), name);
        hash_rows(db, sql, hash);
    }
    text_release(&tables);
    sha256_finish(hash, hex);
}

/* By the rule in the schema's comment, from the file alone. */
static void verify_chain(sqlite3 *db)
{
    sqlite3_stmt *rows = NULL;
    char head[65];
    memset(head, '0', 64);
    head[64] = '\0';
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT prev_hash || seq || '|' || session_id || '|' ||"
                                        " time_ns || '|' || event || '|' || kind || '|' ||"
                                        " order_id || '|' || body, prev_hash, hash, seq"
                                        " FROM trading_events ORDER BY seq",
                                        -1, &rows, NULL),
                     SQLITE_OK);
    for (int count = 1; sqlite3_step(rows) == SQLITE_ROW; count++) {
        unsigned char digest[SHA256_DIGEST_LENGTH];
        SHA256(sqlite3_column_text(rows, 0), (size_t)sqlite3_column_bytes(rows, 0), digest);
        assert_string_equal(column_text(rows, 1), head);
        for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
            snprintf(head + 2 * i, 3, "%02x", digest[i]);
        assert_string_equal(column_text(rows, 2), head);
        assert_int_equal(column_int(rows, 3), count);
    }
    sqlite3_finalize(rows);
}

static void assert_sound(sqlite3 *db)
{
    struct text out;
    text_init(&out, 1 << 16);
    dump_rows(db, "PRAGMA integrity_check", &out);
    assert_string_equal(out.data, "ok\n");
    text_release(&out);
}

/* ---- the run ---- */

static void step_done(struct run *run)
{
    run->acknowledged++;
    if (run->promise != PROMISE_GROUPED || !run->f.ledger->group_open)
        run->flushed = run->acknowledged;
    if (run->is_watched)
        return;
    ASSERT(run->acknowledged < STEPS_MAX);
    run->steps = run->acknowledged;
    look(run->f.ledger->db, run->notes[run->acknowledged]);
    verify_chain(run->f.ledger->db);
}

static void run_open(struct run *run)
{
    script_begin(&run->f, PATH, ANCHOR, run->promise == PROMISE_POWER);
    sqlite3_wal_autocheckpoint(run->f.ledger->db, CHECKPOINT_PAGES);
}

/* A session begins, or goes on: in two steps, since instances are added one by one. */
static void run_session(struct run *run, bool resumed)
{
    struct fixture *f = &run->f;
    bool found;
    session_record_release(&f->session);
    if (resumed) {
        assert_int_equal(
            ledger_last_session(f->ledger, "paper", "sim", &found, &f->session, &f->err), 0);
    } else {
        f->session = (struct session_record){ .started_ns = START_NS, .market_ns = START_NS };
        text_copy(f->session.mode, sizeof(f->session.mode), "paper");
        text_copy(f->session.source, sizeof(f->session.source), "sim");
        f->session.config = strdup("{\"seed\":1}");
    }
    assert_int_equal(ledger_session_begin(f->ledger, &f->session, resumed, false,
                                          WALL_NS + (resumed ? NS_PER_DAY : 0), &f->err),
                     0);
    step_done(run);
    add_instance(f, "momentum", "BTC/USDT");
    step_done(run);
    if (run->promise == PROMISE_GROUPED)
        ledger_group_turns(f->ledger);
}

static void run_turns(struct run *run, uint64_t until)
{
    while (run->script.turns < until) {
        if (script_turn(&run->script) < 0)
            fail_msg("%s", run->f.err.message);
        step_done(run);
        if (run->script.turns % 8 != 0)
            continue;
        assert_int_equal(ledger_progress(run->f.ledger,
                                         START_NS + (int64_t)run->script.turns * NS_PER_SECOND + 7,
                                         run->script.turns + 7, &run->f.err),
                         0);
        step_done(run);
    }
}

static void run_all(struct run *run)
{
    run->acknowledged = run->flushed = 0;
    run->f = (struct fixture){ 0 };
    run->script = script_of(&run->f);
    run_open(run);
    step_done(run);
    run_session(run, false);
    run_turns(run, RESTART);
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            run_turns(run, TURNS);
        assert_int_equal(ledger_session_end(run->f.ledger, START_NS + NS_PER_DAY, &run->f.err), 0);
        step_done(run);
        close_ledger(&run->f);
        if (i == 1)
            break;
        run_open(run);
        run_session(run, true);
    }
    session_record_release(&run->f.session);
}

/* ---- the crashes ---- */

/* The resumed session has new order ids, and what it commits stays. */
static void goes_on(struct fixture *f)
{
    resume(f, "sim", false);
    struct order order = new_order(f);
    commit_one(f, 1000, order_record(&order));
    char sql[200], name[64];
    snprintf(sql, sizeof(sql),
             "SELECT client_order_id, count(*) FROM orders WHERE order_id = %" PRIu64,
             order.order_id);
    snprintf(name, sizeof(name), "%s|1\n", order.client_order_id);
    close_ledger(f);
    script_begin(f, PATH, ANCHOR, false);
    assert_query(f, sql, name);
    verify_chain(f->ledger->db);
    session_record_release(&f->session);
}

/* Steps that may be found: lowest to highest. */
static void look_at_copy(struct run *run, size_t lowest, size_t highest, const char *what)
{
    struct fixture f = { 0 };
    char found[SHA256_TEXT_MAX];
    script_begin(&f, PATH, ANCHOR, run->promise == PROMISE_POWER); /* it opens */
    look(f.ledger->db, found);
    assert_sound(f.ledger->db);
    size_t at = lowest, other = 1;
    while (at <= highest && strcmp(run->notes[at], found) != 0)
        at++;
    while (other <= run->steps && strcmp(run->notes[other], found) != 0)
        other++;
    if (at > highest && other > run->steps)
        fail_msg("%s: %zu steps are done; the tables hold what they held after no step", what,
                 run->acknowledged);
    if (at > highest)
        fail_msg("%s: %zu steps are done; the tables hold step %zu", what, run->acknowledged,
                 other);
    if (at >= 3 && run->copies % GOES_ON_EVERY == 0)
        goes_on(&f);
    close_ledger(&f);
    run->copies++;
}

/* Where a power cut may take the last turns, the anchor may have stayed, or may be torn too:
 * then that is said. */
static void forget_anchor_that_is_ahead(struct run *run, struct disk *copy)
{
    struct ledger *ledger;
    struct ledger_options options = options_of(&run->f);
    struct error err = { 0 };
    options.anchor_path = ANCHOR;
    if (ledger_open(&options, &ledger, &err) == 0) {
        ledger_close(ledger);
        return;
    }
    if (!strstr(err.message, "its tail was cut") && !strstr(err.message, "neither of its records"))
        fail_msg("%s", err.message);
    run->cut_tails++;
    disk_remove_file(copy, ANCHOR);
}

static void crash_here(struct run *run, enum crash crash, size_t torn, const char *what)
{
    bool loses =
        crash == CRASH_KILL ? run->promise == PROMISE_GROUPED : run->promise != PROMISE_POWER;
    size_t lowest = !loses ? run->acknowledged : crash == CRASH_KILL ? run->flushed : 1;
    struct disk *copy = disk_after_crash(run->disk, crash, torn, hash64(run->points, crash, torn));
    disk_use(copy);
    if (loses && crash != CRASH_KILL)
        forget_anchor_that_is_ahead(run, copy);
    look_at_copy(run, lowest > 1 ? lowest : 1,
                 run->acknowledged < run->steps ? run->acknowledged + 1 : run->steps, what);
    disk_use(run->disk);
    disk_close(copy);
}

/* Crashes that find what another one found are left out: a kill after the whole write is the one
 * before the next point, and between two syncs nothing changes for the barest power cut. */
static bool is_worth_it(const struct run *run, enum crash crash, int torn, size_t length,
                        uint64_t number)
{
    if (all_crashes)
        return true;
    switch (crash) {
    case CRASH_KILL:
        if (run->promise != PROMISE_PROCESS)
            return torn < 2 && number % 8 == (uint64_t)torn;
        return torn == 0 || (torn == 1 && number % 4 == 0);
    case CRASH_POWER: /* what survives is random anyway */
        return torn == (length > 0 ? (int)(number % 3) : 0) &&
               (run->promise == PROMISE_POWER || number % 8 == 0);
    case CRASH_POWER_BARE:
        return run->was_sync && torn == 0;
    }
    return false;
}

static void watch(void *self, enum disk_point kind, const char *path, uint64_t number)
{
    static const char *const crashes[] = { "kill", "power cut", "bare power cut" };
    struct run *run = self;
    size_t length = disk_write_length(run->disk);
    size_t torn[] = { 0, length / 2, length };
    char what[160];
    run->points++;
    for (int crash = CRASH_KILL; crash <= CRASH_POWER_BARE; crash++) {
        for (int i = 0; i < (kind == DISK_WRITE ? 3 : 1); i++) {
            if (!is_worth_it(run, (enum crash)crash, i, length, number))
                continue;
            snprintf(what, sizeof(what), "%s at point %" PRIu64 " (%s %s, %zu of %zu bytes)",
                     crashes[crash], number, disk_point_name(kind), path, torn[i], length);
            crash_here(run, (enum crash)crash, torn[i], what);
        }
    }
    run->was_sync = kind == DISK_SYNC;
}

static void crash_everywhere(enum promise promise)
{
    struct run *run = memory_new(sizeof(*run));
    disk_use(NULL); /* of a test that failed */
    run->promise = promise;
    run->disk = disk_open(1);
    run_all(run);
    uint64_t points = disk_points(run->disk);
    disk_close(run->disk);

    run->is_watched = true;
    run->disk = disk_open(1);
    disk_watch(run->disk, watch, run);
    run_all(run);
    assert_int_equal(run->points, points);
    assert_int_equal(run->acknowledged, run->steps);
    print_message("# %zu steps, %" PRIu64 " points, %" PRIu64 " crashes\n", run->steps, run->points,
                  run->copies);
    disk_close(run->disk);
    free(run);
}

static void turns_are_whole_after_a_kill(void **state)
{
    (void)state;
    crash_everywhere(PROMISE_PROCESS);
}

static void turns_are_whole_after_a_power_cut(void **state)
{
    (void)state;
    crash_everywhere(PROMISE_POWER);
}

static void groups_of_turns_are_whole_after_a_kill(void **state)
{
    (void)state;
    crash_everywhere(PROMISE_GROUPED);
}

/* ---- calls that fail, and a process that lives ---- */

#define FAILING_TURNS 24

struct failing {
    struct disk *disk;
    struct fixture f;
    uint64_t at;    /* the point whose call fails; UINT64_MAX: none */
    uint64_t first; /* point of the turns */
    bool is_short, is_full;
};

static void fail_there(void *self, enum disk_point kind, const char *path, uint64_t number)
{
    struct failing *failing = self;
    struct disk_faults none = { 0 }, all = { .sync_error = 10000, .capacity = failing->is_full };
    (void)kind, (void)path;
    if (failing->is_short)
        all.short_write = 10000;
    else if (!failing->is_full) /* full: not a byte more, but what is there may be written over */
        all.write_error = 10000;
    disk_set_faults(failing->disk, number == failing->at ? &all : &none);
}

/* How many turns were acknowledged; *code is that of the last one. Without a point that fails,
 * *notes is what the tables held after each turn. */
static uint64_t run_failing(struct failing *failing, int *code,
                            char notes[FAILING_TURNS + 1][SHA256_TEXT_MAX])
{
    struct fixture *f = &failing->f;
    *f = (struct fixture){ 0 };
    script_begin(f, PATH, ANCHOR, true);
    sqlite3_wal_autocheckpoint(f->ledger->db, 10);
    begin(f, "sim");
    struct script script = script_of(f);
    if (failing->at == UINT64_MAX)
        look(f->ledger->db, notes[0]);
    failing->first = disk_points(failing->disk);
    disk_watch(failing->disk, fail_there, failing);
    while (script.turns < FAILING_TURNS) {
        *code = script_turn(&script);
        if (*code < 0)
            return script.turns - 1;
        if (failing->at == UINT64_MAX)
            look(f->ledger->db, notes[script.turns]);
    }
    return script.turns;
}

/* It was refused, or it was not needed (SQLite tries a checkpoint again later). The next start
 * finds the turns acknowledged, or the refused one too: it was in the file when the anchor could
 * not be told. */
static void look_after_failure(struct failing *failing, uint64_t done, int code,
                               char notes[FAILING_TURNS + 1][SHA256_TEXT_MAX])
{
    struct fixture *f = &failing->f;
    char found[SHA256_TEXT_MAX];
    disk_watch(failing->disk, NULL, NULL);
    disk_set_faults(failing->disk, &(struct disk_faults){ 0 });
    if (code < 0) {
        assert_int_equal(code, ERROR_IO);
        struct record record = said_record(RECORD_ALERT, "alert", "after");
        assert_true(commit_at(f, START_NS + NS_PER_DAY, 1000, &record, 1) < 0);
    }
    close_ledger(f);
    session_record_release(&f->session);
    script_begin(f, PATH, ANCHOR, true);
    look(f->ledger->db, found);
    assert_sound(f->ledger->db);
    if (strcmp(found, notes[done]) != 0 && (code == 0 || strcmp(found, notes[done + 1]) != 0))
        fail_msg("point %" PRIu64 " failed: %" PRIu64 " turns are done, the last with code %d; the "
                 "tables hold something else",
                 failing->at, done, code);
    close_ledger(f);
}

static void a_call_that_fails_leaves_whole_turns(void **state)
{
    (void)state;
    struct failing *failing = memory_new(sizeof(*failing));
    static char notes[FAILING_TURNS + 1][SHA256_TEXT_MAX];
    uint64_t runs = 0, refused = 0;
    int code = 0;
    disk_use(NULL);
    failing->at = UINT64_MAX;
    failing->disk = disk_open(1);
    assert_int_equal(run_failing(failing, &code, notes), FAILING_TURNS);
    uint64_t points = disk_points(failing->disk);
    look_after_failure(failing, FAILING_TURNS, 0, notes);
    disk_close(failing->disk);

    for (uint64_t at = failing->first; at < points; at += all_crashes ? 1 : 5) {
        failing->at = at;
        failing->is_short = at % 3 == 1;
        failing->is_full = at % 3 == 2;
        failing->disk = disk_open(1);
        uint64_t done = run_failing(failing, &code, notes);
        look_after_failure(failing, done, code, notes);
        disk_close(failing->disk);
        refused += code < 0;
        runs++;
    }
    print_message("# %" PRIu64 " points, %" PRIu64 " runs with one that failed, %" PRIu64
                  " told as a failed commit\n",
                  points - failing->first, runs, refused);
    assert_true(refused > runs / 4);
    free(failing);
}

int main(int count, char **words)
{
    all_crashes = count > 1 && strcmp(words[1], "all") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_whole_after_a_kill),
        cmocka_unit_test(turns_are_whole_after_a_power_cut),
        cmocka_unit_test(groups_of_turns_are_whole_after_a_kill),
        cmocka_unit_test(a_call_that_fails_leaves_whole_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
