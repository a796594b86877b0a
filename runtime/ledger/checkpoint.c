/* checkpoint.c - where the session stands, as one JSON file for people and monitors.
 *
 * Nothing is resumed from it: the ledger is. */
#include "runtime/ledger/export_private.h"

#include <string.h>

static void put_text(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

/* A column as it is: text or NULL. */
static void put_column(struct json_writer *writer, sqlite3_stmt *row, int column)
{
    put_text(writer, sqlite3_column_name(row, column),
             column_is_null(row, column) ? NULL : column_text(row, column));
}

static const struct session_instance *find_instance(const struct ledger *ledger, int64_t id)
{
    for (size_t i = 0; i < ledger->instance_count; i++)
        if (ledger->instances[i].instance_id == id)
            return &ledger->instances[i];
    return NULL;
}

/* ---- positions ---- */

/* POSITIONS */
enum { POSITION_VENUE, POSITION_SYMBOL, POSITION_QTY, POSITION_COST, POSITION_FUNDING = 6 };

static decimal avg_price(const struct ledger *ledger, sqlite3_stmt *row)
{
    struct position position;
    position_init(&position);
    if (!ledger->instruments || !column_decimal(row, POSITION_QTY, &position.qty) ||
        !column_decimal(row, POSITION_COST, &position.cost))
        return DECIMAL_NONE;
    uint32_t instrument = instruments_find(ledger->instruments, column_text(row, POSITION_SYMBOL),
                                           column_text(row, POSITION_VENUE));
    return instrument == INSTRUMENT_NONE
               ? DECIMAL_NONE
               : position_avg_price(&position, ledger->instruments->list[instrument].multiplier);
}

static int put_positions(struct ledger *ledger, const struct session_instance *instance,
                         struct json_writer *writer, struct error *err)
{
    struct binder rows = bind_begin(ledger, POSITIONS);
    bind_int(&rows, instance->instance_id);
    int found;
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        if (strcmp(column_text(rows.statement, POSITION_QTY), "0") == 0)
            continue;
        json_object_begin(writer);
        put_text(writer, "strategy", instance->strategy);
        for (int i = 0; i <= POSITION_FUNDING; i++)
            put_column(writer, rows.statement, i);
        json_key(writer, "avg_price");
        json_decimal(writer, avg_price(ledger, rows.statement));
        json_object_end(writer);
    }
    return found;
}

/* ---- open orders ---- */

static int find_open_before(struct export *export, struct error *err)
{
    struct ledger *ledger = export->ledger;
    struct binder rows = bind_begin(ledger, OPEN_BEFORE);
    bind_int(&rows, (int64_t)ledger->base_order_id);
    int found;
    while ((found = ledger_step(ledger, rows.statement, err)) > 0) {
        export->open_before = memory_grow(export->open_before, &export->open_before_capacity,
                                          export->open_before_count + 1, sizeof(uint64_t));
        export->open_before[export->open_before_count++] = (uint64_t)column_int(rows.statement, 0);
    }
    export->open_before_known = found == 0;
    return found;
}

/* ORDER_FOR_CHECKPOINT */
enum { ORDER_INSTANCE, ORDER_ID, ORDER_FIRST_TEXT, ORDER_LAST_TEXT = 14 };

/* Writes the order when it is open and of this session's instances. */
static int put_order(struct ledger *ledger, uint64_t order_id, struct json_writer *writer,
                     struct error *err)
{
    struct binder find = bind_begin(ledger, ORDER_FOR_CHECKPOINT);
    bind_int(&find, (int64_t)order_id);
    int found = ledger_step(ledger, find.statement, err);
    if (found <= 0)
        return found;
    const struct session_instance *instance =
        find_instance(ledger, column_int(find.statement, ORDER_INSTANCE));
    if (instance) {
        json_object_begin(writer);
        json_key(writer, "order_id");
        json_int(writer, column_int(find.statement, ORDER_ID));
        put_text(writer, "strategy", instance->strategy);
        for (int i = ORDER_FIRST_TEXT; i <= ORDER_LAST_TEXT; i++)
            put_column(writer, find.statement, i);
        json_object_end(writer);
    }
    sqlite3_reset(find.statement);
    return 0;
}

