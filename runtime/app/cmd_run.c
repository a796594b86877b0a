/* cmd_run.c - runtime STRATEGY.lua [...]: a session from open to summary. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/app/app.h"
#include "runtime/app/control.h"
#include "runtime/app/emergency.h"
#include "runtime/app/loop.h"
#include "runtime/app/signals.h"
#include "runtime/app/summary.h"
#include "runtime/operate/guardian.h"
#include "runtime/operate/sentinel.h"

static bool use_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fd) && !(no_colour && no_colour[0]) && !(term && strcmp(term, "dumb") == 0);
}

static struct log *open_log(const struct options *options)
{
    struct log_options log = { .level = LOG_INFO,
                               .quiet = options->quiet,
                               .terminal = isatty(STDERR_FILENO),
                               .colour = use_colour(STDERR_FILENO),
                               .clock = clock_wall() };
    return log_open(&log);
}

static size_t describe_strategies(const struct session *session, struct summary_strategy *list)
{
    for (int i = 0; i < session->instance_count; i++) {
        const struct session_instance *instance = &session->instances[i];
        const struct strategy *strategy = &session->strategies[instance->strategy];
        list[i] = (struct summary_strategy){
            .file = strategy->path,
            .info = &strategy->code->info,
            .symbol = instance->record.symbol,
            .params = &strategy->code->params[i - strategy->first_instance],
        };
        list[i].alive = engine_instance_alive(session->engine, i, NULL, &list[i].why_not);
    }
    return (size_t)session->instance_count;
}

static void describe_data(const struct session *session, struct summary *summary)
{
    summary->data.files = session->feed_count;
    summary->data.first_ns = summary->data.last_ns = TIME_NEVER;
    for (size_t i = 0; i < session->feed_count; i++) {
        const struct data_info *info = &session->feeds[i].info;
        summary->data.rows += info->rows;
        summary->data.skipped += info->skipped;
        summary->data.sorted += info->sorted;
        if (i == 0 || info->first_ns < summary->data.first_ns)
            summary->data.first_ns = info->first_ns;
        if (i == 0 || info->last_ns > summary->data.last_ns)
            summary->data.last_ns = info->last_ns;
    }
    summary->data.instruments_from = session->instruments.list[0].origin;
}

static void print_summary(const struct session *session, const char *stopped_by,
                          const char *result_hash, int64_t began_mono_ns)
{
    struct summary_strategy *strategies =
        memory_new(((size_t)session->instance_count + 1) * sizeof(*strategies));
    char maker[DECIMAL_TEXT_MAX], taker[DECIMAL_TEXT_MAX], bps[DECIMAL_TEXT_MAX];
    char fees[160], slippage[160], latency[TIME_TEXT_MAX];
    snprintf(fees, sizeof(fees), "maker %s, taker %s",
             decimal_format(session->costs.maker_fee, maker),
             decimal_format(session->costs.taker_fee, taker));
    snprintf(slippage, sizeof(slippage), "%s%s%s", slippage_name(session->costs.slippage),
             session->costs.slippage == SLIPPAGE_FIXED ? " bps " : "",
             session->costs.slippage == SLIPPAGE_FIXED
                 ? decimal_format(session->costs.slippage_bps, bps)
                 : "");
    struct summary summary = {
        .mode = "paper",
        .broker = "sim",
        .strategies = strategies,
        .strategy_count = describe_strategies(session, strategies),
        .engine = session->engine,
        .instance_count = session->instance_count,
        .started_ns = session->started_ns,
        .ended_ns = session->now_ns,
        .equity_start = engine_equity_start(session->engine),
        .fees = fees,
        .slippage = session->fill_on == FILL_ON_INSTANT ? "none (instant)" : slippage,
        .latency = duration_format(session->latency_ns, latency),
        .fill = session->fill_on == FILL_ON_INSTANT ? "instant"
                : session->fill_on == FILL_ON_CLOSE ? "close"
                                                    : "next",
        .result_hash = result_hash,
        .stopped_by = stopped_by,
        .wall_seconds = (double)(clock_now(clock_monotonic()) - began_mono_ns) / 1e9,
    };
    describe_data(session, &summary);
    struct text out;
    text_init(&out, 16u << 20);
    if (session->options->json)
        summary_json(&summary, &out);
    else
        summary_table(&summary, &out, use_colour(STDOUT_FILENO));
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
    free(strategies);
}

struct outcome {
    const char *stopped_by;
    char result_hash[SHA256_TEXT_MAX];
    int exit_code;
    bool is_unfinished; /* there is nothing to sum up */
    bool is_stopped;    /* an emergency stop was brought about */
};

