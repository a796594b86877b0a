/* clock_test.c - time as text, both ways. Expected seconds were computed with python3's datetime.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "runtime/base/clock.h"

static bool parse(const char *text, int64_t *time_ns)
{
    return time_parse(text, strlen(text), time_ns);
}

static void instants_are_written_and_read_back(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds, nanosecond;
        const char *text;
    } cases[] = {
        { 0, 0, "1970-01-01T00:00:00.000000000Z" },
        { 1704067200, 1, "2024-01-01T00:00:00.000000001Z" },
        { 951868799, 123456789, "2000-02-29T23:59:59.123456789Z" },
        { -1, 999999999, "1969-12-31T23:59:59.999999999Z" },
        { -2203891200, 0, "1900-03-01T00:00:00.000000000Z" },
        { 4107456000, 0, "2100-02-28T00:00:00.000000000Z" },
        { 9223372036, 854775807, "2262-04-11T23:47:16.854775807Z" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t expected = cases[i].seconds * NS_PER_SECOND + cases[i].nanosecond, actual;
        char buffer[TIME_TEXT_MAX];
        assert_string_equal(time_format(expected, buffer), cases[i].text);
        assert_true(parse(cases[i].text, &actual));
        assert_true(actual == expected);
    }
    char buffer[TIME_TEXT_MAX];
    int64_t lowest;
    assert_string_equal(time_format(INT64_MIN, buffer), "1677-09-21T00:12:43.145224192Z");
    assert_true(parse(buffer, &lowest));
    assert_true(lowest == INT64_MIN);
}

static void short_forms(void **state)
{
    (void)state;
    char buffer[TIME_TEXT_MAX], day[DAY_TEXT_MAX];
    assert_string_equal(time_format_short(1709190296 * NS_PER_SECOND + 5, buffer),
                        "2024-02-29 07:04:56");
    assert_string_equal(time_format_day(1709190296 * NS_PER_SECOND, day), "2024-02-29");
    assert_string_equal(time_format_day(-1, day), "1969-12-31");
}

static void every_spelling_that_data_files_use(void **state)
{
    (void)state;
    static const char *const same[] = {
        "2024-02-29T07:04:56Z",   "2024-02-29 07:04:56",       "2024-02-29t07:04:56z",
        "2024-02-29T07:04:56.0",  "2024-02-29T12:34:56+05:30", "2024-02-29T12:34:56+0530",
        "2024-02-29 02:04:56-05", "2024-02-28T23:04:56-08:00", "2024-02-29T07:04:56.000000000Z",
    };
    int64_t time_ns;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_true(parse(same[i], &time_ns));
        assert_true(time_ns == 1709190296 * NS_PER_SECOND);
    }
    assert_true(parse("2024-01-01", &time_ns));
    assert_true(time_ns == 1704067200 * NS_PER_SECOND);
    assert_true(parse("2024-01-01T00:01", &time_ns));
    assert_true(time_ns == 1704067260 * NS_PER_SECOND);
    assert_true(parse("2024-01-01 00:00:00.25", &time_ns));
    assert_true(time_ns == 1704067200 * NS_PER_SECOND + 250 * NS_PER_MS);
}

static void what_is_no_time_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "2024",
        "2024-1-1",
        "2024-13-01",
        "2024-00-10",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-01-01T",
        "2024-01-01T24:00:00",
        "2024-01-01T00:60:00",
        "2024-01-01T23:59:60Z",
        "2024-01-01T00:00:00.",
        "2024-01-01T00:00:00.1234567890",
        "2024-01-01T00:00:00ZZ",
        "2024-01-01T00:00:00+5",
        "2024-01-01T00:00:00+05:",
        "2024-01-01T00:00:00 ",
        " 2024-01-01",
        "2024-01-01Z",
        "1677-09-21T00:12:43.145224191Z",
        "2262-04-11T23:47:16.854775808Z",
        "9999-12-31",
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t time_ns = 42;
        assert_false(parse(cases[i], &time_ns));
        assert_true(time_ns == 42);
    }
    int64_t time_ns;
    assert_true(time_parse("2024-01-01,1", 10, &time_ns)); /* a field of a longer line */
    assert_false(time_parse("2024-01-01", 9, &time_ns));
}

