/* sentinel.c - see sentinel.h. */
#include "runtime/operate/sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/operate/latch.h"

#define NAP_NS (50 * NS_PER_MS)

enum phase { PHASE_CALM, PHASE_BEGUN, PHASE_DONE };

struct sentinel {
    struct sentinel_options options;
    int directory;
    pthread_t thread;
    _Atomic(const char *) heard;
    _Atomic enum phase phase;
    _Atomic bool quit;
};

const char *sentinel_heard(const struct sentinel *sentinel)
{
    return sentinel ? atomic_load_explicit(&sentinel->heard, memory_order_acquire) : NULL;
}

void sentinel_ask(struct sentinel *sentinel, const char *how)
{
    const char *nothing = NULL; /* the first one says it */
    if (sentinel)
        atomic_compare_exchange_strong(&sentinel->heard, &nothing, how);
}

void sentinel_begun(struct sentinel *sentinel)
{
    if (sentinel)
        atomic_store(&sentinel->phase, PHASE_BEGUN);
}

void sentinel_done(struct sentinel *sentinel)
{
    if (sentinel)
        atomic_store(&sentinel->phase, PHASE_DONE);
}

static sigset_t only_the_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return set;
}

/* ---- the thread ---- */

static void tell_guardian(const struct sentinel *sentinel, int64_t sender)
{
    pid_t guardian = (pid_t)sentinel->options.guardian_pid;
    if (guardian > 0 && sender != guardian)
        kill(guardian, SIGUSR2);
}

/* One nap, which the signal ends early. */
static void listen_once(struct sentinel *sentinel)
{
    sigset_t set = only_the_signal();
    struct timespec nap = { .tv_nsec = NAP_NS };
    struct stat status;
    siginfo_t info;
    int number = sigtimedwait(&set, &info, &nap);
    if (atomic_load(&sentinel->quit)) /* it was the call to end */
        return;
    if (number == SIGUSR2) {
        bool is_news = !sentinel_heard(sentinel);
        sentinel_ask(sentinel, "SIGUSR2");
        if (is_news)
            tell_guardian(sentinel, info.si_code == SI_USER ? info.si_pid : 0);
    }
    if (!sentinel_heard(sentinel) &&
        fstatat(sentinel->directory, EMERGENCY_FILE, &status, AT_SYMLINK_NOFOLLOW) == 0)
        sentinel_ask(sentinel, "the file " EMERGENCY_FILE); /* the guardian looks for it too */
}

static void set_latch(const struct sentinel *sentinel)
{
    static const char reason[] = "emergency stop; the run hung and was ended: ";
    struct latch_record record = { .set = true, .emergency = true };
    const char *how = sentinel_heard(sentinel);
    size_t length = sizeof(reason) - 1;
    if (sentinel->options.latch_fd < 0)
        return;
    record.since_ns = clock_now(sentinel->options.wall);
    memcpy(record.code, "emergency_stop", sizeof("emergency_stop"));
    memcpy(record.reason, reason, length);
    while (*how && length < sizeof(record.reason) - 1)
        record.reason[length++] = *how++;
    (void)latch_set(sentinel->options.latch_fd,
                    &record); /* the process ends whatever became of it */
}

/* The new program begins with SIGUSR2 blocked, as this one did: one more of them, from somebody who
 * is in a hurry, must not end it. */
NORETURN static void end_process(const struct sentinel *sentinel)
{
    static const char message[] =
        "runtime: the run hangs and cannot stop by itself: it is ended, and what it left is "
        "canceled\n";
    sigset_t set = only_the_signal();
    ssize_t ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
    (void)ignored;
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    if (sentinel->options.argv)
        execv("/proc/self/exe", sentinel->options.argv);
    _exit(-ERROR_HALTED);
}

static int64_t allowed_ns(const struct sentinel *sentinel)
{
    switch (atomic_load(&sentinel->phase)) {
    case PHASE_CALM:
        return sentinel->options.patience_ns;
    case PHASE_BEGUN:
        return sentinel->options.stop_ns;
    case PHASE_DONE:
        break;
    }
    return TIME_NEVER;
}

static void *watch(void *self)
{
    struct sentinel *sentinel = self;
    enum phase seen = PHASE_CALM;
    int64_t waited_ns = 0, last_ns = clock_now(clock_monotonic());
    bool is_told = false;
    while (!atomic_load(&sentinel->quit)) {
        listen_once(sentinel);
        int64_t now_ns = clock_now(clock_monotonic());
        int64_t passed_ns = now_ns - last_ns;
        last_ns = now_ns;
        if (!sentinel_heard(sentinel))
            continue;
        enum phase phase = atomic_load(&sentinel->phase);
        waited_ns = phase == seen ? waited_ns : 0;
        seen = phase;
        waited_ns += passed_ns < 4 * NAP_NS ? passed_ns : 4 * NAP_NS;
        if (waited_ns < allowed_ns(sentinel) || is_told)
            continue;
        set_latch(sentinel);
        is_told = true;
        if (sentinel->options.guardian_pid == 0) /* a guardian kills, and cancels then */
            end_process(sentinel);
    }
    return NULL;
}

/* ---- its life ---- */

int sentinel_open(const struct sentinel_options *options, struct sentinel **out, struct error *err)
{
    struct sentinel *sentinel = memory_new(sizeof(*sentinel));
    sigset_t all, before;
    *out = NULL;
    sentinel->options = *options;
    sentinel->directory = open(options->state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (sentinel->directory < 0) {
        free(sentinel);
        return error_at(err, ERROR_IO, options->state_dir, "cannot open: %s", strerror(errno));
    }
    sigfillset(&all); /* signals of the process are the engine's thread's, but for the one */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&sentinel->thread, NULL, watch, sentinel);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        close(sentinel->directory);
        free(sentinel);
        return error_set(err, ERROR_INTERNAL, "cannot start the thread that hears emergencies: %s",
                         strerror(code));
    }
    *out = sentinel;
    return 0;
}

void sentinel_close(struct sentinel *sentinel)
{
    if (!sentinel)
        return;
    atomic_store(&sentinel->quit, true);
    pthread_kill(sentinel->thread, SIGUSR2); /* out of its nap */
    pthread_join(sentinel->thread, NULL);
    close(sentinel->directory);
    free(sentinel);
}
