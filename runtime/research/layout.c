/* layout.c - names of columns, and the shapes of tables that come without names.
 *
 * Shapes (Binance Vision, github.com/binance/binance-public-data, README "CSV columns"; a spot file
 * has microseconds since 2025-01-01, milliseconds before):
 *
 *   trades      id price qty quote_qty TIME MAKER [best_match]                            6 or 7
 *   aggTrades   id price qty first_id last_id TIME MAKER [best_match]                     7 or 8
 *   klines      OPEN_TIME open high low close volume CLOSE_TIME quote_volume count
 *               taker_base taker_quote ignore                                             12
 *   bookTicker  update_id bid bid_qty ask ask_qty TIME EVENT_TIME                         7 */
#include "runtime/research/layout.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runtime/research/rows.h"

#define NAME_MAX_BYTES 48

static const struct {
    const char *name;
    enum column column;
} NAMES[] = {
    { "time", COLUMN_TIME },
    { "timestamp", COLUMN_TIME },
    { "ts", COLUMN_TIME },
    { "date", COLUMN_TIME },
    { "datetime", COLUMN_TIME },
    { "open_time", COLUMN_TIME },
    { "transact_time", COLUMN_TIME },    /* Binance aggTrades */
    { "transaction_time", COLUMN_TIME }, /* Binance bookTicker */
    { "price", COLUMN_PRICE },
    { "qty", COLUMN_QTY },
    { "quantity", COLUMN_QTY },
    { "amount", COLUMN_QTY },
    { "size", COLUMN_QTY },
    { "side", COLUMN_SIDE },
    { "is_buyer_maker", COLUMN_MAKER },
    { "open", COLUMN_OPEN },
    { "high", COLUMN_HIGH },
    { "low", COLUMN_LOW },
    { "close", COLUMN_CLOSE },
    { "volume", COLUMN_VOLUME },
    { "bid", COLUMN_BID },
    { "bid_price", COLUMN_BID }, /* Tardis */
    { "best_bid_price", COLUMN_BID },
    { "ask", COLUMN_ASK },
    { "ask_price", COLUMN_ASK },
    { "best_ask_price", COLUMN_ASK },
    { "bid_qty", COLUMN_BID_QTY },
    { "bid_size", COLUMN_BID_QTY },
    { "bid_amount", COLUMN_BID_QTY },
    { "best_bid_qty", COLUMN_BID_QTY },
    { "ask_qty", COLUMN_ASK_QTY },
    { "ask_size", COLUMN_ASK_QTY },
    { "ask_amount", COLUMN_ASK_QTY },
    { "best_ask_qty", COLUMN_ASK_QTY },
};

const char *column_name(enum column column)
{
    static const char *const TEXTS[COLUMN_KINDS] = {
        [COLUMN_TIME] = "time",
        [COLUMN_PRICE] = "price",
        [COLUMN_QTY] = "qty",
        [COLUMN_SIDE] = "side",
        [COLUMN_MAKER] = "is_buyer_maker",
        [COLUMN_OPEN] = "open",
        [COLUMN_HIGH] = "high",
        [COLUMN_LOW] = "low",
        [COLUMN_CLOSE] = "close",
        [COLUMN_VOLUME] = "volume",
        [COLUMN_BID] = "bid",
        [COLUMN_ASK] = "ask",
        [COLUMN_BID_QTY] = "bid_qty",
        [COLUMN_ASK_QTY] = "ask_qty",
    };
    ASSERT(column < COLUMN_KINDS);
    return TEXTS[column];
}

/* ---- fields ---- */

static struct field trimmed(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - from >= 2 && *from == '"' && end[-1] == '"') {
        from++;
        end--;
    }
    return (struct field){ .text = from, .length = (size_t)(end - from) };
}

int fields_cut(const char *line, size_t length, char separator, struct field *fields, int max)
{
    const char *end = line + length, *from = line;
    int count = 0;
    for (const char *at = line;; at++) {
        if (at < end && *at != separator)
            continue;
        if (count < max)
            fields[count] = trimmed(from, at);
        count++;
        from = at + 1;
        if (at == end)
            return count;
    }
}

static bool is_integer(struct field field)
{
    for (size_t i = 0; i < field.length; i++)
        if (!isdigit((unsigned char)field.text[i]))
            return false;
    return field.length > 0 && field.length < 20;
}

static bool is_number(struct field field)
{
    struct number number;
    return number_parse(field.text, field.length, &number) != NUMBER_NONE;
}

static bool is_time(struct field field)
{
    int64_t time_ns;
    return row_time_parse(field.text, field.length, &time_ns);
}

static bool is_word(struct field field, const char *word)
{
    return field.length == strlen(word) && strncasecmp(field.text, word, field.length) == 0;
}

static bool is_bool(struct field field)
{
    return is_word(field, "true") || is_word(field, "false");
}

/* ---- names ---- */

struct names {
    int at[COLUMN_KINDS]; /* index of the field, -1 none */
    struct field text[COLUMN_KINDS];
};

