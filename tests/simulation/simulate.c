/* simulate.c - the deterministic simulator: many small worlds, each from one number.
 *
 *   build/simulate --seed N [--trace] [--twice]      one seed
 *   build/simulate --seeds FROM-TO [--jobs J]        many, J at a time
 *   build/simulate --crash-points N [--crash K]      one seed, ended at each point of its run
 *     --seconds S      simulated seconds with faults; 350 more follow for healing and rest
 *     --faults LIST    all (as the seed draws them), none, or names: these are on in each seed
 *                      Crash points: 60 seconds, and no other fault unless named.
 *     --reach          prints which fault met which order status; a declared pair not met fails
 *
 * Prints a line for each seed that fails, which reproduces it, and a summary. Exit 1: some failed,
 * or ran twice and differed. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "tests/simulation/crash.h"
#include "tests/simulation/world.h"

#define SECONDS_DEFAULT 600
#define CRASH_SECONDS_DEFAULT 60
#define JOBS_MAX 64

struct arguments {
    uint64_t from, to;
    unsigned jobs;
    bool twice, reach, crash;
    uint64_t only_crash; /* 0: all */
    struct world_options world;
    char faults[256];
};

static int usage(const char *why)
{
    fprintf(
        stderr,
        "simulate: %s\n"
        "usage: simulate [--seed N | --seeds FROM-TO] [--seconds S] [--faults LIST] [--jobs J]\n"
        "                [--trace] [--twice] [--reach]\n"
        "       simulate --crash-points N [--crash K] [--seconds S] [--faults LIST] [--jobs J] "
        "[--trace]\n",
        why);
    return 64;
}

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool parse_range(const char *text, struct arguments *arguments)
{
    char *end;
    arguments->from = strtoull(text, &end, 10);
    return *end == '-' && parse_number(end + 1, &arguments->to) && arguments->from <= arguments->to;
}

static bool parse_value(struct arguments *arguments, const char *name, const char *value)
{
    uint64_t number = 0;
    struct error err = { 0 };
    if (strcmp(name, "--seeds") == 0)
        return parse_range(value, arguments);
    if (strcmp(name, "--faults") == 0) {
        snprintf(arguments->faults, sizeof(arguments->faults), "%s", value);
        arguments->world.always = strcmp(value, "all") != 0;
        bool known = fault_mask(value, arguments->world.allowed, &err) == 0;
        if (!known)
            fprintf(stderr, "simulate: %s\n", err.message);
        return known;
    }
    if (!parse_number(value, &number))
        return false;
    if (strcmp(name, "--crash-points") == 0)
        arguments->crash = true;
    if (strcmp(name, "--seed") == 0 || strcmp(name, "--crash-points") == 0)
        arguments->from = arguments->to = number;
    else if (strcmp(name, "--crash") == 0 && number > 0)
        arguments->only_crash = number;
    else if (strcmp(name, "--seconds") == 0)
        arguments->world.seconds = (int64_t)number;
    else if (strcmp(name, "--jobs") == 0 && number >= 1 && number <= JOBS_MAX)
        arguments->jobs = (unsigned)number;
    else
        return false;
    return true;
}

static int parse(int argc, char **argv, struct arguments *arguments)
{
    *arguments = (struct arguments){ .from = 1, .to = 1, .jobs = 1 };
    arguments->world.seconds = -1;
    for (int i = 0; i < FAULTS; i++)
        arguments->world.allowed[i] = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            arguments->world.trace = true;
        else if (strcmp(argv[i], "--twice") == 0)
            arguments->twice = arguments->world.digest = true;
        else if (strcmp(argv[i], "--reach") == 0)
            arguments->reach = true;
        else if (i + 1 >= argc || !parse_value(arguments, argv[i], argv[i + 1]))
            return usage(argv[i]);
        else
            i++;
    }
    if (arguments->world.seconds < 0)
        arguments->world.seconds = arguments->crash ? CRASH_SECONDS_DEFAULT : SECONDS_DEFAULT;
    if (arguments->crash && !arguments->faults[0])
        memset(arguments->world.allowed, 0, sizeof(arguments->world.allowed));
    return 0;
}

