/* volatility_test.c - a portfolio's volatility: by hand, against numbers made elsewhere, and by its
 * properties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"
#include "runtime/base/text.h"
#include "runtime/risk/volatility.h"

#define CLOSE_ENOUGH 1e-11
#define HOURS_KEPT 800

static struct volatility *open_same(uint32_t count, double hours_per_year)
{
    double *hours = memory_new(count * sizeof(*hours));
    for (uint32_t i = 0; i < count; i++)
        hours[i] = hours_per_year;
    struct volatility *volatility = volatility_open(count, hours);
    free(hours);
    return volatility;
}

/* An upper bound of `wanted`, and no looser than 1e-11 of `size`. */
static void expect_above(double has, double wanted, double size)
{
    if (!(has >= wanted && has <= wanted + CLOSE_ENOUGH * size))
        fail_msg("%.17g is not just above %.17g", has, wanted);
}

static void expect_near(double has, double wanted, double within)
{
    if (!(fabs(has - wanted) <= within))
        fail_msg("%.17g is not %.17g", has, wanted);
}

/* `count` closes from hour `first` on: prices[0], prices[1], ... and from the beginning again. */
static void add_cycle(struct volatility *volatility, uint32_t instrument, int64_t first,
                      uint32_t count, const double *prices, uint32_t period)
{
    for (uint32_t i = 0; i < count; i++)
        volatility_price(volatility, instrument, first + i, prices[i % period]);
}

static const double up_down[] = { 100, 101 };            /* +a -a */
static const double up_down_rest[] = { 50, 51, 50, 50 }; /* +b -b 0 0 */

/* ---- by hand ---- */

/* n returns +a -a +a ... of an even n: the mean is 0 and the variance n / (n - 1) a^2. */
static void the_variance_is_the_sample_variance(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(1, 1);
    double a2 = log(1.01) * log(1.01);
    add_cycle(volatility, 0, 0, 21, up_down, 2);
    expect_above(volatility_covariance(volatility, 0, 0, 1), 20.0 / 19 * a2 * (1 - 1e-14), a2);
    volatility_close(volatility);

    /* 0 a 0 a ...: the mean is a / 2, each deviation a / 2. */
    volatility = open_same(1, 100);
    double price = 1;
    for (int hour = 0; hour <= 40; hour++) {
        volatility_price(volatility, 0, hour, price);
        price *= hour % 2 ? 2 : 1;
    }
    double half = log(2) / 2;
    expect_above(volatility_covariance(volatility, 0, 0, 1),
                 100 * 40.0 / 39 * half * half * (1 - 1e-14), 20);
    volatility_close(volatility);
}

/* A is +a -a +a -a, B is +b -b 0 0: their products sum to 2 a b of each four. */
static void the_covariance_of_two_by_hand(void **state)
{
    (void)state;
    double hours[] = { 8760, 1764 };
    struct volatility *volatility = volatility_open(2, hours);
    add_cycle(volatility, 0, 1000, 21, up_down, 2);
    add_cycle(volatility, 1, 1000, 21, up_down_rest, 4);
    double a = log(1.01), b = log(1.02), annual = sqrt(8760.0 * 1764);
    double wanted = 10.0 / 19 * a * b * annual;
    expect_above(volatility_covariance(volatility, 0, 1, 1), wanted * (1 - 1e-14), wanted);
    expect_above(-volatility_covariance(volatility, 0, 1, -1), -wanted * (1 + 1e-14), wanted);
    assert_true(volatility_covariance(volatility, 0, 1, -1) < wanted);
    expect_above(volatility_covariance(volatility, 1, 1, 1), 10.0 / 19 * b * b * 1764 * (1 - 1e-14),
                 1);
    /* Of one instrument with itself the weights have one sign, whatever is said. */
    assert_true(volatility_covariance(volatility, 1, 1, -1) ==
                volatility_covariance(volatility, 1, 1, 1));
    /* The same bits either way round. */
    for (int sign = -1; sign <= 1; sign += 2)
        assert_true(volatility_covariance(volatility, 0, 1, sign) ==
                    volatility_covariance(volatility, 1, 0, sign));
    volatility_close(volatility);
}

/* Made with Python 3.11, decimal, 60 digits: closes A = 1000 + (7 h^2 + 3 h) mod 101 and
 * B = 500 + (h^3 + 5 h) mod 97, h = 0 .. 699, B without each h with h mod 50 = 49; ln of the
 * quotients of hours that follow each other, the last 500 of each; sum (x - mean x)(y - mean y) /
 * (n - 1) over the 480 common hours; times 8760, sqrt(8760 * 1764), 1764. */
static void the_numbers_agree_with_sixty_digits(void **state)
{
    (void)state;
    double hours[] = { 8760, 1764 };
    struct volatility *volatility = volatility_open(2, hours);
    for (int64_t h = 0; h < 700; h++) {
        volatility_price(volatility, 0, h, (double)(1000 + (7 * h * h + 3 * h) % 101));
        if (h % 50 != 49)
            volatility_price(volatility, 1, h, (double)(500 + (h * h * h + 5 * h) % 97));
    }
    expect_above(volatility_covariance(volatility, 0, 0, 1), 13.2830227922360090, 13.3);
    expect_above(volatility_covariance(volatility, 1, 1, 1), 6.75898036707350452, 6.8);
    expect_above(volatility_covariance(volatility, 0, 1, 1), -0.404898800621589312, 9.5);
    expect_above(-volatility_covariance(volatility, 0, 1, -1), 0.404898800621589312, 9.5);
    volatility_close(volatility);
}

