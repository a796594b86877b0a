/* calendar_test.c - when markets trade, and what may stand in a calendar's file.
 *
 * Expected instants are worked out by hand from the venues' rules, or come from another source: the
 * tables of the venues' holidays, glibc's zone database, the dates of Easter in Meeus. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/random.h"
#include "runtime/base/text.h"
#include "runtime/config/calendars.h"
#include "runtime/config/dates.h"
#include "runtime/config/places.h"
#include "runtime/domain/calendar_rules.h"

#define UTC "zone: { offset: +00:00 }\n"
#define PLAIN UTC "sessions: [ { days: mon-fri, hours: 09:00-17:00 } ]\n"
#define WALK_DAYS 400
#define WALK_MINUTES (WALK_DAYS * 1440)

/* ---- helpers ---- */

static int64_t at(const char *text)
{
    int64_t time_ns;
    if (!time_parse(text, strlen(text), &time_ns))
        fail_msg("not a time: %s", text);
    return time_ns;
}

static struct calendar *shipped(const char *name)
{
    struct calendar *calendar;
    struct error err = { 0 };
    int code = calendar_load(name, NULL, NULL, &calendar, &err);
    if (code != 0)
        fail_msg("%s: %s: %s", name, err.where, err.message);
    assert_string_equal(calendar_name(calendar), name);
    return calendar;
}

static struct calendar *parsed(const char *text)
{
    struct calendar *calendar;
    struct error err = { 0 };
    int code = calendar_parse("test", text, strlen(text), &calendar, &err);
    if (code != 0)
        fail_msg("%s: %s\n%s", err.where, err.message, text);
    return calendar;
}

static void same_instant(int64_t found, int64_t wanted, const char *what, const char *when)
{
    char a[TIME_TEXT_MAX], b[TIME_TEXT_MAX];
    if (found != wanted)
        fail_msg("%s of %s: %s, wanted %s", what, when, time_format(found, a),
                 time_format(wanted, b));
}

/* A session by its borders: closed before, open from the first instant to the last. */
static void trades(const struct calendar *calendar, const char *open, const char *close)
{
    int64_t from = at(open), until = at(close);
    assert_false(calendar_is_open(calendar, from - 1));
    assert_true(calendar_is_open(calendar, from));
    assert_true(calendar_is_open(calendar, from + 1));
    assert_true(calendar_is_open(calendar, until - 1));
    assert_false(calendar_is_open(calendar, until));
    same_instant(calendar_next_open(calendar, from - 1), from, "next_open before", open);
    same_instant(calendar_next_close(calendar, from - 1), until, "next_close before", open);
    same_instant(calendar_next_close(calendar, from), until, "next_close from", open);
    same_instant(calendar_next_close(calendar, until - 1), until, "next_close before", close);
    assert_true(calendar_next_open(calendar, from) > until);
    assert_true(calendar_next_close(calendar, until) > until);
    same_instant(calendar_day_end(calendar, until - 1), until, "day_end before", close);
    assert_true(calendar_day_end(calendar, until) > until);
}

/* Nothing from one instant to the other. */
static void rests(const struct calendar *calendar, const char *from, const char *until)
{
    assert_false(calendar_is_open(calendar, at(from)));
    same_instant(calendar_next_open(calendar, at(from)), at(until), "next_open after", from);
}

static bool is_in(const char *list, const char *day)
{
    return strstr(list, day) != NULL;
}

/* ---- NYSE ---- */

static void nyse_opens_by_the_clock_of_new_york(void **state)
{
    (void)state;
    struct calendar *nyse = shipped("nyse");
    /* Both weekends of 2026 on which clocks change: 8 March, 1 November. */
    trades(nyse, "2026-03-06T14:30:00Z", "2026-03-06T21:00:00Z");
    trades(nyse, "2026-03-09T13:30:00Z", "2026-03-09T20:00:00Z");
    trades(nyse, "2026-10-30T13:30:00Z", "2026-10-30T20:00:00Z");
    trades(nyse, "2026-11-02T14:30:00Z", "2026-11-02T21:00:00Z");
    rests(nyse, "2026-03-06T21:00:00Z", "2026-03-09T13:30:00Z");
    rests(nyse, "2026-10-30T20:00:00Z", "2026-11-02T14:30:00Z");
    /* The rule before 2007: first Sunday of April, last of October. */
    trades(nyse, "2006-03-31T14:30:00Z", "2006-03-31T21:00:00Z");
    trades(nyse, "2006-04-03T13:30:00Z", "2006-04-03T20:00:00Z");
    trades(nyse, "2006-10-27T13:30:00Z", "2006-10-27T20:00:00Z");
    trades(nyse, "2006-10-30T14:30:00Z", "2006-10-30T21:00:00Z");
    assert_true(calendar_covers_until(nyse) == INT64_MAX);
    calendar_release(nyse);
}

/* Closed and early days of the exchange's published tables. */
struct nyse_year {
    const char *year, *closed, *early;
};

static const struct nyse_year NYSE[] = {
    { "2025", "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
      "07-03 11-28 12-24" },
    { "2026", "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25", "11-27 12-24" },
    { "2027", "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24", "11-26" },
    { "2028", "01-17 02-21 04-14 05-29 06-19 07-04 09-04 11-23 12-25", "07-03 11-24" },
    { "2029", "01-01 01-15 02-19 03-30 05-28 06-19 07-04 09-03 11-22 12-25", "07-03 11-23 12-24" },
};

static void nyse_keeps_its_holidays(void **state)
{
    (void)state;
    struct calendar *nyse = shipped("nyse");
    int closed = 0, early = 0;
    for (int64_t noon = at("2025-01-01T12:00:00Z"); noon < at("2030-01-01"); noon += NS_PER_DAY) {
        char day[DAY_TEXT_MAX], text[40];
        time_format_day(noon, day);
        const struct nyse_year *year = &NYSE[day[3] - '5'];
        assert_memory_equal(year->year, day, 4);
        int64_t weekday = (noon / NS_PER_DAY + 4) % 7;
        bool is_closed = is_in(year->closed, day + 5), is_early = is_in(year->early, day + 5);
        bool is_open = weekday >= 1 && weekday <= 5 && !is_closed;
        closed += is_closed;
        early += is_early;
        /* At 17:30 UTC it is 12:30 or 13:30 in New York; at 19:00 14:00 or 15:00. */
        snprintf(text, sizeof(text), "%sT17:30:00Z", day);
        bool found = calendar_is_open(nyse, at(text));
        if (!is_early && found != is_open)
            fail_msg("%s: %s", day, found ? "open" : "closed");
        snprintf(text, sizeof(text), "%sT19:00:00Z", day);
        found = calendar_is_open(nyse, at(text));
        if (found != (is_open && !is_early))
            fail_msg("%s, afternoon: %s", day, found ? "open" : "closed");
    }
    assert_int_equal(closed, 11 + 10 + 10 + 9 + 10);
    assert_int_equal(early, 3 + 2 + 1 + 2 + 3);
    calendar_release(nyse);
}

static void nyse_closes_early(void **state)
{
    (void)state;
    struct calendar *nyse = shipped("nyse");
    trades(nyse, "2025-07-03T13:30:00Z", "2025-07-03T17:00:00Z"); /* summer: 13:00 is 17:00 UTC */
    trades(nyse, "2026-11-27T14:30:00Z", "2026-11-27T18:00:00Z"); /* winter: 18:00 UTC */
    trades(nyse, "2026-12-24T14:30:00Z", "2026-12-24T18:00:00Z");
    trades(nyse, "2028-07-03T13:30:00Z", "2028-07-03T17:00:00Z");
    rests(nyse, "2026-12-24T18:00:00Z", "2026-12-28T14:30:00Z"); /* Christmas on a Friday */
    /* New Year's Day 2028 is a Saturday: no substitute on Friday 31 December. */
    trades(nyse, "2027-12-31T14:30:00Z", "2027-12-31T21:00:00Z");
    rests(nyse, "2027-12-31T21:00:00Z", "2028-01-03T14:30:00Z");
    /* 4 July 2027 is a Sunday: the Monday after. Christmas 2027 is a Saturday: the Friday before.
     */
    rests(nyse, "2027-07-02T20:00:00Z", "2027-07-06T13:30:00Z");
    rests(nyse, "2027-12-23T21:00:00Z", "2027-12-27T14:30:00Z");
    /* A leap day trades like any other. */
    trades(nyse, "2028-02-29T14:30:00Z", "2028-02-29T21:00:00Z");
    /* Dated rules: Juneteenth since 2022, Martin Luther King Jr. Day since 1998. */
    trades(nyse, "2020-06-19T13:30:00Z", "2020-06-19T20:00:00Z");
    rests(nyse, "2022-06-17T20:00:00Z", "2022-06-21T13:30:00Z");
    trades(nyse, "1997-01-20T14:30:00Z", "1997-01-20T21:00:00Z");
    rests(nyse, "1998-01-16T21:00:00Z", "1998-01-20T14:30:00Z");
    /* Between two days day_end is the end of the coming one. */
    same_instant(calendar_day_end(nyse, at("2026-12-24T18:00:00Z")), at("2026-12-28T21:00:00Z"),
                 "day_end", "Christmas Eve");
    /* 28 years have 7305 weekdays; 9 holidays a year and New Year's Day in 24 of them fall on one.
     * 28 early closes after Thanksgiving, 16 on Christmas Eve, 16 on 3 July take 3 hours each. */
    double days = 7305 - 28 * 9 - 24;
    assert_float_equal(calendar_hours_per_year(nyse), (days * 6.5 - 60 * 3) / 28, 1e-9);
    calendar_release(nyse);
}

/* ---- India ---- */

