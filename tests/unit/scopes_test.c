/* scopes_test.c - each limit in each scope, on both sides of its edge, through a whole engine; the
 * day, restarts in it, and what a scope's loss stops.
 *
 * Capital is 100,000. BTC trades in lots of 0.001 at a tick of 0.1, a price of 100 stands. */
#include "tests/unit/risk_fixture.h"

#include "runtime/config/calendars.h"

static const struct risk_options plain = { .no_stop_pct = { 5, 2 }, .cancel_reserve = 0.2 };
static struct risk_limits no_limits;

/* ---- each limit in each scope ---- */

struct edge {
    enum limit limit;
    const char *value;
    void (*check)(struct stage *s, const char *scope);
};

static uint64_t buy(struct stage *s, const char *qty)
{
    return submit(s, A, limit_of(SIDE_BUY, qty, "100"));
}

/* 1 x 100 is 100; one lot more is not. */
static void order_size_edge(struct stage *s, const char *scope)
{
    assert_passes(s, buy(s, "1"));
    assert_int_equal(count_verdicts(s), 0);
    assert_reduced(s, buy(s, "1.001"), "max_order_size", "1", scope);
    assert_passes(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100"))));
}

/* 500 are filled, 300 are open: 200 are left. */
static void volume_edge(struct stage *s, const char *scope)
{
    take(s, A, BTC, SIDE_BUY, "5", "100");
    assert_passes(s, buy(s, "3"));
    uint64_t last = buy(s, "2");
    assert_passes(s, last);
    assert_int_equal(count_verdicts(s), 0);
    assert_refused(s, buy(s, "0.1"), "max_daily_volume", scope);
    tell(s, last, REPORT_CANCELED);
    assert_reduced(s, buy(s, "2.001"), "max_daily_volume", "2", scope);
}

/* The instance's own first position; of a symbol the second instance's is the second. */
static void positions_edge(struct stage *s, const char *scope)
{
    bool of_symbol = strstr(scope, "symbol") != NULL;
    if (of_symbol)
        add_of_all(s, NULL);
    trade(s, ETH, "100");
    assert_passes(s, buy(s, "1"));
    assert_passes(s, buy(s, "1")); /* the same one */
    uint64_t second = of_symbol ? submit(s, B, limit_of(SIDE_BUY, "1", "100"))
                                : submit(s, A, in(ETH, limit_of(SIDE_BUY, "1", "100")));
    assert_refused(s, second, "max_open_positions", scope);
}

/* One bought at 200: at 100.01 99.99 are lost, at 100 it is 100. Judged by the order itself, within
 * the second. */
static void loss_edge(struct stage *s, const char *scope)
{
    take(s, A, BTC, SIDE_BUY, "1", "200");
    trade(s, BTC, "100.01");
    assert_passes(s, buy(s, "0.1"));
    trade(s, BTC, "100");
    assert_refused(s, buy(s, "0.1"), "max_daily_loss", scope);
    assert_string_equal(verdict_name(newest_verdict(s).verdict), "halt");
    assert_string_equal(newest_verdict(s).reason, s->refusal.reason);
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "1"))); /* out */
}

/* 10 x 100 is 0.01 of 100,000. */
static void position_edge(struct stage *s, const char *scope)
{
    uint64_t all = buy(s, "10");
    assert_passes(s, all);
    assert_int_equal(count_verdicts(s), 0);
    assert_refused(s, buy(s, "0.1"), "max_position_size", scope);
    tell(s, all, REPORT_CANCELED);
    assert_reduced(s, buy(s, "10.001"), "max_position_size", "10", scope);
}

/* S = 20/19 ln(1.01)^2 8760 = 0.9129680, its root 0.9554936: a weight of 0.25 / 0.9554936 =
 * 0.2616449 is 26,164.488, or 261.644 whole lots at 100. */
static void volatility_edge(struct stage *s, const char *scope)
{
    swing(s, BTC, false);
    trade(s, BTC, "100");
    uint64_t all = buy(s, "261.644");
    assert_passes(s, all);
    assert_int_equal(count_verdicts(s), 0);
    tell(s, all, REPORT_CANCELED);
    assert_reduced(s, buy(s, "261.645"), "max_portfolio_volatility", "261.644", scope);
}

/* Without a stop 0.05 of 20 x 100 are 100, 0.001 of the equity. */
static void heat_edge(struct stage *s, const char *scope)
{
    uint64_t all = buy(s, "20");
    assert_passes(s, all);
    assert_int_equal(count_verdicts(s), 0);
    assert_refused(s, buy(s, "0.1"), "max_portfolio_heat", scope);
    tell(s, all, REPORT_CANCELED);
    assert_reduced(s, buy(s, "20.001"), "max_portfolio_heat", "20", scope);
}

/* Bought at 200, at 250 the peak is 100,050 and 0.001 of it 100.05: 149.95 is that far below. */
static void drawdown_edge(struct stage *s, const char *scope)
{
    take(s, A, BTC, SIDE_BUY, "1", "200");
    trade(s, BTC, "250");
    later(s, SECONDS(1));
    trade(s, BTC, "149.96");
    assert_passes(s, buy(s, "0.1"));
    trade(s, BTC, "149.95");
    assert_refused(s, buy(s, "0.1"), "max_drawdown", scope);
    assert_string_equal(verdict_name(newest_verdict(s).verdict), "halt");
}

/* 5 of each are lost at a stop of 95: 20 lose 100. */
static void trade_risk_edge(struct stage *s, const char *scope)
{
    struct order_request request = limit_of(SIDE_BUY, "20", "100");
    request.stop = D("95");
    assert_passes(s, submit(s, A, request));
    assert_passes(s, submit(s, A, request)); /* each alone */
    assert_int_equal(count_verdicts(s), 0);
    request.qty = D("20.001");
    uint64_t id = submit(s, A, request);
    if (id != 0) {
        assert_reduced(s, id, "per_trade_risk", "20", scope);
    }
}

/* One filled, one open. */
static void trades_edge(struct stage *s, const char *scope)
{
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t second = buy(s, "1");
    assert_passes(s, second);
    assert_refused(s, buy(s, "1"), "max_daily_trades", scope);
    tell(s, second, REPORT_CANCELED); /* it never filled */
    assert_passes(s, buy(s, "1"));
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "1")));
}

