/* operator_test.c - what a person asks of a running engine: halt, lift, flatten; and why orders did
 * not leave as asked. Breakers by hand: guards_test.c. */
#include "tests/unit/risk_fixture.h"

static struct risk_limits no_limits;
static const struct risk_options plain = { .no_stop_pct = { 5, 2 } };

/* A is long 5 BTC and short 5 ETH, B long 2 BTC; A has an entry and an exit at work. */
struct desk {
    struct stage *s;
    uint64_t entry, exit, entry_of_b;
};

static struct desk desk_of(void)
{
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    add_of_all(s, NULL);
    take(s, A, BTC, SIDE_BUY, "5", "100");
    take(s, A, ETH, SIDE_SELL, "5", "100");
    take(s, B, BTC, SIDE_BUY, "2", "100");
    return (struct desk){ .s = s,
                          .entry = submit(s, A, limit_of(SIDE_BUY, "1", "90")),
                          .exit = submit(s, A, reduce_only(limit_of(SIDE_SELL, "5", "120"))),
                          .entry_of_b = submit(s, B, in(ETH, limit_of(SIDE_BUY, "1", "90"))) };
}

static bool is_canceled(struct stage *s, uint64_t id)
{
    return strcmp(status_of(s, id), "pending_cancel") == 0;
}

/* The market orders that leave from `first` on, as "buy 5 ETH/USDT, ...". */
static void assert_closes(struct stage *s, size_t first, const char *expected)
{
    struct text all;
    char qty[DECIMAL_TEXT_MAX];
    text_init(&all, 1 << 12);
    for (size_t i = first; i < s->sent_count; i++) {
        const struct sent *sent = &s->sent[i];
        if (sent->kind != SENT_SUBMIT)
            continue;
        assert_true(sent->order.reduce_only);
        assert_string_equal(order_type_name(sent->order.type), "market");
        text_printf(&all, "%s %s %.3s;", order_side_name(sent->order.side),
                    decimal_format(sent->order.qty, qty),
                    s->instruments.list[sent->order.instrument].symbol);
    }
    assert_string_equal(all.data ? all.data : "", expected);
    text_release(&all);
    sums_agree(s);
}

static void a_halt_cancels_what_adds_risk(void **state)
{
    (void)state;
    struct desk d = desk_of();
    struct stage *s = d.s;
    size_t sent = s->sent_count;
    assert_done(s, engine_halt(s->engine, s->now_ns, "operator", "lunch", false, false, &s->err));
    const char *why;
    assert_true(engine_is_halted(s->engine, &why));
    assert_string_equal(why, "lunch");
    assert_string_equal(engine_halt_code(s->engine), "operator");
    assert_true(is_canceled(s, d.entry));
    assert_true(is_canceled(s, d.entry_of_b));
    assert_false(is_canceled(s, d.exit));
    assert_closes(s, sent, "");
    assert_int_equal(count_records(s, RECORD_HALT), 1);
    assert_string_equal(last_record(s, RECORD_ALERT)->name, "operator");
    assert_refused(s, submit(s, B, limit_of(SIDE_BUY, "1", "90")), "halted", "lunch");
    assert_passes(s, submit(s, A, request_of(SIDE_SELL, "5")));
    stage_free(s);
}

static void a_halt_of_everything_cancels_exits_too(void **state)
{
    (void)state;
    struct desk d = desk_of();
    struct stage *s = d.s;
    size_t sent = s->sent_count;
    assert_done(s, engine_halt(s->engine, s->now_ns, "operator", "fire", true, false, &s->err));
    assert_true(is_canceled(s, d.entry));
    assert_true(is_canceled(s, d.exit));
    assert_closes(s, sent, "");
    /* After it is lifted the strategies may work again. */
    tell(s, d.exit, REPORT_CANCELED);
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "me", &s->err));
    uint64_t exit = submit(s, A, reduce_only(limit_of(SIDE_SELL, "5", "120")));
    tell(s, exit, REPORT_ACK);
    assert_true(engine_cancel(s->engine, A, exit, &s->refusal));
    settle(s);
    tell_why(s, exit, REPORT_CANCEL_REJECT, "busy");
    assert_string_equal(status_of(s, exit), "new"); /* nobody insists any more */
    stage_free(s);
}

/* The session, a narrower scope, the first instrument and the last: all of them, and each is told.
 */
static void a_lift_ends_every_halt(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_SIZE, "100000");
    struct stage *s = stage_limited(SCOPE_SYMBOL, &limits, plain);
    struct narrow_halt halt;
    trade(s, BTC, "100");
    engine_restore_halt(s->engine, "symbol BTC/USDT", "daily_loss_limit", "lost");
    engine_restore_halt(s->engine, s->instruments.list[BTC].symbol, "overfill", "it was");
    engine_restore_halt(s->engine, s->instruments.list[OTHER].symbol, "overfill", "it was");
    assert_done(s, engine_halt(s->engine, s->now_ns, "operator", "lunch", false, false, &s->err));
    assert_true(engine_narrow_halt(s->engine, 2, &halt));
    size_t told = count_records(s, RECORD_HALT);
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "me", &s->err));
    assert_false(engine_is_halted(s->engine, NULL));
    assert_false(engine_narrow_halt(s->engine, 0, &halt));
    assert_int_equal(count_records(s, RECORD_HALT), told + 4);
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "90")));
    /* Once more changes nothing. */
    assert_done(s, engine_lift_halts(s->engine, s->now_ns, "me", &s->err));
    assert_int_equal(count_records(s, RECORD_HALT), told + 4);
    stage_free(s);
}