static void nse_ends_earlier_since_august_2026(void **state)
{
    (void)state;
    struct calendar *nse = shipped("nse"), *nfo = shipped("nfo");
    trades(nse, "2026-07-31T03:45:00Z", "2026-07-31T10:00:00Z"); /* Friday before the change */
    trades(nse, "2026-08-03T03:45:00Z", "2026-08-03T09:45:00Z"); /* the Monday of it */
    trades(nfo, "2026-07-31T03:45:00Z", "2026-07-31T10:00:00Z");
    trades(nfo, "2026-08-03T03:45:00Z", "2026-08-03T10:10:00Z");
    rests(nse, "2026-01-23T10:00:00Z", "2026-01-27T03:45:00Z"); /* Republic Day, a Monday */
    rests(nse, "2026-01-14T10:00:00Z", "2026-01-16T03:45:00Z"); /* elections */
    rests(nse, "2026-03-02T10:00:00Z", "2026-03-04T03:45:00Z"); /* Holi */
    rests(nfo, "2026-11-23T10:10:00Z", "2026-11-25T03:45:00Z"); /* Guru Nanak */
    rests(nfo, "2026-12-24T10:10:00Z", "2026-12-28T03:45:00Z"); /* Christmas */
    /* Special sessions: a Muhurat on a holiday, budgets on a weekend. */
    trades(nse, "2025-10-21T08:15:00Z", "2025-10-21T09:15:00Z");
    rests(nse, "2025-10-21T09:15:00Z", "2025-10-23T03:45:00Z");
    trades(nse, "2025-02-01T03:45:00Z", "2025-02-01T10:00:00Z");
    trades(nfo, "2026-02-01T03:45:00Z", "2026-02-01T10:00:00Z");
    /* 16 weekday holidays and one special day in 2026, which has 261 weekdays: 246 days. Until July
     * 6.25 hours; from 3 August on 6: 109 weekdays less 6 holidays. */
    double hours = 143 * 6.25 + 103 * 6.0;
    assert_float_equal(calendar_hours_per_year(nse), hours, 1e-9);
    assert_float_equal(calendar_hours_per_year(nfo), 143 * 6.25 + 103 * (6 + 25.0 / 60), 1e-9);
    assert_int_equal(calendar_covers_until(nse), at("2026-12-31") / NS_PER_DAY);
    /* Beyond it only the week speaks: Republic Day of 2027 is a Tuesday. */
    trades(nse, "2027-01-26T03:45:00Z", "2027-01-26T09:45:00Z");
    calendar_release(nse);
    calendar_release(nfo);
}

static void mcx_follows_the_united_states_in_the_evening(void **state)
{
    (void)state;
    struct calendar *mcx = shipped("mcx");
    /* 09:00 is 03:30 UTC; 23:55 is 18:25, 23:30 is 18:00. Circulars: 23:30 from 9 March to 30
     * October 2026. */
    trades(mcx, "2026-03-06T03:30:00Z", "2026-03-06T18:25:00Z");
    trades(mcx, "2026-03-09T03:30:00Z", "2026-03-09T18:00:00Z");
    trades(mcx, "2026-10-30T03:30:00Z", "2026-10-30T18:00:00Z");
    trades(mcx, "2026-11-02T03:30:00Z", "2026-11-02T18:25:00Z");
    trades(mcx, "2026-01-01T03:30:00Z", "2026-01-01T11:30:00Z"); /* no evening */
    trades(mcx, "2026-03-03T11:30:00Z", "2026-03-03T18:25:00Z"); /* Holi: the evening alone */
    trades(mcx, "2026-05-01T11:30:00Z", "2026-05-01T18:00:00Z");
    rests(mcx, "2026-01-23T18:25:00Z", "2026-01-27T03:30:00Z");
    rests(mcx, "2026-12-24T18:25:00Z", "2026-12-28T03:30:00Z");
    trades(mcx, "2025-10-21T08:15:00Z", "2025-10-21T09:15:00Z"); /* Muhurat */
    trades(mcx, "2025-10-22T11:30:00Z", "2025-10-22T18:00:00Z");
    assert_int_equal(calendar_covers_until(mcx), at("2026-12-31") / NS_PER_DAY);
    calendar_release(mcx);
}

/* ---- CME ---- */

static void cme_trades_from_sunday_evening(void **state)
{
    (void)state;
    struct calendar *cme = shipped("cme");
    trades(cme, "2026-11-15T23:00:00Z", "2026-11-16T22:00:00Z"); /* winter: 18:00 is 23:00 UTC */
    trades(cme, "2026-07-12T22:00:00Z", "2026-07-13T21:00:00Z"); /* summer: 22:00 UTC */
    rests(cme, "2026-11-16T22:00:00Z", "2026-11-16T23:00:00Z");  /* the break of an hour */
    rests(cme, "2026-11-20T22:00:00Z", "2026-11-22T23:00:00Z");  /* the weekend */
    rests(cme, "2026-03-06T22:00:00Z", "2026-03-08T22:00:00Z");  /* one on which clocks change */
    rests(cme, "2026-10-30T21:00:00Z", "2026-11-01T23:00:00Z");
    trades(cme, "2026-01-18T23:00:00Z", "2026-01-19T18:00:00Z"); /* Martin Luther King Jr. */
    rests(cme, "2026-01-19T18:00:00Z", "2026-01-19T23:00:00Z");
    trades(cme, "2026-04-02T22:00:00Z", "2026-04-03T13:15:00Z"); /* a Good Friday with a report */
    rests(cme, "2025-04-17T21:00:00Z", "2025-04-20T22:00:00Z");  /* one without */
    trades(cme, "2026-12-23T23:00:00Z", "2026-12-24T18:15:00Z");
    rests(cme, "2026-12-24T18:15:00Z", "2026-12-27T23:00:00Z");
    rests(cme, "2026-12-31T22:00:00Z", "2027-01-03T23:00:00Z");
    trades(cme, "2026-07-02T22:00:00Z", "2026-07-03T17:00:00Z"); /* 4 July on a Saturday */
    /* Until June 2021 with a pause of a quarter: the day ends at its last close. */
    rests(cme, "2021-06-25T20:15:00Z", "2021-06-25T20:30:00Z");
    same_instant(calendar_next_close(cme, at("2021-06-25T12:00:00Z")), at("2021-06-25T20:15:00Z"),
                 "next_close", "a day with a pause");
    same_instant(calendar_day_end(cme, at("2021-06-25T12:00:00Z")), at("2021-06-25T21:00:00Z"),
                 "day_end", "a day with a pause");
    same_instant(calendar_day_end(cme, at("2021-06-25T20:20:00Z")), at("2021-06-25T21:00:00Z"),
                 "day_end", "the pause");
    trades(cme, "2021-06-27T22:00:00Z", "2021-06-28T21:00:00Z");
    /* Trading day of an evening: the next one. */
    same_instant(calendar_day_end(cme, at("2026-11-15T23:00:00Z")), at("2026-11-16T22:00:00Z"),
                 "day_end", "Sunday evening");
    calendar_release(cme);
}

/* Any market has a day, also one without a calendar, and one that stops for ever. */
static void every_market_has_a_day(void **state)
{
    (void)state;
    struct calendar *nyse = shipped("nyse"),
                    *ended = parsed(UTC "sessions:\n"
                                        "  - { days: mon-fri, hours: "
                                        "09:00-17:00, until: 2020-12-31 }\n");
    same_instant(market_day_end(nyse, at("2026-12-24T18:00:00Z")), at("2026-12-28T21:00:00Z"),
                 "market_day_end", "nyse");
    same_instant(market_day_end(NULL, at("2026-12-24T18:00:00Z")), at("2026-12-25"),
                 "market_day_end", "no calendar");
    same_instant(market_day_end(NULL, at("2026-12-24")), at("2026-12-25"), "market_day_end",
                 "midnight");
    same_instant(market_day_end(NULL, -1), 0, "market_day_end", "before 1970");
    same_instant(market_day_end(ended, at("2020-12-31T16:00:00Z")), at("2020-12-31T17:00:00Z"),
                 "market_day_end", "the last day");
    same_instant(market_day_end(ended, at("2020-12-31T17:00:00Z")), at("2021-01-01"),
                 "market_day_end", "after the last day");
    assert_true(market_day_end(NULL, TIME_NEVER) == TIME_NEVER);
    assert_true(market_day_end(ended, TIME_NEVER - 1) == TIME_NEVER);
    calendar_release(nyse);
    calendar_release(ended);
}

/* ---- 24x7, and the ends of time ---- */

static void a_crypto_market_never_closes(void **state)
{
    (void)state;
    struct calendar *always = shipped("24x7");
    assert_true(calendar_is_open(always, at("2026-12-25T12:00:00Z")));
    assert_true(calendar_is_open(always, INT64_MIN));
    assert_true(calendar_next_open(always, 0) == TIME_NEVER);
    assert_true(calendar_next_close(always, 0) == TIME_NEVER);
    same_instant(calendar_day_end(always, at("2026-02-28T23:59:59.999999999Z")), at("2026-03-01"),
                 "day_end", "the last instant of February");
    same_instant(calendar_day_end(always, at("2028-02-28")), at("2028-02-29"), "day_end",
                 "midnight");
    same_instant(calendar_day_end(always, -1), 0, "day_end", "before 1970");
    assert_true(calendar_day_end(always, TIME_NEVER - 1) == TIME_NEVER);
    assert_float_equal(calendar_hours_per_year(always), 8760, 0);
    assert_true(calendar_covers_until(always) == INT64_MAX);
    calendar_release(always);
    calendar_release(NULL);

    /* The same, written as sessions that touch: they are one. */
    struct calendar *written = parsed(UTC "sessions: [ { days: mon-sun, hours: 00:00-24:00 } ]\n");
    assert_true(calendar_is_open(written, at("2026-12-25")));
    assert_true(calendar_next_open(written, at("2026-12-25")) == TIME_NEVER);
    assert_true(calendar_next_close(written, at("2026-12-25")) == TIME_NEVER);
    same_instant(calendar_day_end(written, at("2026-12-25")), at("2026-12-26"), "day_end",
                 "midnight");
    assert_float_equal(calendar_hours_per_year(written), 8766, 1e-9); /* 365.25 days */
    calendar_release(written);
}

