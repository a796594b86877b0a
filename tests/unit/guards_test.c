/* guards_test.c - what stops new risk besides limits and halts: closed markets, old data, a clock
 * that is off, breakers, our own orders, orders that repeat; and the collar of market entries. What
 * only reduces passes all of it. */
#include "tests/unit/risk_fixture.h"

#include "runtime/config/calendars.h"

static struct risk_limits no_limits;
static const struct risk_options plain = { .no_stop_pct = { 5, 2 } };

static struct stage *stage_of(struct risk_options risk)
{
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, risk);
    trade(s, BTC, "100");
    trade(s, OTHER, "100");
    return s;
}

static uint64_t buy(struct stage *s)
{
    return submit(s, A, limit_of(SIDE_BUY, "1", "100"));
}

static uint64_t sell_all(struct stage *s, const char *qty)
{
    return submit(s, A, request_of(SIDE_SELL, qty));
}

/* ---- closed markets ---- */

static struct calendar *calendar_of(const char *text)
{
    struct calendar *calendar;
    struct error err = { 0 };
    if (calendar_parse("test", text, strlen(text), &calendar, &err) != 0)
        fail_msg("%s: %s", err.where, err.message);
    return calendar;
}

/* 2024-01-01 is a Monday, open from 09:00 to 17:00 UTC. */
static void a_closed_market_takes_no_new_risk(void **state)
{
    (void)state;
    struct calendar *calendar =
        calendar_of("zone: { offset: +00:00 }\n"
                    "sessions: [ { days: mon-fri, hours: 09:00-17:00 } ]\n");
    const struct calendar *list[4] = { calendar };
    struct risk_options risk = plain;
    risk.calendars = list;
    struct stage *s = stage_of(risk);
    assert_refused(s, buy(s), "market_closed", "2024-01-01T09:00:00");
    assert_passes(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100")))); /* always open */
    to(s, T0 + 9 * NS_PER_HOUR);
    heartbeat(s);
    take(s, A, BTC, SIDE_BUY, "2", "100");
    uint64_t working = buy(s);
    to(s, T0 + 17 * NS_PER_HOUR);
    heartbeat(s);
    assert_refused(s, buy(s), "market_closed", "2024-01-02T09:00:00");
    assert_passes(s, submit(s, A, reduce_only(request_of(SIDE_SELL, "1"))));
    assert_passes(s, sell_all(s, "2"));
    assert_true(engine_cancel(s->engine, A, working, &s->refusal));
    settle(s);
    stage_free(s);
    calendar_release(calendar);
}

static void a_market_that_never_opens_says_so(void **state)
{
    (void)state;
    struct calendar *calendar =
        calendar_of("zone: { offset: +00:00 }\n"
                    "sessions: [ { days: mon-fri, hours: 09:00-17:00, until: 2023-12-29 } ]\n");
    const struct calendar *list[4] = { calendar };
    struct risk_options risk = plain;
    risk.calendars = list;
    struct stage *s = stage_of(risk);
    assert_refused(s, buy(s), "market_closed", "knows no next opening");
    stage_free(s);
    calendar_release(calendar);
}

/* ---- old data ---- */

/* Time goes on without a word of the venue. */
static void silence(struct stage *s, int64_t ns)
{
    s->now_ns += ns;
    assert_done(s, engine_advance(s->engine, s->now_ns, &s->err));
}

/* Asked without the event that ends a turn: that would be heard. */
static uint64_t ask(struct stage *s, struct order_request request)
{
    return engine_submit(s->engine, A, &request, &s->refusal);
}

static void a_silent_venue_takes_no_new_risk(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.stale_after_ns = SECONDS(30);
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, risk);
    assert_int_equal(ask(s, limit_of(SIDE_BUY, "1", "100")), 0); /* nothing was heard yet */
    assert_string_equal(s->refusal.code, "stale_data");
    take(s, A, BTC, SIDE_BUY, "5", "100");
    silence(s, SECONDS(30));
    assert_true(ask(s, limit_of(SIDE_BUY, "1", "100")) != 0);
    silence(s, 1);
    assert_int_equal(ask(s, limit_of(SIDE_BUY, "1", "100")), 0);
    assert_string_equal(s->refusal.code, "stale_data");
    assert_non_null(strstr(s->refusal.reason, "nothing was heard"));
    assert_true(ask(s, request_of(SIDE_SELL, "1")) != 0);
    heartbeat(s);
    assert_passes(s, buy(s));
    stage_free(s);
}

static bool is_fresh(struct stage *s)
{
    uint64_t id = ask(s, limit_of(SIDE_BUY, "1", "100"));
    if (id == 0) {
        assert_string_equal(s->refusal.code, "stale_data");
        assert_non_null(strstr(s->refusal.reason, "its last price is older than"));
    }
    return id != 0;
}

/* The newest price stays fresh for so long, and no longer. */
static void assert_fresh_for(struct stage *s, int64_t ns)
{
    int64_t now_ns = s->now_ns;
    to(s, now_ns + ns);
    heartbeat(s);
    assert_true(is_fresh(s));
    to(s, now_ns + ns + 1);
    heartbeat(s);
    assert_false(is_fresh(s));
}

static void trades(struct stage *s, int count, int64_t gap_ns)
{
    for (int i = 0; i < count; i++) {
        later(s, gap_ns);
        trade(s, BTC, "100");
    }
}

