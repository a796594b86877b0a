/* totals.c - equity, drawdown, exposure and the day's figures.
 *
 * Money is summed in decimals when somebody asks. Once a market second, and only while something is
 * held, equity is judged in doubles: drawdown and daily returns are ratios, not money. */
#include "runtime/engine/state.h"

#include <math.h>
#include <string.h>

static decimal holding_unrealized(const struct engine *engine, const struct instance *instance,
                                  size_t index)
{
    const struct holding *holding = &instance->holdings[index];
    if (decimal_is_zero(holding->position.qty))
        return DECIMAL_ZERO;
    uint32_t instrument = instance->instruments[index];
    decimal mark = market_mark(engine->market, instrument);
    if (!decimal_valid(mark))
        return DECIMAL_ZERO;
    return position_unrealized(&holding->position, mark,
                               engine->instruments->list[instrument].multiplier);
}

decimal engine_cash(const struct engine *engine, int index)
{
    const struct instance *instance = &engine->instances[index];
    decimal cash = instance->capital;
    for (size_t i = 0; i < instance->instrument_count; i++) {
        const struct position *position = &instance->holdings[i].position;
        cash = decimal_add(cash, position->realized_pnl);
        cash = decimal_sub(cash, position->fees);
        cash = decimal_add(cash, position->funding);
    }
    return cash;
}

decimal engine_equity(const struct engine *engine, int index)
{
    const struct instance *instance = &engine->instances[index];
    decimal equity = engine_cash(engine, index);
    for (size_t i = 0; i < instance->instrument_count; i++)
        equity = decimal_add(equity, holding_unrealized(engine, instance, i));
    return equity;
}

decimal engine_capital(const struct engine *engine, int index)
{
    return engine->instances[index].capital;
}

decimal totals_account_equity(const struct engine *engine)
{
    decimal equity = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++)
        equity = decimal_add(equity, engine_equity(engine, i));
    return equity;
}

static bool anything_held(const struct engine *engine)
{
    for (int i = 0; i < engine->instance_count; i++)
        for (size_t k = 0; k < engine->instances[i].instrument_count; k++)
            if (!decimal_is_zero(engine->instances[i].holdings[k].position.qty))
                return true;
    return false;
}

static void judge_drawdown(struct engine *engine, double equity)
{
    if (equity > engine->peak)
        engine->peak = equity;
    if (engine->peak > 0) {
        double drawdown = (engine->peak - equity) / engine->peak;
        if (drawdown > engine->max_drawdown)
            engine->max_drawdown = drawdown;
    }
}

/* One more place is kept for the day that has not ended. */
static void end_day(struct engine *engine, double equity)
{
    engine->daily = memory_grow(engine->daily, &engine->daily_capacity, engine->daily_count + 2,
                                sizeof(double));
    engine->daily[engine->daily_count++] = equity;
}

void totals_begin(struct engine *engine, int64_t now_ns)
{
    if (engine->started_ns != TIME_NEVER)
        return;
    engine->started_ns = now_ns;
    engine->day = now_ns / NS_PER_DAY;
    engine->next_mark_ns = now_ns;
    engine->day_opening_equity = totals_account_equity(engine);
    engine->peak = decimal_to_double(engine->day_opening_equity);
    end_day(engine, engine->peak); /* the first value is the start: returns need it */
}

/* What was held at a restart is worth what the first price after it says; only then is it known
 * what the session, the day and the drawdown begin with. */
static void mark_restored(struct engine *engine)
{
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->instrument_count; k++) {
            struct holding *holding = &instance->holdings[k];
            uint32_t instrument = instance->instruments[k];
            decimal mark = market_mark(engine->market, instrument);
            if (decimal_valid(holding->restored_unrealized) || !decimal_valid(mark))
                continue;
            holding->restored_unrealized = position_unrealized(
                &holding->restored, mark, engine->instruments->list[instrument].multiplier);
            engine->unmarked--;
        }
    }
    engine->day_opening_equity = engine_equity_start(engine);
    engine->peak = decimal_to_double(engine->day_opening_equity);
    engine->daily[0] = engine->peak;
}

decimal engine_equity_start(const struct engine *engine)
{
    decimal equity = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++) {
        const struct instance *instance = &engine->instances[i];
        equity = decimal_add(equity, instance->capital);
        for (size_t k = 0; k < instance->instrument_count; k++) {
            const struct holding *holding = &instance->holdings[k];
            equity = decimal_add(equity, holding->restored.realized_pnl);
            equity = decimal_sub(equity, holding->restored.fees);
            equity = decimal_add(equity, holding->restored.funding);
            if (decimal_valid(holding->restored_unrealized))
                equity = decimal_add(equity, holding->restored_unrealized);
        }
    }
    return equity;
}

/* A new UTC day: the equity of the day before is kept, its limits and counts begin again. */
static void cross_day(struct engine *engine, int64_t now_ns, decimal equity)
{
    engine->day = now_ns / NS_PER_DAY;
    end_day(engine, decimal_to_double(equity));
    engine->day_opening_equity = equity;
    engine->day_volume = DECIMAL_ZERO;
    engine->day_trades = 0;
    halts_lift_day(engine);
}

void engine_day(const struct engine *engine, struct engine_day *day)
{
    *day = (struct engine_day){ .began_ns = engine->day * NS_PER_DAY,
                                .opening_equity = engine->day_opening_equity,
                                .volume = engine->day_volume,
                                .trades = engine->day_trades };
}