static void a_time_that_never_comes_is_never_open(void **state)
{
    (void)state;
    static const char *const names[] = { "nyse", "nse", "nfo", "mcx", "cme", "24x7" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct calendar *calendar = shipped(names[i]);
        assert_false(calendar_is_open(calendar, TIME_NEVER));
        assert_true(calendar_next_open(calendar, TIME_NEVER) == TIME_NEVER);
        assert_true(calendar_next_close(calendar, TIME_NEVER) == TIME_NEVER);
        assert_true(calendar_day_end(calendar, TIME_NEVER) == TIME_NEVER);
        assert_true(calendar_day_end(calendar, INT64_MIN) < at("1677-10-01"));
        (void)calendar_is_open(calendar, INT64_MIN);
        assert_true(calendar_next_open(calendar, TIME_NEVER - 1) == TIME_NEVER);
        assert_true(calendar_next_close(calendar, TIME_NEVER - 1) == TIME_NEVER);
        calendar_release(calendar);
    }
    struct calendar *nyse = shipped("nyse");
    /* 1900-01-02 and 2200-03-03 are a Tuesday and a Monday. */
    assert_true(calendar_is_open(nyse, at("1900-01-02T15:00:00Z")));
    trades(nyse, "2200-03-03T14:30:00Z", "2200-03-03T21:00:00Z");
    calendar_release(nyse);
}

static void a_market_without_sessions_for_two_years(void **state)
{
    (void)state;
    struct calendar *ended =
        parsed(UTC "sessions:\n"
                   "  - { until: 2020-01-31, days: fri, hours: 09:00-17:00 }\n");
    trades(ended, "2020-01-31T09:00:00Z", "2020-01-31T17:00:00Z");
    assert_true(calendar_next_open(ended, at("2020-01-31T17:00:00Z")) == TIME_NEVER);
    assert_true(calendar_next_close(ended, at("2020-01-31T17:00:00Z")) == TIME_NEVER);
    assert_true(calendar_day_end(ended, at("2020-01-31T17:00:00Z")) == TIME_NEVER);
    calendar_release(ended);

    /* Two years are looked ahead, not more. */
    struct calendar *later =
        parsed(UTC "sessions:\n"
                   "  - { from: 2020-06-01, days: mon, hours: 09:00-17:00 }\n");
    assert_true(calendar_next_open(later, at("2018-05-01")) == TIME_NEVER);
    same_instant(calendar_next_open(later, at("2018-07-01")), at("2020-06-01T09:00:00Z"),
                 "next_open", "two years before");
    calendar_release(later);
}

/* ---- what the rules mean ---- */

static void several_sessions_a_day(void **state)
{
    (void)state;
    struct calendar *calendar =
        parsed("zone: { offset: +09:00 }\n"
               "sessions: [ { days: mon-fri, hours: [09:00-11:30, 12:30-15:00] } ]\n");
    rests(calendar, "2026-11-20T02:30:00Z", "2026-11-20T03:30:00Z");
    same_instant(calendar_next_close(calendar, at("2026-11-20T01:00:00Z")),
                 at("2026-11-20T02:30:00Z"), "next_close", "the morning");
    same_instant(calendar_next_close(calendar, at("2026-11-20T02:30:00Z")),
                 at("2026-11-20T06:00:00Z"), "next_close", "noon");
    same_instant(calendar_day_end(calendar, at("2026-11-20T01:00:00Z")), at("2026-11-20T06:00:00Z"),
                 "day_end", "the morning");
    same_instant(calendar_day_end(calendar, at("2026-11-20T02:45:00Z")), at("2026-11-20T06:00:00Z"),
                 "day_end", "noon");
    calendar_release(calendar);
}

static void the_last_rule_that_speaks_of_a_day_decides(void **state)
{
    (void)state;
    struct calendar *calendar = parsed(
        UTC "sessions:\n"
            "  - { days: mon-fri, hours: 09:00-17:00 }\n"
            "  - { days: [fri, sat], hours: 10:00-12:00, from: 2026-01-01, until: 2026-06-30 }\n"
            "  - { days: wed, hours: 08:00-09:00,\n"
            "      season: { begins: 1 december, ends: 15 january } }\n");
    trades(calendar, "2025-12-26T09:00:00Z", "2025-12-26T17:00:00Z");
    trades(calendar, "2026-01-02T10:00:00Z", "2026-01-02T12:00:00Z");
    trades(calendar, "2026-01-03T10:00:00Z", "2026-01-03T12:00:00Z");
    trades(calendar, "2026-06-26T10:00:00Z", "2026-06-26T12:00:00Z");
    trades(calendar, "2026-07-03T09:00:00Z", "2026-07-03T17:00:00Z");
    trades(calendar, "2026-11-25T09:00:00Z", "2026-11-25T17:00:00Z"); /* a Wednesday */
    trades(calendar, "2026-12-02T08:00:00Z", "2026-12-02T09:00:00Z"); /* a season over New Year */
    trades(calendar, "2027-01-13T08:00:00Z", "2027-01-13T09:00:00Z");
    trades(calendar, "2027-01-20T09:00:00Z", "2027-01-20T17:00:00Z");
    calendar_release(calendar);
}

static void a_date_stands_above_a_rule(void **state)
{
    (void)state;
    struct calendar *calendar =
        parsed(PLAIN "closed: [ { rule: 25 december }, { rule: 1 june } ]\n"
                     "shortened:\n"
                     "  - { rule: 1 june, close: 12:00 }\n"
                     "  - { rule: 2 june, close: 12:00 }\n"
                     "  - { rule: 2 june, close: 13:00 }\n"
                     "  - { day: 2026-06-03, open: 10:00, close: 11:00 }\n"
                     "  - { day: 2026-06-04, open: 17:00 }\n"
                     "special: [ { day: 2026-12-25, hours: [06:00-07:00, 22:00-24:00] } ]\n");
    rests(calendar, "2025-12-24T17:00:00Z", "2025-12-26T09:00:00Z");
    trades(calendar, "2026-12-25T22:00:00Z", "2026-12-26T00:00:00Z");
    rests(calendar, "2026-05-29T17:00:00Z", "2026-06-02T09:00:00Z");  /* closed above shortened */
    trades(calendar, "2026-06-02T09:00:00Z", "2026-06-02T12:00:00Z"); /* the first of two */
    trades(calendar, "2026-06-03T10:00:00Z", "2026-06-03T11:00:00Z");
    rests(calendar, "2026-06-03T11:00:00Z", "2026-06-05T09:00:00Z"); /* nothing is left of a day */
    calendar_release(calendar);

    /* Without `only` a rule speaks of weekends too. */
    calendar = parsed(UTC "sessions: [ { days: mon-sun, hours: 09:00-17:00 } ]\n"
                          "closed: [ { rule: 25 december } ]\n");
    rests(calendar, "2022-12-24T17:00:00Z", "2022-12-26T09:00:00Z"); /* a Sunday */
    rests(calendar, "2021-12-24T17:00:00Z", "2021-12-26T09:00:00Z"); /* a Saturday */
    calendar_release(calendar);
}

static void a_rule_of_29_february_speaks_in_leap_years(void **state)
{
    (void)state;
    struct calendar *calendar = parsed(PLAIN "closed: [ { rule: 29 february } ]\n");
    rests(calendar, "2024-02-28T17:00:00Z", "2024-03-01T09:00:00Z"); /* a Thursday */
    trades(calendar, "2023-02-28T09:00:00Z", "2023-02-28T17:00:00Z");
    trades(calendar, "2023-03-01T09:00:00Z", "2023-03-01T17:00:00Z");
    trades(calendar, "2100-03-01T09:00:00Z", "2100-03-01T17:00:00Z"); /* no leap year */
    calendar_release(calendar);
}

static void days_move_off_a_weekend(void **state)
{
    (void)state;
    struct calendar *calendar = parsed(
        PLAIN "closed:\n"
              "  - { rule: 1 january, observed: nearest }\n"
              "  - { rule: 1 march, observed: next_monday }\n"
              "  - { rule: 2 may, observed: monday_if_sunday }\n"
              "  - { rule: 1 august, observed: as_is }\n"
              "  - { rule: day after 31 october, only: mon }\n"
              "  - { rule: day before easter }\n"
              "  - { rule: last friday of september, from: 2026-01-01, until: 2026-12-31 }\n");
    rests(calendar, "2021-12-30T17:00:00Z", "2022-01-03T09:00:00Z"); /* Saturday: 31 December */
    rests(calendar, "2022-12-30T17:00:00Z", "2023-01-03T09:00:00Z"); /* Sunday: 2 January */
    rests(calendar, "2025-02-28T17:00:00Z", "2025-03-04T09:00:00Z"); /* Saturday: 3 March */
    rests(calendar, "2026-02-27T17:00:00Z", "2026-03-03T09:00:00Z"); /* Sunday: 2 March */
    rests(calendar, "2027-04-30T17:00:00Z", "2027-05-04T09:00:00Z");
    rests(calendar, "2026-05-01T17:00:00Z", "2026-05-04T09:00:00Z"); /* Saturday: none */
    rests(calendar, "2026-07-31T17:00:00Z", "2026-08-03T09:00:00Z");
    rests(calendar, "2027-10-29T17:00:00Z", "2027-11-02T09:00:00Z");  /* 1 November is a Monday */
    trades(calendar, "2028-11-01T09:00:00Z", "2028-11-01T17:00:00Z"); /* a Wednesday */
    rests(calendar, "2026-09-24T17:00:00Z", "2026-09-28T09:00:00Z");
    trades(calendar, "2027-09-24T09:00:00Z", "2027-09-24T17:00:00Z");
    calendar_release(calendar);
}

