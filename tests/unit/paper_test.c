/* paper_test.c - the paper venue, rule by rule: every price, quantity and fee here was worked out
 * by hand. What it answers when it is asked is in recall_test.c, the property tests over whole
 * markets are in paper_market_test.c. */
#include "tests/unit/paper_fixture.h"

#include "runtime/config/calendars.h"

/* ---- arrival ---- */

static void an_order_arrives_after_its_latency(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 1, SIDE_BUY, "1", "99");
    assert_true(desk->venue.due_ns(desk->venue.self) == at(51));
    run_to(desk, 50);
    quiet(desk);
    run_to(desk, 51);
    expect_ack(desk, order, 51);
    assert_true(desk->venue.due_ns(desk->venue.self) == TIME_NEVER);
    done(desk);
}

/* What the market was when the order was sent is history when it arrives. */
static void an_order_meets_the_market_of_its_arrival(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    quote(desk, 49, "101.9", "5", "102.1", "4");
    quote(desk, 51, "99.9", "5", "100.1", "4");
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "102.1", "1");
    done(desk);
}

static void requests_are_handled_in_order(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order first = send_limit(desk, 1, SIDE_BUY, "1", "99");
    cancel(desk, 1, first);
    struct order second = send_limit(desk, 2, SIDE_BUY, "1", "98");
    amend(desk, 2, second, "2", "98");
    cancel(desk, 3, second);
    run_to(desk, 100);
    expect_ack(desk, first, 51);
    expect(desk, REPORT_CANCELED, first, 51, "");
    expect_ack(desk, second, 52);
    expect_qty(desk, REPORT_REPLACED, second, 52, "2");
    expect(desk, REPORT_CANCELED, second, 53, "");
    done(desk);
}

/* A driver that only hands over the market loses nothing. */
static void the_market_waits_for_what_has_arrived(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    struct event event = { .kind = EVENT_QUOTE,
                           .time_ns = at(60),
                           .quote = { m("109"), m("110"), 10, 10 } };
    desk->venue.market(desk->venue.self, &event);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "1");
    done(desk);
}

static void an_order_waits_for_the_first_price_of_all(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order order = send_market(desk, 0, SIDE_SELL, "1");
    run_to(desk, 1000);
    expect_ack(desk, order, 50);
    quiet(desk);
    quote(desk, 2000, "99.9", "5", "100.1", "4");
    expect_taker(desk, order, 2000, "99.9", "1");
    done(desk);
}

static void one_client_order_id_is_one_order(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order order = send_limit(desk, 0, SIDE_BUY, "1", "99");
    struct error err = { 0 };
    assert_int_equal(desk->venue.submit(desk->venue.self, &order, at(1), &err), ERROR_REFUSED);
    assert_non_null(strstr(err.message, "here already"));
    run_to(desk, 100);
    expect_ack(desk, order, 50);
    done(desk);
}

/* ---- takers on quotes ---- */

static void a_market_order_takes_the_touch_and_pays_the_taker_fee(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order buy = send_market(desk, 0, SIDE_BUY, "2");
    struct order sell = send_market(desk, 0, SIDE_SELL, "3");
    run_to(desk, 50);
    expect_ack(desk, buy, 50);
    const struct fill *fill = expect_fill(desk, buy, 50, "100.1", "2");
    assert_decimal(fill->fee, "0.1001"); /* 200.2 * 0.0005 */
    assert_string_equal(fill->exec_id, "e-1");
    assert_int_equal(fill->liquidity, LIQUIDITY_TAKER);
    expect_ack(desk, sell, 50);
    fill = expect_fill(desk, sell, 50, "99.9", "3");
    assert_decimal(fill->fee, "0.14985");
    assert_string_equal(fill->exec_id, "e-2");
    done(desk);
}

static void only_what_is_displayed_can_be_taken(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "10");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "4");
    trade(desk, 60, "100.1", "9", SIDE_BUY); /* no new offer */
    quiet(desk);
    quote(desk, 70, "99.9", "5", "100.2", "2.5");
    expect_taker(desk, order, 70, "100.2", "2.5");
    quote(desk, 80, "99.9", "5", "100.4", "100");
    expect_taker(desk, order, 80, "100.4", "3.5");
    done(desk);
}

static void orders_share_what_is_displayed(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order first = send_market(desk, 0, SIDE_BUY, "3");
    struct order second = send_market(desk, 0, SIDE_BUY, "3");
    run_to(desk, 50);
    expect_ack(desk, first, 50);
    expect_taker(desk, first, 50, "100.1", "3");
    expect_ack(desk, second, 50);
    expect_taker(desk, second, 50, "100.1", "1");
    quote(desk, 60, "99.9", "5", "100.1", "4");
    expect_taker(desk, second, 60, "100.1", "2");
    done(desk);
}

static void where_no_size_is_displayed_all_is_filled(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "0", "100.1", "0");
    struct order order = send_market(desk, 0, SIDE_SELL, "1000");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "99.9", "1000");
    done(desk);
}

/* 5 bp of 100.1 are 0.05005: 100.15005 rounds against the buyer to 100.2, 99.85005 to 99.8. */
static void slippage_comes_on_top_of_the_touch(void **state)
{
    (void)state;
    static const enum slippage_model models[] = { SLIPPAGE_FIXED, SLIPPAGE_HALF_SPREAD };
    static const char *const buys[] = { "100.2", "100.2" };
    static const char *const sells[] = { "99.8", "99.8" };
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        struct desk *desk = desk_slipping(models[i]);
        quote(desk, 0, "99.9", "5", "100.1", "4");
        struct order buy = send_market(desk, 0, SIDE_BUY, "1");
        struct order sell = send_market(desk, 0, SIDE_SELL, "1");
        run_to(desk, 50);
        expect_ack(desk, buy, 50);
        expect_taker(desk, buy, 50, buys[i], "1");
        expect_ack(desk, sell, 50);
        expect_taker(desk, sell, 50, sells[i], "1");
        done(desk);
    }
}

static void a_marketable_limit_takes_and_its_rest_rests(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "6", "100.3");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "4");
    quote(desk, 60, "100.1", "5", "100.4", "9");
    quiet(desk);
    trade(desk, 70, "100.3", "1.5", SIDE_SELL); /* its price is the best bid: nobody in front */
    expect_maker(desk, order, 70, "100.3", "1.5");
    quote(desk, 80, "100.1", "5", "100.2", "9");
    expect_maker(desk, order, 80, "100.3", "0.5");
    done(desk);
}

/* 5 bp on 100.1 would be 100.2: beyond a limit of 100.1. */
static void slippage_stops_at_the_limit(void **state)
{
    (void)state;
    struct desk *desk = desk_slipping(SLIPPAGE_FIXED);
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order buy = send_limit(desk, 0, SIDE_BUY, "1", "100.1");
    struct order sell = send_limit(desk, 0, SIDE_SELL, "1", "99.9");
    run_to(desk, 50);
    expect_ack(desk, buy, 50);
    expect_taker(desk, buy, 50, "100.1", "1");
    expect_ack(desk, sell, 50);
    expect_taker(desk, sell, 50, "99.9", "1");
    done(desk);
}

static void ioc_leaves_nothing_behind(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order some = limit(desk, SIDE_BUY, "6", "100.2"),
                 none = limit(desk, SIDE_BUY, "1", "100");
    struct order market = make(desk, SIDE_SELL, ORDER_MARKET, "8");
    some.tif = none.tif = market.tif = TIF_IOC;
    send(desk, 0, some);
    send(desk, 0, none);
    send(desk, 0, market);
    run_to(desk, 50);
    expect_ack(desk, some, 50);
    expect_taker(desk, some, 50, "100.1", "4");
    expect(desk, REPORT_CANCELED, some, 50, "ioc: not filled at once");
    expect_ack(desk, none, 50);
    expect(desk, REPORT_CANCELED, none, 50, "ioc: not filled at once");
    expect_ack(desk, market, 50);
    expect_taker(desk, market, 50, "99.9", "5");
    expect(desk, REPORT_CANCELED, market, 50, "ioc: not filled at once");
    done(desk);
}

static void fok_is_whole_or_nothing(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order big = limit(desk, SIDE_BUY, "4.1", "101"),
                 fits = limit(desk, SIDE_BUY, "4", "101");
    big.tif = fits.tif = TIF_FOK;
    send(desk, 0, big);
    send(desk, 0, fits);
    run_to(desk, 50);
    expect_ack(desk, big, 50);
    expect(desk, REPORT_CANCELED, big, 50, "fok: not filled whole");
    expect_ack(desk, fits, 50);
    expect_taker(desk, fits, 50, "100.1", "4");
    done(desk);
}

/* ---- limits that rest ---- */

static void a_limit_at_the_touch_waits_behind_what_is_shown(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.9");
    trade(desk, 60, "99.9", "3", SIDE_SELL); /* 2 still in front */
    expect_ack(desk, order, 50);
    quiet(desk);
    trade(desk, 70, "99.9", "4", SIDE_SELL); /* 2 to those in front, 2 to us */
    const struct fill *fill = expect_fill(desk, order, 70, "99.9", "2");
    assert_int_equal(fill->liquidity, LIQUIDITY_MAKER);
    assert_decimal(fill->fee, "0.03996"); /* 199.8 * 0.0002 */
    trade(desk, 80, "99.9", "9", SIDE_SELL);
    expect_maker(desk, order, 80, "99.9", "1");
    done(desk);
}

static void a_limit_that_improves_the_touch_is_first(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_SELL, "3", "100");
    trade(desk, 60, "100", "0.4", SIDE_BUY);
    expect_ack(desk, order, 50);
    expect_maker(desk, order, 60, "100", "0.4");
    done(desk);
}

/* Nobody knows how much rests behind the touch: the first trade there is taken for all of it. */
static void a_limit_behind_the_touch_lets_the_first_trade_pass(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.5");
    trade(desk, 60, "99.5", "7", SIDE_SELL);
    trade(desk, 61, "99.5", "1.2", SIDE_SELL);
    expect_ack(desk, order, 50);
    expect_maker(desk, order, 61, "99.5", "1.2");
    done(desk);
}

