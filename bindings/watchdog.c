/* watchdog.c - the thread that watches callbacks, and the signal by which it stops one.
 *
 * The engine thread only stores a serial before and after each callback. Elapsed time is the sum of
 * this thread's own naps, each counted at most four times its wish: after a suspended machine or a
 * stopped process a callback is not blamed for the pause.
 *
 * quarantine_fd receives one line:
 *   {"source_hash":"...","strategy":"...","symbol":"...","instance_id":3,"event":1201} */
#include "bindings/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bindings/sandbox_internal.h"
#include "runtime/base/clock.h"
#include "runtime/base/text.h"

#define NAP_MIN_NS (1 * NS_PER_MS)
#define NAP_MAX_NS (10 * NS_PER_MS)
#define LOAD_FACTOR 50 /* loading may take so many times a callback's limit, */
#define LOAD_MAX_NS                                                                                \
    (10 * NS_PER_SECOND * SLOWNESS) /* but no longer than this, unless a callback may */

struct watchdog {
    struct beat beat;
    _Atomic uint64_t event;
    _Atomic(const struct watchdog_subject *) subject; /* of the callback that runs */

    int64_t hard_ns, load_ns, nap_ns;
    uint32_t kill_factor;
    int quarantine_fd;
    pthread_t engine, thread;
    pthread_mutex_t lock; /* of `quit` */
    pthread_cond_t wake;
    bool quit;
    struct sigaction before;
};

/* The one mutable global of the program: a signal handler receives no pointer of ours. It is set
 * while a watchdog is open and read by the handler, which runs on the engine thread. */
static _Atomic(struct watchdog *) active;

/* Runs on the engine thread, between any two machine instructions of it. lua_sethook is made to be
 * called from a signal handler; a serial that has passed is ignored. A signal that interrupts a
 * lua_sethook of the engine leaves the hook half set: the next one sets it right. */
static void on_signal(int signal)
{
    (void)signal;
    struct watchdog *watchdog = atomic_load_explicit(&active, memory_order_acquire);
    if (!watchdog || !beat_overdue(&watchdog->beat))
        return;
    lua_State *L = atomic_load_explicit(&watchdog->beat.running, memory_order_relaxed);
    if (L)
        budget_arm(L);
}

static size_t add_quoted(char *out, size_t size, const char *key, const char *value)
{
    size_t length = (size_t)snprintf(out, size, "\"%s\":\"", key);
    for (; *value && length + 8 < size; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\')
            out[length++] = '\\';
        out[length++] = c < 0x20 ? ' ' : (char)c;
    }
    return length + (size_t)snprintf(out + length, size - length, "\",");
}

