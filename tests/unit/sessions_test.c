/* sessions_test.c - markets that open and close: who is told, when and in which order.
 *
 * Times are UTC. T0 is Monday, 2024-01-01. "london" trades Monday to Friday 08:00-16:30, "newyork",
 * five hours behind, 14:30-21:00. */
#include "tests/unit/risk_fixture.h"

#include "runtime/config/calendars.h"

#define HOURS(n) ((int64_t)((n)*3600) * NS_PER_SECOND)

static const char london_text[] = "zone: { offset: +00:00 }\n"
                                  "sessions: [ { days: mon-fri, hours: 08:00-16:30 } ]\n";
static const char newyork_text[] = "zone: { offset: -05:00 }\n"
                                   "sessions: [ { days: mon-fri, hours: 09:30-16:00 } ]\n";
static struct calendar *london, *newyork;
static struct risk_limits no_limits;

static struct calendar *calendar_of(const char *text)
{
    struct calendar *calendar;
    struct error err = { 0 };
    if (calendar_parse("test", text, strlen(text), &calendar, &err) < 0)
        fail_msg("%s: %s", err.where, err.message);
    return calendar;
}

/* A calendar of UTC hours on all days. */
static struct calendar *daily(const char *hours)
{
    char text[160];
    snprintf(text, sizeof(text),
             "zone: { offset: +00:00 }\nsessions: [ { days: mon-sun, hours: %s } ]\n", hours);
    return calendar_of(text);
}

static int open_calendars(void **state)
{
    (void)state;
    risk_limits_init(&no_limits);
    london = calendar_of(london_text);
    newyork = calendar_of(newyork_text);
    return 0;
}

static int release_calendars(void **state)
{
    (void)state;
    calendar_release(london);
    calendar_release(newyork);
    return 0;
}

/* ---- the stage ---- */

/* Of BTC, ETH and FUT at the venue "fake", and of ABC at "other". */
struct hours {
    const struct calendar *list[4];
};

static struct stage *stage_with(const struct hours *hours)
{
    struct risk_options risk = { .no_stop_pct = { 5, 2 }, .cancel_reserve = 0.2 };
    risk.calendars = hours->list;
    return stage_new_planned(&(struct stage_plan){ .risk = risk, .more_instruments = more_venues });
}

/* "open fake day 0 14:30": what, where, when. */
static int on_session(struct fake_guest *guest, enum guest_call call,
                      const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call != GUEST_SESSION)
        return 0;
    int64_t minutes = (event->time_ns - T0) / MINUTE;
    assert_int_equal(event->time_ns % MINUTE, 0);
    note(guest->stage, "  %s %s day %d %02d:%02d", event->name,
         guest->stage->instruments.list[event->instrument].venue, (int)(minutes / 1440),
         (int)(minutes / 60 % 24), (int)(minutes % 60));
    return 0;
}

/* An instance of these instruments that notes what it is told. */
static int add(struct stage *s, const uint32_t *instruments, size_t count)
{
    struct instance_options options = instance_defaults();
    options.instruments = instruments;
    options.instrument_count = count;
    int index = stage_add(s, options);
    s->guests[index].on = on_session;
    return index;
}

static const uint32_t only_btc[] = { BTC }, only_eth[] = { ETH }, all[] = { BTC, ETH, FUT, OTHER };

/* Begins the market's time. */
static void begin(struct stage *s, int64_t now_ns)
{
    s->now_ns = now_ns;
    s->quiet = true;
    for (int i = 0; i < s->guest_count; i++)
        assert_done(s, engine_begin(s->engine, i, now_ns, NULL, &s->err));
    s->quiet = false;
}

static struct venue_session session_of(struct stage *s, int who, uint32_t instrument)
{
    struct venue_session session;
    engine_venue_session(s->engine, who, instrument, &session);
    return session;
}

static void assert_hours(struct venue_session session, bool is_open, int64_t opens, int64_t closes,
                         int64_t day_end)
{
    assert_int_equal(session.is_open, is_open);
    assert_int_equal(session.opens_ns, opens);
    assert_int_equal(session.closes_ns, closes);
    assert_int_equal(session.day_end_ns, day_end);
}

