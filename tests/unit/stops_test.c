/* stops_test.c - risk.require_stop: a position that nothing protects is given a stop.
 *
 * The distance is 2 %; BTC trades at a tick of 0.1 in lots of 0.001. */
#include "tests/unit/risk_fixture.h"

static struct stage *stage_with_policy(void)
{
    struct stage *s = stage_new_planned(&(struct stage_plan){
        .risk = { .no_stop_pct = D("0.05"), .require_stop = true, .stop_distance_pct = D("0.02") },
        .more_instruments = more_venues });
    add_of_all(s, NULL);
    return s;
}

/* The newest order of the policy, or NULL. */
static const struct order *policy(struct stage *s)
{
    const struct order *found = NULL;
    for (uint64_t id = 1; engine_order(s->engine, id); id++)
        if (strcmp(engine_order(s->engine, id)->tag, "require_stop") == 0)
            found = engine_order(s->engine, id);
    return found;
}

static void acknowledge(struct stage *s)
{
    tell(s, policy(s)->order_id, REPORT_ACK);
}

static void a_bare_position_gets_a_stop_at_the_venue(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    const struct order *stop = policy(s);
    assert_non_null(stop);
    assert_string_equal(order_type_name(stop->type), "stop");
    assert_string_equal(order_side_name(stop->side), "sell");
    assert_true(stop->reduce_only);
    assert_decimal(stop->qty, "1");
    assert_decimal(stop->trigger_price, "98"); /* 100 less 2 % */
    assert_string_equal(order_tif_name(stop->tif), "gtc");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, stop->order_id);
    stage_free(s);
}

/* A short of 10 at 101.37: 103.3974, and the tick below it is nearer. */
static void a_short_is_mirrored_and_the_nearer_tick_counts(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_SELL, "10", "101.37");
    assert_decimal(policy(s)->trigger_price, "103.3");
    assert_string_equal(order_side_name(policy(s)->side), "buy");
    stage_free(s);
}

/* A long at 101.37: 99.3426, and the tick above it is nearer. Of another instrument too. */
static void a_long_of_another_instrument(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, OTHER, SIDE_BUY, "1", "101.37");
    assert_int_equal(policy(s)->instrument, OTHER);
    assert_decimal(policy(s)->trigger_price, "99.4");
    stage_free(s);
}

/* An exit that is no stop protects nothing: it may never fill. */
static void a_limit_order_protects_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "2"));
    fill(s, entry, "1", "100");
    acknowledge(s);
    uint64_t exit = submit(s, A, reduce_only(limit_of(SIDE_SELL, "1", "120")));
    tell(s, exit, REPORT_ACK);
    size_t canceled = count_sent(s, SENT_CANCEL);
    fill(s, entry, "1", "100");
    assert_decimal(last_sent(s, SENT_AMEND)->qty, "2");
    assert_int_equal(count_sent(s, SENT_CANCEL), canceled);
    stage_free(s);
}

static void a_protected_entry_needs_none(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    trade(s, BTC, "100");
    struct order_request entry = request_of(SIDE_BUY, "1");
    entry.stop = D("95");
    fill(s, submit(s, A, entry), "1", "100");
    assert_null(policy(s));
    stage_free(s);
}

static void it_grows_with_the_position(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, entry, "1", "100");
    uint64_t stop = policy(s)->order_id;
    acknowledge(s);
    fill(s, entry, "2", "100");
    assert_int_equal(policy(s)->order_id, stop); /* one that grows, not two */
    assert_decimal(last_sent(s, SENT_AMEND)->qty, "3");
    stage_free(s);
}

