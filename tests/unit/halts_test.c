/* halts_test.c - where no new risk may go: what sets a halt, what it cancels, what lifts it. */
#include "tests/unit/books_fixture.h"

static void a_suspect_fill_makes_it_look_soon_and_a_clean_look_lifts_the_halt(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &FLAT);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    fill(s, id, "2", "100");
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    size_t asked = s->query_count;
    pass(s, SECONDS(5));
    assert_int_equal(s->query_count, asked + 1);
    answer_all(s, &(struct venue_books){ .btc = "2" });
    assert_false(engine_is_instrument_halted(s->engine, BTC));
}

static void restored_halts_stand(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    engine_restore_halt(s->engine, "ETH/USDT", "overfill", "it was");
    engine_restore_halt(s->engine, "NO/SUCH", "overfill", "it was");
    assert_true(engine_is_instrument_halted(s->engine, ETH));
    assert_true(market_order(s, SIDE_BUY, "1") != 0);
    engine_restore_halt(s->engine, "session", "position_mismatch", "not equal");
    assert_true(engine_is_halted(s->engine, NULL));
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
}

/* What reduces may stay, and what is another instrument's business. */
/* What works at the venue, or waits here, when a restart finds a halt is canceled; exits stay. */
static void restored_halts_end_entries(void **state)
{
    (void)state;
    static const char *const scopes[] = { "session", "instance 1", "the account", "symbol BTC/USDT",
                                          "BTC/USDT" };
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        struct stage *s = stage_new(NULL);
        stage_add(s, instance_defaults());
        s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
        for (uint64_t id = 11; id <= 13; id++) {
            struct order order;
            order_init(&order);
            order.order_id = id;
            order.instance_id = 1;
            order.instrument = BTC;
            order.side = id == 13 ? SIDE_SELL : SIDE_BUY;
            order.type = id == 12 ? ORDER_STOP : ORDER_LIMIT;
            order.held = id == 12;
            order.reduce_only = id == 13;
            order.qty = D("1");
            order.price = id == 12 ? DECIMAL_NONE : D("90");
            order.trigger_price = id == 12 ? D("110") : DECIMAL_NONE;
            order.known = ORDER_NEW;
            snprintf(order.client_order_id, sizeof(order.client_order_id), "r%d", (int)id);
            memcpy(order.current_client_order_id, order.client_order_id,
                   sizeof(order.client_order_id));
            assert_done(s, engine_restore_order(s->engine, &order, &s->err));
        }
        engine_restore_halt(s->engine, scopes[i], "daily_loss_limit", "lost");
        assert_done(s, engine_begin(s->engine, 0, s->now_ns, NULL, &s->err));
        assert_int_equal(count_sent(s, SENT_CANCEL), 1);
        assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, 11);
        assert_string_equal(status_of(s, 12), "canceled");
        assert_string_equal(status_of(s, 13), "new");
        assert_true(engine_sums_agree(s->engine));
        stage_free(s);
    }
}

static void a_halt_of_an_instrument_cancels_its_entries_alone(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    trade(s, ETH, "10");
    uint64_t entry = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    struct order_request elsewhere = limit_of(SIDE_BUY, "1", "9");
    elsewhere.instrument = ETH;
    uint64_t other = submit(s, A, elsewhere);
    struct order_request out = limit_of(SIDE_SELL, "1", "120");
    out.reduce_only = true;
    uint64_t exit = submit(s, A, out);
    fill(s, market_order(s, SIDE_BUY, "1"), "2", "100"); /* more than was asked for */
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    assert_string_equal(status_of(s, entry), "pending_cancel");
    assert_string_equal(status_of(s, other), "pending_new");
    assert_string_equal(status_of(s, exit), "pending_new");
}

/* The first reason stays: a second one does not hide it. */
static void a_halted_session_is_halted_once(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_STRICT);
    hold(s, "1");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3" });
    assert_int_equal(count_records(s, RECORD_HALT), 1);
    pass(s, SECONDS(60));
    look_twice(s, &(struct venue_books){ .btc = "7" });
    const char *why;
    assert_true(engine_is_halted(s->engine, &why));
    assert_string_equal(why, "BTC/USDT: our books say 1, the venue says 3");
    assert_int_equal(count_records(s, RECORD_HALT), 1);
    pass(s, SECONDS(86400)); /* it is not the day's: it stays */
    trade(s, BTC, "100");
    assert_true(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

/* A look begins at 60 s and the halt at 61 s: what it saw may be older than what was odd. The next
 * look, a minute later, is not. */
static void a_look_that_began_before_the_halt_does_not_lift_it(void **state)
{
    struct stage *s = *state;
    static const struct venue_books books = { .btc = "2" };
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &FLAT);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    tell(s, id, REPORT_ACK);
    pass(s, SECONDS(60));
    connect(s);
    assert_int_equal(last_query(s)->kind, QUERY_OPEN_ORDERS);
    pass(s, SECONDS(1));
    fill(s, id, "2", "100"); /* more than was asked for */
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    answer_all(s, &books);
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    pass(s, SECONDS(60));
    answer_all(s, &books);
    assert_false(engine_is_instrument_halted(s->engine, BTC));
}

static int enter_at_the_end(struct fake_guest *guest, enum guest_call call,
                            const struct guest_event *event, struct error *err)
{
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    (void)event, (void)err;
    if (call == GUEST_STOP)
        *(uint64_t *)guest->self =
            engine_submit(guest->stage->engine, A, &request, &guest->stage->refusal);
    return 0;
}

/* A stop that leaves orders takes one more; one that cancels all takes none. */
static void what_is_asked_for_at_the_end_depends_on_the_end(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++) {
        struct stage *s = stage_of(RECONCILE_OFF);
        uint64_t id = 0;
        trade(s, BTC, "100");
        s->guests[A].on = enter_at_the_end;
        s->guests[A].self = &id;
        assert_done(s, engine_stop(s->engine, s->now_ns, leaves ? POLICY_LEAVE : POLICY_CANCEL,
                                   "end", &s->err));
        assert_int_equal(id != 0, leaves);
        if (!leaves)
            assert_string_equal(s->refusal.code, "halted");
        stage_free(s);
    }
}

/* A pair that only closes leaves while the instrument is halted, both of it. */
static void a_pair_of_exits_leaves_a_halted_instrument(void **state)
{
    struct stage *s = *state;
    uint64_t ids[2];
    hold(s, "1");
    engine_restore_halt(s->engine, "BTC/USDT", "overfill", "it was");
    struct order_request stop = request_of(SIDE_SELL, "1");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("90");
    const struct order_request pair[2] = { limit_of(SIDE_SELL, "1", "120"), stop };
    assert_true(engine_oco(s->engine, A, pair, ids, &s->refusal));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, books_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_suspect_fill_makes_it_look_soon_and_a_clean_look_lifts_the_halt),
        TEST(restored_halts_stand),
        TEST(restored_halts_end_entries),
        TEST(a_halt_of_an_instrument_cancels_its_entries_alone),
        TEST(a_halted_session_is_halted_once),
        TEST(a_look_that_began_before_the_halt_does_not_lift_it),
        TEST(what_is_asked_for_at_the_end_depends_on_the_end),
        TEST(a_pair_of_exits_leaves_a_halted_instrument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