/* Source: Meeus, "Astronomical Algorithms", chapter 8, and the tables of the churches. */
static void easter_is_when_it_is(void **state)
{
    (void)state;
    static const char *const days[] = { "1818-03-22", "1943-04-25", "1954-04-18", "1961-04-02",
                                        "1991-03-31", "1992-04-19", "1993-04-11", "2000-04-23",
                                        "2008-03-23", "2011-04-24", "2019-04-21", "2024-03-31",
                                        "2025-04-20", "2026-04-05", "2027-03-28", "2028-04-16",
                                        "2029-04-01", "2038-04-25", "2049-04-18", "2076-04-19" };
    struct yearly easter;
    assert_true(dates_yearly("easter", &easter));
    for (size_t i = 0; i < ARRAY_SIZE(days); i++)
        assert_int_equal(yearly_day(&easter, atoi(days[i])),
                         at(days[i]) / NS_PER_DAY - (at(days[i]) % NS_PER_DAY < 0));
}

static void clocks_that_change_while_the_market_trades(void **state)
{
    (void)state;
    struct calendar *calendar = parsed(
        "zone: { offset: -05:00, daylight: { offset: -04:00,\n"
        "  begins: second sunday of march at 02:00, ends: first sunday of november at 02:00 } }\n"
        "sessions: [ { days: sun, hours: [01:30-02:30, 03:00-04:00] } ]\n");
    /* 8 March 2026: 02:30 does not exist, the switch is at 07:00 UTC and is 03:00 at once. */
    assert_true(calendar_is_open(calendar, at("2026-03-08T06:30:00Z")));
    same_instant(calendar_next_close(calendar, at("2026-03-08T06:30:00Z")),
                 at("2026-03-08T08:00:00Z"), "next_close", "the hour that is skipped");
    /* 1 November: 01:30 comes twice, the first counts; until 02:30 it is two hours. */
    assert_true(calendar_is_open(calendar, at("2026-11-01T05:30:00Z")));
    assert_false(calendar_is_open(calendar, at("2026-11-01T05:29:59Z")));
    same_instant(calendar_next_close(calendar, at("2026-11-01T05:30:00Z")),
                 at("2026-11-01T07:30:00Z"), "next_close", "the hour that comes twice");
    calendar_release(calendar);

    /* A session that begins in the hour that is skipped, and one that is wholly in it. */
    calendar = parsed(
        "zone: { offset: -05:00, daylight: { offset: -04:00,\n"
        "  begins: second sunday of march at 02:00, ends: first sunday of november at 02:00 } }\n"
        "sessions: [ { days: sun, hours: [02:10-02:50, 02:55-03:30] } ]\n");
    trades(calendar, "2026-03-08T07:00:00Z", "2026-03-08T07:30:00Z");
    same_instant(calendar_next_close(calendar, at("2026-03-02")), at("2026-03-08T07:30:00Z"),
                 "next_close", "the week before");
    calendar_release(calendar);
    calendar = parsed(
        "zone: { offset: -05:00, daylight: { offset: -04:00,\n"
        "  begins: second sunday of march at 02:00, ends: first sunday of november at 02:00 } }\n"
        "sessions: [ { days: sun, hours: 02:10-02:50 } ]\n");
    rests(calendar, "2026-03-01T07:50:00Z", "2026-03-15T06:10:00Z");
    same_instant(calendar_day_end(calendar, at("2026-03-02")), at("2026-03-15T06:50:00Z"),
                 "day_end", "a day without its session");
    calendar_release(calendar);

    /* Clocks go back over midnight: Sunday 00:30 is Saturday 23:30 again, at 02:30 UTC. */
    calendar = parsed(
        "zone: { offset: -03:00, daylight: { offset: -02:00,\n"
        "  begins: third sunday of october at 00:00, ends: third sunday of february at 00:30 } }\n"
        "sessions: [ { days: sun, hours: 00:00-01:00 } ]\n");
    trades(calendar, "2026-02-15T02:00:00Z", "2026-02-15T04:00:00Z");
    assert_true(calendar_is_open(calendar, at("2026-02-15T02:29:00Z")));
    assert_true(calendar_is_open(calendar, at("2026-02-15T02:31:00Z")));
    calendar_release(calendar);
}

static void what_sessions_share_counts_once(void **state)
{
    (void)state;
    /* 23 hours overnight and one at noon, half of it in the next night: 23.5 hours a day. */
    struct calendar *calendar =
        parsed(UTC "sessions: [ { days: mon-sun, hours: [12:00-11:00, 11:30-12:30] } ]\n");
    assert_float_equal(calendar_hours_per_year(calendar), 23.5 * 365.25, 0.1);
    rests(calendar, "2026-11-20T11:00:00Z", "2026-11-20T11:30:00Z");
    assert_true(calendar_is_open(calendar, at("2026-11-20T12:15:00Z")));
    same_instant(calendar_next_close(calendar, at("2026-11-20T11:30:00Z")),
                 at("2026-11-21T11:00:00Z"), "next_close", "noon");
    calendar_release(calendar);
}

/* ---- against glibc's zone database ---- */

static bool use_zone(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    if (access(path, R_OK) != 0)
        return false;
    setenv("TZ", name, 1);
    tzset();
    return true;
}

static void use_utc(void)
{
    setenv("TZ", "UTC0", 1);
    tzset();
}

/* Each local day's 23:59 from one year to another. */
static void days_end_like_in(const char *zone, const char *yaml, int from_year, int until_year)
{
    char text[1024];
    snprintf(text, sizeof(text), "%ssessions: [ { days: mon-sun, hours: 00:01-23:59 } ]\n", yaml);
    struct calendar *calendar = parsed(text);
    if (!use_zone(zone)) {
        calendar_release(calendar);
        print_message("no zone database with %s: not compared\n", zone);
        return;
    }
    struct tm tm = { .tm_year = from_year - 1900, .tm_mday = 1, .tm_hour = 23, .tm_min = 59 };
    tm.tm_isdst = -1;
    int64_t end = (int64_t)mktime(&tm) * NS_PER_SECOND;
    while (tm.tm_year + 1900 < until_year) {
        tm.tm_mday++;
        tm.tm_hour = 23;
        tm.tm_min = 59;
        tm.tm_isdst = -1;
        int64_t next = (int64_t)mktime(&tm) * NS_PER_SECOND;
        same_instant(calendar_day_end(calendar, end), next, "day_end", zone);
        end = next;
    }
    use_utc();
    calendar_release(calendar);
}

static void zones_switch_like_glibc(void **state)
{
    (void)state;
    days_end_like_in("America/New_York",
                     "zone:\n"
                     "  - offset: -05:00\n"
                     "    daylight: { offset: -04:00, begins: first sunday of april at 02:00,\n"
                     "                ends: last sunday of october at 02:00 }\n"
                     "  - from_year: 2007\n"
                     "    offset: -05:00\n"
                     "    daylight: { offset: -04:00, begins: second sunday of march at 02:00,\n"
                     "                ends: first sunday of november at 02:00 }\n",
                     1987, 2100);
    days_end_like_in("Australia/Sydney", /* south: daylight time over New Year */
                     "zone: { offset: +10:00, daylight: { offset: +11:00,\n"
                     "  begins: first sunday of october at 02:00,\n"
                     "  ends: first sunday of april at 03:00 } }\n",
                     2009, 2040);
    days_end_like_in("Europe/London",
                     "zone: { offset: +00:00, daylight: { offset: +01:00,\n"
                     "  begins: last sunday of march at 01:00,\n"
                     "  ends: last sunday of october at 02:00 } }\n",
                     1996, 2040);
    days_end_like_in("Asia/Kolkata", "zone: { offset: +05:30 }\n", 1970, 2040);
    days_end_like_in("Asia/Tokyo", "zone: { offset: +09:00 }\n", 1970, 2040);
}

/* A naive market: is it open in this minute of the local clock? */
typedef bool (*naive)(const struct tm *tm, const char *day);

static bool naive_nyse(const struct tm *tm, const char *day)
{
    int minute = tm->tm_hour * 60 + tm->tm_min;
    bool closed = is_in(NYSE[1].closed, day + 5), early = is_in(NYSE[1].early, day + 5);
    if (day[3] == '7')
        closed = is_in(NYSE[2].closed, day + 5), early = is_in(NYSE[2].early, day + 5);
    return tm->tm_wday >= 1 && tm->tm_wday <= 5 && !closed && minute >= 570 &&
           minute < (early ? 780 : 960);
}

static bool naive_nse(const struct tm *tm, const char *day)
{
    static const char *const closed =
        "2026-01-15 2026-01-26 2026-03-03 2026-03-26 2026-03-31 2026-04-03 2026-04-14 2026-05-01 "
        "2026-05-28 2026-06-26 2026-09-14 2026-10-02 2026-10-20 2026-11-10 2026-11-24 2026-12-25";
    int minute = tm->tm_hour * 60 + tm->tm_min;
    bool works = (tm->tm_wday >= 1 && tm->tm_wday <= 5 && !is_in(closed, day)) ||
                 strcmp(day, "2026-02-01") == 0;
    return works && minute >= 555 && minute < (strcmp(day, "2026-08-03") < 0 ? 930 : 915);
}

static bool naive_mcx(const struct tm *tm, const char *day)
{
    static const char *const closed = "2026-01-26 2026-04-03 2026-10-02 2026-12-25";
    static const char *const evening =
        "2026-01-15 2026-03-03 2026-03-26 2026-03-31 2026-04-14 2026-05-01 2026-05-28 2026-06-26 "
        "2026-09-14 2026-10-20 2026-11-10 2026-11-24";
    int minute = tm->tm_hour * 60 + tm->tm_min;
    bool summer = strcmp(day, "2026-03-08") >= 0 && strcmp(day, "2026-11-01") < 0;
    int open = is_in(evening, day) ? 1020 : 540, close = summer ? 1410 : 1435;
    if (strcmp(day, "2026-01-01") == 0 || strcmp(day, "2026-02-01") == 0)
        close = 1020;
    bool works = (tm->tm_wday >= 1 && tm->tm_wday <= 5 && !is_in(closed, day)) ||
                 strcmp(day, "2026-02-01") == 0;
    return works && minute >= open && minute < close;
}

