/* rollout_test.c - capital in stages: each condition on both sides of its edge, and the record as
 * JSON.
 *
 * Unless a test says otherwise: stages of 200, 500, 1000 and 2000, seven days each, and a record of
 * the second stage that meets every condition exactly at its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/risk/rollout.h"

#define D(text) decimal_text(text)
#define BEGAN (INT64_C(1700000000) * NS_PER_SECOND)

static struct rollout_options options_of_four(void)
{
    return (struct rollout_options){
        .enabled = true,
        .stages = { { D("200"), 7 }, { D("500"), 7 }, { D("1000"), 7 }, { D("2000"), 7 } },
        .stage_count = 4,
        .order_success_rate = 0.99,
        .api_error_rate = 0.01,
        .latency_ns = 500 * NS_PER_MS,
        .slippage = 0.001,
        .breaker_events_per_week = 1,
        .paper_days = 7,
    };
}

static struct rollout_record record_at_the_edge(void)
{
    return (struct rollout_record){
        .stage = 1,
        .began_ns = BEGAN,
        .orders_good = 198,
        .orders_bad = 2,
        .requests_good = 9900,
        .requests_bad = 100,
        .latency_sum_ns = 1500 * NS_PER_MS,
        .latency_count = 3,
        .slippage_sum = 0.004,
        .slippage_count = 4,
        .breaker_events = 1,
        .paper_days = 7,
    };
}

static int64_t days_on(int64_t days)
{
    return BEGAN + days * NS_PER_DAY;
}

/* The verdict, and that exactly these lines are missing. */
static enum rollout_verdict judge(const struct rollout_options *options,
                                  const struct rollout_record *record, int64_t now_ns,
                                  const char *lines)
{
    struct text missing;
    text_init(&missing, 4096);
    enum rollout_verdict verdict = rollout_judge(options, record, now_ns, &missing);
    assert_string_equal(missing.data, lines);
    text_release(&missing);
    return verdict;
}

static void expect(const struct rollout_record *record, const char *lines)
{
    struct rollout_options options = options_of_four();
    enum rollout_verdict verdict = *lines ? ROLLOUT_STAYS : ROLLOUT_NEXT;
    assert_int_equal(judge(&options, record, days_on(7), lines), verdict);
}

static void expect_capital(const struct rollout_options *options,
                           const struct rollout_record *record, const char *wanted)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(rollout_capital(options, record), text), wanted);
}

/* ---- capital ---- */

static void each_stage_has_its_capital(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record;
    rollout_begin(&record, BEGAN);
    record.paper_days = 7;
    expect_capital(&options, &record, "200");
    record.stage = 1;
    expect_capital(&options, &record, "500");
    record.stage = 2;
    expect_capital(&options, &record, "1000");
    record.stage = 3;
    expect_capital(&options, &record, "2000");
}

static void without_a_rollout_there_is_no_bound(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    options.enabled = false;
    expect_capital(&options, &record, "invalid");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
    record.orders_good = 0; /* nothing is missing where nothing is asked */
    assert_int_equal(judge(&options, &record, days_on(0), ""), ROLLOUT_LAST);
}

static void nothing_is_at_stake_before_the_paper_days(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record;
    rollout_begin(&record, BEGAN);
    expect_capital(&options, &record, "0");
    record.paper_days = 6;
    expect_capital(&options, &record, "0");
    record.paper_days = 7;
    expect_capital(&options, &record, "200");
    record.paper_days = 0;
    options.paper_days = 0;
    expect_capital(&options, &record, "200");
    options.paper_days = 7; /* a later stage has them behind it, whatever the record says */
    record.stage = 1;
    expect_capital(&options, &record, "500");
}

/* The user took stages out of the file: the record says one that is no more. */
static void a_stage_beyond_the_options_is_their_last(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    options.stage_count = 2;
    record.stage = 3;
    expect_capital(&options, &record, "500");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
    record.stage = 2;
    expect_capital(&options, &record, "500");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
    record.stage = UINT32_MAX;
    expect_capital(&options, &record, "500");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
    record.stage = 1;
    expect_capital(&options, &record, "500");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
    record.stage = 0;
    expect_capital(&options, &record, "200");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_NEXT);
}

