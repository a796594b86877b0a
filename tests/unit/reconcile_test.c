/* reconcile_test.c - our books against the venue's: what is asked, compared, and done about it. */
#include "tests/unit/books_fixture.h"

static void tell_position(struct stage *s, uint64_t ticket, uint32_t instrument, const char *qty)
{
    tell_position_at(s, ticket, instrument, qty, NULL);
}

static uint64_t resting(struct stage *s)
{
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    pass(s, 1);
    return id;
}

static int on_reconcile(struct fake_guest *guest, enum guest_call call,
                        const struct guest_event *event, struct error *err)
{
    (void)err;
    if (call == GUEST_RECONCILE)
        note(guest->stage, "%u %s", event->difference->instrument, event->difference->action);
    return 0;
}

/* ---- the questions ---- */

static void five_questions_in_their_order(void **state)
{
    struct stage *s = *state;
    connect(s);
    static const enum venue_query_kind kinds[] = { QUERY_OPEN_ORDERS, QUERY_POSITIONS,
                                                   QUERY_BALANCES, QUERY_FILLS };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        assert_int_equal(s->query_count, i + 1);
        assert_int_equal(last_query(s)->kind, kinds[i]);
        assert_true(engine_is_reconciling(s->engine));
        answer(s, &FLAT);
    }
    assert_int_equal(s->query_count, ARRAY_SIZE(kinds));
    assert_false(engine_is_reconciling(s->engine));
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
}

static void no_new_risk_before_the_books_were_compared(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    assert_string_equal(s->refusal.code, "reconciling");
    assert_true(market_order(s, SIDE_SELL, "1") != 0); /* the way out is open */
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_true(market_order(s, SIDE_BUY, "1") != 0);
}

static void it_looks_again_every_minute(void **state)
{
    struct stage *s = *state;
    connect(s);
    answer_all(s, &FLAT);
    size_t asked = s->query_count;
    pass(s, SECONDS(60) - 1);
    assert_int_equal(s->query_count, asked);
    pass(s, 1);
    assert_int_equal(s->query_count, asked + 1);
    assert_false(engine_is_reconciling(s->engine)); /* that one holds nobody up */
}

static void a_hundred_reports_make_it_look_after_five_seconds(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &FLAT);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    size_t asked = s->query_count;
    for (int i = 0; i < 100; i++)
        tell(s, id, REPORT_ACK);
    pass(s, SECONDS(5) - 1);
    assert_int_equal(s->query_count, asked);
    pass(s, 1);
    assert_int_equal(s->query_count, asked + 1);
}

static void nothing_is_asked_where_the_venue_is_a_function_of_the_same_events(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_OFF);
    connect(s);
    pass(s, SECONDS(3600));
    assert_int_equal(s->query_count, 0);
    assert_false(engine_is_reconciling(s->engine));
    stage_free(s);
}

static void an_interval_of_its_own_replaces_the_minute_and_the_count(void **state)
{
    (void)state;
    struct reconcile_options looks = reconcile_defaults(RECONCILE_WARN);
    looks.interval_ns = SECONDS(600);
    struct stage *s = stage_new_looking(NULL, looks);
    stage_add(s, instance_defaults());
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &FLAT);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    size_t asked = s->query_count;
    for (int i = 0; i < 100; i++)
        tell(s, id, REPORT_ACK);
    pass(s, SECONDS(600) - 1);
    assert_int_equal(s->query_count, asked);
    pass(s, 1);
    assert_int_equal(s->query_count, asked + 1);
    stage_free(s);
}

static void where_nothing_is_compared_a_suspect_fill_asks_nothing(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_OFF);
    trade(s, BTC, "100");
    connect(s);
    fill(s, market_order(s, SIDE_BUY, "1"), "2", "100");
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    pass(s, SECONDS(60));
    assert_int_equal(s->query_count, 0);
    stage_free(s);
}

/* What comes outside its own step, for another question, in another currency or of an instrument
 * that this run does not know is not what was asked for. */
