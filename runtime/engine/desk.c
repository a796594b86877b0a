/* desk.c - what a guest asks: orders in, refusals or order ids out.
 *
 * The one way of an order: round -> fit to what may be reduced -> gate (risk.c) -> id from the
 * ledger -> blotter -> record and command of this turn. Exits and close-outs by policy skip the gate
 * only where they reduce, and take the same way otherwise. */
#include "runtime/engine/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void order_request_init(struct order_request *request)
{
    *request = (struct order_request){ .side = SIDE_BUY,
                                       .qty = DECIMAL_NONE,
                                       .notional = DECIMAL_NONE,
                                       .price = DECIMAL_NONE,
                                       .trigger_price = DECIMAL_NONE,
                                       .stop = DECIMAL_NONE,
                                       .take = DECIMAL_NONE,
                                       .expires_ns = TIME_NEVER };
}

PRINTF_LIKE(3, 4)
static bool refuse(struct refusal *refusal, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_copy(refusal->code, sizeof(refusal->code), code);
    vsnprintf(refusal->reason, sizeof(refusal->reason), format, arguments);
    va_end(arguments);
    return false;
}

static const struct instrument *instrument_of(const struct engine *engine, uint32_t index)
{
    return &engine->instruments->list[index];
}

/* A callback may ask for so much; more is a loop that market facts cannot explain. */
static bool may_ask(struct engine *engine, int index, struct refusal *refusal)
{
    struct instance *instance = &engine->instances[index];
    if (!instance->alive)
        return refuse(refusal, "stopped", "this instance was stopped: %s", instance->why);
    if (++instance->requests <= REQUESTS_PER_CALL)
        return true;
    return refuse(refusal, "too_many_requests", "more than %d orders, cancels and amends in one callback",
                  REQUESTS_PER_CALL);
}

/* The price an order would meet now: the touch for a taker, else the last trade. */
static decimal reference_price(const struct engine *engine, uint32_t index, enum order_side side)
{
    const struct quote_event *quote = market_quote_now(engine->market, index);
    const struct instrument *instrument = instrument_of(engine, index);
    if (quote)
        return decimal_make(side == SIDE_BUY ? quote->ask : quote->bid, instrument->price_scale);
    return market_mark(engine->market, index);
}

/* ---- rounding: once, in the safe direction ------------------------------------------------ */

static decimal round_price(const struct instrument *instrument, enum order_side side,
                           decimal price)
{
    if (!decimal_valid(price))
        return price;
    return decimal_to_multiple(price, instrument->tick_size,
                               side == SIDE_BUY ? ROUND_FLOOR : ROUND_CEILING);
}

static bool round_order(struct engine *engine, struct order *order,
                        const struct order_request *request, struct refusal *refusal)
{
    const struct instrument *instrument = instrument_of(engine, order->instrument);
    enum order_side out = order->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    order->price = round_price(instrument, order->side, request->price);
    order->trigger_price = round_price(instrument, order->side, request->trigger_price);
    order->stop = round_price(instrument, out, request->stop);
    order->take = round_price(instrument, out, request->take);
    const decimal prices[] = { order->price, order->trigger_price, order->stop, order->take };
    for (size_t i = 0; i < ARRAY_SIZE(prices); i++)
        if (decimal_valid(prices[i]) && decimal_sign(prices[i]) <= 0)
            return refuse(refusal, "price", "a price rounds to zero or below on a tick of %.0f^-%d",
                          10.0, instrument->price_scale);

    decimal qty = request->qty;
    if (decimal_valid(request->notional)) {
        decimal price = decimal_valid(order->price)
                            ? order->price
                            : reference_price(engine, order->instrument, order->side);
        if (!decimal_valid(price) || decimal_sign(price) <= 0)
            return refuse(refusal, "no_quote", "no price yet to turn a notional into a quantity");
        qty = decimal_div(request->notional, decimal_mul(price, instrument->multiplier), 18,
                          ROUND_DOWN);
    }
    if (!decimal_valid(qty))
        return refuse(refusal, "range", "the quantity does not fit a decimal");
    order->qty = decimal_to_multiple(qty, instrument->lot_size, ROUND_DOWN);
    if (decimal_sign(order->qty) <= 0) {
        char asked[DECIMAL_TEXT_MAX], lot[DECIMAL_TEXT_MAX];
        return refuse(refusal, "zero_qty", "quantity %s is less than one lot of %s",
                      decimal_format(qty, asked), decimal_format(instrument->lot_size, lot));
    }
    return true;
}

