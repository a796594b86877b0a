/* exposure.c - what is at stake: running sums over open orders and positions, so that a verdict
 * needs no walk over them.
 *
 * Every order remembers what it last counted for (its stake); whenever it may have changed, the
 * difference is moved into the sums of its holding, its instrument and its scopes. Counting twice
 * changes nothing, so all that changes an order may call this. Orders that only reduce count
 * nothing. */
#include "runtime/engine/state.h"

/* ---- what one order has at stake ---- */

bool gate_may_link(const struct engine *engine, const struct order *a, const struct order *b)
{
    const struct venue_port *venue = &engine->options.venue;
    return venue->abilities(venue->self, a->instrument)->oco && !held_is_needed(engine, a) &&
           !held_is_needed(engine, b);
}

/* What of a working quantity the first order of its group counts already. */
static decimal counted_by_first(const struct engine *engine, const struct order *order)
{
    if (order->group_id == 0 || order->group_id == order->order_id)
        return DECIMAL_ZERO;
    const struct order *first = blotter_find(engine->blotter, order->group_id);
    bool shared = first && !first->reduce_only && first->side == order->side &&
                  gate_may_link(engine, first, order);
    return shared ? order_remaining(first) : DECIMAL_ZERO;
}

/* Of an order that is being replaced the larger quantity counts. */
static decimal working_qty(const struct engine *engine, const struct order *order)
{
    decimal qty = order_remaining(order);
    if (order->pending & PENDING_REPLACE)
        qty = decimal_max(qty, decimal_sub(order->pending_qty, order->filled_qty));
    return decimal_max(decimal_sub(qty, counted_by_first(engine, order)), DECIMAL_ZERO);
}

/* A replace under way may make it dearer. */
static decimal working_price(const struct engine *engine, const struct order *order)
{
    decimal price =
        risk_entry_price(order, gate_reference_price(engine, order->instrument, order->side));
    if (decimal_valid(order->trigger_price)) /* then it has a price */
        price = decimal_max(price, order->trigger_price);
    if (order->pending & PENDING_REPLACE && decimal_valid(order->pending_price))
        price = decimal_max(price, order->pending_price);
    return price;
}

static const struct stake no_stake = {
    .qty = { 0, 0 },
    .value = { 0, 0 },
    .heat = { 0, 0 },
    .price = { 0, DECIMAL_INVALID },
    .reference = { 0, DECIMAL_INVALID },
};

struct stake exposure_stake(const struct engine *engine, const struct order *order)
{
    struct stake stake = no_stake;
    stake.rests = order_is_open(order) && !order->held && order->type == ORDER_LIMIT;
    if (!order_is_open(order) || order->reduce_only)
        return stake;
    const struct instrument *instrument = instrument_at(engine, order->instrument);
    stake.opens = true;
    stake.is_unfilled = decimal_is_zero(order->filled_qty);
    stake.qty = working_qty(engine, order);
    stake.price = working_price(engine, order);
    stake.reference = gate_reference_price(engine, order->instrument, order->side);
    decimal fx = totals_fx(engine, order->instrument);
    if (!decimal_valid(stake.price) || !decimal_valid(fx)) {
        stake.price = DECIMAL_NONE; /* restored, and no price yet: see exposure_price_all */
        return stake;
    }
    decimal money = decimal_mul(decimal_mul(stake.qty, instrument->multiplier), fx);
    stake.value = decimal_mul(money, stake.price);
    stake.heat =
        decimal_mul(decimal_mul(stake.qty, fx),
                    risk_of_unit(order, instrument, stake.price, engine->options.risk.no_stop_pct));
    return stake;
}

/* ---- sums ---- */

static void forget_worth(struct engine *engine, struct holding *holding, uint32_t instrument)
{
    holding->worth.event = engine->exposures[instrument].worth.event = UINT64_MAX;
}

static bool is_same(decimal a, decimal b)
{
    return a.scale == b.scale && a.coefficient == b.coefficient;
}