/* 60 s, or ten times the median of the newest 31 gaps. */
static void a_price_grows_old(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.stale_after_ns = SECONDS(30);
    struct stage *s = stage_of(risk);
    assert_int_equal(ask(s, in(ETH, limit_of(SIDE_BUY, "1", "100"))), 0); /* no price at all */
    assert_string_equal(s->refusal.code, "stale_data");
    assert_fresh_for(s, SECONDS(60)); /* no gap is known */
    stage_free(s);

    s = stage_of(risk);
    trades(s, 5, SECONDS(6));
    assert_fresh_for(s, SECONDS(60)); /* ten of them are no more */
    stage_free(s);

    s = stage_of(risk);
    trades(s, 2, SECONDS(7)); /* gaps of 7, 7, then 20, 9, 20: the median is 9 */
    trades(s, 1, SECONDS(20));
    trades(s, 1, SECONDS(9));
    trades(s, 1, SECONDS(20));
    assert_fresh_for(s, SECONDS(90));
    stage_free(s);

    s = stage_of(risk);
    trades(s, 40, SECONDS(20));
    trades(s, 31, SECONDS(8)); /* these are all that is kept */
    assert_fresh_for(s, SECONDS(80));
    quote(s, BTC, "99.9", "100.1"); /* a quote is a price too */
    assert_true(is_fresh(s));
    stage_free(s);
}

static void nothing_grows_old_in_a_replayed_market(void **state)
{
    (void)state;
    struct stage *s = stage_of(plain);
    silence(s, 10 * DAY);
    assert_passes(s, buy(s));
    stage_free(s);
}

/* ---- clocks ---- */

static void tell_skew(struct stage *s, int64_t skew_ns)
{
    struct event event = { .kind = EVENT_CLOCK, .time_ns = s->now_ns };
    event.venue.value_ns = skew_ns;
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

static void a_clock_that_is_off_takes_no_new_risk(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.max_clock_skew_ns = SECONDS(1);
    struct stage *s = stage_of(risk);
    take(s, A, BTC, SIDE_BUY, "9", "100");
    for (int sign = -1; sign <= 1; sign += 2) {
        tell_skew(s, sign * SECONDS(1));
        assert_passes(s, buy(s));
        tell_skew(s, sign * (SECONDS(1) + NS_PER_MS));
        assert_refused(s, buy(s), "clock_skew", "differ by 1001ms");
        assert_passes(s, sell_all(s, "1"));
    }
    stage_free(s);
    s = stage_of(plain);
    tell_skew(s, SECONDS(3600));
    assert_passes(s, buy(s)); /* no bound is set */
    stage_free(s);
}

/* ---- breakers ---- */

static const struct breaker_options watching = { .failures = 3,
                                                 .open_for_ns = 30 * NS_PER_SECOND,
                                                 .half_open_probes = 2 };

static struct stage *stage_watched(struct breaker_options breaker)
{
    struct risk_options risk = plain;
    risk.breaker = breaker;
    return stage_of(risk);
}

static const struct breaker *breaker_at(struct stage *s, size_t index, const char *name)
{
    const char *venue = "none";
    const struct breaker *breaker = engine_breaker(s->engine, index, &venue);
    assert_non_null(breaker);
    assert_string_equal(venue, name);
    return breaker;
}

static const char *state_of(struct stage *s)
{
    return breaker_state_name(breaker_at(s, 0, "fake")->state);
}

static void fail_orders(struct stage *s, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t id = buy(s);
        assert_passes(s, id);
        tell_why(s, id, REPORT_DOUBT, "500");
    }
}

static void assert_open(struct stage *s, const char *code, const char *why)
{
    assert_string_equal(state_of(s), "open");
    assert_string_equal(breaker_at(s, 0, "fake")->code, code);
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "breaker_open");
    assert_refused(s, buy(s), "breaker_open", why);
}