/* Of 5 one is kept for cancels. They count until exactly one second after them. */
static void rate_edge(struct stage *s, const char *scope)
{
    for (int i = 0; i < 4; i++)
        assert_passes(s, buy(s, "1"));
    assert_refused(s, buy(s, "1"), "max_orders_per_second", scope);
    to(s, T0 + SECONDS(1) - 1);
    heartbeat(s);
    assert_refused(s, buy(s, "1"), "max_orders_per_second", scope);
    to(s, T0 + SECONDS(1));
    heartbeat(s);
    assert_passes(s, buy(s, "1"));
}

/* A tick around 105 for buys and 95 for sells. */
static void collar_edge(struct stage *s, const char *scope)
{
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "105")));
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "1", "105.1")), "price_collar", scope);
    assert_passes(s, submit(s, A, limit_of(SIDE_SELL, "1", "95")));
    assert_refused(s, submit(s, A, limit_of(SIDE_SELL, "1", "94.9")), "price_collar", scope);
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "10"))); /* away from the market */
}

static void each_limit_binds_in_each_scope(void **state)
{
    (void)state;
    static const struct edge edges[] = {
        { LIMIT_ORDER_SIZE, "100", order_size_edge },
        { LIMIT_DAILY_VOLUME, "1000", volume_edge },
        { LIMIT_OPEN_POSITIONS, "1", positions_edge },
        { LIMIT_DAILY_LOSS, "100", loss_edge },
        { LIMIT_DAILY_LOSS_PCT, "0.001", loss_edge },
        { LIMIT_POSITION_SIZE, "0.01", position_edge },
        { LIMIT_VOLATILITY, "0.25", volatility_edge },
        { LIMIT_HEAT, "0.001", heat_edge },
        { LIMIT_DRAWDOWN, "0.001", drawdown_edge },
        { LIMIT_TRADE_RISK, "0.001", trade_risk_edge },
        { LIMIT_DAILY_TRADES, "2", trades_edge },
        { LIMIT_ORDER_RATE, "5", rate_edge },
        { LIMIT_COLLAR, "0.05", collar_edge },
    };
    assert_int_equal(ARRAY_SIZE(edges), LIMITS);
    for (size_t i = 0; i < LIMITS; i++)
        for (enum scope_kind scope = 0; scope < SCOPES; scope++) {
            struct risk_limits limits = limits_of(edges[i].limit, edges[i].value);
            struct stage *s = stage_limited(scope, &limits, plain);
            trade(s, BTC, "100");
            trade(s, OTHER, "100");
            edges[i].check(s, scope_suffix[scope]);
            stage_free(s);
        }
}

/* ---- what a loss stops ---- */

/* A and B trade BTC and ETH at "fake"; the limits are A's, of the venue, or of BTC. */
static struct stage *stage_of_two(enum scope_kind scope, const struct risk_limits *limits,
                                  struct risk_options risk)
{
    struct stage *s = stage_limited(scope, limits, risk);
    add_of_all(s, NULL);
    trade(s, BTC, "100");
    trade(s, ETH, "100");
    trade(s, OTHER, "100");
    return s;
}

/* 10 are held; at 89 110 are lost, seen with the next second. */
static void lose(struct stage *s)
{
    take(s, A, BTC, SIDE_BUY, "10", "100");
    trade(s, BTC, "89");
    later(s, SECONDS(1));
    heartbeat(s);
}

static uint64_t bid(struct stage *s, int who, uint32_t instrument)
{
    return submit(s, who, in(instrument, limit_of(SIDE_BUY, "1", "80")));
}

struct reach {
    enum scope_kind scope;
    bool a_btc, a_eth, b_btc, a_other; /* what it stops */
};

static void assert_stopped(struct stage *s, bool stops, int who, uint32_t instrument,
                           const char *name)
{
    uint64_t id = bid(s, who, instrument);
    if (stops) {
        assert_refused(s, id, "halted", "today's loss of 110 reaches the limit of 100");
        assert_non_null(strstr(s->refusal.reason, name));
    } else {
        assert_passes(s, id);
    }
}

static void a_loss_stops_its_scope_alone_until_the_day_ends(void **state)
{
    (void)state;
    static const struct reach reaches[] = { { SCOPE_VENUE, true, true, true, false },
                                            { SCOPE_STRATEGY, true, true, false, true },
                                            { SCOPE_SYMBOL, true, false, true, false } };
    static const char *const names[] = { "", "venue fake", "strategy fake on BTC/USDT",
                                         "symbol BTC/USDT" };
    for (size_t i = 0; i < ARRAY_SIZE(reaches); i++) {
        const struct reach *reach = &reaches[i];
        const char *name = names[reach->scope];
        struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
        struct stage *s = stage_of_two(reach->scope, &limits, plain);
        uint64_t entry = bid(s, A, BTC), other = bid(s, A, OTHER), of_b = bid(s, B, ETH);
        take(s, A, BTC, SIDE_BUY, "10", "100");
        uint64_t out = submit(s, A, reduce_only(limit_of(SIDE_SELL, "5", "120")));
        trade(s, BTC, "89");
        later(s, SECONDS(1));
        heartbeat(s);
        assert_false(engine_is_halted(s->engine, NULL));
        assert_string_equal(status_of(s, entry), "pending_cancel");
        assert_string_equal(status_of(s, out), "pending_new");
        assert_string_equal(status_of(s, other), reach->a_other ? "pending_cancel" : "pending_new");
        assert_string_equal(status_of(s, of_b),
                            reach->scope == SCOPE_VENUE ? "pending_cancel" : "pending_new");
        assert_stopped(s, reach->a_btc, A, BTC, name);
        assert_stopped(s, reach->a_eth, A, ETH, name);
        assert_stopped(s, reach->b_btc, B, BTC, name);
        assert_stopped(s, reach->a_other, A, OTHER, name);
        assert_passes(s, submit(s, A, request_of(SIDE_SELL, "1")));
        to(s, T0 + DAY);
        heartbeat(s);
        assert_passes(s, bid(s, A, BTC));
        stage_free(s);
    }
}

