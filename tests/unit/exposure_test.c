/* exposure_test.c - what is at stake: orders in each of their states, positions, currencies, the
 * stages of a rollout; and that the running sums stay what a walk over everything finds.
 *
 * Capital is 100,000, and the account may hold a tenth of it in a symbol: 100 BTC at 100. */
#include "tests/unit/risk_fixture.h"

#include "runtime/base/random.h"

static struct risk_limits no_limits;
static const struct risk_options plain = { .no_stop_pct = { 5, 2 } };

static struct stage *stage_of_tenth(void)
{
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.1");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    trade(s, BTC, "100");
    return s;
}

/* What may still be bought or sold: the gate lowers what asks for too much. */
static void assert_room(struct stage *s, enum order_side side, const char *qty)
{
    struct order_request request = limit_of(side, "1000", "100");
    uint64_t id = submit(s, A, request);
    if (strcmp(qty, "0") == 0) {
        assert_int_equal(id, 0);
        return;
    }
    if (id == 0)
        fail_msg("refused: %s", s->refusal.reason);
    assert_decimal(order_at(s, id)->qty, qty);
    tell(s, id, REPORT_REJECTED);
    sums_agree(s);
}

static uint64_t rest(struct stage *s, enum order_side side, const char *qty, const char *price)
{
    uint64_t id = submit(s, A, limit_of(side, qty, price));
    assert_passes(s, id);
    tell(s, id, REPORT_ACK);
    return id;
}

/* ---- one order in each of its states ---- */

static void an_order_counts_until_it_is_done(void **state)
{
    (void)state;
    static const enum report_kind ends[] = { REPORT_CANCELED, REPORT_REJECTED, REPORT_EXPIRED };
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct stage *s = stage_of_tenth();
        assert_room(s, SIDE_BUY, "100");
        uint64_t id = submit(s, A, limit_of(SIDE_BUY, "10", "100"));
        assert_room(s, SIDE_BUY, "90"); /* on its way */
        assert_room(s, SIDE_SELL, "100");
        tell(s, id, REPORT_DOUBT);
        assert_string_equal(status_of(s, id), "unknown");
        assert_room(s, SIDE_BUY, "90");
        tell(s, id, REPORT_ACK);
        assert_room(s, SIDE_BUY, "90");
        fill(s, id, "4", "100");
        assert_room(s, SIDE_BUY, "90"); /* 4 held, 6 to come */
        assert_room(s, SIDE_SELL, "104");
        assert_true(engine_cancel(s->engine, A, id, &s->refusal));
        settle(s);
        assert_room(s, SIDE_BUY, "90");
        tell(s, id, ends[i]);
        assert_room(s, SIDE_BUY, "96");
        stage_free(s);
    }
}

/* 20 at most while nobody knows; a higher price counts at once too. */
static void a_replace_under_way_counts_at_its_larger_side(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    uint64_t id = rest(s, SIDE_BUY, "10", "100");
    assert_true(engine_amend(s->engine, A, id, D("20"), DECIMAL_NONE, &s->refusal));
    settle(s);
    assert_room(s, SIDE_BUY, "80");
    tell(s, id, REPORT_REPLACE_REJECT);
    assert_room(s, SIDE_BUY, "90");
    assert_true(engine_amend(s->engine, A, id, D("5"), DECIMAL_NONE, &s->refusal));
    settle(s);
    assert_room(s, SIDE_BUY, "90");
    fill(s, id, "1", "100");
    assert_room(s, SIDE_BUY, "90");
    tell_terms(s, id, REPORT_REPLACED, D("5"));
    assert_room(s, SIDE_BUY, "95"); /* 1 held, 4 to come */
    assert_true(engine_amend(s->engine, A, id, DECIMAL_NONE, D("125"), &s->refusal));
    settle(s);
    assert_room(s, SIDE_BUY, "93.75"); /* 5 at 125 are 625 of 10,000: 9,375 are left */
    stage_free(s);
}

