/* load.c - what a resumed session begins with: sources, journal, open orders, positions, state.
 *
 * Every value is checked as it is read: a file that somebody edited gives an error that names the
 * row and the column, never a wrong number. */
#include "runtime/ledger/private.h"

#include <stdlib.h>
#include <string.h>

static char *copy_column(sqlite3_stmt *row, int column, size_t *length)
{
    const char *text = column_text(row, column);
    size_t size = (size_t)sqlite3_column_bytes(row, column);
    char *copy = memory_new(size + 1);
    memcpy(copy, text, size);
    if (length)
        *length = size;
    return copy;
}

/* The first column of the one row, or NULL. */
static int load_text(struct ledger *ledger, struct binder *find, char **text, size_t *length,
                     struct error *err)
{
    *text = NULL;
    *length = 0;
    int found = ledger_step(ledger, find->statement, err);
    if (found <= 0)
        return found;
    *text = copy_column(find->statement, 0, length);
    sqlite3_reset(find->statement);
    return 0;
}

/* ---- sources ---- */

int ledger_put_source(struct ledger *ledger, const char *hash, const char *json, size_t length,
                      struct error *err)
{
    struct binder put = bind_begin(ledger, INSERT_SOURCE);
    bind_text(&put, hash);
    bind_bytes(&put, json, length);
    return ledger_run(ledger, &put, err, "keep source %s", hash);
}

int ledger_get_source(struct ledger *ledger, const char *hash, char **json, size_t *length,
                      struct error *err)
{
    struct binder find = bind_begin(ledger, SELECT_SOURCE);
    bind_text(&find, hash);
    return load_text(ledger, &find, json, length, err);
}

int ledger_state(struct ledger *ledger, uint32_t instance_id, char **json, size_t *length,
                 struct error *err)
{
    struct binder find = bind_begin(ledger, SELECT_STATE);
    bind_int(&find, instance_id);
    return load_text(ledger, &find, json, length, err);
}

/* ---- journal ---- */

void journal_release(struct journal_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i].body);
    free(list);
}

int ledger_journal(struct ledger *ledger, struct journal_entry **list, size_t *count,
                   struct error *err)
{
    return ledger_session_journal(ledger, ledger->session_id, list, count, err);
}

int ledger_session_journal(struct ledger *ledger, int64_t session_id, struct journal_entry **list,
                           size_t *count, struct error *err)
{
    size_t capacity = 0;
    int found;
    *list = NULL;
    *count = 0;
    struct binder rows = bind_begin(ledger, SELECT_JOURNAL);
    bind_int(&rows, session_id);
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        *list = memory_grow(*list, &capacity, *count + 1, sizeof(**list));
        struct journal_entry *entry = &(*list)[(*count)++];
        entry->event = (uint64_t)column_int(rows.statement, 0);
        text_copy(entry->name, sizeof(entry->name), column_text(rows.statement, 1));
        entry->body = copy_column(rows.statement, 2, NULL);
    }
    if (found < 0) {
        journal_release(*list, *count);
        *list = NULL;
        *count = 0;
    }
    return found;
}

/* ---- reading one row, column after column ---- */

struct reader {
    struct ledger *ledger;
    sqlite3_stmt *row;
    int at;
    const char *wrong; /* name of the first column that cannot be read */
};

static void fault(struct reader *reader)
{
    if (!reader->wrong)
        reader->wrong = sqlite3_column_name(reader->row, reader->at - 1);
}

static int64_t read_int(struct reader *reader)
{
    return column_int(reader->row, reader->at++);
}

static int64_t read_time(struct reader *reader)
{
    return column_time(reader->row, reader->at++);
}

static void read_string(struct reader *reader, char *field, size_t size)
{
    if (!text_copy(field, size, column_text(reader->row, reader->at++)))
        fault(reader);
}

static decimal read_optional(struct reader *reader)
{
    decimal value;
    if (!column_decimal(reader->row, reader->at++, &value))
        fault(reader);
    return value;
}

static decimal read_money(struct reader *reader)
{
    decimal value = read_optional(reader);
    if (!decimal_valid(value))
        fault(reader);
    return value;
}

/* One of `count` names, as their numbers 0, 1, 2 ... */
static int read_name(struct reader *reader, const char *(*name)(int), int count)
{
    const char *text = column_text(reader->row, reader->at++);
    for (int i = 0; i < count; i++)
        if (strcmp(text, name(i)) == 0)
            return i;
    fault(reader);
    return 0;
}

static const char *side_name(int at)
{
    return order_side_name(at == 0 ? SIDE_BUY : SIDE_SELL);
}

static const char *type_name(int type)
{
    return order_type_name((enum order_type)type);
}

static const char *tif_name(int tif)
{
    return order_tif_name((enum order_tif)tif);
}

static const char *status_name(int status)
{
    return order_status_name((enum order_status)status);
}

static const char *role_name(int role)
{
    return order_role_name((enum order_role)role);
}

static const char *stop_on_name(int trigger)
{
    return ledger_trigger_name((enum order_trigger)trigger);
}

