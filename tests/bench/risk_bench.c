/* risk_bench.c - what it costs that nothing leaves which breaks a limit, in one run.
 *
 *   breaker, throttle: one check each, beside an empty call (the aim: a breaker's below 50 ns)
 *   verdict:   engine_submit by a strategy with 20 positions and 100 open orders, without limits
 * and with every limit set, for the account and for the strategy (the aim: a verdict below 1
 * microsecond). What is blocked goes through every check and is recorded and told; what is approved
 * is placed as well; what is no lot never comes to the gate: the cost of asking at all. whole run:
 * engine_bench's sparse run without limits and with every limit set (the aim: 1.10)
 *
 * Each figure is the least of several rounds, and each round runs all ways in turn. Only ratios are
 * to be quoted. */
#include "tests/bench/rig.h"

#include "runtime/risk/breaker.h"
#include "runtime/risk/throttle.h"

#define ROUNDS 7
#define RUNS 15 /* two long ways that differ little */
#define START_NS INT64_C(1704067200000000000)
#define WARM_HOURS 520 /* more than the returns that an estimate of volatility takes */
#define HOUR_NS (60 * NS_PER_MINUTE)

/* ---- one check ---- */

#define CALLS 4000000

__attribute__((noinline)) static bool nothing(const void *self, int64_t now_ns)
{
    __asm__ volatile("" : : "r"(self), "r"(now_ns) : "memory");
    return true;
}

struct checks {
    double empty, closed, open, half_open, full, room, note, within;
};

#define TIME(least, call)                                                                          \
    do {                                                                                           \
        int64_t begun_ = clock_now(clock_monotonic());                                             \
        for (int64_t i = 0; i < CALLS; i++)                                                        \
            count += (uint64_t)(call);                                                             \
        keep_least(&(least), since(begun_) / CALLS);                                               \
    } while (0)

static uint64_t run_checks(struct checks *c)
{
    uint64_t count = 0;
    struct breaker_options options = { .failures = 5,
                                       .open_for_ns = 60 * NS_PER_SECOND,
                                       .half_open_probes = 3,
                                       .max_error_rate = 0.05,
                                       .max_latency_ns = 2 * NS_PER_SECOND,
                                       .price_jump_pct = 0.1 };
    struct breaker closed, open, half_open;
    breaker_init(&closed, &options);
    open = half_open = closed;
    breaker_trip(&open, START_NS, NS_PER_DAY, "disconnected", "the line is lost");
    breaker_trip(&half_open, START_NS - NS_PER_DAY, 0, "disconnected", "the line is lost");
    breaker_allows(&half_open, START_NS);
    breaker_sent(&half_open, START_NS);
    struct throttle throttle;
    throttle_init(&throttle, 1000);
    for (int64_t i = 0; i < 2000; i++)
        throttle_note(&throttle, START_NS + i * NS_PER_MS);
    int64_t now_ns = START_NS + 2000 * NS_PER_MS;
    TIME(c->empty, nothing(&closed, START_NS + i));
    TIME(c->closed, breaker_allows(&closed, START_NS + i));
    TIME(c->open, breaker_allows(&open, START_NS + i));
    TIME(c->half_open, breaker_allows(&half_open, START_NS + i));
    TIME(c->full, throttle_is_full(&throttle, now_ns, NS_PER_SECOND, 900));
    TIME(c->room, throttle_is_full(&throttle, now_ns + i, NS_PER_SECOND / 2, 900));
    TIME(c->within, throttle_within(&throttle, now_ns, NS_PER_SECOND / 2, 1000));
    TIME(c->note, (throttle_note(&throttle, now_ns + i), 1));
    throttle_release(&throttle);
    return count;
}

static void line(const char *what, double ns, double empty)
{
    printf("        %-44s %6.2f ns   %5.2f times an empty call\n", what, ns, ns / empty);
}