/* 10 at a trigger of 125 are worth 1,250. */
static void an_order_that_rests_here_counts_at_its_trigger(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
    struct order_request stop = request_of(SIDE_BUY, "10");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("125");
    uint64_t id = submit(s, A, stop);
    assert_true(order_at(s, id)->held);
    assert_room(s, SIDE_BUY, "87.5");
    stop.type = ORDER_STOP_LIMIT;
    stop.price = D("120");
    stop.trigger_price = D("124");
    uint64_t lower = submit(s, A, stop);
    assert_room(s, SIDE_BUY, "75"); /* the highest price counts for all */
    assert_true(engine_cancel(s->engine, A, id, &s->refusal));
    settle(s);
    assert_room(s, SIDE_BUY, "87.6"); /* 10 at 124 */
    assert_true(engine_cancel(s->engine, A, lower, &s->refusal));
    settle(s);
    assert_room(s, SIDE_BUY, "100");
    stage_free(s);
}

static void what_only_reduces_never_counts(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    struct order_request entry = limit_of(SIDE_BUY, "10", "100");
    entry.stop = D("90");
    entry.take = D("120");
    uint64_t id = submit(s, A, entry);
    fill(s, id, "10", "100"); /* its exits are placed */
    assert_true(engine_open_orders(s->engine) >= 1);
    assert_passes(s, submit(s, A, reduce_only(limit_of(SIDE_SELL, "10", "130"))));
    assert_room(s, SIDE_BUY, "90");
    assert_room(s, SIDE_SELL, "110");
    stage_free(s);
}

/* ---- linked orders ---- */

static void link_buys(struct stage *s, struct order_request first, struct order_request second,
                      uint64_t ids[2])
{
    struct order_request both[2] = { first, second };
    if (!engine_oco(s->engine, A, both, ids, &s->refusal))
        fail_msg("refused: %s", s->refusal.reason);
    settle(s);
    tell(s, ids[0], REPORT_ACK);
    tell(s, ids[1], REPORT_ACK);
    sums_agree(s);
}

/* Of those that the venue links one fills: the larger counts. */
static void linked_orders_count_once(void **state)
{
    (void)state;
    static const char *const sizes[2][2] = { { "10", "20" }, { "20", "10" } };
    for (int i = 0; i < 2; i++)
        for (int gone = 0; gone < 2; gone++) {
            struct stage *s = stage_of_tenth();
            uint64_t ids[2];
            link_buys(s, limit_of(SIDE_BUY, sizes[i][0], "90"),
                      limit_of(SIDE_BUY, sizes[i][1], "95"), ids);
            assert_room(s, SIDE_BUY, "80");
            assert_true(engine_cancel(s->engine, A, ids[gone], &s->refusal));
            settle(s);
            assert_room(s, SIDE_BUY, "80"); /* it may still fill */
            tell(s, ids[gone], REPORT_CANCELED);
            assert_room(s, SIDE_BUY, strcmp(sizes[i][1 - gone], "20") == 0 ? "80" : "90");
            stage_free(s);
        }
}

/* What never arrived is not sent again when the other did some of what it was for. */
static void a_leg_is_not_sent_again_for_what_the_other_did(void **state)
{
    (void)state;
    for (int filled = 0; filled < 2; filled++) {
        struct stage *s = stage_of_tenth();
        struct order_request both[2] = { limit_of(SIDE_BUY, "10", "90"),
                                         limit_of(SIDE_BUY, "10", "95") };
        uint64_t ids[2];
        assert_true(engine_oco(s->engine, A, both, ids, &s->refusal));
        settle(s);
        tell(s, ids[0], REPORT_ACK);
        tell(s, ids[1], REPORT_DOUBT);
        if (filled)
            fill(s, ids[0], "4", "90");
        size_t sent = count_sent(s, SENT_SUBMIT);
        for (int i = 0; i < 20; i++) {
            struct report report = report_on(s, ids[1], REPORT_NOT_FOUND);
            report.ticket = last_query(s)->ticket;
            assert_done(s, tell_code(s, &report));
            later(s, SECONDS(2));
        }
        assert_int_equal(count_sent(s, SENT_SUBMIT) > sent, !filled);
        sums_agree(s);
        stage_free(s);
    }
}

static void orders_that_nobody_links_count_both(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    s->abilities.oco = false;
    uint64_t ids[2];
    link_buys(s, limit_of(SIDE_BUY, "10", "90"), limit_of(SIDE_BUY, "20", "95"), ids);
    assert_room(s, SIDE_BUY, "70");
    stage_free(s);
    /* A venue that cannot hold one of them links nothing. */
    for (int i = 0; i < 2; i++) {
        s = stage_of_tenth();
        s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
        struct order_request stop = request_of(SIDE_BUY, "20");
        stop.type = ORDER_STOP;
        stop.trigger_price = D("100.1");
        struct order_request limit = limit_of(SIDE_BUY, "10", "90");
        link_buys(s, i ? stop : limit, i ? limit : stop, ids);
        assert_room(s, SIDE_BUY, "69.97"); /* 30 at 100.1 are 3,003 */
        stage_free(s);
    }
}