static bool check_abilities(struct engine *engine, const struct order *order,
                            struct refusal *refusal)
{
    const struct venue_port *venue = &engine->options.venue;
    const struct venue_abilities *abilities = venue->abilities(venue->self, order->instrument);
    if (!(abilities->types & (1u << order->type)))
        return refuse(refusal, "not_supported", "this venue takes no %s orders",
                      order_type_name(order->type));
    if (!(abilities->tifs & (1u << order->tif)))
        return refuse(refusal, "not_supported", "this venue takes no time in force %s",
                      order_tif_name(order->tif));
    if (order->post_only && !abilities->post_only)
        return refuse(refusal, "not_supported", "this venue takes no post-only orders");
    return true;
}

/* ---- the gate ------------------------------------------------------------------------------ */

struct working {
    decimal buy, sell;
};

/* What works for this instance on one instrument; exits are not counted, they only reduce. */
static struct working working_of(const struct engine *engine, const struct instance *instance,
                                 uint32_t index)
{
    struct working working = { DECIMAL_ZERO, DECIMAL_ZERO };
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id != instance->instance_id || order->instrument != index ||
            order->reduce_only)
            continue;
        decimal *side = order->side == SIDE_BUY ? &working.buy : &working.sell;
        decimal qty = order_remaining(order);
        if (order->pending & PENDING_REPLACE && decimal_valid(order->pending_qty))
            qty = decimal_max(qty, decimal_sub(order->pending_qty, order->filled_qty));
        *side = decimal_add(*side, qty);
    }
    return working;
}

/* Money the instance has bound in its other instruments, worse side. */
static decimal exposure_others(const struct engine *engine, const struct instance *instance,
                               uint32_t except)
{
    decimal total = DECIMAL_ZERO;
    for (size_t i = 0; i < instance->instrument_count; i++) {
        uint32_t index = instance->instruments[i];
        decimal mark = market_mark(engine->market, index);
        if (index == except || !decimal_valid(mark))
            continue;
        struct working working = working_of(engine, instance, index);
        decimal qty = instance->holdings[i].position.qty;
        decimal long_side = decimal_abs(decimal_add(qty, working.buy));
        decimal short_side = decimal_abs(decimal_sub(qty, working.sell));
        decimal worse = decimal_max(long_side, short_side);
        total = decimal_add(total, decimal_mul(decimal_mul(worse, mark),
                                               instrument_of(engine, index)->multiplier));
    }
    return total;
}

static uint32_t positions_open(const struct engine *engine, const struct instance *except,
                               uint32_t except_instrument)
{
    uint32_t count = 0;
    for (int i = 0; i < engine->instance_count; i++) {
        const struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->instrument_count; k++)
            if (!decimal_is_zero(instance->holdings[k].position.qty) &&
                !(instance == except && instance->instruments[k] == except_instrument))
                count++;
    }
    return count;
}

static struct risk_view view_of(struct engine *engine, int index, const struct order *order)
{
    const struct instance *instance = &engine->instances[index];
    struct working working = working_of(engine, instance, order->instrument);
    return (struct risk_view){
        .instrument = instrument_of(engine, order->instrument),
        .reference = reference_price(engine, order->instrument, order->side),
        .equity = engine_equity(engine, index),
        .position_qty = instance_holding(engine, index, order->instrument)->position.qty,
        .working_buy = working.buy,
        .working_sell = working.sell,
        .exposure_others = exposure_others(engine, instance, order->instrument),
        .day_opening_equity = engine->day_opening_equity,
        .account_equity = totals_account_equity(engine),
        .day_volume = engine->day_volume,
        .open_positions = positions_open(engine, instance, order->instrument),
        .day_trades = engine->day_trades,
        .orders_last_second = totals_orders_last_second(engine),
        .halted = engine->halted,
        .halt_reason = engine->halt_reason,
    };
}