/* A trade at a worse price can only happen when everybody at ours was served. */
static void a_trade_through_the_price_fills_at_the_price(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.5");
    trade(desk, 60, "99.4", "2", SIDE_SELL);
    expect_ack(desk, order, 50);
    expect_maker(desk, order, 60, "99.5", "2");
    trade(desk, 61, "99.4", "2", 0);
    expect_maker(desk, order, 61, "99.5", "1");
    done(desk);
}

static void a_quote_that_crosses_the_price_fills_by_its_size(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.5");
    quote(desk, 60, "99.2", "5", "99.5", "1"); /* touches: someone sells at our price */
    expect_ack(desk, order, 50);
    expect_maker(desk, order, 60, "99.5", "1");
    quote(desk, 70, "99.2", "5", "99.4", "9");
    expect_maker(desk, order, 70, "99.5", "2");
    done(desk);
}

static void an_aggressor_on_our_own_side_does_not_fill_us(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.8", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.9");
    trade(desk, 60, "99.9", "5", SIDE_BUY);
    expect_ack(desk, order, 50);
    trade(desk, 61, "99.9", "5", 0); /* not known: it may have been a seller */
    expect_maker(desk, order, 61, "99.9", "3");
    done(desk);
}

static void one_trade_is_shared_best_price_first(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.4", "5", "100.1", "4");
    struct order low = send_limit(desk, 0, SIDE_BUY, "3", "99.5");
    struct order high = send_limit(desk, 0, SIDE_BUY, "3", "99.6");
    struct order late = send_limit(desk, 0, SIDE_BUY, "3", "99.6");
    trade(desk, 60, "99.3", "7", SIDE_SELL);
    expect_ack(desk, low, 50);
    expect_ack(desk, high, 50);
    expect_ack(desk, late, 50);
    expect_maker(desk, high, 60, "99.6", "3");
    expect_maker(desk, late, 60, "99.6", "3");
    expect_maker(desk, low, 60, "99.5", "1");
    done(desk);
}

/* 0.25 of a lot of 0.1 cannot change hands: 0.2 does. */
static void partial_fills_are_whole_lots(void **state)
{
    (void)state;
    struct desk *desk = memory_new(sizeof(*desk));
    struct instrument instrument = { .symbol = "X/USDT",
                                     .venue = "sim",
                                     .tick_size = decimal_text("0.1"),
                                     .lot_size = decimal_text("0.1"),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .price_scale = 1,
                                     .qty_scale = 3 };
    uint32_t index;
    struct error err = { 0 };
    assert_int_equal(instruments_add(&desk->instruments, &instrument, &index, &err), 0);
    struct paper_options options = plain_options();
    options.instruments = &desk->instruments;
    options.sink = (struct event_sink){ desk, hear };
    assert_int_equal(paper_open(&options, &desk->paper, &err), 0);
    desk->venue = paper_port(desk->paper);
    happen(desk, 0, (struct event){ .kind = EVENT_QUOTE, .quote = { 999, 1001, 250, 250 } });
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "0.2");
    done(desk);
}

static void post_only_never_takes(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order crosses = limit(desk, SIDE_BUY, "1", "100.1"),
                 rests = limit(desk, SIDE_BUY, "1", "100");
    struct order market = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    crosses.post_only = rests.post_only = market.post_only = true;
    send(desk, 0, crosses);
    send(desk, 0, rests);
    send(desk, 0, market);
    run_to(desk, 50);
    expect(desk, REPORT_REJECTED, crosses, 50, "post-only would take");
    expect_ack(desk, rests, 50);
    expect(desk, REPORT_REJECTED, market, 50, "post-only is for limit orders");
    amend(desk, 60, rests, "1", "100.2");
    run_to(desk, 110);
    expect(desk, REPORT_REPLACE_REJECT, rests, 110, "post-only would take");
    trade(desk, 120, "100", "1", SIDE_SELL); /* it still rests at its old price */
    expect_maker(desk, rests, 120, "100", "1");
    done(desk);
}

static void an_index_tick_trades_nothing(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order buy = send_limit(desk, 0, SIDE_BUY, "1", "99");
    struct order market = send_market(desk, 0, SIDE_BUY, "1");
    trade(desk, 60, "98", "0", 0);
    expect_ack(desk, buy, 50);
    expect_ack(desk, market, 50);
    quiet(desk);
    trade(desk, 70, "98", "1", 0);
    expect_taker(desk, market, 70, "98", "1");
    expect_maker(desk, buy, 70, "99", "1");
    done(desk);
}

/* Where events have fewer digits than a price, the next mantissa decides: nobody trades at 99.95.
 */
static void a_limit_between_two_prices_is_passed_by_the_lower(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.8", "5", "100.1", "4");
    struct order buy = send_limit(desk, 0, SIDE_BUY, "1", "99.95");
    struct order sell = send_limit(desk, 0, SIDE_SELL, "1", "100.05");
    trade(desk, 60, "100", "5", 0);
    expect_ack(desk, buy, 50);
    expect_ack(desk, sell, 50);
    quiet(desk);
    trade(desk, 70, "99.9", "5", 0);
    expect_maker(desk, buy, 70, "99.95", "1");
    trade(desk, 80, "100.1", "5", 0);
    expect_maker(desk, sell, 80, "100.05", "1");
    done(desk);
}

/* Data may hold them; nobody deals at such prices. */
static void at_zero_and_below_nothing_is_filled(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    trade(desk, 60, "0", "1", 0);
    trade(desk, 61, "-3", "1", 0);
    expect_ack(desk, order, 50);
    quiet(desk);
    trade(desk, 62, "0.1", "1", 0);
    expect_taker(desk, order, 62, "0.1", "1");
    done(desk);
}

/* ---- amend and cancel ---- */

static void a_smaller_quantity_keeps_its_place(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.9");
    trade(desk, 60, "99.9", "5", SIDE_SELL); /* the queue in front is gone */
    amend(desk, 61, order, "2", "99.9");
    trade(desk, 120, "99.9", "1", SIDE_SELL);
    expect_ack(desk, order, 50);
    expect_qty(desk, REPORT_REPLACED, order, 111, "2");
    expect_maker(desk, order, 120, "99.9", "1");
    done(desk);
}

static void a_larger_quantity_goes_to_the_back(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.9");
    trade(desk, 60, "99.9", "5", SIDE_SELL);
    amend(desk, 61, order, "4", NULL);
    trade(desk, 120, "99.9", "5", SIDE_SELL); /* 5 are shown in front again */
    expect_ack(desk, order, 50);
    expect_qty(desk, REPORT_REPLACED, order, 111, "4");
    quiet(desk);
    trade(desk, 121, "99.9", "1", SIDE_SELL);
    expect_maker(desk, order, 121, "99.9", "1");
    done(desk);
}

static void a_new_price_meets_the_market_anew(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "3", "99.9");
    run_to(desk, 60);
    expect_ack(desk, order, 50);
    amend(desk, 60, order, NULL, "100.1");
    run_to(desk, 110);
    const struct report *report = next(desk, REPORT_REPLACED, order, 110);
    assert_decimal(report->qty, "3");
    assert_decimal(report->price, "100.1");
    expect_taker(desk, order, 110, "100.1", "3");
    done(desk);
}

static void a_replace_below_what_is_filled_ends_the_order(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "10");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "4");
    amend(desk, 60, order, "3", NULL);
    run_to(desk, 110);
    expect_qty(desk, REPORT_REPLACED, order, 110, "3");
    quote(desk, 120, "99.9", "5", "100.1", "4");
    quiet(desk);
    cancel(desk, 130, order);
    run_to(desk, 180);
    expect(desk, REPORT_CANCEL_REJECT, order, 180, "too late");
    done(desk);
}

static void what_is_done_cannot_be_changed(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    cancel(desk, 1, order); /* under way while it is filled */
    amend(desk, 2, order, "2", NULL);
    run_to(desk, 100);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "100.1", "1");
    expect(desk, REPORT_CANCEL_REJECT, order, 51, "too late");
    expect(desk, REPORT_REPLACE_REJECT, order, 52, "too late");
    done(desk);
}

static void senseless_terms_are_refused(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "1", "99");
    struct order armed = send_stop(desk, 0, SIDE_BUY, "1", "105");
    run_to(desk, 50);
    expect_ack(desk, order, 50);
    expect_ack(desk, armed, 50);
    amend(desk, 60, order, "0", NULL);
    amend(desk, 61, order, "-1", NULL);
    amend(desk, 62, order, NULL, "0");
    amend(desk, 63, armed, NULL, "100");
    run_to(desk, 200);
    expect(desk, REPORT_REPLACE_REJECT, order, 110, "a quantity must be above zero");
    expect(desk, REPORT_REPLACE_REJECT, order, 111, "a quantity must be above zero");
    expect(desk, REPORT_REPLACE_REJECT, order, 112, "a price must be above zero");
    expect(desk, REPORT_REPLACE_REJECT, armed, 113, "this order has no limit price");
    done(desk);
}

static void the_venue_says_what_it_holds(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    const struct venue_abilities *abilities = desk->venue.abilities(desk->venue.self, 0);
    assert_true(abilities->types == (1u << ORDER_MARKET | 1u << ORDER_LIMIT | 1u << ORDER_STOP |
                                     1u << ORDER_STOP_LIMIT | 1u << ORDER_TRAILING));
    assert_true(abilities->tifs ==
                (1u << TIF_GTC | 1u << TIF_DAY | 1u << TIF_IOC | 1u << TIF_FOK | 1u << TIF_GTD));
    assert_true(abilities->oco && abilities->reduce_only && abilities->post_only);
    assert_true(abilities->amend == AMEND_IN_PLACE);
    assert_true(abilities->answer_within_ns == TIME_NEVER);
    done(desk);
}

/* ---- trades without quotes ---- */

static void on_trades_a_market_order_gets_the_next_one_whole(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order order = send_market(desk, 0, SIDE_BUY, "7");
    trade(desk, 49, "90", "1", 0); /* before it arrives */
    trade(desk, 50, "101", "0.1", 0);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 50, "101", "7");
    done(desk);
}

/* The print is taken for the middle of two ticks, then 5 bp: 101.1 * 1.0005 = 101.15055, up to
 * 101.2; selling 100.9 * 0.9995 = 100.84955, down to 100.8. */
