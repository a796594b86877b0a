/* cancel_test.c - what is done when trading failed too often: a strategy's orders are taken up from
 * the ledger by a session without strategies, and canceled at a small venue that outlived it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/app/session.h"

#define T0 (INT64_C(1704067200) * NS_PER_SECOND)
#define ORDERS_MAX 16
#define WORDS_MAX 256
#define TRADES 10
#define LATENCY NS_PER_MS

/* An entry that rests, and one that was filled and has its exits at the venue. */
static const char strategy_text[] =
    "local S = { api = 1, name = 'holder', version = '1' }\n"
    "function S.on_tick(ctx, tick)\n"
    "  if ctx.state.asked then return end\n"
    "  ctx.state.asked = true\n"
    "  ctx:buy(1, { type = 'limit', price = 90, tag = 'resting' })\n"
    "  ctx:buy(2, { stop = 50, take = 150, tag = 'held' })\n"
    "end\n"
    "return S\n";

/* ---- a venue that outlives us ---- */

struct resting {
    char id[CLIENT_ORDER_ID_MAX];
    enum order_side side;
    enum order_type type;
    decimal qty;
    enum order_status status;
};

struct word {
    struct event event;
    struct report report;
};

struct venue {
    int64_t now_ns;
    struct event_sink sink;
    struct venue_abilities abilities;
    struct resting orders[ORDERS_MAX];
    size_t order_count;
    struct word words[WORDS_MAX]; /* to be said, in the order of their times */
    size_t said, word_count;
    int trades; /* still to come, one a second */
    decimal position;
    bool is_deaf;   /* to cancels: nothing is ever heard of them */
    bool is_silent; /* queries fail */
};

/* Earlier words first; at one instant in the order they were made. */
static struct word *say(struct venue *venue, enum event_kind kind, int64_t time_ns)
{
    assert_true(venue->word_count < WORDS_MAX);
    size_t at = venue->word_count++;
    for (; at > venue->said && venue->words[at - 1].event.time_ns > time_ns; at--)
        venue->words[at] = venue->words[at - 1];
    venue->words[at] = (struct word){ .event = { .kind = kind, .time_ns = time_ns } };
    return &venue->words[at];
}

static struct report *report(struct venue *venue, const struct resting *order,
                             enum report_kind kind, int64_t now_ns)
{
    struct word *word = say(venue, EVENT_REPORT, now_ns + LATENCY);
    struct report *said = &word->report;
    *said = (struct report){ .kind = kind,
                             .side = order->side,
                             .qty = DECIMAL_NONE,
                             .price = DECIMAL_NONE,
                             .cum_qty = DECIMAL_NONE,
                             .avg_price = DECIMAL_NONE,
                             .transact_ns = now_ns };
    text_copy(said->client_order_id, sizeof(said->client_order_id), order->id);
    snprintf(said->venue_order_id, sizeof(said->venue_order_id), "v-%s", order->id);
    return said;
}

static const struct venue_abilities *abilities(void *self, uint32_t instrument)
{
    (void)instrument;
    return &((struct venue *)self)->abilities;
}

static int submit(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct venue *venue = self;
    (void)err;
    assert_true(venue->order_count < ORDERS_MAX);
    struct resting *resting = &venue->orders[venue->order_count++];
    *resting = (struct resting){
        .side = order->side, .type = order->type, .qty = order->qty, .status = ORDER_NEW
    };
    text_copy(resting->id, sizeof(resting->id), order->current_client_order_id);
    report(venue, resting, REPORT_ACK, now_ns);
    if (order->type != ORDER_MARKET)
        return 0;
    struct fill *fill = &report(venue, resting, REPORT_FILL, now_ns)->fill;
    *fill = (struct fill){ .qty = order->qty,
                           .price = decimal_int(100),
                           .fee = DECIMAL_ZERO,
                           .liquidity = LIQUIDITY_TAKER,
                           .transact_ns = now_ns };
    snprintf(fill->exec_id, sizeof(fill->exec_id), "e-%s", resting->id);
    resting->status = ORDER_FILLED;
    venue->position = order->side == SIDE_BUY ? decimal_add(venue->position, order->qty)
                                              : decimal_sub(venue->position, order->qty);
    return 0;
}

