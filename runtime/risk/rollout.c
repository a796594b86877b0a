/* rollout.c - see rollout.h. */
#include "runtime/risk/rollout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/json.h"

#define DAYS_OF_A_WEEK 7

void rollout_begin(struct rollout_record *record, int64_t now_ns)
{
    *record = (struct rollout_record){ .began_ns = now_ns };
}

/* The stage that the configuration has for a record: it may have shrunk since. */
static size_t stage_of(const struct rollout_options *options, const struct rollout_record *record)
{
    ASSERT(options->stage_count <= ROLLOUT_STAGES_MAX);
    size_t last = options->stage_count - 1;
    return record->stage < last ? record->stage : last;
}

static bool lacks_paper_days(const struct rollout_options *options,
                             const struct rollout_record *record)
{
    return record->stage == 0 && record->paper_days < options->paper_days;
}

decimal rollout_capital(const struct rollout_options *options, const struct rollout_record *record)
{
    if (!options->enabled)
        return DECIMAL_NONE;
    if (options->stage_count == 0 || lacks_paper_days(options, record))
        return DECIMAL_ZERO;
    return options->stages[stage_of(options, record)].capital;
}

/* ---- the conditions: each says whether it is met, and writes its line when it is not ---- */

static bool is_good_rate(struct text *missing, const char *name, uint64_t part, uint64_t rest,
                         const char *of, double wanted, bool is_least)
{
    double all = (double)part + (double)rest; /* a sum of integers could wrap */
    double rate = (double)part / all;
    const char *word = is_least ? "at least" : "at most";
    char has[DOUBLE_TEXT_MAX], wants[DOUBLE_TEXT_MAX];
    if (is_least ? rate >= wanted : rate <= wanted) /* not a number, 0 of 0: not met */
        return true;
    double_format(wanted, wants);
    if (all > 0)
        text_printf(missing, "%s: %s of %.0f %s, %s %s is asked for\n", name,
                    double_format(rate, has), all, of, word, wants);
    else
        text_printf(missing, "%s: no %s yet, %s %s is asked for\n", name, of, word, wants);
    return false;
}

static bool is_good_latency(struct text *missing, const struct rollout_record *record,
                            int64_t latency_ns)
{
    uint64_t count = record->latency_count;
    char has[DOUBLE_TEXT_MAX], wants[DOUBLE_TEXT_MAX];
    if (count > 0 && (int128)record->latency_sum_ns <= (int128)latency_ns * count)
        return true;
    double_format((double)latency_ns / NS_PER_MS, wants);
    double mean = (double)record->latency_sum_ns / (double)count / NS_PER_MS;
    if (count > 0)
        text_printf(missing, "latency: %s ms of %" PRIu64 " answers, at most %s ms is asked for\n",
                    double_format(mean, has), count, wants);
    else
        text_printf(missing, "latency: no answer yet, at most %s ms is asked for\n", wants);
    return false;
}

static bool is_good_slippage(struct text *missing, const struct rollout_record *record,
                             double wanted)
{
    uint64_t count = record->slippage_count;
    double mean = record->slippage_sum / (double)count;
    char has[DOUBLE_TEXT_MAX], wants[DOUBLE_TEXT_MAX];
    if (count > 0 && mean <= wanted)
        return true;
    double_format(wanted, wants);
    if (count > 0)
        text_printf(missing, "slippage: %s of %" PRIu64 " fills, at most %s is asked for\n",
                    double_format(mean, has), count, wants);
    else
        text_printf(missing, "slippage: no fill yet, at most %s is asked for\n", wants);
    return false;
}

/* Over the weeks that have ended; the first counts whole from its beginning. So what happens in a
 * week that has not ended weighs on the weeks before it. */
static bool is_calm(struct text *missing, const struct rollout_record *record, int64_t days,
                    double wanted)
{
    int64_t weeks = days / DAYS_OF_A_WEEK;
    if (weeks == 0)
        weeks = 1;
    double rate = (double)record->breaker_events / (double)weeks;
    char has[DOUBLE_TEXT_MAX], wants[DOUBLE_TEXT_MAX];
    if (rate <= wanted)
        return true;
    text_printf(missing,
                "breaker_events_per_week: %s (%" PRIu32 " events, weeks: %" PRId64
                "), at most %s is asked for\n",
                double_format(rate, has), record->breaker_events, weeks,
                double_format(wanted, wants));
    return false;
}

