/* result.c - one hash for what a session did, equal for equal runs wherever they ran.
 *
 * SHA-256 over these lines, one for each row of trading_events of the session, in order, each ended
 * by a newline. Ids and blocked requests are left out; a price that is not there is empty.
 *
 *   order|time|symbol|side|type|qty|price|status      where the status changed
 *   fill|time|symbol|side|qty|price|fee
 *
 * They are the columns of the same names in orders.csv and fills.csv, as spelled there. */
#include "runtime/ledger/private.h"

#include <string.h>

static const char *value(const struct json *row, const char *key)
{
    const char *text = json_as_string(json_get(row, key));
    return text ? text : "";
}

static void add_line(struct text *line, const char *kind, const struct json *row)
{
    text_clear(line);
    if (strcmp(kind, "fill") == 0)
        text_printf(line, "fill|%s|%s|%s|%s|%s|%s\n", value(row, "time"), value(row, "symbol"),
                    value(row, "side"), value(row, "qty"), value(row, "price"), value(row, "fee"));
    else if (strcmp(value(row, "status"), value(row, "status_before")) != 0)
        text_printf(line, "order|%s|%s|%s|%s|%s|%s|%s\n", value(row, "time"), value(row, "symbol"),
                    value(row, "side"), value(row, "type"), value(row, "qty"), value(row, "price"),
                    value(row, "status"));
}

int ledger_result_hash(struct ledger *ledger, char hex[SHA256_TEXT_MAX], struct error *err)
{
    ASSERT(ledger->session_id != 0);
    struct sha256 *hash = sha256_open();
    int found, code = 0;
    struct binder rows = bind_begin(ledger, RESULT_ROWS);
    bind_int(&rows, ledger->session_id);
    bind_int(&rows, ledger->first_seq);
    while (code == 0 && (found = ledger_step(ledger, rows.statement, err)) != 0) {
        struct json *row = NULL;
        code = found;
        if (found > 0)
            code = json_parse(column_text(rows.statement, 1),
                              (size_t)sqlite3_column_bytes(rows.statement, 1), &row, err);
        if (code == 0) {
            add_line(&ledger->line, column_text(rows.statement, 0), row);
            sha256_update(hash, ledger->line.data, ledger->line.length);
        }
        json_release(row);
    }
    sqlite3_reset(rows.statement);
    sha256_finish(hash, hex);
    return code;
}
