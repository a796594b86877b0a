/* check.c - the checks, in the order they are made. The first that blocks, speaks; a check that can
 * lower the quantity lowers it for those after it. */
#include "runtime/risk/check.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = { "approve", "reduce", "block", "halt" };
    return names[verdict];
}

/* One judgement under way: what is left of the quantity, split into the part that reduces the
 * position (not limited in size) and the part that opens. */
struct judgement {
    const struct risk_view *view;
    const struct order *order;
    const struct scope_view *scope; /* whose limits are checked now; NULL: nobody's */
    decimal unit;                   /* worth of one base unit, at the worst price that counts */
    decimal unit_risk;              /* what it loses at the order's stop */
    decimal reducing;               /* quantity that takes the position toward zero */
    decimal opening;                /* quantity beyond that */
    struct risk_verdict *out;
};

/* The formats are ours, each with two %s; whose limit it is follows, but for the account's. */
static void say(struct judgement *j, enum verdict verdict, const char *code, const char *format,
                const char *a, const char *b)
{
    struct risk_verdict *out = j->out;
    out->verdict = verdict;
    out->scope = j->scope ? (enum scope_kind)(j->scope - j->view->scopes) : SCOPE_ACCOUNT;
    text_copy(out->code, sizeof(out->code), code);
    snprintf(out->reason, sizeof(out->reason), format, a, b);
    size_t length = strlen(out->reason);
    if (out->scope != SCOPE_ACCOUNT)
        snprintf(out->reason + length, sizeof(out->reason) - length, " (%s)", j->scope->name);
}

static bool block(struct judgement *j, const char *code, const char *format, decimal a, decimal b)
{
    char first[DECIMAL_TEXT_MAX], second[DECIMAL_TEXT_MAX];
    j->out->qty = DECIMAL_ZERO;
    say(j, VERDICT_BLOCK, code, format, decimal_format(a, first), decimal_format(b, second));
    return false;
}

/* A sum that does not fit, or of something that is not known, keeps no limit. */
static bool block_range(struct judgement *j, decimal limit)
{
    return block(j, "range", "a sum does not fit a decimal (%s, limit %s)", j->order->qty, limit);
}

/* The most whole lots that are not above `most`, which is not below 0. */
static decimal whole_lots(const struct judgement *j, decimal most)
{
    decimal lot = j->view->instrument->lot_size;
    decimal lots = decimal_to_multiple(most, lot, ROUND_DOWN);
    /* "Within 1e-6 of a multiple" must never lift the quantity above a limit. */
    if (decimal_valid(lots) && decimal_cmp(lots, most) > 0)
        lots = decimal_sub(lots, lot);
    return lots;
}

/* Lowers the opening part to `allowed` base units; blocks when nothing is left. What leaves is in
 * whole lots, also where the part that closes is not (a fee was taken from what was bought). */
static bool lower(struct judgement *j, decimal allowed, const char *code, const char *format,
                  decimal limit)
{
    if (!decimal_valid(allowed) || !decimal_valid(j->opening))
        return block_range(j, limit);
    if (decimal_cmp(j->opening, allowed) <= 0)
        return true;
    decimal total = whole_lots(j, decimal_add(j->reducing, decimal_max(allowed, DECIMAL_ZERO)));
    if (decimal_sign(total) == 0) /* nothing, or nothing that fits */
        return block(j, code, format, j->order->qty, limit);
    char asked[DECIMAL_TEXT_MAX], bound[DECIMAL_TEXT_MAX];
    j->reducing = decimal_min(j->reducing, total);
    j->opening = decimal_sub(total, j->reducing);
    say(j, VERDICT_REDUCE, code, format, decimal_format(j->order->qty, asked),
        decimal_format(limit, bound));
    return true;
}

/* How many units of `each` money fit into `money`. Rounded down, so never above the limit. A limit
 * beyond measure, as people write for "none", buys all: first digits are given up, then the limit.
 */
static decimal units_for(const struct judgement *j, decimal money, decimal each)
{
    if (!decimal_valid(money) || !decimal_valid(each))
        return DECIMAL_NONE;
    if (decimal_sign(money) <= 0)
        return DECIMAL_ZERO;
    /* A product is quicker than a quotient, and mostly all of it fits. */
    decimal all = decimal_mul(j->opening, each);
    if (decimal_valid(all) && decimal_cmp(all, money) <= 0)
        return j->opening;
    for (int digits = 18; digits >= 0; digits--) {
        decimal units = decimal_div(money, each, digits, ROUND_DOWN);
        if (decimal_valid(units))
            return units;
    }
    return j->opening;
}

