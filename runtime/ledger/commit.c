/* commit.c - one turn, one transaction: what the tables say after it.
 *
 * Keeps invariants 1, 2 and 4 of private.h. */
#include "runtime/ledger/private.h"

#include <stdio.h>
#include <string.h>

/* ---- the status an order had before (orders.csv has a row per change of status) ---- */

static size_t status_at(const struct ledger *ledger, uint64_t order_id)
{
    return (size_t)(order_id - ledger->base_order_id);
}

/* Orders older than this start are only in the file, which is then exactly what was before: a
 * replay, where the file is ahead, begins at the session's first order. */
static int stored_status(struct ledger *ledger, uint64_t order_id)
{
    struct binder find = bind_begin(ledger, STATUS_OF_ORDER);
    bind_int(&find, (int64_t)order_id);
    int status = -1;
    if (!ledger_found(ledger, find.statement))
        return status;
    for (int i = ORDER_PENDING_NEW; i <= ORDER_UNKNOWN; i++)
        if (strcmp(order_status_name((enum order_status)i), column_text(find.statement, 0)) == 0)
            status = i;
    sqlite3_reset(find.statement);
    return status;
}

int commit_status_before(struct ledger *ledger, uint64_t order_id)
{
    if (order_id < ledger->base_order_id)
        return stored_status(ledger, order_id);
    size_t at = status_at(ledger, order_id);
    return at < ledger->last_status_capacity ? ledger->last_status[at] - 1 : -1;
}

void commit_set_status(struct ledger *ledger, const struct order *order)
{
    if (order->order_id < ledger->base_order_id)
        return;
    size_t at = status_at(ledger, order->order_id);
    size_t before = ledger->last_status_capacity;
    ledger->last_status =
        memory_grow(ledger->last_status, &ledger->last_status_capacity, at + 1, 1);
    memset(ledger->last_status + before, 0, ledger->last_status_capacity - before);

    ledger->undo = memory_grow(ledger->undo, &ledger->undo_capacity, ledger->undo_count + 1,
                               sizeof(*ledger->undo));
    ledger->undo[ledger->undo_count++] =
        (struct status_undo){ order->order_id, ledger->last_status[at] };
    ledger->last_status[at] = (unsigned char)(order_status(order) + 1);
}

bool commit_is_open(const struct ledger *ledger, uint64_t order_id)
{
    size_t at = status_at(ledger, order_id);
    if (at >= ledger->last_status_capacity || ledger->last_status[at] == 0)
        return false;
    switch ((enum order_status)(ledger->last_status[at] - 1)) {
    case ORDER_FILLED:
    case ORDER_CANCELED:
    case ORDER_REJECTED:
    case ORDER_EXPIRED:
        return false;
    default:
        return true;
    }
}

static void undo_statuses(struct ledger *ledger)
{
    while (ledger->undo_count > 0) {
        const struct status_undo *undo = &ledger->undo[--ledger->undo_count];
        ledger->last_status[status_at(ledger, undo->order_id)] = undo->status;
    }
}

/* ---- one record ---- */

static const struct instrument *instrument_of(const struct ledger *ledger, uint32_t instrument)
{
    ASSERT(ledger->instruments && instrument < ledger->instruments->count);
    return &ledger->instruments->list[instrument];
}