/* Closed, open for 30 s, two probes one at a time, closed. */
static void failures_open_the_breaker_of_their_venue(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    const char *name;
    take(s, A, BTC, SIDE_BUY, "5", "100");
    fail_orders(s, 2);
    assert_string_equal(state_of(s), "closed");
    fail_orders(s, 1);
    assert_open(s, "failures", "3 answers in a row failed: 500");
    assert_string_equal(breaker_state_name(breaker_at(s, 1, "other")->state), "closed");
    assert_null(engine_breaker(s->engine, 2, &name));
    assert_passes(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100"))));
    assert_passes(s, sell_all(s, "1"));
    assert_passes(s, submit(s, A, reduce_only(request_of(SIDE_SELL, "1"))));
    later(s, SECONDS(30) - 1);
    heartbeat(s);
    assert_refused(s, buy(s), "breaker_open", "the breaker is open");
    later(s, 1);
    heartbeat(s);
    uint64_t probe = buy(s);
    assert_passes(s, probe);
    assert_refused(s, buy(s), "breaker_open", "a probe is under way");
    tell(s, probe, REPORT_ACK);
    assert_string_equal(state_of(s), "half_open");
    probe = buy(s);
    assert_passes(s, probe);
    tell_why(s, probe, REPORT_REJECTED, "not today"); /* an answer like another */
    assert_string_equal(state_of(s), "closed");
    assert_passes(s, buy(s));
    assert_int_equal(breaker_at(s, 0, "fake")->opened, 1);
    stage_free(s);
}

static void a_probe_that_fails_opens_it_again(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    fail_orders(s, 3);
    later(s, SECONDS(30));
    heartbeat(s);
    fail_orders(s, 1);
    assert_open(s, "probe_failed", "500");
    stage_free(s);
}

/* What leaves while it is half open and is no probe: an exit that is taken closes nothing. */
static void an_exit_is_no_probe(void **state)
{
    (void)state;
    struct breaker_options one = watching;
    one.half_open_probes = 1;
    struct stage *s = stage_watched(one);
    take(s, A, BTC, SIDE_BUY, "5", "100");
    fail_orders(s, 3);
    later(s, SECONDS(30));
    heartbeat(s);
    uint64_t probe = buy(s), out = submit(s, A, reduce_only(request_of(SIDE_SELL, "1")));
    assert_passes(s, out);
    tell(s, out, REPORT_ACK);
    assert_string_equal(state_of(s), "half_open");
    assert_true(engine_cancel(s->engine, A, out, &s->refusal));
    settle(s);
    tell(s, out, REPORT_CANCELED);
    assert_string_equal(state_of(s), "half_open");
    tell(s, probe, REPORT_ACK);
    assert_string_equal(state_of(s), "closed");
    stage_free(s);
}

/* It was never asked. */
static void a_probe_that_could_not_be_sent_is_no_answer(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    fail_orders(s, 3);
    later(s, SECONDS(30));
    heartbeat(s);
    for (int i = 0; i < 2; i++) {
        s->is_line_cut = true;
        uint64_t id = buy(s);
        assert_passes(s, id);
        assert_string_equal(status_of(s, id), "rejected");
        s->is_line_cut = false;
        assert_string_equal(state_of(s), "half_open");
        later(s, BREAKER_PROBE_LOST_NS);
        heartbeat(s);
    }
    stage_free(s);
}

static void slow_answers_are_failures(void **state)
{
    (void)state;
    struct breaker_options breaker = watching;
    breaker.max_latency_ns = SECONDS(1);
    struct stage *s = stage_watched(breaker);
    for (int i = 0; i < 6; i++) {
        uint64_t id = buy(s);
        assert_passes(s, id);
        later(s, SECONDS(1) + (i >= 3));
        tell(s, id, REPORT_ACK);
        fill(s, id, "1", "100"); /* nothing was waited for */
    }
    assert_open(s, "failures", "an answer took");
    stage_free(s);
}

static void too_many_failures_of_many_open_it(void **state)
{
    (void)state;
    struct stage *s = stage_watched(
        (struct breaker_options){ .open_for_ns = SECONDS(30), .max_error_rate = 0.5 });
    for (int i = 0; i < 10; i++) { /* 10 of 20 are not above a half */
        fail_orders(s, 1);
        tell(s, buy(s), REPORT_ACK);
    }
    assert_string_equal(state_of(s), "closed");
    fail_orders(s, 1); /* 11 of 21 */
    assert_open(s, "error_rate", "11 of the last 21 answers failed");
    stage_free(s);
}

static void an_answer_that_does_not_come_is_a_failure(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    s->abilities.answer_within_ns = SECONDS(5);
    for (int i = 0; i < 3; i++)
        assert_passes(s, buy(s));
    later(s, SECONDS(5));
    heartbeat(s);
    assert_open(s, "failures", "no answer in time");
    stage_free(s);
    s = stage_watched((struct breaker_options){ 0 }); /* nobody watches */
    s->abilities.answer_within_ns = SECONDS(5);
    assert_passes(s, buy(s));
    later(s, SECONDS(5));
    fail_orders(s, 5);
    assert_string_equal(state_of(s), "closed");
    stage_free(s);
}

/* Answers to questions, and words about what was not under way, are none. */
static void only_what_was_waited_for_is_an_answer(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    uint64_t id = buy(s);
    tell(s, id, REPORT_ACK);
    fail_orders(s, 2);
    tell_why(s, id, REPORT_DOUBT, "500"); /* nothing of it is under way */
    assert_string_equal(state_of(s), "closed");
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    struct report report = report_on(s, id, REPORT_DOUBT);
    report.ticket = 99;
    assert_done(s, tell_code(s, &report));
    assert_string_equal(state_of(s), "closed");
    stage_free(s);
}

static void slow_down(struct stage *s, uint32_t instrument, int64_t for_ns)
{
    struct event event = { .kind = EVENT_SLOW_DOWN,
                           .instrument = instrument,
                           .time_ns = s->now_ns };
    event.venue.value_ns = for_ns;
    text_copy(event.venue.reason, sizeof(event.venue.reason), "429");
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

/* For as long as the venue asks, at least open_for; one venue or all. */
static void slow_down_opens_it(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    slow_down(s, OTHER, 0);
    assert_string_equal(state_of(s), "closed");
    assert_string_equal(breaker_at(s, 1, "other")->code, "slow_down");
    slow_down(s, INSTRUMENT_NONE, SECONDS(120));
    assert_open(s, "slow_down", "429");
    later(s, SECONDS(119));
    heartbeat(s);
    assert_refused(s, buy(s), "breaker_open", "429");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_passes(s, buy(s));
    stage_free(s);

    s = stage_watched(watching);
    tell_why(s, buy(s), REPORT_REJECTED, "Too many requests");
    assert_open(s, "slow_down", "Too many requests");
    stage_free(s);

    s = stage_of(plain);
    slow_down(s, INSTRUMENT_NONE, SECONDS(120));
    assert_passes(s, buy(s));
    stage_free(s);
}

static void tell_line(struct stage *s, bool up)
{
    struct event event = { .kind = EVENT_CONNECTION, .time_ns = s->now_ns };
    event.connection.up = up;
    text_copy(event.connection.reason, sizeof(event.connection.reason), up ? "" : "reset by peer");
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

static void a_lost_line_opens_it(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    tell_line(s, false);
    assert_refused(s, buy(s), "disconnected", "the line to the venue is down");
    tell_line(s, true);
    assert_open(s, "disconnected", "reset by peer");
    later(s, SECONDS(30));
    heartbeat(s);
    assert_passes(s, buy(s));
    stage_free(s);
    s = stage_of(plain);
    tell_line(s, false);
    tell_line(s, true);
    assert_passes(s, buy(s));
    stage_free(s);
}

/* By more than a tenth against the price before, of the same instrument. */
static void a_price_that_jumps_opens_it(void **state)
{
    (void)state;
    struct stage *s = stage_watched(
        (struct breaker_options){ .open_for_ns = SECONDS(30), .price_jump_pct = 0.1 });
    trade(s, ETH, "5000"); /* another one's first */
    trade(s, BTC, "110");
    assert_string_equal(state_of(s), "closed");
    trade(s, BTC, "121.01");
    assert_open(s, "price_jump", "a price went from 110 to 121.01");
    later(s, SECONDS(30));
    trade(s, BTC, "100"); /* while it is open nothing is compared */
    assert_passes(s, buy(s));
    stage_free(s);
}

/* ---- by hand ---- */

static void a_breaker_is_opened_by_hand(void **state)
{
    (void)state;
    for (int named = 0; named < 2; named++) {
        struct stage *s = stage_of(plain); /* even where none watches */
        take(s, A, BTC, SIDE_BUY, "5", "100");
        const char *venue = named ? "fake" : NULL;
        assert_done(s,
                    engine_set_breaker(s->engine, s->now_ns, venue, true, "maintenance", &s->err));
        assert_open(s, "by_hand", "maintenance");
        assert_string_equal(breaker_state_name(breaker_at(s, 1, "other")->state),
                            named ? "closed" : "open");
        later(s, DAY);
        heartbeat(s);
        assert_refused(s, buy(s), "breaker_open", "maintenance");
        assert_passes(s, sell_all(s, "5"));
        assert_int_equal(
            engine_set_breaker(s->engine, s->now_ns, "fike", true, "maintenance", &s->err),
            ERROR_USAGE);
        assert_non_null(strstr(s->err.message, "fike"));
        assert_done(s, engine_set_breaker(s->engine, s->now_ns, venue, false, "me", &s->err));
        assert_done(s, engine_set_breaker(s->engine, s->now_ns, venue, false, "me", &s->err));
        assert_passes(s, buy(s));
        stage_free(s);
    }
}

/* What a person opened stays open over a restart; the others begin closed. */
static void a_breaker_by_hand_outlives_a_restart(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.keeps_day = true;
    struct stage *old = stage_of(risk);
    assert_done(
        old, engine_set_breaker(old->engine, old->now_ns, "other", true, "maintenance", &old->err));
    struct stage *s = stage_of(risk);
    assert_done(
        s, engine_restore_risk(s->engine, old->risk_state.data, old->risk_state.length, &s->err));
    assert_string_equal(state_of(s), "closed");
    assert_string_equal(breaker_state_name(breaker_at(s, 1, "other")->state), "open");
    assert_refused(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100"))), "breaker_open",
                   "maintenance");
    stage_free(s);
    stage_free(old);
}

/* Of linked orders both would leave at once, and a change is no probe. What reduces leaves. */
static void one_probe_at_a_time(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.breaker = (struct breaker_options){ .failures = 1,
                                             .open_for_ns = SECONDS(10),
                                             .half_open_probes = 1 };
    struct stage *s = stage_of(risk);
    take(s, A, BTC, SIDE_BUY, "3", "100");
    uint64_t works = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, works, REPORT_ACK);
    struct event event = { .kind = EVENT_SLOW_DOWN, .instrument = BTC, .time_ns = s->now_ns };
    assert_done(s, engine_step(s->engine, &event, &s->err));
    later(s, SECONDS(10));
    heartbeat(s);
    size_t before = s->sent_count;
    struct order_request legs[2] = { limit_of(SIDE_BUY, "1", "95"), limit_of(SIDE_BUY, "1", "90") };
    uint64_t ids[2];
    assert_false(engine_oco(s->engine, A, legs, ids, &s->refusal));
    assert_string_equal(s->refusal.code, "breaker_open");
    assert_false(engine_amend(s->engine, A, works, D("2"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "breaker_open");
    settle(s);
    assert_int_equal(s->sent_count, before);
    legs[1] = reduce_only(limit_of(SIDE_SELL, "1", "120"));
    assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal));
    settle(s);
    assert_refused(s, buy(s), "breaker_open", "probe");
    assert_true(engine_amend(s->engine, A, works, D("0.5"), DECIMAL_NONE, &s->refusal));
    settle(s);
    stage_free(s);
}

static int ask_and_fail(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    struct refusal refusal;
    struct order_request request = limit_of(SIDE_BUY, "1", "100");
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    assert_true(engine_submit(guest->stage->engine, guest->index, &request, &refusal) != 0);
    return error_set(err, ERROR_DATA, "nil");
}

/* The probe that a failed callback asked for never was: another strategy's leaves. */
static void a_probe_that_was_taken_back_is_none(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.breaker = (struct breaker_options){ .failures = 1,
                                             .open_for_ns = SECONDS(10),
                                             .half_open_probes = 1 };
    struct stage *s = stage_of(risk);
    add_of_all(s, NULL);
    struct event event = { .kind = EVENT_SLOW_DOWN, .instrument = BTC, .time_ns = s->now_ns };
    assert_done(s, engine_step(s->engine, &event, &s->err));
    later(s, SECONDS(10));
    heartbeat(s);
    s->guests[A].on = ask_and_fail;
    assert_done(s, engine_begin(s->engine, A, s->now_ns, NULL, &s->err));
    trade(s, BTC, "100");
    assert_false(engine_instance_alive(s->engine, A, NULL, NULL));
    assert_passes(s, submit(s, B, limit_of(SIDE_BUY, "1", "100")));
    assert_refused(s, submit(s, B, limit_of(SIDE_BUY, "1", "99")), "breaker_open", "probe");
    stage_free(s);
}

/* ---- our own orders ---- */

/* A and B trade; B sells at 110, A buys at 90. */
struct crossing {
    struct stage *s;
    uint64_t sell, buy;
};

static struct crossing crossing_of(bool prevention)
{
    struct risk_options risk = plain;
    risk.self_trade_prevention = prevention;
    struct crossing c = { .s = stage_of(risk) };
    add_of_all(c.s, NULL);
    c.sell = submit(c.s, B, limit_of(SIDE_SELL, "1", "110"));
    c.buy = submit(c.s, A, limit_of(SIDE_BUY, "1", "90"));
    return c;
}

/* Two that are on their way count as much as two that rest. */
static void an_opening_order_does_not_meet_our_own(void **state)
{
    (void)state;
    for (int acked = 0; acked < 2; acked++) {
        struct crossing c = crossing_of(true);
        struct stage *s = c.s;
        if (acked) {
            tell(s, c.sell, REPORT_ACK);
            tell(s, c.buy, REPORT_ACK);
        }
        assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "109.9")));
        assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "110")), "self_trade",
                       "our own sell order c1 at 110");
        assert_refused(s, submit(s, B, limit_of(SIDE_SELL, "1", "90")), "self_trade",
                       "our own buy order");
        assert_passes(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "120"))));
        assert_int_equal(last_record(s, RECORD_ORDER)->order.instrument, OTHER);
        quote(s, BTC, "99", "109.9");
        assert_passes(s, submit(s, A, request_of(SIDE_BUY, "1")));
        quote(s, BTC, "99", "110");
        assert_refused(s, submit(s, A, request_of(SIDE_BUY, "1")), "self_trade", "110");
        struct order_request stop = request_of(SIDE_BUY, "1"); /* takes nothing now */
        stop.type = ORDER_STOP;
        stop.trigger_price = D("115");
        assert_passes(s, submit(s, A, stop));
        tell(s, c.sell, REPORT_CANCELED);
        assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "110")));
        stage_free(s);
    }
    struct crossing c = crossing_of(false);
    assert_passes(c.s, submit(c.s, A, limit_of(SIDE_BUY, "1", "110")));
    stage_free(c.s);
}

