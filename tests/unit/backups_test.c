/* backups_test.c - copies of a ledger that is being written, the way back, and the thread that
 * makes them. */
#include "tests/unit/ledger_fixture.h"

#include <dirent.h>
#include <sched.h>
#include <sys/stat.h>

#include "runtime/ledger/backups.h"
#include "runtime/ledger/keeper.h"
#include "runtime/ledger/private.h"
#include "runtime/ledger/verify.h"

#define NAME "ledger-paper"
#define FIRST "ledger-paper-20231114T221320Z.sqlite" /* of WALL_NS */

struct place {
    struct fixture fixture;
    char anchor[200], backups[200];
    struct backup_options options;
    uint64_t event;
};

static void open_anchored(struct place *p)
{
    struct fixture *f = &p->fixture;
    struct ledger_options options = options_of(f);
    options.anchor_path = p->anchor;
    if (ledger_open(&options, &f->ledger, &f->err) < 0)
        fail_msg("%s", f->err.message);
    f->port = ledger_port(f->ledger);
}

static void commit_orders(struct place *p, int count)
{
    for (int i = 0; i < count; i++) {
        struct order order = new_order(&p->fixture);
        commit_one(&p->fixture, ++p->event, order_record(&order));
    }
}

static int setup(void **state)
{
    struct place *p = memory_new(sizeof(*p));
    struct fixture *f = &p->fixture;
    setup_ledger(f);
    close_ledger(f);
    snprintf(p->anchor, sizeof(p->anchor), "%s/audit-paper.head", f->directory);
    snprintf(p->backups, sizeof(p->backups), "%s/backups", f->directory);
    p->options =
        (struct backup_options){ .ledger = f->path, .directory = p->backups, .name = NAME };
    open_anchored(p);
    begin(f, "sim");
    commit_orders(p, 10);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    teardown_ledger(&((struct place *)*state)->fixture);
    free(*state);
    return 0;
}

