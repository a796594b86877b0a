/* faults.c - see faults.h. */
#include "tests/simulation/faults.h"

#include <string.h>

static const char *const names[FAULTS] = {
    [FAULT_DELAY] = "delay",
    [FAULT_REQUEST_LOST] = "request_lost",
    [FAULT_ANSWER_LOST] = "answer_lost",
    [FAULT_SERVER_ERROR] = "server_error",
    [FAULT_SILENCE] = "silence",
    [FAULT_RATE_LIMIT] = "rate_limit",
    [FAULT_REFUSED] = "refused",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_STREAM_LOSS] = "stream_loss",
    [FAULT_REORDER] = "reorder",
    [FAULT_DISCONNECT] = "disconnect",
    [FAULT_PRIVATE_DOWN] = "private_down",
    [FAULT_PUBLIC_DOWN] = "public_down",
    [FAULT_HALF_OPEN] = "half_open",
    [FAULT_NOT_FOUND] = "not_found",
    [FAULT_STALE] = "stale",
    [FAULT_QUERY_FAILS] = "query_fails",
    [FAULT_LATE_FILL] = "late_fill",
    [FAULT_BUST] = "bust",
    [FAULT_CORRECT] = "correct",
    [FAULT_CANCEL_UNASKED] = "cancel_unasked",
    [FAULT_RESTATE] = "restate",
    [FAULT_OVERFILL] = "overfill",
    [FAULT_ZERO_FILL] = "zero_fill",
    [FAULT_STRANGER] = "stranger",
    [FAULT_CROSSED] = "crossed",
    [FAULT_TENFOLD] = "tenfold",
    [FAULT_QUIET] = "quiet",
    [FAULT_BURST] = "burst",
    [FAULT_KILL_SEND] = "kill_send",
    [FAULT_KILL_COMMIT] = "kill_commit",
    [FAULT_KILL_WRITE] = "kill_write",
    [FAULT_POWER] = "power",
    [FAULT_DISK] = "disk",
    [FAULT_CLOCK] = "clock",
    [FAULT_RELOAD] = "reload",
    [FAULT_BAD_RELOAD] = "bad_reload",
    [FAULT_STOP] = "stop",
    [FAULT_ABSENT] = "absent",
    [FAULT_LAG] = "lag",
    [FAULT_HALT] = "halt",
    [FAULT_LIFT] = "lift",
    [FAULT_FLATTEN] = "flatten",
    [FAULT_BREAKER] = "breaker",
};

const char *fault_name(enum fault fault)
{
    return names[fault];
}

static int find(const char *word, size_t length)
{
    for (int i = 0; i < FAULTS; i++)
        if (strlen(names[i]) == length && strncmp(names[i], word, length) == 0)
            return i;
    return -1;
}

int fault_mask(const char *list, bool allowed[FAULTS], struct error *err)
{
    bool all = strcmp(list, "all") == 0;
    for (int i = 0; i < FAULTS; i++)
        allowed[i] = all;
    if (all || strcmp(list, "none") == 0)
        return 0;
    while (*list) {
        size_t length = strcspn(list, ",");
        int fault = find(list, length);
        if (fault < 0)
            return error_set(err, ERROR_USAGE, "--faults: there is no fault '%.*s'", (int)length,
                             list);
        allowed[fault] = true;
        list += length + (list[length] == ',');
    }
    return 0;
}

void fault_draw(struct fault_plan *plan, const bool allowed[FAULTS], bool always,
                struct random *random)
{
    for (int i = 0; i < FAULTS; i++) {
        bool on = random_below(random, 4) == 0;
        plan->percent[i] = 1 + (unsigned)random_below(random, 25);
        plan->on[i] = allowed[i] && (on || always);
    }
}
