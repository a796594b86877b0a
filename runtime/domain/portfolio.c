/* portfolio.c - positions and round trips, exact to the last digit.
 *
 * Invariants:
 *   1. realized_pnl - cost is the sum of the cash that fills moved (sells less buys, times the
 *      multiplier), exactly: what a partial close rounds off its released cost stays in the rest.
 *   2. A flat position costs exactly 0: its last close releases all that was left.
 *   3. Over a round trip, gross_pnl is what position_apply answered as realized, summed.
 *   4. A reversal is no trade: where it undoes an opening it takes its own worth out of the cost,
 *      where it undoes a close it puts the average cost back; neither earns anything more. So a
 *      trade that replaces what a sum told before moves cost by the difference alone. */
#include "runtime/domain/portfolio.h"

#include "runtime/base/text.h"

#define MONEY_DIGITS 18 /* after the point, of what is divided */
#define GUARD_DIGITS 8  /* more, before the last rounding */

/* total * part / whole, rounded to `digits`. Divided first, since the product may need more than
 * 128 bits; what the division leaves is carried, so that one rounding remains. */
static decimal share_to(decimal total, decimal part, decimal whole, int digits)
{
    decimal each = decimal_div(total, whole, digits, ROUND_DOWN);
    decimal rest = decimal_sub(total, decimal_mul(each, whole));
    decimal more = decimal_div(decimal_mul(rest, part), whole, digits + GUARD_DIGITS, ROUND_DOWN);
    return decimal_round(decimal_add(decimal_mul(each, part), more), digits, ROUND_HALF_EVEN);
}

/* The same to MONEY_DIGITS, or to as many as 128 bits hold: beyond a cost of 10^12, digits that no
 * currency has are given up rather than the fill. The rest is kept, so sums are exact all the same.
 */
static decimal share_of(decimal total, decimal part, decimal whole)
{
    decimal share = DECIMAL_NONE;
    for (int digits = MONEY_DIGITS; digits >= 0 && !decimal_valid(share); digits--)
        share = share_to(total, part, whole, digits);
    return share;
}

static decimal value_of(decimal qty, decimal price, decimal multiplier)
{
    return decimal_mul(decimal_mul(qty, price), multiplier);
}

static decimal signed_qty(enum order_side side, const struct fill *fill)
{
    return side == SIDE_BUY ? fill->qty : decimal_neg(fill->qty);
}

/* What `part` of a fill is worth: the whole is its notional, exactly, whatever its price rounds to.
 */
static decimal fill_value(const struct fill *fill, decimal part, decimal multiplier)
{
    if (decimal_cmp(part, fill->qty) == 0)
        return decimal_mul(fill_notional(fill), multiplier);
    return value_of(part, fill->price, multiplier);
}

/* How much of a fill closes what is held: between 0 and its quantity. */
static decimal closing_qty(decimal held, enum order_side side, const struct fill *fill)
{
    if (decimal_sign(held) * (int)side >= 0)
        return DECIMAL_ZERO;
    return decimal_min(decimal_abs(held), fill->qty);
}

/* ---- positions ---- */

void position_init(struct position *position)
{
    *position = (struct position){ .qty = DECIMAL_ZERO,
                                   .cost = DECIMAL_ZERO,
                                   .realized_pnl = DECIMAL_ZERO,
                                   .fees = DECIMAL_ZERO,
                                   .funding = DECIMAL_ZERO };
}

/* Cost of the part that a close takes out: its share, of a reversal what it was booked for. */
static decimal released_cost(const struct position *position, const struct fill *fill,
                             decimal closing, decimal multiplier)
{
    decimal held = decimal_abs(position->qty);
    if (decimal_is_zero(closing))
        return DECIMAL_ZERO;
    if (decimal_cmp(closing, held) == 0)
        return position->cost; /* invariant 2 */
    if (fill->kind != FILL_REVERSAL)
        return share_of(position->cost, closing, held);
    decimal booked = fill_value(fill, closing, multiplier); /* invariant 4 */
    return decimal_sign(position->qty) > 0 ? booked : decimal_neg(booked);
}

