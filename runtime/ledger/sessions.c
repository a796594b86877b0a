/* sessions.c - runs of the program on one ledger, and the instances that ran in them. */
#include "runtime/ledger/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void session_record_release(struct session_record *record)
{
    free(record->config);
    record->config = NULL;
}

static char *copy_text(const char *bytes, size_t length)
{
    char *copy = memory_new(length + 1);
    memcpy(copy, bytes, length);
    return copy;
}

/* ---- reading ---- */

enum {
    SESSION_EPOCH,
    SESSION_MODE,
    SESSION_SOURCE,
    SESSION_STARTED,
    SESSION_MARKET,
    SESSION_ENDED,
    SESSION_EVENTS,
    SESSION_FIRST_SEQ,
    SESSION_FIRST_ORDER,
    SESSION_CONFIG,
    SESSION_BUILD
};

/* Time and event reached are those of the newest row when that is later: a commit that adds rows
 * does not write the session's own row as well. */
static int read_reached(struct ledger *ledger, struct session_record *record, int64_t first_seq,
                        struct error *err)
{
    struct binder last = bind_begin(ledger, LAST_EVENT_OF_SESSION);
    bind_int(&last, record->session_id);
    bind_int(&last, first_seq);
    int found = ledger_step(ledger, last.statement, err);
    if (found <= 0)
        return found;
    int64_t time_ns = column_int(last.statement, 0);
    uint64_t event = (uint64_t)column_int(last.statement, 1);
    sqlite3_reset(last.statement);
    if (time_ns > record->market_ns)
        record->market_ns = time_ns;
    if (event > record->events)
        record->events = event;
    return 0;
}

static int read_session(struct ledger *ledger, int64_t session_id, struct session_record *record,
                        struct error *err)
{
    struct binder get = bind_begin(ledger, SELECT_SESSION);
    bind_int(&get, session_id);
    int found = ledger_step(ledger, get.statement, err);
    if (found < 0)
        return found;
    if (!found)
        return error_set(err, ERROR_INTERNAL, "ledger %s has no session %" PRId64, ledger->path,
                         session_id);

    sqlite3_stmt *row = get.statement;
    *record = (struct session_record){
        .session_id = session_id,
        .epoch = column_int(row, SESSION_EPOCH),
        .started_ns = column_int(row, SESSION_STARTED),
        .market_ns = column_int(row, SESSION_MARKET),
        .ended_ns = column_time(row, SESSION_ENDED),
        .events = (uint64_t)column_int(row, SESSION_EVENTS),
    };
    int64_t first_seq = column_int(row, SESSION_FIRST_SEQ);
    text_copy(record->mode, sizeof(record->mode), column_text(row, SESSION_MODE));
    text_copy(record->source, sizeof(record->source), column_text(row, SESSION_SOURCE));
    text_copy(record->build, sizeof(record->build), column_text(row, SESSION_BUILD));
    const char *config = column_text(row, SESSION_CONFIG);
    record->config = copy_text(config, strlen(config));
    sqlite3_reset(row);

    int code = read_reached(ledger, record, first_seq, err);
    if (code < 0)
        session_record_release(record);
    return code;
}

int ledger_last_session(struct ledger *ledger, const char *mode, const char *source, bool *found,
                        struct session_record *out, struct error *err)
{
    *found = false;
    struct binder last = bind_begin(ledger, LAST_SESSION);
    bind_text(&last, mode);
    bind_text(&last, source ? source : "");
    int there = ledger_step(ledger, last.statement, err);
    if (there <= 0)
        return there;
    int64_t session_id = column_int(last.statement, 0);
    sqlite3_reset(last.statement);
    int code = read_session(ledger, session_id, out, err);
    *found = code == 0;
    return code;
}

static int read_one(struct ledger *ledger, enum statement which, int64_t *value, struct error *err)
{
    struct binder get = bind_begin(ledger, which);
    int found = ledger_step(ledger, get.statement, err);
    if (found < 0)
        return found;
    *value = column_int(get.statement, 0);
    sqlite3_reset(get.statement);
    return 0;
}

