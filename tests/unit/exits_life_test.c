/* exits_life_test.c - long random lives of protected entries, on each kind of venue: fills in any
 * order, races, cancels by the strategy, prices that reach what the engine watches, restarts at any
 * moment. Whenever all answers are in, each kind of exit covers exactly what is held. */
#include "tests/unit/fakes.h"

#include "runtime/base/random.h"

#define A 0
#define BIT(x) (1u << (x))
#define STEPS 10000

struct kind {
    const char *name;
    bool oco, stops, spot, ioc;
    enum amend_kind amend;
};

static const struct kind KINDS[] = {
    { "linked", true, true, false, true, AMEND_IN_PLACE },
    { "linked, no amends", true, true, false, true, AMEND_NONE },
    { "stops", false, true, false, true, AMEND_IN_PLACE },
    { "stops, new ids", false, true, true, false, AMEND_NEW_ID },
    { "stops, margin, no amends", false, true, false, true, AMEND_NONE },
    { "stops, spot, no amends", false, true, true, true, AMEND_NONE },
    { "neither", false, false, true, true, AMEND_IN_PLACE },
    { "neither, no ioc, no amends", false, false, false, false, AMEND_NONE },
};

/* What is done to the orders. */
struct life {
    const struct kind *kind;
    struct stage *s;
    struct random random;
    uint64_t ids[512]; /* of orders that may live */
    size_t count;
    enum order_side side; /* of all entries */
    bool guest_cancels, late_fills;
    bool crossed; /* a race sold more than was held: what closes it may race with entries as well */
    uint64_t checks, exact;
};

static struct stage *stage_of(const struct kind *kind)
{
    struct stage *s = stage_new(NULL);
    struct instance_options options = instance_defaults();
    options.capital = D("100000000");
    stage_add(s, options);
    s->quiet = true;
    s->abilities.oco = kind->oco;
    s->abilities.reduce_only = kind->oco;
    s->abilities.amend = kind->amend;
    s->abilities.cash_is_spot = kind->spot;
    s->abilities.types = BIT(ORDER_MARKET) | BIT(ORDER_LIMIT) | (kind->stops ? BIT(ORDER_STOP) : 0);
    s->abilities.tifs = BIT(TIF_GTC) | (kind->ioc ? BIT(TIF_IOC) : 0);
    trade(s, BTC, "100");
    return s;
}

static bool chance(struct life *life, uint64_t one_in)
{
    return random_below(&life->random, one_in) == 0;
}

static bool list_open(void *self, const struct order *order)
{
    struct life *life = self;
    assert_true(life->count < ARRAY_SIZE(life->ids));
    life->ids[life->count++] = order->order_id;
    return true;
}

/* Orders that the venue works, or is asked something about. */
static void look(struct life *life)
{
    life->count = 0;
    life->s->sent_count = 0; /* what was sent is told by what is pending */
    engine_each_order(life->s->engine, A, false, list_open, life);
}

static decimal some_of(struct life *life, decimal qty)
{
    int64_t lots;
    assert_int_equal(decimal_mantissa(qty, 3, &lots), 0);
    return decimal_make(1 + (int64_t)random_below(&life->random, (uint64_t)lots), 3);
}

/* A venue that links orders: what one fills the others of its group lose. */
static void cut_group(struct life *life, uint64_t group_id, uint64_t filled_id, decimal left)
{
    struct stage *s = life->s;
    for (size_t i = 0; i < life->count; i++) {
        const struct order *order = engine_order(s->engine, life->ids[i]);
        if (!order || order->group_id != group_id || order->order_id == filled_id ||
            !order_is_open(order) || order->held)
            continue;
        if (decimal_is_zero(left))
            tell(s, order->order_id, REPORT_CANCELED);
        else if (decimal_cmp(order_remaining(order), left) > 0)
            tell_terms(s, order->order_id, REPORT_RESTATED, decimal_add(order->filled_qty, left));
    }
}

static void note_crossing(struct life *life)
{
    life->crossed |= decimal_sign(held(life->s, BTC)) == -(int)life->side;
}