static int put_open_orders(struct export *export, struct json_writer *writer, struct error *err)
{
    struct ledger *ledger = export->ledger;
    int code = export->open_before_known ? 0 : find_open_before(export, err);
    for (size_t i = 0; i < export->open_before_count && code == 0; i++)
        code = put_order(ledger, export->open_before[i], writer, err);
    for (size_t i = 0; i < ledger->last_status_capacity && code == 0; i++)
        if (commit_is_open(ledger, ledger->base_order_id + i))
            code = put_order(ledger, ledger->base_order_id + i, writer, err);
    return code;
}

/* ---- the whole ---- */

static void put_strategy(const struct session_instance *instance, struct json_writer *writer)
{
    json_object_begin(writer);
    put_text(writer, "name", instance->strategy);
    put_text(writer, "version", instance->version);
    put_text(writer, "symbol", instance->symbol);
    put_text(writer, "file", instance->file);
    put_text(writer, "hash", instance->hash);
    json_object_end(writer);
}

static int put_checkpoint(struct export *export, struct json_writer *writer, int64_t market_ns,
                          decimal cash, decimal equity, struct error *err)
{
    struct ledger *ledger = export->ledger;
    int code = 0;
    json_object_begin(writer);
    json_key(writer, "session");
    json_int(writer, ledger->session_id);
    put_text(writer, "mode", export->mode);
    put_text(writer, "source", ledger->source);
    json_key(writer, "time");
    json_time(writer, market_ns);
    json_key(writer, "cash");
    json_decimal(writer, cash);
    json_key(writer, "equity");
    json_decimal(writer, equity);

    json_key(writer, "positions");
    json_array_begin(writer);
    for (size_t i = 0; i < ledger->instance_count && code == 0; i++)
        code = put_positions(ledger, &ledger->instances[i], writer, err);
    json_array_end(writer);

    json_key(writer, "open_orders");
    json_array_begin(writer);
    if (code == 0)
        code = put_open_orders(export, writer, err);
    json_array_end(writer);

    json_key(writer, "strategies");
    json_array_begin(writer);
    for (size_t i = 0; i < ledger->instance_count; i++)
        put_strategy(&ledger->instances[i], writer);
    json_array_end(writer);
    json_object_end(writer);
    return code;
}

/* The caller's members go in before the brace that closes the object. */
static void add_extra(struct text *out, const char *extra)
{
    while (out->length > 0 && out->data[out->length - 1] != '}')
        out->length--;
    ASSERT(out->length > 0);
    out->length--;
    while (out->length > 0 && out->data[out->length - 1] == '\n')
        out->length--;
    text_printf(out, ",\n  %s\n}", extra);
}

int export_checkpoint(struct export *export, int64_t market_ns, decimal cash, decimal equity,
                      const char *extra, struct error *err)
{
    if (export->ledger->replay.active) /* the ledger is ahead of the session */
        return 0;

    struct text out;
    text_init(&out, SIZE_MAX - 1);
    struct json_writer *writer = json_writer_open(&out, true);
    int code = put_checkpoint(export, writer, market_ns, cash, equity, err);
    json_writer_close(writer);
    if (code == 0 && extra && *extra)
        add_extra(&out, extra);
    if (code == 0 && out.data[out.length - 1] != '\n')
        text_add(&out, "\n");

    text_clear(&export->path);
    text_printf(&export->path, "%s/%s_state_latest.json", export->checkpoint_dir, export->mode);
    if (code == 0)
        code = text_make_directories(export->checkpoint_dir, err);
    if (code == 0)
        code = text_write_file(export->path.data, out.data, out.length, err);
    text_release(&out);
    return code;
}
