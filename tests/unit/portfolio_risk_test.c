/* portfolio_risk_test.c - heat and volatility of what an engine holds and has at work.
 *
 * Capital is 100,000; what has no stop may lose 0.05 of its value. */
#include "tests/unit/risk_fixture.h"

#include "runtime/config/calendars.h"

static struct risk_limits no_limits;
static const struct risk_options plain = { .no_stop_pct = { 5, 2 } };

static struct stage *stage_hot(const char *heat)
{
    struct risk_limits limits = limits_of(LIMIT_HEAT, heat);
    return stage_limited(SCOPE_ACCOUNT, &limits, plain);
}

/* A position with a stop that the venue holds. */
static void protect(struct stage *s, uint32_t instrument, enum order_side side, const char *qty,
                    const char *price, const char *stop)
{
    trade(s, instrument, price);
    struct order_request request = in(instrument, request_of(side, qty));
    if (stop)
        request.stop = D(stop);
    uint64_t id = submit(s, A, request);
    if (id == 0)
        fail_msg("refused: %s", s->refusal.reason);
    fill(s, id, qty, price);
    sums_agree(s);
}

static struct order_request entry_of(const char *qty)
{
    struct order_request request = limit_of(SIDE_BUY, qty, "100");
    request.stop = D("95");
    return request;
}

/* Of an entry that loses 5 a unit: the largest that passes. */
static void assert_heat_left(struct stage *s, const char *qty)
{
    uint64_t id = submit(s, A, entry_of("1000"));
    if (strcmp(qty, "0") == 0) {
        assert_refused(s, id, "max_portfolio_heat", "qty 1000");
        return;
    }
    assert_reduced(s, id, "max_portfolio_heat", qty, "0.00");
    tell(s, id, REPORT_CANCELED);
}

/* ---- heat ---- */

/* 2 x 5, 10 x 1.5 and 300 x 0.05 are 40. Of 0.0006 of 100,000 20 are left: 4 x 5. */
static void heat_is_what_all_stops_lose(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.0006");
    protect(s, BTC, SIDE_BUY, "2", "100", "95");
    protect(s, OTHER, SIDE_SELL, "10", "20", "21.5");
    protect(s, ETH, SIDE_BUY, "1", "300", NULL);
    assert_heat_left(s, "4");
    uint64_t open = submit(s, A, entry_of("3"));
    assert_passes(s, open);
    assert_heat_left(s, "1");
    assert_passes(s, submit(s, A, entry_of("1")));
    assert_heat_left(s, "0");
    /* Filled it is a position with a stop, which loses as much. */
    fill(s, open, "3", "100");
    assert_heat_left(s, "0");
    stage_free(s);
}

/* A contract of 10: 3 of them lose 0.5 each 10 times. */
static void heat_counts_multipliers(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.0006");
    protect(s, FUT, SIDE_BUY, "3", "10", "9.5");
    trade(s, BTC, "100");
    assert_heat_left(s, "9"); /* 60 - 15 = 45 */
    stage_free(s);
}

/* From 100 to 96 it loses 1 a unit to its stop; beyond its stop nothing. */
static void heat_follows_the_mark(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.001");
    protect(s, ETH, SIDE_BUY, "10", "100", "95");
    trade(s, BTC, "100");
    assert_heat_left(s, "10"); /* 100 - 50 */
    trade(s, ETH, "96");       /* equity 99,960: 99.96 - 10 = 89.96 */
    assert_heat_left(s, "17.992");
    trade(s, ETH, "94"); /* 99,940: 99.94 */
    assert_heat_left(s, "19.988");
    stage_free(s);
}

static uint64_t stop_at(struct stage *s, const char *qty, const char *trigger)
{
    struct order_request stop = reduce_only(request_of(SIDE_SELL, qty));
    stop.type = ORDER_STOP;
    stop.trigger_price = D(trigger);
    uint64_t id = submit(s, A, stop);
    assert_passes(s, id);
    return id;
}