static void it_goes_when_the_position_is_flat_or_protected(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t first = policy(s)->order_id;
    acknowledge(s);
    /* The strategy places its own: the policy's goes. */
    struct order_request own = reduce_only(request_of(SIDE_SELL, "1"));
    own.type = ORDER_STOP;
    own.trigger_price = D("97");
    uint64_t id = submit(s, A, own);
    settle(s);
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, first);
    tell(s, first, REPORT_CANCELED);
    assert_int_equal(policy(s)->order_id, first);
    /* It takes its own away: there is one by policy again, and that goes when all is sold. */
    tell(s, id, REPORT_ACK);
    engine_cancel(s->engine, A, id, &s->refusal);
    settle(s);
    uint64_t second = policy(s)->order_id;
    assert_int_not_equal(second, first);
    acknowledge(s);
    tell(s, id, REPORT_CANCELED);
    uint64_t exit = submit(s, A, request_of(SIDE_SELL, "1"));
    settle(s);
    fill(s, exit, "1", "101");
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, second);
    tell(s, second, REPORT_CANCELED);
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

/* Half is sold: a reduce-only stop over all of it does no harm and stays, so that there is never a
 * moment without. */
static void a_part_too_much_stays(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "2", "100");
    acknowledge(s);
    size_t canceled = count_sent(s, SENT_CANCEL);
    uint64_t exit = submit(s, A, request_of(SIDE_SELL, "1"));
    settle(s);
    fill(s, exit, "1", "101");
    assert_int_equal(count_sent(s, SENT_CANCEL), canceled);
    assert_decimal(policy(s)->qty, "2");
    stage_free(s);
}

/* It is placed again, but not at once: the answer would be the same. */
static void a_rejected_one_is_tried_again_later(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t first = policy(s)->order_id;
    tell_why(s, first, REPORT_REJECTED, "no stops today");
    assert_int_equal(policy(s)->order_id, first);
    later(s, SECONDS(9));
    submit(s, A, limit_of(SIDE_BUY, "1", "90")); /* any turn */
    settle(s);
    assert_int_equal(policy(s)->order_id, first);
    later(s, SECONDS(1));
    submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    settle(s);
    assert_int_not_equal(policy(s)->order_id, first);
    stage_free(s);
}

static void where_the_venue_holds_none_it_rests_here_and_fires(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    take(s, A, BTC, SIDE_BUY, "1", "100");
    assert_true(policy(s)->held);
    trade(s, BTC, "98.1");
    assert_true(policy(s)->held);
    trade(s, BTC, "98");
    assert_string_equal(order_type_name(last_sent(s, SENT_SUBMIT)->order.type), "market");
    assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, "1");
    stage_free(s);
}

/* What fills while the run ends stays behind with a stop, unless it is closed. */
static void what_fills_while_the_run_ends_gets_one(void **state)
{
    (void)state;
    static const enum stop_policy policies[] = { POLICY_LEAVE, POLICY_CANCEL, POLICY_FLATTEN };
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        struct stage *s = stage_with_policy();
        trade(s, BTC, "100");
        uint64_t entry = submit(s, A, limit_of(SIDE_BUY, "5", "100"));
        assert_done(s, engine_stop(s->engine, s->now_ns, policies[i], "the end", &s->err));
        fill(s, entry, "5", "100");
        const struct order *last = &last_sent(s, SENT_SUBMIT)->order;
        assert_true(last->reduce_only && last->side == SIDE_SELL);
        assert_decimal(last->qty, "5");
        assert_int_equal(last->type, policies[i] == POLICY_FLATTEN ? ORDER_MARKET : ORDER_STOP);
        stage_free(s);
    }
}

/* An emergency cancels all orders, and no new one takes their place. */
static void an_emergency_gets_none(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    acknowledge(s);
    size_t submits = count_sent(s, SENT_SUBMIT);
    assert_done(
        s, engine_halt(s->engine, s->now_ns, "emergency_stop", "a person", true, false, &s->err));
    trade(s, BTC, "100");
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    tell(s, last_sent(s, SENT_CANCEL)->order.order_id, REPORT_CANCELED);
    trade(s, BTC, "100");
    assert_int_equal(count_sent(s, SENT_SUBMIT), submits);
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "a person", &s->err));
    assert_int_equal(count_sent(s, SENT_SUBMIT), submits + 1); /* as before */
    stage_free(s);
}