static bool is_same_stake(const struct stake *a, const struct stake *b)
{
    return a->opens == b->opens && a->rests == b->rests && a->is_unfilled == b->is_unfilled &&
           is_same(a->qty, b->qty) && is_same(a->value, b->value) && is_same(a->heat, b->heat) &&
           is_same(a->price, b->price);
}

static void move(decimal *sum, decimal was, decimal is)
{
    if (!is_same(was, is))
        *sum = decimal_add(decimal_sub(*sum, was), is);
}

static void move_count(uint32_t *count, bool was, bool is)
{
    *count += (uint32_t)is - (uint32_t)was;
}

/* Something is held here, or an order may make it so. */
static void count_holding(struct engine *engine, int instance, struct holding *holding,
                          uint32_t instrument)
{
    bool is_open = holding->entries > 0 || !decimal_is_zero(holding->position.qty);
    struct scope *scopes[SCOPES];
    if (is_open == holding->is_open)
        return;
    holding->is_open = is_open;
    scopes_of(engine, instance, instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        scopes[i]->open_positions += is_open ? 1 : UINT32_MAX;
}

static void note_price(struct exposure *exposure, const struct stake *was, const struct stake *is)
{
    bool was_highest = decimal_valid(was->price) && decimal_cmp(was->price, exposure->price) == 0;
    if (was_highest && (!decimal_valid(is->price) || decimal_cmp(is->price, was->price) < 0))
        exposure->is_price_stale = true;
    if (decimal_valid(is->price))
        exposure->price =
            decimal_valid(exposure->price) ? decimal_max(exposure->price, is->price) : is->price;
}

static bool lacks_price(const struct stake *stake)
{
    return stake->opens && !decimal_valid(stake->price);
}

static void count(struct engine *engine, struct order *order, const struct stake *is)
{
    struct stake *was = blotter_stake(order);
    if (is_same_stake(was, is))
        return;
    int instance = instance_of_order(engine, order);
    struct holding *holding = instance_holding(engine, instance, order->instrument);
    struct exposure *exposure = &engine->exposures[order->instrument];
    bool buys = order->side == SIDE_BUY;
    move(buys ? &holding->working_buy : &holding->working_sell, was->qty, is->qty);
    move(buys ? &exposure->buy : &exposure->sell, was->qty, is->qty);
    move_count(&holding->entries, was->opens, is->opens);
    move_count(&exposure->resting[buys], was->rests, is->rests);
    move_count(&engine->unpriced, lacks_price(was), lacks_price(is));
    note_price(exposure, was, is);
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance, order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++) {
        move(&scopes[i]->open_value, was->value, is->value);
        move(&scopes[i]->open_heat, was->heat, is->heat);
        move_count(&scopes[i]->open_unfilled, was->is_unfilled, is->is_unfilled);
    }
    decimal reference = decimal_valid(was->reference) ? was->reference : is->reference;
    *was = *is;
    was->reference = reference;
    forget_worth(engine, holding, order->instrument);
    count_holding(engine, instance, holding, order->instrument);
    engine->stakes++;
}

/* What the others of its group count depends on the first one. */
static void follow_group(struct engine *engine, const struct order *first)
{
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->group_id != first->group_id || order == first)
            continue;
        struct stake stake = exposure_stake(engine, order);
        count(engine, order, &stake);
    }
}

void exposure_follow(struct engine *engine, struct order *order)
{
    struct stake stake = exposure_stake(engine, order);
    count(engine, order, &stake);
    engine->covers += order->reduce_only && held_is_stop(order->type);
    if (order->group_id != 0 && order->group_id == order->order_id && !order->reduce_only)
        follow_group(engine, order);
}

void exposure_price_all(struct engine *engine)
{
    for (size_t i = 0; engine->unpriced > 0 && i < blotter_open_count(engine->blotter); i++)
        exposure_follow(engine, blotter_open_at(engine->blotter, i));
}