static bool is_least(struct text *missing, const char *name, int64_t has, int64_t wanted)
{
    if (has >= wanted)
        return true;
    text_printf(missing, "%s: %" PRId64 ", at least %" PRId64 " are asked for\n", name, has,
                wanted);
    return false;
}

static bool is_clean(struct text *missing, const struct rollout_record *record)
{
    if (record->critical_errors == 0)
        return true;
    text_printf(missing, "critical_errors: %" PRIu32 ", none is allowed\n",
                record->critical_errors);
    return false;
}

enum rollout_verdict rollout_judge(const struct rollout_options *options,
                                   const struct rollout_record *record, int64_t now_ns,
                                   struct text *missing)
{
    if (!options->enabled || (size_t)record->stage + 1 >= options->stage_count)
        return ROLLOUT_LAST;

    /* All are looked at: the reader wants the whole list. The verdict is not taken from the text,
     * which may be full. */
    int64_t days = now_ns > record->began_ns ? (now_ns - record->began_ns) / NS_PER_DAY : 0;
    bool met = true;
    if (record->stage == 0)
        met &= is_least(missing, "paper_days", record->paper_days, options->paper_days);
    met &= is_least(missing, "days", days, options->stages[record->stage].days);
    met &= is_good_rate(missing, "order_success_rate", record->orders_good, record->orders_bad,
                        "orders", options->order_success_rate, true);
    met &= is_good_rate(missing, "api_error_rate", record->requests_bad, record->requests_good,
                        "requests", options->api_error_rate, false);
    met &= is_good_latency(missing, record, options->latency_ns);
    met &= is_good_slippage(missing, record, options->slippage);
    met &= is_calm(missing, record, days, options->breaker_events_per_week);
    met &= is_clean(missing, record);
    return met ? ROLLOUT_NEXT : ROLLOUT_STAYS;
}

void rollout_advance(struct rollout_record *record, int64_t now_ns)
{
    ASSERT(record->stage < ROLLOUT_STAGES_MAX - 1);
    *record = (struct rollout_record){ .stage = record->stage + 1,
                                       .began_ns = now_ns,
                                       .paper_days = record->paper_days };
}

/* ---- as JSON ---- */

enum member {
    MEMBER_STAGE,
    MEMBER_BEGAN,
    MEMBER_ORDERS_GOOD,
    MEMBER_ORDERS_BAD,
    MEMBER_REQUESTS_GOOD,
    MEMBER_REQUESTS_BAD,
    MEMBER_LATENCY_SUM,
    MEMBER_LATENCY_COUNT,
    MEMBER_SLIPPAGE_COUNT,
    MEMBER_BREAKER_EVENTS,
    MEMBER_CRITICAL_ERRORS,
    MEMBER_PAPER_DAYS,
    MEMBERS
};

/* All but the sum of slippage, which is no whole number. */
static const struct {
    const char *name;
    uint64_t max;
} members[MEMBERS] = {
    [MEMBER_STAGE] = { "stage", ROLLOUT_STAGES_MAX - 1 },
    [MEMBER_BEGAN] = { "began_ns", INT64_MAX },
    [MEMBER_ORDERS_GOOD] = { "orders_good", UINT64_MAX },
    [MEMBER_ORDERS_BAD] = { "orders_bad", UINT64_MAX },
    [MEMBER_REQUESTS_GOOD] = { "requests_good", UINT64_MAX },
    [MEMBER_REQUESTS_BAD] = { "requests_bad", UINT64_MAX },
    [MEMBER_LATENCY_SUM] = { "latency_sum_ns", INT64_MAX },
    [MEMBER_LATENCY_COUNT] = { "latency_count", UINT64_MAX },
    [MEMBER_SLIPPAGE_COUNT] = { "slippage_count", UINT64_MAX },
    [MEMBER_BREAKER_EVENTS] = { "breaker_events", UINT32_MAX },
    [MEMBER_CRITICAL_ERRORS] = { "critical_errors", UINT32_MAX },
    [MEMBER_PAPER_DAYS] = { "paper_days", UINT32_MAX },
};

