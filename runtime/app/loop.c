/* loop.c - see loop.h. */
#include "runtime/app/control.h"
#include "runtime/app/loop.h"
#include "runtime/app/signals.h"
#include "runtime/operate/guardian.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define STEPS_PER_LOOK 2048 /* events between two looks at the clock */
#define NAP_MAX_MS 20
#define WATCH_EVERY (100 * NS_PER_MS)
#define FLUSH_EVERY NS_PER_SECOND
#define CHECKPOINT_EVERY (5 * NS_PER_SECOND)

struct loop {
    const struct loop_options *options;
    struct session *session;
    uv_loop_t uv;
    uv_signal_t interrupt, terminate;
    uv_timer_t nap;
    const char *stopped_by; /* a signal's name, NULL while running */
    int64_t started_mono_ns, started_market_ns;
    int64_t watch_due_ns, flush_due_ns, checkpoint_due_ns; /* monotonic */
};

/* A signal handler only notes the wish; the second one leaves at once. The ledger is then as a
 * crash leaves it: whole. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    if (loop->stopped_by)
        _exit(130);
    loop->stopped_by = number == SIGINT ? "SIGINT" : "SIGTERM";
    log_line(loop->options->log, LOG_INFO, "runtime", "stopping in order; again to quit now");
}

static void on_nap_over(uv_timer_t *timer)
{
    (void)timer;
}

static int loop_open(struct loop *loop, struct error *err)
{
    int failure = uv_loop_init(&loop->uv);
    struct {
        uv_signal_t *handle;
        int number;
    } signals[] = { { &loop->interrupt, SIGINT }, { &loop->terminate, SIGTERM } };
    for (size_t i = 0; failure == 0 && i < ARRAY_SIZE(signals); i++) {
        uv_signal_init(&loop->uv, signals[i].handle);
        signals[i].handle->data = loop;
        failure = uv_signal_start(signals[i].handle, on_signal, signals[i].number);
    }
    signals_release();
    if (failure == 0)
        failure = uv_timer_init(&loop->uv, &loop->nap);
    if (failure != 0)
        return error_set(err, ERROR_INTERNAL, "event loop: %s", uv_strerror(failure));
    return 0;
}

static void loop_close(struct loop *loop)
{
    uv_handle_t *handles[] = { (uv_handle_t *)&loop->interrupt, (uv_handle_t *)&loop->terminate,
                               (uv_handle_t *)&loop->nap };
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
}

/* Where market time may be by now. A replay and --speed max know no such bound. */
static int64_t horizon(const struct loop *loop, int64_t mono_ns)
{
    double speed = loop->options->speed;
    if (speed == SPEED_MAX || ledger_replaying(loop->session->ledger))
        return TIME_NEVER - 1;
    double elapsed = (double)(mono_ns - loop->started_mono_ns) * speed;
    return loop->started_market_ns + (int64_t)elapsed;
}

/* Sleeps until the market wants to be stepped, a signal comes, or the longest nap is over. */
static void nap(struct loop *loop, int64_t due_ns, int64_t horizon_ns)
{
    double wait_ms = (double)(due_ns - horizon_ns) / loop->options->speed / 1e6;
    uint64_t ms = wait_ms > NAP_MAX_MS ? NAP_MAX_MS : wait_ms < 1 ? 1 : (uint64_t)wait_ms;
    /* The loop's own time is stale here, and a timer that is due already fires before the wait: the
     * repeat bounds that wait. */
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->nap, on_nap_over, ms, NAP_MAX_MS);
    uv_run(&loop->uv, UV_RUN_ONCE);
}

/* What may lag behind the market: strategy files, state, exports, the checkpoint. */
static int housekeeping(struct loop *loop, int64_t mono_ns, struct error *err)
{
    int code = 0;
    if (mono_ns >= loop->watch_due_ns) {
        loop->watch_due_ns = mono_ns + WATCH_EVERY;
        guardian_beat(loop->session->heartbeat_fd);
        code = reload_watch(loop->session, clock_now(clock_wall()), err);
    }
    if (code == 0 && mono_ns >= loop->flush_due_ns) {
        bool checkpoint = mono_ns >= loop->checkpoint_due_ns;
        loop->flush_due_ns = mono_ns + FLUSH_EVERY;
        if (checkpoint)
            loop->checkpoint_due_ns = mono_ns + CHECKPOINT_EVERY;
        code = session_flush(loop->session, checkpoint, err);
    }
    return code;
}

/* ---- the status line
 * ---------------------------------------------------------------------------------- */

static void describe_positions(const struct session *session, struct text *out)
{
    for (uint32_t k = 0; k < session->instruments.count; k++) {
        decimal sum = DECIMAL_ZERO;
        for (int i = 0; i < session->instance_count; i++) {
            const struct position *position = engine_position(session->engine, i, k);
            if (position)
                sum = decimal_add(sum, position->qty);
        }
        char qty[DECIMAL_TEXT_MAX];
        const char *symbol = session->instruments.list[k].symbol;
        if (!decimal_is_zero(sum))
            text_printf(out, "%s%.*s %s%s", out->length ? "  " : "", (int)strcspn(symbol, "/"),
                        symbol, decimal_sign(sum) > 0 ? "+" : "", decimal_format(sum, qty));
    }
    if (out->length == 0)
        text_add(out, "flat");
}