/* "a b c " of a directory, sorted. */
static void assert_files(const char *directory, const char *expected)
{
    struct dirent **entries;
    char found[1000] = "";
    int count = scandir(directory, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            strcat(found, entries[i]->d_name);
            strcat(found, " ");
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    assert_string_equal(found, expected);
}

static struct verify_result verified(struct place *p, const char *path, const char *anchor)
{
    struct verify_options options = { .path = path, .anchor_path = anchor, .at_rest = true };
    struct verify_result result;
    if (ledger_verify(&options, &result, &p->fixture.err) < 0)
        fail_msg("%s", p->fixture.err.message);
    if (!result.good)
        fail_msg("%s", result.message);
    return result;
}

static void make(struct place *p, char path[BACKUP_PATH_MAX])
{
    if (backup_make(&p->options, WALL_NS, path, &p->fixture.err) < 0)
        fail_msg("%s", p->fixture.err.message);
}

/* ---- making ---- */

static void a_backup_holds_what_was_committed(void **state)
{
    struct place *p = *state;
    char path[BACKUP_PATH_MAX];
    make(p, path);
    assert_files(p->backups, FIRST " ");
    assert_int_equal(verified(p, path, NULL).rows, 10);
    commit_orders(p, 1);
    assert_int_equal(verified(p, path, NULL).rows, 10);
}

static int trade_on(void *pauser)
{
    struct place *p = pauser;
    commit_orders(p, 20);
    assert_int_equal(ledger_checkpoint_now(p->fixture.ledger, 1, &p->fixture.err), 0);
    return 0;
}

/* The copy is one state, whatever is committed while it is made; and no commit meets a lock. */
static void trading_goes_on_while_a_backup_is_made(void **state)
{
    struct place *p = *state;
    char path[BACKUP_PATH_MAX];
    commit_orders(p, 1500); /* several steps */
    uint64_t before = p->event;
    p->options.pause = trade_on;
    p->options.pauser = p;
    make(p, path);
    assert_true(p->event > before + 20);
    assert_int_equal(verified(p, path, NULL).rows, before);
    struct verify_options options = { .path = p->fixture.path, .anchor_path = p->anchor };
    struct verify_result result;
    assert_int_equal(ledger_verify(&options, &result, &p->fixture.err), 0);
    assert_true(result.good && result.anchored);
    assert_int_equal(result.rows, p->event);
}

static int count_down(void *pauser)
{
    return --*(int *)pauser < 0;
}

static void a_backup_that_is_given_up_leaves_nothing(void **state)
{
    struct place *p = *state;
    char path[BACKUP_PATH_MAX];
    commit_orders(p, 1500);
    p->options.pause = count_down;
    for (int calls = 0, code = ERROR_TIME; code == ERROR_TIME; calls += 3) {
        int left = calls;
        p->options.pauser = &left;
        code = backup_make(&p->options, WALL_NS, path, &p->fixture.err);
        assert_true(code == ERROR_TIME || (code == 0 && calls > 3));
        assert_files(p->backups, code == 0 ? FIRST " " : "");
    }
}

static void a_backup_of_many_steps_needs_nobody_to_pause_it(void **state)
{
    struct place *p = *state;
    char path[BACKUP_PATH_MAX];
    commit_orders(p, 1500);
    make(p, path);
    assert_int_equal(verified(p, path, NULL).rows, 1510);
}

static void a_backup_that_fails_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char path[BACKUP_PATH_MAX];
    tamper(f, "DROP TRIGGER trading_events_unchanged; UPDATE trading_events SET body = '{}'"
              " WHERE seq = 7");
    assert_int_equal(backup_make(&p->options, WALL_NS, path, &f->err), ERROR_IO);
    assert_says(f, "does not verify: row 7");
    assert_files(p->backups, "");

    p->options.ledger = "/nowhere/ledger";
    assert_int_equal(backup_make(&p->options, WALL_NS, path, &f->err), ERROR_IO);
    assert_says(f, "open the ledger");
    assert_files(p->backups, "");

    p->options.directory = f->path; /* a file */
    assert_int_equal(backup_make(&p->options, WALL_NS, path, &f->err), ERROR_IO);
    char longest[2000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    p->options.directory = longest;
    assert_int_equal(backup_make(&p->options, WALL_NS, path, &f->err), ERROR_IO);
    assert_says(f, "name is too long");
}

/* ---- listing and pruning ---- */

static void touch(struct place *p, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", p->backups, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("four", file);
    fclose(file);
}

static void only_backups_are_listed_and_pruned(void **state)
{
    struct place *p = *state;
    struct backup_file *list;
    size_t count;
    assert_int_equal(backups_list(p->backups, NAME, &list, &count, &p->fixture.err), 0);
    assert_int_equal(count, 0);
    assert_null(list);
    assert_int_equal(backups_prune(p->backups, NAME, 1, &p->fixture.err), 0);

    static const char *const names[] = {
        "ledger-paper-20240101T000000Z.sqlite",     "ledger-paper-20231231T235959Z.sqlite",
        "ledger-paper-20240101T000001Z.sqlite",     "ledger-paper-20240101T000002Z.sqlite.tmp",
        "ledger-live-20240101T000000Z.sqlite",      "ledger-paper-20240101T0000xxZ.sqlite",
        "ledger-paper-20240101x000000Z.sqlite",     "ledger-paper-20249901T000000Z.sqlite",
        "ledger-paper_20240101T000000Z.sqlite",     "notes.txt",
        "ledger-paper-20240101T000000Z.sqlite-wal", "ledger-paper-202401+1T000000Z.sqlite",
        "ledger-other-20240101T000000Z.sqlite",
    };
    assert_int_equal(mkdir(p->backups, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        touch(p, names[i]);
    assert_int_equal(backups_list(p->backups, NAME, &list, &count, &p->fixture.err), 0);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, names[2]);
    assert_string_equal(list[1].name, names[0]);
    assert_string_equal(list[2].name, names[1]);
    assert_true(list[1].made_ns == START_NS);
    assert_int_equal(list[1].size, 4);
    free(list);

    assert_int_equal(backups_prune(p->backups, NAME, 2, &p->fixture.err), 0);
    assert_files(p->backups,
                 "ledger-live-20240101T000000Z.sqlite ledger-other-20240101T000000Z.sqlite "
                 "ledger-paper-202401+1T000000Z.sqlite ledger-paper-20240101T000000Z.sqlite "
                 "ledger-paper-20240101T000000Z.sqlite-wal ledger-paper-20240101T000001Z.sqlite "
                 "ledger-paper-20240101T0000xxZ.sqlite ledger-paper-20240101x000000Z.sqlite "
                 "ledger-paper-20249901T000000Z.sqlite ledger-paper_20240101T000000Z.sqlite "
                 "notes.txt ");
    assert_int_equal(backups_list(p->fixture.path, NAME, &list, &count, &p->fixture.err), ERROR_IO);
}

/* A file that is gone when it is looked at was pruned by somebody else; any other failure is told:
 * a list that lacks a backup would have the wrong ones pruned. */
static void a_backup_that_cannot_be_looked_at_is_told(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    struct backup_file *list;
    size_t count;
    char path[300], longest[BACKUP_PATH_MAX + 60];
    assert_int_equal(mkdir(p->backups, 0700), 0);
    touch(p, FIRST);
    snprintf(path, sizeof(path), "%s/ledger-paper-20240101T000000Z.sqlite", p->backups);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    assert_int_equal(backups_list(p->backups, NAME, &list, &count, &f->err), 0);
    assert_int_equal(count, 1);
    free(list);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, path), 0); /* goes round in circles */
    assert_int_equal(backups_list(p->backups, NAME, &list, &count, &f->err), ERROR_IO);
    assert_says(f, "ledger-paper-20240101T000000Z.sqlite: cannot look at it: Too many levels");
    free(list);
    assert_int_equal(backups_prune(p->backups, NAME, 0, &f->err), ERROR_IO);
    assert_files(p->backups, FIRST " ledger-paper-20240101T000000Z.sqlite ");

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* what is no file is not removed */
    assert_int_equal(backups_prune(p->backups, NAME, 0, &f->err), ERROR_IO);
    assert_says(f, "cannot remove it");
    assert_int_equal(rmdir(path), 0);
    touch(p, FIRST);

    /* The directory's name has room, its files' names have not. */
    int length = snprintf(longest, sizeof(longest), "%s", p->backups);
    while (length < BACKUP_PATH_MAX - 20)
        longest[length++] = '/';
    longest[length] = '\0';
    assert_int_equal(backups_list(longest, NAME, &list, &count, &f->err), ERROR_IO);
    assert_says(f, "the name is too long");
    free(list);
}