/* The example of docs/risk.md, to the last digit shown. */
static void the_example_of_the_page_is_true(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(2, 8760);
    add_cycle(volatility, 0, 1, 21, up_down, 2);
    add_cycle(volatility, 1, 1, 21, up_down_rest, 4);
    double weights[] = { 0.2, 0 };
    struct volatility_book a, b;
    assert_true(volatility_book(volatility, weights, 0, &a));
    assert_true(volatility_book(volatility, weights, 1, &b));

    char *page, line[200];
    size_t length;
    assert_int_equal(text_read_file("docs/risk.md", 1000000, &page, &length, NULL), 0);
    const struct {
        const char *format;
        double value;
    } shown[] = {
        { "S_AA = 20/19 * ln(1.01)^2        * 8760 = %.6f\n", a.s2 },
        { "S_AB = 10/19 * ln(1.01) ln(1.02) * 8760 = %.6f\n",
          volatility_covariance(volatility, 0, 1, 1) },
        { "S_BB = 10/19 * ln(1.02)^2        * 8760 = %.6f\n", b.s2 },
        { "q = 0.04 S_AA = %.6f,", a.q },
        { "the volatility is %.6f.", volatility_after(&a, 0) },
        { "%.6f, s2 =", b.g },
        { "= %.6f. At a limit of\n", volatility_after(&b, 0.1) },
        { "(0.0625 - q)) - g) / s2 = %.6f.", volatility_room(&b, 1, 0.25) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof(line), shown[i].format, shown[i].value);
#pragma GCC diagnostic pop
        if (!strstr(page, line))
            fail_msg("the page lacks: %s", line);
    }
    free(page);
    volatility_close(volatility);
}

/* ---- which prices count ---- */

static void twenty_returns_are_an_estimate(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(2, 8760);
    assert_false(volatility_is_known(volatility, 0));
    add_cycle(volatility, 0, 0, 20, up_down, 2); /* 19 returns */
    assert_false(volatility_is_known(volatility, 0));
    assert_true(volatility_covariance(volatility, 0, 0, 1) == INFINITY);
    volatility_price(volatility, 0, 20, 100);
    assert_true(volatility_is_known(volatility, 0));
    assert_false(volatility_is_known(volatility, 1));
    assert_true(isfinite(volatility_covariance(volatility, 0, 0, 1)));
    assert_true(volatility_covariance(volatility, 0, 1, 1) == INFINITY);
    assert_true(volatility_covariance(volatility, 0, 1, -1) == -INFINITY);
    assert_true(volatility_covariance(volatility, 1, 0, -1) == -INFINITY);
    assert_true(volatility_covariance(volatility, 1, 1, -1) == INFINITY);
    volatility_close(volatility);
}

/* Every second hour: prices without end, and no return. */
static void a_gap_is_no_return(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(1, 8760);
    for (int hour = 0; hour < 200; hour += 2)
        volatility_price(volatility, 0, hour, 100 + hour);
    assert_false(volatility_is_known(volatility, 0));
    /* Pairs of hours: one return each, and never over the gap (which would be large). */
    for (int i = 0; i < 20; i++) {
        assert_false(volatility_is_known(volatility, 0));
        volatility_price(volatility, 0, 1000 + 3 * i, 100 * (i + 1));
        volatility_price(volatility, 0, 1001 + 3 * i, 100 * (i + 1));
    }
    assert_true(volatility_is_known(volatility, 0));
    assert_true(volatility_covariance(volatility, 0, 0, 1) == 0);
    volatility_close(volatility);
}

static void the_first_hour_may_be_any(void **state)
{
    (void)state;
    static const int64_t firsts[] = { INT64_MIN, -5, 0, INT64_MAX - 20 };
    for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
        struct volatility *volatility = open_same(1, 8760);
        for (int hour = 0; hour <= 20; hour++) {
            assert_false(volatility_is_known(volatility, 0));
            volatility_price(volatility, 0, firsts[i] + hour, 100);
        }
        assert_true(volatility_is_known(volatility, 0));
        volatility_close(volatility);
    }
}

static void an_hour_that_repeats_or_goes_back_is_left_out(void **state)
{
    (void)state;
    struct volatility *clean = open_same(1, 8760), *dirty = open_same(1, 8760);
    for (int hour = 0; hour < 30; hour++) {
        double price = 100 + hour * hour % 7;
        volatility_price(clean, 0, hour, price);
        volatility_price(dirty, 0, hour, price);
        volatility_price(dirty, 0, hour, price * 3);
        volatility_price(dirty, 0, hour - 1, price * 5);
        volatility_price(dirty, 0, hour - 20, price * 7);
        volatility_price(dirty, 0, INT64_MIN, price);
    }
    assert_true(volatility_covariance(clean, 0, 0, 1) == volatility_covariance(dirty, 0, 0, 1));
    volatility_close(clean);
    volatility_close(dirty);
}

