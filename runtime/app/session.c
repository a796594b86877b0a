/* session.c - the driver: one market event at a time, in one order.
 *
 * At one instant: the engine's clock first (bars close, timers fire), then what arrives at the
 * venue (orders, cancels), then market events. A market event reaches the simulated venue before
 * the engine; what the venue says is stepped before the event itself, so a strategy never sees a
 * trade while believing that an order which it filled still rests. */
#include "runtime/app/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/operate/guardian.h"
#include "runtime/operate/latch.h"
#include "runtime/operate/sentinel.h"

#define EVENTS_PER_BEAT 16
#define SOURCE_JSON_MAX (64u << 20) /* a file and its modules, escaped */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t session_due_ns(const struct session *session)
{
    int64_t venue = session->venue.due_ns(session->venue.self);
    if (session->source == SOURCE_VENUE) /* it never ends by itself */
        return least(venue, engine_due_ns(session->engine));
    int64_t feed = session->feed.next_ns(session->feed.self);
    if (feed == TIME_NEVER) /* timers and latency alone do not keep a session alive */
        return TIME_NEVER;
    return least(feed, least(venue, engine_due_ns(session->engine)));
}

/* The number of the event that runs, for the watchdog's record; and, should a burst of events keep
 * the loop from beating, a sign of life. */
static void announce(struct session *session)
{
    uint64_t event = engine_counts(session->engine)->events;
    if (session->watchdog)
        watchdog_set_event(session->watchdog, event);
    if (event % EVENTS_PER_BEAT == 0)
        guardian_beat(session->heartbeat_fd);
}

/* A wall clock may step back; the engine's time does not. What came then came now. */
static struct event in_order(const struct session *session, const struct event *event)
{
    struct event seen = *event;
    int64_t now_ns = engine_now(session->engine);
    bool is_history = event->kind == EVENT_BAR && event->bar.is_history;
    if (!is_history && seen.time_ns < now_ns)
        seen.time_ns = now_ns;
    return seen;
}

static int step(struct session *session, const struct event *event, struct error *err)
{
    announce(session);
    if (session->source != SOURCE_VENUE)
        return engine_step(session->engine, event, err);
    struct event seen = in_order(session, event);
    return engine_step(session->engine, &seen, err);
}

int session_drain(struct session *session, struct error *err)
{
    struct event_queue *queue = &session->queue;
    while (queue->count > 0) {
        struct queued_event item = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->capacity;
        queue->count--;
        if (item.event.kind == EVENT_REPORT)
            item.event.report = &item.report;
        int code = step(session, &item.event, err);
        if (code < 0)
            return code;
    }
    return 0;
}

/* What the venue told, and what that caused there in turn: the exits of an entry that a bar filled
 * rest, and may fill, inside that same bar. */
int session_settle(struct session *session, int64_t now_ns, struct error *err)
{
    int code = session_drain(session, err);
    while (code == 0 && session->venue.due_ns(session->venue.self) <= now_ns) {
        session->venue.advance(session->venue.self, now_ns);
        code = session_drain(session, err);
    }
    return code;
}

static int step_market(struct session *session, struct error *err)
{
    struct event event;
    int code = session->feed.next(session->feed.self, &event, err);
    if (code <= 0)
        return code;
    session->now_ns = event.time_ns;
    log_set_market_time(session->log, event.time_ns);
    if (session->recorder && (code = recorder_put(session->recorder, &event, err)) < 0)
        return code;
    session->venue.market(session->venue.self, &event);
    if (session->queue.count > 0 && (code = session_settle(session, event.time_ns, err)) < 0)
        return code;
    if ((code = step(session, &event, err)) < 0)
        return code;
    return session->queue.count > 0 ? session_drain(session, err) : 0;
}

static void reach(struct session *session, int64_t now_ns)
{
    if (now_ns > session->now_ns)
        session->now_ns = now_ns;
}

/* Steps what is due at one instant: one due source at a time. */
int session_step_due(struct session *session, int64_t due_ns, struct error *err)
{
    int code;
    if (engine_due_ns(session->engine) == due_ns) {
        reach(session, due_ns);
        announce(session);
        code = engine_advance(session->engine, due_ns, err);
        return code < 0 ? code : session_drain(session, err);
    }
    if (session->venue.due_ns(session->venue.self) == due_ns) {
        reach(session, due_ns);
        session->venue.advance(session->venue.self, due_ns);
        return session_drain(session, err);
    }
    return step_market(session, err);
}

