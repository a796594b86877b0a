/* leaving_test.c - the gate at the moment an order leaves: what fires, what is linked, what was
 * asked for before a halt of the same turn, and what a restart finds on its way.
 *
 * Capital is 100,000. BTC trades in lots of 0.001 at a tick of 0.1, a price of 100 stands. */
#include "tests/unit/risk_fixture.h"

static const struct risk_options plain = { .no_stop_pct = { 5, 2 }, .cancel_reserve = 0.2 };

static struct order_request stop_of(enum order_side side, const char *qty, const char *trigger)
{
    struct order_request request = request_of(side, qty);
    request.type = ORDER_STOP;
    request.trigger_price = D(trigger);
    return request;
}

/* The venue holds no stops: they rest in the engine. */
static struct stage *stage_of_held(const struct risk_limits *limits, struct risk_options risk)
{
    struct stage *s = stage_limited(SCOPE_ACCOUNT, limits, risk);
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    trade(s, BTC, "100");
    return s;
}

/* ---- what fires ---- */

/* 0.05 beyond 110 is 115.5. */
static void a_stop_that_fires_leaves_bound_by_the_collar(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_of_held(&limits, plain);
    assert_passes(s, submit(s, A, stop_of(SIDE_BUY, "1", "110")));
    trade(s, BTC, "110");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    const struct sent *sent = last_sent(s, SENT_SUBMIT);
    assert_int_equal(sent->order.type, ORDER_LIMIT);
    assert_int_equal(sent->order.tif, TIF_IOC);
    assert_decimal(sent->order.price, "115.5");
    stage_free(s);
}

/* Its trigger is behind the price already: it leaves at once. */
static void a_stop_that_is_through_leaves_bound_by_the_collar(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_of_held(&limits, plain);
    assert_passes(s, submit(s, A, stop_of(SIDE_BUY, "1", "90")));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    const struct sent *sent = last_sent(s, SENT_SUBMIT);
    assert_int_equal(sent->order.type, ORDER_LIMIT);
    assert_decimal(sent->order.price, "105");
    stage_free(s);
}

/* A way out takes what it gets. */
static void a_stop_that_reduces_is_not_bound(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_of_held(&limits, plain);
    take(s, A, BTC, SIDE_BUY, "1", "100");
    assert_passes(s, submit(s, A, reduce_only(stop_of(SIDE_SELL, "1", "90"))));
    trade(s, BTC, "90");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
    stage_free(s);
}

static void a_stop_that_fires_does_not_meet_our_own_order(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.self_trade_prevention = true;
    risk_limits_init(&limits);
    struct stage *s = stage_of_held(&limits, risk);
    uint64_t resting = submit(s, A, limit_of(SIDE_SELL, "1", "105"));
    assert_passes(s, resting);
    tell(s, resting, REPORT_ACK);
    uint64_t stop = submit(s, A, stop_of(SIDE_BUY, "2", "110"));
    assert_passes(s, stop);
    trade(s, BTC, "110");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    assert_string_equal(status_of(s, stop), "canceled");
    assert_string_equal(newest_verdict(s).code, "self_trade");
    stage_free(s);
}

/* ---- linked orders ---- */

/* Two messages leave, so there must be room for two. */
static void linked_orders_are_two_messages(void **state)
{
    (void)state;
    for (int oco = 0; oco < 2; oco++) {
        struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "1");
        struct stage *s = stage_limited(SCOPE_SYMBOL, &limits, plain);
        s->abilities.oco = oco;
        trade(s, BTC, "100");
        struct order_request legs[2] = { limit_of(SIDE_BUY, "1", "99"),
                                         stop_of(SIDE_BUY, "1", "110") };
        uint64_t ids[2];
        assert_false(engine_oco(s->engine, A, legs, ids, &s->refusal));
        assert_string_equal(s->refusal.code, "max_orders_per_second");
        settle(s);
        assert_int_equal(count_sent(s, SENT_SUBMIT), 0);
        stage_free(s);
    }
}

/* Where a venue changes no orders, the rest of the second leg is placed anew when the first filled
 * in part: through the gate. */
