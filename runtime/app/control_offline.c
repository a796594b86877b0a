/* control_offline.c - what a stopped run left, in the form in which a running one tells it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/app/control_client.h"
#include "runtime/base/clock.h"
#include "runtime/ledger/ledger.h"
#include "runtime/operate/latch.h"
#include "runtime/risk/check.h"

#define CHECKPOINT_MAX (16u << 20)

struct offline {
    struct ledger *ledger;
    struct session_record last; /* the newest session */
    struct json_writer *writer;
    bool positions; /* listing these, else orders */
    size_t count;
};

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* ---- orders and positions ---- */

static void put_remaining(void *self, const struct remaining *is)
{
    struct offline *offline = self;
    struct json_writer *writer = offline->writer;
    if (is->is_position != offline->positions)
        return;
    offline->count++;
    if (!writer)
        return;
    json_object_begin(writer);
    put_string(writer, "strategy", is->strategy);
    put_string(writer, "venue", is->venue);
    put_string(writer, "symbol", is->symbol);
    put_string(writer, "qty", is->qty);
    if (!is->is_position) {
        put_string(writer, "client_order_id", is->client_order_id);
        put_string(writer, "venue_order_id", or_null(is->venue_order_id));
        put_string(writer, "side", is->side);
        put_string(writer, "type", is->type);
        put_string(writer, "filled_qty", is->filled_qty);
        put_string(writer, "price", or_null(is->price));
        put_string(writer, "trigger_price", or_null(is->trigger_price));
        put_string(writer, "status", is->status);
        json_key(writer, "reduce_only");
        json_bool(writer, is->reduce_only);
    }
    json_object_end(writer);
}

static int each_remaining(struct offline *offline, bool positions, struct error *err)
{
    bool is_feed = strcmp(offline->last.source, "feed") == 0;
    offline->positions = positions;
    offline->count = 0;
    return ledger_each_remaining_of(offline->ledger, is_feed ? offline->last.session_id : 0,
                                    put_remaining, offline, err);
}

static int list(struct offline *offline, bool positions, struct error *err)
{
    json_key(offline->writer, positions ? "positions" : "orders");
    json_array_begin(offline->writer);
    int code = each_remaining(offline, positions, err);
    json_array_end(offline->writer);
    return code;
}

/* ---- why ---- */

static const char *or_empty(const struct json *node)
{
    const char *text = json_as_string(node);
    return text ? text : "";
}

/* The row of an order that found a loss at its limit is a blocked one: no order left. */
static const char *verdict_of(const char *kind, const char *code)
{
    bool is_loss = strcmp(code, limit_info(LIMIT_DAILY_LOSS)->code) == 0 ||
                   strcmp(code, limit_info(LIMIT_DRAWDOWN)->code) == 0;
    if (strcmp(kind, "reduced") == 0)
        return verdict_name(VERDICT_REDUCE);
    return verdict_name(is_loss || strcmp(kind, "halt") == 0 ? VERDICT_HALT : VERDICT_BLOCK);
}

/* A blocked request has its terms in its row; a halt is {"name","body":{"code","reason"}}. */
static void put_refusal(void *self, const char *kind, int64_t time_ns, const char *body)
{
    struct json_writer *writer = ((struct offline *)self)->writer;
    struct json *root;
    if (json_parse(body, strlen(body), &root, NULL) < 0)
        return;
    const struct json *inner = json_get(root, "body");
    const struct json *source = inner ? inner : root;
    bool is_blocked = strcmp(kind, "blocked") == 0;
    json_object_begin(writer);
    json_key(writer, "time");
    json_time(writer, time_ns);
    put_string(writer, "verdict", verdict_of(kind, or_empty(json_get(source, "code"))));
    put_string(writer, "strategy", or_null(json_as_string(json_get(root, "strategy"))));
    put_string(writer, "symbol", json_as_string(json_get(root, "symbol")));
    put_string(writer, "side", json_as_string(json_get(root, "side")));
    put_string(writer, "asked", json_as_string(json_get(root, "qty")));
    put_string(writer, "allowed",
               is_blocked ? "0" : or_null(json_as_string(json_get(root, "allowed"))));
    put_string(writer, "code", json_as_string(json_get(source, "code")));
    put_string(writer, "reason", json_as_string(json_get(source, "reason")));
    json_object_end(writer);
    json_release(root);
}

static int why(struct offline *offline, size_t count, struct error *err)
{
    json_key(offline->writer, "verdicts");
    json_array_begin(offline->writer);
    int code = ledger_each_refusal(offline->ledger, count, put_refusal, offline, err);
    json_array_end(offline->writer);
    return code;
}

