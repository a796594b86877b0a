/* ledger_faults_test.c - a disk that fails at its n-th write, sync or growth: the turn is refused,
 * and the ledger is whole at the next start.
 *
 * A thin SQLite file system over the default one counts the calls that change something. For every
 * n of a short run the n-th fails, once or from then on, with an error or as a full disk.
 *
 * What does not pass that file system fails place by place: each place of the program that calls
 * the system or SQLite fails once while everything there is to call is called. */
#include "tests/unit/ledger_fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "runtime/ledger/backups.h"
#include "runtime/ledger/export.h"
#include "runtime/ledger/keeper.h"
#include "runtime/ledger/private.h"
#include "runtime/ledger/verify.h"

/* ---- the failing file system ---- */

struct disk {
    sqlite3_vfs vfs; /* registered as the default */
    sqlite3_vfs *real;
    int calls;   /* that change something, since armed */
    int fail_at; /* 0: never */
    bool for_ever;
    bool reads; /* count and fail too */
    bool blind; /* cannot tell whether a file is there */
    int error;  /* SQLITE_FULL, SQLITE_IOERR_WRITE ... for writes */
    bool cut;   /* a failing write leaves its first half */
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
    struct disk *disk = ((struct file *)file)->disk;
    if (disk->reads && fails(disk, false))
        return SQLITE_IOERR_READ;
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
    if (disk->blind)
        return SQLITE_IOERR_ACCESS;
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

/* ---- the failing system ---- */

/* A place is a return address, and for SQL its text: one function steps all statements. */
struct place {
    const void *caller;
    uint64_t what;
};

static struct {
    bool armed;
    pthread_t thread; /* the one whose calls fail */
    struct place places[2000];
    int count;   /* that were met so far, in all runs */
    int failing; /* this one fails */
    int at;      /* the how manieth of its calls: 1, 2 */
    int met;     /* its calls in this run */
} faults;

extern char __executable_start, etext; /* the linker's: this program, not its libraries */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static bool fails_here(const void *caller, uint64_t what)
{
    const char *at = caller;
    if (!faults.armed || at < &__executable_start || at >= &etext ||
        !pthread_equal(pthread_self(), faults.thread))
        return false;
    int i = 0;
    while (i < faults.count && (faults.places[i].caller != caller || faults.places[i].what != what))
        i++;
    if (i == faults.count) {
        assert_true(faults.count < (int)ARRAY_SIZE(faults.places));
        faults.places[faults.count++] = (struct place){ caller, what };
    }
    if (i != faults.failing || ++faults.met != faults.at)
        return false;
    errno = EIO;
    return true;
}

static struct {
    atomic_int answer, calls; /* of every checkpoint, unless SQLITE_OK */
} checkpoints;

#define FAILS_HERE(what) fails_here(__builtin_return_address(0), what)
/* The same function in the library. */
#define REAL(function)                                                                             \
    static __typeof__(function) *real;                                                             \
    if (!real)                                                                                     \
    *(void **)&real = dlsym(RTLD_NEXT, #function)

int fsync(int fd)
{
    REAL(fsync);
    return FAILS_HERE(0) ? -1 : real(fd);
}
int rename(const char *from, const char *to)
{
    REAL(rename);
    return FAILS_HERE(0) ? -1 : real(from, to);
}
int unlink(const char *path)
{
    REAL(unlink);
    return FAILS_HERE(0) ? -1 : real(path);
}
int link(const char *from, const char *to)
{
    REAL(link);
    return FAILS_HERE(0) ? -1 : real(from, to);
}
int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return FAILS_HERE(0) ? -1 : real(path, mode);
}
int stat(const char *restrict path, struct stat *restrict info)
{
    REAL(stat);
    return FAILS_HERE(0) ? -1 : real(path, info);
}
DIR *opendir(const char *path)
{
    REAL(opendir);
    return FAILS_HERE(0) ? NULL : real(path);
}
FILE *fopen(const char *restrict path, const char *restrict how)
{
    REAL(fopen);
    return FAILS_HERE(0) ? NULL : real(path, how);
}
int fflush(FILE *file)
{
    REAL(fflush);
    return FAILS_HERE(0) ? EOF : real(file);
}
int fclose(FILE *file)
{
    REAL(fclose);
    int done = real(file);
    return FAILS_HERE(0) ? EOF : done;
}
int close(int fd)
{
    REAL(close);
    int done = real(fd);
    return FAILS_HERE(0) ? -1 : done;
}
ssize_t read(int fd, void *to, size_t size)
{
    REAL(read);
    return FAILS_HERE(0) ? -1 : real(fd, to, size);
}
ssize_t write(int fd, const void *from, size_t size)
{
    REAL(write);
    return FAILS_HERE(0) ? -1 : real(fd, from, size);
}
int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    REAL(open);
    return FAILS_HERE(0) ? -1 : real(path, flags, mode);
}
int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict self)
{
    REAL(pthread_create);
    return FAILS_HERE(0) ? EAGAIN : real(thread, attributes, run, self);
}
int sqlite3_open_v2(const char *name, sqlite3 **db, int flags, const char *vfs)
{
    REAL(sqlite3_open_v2);
    int done = real(name, db, flags, vfs);
    return FAILS_HERE(0) ? SQLITE_CANTOPEN : done;
}
int sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **),
                 void *self, char **message)
{
    REAL(sqlite3_exec);
    return FAILS_HERE(hash_of(sql)) ? SQLITE_IOERR : real(db, sql, row, self, message);
}
int sqlite3_step(sqlite3_stmt *statement)
{
    REAL(sqlite3_step);
    return FAILS_HERE(hash_of(sqlite3_sql(statement))) ? SQLITE_IOERR : real(statement);
}
int sqlite3_prepare_v2(sqlite3 *db, const char *sql, int length, sqlite3_stmt **statement,
                       const char **tail)
{
    REAL(sqlite3_prepare_v2);
    *statement = NULL;
    return FAILS_HERE(hash_of(sql)) ? SQLITE_IOERR : real(db, sql, length, statement, tail);
}
int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *log, int *done)
{
    REAL(sqlite3_wal_checkpoint_v2);
    int answer = atomic_load(&checkpoints.answer);
    atomic_fetch_add(&checkpoints.calls, 1);
    if (answer != SQLITE_OK)
        return answer;
    return FAILS_HERE(0) ? SQLITE_IOERR : real(db, name, mode, log, done);
}
sqlite3_backup *sqlite3_backup_init(sqlite3 *to, const char *to_name, sqlite3 *from,
                                    const char *from_name)
{
    REAL(sqlite3_backup_init);
    return FAILS_HERE(0) ? NULL : real(to, to_name, from, from_name);
}
int sqlite3_backup_step(sqlite3_backup *backup, int pages)
{
    REAL(sqlite3_backup_step);
    return FAILS_HERE(0) ? SQLITE_IOERR : real(backup, pages);
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

/* ---- everything there is to call, on a disk that fails ---- */

static int take_order(void *self, const struct order *order, struct error *err)
{
    (void)order, (void)err;
    ++*(int *)self;
    return 0;
}
static int take_position(void *self, uint32_t instrument, const struct position *position,
                         struct error *err)
{
    (void)instrument, (void)position, (void)err;
    ++*(int *)self;
    return 0;
}
static void take_halt(void *self, const struct halt_record *halt)
{
    (void)halt;
    ++*(int *)self;
}
static void take_cash(void *self, const struct cash_record *cash)
{
    (void)cash;
    ++*(int *)self;
}

#define FORGET "PRAGMA cache_size = 1; PRAGMA shrink_memory"

/* A page at a time, so that each row is read from the disk. */
static void forget_pages(struct fixture *f)
{
    if (f->ledger)
        (void)sqlite3_exec(f->ledger->db, FORGET, NULL, NULL, NULL);
}

/* Counts: a failure says what failed, and there is an end to it. */
struct outcome {
    int failed, done, seen;
};
static void note(struct fixture *f, struct outcome *outcome, int code)
{
    if (code < 0 && strlen(f->err.message) < 10)
        fail_msg("code %d and \"%s\"", code, f->err.message);
    if (code < 0)
        outcome->failed++;
    else
        outcome->done++;
    f->err = (struct error){ 0 };
    forget_pages(f);
}

static void load_all(struct run *run, struct outcome *outcome)
{
    struct fixture *f = &run->f;
    struct ledger *ledger = f->ledger;
    struct journal_entry *entries;
    struct order order;
    struct fill fill;
    struct text left;
    char *json, hash[SHA256_TEXT_MAX];
    size_t count;
    text_init(&left, 1000);
    note(f, outcome, ledger_each_open_order(ledger, 1, take_order, &outcome->seen, &f->err));
    note(f, outcome, ledger_each_position(ledger, 1, take_position, &outcome->seen, &f->err));
    note(f, outcome, ledger_each_halt(ledger, take_halt, &outcome->seen, &f->err));
    note(f, outcome, ledger_each_cash(ledger, "sim", take_cash, &outcome->seen, &f->err));
    note(f, outcome, ledger_left_over(ledger, &left, &f->err));
    struct instance_record again;
    note(f, outcome, ledger_recall_instance(ledger, 1, &again, &f->err));
    text_release(&left);
    int code = ledger_state(ledger, 1, &json, &count, &f->err);
    note(f, outcome, code);
    free(code == 0 ? json : NULL);
    code = ledger_get_source(ledger, "h1", &json, &count, &f->err);
    note(f, outcome, code);
    free(code == 0 ? json : NULL);
    code = ledger_journal(ledger, &entries, &count, &f->err);
    note(f, outcome, code);
    if (code == 0)
        journal_release(entries, count);
    forget_pages(f);
    /* These have no way to say that they could not look. */
    (void)f->port.find_order(f->port.self, "rxxxxs44we8000001", &order);
    (void)f->port.find_fill(f->port.self, BTC, "e-1", &fill, NULL);
    note(f, outcome, ledger_result_hash(ledger, hash, &f->err));
}

static void write_all(struct run *run, struct outcome *outcome)
{
    struct fixture *f = &run->f;
    struct export *export;
    int code = export_open(f->ledger, f->directory, "paper", &export, &f->err);
    note(f, outcome, code);
    if (code < 0)
        export = NULL;
    struct order order = new_order(f);
    struct record reversal = fill_record(&order, "r-1", "1", "100");
    reversal.fill.kind = FILL_REVERSAL;
    reversal.fill.notional = D("100");
    text_copy(reversal.fill.replaces, sizeof(reversal.fill.replaces), "e-1");
    struct record records[] = { order_record(&order),
                                reversal,
                                said_record(RECORD_HALT, "session", "{\"lifted_by\":\"x\"}"),
                                said_record(RECORD_JOURNAL, "n", "{}"),
                                { .kind = RECORD_ADJUSTMENT,
                                  .instance_id = 1,
                                  .adjustment = { "a1", D("1"), D("2"), D("2"), D("1"), "r" } } };
    note(f, outcome, commit_at(f, START_NS + 50, 50, records, ARRAY_SIZE(records)));
    note(f, outcome, ledger_put_source(f->ledger, "h2", "{}", 2, &f->err));
    note(f, outcome, ledger_progress(f->ledger, START_NS + 60, 60, &f->err));
    if (export) {
        note(f, outcome, export_update(export, &f->err));
        note(f, outcome, export_checkpoint(export, START_NS, D("1"), D("2"), NULL, &f->err));
        note(f, outcome, export_update(export, &f->err));
    }
    note(f, outcome, ledger_session_end(f->ledger, START_NS + 70, &f->err));
    export_close(export);
}

static void keep_all(struct run *run, struct outcome *outcome)
{
    struct fixture *f = &run->f;
    char backups[200], path[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX];
    snprintf(backups, sizeof(backups), "%s/backups", f->directory);
    struct backup_options options = { .ledger = f->path,
                                      .directory = backups,
                                      .name = "ledger-paper" };
    struct verify_options checking = { .path = f->path, .anchor_path = run->anchor };
    struct verify_result result;
    note(f, outcome, ledger_verify(&checking, &result, &f->err));
    int code = backup_make(&options, WALL_NS, path, &f->err);
    note(f, outcome, code);
    if (code < 0)
        return;
    struct restore_options restoring = { .backup = path,
                                         .ledger = f->path,
                                         .anchor = run->anchor,
                                         .directory = backups,
                                         .now_wall_ns = WALL_NS };
    note(f, outcome, backup_restore(&restoring, kept, &f->err));
}

static void take_standing(void *self, const struct standing_halt *halt)
{
    (void)halt;
    ++*(int *)self;
}
static void take_remaining(void *self, const struct remaining *remaining)
{
    (void)remaining;
    ++*(int *)self;
}

/* What looks into a ledger without a session. */
static void look_before(struct run *run, struct outcome *outcome)
{
    struct fixture *f = &run->f;
    struct journal_entry *entries;
    size_t count;
    note(f, outcome, ledger_each_standing_halt(f->ledger, take_standing, &outcome->seen, &f->err));
    note(f, outcome, ledger_each_remaining(f->ledger, take_remaining, &outcome->seen, &f->err));
    int code = ledger_session_journal(f->ledger, 1, &entries, &count, &f->err);
    note(f, outcome, code);
    if (code == 0)
        journal_release(entries, count);
    note(f, outcome, ledger_lift_halts(f->ledger, "x", WALL_NS, &f->err));
}

static int resume_all(struct run *run, bool replay)
{
    struct fixture *f = &run->f;
    bool found = false, is_new;
    struct session_record record = { 0 };
    forget_pages(f);
    struct instance_record instance = { .strategy = "momentum",
                                        .symbol = "BTC/USDT",
                                        .capital = D("1") };
    int code = ledger_last_session(f->ledger, "paper", "feed", &found, &record, &f->err);
    forget_pages(f);
    if (code == 0)
        code = ledger_session_begin(f->ledger, &record, true, replay, WALL_NS, &f->err);
    session_record_release(&record);
    forget_pages(f);
    return code < 0 ? code : ledger_instance(f->ledger, &instance, &is_new, &f->err);
}

/* One session, which crashed: with something of everything in it. */
static void make_subject(struct run *run)
{
    struct fixture *f = &run->f;
    setup_ledger(f);
    close_ledger(f);
    snprintf(run->anchor, sizeof(run->anchor), "%s/audit-paper.head", f->directory);
    assert_int_equal(open_run(run, true), 0);
    begin(f, "sim");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "a"));
    commit_one(f, 1, said_record(RECORD_HALT, "BTC/USDT", "b"));
    struct order open = new_order(f);
    commit_one(f, 2, order_record(&open));
    begin(f, "feed");
    struct order order = new_order(f);
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = 1,
                               .instrument = BTC,
                               .position = { D("1"), D("1"), D("1"), D("1"), D("0") } };
    struct record cash = { .kind = RECORD_CASH, .cash = { "USDT", D("1"), D("2") } };
    struct record state = said_record(RECORD_STATE, "s", "{\"n\":1}");
    state.instance_id = 1;
    struct record records[] = { order_record(&order),
                                fill_record(&order, "e-1", "1", "100"),
                                position,
                                cash,
                                state,
                                said_record(RECORD_HALT, "session", "h"),
                                said_record(RECORD_JOURNAL, "n", "{}") };
    assert_int_equal(commit_at(f, START_NS + 1, 1, records, ARRAY_SIZE(records)), 0);
    for (uint64_t event = 2; event < 30; event++) {
        order = new_order(f);
        commit_one(f, event, order_record(&order));
    }
    assert_int_equal(ledger_put_source(f->ledger, "h1", "{\"file\":1}", 10, &f->err), 0);
    close_ledger(f);
}

