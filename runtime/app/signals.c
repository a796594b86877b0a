/* signals.c - see signals.h. */
#include "runtime/app/signals.h"

#include <pthread.h>
#include <signal.h>

static sigset_t ours(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    return set;
}

void signals_hold(void)
{
    sigset_t set = ours();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void signals_release(void)
{
    sigset_t set = ours();
    sigdelset(&set, SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int signals_check(struct error *err)
{
    sigset_t waiting;
    sigpending(&waiting);
    if (sigismember(&waiting, SIGUSR2))
        return error_set(err, ERROR_HALTED, "emergency stop (SIGUSR2) before trading began");
    if (sigismember(&waiting, SIGINT) || sigismember(&waiting, SIGTERM))
        return error_set(err, ERROR_STOPPED, "stopped by %s before trading began",
                         sigismember(&waiting, SIGINT) ? "SIGINT" : "SIGTERM");
    return 0;
}
