/* desk.c - what a guest asks: orders in, refusals or order ids out.
 *
 * The one way of an order: round -> fit to what may be reduced -> gate (risk/check.c) -> id from
 * the ledger -> blotter -> record and command of this turn. Exits and close-outs by policy skip the
 * gate only where they reduce, and take the same way otherwise. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

void order_request_init(struct order_request *request)
{
    *request = (struct order_request){ .side = SIDE_BUY,
                                       .qty = DECIMAL_NONE,
                                       .notional = DECIMAL_NONE,
                                       .price = DECIMAL_NONE,
                                       .trigger_price = DECIMAL_NONE,
                                       .trail = DECIMAL_NONE,
                                       .stop = DECIMAL_NONE,
                                       .take = DECIMAL_NONE,
                                       .expires_ns = TIME_NEVER };
}

bool desk_refuse(struct refusal *refusal, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_copy(refusal->code, sizeof(refusal->code), code);
    vsnprintf(refusal->reason, sizeof(refusal->reason), format, arguments);
    va_end(arguments);
    return false;
}

/* A callback may ask for so much; more is a loop that market facts cannot explain. */
static bool may_ask(struct engine *engine, int index, struct refusal *refusal)
{
    struct instance *instance = &engine->instances[index];
    if (!instance->alive)
        return desk_refuse(refusal, "stopped", "this instance was stopped: %s", instance->why);
    if (++instance->requests <= REQUESTS_PER_CALL)
        return true;
    return desk_refuse(refusal, "too_many_requests",
                       "more than %d orders, cancels and amends in one callback",
                       REQUESTS_PER_CALL);
}

/* ---- rounding: once, in the safe direction ------------------------------------------------ */

static decimal round_price(const struct instrument *instrument, enum order_side side, decimal price)
{
    if (!decimal_valid(price))
        return price;
    return decimal_to_multiple(price, instrument->tick_size,
                               side == SIDE_BUY ? ROUND_FLOOR : ROUND_CEILING);
}

static bool is_price(const struct instrument *instrument, decimal asked, decimal rounded,
                     struct refusal *refusal)
{
    char text[DECIMAL_TEXT_MAX], tick[DECIMAL_TEXT_MAX];
    if (!decimal_valid(asked))
        return true;
    if (!decimal_valid(rounded))
        return desk_refuse(refusal, "range", "the price %s does not fit a decimal",
                           decimal_format(asked, text));
    if (decimal_sign(rounded) > 0)
        return true;
    return desk_refuse(refusal, "price", "the price %s rounds to zero or below on a tick of %s",
                       decimal_format(asked, text), decimal_format(instrument->tick_size, tick));
}

static bool round_prices(const struct instrument *instrument, struct order *order,
                         const struct order_request *request, struct refusal *refusal)
{
    enum order_side out = order->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    order->price = round_price(instrument, order->side, request->price);
    order->trigger_price = round_price(instrument, order->side, request->trigger_price);
    order->stop = round_price(instrument, out, request->stop);
    order->take = round_price(instrument, out, request->take);
    return is_price(instrument, request->price, order->price, refusal) &&
           is_price(instrument, request->trigger_price, order->trigger_price, refusal) &&
           is_price(instrument, request->stop, order->stop, refusal) &&
           is_price(instrument, request->take, order->take, refusal);
}

static bool round_order(struct engine *engine, struct order *order,
                        const struct order_request *request, struct refusal *refusal)
{
    const struct instrument *instrument = instrument_at(engine, order->instrument);
    if (!round_prices(instrument, order, request, refusal))
        return false;
    decimal qty = request->qty;
    if (decimal_valid(request->notional)) {
        decimal price = decimal_valid(order->price)
                            ? order->price
                            : gate_reference_price(engine, order->instrument, order->side);
        if (!decimal_valid(price) || decimal_sign(price) <= 0)
            return desk_refuse(refusal, "no_quote",
                               "no price yet to turn a notional into a quantity");
        qty = decimal_div(request->notional, decimal_mul(price, instrument->multiplier), 18,
                          ROUND_DOWN);
    }
    if (!decimal_valid(qty))
        return desk_refuse(refusal, "range", "the quantity does not fit a decimal");
    order->qty = decimal_to_multiple(qty, instrument->lot_size, ROUND_DOWN);
    if (decimal_sign(order->qty) <= 0) {
        char asked[DECIMAL_TEXT_MAX], lot[DECIMAL_TEXT_MAX];
        return desk_refuse(refusal, "zero_qty", "quantity %s is less than one lot of %s",
                           decimal_format(qty, asked), decimal_format(instrument->lot_size, lot));
    }
    return true;
}

