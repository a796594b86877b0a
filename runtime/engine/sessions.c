/* sessions.c - markets that open and close, as strategies hear of it.
 *
 * A venue is open for an instance while one of the instruments that it trades there is. Nothing is
 * kept but the next border of any calendar: what changes at a border follows from the calendars
 * alone, just before it and at it. So a restart continues as if there had been none, and what a
 * clock jumps over is told border by border. What passed while the process was down is not told. */
#include "runtime/engine/state.h"

const struct calendar *sessions_calendar(const struct engine *engine, uint32_t instrument)
{
    const struct calendar *const *calendars = engine->options.risk.calendars;
    return calendars ? calendars[instrument] : NULL;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The next border of any calendar. Neighbours often share theirs. */
static int64_t next_border(const struct engine *engine, int64_t time_ns)
{
    const struct calendar *last = NULL;
    int64_t next_ns = TIME_NEVER;
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        const struct calendar *calendar = sessions_calendar(engine, i);
        if (!calendar || calendar == last)
            continue;
        last = calendar;
        next_ns = earlier(next_ns, earlier(calendar_next_open(calendar, time_ns),
                                           calendar_next_close(calendar, time_ns)));
    }
    return next_ns;
}

/* ---- one venue, as one instance sees it ---- */

struct view {
    const struct engine *engine;
    const struct instance *instance;
    uint8_t venue;
};

/* The next of its instruments there, from place k on; SIZE_MAX: there are no more. */
static size_t next_there(const struct view *view, size_t k)
{
    for (; k < view->instance->instrument_count; k++)
        if (view->engine->venue_of[view->instance->instruments[k]] == view->venue)
            return k;
    return SIZE_MAX;
}

static bool is_open_at(const struct view *view, int64_t time_ns)
{
    const struct calendar *last = NULL;
    for (size_t k = next_there(view, 0); k != SIZE_MAX; k = next_there(view, k + 1)) {
        const struct calendar *calendar =
            sessions_calendar(view->engine, view->instance->instruments[k]);
        if (!calendar || (calendar != last && calendar_is_open(calendar, time_ns)))
            return true;
        last = calendar;
    }
    return false;
}

/* The next instant at which one of them opens, or closes. */
static int64_t next_of_any(const struct view *view, int64_t time_ns, bool opening)
{
    const struct calendar *last = NULL;
    int64_t next_ns = TIME_NEVER;
    for (size_t k = next_there(view, 0); k != SIZE_MAX; k = next_there(view, k + 1)) {
        const struct calendar *calendar =
            sessions_calendar(view->engine, view->instance->instruments[k]);
        if (!calendar)
            return TIME_NEVER; /* always open: the venue never changes */
        if (calendar == last)
            continue;
        last = calendar;
        next_ns = earlier(next_ns, opening ? calendar_next_open(calendar, time_ns)
                                           : calendar_next_close(calendar, time_ns));
    }
    return next_ns;
}

/* The next instant at which the venue as a whole does; calendars that overlap for ever never do. */
static int64_t next_change(const struct view *view, int64_t now_ns, bool opening)
{
    const int64_t years_ns = 731 * NS_PER_DAY;
    int64_t until_ns = now_ns < TIME_NEVER - years_ns ? now_ns + years_ns : TIME_NEVER - 1;
    int64_t next_ns = next_of_any(view, now_ns, opening);
    while (next_ns <= until_ns) {
        if (is_open_at(view, next_ns - 1) != is_open_at(view, next_ns))
            return next_ns;
        next_ns = next_of_any(view, next_ns, opening);
    }
    return TIME_NEVER;
}

void engine_venue_session(const struct engine *engine, int index, uint32_t instrument,
                          struct venue_session *out)
{
    struct view view = { engine, &engine->instances[index], engine->venue_of[instrument] };
    size_t first = next_there(&view, 0);
    ASSERT(first != SIZE_MAX);
    const struct calendar *calendar = sessions_calendar(engine, view.instance->instruments[first]);
    *out = (struct venue_session){ .is_open = is_open_at(&view, engine->now_ns),
                                   .opens_ns = next_change(&view, engine->now_ns, true),
                                   .closes_ns = next_change(&view, engine->now_ns, false),
                                   .day_end_ns = market_day_end(calendar, engine->now_ns) };
}

/* ---- telling ---- */

static void tell_instance(struct engine *engine, int index, uint8_t venue, int64_t border_ns)
{
    const struct instance *instance = &engine->instances[index];
    if (!instance->alive || !(instance->guest.calls & (1u << GUEST_SESSION)))
        return;
    struct view view = { engine, instance, venue };
    size_t first = next_there(&view, 0);
    bool is_open = is_open_at(&view, border_ns);
    if (first == SIZE_MAX || is_open == is_open_at(&view, border_ns - 1))
        return;
    struct guest_event event = { .time_ns = border_ns,
                                 .instrument = instance->instruments[first],
                                 .name = is_open ? "open" : "closed" };
    turn_call(engine, index, GUEST_SESSION, &event);
}

void sessions_begin(struct engine *engine, int64_t now_ns)
{
    if (engine->sessions_due_ns == TIME_NEVER)
        engine->sessions_due_ns = next_border(engine, now_ns);
}

void sessions_advance(struct engine *engine)
{
    while (engine->sessions_due_ns <= engine->now_ns) {
        int64_t border_ns = engine->sessions_due_ns;
        for (uint8_t venue = 0; venue < engine->venue_count; venue++)
            for (int i = 0; i < engine->instance_count; i++)
                tell_instance(engine, i, venue, border_ns);
        engine->sessions_due_ns = next_border(engine, border_ns);
    }
}
