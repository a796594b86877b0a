/* desk.c - what a guest asks: orders in, refusals or order ids out.
 *
 * The one way of an order: round -> fit to what may be reduced -> gate (risk.c) -> id from the
 * ledger -> blotter -> record and command of this turn. Exits and close-outs by policy skip the
 * gate only where they reduce, and take the same way otherwise. */
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
                                       .trail = DECIMAL_NONE,
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
    return refuse(refusal, "too_many_requests",
                  "more than %d orders, cancels and amends in one callback", REQUESTS_PER_CALL);
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
        return refuse(refusal, "range", "the price %s does not fit a decimal",
                      decimal_format(asked, text));
    if (decimal_sign(rounded) > 0)
        return true;
    return refuse(refusal, "price", "the price %s rounds to zero or below on a tick of %s",
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
    const struct instrument *instrument = instrument_of(engine, order->instrument);
    if (!round_prices(instrument, order, request, refusal))
        return false;
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

static bool check_trail(struct engine *engine, struct order *order, struct refusal *refusal)
{
    char text[DECIMAL_TEXT_MAX];
    if (!decimal_valid(order->trail) || decimal_sign(order->trail) <= 0 ||
        (order->trail_is_share && decimal_cmp(order->trail, decimal_int(1)) >= 0))
        return refuse(refusal, "trail", "a trailing stop needs a distance above zero (%s)",
                      decimal_format(order->trail, text));
    if (!order->trail_is_share)
        order->trail = decimal_to_multiple(
            order->trail, instrument_of(engine, order->instrument)->tick_size, ROUND_DOWN);
    struct order begun = *order;
    if (decimal_sign(order->trail) <= 0 || !held_trail_begin(engine, &begun))
        return refuse(refusal, "trail", "the distance is less than a tick, or the whole price");
    return true;
}

/* What the type needs to be watched or worked at all, and a time that is not over. */
static bool check_terms(struct engine *engine, struct order *order, struct refusal *refusal)
{
    bool triggers = order->type == ORDER_STOP || order->type == ORDER_STOP_LIMIT;
    bool limits = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
    if (triggers && !decimal_valid(order->trigger_price))
        return refuse(refusal, "no_trigger", "a %s order needs a trigger_price",
                      order_type_name(order->type));
    if (limits && !decimal_valid(order->price))
        return refuse(refusal, "no_price", "a %s order needs a price",
                      order_type_name(order->type));
    if (held_expiry_ns(order) <= engine->now_ns)
        return refuse(refusal, "expired", "the order would have expired already");
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
        return refuse(refusal, "not_supported", "this venue takes no %s orders",
                      order_type_name(type));
    bool ends_here = order->tif == TIF_DAY || order->tif == TIF_GTD;
    enum order_tif tif =
        ends_here && !(abilities->tifs & (1u << order->tif)) ? TIF_GTC : order->tif;
    if (!(abilities->tifs & (1u << tif)))
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

/* Orders of one group that the venue links: at most one of them fills. */
static bool may_link(const struct engine *engine, const struct order *a, const struct order *b)
{
    const struct venue_port *venue = &engine->options.venue;
    return venue->abilities(venue->self, a->instrument)->oco && !held_is_needed(engine, a) &&
           !held_is_needed(engine, b);
}

/* What of a working quantity an order of its group counts already. */
static decimal counted_by_first(const struct engine *engine, const struct order *order)
{
    if (order->group_id == 0 || order->group_id == order->order_id)
        return DECIMAL_ZERO;
    const struct order *first = blotter_find(engine->blotter, order->group_id);
    bool shared = first && first->side == order->side && may_link(engine, first, order);
    return shared ? order_remaining(first) : DECIMAL_ZERO;
}

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
        qty = decimal_sub(qty, counted_by_first(engine, order));
        *side = decimal_add(*side, decimal_max(qty, DECIMAL_ZERO));
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
        total = decimal_add(
            total, decimal_mul(decimal_mul(worse, mark), instrument_of(engine, index)->multiplier));
    }
    return total;
}

/* Positions that are open or that an order at work may open, but for the given holding. */
static uint32_t positions_open(struct engine *engine, struct holding *except)
{
    uint32_t count = 0;
    except->counted = ++engine->position_counts;
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->instrument_count; k++)
            if (!decimal_is_zero(instance->holdings[k].position.qty) &&
                instance->holdings[k].counted != engine->position_counts) {
                instance->holdings[k].counted = engine->position_counts;
                count++;
            }
    }
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        struct holding *holding =
            instance_holding(engine, instance_of_order(engine, order), order->instrument);
        if (!order->reduce_only && holding->counted != engine->position_counts) {
            holding->counted = engine->position_counts;
            count++;
        }
    }
    return count;
}

