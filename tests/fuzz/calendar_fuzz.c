/* calendar_fuzz.c - any bytes as a calendar's file: refused with a place and a reason, or a
 * calendar that keeps the promises of calendar.h. */
#include <string.h>

#include "runtime/config/calendars.h"

#define STEPS 24
#define BEGIN_NS INT64_C(1772000000000000000) /* February 2026 */
#define STEP_NS (INT64_C(37) * 3600 * NS_PER_SECOND + 1)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(const struct calendar *calendar, int64_t now)
{
    int64_t open = calendar_next_open(calendar, now), close = calendar_next_close(calendar, now);
    int64_t end = calendar_day_end(calendar, now);
    ASSERT(open > now && close > now && end > now);
    ASSERT(open == TIME_NEVER || calendar_is_open(calendar, open));
    ASSERT(open == TIME_NEVER || !calendar_is_open(calendar, open - 1));
    ASSERT(close == TIME_NEVER || !calendar_is_open(calendar, close));
    ASSERT(close == TIME_NEVER || calendar_is_open(calendar, close - 1));
    ASSERT(calendar_day_end(calendar, end - 1) == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct calendar *calendar;
    struct error err = { 0 };
    int code = calendar_parse("fuzz", (const char *)bytes, length, &calendar, &err);
    ASSERT(code == 0 || (code == ERROR_CONFIG && !calendar && err.where[0] && err.message[0]));
    for (int i = 0; code == 0 && i < STEPS; i++)
        check(calendar, BEGIN_NS + i * STEP_NS);
    ASSERT(code != 0 || calendar_hours_per_year(calendar) >= 0);
    calendar_release(calendar);
    return 0;
}
