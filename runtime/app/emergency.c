/* emergency.c - see emergency.h. */
#include "runtime/app/emergency.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/app/app.h"
#include "runtime/app/signals.h"
#include "runtime/base/clock.h"
#include "runtime/ledger/ledger.h"

#define LIST_MAX (4u << 20)
#define CANCEL_LIMIT_NS (60 * NS_PER_SECOND) /* of market time */

/* This version trades on paper outside a guardian, who has his own way (cmd_run.c). */
static const char mode[] = "paper";

static bool has_ledger(const struct options *options)
{
    char path[1100];
    snprintf(path, sizeof(path), "%.900s/ledger-%s.sqlite", options->state, mode);
    return access(path, F_OK) == 0;
}

static int cancel(const struct options *options, struct log *log)
{
    struct cancel_options how = { .emergency = true,
                                  .heartbeat_fd = -1,
                                  .limit_ns = CANCEL_LIMIT_NS };
    struct error err = { 0 };
    int code = session_cancel_entries(options, NULL, log, &how, &err);
    if (code < 0)
        LOG(log, LOG_ERROR, "emergency", err.message, F_STR("where", err.where));
    return code;
}

static void list(const struct options *options)
{
    struct error err = { 0 };
    struct text out;
    text_init(&out, LIST_MAX);
    if (remains_list(options->state, mode, &out, &err) < 0)
        fprintf(stderr, "runtime: %s: %s\n", err.where, err.message);
    else
        fprintf(stderr, "what remains:\n%s", out.data);
    text_release(&out);
}

int emergency_end(const struct options *options, struct log *log, bool is_asked,
                  const struct error *why)
{
    bool is_feed = options->feeds.count > 0;
    signals_hold(); /* it is bounded, and not to be left half done */
    signal(SIGUSR2, SIG_IGN);
    if (has_ledger(options)) {
        size_t remaining;
        struct error err = { 0 };
        if (remains_count(options->state, mode, &remaining, &err) < 0)
            LOG(log, LOG_ERROR, "emergency", err.message, F_STR("where", err.where));
        else if (!is_feed && (remaining > 0 || is_asked))
            (void)!cancel(options, log); /* the list says what came of it */
        list(options);
    }
    struct error told = *why;
    if (told.code == 0)
        error_set(&told, ERROR_HALTED, "emergency stop while the run was ending");
    told.code = ERROR_HALTED;
    return app_fail(options, &told);
}

/* What the process of a run that hangs becomes (sentinel.h): `options` are those of the run. */
static int run(const struct options *options)
{
    struct error why = { 0 };
    struct log_options log_options = { .level = LOG_INFO,
                                       .quiet = options->quiet,
                                       .clock = clock_wall() };
    struct log *log = log_open(&log_options);
    error_set(&why, ERROR_HALTED, "emergency stop: the run hung and was ended%s",
              options->feeds.count > 0 ? "" : "; it begins halted until runtime resume");
    int code = emergency_end(options, log, true, &why);
    log_close(log);
    return code;
}

const struct command_entry command_emergency = {
    .name = "emergency",
    .summary = "what a run that hangs becomes",
    .usage = "usage: runtime emergency [the words of the run]\n"
             "\n"
             "Cancels what a run left, without its strategies, sets the latch, lists what\n"
             "remains and ends with 75. A run whose engine hangs becomes this at an\n"
             "emergency stop; runtime halt --emergency is the command for people.\n",
    .run = run,
    .is_hidden = true,
};
