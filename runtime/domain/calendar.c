/* calendar.c - dated rules into sorted tables once, then every question is a few binary searches.
 *
 * Built: the zone's switches of every year that int64 reaches, and the days on which a rule of the
 * year falls. Sessions are not stored: those of a day follow from its weekday, its exception and
 * the zone. Inside, instants are seconds; local seconds are those of the market's clock as if it
 * were UTC. */
#include "runtime/domain/calendar.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/domain/calendar_rules.h"

#define DAY_S 86400
#define FAR_S (INT64_MAX / 4)
#define SCAN_DAYS 731    /* two years: how far next_open and next_close look */
#define AVERAGE_YEARS 28 /* weekdays and leap years repeat */
#define HOURS_OF_24X7 8760.0

struct calendar {
    struct calendar_rules rules;
    /* The zone: from switch_s[i] on (local: from switch_local[i] on) offset_s[i] holds. */
    int64_t *switch_s, *switch_local;
    int32_t *offset_s;
    size_t switch_count, switch_capacity;
    /* Days that are different, ascending, each once; index into rules.exceptions. */
    int64_t *day;
    uint16_t *exception;
    size_t day_count;
    bool spills; /* a session may begin before its own day does */
    double hours_per_year;
};

struct span {
    int64_t open, close; /* seconds UTC */
};

/* ---- days ----
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2021). */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t calendar_days(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int calendar_year(int64_t day)
{
    int64_t shifted = day + 719468;
    int64_t era = floor_div(shifted, 146097);
    int64_t day_of_era = shifted - era * 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    return (int)(year + era * 400 + (day_of_year >= 306)); /* January and February end the year */
}

/* 0 Sunday; 1970-01-01 was a Thursday. */
static int weekday_of(int64_t day)
{
    int64_t weekday = (day + 4) % 7;
    return (int)(weekday < 0 ? weekday + 7 : weekday);
}

static int days_in_month(int year, int month)
{
    int next_year = year + (month == 12), next_month = month % 12 + 1;
    return (int)(calendar_days(next_year, next_month, 1) - calendar_days(year, month, 1));
}

/* Source: Meeus, "Astronomical Algorithms" (1991), chapter 8. */
static int64_t easter(int year)
{
    int a = year % 19, b = year / 100, c = year % 100;
    int g = (8 * b + 13) / 25;
    int h = (19 * a + b - b / 4 - g + 15) % 30;
    int l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    int m = (a + 11 * h + 19 * l) / 433;
    int month = (h + l - 7 * m + 90) / 25;
    return calendar_days(year, month, (h + l - 7 * m + 33 * month + 19) % 32);
}

int64_t yearly_day(const struct yearly *yearly, int year)
{
    if (yearly->kind == YEARLY_EASTER)
        return easter(year) + yearly->shift;
    int length = days_in_month(year, yearly->month);
    if (yearly->kind == YEARLY_DATE)
        return yearly->day > length
                   ? CALENDAR_DAY_MIN
                   : calendar_days(year, yearly->month, yearly->day) + yearly->shift;

    int64_t first = calendar_days(year, yearly->month, 1), last = first + length - 1;
    int ahead = (yearly->weekday - weekday_of(first) + 7) % 7;
    int behind = (weekday_of(last) - yearly->weekday + 7) % 7;
    return (yearly->nth > 0 ? first + ahead + 7 * (yearly->nth - 1) : last - behind) +
           yearly->shift;
}

static int64_t observe(enum observed observed, int64_t day)
{
    bool saturday = weekday_of(day) == 6, sunday = weekday_of(day) == 0;
    switch (observed) {
    case OBSERVED_NEAREST:
        return day + sunday - saturday;
    case OBSERVED_MONDAY_IF_SUNDAY:
        return day + sunday;
    case OBSERVED_NEXT_MONDAY:
        return day + sunday + 2 * saturday;
    default:
        return day;
    }
}

/* ---- tables ---- */

/* How many of the ascending keys are not above `key`. */
static size_t count_to(const int64_t *keys, size_t count, int64_t key)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (keys[low + half] <= key) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low;
}