uint64_t desk_query(struct engine *engine, const struct venue_query *query)
{
    struct command command = { .kind = COMMAND_QUERY, .query = *query };
    command.query.ticket = ++engine->tickets;
    engine->counts.asked++;
    turn_command(engine, &command);
    return command.query.ticket;
}

static struct risk_view view_of(struct engine *engine, int index, const struct order *order)
{
    const struct instance *instance = &engine->instances[index];
    const char *code = NULL, *why = halts_why(engine, order->instrument, &code);
    struct holding *holding = instance_holding(engine, index, order->instrument);
    struct working working = working_of(engine, instance, order->instrument);
    bool counts_positions =
        engine->options.account.max_open_positions > 0 || instance->limits.max_open_positions > 0;
    return (struct risk_view){
        .instrument = instrument_of(engine, order->instrument),
        .reference = reference_price(engine, order->instrument, order->side),
        .equity = engine_equity(engine, index),
        .position_qty = holding->position.qty,
        .working_buy = working.buy,
        .working_sell = working.sell,
        .exposure_others = exposure_others(engine, instance, order->instrument),
        .day_opening_equity = engine->day_opening_equity,
        .account_equity = totals_account_equity(engine),
        .day_volume = engine->day_volume,
        .open_positions = counts_positions ? positions_open(engine, holding) : 0,
        .day_trades = engine->day_trades,
        .orders_last_second = totals_orders_last_second(engine),
        .halted = engine->halted || why,
        .halt_code = engine->halted ? "halted" : code,
        .halt_reason = engine->halted ? engine->halt_reason : why,
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

static bool blocked(struct engine *engine, int index, const struct order *order,
                    const struct risk_verdict *verdict, struct refusal *refusal)
{
    record_blocked(engine, index, order, verdict->code);
    if (verdict->verdict == VERDICT_HALT && !engine->halted) {
        turn_alert(engine, index, "daily_loss_limit", verdict->reason);
        /* a breach of the day's loss, until the day ends */
        halts_session(engine, index, "daily_loss_limit", verdict->reason, true);
    }
    return refuse(refusal, verdict->code, "%s", verdict->reason);
}

/* `beside`: an order that will work beside it and is not in the blotter yet, or NULL. */
static bool pass_gate(struct engine *engine, int index, struct order *order,
                      const struct order *beside, struct refusal *refusal)
{
    struct risk_view view = view_of(engine, index, order);
    if (beside && !beside->reduce_only) {
        decimal *side = beside->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
        *side = decimal_add(*side, beside->qty);
    }
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, order, &verdict);
    if (verdict.verdict == VERDICT_APPROVE)
        return true;
    text_copy(order->reason, sizeof(order->reason), verdict.reason);
    tell_verdict(engine, index, order, &verdict);
    if (verdict.verdict == VERDICT_REDUCE) {
        engine->counts.reduced++;
        order->qty = verdict.qty;
        return true;
    }
    return blocked(engine, index, order, &verdict, refusal);
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
    totals_order(engine);
    if (here) {
        held_begin(engine, placed);
    } else {
        turn_record_order(engine, placed);
        turn_command(engine, &(struct command){ .kind = COMMAND_SUBMIT,
                                                .order_id = order->order_id,
                                                .keeps = order->role != ROLE_PLAIN });
    }
    held_note_expiry(engine, placed);
    return order->order_id;
}

/* What is left to reduce of the instance's own position. */
static decimal reducible(struct engine *engine, int index, const struct order *order)
{
    decimal position = instance_holding(engine, index, order->instrument)->position.qty;
    return decimal_max(order->side == SIDE_BUY ? decimal_neg(position) : position, DECIMAL_ZERO);
}

static bool fit_reduce_only(struct engine *engine, int index, struct order *order,
                            struct refusal *refusal)
{
    order->qty = decimal_min(order->qty, reducible(engine, index, order));
    if (!decimal_is_zero(order->qty))
        return true;
    return refuse(refusal, "nothing_to_reduce", "reduce_only, but there is no position to reduce");
}

/* An order as asked for: rounded, fit to what may be reduced, passed by the gate. False: refused,
 * and recorded. */
static bool prepare(struct engine *engine, int index, const struct order_request *request,
                    const struct order *beside, struct order *out, struct refusal *refusal)
{
    struct order order = { .instrument = request->instrument,
                           .side = request->side,
                           .type = request->type,
                           .tif = request->tif,
                           .stop_on = request->stop_on,
                           .qty = DECIMAL_ZERO,
                           .reduce_only = request->reduce_only,
                           .post_only = request->post_only,
                           .trail = request->trail,
                           .trail_is_share = request->trail_is_share,
                           .expires_ns = request->expires_ns,
                           .created_ns = engine->now_ns,
                           .updated_ns = engine->now_ns,
                           .filled_qty = DECIMAL_ZERO,
                           .notional = DECIMAL_ZERO,
                           .fees = DECIMAL_ZERO,
                           .instance_id = engine->instances[index].instance_id };
    memcpy(order.tag, request->tag, sizeof(order.tag));
    if (!round_order(engine, &order, request, refusal) || !check_terms(engine, &order, refusal) ||
        !check_abilities(engine, &order, refusal) ||
        (order.reduce_only && !fit_reduce_only(engine, index, &order, refusal))) {
        text_copy(order.reason, sizeof(order.reason), refusal->reason);
        record_blocked(engine, index, &order, refusal->code);
        return false;
    }
    if (!pass_gate(engine, index, &order, beside, refusal))
        return false;
    order.reason[0] = '\0';
    *out = order;
    return true;
}

uint64_t engine_submit(struct engine *engine, int index, const struct order_request *request,
                       struct refusal *refusal)
{
    *refusal = (struct refusal){ 0 };
    struct order order;
    if (!may_ask(engine, index, refusal) || !prepare(engine, index, request, NULL, &order, refusal))
        return 0;
    uint64_t order_id = desk_place(engine, index, &order);
    if (order_id == 0) {
        refuse(refusal, "too_many_orders", "%d orders are open already", ORDERS_OPEN_MAX);
        text_copy(order.reason, sizeof(order.reason), refusal->reason);
        record_blocked(engine, index, &order, refusal->code);
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
        return refuse(refusal, "not_supported", "linked orders must be of one symbol");
    struct order legs[2];
    if (!prepare(engine, index, &requests[0], NULL, &legs[0], refusal))
        return false;
    legs[1] = legs[0];
    legs[1].type = requests[1].type;
    const struct order *beside = may_link(engine, &legs[0], &legs[1]) ? NULL : &legs[0];
    if (!prepare(engine, index, &requests[1], beside, &legs[1], refusal))
        return false;
    if (blotter_open_count(engine->blotter) + 2 > ORDERS_OPEN_MAX)
        return refuse(refusal, "too_many_orders", "%d orders are open already", ORDERS_OPEN_MAX);
    legs[0].group_id = GROUP_OWN;
    legs[1].group_id = ids[0] = desk_place(engine, index, &legs[0]);
    ids[1] = desk_place(engine, index, &legs[1]);
    pairs_begin(engine, ids);
    return true;
}

bool desk_cancel(struct engine *engine, struct order *order)
{
    if (!order_is_open(order) || order->pending & PENDING_CANCEL)
        return false;
    if (order->held) {
        held_end(engine, order, ORDER_CANCELED, "");
        return true;
    }
    turn_command(
        engine,
        &(struct command){ .kind = COMMAND_CANCEL, .order_id = order->order_id, .before = *order });
    order_mark_cancel(order, engine->now_ns);
    turn_record_order(engine, order);
    return true;
}

/* Stops and takes of protected entries protect until the position is flat: then they end by
 * themselves (exits.c). */
static bool ends_with(const struct order *order, enum stop_policy policy)
{
    if (policy == POLICY_LEAVE)
        return false;
    if (!order->reduce_only)
        return true;
    return policy == POLICY_FLATTEN && order->role == ROLE_PLAIN && order->type != ORDER_MARKET;
}

/* Not a strategy's wish, which may change: what a halt, a stop or an adoption cancels may not work.
 */
static bool must_go(const struct engine *engine, const struct order *order)
{
    int index = instance_of_order(engine, order);
    const struct instance *instance = &engine->instances[index];
    bool halted = engine->halted || engine->instrument_halts[order->instrument].set;
    return (halted && !order->reduce_only) || index == engine->external || engine->cancels_all ||
           ends_with(order, engine->stopping) ||
           (instance->guest.self && !instance->alive && ends_with(order, instance->on_error));
}

/* A venue refuses cancels for many reasons; of this one the wish stands. */
static void insist_on_cancel(struct engine *engine, const struct order *before, struct order *order,
                             const struct report *report)
{
    bool refused = report->kind == REPORT_CANCEL_REJECT && before->pending & PENDING_CANCEL;
    if (refused && order_is_open(order) && !(order->pending & PENDING_CANCEL) &&
        must_go(engine, order))
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
        turn_command(engine, &(struct command){ .kind = COMMAND_CANCEL,
                                                .order_id = order->order_id,
                                                .before = *order });
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

/* Whether new terms ask for more than the old: quantity, a dearer buy, a sell that is dearer (worth
 * more) or cheaper (through the market). */
static bool asks_more(const struct order *order, decimal qty, decimal price)
{
    if (decimal_cmp(qty, order->qty) > 0)
        return true;
    if (!decimal_valid(price) || !decimal_valid(order->price))
        return false;
    int dearer = decimal_cmp(price, order->price);
    return order->side == SIDE_BUY ? dearer > 0 : dearer != 0;
}

/* An amend that asks for more passes the gate like a new order of what would then be left. It is
 * never reduced: the order stays as it is. */
static bool gate_amend(struct engine *engine, int index, const struct order *order, decimal qty,
                       decimal price, struct refusal *refusal)
{
    if (order->reduce_only || !asks_more(order, qty, price))
        return true;
    struct order asked = *order;
    asked.price = price;
    struct risk_view view = view_of(engine, index, order);
    /* The order itself is replaced, so it does not count beside its own new terms. */
    decimal *own_side = order->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
    *own_side = decimal_sub(*own_side, order_remaining(order));
    asked.qty = decimal_sub(qty, order->filled_qty);
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, &asked, &verdict);
    if (verdict.verdict == VERDICT_APPROVE)
        return true;
    if (verdict.verdict == VERDICT_REDUCE)
        verdict.verdict = VERDICT_BLOCK;
    text_copy(asked.reason, sizeof(asked.reason), verdict.reason);
    tell_verdict(engine, index, &asked, &verdict);
    return blocked(engine, index, &asked, &verdict, refusal);
}

bool desk_may_leave(struct engine *engine, struct order *order, char why[REASON_MAX])
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) {
        order->qty = decimal_min(order->qty, reducible(engine, index, order));
        text_copy(why, REASON_MAX, "nothing is left to reduce");
        return !decimal_is_zero(order->qty);
    }
    struct risk_view view = view_of(engine, index, order);
    decimal *own_side = order->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
    *own_side = decimal_sub(*own_side, order_remaining(order));
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, order, &verdict);
    if (verdict.verdict == VERDICT_APPROVE)
        return true;
    tell_verdict(engine, index, order, &verdict);
    if (verdict.verdict == VERDICT_REDUCE) {
        engine->counts.reduced++;
        order->qty = verdict.qty;
        return true;
    }
    text_copy(why, REASON_MAX, verdict.reason);
    if (verdict.verdict == VERDICT_HALT && !engine->halted) {
        turn_alert(engine, index, "daily_loss_limit", verdict.reason);
        halts_session(engine, index, "daily_loss_limit", verdict.reason, true);
    }
    return false;
}

