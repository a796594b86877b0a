/* held_test.c - orders that rest in the engine because the venue cannot hold them, and those whose
 * time in force it does not know. */
#include "tests/unit/fakes.h"

#include "runtime/config/calendars.h"

#define A 0
#define BIT(x) (1u << (x))

/* A venue of market and limit orders, good till canceled or immediate. */
static struct stage *stage_of(struct stage *s)
{
    stage_add(s, instance_defaults());
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT);
    s->abilities.tifs = BIT(TIF_GTC) | BIT(TIF_IOC);
    s->abilities.oco = false;
    return s;
}

static struct stage *plain_stage(void)
{
    return stage_of(stage_new(NULL));
}

static struct stage *stage_at(const char *price)
{
    struct stage *s = plain_stage();
    s->quiet = true;
    trade(s, BTC, price);
    s->quiet = false;
    return s;
}

static struct order_request stop_of(enum order_side side, const char *qty, const char *trigger)
{
    struct order_request request = request_of(side, qty);
    request.type = ORDER_STOP;
    request.trigger_price = D(trigger);
    return request;
}

static struct order_request trailing_of(enum order_side side, const char *qty, const char *trail,
                                        bool is_share)
{
    struct order_request request = request_of(side, qty);
    request.type = ORDER_TRAILING;
    request.trail = D(trail);
    request.trail_is_share = is_share;
    return request;
}

static void assert_status(struct stage *s, uint64_t id, const char *status)
{
    assert_string_equal(status_of(s, id), status);
}

/* ---- stops --------------------------------------------------------------------------------- */

static void a_stop_rests_here_until_its_trigger(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "2", "105"));
    assert_script(s, "A order\ncommit 1\n");
    assert_status(s, id, "new");
    assert_true(order_at(s, id)->held);
    trade(s, BTC, "104.9");
    trade(s, BTC, "90");
    assert_int_equal(s->sent_count, 0);
    text_clear(&s->script);
    trade(s, BTC, "105");
    /* The release is durable before it leaves, and known before the trade is. */
    assert_script(s, "A trade\nA order\ncommit 1\nsubmit 1\n");
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(sent->type, ORDER_MARKET);
    assert_false(decimal_valid(sent->trigger_price));
    assert_decimal(sent->qty, "2");
    assert_status(s, id, "pending_new");
    assert_int_equal(order_at(s, id)->type, ORDER_STOP); /* what was asked for, for the records */
    trade(s, BTC, "110");
    assert_int_equal(s->sent_count, 1);
    tell(s, id, REPORT_ACK);
    fill(s, id, "2", "105.5");
    assert_status(s, id, "filled");
    assert_decimal(held(s, BTC), "2");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

static void a_sell_stop_waits_below(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t id = submit(s, A, stop_of(SIDE_SELL, "1", "95"));
    trade(s, BTC, "110");
    trade(s, BTC, "95.1");
    assert_int_equal(s->sent_count, 0);
    trade(s, BTC, "94");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, id);
    stage_free(s);
}

static void a_stop_limit_leaves_as_a_limit(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = stop_of(SIDE_BUY, "1", "105");
    request.type = ORDER_STOP_LIMIT;
    request.price = D("106");
    uint64_t id = submit(s, A, request);
    trade(s, BTC, "105");
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(sent->order_id == id && sent->type == ORDER_LIMIT);
    assert_decimal(sent->price, "106");
    assert_false(decimal_valid(sent->trigger_price));
    stage_free(s);
}

static void a_stop_that_is_through_already_leaves_at_once(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "1", "99"));
    assert_script(s, "commit 1\nsubmit 1\n");
    assert_status(s, id, "pending_new");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
    stage_free(s);
}

static void a_venue_that_holds_stops_gets_them(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    s->abilities.types |= BIT(ORDER_STOP);
    submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(sent->type, ORDER_STOP);
    assert_decimal(sent->trigger_price, "105");
    s->abilities.types |= BIT(ORDER_TRAILING);
    submit(s, A, trailing_of(SIDE_SELL, "1", "5", false));
    sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(sent->type, ORDER_TRAILING);
    assert_decimal(sent->trail, "5");
    assert_false(decimal_valid(sent->trigger_price)); /* it begins with the price on arrival */
    stage_free(s);
}

