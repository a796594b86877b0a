/* pairs_test.c - two linked orders: what one fills the other gives up; and cancels that were faster
 * than their order. */
#include "tests/unit/fakes.h"

#include "runtime/base/random.h"

#define A 0
#define BIT(x) (1u << (x))

static struct stage *stage_of(bool linked, enum amend_kind amend)
{
    struct stage *s = stage_new(NULL);
    stage_add(s, instance_defaults());
    s->abilities.oco = linked;
    s->abilities.amend = amend;
    s->quiet = true;
    trade(s, BTC, "100");
    s->quiet = false;
    return s;
}

struct ids {
    uint64_t a, b;
};

static struct ids pair_of(struct stage *s, struct order_request a, struct order_request b)
{
    uint64_t ids[2];
    const struct order_request requests[2] = { a, b };
    bool done = engine_oco(s->engine, A, requests, ids, &s->refusal);
    assert_true(done == (ids[0] != 0 && ids[1] != 0));
    settle(s);
    return (struct ids){ ids[0], ids[1] };
}

/* Sell above or below: both rest. */
static struct ids bracket(struct stage *s, const char *qty)
{
    struct order_request stop = request_of(SIDE_SELL, qty);
    stop.type = ORDER_STOP;
    stop.trigger_price = D("90");
    struct ids ids = pair_of(s, limit_of(SIDE_SELL, qty, "120"), stop);
    assert_true(ids.a != 0);
    tell(s, ids.a, REPORT_ACK);
    if (!order_at(s, ids.b)->held)
        tell(s, ids.b, REPORT_ACK);
    return ids;
}

static void both_are_of_one_group(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "2");
    assert_int_equal(order_at(s, ids.a)->group_id, ids.a);
    assert_int_equal(order_at(s, ids.b)->group_id, ids.a);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.group_id, ids.a);
    fill(s, ids.a, "1", "120"); /* the venue does the rest */
    assert_int_equal(s->sent_count, 2);
    tell_terms(s, ids.b, REPORT_RESTATED, D("1"));
    fill(s, ids.a, "1", "120");
    tell(s, ids.b, REPORT_CANCELED);
    assert_int_equal(s->sent_count, 2);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    stage_free(s);
}

static void where_nothing_is_linked_the_engine_cancels(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "2");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.group_id, 0); /* the venue knows no groups */
    fill(s, ids.b, "2", "90");
    assert_string_equal(status_of(s, ids.a), "pending_cancel");
    tell(s, ids.a, REPORT_CANCELED);
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    stage_free(s);
}

static void a_part_reduces_the_other(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "5");
    fill(s, ids.a, "2", "120");
    assert_decimal(order_at(s, ids.b)->pending_qty, "3");
    fill(s, ids.a, "1", "120"); /* while that is under way */
    tell(s, ids.b, REPORT_REPLACED);
    assert_decimal(order_at(s, ids.b)->pending_qty, "2");
    tell(s, ids.b, REPORT_REPLACED);
    fill(s, ids.b, "1", "90"); /* 1 is left for both */
    assert_decimal(order_at(s, ids.a)->pending_qty, "4");
    tell(s, ids.a, REPORT_REPLACED);
    assert_decimal(order_remaining(order_at(s, ids.a)), "1");
    assert_decimal(order_remaining(order_at(s, ids.b)), "1");
    fill(s, ids.a, "1", "120");
    tell(s, ids.b, REPORT_CANCELED);
    assert_decimal(held(s, BTC), "-5");
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    stage_free(s);
}

static void where_nothing_is_amended_the_rest_is_placed_anew(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_NONE);
    struct ids ids = bracket(s, "5");
    fill(s, ids.a, "2", "120");
    assert_string_equal(status_of(s, ids.b), "pending_cancel");
    tell(s, ids.b, REPORT_CANCELED);
    const struct order rest = last_sent(s, SENT_SUBMIT)->order;
    assert_decimal(rest.qty, "3");
    assert_int_equal(rest.type, ORDER_STOP);
    assert_decimal(rest.trigger_price, "90");
    tell(s, rest.order_id, REPORT_ACK);
    fill(s, rest.order_id, "3", "90");
    assert_string_equal(status_of(s, ids.a), "pending_cancel");
    tell(s, ids.a, REPORT_CANCELED);
    assert_decimal(held(s, BTC), "-5");
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    stage_free(s);
}