static void an_amend_does_not_meet_our_own(void **state)
{
    (void)state;
    struct crossing c = crossing_of(true);
    struct stage *s = c.s;
    tell(s, c.sell, REPORT_ACK);
    tell(s, c.buy, REPORT_ACK);
    assert_false(engine_amend(s->engine, A, c.buy, DECIMAL_NONE, D("110"), &s->refusal));
    assert_string_equal(s->refusal.code, "self_trade");
    assert_true(engine_amend(s->engine, A, c.buy, DECIMAL_NONE, D("109.9"), &s->refusal));
    settle(s);
    /* The replace may be there already. */
    assert_refused(s, submit(s, B, limit_of(SIDE_SELL, "1", "109.9")), "self_trade",
                   "buy order c2");
    assert_passes(s, submit(s, B, limit_of(SIDE_SELL, "1", "110")));
    tell(s, c.buy, REPORT_REPLACE_REJECT);
    assert_passes(s, submit(s, B, limit_of(SIDE_SELL, "1", "109.9")));
    /* And the other way round. */
    assert_true(engine_amend(s->engine, B, c.sell, DECIMAL_NONE, D("100"), &s->refusal));
    settle(s);
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "self_trade", "sell order c1");
    stage_free(s);
}

static bool is_canceled(struct stage *s, uint64_t id)
{
    return strcmp(status_of(s, id), "pending_cancel") == 0;
}

