/* sentinel.h - the thread that hears an emergency stop even when the engine's thread hangs.
 *
 * An emergency is SIGUSR2, the file STATE/EMERGENCY_STOP, or sentinel_ask. The engine's thread asks
 * sentinel_heard between two events and has patience_ns to say that it began to stop, then stop_ns
 * to be done. If it does not, the thread sets the latch and turns the process into `argv`: this
 * program again, which cancels what remains and knows no strategy. The process keeps its number.
 *
 * Time counts in this thread's own naps, as the watchdog's does: a process that was stopped, or a
 * machine that slept, is not blamed. From signals_hold on SIGUSR2 is blocked in every thread; this
 * one takes it. Nothing here allocates, locks or logs once the thread runs: the engine's thread may
 * hang anywhere. */
#ifndef RUNTIME_OPERATE_SENTINEL_H
#define RUNTIME_OPERATE_SENTINEL_H

#include "runtime/base/base.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"

#define EMERGENCY_FILE "EMERGENCY_STOP"

struct sentinel_options {
    const char *state_dir; /* where the file is looked for */
    int latch_fd;          /* -1: a halt of this run does not outlive it */
    int64_t patience_ns, stop_ns;
    struct clock wall; /* stamps the latch */
    char **argv;       /* borrowed; NULL: the process ends with 75 */
    /* Of a live run: it is told what it has not heard itself, and does the rest; 0: there is none.
     */
    int64_t guardian_pid;
};

struct sentinel; /* opaque */
/* ERROR_INTERNAL: no thread; ERROR_IO: no such directory. */
MUST_CHECK int sentinel_open(const struct sentinel_options *options, struct sentinel **out,
                             struct error *err);
void sentinel_close(struct sentinel *sentinel); /* NULL is fine */

/* NULL: there is no emergency; else how it came, in a few words. One atomic load. Of a NULL
 * sentinel there is none. */
const char *sentinel_heard(const struct sentinel *sentinel);
/* As if it had been heard; `how` lives as long as the sentinel. */
void sentinel_ask(struct sentinel *sentinel, const char *how);
/* The engine's thread has begun to stop; it is done. */
void sentinel_begun(struct sentinel *sentinel);
void sentinel_done(struct sentinel *sentinel);

#endif
