/* recorder.c - one buffer per symbol and kind, opened at its first event.
 *
 * Numbers are written from their mantissas: no double, no rounding, no locale. Bars that answer a
 * query (is_history) are passed over: the run did not see them happen, and they would stand out of
 * order in the file. */
#include "runtime/research/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/text.h"

#define BUFFER_BYTES 32768
#define ROW_BYTES_MAX 256 /* six numbers of at most 21 characters, a side, separators */

enum { FILE_TRADES, FILE_QUOTES, FILE_BARS, FILE_KINDS };

static const char *const SUFFIXES[FILE_KINDS] = { "trades", "quotes", "bars" };
static const char *const HEADERS[FILE_KINDS] = {
    "time,price,qty,side\n",
    "time,bid,ask,bid_qty,ask_qty\n",
    "time,open,high,low,close,volume\n",
};

struct file {
    int fd; /* valid when buffer is there */
    char *buffer;
    size_t length;
};

struct recorder {
    char *directory;
    const struct instruments *instruments;
    struct file files[INSTRUMENTS_MAX][FILE_KINDS];
};

/* ---- names ---- */

static void file_symbol(const struct instrument *instrument, char name[SYMBOL_MAX])
{
    text_copy(name, SYMBOL_MAX, instrument->symbol);
    for (char *at = name; *at; at++)
        if (*at == '/' || *at == ':')
            *at = '-';
}

static void file_path(const struct recorder *recorder, uint32_t instrument, int kind,
                      struct text *path)
{
    char symbol[SYMBOL_MAX];
    file_symbol(&recorder->instruments->list[instrument], symbol);
    text_init(path, 8192);
    text_printf(path, "%s/%s-%s.csv", recorder->directory, symbol, SUFFIXES[kind]);
}

/* "BTC/USDT" and "BTC:USDT" would write into one file. */
static int check_names(const struct instruments *instruments, struct error *err)
{
    for (uint32_t i = 1; i < instruments->count; i++)
        for (uint32_t k = 0; k < i; k++) {
            char a[SYMBOL_MAX], b[SYMBOL_MAX];
            file_symbol(&instruments->list[i], a);
            file_symbol(&instruments->list[k], b);
            if (strcmp(a, b) == 0)
                return error_set(err, ERROR_CONFIG,
                                 "record: %s at %s and %s at %s would share the file %s-*.csv: "
                                 "record them in runs of their own",
                                 instruments->list[k].symbol, instruments->list[k].venue,
                                 instruments->list[i].symbol, instruments->list[i].venue, a);
        }
    return 0;
}

/* ---- files ---- */

static int flush(const struct recorder *recorder, struct file *file, struct error *err)
{
    const char *from = file->buffer;
    while (file->length > 0) {
        ssize_t count = write(file->fd, from, file->length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set(err, ERROR_IO, "record in %s: %s", recorder->directory,
                             strerror(errno));
        from += count;
        file->length -= (size_t)count;
    }
    return 0;
}

static int open_file(struct recorder *recorder, uint32_t instrument, int kind, struct error *err)
{
    struct file *file = &recorder->files[instrument][kind];
    struct text path;
    file_path(recorder, instrument, kind, &path);
    int code = 0;
    int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        code = error_set(err, ERROR_IO, "record %s: %s", path.data, strerror(errno));
    } else {
        file->fd = fd;
        file->buffer = memory_new(BUFFER_BYTES);
        file->length = strlen(HEADERS[kind]);
        memcpy(file->buffer, HEADERS[kind], file->length);
    }
    text_release(&path);
    return code;
}

/* ---- rows ---- */

/* Writes the digits backwards into `end` and returns where they start. */
static char *write_number(char *end, int64_t mantissa, int scale)
{
    uint64_t value = mantissa < 0 ? -(uint64_t)mantissa : (uint64_t)mantissa;
    char *at = end;
    for (int digits = 0; value > 0 || digits <= scale; digits++) {
        if (digits == scale && scale > 0)
            *--at = '.';
        *--at = (char)('0' + value % 10);
        value /= 10;
    }
    if (mantissa < 0)
        *--at = '-';
    return at;
}

