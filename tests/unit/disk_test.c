/* disk_test.c - the simulated disk is a disk: a ledger on it behaves as on a real one, and a crash
 * leaves what a crash leaves. */
#include "tests/unit/ledger_fixture.h"

#include "runtime/ledger/private.h"
#include "tests/simulation/disk.h"
#include "tests/unit/ledger_script.h"

#define PATH "/state/ledger.sqlite"
#define WAL PATH "-wal"

static int no_disk_is_left(void **state)
{
    (void)state;
    assert_null(disk_in_use());
    assert_string_equal(sqlite3_vfs_find(NULL)->zName, "unix");
    return 0;
}

static int run(struct script *script, uint64_t turns)
{
    int code = 0;
    while (turns-- > 0 && code == 0)
        code = script_turn(script);
    return code;
}

/* A ledger with a session on the disk in use, and its script. */
static struct script begin_script(struct fixture *f, const char *path, bool power_safe)
{
    *f = (struct fixture){ 0 };
    script_begin(f, path, NULL, power_safe);
    begin(f, "sim");
    return script_of(f);
}

static void end_script(struct fixture *f)
{
    close_ledger(f);
    session_record_release(&f->session);
}

/* What a ledger opened anew at PATH on this disk holds; malloc'd. */
static char *dump_of(struct disk *disk)
{
    struct fixture f = { 0 };
    struct disk *before = disk_in_use();
    disk_use(disk);
    script_begin(&f, PATH, NULL, false);
    char *dump = dump_ledger(f.ledger->db);
    close_ledger(&f);
    disk_use(before);
    return dump;
}

/* ---- as a real disk ---- */

static void a_ledger_behaves_as_on_a_real_disk(void **state)
{
    (void)state;
    struct fixture real, f;
    char directory[] = "/tmp/disk-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/ledger.sqlite", directory);
    struct script script = begin_script(&real, path, false);
    assert_int_equal(run(&script, 40), 0);
    char *expected = dump_ledger(real.ledger->db);
    end_script(&real);
    nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

    struct disk *disk = disk_open(1);
    script = begin_script(&f, PATH, false);
    assert_int_equal(run(&script, 40), 0);
    char *dump = dump_ledger(f.ledger->db);
    assert_string_equal(dump, expected);
    assert_true(disk_exists(disk, WAL));
    assert_int_equal(access("/state", F_OK), -1);
    end_script(&f);
    assert_false(disk_exists(disk, WAL)); /* a clean close leaves one file */

    char *again = dump_of(disk);
    assert_string_equal(again, expected);
    disk_close(disk);
    free(expected);
    free(dump);
    free(again);
}

static int count_rows(const char *path, int *rows)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *get = NULL;
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(db, "SELECT count(*) FROM trading_events", -1, &get, NULL);
    if (code == SQLITE_OK && sqlite3_step(get) == SQLITE_ROW)
        *rows = sqlite3_column_int(get, 0);
    sqlite3_finalize(get);
    sqlite3_close(db);
    return code;
}

/* People query the file while the program runs. */
static void others_read_while_one_writes(void **state)
{
    (void)state;
    struct fixture f;
    struct disk *disk = disk_open(1);
    struct script script = begin_script(&f, PATH, false);
    int rows = -1;
    assert_int_equal(run(&script, 1), 0); /* an order, an alert, a journal entry */
    assert_int_equal(count_rows(PATH, &rows), SQLITE_OK);
    assert_int_equal(rows, 3);

    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(PATH, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(run(&script, 1), ERROR_IO);
    assert_says(&f, "another program holds a lock");
    sqlite3_close(other);
    assert_int_equal(count_rows(PATH, &rows), SQLITE_OK);
    assert_int_equal(rows, 3);
    end_script(&f);
    disk_close(disk);
}

/* The old way too, with a journal that is rolled back: locks of the file itself. */
static void a_rollback_journal_works(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    sqlite3 *one = NULL, *other = NULL;
    assert_int_equal(sqlite3_open("/a", &one), SQLITE_OK);
    assert_int_equal(sqlite3_open("/a", &other), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(one, "CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)", NULL, NULL, NULL),
        SQLITE_OK);
    assert_true(disk_exists(disk, "/a-journal"));
    assert_int_equal(sqlite3_exec(other, "SELECT * FROM t", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "INSERT INTO t VALUES(2)", NULL, NULL, NULL), SQLITE_BUSY);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT * FROM t", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(one, "COMMIT", NULL, NULL, NULL), SQLITE_BUSY); /* it reads */
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(one, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "INSERT INTO t VALUES(2)", NULL, NULL, NULL), SQLITE_OK);
    assert_false(disk_exists(disk, "/a-journal"));
    sqlite3_close(one);
    sqlite3_close(other);
    disk_close(disk);
}