static bool call_everything(int at, bool for_ever, bool power)
{
    struct run run = { .power = power };
    struct outcome outcome = { 0 };
    struct fixture *f = &run.f;
    make_subject(&run);
    run.disk = plug_in();
    run.disk->reads = true;
    run.disk->error = SQLITE_IOERR_WRITE;
    run.disk->for_ever = for_ever;
    run.disk->fail_at = at;
    int code = open_run(&run, true);
    note(f, &outcome, code);
    if (code == 0) {
        look_before(&run, &outcome);
        code = resume_all(&run, false);
        note(f, &outcome, code);
        if (code == 0) {
            load_all(&run, &outcome);
            write_all(&run, &outcome);
        }
        close_ledger(f);
    }
    keep_all(&run, &outcome);
    bool reached = run.disk->calls >= at;
    run.disk->fail_at = 0;
    if (open_run(&run, true) < 0) /* whatever failed, the next start goes on */
        fail_msg("call %d: %s", at, f->err.message);
    assert_int_equal(resume_all(&run, false), 0);
    assert_int_equal(one_turn(&run, 99), 0);
    close_ledger(f);
    unplug(run.disk);
    teardown_ledger(f);
    return reached;
}

static void no_failing_call_is_overlooked_or_fatal(void **state)
{
    (void)state;
    int at = 1;
    while (call_everything(at, false, at % 2))
        at += 1 + at / 200; /* the later ones are many, and much alike */
    assert_true(at > 200);
}