static void measure_checks(void)
{
    struct checks c = { 0 };
    for (int round = 0; round < ROUNDS; round++)
        run_checks(&c);
    printf("checks  an empty call: %.2f ns\n", c.empty);
    line("breaker closed", c.closed, c.empty);
    line("breaker open (aim < 50 ns)", c.open, c.empty);
    line("breaker half open, a probe out", c.half_open, c.empty);
    line("throttle full", c.full, c.empty);
    line("throttle with room", c.room, c.empty);
    line("throttle counted (1,000)", c.within, c.empty);
    line("throttle noted", c.note, c.empty);
}

/* ---- limits that are all set, and never reached ---- */

static struct risk_limits no_limits(void)
{
    struct risk_limits limits;
    risk_limits_init(&limits);
    return limits;
}

static struct risk_limits every_limit(void)
{
    struct risk_limits limits = no_limits();
    for (enum limit limit = 0; limit < LIMITS; limit++) {
        enum limit_kind kind = limit_info(limit)->kind;
        limits.value[limit] = kind == LIMIT_IS_MONEY   ? decimal_text("1000000000")
                              : kind == LIMIT_IS_COUNT ? decimal_int(THROTTLE_MAX)
                                                       : decimal_int(100);
    }
    limits.value[LIMIT_DAILY_LOSS_PCT] = limits.value[LIMIT_DRAWDOWN] = decimal_text("0.99");
    limits.value[LIMIT_COLLAR] = decimal_text("0.5");
    return limits;
}

/* ---- the verdict, through the engine ---- */

#define SYMBOLS 20
#define OPEN_ORDERS 100
#define BATCH 50 /* orders of one callback */
#define BATCHES 60

enum asking { ASK_NOTHING, ASK_OPEN, ASK_NO_LOT, ASK_BLOCKED, ASK_APPROVED, ASKINGS };

/* An engine between a venue that takes all and says nothing, and a ledger that keeps nothing. */
struct desk {
    struct instruments instruments;
    struct market *market;
    struct engine *engine;
    struct venue_abilities abilities;
    uint64_t next_id;
    int64_t now_ns;
    enum asking asking;
    uint64_t placed[OPEN_ORDERS];
    size_t placed_count;
    double asked_ns; /* the batch of the newest callback */
    char code[32];   /* of its last refusal */
};

static const struct venue_abilities *desk_abilities(void *self, uint32_t instrument)
{
    (void)instrument;
    return &((struct desk *)self)->abilities;
}

static int desk_take(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    (void)self, (void)order, (void)now_ns, (void)err;
    return 0;
}

static int desk_amend_taken(void *self, const struct order *order, decimal qty, decimal price,
                            int64_t now_ns, struct error *err)
{
    (void)qty, (void)price;
    return desk_take(self, order, now_ns, err);
}

static int desk_question(void *self, const struct venue_query *query, int64_t now_ns,
                         struct error *err)
{
    (void)self, (void)query, (void)now_ns, (void)err;
    return 0;
}

static int64_t desk_never(void *self)
{
    (void)self;
    return TIME_NEVER;
}

static int desk_commit(void *self, const struct turn *turn, struct error *err)
{
    (void)self, (void)turn, (void)err;
    return 0;
}

static uint64_t desk_next_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    struct desk *desk = self;
    snprintf(client_order_id, CLIENT_ORDER_ID_MAX, "c%" PRIu64, ++desk->next_id);
    return desk->next_id;
}

static void desk_next_client_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    desk_next_id(self, client_order_id);
}

static bool desk_is_ours(void *self, const char *client_order_id)
{
    (void)self;
    return client_order_id[0] == 'c';
}

static bool desk_find_order(void *self, const char *client_order_id, struct order *order)
{
    (void)self, (void)client_order_id, (void)order;
    return false;
}

static int desk_find_fill(void *self, uint32_t instrument, const char *exec_id, struct fill *fill,
                          uint64_t *order_id)
{
    (void)self, (void)instrument, (void)exec_id, (void)fill, (void)order_id;
    return BOOKED_NOT;
}

