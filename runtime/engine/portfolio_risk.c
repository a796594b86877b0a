/* portfolio_risk.c - what all positions together may lose: heat (at their stops) and volatility.
 *
 * Both are computed once an event, and only for scopes whose limits ask for them. */
#include "runtime/engine/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- heat ---- */

/* What `qty` of a position loses between the mark and a stop; a stop beyond the mark loses nothing.
 */
static decimal loss_at(const struct engine *engine, uint32_t instrument, bool is_long, decimal qty,
                       decimal stop)
{
    decimal mark = market_mark(engine->market, instrument);
    decimal gap = is_long ? decimal_sub(mark, stop) : decimal_sub(stop, mark);
    if (!decimal_valid(gap))
        return gap;
    return decimal_mul(decimal_max(gap, DECIMAL_ZERO), qty);
}

/* A stop covers as much of its holding as is not covered yet. */
static void cover(struct engine *engine, int index, uint32_t instrument, enum order_side out,
                  decimal qty, decimal stop)
{
    struct holding *holding = instance_holding(engine, index, instrument);
    bool is_long = decimal_sign(holding->position.qty) > 0;
    if (decimal_is_zero(holding->position.qty) || (out == SIDE_SELL) != is_long ||
        !decimal_valid(stop))
        return;
    decimal left = decimal_sub(decimal_abs(holding->position.qty), holding->covered);
    decimal part = decimal_min(qty, left);
    holding->covered = decimal_add(holding->covered, part);
    holding->heat = decimal_add(holding->heat, loss_at(engine, instrument, is_long, part, stop));
}

static bool is_stop_order(const struct order *order)
{
    return order->reduce_only && order_is_open(order) && held_is_stop(order->type);
}

/* In account currency, with what no stop covers. */
static decimal heat_of(const struct engine *engine, const struct holding *holding,
                       uint32_t instrument)
{
    decimal left = decimal_sub(decimal_abs(holding->position.qty), holding->covered);
    decimal open = decimal_mul(decimal_mul(left, market_mark(engine->market, instrument)),
                               engine->options.risk.no_stop_pct);
    decimal per_unit =
        decimal_mul(instrument_at(engine, instrument)->multiplier, totals_fx(engine, instrument));
    return decimal_mul(decimal_add(holding->heat, open), per_unit);
}

static void clear_heat(struct engine *engine, int index)
{
    struct instance *instance = &engine->instances[index];
    for (size_t k = 0; k < instance->instrument_count; k++) {
        instance->holdings[k].covered = instance->holdings[k].heat = DECIMAL_ZERO;
        struct scope *scopes[SCOPES];
        scopes_of(engine, index, instance->instruments[k], scopes);
        for (size_t i = 0; i < SCOPES; i++)
            scopes[i]->position_heat = DECIMAL_ZERO;
    }
}

static void sum_heat(struct engine *engine, int index)
{
    struct instance *instance = &engine->instances[index];
    for (size_t k = 0; k < instance->instrument_count; k++) {
        const struct holding *holding = &instance->holdings[k];
        struct scope *scopes[SCOPES];
        if (decimal_is_zero(holding->position.qty))
            continue;
        decimal heat = heat_of(engine, holding, instance->instruments[k]);
        scopes_of(engine, index, instance->instruments[k], scopes);
        for (size_t i = 0; i < SCOPES; i++)
            scopes[i]->position_heat = decimal_add(scopes[i]->position_heat, heat);
    }
}

/* Marks move with events, positions with `money`, and stops with `covers`. */
static bool heat_holds(struct engine *engine)
{
    struct stamp *at = &engine->heat_at;
    bool holds = at->event == engine->counts.events && at->money == engine->money &&
                 at->stakes == engine->covers;
    *at = (struct stamp){ engine->counts.events, engine->money, engine->covers };
    return holds;
}

/* Every open stop that reduces covers, whether a strategy, a protected entry or a policy placed it.
 */
decimal portfolio_heat(struct engine *engine, const struct scope *scope)
{
    if (!heat_holds(engine)) {
        for (int i = 0; i < engine->instance_count; i++)
            clear_heat(engine, i);
        for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
            const struct order *order = blotter_open_at(engine->blotter, i);
            if (is_stop_order(order))
                cover(engine, instance_of_order(engine, order), order->instrument, order->side,
                      order_remaining(order), order->trigger_price);
        }
        for (int i = 0; i < engine->instance_count; i++)
            sum_heat(engine, i);
    }
    return decimal_add(scope->position_heat, scope->open_heat);
}