/* ---- beginning ---- */

static int insert_session(struct ledger *ledger, struct session_record *record, struct error *err)
{
    struct binder put = bind_begin(ledger, INSERT_SESSION);
    bind_int(&put, record->epoch);
    bind_text(&put, record->mode);
    bind_text(&put, record->source);
    bind_int(&put, record->started_ns);
    if (record->market_ns < record->started_ns)
        record->market_ns = record->started_ns;
    bind_int(&put, record->market_ns);
    bind_int(&put, (int64_t)record->events);
    bind_int(&put, ledger->seq + 1);
    bind_int(&put, (int64_t)ledger->next_order_id);
    bind_text(&put, record->config ? record->config : "");
    bind_text(&put, record->build);
    int code = ledger_run(ledger, &put, err, "begin a session");
    record->session_id = sqlite3_last_insert_rowid(ledger->db);
    ledger->first_seq = ledger->seq + 1;
    return code;
}

/* Going on from the ledger is a new start: its orders get a new epoch, for the file may be a backup
 * that knows nothing of ids used since. */
static int resume_session(struct ledger *ledger, const struct session_record *record,
                          struct error *err)
{
    struct binder put = bind_begin(ledger, RESUME_SESSION);
    bind_int(&put, record->epoch);
    bind_text(&put, record->config ? record->config : "");
    bind_text(&put, record->build);
    bind_int(&put, record->session_id);
    return ledger_run(ledger, &put, err, "resume session %" PRId64, record->session_id);
}

/* Running again from the start: everything as it was, the ids too. */
static int reopen_session(struct ledger *ledger, const struct session_record *record,
                          struct error *err)
{
    struct binder put = bind_begin(ledger, REOPEN_SESSION);
    bind_int(&put, record->session_id);
    return ledger_run(ledger, &put, err, "resume session %" PRId64, record->session_id);
}

/* first_seq and first_order_id of a session that is there. */
static int read_firsts(struct ledger *ledger, int64_t session_id, int64_t *first_order_id,
                       struct error *err)
{
    struct binder get = bind_begin(ledger, SELECT_SESSION);
    bind_int(&get, session_id);
    int found = ledger_step(ledger, get.statement, err);
    if (found <= 0)
        return found < 0 ? found
                         : error_set(err, ERROR_INTERNAL, "ledger %s has no session %" PRId64,
                                     ledger->path, session_id);
    ledger->first_seq = column_int(get.statement, SESSION_FIRST_SEQ);
    *first_order_id = column_int(get.statement, SESSION_FIRST_ORDER);
    sqlite3_reset(get.statement);
    return 0;
}

/* Sessions that are run again from their start share nothing with one another. */
static void set_scope(struct ledger *ledger, const struct session_record *record)
{
    text_copy(ledger->source, sizeof(ledger->source), record->source);
    ledger->is_alone = strcmp(record->source, "feed") == 0 || strcmp(record->mode, "backtest") == 0;
    if (ledger->is_alone)
        snprintf(ledger->scope, sizeof(ledger->scope), "%s#%" PRId64, record->source,
                 record->session_id);
    else
        text_copy(ledger->scope, sizeof(ledger->scope), record->source);
}

int ledger_session_begin(struct ledger *ledger, struct session_record *record, bool resume,
                         bool replay, int64_t now_wall_ns, struct error *err)
{
    ASSERT(!replay || resume);
    replay_end(ledger);
    ledger->session_id = 0;
    ledger->instance_count = 0;
    free(ledger->last_status);
    ledger->last_status = NULL;
    ledger->last_status_capacity = 0;

    int64_t last_epoch = 0, last_order_id = 0, first_order_id = 0;
    int code = read_one(ledger, LAST_EPOCH, &last_epoch, err);
    if (code == 0)
        code = read_one(ledger, LAST_ORDER_ID, &last_order_id, err);
    if (code == 0 && resume)
        code = read_firsts(ledger, record->session_id, &first_order_id, err);
    if (code < 0)
        return code;

    if (!replay) {
        int64_t now = now_wall_ns / NS_PER_SECOND;
        record->epoch = now > last_epoch ? now : last_epoch + 1;
    }
    code = ledger_set_next_order_id(ledger, replay ? first_order_id : last_order_id + 1, err);
    if (code < 0)
        return code;
    ledger->base_order_id = ledger->next_order_id;
    if (!resume)
        code = insert_session(ledger, record, err);
    else
        code = replay ? reopen_session(ledger, record, err) : resume_session(ledger, record, err);
    if (code < 0)
        return code;

    record->ended_ns = TIME_NEVER;
    ledger->epoch = record->epoch;
    ledger->session_id = record->session_id;
    set_scope(ledger, record);
    return replay ? replay_begin(ledger, err) : 0;
}