void exposure_forget(struct engine *engine, uint64_t order_id)
{
    struct order *order = blotter_find(engine->blotter, order_id);
    count(engine, order, &no_stake);
}

void exposure_follow_position(struct engine *engine, int instance, uint32_t instrument)
{
    struct holding *holding = instance_holding(engine, instance, instrument);
    move(&engine->exposures[instrument].position, holding->counted, holding->position.qty);
    holding->counted = holding->position.qty;
    forget_worth(engine, holding, instrument);
    count_holding(engine, instance, holding, instrument);
    engine->money++;
}

decimal exposure_price(struct engine *engine, uint32_t instrument)
{
    struct exposure *exposure = &engine->exposures[instrument];
    if (!exposure->is_price_stale)
        return exposure->price;
    exposure->is_price_stale = false;
    exposure->price = DECIMAL_NONE;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instrument == instrument)
            note_price(exposure, &no_stake, blotter_stake(order));
    }
    return exposure->price;
}

/* ---- worth ---- */

static double signed_worth(decimal position, decimal buy, decimal sell, double unit)
{
    decimal with_buys = decimal_add(position, buy), with_sells = decimal_sub(position, sell);
    bool up = decimal_cmp(decimal_abs(with_buys), decimal_abs(with_sells)) >= 0;
    decimal larger = up ? with_buys : with_sells;
    return decimal_is_zero(larger) ? 0 : decimal_to_double(larger) * unit; /* no price: NaN */
}

static decimal higher(decimal a, decimal b)
{
    return !decimal_valid(a) ? b : decimal_valid(b) ? decimal_max(a, b) : a;
}

/* After a restart there is no mark yet: until then what the position cost, or an open order's
 * price.
 */
static decimal price_without_mark(struct engine *engine, uint32_t instrument)
{
    decimal price = exposure_price(engine, instrument);
    for (int i = 0; i < engine->instance_count; i++) {
        size_t at = holding_index(&engine->instances[i], instrument);
        if (at != SIZE_MAX)
            price =
                higher(price, position_avg_price(&engine->instances[i].holdings[at].position,
                                                 instrument_at(engine, instrument)->multiplier));
    }
    return price;
}

static decimal money_of(const struct engine *engine, uint32_t instrument, decimal price)
{
    return decimal_mul(decimal_mul(price, instrument_at(engine, instrument)->multiplier),
                       totals_fx(engine, instrument));
}

/* Nothing leaves without a price. */
static void compute_worth(struct engine *engine, uint32_t instrument, decimal position, decimal buy,
                          decimal sell, struct worth *worth)
{
    decimal mark = market_mark(engine->market, instrument);
    decimal unit = money_of(engine, instrument, mark);
    decimal worse = decimal_max(decimal_abs(decimal_add(position, buy)),
                                decimal_abs(decimal_sub(position, sell)));
    worth->event = engine->counts.events;
    decimal each = decimal_valid(mark)
                       ? unit
                       : money_of(engine, instrument, price_without_mark(engine, instrument));
    worth->bound = decimal_is_zero(worse) ? DECIMAL_ZERO : decimal_mul(worse, each);
    if (!engine->volatility)
        return;
    double weight = decimal_to_double(unit);
    worth->weight[0] = signed_worth(position, buy, sell, weight);
    worth->weight[1] = signed_worth(position, DECIMAL_ZERO, DECIMAL_ZERO, weight);
}

const struct worth *exposure_worth(struct engine *engine, uint32_t instrument)
{
    struct exposure *exposure = &engine->exposures[instrument];
    if (exposure->worth.event != engine->counts.events)
        compute_worth(engine, instrument, exposure->position, exposure->buy, exposure->sell,
                      &exposure->worth);
    return &exposure->worth;
}

const struct worth *exposure_worth_of(struct engine *engine, struct instance *instance, size_t k)
{
    struct holding *holding = &instance->holdings[k];
    if (holding->worth.event != engine->counts.events)
        compute_worth(engine, instance->instruments[k], holding->position.qty, holding->working_buy,
                      holding->working_sell, &holding->worth);
    return &holding->worth;
}