/* "Open Time" and open_time are one name. */
static bool same_name(struct field field, const char *name)
{
    if (field.length != strlen(name))
        return false;
    for (size_t i = 0; i < field.length; i++) {
        int c = tolower((unsigned char)field.text[i]);
        if ((c == ' ' ? '_' : c) != name[i])
            return false;
    }
    return true;
}

static bool has_name(const struct field *fields, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (same_name(fields[i], name))
            return true;
    return false;
}

static int find_names(const struct field *fields, int count, const char *source,
                      struct names *names, struct error *err)
{
    for (int c = 0; c < COLUMN_KINDS; c++)
        names->at[c] = -1;
    for (int i = 0; i < count; i++) {
        size_t n = 0;
        while (n < ARRAY_SIZE(NAMES) && !same_name(fields[i], NAMES[n].name))
            n++;
        if (n == ARRAY_SIZE(NAMES))
            continue;
        enum column column = NAMES[n].column;
        if (names->at[column] >= 0)
            return error_set(err, ERROR_DATA,
                             "%s names the %s twice, as %.*s and %.*s: say which with --columns, "
                             "and \"-\" for the others",
                             source, column_name(column), (int)names->text[column].length,
                             names->text[column].text, (int)fields[i].length, fields[i].text);
        names->at[column] = i;
        names->text[column] = fields[i];
    }
    return 0;
}

/* ---- what the names make ---- */

static void add_value(struct layout *layout, const struct names *names, enum column column)
{
    layout->meaning[layout->values] = column;
    layout->at[layout->values++] = names->at[column];
}

static int need(const struct names *names, enum column column, const char *kind, const char *source,
                struct error *err)
{
    if (names->at[column] >= 0)
        return 0;
    return error_set(err, ERROR_DATA,
                     "%s: found no column %s; %s: name the columns with --columns, for instance "
                     "--columns time,open,high,low,close,volume",
                     source, column_name(column), kind);
}

static int make_layout(const struct names *names, const char *source, struct layout *layout,
                       struct error *err)
{
    static const enum column BARS[] = { COLUMN_OPEN, COLUMN_HIGH, COLUMN_LOW, COLUMN_CLOSE };
    static const enum column TRADES[] = { COLUMN_PRICE, COLUMN_QTY };
    static const enum column QUOTES[] = { COLUMN_BID, COLUMN_ASK, COLUMN_BID_QTY, COLUMN_ASK_QTY };
    const enum column *wanted;
    size_t count, required;
    const char *kind;
    struct names found = *names;

    layout->values = 0;
    layout->side = layout->maker = -1;
    if (found.at[COLUMN_OPEN] >= 0 || found.at[COLUMN_CLOSE] >= 0) {
        layout->layout = DATA_CSV_BARS;
        layout->kind = EVENT_BAR;
        wanted = BARS;
        count = required = ARRAY_SIZE(BARS);
        kind = "bars need time, open, high, low, close, volume";
        if (found.at[COLUMN_VOLUME] < 0) /* may be missing altogether: currencies have none */
            found.at[COLUMN_VOLUME] = found.at[COLUMN_QTY];
    } else if (found.at[COLUMN_PRICE] >= 0 || found.at[COLUMN_BID] < 0) {
        layout->layout = DATA_CSV_TRADES;
        layout->kind = EVENT_TRADE;
        wanted = TRADES;
        count = required = ARRAY_SIZE(TRADES);
        kind = "known are time, price, qty [, side]; time, open, high, low, close, volume; and "
               "time, bid, ask [, bid_qty, ask_qty]";
        if (found.at[COLUMN_QTY] < 0)
            found.at[COLUMN_QTY] = found.at[COLUMN_VOLUME];
        layout->side = found.at[COLUMN_SIDE];
        layout->maker = found.at[COLUMN_MAKER];
    } else {
        layout->layout = DATA_CSV_QUOTES;
        layout->kind = EVENT_QUOTE;
        wanted = QUOTES;
        count = ARRAY_SIZE(QUOTES);
        required = 2;
        kind = "quotes need time, bid, ask [, bid_qty, ask_qty]";
    }

    int code = need(&found, COLUMN_TIME, kind, source, err);
    for (size_t i = 0; i < required && !code; i++)
        code = need(&found, wanted[i], kind, source, err);
    if (code)
        return code;
    layout->time = found.at[COLUMN_TIME];
    for (size_t i = 0; i < count; i++)
        add_value(layout, &found, wanted[i]);
    if (layout->kind == EVENT_BAR)
        add_value(layout, &found, COLUMN_VOLUME);
    return 0;
}

