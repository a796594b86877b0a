/* ledger_faults_test.c - a disk that fails at its n-th write, sync or growth: the turn is refused,
 * and the ledger is whole at the next start.
 *
 * A thin SQLite file system over the default one counts the calls that change something. For every
 * n of a short run the n-th fails, once or from then on, with an error or as a full disk. */
#include "tests/unit/ledger_fixture.h"

#include "runtime/ledger/private.h"
#include "runtime/ledger/verify.h"

/* ---- the failing file system ---- */

struct disk {
    sqlite3_vfs vfs; /* registered as the default */
    sqlite3_vfs *real;
    int calls;   /* that change something, since armed */
    int fail_at; /* 0: never */
    bool for_ever;
    int error; /* SQLITE_FULL, SQLITE_IOERR_WRITE ... for writes */
    bool cut;  /* a failing write leaves its first half */
    /* What failed first was a sync, after which the bytes may be there, or a write to the anchor,
     * before which the turn was committed. */
    bool after_commit;
};

struct file {
    sqlite3_file base;
    struct disk *disk;
    bool is_anchor;
    sqlite3_file *real; /* behind this struct */
};

static bool fails(struct disk *disk, bool after_commit)
{
    if (!disk->fail_at)
        return false;
    disk->calls++;
    if (disk->calls == disk->fail_at)
        disk->after_commit = after_commit;
    return disk->calls == disk->fail_at || (disk->for_ever && disk->calls > disk->fail_at);
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int file_read(sqlite3_file *file, void *to, int amount, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), to, amount, offset);
}
static int file_write(sqlite3_file *file, const void *from, int amount, sqlite3_int64 offset)
{
    struct disk *disk = ((struct file *)file)->disk;
    if (!fails(disk, ((struct file *)file)->is_anchor))
        return real_of(file)->pMethods->xWrite(real_of(file), from, amount, offset);
    if (disk->cut)
        (void)real_of(file)->pMethods->xWrite(real_of(file), from, amount / 2, offset);
    return disk->error;
}
static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(((struct file *)file)->disk, false))
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int file_sync(sqlite3_file *file, int flags)
{
    if (fails(((struct file *)file)->disk, true))
        return SQLITE_IOERR_FSYNC;
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int file_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}
static int file_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}
static int file_check_lock(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int file_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}
static int file_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int file_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int file_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}
static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}
static void file_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int file_unmap(sqlite3_file *file, int delete_it)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_it);
}

static const sqlite3_io_methods methods = { .iVersion = 2,
                                            .xClose = file_close,
                                            .xRead = file_read,
                                            .xWrite = file_write,
                                            .xTruncate = file_truncate,
                                            .xSync = file_sync,
                                            .xFileSize = file_size,
                                            .xLock = file_lock,
                                            .xUnlock = file_unlock,
                                            .xCheckReservedLock = file_check_lock,
                                            .xFileControl = file_control,
                                            .xSectorSize = file_sector,
                                            .xDeviceCharacteristics = file_traits,
                                            .xShmMap = file_map,
                                            .xShmLock = file_shm_lock,
                                            .xShmBarrier = file_barrier,
                                            .xShmUnmap = file_unmap };

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *opening, int flags,
                     int *out)
{
    struct disk *disk = (struct disk *)vfs;
    struct file *file = (struct file *)opening;
    *file = (struct file){ .disk = disk,
                           .is_anchor = (flags & SQLITE_OPEN_SUPER_JOURNAL) != 0,
                           .real = (sqlite3_file *)(file + 1) };
    int code = disk->real->xOpen(disk->real, name, file->real, flags, out);
    file->base.pMethods = code == SQLITE_OK ? &methods : NULL;
    return code;
}
static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xDelete(disk->real, name, sync);
}
static int disk_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xAccess(disk->real, name, flags, out);
}
static int disk_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xFullPathname(disk->real, name, size, out);
}
static int disk_random(sqlite3_vfs *vfs, int size, char *out)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xRandomness(disk->real, size, out);
}
static int disk_sleep(sqlite3_vfs *vfs, int us)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xSleep(disk->real, us);
}
static int disk_time(sqlite3_vfs *vfs, double *out)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xCurrentTime(disk->real, out);
}
static int disk_last_error(sqlite3_vfs *vfs, int size, char *out)
{
    struct disk *disk = (struct disk *)vfs;
    return disk->real->xGetLastError(disk->real, size, out);
}