/* A time budget only guards on a feed: a run that it ended has no result (the machine decided). */
static bool machine_decided(const struct session *session, int failure)
{
    return failure == ERROR_TIME && session->source == SOURCE_FEED;
}

int session_failure(const struct session *session, struct error *err)
{
    const char *last = NULL;
    for (int i = 0; i < session->instance_count; i++) {
        int failure;
        const char *why;
        if (engine_instance_alive(session->engine, i, &failure, &why) || failure == 0)
            continue;
        if (machine_decided(session, failure))
            return error_set(err, ERROR_DATA, "the run has no result: %s", why);
        last = why;
    }
    if (last && engine_instances_alive(session->engine) == 0)
        return error_set(err, ERROR_DATA, "the last strategy failed: %s", last);
    return 0;
}

static int stop_quarantined(struct session *session, struct error *err)
{
    struct quarantine *quarantine = &session->quarantine;
    if (engine_counts(session->engine)->events < quarantine->event)
        return 0;
    quarantine->set = false;
    for (int i = 0; i < session->instance_count; i++) {
        const struct session_instance *instance = &session->instances[i];
        const struct strategy *strategy = &session->strategies[instance->strategy];
        if (instance->record.instance_id != quarantine->instance_id ||
            strcmp(strategy->code->source.hash, quarantine->hash) != 0)
            continue;
        return engine_stop_instance(session->engine, i, session->now_ns,
                                    "quarantined: the watchdog ended the process in this code; "
                                    "change the file, or start with --fresh",
                                    err);
    }
    return 0;
}

/* Between two events: what a replay has to repeat, reloads that are warm, a quarantine that is due.
 */
static int between_events(struct session *session, struct error *err)
{
    int code = 0;
    if (session->catching_up && !ledger_replaying(session->ledger)) {
        session->catching_up = false;
        if ((code = reload_look(session, err)) < 0 ||
            (session->any_reloading && (code = reload_swap_ready(session, err)) < 0))
            return code;
    }
    if (session->quarantine.set && (code = stop_quarantined(session, err)) < 0)
        return code;
    if (session->journal_next < session->journal_count && (code = reload_replay(session, err)) < 0)
        return code;
    if (session->any_reloading && (code = reload_swap_ready(session, err)) < 0)
        return code;
    return code;
}

const char *session_emergency_asked(const struct session *session)
{
    return session->emergency_why[0] ? session->emergency_why : sentinel_heard(session->sentinel);
}

void session_latch(struct session *session, const char *code, const char *reason, bool emergency)
{
    if (session->latch_fd < 0 || (session->latch_is_set && !emergency))
        return;
    struct latch_record record = { .set = true,
                                   .emergency = emergency,
                                   .since_ns = clock_now(session->wall) };
    text_copy(record.code, sizeof(record.code), code);
    text_copy(record.reason, sizeof(record.reason), reason);
    session->latch_is_set = true;
    if (latch_set(session->latch_fd, &record) < 0)
        log_line(session->log, LOG_ERROR, "risk", "the latch of a halt cannot be written");
}

/* Whoever halted it: a limit, the books, an operator. */
static void latch_a_halt(struct session *session)
{
    const char *reason;
    if (session->latch_fd >= 0 && !session->latch_is_set &&
        engine_is_halted(session->engine, &reason))
        session_latch(session, engine_halt_code(session->engine), reason, false);
}

static int run(struct session *session, int64_t horizon_ns, uint64_t steps, struct error *err)
{
    for (uint64_t i = 0; i < steps; i++) {
        int code = between_events(session, err);
        if (code < 0)
            return code;
        if (engine_instances_alive(session->engine) == 0 ||
            (engine_counts(session->engine)->failed_instances > 0 &&
             session_failure(session, NULL) < 0))
            return SESSION_ENDED;
        if (session->stop_asked || session_emergency_asked(session)) /* the loop decides */
            return SESSION_RUNNING;
        int64_t due_ns = session_due_ns(session);
        if (due_ns == TIME_NEVER || due_ns >= session->end_ns)
            return SESSION_ENDED;
        if (due_ns > horizon_ns)
            return SESSION_RUNNING;
        if ((code = session_step_due(session, due_ns, err)) < 0)
            return code;
        latch_a_halt(session);
    }
    return SESSION_RUNNING;
}

int session_run(struct session *session, int64_t horizon_ns, uint64_t steps, struct error *err)
{
    int code = run(session, horizon_ns, steps, err);
    latch_a_halt(session); /* a full disk may have ended it in that very turn */
    return code;
}