static void add_switch(struct calendar *calendar, int64_t at_s, int offset_s)
{
    size_t n = calendar->switch_count;
    if (n > 0 && calendar->offset_s[n - 1] == offset_s)
        return;
    ASSERT(n < calendar->switch_capacity);
    ASSERT(n == 0 || at_s > calendar->switch_s[n - 1]);
    calendar->switch_s[n] = at_s;
    calendar->switch_local[n] = n == 0 ? at_s : at_s + calendar->offset_s[n - 1];
    calendar->offset_s[n] = offset_s;
    calendar->switch_count++;
}

static void add_switches_of(struct calendar *calendar, const struct calendar_zone *zone, int year)
{
    int64_t new_year = calendar_days(year, 1, 1) * DAY_S;
    if (!zone->has_daylight) {
        add_switch(calendar, new_year - zone->standard_s, zone->standard_s);
        return;
    }
    int64_t begins = yearly_day(&zone->begins, year) * DAY_S + zone->begins_at * 60;
    int64_t ends = yearly_day(&zone->ends, year) * DAY_S + zone->ends_at * 60;
    bool north = begins < ends;
    int at_first = north ? zone->standard_s : zone->daylight_s;
    add_switch(calendar, new_year - at_first, at_first);
    if (!north)
        add_switch(calendar, ends - zone->daylight_s, zone->standard_s);
    add_switch(calendar, begins - zone->standard_s, zone->daylight_s);
    if (north)
        add_switch(calendar, ends - zone->daylight_s, zone->standard_s);
}

static void build_zone(struct calendar *calendar)
{
    const struct calendar_rules *rules = &calendar->rules;
    ASSERT(rules->zone_count > 0);
    calendar->switch_capacity = 3 * (CALENDAR_YEAR_MAX - CALENDAR_YEAR_MIN + 3);
    calendar->switch_s = memory_new(calendar->switch_capacity * sizeof(*calendar->switch_s));
    calendar->switch_local = memory_new(calendar->switch_capacity * sizeof(*calendar->switch_s));
    calendar->offset_s = memory_new(calendar->switch_capacity * sizeof(*calendar->offset_s));
    size_t at = 0;
    for (int year = CALENDAR_YEAR_MIN - 1; year <= CALENDAR_YEAR_MAX + 1; year++) {
        while (at + 1 < rules->zone_count && rules->zones[at + 1].from_year <= year)
            at++;
        add_switches_of(calendar, &rules->zones[at], year);
    }
}

struct candidate {
    int64_t day;
    size_t rank, index;
};

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->day != b->day)
        return a->day < b->day ? -1 : 1;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

struct candidates {
    struct candidate *list;
    size_t count, capacity;
};

static void add_candidate(struct candidates *out, int64_t day, size_t rank, size_t index)
{
    out->list = memory_grow(out->list, &out->capacity, out->count + 1, sizeof(*out->list));
    out->list[out->count++] = (struct candidate){ .day = day, .rank = rank, .index = index };
}

static void add_computed(struct candidates *out, const struct calendar_exception *exception,
                         size_t index)
{
    for (int year = CALENDAR_YEAR_MIN - 1; year <= CALENDAR_YEAR_MAX + 1; year++) {
        int64_t day = yearly_day(&exception->yearly, year);
        if (day == CALENDAR_DAY_MIN)
            continue;
        day = observe(exception->observed, day);
        if (day >= exception->from && day <= exception->until &&
            (exception->weekdays & WEEKDAY(weekday_of(day))))
            add_candidate(out, day, 1 + (size_t)exception->kind, index);
    }
}

static void build_days(struct calendar *calendar)
{
    const struct calendar_rules *rules = &calendar->rules;
    struct candidates found = { 0 };
    ASSERT(rules->exception_count <= UINT16_MAX);
    for (size_t i = 0; i < rules->exception_count; i++) {
        if (rules->exceptions[i].is_computed)
            add_computed(&found, &rules->exceptions[i], i);
        else
            add_candidate(&found, rules->exceptions[i].day, 0, i);
    }
    if (found.count > 0)
        qsort(found.list, found.count, sizeof(*found.list), compare_candidates);

    calendar->day = memory_new((found.count + 1) * sizeof(*calendar->day));
    calendar->exception = memory_new((found.count + 1) * sizeof(*calendar->exception));
    for (size_t i = 0; i < found.count; i++) {
        if (i > 0 && found.list[i].day == found.list[i - 1].day)
            continue;
        calendar->day[calendar->day_count] = found.list[i].day;
        calendar->exception[calendar->day_count++] = (uint16_t)found.list[i].index;
    }
    free(found.list);
}