static void the_second_leg_is_refused_where_both_do_not_fit(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    struct order_request legs[2] = { limit_of(SIDE_BUY, "60", "100"),
                                     limit_of(SIDE_BUY, "60", "100") };
    uint64_t ids[2];
    assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal)); /* linked: 60 */
    settle(s);
    assert_room(s, SIDE_BUY, "40");
    stage_free(s);
    s = stage_of_tenth();
    s->abilities.oco = false;
    assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal));
    settle(s);
    assert_decimal(order_at(s, ids[1])->qty, "40"); /* lowered to what is left beside the first */
    assert_room(s, SIDE_BUY, "0");
    stage_free(s);
}

/* The first leg is not in the books yet, and dearer than the second: 10 at 110 are more than 1,000,
 * beside 5 at 110 there are 450 left. */
static void the_second_leg_counts_the_first_at_its_price(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.01");
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &limits, plain);
    s->abilities.oco = false;
    trade(s, BTC, "100");
    struct order_request legs[2] = { request_of(SIDE_BUY, "5"), limit_of(SIDE_BUY, "5", "90") };
    legs[0].type = ORDER_STOP;
    legs[0].trigger_price = D("110");
    uint64_t ids[2];
    assert_true(engine_oco(s->engine, A, legs, ids, &s->refusal));
    settle(s);
    assert_decimal(order_at(s, ids[0])->qty, "5");
    assert_decimal(order_at(s, ids[1])->qty, "4.5");
    sums_agree(s);
    stage_free(s);
}

/* An exit beside an entry takes nothing of it. */
static void a_leg_that_only_reduces_hides_none_of_the_other(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    take(s, A, BTC, SIDE_BUY, "10", "100");
    uint64_t ids[2];
    link_buys(s, reduce_only(limit_of(SIDE_SELL, "10", "100")), limit_of(SIDE_SELL, "30", "100"),
              ids);
    assert_room(s, SIDE_BUY, "90");
    assert_room(s, SIDE_SELL, "80"); /* 20 short when it fills */
    stage_free(s);
}

static void legs_of_two_sides_count_on_each(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    uint64_t ids[2];
    link_buys(s, limit_of(SIDE_BUY, "10", "90"), limit_of(SIDE_SELL, "20", "100"), ids);
    assert_room(s, SIDE_BUY, "90");
    assert_room(s, SIDE_SELL, "80");
    stage_free(s);
}

/* ---- all instances together ---- */

static void positions_of_all_instances_are_one(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    struct risk_limits wide;
    risk_limits_init(&wide);
    add_of_all(s, &wide); /* 200,000 now: 200 BTC */
    take(s, B, BTC, SIDE_SELL, "50", "100");
    assert_room(s, SIDE_BUY, "200"); /* B may close its own at any time */
    assert_room(s, SIDE_SELL, "150");
    take(s, A, BTC, SIDE_BUY, "50", "100");
    assert_room(s, SIDE_BUY, "200");
    stage_free(s);
}

/* ---- prices that move, or are not there ---- */

static void exposure_follows_the_mark(void **state)
{
    (void)state;
    struct stage *s = stage_of_tenth();
    take(s, A, BTC, SIDE_BUY, "50", "100");
    trade(s, BTC, "125"); /* equity 101,250: a tenth is 10,125, of which 6,250 are held */
    struct order_request more = limit_of(SIDE_BUY, "1000", "125");
    uint64_t id = submit(s, A, more);
    assert_decimal(order_at(s, id)->qty, "31");
    tell(s, id, REPORT_CANCELED);
    quote(s, BTC, "124", "126"); /* a taker would pay 126: 10,125 - 6,300 = 3,825 */
    id = submit(s, A, more);
    assert_decimal(order_at(s, id)->qty, "30.357");
    stage_free(s);
}