/* As the paper venue: the last trade, unless the quote is asked for or all there is. */
static void a_stop_watches_what_it_was_told(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = stop_of(SIDE_BUY, "1", "105");
    uint64_t last = submit(s, A, request);
    request.stop_on = TRIGGER_QUOTE;
    uint64_t asked = submit(s, A, request);
    quote(s, BTC, "104", "104.9");
    assert_int_equal(s->sent_count, 0);
    quote(s, BTC, "104.5", "105"); /* a buyer meets the ask */
    assert_status(s, asked, "pending_new");
    assert_status(s, last, "new");
    trade(s, BTC, "105");
    assert_status(s, last, "pending_new");

    request.side = SIDE_SELL;
    request.trigger_price = D("95");
    uint64_t sell = submit(s, A, request);
    trade(s, BTC, "90");
    quote(s, BTC, "95.1", "95.3");
    assert_status(s, sell, "new");
    quote(s, BTC, "95", "95.3");
    assert_status(s, sell, "pending_new");
    stage_free(s);
}

static void where_there_are_only_quotes_they_count(void **state)
{
    (void)state;
    struct stage *s = plain_stage();
    quote(s, BTC, "99", "100");
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    quote(s, BTC, "104", "106");
    assert_status(s, id, "pending_new");
    stage_free(s);
}

static void bar(struct stage *s, const char *open, const char *high, const char *low,
                const char *close)
{
    struct event event = { .kind = EVENT_BAR, .instrument = BTC, .time_ns = s->now_ns + MINUTE };
    event.bar = (struct bar_event){ .open_ns = s->now_ns,
                                    .open = mantissa(open, 2),
                                    .high = mantissa(high, 2),
                                    .low = mantissa(low, 2),
                                    .close = mantissa(close, 2) };
    clock_to(s, s->now_ns + MINUTE);
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

static void where_there_are_only_bars_their_range_counts(void **state)
{
    (void)state;
    struct stage *s = plain_stage();
    bar(s, "100", "101", "99", "100");
    uint64_t id = submit(s, A, stop_of(SIDE_SELL, "1", "95"));
    uint64_t trailing = submit(s, A, trailing_of(SIDE_SELL, "1", "4", false)); /* 96 */
    bar(s, "100", "103", "96.5", "102");
    assert_int_equal(s->sent_count, 0);
    assert_decimal(order_at(s, trailing)->trigger_price, "99");
    bar(s, "102", "102", "94", "101");
    assert_status(s, id, "pending_new");
    assert_status(s, trailing, "pending_new");
    stage_free(s);
}

/* ---- trailing ------------------------------------------------------------------------------ */

static void a_trailing_stop_follows_and_never_loosens(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t id = submit(s, A, trailing_of(SIDE_SELL, "1", "5", false));
    assert_decimal(order_at(s, id)->trigger_price, "95");
    trade(s, BTC, "103");
    assert_decimal(order_at(s, id)->trigger_price, "98");
    trade(s, BTC, "99");
    assert_decimal(order_at(s, id)->trigger_price, "98");
    trade(s, BTC, "103.05"); /* 98.05 on a tick of 0.1: toward the price */
    assert_decimal(order_at(s, id)->trigger_price, "98.1");
    trade(s, BTC, "98.1");
    assert_status(s, id, "pending_new");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.type, ORDER_MARKET);
    assert_false(decimal_valid(last_sent(s, SENT_SUBMIT)->order.trail));
    stage_free(s);
}

static void a_buy_trails_above_by_a_share(void **state)
{
    (void)state;
    struct stage *s = stage_at("200");
    uint64_t id = submit(s, A, trailing_of(SIDE_BUY, "1", "0.015", true));
    assert_decimal(order_at(s, id)->trigger_price, "203");
    trade(s, BTC, "190");
    assert_decimal(order_at(s, id)->trigger_price, "192.8"); /* 192.85 */
    trade(s, BTC, "192.7");
    assert_status(s, id, "new");
    trade(s, BTC, "192.8");
    assert_status(s, id, "pending_new");
    stage_free(s);
}

