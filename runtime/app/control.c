/* control.c - see control.h.
 *
 * What changes something goes this way: checked, so that nothing that cannot be done is recorded;
 * the latch, where it is a halt; the journal; the engine; what the venue says at once. */
#include "runtime/app/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/operate/control.h"
#include "runtime/operate/latch.h"
#include "runtime/operate/sentinel.h"

#define BODY_MAX 4096
#define WHY_DEFAULT 20
#define WHY_MOST 256

/* One request on its way. */
struct request {
    struct session *session;
    const struct json *root;
    const char *command, *peer;
    struct json_writer *writer; /* of the answer, within its object */
    bool is_repeated;           /* from the journal of a replay: there is nobody to answer */
    struct error *err;          /* of the session, when a handler returns FAILED */
};

/* What a handler returns, beside a negative code of a refusal, which *why tells. */
enum { DONE = 0, FAILED = 1 };

typedef int handler(struct request *request, struct error *why);

static const char *argument(const struct request *request, const char *name)
{
    return json_as_string(json_get(request->root, name));
}

static bool flag(const struct request *request, const char *name)
{
    const struct json *value = json_get(request->root, name);
    return value && json_kind(value) == JSON_BOOL && json_as_bool(value);
}

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static void tell(const struct request *request, const char *message)
{
    if (request->writer)
        put_string(request->writer, "message", message);
}

/* ---- the journal: what was asked, and by whom ---- */

static void write_member(struct json_writer *writer, const struct json *value)
{
    switch (json_kind(value)) {
    case JSON_STRING:
        json_string(writer, json_as_string(value));
        return;
    case JSON_NUMBER:
        json_number_text(writer, json_as_number_text(value));
        return;
    case JSON_BOOL:
        json_bool(writer, json_as_bool(value));
        return;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        json_null(writer); /* no argument is one of these */
    }
}

/* {"command": ..., arguments ..., "peer": ...}; a repeated one has its peer already. */
static int journal(struct request *request)
{
    struct session *session = request->session;
    struct text body;
    text_init(&body, CONTROL_LINE_MAX * 8);
    struct json_writer *writer = json_writer_open(&body, false);
    json_object_begin(writer);
    for (size_t i = 0; i < json_count(request->root); i++) {
        const char *key = json_key_at(request->root, i);
        if (strcmp(key, "peer") == 0)
            continue;
        json_key(writer, key);
        write_member(writer, json_at(request->root, i));
    }
    put_string(writer, "peer", request->peer);
    json_object_end(writer);
    json_writer_close(writer);
    int code = engine_journal(session->engine, session->now_ns, "control", body.data, request->err);
    text_release(&body);
    LOG(session->log, LOG_WARN, "control", "asked by an operator",
        F_STR("command", request->command), F_STR("peer", request->peer));
    return code < 0 ? FAILED : DONE;
}

/* What the engine sent is answered, as far as that is at once. */
static int settle(struct request *request, int code)
{
    struct session *session = request->session;
    if (code == 0)
        code = session_settle(session, session->now_ns, request->err);
    return code < 0 ? FAILED : DONE;
}

/* ---- what changes something ---- */

static int halt(struct request *request, struct error *why)
{
    struct session *session = request->session;
    const char *given = argument(request, "reason");
    char reason[REASON_MAX];
    (void)why;
    snprintf(reason, sizeof(reason), "%.110s (%s)", given ? given : "halted by an operator",
             request->peer);
    bool is_emergency = flag(request, "emergency");
    if (!is_emergency) { /* an emergency sets it when it begins, or is not begun in time */
        session_latch(session, "operator_halt", reason, false);
        tell(request, engine_is_halted(session->engine, NULL)
                          ? "it is halted already; runtime resume ends that"
                          : "halted: nothing that adds risk leaves; runtime resume ends it");
    }
    int code = journal(request);
    if (code != DONE)
        return code;
    if (is_emergency) {
        text_copy(session->emergency_why, sizeof(session->emergency_why), reason);
        sentinel_ask(session->sentinel, session->emergency_why);
        tell(request, "emergency stop: everything is canceled, then the run ends with 75");
        return DONE;
    }
    return settle(request, engine_halt(session->engine, session->now_ns, "operator_halt", reason,
                                       false, false, request->err));
}

