/* reader.h - recorded market data: recognised by content, checked row by row, read as a stream.
 *
 * Plain or compressed (gzip now; others through the same library), in bounded memory. A file is
 * read twice: data_scan checks every row before anything is traded and learns what only the whole
 * file tells (finest decimals, timeframe, first and last time, hash); then the feed streams it. */
#ifndef RUNTIME_RESEARCH_READER_H
#define RUNTIME_RESEARCH_READER_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"
#include "runtime/domain/instrument.h"
#include "runtime/engine/ports.h"

enum data_layout {
    DATA_BINANCE_TRADES,
    DATA_BINANCE_AGG_TRADES,
    DATA_BINANCE_KLINES,
    DATA_BINANCE_BOOK_TICKER,
    DATA_CSV_TRADES, /* header names time, price, qty [, side] */
    DATA_CSV_BARS,
    DATA_CSV_QUOTES,
};

struct data_options {
    const char *path;
    const char *symbol;     /* which instrument the rows are of */
    const char *columns;    /* --columns time,open,...: for a headerless file; NULL */
    int64_t timeframe_ns;   /* --timeframe of bars; 0: the file's smallest spacing */
    uint64_t skip_bad_rows; /* up to so many */
    bool sort;              /* data out of time order is sorted, not an error */
};

struct data_info {
    enum data_layout layout;
    uint64_t rows, skipped, sorted;
    int64_t first_ns, last_ns;  /* as the rows have them: of bars, the opens */
    int price_scale, qty_scale; /* finest decimals seen; volumes of bars: as many as let the file's
                                   sum fit 64 bits, finer ones are rounded */
    int64_t timeframe_ns;       /* bars */
    uint64_t size;              /* bytes on disk */
    char hash[SHA256_TEXT_MAX]; /* of the bytes on disk */
};

/* Reads the whole file once. ERROR_NO_INPUT; ERROR_DATA with where = "path:line" for the first bad
 * row, naming column, what was found and what is allowed: not a number, NaN, infinity, zero or
 * negative price, high below low, crossed quote, out of order, wrong column count, truncated
 * archive, unknown layout, no rows. `progress` (may be NULL) is called with bytes done and all
 * now and then; what it returns other than 0 ends the scan with that code. */
MUST_CHECK int data_scan(const struct data_options *options, struct data_info *info,
                         int (*progress)(void *self, uint64_t done, uint64_t all,
                                         struct error *err),
                         void *self, struct error *err);
const char *data_layout_name(enum data_layout layout);

/* The tick and lot of an instrument that only the data tells: 10^-scale each, price scales as seen.
 */
void data_instrument(const struct data_options *options, const struct data_info *info,
                     struct instrument *out);

/* Streams one scanned file as events of `instrument`. */
MUST_CHECK int data_feed(const struct data_options *options, const struct data_info *info,
                         const struct instruments *instruments, uint32_t instrument,
                         struct feed_port *out, struct error *err);

/* Merges feeds by time; ties by the order given. Owns and closes them. */
MUST_CHECK int feed_merge(struct feed_port *feeds, size_t count, struct feed_port *out,
                          struct error *err);

#endif
