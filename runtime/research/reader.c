/* reader.c - the first pass learns, the second streams; several streams become one.
 *
 * Invariants:
 *   1. what data_scan accepted, data_feed delivers: both read through the same cursor, with the
 * same limit of bad rows
 *   2. a feed holds one row, unless rows were out of order and --sort was given: then it holds all,
 *      at most SORT_ROWS_MAX of them
 *   3. next_ns never fails: a failure that waits has the time of the row before it, so that the
 *      driver takes it next */
#include "runtime/research/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/text.h"
#include "runtime/research/cursor.h"

#define SORT_ROWS_MAX UINT64_C(50000000) /* 64 bytes each */
#define PROGRESS_ROWS 16384              /* between two words on progress */

const char *data_layout_name(enum data_layout layout)
{
    static const char *const NAMES[] = {
        [DATA_BINANCE_TRADES] = "Binance trades", [DATA_BINANCE_AGG_TRADES] = "Binance aggTrades",
        [DATA_BINANCE_KLINES] = "Binance klines", [DATA_BINANCE_BOOK_TICKER] = "Binance bookTicker",
        [DATA_CSV_TRADES] = "CSV trades",         [DATA_CSV_BARS] = "CSV bars",
        [DATA_CSV_QUOTES] = "CSV quotes",
    };
    ASSERT(layout < ARRAY_SIZE(NAMES));
    return NAMES[layout];
}

/* ---- rows in memory, for sorting -------------------------------------------------------- */

struct loaded_row {
    int64_t time_ns;
    uint64_t line;
    int64_t value[VALUES_MAX];
    int side;
};

struct loaded {
    struct loaded_row *rows;
    size_t count, capacity;
};

static int loaded_add(struct loaded *loaded, const struct cursor *cursor,
                      const struct loaded_row *row, struct error *err)
{
    if (loaded->count == SORT_ROWS_MAX)
        return error_set(err, ERROR_DATA,
                         "%s: --sort holds at most 50 million rows: sort the file before",
                         cursor->options.path);
    loaded->rows =
        memory_grow(loaded->rows, &loaded->capacity, loaded->count + 1, sizeof(*loaded->rows));
    loaded->rows[loaded->count++] = *row;
    return 0;
}

/* Line numbers break ties: the order is stable whatever qsort does. */
static int compare_rows(const void *a, const void *b)
{
    const struct loaded_row *left = a, *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    return left->line < right->line ? -1 : left->line > right->line;
}

/* Sorts; of two bars of one time the later line is a bad row. */
static int loaded_sort(struct loaded *loaded, struct cursor *cursor, struct error *err)
{
    size_t kept = 0;
    if (loaded->count > 0)
        qsort(loaded->rows, loaded->count, sizeof(*loaded->rows), compare_rows);
    if (cursor->layout.kind != EVENT_BAR)
        return 0;
    for (size_t i = 0; i < loaded->count; i++) {
        const struct loaded_row *row = &loaded->rows[i];
        if (kept > 0 && row->time_ns == loaded->rows[kept - 1].time_ns) {
            char text[TIME_TEXT_MAX];
            error_set(err, ERROR_DATA,
                      "time: found a second bar of %s (the first is on line %" PRIu64
                      "), allowed is one",
                      time_format(row->time_ns, text), loaded->rows[kept - 1].line);
            int code = cursor_bad_row(cursor, row->line, err);
            if (code < 0)
                return code;
            continue;
        }
        loaded->rows[kept++] = *row;
    }
    loaded->count = kept;
    return 0;
}

/* ---- the first pass --------------------------------------------------------------------- */

/* The finest and the largest number of one sort: together they must fit 64 bits.
 *
 * Volumes alone are rounded to fit, to so many decimals that the volume of the whole file does:
 * files made with floats hold 218102.59507500002, whose last digits nobody traded. */
struct extent {
    const char *name;
    int scale;
    uint64_t scale_line, largest_line;
    struct number largest;
    uint64_t sum; /* of all, rounded up to whole units one by one; UINT64_MAX: it does not fit */
};

struct scan {
    struct cursor cursor;
    struct data_info *info;
    struct extent price, qty;
    struct loaded bars; /* times and lines of bars that may be out of order */
    int64_t spacing_ns; /* smallest between two bars, TIME_NEVER when there is none */
    int64_t newest_ns;
    int (*progress)(void *self, uint64_t done, uint64_t all, struct error *err);
    void *self;
};