/* ---- tests ---- */

static void a_market_opens_and_closes(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    begin(s, T0 + HOURS(10));
    assert_hours(session_of(s, A, BTC), false, T0 + HOURS(14.5), T0 + HOURS(21), T0 + HOURS(21));
    assert_int_equal(engine_due_ns(s->engine), T0 + HOURS(14.5));
    to(s, T0 + HOURS(14.5) - 1);
    assert_script(s, "");
    to(s, T0 + HOURS(14.5));
    assert_script(s, "A session\n  open fake day 0 14:30\n");
    assert_hours(session_of(s, A, BTC), true, T0 + DAY + HOURS(14.5), T0 + HOURS(21),
                 T0 + HOURS(21));
    to(s, T0 + HOURS(21) - 1);
    assert_script(s, "");
    to(s, T0 + HOURS(21));
    assert_script(s, "A session\n  closed fake day 0 21:00\n");
    assert_hours(session_of(s, A, BTC), false, T0 + DAY + HOURS(14.5), T0 + DAY + HOURS(21),
                 T0 + DAY + HOURS(21));
    /* Friday evening to Monday. */
    to(s, T0 + 4 * DAY + HOURS(20.5));
    text_clear(&s->script);
    to(s, T0 + 7 * DAY + HOURS(14.5));
    assert_script(s, "A session\n  closed fake day 4 21:00\nA session\n  open fake day 7 14:30\n");
    stage_free(s);
}

/* newyork closes at 21:00 as a daily market opens; A and B trade both. */
static void of_one_instant_venues_come_in_listed_order(void **state)
{
    (void)state;
    struct calendar *evening = daily("21:00-23:00");
    struct stage *s = stage_with(&(struct hours){ { newyork, newyork, newyork, evening } });
    static const uint32_t backwards[] = { OTHER, FUT, BTC };
    add(s, backwards, 3);
    add(s, all, 4);
    begin(s, T0 + HOURS(20));
    to(s, T0 + HOURS(21));
    assert_script(s, "A session\n  closed fake day 0 21:00\n"
                     "B session\n  closed fake day 0 21:00\n"
                     "A session\n  open other day 0 21:00\n"
                     "B session\n  open other day 0 21:00\n");
    stage_free(s);
    calendar_release(evening);
}

static void two_venues_have_their_own_hours(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { london, london, london, newyork } });
    add(s, all, 4);
    begin(s, T0);
    to(s, T0 + DAY);
    assert_script(s, "A session\n  open fake day 0 08:00\n"
                     "A session\n  open other day 0 14:30\n"
                     "A session\n  closed fake day 0 16:30\n"
                     "A session\n  closed other day 0 21:00\n");
    assert_hours(session_of(s, A, ETH), false, T0 + DAY + HOURS(8), T0 + DAY + HOURS(16.5),
                 T0 + DAY + HOURS(16.5));
    assert_hours(session_of(s, A, OTHER), false, T0 + DAY + HOURS(14.5), T0 + DAY + HOURS(21),
                 T0 + DAY + HOURS(21));
    stage_free(s);
}

/* A venue is open while one of the instance's instruments there is: A has both, B and C one each.
 */
static void instruments_of_one_venue_may_differ(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { london, newyork } });
    static const uint32_t both[] = { ETH, BTC };
    add(s, both, 2);
    add(s, only_btc, 1);
    add(s, only_eth, 1);
    begin(s, T0);
    to(s, T0 + DAY);
    assert_script(s,
                  "A session\n  open fake day 0 08:00\nB session\n  open fake day 0 08:00\n"
                  "C session\n  open fake day 0 14:30\nB session\n  closed fake day 0 16:30\n"
                  "A session\n  closed fake day 0 21:00\nC session\n  closed fake day 0 21:00\n");
    /* The day is that of ETH, the first. */
    assert_hours(session_of(s, A, BTC), false, T0 + DAY + HOURS(8), T0 + DAY + HOURS(21),
                 T0 + DAY + HOURS(21));
    to(s, T0 + DAY + HOURS(15));
    assert_hours(session_of(s, A, BTC), true, T0 + 2 * DAY + HOURS(8), T0 + DAY + HOURS(21),
                 T0 + DAY + HOURS(21));
    stage_free(s);
}