/* The columns come in the order of ORDER_COLUMNS in schema.c. */
static int write_order(struct ledger *ledger, const struct record *record, struct error *err)
{
    const struct order *order = &record->order;
    const struct instrument *instrument = instrument_of(ledger, record->instrument);
    struct binder put = bind_begin(ledger, UPSERT_ORDER);
    bind_int(&put, (int64_t)order->order_id);
    bind_text(&put, order->client_order_id);
    bind_text(&put, order->venue_order_id);
    bind_int(&put, order->instance_id);
    bind_text(&put, instrument->venue);
    bind_text(&put, instrument->symbol);
    bind_text(&put, order_side_name(order->side));
    bind_text(&put, order_type_name(order->type));
    bind_text(&put, order_tif_name(order->tif));
    bind_money(&put, order->qty);
    bind_optional(&put, order->price);
    bind_optional(&put, order->trigger_price);
    bind_text(&put, order_status_name(order_status(order)));
    bind_text(&put, order_status_name(order->known));
    bind_int(&put, order->pending);
    bind_time(&put, order->doubt ? order->doubt_since_ns : TIME_NEVER);
    bind_money(&put, order->filled_qty);
    bind_money(&put, order->notional);
    bind_int(&put, order->reduce_only);
    bind_int(&put, (int64_t)order->group_id);
    bind_int(&put, (int64_t)order->parent_order_id);
    bind_text(&put, order->reason);
    bind_text(&put, order->tag);
    bind_int(&put, order->created_ns);
    bind_int(&put, order->updated_ns);
    bind_money(&put, order->fees);
    bind_text(&put, order_role_name(order->role));
    bind_optional(&put, order->stop);
    bind_optional(&put, order->take);
    bind_text(&put, ledger_trigger_name(order->stop_on));
    bind_int(&put, order->post_only);
    bind_optional(&put, order->pending_qty);
    bind_optional(&put, order->pending_price);
    bind_time(&put, order->expires_ns);
    bind_text(&put, order->current_client_order_id[0] ? order->current_client_order_id
                                                      : order->client_order_id);
    bind_text(&put, order->pending_client_order_id);
    bind_optional(&put, order->trail);
    bind_int(&put, order->trail_is_share);
    bind_int(&put, order->held);
    bind_money(&put, order->inferred_qty);
    bind_money(&put, order->inferred_notional);
    bind_int(&put, order->revision);
    bind_optional(&put, order->role == ROLE_PLAIN ? DECIMAL_NONE : order->wanted_qty);
    return ledger_run(ledger, &put, err, "write order %" PRIu64, order->order_id);
}

/* Where the rows of a fill are looked for. */
static struct binder find_fill_begin(struct ledger *ledger, uint32_t instrument,
                                     const char *exec_id)
{
    struct binder find = bind_begin(ledger, FIND_FILL);
    bind_text(&find, instrument_of(ledger, instrument)->venue);
    bind_text(&find, instrument_of(ledger, instrument)->symbol);
    bind_text(&find, exec_id);
    bind_int(&find, ledger->replay.active ? ledger->replay.seq : INT64_MAX);
    return find;
}

/* The row that a reversal takes back, or that a correction is of; 0: none, or what was inferred,
 * which is a sum and no row. */
static int find_replaced(struct ledger *ledger, const struct record *record, int64_t *fill_id,
                         struct error *err)
{
    const struct fill *fill = &record->fill;
    *fill_id = 0;
    if (!fill->replaces[0] || strcmp(fill->replaces, fill_kind_name(FILL_INFERRED)) == 0)
        return 0;
    struct binder find = find_fill_begin(ledger, record->instrument, fill->replaces);
    int found = ledger_step(ledger, find.statement, err);
    if (found < 0)
        return found;
    if (!found)
        return error_set(err, ERROR_INTERNAL,
                         "ledger %s: fill %s takes back %s, which is not there", ledger->path,
                         fill->exec_id, fill->replaces);
    *fill_id = column_int(find.statement, 0);
    sqlite3_reset(find.statement);
    return 0;
}

static int write_fill(struct ledger *ledger, const struct record *record, struct error *err)
{
    const struct fill *fill = &record->fill;
    const struct instrument *instrument = instrument_of(ledger, record->instrument);
    int64_t replaced;
    int code = find_replaced(ledger, record, &replaced, err);
    if (code < 0)
        return code;
    struct binder put = bind_begin(ledger, INSERT_FILL);
    bind_int(&put, ledger->seq);
    bind_text(&put, instrument->venue);
    bind_text(&put, instrument->symbol);
    bind_text(&put, fill->exec_id);
    bind_int(&put, (int64_t)record->order.order_id);
    bind_text(&put, order_side_name(record->order.side));
    bind_money(&put, ledger_fill_sign(fill, fill->qty));
    bind_money(&put, fill->price);
    bind_money(&put, ledger_fill_sign(fill, fill_notional(fill)));
    bind_money(&put, ledger_fill_sign(fill, fill->fee));
    bind_text(&put, instrument->currency);
    bind_text(&put, ledger_liquidity_name(fill->liquidity));
    bind_int(&put, fill->transact_ns);
    bind_text(&put, fill_kind_name(fill->kind));
    if (replaced)
        bind_int(&put, replaced);
    else
        bind_null(&put);
    return ledger_run(ledger, &put, err, "book fill %s of %s at %s", fill->exec_id,
                      instrument->symbol, instrument->venue);
}

