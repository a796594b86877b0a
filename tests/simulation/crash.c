/* crash.c - see crash.h.
 *
 * A crash is a point and how it ends there. A disk point: killed before it; a write: killed in the
 * midst of it (after it is before the next point); where power cuts are promised to lose nothing,
 * the power cut as well. A send: killed before it left, and after. fork() is the copy of the world:
 * disk, venue, all that travels between, and the model. */
#include "tests/simulation/crash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"

#define CHILD_SECONDS 60 /* of wall time: then it hangs */
#define CRASHES_PER_POINT 3
#define JOBS_MAX 64

struct run {
    const struct crash_options *options;
    uint64_t seed;
    uint64_t points, sends, orders, crashes, failed;
    struct child {
        pid_t pid; /* 0: free */
        char text[160];
    } children[JOBS_MAX];
    char is_child[160]; /* which crash this process is; empty: the run itself */
};

static void describe(char text[160], const struct world_point *point, const struct world_end *end,
                     uint64_t number)
{
    static const char *const crashes[] = { "killed", "power cut", "power cut" };
    char torn[64] = "";
    if (point->write_length > 0)
        snprintf(torn, sizeof(torn), ", %zu of %zu bytes made", end->torn, point->write_length);
    snprintf(text, 160, "crash %" PRIu64 " (%s at %s %s%s%s)", number, crashes[end->crash],
             point->what, point->name, torn,
             point->is_send ? end->left ? ", left" : ", not left" : "");
}

static size_t crashes_of(const struct world_point *point, struct world_end ends[CRASHES_PER_POINT])
{
    size_t count = 0;
    ends[count++] = (struct world_end){ .ends = true, .crash = CRASH_KILL };
    if (point->is_send)
        ends[count++] = (struct world_end){ .ends = true, .crash = CRASH_KILL, .left = true };
    if (point->write_length > 1)
        ends[count++] = (struct world_end){ .ends = true,
                                            .crash = CRASH_KILL,
                                            .torn = point->write_length / 2 };
    if (point->power_safe && !point->is_send)
        ends[count++] = (struct world_end){ .ends = true,
                                            .crash = CRASH_POWER,
                                            .torn = point->write_length / 2 };
    return count;
}

/* One child has ended. */
static void reap(struct run *run)
{
    int status;
    pid_t pid = wait(&status);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct child *child = &run->children[i];
        if (child->pid != pid)
            continue;
        child->pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return;
        run->failed++;
        if (WIFSIGNALED(status)) /* else it has said why */
            printf("seed %" PRIu64 ", %s: %s\n", run->seed, child->text,
                   WTERMSIG(status) == SIGALRM ? "hangs" : "an assertion?");
    }
}

static struct child *free_child(struct run *run)
{
    for (;;) {
        for (size_t i = 0; i < run->options->jobs && i < JOBS_MAX; i++)
            if (run->children[i].pid == 0)
                return &run->children[i];
        reap(run);
    }
}

/* True in the child. */
static bool branch(struct run *run, const char *text)
{
    struct child *child = free_child(run);
    memcpy(child->text, text, sizeof(child->text));
    fflush(stdout);
    child->pid = fork();
    if (child->pid < 0) {
        perror("simulate: fork");
        exit(71);
    }
    if (child->pid > 0)
        return false;
    alarm(CHILD_SECONDS);
    memcpy(run->is_child, text, sizeof(run->is_child));
    return true;
}

static void at_point(void *self, const struct world_point *point, struct world_end *end)
{
    struct run *run = self;
    struct world_end ends[CRASHES_PER_POINT];
    size_t count = crashes_of(point, ends);
    char text[160];
    run->points++;
    run->sends += point->is_send;
    run->orders += point->is_send && strcmp(point->what, "send query") != 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t number = ++run->crashes;
        describe(text, point, &ends[i], number);
        bool here = run->options->only ? number == run->options->only : branch(run, text);
        if (!here)
            continue;
        if (run->options->only)
            memcpy(run->is_child, text, sizeof(text));
        *end = ends[i];
        return;
    }
}

static void print_failure(const struct run *run, const struct world_result *result)
{
    const char *faults = run->options->faults;
    printf("seed %" PRIu64 ", %s: %s ; build/simulate --crash-points %" PRIu64 " --seconds %" PRId64
           "%s%s --crash %" PRIu64 " --trace\n",
           run->seed, run->is_child[0] ? run->is_child : "no crash", result->failure, run->seed,
           run->options->world->seconds, faults[0] ? " --faults " : "", faults, run->crashes);
    fflush(stdout);
}

uint64_t crash_points(uint64_t seed, const struct crash_options *options)
{
    struct run *run = memory_new(sizeof(*run));
    struct world_result *result = memory_new(sizeof(*result));
    struct world_options world = *options->world;
    int64_t began_ns = clock_now(clock_monotonic());
    run->options = options;
    run->seed = seed;
    world.crash = at_point;
    world.crash_self = run;
    world.allowed[FAULT_RELOAD] = false; /* the worlds share the strategy files */
    world_run(seed, &world, result);
    if (result->failed)
        print_failure(run, result);
    if (run->is_child[0] && !options->only)
        _exit(result->failed);
    run->failed += result->failed;
    for (size_t i = 0; i < JOBS_MAX; i++)
        while (run->children[i].pid != 0)
            reap(run);
    printf("seed %" PRIu64 ": %" PRIu64 " points, %" PRIu64 " of them sends (%" PRIu64
           " about orders); %" PRIu64 " crashes in %.1f s, %" PRIu64 " failed\n",
           seed, run->points, run->sends, run->orders, run->crashes,
           (double)(clock_now(clock_monotonic()) - began_ns) / 1e9, run->failed);
    uint64_t failed = run->failed;
    free(result);
    free(run);
    return failed;
}