static bool begins_before_its_day(const struct calendar_hours *hours, int count)
{
    for (int i = 0; i < count; i++)
        if (hours[i].open < 0)
            return true;
    return false;
}

/* Where clocks go back over midnight, the local date may be one behind as well. */
static void find_spills(struct calendar *calendar)
{
    const struct calendar_rules *rules = &calendar->rules;
    for (size_t i = 0; i < rules->zone_count; i++)
        calendar->spills |= rules->zones[i].has_daylight;
    for (size_t i = 0; i < rules->week_count; i++)
        calendar->spills |= begins_before_its_day(rules->weeks[i].hours, rules->weeks[i].count);
    for (size_t i = 0; i < rules->exception_count; i++)
        calendar->spills |=
            begins_before_its_day(rules->exceptions[i].hours, rules->exceptions[i].count);
}

/* ---- the zone ---- */

static int64_t day_at(const struct calendar *calendar, int64_t utc_s)
{
    size_t at = count_to(calendar->switch_s, calendar->switch_count, utc_s) - 1;
    return floor_div(utc_s + calendar->offset_s[at], DAY_S);
}

/* A local time that clocks skip is the instant of the switch; of one that comes twice the first
 * is meant. So later local times are never earlier instants. */
static int64_t to_utc(const struct calendar *calendar, int64_t local_s)
{
    size_t at = count_to(calendar->switch_local, calendar->switch_count, local_s) - 1;
    int64_t utc_s = local_s - calendar->offset_s[at];
    return utc_s > calendar->switch_s[at] ? utc_s : calendar->switch_s[at];
}

/* ---- the sessions of a day ---- */

static bool in_season(const struct calendar_week *week, int64_t day)
{
    int year = calendar_year(day);
    int64_t begins = yearly_day(&week->begins, year), ends = yearly_day(&week->ends, year);
    if (begins < ends)
        return day >= begins && day < ends;
    return day >= begins || day < ends;
}

static const struct calendar_week *week_of(const struct calendar *calendar, int64_t day)
{
    unsigned weekday = WEEKDAY(weekday_of(day));
    for (size_t i = calendar->rules.week_count; i-- > 0;) {
        const struct calendar_week *week = &calendar->rules.weeks[i];
        if ((week->weekdays & weekday) && day >= week->from && day <= week->until &&
            (!week->has_season || in_season(week, day)))
            return week;
    }
    return NULL;
}

static const struct calendar_exception *exception_of(const struct calendar *calendar, int64_t day)
{
    size_t count = count_to(calendar->day, calendar->day_count, day);
    if (count == 0 || calendar->day[count - 1] != day)
        return NULL;
    return &calendar->rules.exceptions[calendar->exception[count - 1]];
}

/* A session cut to what a shortened day leaves of it; it may be nothing. */
static struct calendar_hours shorten(struct calendar_hours hours,
                                     const struct calendar_exception *exception)
{
    if (exception->open >= 0 && exception->open > hours.open)
        hours.open = exception->open;
    if (exception->close >= 0 && exception->close < hours.close)
        hours.close = exception->close;
    return hours;
}

/* Of a day as it is: of the week, or of the day alone. Returns how many. */
static int hours_of(const struct calendar *calendar, int64_t day,
                    struct calendar_hours out[CALENDAR_HOURS_MAX])
{
    const struct calendar_exception *exception = exception_of(calendar, day);
    if (exception && exception->kind == EXCEPTION_CLOSED)
        return 0;
    if (exception && exception->kind == EXCEPTION_SPECIAL) {
        memcpy(out, exception->hours, sizeof(exception->hours));
        return exception->count;
    }
    const struct calendar_week *week = week_of(calendar, day);
    if (!week)
        return 0;
    for (int i = 0; i < week->count; i++)
        out[i] = exception ? shorten(week->hours[i], exception) : week->hours[i];
    return week->count;
}