static void without_the_policy_there_is_none(void **state)
{
    (void)state;
    struct stage *s = stage_new_planned(&(struct stage_plan){ .more_instruments = more_venues });
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "1", "100");
    assert_null(policy(s));
    stage_free(s);
}

static size_t count_policy(struct stage *s)
{
    size_t count = 0;
    for (uint64_t id = 1; engine_order(s->engine, id); id++)
        count += strcmp(engine_order(s->engine, id)->tag, "require_stop") == 0 &&
                 order_is_open(engine_order(s->engine, id));
    return count;
}

static struct order_request stop_of(const char *qty, const char *trigger)
{
    struct order_request request = reduce_only(request_of(SIDE_SELL, qty));
    request.type = ORDER_STOP;
    request.trigger_price = D(trigger);
    return request;
}

/* One that cannot grow now gets another beside it, of what is missing: it is not acknowledged yet,
 * it is being changed, nobody knows how it stands, or the venue changes nothing. */
static void where_one_cannot_grow_there_are_two(void **state)
{
    (void)state;
    enum { UNANSWERED, PENDING, DOUBTFUL, FIXED, CASES };
    for (int i = 0; i < CASES; i++) {
        struct stage *s = stage_with_policy();
        s->abilities.amend = i == FIXED ? AMEND_NONE : AMEND_IN_PLACE;
        trade(s, BTC, "100");
        uint64_t entry = submit(s, A, request_of(SIDE_BUY, "6"));
        fill(s, entry, "1", "100");
        uint64_t first = policy(s)->order_id;
        if (i != UNANSWERED)
            acknowledge(s);
        if (i == PENDING)
            fill(s, entry, "1", "100"); /* it is to grow to 2 */
        if (i == DOUBTFUL)
            tell(s, first, REPORT_NOT_FOUND);
        fill(s, entry, "3", "100");
        if (count_policy(s) != 2)
            fail_msg("case %d: %zu", i, count_policy(s));
        assert_decimal(policy(s)->qty, i == PENDING ? "4" : "3");
        assert_int_equal(count_sent(s, SENT_AMEND), i == PENDING);
        stage_free(s);
    }
}

static void one_that_rests_here_grows(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    s->abilities.amend = AMEND_NONE; /* the venue's business: it is not there */
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, entry, "1", "100");
    fill(s, entry, "2", "100");
    assert_int_equal(count_policy(s), 1);
    assert_decimal(policy(s)->qty, "3");
    trade(s, BTC, "98");
    assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, "3");
    stage_free(s);
}

/* Of stops of 1 and 2 that of 1 goes when 1 is sold, and while its cancel is under way the other
 * one stays; what others have, and other orders, is left alone. */
static void what_is_too_much_goes_whole(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    s->abilities.amend = AMEND_NONE;
    add_of_all(s, NULL);
    trade(s, ETH, "100");
    take(s, B, BTC, SIDE_BUY, "1", "100"); /* another instance, with a stop of its own */
    uint64_t of_b = policy(s)->order_id;
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, entry, "1", "100");
    uint64_t one = policy(s)->order_id;
    fill(s, entry, "2", "100");
    uint64_t two = policy(s)->order_id;
    assert_decimal(order_at(s, two)->qty, "2");
    uint64_t resting = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    uint64_t elsewhere = submit(s, A, in(ETH, limit_of(SIDE_BUY, "1", "90")));
    uint64_t exit = submit(s, A, reduce_only(limit_of(SIDE_SELL, "3", "110")));
    fill(s, exit, "1", "110");
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, one);
    fill(s, exit, "0.5", "110"); /* 1.5 are left, and 2 are protected: more does no harm */
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    fill(s, exit, "1.5", "110");
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, two);
    assert_string_equal(status_of(s, of_b), "pending_new");
    assert_string_equal(status_of(s, resting), "pending_new");
    assert_string_equal(status_of(s, elsewhere), "pending_new");
    stage_free(s);
}