static bool naive_cme(const struct tm *tm, const char *day)
{
    static const char *const closed = "2026-01-01 2026-12-25 2027-01-01 2027-03-26";
    static const char *const at_13 = "2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 "
                                     "2026-09-07 2026-11-26 2027-01-18";
    static const char *const at_13_15 = "2026-11-27 2026-12-24";
    int minute = tm->tm_hour * 60 + tm->tm_min;
    if (tm->tm_hour >= 18) { /* of the next day's session */
        struct tm next = *tm;
        char name[80];
        next.tm_mday++;
        next.tm_hour = 12;
        next.tm_isdst = -1;
        mktime(&next);
        strftime(name, sizeof(name), "%Y-%m-%d", &next);
        return next.tm_wday >= 1 && next.tm_wday <= 5 && !is_in(closed, name);
    }
    int close = strcmp(day, "2026-04-03") == 0 ? 555
                : is_in(at_13, day)            ? 780
                : is_in(at_13_15, day)         ? 795
                                               : 1020;
    return tm->tm_wday >= 1 && tm->tm_wday <= 5 && !is_in(closed, day) && minute < close;
}

static bool *walk_naively(naive is_open, int64_t from_ns)
{
    bool *open = memory_new(WALK_MINUTES * sizeof(*open));
    for (int i = 0; i < WALK_MINUTES; i++) {
        time_t now = (time_t)(from_ns / NS_PER_SECOND + 60 * (int64_t)i);
        struct tm tm;
        char day[16];
        localtime_r(&now, &tm);
        snprintf(day, sizeof(day), "%04d-%02d-%02d", (tm.tm_year + 1900) % 10000,
                 (tm.tm_mon + 1) % 100, tm.tm_mday % 100);
        open[i] = is_open(&tm, day);
    }
    return open;
}

/* Every minute against the walk; next_open, next_close and day_end at each change, the minutes
 * around it, and every 97th. The four markets have one session a day: each day ends at its close.
 */
static void compare_walk(const struct calendar *calendar, const bool *open, int64_t from_ns)
{
    int64_t next_open = 0, next_close = 0; /* unknown at the end */
    int changes = 0;
    for (int i = WALK_MINUTES - 1; i > 0; i--) {
        int64_t now = from_ns + i * NS_PER_MINUTE;
        char when[TIME_TEXT_MAX];
        time_format(now, when);
        if (calendar_is_open(calendar, now) != open[i] ||
            calendar_is_open(calendar, now + NS_PER_MINUTE - 1) != open[i])
            fail_msg("%s %s: %s", calendar_name(calendar), when, open[i] ? "closed" : "open");
        bool changed = open[i] != open[i - 1];
        if (changed || (i < WALK_MINUTES - 1 && open[i] != open[i + 1]) || i % 97 == 0) {
            if (next_open)
                same_instant(calendar_next_open(calendar, now), next_open, "next_open", when);
            if (next_close)
                same_instant(calendar_next_close(calendar, now), next_close, "next_close", when);
            if (next_close)
                same_instant(calendar_day_end(calendar, now), next_close, "day_end", when);
        }
        if (changed && open[i])
            next_open = now;
        if (changed && !open[i])
            next_close = now;
        if (changed && next_open && next_close) {
            same_instant(calendar_next_open(calendar, now - 1), next_open, "next_open before",
                         when);
            same_instant(calendar_next_close(calendar, now - 1), next_close, "next_close before",
                         when);
        }
        changes += changed;
    }
    assert_true(changes > 480); /* two a day on 240 days or more */
}

static void a_walk_of_400_days_finds_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *name, *zone, *from;
        naive is_open;
    } markets[] = {
        { "nyse", "America/New_York", "2026-01-01", naive_nyse },
        { "cme", "America/New_York", "2026-01-01", naive_cme },
        { "nse", "Asia/Kolkata", "2026-01-01", naive_nse },
        { "mcx", "Asia/Kolkata", "2026-01-01", naive_mcx },
    };
    for (size_t i = 0; i < ARRAY_SIZE(markets); i++) {
        if (!use_zone(markets[i].zone)) {
            print_message("no zone database with %s: not compared\n", markets[i].zone);
            continue;
        }
        struct calendar *calendar = shipped(markets[i].name);
        int64_t from_ns = at(markets[i].from);
        bool *open = walk_naively(markets[i].is_open, from_ns);
        use_utc();
        compare_walk(calendar, open, from_ns);
        free(open);
        calendar_release(calendar);
    }
}

/* ---- properties ---- */

static void holds_at(const struct calendar *calendar, int64_t now)
{
    int64_t open = calendar_next_open(calendar, now), close = calendar_next_close(calendar, now);
    int64_t end = calendar_day_end(calendar, now);
    assert_true(open > now && close > now && end > now);
    if (open != TIME_NEVER) {
        assert_true(calendar_is_open(calendar, open));
        assert_false(calendar_is_open(calendar, open - 1));
    }
    if (close != TIME_NEVER) {
        assert_false(calendar_is_open(calendar, close));
        assert_true(calendar_is_open(calendar, close - 1));
    }
    if (calendar_is_open(calendar, now))
        assert_true(close <= open || open == TIME_NEVER);
    else
        assert_true(open < close || close == TIME_NEVER);
    assert_true(calendar_day_end(calendar, end - 1) == end);
    assert_true(end == TIME_NEVER || calendar_day_end(calendar, end) > end);
}

static void promises_hold_for(const struct calendar *calendar, struct random *random)
{
    int64_t last = INT64_MIN, last_end = INT64_MIN;
    for (int i = 0; i < 3000; i++) {
        int64_t any = (int64_t)random_next(random);
        holds_at(calendar, any == TIME_NEVER ? 0 : any);
    }
    for (int64_t now = at("2020-01-01"); now < at("2032-01-01");
         now += (int64_t)(random_next(random) % (uint64_t)(3 * NS_PER_DAY))) {
        holds_at(calendar, now);
        assert_true(now >= last);
        int64_t end = calendar_day_end(calendar, now);
        assert_true(end >= last_end);
        last = now;
        last_end = end;
    }
}

static void promises_hold_everywhere(void **state)
{
    (void)state;
    static const char *const names[] = { "nyse", "nse", "nfo", "mcx", "cme" };
    static const char *const odd[] = {
        /* clocks go back over midnight, sessions over it too, and into one another */
        "zone: { offset: -03:00, daylight: { offset: -02:00,\n"
        "  begins: third sunday of october at 00:00, ends: third sunday of february at 00:30 } }\n"
        "sessions:\n"
        "  - { days: mon-fri, hours: [20:00-19:00, 19:10-23:50] }\n"
        "  - { days: sat, hours: 00:00-24:00 }\n"
        "  - { days: sun, hours: 12:00-24:00 }\n",
        "zone: [ { offset: +14:00 }, { from_year: 2025, offset: -14:00 } ]\n"
        "sessions: [ { days: mon-sun, hours: 23:00-22:00 } ]\n"
        "closed: [ { rule: 1 january }, { rule: easter } ]\n",
    };
    struct random random;
    random_seed(&random, 7);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct calendar *calendar = shipped(names[i]);
        promises_hold_for(calendar, &random);
        calendar_release(calendar);
    }
    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        struct calendar *calendar = parsed(odd[i]);
        promises_hold_for(calendar, &random);
        calendar_release(calendar);
    }
}

/* ---- words ---- */

