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

decimal gate_exposure_others(struct engine *engine, struct instance *instance, uint32_t except)
{
    if (!stamp_holds(&instance->bound_at, engine)) {
        instance->bound_at = stamp_now(engine);
        instance->bound = DECIMAL_ZERO;
        for (size_t k = 0; k < instance->instrument_count; k++)
            if (instance->holdings[k].is_open)
                instance->bound =
                    decimal_add(instance->bound, exposure_worth_of(engine, instance, k)->bound);
    }
    size_t own = holding_index(instance, except);
    return instance->holdings[own].is_open
               ? decimal_sub(instance->bound, exposure_worth_of(engine, instance, own)->bound)
               : instance->bound;
}

/* What a stage of the rollout leaves for one instrument. */
static decimal stage_left(struct engine *engine, uint32_t except)
{
    decimal left = rollout_capital(&engine->options.risk.rollout, &engine->rollout);
    for (uint32_t i = 0; decimal_valid(left) && i < engine->instruments->count; i++)
        if (i != except)
            left = decimal_sub(left, exposure_worth(engine, i)->bound);
    return left;
}

static void view_scope(struct engine *engine, struct scope *scope, int index,
                       const struct order *order, struct scope_view *out)
{
    const struct exposure *exposure = &engine->exposures[order->instrument];
    const struct risk_limits *limits = &scope->limits;
    bool of_strategy = scope->kind == SCOPE_STRATEGY;
    struct holding *holding = instance_holding(engine, index, order->instrument);
    out->position_qty = of_strategy ? holding->position.qty : exposure->position;
    out->working_buy = of_strategy ? holding->working_buy : exposure->buy;
    out->working_sell = of_strategy ? holding->working_sell : exposure->sell;
    if (of_strategy || scope->is_limited)
        out->equity = scope_equity(engine, scope);
    if (!scope->is_limited)
        return;
    out->limits = limits;
    out->name = scope->name;
    out->day_opening_equity = scope->day_opening;
    out->peak_equity = scope->peak;
    out->day_volume = decimal_add(scope->day_volume, scope->open_value);
    out->day_trades = scope->day_trades + scope->open_unfilled;
    out->open_positions = scope->open_positions;
    out->is_open = holding->is_open;
    out->rate_is_reached = scope_rate_is_reached(scope, engine->now_ns, 0);
    if (limit_is_set(limits, LIMIT_HEAT))
        out->heat = portfolio_heat(engine, scope);
    for (int i = 0; limit_is_set(limits, LIMIT_VOLATILITY) && i < 2; i++)
        out->volatility[i] = portfolio_book(engine, scope, order->instrument, i == 0);
}

static const char *barred(struct engine *engine, int index, uint32_t instrument, const char **code)
{
    const char *why = halts_why(engine, index, instrument, code);
    return why ? why : guards_why(engine, instrument, code);
}