static void a_trailing_stop_without_a_price_begins_with_the_first(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = trailing_of(SIDE_SELL, "1", "5", false);
    request.reduce_only = true;
    bought(s, SIDE_BUY, "1", "100");
    uint64_t id = submit(s, A, request);
    struct stage *fresh = plain_stage();
    struct order order = *order_at(s, id);
    order.trigger_price = DECIMAL_NONE;
    assert_int_equal(engine_restore_order(fresh->engine, &order, &fresh->err), 0);
    trade(fresh, BTC, "120");
    assert_decimal(order_at(fresh, id)->trigger_price, "115");
    stage_free(fresh);
    stage_free(s);
}

/* A crash loses at most a second of its way. */
static void a_moved_trigger_is_recorded_once_a_second(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    submit(s, A, trailing_of(SIDE_SELL, "1", "5", false));
    size_t before = count_records(s, RECORD_ORDER);
    trade(s, BTC, "101");
    trade(s, BTC, "102");
    assert_int_equal(count_records(s, RECORD_ORDER), before);
    clock_to(s, s->now_ns + SECOND);
    assert_int_equal(count_records(s, RECORD_ORDER), before + 1);
    assert_decimal(last_record(s, RECORD_ORDER)->order.trigger_price, "97");
    clock_to(s, s->now_ns + MINUTE);
    assert_int_equal(count_records(s, RECORD_ORDER), before + 1); /* it did not move */
    stage_free(s);
}

static void a_trail_must_be_a_distance(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    static const struct {
        const char *trail;
        bool is_share;
    } bad[] = { { "0", false },   { "-1", false }, { "0.05", false },
                { "100", false }, { "1", true },   { "0", true } };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(submit(s, A, trailing_of(SIDE_SELL, "1", bad[i].trail, bad[i].is_share)),
                         0);
        assert_string_equal(s->refusal.code, "trail");
    }
    struct order_request request = request_of(SIDE_SELL, "1");
    request.type = ORDER_TRAILING;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "trail");
    request.type = ORDER_STOP;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "no_trigger");
    stage_free(s);
}

/* ---- cancel, amend, and taking back -------------------------------------------------------- */

static void a_cancel_needs_no_venue(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    uint64_t other = submit(s, A, stop_of(SIDE_BUY, "1", "106"));
    text_clear(&s->script);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    assert_false(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    assert_script(s, "A order\ncommit 1\n");
    assert_status(s, id, "canceled");
    assert_int_equal(engine_counts(s->engine)->canceled, 1);
    assert_int_equal(engine_open_orders(s->engine), 1);
    trade(s, BTC, "105");
    assert_int_equal(s->sent_count, 0);
    assert_int_equal(engine_cancel_all(s->engine, A, BTC), 1);
    settle(s);
    assert_status(s, other, "canceled");
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

static void an_amend_needs_no_venue(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    s->abilities.amend = AMEND_NONE;
    struct order_request request = stop_of(SIDE_BUY, "1", "105");
    request.type = ORDER_STOP_LIMIT;
    request.price = D("106");
    uint64_t id = submit(s, A, request);
    assert_true(engine_amend(s->engine, A, id, D("2"), D("107"), &s->refusal));
    settle(s);
    assert_status(s, id, "new");
    assert_decimal(order_at(s, id)->qty, "2");
    assert_decimal(last_record(s, RECORD_ORDER)->order.price, "107");
    trade(s, BTC, "105");
    assert_decimal(last_sent(s, SENT_SUBMIT)->price, "107");
    stage_free(s);
}

static int on_trade_fail(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    struct order_request request = stop_of(SIDE_BUY, "1", "103");
    assert_true(engine_submit(s->engine, A, &request, &s->refusal) != 0);
    assert_true(engine_cancel(s->engine, A, 1, &s->refusal));
    assert_true(engine_amend(s->engine, A, 2, D("5"), DECIMAL_NONE, &s->refusal));
    assert_true(engine_cancel(s->engine, A, 2, &s->refusal));
    return error_set(err, ERROR_DATA, "it broke");
}

static void a_failed_callback_takes_it_all_back(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct instance_options options = instance_defaults();
    options.on_error = POLICY_LEAVE;
    stage_add(s, options);
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    uint64_t other = submit(s, A, stop_of(SIDE_BUY, "2", "106"));
    s->guests[A].on = on_trade_fail;
    trade(s, BTC, "101");
    assert_int_equal(engine_instances_alive(s->engine), 0);
    assert_status(s, id, "new");
    assert_decimal(order_at(s, other)->qty, "2");
    assert_int_equal(engine_open_orders(s->engine), 2);
    assert_int_equal(engine_counts(s->engine)->canceled, 0);
    trade(s, BTC, "106");
    assert_status(s, id, "pending_new");
    assert_status(s, other, "pending_new");
    assert_int_equal(s->sent_count, 2);
    stage_free(s);
}

/* ---- the gate ------------------------------------------------------------------------------ */

static void what_adds_risk_passes_the_gate_again(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    bought(s, SIDE_BUY, "1", "100");
    uint64_t entry = submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    struct order_request out = stop_of(SIDE_SELL, "1", "95");
    out.reduce_only = true;
    uint64_t exit = submit(s, A, out);
    struct event down = { .kind = EVENT_CONNECTION, .time_ns = s->now_ns };
    assert_done(s, engine_step(s->engine, &down, &s->err)); /* nobody knows how things stand */
    size_t sent = s->sent_count, alerts = count_records(s, RECORD_ALERT);
    trade(s, BTC, "105");
    assert_status(s, entry, "canceled");
    assert_non_null(strstr(order_at(s, entry)->reason, "the line to the venue is down"));
    assert_int_equal(count_records(s, RECORD_ALERT), alerts + 1);
    assert_int_equal(s->sent_count, sent);
    trade(s, BTC, "95"); /* getting out is always possible */
    assert_status(s, exit, "pending_new");
    assert_int_equal(s->sent_count, sent + 1);
    stage_free(s);
}

/* Else many that fire at once would pass the rate that holds for each second. */
static void those_that_leave_count_for_the_order_rate(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_ORDER_RATE] = decimal_int(2);
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT);
    trade(s, BTC, "100");
    uint64_t ids[3];
    for (int i = 0; i < 3; i++) {
        clock_to(s, s->now_ns + 2 * SECOND);
        ids[i] = submit(s, A, stop_of(SIDE_BUY, "1", "105"));
    }
    clock_to(s, s->now_ns + 2 * SECOND);
    trade(s, BTC, "105");
    assert_int_equal(s->sent_count, 2);
    assert_status(s, ids[1], "pending_new");
    assert_status(s, ids[2], "canceled");
    stage_free(s);
}

