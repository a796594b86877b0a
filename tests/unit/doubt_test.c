/* doubt_test.c - only the venue's word ends doubt: asking, the grace, one resend, giving up. */
#include "tests/unit/fakes.h"

#define SECONDS(n) ((n)*NS_PER_SECOND)
#define A 0

/* ---- what the venue answers ---- */

static void end_answer(struct stage *s, uint64_t ticket, bool complete)
{
    struct event event = { .kind = EVENT_ANSWER,
                           .time_ns = s->now_ns,
                           .answer = { .ticket = ticket, .complete = complete } };
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

static void answer_not_found(struct stage *s, uint64_t id)
{
    uint64_t ticket = last_query(s)->ticket;
    struct report report = report_on(s, id, REPORT_NOT_FOUND);
    text_copy(report.client_order_id, sizeof(report.client_order_id),
              s->query_ids[(s->query_count - 1) % QUERIES_KEPT]);
    report.ticket = ticket;
    assert_done(s, tell_code(s, &report));
    end_answer(s, ticket, true);
}

static void answer_failed(struct stage *s)
{
    end_answer(s, last_query(s)->ticket, false);
}

static struct report status_report(struct stage *s, uint64_t id, enum order_status status,
                                   const char *cum, const char *avg)
{
    struct report report = report_on(s, id, REPORT_STATUS);
    text_copy(report.client_order_id, sizeof(report.client_order_id),
              s->query_ids[(s->query_count - 1) % QUERIES_KEPT]);
    report.ticket = last_query(s)->ticket;
    report.status = status;
    report.cum_qty = D(cum);
    report.avg_price = avg ? D(avg) : DECIMAL_NONE;
    return report;
}

static void answer_status(struct stage *s, uint64_t id, enum order_status status, const char *cum,
                          const char *avg)
{
    struct report report = status_report(s, id, status, cum, avg);
    uint64_t ticket = report.ticket;
    assert_done(s, tell_code(s, &report));
    end_answer(s, ticket, true);
}

static void pass(struct stage *s, int64_t ns)
{
    clock_to(s, s->now_ns + ns);
}

static const char *last_alert(const struct stage *s)
{
    const struct record *record = last_record(s, RECORD_ALERT);
    return record ? record->name : "none";
}

static uint64_t doubtful(struct stage *s)
{
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_DOUBT);
    return id;
}

/* ---- asking ---- */

static void doubt_is_asked_for_at_once(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    assert_int_equal(s->query_count, 1);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    assert_int_equal(last_query(s)->instrument, BTC);
    assert_string_equal(s->query_ids[0], order_at(s, id)->client_order_id);
    assert_string_equal(status_of(s, id), "unknown");
    assert_int_equal(engine_orders_in_flight(s->engine), 1);
}

/* 1, 2, 4, 8, 16, 32, 60, 60 s after each failed answer: the sums are the instants. */
static void the_pause_doubles_up_to_a_minute(void **state)
{
    struct stage *s = *state;
    doubtful(s);
    static const int pauses[] = { 1, 2, 4, 8, 16, 32, 60, 60, 60 };
    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
        size_t asked = s->query_count;
        answer_failed(s);
        pass(s, SECONDS(pauses[i]) - 1);
        assert_int_equal(s->query_count, asked);
        pass(s, 1);
        assert_int_equal(s->query_count, asked + 1);
    }
    assert_string_equal(last_alert(s), "order_unknown"); /* a person was told on the way */
}

static void a_question_without_an_answer_is_asked_again(void **state)
{
    struct stage *s = *state;
    doubtful(s);
    pass(s, SECONDS(30));
    assert_int_equal(s->query_count, 2);
    assert_true(s->queries[1].ticket != s->queries[0].ticket);
}