static void fill_some(struct life *life, uint64_t id, decimal qty)
{
    struct stage *s = life->s;
    const struct order before = *order_at(s, id);
    struct report report = fill_report(s, id, qty, D("100"), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &report));
    note_crossing(life);
    if (life->kind->oco && before.role != ROLE_PLAIN)
        cut_group(life, before.group_id, id, decimal_sub(order_remaining(&before), qty));
}

/* A venue that renames a replaced order speaks of it by its new name. */
static void replaced(struct stage *s, const struct order *order)
{
    struct report report = report_on(s, order->order_id, REPORT_REPLACED);
    if (order->pending_client_order_id[0])
        memcpy(report.client_order_id, order->pending_client_order_id,
               sizeof(report.client_order_id));
    assert_done(s, tell_code(s, &report));
}

/* Answers what is asked of an order. False: nothing is. */
static bool answer(struct life *life, uint64_t id)
{
    struct stage *s = life->s;
    const struct order *order = engine_order(s->engine, id);
    if (!order || !order_is_open(order) || order->held)
        return false;
    if (order->known == ORDER_PENDING_NEW)
        tell(s, id, REPORT_ACK);
    else if (order->pending & PENDING_REPLACE)
        replaced(s, order);
    else if (order->pending & PENDING_CANCEL)
        tell(s, id, REPORT_CANCELED);
    else
        return false;
    return true;
}

/* What cannot rest ends: a market order fills, the rest of an immediate one is canceled. */
static bool finish(struct life *life, uint64_t id)
{
    struct stage *s = life->s;
    const struct order *order = engine_order(s->engine, id);
    if (!order || !order_is_open(order) || order->held)
        return false;
    bool fires = order->type == ORDER_STOP && !(s->abilities.types & BIT(ORDER_STOP));
    if (order->type == ORDER_MARKET || fires)
        fill_some(life, id, order_remaining(order));
    else if (order->tif == TIF_IOC)
        tell(s, id, REPORT_CANCELED);
    else
        return false;
    return true;
}

static void happen(struct life *life)
{
    struct stage *s = life->s;
    look(life);
    if (life->count == 0)
        return;
    uint64_t id = life->ids[random_below(&life->random, life->count)];
    const struct order order = *order_at(s, id);
    if (order.held)
        return;
    bool is_exit = order.role != ROLE_PLAIN;
    if (chance(life, is_exit ? 12 : 3)) /* also while an answer is due */
        fill_some(life, id, some_of(life, order_remaining(&order)));
    else if (!answer(life, id) && !finish(life, id) && is_exit && chance(life, 20))
        tell(s, id, REPORT_CANCELED); /* by the venue itself */
    const struct order *after = engine_order(s->engine, id);
    if (life->late_fills && after && after->known == ORDER_CANCELED && is_exit &&
        decimal_cmp(after->qty, after->filled_qty) > 0 && chance(life, 10)) {
        decimal qty = some_of(life, decimal_sub(after->qty, after->filled_qty));
        struct report report = fill_report(s, id, qty, D("100"), DECIMAL_ZERO);
        assert_done(s, tell_code(s, &report));
        note_crossing(life);
    }
}

static void settle_all(struct life *life)
{
    for (bool again = true; again;) {
        again = false;
        look(life);
        size_t count = life->count;
        uint64_t ids[ARRAY_SIZE(life->ids)];
        memcpy(ids, life->ids, sizeof(ids));
        for (size_t i = 0; i < count; i++)
            again |= answer(life, ids[i]) || finish(life, ids[i]);
    }
}

struct coverage {
    decimal stops, takes;
};

static bool add_coverage(void *self, const struct order *order)
{
    struct coverage *coverage = self;
    assert_false(order->doubt);
    if (order->role == ROLE_PLAIN)
        return true;
    decimal *sum = order->role == ROLE_STOP ? &coverage->stops : &coverage->takes;
    *sum = decimal_add(*sum, order_remaining(order));
    return true;
}

static bool show(void *self, const struct order *order)
{
    char qty[DECIMAL_TEXT_MAX], filled[DECIMAL_TEXT_MAX];
    (void)self;
    print_message("  %" PRIu64 " of %" PRIu64 " %s %s %s filled %s %s%s\n", order->order_id,
                  order->parent_order_id, order_role_name(order->role),
                  order_type_name(order->type), decimal_format(order->qty, qty),
                  decimal_format(order->filled_qty, filled), order_status_name(order_status(order)),
                  order->held ? " here" : "");
    return true;
}

