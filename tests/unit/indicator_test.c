/* indicator_test.c - every indicator against published series and an independent program.
 *
 * Inputs are the worked examples of StockCharts ChartSchool (RSI; moving averages; ATR). Expected
 * values were computed beforehand by a program of its own in exact fractions (Python's Fraction,
 * formulas written anew from the definitions, square root by isqrt at 30 digits), which agrees with
 * the two decimals StockCharts prints. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/market/indicator.h"

static const double rsi_closes[] = { 44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955,
                                     45.4245, 45.8433, 46.0826, 45.8931, 46.0328, 45.6140, 46.2820,
                                     46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122,
                                     46.2521, 45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783,
                                     44.2181, 44.5672, 43.4205, 42.6628, 43.1314 };

static const double ma_closes[] = { 22.2734, 22.1940, 22.0847, 22.1741, 22.1840, 22.1344,
                                    22.2337, 22.4323, 22.2436, 22.2933, 22.1542, 22.3926,
                                    22.3816, 22.6109, 23.3558, 24.0519, 23.7530, 23.8324,
                                    23.9516, 23.6338, 23.8225, 23.8722, 23.6537, 23.1870,
                                    23.0976, 23.3260, 22.6805, 23.0976, 22.4025, 22.1725 };

static const double atr_bars[][3] = {
    /* high, low, close */
    { 48.70, 47.79, 48.16 }, { 48.72, 48.14, 48.61 }, { 48.90, 48.39, 48.75 },
    { 48.87, 48.37, 48.63 }, { 48.82, 48.24, 48.74 }, { 49.05, 48.64, 49.03 },
    { 49.20, 48.94, 49.07 }, { 49.35, 48.86, 49.32 }, { 49.92, 49.50, 49.91 },
    { 50.19, 49.87, 50.13 }, { 50.12, 49.20, 49.53 }, { 49.66, 48.90, 49.50 },
    { 49.88, 49.43, 49.75 }, { 50.19, 49.73, 50.03 }, { 50.36, 49.26, 50.31 },
    { 50.57, 50.09, 50.52 }, { 50.65, 50.30, 50.41 }, { 50.43, 49.21, 49.34 },
    { 49.63, 48.98, 49.37 }, { 50.33, 49.61, 50.23 }, { 50.29, 49.20, 49.24 },
    { 50.17, 49.43, 49.93 }, { 49.32, 48.08, 48.43 }, { 48.50, 47.64, 48.18 },
    { 48.32, 41.55, 46.57 }, { 46.80, 44.28, 45.41 }, { 47.80, 47.31, 47.77 },
    { 48.39, 47.20, 47.72 }, { 48.66, 47.90, 48.62 }, { 48.79, 47.73, 47.85 },
};

/* ---- helpers ---- */

static struct indicator *opened(enum indicator_kind kind, double n, double k)
{
    struct indicator_spec spec = { .kind = kind, .params = { n, k } };
    struct indicator *indicator = NULL;
    struct error err = { 0 };
    assert_int_equal(indicator_open(&spec, &indicator, &err), 0);
    return indicator;
}

static void feed(struct indicator *indicator, double value)
{
    indicator_update(indicator, &(struct bar_values){ value, value, value, value, 0 });
}

static void assert_near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* Feeds closes; expected[0] is the value at the first moment the indicator is ready. */
static void check_line(struct indicator *indicator, int line, const double *closes, size_t count,
                       const double *expected, size_t expected_count)
{
    size_t warmup = (size_t)indicator_warmup(indicator), seen = 0;
    for (size_t i = 0; i < count; i++) {
        feed(indicator, closes[i]);
        assert_int_equal(indicator_ready(indicator), i + 1 >= warmup);
        if (!indicator_ready(indicator))
            assert_true(isnan(indicator_line(indicator, line)));
        else if (seen < expected_count)
            assert_near(indicator_line(indicator, line), expected[seen++], 1e-9);
    }
    assert_int_equal(seen, expected_count);
    indicator_close(indicator);
}

#define CHECK(kind, n, k, line, closes, expected)                                                  \
    check_line(opened(kind, n, k), line, closes, ARRAY_SIZE(closes), expected, ARRAY_SIZE(expected))

/* ---- published series ---- */