static int write_files(struct session *session, bool checkpoint, struct error *err)
{
    int code = session->export ? export_update(session->export, err) : 0;
    if (code < 0 || !session->export || !checkpoint)
        return code;
    struct engine_totals totals;
    engine_totals(session->engine, &totals);
    char extra[64];
    snprintf(extra, sizeof(extra), "\"feed_position\":%" PRIu64,
             engine_counts(session->engine)->events);
    return export_checkpoint(session->export, session->now_ns, totals.cash, totals.equity, extra,
                             err);
}

int session_flush(struct session *session, bool checkpoint, struct error *err)
{
    int code = engine_flush(session->engine, session->now_ns, err);
    if (code < 0 || ledger_replaying(session->ledger))
        return code;
    uint64_t events = engine_counts(session->engine)->events;
    code = ledger_progress(session->ledger, session->now_ns, events, err);
    if (code == 0)
        code = session_keep(session, err);
    return code < 0 ? code : write_files(session, checkpoint, err);
}

enum stop_policy session_stop_policy(const struct session *session)
{
    const char *name = config_string(session->config, "trading.stop_policy");
    if (name && strcmp(name, "cancel") == 0)
        return POLICY_CANCEL;
    return name && strcmp(name, "flatten") == 0 ? POLICY_FLATTEN : POLICY_LEAVE;
}

#define STOP_LIMIT_NS (60 * NS_PER_SECOND) /* market time that a stop may take to settle */

/* Cancels and close-outs travel like any order: the market runs on, without the strategies, until
 * they have arrived and, where positions are flattened, been filled. */
static bool anything_under_way(const struct session *session, enum stop_policy policy)
{
    if (engine_orders_in_flight(session->engine) > 0)
        return true;
    return policy == POLICY_FLATTEN && engine_open_orders(session->engine) > 0;
}

int session_stop(struct session *session, enum stop_policy policy, const char *why,
                 struct error *err)
{
    int code = engine_stop(session->engine, session->now_ns, policy, why, err);
    if (code < 0 || (code = session_drain(session, err)) < 0)
        return code;
    int64_t limit_ns = session->now_ns + STOP_LIMIT_NS;
    while (anything_under_way(session, policy)) {
        guardian_beat(session->heartbeat_fd);
        int64_t due_ns = session_due_ns(session);
        if (due_ns == TIME_NEVER) /* the data is over: nothing travels without a market */
            break;
        if (due_ns > limit_ns) {
            log_line(session->log, LOG_WARN, "session",
                     "some orders were still under way when the session ended");
            break;
        }
        if ((code = session_step_due(session, due_ns, err)) < 0)
            return code;
    }
    return 0;
}

int session_end(struct session *session, char result_hash[SHA256_TEXT_MAX], struct error *err)
{
    /* What the stop recorded and the end are one transaction on a feed: a crash between them would
     * leave rows that no replay makes again. The files come first; a replay rewrites them. */
    int code = engine_flush(session->engine, session->now_ns, err);
    if (code < 0 || (code = write_files(session, true, err)) < 0 ||
        (code = ledger_session_end(session->ledger, session->now_ns, err)) < 0)
        return code;
    if (session->recorder) {
        struct recorder *recorder = session->recorder;
        session->recorder = NULL;
        if ((code = recorder_close(recorder, err)) < 0)
            return code;
    }
    return ledger_result_hash(session->ledger, result_hash, err);
}

/* ---- the ledger's journal and sources ---- */

int session_journal(struct session *session, const char *name, const struct strategy *strategy,
                    const char *key, const char *value, struct error *err)
{
    struct text body;
    text_init(&body, 64 * 1024);
    struct json_writer *writer = json_writer_open(&body, false);
    json_object_begin(writer);
    json_key(writer, "file");
    json_string(writer, strategy->path);
    json_key(writer, key);
    json_string(writer, value);
    json_object_end(writer);
    json_writer_close(writer);
    int code = engine_journal(session->engine, session->now_ns, name, body.data, err);
    text_release(&body);
    return code;
}

int session_store_source(struct session *session, const struct source *source, struct error *err)
{
    struct text json;
    text_init(&json, SOURCE_JSON_MAX);
    source_write(source, &json);
    int code = ledger_put_source(session->ledger, source->hash, json.data, json.length, err);
    text_release(&json);
    return code;
}