static void a_port_that_takes_no_question_is_a_failed_answer(void **state)
{
    struct stage *s = *state;
    s->refuse_queries = true;
    uint64_t id = doubtful(s);
    assert_int_equal(s->query_count, 0);
    assert_string_equal(status_of(s, id), "unknown");
    s->refuse_queries = false;
    pass(s, SECONDS(1));
    assert_int_equal(s->query_count, 1);
}

static void errors_never_count_as_not_found(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    for (int i = 0; i < 20; i++) {
        answer_failed(s);
        pass(s, SECONDS(60));
    }
    assert_string_equal(status_of(s, id), "unknown");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
}

/* ---- what ends it ---- */

static void it_is_found_working(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_status(s, id, ORDER_NEW, "0", NULL);
    assert_string_equal(status_of(s, id), "new");
    assert_int_equal(engine_orders_in_flight(s->engine), 0);
    pass(s, SECONDS(600));
    assert_int_equal(s->query_count, 1); /* nobody asks any more */
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
}

static void it_is_found_filled_and_its_trades_are_asked_for(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_status(s, id, ORDER_FILLED, "1", "89.5");
    assert_string_equal(status_of(s, id), "filled");
    assert_decimal(held(s, BTC), "1");
    assert_int_equal(last_query(s)->kind, QUERY_FILLS);
    fill(s, id, "1", "89.4"); /* the real trade: the sum told a rounded average */
    assert_decimal(held(s, BTC), "1");
    assert_decimal(order_at(s, id)->notional, "89.4");
    assert_true(decimal_is_zero(order_at(s, id)->inferred_qty));
}

static void it_is_found_rejected(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_status(s, id, ORDER_REJECTED, "0", NULL);
    assert_string_equal(status_of(s, id), "rejected");
}

static void an_ack_that_comes_late_ends_it_too(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    tell(s, id, REPORT_ACK);
    assert_string_equal(status_of(s, id), "new");
    pass(s, SECONDS(600));
    assert_int_equal(s->query_count, 1);
}

static void a_filled_order_that_is_restated_is_asked_for_once(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = market_order(s, SIDE_BUY, "1");
    fill(s, id, "1", "100");
    tell_terms(s, id, REPORT_RESTATED, D("3"));
    assert_int_equal(s->query_count, 1);
    assert_int_equal(last_query(s)->kind, QUERY_ORDER);
    pass(s, SECONDS(600));
    assert_int_equal(s->query_count, 1);
}

/* The venue's clock may be behind ours: the trade may be older than its order. */
static void the_trades_of_a_sum_are_asked_for_by_the_order_alone(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_status(s, id, ORDER_FILLED, "1", "90");
    assert_int_equal(last_query(s)->kind, QUERY_FILLS);
    assert_true(last_query(s)->from_ns == 0);
    assert_string_equal(s->query_ids[(s->query_count - 1) % QUERIES_KEPT],
                        order_at(s, id)->client_order_id);
}

/* ---- it never arrived ---- */

static void one_not_found_proves_nothing(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    pass(s, SECONDS(20)); /* late enough, but the first */
    answer_not_found(s, id);
    assert_string_equal(status_of(s, id), "unknown");
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
}

/* Sent at 0. Not found at 0, 1, 3 and 7 s: all before the grace of 10 s is over; at 15 s it is. */
static void not_founds_before_the_grace_prove_nothing(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    static const int pauses[] = { 1, 2, 4, 8 };
    for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
        answer_not_found(s, id);
        assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
        pass(s, SECONDS(pauses[i]));
    }
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_string_equal(last_sent(s, SENT_SUBMIT)->order.client_order_id,
                        order_at(s, id)->client_order_id); /* the same name: the same order */
    assert_string_equal(status_of(s, id), "pending_new");
}

/* The question of 1 s stays unanswered and is asked again at 31 s: what answers that one counts. */
static void past_the_grace(struct stage *s)
{
    pass(s, SECONDS(32));
}

/* Sent at 0, timed out at 5 s: the sending ended then. Not found at 12 s is 7 s after, too early.
 */