static bool check_trail(struct engine *engine, struct order *order, struct refusal *refusal)
{
    char text[DECIMAL_TEXT_MAX];
    if (!decimal_valid(order->trail) || decimal_sign(order->trail) <= 0 ||
        (order->trail_is_share && decimal_cmp(order->trail, decimal_int(1)) >= 0))
        return desk_refuse(refusal, "trail", "a trailing stop needs a distance above zero (%s)",
                           decimal_format(order->trail, text));
    if (!order->trail_is_share)
        order->trail = decimal_to_multiple(
            order->trail, instrument_at(engine, order->instrument)->tick_size, ROUND_DOWN);
    struct order begun = *order;
    if (decimal_sign(order->trail) <= 0 || !held_trail_begin(engine, &begun))
        return desk_refuse(refusal, "trail",
                           "the distance is less than a tick, or the whole price");
    return true;
}

/* What the type needs to be watched or worked at all, and a time that is not over. */
static bool check_terms(struct engine *engine, struct order *order, struct refusal *refusal)
{
    bool triggers = order->type == ORDER_STOP || order->type == ORDER_STOP_LIMIT;
    bool limits = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
    if (triggers && !decimal_valid(order->trigger_price))
        return desk_refuse(refusal, "no_trigger", "a %s order needs a trigger_price",
                           order_type_name(order->type));
    if (limits && !decimal_valid(order->price))
        return desk_refuse(refusal, "no_price", "a %s order needs a price",
                           order_type_name(order->type));
    if (held_expiry_ns(engine, order) <= engine->now_ns)
        return desk_refuse(refusal, "expired", "the order would have expired already");
    return order->type != ORDER_TRAILING || check_trail(engine, order, refusal);
}

static bool check_abilities(struct engine *engine, const struct order *order,
                            struct refusal *refusal)
{
    const struct venue_port *venue = &engine->options.venue;
    const struct venue_abilities *abilities = venue->abilities(venue->self, order->instrument);
    bool emulated = held_is_needed(engine, order);
    enum order_type type = emulated ? held_fired_type(order->type) : order->type;
    if (!(abilities->types & (1u << type)))
        return desk_refuse(refusal, "not_supported", "this venue takes no %s orders",
                           order_type_name(type));
    bool ends_here = order->tif == TIF_DAY || order->tif == TIF_GTD;
    enum order_tif tif =
        ends_here && !(abilities->tifs & (1u << order->tif)) ? TIF_GTC : order->tif;
    if (!(abilities->tifs & (1u << tif)))
        return desk_refuse(refusal, "not_supported", "this venue takes no time in force %s",
                           order_tif_name(order->tif));
    if (order->post_only && !abilities->post_only)
        return desk_refuse(refusal, "not_supported", "this venue takes no post-only orders");
    return true;
}

/* ---- placing ------------------------------------------------------------------------------- */

uint64_t desk_query(struct engine *engine, const struct venue_query *query)
{
    struct command command = { .kind = COMMAND_QUERY, .query = *query };
    command.query.ticket = ++engine->tickets;
    engine->counts.asked++;
    turn_command(engine, &command);
    return command.query.ticket;
}

uint64_t desk_place(struct engine *engine, int index, struct order *order)
{
    struct instance *instance = &engine->instances[index];
    order->instance_id = instance->instance_id;
    order->known = ORDER_PENDING_NEW;
    order->filled_qty = order->notional = order->fees = DECIMAL_ZERO;
    order->pending_qty = order->pending_price = DECIMAL_NONE;
    order->created_ns = order->updated_ns = engine->now_ns;
    order->order_id =
        engine->options.ledger.next_order_id(engine->options.ledger.self, order->client_order_id);
    if (order->group_id == GROUP_OWN)
        order->group_id = order->order_id;
    memcpy(order->current_client_order_id, order->client_order_id,
           sizeof(order->current_client_order_id));
    order->inferred_qty = order->inferred_notional = DECIMAL_ZERO;
    bool emulated = held_is_needed(engine, order);
    if (emulated) /* a venue that knows trails begins with the price it has on arrival */
        held_trail_begin(engine, order);
    bool here = order->held || (emulated && !held_is_through(engine, order));
    order->held = false;
    struct order *placed = blotter_add(engine->blotter, order);
    if (!placed)
        return 0;
    engine->counts.submitted++;
    if (here) {
        held_begin(engine, placed);
    } else {
        guards_clear_way(engine, placed);
        guards_sent(engine, placed);
        turn_record_order(engine, placed);
        turn_command(engine, &(struct command){ .kind = COMMAND_SUBMIT,
                                                .order_id = order->order_id,
                                                .keeps = order->role != ROLE_PLAIN });
    }
    held_note_expiry(engine, placed);
    return order->order_id;
}

