/* exchange_test.c - the simulated venue's own truth: what the simulator judges us by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/simulation/exchange.h"

struct heard {
    size_t counts[NEWS_CORRECT + 1];
};

static void on_news(void *self, enum exchange_news news, const struct exchange_order *order,
                    const struct exchange_trade *trade)
{
    (void)order, (void)trade;
    ((struct heard *)self)->counts[news]++;
}

static void on_trade(void *self, uint32_t market, int64_t price, int64_t qty, int side)
{
    (void)self, (void)market, (void)price, (void)qty, (void)side;
}

static void on_quote(void *self, uint32_t market, const struct exchange_quote *quote)
{
    (void)self, (void)market, (void)quote;
}

struct fixture {
    struct exchange exchange;
    struct heard heard;
};

/* 1000 bid for 10 lots, 1002 asked for 5; fees of 0.01 % and 0.02 %. */
static void open_venue(struct fixture *fixture, bool is_spot)
{
    struct exchange_profile profile = { .types = 0x1f,
                                        .tifs = 0x1f,
                                        .oco = true,
                                        .post_only = true,
                                        .amends = true,
                                        .tells_trades = true,
                                        .is_spot = is_spot,
                                        .maker_fee = 100,
                                        .taker_fee = 200 };
    memset(fixture, 0, sizeof(*fixture));
    exchange_init(&fixture->exchange, &profile, 1, 1, NS_PER_SECOND);
    fixture->exchange.markets[0].quote = (struct exchange_quote){ 1000, 1002, 10, 5 };
    fixture->exchange.listener =
        (struct exchange_listener){ &fixture->heard, on_news, on_trade, on_quote };
}

static const char *ask_for(struct fixture *fixture, const char *id, int side, int64_t qty,
                           int64_t price, enum order_tif tif, bool reduce_only)
{
    struct exchange_request request = { .side = side,
                                        .type = price ? ORDER_LIMIT : ORDER_MARKET,
                                        .tif = tif,
                                        .qty = qty,
                                        .price = price,
                                        .reduce_only = reduce_only };
    snprintf(request.client_id, sizeof(request.client_id), "%s", id);
    return exchange_submit(&fixture->exchange, &request);
}

/* By hand: 5 at 1002, then 3 of the 10 at 1003: 8019 in all. */
static void a_market_order_walks_through_the_levels(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 8, 0, TIF_GTC, false));
    const struct exchange_order *order = exchange_find(&fixture.exchange, "a");
    assert_int_equal(order->status, EX_FILLED);
    assert_int_equal(fixture.exchange.trade_count, 2);
    assert_true(order->notional == 8019);
    assert_int_equal(fixture.exchange.markets[0].position, 8);
    assert_true(fixture.exchange.fees == 8019 * 200);
    exchange_release(&fixture.exchange);
}

static void a_limit_takes_no_worse_price_and_rests(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 8, 1002, TIF_GTC, false));
    const struct exchange_order *order = exchange_find(&fixture.exchange, "a");
    assert_int_equal(order->status, EX_PARTIAL);
    assert_int_equal(order->cum, 5);
    assert_int_equal(fixture.exchange.open_count, 1);
    exchange_release(&fixture.exchange);
}

static void fill_or_kill_takes_all_or_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 6, 1002, TIF_FOK, false));
    assert_int_equal(exchange_find(&fixture.exchange, "a")->status, EX_EXPIRED);
    assert_int_equal(fixture.exchange.trade_count, 0);
    assert_null(ask_for(&fixture, "b", 1, 5, 1002, TIF_FOK, false));
    assert_int_equal(exchange_find(&fixture.exchange, "b")->status, EX_FILLED);
    exchange_release(&fixture.exchange);
}

/* As at Binance: this is why nothing may be sent again unasked. */
static void an_id_is_unique_among_open_orders_only(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 1, 900, TIF_GTC, false));
    assert_non_null(ask_for(&fixture, "a", 1, 1, 900, TIF_GTC, false));
    assert_null(exchange_cancel(&fixture.exchange, "a"));
    assert_string_equal(exchange_cancel(&fixture.exchange, "a"), "too late to cancel");
    assert_string_equal(exchange_cancel(&fixture.exchange, "b"), "unknown order");
    assert_null(ask_for(&fixture, "a", 1, 1, 900, TIF_GTC, false));
    assert_int_equal(fixture.exchange.order_count, 2);
    exchange_release(&fixture.exchange);
}

static void reduce_only_never_passes_zero(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_non_null(ask_for(&fixture, "a", -1, 3, 0, TIF_GTC, true));
    assert_null(ask_for(&fixture, "b", 1, 3, 0, TIF_GTC, false));
    assert_null(ask_for(&fixture, "c", -1, 9, 0, TIF_GTC, true));
    assert_int_equal(fixture.exchange.markets[0].position, 0);
    assert_int_equal(exchange_find(&fixture.exchange, "c")->cum, 3);
    assert_int_equal(exchange_find(&fixture.exchange, "c")->status, EX_EXPIRED);
    exchange_release(&fixture.exchange);
}