static void sma_matches(void **state)
{
    (void)state;
    static const double expected[] = { 22.2247500000, 22.2128300000, 22.2326900000, 22.2623800000,
                                       22.3060600000, 22.4232400000, 22.6149900000, 22.7669200000,
                                       22.9069300000, 23.0777300000, 23.2117800000, 23.3786100000,
                                       23.5265700000, 23.6537800000, 23.7113900000, 23.6855700000,
                                       23.6129800000, 23.5057300000, 23.4322500000, 23.2773400000,
                                       23.1312100000 };
    CHECK(INDICATOR_SMA, 10, 0, 0, ma_closes, expected);
}

static void ema_matches(void **state)
{
    (void)state;
    static const double expected[] = { 22.2247500000, 22.2119227273, 22.2447731405, 22.2696507513,
                                       22.3316960693, 22.5178967839, 22.7968064596, 22.9706598306,
                                       23.1273398614, 23.2772053411, 23.3420407336, 23.4293969639,
                                       23.5099066068, 23.5360508601, 23.4725870674, 23.4044076006,
                                       23.3901516732, 23.2611240963, 23.2313924424, 23.0806847256,
                                       22.9155602300 };
    CHECK(INDICATOR_EMA, 10, 0, 0, ma_closes, expected);
}

static void rsi_matches(void **state)
{
    (void)state;
    static const double expected[] = { 70.5327894837, 66.3185618052, 66.5498299355, 69.4063053388,
                                       66.3551690563, 57.9748557143, 62.9296067546, 63.2571475625,
                                       56.0592987153, 62.3770714432, 54.7075730813, 50.4227744115,
                                       39.9898231454, 41.4604819757, 41.8689160925, 45.4632124453,
                                       37.3040420899, 33.0795229944, 37.7729521144 };
    CHECK(INDICATOR_RSI, 14, 0, 0, rsi_closes, expected);
}

/* A second vector, with which npm's technicalindicators 3.1.0 agrees in the decimals it gives. */
static void rsi_and_ema_match_other_libraries(void **state)
{
    (void)state;
    static const double closes[] = { 44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84,
                                     46.08, 45.89, 46.03, 45.61, 46.28, 46.28, 46.00, 46.03 };
    static const double rsi[] = { 70.4641350211, 66.2496185536, 66.4809418347 };
    static const double ema[] = { 44.779, 44.981 };
    CHECK(INDICATOR_RSI, 14, 0, 0, closes, rsi);
    CHECK(INDICATOR_EMA, 10, 0, 0, closes, ema);
}

/* The true range of the first bar does not count: it has no previous close (as in TA-Lib). */
static void atr_matches(void **state)
{
    (void)state;
    static const double expected[] = { 0.5678571429, 0.5615816327, 0.5464686589, 0.5945780404,
                                       0.5985367518, 0.6243555552, 0.6576158727, 0.6770718818,
                                       0.7608524617, 0.7679344287, 1.1966533981, 1.2911781554,
                                       1.3696654300, 1.3568321850, 1.3270584575, 1.3079828534 };
    struct indicator *indicator = opened(INDICATOR_ATR, 14, 0);
    assert_int_equal(indicator_warmup(indicator), 15);
    size_t seen = 0;
    for (size_t i = 0; i < ARRAY_SIZE(atr_bars); i++) {
        const double *bar = atr_bars[i];
        indicator_update(indicator, &(struct bar_values){ bar[2], bar[0], bar[1], bar[2], 0 });
        assert_int_equal(indicator_ready(indicator), i >= 14);
        if (i >= 14)
            assert_near(indicator_line(indicator, 0), expected[seen++], 1e-9);
    }
    assert_int_equal(seen, ARRAY_SIZE(expected));
    indicator_close(indicator);
}

static void bollinger_matches(void **state)
{
    (void)state;
    static const double upper[] = { 24.1271312978, 24.2671795307, 24.3950104949, 24.4631429776,
                                    24.4724568223, 24.4685159171, 24.4671226534, 24.4446012398,
                                    24.4377895756, 24.4242392910, 24.4363153137 };
    static const double middle[] = { 22.7182650000, 22.7957200000, 22.8796300000, 22.9580800000,
                                     23.0087250000, 23.0544050000, 23.1139850000, 23.1363250000,
                                     23.1695900000, 23.1775350000, 23.1714950000 };
    static const double lower[] = { 21.3093987022, 21.3242604693, 21.3642495051, 21.4530170224,
                                    21.5449931777, 21.6402940829, 21.7608473466, 21.8280487602,
                                    21.9013904244, 21.9308307090, 21.9066746863 };
    CHECK(INDICATOR_BOLLINGER, 20, 2, 0, ma_closes, upper);
    CHECK(INDICATOR_BOLLINGER, 20, 2, 1, ma_closes, middle);
    CHECK(INDICATOR_BOLLINGER, 20, 2, 2, ma_closes, lower);
}