/* What is bound elsewhere leaves less to buy with: 100,000 of equity, 60,000 in ETH. */
static void other_instruments_bind_buying_power(void **state)
{
    (void)state;
    struct risk_limits none;
    risk_limits_init(&none);
    struct stage *s = stage_limited(SCOPE_ACCOUNT, &none, plain);
    trade(s, BTC, "100");
    take(s, A, ETH, SIDE_SELL, "600", "100");
    uint64_t id = submit(s, A, limit_of(SIDE_BUY, "1000", "100"));
    assert_decimal(order_at(s, id)->qty, "400");
    stage_free(s);
}

/* ---- other currencies ---- */

enum { SAP = FUT + 1, EURUSD, NIFTY, USDINR };

/* After a restart: 900 that cost 100 each and have no price yet leave 10,000 for others; so does an
 * order of 900 at 100 that a restart found. */
static void what_has_no_mark_yet_binds_buying_power(void **state)
{
    (void)state;
    for (int is_order = 0; is_order < 2; is_order++) {
        struct stage *s = stage_limited(SCOPE_ACCOUNT, &no_limits, plain);
        struct position position;
        position_init(&position);
        position.qty = D("900");
        position.cost = D("90000");
        struct order order;
        order_init(&order);
        order.order_id = 7;
        order.instance_id = 1;
        order.instrument = BTC;
        order.side = SIDE_BUY;
        order.type = ORDER_LIMIT;
        order.qty = D("900");
        order.price = D("100");
        order.known = ORDER_NEW;
        strcpy(order.client_order_id, "r7");
        strcpy(order.current_client_order_id, "r7");
        if (is_order)
            assert_done(s, engine_restore_order(s->engine, &order, &s->err));
        else
            assert_done(s, engine_restore_position(s->engine, A, BTC, &position, &s->err));
        trade(s, OTHER, "100");
        assert_reduced(s, submit(s, A, in(OTHER, limit_of(SIDE_BUY, "500", "100"))), "buying_power",
                       "100", "");
        stage_free(s);
    }
}

static void add_foreign(struct stage *s, const char *symbol, const char *currency)
{
    uint32_t index;
    struct instrument instrument = { .venue = "fake",
                                     .tick_size = D("0.01"),
                                     .lot_size = D("0.001"),
                                     .min_notional = D("0"),
                                     .multiplier = D("1"),
                                     .leverage = D("1"),
                                     .short_allowed = true,
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    text_copy(instrument.currency, sizeof(instrument.currency), currency);
    assert_int_equal(instruments_add(&s->instruments, &instrument, &index, &s->err), 0);
}

static void foreign_instruments(struct stage *s)
{
    add_foreign(s, "SAP", "EUR");
    add_foreign(s, "EUR/USD", "USD");
    add_foreign(s, "NIFTY", "INR");
    add_foreign(s, "USD/INR", "INR");
}

static struct stage *stage_abroad(const struct risk_limits *limits,
                                  void (*instruments)(struct stage *s))
{
    struct stage *s = stage_new_planned(
        &(struct stage_plan){ .account = limits, .risk = plain, .more_instruments = instruments });
    static const uint32_t all[] = { SAP, EURUSD, NIFTY, USDINR };
    struct instance_options options = instance_defaults();
    options.instruments = all;
    options.instrument_count = s->instruments.count - SAP;
    stage_add(s, options);
    return s;
}

static uint64_t buy_at(struct stage *s, uint32_t instrument, const char *qty, const char *price)
{
    return submit(s, A, in(instrument, limit_of(SIDE_BUY, qty, price)));
}

/* 80 euros at 1.25 are 100 dollars. */
static void euros_are_converted_at_the_mark(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_SIZE, "100");
    struct stage *s = stage_abroad(&limits, foreign_instruments);
    trade(s, SAP, "80");
    assert_refused(s, buy_at(s, SAP, "1", "80"), "no_fx_rate", "qty 1 at 80");
    trade(s, EURUSD, "1.25");
    assert_passes(s, buy_at(s, SAP, "1", "80"));
    assert_int_equal(count_verdicts(s), 1);
    assert_reduced(s, buy_at(s, SAP, "1.001", "80"), "max_order_size", "1", "");
    trade(s, EURUSD, "1.60"); /* 128 dollars each: 100 buy 0.78125 */
    assert_reduced(s, buy_at(s, SAP, "1", "80"), "max_order_size", "0.781", "");
    stage_free(s);
}