static void words_are_read_whole(void **state)
{
    (void)state;
    struct yearly yearly;
    struct calendar_hours hours;
    unsigned set;
    int number;
    int64_t day;
    assert_true(dates_yearly("third monday of january", &yearly));
    assert_int_equal(yearly_day(&yearly, 2026), at("2026-01-19") / NS_PER_DAY);
    assert_true(dates_yearly("last monday of may", &yearly));
    assert_int_equal(yearly_day(&yearly, 2026), at("2026-05-25") / NS_PER_DAY);
    assert_int_equal(yearly_day(&yearly, 2027), at("2027-05-31") / NS_PER_DAY);
    assert_true(dates_yearly("day before 1 march", &yearly));
    assert_int_equal(yearly_day(&yearly, 2028), at("2028-02-29") / NS_PER_DAY);
    assert_int_equal(yearly_day(&yearly, 2100), at("2100-02-28") / NS_PER_DAY);
    assert_true(dates_yearly("good friday", &yearly));
    assert_int_equal(yearly_day(&yearly, 2026), at("2026-04-03") / NS_PER_DAY);
    assert_true(dates_hours("18:00-17:00", &hours));
    assert_true(hours.open == -360 && hours.close == 1020);
    assert_true(dates_hours("17:00-17:00", &hours)); /* a whole day */
    assert_true(hours.open == -420 && hours.close == 1020);
    assert_true(dates_hours("00:00-24:00", &hours));
    assert_true(hours.open == 0 && hours.close == 1440);
    assert_true(dates_weekdays("fri-mon", &set));
    assert_true(set == (WEEKDAY(5) | WEEKDAY(6) | WEEKDAY(0) | WEEKDAY(1)));
    assert_true(dates_offset("-09:30", &number) && number == -34200);
    assert_true(dates_day("1969-12-31", &day) && day == -1);

    static const char *const no_yearly[] = {
        "",
        "25",
        "25 ",
        "0 may",
        "32 may",
        "31 april",
        "30 february",
        "25 decembers",
        "25 December",
        "fifth monday of may",
        "first of may",
        "first mon of may",
        "monday of may",
        "last monday of",
        "good friday ",
        "day after",
        "day after ",
        "day after day after easter",
        "easter monday",
        "25 december at 02:00",
    };
    for (size_t i = 0; i < ARRAY_SIZE(no_yearly); i++)
        if (dates_yearly(no_yearly[i], &yearly))
            fail_msg("read: \"%s\"", no_yearly[i]);
    static const char *const no_hours[] = { "",
                                            "09:00",
                                            "09:00-",
                                            "9:00-17:00",
                                            "09:00-17:0",
                                            "09:00-25:00",
                                            "24:00-01:00",
                                            "09:00-00:00",
                                            "09:60-17:00",
                                            "09:00-17:00 ",
                                            "09:00 - 17:00",
                                            "-9:00-17:00",
                                            "09:00-24:01" };
    for (size_t i = 0; i < ARRAY_SIZE(no_hours); i++)
        if (dates_hours(no_hours[i], &hours))
            fail_msg("read: \"%s\"", no_hours[i]);
    static const char *const no_days[] = { "",         "monday", "mo",          "mon-",
                                           "mon-mon",  "-mon",   "mon-fri-sun", "mon fri",
                                           "mon-fri ", "Mon",    "xyz-fri" };
    for (size_t i = 0; i < ARRAY_SIZE(no_days); i++)
        if (dates_weekdays(no_days[i], &set))
            fail_msg("read: \"%s\"", no_days[i]);
    static const char *const no_offset[] = {
        "", "05:30", "+5:30", "+14:01", "+05:60", "+0530", "z"
    };
    for (size_t i = 0; i < ARRAY_SIZE(no_offset); i++)
        if (dates_offset(no_offset[i], &number))
            fail_msg("read: \"%s\"", no_offset[i]);
    static const char *const no_date[] = { "",           "2026-02-29",  "2026-1-1", "1677-12-31",
                                           "2262-01-01", "2026-01-01Z", "20260101" };
    for (size_t i = 0; i < ARRAY_SIZE(no_date); i++)
        if (dates_day(no_date[i], &day))
            fail_msg("read: \"%s\"", no_date[i]);
    static const char *const no_switch[] = {
        "second sunday of march", "second sunday of march at", "second sunday of march at 2:00",
        "easter at 02:00",        "1 january at 02:00",        "1 december at 02:00",
        "1 may at 02:00 "
    };
    for (size_t i = 0; i < ARRAY_SIZE(no_switch); i++)
        if (dates_switch(no_switch[i], &yearly, &number))
            fail_msg("read: \"%s\"", no_switch[i]);
    assert_false(dates_year("1677", &number));
    assert_false(dates_year("2262", &number));
    assert_false(dates_year("02026", &number));
    assert_false(dates_year("", &number));
    assert_false(dates_time("24:01", &number));
}

/* ---- what is refused ---- */

/* One fault, told as it stands there. */
static void refuses(const char *text, const char *fault)
{
    struct calendar *calendar;
    struct error err = { 0 };
    struct text told;
    char whole[1200];
    text_init(&told, 1 << 16);
    int code = calendar_check("test", text, strlen(text), &calendar, &told, &err);
    assert_int_equal(code, ERROR_CONFIG);
    assert_null(calendar);
    snprintf(whole, sizeof(whole), "test:%s\n", fault);
    assert_string_equal(told.data, whole);
    snprintf(whole, sizeof(whole), "%s: %s\n", err.where, err.message);
    assert_string_equal(told.data, whole);
    text_release(&told);
}

#define DAYS "a day such as 2026-01-31, of the years 1678 to 2261"
#define HOURS                                                                                      \
    "hours such as 09:15-15:30, each after the one before, at most 8 a day (18:00-17:00 opens on " \
    "the day before)"
#define YEARLY                                                                                     \
    "a day of each year such as 25 december, third monday of january, last monday of may, "        \
    "good friday, easter, each with day after or day before in front"

static void what_a_file_may_not_hold(void **state)
{
    (void)state;
    refuses("", "1:1: found nothing; allowed a mapping of zone, sessions, closed, shortened, "
                "special, listed_years");
    refuses("[]", "1:1: found a list; allowed a mapping of zone, sessions, closed, shortened, "
                  "special, listed_years");
    refuses(UTC, "1:1: sessions: found none; allowed one entry or more");
    refuses("sessions: [ { days: mon, hours: 09:00-17:00 } ]",
            "1:1: zone: found none; allowed one entry or more");
    refuses(UTC "sessions: []", "2:11: sessions: found an empty list; allowed one entry or more");
    refuses(UTC "sessions: { days: mon }",
            "2:11: sessions: found a mapping; allowed a list of mappings");
    refuses(PLAIN "holidays: []",
            "3:1: holidays: found an unknown key; allowed zone, sessions, closed, shortened, "
            "special, listed_years");
    refuses(PLAIN "close: []",
            "3:1: close: found an unknown key; allowed zone, sessions, closed, shortened, special, "
            "listed_years; did you mean closed?");
    refuses(PLAIN "closed: 2026-01-01",
            "3:9: closed: found 2026-01-01; allowed a list of mappings");
    refuses(PLAIN "closed:", "3:8: closed: found nothing; allowed a list of mappings");
    refuses(PLAIN "closed: [ 2026-01-01 ]",
            "3:11: closed.0: found 2026-01-01; allowed a mapping of day, rule, name, observed, "
            "only, from, until");
    refuses(PLAIN "closed: [ { day: 2026-02-30 } ]",
            "3:18: closed.0.day: found 2026-02-30; allowed " DAYS);
    refuses(PLAIN "closed: [ { day: } ]", "3:18: closed.0.day: found nothing; allowed " DAYS);
    refuses(PLAIN "closed: [ { day: [ 2026-01-01 ] } ]",
            "3:18: closed.0.day: found a list; allowed " DAYS);
    refuses(PLAIN "closed: [ { rule: fifth monday of may } ]",
            "3:19: closed.0.rule: found fifth monday of may; allowed " YEARLY);
    refuses(PLAIN "closed: [ { name: Easter } ]",
            "3:11: closed.0: found neither day nor rule; allowed one of day and rule");
    refuses(PLAIN "closed: [ { day: 2026-01-01, rule: easter } ]",
            "3:11: closed.0: found a day and a rule; allowed one of day and rule");
    refuses(PLAIN "closed: [ { day: 2026-01-01, observed: nearest } ]",
            "3:11: closed.0: found observed beside a day; allowed beside a rule alone");
    refuses(PLAIN "closed: [ { rule: easter, observed: friday } ]",
            "3:37: closed.0.observed: found friday; allowed as_is, nearest, monday_if_sunday or "
            "next_monday");
    refuses(PLAIN "closed: [ { rule: easter, only: [] } ]",
            "3:33: closed.0.only: found an empty list; allowed weekdays such as mon-fri, or a list "
            "of them");
    refuses(PLAIN "closed: [ { rule: easter, from: 2026-01-02, until: 2026-01-01 } ]",
            "3:11: closed.0: found until before from; allowed the same day or later");
    refuses(PLAIN "closed: [ { rule: easter, close: 13:00 } ]",
            "3:27: closed.0.close: found an unknown key; allowed day, rule, name, observed, only, "
            "from, until");
    refuses(PLAIN "closed: [ { rule: easter, name: '' } ]",
            "3:33: closed.0.name: found \"\"; allowed a name of at most 100 bytes");
    refuses(PLAIN "shortened: [ { rule: easter } ]",
            "3:14: shortened.0: found neither open nor close; allowed one or both");
    refuses(PLAIN "shortened: [ { rule: easter, open: 13:00, close: 12:00 } ]",
            "3:14: shortened.0: found a close that is not after open; allowed a later time");
    refuses(PLAIN "shortened: [ { rule: easter, close: 1300 } ]",
            "3:37: shortened.0.close: found 1300; allowed a time such as 13:00, up to 24:00");
    refuses(PLAIN "special: [ { day: 2026-01-01 } ]",
            "3:12: special.0: found no hours; allowed " HOURS);
    refuses(PLAIN "special: [ { rule: easter, day: 2026-01-01, hours: 09:00-10:00 } ]",
            "3:14: special.0.rule: found an unknown key; allowed day, name, hours");
    refuses(PLAIN "special: [ { day: 2026-01-01, hours: 09:00-10:00 },\n"
                  "           { day: 2026-01-01, hours: 11:00-12:00 } ]",
            "4:12: special.1: found a day a second time; allowed one entry for a day (the first is "
            "in line 3)");
    refuses(UTC "sessions: [ { hours: 09:00-17:00 } ]",
            "2:13: sessions.0: found no days; allowed weekdays such as mon-fri, or a list of them");
    refuses(UTC "sessions: [ { days: weekdays, hours: 09:00-17:00 } ]",
            "2:21: sessions.0.days: found weekdays; allowed weekdays such as mon-fri, or a list of "
            "them");
    refuses(UTC "sessions: [ { days: mon, hours: 17:00 } ]",
            "2:33: sessions.0.hours: found 17:00; allowed " HOURS);
    refuses(UTC "sessions: [ { days: mon, hours: [09:00-12:00, 12:00-13:00] } ]",
            "2:47: sessions.0.hours.1: found 12:00-13:00; allowed " HOURS);
    refuses(UTC
            "sessions: [ { days: mon, hours: [00:00-00:01, 00:02-00:03, 00:04-00:05,\n"
            "  00:06-00:07, 00:08-00:09, 00:10-00:11, 00:12-00:13, 00:14-00:15, 00:16-00:17] } ]",
            "3:68: sessions.0.hours.8: found 00:16-00:17; allowed " HOURS);
    refuses(UTC "sessions: [ { days: mon, hours: 09:00-17:00, season: { begins: 1 may } } ]",
            "2:54: sessions.0.season: found no ends; allowed " YEARLY);
    refuses(UTC
            "sessions: [ { days: mon, hours: 09:00-17:00, from: 2026-02-01, until: 2026-01-01 } ]",
            "2:13: sessions.0: found until before from; allowed the same day or later");
}

