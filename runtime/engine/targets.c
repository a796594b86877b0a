/* targets.c - orders that follow from where a position shall be: target, close, size, flatten. */
#include "runtime/engine/state.h"

#include <math.h>

/* Signed quantity of the instance's market orders under way: they will be position soon. */
decimal targets_under_way(const struct engine *engine, int index, uint32_t instrument)
{
    decimal sum = DECIMAL_ZERO;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        bool fired = !order->held && held_is_needed(engine, order);
        if (order->instance_id != engine->instances[index].instance_id ||
            order->instrument != instrument ||
            (fired ? held_fired_type(order->type) : order->type) != ORDER_MARKET)
            continue;
        decimal qty = order_remaining(order);
        sum = decimal_add(sum, order->side == SIDE_BUY ? qty : decimal_neg(qty));
    }
    return sum;
}

static uint64_t submit_difference(struct engine *engine, int index, uint32_t instrument,
                                  decimal difference, const struct order_request *options,
                                  struct refusal *refusal)
{
    struct order_request request = *options;
    request.instrument = instrument;
    request.side = decimal_sign(difference) > 0 ? SIDE_BUY : SIDE_SELL;
    request.qty = decimal_abs(difference);
    request.notional = DECIMAL_NONE;
    return engine_submit(engine, index, &request, refusal);
}

/* Toward zero and not past it: said to the venue, so that an exit that fires meanwhile cannot turn
 * the position, and to the gate, so that other orders at work cannot hold it back. */
static bool only_reduces(decimal held, decimal difference)
{
    return decimal_sign(held) * decimal_sign(difference) < 0 &&
           decimal_cmp(decimal_abs(difference), decimal_abs(held)) <= 0;
}

uint64_t engine_target(struct engine *engine, int index, uint32_t instrument, decimal qty,
                       const struct order_request *options, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    decimal lot = instrument_at(engine, instrument)->lot_size;
    decimal wanted = decimal_to_multiple(qty, lot, ROUND_DOWN);
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal difference =
        decimal_sub(wanted, decimal_add(held, targets_under_way(engine, index, instrument)));
    if (!decimal_valid(difference)) {
        desk_refuse(refusal, "range", "the target does not fit a decimal");
        return 0;
    }
    if (decimal_cmp(decimal_abs(difference), lot) < 0)
        return 0;
    struct order_request request = *options;
    request.reduce_only |= only_reduces(held, difference);
    return submit_difference(engine, index, instrument, difference, &request, refusal);
}

uint64_t engine_close_position(struct engine *engine, int index, uint32_t instrument,
                               const struct order_request *options, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal left = decimal_add(held, targets_under_way(engine, index, instrument));
    /* Under way beyond flat: somebody is flipping; closing is about what is held. */
    if (decimal_is_zero(held) || decimal_sign(left) != decimal_sign(held))
        return 0;
    if (decimal_cmp(decimal_abs(left), decimal_abs(held)) > 0)
        left = held;
    struct order_request request = *options;
    request.reduce_only = true;
    return submit_difference(engine, index, instrument, decimal_neg(left), &request, refusal);
}

decimal engine_size(struct engine *engine, int index, uint32_t instrument_index,
                    double risk_percent, double stop_distance, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    const struct instrument *instrument = instrument_at(engine, instrument_index);
    if (!isfinite(stop_distance) || stop_distance <= 0) {
        desk_refuse(refusal, "stop_distance", "the stop distance %g is not a positive number",
                    stop_distance);
        return DECIMAL_ZERO;
    }
    decimal price = gate_reference_price(engine, instrument_index, SIDE_BUY);
    if (!decimal_valid(price)) {
        desk_refuse(refusal, "no_quote", "no price yet for %s", instrument->symbol);
        return DECIMAL_ZERO;
    }
    decimal equity = engine_equity(engine, index);
    decimal risk = decimal_div(decimal_mul(equity, decimal_from_double(risk_percent)),
                               decimal_int(100), 18, ROUND_DOWN);
    decimal per_unit = decimal_mul(decimal_from_double(stop_distance), instrument->multiplier);
    decimal qty = decimal_div(risk, per_unit, 18, ROUND_DOWN);
    decimal unit_cost = decimal_mul(price, instrument->multiplier);
    decimal room =
        decimal_sub(decimal_mul(equity, instrument->leverage),
                    gate_exposure_others(engine, &engine->instances[index], instrument_index));
    struct scope *scopes[SCOPES];
    scopes_of(engine, index, instrument_index, scopes);
    for (size_t i = 0; i < SCOPES; i++) {
        const struct risk_limits *limits = &scopes[i]->limits;
        if (limit_is_set(limits, LIMIT_ORDER_SIZE))
            room = decimal_min(room, limits->value[LIMIT_ORDER_SIZE]);
        if (limit_is_set(limits, LIMIT_POSITION_SIZE))
            room = decimal_min(room, decimal_mul(scope_equity(engine, scopes[i]),
                                                 limits->value[LIMIT_POSITION_SIZE]));
    }
    decimal most = decimal_div(room, unit_cost, 18, ROUND_DOWN);
    qty = decimal_to_multiple(decimal_max(decimal_min(qty, most), DECIMAL_ZERO),
                              instrument->lot_size, ROUND_DOWN);
    if (!decimal_valid(qty)) {
        desk_refuse(refusal, "range", "the size does not fit a decimal");
        return DECIMAL_ZERO;
    }
    /* "Within 1e-6 of a multiple" must not lift it above what there is room for. */
    if (decimal_sign(qty) > 0 && decimal_cmp(qty, most) > 0)
        qty = decimal_sub(qty, instrument->lot_size);
    if (decimal_is_zero(qty) ||
        decimal_cmp(decimal_mul(qty, unit_cost), instrument->min_notional) < 0) {
        char minimum[DECIMAL_TEXT_MAX];
        desk_refuse(refusal, "min_notional", "the size is below the minimum order of %s %s",
                    decimal_format(instrument->min_notional, minimum), instrument->currency);
        return DECIMAL_ZERO;
    }
    return qty;
}

void targets_flatten(struct engine *engine, int index, uint32_t instrument, decimal qty)
{
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal left = decimal_add(held, targets_under_way(engine, index, instrument));
    if (decimal_is_zero(held) || decimal_sign(left) != decimal_sign(held))
        return;
    decimal most = decimal_min(decimal_abs(left), decimal_abs(held));
    struct order order;
    order_init(&order);
    order.instrument = instrument;
    order.side = decimal_sign(held) > 0 ? SIDE_SELL : SIDE_BUY;
    order.qty = decimal_min(qty, most);
    order.reduce_only = true;
    text_copy(order.tag, sizeof(order.tag), "flatten");
    if (desk_place(engine, index, &order) != 0)
        engine->commands[engine->command_count - 1].keeps = true;
}