static void a_rollout_without_stages_lets_nothing_leave(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    options.stage_count = 0;
    expect_capital(&options, &record, "0");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_LAST);
}

static void all_sixteen_stages_can_be_used(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    for (int i = 0; i < ROLLOUT_STAGES_MAX; i++) {
        options.stages[i].capital = decimal_int(100 * (i + 1));
        options.stages[i].days = 7;
    }
    options.stage_count = ROLLOUT_STAGES_MAX;
    record.stage = 14;
    expect_capital(&options, &record, "1500");
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_NEXT);
    rollout_advance(&record, days_on(7));
    expect_capital(&options, &record, "1600");
    assert_int_equal(judge(&options, &record, days_on(70), ""), ROLLOUT_LAST);
}

/* ---- conditions ---- */

static void the_edge_is_good_enough(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    expect(&record, "");
}

static void the_days_must_be_over(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    const char *six = "days: 6, at least 7 are asked for\n";
    const char *none = "days: 0, at least 7 are asked for\n";
    assert_int_equal(judge(&options, &record, days_on(7) - 1, six), ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(7), ""), ROLLOUT_NEXT);
    assert_int_equal(judge(&options, &record, days_on(6), six), ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(0), none), ROLLOUT_STAYS);
    /* The clock was set back. */
    assert_int_equal(judge(&options, &record, days_on(-30), none), ROLLOUT_STAYS);
    /* Each stage has its own. */
    options.stages[0].days = 1;
    options.stages[1].days = 8;
    options.stages[2].days = 1;
    assert_int_equal(judge(&options, &record, days_on(7), "days: 7, at least 8 are asked for\n"),
                     ROLLOUT_STAYS);
    options.stages[1].days = 0;
    assert_int_equal(judge(&options, &record, days_on(0), ""), ROLLOUT_NEXT);
    options.stages[1].days = UINT32_MAX;
    assert_int_equal(
        judge(&options, &record, INT64_MAX, "days: 87076, at least 4294967295 are asked for\n"),
        ROLLOUT_STAYS); /* (2^63 - 1 - 1.7e18) / 86400e9, cut */
}

static void orders_must_be_taken(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.orders_good = 197;
    record.orders_bad = 3;
    expect(&record, "order_success_rate: 0.985 of 200 orders, at least 0.99 is asked for\n");
    record.orders_good = 197; /* 197 / 199 = 0.98995 */
    record.orders_bad = 2;
    expect(&record,
           "order_success_rate: 0.9899497487437185 of 199 orders, at least 0.99 is asked for\n");
    record.orders_good = 200;
    record.orders_bad = 0;
    expect(&record, "");
    record.orders_good = 0;
    record.orders_bad = 5;
    expect(&record, "order_success_rate: 0 of 5 orders, at least 0.99 is asked for\n");
    record.orders_bad = 0;
    expect(&record, "order_success_rate: no orders yet, at least 0.99 is asked for\n");
}

static void requests_must_not_fail(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.requests_bad = 101;
    record.requests_good = 9899;
    expect(&record, "api_error_rate: 0.0101 of 10000 requests, at most 0.01 is asked for\n");
    record.requests_bad = 99;
    record.requests_good = 9901;
    expect(&record, "");
    record.requests_bad = 0;
    record.requests_good = 1;
    expect(&record, "");
    record.requests_good = 0;
    expect(&record, "api_error_rate: no requests yet, at most 0.01 is asked for\n");
    record.requests_bad = 1;
    expect(&record, "api_error_rate: 1 of 1 requests, at most 0.01 is asked for\n");
}

