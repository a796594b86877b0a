/* decimal_test.c - exact arithmetic. Expected values were computed with python3's decimal module.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/decimal.h"
#include "runtime/base/random.h"

#define D(text) decimal_text(text)

static void assert_decimal(decimal actual, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(actual, text), expected);
}

static int parse(const char *text, decimal *out)
{
    return decimal_parse(text, strlen(text), out);
}

static void texts_are_read_and_written_canonically(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "0", "0" },
        { "-0", "0" },
        { "-0.000", "0" },
        { "+1", "1" },
        { "007", "7" },
        { "1e-8", "0.00000001" },
        { "1E3", "1000" },
        { "1.5e+3", "1500" },
        { "10e-37", "0.000000000000000000000000000000000001" },
        { "0e400", "0" },
        { "-12.3400", "-12.34" },
        { "100e-2", "1" },
        { "1.0000000000000000000000000000000000000000000000000000", "1" },
        { "170141183460469231731687303715884105727", "170141183460469231731687303715884105727" },
        { "-1701411834.60469231731687303715884105727",
          "-1701411834.60469231731687303715884105727" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        decimal value;
        assert_int_equal(parse(cases[i][0], &value), 0);
        assert_decimal(value, cases[i][1]);
    }
}

/* A venue's or a user's slip must not become a number by guessing. */
static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = { "",     " 1",  "1 ",  ".5",   "5.",  "-",    "+",
                                         "--1",  "1e",  "1e+", "1e1.", "nan", "inf",  "Infinity",
                                         "0x10", "1_0", "1,5", "e5",   "-.5", "1.5.2" };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        decimal value = decimal_int(5);
        assert_int_equal(parse(cases[i], &value), ERROR_DATA);
        assert_false(decimal_valid(value));
    }
    decimal value;
    assert_int_equal(decimal_parse("1\0002", 3, &value), ERROR_DATA);
    assert_int_equal(decimal_parse("12x", 2, &value), 0); /* only `length` bytes count */
    assert_decimal(value, "12");
}

static void what_does_not_fit_is_out_of_range(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "1e400",
        "-1e400",
        "1e-400",
        "2e38",
        "1e-37",
        "1e99999999999999999999",
        "170141183460469231731687303715884105728",
        "0.1234567890123456789012345678901234567",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        decimal value;
        assert_int_equal(parse(cases[i], &value), ERROR_RANGE);
        assert_false(decimal_valid(value));
    }
}

/* Equal values are equal bytes, so ledgers and hashes do not depend on how a number was spelled. */
static void equal_values_are_equal_bytes(void **state)
{
    (void)state;
    static const char *const spellings[] = { "1.5", "1.50", "15e-1", "0.15e1", "+1.500000" };
    for (size_t i = 1; i < ARRAY_SIZE(spellings); i++) {
        decimal a = D(spellings[0]), b = D(spellings[i]);
        assert_true(a.coefficient == b.coefficient && a.scale == b.scale);
    }
    decimal sum = decimal_add(D("0.75"), D("0.25"));
    assert_true(sum.coefficient == 1 && sum.scale == 0);
    decimal made = decimal_make(-1500, 3);
    assert_true(made.coefficient == -15 && made.scale == 1);
    assert_decimal(decimal_make(7, -3), "7000");
    assert_decimal(decimal_make(INT64_MIN, 0), "-9223372036854775808");
    assert_false(decimal_valid(decimal_make(7, 37)));
    assert_false(decimal_valid(decimal_make(7, -60)));
}

static void sums_and_products_are_exact(void **state)
{
    (void)state;
    assert_decimal(decimal_add(D("0.1"), D("0.2")), "0.3");
    assert_decimal(decimal_sub(D("1"), D("0.9")), "0.1");
    assert_decimal(decimal_sub(D("5"), D("5")), "0");
    assert_decimal(decimal_add(D("123456789012345678"), D("0.000000000000000001")),
                   "123456789012345678.000000000000000001");
    assert_decimal(decimal_mul(D("64123.45"), D("0.00012345")), "7.9160399025");
    assert_decimal(decimal_mul(D("-1.25e-8"), D("800")), "-0.00001");
    assert_decimal(decimal_mul(D("0"), D("-5")), "0");
    /* 2^90 * 5^-36 needs 142 bits before its zeros are dropped, and 69 after. */
    assert_decimal(decimal_mul(D("1237940039285380274899124224"), D("3.0517578125e-5")),
                   "37778931862957161709568");
    assert_decimal(decimal_neg(D("2.5")), "-2.5");
    assert_decimal(decimal_abs(D("-2.5")), "2.5");
    assert_decimal(decimal_neg(DECIMAL_ZERO), "0");
    assert_decimal(decimal_min(D("2.5"), D("-3")), "-3");
    assert_decimal(decimal_max(D("2.5"), D("-3")), "2.5");
}