/* 10 at 100: 4 to 90 lose 40, the other 6 lose 30; covered twice they are covered once. */
static void a_stop_covers_what_it_is_for(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.001");
    take(s, A, BTC, SIDE_BUY, "10", "100");
    assert_heat_left(s, "10");                                                     /* 100 - 50 */
    assert_passes(s, submit(s, A, reduce_only(limit_of(SIDE_SELL, "10", "120")))); /* no stop */
    assert_heat_left(s, "10");
    uint64_t first = stop_at(s, "4", "90");
    assert_heat_left(s, "6"); /* 100 - 40 - 30 */
    stop_at(s, "10", "99");
    assert_heat_left(s, "10.8"); /* 100 - 40 - 6 */
    assert_true(engine_cancel(s->engine, A, first, &s->refusal));
    settle(s);
    tell(s, first, REPORT_CANCELED);
    assert_heat_left(s, "18"); /* 100 - 10 */
    stage_free(s);
}

/* A trailing stop that the venue holds has no trigger that we know: it covers nothing yet. */
static void a_stop_without_a_trigger_covers_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.001");
    take(s, A, BTC, SIDE_BUY, "10", "100");
    struct order_request trail = reduce_only(request_of(SIDE_SELL, "10"));
    trail.type = ORDER_TRAILING;
    trail.trail = D("1");
    assert_passes(s, submit(s, A, trail));
    assert_heat_left(s, "10");
    /* What would end a short covers no long. */
    fill(s, submit(s, A, request_of(SIDE_SELL, "10")), "10", "100");
    take(s, A, BTC, SIDE_SELL, "10", "100");
    assert_heat_left(s, "20"); /* 10 that close the short, and 10 */
    stage_free(s);
}

/* Another venue's does not count in this one's. */
static void heat_is_of_its_scope(void **state)
{
    (void)state;
    static const char *const left[SCOPES] = { "5", "10", "5", "20" };
    for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
        struct risk_limits limits = limits_of(LIMIT_HEAT, "0.001");
        struct stage *s = stage_limited(scope, &limits, plain);
        take(s, A, OTHER, SIDE_BUY, "5", "100"); /* 25 */
        take(s, A, ETH, SIDE_BUY, "10", "100");  /* 50 */
        trade(s, BTC, "100");
        assert_heat_left(s, left[scope]);
        stage_free(s);
    }
}

/* Without a mark nobody knows what it loses. */
static void heat_that_is_not_known_bars_new_risk(void **state)
{
    (void)state;
    struct stage *s = stage_hot("0.001");
    struct position position;
    position_init(&position);
    position.qty = D("1");
    position.cost = D("100");
    assert_done(s, engine_restore_position(s->engine, A, ETH, &position, &s->err));
    struct order stop;
    order_init(&stop);
    stop = (struct order){ .order_id = 900,
                           .client_order_id = "c900",
                           .instance_id = 1,
                           .instrument = ETH,
                           .side = SIDE_SELL,
                           .type = ORDER_STOP,
                           .qty = D("1"),
                           .price = DECIMAL_NONE,
                           .trigger_price = D("90"),
                           .trail = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .pending_qty = DECIMAL_NONE,
                           .pending_price = DECIMAL_NONE,
                           .reduce_only = true,
                           .known = ORDER_NEW,
                           .expires_ns = TIME_NEVER };
    assert_done(s, engine_restore_order(s->engine, &stop, &s->err));
    trade(s, BTC, "100");
    assert_refused(s, submit(s, A, entry_of("1")), "range", "");
    trade(s, ETH, "100");
    assert_heat_left(s, "18"); /* 100 - 10 */
    stage_free(s);
}

/* ---- volatility ---- */

static struct stage *stage_volatile(enum scope_kind scope, const char *limit)
{
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, limit);
    struct stage *s = stage_limited(scope, &limits, plain);
    assert_true(engine_wants_hours(s->engine));
    return s;
}