static void a_halt_of_a_scope_insists_on_its_cancels(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct stage *s = stage_of_two(SCOPE_STRATEGY, &limits, plain);
    uint64_t entry = bid(s, A, BTC);
    tell(s, entry, REPORT_ACK);
    lose(s);
    assert_string_equal(status_of(s, entry), "pending_cancel");
    tell_why(s, entry, REPORT_CANCEL_REJECT, "busy");
    assert_string_equal(status_of(s, entry), "unknown"); /* asked for, to be canceled again */
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "cancel_refused");
    stage_free(s);
}

/* Lifted by the day's end, but where halts latch; a drawdown never is. */
static void a_loss_of_the_account_halts_the_session(void **state)
{
    (void)state;
    static const struct {
        enum limit limit;
        bool latch, lifted;
        const char *value, *code;
    } cases[] = { { LIMIT_DAILY_LOSS, false, true, "100", "daily_loss_limit" },
                  { LIMIT_DAILY_LOSS_PCT, false, true, "0.0005", "daily_loss_limit" },
                  { LIMIT_DAILY_LOSS, true, false, "100", "daily_loss_limit" },
                  { LIMIT_DRAWDOWN, false, false, "0.0005", "drawdown_limit" } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct risk_limits limits = limits_of(cases[i].limit, cases[i].value);
        struct risk_options risk = plain;
        risk.halts_latch = cases[i].latch;
        struct stage *s = stage_of_two(SCOPE_ACCOUNT, &limits, risk);
        uint64_t entry = bid(s, B, OTHER);
        lose(s);
        assert_true(engine_is_halted(s->engine, NULL));
        assert_string_equal(engine_halt_code(s->engine), cases[i].code);
        assert_string_equal(status_of(s, entry), "pending_cancel");
        assert_refused(s, bid(s, B, ETH), "halted", "trading is halted: ");
        assert_passes(s, submit(s, A, reduce_only(request_of(SIDE_SELL, "1"))));
        to(s, T0 + DAY - 1);
        heartbeat(s);
        assert_true(engine_is_halted(s->engine, NULL));
        to(s, T0 + DAY);
        heartbeat(s);
        assert_int_equal(engine_is_halted(s->engine, NULL), !cases[i].lifted);
        stage_free(s);
    }
}

/* The day's is the shorter one: an operator's takes its place, and stays. */
static void a_halt_for_good_takes_the_place_of_the_days(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct stage *s = stage_of_two(SCOPE_ACCOUNT, &limits, plain);
    lose(s);
    assert_done(s, engine_halt(s->engine, s->now_ns, "operator", "enough", false, false, &s->err));
    assert_string_equal(engine_halt_code(s->engine), "operator");
    to(s, T0 + DAY);
    heartbeat(s);
    assert_true(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

/* Scopes, the session and instruments; what was lost is accepted, and as much again halts again. */
static void halts_are_lifted_by_hand(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct stage *s = stage_of_two(SCOPE_STRATEGY, &limits, plain);
    lose(s);
    engine_restore_halt(s->engine, "ETH/USDT", "overfill", "it was");
    engine_restore_halt(s->engine, "session", "position_mismatch", "not equal");
    limits.value[LIMIT_DAILY_LOSS] = D("200");
    engine_set_limits(s->engine, A, &limits);
    assert_refused(s, bid(s, A, BTC), "halted", "not equal");
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "the operator", &s->err));
    assert_false(engine_is_halted(s->engine, NULL));
    assert_false(engine_is_instrument_halted(s->engine, ETH));
    assert_passes(s, bid(s, A, BTC));
    assert_passes(s, bid(s, A, ETH));
    trade(s, BTC, "69.1"); /* from 89: 199 are lost */
    later(s, SECONDS(1));
    heartbeat(s);
    assert_passes(s, bid(s, A, BTC));
    trade(s, BTC, "69");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_refused(s, bid(s, A, BTC), "halted", "today's loss of 200 reaches the limit of 200");
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "the operator", &s->err));
    assert_passes(s, bid(s, A, BTC));
    stage_free(s);
}

/* From the peak too: a person who lifts it begins anew from what is left. */
static void a_drawdown_that_was_lifted_is_accepted(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DRAWDOWN, "0.001"); /* 100 of 100,000 */
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    lose(s);
    assert_true(engine_is_halted(s->engine, NULL));
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "the operator", &s->err));
    later(s, SECONDS(1));
    heartbeat(s);
    assert_false(engine_is_halted(s->engine, NULL));
    trade(s, BTC, "79"); /* 100 of 99,890 */
    later(s, SECONDS(1));
    heartbeat(s);
    assert_true(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

static void a_halt_by_hand_before_the_first_event_stands(void **state)
{
    (void)state;
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    assert_done(s, engine_lift_halts(s->engine, T0 - 1, "nobody", &s->err));
    assert_done(s, engine_halt(s->engine, T0, "operator", "early", false, false, &s->err));
    trade(s, BTC, "100");
    assert_refused(s, buy(s, "1"), "halted", "early");
    stage_free(s);
}

/* ---- races, late fills, limits that change ---- */

static void two_strategies_race_for_the_last_unit(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.005"); /* of 200,000: 1,000 */
    struct stage *s = stage_of_two(SCOPE_ACCOUNT, &limits, plain);
    uint64_t ids[2];
    for (int who = A; who <= B; who++) { /* in one turn, nothing has left yet */
        struct order_request request = limit_of(SIDE_BUY, "10", "100");
        ids[who] = engine_submit(s->engine, who, &request, &s->refusal);
    }
    assert_true(ids[A] != 0);
    assert_refused(s, ids[B], "max_position_size", "");
    settle(s);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    /* On the other side there is room for as much. */
    assert_passes(s, submit(s, B, limit_of(SIDE_SELL, "10", "100")));
    assert_refused(s, submit(s, B, limit_of(SIDE_SELL, "0.1", "100")), "max_position_size", "");
    stage_free(s);
}

/* What fills after its cancel counts like any other. */
static void a_late_fill_after_a_cancel_counts(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.01");
    struct stage *s = stage_limited(SCOPE_SYMBOL, &limits, plain);
    trade(s, BTC, "100");
    uint64_t first = buy(s, "10");
    tell(s, first, REPORT_ACK);
    assert_true(engine_cancel(s->engine, A, first, &s->refusal));
    settle(s);
    assert_refused(s, buy(s, "1"), "max_position_size", "symbol BTC/USDT"); /* it may still fill */
    tell(s, first, REPORT_CANCELED);
    uint64_t second = buy(s, "10");
    assert_passes(s, second);
    fill(s, first, "10", "100");
    sums_agree(s);
    assert_decimal(held(s, BTC), "10");
    assert_refused(s, buy(s, "1"), "max_position_size", "");
    tell(s, second, REPORT_CANCELED);
    assert_refused(s, buy(s, "1"), "max_position_size", "");
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "10")));
    stage_free(s);
}

