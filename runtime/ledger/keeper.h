/* keeper.h - a second thread that does what must not hold up an order: WAL checkpoints, backups.
 *
 * It has connections of its own. A passive checkpoint and a snapshot read take no lock that a
 * commit would meet. The WAL begins anew with the first commit that finds all of it checkpointed;
 * where commits never pause the session has to help (ledger_checkpoint_now). What the thread has to
 * say is asked for by the session, which owns the log. */
#ifndef RUNTIME_LEDGER_KEEPER_H
#define RUNTIME_LEDGER_KEEPER_H

#include "runtime/base/base.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/ledger/backups.h"

struct ledger;
struct keeper; /* opaque */

struct keeper_options {
    const char *ledger;      /* path of the open ledger; strings are copied */
    const char *backups;     /* STATE/backups */
    const char *name;        /* "ledger-paper": of the backups */
    size_t backup_count;     /* so many are kept; 0: none are made */
    int64_t backup_every_ns; /* since the newest one; without one soon after the start */
    int wal_pages;           /* checkpoint when the WAL has so many */
    struct clock wall;       /* names the backups */
};

/* ERROR_INTERNAL: no thread. */
MUST_CHECK int keeper_open(struct ledger *ledger, const struct keeper_options *options,
                           struct keeper **out, struct error *err);
/* Ends the thread, giving up a backup under way. Before ledger_close. NULL is fine. */
void keeper_close(struct keeper *keeper);

struct keeper_news {
    uint64_t checkpoints;       /* done since the start: no news by themselves */
    uint64_t backups;           /* made since the start */
    uint64_t failures;          /* of backups and checkpoints */
    char path[BACKUP_PATH_MAX]; /* of the newest backup made, or "" */
    char failure[768];          /* the newest one, or "" */
};
/* True when there is news since it was last asked for. Waits for nothing but a copy. */
bool keeper_news(struct keeper *keeper, struct keeper_news *news);

#endif