static void the_grace_begins_when_the_sending_ended(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    s->abilities.answer_within_ns = SECONDS(60);
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    pass(s, SECONDS(5));
    tell(s, id, REPORT_DOUBT);
    pass(s, SECONDS(6));
    answer_not_found(s, id);
    pass(s, SECONDS(1));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "unknown");
}

static uint64_t never_arrived(struct stage *s, struct order_request request)
{
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, request);
    tell(s, id, REPORT_DOUBT);
    answer_not_found(s, id);
    past_the_grace(s);
    answer_not_found(s, id);
    return id;
}

static void it_is_sent_again_once(void **state)
{
    struct stage *s = *state;
    uint64_t id = never_arrived(s, limit_of(SIDE_BUY, "1", "90"));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    tell(s, id, REPORT_DOUBT);
    answer_not_found(s, id);
    past_the_grace(s);
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_string_equal(status_of(s, id), "rejected");
    assert_string_equal(last_alert(s), "order_lost");
    assert_int_equal(engine_counts(s->engine)->lost, 1);
}

static void a_copy_that_is_refused_as_a_duplicate_says_the_first_is_there(void **state)
{
    struct stage *s = *state;
    uint64_t id = never_arrived(s, limit_of(SIDE_BUY, "1", "90"));
    tell_why(s, id, REPORT_REJECTED, "Duplicate order sent.");
    assert_string_equal(status_of(s, id), "unknown");
    assert_string_equal(last_alert(s), "duplicate_client_id");
    answer_status(s, id, ORDER_NEW, "0", NULL);
    assert_string_equal(status_of(s, id), "new");
    uint64_t once = submit(s, A, limit_of(SIDE_BUY, "1", "90")); /* sent once: it is refused */
    tell_why(s, once, REPORT_REJECTED, "Duplicate order sent.");
    assert_string_equal(status_of(s, once), "rejected");
}

static void a_not_found_then_found_is_found(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_not_found(s, id);
    pass(s, SECONDS(1));
    answer_status(s, id, ORDER_NEW, "0", NULL);
    assert_string_equal(status_of(s, id), "new");
    pass(s, SECONDS(600));
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
}

static void an_old_order_that_adds_risk_is_not_sent_again(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    for (int i = 0; i < 6; i++) {
        answer_failed(s);
        pass(s, SECONDS(60));
    }
    answer_not_found(s, id);
    pass(s, SECONDS(60));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "rejected");
    assert_string_equal(last_alert(s), "order_lost");
}

static void what_never_arrived_is_not_sent_while_all_stops(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_not_found(s, id);
    past_the_grace(s);
    assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_LEAVE, "end", &s->err));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "rejected");
}

static void an_old_order_that_reduces_is_sent_again(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    fill(s, market_order(s, SIDE_BUY, "1"), "1", "100");
    size_t sent = count_sent(s, SENT_SUBMIT);
    struct order_request request = request_of(SIDE_SELL, "1");
    request.reduce_only = true;
    uint64_t id = submit(s, A, request);
    tell(s, id, REPORT_DOUBT);
    for (int i = 0; i < 6; i++) {
        answer_failed(s);
        pass(s, SECONDS(60));
    }
    answer_not_found(s, id);
    pass(s, SECONDS(60));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), sent + 2);
}

static void what_the_gate_refuses_now_is_not_sent_again(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    answer_not_found(s, id);
    past_the_grace(s);
    struct risk_limits tight;
    risk_limits_init(&tight);
    tight.value[LIMIT_ORDER_SIZE] = D("10"); /* it is worth 90 */
    engine_set_limits(s->engine, A, &tight);
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "rejected");
}

static void what_was_canceled_meanwhile_is_not_sent_again(void **state)
{
    struct stage *s = *state;
    uint64_t id = doubtful(s);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    answer_not_found(s, id);
    past_the_grace(s);
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "rejected");
}