static struct disk *plug_in(void)
{
    struct disk *disk = memory_new(sizeof(*disk));
    disk->real = sqlite3_vfs_find(NULL);
    disk->vfs = (sqlite3_vfs){ .iVersion = 1,
                               .szOsFile = (int)sizeof(struct file) + disk->real->szOsFile,
                               .mxPathname = disk->real->mxPathname,
                               .zName = "failing",
                               .xOpen = disk_open,
                               .xDelete = disk_delete,
                               .xAccess = disk_access,
                               .xFullPathname = disk_full_path,
                               .xRandomness = disk_random,
                               .xSleep = disk_sleep,
                               .xCurrentTime = disk_time,
                               .xGetLastError = disk_last_error };
    assert_int_equal(sqlite3_vfs_register(&disk->vfs, 1), SQLITE_OK);
    return disk;
}

static void unplug(struct disk *disk)
{
    sqlite3_vfs_unregister(&disk->vfs);
    free(disk);
}

/* ---- a short run ---- */

struct run {
    struct fixture f;
    struct disk *disk;
    char anchor[200];
    bool power;
    int committed; /* turns that the ledger took */
    int refused;   /* 1: a turn was refused, nothing after it was taken */
};

enum { TURNS = 12, ROWS_A_TURN = 3 };

static int open_run(struct run *run, bool anchored)
{
    struct fixture *f = &run->f;
    struct ledger_options options = options_of(f);
    options.anchor_path = anchored ? run->anchor : NULL;
    options.power_safe = run->power;
    f->err = (struct error){ 0 };
    int code = ledger_open(&options, &f->ledger, &f->err);
    if (code == 0)
        f->port = ledger_port(f->ledger);
    return code;
}

static int one_turn(struct run *run, int turn)
{
    struct fixture *f = &run->f;
    struct order order = new_order(f);
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = 1,
                               .instrument = BTC,
                               .position = { decimal_int(turn), D("1"), D("1"), D("1"), D("0") } };
    struct record records[] = { order_record(&order),
                                fill_record(&order, order.client_order_id, "1.5", "100"),
                                order_record(&order), position };
    return commit_at(f, START_NS + turn, (uint64_t)turn, records, ARRAY_SIZE(records));
}

/* Turns and now and then a checkpoint, as the session makes it. A failure must stay one. */
static void trade(struct run *run)
{
    struct fixture *f = &run->f;
    for (int turn = 1; turn <= TURNS; turn++) {
        int code = one_turn(run, turn);
        if (code == 0) {
            assert_false(run->refused); /* never again after a failure */
            run->committed = turn;
        } else {
            assert_int_equal(code, ERROR_IO);
            assert_true(strlen(f->err.message) > 20);
            run->refused = 1;
        }
        if (turn % 4 == 0 && ledger_checkpoint_now(f->ledger, 1, &f->err) < 0)
            run->refused = 1;
    }
    int code = ledger_session_end(f->ledger, START_NS + 99, &f->err);
    assert_true(code == 0 || code == ERROR_IO);
    assert_true(code < 0 || !run->refused);
}

/* After it: all turns that were taken, whole; of the refused one nothing, or all of it where the
 * failure was told only after its commit was written. */