#define SESSIONS "sessions: [ { days: mon, hours: 09:00-17:00 } ]\n"

static void what_a_zone_may_not_hold(void **state)
{
    (void)state;
    refuses(SESSIONS "zone: Asia/Kolkata",
            "2:7: zone: found Asia/Kolkata; allowed a list of mappings");
    refuses(SESSIONS "zone: { offset: 5.5 }",
            "2:17: zone.offset: found 5.5; allowed an offset from UTC such as +05:30 or -05:00, at "
            "most 14 hours");
    refuses(SESSIONS "zone: { offset: -05:00, daylight: -04:00 }",
            "2:35: zone.daylight: found -04:00; allowed a mapping of offset, begins, ends");
    refuses(SESSIONS "zone: { offset: -05:00, daylight: { offset: -04:00,\n"
                     "  begins: 1 march at 02:00, ends: 1 january at 02:00 } }",
            "3:35: zone.daylight.ends: found 1 january at 02:00; allowed a switch such as second "
            "sunday of march at 02:00, in february to november");
    refuses(SESSIONS "zone: { offset: -05:00, daylight: { offset: -05:00,\n"
                     "  begins: 1 march at 02:00, ends: 1 october at 02:00 } }",
            "2:7: zone: found a daylight offset that differs from the standard one by 0 minutes; "
            "allowed 1 to 180");
    refuses(SESSIONS "zone: { offset: -05:00, daylight: { offset: -01:59,\n"
                     "  begins: 1 march at 02:00, ends: 1 october at 02:00 } }",
            "2:7: zone: found a daylight offset that differs from the standard one by 181 minutes; "
            "allowed 1 to 180");
    refuses(SESSIONS "zone: { offset: -05:00, daylight: { offset: -04:00,\n"
                     "  begins: 1 march at 02:00, ends: 30 april at 02:00 } }",
            "2:7: zone: found daylight time that begins and ends in neighboring months; allowed "
            "two months apart or more");
    refuses(SESSIONS "zone: [ { offset: -05:00, from_year: 2007 } ]",
            "2:9: zone.0: found a from_year in the first entry; allowed none there: it speaks of "
            "all years before the second");
    refuses(SESSIONS "zone: [ { offset: -05:00 }, { offset: -04:00 } ]",
            "2:29: zone.1: found no from_year; allowed entries in order, each from the second on "
            "with a later from_year");
    refuses(SESSIONS "zone:\n"
                     "  - { offset: -05:00 }\n"
                     "  - { offset: -04:00, from_year: 2010 }\n"
                     "  - { offset: -03:00, from_year: 2010 }\n",
            "5:5: zone.2: found a from_year that is not after the one before; allowed entries in "
            "order, each from the second on with a later from_year");
    refuses(SESSIONS "zone: [ { offset: -05:00 }, { offset: -04:00, from_year: 1492 } ]",
            "2:58: zone.1.from_year: found 1492; allowed a year, 1678 to 2261");
}

static void which_years_are_listed(void **state)
{
    (void)state;
    struct calendar *calendar =
        parsed(PLAIN "listed_years: [2025, 2026]\n"
                     "closed: [ { day: 2025-12-25 }, { day: 2026-12-25 } ]\n");
    assert_int_equal(calendar_covers_until(calendar), at("2026-12-31") / NS_PER_DAY);
    calendar_release(calendar);
    refuses(PLAIN "closed: [ { day: 2026-12-25 } ]\n",
            "1:1: listed_years: found closed days without a rule and no listed_years; allowed the "
            "years whose closed days are all here, such as [2025, 2026]");
    refuses(PLAIN "listed_years: 2026\nclosed: [ { day: 2026-12-25 }, { day: 2027-01-01 } ]\n",
            "4:32: closed: found a day of 2027; allowed days of listed_years");
    refuses(PLAIN "listed_years: [2025, 2026]\nclosed: [ { day: 2026-12-25 } ]\n",
            "1:1: listed_years: found 2025 without a closed day; allowed years whose closed days "
            "are all here");
    refuses(PLAIN "listed_years: [2024, 2026]\nclosed: [ { day: 2024-12-25 } ]\n",
            "3:22: listed_years.1: found 2026; allowed years, one after the other, such as [2025, "
            "2026]");
}

static void every_fault_is_told(void **state)
{
    (void)state;
    static const char *const text = "zone: { offset: five }\n"
                                    "sessions:\n"
                                    "  - { days: mon, hours: 9-17 }\n"
                                    "  - { days: mon, hours: 09:00-17:00, from: soon }\n"
                                    "closed: [ { day: 2026-13-01 }, { rule: diwali } ]\n"
                                    "shortend: []\n";
    struct calendar *calendar;
    struct error err = { 0 };
    struct text told;
    text_init(&told, 1 << 16);
    assert_int_equal(calendar_check("test", text, strlen(text), &calendar, &told, &err),
                     ERROR_CONFIG);
    static const char *const places[] = {
        "test:1:17: zone.offset: found five;",     "test:3:25: sessions.0.hours: found 9-17;",
        "test:4:44: sessions.1.from: found soon;", "test:5:18: closed.0.day: found 2026-13-01;",
        "test:5:40: closed.1.rule: found diwali;", "test:6:1: shortend: found an unknown key;"
    };
    const char *line = told.data;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (!text_starts_with(line, places[i]))
            fail_msg("%s\nwanted %s", line, places[i]);
        line = strchr(line, '\n') + 1;
    }
    assert_string_equal(line, "");
    /* The error alone holds the first ones and how many more there are. */
    assert_string_equal(err.where, "test:1:17");
    assert_true(text_starts_with(err.message, "zone.offset: found five; "));
    assert_non_null(strstr(err.message, "\ntest:3:25: sessions.0.hours: found 9-17; "));
    if (!text_ends_with(err.message, "\nand 1 more"))
        fail_msg("%s", err.message);
    assert_int_equal(calendar_check("test", text, strlen(text), &calendar, NULL, NULL),
                     ERROR_CONFIG);
    text_release(&told);
}

static void broken_yaml_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "zone: {",           "zone: &a { offset: +00:00 }",
        UTC UTC PLAIN,       "\tzone: 1",
        "zone: \xff\xfe",    PLAIN "closed: [ { day: !!str 2026-01-01 } ]",
        PLAIN "--- \n" PLAIN
    };
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        struct calendar *calendar;
        struct error err = { 0 };
        assert_int_equal(calendar_parse("test", broken[i], strlen(broken[i]), &calendar, &err),
                         ERROR_CONFIG);
        assert_null(calendar);
        assert_true(text_starts_with(err.where, "test:"));
    }
}

/* Exactly as many as are allowed, and one more. */
static struct text many(const char *before, const char *format, int count, const char *after)
{
    struct text text;
    text_init(&text, 1 << 20);
    text_add(&text, before);
    for (int i = 0; i < count; i++) {
        char day[DAY_TEXT_MAX];
        time_format_day(at("2000-01-01") + i * NS_PER_DAY, day);
        text_printf(&text, format, day);
    }
    text_add(&text, after);
    assert_false(text.overflow);
    return text;
}

static void there_are_limits(void **state)
{
    (void)state;
    static const struct {
        const char *before, *each, *after;
        int most;
        const char *fault; /* of one more */
    } limits[] = {
        { PLAIN "listed_years: [2000,2001,2002,2003,2004,2005,2006,2007,2008,2009,2010,2011]\n"
                "closed:\n",
          "  - { day: %.10s }\n", "", 4096, "more than 4096" },
        { PLAIN "closed:\n", "  - { rule: easter, until: %.10s }\n", "", 64,
          "closed.64: found more than 64 rules; allowed fewer" },
        { UTC "sessions:\n", "  - { days: mon, hours: 09:00-10:00, from: %.10s }\n", "", 64,
          "sessions: found 65 entries; allowed at most 64" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        for (int more = 0; more <= 1; more++) {
            struct text text =
                many(limits[i].before, limits[i].each, limits[i].most + more, limits[i].after);
            struct calendar *calendar;
            struct error err = { 0 };
            int code = calendar_parse("test", text.data, text.length, &calendar, &err);
            if (code != (more ? ERROR_CONFIG : 0) ||
                (more && !strstr(err.message, limits[i].fault)))
                fail_msg("%zu+%d: %d %s", i, more, code, err.message);
            calendar_release(calendar);
            text_release(&text);
        }
    }
    /* The last that is allowed counts. */
    struct text text = many(PLAIN "closed:\n", "  - { rule: easter, until: %.10s }\n", 63,
                            "  - { rule: 1 june }\n");
    struct calendar *full = parsed(text.data);
    rests(full, "2026-05-29T17:00:00Z", "2026-06-02T09:00:00Z");
    calendar_release(full);
    text_release(&text);

    /* Days over several lists count together. */
    text = many(PLAIN "special:\n", "  - { day: %.10s, hours: 09:00-10:00 }\n", 4096,
                "shortened: [ { day: 1999-01-01, close: 12:00 } ]\n");
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text.data, text.length, &calendar, &err), ERROR_CONFIG);
    assert_string_equal(err.message, "shortened.0: found more than 4096 days; allowed fewer");
    text_release(&text);

    char *large = memory_new(CALENDAR_FILE_MAX + 1);
    memset(large, ' ', CALENDAR_FILE_MAX + 1);
    memcpy(large, PLAIN, strlen(PLAIN));
    assert_int_equal(calendar_parse("test", large, CALENDAR_FILE_MAX, &calendar, &err), 0);
    calendar_release(calendar);
    assert_int_equal(calendar_parse("test", large, CALENDAR_FILE_MAX + 1, &calendar, &err),
                     ERROR_CONFIG);
    assert_string_equal(err.message, "found 262145 bytes; allowed at most 262144");
    free(large);
}