static void tell_verdict(struct engine *engine, int index, const struct order *order,
                         const struct risk_verdict *verdict)
{
    struct delivery *delivery = turn_deliver(engine, GUEST_RISK, index, order->instrument);
    delivery->order = *order;
    delivery->verdict = verdict->verdict;
    text_copy(delivery->code, sizeof(delivery->code), verdict->code);
    LOG(engine->options.log, LOG_INFO, "risk", verdict_name(verdict->verdict),
        F_STR("strategy", engine->instances[index].strategy),
        F_STR("symbol", instrument_of(engine, order->instrument)->symbol),
        F_STR("code", verdict->code), F_STR("reason", verdict->reason));
}

static void record_blocked(struct engine *engine, int index, const struct order *order,
                           const char *code)
{
    struct record *record = turn_record(engine, RECORD_BLOCKED, index, order->instrument);
    record->order = *order;
    text_copy(record->code, sizeof(record->code), code);
    engine->counts.blocked++;
}

/* A breach of the day's loss stops new risk until the day ends: entries are canceled, exits stay. */
static void halt_session(struct engine *engine, int index, const struct risk_verdict *verdict)
{
    if (engine->halted)
        return;
    engine->halted = true;
    text_copy(engine->halt_reason, sizeof(engine->halt_reason), verdict->reason);
    struct record *record = turn_record(engine, RECORD_HALT, index, INSTRUMENT_NONE);
    record->name = "session";
    record->body = engine->halt_reason;
    record->body_length = strlen(engine->halt_reason);
    for (int i = 0; i < engine->instance_count; i++)
        desk_stop_orders(engine, i, POLICY_CANCEL);
}

static bool pass_gate(struct engine *engine, int index, struct order *order,
                      struct refusal *refusal)
{
    struct risk_view view = view_of(engine, index, order);
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, order,
               &verdict);
    if (verdict.verdict == VERDICT_APPROVE)
        return true;
    text_copy(order->reason, sizeof(order->reason), verdict.reason);
    tell_verdict(engine, index, order, &verdict);
    if (verdict.verdict == VERDICT_REDUCE) {
        engine->counts.reduced++;
        order->qty = verdict.qty;
        return true;
    }
    record_blocked(engine, index, order, verdict.code);
    if (verdict.verdict == VERDICT_HALT)
        halt_session(engine, index, &verdict);
    return refuse(refusal, verdict.code, "%s", verdict.reason);
}

/* ---- placing ------------------------------------------------------------------------------- */

uint64_t desk_place(struct engine *engine, int index, struct order *order)
{
    struct instance *instance = &engine->instances[index];
    order->instance_id = instance->instance_id;
    order->known = ORDER_PENDING_NEW;
    order->filled_qty = order->notional = order->fees = DECIMAL_ZERO;
    order->pending_qty = order->pending_price = DECIMAL_NONE;
    order->created_ns = order->updated_ns = engine->now_ns;
    order->order_id = engine->options.ledger.next_order_id(engine->options.ledger.self,
                                                           order->client_order_id);
    if (!blotter_add(engine->blotter, order))
        return 0;
    totals_order(engine);
    turn_record_order(engine, order);
    turn_command(engine, &(struct command){ .kind = COMMAND_SUBMIT, .order_id = order->order_id });
    return order->order_id;
}