/* As integers 2^64 - 1 + 2 would be 1, and 2 of 1 a perfect rate. */
static void counts_do_not_wrap(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.orders_good = 2;
    record.orders_bad = UINT64_MAX;
    expect(&record, "order_success_rate: 1.0842021724855044e-19 of 18446744073709551616 orders, "
                    "at least 0.99 is asked for\n");
    record = record_at_the_edge();
    record.latency_sum_ns = INT64_MAX; /* 9.2e18 ns of 1.8e19 answers: half a nanosecond */
    record.latency_count = UINT64_MAX;
    expect(&record, "");
    record.latency_count = 18446744073; /* 5.0000000001923246e8 ns: just over */
    expect(&record,
           "latency: 500.00000001923246 ms of 18446744073 answers, at most 500 ms is asked "
           "for\n");
    record.latency_count = 18446744074;
    expect(&record, "");
}

static void answers_must_be_quick(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.latency_sum_ns = 1500 * NS_PER_MS + 1;
    expect(&record, "latency: 500.00000033333333 ms of 3 answers, at most 500 ms is asked for\n");
    record.latency_sum_ns = 2250 * NS_PER_MS;
    expect(&record, "latency: 750 ms of 3 answers, at most 500 ms is asked for\n");
    record.latency_sum_ns = 0;
    expect(&record, "");
    record.latency_count = 1; /* one is enough to tell, either way */
    record.latency_sum_ns = 500 * NS_PER_MS;
    expect(&record, "");
    record.latency_sum_ns = 501 * NS_PER_MS;
    expect(&record, "latency: 501 ms of 1 answers, at most 500 ms is asked for\n");
    record.latency_sum_ns = 0;
    record.latency_count = 0;
    expect(&record, "latency: no answer yet, at most 500 ms is asked for\n");
}

static void prices_must_not_slip(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.slippage_sum = 0.0041;
    expect(&record, "slippage: 0.001025 of 4 fills, at most 0.001 is asked for\n");
    record.slippage_sum = nextafter(0.004, 1);
    expect(&record, "slippage: 0.0010000000000000002 of 4 fills, at most 0.001 is asked for\n");
    record.slippage_sum = -0.5; /* better than the reference */
    expect(&record, "");
    record.slippage_count = 1; /* one is enough to tell, either way */
    record.slippage_sum = 0.001;
    expect(&record, "");
    record.slippage_sum = 0.25;
    expect(&record, "slippage: 0.25 of 1 fills, at most 0.001 is asked for\n");
    record.slippage_sum = -0.5;
    record.slippage_count = 0;
    expect(&record, "slippage: no fill yet, at most 0.001 is asked for\n");
    record.slippage_count = 4;
    record.slippage_sum = NAN;
    expect(&record, "slippage: nan of 4 fills, at most 0.001 is asked for\n");
}

static void breakers_must_stay_closed(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    record.breaker_events = 0;
    expect(&record, "");
    record.breaker_events = 2;
    expect(&record, "breaker_events_per_week: 2 (2 events, weeks: 1), at most 1 is asked for\n");

    /* A week that has not ended is no week yet: its events weigh on those that have. */
    const char *one = "breaker_events_per_week: 2 (2 events, weeks: 1), at most 1 is asked for\n";
    assert_int_equal(judge(&options, &record, days_on(14) - 1, one), ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(14), ""), ROLLOUT_NEXT);
    record.breaker_events = 3;
    assert_int_equal(judge(&options, &record, days_on(20),
                           "breaker_events_per_week: 1.5 (3 events, weeks: 2), at most 1 is asked "
                           "for\n"),
                     ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(21), ""), ROLLOUT_NEXT);

    /* The first counts whole from its beginning. */
    options.stages[1].days = 2;
    record.breaker_events = 1;
    assert_int_equal(judge(&options, &record, days_on(2), ""), ROLLOUT_NEXT);
    record.breaker_events = 2;
    assert_int_equal(judge(&options, &record, days_on(2), one), ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(7) - 1, one), ROLLOUT_STAYS);
    options.breaker_events_per_week = 0.5; /* one in two weeks */
    record.breaker_events = 1;
    assert_int_equal(judge(&options, &record, days_on(7),
                           "breaker_events_per_week: 1 (1 events, weeks: 1), at most 0.5 is asked "
                           "for\n"),
                     ROLLOUT_STAYS);
    assert_int_equal(judge(&options, &record, days_on(14), ""), ROLLOUT_NEXT);
}