static void a_disk_that_is_gone_is_told_by_every_call(void **state)
{
    (void)state;
    int at = 1;
    while (call_everything(at, true, at % 2))
        at += 3 + at / 100;
    assert_true(at > 200);
}

/* A replay reads what it is compared with. */
static void a_replay_that_cannot_read_is_told(void **state)
{
    (void)state;
    bool reached = true;
    for (int at = 1; reached; at++) {
        struct run run = { 0 };
        struct fixture *f = &run.f;
        make_subject(&run);
        run.disk = plug_in();
        run.disk->reads = true;
        run.disk->fail_at = at;
        run.disk->error = SQLITE_IOERR_WRITE;
        int code = open_run(&run, true);
        if (code == 0)
            code = resume_all(&run, true);
        if (code == 0) {
            struct order order = new_order(f);
            struct record record = order_record(&order);
            code = commit_at(f, START_NS + 1, 1, &record, 1);
            assert_true(code == 0 || f->err.message[0]);
        }
        reached = run.disk->calls >= at;
        close_ledger(f);
        unplug(run.disk);
        teardown_ledger(f);
    }
}

/* ---- each place that calls the system or SQLite ---- */

/* Beside keep_all: what the second thread and the pruning call. */
static void keep_more(struct run *run, struct outcome *outcome)
{
    struct fixture *f = &run->f;
    char backups[200];
    snprintf(backups, sizeof(backups), "%s/backups", f->directory);
    struct keeper_options options = {
        .ledger = f->path, .backups = backups, .name = "ledger-paper", .wal_pages = 1000000
    };
    struct keeper *keeper;
    int code = keeper_open(f->ledger, &options, &keeper, &f->err);
    note(f, outcome, code);
    if (code == 0)
        keeper_close(keeper);
    note(f, outcome, ledger_checkpoint_now(f->ledger, 1, &f->err));
}

