/* backups.h - copies of the ledger in STATE/backups, and the way back from one.
 *
 * ledger-paper-20240101T000000Z.sqlite: whole, synced, and verified before it gets that name. */
#ifndef RUNTIME_LEDGER_BACKUPS_H
#define RUNTIME_LEDGER_BACKUPS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

#define BACKUP_PATH_MAX 1024

struct backup_options {
    const char *ledger;         /* STATE/ledger-paper.sqlite */
    const char *directory;      /* STATE/backups */
    const char *name;           /* "ledger-paper" */
    int (*pause)(void *pauser); /* called between small steps; not 0: give up. NULL: never */
    void *pauser;
};

/* Copies the ledger as it is now, while others write it: reads a snapshot in small steps and takes
 * no lock that a writer would meet. now_wall_ns names it; out gets its path. ERROR_IO, ERROR_TIME
 * (`pause` gave up): nothing is left of it. */
MUST_CHECK int backup_make(const struct backup_options *options, int64_t now_wall_ns,
                           char out[BACKUP_PATH_MAX], struct error *err);

struct backup_file {
    char path[BACKUP_PATH_MAX];
    const char *name; /* in path */
    int64_t size;     /* bytes */
    int64_t made_ns;  /* wall time, by its name */
};
/* Newest first, malloc'd, none where there is no such directory. ERROR_IO. */
MUST_CHECK int backups_list(const char *directory, const char *name, struct backup_file **list,
                            size_t *count, struct error *err);
/* Removes the oldest beyond `keep`, and what crashes left half made. ERROR_IO. */
MUST_CHECK int backups_prune(const char *directory, const char *name, size_t keep,
                             struct error *err);

struct restore_options {
    const char *backup;    /* path */
    const char *ledger;    /* where it goes */
    const char *anchor;    /* STATE/audit-paper.head */
    const char *directory; /* STATE/backups: what lies there now goes to replaced-STAMP in it */
    int64_t now_wall_ns;
};
/* Puts a backup in the ledger's place. Nobody may have the ledger open (the caller holds its lock).
 * The backup is verified first and stays where it is; what was there is kept, never overwritten:
 * `kept` gets the directory, "" when there was nothing. The restored ledger's chain tells of it by
 * a journal row "restored", outside all sessions, and the anchor is written for it. A crash on the
 * way leaves either the old ledger, or the new one, or one that the old anchor refuses: then it is
 * done again. ERROR_NO_INPUT, ERROR_DATA no ledger, ERROR_IO (also: the backup does not verify). */
MUST_CHECK int backup_restore(const struct restore_options *options, char kept[BACKUP_PATH_MAX],
                              struct error *err);

#endif