static int write_position(struct ledger *ledger, const struct record *record, struct error *err)
{
    const struct position *position = &record->position;
    const struct instrument *instrument = instrument_of(ledger, record->instrument);
    struct binder put = bind_begin(ledger, UPSERT_POSITION);
    bind_int(&put, record->instance_id);
    bind_text(&put, instrument->venue);
    bind_text(&put, instrument->symbol);
    bind_money(&put, position->qty);
    bind_money(&put, position->cost);
    bind_money(&put, position->realized_pnl);
    bind_money(&put, position->fees);
    bind_money(&put, position->funding);
    return ledger_run(ledger, &put, err, "write the position in %s", instrument->symbol);
}

static int write_state(struct ledger *ledger, const struct turn *turn, const struct record *record,
                       struct error *err)
{
    struct binder put = bind_begin(ledger, UPSERT_STATE);
    bind_int(&put, record->instance_id);
    bind_int(&put, (int64_t)turn->event);
    bind_bytes(&put, record->body, record->body_length);
    return ledger_run(ledger, &put, err, "write the state of %s",
                      ledger_strategy(ledger, record->instance_id));
}

static const char *member(const struct json *object, const char *key, const char *otherwise)
{
    const struct json *value = object ? json_get(object, key) : NULL;
    const char *text = value ? json_as_string(value) : NULL;
    return text ? text : otherwise;
}

void bind_scope(const struct ledger *ledger, struct binder *binder)
{
    bind_int(binder, ledger->is_alone ? ledger->session_id : 0);
    bind_text(binder, ledger->source);
}

/* {"code","reason"} begins a halt of the scope `name`; {"lifted_by"} ends those there are. */
static int write_halt(struct ledger *ledger, const struct turn *turn, const struct record *record,
                      struct error *err)
{
    ASSERT(record->name);
    struct json *said = NULL;
    const char *body = record->body ? record->body : "";
    bool is_object =
        json_parse(body, record->body_length, &said, NULL) == 0 && json_kind(said) == JSON_OBJECT;
    const struct json *object = is_object ? said : NULL;
    const char *lifted_by = member(object, "lifted_by", NULL);
    struct binder put = bind_begin(ledger, lifted_by ? LIFT_HALT : INSERT_HALT);
    if (lifted_by) {
        bind_int(&put, turn->time_ns);
        bind_text(&put, lifted_by);
        bind_text(&put, record->name);
        bind_scope(ledger, &put);
    } else {
        bind_int(&put, ledger->seq);
        bind_text(&put, record->name);
        bind_text(&put, member(object, "code", "halt"));
        bind_text(&put, member(object, "reason", is_object ? "" : body));
        bind_int(&put, turn->time_ns);
    }
    int code = ledger_run(ledger, &put, err, "write a halt of %s", record->name);
    json_release(said);
    return code;
}

bool commit_knows_adjustment(struct ledger *ledger, const char *id)
{
    struct binder find = bind_begin(ledger, SEQ_OF_ADJUSTMENT);
    bind_text(&find, id);
    if (!ledger_found(ledger, find.statement))
        return false; /* unreadable: booking it meets the same trouble, and says so */
    int64_t seq = column_int(find.statement, 0);
    sqlite3_reset(find.statement);
    return !ledger->replay.active || seq < ledger->replay.seq;
}