static void a_reduce_only_stop_sells_no_more_than_is_held(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    bought(s, SIDE_BUY, "3", "100");
    struct order_request out = stop_of(SIDE_SELL, "3", "95");
    out.reduce_only = true;
    uint64_t first = submit(s, A, out);
    out.trigger_price = D("90");
    uint64_t second = submit(s, A, out);
    bought(s, SIDE_SELL, "1", "100");
    trade(s, BTC, "95");
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "2");
    fill(s, first, "2", "95");
    trade(s, BTC, "90");
    assert_status(s, second, "canceled");
    assert_string_equal(order_at(s, second)->reason, "nothing is left to reduce");
    assert_decimal(held(s, BTC), "0");
    stage_free(s);
}

static void held_orders_count_as_working(void **state)
{
    (void)state;
    struct stage *s = stage_at("100"); /* 100000 of capital, no leverage: 1000 at 100 */
    assert_true(submit(s, A, stop_of(SIDE_BUY, "900", "110")) != 0);
    uint64_t id = submit(s, A, stop_of(SIDE_BUY, "900", "110"));
    assert_int_equal(id, 2); /* reduced to what is left: 100000 / 110 - 900 = 9.09 */
    assert_decimal(order_at(s, id)->qty, "9.09");
    stage_free(s);
}

static void a_stop_that_leaves_is_position_soon(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    bought(s, SIDE_BUY, "2", "100");
    struct order_request out = stop_of(SIDE_SELL, "2", "95");
    out.reduce_only = true;
    submit(s, A, out);
    trade(s, BTC, "95");
    struct order_request options;
    order_request_init(&options);
    assert_int_equal(engine_close_position(s->engine, A, BTC, &options, &s->refusal), 0);
    stage_free(s);
}

/* ---- time in force ------------------------------------------------------------------------- */

