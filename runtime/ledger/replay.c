/* replay.c - a session that is run again: what it does must be what was recorded.
 *
 * The rows of trading_events of the session are read in order beside the turns; equal ones are
 * passed over, the first difference is an error. After the last row the ledger writes again. A turn
 * is one transaction, so that boundary lies between two turns. */
#include "runtime/ledger/private.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"

enum { ROW_SEQ, ROW_TIME, ROW_EVENT, ROW_KIND, ROW_ORDER_ID, ROW_BODY };

void replay_end(struct ledger *ledger)
{
    if (ledger->replay.rows)
        sqlite3_reset(ledger->replay.rows);
    ledger->replay = (struct replay){ 0 };
}

/* Order ids of other sessions that ran between two starts of this one were skipped then, and are
 * now: they lie between the row passed and the next one (`next_seq`, or the end). */
static int skip_order_ids(struct ledger *ledger, int64_t passed_seq, int64_t next_seq,
                          struct error *err)
{
    if (next_seq == passed_seq + 1)
        return 0;
    struct binder last = bind_begin(ledger, LAST_ORDER_ID_BETWEEN);
    bind_int(&last, passed_seq);
    bind_int(&last, next_seq);
    int found = ledger_step(ledger, last.statement, err);
    if (found < 0)
        return found;
    int64_t after = column_int(last.statement, 0) + 1;
    sqlite3_reset(last.statement);
    if (after <= (int64_t)ledger->next_order_id)
        return 0;
    return ledger_set_next_order_id(ledger, after, err);
}

/* Goes to the recorded row after `passed_seq`, or ends the replay. */
static int next_row(struct ledger *ledger, int64_t passed_seq, struct error *err)
{
    int found = ledger_step(ledger, ledger->replay.rows, err);
    if (found < 0)
        return found;
    int64_t seq = found ? column_int(ledger->replay.rows, ROW_SEQ) : INT64_MAX;
    int code = skip_order_ids(ledger, passed_seq, seq, err);
    if (code < 0 || !found) {
        replay_end(ledger);
        return code;
    }
    ledger->replay.seq = seq;
    return 0;
}

int replay_begin(struct ledger *ledger, struct error *err)
{
    struct binder rows = bind_begin(ledger, EVENTS_OF_SESSION);
    bind_int(&rows, ledger->session_id);
    bind_int(&rows, ledger->first_seq);
    ledger->replay = (struct replay){ .active = true, .rows = rows.statement };
    return next_row(ledger, ledger->first_seq - 1, err);
}

/* A piece of a body around its byte `at`. */
static const char *piece(const char *body, size_t at, char *buffer, size_t size)
{
    size_t from = at > 24 ? at - 24 : 0;
    snprintf(buffer, size, "%s%.80s", from ? "..." : "", body + from);
    return buffer;
}

static int differs(struct ledger *ledger, const struct event_row *row, struct error *err)
{
    sqlite3_stmt *recorded = ledger->replay.rows;
    const char *was = column_text(recorded, ROW_BODY);
    size_t at = 0;
    while (was[at] && was[at] == row->body[at])
        at++;
    char was_time[TIME_TEXT_MAX], is_time[TIME_TEXT_MAX], was_piece[96], is_piece[96];
    return error_set(
        err, ERROR_INTERNAL,
        "replay: row %" PRId64 " is not what was recorded: was %s of order %" PRId64
        ", event %" PRId64 ", %s, %s; came %s of order %" PRIu64 ", event %" PRIu64
        ", %s, %s. The data, a strategy or the program is not the same; begin anew with --fresh",
        ledger->replay.seq, column_text(recorded, ROW_KIND), column_int(recorded, ROW_ORDER_ID),
        column_int(recorded, ROW_EVENT), time_format(column_int(recorded, ROW_TIME), was_time),
        piece(was, at, was_piece, sizeof(was_piece)), row->kind, row->order_id, row->event,
        time_format(row->time_ns, is_time), piece(row->body, at, is_piece, sizeof(is_piece)));
}

static bool is_equal(sqlite3_stmt *recorded, const struct event_row *row)
{
    return column_int(recorded, ROW_TIME) == row->time_ns &&
           column_int(recorded, ROW_EVENT) == (int64_t)row->event &&
           column_int(recorded, ROW_ORDER_ID) == (int64_t)row->order_id &&
           strcmp(column_text(recorded, ROW_KIND), row->kind) == 0 &&
           (size_t)sqlite3_column_bytes(recorded, ROW_BODY) == row->body_length &&
           memcmp(column_text(recorded, ROW_BODY), row->body, row->body_length) == 0;
}

static int compare(struct ledger *ledger, const struct event_row *row, struct error *err)
{
    if (!is_equal(ledger->replay.rows, row))
        return differs(ledger, row, err);
    return next_row(ledger, ledger->replay.seq, err);
}

int replay_turn(struct ledger *ledger, const struct turn *turn, struct error *err)
{
    for (size_t i = 0; i < turn->count; i++) {
        const struct record *record = &turn->records[i];
        struct event_row row;
        int code = audit_row(ledger, turn, record, &row, err);
        if (code < 0)
            return code;
        if (!row.kind)
            continue;
        if (!ledger->replay.active)
            return error_set(err, ERROR_INTERNAL,
                             "replay: the last recorded turn, event %" PRIu64
                             ", goes on with a row of kind %s that was not recorded. The data, a "
                             "strategy or the program is not the same; begin anew with --fresh",
                             turn->event, row.kind);
        code = compare(ledger, &row, err);
        if (code < 0)
            return code;
        if (record->kind == RECORD_ORDER)
            commit_set_status(ledger, &record->order);
    }
    ledger->undo_count = 0;
    return 0;
}