/* A restore that failed between two renames leaves an anchor that is ahead: the start says so, and
 * the restore is done again. */
static void restore_again(struct run *run)
{
    struct fixture *f = &run->f;
    char backups[200], kept[BACKUP_PATH_MAX];
    struct backup_file *list;
    size_t count;
    assert_int_equal(f->err.code, ERROR_IO);
    assert_non_null(strstr(f->err.message, "restore"));
    snprintf(backups, sizeof(backups), "%s/backups", f->directory);
    assert_int_equal(backups_list(backups, "ledger-paper", &list, &count, &f->err), 0);
    assert_int_equal(count, 1);
    struct restore_options restoring = { .backup = list[0].path,
                                         .ledger = f->path,
                                         .anchor = run->anchor,
                                         .directory = backups,
                                         .now_wall_ns = WALL_NS };
    if (backup_restore(&restoring, kept, &f->err) < 0)
        fail_msg("%s", f->err.message);
    free(list);
    if (open_run(run, true) < 0)
        fail_msg("%s", f->err.message);
}

static void call_with_failing(int place, int at)
{
    struct run run = { .power = true };
    struct outcome outcome = { 0 };
    struct fixture *f = &run.f;
    char backups[200];
    make_subject(&run);
    snprintf(backups, sizeof(backups), "%s/backups", f->directory);
    faults.failing = place;
    faults.at = at;
    faults.met = 0;
    faults.thread = pthread_self();
    faults.armed = true;
    int code = open_run(&run, true);
    note(f, &outcome, code);
    if (code == 0) {
        look_before(&run, &outcome);
        code = resume_all(&run, false);
        note(f, &outcome, code);
        if (code == 0) {
            load_all(&run, &outcome);
            write_all(&run, &outcome);
            keep_more(&run, &outcome);
        }
        close_ledger(f);
    }
    keep_all(&run, &outcome);
    note(f, &outcome, backups_prune(backups, "ledger-paper", 1, &f->err));
    faults.armed = false;
    uint64_t sql = faults.places[place].what;
    if (faults.met >= at && sql && sql != hash_of(FORGET) && outcome.failed == 0)
        fail_msg("a statement failed and nobody said so: place %d, call %d", place, at);
    if (open_run(&run, true) < 0)
        restore_again(&run);
    assert_int_equal(resume_all(&run, false), 0);
    assert_int_equal(one_turn(&run, 99), 0);
    close_ledger(f);
    struct verify_options checking = { .path = f->path, .anchor_path = run.anchor };
    struct verify_result result;
    assert_int_equal(ledger_verify(&checking, &result, &f->err), 0);
    if (!result.good)
        fail_msg("%s", result.message);
    teardown_ledger(f);
}