/* What adds risk and stands in the way goes first; what reduces stays. */
static void a_way_out_cancels_what_it_would_meet(void **state)
{
    (void)state;
    for (int market = 0; market < 2; market++)
        for (int flagged = 0; flagged < 2; flagged++) {
            struct crossing c = crossing_of(true);
            struct stage *s = c.s;
            take(s, B, BTC, SIDE_SELL, "3", "100");
            uint64_t exit_of_b = submit(s, B, reduce_only(limit_of(SIDE_BUY, "1", "95")));
            uint64_t higher = submit(s, A, limit_of(SIDE_BUY, "1", "96"));
            take(s, A, BTC, SIDE_BUY, "2", "100");
            quote(s, BTC, "91", "105");
            struct order_request out =
                market ? request_of(SIDE_SELL, "2") : limit_of(SIDE_SELL, "2", "91");
            out.reduce_only = flagged;
            text_clear(&s->script);
            assert_passes(s, submit(s, A, out));
            char expected[64];
            snprintf(expected, sizeof(expected), "cancel %" PRIu64 "\nsubmit %" PRIu64 "\n", higher,
                     s->next_id);
            assert_non_null(strstr(s->script.data, expected));
            assert_true(is_canceled(s, higher));
            assert_false(is_canceled(s, c.buy)); /* lower than it goes */
            assert_false(is_canceled(s, exit_of_b));
            stage_free(s);
        }
}

