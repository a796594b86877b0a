/* engine_test.c - turns, callbacks, orders asked for, reports, figures: the engine between fakes.
 */
#include "tests/unit/fakes.h"

#include "runtime/base/random.h"

#define A 0
#define B 1

static struct stage *stage_of_two(void)
{
    struct stage *s = stage_new(NULL);
    stage_add(s, instance_defaults());
    stage_add(s, instance_defaults());
    return s;
}

/* A trade at 100 without a line in the script: there is a price. */
static void have_price(struct stage *s)
{
    s->quiet = true;
    trade(s, BTC, "100");
    trade(s, ETH, "50");
    s->quiet = false;
}

/* ---- turns ---------------------------------------------------------------------------------- */

static int on_trade_buy(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    (void)event, (void)err;
    struct order_request request = request_of(SIDE_BUY, "1");
    if (call == GUEST_TRADE)
        engine_submit(guest->stage->engine, guest->index, &request, &guest->stage->refusal);
    return 0;
}

static void an_order_leaves_after_the_commit_of_its_turn(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_trade_buy;
    trade(s, BTC, "100");
    assert_script(s, "A trade\ncommit 1\nsubmit 1\n");
    const struct record *record = last_record(s, RECORD_ORDER);
    assert_int_equal(record->order.order_id, 1);
    assert_int_equal(record->instance_id, 1);
    assert_string_equal(order_status_name(order_status(&record->order)), "pending_new");
}

static void a_turn_without_intent_costs_no_commit(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    quote(s, BTC, "99", "101");
    assert_script(s, "A trade\nA quote\n");
}

static void a_fill_is_told_as_order_fill_position_and_then_committed(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    tell(s, id, REPORT_ACK);
    text_clear(&s->script);
    fill(s, id, "1", "100");
    assert_script(s, "A order\nA fill\nA position\ncommit 3\n"); /* order, fill, position */
    assert_string_equal(status_of(s, id), "filled");
    assert_decimal(last_record(s, RECORD_FILL)->fill.price, "100");
    assert_decimal(last_record(s, RECORD_POSITION)->position.cost, "100");
}

static void a_rejection_is_told_as_order_and_reject(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    text_clear(&s->script);
    tell_why(s, id, REPORT_REJECTED, "no");
    assert_script(s, "A order\nA reject\ncommit 1\n");
    tell_why(s, id, REPORT_REJECTED, "no");
    assert_script(s, "");
}

static void nothing_leaves_when_the_commit_fails(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_trade_buy;
    s->commit_code = ERROR_IO;
    assert_int_equal(trade_code(s, BTC, "100"), ERROR_IO);
    assert_script(s, "A trade\ncommit fails\n");
    /* And not later either: what was not stored cannot be found again after a crash. */
    s->commit_code = 0;
    s->guests[A].on = NULL;
    assert_int_equal(engine_stop(s->engine, s->now_ns, POLICY_CANCEL, "disk", &s->err), ERROR_IO);
    assert_int_equal(s->sent_count, 0);
    assert_int_equal(engine_flush(s->engine, s->now_ns, &s->err), ERROR_IO);
}

/* ---- a callback is a transaction --------------------------------------------------------------
 */

struct failing {
    uint64_t resting[2];
    uint64_t placed;
    int code;
};

static int on_trade_fail(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    struct failing *failing = guest->self;
    struct order_request request = request_of(SIDE_BUY, "1");
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    assert_true(engine_cancel(s->engine, guest->index, failing->resting[0], &s->refusal));
    assert_true(
        engine_amend(s->engine, guest->index, failing->resting[1], D("3"), D("80"), &s->refusal));
    assert_true(engine_cancel(s->engine, guest->index, failing->resting[1], &s->refusal));
    failing->placed = engine_submit(s->engine, guest->index, &request, &s->refusal);
    assert_true(failing->placed != 0);
    assert_true(engine_cancel(s->engine, guest->index, failing->placed, &s->refusal));
    request.qty = D("0.0001"); /* blocked: recorded, told */
    assert_int_equal(engine_submit(s->engine, guest->index, &request, &s->refusal), 0);
    engine_timer(s->engine, guest->index, "never", 1);
    return error_at(err, failing->code, "fake.lua:7", "it broke");
}

static void a_failed_callback_takes_back_all_it_asked_for(void **state)
{
    struct stage *s = *state;
    struct failing failing = { .code = ERROR_DATA };
    have_price(s);
    for (int i = 0; i < 2; i++) {
        failing.resting[i] = submit(s, A, limit_of(SIDE_BUY, "2", "90"));
        tell(s, failing.resting[i], REPORT_ACK);
    }
    struct order before[2] = { *order_at(s, failing.resting[0]), *order_at(s, failing.resting[1]) };
    struct engine_counts counts = *engine_counts(s->engine);
    text_clear(&s->script);

    s->guests[A].self = &failing;
    s->guests[A].on = on_trade_fail;
    trade(s, BTC, "100");
    assert_script(s, "A trade\ncommit 1\n"); /* the alert */
    assert_int_equal(last_record(s, RECORD_ALERT)->instance_id, 1);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(order_at(s, failing.resting[i]), &before[i], sizeof(before[i]));
    assert_null(engine_order(s->engine, failing.placed));
    assert_int_equal(engine_open_orders(s->engine), 2);
    assert_int_equal(engine_counts(s->engine)->submitted, counts.submitted);
    assert_int_equal(engine_counts(s->engine)->blocked, counts.blocked);
    assert_int_equal(engine_counts(s->engine)->failed_instances, 1);
    assert_int_equal(engine_due_ns(s->engine), TIME_NEVER);

    int failure;
    const char *why;
    assert_false(engine_instance_alive(s->engine, A, &failure, &why));
    assert_int_equal(failure, ERROR_DATA);
    assert_string_equal(why, "fake.lua:7: it broke");
    trade(s, BTC, "100");
    tell(s, failing.resting[0], REPORT_CANCELED); /* its orders live on, it is not told */
    assert_script(s, "commit 2\n");
}

/* Only the part of the one that failed is dropped. */
static void other_instances_keep_what_they_asked_for(void **state)
{
    (void)state;
    struct stage *s = stage_of_two();
    struct failing failing = { .code = ERROR_RANGE };
    have_price(s);
    for (int i = 0; i < 2; i++) {
        failing.resting[i] = submit(s, B, limit_of(SIDE_BUY, "2", "90"));
        tell(s, failing.resting[i], REPORT_ACK);
    }
    text_clear(&s->script);
    s->guests[A].on = on_trade_buy;
    s->guests[B].on = on_trade_fail;
    s->guests[B].self = &failing;
    trade(s, BTC, "100");
    assert_script(s, "A trade\nB trade\ncommit 2\nsubmit 3\n");
    assert_int_equal(engine_instances_alive(s->engine), 1);
    stage_free(s);
}

static int on_trade_lose_and_fail(struct fake_guest *guest, enum guest_call call,
                                  const struct guest_event *event, struct error *err)
{
    on_trade_buy(guest, call, event, err);
    return call == GUEST_TRADE ? error_set(err, ERROR_DATA, "it broke") : 0;
}

/* A halt found by an order that is taken back would cancel nobody's entries, and be recorded
 * nowhere. */
static void a_failed_callback_takes_back_its_halt_too(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_DAILY_LOSS] = D("5");
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    stage_add(s, instance_defaults());
    have_price(s);
    bought(s, SIDE_BUY, "1", "100");
    uint64_t resting = submit(s, B, limit_of(SIDE_BUY, "1", "90"));
    s->quiet = true;
    trade(s, BTC, "90"); /* 10 lost */
    s->quiet = false;
    text_clear(&s->script);
    s->guests[A].on = on_trade_lose_and_fail;
    trade(s, BTC, "90");
    assert_script(s, "A trade\nB trade\ncommit 1\n");
    assert_string_equal(status_of(s, resting), "pending_new");
    s->guests[B].on = on_trade_buy;
    trade(s, BTC, "90");
    assert_string_equal(s->refusal.code, "max_daily_loss");
    assert_string_equal(status_of(s, resting), "pending_cancel");
    assert_int_equal(last_record(s, RECORD_HALT)->kind, RECORD_HALT);
    stage_free(s);
}

/* ---- no nesting, and an end
 * ----------------------------------------------------------------------- */

static int on_fill_chain(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    struct order_request request = request_of(SIDE_BUY, "0.0001"); /* less than a lot */
    (void)event, (void)err;
    if (call == GUEST_FILL) {
        engine_submit(guest->stage->engine, guest->index, &request, &guest->stage->refusal);
        request.qty = D("5000"); /* more than there is money for */
        assert_true(engine_submit(guest->stage->engine, guest->index, &request,
                                  &guest->stage->refusal) != 0);
        note(guest->stage, "A fill ends");
    }
    return 0;
}

static void what_a_callback_causes_comes_after_it(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    s->guests[A].on = on_fill_chain;
    text_clear(&s->script);
    fill(s, id, "1", "100");
    assert_script(s, "A order\nA fill\nA fill ends\nA position\nA risk\n"
                     "commit 6\nsubmit 2\n"); /* order, fill, position, blocked, reduced, order */
}

static int on_risk_again(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    struct order_request request = request_of(SIDE_BUY, "1");
    request.instrument = FUT; /* has no price */
    (void)event, (void)err;
    if (call == GUEST_TRADE || call == GUEST_RISK)
        for (int i = 0; i < 1 + (int)(intptr_t)guest->self; i++)
            engine_submit(guest->stage->engine, guest->index, &request, &guest->stage->refusal);
    return 0;
}

static int on_trade_blocked(struct fake_guest *guest, enum guest_call call,
                            const struct guest_event *event, struct error *err)
{
    if (call == GUEST_TRADE)
        on_risk_again(guest, call, event, err);
    return 0;
}

static void check_endless(int more)
{
    struct stage *s = stage_of_two();
    s->quiet = true;
    s->guests[A].on = on_risk_again;
    s->guests[A].self = (void *)(intptr_t)more;
    s->guests[B].on = on_trade_blocked;
    trade(s, BTC, "100");
    const char *why;
    assert_false(engine_instance_alive(s->engine, A, NULL, &why));
    assert_non_null(strstr(why, "without end"));
    assert_true(engine_instance_alive(s->engine, B, NULL, NULL));
    assert_true(s->guests[A].calls[GUEST_RISK] >= 1 && s->guests[A].calls[GUEST_RISK] <= 10001);
    assert_int_equal(s->guests[B].calls[GUEST_RISK], 1); /* nobody else loses what is theirs */
    assert_int_equal(engine_counts(s->engine)->failed_instances, 1);
    s->guests[A].calls[GUEST_RISK] = 0;
    trade(s, BTC, "100");
    assert_int_equal(s->guests[A].calls[GUEST_RISK], 0);
    assert_int_equal(s->guests[B].calls[GUEST_RISK], 2);
    stage_free(s);
}