static void highest_and_lowest_match(void **state)
{
    (void)state;
    static const double highest[] = { 22.2734, 22.1940, 22.2337, 22.4323, 22.4323, 22.4323, 22.4323,
                                      22.4323, 22.3926, 22.6109, 23.3558, 24.0519, 24.0519, 24.0519,
                                      24.0519, 24.0519, 23.9516, 23.9516, 23.9516, 23.8722, 23.8722,
                                      23.8722, 23.6537, 23.3260, 23.3260, 23.3260 };
    static const double lowest[] = { 22.0847, 22.0847, 22.0847, 22.1344, 22.1344, 22.1344, 22.1542,
                                     22.1542, 22.1542, 22.1542, 22.1542, 22.3816, 22.3816, 22.6109,
                                     23.3558, 23.6338, 23.6338, 23.6338, 23.6338, 23.1870, 23.0976,
                                     23.0976, 22.6805, 22.6805, 22.4025, 22.1725 };
    CHECK(INDICATOR_HIGHEST, 5, 0, 0, ma_closes, highest);
    CHECK(INDICATOR_LOWEST, 5, 0, 0, ma_closes, lowest);
}

/* An indicator eats another one's line, from the moment that one is ready. */
static void an_ema_of_an_rsi_matches(void **state)
{
    (void)state;
    static const double expected[] = { 67.8325311239, 64.5466393207, 64.0076284653, 63.7574681644,
                                       61.1914116814, 61.5866316020, 59.2936120951, 56.3366662005,
                                       50.8877185155, 47.7453063356, 45.7865095879, 45.6787438737,
                                       42.8871766124, 39.6179587397, 39.0029565313 };
    struct indicator *rsi = opened(INDICATOR_RSI, 14, 0), *ema = opened(INDICATOR_EMA, 5, 0);
    size_t seen = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rsi_closes); i++) {
        feed(rsi, rsi_closes[i]);
        if (indicator_ready(rsi))
            feed(ema, indicator_line(rsi, 0));
        assert_int_equal(indicator_ready(ema), i + 1 >= 15 + 5 - 1);
        if (indicator_ready(ema))
            assert_near(indicator_line(ema, 0), expected[seen++], 1e-9);
    }
    assert_int_equal(seen, ARRAY_SIZE(expected));
    indicator_close(rsi);
    indicator_close(ema);
}

/* ---- edges ---- */

static void a_period_of_one_is_the_value_itself(void **state)
{
    (void)state;
    static const double values[] = { 1e16, 1, 0.1, 1000.1, -3 };
    static const enum indicator_kind same[] = { INDICATOR_SMA, INDICATOR_EMA, INDICATOR_HIGHEST,
                                                INDICATOR_LOWEST };
    for (size_t k = 0; k < ARRAY_SIZE(same); k++) {
        struct indicator *indicator = opened(same[k], 1, 0);
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
            feed(indicator, values[i]);
            assert_true(indicator_line(indicator, 0) == values[i]);
        }
        indicator_close(indicator);
    }

    struct indicator *bollinger = opened(INDICATOR_BOLLINGER, 1, 2);
    feed(bollinger, 0.1);
    for (int line = 0; line < 3; line++)
        assert_true(indicator_line(bollinger, line) == 0.1);
    indicator_close(bollinger);

    struct indicator *rsi = opened(INDICATOR_RSI, 1, 0); /* all up or all down */
    feed(rsi, 5);
    assert_false(indicator_ready(rsi));
    feed(rsi, 6);
    assert_true(indicator_line(rsi, 0) == 100);
    feed(rsi, 4);
    assert_true(indicator_line(rsi, 0) == 0);
    indicator_close(rsi);

    struct indicator *atr = opened(INDICATOR_ATR, 1, 0); /* the true range, gaps included */
    indicator_update(atr, &(struct bar_values){ 10, 12, 9, 10, 0 });
    assert_false(indicator_ready(atr));
    indicator_update(atr, &(struct bar_values){ 15, 16, 14, 15, 0 });
    assert_true(indicator_line(atr, 0) == 6);
    indicator_update(atr, &(struct bar_values){ 7, 8, 7, 7, 0 });
    assert_true(indicator_line(atr, 0) == 8);
    indicator_close(atr);
}