/* ---- status ---- */

struct standing {
    struct json_writer *writer;
    bool found;
    char code[32], reason[REASON_MAX];
};

/* The session's is kept for later; the others are written. */
static void note_halt(void *self, const struct standing_halt *halt)
{
    struct standing *standing = self;
    if (strcmp(halt->halt.scope, "session") != 0) {
        json_object_begin(standing->writer);
        put_string(standing->writer, "scope", halt->halt.scope);
        put_string(standing->writer, "code", halt->halt.code);
        put_string(standing->writer, "reason", halt->halt.reason);
        json_object_end(standing->writer);
        return;
    }
    standing->found = true;
    text_copy(standing->code, sizeof(standing->code), halt->halt.code);
    text_copy(standing->reason, sizeof(standing->reason), halt->halt.reason);
}

/* The latch stands beside the ledger's halts: one that was set when nothing could be written. */
static int put_halt(const struct options *options, struct offline *offline, struct error *err)
{
    struct standing standing = { .writer = offline->writer };
    struct latch_record latch;
    json_key(offline->writer, "halts");
    json_array_begin(offline->writer);
    int code = ledger_each_standing_halt(offline->ledger, note_halt, &standing, err);
    json_array_end(offline->writer);
    if (code < 0)
        return code;
    struct error unreadable = { 0 };
    if (latch_look(options->state, control_mode(options), &latch, &unreadable) < 0)
        latch.set = true; /* and says so itself */
    if (latch.set && !standing.found) {
        standing.found = true;
        text_copy(standing.code, sizeof(standing.code), latch.code);
        text_copy(standing.reason, sizeof(standing.reason), latch.reason);
    }
    json_key(offline->writer, "halt");
    if (!standing.found) {
        json_null(offline->writer);
        return 0;
    }
    json_object_begin(offline->writer);
    put_string(offline->writer, "code", standing.code);
    put_string(offline->writer, "reason", standing.reason);
    json_object_end(offline->writer);
    return 0;
}

/* The account's figures of its newest day, as the engine left them for a restart
 * (runtime/engine/scopes.c). A run on a feed leaves none. */
static void put_day(struct offline *offline, const char *equity_text)
{
    char *bytes = NULL, day[DAY_TEXT_MAX], pnl[DECIMAL_TEXT_MAX];
    size_t length = 0;
    struct json *root = NULL;
    struct json_writer *writer = offline->writer;
    if (strcmp(offline->last.source, "feed") == 0 ||
        ledger_state(offline->ledger, 0, &bytes, &length, NULL) < 0 || !bytes)
        return;
    (void)!json_parse(bytes, length, &root, NULL);
    const struct json *account = json_get(json_get(root, "scopes"), "the account");
    const char *end = json_as_number_text(json_get(root, "day_end_ns"));
    const char *opening_text = json_as_string(json_get(account, "opening"));
    decimal equity, opening;
    if (account && end) {
        bool is_known = equity_text && opening_text &&
                        decimal_parse(equity_text, strlen(equity_text), &equity) == 0 &&
                        decimal_parse(opening_text, strlen(opening_text), &opening) == 0;
        json_key(writer, "day");
        json_object_begin(writer);
        put_string(writer, "date", time_format_day(strtoll(end, NULL, 10) - NS_PER_DAY, day));
        put_string(writer, "opening_equity", opening_text);
        put_string(writer, "pnl",
                   is_known ? decimal_format(decimal_sub(equity, opening), pnl) : NULL);
        put_string(writer, "volume", json_as_string(json_get(account, "volume")));
        const char *trades = json_as_number_text(json_get(account, "trades"));
        json_key(writer, "trades");
        json_int(writer, trades ? strtoll(trades, NULL, 10) : 0);
        json_object_end(writer);
    }
    json_release(root);
    free(bytes);
}

/* Equity and cash as the checkpoint has them: the ledger holds no prices. */
static void put_checkpoint(const struct options *options, struct offline *offline)
{
    struct json_writer *writer = offline->writer;
    char path[1100], *bytes = NULL;
    size_t length;
    struct json *root = NULL;
    snprintf(path, sizeof(path), "%.900s/checkpoints/%s_state_latest.json", options->state,
             control_mode(options));
    if (text_read_file(path, CHECKPOINT_MAX, &bytes, &length, NULL) == 0)
        (void)!json_parse(bytes, length, &root, NULL);
    put_string(writer, "equity", json_as_string(json_get(root, "equity")));
    put_string(writer, "cash", json_as_string(json_get(root, "cash")));
    put_day(offline, json_as_string(json_get(root, "equity")));
    const struct json *strategies = json_get(root, "strategies");
    json_key(writer, "strategies");
    json_array_begin(writer);
    for (size_t i = 0; i < json_count(strategies); i++) {
        const struct json *one = json_at(strategies, i);
        json_object_begin(writer);
        put_string(writer, "strategy", json_as_string(json_get(one, "name")));
        put_string(writer, "version", json_as_string(json_get(one, "version")));
        put_string(writer, "file", json_as_string(json_get(one, "file")));
        put_string(writer, "symbol", json_as_string(json_get(one, "symbol")));
        put_string(writer, "state", "stopped");
        json_object_end(writer);
    }
    json_array_end(writer);
    json_release(root);
    free(bytes);
}