/* 100 is the price. One lot is 0.01, and less than 10 USD is no order here. */
static struct order_request request_for(const struct desk *desk, size_t i)
{
    struct order_request request;
    order_request_init(&request);
    request.instrument = (uint32_t)(i % SYMBOLS);
    request.type = ORDER_LIMIT;
    request.price = decimal_int(95);
    request.stop = decimal_int(90);
    request.qty = decimal_int(1);
    if (desk->asking == ASK_NO_LOT)
        request.qty = decimal_text("0.001");
    if (desk->asking == ASK_BLOCKED)
        request.qty = decimal_text("0.05");
    return request;
}

static int desk_call(void *self, enum guest_call call, const struct guest_event *event,
                     struct error *err)
{
    (void)event, (void)err;
    struct desk *desk = self;
    if (call != GUEST_TRADE || desk->asking == ASK_NOTHING)
        return 0;
    size_t count = desk->asking == ASK_OPEN ? OPEN_ORDERS : BATCH;
    struct order_request requests[OPEN_ORDERS];
    for (size_t i = 0; i < count; i++)
        requests[i] = request_for(desk, i);
    struct refusal refusal = { 0 };
    desk->placed_count = 0;
    int64_t begun = clock_now(clock_monotonic());
    for (size_t i = 0; i < count; i++) {
        uint64_t id = engine_submit(desk->engine, 0, &requests[i], &refusal);
        if (id)
            desk->placed[desk->placed_count++] = id;
    }
    desk->asked_ns = since(begun) / (double)count;
    memcpy(desk->code, refusal.code, sizeof(desk->code));
    bool places = desk->asking == ASK_OPEN || desk->asking == ASK_APPROVED;
    if (desk->placed_count != (places ? count : 0)) {
        fprintf(stderr, "bench: %zu of %zu orders were placed: %s %s\n", desk->placed_count, count,
                refusal.code, refusal.reason);
        exit(1);
    }
    return 0;
}

static bool desk_state(void *self, struct text *body)
{
    (void)self, (void)body;
    return false;
}

static bool desk_ready(void *self, uint32_t instrument)
{
    (void)self, (void)instrument;
    return true;
}

static void desk_closed(void *self)
{
    (void)self;
}

static void desk_trade(struct desk *desk, uint32_t symbol, int64_t price)
{
    struct error err = { 0 };
    struct event event = { .kind = EVENT_TRADE,
                           .instrument = symbol,
                           .time_ns = desk->now_ns,
                           .trade = { .price = price, .qty = 100, .side = SIDE_BUY } };
    for (int64_t due; (due = engine_due_ns(desk->engine)) <= desk->now_ns;)
        check(engine_advance(desk->engine, due, &err), &err);
    check(engine_step(desk->engine, &event, &err), &err);
}

/* What a batch placed is taken away again, untold to the strategy. */
static void desk_clear(struct desk *desk)
{
    struct error err = { 0 };
    desk->asking = ASK_NOTHING;
    for (size_t i = 0; i < desk->placed_count; i++) {
        struct report report = { .kind = REPORT_CANCELED, .transact_ns = desk->now_ns };
        const struct order *order = engine_order(desk->engine, desk->placed[i]);
        strcpy(report.client_order_id, order->client_order_id);
        struct event event = { .kind = EVENT_REPORT,
                               .instrument = order->instrument,
                               .time_ns = desk->now_ns,
                               .report = &report };
        check(engine_step(desk->engine, &event, &err), &err);
    }
    desk->placed_count = 0;
}

static void desk_instruments(struct desk *desk)
{
    struct error err = { 0 };
    for (int i = 0; i < SYMBOLS; i++) {
        struct instrument instrument = { .venue = "fake",
                                         .tick_size = decimal_text("0.01"),
                                         .lot_size = decimal_text("0.01"),
                                         .min_notional = decimal_int(10),
                                         .multiplier = decimal_int(1),
                                         .leverage = decimal_int(5),
                                         .short_allowed = true,
                                         .price_scale = 2,
                                         .qty_scale = 2 };
        snprintf(instrument.symbol, sizeof(instrument.symbol), "S%02d/USDT:USDT", i);
        uint32_t index;
        check(instruments_add(&desk->instruments, &instrument, &index, &err), &err);
    }
}

