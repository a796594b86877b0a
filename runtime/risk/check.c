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
    const struct risk_limits *limits[2]; /* account, strategy: each binds */
    const struct risk_view *view;
    const struct order *order;
    decimal price;    /* worst price counted: the highest of limit, trigger and reference */
    decimal reducing; /* quantity that takes the position toward zero */
    decimal opening;  /* quantity beyond that */
    struct risk_verdict *out;
};

static void say(struct risk_verdict *out, enum verdict verdict, const char *code,
                const char *format, const char *a, const char *b)
{
    out->verdict = verdict;
    text_copy(out->code, sizeof(out->code), code);
    /* The formats are ours, each with two %s. */
    snprintf(out->reason, sizeof(out->reason), format, a, b);
}

static bool block(struct judgement *j, const char *code, const char *format, decimal a, decimal b)
{
    char first[DECIMAL_TEXT_MAX], second[DECIMAL_TEXT_MAX];
    j->out->qty = DECIMAL_ZERO;
    say(j->out, VERDICT_BLOCK, code, format, decimal_format(a, first), decimal_format(b, second));
    return false;
}

/* Lowers the opening part to `allowed` base units in whole lots; blocks when nothing is left. */
static bool lower(struct judgement *j, decimal allowed, const char *code, const char *format,
                  decimal limit)
{
    if (!decimal_valid(allowed) || !decimal_valid(j->opening))
        return block(j, "range", "a sum does not fit a decimal (%s, limit %s)", j->order->qty,
                     limit);
    if (decimal_cmp(j->opening, allowed) <= 0)
        return true;
    decimal lots = decimal_to_multiple(decimal_max(allowed, DECIMAL_ZERO),
                                       j->view->instrument->lot_size, ROUND_DOWN);
    /* "Within 1e-6 of a multiple" must never lift the quantity above a limit. */
    if (decimal_valid(lots) && decimal_cmp(lots, allowed) > 0)
        lots = decimal_max(decimal_sub(lots, j->view->instrument->lot_size), DECIMAL_ZERO);
    decimal total = decimal_add(j->reducing, lots);
    if (!decimal_valid(total) || decimal_is_zero(total))
        return block(j, code, format, j->order->qty, limit);
    char asked[DECIMAL_TEXT_MAX], bound[DECIMAL_TEXT_MAX];
    j->opening = lots;
    say(j->out, VERDICT_REDUCE, code, format, decimal_format(j->order->qty, asked),
        decimal_format(limit, bound));
    return true;
}

/* Base units that `money` buys at the counted price. Rounded down, so never above the limit. A
 * limit beyond measure, as people write for "none", buys all: first digits are given up, then the
 * limit. */
static decimal affordable(const struct judgement *j, decimal money)
{
    decimal unit = decimal_mul(j->price, j->view->instrument->multiplier);
    if (!decimal_valid(money) || !decimal_valid(unit))
        return DECIMAL_NONE;
    if (decimal_sign(money) <= 0)
        return DECIMAL_ZERO;
    for (int digits = 18; digits >= 0; digits--) {
        decimal units = decimal_div(money, unit, digits, ROUND_DOWN);
        if (decimal_valid(units))
            return units;
    }
    return j->opening;
}

static decimal value_of(const struct judgement *j, decimal qty)
{
    return decimal_mul(decimal_mul(qty, j->price), j->view->instrument->multiplier);
}

static bool check_halt(struct judgement *j)
{
    if (!j->view->halted || decimal_is_zero(j->opening))
        return true;
    j->out->qty = DECIMAL_ZERO;
    say(j->out, VERDICT_BLOCK, j->view->halt_code ? j->view->halt_code : "halted",
        "trading is halted: %s%s", j->view->halt_reason ? j->view->halt_reason : "no reason given",
        "");
    return false;
}

static bool check_reference(struct judgement *j)
{
    if (decimal_valid(j->view->reference) && decimal_sign(j->view->reference) > 0)
        return true;
    return block(j, "no_quote", "no price yet for this instrument: qty %s cannot be judged%.0s",
                 j->order->qty, DECIMAL_ZERO);
}

static bool check_short(struct judgement *j)
{
    if (j->view->instrument->short_allowed || j->order->side == SIDE_BUY)
        return true;
    return lower(j, DECIMAL_ZERO, "no_short",
                 "selling %s would open a short position, which this instrument does not allow "
                 "(position %s)",
                 j->view->position_qty);
}