static int64_t at_2030(void *self)
{
    (void)self;
    return INT64_C(1893456000) * NS_PER_SECOND;
}

static void time_is_what_it_is_told(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    sqlite3 *db = NULL;
    struct text out;
    text_init(&out, 1000);
    assert_int_equal(sqlite3_open("/a", &db), SQLITE_OK);
    dump_rows(db, "SELECT datetime('now')", &out);
    disk_set_clock(disk, (struct clock){ .now_ns = at_2030 });
    dump_rows(db, "SELECT datetime('now')", &out);
    assert_string_equal(out.data, "2024-01-01 00:00:00\n2030-01-01 00:00:00\n");
    sqlite3_close(db);
    disk_close(disk);
    text_release(&out);
}

/* ---- the same seed, the same bytes ---- */

static void digest_of_run(uint64_t seed, char hex[65])
{
    struct fixture f;
    struct disk *disk = disk_open(seed);
    struct disk_faults faults = { .read_error = 2, .write_error = 5, .sync_error = 5 };
    struct script script = begin_script(&f, PATH, true);
    disk_set_faults(disk, &faults);
    (void)run(&script, 40);
    struct disk *found = disk_after_crash(disk, CRASH_POWER, 0, seed + 1);
    disk_digest(found, hex);
    disk_close(found);
    disk_set_faults(disk, &(struct disk_faults){ 0 });
    end_script(&f);
    disk_close(disk);
}

static void equal_seeds_give_equal_bytes(void **state)
{
    (void)state;
    char one[65], again[65], other[65];
    digest_of_run(7, one);
    digest_of_run(7, again);
    digest_of_run(8, other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
}

/* ---- crashes ---- */

static void a_kill_leaves_all_that_was_written(void **state)
{
    (void)state;
    struct fixture f;
    struct disk *disk = disk_open(1);
    struct script script = begin_script(&f, PATH, false);
    assert_int_equal(run(&script, 21), 0);
    char *expected = dump_ledger(f.ledger->db);
    struct disk *found = disk_after_crash(disk, CRASH_KILL, 0, 2);
    char one[65], other[65];
    disk_digest(disk, one);
    disk_digest(found, other);
    assert_string_equal(one, other);
    char *dump = dump_of(found);
    assert_string_equal(dump, expected);
    end_script(&f);
    disk_close(disk);
    disk_close(found);
    free(expected);
    free(dump);
}

static void assert_file(const struct disk *disk, const char *path, const char *expected)
{
    size_t length;
    char *bytes = disk_read_file(disk, path, &length);
    if (expected)
        assert_string_equal(bytes, expected);
    else
        assert_null(bytes);
    free(bytes);
}

static sqlite3_file *open_file(const char *path, int kind)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_file *file = memory_new((size_t)vfs->szOsFile);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | kind;
    assert_int_equal(vfs->xOpen(vfs, path, file, flags, NULL), SQLITE_OK);
    return file;
}

static void put(sqlite3_file *file, const char *bytes, int offset)
{
    assert_int_equal(file->pMethods->xWrite(file, bytes, (int)strlen(bytes), offset), SQLITE_OK);
}

static void sync_file(sqlite3_file *file)
{
    assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
}

static void close_file(sqlite3_file *file)
{
    assert_int_equal(file->pMethods->xClose(file), SQLITE_OK);
    free(file);
}