/* ---- restoring ---- */

static int restore(struct place *p, const char *backup, char kept[BACKUP_PATH_MAX])
{
    struct restore_options options = { .backup = backup,
                                       .ledger = p->fixture.path,
                                       .anchor = p->anchor,
                                       .directory = p->backups,
                                       .now_wall_ns = WALL_NS + NS_PER_SECOND };
    p->fixture.err = (struct error){ 0 };
    return backup_restore(&options, kept, &p->fixture.err);
}

static void a_backup_takes_the_ledgers_place(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], old[BACKUP_PATH_MAX + 40], name[30];
    struct order order;
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = f->instance.instance_id,
                               .instrument = BTC,
                               .position = { D("2"), D("20"), D("0"), D("0"), D("0") } };
    commit_one(f, 11, position);
    make(p, backup);
    commit_orders(p, 5);
    close_ledger(f);
    tamper(f, "UPDATE sessions SET build = 'old'"); /* told apart from the backup's */

    if (restore(p, backup, kept) < 0)
        fail_msg("%s", f->err.message);
    snprintf(old, sizeof(old), "%s/replaced-20231114T221321Z", p->backups);
    assert_string_equal(kept, old);
    assert_files(p->backups, FIRST " replaced-20231114T221321Z ");
    assert_files(kept, "audit-paper.head ledger-paper.sqlite ");
    snprintf(old, sizeof(old), "%s/ledger-paper.sqlite", kept);
    assert_int_equal(verified(p, old, NULL).rows, 15);
    assert_int_equal(verified(p, backup, NULL).rows, 10);
    struct verify_result now = verified(p, f->path, p->anchor);
    assert_int_equal(now.rows, 11);
    assert_true(now.anchored);
    assert_true(now.last_ns == START_NS + 10); /* the note is of no session */
    assert_query(f, "SELECT session_id, kind, body FROM journal",
                 "0|restored|{\"backup\":\"" FIRST "\",\"time\":\"2023-11-14T22:13:21.000000000Z\"}"
                 "\n");

    /* It goes on, under other client order ids than those that were lost. */
    open_anchored(p);
    resume(f, "sim", false);
    order = new_order(f);
    assert_int_equal(order.order_id, 11);
    snprintf(name, sizeof(name), "%.4s", order.client_order_id + 7);
    assert_string_not_equal(name, "4we8");
    commit_one(f, 12, order_record(&order));
    assert_query(f, "SELECT qty FROM positions", "2\n");
    assert_int_equal(verified(p, backup, NULL).rows, 10);
    close_ledger(f);

    /* In the same second again: nothing is overwritten. */
    if (restore(p, backup, kept) < 0)
        fail_msg("%s", f->err.message);
    assert_files(p->backups, FIRST " replaced-20231114T221321Z replaced-20231114T221321Z-2 ");
}