/* ---- volatility ---- */

static bool any_scope_asks(struct engine *engine)
{
    bool asks = limit_is_set(&engine->account.limits, LIMIT_VOLATILITY);
    for (size_t i = 0; i < engine->venue_count; i++)
        asks |= limit_is_set(&engine->venues[i].scope.limits, LIMIT_VOLATILITY);
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        asks |= limit_is_set(&engine->exposures[i].scope.limits, LIMIT_VOLATILITY);
    for (int i = 0; i < engine->instance_count; i++)
        asks |= limit_is_set(&engine->instances[i].scope.limits, LIMIT_VOLATILITY);
    return asks;
}

void portfolio_open(struct engine *engine)
{
    if (engine->volatility || !any_scope_asks(engine))
        return;
    const struct calendar *const *calendars = engine->options.risk.calendars;
    double hours[INSTRUMENTS_MAX];
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        hours[i] = calendars && calendars[i] ? calendar_hours_per_year(calendars[i]) : 8760;
    engine->volatility = volatility_open(engine->instruments->count, hours);
}

void portfolio_close(struct engine *engine)
{
    volatility_close(engine->volatility);
}

bool engine_wants_hours(const struct engine *engine)
{
    return engine->volatility != NULL;
}

void portfolio_price(struct engine *engine, uint32_t instrument, int64_t end_ns, double price)
{
    if (engine->volatility)
        volatility_price(engine->volatility, instrument, end_ns / NS_PER_HOUR - 1, price);
}

/* While its market is closed an instrument does not move: that is no calm. */
static bool traded_at(const struct engine *engine, uint32_t instrument, int64_t time_ns)
{
    const struct calendar *const *calendars = engine->options.risk.calendars;
    return !calendars || !calendars[instrument] || calendar_is_open(calendars[instrument], time_ns);
}

/* The marks that stand at the end of an hour; called with the first event after it. */
void portfolio_hour(struct engine *engine, int64_t now_ns)
{
    int64_t hour = now_ns / NS_PER_HOUR;
    if (!engine->volatility || hour == engine->hour)
        return;
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        if (traded_at(engine, i, hour * NS_PER_HOUR - 1))
            volatility_price(engine->volatility, i, hour - 1,
                             market_mark_double(engine->market, i));
    engine->hour = hour;
}

/* Signed worth of one instrument in a scope. */
static double worth_in(struct engine *engine, const struct scope *scope, uint32_t instrument,
                       bool with_orders)
{
    if (scope->kind == SCOPE_STRATEGY) {
        struct instance *instance = &engine->instances[scope->index];
        size_t k = holding_index(instance, instrument);
        return k == SIZE_MAX ? 0 : exposure_worth_of(engine, instance, k)->weight[!with_orders];
    }
    bool is_in =
        scope->kind == SCOPE_ACCOUNT ||
        scope->index == (scope->kind == SCOPE_VENUE ? engine->venue_of[instrument] : instrument);
    return is_in ? exposure_worth(engine, instrument)->weight[!with_orders] : 0;
}

static bool weigh(struct engine *engine, struct scope *scope, bool with_orders,
                  struct known_portfolio *known)
{
    uint32_t count = engine->instruments->count;
    decimal equity = scope_equity(engine, scope);
    double money = decimal_valid(equity) ? decimal_to_double(equity) : 0;
    if (!(money > 0))
        return false;
    if (!known->weights)
        known->weights = memory_new(count * sizeof(double));
    for (uint32_t i = 0; i < count; i++)
        known->weights[i] = worth_in(engine, scope, i, with_orders) / money;
    return volatility_variance(engine->volatility, known->weights, &known->q);
}

const struct volatility_book *portfolio_book(struct engine *engine, struct scope *scope,
                                             uint32_t instrument, bool with_orders)
{
    struct known_portfolio *known = &scope->portfolios[!with_orders];
    if (!stamp_holds(&known->at, engine)) {
        known->at = stamp_now(engine);
        known->is_known = weigh(engine, scope, with_orders, known);
    }
    bool is_known = known->is_known && volatility_book_of(engine->volatility, known->weights,
                                                          known->q, instrument, &known->book);
    return is_known ? &known->book : NULL;
}
