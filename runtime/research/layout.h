/* layout.h - which column of a table is what, recognised from its first line.
 *
 * A header's names decide; a table without one is known by its shape (the Binance Vision files) or
 * by the names that the user gives. Pure: no file, no allocation. */
#ifndef RUNTIME_RESEARCH_LAYOUT_H
#define RUNTIME_RESEARCH_LAYOUT_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/domain/event.h"
#include "runtime/research/reader.h"

#define COLUMNS_MAX 256 /* in one line */

/* What a column can be. The first ones of each kind are in the order of row.value (rows.h). */
enum column {
    COLUMN_TIME,
    COLUMN_PRICE,
    COLUMN_QTY,
    COLUMN_SIDE,  /* of the aggressor: buy, sell */
    COLUMN_MAKER, /* "the buyer was the maker": the aggressor sold */
    COLUMN_OPEN,
    COLUMN_HIGH,
    COLUMN_LOW,
    COLUMN_CLOSE,
    COLUMN_VOLUME,
    COLUMN_BID,
    COLUMN_ASK,
    COLUMN_BID_QTY,
    COLUMN_ASK_QTY,
    COLUMN_KINDS
};

#define VALUES_MAX 5 /* numbers of one row: a bar has open high low close volume */

struct layout {
    enum data_layout layout;
    enum event_kind kind;            /* EVENT_TRADE, EVENT_QUOTE, EVENT_BAR */
    char separator;                  /* ',' or ';' */
    bool has_header;                 /* the line that was recognised is no row */
    int columns;                     /* fields that each line has */
    int time, side, maker;           /* index of the field, -1: there is none */
    int values;                      /* numbers of a row of this kind */
    int at[VALUES_MAX];              /* index of the field, -1: not given, 0 */
    enum column meaning[VALUES_MAX]; /* what they are */
};

/* Recognises a table by its first line. `columns` are the user's names ("time,open,...", unknown
 * ones are passed over) or NULL. ERROR_DATA: unknown layout, a column missing or named twice. */
MUST_CHECK int layout_recognise(const char *line, size_t length, const char *columns,
                                struct layout *out, struct error *err);

const char *column_name(enum column column); /* "price", as in the messages */

/* A piece of a line, without the blanks and quotes around it. */
struct field {
    const char *text;
    size_t length;
};

/* Cuts a line at `separator`: the first `max` fields are stored, the number of all returned. */
int fields_cut(const char *line, size_t length, char separator, struct field *fields, int max);

#endif