static void a_price_that_is_none_is_left_out(void **state)
{
    (void)state;
    static const double none[] = { NAN, INFINITY, -INFINITY, 0, -0.0, -1, -1e300 };
    struct volatility *volatility = open_same(1, 8760);
    for (int hour = 0; hour < 200; hour++)
        volatility_price(volatility, 0, hour, none[hour % 7]);
    assert_false(volatility_is_known(volatility, 0));

    /* Before the hour's price they change nothing; in place of one they are a gap. */
    for (int hour = 200; hour <= 220; hour++) {
        assert_false(volatility_is_known(volatility, 0));
        volatility_price(volatility, 0, hour, none[hour % 7]);
        volatility_price(volatility, 0, hour, 100);
    }
    assert_true(volatility_is_known(volatility, 0));
    volatility_price(volatility, 0, 221, NAN);
    volatility_price(volatility, 0, 222, 100000);
    assert_true(volatility_covariance(volatility, 0, 0, 1) == 0);
    volatility_price(volatility, 0, 223, 100000);
    assert_true(volatility_covariance(volatility, 0, 0, 1) == 0);
    volatility_price(volatility, 0, 224, 100001);
    assert_true(volatility_covariance(volatility, 0, 0, 1) > 0);
    volatility_close(volatility);
}

/* Wild returns, then 499 quiet ones: one wild return is left. One more, and none is. */
static void five_hundred_returns_are_kept(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(1, 1);
    add_cycle(volatility, 0, 0, 301, up_down, 2); /* 300 returns, the last one -a; then at 100 */
    for (int hour = 301; hour < 301 + 499; hour++)
        volatility_price(volatility, 0, hour, 100);
    double a = log(1.01); /* one -a of 500: a^2 (1 - 1/500) / 499 = a^2 / 500 */
    expect_near(volatility_covariance(volatility, 0, 0, 1), a * a / 500, 1e-18);
    assert_true(volatility_covariance(volatility, 0, 0, 1) > a * a / 500 * (1 - 1e-15));
    volatility_price(volatility, 0, 800, 100);
    assert_true(volatility_covariance(volatility, 0, 0, 1) == 0);
    volatility_close(volatility);
}

/* The logarithm of quotients that no double holds, and of the smallest steps. */
static void far_and_near_prices_have_returns(void **state)
{
    (void)state;
    double far[] = { 1e-300, 1e300 };
    struct volatility *volatility = open_same(1, 1);
    add_cycle(volatility, 0, 0, 21, far, 2);
    double a = 600 * log(10);
    expect_near(volatility_covariance(volatility, 0, 0, 1), 20.0 / 19 * a * a, 1e-9 * a * a);
    volatility_close(volatility);

    /* ln(1 + 2^-52) = 2^-52 (1 - 2^-53): a quotient's logarithm has it, but a price of 3 and the
     * next double (2^-51 more) have the step 2^-51 / 3. */
    double near[] = { 3, 3 + 0x1p-51 };
    volatility = open_same(1, 1);
    add_cycle(volatility, 0, 0, 21, near, 2);
    double b = 0x1p-51 / 3;
    expect_near(volatility_covariance(volatility, 0, 0, 1), 20.0 / 19 * b * b, 1e-9 * b * b);
    volatility_close(volatility);

    /* Both sides of where the way of computing changes. */
    static const double factors[] = { 1.9999, 2, 2.0001, 1 / 1.9999, 0.5, 1 / 2.0001 };
    for (size_t i = 0; i < ARRAY_SIZE(factors); i++) {
        double prices[] = { 7, 7 * factors[i] }, c = log(factors[i]);
        volatility = open_same(1, 1);
        add_cycle(volatility, 0, 0, 21, prices, 2);
        expect_near(volatility_covariance(volatility, 0, 0, 1), 20.0 / 19 * c * c, 1e-11);
        volatility_close(volatility);
    }
}

/* ---- pairs ---- */

/* B begins after A: so many hours in common. */
static void with_nineteen_common_hours_the_worse_is_assumed(void **state)
{
    (void)state;
    double hours[] = { 8760, 2000 };
    for (int common = 0; common <= 20; common += common ? 1 : 18) {
        struct volatility *volatility = volatility_open(2, hours);
        add_cycle(volatility, 0, 0, 101, up_down, 2); /* returns at hours 1 to 100 */
        add_cycle(volatility, 1, 100 - common, 101, up_down_rest, 4);
        double full = sqrt(volatility_covariance(volatility, 0, 0, 1)) *
                      sqrt(volatility_covariance(volatility, 1, 1, 1));
        if (common < 20) {
            assert_true(volatility_covariance(volatility, 0, 1, 1) == full);
            assert_true(volatility_covariance(volatility, 0, 1, -1) == -full);
        } else {
            expect_near(volatility_covariance(volatility, 0, 1, 1),
                        volatility_covariance(volatility, 0, 1, -1), 1e-10);
            expect_near(volatility_covariance(volatility, 0, 1, 1),
                        10.0 / 19 * log(1.01) * log(1.02) * sqrt(8760.0 * 2000), 1e-10);
        }
        volatility_close(volatility);
    }
}

/* The hours of a pair are compared by their number, wherever they stand in the two rings: A has
 * 700 hours, B lacks some of them, so that the places differ. The other way round too. */