static void callbacks_that_cause_each_other_without_end_stop_their_instance(void **state)
{
    (void)state;
    check_endless(0);
    check_endless(800); /* and the queue stays small */
}

static int on_reject_again(struct fake_guest *guest, enum guest_call call,
                           const struct guest_event *event, struct error *err)
{
    if (call == GUEST_REJECT)
        on_trade_buy(guest, GUEST_TRADE, event, err);
    return on_trade_buy(guest, call, event, err);
}

/* A port that takes nothing answers within the turn. */
static void answering_each_refusal_of_the_port_ends_too(void **state)
{
    struct stage *s = *state;
    s->quiet = true;
    s->refuse[SENT_SUBMIT] = true;
    s->guests[A].on = on_reject_again;
    trade(s, BTC, "100");
    assert_false(engine_instance_alive(s->engine, A, NULL, NULL));
    assert_int_equal(engine_open_orders(s->engine), 0);
}

static int on_trade_greedy(struct fake_guest *guest, enum guest_call call,
                           const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    for (int i = 0; i < 1001; i++)
        on_trade_buy(guest, call, event, err);
    if (call == GUEST_TRADE)
        assert_false(engine_cancel(s->engine, guest->index, 1, &s->refusal));
    return 0;
}

static int on_trade_close(struct fake_guest *guest, enum guest_call call,
                          const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    struct order_request request = request_of(SIDE_SELL, "1");
    (void)event, (void)err;
    request.reduce_only = true;
    if (call == GUEST_TRADE)
        engine_submit(s->engine, guest->index, &request, &s->refusal);
    return 0;
}

static void one_callback_may_ask_for_so_much(void **state)
{
    struct stage *s = *state;
    s->quiet = true;
    s->guests[A].on = on_trade_greedy;
    trade(s, BTC, "5");
    assert_string_equal(s->refusal.code, "too_many_requests");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1000);
    trade(s, BTC, "5");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2000);
}

static int on_order_again(struct fake_guest *guest, enum guest_call call,
                          const struct guest_event *event, struct error *err)
{
    struct stage *s = guest->stage;
    struct order_request request = limit_of(SIDE_BUY, "2", "5");
    (void)err;
    if (call == GUEST_STOP || (call == GUEST_ORDER && !order_is_open(event->order)))
        engine_submit(s->engine, guest->index, &request, &s->refusal);
    return 0;
}

/* An entry that is canceled by the stop is asked for again, and one when the stop is told. */
static void a_stop_that_cancels_takes_no_new_entries(void **state)
{
    (void)state;
    static const enum stop_policy policies[] = { POLICY_CANCEL, POLICY_FLATTEN };
    for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
        struct stage *s = stage_new(NULL);
        stage_add(s, instance_defaults());
        s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
        trade(s, BTC, "5");
        struct order_request request = request_of(SIDE_BUY, "2");
        request.type = ORDER_STOP;
        request.trigger_price = D("6");
        uint64_t id = submit(s, A, request);
        assert_true(order_at(s, id)->held);
        s->guests[A].on = on_order_again;
        assert_done(s, engine_stop(s->engine, s->now_ns, policies[i], "the end", &s->err));
        assert_int_equal(engine_open_orders(s->engine), 0);
        assert_string_equal(s->refusal.code, "halted");
        stage_free(s);
    }
}

/* Ten thousand are open, and the position has a stop to get and can be closed, by a strategy and by
 * a person. */
static void there_is_always_room_for_a_way_out(void **state)
{
    struct stage *s = *state;
    s->quiet = true;
    trade(s, BTC, "5");
    struct order_request protected = limit_of(SIDE_BUY, "2", "5");
    protected.stop = D("4");
    uint64_t entry = submit(s, A, protected);
    s->guests[A].on = on_trade_greedy;
    for (int i = 0; i < 10; i++)
        trade(s, BTC, "5");
    assert_int_equal(engine_open_orders(s->engine), 10000);
    s->guests[A].on = NULL;
    fill(s, entry, "1", "5");
    assert_true(last_sent(s, SENT_SUBMIT)->order.role == ROLE_STOP);
    s->guests[A].on = on_trade_close;
    trade(s, BTC, "5");
    const struct order *closes = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(closes->role == ROLE_PLAIN && closes->reduce_only);
    fill(s, closes->order_id, "1", "5");
    s->guests[A].on = NULL;
    fill(s, entry, "1", "5");
    assert_done(s, engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err));
    assert_string_equal(last_sent(s, SENT_SUBMIT)->order.tag, "flatten");
}

static void ten_thousand_orders_may_be_open(void **state)
{
    struct stage *s = *state;
    s->quiet = true;
    s->guests[A].on = on_trade_greedy;
    for (int i = 0; i < 10; i++)
        trade(s, BTC, "5");
    assert_int_equal(engine_open_orders(s->engine), 10000);
    s->guests[A].on = on_trade_buy;
    trade(s, BTC, "5");
    assert_string_equal(s->refusal.code, "too_many_orders");
    assert_string_equal(last_record(s, RECORD_BLOCKED)->code, "too_many_orders");
    assert_int_equal(s->sent_count, 10000);
}

/* ---- the gate's word
 * -------------------------------------------------------------------------------- */

struct heard {
    enum guest_call call;
    char verdict[16], code[32], reason[REASON_MAX];
    decimal qty;
};

static int on_any_listen(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    struct heard *heard = guest->self;
    (void)err;
    heard->call = call;
    if (event->name)
        text_copy(heard->reason, sizeof(heard->reason), event->name);
    if (call == GUEST_RISK) {
        text_copy(heard->verdict, sizeof(heard->verdict), event->verdict);
        text_copy(heard->code, sizeof(heard->code), event->code);
        heard->qty = event->order->qty;
    }
    return 0;
}

static void what_risk_decides_is_told_and_recorded(void **state)
{
    struct stage *s = *state;
    struct heard heard = { 0 };
    have_price(s);
    s->guests[A].on = on_any_listen;
    s->guests[A].self = &heard;

    uint64_t id = market_order(s, SIDE_BUY, "2000"); /* 100,000 buys 1000 */
    assert_string_equal(heard.verdict, "reduce");
    assert_string_equal(heard.code, "buying_power");
    assert_decimal(heard.qty, "2000");
    assert_decimal(order_at(s, id)->qty, "1000");
    assert_string_equal(order_at(s, id)->reason, "");
    assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, "1000");
    assert_int_equal(engine_counts(s->engine)->reduced, 1);

    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    assert_string_equal(s->refusal.code, "buying_power");
    assert_true(strlen(s->refusal.reason) > 0);
    assert_string_equal(heard.verdict, "block");
    assert_string_equal(heard.reason, s->refusal.reason);
    assert_string_equal(last_record(s, RECORD_BLOCKED)->code, "buying_power");
    assert_string_equal(last_record(s, RECORD_BLOCKED)->order.reason, s->refusal.reason);
    assert_int_equal(engine_counts(s->engine)->blocked, 1);
    assert_int_equal(s->sent_count, 1);
}

static void only_the_gate_calls_on_risk(void **state)
{
    struct stage *s = *state;
    have_price(s);
    text_clear(&s->script);
    assert_int_equal(market_order(s, SIDE_BUY, "0.0004"), 0);
    assert_string_equal(s->refusal.code, "zero_qty");
    assert_script(s, "commit 1\n"); /* recorded for `why` */
}

/* ---- policies
 * ------------------------------------------------------------------------------------------ */

static int on_quote_fail(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    (void)guest, (void)event;
    return call == GUEST_QUOTE ? error_set(err, ERROR_DATA, "it broke") : 0;
}

/* An instance that is long 2, with an entry, a plain reduce-only order, and a protected entry. */
static struct stage *stage_with_policy(enum stop_policy policy)
{
    struct stage *s = stage_new(NULL);
    struct instance_options options = instance_defaults();
    options.on_error = policy;
    stage_add(s, options);
    have_price(s);
    struct order_request entry = request_of(SIDE_BUY, "2");
    entry.stop = D("90");
    uint64_t id = submit(s, A, entry); /* 1 */
    fill(s, id, "2", "100");           /* its stop: 2 */
    tell(s, 2, REPORT_ACK);
    tell(s, submit(s, A, limit_of(SIDE_BUY, "1", "95")), REPORT_ACK); /* 3 */
    struct order_request out = limit_of(SIDE_SELL, "1", "120");
    out.reduce_only = true;
    tell(s, submit(s, A, out), REPORT_ACK); /* 4 */
    text_clear(&s->script);
    return s;
}

static void leave_leaves_all(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy(POLICY_LEAVE);
    s->guests[A].on = on_quote_fail;
    quote(s, BTC, "99", "101");
    assert_script(s, "A quote\ncommit 1\n");
    stage_free(s);
}

static void cancel_ends_entries_and_keeps_exits(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy(POLICY_CANCEL);
    s->guests[A].on = on_quote_fail;
    quote(s, BTC, "99", "101");
    assert_script(s, "A quote\ncommit 2\ncancel 3\n");
    stage_free(s);
}

static void flatten_closes_and_ends_all(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy(POLICY_FLATTEN);
    s->guests[A].on = on_quote_fail;
    quote(s, BTC, "99", "101");
    assert_script(s, "A quote\ncommit 4\ncancel 3\ncancel 4\nsubmit 5\n");
    const struct order *out = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(out->reduce_only && out->type == ORDER_MARKET && out->side == SIDE_SELL);
    assert_decimal(out->qty, "2");
    fill(s, 5, "2", "99"); /* flat: the stop has nothing to protect */
    assert_int_equal(last_sent(s, SENT_CANCEL)->order.order_id, 2);
    tell(s, 2, REPORT_CANCELED);
    tell(s, 3, REPORT_CANCELED);
    tell(s, 4, REPORT_CANCELED);
    assert_int_equal(engine_open_orders(s->engine), 0);
    assert_decimal(held(s, BTC), "0");
    stage_free(s);
}

/* Stopping twice must not sell twice. */
static void flatten_counts_what_is_under_way(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy(POLICY_FLATTEN);
    assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_FLATTEN, "end", &s->err));
    assert_script(s, "A stop\ncommit 3\ncancel 3\ncancel 4\nsubmit 5\n");
    /* on_stop was the last call: nobody is called after it. */
    assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_FLATTEN, "end", &s->err));
    assert_script(s, "");
    stage_free(s);
}

