/* indicator.h - streaming indicators: O(1) per value, no allocation per update.
 *
 * Doubles: statistics, not money. Conventions are those most references share: EMA seeded with the
 * SMA of its first n values, Wilder smoothing in RSI and ATR, population deviation in Bollinger.
 * Each kind's formula, seeding and source stand at its function in indicator.c. */
#ifndef RUNTIME_MARKET_INDICATOR_H
#define RUNTIME_MARKET_INDICATOR_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

enum indicator_kind {
    INDICATOR_SMA,       /* n */
    INDICATOR_EMA,       /* n */
    INDICATOR_RSI,       /* n; 0..100 */
    INDICATOR_ATR,       /* n; needs bars */
    INDICATOR_BOLLINGER, /* n, k; upper, middle, lower */
    INDICATOR_HIGHEST,   /* n */
    INDICATOR_LOWEST,    /* n */
    INDICATOR_KINDS
};
#define INDICATOR_PARAMS_MAX 3
#define INDICATOR_LINES_MAX 3

/* What an indicator eats: a whole bar, or a single value (then all four prices are it). */
struct bar_values {
    double open, high, low, close, volume;
};

struct indicator_spec {
    enum indicator_kind kind;
    double params[INDICATOR_PARAMS_MAX]; /* unused ones 0 */
};

struct indicator_info {
    const char *name;                         /* "ema" */
    const char *params[INDICATOR_PARAMS_MAX]; /* names, NULL-padded */
    double defaults[INDICATOR_PARAMS_MAX];    /* 0 = must be given */
    const char *lines[INDICATOR_LINES_MAX];   /* names; one unnamed line has lines[0] = "value" */
    bool needs_bars;
};
const struct indicator_info *indicator_info(enum indicator_kind kind);
bool indicator_find(const char *name, enum indicator_kind *kind);

struct indicator; /* opaque */

/* ERROR_REFUSED naming parameter, value and what is allowed (periods 1..10000, whole; k > 0). */
MUST_CHECK int indicator_open(const struct indicator_spec *spec, struct indicator **out,
                              struct error *err);
void indicator_close(struct indicator *indicator);
void indicator_update(struct indicator *indicator, const struct bar_values *values);
bool indicator_ready(const struct indicator *indicator);
double indicator_line(const struct indicator *indicator, int line); /* NaN before it is ready */
int indicator_warmup(const struct indicator *indicator);            /* values until ready */

#endif
