/* anchor.c - two records in turn: the newer readable one is the head. */
#include "runtime/ledger/anchor.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_SIZE 160
#define RECORD_GAP 4096 /* a sector each, of any disk */
#define SLOTS 2
#define CHECKSUM_LENGTH 16

struct anchor {
    sqlite3_vfs *vfs;
    sqlite3_file *file;
    sqlite3_filename name;
    char *path;
    int64_t generation; /* of the newest record; it lies in slot generation % SLOTS */
};

static int failed(const char *path, const char *doing, int code, struct error *err)
{
    return error_set(err, ERROR_IO, "anchor %s: cannot %s: %s", path, doing, sqlite3_errstr(code));
}

/* ---- one record ---- */

/* The whole record, blanks before its newline. */
static void record_write(char record[RECORD_SIZE], int64_t generation,
                         const struct anchor_head *head)
{
    char line[RECORD_SIZE], sum[SHA256_TEXT_MAX];
    int length = snprintf(line, sizeof(line), "runtime-head 1 %" PRId64 " %" PRId64 " %s ",
                          generation, head->seq, head->hash);
    sha256_hex(line, (size_t)length, sum);
    memset(record, ' ', RECORD_SIZE);
    memcpy(record, line, (size_t)length);
    memcpy(record + length, sum, CHECKSUM_LENGTH);
    record[RECORD_SIZE - 1] = '\n';
}

/* False: not a record, or not whole. */
static bool record_read(const char record[RECORD_SIZE], int64_t *generation,
                        struct anchor_head *head)
{
    char copy[RECORD_SIZE + 1], again[RECORD_SIZE];
    memcpy(copy, record, RECORD_SIZE);
    copy[RECORD_SIZE] = '\0';
    if (sscanf(copy, "runtime-head 1 %" SCNd64 " %" SCNd64 " %64[0-9a-f] ", generation, &head->seq,
               head->hash) != 3 ||
        strlen(head->hash) != SHA256_TEXT_MAX - 1 || *generation < 0 || head->seq < 0)
        return false;
    record_write(again, *generation, head);
    return memcmp(again, record, RECORD_SIZE) == 0;
}

/* ---- the file ---- */

/* SQLITE_OPEN_SUPER_JOURNAL: a file of SQLite's whose directory entry is synced with it. */
static int open_file(struct anchor *anchor, int flags, struct error *err)
{
    int code = anchor->vfs->xOpen(anchor->vfs, anchor->name, anchor->file,
                                  flags | SQLITE_OPEN_SUPER_JOURNAL, &flags);
    return code == SQLITE_OK ? 0 : failed(anchor->path, "open it", code, err);
}

static struct anchor *make(const char *path)
{
    struct anchor *anchor = memory_new(sizeof(*anchor));
    anchor->vfs = sqlite3_vfs_find(NULL);
    ASSERT(anchor->vfs);
    anchor->file = memory_new((size_t)anchor->vfs->szOsFile);
    anchor->path = memory_new((size_t)anchor->vfs->mxPathname + 1);
    if (anchor->vfs->xFullPathname(anchor->vfs, path, anchor->vfs->mxPathname + 1, anchor->path) !=
        SQLITE_OK)
        snprintf(anchor->path, (size_t)anchor->vfs->mxPathname, "%s", path);
    anchor->name = sqlite3_create_filename(anchor->path, "", "", 0, NULL);
    ASSERT(anchor->name);
    return anchor;
}

void anchor_close(struct anchor *anchor)
{
    if (!anchor)
        return;
    if (anchor->file->pMethods)
        anchor->file->pMethods->xClose(anchor->file);
    sqlite3_free_filename((char *)(uintptr_t)anchor->name);
    free(anchor->file);
    free(anchor->path);
    free(anchor);
}

/* 1 a record, 0 nothing was ever written there, negative: *err. The first record goes into slot 1:
 * while slot 0 is empty none was ever whole. */
static int read_newest(struct anchor *anchor, struct anchor_head *head, struct error *err)
{
    bool found = false, empty = true;
    for (int slot = 0; slot < SLOTS; slot++) {
        char record[RECORD_SIZE];
        struct anchor_head read;
        int64_t generation;
        int code = anchor->file->pMethods->xRead(anchor->file, record, RECORD_SIZE,
                                                 (sqlite3_int64)slot * RECORD_GAP);
        if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) /* short: filled with zeros */
            return failed(anchor->path, "read it", code, err);
        for (size_t i = 0; slot == 0 && i < RECORD_SIZE; i++)
            empty &= record[i] == '\0';
        if (!record_read(record, &generation, &read) || (found && generation < anchor->generation))
            continue;
        found = true;
        anchor->generation = generation;
        *head = read;
    }
    if (!found && !empty)
        return error_set(err, ERROR_IO,
                         "anchor %s: neither of its records can be read; check the ledger with "
                         "runtime audit verify, then remove this file to go on",
                         anchor->path);
    return found;
}

int anchor_open(const char *path, struct anchor **out, bool *found, struct anchor_head *head,
                struct error *err)
{
    *out = NULL;
    *found = false;
    struct anchor *anchor = make(path);
    int code = open_file(anchor, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err);
    if (code == 0)
        code = read_newest(anchor, head, err);
    if (code < 0) {
        anchor_close(anchor);
        return code;
    }
    *found = code == 1;
    *out = anchor;
    return 0;
}

int anchor_write(struct anchor *anchor, const struct anchor_head *head, bool sync,
                 struct error *err)
{
    char record[RECORD_SIZE];
    const struct sqlite3_io_methods *file = anchor->file->pMethods;
    int64_t generation = anchor->generation + 1;
    record_write(record, generation, head);
    int code = file->xWrite(anchor->file, record, RECORD_SIZE, generation % SLOTS * RECORD_GAP);
    if (code != SQLITE_OK)
        return failed(anchor->path, "write it", code, err);
    if (sync && (code = file->xSync(anchor->file, SQLITE_SYNC_NORMAL)) != SQLITE_OK)
        return failed(anchor->path, "sync it", code, err);
    anchor->generation = generation;
    return 0;
}

int anchor_read(const char *path, bool *found, struct anchor_head *head, struct error *err)
{
    *found = false;
    struct anchor *anchor = make(path);
    int there = 0;
    int code = anchor->vfs->xAccess(anchor->vfs, anchor->path, SQLITE_ACCESS_EXISTS, &there);
    if (code != SQLITE_OK)
        code = failed(anchor->path, "look for it", code, err);
    if (code == 0 && there)
        code = open_file(anchor, SQLITE_OPEN_READONLY, err);
    if (code == 0 && there)
        code = read_newest(anchor, head, err);
    *found = code == 1;
    anchor_close(anchor);
    return code < 0 ? code : 0;
}