/* It was acknowledged, so it did arrive: sending it again could make a second one. */
static void an_order_that_vanished_is_not_sent_again(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    tell(s, id, REPORT_NOT_FOUND);
    assert_string_equal(status_of(s, id), "unknown");
    answer_not_found(s, id);
    past_the_grace(s);
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
    assert_string_equal(status_of(s, id), "canceled");
    assert_string_equal(last_alert(s), "order_lost");
}

/* It was there a moment ago: not-founds count once they have come for as long as the grace. */
static void an_order_that_was_seen_must_be_missing_for_long(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    pass(s, SECONDS(60));
    tell(s, id, REPORT_NOT_FOUND);
    answer_not_found(s, id);
    pass(s, SECONDS(1));
    answer_not_found(s, id);
    assert_string_equal(status_of(s, id), "unknown");
    past_the_grace(s);
    answer_not_found(s, id);
    assert_string_equal(status_of(s, id), "canceled");
}

/* ---- cancels and replaces ---- */

static uint64_t resting(struct stage *s)
{
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    return id;
}

static void a_cancel_in_doubt_is_sent_again_until_it_worked(void **state)
{
    struct stage *s = *state;
    uint64_t id = resting(s);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    tell(s, id, REPORT_DOUBT);
    answer_status(s, id, ORDER_NEW, "0", NULL);
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
    assert_string_equal(status_of(s, id), "unknown");
    pass(s, SECONDS(1));
    answer_status(s, id, ORDER_CANCELED, "0", NULL);
    assert_string_equal(status_of(s, id), "canceled");
    pass(s, SECONDS(600));
    assert_int_equal(count_sent(s, SENT_CANCEL), 2);
}

static uint64_t replaced_in_doubt(struct stage *s)
{
    uint64_t id = resting(s);
    assert_true(engine_amend(s->engine, A, id, D("2"), D("91"), &s->refusal));
    settle(s);
    tell(s, id, REPORT_DOUBT);
    return id;
}

static void a_replace_in_doubt_shows_in_the_terms(void **state)
{
    struct stage *s = *state;
    uint64_t id = replaced_in_doubt(s);
    struct report report = status_report(s, id, ORDER_NEW, "0", NULL);
    report.qty = D("2");
    report.price = D("91");
    assert_done(s, tell_code(s, &report));
    assert_string_equal(status_of(s, id), "new");
    assert_decimal(order_at(s, id)->qty, "2");
    assert_decimal(order_at(s, id)->price, "91");
}

static void a_replace_that_never_arrived_is_forgotten_after_the_grace(void **state)
{
    struct stage *s = *state;
    uint64_t id = replaced_in_doubt(s);
    for (int i = 0; i < 4; i++) { /* at 0, 1, 3 and 7 s: it may still arrive */
        answer_status(s, id, ORDER_NEW, "0", NULL);
        assert_string_equal(status_of(s, id), "unknown");
        pass(s, SECONDS(1 << i));
    }
    answer_status(s, id, ORDER_NEW, "0", NULL); /* at 15 s */
    pass(s, SECONDS(16));
    answer_status(s, id, ORDER_NEW, "0", NULL); /* and once more */
    assert_string_equal(status_of(s, id), "new");
    assert_decimal(order_at(s, id)->qty, "1");
    assert_decimal(order_at(s, id)->price, "90");
}

static void a_renamed_replace_is_looked_for_under_both_names(void **state)
{
    struct stage *s = *state;
    s->abilities.amend = AMEND_NEW_ID;
    uint64_t id = replaced_in_doubt(s);
    const struct order *order = order_at(s, id);
    assert_string_equal(s->query_ids[0], order->pending_client_order_id);
    answer_not_found(s, id);
    assert_string_equal(s->query_ids[1], order->client_order_id);
    answer_status(s, id, ORDER_CANCELED, "0", NULL); /* half of it: the old one ended */
    assert_string_equal(status_of(s, id), "unknown");
    pass(s, SECONDS(2));
    assert_string_equal(s->query_ids[2], order->pending_client_order_id);
    answer_status(s, id, ORDER_NEW, "0", NULL);
    assert_string_equal(status_of(s, id), "new");
    assert_string_equal(order->current_client_order_id, s->query_ids[2]);
    assert_decimal(order->qty, "2");
}