/* ---- files ---- */

struct world {
    char directory[64];
    int home;
    const char *xdg, *home_directory;
};

static const char *look_up(void *self, const char *name)
{
    const struct world *world = self;
    if (strcmp(name, "XDG_CONFIG_HOME") == 0)
        return world->xdg;
    return strcmp(name, "HOME") == 0 ? world->home_directory : NULL;
}

static int enter_directory(void **state)
{
    struct world *world = memory_new(sizeof(*world));
    text_copy(world->directory, sizeof(world->directory), "/tmp/calendar_test-XXXXXX");
    world->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = world;
    return world->home < 0 || !mkdtemp(world->directory) || chdir(world->directory) != 0;
}

static int leave_directory(void **state)
{
    struct world *world = *state;
    char command[128];
    int failed = fchdir(world->home);
    close(world->home);
    snprintf(command, sizeof(command), "rm -rf %s", world->directory);
    failed |= system(command);
    free(world);
    return failed;
}

static void put_file(const char *directory, const char *name, const char *text)
{
    struct error err = { 0 };
    char path[256];
    assert_int_equal(text_make_directories(directory, &err), 0);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    assert_int_equal(text_write_file(path, text, strlen(text), &err), 0);
}

/* Which file was taken: each test calendar opens at another hour. */
static int opening_hour(struct world *world, const char *name)
{
    struct calendar *calendar;
    struct error err = { 0 };
    int code = calendar_load(name, look_up, world, &calendar, &err);
    if (code != 0)
        fail_msg("%s %s", err.where, err.message);
    int64_t open = calendar_next_open(calendar, at("2026-11-20"));
    calendar_release(calendar);
    return (int)(open % NS_PER_DAY / (60 * NS_PER_MINUTE));
}

#define AT_HOUR(h) UTC "sessions: [ { days: mon-sun, hours: " h ":00-23:00 } ]\n"

static void calendars_are_looked_for_in_order(void **state)
{
    struct world *world = *state;
    char xdg[128], home[128];
    struct calendar *calendar;
    struct error err = { 0 };
    snprintf(xdg, sizeof(xdg), "%s/xdg", world->directory);
    snprintf(home, sizeof(home), "%s/home", world->directory);
    world->home_directory = home;

    assert_int_equal(calendar_load("mine", look_up, world, &calendar, &err), ERROR_CONFIG);
    assert_null(calendar);
    char wanted[512];
    snprintf(wanted, sizeof(wanted),
             "found no calendar mine; allowed 24x7, or a name whose file is there (looked for "
             "config/calendars/mine.yaml, %s/.config/runtime/calendars/mine.yaml, "
             "%s/calendars/mine.yaml)",
             home, places_installed());
    assert_string_equal(err.message, wanted);

    put_file("home/.config/runtime/calendars", "mine.yaml", AT_HOUR("03"));
    assert_int_equal(opening_hour(world, "mine"), 3);
    put_file("xdg/runtime/calendars", "mine.yaml", AT_HOUR("02"));
    assert_int_equal(opening_hour(world, "mine"), 3);
    world->xdg = xdg;
    assert_int_equal(opening_hour(world, "mine"), 2);
    put_file("config/calendars", "mine.yaml", AT_HOUR("01"));
    assert_int_equal(opening_hour(world, "mine"), 1);

    /* A broken one is told, never passed over. */
    put_file("config/calendars", "mine.yaml", UTC "sessions: soon\n");
    assert_int_equal(calendar_load("mine", look_up, world, &calendar, &err), ERROR_CONFIG);
    assert_string_equal(err.where, "config/calendars/mine.yaml:2:11");
    assert_int_equal(unlink("config/calendars/mine.yaml"), 0);
    assert_int_equal(mkdir("config/calendars/mine.yaml", 0700), 0);
    assert_int_equal(calendar_load("mine", look_up, world, &calendar, &err), ERROR_CONFIG);
    assert_string_equal(err.where, "config/calendars/mine.yaml");
    assert_null(calendar);
    assert_int_equal(calendar_load("24x7", NULL, NULL, &calendar, &err), 0);
    calendar_release(calendar);
}

static void a_name_is_no_path(void **state)
{
    (void)state;
    static const char *const names[] = { "",      "../nyse",          "a/b",       "NYSE",
                                         "ny se", "sixteen_letters_", "nyse.yaml", "\x1b[31m" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct calendar *calendar;
        struct error err = { 0 };
        assert_int_equal(calendar_load(names[i], NULL, NULL, &calendar, &err), ERROR_CONFIG);
        assert_null(calendar);
        assert_true(text_ends_with(
            err.message,
            "as the name of a calendar; allowed at most 15 small letters, digits and _"));
        assert_null(strchr(err.message, '\x1b'));
        assert_int_equal(calendar_parse(names[i], PLAIN, strlen(PLAIN), &calendar, &err),
                         ERROR_CONFIG);
    }
}

static void session_is(const struct calendar *calendar, const char *open, const char *close)
{
    int64_t from = at(open), until = at(close);
    assert_false(calendar_is_open(calendar, from - 1));
    same_instant(calendar_next_open(calendar, from - 1), from, "next_open before", open);
    same_instant(calendar_next_close(calendar, from), until, "next_close from", open);
    assert_true(calendar_is_open(calendar, until - 1));
    assert_false(calendar_is_open(calendar, until));
}

/* A late opening cuts the morning and not the afternoon; an early close the other way round. */
static void a_shortened_day_cuts_what_it_meets(void **state)
{
    (void)state;
    struct calendar *calendar =
        parsed(UTC "sessions: [ { days: mon-fri, hours: [09:00-12:00, 13:00-17:00] } ]\n"
                   "shortened:\n"
                   "  - { day: 2026-06-03, open: 10:00 }\n"
                   "  - { day: 2026-06-04, close: 16:00 }\n");
    session_is(calendar, "2026-06-03T10:00:00Z", "2026-06-03T12:00:00Z");
    session_is(calendar, "2026-06-03T13:00:00Z", "2026-06-03T17:00:00Z");
    session_is(calendar, "2026-06-04T09:00:00Z", "2026-06-04T12:00:00Z");
    session_is(calendar, "2026-06-04T13:00:00Z", "2026-06-04T16:00:00Z");
    calendar_release(calendar);
}

/* Sessions that share hours, one within the other among them: what both have counts once. */
static void hours_that_two_sessions_share_count_once(void **state)
{
    (void)state;
    struct calendar_rules rules = { 0 };
    struct calendar_week week = { .from = CALENDAR_DAY_MIN,
                                  .until = CALENDAR_DAY_MAX,
                                  .weekdays = 0x7f,
                                  .count = 2,
                                  .hours = { { 9 * 60, 17 * 60 }, { 10 * 60, 12 * 60 } } };
    rules.covers_until = INT64_MAX;
    rules.weeks = memory_new(sizeof(week));
    rules.weeks[0] = week;
    rules.week_count = 1;
    rules.zones = memory_new(sizeof(*rules.zones));
    rules.zone_count = 1;
    struct calendar *calendar = calendar_make(&rules);
    assert_float_equal(calendar_hours_per_year(calendar), 8 * 365.25, 1e-9);
    calendar_release(calendar);
}

/* The average is of the 28 years after the last change, but of none beyond the last year. */
static void a_change_near_the_end_of_time_has_an_average(void **state)
{
    (void)state;
    struct calendar *calendar = parsed(UTC "sessions: [ { days: mon-sun, hours: 09:00-17:00 } ]\n"
                                           "closed: [ { rule: 1 june, from: 2250-01-01 } ]\n");
    double hours = calendar_hours_per_year(calendar);
    assert_true(hours > 8 * 364 && hours < 8 * 365.25);
    calendar_release(calendar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nyse_opens_by_the_clock_of_new_york),
        cmocka_unit_test(nyse_keeps_its_holidays),
        cmocka_unit_test(nyse_closes_early),
        cmocka_unit_test(nse_ends_earlier_since_august_2026),
        cmocka_unit_test(mcx_follows_the_united_states_in_the_evening),
        cmocka_unit_test(cme_trades_from_sunday_evening),
        cmocka_unit_test(every_market_has_a_day),
        cmocka_unit_test(a_crypto_market_never_closes),
        cmocka_unit_test(a_time_that_never_comes_is_never_open),
        cmocka_unit_test(a_market_without_sessions_for_two_years),
        cmocka_unit_test(several_sessions_a_day),
        cmocka_unit_test(the_last_rule_that_speaks_of_a_day_decides),
        cmocka_unit_test(a_date_stands_above_a_rule),
        cmocka_unit_test(a_rule_of_29_february_speaks_in_leap_years),
        cmocka_unit_test(days_move_off_a_weekend),
        cmocka_unit_test(easter_is_when_it_is),
        cmocka_unit_test(clocks_that_change_while_the_market_trades),
        cmocka_unit_test(what_sessions_share_counts_once),
        cmocka_unit_test(zones_switch_like_glibc),
        cmocka_unit_test(a_walk_of_400_days_finds_the_same),
        cmocka_unit_test(promises_hold_everywhere),
        cmocka_unit_test(words_are_read_whole),
        cmocka_unit_test(what_a_file_may_not_hold),
        cmocka_unit_test(what_a_zone_may_not_hold),
        cmocka_unit_test(which_years_are_listed),
        cmocka_unit_test(every_fault_is_told),
        cmocka_unit_test(broken_yaml_is_refused),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test_setup_teardown(calendars_are_looked_for_in_order, enter_directory,
                                        leave_directory),
        cmocka_unit_test(a_name_is_no_path),
        cmocka_unit_test(a_shortened_day_cuts_what_it_meets),
        cmocka_unit_test(hours_that_two_sessions_share_count_once),
        cmocka_unit_test(a_change_near_the_end_of_time_has_an_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