static void the_rest_of_a_linked_order_passes_the_gate(void **state)
{
    (void)state;
    static const struct {
        enum limit limit;
        const char *value, *left; /* NULL: nothing may leave */
    } cases[] = { { LIMITS, NULL, "3" },
                  { LIMIT_ORDER_SIZE, "100", "1" },
                  { LIMIT_ORDER_RATE, "3", NULL },
                  { LIMIT_POSITION_SIZE, "0.002", NULL } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct risk_limits limits;
        risk_limits_init(&limits);
        struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
        s->abilities.oco = false;
        s->abilities.amend = AMEND_NONE;
        trade(s, BTC, "100");
        struct order_request legs[2] = { limit_of(SIDE_BUY, "5", "100"),
                                         limit_of(SIDE_BUY, "5", "90") };
        uint64_t ids[2];
        if (cases[i].limit != LIMITS) /* they leave before it is set, unless it is of a second */
            limits = limits_of(cases[i].limit, cases[i].value);
        if (cases[i].limit == LIMIT_ORDER_RATE)
            engine_set_limits(s->engine, A, &limits);
        assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal));
        settle(s);
        tell(s, ids[0], REPORT_ACK);
        tell(s, ids[1], REPORT_ACK);
        fill(s, ids[0], "2", "100");
        assert_int_equal(count_sent(s, SENT_CANCEL), 1);
        engine_set_limits(s->engine, A, &limits);
        tell(s, ids[1], REPORT_CANCELED);
        assert_int_equal(count_sent(s, SENT_SUBMIT), cases[i].left ? 3 : 2);
        if (cases[i].left)
            assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, cases[i].left);
        sums_agree(s);
        stage_free(s);
    }
}

/* Its verdict is the halt, which cancels all entries, this one too: it ends once. */
static void a_stop_that_halts_as_it_fires_ends_once(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct stage *s = stage_of_held(&limits, plain);
    take(s, A, BTC, SIDE_BUY, "10", "100");
    uint64_t stop = submit(s, A, stop_of(SIDE_SELL, "20", "89")); /* it would turn the position */
    assert_passes(s, stop);
    trade(s, BTC, "89"); /* 110 are lost */
    assert_true(engine_is_halted(s->engine, NULL));
    assert_string_equal(status_of(s, stop), "canceled");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    sums_agree(s);
    stage_free(s);
}

/* ---- a halt of the same turn ---- */

/* The second of two equal orders halts: the first was approved, and must not leave either. What
 * only reduces does. */
static void what_was_asked_for_before_a_halt_of_the_turn_does_not_leave(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.repeated_count = 2;
    risk.repeated_within_ns = SECONDS(10);
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    take(s, A, BTC, SIDE_BUY, "1", "100");
    struct order_request request = limit_of(SIDE_BUY, "1", "99"),
                         out = reduce_only(limit_of(SIDE_SELL, "1", "120"));
    uint64_t first = engine_submit(s->engine, A, &request, &s->refusal);
    uint64_t way_out = engine_submit(s->engine, A, &out, &s->refusal);
    uint64_t third = engine_submit(s->engine, A, &request, &s->refusal);
    uint64_t fourth = engine_submit(s->engine, A, &request, &s->refusal);
    assert_true(first != 0 && way_out != 0);
    assert_int_equal(fourth, 0);
    settle(s);
    assert_true(engine_is_halted(s->engine, NULL));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2); /* that of the position, and the way out */
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    assert_string_equal(status_of(s, first), "rejected");
    if (third != 0)
        assert_string_equal(status_of(s, third), "rejected");
    assert_string_equal(status_of(s, way_out), "pending_new");
    sums_agree(s);
    stage_free(s);
}

/* A change that asks for more stays as well, and what works is canceled. */
static void a_change_before_a_halt_of_the_turn_does_not_leave(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.repeated_count = 2;
    risk.repeated_within_ns = SECONDS(10);
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    trade(s, BTC, "100");
    uint64_t works = submit(s, A, limit_of(SIDE_BUY, "1", "98"));
    tell(s, works, REPORT_ACK);
    struct order_request request = limit_of(SIDE_BUY, "1", "99");
    assert_true(engine_amend(s->engine, A, works, D("2"), DECIMAL_NONE, &s->refusal));
    for (int i = 0; i < 3; i++)
        engine_submit(s->engine, A, &request, &s->refusal);
    settle(s);
    assert_true(engine_is_halted(s->engine, NULL));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_int_equal(count_sent(s, SENT_AMEND), 0);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    stage_free(s);
}

static int buy_on_timer(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    struct order_request in = limit_of(SIDE_BUY, "1", "99"), out = limit_of(SIDE_SELL, "1", "120");
    (void)event;
    (void)err;
    if (call == GUEST_TIMER) {
        engine_submit(guest->stage->engine, A, &in, &guest->stage->refusal);
        engine_submit(guest->stage->engine, A, &out, &guest->stage->refusal);
    }
    return 0;
}