static void only_the_answer_to_the_question_counts(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    uint64_t ticket = last_query(s)->ticket;
    tell_position(s, ticket, BTC, "5"); /* it was asked for orders */
    answer(s, &FLAT);
    tell_position(s, last_query(s)->ticket, 77, "5");
    tell_cash(s, last_query(s)->ticket, "7");
    tell_position(s, last_query(s)->ticket + 1, BTC, "5");
    answer(s, &(struct venue_books){ .btc = "1" });
    assert_int_equal(last_query(s)->kind, QUERY_BALANCES);
    tell_cash(s, last_query(s)->ticket + 1, "7");
    struct event euros = {
        .kind = EVENT_CASH,
        .time_ns = s->now_ns,
        .cash = { .ticket = last_query(s)->ticket, .currency = "EUR", .amount = D("7") }
    };
    step(s, &euros);
    answer_all(s, &FLAT);
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    assert_null(last_record(s, RECORD_CASH)); /* no money was told of */
}

/* While orders are asked for no list is: an answer without a number is nobody's. */
static void an_answer_without_a_ticket_does_not_go_on(void **state)
{
    struct stage *s = *state;
    resting(s);
    connect(s);
    answer(s, &FLAT);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    settle(s);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    assert_true(engine_is_reconciling(s->engine));
}

/* ---- failed steps ---- */

/* 1, 2, 4 s after each failure. What was not answered is not "flat". */
static void a_failed_step_compares_nothing(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    struct venue_books books = { .fail = 1 + QUERY_POSITIONS };
    for (int i = 0; i < 3; i++) {
        answer_all(s, &books);
        assert_decimal(held(s, BTC), "1");
        assert_int_equal(engine_counts(s->engine)->differences, 0);
        assert_true(engine_is_reconciling(s->engine));
        pass(s, SECONDS(1 << i));
    }
    assert_string_equal(last_alert(s), "position_unknown");
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_false(engine_is_reconciling(s->engine));
}

static void every_question_may_fail(void **state)
{
    (void)state;
    static const enum venue_query_kind kinds[] = { QUERY_OPEN_ORDERS, QUERY_POSITIONS,
                                                   QUERY_BALANCES, QUERY_FILLS };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct stage *s = stage_of(RECONCILE_STRICT);
        hold(s, "1");
        connect(s);
        answer_all(s, &(struct venue_books){ .fail = 1 + (int)kinds[i] });
        assert_true(engine_is_reconciling(s->engine));
        assert_false(engine_is_halted(s->engine, NULL));
        stage_free(s);
    }
}

static void silence_is_a_failed_step(void **state)
{
    struct stage *s = *state;
    connect(s);
    pass(s, SECONDS(30)); /* unanswered so long: failed */
    assert_int_equal(s->query_count, 1);
    pass(s, SECONDS(1));
    assert_int_equal(s->query_count, 2);
    assert_int_equal(last_query(s)->kind, QUERY_OPEN_ORDERS);
}

static void an_answer_to_an_old_question_says_nothing(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    uint64_t old = last_query(s)->ticket;
    answer(s, &FLAT);
    assert_int_equal(last_query(s)->kind, QUERY_POSITIONS);
    tell_position(s, old, BTC, "5");
    tell_cash(s, old, "5");
    step(s, &(struct event){ .kind = EVENT_ANSWER,
                             .time_ns = s->now_ns,
                             .answer = { .ticket = old, .complete = true } });
    assert_int_equal(last_query(s)->kind, QUERY_POSITIONS);
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_int_equal(engine_counts(s->engine)->differences, 0);
}

static void a_lost_line_ends_the_look(void **state)
{
    struct stage *s = *state;
    connect(s);
    step(s, &(struct event){ .kind = EVENT_CONNECTION, .time_ns = s->now_ns });
    pass(s, SECONDS(600));
    assert_int_equal(s->query_count, 1);
    connect(s);
    answer_all(s, &FLAT);
    assert_false(engine_is_reconciling(s->engine));
}

/* ---- orders ---- */

static void an_absent_order_is_asked_for(void **state)
{
    struct stage *s = *state;
    uint64_t listed = resting(s), absent = resting(s);
    uint64_t under_way = submit(s, A, limit_of(SIDE_BUY, "1", "91"));
    connect(s);
    tell(s, under_way, REPORT_ACK); /* after the question: not missing */
    struct venue_books books = { .open = { listed } };
    uint64_t asked = s->query_count;
    answer(s, &books);
    assert_string_equal(status_of(s, listed), "new");
    assert_string_equal(status_of(s, absent), "unknown");
    assert_string_equal(status_of(s, under_way), "new");
    assert_int_equal(s->query_count, asked + 1);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    assert_true(engine_is_reconciling(s->engine));
    struct report report = report_on(s, absent, REPORT_STATUS);
    report.ticket = last_query(s)->ticket;
    report.status = ORDER_FILLED;
    report.cum_qty = D("1");
    report.avg_price = D("90");
    assert_done(s, tell_code(s, &report));
    assert_string_equal(status_of(s, absent), "filled");
    assert_decimal(held(s, BTC), "1");
}