static void epochs_are_told_apart_by_size(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expected;
    } cases[] = {
        { "1704067200", 1704067200 * NS_PER_SECOND },
        { "1704067200.5", 1704067200 * NS_PER_SECOND + 500 * NS_PER_MS },
        { "1704067200.123456789", 1704067200 * NS_PER_SECOND + 123456789 },
        { "1704067200001", 1704067200001 * NS_PER_MS },
        { "1704067200000001", INT64_C(1704067200000001000) },
        { "1704067200000000001", INT64_C(1704067200000000001) },
        { "631152000", 631152000 * NS_PER_SECOND }, /* 1990 */
        { "631152000000", 631152000 * NS_PER_SECOND },
    };
    int64_t time_ns;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(time_parse_epoch(cases[i].text, strlen(cases[i].text), &time_ns));
        assert_true(time_ns == cases[i].expected);
    }
    static const char *const bad[] = { "",
                                       "1",
                                       "-1704067200",
                                       "17040672000",
                                       "1704067200.",
                                       "1704067200x",
                                       "1704067200001.5",
                                       "1.7e9",
                                       "0704067200",
                                       "9999999999999999999",
                                       "99999999999999999999" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(time_parse_epoch(bad[i], strlen(bad[i]), &time_ns));
}

static void durations_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t expected;
        const char *canonical;
    } cases[] = {
        { "250ms", 250 * NS_PER_MS, "250ms" },
        { "30s", 30 * NS_PER_SECOND, "30s" },
        { "60s", NS_PER_MINUTE, "1m" },
        { "1.5h", 90 * NS_PER_MINUTE, "90m" },
        { "1d", NS_PER_DAY, "1d" },
        { "7us", 7000, "7us" },
        { "0.5us", 500, "500ns" },
        { "0s", 0, "0s" },
        { "9223372036854775807ns", INT64_MAX, "9223372036854775807ns" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t duration_ns;
        char buffer[TIME_TEXT_MAX];
        assert_true(duration_parse(cases[i].text, &duration_ns));
        assert_true(duration_ns == cases[i].expected);
        assert_string_equal(duration_format(duration_ns, buffer), cases[i].canonical);
    }
    static const char *const bad[] = { "",     "5",  "s",   "-5s", "5 s",   "5sec",     "1w",
                                       "1e3s", "5S", ".5s", "5.s", "0.5ns", "99999999d" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        int64_t duration_ns;
        assert_false(duration_parse(bad[i], &duration_ns));
    }
}

static void timeframes_have_names(void **state)
{
    (void)state;
    static const char *const names[] = { "1s",  "5s", "15s", "30s", "1m", "3m",  "5m", "15m",
                                         "30m", "1h", "2h",  "4h",  "6h", "12h", "1d" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        int64_t tf_ns, duration_ns;
        assert_true(timeframe_parse(names[i], &tf_ns));
        assert_true(duration_parse(names[i], &duration_ns));
        assert_true(tf_ns == duration_ns);
        assert_string_equal(timeframe_name(tf_ns), names[i]);
    }
    int64_t tf_ns;
    assert_false(timeframe_parse("7m", &tf_ns));
    assert_false(timeframe_parse("60s", &tf_ns));
    assert_null(timeframe_name(7 * NS_PER_MINUTE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_written_and_read_back),
        cmocka_unit_test(short_forms),
        cmocka_unit_test(every_spelling_that_data_files_use),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(epochs_are_told_apart_by_size),
        cmocka_unit_test(durations_read_back),
        cmocka_unit_test(timeframes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