/* What is there stays; nothing is added, everything may go. */
static void a_limit_is_lowered_under_the_position(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.01");
    struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
    take(s, A, BTC, SIDE_BUY, "8", "100");
    uint64_t working = buy(s, "2");
    tell(s, working, REPORT_ACK);
    limits.value[LIMIT_POSITION_SIZE] = D("0.005");
    engine_set_limits(s->engine, A, &limits);
    assert_refused(s, buy(s, "0.1"), "max_position_size", "strategy");
    assert_false(engine_amend(s->engine, A, working, D("3"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "max_position_size");
    assert_true(engine_amend(s->engine, A, working, D("1"), DECIMAL_NONE, &s->refusal));
    settle(s);
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "8")));
    stage_free(s);
}

/* No limit beyond what an int64 or the ring can hold is a mistake. */
static void a_rate_beyond_measure_is_none(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "99999999999999999999999");
    struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
    trade(s, BTC, "100");
    for (int i = 0; i < 100; i++)
        assert_passes(s, buy(s, "1"));
    limits = limits_of(LIMIT_ORDER_RATE, "100001");
    engine_set_limits(s->engine, A, &limits);
    assert_passes(s, buy(s, "1"));
    stage_free(s);
}

/* ---- messages ---- */

/* Two of three are for orders. New limits, or new code, do not make a new second. */
static void a_reload_forgets_no_message(void **state)
{
    (void)state;
    for (int tries = 0; tries < 2; tries++) {
        struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "3");
        struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
        trade(s, BTC, "100");
        assert_passes(s, buy(s, "1"));
        assert_passes(s, buy(s, "1"));
        struct guest guest = fake_guest_port(&s->guests[0]);
        if (tries)
            assert_done(
                s, engine_try_guests(s->engine, A, 1, &guest, &limits, false, s->now_ns, &s->err));
        else
            engine_set_limits(s->engine, A, &limits);
        assert_refused(s, buy(s, "1"), "max_orders_per_second", "");
        to(s, s->now_ns + SECONDS(1));
        heartbeat(s);
        assert_passes(s, buy(s, "1"));
        stage_free(s);
    }
}

/* Of 5 a second 4 may be orders: two orders, a replace and a cancel are four. */
static void cancels_and_replaces_are_messages(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "5");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    trade(s, BTC, "100");
    uint64_t first = buy(s, "1"), second = buy(s, "1");
    tell(s, first, REPORT_ACK);
    tell(s, second, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, first, D("0.5"), DECIMAL_NONE, &s->refusal));
    settle(s);
    assert_true(engine_cancel(s->engine, A, second, &s->refusal));
    settle(s);
    assert_refused(s, buy(s, "1"), "max_orders_per_second", "");
    tell(s, first, REPORT_REPLACED);
    assert_true(engine_cancel(s->engine, A, first, &s->refusal)); /* always leaves */
    settle(s);
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    stage_free(s);
}

static int ask_and_fail(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    for (int i = 0; i < 3; i++) {
        uint64_t id =
            engine_submit(guest->stage->engine, guest->index, &request, &guest->stage->refusal);
        assert_true(id != 0);
        assert_true(engine_cancel(guest->stage->engine, guest->index, id, &guest->stage->refusal));
    }
    return error_set(err, ERROR_DATA, "it broke");
}

/* Nothing of it left. */
/* Of 3 a second 2 may be entries: an order and one new price. What asks for less always leaves, and
 * so does another price of a way out. */
static void a_cheaper_price_is_a_message_too(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "3");
    struct stage *s = stage_limited(SCOPE_SYMBOL, &limits, plain);
    take(s, A, BTC, SIDE_SELL, "5", "100");
    later(s, SECONDS(2));
    heartbeat(s);
    uint64_t entry = submit(s, A, limit_of(SIDE_SELL, "1", "120"));
    uint64_t out = submit(s, A, limit_of(SIDE_BUY, "5", "90"));
    uint64_t beside = submit(s, A, reduce_only(limit_of(SIDE_BUY, "5", "80")));
    assert_true(entry != 0 && out != 0 && beside != 0);
    tell(s, entry, REPORT_ACK);
    tell(s, out, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, out, DECIMAL_NONE, D("89"), &s->refusal));
    assert_true(engine_amend(s->engine, A, entry, D("0.5"), DECIMAL_NONE, &s->refusal));
    settle(s);
    stage_free(s);

    s = stage_limited(SCOPE_SYMBOL, &limits, plain);
    trade(s, BTC, "100");
    entry = buy(s, "1");
    tell(s, entry, REPORT_ACK);
    for (int i = 0; i < 2; i++) {
        bool leaves =
            engine_amend(s->engine, A, entry, DECIMAL_NONE, D(i ? "98" : "99"), &s->refusal);
        settle(s);
        assert_true(leaves == (i == 0));
        if (leaves)
            tell(s, entry, REPORT_REPLACED);
    }
    assert_string_equal(s->refusal.code, "max_orders_per_second");
    assert_int_equal(count_sent(s, SENT_AMEND), 1);
    stage_free(s);
}

static void what_a_failed_callback_asked_for_is_not_counted(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "10");
    struct stage *s = stage_of_two(SCOPE_ACCOUNT, &limits, plain);
    s->guests[A].on = ask_and_fail;
    trade(s, BTC, "100");
    assert_int_equal(engine_instances_alive(s->engine), 1);
    sums_agree(s);
    for (int i = 0; i < 8; i++)
        assert_passes(s, bid(s, B, BTC));
    assert_refused(s, bid(s, B, BTC), "max_orders_per_second", "");
    stage_free(s);
}

