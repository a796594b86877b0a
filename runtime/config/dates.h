/* dates.h - the words of a calendar file: days, times of day, spans of hours, days of each year.
 *
 * Each reads the whole text or returns false; then *out is not to be used. Small letters only. */
#ifndef RUNTIME_CONFIG_DATES_H
#define RUNTIME_CONFIG_DATES_H

#include "runtime/domain/calendar_rules.h"

/* "2026-08-03" as a day since 1970-01-01, within CALENDAR_YEAR_MIN..MAX. */
bool dates_day(const char *text, int64_t *out);
/* "2007", within CALENDAR_YEAR_MIN..MAX. */
bool dates_year(const char *text, int *out);
/* "09:15" to "24:00" as minutes. */
bool dates_time(const char *text, int *minutes);
/* "+05:30", "-05:00" as seconds east of UTC, at most 14 hours. */
bool dates_offset(const char *text, int *seconds);
/* "09:15-15:30". An opening that is not before its close lies on the day before: "18:00-17:00". */
bool dates_hours(const char *text, struct calendar_hours *out);
/* "mon" or "mon-fri" as a set of WEEKDAY. */
bool dates_weekdays(const char *text, unsigned *out);
/* "25 december", "third monday of january", "last monday of may", "easter", "good friday", each
 * with "day after" or "day before" in front. */
bool dates_yearly(const char *text, struct yearly *out);
/* "second sunday of march at 02:00": what a zone's switch says. February to November, no Easter. */
bool dates_switch(const char *text, struct yearly *out, int *minutes);

#endif