/* Failures long ago do not slow down a venue that answers: a second later it looks again. */
static void a_moving_position_is_no_failure(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = market_order(s, SIDE_BUY, "1");
    tell(s, id, REPORT_ACK);
    connect(s);
    for (int i = 0; i < 8; i++) {
        answer_all(s, &(struct venue_books){ .fail = 1 + QUERY_POSITIONS, .open = { id } });
        pass(s, SECONDS(60));
    }
    answer_all(s, &(struct venue_books){ .btc = "1", .open = { id }, .late_fill = id });
    assert_true(engine_is_reconciling(s->engine));
    pass(s, SECONDS(1));
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_false(engine_is_reconciling(s->engine));
}

/* A minute later the rest is compared: what it filled is among the trades. */
static void an_order_that_stays_in_doubt_does_not_hold_up_the_look(void **state)
{
    struct stage *s = *state;
    resting(s);
    connect(s);
    answer(s, &FLAT);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    pass(s, SECONDS(60)); /* nobody answers that */
    assert_int_equal(last_query(s)->kind, QUERY_POSITIONS);
    answer(s, &FLAT);
    answer(s, &FLAT);
    answer(s, &FLAT);
    assert_false(engine_is_reconciling(s->engine));
}

/* Its list may be stale: only what is seen twice is canceled. */
static void an_order_that_works_there_and_ended_here_is_canceled(void **state)
{
    struct stage *s = *state;
    uint64_t id = resting(s);
    tell(s, id, REPORT_CANCELED);
    pass(s, 1);
    connect(s);
    struct venue_books books = { .open = { id } };
    answer_all(s, &books);
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
    pass(s, SECONDS(5));
    answer_all(s, &books);
    assert_int_equal(count_sent(s, SENT_CANCEL), 1);
    assert_string_equal(last_sent(s, SENT_CANCEL)->order.client_order_id,
                        order_at(s, id)->client_order_id);
    assert_string_equal(last_alert(s), "bad_venue_data");
}

/* The engine holds it: no venue can list it. */
static void an_order_held_here_is_not_missed(void **state)
{
    struct stage *s = *state;
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    trade(s, BTC, "100");
    struct order_request request = request_of(SIDE_BUY, "1");
    request.type = ORDER_STOP;
    request.trigger_price = D("120");
    uint64_t id = submit(s, A, request);
    assert_true(order_at(s, id)->held);
    pass(s, 1);
    connect(s);
    answer_all(s, &FLAT);
    assert_string_equal(status_of(s, id), "new");
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
}

/* Whether it may be sent again depends on this very look. */
static void an_order_that_nobody_acknowledged_does_not_hold_up_the_look(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    step(s, &(struct event){ .kind = EVENT_CONNECTION, .time_ns = s->now_ns });
    connect(s);
    assert_string_equal(status_of(s, id), "unknown");
    uint64_t list = 0;
    for (size_t i = 0; i < s->query_count; i++)
        if (s->queries[i].kind == QUERY_OPEN_ORDERS)
            list = s->queries[i].ticket;
    assert_true(list != 0);
    step(s, &(struct event){ .kind = EVENT_ANSWER,
                             .time_ns = s->now_ns,
                             .answer = { .ticket = list, .complete = true } });
    assert_int_equal(last_query(s)->kind, QUERY_POSITIONS);
}

/* The list is older than the end. */
static void an_order_that_ended_while_the_list_was_on_its_way_is_not_odd(void **state)
{
    struct stage *s = *state;
    uint64_t id = resting(s);
    connect(s);
    tell(s, id, REPORT_CANCELED);
    struct venue_books books = { .open = { id } };
    answer_all(s, &books);
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
    pass(s, SECONDS(5)); /* an odd one would be looked at again now */
    assert_int_equal(last_query(s)->kind, QUERY_FILLS);
    assert_int_equal(count_sent(s, SENT_CANCEL), 0);
}