/* A reduce-only order is cut to what is left to reduce of the instance's own position. */
static bool fit_reduce_only(struct engine *engine, int index, struct order *order,
                            struct refusal *refusal)
{
    decimal position = instance_holding(engine, index, order->instrument)->position.qty;
    decimal reducible = order->side == SIDE_BUY ? decimal_neg(position) : position;
    if (decimal_sign(reducible) <= 0)
        return refuse(refusal, "nothing_to_reduce", "reduce_only, but there is no position to reduce");
    order->qty = decimal_min(order->qty, reducible);
    return true;
}

uint64_t engine_submit(struct engine *engine, int index, const struct order_request *request,
                       struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    if (!may_ask(engine, index, refusal))
        return 0;
    struct order order = { .instrument = request->instrument,
                           .side = request->side,
                           .type = request->type,
                           .tif = request->tif,
                           .stop_on = request->stop_on,
                           .qty = DECIMAL_ZERO,
                           .reduce_only = request->reduce_only,
                           .post_only = request->post_only,
                           .expires_ns = request->expires_ns,
                           .created_ns = engine->now_ns,
                           .updated_ns = engine->now_ns,
                           .filled_qty = DECIMAL_ZERO,
                           .notional = DECIMAL_ZERO,
                           .fees = DECIMAL_ZERO,
                           .instance_id = engine->instances[index].instance_id };
    memcpy(order.tag, request->tag, sizeof(order.tag));
    if (!round_order(engine, &order, request, refusal) ||
        !check_abilities(engine, &order, refusal) ||
        (order.reduce_only && !fit_reduce_only(engine, index, &order, refusal))) {
        text_copy(order.reason, sizeof(order.reason), refusal->reason);
        record_blocked(engine, index, &order, refusal->code);
        return 0;
    }
    if (!pass_gate(engine, index, &order, refusal))
        return 0;
    order.reason[0] = '\0';
    uint64_t order_id = desk_place(engine, index, &order);
    if (order_id == 0)
        refuse(refusal, "too_many_orders", "%d orders are open already", ORDERS_OPEN_MAX);
    return order_id;
}

bool desk_cancel(struct engine *engine, struct order *order)
{
    if (!order_is_open(order) || order->pending & PENDING_CANCEL)
        return false;
    turn_command(engine, &(struct command){ .kind = COMMAND_CANCEL,
                                            .order_id = order->order_id,
                                            .before = *order });
    order_mark_cancel(order, engine->now_ns);
    turn_record_order(engine, order);
    return true;
}

bool desk_amend(struct engine *engine, struct order *order, decimal qty, decimal price)
{
    if (!order_is_open(order) || order->pending)
        return false;
    decimal new_qty = decimal_valid(qty) ? qty : order->qty;
    decimal new_price = decimal_valid(price) ? price : order->price;
    turn_command(engine, &(struct command){ .kind = COMMAND_AMEND,
                                            .order_id = order->order_id,
                                            .qty = new_qty,
                                            .price = new_price,
                                            .before = *order });
    order_mark_replace(order, new_qty, new_price, engine->now_ns);
    turn_record_order(engine, order);
    return true;
}

static struct order *own_open_order(struct engine *engine, int index, uint64_t order_id,
                                    struct refusal *refusal)
{
    struct order *order = blotter_find(engine->blotter, order_id);
    if (!order || order->instance_id != engine->instances[index].instance_id) {
        refuse(refusal, "no_order", "order %" PRIu64 " is not one of this instance's", order_id);
        return NULL;
    }
    if (!order_is_open(order)) {
        refuse(refusal, "done", "order %" PRIu64 " is %s already", order_id,
               order_status_name(order_status(order)));
        return NULL;
    }
    return order;
}

bool engine_cancel(struct engine *engine, int index, uint64_t order_id, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    if (!may_ask(engine, index, refusal))
        return false;
    struct order *order = own_open_order(engine, index, order_id, refusal);
    if (!order)
        return false;
    desk_cancel(engine, order); /* asking twice is one cancel */
    return true;
}