static void a_refused_amend_becomes_a_cancel(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "5");
    fill(s, ids.a, "2", "120");
    tell(s, ids.b, REPORT_REPLACE_REJECT);
    assert_string_equal(status_of(s, ids.b), "pending_cancel");
    tell(s, ids.b, REPORT_CANCELED);
    assert_decimal(last_sent(s, SENT_SUBMIT)->qty, "3");
    stage_free(s);
}

static void a_port_that_refuses_all_ends_the_turn_all_the_same(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "5");
    s->refuse[SENT_AMEND] = s->refuse[SENT_CANCEL] = true;
    fill(s, ids.a, "2", "120");
    fill(s, ids.a, "3", "120");
    assert_string_equal(status_of(s, ids.b), "unknown");
    fill(s, ids.b, "5", "90");
    assert_int_equal(count_records(s, RECORD_ALERT), 1); /* both filled: a person is told */
    stage_free(s);
}

static void a_leg_may_rest_here(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_NONE);
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT); /* it links, but holds no stops */
    struct ids ids = bracket(s, "5");
    assert_true(order_at(s, ids.b)->held);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.group_id, 0);
    fill(s, ids.a, "2", "120");
    assert_decimal(order_at(s, ids.b)->qty, "3");
    trade(s, BTC, "90");
    assert_string_equal(status_of(s, ids.b), "pending_new");
    fill(s, ids.b, "3", "90");
    assert_string_equal(status_of(s, ids.a), "pending_cancel");
    stage_free(s);
}

static void both_or_none(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    struct order_request nothing = limit_of(SIDE_SELL, "0.0001", "120");
    struct ids ids = pair_of(s, limit_of(SIDE_BUY, "1", "90"), nothing);
    assert_true(ids.a == 0 && ids.b == 0);
    assert_string_equal(s->refusal.code, "zero_qty");
    ids = pair_of(s, nothing, limit_of(SIDE_BUY, "1", "90"));
    assert_int_equal(ids.a, 0);
    struct order_request other = limit_of(SIDE_BUY, "1", "90");
    other.instrument = ETH;
    assert_int_equal(pair_of(s, limit_of(SIDE_BUY, "1", "90"), other).a, 0);
    assert_int_equal(s->sent_count, 0);
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

/* 100000 of capital without leverage: 1000 at 100. */
static void linked_orders_count_once(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    struct ids ids = pair_of(s, limit_of(SIDE_BUY, "700", "100"), limit_of(SIDE_BUY, "600", "100"));
    assert_decimal(order_at(s, ids.b)->qty, "600");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "500", "100"));
    assert_decimal(order_at(s, id)->qty, "300"); /* 1000 - the larger */
    stage_free(s);

    s = stage_of(false, AMEND_IN_PLACE); /* both may fill in a race */
    ids = pair_of(s, limit_of(SIDE_BUY, "700", "100"), limit_of(SIDE_BUY, "600", "100"));
    assert_decimal(order_at(s, ids.b)->qty, "300");
    stage_free(s);
}

static int on_trade_pair_and_fail(struct fake_guest *guest, enum guest_call call,
                                  const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    const struct order_request requests[2] = { limit_of(SIDE_BUY, "1", "90"),
                                               limit_of(SIDE_SELL, "1", "110") };
    uint64_t ids[2];
    assert_true(engine_oco(s->engine, A, requests, ids, &s->refusal));
    return error_set(err, ERROR_DATA, "it broke");
}

static void a_failed_callback_links_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    s->guests[A].on = on_trade_pair_and_fail;
    trade(s, BTC, "100");
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_int_equal(s->sent_count, 0);
    stage_free(s);
}

