/* indicator.c - the formulas: one table of kinds, one update function for each.
 *
 * What every update keeps:
 *   1. `seen` counts the values eaten, up to `warmup`; lines mean something from seen == warmup on.
 *   2. Nothing drifts. A window's sums are carried at twice a double's precision and are replaced,
 *      each time the window has been filled anew, by sums that never held a value outside it. So an
 *      old price, however large, is forgotten after at most two windows.
 *   3. A constant input c gives exactly c (SMA, EMA, highest, lowest, the middle band), a band of
 *      width exactly 0 and an ATR of exactly 0: in a flat market rounding makes no lines cross.
 *   4. A value that is not finite is no value: it is skipped, and the lines stay as they were. */
#include "runtime/market/indicator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PERIOD_MAX 10000

/* ---- sums ---- */

/* A sum of doubles as high + low, about 106 bits of it. */
struct sum {
    double high, low;
};

/* a + b = result + *lost, exactly (Knuth, TAOCP volume 2, section 4.2.2, theorem B). */
static double two_sum(double a, double b, double *lost)
{
    double result = a + b;
    double part = result - a;
    *lost = (a - (result - part)) + (b - part);
    return result;
}

static void sum_add(struct sum *sum, double value)
{
    double lost;
    double high = two_sum(sum->high, value, &lost);
    sum->high = two_sum(high, sum->low + lost, &sum->low);
}

static double sum_mean(struct sum sum, int n)
{
    double quotient = sum.high / n;
    double rest = fma(-quotient, n, sum.high) + sum.low;
    return quotient + rest / n;
}

/* Sums of the values of a window and, where asked for, of their squares. */
struct sums {
    struct sum value, square;
};

static void sums_add(struct sums *sums, double value, double sign, bool squares)
{
    sum_add(&sums->value, sign * value);
    if (!squares)
        return;
    double square = value * value;
    sum_add(&sums->square, sign * square);
    sum_add(&sums->square, sign * fma(value, value, -square)); /* what the product rounded away */
}

/* Population variance, (n * sum of squares - square of sum) / n^2. The difference of the two nearly
 * equal terms is taken at the precision of the sums; below what these can tell, it is 0. */
static double sums_variance(const struct sums *sums, int n)
{
    struct sum s = sums->value, q = sums->square;
    double squares = n * q.high, squares_low = fma(n, q.high, -squares) + n * q.low;
    double product = s.high * s.high,
           product_low = fma(s.high, s.high, -product) + 2 * s.high * s.low;
    double difference = (squares - product) + (squares_low - product_low);
    if (difference <= squares * n * 0x1p-102)
        return 0;
    return difference / ((double)n * n);
}

/* ---- an indicator ---- */

/* A candidate for the highest of the window: nothing after it is as high. */
struct peak {
    double value;
    uint64_t at; /* its number, counting from 0 */
};

struct kind;

struct indicator {
    struct indicator_spec spec;
    const struct kind *kind;
    int n;
    int seen, warmup; /* invariant 1 */
    double lines[INDICATOR_LINES_MAX];
    double weight; /* of a new value in a smoothed average */
    double previous;
    double up, down;           /* RSI's averages */
    struct sum seed;           /* of the values an average starts from */
    struct sums sums, renewed; /* of the window; of its values since `at` was last 0 */
    int at;                    /* where the next value goes in the window */
    int first, peaks;          /* the peaks are a ring of n */
    uint64_t number;           /* of the next value, for peaks */
    double *window;            /* n values: SMA, Bollinger */
    struct peak *peak;         /* n of them: highest, lowest */
};

/* The next step of a smoothed average. With n = 1 it is the value itself, which
 * previous + (value - previous) need not be. */
static double smooth(const struct indicator *indicator, double previous, double value)
{
    if (indicator->n == 1)
        return value;
    return previous + indicator->weight * (value - previous);
}

/* Puts a value in the window, and the one it pushes out of it away. */
static void window_put(struct indicator *indicator, double value, bool squares)
{
    if (indicator->number++ >= (uint64_t)indicator->n)
        sums_add(&indicator->sums, indicator->window[indicator->at], -1, squares);
    sums_add(&indicator->sums, value, 1, squares);
    sums_add(&indicator->renewed, value, 1, squares);
    indicator->window[indicator->at++] = value;
    if (indicator->at == indicator->n) { /* invariant 2 */
        indicator->at = 0;
        indicator->sums = indicator->renewed;
        memset(&indicator->renewed, 0, sizeof(indicator->renewed));
    }
}

/* Simple moving average: the mean of the last n values. */
static void update_sma(struct indicator *indicator, const struct bar_values *values)
{
    window_put(indicator, values->close, false);
    indicator->lines[0] = sum_mean(indicator->sums.value, indicator->n);
}