static void copy_bytes(struct place *p, const char *from, const char *to)
{
    char *bytes;
    size_t length;
    assert_int_equal(text_read_file(from, 1 << 26, &bytes, &length, &p->fixture.err), 0);
    assert_int_equal(text_write_file(to, bytes, length, &p->fixture.err), 0);
    free(bytes);
}

/* Left by a kill: commits that are in the WAL alone belong to the old ledger, and go with it. */
static void the_old_wal_goes_with_the_old_ledger(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], copy[3][200];
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    make(p, backup);
    commit_orders(p, 5);
    for (int i = 0; i < 3; i++) { /* as a kill leaves them */
        char from[180];
        snprintf(from, sizeof(from), "%s%s", f->path, suffixes[i]);
        snprintf(copy[i], sizeof(copy[i]), "%s.copy", from);
        copy_bytes(p, from, copy[i]);
    }
    close_ledger(f);
    for (int i = 0; i < 3; i++) {
        char to[180];
        snprintf(to, sizeof(to), "%s%s", f->path, suffixes[i]);
        assert_int_equal(rename(copy[i], to), 0);
    }
    if (restore(p, backup, kept) < 0)
        fail_msg("%s", f->err.message);
    assert_files(kept, "audit-paper.head ledger-paper.sqlite ledger-paper.sqlite-shm "
                       "ledger-paper.sqlite-wal ");
    assert_int_equal(verified(p, f->path, p->anchor).rows, 11);
    snprintf(f->path, sizeof(f->path), "%.130s/ledger-paper.sqlite", kept);
    assert_query(f, "SELECT count(*) FROM trading_events", "15\n");
}

/* Of a restore that was killed: a half made copy, with a WAL that SQLite would apply to the next.
 */
static void what_a_killed_restore_left_does_no_harm(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], wal[200], left[200], left_wal[200];
    make(p, backup);
    commit_orders(p, 5);
    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    snprintf(left, sizeof(left), "%s.restoring", f->path);
    snprintf(left_wal, sizeof(left_wal), "%s.restoring-wal", f->path);
    copy_bytes(p, f->path, left);
    copy_bytes(p, wal, left_wal);
    close_ledger(f);
    if (restore(p, backup, kept) < 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(verified(p, f->path, p->anchor).rows, 11);
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(left_wal, F_OK), -1);
}

static void a_backup_that_does_not_verify_is_not_restored(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture, bad = { 0 };
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX];
    make(p, backup);
    commit_orders(p, 1);
    close_ledger(f);
    snprintf(bad.path, sizeof(bad.path), "%.150s", backup);
    tamper(&bad, "UPDATE orders SET qty = '9'");
    assert_int_equal(restore(p, backup, kept), ERROR_IO);
    assert_says(f, "does not verify");
    assert_int_equal(truncate(backup, 5000), 0);
    assert_int_equal(restore(p, backup, kept), ERROR_IO);
    assert_int_equal(restore(p, "/nowhere/backup", kept), ERROR_NO_INPUT);
    assert_int_equal(verified(p, f->path, p->anchor).rows, 11);
    assert_string_equal(kept, "");
}

