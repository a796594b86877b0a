/* exits.c - the stop and take of protected entries: placed with each fill, grown, shrunk, ended.
 *
 * One idea: after every report, compare what each protection wants with what rests, and ask for the
 * difference. Exits are ordinary reduce-only orders of one group and go through the same door.
 *
 * What a protection wants is the quantity its entry filled, less what its exits filled; all
 * protections together never want more than the position. When something else reduced the position,
 * the oldest protections give way first. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

static struct protection *find_protection(struct engine *engine, uint64_t entry_id)
{
    for (size_t i = 0; i < engine->protection_count; i++)
        if (engine->protections[i].entry_id == entry_id)
            return &engine->protections[i];
    return NULL;
}

static struct protection *add_protection(struct engine *engine)
{
    engine->protections = memory_grow(engine->protections, &engine->protection_capacity,
                                      engine->protection_count + 1, sizeof(struct protection));
    struct protection *protection = &engine->protections[engine->protection_count++];
    memset(protection, 0, sizeof(*protection));
    protection->stop = protection->take =
        (struct exit_leg){ .price = DECIMAL_NONE, .asked = DECIMAL_NONE, .refused = DECIMAL_NONE };
    protection->entered_qty = protection->exited_qty = DECIMAL_ZERO;
    return protection;
}

static bool is_protected_entry(const struct order *order)
{
    return order->role == ROLE_PLAIN && (decimal_valid(order->stop) || decimal_valid(order->take));
}

/* Only what fills is protected: a message repeated after the exits did their work begins nothing.
 */
static void follow_entry(struct engine *engine, const struct order *order, decimal booked_qty)
{
    struct protection *protection = find_protection(engine, order->order_id);
    if (decimal_is_zero(booked_qty))
        return;
    if (!protection) {
        protection = add_protection(engine);
        protection->entry_id = order->order_id;
        protection->instance = instance_of_order(engine, order);
        protection->instrument = order->instrument;
        protection->side = order->side;
        protection->stop_on = order->stop_on;
        protection->stop.price = order->stop;
        protection->take.price = order->take;
        memcpy(protection->tag, order->tag, sizeof(protection->tag));
    }
    protection->entered_qty = decimal_add(protection->entered_qty, booked_qty);
}

static bool is_change_refused(const struct exit_leg *leg, const struct order *before,
                              const struct order *order)
{
    return before->pending && !order->pending && order_is_open(order) && !order->doubt &&
           decimal_valid(leg->asked) && decimal_cmp(order_remaining(order), leg->asked) != 0;
}

/* What became of a change that was asked for, by us or by the guest. */
static void follow_leg(struct engine *engine, int instance, struct exit_leg *leg,
                       const struct order *before, const struct order *order)
{
    bool was_asked = before->pending & PENDING_CANCEL || before->held;
    bool guest_canceled =
        order->known == ORDER_CANCELED && order_is_open(before) && was_asked && !leg->canceling;
    if (order->known == ORDER_REJECTED || guest_canceled) {
        leg->price = DECIMAL_NONE; /* alerted, or wanted: not repeated */
    } else if (is_change_refused(leg, before, order)) {
        leg->refused = leg->asked;
        char text[REASON_MAX];
        snprintf(text, sizeof(text), "order %s: the venue does not change this exit",
                 order->client_order_id);
        turn_alert(engine, instance, "exit_refused", text);
    }
    if (!order->pending)
        leg->canceling = false;
    if (order->role == ROLE_TAKE && decimal_valid(leg->price) && order_is_open(order))
        leg->price = order->price; /* the guest may have moved it */
}

static void follow_exit(struct engine *engine, const struct order *before,
                        const struct order *order, decimal booked_qty)
{
    struct protection *protection = find_protection(engine, order->parent_order_id);
    if (!protection)
        return;
    struct exit_leg *leg = order->role == ROLE_STOP ? &protection->stop : &protection->take;
    if (leg->order_id == order->order_id)
        follow_leg(engine, protection->instance, leg, before, order);
    if (decimal_is_zero(booked_qty))
        return;
    protection->exited_qty = decimal_add(protection->exited_qty, booked_qty);
    /* The venue reduces the siblings of a filled exit by itself: asking too would only race it. */
    if (engine->options.venue.abilities(engine->options.venue.self, order->instrument)->oco)
        engine->filled_group = order->group_id;
}

void exits_follow(struct engine *engine, const struct order *before, const struct order *order,
                  decimal booked_qty)
{
    if (order->role != ROLE_PLAIN)
        follow_exit(engine, before, order, booked_qty);
    else if (is_protected_entry(order))
        follow_entry(engine, order, booked_qty);
    if (order->role == ROLE_PLAIN && order->group_id != 0)
        pairs_follow(engine, before, order, booked_qty);
}

void exits_reached(struct engine *engine, struct order *order)
{
    held_fire(engine, order);
}

static decimal protected_qty(const struct protection *protection)
{
    return decimal_max(decimal_sub(protection->entered_qty, protection->exited_qty), DECIMAL_ZERO);
}

static uint64_t place_exit(struct engine *engine, const struct protection *protection,
                           enum order_role role, decimal price, decimal qty)
{
    struct order order = { .instrument = protection->instrument,
                           .side = protection->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY,
                           .type = role == ROLE_STOP ? ORDER_STOP : ORDER_LIMIT,
                           .tif = TIF_GTC,
                           .stop_on = protection->stop_on,
                           .qty = qty,
                           .price = role == ROLE_TAKE ? price : DECIMAL_NONE,
                           .trigger_price = role == ROLE_STOP ? price : DECIMAL_NONE,
                           .trail = DECIMAL_NONE,
                           .stop = DECIMAL_NONE,
                           .take = DECIMAL_NONE,
                           .reduce_only = true,
                           .role = role,
                           .parent_order_id = protection->entry_id,
                           .group_id = protection->entry_id,
                           .expires_ns = TIME_NEVER };
    memcpy(order.tag, protection->tag, sizeof(order.tag));
    return desk_place(engine, protection->instance, &order);
}