static void a_stopped_instance_has_its_policy_and_is_not_called(void **state)
{
    (void)state;
    struct stage *s = stage_with_policy(POLICY_CANCEL);
    assert_done(s, engine_stop_instance(s->engine, A, s->now_ns, "quarantined", &s->err));
    assert_script(s, "commit 2\ncancel 3\n");
    struct order_request request = request_of(SIDE_BUY, "1");
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "stopped");
    stage_free(s);
}

static int on_trade_stop(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    on_trade_buy(guest, call, event, err);
    if (call == GUEST_TRADE)
        engine_request_stop(guest->stage->engine, guest->index, "enough");
    return 0;
}

/* What it asked for before stays asked for: it did not fail. */
static void an_instance_may_stop_itself_after_its_callback(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_trade_stop;
    trade(s, BTC, "100");
    assert_script(s, "A trade\ncommit 2\nsubmit 1\n");
    int failure;
    const char *why;
    assert_false(engine_instance_alive(s->engine, A, &failure, &why));
    assert_int_equal(failure, 0);
    assert_string_equal(why, "enough");
    assert_int_equal(engine_counts(s->engine)->failed_instances, 0);
}

/* ---- market events
 * ------------------------------------------------------------------------------------- */

static void subscribe(struct stage *s, int who, const struct bar_subscription *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bars *bars;
        assert_int_equal(
            market_bars(s->market, list[i].instrument, list[i].tf_ns, false, &bars, &s->err), 0);
    }
    engine_subscribe_bars(s->engine, who, list, count);
}

static int on_bar_note(struct fake_guest *guest, enum guest_call call,
                       const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call != GUEST_BAR)
        return 0;
    assert_int_equal(event->time_ns, event->bar->time_end_ns);
    assert_int_equal(engine_now(guest->stage->engine), event->time_ns);
    note(guest->stage, "  %u %d", (unsigned)event->instrument, (int)(event->bar->tf_ns / MINUTE));
    return 0;
}

static void bars_come_longest_first_in_listed_order(void **state)
{
    (void)state;
    struct stage *s = stage_of_two();
    const struct bar_subscription a[] = {
        { BTC, MINUTE }, { ETH, 5 * MINUTE }, { ETH, MINUTE }, { BTC, 5 * MINUTE }
    };
    const struct bar_subscription b[] = { { BTC, 5 * MINUTE } };
    subscribe(s, A, a, ARRAY_SIZE(a));
    subscribe(s, B, b, ARRAY_SIZE(b));
    s->guests[A].on = s->guests[B].on = on_bar_note;
    s->quiet = true;
    clock_to(s, T0 + 4 * MINUTE);
    trade(s, ETH, "50");
    trade(s, BTC, "100");
    s->quiet = false;
    clock_to(s, T0 + 5 * MINUTE);
    assert_script(s, "A bar\n  0 5\nB bar\n  0 5\nA bar\n  1 5\nA bar\n  0 1\nA bar\n  1 1\n");
    assert_int_equal(engine_counts(s->engine)->bars, 4);
    clock_to(s, T0 + 20 * MINUTE); /* no trades, no bars */
    assert_script(s, "");
    stage_free(s);
}

static void a_supplied_bar_is_delivered_and_history_is_not(void **state)
{
    struct stage *s = *state;
    const struct bar_subscription list[] = { { BTC, MINUTE } };
    subscribe(s, A, list, 1);
    struct event event = { .kind = EVENT_BAR, .instrument = BTC, .time_ns = T0 - MINUTE };
    event.bar = (struct bar_event){ .open_ns = T0 - 2 * MINUTE,
                                    .open = 10000,
                                    .high = 10000,
                                    .low = 10000,
                                    .close = 10000,
                                    .is_history = true };
    clock_to(s, T0);
    s->quiet = true;
    trade(s, BTC, "100");
    s->quiet = false;
    assert_done(s, engine_step(s->engine, &event, &s->err)); /* its time is past: fine */
    assert_script(s, "");
    assert_int_equal(engine_now(s->engine), T0);
    event.time_ns = T0 + MINUTE;
    event.bar.open_ns = T0;
    event.bar.is_history = false;
    assert_done(s, engine_step(s->engine, &event, &s->err));
    assert_script(s, "A bar\n");
}

/* A callback before the series are ready would trade on nothing. */
static void no_market_callback_runs_before_warm_up(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct stage *s = stage_new(NULL);
        struct instance_options options = instance_defaults();
        options.wait_for_warmup = waits;
        stage_add(s, options);
        const struct bar_subscription list[] = { { BTC, MINUTE } };
        subscribe(s, A, list, 1);
        s->guests[A].cold = true;
        settle(s);
        engine_timer(s->engine, A, "t", 60);
        trade(s, BTC, "100");
        quote(s, BTC, "99", "101");
        clock_to(s, T0 + MINUTE);
        assert_script(s, waits ? "A timer\n" : "A trade\nA quote\nA bar\nA timer\n");
        s->guests[A].cold = false;
        trade(s, BTC, "100");
        assert_script(s, "A trade\n");
        s->guests[A].cold = true; /* once warm it stays warm */
        quote(s, BTC, "99", "101");
        assert_script(s, "A quote\n");
        stage_free(s);
    }
}

static void a_tick_reaches_only_those_who_ask_for_it(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    static const uint32_t eth[] = { ETH };
    struct instance_options options = instance_defaults();
    stage_add(s, options);
    options.instruments = eth;
    options.instrument_count = 1;
    stage_add(s, options);
    struct guest quotes_only = fake_guest_port(&s->guests[A]);
    quotes_only.calls = 1u << GUEST_QUOTE;
    engine_set_guest(s->engine, A, quotes_only);
    trade(s, BTC, "100");
    trade(s, ETH, "50");
    quote(s, ETH, "49", "51");
    assert_script(s, "B trade\nA quote\nB quote\n");
    const struct engine_counts *counts = engine_counts(s->engine);
    assert_true(counts->trades == 2 && counts->quotes == 1 && counts->events == 3);
    stage_free(s);
}

/* ---- timers
 * ------------------------------------------------------------------------------------------------
 */

static int on_timer_note(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call == GUEST_TIMER)
        note(guest->stage, "  %s at %d ms", event->name, (int)((event->time_ns - T0) / NS_PER_MS));
    return 0;
}

static struct stage *stage_with_timers(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_timer_note;
    settle(s); /* the clock stands at T0 */
    return s;
}

static void timers_fire_in_the_order_they_are_due_and_repeat(void **state)
{
    struct stage *s = stage_with_timers(state);
    engine_timer(s->engine, A, "slow", 3);
    engine_timer(s->engine, A, "fast", 2);
    clock_to(s, T0 + 6 * SECOND);
    assert_script(s, "A timer\n  fast at 2000 ms\nA timer\n  slow at 3000 ms\n"
                     "A timer\n  fast at 4000 ms\n"
                     "A timer\n  slow at 6000 ms\nA timer\n  fast at 6000 ms\n");
    engine_timer(s->engine, A, "fast", 0);
    engine_timer(s->engine, A, "nobody", 0);
    engine_timer(s->engine, A, "slow", 0.5); /* set anew: from now */
    clock_to(s, T0 + 6900 * NS_PER_MS);
    assert_script(s, "A timer\n  slow at 6500 ms\n");
    engine_timer(s->engine, A, "slow", (double)NAN);
    assert_int_equal(engine_due_ns(s->engine), TIME_NEVER);
}

/* A machine that slept must not make up for it with a storm. */
static void a_late_timer_fires_once(void **state)
{
    struct stage *s = stage_with_timers(state);
    engine_timer(s->engine, A, "t", 1);
    assert_done(s, engine_advance(s->engine, T0 + 3500 * NS_PER_MS, &s->err));
    assert_script(s, "A timer\n  t at 3500 ms\n");
    assert_int_equal(engine_due_ns(s->engine), T0 + 4500 * NS_PER_MS);
}

static void timers_have_bounds(void **state)
{
    struct stage *s = stage_with_timers(state);
    char name[80];
    for (int i = 0; i < TIMERS_MAX; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_true(engine_timer(s->engine, A, name, 1e-12 + i)); /* a millisecond at least */
    }
    assert_false(engine_timer(s->engine, A, "one more", 1));
    assert_true(engine_timer(s->engine, A, "t5", 1e300)); /* those that are set can be changed */
    assert_int_equal(engine_due_ns(s->engine), T0 + NS_PER_MS);
}

/* A name is kept cut: the same long name is the same timer. */
static void a_long_name_is_one_timer(void **state)
{
    struct stage *s = stage_with_timers(state);
    char name[80];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    engine_timer(s->engine, A, name, 1);
    engine_timer(s->engine, A, name, 2);
    assert_int_equal(engine_due_ns(s->engine), T0 + 2 * SECOND);
    engine_timer(s->engine, A, name, 0);
    assert_int_equal(engine_due_ns(s->engine), TIME_NEVER);
}

/* ---- start, swap, state
 * --------------------------------------------------------------------------------------- */

static void a_swap_drops_timers_and_keeps_orders(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    engine_timer(s->engine, A, "t", 1);
    struct fake_guest fresh = { .stage = s, .index = A };
    struct guest old = engine_set_guest(s->engine, A, fake_guest_port(&fresh));
    assert_ptr_equal(old.self, &s->guests[A]);
    assert_ptr_equal(engine_guest(s->engine, A)->self, &fresh);
    assert_int_equal(s->guests[A].closed, 0); /* the caller's to close */
    assert_int_equal(engine_due_ns(s->engine), TIME_NEVER);
    text_clear(&s->script);
    assert_done(s, engine_begin(s->engine, A, s->now_ns, "1.0.0", &s->err));
    assert_script(s, "A start\nA reload\n");
    tell(s, id, REPORT_ACK);
    assert_int_equal(fresh.calls[GUEST_ORDER], 1);
    engine_set_guest(s->engine, A, old);
}

static int on_start_look(struct fake_guest *guest, enum guest_call call,
                         const struct guest_event *event, struct error *err)
{
    (void)event;
    assert_int_equal(engine_in_start(guest->stage->engine, A), call == GUEST_START);
    return call == GUEST_START ? error_set(err, ERROR_DATA, "no start") : 0;
}