/* Exponential moving average: starts as the mean of the first n values, then
 * ema += 2 / (n + 1) * (value - ema).
 * Source: StockCharts ChartSchool, "Moving Averages - Simple and Exponential"; TA-Lib ta_EMA.c. */
static void update_ema(struct indicator *indicator, const struct bar_values *values)
{
    if (indicator->number < (uint64_t)indicator->n) {
        indicator->number++;
        sum_add(&indicator->seed, values->close);
        indicator->lines[0] = sum_mean(indicator->seed, indicator->n);
        return;
    }
    indicator->lines[0] = smooth(indicator, indicator->lines[0], values->close);
}

/* Relative strength index, 100 * up / (up + down): up and down are averages of the rises and of the
 * falls from value to value. They start as means of the first n changes (so the first RSI needs
 * n + 1 values), then avg += (change - avg) / n. No change at all, up = down = 0, is 50: neither
 * strong nor weak (TA-Lib says 0 there, others 100).
 * Source: Wilder, New Concepts in Technical Trading Systems (1978), section VI. */
static void update_rsi(struct indicator *indicator, const struct bar_values *values)
{
    double change = values->close - indicator->previous;
    indicator->previous = values->close;
    if (indicator->number++ == 0)
        return;

    double rise = change > 0 ? change : 0, fall = change < 0 ? -change : 0;
    if (indicator->number <= (uint64_t)indicator->n + 1) {
        indicator->up += rise; /* sums until the first n changes are there */
        indicator->down += fall;
        if (indicator->number == (uint64_t)indicator->n + 1) {
            indicator->up /= indicator->n;
            indicator->down /= indicator->n;
        }
    } else {
        indicator->up = smooth(indicator, indicator->up, rise);
        indicator->down = smooth(indicator, indicator->down, fall);
    }
    double all = indicator->up + indicator->down;
    indicator->lines[0] = all > 0 ? 100 * (indicator->up / all) : 50;
}

/* Average true range. True range = max(high, previous close) - min(low, previous close). The first
 * bar has no previous close and gives none, as in TA-Lib (ta_ATR.c): the average starts as the mean
 * of the true ranges of bars 2 to n + 1, then atr += (range - atr) / n. StockCharts starts with
 * high - low of the first bar instead; the two come together as bars go by.
 * Source: Wilder, New Concepts in Technical Trading Systems (1978), section III. */
static void update_atr(struct indicator *indicator, const struct bar_values *values)
{
    double previous = indicator->previous;
    indicator->previous = values->close;
    if (indicator->number++ == 0)
        return;

    double range = fmax(values->high, previous) - fmin(values->low, previous);
    if (indicator->number <= (uint64_t)indicator->n + 1) {
        sum_add(&indicator->seed, range);
        indicator->lines[0] = sum_mean(indicator->seed, indicator->n);
    } else {
        indicator->lines[0] = smooth(indicator, indicator->lines[0], range);
    }
}

/* Bollinger bands: the mean of the last n values, and k population deviations above and below it.
 * Source: Bollinger on Bollinger Bands (2001), chapter 7: the deviation divides by n, not n - 1. */
static void update_bollinger(struct indicator *indicator, const struct bar_values *values)
{
    window_put(indicator, values->close, true);
    double middle = sum_mean(indicator->sums.value, indicator->n);
    double reach = indicator->spec.params[1] * sqrt(sums_variance(&indicator->sums, indicator->n));
    indicator->lines[0] = middle + reach;
    indicator->lines[1] = middle;
    indicator->lines[2] = middle - reach;
}

/* Highest of the last n values (lowest: of the values with their sign turned). A new value removes
 * the candidates before it that it equals or exceeds, so the first candidate is the highest. Each
 * value enters and leaves once: two steps an update on average.
 * Source: Lemire, "Streaming Maximum-Minimum Filter Using No More than Three Comparisons per
 * Element" (2006). */
static double window_highest(struct indicator *indicator, double value)
{
    uint64_t number = indicator->number++;
    int n = indicator->n;
    if (indicator->peaks > 0 && indicator->peak[indicator->first].at + (uint64_t)n <= number) {
        indicator->first = (indicator->first + 1) % n;
        indicator->peaks--;
    }
    while (indicator->peaks > 0 &&
           indicator->peak[(indicator->first + indicator->peaks - 1) % n].value <= value)
        indicator->peaks--;
    ASSERT(indicator->peaks < n);
    indicator->peak[(indicator->first + indicator->peaks++) % n] =
        (struct peak){ .value = value, .at = number };
    return indicator->peak[indicator->first].value;
}

static void update_highest(struct indicator *indicator, const struct bar_values *values)
{
    indicator->lines[0] = window_highest(indicator, values->close);
}

static void update_lowest(struct indicator *indicator, const struct bar_values *values)
{
    indicator->lines[0] = -window_highest(indicator, -values->close);
}

/* ---- the table ---- */