static void no_place_that_fails_does_harm(void **state)
{
    (void)state;
    for (int at = 1; at <= 2; at++)
        for (int place = 0; place < faults.count || place == 0; place++)
            call_with_failing(place, at);
    assert_true(faults.count > 120);
}

/* A new file, or a replay of what is there: one start with one failing place. */
static void start_with_failing(int place, bool replay)
{
    struct run run = { .power = true };
    struct fixture *f = &run.f;
    make_subject(&run);
    if (!replay) {
        unlink(f->path);
        unlink(run.anchor);
    }
    faults.failing = place;
    faults.at = 1;
    faults.met = 0;
    faults.thread = pthread_self();
    faults.armed = true;
    int code = open_run(&run, true);
    if (code == 0 && replay)
        code = resume_all(&run, true);
    if (code == 0 && replay) {
        struct order order = new_order(f);
        struct record record = order_record(&order);
        code = commit_at(f, START_NS + 1, 1, &record, 1);
    }
    faults.armed = false;
    assert_true(code == 0 || strlen(f->err.message) > 10);
    close_ledger(f);
    if (open_run(&run, true) < 0)
        fail_msg("place %d: %s", place, f->err.message);
    if (!replay)
        begin(f, "sim");
    else
        assert_int_equal(resume_all(&run, false), 0);
    assert_int_equal(one_turn(&run, 1), 0);
    close_ledger(f);
    teardown_ledger(f);
}