/* ---- orders ---- */

/* The columns come in the order of ORDER_COLUMNS in schema.c. */
static void read_order(struct reader *reader, struct order *order, char *venue, char *symbol)
{
    *order = (struct order){ .order_id = (uint64_t)read_int(reader) };
    read_string(reader, order->client_order_id, sizeof(order->client_order_id));
    read_string(reader, order->venue_order_id, sizeof(order->venue_order_id));
    order->instance_id = (uint32_t)read_int(reader);
    read_string(reader, venue, VENUE_MAX);
    read_string(reader, symbol, SYMBOL_MAX);
    order->side = read_name(reader, side_name, 2) == 0 ? SIDE_BUY : SIDE_SELL;
    order->type = (enum order_type)read_name(reader, type_name, ORDER_TRAILING + 1);
    order->tif = (enum order_tif)read_name(reader, tif_name, TIF_GTD + 1);
    order->qty = read_money(reader);
    order->price = read_optional(reader);
    order->trigger_price = read_optional(reader);
    reader->at++; /* status: follows from what comes */
    order->known = (enum order_status)read_name(reader, status_name, ORDER_EXPIRED + 1);
    order->pending = (unsigned)read_int(reader);
    order->doubt = !column_is_null(reader->row, reader->at);
    order->doubt_since_ns = read_int(reader);
    order->filled_qty = read_money(reader);
    order->notional = read_money(reader);
    order->reduce_only = read_int(reader) != 0;
    order->group_id = (uint64_t)read_int(reader);
    order->parent_order_id = (uint64_t)read_int(reader);
    read_string(reader, order->reason, sizeof(order->reason));
    read_string(reader, order->tag, sizeof(order->tag));
    order->created_ns = read_int(reader);
    order->updated_ns = read_int(reader);
    order->fees = read_money(reader);
    order->role = (enum order_role)read_name(reader, role_name, ROLE_TAKE + 1);
    order->stop = read_optional(reader);
    order->take = read_optional(reader);
    order->stop_on = (enum order_trigger)read_name(reader, stop_on_name, TRIGGER_QUOTE + 1);
    order->post_only = read_int(reader) != 0;
    order->pending_qty = read_optional(reader);
    order->pending_price = read_optional(reader);
    order->expires_ns = read_time(reader);
    read_string(reader, order->current_client_order_id, sizeof(order->current_client_order_id));
    read_string(reader, order->pending_client_order_id, sizeof(order->pending_client_order_id));
    order->trail = read_optional(reader);
    order->trail_is_share = read_int(reader) != 0;
    order->held = read_int(reader) != 0;
    order->inferred_qty = read_money(reader);
    order->inferred_notional = read_money(reader);
    order->revision = (uint32_t)read_int(reader);
    order->wanted_qty = read_optional(reader);
}

static int unreadable(const struct reader *reader, const char *what, int64_t id, struct error *err)
{
    return error_set(err, ERROR_IO,
                     "ledger %s: %s %" PRId64 ": column %s holds what this program never wrote; "
                     "go back to a backup with runtime restore, or begin anew with --fresh",
                     reader->ledger->path, what, id, reader->wrong);
}

static int not_traded(const struct ledger *ledger, const char *what, const char *symbol,
                      const char *venue, struct error *err)
{
    return error_set(err, ERROR_CONFIG,
                     "ledger %s: %s in %s at %s, which this run does not trade: add it to "
                     "--symbols, or begin anew with --fresh",
                     ledger->path, what, symbol, venue);
}

static int visit_order(struct reader *reader,
                       int (*visit)(void *self, const struct order *order, struct error *err),
                       void *self, struct error *err)
{
    struct order order;
    char venue[VENUE_MAX], symbol[SYMBOL_MAX];
    read_order(reader, &order, venue, symbol);
    if (reader->wrong)
        return unreadable(reader, "order", (int64_t)order.order_id, err);
    ASSERT(reader->ledger->instruments);
    order.instrument = instruments_find(reader->ledger->instruments, symbol, venue);
    if (order.instrument == INSTRUMENT_NONE)
        return not_traded(reader->ledger, "an order is open", symbol, venue, err);
    return visit(self, &order, err);
}

int ledger_each_open_order(struct ledger *ledger, uint32_t instance_id,
                           int (*visit)(void *self, const struct order *order, struct error *err),
                           void *self, struct error *err)
{
    int found, code = 0;
    struct binder rows = bind_begin(ledger, OPEN_ORDERS);
    bind_int(&rows, instance_id);
    while (code >= 0 && (found = ledger_step(ledger, rows.statement, err)) != 0) {
        struct reader reader = { .ledger = ledger, .row = rows.statement };
        code = found < 0 ? found : visit_order(&reader, visit, self, err);
    }
    sqlite3_reset(rows.statement);
    return code < 0 ? code : 0;
}

/* ---- positions ---- */