/* Asks for `want` to be left of a resting exit. A venue that changes no orders is asked to cancel,
 * and the exit is placed anew when it did. What it refused is not asked for again: the answer would
 * be the same, and come back here. */
static void change_exit(struct engine *engine, struct exit_leg *leg, struct order *order,
                        decimal want)
{
    const struct venue_port *venue = &engine->options.venue;
    bool amends = venue->abilities(venue->self, order->instrument)->amend != AMEND_NONE;
    if (decimal_cmp(order_remaining(order), want) == 0 ||
        (decimal_valid(leg->refused) && decimal_cmp(leg->refused, want) == 0))
        return;
    leg->asked = want;
    leg->refused = DECIMAL_NONE;
    leg->canceling = decimal_is_zero(want) || !amends;
    if (leg->canceling)
        desk_cancel(engine, order);
    else
        desk_amend(engine, order, decimal_add(order->filled_qty, want), DECIMAL_NONE);
}

/* Brings one exit to rest with `want` left to fill: placed, resized, or canceled. One change at a
 * time: while one is under way the next waits for its answer, which comes here again. An exit that
 * the venue ended by itself is placed again. */
static void sync_exit(struct engine *engine, struct protection *protection, enum order_role role,
                      struct exit_leg *leg, decimal want)
{
    struct order *order = leg->order_id ? blotter_find(engine->blotter, leg->order_id) : NULL;
    if (order && order_is_open(order)) {
        if (!order->pending && !order->doubt && order->known != ORDER_PENDING_NEW)
            change_exit(engine, leg, order, want);
        return;
    }
    if (decimal_valid(leg->price) && decimal_sign(want) > 0) {
        leg->refused = DECIMAL_NONE;
        leg->order_id = place_exit(engine, protection, role, leg->price, want);
    }
}

static bool entry_is_open(const struct engine *engine, const struct protection *protection)
{
    const struct order *entry = blotter_find(engine->blotter, protection->entry_id);
    return entry && order_is_open(entry);
}

static bool exit_is_open(const struct engine *engine, uint64_t order_id)
{
    const struct order *order = order_id ? blotter_find(engine->blotter, order_id) : NULL;
    return order && order_is_open(order);
}

static bool is_over(const struct engine *engine, const struct protection *protection, decimal want)
{
    return decimal_is_zero(want) && !entry_is_open(engine, protection) &&
           !exit_is_open(engine, protection->stop.order_id) &&
           !exit_is_open(engine, protection->take.order_id);
}

static void forget_protection(struct engine *engine, size_t index)
{
    engine->protection_count--;
    memmove(&engine->protections[index], &engine->protections[index + 1],
            (engine->protection_count - index) * sizeof(struct protection));
}

void exits_sync(struct engine *engine, int instance, uint32_t instrument)
{
    decimal position = instance_holding(engine, instance, instrument)->position.qty;
    decimal left_long = decimal_max(position, DECIMAL_ZERO);
    decimal left_short = decimal_max(decimal_neg(position), DECIMAL_ZERO);
    /* Newest first, so that the oldest give way. */
    for (size_t i = engine->protection_count; i-- > 0;) {
        struct protection *protection = &engine->protections[i];
        if (protection->instance != instance || protection->instrument != instrument)
            continue;
        decimal *left = protection->side == SIDE_BUY ? &left_long : &left_short;
        decimal want = decimal_min(protected_qty(protection), *left);
        *left = decimal_sub(*left, want);
        /* What was reduced by others is gone for good: later entries must not revive it. */
        protection->exited_qty = decimal_sub(protection->entered_qty, want);
        if (protection->entry_id != engine->filled_group) {
            sync_exit(engine, protection, ROLE_STOP, &protection->stop, want);
            sync_exit(engine, protection, ROLE_TAKE, &protection->take, want);
        }
        if (is_over(engine, protection, want))
            forget_protection(engine, i);
    }
}

int exits_restore(struct engine *engine, const struct order *order, struct error *err)
{
    if (order->role == ROLE_PLAIN) {
        if (is_protected_entry(order))
            follow_entry(engine, order, order->filled_qty);
        if (order->group_id != 0)
            pairs_restore(engine, order);
        return 0;
    }
    if (order->parent_order_id == 0)
        return error_set(err, ERROR_IO, "ledger: exit order %s has no entry",
                         order->client_order_id);
    struct protection *protection = find_protection(engine, order->parent_order_id);
    if (!protection) {
        protection = add_protection(engine);
        protection->entry_id = order->parent_order_id;
        protection->instance = instance_of_order(engine, order);
        protection->instrument = order->instrument;
        protection->side = order->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
        protection->stop_on = order->stop_on;
        memcpy(protection->tag, order->tag, sizeof(protection->tag));
    }
    if (order->role == ROLE_STOP) {
        protection->stop.order_id = order->order_id;
        protection->stop.price = order->trigger_price;
    } else {
        protection->take.order_id = order->order_id;
        protection->take.price = order->price;
    }
    /* The exits were sized to what was held: what remains of them is what is still protected. */
    decimal remaining = order_remaining(order);
    protection->entered_qty = decimal_max(protection->entered_qty, remaining);
    protection->exited_qty = decimal_sub(protection->entered_qty, remaining);
    return 0;
}