/* What rests in the runtime is no message; what fires is. */
static void an_order_that_rests_here_is_a_message_when_it_leaves(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "5");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    trade(s, BTC, "100");
    for (int i = 0; i < 6; i++) {
        struct order_request stop = request_of(SIDE_BUY, "1");
        stop.type = ORDER_STOP;
        stop.trigger_price = D("110");
        assert_passes(s, submit(s, A, stop));
    }
    trade(s, BTC, "110");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 4); /* two are refused */
    assert_int_equal(engine_open_orders(s->engine), 4);
    stage_free(s);
}

/* ---- other code behind an instance ---- */

static int refuse_to_start(struct fake_guest *guest, enum guest_call call,
                           const struct guest_event *event, struct error *err)
{
    (void)guest, (void)event;
    return call == GUEST_START ? error_set(err, ERROR_DATA, "no") : 0;
}

static void limits_stay_where_new_code_does_not_start(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_RATE, "5");
    struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
    trade(s, BTC, "100");
    for (int i = 0; i < 3; i++)
        assert_passes(s, buy(s, "1"));
    struct fake_guest fresh = { .stage = s, .on = refuse_to_start };
    struct guest guest = fake_guest_port(&fresh);
    struct risk_limits wide = limits_of(LIMIT_ORDER_RATE, "50");
    struct error why = { 0 };
    assert_int_equal(engine_try_guests(s->engine, A, 1, &guest, &wide, true, s->now_ns, &why),
                     ERROR_REFUSED);
    assert_passes(s, buy(s, "1"));
    assert_refused(s, buy(s, "1"), "max_orders_per_second", "strategy");
    fresh.on = NULL;
    assert_int_equal(engine_try_guests(s->engine, A, 1, &guest, &wide, true, s->now_ns, &why), 0);
    assert_passes(s, buy(s, "1"));
    stage_free(s);
}

/* ---- the day ---- */

/* The same account after a restart: what the ledger gives back. */
static struct stage *restarted(struct stage *old, const struct stage_plan *plan, int64_t now_ns)
{
    struct stage *s = stage_new_planned(plan);
    s->now_ns = now_ns;
    add_of_all(s, NULL);
    for (uint32_t i = 0; i < s->instruments.count; i++)
        assert_done(s, engine_restore_position(s->engine, A, i, engine_position(old->engine, A, i),
                                               &s->err));
    assert_done(
        s, engine_restore_risk(s->engine, old->risk_state.data, old->risk_state.length, &s->err));
    stage_free(old);
    return s;
}

static struct engine_day day_of(struct stage *s)
{
    struct engine_day day;
    engine_day(s->engine, &day);
    return day;
}

/* 5 bought at 100 and sold at 99: 995 of volume, two trades, 5 lost. */
static struct stage *busy_stage(const struct stage_plan *plan)
{
    struct stage *s = stage_new_planned(plan);
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "5", "100");
    take(s, A, BTC, SIDE_SELL, "5", "99");
    return s;
}

static struct stage_plan keeping(const struct risk_limits *limits)
{
    struct stage_plan plan = { .account = limits, .risk = plain, .more_instruments = more_venues };
    plan.risk.keeps_day = true;
    return plan;
}

static void a_restart_goes_on_with_the_day(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "6");
    limits.value[LIMIT_DAILY_VOLUME] = D("1195");
    limits.value[LIMIT_DAILY_TRADES] = D("4");
    struct stage_plan plan = keeping(&limits);
    struct stage *s = restarted(busy_stage(&plan), &plan, T0 + NS_PER_HOUR);
    trade(s, BTC, "100");
    assert_decimal(day_of(s).opening_equity, "100000");
    assert_decimal(day_of(s).volume, "995");
    assert_int_equal(day_of(s).trades, 2);
    assert_true(day_of(s).began_ns == T0);
    uint64_t last = buy(s, "2"); /* 1,195 */
    assert_passes(s, last);
    assert_refused(s, buy(s, "0.1"), "max_daily_volume", "");
    tell(s, last, REPORT_CANCELED);
    take(s, A, BTC, SIDE_BUY, "1", "100");
    trade(s, BTC, "99.01"); /* 5.99 are lost */
    assert_passes(s, buy(s, "0.1"));
    assert_refused(s, buy(s, "0.1"), "max_daily_trades", "");
    trade(s, BTC, "99");
    assert_refused(s, submit(s, A, limit_of(SIDE_SELL, "3", "99")), "max_daily_trades", "");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_string_equal(engine_halt_code(s->engine), "daily_loss_limit");
    stage_free(s);
}

/* 995 were traded while the symbol had no limit: of 1,000 there are 5 left. */
static void a_limit_that_is_new_after_a_restart_knows_the_day(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_VOLUME, "1000");
    struct named_limits named = { .name = "BTC/USDT", .limits = limits };
    struct stage_plan plan = keeping(NULL), limited = keeping(NULL);
    limited.risk.symbols = &named;
    limited.risk.symbol_count = 1;
    struct stage *s = restarted(busy_stage(&plan), &limited, T0 + NS_PER_HOUR);
    trade(s, BTC, "100");
    assert_reduced(s, buy(s, "1"), "max_daily_volume", "0.05", "(symbol BTC/USDT)");
    stage_free(s);
}

static void a_restart_on_the_next_day_begins_anew(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "6");
    limits.value[LIMIT_DAILY_VOLUME] = D("1195");
    limits.value[LIMIT_DAILY_TRADES] = D("4");
    struct stage_plan plan = keeping(&limits);
    struct stage *s = restarted(busy_stage(&plan), &plan, T0 + DAY);
    trade(s, BTC, "100");
    assert_decimal(day_of(s).opening_equity, "99995");
    assert_decimal(day_of(s).volume, "0");
    assert_int_equal(day_of(s).trades, 0);
    assert_true(day_of(s).began_ns == T0 + DAY);
    stage_free(s);
}

/* The peak outlives days: 100,050, of which 0.001 are 100.05. */
static void a_restart_goes_on_with_the_peak(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DRAWDOWN, "0.001");
    struct stage_plan plan = keeping(&limits);
    struct stage *s = stage_new_planned(&plan);
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "1", "200");
    trade(s, BTC, "250");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err)); /* the peak alone is news */
    s = restarted(s, &plan, T0 + 3 * DAY);
    trade(s, BTC, "149.96");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_passes(s, buy(s, "0.1"));
    trade(s, BTC, "149.95");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_string_equal(engine_halt_code(s->engine), "drawdown_limit");
    stage_free(s);
}