static int write_adjustment(struct ledger *ledger, const struct turn *turn,
                            const struct record *record, struct error *err)
{
    const struct adjustment *adjustment = &record->adjustment;
    const struct instrument *instrument = instrument_of(ledger, record->instrument);
    struct binder put = bind_begin(ledger, INSERT_ADJUSTMENT);
    bind_int(&put, ledger->seq);
    bind_text(&put, adjustment->id);
    bind_int(&put, turn->time_ns);
    bind_int(&put, record->instance_id);
    bind_text(&put, instrument->venue);
    bind_text(&put, instrument->symbol);
    bind_money(&put, adjustment->qty_before);
    bind_money(&put, adjustment->qty_after);
    bind_money(&put, adjustment->venue_qty);
    bind_optional(&put, adjustment->price);
    bind_text(&put, adjustment->reason);
    return ledger_run(ledger, &put, err, "adjust the position in %s", instrument->symbol);
}

static int write_cash(struct ledger *ledger, const struct turn *turn, const struct record *record,
                      struct error *err)
{
    struct binder put = bind_begin(ledger, UPSERT_CASH);
    bind_text(&put, ledger_venue(ledger, record));
    bind_text(&put, record->cash.currency);
    bind_money(&put, record->cash.amount);
    bind_money(&put, record->cash.own);
    bind_int(&put, turn->time_ns);
    return ledger_run(ledger, &put, err, "write the cash in %s", record->cash.currency);
}

static int write_journal(struct ledger *ledger, const struct turn *turn,
                         const struct record *record, struct error *err)
{
    ASSERT(strlen(record->name) < sizeof(((struct journal_entry *)0)->name));
    struct binder put = bind_begin(ledger, INSERT_JOURNAL);
    bind_int(&put, ledger->seq);
    bind_int(&put, ledger->session_id);
    bind_int(&put, (int64_t)turn->event);
    bind_text(&put, record->name);
    bind_bytes(&put, record->body, record->body_length);
    return ledger_run(ledger, &put, err, "write journal entry %s", record->name);
}

static int append_event(struct ledger *ledger, const struct event_row *row, struct error *err)
{
    char hash[SHA256_TEXT_MAX];
    audit_hash(&ledger->line, ledger->head, ledger->seq + 1, ledger->session_id, row, hash);

    struct binder put = bind_begin(ledger, INSERT_EVENT);
    bind_int(&put, ledger->seq + 1);
    bind_int(&put, ledger->session_id);
    bind_int(&put, row->time_ns);
    bind_int(&put, (int64_t)row->event);
    bind_text(&put, row->kind);
    bind_int(&put, (int64_t)row->order_id);
    bind_bytes(&put, row->body, row->body_length);
    bind_text(&put, ledger->head);
    bind_text(&put, hash);
    int code = ledger_run(ledger, &put, err, "append event %" PRId64, ledger->seq + 1);
    if (code < 0)
        return code;
    ledger->seq++;
    text_copy(ledger->head, sizeof(ledger->head), hash);
    return 0;
}

static int write_record(struct ledger *ledger, const struct turn *turn, const struct record *record,
                        struct error *err)
{
    struct event_row row;
    int code = audit_row(ledger, turn, record, &row, err);
    if (code == 0 && row.kind)
        code = append_event(ledger, &row, err);
    if (code < 0)
        return code;

    switch (record->kind) {
    case RECORD_ORDER:
        commit_set_status(ledger, &record->order);
        return write_order(ledger, record, err);
    case RECORD_FILL:
        return write_fill(ledger, record, err);
    case RECORD_POSITION:
        return write_position(ledger, record, err);
    case RECORD_STATE:
        return write_state(ledger, turn, record, err);
    case RECORD_HALT:
        return write_halt(ledger, turn, record, err);
    case RECORD_JOURNAL:
        return write_journal(ledger, turn, record, err);
    case RECORD_ADJUSTMENT:
        return row.kind ? write_adjustment(ledger, turn, record, err) : 0;
    case RECORD_CASH:
        return write_cash(ledger, turn, record, err);
    case RECORD_BLOCKED:
    case RECORD_REDUCED:
    case RECORD_TRIP:
    case RECORD_ALERT:
        return 0;
    }
    ASSERT(!"a kind of record");
    return 0;
}

