/* pairs.c - two orders that a strategy linked: what one fills the other gives up.
 *
 * Where the venue links them it does so by itself. Else, after every report: an order whose other
 * filled is canceled; one whose other filled in part is reduced by as much, or canceled and placed
 * anew for the rest where the venue changes no orders. Both may fill while that is under way: a
 * person is told. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

static struct pair *find_pair(struct engine *engine, uint64_t group_id)
{
    for (size_t i = 0; i < engine->pair_count; i++)
        if (engine->pairs[i].group_id == group_id)
            return &engine->pairs[i];
    return NULL;
}

static bool is_live(const struct engine *engine, uint64_t order_id)
{
    const struct order *order = blotter_find(engine->blotter, order_id);
    return order && order_is_open(order);
}

/* Those that are over, and those that a failed callback had asked for. */
static void forget_done(struct engine *engine)
{
    size_t kept = 0;
    for (size_t i = 0; i < engine->pair_count; i++) {
        const struct pair *pair = &engine->pairs[i];
        if (is_live(engine, pair->ids[0]) || is_live(engine, pair->ids[1]))
            engine->pairs[kept++] = *pair;
    }
    engine->pair_count = kept;
}

static struct pair *add_pair(struct engine *engine, uint64_t group_id)
{
    forget_done(engine);
    engine->pairs = memory_grow(engine->pairs, &engine->pair_capacity, engine->pair_count + 1,
                                sizeof(struct pair));
    struct pair *pair = &engine->pairs[engine->pair_count++];
    *pair = (struct pair){ .group_id = group_id,
                           .total = { DECIMAL_ZERO, DECIMAL_ZERO },
                           .asked = { DECIMAL_NONE, DECIMAL_NONE } };
    return pair;
}

void pairs_begin(struct engine *engine, const uint64_t ids[2])
{
    struct pair *pair = add_pair(engine, ids[0]);
    for (int i = 0; i < 2; i++) {
        pair->ids[i] = ids[i];
        pair->total[i] = blotter_find(engine->blotter, ids[i])->qty;
    }
}

/* The venue says that it would change no order, or has just refused to. */
static void cancel_leg(struct engine *engine, struct pair *pair, int i, struct order *order,
                       bool again)
{
    pair->asked[i] = DECIMAL_ZERO;
    pair->again[i] = again;
    pair->is_ours[i] = true;
    desk_cancel(engine, order);
}

static decimal left_of(const struct engine *engine, const struct pair *pair, int i,
                       const struct order *order)
{
    const struct order *other = blotter_find(engine->blotter, pair->ids[1 - i]);
    decimal filled = other ? other->filled_qty : DECIMAL_ZERO;
    if (other && other->known == ORDER_FILLED)
        return DECIMAL_ZERO;
    decimal left = decimal_sub(decimal_sub(pair->total[i], filled), order->filled_qty);
    return decimal_max(left, DECIMAL_ZERO);
}

/* Lowers what is left of an order. What was asked and refused is not asked again: the answer would
 * be the same, and come back here; only a cancel is tried instead of an amend. */
static void sync_leg(struct engine *engine, struct pair *pair, int i)
{
    struct order *order = blotter_find(engine->blotter, pair->ids[i]);
    if (!order || !order_is_open(order) || order->pending & PENDING_CANCEL || order->doubt)
        return;
    decimal left = left_of(engine, pair, i, order);
    if (decimal_cmp(order_remaining(order), left) <= 0)
        return;
    bool asked = decimal_valid(pair->asked[i]) && decimal_cmp(pair->asked[i], left) == 0;
    bool canceled = decimal_valid(pair->asked[i]) && decimal_is_zero(pair->asked[i]);
    if (decimal_is_zero(left)) {
        if (!asked)
            cancel_leg(engine, pair, i, order, false);
        return;
    }
    if (order->pending || order->known == ORDER_PENDING_NEW || canceled)
        return; /* its answer comes here */
    const struct venue_port *venue = &engine->options.venue;
    bool amends = venue->abilities(venue->self, order->instrument)->amend != AMEND_NONE;
    if (asked || (!amends && !order->held)) {
        cancel_leg(engine, pair, i, order, true);
        return;
    }
    pair->asked[i] = left;
    pair->is_ours[i] = true;
    desk_amend(engine, order, decimal_add(order->filled_qty, left), DECIMAL_NONE);
}