static void on_trades_a_taker_pays_half_a_spread_of_two_ticks(void **state)
{
    (void)state;
    struct desk *desk = desk_slipping(SLIPPAGE_FIXED);
    trade(desk, 0, "100", "1", 0);
    struct order buy = send_market(desk, 0, SIDE_BUY, "1");
    struct order sell = send_market(desk, 0, SIDE_SELL, "1");
    trade(desk, 60, "101", "1", 0);
    expect_ack(desk, buy, 50);
    expect_ack(desk, sell, 50);
    expect_taker(desk, buy, 60, "101.2", "1");
    expect_taker(desk, sell, 60, "100.8", "1");
    done(desk);
}

static void on_trades_a_limit_through_the_last_price_takes_the_next(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order near = send_limit(desk, 0, SIDE_BUY, "2", "101");
    struct order far = send_limit(desk, 0, SIDE_BUY, "2", "100.2");
    trade(desk, 60, "100.5", "1", 0);
    expect_ack(desk, near, 50);
    expect_ack(desk, far, 50);
    expect_taker(desk, near, 60, "100.5", "2");
    quiet(desk); /* the market left the other one behind: it rests now */
    trade(desk, 70, "100.1", "1.5", 0);
    expect_maker(desk, far, 70, "100.2", "1.5");
    done(desk);
}

static void on_trades_a_limit_waits_for_its_queue(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order order = send_limit(desk, 0, SIDE_SELL, "2", "100.5");
    trade(desk, 60, "100.5", "9", 0); /* the queue, as far as anybody knows */
    expect_ack(desk, order, 50);
    quiet(desk);
    trade(desk, 61, "100.5", "0.7", 0);
    expect_maker(desk, order, 61, "100.5", "0.7");
    trade(desk, 62, "100.6", "0.8", 0);
    expect_maker(desk, order, 62, "100.5", "0.8");
    done(desk);
}

static void on_trades_ioc_is_judged_at_the_next_one(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order yes = limit(desk, SIDE_BUY, "2", "100.5"),
                 no = limit(desk, SIDE_BUY, "2", "100.3");
    yes.tif = TIF_IOC;
    no.tif = TIF_FOK;
    send(desk, 0, yes);
    send(desk, 0, no);
    trade(desk, 60, "100.4", "1", 0);
    expect_ack(desk, yes, 50);
    expect_ack(desk, no, 50);
    expect_taker(desk, yes, 60, "100.4", "2");
    expect(desk, REPORT_CANCELED, no, 60, "fok: not filled whole");
    done(desk);
}

static void once_quotes_are_seen_they_decide(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    quote(desk, 60, "104", "5", "105", "5");
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 60, "105", "1");
    done(desk);
}

/* ---- stops ---- */

static void a_stop_waits_for_the_last_trade_and_takes_the_quote(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "100.1", "1", SIDE_BUY);
    struct order order = send_stop(desk, 1, SIDE_SELL, "2", "99");
    quote(desk, 60, "98.5", "5", "98.7", "4"); /* quotes do not count for it */
    expect_ack(desk, order, 51);
    quiet(desk);
    trade(desk, 70, "99", "1", SIDE_SELL);
    expect_taker(desk, order, 70, "98.5", "2");
    done(desk);
}

static void a_stop_on_quotes_watches_the_side_it_deals_with(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "100.1", "1", SIDE_BUY);
    struct order sell = stop(desk, SIDE_SELL, "2", "99"), buy = stop(desk, SIDE_BUY, "1", "102");
    sell.stop_on = buy.stop_on = TRIGGER_QUOTE;
    send(desk, 1, sell);
    send(desk, 1, buy);
    trade(desk, 60, "98", "1", SIDE_SELL); /* trades do not count for them */
    expect_ack(desk, sell, 51);
    expect_ack(desk, buy, 51);
    quiet(desk);
    quote(desk, 70, "99", "5", "99.2", "4");
    expect_taker(desk, sell, 70, "99", "2");
    quote(desk, 80, "101.9", "5", "102", "0.4");
    expect_taker(desk, buy, 80, "102", "0.4");
    quote(desk, 90, "101", "5", "101.2", "4"); /* triggered is triggered */
    expect_taker(desk, buy, 90, "101.2", "0.6");
    done(desk);
}

static void a_stop_that_is_through_already_fires_on_arrival(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "100.1", "1", SIDE_BUY);
    struct order order = send_stop(desk, 1, SIDE_BUY, "1", "100");
    run_to(desk, 60);
    expect_ack(desk, order, 51);
    expect_taker(desk, order, 51, "100.1", "1");
    done(desk);
}

static void without_trades_a_stop_on_the_last_watches_quotes(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_stop(desk, 0, SIDE_SELL, "1", "99");
    quote(desk, 60, "98.9", "5", "99.1", "4");
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 60, "98.9", "1");
    done(desk);
}

/* The trade that triggers it is somebody else's; the stop gets what comes after. */
static void on_trades_a_stop_gets_the_trade_after_its_trigger(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    trade(desk, 0, "100", "1", 0);
    struct order order = send_stop(desk, 0, SIDE_SELL, "2", "99");
    trade(desk, 60, "98.9", "1", 0);
    expect_ack(desk, order, 50);
    quiet(desk);
    trade(desk, 61, "98.6", "1", 0);
    expect_taker(desk, order, 61, "98.6", "2");
    done(desk);
}

static void a_stop_limit_becomes_a_limit(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "100", "1", 0);
    struct order order = stop(desk, SIDE_SELL, "2", "99");
    order.type = ORDER_STOP_LIMIT;
    order.price = decimal_text("98.8");
    send(desk, 1, order);
    quote(desk, 60, "98.5", "5", "98.7", "4");
    trade(desk, 70, "98.9", "1", SIDE_SELL); /* triggers; the bid is below its limit */
    expect_ack(desk, order, 51);
    quiet(desk);
    quote(desk, 80, "98.9", "1.5", "99.1", "4");
    expect_maker(desk, order, 80, "98.8", "1.5");
    amend(desk, 90, order, "4", NULL); /* and stays one */
    run_to(desk, 140);
    expect_qty(desk, REPORT_REPLACED, order, 140, "4");
    trade(desk, 150, "98.9", "0.5", SIDE_BUY);
    expect_maker(desk, order, 150, "98.8", "0.5");
    done(desk);
}

/* ---- trailing stops ---- */

static struct order trailing(struct desk *desk, enum order_side side, const char *trail,
                             bool is_share)
{
    struct order order = make(desk, side, ORDER_TRAILING, "1");
    order.trail = decimal_text(trail);
    order.trail_is_share = is_share;
    return order;
}

/* 103 was before it arrived. From 100 on: 99; from 100.5 on: 99.5, and it stays there. */
static void a_trailing_stop_follows_the_best_trade_since_it_arrived(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    struct order order = send(desk, 0, trailing(desk, SIDE_SELL, "1", false));
    trade(desk, 10, "103", "1", 0);
    trade(desk, 20, "100", "1", 0);
    trade(desk, 60, "99.1", "1", 0);
    trade(desk, 70, "100.5", "1", 0);
    trade(desk, 80, "99.6", "1", 0);
    trade(desk, 90, "100.4", "1", 0);
    expect_ack(desk, order, 50);
    quiet(desk);
    trade(desk, 100, "99.5", "1", 0);
    expect_taker(desk, order, 100, "99.9", "1");
    done(desk);
}

/* A buy stop comes down: 100 x 1.015 = 101.5; 90.3 x 1.015 = 91.6545, a tick nearer is 91.6. */
static void a_trail_may_be_a_share_of_the_price(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    trade(desk, 1, "100", "1", 0);
    struct order buy = send(desk, 2, trailing(desk, SIDE_BUY, "0.015", true));
    trade(desk, 60, "101.4", "1", 0);
    trade(desk, 70, "90.3", "1", 0);
    trade(desk, 80, "91.5", "1", 0);
    expect_ack(desk, buy, 52);
    quiet(desk);
    trade(desk, 90, "91.6", "1", 0);
    expect_taker(desk, buy, 90, "100.1", "1");
    /* A sell stop: 101.3 x 0.985 = 99.7805, a tick nearer is 99.8. */
    trade(desk, 100, "101.3", "1", 0);
    struct order sell = send(desk, 110, trailing(desk, SIDE_SELL, "0.015", true));
    trade(desk, 170, "99.9", "1", 0);
    expect_ack(desk, sell, 160);
    quiet(desk);
    trade(desk, 180, "99.8", "1", 0);
    expect_taker(desk, sell, 180, "99.9", "1");
    done(desk);
}

/* Bid 99.9: 98.9; bid 101: 100. Trades do not matter. */
static void a_trailing_stop_may_watch_the_quote(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    trade(desk, 1, "100", "1", 0);
    struct order order = trailing(desk, SIDE_SELL, "1", false);
    order.stop_on = TRIGGER_QUOTE;
    send(desk, 2, order);
    trade(desk, 60, "98", "1", 0);
    trade(desk, 61, "150", "1", 0);
    quote(desk, 70, "101", "50", "101.2", "50");
    quote(desk, 80, "100.1", "50", "100.3", "50");
    expect_ack(desk, order, 52);
    quiet(desk);
    quote(desk, 90, "100", "50", "100.2", "50");
    expect_taker(desk, order, 90, "100", "1");
    done(desk);
}

/* It starts at 99 though 100 - 2 is 98; 100.9 would be 98.9; 101.5 makes 99.5. */
static void a_trailing_stop_never_loosens(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    trade(desk, 1, "100", "1", 0);
    struct order order = trailing(desk, SIDE_SELL, "2", false), other = order;
    order.trigger_price = decimal_text("99");
    other = order;
    other.order_id = ++desk->next_id;
    snprintf(other.client_order_id, sizeof(other.client_order_id), "other");
    send(desk, 2, order);
    trade(desk, 60, "99.1", "1", 0);
    trade(desk, 70, "100.9", "1", 0);
    expect_ack(desk, order, 52);
    quiet(desk);
    trade(desk, 80, "99", "1", 0);
    expect_taker(desk, order, 80, "99.9", "1");
    trade(desk, 90, "100", "1", 0);
    send(desk, 91, other);
    trade(desk, 150, "101.5", "1", 0);
    trade(desk, 160, "99.6", "1", 0);
    expect_ack(desk, other, 141);
    quiet(desk);
    trade(desk, 170, "99.5", "1", 0);
    expect_taker(desk, other, 170, "99.9", "1");
    done(desk);
}