/* ---- the turn ---- */

static int begin_turn(struct ledger *ledger, struct error *err)
{
    if (ledger->group_open)
        return 0;
    struct binder begin = bind_begin(ledger, BEGIN);
    int code = ledger_run(ledger, &begin, err, "begin a turn");
    ledger->group_open = code == 0 && ledger->grouping;
    return code;
}

static int commit_now(struct ledger *ledger, struct error *err)
{
    struct binder commit = bind_begin(ledger, COMMIT);
    ledger->group_open = false;
    return ledger_run(ledger, &commit, err, "commit a turn");
}

/* It is in the file: when the anchor cannot say so nothing of it may leave all the same. */
static int anchor_now(struct ledger *ledger, bool sync, struct error *err)
{
    int code = ledger_write_anchor(ledger, sync, err);
    ledger->broken |= code < 0;
    return code;
}

int commit_group(struct ledger *ledger, struct error *err)
{
    if (!ledger->group_open)
        return 0;
    int code = commit_now(ledger, err);
    ledger->broken |= code < 0;
    return code < 0 ? code : anchor_now(ledger, true, err);
}

/* Intents and fills: what a power cut must not take where durability is power. */
static bool must_sync(const struct turn *turn)
{
    bool must = false;
    for (size_t i = 0; i < turn->count && !must; i++)
        must = turn->records[i].kind == RECORD_ORDER || turn->records[i].kind == RECORD_FILL;
    return must;
}

/* What came from outside cannot be made again by a replay: it does not wait for the group. */
static bool must_commit(const struct ledger *ledger, const struct turn *turn)
{
    bool now = !ledger->grouping;
    for (size_t i = 0; i < turn->count && !now; i++)
        now = turn->records[i].kind == RECORD_JOURNAL;
    return now;
}

static void roll_back(struct ledger *ledger)
{
    ledger->group_open = false;
    /* A full disk or a failed write may have ended the transaction already. */
    if (sqlite3_get_autocommit(ledger->db))
        return;
    sqlite3_step(ledger->statements[ROLLBACK]);
    sqlite3_reset(ledger->statements[ROLLBACK]);
}

static int write_turn(struct ledger *ledger, const struct turn *turn, struct error *err)
{
    int64_t seq = ledger->seq;
    char head[SHA256_TEXT_MAX];
    memcpy(head, ledger->head, sizeof(head));
    int code = begin_turn(ledger, err);
    for (size_t i = 0; i < turn->count && code == 0; i++)
        code = write_record(ledger, turn, &turn->records[i], err);
    if (code == 0 && ledger->seq == seq) /* no row of trading_events tells the time reached */
        code = ledger_write_progress(ledger, turn->time_ns, turn->event, err);
    if (code == 0) /* a lookup on the way may have failed */
        code = ledger_check_usable(ledger, err);
    bool now = must_commit(ledger, turn);
    if (code == 0 && now)
        code = commit_now(ledger, err);
    if (code == 0) {
        ledger->undo_count = 0;
        return now ? anchor_now(ledger, must_sync(turn), err) : 0;
    }

    ledger->broken |= code == ERROR_IO || ledger->grouping;
    roll_back(ledger);
    undo_statuses(ledger);
    ledger->seq = seq;
    memcpy(ledger->head, head, sizeof(head));
    if (err)
        error_wrap(err, "nothing of event %" PRIu64 " was recorded", turn->event);
    return code;
}

int commit_turn(void *self, const struct turn *turn, struct error *err)
{
    struct ledger *ledger = self;
    ASSERT(ledger->session_id != 0);
    if (turn->count == 0)
        return 0;
    if (ledger->replay.active)
        return replay_turn(ledger, turn, err);
    int code = ledger_check_usable(ledger, err);
    if (code < 0)
        return code;
    return write_turn(ledger, turn, err);
}

