/* backups.c - copying, listing, pruning, and putting back. */
#include "runtime/ledger/backups.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/ledger/private.h"
#include "runtime/ledger/verify.h"

#define STEP_PAGES 64 /* 256 KiB */
#define STAMP_MAX 20  /* 20240101T000000Z */
#define SUFFIX ".sqlite"
#define HALF_MADE ".sqlite.tmp"
#define COPY_BYTES (1u << 16)

static int failed(const char *path, const char *doing, struct error *err)
{
    return error_set(err, ERROR_IO, "%s: cannot %s: %s", path, doing, strerror(errno));
}

static int failed_in_sqlite(const char *path, sqlite3 *db, const char *doing, struct error *err)
{
    return error_set(err, ERROR_IO, "backup %s: cannot %s: %s", path, doing, sqlite3_errmsg(db));
}

/* ---- names ---- */

static void stamp_of(int64_t wall_ns, char stamp[STAMP_MAX])
{
    char time[TIME_TEXT_MAX];
    size_t length = 0;
    time_format(wall_ns, time); /* 2024-01-01T00:00:00.000000000Z */
    ASSERT(time[19] == '.');
    for (const char *at = time; *at != '.'; at++)
        if (*at != '-' && *at != ':')
            stamp[length++] = *at;
    stamp[length++] = 'Z';
    stamp[length] = '\0';
}

static bool parse_stamp(const char *stamp, int64_t *wall_ns)
{
    char time[TIME_TEXT_MAX];
    for (int i = 0; i < 16; i++) {
        char wanted = i == 8 ? 'T' : i == 15 ? 'Z' : '0';
        if (wanted == '0' ? stamp[i] < '0' || stamp[i] > '9' : stamp[i] != wanted)
            return false;
    }
    snprintf(time, sizeof(time), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", stamp, stamp + 4, stamp + 6,
             stamp + 9, stamp + 11, stamp + 13);
    return time_parse(time, strlen(time), wall_ns);
}

/* NAME-STAMP and this suffix. */
static bool is_named(const char *file, const char *name, const char *suffix, int64_t *made_ns)
{
    size_t length = strlen(name);
    return strlen(file) == length + 17 + strlen(suffix) && text_starts_with(file, name) &&
           file[length] == '-' && text_ends_with(file, suffix) &&
           parse_stamp(file + length + 1, made_ns);
}

static int put_path(char path[BACKUP_PATH_MAX], struct error *err, const char *format, ...)
    PRINTF_LIKE(3, 4);
static int put_path(char path[BACKUP_PATH_MAX], struct error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, BACKUP_PATH_MAX, format, arguments);
    va_end(arguments);
    return length < BACKUP_PATH_MAX
               ? 0
               : error_set(err, ERROR_IO, "%.80s...: the name is too long", path);
}

static int sync_path(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return failed(path, "open it", err);
    int code = fsync(fd) == 0 ? 0 : failed(path, "sync it", err);
    close(fd);
    return code;
}

/* ---- making one ---- */

static int give_up(const char *path, struct error *err)
{
    return error_set(err, ERROR_TIME, "backup %s: given up", path);
}

/* Others may write meanwhile: a read transaction keeps the copy one state, so that no step begins
 * it anew. */
static int copy_pages(const struct backup_options *options, sqlite3 *from, sqlite3 *to,
                      const char *path, struct error *err)
{
    if (sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) !=
        SQLITE_OK)
        return failed_in_sqlite(options->ledger, from, "read the ledger", err);
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return failed_in_sqlite(path, to, "begin it", err);
    int code = SQLITE_OK;
    bool stop = false;
    while (code == SQLITE_OK && !stop) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        stop = code == SQLITE_OK && options->pause && options->pause(options->pauser) != 0;
    }
    (void)sqlite3_backup_finish(backup); /* says again what the last step said */
    if (stop)
        return give_up(path, err);
    return code == SQLITE_DONE ? 0 : failed_in_sqlite(path, to, "write it", err);
}