static double progress_of(const struct session *session)
{
    if (session->source != SOURCE_FEED)
        return session->end_ns == TIME_NEVER ? -1
                                             : (double)(session->now_ns - session->started_ns) /
                                                   (double)(session->end_ns - session->started_ns);
    int64_t last = session->started_ns;
    for (size_t i = 0; i < session->feed_count; i++)
        if (session->feeds[i].info.last_ns > last)
            last = session->feeds[i].info.last_ns;
    if (session->end_ns < last)
        last = session->end_ns;
    return last > session->started_ns ? (double)(session->now_ns - session->started_ns) /
                                            (double)(last - session->started_ns)
                                      : 1;
}

static void draw(const struct loop_options *options, int64_t mono_ns, bool force)
{
    const struct session *session = options->session;
    if (!options->status)
        return;
    struct text positions;
    text_init(&positions, 4096);
    describe_positions(session, &positions);
    struct engine_totals totals;
    engine_totals(session->engine, &totals);
    const struct engine_counts *counts = engine_counts(session->engine);
    struct status_facts facts = {
        .mode = "PAPER",
        .market_ns = session->now_ns,
        .equity = totals.equity,
        .equity_start = engine_equity_start(session->engine),
        .positions = positions.data,
        .open_orders = engine_open_orders(session->engine),
        .fills = counts->fills,
        .events = counts->events,
        .progress = progress_of(session),
        .note = ledger_replaying(session->ledger)         ? "replaying"
                : engine_is_halted(session->engine, NULL) ? "HALTED"
                : session->any_reloading                  ? "reloading"
                                                          : NULL,
    };
    status_draw(options->status, &facts, mono_ns, force);
    text_release(&positions);
}

void loop_draw(const struct loop_options *options)
{
    draw(options, clock_now(clock_monotonic()), true);
}

/* ---- the loop
 * ------------------------------------------------------------------------------------------ */

static int turn_once(struct loop *loop, struct error *err)
{
    int64_t mono_ns = clock_now(clock_monotonic());
    int64_t until_ns = horizon(loop, mono_ns);
    int code = session_run(loop->session, until_ns, STEPS_PER_LOOK, err);
    if (code != SESSION_RUNNING)
        return code;
    if ((code = housekeeping(loop, mono_ns, err)) < 0)
        return code;
    if ((code = session_control_poll(loop->session, err)) < 0)
        return code;
    if (loop->options->status)
        draw(loop->options, mono_ns, false);
    int64_t due_ns = session_due_ns(loop->session);
    if (due_ns > until_ns)
        nap(loop, due_ns, until_ns);
    else
        uv_run(&loop->uv, UV_RUN_NOWAIT);
    return SESSION_RUNNING;
}

static bool is_over(const struct loop *loop)
{
    const struct session *session = loop->session;
    return loop->stopped_by || session->stop_asked || session_emergency_asked(session);
}

static int run(struct loop *loop, struct error *err)
{
    int64_t now = clock_now(clock_monotonic());
    loop->started_mono_ns = now;
    loop->started_market_ns = loop->session->now_ns;
    loop->flush_due_ns = now + FLUSH_EVERY;
    loop->checkpoint_due_ns = now + CHECKPOINT_EVERY;
    bool replaying = ledger_replaying(loop->session->ledger);
    while (!is_over(loop)) {
        int code = turn_once(loop, err);
        if (code < 0)
            return code;
        if (code == SESSION_ENDED)
            return LOOP_DATA_ENDED;
        if (replaying && !ledger_replaying(loop->session->ledger)) {
            replaying = false;
            log_hold(loop->options->log, false);
            /* pace begins where the recorded part ends */
            loop->started_mono_ns = clock_now(clock_monotonic());
            loop->started_market_ns = loop->session->now_ns;
            log_line(loop->options->log, LOG_INFO, "session", "caught up with the ledger");
        }
    }
    return session_emergency_asked(loop->session) ? LOOP_EMERGENCY : LOOP_STOPPED;
}

int loop_run(const struct loop_options *options, const char **stopped_by, struct error *err)
{
    struct loop loop = { .options = options, .session = options->session };
    int code = loop_open(&loop, err);
    if (code < 0)
        return code;
    code = run(&loop, err);
    *stopped_by = code == LOOP_DATA_ENDED
                      ? (options->session->end_ns <= session_due_ns(options->session) &&
                                 session_due_ns(options->session) != TIME_NEVER
                             ? "duration"
                             : "end of data")
                  : code == LOOP_EMERGENCY ? "emergency stop"
                  : loop.stopped_by        ? loop.stopped_by
                                           : options->session->stop_asked;
    loop_close(&loop);
    return code;
}
