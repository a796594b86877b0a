/* clock.c - the system's clocks, and time as text.
 *
 * Calendar arithmetic is by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2021):
 * years begin in March, so that the leap day is the last of its year. */
#include "runtime/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/decimal.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    ASSERT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int64_t wall_now(void *self)
{
    (void)self;
    return read_clock(CLOCK_REALTIME);
}

static int64_t monotonic_now(void *self)
{
    (void)self;
    return read_clock(CLOCK_MONOTONIC);
}

struct clock clock_wall(void)
{
    return (struct clock){ .self = NULL, .now_ns = wall_now };
}

struct clock clock_monotonic(void)
{
    return (struct clock){ .self = NULL, .now_ns = monotonic_now };
}

/* ---- writing ---- */

struct calendar {
    int year, month, day, hour, minute, second, nanosecond;
};

static struct calendar calendar_of(int64_t time_ns)
{
    int64_t days = time_ns / NS_PER_DAY - (time_ns % NS_PER_DAY < 0);
    uint64_t rest = (uint64_t)time_ns - (uint64_t)days * (uint64_t)NS_PER_DAY; /* since midnight */

    int64_t shifted = days + 719468; /* since 0000-03-01; positive for every int64 of ns */
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

    int seconds = (int)(rest / (uint64_t)NS_PER_SECOND);
    return (struct calendar){ .year = (int)(year + era * 400 + (month >= 10)),
                              .month = (int)(month < 10 ? month + 3 : month - 9),
                              .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
                              .hour = seconds / 3600,
                              .minute = seconds / 60 % 60,
                              .second = seconds % 60,
                              .nanosecond = (int)(rest % (uint64_t)NS_PER_SECOND) };
}

/* Number in `width` digits at `at`; returns the byte after. Stamps are on every record: printf
 * would be most of the cost of a line. */
static char *put(char *at, int number, int width, char then)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + number % 10);
        number /= 10;
    }
    at[width] = then;
    return at + width + 1;
}

static char *put_day(char *at, const struct calendar *c, char then)
{
    at = put(at, c->year, 4, '-');
    at = put(at, c->month, 2, '-');
    return put(at, c->day, 2, then);
}

char *time_format(int64_t time_ns, char buffer[TIME_TEXT_MAX])
{
    struct calendar c = calendar_of(time_ns);
    char *at = put_day(buffer, &c, 'T');
    at = put(at, c.hour, 2, ':');
    at = put(at, c.minute, 2, ':');
    at = put(at, c.second, 2, '.');
    at = put(at, c.nanosecond, 9, 'Z');
    *at = '\0';
    return buffer;
}

char *time_format_short(int64_t time_ns, char buffer[TIME_TEXT_MAX])
{
    struct calendar c = calendar_of(time_ns);
    char *at = put_day(buffer, &c, ' ');
    at = put(at, c.hour, 2, ':');
    at = put(at, c.minute, 2, ':');
    put(at, c.second, 2, '\0');
    return buffer;
}

char *time_format_day(int64_t time_ns, char buffer[DAY_TEXT_MAX])
{
    struct calendar c = calendar_of(time_ns);
    put_day(buffer, &c, '\0');
    return buffer;
}

/* ---- reading ---- */

/* A place in a text: every reader below advances it, or returns false. */
struct cursor {
    const char *at;
    const char *end;
};