/* 0.03 is less than a tick of 0.1: the stop stands one tick away, so that it does not fire at once.
 */
static void a_trail_is_one_tick_at_least(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    trade(desk, 1, "100", "1", 0);
    struct order order = send(desk, 2, trailing(desk, SIDE_SELL, "0.03", false));
    trade(desk, 60, "100", "1", 0);
    expect_ack(desk, order, 52);
    quiet(desk);
    trade(desk, 70, "99.9", "1", 0);
    expect_taker(desk, order, 70, "99.9", "1");
    done(desk);
}

static void a_trail_must_be_a_distance(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order zero = send(desk, 0, trailing(desk, SIDE_SELL, "0", false));
    struct order below = send(desk, 0, trailing(desk, SIDE_SELL, "-1", false));
    struct order whole = send(desk, 0, trailing(desk, SIDE_SELL, "1", true));
    run_to(desk, 50);
    expect(desk, REPORT_REJECTED, zero, 50, "a trail must be above zero");
    expect(desk, REPORT_REJECTED, below, 50, "a trail must be above zero");
    expect(desk, REPORT_REJECTED, whole, 50, "a trail must be below the whole price");
    done(desk);
}

static void on_trades_a_trailing_stop_gets_the_trade_after_its_trigger(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order order = send(desk, 0, trailing(desk, SIDE_SELL, "1", false));
    trade(desk, 60, "100", "1", 0); /* the first price of all */
    trade(desk, 70, "102", "1", 0);
    trade(desk, 80, "100.8", "1", 0);
    trade(desk, 90, "100.5", "1", 0);
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 90, "100.5", "1");
    done(desk);
}

/* Long: the low of a bar comes before its high, and meets the stop where it stood. Open 100: 98;
 * high 103: 101. Then open 102.5, low 101.2; high 104: 102, passed on the way to the close. */
static void on_bars_a_trailing_stop_follows_the_path(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    paper_restore_position(desk->paper, 1, 0, decimal_int(1));
    struct order order = send(desk, BAR_MS, trailing(desk, SIDE_SELL, "2", false));
    bar(desk, 1, "100", "103", "98.5", "102");
    expect_ack(desk, order, BAR_MS + 50);
    quiet(desk);
    bar(desk, 2, "102.5", "104", "101.2", "101.5");
    expect_taker(desk, order, 2 * BAR_MS + 50000, "102", "1");
    done(desk);
}

/* Open 100: 98. The low of 97.9 comes first: out at 98, whatever the high. */
static void on_bars_a_trailing_stop_meets_the_low_first(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    paper_restore_position(desk->paper, 1, 0, decimal_int(1));
    struct order order = send(desk, BAR_MS, trailing(desk, SIDE_SELL, "2", false));
    bar(desk, 1, "100", "110", "97.9", "109");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, BAR_MS + 20000, "98", "1");
    done(desk);
}

static void on_bars_a_gapped_trailing_stop_fills_at_the_open(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    paper_restore_position(desk->paper, 1, 0, decimal_int(1));
    struct order order = send(desk, BAR_MS, trailing(desk, SIDE_SELL, "2", false));
    bar(desk, 1, "100", "101", "99.5", "100.5");
    bar(desk, 2, "95", "96", "94", "95");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, 2 * BAR_MS, "95", "1");
    done(desk);
}

/* A short sees the high first. Open 100: 102; low 97: 99, passed on the way to the close. */
static void on_bars_a_shorts_trailing_stop_is_mirrored(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    paper_restore_position(desk->paper, 1, 0, decimal_int(-1));
    struct order order = send(desk, BAR_MS, trailing(desk, SIDE_BUY, "2", false));
    bar(desk, 1, "100", "101.9", "97", "99.5");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, BAR_MS + 50000, "99", "1");
    done(desk);
}

/* Sent in the middle of a bar: only the close counts. 103 - 2 = 101. */
static void on_bars_a_late_trailing_stop_starts_from_the_close(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    paper_restore_position(desk->paper, 1, 0, decimal_int(1));
    struct order order = send(desk, BAR_MS + 25000, trailing(desk, SIDE_SELL, "2", false));
    bar(desk, 1, "100", "105", "99", "103");
    bar(desk, 2, "102", "102.5", "101.5", "101.9");
    expect_ack(desk, order, BAR_MS + 25050);
    quiet(desk);
    bar(desk, 3, "101", "102", "100", "101");
    expect_taker(desk, order, 3 * BAR_MS, "101", "1");
    done(desk);
}

static const struct {
    double ms;
    const char *price;
} before_restart[] = {
    { -179000, "999" }, /* minutes and trades before its arrival */
    { -129960, "500" }, { -125000, "102" }, { -90000, "104" },
    { -30000, "103" },  { 5000, "105" },    { 10000, "777" }, /* not before the event that asks */
};

/* Bars of those trades, one trade each. */
static void trades_before(void *self, uint32_t instrument, int64_t tf_ns, int64_t to_ns,
                          uint64_t limit, void (*put)(void *self, const struct event *event),
                          void *put_self)
{
    (void)self;
    for (size_t i = 0; i < ARRAY_SIZE(before_restart); i++) {
        int64_t open_ns = at(before_restart[i].ms) / tf_ns * tf_ns, price;
        price = m(before_restart[i].price);
        struct event event = { .kind = EVENT_BAR,
                               .instrument = instrument,
                               .time_ns = open_ns + tf_ns,
                               .bar = { open_ns, price, price, price, price, 1, true } };
        if (event.time_ns <= to_ns && open_ns >= to_ns - 4 * (int64_t)limit * tf_ns)
            put(put_self, &event);
    }
}

/* The best of its life, both sides of the restart: 105 - 2 = 103. */
static void a_restored_trailing_stop_looks_back(void **state)
{
    (void)state;
    struct paper_options options = plain_options();
    options.history = trades_before;
    struct desk *desk = desk_with(options);
    struct error err = { 0 };
    struct order order = trailing(desk, SIDE_SELL, "2", false);
    order.known = ORDER_NEW;
    order.created_ns = at(-130000); /* there at -129950 */
    assert_int_equal(desk->venue.restore(desk->venue.self, &order, &err), 0);
    trade(desk, 10000, "103.1", "1", 0);
    trade(desk, 10001, "103", "1", 0);
    quiet(desk);
    trade(desk, 10002, "102.9", "1", 0);
    expect_taker(desk, order, 10002, "102.9", "1");
    done(desk);
}

/* Fired by the 104 of before, at 103.5: the limit of 102 rests again, as one that has just come. */
static void a_restored_stop_limit_that_had_fired_is_a_limit(void **state)
{
    (void)state;
    struct paper_options options = plain_options();
    options.history = trades_before;
    struct desk *desk = desk_with(options);
    struct error err = { 0 };
    struct order fired = make(desk, SIDE_BUY, ORDER_STOP_LIMIT, "1"), armed;
    fired.known = ORDER_NEW;
    fired.created_ns = at(-130000);
    fired.trigger_price = decimal_text("103.5");
    fired.price = decimal_text("102");
    armed = fired;
    snprintf(armed.client_order_id, sizeof(armed.client_order_id), "armed");
    armed.trigger_price = decimal_text("105.1"); /* the best of before was 105 */
    assert_int_equal(desk->venue.restore(desk->venue.self, &fired, &err), 0);
    assert_int_equal(desk->venue.restore(desk->venue.self, &armed, &err), 0);
    trade(desk, 10000, "102.5", "1", 0);
    quiet(desk);
    trade(desk, 10001, "101.9", "1", 0);
    expect_maker(desk, fired, 10001, "102", "1");
    done(desk);
}

static void without_history_a_restored_trailing_stop_starts_anew(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    struct order order = trailing(desk, SIDE_SELL, "2", false);
    order.known = ORDER_NEW;
    order.created_ns = at(-130000);
    assert_int_equal(desk->venue.restore(desk->venue.self, &order, &err), 0);
    trade(desk, 10, "103", "1", 0);
    trade(desk, 20, "101", "1", 0);
    trade(desk, 30, "100.9", "1", 0);
    expect_taker(desk, order, 30, "100.9", "1");
    done(desk);
}

/* A trail of 1 under 100 and a take at 101 for the same unit: one fill, one cancel. */
static void a_trailing_stop_and_a_limit_cancel_each_other(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    trade(desk, 1, "100", "1", 0);
    struct order stop_leg = trailing(desk, SIDE_SELL, "1", false);
    struct order take_leg = limit(desk, SIDE_SELL, "1", "101");
    stop_leg.group_id = take_leg.group_id = 9;
    send(desk, 2, stop_leg);
    send(desk, 2, take_leg);
    trade(desk, 60, "99", "1", 0);
    expect_ack(desk, stop_leg, 52);
    expect_ack(desk, take_leg, 52);
    expect(desk, REPORT_CANCELED, take_leg, 60, "oco"); /* first: nothing is left over in a crash */
    expect_taker(desk, stop_leg, 60, "99.9", "1");
    done(desk);
}

/* ---- groups ---- */

struct pair {
    struct order stop, take;
};

/* A long of 2 with a stop at 95 and a take at 105, both arrived. */
static struct pair protect(struct desk *desk, double ms)
{
    struct pair pair = { stop(desk, SIDE_SELL, "2", "95"), limit(desk, SIDE_SELL, "2", "105") };
    pair.stop.group_id = pair.take.group_id = 7;
    pair.stop.reduce_only = pair.take.reduce_only = true;
    pair.stop.role = ROLE_STOP;
    pair.take.role = ROLE_TAKE;
    send(desk, ms, pair.stop);
    send(desk, ms, pair.take);
    run_to(desk, ms + 50);
    expect_ack(desk, pair.stop, ms + 50);
    expect_ack(desk, pair.take, ms + 50);
    return pair;
}

static void the_fill_of_one_cancels_the_other(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct pair pair = protect(desk, 60);
    trade(desk, 200, "105.1", "9", SIDE_BUY);
    expect_maker(desk, pair.take, 200, "105", "2");
    expect(desk, REPORT_CANCELED, pair.stop, 200, "oco");
    done(desk);
}