static int resume(struct request *request, struct error *why)
{
    struct session *session = request->session;
    bool was_halted = engine_is_halted(session->engine, NULL);
    for (uint32_t i = 0; i < session->instruments.count; i++)
        was_halted |= engine_is_instrument_halted(session->engine, i);
    int code = journal(request);
    if (code == DONE)
        code = settle(request, engine_lift_halts(session->engine, session->now_ns, request->peer,
                                                 request->err));
    if (code != DONE)
        return code;
    /* Last: a crash before this leaves a run that is halted, never one that is not. */
    if (session->latch_fd >= 0 && (code = latch_clear(session->latch_fd, why)) < 0)
        return code;
    session->latch_is_set = false;
    tell(request, was_halted ? "resumed: new risk may leave again" : "no halt stood");
    return DONE;
}

static int not_traded(const struct session *session, const char *symbol, struct error *why)
{
    struct text list;
    text_init(&list, 4096);
    for (uint32_t i = 0; i < session->instruments.count; i++)
        text_printf(&list, "%s%s", i ? ", " : "", session->instruments.list[i].symbol);
    error_set(why, ERROR_USAGE, "this run does not trade '%.60s'; it trades %.300s", symbol,
              list.data);
    text_release(&list);
    return why->code;
}

static int flatten(struct request *request, struct error *why)
{
    struct session *session = request->session;
    const char *symbol = argument(request, "symbol");
    uint32_t instrument = INSTRUMENT_NONE;
    if (symbol) {
        instrument = instruments_find(&session->instruments, symbol, NULL);
        if (instrument == INSTRUMENT_NONE)
            return not_traded(session, symbol, why);
    }
    int code = journal(request);
    if (code != DONE)
        return code;
    tell(request, symbol ? "entries canceled, the position is being closed at market"
                         : "entries canceled, positions are being closed at market");
    return settle(request,
                  engine_flatten(session->engine, session->now_ns, -1, instrument, request->err));
}

/* Whether this run trades there; NULL: everywhere. */
static bool has_venue(const struct session *session, const char *asked)
{
    const char *venue;
    for (size_t i = 0; engine_breaker(session->engine, i, &venue); i++)
        if (!asked || strcmp(venue, asked) == 0)
            return true;
    return false;
}

static int no_such_venue(const struct session *session, const char *asked, struct error *why)
{
    const char *venue;
    struct text list;
    text_init(&list, 1024);
    for (size_t i = 0; engine_breaker(session->engine, i, &venue); i++)
        text_printf(&list, "%s%s", i ? ", " : "", venue);
    error_set(why, ERROR_USAGE, "this run does not trade on '%.40s'; it trades on %.200s",
              asked ? asked : "any venue", list.length ? list.data : "none");
    text_release(&list);
    return why->code;
}

static int breaker(struct request *request, struct error *why)
{
    struct session *session = request->session;
    const char *venue = argument(request, "venue"), *what = argument(request, "do");
    bool opens = what && strcmp(what, "open") == 0;
    char by[BREAKER_WHY_MAX];
    if (!opens && (!what || strcmp(what, "close") != 0))
        return error_set(why, ERROR_USAGE, "a breaker can be told to open or to close");
    if (!has_venue(session, venue))
        return no_such_venue(session, venue, why);
    int code = journal(request);
    if (code != DONE)
        return code;
    snprintf(by, sizeof(by), "opened by an operator (%s)", request->peer);
    tell(request, opens ? "open: nothing that adds risk leaves; runtime breaker close ends it"
                        : "closed: new risk may leave again");
    return settle(request, engine_set_breaker(session->engine, session->now_ns, venue, opens, by,
                                              request->err));
}

static void put_reloads(struct request *request, size_t index, const char *result,
                        const char *reason)
{
    struct json_writer *writer = request->writer;
    json_object_begin(writer);
    put_string(writer, "file", request->session->strategies[index].path);
    put_string(writer, "result", result);
    put_string(writer, "reason", reason);
    json_object_end(writer);
}