static void a_ledger_that_is_lost_comes_back(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX];
    make(p, backup);
    close_ledger(f);
    unlink(f->path);
    unlink(p->anchor);
    assert_int_equal(restore(p, backup, kept), 0);
    assert_string_equal(kept, "");
    assert_int_equal(verified(p, f->path, p->anchor).rows, 11);
    assert_files(p->backups, FIRST " ");
}

static void a_place_that_cannot_be_written_is_told(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], path[sizeof(f->path)];
    make(p, backup);
    close_ledger(f);
    memcpy(path, f->path, sizeof(path));
    snprintf(f->path, sizeof(f->path), "/nowhere/ledger.sqlite");
    assert_int_equal(restore(p, backup, kept), ERROR_IO);
    assert_says(f, "cannot open it");
    memcpy(f->path, path, sizeof(path));
    snprintf(p->backups, sizeof(p->backups), "%s", path); /* what is there cannot be kept */
    assert_int_equal(restore(p, backup, kept), ERROR_IO);
    assert_int_equal(verified(p, f->path, p->anchor).rows, 10);
    char left[200];
    snprintf(left, sizeof(left), "%s.restoring", path);
    assert_int_equal(access(left, F_OK), -1);
}

/* `length` bytes that name the same place. */
static char *stretched(const char *path, size_t length)
{
    const char *slash = strrchr(path, '/');
    char *longer = memory_new(length + 1);
    size_t head = (size_t)(slash - path), tail = strlen(slash);
    memset(longer, '/', length);
    memcpy(longer, path, head);
    memcpy(longer + length - tail, slash, tail);
    return longer;
}

/* Wherever a name becomes too long, the old ledger stays and no copy is left. */
static void a_name_that_is_too_long_changes_nothing(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], left[200];
    make(p, backup);
    commit_orders(p, 5);
    close_ledger(f);
    snprintf(left, sizeof(left), "%s.restoring", f->path);
    struct restore_options options = { .backup = backup,
                                       .ledger = f->path,
                                       .anchor = p->anchor,
                                       .directory = p->backups,
                                       .now_wall_ns = WALL_NS };
    const size_t lengths[] = { 1020, 1010, 988 }; /* of the ledger; of the directory */
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        char *longer = stretched(i == 0 ? f->path : p->backups, lengths[i]);
        options.ledger = i == 0 ? longer : f->path;
        options.directory = i == 0 ? p->backups : longer;
        f->err = (struct error){ 0 };
        assert_int_equal(backup_restore(&options, kept, &f->err), ERROR_IO);
        assert_says(f, "name is too long");
        assert_int_equal(access(left, F_OK), -1);
        assert_int_equal(verified(p, f->path, p->anchor).rows, 15);
        free(longer);
    }
}

static void names_without_a_directory_are_of_the_current_one(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX], before[1000];
    make(p, backup);
    close_ledger(f);
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->directory), 0);
    assert_int_equal(rename(backup, "old.sqlite"), 0);
    struct restore_options options = { .backup = "old.sqlite",
                                       .ledger = "ledger-paper.sqlite",
                                       .anchor = "audit-paper.head",
                                       .directory = "backups",
                                       .now_wall_ns = WALL_NS };
    int code = backup_restore(&options, kept, &f->err);
    assert_int_equal(chdir(before), 0);
    if (code < 0)
        fail_msg("%s", f->err.message);
    assert_string_equal(kept, "backups/replaced-20231114T221320Z");
    assert_int_equal(verified(p, f->path, p->anchor).rows, 11);
    assert_query(f, "SELECT body FROM journal",
                 "{\"backup\":\"old.sqlite\",\"time\":\"2023-11-14T22:13:20.000000000Z\"}\n");
}

/* ---- the thread ---- */

static int64_t wall(void *self)
{
    int64_t *now = self;
    return __atomic_fetch_add(now, NS_PER_SECOND, __ATOMIC_RELAXED);
}

