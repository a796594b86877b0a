/* process_bench.c - the built binary as a whole: memory with three strategies on three symbols, and
 * how long from start to the first callback, beside a process that does nothing.
 *
 *   process_bench [build/runtime]
 *
 * Aims: under 20 MB resident; the first callback within 50 ms. Each figure is the least of several
 * runs. The whole run is timed: start, first callback, stop and clean end. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#define ROUNDS 9

extern char **environ;

struct figures {
    double ms;
    long kilobytes;
};

static struct figures run_once(char *const *command)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int64_t begun = clock_now(clock_monotonic());
    pid_t pid;
    struct rusage usage;
    int status;
    if (posix_spawnp(&pid, command[0], &actions, NULL, command, environ) != 0 ||
        wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "process_bench: %s failed\n", command[0]);
        exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
    return (struct figures){ (double)(clock_now(clock_monotonic()) - begun) / 1e6,
                             usage.ru_maxrss };
}

static struct figures least(char *const *command, const char *state)
{
    struct figures best = { 0 };
    char clean[300];
    snprintf(clean, sizeof(clean), "rm -rf '%s'", state);
    for (int i = 0; i < ROUNDS; i++) {
        if (system(clean) != 0)
            exit(1);
        struct figures figures = run_once(command);
        if (i == 0 || figures.ms < best.ms)
            best.ms = figures.ms;
        if (i == 0 || figures.kilobytes < best.kilobytes)
            best.kilobytes = figures.kilobytes;
    }
    return best;
}

static const char stopper[] = "local S = { api = 1, name = 'stopper', version = '1' }\n"
                              "function S.on_tick(ctx) ctx:stop('first callback') end\n"
                              "return S\n";

int main(int argc, char **argv)
{
    char binary[256], folder[] = "/tmp/process_bench.XXXXXX", state[64], file[64];
    struct error err = { 0 };
    text_copy(binary, sizeof(binary), argc > 1 ? argv[1] : "build/runtime");
    if (!mkdtemp(folder))
        return 1;
    snprintf(state, sizeof(state), "%s/state", folder);
    snprintf(file, sizeof(file), "%s/stopper.lua", folder);
    if (text_write_file(file, stopper, strlen(stopper), &err) < 0)
        return 1;

    char *nothing[] = { "true", NULL };
    char *first[] = { binary,    file,  "--symbols", "BTC/USDT:USDT", "--speed", "max",
                      "--state", state, NULL };
    char *three[] = { binary,
                      "strategies/momentum.lua",
                      "strategies/mean_reversion.lua",
                      "strategies/breakout.lua",
                      "--speed",
                      "max",
                      "--duration",
                      "3600",
                      "--state",
                      state,
                      NULL };
    struct figures idle = least(nothing, state), start = least(first, state),
                   resident = least(three, state);
    printf("start to first callback and clean end: %.1f ms (%.1f times an empty process)\n",
           start.ms, start.ms / idle.ms);
    printf("three strategies on three symbols, an hour of market: %.1f MB resident, %.0f ms\n",
           (double)resident.kilobytes / 1024.0, resident.ms);
    char clean[300];
    snprintf(clean, sizeof(clean), "rm -rf '%s'", folder);
    return system(clean) == 0 ? 0 : 1;
}