static void a_partial_fill_reduces_the_other(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct pair pair = protect(desk, 60);
    trade(desk, 200, "105.1", "0.5", SIDE_BUY);
    expect_maker(desk, pair.take, 200, "105", "0.5");
    expect_qty(desk, REPORT_RESTATED, pair.stop, 200, "1.5");
    quote(desk, 300, "94.8", "1", "95", "1");
    trade(desk, 310, "94.9", "1", SIDE_SELL);
    expect_taker(desk, pair.stop, 310, "94.8", "1");        /* only 1 is shown */
    expect_qty(desk, REPORT_RESTATED, pair.take, 310, "1"); /* 0.5 filled, 0.5 left */
    quote(desk, 320, "94.6", "9", "94.8", "1");
    expect_taker(desk, pair.stop, 320, "94.6", "0.5");
    expect(desk, REPORT_CANCELED, pair.take, 320, "oco");
    done(desk);
}

static void a_sibling_on_its_way_hears_of_it_on_arrival(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "50", "100.1", "50");
    struct order first = limit(desk, SIDE_BUY, "2", "100.1"),
                 second = limit(desk, SIDE_BUY, "2", "99");
    struct order third = limit(desk, SIDE_BUY, "60", "100.1"),
                 fourth = limit(desk, SIDE_BUY, "60", "99");
    first.group_id = second.group_id = 7;
    third.group_id = fourth.group_id = 8;
    send(desk, 0, first);
    send(desk, 10, second);
    send(desk, 20, third);
    send(desk, 30, fourth);
    run_to(desk, 100);
    expect_ack(desk, first, 50);
    expect_taker(desk, first, 50, "100.1", "2");
    expect(desk, REPORT_CANCELED, second, 60, "oco");
    expect_ack(desk, third, 70);
    expect_taker(desk, third, 70, "100.1", "48");
    expect_ack(desk, fourth, 80);
    expect_qty(desk, REPORT_RESTATED, fourth, 80, "12");
    done(desk);
}

static void the_cancel_of_one_leaves_the_other(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct pair pair = protect(desk, 60);
    cancel(desk, 120, pair.take);
    run_to(desk, 170);
    expect(desk, REPORT_CANCELED, pair.take, 170, "");
    trade(desk, 200, "94", "1", SIDE_SELL);
    expect_taker(desk, pair.stop, 200, "99.9", "2");
    done(desk);
}

/* Its owner gave up the rest: for its group it is filled. */
static void a_replace_that_completes_an_order_cancels_the_other(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct pair pair = protect(desk, 60);
    trade(desk, 200, "105.1", "0.5", SIDE_BUY);
    expect_maker(desk, pair.take, 200, "105", "0.5");
    expect_qty(desk, REPORT_RESTATED, pair.stop, 200, "1.5");
    amend(desk, 210, pair.take, "0.5", NULL);
    run_to(desk, 260);
    expect_qty(desk, REPORT_REPLACED, pair.take, 260, "0.5");
    expect(desk, REPORT_CANCELED, pair.stop, 260, "oco");
    done(desk);
}

/* ---- reduce-only ---- */

static void reduce_only_needs_something_to_reduce(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order flat = make(desk, SIDE_SELL, ORDER_MARKET, "1");
    flat.reduce_only = true;
    send(desk, -100, flat);
    run_to(desk, -50);
    expect(desk, REPORT_REJECTED, flat, -50, "reduce-only: nothing to reduce");
    hold_long(desk, "2");
    struct order adds = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    adds.reduce_only = true;
    send(desk, 60, adds);
    run_to(desk, 110);
    expect(desk, REPORT_REJECTED, adds, 110, "reduce-only: nothing to reduce");
    done(desk);
}

static void reduce_only_is_judged_per_instance(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct order other = make(desk, SIDE_SELL, ORDER_MARKET, "1");
    other.reduce_only = true;
    other.instance_id = 2;
    send(desk, 60, other);
    run_to(desk, 110);
    expect(desk, REPORT_REJECTED, other, 110, "reduce-only: nothing to reduce");
    done(desk);
}

static void reduce_only_never_fills_beyond_the_position(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct order order = make(desk, SIDE_SELL, ORDER_MARKET, "5");
    order.reduce_only = true;
    send(desk, 60, order);
    run_to(desk, 110);
    expect_ack(desk, order, 110);
    expect_taker(desk, order, 110, "99.9", "2");
    expect(desk, REPORT_CANCELED, order, 110, "reduce-only: nothing left to reduce");
    done(desk);
}

static void a_flat_position_ends_its_resting_exits(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    hold_long(desk, "2");
    struct order exit = limit(desk, SIDE_SELL, "2", "105");
    exit.reduce_only = true;
    send(desk, 60, exit);
    struct order some = send_market(desk, 61, SIDE_SELL, "1.5");
    run_to(desk, 150);
    expect_ack(desk, exit, 110);
    expect_ack(desk, some, 111);
    expect_taker(desk, some, 111, "99.9", "1.5");
    quiet(desk);
    struct order flips = send_market(desk, 160, SIDE_SELL, "1");
    run_to(desk, 210);
    expect_ack(desk, flips, 210);
    expect_taker(desk, flips, 210, "99.9", "1");
    expect(desk, REPORT_CANCELED, exit, 210, "reduce-only: nothing left to reduce");
    done(desk);
}

/* ---- expiry ---- */

static void gtd_and_day_orders_expire(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order gtd = limit(desk, SIDE_BUY, "1", "99"), day = limit(desk, SIDE_BUY, "1", "98");
    gtd.tif = TIF_GTD;
    gtd.expires_ns = at(500);
    day.tif = TIF_DAY;
    send(desk, 0, gtd);
    send(desk, 0, day);
    run_to(desk, 50);
    expect_ack(desk, gtd, 50);
    expect_ack(desk, day, 50);
    assert_true(desk->venue.due_ns(desk->venue.self) == at(500));
    trade(desk, 500, "97", "9", SIDE_SELL); /* the instant itself is too late */
    expect(desk, REPORT_EXPIRED, gtd, 500, "");
    expect_maker(desk, day, 500, "98", "1");
    struct order late = limit(desk, SIDE_BUY, "1", "98");
    late.tif = TIF_DAY;
    send(desk, 1000, late);
    run_to(desk, 86400000);
    expect_ack(desk, late, 1050);
    expect(desk, REPORT_EXPIRED, late, 86400000, "");
    done(desk);
}

/* X0 trades from 09:00 to 17:00 UTC, X1 always. What comes at 16:59:59.950 arrives at the close and
 * is of the next day. */
static void a_day_order_ends_with_its_trading_day(void **state)
{
    (void)state;
    static const char text[] = "zone: { offset: +00:00 }\n"
                               "sessions: [ { days: mon-sun, hours: 09:00-17:00 } ]\n";
    const double hour = 3600e3;
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text, strlen(text), &calendar, &err), 0);
    const struct calendar *list[] = { calendar, NULL };
    struct paper_options options = plain_options();
    options.calendars = list;
    struct desk *desk = desk_with(options);
    struct order stock = limit(desk, SIDE_BUY, "1", "98"), late = limit(desk, SIDE_BUY, "1", "97");
    struct order coin = limit(desk, SIDE_BUY, "1", "96");
    coin.instrument = 1;
    stock.tif = late.tif = coin.tif = TIF_DAY;
    send(desk, 10 * hour, stock);
    send(desk, 10 * hour, coin);
    run_to(desk, 10 * hour + 50);
    expect_ack(desk, stock, 10 * hour + 50);
    expect_ack(desk, coin, 10 * hour + 50);
    assert_true(desk->venue.due_ns(desk->venue.self) == at(17 * hour));
    send(desk, 17 * hour - 50, late);
    run_to(desk, 17 * hour);
    expect(desk, REPORT_EXPIRED, stock, 17 * hour, "");
    expect_ack(desk, late, 17 * hour);
    assert_true(desk->venue.due_ns(desk->venue.self) == at(24 * hour));
    run_to(desk, 24 * hour);
    expect(desk, REPORT_EXPIRED, coin, 24 * hour, "");
    assert_true(desk->venue.due_ns(desk->venue.self) == at(41 * hour));
    done(desk);
    calendar_release(calendar);
}

/* ---- bars ---- */

/* The report comes when the bar is told, its instant lies inside the bar. */
static void on_bars_an_order_fills_at_the_next_open(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_market(desk, BAR_MS, SIDE_BUY, "2");
    run_to(desk, BAR_MS + 1000);
    expect_ack(desk, order, BAR_MS + 50);
    quiet(desk);
    bar(desk, 1, "100.7", "102", "100", "101");
    const struct fill *fill = expect_fill(desk, order, BAR_MS + 50, "100.7", "2");
    assert_int_equal(fill->liquidity, LIQUIDITY_TAKER);
    assert_decimal(fill->fee, "0.1007");
    done(desk);
}

static void on_bars_without_latency_it_is_still_the_next_open(void **state)
{
    (void)state;
    struct paper_options options = plain_options();
    options.latency_ns = 0;
    struct desk *desk = desk_with(options);
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_market(desk, BAR_MS, SIDE_BUY, "2");
    run_to(desk, BAR_MS);
    expect_ack(desk, order, BAR_MS);
    quiet(desk);
    bar(desk, 1, "100.7", "102", "100", "101");
    expect_taker(desk, order, BAR_MS, "100.7", "2");
    done(desk);
}

/* A long sees the low first, then the high, then the way down to the close. */
static void on_bars_the_way_to_the_close_fills_too(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    struct order entry = send_market(desk, BAR_MS, SIDE_BUY, "1");
    struct order limited = stop(desk, SIDE_BUY, "1", "103"); /* reached at the high, waits at 102 */
    limited.type = ORDER_STOP_LIMIT;
    limited.price = decimal_text("102");
    send(desk, BAR_MS, limited);
    bar(desk, 1, "100", "104", "99", "101");
    expect_ack(desk, entry, BAR_MS + 50);
    expect_ack(desk, limited, BAR_MS + 50);
    expect_taker(desk, entry, BAR_MS + 50, "100", "1");
    expect_maker(desk, limited, BAR_MS + 50000, "102", "1");
    done(desk);
}