static void common_hours_are_found_wherever_they_stand(void **state)
{
    (void)state;
    for (uint32_t lacking = 0; lacking < 2; lacking++) {
        struct volatility *volatility = open_same(2, 1);
        for (int hour = 0; hour < 700; hour++) {
            double price = 100 + hour * hour % 11;
            volatility_price(volatility, 1 - lacking, hour, price);
            if (hour % 70 != 69)
                volatility_price(volatility, lacking, hour, 2 * price);
        }
        /* The same returns in the common hours: fully correlated there. */
        double variance = volatility_covariance(volatility, 0, 0, 1);
        expect_near(volatility_covariance(volatility, 0, 1, 1), variance, 0.02 * variance);
        assert_true(volatility_covariance(volatility, 0, 1, 1) > 0.9 * variance);
        volatility_close(volatility);
    }
}

/* Hours before 1970 have numbers below 0, and hour 0 is one of them. The one ends at hour -1, the
 * other goes on: what comes after the common hours changes nothing. */
static void an_hour_of_one_alone_is_no_common_hour(void **state)
{
    (void)state;
    for (uint32_t longer = 0; longer < 2; longer++) {
        struct volatility *volatility = open_same(2, 1), *cut = open_same(2, 1);
        for (int64_t hour = -25; hour <= 5; hour++) {
            double a = 100 + (double)(hour * hour % 7), b = 50 + (double)(hour * hour % 11);
            volatility_price(volatility, longer, hour, a);
            if (hour >= 0)
                continue;
            volatility_price(cut, longer, hour, a);
            volatility_price(volatility, 1 - longer, hour, b);
            volatility_price(cut, 1 - longer, hour, b);
        }
        for (int sign = -1; sign <= 1; sign += 2)
            assert_true(volatility_covariance(volatility, 0, 1, sign) ==
                        volatility_covariance(cut, 0, 1, sign));
        volatility_close(volatility);
        volatility_close(cut);
    }
}

/* Both are still, but for the 20 hours in which they move together: those say more than full
 * correlation. A hedge gets full correlation, the same side gets what was measured. */
static void a_hedge_is_never_better_than_perfect(void **state)
{
    (void)state;
    for (int opposite = 0; opposite < 2; opposite++) {
        struct volatility *volatility = open_same(2, 1);
        for (int hour = 0; hour < 100; hour++)
            volatility_price(volatility, 0, hour, 100);
        for (int i = 0; i <= 20; i++) {
            volatility_price(volatility, 0, 100 + i, i % 2 ? 101 : 100);
            volatility_price(volatility, 1, 100 + i, i % 2 != opposite ? 101 : 100);
        }
        for (int hour = 200; hour < 300; hour++)
            volatility_price(volatility, 1, hour, 100);
        /* 20 returns +-a among 120 of A and 119 of B: variances 20 a^2 / 119 and / 118 */
        double a2 = log(1.01) * log(1.01), full = 20 / sqrt(119.0 * 118) * a2,
               seen = 20.0 / 19 * a2;
        double up = volatility_covariance(volatility, 0, 1, 1);
        double down = volatility_covariance(volatility, 0, 1, -1);
        expect_near(up, opposite ? -full : seen, 1e-11 * seen);
        expect_near(down, opposite ? -seen : full, 1e-11 * seen);

        /* Weights that would cancel: nothing is left, and nothing below it. */
        double weights[] = { sqrt(119), opposite ? sqrt(118) : -sqrt(118) };
        struct volatility_book book;
        assert_true(volatility_book(volatility, weights, 0, &book));
        expect_near(book.q, 0, 1e-15);
        assert_true(volatility_after(&book, 0) >= 0);
        volatility_close(volatility);
    }
}

/* What is kept of a pair is made anew when either of the two has another return. */
static void a_new_return_of_either_counts(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(3, 1);
    struct volatility *fresh;
    double prices[3][40];
    for (uint32_t i = 0; i < 3; i++)
        for (int hour = 0; hour < 40; hour++)
            prices[i][hour] = 100 + (hour * hour * (int)(i + 3)) % 17;
    for (int hour = 0; hour < 25; hour++)
        for (uint32_t i = 0; i < 3; i++)
            volatility_price(volatility, i, hour, prices[i][hour]);
    /* One at a time, in changing order; after each all are compared with one that keeps nothing. */
    int next[3] = { 25, 25, 25 };
    for (int step = 0; step < 45; step++) {
        uint32_t who = (uint32_t)(step * 7 + step / 9) % 3;
        if (next[who] == 40)
            who = next[0] < 40 ? 0 : next[1] < 40 ? 1 : 2;
        volatility_price(volatility, who, next[who], prices[who][next[who]]);
        next[who]++;
        fresh = open_same(3, 1);
        for (uint32_t i = 0; i < 3; i++)
            for (int hour = 0; hour < next[i]; hour++)
                volatility_price(fresh, i, hour, prices[i][hour]);
        for (uint32_t i = 0; i < 3; i++)
            for (uint32_t j = 0; j < 3; j++)
                assert_true(volatility_covariance(volatility, i, j, 1) ==
                            volatility_covariance(fresh, i, j, 1));
        volatility_close(fresh);
    }
    volatility_close(volatility);
}