static void desk_strategy(struct desk *desk, const struct risk_limits *limits)
{
    struct error err = { 0 };
    uint32_t all[SYMBOLS];
    for (uint32_t i = 0; i < SYMBOLS; i++)
        all[i] = i;
    struct instance_options options = { .instance_id = 1,
                                        .strategy = "bench",
                                        .capital = decimal_int(100000),
                                        .instruments = all,
                                        .instrument_count = SYMBOLS,
                                        .limits = *limits };
    check(engine_add_instance(desk->engine, &options, &err), &err);
    struct guest guest = { .self = desk,
                           .calls = 1u << GUEST_TRADE | 1u << GUEST_RISK,
                           .call = desk_call,
                           .state = desk_state,
                           .ready = desk_ready,
                           .close = desk_closed };
    engine_set_guest(desk->engine, 0, guest);
    for (uint32_t i = 0; i < SYMBOLS; i++) {
        struct position position;
        position_init(&position);
        position.qty = decimal_int(1);
        position.cost = decimal_int(100);
        check(engine_restore_position(desk->engine, 0, i, &position, &err), &err);
    }
    check(engine_begin(desk->engine, 0, desk->now_ns, NULL, &err), &err);
}

static struct desk *desk_open(const struct risk_limits *account, const struct risk_limits *strategy)
{
    struct desk *desk = memory_new(sizeof(*desk));
    desk->abilities = (struct venue_abilities){ .types = ~0u,
                                                .tifs = ~0u,
                                                .oco = true,
                                                .reduce_only = true,
                                                .amend = AMEND_IN_PLACE,
                                                .answer_within_ns = TIME_NEVER,
                                                .post_only = true };
    desk->now_ns = START_NS;
    desk_instruments(desk);
    desk->market = market_open(&desk->instruments);
    struct engine_options options = { .instruments = &desk->instruments,
                                      .market = desk->market,
                                      .venue = { .self = desk,
                                                 .abilities = desk_abilities,
                                                 .submit = desk_take,
                                                 .amend = desk_amend_taken,
                                                 .cancel = desk_take,
                                                 .query = desk_question,
                                                 .due_ns = desk_never },
                                      .ledger = { .self = desk,
                                                  .commit = desk_commit,
                                                  .next_order_id = desk_next_id,
                                                  .next_client_order_id = desk_next_client_id,
                                                  .is_ours = desk_is_ours,
                                                  .find_order = desk_find_order,
                                                  .find_fill = desk_find_fill },
                                      .account = *account };
    desk->engine = engine_open(&options);
    desk_strategy(desk, strategy);
    struct random random;
    random_seed(&random, 11);
    for (int hour = 0; hour < WARM_HOURS; hour++) {
        desk->now_ns = START_NS + hour * HOUR_NS;
        for (uint32_t i = 0; i < SYMBOLS; i++)
            desk_trade(desk, i, 10000 + (int64_t)(40 * random_normal(&random)));
    }
    desk->now_ns += NS_PER_MINUTE;
    desk->asking = ASK_OPEN;
    desk_trade(desk, 0, 10000);
    desk->asking = ASK_NOTHING;
    return desk;
}

static void desk_close(struct desk *desk)
{
    engine_close(desk->engine);
    market_close(desk->market);
    free(desk);
}

struct asked {
    double least[ASKINGS];
    char code[32];
};

static void run_verdicts(struct desk *desk, struct asked *asked)
{
    static const enum asking ways[] = { ASK_NO_LOT, ASK_BLOCKED, ASK_APPROVED };
    for (size_t i = 0; i < BATCHES * ARRAY_SIZE(ways); i++) {
        desk->asking = ways[i % ARRAY_SIZE(ways)];
        enum asking way = desk->asking;
        desk->now_ns += 2 * NS_PER_SECOND;
        desk_trade(desk, 0, 10000);
        keep_least(&asked->least[way], desk->asked_ns);
        if (way == ASK_BLOCKED)
            memcpy(asked->code, desk->code, sizeof(asked->code));
        desk_clear(desk);
    }
}