static void a_replace_that_was_half_done_ends_the_order(void **state)
{
    struct stage *s = *state;
    s->abilities.amend = AMEND_NEW_ID;
    uint64_t id = replaced_in_doubt(s);
    for (int i = 0; i < 8 && strcmp(status_of(s, id), "unknown") == 0; i++) {
        bool is_new = s->query_count % 2 == 1;
        if (is_new)
            answer_not_found(s, id);
        else
            answer_status(s, id, ORDER_CANCELED, "0", NULL);
        pass(s, SECONDS(16));
    }
    assert_string_equal(status_of(s, id), "canceled");
    assert_string_equal(last_alert(s), "replace_half_done");
}

/* The replace never arrived; then our own cancel of the old one is confirmed. The questions go on
 * until the new name was not found twice, the second time after the grace: bounded, not for ever.
 */
static void a_cancel_after_a_lost_replace_ends_it(void **state)
{
    struct stage *s = *state;
    s->abilities.amend = AMEND_NEW_ID;
    uint64_t id = replaced_in_doubt(s);
    for (int i = 0; i < 6; i++) { /* the pause has grown by then */
        answer_failed(s);
        pass(s, SECONDS(60));
    }
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    tell(s, id, REPORT_CANCELED);
    assert_string_equal(status_of(s, id), "unknown");
    int64_t began_ns = s->now_ns;
    const char *new_name = order_at(s, id)->pending_client_order_id;
    answer_failed(s);
    while (strcmp(status_of(s, id), "unknown") == 0) {
        assert_true(s->now_ns - began_ns < SECONDS(120));
        size_t asked = s->query_count;
        if (strcmp(s->query_ids[(asked - 1) % QUERIES_KEPT], new_name) == 0)
            answer_not_found(s, id);
        else
            answer_status(s, id, ORDER_CANCELED, "0", NULL);
        while (s->query_count == asked && strcmp(status_of(s, id), "unknown") == 0)
            pass(s, SECONDS(1));
    }
    assert_string_equal(status_of(s, id), "canceled");
}

static void both_names_unknown_ends_it_as_well(void **state)
{
    struct stage *s = *state;
    s->abilities.amend = AMEND_NEW_ID;
    uint64_t id = replaced_in_doubt(s);
    for (int i = 0; i < 8 && strcmp(status_of(s, id), "unknown") == 0; i++) {
        answer_not_found(s, id);
        pass(s, SECONDS(32));
    }
    assert_string_equal(status_of(s, id), "canceled");
}

/* ---- silence, lines, restarts ---- */

static void silence_beyond_what_the_venue_may_take_is_doubt(void **state)
{
    struct stage *s = *state;
    s->abilities.answer_within_ns = SECONDS(5);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    pass(s, SECONDS(5) - 1);
    assert_string_equal(status_of(s, id), "pending_new");
    pass(s, 1);
    assert_string_equal(status_of(s, id), "unknown");
    assert_int_equal(s->query_count, 1);
    tell(s, id, REPORT_ACK);
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    pass(s, SECONDS(5));
    assert_string_equal(status_of(s, id), "unknown");
    assert_int_equal(s->query_count, 2);
}

static void an_answer_in_time_ends_the_watch(void **state)
{
    struct stage *s = *state;
    s->abilities.answer_within_ns = SECONDS(5);
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1", "90"));
    tell(s, id, REPORT_ACK);
    pass(s, SECONDS(60));
    assert_string_equal(status_of(s, id), "new");
    assert_int_equal(s->query_count, 0);
}