/* What a file holds, and why it is refused, is in the journal by itself: a replay only repeats that
 * somebody asked. */
static int reload(struct request *request, struct error *why)
{
    struct session *session = request->session;
    (void)why;
    int code = journal(request);
    if (code != DONE || request->is_repeated)
        return code;
    json_key(request->writer, "files");
    json_array_begin(request->writer);
    for (size_t i = 0; code == DONE && i < session->strategy_count; i++) {
        const struct strategy_code *before = session->strategies[i].next;
        struct text refused;
        text_init(&refused, BODY_MAX);
        if (reload_ask(session, i, &refused, request->err) < 0)
            code = FAILED;
        bool is_new = session->strategies[i].next && session->strategies[i].next != before;
        put_reloads(request, i,
                    refused.length ? "refused"
                    : is_new       ? "accepted"
                                   : "unchanged",
                    refused.length ? refused.data : NULL);
        text_release(&refused);
    }
    json_array_end(request->writer);
    return code;
}

static int stop(struct request *request, struct error *why)
{
    (void)why;
    int code = journal(request);
    if (code == DONE)
        request->session->stop_asked = "runtime stop";
    tell(request, "stopping in order");
    return code;
}

/* ---- what only looks ---- */

static int status(struct request *request, struct error *why)
{
    (void)why;
    control_view_status(request->session, request->writer);
    return DONE;
}

static int orders(struct request *request, struct error *why)
{
    (void)why;
    control_view_orders(request->session, request->writer);
    return DONE;
}

static int positions(struct request *request, struct error *why)
{
    (void)why;
    control_view_positions(request->session, request->writer);
    return DONE;
}

static int why_not(struct request *request, struct error *why)
{
    const char *count = json_as_number_text(json_get(request->root, "count"));
    long most = count ? strtol(count, NULL, 10) : WHY_DEFAULT;
    (void)why;
    control_view_why(request->session,
                     most < 0          ? 0
                     : most > WHY_MOST ? WHY_MOST
                                       : (size_t)most,
                     request->writer);
    return DONE;
}

static const struct {
    const char *name;
    handler *run;
    bool changes;
} handlers[] = {
    { "halt", halt, true },       { "resume", resume, true },  { "flatten", flatten, true },
    { "breaker", breaker, true }, { "reload", reload, true },  { "stop", stop, true },
    { "status", status, false },  { "orders", orders, false }, { "positions", positions, false },
    { "why", why_not, false },
};

/* ---- one request ---- */

static int dispatch(struct request *request, struct error *why)
{
    for (size_t i = 0; i < ARRAY_SIZE(handlers); i++) {
        if (strcmp(handlers[i].name, request->command) != 0)
            continue;
        if (handlers[i].changes && !request->is_repeated &&
            ledger_replaying(request->session->ledger))
            return error_set(why, ERROR_UNAVAILABLE,
                             "the run is catching up with its ledger; ask again when it trades, or "
                             "end it with SIGTERM");
        return handlers[i].run(request, why);
    }
    return error_set(why, ERROR_USAGE, "unknown command '%.40s'", request->command);
}

static void write_refusal(const struct error *why, struct text *answer)
{
    struct json_writer *writer = json_writer_open(answer, false);
    json_object_begin(writer);
    json_key(writer, "ok");
    json_bool(writer, false);
    json_key(writer, "code");
    json_int(writer, why->code <= ERROR_USAGE ? -why->code : -ERROR_INTERNAL);
    put_string(writer, "message", why->message);
    json_object_end(writer);
    json_writer_close(writer);
}

static int answer_request(struct request *request, struct text *answer)
{
    struct error why = { 0 };
    request->writer = json_writer_open(answer, false);
    json_object_begin(request->writer);
    json_key(request->writer, "ok");
    json_bool(request->writer, true);
    int code = dispatch(request, &why);
    if (code == DONE)
        json_object_end(request->writer);
    json_writer_close(request->writer);
    if (code != DONE) {
        text_clear(answer);
        write_refusal(code == FAILED ? request->err : &why, answer);
    }
    return code == FAILED ? request->err->code : 0;
}