int commit_note(struct ledger *ledger, int64_t time_ns, const char *name, const char *body,
                size_t length, struct error *err)
{
    ASSERT(ledger->session_id == 0);
    struct record record = { .kind = RECORD_JOURNAL,
                             .instrument = INSTRUMENT_NONE,
                             .name = name,
                             .body = body,
                             .body_length = length };
    struct turn turn = { .time_ns = time_ns, .records = &record, .count = 1 };
    return write_turn(ledger, &turn, err);
}

/* FIND_FILL */
enum {
    FILL_ROW_ID,
    FILL_ORDER_ID,
    FILL_KIND_NAME,
    FILL_QTY,
    FILL_PRICE,
    FILL_NOTIONAL,
    FILL_FEE,
    FILL_LIQUIDITY,
    FILL_TIME,
    FILL_EXEC_ID /* FIND_CORRECTED alone */
};

/* A reversal has its sign from its kind here, as everywhere outside the tables. What cannot be read
 * is DECIMAL_NONE: booked it is, and taking it back will fail. */
static void read_fill(sqlite3_stmt *row, const char *exec_id, struct fill *fill)
{
    *fill = (struct fill){ .transact_ns = column_int(row, FILL_TIME) };
    text_copy(fill->exec_id, sizeof(fill->exec_id), exec_id);
    const char *kind = column_text(row, FILL_KIND_NAME);
    for (int i = FILL_TRADE; i <= FILL_REVERSAL; i++)
        if (strcmp(kind, fill_kind_name((enum fill_kind)i)) == 0)
            fill->kind = (enum fill_kind)i;
    if (strcmp(column_text(row, FILL_LIQUIDITY), ledger_liquidity_name(LIQUIDITY_MAKER)) == 0)
        fill->liquidity = LIQUIDITY_MAKER;
    (void)!column_decimal(row, FILL_QTY, &fill->qty);
    (void)!column_decimal(row, FILL_PRICE, &fill->price);
    (void)!column_decimal(row, FILL_NOTIONAL, &fill->notional);
    (void)!column_decimal(row, FILL_FEE, &fill->fee);
    fill->qty = ledger_fill_sign(fill, fill->qty);
    fill->notional = ledger_fill_sign(fill, fill->notional);
    fill->fee = ledger_fill_sign(fill, fill->fee);
}

static bool is_reversed(struct ledger *ledger, int64_t fill_id)
{
    struct binder find = bind_begin(ledger, FIND_REVERSAL);
    bind_int(&find, fill_id);
    bind_int(&find, ledger->replay.active ? ledger->replay.seq : INT64_MAX);
    bool is = ledger_found(ledger, find.statement);
    sqlite3_reset(find.statement);
    return is;
}

/* What a trade was corrected to stands under an id of ours, and is of the row first told. */
static void follow_correction(struct ledger *ledger, int64_t *fill_id, struct fill *booked)
{
    struct binder find = bind_begin(ledger, FIND_CORRECTED);
    bind_int(&find, *fill_id);
    bind_int(&find, ledger->replay.active ? ledger->replay.seq : INT64_MAX);
    if (!ledger_found(ledger, find.statement))
        return;
    *fill_id = column_int(find.statement, FILL_ROW_ID);
    read_fill(find.statement, column_text(find.statement, FILL_EXEC_ID), booked);
    sqlite3_reset(find.statement);
}

/* When the table cannot be read the answer is no, and the turn that believes it is not recorded. */
int commit_find_fill(void *self, uint32_t instrument, const char *exec_id, struct fill *fill,
                     uint64_t *order_id)
{
    struct ledger *ledger = self;
    struct fill booked;
    struct binder find = find_fill_begin(ledger, instrument, exec_id);
    if (!ledger_found(ledger, find.statement))
        return BOOKED_NOT;
    int64_t fill_id = column_int(find.statement, FILL_ROW_ID);
    read_fill(find.statement, exec_id, &booked);
    if (order_id)
        *order_id = (uint64_t)column_int(find.statement, FILL_ORDER_ID);
    sqlite3_reset(find.statement);
    follow_correction(ledger, &fill_id, &booked);
    if (fill)
        *fill = booked;
    return is_reversed(ledger, fill_id) ? BOOKED_REVERSED : BOOKED_YES;
}