/* Halts come back from the ledger; the day's go with the day, whenever that is seen. */
static void a_restart_in_a_halted_day(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "5");
    struct stage_plan plan = keeping(&limits);
    for (int latch = 0; latch < 2; latch++)
        for (int next_day = 0; next_day < 2; next_day++) {
            plan.risk.halts_latch = latch;
            struct stage *s = busy_stage(&plan);
            assert_true(engine_is_halted(s->engine, NULL));
            s = restarted(s, &plan, next_day ? T0 + DAY : T0 + NS_PER_HOUR);
            engine_restore_halt(s->engine, "session", "daily_loss_limit", "lost");
            engine_restore_halt(s->engine, "instance 1", "daily_loss_limit", "lost too");
            trade(s, BTC, "100");
            if (!next_day) {
                assert_refused(s, buy(s, "1"), "halted", "trading is halted: lost");
                to(s, T0 + DAY);
                trade(s, BTC, "100");
            }
            if (latch)
                assert_refused(s, buy(s, "1"), "halted", "trading is halted: lost");
            else
                assert_passes(s, buy(s, "1"));
            assert_int_equal(count_records(s, RECORD_HALT), latch ? 1 : 2); /* what was lifted */
            stage_free(s);
        }
}

static void a_drawdown_that_comes_back_outlives_the_day(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "5");
    struct stage_plan plan = keeping(&limits);
    struct stage *s = restarted(busy_stage(&plan), &plan, T0 + DAY);
    engine_restore_halt(s->engine, "session", "drawdown_limit", "lost");
    trade(s, BTC, "100");
    assert_refused(s, buy(s, "1"), "halted", "lost");
    stage_free(s);
}

/* 10 bought at 100. Worth 9,000 less at the first price of the new day: that was lost before it. */
static void a_day_that_begins_without_a_price_opens_with_the_first(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    limits.value[LIMIT_DAILY_TRADES] = D("1");
    struct stage_plan plan = keeping(&limits);
    struct stage *s = stage_new_planned(&plan);
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "10", "100");
    s = restarted(s, &plan, T0 + DAY + SECONDS(1));
    heartbeat(s);
    later(s, SECONDS(1));
    heartbeat(s);
    assert_int_equal(day_of(s).trades, 0); /* these need no price */
    assert_decimal(day_of(s).volume, "0");
    trade(s, ETH, "100");
    assert_refused(s, submit(s, A, in(ETH, limit_of(SIDE_BUY, "1", "100"))), "no_mark", "restart");
    trade(s, BTC, "80");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_false(engine_is_halted(s->engine, NULL));
    assert_decimal(day_of(s).opening_equity, "99800");
    assert_passes(s, buy(s, "1"));
    trade(s, BTC, "69.9"); /* 101 more */
    later(s, SECONDS(1));
    heartbeat(s);
    assert_true(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

/* Where no limit asks for a loss, a missing mark bars nothing. */
static void a_position_without_a_price_bars_new_risk_only_for_loss_limits(void **state)
{
    (void)state;
    for (enum limit limit = 0; limit < LIMITS; limit++) {
        bool watches =
            limit == LIMIT_DAILY_LOSS || limit == LIMIT_DAILY_LOSS_PCT || limit == LIMIT_DRAWDOWN;
        struct risk_limits limits = limits_of(limit, "1000");
        if (limit == LIMIT_VOLATILITY || limit == LIMIT_HEAT) /* these need all prices */
            continue;
        for (enum scope_kind scope = SCOPE_VENUE; scope <= SCOPE_SYMBOL; scope++) {
            struct stage *s = stage_limited(scope, &limits, plain);
            struct position position;
            position_init(&position);
            position.qty = D("1");
            position.cost = D("100");
            assert_done(s, engine_restore_position(s->engine, A, FUT, &position, &s->err));
            trade(s, OTHER, "100");
            uint64_t id = submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100")));
            if (watches) {
                assert_refused(s, id, "no_mark", "restart");
            } else if (id == 0) {
                fail_msg("%s", s->refusal.reason);
            }
            if (watches) {
                trade(s, FUT, "100");
                later(s, SECONDS(1));
                heartbeat(s);
                assert_passes(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "1", "100"))));
            }
            stage_free(s);
        }
    }
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "",
        "garbage",
        "[]",
        "null",
        "7",
        "{}",
        "{\"scopes\":{}}",
        "{\"day_end_ns\":1}",
        "{\"day_end_ns\":\"1\",\"scopes\":{}}",
        "{\"day_end_ns\":1.5,\"scopes\":{}}",
        "{\"day_end_ns\":99999999999999999999,\"scopes\":{}}",
        "{\"day_end_ns\":1,\"scopes\":[]}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":7}}",
        "{\"day_end_ns\":1e400,\"scopes\":{}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":null,"
        "\"volume\":null,\"trades\":0}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":null,"
        "\"volume\":\"0\",\"trades\":\"0\"}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":\"x\",\"peak\":null,"
        "\"volume\":\"0\",\"trades\":0}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":7,"
        "\"volume\":\"0\",\"trades\":0}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":null,"
        "\"volume\":\"\",\"trades\":0}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":null,"
        "\"volume\":\"0\",\"trades\":-1}}}",
        "{\"day_end_ns\":1,\"scopes\":{\"the account\":{\"opening\":null,\"peak\":null,"
        "\"volume\":\"0\",\"trades\":5000000000}}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
        if (engine_restore_risk(s->engine, garbage[i], strlen(garbage[i]), &s->err) != ERROR_IO)
            fail_msg("it was read: %s", garbage[i]);
        stage_free(s);
    }
}

/* The ledger has no halt any more, and the day's figures say that there was one. A loss that was
 * made meanwhile, without a halt, is another matter. */
