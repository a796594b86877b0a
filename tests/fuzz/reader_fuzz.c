/* reader_fuzz.c - any bytes as a data file: layout, rows and containers end in rows or an error.
 *
 * The first byte chooses the options, the rest is the file. What comes out keeps the promises of
 * rows.h: prices above 0, quantities not below it, bars and quotes that make sense. */
#include <stdlib.h>

#include "runtime/research/cursor.h"

#define ROWS_MAX 4096 /* a small archive may hold millions */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_row(const struct layout *layout, const struct row *row)
{
    int prices = layout->kind == EVENT_BAR ? 4 : layout->kind == EVENT_QUOTE ? 2 : 1;
    for (int i = 0; i < layout->values; i++) {
        int64_t rounded;
        ASSERT(row->value[i].mantissa >= (i < prices ? 1 : 0));
        ASSERT(row->value[i].scale >= 0 && row->value[i].scale <= NUMBER_SCALE_MAX);
        ASSERT(number_scale(row->value[i], 0) <= row->value[i].scale);
        ASSERT(number_round(row->value[i], 0, &rounded) && rounded >= 0);
    }
    if (layout->kind == EVENT_QUOTE)
        ASSERT(number_cmp(row->value[0], row->value[1]) < 0);
    if (layout->kind == EVENT_BAR)
        ASSERT(number_cmp(row->value[2], row->value[1]) <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const COLUMNS[] = { NULL, "time,open,close,high,low,volume",
                                           "time,price,qty,side", "time,bid,ask" };
    if (length == 0)
        return 0;
    struct data_options options = { .path = "fuzz",
                                    .symbol = "BTC/USDT",
                                    .columns = COLUMNS[bytes[0] & 3],
                                    .skip_bad_rows = bytes[0] & 4 ? 1000 : 0 };
    struct cursor cursor;
    struct error err = { 0 };
    struct row row;
    int code = cursor_open_bytes(&options, bytes + 1, length - 1, &cursor, &err);
    if (code < 0)
        return 0;
    cursor.any_order = bytes[0] & 8;
    int64_t last_ns = INT64_MIN;
    for (int i = 0; i < ROWS_MAX && (code = cursor_next(&cursor, &row, &err)) == 1; i++) {
        check_row(&cursor.layout, &row);
        ASSERT(cursor.any_order || row.time_ns >= last_ns);
        last_ns = row.time_ns;
    }
    ASSERT(code >= 0 || err.message[0] != '\0');
    cursor_close(&cursor);
    return 0;
}