/* One lot more than is held opens: that is held back. */
static void a_flip_is_no_way_out(void **state)
{
    (void)state;
    struct crossing c = crossing_of(true);
    struct stage *s = c.s;
    take(s, A, BTC, SIDE_BUY, "2", "100");
    assert_refused(s, submit(s, A, limit_of(SIDE_SELL, "2.001", "90")), "self_trade", "");
    uint64_t take_profit = submit(s, A, limit_of(SIDE_SELL, "2", "120"));
    assert_passes(s, take_profit); /* this one closes it already: a second one opens */
    assert_refused(s, submit(s, A, limit_of(SIDE_SELL, "2", "90")), "self_trade", "");
    stage_free(s);
}

/* A stop that rests here takes when it fires. */
static void an_emulated_stop_that_fires_meets_nothing_of_ours(void **state)
{
    (void)state;
    struct crossing c = crossing_of(true);
    struct stage *s = c.s;
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    take(s, A, BTC, SIDE_BUY, "2", "100");
    struct order_request stop = request_of(SIDE_SELL, "1");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("90");
    uint64_t out = submit(s, A, reduce_only(stop));
    stop.qty = D("5");
    stop.type = ORDER_STOP_LIMIT;
    stop.price = D("89");
    uint64_t flip = submit(s, A, stop);
    assert_passes(s, out);
    assert_passes(s, flip);
    assert_false(is_canceled(s, c.buy));
    trade(s, BTC, "89.9"); /* the order at 90 has not filled yet */
    assert_true(is_canceled(s, c.buy));
    assert_string_equal(status_of(s, out), "pending_new");
    assert_string_equal(status_of(s, flip), "canceled"); /* would have met it as well */
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "trigger_refused");
    stage_free(s);
}

/* ---- what repeats ---- */

static struct stage *stage_repeating(uint32_t count)
{
    struct risk_options risk = plain;
    risk.repeated_count = count;
    risk.repeated_within_ns = SECONDS(10);
    return stage_of(risk);
}

/* The third fill within ten seconds; the tenth second itself is outside. */
static void fills_that_repeat_halt_the_session(void **state)
{
    (void)state;
    for (int outside = 0; outside < 2; outside++) {
        struct stage *s = stage_repeating(3);
        take(s, A, BTC, SIDE_BUY, "3", "100");
        take(s, A, BTC, SIDE_SELL, "1", "100");
        later(s, SECONDS(10) - !outside);
        take(s, A, BTC, SIDE_SELL, "0.5", "100");
        assert_int_equal(engine_is_halted(s->engine, NULL), !outside);
        if (!outside) {
            assert_string_equal(engine_halt_code(s->engine), "repeated_executions");
            assert_refused(s, buy(s), "halted", "3 fills of fake on BTC/USDT within 10s");
            assert_passes(s, submit(s, A, request_of(SIDE_SELL, "0.5")));
            later(s, DAY);
            heartbeat(s);
            assert_true(engine_is_halted(s->engine, NULL)); /* until somebody resumes it */
        }
        stage_free(s);
    }
}

static void orders_that_repeat_halt_the_session(void **state)
{
    (void)state;
    struct stage *s = stage_repeating(3);
    assert_passes(s, buy(s));
    assert_passes(s, buy(s));
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "100.1"))); /* another one between */
    assert_passes(s, buy(s));
    assert_passes(s, submit(s, A, in(ETH, limit_of(SIDE_BUY, "1", "100"))) == 0);
    assert_passes(s, buy(s));
    later(s, SECONDS(10));
    heartbeat(s);
    assert_passes(s, buy(s)); /* long enough after */
    assert_passes(s, buy(s));
    assert_refused(s, buy(s), "halted", "3 equal orders in a row of fake on BTC/USDT within 10s");
    assert_string_equal(engine_halt_code(s->engine), "repeated_executions");
    stage_free(s);
}

/* Reductions are not counted as orders; their fills are. A halt that stands stays as it is. */
static void orders_that_only_reduce_may_repeat(void **state)
{
    (void)state;
    struct stage *s = stage_repeating(3);
    take(s, A, BTC, SIDE_BUY, "9", "100");
    for (int i = 0; i < 5; i++)
        assert_passes(s, submit(s, A, reduce_only(limit_of(SIDE_SELL, "1", "120"))));
    assert_done(s, engine_halt(s->engine, s->now_ns, "operator", "stop", false, false, &s->err));
    for (int i = 0; i < 5; i++) {
        uint64_t id = submit(s, A, reduce_only(request_of(SIDE_SELL, "1")));
        assert_passes(s, id);
        fill(s, id, "1", "100");
    }
    assert_string_equal(engine_halt_code(s->engine), "operator");
    stage_free(s);
}

/* ---- the collar of market entries ---- */

static struct stage *stage_collared(void)
{
    struct risk_limits collar = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &collar, plain);
    quote(s, BTC, "100.01", "100.03");
    return s;
}