static decimal affordable(const struct judgement *j, decimal money)
{
    return units_for(j, money, j->unit);
}

static decimal value_of(const struct judgement *j, decimal qty)
{
    return decimal_mul(qty, j->unit);
}

/* Worth of one base unit at a price, in account currency. */
static decimal unit_at(const struct judgement *j, decimal price)
{
    return decimal_mul(decimal_mul(price, j->view->instrument->multiplier), j->view->fx);
}

/* ---- what is asked of no scope ---- */

static bool check_barred(struct judgement *j)
{
    if (!j->view->barred_code)
        return true;
    j->out->qty = DECIMAL_ZERO;
    say(j, VERDICT_BLOCK, j->view->barred_code, "%s%s",
        j->view->barred_why ? j->view->barred_why : "no reason given", "");
    return false;
}

static bool check_reference(struct judgement *j)
{
    if (decimal_sign(j->view->reference) <= 0) /* 0: also of none */
        return block(j, "no_quote", "no price yet for this instrument: qty %s cannot be judged%.0s",
                     j->order->qty, DECIMAL_ZERO);
    if (decimal_sign(j->view->fx) <= 0)
        return block(j, "no_fx_rate",
                     "no rate into the account's currency: qty %s at %s cannot be judged",
                     j->order->qty, j->view->reference);
    return true;
}

static bool check_short(struct judgement *j)
{
    if (j->view->instrument->short_allowed || j->order->side == SIDE_BUY)
        return true;
    return lower(j, DECIMAL_ZERO, "no_short",
                 "selling %s would open a short position, which this instrument does not allow "
                 "(position %s)",
                 j->view->scopes[SCOPE_STRATEGY].position_qty);
}

/* ---- what each scope asks ---- */

static decimal limit_of(const struct judgement *j, enum limit limit)
{
    return j->scope->limits->value[limit];
}

static bool is_set(const struct judgement *j, enum limit limit)
{
    return limit_is_set(j->scope->limits, limit);
}

static bool check_rate(struct judgement *j)
{
    if (!is_set(j, LIMIT_ORDER_RATE) || !j->scope->rate_is_reached)
        return true;
    return block(j, "max_orders_per_second",
                 "as many messages in this second as are allowed: %s, less what is kept for "
                 "cancels%.0s",
                 limit_of(j, LIMIT_ORDER_RATE), DECIMAL_ZERO);
}

static bool is_reached(uint32_t count, decimal allowed)
{
    return decimal_valid(allowed) && decimal_cmp(decimal_int(count), allowed) >= 0;
}

static bool check_trades(struct judgement *j)
{
    decimal allowed = limit_of(j, LIMIT_DAILY_TRADES);
    if (!is_reached(j->scope->day_trades, allowed))
        return true;
    return block(j, "max_daily_trades", "%s trades today, allowed %s",
                 decimal_int(j->scope->day_trades), allowed);
}

static bool check_positions(struct judgement *j)
{
    decimal allowed = limit_of(j, LIMIT_OPEN_POSITIONS);
    if (j->scope->is_open || !is_reached(j->scope->open_positions, allowed))
        return true;
    return block(j, "max_open_positions", "%s positions are open, allowed %s",
                 decimal_int(j->scope->open_positions), allowed);
}

/* A market order has no price: it leaves bound (risk_collar_bound). A stop-limit order meets the
 * market where its trigger is. */
static bool check_collar(struct judgement *j)
{
    if (!is_set(j, LIMIT_COLLAR) || !decimal_valid(j->order->price))
        return true;
    bool waits = j->order->type == ORDER_STOP_LIMIT;
    decimal market = waits ? j->order->trigger_price : j->view->reference;
    decimal gap = j->order->side == SIDE_BUY ? decimal_sub(j->order->price, market)
                                             : decimal_sub(market, j->order->price);
    decimal allowed = decimal_mul(market, limit_of(j, LIMIT_COLLAR));
    if (decimal_valid(gap) && decimal_valid(allowed) && decimal_cmp(gap, allowed) <= 0)
        return true;
    return block(j, "price_collar", "limit price %s is too far through the market at %s",
                 j->order->price, market);
}