static void nothing_critical_may_happen(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.critical_errors = 1;
    expect(&record, "critical_errors: 1, none is allowed\n");
    record.critical_errors = UINT32_MAX;
    expect(&record, "critical_errors: 4294967295, none is allowed\n");
}

static void paper_days_are_asked_of_the_first_stage_alone(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.stage = 0;
    expect(&record, "");
    record.paper_days = 6;
    expect(&record, "paper_days: 6, at least 7 are asked for\n");
    record.stage = 1;
    expect(&record, "");
}

/* A limit that is no number is never met. */
static void a_condition_that_cannot_be_compared_is_not_met(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    options.order_success_rate = NAN;
    options.api_error_rate = NAN;
    options.slippage = NAN;
    options.breaker_events_per_week = NAN;
    assert_int_equal(judge(&options, &record, days_on(7),
                           "order_success_rate: 0.99 of 200 orders, at least nan is asked for\n"
                           "api_error_rate: 0.01 of 10000 requests, at most nan is asked for\n"
                           "slippage: 0.001 of 4 fills, at most nan is asked for\n"
                           "breaker_events_per_week: 1 (1 events, weeks: 1), at most nan is asked "
                           "for\n"),
                     ROLLOUT_STAYS);
}

static void everything_that_is_missing_is_told(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record;
    rollout_begin(&record, BEGAN);
    record.critical_errors = 2;
    record.breaker_events = 4;
    const char *lines = "paper_days: 0, at least 7 are asked for\n"
                        "days: 1, at least 7 are asked for\n"
                        "order_success_rate: no orders yet, at least 0.99 is asked for\n"
                        "api_error_rate: no requests yet, at most 0.01 is asked for\n"
                        "latency: no answer yet, at most 500 ms is asked for\n"
                        "slippage: no fill yet, at most 0.001 is asked for\n"
                        "breaker_events_per_week: 4 (4 events, weeks: 1), at most 1 is asked for\n"
                        "critical_errors: 2, none is allowed\n";
    assert_int_equal(judge(&options, &record, days_on(1), lines), ROLLOUT_STAYS);
}

/* Each condition alone, with a text that takes nothing: the verdict must not hang on it. */
static void a_full_text_opens_no_stage(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    for (int i = 0; i < 9; i++) {
        struct rollout_record record = record_at_the_edge();
        int64_t now_ns = days_on(7);
        switch (i) {
        case 0:
            record.orders_bad = 3;
            break;
        case 1:
            record.requests_bad = 102;
            break;
        case 2:
            record.latency_sum_ns *= 2;
            break;
        case 3:
            record.slippage_sum *= 2;
            break;
        case 4:
            record.breaker_events = 2;
            break;
        case 5:
            record.critical_errors = 1;
            break;
        case 6:
            now_ns -= 1;
            break;
        case 7:
            record.stage = 0, record.paper_days = 0;
            break;
        default:
            break;
        }
        struct text missing;
        text_init(&missing, 0);
        assert_int_equal(rollout_judge(&options, &record, now_ns, &missing),
                         i < 8 ? ROLLOUT_STAYS : ROLLOUT_NEXT);
        assert_int_equal(missing.length, 0);
        text_release(&missing);
    }
}

static void lines_are_appended(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    struct text missing;
    text_init(&missing, 4096);
    text_add(&missing, "what stood there\n");
    assert_int_equal(rollout_judge(&options, &record, days_on(7), &missing), ROLLOUT_NEXT);
    assert_string_equal(missing.data, "what stood there\n");
    text_release(&missing);
}

/* ---- a life ---- */

static void the_next_stage_begins_anew(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = record_at_the_edge();
    record.critical_errors = 3;
    record.paper_days = 9;
    rollout_advance(&record, days_on(8));
    struct rollout_record fresh = { .stage = 2, .began_ns = days_on(8), .paper_days = 9 };
    assert_memory_equal(&record, &fresh, sizeof(fresh));
    expect_capital(&options, &record, "1000");
    rollout_advance(&record, days_on(15));
    assert_int_equal(record.stage, 3);
    assert_int_equal(judge(&options, &record, days_on(100), ""), ROLLOUT_LAST);
}

