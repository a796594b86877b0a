/* audit.c - rows of trading_events: what a record says, and the chain that holds the rows.
 *
 * A body is one JSON object whose keys always come in the order below, so that equal records are
 * equal bytes: a replay compares them, and the chain can be checked by anybody with SHA-256.
 * Bodies of orders, fills, blocked requests and trips begin with "time", RFC 3339, of the row they
 * make in the day's CSV files, and hold all of it. */
#include "runtime/ledger/private.h"

#include <string.h>

#define PRICE_DIGITS 18 /* of an average, after the point */

static const char *const kinds[] = {
    [RECORD_ORDER] = "order",     [RECORD_FILL] = "fill",       [RECORD_BLOCKED] = "blocked",
    [RECORD_TRIP] = "trip",       [RECORD_REDUCED] = "reduced", [RECORD_HALT] = "halt",
    [RECORD_JOURNAL] = "journal", [RECORD_ALERT] = "alert",     [RECORD_ADJUSTMENT] = "adjustment",
    [RECORD_CASH] = "cash",       [RECORD_POSITION] = NULL,     [RECORD_STATE] = NULL,
};

const char *ledger_liquidity_name(enum liquidity liquidity)
{
    return liquidity == LIQUIDITY_MAKER ? "maker" : "taker";
}

const char *ledger_trigger_name(enum order_trigger trigger)
{
    static const char *const names[] = { "last", "mark", "quote" };
    ASSERT(trigger < ARRAY_SIZE(names));
    return names[trigger];
}

const char *ledger_strategy(const struct ledger *ledger, uint32_t instance_id)
{
    for (size_t i = 0; i < ledger->instance_count; i++)
        if (ledger->instances[i].instance_id == instance_id)
            return ledger->instances[i].strategy;
    return "";
}

decimal ledger_fill_sign(const struct fill *fill, decimal value)
{
    return fill->kind == FILL_REVERSAL ? decimal_neg(value) : value;
}

/* Cash may be of no instrument: then it is of the session's venue. */
const char *ledger_venue(const struct ledger *ledger, const struct record *record)
{
    if (record->instrument == INSTRUMENT_NONE)
        return ledger->source;
    ASSERT(ledger->instruments && record->instrument < ledger->instruments->count);
    return ledger->instruments->list[record->instrument].venue;
}

/* ---- bodies ---- */

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static void put_int(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_int(writer, (int64_t)value);
}

static void put_bool(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_bool(writer, value);
}

static void put_decimal(struct json_writer *writer, const char *key, decimal value)
{
    json_key(writer, key);
    json_decimal(writer, value);
}

static void put_time(struct json_writer *writer, const char *key, int64_t time_ns)
{
    json_key(writer, key);
    json_time(writer, time_ns);
}

/* Who and what every row about an order, a fill or a trip begins with, after its time. */
static void put_owner(struct ledger *ledger, const struct record *record)
{
    ASSERT(ledger->instruments && record->instrument < ledger->instruments->count);
    const struct instrument *instrument = &ledger->instruments->list[record->instrument];
    put_int(ledger->writer, "instance_id", record->instance_id);
    put_string(ledger->writer, "strategy", ledger_strategy(ledger, record->instance_id));
    put_string(ledger->writer, "venue", instrument->venue);
    put_string(ledger->writer, "symbol", instrument->symbol);
}

static void put_terms(struct json_writer *writer, const struct order *order)
{
    put_string(writer, "side", order_side_name(order->side));
    put_string(writer, "type", order_type_name(order->type));
    put_string(writer, "tif", order_tif_name(order->tif));
    put_decimal(writer, "qty", order->qty);
    put_decimal(writer, "price", order->price);
    put_decimal(writer, "trigger_price", order->trigger_price);
    put_decimal(writer, "trail", order->type == ORDER_TRAILING ? order->trail : DECIMAL_NONE);
    put_bool(writer, "trail_is_share", order->trail_is_share);
    put_decimal(writer, "stop", order->stop);
    put_decimal(writer, "take", order->take);
    put_bool(writer, "reduce_only", order->reduce_only);
    put_bool(writer, "post_only", order->post_only);
    put_string(writer, "role", order_role_name(order->role));
    put_int(writer, "parent_order_id", order->parent_order_id);
}