/* After a gap in the data the order meets the open when the bar begins. */
static void on_bars_a_gap_is_waited_out(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_market(desk, BAR_MS, SIDE_SELL, "2");
    bar(desk, 10, "90", "91", "89", "90");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, 10 * BAR_MS, "90", "2");
    done(desk);
}

static void on_bars_slippage_comes_on_top_of_the_open(void **state)
{
    (void)state;
    struct desk *desk = desk_slipping(SLIPPAGE_FIXED);
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_market(desk, BAR_MS, SIDE_BUY, "2");
    bar(desk, 1, "100", "102", "100", "101");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, BAR_MS + 50, "100.1", "2"); /* 100.05, up to the tick */
    done(desk);
}

static void on_bars_a_limit_must_be_passed_by_a_tick(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_limit(desk, BAR_MS, SIDE_BUY, "2", "99");
    bar(desk, 1, "100.5", "101", "99", "101"); /* touched only */
    expect_ack(desk, order, BAR_MS + 50);
    quiet(desk);
    bar(desk, 2, "101", "102", "98.9", "99.5"); /* closes lower: high first, low at two thirds */
    expect_maker(desk, order, 2 * BAR_MS + 40000, "99", "2");
    done(desk);
}

static void on_bars_a_limit_through_the_open_takes_it(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order takes = send_limit(desk, BAR_MS, SIDE_BUY, "2", "101");
    struct order post = limit(desk, SIDE_BUY, "1", "101"),
                 ioc = limit(desk, SIDE_BUY, "1", "100.5");
    post.post_only = true;
    ioc.tif = TIF_IOC;
    send(desk, BAR_MS, post);
    send(desk, BAR_MS, ioc);
    bar(desk, 1, "100.5", "102", "100", "101.5");
    expect_ack(desk, takes, BAR_MS + 50);
    expect_ack(desk, post, BAR_MS + 50);
    expect_ack(desk, ioc, BAR_MS + 50);
    expect_taker(desk, takes, BAR_MS + 50, "100.5", "2");
    expect(desk, REPORT_CANCELED, post, BAR_MS + 50, "post-only would take");
    expect(desk, REPORT_CANCELED, ioc, BAR_MS + 50, "ioc: not filled at once");
    done(desk);
}

/* A limit that rested overnight is filled at its limit, not at the better open. */
static void on_bars_a_resting_limit_is_filled_at_its_limit(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_limit(desk, BAR_MS, SIDE_BUY, "2", "99");
    bar(desk, 1, "100.5", "101", "100", "101");
    bar(desk, 2, "95", "96", "94", "95");
    expect_ack(desk, order, BAR_MS + 50);
    expect_maker(desk, order, 2 * BAR_MS, "99", "2");
    done(desk);
}

static void on_bars_a_stop_fills_at_its_trigger(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_stop(desk, BAR_MS, SIDE_BUY, "2", "102");
    bar(desk, 1, "100.5", "101.9", "100", "101");
    expect_ack(desk, order, BAR_MS + 50);
    quiet(desk);
    bar(desk, 2, "101", "103", "100", "102.5"); /* closes higher: low first */
    expect_taker(desk, order, 2 * BAR_MS + 40000, "102", "2");
    done(desk);
}

static void on_bars_a_gapped_stop_fills_at_the_open(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_stop(desk, BAR_MS, SIDE_BUY, "2", "102");
    bar(desk, 1, "100.5", "101.9", "100", "101");
    bar(desk, 2, "104", "105", "101", "103");
    expect_ack(desk, order, BAR_MS + 50);
    expect_taker(desk, order, 2 * BAR_MS, "104", "2");
    done(desk);
}

/* Enters at the open of minute 1 and sends the exits when the entry's report is heard: returns them
 * submitted at the entry's own instant, as a driver does that lets the engine hear of fills first.
 */
static struct pair enter_on_bar(struct desk *desk, enum order_side side, const char *stop_at,
                                const char *take_at, const char *open, const char *high,
                                const char *low, const char *close)
{
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order entry = send_market(desk, BAR_MS, side, "2");
    bar(desk, 1, open, high, low, close);
    expect_ack(desk, entry, BAR_MS + 50);
    expect_taker(desk, entry, BAR_MS + 50, open, "2");
    enum order_side out = side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    struct pair pair = { stop(desk, out, "2", stop_at), limit(desk, out, "2", take_at) };
    pair.stop.group_id = pair.take.group_id = entry.order_id;
    pair.stop.parent_order_id = pair.take.parent_order_id = entry.order_id;
    pair.stop.reduce_only = pair.take.reduce_only = true;
    pair.stop.role = ROLE_STOP;
    pair.take.role = ROLE_TAKE;
    assert_true(desk->told[desk->count - 1].time_ns == at(2 * BAR_MS));
    send(desk, 2 * BAR_MS, pair.take); /* the order of sending must not matter */
    send(desk, 2 * BAR_MS, pair.stop);
    assert_true(desk->venue.due_ns(desk->venue.self) == at(2 * BAR_MS));
    run_to(desk, 2 * BAR_MS);
    expect_ack(desk, pair.take, BAR_MS + 100);
    expect_ack(desk, pair.stop, BAR_MS + 100);
    return pair;
}

static void in_the_entrys_bar_the_stop_counts_if_in_range(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct pair pair = enter_on_bar(desk, SIDE_BUY, "99.5", "101.5", "100", "102", "99.4", "101.8");
    expect_taker(desk, pair.stop, BAR_MS + 20000, "99.5", "2");
    expect(desk, REPORT_CANCELED, pair.take, BAR_MS + 20000, "oco");
    done(desk);
}

static void in_the_entrys_bar_the_take_counts_if_the_close_is_beyond(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct pair pair = enter_on_bar(desk, SIDE_BUY, "99.3", "101.5", "100", "102", "99.4", "101.6");
    double last = 2 * BAR_MS - NANOSECOND; /* the close belongs to the bar, its end does not */
    expect_maker(desk, pair.take, last, "101.5", "2");
    expect(desk, REPORT_CANCELED, pair.stop, last, "oco");
    done(desk);
}

static void in_the_entrys_bar_a_take_that_the_close_fell_back_from_waits(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct pair pair = enter_on_bar(desk, SIDE_BUY, "99.3", "101.5", "100", "102", "99.4", "101.5");
    quiet(desk);
    bar(desk, 2, "101.5", "101.6", "99.2", "101"); /* a long sees the low first */
    expect_taker(desk, pair.stop, 2 * BAR_MS + 20000, "99.3", "2");
    expect(desk, REPORT_CANCELED, pair.take, 2 * BAR_MS + 20000, "oco");
    done(desk);
}

static void a_short_sees_the_high_first(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct pair pair = enter_on_bar(desk, SIDE_SELL, "103", "98", "100", "101", "98.5", "99");
    quiet(desk);
    bar(desk, 2, "99", "103.2", "97", "100");
    expect_taker(desk, pair.stop, 2 * BAR_MS + 20000, "103", "2");
    expect(desk, REPORT_CANCELED, pair.take, 2 * BAR_MS + 20000, "oco");
    done(desk);
}

/* What is not an exit of that entry cannot know of the bar and still trade in it. */
static void other_orders_sent_at_a_bars_end_wait_for_the_next(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order entry = send_market(desk, BAR_MS, SIDE_BUY, "2");
    bar(desk, 1, "100", "102", "99.4", "101.8");
    expect_ack(desk, entry, BAR_MS + 50);
    expect_taker(desk, entry, BAR_MS + 50, "100", "2");
    struct order plain = stop(desk, SIDE_SELL, "1", "99.5");
    struct order stranger = stop(desk, SIDE_SELL, "1", "99.5");
    stranger.role = ROLE_STOP;
    stranger.parent_order_id = 77;
    send(desk, 2 * BAR_MS, plain);
    send(desk, 2 * BAR_MS, stranger);
    bar(desk, 2, "101.8", "102", "99.6", "101");
    expect_ack(desk, plain, 2 * BAR_MS + 50);
    expect_ack(desk, stranger, 2 * BAR_MS + 50);
    done(desk);
}

/* Nobody knows where the market was between the extremes: the worst of the bar. Later, the close.
 */
static void on_bars_an_order_in_the_middle_pays_the_worst(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order buy = send_market(desk, BAR_MS + 25000, SIDE_BUY, "2");
    struct order sell = send_market(desk, BAR_MS + 25000, SIDE_SELL, "1");
    struct order last = send_market(desk, BAR_MS + 50000, SIDE_SELL, "1");
    bar(desk, 1, "100", "102", "99", "101");
    expect_ack(desk, buy, BAR_MS + 25050);
    expect_ack(desk, sell, BAR_MS + 25050);
    expect_ack(desk, last, BAR_MS + 50050);
    expect_taker(desk, buy, BAR_MS + 25050, "102", "2");
    expect_taker(desk, sell, BAR_MS + 25050, "99", "1");
    expect_taker(desk, last, BAR_MS + 50050, "101", "1");
    done(desk);
}

static void on_bars_a_day_order_lives_through_its_daily_bar(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    const int64_t day_ms = 86400000;
    struct event event = { .kind = EVENT_BAR,
                           .bar = { at(0), m("100"), m("101"), m("99"), m("100"), 0, false } };
    happen(desk, day_ms, event);
    struct order fills = limit(desk, SIDE_BUY, "1", "98"), dies = limit(desk, SIDE_BUY, "1", "90");
    fills.tif = dies.tif = TIF_DAY;
    send(desk, day_ms, fills);
    send(desk, day_ms, dies);
    event.bar = (struct bar_event){ at(day_ms), m("100"), m("101"), m("97"), m("101"), 0, false };
    happen(desk, 2 * day_ms, event);
    expect_ack(desk, fills, day_ms + 50);
    expect_ack(desk, dies, day_ms + 50);
    expect_maker(desk, fills, day_ms + day_ms / 3, "98", "1");
    expect(desk, REPORT_EXPIRED, dies, 2 * day_ms, "");
    done(desk);
}