static void assert_whole(struct run *run)
{
    struct fixture *f = &run->f;
    struct verify_options options = { .path = f->path };
    struct verify_result result;
    run->disk->fail_at = 0;
    /* The anchor may be behind, never ahead. */
    if (open_run(run, true) < 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(ledger_verify(&options, &result, &f->err), 0);
    if (!result.good)
        fail_msg("%s", result.message);
    int turns = (int)result.fills;
    assert_int_equal(result.rows, turns * ROWS_A_TURN);
    assert_int_equal(result.orders, turns);
    assert_true(turns == run->committed ||
                (run->disk->after_commit && turns == run->committed + 1));
    char expected[16];
    snprintf(expected, sizeof(expected), "%d\n", turns);
    assert_query(f, "SELECT coalesce((SELECT qty FROM positions), 0)", expected);

    resume(f, "sim", false);
    assert_int_equal(one_turn(run, turns + 1), 0);
    close_ledger(f);
}

/* False: the run had fewer calls than `at`. */
static bool run_once(int at, bool for_ever, bool power, int error, bool cut)
{
    struct run run = { .power = power };
    struct fixture *f = &run.f;
    setup_ledger(f);
    close_ledger(f);
    snprintf(run.anchor, sizeof(run.anchor), "%s/audit-paper.head", f->directory);
    run.disk = plug_in();
    assert_int_equal(open_run(&run, true), 0);
    begin(f, "sim");
    run.disk->fail_at = at;
    run.disk->for_ever = for_ever;
    run.disk->error = error;
    run.disk->cut = cut;
    trade(&run);
    bool reached = run.disk->calls >= at;
    if (reached && for_ever)
        assert_true(run.refused || run.committed == TURNS);
    close_ledger(f);
    assert_whole(&run);
    unplug(run.disk);
    teardown_ledger(f);
    return reached;
}

static int every_call(bool for_ever, bool power, int error, bool cut)
{
    int at = 1;
    while (run_once(at, for_ever, power, error, cut))
        at++;
    return at - 1;
}

static void a_write_that_fails_once_stops_the_run(void **state)
{
    (void)state;
    assert_true(every_call(false, false, SQLITE_IOERR_WRITE, false) > 50);
}

static void a_disk_that_fails_for_ever_loses_nothing_committed(void **state)
{
    (void)state;
    assert_true(every_call(true, false, SQLITE_IOERR_WRITE, true) > 50);
}

static void a_full_disk_loses_nothing_committed(void **state)
{
    (void)state;
    assert_true(every_call(true, true, SQLITE_FULL, false) > 50);
}

static void a_sync_that_fails_stops_the_run(void **state)
{
    (void)state;
    assert_true(every_call(false, true, SQLITE_IOERR_WRITE, true) > 50);
}

/* The start is no different: it says what failed, and the next one goes on. */
static void a_start_that_fails_leaves_a_ledger_or_none(void **state)
{
    (void)state;
    bool reached = true;
    for (int at = 1; reached; at++) {
        struct run run = { .power = at % 2 };
        struct fixture *f = &run.f;
        setup_ledger(f);
        close_ledger(f);
        unlink(f->path);
        snprintf(run.anchor, sizeof(run.anchor), "%s/audit-paper.head", f->directory);
        run.disk = plug_in();
        run.disk->fail_at = at;
        run.disk->error = SQLITE_IOERR_WRITE;
        int code = open_run(&run, true);
        reached = run.disk->calls >= at;
        run.disk->fail_at = 0;
        if (code < 0) {
            assert_int_equal(code, ERROR_IO);
            assert_says(f, "cannot");
        } else {
            close_ledger(f);
        }
        if (open_run(&run, true) < 0)
            fail_msg("call %d: %s", at, f->err.message);
        begin(f, "sim");
        assert_int_equal(one_turn(&run, 1), 0);
        close_ledger(f);
        unplug(run.disk);
        teardown_ledger(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_once_stops_the_run),
        cmocka_unit_test(a_disk_that_fails_for_ever_loses_nothing_committed),
        cmocka_unit_test(a_full_disk_loses_nothing_committed),
        cmocka_unit_test(a_sync_that_fails_stops_the_run),
        cmocka_unit_test(a_start_that_fails_leaves_a_ledger_or_none),
    };
    return cmocka_run_group_tests_name("ledger_faults", tests, NULL, NULL);
}
