/* rows.h - one line of a table as exact integers, checked.
 *
 * Strict: NaN, infinity, negative and zero prices, thousands separators and decimal commas are
 * refused; a number is never a double on its way. Pure: no file, no allocation. */
#ifndef RUNTIME_RESEARCH_ROWS_H
#define RUNTIME_RESEARCH_ROWS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/research/layout.h"

#define NUMBER_SCALE_MAX 18

/* mantissa * 10^-scale; not normalised: "1.50" is 150 at 2. */
struct number {
    int64_t mantissa;
    int scale; /* 0..NUMBER_SCALE_MAX */
};

enum number_fault {
    NUMBER_FINE,
    NUMBER_NONE,     /* not a number: also empty, NaN, infinity, "1,000.5", ".5" */
    NUMBER_TOO_LONG, /* does not fit 64 bits, or is finer than 10^-18 */
};

/* Plain or scientific text, as decimal_parse takes it; exact. */
enum number_fault number_parse(const char *text, size_t length, struct number *out);
int number_cmp(struct number a, struct number b);                   /* of numbers >= 0: -1, 0, 1 */
bool number_rescale(struct number a, int scale, int64_t *mantissa); /* false: inexact or no fit */
bool number_round(struct number a, int scale, int64_t *mantissa);   /* half even; false: no fit */
int number_scale(struct number a, int at_least); /* digits it needs after the point, >= at_least */

/* ISO 8601 or an epoch number of s, ms, us or ns, told apart by its size. */
bool row_time_parse(const char *text, size_t length, int64_t *time_ns);

/* Values by kind: trade: price qty; quote: bid ask bid_qty ask_qty; bar: open high low close
 * volume. Prices are > 0, quantities >= 0; low <= open, close <= high; bid < ask. */
struct row {
    int64_t time_ns; /* as written: a bar's is its open */
    struct number value[VALUES_MAX];
    int side; /* of a trade's aggressor, 0 not known */
};

/* ERROR_DATA with the column, what was found and what is allowed; where is the caller's to add. */
MUST_CHECK int row_parse(const struct layout *layout, const char *line, size_t length,
                         struct row *row, struct error *err);

#endif