static void connection(struct stage *s, bool up)
{
    struct event event = { .kind = EVENT_CONNECTION,
                           .time_ns = s->now_ns,
                           .connection = { .up = up } };
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

static void a_lost_line_puts_what_is_under_way_in_doubt(void **state)
{
    struct stage *s = *state;
    uint64_t rests = resting(s);
    uint64_t under_way = submit(s, A, limit_of(SIDE_BUY, "1", "91"));
    connection(s, false);
    assert_string_equal(status_of(s, rests), "new");
    assert_string_equal(status_of(s, under_way), "unknown");
    assert_string_equal(last_alert(s), "disconnected");
    pass(s, SECONDS(600));
    assert_int_equal(s->query_count, 0); /* whom should we ask? */
    assert_int_equal(submit(s, A, limit_of(SIDE_BUY, "1", "90")), 0);
    assert_string_equal(s->refusal.code, "disconnected");
    connection(s, true);
    assert_int_equal(s->query_count, 1);
    answer_status(s, under_way, ORDER_NEW, "0", NULL);
    assert_string_equal(status_of(s, under_way), "new");
}

static struct order under_way(void)
{
    struct order order;
    order_init(&order);
    order.order_id = 7;
    text_copy(order.client_order_id, sizeof(order.client_order_id), "c7");
    text_copy(order.current_client_order_id, sizeof(order.current_client_order_id), "c7");
    order.instance_id = 1;
    order.instrument = BTC;
    order.side = SIDE_BUY;
    order.type = ORDER_LIMIT;
    order.qty = D("1");
    order.price = D("90");
    order.created_ns = T0 - SECONDS(5);
    return order;
}

static void what_a_restart_finds_under_way_is_asked_for(void **state)
{
    struct stage *s = *state;
    const struct order order = under_way();
    s->next_id = 7;
    assert_int_equal(engine_restore_order(s->engine, &order, &s->err), 0);
    assert_int_equal(engine_resume(s->engine, T0, T0, &s->err), 0);
    assert_string_equal(status_of(s, 7), "unknown");
    assert_int_equal(s->query_count, 0);
    connection(s, true);
    assert_int_equal(s->query_count, 1);
    assert_string_equal(s->query_ids[0], "c7");
}

/* Whether the last process still sent it is not known: its sending ended with that process, at the
 * latest now, however long it was in doubt before. */
static void after_a_restart_the_grace_begins_anew(void **state)
{
    struct stage *s = *state;
    trade(s, BTC, "100");
    struct order order = under_way();
    order.doubt = true;
    order.doubt_since_ns = order.created_ns;
    s->next_id = 7;
    assert_int_equal(engine_restore_order(s->engine, &order, &s->err), 0);
    assert_int_equal(engine_resume(s->engine, s->now_ns, s->now_ns, &s->err), 0);
    connection(s, true);
    pass(s, SECONDS(6)); /* 11 s after the doubt began */
    answer_not_found(s, 7);
    pass(s, SECONDS(1));
    answer_not_found(s, 7);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 0);
    assert_string_equal(status_of(s, 7), "unknown");
    past_the_grace(s);
    answer_not_found(s, 7);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 1);
}

/* ---- sent again, with an order of ours in its way ---- */

static struct stage *stage_preventing(void)
{
    struct stage *s =
        stage_new_planned(&(struct stage_plan){ .risk = { .self_trade_prevention = true } });
    stage_add(s, instance_defaults());
    s->quiet = true;
    return s;
}

/* It never arrived, and is about to be sent again: the market fell from 100 to 98, and a buy at 99
 * rests where it would sell. */