static void a_day_order_ends_with_the_day(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_DAY;
    clock_to(s, T0 + 5 * MINUTE);
    uint64_t id = submit(s, A, request);
    const struct order *sent = &last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(sent->tif, TIF_GTC);
    assert_int_equal(order_at(s, id)->tif, TIF_DAY);
    tell(s, id, REPORT_ACK);
    assert_true(engine_due_ns(s->engine) == T0 + NS_PER_DAY);
    clock_to(s, T0 + NS_PER_DAY - 1);
    assert_null(last_sent(s, SENT_CANCEL));
    clock_to(s, T0 + NS_PER_DAY);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell(s, id, REPORT_CANCELED);
    assert_status(s, id, "expired");
    assert_int_equal(engine_counts(s->engine)->expired, 1);
    assert_int_equal(engine_counts(s->engine)->canceled, 0);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    assert_true(engine_due_ns(s->engine) <= T0 + NS_PER_DAY + 10 * SECOND);
    clock_to(s, T0 + NS_PER_DAY + MINUTE);
    assert_true(engine_due_ns(s->engine) == TIME_NEVER);
    stage_free(s);
}

/* BTC trades Monday to Friday 14:30-21:00 UTC, ETH always. T0 is a Monday. */
static const struct calendar *hours[3];

static struct stage *stage_with_hours(int64_t now_ns)
{
    struct risk_options risk = { .no_stop_pct = { 5, 2 }, .calendars = hours };
    struct stage *s = stage_of(stage_new_planned(&(struct stage_plan){ .risk = risk }));
    s->now_ns = now_ns;
    trade(s, BTC, "100");
    trade(s, ETH, "100");
    return s;
}

static bool take_order(void *self, const struct order *order)
{
    struct stage *fresh = self;
    assert_int_equal(engine_restore_order(fresh->engine, order, &fresh->err), 0);
    return true;
}

static int open_hours(void **state)
{
    static const char text[] = "zone: { offset: -05:00 }\n"
                               "sessions: [ { days: mon-fri, hours: 09:30-16:00 } ]\n";
    struct calendar *calendar;
    struct error err = { 0 };
    assert_int_equal(calendar_parse("test", text, strlen(text), &calendar, &err), 0);
    hours[BTC] = *state = calendar;
    return 0;
}

static int release_hours(void **state)
{
    hours[BTC] = NULL;
    calendar_release(*state);
    return 0;
}

static uint64_t day_order(struct stage *s, uint32_t instrument)
{
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.instrument = instrument;
    request.tif = TIF_DAY;
    uint64_t id = submit(s, A, request);
    if (id == 0)
        fail_msg("%s", s->refusal.reason);
    tell(s, id, REPORT_ACK);
    return id;
}

static void a_day_order_ends_with_the_trading_day(void **state)
{
    (void)state;
    const int64_t close = T0 + 21 * NS_PER_HOUR;
    struct stage *s = stage_with_hours(T0 + 15 * NS_PER_HOUR);
    uint64_t stock = day_order(s, BTC), coin = day_order(s, ETH);
    struct order_request held = stop_of(SIDE_BUY, "1", "105");
    held.tif = TIF_DAY;
    uint64_t stop = submit(s, A, held);
    clock_to(s, close - 1);
    assert_null(last_sent(s, SENT_CANCEL));
    assert_status(s, stop, "new");
    clock_to(s, close);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    assert_status(s, stop, "expired");
    tell(s, stock, REPORT_CANCELED);
    assert_status(s, stock, "expired");
    clock_to(s, T0 + NS_PER_DAY - 1);
    assert_status(s, coin, "new");
    clock_to(s, T0 + NS_PER_DAY);
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    stage_free(s);
}

/* What reduces may be asked for while the market is closed: it is of the coming day. On Friday
 * evening that is Monday. */
static void a_day_order_of_the_evening_is_of_the_next_day(void **state)
{
    (void)state;
    const int64_t friday = T0 + 4 * NS_PER_DAY, monday = T0 + 7 * NS_PER_DAY;
    struct stage *s = stage_with_hours(friday + 20 * NS_PER_HOUR);
    bought(s, SIDE_BUY, "1", "100");
    clock_to(s, friday + 21 * NS_PER_HOUR); /* the close itself is the coming day's */
    struct order_request out = limit_of(SIDE_SELL, "1", "120");
    out.tif = TIF_DAY;
    out.reduce_only = true;
    uint64_t id = submit(s, A, out);
    if (id == 0)
        fail_msg("%s", s->refusal.reason);
    tell(s, id, REPORT_ACK);
    clock_to(s, monday + 21 * NS_PER_HOUR - 1);
    assert_null(last_sent(s, SENT_CANCEL));
    clock_to(s, monday + 21 * NS_PER_HOUR);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    stage_free(s);
}

