/* cmd_restore.c - `runtime restore [BACKUP]`: lists the ledger's backups, or goes back to one. */
#include "runtime/app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/ledger/backups.h"
#include "runtime/ledger/verify.h"

#define REPORT_MAX (1u << 20)

struct places {
    char ledger[BACKUP_PATH_MAX], anchor[BACKUP_PATH_MAX], backups[BACKUP_PATH_MAX];
    char lock[BACKUP_PATH_MAX], name[40];
};

static int find_places(const struct options *options, struct places *places, struct error *err)
{
    const char *mode = options->mode ? options->mode : "paper";
    if (strlen(options->state) > BACKUP_PATH_MAX - 100)
        return error_set(err, ERROR_USAGE, "--state %.80s...: the path is too long",
                         options->state);
    snprintf(places->name, sizeof(places->name), "ledger-%s", mode);
    snprintf(places->ledger, BACKUP_PATH_MAX, "%.900s/ledger-%s.sqlite", options->state, mode);
    snprintf(places->anchor, BACKUP_PATH_MAX, "%.900s/audit-%s.head", options->state, mode);
    snprintf(places->backups, BACKUP_PATH_MAX, "%.900s/backups", options->state);
    snprintf(places->lock, BACKUP_PATH_MAX, "%.900s/lock", options->state);
    return 0;
}

/* ---- listing ---- */

static int look_at(const struct backup_file *file, struct verify_result *result, struct error *err)
{
    struct verify_options options = { .path = file->path, .at_rest = true };
    int code = ledger_verify(&options, result, err);
    if (code < 0) {
        *result = (struct verify_result){ .good = false };
        text_copy(result->message, sizeof(result->message), err->message);
    }
    return code;
}

static void put_json(struct json_writer *writer, const struct backup_file *file,
                     const struct verify_result *result)
{
    json_object_begin(writer);
    json_key(writer, "backup");
    json_string(writer, file->name);
    json_key(writer, "time");
    json_time(writer, file->made_ns);
    json_key(writer, "size");
    json_int(writer, file->size);
    json_key(writer, "sessions");
    json_int(writer, result->sessions);
    json_key(writer, "rows");
    json_int(writer, result->rows);
    json_key(writer, "last_event");
    json_time(writer, result->last_ns ? result->last_ns : TIME_NEVER);
    json_key(writer, "verified");
    json_bool(writer, result->good);
    json_key(writer, "fault");
    json_string(writer, result->good ? NULL : result->message);
    json_object_end(writer);
}

/* 80 columns; a size in MB is what a person compares. */
#define TABLE_LINE "%-37s %-19s %9s  %s\n"

static void put_line(struct text *out, const struct backup_file *file,
                     const struct verify_result *result)
{
    char last[TIME_TEXT_MAX] = "-", size[32];
    if (result->last_ns)
        time_format_short(result->last_ns, last);
    snprintf(size, sizeof(size), "%.2f", (double)file->size / 1e6);
    text_printf(out, TABLE_LINE, file->name, last, size, result->good ? "yes" : "no");
    if (!result->good)
        text_printf(out, "    %s\n", result->message);
}

static int list(const struct options *options, const struct places *places, struct error *err)
{
    struct backup_file *files;
    size_t count;
    int code = backups_list(places->backups, places->name, &files, &count, err);
    if (code < 0)
        return code;
    struct text out;
    text_init(&out, REPORT_MAX);
    struct json_writer *writer = options->json ? json_writer_open(&out, false) : NULL;
    if (writer)
        json_array_begin(writer);
    else if (count == 0)
        text_printf(&out, "no backups of %s in %s\n", places->name, places->backups);
    else
        text_printf(&out, TABLE_LINE, "backup", "last event", "MB", "verified");
    for (size_t i = 0; i < count; i++) {
        struct verify_result result;
        struct error fault = { 0 };
        (void)look_at(&files[i], &result, &fault);
        if (writer)
            put_json(writer, &files[i], &result);
        else
            put_line(&out, &files[i], &result);
    }
    if (writer) {
        json_array_end(writer);
        json_writer_close(writer);
        text_add(&out, "\n");
    }
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
    free(files);
    return 0;
}

/* ---- going back to one ---- */