static void a_start_that_fails_stops_the_instance(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_start_look;
    assert_done(s, engine_begin(s->engine, A, s->now_ns, NULL, &s->err));
    assert_int_equal(engine_instances_alive(s->engine), 0);
    assert_false(engine_in_start(s->engine, A));
    trade(s, BTC, "100");
    assert_script(s, "A start\ncommit 1\n");
}

static void state_is_stored_with_the_turn_and_else_when_flushed(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_trade_buy;
    s->guests[A].state = "{\"a\":1}";
    trade(s, BTC, "100");
    assert_script(s, "A trade\ncommit 2\nsubmit 1\n");
    assert_int_equal(last_record(s, RECORD_STATE)->body_length, 7);
    s->guests[A].on = NULL;
    s->guests[A].state = "{\"a\":22}";
    trade(s, BTC, "100");
    assert_script(s, "A trade\n");
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    assert_done(s, engine_flush(s->engine, s->now_ns, &s->err));
    assert_script(s, "commit 1\n");
}

static int on_start_change_state(struct fake_guest *guest, enum guest_call call,
                                 const struct guest_event *event, struct error *err)
{
    (void)event, (void)err;
    if (call == GUEST_START)
        guest->state = "{}";
    return 0;
}

/* "Durable with each fill": also what on_start changed in a turn that had nothing to store. */
static void state_changed_in_a_quiet_turn_is_stored_with_the_next_fill(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    struct guest starts_only = fake_guest_port(&s->guests[A]);
    starts_only.calls = 1u << GUEST_START;
    s->guests[A].on = on_start_change_state;
    engine_set_guest(s->engine, A, starts_only);
    assert_done(s, engine_begin(s->engine, A, s->now_ns, NULL, &s->err));
    text_clear(&s->script);
    fill(s, id, "1", "100");
    assert_script(s, "commit 4\n"); /* order, fill, position, state */
}

static void a_journal_entry_carries_its_time_before_the_first_event(void **state)
{
    struct stage *s = *state;
    assert_done(s, engine_journal(s->engine, T0, "source", "{}", &s->err));
    assert_script(s, "commit 1\n");
    assert_int_equal(engine_now(s->engine), T0);
    assert_string_equal(last_record(s, RECORD_JOURNAL)->name, "source");
}

/* ---- orders asked for: rounding
 * ---------------------------------------------------------------------------------- */

/* BTC: tick 0.1, lot 0.001. */
static void prices_and_quantities_are_rounded_in_the_safe_direction(void **state)
{
    struct stage *s = *state;
    const struct {
        enum order_side side;
        const char *qty, *price, *rounded_qty, *rounded_price;
    } cases[] = {
        { SIDE_BUY, "1.0019", "99.99", "1.001", "99.9" },
        { SIDE_SELL, "1.0019", "99.91", "1.001", "100" },
        { SIDE_BUY, "0.9999999995", "99.99999999", "1", "100" }, /* within 1e-6 of a step */
        { SIDE_SELL, "1.0000000005", "100.00000001", "1", "100" },
        { SIDE_BUY, "0.99999", "99.9999", "0.999", "99.9" }, /* beyond it */
        { SIDE_SELL, "1", "100.0001", "1", "100.1" },
    };
    have_price(s);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t id = submit(s, A, limit_of(cases[i].side, cases[i].qty, cases[i].price));
        assert_decimal(order_at(s, id)->qty, cases[i].rounded_qty);
        assert_decimal(order_at(s, id)->price, cases[i].rounded_price);
        tell(s, id, REPORT_CANCELED);
    }
}

/* The exits of a buy are sells. */
static void exit_prices_are_rounded_as_the_exit_side(void **state)
{
    struct stage *s = *state;
    have_price(s);
    struct order_request request = request_of(SIDE_BUY, "1");
    request.stop = D("90.01");
    request.take = D("109.99");
    uint64_t id = submit(s, A, request);
    assert_decimal(order_at(s, id)->stop, "90.1");
    assert_decimal(order_at(s, id)->take, "110");
}

static void a_quantity_of_nothing_is_refused(void **state)
{
    struct stage *s = *state;
    have_price(s);
    const char *const none[] = { "0", "0.0009", "-1", "-0.0000001", "1e-30" };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        assert_int_equal(market_order(s, SIDE_BUY, none[i]), 0);
        assert_string_equal(s->refusal.code, "zero_qty");
    }
    struct order_request request = request_of(SIDE_BUY, "0");
    request.qty = DECIMAL_NONE;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "range");
}

static void a_notional_buys_whole_lots_at_the_price_it_meets(void **state)
{
    struct stage *s = *state;
    struct order_request request = request_of(SIDE_BUY, "0");
    request.notional = D("1000");
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "no_quote");
    trade(s, BTC, "99");
    uint64_t id = submit(s, A, request); /* 1000 / 99 = 10.1010... */
    assert_decimal(order_at(s, id)->qty, "10.101");
    quote(s, BTC, "98", "102");
    id = submit(s, A, request); /* / 102 = 9.8039... */
    assert_decimal(order_at(s, id)->qty, "9.803");
    request.type = ORDER_LIMIT;
    request.price = D("80");
    id = submit(s, A, request);
    assert_decimal(order_at(s, id)->qty, "12.5");
    trade(s, FUT, "100"); /* ten a contract: one lot is worth 1000 */
    request = request_of(SIDE_SELL, "0");
    request.instrument = FUT;
    request.notional = D("2999");
    id = submit(s, A, request);
    assert_decimal(order_at(s, id)->qty, "2");
    request.notional = D("999");
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "zero_qty");
}