/* An order that expired while nobody ran is not filled any more: it ends first. */
static void what_expired_while_down_ends_at_the_restart(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    struct order rests = limit(desk, SIDE_BUY, "1", "99"),
                 travels = limit(desk, SIDE_BUY, "1", "99");
    rests.tif = travels.tif = TIF_GTD;
    rests.expires_ns = at(-1000);
    travels.expires_ns = at(-9960);
    rests.created_ns = travels.created_ns = at(-10000);
    rests.known = ORDER_NEW;
    travels.known = ORDER_PENDING_NEW; /* there at -9950, after its end */
    assert_int_equal(desk->venue.restore(desk->venue.self, &rests, &err), 0);
    assert_int_equal(desk->venue.restore(desk->venue.self, &travels, &err), 0);
    quote(desk, 0, "97.9", "50", "98.1", "50");
    expect(desk, REPORT_EXPIRED, travels, -9950, "");
    expect(desk, REPORT_EXPIRED, rests, -1000, "");
    done(desk);
}

/* The low of 97 comes at a third of the bar, 20 s; the order ended at 10 s. */
static void on_bars_an_order_does_not_fill_after_its_expiry(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    struct order order = limit(desk, SIDE_BUY, "1", "98");
    order.tif = TIF_GTD;
    order.expires_ns = at(BAR_MS + 10000);
    send(desk, BAR_MS, order);
    bar(desk, 1, "100", "101", "97", "100");
    expect_ack(desk, order, BAR_MS + 50);
    expect(desk, REPORT_EXPIRED, order, BAR_MS + 10000, "");
    done(desk);
}

static void history_fills_nothing(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct order order = send_market(desk, 0, SIDE_BUY, "1");
    struct event event = { .kind = EVENT_BAR, .bar = { at(0), 1000, 1010, 990, 1000, 0, true } };
    happen(desk, BAR_MS, event);
    expect_ack(desk, order, 50);
    done(desk);
}

static void bars_do_not_fill_where_finer_data_are_seen(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_limit(desk, 0, SIDE_BUY, "1", "99");
    bar(desk, 0, "100", "101", "90", "100");
    expect_ack(desk, order, 50);
    done(desk);
}

/* Of two orders in one move the market meets the nearer first, whichever was sent first. */
static void on_bars_the_nearer_order_is_met_first(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    struct order far = limit(desk, SIDE_BUY, "1", "98"), near = limit(desk, SIDE_BUY, "1", "99");
    struct order high = stop(desk, SIDE_BUY, "1", "103"), higher = stop(desk, SIDE_BUY, "1", "104");
    far.group_id = near.group_id = 7;
    high.group_id = higher.group_id = 8;
    send(desk, BAR_MS, far);
    send(desk, BAR_MS, near);
    send(desk, BAR_MS, higher);
    send(desk, BAR_MS, high);
    bar(desk, 1, "100", "105", "97", "104");
    expect_ack(desk, far, BAR_MS + 50);
    expect_ack(desk, near, BAR_MS + 50);
    expect_ack(desk, higher, BAR_MS + 50);
    expect_ack(desk, high, BAR_MS + 50);
    expect(desk, REPORT_CANCELED, far, BAR_MS + 20000, "oco");
    expect_maker(desk, near, BAR_MS + 20000, "99", "1");
    expect(desk, REPORT_CANCELED, higher, BAR_MS + 40000, "oco");
    expect_taker(desk, high, BAR_MS + 40000, "103", "1");
    done(desk);
}

/* At one level the stop comes before the limit: when either could be, it is the loss. */
static void on_bars_a_stop_is_met_before_a_limit_at_its_level(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    bar(desk, 0, "100", "101", "99", "100");
    struct order sells = limit(desk, SIDE_SELL, "1", "101.9"),
                 buys = stop(desk, SIDE_BUY, "1", "102");
    sells.group_id = buys.group_id = 7;
    send(desk, BAR_MS, sells);
    send(desk, BAR_MS, buys);
    bar(desk, 1, "100", "105", "97", "104");
    expect_ack(desk, sells, BAR_MS + 50);
    expect_ack(desk, buys, BAR_MS + 50);
    expect(desk, REPORT_CANCELED, sells, BAR_MS + 40000, "oco");
    expect_taker(desk, buys, BAR_MS + 40000, "102", "1");
    done(desk);
}

/* A take that did not count in the entry's bar is an old limit in the next. */
static void a_take_that_waited_fills_at_its_limit_on_a_gap(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct pair pair = enter_on_bar(desk, SIDE_BUY, "95", "103", "100", "102", "99.4", "101.5");
    quiet(desk);
    bar(desk, 2, "110", "111", "109", "110");
    expect_maker(desk, pair.take, 2 * BAR_MS, "103", "2");
    expect(desk, REPORT_CANCELED, pair.stop, 2 * BAR_MS, "oco");
    done(desk);
}

/* ---- fill_on ---- */

static void fill_on_close_is_the_close_that_was_just_seen(void **state)
{
    (void)state;
    struct desk *desk = desk_filling(FILL_ON_CLOSE);
    bar(desk, 0, "100", "101", "99", "100.5");
    struct order order = send_market(desk, BAR_MS, SIDE_BUY, "2");
    run_to(desk, BAR_MS);
    expect_ack(desk, order, BAR_MS);
    expect_taker(desk, order, BAR_MS, "100.6", "2"); /* 100.5 and 5 bp, up to the tick */
    struct order rests = send_limit(desk, BAR_MS, SIDE_BUY, "2", "99");
    run_to(desk, BAR_MS + 50);
    expect_ack(desk, rests, BAR_MS + 50); /* limits keep their latency, and wait */
    bar(desk, 1, "100", "101", "98", "99");
    expect_maker(desk, rests, BAR_MS + 20000, "99", "2"); /* long: low first */
    done(desk);

    desk = desk_filling(FILL_ON_CLOSE);
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "100", "1", 0);
    order = send_market(desk, 2, SIDE_SELL, "2");
    run_to(desk, 2);
    expect_ack(desk, order, 2);
    expect_taker(desk, order, 2, "99.9", "2"); /* the last trade and 5 bp */
    order = send_limit(desk, 3, SIDE_SELL, "2", "99.9");
    run_to(desk, 53);
    expect_ack(desk, order, 53);
    expect_taker(desk, order, 53, "99.9", "2");
    done(desk);
}

static void fill_on_instant_asks_no_questions(void **state)
{
    (void)state;
    struct desk *desk = desk_filling(FILL_ON_INSTANT);
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order market = send_market(desk, 1, SIDE_BUY, "20");
    struct order passive = send_limit(desk, 1, SIDE_BUY, "3", "90");
    run_to(desk, 1);
    expect_ack(desk, market, 1);
    expect_taker(desk, market, 1, "100.1", "20");
    expect_ack(desk, passive, 1);
    expect_taker(desk, passive, 1, "90", "3");
    struct order post = limit(desk, SIDE_BUY, "3", "90");
    post.post_only = true;
    send(desk, 1, post);
    run_to(desk, 1);
    expect_ack(desk, post, 1);
    expect_maker(desk, post, 1, "90", "3");
    struct order take = limit(desk, SIDE_SELL, "2", "105"); /* an exit waits for its price */
    take.role = ROLE_TAKE;
    take.reduce_only = true;
    send(desk, 2, take);
    run_to(desk, 2);
    expect_ack(desk, take, 2);
    trade(desk, 3, "105", "0.1", 0);
    expect_maker(desk, take, 3, "105", "2");
    done(desk);

    desk = desk_filling(FILL_ON_INSTANT);
    trade(desk, 0, "100", "1", 0);
    market = send_market(desk, 1, SIDE_SELL, "20");
    run_to(desk, 1);
    expect_ack(desk, market, 1);
    expect_taker(desk, market, 1, "100", "20");
    done(desk);

    desk = desk_filling(FILL_ON_INSTANT);
    bar(desk, 0, "100", "101", "99", "100.5");
    market = send_market(desk, BAR_MS, SIDE_SELL, "20");
    run_to(desk, BAR_MS);
    expect_ack(desk, market, BAR_MS);
    expect_taker(desk, market, BAR_MS, "100.5", "20");
    done(desk);
}

/* ---- after a restart ---- */

static void what_rested_rests_again_at_the_back(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    struct order order = limit(desk, SIDE_BUY, "3", "99.9");
    order.known = ORDER_PARTIALLY_FILLED;
    order.filled_qty = decimal_int(1);
    order.created_ns = at(-1000);
    assert_int_equal(desk->venue.restore(desk->venue.self, &order, &err), 0);
    quote(desk, 0, "99.9", "5", "100.1", "4");
    trade(desk, 1, "99.9", "5", SIDE_SELL); /* taken for what stands in front */
    quiet(desk);
    trade(desk, 2, "99.9", "9", SIDE_SELL);
    expect_maker(desk, order, 2, "99.9", "2");
    done(desk);
}

/* Its intent was stored, its arrival was not: it arrives now. */
static void what_was_on_its_way_arrives(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    struct order order = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    order.known = ORDER_PENDING_NEW;
    order.created_ns = at(0);
    assert_int_equal(desk->venue.restore(desk->venue.self, &order, &err), 0);
    quote(desk, 60, "99.9", "5", "100.1", "4");
    expect_ack(desk, order, 50);
    expect_taker(desk, order, 60, "100.1", "1");
    done(desk);
}

static void a_restored_position_can_be_reduced(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    struct error err = { 0 };
    paper_restore_position(desk->paper, 1, 0, decimal_int(2));
    struct order armed = stop(desk, SIDE_SELL, "2", "95");
    armed.known = ORDER_NEW;
    armed.reduce_only = true;
    armed.role = ROLE_STOP;
    assert_int_equal(desk->venue.restore(desk->venue.self, &armed, &err), 0);
    quote(desk, 0, "96", "5", "96.2", "4");
    trade(desk, 1, "95", "1", SIDE_SELL);
    expect_taker(desk, armed, 1, "96", "2");
    done(desk);
}

static void exec_ids_go_on_where_the_last_session_ended(void **state)
{
    (void)state;
    struct paper_options options = plain_options();
    options.first_exec = 41;
    options.exec_prefix = "s7-";
    struct desk *desk = desk_with(options);
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = send_market(desk, 0, SIDE_BUY, "5");
    quote(desk, 60, "99.9", "5", "100.1", "4");
    expect_ack(desk, order, 50);
    assert_string_equal(expect_fill(desk, order, 50, "100.1", "4")->exec_id, "s7-41");
    assert_string_equal(expect_fill(desk, order, 60, "100.1", "1")->exec_id, "s7-42");
    done(desk);
}