static void a_halt_that_was_lifted_while_nothing_ran_is_accepted(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct risk_options keeps = plain;
    keeps.keeps_day = keeps.halts_latch = true;
    const struct stage_plan plan = { .account = &limits,
                                     .risk = keeps,
                                     .more_instruments = more_venues };
    for (int seen = 0; seen < 2; seen++) {
        struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, keeps);
        lose(s);
        assert_true(engine_is_halted(s->engine, NULL));
        assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
        char *lost = strstr(s->risk_state.data, "\"lost\":true");
        assert_non_null(lost);
        if (!seen)
            memcpy(lost, "\"lost\":null", strlen("\"lost\":null"));
        s = restarted(s, &plan, s->now_ns);
        trade(s, BTC, "89");
        later(s, SECONDS(1));
        heartbeat(s);
        assert_int_equal(engine_is_halted(s->engine, NULL), !seen);
        stage_free(s);
    }
}

/* What is held has no price yet when a person lifts the halt of a restored session: what is left,
 * and accepted, is known with the first one. */
static void a_lift_before_the_first_price_accepts_what_is_left_then(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "100");
    struct risk_options keeps = plain;
    keeps.keeps_day = keeps.halts_latch = true;
    const struct stage_plan plan = { .account = &limits,
                                     .risk = keeps,
                                     .more_instruments = more_venues };
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, keeps);
    lose(s);
    assert_true(engine_is_halted(s->engine, NULL));
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    s = restarted(s, &plan, s->now_ns);
    engine_restore_halt(s->engine, "session", "daily_loss_limit", "lost");
    assert_true(engine_is_halted(s->engine, NULL));
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "the operator", &s->err));
    trade(s, BTC, "89");
    later(s, SECONDS(1));
    heartbeat(s);
    assert_false(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

/* What later versions add, and scopes that are gone, are no fault. */
static void a_scope_that_is_gone_is_left_out(void **state)
{
    (void)state;
    static const char text[] = "{\"day_end_ns\":1704153600000000000,\"scopes\":{\"instance 9\":"
                               "{\"opening\":null,\"peak\":null,\"volume\":\"1\",\"trades\":1}},"
                               "\"more\":1}";
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    assert_done(s, engine_restore_risk(s->engine, text, strlen(text), &s->err));
    trade(s, BTC, "100");
    assert_decimal(day_of(s).opening_equity, "100000");
    assert_true(day_of(s).began_ns == T0);
    stage_free(s);
}

/* Monday 2024-01-01 is open from 09:00 to 17:00 UTC: the day ends at 17:00. */
static void the_day_ends_by_the_venues_calendar_where_asked(void **state)
{
    (void)state;
    static const char text[] = "zone: { offset: +00:00 }\n"
                               "sessions: [ { days: mon-fri, hours: 09:00-17:00 } ]\n";
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text, strlen(text), &calendar, &err), 0);
    const struct calendar *list[4] = { calendar, NULL, NULL, NULL };
    const struct calendar *none[4] = { NULL, NULL, NULL, NULL };
    for (int i = 0; i < 4; i++) {
        bool is_venues = i > 0;
        struct risk_limits limits = limits_of(LIMIT_DAILY_TRADES, "1");
        struct risk_options risk = plain;
        risk.day_is_venues = is_venues;
        risk.calendars = i == 1 || i == 0 ? list : i == 2 ? none : NULL;
        struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, risk);
        to(s, T0 + 10 * NS_PER_HOUR);
        take(s, A, BTC, SIDE_BUY, "1", "100");
        assert_refused(s, buy(s, "1"), "max_daily_trades", "");
        to(s, T0 + 17 * NS_PER_HOUR - 1);
        heartbeat(s);
        assert_int_equal(day_of(s).trades, 1);
        to(s, T0 + 17 * NS_PER_HOUR);
        heartbeat(s);
        assert_int_equal(day_of(s).trades, i == 1 ? 0 : 1);
        to(s, T0 + 24 * NS_PER_HOUR);
        heartbeat(s);
        assert_int_equal(day_of(s).trades, 0);
        stage_free(s);
    }
    calendar_release(calendar);
}

static void a_day_without_a_calendar_ends_at_midnight(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_VOLUME, "1000");
    struct stage *s = stage_limited(SCOPE_STRATEGY, &limits, plain);
    take(s, A, BTC, SIDE_BUY, "10", "100");
    uint64_t out = submit(s, A, request_of(SIDE_SELL, "5"));
    fill(s, out, "5", "100"); /* over the limit: getting out is never forbidden */
    assert_decimal(day_of(s).volume, "1500");
    to(s, T0 + DAY - 1);
    heartbeat(s);
    assert_refused(s, buy(s, "0.1"), "max_daily_volume", "strategy");
    to(s, T0 + DAY);
    heartbeat(s);
    assert_passes(s, buy(s, "1"));
    assert_decimal(day_of(s).volume, "0");
    assert_true(day_of(s).began_ns == T0 + DAY);
    to(s, T0 + 4 * DAY + 5); /* days without an event */
    heartbeat(s);
    assert_true(day_of(s).began_ns == T0 + 4 * DAY);
    stage_free(s);
}

/* A bust takes its volume back. */
static void a_bust_takes_its_volume_back(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_VOLUME, "1000");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    trade(s, BTC, "100");
    uint64_t id = buy(s, "10");
    struct report report = fill_report(s, id, D("10"), D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &report));
    report.kind = REPORT_BUST;
    assert_done(s, tell_code(s, &report));
    assert_decimal(day_of(s).volume, "0");
    sums_agree(s);
    stage_free(s);
}

/* What was bought yesterday and busted or corrected today leaves no room for more today. */
static void what_becomes_of_yesterdays_trade_is_no_volume(void **state)
{
    (void)state;
    for (int corrects = 0; corrects < 2; corrects++) {
        struct risk_limits limits = limits_of(LIMIT_DAILY_VOLUME, "1000");
        struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
        trade(s, BTC, "100");
        uint64_t id = buy(s, "10");
        struct report report = fill_report(s, id, D("10"), D("100"), DECIMAL_ZERO);
        assert_done(s, tell_code(s, &report));
        to(s, T0 + DAY);
        trade(s, BTC, "100");
        report.kind = corrects ? REPORT_CORRECT : REPORT_BUST;
        report.transact_ns = s->now_ns;
        report.fill.price = D("90");
        assert_done(s, tell_code(s, &report));
        assert_decimal(held(s, BTC), corrects ? "10" : "0");
        assert_decimal(day_of(s).volume, "0");
        tell(s, id, REPORT_CANCELED);
        assert_reduced(s, buy(s, "20"), "max_daily_volume", "10", "");
        stage_free(s);
    }
}