/* The largest that passes, of an order for 1,000. */
static void assert_room(struct stage *s, uint32_t instrument, enum order_side side,
                        const char *price, const char *qty)
{
    uint64_t id = submit(s, A, in(instrument, limit_of(side, "1000", price)));
    assert_reduced(s, id, "max_portfolio_volatility", qty, "0.25");
    tell(s, id, REPORT_CANCELED);
}

/* The example of docs/risk.md: 0.2 of the equity in A leaves 0.055932 for B: 5,593.2 at 50 are
 * 111.86 whole lots. */
static void volatility_counts_what_moves_together(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    swing(s, BTC, false);
    swing(s, ETH, true);
    trade(s, ETH, "50");
    take(s, A, BTC, SIDE_BUY, "200", "100");
    assert_room(s, ETH, SIDE_BUY, "50", "111.86");
    stage_free(s);
}

/* 20 returns are asked for, of what is held too. */
static void without_an_estimate_nothing_is_added(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    for (int i = 0; i < 20; i++)
        hour(s, BTC, T0 - (20 - i) * NS_PER_HOUR, i % 2 ? "101" : "100");
    trade(s, BTC, "100");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "too few");
    hour(s, BTC, T0, "100");
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")));
    stage_free(s);

    s = stage_volatile(SCOPE_SYMBOL, "0.25");
    swing(s, BTC, false);
    take(s, A, ETH, SIDE_BUY, "1", "100"); /* of another symbol, without an estimate */
    trade(s, BTC, "100");
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")));
    stage_free(s);

    s = stage_volatile(SCOPE_STRATEGY, "0.25");
    swing(s, BTC, false);
    trade(s, BTC, "100");
    struct risk_limits none = limits_of(LIMIT_ORDER_SIZE, "1000000");
    engine_set_limits(s->engine, A, &none);
    take(s, A, ETH, SIDE_BUY, "1", "100");
    none = limits_of(LIMIT_VOLATILITY, "0.25");
    engine_set_limits(s->engine, A, &none);
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "strategy");
    assert_passes(s, submit(s, A, in(ETH, request_of(SIDE_SELL, "1"))));
    stage_free(s);
}

/* Bars of other lengths, and hours that were there, are no hourly closes. */
static void only_hours_of_history_are_hours(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    for (int i = 0; i < 30; i++) {
        struct event event = { .kind = EVENT_BAR,
                               .instrument = BTC,
                               .time_ns = T0 - (30 - i) * NS_PER_HOUR,
                               .bar = { .open = 10000,
                                        .high = 10000,
                                        .low = 10000,
                                        .close = 10000,
                                        .is_history = true } };
        event.bar.open_ns = event.time_ns - NS_PER_MINUTE;
        assert_done(s, engine_step(s->engine, &event, &s->err));
    }
    trade(s, BTC, "100");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    stage_free(s);
}

/* 21 closes that were seen live say the same as history: see scopes_test for 261.644. */
static void hours_that_pass_are_closes(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_VENUE, "0.25");
    for (int i = 0; i < 21; i++) {
        to(s, T0 + i * NS_PER_HOUR + NS_PER_HOUR / 2);
        trade(s, BTC, i % 2 ? "101" : "100");
    }
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    later(s, NS_PER_HOUR);
    trade(s, BTC, "100");
    assert_room(s, BTC, SIDE_BUY, "100", "261.644");
    assert_room(s, BTC, SIDE_SELL, "100", "261.644");
    stage_free(s);
}

/* Sold short 200 of 261: another 61.644 may follow, a way out always. Of what is at work the larger
 * side counts. */
static void volatility_of_a_short_is_as_large(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    swing(s, BTC, false);
    take(s, A, BTC, SIDE_SELL, "200", "100");
    assert_room(s, BTC, SIDE_SELL, "100", "61.644");
    assert_passes(s, submit(s, A, limit_of(SIDE_SELL, "61", "100")));
    assert_room(s, BTC, SIDE_SELL, "100", "0.644");
    stage_free(s);
}