static bool check_collar(struct judgement *j, const struct risk_limits *limits)
{
    if (!decimal_valid(limits->value[LIMIT_COLLAR]) || !decimal_valid(j->order->price) ||
        decimal_is_zero(j->opening))
        return true;
    decimal gap = j->order->side == SIDE_BUY ? decimal_sub(j->order->price, j->view->reference)
                                             : decimal_sub(j->view->reference, j->order->price);
    decimal allowed = decimal_mul(j->view->reference, limits->value[LIMIT_COLLAR]);
    if (decimal_valid(gap) && decimal_valid(allowed) && decimal_cmp(gap, allowed) <= 0)
        return true;
    return block(j, "price_collar", "limit price %s is too far through the market at %s",
                 j->order->price, j->view->reference);
}

static bool check_order_size(struct judgement *j, const struct risk_limits *limits)
{
    if (!decimal_valid(limits->value[LIMIT_ORDER_SIZE]))
        return true;
    decimal left = decimal_sub(limits->value[LIMIT_ORDER_SIZE], value_of(j, j->reducing));
    return lower(j, affordable(j, left), "max_order_size",
                 "qty %s is worth more than max_order_size_usd %s",
                 limits->value[LIMIT_ORDER_SIZE]);
}

static bool check_daily_volume(struct judgement *j, const struct risk_limits *limits)
{
    if (!decimal_valid(limits->value[LIMIT_DAILY_VOLUME]))
        return true;
    decimal left = decimal_sub(limits->value[LIMIT_DAILY_VOLUME], j->view->day_volume);
    return lower(j, affordable(j, left), "max_daily_volume",
                 "qty %s goes over max_daily_volume_usd %s", limits->value[LIMIT_DAILY_VOLUME]);
}

/* What this side of the instrument would hold, worst case: the position and all that works. */
static decimal held_after(const struct judgement *j)
{
    bool buys = j->order->side == SIDE_BUY;
    decimal working = buys ? j->view->working_buy : j->view->working_sell;
    decimal toward = buys ? j->view->position_qty : decimal_neg(j->view->position_qty);
    return decimal_max(decimal_add(toward, working), DECIMAL_ZERO);
}

static bool check_position_size(struct judgement *j, const struct risk_limits *limits)
{
    if (!decimal_valid(limits->value[LIMIT_POSITION_SIZE]))
        return true;
    decimal most = decimal_mul(j->view->equity, limits->value[LIMIT_POSITION_SIZE]);
    decimal left = decimal_sub(most, value_of(j, held_after(j)));
    return lower(j, affordable(j, left), "max_position_size",
                 "qty %s makes the position larger than %s of equity",
                 limits->value[LIMIT_POSITION_SIZE]);
}

static bool is_reached(uint32_t count, decimal allowed)
{
    return decimal_valid(allowed) && decimal_cmp(decimal_int(count), allowed) >= 0;
}

static bool check_counts(struct judgement *j, const struct risk_limits *limits)
{
    if (decimal_is_zero(j->opening))
        return true;
    decimal allowed = limits->value[LIMIT_ORDER_RATE];
    if (is_reached(j->view->orders_last_second, allowed))
        return block(j, "max_orders_per_second", "%s orders in the last second, allowed %s",
                     decimal_int(j->view->orders_last_second), allowed);
    allowed = limits->value[LIMIT_DAILY_TRADES];
    if (is_reached(j->view->day_trades, allowed))
        return block(j, "max_daily_trades", "%s trades today, allowed %s",
                     decimal_int(j->view->day_trades), allowed);
    bool opens_new = decimal_is_zero(j->view->position_qty);
    allowed = limits->value[LIMIT_OPEN_POSITIONS];
    if (opens_new && is_reached(j->view->open_positions, allowed))
        return block(j, "max_open_positions", "%s positions are open, allowed %s",
                     decimal_int(j->view->open_positions), allowed);
    return true;
}