static int amend(void *self, const struct order *order, decimal qty, decimal price, int64_t now_ns,
                 struct error *err)
{
    (void)self, (void)order, (void)qty, (void)price, (void)now_ns;
    return error_set(err, ERROR_INTERNAL, "nothing is amended here");
}

static struct resting *find(struct venue *venue, const char *id)
{
    for (size_t i = 0; i < venue->order_count; i++)
        if (strcmp(venue->orders[i].id, id) == 0)
            return &venue->orders[i];
    fail_msg("%s is not known", id);
    return NULL;
}

static int cancel(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct venue *venue = self;
    (void)err;
    struct resting *resting = find(venue, order->current_client_order_id);
    if (venue->is_deaf)
        return 0;
    assert_int_equal(resting->status, ORDER_NEW);
    resting->status = ORDER_CANCELED;
    report(venue, resting, REPORT_CANCELED, now_ns);
    return 0;
}

static void tell_status(struct venue *venue, const struct resting *order, uint64_t ticket,
                        int64_t now_ns)
{
    struct report *said = report(venue, order, REPORT_STATUS, now_ns);
    said->ticket = ticket;
    said->status = order->status;
    said->cum_qty = order->status == ORDER_FILLED ? order->qty : DECIMAL_ZERO;
    if (order->status == ORDER_FILLED)
        said->avg_price = decimal_int(100);
}

static int query(void *self, const struct venue_query *query, int64_t now_ns, struct error *err)
{
    struct venue *venue = self;
    (void)err;
    for (size_t i = 0; !venue->is_silent && i < venue->order_count; i++) {
        const struct resting *order = &venue->orders[i];
        if (query->kind == QUERY_OPEN_ORDERS
                ? order->status == ORDER_NEW
                : query->kind == QUERY_ORDER && strcmp(order->id, query->client_order_id) == 0)
            tell_status(venue, order, query->ticket, now_ns);
    }
    if (!venue->is_silent && query->kind == QUERY_POSITIONS) {
        struct word *word = say(venue, EVENT_POSITION, now_ns + LATENCY);
        word->event.position = (struct position_event){ .ticket = query->ticket,
                                                        .qty = venue->position,
                                                        .avg_price = DECIMAL_NONE };
    }
    struct word *end = say(venue, EVENT_ANSWER, now_ns + LATENCY);
    end->event.answer =
        (struct answer_event){ .ticket = query->ticket, .complete = !venue->is_silent };
    return 0;
}

static int64_t due_ns(void *self)
{
    const struct venue *venue = self;
    return venue->said < venue->word_count ? venue->words[venue->said].event.time_ns : TIME_NEVER;
}

static void plan_trade(struct venue *venue, int64_t time_ns)
{
    struct word *word = say(venue, EVENT_TRADE, time_ns);
    word->event.trade = (struct trade_event){ .price = 10000, .qty = 1000, .side = SIDE_BUY };
}

static void advance(void *self, int64_t now_ns)
{
    struct venue *venue = self;
    venue->now_ns = now_ns;
    while (due_ns(venue) <= now_ns) {
        struct word *word = &venue->words[venue->said++];
        if (word->event.kind == EVENT_REPORT)
            word->event.report = &word->report;
        venue->sink.put(venue->sink.self, &word->event);
    }
    if (due_ns(venue) == TIME_NEVER && venue->trades > 0) {
        venue->trades--;
        plan_trade(venue, now_ns + NS_PER_SECOND);
    }
}

static void close_venue(void *self)
{
    struct venue *venue = self; /* the line; what rests goes on resting */
    venue->said = venue->word_count = 0;
}

static int open_venue(void *self, struct event_sink sink, struct venue_port *out, struct error *err)
{
    struct venue *venue = self;
    (void)err;
    venue->sink = sink;
    venue->trades = TRADES;
    say(venue, EVENT_CONNECTION, venue->now_ns + 1)->event.connection.up = true;
    *out = (struct venue_port){ .self = venue,
                                .abilities = abilities,
                                .submit = submit,
                                .amend = amend,
                                .cancel = cancel,
                                .query = query,
                                .due_ns = due_ns,
                                .advance = advance,
                                .close = close_venue };
    return 0;
}

