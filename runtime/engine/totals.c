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

/* ---- currencies ---- */

static bool is_dollar(const char *currency)
{
    static const char *const names[] = { "USD",   "USDT", "USDC", "BUSD",
                                         "FDUSD", "DAI",  "TUSD", "USDP" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], currency) == 0)
            return true;
    return false;
}

/* Whether `symbol` is "BASE/QUOTE..." with these two. */
static bool is_pair(const char *symbol, const char *base, const char *quote)
{
    size_t length = strlen(base);
    if (strncmp(symbol, base, length) != 0 || symbol[length] != '/')
        return false;
    const char *rest = symbol + length + 1;
    return strncmp(rest, quote, strlen(quote)) == 0 && strchr(":", rest[strlen(quote)]);
}

/* EUR/USD (any dollar) gives the rate, USD/INR its inverse, rounded up: what is owed is not less.
 */
static decimal rate_of(const struct engine *engine, const char *currency)
{
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        const struct instrument *pair = instrument_at(engine, i);
        decimal mark = market_mark(engine->market, i);
        if (!decimal_valid(mark) || decimal_sign(mark) <= 0)
            continue;
        if (is_dollar(pair->currency) && is_pair(pair->symbol, currency, pair->currency))
            return mark;
        if (strcmp(pair->currency, currency) == 0 && is_pair(pair->symbol, "USD", currency))
            return decimal_div(decimal_int(1), mark, 18, ROUND_UP);
    }
    return DECIMAL_NONE;
}

decimal totals_fx(const struct engine *engine, uint32_t instrument)
{
    const struct instrument *is = instrument_at(engine, instrument);
    return engine->is_dollar[instrument] ? decimal_int(1) : rate_of(engine, is->currency);
}

void totals_open(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        engine->is_dollar[i] = is_dollar(instrument_at(engine, i)->currency);
}

/* Money of an instrument in account currency: what has no rate counts as it is, and nothing new is
 * allowed in it (no_fx_rate). */
static decimal in_account(const struct engine *engine, uint32_t instrument, decimal money)
{
    if (engine->is_dollar[instrument] || decimal_is_zero(money))
        return money;
    decimal fx = totals_fx(engine, instrument);
    return decimal_valid(fx) ? decimal_mul(money, fx) : money;
}

/* ---- cash and equity ---- */

static decimal booked(const struct position *position)
{
    return decimal_add(decimal_sub(position->realized_pnl, position->fees), position->funding);
}

decimal engine_cash(const struct engine *engine, int index)
{
    const struct instance *instance = &engine->instances[index];
    decimal cash = instance->capital;
    for (size_t i = 0; i < instance->instrument_count; i++)
        cash = decimal_add(cash, in_account(engine, instance->instruments[i],
                                            booked(&instance->holdings[i].position)));
    return cash;
}

decimal totals_earned(const struct engine *engine, const struct instance *instance, size_t holding)
{
    decimal earned = decimal_add(booked(&instance->holdings[holding].position),
                                 holding_unrealized(engine, instance, holding));
    return in_account(engine, instance->instruments[holding], earned);
}

decimal engine_equity(const struct engine *engine, int index)
{
    const struct instance *instance = &engine->instances[index];
    decimal equity = instance->capital;
    for (size_t i = 0; i < instance->instrument_count; i++)
        equity = decimal_add(equity, totals_earned(engine, instance, i));
    return equity;
}

/* Within one event neither marks nor, but for what `money` counts, positions move. */
decimal totals_equity(struct engine *engine, int index)
{
    struct known_equity *known = &engine->instances[index].known;
    if (known->event != engine->counts.events || known->money != engine->money)
        *known = (struct known_equity){ engine->counts.events, engine->money,
                                        engine_equity(engine, index) };
    return known->equity;
}

decimal engine_capital(const struct engine *engine, int index)
{
    return engine->instances[index].capital;
}

decimal totals_account_equity(struct engine *engine)
{
    struct known_equity *known = &engine->known;
    if (known->event == engine->counts.events && known->money == engine->money)
        return known->equity;
    decimal equity = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++)
        equity = decimal_add(equity, totals_equity(engine, i));
    *known = (struct known_equity){ engine->counts.events, engine->money, equity };
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
    engine->hour = now_ns / NS_PER_HOUR;
    engine->next_mark_ns = now_ns;
    engine->peak = decimal_to_double(totals_account_equity(engine));
    if (engine->unmarked == 0)
        scopes_begin(engine, now_ns);
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
    engine->peak = decimal_to_double(engine_equity_start(engine));
    engine->daily[0] = engine->peak;
    if (engine->unmarked == 0)
        scopes_begin(engine, engine->now_ns);
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

/* A new UTC day: the equity of the day before is kept, for daily returns. */
static void cross_day(struct engine *engine, int64_t now_ns, decimal equity)
{
    engine->day = now_ns / NS_PER_DAY;
    end_day(engine, decimal_to_double(equity));
}

void engine_day(const struct engine *engine, struct engine_day *day)
{
    const struct scope *account = &engine->account;
    *day = (struct engine_day){ .began_ns = engine->day_began_ns,
                                .opening_equity = account->day_opening,
                                .volume = account->day_volume,
                                .trades = account->day_trades };
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
    portfolio_hour(engine, now_ns);
    bool day_over = now_ns / NS_PER_DAY != engine->day;
    if (engine->open_position_seen || day_over) {
        decimal equity = totals_account_equity(engine);
        judge_drawdown(engine, decimal_to_double(equity));
        scopes_judge(engine);
        if (day_over)
            cross_day(engine, now_ns, equity);
    }
    scopes_mark(engine, now_ns);
}

/* What takes back or corrects a trade of an earlier day is no volume of this one. */
static bool is_of_an_earlier_day(const struct engine *engine, const struct order *order,
                                 const struct fill *fill)
{
    const struct ledger_port *ledger = &engine->options.ledger;
    struct fill known = { 0 };
    return fill->replaces[0] &&
           ledger->find_fill(ledger->self, order->instrument, fill->replaces, &known, NULL) !=
               BOOKED_NOT &&
           known.transact_ns < engine->day_began_ns;
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
    scopes_fill(engine, order, is_of_an_earlier_day(engine, order, fill) ? DECIMAL_ZERO : worth,
                first_of_order && order->role == ROLE_PLAIN);
    engine->open_position_seen = anything_held(engine);
    decimal equity = totals_account_equity(engine);
    judge_drawdown(engine, decimal_to_double(equity));
    scopes_judge(engine);
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
    decimal sum = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++)
        sum = decimal_add(sum, engine_equity(engine, i));
    double equity = decimal_to_double(sum);
    if (engine->now_ns % NS_PER_DAY == 0 && engine->daily[engine->daily_count - 1] == equity)
        return engine->daily_count; /* the day that began this instant has no return yet */
    engine->daily[engine->daily_count] = equity;
    return engine->daily_count + 1;
}

const struct engine_counts *engine_counts(const struct engine *engine)
{
    return &engine->counts;
}
