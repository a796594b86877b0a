/* lib_os.c - time, date and clock on the clock of the market, always UTC.
 *
 * Nothing here reads the machine's clock, time zone or locale: two runs of the same events see the
 * same times. Absent: everything else of os. */
#include "bindings/sandbox_internal.h"

#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY 86400
#define TIME_MIN (-62135596800) /* 0001-01-01 */
#define TIME_MAX 253402300799   /* 9999-12-31 23:59:59 */

static const char *const days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
                                    "Thursday", "Friday", "Saturday" };
static const char *const months[] = { "January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December" };

struct moment {
    int64_t time;
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
    int weekday; /* 0 is Sunday */
    int yearday; /* from 1 */
};

/* ---- the calendar ----
 * Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil). */

static int64_t days_from_date(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_from_days(int64_t count, struct moment *moment)
{
    count += 719468;
    int64_t era = (count >= 0 ? count : count - 146096) / 146097;
    int64_t of_era = count - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t shifted = (5 * of_year + 2) / 153; /* from March */
    moment->day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    moment->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    moment->year = year + era * 400 + (moment->month <= 2);
}

static struct moment moment_of(int64_t time)
{
    struct moment moment = { .time = time };
    int64_t count = time / SECONDS_A_DAY, rest = time % SECONDS_A_DAY;
    if (rest < 0) {
        rest += SECONDS_A_DAY;
        count--;
    }
    date_from_days(count, &moment);
    moment.hour = (int)(rest / 3600);
    moment.minute = (int)(rest / 60 % 60);
    moment.second = (int)(rest % 60);
    moment.weekday = (int)(((count + 4) % 7 + 7) % 7);
    moment.yearday = (int)(count - days_from_date(moment.year, 1, 1)) + 1;
    return moment;
}

static int64_t now_ns(lua_State *L)
{
    struct sandbox *sandbox = sandbox_of(L);
    return sandbox->host.now_ns ? sandbox->host.now_ns(sandbox->host.self) : 0;
}

static int64_t now_seconds(lua_State *L)
{
    int64_t now = now_ns(L);
    return now / NS_PER_SECOND - (now % NS_PER_SECOND < 0);
}

/* ---- time ---- */

static lua_Integer time_field(lua_State *L, const char *key, lua_Integer normal)
{
    lua_pushstring(L, key);
    int kind = lua_rawget(L, 1);
    int is_integer;
    lua_Integer value = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
    if (kind == LUA_TNIL) {
        if (normal < 0)
            luaL_error(L, "os.time: field '%s' is missing", key);
        return normal;
    }
    if (kind != LUA_TNUMBER || !is_integer)
        luaL_error(L, "os.time: field '%s' is not an integer", key);
    if (value < -100000000 || value > 100000000)
        luaL_error(L, "os.time: field '%s' is out of range", key);
    return value;
}

/* os.time([table]): seconds since 1970 UTC. Fields may be beyond their usual range (day 0, month
 * 13), as in C's mktime; the table is not changed. */
static int os_time(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushinteger(L, now_seconds(L));
        return 1;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_Integer year = time_field(L, "year", -1), month = time_field(L, "month", -1) - 1;
    lua_Integer day = time_field(L, "day", -1), hour = time_field(L, "hour", 12);
    lua_Integer minute = time_field(L, "min", 0), second = time_field(L, "sec", 0);
    year += month / 12;
    month %= 12;
    if (month < 0) {
        month += 12;
        year--;
    }
    int64_t count = days_from_date(year, (int)month + 1, 1) + day - 1;
    int64_t time = count * SECONDS_A_DAY + hour * 3600 + minute * 60 + second;
    if (time < TIME_MIN || time > TIME_MAX)
        return luaL_error(L, "os.time: the date is not within the years 1 to 9999");
    lua_pushinteger(L, time);
    return 1;
}

/* os.clock(): the market's seconds as a float; differences are what it is for. */
static int os_clock(lua_State *L)
{
    int64_t now = now_ns(L);
    lua_pushnumber(L, (lua_Number)(now / NS_PER_SECOND) + (lua_Number)(now % NS_PER_SECOND) / 1e9);
    return 1;
}

/* ---- date ---- */

static int date_table(lua_State *L, const struct moment *moment)
{
    const struct {
        const char *key;
        lua_Integer value;
    } fields[] = { { "year", moment->year },    { "month", moment->month },
                   { "day", moment->day },      { "hour", moment->hour },
                   { "min", moment->minute },   { "sec", moment->second },
                   { "yday", moment->yearday }, { "wday", moment->weekday + 1 } };
    lua_createtable(L, 0, 9);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        lua_pushinteger(L, fields[i].value);
        lua_setfield(L, -2, fields[i].key);
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "isdst");
    return 1;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int weeks_in(int64_t year)
{
    int64_t first = ((days_from_date(year, 1, 1) + 4) % 7 + 7) % 7; /* weekday of 1 January */
    return first == 4 || (first == 3 && is_leap(year)) ? 53 : 52;
}

/* ISO 8601 week and the year it belongs to. */
static int iso_week(const struct moment *moment, int64_t *year)
{
    int weekday = moment->weekday == 0 ? 7 : moment->weekday;
    int week = (moment->yearday - weekday + 10) / 7;
    *year = moment->year;
    if (week < 1)
        return weeks_in(--*year);
    if (week > weeks_in(*year)) {
        ++*year;
        return 1;
    }
    return week;
}

#define FIELD_MAX 64

static int twelve(int hour)
{
    return hour % 12 == 0 ? 12 : hour % 12;
}

/* One conversion in the C locale; false when it is none. */
static bool date_field(char out[FIELD_MAX], char conversion, const struct moment *m)
{
    int64_t year;
    int week = iso_week(m, &year);
    const char *half = m->hour < 12 ? "AM" : "PM";
    switch (conversion) {
#define FIELD(...) return snprintf(out, FIELD_MAX, __VA_ARGS__) > 0
    case 'a':
        FIELD("%.3s", days[m->weekday]);
    case 'A':
        FIELD("%s", days[m->weekday]);
    case 'b':
    case 'h':
        FIELD("%.3s", months[m->month - 1]);
    case 'B':
        FIELD("%s", months[m->month - 1]);
    case 'c':
        FIELD("%.3s %.3s %2d %02d:%02d:%02d %" PRId64, days[m->weekday], months[m->month - 1],
              m->day, m->hour, m->minute, m->second, m->year);
    case 'C':
        FIELD("%02" PRId64, m->year / 100);
    case 'd':
        FIELD("%02d", m->day);
    case 'D':
    case 'x':
        FIELD("%02d/%02d/%02" PRId64, m->month, m->day, m->year % 100);
    case 'e':
        FIELD("%2d", m->day);
    case 'F':
        FIELD("%04" PRId64 "-%02d-%02d", m->year, m->month, m->day);
    case 'g':
        FIELD("%02" PRId64, year % 100);
    case 'G':
        FIELD("%04" PRId64, year);
    case 'H':
        FIELD("%02d", m->hour);
    case 'I':
        FIELD("%02d", twelve(m->hour));
    case 'j':
        FIELD("%03d", m->yearday);
    case 'm':
        FIELD("%02d", m->month);
    case 'M':
        FIELD("%02d", m->minute);
    case 'n':
        FIELD("\n");
    case 'p':
        FIELD("%s", half);
    case 'r':
        FIELD("%02d:%02d:%02d %s", twelve(m->hour), m->minute, m->second, half);
    case 'R':
        FIELD("%02d:%02d", m->hour, m->minute);
    case 'S':
        FIELD("%02d", m->second);
    case 't':
        FIELD("\t");
    case 'T':
    case 'X':
        FIELD("%02d:%02d:%02d", m->hour, m->minute, m->second);
    case 'u':
        FIELD("%d", m->weekday == 0 ? 7 : m->weekday);
    case 'U':
        FIELD("%02d", (m->yearday + 6 - m->weekday) / 7);
    case 'V':
        FIELD("%02d", week);
    case 'w':
        FIELD("%d", m->weekday);
    case 'W':
        FIELD("%02d", (m->yearday + 6 - (m->weekday + 6) % 7) / 7);
    case 'y':
        FIELD("%02" PRId64, m->year % 100);
    case 'Y':
        FIELD("%" PRId64, m->year);
    case 'z':
        FIELD("+0000");
    case 'Z':
        FIELD("UTC");
    case '%':
        FIELD("%%");
    default:
        return false;
#undef FIELD
    }
}

/* os.date([format [, time]]): "*t" gives a table, anything else is strftime's language; a leading
 * "!" changes nothing, for it is always UTC. */
static int os_date(lua_State *L)
{
    struct builder out;
    size_t length;
    const char *at = luaL_optlstring(L, 1, "%c", &length);
    const char *end = at + length;
    int64_t time = lua_isnoneornil(L, 2) ? now_seconds(L) : luaL_checkinteger(L, 2);
    luaL_argcheck(L, time >= TIME_MIN && time <= TIME_MAX, 2,
                  "time is not within the years 1 to 9999");
    struct moment moment = moment_of(time);
    if (at < end && *at == '!')
        at++;
    if (end - at >= 2 && at[0] == '*' && at[1] == 't')
        return date_table(L, &moment);

    builder_open(L, &out);
    for (uint64_t turn = 1; at < end; turn++) {
        char field[FIELD_MAX];
        if (turn % 1024 == 0)
            sandbox_charge(L, 1024);
        if (*at != '%') {
            builder_add(&out, at++, 1);
            continue;
        }
        if (++at == end || !date_field(field, *at, &moment))
            return luaL_argerror(L, 1, "invalid conversion specifier");
        builder_add(&out, field, strlen(field));
        at++;
    }
    builder_push(&out);
    return 1;
}

static const luaL_Reg functions[] = {
    { "clock", os_clock }, { "date", os_date }, { "time", os_time }, { NULL, NULL }
};

void lib_os_open(lua_State *L)
{
    luaL_newlib(L, functions);
}