static int status(const struct options *options, struct offline *offline, struct error *err)
{
    struct json_writer *writer = offline->writer;
    const struct session_record *last = &offline->last;
    json_key(writer, "running");
    json_bool(writer, false);
    put_string(writer, "mode", control_mode(options));
    put_string(writer, "source", last->source);
    json_key(writer, "session");
    json_int(writer, last->session_id);
    json_key(writer, "time");
    json_time(writer, last->market_ns);
    json_key(writer, "started");
    json_time(writer, last->started_ns);
    put_string(writer, "phase", last->ended_ns == TIME_NEVER ? "crashed" : "ended");
    int code = put_halt(options, offline, err);
    put_checkpoint(options, offline);
    offline->writer = NULL;
    if (code == 0)
        code = each_remaining(offline, false, err);
    offline->writer = writer;
    json_key(writer, "open_orders");
    json_int(writer, (int64_t)offline->count);
    return code < 0 ? code : list(offline, true, err);
}

/* ---- is somebody there? ---- */

/* A line: "12: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF". Devices are told differently by some
 * file systems; of an inode of that number elsewhere nothing worse comes than a short wait. */
static bool is_lock_of(const char *line, unsigned long inode)
{
    unsigned long seen = 0;
    return sscanf(line, "%*d: FLOCK ADVISORY WRITE %*d %*x:%*x:%lu", &seen) == 1 && seen == inode;
}

bool control_is_held(const struct options *options)
{
    char path[1100], line[256];
    struct stat lock;
    bool found = false;
    snprintf(path, sizeof(path), "%.900s/lock", options->state);
    FILE *locks = stat(path, &lock) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (locks && !found && fgets(line, sizeof(line), locks))
        found = is_lock_of(line, (unsigned long)lock.st_ino);
    if (locks)
        fclose(locks);
    return found;
}

/* ---- one answer ---- */

const char *control_mode(const struct options *options)
{
    char paper[1100], live[1100];
    if (options->mode)
        return options->mode;
    snprintf(paper, sizeof(paper), "%.900s/ledger-paper.sqlite", options->state);
    snprintf(live, sizeof(live), "%.900s/ledger-live.sqlite", options->state);
    return access(paper, F_OK) != 0 && access(live, F_OK) == 0 ? "live" : "paper";
}

static int tell(const struct options *options, struct offline *offline, const char *what,
                size_t count, struct error *err)
{
    if (strcmp(what, "status") == 0)
        return status(options, offline, err);
    if (strcmp(what, "why") == 0)
        return why(offline, count, err);
    return list(offline, strcmp(what, "positions") == 0, err);
}

int control_offline(const struct options *options, const char *what, size_t count,
                    struct text *answer, struct error *err)
{
    char path[1100];
    bool found = false;
    struct offline offline = { 0 };
    snprintf(path, sizeof(path), "%.900s/ledger-%s.sqlite", options->state, control_mode(options));
    if (access(path, F_OK) != 0)
        return error_at(err, ERROR_UNAVAILABLE, options->state,
                        "nothing runs in this state directory, and nothing ever did; name another "
                        "with --state");
    struct ledger_options ledger = { .path = path };
    int code = ledger_open(&ledger, &offline.ledger, err);
    if (code < 0)
        return code;
    code = ledger_last_session(offline.ledger, control_mode(options), NULL, &found, &offline.last,
                               err);
    if (code == 0 && !found)
        code = error_at(err, ERROR_UNAVAILABLE, options->state, "nothing ever ran there");
    if (code == 0) {
        offline.writer = json_writer_open(answer, false);
        json_object_begin(offline.writer);
        json_key(offline.writer, "ok");
        json_bool(offline.writer, true);
        code = tell(options, &offline, what, count, err);
        if (code == 0)
            json_object_end(offline.writer);
        json_writer_close(offline.writer);
    }
    session_record_release(&offline.last);
    ledger_close(offline.ledger);
    return code;
}