/* Another order of its group did (some of) what this one was for. */
static bool is_done_by_another(const struct engine *engine, const struct order *order)
{
    for (size_t i = 0; order->group_id != 0 && i < blotter_count(engine->blotter); i++) {
        const struct order *other = blotter_at(engine->blotter, i);
        if (other->group_id == order->group_id && other != order &&
            decimal_sign(other->filled_qty) > 0)
            return true;
    }
    return false;
}

bool desk_passes_again(struct engine *engine, const struct order *order)
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) /* what is held may be less by now */
        return decimal_cmp(order_remaining(order), reducible(engine, index, order)) <= 0;
    if (is_done_by_another(engine, order))
        return false;
    struct risk_view view = view_of(engine, index, order);
    decimal *own_side = order->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
    *own_side = decimal_sub(*own_side, order_remaining(order));
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, order, &verdict);
    return verdict.verdict == VERDICT_APPROVE;
}

/* Rounds new terms as a new order's are. A reduce-only order grows no further than what is held. */
static bool round_terms(struct engine *engine, int index, const struct order *order, decimal *qty,
                        decimal *price, struct refusal *refusal)
{
    const struct instrument *instrument = instrument_of(engine, order->instrument);
    decimal asked = *price;
    *price = decimal_valid(asked) ? round_price(instrument, order->side, asked) : order->price;
    if (!is_price(instrument, asked, *price, refusal))
        return false;
    *qty = decimal_valid(*qty) ? decimal_to_multiple(*qty, instrument->lot_size, ROUND_DOWN)
                               : order->qty;
    if (order->reduce_only && decimal_valid(*qty) && decimal_cmp(*qty, order->qty) > 0)
        *qty = decimal_min(*qty, decimal_add(order->filled_qty, reducible(engine, index, order)));
    if (!decimal_valid(*qty))
        return refuse(refusal, "range", "the quantity does not fit a decimal");
    if (decimal_cmp(*qty, order->filled_qty) <= 0)
        return refuse(refusal, "zero_qty",
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
        return refuse(refusal, "pending", "order %" PRIu64 " waits for an answer already (%s)",
                      order_id, order_status_name(order_status(order)));
    const struct venue_port *venue = &engine->options.venue;
    if (!order->held && venue->abilities(venue->self, order->instrument)->amend == AMEND_NONE)
        return refuse(refusal, "not_supported", "this venue changes no order; cancel it instead");
    if (decimal_valid(price) && !decimal_valid(order->price))
        return refuse(refusal, "no_price", "a %s order has no price to amend",
                      order_type_name(order->type));
    if (order->known == ORDER_PENDING_NEW)
        return refuse(refusal, "pending", "order %" PRIu64 " is still on its way", order_id);
    if (!round_terms(engine, index, order, &qty, &price, refusal) ||
        !gate_amend(engine, index, order, qty, price, refusal))
        return false;
    return desk_amend(engine, order, qty, price);
}

/* ---- target, close, size ------------------------------------------------------------------- */

/* Signed quantity of the instance's market orders under way: they will be position soon. */
static decimal market_orders_under_way(const struct engine *engine, int index, uint32_t instrument)
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
    decimal lot = instrument_of(engine, instrument)->lot_size;
    decimal wanted = decimal_to_multiple(qty, lot, ROUND_DOWN);
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal difference =
        decimal_sub(wanted, decimal_add(held, market_orders_under_way(engine, index, instrument)));
    if (!decimal_valid(difference)) {
        refuse(refusal, "range", "the target does not fit a decimal");
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
    decimal room =
        decimal_sub(decimal_mul(equity, instrument->leverage),
                    exposure_others(engine, &engine->instances[index], instrument_index));
    const struct risk_limits *limits[] = { &engine->options.account,
                                           &engine->instances[index].limits };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
        if (decimal_valid(limits[i]->max_order_size))
            room = decimal_min(room, limits[i]->max_order_size);
        if (decimal_valid(limits[i]->max_position_size))
            room = decimal_min(room, decimal_mul(equity, limits[i]->max_position_size));
    }
    decimal most = decimal_div(room, unit_cost, 18, ROUND_DOWN);
    qty = decimal_to_multiple(decimal_max(decimal_min(qty, most), DECIMAL_ZERO),
                              instrument->lot_size, ROUND_DOWN);
    if (!decimal_valid(qty)) {
        refuse(refusal, "range", "the size does not fit a decimal");
        return DECIMAL_ZERO;
    }
    /* "Within 1e-6 of a multiple" must not lift it above what there is room for. */
    if (decimal_sign(qty) > 0 && decimal_cmp(qty, most) > 0)
        qty = decimal_sub(qty, instrument->lot_size);
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

void desk_flatten(struct engine *engine, int index, uint32_t instrument, decimal qty)
{
    decimal held = instance_holding(engine, index, instrument)->position.qty;
    decimal left = decimal_add(held, market_orders_under_way(engine, index, instrument));
    if (decimal_is_zero(held) || decimal_sign(left) != decimal_sign(held))
        return;
    decimal most = decimal_min(decimal_abs(left), decimal_abs(held));
    struct order order = { .instrument = instrument,
                           .side = decimal_sign(held) > 0 ? SIDE_SELL : SIDE_BUY,
                           .type = ORDER_MARKET,
                           .tif = TIF_GTC,
                           .qty = decimal_min(qty, most),
                           .price = DECIMAL_NONE,
                           .trigger_price = DECIMAL_NONE,
                           .trail = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .reduce_only = true,
                           .expires_ns = TIME_NEVER,
                           .tag = "flatten" };
    if (desk_place(engine, index, &order) != 0)
        engine->commands[engine->command_count - 1].keeps = true;
}

void desk_stop_orders(struct engine *engine, int index, enum stop_policy policy)
{
    struct instance *instance = &engine->instances[index];
    if (policy == POLICY_LEAVE)
        return;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->instance_id == instance->instance_id && ends_with(order, policy))
            desk_cancel(engine, order);
    }
    if (policy == POLICY_FLATTEN)
        for (size_t k = 0; k < instance->instrument_count; k++)
            desk_flatten(engine, index, instance->instruments[k],
                         decimal_abs(instance->holdings[k].position.qty));
}