static int copy_ledger(const struct backup_options *options, const char *path, struct error *err)
{
    sqlite3 *from = NULL, *to = NULL;
    int code = 0;
    if (sqlite3_open_v2(options->ledger, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        code = failed_in_sqlite(options->ledger, from, "open the ledger", err);
    if (code == 0 &&
        sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        code = failed_in_sqlite(path, to, "make it", err);
    /* It is synced once, whole, and thrown away if anything fails. */
    if (code == 0 && sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL,
                                  NULL, NULL) != SQLITE_OK)
        code = failed_in_sqlite(path, to, "make it", err);
    if (code == 0)
        code = copy_pages(options, from, to, path, err);
    sqlite3_close(from);
    sqlite3_close(to);
    return code;
}

static int verify_backup(const char *path, int (*pause)(void *pauser), void *pauser,
                         struct error *err)
{
    struct verify_options options = {
        .path = path, .at_rest = true, .pause = pause, .pauser = pauser
    };
    struct verify_result result;
    int code = ledger_verify(&options, &result, err);
    if (code < 0)
        return code;
    return result.good
               ? 0
               : error_set(err, ERROR_IO, "backup %s does not verify: %s", path, result.message);
}

int backup_make(const struct backup_options *options, int64_t now_wall_ns,
                char out[BACKUP_PATH_MAX], struct error *err)
{
    char stamp[STAMP_MAX], path[BACKUP_PATH_MAX];
    stamp_of(now_wall_ns, stamp);
    int code = put_path(path, err, "%s/%s-%s" HALF_MADE, options->directory, options->name, stamp);
    if (code == 0)
        code = put_path(out, err, "%s/%s-%s" SUFFIX, options->directory, options->name, stamp);
    if (code == 0)
        code = text_make_directories(options->directory, err);
    if (code < 0)
        return code;

    unlink(path);
    code = copy_ledger(options, path, err);
    if (code == 0)
        code = sync_path(path, err);
    if (code == 0)
        code = verify_backup(path, options->pause, options->pauser, err);
    if (code == 0 && rename(path, out) != 0)
        code = failed(path, "rename it", err);
    if (code < 0) {
        unlink(path);
        return code;
    }
    return sync_path(options->directory, err);
}

/* ---- listing and pruning ---- */

static int newest_first(const void *a, const void *b)
{
    const struct backup_file *x = a, *y = b;
    return strcmp(y->name, x->name);
}

static int add_file(struct backup_file **list, size_t *count, size_t *capacity,
                    const char *directory, const char *file, int64_t made_ns, struct error *err)
{
    struct stat info;
    *list = memory_grow(*list, capacity, *count + 1, sizeof(**list));
    struct backup_file *added = &(*list)[*count];
    int code = put_path(added->path, err, "%s/%s", directory, file);
    if (code < 0)
        return code;
    if (stat(added->path, &info) != 0) /* none: pruned meanwhile */
        return errno == ENOENT ? 0 : failed(added->path, "look at it", err);
    added->size = info.st_size;
    added->made_ns = made_ns;
    ++*count;
    return 0;
}

int backups_list(const char *directory, const char *name, struct backup_file **list, size_t *count,
                 struct error *err)
{
    size_t capacity = 0;
    int code = 0;
    *list = NULL;
    *count = 0;
    DIR *open = opendir(directory);
    if (!open)
        return errno == ENOENT ? 0 : failed(directory, "read it", err);
    for (struct dirent *entry; code == 0 && (entry = readdir(open)) != NULL;) {
        int64_t made_ns;
        if (is_named(entry->d_name, name, SUFFIX, &made_ns))
            code = add_file(list, count, &capacity, directory, entry->d_name, made_ns, err);
    }
    closedir(open);
    for (size_t i = 0; i < *count; i++) /* the array has its final place */
        (*list)[i].name = (*list)[i].path + strlen(directory) + 1;
    if (*count > 1)
        qsort(*list, *count, sizeof(**list), newest_first);
    for (size_t i = 0; i < *count; i++)
        (*list)[i].name = (*list)[i].path + strlen(directory) + 1;
    return code;
}

static void remove_half_made(const char *directory, const char *name)
{
    DIR *open = opendir(directory);
    if (!open)
        return;
    for (struct dirent *entry; (entry = readdir(open)) != NULL;) {
        int64_t made_ns;
        if (is_named(entry->d_name, name, HALF_MADE, &made_ns))
            unlinkat(dirfd(open), entry->d_name, 0);
    }
    closedir(open);
}

int backups_prune(const char *directory, const char *name, size_t keep, struct error *err)
{
    struct backup_file *list;
    size_t count;
    remove_half_made(directory, name);
    int code = backups_list(directory, name, &list, &count, err);
    for (size_t i = keep; code == 0 && i < count; i++)
        if (unlink(list[i].path) != 0)
            code = failed(list[i].path, "remove it", err);
    free(list);
    return code;
}

/* ---- putting one back ---- */

static int copy_file(const char *from, const char *to, struct error *err)
{
    int code = 0;
    ssize_t got = 0;
    char *buffer = memory_new(COPY_BYTES);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        code = failed(in < 0 ? from : to, "open it", err);
    while (code == 0 && (got = read(in, buffer, COPY_BYTES)) > 0)
        for (ssize_t done = 0; code == 0 && done < got;) {
            ssize_t wrote = write(out, buffer + done, (size_t)(got - done));
            if (wrote < 0)
                code = failed(to, "write it", err);
            done += wrote;
        }
    if (code == 0 && got < 0)
        code = failed(from, "read it", err);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && code == 0)
        code = failed(to, "write it", err);
    free(buffer);
    return code;
}

/* What a crash left of an earlier copy: a WAL of it would be applied to the next one. */
static void remove_copy(const char *copy)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[BACKUP_PATH_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
        if (put_path(path, NULL, "%s%s", copy, suffixes[i]) == 0)
            unlink(path);
}

static void note_body(const struct restore_options *options, struct text *body)
{
    const char *slash = strrchr(options->backup, '/');
    struct json_writer *writer = json_writer_open(body, false);
    json_object_begin(writer);
    json_key(writer, "backup");
    json_string(writer, slash ? slash + 1 : options->backup);
    json_key(writer, "time");
    json_time(writer, options->now_wall_ns);
    json_object_end(writer);
    json_writer_close(writer);
}

/* The copy's chain tells where it comes from. All of it has to be in the one file that is put in
 * place: closing it would checkpoint too, and say nothing of a failure. */
static int write_note(const struct restore_options *options, const char *path, struct error *err)
{
    struct ledger_options opening = { .path = path, .power_safe = true };
    struct ledger *ledger;
    struct text body;
    int code = ledger_open(&opening, &ledger, err);
    if (code < 0)
        return code;
    text_init(&body, 4096);
    note_body(options, &body);
    code = commit_note(ledger, options->now_wall_ns, "restored", body.data, body.length, err);
    text_release(&body);
    if (code == 0)
        code = ledger_checkpoint_now(ledger, 0, err);
    ledger_close(ledger);
    return code == 0 ? sync_path(path, err) : code;
}

/* A directory of its own for what was there. */
static int make_kept(const struct restore_options *options, char kept[BACKUP_PATH_MAX],
                     struct error *err)
{
    char stamp[STAMP_MAX];
    stamp_of(options->now_wall_ns, stamp);
    int code = text_make_directories(options->directory, err);
    for (int i = 1; code == 0; i++) {
        code = i == 1 ? put_path(kept, err, "%s/replaced-%s", options->directory, stamp)
                      : put_path(kept, err, "%s/replaced-%s-%d", options->directory, stamp, i);
        if (code < 0 || mkdir(kept, 0700) == 0)
            return code;
        if (errno != EEXIST)
            code = failed(kept, "make it", err);
    }
    return code;
}

static int keep(const char *path, const char *suffix, const char *kept, bool stays,
                struct error *err)
{
    char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
    const char *slash = strrchr(path, '/');
    int code = put_path(from, err, "%s%s", path, suffix);
    if (code == 0)
        code = put_path(to, err, "%s/%s%s", kept, slash ? slash + 1 : path, suffix);
    if (code < 0)
        return code;
    if (stays && link(from, to) == 0) /* where links are not known it is moved */
        return 0;
    return rename(from, to) == 0 || errno == ENOENT ? 0 : failed(from, "move it aside", err);
}

/* The old file keeps its place until the new one takes it; its WAL goes first, or SQLite would
 * apply it to the new one. Between the two the old anchor says that rows are missing. */
static int exchange(const struct restore_options *options, const char *copy, const char *kept,
                    struct error *err)
{
    int code = keep(options->ledger, "", kept, true, err);
    if (code == 0)
        code = keep(options->ledger, "-wal", kept, false, err);
    if (code == 0)
        code = keep(options->ledger, "-shm", kept, false, err);
    if (code == 0 && rename(copy, options->ledger) != 0)
        code = failed(copy, "put it in place", err);
    if (code == 0)
        code = keep(options->anchor, "", kept, false, err);
    return code == 0 ? sync_path(kept, err) : code;
}

static int write_anchor(const struct restore_options *options, struct error *err)
{
    struct ledger_options opening = { .path = options->ledger,
                                      .anchor_path = options->anchor,
                                      .power_safe = true };
    struct ledger *ledger;
    int code = ledger_open(&opening, &ledger, err);
    ledger_close(ledger);
    return code;
}

int backup_restore(const struct restore_options *options, char kept[BACKUP_PATH_MAX],
                   struct error *err)
{
    char copy[BACKUP_PATH_MAX];
    kept[0] = '\0';
    int code = verify_backup(options->backup, NULL, NULL, err);
    if (code == 0)
        code = put_path(copy, err, "%s.restoring", options->ledger);
    if (code < 0)
        return code;
    remove_copy(copy);
    code = copy_file(options->backup, copy, err);
    if (code == 0)
        code = write_note(options, copy, err);
    if (code == 0)
        code = verify_backup(copy, NULL, NULL, err);
    bool any = access(options->ledger, F_OK) == 0 || access(options->anchor, F_OK) == 0;
    if (code == 0 && any)
        code = make_kept(options, kept, err);
    if (code == 0 && any)
        code = exchange(options, copy, kept, err);
    else if (code == 0 && rename(copy, options->ledger) != 0)
        code = failed(copy, "put it in place", err);
    if (code == 0)
        code = write_anchor(options, err);
    if (code < 0)
        remove_copy(copy);
    return code;
}