/* ---- workers ---- */

/* Where a worker keeps its configuration and strategy files. */
static void make_folder(char folder[64])
{
    strcpy(folder, "/dev/shm/simulate.XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/simulate.XXXXXX");
        if (!mkdtemp(folder)) {
            perror("simulate: mkdtemp");
            exit(74);
        }
    }
}

static void remove_folder(const char *folder)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "simulate: could not remove %s\n", folder);
}

struct outcome {
    uint64_t seed;
    struct world_result result;
};

static void run_seed(const struct arguments *arguments, uint64_t seed, struct outcome *outcome)
{
    outcome->seed = seed;
    world_run(seed, &arguments->world, &outcome->result);
    if (!arguments->twice)
        return;
    struct world_result *again = memory_new(sizeof(*again));
    world_run(seed, &arguments->world, again);
    if (!outcome->result.failed && strcmp(outcome->result.digest, again->digest) != 0) {
        outcome->result.failed = true;
        snprintf(outcome->result.failure, sizeof(outcome->result.failure),
                 "determinism: two runs gave %.12s and %.12s", outcome->result.digest,
                 again->digest);
    }
    free(again);
}

static bool write_all(int fd, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = write(fd, at, length);
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static bool read_all(int fd, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t n = read(fd, at, length);
        if (n <= 0)
            return false;
        at += n;
        length -= (size_t)n;
    }
    return true;
}

static void work(const struct arguments *given, unsigned index, int fd)
{
    struct arguments arguments = *given;
    char folder[64];
    struct outcome *outcome = memory_new(sizeof(*outcome));
    make_folder(folder);
    arguments.world.folder = folder;
    for (uint64_t seed = arguments.from + index; seed <= arguments.to; seed += arguments.jobs) {
        struct outcome began = { .seed = seed };
        if (arguments.jobs > 1 && !write_all(fd, &began.seed, sizeof(began.seed)))
            break;
        run_seed(&arguments, seed, outcome);
        if (!write_all(fd, outcome, sizeof(*outcome)))
            break;
    }
    free(outcome);
    remove_folder(folder);
}

/* ---- the sum ---- */

struct sum {
    uint64_t seeds, failed, events, orders, trades, transitions, restarts, reloads;
    uint64_t faults[FAULTS];
    double simulated_hours;
    struct reach reach;
    int64_t began_ns;
};

static void print_failure(const struct arguments *arguments, const struct outcome *outcome)
{
    char more[320] = "";
    if (arguments->faults[0])
        snprintf(more, sizeof(more), " --faults %s", arguments->faults);
    if (arguments->world.seconds != SECONDS_DEFAULT)
        snprintf(more + strlen(more), 40, " --seconds %" PRId64, arguments->world.seconds);
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    printf("seed %" PRIu64 ": %s ; build/simulate --seed %" PRIu64 "%s --trace\n", outcome->seed,
           outcome->result.failure, outcome->seed, more);
    fflush(stdout);
}

static void add(struct sum *sum, const struct arguments *arguments, const struct outcome *outcome)
{
    const struct world_result *result = &outcome->result;
    sum->seeds++;
    sum->failed += result->failed;
    sum->events += result->events;
    sum->orders += result->orders;
    sum->trades += result->trades;
    sum->transitions += result->transitions;
    sum->restarts += result->restarts;
    sum->reloads += result->reloads;
    sum->simulated_hours += (double)result->simulated_ns / 3.6e12;
    for (int i = 0; i < FAULTS; i++)
        sum->faults[i] += result->faults[i];
    reach_add(&sum->reach, &result->reach);
    if (result->failed)
        print_failure(arguments, outcome);
    if (isatty(STDERR_FILENO) && !arguments->world.trace)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed\033[K", sum->seeds,
                arguments->to - arguments->from + 1, sum->failed);
}