static void extend(struct extent *extent, struct number number, uint64_t line)
{
    if (number.scale > extent->scale) {
        int scale = number_scale(number, extent->scale);
        if (scale > extent->scale) {
            extent->scale = scale;
            extent->scale_line = line;
        }
    }
    bool larger = number.scale == extent->largest.scale ? number.mantissa > extent->largest.mantissa
                                                        : number_cmp(number, extent->largest) > 0;
    if (larger) {
        extent->largest = number;
        extent->largest_line = line;
    }
}

static void add_volume(struct extent *extent, struct number number)
{
    int64_t whole;
    if (!number_round(number, 0, &whole) ||
        __builtin_add_overflow(extent->sum, (uint64_t)whole + 1, &extent->sum))
        extent->sum = UINT64_MAX;
}

static void fit_volumes(struct extent *extent)
{
    int64_t mantissa;
    while (extent->scale > 0 &&
           (extent->sum > INT64_MAX ||
            !number_rescale((struct number){ .mantissa = (int64_t)extent->sum }, extent->scale,
                            &mantissa)))
        extent->scale--;
}

static int check_extent(const struct scan *scan, const struct extent *extent, struct error *err)
{
    int64_t mantissa;
    if (number_round(extent->largest, extent->scale, &mantissa))
        return 0;
    char where[WHERE_MAX];
    return error_at(err, ERROR_DATA, lines_where(scan->cursor.lines, extent->largest_line, where),
                    "%s: found a number too large beside the %d decimals of line %" PRIu64
                    ", allowed are 18 digits in all: round the decimals of the file",
                    extent->name, extent->scale, extent->scale_line);
}

static int take_time(struct scan *scan, const struct row *row, struct error *err)
{
    struct data_info *info = scan->info;
    bool first = scan->cursor.rows == 1;
    if (first || row->time_ns < info->first_ns)
        info->first_ns = row->time_ns;
    if (first || row->time_ns > info->last_ns)
        info->last_ns = row->time_ns;

    if (!first && row->time_ns < scan->newest_ns)
        info->sorted++; /* it has to move */
    else if (!first && row->time_ns - scan->newest_ns < scan->spacing_ns)
        scan->spacing_ns = row->time_ns - scan->newest_ns;
    if (first || row->time_ns > scan->newest_ns)
        scan->newest_ns = row->time_ns;
    if (!scan->cursor.any_order || scan->cursor.layout.kind != EVENT_BAR)
        return 0;
    struct loaded_row loaded = { .time_ns = row->time_ns, .line = scan->cursor.row_line };
    return loaded_add(&scan->bars, &scan->cursor, &loaded, err);
}

static int scan_rows(struct scan *scan, struct error *err)
{
    struct cursor *cursor = &scan->cursor;
    struct row row;
    int code;
    while ((code = cursor_next(cursor, &row, err)) == 1) {
        const struct layout *layout = &cursor->layout;
        int prices = layout->kind == EVENT_BAR ? 4 : layout->kind == EVENT_QUOTE ? 2 : 1;
        for (int i = 0; i < layout->values; i++)
            extend(i < prices ? &scan->price : &scan->qty, row.value[i], cursor->row_line);
        if (layout->kind == EVENT_BAR)
            add_volume(&scan->qty, row.value[4]);
        code = take_time(scan, &row, err);
        if (code < 0)
            return code;
        if (scan->progress && cursor->rows % PROGRESS_ROWS == 0 &&
            (code = scan->progress(scan->self, lines_done(cursor->lines), lines_size(cursor->lines),
                                   err)) != 0)
            return code;
    }
    return code;
}

/* Bars that were out of order have their spacing only now. */
static int sort_bars(struct scan *scan, struct error *err)
{
    int code = loaded_sort(&scan->bars, &scan->cursor, err);
    if (code < 0)
        return code;
    scan->spacing_ns = TIME_NEVER;
    for (size_t i = 1; i < scan->bars.count; i++) {
        int64_t spacing_ns = scan->bars.rows[i].time_ns - scan->bars.rows[i - 1].time_ns;
        if (spacing_ns < scan->spacing_ns)
            scan->spacing_ns = spacing_ns;
    }
    scan->cursor.rows = scan->bars.count;
    return 0;
}