/* An order that fires is judged as if it were not there: 200 of 261 once, not twice. */
static void an_order_that_fires_does_not_stand_beside_itself(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    swing(s, BTC, false);
    trade(s, BTC, "100");
    struct order_request stop = request_of(SIDE_BUY, "200");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("101");
    assert_passes(s, submit(s, A, stop));
    trade(s, BTC, "101");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, "200");
    stage_free(s);
}

static void an_amend_does_not_stand_beside_itself(void **state)
{
    (void)state;
    struct stage *s = stage_volatile(SCOPE_ACCOUNT, "0.25");
    swing(s, BTC, false);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "200", "100"));
    tell(s, id, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, id, D("261"), DECIMAL_NONE, &s->refusal));
    settle(s);
    tell(s, id, REPORT_REPLACED);
    assert_false(engine_amend(s->engine, A, id, D("262"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "max_portfolio_volatility");
    stage_free(s);
}

/* The hours of its calendar: sqrt(N) scales it. */
/* 0.1 of the equity in B is at work, and 0.1 in A leaves as the first leg: x in A makes
 * sqrt(0.912968 x^2 + 2 * 0.1 * 0.908471 x + 0.018080), which is 0.25 at x = 0.142477. Of the
 * second leg 0.042477 are left. */
static void the_first_leg_stands_beside_the_second(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "0.25");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    s->abilities.oco = false;
    swing(s, BTC, false);
    swing(s, ETH, true);
    trade(s, BTC, "100");
    trade(s, ETH, "50");
    assert_passes(s, submit(s, A, in(ETH, limit_of(SIDE_BUY, "200", "50"))));
    struct order_request legs[2] = { limit_of(SIDE_BUY, "100", "100"),
                                     limit_of(SIDE_BUY, "100", "100") };
    uint64_t ids[2];
    assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal));
    settle(s);
    assert_decimal(order_at(s, ids[0])->qty, "100");
    assert_true(decimal_cmp(order_at(s, ids[1])->qty, D("42.478")) <= 0);
    assert_true(decimal_cmp(order_at(s, ids[1])->qty, D("42.4")) > 0);
    sums_agree(s);
    stage_free(s);
}

static void the_calendar_says_how_many_hours_a_year_has(void **state)
{
    (void)state;
    static const char text[] = "zone: { offset: +00:00 }\n"
                               "sessions: [ { days: mon-fri, hours: 00:00-08:00 } ]\n";
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text, strlen(text), &calendar, &err), 0);
    const struct calendar *list[4] = { calendar };
    struct risk_options risk = plain;
    risk.calendars = list;
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "0.25");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    swing(s, BTC, false);
    trade(s, BTC, "100");
    double deviation = sqrt(20.0 / 19 * log(1.01) * log(1.01) * calendar_hours_per_year(calendar));
    double qty = floor(0.25 / deviation * 1000 * 1000) / 1000;
    char expected[32];
    snprintf(expected, sizeof(expected), "%.10g", qty);
    assert_room(s, BTC, SIDE_BUY, "100", expected);
    stage_free(s);
    calendar_release(calendar);
}

/* 20 hours of 8 a day, open from Monday: the hours between two days are none, nor do they make one.
 */
static void hours_of_a_closed_market_are_no_closes(void **state)
{
    (void)state;
    static const char text[] = "zone: { offset: +00:00 }\n"
                               "sessions: [ { days: mon-fri, hours: 00:00-08:00 } ]\n";
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text, strlen(text), &calendar, &err), 0);
    const struct calendar *list[4] = { calendar };
    struct risk_options risk = plain;
    risk.calendars = list;
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "0.25");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    for (int i = 0; i < 48; i++) { /* two days: 16 closes, 14 returns */
        to(s, T0 + i * NS_PER_HOUR + NS_PER_HOUR / 2);
        trade(s, BTC, i % 2 ? "101" : "100");
    }
    to(s, T0 + 2 * DAY);
    heartbeat(s);
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    stage_free(s);
    calendar_release(calendar);
}