static void view_of(struct engine *engine, int index, const struct order *order,
                    struct risk_view *view)
{
    struct instance *instance = &engine->instances[index];
    struct scope *scopes[SCOPES];
    memset(view, 0, sizeof(*view));
    exposure_price_all(engine);
    view->instrument = instrument_at(engine, order->instrument);
    view->reference = gate_reference_price(engine, order->instrument, order->side);
    view->fx = totals_fx(engine, order->instrument);
    view->working_price = exposure_price(engine, order->instrument);
    view->no_stop_pct = engine->options.risk.no_stop_pct;
    view->exposure_others = gate_exposure_others(engine, instance, order->instrument);
    view->exposure_left = stage_left(engine, order->instrument);
    view->barred_why = barred(engine, index, order->instrument, &view->barred_code);
    scopes_of(engine, index, order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        view_scope(engine, scopes[i], index, order, &view->scopes[i]);
}

/* The same without an order that is counted already: it is judged as if it were new. */
static void view_without(struct engine *engine, int index, struct order *order,
                         struct risk_view *view)
{
    exposure_forget(engine, order->order_id);
    view_of(engine, index, order, view);
    exposure_follow(engine, order);
}

/* What would not be the probe of a half open breaker, or not the only one. */
static void bar_but_one(struct engine *engine, const struct order *order, struct risk_view *view)
{
    if (!view->barred_code)
        view->barred_why = guards_probing(engine, order->instrument, &view->barred_code);
}

/* One that will leave before it and is not in the blotter yet: its message counts, and all of it
 * where the venue does not link them. */
static void put_beside(struct engine *engine, int index, struct risk_view *view,
                       const struct order *order, const struct order *beside)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, index, order->instrument, scopes);
    bool leaves = !held_is_needed(engine, beside);
    if (leaves && !beside->reduce_only)
        bar_but_one(engine, order, view);
    bool linked = beside->side == order->side && gate_may_link(engine, beside, order);
    for (size_t i = 0; i < SCOPES && leaves; i++)
        view->scopes[i].rate_is_reached |= scope_rate_is_reached(scopes[i], engine->now_ns, 1);
    if (beside->reduce_only || linked)
        return;
    struct stake stake = exposure_stake(engine, beside);
    if (decimal_valid(stake.price))
        view->working_price = decimal_valid(view->working_price)
                                  ? decimal_max(view->working_price, stake.price)
                                  : stake.price;
    if (beside->side == order->side)
        view->beside = stake.qty;
    for (size_t i = 0; i < SCOPES; i++) {
        struct scope_view *scope = &view->scopes[i];
        decimal *side = beside->side == SIDE_BUY ? &scope->working_buy : &scope->working_sell;
        *side = decimal_add(*side, stake.qty);
        if (!scope->limits)
            continue;
        scope->day_volume = decimal_add(scope->day_volume, stake.value);
        scope->day_trades += stake.is_unfilled;
        if (limit_is_set(scope->limits, LIMIT_HEAT))
            scope->heat = decimal_add(scope->heat, stake.heat);
    }
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

/* A breach of the account's own loss limits halts the session; what a narrower scope lost is judged
 * with the market (scopes.c). */
static void act_on_halt(struct engine *engine, int index, const struct risk_verdict *verdict)
{
    if (verdict->verdict == VERDICT_HALT && verdict->scope == SCOPE_ACCOUNT)
        scopes_lose(engine, index, &engine->account, verdict);
}

static bool blocked(struct engine *engine, int index, const struct order *order,
                    const struct risk_verdict *verdict, struct refusal *refusal)
{
    gate_record_blocked(engine, index, order, verdict->code);
    act_on_halt(engine, index, verdict);
    return desk_refuse(refusal, verdict->code, "%s", verdict->reason);
}

/* The strictest collar that binds; DECIMAL_NONE: none. */
static decimal collar_of(const struct risk_view *view)
{
    decimal collar = DECIMAL_NONE;
    for (size_t i = 0; i < SCOPES; i++) {
        const struct risk_limits *limits = view->scopes[i].limits;
        if (limits && limit_is_set(limits, LIMIT_COLLAR))
            collar = decimal_valid(collar) ? decimal_min(collar, limits->value[LIMIT_COLLAR])
                                           : limits->value[LIMIT_COLLAR];
    }
    return collar;
}

/* What orders at work will close already cannot be closed a second time. */
static bool only_reduces(const struct risk_view *view, const struct order *order)
{
    const struct scope_view *own = &view->scopes[SCOPE_STRATEGY];
    decimal held = order->side == SIDE_BUY ? decimal_neg(own->position_qty) : own->position_qty;
    decimal working = order->side == SIDE_BUY ? own->working_buy : own->working_sell;
    return order->reduce_only || decimal_cmp(decimal_sub(held, working), order->qty) >= 0;
}

/* A market entry gets the worst price it may have, where the venue can keep it: it leaves as a
 * limit order, immediate or cancel. So does a stop that fires here, or is through its trigger
 * already. */