static void no_place_that_fails_spoils_a_start(void **state)
{
    (void)state;
    for (int replay = 0; replay <= 1; replay++)
        for (int place = 0; place < faults.count || place == 0; place++)
            start_with_failing(place, replay);
}

/* ---- what checkpoints answer ---- */

/* Of three one may have begun before, and one may not have been told of yet. */
static void await_checkpoints(struct run *run, int count)
{
    int wanted = atomic_load(&checkpoints.calls) + count;
    for (int turn = 200; atomic_load(&checkpoints.calls) < wanted; turn++) {
        assert_int_equal(one_turn(run, turn), 0);
        sched_yield();
    }
}

/* A checkpoint that meets a lock is made later; one that fails is news, and trading goes on. */
static void a_keepers_checkpoint_that_fails_is_news(void **state)
{
    (void)state;
    struct run run = { .power = false };
    struct fixture *f = &run.f;
    struct keeper *keeper;
    struct keeper_news news = { 0 };
    setup_ledger(f);
    begin(f, "sim");
    struct keeper_options options = {
        .ledger = f->path, .backups = f->directory, .name = "ledger-paper", .wal_pages = 1
    };
    atomic_store(&checkpoints.answer, SQLITE_BUSY);
    assert_int_equal(keeper_open(f->ledger, &options, &keeper, &f->err), 0);
    await_checkpoints(&run, 3);
    atomic_store(&checkpoints.answer, SQLITE_LOCKED);
    await_checkpoints(&run, 3);
    assert_false(keeper_news(keeper, &news));
    assert_int_equal(news.failures, 0);
    assert_int_equal(news.checkpoints, 0);

    atomic_store(&checkpoints.answer, SQLITE_IOERR);
    await_checkpoints(&run, 3);
    assert_true(keeper_news(keeper, &news));
    assert_true(news.failures > 0);
    assert_non_null(strstr(news.failure, "checkpoint of the ledger's WAL: "));
    assert_int_equal(news.checkpoints, 0);

    atomic_store(&checkpoints.answer, SQLITE_OK);
    await_checkpoints(&run, 3);
    (void)keeper_news(keeper, &news);
    assert_true(news.checkpoints > 0);
    keeper_close(keeper);
    teardown_ledger(f);
}