/* One check before a change is committed is enough only if invalid never turns valid again. */
static void overflow_is_invalid_and_sticks(void **state)
{
    (void)state;
    decimal huge = D("170141183460469231731687303715884105727");
    decimal bad[] = {
        decimal_add(huge, D("1")),
        decimal_sub(decimal_neg(huge), D("1")),
        decimal_mul(huge, D("2")),
        decimal_mul(D("1e-30"), D("1e-30")),
        decimal_add(D("1e38"), D("1e-36")),
        decimal_div(D("1e30"), D("3"), 18, ROUND_DOWN),
        decimal_div(D("1"), DECIMAL_ZERO, 8, ROUND_DOWN),
        decimal_div(DECIMAL_ZERO, DECIMAL_ZERO, 8, ROUND_DOWN),
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(decimal_valid(bad[i]));
        assert_false(decimal_valid(decimal_add(bad[i], D("1"))));
        assert_false(decimal_valid(decimal_sub(D("1"), bad[i])));
        assert_false(decimal_valid(decimal_mul(DECIMAL_ZERO, bad[i])));
        assert_false(decimal_valid(decimal_div(bad[i], D("2"), 0, ROUND_UP)));
        assert_false(decimal_valid(decimal_div(D("2"), bad[i], 0, ROUND_UP)));
        assert_false(decimal_valid(decimal_neg(bad[i])));
        assert_false(decimal_valid(decimal_abs(bad[i])));
        assert_false(decimal_valid(decimal_min(bad[i], D("1"))));
        assert_false(decimal_valid(decimal_max(D("1"), bad[i])));
        assert_false(decimal_valid(decimal_round(bad[i], 2, ROUND_UP)));
        assert_false(decimal_valid(decimal_to_multiple(bad[i], D("1"), ROUND_UP)));
        assert_false(decimal_is_multiple(bad[i], D("1")));
        assert_false(decimal_is_zero(bad[i]));
        assert_decimal(bad[i], "invalid");
        assert_true(isnan(decimal_to_double(bad[i])));
    }
}

static void quotients_are_rounded_as_asked(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int scale;
        const char *expected[5]; /* down, up, floor, ceiling, half even */
    } cases[] = {
        { "1", "3", 8, { "0.33333333", "0.33333334", "0.33333333", "0.33333334", "0.33333333" } },
        { "-2",
          "3",
          8,
          { "-0.66666666", "-0.66666667", "-0.66666667", "-0.66666666", "-0.66666667" } },
        { "-1", "8", 2, { "-0.12", "-0.13", "-0.13", "-0.12", "-0.12" } },
        { "1", "8", 2, { "0.12", "0.13", "0.12", "0.13", "0.12" } },
        { "3", "8", 2, { "0.37", "0.38", "0.37", "0.38", "0.38" } },
        { "5", "2", 0, { "2", "3", "2", "3", "2" } },
        { "7", "2", 0, { "3", "4", "3", "4", "4" } },
        { "-5", "2", 0, { "-2", "-3", "-3", "-2", "-2" } },
        { "100", "4", 2, { "25", "25", "25", "25", "25" } },
        { "1e-8", "3", 8, { "0", "0.00000001", "0", "0.00000001", "0" } },
        { "1e-36", "1e38", 0, { "0", "1", "0", "1", "0" } }, /* the divisor needs 246 bits */
        { "0.00001234",
          "78910.5",
          20,
          { "0.00000000015637969598", "0.00000000015637969599", "0.00000000015637969598",
            "0.00000000015637969599", "0.00000000015637969598" } },
        { "1",
          "-7",
          36,
          { "-0.142857142857142857142857142857142857", "-0.142857142857142857142857142857142858",
            "-0.142857142857142857142857142857142858", "-0.142857142857142857142857142857142857",
            "-0.142857142857142857142857142857142857" } },
        { "123456789012345678901234567890",
          "7",
          4,
          { "17636684144620811271604938270", "17636684144620811271604938270",
            "17636684144620811271604938270", "17636684144620811271604938270",
            "17636684144620811271604938270" } },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (int r = ROUND_DOWN; r <= ROUND_HALF_EVEN; r++)
            assert_decimal(
                decimal_div(D(cases[i].a), D(cases[i].b), cases[i].scale, (enum rounding)r),
                cases[i].expected[r]);
}

static void rounding_keeps_what_is_short_enough(void **state)
{
    (void)state;
    assert_decimal(decimal_round(D("1.005"), 2, ROUND_HALF_EVEN), "1");
    assert_decimal(decimal_round(D("1.015"), 2, ROUND_HALF_EVEN), "1.02");
    assert_decimal(decimal_round(D("-1.011"), 2, ROUND_DOWN), "-1.01");
    assert_decimal(decimal_round(D("-1.011"), 2, ROUND_FLOOR), "-1.02");
    assert_decimal(decimal_round(D("99.999"), 2, ROUND_UP), "100");
    assert_decimal(decimal_round(D("1.5"), 36, ROUND_UP), "1.5");
    assert_decimal(decimal_round(D("0.4"), 0, ROUND_DOWN), "0");
}