static int describe(void *self, const char *symbol, struct instrument *out, struct error *err)
{
    (void)self;
    if (strcmp(symbol, "BTC/USDT:USDT") != 0)
        return error_set(err, ERROR_USAGE, "no %s", symbol);
    *out = (struct instrument){ .tick_size = decimal_text("0.01"),
                                .lot_size = decimal_text("0.001"),
                                .min_notional = DECIMAL_ZERO,
                                .multiplier = decimal_int(1),
                                .leverage = decimal_int(1),
                                .short_allowed = true,
                                .price_scale = 2,
                                .qty_scale = 3 };
    text_copy(out->origin, sizeof(out->origin), "venue");
    return 0;
}

static int64_t venue_now(void *self)
{
    return ((struct venue *)self)->now_ns;
}

/* ---- a session that dies ---- */

struct fixture {
    char folder[64], strategy[128], state[128], config[128];
    struct venue venue;
    struct session_world world;
    struct options options;
};

static void parse(struct fixture *fixture)
{
    char *argv[] = { fixture->strategy, "--symbols",    "BTC/USDT:USDT",
                     "--state",         fixture->state, "--capital",
                     "10000",           "--config",     fixture->config };
    struct error err = { 0 };
    assert_int_equal(options_parse(ARRAY_SIZE(argv), argv, &fixture->options, &err), 0);
}