/* What is held goes at market; the exits leave the venue first where they stand in the way. */
static void a_halt_may_flatten(void **state)
{
    (void)state;
    for (int everything = 0; everything < 2; everything++) {
        struct desk d = desk_of();
        struct stage *s = d.s;
        size_t sent = s->sent_count;
        assert_done(
            s, engine_halt(s->engine, s->now_ns, "operator", "fire", everything, true, &s->err));
        assert_true(is_canceled(s, d.entry));
        assert_true(is_canceled(s, d.exit));
        assert_closes(s, sent, "sell 5 BTC;buy 5 ETH;sell 2 BTC;");
        stage_free(s);
    }
}

/* Of one instrument or all, of one instance or all. The strategies go on. */
static void flatten_closes_what_is_meant(void **state)
{
    (void)state;
    static const struct {
        int who;
        uint32_t instrument;
        const char *closes;
        bool entry, entry_of_b;
    } cases[] = {
        { -1, INSTRUMENT_NONE, "sell 5 BTC;buy 5 ETH;sell 2 BTC;", true, true },
        { A, INSTRUMENT_NONE, "sell 5 BTC;buy 5 ETH;", true, false },
        { B, INSTRUMENT_NONE, "sell 2 BTC;", false, true },
        { -1, BTC, "sell 5 BTC;sell 2 BTC;", true, false },
        { -1, ETH, "buy 5 ETH;", false, true },
        { A, BTC, "sell 5 BTC;", true, false },
        { B, FUT, "", false, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct desk d = desk_of();
        struct stage *s = d.s;
        size_t sent = s->sent_count;
        assert_done(
            s, engine_flatten(s->engine, s->now_ns, cases[i].who, cases[i].instrument, &s->err));
        assert_closes(s, sent, cases[i].closes);
        assert_int_equal(is_canceled(s, d.entry), cases[i].entry);
        assert_int_equal(is_canceled(s, d.exit), cases[i].entry);
        assert_int_equal(is_canceled(s, d.entry_of_b), cases[i].entry_of_b);
        assert_false(engine_is_halted(s->engine, NULL));
        assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "90")));
        stage_free(s);
    }
}

/* Orders that rest here end at once, while the list is walked. */
static void flatten_ends_what_rests_here(void **state)
{
    (void)state;
    for (int halt = 0; halt < 3; halt++) {
        struct desk d = desk_of();
        struct stage *s = d.s;
        uint64_t ids[6];
        s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
            struct order_request stop = request_of(SIDE_BUY, "1");
            stop.type = ORDER_STOP;
            stop.trigger_price = D("110");
            ids[i] = submit(s, A, stop);
            assert_passes(s, ids[i]);
        }
        if (halt == 0)
            assert_done(s, engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err));
        else
            assert_done(
                s, engine_halt(s->engine, s->now_ns, "operator", "x", halt == 2, false, &s->err));
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
            assert_string_equal(status_of(s, ids[i]), "canceled");
        assert_true(is_canceled(s, d.entry));
        sums_agree(s);
        stage_free(s);
    }
}

/* Its exits end when it is flat, not before: the market order may fail. */
static void flatten_leaves_protection_until_it_is_flat(void **state)
{
    (void)state;
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    trade(s, BTC, "100");
    struct order_request request = request_of(SIDE_BUY, "5");
    request.stop = D("90");
    uint64_t id = submit(s, A, request);
    fill(s, id, "5", "100");
    uint64_t stop = s->next_id;
    assert_string_equal(order_role_name(order_at(s, stop)->role), "stop");
    assert_done(s, engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err));
    assert_false(is_canceled(s, stop));
    assert_string_equal(order_type_name(order_at(s, s->next_id)->type), "market");
    stage_free(s);
}

static void a_ledger_that_fails_is_told(void **state)
{
    (void)state;
    struct desk d = desk_of();
    struct stage *s = d.s;
    size_t sent = s->sent_count;
    s->commit_code = ERROR_IO;
    assert_int_equal(engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err), ERROR_IO);
    assert_int_equal(engine_halt(s->engine, s->now_ns, "operator", "x", true, true, &s->err),
                     ERROR_IO);
    assert_int_equal(engine_lift_halts(s->engine, s->now_ns, "me", &s->err), ERROR_IO);
    assert_int_equal(engine_set_breaker(s->engine, s->now_ns, NULL, true, "me", &s->err), ERROR_IO);
    assert_int_equal(s->sent_count, sent);
    stage_free(s);
}