static void stops_of_the_strategy_are_its_own(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t first = policy(s)->order_id;
    acknowledge(s);
    uint64_t own = submit(s, A, stop_of("1", "97"));
    tell(s, first, REPORT_CANCELED);
    uint64_t exit = submit(s, A, request_of(SIDE_SELL, "0.5"));
    fill(s, exit, "0.5", "101");
    assert_string_equal(status_of(s, own), "pending_new"); /* twice what is held, and not ours */
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    stage_free(s);
}

/* The strategy's stop comes beside two of the policy: both of these are too much. */
static void its_own_stop_takes_the_place_of_all_of_the_policys(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    s->abilities.amend = AMEND_NONE;
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, entry, "1", "100");
    fill(s, entry, "2", "100");
    assert_int_equal(count_policy(s), 2);
    uint64_t own = submit(s, A, stop_of("3", "97"));
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    assert_string_equal(status_of(s, own), "pending_new");
    stage_free(s);
}

/* Nothing could be sent; once there is a line again it is placed. */
static void without_a_line_nothing_is_placed(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "1"));
    struct event line = { .kind = EVENT_CONNECTION, .time_ns = s->now_ns };
    assert_done(s, engine_step(s->engine, &line, &s->err));
    fill(s, entry, "1", "100");
    assert_null(policy(s));
    line.connection.up = true;
    assert_done(s, engine_step(s->engine, &line, &s->err));
    assert_decimal(policy(s)->qty, "1");
    stage_free(s);
}

/* What a person holds is the person's. */
static void what_is_external_gets_none(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    const int external = 1; /* the one after A */
    engine_set_external(s->engine, 2);
    struct position position = *engine_position(s->engine, external, BTC);
    position.qty = D("1");
    position.cost = D("100");
    assert_done(s, engine_restore_position(s->engine, external, BTC, &position, &s->err));
    trade(s, BTC, "100");
    settle(s);
    assert_null(policy(s));
    take(s, A, BTC, SIDE_BUY, "2", "100");
    assert_decimal(policy(s)->qty, "2");
    assert_int_equal(count_policy(s), 1);
    stage_free(s);
}

/* Restored without what it cost: 2 % below nothing is no trigger that could leave. */
static void what_has_no_cost_has_no_distance(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    struct position position = *engine_position(s->engine, A, BTC);
    position.qty = D("1");
    assert_done(s, engine_restore_position(s->engine, A, BTC, &position, &s->err));
    trade(s, BTC, "100");
    submit(s, A, limit_of(SIDE_SELL, "1", "110")); /* any turn */
    assert_null(policy(s));
    stage_free(s);
}

/* One that rests here ends at once, and in the same turn another takes its place. */
static void a_stop_that_rested_here_and_was_canceled_protects_no_more(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "1"));
    fill(s, entry, "1", "100");
    uint64_t first = policy(s)->order_id, own = submit(s, A, stop_of("1", "97"));
    assert_string_equal(status_of(s, first), "canceled");
    assert_int_equal(count_policy(s), 0);
    assert_true(engine_cancel(s->engine, A, own, &s->refusal));
    settle(s);
    assert_string_equal(status_of(s, own), "canceled");
    assert_int_equal(count_policy(s), 1);
    assert_decimal(policy(s)->trigger_price, "98");
    stage_free(s);
}

static void any_turn(struct stage *s)
{
    submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    settle(s);
}

static void sell_all(struct stage *s)
{
    uint64_t exit = submit(s, A, request_of(SIDE_SELL, "1"));
    settle(s);
    fill(s, exit, "1", "101");
}