bool ledger_replaying(const struct ledger *ledger)
{
    return ledger->replay.active;
}

/* ---- going on, ending ---- */

int ledger_check_usable(const struct ledger *ledger, struct error *err)
{
    return ledger->broken
               ? error_set(err, ERROR_IO,
                           "ledger %s: an earlier write failed, nothing more is recorded "
                           "in this run: stop, see that the disk is well and has room, "
                           "and start again",
                           ledger->path)
               : 0;
}

int ledger_write_progress(struct ledger *ledger, int64_t market_ns, uint64_t event,
                          struct error *err)
{
    struct binder put = bind_begin(ledger, PROGRESS_SESSION);
    bind_int(&put, market_ns);
    bind_int(&put, (int64_t)event);
    bind_int(&put, ledger->session_id);
    return ledger_run(ledger, &put, err, "write the time reached");
}

int ledger_progress(struct ledger *ledger, int64_t market_ns, uint64_t event, struct error *err)
{
    ASSERT(ledger->session_id != 0);
    if (ledger->replay.active)
        return 0;
    int code = ledger_check_usable(ledger, err);
    if (code == 0)
        code = ledger_write_progress(ledger, market_ns, event, err);
    return code < 0 ? code : commit_group(ledger, err);
}

int ledger_session_end(struct ledger *ledger, int64_t market_ns, struct error *err)
{
    ASSERT(ledger->session_id != 0);
    if (ledger->replay.active)
        return error_set(err, ERROR_INTERNAL,
                         "replay: the session ended before row %" PRId64
                         ", which was recorded. The data, a strategy or the program is not the "
                         "same; begin anew with --fresh",
                         ledger->replay.seq);
    int code = ledger_check_usable(ledger, err);
    if (code < 0)
        return code;
    struct binder put = bind_begin(ledger, END_SESSION);
    bind_int(&put, market_ns);
    bind_int(&put, ledger->session_id);
    code = ledger_run(ledger, &put, err, "end the session");
    return code < 0 ? code : commit_group(ledger, err);
}

void ledger_group_turns(struct ledger *ledger)
{
    ledger->grouping = true;
}

/* ---- instances ---- */

static int insert_instance(struct ledger *ledger, struct instance_record *record, struct error *err)
{
    struct binder put = bind_begin(ledger, INSERT_INSTANCE);
    bind_text(&put, ledger->scope);
    bind_text(&put, record->strategy);
    bind_text(&put, record->symbol);
    bind_text(&put, record->version);
    bind_text(&put, record->file);
    bind_text(&put, record->hash);
    bind_money(&put, record->capital);
    int code =
        ledger_run(ledger, &put, err, "add instance %s %s", record->strategy, record->symbol);
    record->instance_id = (uint32_t)sqlite3_last_insert_rowid(ledger->db);
    return code;
}

static int update_instance(struct ledger *ledger, const struct instance_record *record,
                           struct error *err)
{
    struct binder put = bind_begin(ledger, UPDATE_INSTANCE);
    bind_text(&put, record->version);
    bind_text(&put, record->file);
    bind_text(&put, record->hash);
    bind_int(&put, record->instance_id);
    return ledger_run(ledger, &put, err, "update instance %s %s", record->strategy, record->symbol);
}