/* What touches, or overlaps, day and night is never told; nor where an instrument always trades. */
static void what_never_closes_as_a_whole_is_not_told(void **state)
{
    (void)state;
    struct calendar *day = daily("00:00-13:00"), *night = daily("13:00-24:00");
    struct calendar *late = daily("12:00-01:00");
    const struct hours cases[] = { { { day, night, day } },
                                   { { day, late, day } },
                                   { { london, NULL, newyork } } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stage *s = stage_with(&cases[i]);
        static const uint32_t three[] = { BTC, ETH, FUT };
        add(s, three, 3);
        begin(s, T0 + HOURS(3));
        to(s, T0 + 3 * DAY);
        assert_script(s, "");
        struct venue_session session = session_of(s, A, BTC);
        assert_true(session.is_open);
        assert_int_equal(session.opens_ns, TIME_NEVER);
        assert_int_equal(session.closes_ns, TIME_NEVER);
        stage_free(s);
    }
    calendar_release(day);
    calendar_release(night);
    calendar_release(late);
}

/* Two calendars that take turns from Monday to Friday: the venue closes when Saturday begins. */
static void a_change_may_be_many_borders_away(void **state)
{
    (void)state;
    struct calendar *day = calendar_of("zone: { offset: +00:00 }\n"
                                       "sessions: [ { days: mon-fri, hours: 00:00-13:00 } ]\n");
    struct calendar *night = calendar_of("zone: { offset: +00:00 }\n"
                                         "sessions: [ { days: mon-fri, hours: 12:00-24:00 } ]\n");
    struct stage *s = stage_with(&(struct hours){ { day, night } });
    static const uint32_t both[] = { BTC, ETH };
    add(s, both, 2);
    begin(s, T0 + HOURS(3));
    assert_hours(session_of(s, A, BTC), true, T0 + 7 * DAY, T0 + 5 * DAY, T0 + HOURS(13));
    to(s, T0 + 7 * DAY);
    assert_script(s, "A session\n  closed fake day 5 00:00\nA session\n  open fake day 7 00:00\n");
    stage_free(s);
    calendar_release(day);
    calendar_release(night);
}

static void without_a_calendar_nothing_is_due(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct calendar *always = daily("00:00-24:00");
        struct stage *s = stage_with(&(struct hours){ { i ? always : NULL } });
        add(s, all, 4);
        begin(s, T0 + HOURS(3));
        assert_int_equal(engine_due_ns(s->engine), TIME_NEVER);
        assert_hours(session_of(s, A, OTHER), true, TIME_NEVER, TIME_NEVER, T0 + DAY);
        stage_free(s);
        calendar_release(always);
    }
}

/* The machine slept from Monday noon to Wednesday 10:00, and an event came first. */
static void what_the_clock_jumped_over_is_told_once_and_in_order(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    begin(s, T0 + HOURS(12));
    s->now_ns = T0 + 2 * DAY + HOURS(10);
    heartbeat(s);
    assert_script(s, "");
    to(s, s->now_ns);
    assert_script(s, "A session\n  open fake day 0 14:30\nA session\n  closed fake day 0 21:00\n"
                     "A session\n  open fake day 1 14:30\nA session\n  closed fake day 1 21:00\n");
    assert_int_equal(engine_due_ns(s->engine), T0 + 2 * DAY + HOURS(14.5));
    stage_free(s);
}