static uint64_t sent_into_our_own(struct stage *s, struct order_request request, bool in_its_way,
                                  uint64_t *own)
{
    trade(s, BTC, "100");
    uint64_t id = submit(s, A, request);
    assert_true(id != 0);
    tell(s, id, REPORT_DOUBT);
    answer_not_found(s, id);
    *own = in_its_way ? submit(s, A, limit_of(SIDE_BUY, "1", "99")) : 0;
    if (in_its_way)
        tell(s, *own, REPORT_ACK);
    trade(s, BTC, "98");
    pass(s, SECONDS(32)); /* the grace is over */
    return id;
}

static void an_entry_is_not_sent_again_into_our_own_order(void **state)
{
    (void)state;
    for (int in_its_way = 0; in_its_way < 2; in_its_way++) {
        struct stage *s = stage_preventing();
        uint64_t own;
        uint64_t id = sent_into_our_own(s, request_of(SIDE_SELL, "1"), in_its_way, &own);
        answer_not_found(s, id);
        assert_string_equal(status_of(s, id), in_its_way ? "rejected" : "pending_new");
        assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, in_its_way ? own : id);
        assert_int_equal(count_sent(s, SENT_CANCEL), 0);
        stage_free(s);
    }
}

/* A way out is not held back; what it would meet is canceled before it leaves. */
static void a_way_out_that_is_sent_again_clears_its_way(void **state)
{
    (void)state;
    for (int flagged = 0; flagged < 2; flagged++) {
        struct stage *s = stage_preventing();
        uint64_t own;
        trade(s, BTC, "100");
        fill(s, market_order(s, SIDE_BUY, "1"), "1", "100");
        struct order_request out = request_of(SIDE_SELL, "1");
        out.reduce_only = flagged;
        uint64_t id = sent_into_our_own(s, out, true, &own);
        answer_not_found(s, id);
        assert_string_equal(status_of(s, id), "pending_new");
        assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, id);
        assert_string_equal(status_of(s, own), "pending_cancel");
        assert_int_equal(s->sent[s->sent_count - 2].kind, SENT_CANCEL); /* before it */
        stage_free(s);
    }
}

/* A stop that fired while no line could take it waits here: the same holds once it can leave. */
static void a_way_out_that_waited_for_the_line_clears_its_way(void **state)
{
    (void)state;
    struct stage *s = stage_preventing();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    trade(s, BTC, "100");
    struct order_request entry = request_of(SIDE_BUY, "1");
    entry.stop = D("95");
    fill(s, submit(s, A, entry), "1", "100");
    s->is_line_cut = true;
    trade(s, BTC, "95");
    s->is_line_cut = false;
    uint64_t own = submit(s, A, limit_of(SIDE_BUY, "1", "94"));
    tell(s, own, REPORT_ACK);
    trade(s, BTC, "93");
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, own);
    pass(s, SECONDS(2));
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.side, SIDE_SELL);
    assert_string_equal(status_of(s, own), "pending_cancel");
    stage_free(s);
}

/* What is sent again while the breaker is half open is its probe: nothing else leaves beside it. */
static void an_entry_that_is_sent_again_is_a_probe(void **state)
{
    (void)state;
    struct stage *s = stage_new_planned(&(struct stage_plan){
        .risk = {
            .breaker = { .failures = 1, .open_for_ns = SECONDS(30), .half_open_probes = 1 } } });
    stage_add(s, instance_defaults());
    const char *venue;
    uint64_t id = doubtful(s); /* opens it */
    assert_int_equal(engine_breaker(s->engine, 0, &venue)->state, BREAKER_OPEN);
    answer_not_found(s, id);
    pass(s, SECONDS(32));
    answer_not_found(s, id);
    assert_int_equal(count_sent(s, SENT_SUBMIT), 2);
    assert_int_equal(engine_breaker(s->engine, 0, &venue)->state, BREAKER_HALF_OPEN);
    assert_int_equal(submit(s, A, limit_of(SIDE_BUY, "1", "90")), 0);
    assert_string_equal(s->refusal.code, "breaker_open");
    assert_non_null(strstr(s->refusal.reason, "a probe is under way"));
    tell(s, id, REPORT_ACK);
    assert_int_equal(engine_breaker(s->engine, 0, &venue)->state, BREAKER_CLOSED);
    stage_free(s);
}

