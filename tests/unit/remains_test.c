/* remains_test.c - what a stopped process left in the ledger, told and lifted without a session. */
#include "tests/unit/ledger_fixture.h"

static int setup(void **state)
{
    struct fixture *f = memory_new(sizeof(*f));
    setup_ledger(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    teardown_ledger(*state);
    free(*state);
    return 0;
}

static void add_halt(void *self, const struct standing_halt *standing)
{
    text_printf(self, "%s %s '%s' %" PRId64 "\n", standing->halt.scope, standing->halt.code,
                standing->halt.reason, standing->since_ns - START_NS);
}

static void assert_standing(struct fixture *f, const char *wanted)
{
    struct text out;
    text_init(&out, 4096);
    assert_int_equal(ledger_each_standing_halt(f->ledger, add_halt, &out, &f->err), 0);
    assert_string_equal(out.length ? out.data : "", wanted);
    text_release(&out);
}

static int lift(struct fixture *f)
{
    int halts = ledger_lift_halts(f->ledger, "resume", WALL_NS, &f->err);
    if (halts < 0)
        fail_msg("%s", f->err.message);
    return halts;
}

/* The rows of several sources, each with the market time of its own: a market of 2024 must not go
 * on in the year of the wall. */
static void halts_are_lifted_once_each_by_a_record(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "{\"code\":\"a\",\"reason\":\"one\"}"));
    commit_one(f, 2, said_record(RECORD_HALT, "BTC/USDT", "{\"code\":\"b\",\"reason\":\"two\"}"));
    commit_one(f, 3, said_record(RECORD_HALT, "BTC/USDT", "{\"code\":\"c\",\"reason\":\"three\"}"));
    begin(f, "kraken");
    commit_one(f, 5, said_record(RECORD_HALT, "session", "{\"code\":\"d\",\"reason\":\"four\"}"));
    close_ledger(f);
    open_ledger(f);
    assert_standing(f, "session a 'one' 1\nBTC/USDT b 'two' 2\nBTC/USDT c 'three' 3\n"
                       "session d 'four' 5\n");
    assert_int_equal(lift(f), 4);
    assert_standing(f, "");
    assert_int_equal(lift(f), 0);
    assert_query(f,
                 "SELECT scope, code, lifted_ns - 1704067200000000000, lifted_by FROM halts"
                 " ORDER BY halt_id",
                 "session|a|3|resume\nBTC/USDT|b|3|resume\nBTC/USDT|c|3|resume\n"
                 "session|d|5|resume\n");
    assert_query(f,
                 "SELECT session_id, time_ns - 1704067200000000000, event,"
                 " json_extract(body, '$.name'), json_extract(body, '$.body') FROM trading_events"
                 " WHERE seq > 4 ORDER BY seq",
                 "1|3|3|session|{\"lifted_by\":\"resume\",\"wall_ns\":1700000000000000000}\n"
                 "1|3|3|BTC/USDT|{\"lifted_by\":\"resume\",\"wall_ns\":1700000000000000000}\n"
                 "2|5|5|session|{\"lifted_by\":\"resume\",\"wall_ns\":1700000000000000000}\n");

    /* And the session that goes on knows nothing of them. */
    resume(f, "sim", false);
    assert_true(f->session.market_ns == START_NS + 3);
    assert_standing(f, "");
}

/* A feed begins afresh: what halted one says nothing about the next. */
static void halts_of_a_feed_do_not_stand(void **state)
{
    struct fixture *f = *state;
    begin(f, "feed");
    commit_one(f, 1, said_record(RECORD_HALT, "session", "loss"));
    close_ledger(f);
    open_ledger(f);
    assert_standing(f, "");
    assert_int_equal(lift(f), 0);
}

static void add_remaining(void *self, const struct remaining *is)
{
    if (is->is_position)
        text_printf(self, "%u %s %s %s %s\n", is->instance_id, is->strategy, is->venue, is->symbol,
                    is->qty);
    else
        text_printf(self, "%u %s %s %s %s %s %s/%s at '%s' '%s' %s%s\n", is->instance_id,
                    is->strategy, is->venue, is->symbol, is->side, is->type, is->filled_qty,
                    is->qty, is->price, is->trigger_price, is->status,
                    is->reduce_only ? " reduce-only" : "");
}

static void what_is_open_is_told(void **state)
{
    struct fixture *f = *state;
    begin(f, "sim");
    struct order done = new_order(f), resting = new_order(f), stop = new_order(f);
    struct record filled = fill_record(&done, "e-1", "1.5", "42000.1");
    resting.type = ORDER_LIMIT;
    resting.price = D("41000");
    resting.known = ORDER_NEW;
    stop.side = SIDE_SELL;
    stop.type = ORDER_STOP;
    stop.trigger_price = D("40000");
    stop.reduce_only = true;
    commit_one(f, 1, order_record(&done));
    commit_one(f, 2, filled);
    commit_one(f, 3, order_record(&resting));
    commit_one(f, 4, order_record(&stop));
    struct record position = { .kind = RECORD_POSITION,
                               .instance_id = f->instance.instance_id,
                               .instrument = BTC,
                               .position = { .qty = D("1.5"),
                                             .cost = D("63000.15"),
                                             .realized_pnl = DECIMAL_ZERO,
                                             .fees = DECIMAL_ZERO,
                                             .funding = DECIMAL_ZERO } };
    struct record flat = position;
    flat.instrument = ETH;
    flat.position.qty = flat.position.cost = DECIMAL_ZERO;
    commit_one(f, 5, position);
    commit_one(f, 6, flat);
    commit_one(f, 7, order_record(&done));
    close_ledger(f);
    open_ledger(f);

    struct text out;
    text_init(&out, 4096);
    assert_int_equal(ledger_each_remaining(f->ledger, add_remaining, &out, &f->err), 0);
    assert_string_equal(out.data,
                        "1 momentum sim BTC/USDT buy limit 0/1.5 at '41000' '' new\n"
                        "1 momentum sim BTC/USDT sell stop 0/1.5 at '' '40000' pending_new "
                        "reduce-only\n"
                        "1 momentum sim BTC/USDT 1.5\n");
    text_release(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(halts_are_lifted_once_each_by_a_record),
        TEST(halts_of_a_feed_do_not_stand),
        TEST(what_is_open_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