static void a_foreign_order_in_the_list_is_left_alone(void **state)
{
    struct stage *s = *state;
    connect(s);
    struct report report = stranger("web-1", REPORT_STATUS);
    report.ticket = last_query(s)->ticket;
    assert_done(s, tell_code(s, &report));
    answer_all(s, &FLAT);
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
    assert_null(last_sent(s, SENT_CANCEL));
}

/* ---- trades ---- */

static void a_trade_seen_while_looking_repeats_the_look(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = market_order(s, SIDE_BUY, "1");
    tell(s, id, REPORT_ACK);
    connect(s);
    answer_all(s, &(struct venue_books){ .btc = "1", .open = { id }, .late_fill = id });
    assert_decimal(held(s, BTC), "1");
    assert_int_equal(engine_counts(s->engine)->reconciled, 0); /* of two instants */
    pass(s, SECONDS(1));
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_int_equal(engine_counts(s->engine)->reconciled, 1);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
}

/* ---- positions ---- */

static void one_look_is_not_enough_to_differ(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    answer_all(s, &FLAT); /* the venue lags behind its own fills */
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    pass(s, SECONDS(2));
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    assert_false(engine_is_reconciling(s->engine));
}

/* What a failed look saw in passing may have agreed: the next one is a first look again. */
static void a_failed_second_look_is_none(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    answer_all(s, &FLAT);
    pass(s, SECONDS(2));
    answer_all(s, &(struct venue_books){ .btc = "1", .fail = 1 + QUERY_BALANCES });
    pass(s, SECONDS(1));
    answer_all(s, &FLAT);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    pass(s, SECONDS(2));
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_int_equal(engine_counts(s->engine)->differences, 0);
}

static void another_difference_is_looked_at_again(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    connect(s);
    answer_all(s, &FLAT);
    pass(s, SECONDS(2));
    answer_all(s, &(struct venue_books){ .btc = "2" });
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    pass(s, SECONDS(2));
    answer_all(s, &(struct venue_books){ .btc = "2" });
    assert_int_equal(engine_counts(s->engine)->differences, 1);
}

static void strict_halts_the_session(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_STRICT);
    hold(s, "1");
    uint64_t rests = resting(s);
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3", .open = { rests } });
    const char *why;
    assert_true(engine_is_halted(s->engine, &why));
    assert_string_equal(why, "BTC/USDT: our books say 1, the venue says 3");
    assert_decimal(held(s, BTC), "1"); /* nothing was made equal */
    assert_string_equal(last_record(s, RECORD_HALT)->name, "session");
    assert_string_equal(status_of(s, rests), "pending_cancel");
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    stage_free(s);
}

static void warn_blocks_the_symbol_until_a_clean_look(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    trade(s, ETH, "10");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3" });
    assert_string_equal(last_alert(s), "position_mismatch");
    assert_false(engine_is_halted(s->engine, NULL));
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    assert_int_equal(market_order(s, SIDE_BUY, "1"), 0);
    struct order_request elsewhere = request_of(SIDE_BUY, "1");
    elsewhere.instrument = ETH;
    assert_true(submit(s, A, elsewhere) != 0);
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .btc = "1" });
    assert_false(engine_is_instrument_halted(s->engine, BTC));
    assert_true(market_order(s, SIDE_BUY, "1") != 0);
}

/* A share of 1 % of our 200: 2 may be missing, 2.001 not. */
static void the_tolerance_is_a_share_of_what_we_hold(void **state)
{
    (void)state;
    static const struct {
        const char *venue;
        uint64_t differences;
    } cases[] = { { "198", 0 }, { "202", 0 }, { "197.999", 1 }, { "202.001", 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct stage *s = stage_of(RECONCILE_WARN);
        hold(s, "200");
        connect(s);
        look_twice(s, &(struct venue_books){ .btc = cases[i].venue });
        assert_int_equal(engine_counts(s->engine)->differences, cases[i].differences);
        stage_free(s);
    }
}

static void when_we_think_we_are_flat_there_is_none(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "0.001" });
    assert_int_equal(engine_counts(s->engine)->differences, 1);
}