/* A path, or a name in backups/. */
static int find_backup(const struct places *places, const char *asked, char path[BACKUP_PATH_MAX],
                       struct error *err)
{
    bool is_path = strchr(asked, '/') != NULL;
    int length = is_path ? snprintf(path, BACKUP_PATH_MAX, "%s", asked)
                         : snprintf(path, BACKUP_PATH_MAX, "%.900s/%s", places->backups, asked);
    if (length >= BACKUP_PATH_MAX || access(path, F_OK) != 0)
        return error_set(err, ERROR_NO_INPUT,
                         "no backup %.200s in %.300s; runtime restore lists those there are", asked,
                         places->backups);
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return error_set(err, ERROR_NO_INPUT,
                         "%.300s is no file; runtime restore lists the backups", path);
    return 0;
}

static int take_lock(const struct options *options, const struct places *places, int *lock_fd,
                     struct error *err)
{
    int code = text_make_directories(options->state, err);
    if (code < 0)
        return code;
    *lock_fd = open(places->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*lock_fd < 0)
        return error_at(err, ERROR_IO, places->lock, "cannot open: %s", strerror(errno));
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_at(err, ERROR_UNAVAILABLE, options->state,
                        "a runtime uses this state directory; stop it first");
    return 0;
}

static void report(const struct options *options, const struct places *places, const char *backup,
                   const char *kept)
{
    struct text out;
    text_init(&out, REPORT_MAX);
    if (options->json) {
        struct json_writer *writer = json_writer_open(&out, false);
        json_object_begin(writer);
        json_key(writer, "restored");
        json_string(writer, backup);
        json_key(writer, "ledger");
        json_string(writer, places->ledger);
        json_key(writer, "kept");
        json_string(writer, kept[0] ? kept : NULL);
        json_object_end(writer);
        json_writer_close(writer);
        text_add(&out, "\n");
    } else {
        text_printf(&out, "restored %s\n", backup);
        if (kept[0])
            text_printf(&out, "what was there is kept in %s\n", kept);
        text_add(&out,
                 "What happened since that backup is not in the ledger now. On a venue the next "
                 "start asks for\norders, fills, positions and cash, and books what is missing "
                 "(reconciliation). A run on a\nfeed is replayed and makes it again. On sim it is "
                 "lost: the session goes on from the backup.\n");
    }
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
}

static int restore(const struct options *options, const struct places *places, const char *asked,
                   struct error *err)
{
    char backup[BACKUP_PATH_MAX], kept[BACKUP_PATH_MAX];
    int lock_fd = -1;
    int code = find_backup(places, asked, backup, err);
    if (code == 0)
        code = take_lock(options, places, &lock_fd, err);
    if (code == 0) {
        struct restore_options asking = { .backup = backup,
                                          .ledger = places->ledger,
                                          .anchor = places->anchor,
                                          .directory = places->backups,
                                          .now_wall_ns = clock_now(clock_wall()) };
        code = backup_restore(&asking, kept, err);
    }
    if (code == 0)
        report(options, places, backup, kept);
    if (lock_fd >= 0)
        close(lock_fd);
    return code;
}

static int run_restore(const struct options *options)
{
    struct error err = { 0 };
    struct places places;
    int code = find_places(options, &places, &err);
    if (code == 0 && (options->operands.count > 1 || options->strategies.count > 0))
        code =
            error_set(&err, ERROR_USAGE, "runtime restore takes one BACKUP, by its name or path");
    if (code == 0 && options->operands.count == 0)
        code = list(options, &places, &err);
    else if (code == 0)
        code = restore(options, &places, options->operands.items[0], &err);
    return code < 0 ? app_fail(options, &err) : 0;
}

const struct command_entry command_restore = {
    .name = "restore",
    .summary = "list the ledger's backups, or go back to one",
    .usage = "usage: runtime restore [BACKUP] [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "Without BACKUP: a table of the backups in DIR/backups, each verified. With one,\n"
             "by its name or path: verifies it, moves the ledger that is there with its side\n"
             "files and anchor to DIR/backups/replaced-TIME, and puts the backup in its place.\n"
             "The chain of the restored ledger tells of it. What happened since comes back by\n"
             "reconciliation on a venue, by the replay on a feed, and is lost on sim.\n"
             "\n"
             "  --state DIR   where the ledger is (default artifacts)\n"
             "  --mode MODE   paper or live (default paper)\n"
             "  --json        one JSON array, or object\n"
             "\n"
             "Exit codes: 0 done, 65 no ledger, or one of another version, 66 no such backup,\n"
             "69 an instance runs there, 74 the backup does not verify, or the disk failed:\n"
             "then nothing was changed, or the same command ends it.\n"
             "\n"
             "Example:\n"
             "  runtime restore ledger-paper-20240101T000000Z.sqlite --state artifacts\n",
    .run = run_restore,
    .takes = "state mode",
};