/* Those that close on the day, in order, none empty. Returns how many. */
static int sessions_of(const struct calendar *calendar, int64_t day,
                       struct span out[CALENDAR_HOURS_MAX])
{
    struct calendar_hours hours[CALENDAR_HOURS_MAX];
    int given = hours_of(calendar, day, hours), count = 0;
    for (int i = 0; i < given; i++) {
        if (hours[i].open >= hours[i].close)
            continue;
        struct span span = { .open = to_utc(calendar, day * DAY_S + hours[i].open * 60),
                             .close = to_utc(calendar, day * DAY_S + hours[i].close * 60) };
        if (span.open < span.close)
            out[count++] = span;
    }
    return count;
}

static bool is_within(const struct calendar *calendar, int64_t day, int64_t utc_s)
{
    struct span spans[CALENDAR_HOURS_MAX];
    int count = sessions_of(calendar, day, spans);
    for (int i = 0; i < count; i++)
        if (utc_s >= spans[i].open && utc_s < spans[i].close)
            return true;
    return false;
}

/* A session of a day begins at the earliest on the day before it. */
static bool is_open_at(const struct calendar *calendar, int64_t utc_s)
{
    int64_t day = day_at(calendar, utc_s);
    return is_within(calendar, day, utc_s) ||
           (calendar->spills && is_within(calendar, day + 1, utc_s));
}

/* ---- the average ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The year after which no rule changes any more. */
static int last_change(const struct calendar_rules *rules)
{
    int64_t last = calendar_days(1970, 1, 1);
    for (size_t i = 0; i < rules->week_count; i++) {
        last = later(last, rules->weeks[i].from);
        if (rules->weeks[i].until != CALENDAR_DAY_MAX)
            last = later(last, rules->weeks[i].until);
    }
    for (size_t i = 0; i < rules->exception_count; i++) {
        const struct calendar_exception *exception = &rules->exceptions[i];
        last = later(last, exception->is_computed ? exception->from : exception->day);
        if (exception->is_computed && exception->until != CALENDAR_DAY_MAX)
            last = later(last, exception->until);
    }
    return calendar_year(last);
}

/* Seconds of trade on the days from `from` to `until`; what two sessions share counts once. */
static int64_t seconds_open(const struct calendar *calendar, int64_t from, int64_t until)
{
    int64_t sum = 0, done = -FAR_S;
    for (int64_t day = from; day <= until; day++) {
        struct span spans[CALENDAR_HOURS_MAX];
        int count = sessions_of(calendar, day, spans);
        for (int i = 0; i < count; i++) {
            int64_t open = later(spans[i].open, done);
            if (open < spans[i].close)
                sum += spans[i].close - open;
            done = later(done, spans[i].close);
        }
    }
    return sum;
}

/* Where days are listed, the last listed year is the measure; else the rules that last. */
static double average_hours(const struct calendar *calendar)
{
    const struct calendar_rules *rules = &calendar->rules;
    bool listed = rules->covers_until != INT64_MAX;
    int last = listed ? calendar_year(rules->covers_until) : last_change(rules) + AVERAGE_YEARS;
    if (last > CALENDAR_YEAR_MAX)
        last = CALENDAR_YEAR_MAX;
    int years = listed ? 1 : AVERAGE_YEARS;
    int64_t from = calendar_days(last - years + 1, 1, 1), until = calendar_days(last, 12, 31);
    return (double)seconds_open(calendar, from, until) / 3600.0 / years;
}

/* ---- making ---- */

void calendar_rules_release(struct calendar_rules *rules)
{
    free(rules->zones);
    free(rules->weeks);
    free(rules->exceptions);
    *rules = (struct calendar_rules){ 0 };
}

struct calendar *calendar_make(struct calendar_rules *rules)
{
    struct calendar *calendar = memory_new(sizeof(*calendar));
    calendar->rules = *rules;
    *rules = (struct calendar_rules){ 0 };
    calendar->hours_per_year = HOURS_OF_24X7;
    if (calendar->rules.is_always)
        return calendar;
    build_zone(calendar);
    build_days(calendar);
    find_spills(calendar);
    calendar->hours_per_year = average_hours(calendar);
    return calendar;
}

