/* calendar_rules.h - what a calendar is made of: zone, weekly sessions, days that are different.
 *
 * Only for who builds one (config/calendars.c) and for tests. Days are days since 1970-01-01 in the
 * market's own zone; times of day are minutes since the midnight that begins the day. */
#ifndef RUNTIME_DOMAIN_CALENDAR_RULES_H
#define RUNTIME_DOMAIN_CALENDAR_RULES_H

#include "runtime/domain/calendar.h"

#define CALENDAR_ZONES_MAX 32
#define CALENDAR_WEEKS_MAX 64
#define CALENDAR_HOURS_MAX 8 /* sessions of one day */
#define CALENDAR_COMPUTED_MAX 64
#define CALENDAR_DAYS_MAX 4096 /* explicit ones */
#define CALENDAR_YEAR_MIN 1678 /* whole years that int64 nanoseconds reach */
#define CALENDAR_YEAR_MAX 2261
#define CALENDAR_DAY_MIN INT64_MIN /* "from ever" */
#define CALENDAR_DAY_MAX INT64_MAX /* "for ever" */
#define WEEKDAY(n) (1u << (n))     /* 0 Sunday .. 6 Saturday */

/* A day of each year. */
enum yearly_kind {
    YEARLY_DATE,    /* 25 december; 29 february is only in leap years */
    YEARLY_WEEKDAY, /* third monday of january */
    YEARLY_EASTER,  /* Easter Sunday, Gregorian */
};

struct yearly {
    enum yearly_kind kind;
    int month;   /* 1..12 */
    int day;     /* YEARLY_DATE */
    int nth;     /* YEARLY_WEEKDAY: 1..4, or -1 the last */
    int weekday; /* YEARLY_WEEKDAY: 0 Sunday */
    int shift;   /* days added */
};

enum observed {
    OBSERVED_AS_IS,
    OBSERVED_NEAREST,          /* Saturday: the Friday before; Sunday: the Monday after */
    OBSERVED_MONDAY_IF_SUNDAY, /* on a Saturday no substitute */
    OBSERVED_NEXT_MONDAY,      /* either: the Monday after */
};

/* From a year on. Begin and end of daylight time lie in February to November. */
struct calendar_zone {
    int from_year;
    int standard_s, daylight_s; /* east of UTC */
    bool has_daylight;
    struct yearly begins, ends;
    int begins_at, ends_at; /* minutes, in the time that is then left */
};

/* open >= 0 is on the day itself, open < 0 on the day before; open < close <= 1440. */
struct calendar_hours {
    int open, close;
};

/* Of several that speak of a day, the last in the list decides. */
struct calendar_week {
    int64_t from, until; /* first and last day */
    unsigned weekdays;   /* of the day on which the session closes */
    bool has_season;     /* each year from the day `begins` to the day before `ends` */
    struct yearly begins, ends;
    struct calendar_hours hours[CALENDAR_HOURS_MAX];
    int count;
};

enum exception_kind { EXCEPTION_CLOSED, EXCEPTION_SPECIAL, EXCEPTION_SHORTENED };

/* An explicit day stands above a computed one; of computed ones closed above shortened, then the
 * first in the list. At most one explicit exception for a day. */
struct calendar_exception {
    enum exception_kind kind;
    bool is_computed;
    int64_t day; /* explicit */
    struct yearly yearly;
    enum observed observed;
    unsigned weekdays;                               /* computed: only when it falls on these */
    int64_t from, until;                             /* computed: only within these days */
    int open, close;                                 /* SHORTENED: -1 as usual */
    struct calendar_hours hours[CALENDAR_HOURS_MAX]; /* SPECIAL */
    int count;
};

struct calendar_rules {
    char name[CALENDAR_NAME_MAX];
    bool is_always; /* 24x7: nothing below counts */
    struct calendar_zone
        *zones; /* ascending from_year; the first speaks of all earlier years too */
    size_t zone_count, zone_capacity;
    struct calendar_week *weeks;
    size_t week_count, week_capacity;
    struct calendar_exception *exceptions;
    size_t exception_count, exception_capacity;
    int64_t covers_until; /* see calendar_covers_until */
};

/* Takes the lists over: *rules is empty afterwards. The rules must hold what is said above. */
struct calendar *calendar_make(struct calendar_rules *rules);
void calendar_rules_release(struct calendar_rules *rules);

/* Its day of the year, or CALENDAR_DAY_MIN when the year has none. */
int64_t yearly_day(const struct yearly *yearly, int year);
/* year 1..9999, month 1..12, day 1..31 */
int64_t calendar_days(int year, int month, int day);
int calendar_year(int64_t day);

#endif