/* 8,000 rupees at 80 are 100 dollars; at 83 a rupee is 0.012048192771084338 dollars, rounded up,
 * so that 8,300 are a little more than 100. */
static void rupees_are_converted_by_the_inverse(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_SIZE, "100");
    struct stage *s = stage_abroad(&limits, foreign_instruments);
    trade(s, NIFTY, "8000");
    assert_refused(s, buy_at(s, NIFTY, "1", "8000"), "no_fx_rate", "");
    trade(s, USDINR, "80");
    assert_passes(s, buy_at(s, NIFTY, "1", "8000"));
    assert_int_equal(count_verdicts(s), 1);
    trade(s, USDINR, "83");
    trade(s, NIFTY, "8300");
    assert_reduced(s, buy_at(s, NIFTY, "1", "8300"), "max_order_size", "0.999", "");
    stage_free(s);
}

static void no_pair(struct stage *s)
{
    add_foreign(s, "SAP", "EUR");
}

/* None of these says what a euro is worth. */
static void other_pairs(struct stage *s)
{
    add_foreign(s, "SAP", "EUR");
    add_foreign(s, "EURX/USD", "USD");
    add_foreign(s, "EUR/USDX", "USD");
    add_foreign(s, "USD/GBP", "EUR");
}

static void without_a_rate_nothing_is_bought(void **state)
{
    (void)state;
    struct risk_limits none;
    risk_limits_init(&none);
    for (int i = 0; i < 2; i++) {
        struct stage *s = stage_abroad(&none, i ? other_pairs : no_pair);
        trade(s, SAP, "80");
        for (uint32_t k = SAP + 1; k < s->instruments.count; k++)
            trade(s, k, "1.25");
        assert_refused(s, buy_at(s, SAP, "1", "80"), "no_fx_rate", "");
        stage_free(s);
    }
}

static void pair_with_settlement(struct stage *s)
{
    add_foreign(s, "SAP", "EUR");
    add_foreign(s, "EUR/USDT:USDT", "USDT");
}

static void any_dollar_is_a_dollar(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_ORDER_SIZE, "100");
    struct stage *s = stage_abroad(&limits, pair_with_settlement);
    trade(s, SAP, "80");
    trade(s, EURUSD, "1.25");
    assert_passes(s, buy_at(s, SAP, "1", "80"));
    assert_reduced(s, buy_at(s, SAP, "1.001", "80"), "max_order_size", "1", "");
    stage_free(s);
}

/* Bought at 80 euros, worth 72: 10 lost are 12.50 dollars. Without a rate they would be 10. */
static void what_is_earned_abroad_is_equity(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_DAILY_LOSS, "12.5");
    struct stage *s = stage_abroad(&limits, foreign_instruments);
    trade(s, SAP, "80");
    trade(s, EURUSD, "1.25");
    uint64_t id = buy_at(s, SAP, "1.25", "80");
    fill(s, id, "1.25", "80");
    struct engine_day day;
    engine_day(s->engine, &day);
    assert_decimal(day.volume, "125");
    trade(s, SAP, "72.01");
    assert_passes(s, buy_at(s, SAP, "0.1", "72"));
    trade(s, EURUSD, "1.24"); /* 12.40 */
    trade(s, SAP, "72");
    assert_passes(s, buy_at(s, SAP, "0.1", "72"));
    trade(s, EURUSD, "1.25");
    assert_decimal(engine_equity(s->engine, A), "99987.5");
    assert_refused(s, buy_at(s, SAP, "0.1", "72"), "max_daily_loss", "");
    stage_free(s);
}

/* It was there when the program stopped: out is always possible, volume counts as it is. */
static void a_position_without_a_rate_may_be_closed(void **state)
{
    (void)state;
    struct risk_limits none;
    risk_limits_init(&none);
    struct stage *s = stage_abroad(&none, no_pair);
    struct position position;
    position_init(&position);
    position.qty = D("2");
    position.cost = D("160");
    assert_done(s, engine_restore_position(s->engine, A, SAP, &position, &s->err));
    trade(s, SAP, "90");
    assert_decimal(engine_equity(s->engine, A), "100020");
    assert_refused(s, buy_at(s, SAP, "1", "90"), "no_fx_rate", "");
    uint64_t out = submit(s, A, in(SAP, request_of(SIDE_SELL, "2")));
    assert_passes(s, out);
    fill(s, out, "2", "90");
    struct engine_day day;
    engine_day(s->engine, &day);
    assert_decimal(day.volume, "180");
    stage_free(s);
}