/* The timer asks in the turn in which silence opens the breaker: what adds risk is overtaken, the
 * way out leaves. */
static void what_a_breaker_of_the_turn_overtook_does_not_leave(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.breaker = (struct breaker_options){ .failures = 1,
                                             .open_for_ns = SECONDS(10),
                                             .half_open_probes = 1 };
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    s->abilities.answer_within_ns = SECONDS(5);
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t silent = submit(s, A, limit_of(SIDE_BUY, "1", "98"));
    settle(s);
    s->guests[A].on = buy_on_timer;
    assert_true(engine_timer(s->engine, A, "t", 5));
    size_t sent = count_sent(s, SENT_SUBMIT);
    later(s, SECONDS(5));
    assert_string_equal(status_of(s, silent), "unknown");
    assert_string_equal(status_of(s, silent + 1), "rejected");
    assert_string_equal(status_of(s, silent + 2), "pending_new");
    assert_int_equal(count_sent(s, SENT_SUBMIT), sent + 1);
    sums_agree(s);
    stage_free(s);
}

/* Two ways out while trading is halted: the faster one must not leave the other to open a short. */
static void what_leaves_while_halted_stays_a_way_out(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    take(s, A, BTC, SIDE_BUY, "10", "100");
    assert_done(
        s, engine_halt(s->engine, s->now_ns, "operator_halt", "a person", false, false, &s->err));
    uint64_t slow = submit(s, A, limit_of(SIDE_SELL, "10", "110"));
    tell(s, slow, REPORT_ACK);
    assert_true(last_sent(s, SENT_SUBMIT)->order.reduce_only);
    fill(s, submit(s, A, reduce_only(request_of(SIDE_SELL, "10"))), "10", "100");
    assert_true(order_at(s, slow)->reduce_only);
    sums_agree(s);
    stage_free(s);
}

/* A stop without the mark that waits here, and fires while the breaker is open. */
static void what_fires_while_barred_stays_a_way_out(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.breaker = (struct breaker_options){ .failures = 1, .open_for_ns = SECONDS(10) };
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    take(s, A, BTC, SIDE_BUY, "10", "100");
    uint64_t stop = submit(s, A, stop_of(SIDE_SELL, "10", "95"));
    assert_false(order_at(s, stop)->reduce_only);
    assert_done(s, engine_set_breaker(s->engine, s->now_ns, NULL, true, "a person", &s->err));
    trade(s, BTC, "95");
    assert_true(last_sent(s, SENT_SUBMIT)->order.order_id == stop);
    assert_true(last_sent(s, SENT_SUBMIT)->order.reduce_only);
    sums_agree(s);
    stage_free(s);
}

/* ---- what never arrived and is sent again ---- */

static void answer_not_found(struct stage *s, uint64_t id)
{
    uint64_t ticket = last_query(s)->ticket;
    struct report report = report_on(s, id, REPORT_NOT_FOUND);
    report.ticket = ticket;
    assert_done(s, tell_code(s, &report));
    struct event event = { .kind = EVENT_ANSWER,
                           .time_ns = s->now_ns,
                           .answer = { .ticket = ticket, .complete = true } };
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

/* An order of ours that it would meet came meanwhile. */
static void what_is_sent_again_does_not_meet_our_own_order(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.self_trade_prevention = true;
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, request_of(SIDE_BUY, "1"));
    tell(s, id, REPORT_DOUBT);
    assert_passes(s, submit(s, A, limit_of(SIDE_SELL, "1", "101")));
    trade(s, BTC, "102");
    answer_not_found(s, id);
    later(s, SECONDS(32));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_string_equal(status_of(s, id), "rejected");
    stage_free(s);
}

/* It was to close a short, without a bound; the short is closed meanwhile, and it would open. */
static void what_would_need_a_bound_is_not_sent_again(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_COLLAR, "0.05");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    take(s, A, BTC, SIDE_SELL, "1", "100");
    uint64_t id = submit(s, A, request_of(SIDE_BUY, "1"));
    settle(s);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
    tell(s, id, REPORT_DOUBT);
    uint64_t other = submit(s, A, reduce_only(request_of(SIDE_BUY, "1")));
    settle(s);
    fill(s, other, "1", "100");
    size_t sent = count_sent(s, SENT_SUBMIT);
    answer_not_found(s, id);
    later(s, SECONDS(32));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), sent);
    assert_string_equal(status_of(s, id), "rejected");
    stage_free(s);
}