static void auto_sync_makes_it_equal_by_a_record(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    hold(s, "1");
    trade(s, BTC, "110");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3" });
    assert_decimal(held(s, BTC), "3");
    const struct record *record = last_record(s, RECORD_ADJUSTMENT);
    assert_non_null(record);
    assert_decimal(record->adjustment.qty_before, "1");
    assert_decimal(record->adjustment.qty_after, "3");
    assert_decimal(record->adjustment.price, "110"); /* the market's: the venue said none */
    assert_int_equal(strlen(record->adjustment.id), 64);
    assert_string_equal(last_alert(s), "position_synced");
    assert_decimal(engine_position(s->engine, A, BTC)->cost, "320"); /* 100 + 2 * 110 */
    assert_false(engine_is_instrument_halted(s->engine, BTC));
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .btc = "3" });
    assert_int_equal(engine_counts(s->engine)->adjustments, 1); /* once */
    stage_free(s);
}

/* A venue that says 3, 1, 3: each is a change of its own, and the books add up only with all. */
static void the_same_difference_at_another_time_is_another_adjustment(void **state)
{
    (void)state;
    static const char *const says[] = { "3", "1", "3" };
    char ids[ARRAY_SIZE(says)][SHA256_TEXT_MAX];
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    hold(s, "1");
    connect(s);
    for (size_t i = 0; i < ARRAY_SIZE(says); i++) {
        look_twice(s, &(struct venue_books){ .btc = says[i] });
        assert_decimal(held(s, BTC), says[i]);
        text_copy(ids[i], sizeof(ids[i]), last_record(s, RECORD_ADJUSTMENT)->adjustment.id);
        pass(s, SECONDS(60));
    }
    assert_string_not_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    stage_free(s);
}

static void auto_sync_to_flat_ends_the_exits(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    trade(s, BTC, "100");
    struct order_request entry = request_of(SIDE_BUY, "1");
    entry.stop = D("90");
    uint64_t id = submit(s, A, entry);
    fill(s, id, "1", "100");
    uint64_t stop = last_sent(s, SENT_SUBMIT)->order.order_id;
    tell(s, stop, REPORT_ACK);
    pass(s, 1);
    connect(s);
    look_twice(s, &(struct venue_books){ .open = { stop } });
    assert_decimal(held(s, BTC), "0");
    assert_string_equal(status_of(s, stop), "pending_cancel");
    stage_free(s);
}

static void of_two_owners_neither_is_changed(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    stage_add(s, instance_defaults());
    engine_set_external(s->engine, 99);
    hold(s, "1");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3" });
    assert_decimal(held(s, BTC), "1");
    assert_decimal(engine_position(s->engine, 2, BTC)->qty, "2");
    assert_int_equal(last_record(s, RECORD_ADJUSTMENT)->instance_id, 99);
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .btc = "3" }); /* what is nobody's counts */
    assert_int_equal(engine_counts(s->engine)->differences, 1);
    stage_free(s);
}

static void without_an_owner_or_a_price_the_symbol_is_blocked(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    connect(s);
    look_twice(s, &(struct venue_books){ .eth = "3" }); /* no price of it was ever seen */
    assert_true(engine_is_instrument_halted(s->engine, ETH));
    assert_int_equal(engine_counts(s->engine)->adjustments, 0);
    stage_free(s);
}

static void strategies_are_told(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    s->guests[A].on = on_reconcile;
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3" });
    assert_non_null(strstr(s->script.data, "0 block"));
}

static void without_a_tolerance_each_difference_counts(void **state)
{
    (void)state;
    struct reconcile_options looks = reconcile_defaults(RECONCILE_WARN);
    looks.qty_tolerance = DECIMAL_NONE;
    struct stage *s = stage_new_looking(NULL, looks);
    stage_add(s, instance_defaults());
    hold(s, "200");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "199.999" });
    assert_int_equal(engine_counts(s->engine)->differences, 1);
    stage_free(s);
}

/* Between the two reads we traded: what differs now was not seen before. */
static void a_difference_after_a_trade_of_ours_is_looked_at_again(void **state)
{
    struct stage *s = *state;
    hold(s, "1");
    uint64_t id = resting(s);
    connect(s);
    struct venue_books books = { .btc = "5", .open = { id } };
    answer_all(s, &books);
    fill(s, id, "0.5", "90");
    pass(s, SECONDS(2));
    answer_all(s, &books);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    pass(s, SECONDS(2));
    answer_all(s, &books);
    assert_int_equal(engine_counts(s->engine)->differences, 1);
}