/* In the order of the scopes, then the instruments; the session's own halt is not among them. */
static void narrow_halts_are_listed(void **state)
{
    (void)state;
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    struct narrow_halt halt;
    assert_false(engine_narrow_halt(s->engine, 0, &halt));
    engine_restore_halt(s->engine, "session", "operator_halt", "a person's");
    engine_restore_halt(s->engine, "ETH/USDT", "overfill", "more than asked");
    engine_restore_halt(s->engine, "BTC/USDT", "late_fill", "after its end");
    engine_restore_halt(s->engine, "symbol BTC/USDT", "daily_loss_limit", "its loss");
    engine_restore_halt(s->engine, "venue other", "drawdown_limit", "the venue's");
    static const char *const scopes[] = { "venue other", "symbol BTC/USDT", "BTC/USDT",
                                          "ETH/USDT" };
    static const char *const codes[] = { "drawdown_limit", "daily_loss_limit", "late_fill",
                                         "overfill" };
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        assert_true(engine_narrow_halt(s->engine, i, &halt));
        assert_string_equal(halt.scope, scopes[i]);
        assert_string_equal(halt.code, codes[i]);
    }
    assert_string_equal(halt.reason, "more than asked");
    assert_false(engine_narrow_halt(s->engine, ARRAY_SIZE(scopes), &halt));
    stage_free(s);
}

/* 10^38 has no room for cents: an equity that cannot be told opens no day, is no peak, and lets no
 * new risk through where a loss is watched. */
static void an_equity_beyond_measure_bars_new_risk(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS_PCT, "0.02");
    struct stage *s = stage_new_planned(&(struct stage_plan){ .account = &limits, .risk = plain });
    struct instance_options options = instance_defaults();
    options.capital = D("100000000000000000000000000000000000000");
    stage_add(s, options);
    trade(s, BTC, "100.01");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "100"));
    if (id == 0)
        fail_msg("%s: %s", s->refusal.code, s->refusal.reason);
    fill(s, id, "1", "99.99");
    trade(s, BTC, "100.01");
    assert_int_equal(submit(s, A, limit_of(SIDE_BUY, "1", "100")), 0);
    later(s, SECONDS(1));
    trade(s, BTC, "100.02");
    to(s, T0 + DAY);
    trade(s, BTC, "100.02");
    assert_int_equal(submit(s, A, limit_of(SIDE_BUY, "1", "100")), 0);
    assert_int_not_equal(submit(s, A, reduce_only(request_of(SIDE_SELL, "1"))), 0);
    stage_free(s);
}

/* The second half of yesterday's order is volume of today, and no trade of it: a restart that sets
 * a limit of the symbol must know it. */
static void volume_without_a_trade_outlives_a_restart(void **state)
{
    (void)state;
    struct risk_options risk = plain;
    risk.keeps_day = true;
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, risk);
    trade(s, BTC, "100");
    uint64_t id = buy(s, "2");
    fill(s, id, "1", "100");
    to(s, T0 + DAY);
    trade(s, BTC, "100");
    fill(s, id, "1", "100");
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    const char *symbol = strstr(s->risk_state.data, "\"symbol BTC/USDT\"");
    assert_non_null(symbol);
    assert_non_null(strstr(symbol, "\"volume\":\"100\",\"trades\":0"));
    stage_free(s);
}

int main(void)
{
    risk_limits_init(&no_limits);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_binds_in_each_scope),
        cmocka_unit_test(a_loss_stops_its_scope_alone_until_the_day_ends),
        cmocka_unit_test(a_halt_of_a_scope_insists_on_its_cancels),
        cmocka_unit_test(a_loss_of_the_account_halts_the_session),
        cmocka_unit_test(a_halt_for_good_takes_the_place_of_the_days),
        cmocka_unit_test(halts_are_lifted_by_hand),
        cmocka_unit_test(a_drawdown_that_was_lifted_is_accepted),
        cmocka_unit_test(a_halt_that_was_lifted_while_nothing_ran_is_accepted),
        cmocka_unit_test(a_lift_before_the_first_price_accepts_what_is_left_then),
        cmocka_unit_test(a_halt_by_hand_before_the_first_event_stands),
        cmocka_unit_test(two_strategies_race_for_the_last_unit),
        cmocka_unit_test(a_late_fill_after_a_cancel_counts),
        cmocka_unit_test(a_limit_is_lowered_under_the_position),
        cmocka_unit_test(a_rate_beyond_measure_is_none),
        cmocka_unit_test(a_reload_forgets_no_message),
        cmocka_unit_test(cancels_and_replaces_are_messages),
        cmocka_unit_test(a_cheaper_price_is_a_message_too),
        cmocka_unit_test(what_a_failed_callback_asked_for_is_not_counted),
        cmocka_unit_test(an_order_that_rests_here_is_a_message_when_it_leaves),
        cmocka_unit_test(limits_stay_where_new_code_does_not_start),
        cmocka_unit_test(a_restart_goes_on_with_the_day),
        cmocka_unit_test(a_limit_that_is_new_after_a_restart_knows_the_day),
        cmocka_unit_test(a_restart_on_the_next_day_begins_anew),
        cmocka_unit_test(a_restart_goes_on_with_the_peak),
        cmocka_unit_test(a_restart_in_a_halted_day),
        cmocka_unit_test(a_drawdown_that_comes_back_outlives_the_day),
        cmocka_unit_test(a_day_that_begins_without_a_price_opens_with_the_first),
        cmocka_unit_test(a_position_without_a_price_bars_new_risk_only_for_loss_limits),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(a_scope_that_is_gone_is_left_out),
        cmocka_unit_test(the_day_ends_by_the_venues_calendar_where_asked),
        cmocka_unit_test(a_day_without_a_calendar_ends_at_midnight),
        cmocka_unit_test(a_bust_takes_its_volume_back),
        cmocka_unit_test(what_becomes_of_yesterdays_trade_is_no_volume),
        cmocka_unit_test(narrow_halts_are_listed),
        cmocka_unit_test(an_equity_beyond_measure_bars_new_risk),
        cmocka_unit_test(volume_without_a_trade_outlives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