/* The order door rounds with these: a wrong direction buys more, or dearer, than was asked. */
static void multiples_of_tick_and_lot(void **state)
{
    (void)state;
    static const struct {
        const char *a, *step;
        enum rounding rounding;
        const char *expected;
    } cases[] = {
        { "1.2345", "0.01", ROUND_DOWN, "1.23" },
        { "1.2345", "0.01", ROUND_UP, "1.24" },
        { "-1.2345", "0.01", ROUND_DOWN, "-1.23" },
        { "-1.2345", "0.01", ROUND_FLOOR, "-1.24" },
        { "101.3", "0.25", ROUND_FLOOR, "101.25" },
        { "101.3", "0.25", ROUND_CEILING, "101.5" },
        { "7", "5", ROUND_HALF_EVEN, "5" },
        { "0", "0.001", ROUND_UP, "0" },
        { "0.29999999999", "0.1", ROUND_DOWN, "0.3" }, /* a float's hair below */
        { "0.30000000000000004", "0.1", ROUND_UP, "0.3" },
        { "1.000001", "1", ROUND_UP, "1" }, /* within 1e-6 of a step, exactly */
        { "1.0000011", "1", ROUND_UP, "2" },
        { "1.999999", "1", ROUND_DOWN, "2" },
        { "1.9999989", "1", ROUND_DOWN, "1" },
        { "1e38", "1e-36", ROUND_UP, "100000000000000000000000000000000000000" },
        { "1e-36", "1000000", ROUND_UP, "0" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_decimal(decimal_to_multiple(D(cases[i].a), D(cases[i].step), cases[i].rounding),
                       cases[i].expected);

    assert_true(decimal_is_multiple(D("1.25"), D("0.25")));
    assert_true(decimal_is_multiple(D("-0.3"), D("0.1")));
    assert_true(decimal_is_multiple(DECIMAL_ZERO, D("0.1")));
    assert_true(decimal_is_multiple(D("1e38"), D("1e-36")));
    assert_false(decimal_is_multiple(D("0.29999999999"), D("0.1"))); /* exactly means exactly */
    assert_false(decimal_is_multiple(D("1e-36"), D("1e38")));
}

/* Comparing may not give up where a common scale overflows: stops hang on it. */
static void any_two_values_compare(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "-1e38", "-1e20", "-3",   "-2.5", "-1e-36", "0",    "1e-36",
        "2e-36", "0.1",   "0.11", "1",    "1e20",   "1e38",
    };
    for (size_t i = 0; i < ARRAY_SIZE(ascending); i++)
        for (size_t j = 0; j < ARRAY_SIZE(ascending); j++)
            assert_int_equal(decimal_cmp(D(ascending[i]), D(ascending[j])), (i > j) - (i < j));
    assert_int_equal(decimal_sign(D("-0.1")), -1);
    assert_int_equal(decimal_sign(DECIMAL_ZERO), 0);
    assert_int_equal(decimal_sign(D("1e-36")), 1);
}

static void doubles_become_their_shortest_text(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *expected;
    } cases[] = {
        { 0.1, "0.1" },
        { -0.0, "0" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 64123.45, "64123.45" },
        { -1e-8, "-0.00000001" },
        { 123456789012345680.0, "123456789012345680" },
        { 9007199254740993.0, "9007199254740992" },
        { 1e22, "10000000000000000000000" },
        { 5.551115123125783e-17, "0.00000000000000005551115123125783" },
        { 1.0 / 3.0, "0.3333333333333333" },
        { 2.0 / 3.0, "0.6666666666666666" },
        { 4.35, "4.35" },
        { 1e38, "100000000000000000000000000000000000000" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_decimal(decimal_from_double(cases[i].value), cases[i].expected);
        assert_true(decimal_to_double(D(cases[i].expected)) == cases[i].value);
    }
    static const double none[] = { NAN, INFINITY, -INFINITY, 1e300, 1e-300, 2e38 };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_false(decimal_valid(decimal_from_double(none[i])));
}

static void mantissas_lose_nothing(void **state)
{
    (void)state;
    int64_t out = 0;
    assert_int_equal(decimal_mantissa(D("-1.25"), 4, &out), 0);
    assert_true(out == -12500);
    assert_int_equal(decimal_mantissa(D("-9223372036854775808"), 0, &out), 0);
    assert_true(out == INT64_MIN);
    assert_int_equal(decimal_mantissa(D("9223372036854775807"), 0, &out), 0);
    assert_true(out == INT64_MAX);
    assert_int_equal(decimal_mantissa(D("9223372036854775808"), 0, &out), ERROR_RANGE);
    assert_int_equal(decimal_mantissa(D("-9223372036854775809"), 0, &out), ERROR_RANGE);
    assert_int_equal(decimal_mantissa(D("1.25"), 1, &out), ERROR_RANGE);
    assert_int_equal(decimal_mantissa(D("1e38"), 36, &out), ERROR_RANGE);
    assert_int_equal(decimal_mantissa(DECIMAL_NONE, 2, &out), ERROR_RANGE);
}

/* ---- random numbers against laws and a naive reference ---- */

#define ROUNDS 20000

static decimal random_decimal(struct random *random)
{
    int64_t coefficient = (int64_t)(random_next(random) >> random_below(random, 64));
    if (random_below(random, 2))
        coefficient = -(coefficient & INT64_MAX);
    return decimal_make(coefficient, (int)random_below(random, 19));
}

static bool same(decimal a, decimal b)
{
    return a.coefficient == b.coefficient && a.scale == b.scale;
}

static void laws_of_arithmetic_hold(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 20240101);
    for (int i = 0; i < ROUNDS; i++) {
        decimal a = random_decimal(&random), b = random_decimal(&random);
        decimal sum = decimal_add(a, b), product = decimal_mul(a, b);
        assert_true(same(sum, decimal_add(b, a)));
        assert_true(same(product, decimal_mul(b, a)));
        if (decimal_valid(sum)) /* 10^18 times 10^18 and 2^63 fit: it always is */
            assert_true(same(decimal_sub(sum, b), a));
        assert_int_equal(decimal_cmp(a, b), decimal_sign(decimal_sub(a, b)));
        if (decimal_valid(product) && b.coefficient != 0)
            assert_true(same(decimal_div(product, b, 18, ROUND_HALF_EVEN), a));

        char text[DECIMAL_TEXT_MAX];
        decimal again;
        assert_int_equal(parse(decimal_format(a, text), &again), 0);
        assert_true(same(a, again));
    }
}

