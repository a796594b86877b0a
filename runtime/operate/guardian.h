/* guardian.h - the small parent process of a live run: it holds the public pid, passes signals on,
 * and starts the trading child again when it died or hangs.
 *
 * Forked before any thread exists. It trades nothing, opens no ledger while a child lives, and
 * knows nothing of strategies: what a child does is handed in as functions, which run in the child
 * and return its exit code.
 *
 *   trade ends in order (see guardian_is_final)   its code is the guardian's
 *   trade dies, or is silent for hang_ns          killed, started again after a pause
 *   failures_max of these within window_ns        cancel_entries, in a child of its own
 *   dies after it was asked to stop               cancel_entries, at once
 *   an emergency (SIGUSR2, STATE/EMERGENCY_STOP)  the latch is set, the child is told; one that has
 *                                                 not ended emergency_ns later is killed; unless it
 *                                                 ended with 75, cancel_entries(emergency)
 *   cancel_entries fails too                      tell_remaining, then 75
 *
 * SIGINT, SIGTERM and SIGUSR2 reach the child through the guardian alone: it has a process group of
 * its own, so that one Ctrl-C is one. When the guardian dies, the kernel kills the child. */
#ifndef RUNTIME_OPERATE_GUARDIAN_H
#define RUNTIME_OPERATE_GUARDIAN_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"

struct guardian_options {
    void *self;
    /* In a child; returns its exit code. SIGINT, SIGTERM and SIGUSR2 wait when it begins: it has to
     * unblock them. guardian_beat(heartbeat_fd) at least every hang_ns, once it has begun to.
     * restarts: how many children came before it. */
    int (*trade)(void *self, int heartbeat_fd, unsigned restarts);
    /* In a child: cancels the entries that a dead child left, and keeps exits; in an emergency all
     * orders. 0: nothing is left of them. */
    int (*cancel_entries)(void *self, int heartbeat_fd, bool emergency);
    /* In the guardian itself, when no child lives: says what orders and positions remain. */
    void (*tell_remaining)(void *self);

    int64_t start_ns;   /* silence allowed before the first beat: opening takes its time */
    int64_t hang_ns;    /* silence allowed after it */
    int64_t cancel_ns;  /* all the time that cancel_entries may take */
    int64_t backoff_ns; /* pause before the first restart; twice as long before each further one */
    int64_t backoff_max_ns;
    int64_t window_ns;
    unsigned failures_max; /* within window_ns; at most GUARDIAN_FAILURES_MAX */
    int64_t emergency_ns;  /* so long after an emergency began the trading child must have ended */
    const char
        *state_dir;   /* STATE: where EMERGENCY_STOP may appear, and the latch is; NULL: none */
    const char *mode; /* of the latch */
    struct log *log;  /* or NULL */
};
#define GUARDIAN_FAILURES_MAX 16

/* The exit code of the last trading child; or negative, with *err, where it is the guardian's own:
 * ERROR_INTERNAL trading failed too often and the entries are canceled, or it could not even begin;
 * ERROR_HALTED they could not be canceled, or this was an emergency. The mask and dispositions of
 * signals are afterwards as they were. */
MUST_CHECK int guardian_run(const struct guardian_options *options, struct error *err);

/* One sign of life; never blocks, never fails. heartbeat_fd -1: there is no guardian. */
void guardian_beat(int heartbeat_fd);

/* Exit codes after which nothing is started again: done, the user's mistakes, what is not there,
 * the disk, a halt, the second Ctrl-C. */
bool guardian_is_final(int exit_code);

#endif