/* Cost of the part that opens, signed: its worth, of the reversal of a close what was released. */
static decimal opened_cost(const struct position *position, enum order_side side,
                           const struct fill *fill, decimal opening, decimal multiplier)
{
    bool undoes_close = fill->kind == FILL_REVERSAL && !decimal_is_zero(position->qty) &&
                        decimal_cmp(opening, fill->qty) == 0;
    if (undoes_close)
        return share_of(position->cost, opening, decimal_abs(position->qty));
    decimal opened = fill_value(fill, opening, multiplier);
    return side == SIDE_BUY ? opened : decimal_neg(opened);
}

static decimal signed_fee(const struct fill *fill)
{
    return fill->kind == FILL_REVERSAL ? decimal_neg(fill->fee) : fill->fee;
}

int position_apply(struct position *position, enum order_side side, const struct fill *fill,
                   decimal multiplier, decimal *realized, struct error *err)
{
    ASSERT(decimal_valid(fill->qty) && decimal_sign(fill->qty) > 0); /* order_apply saw to it */

    decimal signed_fill = signed_qty(side, fill);
    decimal closing = closing_qty(position->qty, side, fill);
    decimal opening = decimal_sub(fill->qty, closing);
    decimal released = released_cost(position, fill, closing, multiplier);
    decimal opened = opened_cost(position, side, fill, opening, multiplier);
    decimal paid = fill_value(fill, fill->qty, multiplier);
    if (side == SIDE_SELL)
        paid = decimal_neg(paid);
    /* What the closing part brought in, less what it had cost: invariant 1. */
    decimal earned = decimal_sub(decimal_sub(opened, paid), released);

    struct position next = *position;
    next.qty = decimal_add(next.qty, signed_fill);
    next.cost = decimal_add(decimal_sub(next.cost, released), opened);
    next.realized_pnl = decimal_add(next.realized_pnl, earned);
    next.fees = decimal_add(next.fees, signed_fee(fill));
    if (!decimal_valid(next.qty) || !decimal_valid(next.cost) ||
        !decimal_valid(next.realized_pnl) || !decimal_valid(next.fees)) /* overflow is sticky */
        return error_set(err, ERROR_RANGE, "fill %s is too large to add to the position",
                         fill->exec_id);

    *position = next;
    if (realized)
        *realized = earned;
    return 0;
}

decimal position_avg_price(const struct position *position, decimal multiplier)
{
    return decimal_div(position->cost, decimal_mul(position->qty, multiplier), MONEY_DIGITS,
                       ROUND_HALF_EVEN); /* flat divides by zero: DECIMAL_NONE */
}

decimal position_unrealized(const struct position *position, decimal mark, decimal multiplier)
{
    return decimal_sub(position_value(position, mark, multiplier), position->cost);
}

decimal position_value(const struct position *position, decimal mark, decimal multiplier)
{
    return value_of(position->qty, mark, multiplier);
}

/* ---- round trips ---- */

void trip_init(struct trip *trip)
{
    *trip = (struct trip){ .qty = DECIMAL_ZERO,
                           .entry_notional = DECIMAL_ZERO,
                           .exit_notional = DECIMAL_ZERO,
                           .exit_qty = DECIMAL_ZERO,
                           .fees = DECIMAL_ZERO,
                           .gross_pnl = DECIMAL_ZERO };
}

static void trip_begin(struct trip *trip, enum order_side side, const char *tag, int64_t now_ns,
                       uint64_t bars_now)
{
    trip_init(trip);
    trip->open = true;
    trip->opened_ns = now_ns;
    trip->side = side;
    trip->bars_held = bars_now; /* while open: the counter at the entry */
    text_copy(trip->tag, sizeof(trip->tag), tag ? tag : "");
}

static void trip_enter(struct trip *trip, decimal qty, decimal notional, decimal fee)
{
    trip->qty = decimal_add(trip->qty, qty);
    trip->entry_notional = decimal_add(trip->entry_notional, notional);
    trip->fees = decimal_add(trip->fees, fee);
}

static void trip_exit(struct trip *trip, decimal qty, decimal notional, decimal fee)
{
    trip->exit_qty = decimal_add(trip->exit_qty, qty);
    trip->exit_notional = decimal_add(trip->exit_notional, notional);
    trip->fees = decimal_add(trip->fees, fee);
}