/* What is left to reduce of the instance's own position. */
decimal desk_reducible(struct engine *engine, int index, const struct order *order)
{
    decimal position = instance_holding(engine, index, order->instrument)->position.qty;
    return decimal_max(order->side == SIDE_BUY ? decimal_neg(position) : position, DECIMAL_ZERO);
}

static bool fit_reduce_only(struct engine *engine, int index, struct order *order,
                            struct refusal *refusal)
{
    order->qty = decimal_min(order->qty, desk_reducible(engine, index, order));
    if (!decimal_is_zero(order->qty))
        return true;
    return desk_refuse(refusal, "nothing_to_reduce",
                       "reduce_only, but there is no position to reduce");
}

/* An order as asked for: rounded, fit to what may be reduced, passed by the gate. False: refused,
 * and recorded. */
static bool prepare(struct engine *engine, int index, const struct order_request *request,
                    const struct order *beside, struct order *out, struct refusal *refusal)
{
    struct order order;
    order_init(&order);
    order.instrument = request->instrument;
    order.side = request->side;
    order.type = request->type;
    order.tif = request->tif;
    order.stop_on = request->stop_on;
    order.reduce_only = request->reduce_only;
    order.post_only = request->post_only;
    order.trail = request->trail;
    order.trail_is_share = request->trail_is_share;
    order.expires_ns = request->expires_ns;
    order.created_ns = engine->now_ns;
    order.updated_ns = engine->now_ns;
    order.instance_id = engine->instances[index].instance_id;
    memcpy(order.tag, request->tag, sizeof(order.tag));
    if (!round_order(engine, &order, request, refusal) || !check_terms(engine, &order, refusal) ||
        !check_abilities(engine, &order, refusal) ||
        (order.reduce_only && !fit_reduce_only(engine, index, &order, refusal))) {
        text_copy(order.reason, sizeof(order.reason), refusal->reason);
        gate_record_blocked(engine, index, &order, refusal->code);
        return false;
    }
    if (!gate_pass(engine, index, &order, beside, refusal))
        return false;
    order.reason[0] = '\0';
    *out = order;
    return true;
}

/* The rest is for ways out. */
static bool has_room(const struct engine *engine, const struct order *order, size_t count)
{
    size_t most = ORDERS_OPEN_MAX + (order->reduce_only ? ORDERS_OUT_MAX / 2 : 0);
    return blotter_open_count(engine->blotter) + count <= most;
}

uint64_t engine_submit(struct engine *engine, int index, const struct order_request *request,
                       struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    struct order order;
    if (!may_ask(engine, index, refusal) || !prepare(engine, index, request, NULL, &order, refusal))
        return 0;
    uint64_t order_id = has_room(engine, &order, 1) ? desk_place(engine, index, &order) : 0;
    if (order_id == 0) {
        desk_refuse(refusal, "too_many_orders", "%d orders are open already", ORDERS_OPEN_MAX);
        text_copy(order.reason, sizeof(order.reason), refusal->reason);
        gate_record_blocked(engine, index, &order, refusal->code);
    }
    return order_id;
}