/* Another order that has filled is no reason against it, unless it is of the same group. */
static void a_linked_order_is_sent_again_beside_others(void **state)
{
    struct stage *s = *state;
    uint64_t ids[2];
    s->quiet = true;
    trade(s, BTC, "100");
    fill(s, market_order(s, SIDE_BUY, "1"), "1", "100");
    const struct order_request pair[2] = { limit_of(SIDE_BUY, "1", "90"),
                                           limit_of(SIDE_BUY, "1", "80") };
    assert_true(engine_oco(s->engine, A, pair, ids, &s->refusal));
    settle(s);
    tell(s, ids[1], REPORT_ACK);
    tell(s, ids[0], REPORT_DOUBT);
    answer_not_found(s, ids[0]);
    pass(s, SECONDS(32));
    answer_not_found(s, ids[0]);
    assert_int_equal(last_sent(s, SENT_SUBMIT)->order.order_id, ids[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(doubt_is_asked_for_at_once),
        TEST(the_pause_doubles_up_to_a_minute),
        TEST(a_question_without_an_answer_is_asked_again),
        TEST(a_port_that_takes_no_question_is_a_failed_answer),
        TEST(errors_never_count_as_not_found),
        TEST(it_is_found_working),
        TEST(it_is_found_filled_and_its_trades_are_asked_for),
        TEST(it_is_found_rejected),
        TEST(an_ack_that_comes_late_ends_it_too),
        TEST(a_filled_order_that_is_restated_is_asked_for_once),
        TEST(the_trades_of_a_sum_are_asked_for_by_the_order_alone),
        TEST(one_not_found_proves_nothing),
        TEST(not_founds_before_the_grace_prove_nothing),
        TEST(the_grace_begins_when_the_sending_ended),
        TEST(it_is_sent_again_once),
        TEST(a_copy_that_is_refused_as_a_duplicate_says_the_first_is_there),
        TEST(a_not_found_then_found_is_found),
        TEST(an_old_order_that_adds_risk_is_not_sent_again),
        TEST(what_never_arrived_is_not_sent_while_all_stops),
        TEST(an_old_order_that_reduces_is_sent_again),
        TEST(what_the_gate_refuses_now_is_not_sent_again),
        TEST(what_was_canceled_meanwhile_is_not_sent_again),
        TEST(an_order_that_vanished_is_not_sent_again),
        TEST(an_order_that_was_seen_must_be_missing_for_long),
        TEST(a_cancel_in_doubt_is_sent_again_until_it_worked),
        TEST(a_replace_in_doubt_shows_in_the_terms),
        TEST(a_replace_that_never_arrived_is_forgotten_after_the_grace),
        TEST(a_renamed_replace_is_looked_for_under_both_names),
        TEST(a_replace_that_was_half_done_ends_the_order),
        TEST(a_cancel_after_a_lost_replace_ends_it),
        TEST(both_names_unknown_ends_it_as_well),
        TEST(silence_beyond_what_the_venue_may_take_is_doubt),
        TEST(an_answer_in_time_ends_the_watch),
        TEST(a_lost_line_puts_what_is_under_way_in_doubt),
        TEST(what_a_restart_finds_under_way_is_asked_for),
        TEST(after_a_restart_the_grace_begins_anew),
        cmocka_unit_test(an_entry_is_not_sent_again_into_our_own_order),
        cmocka_unit_test(a_way_out_that_is_sent_again_clears_its_way),
        cmocka_unit_test(a_way_out_that_waited_for_the_line_clears_its_way),
        cmocka_unit_test(an_entry_that_is_sent_again_is_a_probe),
        TEST(a_linked_order_is_sent_again_beside_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
