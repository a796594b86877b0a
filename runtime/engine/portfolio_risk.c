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

/* Every open stop that reduces covers, whether a strategy, a protected entry or a policy placed it.
 */
decimal portfolio_heat(struct engine *engine, const struct scope *scope)
{
    struct heat_stamp now = { engine->counts.events, engine->money, engine->stakes };
    if (memcmp(&now, &engine->heat_stamp, sizeof(now)) != 0) {
        engine->heat_stamp = now;
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
    engine->weights = memory_new(engine->instruments->count * sizeof(double));
}

void portfolio_close(struct engine *engine)
{
    volatility_close(engine->volatility);
    free(engine->weights);
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
    if (engine->hour != 0)
        for (uint32_t i = 0; i < engine->instruments->count; i++)
            if (traded_at(engine, i, hour * NS_PER_HOUR - 1))
                volatility_price(engine->volatility, i, hour - 1,
                                 market_mark_double(engine->market, i));
    engine->hour = hour;
}

/* What is held and at work in one instrument. */
struct stakes {
    decimal position, buy, sell;
};

/* Signed weight of one instrument in a scope: of what is held and, with_orders, at work, the larger
 * side. */
static double weight_of(const struct engine *engine, const struct stakes *stakes,
                        uint32_t instrument, double equity, bool with_orders)
{
    decimal buy = with_orders ? stakes->buy : DECIMAL_ZERO;
    decimal sell = with_orders ? stakes->sell : DECIMAL_ZERO;
    decimal with_buys = decimal_add(stakes->position, buy);
    decimal with_sells = decimal_sub(stakes->position, sell);
    bool up = decimal_cmp(decimal_abs(with_buys), decimal_abs(with_sells)) >= 0;
    decimal larger = up ? with_buys : with_sells;
    if (decimal_is_zero(larger))
        return 0; /* it may have no price yet */
    return decimal_to_double(larger) * market_mark_double(engine->market, instrument) *
           decimal_to_double(instrument_at(engine, instrument)->multiplier) *
           decimal_to_double(totals_fx(engine, instrument)) / equity;
}

static bool is_in(const struct engine *engine, const struct scope *scope, uint32_t instrument)
{
    switch (scope->kind) {
    case SCOPE_VENUE:
        return &engine->venues[engine->venue_of[instrument]].scope == scope;
    case SCOPE_SYMBOL:
        return &engine->exposures[instrument].scope == scope;
    default:
        return true;
    }
}

static struct stakes stakes_in(const struct engine *engine, const struct scope *scope,
                               const struct instance *instance, uint32_t instrument)
{
    const struct exposure *exposure = &engine->exposures[instrument];
    size_t at = scope->kind == SCOPE_STRATEGY ? holding_index(instance, instrument) : SIZE_MAX;
    if (at != SIZE_MAX)
        return (struct stakes){ instance->holdings[at].position.qty,
                                instance->holdings[at].working_buy,
                                instance->holdings[at].working_sell };
    if (scope->kind != SCOPE_STRATEGY && is_in(engine, scope, instrument))
        return (struct stakes){ exposure->position, exposure->buy, exposure->sell };
    return (struct stakes){ DECIMAL_ZERO, DECIMAL_ZERO, DECIMAL_ZERO };
}

bool portfolio_book(struct engine *engine, const struct scope *scope, int index,
                    uint32_t instrument, decimal equity, bool with_orders,
                    struct volatility_book *book)
{
    double money = decimal_valid(equity) ? decimal_to_double(equity) : 0;
    if (!engine->volatility || !(money > 0))
        return false;
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        struct stakes stakes = stakes_in(engine, scope, &engine->instances[index], i);
        engine->weights[i] = weight_of(engine, &stakes, i, money, with_orders || i == instrument);
    }
    return volatility_book(engine->volatility, engine->weights, instrument, book);
}