/* Exactly what was not synced, names too. */
static void a_power_cut_loses_what_was_not_synced(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    disk_write_file(disk, "/d/old", "old", 3);
    disk_write_file(disk, "/d/gone", "gone", 4);
    disk_write_file(disk, "/d/gone-for-good", "x", 1);
    assert_int_equal(vfs->xDelete(vfs, "/d/gone-for-good", 1), SQLITE_OK);

    sqlite3_file *old = open_file("/d/old", SQLITE_OPEN_MAIN_DB);
    put(old, "new", 0);
    sync_file(old);
    put(old, "lost and longer", 0);
    sqlite3_file *wal = open_file("/d/wal", SQLITE_OPEN_WAL);
    put(wal, "kept", 0);
    sync_file(wal); /* and the directory, for the first time */
    put(wal, "lost", 4);
    sqlite3_file *made = open_file("/d/made", SQLITE_OPEN_MAIN_DB);
    put(made, "its name is not synced", 0);
    sync_file(made);
    assert_int_equal(vfs->xDelete(vfs, "/d/gone", 0), SQLITE_OK);

    struct disk *kill = disk_after_crash(disk, CRASH_KILL, 0, 1);
    assert_file(kill, "/d/old", "lost and longer");
    assert_file(kill, "/d/wal", "keptlost");
    assert_file(kill, "/d/made", "its name is not synced");
    assert_file(kill, "/d/gone", NULL);
    assert_file(kill, "/d/gone-for-good", NULL);

    struct disk *power = disk_after_crash(disk, CRASH_POWER_BARE, 0, 1);
    struct disk *later = disk_after_crash(kill, CRASH_POWER_BARE, 0, 1); /* killed, then cut */
    struct disk *both[] = { power, later };
    for (int i = 0; i < 2; i++) {
        assert_file(both[i], "/d/old", "new");
        assert_file(both[i], "/d/wal", "kept");
        assert_file(both[i], "/d/made", NULL);
        assert_file(both[i], "/d/gone", "gone");
        assert_file(both[i], "/d/gone-for-good", NULL);
    }
    close_file(old);
    close_file(wal);
    close_file(made);
    disk_close(disk);
    disk_close(kill);
    disk_close(power);
    disk_close(later);
}

/* Sectors are kept or lost one by one: over many seeds each mixture of old and new is seen. */
static void a_power_cut_tears_between_sectors(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    char old[1024], new[1024];
    memset(old, 'o', sizeof(old));
    memset(new, 'n', sizeof(new));
    disk_write_file(disk, "/a", old, sizeof(old));
    sqlite3_file *file = open_file("/a", SQLITE_OPEN_MAIN_DB);
    assert_int_equal(file->pMethods->xWrite(file, new, sizeof(new), 0), SQLITE_OK);
    unsigned seen = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct disk *found = disk_after_crash(disk, CRASH_POWER, 0, seed);
        size_t length;
        char *bytes = disk_read_file(found, "/a", &length);
        assert_int_equal(length, 1024);
        for (int i = 0; i < 1024; i++) /* never within one */
            assert_int_equal(bytes[i], bytes[i / 512 * 512]);
        seen |= 1u << ((bytes[0] == 'n') + 2 * (bytes[512] == 'n'));
        free(bytes);
        disk_close(found);
    }
    assert_int_equal(seen, 0xf);
    close_file(file);
    disk_close(disk);
}

struct watched {
    struct disk *disk;
    unsigned counts[DISK_POINTS];
    uint64_t next;
    size_t torn;
    struct disk *found;
};

static void watch(void *self, enum disk_point kind, const char *path, uint64_t number)
{
    struct watched *watched = self;
    assert_int_equal(number, watched->next++);
    assert_int_equal(disk_points(watched->disk), number);
    assert_int_equal(disk_write_length(watched->disk) > 0, kind == DISK_WRITE);
    assert_true(text_starts_with(path, "/"));
    watched->counts[kind]++;
    if (kind == DISK_WRITE) {
        disk_close(watched->found);
        watched->found = disk_after_crash(watched->disk, CRASH_KILL, watched->torn, 1);
    }
}

/* The write under way may be half done. */
static void points_are_told_before_they_take_effect(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    struct watched watched = { .disk = disk };
    disk_watch(disk, watch, &watched);
    sqlite3_file *file = open_file("/a", SQLITE_OPEN_MAIN_DB);
    put(file, "1234", 0);
    assert_file(watched.found, "/a", "");
    watched.torn = 3;
    put(file, "5678", 4);
    assert_file(watched.found, "/a", "1234567");
    watched.torn = SIZE_MAX;
    put(file, "9", 0);
    assert_file(watched.found, "/a", "92345678");
    assert_int_equal(file->pMethods->xTruncate(file, 5), SQLITE_OK);
    sync_file(file);
    close_file(file);
    assert_file(disk, "/a", "92345");
    assert_int_equal(vfs->xDelete(vfs, "/a", 0), SQLITE_OK);
    static const unsigned expected[DISK_POINTS] = { 1, 3, 1, 1, 1 };
    assert_memory_equal(watched.counts, expected, sizeof(expected));
    assert_int_equal(disk_points(disk), 7);
    disk_close(watched.found);
    disk_close(disk);
}