static bool day_is_lost(const struct risk_limits *limits, decimal equity, decimal opening,
                        decimal *loss, decimal *bound)
{
    if (!limit_is_set(limits, LIMIT_DAILY_LOSS) && !limit_is_set(limits, LIMIT_DAILY_LOSS_PCT))
        return false;
    *loss = decimal_sub(opening, equity);
    *bound = limits->value[LIMIT_DAILY_LOSS];
    if (limit_is_set(limits, LIMIT_DAILY_LOSS_PCT)) {
        decimal share = decimal_mul(opening, limits->value[LIMIT_DAILY_LOSS_PCT]);
        if (!decimal_valid(share))
            return true;
        *bound = decimal_valid(*bound) ? decimal_min(*bound, share) : share;
    }
    return !decimal_valid(*loss) || decimal_cmp(*loss, *bound) >= 0;
}

static bool peak_is_lost(const struct risk_limits *limits, decimal equity, decimal peak,
                         decimal *loss, decimal *bound)
{
    if (!limit_is_set(limits, LIMIT_DRAWDOWN))
        return false;
    *loss = decimal_sub(peak, equity);
    *bound = decimal_mul(peak, limits->value[LIMIT_DRAWDOWN]);
    return !decimal_valid(*loss) || !decimal_valid(*bound) || decimal_cmp(*loss, *bound) >= 0;
}

bool risk_is_lost(const struct risk_limits *limits, decimal equity, decimal day_opening_equity,
                  decimal peak_equity, struct risk_verdict *out)
{
    decimal loss = DECIMAL_NONE, bound = DECIMAL_NONE;
    char lost[DECIMAL_TEXT_MAX], most[DECIMAL_TEXT_MAX];
    const char *code, *format;
    if (day_is_lost(limits, equity, day_opening_equity, &loss, &bound)) {
        code = "max_daily_loss";
        format = "today's loss of %s reaches the limit of %s";
    } else if (peak_is_lost(limits, equity, peak_equity, &loss, &bound)) {
        code = "max_drawdown";
        format = "the loss of %s from the peak reaches the limit of %s";
    } else {
        return false;
    }
    *out = (struct risk_verdict){ .verdict = VERDICT_HALT, .qty = DECIMAL_ZERO };
    text_copy(out->code, sizeof(out->code), code);
    snprintf(out->reason, sizeof(out->reason), format, decimal_format(loss, lost),
             decimal_format(bound, most));
    return true;
}

static bool check_loss(struct judgement *j)
{
    const struct scope_view *scope = j->scope;
    struct risk_verdict lost;
    if (!risk_is_lost(scope->limits, scope->equity, scope->day_opening_equity, scope->peak_equity,
                      &lost))
        return true;
    j->out->qty = DECIMAL_ZERO;
    say(j, VERDICT_HALT, lost.code, "%s%s", lost.reason, "");
    return false;
}

/* The whole order is measured; its closing part is never held back. */
static bool check_order_size(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_ORDER_SIZE);
    if (!decimal_valid(limit))
        return true;
    decimal left = decimal_sub(limit, value_of(j, j->reducing));
    return lower(j, affordable(j, left), "max_order_size",
                 "qty %s is worth more than max_order_size_usd %s", limit);
}

static bool check_daily_volume(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_DAILY_VOLUME);
    if (!decimal_valid(limit))
        return true;
    decimal before = decimal_add(j->scope->day_volume, value_of(j, j->reducing));
    return lower(j, affordable(j, decimal_sub(limit, before)), "max_daily_volume",
                 "qty %s goes over max_daily_volume_usd %s", limit);
}

/* What this side of the instrument would hold before the opening part, worst case: the position and
 * all that works, and the part of this order that closes (of this instance: others may be on the
 * other side). */
static decimal held_before(const struct judgement *j, const struct scope_view *scope)
{
    decimal side = j->order->side == SIDE_BUY
                       ? decimal_add(scope->position_qty, scope->working_buy)
                       : decimal_sub(scope->working_sell, scope->position_qty);
    return decimal_max(decimal_add(side, j->reducing), DECIMAL_ZERO);
}

/* Working orders may be dearer than this one. */
static decimal held_value(const struct judgement *j, const struct scope_view *scope)
{
    decimal price = j->view->working_price;
    decimal each = j->unit;
    if (decimal_valid(price))
        each = decimal_max(each, unit_at(j, price));
    return decimal_mul(held_before(j, scope), each);
}

static bool check_position_size(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_POSITION_SIZE);
    if (!decimal_valid(limit))
        return true;
    decimal most = decimal_mul(j->scope->equity, limit);
    return lower(j, affordable(j, decimal_sub(most, held_value(j, j->scope))), "max_position_size",
                 "qty %s makes the position larger than %s of equity", limit);
}

decimal risk_entry_price(const struct order *order, decimal reference)
{
    if (decimal_valid(order->price))
        return order->price;
    return decimal_valid(order->trigger_price) ? order->trigger_price : reference;
}