void calendar_release(struct calendar *calendar)
{
    if (!calendar)
        return;
    calendar_rules_release(&calendar->rules);
    free(calendar->switch_s);
    free(calendar->switch_local);
    free(calendar->offset_s);
    free(calendar->day);
    free(calendar->exception);
    free(calendar);
}

/* ---- questions ---- */

static int64_t to_ns(int64_t utc_s)
{
    int64_t time_ns;
    return __builtin_mul_overflow(utc_s, NS_PER_SECOND, &time_ns) ? TIME_NEVER : time_ns;
}

const char *calendar_name(const struct calendar *calendar)
{
    return calendar->rules.name;
}

bool calendar_is_open(const struct calendar *calendar, int64_t time_ns)
{
    if (time_ns == TIME_NEVER)
        return false;
    return calendar->rules.is_always || is_open_at(calendar, floor_div(time_ns, NS_PER_SECOND));
}

/* A session of the next day that begins on this one lasts beyond it: what opens here after that
 * began while trade was on. So the days can be taken one by one. */
int64_t calendar_next_open(const struct calendar *calendar, int64_t time_ns)
{
    if (time_ns == TIME_NEVER || calendar->rules.is_always)
        return TIME_NEVER;
    int64_t utc_s = floor_div(time_ns, NS_PER_SECOND), first = day_at(calendar, utc_s);
    for (int64_t day = first; day <= first + SCAN_DAYS; day++) {
        struct span spans[CALENDAR_HOURS_MAX];
        int count = sessions_of(calendar, day, spans);
        for (int i = 0; i < count; i++)
            if (spans[i].open > utc_s && !is_open_at(calendar, spans[i].open - 1))
                return to_ns(spans[i].open);
    }
    return TIME_NEVER;
}

int64_t calendar_next_close(const struct calendar *calendar, int64_t time_ns)
{
    if (time_ns == TIME_NEVER || calendar->rules.is_always)
        return TIME_NEVER;
    int64_t utc_s = floor_div(time_ns, NS_PER_SECOND), first = day_at(calendar, utc_s);
    for (int64_t day = first; day <= first + SCAN_DAYS; day++) {
        struct span spans[CALENDAR_HOURS_MAX];
        int count = sessions_of(calendar, day, spans);
        for (int i = 0; i < count; i++)
            if (spans[i].close > utc_s && !is_open_at(calendar, spans[i].close))
                return to_ns(spans[i].close);
    }
    return TIME_NEVER;
}

int64_t calendar_day_end(const struct calendar *calendar, int64_t time_ns)
{
    if (time_ns == TIME_NEVER)
        return TIME_NEVER;
    int64_t utc_s = floor_div(time_ns, NS_PER_SECOND);
    if (calendar->rules.is_always)
        return to_ns((floor_div(utc_s, DAY_S) + 1) * DAY_S);
    int64_t first = day_at(calendar, utc_s);
    for (int64_t day = first; day <= first + SCAN_DAYS; day++) {
        struct span spans[CALENDAR_HOURS_MAX];
        int count = sessions_of(calendar, day, spans);
        if (count > 0 && spans[count - 1].close > utc_s)
            return to_ns(spans[count - 1].close);
    }
    return TIME_NEVER;
}

int64_t market_day_end(const struct calendar *calendar, int64_t time_ns)
{
    int64_t end_ns = calendar ? calendar_day_end(calendar, time_ns) : TIME_NEVER;
    if (end_ns != TIME_NEVER)
        return end_ns;
    return __builtin_mul_overflow(floor_div(time_ns, NS_PER_DAY) + 1, NS_PER_DAY, &end_ns)
               ? TIME_NEVER
               : end_ns;
}

double calendar_hours_per_year(const struct calendar *calendar)
{
    return calendar->hours_per_year;
}

int64_t calendar_covers_until(const struct calendar *calendar)
{
    return calendar->rules.is_always ? INT64_MAX : calendar->rules.covers_until;
}