static bool take(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static bool take_any(struct cursor *cursor, const char *choices)
{
    if (cursor->at == cursor->end || *cursor->at == '\0' || !strchr(choices, *cursor->at))
        return false;
    cursor->at++;
    return true;
}

static bool is_digit_next(const struct cursor *cursor)
{
    return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

/* Exactly `width` digits, the number within low..high. */
static bool take_number(struct cursor *cursor, int width, int low, int high, int *number)
{
    int value = 0;
    for (int i = 0; i < width; i++) {
        if (!is_digit_next(cursor))
            return false;
        value = 10 * value + (*cursor->at++ - '0');
    }
    *number = value;
    return value >= low && value <= high;
}

/* ".5" as 500000000: one to nine digits after the point. No point is no fraction. */
static bool take_fraction(struct cursor *cursor, int *nanosecond)
{
    *nanosecond = 0;
    if (!take(cursor, '.'))
        return true;
    int unit = 100000000;
    if (!is_digit_next(cursor))
        return false;
    for (; is_digit_next(cursor); unit /= 10) {
        if (unit == 0)
            return false;
        *nanosecond += (*cursor->at++ - '0') * unit;
    }
    return true;
}

static int days_in_month(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

static bool take_date(struct cursor *cursor, struct calendar *c)
{
    return take_number(cursor, 4, 1, 9999, &c->year) && take(cursor, '-') &&
           take_number(cursor, 2, 1, 12, &c->month) && take(cursor, '-') &&
           take_number(cursor, 2, 1, days_in_month(c->year, c->month), &c->day);
}

/* HH:MM or HH:MM:SS or HH:MM:SS.fraction. A leap second (:60) is refused: no venue stamps one. */
static bool take_time(struct cursor *cursor, struct calendar *c)
{
    if (!take_number(cursor, 2, 0, 23, &c->hour) || !take(cursor, ':') ||
        !take_number(cursor, 2, 0, 59, &c->minute))
        return false;
    if (!take(cursor, ':'))
        return true;
    return take_number(cursor, 2, 0, 59, &c->second) && take_fraction(cursor, &c->nanosecond);
}

/* Z, +05:30, +0530, +05, or nothing. */
static bool take_zone(struct cursor *cursor, int *offset_seconds)
{
    int hours = 0, minutes = 0;
    *offset_seconds = 0;
    if (cursor->at == cursor->end || take_any(cursor, "Zz"))
        return true;

    bool is_west = take(cursor, '-');
    if (!is_west && !take(cursor, '+'))
        return false;
    if (!take_number(cursor, 2, 0, 23, &hours))
        return false;
    bool has_colon = take(cursor, ':');
    if ((has_colon || is_digit_next(cursor)) && !take_number(cursor, 2, 0, 59, &minutes))
        return false;
    *offset_seconds = (is_west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static int64_t days_from(const struct calendar *c)
{
    int64_t year = c->year - (c->month <= 2);
    int64_t era = year / 400; /* years here are not negative */
    int64_t year_of_era = year % 400;
    int64_t day_of_year = (153 * (c->month > 2 ? c->month - 3 : c->month + 9) + 2) / 5 + c->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* False outside 1677..2262, the years that int64 nanoseconds reach. */
static bool to_ns(int64_t seconds, int64_t nanosecond, int64_t *time_ns)
{
    if (seconds < 0 && nanosecond > 0) { /* the product alone could be just below the lowest */
        seconds++;
        nanosecond -= NS_PER_SECOND;
    }
    int64_t whole;
    return !__builtin_mul_overflow(seconds, NS_PER_SECOND, &whole) &&
           !__builtin_add_overflow(whole, nanosecond, time_ns);
}

bool time_parse(const char *text, size_t length, int64_t *time_ns)
{
    struct cursor cursor = { .at = text, .end = text + length };
    struct calendar c = { 0 };
    int offset = 0;

    if (!take_date(&cursor, &c))
        return false;
    if (cursor.at < cursor.end && !(take_any(&cursor, "Tt ") && take_time(&cursor, &c) &&
                                    take_zone(&cursor, &offset) && cursor.at == cursor.end))
        return false;

    int64_t seconds = days_from(&c) * 86400 + c.hour * 3600 + c.minute * 60 + c.second - offset;
    int64_t result;
    if (!to_ns(seconds, c.nanosecond, &result))
        return false;
    *time_ns = result;
    return true;
}

bool time_parse_epoch(const char *text, size_t length, int64_t *time_ns)
{
    struct cursor cursor = { .at = text, .end = text + length };
    int64_t value = 0;
    int digits = 0, nanosecond = 0;

    for (; is_digit_next(&cursor) && digits < 20; digits++)
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*cursor.at++ - '0'), &value))
            return false;
    if (digits == 0 || text[0] == '0')
        return false;
    bool is_seconds = digits == 9 || digits == 10;
    if ((is_seconds && !take_fraction(&cursor, &nanosecond)) || cursor.at != cursor.end)
        return false;

    int64_t unit = is_seconds                     ? NS_PER_SECOND
                   : digits == 12 || digits == 13 ? NS_PER_MS
                   : digits == 15 || digits == 16 ? 1000
                   : digits == 18 || digits == 19 ? 1
                                                  : 0;
    int64_t whole, result;
    if (unit == 0 || __builtin_mul_overflow(value, unit, &whole) ||
        __builtin_add_overflow(whole, (int64_t)nanosecond, &result))
        return false;
    *time_ns = result;
    return true;
}

/* ---- durations ---- */

static const struct {
    const char *name;
    int64_t ns;
} units[] = {
    { "d", NS_PER_DAY },
    { "h", 60 * NS_PER_MINUTE },
    { "m", NS_PER_MINUTE },
    { "s", NS_PER_SECOND },
    { "ms", NS_PER_MS },
    { "us", 1000 },
    { "ns", 1 },
};

bool duration_parse(const char *text, int64_t *duration_ns)
{
    size_t length = strspn(text, "0123456789.");
    decimal number;
    if (decimal_parse(text, length, &number) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strcmp(text + length, units[i].name) != 0)
            continue;
        int64_t result;
        if (decimal_mantissa(decimal_mul(number, decimal_int(units[i].ns)), 0, &result) != 0)
            return false; /* a part of a nanosecond, or more than 292 years */
        *duration_ns = result;
        return true;
    }
    return false;
}

char *duration_format(int64_t duration_ns, char buffer[TIME_TEXT_MAX])
{
    size_t i = 0;
    if (duration_ns == 0)
        return memcpy(buffer, "0s", sizeof("0s"));
    while (duration_ns % units[i].ns != 0) /* ends at nanoseconds */
        i++;
    snprintf(buffer, TIME_TEXT_MAX, "%" PRId64 "%s", duration_ns / units[i].ns, units[i].name);
    return buffer;
}

/* ---- timeframes ---- */

static const struct {
    const char *name;
    int64_t ns;
} timeframes[] = {
    { "1s", NS_PER_SECOND },       { "5s", 5 * NS_PER_SECOND },    { "15s", 15 * NS_PER_SECOND },
    { "30s", 30 * NS_PER_SECOND }, { "1m", NS_PER_MINUTE },        { "3m", 3 * NS_PER_MINUTE },
    { "5m", 5 * NS_PER_MINUTE },   { "15m", 15 * NS_PER_MINUTE },  { "30m", 30 * NS_PER_MINUTE },
    { "1h", 60 * NS_PER_MINUTE },  { "2h", 120 * NS_PER_MINUTE },  { "4h", 240 * NS_PER_MINUTE },
    { "6h", 360 * NS_PER_MINUTE }, { "12h", 720 * NS_PER_MINUTE }, { "1d", NS_PER_DAY },
};

bool timeframe_parse(const char *text, int64_t *tf_ns)
{
    for (size_t i = 0; i < ARRAY_SIZE(timeframes); i++)
        if (strcmp(text, timeframes[i].name) == 0) {
            *tf_ns = timeframes[i].ns;
            return true;
        }
    return false;
}

const char *timeframe_name(int64_t tf_ns)
{
    for (size_t i = 0; i < ARRAY_SIZE(timeframes); i++)
        if (timeframes[i].ns == tf_ns)
            return timeframes[i].name;
    return NULL;
}