int engine_cancel_all(struct engine *engine, int index, uint32_t instrument)
{
    const struct instance *instance = &engine->instances[index];
    int canceled = 0;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        bool mine = order->instance_id == instance->instance_id && order->role == ROLE_PLAIN;
        if (mine && (instrument == INSTRUMENT_NONE || order->instrument == instrument))
            canceled += desk_cancel(engine, order);
    }
    return canceled;
}

/* An amend that asks for more passes the gate like a new order of the difference. */
static bool gate_amend(struct engine *engine, int index, const struct order *order, decimal qty,
                       decimal price, struct refusal *refusal)
{
    decimal more = decimal_sub(qty, order->qty);
    bool dearer = decimal_valid(price) && decimal_valid(order->price) &&
                  decimal_cmp(price, order->price) > 0;
    if (order->reduce_only || (decimal_sign(more) <= 0 && !dearer))
        return true;
    struct order asked = *order;
    asked.qty = qty;
    asked.price = price;
    struct risk_view view = view_of(engine, index, order);
    /* The order itself is replaced, so it does not count beside its own new terms. */
    decimal *own_side = order->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
    *own_side = decimal_sub(*own_side, order_remaining(order));
    asked.qty = decimal_sub(qty, order->filled_qty);
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, &asked,
               &verdict);
    if (verdict.verdict == VERDICT_APPROVE)
        return true;
    tell_verdict(engine, index, &asked, &verdict);
    text_copy(asked.reason, sizeof(asked.reason), verdict.reason);
    record_blocked(engine, index, &asked, verdict.code);
    return refuse(refusal, verdict.code, "%s", verdict.reason);
}

bool engine_amend(struct engine *engine, int index, uint64_t order_id, decimal qty, decimal price,
                  struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    if (!may_ask(engine, index, refusal))
        return false;
    struct order *order = own_open_order(engine, index, order_id, refusal);
    if (!order)
        return false;
    if (order->pending)
        return refuse(refusal, "pending", "order %" PRIu64 " waits for an answer already (%s)",
                      order_id, order_status_name(order_status(order)));
    const struct instrument *instrument = instrument_of(engine, order->instrument);
    if (decimal_valid(price) && !decimal_valid(order->price))
        return refuse(refusal, "no_price", "a %s order has no price to amend",
                      order_type_name(order->type));
    decimal new_qty = decimal_valid(qty)
                          ? decimal_to_multiple(qty, instrument->lot_size, ROUND_DOWN)
                          : order->qty;
    decimal new_price =
        decimal_valid(price) ? round_price(instrument, order->side, price) : order->price;
    if (decimal_cmp(new_qty, order->filled_qty) <= 0)
        return refuse(refusal, "zero_qty", "the new quantity is not above what is filled; cancel instead");
    if (decimal_valid(new_price) && decimal_sign(new_price) <= 0)
        return refuse(refusal, "price", "the new price rounds to zero or below");
    if (!gate_amend(engine, index, order, new_qty, new_price, refusal))
        return false;
    return desk_amend(engine, order, new_qty, new_price);
}

/* ---- target, close, size ------------------------------------------------------------------- */

/* Signed quantity of the instance's market orders under way: they will be position soon. */
static decimal market_orders_under_way(const struct engine *engine, int index, uint32_t instrument)
{
    decimal sum = DECIMAL_ZERO;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id != engine->instances[index].instance_id ||
            order->instrument != instrument || order->type != ORDER_MARKET)
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

uint64_t engine_target(struct engine *engine, int index, uint32_t instrument, decimal qty,
                       const struct order_request *options, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    decimal lot = instrument_of(engine, instrument)->lot_size;
    decimal wanted = decimal_to_multiple(qty, lot, ROUND_DOWN);
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal difference = decimal_sub(
        wanted, decimal_add(held, market_orders_under_way(engine, index, instrument)));
    if (!decimal_valid(difference)) {
        refuse(refusal, "range", "the target does not fit a decimal");
        return 0;
    }
    if (decimal_cmp(decimal_abs(difference), lot) < 0)
        return 0;
    return submit_difference(engine, index, instrument, difference, options, refusal);
}