static void bind_price(struct engine *engine, const struct risk_view *view, struct order *order)
{
    const struct venue_port *venue = &engine->options.venue;
    const struct venue_abilities *abilities = venue->abilities(venue->self, order->instrument);
    decimal collar = collar_of(view);
    bool fires = order->held || (held_is_needed(engine, order) && held_is_through(engine, order));
    enum order_type type = fires ? held_fired_type(order->type) : order->type;
    if (type != ORDER_MARKET || only_reduces(view, order) || !decimal_valid(collar) ||
        !decimal_valid(view->reference) || !(abilities->types & (1u << ORDER_LIMIT)) ||
        !(abilities->tifs & (1u << TIF_IOC)))
        return;
    order->price = risk_collar_bound(view->instrument, order->side, view->reference, collar);
}

/* Judges; false: it may not leave. What was lowered is lowered in *order. */
static bool judge(struct engine *engine, int index, const struct risk_view *view,
                  struct order *order, struct risk_verdict *verdict)
{
    risk_check(view, order, verdict);
    if (verdict->verdict == VERDICT_APPROVE)
        return true;
    text_copy(order->reason, sizeof(order->reason), verdict->reason);
    tell_verdict(engine, index, order, verdict);
    if (verdict->verdict != VERDICT_REDUCE)
        return false;
    engine->counts.reduced++;
    struct record *record = turn_record(engine, RECORD_REDUCED, index, order->instrument);
    record->order = *order;
    record->allowed = verdict->qty;
    memcpy(record->code, verdict->code, sizeof(record->code));
    order->qty = verdict->qty;
    return true;
}

/* What only reduces meets our own orders only after these were canceled (desk_place). */
static bool meets_own(struct engine *engine, int index, const struct risk_view *view,
                      struct order *order, struct risk_verdict *verdict)
{
    const struct order *own = guards_own_order(engine, order);
    char price[DECIMAL_TEXT_MAX];
    if (!own || only_reduces(view, order))
        return false;
    *verdict = (struct risk_verdict){ .verdict = VERDICT_BLOCK, .qty = DECIMAL_ZERO };
    text_copy(verdict->code, sizeof(verdict->code), "self_trade");
    snprintf(verdict->reason, sizeof(verdict->reason),
             "it would trade with our own %s order %.40s at %s", order_side_name(own->side),
             own->client_order_id, decimal_format(own->price, price));
    tell_verdict(engine, index, order, verdict);
    return true;
}

/* What leaves although nothing new may must not become new risk while it rests: another way out may
 * be faster, and then it would open. */
static void keep_reducing(const struct risk_view *view, struct order *order)
{
    order->reduce_only |= view->barred_code != NULL;
}

bool gate_pass(struct engine *engine, int index, struct order *order, const struct order *beside,
               struct refusal *refusal)
{
    struct risk_view view;
    struct risk_verdict verdict;
    bool repeats = !order->reduce_only && guards_repeats(engine, index, order);
    view_of(engine, index, order, &view);
    if (beside)
        put_beside(engine, index, &view, order, beside);
    bind_price(engine, &view, order);
    if (!repeats && meets_own(engine, index, &view, order, &verdict))
        return blocked(engine, index, order, &verdict, refusal);
    if (!judge(engine, index, &view, order, &verdict))
        return blocked(engine, index, order, &verdict, refusal);
    keep_reducing(&view, order);
    return true;
}

/* ---- orders that are there already ---- */

/* Whether new terms ask for more than the old: quantity, a dearer buy, a sell that is dearer (worth
 * more) or cheaper (through the market). */
static bool asks_more(const struct order *order, decimal qty, decimal price)
{
    if (decimal_cmp(qty, order->qty) > 0)
        return true;
    if (!decimal_valid(price))
        return false;
    int dearer = decimal_cmp(price, order->price);
    return order->side == SIDE_BUY ? dearer > 0 : dearer != 0;
}

static bool is_over_rate(struct engine *engine, int index, const struct order *order)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, index, order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        if (scope_rate_is_reached(scopes[i], engine->now_ns, 0))
            return true;
    return false;
}