static void a_rollout_begins_with_nothing(void **state)
{
    (void)state;
    struct rollout_record record, fresh = { .began_ns = 77 };
    memset(&record, 0xff, sizeof(record));
    rollout_begin(&record, 77);
    assert_memory_equal(&record, &fresh, sizeof(fresh));
}

/* ---- JSON ---- */

static const char written[] =
    "{\"stage\":1,\"began_ns\":1700000000000000000,\"orders_good\":198,\"orders_bad\":2,"
    "\"requests_good\":9900,\"requests_bad\":100,\"latency_sum_ns\":1500000000,"
    "\"latency_count\":3,\"slippage_count\":4,\"breaker_events\":1,\"critical_errors\":5,"
    "\"paper_days\":7,\"slippage_sum\":0.004}";

static int read_record(const char *json, struct rollout_record *out, struct error *err)
{
    return rollout_read(json, strlen(json), out, err);
}

static void expect_same(const struct rollout_record *a, const struct rollout_record *b)
{
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->began_ns, b->began_ns);
    assert_int_equal(a->orders_good, b->orders_good);
    assert_int_equal(a->orders_bad, b->orders_bad);
    assert_int_equal(a->requests_good, b->requests_good);
    assert_int_equal(a->requests_bad, b->requests_bad);
    assert_int_equal(a->latency_sum_ns, b->latency_sum_ns);
    assert_int_equal(a->latency_count, b->latency_count);
    assert_memory_equal(&a->slippage_sum, &b->slippage_sum, sizeof(double));
    assert_int_equal(a->slippage_count, b->slippage_count);
    assert_int_equal(a->breaker_events, b->breaker_events);
    assert_int_equal(a->critical_errors, b->critical_errors);
    assert_int_equal(a->paper_days, b->paper_days);
}

static void round_trip(const struct rollout_record *record)
{
    struct text text;
    struct rollout_record read;
    struct error err = { 0 };
    memset(&read, 0x5a, sizeof(read));
    text_init(&text, 4096);
    rollout_write(record, &text);
    if (rollout_read(text.data, text.length, &read, &err) != 0)
        fail_msg("%s", err.message);
    expect_same(record, &read);
    text_release(&text);
}

static void a_record_is_written_and_read(void **state)
{
    (void)state;
    struct rollout_record record = record_at_the_edge();
    record.critical_errors = 5;
    struct text text;
    text_init(&text, 4096);
    rollout_write(&record, &text);
    assert_string_equal(text.data, written);
    text_release(&text);
    round_trip(&record);

    rollout_begin(&record, 0);
    round_trip(&record);
    record = (struct rollout_record){ .stage = ROLLOUT_STAGES_MAX - 1,
                                      .began_ns = INT64_MAX,
                                      .orders_good = UINT64_MAX,
                                      .orders_bad = UINT64_MAX - 1,
                                      .requests_good = UINT64_MAX - 2,
                                      .requests_bad = UINT64_MAX - 3,
                                      .latency_sum_ns = INT64_MAX - 4,
                                      .latency_count = UINT64_MAX - 5,
                                      .slippage_sum = -1.7976931348623157e308,
                                      .slippage_count = UINT64_MAX - 6,
                                      .breaker_events = UINT32_MAX,
                                      .critical_errors = UINT32_MAX - 1,
                                      .paper_days = UINT32_MAX - 2 };
    round_trip(&record);
    record.slippage_sum = 0.1 + 0.2;
    round_trip(&record);
    record.slippage_sum = 5e-324;
    round_trip(&record);
}

static void refuse(const char *json, const char *says)
{
    struct rollout_record record, before;
    memset(&record, 0x5a, sizeof(record));
    before = record;
    struct error err = { 0 };
    if (read_record(json, &record, &err) != ERROR_DATA)
        fail_msg("taken: %s", json);
    if (!strstr(err.message, says))
        fail_msg("%s\n  says: %s", json, err.message);
    assert_true(text_starts_with(err.message, "read the rollout's record: "));
    assert_memory_equal(&record, &before, sizeof(record)); /* as it was */
}