/* ---- the stages of a rollout ---- */

/* 1,000 for all: 600 in ETH leave 4 BTC. */
static void a_stage_bounds_the_account(void **state)
{
    (void)state;
    struct stage_plan plan = { .risk = plain };
    plan.risk.rollout = (struct rollout_options){ .enabled = true,
                                                  .stages = { { D("1000"), 7 } },
                                                  .stage_count = 1 };
    struct stage *s = stage_new_planned(&plan);
    stage_add(s, instance_defaults());
    trade(s, BTC, "100");
    trade(s, ETH, "100");
    assert_passes(s, submit(s, A, in(ETH, limit_of(SIDE_SELL, "6", "100"))));
    assert_passes(s, submit(s, A, limit_of(SIDE_BUY, "4", "100")));
    assert_refused(s, submit(s, A, limit_of(SIDE_BUY, "0.1", "100")), "rollout_stage", "");
    assert_reduced(s, submit(s, A, limit_of(SIDE_SELL, "5", "100")), "rollout_stage", "4", "");
    stage_free(s);
}

/* ---- a long random life ---- */

#define KNOWN_MAX 40000
struct life {
    struct stage *s;
    struct random random;
    uint64_t ids[KNOWN_MAX];
    size_t count;
    bool fails; /* the next callback */
    struct stage_plan plan;
};

static unsigned below(struct life *life, unsigned bound)
{
    return (unsigned)random_below(&life->random, bound);
}

static decimal random_qty(struct life *life)
{
    return decimal_int(1 + below(life, 9));
}

static struct order_request random_request(struct life *life)
{
    struct order_request request;
    order_request_init(&request);
    request.instrument = below(life, 2);
    request.side = below(life, 2) ? SIDE_BUY : SIDE_SELL;
    request.qty = random_qty(life);
    request.type = (enum order_type)below(life, 4);
    request.reduce_only = below(life, 5) == 0;
    decimal price = decimal_int(85 + below(life, 30));
    if (request.type == ORDER_LIMIT || request.type == ORDER_STOP_LIMIT)
        request.price = price;
    if (request.type == ORDER_STOP || request.type == ORDER_STOP_LIMIT)
        request.trigger_price = decimal_int(85 + below(life, 30));
    if (below(life, 4) == 0 && !request.reduce_only) {
        request.stop = decimal_int(request.side == SIDE_BUY ? 70 : 130);
        request.take = decimal_int(request.side == SIDE_BUY ? 130 : 70);
    }
    return request;
}

static void ask_something(struct life *life, int who)
{
    struct stage *s = life->s;
    struct refusal refusal;
    struct order_request both[2] = { random_request(life), random_request(life) };
    uint64_t ids[2], id = life->count ? life->ids[below(life, (unsigned)life->count)] : 0;
    switch (below(life, 6)) {
    case 0:
        both[1].instrument = both[0].instrument;
        engine_oco(s->engine, who, both, ids, &refusal);
        break;
    case 1:
        engine_cancel(s->engine, who, id, &refusal);
        break;
    case 2:
        engine_amend(s->engine, who, id, random_qty(life), DECIMAL_NONE, &refusal);
        break;
    case 3:
        engine_amend(s->engine, who, id, DECIMAL_NONE, decimal_int(85 + below(life, 30)), &refusal);
        break;
    default:
        engine_submit(s->engine, who, &both[0], &refusal);
        break;
    }
}

static int live(struct fake_guest *guest, enum guest_call call, const struct guest_event *event,
                struct error *err)
{
    struct life *life = guest->self;
    (void)event;
    if (call != GUEST_TRADE)
        return 0;
    for (unsigned i = below(life, 4); i > 0; i--)
        ask_something(life, guest->index);
    if (!life->fails)
        return 0;
    life->fails = false;
    return error_set(err, ERROR_DATA, "it broke");
}

static void revive(struct life *life)
{
    for (int i = 0; i < life->s->guest_count; i++)
        engine_set_guest(life->s->engine, i, fake_guest_port(&life->s->guests[i]));
}