static int64_t time_of_next_verdict(struct stage *s)
{
    struct order_request request = limit_of(SIDE_BUY, "1", "90");
    assert_int_equal(engine_submit(s->engine, A, &request, &s->refusal), 0);
    return newest_verdict(s).time_ns;
}

/* Before the first event a person's clock is the only one; later the market's is. */
static void a_person_may_come_first(void **state)
{
    (void)state;
    risk_limits_init(&no_limits);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
    assert_done(s, engine_halt(s->engine, T0 + SECONDS(5), "operator", "x", false, false, &s->err));
    assert_true(time_of_next_verdict(s) == T0 + SECONDS(5));
    assert_done(s, engine_lift_halts(s->engine, T0 + SECONDS(4), "me", &s->err));
    assert_true(time_of_next_verdict(s) == T0 + SECONDS(5));
    assert_done(s, engine_lift_halts(s->engine, T0 + SECONDS(6), "me", &s->err));
    assert_true(time_of_next_verdict(s) == T0 + SECONDS(6));
    to(s, T0 + SECONDS(7));
    trade(s, BTC, "100");
    assert_done(s, engine_halt(s->engine, T0 + SECONDS(9), "operator", "x", false, false, &s->err));
    assert_true(time_of_next_verdict(s) == T0 + SECONDS(7));
    stage_free(s);
}

/* ---- verdicts ---- */

static void the_newest_verdicts_are_kept(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_SIZE, "100");
    struct stage *s = stage_limited(SCOPE_SYMBOL, &limits, plain);
    struct told_verdict told;
    assert_false(engine_verdict(s->engine, 0, &told));
    trade(s, BTC, "100");
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "1", "100")));
    assert_false(engine_verdict(s->engine, 0, &told)); /* an approval is none */
    later(s, SECONDS(5));
    heartbeat(s);
    assert_passes(s, submit(s, A, limit_of(SIDE_SELL, "3", "100")));
    assert_true(engine_verdict(s->engine, 0, &told));
    assert_true(told.time_ns == T0 + SECONDS(5));
    assert_int_equal(told.instance, A);
    assert_int_equal(told.instrument, BTC);
    assert_string_equal(verdict_name(told.verdict), "reduce");
    assert_string_equal(order_side_name(told.side), "sell");
    assert_decimal(told.asked, "3");
    assert_decimal(told.allowed, "1");
    assert_string_equal(told.code, "max_order_size");
    assert_non_null(strstr(told.reason, "(symbol BTC/USDT)"));
    assert_false(engine_verdict(s->engine, 1, &told));

    for (int i = 0; i < 300; i++) {
        char qty[16];
        snprintf(qty, sizeof(qty), "%d", 2 + i);
        submit(s, A, limit_of(SIDE_BUY, qty, "100"));
    }
    assert_true(engine_verdict(s->engine, 0, &told));
    assert_decimal(told.asked, "301");
    assert_true(engine_verdict(s->engine, 255, &told));
    assert_decimal(told.asked, "46");
    assert_false(engine_verdict(s->engine, 256, &told));
    stage_free(s);
}

/* What fills after its cancel was asked for is closed too: an entry, and one that flipped. */
static void what_fills_late_is_closed_too(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++)
        for (int flips = 0; flips < 2; flips++) {
            risk_limits_init(&no_limits);
            struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
            s->abilities.oco = false;
            take(s, A, BTC, SIDE_BUY, "10", "100");
            uint64_t late =
                submit(s, A, flips ? request_of(SIDE_SELL, "15") : limit_of(SIDE_BUY, "5", "100"));
            assert_true(late != 0);
            if (how == 0)
                assert_done(s, engine_halt(s->engine, s->now_ns, "emergency_stop", "a person", true,
                                           true, &s->err));
            else if (how == 1)
                assert_done(s, engine_stop(s->engine, s->now_ns, POLICY_FLATTEN, "", &s->err));
            else
                assert_done(s, engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err));
            size_t sent = s->sent_count;
            if (!flips) {
                uint64_t close = last_sent(s, SENT_SUBMIT)->order.order_id;
                assert_true(close != late);
                fill(s, close, "10", "100");
            }
            fill(s, late, flips ? "15" : "5", "100");
            if (how < 2)
                assert_closes(s, sent, flips ? "buy 5 BTC;" : "sell 5 BTC;");
            else
                assert_closes(s, sent, ""); /* the strategies go on */
            stage_free(s);
        }
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_halt_cancels_what_adds_risk), TEST(a_halt_of_everything_cancels_exits_too),
        TEST(a_lift_ends_every_halt),        TEST(a_halt_may_flatten),
        TEST(what_fills_late_is_closed_too), TEST(flatten_closes_what_is_meant),
        TEST(flatten_ends_what_rests_here),  TEST(flatten_leaves_protection_until_it_is_flat),
        TEST(a_ledger_that_fails_is_told),   TEST(a_person_may_come_first),
        TEST(the_newest_verdicts_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