decimal risk_of_unit(const struct order *order, const struct instrument *instrument,
                     decimal reference, decimal no_stop_pct)
{
    decimal entry = risk_entry_price(order, reference);
    decimal loss = decimal_valid(order->stop) ? decimal_abs(decimal_sub(entry, order->stop))
                                              : decimal_mul(entry, no_stop_pct);
    return decimal_mul(loss, instrument->multiplier);
}

static bool check_trade_risk(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_TRADE_RISK);
    if (!decimal_valid(limit))
        return true;
    decimal most = decimal_mul(j->scope->equity, limit);
    return lower(j, units_for(j, most, j->unit_risk), "per_trade_risk",
                 "qty %s loses more than %s of equity at its stop", limit);
}

static bool check_heat(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_HEAT);
    if (!decimal_valid(limit))
        return true;
    decimal most = decimal_mul(j->scope->equity, limit);
    return lower(j, units_for(j, decimal_sub(most, j->scope->heat), j->unit_risk),
                 "max_portfolio_heat",
                 "qty %s makes all positions lose more than %s of equity at their stops", limit);
}

/* Doubles, so rounded against the user: a billionth is given away. */
#define VOLATILITY_SAFETY (1 - 1e-9)

/* How much of the whole order, its closing part too, leaves the portfolio no wilder than allowed.
 * `before`: what of its side is to come first, base units. */
static decimal volatility_units(const struct judgement *j, const struct volatility_book *book,
                                decimal before, decimal limit)
{
    double equity = decimal_to_double(j->scope->equity), unit = decimal_to_double(j->unit);
    double each = (j->order->side == SIDE_BUY ? 1 : -1) * unit / equity;
    decimal whole = decimal_add(j->reducing, j->opening);
    double asked = decimal_to_double(whole) * each, open = decimal_to_double(before) * each;
    double room = volatility_room(book, open + asked, decimal_to_double(limit));
    double share = (room - open) / asked;
    /* With no equity, or where the share cannot be told, nothing. */
    if (!(equity > 0) || !(share > 0))
        return DECIMAL_ZERO;
    if (room == open + asked)
        return whole;
    return decimal_from_double(decimal_to_double(whole) * share * VOLATILITY_SAFETY);
}

static bool check_volatility(struct judgement *j)
{
    decimal limit = limit_of(j, LIMIT_VOLATILITY);
    if (!decimal_valid(limit))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(j->scope->volatility) && !decimal_is_zero(j->opening); i++) {
        const struct volatility_book *book = j->scope->volatility[i];
        if (!book)
            return block(j, "no_volatility",
                         "too few hourly prices to estimate volatility: qty %s, limit %s",
                         j->order->qty, limit);
        decimal working =
            j->order->side == SIDE_BUY ? j->scope->working_buy : j->scope->working_sell;
        decimal before = i == 0 ? j->view->beside : working; /* the first book has the others */
        decimal units = decimal_sub(volatility_units(j, book, before, limit), j->reducing);
        if (!lower(j, units, "max_portfolio_volatility",
                   "qty %s makes the portfolio move more than %s a year", limit))
            return false;
    }
    return true;
}

/* In this order: what is cheap and blocks comes first. */
static bool check_scope(struct judgement *j)
{
    static bool (*const checks[])(struct judgement * j) = {
        check_rate,       check_trades,     check_positions,    check_collar,
        check_loss,       check_order_size, check_daily_volume, check_position_size,
        check_trade_risk, check_heat,       check_volatility,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks) && !decimal_is_zero(j->opening); i++)
        if (!checks[i](j))
            return false;
    return true;
}

/* ---- money ---- */

static bool check_stage(struct judgement *j)
{
    decimal left = j->view->exposure_left;
    if (!decimal_valid(left))
        return true;
    decimal held = held_value(j, &j->view->scopes[SCOPE_ACCOUNT]);
    return lower(j, affordable(j, decimal_sub(left, held)), "rollout_stage",
                 "qty %s goes over what this stage of the rollout may have at stake: %s is left",
                 left);
}

/* What is bound on this side, worst case, and by the other instruments, within equity times
 * leverage. */
static bool check_buying_power(struct judgement *j)
{
    const struct scope_view *own = &j->view->scopes[SCOPE_STRATEGY];
    decimal power = decimal_mul(own->equity, j->view->instrument->leverage);
    decimal bound = decimal_add(j->view->exposure_others, held_value(j, own));
    return lower(j, affordable(j, decimal_sub(power, bound)), "buying_power",
                 "qty %s costs more than the buying power (equity times leverage %s)", power);
}