/* Another price that asks for no more is still a message of an entry. */
static bool is_too_often(struct engine *engine, int index, const struct risk_view *view,
                         const struct order *asked, struct risk_verdict *verdict)
{
    if (!is_over_rate(engine, index, asked) || only_reduces(view, asked))
        return false;
    *verdict = (struct risk_verdict){ .verdict = VERDICT_BLOCK, .qty = DECIMAL_ZERO };
    text_copy(verdict->code, sizeof(verdict->code), "max_orders_per_second");
    text_copy(verdict->reason, sizeof(verdict->reason),
              "as many messages in this second as are allowed, less what is kept for cancels");
    tell_verdict(engine, index, asked, verdict);
    return true;
}

static bool is_refused(struct engine *engine, int index, const struct risk_view *view,
                       struct order *asked, struct risk_verdict *verdict)
{
    if (meets_own(engine, index, view, asked, verdict))
        return true;
    risk_check(view, asked, verdict);
    if (verdict->verdict == VERDICT_APPROVE)
        return false;
    if (verdict->verdict == VERDICT_REDUCE)
        verdict->verdict = VERDICT_BLOCK;
    tell_verdict(engine, index, asked, verdict);
    return true;
}

/* An amend that asks for more passes the gate like a new order of what would then be left. It is
 * never reduced: the order stays as it is. */
bool gate_amend(struct engine *engine, int index, struct order *order, decimal qty, decimal price,
                struct refusal *refusal)
{
    bool more = asks_more(order, qty, price), less = decimal_cmp(qty, order->qty) < 0;
    if (order->reduce_only || (!more && (less || order->held)))
        return true;
    struct order asked = *order;
    struct risk_view view;
    struct risk_verdict verdict;
    asked.price = price;
    asked.qty = decimal_sub(qty, order->filled_qty);
    view_without(engine, index, order, &view);
    if (!order->held)
        bar_but_one(engine, order, &view);
    if (more ? !is_refused(engine, index, &view, &asked, &verdict)
             : !is_too_often(engine, index, &view, &asked, &verdict))
        return true;
    text_copy(asked.reason, sizeof(asked.reason), verdict.reason);
    return blocked(engine, index, &asked, &verdict, refusal);
}

static bool passes_now(struct engine *engine, int index, const struct risk_view *view,
                       struct order *order, char why[REASON_MAX])
{
    struct risk_verdict verdict;
    bind_price(engine, view, order);
    if (!meets_own(engine, index, view, order, &verdict) &&
        judge(engine, index, view, order, &verdict)) {
        keep_reducing(view, order);
        return true;
    }
    text_copy(why, REASON_MAX, verdict.reason);
    act_on_halt(engine, index, &verdict);
    return false;
}

bool gate_pass_rest(struct engine *engine, int index, struct order *order, char why[REASON_MAX])
{
    struct risk_view view;
    if (order->reduce_only)
        return true;
    view_of(engine, index, order, &view);
    return passes_now(engine, index, &view, order, why);
}

bool gate_may_leave(struct engine *engine, struct order *order, char why[REASON_MAX])
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) {
        order->qty = decimal_min(order->qty, desk_reducible(engine, index, order));
        text_copy(why, REASON_MAX, "nothing is left to reduce");
        return !decimal_is_zero(order->qty);
    }
    struct risk_view view;
    view_without(engine, index, order, &view);
    return passes_now(engine, index, &view, order, why);
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

bool gate_passes_again(struct engine *engine, struct order *order)
{
    int index = instance_of_order(engine, order);
    if (order->reduce_only) /* what is held may be less by now */
        return decimal_cmp(order_remaining(order), desk_reducible(engine, index, order)) <= 0;
    if (is_done_by_another(engine, order))
        return false;
    struct risk_view view;
    struct risk_verdict verdict;
    view_without(engine, index, order, &view);
    struct order bound = *order;
    bind_price(engine, &view, &bound);
    if (decimal_valid(bound.price) != decimal_valid(order->price))
        return false; /* it left to close, and would open now: at a price, which it has not */
    risk_check(&view, order, &verdict);
    bool meets = guards_own_order(engine, order) && !only_reduces(&view, order);
    return verdict.verdict == VERDICT_APPROVE && !meets;
}
