/* volatility.h - how much a portfolio moves in a year, from hourly returns of its instruments.
 *
 *   sigma = sqrt(w' S w * N)     w: signed weights (value / equity), S: covariance of hourly log
 *                                returns, N: trading hours of a year of the calendar
 *
 * 500 returns are kept of each instrument. A pair with fewer than 20 common hours counts as fully
 * correlated, in the direction that is worse. An instrument with fewer than 20 returns has no
 * estimate, and then nothing that adds risk in it passes. In doubles, rounded against the user.
 * Pure: the same prices in the same order give the same bits.
 * Source of the shape: docs/risk.md, "Portfolio volatility". */
#ifndef RUNTIME_RISK_VOLATILITY_H
#define RUNTIME_RISK_VOLATILITY_H

#include "runtime/base/base.h"

#define VOLATILITY_RETURNS 500
#define VOLATILITY_RETURNS_LEAST 20

struct volatility; /* opaque */
/* hours_per_year: of each instrument's calendar, `count` of them. */
struct volatility *volatility_open(uint32_t count, const double *hours_per_year);
void volatility_close(struct volatility *volatility);

/* The price that stood at the end of an hour (hours since 1970). Hours come in order, per
 * instrument at most once each: one that repeats or goes back is left out. A gap is no return. A
 * price that is not above 0 or not finite is left out. Costs the same however many instruments. */
void volatility_price(struct volatility *volatility, uint32_t instrument, int64_t hour,
                      double price);
/* Whether there is an estimate for the instrument. */
bool volatility_is_known(const struct volatility *volatility, uint32_t instrument);
/* Annual covariance of two instruments (variance when they are one): S_ij * sqrt(N_i * N_j), an
 * upper bound for `sign` 1 and a lower one for -1; sign is that of the product of their weights, so
 * that the bound is the worse one. For a pair with too few common hours: sign * the product of
 * their deviations. A hedge never counts for more than full correlation. Infinite: one is not
 * known. */
double volatility_covariance(const struct volatility *volatility, uint32_t i, uint32_t j, int sign);

/* The portfolio of a scope, as it is before a candidate. weights: `count` of them, 0 where nothing
 * is held. q = w' S w and, for the candidate's instrument k, g = sum S_kj w_j and s2 = S_kk, all
 * annual. Where the two bounds of S_kj differ g has their middle, and fold the sum of half their
 * distance * |w_j|: it counts up as k's weight moves away from 0, and down on the way to 0.
 * False: something that is held, or k, has no estimate, or a weight is not finite. Costs `count`
 * steps and one for each pair that is held (and the estimates that an hour made old). */
struct volatility_book {
    double q, g, s2;
    double weight; /* w_k */
    double fold;
};
bool volatility_book(const struct volatility *volatility, const double *weights, uint32_t k,
                     struct volatility_book *out);
/* The same in two steps, for many candidates beside one portfolio: q once, O(held^2), then a book
 * for each k, O(held). */
bool volatility_variance(const struct volatility *volatility, const double *weights, double *q);
bool volatility_book_of(const struct volatility *volatility, const double *weights, double q,
                        uint32_t k, struct volatility_book *out);
/* sqrt(q + 2 d g + d^2 s2 + 2 fold (|weight + d| - |weight|)): the volatility when k's weight
 * changes by d, rounded up. */
double volatility_after(const struct volatility_book *book, double d);
/* The largest change of k's weight in the direction of d (0 <= |change| <= |d|) that keeps the
 * volatility at or under `limit`, or does not raise it; signed like d. Rounded toward 0: what is
 * returned was itself tried with volatility_after. 0 where a number is not finite. */
double volatility_room(const struct volatility_book *book, double d, double limit);

#endif