static bool check_minimum(struct judgement *j)
{
    const struct instrument *instrument = j->view->instrument;
    decimal qty = decimal_add(j->reducing, j->opening);
    decimal price = risk_entry_price(j->order, j->view->reference);
    decimal worth = decimal_mul(decimal_mul(qty, price), instrument->multiplier);
    if (!decimal_valid(worth) || !decimal_valid(instrument->min_notional))
        return block_range(j, instrument->min_notional);
    if (decimal_cmp(worth, instrument->min_notional) >= 0)
        return true;
    bool was_lowered = j->out->verdict == VERDICT_REDUCE;
    if (was_lowered) /* too far: whose limit did that */
        j->scope = &j->view->scopes[j->out->scope];
    return block(j, was_lowered ? j->out->code : "min_notional",
                 "an order worth %s is below the instrument's min_notional %s", worth,
                 instrument->min_notional);
}

/* ---- all of it ---- */

/* What orders at work will close already cannot be closed a second time. */
static void split_quantity(struct judgement *j)
{
    const struct scope_view *own = &j->view->scopes[SCOPE_STRATEGY];
    bool buys = j->order->side == SIDE_BUY;
    decimal against = buys ? decimal_neg(own->position_qty) : own->position_qty;
    against = decimal_sub(against, buys ? own->working_buy : own->working_sell);
    j->reducing = decimal_max(decimal_min(j->order->qty, against), DECIMAL_ZERO);
    if (j->order->reduce_only)
        j->reducing = j->order->qty;
    j->opening = decimal_sub(j->order->qty, j->reducing);
}

/* A short is dearer where its price is higher, so the highest price counts on both sides. */
static decimal worst_unit(const struct judgement *j)
{
    decimal worst = j->view->reference;
    if (decimal_valid(j->order->price))
        worst = decimal_max(worst, j->order->price);
    if (decimal_valid(j->order->trigger_price))
        worst = decimal_max(worst, j->order->trigger_price);
    return unit_at(j, worst);
}

/* Once nothing is left that opens, the rest of the order is a way out, which nothing holds back. */
static bool check_money(struct judgement *j)
{
    static bool (*const checks[])(struct judgement * j) = { check_stage, check_buying_power,
                                                            check_minimum };
    for (size_t i = 0; i < ARRAY_SIZE(checks) && !decimal_is_zero(j->opening); i++)
        if (!checks[i](j))
            return false;
    return true;
}

static bool check_all(struct judgement *j)
{
    if (!check_barred(j) || !check_reference(j))
        return false;
    j->unit = worst_unit(j);
    j->unit_risk = decimal_mul(
        risk_of_unit(j->order, j->view->instrument, j->view->reference, j->view->no_stop_pct),
        j->view->fx);
    if (!check_short(j))
        return false;
    for (size_t i = 0; i < SCOPES; i++) {
        j->scope = &j->view->scopes[i];
        if (j->scope->limits && !check_scope(j))
            return false;
    }
    j->scope = NULL;
    return check_money(j);
}

void risk_check(const struct risk_view *view, const struct order *order, struct risk_verdict *out)
{
    out->verdict = VERDICT_APPROVE;
    out->scope = SCOPE_ACCOUNT;
    out->qty = order->qty;
    out->code[0] = out->reason[0] = '\0';
    struct judgement j = { .view = view, .order = order, .out = out };
    split_quantity(&j);
    /* An order that only reduces needs no reference and no room: it must always get out. */
    if (decimal_is_zero(j.opening))
        return;
    if (check_all(&j))
        out->qty = decimal_add(j.reducing, j.opening);
}

decimal risk_collar_bound(const struct instrument *instrument, enum order_side side,
                          decimal reference, decimal collar)
{
    decimal beyond = decimal_mul(reference, collar);
    decimal bound =
        side == SIDE_BUY ? decimal_add(reference, beyond) : decimal_sub(reference, beyond);
    decimal price = decimal_to_multiple(bound, instrument->tick_size, ROUND_DOWN);
    if (!decimal_valid(price))
        return DECIMAL_NONE;
    /* "Within 1e-6 of a tick" must not carry it beyond. */
    if (side == SIDE_BUY && decimal_cmp(price, bound) > 0)
        price = decimal_sub(price, instrument->tick_size);
    if (side == SIDE_SELL && decimal_cmp(price, bound) < 0)
        price = decimal_add(price, instrument->tick_size);
    return decimal_sign(price) > 0 ? price : DECIMAL_NONE;
}