/* A flat market must not make lines cross: each value is exact, after a lively time as well. */
static void constant_input_gives_exact_values(void **state)
{
    (void)state;
    static const double constants[] = { 0.1, 60000.1, 1.0 / 3, 1e-7, 123456789.01 };
    static const int periods[] = { 1, 3, 7, 20, 49, 1000 };
    for (size_t c = 0; c < ARRAY_SIZE(constants); c++)
        for (size_t p = 0; p < ARRAY_SIZE(periods); p++)
            for (int lively = 0; lively < 2; lively++) {
                int n = periods[p];
                double value = constants[c];
                struct indicator *sma = opened(INDICATOR_SMA, n, 0);
                struct indicator *bollinger = opened(INDICATOR_BOLLINGER, n, 2);
                for (int i = 0; lively && i < n + n / 2; i++) {
                    feed(sma, value * (1 + 0.01 * (i % 17)));
                    feed(bollinger, value * (1 + 0.01 * (i % 17)));
                }
                for (int i = 0; i < 3 * n; i++) {
                    feed(sma, value);
                    feed(bollinger, value);
                    if (i + 1 < n)
                        continue;
                    assert_true(indicator_line(sma, 0) == value);
                    for (int line = 0; line < 3; line++)
                        assert_true(indicator_line(bollinger, line) == value);
                }
                indicator_close(sma);
                indicator_close(bollinger);
            }

    static const struct {
        enum indicator_kind kind;
        double expected;
    } rest[] = { { INDICATOR_EMA, 60000.1 },
                 { INDICATOR_RSI, 50 },
                 { INDICATOR_ATR, 0 },
                 { INDICATOR_HIGHEST, 60000.1 },
                 { INDICATOR_LOWEST, 60000.1 } };
    for (size_t k = 0; k < ARRAY_SIZE(rest); k++) {
        struct indicator *indicator = opened(rest[k].kind, 14, 0);
        for (int i = 0; i < 100; i++)
            feed(indicator, 60000.1);
        assert_true(indicator_line(indicator, 0) == rest[k].expected);
        indicator_close(indicator);
    }
}

/* A million steps at a large price with a small deviation: sums of squares that drift or cancel
 * would be far off here. Compared with both passes made anew over the window. */
static void sums_do_not_drift(void **state)
{
    (void)state;
    enum { N = 50 };
    double window[N] = { 0 };
    struct random random;
    random_seed(&random, 7);
    struct indicator *bollinger = opened(INDICATOR_BOLLINGER, N, 1);
    for (int i = 0; i < 1000000; i++) {
        double value = 99999.5 + (double)random_below(&random, 100) / 100;
        window[i % N] = value;
        feed(bollinger, value);
        if (i % 99991 != 99990)
            continue;
        double distance = 0, squares = 0;
        for (int j = 0; j < N; j++)
            distance += (window[j] - 100000) / N;
        for (int j = 0; j < N; j++)
            squares += (window[j] - 100000 - distance) * (window[j] - 100000 - distance) / N;
        assert_near(indicator_line(bollinger, 1), 100000 + distance, 2e-11);
        assert_near(indicator_line(bollinger, 0) - indicator_line(bollinger, 1), sqrt(squares),
                    3e-11);
    }
    indicator_close(bollinger);
}

static void a_huge_value_is_forgotten(void **state)
{
    (void)state;
    struct indicator *sma = opened(INDICATOR_SMA, 5, 0);
    struct indicator *bollinger = opened(INDICATOR_BOLLINGER, 5, 2);
    feed(sma, 1e308);
    feed(bollinger, 1e308); /* its square is infinite */
    for (int i = 0; i < 10; i++) {
        feed(sma, 1 + i % 2);
        feed(bollinger, 1 + i % 2);
    }
    assert_near(indicator_line(sma, 0), 1.6, 1e-15);
    assert_near(indicator_line(bollinger, 0), 1.6 + 2 * sqrt(0.24), 1e-15);
    indicator_close(sma);
    indicator_close(bollinger);
}

/* Random walks, ties and runs against a scan of the window. */
static void highest_and_lowest_equal_a_scan(void **state)
{
    (void)state;
    enum { STEPS = 3000 };
    static double values[STEPS];
    struct random random;
    random_seed(&random, 11);
    for (int n = 1; n <= 40; n += 13) {
        struct indicator *highest = opened(INDICATOR_HIGHEST, n, 0);
        struct indicator *lowest = opened(INDICATOR_LOWEST, n, 0);
        for (int i = 0; i < STEPS; i++) {
            values[i] = i < STEPS / 2 ? (double)random_below(&random, 10) : (i / 50) % 2 ? i : -i;
            feed(highest, values[i]);
            feed(lowest, values[i]);
            if (i + 1 < n)
                continue;
            double high = values[i], low = values[i];
            for (int j = i - n + 1; j < i; j++) {
                high = fmax(high, values[j]);
                low = fmin(low, values[j]);
            }
            assert_true(indicator_line(highest, 0) == high);
            assert_true(indicator_line(lowest, 0) == low);
        }
        indicator_close(highest);
        indicator_close(lowest);
    }
}