static void put_number(struct file *file, int64_t mantissa, int scale, char before)
{
    char digits[32];
    const char *from = write_number(digits + sizeof(digits), mantissa, scale);
    size_t length = (size_t)(digits + sizeof(digits) - from);
    if (before)
        file->buffer[file->length++] = before;
    memcpy(file->buffer + file->length, from, length);
    file->length += length;
}

static void put_text(struct file *file, const char *text)
{
    size_t length = strlen(text);
    memcpy(file->buffer + file->length, text, length);
    file->length += length;
}

static void put_row(struct file *file, const struct instrument *instrument,
                    const struct event *event)
{
    int price = instrument->price_scale, qty = instrument->qty_scale;
    switch (event->kind) {
    case EVENT_TRADE:
        put_number(file, event->time_ns, 0, 0);
        put_number(file, event->trade.price, price, ',');
        put_number(file, event->trade.qty, qty, ',');
        put_text(file, event->trade.side == SIDE_BUY    ? ",buy"
                       : event->trade.side == SIDE_SELL ? ",sell"
                                                        : ",");
        break;
    case EVENT_QUOTE:
        put_number(file, event->time_ns, 0, 0);
        put_number(file, event->quote.bid, price, ',');
        put_number(file, event->quote.ask, price, ',');
        put_number(file, event->quote.bid_qty, qty, ',');
        put_number(file, event->quote.ask_qty, qty, ',');
        break;
    case EVENT_BAR:
        put_number(file, event->bar.open_ns, 0, 0);
        put_number(file, event->bar.open, price, ',');
        put_number(file, event->bar.high, price, ',');
        put_number(file, event->bar.low, price, ',');
        put_number(file, event->bar.close, price, ',');
        put_number(file, event->bar.volume, qty, ',');
        break;
    default: /* not of the market */
        break;
    }
    put_text(file, "\n");
}

/* Which file an event belongs in, -1 for none. */
static int file_kind(const struct event *event)
{
    switch (event->kind) {
    case EVENT_TRADE:
        return FILE_TRADES;
    case EVENT_QUOTE:
        return FILE_QUOTES;
    case EVENT_BAR:
        return event->bar.is_history ? -1 : FILE_BARS;
    default: /* not of the market */
        break;
    }
    return -1;
}

/* ---- the recorder ---- */

int recorder_open(const char *directory, const struct instruments *instruments,
                  struct recorder **out, struct error *err)
{
    *out = NULL;
    int code = check_names(instruments, err);
    if (code == 0)
        code = text_make_directories(directory, err);
    if (code < 0)
        return code;
    struct recorder *recorder = memory_new(sizeof(*recorder));
    size_t size = strlen(directory) + 1;
    recorder->directory = memory_new(size);
    memcpy(recorder->directory, directory, size);
    recorder->instruments = instruments;
    *out = recorder;
    return 0;
}

int recorder_put(struct recorder *recorder, const struct event *event, struct error *err)
{
    int kind = file_kind(event);
    if (kind < 0)
        return 0;
    ASSERT(event->instrument < recorder->instruments->count);
    struct file *file = &recorder->files[event->instrument][kind];
    int code = 0;
    if (!file->buffer)
        code = open_file(recorder, event->instrument, kind, err);
    else if (file->length > BUFFER_BYTES - ROW_BYTES_MAX)
        code = flush(recorder, file, err);
    if (code < 0)
        return code;
    put_row(file, &recorder->instruments->list[event->instrument], event);
    return 0;
}

int recorder_close(struct recorder *recorder, struct error *err)
{
    int code = 0;
    if (!recorder)
        return 0;
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++)
        for (int kind = 0; kind < FILE_KINDS; kind++) {
            struct file *file = &recorder->files[i][kind];
            if (!file->buffer)
                continue;
            if (code == 0)
                code = flush(recorder, file, err);
            if (close(file->fd) < 0 && code == 0)
                code = error_set(err, ERROR_IO, "record in %s: %s", recorder->directory,
                                 strerror(errno));
            free(file->buffer);
        }
    free(recorder->directory);
    free(recorder);
    return code;
}