static void check(struct life *life, uint64_t seed, int step)
{
    struct stage *s = life->s;
    struct coverage coverage = { DECIMAL_ZERO, DECIMAL_ZERO };
    engine_each_order(s->engine, A, false, add_coverage, &coverage);
    decimal most = decimal_abs(held(s, BTC));
    int stops = decimal_cmp(coverage.stops, most), takes = decimal_cmp(coverage.takes, most);
    bool right = stops <= 0 && takes <= 0;
    if (decimal_is_zero(most))
        life->crossed = false;
    life->checks++;
    if (!life->guest_cancels && !life->crossed) {
        right = stops == 0 && takes == 0;
        life->exact++;
    }
    if (right)
        return;
    char position[DECIMAL_TEXT_MAX];
    print_message("%s, seed %" PRIu64 ", step %d: held %s\n", life->kind->name, seed, step,
                  decimal_format(held(s, BTC), position));
    engine_each_order(s->engine, A, false, show, NULL);
    fail();
}

static void ask(struct life *life)
{
    struct stage *s = life->s;
    enum order_side out = life->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    bool enters = chance(life, 2);
    struct order_request request = request_of(enters ? life->side : out, "1");
    request.qty = decimal_make(1 + (int64_t)random_below(&life->random, 3000), 3);
    if (enters) {
        request.stop = life->side == SIDE_BUY ? D("90") : D("110");
        request.take = life->side == SIDE_BUY ? D("110") : D("90");
    } else {
        request.reduce_only = true;
    }
    submit(s, A, request);
}

static void move_price(struct life *life)
{
    static const char *const prices[] = { "85", "90", "95", "100", "105", "110", "115" };
    trade(life->s, BTC, prices[random_below(&life->random, ARRAY_SIZE(prices))]);
}

static void cancel_one(struct life *life)
{
    look(life);
    if (life->count > 0)
        engine_cancel(life->s->engine, A, life->ids[random_below(&life->random, life->count)],
                      &life->s->refusal);
    settle(life->s);
}

static bool take_order(void *self, const struct order *order)
{
    struct stage *fresh = self;
    assert_int_equal(engine_restore_order(fresh->engine, order, &fresh->err), 0);
    return true;
}

static void restart(struct life *life)
{
    struct stage *s = life->s, *fresh = stage_of(life->kind);
    fresh->next_id = s->next_id;
    fresh->next_exec = s->next_exec;
    fresh->now_ns = s->now_ns;
    assert_int_equal(engine_restore_position(fresh->engine, A, BTC,
                                             engine_position(s->engine, A, BTC), &fresh->err),
                     0);
    engine_each_order(s->engine, A, false, take_order, fresh);
    assert_done(fresh, engine_begin(fresh->engine, A, fresh->now_ns, NULL, &fresh->err));
    stage_free(s);
    life->s = fresh;
}

static void live(const struct kind *kind, uint64_t seed)
{
    struct life life = { .kind = kind, .s = stage_of(kind) };
    life.side = seed % 2 ? SIDE_BUY : SIDE_SELL;
    life.guest_cancels = seed % 4 == 0;
    life.late_fills = seed % 3 == 0;
    random_seed(&life.random, seed);
    for (int i = 0; i < STEPS; i++) {
        look(&life);
        if (life.count < 40 && chance(&life, 6))
            ask(&life);
        if (chance(&life, 20))
            move_price(&life);
        if (life.guest_cancels && chance(&life, 15))
            cancel_one(&life);
        happen(&life);
        if (chance(&life, 400))
            restart(&life);
        if (chance(&life, 6)) {
            settle_all(&life);
            check(&life, seed, i);
        }
    }
    assert_true(life.guest_cancels || life.exact > life.checks / 4);
    stage_free(life.s);
}

static void exits_cover_what_is_held(void **state)
{
    (void)state;
    static const uint64_t seeds[] = { 1, 2, 3, 4, 12, 13, 30 }; /* the last found faults */
    for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++)
        for (size_t k = 0; k < ARRAY_SIZE(seeds); k++)
            live(&KINDS[i], seeds[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(exits_cover_what_is_held) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