/* ---- against a naive oracle ---- */

struct prices {
    uint32_t count;
    double at[6][HOURS_KEPT]; /* 0: none */
    double hours_per_year[6];
};

/* Straight from the formula, in long double: the last 500 returns, looked up by their hour. */
static bool naive_return(const struct prices *prices, uint32_t i, int hour, long double *out)
{
    if (hour < 1 || !(prices->at[i][hour] > 0) || !(prices->at[i][hour - 1] > 0))
        return false;
    int later = 0;
    for (int h = hour + 1; h < HOURS_KEPT; h++)
        later += prices->at[i][h] > 0 && prices->at[i][h - 1] > 0;
    *out = logl((long double)prices->at[i][hour]) - logl((long double)prices->at[i][hour - 1]);
    return later < VOLATILITY_RETURNS;
}

static int naive_covariance(const struct prices *prices, uint32_t i, uint32_t j, long double *out)
{
    long double x, y, x_sum = 0, y_sum = 0, sum = 0;
    int n = 0;
    for (int hour = 0; hour < HOURS_KEPT; hour++) {
        if (naive_return(prices, i, hour, &x) && naive_return(prices, j, hour, &y)) {
            x_sum += x;
            y_sum += y;
            n++;
        }
    }
    for (int hour = 0; hour < HOURS_KEPT; hour++)
        if (naive_return(prices, i, hour, &x) && naive_return(prices, j, hour, &y))
            sum += (x - x_sum / n) * (y - y_sum / n);
    *out =
        sum / (n - 1) * sqrtl((long double)prices->hours_per_year[i] * prices->hours_per_year[j]);
    return n;
}

struct naive {
    bool known[6];
    int common[6][6];
    long double s[6][6];
};

static void naive_make(const struct prices *prices, struct naive *out)
{
    for (uint32_t i = 0; i < prices->count; i++) {
        for (uint32_t j = 0; j < prices->count; j++)
            out->common[i][j] = naive_covariance(prices, i, j, &out->s[i][j]);
        out->known[i] = out->common[i][i] >= VOLATILITY_RETURNS_LEAST;
    }
}

static long double naive_term(const struct naive *naive, uint32_t i, uint32_t j,
                              long double product)
{
    long double full = sqrtl(naive->s[i][i]) * sqrtl(naive->s[j][j]);
    if (i == j)
        return product * naive->s[i][i];
    if (naive->common[i][j] < VOLATILITY_RETURNS_LEAST)
        return fabsl(product) * full;
    long double term = product * naive->s[i][j];
    return term < -fabsl(product) * full ? -fabsl(product) * full : term;
}

/* sum of all terms, and of their sizes. */
static long double naive_variance(const struct naive *naive, uint32_t count, const double *weights,
                                  long double *size)
{
    long double sum = 0;
    *size = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (weights[i] != 0 && weights[j] != 0) {
                sum += naive_term(naive, i, j, (long double)weights[i] * weights[j]);
                *size += fabsl((long double)weights[i] * weights[j]) *
                         sqrtl(naive->s[i][i] * naive->s[j][j]);
            }
        }
    }
    return sum;
}

static void random_prices(struct random *random, struct prices *prices)
{
    memset(prices, 0, sizeof(*prices));
    prices->count = 1 + (uint32_t)random_below(random, 6);
    double common = 0;
    double level[6], wildness[6], share[6];
    uint64_t gap[6], from[6], until[6];
    for (uint32_t i = 0; i < prices->count; i++) {
        prices->hours_per_year[i] = random_below(random, 2) ? 8760 : 1764;
        level[i] = pow(10, random_unit(random) * 10 - 5);
        wildness[i] = pow(10, -1 - 4 * random_unit(random));
        share[i] = random_unit(random) * 2 - 1;
        gap[i] = random_below(random, 3) ? 2 + random_below(random, 60) : HOURS_KEPT + 1;
        from[i] = random_below(random, 2) ? 0 : random_below(random, HOURS_KEPT);
        until[i] = random_below(random, 2) ? HOURS_KEPT : from[i] + random_below(random, 60);
    }
    for (uint64_t hour = 0; hour < HOURS_KEPT; hour++) {
        common = random_normal(random);
        for (uint32_t i = 0; i < prices->count; i++) {
            double move = share[i] * common + (1 - fabs(share[i])) * random_normal(random);
            level[i] *= exp(wildness[i] * move);
            if (hour >= from[i] && hour < until[i] && hour % gap[i] != gap[i] - 1)
                prices->at[i][hour] = level[i];
        }
    }
}

static struct volatility *volatility_of(const struct prices *prices)
{
    struct volatility *volatility = volatility_open(prices->count, prices->hours_per_year);
    for (int hour = 0; hour < HOURS_KEPT; hour++)
        for (uint32_t i = 0; i < prices->count; i++)
            volatility_price(volatility, i, hour, prices->at[i][hour]); /* 0: left out */
    return volatility;
}

/* A weight for each that is known, often 0, or now and then for one that is not. True: all are
 * known. */