/* Two that never arrived, and a breaker that is half open by then: one is its probe. */
static void what_is_sent_again_is_a_probe(void **state)
{
    (void)state;
    struct risk_limits limits;
    struct risk_options risk = plain;
    risk.breaker = (struct breaker_options){ .failures = 1,
                                             .open_for_ns = SECONDS(10),
                                             .half_open_probes = 2 };
    risk_limits_init(&limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
    trade(s, BTC, "100");
    uint64_t ids[2] = { submit(s, A, request_of(SIDE_BUY, "1")),
                        submit(s, A, request_of(SIDE_BUY, "2")) };
    for (int i = 0; i < 2; i++) {
        tell(s, ids[i], REPORT_DOUBT);
        answer_not_found(s, ids[i]);
    }
    trade(s, BTC, "100");
    later(s, SECONDS(32));
    size_t asked = s->query_count;
    for (size_t at = asked - 2; at < asked; at++)
        for (int i = 0; i < 2; i++) {
            const struct order *order = order_at(s, ids[i]);
            if (strcmp(s->query_ids[at], order->client_order_id) != 0)
                continue;
            struct report report = report_on(s, ids[i], REPORT_NOT_FOUND);
            report.ticket = s->queries[at].ticket;
            assert_done(s, tell_code(s, &report));
            struct event event = { .kind = EVENT_ANSWER,
                                   .time_ns = s->now_ns,
                                   .answer = { .ticket = report.ticket, .complete = true } };
            assert_done(s, engine_step(s->engine, &event, &s->err));
        }
    assert_int_equal(count_sent(s, SENT_SUBMIT), 3);
    stage_free(s);
}

/* ---- a restart ---- */

/* Six at the market were on their way: they count as soon as there is a price for them. */
static void what_a_restart_finds_on_its_way_counts(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_VOLUME, "1000");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    struct order order = { .order_id = 7,
                           .instance_id = 1,
                           .instrument = BTC,
                           .side = SIDE_BUY,
                           .type = ORDER_MARKET,
                           .qty = D("6"),
                           .price = DECIMAL_NONE,
                           .trigger_price = DECIMAL_NONE,
                           .trail = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .wanted_qty = DECIMAL_NONE,
                           .known = ORDER_PENDING_NEW,
                           .pending_qty = DECIMAL_NONE,
                           .pending_price = DECIMAL_NONE,
                           .filled_qty = DECIMAL_ZERO,
                           .notional = DECIMAL_ZERO,
                           .fees = DECIMAL_ZERO,
                           .inferred_qty = DECIMAL_ZERO,
                           .inferred_notional = DECIMAL_ZERO,
                           .expires_ns = TIME_NEVER };
    strcpy(order.client_order_id, "r7");
    strcpy(order.current_client_order_id, "r7");
    assert_done(s, engine_restore_order(s->engine, &order, &s->err));
    trade(s, BTC, "100");
    assert_reduced(s, submit(s, A, limit_of(SIDE_BUY, "5", "100")), "max_daily_volume", "4", "");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_that_fires_leaves_bound_by_the_collar),
        cmocka_unit_test(a_stop_that_is_through_leaves_bound_by_the_collar),
        cmocka_unit_test(a_stop_that_reduces_is_not_bound),
        cmocka_unit_test(a_stop_that_fires_does_not_meet_our_own_order),
        cmocka_unit_test(linked_orders_are_two_messages),
        cmocka_unit_test(the_rest_of_a_linked_order_passes_the_gate),
        cmocka_unit_test(a_stop_that_halts_as_it_fires_ends_once),
        cmocka_unit_test(what_was_asked_for_before_a_halt_of_the_turn_does_not_leave),
        cmocka_unit_test(a_change_before_a_halt_of_the_turn_does_not_leave),
        cmocka_unit_test(what_a_breaker_of_the_turn_overtook_does_not_leave),
        cmocka_unit_test(what_leaves_while_halted_stays_a_way_out),
        cmocka_unit_test(what_fires_while_barred_stays_a_way_out),
        cmocka_unit_test(what_is_sent_again_does_not_meet_our_own_order),
        cmocka_unit_test(what_would_need_a_bound_is_not_sent_again),
        cmocka_unit_test(what_is_sent_again_is_a_probe),
        cmocka_unit_test(what_a_restart_finds_on_its_way_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