static void what_the_venue_does_not_take_is_refused_here(void **state)
{
    struct stage *s = *state;
    have_price(s);
    s->abilities = (struct venue_abilities){ .types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT,
                                             .tifs = 1u << TIF_GTC };
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    request.post_only = true;
    assert_int_equal(submit(s, A, request), 0);
    assert_string_equal(s->refusal.code, "not_supported");
    request.post_only = false;
    request.tif = TIF_FOK;
    assert_int_equal(submit(s, A, request), 0);
    request.tif = TIF_GTC;
    request.type = ORDER_TRAILING;
    assert_int_equal(submit(s, A, request), 0);
    request.type = ORDER_LIMIT;
    uint64_t id = submit(s, A, request);
    assert_true(id != 0);
    tell(s, id, REPORT_ACK);
    assert_false(engine_amend(s->engine, A, id, D("2"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "not_supported");
}

/* Numbers from a script are anything that a double can be. */
static void no_number_breaks_the_desk(void **state)
{
    struct stage *s = *state;
    const char *const texts[] = { "1e30", "-1e30", "1e38", "1e-36", "0",   "-0.5",
                                  "33.3", "1e20",  "100",  "0.1",   "1e22" };
    decimal numbers[ARRAY_SIZE(texts) + 1] = { DECIMAL_NONE };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        numbers[i + 1] = D(texts[i]);
    struct random random;
    random_seed(&random, 3);
    /* A lot and a tick that do not divide powers of ten. */
    s->instruments.list[BTC].lot_size = D("0.03");
    s->instruments.list[BTC].tick_size = D("0.07");
    s->quiet = true;
    uint64_t resting = 0;
    have_price(s);
#define ANY numbers[random_below(&random, ARRAY_SIZE(numbers))]
    for (int i = 0; i < 20000; i++) {
        struct order_request request =
            request_of(random_below(&random, 2) ? SIDE_BUY : SIDE_SELL, "1");
        request.type = (enum order_type)random_below(&random, 5);
        request.qty = ANY;
        request.notional = random_below(&random, 2) ? DECIMAL_NONE : ANY;
        request.price = ANY;
        request.trigger_price = ANY;
        request.stop = ANY;
        request.take = ANY;
        request.reduce_only = random_below(&random, 4) == 0;
        uint64_t id = engine_submit(s->engine, A, &request, &s->refusal);
        assert_true((id == 0) == (s->refusal.code[0] != '\0'));
        if (id != 0 && random_below(&random, 3) == 0)
            resting = id;
        else if (id != 0)
            tell(s, id, REPORT_CANCELED);
        engine_amend(s->engine, A, resting, ANY, ANY, &s->refusal);
        if (random_below(&random, 2) && resting != 0)
            tell(s, resting, REPORT_CANCELED);
        request.notional = DECIMAL_NONE;
        request.type = ORDER_MARKET;
        request.price = request.trigger_price = DECIMAL_NONE;
        id = engine_target(s->engine, A, BTC, ANY, &request, &s->refusal);
        if (id != 0)
            tell(s, id, REPORT_CANCELED);
        decimal size = engine_size(s->engine, A, BTC, decimal_to_double(ANY),
                                   decimal_to_double(ANY), &s->refusal);
        assert_true(decimal_valid(size) && decimal_sign(size) >= 0);
        assert_true(decimal_is_zero(size) == (s->refusal.code[0] != '\0'));
        trade(s, BTC, random_below(&random, 2) ? "100" : "0.07");
    }
#undef ANY
}

/* ---- reduce only
 * ----------------------------------------------------------------------------------------------------
 */

static void reduce_only_is_cut_to_the_own_position(void **state)
{
    struct stage *s = *state;
    have_price(s);
    struct order_request out = request_of(SIDE_SELL, "5");
    out.reduce_only = true;
    assert_int_equal(submit(s, A, out), 0);
    assert_string_equal(s->refusal.code, "nothing_to_reduce");
    bought(s, SIDE_BUY, "2", "100");
    uint64_t id = submit(s, A, out);
    assert_decimal(order_at(s, id)->qty, "2");
    out.side = SIDE_BUY;
    assert_int_equal(submit(s, A, out), 0);
    assert_string_equal(s->refusal.code, "nothing_to_reduce");
}

static void reduce_only_cannot_grow_beyond_the_position(void **state)
{
    struct stage *s = *state;
    have_price(s);
    bought(s, SIDE_BUY, "2", "100");
    struct order_request out = limit_of(SIDE_SELL, "1", "110");
    out.reduce_only = true;
    uint64_t id = submit(s, A, out);
    tell(s, id, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, id, D("7"), DECIMAL_NONE, &s->refusal));
    settle(s);
    assert_decimal(last_sent(s, SENT_AMEND)->qty, "2");
}

/* Where the venue does not enforce it, two may race past zero: the rest is closed, and told. */
static void what_a_reduce_only_order_opens_is_closed_again(void **state)
{
    struct stage *s = *state;
    s->abilities.reduce_only = s->abilities.oco = false;
    have_price(s);
    bought(s, SIDE_BUY, "2", "100");
    struct order_request out = limit_of(SIDE_SELL, "2", "100");
    out.reduce_only = true;
    uint64_t first = submit(s, A, out), second = submit(s, A, out);
    fill(s, first, "2", "100");
    assert_int_equal(count_records(s, RECORD_ALERT), 0);
    fill(s, second, "1.5", "100");
    assert_int_equal(count_records(s, RECORD_ALERT), 1);
    const struct order *back = &last_sent(s, SENT_SUBMIT)->order;
    assert_true(back->side == SIDE_BUY && back->type == ORDER_MARKET && back->reduce_only);
    assert_decimal(back->qty, "1.5");
    fill(s, second, "0.5", "100");
    assert_decimal(last_sent(s, SENT_SUBMIT)->order.qty, "0.5");
}

/* ---- target, close, size
 * -----------------------------------------------------------------------------------------------
 */

static uint64_t target(struct stage *s, const char *qty)
{
    struct order_request options;
    order_request_init(&options);
    uint64_t id = engine_target(s->engine, A, BTC, D(qty), &options, &s->refusal);
    settle(s);
    return id;
}

static void target_orders_what_is_missing(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = target(s, "3.0004");
    assert_decimal(order_at(s, id)->qty, "3");
    assert_int_equal(target(s, "3"), 0); /* under way */
    assert_string_equal(s->refusal.code, "");
    fill(s, id, "1", "100");
    assert_int_equal(target(s, "3"), 0); /* 1 held, 2 under way */
    id = target(s, "1");
    assert_true(order_at(s, id)->side == SIDE_SELL);
    assert_decimal(order_at(s, id)->qty, "2");
    id = target(s, "-4");
    assert_true(order_at(s, id)->side == SIDE_SELL);
    assert_decimal(order_at(s, id)->qty, "5");
}

static void target_counts_market_orders_only(void **state)
{
    struct stage *s = *state;
    have_price(s);
    submit(s, A, limit_of(SIDE_BUY, "3", "90"));
    uint64_t id = target(s, "3");
    assert_decimal(order_at(s, id)->qty, "3");
}

static void target_less_than_a_lot_away_is_nothing(void **state)
{
    struct stage *s = *state;
    have_price(s);
    bought(s, SIDE_BUY, "2", "100");
    assert_int_equal(target(s, "2.0009"), 0);
    assert_string_equal(s->refusal.code, "");
    assert_decimal(order_at(s, target(s, "1.999"))->qty, "0.001");
}

/* A sell that rests would otherwise make this one look like a short. */
static void a_target_that_only_reduces_says_so(void **state)
{
    struct stage *s = *state;
    have_price(s);
    s->instruments.list[BTC].short_allowed = false;
    bought(s, SIDE_BUY, "2", "100");
    submit(s, A, limit_of(SIDE_SELL, "2", "120"));
    uint64_t id = target(s, "0");
    assert_true(id != 0);
    assert_true(order_at(s, id)->reduce_only);
    s->instruments.list[BTC].short_allowed = true;
    id = target(s, "-1"); /* 2 held, 2 to sell under way */
    assert_decimal(order_at(s, id)->qty, "1");
    assert_true(order_at(s, id)->reduce_only); /* as far as is known now, it closes */
}

static void close_ends_the_position_exactly(void **state)
{
    struct stage *s = *state;
    struct order_request options;
    order_request_init(&options);
    have_price(s);
    assert_int_equal(engine_close_position(s->engine, A, BTC, &options, &s->refusal), 0);
    assert_string_equal(s->refusal.code, "");
    bought(s, SIDE_SELL, "0.123", "100");
    uint64_t id = engine_close_position(s->engine, A, BTC, &options, &s->refusal);
    settle(s);
    const struct order *order = order_at(s, id);
    assert_true(order->side == SIDE_BUY && order->reduce_only);
    assert_decimal(order->qty, "0.123");
    assert_int_equal(engine_close_position(s->engine, A, BTC, &options, &s->refusal), 0);
    fill(s, id, "0.1", "100");
    assert_int_equal(engine_close_position(s->engine, A, BTC, &options, &s->refusal), 0);
    tell(s, id, REPORT_CANCELED);
    id = engine_close_position(s->engine, A, BTC, &options, &s->refusal);
    assert_decimal(order_at(s, id)->qty, "0.023");
}

static void size_loses_the_percentage_at_the_stop(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    /* 0.5 % of 100,000 is 500; over 12.5 it is 40. */
    assert_decimal(engine_size(s->engine, A, BTC, 0.5, 12.5, &s->refusal), "40");
    assert_string_equal(s->refusal.code, "");
    /* 500 / 0.3 = 1666.67, but 100,000 buys 1000. */
    assert_decimal(engine_size(s->engine, A, BTC, 0.5, 0.3, &s->refusal), "1000");
    /* 100 / 7 = 14.2857 */
    assert_decimal(engine_size(s->engine, A, BTC, 0.1, 7, &s->refusal), "14.285");
    trade(s, FUT, "100"); /* ten a contract: 500 / (12.5 * 10) */
    assert_decimal(engine_size(s->engine, A, FUT, 0.5, 12.5, &s->refusal), "4");
    trade(s, ETH, "50"); /* leverage 2: 200,000 / 50 */
    assert_decimal(engine_size(s->engine, A, ETH, 50, 1, &s->refusal), "4000");
    /* 1000 lost: equity is 99,000, and of that 1 % is 990. */
    bought(s, SIDE_BUY, "100", "100");
    trade(s, BTC, "90");
    assert_decimal(engine_equity(s->engine, A), "99000");
    assert_decimal(engine_size(s->engine, A, BTC, 1, 10, &s->refusal), "99");
    /* The position of 9000 in BTC is money that ETH cannot use: (99,000 * 2 - 9,000) / 50. */
    assert_decimal(engine_size(s->engine, A, ETH, 100, 1, &s->refusal), "3780");
}

static void size_is_capped_by_limits(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_ORDER_SIZE] = D("5000");
    struct stage *s = stage_new(&limits);
    struct instance_options options = instance_defaults();
    options.limits.value[LIMIT_POSITION_SIZE] = D("0.03");
    stage_add(s, options);
    trade(s, BTC, "100");
    assert_decimal(engine_size(s->engine, A, BTC, 1, 1, &s->refusal), "30");
    stage_free(s);
}

static void size_without_sense_is_zero_and_says_why(void **state)
{
    struct stage *s = *state;
    const struct {
        double risk, distance;
        const char *code;
    } cases[] = {
        { 1, 0, "stop_distance" },
        { 1, -1, "stop_distance" },
        { 1, (double)NAN, "stop_distance" },
        { 1, (double)INFINITY, "stop_distance" },
        { 0, 1, "min_notional" },
        { -1, 1, "min_notional" },
        { (double)NAN, 1, "range" },
        { 1, 1e12, "min_notional" },
    };
    assert_decimal(engine_size(s->engine, A, BTC, 1, 1, &s->refusal), "0");
    assert_string_equal(s->refusal.code, "no_quote");
    trade(s, BTC, "100");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_decimal(
            engine_size(s->engine, A, BTC, cases[i].risk, cases[i].distance, &s->refusal), "0");
        assert_string_equal(s->refusal.code, cases[i].code);
    }
    /* min_notional 5: 0.05 at 100 is just enough. */
    assert_decimal(engine_size(s->engine, A, BTC, 0.05, 1000, &s->refusal), "0.05");
    assert_decimal(engine_size(s->engine, A, BTC, 0.049, 1000, &s->refusal), "0");
    assert_string_equal(s->refusal.code, "min_notional");
}

/* What it answers must pass the gate unreduced. */
static void size_never_rounds_above_what_there_is_room_for(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    struct instance_options options = instance_defaults();
    options.capital = D("99.99999999999"); /* a hair below 1 at 100 */
    stage_add(s, options);
    trade(s, BTC, "100");
    decimal size = engine_size(s->engine, A, BTC, 100, 0.5, &s->refusal);
    assert_decimal(size, "0.999");
    stage_free(s);
}

/* ---- cancel and amend
 * -----------------------------------------------------------------------------------------------------
 */

static void asking_twice_is_one_cancel(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    text_clear(&s->script);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    assert_script(s, "commit 1\ncancel 1\n");
    assert_string_equal(status_of(s, id), "pending_cancel");
    tell(s, id, REPORT_CANCELED);
    assert_false(engine_cancel(s->engine, A, id, &s->refusal));
    assert_string_equal(s->refusal.code, "done");
    assert_false(engine_cancel(s->engine, A, 99, &s->refusal));
    assert_string_equal(s->refusal.code, "no_order");
}

static void nobody_touches_the_orders_of_others(void **state)
{
    (void)state;
    struct stage *s = stage_of_two();
    have_price(s);
    uint64_t id = submit(s, B, limit_of(SIDE_BUY, "1", "90"));
    assert_false(engine_cancel(s->engine, A, id, &s->refusal));
    assert_string_equal(s->refusal.code, "no_order");
    assert_false(engine_amend(s->engine, A, id, D("2"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "no_order");
    assert_int_equal(engine_cancel_all(s->engine, A, INSTRUMENT_NONE), 0);
    assert_int_equal(engine_cancel_all(s->engine, B, ETH), 0);
    assert_int_equal(engine_cancel_all(s->engine, B, BTC), 1);
    stage_free(s);
}

static void a_replace_is_under_way_until_it_is_answered(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "2", "90"));
    tell(s, id, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, id, D("3.0009"), D("91.09"), &s->refusal));
    settle(s);
    assert_decimal(last_sent(s, SENT_AMEND)->qty, "3");
    assert_decimal(last_sent(s, SENT_AMEND)->price, "91");
    assert_string_equal(status_of(s, id), "pending_replace");
    assert_decimal(order_at(s, id)->qty, "2");
    assert_false(engine_amend(s->engine, A, id, D("4"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "pending");
    fill(s, id, "1", "90"); /* races */
    assert_string_equal(status_of(s, id), "pending_replace");
    tell(s, id, REPORT_REPLACED);
    assert_string_equal(status_of(s, id), "partially_filled");
    assert_decimal(order_at(s, id)->qty, "3");
    assert_decimal(order_remaining(order_at(s, id)), "2");
    assert_true(engine_amend(s->engine, A, id, DECIMAL_NONE, D("90"), &s->refusal));
    settle(s);
    tell(s, id, REPORT_REPLACE_REJECT);
    assert_decimal(order_at(s, id)->price, "91");
    assert_false(engine_amend(s->engine, A, id, D("1"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "zero_qty");
}

static void of_a_replace_under_way_the_larger_counts(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "400", "90"));
    tell(s, id, REPORT_ACK);
    assert_true(engine_amend(s->engine, A, id, D("700"), DECIMAL_NONE, &s->refusal));
    settle(s);
    uint64_t other = market_order(s, SIDE_BUY, "400"); /* 1000 - 700 */
    assert_decimal(order_at(s, other)->qty, "300");
    tell(s, other, REPORT_CANCELED);
    tell(s, id, REPORT_REPLACE_REJECT);
    assert_true(engine_amend(s->engine, A, id, D("100"), DECIMAL_NONE, &s->refusal));
    settle(s);
    other = market_order(s, SIDE_BUY, "700"); /* 1000 - 400 */
    assert_decimal(order_at(s, other)->qty, "600");
}

static void an_amend_that_asks_for_more_passes_the_gate(void **state)
{
    struct stage *s = *state;
    struct heard heard = { 0 };
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "900", "90"));
    tell(s, id, REPORT_ACK);
    s->guests[A].on = on_any_listen;
    s->guests[A].self = &heard;
    assert_true(engine_amend(s->engine, A, id, D("1000"), DECIMAL_NONE, &s->refusal));
    settle(s);
    tell(s, id, REPORT_REPLACED);
    assert_false(engine_amend(s->engine, A, id, D("1000.001"), DECIMAL_NONE, &s->refusal));
    assert_string_equal(s->refusal.code, "buying_power");
    settle(s);
    assert_string_equal(heard.verdict, "block"); /* it was not reduced: it stays as it is */
    assert_false(engine_amend(s->engine, A, id, DECIMAL_NONE, D("101"), &s->refusal));
    assert_string_equal(s->refusal.code, "buying_power");
    assert_true(engine_amend(s->engine, A, id, DECIMAL_NONE, D("89"), &s->refusal));
}