static bool random_weights(struct random *random, const struct naive *naive, uint32_t count,
                           double *weights)
{
    bool all = true;
    for (uint32_t i = 0; i < count; i++) {
        bool held = random_below(random, 3) > 0;
        if (!naive->known[i])
            held = random_below(random, 8) == 0;
        weights[i] = held ? random_unit(random) * 2 - 1 : 0;
        all = all && (!held || naive->known[i]);
    }
    return all;
}

static void after_is_the_full_recomputation(const struct naive *naive, uint32_t count,
                                            const double *weights, uint32_t k,
                                            const struct volatility_book *book, double d)
{
    double moved[6] = { 0 };
    long double size, size_before;
    memcpy(moved, weights, count * sizeof(*moved));
    naive_variance(naive, count, weights, &size_before);
    moved[k] += d;
    long double sum = naive_variance(naive, count, moved, &size);
    size += size_before; /* what is computed on the way */
    double has = volatility_after(book, d);
    double low = sum > 0 ? (double)sqrtl(sum) : 0;
    double high = (double)sqrtl((sum > 0 ? sum : 0) + 1e-11L * size) * (1 + 1e-15);
    /* An upper bound; one that takes away may be off by what cancels. */
    bool adds = fabs(moved[k]) >= fabs(weights[k]) && d * weights[k] >= 0;
    double least = adds ? low : (double)sqrtl(fmaxl(sum - 1e-12L * size, 0));
    if (!(has >= least && has <= high))
        fail_msg("after %.17g: %.17g, recomputed %.17g to %.17g", d, has, least, high);
}

static void room_keeps_the_limit(const struct volatility_book *book, double d, double limit)
{
    double room = volatility_room(book, d, limit), before = volatility_after(book, 0);
    double bound = limit > before ? limit : before;
    assert_true(fabs(room) <= fabs(d));
    assert_true(room == 0 || (room > 0) == (d > 0));
    assert_true(volatility_after(book, room) <= bound);
    if (volatility_after(book, d) <= bound)
        assert_true(room == d);
    else if (fabs(room) < fabs(d)) /* the largest: a little more is too much */
        assert_true(volatility_after(book, room + d * 1e-9) > bound);
}

static void properties_hold_for_random_books(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 20240607);
    static struct prices prices;
    static struct naive naive;
    int books = 0, refused = 0, few = 0;
    for (int round = 0; round < 60; round++) {
        random_prices(&random, &prices);
        naive_make(&prices, &naive);
        struct volatility *volatility = volatility_of(&prices);
        for (uint32_t i = 0; i < prices.count; i++)
            assert_int_equal(volatility_is_known(volatility, i), naive.known[i]);
        for (int trial = 0; trial < 40; trial++) {
            double weights[6];
            uint32_t k = (uint32_t)random_below(&random, prices.count);
            bool known = random_weights(&random, &naive, prices.count, weights);
            struct volatility_book book;
            bool has = volatility_book(volatility, weights, k, &book);
            assert_int_equal(has, known && naive.known[k]);
            refused += !has;
            if (!has)
                continue;
            books++;
            few += book.fold > 1e-3;
            assert_true(book.weight == weights[k]);
            double d = (random_unit(&random) * 2 - 1) * 3;
            const double changes[] = {
                0, d, d / 1000, -weights[k], -weights[k] / 2, weights[k], -2 * weights[k]
            };
            for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                after_is_the_full_recomputation(&naive, prices.count, weights, k, &book,
                                                changes[i]);
                double now = volatility_after(&book, 0);
                room_keeps_the_limit(&book, changes[i], now * 2 * random_unit(&random));
                room_keeps_the_limit(&book, changes[i], now + random_unit(&random));
                room_keeps_the_limit(&book, changes[i], now);
                room_keeps_the_limit(&book, changes[i], 0);
            }
        }
        volatility_close(volatility);
    }
    assert_true(books > 500 && refused > 100 && few > 50);
}

/* ---- the book ---- */

static struct volatility *two_by_hand(void)
{
    struct volatility *volatility = open_same(3, 8760);
    add_cycle(volatility, 0, 1, 21, up_down, 2);
    add_cycle(volatility, 1, 1, 21, up_down_rest, 4);
    return volatility; /* and a third without prices */
}

static void a_book_needs_estimates_of_what_it_holds(void **state)
{
    (void)state;
    struct volatility *volatility = two_by_hand();
    struct volatility_book book;
    assert_true(volatility_book(volatility, (double[]){ 1, -1, 0 }, 0, &book));
    assert_true(volatility_book(volatility, (double[]){ 0, 0, 0 }, 1, &book));
    assert_true(book.q == 0 && book.g == 0 && book.fold == 0);
    assert_true(volatility_book(volatility, (double[]){ -0.0, 0, -0.0 }, 1, &book));
    assert_false(volatility_book(volatility, (double[]){ 1, -1, 0 }, 2, &book));
    assert_false(volatility_book(volatility, (double[]){ 1, -1, 1e-30 }, 0, &book));
    assert_false(volatility_book(volatility, (double[]){ NAN, 0, 0 }, 0, &book));
    assert_false(volatility_book(volatility, (double[]){ 0, INFINITY, 0 }, 0, &book));
    assert_false(volatility_book(volatility, (double[]){ 0, -INFINITY, 0 }, 0, &book));
    /* Finite weights whose squares are not. */
    assert_false(volatility_book(volatility, (double[]){ 1e200, 0, 0 }, 1, &book));
    assert_false(volatility_book(volatility, (double[]){ 1e200, -1e200, 0 }, 0, &book));
    volatility_close(volatility);
}