/* A header that only Binance writes. */
static void name_vendor(const struct field *fields, int count, struct layout *layout)
{
    if (layout->kind == EVENT_BAR && has_name(fields, count, "open_time") &&
        has_name(fields, count, "close_time"))
        layout->layout = DATA_BINANCE_KLINES;
    else if (layout->kind == EVENT_TRADE && has_name(fields, count, "agg_trade_id"))
        layout->layout = DATA_BINANCE_AGG_TRADES;
    else if (layout->kind == EVENT_TRADE && has_name(fields, count, "quote_qty") &&
             has_name(fields, count, "is_buyer_maker"))
        layout->layout = DATA_BINANCE_TRADES;
    else if (layout->kind == EVENT_QUOTE && has_name(fields, count, "update_id") &&
             has_name(fields, count, "best_bid_price"))
        layout->layout = DATA_BINANCE_BOOK_TICKER;
}

/* ---- what the shape makes ---- */

static bool is_shape(const struct field *fields, int count, const char *shape)
{
    /* i integer, n number, t epoch time, b bool */
    for (int i = 0; shape[i]; i++)
        if (i >= count || (shape[i] == 'i' && !is_integer(fields[i])) ||
            (shape[i] == 'n' && !is_number(fields[i])) ||
            (shape[i] == 't' && (!is_integer(fields[i]) || !is_time(fields[i]))) ||
            (shape[i] == 'b' && !is_bool(fields[i])))
            return false;
    return count == (int)strlen(shape);
}

static const struct {
    const char *shape;
    const char *names;
    enum data_layout layout;
} SHAPES[] = {
    { "innntb", "-,price,qty,-,time,is_buyer_maker", DATA_BINANCE_TRADES },
    { "innntbb", "-,price,qty,-,time,is_buyer_maker,-", DATA_BINANCE_TRADES },
    { "inniitb", "-,price,qty,-,-,time,is_buyer_maker", DATA_BINANCE_AGG_TRADES },
    { "inniitbb", "-,price,qty,-,-,time,is_buyer_maker,-", DATA_BINANCE_AGG_TRADES },
    { "tnnnnntninnn", "time,open,high,low,close,volume,-,-,-,-,-,-", DATA_BINANCE_KLINES },
    { "innnntt", "-,bid,bid_qty,ask,ask_qty,time,-", DATA_BINANCE_BOOK_TICKER },
};

static int apply_names(const char *text, const char *source, struct layout *layout,
                       struct error *err)
{
    struct field fields[COLUMNS_MAX];
    struct names names;
    int count = fields_cut(text, strlen(text), ',', fields, COLUMNS_MAX);
    if (count != layout->columns)
        return error_set(err, ERROR_DATA,
                         "--columns names %d columns, the first line has %d: name each, with \"-\" "
                         "for those to pass over",
                         count, layout->columns);
    int code = find_names(fields, count, source, &names, err);
    return code < 0 ? code : make_layout(&names, source, layout, err);
}

static int by_shape(const struct field *fields, int count, struct layout *layout, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(SHAPES); i++)
        if (is_shape(fields, count, SHAPES[i].shape)) {
            int code = apply_names(SHAPES[i].names, "shape", layout, err);
            ASSERT(code == 0);
            layout->layout = SHAPES[i].layout;
            return 0;
        }
    return error_set(err, ERROR_DATA,
                     "unknown layout: found %d columns without a header, known without one are the "
                     "files of Binance Vision: name the columns with --columns, for instance "
                     "--columns time,open,high,low,close,volume",
                     count);
}

/* A header has no cell that could be data. */
static bool is_header(const struct field *fields, int count)
{
    for (int i = 0; i < count; i++)
        if (is_number(fields[i]) || is_time(fields[i]))
            return false;
    return true;
}

static int check_text(const char *line, size_t length, struct error *err)
{
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return error_set(err, ERROR_DATA,
                             "this is no text: byte %zu is 0x%02x; allowed is CSV in UTF-8, plain "
                             "or as gzip, zstd, xz or zip",
                             i + 1, (unsigned)(unsigned char)line[i]);
    return 0;
}

int layout_recognise(const char *line, size_t length, const char *columns, struct layout *out,
                     struct error *err)
{
    struct field fields[COLUMNS_MAX];
    int code = check_text(line, length, err);
    if (code < 0)
        return code;

    int commas = fields_cut(line, length, ',', fields, 0);
    int semicolons = fields_cut(line, length, ';', fields, 0);
    *out = (struct layout){ .separator = semicolons > commas ? ';' : ',' };
    out->columns = fields_cut(line, length, out->separator, fields, COLUMNS_MAX);
    if (out->columns > COLUMNS_MAX)
        return error_set(err, ERROR_DATA, "found %d columns, allowed are %d", out->columns,
                         COLUMNS_MAX);

    out->has_header = is_header(fields, out->columns);
    if (columns)
        return apply_names(columns, "--columns", out, err);
    if (!out->has_header)
        return by_shape(fields, out->columns, out, err);
    struct names names;
    code = find_names(fields, out->columns, "the header", &names, err);
    if (code == 0)
        code = make_layout(&names, "the header", out, err);
    if (code == 0)
        name_vendor(fields, out->columns, out);
    return code;
}
