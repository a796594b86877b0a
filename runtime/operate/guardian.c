/* guardian.c - see guardian.h.
 *
 * One poll over two descriptors: a signalfd (SIGCHLD too) and the read end of the heartbeat pipe.
 * No handler, no global. A beat that waits in the pipe is read before silence is judged, so that a
 * guardian that was itself stopped for a while blames nobody. */
#include "runtime/operate/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/operate/latch.h"
#include "runtime/operate/sentinel.h"

#define LOOK_NS (100 * NS_PER_MS) /* between two looks for the file */

struct guardian {
    const struct guardian_options *options;
    int signals; /* signalfd */
    sigset_t mask_before;
    struct sigaction pipe_before, child_before;
    int64_t failures[GUARDIAN_FAILURES_MAX]; /* when the newest ones were, oldest first */
    unsigned failure_count;
    unsigned restarts;
    unsigned stops;             /* SIGINT and SIGTERM seen */
    bool emergency;             /* SIGUSR2 or the file seen */
    int64_t emergency_since_ns; /* monotonic */
    bool watches_file;          /* it was not there at the start: that is the child's to refuse */
    bool canceling;             /* the child is cancel_entries */
    bool was_killed;            /* by us: it was silent, or took too long */

    pid_t child; /* 0: none */
    int beats;   /* read end, -1: none */
    bool has_beaten;
    int64_t started_ns, heard_ns; /* monotonic */
    int status;                   /* of the child that ended */
};

static int64_t now(void)
{
    return clock_now(clock_monotonic());
}

bool guardian_is_final(int exit_code)
{
    static const int final[] = {
        0,         -ERROR_USAGE,  -ERROR_DATA,       -ERROR_NO_INPUT, -ERROR_UNAVAILABLE,
        -ERROR_IO, -ERROR_HALTED, -ERROR_PERMISSION, -ERROR_CONFIG,   130
    };
    for (size_t i = 0; i < ARRAY_SIZE(final); i++)
        if (final[i] == exit_code)
            return true;
    return false;
}

void guardian_beat(int heartbeat_fd)
{
    /* A full pipe holds beats enough. */
    ssize_t ignored = heartbeat_fd >= 0 ? write(heartbeat_fd, "", 1) : 0;
    (void)ignored;
}

/* ---- signals ---- */

static sigset_t forwarded(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    return set;
}

static int signals_open(struct guardian *guardian, struct error *err)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, plain = { .sa_handler = SIG_DFL };
    sigset_t set = forwarded();
    sigaddset(&set, SIGCHLD);
    guardian->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (guardian->signals < 0)
        return error_set(err, ERROR_INTERNAL, "guardian: cannot watch signals: %s",
                         strerror(errno));
    sigprocmask(SIG_BLOCK, &set, &guardian->mask_before);
    sigaction(SIGPIPE, &ignore, &guardian->pipe_before);
    sigaction(SIGCHLD, &plain, &guardian->child_before); /* ignored ones leave no status */
    return 0;
}

static void signals_close(struct guardian *guardian)
{
    close(guardian->signals);
    sigaction(SIGPIPE, &guardian->pipe_before, NULL);
    sigaction(SIGCHLD, &guardian->child_before, NULL);
    sigprocmask(SIG_SETMASK, &guardian->mask_before, NULL);
}

/* ---- emergency ---- */

static bool file_exists(const struct guardian *guardian)
{
    char path[1100];
    struct stat status;
    if (!guardian->options->state_dir)
        return false;
    snprintf(path, sizeof(path), "%.1000s/" EMERGENCY_FILE, guardian->options->state_dir);
    return stat(path, &status) == 0;
}

static void set_latch(const struct guardian *guardian, const char *how)
{
    const struct guardian_options *options = guardian->options;
    struct latch_record record = { .set = true,
                                   .emergency = true,
                                   .since_ns = clock_now(clock_wall()) };
    struct error err = { 0 };
    int fd;
    if (!options->state_dir)
        return;
    snprintf(record.code, sizeof(record.code), "emergency_stop");
    snprintf(record.reason, sizeof(record.reason), "emergency stop: %s", how);
    int code = latch_open(options->state_dir, options->mode, &fd, &err);
    if (code == 0)
        code = latch_set(fd, &record);
    if (code < 0)
        LOG(options->log, LOG_ERROR, "guardian", "the latch cannot be set",
            F_STR("reason", err.message));
    if (fd >= 0)
        close(fd);
}

/* The latch first: whatever becomes of the child, what starts next begins halted. One that cancels
 * entries alone is ended: it is begun again, for all orders. */
static void begin_emergency(struct guardian *guardian, const char *how)
{
    bool is_news = !guardian->emergency;
    if (is_news) {
        guardian->emergency = true;
        guardian->emergency_since_ns = now();
        set_latch(guardian, how);
    }
    if (guardian->child && (is_news || !guardian->canceling))
        kill(guardian->child, guardian->canceling ? SIGKILL : SIGUSR2);
}

