/* anchor.h - the chain's head kept outside the ledger: STATE/audit-paper.head.
 *
 * A chain cannot show that its own tail was cut; a number beside it can. The file holds two records
 * of fixed size, written in turn, so that a torn write leaves the older one. It goes through
 * SQLite's own file system (VFS), as the ledger does. It is not keyed: who edits both files wins.
 *
 *   runtime-head 1 GENERATION SEQ HASH CHECKSUM\n    at byte 0 and at byte 4096 */
#ifndef RUNTIME_LEDGER_ANCHOR_H
#define RUNTIME_LEDGER_ANCHOR_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"

struct anchor_head {
    int64_t seq;                /* of the newest row of trading_events, 0 without rows */
    char hash[SHA256_TEXT_MAX]; /* its hash */
};

struct anchor; /* opaque */

/* Opens or creates it. *found and *head: what it says; not found in a new file, or one that a crash
 * left without a record. ERROR_IO: it cannot be opened, or holds what this program never wrote. */
MUST_CHECK int anchor_open(const char *path, struct anchor **out, bool *found,
                           struct anchor_head *head, struct error *err);
/* ERROR_IO. After a failure the older record still stands. `sync`: waits for the disk. */
MUST_CHECK int anchor_write(struct anchor *anchor, const struct anchor_head *head, bool sync,
                            struct error *err);
void anchor_close(struct anchor *anchor); /* NULL is fine */

/* What the file says now, without writing: *found is false when there is no file or no record. */
MUST_CHECK int anchor_read(const char *path, bool *found, struct anchor_head *head,
                           struct error *err);

#endif