/* In a session, outside, and at its very borders: the next change is the first that is told. */
static void a_start_is_no_change(void **state)
{
    (void)state;
    static const struct {
        double at, next;
        const char *told;
    } starts[] = {
        { 15, 21, "closed" }, { 22, 38.5, "open" }, { 14.5, 21, "closed" }, { 21, 38.5, "open" }
    };
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        struct stage *s = stage_with(&(struct hours){ { newyork } });
        add(s, only_btc, 1);
        begin(s, T0 + HOURS(starts[i].at));
        assert_int_equal(engine_due_ns(s->engine), T0 + HOURS(starts[i].next));
        to(s, T0 + HOURS(starts[i].next) - 1);
        assert_script(s, "");
        to(s, T0 + HOURS(starts[i].next));
        assert_int_equal(s->guests[A].calls[GUEST_SESSION], 1);
        assert_non_null(strstr(s->script.data, starts[i].told));
        stage_free(s);
    }
}

static int buy_at_the_border(struct fake_guest *guest, enum guest_call call,
                             const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call != GUEST_SESSION && call != GUEST_TIMER)
        return 0;
    struct stage *s = guest->stage;
    struct order_request request = limit_of(SIDE_BUY, "1", "100");
    uint64_t id = engine_submit(s->engine, guest->index, &request, &s->refusal);
    note(s, "  %s: %s", event->name, id ? "left" : s->refusal.code);
    return 0;
}

/* A timer of the opening's instant runs before; what is asked for in either leaves. At the close
 * nothing that adds risk may. The day order ends after both. */
static void the_order_of_one_instant(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    s->abilities.tifs &= ~(1u << TIF_DAY);
    begin(s, T0 + HOURS(14));
    s->quiet = true;
    trade(s, BTC, "100");
    s->quiet = false;
    s->guests[A].on = buy_at_the_border;
    assert_true(engine_timer(s->engine, A, "half", 1800));
    to(s, T0 + HOURS(14.5));
    assert_script(s, "A timer\n  half: left\nA session\n  open: left\n"
                     "commit 2\nsubmit 1\nsubmit 2\n");
    engine_timer(s->engine, A, "half", 0);
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_DAY;
    tell(s, submit(s, A, request), REPORT_ACK);
    to(s, T0 + HOURS(21) - 1);
    text_clear(&s->script);
    to(s, T0 + HOURS(21));
    assert_script(s, "A session\n  closed: market_closed\nA risk\ncommit 2\ncancel 3\n");
    stage_free(s);
}

static int on_bar_or_session(struct fake_guest *guest, enum guest_call call,
                             const struct guest_event *event, struct error *err)
{
    if (call == GUEST_BAR)
        note(guest->stage, "  bar of %d", (int)((event->time_ns - T0) / MINUTE));
    return on_session(guest, call, event, err);
}

/* The day's last bar is closed when the market is. */
static void bars_close_before_the_market(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    begin(s, T0 + HOURS(15));
    struct bars *bars;
    assert_done(s, market_bars(s->market, BTC, MINUTE, false, &bars, &s->err));
    engine_subscribe_bars(s->engine, A, &(struct bar_subscription){ BTC, MINUTE }, 1);
    s->guests[A].on = on_bar_or_session;
    to(s, T0 + HOURS(21) - 1);
    trade(s, BTC, "100");
    text_clear(&s->script);
    to(s, T0 + HOURS(21));
    assert_script(s, "A bar\n  bar of 1260\nA session\n  closed fake day 0 21:00\n");
    stage_free(s);
}

static int fail_at_open(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    buy_at_the_border(guest, call, event, err);
    return call == GUEST_SESSION ? error_set(err, ERROR_DATA, "nil") : 0;
}

/* It is a transaction like any callback; who failed or did not ask is not called. */
static void who_fails_or_does_not_listen(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    add(s, only_btc, 1);
    add(s, only_btc, 1);
    struct guest deaf = *engine_guest(s->engine, B);
    deaf.calls &= ~(1u << GUEST_SESSION);
    engine_set_guest(s->engine, B, deaf);
    begin(s, T0 + HOURS(14));
    trade(s, BTC, "100");
    text_clear(&s->script);
    s->guests[A].on = fail_at_open;
    to(s, T0 + HOURS(14.5));
    assert_script(s, "A session\n  open: left\nC session\n  open fake day 0 14:30\ncommit 1\n");
    assert_int_equal(s->sent_count, 0);
    assert_false(engine_instance_alive(s->engine, A, NULL, NULL));
    to(s, T0 + HOURS(21));
    assert_script(s, "C session\n  closed fake day 0 21:00\n");
    stage_free(s);
}