/* Two whose 20 hours do not meet: a short of the one does not hedge a long of the other. */
static void what_is_not_known_to_move_together_adds_up(void **state)
{
    (void)state;
    struct volatility *volatility = open_same(2, 1);
    add_cycle(volatility, 0, 0, 21, up_down, 2);
    add_cycle(volatility, 1, 100, 21, up_down, 2);
    double s = sqrt(20.0 / 19) * log(1.01); /* of each */
    for (int side = -1; side <= 1; side += 2) {
        double weights[] = { 0.3, 0.2 * side };
        struct volatility_book book;
        assert_true(volatility_book(volatility, weights, 1, &book));
        expect_near(sqrt(book.q), 0.5 * s, 1e-12);
        expect_near(book.g, 0.2 * side * s * s, 1e-15);
        expect_near(book.fold, 0.3 * s * s, 1e-15);
        expect_near(volatility_after(&book, 0.1 * side), 0.6 * s, 1e-12);
        expect_near(volatility_after(&book, -0.1 * side), 0.4 * s, 1e-12);
        expect_near(volatility_after(&book, -0.2 * side), 0.3 * s, 1e-12);
        expect_near(volatility_after(&book, -0.5 * side), 0.6 * s, 1e-12);
        /* Through 0 to the other side: 0.3 + 0.4 = 0.7. */
        expect_near(volatility_room(&book, -2.0 * side, 0.7 * s), -0.6 * side, 1e-9);
        expect_near(volatility_room(&book, 2.0 * side, 0.7 * s), 0.2 * side, 1e-9);
        expect_near(volatility_room(&book, -2.0 * side, 0.1 * s), -0.4 * side, 1e-9);
    }
    volatility_close(volatility);
}

static void the_room_by_hand(void **state)
{
    (void)state;
    /* q = 0.04, s2 = 1, g = 0: 0.04 + d^2 <= 0.2^2 + 0.3^2 = 0.13 up to 0.3. */
    struct volatility_book book = { .q = 0.04, .s2 = 1 };
    double limit = sqrt(0.13);
    expect_near(volatility_after(&book, 0), 0.2, 1e-15);
    assert_true(volatility_after(&book, 0) > 0.2);
    expect_near(volatility_room(&book, 1, limit), 0.3, 1e-14);
    expect_near(volatility_room(&book, -1, limit), -0.3, 1e-14);
    assert_true(volatility_room(&book, 1, limit) < 0.3 + 1e-16);
    assert_true(volatility_room(&book, 0.25, limit) == 0.25);
    assert_true(volatility_room(&book, -0.25, limit) == -0.25);
    assert_true(volatility_room(&book, 0, limit) == 0);
    /* Exactly at its limit, with a last bit that halving would lose. */
    double odd = 0x1.0000000000001p-2;
    assert_true(volatility_room(&book, odd, volatility_after(&book, odd)) == odd);
    /* Over its limit: whatever does not raise it, and that is nothing here. */
    assert_true(fabs(volatility_room(&book, 1, 0.1)) < 1e-7);
    /* q = 0.25, g = -0.2: d takes away up to 0.4 and is back where it was; under a limit of
     * sqrt(0.37) it may go on: -0.4 d + d^2 = 0.12 at 0.6. */
    book = (struct volatility_book){ .q = 0.25, .g = -0.2, .s2 = 1 };
    assert_true(volatility_room(&book, 0.4 - 1e-12, 0.1) == 0.4 - 1e-12);
    assert_true(volatility_room(&book, 0.2, 0) == 0.2);
    expect_near(volatility_room(&book, 3, 0.1), 0.4, 1e-12);
    expect_near(volatility_room(&book, 3, sqrt(0.37)), 0.6, 1e-12);
    assert_true(fabs(volatility_room(&book, -3, 0.1)) < 1e-12);
    expect_near(volatility_room(&book, -3, sqrt(0.37)), -0.2, 1e-12);
    /* Nothing moves: anything fits. */
    book = (struct volatility_book){ .q = 0 };
    assert_true(volatility_after(&book, 5) == 0);
    assert_true(volatility_room(&book, 5, 0) == 5);
}

static void numbers_that_are_none_have_no_room(void **state)
{
    (void)state;
    struct volatility_book book = { .q = 0.04, .s2 = 1 };
    assert_true(volatility_room(&book, NAN, 1) == 0);
    assert_true(volatility_room(&book, INFINITY, 1) == 0);
    assert_true(volatility_room(&book, -INFINITY, 1) == 0);
    assert_true(volatility_room(&book, 1, INFINITY) == 0);
    assert_true(fabs(volatility_room(&book, 1, NAN)) < 1e-7); /* only what does not raise it */
    assert_true(fabs(volatility_room(&book, 1, -1)) < 1e-7);
    assert_true(fabs(volatility_room(&book, 1, -INFINITY)) < 1e-7);
    expect_near(volatility_room(&book, 1e20, 0.5), sqrt(0.21), 1e-9);
    expect_near(volatility_room(&book, 1e15, 0.5), sqrt(0.21), 1e-14); /* to the last digits */
    assert_true(volatility_after(&book, NAN) == INFINITY);
    assert_true(volatility_after(&book, 1e200) == INFINITY);
    book.q = NAN;
    assert_true(volatility_after(&book, 0) == INFINITY);
    assert_true(volatility_room(&book, 1, 1) == 0);
    book.q = INFINITY;
    assert_true(volatility_room(&book, -1, 1) == 0);
    /* A sum below 0, which covariances over different hours can make, is 0. */
    book = (struct volatility_book){ .q = -0.5, .s2 = 1 };
    assert_true(volatility_after(&book, 0) == 0);
    expect_near(volatility_after(&book, 1), sqrt(0.5), 1e-14);
}