static void trip_end(struct trip *trip, int64_t now_ns, uint64_t bars_now, struct trip *done)
{
    decimal gained = decimal_sub(trip->exit_notional, trip->entry_notional);
    *done = *trip;
    done->open = false;
    done->closed_ns = now_ns;
    done->bars_held = bars_now - trip->bars_held;
    done->gross_pnl = trip->side == SIDE_BUY ? gained : decimal_neg(gained);
    trip_init(trip);
}

/* Nothing is left of it: every fill was undone. */
static bool trip_is_void(const struct trip *trip)
{
    return decimal_is_zero(trip->qty) && decimal_is_zero(trip->entry_notional) &&
           decimal_is_zero(trip->exit_notional) && decimal_is_zero(trip->fees);
}

/* What brings the position nearer to flat: an exit, or an entry undone. A fill of an earlier trip
 * that is undone now is an exit too: this trip never had it. */
static void trip_close(struct trip *trip, const struct fill *fill, decimal qty, decimal notional,
                       decimal fee)
{
    struct trip undone = *trip;
    trip_enter(&undone, decimal_neg(qty), decimal_neg(notional), fee);
    if (fill->kind == FILL_REVERSAL && (decimal_sign(undone.qty) > 0 || trip_is_void(&undone)))
        *trip = undone;
    else
        trip_exit(trip, qty, notional, fee);
}

/* What leads the position away from flat: an entry, or an exit undone. */
static void trip_open(struct trip *trip, const struct fill *fill, decimal qty, decimal notional,
                      decimal fee)
{
    if (fill->kind == FILL_REVERSAL && decimal_cmp(trip->exit_qty, qty) >= 0)
        trip_exit(trip, decimal_neg(qty), decimal_neg(notional), fee);
    else
        trip_enter(trip, qty, notional, fee);
}

bool trip_apply(struct trip *trip, decimal qty_before, enum order_side side,
                const struct fill *fill, decimal multiplier, const char *tag, int64_t now_ns,
                uint64_t bars_now, struct trip *done)
{
    ASSERT(decimal_valid(fill->qty) && decimal_sign(fill->qty) > 0);

    decimal closing = closing_qty(qty_before, side, fill);
    decimal opening = decimal_sub(fill->qty, closing);
    bool is_flip = !decimal_is_zero(closing) && !decimal_is_zero(opening);
    decimal opened = fill_value(fill, opening, multiplier);
    decimal closed = decimal_sub(fill_value(fill, fill->qty, multiplier), opened);
    decimal fee = signed_fee(fill);
    decimal closing_fee = is_flip ? share_of(fee, closing, fill->qty) : fee;
    bool ended = false;

    if (!decimal_is_zero(closing) && trip->open) {
        trip_close(trip, fill, closing, closed, closing_fee);
        bool is_flat = decimal_cmp(closing, decimal_abs(qty_before)) == 0;
        ended = is_flat && !trip_is_void(trip);
        if (ended)
            trip_end(trip, now_ns, bars_now, done);
        else if (is_flat)
            trip_init(trip);
    }
    if (decimal_is_zero(opening))
        return ended;

    decimal opening_fee = is_flip ? decimal_sub(fee, closing_fee) : fee;
    if (is_flip || decimal_is_zero(qty_before))
        trip_begin(trip, side, tag, now_ns, bars_now);
    if (trip->open) /* not when a position was taken over: its entry was never seen */
        trip_open(trip, fill, opening, opened, opening_fee);
    return ended;
}

void trip_correct(struct trip *trip, enum order_side side, const struct fill *was,
                  const struct fill *is, decimal qty, decimal multiplier)
{
    if (!trip->open)
        return;
    decimal more = decimal_sub(fill_value(is, qty, multiplier), fill_value(was, qty, multiplier));
    decimal *notional = side == trip->side ? &trip->entry_notional : &trip->exit_notional;
    *notional = decimal_add(*notional, more);
    trip->fees = decimal_add(trip->fees, decimal_sub(is->fee, was->fee));
}