/* Lowering a sell takes it through the market as raising a buy does. */
static void the_collar_holds_for_amends_of_both_sides(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_COLLAR] = D("0.1");
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    have_price(s);
    uint64_t buy = submit(s, A, limit_of(SIDE_BUY, "1", "95"));
    uint64_t sell = submit(s, A, limit_of(SIDE_SELL, "1", "105"));
    tell(s, buy, REPORT_ACK);
    tell(s, sell, REPORT_ACK);
    assert_false(engine_amend(s->engine, A, buy, DECIMAL_NONE, D("110.1"), &s->refusal));
    assert_string_equal(s->refusal.code, "price_collar");
    assert_false(engine_amend(s->engine, A, sell, DECIMAL_NONE, D("89.9"), &s->refusal));
    assert_string_equal(s->refusal.code, "price_collar");
    assert_true(engine_amend(s->engine, A, buy, DECIMAL_NONE, D("110"), &s->refusal));
    assert_true(engine_amend(s->engine, A, sell, DECIMAL_NONE, D("90"), &s->refusal));
    stage_free(s);
}

static void a_market_order_has_no_price_to_amend(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    assert_false(engine_amend(s->engine, A, id, DECIMAL_NONE, D("90"), &s->refusal));
    assert_string_equal(s->refusal.code, "no_price");
}

/* ---- a port that takes nothing
 * ---------------------------------------------------------------------------------------------- */

static void what_the_port_does_not_take_is_rejected_by_ourselves(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t resting = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, resting, REPORT_ACK);
    text_clear(&s->script);
    s->refuse[SENT_SUBMIT] = s->refuse[SENT_CANCEL] = s->refuse[SENT_AMEND] = true;
    uint64_t id = market_order(s, SIDE_BUY, "1");
    assert_script(s, "commit 1\nrefused submit 2\nA order\nA reject\ncommit 1\n");
    assert_string_equal(status_of(s, id), "rejected");
    assert_string_equal(order_at(s, id)->reason, "the port is full");
    engine_amend(s->engine, A, resting, D("2"), DECIMAL_NONE, &s->refusal);
    settle(s);
    assert_script(s, "commit 1\nrefused amend 1\nA order\ncommit 1\n");
    assert_decimal(order_at(s, resting)->qty, "1");
    assert_int_equal(engine_counts(s->engine)->rejected, 1);
    /* The wish to cancel stands: it is asked how the order stands, and then sent again. */
    engine_cancel(s->engine, A, resting, &s->refusal);
    settle(s);
    assert_script(s, "commit 1\nrefused cancel 1\nA order\ncommit 1\n");
    assert_string_equal(status_of(s, resting), "unknown");
    s->refuse[SENT_CANCEL] = false;
    struct report working = report_on(s, resting, REPORT_STATUS);
    working.ticket = last_query(s)->ticket;
    working.status = ORDER_NEW;
    working.cum_qty = DECIMAL_ZERO;
    assert_done(s, tell_code(s, &working));
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
}

/* ---- reports
 * ------------------------------------------------------------------------------------------------------------------
 */

static void a_report_for_an_unknown_order_is_alerted(void **state)
{
    struct stage *s = *state;
    tell(s, 77, REPORT_CANCELED);
    assert_script(s, "commit 1\n");
    assert_int_equal(last_record(s, RECORD_ALERT)->kind, RECORD_ALERT);
    assert_int_equal(engine_counts(s->engine)->illegal_reports, 1);
}

static void a_repeated_fill_moves_nothing(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "5");
    struct report report = fill_report(s, id, D("2"), D("100"), D("0.5"));
    assert_done(s, tell_code(s, &report));
    text_clear(&s->script);
    assert_done(s, tell_code(s, &report));
    assert_script(s, "");
    assert_decimal(held(s, BTC), "2");
    assert_int_equal(engine_counts(s->engine)->fills, 1);
}

static void a_fill_after_cancel_counts_and_is_alerted(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "5");
    tell(s, id, REPORT_CANCELED);
    fill(s, id, "2", "100");
    assert_decimal(held(s, BTC), "2");
    assert_int_equal(count_records(s, RECORD_ALERT), 1);
    assert_int_equal(count_records(s, RECORD_HALT), 0);
    assert_true(market_order(s, SIDE_BUY, "1") != 0);
}

/* Beyond the quantity, or after a rejection: what we believe of the venue is wrong. */
static void a_suspect_fill_is_booked_and_halts(void **state)
{
    (void)state;
    for (int rejected = 0; rejected < 2; rejected++) {
        struct stage *s = stage_new(NULL);
        stage_add(s, instance_defaults());
        have_price(s);
        uint64_t resting = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
        tell(s, resting, REPORT_ACK);
        uint64_t id = market_order(s, SIDE_BUY, "1");
        if (rejected)
            tell(s, id, REPORT_REJECTED);
        fill(s, id, "2", "100");
        assert_decimal(held(s, BTC), "2");
        assert_int_equal(count_records(s, RECORD_HALT), 1);
        assert_string_equal(last_record(s, RECORD_HALT)->name, "BTC/USDT");
        assert_string_equal(status_of(s, resting), "pending_cancel"); /* HALT cancels entries */
        assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
        assert_string_equal(s->refusal.code, "halted");
        assert_true(market_order(s, SIDE_SELL, "2") != 0); /* the way out is open */
        clock_to(s, T0 + 2 * NS_PER_DAY);                  /* a new day mends nothing */
        trade(s, BTC, "100");
        assert_int_equal(market_order(s, SIDE_BUY, "3"), 0);
        assert_string_equal(s->refusal.code, "halted");
        stage_free(s);
    }
}

static void a_rejected_order_that_works_after_all_is_canceled(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_REJECTED);
    text_clear(&s->script);
    tell(s, id, REPORT_ACK);
    assert_script(s, "commit 1\ncancel 1\n");
    tell_why(s, id, REPORT_CANCEL_REJECT, "unknown order");
    assert_script(s, "");
}

static void a_fill_that_does_not_fit_halts_and_books_nothing(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "1");
    struct report report = fill_report(s, id, D("1"), DECIMAL_NONE, DECIMAL_ZERO);
    assert_done(s, tell_code(s, &report));
    report = fill_report(s, id, D("1e30"), D("1e30"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &report));
    assert_decimal(held(s, BTC), "0");
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    assert_string_equal(s->refusal.code, "halted");
}

/* The order has room for the sum, the position has not. */
static void a_position_that_does_not_fit_halts(void **state)
{
    struct stage *s = *state;
    struct position position;
    position_init(&position);
    position.qty = D("1e37");
    position.cost = D("1e38");
    assert_int_equal(engine_restore_position(s->engine, A, BTC, &position, &s->err), 0);
    trade(s, BTC, "5");
    uint64_t id = market_order(s, SIDE_SELL, "1");
    struct report report = fill_report(s, id, D("0.1234567890123"), D("1"), D("-1e38"));
    assert_done(s, tell_code(s, &report));
    assert_decimal(held(s, BTC), "10000000000000000000000000000000000000");
    assert_int_equal(count_records(s, RECORD_HALT), 1);
    struct engine_totals totals;
    engine_totals(s->engine, &totals);
}

static void doubt_shows_as_unknown_and_still_counts(void **state)
{
    struct stage *s = *state;
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "900", "90"));
    tell(s, id, REPORT_DOUBT);
    assert_string_equal(status_of(s, id), "unknown");
    assert_decimal(order_at(s, market_order(s, SIDE_BUY, "200"))->qty, "100");
    tell(s, id, REPORT_ACK);
    assert_string_equal(status_of(s, id), "new");
}

/* ---- a restart
 * ------------------------------------------------------------------------------------------------------------------
 */

static struct order resting_order(uint64_t id, uint32_t instance_id)
{
    struct order order;
    order_init(&order);
    order.order_id = id;
    order.instance_id = instance_id;
    order.instrument = BTC;
    order.side = SIDE_BUY;
    order.type = ORDER_LIMIT;
    order.qty = D("2");
    order.price = D("90");
    order.known = ORDER_NEW;
    snprintf(order.client_order_id, sizeof(order.client_order_id), "c%" PRIu64, id);
    return order;
}

static void orders_of_several_instances_come_back(void **state)
{
    (void)state;
    struct stage *s = stage_of_two();
    const struct order orders[] = { resting_order(1, 1), resting_order(4, 1), resting_order(2, 2),
                                    resting_order(3, 2) };
    for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
        assert_int_equal(engine_restore_order(s->engine, &orders[i], &s->err), 0);
    assert_int_equal(engine_open_orders(s->engine), 4);
    s->next_id = 4;
    trade(s, BTC, "100");
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 5);
    fill(s, 2, "2", "90");
    assert_decimal(engine_position(s->engine, B, BTC)->qty, "2");
    assert_decimal(held(s, BTC), "0");
    stage_free(s);
}

