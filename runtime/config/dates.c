/* dates.c - the words of a calendar file into numbers. */
#include "runtime/config/dates.h"

#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/text.h"

static const char *const WEEKDAYS[] = { "sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday" };
static const char *const SHORT[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };
static const char *const MONTHS[] = { "january",   "february", "march",    "april",
                                      "may",       "june",     "july",     "august",
                                      "september", "october",  "november", "december" };
static const char *const ORDER[] = { "first", "second", "third", "fourth", "last" };

/* ---- pieces ---- */

/* One or more digits, at most `width`; moves *at behind them. */
static bool take_number(const char **at, int width, int *out)
{
    int count = 0;
    *out = 0;
    for (; count < width && **at >= '0' && **at <= '9'; count++, ++*at)
        *out = 10 * *out + (**at - '0');
    return count > 0;
}

static bool take(const char **at, const char *word)
{
    if (!text_starts_with(*at, word))
        return false;
    *at += strlen(word);
    return true;
}

/* One of the words, and behind it a blank or the end. */
static bool take_word(const char **at, const char *const *words, size_t count, int *index)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        if (strncmp(*at, words[i], length) != 0 || ((*at)[length] != ' ' && (*at)[length]))
            continue;
        *at += length + ((*at)[length] == ' ');
        *index = (int)i;
        return true;
    }
    return false;
}

/* HH:MM */
static bool take_time(const char **at, int *minutes)
{
    const char *begun = *at;
    int hour, minute;
    if (!take_number(at, 2, &hour) || *at != begun + 2 || !take(at, ":") ||
        !take_number(at, 2, &minute) || *at != begun + 5)
        return false;
    *minutes = hour * 60 + minute;
    return minute < 60 && *minutes <= 24 * 60;
}

/* ---- one value ---- */

bool dates_day(const char *text, int64_t *out)
{
    int64_t time_ns;
    if (strlen(text) != 10 || !time_parse(text, 10, &time_ns))
        return false;
    *out = time_ns / NS_PER_DAY - (time_ns % NS_PER_DAY < 0);
    int year = calendar_year(*out);
    return year >= CALENDAR_YEAR_MIN && year <= CALENDAR_YEAR_MAX;
}

bool dates_year(const char *text, int *out)
{
    const char *at = text;
    return take_number(&at, 4, out) && !*at && *out >= CALENDAR_YEAR_MIN &&
           *out <= CALENDAR_YEAR_MAX;
}

bool dates_time(const char *text, int *minutes)
{
    return take_time(&text, minutes) && !*text;
}

bool dates_offset(const char *text, int *seconds)
{
    int minutes;
    bool west = *text == '-';
    if (!west && *text != '+')
        return false;
    text++;
    if (!take_time(&text, &minutes) || *text || minutes > 14 * 60)
        return false;
    *seconds = (west ? -60 : 60) * minutes;
    return true;
}

bool dates_hours(const char *text, struct calendar_hours *out)
{
    if (!take_time(&text, &out->open) || !take(&text, "-") || !take_time(&text, &out->close) ||
        *text || out->open == 24 * 60 || out->close == 0)
        return false;
    if (out->open >= out->close)
        out->open -= 24 * 60;
    return true;
}

bool dates_weekdays(const char *text, unsigned *out)
{
    char word[8];
    int from, until;
    size_t length = strcspn(text, "-");
    if (length != 3 || !text_copy_span(word, sizeof(word), text, length))
        return false;
    const char *at = word;
    if (!take_word(&at, SHORT, ARRAY_SIZE(SHORT), &from))
        return false;
    until = from;
    at = text + length + (text[length] == '-');
    if (text[length] == '-' && (!take_word(&at, SHORT, ARRAY_SIZE(SHORT), &until) || until == from))
        return false;
    *out = 0;
    for (int day = from;; day = (day + 1) % 7) {
        *out |= WEEKDAY(day);
        if (day == until)
            break;
    }
    return !*at && at[-1] != ' ';
}

/* ---- days of each year ---- */

static bool take_date(const char **at, struct yearly *out)
{
    static const int longest[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    out->kind = YEARLY_DATE;
    if (!take_number(at, 2, &out->day) || !take(at, " ") ||
        !take_word(at, MONTHS, ARRAY_SIZE(MONTHS), &out->month))
        return false;
    return out->day >= 1 && out->day <= longest[out->month++];
}

static bool take_nth(const char **at, struct yearly *out)
{
    out->kind = YEARLY_WEEKDAY;
    if (!take_word(at, ORDER, ARRAY_SIZE(ORDER), &out->nth) ||
        !take_word(at, WEEKDAYS, ARRAY_SIZE(WEEKDAYS), &out->weekday) || !take(at, "of ") ||
        !take_word(at, MONTHS, ARRAY_SIZE(MONTHS), &out->month))
        return false;
    out->nth = out->nth == 4 ? -1 : out->nth + 1;
    out->month++;
    return true;
}

static bool take_easter(const char **at, struct yearly *out)
{
    static const char *const names[] = { "easter", "good friday" };
    int which;
    if (!take_word(at, names, ARRAY_SIZE(names), &which))
        return false;
    out->kind = YEARLY_EASTER;
    out->shift -= which == 1 ? 2 : 0;
    return true;
}

/* Up to the end of the text, or to what stands behind one blank. */
static bool take_yearly(const char **at, struct yearly *out)
{
    *out = (struct yearly){ 0 };
    if (take(at, "day after "))
        out->shift = 1;
    else if (take(at, "day before "))
        out->shift = -1;
    if (**at >= '0' && **at <= '9')
        return take_date(at, out);
    return take_easter(at, out) || take_nth(at, out);
}

bool dates_yearly(const char *text, struct yearly *out)
{
    return take_yearly(&text, out) && !*text && text[-1] != ' ';
}

bool dates_switch(const char *text, struct yearly *out, int *minutes)
{
    return take_yearly(&text, out) && take(&text, "at ") && take_time(&text, minutes) && !*text &&
           out->kind != YEARLY_EASTER && out->month >= 2 && out->month <= 11;
}