/* From the first event to the ledger's last word. */
static int drive(struct session *session, struct status *status, struct log *log,
                 struct outcome *outcome, struct error *err)
{
    struct loop_options options = {
        .session = session, .status = status, .log = log, .speed = session->options->speed
    };
    int end = loop_run(&options, &outcome->stopped_by, err);
    if (end < 0)
        return end;
    log_hold(log, false);
    outcome->exit_code = end == LOOP_EMERGENCY ? -ERROR_HALTED : 0;
    if (ledger_replaying(session->ledger) && end != LOOP_DATA_ENDED) {
        /* What is not caught up cannot end: the session stays as the crash left it. */
        log_line(log, LOG_WARN, "session", "stopped while replaying; the same command goes on");
        outcome->is_unfinished = true;
        return 0;
    }
    enum stop_policy policy = end == LOOP_EMERGENCY ? session_emergency_policy(session)
                              : session_due_ns(session) == TIME_NEVER
                                  ? POLICY_LEAVE /* the data is over: nothing can be filled */
                                  : session_stop_policy(session);
    /* A halt that nobody lifted outlives the run: it goes on with `runtime resume`. */
    if (session_goes_on(session) && engine_is_halted(session->engine, NULL))
        outcome->exit_code = -ERROR_HALTED;
    struct error failure = { 0 };
    int failed = session_failure(session, &failure);
    int code = end == LOOP_EMERGENCY ? session_emergency(session, err) : 0;
    if (code == 0)
        code = session_stop(session, policy, outcome->stopped_by, err);
    if (code == 0)
        code = session_end(session, outcome->result_hash, err);
    sentinel_done(session->sentinel);
    loop_draw(&options);
    outcome->is_stopped = code == 0 && end == LOOP_EMERGENCY;
    if (code == 0 && failed < 0 && !outcome->is_stopped) {
        *err = failure;
        return failed;
    }
    return code;
}

static bool was_asked(const struct session *session)
{
    return session && session_emergency_asked(session);
}

/* It came too late for the loop, or the session could not do it: the ledger failed, say. */
static bool is_left_to_do(const struct session *session, const struct outcome *outcome)
{
    return was_asked(session) && !outcome->is_stopped && !outcome->is_unfinished;
}

/* One process that trades; heartbeat_fd -1: without a guardian. */
static int trade(const struct options *options, int heartbeat_fd)
{
    int64_t began = clock_now(clock_monotonic());
    struct error err = { 0 };
    struct log *log = open_log(options);
    struct session *session = NULL;
    struct status *status = NULL;
    struct outcome outcome = { .stopped_by = "" };
    signals_hold();
    int code = session_open(options, NULL, log, &session, &err);
    if (code == ERROR_STOPPED) {
        LOG(log, LOG_INFO, "runtime", "nothing was traded", F_STR("why", err.message));
        outcome.is_unfinished = true;
        code = 0;
    } else if (code == 0) {
        session->heartbeat_fd = heartbeat_fd;
        code = session_control_open(session, &err);
    }
    if (code == 0 && session) {
        if (!options->quiet && !options->json)
            status = status_open(STDERR_FILENO, use_colour(STDERR_FILENO), log);
        code = drive(session, status, log, &outcome, &err);
    }
    status_close(status); /* before anything else is printed on its line */
    bool is_left = code == ERROR_HALTED || is_left_to_do(session, &outcome);
    if (is_left && options->guardian_pid) {
        /* The guardian does it: it believes 75 only of one that traded. */
        outcome.exit_code = code < 0 ? app_fail(options, &err) : 0;
        if (session)
            outcome.exit_code = -ERROR_INTERNAL;
    } else if (is_left) {
        bool is_asked = was_asked(session);
        session_close(session); /* what it could not do is done without it */
        session = NULL;
        outcome.exit_code = emergency_end(options, log, is_asked, &err);
    } else if (code < 0) {
        outcome.exit_code = app_fail(options, &err);
    } else if (!outcome.is_unfinished) {
        print_summary(session, outcome.stopped_by, outcome.result_hash, began);
    }
    session_close(session);
    log_close(log);
    return outcome.exit_code;
}