/* The day is that in which it was placed: later in it, and on the next one. */
static void a_restart_knows_the_day_of_an_order(void **state)
{
    (void)state;
    struct stage *s = stage_with_hours(T0 + 15 * NS_PER_HOUR);
    uint64_t id = day_order(s, BTC);
    for (int i = 0; i < 2; i++) {
        struct risk_options risk = { .no_stop_pct = { 5, 2 }, .calendars = hours };
        struct stage *fresh = stage_of(stage_new_planned(&(struct stage_plan){ .risk = risk }));
        fresh->next_id = s->next_id;
        fresh->now_ns = T0 + (i == 0 ? 20 : 22) * NS_PER_HOUR;
        engine_each_order(s->engine, A, false, take_order, fresh);
        assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
        clock_to(fresh, fresh->now_ns);
        assert_int_equal(count_sent(fresh, SENT_CANCEL), i);
        clock_to(fresh, T0 + (i == 0 ? 21 : 22) * NS_PER_HOUR);
        assert_int_equal(count_sent(fresh, SENT_CANCEL), 1);
        tell(fresh, id, REPORT_CANCELED);
        assert_status(fresh, id, "expired");
        stage_free(fresh);
    }
    stage_free(s);
}

static void a_venue_that_knows_the_day_ends_it(void **state)
{
    (void)state;
    struct stage *s = stage_with_hours(T0 + 15 * NS_PER_HOUR);
    s->abilities.tifs |= BIT(TIF_DAY);
    uint64_t id = day_order(s, BTC);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.tif, TIF_DAY);
    clock_to(s, T0 + 3 * NS_PER_DAY);
    assert_null(last_sent(s, SENT_CANCEL));
    assert_status(s, id, "new");
    stage_free(s);
}

static void an_order_good_till_a_time_ends_then(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_GTD;
    request.expires_ns = T0 + MINUTE;
    uint64_t id = submit(s, A, request);
    assert_true(last_sent(s, SENT_SUBMIT)->order.expires_ns == TIME_NEVER);
    tell(s, id, REPORT_ACK);
    clock_to(s, T0 + MINUTE);
    tell_why(s, id, REPORT_CANCEL_REJECT, "busy"); /* it is asked again */
    clock_to(s, T0 + MINUTE + 10 * SECOND);
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    fill(s, id, "0.4", "90");
    tell(s, id, REPORT_CANCELED);
    assert_status(s, id, "expired");
    assert_decimal(order_at(s, id)->filled_qty, "0.4");
    stage_free(s);
}

static void the_strategys_own_cancel_is_no_expiry(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_GTD;
    request.expires_ns = T0 + MINUTE;
    uint64_t id = submit(s, A, request);
    tell(s, id, REPORT_ACK);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    clock_to(s, T0 + MINUTE);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell(s, id, REPORT_CANCELED);
    assert_status(s, id, "canceled");
    stage_free(s);
}

static void a_held_order_expires_here(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    s->abilities.tifs = ~0u; /* the venue knows the time, not the order */
    struct order_request request = stop_of(SIDE_BUY, "1", "105");
    request.tif = TIF_GTD;
    request.expires_ns = T0 + MINUTE;
    uint64_t id = submit(s, A, request);
    uint64_t released = submit(s, A, request);
    (void)released;
    clock_to(s, T0 + MINUTE);
    assert_status(s, id, "expired");
    assert_int_equal(engine_counts(s->engine)->expired, 2);
    assert_int_equal(s->sent_count, 0);
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

static void a_venue_that_knows_the_time_ends_it(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    s->abilities.tifs = ~0u;
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_GTD;
    request.expires_ns = T0 + MINUTE;
    submit(s, A, request);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.tif, TIF_GTD);
    assert_true(engine_due_ns(s->engine) == TIME_NEVER);
    stage_free(s);
}

static void a_time_that_is_over_is_refused(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_GTD;
    request.expires_ns = s->now_ns;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "expired");
    request.tif = TIF_FOK; /* cannot be emulated */
    request.expires_ns = TIME_NEVER;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "not_supported");
    stage_free(s);
}

/* ---- a restart ----------------------------------------------------------------------------- */