/* The venue says what all of it cost: nothing was earned by the difference. */
static void auto_sync_takes_the_cost_that_the_venue_says(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    hold(s, "4");
    trade(s, BTC, "110");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "3", .price = "102" });
    const struct position *position = engine_position(s->engine, A, BTC);
    assert_decimal(position->qty, "3");
    assert_decimal(position->cost, "306"); /* 3 * 102 */
    assert_decimal(position->realized_pnl, "0");
    assert_decimal(last_record(s, RECORD_ADJUSTMENT)->adjustment.price, "102");
    stage_free(s);
}

static void auto_sync_from_flat_pays_the_price_that_the_venue_says(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    trade(s, BTC, "110");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "-2", .price = "90" });
    const struct position *position = engine_position(s->engine, A, BTC);
    assert_decimal(position->qty, "-2");
    assert_decimal(position->cost, "-180");
    assert_decimal(last_record(s, RECORD_ADJUSTMENT)->adjustment.price, "90");
    stage_free(s);
}

/* Without an external instance it has no owner, and is not given to one that never traded it. */
static void what_no_instance_trades_is_nobodys(void **state)
{
    (void)state;
    struct stage *s = stage_of_one_instrument(RECONCILE_AUTO_SYNC);
    s->guests[A].on = on_reconcile;
    trade(s, ETH, "10");
    connect(s);
    look_twice(s, &(struct venue_books){ .eth = "3", .price = "10" });
    assert_true(engine_is_instrument_halted(s->engine, ETH));
    assert_int_equal(engine_counts(s->engine)->adjustments, 0);
    assert_null(strstr(s->script.data, "A reconcile")); /* A has nothing to do with it */
    stage_free(s);
}

static void what_no_instance_trades_is_the_external_ones(void **state)
{
    (void)state;
    struct stage *s = stage_of_one_instrument(RECONCILE_AUTO_SYNC);
    engine_set_external(s->engine, 99);
    trade(s, ETH, "10");
    connect(s);
    look_twice(s, &(struct venue_books){ .eth = "3", .price = "10" });
    assert_decimal(engine_position(s->engine, 1, ETH)->qty, "3");
    assert_int_equal(last_record(s, RECORD_ADJUSTMENT)->instance_id, 99);
    stage_free(s);
}

/* A quantity that no sum can hold: the books stay, and the symbol is blocked. */
static void what_cannot_be_booked_blocks_the_symbol(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_AUTO_SYNC);
    hold(s, "1");
    connect(s);
    look_twice(s, &(struct venue_books){ .btc = "170000000000000000000000000000000000000" });
    assert_decimal(held(s, BTC), "1");
    assert_true(engine_is_instrument_halted(s->engine, BTC));
    assert_int_equal(engine_counts(s->engine)->adjustments, 0);
    stage_free(s);
}

/* ---- cash ---- */

static void cash_is_agreed_on_first_and_compared_later(void **state)
{
    struct stage *s = *state;
    hold(s, "1"); /* bought at 100; the mark moves no cash of a margin account */
    connect(s);
    answer_all(s, &(struct venue_books){ .btc = "1", .cash = "5000" });
    assert_decimal(last_record(s, RECORD_CASH)->cash.amount, "5000");
    trade(s, BTC, "110");
    fill(s, market_order(s, SIDE_SELL, "1"), "1", "110"); /* earns 10 */
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .cash = "5011" }); /* 1 is the tolerance */
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    pass(s, SECONDS(60));
    look_twice(s, &(struct venue_books){ .cash = "5012.001" });
    assert_string_equal(last_alert(s), "cash_mismatch");
    assert_false(engine_is_halted(s->engine, NULL));
}

static void unexplained_cash_halts_only_in_strict(void **state)
{
    (void)state;
    struct stage *s = stage_of(RECONCILE_STRICT);
    connect(s);
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    pass(s, SECONDS(60));
    look_twice(s, &(struct venue_books){ .cash = "4000" });
    assert_true(engine_is_halted(s->engine, NULL));
    stage_free(s);
}

static void at_a_spot_venue_positions_bind_cash(void **state)
{
    struct stage *s = *state;
    s->abilities.cash_is_spot = true;
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    fill(s, market_order(s, SIDE_BUY, "2"), "2", "100");
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .btc = "2", .cash = "4800" });
    assert_int_equal(engine_counts(s->engine)->differences, 0);
}