static struct keeper *open_keeper(struct place *p, size_t count, int64_t every_ns, int pages,
                                  int64_t *now)
{
    struct keeper *keeper;
    struct keeper_options options = { .ledger = p->fixture.path,
                                      .backups = p->backups,
                                      .name = NAME,
                                      .backup_count = count,
                                      .backup_every_ns = every_ns,
                                      .wal_pages = pages,
                                      .wall = { now, wall } };
    if (keeper_open(p->fixture.ledger, &options, &keeper, &p->fixture.err) < 0)
        fail_msg("%s", p->fixture.err.message);
    return keeper;
}

static void a_keeper_makes_and_prunes_backups(void **state)
{
    struct place *p = *state;
    int64_t now = WALL_NS;
    struct keeper_news news = { 0 };
    struct keeper *keeper = open_keeper(p, 2, NS_PER_MS, 1000000, &now);
    while (news.backups < 4) {
        commit_orders(p, 1);
        (void)keeper_news(keeper, &news);
        sched_yield();
    }
    assert_string_equal(news.failure, "");
    keeper_close(keeper);
    struct backup_file *list;
    size_t count;
    assert_int_equal(backups_list(p->backups, NAME, &list, &count, &p->fixture.err), 0);
    assert_in_range(count, 2, 3); /* the last one may not have pruned */
    for (size_t i = 0; i < count; i++)
        verified(p, list[i].path, NULL);
    free(list);
}

/* Trading goes on: the news is all there is. */
static void a_backup_that_fails_is_news(void **state)
{
    struct place *p = *state;
    int64_t now = WALL_NS;
    struct keeper_news news = { 0 };
    FILE *file = fopen(p->backups, "w"); /* no directory */
    assert_non_null(file);
    fclose(file);
    struct keeper *keeper = open_keeper(p, 2, NS_PER_MS, 1000000, &now);
    while (news.failures < 2) {
        commit_orders(p, 1);
        (void)keeper_news(keeper, &news);
        sched_yield();
    }
    assert_int_equal(news.backups, 0);
    assert_non_null(strstr(news.failure, "backup: "));
    keeper_close(keeper);
}

/* Until its checkpoint is told of: by then it knows when its first backup is due. */
static void await_checkpoint(struct place *p, struct keeper *keeper, struct keeper_news *news)
{
    uint64_t before = news->checkpoints;
    while (news->checkpoints == before) {
        commit_orders(p, 1);
        (void)keeper_news(keeper, news);
        sched_yield();
    }
}