static void random_report(struct life *life)
{
    static const enum report_kind kinds[] = {
        REPORT_ACK,      REPORT_ACK,   REPORT_CANCELED,      REPORT_REJECTED, REPORT_EXPIRED,
        REPORT_REPLACED, REPORT_DOUBT, REPORT_CANCEL_REJECT, REPORT_RESTATED, REPORT_FILL,
        REPORT_FILL,     REPORT_FILL,  REPORT_REPLACE_REJECT
    };
    struct stage *s = life->s;
    if (life->count == 0)
        return;
    uint64_t id = life->ids[below(life, (unsigned)life->count)];
    const struct order *order = engine_order(s->engine, id);
    if (!order || order->held)
        return;
    enum report_kind kind = kinds[below(life, ARRAY_SIZE(kinds))];
    struct report report = report_on(s, id, kind);
    if (kind == REPORT_FILL)
        report =
            fill_report(s, id, random_qty(life), decimal_int(85 + below(life, 30)), DECIMAL_ZERO);
    if (kind == REPORT_RESTATED)
        report.qty = random_qty(life);
    assert_done(s, tell_code(s, &report));
}

static bool restore_order(void *self, const struct order *order)
{
    struct stage *s = self;
    assert_done(s, engine_restore_order(s->engine, order, &s->err));
    return true;
}

static struct stage *living_stage(struct life *life)
{
    static const uint32_t two[] = { BTC, ETH };
    struct stage *s = stage_new_planned(&life->plan);
    s->quiet = true;
    for (int i = 0; i < 2; i++) {
        struct instance_options options = instance_defaults();
        options.instruments = two;
        options.instrument_count = 2;
        int index = stage_add(s, options);
        s->guests[index].on = live;
        s->guests[index].self = life;
    }
    return s;
}

static void restart(struct life *life)
{
    struct stage *old = life->s, *s = living_stage(life);
    s->abilities = old->abilities;
    s->now_ns = old->now_ns;
    s->next_id = old->next_id;
    s->next_exec = old->next_exec;
    for (int i = 0; i < 2; i++) {
        for (uint32_t k = BTC; k <= ETH; k++)
            assert_done(s, engine_restore_position(s->engine, i, k,
                                                   engine_position(old->engine, i, k), &s->err));
        engine_each_order(old->engine, i, false, restore_order, s);
    }
    stage_free(old);
    life->s = s;
    sums_agree(s);
}

static void note_new_orders(struct life *life)
{
    size_t kept = 0;
    for (size_t i = 0; i < life->count; i++) {
        const struct order *order = engine_order(life->s->engine, life->ids[i]);
        if (order && (order_is_open(order) || below(life, 20) > 0)) /* late words too */
            life->ids[kept++] = life->ids[i];
    }
    life->count = kept;
    uint64_t first = life->s->next_id > 20 ? life->s->next_id - 20 : 1;
    for (uint64_t id = first; id <= life->s->next_id; id++)
        if (engine_order(life->s->engine, id) && life->count < KNOWN_MAX)
            life->ids[life->count++] = id;
}

static void one_step(struct life *life)
{
    struct stage *s = life->s;
    later(s, (int64_t)below(life, 1500) * NS_PER_MS);
    switch (below(life, 10)) {
    case 0:
    case 1:
    case 2: {
        char price[16];
        life->fails = below(life, 6) == 0;
        snprintf(price, sizeof(price), "%u", 85 + below(life, 30));
        trade(s, below(life, 2), price);
        revive(life);
        break;
    }
    case 3:
        if (below(life, 20) == 0)
            assert_done(s, engine_lift_halts(s->engine, s->now_ns, "test", &s->err));
        break;
    case 4:
        if (below(life, 30) == 0)
            assert_done(s, engine_flatten(s->engine, s->now_ns, -1, INSTRUMENT_NONE, &s->err));
        break;
    case 5:
        if (below(life, 40) == 0)
            restart(life);
        break;
    default:
        random_report(life);
        break;
    }
    note_new_orders(life);
}