void rollout_write(const struct rollout_record *record, struct text *out)
{
    ASSERT(record->began_ns >= 0 && record->latency_sum_ns >= 0);
    ASSERT(isfinite(record->slippage_sum)); /* JSON has no other numbers */
    const uint64_t values[MEMBERS] = {
        [MEMBER_STAGE] = record->stage,
        [MEMBER_BEGAN] = (uint64_t)record->began_ns,
        [MEMBER_ORDERS_GOOD] = record->orders_good,
        [MEMBER_ORDERS_BAD] = record->orders_bad,
        [MEMBER_REQUESTS_GOOD] = record->requests_good,
        [MEMBER_REQUESTS_BAD] = record->requests_bad,
        [MEMBER_LATENCY_SUM] = (uint64_t)record->latency_sum_ns,
        [MEMBER_LATENCY_COUNT] = record->latency_count,
        [MEMBER_SLIPPAGE_COUNT] = record->slippage_count,
        [MEMBER_BREAKER_EVENTS] = record->breaker_events,
        [MEMBER_CRITICAL_ERRORS] = record->critical_errors,
        [MEMBER_PAPER_DAYS] = record->paper_days,
    };
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    for (unsigned i = 0; i < MEMBERS; i++) {
        char digits[24];
        snprintf(digits, sizeof(digits), "%" PRIu64, values[i]);
        json_key(writer, members[i].name);
        json_number_text(writer, digits);
    }
    json_key(writer, "slippage_sum");
    json_double(writer, record->slippage_sum);
    json_object_end(writer);
    json_writer_close(writer);
}

/* Digits and nothing else. */
static bool read_count(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    for (; *text; text++) {
        unsigned digit = (unsigned char)*text - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return value <= max;
}

static int read_members(const struct json *root, struct rollout_record *out, struct error *err)
{
    uint64_t values[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
        const char *text = json_as_number_text(json_get(root, members[i].name));
        if (!text || !read_count(text, members[i].max, &values[i]))
            return error_set(err, ERROR_DATA, "\"%s\": a whole number, 0 to %" PRIu64 ", is wanted",
                             members[i].name, members[i].max);
    }
    const char *text = json_as_number_text(json_get(root, "slippage_sum"));
    double slippage = text ? strtod(text, NULL) : NAN;
    if (!isfinite(slippage))
        return error_set(err, ERROR_DATA, "\"slippage_sum\": a number is wanted");

    *out = (struct rollout_record){
        .stage = (uint32_t)values[MEMBER_STAGE],
        .began_ns = (int64_t)values[MEMBER_BEGAN],
        .orders_good = values[MEMBER_ORDERS_GOOD],
        .orders_bad = values[MEMBER_ORDERS_BAD],
        .requests_good = values[MEMBER_REQUESTS_GOOD],
        .requests_bad = values[MEMBER_REQUESTS_BAD],
        .latency_sum_ns = (int64_t)values[MEMBER_LATENCY_SUM],
        .latency_count = values[MEMBER_LATENCY_COUNT],
        .slippage_sum = slippage,
        .slippage_count = values[MEMBER_SLIPPAGE_COUNT],
        .breaker_events = (uint32_t)values[MEMBER_BREAKER_EVENTS],
        .critical_errors = (uint32_t)values[MEMBER_CRITICAL_ERRORS],
        .paper_days = (uint32_t)values[MEMBER_PAPER_DAYS],
    };
    return 0;
}

int rollout_read(const char *json, size_t length, struct rollout_record *out, struct error *err)
{
    struct json *root;
    int code = json_parse(json, length, &root, err);
    if (code == 0) {
        code = read_members(root, out, err);
        json_release(root);
    }
    return code ? error_wrap(err, "read the rollout's record") : 0;
}