static void trade_and_die(struct fixture *fixture)
{
    struct session *session;
    struct error err = { 0 };
    if (session_open(&fixture->options, &fixture->world, NULL, &session, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(session_run(session, T0 + 20 * NS_PER_SECOND, 10000, &err), SESSION_RUNNING);
    session_close(session);
}

static int setup(void **state)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct error err = { 0 };
    strcpy(fixture->folder, "/tmp/cancel_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->strategy, sizeof(fixture->strategy), "%s/holder.lua", fixture->folder);
    snprintf(fixture->state, sizeof(fixture->state), "%s/state", fixture->folder);
    snprintf(fixture->config, sizeof(fixture->config), "%s/runtime.yaml", fixture->folder);
    assert_int_equal(
        text_write_file(fixture->strategy, strategy_text, sizeof(strategy_text) - 1, &err), 0);
    assert_int_equal(text_write_file(fixture->config, "", 0, &err), 0);
    fixture->venue = (struct venue){
        .now_ns = T0,
        .position = DECIMAL_ZERO,
        .abilities = { .types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT | 1u << ORDER_STOP |
                                1u << ORDER_STOP_LIMIT,
                       .tifs = 1u << TIF_GTC | 1u << TIF_IOC | 1u << TIF_FOK,
                       .oco = true,
                       .reduce_only = true,
                       .answer_within_ns = 5 * NS_PER_SECOND },
    };
    fixture->world = (struct session_world){ .self = &fixture->venue,
                                             .wall = { &fixture->venue, venue_now },
                                             .open_venue = open_venue,
                                             .instrument = describe,
                                             .venue = "tiny",
                                             .only_set_limits_bind = true };
    parse(fixture);
    trade_and_die(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[160];
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
    int code = system(command);
    free(fixture);
    return code;
}

/* What rests at the venue, by type. */
static void assert_rests(const struct fixture *fixture, const char *wanted)
{
    struct text out;
    text_init(&out, 4096);
    for (size_t i = 0; i < fixture->venue.order_count; i++)
        if (fixture->venue.orders[i].status == ORDER_NEW)
            text_printf(&out, "%s ", order_type_name(fixture->venue.orders[i].type));
    assert_string_equal(out.length ? out.data : "", wanted);
    text_release(&out);
}

static int cancel_all(struct fixture *fixture, bool emergency, struct error *err)
{
    struct cancel_options how = { .emergency = emergency,
                                  .heartbeat_fd = -1,
                                  .limit_ns = 60 * NS_PER_SECOND };
    return session_cancel_entries(&fixture->options, &fixture->world, NULL, &how, err);
}

static void assert_canceled(struct fixture *fixture, bool emergency)
{
    struct error err = { 0 };
    if (cancel_all(fixture, emergency, &err) < 0)
        fail_msg("%s %s", err.where, err.message);
}

static void assert_listed(const struct fixture *fixture, const char *const *parts)
{
    struct text out;
    struct error err = { 0 };
    text_init(&out, 65536);
    assert_int_equal(remains_list(fixture->state, "live", &out, &err), 0);
    for (; *parts; parts++)
        if (!strstr(out.data, *parts))
            fail_msg("'%s' is not in\n%s", *parts, out.data);
    text_release(&out);
}

static void entries_go_and_exits_stay(void **state)
{
    struct fixture *fixture = *state;
    assert_rests(fixture, "limit stop limit ");
    assert_listed(fixture, (const char *const[]){ "order ", "exit ", "position ", "holder", NULL });
    assert_canceled(fixture, false);
    assert_rests(fixture, "stop limit ");
    assert_int_equal(decimal_cmp(fixture->venue.position, decimal_int(2)), 0);
}

/* It has run to its end: a strategy may take up what stays. */
static void trading_may_go_on_from_what_stays(void **state)
{
    struct fixture *fixture = *state;
    struct session *session;
    struct error err = { 0 };
    assert_canceled(fixture, false);
    if (session_open(&fixture->options, &fixture->world, NULL, &session, &err) < 0)
        fail_msg("%s", err.message);
    int64_t until_ns = fixture->venue.now_ns + 20 * NS_PER_SECOND;
    assert_int_equal(session_run(session, until_ns, 10000, &err), SESSION_RUNNING);
    assert_true(session->resumed);
    assert_int_equal(engine_open_orders(session->engine), 2);
    assert_int_equal(decimal_cmp(engine_position(session->engine, 0, 0)->qty, decimal_int(2)), 0);
    assert_false(engine_is_halted(session->engine, NULL));
    session_close(session);
    assert_rests(fixture, "stop limit ");
}

static void an_emergency_takes_the_exits_too(void **state)
{
    struct fixture *fixture = *state;
    assert_canceled(fixture, true);
    assert_rests(fixture, "");
    assert_int_equal(decimal_cmp(fixture->venue.position, decimal_int(2)), 0);
}

static void an_emergency_may_flatten(void **state)
{
    struct fixture *fixture = *state;
    static const char flatten[] = "risk: { emergency: flatten }\n";
    struct error err = { 0 };
    assert_int_equal(text_write_file(fixture->config, flatten, sizeof(flatten) - 1, &err), 0);
    assert_canceled(fixture, true);
    assert_rests(fixture, "");
    assert_true(decimal_is_zero(fixture->venue.position));
    assert_listed(fixture, (const char *const[]){ "no open order, no position", NULL });
}

/* "Canceled" is what the venue says, not what was asked for. */
static void what_is_not_heard_of_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct error err = { 0 };
    fixture->venue.is_deaf = true;
    assert_int_equal(cancel_all(fixture, false, &err), ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "1 orders that were canceled are still open"));
    assert_listed(fixture, (const char *const[]){ "order ", "position ", NULL });
}

/* A venue that answers no question may still hear a cancel. */
static void books_that_cannot_be_compared_do_not_keep_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->venue.is_silent = true;
    assert_canceled(fixture, false);
    assert_rests(fixture, "stop limit ");
}

static void twice_is_as_once(void **state)
{
    struct fixture *fixture = *state;
    assert_canceled(fixture, false);
    assert_canceled(fixture, false);
    assert_rests(fixture, "stop limit ");
}

/* Who trades there is not disturbed. */
static void a_directory_in_use_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    struct session *session;
    struct error err = { 0 };
    assert_int_equal(session_open(&fixture->options, &fixture->world, NULL, &session, &err), 0);
    assert_int_equal(cancel_all(fixture, false, &err), ERROR_UNAVAILABLE);
    session_close(session);
    assert_rests(fixture, "limit stop limit ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_go_and_exits_stay),
        TEST(trading_may_go_on_from_what_stays),
        TEST(an_emergency_takes_the_exits_too),
        TEST(an_emergency_may_flatten),
        TEST(what_is_not_heard_of_is_an_error),
        TEST(books_that_cannot_be_compared_do_not_keep_it),
        TEST(twice_is_as_once),
        TEST(a_directory_in_use_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
