/* cursor.h - one file as checked rows, in order: what scan, feed and fuzzing share.
 *
 * Counts and passes over bad rows up to the limit; says where a row is wrong. Keeps one row. */
#ifndef RUNTIME_RESEARCH_CURSOR_H
#define RUNTIME_RESEARCH_CURSOR_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/research/archive.h"
#include "runtime/research/layout.h"
#include "runtime/research/reader.h"
#include "runtime/research/rows.h"

struct cursor {
    struct data_options options; /* texts are the caller's and stay */
    struct lines *lines;
    struct layout layout;
    bool any_order; /* rows may step back: somebody sorts them later */
    bool has_layout;
    uint64_t rows, skipped;
    int64_t last_ns;   /* of the row before; valid when rows > 0 */
    uint64_t row_line; /* of the row last given */
};

/* Opens options->path; errors are lines_open's. */
MUST_CHECK int cursor_open(const struct data_options *options, bool hashed, struct cursor *out,
                           struct error *err);
/* The same over a file's bytes in memory. */
MUST_CHECK int cursor_open_bytes(const struct data_options *options, const void *bytes,
                                 size_t length, struct cursor *out, struct error *err);

/* The next good row: 1, 0 at the end, negative ERROR_DATA with where = "path:line", ERROR_IO. */
MUST_CHECK int cursor_next(struct cursor *cursor, struct row *row, struct error *err);

/* Counts a bad row whose *err is a sentence without a place: 0 while the limit allows to pass over
 * it, else ERROR_DATA with where and a hint. */
MUST_CHECK int cursor_bad_row(struct cursor *cursor, uint64_t line, struct error *err);
void cursor_close(struct cursor *cursor);

#endif