/* A position that loses by itself halts too: nobody has to ask for an order first. */
static void judge_loss(struct engine *engine, decimal equity)
{
    struct risk_verdict verdict;
    if (engine->halted || engine->unmarked > 0 ||
        !risk_day_is_lost(&engine->options.account, engine->day_opening_equity, equity, &verdict))
        return;
    turn_alert(engine, -1, "daily_loss_limit", verdict.reason);
    halts_session(engine, -1, "daily_loss_limit", verdict.reason, true);
}

/* Between two events nothing changes, so the state before this event is the state at every second
 * since the last one. */
void totals_mark(struct engine *engine, int64_t now_ns)
{
    if (engine->unmarked > 0)
        mark_restored(engine);
    if (engine->open_position_seen)
        engine->exposed_ns += now_ns - engine->now_ns;
    if (now_ns < engine->next_mark_ns)
        return;
    engine->next_mark_ns = (now_ns / NS_PER_SECOND + 1) * NS_PER_SECOND;
    bool day_over = now_ns / NS_PER_DAY != engine->day;
    if (!engine->open_position_seen && !day_over)
        return;
    decimal equity = totals_account_equity(engine);
    judge_drawdown(engine, decimal_to_double(equity));
    judge_loss(engine, equity);
    if (day_over)
        cross_day(engine, now_ns, equity);
}

void totals_fill(struct engine *engine, const struct order *order, const struct fill *fill,
                 bool first_of_order)
{
    const struct instrument *instrument = &engine->instruments->list[order->instrument];
    decimal worth = decimal_mul(fill_notional(fill), instrument->multiplier);
    if (fill->kind == FILL_REVERSAL)
        worth = decimal_neg(worth);
    if (fill->transact_ns > engine->fills_known_ns)
        engine->fills_known_ns = fill->transact_ns;
    memcpy(engine->last_exec_id[order->instrument], fill->exec_id, EXEC_ID_MAX);
    engine->counts.fills += fill->kind != FILL_REVERSAL;
    engine->traded_notional = decimal_add(engine->traded_notional, worth);
    engine->day_volume = decimal_add(engine->day_volume, worth);
    if (first_of_order && order->role == ROLE_PLAIN)
        engine->day_trades++;
    engine->open_position_seen = anything_held(engine);
    decimal equity = totals_account_equity(engine);
    judge_drawdown(engine, decimal_to_double(equity));
    judge_loss(engine, equity);
}

void totals_trip(struct engine *engine, const struct trip *trip)
{
    decimal net = decimal_sub(trip->gross_pnl, trip->fees);
    engine->counts.trips++;
    if (decimal_sign(net) > 0) {
        engine->counts.trips_won++;
        engine->gross_won = decimal_add(engine->gross_won, net);
    } else {
        engine->gross_lost = decimal_sub(engine->gross_lost, net);
    }
}

void totals_order(struct engine *engine)
{
    engine->counts.submitted++;
    totals_sent(engine);
}

void totals_sent(struct engine *engine)
{
    engine->order_times[engine->order_time_next] = engine->now_ns;
    engine->order_time_next = (engine->order_time_next + 1) % ORDER_TIMES;
}

/* Exact up to the ring's size; a full ring is more than any limit, so each binds there at last. */
uint32_t totals_orders_last_second(const struct engine *engine)
{
    uint32_t count = 0;
    size_t at = engine->order_time_next;
    for (; count < ORDER_TIMES; count++) {
        at = (at + ORDER_TIMES - 1) % ORDER_TIMES;
        if (engine->order_times[at] <= engine->now_ns - NS_PER_SECOND)
            return count;
    }
    return UINT32_MAX;
}

void engine_totals(const struct engine *engine, struct engine_totals *totals)
{
    *totals = (struct engine_totals){ .gross_won = engine->gross_won,
                                      .gross_lost = engine->gross_lost,
                                      .traded_notional = engine->traded_notional,
                                      .max_drawdown = engine->max_drawdown };
    for (int i = 0; i < engine->instance_count; i++) {
        const struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->instrument_count; k++) {
            const struct position *position = &instance->holdings[k].position;
            const struct position *before = &instance->holdings[k].restored;
            totals->realized_pnl = decimal_add(
                totals->realized_pnl, decimal_sub(position->realized_pnl, before->realized_pnl));
            totals->fees = decimal_add(totals->fees, decimal_sub(position->fees, before->fees));
            totals->funding =
                decimal_add(totals->funding, decimal_sub(position->funding, before->funding));
            totals->unrealized_pnl =
                decimal_add(totals->unrealized_pnl, holding_unrealized(engine, instance, k));
        }
        totals->cash = decimal_add(totals->cash, engine_cash(engine, i));
    }
    totals->equity = decimal_add(totals->cash, totals->unrealized_pnl);
    int64_t span = engine->started_ns == TIME_NEVER ? 0 : engine->now_ns - engine->started_ns;
    totals->exposure = span > 0 ? (double)engine->exposed_ns / (double)span : 0;
}

size_t engine_daily_equity(const struct engine *engine, const double **values)
{
    *values = engine->daily;
    if (engine->daily_count == 0)
        return 0;
    double equity = decimal_to_double(totals_account_equity(engine));
    if (engine->now_ns % NS_PER_DAY == 0 && engine->daily[engine->daily_count - 1] == equity)
        return engine->daily_count; /* the day that began this instant has no return yet */
    engine->daily[engine->daily_count] = equity;
    return engine->daily_count + 1;
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
    return &engine->counts;
}
