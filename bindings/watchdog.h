/* watchdog.h - the clock outside the engine thread that ends what the sandbox cannot.
 *
 * The engine thread publishes a serial: odd while a callback runs. A thread polls it. Past the hard
 * limit it sends a signal to the engine thread every few milliseconds; the handler arms a count
 * hook on the Lua state that runs (never another thread's call: lua_sethook from outside crashes)
 * and ignores a serial that has passed. Past five times the hard limit the watchdog writes the
 * quarantine record through a file descriptor opened beforehand, syncs it, and ends the process
 * (70).
 *
 * The sandbox says when a callback begins and ends (watchdog_beat.h); loading a file has 50 times a
 * callback's limit, at most 10 s (or a callback's, where that is more).
 *
 * Signal: SIGRTMIN. One watchdog a process. */
#ifndef BINDINGS_WATCHDOG_H
#define BINDINGS_WATCHDOG_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

struct watchdog; /* opaque */

struct watchdog_options {
    int64_t hard_ns;      /* arm the hook beyond it; scaled by 5 under sanitizers */
    int quarantine_fd;    /* opened beforehand; -1: none is written. Receives one line:
                           * {"source_hash":"...","strategy":"...","symbol":"...",
                           *  "instance_id":3,"event":1201} (without the break) */
    uint32_t kill_factor; /* end the process at hard * kill_factor; 5 */
};

/* Starts the thread. ERROR_INTERNAL. */
MUST_CHECK int watchdog_open(const struct watchdog_options *options, struct watchdog **out,
                             struct error *err);
void watchdog_close(struct watchdog *watchdog);

/* What a quarantine record says about the callback that is about to run. */
struct watchdog_subject {
    char source_hash[80], strategy[80], symbol[80]; /* cut to fit; written as JSON strings */
    uint32_t instance_id;
};
/* Before a callback. Only the pointer is kept, so that a callback pays one store: the subject must
 * live as long as callbacks of it run. */
void watchdog_describe(struct watchdog *watchdog, const struct watchdog_subject *subject);
void watchdog_set_event(struct watchdog *watchdog,
                        uint64_t event); /* number of the engine's event */

#endif