static void order_body(struct ledger *ledger, const struct turn *turn, const struct record *record)
{
    const struct order *order = &record->order;
    struct json_writer *writer = ledger->writer;
    int before = commit_status_before(ledger, order->order_id);
    put_time(writer, "time", turn->time_ns);
    put_owner(ledger, record);
    put_string(writer, "client_order_id", order->client_order_id);
    put_string(writer, "current_client_order_id", order->current_client_order_id);
    put_string(writer, "venue_order_id", order->venue_order_id);
    put_terms(writer, order);
    put_string(writer, "status", order_status_name(order_status(order)));
    put_string(writer, "status_before",
               before < 0 ? NULL : order_status_name((enum order_status)before));
    put_bool(writer, "held", order->held);
    put_decimal(writer, "filled_qty", order->filled_qty);
    put_decimal(writer, "notional", order->notional);
    put_decimal(writer, "avg_price", order_avg_price(order));
    put_decimal(writer, "fees", order->fees);
    put_string(writer, "reason", order->reason);
    put_string(writer, "tag", order->tag);
}

static void blocked_body(struct ledger *ledger, const struct turn *turn,
                         const struct record *record)
{
    struct json_writer *writer = ledger->writer;
    put_time(writer, "time", turn->time_ns);
    put_owner(ledger, record);
    put_terms(writer, &record->order);
    put_string(writer, "code", record->code);
    put_string(writer, "reason", record->order.reason);
    put_string(writer, "tag", record->order.tag);
    if (record->kind == RECORD_REDUCED)
        put_decimal(writer, "allowed", record->allowed);
}

static void fill_body(struct ledger *ledger, const struct record *record)
{
    const struct fill *fill = &record->fill;
    struct json_writer *writer = ledger->writer;
    put_time(writer, "time", fill->transact_ns);
    put_owner(ledger, record);
    put_string(writer, "client_order_id", record->order.client_order_id);
    put_string(writer, "exec_id", fill->exec_id);
    put_string(writer, "kind", fill_kind_name(fill->kind));
    put_string(writer, "replaces", fill->replaces[0] ? fill->replaces : NULL);
    put_string(writer, "side", order_side_name(record->order.side));
    put_decimal(writer, "qty", ledger_fill_sign(fill, fill->qty));
    put_decimal(writer, "price", fill->price);
    put_decimal(writer, "notional", ledger_fill_sign(fill, fill_notional(fill)));
    put_decimal(writer, "fee", ledger_fill_sign(fill, fill->fee));
    put_string(writer, "fee_currency", ledger->instruments->list[record->instrument].currency);
    put_string(writer, "liquidity", ledger_liquidity_name(fill->liquidity));
}

static void adjustment_body(struct ledger *ledger, const struct turn *turn,
                            const struct record *record)
{
    const struct adjustment *adjustment = &record->adjustment;
    struct json_writer *writer = ledger->writer;
    put_time(writer, "time", turn->time_ns);
    put_owner(ledger, record);
    put_string(writer, "adjustment_id", adjustment->id);
    put_decimal(writer, "qty_before", adjustment->qty_before);
    put_decimal(writer, "qty_after", adjustment->qty_after);
    put_decimal(writer, "venue_qty", adjustment->venue_qty);
    put_decimal(writer, "price", adjustment->price);
    put_string(writer, "reason", adjustment->reason);
}

static void cash_body(struct ledger *ledger, const struct turn *turn, const struct record *record)
{
    struct json_writer *writer = ledger->writer;
    put_time(writer, "time", turn->time_ns);
    put_string(writer, "venue", ledger_venue(ledger, record));
    put_string(writer, "currency", record->cash.currency);
    put_decimal(writer, "amount", record->cash.amount);
    put_decimal(writer, "own", record->cash.own);
}

/* A trip's notional counts base units, which are qty * multiplier. */
static decimal trip_price(decimal notional, decimal qty, decimal multiplier)
{
    return decimal_div(notional, decimal_mul(qty, multiplier), PRICE_DIGITS, ROUND_HALF_EVEN);
}