static void a_value_that_is_not_finite_is_skipped(void **state)
{
    (void)state;
    for (int kind = 0; kind < INDICATOR_KINDS; kind++) {
        struct indicator *indicator =
            opened((enum indicator_kind)kind, 2, kind == INDICATOR_BOLLINGER ? 2 : 0);
        feed(indicator, (double)NAN);
        feed(indicator, (double)INFINITY);
        feed(indicator, 1);
        assert_false(indicator_ready(indicator));
        for (int i = 0; i < 5; i++)
            feed(indicator, i);
        double before = indicator_line(indicator, 0);
        feed(indicator, (double)-INFINITY);
        assert_true(indicator_line(indicator, 0) == before);
        feed(indicator, 5);
        assert_true(isfinite(indicator_line(indicator, 0)));
        indicator_close(indicator);
    }
}

/* ---- names and refusals ---- */

static void every_kind_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < INDICATOR_KINDS; i++) {
        const struct indicator_info *info = indicator_info((enum indicator_kind)i);
        enum indicator_kind kind;
        assert_true(indicator_find(info->name, &kind));
        assert_int_equal(kind, i);
        assert_string_equal(info->params[0], "n");
        assert_non_null(info->lines[0]);
        assert_int_equal(info->needs_bars, kind == INDICATOR_ATR);
    }
    enum indicator_kind kind;
    assert_false(indicator_find("emma", &kind));
}

static void parameters_out_of_range_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum indicator_kind kind;
        double n, k;
        const char *message;
    } refused[] = {
        { INDICATOR_EMA, 0, 0, "ema: n = 0: a whole number from 1 to 10000 is allowed" },
        { INDICATOR_SMA, -1, 0, "sma: n = -1: a whole number from 1 to 10000 is allowed" },
        { INDICATOR_RSI, 2.5, 0, "rsi: n = 2.5: a whole number from 1 to 10000 is allowed" },
        { INDICATOR_ATR, 10001, 0, "atr: n = 10001: a whole number from 1 to 10000 is allowed" },
        { INDICATOR_HIGHEST, DBL_MAX, 0, NULL },
        { INDICATOR_LOWEST, (double)NAN, 0, NULL },
        { INDICATOR_BOLLINGER, 20, 0, "bollinger: k = 0: a number above 0 is allowed" },
        { INDICATOR_BOLLINGER, 20, -2, "bollinger: k = -2: a number above 0 is allowed" },
        { INDICATOR_BOLLINGER, 20, (double)INFINITY, NULL },
        { INDICATOR_BOLLINGER, 20, (double)NAN, NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct indicator_spec spec = { .kind = refused[i].kind,
                                       .params = { refused[i].n, refused[i].k } };
        struct indicator *indicator = NULL;
        struct error err = { 0 };
        assert_int_equal(indicator_open(&spec, &indicator, &err), ERROR_REFUSED);
        assert_null(indicator);
        if (refused[i].message)
            assert_string_equal(err.message, refused[i].message);
    }
    indicator_close(opened(INDICATOR_SMA, 10000, 0));
    indicator_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sma_matches),
        cmocka_unit_test(ema_matches),
        cmocka_unit_test(rsi_matches),
        cmocka_unit_test(rsi_and_ema_match_other_libraries),
        cmocka_unit_test(atr_matches),
        cmocka_unit_test(bollinger_matches),
        cmocka_unit_test(highest_and_lowest_match),
        cmocka_unit_test(an_ema_of_an_rsi_matches),
        cmocka_unit_test(a_period_of_one_is_the_value_itself),
        cmocka_unit_test(constant_input_gives_exact_values),
        cmocka_unit_test(sums_do_not_drift),
        cmocka_unit_test(a_huge_value_is_forgotten),
        cmocka_unit_test(highest_and_lowest_equal_a_scan),
        cmocka_unit_test(a_value_that_is_not_finite_is_skipped),
        cmocka_unit_test(every_kind_is_found_by_its_name),
        cmocka_unit_test(parameters_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