bool risk_day_is_lost(const struct risk_limits *limits, decimal day_opening_equity,
                      decimal account_equity, struct risk_verdict *out)
{
    decimal loss = decimal_sub(day_opening_equity, account_equity);
    decimal bound = limits->value[LIMIT_DAILY_LOSS];
    bool limited = decimal_valid(bound);
    if (decimal_valid(limits->value[LIMIT_DAILY_LOSS_PCT])) {
        decimal share = decimal_mul(day_opening_equity, limits->value[LIMIT_DAILY_LOSS_PCT]);
        bound = limited ? decimal_min(bound, share) : share;
        limited = true;
    }
    /* A loss that cannot be told is not a small one. */
    if (!limited || (decimal_valid(loss) && decimal_valid(bound) && decimal_cmp(loss, bound) < 0))
        return false;
    char lost[DECIMAL_TEXT_MAX], most[DECIMAL_TEXT_MAX];
    say(out, VERDICT_HALT, "max_daily_loss", "today's loss of %s reaches the limit of %s",
        decimal_format(loss, lost), decimal_format(bound, most));
    return true;
}

static bool check_daily_loss(struct judgement *j, const struct risk_limits *limits)
{
    if (decimal_is_zero(j->opening) ||
        !risk_day_is_lost(limits, j->view->day_opening_equity, j->view->account_equity, j->out))
        return true;
    j->out->qty = DECIMAL_ZERO;
    return false;
}

/* Money: what is bound on this side, worst case, and by the other instruments, within equity times
 * leverage. */
static bool check_buying_power(struct judgement *j)
{
    decimal power = decimal_mul(j->view->equity, j->view->instrument->leverage);
    decimal bound = decimal_add(j->view->exposure_others, value_of(j, held_after(j)));
    decimal left = decimal_sub(power, bound);
    return lower(j, affordable(j, left), "buying_power",
                 "qty %s costs more than the buying power (equity times leverage %s)", power);
}

static bool check_minimum(struct judgement *j)
{
    decimal total = decimal_add(j->reducing, j->opening);
    /* What closes a position may be small: it is all there is. */
    if (decimal_is_zero(j->opening))
        return true;
    decimal worth = value_of(j, total);
    if (!decimal_valid(worth) || decimal_cmp(worth, j->view->instrument->min_notional) >= 0)
        return true;
    return block(j, j->out->code[0] ? j->out->code : "min_notional",
                 "an order worth %s is below the instrument's min_notional %s", worth,
                 j->view->instrument->min_notional);
}

/* What orders at work will close already cannot be closed a second time. */
static void split_quantity(struct judgement *j)
{
    bool buys = j->order->side == SIDE_BUY;
    decimal against = buys ? decimal_neg(j->view->position_qty) : j->view->position_qty;
    against = decimal_sub(against, buys ? j->view->working_buy : j->view->working_sell);
    j->reducing = decimal_sign(against) > 0 ? decimal_min(j->order->qty, against) : DECIMAL_ZERO;
    if (j->order->reduce_only)
        j->reducing = j->order->qty;
    j->opening = decimal_sub(j->order->qty, j->reducing);
}

static decimal worst_price(const struct judgement *j)
{
    decimal worst = j->view->reference;
    if (decimal_valid(j->order->price))
        worst = decimal_max(worst, j->order->price);
    if (decimal_valid(j->order->trigger_price))
        worst = decimal_max(worst, j->order->trigger_price);
    return worst;
}

static bool check_all(struct judgement *j)
{
    if (!check_halt(j) || !check_reference(j))
        return false;
    j->price = worst_price(j);
    if (!check_short(j))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(j->limits); i++) {
        const struct risk_limits *limits = j->limits[i];
        if (!check_counts(j, limits) || !check_collar(j, limits) || !check_daily_loss(j, limits) ||
            !check_order_size(j, limits) || !check_daily_volume(j, limits) ||
            !check_position_size(j, limits))
            return false;
    }
    return check_buying_power(j) && check_minimum(j);
}

void risk_check(const struct risk_limits *account, const struct risk_limits *strategy,
                const struct risk_view *view, const struct order *order, struct risk_verdict *out)
{
    *out = (struct risk_verdict){ .verdict = VERDICT_APPROVE, .qty = order->qty };
    struct judgement j = {
        .limits = { account, strategy }, .view = view, .order = order, .out = out
    };
    split_quantity(&j);
    /* An order that only reduces needs no reference and no room: it must always get out. */
    if (decimal_is_zero(j.opening))
        return;
    if (check_all(&j))
        out->qty = decimal_add(j.reducing, j.opening);
}