/* The caller's own: a lock is no failure, the ledger goes on; any other ends the run. */
static void a_callers_checkpoint_that_meets_a_lock_is_made_later(void **state)
{
    (void)state;
    struct run run = { .power = false };
    struct fixture *f = &run.f;
    setup_ledger(f);
    begin(f, "sim");
    assert_int_equal(one_turn(&run, 1), 0);
    atomic_store(&checkpoints.answer, SQLITE_BUSY);
    assert_int_equal(ledger_checkpoint_now(f->ledger, 1, &f->err), 0);
    atomic_store(&checkpoints.answer, SQLITE_LOCKED);
    assert_int_equal(ledger_checkpoint_now(f->ledger, 1, &f->err), 0);
    assert_int_equal(one_turn(&run, 2), 0);
    atomic_store(&checkpoints.answer, SQLITE_IOERR);
    assert_int_equal(ledger_checkpoint_now(f->ledger, 1, &f->err), ERROR_IO);
    assert_says(f, "checkpoint its WAL");
    atomic_store(&checkpoints.answer, SQLITE_OK);
    assert_int_equal(one_turn(&run, 3), ERROR_IO);
    teardown_ledger(f);
}

/* Not found is not the same as not looked for. */
static void an_anchor_that_cannot_be_looked_for_is_told(void **state)
{
    (void)state;
    struct fixture f;
    struct anchor_head head;
    bool found = true;
    setup_ledger(&f);
    struct disk *disk = plug_in();
    disk->blind = true;
    assert_int_equal(anchor_read("/dev/shm/no-anchor", &found, &head, &f.err), ERROR_IO);
    assert_false(found);
    assert_says(&f, "cannot look for it");
    unplug(disk);
    teardown_ledger(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_fails_once_stops_the_run),
        cmocka_unit_test(a_disk_that_fails_for_ever_loses_nothing_committed),
        cmocka_unit_test(a_full_disk_loses_nothing_committed),
        cmocka_unit_test(a_sync_that_fails_stops_the_run),
        cmocka_unit_test(a_start_that_fails_leaves_a_ledger_or_none),
        cmocka_unit_test(no_failing_call_is_overlooked_or_fatal),
        cmocka_unit_test(a_disk_that_is_gone_is_told_by_every_call),
        cmocka_unit_test(a_replay_that_cannot_read_is_told),
        cmocka_unit_test(no_place_that_fails_does_harm),
        cmocka_unit_test(no_place_that_fails_spoils_a_start),
        cmocka_unit_test(a_keepers_checkpoint_that_fails_is_news),
        cmocka_unit_test(a_callers_checkpoint_that_meets_a_lock_is_made_later),
        cmocka_unit_test(an_anchor_that_cannot_be_looked_for_is_told),
    };
    return cmocka_run_group_tests_name("ledger_faults", tests, NULL, NULL);
}
