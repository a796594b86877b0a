/* cancel.c - a session without strategies: what a guardian does when trading failed too often. It
 * takes up what the ledger knows, compares the books, cancels, and waits until that is quiet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/setup.h"
#include "runtime/operate/guardian.h"
#include "runtime/operate/latch.h"

/* ---- who holds what ---- */

struct holders {
    struct session *session;
    char (*symbols)[SYMBOL_MAX];
    size_t symbol_count;
    bool too_many;
};

static void note_symbol(struct holders *holders, const char *symbol)
{
    for (size_t i = 0; i < holders->symbol_count; i++)
        if (strcmp(holders->symbols[i], symbol) == 0)
            return;
    holders->too_many |= holders->symbol_count == INSTRUMENTS_MAX;
    if (!holders->too_many)
        text_copy(holders->symbols[holders->symbol_count++], SYMBOL_MAX, symbol);
}

static void note_holder(void *self, const struct remaining *remaining)
{
    struct holders *holders = self;
    struct session *session = holders->session;
    note_symbol(holders, remaining->symbol);
    if (strcmp(remaining->strategy, "external") == 0) /* it is restored as what it is */
        return;
    for (int i = 0; i < session->instance_count; i++)
        if (session->instances[i].record.instance_id == remaining->instance_id)
            return;
    holders->too_many |= session->instance_count == INSTANCES_MAX;
    if (!holders->too_many)
        session->instances[session->instance_count++].record.instance_id = remaining->instance_id;
}

int setup_remains(struct session *session, struct error *err)
{
    struct holders holders = { .session = session };
    int code = setup_open_ledger(session, err);
    if (code < 0)
        return code;
    holders.symbols = memory_new(INSTRUMENTS_MAX * sizeof(*holders.symbols));
    code = ledger_each_remaining(session->ledger, note_holder, &holders, err);
    if (code == 0 && holders.too_many)
        code = error_set(err, ERROR_INTERNAL, "more instances or symbols hold something than fit");
    for (size_t i = 0; code == 0 && i < holders.symbol_count; i++)
        code = setup_instrument(session, holders.symbols[i], err);
    free(holders.symbols);
    return code;
}

/* Each may have traded anything that is left. */
int setup_holders(struct session *session, struct error *err)
{
    uint32_t all[INSTRUMENTS_MAX];
    for (uint32_t i = 0; i < session->instruments.count; i++)
        all[i] = i;
    for (int i = 0; i < session->instance_count; i++) {
        struct instance_record *record = &session->instances[i].record;
        int code = ledger_recall_instance(session->ledger, record->instance_id, record, err);
        if (code < 0)
            return code;
        struct instance_options options = { .instance_id = record->instance_id,
                                            .capital = record->capital,
                                            .instruments = all,
                                            .instrument_count = session->instruments.count,
                                            .on_error = POLICY_CANCEL };
        risk_limits_init(&options.limits);
        text_copy(options.strategy, sizeof(options.strategy), record->strategy);
        if ((code = engine_add_instance(session->engine, &options, err)) < 0)
            return code;
    }
    return 0;
}

/* ---- canceling ---- */

struct canceling {
    struct session *session;
    const struct cancel_options *how;
    enum stop_policy policy;
    int64_t until_ns;
};

/* The external instance follows the others, where there is one. */
static int holder_count(const struct session *session)
{
    return session->instance_count + (session->source == SOURCE_VENUE);
}

struct count {
    bool all;
    size_t orders;
};

static bool count_order(void *self, const struct order *order)
{
    struct count *count = self;
    count->orders += count->all || !order->reduce_only;
    return true;
}

/* Orders that are to go and are still there. */
static size_t orders_left(const struct canceling *canceling)
{
    struct count count = { .all = canceling->how->emergency };
    for (int i = 0; i < holder_count(canceling->session); i++)
        engine_each_order(canceling->session->engine, i, false, count_order, &count);
    return count.orders;
}

static bool is_compared(const struct canceling *canceling)
{
    return !engine_is_reconciling(canceling->session->engine);
}

static bool is_quiet(const struct canceling *canceling)
{
    const struct engine *engine = canceling->session->engine;
    return orders_left(canceling) == 0 && engine_orders_in_flight(engine) == 0 &&
           (canceling->policy != POLICY_FLATTEN || engine_open_orders(engine) == 0);
}

/* Waits for what is due next. False: there is nothing, or not before the limit. */
static bool wait_for(struct canceling *canceling, int64_t due_ns)
{
    const struct cancel_options *how = canceling->how;
    int64_t until_ns = due_ns < canceling->until_ns ? due_ns : canceling->until_ns;
    if (how->wait)
        how->wait(how->wait_self, until_ns);
    else
        return due_ns <= canceling->until_ns;
    return clock_now(canceling->session->wall) < canceling->until_ns;
}

/* Steps until then, or until the limit: who waits for ever helps nobody. */
static int go_on(struct canceling *canceling, bool (*done)(const struct canceling *canceling),
                 struct error *err)
{
    struct session *session = canceling->session;
    const struct cancel_options *how = canceling->how;
    int code = session_drain(session, err);
    while (code == 0 && !done(canceling)) {
        int64_t due_ns = session_due_ns(session);
        guardian_beat(how->heartbeat_fd);
        if (!wait_for(canceling, due_ns))
            return 0;
        if (how->wait && clock_now(session->wall) < due_ns) /* something may have come meanwhile */
            code = session_drain(session, err);
        else
            code = session_step_due(session, due_ns, err);
    }
    return code;
}