static int visit_position(struct reader *reader, uint32_t instance_id,
                          int (*visit)(void *self, uint32_t instrument,
                                       const struct position *position, struct error *err),
                          void *self, struct error *err)
{
    char venue[VENUE_MAX], symbol[SYMBOL_MAX];
    read_string(reader, venue, sizeof(venue));
    read_string(reader, symbol, sizeof(symbol));
    struct position position = { .qty = read_money(reader) };
    position.cost = read_money(reader);
    position.realized_pnl = read_money(reader);
    position.fees = read_money(reader);
    position.funding = read_money(reader);
    if (reader->wrong)
        return unreadable(reader, "position of instance", instance_id, err);

    ASSERT(reader->ledger->instruments);
    uint32_t instrument = instruments_find(reader->ledger->instruments, symbol, venue);
    if (instrument != INSTRUMENT_NONE)
        return visit(self, instrument, &position, err);
    if (decimal_is_zero(position.qty)) /* a symbol it no longer trades, and holds none of */
        return 0;
    return not_traded(reader->ledger, "a position is open", symbol, venue, err);
}

int ledger_each_position(struct ledger *ledger, uint32_t instance_id,
                         int (*visit)(void *self, uint32_t instrument,
                                      const struct position *position, struct error *err),
                         void *self, struct error *err)
{
    int found, code = 0;
    struct binder rows = bind_begin(ledger, POSITIONS);
    bind_int(&rows, instance_id);
    while (code >= 0 && (found = ledger_step(ledger, rows.statement, err)) != 0) {
        struct reader reader = { .ledger = ledger, .row = rows.statement };
        code = found < 0 ? found : visit_position(&reader, instance_id, visit, self, err);
    }
    sqlite3_reset(rows.statement);
    return code < 0 ? code : 0;
}

/* ---- one order by a name it has or had ---- */

/* 1 found and readable, 0 not so, with nothing to say. */
static bool find_by(struct ledger *ledger, enum statement which, int64_t order_id,
                    const char *client_order_id, struct order *order)
{
    struct binder find = bind_begin(ledger, which);
    if (which == ORDER_BY_ID)
        bind_int(&find, order_id);
    bind_text(&find, client_order_id);
    if (!ledger_found(ledger, find.statement))
        return false;
    struct reader reader = { .ledger = ledger, .row = find.statement };
    char venue[VENUE_MAX], symbol[SYMBOL_MAX];
    read_order(&reader, order, venue, symbol);
    sqlite3_reset(find.statement);
    ASSERT(ledger->instruments);
    order->instrument = instruments_find(ledger->instruments, symbol, venue);
    return !reader.wrong && order->instrument != INSTRUMENT_NONE;
}

/* The order's number is in the names that this ledger makes; a name of a replace has a number of
 * its own, which no order has. An order that was adopted has a name made by somebody else, maybe by
 * this ledger before a backup was put back: only those are looked for row by row.
 * While a session is replayed its own orders are as they were when it ended. */
bool load_find_order(void *self, const char *client_order_id, struct order *order)
{
    struct ledger *ledger = self;
    int64_t number = ledger_order_number(ledger, client_order_id);
    return (number > 0 && find_by(ledger, ORDER_BY_ID, number, client_order_id, order)) ||
           find_by(ledger, ORDER_BY_NEW_NAME, 0, client_order_id, order) ||
           find_by(ledger, ORDER_BY_NAME, 0, client_order_id, order);
}

/* ---- halts and cash ---- */

int ledger_each_halt(struct ledger *ledger,
                     void (*visit)(void *self, const struct halt_record *halt), void *self,
                     struct error *err)
{
    struct binder rows = bind_begin(ledger, HALTS);
    bind_scope(ledger, &rows);
    int found;
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        struct halt_record halt;
        text_copy(halt.scope, sizeof(halt.scope), column_text(rows.statement, 0));
        text_copy(halt.code, sizeof(halt.code), column_text(rows.statement, 1));
        text_copy(halt.reason, sizeof(halt.reason), column_text(rows.statement, 2));
        visit(self, &halt);
    }
    return found;
}

static int unreadable_cash(const struct reader *reader, const char *currency, struct error *err)
{
    return error_set(err, ERROR_IO,
                     "ledger %s: cash in %s: column %s holds what this program never wrote; put a "
                     "copy from backups/ in its place, or begin anew with --fresh",
                     reader->ledger->path, currency, reader->wrong);
}

int ledger_each_cash(struct ledger *ledger, const char *venue,
                     void (*visit)(void *self, const struct cash_record *cash), void *self,
                     struct error *err)
{
    struct binder rows = bind_begin(ledger, CASH);
    bind_text(&rows, venue);
    int found, code = 0;
    while (code == 0 && (found = ledger_step(ledger, rows.statement, err)) != 0) {
        struct reader reader = { .ledger = ledger, .row = rows.statement };
        struct cash_record cash = { 0 };
        if (found < 0)
            return found;
        read_string(&reader, cash.currency, sizeof(cash.currency));
        cash.amount = read_money(&reader);
        cash.own = read_money(&reader);
        if (reader.wrong)
            code = unreadable_cash(&reader, cash.currency, err);
        else
            visit(self, &cash);
    }
    sqlite3_reset(rows.statement);
    return code;
}