static int find_timeframe(struct scan *scan, struct error *err)
{
    const struct data_options *options = &scan->cursor.options;
    int64_t given_ns = options->timeframe_ns, timeframe_ns = given_ns;
    char text[TIME_TEXT_MAX], spacing[TIME_TEXT_MAX];
    if (timeframe_ns == 0 && scan->spacing_ns == TIME_NEVER)
        return error_set(err, ERROR_DATA,
                         "%s: one bar alone does not tell its timeframe: give it with --timeframe",
                         options->path);
    if (timeframe_ns == 0)
        timeframe_ns = scan->spacing_ns;
    if (!timeframe_name(timeframe_ns))
        return error_set(err, ERROR_DATA,
                         "%s: timeframe: found bars %s apart, allowed are 1s 5s 15s 30s 1m 3m 5m "
                         "15m 30m 1h 2h 4h 6h 12h 1d: give one with --timeframe",
                         options->path, duration_format(timeframe_ns, text));
    if (scan->spacing_ns < timeframe_ns)
        return error_set(err, ERROR_DATA,
                         "%s: timeframe: found bars %s apart, which is less than --timeframe %s",
                         options->path, duration_format(scan->spacing_ns, spacing),
                         duration_format(timeframe_ns, text));
    int64_t end_ns;
    if (__builtin_add_overflow(scan->info->last_ns, timeframe_ns, &end_ns) || end_ns == TIME_NEVER)
        return error_set(err, ERROR_DATA, "%s: the last bar ends beyond the year 2262",
                         options->path);
    scan->info->timeframe_ns = timeframe_ns;
    return 0;
}

static int conclude(struct scan *scan, struct error *err)
{
    struct cursor *cursor = &scan->cursor;
    struct data_info *info = scan->info;
    int code = 0;
    if (cursor->rows == 0)
        return error_set(err, ERROR_DATA, "%s: no rows%s", cursor->options.path,
                         cursor->skipped > 0   ? ": all were bad and passed over"
                         : !cursor->has_layout ? ": only blank lines"
                                               : ": only a header");
    if (info->sorted > 0 && cursor->rows > SORT_ROWS_MAX)
        return error_set(err, ERROR_DATA,
                         "%s: --sort holds at most 50 million rows: sort the file before",
                         cursor->options.path);
    if (scan->bars.count > 0)
        code = sort_bars(scan, err);
    if (!code && cursor->layout.kind == EVENT_BAR)
        code = find_timeframe(scan, err);
    if (cursor->layout.kind == EVENT_BAR)
        fit_volumes(&scan->qty);
    if (!code)
        code = check_extent(scan, &scan->price, err);
    if (!code)
        code = check_extent(scan, &scan->qty, err);
    if (code)
        return code;
    info->layout = cursor->layout.layout;
    info->rows = cursor->rows;
    info->skipped = cursor->skipped;
    info->price_scale = scan->price.scale;
    info->qty_scale = scan->qty.scale;
    info->size = lines_size(cursor->lines);
    return lines_finish(cursor->lines, info->hash, err);
}

int data_scan(const struct data_options *options, struct data_info *info,
              int (*progress)(void *self, uint64_t done, uint64_t all, struct error *err),
              void *self, struct error *err)
{
    struct scan scan = { .info = info,
                         .price = { .name = "price" },
                         .qty = { .name = "qty" },
                         .spacing_ns = TIME_NEVER,
                         .progress = progress,
                         .self = self };
    *info = (struct data_info){ 0 };
    int code = cursor_open(options, true, &scan.cursor, err);
    if (code < 0)
        return code;
    scan.cursor.any_order = options->sort;
    code = scan_rows(&scan, err);
    if (code == 0)
        code = conclude(&scan, err);
    if (code == 0 && progress)
        code = progress(self, info->size, info->size, err);
    free(scan.bars.rows);
    cursor_close(&scan.cursor);
    return code;
}

void data_instrument(const struct data_options *options, const struct data_info *info,
                     struct instrument *out)
{
    const char *name = strrchr(options->path, '/');
    name = name ? name + 1 : options->path;
    *out = (struct instrument){
        .tick_size = decimal_make(1, info->price_scale),
        .lot_size = decimal_make(1, info->qty_scale),
        .min_notional = DECIMAL_ZERO,
        .multiplier = decimal_int(1),
        .leverage = decimal_int(1),
        .short_allowed = true,
        .price_scale = info->price_scale,
        .qty_scale = info->qty_scale,
    };
    text_copy(out->symbol, sizeof(out->symbol), options->symbol ? options->symbol : "");
    text_copy(out->venue, sizeof(out->venue), "sim");
    char origin[sizeof(out->origin) + 32];
    snprintf(origin, sizeof(origin), "finest decimals in %.*s", (int)sizeof(out->origin), name);
    text_copy(out->origin, sizeof(out->origin), origin);
}