static bool take_order(void *self, const struct order *order)
{
    struct stage *fresh = self;
    assert_int_equal(engine_restore_order(fresh->engine, order, &fresh->err), 0);
    return true;
}

static void a_pair_survives_a_restart(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "5");
    fill(s, ids.a, "2", "120");
    tell(s, ids.b, REPORT_REPLACED);
    struct stage *fresh = stage_of(false, AMEND_IN_PLACE);
    fresh->next_id = s->next_id;
    fresh->next_exec = s->next_exec;
    engine_each_order(s->engine, A, false, take_order, fresh);
    fill(fresh, ids.b, "1", "90");
    assert_decimal(order_at(fresh, ids.a)->pending_qty, "4"); /* 2 filled, 2 left */
    tell(fresh, ids.a, REPORT_REPLACED);
    fill(fresh, ids.a, "2", "120");
    assert_string_equal(status_of(fresh, ids.b), "pending_cancel");
    stage_free(fresh);
    stage_free(s);
}

static void the_strategys_own_change_stays(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_IN_PLACE);
    struct ids ids = bracket(s, "5");
    assert_true(engine_amend(s->engine, A, ids.a, D("8"), DECIMAL_NONE, &s->refusal));
    settle(s);
    tell(s, ids.a, REPORT_REPLACED);
    assert_int_equal(count_sent(s, SENT_AMEND), 1);
    fill(s, ids.b, "1", "90");
    assert_decimal(order_at(s, ids.a)->pending_qty, "7");
    stage_free(s);
}

/* ---- any order of things -------------------------------------------------------------------- */

struct group {
    struct stage *s;
    uint64_t id, ids[8];
    decimal filled, most_left;
    size_t open;
};

static bool add_order(void *self, const struct order *order)
{
    struct group *group = self;
    if (order->group_id != group->id)
        return true;
    group->filled = decimal_add(group->filled, order->filled_qty);
    group->most_left = decimal_max(group->most_left, order_remaining(order));
    if (order_is_open(order))
        group->ids[group->open++] = order->order_id;
    return true;
}

static struct group group_of(struct stage *s, uint64_t id)
{
    struct group group = { .s = s, .id = id };
    group.filled = group.most_left = DECIMAL_ZERO;
    engine_each_order(s->engine, A, true, add_order, &group);
    return group;
}

static bool answer(struct stage *s, uint64_t id)
{
    const struct order *order = order_at(s, id);
    if (!order_is_open(order) || order->held)
        return false;
    if (order->known == ORDER_PENDING_NEW)
        tell(s, id, REPORT_ACK);
    else if (order->pending & PENDING_REPLACE)
        tell(s, id, REPORT_REPLACED);
    else if (order->pending & PENDING_CANCEL)
        tell(s, id, REPORT_CANCELED);
    else
        return false;
    return true;
}

/* When all answers are in, no order can fill more than the other left. */
static void check_quiet(struct stage *s, uint64_t id)
{
    for (bool again = true; again;) {
        again = false;
        struct group group = group_of(s, id);
        for (size_t i = 0; i < group.open; i++)
            again |= answer(s, group.ids[i]);
    }
    struct group group = group_of(s, id);
    decimal left = decimal_max(decimal_sub(D("3"), group.filled), DECIMAL_ZERO);
    assert_true(decimal_cmp(group.most_left, left) <= 0);
    assert_true(group.open <= 2);
}

static void no_order_fills_what_the_other_filled(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct random random;
        random_seed(&random, seed);
        struct stage *s = stage_of(false, seed % 2 ? AMEND_IN_PLACE : AMEND_NONE);
        if (seed % 3 == 0)
            s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT);
        struct ids ids = bracket(s, "3");
        for (int i = 0; i < 60; i++) {
            struct group group = group_of(s, ids.a);
            if (group.open == 0)
                break;
            uint64_t id = group.ids[random_below(&random, group.open)];
            const struct order *order = order_at(s, id);
            int64_t lots;
            assert_int_equal(decimal_mantissa(order_remaining(order), 3, &lots), 0);
            if (random_below(&random, 2) || order->held)
                answer(s, id);
            else if (random_below(&random, 3) == 0) {
                struct report report = fill_report(
                    s, id, decimal_make(1 + (int64_t)random_below(&random, (uint64_t)lots), 3),
                    D("100"), DECIMAL_ZERO);
                assert_done(s, tell_code(s, &report));
            }
            if (random_below(&random, 4) == 0)
                check_quiet(s, ids.a);
        }
        stage_free(s);
    }
}