/* It has nothing in what it does not trade. */
static void a_strategy_of_one_symbol_has_its_own_volatility(void **state)
{
    (void)state;
    static const uint32_t only[] = { BTC };
    struct stage *s = stage_new_planned(&(struct stage_plan){ .risk = plain });
    struct instance_options options = instance_defaults();
    options.instruments = only;
    options.instrument_count = 1;
    options.limits = limits_of(LIMIT_VOLATILITY, "0.25");
    stage_add(s, options);
    stage_add(s, instance_defaults());
    swing(s, BTC, false);
    take(s, B, ETH, SIDE_BUY, "1", "100");
    trade(s, BTC, "100");
    assert_room(s, BTC, SIDE_BUY, "100", "261.644");
    stage_free(s);
}

static void nothing_is_estimated_where_nobody_asks(void **state)
{
    (void)state;
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    assert_false(engine_wants_hours(s->engine));
    swing(s, BTC, false); /* these are not kept */
    trade(s, BTC, "100");
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "0.25");
    struct fake_guest fresh = { .stage = s };
    struct guest guest = fake_guest_port(&fresh);
    struct error why = { 0 };
    assert_int_equal(engine_try_guests(s->engine, A, 1, &guest, &limits, true, s->now_ns, &why), 0);
    assert_true(engine_wants_hours(s->engine));
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    stage_free(s);
}

/* A share of nothing, or of less, is no weight. */
static void without_equity_there_is_no_weight(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "0.25");
    struct stage *s = stage_new_planned(&(struct stage_plan){ .account = &limits, .risk = plain });
    struct instance_options options = instance_defaults();
    options.capital = DECIMAL_ZERO;
    stage_add(s, options);
    swing(s, BTC, false);
    trade(s, BTC, "100");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    stage_free(s);
}

/* 10^38 leaves no room for cents: a share of what cannot be told is none. */
static void without_a_known_equity_there_is_no_weight(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_VOLATILITY, "3");
    struct stage *s = stage_new_planned(&(struct stage_plan){ .account = &limits, .risk = plain });
    struct instance_options options = instance_defaults();
    options.capital = D("100000000000000000000000000000000000000");
    stage_add(s, options);
    swing(s, BTC, false);
    trade(s, BTC, "100.01");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "100"));
    assert_passes(s, id);
    fill(s, id, "1", "99.99");
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")), "no_volatility", "");
    stage_free(s);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(heat_is_what_all_stops_lose),
        TEST(heat_counts_multipliers),
        TEST(heat_follows_the_mark),
        TEST(a_stop_covers_what_it_is_for),
        TEST(a_stop_without_a_trigger_covers_nothing),
        TEST(heat_is_of_its_scope),
        TEST(heat_that_is_not_known_bars_new_risk),
        TEST(volatility_counts_what_moves_together),
        TEST(without_an_estimate_nothing_is_added),
        TEST(only_hours_of_history_are_hours),
        TEST(hours_that_pass_are_closes),
        TEST(volatility_of_a_short_is_as_large),
        TEST(an_order_that_fires_does_not_stand_beside_itself),
        TEST(an_amend_does_not_stand_beside_itself),
        TEST(the_first_leg_stands_beside_the_second),
        TEST(the_calendar_says_how_many_hours_a_year_has),
        TEST(hours_of_a_closed_market_are_no_closes),
        TEST(a_strategy_of_one_symbol_has_its_own_volatility),
        TEST(nothing_is_estimated_where_nobody_asks),
        TEST(without_equity_there_is_no_weight),
        TEST(without_a_known_equity_there_is_no_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