static void assert_sent(struct stage *s, enum order_type type, enum order_tif tif,
                        const char *price)
{
    const struct order *order = &last_sent(s, SENT_SUBMIT)->order;
    assert_string_equal(order_type_name(order->type), order_type_name(type));
    assert_string_equal(order_tif_name(order->tif), order_tif_name(tif));
    if (price)
        assert_decimal(order->price, price);
    else
        assert_false(decimal_valid(order->price));
}

/* 1.05 x 100.03 is 105.0315, 0.95 x 100.01 is 95.0095: to the tick of 0.1 toward the market. */
static void a_market_entry_leaves_at_its_bound(void **state)
{
    (void)state;
    struct stage *s = stage_collared();
    assert_passes(s, submit(s, A, request_of(SIDE_BUY, "1")));
    assert_sent(s, ORDER_LIMIT, TIF_IOC, "105");
    assert_string_equal(order_type_name(order_at(s, s->next_id)->type), "market");
    tell(s, s->next_id, REPORT_CANCELED);
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "1")));
    assert_sent(s, ORDER_LIMIT, TIF_IOC, "95.1");
    stage_free(s);
}

/* All that bind: here the symbol's. */
static void the_strictest_collar_binds(void **state)
{
    (void)state;
    struct named_limits symbol = { .name = "BTC/USDT", .limits = limits_of(LIMIT_COLLAR, "0.03") };
    struct risk_limits account = limits_of(LIMIT_COLLAR, "0.05");
    struct stage_plan plan = { .account = &account, .risk = plain };
    plan.risk.symbols = &symbol;
    plan.risk.symbol_count = 1;
    struct stage *s = stage_new_planned(&plan);
    stage_add(s, instance_defaults());
    trade(s, BTC, "100");
    trade(s, ETH, "100");
    assert_passes(s, submit(s, A, request_of(SIDE_BUY, "1")));
    assert_sent(s, ORDER_LIMIT, TIF_IOC, "103");
    assert_passes(s, submit(s, A, in(ETH, request_of(SIDE_BUY, "1"))));
    assert_sent(s, ORDER_LIMIT, TIF_IOC, "105");
    stage_free(s);
}

static void a_venue_that_cannot_bind_gets_a_market_order(void **state)
{
    (void)state;
    struct stage *s = stage_collared();
    s->abilities.tifs = ~(1u << TIF_IOC);
    assert_passes(s, submit(s, A, request_of(SIDE_BUY, "1")));
    assert_sent(s, ORDER_MARKET, TIF_GTC, NULL);
    s->abilities.tifs = ~0u;
    s->abilities.types = ~(1u << ORDER_LIMIT);
    assert_passes(s, submit(s, A, request_of(SIDE_BUY, "1")));
    assert_sent(s, ORDER_MARKET, TIF_GTC, NULL);
    stage_free(s);
}

static void a_market_order_that_reduces_is_not_bound(void **state)
{
    (void)state;
    struct stage *s = stage_collared();
    uint64_t id = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, id, "3", "100.03");
    assert_passes(s, submit(s, A, reduce_only(request_of(SIDE_SELL, "1"))));
    assert_sent(s, ORDER_MARKET, TIF_GTC, NULL);
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "3"))); /* only reduces as well */
    assert_sent(s, ORDER_MARKET, TIF_GTC, NULL);
    stage_free(s);
}

/* What fires is a market entry too. */
static void a_stop_entry_that_fires_here_leaves_at_its_bound(void **state)
{
    (void)state;
    struct stage *s = stage_collared();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    struct order_request stop = request_of(SIDE_BUY, "1");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("110");
    assert_passes(s, submit(s, A, stop));
    assert_int_equal(s->sent_count, 0);
    quote(s, BTC, "110.9", "111"); /* 1.05 x 111 is 116.55 */
    trade(s, BTC, "111");
    assert_sent(s, ORDER_LIMIT, TIF_IOC, "116.5");
    sums_agree(s);
    stage_free(s);
}

static void without_a_price_nothing_is_bound(void **state)
{
    (void)state;
    struct risk_limits collar = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_limited(SCOPE_SYMBOL, &collar, plain);
    assert_refused(s, submit(s, A, request_of(SIDE_BUY, "1")), "no_quote", "");
    stage_free(s);
}

#define TEST(name) cmocka_unit_test(name)

/* Three failures in a row open it; a cancel that is answered is a good answer between them. */
static void an_answer_to_a_cancel_is_an_answer(void **state)
{
    (void)state;
    for (int cancels = 0; cancels < 2; cancels++) {
        struct stage *s = stage_watched(watching);
        uint64_t resting = buy(s);
        tell(s, resting, REPORT_ACK);
        fail_orders(s, 2);
        if (cancels) {
            assert_true(engine_cancel(s->engine, A, resting, &s->refusal));
            settle(s);
            tell(s, resting, REPORT_CANCELED);
        }
        fail_orders(s, 1);
        assert_string_equal(state_of(s), cancels ? "closed" : "open");
        stage_free(s);
    }
}

static int sell_when_filled(struct fake_guest *guest, enum guest_call call,
                            const struct guest_event *event, struct error *err)
{
    (void)event, (void)err;
    struct order_request request = limit_of(SIDE_SELL, "5", "90");
    if (call == GUEST_FILL)
        *(uint64_t *)guest->self =
            engine_submit(guest->stage->engine, A, &request, &guest->stage->refusal);
    return 0;
}