enum desk_kind { WITHOUT, ACCOUNT, BOTH, DESKS };

static void row(const char *what, const struct asked asked[DESKS], enum asking asking)
{
    printf("        %-44s %6.0f ns   %6.0f ns   %6.0f ns\n", what, asked[WITHOUT].least[asking],
           asked[ACCOUNT].least[asking], asked[BOTH].least[asking]);
}

/* What a refusal tells (a record, a line of log, a callback) is in all three columns. */
static void measure_verdicts(void)
{
    struct risk_limits none = no_limits(), every = every_limit();
    const struct risk_limits *limits[DESKS][2] = {
        [WITHOUT] = { &none, &none }, [ACCOUNT] = { &every, &none }, [BOTH] = { &every, &every }
    };
    struct desk *desks[DESKS];
    struct asked asked[DESKS] = { 0 };
    for (int i = 0; i < DESKS; i++)
        desks[i] = desk_open(limits[i][0], limits[i][1]);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < DESKS; i++)
            run_verdicts(desks[i], &asked[i]);
    for (int i = 0; i < DESKS; i++)
        desk_close(desks[i]);
    char blocked[64];
    snprintf(blocked, sizeof(blocked), "blocked at the end, and told (%s)", asked[BOTH].code);
    printf("verdict %d open orders, %d positions; every limit of   nobody     account   "
           "and strategy\n",
           OPEN_ORDERS, SYMBOLS);
    row("refused before the gate (zero_qty)", asked, ASK_NO_LOT);
    row(blocked, asked, ASK_BLOCKED);
    row("approved, and placed", asked, ASK_APPROVED);
    printf("        thirteen limits of the account add %.0f ns to a verdict, of the strategy too "
           "%.0f (aim < 1,000)\n",
           asked[ACCOUNT].least[ASK_BLOCKED] - asked[WITHOUT].least[ASK_BLOCKED],
           asked[BOTH].least[ASK_BLOCKED] - asked[WITHOUT].least[ASK_BLOCKED]);
}

/* ---- a whole run ---- */

/* Hours of market first, so that there is something to estimate from. */
static struct ticks warm_ticks(void)
{
    struct ticks ticks = make_ticks(WARM_HOURS, START_NS);
    for (size_t i = 0; i < ticks.count; i++)
        ticks.events[i].time_ns = START_NS + (int64_t)i * HOUR_NS;
    return ticks;
}

static void measure_run(size_t count)
{
    char text[2048];
    snprintf(text, sizeof(text), strategy_text, 600, 3000);
    struct risk_limits limits[2] = { no_limits(), every_limit() };
    /* Bound market orders count at their bound, and would be fewer: that is another run. */
    limits[1].value[LIMIT_COLLAR] = DECIMAL_NONE;
    struct ticks warm = warm_ticks();
    struct ticks ticks = make_ticks(count, START_NS + WARM_HOURS * HOUR_NS);
    double least[2] = { 0 };
    uint64_t orders[2] = { 0 };
    for (int round = 0; round < RUNS; round++)
        for (int i = 0; i < 2; i++) {
            struct rig *rig = rig_open(text, &limits[i], START_NS);
            rig_run(rig, &warm);
            int64_t begun = clock_now(clock_monotonic());
            orders[i] = rig_run(rig, &ticks);
            keep_least(&least[i], since(begun));
            rig_close(rig);
        }
    /* The first order, before there are hours enough to estimate volatility from, is blocked. */
    printf("run     %zu ticks: %.1f ns/tick without limits (%" PRIu64
           " orders), %.1f with all (%" PRIu64 "): %.3f (aim < 1.10)\n",
           count, least[0] / (double)count, orders[0], least[1] / (double)count, orders[1],
           least[1] / least[0]);
    free(warm.events);
    free(ticks.events);
}

int main(void)
{
    measure_checks();
    measure_verdicts();
    measure_run(1000000);
    return 0;
}