/* ---- the second pass -------------------------------------------------------------------- */

struct feed {
    struct cursor cursor;
    char *path, *columns; /* copies: the options may go */
    uint32_t instrument;
    int price_scale, qty_scale;
    int64_t timeframe_ns;

    struct loaded loaded; /* sorted rows; none when the file streams */
    size_t loaded_next;

    struct loaded_row row; /* the next one, when code == 1 */
    int64_t row_ns;        /* its event's time */
    int code;              /* 1 there is a row, 0 the end, negative *failure */
    struct error failure;
};

/* The row at the instrument's scales. A row that data_scan took may still not fit an instrument
 * that another file made finer. */
static int scale_row(const struct feed *feed, const struct row *row, struct loaded_row *out,
                     struct error *err)
{
    const struct layout *layout = &feed->cursor.layout;
    int prices = layout->kind == EVENT_BAR ? 4 : layout->kind == EVENT_QUOTE ? 2 : 1;
    out->time_ns = row->time_ns;
    out->line = feed->cursor.row_line;
    out->side = row->side;
    for (int i = 0; i < layout->values; i++) {
        int scale = i < prices ? feed->price_scale : feed->qty_scale;
        bool fits = layout->meaning[i] == COLUMN_VOLUME
                        ? number_round(row->value[i], scale, &out->value[i])
                        : number_rescale(row->value[i], scale, &out->value[i]);
        if (fits)
            continue;
        char where[WHERE_MAX];
        return error_at(err, ERROR_DATA, lines_where(feed->cursor.lines, out->line, where),
                        "%s: found a number that does not fit the %d decimals of its instrument",
                        column_name(layout->meaning[i]), scale);
    }
    return 1;
}

static int read_row(struct feed *feed, struct loaded_row *out, struct error *err)
{
    struct row row;
    int code = cursor_next(&feed->cursor, &row, err);
    return code == 1 ? scale_row(feed, &row, out, err) : code;
}

static void prefetch(struct feed *feed)
{
    if (!feed->loaded.rows)
        feed->code = read_row(feed, &feed->row, &feed->failure);
    else if ((feed->code = feed->loaded_next < feed->loaded.count) == 1)
        feed->row = feed->loaded.rows[feed->loaded_next++];
    if (feed->code == 1 &&
        __builtin_add_overflow(feed->row.time_ns, feed->timeframe_ns, &feed->row_ns))
        feed->code = error_set(&feed->failure, ERROR_DATA, "%s: a bar ends beyond the year 2262",
                               feed->path);
}

static int64_t feed_next_ns(void *self)
{
    const struct feed *feed = self;
    return feed->code == 0 ? TIME_NEVER : feed->row_ns;
}

static int feed_next(void *self, struct event *event, struct error *err)
{
    struct feed *feed = self;
    const struct loaded_row *row = &feed->row;
    if (feed->code <= 0) {
        if (feed->code < 0 && err)
            *err = feed->failure;
        return feed->code;
    }
    event->kind = feed->cursor.layout.kind;
    event->instrument = feed->instrument;
    event->time_ns = feed->row_ns;
    if (event->kind == EVENT_TRADE)
        event->trade =
            (struct trade_event){ .price = row->value[0], .qty = row->value[1], .side = row->side };
    else if (event->kind == EVENT_QUOTE)
        event->quote = (struct quote_event){ .bid = row->value[0],
                                             .ask = row->value[1],
                                             .bid_qty = row->value[2],
                                             .ask_qty = row->value[3] };
    else
        event->bar = (struct bar_event){ .open_ns = row->time_ns,
                                         .open = row->value[0],
                                         .high = row->value[1],
                                         .low = row->value[2],
                                         .close = row->value[3],
                                         .volume = row->value[4] };
    prefetch(feed);
    return 1;
}

static void feed_close(void *self)
{
    struct feed *feed = self;
    cursor_close(&feed->cursor);
    free(feed->loaded.rows);
    free(feed->path);
    free(feed->columns);
    free(feed);
}

static int load_rows(struct feed *feed, struct error *err)
{
    struct loaded_row row;
    int code;
    while ((code = read_row(feed, &row, err)) == 1)
        if ((code = loaded_add(&feed->loaded, &feed->cursor, &row, err)) < 0)
            break;
    return code < 0 ? code : loaded_sort(&feed->loaded, &feed->cursor, err);
}

static char *copy_text(const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memory_new(size);
    memcpy(copy, text, size);
    return copy;
}

