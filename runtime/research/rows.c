/* rows.c - the parser in front of every row: digits straight into integers.
 *
 * The fast paths (up to 18 digits with a point; epoch times of 10, 13, 16 and 19 digits) take a few
 * nanoseconds a field; whatever else is legal goes through decimal_parse and time_parse. */
#include "runtime/research/rows.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/clock.h"
#include "runtime/base/decimal.h"
#include "runtime/domain/order.h"

static const int64_t POWER10[NUMBER_SCALE_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

/* ---- numbers ---- */

static enum number_fault parse_slowly(const char *text, size_t length, struct number *out)
{
    decimal value;
    int code = decimal_parse(text, length, &value);
    if (code == ERROR_RANGE)
        return NUMBER_TOO_LONG;
    if (code)
        return NUMBER_NONE;
    if (value.scale > NUMBER_SCALE_MAX || decimal_mantissa(value, value.scale, &out->mantissa))
        return NUMBER_TOO_LONG;
    out->scale = value.scale;
    return NUMBER_FINE;
}

enum number_fault number_parse(const char *text, size_t length, struct number *out)
{
    const char *at = text, *end = text + length, *point = NULL;
    uint64_t value = 0;
    if (length == 0 || length > NUMBER_SCALE_MAX + 1) /* 18 digits and a point */
        return parse_slowly(text, length, out);
    for (; at < end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit <= 9)
            value = value * 10 + digit;
        else if (*at == '.' && !point && at > text && at + 1 < end)
            point = at;
        else
            return parse_slowly(text, length, out);
    }
    if (!point && length > NUMBER_SCALE_MAX)
        return parse_slowly(text, length, out);
    out->mantissa = (int64_t)value;
    out->scale = point ? (int)(end - point) - 1 : 0;
    return NUMBER_FINE;
}

int number_cmp(struct number a, struct number b)
{
    int128 left = a.mantissa, right = b.mantissa;
    if (a.scale < b.scale)
        left *= POWER10[b.scale - a.scale];
    else
        right *= POWER10[a.scale - b.scale];
    return left < right ? -1 : left > right;
}

bool number_rescale(struct number a, int scale, int64_t *mantissa)
{
    ASSERT(scale >= 0 && scale <= NUMBER_SCALE_MAX);
    if (a.scale <= scale)
        return !__builtin_mul_overflow(a.mantissa, POWER10[scale - a.scale], mantissa);
    int64_t divisor = POWER10[a.scale - scale];
    *mantissa = a.mantissa / divisor;
    return a.mantissa % divisor == 0;
}

bool number_round(struct number a, int scale, int64_t *mantissa)
{
    if (a.scale <= scale)
        return number_rescale(a, scale, mantissa);
    int64_t divisor = POWER10[a.scale - scale], rest = a.mantissa % divisor;
    *mantissa = a.mantissa / divisor; /* of numbers >= 0 */
    if (rest > divisor / 2 || (rest == divisor / 2 && *mantissa % 2 == 1))
        ++*mantissa;
    return true;
}

int number_scale(struct number a, int at_least)
{
    if (a.scale <= at_least)
        return at_least;
    if (a.mantissa % POWER10[a.scale - at_least] == 0) /* the usual case in one division */
        return at_least;
    while (a.mantissa % 10 == 0) {
        a.mantissa /= 10;
        a.scale--;
    }
    return a.scale;
}

/* ---- time ---- */

bool row_time_parse(const char *text, size_t length, int64_t *time_ns)
{
    int64_t unit = length == 10   ? NS_PER_SECOND
                   : length == 13 ? NS_PER_MS
                   : length == 16 ? 1000
                   : length == 19 ? 1
                                  : 0;
    if (unit != 0 && text[0] != '0') {
        uint64_t value = 0;
        size_t i = 0;
        for (unsigned digit; i < length; i++) {
            digit = (unsigned)(unsigned char)text[i] - '0';
            if (digit > 9)
                break;
            value = value * 10 + digit; /* 19 digits fit 64 bits */
        }
        if (i == length)
            return value <= INT64_MAX && !__builtin_mul_overflow((int64_t)value, unit, time_ns) &&
                   *time_ns != TIME_NEVER;
    }
    return (time_parse_epoch(text, length, time_ns) || time_parse(text, length, time_ns)) &&
           *time_ns != TIME_NEVER;
}

/* ---- rows ---- */

/* A piece of the outside world in a message: short and printable. */
#define SHOWN_MAX 44
static const char *shown(struct field field, char text[SHOWN_MAX])
{
    size_t room = SHOWN_MAX - 6, count = field.length < room ? field.length : room, at = 0;
    text[at++] = '"';
    for (size_t i = 0; i < count; i++) {
        unsigned char c = (unsigned char)field.text[i];
        text[at++] = c >= ' ' && c < 0x7f ? (char)c : '?';
    }
    if (count < field.length) {
        memcpy(text + at, "...", 3);
        at += 3;
    }
    text[at++] = '"';
    text[at] = '\0';
    return text;
}

static int refuse(enum column column, struct field field, const char *allowed, struct error *err)
{
    char text[SHOWN_MAX];
    return error_set(err, ERROR_DATA, "%s: found %s, allowed is %s", column_name(column),
                     shown(field, text), allowed);
}