static enum stop_policy policy_of(const struct session *session, bool emergency)
{
    const char *word = config_string(session->config, "risk.emergency");
    return emergency && strcmp(word, "flatten") == 0 ? POLICY_FLATTEN : POLICY_CANCEL;
}

/* The next start is halted: in the ledger, and by the latch, where files are written. */
static int halt_for_good(struct canceling *canceling, struct error *err)
{
    struct session *session = canceling->session;
    static const char why[] = "emergency stop";
    if (!session->world || !session->world->without_files) {
        struct error unable = { 0 }; /* to cancel matters more */
        if (latch_open(session->state_dir, session->mode, &session->latch_fd, &unable) < 0)
            LOG(session->log, LOG_ERROR, "session", unable.message, F_STR("where", unable.where));
        session_latch(session, "emergency_stop", why, true);
    }
    return engine_halt(session->engine, session->now_ns, "emergency_stop", why, true,
                       canceling->policy == POLICY_FLATTEN, err);
}

static int cancel(struct canceling *canceling, struct error *err)
{
    struct session *session = canceling->session;
    char result_hash[SHA256_TEXT_MAX];
    int code = go_on(canceling, is_compared, err);
    if (code < 0)
        return code;
    if (!is_compared(canceling)) /* cancels of what is not there do no harm */
        log_line(session->log, LOG_WARN, "session",
                 "the books could not be compared; what the ledger knows of is canceled");
    canceling->until_ns += canceling->how->limit_ns;
    if (canceling->how->emergency && (code = halt_for_good(canceling, err)) < 0)
        return code;
    code = engine_stop(session->engine, session->now_ns, canceling->policy,
                       canceling->how->emergency ? "emergency" : "guardian", err);
    if (code < 0 || (code = go_on(canceling, is_quiet, err)) < 0)
        return code;
    size_t left = orders_left(canceling), in_doubt = engine_orders_in_flight(session->engine);
    if ((code = session_end(session, result_hash, err)) < 0)
        return code;
    if (!is_quiet(canceling))
        return error_set(err, ERROR_UNAVAILABLE,
                         "%zu orders that were canceled are still open, %zu are in doubt", left,
                         in_doubt);
    log_line(session->log, LOG_INFO, "session", "canceled, and quiet");
    return 0;
}

int session_cancel_entries(const struct options *options, const struct session_world *world,
                           struct log *log, const struct cancel_options *how, struct error *err)
{
    struct session *session;
    int code = session_open_remains(options, world, log, &session, err);
    if (code < 0)
        return code;
    session->heartbeat_fd = how->heartbeat_fd;
    struct canceling canceling = { .session = session,
                                   .how = how,
                                   .policy = policy_of(session, how->emergency),
                                   .until_ns = session->now_ns + how->limit_ns };
    code = cancel(&canceling, err);
    session_close(session);
    return code;
}

/* ---- the list of what remains ---- */

/* 80 columns; what is longer is not cut: somebody has to find these orders. */
#define REMAINS_LINE "%-8s %-12s %-18s %-5s %-10s %10s %10s"

static void list_remaining(void *self, const struct remaining *is)
{
    struct text *out = self;
    if (out->length == 0)
        text_printf(out, REMAINS_LINE "\n", "what", "strategy", "symbol", "side", "type", "qty",
                    "price");
    bool is_short = is->is_position && is->qty[0] == '-';
    if (is->is_position)
        text_printf(out, REMAINS_LINE "\n", "position", is->strategy, is->symbol,
                    is_short ? "short" : "long", "", is->qty + is_short, "");
    else
        text_printf(out, REMAINS_LINE "\n%-8s %s, %s\n", is->reduce_only ? "exit" : "order",
                    is->strategy, is->symbol, is->side, is->type, is->qty,
                    is->price[0] ? is->price : is->trigger_price, "", is->status,
                    is->client_order_id);
}

/* A run on a feed that did not end cleanly has its own; else what sources that go on left. */
static int each_remaining(const char *state, const char *mode,
                          void (*visit)(void *self, const struct remaining *remaining), void *self,
                          struct error *err)
{
    char path[700];
    struct session_record last = { 0 };
    bool found = false;
    snprintf(path, sizeof(path), "%.600s/ledger-%s.sqlite", state, mode);
    if (access(path, F_OK) < 0)
        return error_at(err, ERROR_NO_INPUT, path, "there is no ledger");
    struct ledger_options options = { .path = path };
    struct ledger *ledger;
    int code = ledger_open(&options, &ledger, err);
    if (code < 0)
        return code;
    code = ledger_last_session(ledger, mode, NULL, &found, &last, err);
    bool is_feed = found && last.ended_ns == TIME_NEVER && strcmp(last.source, "feed") == 0;
    if (code == 0)
        code = ledger_each_remaining_of(ledger, is_feed ? last.session_id : 0, visit, self, err);
    session_record_release(&last);
    ledger_close(ledger);
    return code;
}

static void count_remaining(void *self, const struct remaining *is)
{
    (void)is;
    ++*(size_t *)self;
}

int remains_count(const char *state, const char *mode, size_t *count, struct error *err)
{
    *count = 0;
    return each_remaining(state, mode, count_remaining, count, err);
}

int remains_list(const char *state, const char *mode, struct text *out, struct error *err)
{
    int code = each_remaining(state, mode, list_remaining, out, err);
    if (code == 0 && out->length == 0)
        text_add(out, "no open order, no position\n");
    return code;
}