static struct stage *restarted(struct stage *s)
{
    struct stage *fresh = plain_stage();
    fresh->next_id = s->next_id;
    fresh->now_ns = s->now_ns;
    assert_int_equal(engine_restore_position(fresh->engine, A, BTC,
                                             engine_position(s->engine, A, BTC), &fresh->err),
                     0);
    engine_each_order(s->engine, A, false, take_order, fresh);
    assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
    return fresh;
}

static void held_orders_go_on_after_a_restart(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    uint64_t stop = submit(s, A, stop_of(SIDE_SELL, "1", "95"));
    uint64_t trailing = submit(s, A, trailing_of(SIDE_SELL, "1", "5", false));
    trade(s, BTC, "110"); /* 105 */
    struct stage *fresh = restarted(s);
    assert_int_equal(fresh->sent_count, 0);
    assert_status(fresh, stop, "new");
    trade(fresh, BTC, "104"); /* through while we slept */
    assert_status(fresh, trailing, "pending_new");
    assert_status(fresh, stop, "new");
    trade(fresh, BTC, "95");
    assert_status(fresh, stop, "pending_new");
    stage_free(fresh);
    stage_free(s);
}

static void what_expired_meanwhile_ends_at_the_start(void **state)
{
    (void)state;
    struct stage *s = stage_at("100");
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.tif = TIF_GTD;
    request.expires_ns = T0 + MINUTE;
    uint64_t id = submit(s, A, request);
    tell(s, id, REPORT_ACK);
    s->now_ns = T0 + 5 * MINUTE;
    struct stage *fresh = restarted(s);
    clock_to(fresh, fresh->now_ns);
    assert_int_equal(count_sent(fresh, SENT_CANCEL), 1);
    tell(fresh, id, REPORT_CANCELED);
    assert_status(fresh, id, "expired");
    stage_free(fresh);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_rests_here_until_its_trigger),
        cmocka_unit_test(a_sell_stop_waits_below),
        cmocka_unit_test(a_stop_limit_leaves_as_a_limit),
        cmocka_unit_test(a_stop_that_is_through_already_leaves_at_once),
        cmocka_unit_test(a_venue_that_holds_stops_gets_them),
        cmocka_unit_test(a_stop_watches_what_it_was_told),
        cmocka_unit_test(where_there_are_only_quotes_they_count),
        cmocka_unit_test(where_there_are_only_bars_their_range_counts),
        cmocka_unit_test(a_trailing_stop_follows_and_never_loosens),
        cmocka_unit_test(a_buy_trails_above_by_a_share),
        cmocka_unit_test(a_trailing_stop_without_a_price_begins_with_the_first),
        cmocka_unit_test(a_moved_trigger_is_recorded_once_a_second),
        cmocka_unit_test(a_trail_must_be_a_distance),
        cmocka_unit_test(a_cancel_needs_no_venue),
        cmocka_unit_test(an_amend_needs_no_venue),
        cmocka_unit_test(a_failed_callback_takes_it_all_back),
        cmocka_unit_test(what_adds_risk_passes_the_gate_again),
        cmocka_unit_test(those_that_leave_count_for_the_order_rate),
        cmocka_unit_test(a_reduce_only_stop_sells_no_more_than_is_held),
        cmocka_unit_test(held_orders_count_as_working),
        cmocka_unit_test(a_stop_that_leaves_is_position_soon),
        cmocka_unit_test(a_day_order_ends_with_the_day),
        cmocka_unit_test(a_day_order_ends_with_the_trading_day),
        cmocka_unit_test(a_day_order_of_the_evening_is_of_the_next_day),
        cmocka_unit_test(a_restart_knows_the_day_of_an_order),
        cmocka_unit_test(a_venue_that_knows_the_day_ends_it),
        cmocka_unit_test(an_order_good_till_a_time_ends_then),
        cmocka_unit_test(the_strategys_own_cancel_is_no_expiry),
        cmocka_unit_test(a_held_order_expires_here),
        cmocka_unit_test(a_venue_that_knows_the_time_ends_it),
        cmocka_unit_test(a_time_that_is_over_is_refused),
        cmocka_unit_test(held_orders_go_on_after_a_restart),
        cmocka_unit_test(what_expired_meanwhile_ends_at_the_start),
    };
    return cmocka_run_group_tests(tests, open_hours, release_hours);
}
