/* volatility.c - see volatility.h.
 *
 * A covariance costs up to 500 steps, so it is made when it is first asked for and kept until one
 * of its two instruments gets another return: once an hour. Memory: 8 KB for the returns of an
 * instrument and 24 bytes for a pair.
 *
 * What is kept of a pair is two bounds. They differ by the rounding of the sums, which is counted
 * against the user; and where an estimate would credit a hedge that cannot be: a pair with too few
 * common hours, and one whose common hours say more than full correlation. */
#include "runtime/risk/volatility.h"

#include <math.h>
#include <stdlib.h>

/* Of n products of rounded factors whose means were rounded too, the sum is wrong by at most about
 * (3 n + 8) 2^-53 of the roots of the sums of squares: 2e-13 for 500. A portfolio adds 2 * 256 such
 * numbers, row by row: 6e-14 more. */
#define SUM_ROUNDING 1e-12
/* A handful of operations, the root among them: each is wrong by at most 2^-53. */
#define STEP_ROUNDING 0x1p-49

struct series {
    double hours_per_year;
    bool has_price;
    int64_t hour; /* of the price */
    double price;
    uint64_t changed;     /* the value of volatility.now when the last return came */
    uint32_t count, next; /* a ring */
    int64_t hours[VOLATILITY_RETURNS];
    double returns[VOLATILITY_RETURNS];
};

struct pair {
    uint64_t made; /* volatility.now at that time; 0: never */
    double low, high;
};

struct volatility {
    uint32_t count;
    uint64_t now; /* the returns of all instruments so far */
    struct series *series;
    struct pair *pairs; /* (i, j) with i <= j at j (j + 1) / 2 + i */
};

struct volatility *volatility_open(uint32_t count, const double *hours_per_year)
{
    struct volatility *volatility = memory_new(sizeof(*volatility));
    size_t pairs = (size_t)count * ((size_t)count + 1) / 2;
    volatility->count = count;
    volatility->series = memory_new(count * sizeof(*volatility->series));
    volatility->pairs = memory_new(pairs * sizeof(*volatility->pairs));
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(isfinite(hours_per_year[i]) && hours_per_year[i] > 0);
        volatility->series[i].hours_per_year = hours_per_year[i];
    }
    return volatility;
}

void volatility_close(struct volatility *volatility)
{
    if (!volatility)
        return;
    free(volatility->series);
    free(volatility->pairs);
    free(volatility);
}

static struct series *series_of(const struct volatility *volatility, uint32_t instrument)
{
    ASSERT(instrument < volatility->count);
    return &volatility->series[instrument];
}

/* Exact to a few units in the last place, however small the move: near 1 the quotient would lose
 * what log needs, far from 1 the difference may leave the range of a double. */
static double log_return(double before, double after)
{
    if (after >= before / 2 && after <= before * 2)
        return log1p((after - before) / before);
    return log(after) - log(before);
}

void volatility_price(struct volatility *volatility, uint32_t instrument, int64_t hour,
                      double price)
{
    struct series *series = series_of(volatility, instrument);
    if (!isfinite(price) || price <= 0)
        return;
    if (series->has_price && hour <= series->hour)
        return;

    if (series->has_price && hour - 1 == series->hour) {
        series->hours[series->next] = hour;
        series->returns[series->next] = log_return(series->price, price);
        series->next = (series->next + 1) % VOLATILITY_RETURNS;
        if (series->count < VOLATILITY_RETURNS)
            series->count++;
        series->changed = ++volatility->now;
    }
    series->has_price = true;
    series->hour = hour;
    series->price = price;
}

bool volatility_is_known(const struct volatility *volatility, uint32_t instrument)
{
    return series_of(volatility, instrument)->count >= VOLATILITY_RETURNS_LEAST;
}

/* ---- covariances ---- */

/* The place of a series' n-th return, the oldest first. */
static uint32_t place(const struct series *series, uint32_t n)
{
    return (series->next + VOLATILITY_RETURNS - series->count + n) % VOLATILITY_RETURNS;
}

/* The returns of the hours that both have, the oldest first. */
static uint32_t common_returns(const struct series *a, const struct series *b, double *x, double *y)
{
    uint32_t count = 0;
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        uint32_t in_a = place(a, i), in_b = place(b, j);
        if (a->hours[in_a] == b->hours[in_b]) {
            x[count] = a->returns[in_a];
            y[count] = b->returns[in_b];
            count++;
        }
        bool is_a_first = a->hours[in_a] <= b->hours[in_b];
        bool is_b_first = b->hours[in_b] <= a->hours[in_a];
        i += is_a_first;
        j += is_b_first;
    }
    return count;
}

static double sum_of_products(const double *x, double x_mean, const double *y, double y_mean,
                              uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += (x[i] - x_mean) * (y[i] - y_mean);
    return sum;
}

static double mean(const double *x, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += x[i];
    return sum / count;
}

/* Between which two values the sample covariance lies, given how the sums were rounded. By n - 1:
 * the mean is estimated from the same returns, and dividing by n would say too little. */
static void estimate(const double *x, const double *y, uint32_t count, struct pair *out)
{
    double sum = sum_of_products(x, mean(x, count), y, mean(y, count), count);
    double squares =
        sqrt(sum_of_products(x, 0, x, 0, count)) * sqrt(sum_of_products(y, 0, y, 0, count));
    out->low = (sum - SUM_ROUNDING * squares) / (count - 1);
    out->high = (sum + SUM_ROUNDING * squares) / (count - 1);
}