static void trip_body(struct ledger *ledger, const struct record *record)
{
    const struct trip *trip = &record->trip;
    struct json_writer *writer = ledger->writer;
    put_time(writer, "time", trip->closed_ns);
    put_owner(ledger, record);
    decimal multiplier = ledger->instruments->list[record->instrument].multiplier;
    put_time(writer, "opened", trip->opened_ns);
    put_string(writer, "side", order_side_name(trip->side));
    put_decimal(writer, "qty", trip->qty);
    put_decimal(writer, "entry_notional", trip->entry_notional);
    put_decimal(writer, "entry_price", trip_price(trip->entry_notional, trip->qty, multiplier));
    put_decimal(writer, "exit_qty", trip->exit_qty);
    put_decimal(writer, "exit_notional", trip->exit_notional);
    put_decimal(writer, "exit_price", trip_price(trip->exit_notional, trip->exit_qty, multiplier));
    put_decimal(writer, "gross_pnl", trip->gross_pnl);
    put_decimal(writer, "fees", trip->fees);
    put_decimal(writer, "net_pnl", decimal_sub(trip->gross_pnl, trip->fees));
    put_int(writer, "bars_held", trip->bars_held);
    put_string(writer, "tag", trip->tag);
}

/* Halts, alerts and the journal say something: text, or a JSON object. */
static bool says_object(const struct record *record)
{
    bool says = record->kind == RECORD_HALT || record->kind == RECORD_JOURNAL ||
                record->kind == RECORD_ALERT;
    struct json *root = NULL;
    bool is = says && record->body &&
              json_parse(record->body, record->body_length, &root, NULL) == 0 &&
              json_kind(root) == JSON_OBJECT;
    json_release(root);
    return is;
}

static void said_body(struct ledger *ledger, const struct record *record, bool is_object)
{
    struct json_writer *writer = ledger->writer;
    put_int(writer, "instance_id", record->instance_id);
    put_string(writer, "strategy", ledger_strategy(ledger, record->instance_id));
    put_string(writer, "name", record->name);
    if (is_object)
        return; /* put_object adds it */
    json_key(writer, "body");
    if (record->body)
        json_bytes(writer, record->body, record->body_length);
    else
        json_null(writer);
}

/* What was said goes in as it is, before the brace that closes the row. */
static void put_object(struct text *row, const struct record *record)
{
    row->length--;
    text_add(row, ",\"body\":");
    text_append(row, record->body, record->body_length);
    text_add(row, "}");
}

int audit_row(struct ledger *ledger, const struct turn *turn, const struct record *record,
              struct event_row *row, struct error *err)
{
    *row = (struct event_row){ .time_ns = turn->time_ns,
                               .event = turn->event,
                               .kind = kinds[record->kind] };
    if (record->kind == RECORD_ADJUSTMENT && commit_knows_adjustment(ledger, record->adjustment.id))
        row->kind = NULL; /* the same difference, seen again */
    if (!row->kind)
        return 0;

    bool is_object = says_object(record);
    text_clear(&ledger->body);
    json_writer_reset(ledger->writer);
    json_object_begin(ledger->writer);
    switch (record->kind) {
    case RECORD_ORDER:
        row->order_id = record->order.order_id;
        order_body(ledger, turn, record);
        break;
    case RECORD_FILL:
        row->order_id = record->order.order_id;
        fill_body(ledger, record);
        break;
    case RECORD_BLOCKED:
    case RECORD_REDUCED:
        blocked_body(ledger, turn, record);
        break;
    case RECORD_TRIP:
        trip_body(ledger, record);
        break;
    case RECORD_ADJUSTMENT:
        adjustment_body(ledger, turn, record);
        break;
    case RECORD_CASH:
        cash_body(ledger, turn, record);
        break;
    default:
        said_body(ledger, record, is_object);
    }
    json_object_end(ledger->writer);
    if (is_object)
        put_object(&ledger->body, record);

    if (ledger->body.overflow)
        return error_set(err, ERROR_INTERNAL, "ledger %s: a row of kind %s is longer than %u bytes",
                         ledger->path, row->kind, ROW_BODY_MAX);
    row->body = ledger->body.data;
    row->body_length = ledger->body.length;
    return 0;
}

/* ---- the chain ---- */

void audit_hash(struct text *scratch, const char *prev_hash, int64_t seq, int64_t session_id,
                const struct event_row *row, char hash[SHA256_TEXT_MAX])
{
    text_clear(scratch);
    text_printf(scratch, "%s%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRIu64 "|%s|%" PRIu64 "|",
                prev_hash, seq, session_id, row->time_ns, row->event, row->kind, row->order_id);
    text_append(scratch, row->body, row->body_length);
    ASSERT(!scratch->overflow);
    sha256_hex(scratch->data, scratch->length, hash);
}
