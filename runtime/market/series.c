/* series.c - what can be asked of a line of closed values. */
#include "runtime/market/market.h"

#include <math.h>

void series_push(struct series *series, double value)
{
    series->ring[series->count % SERIES_KEPT] = value;
    series->count++;
}

/* A comparison with NaN is false, so a value that is missing never crosses. */
bool series_crossed_above(const struct series *x, const struct series *y)
{
    return series_at(x, 2) <= series_at(y, 2) && series_at(x, 1) > series_at(y, 1);
}

bool series_crossed_below(const struct series *x, const struct series *y)
{
    return series_at(x, 2) >= series_at(y, 2) && series_at(x, 1) < series_at(y, 1);
}

static bool has(const struct series *series, uint64_t n)
{
    return n > 0 && n <= series->count && n <= SERIES_KEPT;
}

double series_highest(const struct series *series, uint64_t n)
{
    if (!has(series, n))
        return (double)NAN;
    double highest = series_at(series, 1);
    for (uint64_t back = 2; back <= n; back++)
        highest = fmax(highest, series_at(series, back));
    return highest;
}

double series_lowest(const struct series *series, uint64_t n)
{
    if (!has(series, n))
        return (double)NAN;
    double lowest = series_at(series, 1);
    for (uint64_t back = 2; back <= n; back++)
        lowest = fmin(lowest, series_at(series, back));
    return lowest;
}

double series_change(const struct series *series, uint64_t n)
{
    if (n >= SERIES_KEPT)
        return (double)NAN;
    return series_at(series, 1) - series_at(series, 1 + n);
}

/* Worked out on distances from the newest value: equal values then have a deviation of exactly 0,
 * and large prices close together lose nothing. */
double series_zscore(const struct series *series, uint64_t n)
{
    if (!has(series, n))
        return (double)NAN;
    double newest = series_at(series, 1), sum = 0, squares = 0;
    for (uint64_t back = 1; back <= n; back++)
        sum += series_at(series, back) - newest;
    double mean = sum / (double)n;
    for (uint64_t back = 1; back <= n; back++) {
        double distance = series_at(series, back) - newest - mean;
        squares += distance * distance;
    }
    double deviation = sqrt(squares / (double)n);
    return deviation > 0 ? (0 - mean) / deviation : (double)NAN;
}