static int check_instrument(const struct data_options *options, const struct data_info *info,
                            const struct instrument *instrument, struct error *err)
{
    if (instrument->price_scale >= info->price_scale && instrument->qty_scale >= info->qty_scale)
        return 0;
    return error_set(err, ERROR_DATA,
                     "%s: found %d decimals in prices and %d in quantities, %s allows %d and %d",
                     options->path, info->price_scale, info->qty_scale, instrument->symbol,
                     instrument->price_scale, instrument->qty_scale);
}

int data_feed(const struct data_options *options, const struct data_info *info,
              const struct instruments *instruments, uint32_t instrument, struct feed_port *out,
              struct error *err)
{
    ASSERT(instrument < instruments->count);
    const struct instrument *traded = &instruments->list[instrument];
    int code = check_instrument(options, info, traded, err);
    if (code < 0)
        return code;

    struct feed *feed = memory_new(sizeof(*feed));
    feed->path = copy_text(options->path);
    feed->columns = copy_text(options->columns);
    feed->instrument = instrument;
    feed->price_scale = traded->price_scale;
    feed->qty_scale = traded->qty_scale;
    feed->timeframe_ns = info->timeframe_ns; /* 0 but for bars */
    feed->row_ns = info->first_ns;
    struct data_options copied = *options;
    copied.path = feed->path;
    copied.columns = feed->columns;
    code = cursor_open(&copied, false, &feed->cursor, err);
    if (code == 0 && lines_size(feed->cursor.lines) != info->size)
        code = error_set(err, ERROR_DATA, "%s: the file changed while it was read", feed->path);
    if (code == 0 && info->sorted > 0) {
        feed->cursor.any_order = true;
        code = load_rows(feed, err);
    }
    if (code < 0) {
        feed_close(feed);
        return code;
    }
    prefetch(feed);
    *out = (struct feed_port){
        .self = feed, .next_ns = feed_next_ns, .next = feed_next, .close = feed_close
    };
    return 0;
}

/* ---- several files as one --------------------------------------------------------------- */

struct merge {
    struct feed_port *feeds;
    int64_t *next_ns;
    size_t count;
    size_t first;     /* the feed whose turn it is */
    int64_t until_ns; /* and stays so while its next time is below this */
};

/* The earliest feed, the first given among equals; it leads until another one is due. */
static void choose(struct merge *merge)
{
    merge->first = 0;
    for (size_t i = 1; i < merge->count; i++)
        if (merge->next_ns[i] < merge->next_ns[merge->first])
            merge->first = i;
    merge->until_ns = TIME_NEVER;
    for (size_t i = 0; i < merge->count; i++)
        if (i != merge->first && merge->next_ns[i] < merge->until_ns)
            merge->until_ns = merge->next_ns[i];
}

static int64_t merge_next_ns(void *self)
{
    const struct merge *merge = self;
    return merge->count > 0 ? merge->next_ns[merge->first] : TIME_NEVER;
}

static int merge_next(void *self, struct event *event, struct error *err)
{
    struct merge *merge = self;
    if (merge->count == 0)
        return 0;
    size_t first = merge->first;
    struct feed_port *feed = &merge->feeds[first];
    int code = feed->next(feed->self, event, err);
    if (code <= 0)
        return code;
    merge->next_ns[first] = feed->next_ns(feed->self);
    if (merge->next_ns[first] >= merge->until_ns)
        choose(merge);
    return 1;
}

static void merge_close(void *self)
{
    struct merge *merge = self;
    for (size_t i = 0; i < merge->count; i++)
        merge->feeds[i].close(merge->feeds[i].self);
    free(merge->feeds);
    free(merge->next_ns);
    free(merge);
}

int feed_merge(struct feed_port *feeds, size_t count, struct feed_port *out, struct error *err)
{
    (void)err; /* nothing can fail yet: opening several files may, one day */
    struct merge *merge = memory_new(sizeof(*merge));
    merge->feeds = memory_new((count + 1) * sizeof(*merge->feeds));
    merge->next_ns = memory_new((count + 1) * sizeof(*merge->next_ns));
    merge->count = count;
    for (size_t i = 0; i < count; i++) {
        merge->feeds[i] = feeds[i];
        merge->next_ns[i] = feeds[i].next_ns(feeds[i].self);
    }
    if (count > 0)
        choose(merge);
    *out = (struct feed_port){
        .self = merge, .next_ns = merge_next_ns, .next = merge_next, .close = merge_close
    };
    return 0;
}