bool engine_oco(struct engine *engine, int index, const struct order_request requests[2],
                uint64_t ids[2], struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    ids[0] = ids[1] = 0;
    if (!may_ask(engine, index, refusal))
        return false;
    if (requests[0].instrument != requests[1].instrument)
        return desk_refuse(refusal, "not_supported", "linked orders must be of one symbol");
    struct order legs[2];
    if (!prepare(engine, index, &requests[0], NULL, &legs[0], refusal))
        return false;
    if (!prepare(engine, index, &requests[1], &legs[0], &legs[1], refusal))
        return false;
    if (!has_room(engine, &legs[0], 2) || !has_room(engine, &legs[1], 2))
        return desk_refuse(refusal, "too_many_orders", "%d orders are open already",
                           ORDERS_OPEN_MAX);
    legs[0].group_id = GROUP_OWN;
    legs[1].group_id = ids[0] = desk_place(engine, index, &legs[0]);
    ids[1] = desk_place(engine, index, &legs[1]);
    pairs_begin(engine, ids);
    return true;
}

void desk_send_cancel(struct engine *engine, const struct order *order)
{
    turn_command(
        engine,
        &(struct command){ .kind = COMMAND_CANCEL, .order_id = order->order_id, .before = *order });
}

bool desk_cancel(struct engine *engine, struct order *order)
{
    if (!order_is_open(order) || order->pending & PENDING_CANCEL)
        return false;
    if (order->held) {
        held_end(engine, order, ORDER_CANCELED, "");
        return true;
    }
    desk_send_cancel(engine, order);
    order_mark_cancel(order, engine->now_ns);
    turn_record_order(engine, order);
    return true;
}

/* Stops and takes of protected entries protect until the position is flat: then they end by
 * themselves (exits.c). */
bool desk_ends_with(const struct order *order, enum stop_policy policy)
{
    if (policy == POLICY_LEAVE)
        return false;
    if (!order->reduce_only)
        return true;
    return policy == POLICY_FLATTEN && order->role == ROLE_PLAIN && order->type != ORDER_MARKET;
}

/* Not a strategy's wish, which may change: what a halt, a stop or an adoption cancels may not work.
 */
bool desk_must_go(struct engine *engine, const struct order *order)
{
    int index = instance_of_order(engine, order);
    const struct instance *instance = &engine->instances[index];
    bool halted = engine->halted || engine->instrument_halts[order->instrument].set ||
                  halts_of_scopes(engine, order);
    return (halted && !order->reduce_only) || index == engine->external || engine->cancels_all ||
           desk_ends_with(order, engine->stopping) ||
           (instance->guest.self && !instance->alive && desk_ends_with(order, instance->on_error));
}

/* A venue refuses cancels for many reasons; of this one the wish stands. */
static void insist_on_cancel(struct engine *engine, const struct order *before, struct order *order,
                             const struct report *report)
{
    bool refused = report->kind == REPORT_CANCEL_REJECT && before->pending & PENDING_CANCEL;
    if (refused && order_is_open(order) && !(order->pending & PENDING_CANCEL) &&
        desk_must_go(engine, order))
        doubt_insist(engine, order);
}

/* A cancel that reached the venue before its order was refused: the wish stands, and is sent again
 * when the order is there. */
static void follow_early_cancel(struct engine *engine, const struct order *before,
                                const struct order *order, const struct report *report)
{
    if (before->known != ORDER_PENDING_NEW || !(before->pending & PENDING_CANCEL))
        return;
    size_t at = 0;
    while (at < engine->early_cancel_count && engine->early_cancels[at] != order->order_id)
        at++;
    bool known = at < engine->early_cancel_count;
    if (report->kind == REPORT_CANCEL_REJECT && !known) {
        engine->early_cancels = memory_grow(engine->early_cancels, &engine->early_cancel_capacity,
                                            at + 1, sizeof(uint64_t));
        engine->early_cancels[engine->early_cancel_count++] = order->order_id;
    }
    if (!known || order->known == ORDER_PENDING_NEW)
        return;
    engine->early_cancels[at] = engine->early_cancels[--engine->early_cancel_count];
    if (order_is_open(order) && order->pending & PENDING_CANCEL)
        desk_send_cancel(engine, order);
}

void desk_follow(struct engine *engine, const struct order *before, struct order *order,
                 const struct report *report)
{
    follow_early_cancel(engine, before, order, report);
    insist_on_cancel(engine, before, order, report);
}