int session_control_answer(struct session *session, const char *text, size_t length,
                           const char *peer, struct text *answer, struct error *err)
{
    struct request request = { .session = session, .peer = peer, .err = err };
    struct error why = { 0 };
    struct json *root = NULL;
    int code = json_parse(text, length, &root, &why);
    request.root = root;
    if (code == 0 && json_kind(root) == JSON_OBJECT)
        request.command = argument(&request, "command");
    if (code == 0 && !request.command)
        error_set(&why, ERROR_USAGE, "a request is an object with a \"command\"");
    code = 0;
    if (request.command)
        code = answer_request(&request, answer);
    else
        write_refusal(&why, answer);
    json_release(root);
    return code;
}

int session_control_repeat(struct session *session, const char *body, struct error *err)
{
    struct request request = { .session = session, .is_repeated = true, .err = err };
    struct error why = { 0 };
    struct json *root;
    int code = json_parse(body, strlen(body), &root, err);
    if (code < 0)
        return error_wrap(err, "read the ledger's journal");
    request.root = root;
    request.command = argument(&request, "command");
    request.peer = argument(&request, "peer");
    code = request.command && request.peer
               ? dispatch(&request, &why)
               : error_set(&why, ERROR_IO, "the ledger's journal: a request without its name");
    json_release(root);
    if (code < 0)
        *err = why;
    return code == FAILED ? err->code : code;
}

/* ---- emergency ---- */

enum stop_policy session_emergency_policy(const struct session *session)
{
    const char *word = config_string(session->config, "risk.emergency");
    return word && strcmp(word, "flatten") == 0 ? POLICY_FLATTEN : POLICY_CANCEL;
}

/* What came as a signal or a file is in the journal like a request: a replay ends there too. */
static int journal_emergency(struct session *session, const char *how, struct error *err)
{
    struct text body;
    text_init(&body, BODY_MAX);
    struct json_writer *writer = json_writer_open(&body, false);
    json_object_begin(writer);
    put_string(writer, "command", "halt");
    json_key(writer, "emergency");
    json_bool(writer, true);
    put_string(writer, "peer", how);
    json_object_end(writer);
    json_writer_close(writer);
    int code = engine_journal(session->engine, session->now_ns, "control", body.data, err);
    text_release(&body);
    return code;
}

int session_emergency(struct session *session, struct error *err)
{
    bool flattens = session_emergency_policy(session) == POLICY_FLATTEN;
    const char *how = session_emergency_asked(session);
    int code = 0;
    sentinel_begun(session->sentinel);
    session_latch(session, "emergency_stop", how, true);
    LOG(session->log, LOG_ERROR, "control", "emergency stop", F_STR("by", how));
    if (!session->emergency_why[0])
        code = journal_emergency(session, how, err);
    if (code == 0)
        code = engine_halt(session->engine, session->now_ns, "emergency_stop", how, true, flattens,
                           err);
    return code < 0 ? code : session_drain(session, err);
}

/* ---- the socket ---- */

static void answer(void *self, const char *request, size_t length, const char *peer,
                   struct text *out)
{
    struct session *session = self;
    struct error err = { 0 };
    int code = session_control_answer(session, request, length, peer, out, &err);
    if (code < 0 && session->control_error.code == 0)
        session->control_error = err;
}

int session_control_open(struct session *session, struct error *err)
{
    struct control_options options = { .state_dir = session->state_dir,
                                       .self = session,
                                       .answer = answer };
    int code = control_open(&options, &session->control, err);
    if (code == 0 || code == ERROR_UNAVAILABLE)
        return code;
    LOG(session->log, LOG_WARN, "control",
        "this run cannot be steered by commands; signals reach it", F_STR("reason", err->message));
    return 0;
}

void session_control_close(struct session *session)
{
    control_close(session->control);
    session->control = NULL;
}

int session_control_poll(struct session *session, struct error *err)
{
    control_poll(session->control);
    if (session->control_error.code == 0)
        return 0;
    *err = session->control_error;
    return err->code;
}