/* Its fill would have nowhere to go. */
static void an_order_that_nobody_trades_any_more_is_refused(void **state)
{
    (void)state;
    struct stage *s = stage_new(NULL);
    static const uint32_t eth[] = { ETH };
    struct instance_options options = instance_defaults();
    options.instruments = eth;
    options.instrument_count = 1;
    stage_add(s, options);
    struct order order = resting_order(1, 1);
    struct position position;
    position_init(&position);
    assert_int_equal(engine_restore_order(s->engine, &order, &s->err), ERROR_CONFIG);
    assert_int_equal(engine_restore_position(s->engine, A, BTC, &position, &s->err), ERROR_CONFIG);
    order = resting_order(1, 9);
    assert_int_equal(engine_restore_order(s->engine, &order, &s->err), ERROR_CONFIG);
    assert_int_equal(engine_open_orders(s->engine), 0);
    stage_free(s);
}

/* ---- limits of the day
 * --------------------------------------------------------------------------------------------------------------
 */

static void the_day_counts_and_begins_again(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_DAILY_VOLUME] = D("1000");
    limits.value[LIMIT_DAILY_TRADES] = decimal_int(3);
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    s->now_ns = T0 + NS_PER_DAY - 10 * SECOND;
    have_price(s);
    uint64_t id = market_order(s, SIDE_BUY, "4");
    fill(s, id, "1", "100");
    fill(s, id, "3", "100"); /* one trade, 400 */
    assert_decimal(order_at(s, market_order(s, SIDE_BUY, "7"))->qty, "6");
    bought(s, SIDE_SELL, "4", "100"); /* reduces: passes, and counts: 800 */
    tell(s, 2, REPORT_CANCELED);
    assert_decimal(order_at(s, market_order(s, SIDE_BUY, "7"))->qty, "2");
    fill(s, 4, "2", "100"); /* the third trade */
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    assert_string_equal(s->refusal.code, "max_daily_trades");
    clock_to(s, T0 + NS_PER_DAY - 1);
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    clock_to(s, T0 + NS_PER_DAY);
    trade(s, BTC, "100");
    assert_decimal(order_at(s, market_order(s, SIDE_BUY, "11"))->qty, "10");
    stage_free(s);
}

/* 10 held from 100: at 90 the loss of 100 is there, a market second later it is judged, and nobody
 * asked for an order. */
static void a_days_loss_halts_by_itself(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_DAILY_LOSS] = D("100");
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    have_price(s);
    fill(s, market_order(s, SIDE_BUY, "10"), "10", "100");
    tell(s, submit(s, A, limit_of(SIDE_BUY, "1", "80")), REPORT_ACK);
    trade(s, BTC, "90.01");
    clock_to(s, s->now_ns + 2 * NS_PER_SECOND);
    trade(s, BTC, "90");
    assert_false(engine_is_halted(s->engine, NULL));
    clock_to(s, s->now_ns + 2 * NS_PER_SECOND);
    trade(s, BTC, "90.5");
    assert_true(engine_is_halted(s->engine, NULL));
    assert_int_equal(count_sent(s, SENT_CANCEL), 1); /* the entry */
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "daily_loss_limit");
    stage_free(s);
}

static void a_request_refused_for_the_rate_is_told(void **state)
{
    struct stage *s = *state;
    have_price(s);
    tell_why(s, market_order(s, SIDE_BUY, "1"), REPORT_REJECTED, "429 Too Many Requests");
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "rate_limited");
}

static void a_days_loss_halts_until_the_day_ends(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_DAILY_LOSS] = D("100");
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    stage_add(s, instance_defaults());
    have_price(s);
    struct order_request entry = request_of(SIDE_BUY, "10");
    entry.stop = D("50");
    fill(s, submit(s, A, entry), "10", "100");
    tell(s, 2, REPORT_ACK);                                           /* its stop */
    tell(s, submit(s, B, limit_of(SIDE_BUY, "1", "80")), REPORT_ACK); /* 3 */
    trade(s, BTC, "90.01");
    uint64_t allowed = market_order(s, SIDE_BUY, "1"); /* 99.9 lost */
    assert_true(allowed != 0);
    tell(s, allowed, REPORT_CANCELED);
    trade(s, BTC, "90");
    text_clear(&s->script);
    assert_int_equal(submit(s, B, request_of(SIDE_BUY, "1")), 0);
    assert_string_equal(s->refusal.code, "max_daily_loss");
    assert_script(s,
                  "B risk\ncommit 4\ncancel 3\n"); /* blocked, alert, halt, order; the stop stays */
    assert_int_equal(count_records(s, RECORD_HALT), 1);
    trade(s, BTC, "100"); /* won back: it stays halted all the same */
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    assert_string_equal(s->refusal.code, "halted");
    clock_to(s, T0 + NS_PER_DAY);
    trade(s, BTC, "100");
    assert_true(market_order(s, SIDE_BUY, "1") != 0);
    assert_int_equal(count_records(s, RECORD_HALT), 2); /* lifted: a restart must know */
    stage_free(s);
}

static void the_order_rate_is_exact_beyond_a_hundred(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_ORDER_RATE] = decimal_int(150);
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    have_price(s);
    for (int i = 0; i < 150; i++)
        assert_true(market_order(s, SIDE_BUY, "0.1") != 0);
    assert_int_equal(market_order(s, SIDE_BUY, "0.1"), 0);
    assert_string_equal(s->refusal.code, "max_orders_per_second");
    clock_to(s, T0 + SECOND - 1);
    assert_int_equal(market_order(s, SIDE_BUY, "0.1"), 0);
    clock_to(s, T0 + SECOND);
    settle(s);
    assert_true(market_order(s, SIDE_BUY, "0.1") != 0);
    stage_free(s);
}

/* Two entries sent together would both find room for one. */
static void entries_at_work_are_positions_that_may_open(void **state)
{
    (void)state;
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_OPEN_POSITIONS] = decimal_int(1);
    struct stage *s = stage_new(&limits);
    stage_add(s, instance_defaults());
    stage_add(s, instance_defaults());
    have_price(s);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    assert_true(submit(s, A, limit_of(SIDE_BUY, "1", "89")) != 0); /* the same position */
    assert_int_equal(submit(s, B, request_of(SIDE_BUY, "1")), 0);
    assert_string_equal(s->refusal.code, "max_open_positions");
    tell(s, id, REPORT_CANCELED);
    tell(s, 2, REPORT_CANCELED);
    assert_true(submit(s, B, request_of(SIDE_BUY, "1")) != 0);
    stage_free(s);
}

static void two_resting_sells_do_not_make_a_short_by_stealth(void **state)
{
    struct stage *s = *state;
    have_price(s);
    s->instruments.list[BTC].short_allowed = false;
    bought(s, SIDE_BUY, "2", "100");
    assert_true(submit(s, A, limit_of(SIDE_SELL, "2", "110")) != 0);
    assert_int_equal(submit(s, A, limit_of(SIDE_SELL, "2", "120")), 0);
    assert_string_equal(s->refusal.code, "no_short");
}

/* ---- figures
 * ----------------------------------------------------------------------------------------------------------------------------
 */

static void fill_with_fee(struct stage *s, uint64_t id, const char *qty, const char *price,
                          const char *fee)
{
    struct report report = fill_report(s, id, D(qty), D(price), D(fee));
    assert_done(s, tell_code(s, &report));
}

static void figures_by_hand(void **state)
{
    struct stage *s = *state;
    struct engine_totals totals;
    have_price(s);
    clock_to(s, T0 + 10 * SECOND);
    fill_with_fee(s, market_order(s, SIDE_BUY, "10"), "10", "100", "1");
    clock_to(s, T0 + 20 * SECOND);
    trade(s, BTC, "150"); /* equity 100,499: the peak, seen by the next second */
    clock_to(s, T0 + 30 * SECOND);
    trade(s, BTC, "50"); /* 99,499 */
    clock_to(s, T0 + 40 * SECOND);
    trade(s, BTC, "120"); /* 100,199 */
    fill_with_fee(s, market_order(s, SIDE_SELL, "4"), "4", "120", "0.5");
    engine_totals(s->engine, &totals);
    assert_decimal(totals.realized_pnl, "80");
    assert_decimal(totals.unrealized_pnl, "120");
    assert_decimal(totals.fees, "1.5");
    assert_decimal(totals.cash, "100078.5");
    assert_decimal(totals.equity, "100198.5");
    assert_decimal(totals.traded_notional, "1480");
    fill_with_fee(s, market_order(s, SIDE_SELL, "8"), "8", "90", "-0.25"); /* a flip, a rebate */
    clock_to(s, T0 + 50 * SECOND);
    fill_with_fee(s, market_order(s, SIDE_BUY, "2"), "2", "80", "0");
    clock_to(s, T0 + 100 * SECOND);
    settle(s);
    engine_totals(s->engine, &totals);
    /* Trip 1: 4 * 20 - 6 * 10 = 20 gross; fees 1 + 0.5 - 0.25 * 6 / 8 = 1.3125.
     * Trip 2: 2 * 10 = 20 gross; fee -0.0625. */
    assert_decimal(totals.realized_pnl, "40");
    assert_decimal(totals.unrealized_pnl, "0");
    assert_decimal(totals.fees, "1.25");
    assert_decimal(totals.gross_won, "38.75");
    assert_decimal(totals.gross_lost, "0");
    assert_true(fabs(totals.max_drawdown - (100499.0 - 99499.0) / 100499.0) < 1e-12);
    assert_true(fabs(totals.exposure - 0.4) < 1e-12); /* held from second 10 to 50, of 100 */
    const struct engine_counts *counts = engine_counts(s->engine);
    assert_true(counts->trips == 2 && counts->trips_won == 2 && counts->fills == 4);
    assert_true(counts->submitted == 4 && counts->filled == 4);
    assert_decimal(engine_cash(s->engine, A), "100038.75");
}

/* Positions are marked at the middle of the quote, where there is one. */
static void equity_is_marked_at_the_middle(void **state)
{
    struct stage *s = *state;
    have_price(s);
    bought(s, SIDE_SELL, "3", "100");
    quote(s, BTC, "89.99", "90.02");
    assert_decimal(engine_equity(s->engine, A), "100029.985");
}

