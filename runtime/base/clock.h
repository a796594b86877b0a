/* clock.h - time is UTC nanoseconds since 1970, read in one place and passed down as an argument.
 *
 * Only app/ owns a clock. The engine, the sandbox and every room below receive now_ns. */
#ifndef RUNTIME_BASE_CLOCK_H
#define RUNTIME_BASE_CLOCK_H

#include "runtime/base/base.h"

struct clock {
    void *self;
    int64_t (*now_ns)(void *self);
};

struct clock clock_wall(void);      /* CLOCK_REALTIME */
struct clock clock_monotonic(void); /* CLOCK_MONOTONIC: for intervals, never for records */

static inline int64_t clock_now(struct clock clock)
{
    return clock.now_ns(clock.self);
}

#define TIME_TEXT_MAX 32 /* "2024-01-01T00:00:00.000000000Z" and NUL */
#define DAY_TEXT_MAX 12  /* "2024-01-01" and NUL */

char *time_format(int64_t time_ns, char buffer[TIME_TEXT_MAX]);       /* RFC 3339, nine digits, Z */
char *time_format_short(int64_t time_ns, char buffer[TIME_TEXT_MAX]); /* "2024-01-01 00:00:00" */
char *time_format_day(int64_t time_ns, char buffer[DAY_TEXT_MAX]);    /* the UTC day */

/* ISO 8601: date, or date and time parted by T or a blank, up to nine fractional digits, then Z,
 * an offset (+05:30, +0530, +05) or nothing (UTC). Seconds may be left out; a leap second is
 * refused. False when it is not one, or outside the years 1677 to 2262. */
bool time_parse(const char *text, size_t length, int64_t *time_ns);

/* An epoch number told apart by its size: seconds (10 digits; a fraction is allowed), milliseconds
 * (13), microseconds (16), nanoseconds (19), or one digit fewer (1973 to 2001). False when it is
 * not a number of these. */
bool time_parse_epoch(const char *text, size_t length, int64_t *time_ns);

/* A decimal number with a unit: 250ms 30s 5m 1h 1d, also us and ns. False otherwise. */
bool duration_parse(const char *text, int64_t *duration_ns);
/* In the largest unit that divides it, "1m" or "250ms": reads back. */
char *duration_format(int64_t duration_ns, char buffer[TIME_TEXT_MAX]);

/* Timeframe names: 1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 6h 12h 1d. False when not one. */
bool timeframe_parse(const char *text, int64_t *tf_ns);
const char *timeframe_name(int64_t tf_ns); /* NULL when not one */

#endif