static void restored_cash_is_what_was_agreed(void **state)
{
    struct stage *s = *state;
    struct cash_record agreed = { .currency = "USDT", .amount = D("100"), .own = DECIMAL_ZERO };
    engine_restore_cash(s->engine, &agreed);
    struct cash_record other = { .currency = "EUR", .amount = D("7"), .own = DECIMAL_ZERO };
    engine_restore_cash(s->engine, &other);
    connect(s);
    look_twice(s, &(struct venue_books){ .cash = "90" });
    assert_string_equal(last_alert(s), "cash_mismatch");
}

static void strategies_are_told_of_cash_too(void **state)
{
    struct stage *s = *state;
    s->guests[A].on = on_reconcile;
    connect(s);
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    pass(s, SECONDS(60));
    look_twice(s, &(struct venue_books){ .cash = "4000" });
    assert_non_null(strstr(s->script.data, " tell\n"));
}

/* One sum that is agreed on is one record, until either side of it moves. */
static void cash_is_recorded_when_it_moved(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    assert_int_equal(count_records(s, RECORD_CASH), 1);
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    assert_int_equal(count_records(s, RECORD_CASH), 1);
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .cash = "5000.5" }); /* within the tolerance */
    assert_int_equal(count_records(s, RECORD_CASH), 2);
    fill(s, market_order(s, SIDE_BUY, "1"), "1", "100");
    fill(s, market_order(s, SIDE_SELL, "1"), "1", "101"); /* earns 1 */
    pass(s, SECONDS(60));
    answer_all(s, &(struct venue_books){ .cash = "5000.5" }); /* a lag within the tolerance */
    assert_int_equal(count_records(s, RECORD_CASH), 3);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
}

static void tell_sum(struct stage *s, uint64_t id, const char *cum_qty, const char *avg_price)
{
    struct report report = report_on(s, id, REPORT_STATUS);
    report.status = ORDER_PARTIALLY_FILLED;
    report.cum_qty = D(cum_qty);
    report.avg_price = D(avg_price);
    assert_done(s, tell_code(s, &report));
}

/* Its fee is not known: that is no reason to doubt the money. Its trades are asked for. */
static void cash_waits_for_the_trades_behind_a_sum(void **state)
{
    struct stage *s = *state;
    connect(s);
    answer_all(s, &(struct venue_books){ .cash = "5000" });
    uint64_t id = resting(s);
    tell_sum(s, id, "0.5", "90");
    pass(s, SECONDS(60));
    struct venue_books books = { .btc = "0.5", .cash = "4000", .open = { id } };
    answer_all(s, &books);
    assert_int_equal(engine_counts(s->engine)->reconciled, 2);
    assert_int_equal(engine_counts(s->engine)->differences, 0);
    assert_int_equal(count_records(s, RECORD_CASH), 1);
    assert_int_equal(last_query(s)->kind, QUERY_FILLS);
    assert_string_equal(s->query_ids[(s->query_count - 1) % QUERIES_KEPT],
                        order_at(s, id)->client_order_id);
}