/* "Too late": it is gone, and how is asked. A second cancel would be refused like the first. */
static void one_that_was_gone_before_its_cancel_is_not_canceled_again(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t stop = policy(s)->order_id;
    acknowledge(s);
    sell_all(s);
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, stop);
    size_t canceled = count_sent(s, SENT_CANCEL);
    tell_why(s, stop, REPORT_CANCEL_REJECT, "too late to cancel");
    assert_string_equal(status_of(s, stop), "unknown");
    later(s, SECONDS(20));
    any_turn(s);
    assert_int_equal(count_sent(s, SENT_CANCEL), canceled);
    tell(s, stop, REPORT_CANCELED);
    assert_string_equal(status_of(s, stop), "canceled");
    stage_free(s);
}

/* A venue that does not cancel now is asked again, but not as fast as it refuses. */
static void a_refused_cancel_waits(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    take(s, A, BTC, SIDE_BUY, "1", "100");
    uint64_t stop = policy(s)->order_id;
    acknowledge(s);
    sell_all(s);
    size_t canceled = count_sent(s, SENT_CANCEL);
    tell_why(s, stop, REPORT_CANCEL_REJECT, "busy");
    later(s, SECONDS(9));
    any_turn(s);
    assert_int_equal(count_sent(s, SENT_CANCEL), canceled);
    later(s, SECONDS(1));
    any_turn(s);
    assert_int_equal(count_sent(s, SENT_CANCEL), canceled + 1);
    stage_free(s);
}

/* One that the venue does not let grow gets a second beside it, at once. */
static void a_refused_growth_gets_a_second_one(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy();
    trade(s, BTC, "100");
    uint64_t entry = submit(s, A, request_of(SIDE_BUY, "3"));
    fill(s, entry, "1", "100");
    uint64_t first = policy(s)->order_id;
    acknowledge(s);
    fill(s, entry, "2", "100");
    assert_int_equal(count_sent(s, SENT_AMEND), 1);
    tell_why(s, first, REPORT_REPLACE_REJECT, "busy");
    assert_int_equal(count_sent(s, SENT_AMEND), 1);
    assert_int_not_equal(policy(s)->order_id, first);
    assert_decimal(policy(s)->qty, "2");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_position_gets_a_stop_at_the_venue),
        cmocka_unit_test(a_short_is_mirrored_and_the_nearer_tick_counts),
        cmocka_unit_test(a_long_of_another_instrument),
        cmocka_unit_test(a_limit_order_protects_nothing),
        cmocka_unit_test(a_protected_entry_needs_none),
        cmocka_unit_test(it_grows_with_the_position),
        cmocka_unit_test(it_goes_when_the_position_is_flat_or_protected),
        cmocka_unit_test(a_part_too_much_stays),
        cmocka_unit_test(a_rejected_one_is_tried_again_later),
        cmocka_unit_test(where_the_venue_holds_none_it_rests_here_and_fires),
        cmocka_unit_test(what_fills_while_the_run_ends_gets_one),
        cmocka_unit_test(an_emergency_gets_none),
        cmocka_unit_test(without_the_policy_there_is_none),
        cmocka_unit_test(where_one_cannot_grow_there_are_two),
        cmocka_unit_test(one_that_rests_here_grows),
        cmocka_unit_test(what_is_too_much_goes_whole),
        cmocka_unit_test(stops_of_the_strategy_are_its_own),
        cmocka_unit_test(its_own_stop_takes_the_place_of_all_of_the_policys),
        cmocka_unit_test(without_a_line_nothing_is_placed),
        cmocka_unit_test(what_is_external_gets_none),
        cmocka_unit_test(what_has_no_cost_has_no_distance),
        cmocka_unit_test(a_stop_that_rested_here_and_was_canceled_protects_no_more),
        cmocka_unit_test(one_that_was_gone_before_its_cancel_is_not_canceled_again),
        cmocka_unit_test(a_refused_cancel_waits),
        cmocka_unit_test(a_refused_growth_gets_a_second_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
