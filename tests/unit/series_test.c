/* series_test.c - lines of closed values, and what can be asked of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/market/market.h"

static void fill(struct series *series, const double *values, size_t count)
{
    memset(series, 0, sizeof(*series));
    for (size_t i = 0; i < count; i++)
        series_push(series, values[i]);
}

#define FILL(series, ...)                                                                          \
    fill(series, (const double[]){ __VA_ARGS__ },                                                  \
         sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double))

static void the_newest_value_is_number_one(void **state)
{
    (void)state;
    struct series x;
    FILL(&x, 10, 20, 30);
    assert_true(series_at(&x, 1) == 30);
    assert_true(series_at(&x, 3) == 10);
    assert_true(isnan(series_at(&x, 0)));
    assert_true(isnan(series_at(&x, 4)));
    assert_true(isnan(series_at(&x, UINT64_MAX)));
}

/* Older values are gone, not other values. */
static void exactly_series_kept_values_are_kept(void **state)
{
    (void)state;
    struct series x;
    memset(&x, 0, sizeof(x));
    for (int i = 0; i < 3 * SERIES_KEPT + 5; i++)
        series_push(&x, i);
    assert_int_equal(x.count, 3 * SERIES_KEPT + 5);
    assert_true(series_at(&x, 1) == 3 * SERIES_KEPT + 4);
    assert_true(series_at(&x, SERIES_KEPT) == 2 * SERIES_KEPT + 5);
    assert_true(isnan(series_at(&x, SERIES_KEPT + 1)));
    assert_true(series_lowest(&x, SERIES_KEPT) == 2 * SERIES_KEPT + 5);
    assert_true(isnan(series_lowest(&x, SERIES_KEPT + 1)));
    assert_true(series_change(&x, SERIES_KEPT - 1) == SERIES_KEPT - 1);
    assert_true(isnan(series_change(&x, SERIES_KEPT)));
    assert_true(isnan(series_change(&x, UINT64_MAX)));
}

static void crossing_needs_both_sides(void **state)
{
    (void)state;
    struct series x, y;
    FILL(&x, 1, 3);
    FILL(&y, 2, 2);
    assert_true(series_crossed_above(&x, &y));
    assert_false(series_crossed_below(&x, &y));
    assert_true(series_crossed_below(&y, &x));
    assert_false(series_crossed_above(&y, &x));

    FILL(&x, 2, 3); /* touching before counts as below */
    assert_true(series_crossed_above(&x, &y));
    FILL(&x, 1, 2); /* touching now does not count as above */
    assert_false(series_crossed_above(&x, &y));
    FILL(&x, 3, 4); /* above all along */
    assert_false(series_crossed_above(&x, &y));
    assert_false(series_crossed_above(&y, &y));
}

/* Before both lines have two values nothing can have crossed. */
static void a_missing_value_never_crosses(void **state)
{
    (void)state;
    struct series x, y;
    FILL(&x, 3);
    FILL(&y, 4, 2);
    assert_false(series_crossed_above(&x, &y));
    assert_false(series_crossed_below(&y, &x));
    memset(&x, 0, sizeof(x));
    assert_false(series_crossed_above(&x, &y));
    FILL(&x, NAN, 3);
    assert_false(series_crossed_above(&x, &y));
    FILL(&x, 1, NAN);
    assert_false(series_crossed_above(&x, &y));
}

static void highest_lowest_and_change_look_back(void **state)
{
    (void)state;
    struct series x;
    FILL(&x, 9, 1, 5, 3);
    assert_true(series_highest(&x, 3) == 5);
    assert_true(series_highest(&x, 4) == 9);
    assert_true(series_lowest(&x, 2) == 3);
    assert_true(series_lowest(&x, 3) == 1);
    assert_true(isnan(series_highest(&x, 5)));
    assert_true(isnan(series_highest(&x, 0)));
    assert_true(series_change(&x, 1) == -2);
    assert_true(series_change(&x, 3) == -6);
    assert_true(isnan(series_change(&x, 4)));
}

/* 2 4 4 4 5 5 7 9: mean 5, population deviation 2. */
static void zscore_is_in_population_deviations(void **state)
{
    (void)state;
    struct series x;
    FILL(&x, 2, 4, 4, 4, 5, 5, 7, 9);
    assert_true(series_zscore(&x, 8) == 2);
    assert_true(isnan(series_zscore(&x, 9)));
    assert_true(isnan(series_zscore(&x, 1)));
}

/* Three times 0.1 has a mean of 0.1 + 1 ulp: a naive score would say -1. */
static void equal_values_have_no_zscore(void **state)
{
    (void)state;
    struct series x;
    FILL(&x, 0.1, 0.1, 0.1);
    assert_true(isnan(series_zscore(&x, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_value_is_number_one),
        cmocka_unit_test(exactly_series_kept_values_are_kept),
        cmocka_unit_test(crossing_needs_both_sides),
        cmocka_unit_test(a_missing_value_never_crosses),
        cmocka_unit_test(highest_lowest_and_change_look_back),
        cmocka_unit_test(zscore_is_in_population_deviations),
        cmocka_unit_test(equal_values_have_no_zscore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