static void equity_is_kept_for_each_day_and_the_newest(void **state)
{
    struct stage *s = *state;
    const double *values;
    assert_int_equal(engine_daily_equity(s->engine, &values), 0);
    have_price(s);
    assert_int_equal(engine_daily_equity(s->engine, &values), 1);
    bought(s, SIDE_BUY, "10", "100");
    clock_to(s, T0 + NS_PER_DAY / 2);
    trade(s, BTC, "110");
    assert_int_equal(engine_daily_equity(s->engine, &values), 2);
    clock_to(s, T0 + NS_PER_DAY + SECOND);
    trade(s, BTC, "105");
    clock_to(s, T0 + 2 * NS_PER_DAY);
    trade(s, BTC, "120");
    clock_to(s, T0 + 2 * NS_PER_DAY + SECOND);
    settle(s);
    assert_int_equal(engine_daily_equity(s->engine, &values), 4);
    const double expected[] = { 100000, 100100, 100050, 100200 };
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_true(values[i] == expected[i]);
}

/* ---- the identity, over ten thousand fills
 * --------------------------------------------------------------------------------------------------
 */

/* The other bookkeeping: cash moved, in units of 10^-8, and nothing else. */
struct books {
    int64_t cash, qty[2], fees;
};

struct gambler {
    struct random random;
    uint64_t open[64];
    size_t count;
};

static int on_trade_gamble(struct fake_guest *guest, enum guest_call call,
                           const struct guest_event *event, struct error *err)
{
    struct gambler *gambler = guest->self;
    struct random *random = &gambler->random;
    (void)event, (void)err;
    if (call != GUEST_TRADE || gambler->count == ARRAY_SIZE(gambler->open))
        return 0;
    struct order_request request = request_of(random_below(random, 2) ? SIDE_BUY : SIDE_SELL, "1");
    request.instrument = (uint32_t)random_below(random, 2);
    request.qty = decimal_make(1 + (int64_t)random_below(random, 5000), 3);
    if (random_below(random, 5) == 0) {
        request.stop = D(request.side == SIDE_BUY ? "20" : "900");
        request.take = D(request.side == SIDE_BUY ? "900" : "20");
    }
    uint64_t id =
        engine_submit(guest->stage->engine, guest->index, &request, &guest->stage->refusal);
    if (id != 0)
        gambler->open[gambler->count++] = id;
    return 0;
}

static void book(struct books *books, const struct order *order, const struct fill *fill)
{
    int64_t qty, price, fee;
    assert_int_equal(decimal_mantissa(fill->qty, 3, &qty), 0);
    assert_int_equal(decimal_mantissa(fill->price, 2, &price), 0);
    assert_int_equal(decimal_mantissa(fill->fee, 8, &fee), 0);
    books->qty[order->instrument] += order->side * qty;
    books->cash -= order->side * qty * price * 1000 + fee;
    books->fees += fee;
}

static void check_identity(struct stage *s, const struct books *books)
{
    struct engine_totals totals;
    engine_totals(s->engine, &totals);
    decimal equity = decimal_add(D("100000"), decimal_make(books->cash, 8));
    for (uint32_t i = 0; i < 2; i++) {
        decimal qty = decimal_make(books->qty[i], 3);
        assert_true(decimal_cmp(held(s, i), qty) == 0);
        equity = decimal_add(equity, decimal_mul(qty, market_mark(s->market, i)));
    }
    assert_true(decimal_cmp(totals.fees, decimal_make(books->fees, 8)) == 0);
    assert_true(decimal_cmp(totals.equity, equity) == 0);
    decimal sum = decimal_add(D("100000"), decimal_add(totals.realized_pnl, totals.unrealized_pnl));
    sum = decimal_add(decimal_sub(sum, totals.fees), totals.funding);
    assert_true(decimal_cmp(sum, equity) == 0);
    assert_true(decimal_cmp(totals.equity, engine_equity(s->engine, A)) == 0);
}

static void equity_is_the_sum_of_its_parts_over_ten_thousand_fills(void **state)
{
    struct stage *s = *state;
    struct gambler gambler = { .count = 0 };
    struct books books = { 0 };
    random_seed(&gambler.random, 11);
    s->quiet = true;
    s->guests[A].on = on_trade_gamble;
    s->guests[A].self = &gambler;
    char price[32];
    trade(s, BTC, "100");
    trade(s, ETH, "50");
    for (int fills = 0; fills < 10000;) {
        clock_to(s, s->now_ns + (int64_t)random_below(&gambler.random, 30) * SECOND);
        for (uint32_t i = 0; i < 2; i++) {
            snprintf(price, sizeof(price), "%u.%02u",
                     30 + (unsigned)random_below(&gambler.random, 200),
                     (unsigned)random_below(&gambler.random, 100));
            trade(s, i, price);
        }
        if (gambler.count == 0)
            continue;
        size_t at = random_below(&gambler.random, gambler.count);
        const struct order *order = order_at(s, gambler.open[at]);
        decimal remaining = order_remaining(order);
        if (decimal_is_zero(remaining)) {
            gambler.open[at] = gambler.open[--gambler.count];
            continue;
        }
        decimal part = decimal_min(
            remaining, decimal_make(1 + (int64_t)random_below(&gambler.random, 3000), 3));
        struct report report =
            fill_report(s, order->order_id, part, D(price),
                        decimal_make((int64_t)random_below(&gambler.random, 2000000) - 200000, 8));
        book(&books, order, &report.fill);
        assert_done(s, tell_code(s, &report));
        fills++;
        if (fills % 16 == 0)
            check_identity(s, &books);
    }
    check_identity(s, &books);
    assert_int_equal(engine_counts(s->engine)->fills, 10000);
    assert_true(engine_instance_alive(s->engine, A, NULL, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_leaves_after_the_commit_of_its_turn),
        TEST(a_turn_without_intent_costs_no_commit),
        TEST(a_fill_is_told_as_order_fill_position_and_then_committed),
        TEST(a_rejection_is_told_as_order_and_reject),
        TEST(nothing_leaves_when_the_commit_fails),
        TEST(a_failed_callback_takes_back_all_it_asked_for),
        TEST(other_instances_keep_what_they_asked_for),
        TEST(a_failed_callback_takes_back_its_halt_too),
        TEST(what_a_callback_causes_comes_after_it),
        TEST(callbacks_that_cause_each_other_without_end_stop_their_instance),
        TEST(answering_each_refusal_of_the_port_ends_too),
        TEST(one_callback_may_ask_for_so_much),
        TEST(ten_thousand_orders_may_be_open),
        TEST(a_stop_that_cancels_takes_no_new_entries),
        TEST(there_is_always_room_for_a_way_out),
        TEST(what_risk_decides_is_told_and_recorded),
        TEST(only_the_gate_calls_on_risk),
        TEST(leave_leaves_all),
        TEST(cancel_ends_entries_and_keeps_exits),
        TEST(flatten_closes_and_ends_all),
        TEST(flatten_counts_what_is_under_way),
        TEST(a_stopped_instance_has_its_policy_and_is_not_called),
        TEST(an_instance_may_stop_itself_after_its_callback),
        TEST(bars_come_longest_first_in_listed_order),
        TEST(a_supplied_bar_is_delivered_and_history_is_not),
        TEST(no_market_callback_runs_before_warm_up),
        TEST(a_tick_reaches_only_those_who_ask_for_it),
        TEST(timers_fire_in_the_order_they_are_due_and_repeat),
        TEST(a_late_timer_fires_once),
        TEST(timers_have_bounds),
        TEST(a_long_name_is_one_timer),
        TEST(a_swap_drops_timers_and_keeps_orders),
        TEST(a_start_that_fails_stops_the_instance),
        TEST(state_is_stored_with_the_turn_and_else_when_flushed),
        TEST(state_changed_in_a_quiet_turn_is_stored_with_the_next_fill),
        TEST(a_journal_entry_carries_its_time_before_the_first_event),
        TEST(prices_and_quantities_are_rounded_in_the_safe_direction),
        TEST(exit_prices_are_rounded_as_the_exit_side),
        TEST(a_quantity_of_nothing_is_refused),
        TEST(a_notional_buys_whole_lots_at_the_price_it_meets),
        TEST(what_the_venue_does_not_take_is_refused_here),
        TEST(no_number_breaks_the_desk),
        TEST(reduce_only_is_cut_to_the_own_position),
        TEST(reduce_only_cannot_grow_beyond_the_position),
        TEST(what_a_reduce_only_order_opens_is_closed_again),
        TEST(target_orders_what_is_missing),
        TEST(target_counts_market_orders_only),
        TEST(target_less_than_a_lot_away_is_nothing),
        TEST(a_target_that_only_reduces_says_so),
        TEST(close_ends_the_position_exactly),
        TEST(size_loses_the_percentage_at_the_stop),
        TEST(size_is_capped_by_limits),
        TEST(size_without_sense_is_zero_and_says_why),
        TEST(size_never_rounds_above_what_there_is_room_for),
        TEST(asking_twice_is_one_cancel),
        TEST(nobody_touches_the_orders_of_others),
        TEST(a_replace_is_under_way_until_it_is_answered),
        TEST(of_a_replace_under_way_the_larger_counts),
        TEST(an_amend_that_asks_for_more_passes_the_gate),
        TEST(the_collar_holds_for_amends_of_both_sides),
        TEST(a_market_order_has_no_price_to_amend),
        TEST(what_the_port_does_not_take_is_rejected_by_ourselves),
        TEST(a_report_for_an_unknown_order_is_alerted),
        TEST(a_repeated_fill_moves_nothing),
        TEST(a_fill_after_cancel_counts_and_is_alerted),
        TEST(a_suspect_fill_is_booked_and_halts),
        TEST(a_rejected_order_that_works_after_all_is_canceled),
        TEST(a_fill_that_does_not_fit_halts_and_books_nothing),
        TEST(a_position_that_does_not_fit_halts),
        TEST(doubt_shows_as_unknown_and_still_counts),
        TEST(orders_of_several_instances_come_back),
        TEST(an_order_that_nobody_trades_any_more_is_refused),
        TEST(the_day_counts_and_begins_again),
        TEST(a_days_loss_halts_by_itself),
        TEST(a_request_refused_for_the_rate_is_told),
        TEST(a_days_loss_halts_until_the_day_ends),
        TEST(the_order_rate_is_exact_beyond_a_hundred),
        TEST(entries_at_work_are_positions_that_may_open),
        TEST(two_resting_sells_do_not_make_a_short_by_stealth),
        TEST(figures_by_hand),
        TEST(equity_is_marked_at_the_middle),
        TEST(equity_is_kept_for_each_day_and_the_newest),
        TEST(equity_is_the_sum_of_its_parts_over_ten_thousand_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