/* The next backup is due a period after the newest one there is, and not before. */
static void the_first_backup_waits_for_the_newest_ones_age(void **state)
{
    struct place *p = *state;
    static const struct {
        int64_t age_ns, every_ns;
        bool soon;
    } cases[] = {
        { NS_PER_DAY - NS_PER_MS, NS_PER_DAY, true },
        { NS_PER_DAY / 2, NS_PER_DAY, false },
        { -NS_PER_DAY, NS_PER_MS, true },      /* the clock was set back */
        { 3 * NS_PER_DAY, NS_PER_DAY, false }, /* overdue: a minute after the start */
    };
    assert_int_equal(mkdir(p->backups, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct keeper_news news = { 0 };
        int64_t now = WALL_NS + cases[i].age_ns;
        touch(p, FIRST);
        struct keeper *keeper = open_keeper(p, 9, cases[i].every_ns, 1, &now);
        await_checkpoint(p, keeper, &news);
        while (cases[i].soon && news.backups == 0) {
            (void)keeper_news(keeper, &news);
            sched_yield();
        }
        if (!cases[i].soon)
            assert_int_equal(news.backups, 0);
        assert_int_equal(news.failures, 0);
        keeper_close(keeper);
        assert_int_equal(backups_prune(p->backups, NAME, 0, &p->fixture.err), 0);
    }
}

/* A failure is tried again, but not at once. */
static void a_backup_that_failed_waits_for_its_next_try(void **state)
{
    struct place *p = *state;
    int64_t now = WALL_NS + NS_PER_DAY - NS_PER_MS;
    struct keeper_news news = { 0 };
    assert_int_equal(mkdir(p->backups, 0700), 0);
    touch(p, FIRST);
    tamper(&p->fixture, "DROP TRIGGER trading_events_unchanged; UPDATE trading_events"
                        " SET body = '{}' WHERE seq = 7");
    struct keeper *keeper = open_keeper(p, 2, NS_PER_DAY, 1, &now);
    while (news.failures == 0) {
        (void)keeper_news(keeper, &news);
        sched_yield();
    }
    assert_non_null(strstr(news.failure, "backup: "));
    assert_non_null(strstr(news.failure, "does not verify"));
    await_checkpoint(p, keeper, &news);
    await_checkpoint(p, keeper, &news);
    assert_int_equal(news.failures, 1);
    assert_int_equal(news.backups, 0);
    keeper_close(keeper);
    assert_files(p->backups, FIRST " ");
}

/* No commit copies pages into the ledger; the keeper does, and the WAL begins anew. */
static void a_keeper_keeps_the_wal_short(void **state)
{
    struct place *p = *state;
    int64_t now = WALL_NS;
    struct keeper_news news = { 0 };
    commit_orders(p, 600);
    assert_true(atomic_load(&p->fixture.ledger->wal_pages) > 1000);
    struct keeper *keeper = open_keeper(p, 0, NS_PER_SECOND, 100, &now);
    while (news.checkpoints == 0) {
        assert_false(keeper_news(keeper, &news));
        sched_yield();
    }
    commit_orders(p, 1);
    assert_true(atomic_load(&p->fixture.ledger->wal_pages) < 20);
    keeper_close(keeper);
}

static void without_a_keeper_the_caller_checkpoints(void **state)
{
    struct place *p = *state;
    struct fixture *f = &p->fixture;
    commit_orders(p, 600);
    int pages = atomic_load(&f->ledger->wal_pages);
    assert_int_equal(ledger_checkpoint_now(f->ledger, pages + 1, &f->err), 0);
    commit_orders(p, 1);
    assert_true(atomic_load(&f->ledger->wal_pages) > pages);
    assert_int_equal(ledger_checkpoint_now(f->ledger, pages, &f->err), 0);
    commit_orders(p, 1);
    assert_true(atomic_load(&f->ledger->wal_pages) < 20); /* begun anew */
}

static void a_keeper_that_cannot_open_is_told(void **state)
{
    struct place *p = *state;
    struct keeper *keeper;
    struct keeper_options options = { .ledger = "/nowhere/ledger", .backups = "b", .name = NAME };
    assert_int_equal(keeper_open(p->fixture.ledger, &options, &keeper, &p->fixture.err), ERROR_IO);
    assert_says(&p->fixture, "a second time");
    assert_null(keeper);
    keeper_close(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_backup_holds_what_was_committed),
        TEST(trading_goes_on_while_a_backup_is_made),
        TEST(a_backup_that_is_given_up_leaves_nothing),
        TEST(a_backup_of_many_steps_needs_nobody_to_pause_it),
        TEST(a_backup_that_fails_leaves_nothing),
        TEST(only_backups_are_listed_and_pruned),
        TEST(a_backup_that_cannot_be_looked_at_is_told),
        TEST(a_backup_takes_the_ledgers_place),
        TEST(the_old_wal_goes_with_the_old_ledger),
        TEST(what_a_killed_restore_left_does_no_harm),
        TEST(a_backup_that_does_not_verify_is_not_restored),
        TEST(a_ledger_that_is_lost_comes_back),
        TEST(a_place_that_cannot_be_written_is_told),
        TEST(a_name_that_is_too_long_changes_nothing),
        TEST(names_without_a_directory_are_of_the_current_one),
        TEST(a_keeper_makes_and_prunes_backups),
        TEST(a_backup_that_fails_is_news),
        TEST(the_first_backup_waits_for_the_newest_ones_age),
        TEST(a_backup_that_failed_waits_for_its_next_try),
        TEST(a_keeper_keeps_the_wal_short),
        TEST(without_a_keeper_the_caller_checkpoints),
        TEST(a_keeper_that_cannot_open_is_told),
    };
    return cmocka_run_group_tests_name("backups", tests, NULL, NULL);
}