/* No look asks for more than 16; the next one begins where this one ended. */
static void the_trades_behind_sums_are_asked_for_in_turns(void **state)
{
    struct stage *s = *state;
    uint64_t ids[17];
    trade(s, BTC, "100");
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        ids[i] = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
        tell_sum(s, ids[i], "0.5", "90");
    }
    connect(s); /* acknowledged after the question: none is missed */
    size_t asked[ARRAY_SIZE(ids)] = { 0 };
    for (int look = 0; look < 2; look++) {
        while (last_query(s)->kind != QUERY_FILLS)
            answer(s, &(struct venue_books){ .btc = "8.5" });
        size_t before = s->query_count;
        answer(s, &FLAT);
        assert_int_equal(s->query_count - before, 16);
        for (size_t q = before; q < s->query_count; q++)
            for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                asked[i] += strcmp(s->query_ids[q % QUERIES_KEPT],
                                   order_at(s, ids[i])->client_order_id) == 0;
        if (look == 0) {
            pass(s, SECONDS(60));
            for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
                tell_open(s, last_query(s)->ticket, ids[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        assert_in_range(asked[i], 1, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, books_setup, stage_teardown)

/* 15 x 100 without a stop are 75 of heat, an open entry of 1 is 5: of the 100 that the limit allows
 * 20 are left, 4 more. Answers are no events of the market, so all of this is within one. */
static void what_a_look_adjusts_is_at_stake_at_once(void **state)
{
    (void)state;
    static const struct venue_books books = { .btc = "15", .price = "100" };
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[LIMIT_HEAT] = D("0.001");
    struct stage *s =
        stage_new_planned(&(struct stage_plan){ .account = &limits,
                                                .risk = { .no_stop_pct = D("0.05") },
                                                .looks = reconcile_defaults(RECONCILE_AUTO_SYNC) });
    stage_add(s, instance_defaults());
    trade(s, BTC, "100");
    connect(s);
    answer_all(s, &FLAT);
    pass(s, SECONDS(60));
    answer_all(s, &books);
    pass(s, SECONDS(2));
    while (last_query(s)->kind != QUERY_FILLS)
        answer(s, &books);
    assert_true(submit(s, A, limit_of(SIDE_BUY, "1", "100")) != 0);
    assert_decimal(held(s, BTC), "0");
    answer(s, &books);
    assert_decimal(held(s, BTC), "15");
    uint64_t more = submit(s, A, limit_of(SIDE_BUY, "5", "100"));
    assert_true(more != 0);
    assert_decimal(order_at(s, more)->qty, "4");
    stage_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(five_questions_in_their_order),
        TEST(no_new_risk_before_the_books_were_compared),
        TEST(it_looks_again_every_minute),
        TEST(a_hundred_reports_make_it_look_after_five_seconds),
        TEST(nothing_is_asked_where_the_venue_is_a_function_of_the_same_events),
        TEST(a_failed_step_compares_nothing),
        TEST(every_question_may_fail),
        TEST(silence_is_a_failed_step),
        TEST(an_answer_to_an_old_question_says_nothing),
        TEST(a_lost_line_ends_the_look),
        TEST(an_absent_order_is_asked_for),
        TEST(a_moving_position_is_no_failure),
        TEST(an_order_that_stays_in_doubt_does_not_hold_up_the_look),
        TEST(an_order_that_works_there_and_ended_here_is_canceled),
        TEST(a_trade_seen_while_looking_repeats_the_look),
        TEST(one_look_is_not_enough_to_differ),
        TEST(a_failed_second_look_is_none),
        TEST(another_difference_is_looked_at_again),
        TEST(strict_halts_the_session),
        TEST(warn_blocks_the_symbol_until_a_clean_look),
        TEST(the_tolerance_is_a_share_of_what_we_hold),
        TEST(when_we_think_we_are_flat_there_is_none),
        TEST(auto_sync_makes_it_equal_by_a_record),
        TEST(the_same_difference_at_another_time_is_another_adjustment),
        TEST(auto_sync_to_flat_ends_the_exits),
        TEST(of_two_owners_neither_is_changed),
        TEST(without_an_owner_or_a_price_the_symbol_is_blocked),
        TEST(strategies_are_told),
        TEST(cash_is_agreed_on_first_and_compared_later),
        TEST(unexplained_cash_halts_only_in_strict),
        TEST(at_a_spot_venue_positions_bind_cash),
        TEST(restored_cash_is_what_was_agreed),
        TEST(an_interval_of_its_own_replaces_the_minute_and_the_count),
        TEST(where_nothing_is_compared_a_suspect_fill_asks_nothing),
        TEST(only_the_answer_to_the_question_counts),
        TEST(an_answer_without_a_ticket_does_not_go_on),
        TEST(an_order_held_here_is_not_missed),
        TEST(an_order_that_nobody_acknowledged_does_not_hold_up_the_look),
        TEST(an_order_that_ended_while_the_list_was_on_its_way_is_not_odd),
        TEST(a_foreign_order_in_the_list_is_left_alone),
        TEST(without_a_tolerance_each_difference_counts),
        TEST(a_difference_after_a_trade_of_ours_is_looked_at_again),
        TEST(auto_sync_takes_the_cost_that_the_venue_says),
        TEST(auto_sync_from_flat_pays_the_price_that_the_venue_says),
        TEST(what_no_instance_trades_is_nobodys),
        TEST(what_no_instance_trades_is_the_external_ones),
        TEST(what_cannot_be_booked_blocks_the_symbol),
        TEST(strategies_are_told_of_cash_too),
        TEST(cash_is_recorded_when_it_moved),
        TEST(cash_waits_for_the_trades_behind_a_sum),
        TEST(the_trades_behind_sums_are_asked_for_in_turns),
        cmocka_unit_test(what_a_look_adjusts_is_at_stake_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