/* No lock, no allocation: the engine thread may hold any lock there is. */
static void write_quarantine(struct watchdog *watchdog)
{
    static const struct watchdog_subject nobody;
    const struct watchdog_subject *is = atomic_load(&watchdog->subject);
    if (!is)
        is = &nobody;
    char line[1024] = "{";
    size_t length = 1;
    length += add_quoted(line + length, 200, "source_hash", is->source_hash);
    length += add_quoted(line + length, 200, "strategy", is->strategy);
    length += add_quoted(line + length, 200, "symbol", is->symbol);
    length += (size_t)snprintf(line + length, sizeof line - length,
                               "\"instance_id\":%" PRIu32 ",\"event\":%" PRIu64 "}\n",
                               is->instance_id, atomic_load(&watchdog->event));
    size_t written = 0;
    while (written < length) {
        ssize_t n = write(watchdog->quarantine_fd, line + written, length - written);
        if (n > 0)
            written += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    fdatasync(watchdog->quarantine_fd);
}

NORETURN static void end_process(struct watchdog *watchdog)
{
    static const char message[] = "runtime: a strategy hung inside one call and was stopped with "
                                  "the process (70); it is quarantined\n";
    if (watchdog->quarantine_fd >= 0)
        write_quarantine(watchdog);
    ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
    (void)ignored;
    _exit(70);
}

/* False when the watchdog is to end. */
static bool nap(struct watchdog *watchdog, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t at = (int64_t)until.tv_sec * NS_PER_SECOND + until.tv_nsec + ns;
    until.tv_sec = (time_t)(at / NS_PER_SECOND);
    until.tv_nsec = (long)(at % NS_PER_SECOND);

    pthread_mutex_lock(&watchdog->lock);
    int code = 0;
    while (!watchdog->quit && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &until);
    bool quit = watchdog->quit;
    pthread_mutex_unlock(&watchdog->lock);
    return !quit;
}

static void *watch(void *self)
{
    struct watchdog *watchdog = self;
    uint64_t seen = 0; /* the serial under watch */
    int64_t busy = 0;  /* for how long it runs */
    int64_t last = clock_now(clock_monotonic());

    while (nap(watchdog, watchdog->nap_ns)) {
        int64_t now = clock_now(clock_monotonic());
        int64_t passed = now - last;
        last = now;
        atomic_store_explicit(&watchdog->beat.clock_ns, now, memory_order_relaxed);

        uint64_t serial = atomic_load(&watchdog->beat.serial);
        if (serial != seen || serial % 2 == 0) {
            seen = serial;
            busy = 0;
            continue;
        }
        busy += passed < 4 * watchdog->nap_ns ? passed : 4 * watchdog->nap_ns;
        int64_t hard = atomic_load(&watchdog->beat.loading) ? watchdog->load_ns : watchdog->hard_ns;
        if (busy <= hard)
            continue;
        atomic_store(&watchdog->beat.overdue, serial);
        if (busy / watchdog->kill_factor > hard && atomic_load(&watchdog->beat.serial) == serial)
            end_process(watchdog);
        pthread_kill(watchdog->engine, SIGRTMIN);
    }
    return NULL;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int start(struct watchdog *watchdog, struct error *err)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigset_t all, before;
    sigfillset(&all);
    if (sigaction(SIGRTMIN, &action, &watchdog->before) != 0)
        return error_set(err, ERROR_INTERNAL, "watchdog: cannot set its signal: %s",
                         strerror(errno));

    /* Signals of the process are the engine thread's. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&watchdog->thread, NULL, watch, watchdog);
    sigdelset(&before, SIGRTMIN);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        sigaction(SIGRTMIN, &watchdog->before, NULL);
        return error_set(err, ERROR_INTERNAL, "watchdog: cannot start its thread: %s",
                         strerror(code));
    }
    return 0;
}

int watchdog_open(const struct watchdog_options *options, struct watchdog **out, struct error *err)
{
    *out = NULL;
    struct watchdog *watchdog = memory_new(sizeof *watchdog);
    watchdog->hard_ns = options->hard_ns * SLOWNESS;
    watchdog->load_ns = watchdog->hard_ns;
    if (watchdog->load_ns < LOAD_MAX_NS)
        watchdog->load_ns = clamp(watchdog->hard_ns * LOAD_FACTOR, 0, LOAD_MAX_NS);
    watchdog->nap_ns = clamp(watchdog->hard_ns / 50, NAP_MIN_NS, NAP_MAX_NS);
    watchdog->kill_factor = options->kill_factor ? options->kill_factor : 5;
    watchdog->quarantine_fd = options->quarantine_fd;
    watchdog->engine = pthread_self();
    watchdog->beat.clock_ns = clock_now(clock_monotonic());

    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&watchdog->lock, NULL);

    struct watchdog *none = NULL;
    int code = 0;
    if (!atomic_compare_exchange_strong(&active, &none, watchdog))
        code = error_set(err, ERROR_INTERNAL, "watchdog: this process has one already");
    else if ((code = start(watchdog, err)) < 0)
        atomic_store(&active, NULL);
    if (code < 0) {
        pthread_cond_destroy(&watchdog->wake);
        pthread_mutex_destroy(&watchdog->lock);
        free(watchdog);
        return code;
    }
    *out = watchdog;
    return 0;
}

void watchdog_close(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->quit = true;
    pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);

    /* A signal still on its way finds no watchdog, and then no handler but the old one: it is
     * taken here, while the handler is ours. */
    atomic_store(&active, NULL);
    struct timespec none = { 0 };
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &ours, &before);
    while (sigtimedwait(&ours, NULL, &none) == SIGRTMIN)
        ;
    sigaction(SIGRTMIN, &watchdog->before, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    pthread_cond_destroy(&watchdog->wake);
    pthread_mutex_destroy(&watchdog->lock);
    free(watchdog);
}

void watchdog_describe(struct watchdog *watchdog, const struct watchdog_subject *subject)
{
    atomic_store_explicit(&watchdog->subject, subject, memory_order_release);
}

void watchdog_set_event(struct watchdog *watchdog, uint64_t event)
{
    atomic_store_explicit(&watchdog->event, event, memory_order_relaxed);
}

struct beat *watchdog_beat(struct watchdog *watchdog)
{
    return &watchdog->beat;
}