/* A reload tells version and hash of the same instance again. */
static void remember_instance(struct ledger *ledger, const struct instance_record *record)
{
    size_t at = 0;
    while (at < ledger->instance_count && ledger->instances[at].instance_id != record->instance_id)
        at++;
    if (at == ledger->instance_count) {
        ledger->instances = memory_grow(ledger->instances, &ledger->instance_capacity, at + 1,
                                        sizeof(*ledger->instances));
        ledger->instance_count++;
    }
    struct session_instance *instance = &ledger->instances[at];
    *instance = (struct session_instance){ .instance_id = record->instance_id };
    text_copy(instance->strategy, sizeof(instance->strategy), record->strategy);
    text_copy(instance->version, sizeof(instance->version), record->version);
    text_copy(instance->file, sizeof(instance->file), record->file);
    text_copy(instance->symbol, sizeof(instance->symbol), record->symbol);
    text_copy(instance->hash, sizeof(instance->hash), record->hash);
}

int ledger_instance(struct ledger *ledger, struct instance_record *record, bool *is_new,
                    struct error *err)
{
    ASSERT(ledger->session_id != 0);
    struct binder find = bind_begin(ledger, SELECT_INSTANCE);
    bind_text(&find, ledger->scope);
    bind_text(&find, record->strategy);
    bind_text(&find, record->symbol);
    int found = ledger_step(ledger, find.statement, err);
    if (found < 0)
        return found;

    *is_new = found == 0;
    int code;
    if (found) {
        record->instance_id = (uint32_t)column_int(find.statement, 0);
        bool readable = column_decimal(find.statement, 1, &record->capital);
        sqlite3_reset(find.statement);
        code = readable ? update_instance(ledger, record, err)
                        : error_set(err, ERROR_IO, "ledger: instance %s %s has no readable capital",
                                    record->strategy, record->symbol);
    } else {
        code = insert_instance(ledger, record, err);
    }
    if (code == 0)
        remember_instance(ledger, record);
    return code;
}

int ledger_recall_instance(struct ledger *ledger, uint32_t instance_id,
                           struct instance_record *record, struct error *err)
{
    struct binder find = bind_begin(ledger, INSTANCE_BY_ID);
    bind_int(&find, instance_id);
    int found = ledger_step(ledger, find.statement, err);
    if (found < 0)
        return found;
    if (!found)
        return error_set(err, ERROR_INTERNAL, "ledger %s has no instance %" PRIu32, ledger->path,
                         instance_id);
    sqlite3_stmt *row = find.statement;
    *record = (struct instance_record){ .instance_id = instance_id };
    text_copy(record->strategy, sizeof(record->strategy), column_text(row, 0));
    text_copy(record->symbol, sizeof(record->symbol), column_text(row, 1));
    text_copy(record->version, sizeof(record->version), column_text(row, 2));
    text_copy(record->file, sizeof(record->file), column_text(row, 3));
    text_copy(record->hash, sizeof(record->hash), column_text(row, 4));
    bool readable = column_decimal(row, 5, &record->capital);
    sqlite3_reset(row);
    if (!readable)
        return error_set(err, ERROR_IO, "ledger: instance %s %s has no readable capital",
                         record->strategy, record->symbol);
    remember_instance(ledger, record);
    return 0;
}

/* What instances of this scope hold that do not run now: "momentum BTC/USDT:USDT 0.5, ...". */
int ledger_left_over(struct ledger *ledger, struct text *out, struct error *err)
{
    struct binder find = bind_begin(ledger, LEFT_OVER);
    bind_text(&find, ledger->scope);
    int found;
    while ((found = ledger_step(ledger, find.statement, err)) > 0) {
        bool runs = false;
        for (size_t i = 0; i < ledger->instance_count; i++)
            runs |= ledger->instances[i].instance_id == (uint32_t)column_int(find.statement, 0);
        if (!runs)
            text_printf(out, "%s%s %s %s", out->length ? ", " : "", column_text(find.statement, 1),
                        column_text(find.statement, 2), column_text(find.statement, 3));
    }
    return found;
}
