/* calendar.h - when a market trades: its sessions, holidays and early closes, by dated rules.
 *
 * Pure: no file, no clock, no zone database. Local times are converted by the zone rules that the
 * calendar itself carries. A day of a calendar is a trading day: an overnight session belongs to
 * the day on which it closes. */
#ifndef RUNTIME_DOMAIN_CALENDAR_H
#define RUNTIME_DOMAIN_CALENDAR_H

#include "runtime/base/base.h"

#define CALENDAR_NAME_MAX 16

struct calendar; /* opaque, immutable once built; see config/calendars.h for how one is read */
void calendar_release(struct calendar *calendar); /* NULL is fine */

const char *calendar_name(const struct calendar *calendar); /* "nyse" */
/* Whether orders are matched at this instant: the continuous regular session. */
bool calendar_is_open(const struct calendar *calendar, int64_t time_ns);
/* The next instant after time_ns at which a session opens, or closes. TIME_NEVER: none within two
 * years, or it never closes. */
int64_t calendar_next_open(const struct calendar *calendar, int64_t time_ns);
int64_t calendar_next_close(const struct calendar *calendar, int64_t time_ns);
/* The instant at which the trading day of time_ns ends and the next one begins: the close of its
 * last session (24x7: midnight UTC). Between two days it is the end of the coming one. This is the
 * day's border of `risk.day: venue` and of orders with time in force `day`. */
int64_t calendar_day_end(const struct calendar *calendar, int64_t time_ns);
/* The same of any market: without a calendar (NULL), and where it knows no session within two
 * years, the day ends at midnight UTC. */
int64_t market_day_end(const struct calendar *calendar, int64_t time_ns);
/* Trading hours of a year, the N of annualised volatility: 8760 for 24x7. An average over rules. */
double calendar_hours_per_year(const struct calendar *calendar);
/* The last day that its dated rules (holidays) cover, as days since 1970-01-01; INT64_MAX when it
 * needs none. Beyond it only the weekly rules speak, and the user is warned. */
int64_t calendar_covers_until(const struct calendar *calendar);

#endif