struct kind {
    struct indicator_info info;
    void (*update)(struct indicator *indicator, const struct bar_values *values);
    int more; /* values beyond n until it is ready */
    bool keeps_window, keeps_peaks;
};

static const struct kind kinds[INDICATOR_KINDS] = {
    [INDICATOR_SMA] = { .info = { .name = "sma", .params = { "n" }, .lines = { "value" } },
                        .update = update_sma,
                        .keeps_window = true },
    [INDICATOR_EMA] = { .info = { .name = "ema", .params = { "n" }, .lines = { "value" } },
                        .update = update_ema },
    [INDICATOR_RSI] = { .info = { .name = "rsi",
                                  .params = { "n" },
                                  .defaults = { 14 },
                                  .lines = { "value" } },
                        .update = update_rsi,
                        .more = 1 },
    [INDICATOR_ATR] = { .info = { .name = "atr",
                                  .params = { "n" },
                                  .defaults = { 14 },
                                  .lines = { "value" },
                                  .needs_bars = true },
                        .update = update_atr,
                        .more = 1 },
    [INDICATOR_BOLLINGER] = { .info = { .name = "bollinger",
                                        .params = { "n", "k" },
                                        .defaults = { 20, 2 },
                                        .lines = { "upper", "middle", "lower" } },
                              .update = update_bollinger,
                              .keeps_window = true },
    [INDICATOR_HIGHEST] = { .info = { .name = "highest", .params = { "n" }, .lines = { "value" } },
                            .update = update_highest,
                            .keeps_peaks = true },
    [INDICATOR_LOWEST] = { .info = { .name = "lowest", .params = { "n" }, .lines = { "value" } },
                           .update = update_lowest,
                           .keeps_peaks = true },
};

const struct indicator_info *indicator_info(enum indicator_kind kind)
{
    ASSERT((unsigned)kind < INDICATOR_KINDS);
    return &kinds[kind].info;
}

bool indicator_find(const char *name, enum indicator_kind *kind)
{
    for (int i = 0; i < INDICATOR_KINDS; i++)
        if (strcmp(kinds[i].info.name, name) == 0) {
            *kind = (enum indicator_kind)i;
            return true;
        }
    return false;
}

/* ---- life ---- */

static int check_spec(const struct indicator_spec *spec, struct error *err)
{
    const struct indicator_info *info = indicator_info(spec->kind);
    double n = spec->params[0];
    if (!(n >= 1 && n <= PERIOD_MAX) || n != floor(n))
        return error_set(err, ERROR_REFUSED,
                         "%s: n = %.17g: a whole number from 1 to %d is allowed", info->name, n,
                         PERIOD_MAX);
    if (info->params[1] && !(spec->params[1] > 0 && isfinite(spec->params[1])))
        return error_set(err, ERROR_REFUSED, "%s: %s = %.17g: a number above 0 is allowed",
                         info->name, info->params[1], spec->params[1]);
    return 0;
}

int indicator_open(const struct indicator_spec *spec, struct indicator **out, struct error *err)
{
    int code = check_spec(spec, err);
    if (code < 0)
        return code;

    const struct kind *kind = &kinds[spec->kind];
    for (int i = 0; i < INDICATOR_PARAMS_MAX; i++)
        ASSERT(kind->info.params[i] || spec->params[i] == 0); /* or equal specs would differ */

    struct indicator *indicator = memory_new(sizeof(*indicator));
    indicator->spec = *spec;
    indicator->kind = kind;
    indicator->n = (int)spec->params[0];
    indicator->warmup = indicator->n + kind->more;
    indicator->weight = spec->kind == INDICATOR_EMA ? 2.0 / (indicator->n + 1) : 1.0 / indicator->n;
    if (kind->keeps_window)
        indicator->window = memory_new((size_t)indicator->n * sizeof(*indicator->window));
    if (kind->keeps_peaks)
        indicator->peak = memory_new((size_t)indicator->n * sizeof(*indicator->peak));
    *out = indicator;
    return 0;
}

void indicator_close(struct indicator *indicator)
{
    if (!indicator)
        return;
    free(indicator->window);
    free(indicator->peak);
    free(indicator);
}

void indicator_update(struct indicator *indicator, const struct bar_values *values)
{
    if (!isfinite(values->high) || !isfinite(values->low) || !isfinite(values->close))
        return; /* invariant 4 */
    if (indicator->seen < indicator->warmup)
        indicator->seen++;
    indicator->kind->update(indicator, values);
}

bool indicator_ready(const struct indicator *indicator)
{
    return indicator->seen == indicator->warmup;
}

double indicator_line(const struct indicator *indicator, int line)
{
    ASSERT(line >= 0 && line < INDICATOR_LINES_MAX && indicator->kind->info.lines[line]);
    return indicator_ready(indicator) ? indicator->lines[line] : (double)NAN;
}

int indicator_warmup(const struct indicator *indicator)
{
    return indicator->warmup;
}
