/* scopes_test.c - each limit in each scope, on both sides of its edge, through a whole engine; the
 * day, restarts in it, and what a scope's loss stops.
 *
 * Capital is 100,000. BTC trades in lots of 0.001 at a tick of 0.1, a price of 100 stands. */
#include "tests/unit/risk_fixture.h"

#include "runtime/config/calendars.h"

static const struct risk_options plain = { .no_stop_pct = { 5, 2 }, .cancel_reserve = 0.2 };

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_binds_in_each_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