static void sums_agree_after_every_step(void **state)
{
    (void)state;
    struct risk_limits limits = limits_of(LIMIT_POSITION_SIZE, "0.05");
    limits.value[LIMIT_HEAT] = D("0.02");
    limits.value[LIMIT_OPEN_POSITIONS] = D("3");
    uint64_t submitted = 0;
    for (unsigned seed = 1; seed <= 6; seed++) {
        struct life *life = calloc(1, sizeof(*life));
        assert_non_null(life);
        random_seed(&life->random, seed);
        life->plan = (struct stage_plan){ .account = &limits, .risk = plain };
        life->plan.risk.self_trade_prevention = seed % 2;
        life->s = living_stage(life);
        life->s->abilities.oco = seed % 3 != 0;
        if (seed % 2 == 0)
            life->s->abilities.types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT;
        if (seed >= 5)
            life->s->abilities.amend = AMEND_NEW_ID;
        for (int i = 0; i < 3000; i++) {
            one_step(life);
            if (!engine_sums_agree(life->s->engine))
                fail_msg("seed %u, step %d", seed, i);
        }
        submitted += life->s->next_id;
        stage_free(life->s);
        free(life);
    }
    assert_true(submitted > 1000); /* it was a life */
}

#define TEST(name) cmocka_unit_test(name)

static uint64_t restore_long(struct stage *s, const char *cost)
{
    struct position position = *engine_position(s->engine, A, BTC);
    position.qty = D("1");
    position.cost = D(cost);
    assert_done(s, engine_restore_position(s->engine, A, BTC, &position, &s->err));
    return 0;
}

/* No price has come since the restart: it counts what it cost, whoever else is there. */
static void without_a_price_others_do_not_matter(void **state)
{
    (void)state;
    static const uint32_t only_eth[] = { ETH };
    struct stage *s = stage_new_planned(&(struct stage_plan){ .more_instruments = more_venues });
    struct instance_options options = instance_defaults(), other = instance_defaults();
    options.capital = D("1000");
    stage_add(s, options);
    other.instruments = only_eth;
    other.instrument_count = 1;
    stage_add(s, other);
    restore_long(s, "900");
    trade(s, ETH, "10");
    assert_reduced(s, submit(s, A, in(ETH, limit_of(SIDE_BUY, "120", "10"))), "buying_power", "110",
                   ""); /* leverage 2: 2,000 less 900 */
    stage_free(s);
}

/* A market order that closes has no price yet, and the stop beside it leaves as well. */
static void a_pair_of_exits_needs_no_price(void **state)
{
    (void)state;
    struct stage *s = stage_new_planned(&(struct stage_plan){ .more_instruments = more_venues });
    uint64_t ids[2];
    s->abilities.oco = false; /* each counts for itself */
    add_of_all(s, NULL);
    restore_long(s, "100");
    struct order_request stop = request_of(SIDE_SELL, "0.5");
    stop.type = ORDER_STOP;
    stop.trigger_price = D("90");
    const struct order_request pair[2] = { request_of(SIDE_SELL, "0.5"), stop };
    if (!engine_oco(s->engine, A, pair, ids, &s->refusal))
        fail_msg("%s: %s", s->refusal.code, s->refusal.reason);
    stage_free(s);
}

int main(void)
{
    risk_limits_init(&no_limits);
    const struct CMUnitTest tests[] = {
        TEST(an_order_counts_until_it_is_done),
        TEST(a_replace_under_way_counts_at_its_larger_side),
        TEST(an_order_that_rests_here_counts_at_its_trigger),
        TEST(what_only_reduces_never_counts),
        TEST(linked_orders_count_once),
        TEST(a_leg_is_not_sent_again_for_what_the_other_did),
        TEST(orders_that_nobody_links_count_both),
        TEST(the_second_leg_is_refused_where_both_do_not_fit),
        TEST(the_second_leg_counts_the_first_at_its_price),
        TEST(a_leg_that_only_reduces_hides_none_of_the_other),
        TEST(legs_of_two_sides_count_on_each),
        TEST(positions_of_all_instances_are_one),
        TEST(exposure_follows_the_mark),
        TEST(other_instruments_bind_buying_power),
        TEST(what_has_no_mark_yet_binds_buying_power),
        TEST(euros_are_converted_at_the_mark),
        TEST(rupees_are_converted_by_the_inverse),
        TEST(without_a_rate_nothing_is_bought),
        TEST(any_dollar_is_a_dollar),
        TEST(what_is_earned_abroad_is_equity),
        TEST(a_position_without_a_rate_may_be_closed),
        TEST(a_stage_bounds_the_account),
        TEST(sums_agree_after_every_step),
        cmocka_unit_test(without_a_price_others_do_not_matter),
        cmocka_unit_test(a_pair_of_exits_needs_no_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