/* ---- what cannot be opened, what is too much ---- */

static void senseless_options_are_refused(void **state)
{
    (void)state;
    struct instruments *none = memory_new(sizeof(*none));
    struct paper_options options = plain_options();
    struct paper *paper;
    struct error err = { 0 };
    options.instruments = none;
    options.latency_ns = -1;
    assert_int_equal(paper_open(&options, &paper, &err), ERROR_CONFIG);
    assert_null(paper);
    options.latency_ns = 0;
    options.exec_prefix = "a-prefix-that-leaves-no-room-for-a-counter";
    assert_int_equal(paper_open(&options, &paper, &err), ERROR_CONFIG);
    assert_null(paper);
    free(none);
}

static void ignore(void *self, const struct event *event)
{
    (void)self;
    (void)event;
}

static void a_flood_of_orders_is_refused(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    desk->venue.close(desk->venue.self);
    struct paper_options options = plain_options();
    options.instruments = &desk->instruments;
    options.sink = (struct event_sink){ NULL, ignore };
    struct error err = { 0 };
    assert_int_equal(paper_open(&options, &desk->paper, &err), 0);
    desk->venue = paper_port(desk->paper);
    int taken = 0;
    for (;; taken++) {
        struct order order = limit(desk, SIDE_BUY, "1", "90");
        if (desk->venue.submit(desk->venue.self, &order, at(0), &err))
            break;
    }
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_true(taken >= 10000); /* as many as an engine keeps open */
    desk->venue.advance(desk->venue.self, at(50));
    struct order order = limit(desk, SIDE_BUY, "1", "90");
    assert_int_equal(desk->venue.submit(desk->venue.self, &order, at(51), &err), ERROR_REFUSED);
    struct order first = { .client_order_id = "o1" }; /* makes room for one */
    assert_int_equal(desk->venue.cancel(desk->venue.self, &first, at(51), &err), 0);
    desk->venue.advance(desk->venue.self, at(101));
    assert_int_equal(desk->venue.submit(desk->venue.self, &order, at(102), &err), 0);

    while (desk->venue.cancel(desk->venue.self, &order, at(103), &err) == 0) /* too many requests */
        taken++;
    assert_int_equal(err.code, ERROR_REFUSED);
    assert_true(taken < 1000000);
    desk->venue.advance(desk->venue.self, at(152)); /* both instants pass */
    desk->venue.advance(desk->venue.self, at(153));
    assert_int_equal(desk->venue.submit(desk->venue.self, &order, at(154), &err), 0);
    done(desk);
}

static void two_instruments_do_not_meet(void **state)
{
    (void)state;
    struct desk *desk = desk_new();
    quote(desk, 0, "99.9", "5", "100.1", "4");
    struct order order = make(desk, SIDE_BUY, ORDER_MARKET, "1");
    order.instrument = 1;
    send(desk, 0, order);
    quote(desk, 60, "99.9", "5", "100.1", "4");
    expect_ack(desk, order, 50);
    quiet(desk);
    happen(desk, 70,
           (struct event){ .kind = EVENT_QUOTE, .instrument = 1, .quote = { 10, 11, 90, 90 } });
    assert_int_equal(desk->told[desk->read].instrument, 1);
    expect_taker(desk, order, 70, "1.1", "1");
    done(desk);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_arrives_after_its_latency),
        TEST(an_order_meets_the_market_of_its_arrival),
        TEST(requests_are_handled_in_order),
        TEST(the_market_waits_for_what_has_arrived),
        TEST(an_order_waits_for_the_first_price_of_all),
        TEST(one_client_order_id_is_one_order),
        TEST(a_market_order_takes_the_touch_and_pays_the_taker_fee),
        TEST(only_what_is_displayed_can_be_taken),
        TEST(orders_share_what_is_displayed),
        TEST(where_no_size_is_displayed_all_is_filled),
        TEST(slippage_comes_on_top_of_the_touch),
        TEST(a_marketable_limit_takes_and_its_rest_rests),
        TEST(slippage_stops_at_the_limit),
        TEST(ioc_leaves_nothing_behind),
        TEST(fok_is_whole_or_nothing),
        TEST(a_limit_at_the_touch_waits_behind_what_is_shown),
        TEST(a_limit_that_improves_the_touch_is_first),
        TEST(a_limit_behind_the_touch_lets_the_first_trade_pass),
        TEST(a_trade_through_the_price_fills_at_the_price),
        TEST(a_quote_that_crosses_the_price_fills_by_its_size),
        TEST(an_aggressor_on_our_own_side_does_not_fill_us),
        TEST(one_trade_is_shared_best_price_first),
        TEST(partial_fills_are_whole_lots),
        TEST(post_only_never_takes),
        TEST(an_index_tick_trades_nothing),
        TEST(a_limit_between_two_prices_is_passed_by_the_lower),
        TEST(at_zero_and_below_nothing_is_filled),
        TEST(a_smaller_quantity_keeps_its_place),
        TEST(a_larger_quantity_goes_to_the_back),
        TEST(a_new_price_meets_the_market_anew),
        TEST(a_replace_below_what_is_filled_ends_the_order),
        TEST(what_is_done_cannot_be_changed),
        TEST(senseless_terms_are_refused),
        TEST(the_venue_says_what_it_holds),
        TEST(on_trades_a_market_order_gets_the_next_one_whole),
        TEST(on_trades_a_taker_pays_half_a_spread_of_two_ticks),
        TEST(on_trades_a_limit_through_the_last_price_takes_the_next),
        TEST(on_trades_a_limit_waits_for_its_queue),
        TEST(on_trades_ioc_is_judged_at_the_next_one),
        TEST(once_quotes_are_seen_they_decide),
        TEST(a_stop_waits_for_the_last_trade_and_takes_the_quote),
        TEST(a_stop_on_quotes_watches_the_side_it_deals_with),
        TEST(a_stop_that_is_through_already_fires_on_arrival),
        TEST(without_trades_a_stop_on_the_last_watches_quotes),
        TEST(on_trades_a_stop_gets_the_trade_after_its_trigger),
        TEST(a_stop_limit_becomes_a_limit),
        TEST(the_fill_of_one_cancels_the_other),
        TEST(a_partial_fill_reduces_the_other),
        TEST(a_sibling_on_its_way_hears_of_it_on_arrival),
        TEST(the_cancel_of_one_leaves_the_other),
        TEST(a_replace_that_completes_an_order_cancels_the_other),
        TEST(reduce_only_needs_something_to_reduce),
        TEST(reduce_only_is_judged_per_instance),
        TEST(reduce_only_never_fills_beyond_the_position),
        TEST(a_flat_position_ends_its_resting_exits),
        TEST(gtd_and_day_orders_expire),
        TEST(a_day_order_ends_with_its_trading_day),
        TEST(a_trailing_stop_follows_the_best_trade_since_it_arrived),
        TEST(a_trail_may_be_a_share_of_the_price),
        TEST(a_trailing_stop_may_watch_the_quote),
        TEST(a_trailing_stop_never_loosens),
        TEST(a_trail_is_one_tick_at_least),
        TEST(a_trail_must_be_a_distance),
        TEST(on_trades_a_trailing_stop_gets_the_trade_after_its_trigger),
        TEST(on_bars_a_trailing_stop_follows_the_path),
        TEST(on_bars_a_trailing_stop_meets_the_low_first),
        TEST(on_bars_a_gapped_trailing_stop_fills_at_the_open),
        TEST(on_bars_a_shorts_trailing_stop_is_mirrored),
        TEST(on_bars_a_late_trailing_stop_starts_from_the_close),
        TEST(a_restored_trailing_stop_looks_back),
        TEST(a_restored_stop_limit_that_had_fired_is_a_limit),
        TEST(without_history_a_restored_trailing_stop_starts_anew),
        TEST(a_trailing_stop_and_a_limit_cancel_each_other),
        TEST(what_expired_while_down_ends_at_the_restart),
        TEST(on_bars_an_order_does_not_fill_after_its_expiry),
        TEST(on_bars_an_order_fills_at_the_next_open),
        TEST(on_bars_without_latency_it_is_still_the_next_open),
        TEST(on_bars_the_way_to_the_close_fills_too),
        TEST(on_bars_a_gap_is_waited_out),
        TEST(on_bars_slippage_comes_on_top_of_the_open),
        TEST(on_bars_a_limit_must_be_passed_by_a_tick),
        TEST(on_bars_a_limit_through_the_open_takes_it),
        TEST(on_bars_a_resting_limit_is_filled_at_its_limit),
        TEST(on_bars_a_stop_fills_at_its_trigger),
        TEST(on_bars_a_gapped_stop_fills_at_the_open),
        TEST(in_the_entrys_bar_the_stop_counts_if_in_range),
        TEST(in_the_entrys_bar_the_take_counts_if_the_close_is_beyond),
        TEST(in_the_entrys_bar_a_take_that_the_close_fell_back_from_waits),
        TEST(a_short_sees_the_high_first),
        TEST(other_orders_sent_at_a_bars_end_wait_for_the_next),
        TEST(on_bars_an_order_in_the_middle_pays_the_worst),
        TEST(on_bars_the_nearer_order_is_met_first),
        TEST(on_bars_a_stop_is_met_before_a_limit_at_its_level),
        TEST(a_take_that_waited_fills_at_its_limit_on_a_gap),
        TEST(on_bars_a_day_order_lives_through_its_daily_bar),
        TEST(history_fills_nothing),
        TEST(bars_do_not_fill_where_finer_data_are_seen),
        TEST(fill_on_close_is_the_close_that_was_just_seen),
        TEST(fill_on_instant_asks_no_questions),
        TEST(what_rested_rests_again_at_the_back),
        TEST(what_was_on_its_way_arrives),
        TEST(a_restored_position_can_be_reduced),
        TEST(exec_ids_go_on_where_the_last_session_ended),
        TEST(senseless_options_are_refused),
        TEST(a_flood_of_orders_is_refused),
        TEST(two_instruments_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