static const char *const names[] = { "stage",          "began_ns",        "orders_good",
                                     "orders_bad",     "requests_good",   "requests_bad",
                                     "latency_sum_ns", "latency_count",   "slippage_count",
                                     "breaker_events", "critical_errors", "paper_days",
                                     "slippage_sum" };

/* `written` with the value of one member replaced, or the member taken out (NULL). */
static char *with_member(const char *name, const char *value, char *json, size_t size)
{
    char key[40];
    snprintf(key, sizeof(key), "\"%s\":", name);
    const char *at = strstr(written, key);
    assert_non_null(at);
    const char *end = at + strcspn(at, ",}");
    if (value)
        snprintf(json, size, "%.*s%s%s%s", (int)(at - written), written, key, value, end);
    else if (*end == ',')
        snprintf(json, size, "%.*s%s", (int)(at - written), written, end + 1);
    else
        snprintf(json, size, "%.*s%s", (int)(at - written - 1), written, end);
    return json;
}

static void every_member_is_needed_and_must_be_its_kind(void **state)
{
    (void)state;
    char json[1000];
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        refuse(with_member(names[i], NULL, json, sizeof(json)), names[i]);
        static const char *const wrong[] = { "null", "true", "\"1\"", "[1]",   "{}",
                                             "[]",   "\"\"", "1e400", "-1e400" };
        for (size_t k = 0; k < ARRAY_SIZE(wrong); k++)
            refuse(with_member(names[i], wrong[k], json, sizeof(json)), names[i]);
        if (strcmp(names[i], "slippage_sum") == 0)
            continue;
        static const char *const no_counts[] = {
            "-1",
            "-0",
            "1.0",
            "1e3",
            "0.5",
            "18446744073709551616",
            "18446744073709551620",
            "99999999999999999999999999999999999999999999999999",
            "-9223372036854775808"
        };
        for (size_t k = 0; k < ARRAY_SIZE(no_counts); k++)
            refuse(with_member(names[i], no_counts[k], json, sizeof(json)), names[i]);
    }
}

static void every_member_has_its_range(void **state)
{
    (void)state;
    static const struct {
        const char *name, *most, *more;
    } ranges[] = {
        { "stage", "15", "16" },
        { "began_ns", "9223372036854775807", "9223372036854775808" },
        { "orders_good", "18446744073709551615", "18446744073709551616" },
        { "latency_sum_ns", "9223372036854775807", "9223372036854775808" },
        { "breaker_events", "4294967295", "4294967296" },
        { "critical_errors", "4294967295", "4294967296" },
        { "paper_days", "4294967295", "4294967296" },
    };
    char json[1000];
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        struct rollout_record record;
        struct error err = { 0 };
        if (read_record(with_member(ranges[i].name, ranges[i].most, json, sizeof(json)), &record,
                        &err) != 0)
            fail_msg("%s: %s", ranges[i].name, err.message);
        refuse(with_member(ranges[i].name, ranges[i].more, json, sizeof(json)), ranges[i].name);
    }
    refuse(with_member("stage", "16", json, sizeof(json)),
           "\"stage\": a whole number, 0 to 15, is wanted");
    refuse(with_member("slippage_sum", "null", json, sizeof(json)),
           "\"slippage_sum\": a number is wanted");
}

static void what_is_no_record_is_refused(void **state)
{
    (void)state;
    refuse("", "");
    refuse("{", "");
    refuse("{}", "stage");
    refuse("[]", "stage");
    refuse("[1,2,3]", "stage");
    refuse("7", "stage");
    refuse("null", "stage");
    refuse("\"stage\"", "stage");
    refuse("{\"stage\":1,\"stage\":1}", "");
    char json[1000];
    for (size_t length = 0; length < strlen(written); length++) {
        struct rollout_record record;
        snprintf(json, sizeof(json), "%.*s", (int)length, written);
        assert_int_equal(read_record(json, &record, NULL) < 0, true); /* cut anywhere */
    }
    snprintf(json, sizeof(json), "%sx", written);
    refuse(json, "");
}

