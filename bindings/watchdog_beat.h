/* watchdog_beat.h - the words through which the engine thread and the watchdog speak.
 *
 * Inline because every callback passes here. Stores of the engine thread are plain moves on x86:
 * the watchdog may see them late, never out of order. Only watchdog.c and the sandbox include this.
 */
#ifndef BINDINGS_WATCHDOG_BEAT_H
#define BINDINGS_WATCHDOG_BEAT_H

#include <lua.h>
#include <stdatomic.h>

#include "runtime/base/base.h"

struct watchdog;

struct beat {
    /* Written by the engine thread. */
    _Atomic uint64_t serial;      /* odd while a callback runs */
    _Atomic(lua_State *) running; /* what the signal handler is to hook */
    _Atomic bool loading;         /* the limit is that of loading */
    /* Written by the watchdog. */
    _Atomic uint64_t overdue; /* the serial that must end; 0 none (one that counts is odd) */
    _Atomic int64_t clock_ns; /* monotonic, as of its last look */
};

struct beat *watchdog_beat(struct watchdog *watchdog);

static inline void beat_enter(struct beat *beat, lua_State *L, bool loading)
{
    uint64_t serial = atomic_load_explicit(&beat->serial, memory_order_relaxed);
    ASSERT(serial % 2 == 0);
    atomic_store_explicit(&beat->running, L, memory_order_relaxed);
    atomic_store_explicit(&beat->loading, loading, memory_order_relaxed);
    atomic_store_explicit(&beat->serial, serial + 1, memory_order_release);
}

static inline void beat_leave(struct beat *beat)
{
    uint64_t serial = atomic_load_explicit(&beat->serial, memory_order_relaxed);
    ASSERT(serial % 2 == 1);
    atomic_store_explicit(&beat->serial, serial + 1, memory_order_release);
}

static inline bool beat_overdue(const struct beat *beat)
{
    uint64_t serial = atomic_load_explicit(&beat->serial, memory_order_relaxed);
    return serial % 2 == 1 && atomic_load_explicit(&beat->overdue, memory_order_relaxed) == serial;
}

static inline int64_t beat_clock_ns(const struct beat *beat)
{
    return atomic_load_explicit(&beat->clock_ns, memory_order_relaxed);
}

#endif