/* ---- live: the same under a guardian ---- */

static int trade_guarded(void *self, int heartbeat_fd, unsigned restarts)
{
    const struct options *options = self;
    struct options again = *options;
    again.fresh &= restarts == 0; /* what the dead one did must not be moved aside */
    again.guardian_pid = getppid();
    return trade(&again, heartbeat_fd);
}

#define CANCEL_LIMIT_NS (60 * NS_PER_SECOND)
#define EMERGENCY_NS (2 * NS_PER_SECOND) /* what takes longer the canceling process does */
#define NAP_NS (20 * NS_PER_MS)          /* what arrives meanwhile waits no longer */

static void nap_until(void *self, int64_t until_ns)
{
    (void)self;
    int64_t left_ns = until_ns - clock_now(clock_wall());
    if (left_ns > NAP_NS)
        left_ns = NAP_NS;
    struct timespec pause = { .tv_nsec = (long)left_ns };
    if (left_ns > 0)
        nanosleep(&pause, NULL);
}

static int cancel_entries(void *self, int heartbeat_fd, bool emergency)
{
    const struct options *options = self;
    struct cancel_options how = { .emergency = emergency,
                                  .heartbeat_fd = heartbeat_fd,
                                  .limit_ns = CANCEL_LIMIT_NS,
                                  .wait = nap_until };
    struct error err = { 0 };
    struct log *log = open_log(options);
    int code = session_cancel_entries(options, NULL, log, &how, &err);
    if (code < 0) /* stdout has room for one result, and that is the guardian's */
        LOG(log, LOG_ERROR, "guardian", err.message, F_STR("where", err.where));
    log_close(log);
    return code < 0 ? -ERROR_UNAVAILABLE : 0;
}

static void tell_remaining(void *self)
{
    const struct options *options = self;
    struct error err = { 0 };
    struct text out;
    text_init(&out, 1u << 20);
    if (remains_list(options->state, "live", &out, &err) < 0)
        fprintf(stderr, "runtime: %s: %s\n", err.where, err.message);
    else
        fputs(out.data, stderr);
    text_release(&out);
}

static int run_guarded(const struct options *options, int64_t hang_ns)
{
    struct error err = { 0 };
    struct options mine = *options;
    struct log *log = open_log(options);
    struct guardian_options guardian = { .self = &mine,
                                         .trade = trade_guarded,
                                         .cancel_entries = cancel_entries,
                                         .tell_remaining = tell_remaining,
                                         .start_ns = 120 * NS_PER_SECOND,
                                         .hang_ns = hang_ns,
                                         .cancel_ns = 3 * CANCEL_LIMIT_NS,
                                         .backoff_ns = NS_PER_SECOND,
                                         .backoff_max_ns = 30 * NS_PER_SECOND,
                                         .window_ns = 10 * NS_PER_MINUTE,
                                         .failures_max = 3,
                                         .emergency_ns = EMERGENCY_NS,
                                         .state_dir = options->state,
                                         .mode = "live",
                                         .log = log };
    int code = guardian_run(&guardian, &err);
    log_close(log);
    return code < 0 ? app_fail(options, &err) : code;
}

static int run(const struct options *options)
{
    int64_t hang_ns;
    return session_wants_guardian(options, &hang_ns) ? run_guarded(options, hang_ns)
                                                     : trade(options, -1);
}

const struct command_entry command_run = {
    .name = "run",
    .summary = "trade strategy files on paper (the word may be left out)",
    .usage = "runtime STRATEGY.lua [STRATEGY.lua ...] [--paper] [options]\n"
             "\n"
             "Trades on the embedded sim market, or on recorded data with --feed FILE.\n"
             "\n"
             "  runtime strategies/momentum.lua --speed 60\n"
             "  runtime strategies/momentum.lua --feed trades.csv.gz --symbols BTC/USDT:USDT "
             "--speed max\n",
    .run = run,
};