/* ---- the ledger's promise ---- */

/* power: what was committed survives a power cut, whatever else the disk kept. */
static void power_safe_commits_survive_a_power_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct disk *disk = disk_open(1);
    struct script script = begin_script(&f, PATH, true);
    assert_int_equal(run(&script, 20), 0);
    char *expected = dump_ledger(f.ledger->db);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct disk *found =
            disk_after_crash(disk, seed == 0 ? CRASH_POWER_BARE : CRASH_POWER, 0, seed);
        char *dump = dump_of(found);
        assert_string_equal(dump, expected);
        free(dump);
        disk_close(found);
    }
    end_script(&f);
    disk_close(disk);
    free(expected);
}

/* Without it, or on a disk that lies, a power cut loses turns; the file is whole all the same
 * without, and nobody promises anything about a disk that lies. */
static void other_commits_do_not(void **state)
{
    (void)state;
    struct fixture f;
    for (int is_lying = 0; is_lying < 2; is_lying++) {
        struct disk *disk = disk_open(1);
        struct script script = begin_script(&f, PATH, is_lying);
        disk_set_faults(disk, &(struct disk_faults){ .lying_sync = is_lying });
        assert_int_equal(run(&script, 20), 0);
        char *committed = dump_ledger(f.ledger->db);
        struct disk *found = disk_after_crash(disk, CRASH_POWER_BARE, 0, 1);
        if (is_lying || disk_exists(found, PATH)) {
            char *dump = dump_of(found);
            assert_string_not_equal(dump, committed);
            free(dump);
        }
        disk_close(found);
        end_script(&f);
        disk_close(disk);
        free(committed);
    }
}

static void sync_before(struct fixture *f)
{
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(f->ledger->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
        SQLITE_OK);
}

static void a_full_disk_is_said_and_harms_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct disk *disk = disk_open(1);
    struct script script = begin_script(&f, PATH, true);
    disk_set_faults(disk, &(struct disk_faults){ .capacity = 400000 });
    char *before = NULL;
    int code = 0;
    while (code == 0 && script.turns < 1000) {
        free(before);
        before = dump_ledger(f.ledger->db);
        code = run(&script, 1);
    }
    assert_int_equal(code, ERROR_IO);
    assert_says(&f, "the disk is full");
    assert_true(disk_faults_made(disk) > 0);
    char *dump = dump_ledger(f.ledger->db);
    assert_string_equal(dump, before);
    free(dump);
    dump = dump_of(disk); /* a reader, while it is full */
    assert_string_equal(dump, before);
    free(dump);

    disk_set_faults(disk, &(struct disk_faults){ 0 });
    sync_before(&f);
    assert_query(&f, "PRAGMA integrity_check", "ok\n");
    end_script(&f);
    dump = dump_of(disk);
    assert_string_equal(dump, before);
    free(dump);
    free(before);
    disk_close(disk);
}

/* Each kind of failure: the commit says so, and the file holds the turns before it, no part of the
 * one that failed, unless it failed after it was on the disk. */
static void a_failed_call_is_a_failed_commit(void **state)
{
    (void)state;
    static const struct {
        struct disk_faults faults;
        const char *says;
    } cases[] = {
        { { .write_error = 10000 }, "the disk failed" },
        { { .short_write = 10000 }, "the disk failed" },
        { { .sync_error = 10000 }, "the disk failed" },
        { { .locked = 10000 }, "locking protocol" }, /* refused, and tried again */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        struct disk *disk = disk_open(i);
        struct script script = begin_script(&f, PATH, true);
        assert_int_equal(run(&script, 10), 0);
        char *before = dump_ledger(f.ledger->db);
        disk_set_faults(disk, &cases[i].faults);
        assert_int_equal(run(&script, 1), ERROR_IO);
        assert_says(&f, cases[i].says);
        disk_set_faults(disk, &(struct disk_faults){ 0 });
        char *dump = dump_ledger(f.ledger->db);
        assert_string_equal(dump, before);
        end_script(&f);
        disk_close(disk);
        free(before);
        free(dump);
    }
}

static void a_read_error_is_said(void **state)
{
    (void)state;
    struct fixture f;
    struct disk *disk = disk_open(1);
    (void)begin_script(&f, PATH, true);
    end_script(&f);
    disk_set_faults(disk, &(struct disk_faults){ .read_error = 10000 });
    struct ledger_options options = options_of(&f);
    assert_int_equal(ledger_open(&options, &f.ledger, &f.err), ERROR_IO);
    assert_says(&f, "the disk failed");
    disk_close(disk);
}