/* What is filled rests no more, in its own callback already: a flip at its price meets nothing. */
static void what_was_filled_is_in_nobodys_way(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    uint64_t flip = 0;
    risk.self_trade_prevention = true;
    struct stage *s = stage_of(risk);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "95"));
    submit(s, A, limit_of(SIDE_BUY, "1", "80")); /* another one rests, out of reach */
    s->guests[A].on = sell_when_filled;
    s->guests[A].self = &flip;
    fill(s, id, "1", "95");
    if (flip == 0)
        fail_msg("%s", s->refusal.reason);
    stage_free(s);
}

/* Nor is an entry in the way of the exits that its own fill places. */
static void exits_do_not_meet_the_entry_that_they_are_of(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.self_trade_prevention = true;
    struct stage *s = stage_of(risk);
    struct order_request entry = limit_of(SIDE_BUY, "1", "95");
    entry.stop = D("90");
    entry.take = D("105");
    uint64_t id = submit(s, A, entry), below = submit(s, A, limit_of(SIDE_BUY, "1", "80"));
    fill(s, id, "1", "95");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 4); /* its stop and its take too */
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    assert_string_equal(status_of(s, below), "pending_new");
    stage_free(s);
}

static int ask_out_and_fail(struct fake_guest *guest, enum guest_call call,
                            const struct guest_event *event, struct error *err)
{
    struct order_request out = reduce_only(request_of(SIDE_SELL, "1"));
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    assert_true(engine_submit(guest->stage->engine, B, &out, &guest->stage->refusal) != 0);
    return error_set(err, ERROR_INTERNAL, "it fails");
}

/* An exit is no probe, so taking one back gives back no probe: A's is under way still. */
static void an_exit_that_is_taken_back_frees_no_probe(void **state)
{
    (void)state;
    struct stage *s = stage_watched(watching);
    add_of_all(s, NULL);
    take(s, B, BTC, SIDE_BUY, "5", "100");
    fail_orders(s, 3);
    later(s, SECONDS(30));
    heartbeat(s);
    assert_passes(s, buy(s));
    s->guests[B].on = ask_out_and_fail;
    trade(s, BTC, "100");
    assert_false(engine_instance_alive(s->engine, B, NULL, NULL));
    assert_refused(s, buy(s), "breaker_open", "a probe is under way");
    stage_free(s);
}

/* Two of a pair that are equal are two in a row: the second one halts, and neither leaves. */
static void a_pair_of_equal_orders_repeats(void **state)
{
    (void)state;
    struct stage *s = stage_repeating(2);
    const struct order_request pair[2] = { limit_of(SIDE_BUY, "1", "90"),
                                           limit_of(SIDE_BUY, "1", "90") };
    uint64_t ids[2];
    assert_false(engine_oco(s->engine, A, pair, ids, &s->refusal));
    settle(s);
    assert_string_equal(s->refusal.code, "halted");
    assert_string_equal(engine_halt_code(s->engine), "repeated_executions");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 0);
    sums_agree(s);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_closed_market_takes_no_new_risk),
        TEST(a_market_that_never_opens_says_so),
        TEST(a_silent_venue_takes_no_new_risk),
        TEST(a_price_grows_old),
        TEST(nothing_grows_old_in_a_replayed_market),
        TEST(a_clock_that_is_off_takes_no_new_risk),
        TEST(failures_open_the_breaker_of_their_venue),
        TEST(a_probe_that_fails_opens_it_again),
        TEST(an_exit_is_no_probe),
        TEST(a_probe_that_could_not_be_sent_is_no_answer),
        TEST(one_probe_at_a_time),
        TEST(a_probe_that_was_taken_back_is_none),
        TEST(slow_answers_are_failures),
        TEST(too_many_failures_of_many_open_it),
        TEST(an_answer_that_does_not_come_is_a_failure),
        TEST(only_what_was_waited_for_is_an_answer),
        TEST(slow_down_opens_it),
        TEST(a_lost_line_opens_it),
        TEST(a_price_that_jumps_opens_it),
        TEST(a_breaker_is_opened_by_hand),
        TEST(a_breaker_by_hand_outlives_a_restart),
        TEST(an_opening_order_does_not_meet_our_own),
        TEST(an_amend_does_not_meet_our_own),
        TEST(a_way_out_cancels_what_it_would_meet),
        TEST(a_flip_is_no_way_out),
        TEST(an_emulated_stop_that_fires_meets_nothing_of_ours),
        TEST(fills_that_repeat_halt_the_session),
        TEST(orders_that_repeat_halt_the_session),
        TEST(orders_that_only_reduce_may_repeat),
        TEST(a_market_entry_leaves_at_its_bound),
        TEST(the_strictest_collar_binds),
        TEST(a_venue_that_cannot_bind_gets_a_market_order),
        TEST(a_market_order_that_reduces_is_not_bound),
        TEST(a_stop_entry_that_fires_here_leaves_at_its_bound),
        TEST(without_a_price_nothing_is_bound),
        cmocka_unit_test(an_answer_to_a_cancel_is_an_answer),
        cmocka_unit_test(what_was_filled_is_in_nobodys_way),
        cmocka_unit_test(exits_do_not_meet_the_entry_that_they_are_of),
        cmocka_unit_test(an_exit_that_is_taken_back_frees_no_probe),
        cmocka_unit_test(a_pair_of_equal_orders_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