static const struct pair *pair_of(const struct volatility *volatility, uint32_t i, uint32_t j);

static double deviation(const struct volatility *volatility, uint32_t i)
{
    return sqrt(pair_of(volatility, i, i)->high);
}

static void pair_make(const struct volatility *volatility, uint32_t i, uint32_t j,
                      struct pair *pair)
{
    const struct series *a = &volatility->series[i], *b = &volatility->series[j];
    double x[VOLATILITY_RETURNS], y[VOLATILITY_RETURNS];
    uint32_t count = common_returns(a, b, x, y);
    pair->made = volatility->now;
    if (i == j) {
        estimate(x, x, count, pair);
        pair->low = pair->high *= a->hours_per_year;
        return;
    }

    double full = deviation(volatility, i) * deviation(volatility, j);
    if (count < VOLATILITY_RETURNS_LEAST) {
        pair->low = -full;
        pair->high = full;
        return;
    }
    double annual = sqrt(a->hours_per_year * b->hours_per_year);
    estimate(x, y, count, pair);
    pair->low = fmin(pair->low * annual, full);
    pair->high = fmax(pair->high * annual, -full);
}

/* Of two that are known. */
static const struct pair *pair_of(const struct volatility *volatility, uint32_t i, uint32_t j)
{
    uint32_t low = i < j ? i : j, high = i < j ? j : i;
    struct pair *pair = &volatility->pairs[(size_t)high * (high + 1) / 2 + low];
    if (pair->made < volatility->series[low].changed ||
        pair->made < volatility->series[high].changed)
        pair_make(volatility, low, high, pair);
    return pair;
}

double volatility_covariance(const struct volatility *volatility, uint32_t i, uint32_t j, int sign)
{
    bool is_up = sign > 0 || i == j;
    if (!volatility_is_known(volatility, i) || !volatility_is_known(volatility, j))
        return is_up ? INFINITY : -INFINITY;
    const struct pair *pair = pair_of(volatility, i, j);
    return is_up ? pair->high : pair->low;
}

/* ---- the portfolio ---- */

static bool all_are_known(const struct volatility *volatility, const double *weights)
{
    for (uint32_t i = 0; i < volatility->count; i++)
        if (weights[i] != 0 && !volatility_is_known(volatility, i))
            return false;
    return true;
}

/* w' S w, row by row of the lower triangle. */
static double variance(const struct volatility *volatility, const double *weights)
{
    double sum = 0;
    for (uint32_t i = 0; i < volatility->count; i++) {
        if (weights[i] == 0)
            continue;
        double row = 0;
        for (uint32_t j = 0; j < i; j++) {
            if (weights[j] == 0)
                continue;
            const struct pair *pair = pair_of(volatility, i, j);
            double product = weights[i] * weights[j];
            row += product * (product > 0 ? pair->high : pair->low);
        }
        sum += weights[i] * weights[i] * pair_of(volatility, i, i)->high + 2 * row;
    }
    return sum;
}

bool volatility_variance(const struct volatility *volatility, const double *weights, double *q)
{
    if (!all_are_known(volatility, weights))
        return false;
    *q = variance(volatility, weights);
    /* A weight that is no number, or too large, shows in q. */
    return isfinite(*q);
}

bool volatility_book_of(const struct volatility *volatility, const double *weights, double q,
                        uint32_t k, struct volatility_book *out)
{
    if (!volatility_is_known(volatility, k))
        return false;

    double g = 0, fold = 0;
    for (uint32_t j = 0; j < volatility->count; j++) {
        if (weights[j] == 0)
            continue;
        const struct pair *pair = pair_of(volatility, k, j);
        g += weights[j] * ((pair->low + pair->high) / 2);
        fold += fabs(weights[j]) * ((pair->high - pair->low) / 2);
    }
    *out = (struct volatility_book){
        .q = q, .g = g, .s2 = pair_of(volatility, k, k)->high, .weight = weights[k], .fold = fold
    };
    return isfinite(out->q + out->s2 + fabs(g) + fold);
}

bool volatility_book(const struct volatility *volatility, const double *weights, uint32_t k,
                     struct volatility_book *out)
{
    double q;
    return volatility_variance(volatility, weights, &q) &&
           volatility_book_of(volatility, weights, q, k, out);
}

double volatility_after(const struct volatility_book *book, double d)
{
    double linear = 2 * d * book->g;
    double square = d * d * book->s2;
    double fold = 2 * book->fold * (fabs(book->weight + d) - fabs(book->weight));
    double rounding = STEP_ROUNDING * (fabs(book->q) + fabs(linear) + square + fabs(fold));
    double sum = book->q + linear + square + fold + rounding;
    if (isnan(sum))
        return INFINITY;
    /* Covariances over different hours may not fit together: the sum can come out below 0. */
    return sqrt(fmax(sum, 0));
}

double volatility_room(const struct volatility_book *book, double d, double limit)
{
    double bound = fmax(limit, volatility_after(book, 0));
    if (isinf(bound))
        return 0;
    if (volatility_after(book, d) <= bound)
        return d;

    /* The variance is convex in d, so what is allowed is one stretch that begins at 0. The lower
     * end was always tried and found good. */
    double good = 0, bad = d;
    for (int i = 0; i < 100; i++) {
        double middle = good + (bad - good) / 2;
        if (volatility_after(book, middle) <= bound)
            good = middle;
        else
            bad = middle;
    }
    return good;
}