static void a_slow_disk_takes_time(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    disk_set_faults(disk, &(struct disk_faults){ .slow_ns = 5 });
    sqlite3_file *file = open_file("/a", SQLITE_OPEN_MAIN_DB);
    put(file, "1", 0);
    sync_file(file);
    assert_int_equal(disk_spent_ns(disk), 10);
    assert_int_equal(disk_spent_ns(disk), 0);
    close_file(file);
    disk_close(disk);
}

static bool list(void *self, const char *path, size_t length)
{
    text_printf(self, "%s %zu\n", path, length);
    return true;
}

static void tests_look_at_files_and_change_them(void **state)
{
    (void)state;
    struct disk *disk = disk_open(1);
    struct text out;
    text_init(&out, 1000);
    disk_write_file(disk, "/b", "bb", 2);
    disk_write_file(disk, "/a", "a", 1);
    disk_write_file(disk, "/c", "", 0);
    disk_write_file(disk, "/b", "BBB", 3);
    disk_list(disk, list, &out);
    assert_string_equal(out.data, "/a 1\n/b 3\n/c 0\n");
    assert_true(disk_corrupt(disk, "/b", 1, 0));
    assert_file(disk, "/b", "BCB");
    assert_false(disk_corrupt(disk, "/b", 3, 0));
    assert_false(disk_corrupt(disk, "/d", 0, 0));
    disk_remove_file(disk, "/b");
    assert_false(disk_exists(disk, "/b"));
    assert_true(disk_exists(disk, "/c"));
    struct disk *found = disk_after_crash(disk, CRASH_POWER_BARE, 0, 1);
    assert_file(found, "/a", "a");
    assert_file(found, "/b", NULL);
    disk_close(found);
    disk_close(disk);
    text_release(&out);
}

/* A database stays where it was opened, whatever disk is in use when it is closed. */
static void disks_do_not_meet(void **state)
{
    (void)state;
    struct fixture f, g;
    struct disk *one = disk_open(1), *two = disk_open(2);
    struct script script = begin_script(&f, PATH, false);
    assert_int_equal(run(&script, 3), 0);
    disk_use(two);
    struct script other = begin_script(&g, PATH, false);
    assert_int_equal(run(&script, 3), 0);
    assert_int_equal(run(&other, 6), 0);
    char *dump = dump_ledger(f.ledger->db), *same = dump_ledger(g.ledger->db);
    assert_string_equal(dump, same);
    end_script(&f);
    assert_false(disk_exists(one, WAL));
    assert_true(disk_exists(two, WAL));
    disk_close(one);
    end_script(&g);
    disk_close(two);
    free(dump);
    free(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_ledger_behaves_as_on_a_real_disk, no_disk_is_left),
        cmocka_unit_test_teardown(others_read_while_one_writes, no_disk_is_left),
        cmocka_unit_test_teardown(a_rollback_journal_works, no_disk_is_left),
        cmocka_unit_test_teardown(time_is_what_it_is_told, no_disk_is_left),
        cmocka_unit_test_teardown(equal_seeds_give_equal_bytes, no_disk_is_left),
        cmocka_unit_test_teardown(a_kill_leaves_all_that_was_written, no_disk_is_left),
        cmocka_unit_test_teardown(a_power_cut_loses_what_was_not_synced, no_disk_is_left),
        cmocka_unit_test_teardown(a_power_cut_tears_between_sectors, no_disk_is_left),
        cmocka_unit_test_teardown(points_are_told_before_they_take_effect, no_disk_is_left),
        cmocka_unit_test_teardown(power_safe_commits_survive_a_power_cut, no_disk_is_left),
        cmocka_unit_test_teardown(other_commits_do_not, no_disk_is_left),
        cmocka_unit_test_teardown(a_full_disk_is_said_and_harms_nothing, no_disk_is_left),
        cmocka_unit_test_teardown(a_failed_call_is_a_failed_commit, no_disk_is_left),
        cmocka_unit_test_teardown(a_read_error_is_said, no_disk_is_left),
        cmocka_unit_test_teardown(a_slow_disk_takes_time, no_disk_is_left),
        cmocka_unit_test_teardown(tests_look_at_files_and_change_them, no_disk_is_left),
        cmocka_unit_test_teardown(disks_do_not_meet, no_disk_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