static void print_sum(const struct sum *sum)
{
    double seconds = (double)(clock_now(clock_monotonic()) - sum->began_ns) / 1e9;
    double hours = sum->simulated_hours;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    printf("faults:");
    for (int i = 0; i < FAULTS; i++)
        if (sum->faults[i])
            printf(" %s %" PRIu64, fault_name((enum fault)i), sum->faults[i]);
    printf("\n%" PRIu64 " seeds, %.1f simulated hours in %.1f s (%.0f times real time, %.0f ms an "
           "hour), %" PRIu64 " events, %" PRIu64 " orders, %" PRIu64 " trades, %" PRIu64
           " restarts, %" PRIu64 " reloads, %.0f order transitions a second, %" PRIu64 " failed\n",
           sum->seeds, hours, seconds, hours * 3600 / seconds, seconds * 1000 / hours, sum->events,
           sum->orders, sum->trades, sum->restarts, sum->reloads,
           (double)sum->transitions / seconds, sum->failed);
}

/* A worker that ends without a word takes the seed it was in with it. */
static void collect(struct sum *sum, const struct arguments *arguments, const int *fds)
{
    struct outcome *outcome = memory_new(sizeof(*outcome));
    bool open[JOBS_MAX];
    unsigned left = arguments->jobs;
    for (unsigned i = 0; i < arguments->jobs; i++)
        open[i] = true;
    while (left > 0) {
        for (unsigned i = 0; i < arguments->jobs; i++) {
            uint64_t seed;
            if (!open[i])
                continue;
            if (!read_all(fds[i], &seed, sizeof(seed))) {
                open[i] = false;
                left--;
                continue;
            }
            memset(outcome, 0, sizeof(*outcome));
            outcome->seed = seed;
            if (!read_all(fds[i], outcome, sizeof(*outcome))) {
                outcome->seed = seed;
                outcome->result.failed = true;
                snprintf(outcome->result.failure, sizeof(outcome->result.failure),
                         "the process ended (an assertion?)");
            }
            add(sum, arguments, outcome);
        }
    }
    free(outcome);
}

static void run_jobs(struct sum *sum, const struct arguments *arguments)
{
    int fds[JOBS_MAX];
    for (unsigned i = 0; i < arguments->jobs; i++) {
        int ends[2];
        if (pipe(ends) < 0) {
            perror("simulate: pipe");
            exit(74);
        }
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            close(ends[0]);
            work(arguments, i, ends[1]);
            _exit(0);
        }
        close(ends[1]);
        fds[i] = ends[0];
    }
    collect(sum, arguments, fds);
    while (wait(NULL) > 0)
        continue;
}

/* In this process: for a debugger, and for traces. */
static void run_here(struct sum *sum, struct arguments *arguments)
{
    char folder[64];
    struct outcome *outcome = memory_new(sizeof(*outcome));
    make_folder(folder);
    arguments->world.folder = folder;
    for (uint64_t seed = arguments->from; seed <= arguments->to; seed++) {
        run_seed(arguments, seed, outcome);
        add(sum, arguments, outcome);
    }
    free(outcome);
    remove_folder(folder);
}

static int crash_everywhere(struct arguments *arguments)
{
    char folder[64];
    struct crash_options options = { .world = &arguments->world,
                                     .faults = arguments->faults,
                                     .jobs = arguments->jobs,
                                     .only = arguments->only_crash };
    make_folder(folder);
    arguments->world.folder = folder;
    uint64_t failed = crash_points(arguments->from, &options);
    remove_folder(folder);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    int code = parse(argc, argv, &arguments);
    if (code)
        return code;
    clearenv(); /* nothing but the seed decides */
    /* Each world takes and gives back the same memory: the kernel need not hear of it. */
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    mallopt(M_MMAP_THRESHOLD, 512 << 20);
    if (arguments.crash)
        return crash_everywhere(&arguments);
    struct sum *sum = memory_new(sizeof(*sum));
    sum->began_ns = clock_now(clock_monotonic());
    if (arguments.jobs > 1)
        run_jobs(sum, &arguments);
    else
        run_here(sum, &arguments);
    print_sum(sum);
    size_t missing = arguments.reach ? reach_print(&sum->reach, stdout) : 0;
    code = sum->failed || missing ? 1 : 0;
    free(sum);
    return code;
}