/* The rest of an order that was canceled to be smaller. */
static void place_rest(struct engine *engine, struct pair *pair, int i, const struct order *ended)
{
    decimal left = left_of(engine, pair, i, ended);
    pair->again[i] = false;
    int index = instance_of_order(engine, ended);
    char why[REASON_MAX];
    if (decimal_is_zero(left))
        return;
    struct order order = *ended;
    order.qty = left;
    order.venue_order_id[0] = order.pending_client_order_id[0] = '\0';
    order.pending = PENDING_NONE;
    order.doubt = false;
    order.revision = 0;
    order.known = ORDER_PENDING_NEW;
    order.filled_qty = DECIMAL_ZERO;
    if (!gate_pass_rest(engine, index, &order, why)) {
        LOG(engine->options.log, LOG_WARN, "orders", "the rest of a linked order is not placed",
            F_STR("client_order_id", ended->client_order_id), F_STR("reason", why));
        return;
    }
    pair->total[1 - i] = decimal_sub(pair->total[1 - i], ended->filled_qty);
    pair->total[i] = decimal_sub(pair->total[i], ended->filled_qty);
    pair->asked[i] = DECIMAL_NONE;
    order.reason[0] = '\0';
    pair->ids[i] = desk_place(engine, index, &order);
}

static void check_both(struct engine *engine, const struct pair *pair, int i,
                       const struct order *order)
{
    const struct order *other = blotter_find(engine->blotter, pair->ids[1 - i]);
    if (order->reduce_only || !other)
        return; /* what a reduce-only order sold too much is closed */
    decimal most = decimal_max(pair->total[0], pair->total[1]);
    if (decimal_cmp(decimal_add(order->filled_qty, other->filled_qty), most) > 0)
        report_alert(engine, order, "oco_both_filled", "both orders of a pair filled");
}

/* The strategy's own change of an order is a new beginning. */
static void follow_change(struct engine *engine, struct pair *pair, int i,
                          const struct order *before, const struct order *order)
{
    bool changed = decimal_cmp(before->qty, order->qty) != 0;
    if (order->pending)
        return;
    if (changed && !pair->is_ours[i]) {
        const struct order *other = blotter_find(engine->blotter, pair->ids[1 - i]);
        pair->total[i] = decimal_add(order->qty, other ? other->filled_qty : DECIMAL_ZERO);
        pair->asked[i] = DECIMAL_NONE;
    }
    if (before->pending || before->held)
        pair->is_ours[i] = false;
}

void pairs_follow(struct engine *engine, const struct order *before, const struct order *order,
                  decimal booked_qty)
{
    struct pair *pair = find_pair(engine, order->group_id);
    if (!pair || (pair->ids[0] != order->order_id && pair->ids[1] != order->order_id))
        return;
    int i = pair->ids[1] == order->order_id;
    if (decimal_sign(booked_qty) > 0)
        check_both(engine, pair, i, order);
    if (held_is_linked(engine, order))
        return;
    follow_change(engine, pair, i, before, order);
    if (pair->again[i] && !order_is_open(order))
        place_rest(engine, pair, i, order);
    sync_leg(engine, pair, 1 - i);
    sync_leg(engine, pair, i);
}

/* What a venue refused for a moment, or a crash kept from leaving, is asked for again: when the
 * books were compared. One whose other is filled goes, whoever was to see to it. */
void pairs_try_again(struct engine *engine)
{
    for (size_t k = 0; k < engine->pair_count; k++) {
        struct pair *pair = &engine->pairs[k];
        for (int i = 0; i < 2; i++) {
            const struct order *order = blotter_find(engine->blotter, pair->ids[i]);
            const struct order *other = blotter_find(engine->blotter, pair->ids[1 - i]);
            if (!order || !order_is_open(order) || order->pending)
                continue;
            pair->asked[i] = DECIMAL_NONE;
            if (!held_is_linked(engine, order) || (other && other->known == ORDER_FILLED))
                sync_leg(engine, pair, i);
        }
    }
}

/* Both are there: what each may fill follows from what they are. Equal orders were reduced by what
 * the other filled, or were about to be. */
static void guess_totals(struct engine *engine, struct pair *pair)
{
    const struct order *a = blotter_find(engine->blotter, pair->ids[0]);
    const struct order *b = blotter_find(engine->blotter, pair->ids[1]);
    pair->total[0] = a->qty;
    pair->total[1] = b->qty;
    if (decimal_is_zero(a->filled_qty) && decimal_is_zero(b->filled_qty))
        return;
    pair->total[0] = pair->total[1] =
        decimal_min(decimal_add(a->qty, b->filled_qty), decimal_add(b->qty, a->filled_qty));
}

void pairs_restore(struct engine *engine, const struct order *order)
{
    struct pair *pair = find_pair(engine, order->group_id);
    if (!pair) {
        pair = add_pair(engine, order->group_id);
        pair->ids[0] = order->order_id;
        pair->total[0] = order->qty;
        return;
    }
    if (pair->ids[0] == order->order_id)
        return;
    pair->ids[1] = order->order_id;
    guess_totals(engine, pair);
}
