/* gate.c - what the gate (risk/check.c) is told of the account, and what becomes of its verdict.
 *
 * Every order that adds risk comes through here: when it is asked for, when it is changed to ask
 * for more, when it was held here and leaves, and when it never arrived and is sent again. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

/* The price an order would meet now: the touch for a taker, else the last trade. */
decimal gate_reference_price(const struct engine *engine, uint32_t index, enum order_side side)
{
    const struct quote_event *quote = market_quote_now(engine->market, index);
    const struct instrument *instrument = instrument_at(engine, index);
    if (quote)
        return decimal_make(side == SIDE_BUY ? quote->ask : quote->bid, instrument->price_scale);
    return market_mark(engine->market, index);
}

/* ---- the account, as the gate sees it ---- */

struct working {
    decimal buy, sell;
};

bool gate_may_link(const struct engine *engine, const struct order *a, const struct order *b)
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
    bool shared = first && first->side == order->side && gate_may_link(engine, first, order);
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
decimal gate_exposure_others(const struct engine *engine, const struct instance *instance,
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
            total, decimal_mul(decimal_mul(worse, mark), instrument_at(engine, index)->multiplier));
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

static struct risk_view view_of(struct engine *engine, int index, const struct order *order)
{
    const struct instance *instance = &engine->instances[index];
    const char *code = NULL, *why = halts_why(engine, order->instrument, &code);
    struct holding *holding = instance_holding(engine, index, order->instrument);
    struct working working = working_of(engine, instance, order->instrument);
    bool counts_positions = limit_is_set(&engine->options.account, LIMIT_OPEN_POSITIONS) ||
                            limit_is_set(&instance->limits, LIMIT_OPEN_POSITIONS);
    return (struct risk_view){
        .instrument = instrument_at(engine, order->instrument),
        .reference = gate_reference_price(engine, order->instrument, order->side),
        .equity = engine_equity(engine, index),
        .position_qty = holding->position.qty,
        .working_buy = working.buy,
        .working_sell = working.sell,
        .exposure_others = gate_exposure_others(engine, instance, order->instrument),
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
    struct told_verdict told = { .time_ns = engine->now_ns,
                                 .instance = index,
                                 .instrument = order->instrument,
                                 .verdict = verdict->verdict,
                                 .side = order->side,
                                 .asked = order->qty,
                                 .allowed = verdict->qty };
    memcpy(told.code, verdict->code, sizeof(told.code));
    text_copy(told.reason, sizeof(told.reason), verdict->reason);
    operator_note_verdict(engine, &told);
    LOG(engine->options.log, LOG_INFO, "risk", verdict_name(verdict->verdict),
        F_STR("strategy", engine->instances[index].strategy),
        F_STR("symbol", instrument_at(engine, order->instrument)->symbol),
        F_STR("code", verdict->code), F_STR("reason", verdict->reason));
}

void gate_record_blocked(struct engine *engine, int index, const struct order *order,
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
    gate_record_blocked(engine, index, order, verdict->code);
    if (verdict->verdict == VERDICT_HALT && !engine->halted) {
        turn_alert(engine, index, "daily_loss_limit", verdict->reason);
        /* a breach of the day's loss, until the day ends */
        halts_session(engine, index, "daily_loss_limit", verdict->reason, true);
    }
    return desk_refuse(refusal, verdict->code, "%s", verdict->reason);
}

bool gate_pass(struct engine *engine, int index, struct order *order, const struct order *beside,
               struct refusal *refusal)
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

/* ---- orders that are there already ---- */

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
bool gate_amend(struct engine *engine, int index, const struct order *order, decimal qty,
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

bool gate_may_leave(struct engine *engine, struct order *order, char why[REASON_MAX])
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) {
        order->qty = decimal_min(order->qty, desk_reducible(engine, index, order));
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

bool gate_passes_again(struct engine *engine, const struct order *order)
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) /* what is held may be less by now */
        return decimal_cmp(order_remaining(order), desk_reducible(engine, index, order)) <= 0;
    if (is_done_by_another(engine, order))
        return false;
    struct risk_view view = view_of(engine, index, order);
    decimal *own_side = order->side == SIDE_BUY ? &view.working_buy : &view.working_sell;
    *own_side = decimal_sub(*own_side, order_remaining(order));
    struct risk_verdict verdict;
    risk_check(&engine->options.account, &engine->instances[index].limits, &view, order, &verdict);
    return verdict.verdict == VERDICT_APPROVE;
}