bool desk_amend(struct engine *engine, struct order *order, decimal qty, decimal price)
{
    if (!order_is_open(order) || order->pending)
        return false;
    decimal new_qty = decimal_valid(qty) ? qty : order->qty;
    decimal new_price = decimal_valid(price) ? price : order->price;
    if (order->held) {
        held_amend(engine, order, new_qty, new_price);
        return true;
    }
    turn_command(engine, &(struct command){ .kind = COMMAND_AMEND,
                                            .order_id = order->order_id,
                                            .qty = new_qty,
                                            .price = new_price,
                                            .before = *order });
    char new_id[CLIENT_ORDER_ID_MAX] = "";
    const struct venue_port *venue = &engine->options.venue;
    if (venue->abilities(venue->self, order->instrument)->amend == AMEND_NEW_ID)
        engine->options.ledger.next_client_order_id(engine->options.ledger.self, new_id);
    order_mark_replace(order, new_qty, new_price, new_id, engine->now_ns);
    blotter_alias(engine->blotter, order, new_id);
    turn_record_order(engine, order);
    return true;
}

static struct order *own_open_order(struct engine *engine, int index, uint64_t order_id,
                                    struct refusal *refusal)
{
    struct order *order = blotter_find(engine->blotter, order_id);
    if (!order || order->instance_id != engine->instances[index].instance_id) {
        desk_refuse(refusal, "no_order", "order %" PRIu64 " is not one of this instance's",
                    order_id);
        return NULL;
    }
    if (!order_is_open(order)) {
        desk_refuse(refusal, "done", "order %" PRIu64 " is %s already", order_id,
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
    exits_abandon(engine, order);
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

void engine_cancel_everything(struct engine *engine)
{
    engine->cancels_all = true;
    /* From the newest on: an order that rests here ends, and leaves the list, at once. */
    for (size_t i = blotter_open_count(engine->blotter); i-- > 0;)
        if (i < blotter_open_count(engine->blotter))
            desk_cancel(engine, blotter_open_at(engine->blotter, i));
}

/* Rounds new terms as a new order's are. A reduce-only order grows no further than what is held. */
static bool round_terms(struct engine *engine, int index, const struct order *order, decimal *qty,
                        decimal *price, struct refusal *refusal)
{
    const struct instrument *instrument = instrument_at(engine, order->instrument);
    decimal asked = *price;
    *price = decimal_valid(asked) ? round_price(instrument, order->side, asked) : order->price;
    if (!is_price(instrument, asked, *price, refusal))
        return false;
    *qty = decimal_valid(*qty) ? decimal_to_multiple(*qty, instrument->lot_size, ROUND_DOWN)
                               : order->qty;
    if (order->reduce_only && decimal_valid(*qty) && decimal_cmp(*qty, order->qty) > 0)
        *qty =
            decimal_min(*qty, decimal_add(order->filled_qty, desk_reducible(engine, index, order)));
    if (!decimal_valid(*qty))
        return desk_refuse(refusal, "range", "the quantity does not fit a decimal");
    if (decimal_cmp(*qty, order->filled_qty) <= 0)
        return desk_refuse(refusal, "zero_qty",
                           "the new quantity is not above what is filled; cancel instead");
    return true;
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
        return desk_refuse(refusal, "pending", "order %" PRIu64 " waits for an answer already (%s)",
                           order_id, order_status_name(order_status(order)));
    const struct venue_port *venue = &engine->options.venue;
    if (!order->held && venue->abilities(venue->self, order->instrument)->amend == AMEND_NONE)
        return desk_refuse(refusal, "not_supported",
                           "this venue changes no order; cancel it instead");
    if (decimal_valid(price) && !decimal_valid(order->price))
        return desk_refuse(refusal, "no_price", "a %s order has no price to amend",
                           order_type_name(order->type));
    if (order->known == ORDER_PENDING_NEW)
        return desk_refuse(refusal, "pending", "order %" PRIu64 " is still on its way", order_id);
    if (!round_terms(engine, index, order, &qty, &price, refusal) ||
        !gate_amend(engine, index, order, qty, price, refusal))
        return false;
    return desk_amend(engine, order, qty, price);
}

/* ---- policy --------------------------------------------------------------------------------- */

void desk_stop_orders(struct engine *engine, int index, enum stop_policy policy)
{
    struct instance *instance = &engine->instances[index];
    if (policy == POLICY_LEAVE)
        return;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id == instance->instance_id && desk_ends_with(order, policy))
            desk_cancel(engine, order);
    }
    if (policy == POLICY_FLATTEN)
        for (size_t k = 0; k < instance->instrument_count; k++)
            targets_flatten(engine, index, instance->instruments[k],
                            decimal_abs(instance->holdings[k].position.qty));
}