/* ---- cancels of orders that are on their way ----------------------------------------------- */

static void a_cancel_that_came_too_early_is_sent_again(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell_why(s, id, REPORT_CANCEL_REJECT, "unknown order");
    assert_string_equal(status_of(s, id), "pending_cancel");
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell(s, id, REPORT_ACK);
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    assert_string_equal(status_of(s, id), "pending_cancel");
    tell(s, id, REPORT_CANCELED);
    assert_string_equal(status_of(s, id), "canceled");
    stage_free(s);
}

static void one_that_was_not_refused_is_not(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    tell(s, id, REPORT_ACK);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell(s, id, REPORT_CANCELED);
    assert_string_equal(status_of(s, id), "canceled");
    stage_free(s);
}

static void an_order_that_travels_is_not_amended(void **state)
{
    (void)state;
    struct stage *s = stage_of(true, AMEND_IN_PLACE);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    assert_false(engine_amend(s->engine, A, id, D("2"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "pending");
    tell(s, id, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, id, D("2"), DECIMAL_NONE, &s->refusal));
    stage_free(s);
}

/* Of exits the rest is placed whatever bars new risk: a halt too. */
static void the_rest_of_an_exit_is_placed_in_a_halt(void **state)
{
    (void)state;
    struct stage *s = stage_of(false, AMEND_NONE);
    fill(s, market_order(s, SIDE_BUY, "5"), "5", "100");
    struct order_request take = limit_of(SIDE_SELL, "5", "120"), stop = request_of(SIDE_SELL, "5");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("90");
    take.reduce_only = stop.reduce_only = true;
    struct ids ids = pair_of(s, take, stop);
    tell(s, ids.a, REPORT_ACK);
    tell(s, ids.b, REPORT_ACK);
    assert_done(
        s, engine_halt(s->engine, s->now_ns, "operator_halt", "a person's", false, false, &s->err));
    fill(s, ids.a, "2", "120");
    assert_string_equal(status_of(s, ids.b), "pending_cancel");
    tell(s, ids.b, REPORT_CANCELED);
    const struct order rest = last_sent(s, SENT_SUBMIT)->order;
    assert_int_equal(rest.type, ORDER_STOP);
    assert_decimal(rest.qty, "3");
    assert_true(rest.reduce_only);
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_are_of_one_group),
        cmocka_unit_test(where_nothing_is_linked_the_engine_cancels),
        cmocka_unit_test(a_part_reduces_the_other),
        cmocka_unit_test(where_nothing_is_amended_the_rest_is_placed_anew),
        cmocka_unit_test(a_refused_amend_becomes_a_cancel),
        cmocka_unit_test(a_port_that_refuses_all_ends_the_turn_all_the_same),
        cmocka_unit_test(a_leg_may_rest_here),
        cmocka_unit_test(both_or_none),
        cmocka_unit_test(linked_orders_count_once),
        cmocka_unit_test(a_failed_callback_links_nothing),
        cmocka_unit_test(a_pair_survives_a_restart),
        cmocka_unit_test(the_strategys_own_change_stays),
        cmocka_unit_test(no_order_fills_what_the_other_filled),
        cmocka_unit_test(a_cancel_that_came_too_early_is_sent_again),
        cmocka_unit_test(one_that_was_not_refused_is_not),
        cmocka_unit_test(an_order_that_travels_is_not_amended),
        cmocka_unit_test(the_rest_of_an_exit_is_placed_in_a_halt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