uint64_t engine_close_position(struct engine *engine, int index, uint32_t instrument,
                               const struct order_request *options, struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal left = decimal_add(held, market_orders_under_way(engine, index, instrument));
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
    const struct instrument *instrument = instrument_of(engine, instrument_index);
    if (!isfinite(stop_distance) || stop_distance <= 0) {
        refuse(refusal, "stop_distance", "the stop distance %g is not a positive number",
               stop_distance);
        return DECIMAL_ZERO;
    }
    decimal price = reference_price(engine, instrument_index, SIDE_BUY);
    if (!decimal_valid(price)) {
        refuse(refusal, "no_quote", "no price yet for %s", instrument->symbol);
        return DECIMAL_ZERO;
    }
    decimal equity = engine_equity(engine, index);
    decimal risk = decimal_div(decimal_mul(equity, decimal_from_double(risk_percent)),
                               decimal_int(100), 18, ROUND_DOWN);
    decimal per_unit = decimal_mul(decimal_from_double(stop_distance), instrument->multiplier);
    decimal qty = decimal_div(risk, per_unit, 18, ROUND_DOWN);
    decimal unit_cost = decimal_mul(price, instrument->multiplier);
    decimal room = decimal_sub(decimal_mul(equity, instrument->leverage),
                               exposure_others(engine, &engine->instances[index],
                                               instrument_index));
    const struct risk_limits *limits[] = { &engine->options.account,
                                           &engine->instances[index].limits };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (decimal_valid(limits[i]->max_order_size))
            room = decimal_min(room, limits[i]->max_order_size);
        if (decimal_valid(limits[i]->max_position_size))
            room = decimal_min(room, decimal_mul(equity, limits[i]->max_position_size));
    }
    qty = decimal_min(qty, decimal_div(room, unit_cost, 18, ROUND_DOWN));
    if (!decimal_valid(qty)) {
        refuse(refusal, "range", "the size does not fit a decimal");
        return DECIMAL_ZERO;
    }
    qty = decimal_to_multiple(decimal_max(qty, DECIMAL_ZERO), instrument->lot_size, ROUND_DOWN);
    if (decimal_is_zero(qty) ||
        decimal_cmp(decimal_mul(qty, unit_cost), instrument->min_notional) < 0) {
        char minimum[DECIMAL_TEXT_MAX];
        refuse(refusal, "min_notional", "the size is below the minimum order of %s %s",
               decimal_format(instrument->min_notional, minimum), instrument->currency);
        return DECIMAL_ZERO;
    }
    return qty;
}

/* ---- policy --------------------------------------------------------------------------------- */

static void flatten_holding(struct engine *engine, int index, size_t k)
{
    struct instance *instance = &engine->instances[index];
    uint32_t instrument = instance->instruments[k];
    decimal held = instance->holdings[k].position.qty;
    decimal left = decimal_add(held, market_orders_under_way(engine, index, instrument));
    if (decimal_is_zero(held) || decimal_sign(left) != decimal_sign(held))
        return;
    struct order order = { .instrument = instrument,
                           .side = decimal_sign(held) > 0 ? SIDE_SELL : SIDE_BUY,
                           .type = ORDER_MARKET,
                           .tif = TIF_GTC,
                           .qty = decimal_min(decimal_abs(left), decimal_abs(held)),
                           .price = DECIMAL_NONE,
                           .trigger_price = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .reduce_only = true,
                           .expires_ns = TIME_NEVER,
                           .tag = "flatten" };
    desk_place(engine, index, &order);
}

void desk_stop_orders(struct engine *engine, int index, enum stop_policy policy)
{
    struct instance *instance = &engine->instances[index];
    if (policy == POLICY_LEAVE)
        return;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id == instance->instance_id && !order->reduce_only)
            desk_cancel(engine, order);
    }
    if (policy == POLICY_FLATTEN)
        for (size_t k = 0; k < instance->instrument_count; k++)
            flatten_holding(engine, index, k);
}
