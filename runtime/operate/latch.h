/* latch.h - the halt that outlives everything: STATE/halt-{paper,live}.latch.
 *
 * One preallocated file of LATCH_SIZE bytes, written with one pwrite and fdatasync: it can be set
 * with a full disk, from any thread or process, and by a parent whose child hangs. Only `runtime
 * resume` clears it. A file that cannot be read as a latch counts as set: doubt is no permission.
 */
#ifndef RUNTIME_OPERATE_LATCH_H
#define RUNTIME_OPERATE_LATCH_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

#define LATCH_SIZE 4096

struct latch_record {
    bool set;
    bool emergency; /* all orders go, exits too; else entries alone */
    int64_t since_ns;
    char code[32];    /* "emergency_stop", "max_daily_loss", ... */
    char reason[200]; /* for a person */
};

/* Makes the file where it is missing (preallocated, synced, its directory too) and keeps it open.
 * ERROR_IO. */
MUST_CHECK int latch_open(const char *state_dir, const char *mode, int *fd, struct error *err);
/* Both work on an open descriptor, from any thread; set is safe in a signal handler and keeps the
 * first record that was set, but an emergency replaces one that is none. ERROR_IO as a code alone.
 */
int latch_set(int fd, const struct latch_record *record);
int latch_read(int fd, struct latch_record *out);
/* What stands in a state directory, without making it: 0 and out->set false when there is none. */
MUST_CHECK int latch_look(const char *state_dir, const char *mode, struct latch_record *out,
                          struct error *err);
MUST_CHECK int latch_clear(int fd, struct error *err);

#endif