/* A newer program may have written more. */
static void members_that_are_not_known_are_passed_over(void **state)
{
    (void)state;
    char json[1000];
    snprintf(json, sizeof(json), "{\"new\":[1,{}],%s", written + 1);
    struct rollout_record record, wanted = record_at_the_edge();
    wanted.critical_errors = 5;
    assert_int_equal(read_record(json, &record, NULL), 0);
    expect_same(&record, &wanted);
}

/* ---- the page ---- */

/* The example of docs/risk.md, "Rollout": its record, and the lines that it shows. */
static void the_example_of_the_page_is_true(void **state)
{
    (void)state;
    struct rollout_options options = options_of_four();
    struct rollout_record record = { .stage = 0,
                                     .began_ns = BEGAN,
                                     .orders_good = 197,
                                     .orders_bad = 3,
                                     .requests_good = 9950,
                                     .requests_bad = 50,
                                     .latency_sum_ns = 24000 * NS_PER_MS,
                                     .latency_count = 200,
                                     .slippage_sum = 0.076,
                                     .slippage_count = 190,
                                     .breaker_events = 3,
                                     .paper_days = 8 };
    struct text missing;
    text_init(&missing, 4096);
    assert_int_equal(rollout_judge(&options, &record, days_on(15), &missing), ROLLOUT_STAYS);
    assert_string_equal(
        missing.data,
        "order_success_rate: 0.985 of 200 orders, at least 0.99 is asked for\n"
        "breaker_events_per_week: 1.5 (3 events, weeks: 2), at most 1 is asked for\n");

    char *page;
    size_t length;
    assert_int_equal(text_read_file("docs/risk.md", 1000000, &page, &length, NULL), 0);
    assert_non_null(strstr(page, missing.data));
    free(page);
    text_release(&missing);

    /* "With 100 more good orders, and on day 21, it opens." */
    record.orders_good += 100;
    assert_int_equal(judge(&options, &record, days_on(21), ""), ROLLOUT_NEXT);
    expect_capital(&options, &record, "200");
    rollout_advance(&record, days_on(21));
    expect_capital(&options, &record, "500");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stage_has_its_capital),
        cmocka_unit_test(without_a_rollout_there_is_no_bound),
        cmocka_unit_test(nothing_is_at_stake_before_the_paper_days),
        cmocka_unit_test(a_stage_beyond_the_options_is_their_last),
        cmocka_unit_test(a_rollout_without_stages_lets_nothing_leave),
        cmocka_unit_test(all_sixteen_stages_can_be_used),
        cmocka_unit_test(the_edge_is_good_enough),
        cmocka_unit_test(the_days_must_be_over),
        cmocka_unit_test(orders_must_be_taken),
        cmocka_unit_test(requests_must_not_fail),
        cmocka_unit_test(counts_do_not_wrap),
        cmocka_unit_test(answers_must_be_quick),
        cmocka_unit_test(prices_must_not_slip),
        cmocka_unit_test(breakers_must_stay_closed),
        cmocka_unit_test(nothing_critical_may_happen),
        cmocka_unit_test(paper_days_are_asked_of_the_first_stage_alone),
        cmocka_unit_test(a_condition_that_cannot_be_compared_is_not_met),
        cmocka_unit_test(everything_that_is_missing_is_told),
        cmocka_unit_test(a_full_text_opens_no_stage),
        cmocka_unit_test(lines_are_appended),
        cmocka_unit_test(the_next_stage_begins_anew),
        cmocka_unit_test(a_rollout_begins_with_nothing),
        cmocka_unit_test(a_record_is_written_and_read),
        cmocka_unit_test(every_member_is_needed_and_must_be_its_kind),
        cmocka_unit_test(every_member_has_its_range),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(members_that_are_not_known_are_passed_over),
        cmocka_unit_test(the_example_of_the_page_is_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