/* ---- for tests: whether the sums are what a walk over everything finds. All are looked at, in
 * straight lines: nothing branches to where no test may come. ---- */

static bool is_sum(decimal sum, decimal found)
{
    return decimal_is_zero(decimal_sub(sum, found));
}

/* What a walk over the open orders finds for those of one instrument and instance; -1: of all. */
struct walk {
    decimal buy, sell, value, heat;
    uint32_t entries, unfilled, resting[2];
    bool is_true; /* every order counts for what it has at stake now, prices aside */
};

static void walk_over(struct walk *walk, const struct engine *engine, struct order *order)
{
    const struct stake *counted = blotter_stake(order);
    struct stake now = exposure_stake(engine, order);
    bool buys = order->side == SIDE_BUY;
    walk->is_true &= (counted->opens == now.opens) & (counted->rests == now.rests) &
                     (counted->is_unfilled == now.is_unfilled) & is_sum(counted->qty, now.qty);
    walk->buy = buys ? decimal_add(walk->buy, now.qty) : walk->buy;
    walk->sell = buys ? walk->sell : decimal_add(walk->sell, now.qty);
    walk->value = decimal_add(walk->value, counted->value);
    walk->heat = decimal_add(walk->heat, counted->heat);
    walk->entries += now.opens;
    walk->unfilled += now.is_unfilled;
    walk->resting[buys] += now.rests;
}

static struct walk walk_of(const struct engine *engine, int instance, uint32_t instrument)
{
    struct walk walk = { .is_true = true };
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if ((instance < 0 || instance_of_order(engine, order) == instance) &&
            (instrument == INSTRUMENT_NONE || order->instrument == instrument))
            walk_over(&walk, engine, order);
    }
    return walk;
}

static bool holding_agrees(const struct engine *engine, int instance, uint32_t instrument,
                           const struct holding *holding)
{
    struct walk walk = walk_of(engine, instance, instrument);
    bool is_open = walk.entries > 0 || !decimal_is_zero(holding->position.qty);
    bool agrees = (holding->entries == walk.entries) & (holding->is_open == is_open);
    agrees &= is_sum(holding->working_buy, walk.buy);
    agrees &= is_sum(holding->working_sell, walk.sell);
    agrees &= is_sum(holding->counted, holding->position.qty);
    return agrees;
}

static bool instrument_agrees(const struct engine *engine, uint32_t instrument, uint32_t *open)
{
    const struct exposure *exposure = &engine->exposures[instrument];
    struct walk walk = walk_of(engine, -1, instrument);
    decimal position = DECIMAL_ZERO;
    bool agrees = walk.is_true;
    for (int i = 0; i < engine->instance_count; i++) {
        size_t at = holding_index(&engine->instances[i], instrument);
        if (at == SIZE_MAX)
            continue;
        const struct holding *holding = &engine->instances[i].holdings[at];
        agrees &= holding_agrees(engine, i, instrument, holding);
        position = decimal_add(position, holding->position.qty);
        *open += holding->is_open;
    }
    agrees &= is_sum(exposure->position, position);
    agrees &= is_sum(exposure->buy, walk.buy);
    agrees &= is_sum(exposure->sell, walk.sell);
    agrees &= exposure->resting[0] == walk.resting[0];
    agrees &= exposure->resting[1] == walk.resting[1];
    return agrees;
}

bool engine_sums_agree(struct engine *engine)
{
    uint32_t open = 0;
    bool agrees = true;
    for (uint32_t k = 0; k < engine->instruments->count; k++)
        agrees &= instrument_agrees(engine, k, &open);
    struct walk all = walk_of(engine, -1, INSTRUMENT_NONE);
    const struct scope *account = &engine->account;
    agrees &= is_sum(account->open_value, all.value);
    agrees &= is_sum(account->open_heat, all.heat);
    agrees &= account->open_unfilled == all.unfilled;
    agrees &= account->open_positions == open;
    return agrees;
}
