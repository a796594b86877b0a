/* cursor.c - lines become rows: layout once, then parse, count, check the order. */
#include "runtime/research/cursor.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"

int cursor_open(const struct data_options *options, bool hashed, struct cursor *out,
                struct error *err)
{
    *out = (struct cursor){ .options = *options };
    return lines_open(options->path, hashed, &out->lines, err);
}

int cursor_open_bytes(const struct data_options *options, const void *bytes, size_t length,
                      struct cursor *out, struct error *err)
{
    *out = (struct cursor){ .options = *options };
    return lines_open_bytes(options->path, bytes, length, &out->lines, err);
}

void cursor_close(struct cursor *cursor)
{
    lines_close(cursor->lines);
    cursor->lines = NULL;
}

/* Gives *err the place of a row. */
static int place(const struct cursor *cursor, uint64_t line, struct error *err)
{
    if (err)
        lines_where(cursor->lines, line, err->where);
    return err ? err->code : ERROR_DATA;
}

int cursor_bad_row(struct cursor *cursor, uint64_t line, struct error *err)
{
    uint64_t limit = cursor->options.skip_bad_rows;
    if (cursor->skipped < limit) {
        cursor->skipped++;
        if (err)
            *err = (struct error){ 0 };
        return 0;
    }
    if (err) {
        size_t length = strlen(err->message);
        if (limit > 0)
            snprintf(err->message + length, sizeof(err->message) - length,
                     "; %" PRIu64 " bad rows were passed over before, as --skip-bad-rows allows",
                     limit);
        else
            snprintf(err->message + length, sizeof(err->message) - length,
                     "; --skip-bad-rows N passes over up to N bad rows");
    }
    return place(cursor, line, err);
}

static int refuse_order(const struct cursor *cursor, int64_t time_ns, uint64_t line,
                        struct error *err)
{
    char before[TIME_TEXT_MAX], now[TIME_TEXT_MAX];
    error_set(err, ERROR_DATA,
              "out of time order: found %s after %s; --sort puts the rows in order",
              time_format(time_ns, now), time_format(cursor->last_ns, before));
    return place(cursor, line, err);
}

/* A row that parsed: 1 it is next, 0 it was bad and passed over, negative. */
static int accept_row(struct cursor *cursor, const struct row *row, uint64_t line,
                      struct error *err)
{
    if (!cursor->any_order && cursor->rows > 0 && row->time_ns <= cursor->last_ns) {
        if (row->time_ns < cursor->last_ns)
            return refuse_order(cursor, row->time_ns, line, err);
        if (cursor->layout.kind == EVENT_BAR) {
            char text[TIME_TEXT_MAX];
            error_set(err, ERROR_DATA, "time: found a second bar of %s, allowed is one",
                      time_format(row->time_ns, text));
            return cursor_bad_row(cursor, line, err);
        }
    }
    cursor->rows++;
    cursor->last_ns = row->time_ns;
    cursor->row_line = line;
    return 1;
}

int cursor_next(struct cursor *cursor, struct row *row, struct error *err)
{
    const char *text;
    size_t length;
    int code;
    while ((code = lines_next(cursor->lines, &text, &length, err)) == 1) {
        if (length == 0) /* a blank line, mostly the last, is no row */
            continue;
        uint64_t line = lines_number(cursor->lines);
        if (!cursor->has_layout) {
            code = layout_recognise(text, length, cursor->options.columns, &cursor->layout, err);
            if (code < 0)
                return place(cursor, line, err);
            cursor->has_layout = true;
            if (cursor->layout.has_header)
                continue;
        }
        code = row_parse(&cursor->layout, text, length, row, err);
        code = code < 0 ? cursor_bad_row(cursor, line, err) : accept_row(cursor, row, line, err);
        if (code != 0)
            return code;
    }
    return code;
}