/* The exact root of q + 2 d g + d^2 s2 is never under what is said: checked in long double. */
static void what_is_after_is_an_upper_bound(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 5);
    for (int i = 0; i < 20000; i++) {
        struct volatility_book book = { .q = random_unit(&random),
                                        .g = random_unit(&random) * 2 - 1,
                                        .s2 = 1 + random_unit(&random),
                                        .weight = random_unit(&random) - 0.5,
                                        .fold = random_unit(&random) };
        double d = random_unit(&random) * 2 - 1;
        long double w = book.weight;
        long double exact = (long double)book.q + 2 * (long double)d * book.g +
                            (long double)d * d * book.s2 +
                            2 * (long double)book.fold * (fabsl(w + d) - fabsl(w));
        if (exact < 0)
            continue;
        long double after = volatility_after(&book, d);
        assert_true(after >= sqrtl(exact));
        assert_true(after * after <= exact + 1e-13L);
    }
}

/* ---- many, and the same bits ---- */

#define MANY 256

static double price_of(uint32_t instrument, int hour)
{
    uint64_t x = (uint64_t)instrument * 1000003 + (uint64_t)hour * 7919;
    x ^= x >> 7;
    return 100 + (double)(x * 2654435761 % 1000) / 100;
}

static void two_hundred_and_fifty_six_instruments(void **state)
{
    (void)state;
    struct volatility *one = open_same(MANY, 8760), *other = open_same(MANY, 8760);
    double weights[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        weights[i] = ((double)(i % 7) - 3) / 100;
    for (int hour = 0; hour < 30; hour++)
        for (uint32_t i = 0; i < MANY; i++)
            volatility_price(one, i, hour, price_of(i, hour));
    /* The other gets its prices instrument by instrument, and is asked in between. */
    for (uint32_t i = 0; i < MANY; i++) {
        for (int hour = 0; hour < 30; hour++) {
            volatility_price(other, i, hour, price_of(i, hour));
            if (i > 0 && hour == 25)
                volatility_covariance(other, i, i - 1, 1);
        }
    }
    struct volatility_book a, b;
    for (uint32_t k = 0; k < MANY; k += 51) {
        assert_true(volatility_book(one, weights, k, &a));
        assert_true(volatility_book(other, weights, k, &b));
        assert_memory_equal(&a, &b, sizeof(a));
        assert_true(a.q > 0);
        assert_true(volatility_room(&a, 1, 0.25) == volatility_room(&b, 1, 0.25));
    }
    for (uint32_t i = 0; i < MANY; i += 5)
        for (uint32_t j = 0; j < MANY; j += 3)
            assert_true(volatility_covariance(one, i, j, 1) ==
                        volatility_covariance(other, j, i, 1));
    volatility_close(one);
    volatility_close(other);
}

static void none_and_nothing_can_be_closed(void **state)
{
    (void)state;
    volatility_close(NULL);
    volatility_close(volatility_open(0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_variance_is_the_sample_variance),
        cmocka_unit_test(the_covariance_of_two_by_hand),
        cmocka_unit_test(the_numbers_agree_with_sixty_digits),
        cmocka_unit_test(the_example_of_the_page_is_true),
        cmocka_unit_test(twenty_returns_are_an_estimate),
        cmocka_unit_test(a_gap_is_no_return),
        cmocka_unit_test(the_first_hour_may_be_any),
        cmocka_unit_test(an_hour_that_repeats_or_goes_back_is_left_out),
        cmocka_unit_test(a_price_that_is_none_is_left_out),
        cmocka_unit_test(five_hundred_returns_are_kept),
        cmocka_unit_test(far_and_near_prices_have_returns),
        cmocka_unit_test(with_nineteen_common_hours_the_worse_is_assumed),
        cmocka_unit_test(common_hours_are_found_wherever_they_stand),
        cmocka_unit_test(an_hour_of_one_alone_is_no_common_hour),
        cmocka_unit_test(a_hedge_is_never_better_than_perfect),
        cmocka_unit_test(a_new_return_of_either_counts),
        cmocka_unit_test(properties_hold_for_random_books),
        cmocka_unit_test(a_book_needs_estimates_of_what_it_holds),
        cmocka_unit_test(what_is_not_known_to_move_together_adds_up),
        cmocka_unit_test(the_room_by_hand),
        cmocka_unit_test(numbers_that_are_none_have_no_room),
        cmocka_unit_test(what_is_after_is_an_upper_bound),
        cmocka_unit_test(two_hundred_and_fifty_six_instruments),
        cmocka_unit_test(none_and_nothing_can_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