/* Bought 5 at 1002, sold 5 at 1000: 10 lost, fees 5010 and 5000 times 200. */
static void cash_is_what_closing_earned_less_fees(void **state)
{
    (void)state;
    struct fixture fixture;
    for (int is_spot = 0; is_spot < 2; is_spot++) {
        open_venue(&fixture, is_spot);
        assert_null(ask_for(&fixture, "a", 1, 5, 0, TIF_GTC, false));
        money held = exchange_cash(&fixture.exchange);
        assert_true(held == -5010 * 200 - (is_spot ? (money)5010 * MONEY_PER_NOTIONAL : 0));
        assert_null(ask_for(&fixture, "b", -1, 5, 0, TIF_GTC, false));
        money cash = exchange_cash(&fixture.exchange);
        assert_true(cash == -10 * MONEY_PER_NOTIONAL - 10010 * 200);
        exchange_release(&fixture.exchange);
    }
}

static void a_busted_trade_leaves_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 5, 0, TIF_GTC, false));
    exchange_bust(&fixture.exchange, 0);
    exchange_bust(&fixture.exchange, 0); /* once */
    assert_int_equal(fixture.exchange.markets[0].position, 0);
    assert_true(exchange_cash(&fixture.exchange) == 0);
    assert_int_equal(exchange_find(&fixture.exchange, "a")->cum, 0);
    assert_int_equal(fixture.heard.counts[NEWS_BUST], 1);
    exchange_release(&fixture.exchange);
}

static void a_change_keeps_what_is_filled(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    assert_null(ask_for(&fixture, "a", 1, 8, 1002, TIF_GTC, false));
    assert_non_null(exchange_amend(&fixture.exchange, "a", "b", 5, 0));
    assert_null(exchange_amend(&fixture.exchange, "a", "b", 6, 1001));
    assert_null(exchange_find(&fixture.exchange, "a"));
    const struct exchange_order *order = exchange_find(&fixture.exchange, "b");
    assert_string_equal(order->first_id, "a");
    assert_int_equal(order->cum, 5);
    assert_int_equal(order->qty, 6);
    exchange_release(&fixture.exchange);
}

static void a_fill_of_one_ends_the_other_of_its_group(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    struct exchange_request request = {
        .client_id = "a", .side = 1, .type = ORDER_LIMIT, .qty = 1, .price = 900, .group = 7
    };
    assert_null(exchange_submit(&fixture.exchange, &request));
    strcpy(request.client_id, "b");
    request.price = 1002;
    assert_null(exchange_submit(&fixture.exchange, &request));
    assert_int_equal(exchange_find(&fixture.exchange, "b")->status, EX_FILLED);
    assert_int_equal(exchange_find(&fixture.exchange, "a")->status, EX_CANCELED);
    exchange_release(&fixture.exchange);
}

/* A day of it, with a hundred orders: the account is the sum of the trades, and each order's fill
 * the sum of its own. */
static void the_account_is_the_sum_of_the_trades(void **state)
{
    (void)state;
    struct fixture fixture;
    open_venue(&fixture, false);
    struct exchange *exchange = &fixture.exchange;
    for (int i = 0; i < 20000; i++) {
        exchange_advance(exchange, exchange_due_ns(exchange));
        char id[16];
        int64_t mid = exchange->markets[0].mid;
        snprintf(id, sizeof(id), "o%d", i);
        if (i % 200 == 0)
            assert_null(ask_for(&fixture, id, i % 400 ? 1 : -1, 1 + i % 77, mid - 5 + i % 9,
                                TIF_GTC, false));
    }
    int64_t position = 0;
    money flow = 0;
    for (size_t i = 0; i < exchange->trade_count; i++) {
        position += exchange->trades[i].side * exchange->trades[i].qty;
        flow -= exchange->trades[i].side * (money)exchange->trades[i].price *
                exchange->trades[i].qty * MONEY_PER_NOTIONAL;
    }
    assert_true(exchange->trade_count > 50);
    assert_int_equal(position, exchange->markets[0].position);
    assert_true(flow == exchange->markets[0].flow);
    for (size_t i = 0; i < exchange->order_count; i++)
        assert_in_range(exchange->orders[i].cum, 0, exchange->orders[i].qty);
    exchange_release(exchange);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_market_order_walks_through_the_levels),
        cmocka_unit_test(a_limit_takes_no_worse_price_and_rests),
        cmocka_unit_test(fill_or_kill_takes_all_or_nothing),
        cmocka_unit_test(an_id_is_unique_among_open_orders_only),
        cmocka_unit_test(reduce_only_never_passes_zero),
        cmocka_unit_test(cash_is_what_closing_earned_less_fees),
        cmocka_unit_test(a_busted_trade_leaves_nothing),
        cmocka_unit_test(a_change_keeps_what_is_filled),
        cmocka_unit_test(a_fill_of_one_ends_the_other_of_its_group),
        cmocka_unit_test(the_account_is_the_sum_of_the_trades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