/* New code hears of what comes next. */
static void new_code_is_told_from_then_on(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork } });
    add(s, only_btc, 1);
    begin(s, T0 + HOURS(15));
    struct guest deaf = *engine_guest(s->engine, A), hearing = deaf;
    deaf.calls &= ~(1u << GUEST_SESSION);
    engine_set_guest(s->engine, A, deaf);
    to(s, T0 + HOURS(21));
    assert_script(s, "");
    struct guest list[] = { hearing };
    assert_done(s, engine_try_guests(s->engine, A, 1, list, &no_limits, true, s->now_ns, &s->err));
    assert_done(s, engine_begin(s->engine, A, s->now_ns, "1", &s->err));
    text_clear(&s->script);
    to(s, T0 + DAY + HOURS(14.5));
    assert_script(s, "A session\n  open fake day 1 14:30\n");
    assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_LEAVE, "end", &s->err));
    text_clear(&s->script);
    to(s, T0 + DAY + HOURS(21));
    assert_script(s, "");
    stage_free(s);
}

/* The last year of the clock: what would come after its end is never. */
static void at_the_end_of_time_nothing_changes_any_more(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork, newyork, newyork, newyork } });
    add(s, only_btc, 1);
    begin(s, TIME_NEVER - 30 * DAY);
    struct venue_session session = session_of(s, A, BTC);
    assert_true(session.opens_ns == TIME_NEVER || session.opens_ns > s->now_ns);
    assert_true(session.closes_ns == TIME_NEVER || session.closes_ns > s->now_ns);
    stage_free(s);
}

/* Two that are not let run are stopped before the market's time begins; the third is told all. */
static void who_is_stopped_first_keeps_nothing_from_others(void **state)
{
    (void)state;
    struct stage *s = stage_with(&(struct hours){ { newyork, newyork, newyork, newyork } });
    int first = add(s, only_btc, 1), second = add(s, only_btc, 1), third = add(s, only_btc, 1);
    s->quiet = true;
    assert_done(s, engine_stop_instance(s->engine, first, T0, "quarantined", &s->err));
    assert_done(s, engine_stop_instance(s->engine, second, T0 + HOURS(15), "quarantined", &s->err));
    s->now_ns = T0 + HOURS(15);
    assert_done(s, engine_begin(s->engine, third, s->now_ns, NULL, &s->err));
    text_clear(&s->script);
    s->quiet = false;
    to(s, T0 + HOURS(16));
    assert_script(s, "C session\n  open fake day 0 14:30\n");
    to(s, T0 + HOURS(21));
    assert_script(s, "C session\n  closed fake day 0 21:00\n");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_market_opens_and_closes),
        cmocka_unit_test(of_one_instant_venues_come_in_listed_order),
        cmocka_unit_test(two_venues_have_their_own_hours),
        cmocka_unit_test(instruments_of_one_venue_may_differ),
        cmocka_unit_test(what_never_closes_as_a_whole_is_not_told),
        cmocka_unit_test(a_change_may_be_many_borders_away),
        cmocka_unit_test(without_a_calendar_nothing_is_due),
        cmocka_unit_test(what_the_clock_jumped_over_is_told_once_and_in_order),
        cmocka_unit_test(a_start_is_no_change),
        cmocka_unit_test(the_order_of_one_instant),
        cmocka_unit_test(bars_close_before_the_market),
        cmocka_unit_test(who_fails_or_does_not_listen),
        cmocka_unit_test(new_code_is_told_from_then_on),
        cmocka_unit_test(at_the_end_of_time_nothing_changes_any_more),
        cmocka_unit_test(who_is_stopped_first_keeps_nothing_from_others),
    };
    return cmocka_run_group_tests(tests, open_calendars, release_calendars);
}