static bool is_price(enum column column)
{
    return column != COLUMN_QTY && column != COLUMN_VOLUME && column != COLUMN_BID_QTY &&
           column != COLUMN_ASK_QTY;
}

static int parse_value(enum column column, struct field field, struct number *out,
                       struct error *err)
{
    bool price = is_price(column);
    /* A quote without quantities, like a bar without volume, does not know them. */
    if (field.length == 0 && (column == COLUMN_BID_QTY || column == COLUMN_ASK_QTY)) {
        *out = (struct number){ 0 };
        return 0;
    }
    switch (number_parse(field.text, field.length, out)) {
    case NUMBER_FINE:
        if (out->mantissa > 0 || (out->mantissa == 0 && !price))
            return 0;
        break;
    case NUMBER_TOO_LONG:
        return refuse(column, field, "a number of up to 18 digits", err);
    case NUMBER_NONE:
        break;
    }
    return refuse(column, field,
                  price ? "a plain number above 0, such as 0.25 or 1e-05"
                        : "0 or a plain number above 0, such as 0.25 or 1e-05",
                  err);
}

static bool is_one_of(struct field field, const char *word, const char *other)
{
    return (field.length == strlen(word) && strncasecmp(field.text, word, field.length) == 0) ||
           (field.length == 1 && field.text[0] == *other);
}

static int parse_side(const struct layout *layout, const struct field *fields, int *side,
                      struct error *err)
{
    *side = 0;
    if (layout->maker >= 0) {
        struct field field = fields[layout->maker];
        if (is_one_of(field, "true", "1"))
            *side = SIDE_SELL; /* the buyer's order was resting: a seller came to it */
        else if (is_one_of(field, "false", "0"))
            *side = SIDE_BUY;
        else
            return refuse(COLUMN_MAKER, field, "true or false", err);
    } else if (layout->side >= 0 && fields[layout->side].length > 0) {
        struct field field = fields[layout->side];
        if (is_one_of(field, "buy", "\n"))
            *side = SIDE_BUY;
        else if (is_one_of(field, "sell", "\n"))
            *side = SIDE_SELL;
        else if (!is_one_of(field, "unknown", "\n")) /* Tardis, where the venue does not say */
            return refuse(COLUMN_SIDE, field, "buy or sell, or nothing", err);
    }
    return 0;
}

/* "high 1.5 is below low 2" in the words of the file. */
static int refuse_pair(const struct layout *layout, const struct field *fields, int a,
                       const char *relation, int b, struct error *err)
{
    char left[SHOWN_MAX], right[SHOWN_MAX];
    return error_set(err, ERROR_DATA, "%s: found %s, which is %s the %s %s",
                     column_name(layout->meaning[a]), shown(fields[layout->at[a]], left), relation,
                     column_name(layout->meaning[b]), shown(fields[layout->at[b]], right));
}

static int check_bar(const struct layout *layout, const struct field *fields,
                     const struct number *value, struct error *err)
{
    enum { OPEN, HIGH, LOW, CLOSE };
    if (number_cmp(value[HIGH], value[LOW]) < 0)
        return refuse_pair(layout, fields, HIGH, "below", LOW, err);
    for (int i = OPEN; i <= CLOSE; i += CLOSE - OPEN) {
        if (number_cmp(value[i], value[HIGH]) > 0)
            return refuse_pair(layout, fields, i, "above", HIGH, err);
        if (number_cmp(value[i], value[LOW]) < 0)
            return refuse_pair(layout, fields, i, "below", LOW, err);
    }
    return 0;
}

static int check_row(const struct layout *layout, const struct field *fields, const struct row *row,
                     struct error *err)
{
    if (layout->kind == EVENT_BAR)
        return check_bar(layout, fields, row->value, err);
    if (layout->kind == EVENT_QUOTE && number_cmp(row->value[0], row->value[1]) >= 0)
        return refuse_pair(layout, fields, 0, "not below", 1, err);
    return 0;
}

int row_parse(const struct layout *layout, const char *line, size_t length, struct row *row,
              struct error *err)
{
    struct field fields[COLUMNS_MAX];
    int count = fields_cut(line, length, layout->separator, fields, COLUMNS_MAX);
    if (count != layout->columns)
        return error_set(err, ERROR_DATA, "found %d columns, allowed are the %d of the first line",
                         count, layout->columns);

    struct field time = fields[layout->time];
    if (!row_time_parse(time.text, time.length, &row->time_ns))
        return refuse(COLUMN_TIME, time,
                      "ISO 8601 as 2024-01-31T23:59:00Z, or an epoch time of 10 (s), 13 (ms), 16 "
                      "(us) or 19 digits (ns)",
                      err);
    for (int i = 0; i < layout->values; i++) {
        row->value[i] = (struct number){ 0 };
        if (layout->at[i] < 0)
            continue;
        int code = parse_value(layout->meaning[i], fields[layout->at[i]], &row->value[i], err);
        if (code)
            return code;
    }
    int code = parse_side(layout, fields, &row->side, err);
    return code ? code : check_row(layout, fields, row, err);
}