/* A child that cancels is bounded by itself and is not asked to stop; who asks twice means it. */
static void pass_on(struct guardian *guardian, int number)
{
    if (number == SIGUSR2) {
        begin_emergency(guardian, "SIGUSR2");
        return;
    }
    guardian->stops++;
    if (!guardian->child)
        return;
    if (!guardian->canceling)
        kill(guardian->child, number);
    else if (guardian->stops >= 2)
        kill(guardian->child, SIGKILL);
}

static void read_signals(struct guardian *guardian)
{
    struct signalfd_siginfo info;
    while (read(guardian->signals, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            pass_on(guardian, (int)info.ssi_signo);
}

/* ---- the child ---- */

NORETURN static void be_the_child(struct guardian *guardian, pid_t parent, int heartbeat_fd)
{
    const struct guardian_options *options = guardian->options;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before we asked */
        _exit(-ERROR_INTERNAL);
    setpgid(0, 0);
    sigaction(SIGTTOU, &ignore, NULL); /* a group of its own may still write to the terminal */
    signals_close(guardian);
    sigset_t held = forwarded();
    sigprocmask(SIG_BLOCK, &held, NULL);
    int code = guardian->canceling
                   ? options->cancel_entries(options->self, heartbeat_fd, guardian->emergency)
                   : options->trade(options->self, heartbeat_fd, guardian->restarts);
    /* A result that did not reach its reader is no result. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0)
        code = -ERROR_IO;
    fflush(stderr);
    _exit(code);
}

/* False: there is no process to be had now, which counts as a failure. */
static bool start_child(struct guardian *guardian)
{
    int ends[2];
    pid_t parent = getpid();
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return false;
    guardian->child = fork();
    if (guardian->child < 0) {
        guardian->child = 0;
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    if (guardian->child == 0) {
        close(ends[0]);
        be_the_child(guardian, parent, ends[1]);
    }
    setpgid(guardian->child, guardian->child); /* both do it: whoever comes first */
    close(ends[1]);
    guardian->beats = ends[0];
    guardian->has_beaten = guardian->was_killed = false;
    guardian->started_ns = guardian->heard_ns = now();
    return true;
}

static void read_beats(struct guardian *guardian)
{
    char bytes[4096];
    ssize_t count;
    while ((count = read(guardian->beats, bytes, sizeof(bytes))) > 0) {
        guardian->has_beaten = true;
        guardian->heard_ns = now();
    }
    if (count == 0) { /* nobody holds the other end: SIGCHLD follows */
        close(guardian->beats);
        guardian->beats = -1;
    }
}

/* Until when the child may be silent. */
static int64_t deadline(const struct guardian *guardian)
{
    const struct guardian_options *options = guardian->options;
    if (guardian->was_killed)
        return TIME_NEVER;
    int64_t silence =
        guardian->heard_ns + (guardian->has_beaten ? options->hang_ns : options->start_ns);
    int64_t end = guardian->canceling   ? guardian->started_ns + options->cancel_ns
                  : guardian->emergency ? guardian->emergency_since_ns + options->emergency_ns
                                        : TIME_NEVER;
    return end < silence ? end : silence;
}

/* Until a signal, a beat or the instant. */
static void wait_until(struct guardian *guardian, int64_t until_ns)
{
    struct pollfd watched[] = { { .fd = guardian->signals, .events = POLLIN },
                                { .fd = guardian->beats, .events = POLLIN } };
    bool is_watching = guardian->watches_file && !guardian->emergency;
    if (is_watching && until_ns - now() > LOOK_NS) /* for the file */
        until_ns = now() + LOOK_NS;
    int64_t left_ns = until_ns == TIME_NEVER ? 0 : until_ns - now();
    if (left_ns < 0)
        left_ns = 0;
    struct timespec timeout = { .tv_sec = (time_t)(left_ns / NS_PER_SECOND),
                                .tv_nsec = (long)(left_ns % NS_PER_SECOND) };
    ppoll(watched, ARRAY_SIZE(watched), until_ns == TIME_NEVER ? NULL : &timeout, NULL);
    read_signals(guardian);
    if (is_watching && file_exists(guardian))
        begin_emergency(guardian, "the file " EMERGENCY_FILE);
    if (guardian->beats >= 0)
        read_beats(guardian);
}

static void watch_child(struct guardian *guardian)
{
    while (waitpid(guardian->child, &guardian->status, WNOHANG) == 0) {
        wait_until(guardian, deadline(guardian));
        if (now() >= deadline(guardian)) {
            LOG(guardian->options->log, LOG_ERROR, "guardian", "the trading process hangs: killed",
                F_INT("pid", guardian->child));
            guardian->was_killed = true;
            kill(guardian->child, SIGKILL);
        }
    }
    guardian->child = 0;
    if (guardian->beats >= 0)
        close(guardian->beats);
    guardian->beats = -1;
}

/* Its exit code, or -1 when it did not end by itself. */
static int run_child(struct guardian *guardian)
{
    guardian->status = 0;
    if (!start_child(guardian)) {
        LOG(guardian->options->log, LOG_ERROR, "guardian", "cannot start a process",
            F_STR("reason", strerror(errno)));
        return -1;
    }
    watch_child(guardian);
    return WIFEXITED(guardian->status) && !guardian->was_killed ? WEXITSTATUS(guardian->status)
                                                                : -1;
}

/* ---- what a death leads to ---- */

/* Remembers it; how many there were within the window, this one included. */
static unsigned note_failure(struct guardian *guardian)
{
    int64_t at = now();
    unsigned kept = 0;
    for (unsigned i = 0; i < guardian->failure_count; i++)
        if (at - guardian->failures[i] <= guardian->options->window_ns)
            guardian->failures[kept++] = guardian->failures[i];
    if (kept == GUARDIAN_FAILURES_MAX)
        memmove(guardian->failures, guardian->failures + 1, --kept * sizeof(int64_t));
    guardian->failures[kept++] = at;
    guardian->failure_count = kept;
    return kept;
}

/* False when somebody asked to stop meanwhile. */
static bool pause_before_restart(struct guardian *guardian, unsigned failures)
{
    int64_t pause_ns = guardian->options->backoff_ns;
    for (unsigned i = 1; i < failures && pause_ns < guardian->options->backoff_max_ns; i++)
        pause_ns *= 2;
    if (pause_ns > guardian->options->backoff_max_ns)
        pause_ns = guardian->options->backoff_max_ns;
    int64_t until_ns = now() + pause_ns;
    read_signals(guardian);
    while (guardian->stops == 0 && !guardian->emergency && now() < until_ns)
        wait_until(guardian, until_ns);
    return guardian->stops == 0 && !guardian->emergency;
}

static void tell_failure(const struct guardian *guardian, int code, unsigned failures)
{
    char how[64];
    if (guardian->was_killed)
        snprintf(how, sizeof(how), "it was silent");
    else if (code >= 0)
        snprintf(how, sizeof(how), "it ended with %d", code);
    else
        snprintf(how, sizeof(how), "signal %d", WTERMSIG(guardian->status));
    LOG(guardian->options->log, LOG_ERROR, "guardian", "the trading process failed",
        F_STR("how", how), F_INT("failures", failures),
        F_INT("allowed", (int64_t)guardian->options->failures_max - 1));
}

/* True: *code is final. False: trading is over, and what it left is to be handled. */
static bool keep_trading(struct guardian *guardian, int *code)
{
    for (;; guardian->restarts++) {
        *code = run_child(guardian);
        if (*code >= 0 && guardian_is_final(*code) &&
            (!guardian->emergency || (*code == -ERROR_HALTED && guardian->has_beaten)))
            return true;         /* 75 of one that never traded is a refusal to begin */
        if (guardian->emergency) /* it was ended, or ended without doing it */
            return false;
        unsigned failures = note_failure(guardian);
        tell_failure(guardian, *code, failures);
        if (failures >= guardian->options->failures_max ||
            !pause_before_restart(guardian, failures))
            return false;
        LOG(guardian->options->log, LOG_WARN, "guardian", "trading starts again",
            F_INT("restarts", (int64_t)guardian->restarts + 1));
    }
}

static int handle_what_is_left(struct guardian *guardian, struct error *err)
{
    const struct guardian_options *options = guardian->options;
    log_line(options->log, LOG_ERROR, "guardian",
             guardian->emergency ? "trading is over: all orders are canceled now"
                                 : "trading is over: the entries are canceled now, exits stay");
    bool was_emergency;
    int code;
    guardian->canceling = true;
    guardian->stops = 0;
    do {
        was_emergency = guardian->emergency;
        code = run_child(guardian);
    } while (guardian->emergency && !was_emergency);
    if (code == 0)
        return guardian->emergency
                   ? error_set(err, ERROR_HALTED, "emergency stop: all orders are canceled")
                   : error_set(err, ERROR_INTERNAL,
                               "the trading process failed and is not started again; the entries "
                               "are canceled, exits stay");
    options->tell_remaining(options->self);
    return error_set(err, ERROR_HALTED,
                     "the trading process failed, and its orders could not be canceled: look at "
                     "the venue");
}

int guardian_run(const struct guardian_options *options, struct error *err)
{
    struct guardian guardian = { .options = options, .beats = -1 };
    guardian.watches_file = options->state_dir && !file_exists(&guardian);
    ASSERT(options->failures_max > 0 && options->failures_max <= GUARDIAN_FAILURES_MAX);
    int code = signals_open(&guardian, err);
    if (code < 0)
        return code;
    if (!keep_trading(&guardian, &code))
        code = handle_what_is_left(&guardian, err);
    signals_close(&guardian);
    return code;
}