/* a / b to `scale` digits by plain 128-bit integers: good for small numbers only. */
static int128 naive_floor_div(int64_t a, int64_t b, int scale)
{
    int128 scaled = a;
    for (int i = 0; i < scale; i++)
        scaled = scaled * 10;
    int128 whole = scaled / b;
    return whole - (scaled % b != 0 && (scaled < 0) != (b < 0));
}

static void division_agrees_with_plain_integers(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 7);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t a = (int64_t)random_below(&random, 2000000000) - 1000000000;
        int64_t b = (int64_t)random_below(&random, 2000000) - 1000000;
        int scale = (int)random_below(&random, 10);
        if (b == 0)
            continue;
        int128 low = naive_floor_div(a, b, scale);
        decimal quotient = decimal_div(decimal_int(a), decimal_int(b), scale, ROUND_FLOOR);
        assert_true(same(quotient, decimal_make((int64_t)low, scale)));

        decimal step = decimal_make((int64_t)random_below(&random, 1000) + 1, scale);
        decimal multiple = decimal_to_multiple(decimal_make(a, 9), step, ROUND_HALF_EVEN);
        decimal distance = decimal_abs(decimal_sub(multiple, decimal_make(a, 9)));
        assert_true(decimal_is_multiple(multiple, step));
        assert_true(decimal_cmp(decimal_add(distance, distance), step) <= 0);
    }
}

/* What Lua hands over must come back as the same float. */
static void doubles_survive_the_round_trip(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 99);
    for (int i = 0; i < ROUNDS; i++) {
        double value =
            (random_unit(&random) - 0.5) * pow(10, (double)random_below(&random, 24) - 8);
        decimal exact = decimal_from_double(value);
        assert_true(decimal_valid(exact));
        assert_true(decimal_to_double(exact) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_written_canonically),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(what_does_not_fit_is_out_of_range),
        cmocka_unit_test(equal_values_are_equal_bytes),
        cmocka_unit_test(sums_and_products_are_exact),
        cmocka_unit_test(overflow_is_invalid_and_sticks),
        cmocka_unit_test(quotients_are_rounded_as_asked),
        cmocka_unit_test(rounding_keeps_what_is_short_enough),
        cmocka_unit_test(multiples_of_tick_and_lot),
        cmocka_unit_test(any_two_values_compare),
        cmocka_unit_test(doubles_become_their_shortest_text),
        cmocka_unit_test(mantissas_lose_nothing),
        cmocka_unit_test(laws_of_arithmetic_hold),
        cmocka_unit_test(division_agrees_with_plain_integers),
        cmocka_unit_test(doubles_survive_the_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
