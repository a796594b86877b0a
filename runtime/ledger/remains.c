/* remains.c - what a stopped process left: halts that stand, orders that rest, positions. Works on
 * a ledger in which no session has begun. */
#include "runtime/ledger/private.h"

#include <stdlib.h>
#include <string.h>

/* ---- halts ---- */

enum { HALT_SCOPE, HALT_CODE, HALT_REASON, HALT_SINCE, HALT_MODE, HALT_SOURCE, HALT_NAME };

int ledger_each_standing_halt(struct ledger *ledger,
                              void (*visit)(void *self, const struct standing_halt *halt),
                              void *self, struct error *err)
{
    struct binder rows = bind_begin(ledger, STANDING_HALTS);
    int found;
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        struct standing_halt standing = { .since_ns = column_int(rows.statement, HALT_SINCE) };
        struct halt_record *halt = &standing.halt;
        text_copy(halt->scope, sizeof(halt->scope), column_text(rows.statement, HALT_NAME));
        text_copy(halt->code, sizeof(halt->code), column_text(rows.statement, HALT_CODE));
        text_copy(halt->reason, sizeof(halt->reason), column_text(rows.statement, HALT_REASON));
        visit(self, &standing);
    }
    return found;
}

int ledger_clean_days(struct ledger *ledger, uint32_t *days, struct error *err)
{
    struct binder rows = bind_begin(ledger, CLEAN_DAYS);
    int found = ledger_step(ledger, rows.statement, err);
    *days = found > 0 ? (uint32_t)column_int(rows.statement, 0) : 0;
    return found < 0 ? found : 0;
}

struct lifted {
    char mode[12], source[VENUE_MAX], scope[96];
    bool is_done;
};

/* Several halts of one scope end with one record. */
static int list_scopes(struct ledger *ledger, struct lifted **list, size_t *count, int *halts,
                       struct error *err)
{
    size_t capacity = 0;
    int found;
    struct binder rows = bind_begin(ledger, STANDING_HALTS);
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        struct lifted one = { .is_done = false };
        bool is_known = false;
        text_copy(one.mode, sizeof(one.mode), column_text(rows.statement, HALT_MODE));
        text_copy(one.source, sizeof(one.source), column_text(rows.statement, HALT_SOURCE));
        text_copy(one.scope, sizeof(one.scope), column_text(rows.statement, HALT_SCOPE));
        for (size_t i = 0; i < *count && !is_known; i++)
            is_known = strcmp((*list)[i].source, one.source) == 0 &&
                       strcmp((*list)[i].mode, one.mode) == 0 &&
                       strcmp((*list)[i].scope, one.scope) == 0;
        ++*halts;
        if (is_known)
            continue;
        *list = memory_grow(*list, &capacity, *count + 1, sizeof(**list));
        (*list)[(*count)++] = one;
    }
    return found;
}

/* All scopes of one source, as a turn of its newest session. */
static int lift_source(struct ledger *ledger, struct lifted *list, size_t count, const char *body,
                       struct error *err)
{
    struct session_record last = { 0 };
    bool found = false;
    int code = ledger_last_session(ledger, list->mode, list->source, &found, &last, err);
    if (code < 0)
        return code;
    struct record *records = memory_new(count * sizeof(*records));
    struct turn turn = { .time_ns = last.market_ns, .event = last.events, .records = records };
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].source, list->source) != 0 || strcmp(list[i].mode, list->mode) != 0)
            continue;
        struct record *record = &records[turn.count++];
        *record = (struct record){ .kind = RECORD_HALT, .instrument = INSTRUMENT_NONE };
        record->name = list[i].scope;
        record->body = body;
        record->body_length = strlen(body);
        list[i].is_done = true;
    }
    ledger->session_id = last.session_id;
    text_copy(ledger->source, sizeof(ledger->source), list->source);
    code = commit_turn(ledger, &turn, err);
    ledger->session_id = 0;
    free(records);
    session_record_release(&last);
    return code;
}

int ledger_lift_halts(struct ledger *ledger, const char *by, int64_t wall_ns, struct error *err)
{
    ASSERT(ledger->session_id == 0);
    struct lifted *list = NULL;
    size_t count = 0;
    int halts = 0;
    int code = list_scopes(ledger, &list, &count, &halts, err);
    struct text body;
    text_init(&body, 4096);
    struct json_writer *writer = json_writer_open(&body, false);
    json_object_begin(writer);
    json_key(writer, "lifted_by");
    json_string(writer, by);
    json_key(writer, "wall_ns");
    json_int(writer, wall_ns);
    json_object_end(writer);
    json_writer_close(writer);
    for (size_t i = 0; code == 0 && i < count; i++)
        if (!list[i].is_done)
            code = lift_source(ledger, &list[i], count - i, body.data, err);
    text_release(&body);
    free(list);
    return code < 0 ? code : halts;
}

/* ---- orders and positions ---- */

static struct remaining remaining_order(sqlite3_stmt *row)
{
    return (struct remaining){
        .instance_id = (uint32_t)column_int(row, 0),
        .strategy = column_text(row, 1),
        .venue = column_text(row, 2),
        .symbol = column_text(row, 3),
        .side = column_text(row, 4),
        .type = column_text(row, 5),
        .qty = column_text(row, 6),
        .filled_qty = column_text(row, 7),
        .price = column_text(row, 8),
        .trigger_price = column_text(row, 9),
        .status = column_text(row, 10),
        .reduce_only = column_int(row, 11) != 0,
        .client_order_id = column_text(row, 12),
        .venue_order_id = column_text(row, 13),
    };
}

static struct remaining remaining_position(sqlite3_stmt *row)
{
    return (struct remaining){
        .is_position = true,
        .instance_id = (uint32_t)column_int(row, 0),
        .strategy = column_text(row, 1),
        .venue = column_text(row, 2),
        .symbol = column_text(row, 3),
        .qty = column_text(row, 4),
    };
}

int ledger_each_remaining_of(struct ledger *ledger, int64_t session_id,
                             void (*visit)(void *self, const struct remaining *remaining),
                             void *self, struct error *err)
{
    struct remaining (*read[])(sqlite3_stmt * row) = { remaining_order, remaining_position };
    const enum statement statements[] = { REMAINING_ORDERS, REMAINING_POSITIONS };
    int found = 0;
    for (size_t i = 0; i < ARRAY_SIZE(statements) && found >= 0; i++) {
        struct binder rows = bind_begin(ledger, statements[i]);
        bind_int(&rows, session_id);
        while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
            struct remaining remaining = read[i](rows.statement);
            visit(self, &remaining);
        }
    }
    return found;
}

int ledger_each_remaining(struct ledger *ledger,
                          void (*visit)(void *self, const struct remaining *remaining), void *self,
                          struct error *err)
{
    return ledger_each_remaining_of(ledger, 0, visit, self, err);
}

/* ---- why orders did not leave as asked ---- */

int ledger_each_refusal(struct ledger *ledger, size_t count,
                        void (*visit)(void *self, const char *kind, int64_t time_ns,
                                      const char *body),
                        void *self, struct error *err)
{
    struct binder rows = bind_begin(ledger, REFUSALS);
    int found;
    bind_int(&rows, (int64_t)count);
    while ((found = ledger_step(ledger, rows.statement, err)) > 0)
        visit(self, column_text(rows.statement, 0), column_int(rows.statement, 1),
              column_text(rows.statement, 2));
    return found;
}
