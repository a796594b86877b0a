/* exits.c - the stop and take of protected entries: placed with each fill, grown, shrunk, ended.
 *
 * One idea: after every report, compare what each protection wants with what rests, and ask for the
 * difference. Exits are ordinary reduce-only orders of one group and go through the same door.
 *
 * What a protection wants is the quantity its entry filled, less what its exits filled; all
 * protections together never want more than the position. When something else reduced the position,
 * the oldest protections give way first.
 *
 * Where they rest goes by what the venue can do:
 *
 *   links orders    both rest there
 *   holds stops     the stop rests there, the engine watches the take: when its price is there the
 *                   stop is canceled, then the take is sent (immediate or cancel, where the venue
 *                   knows that), and a stop rests again for what it did not fill
 *   neither         the engine watches both
 *
 * Invariants:
 *  1. Of two exits that nobody links at most one is at the venue: the other waits here, or is asked
 *     to go first.
 *  2. An order in doubt is not touched.
 *  3. What the strategy gave up is not wanted again, after a restart neither: its entry's record
 *     says so. */
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
    protection->stop = protection->take = (struct exit_leg){
        .price = DECIMAL_NONE, .asked = DECIMAL_NONE, .refused = DECIMAL_NONE, .told = DECIMAL_NONE
    };
    protection->entered_qty = protection->exited_qty = DECIMAL_ZERO;
    return protection;
}

static bool is_protected_entry(const struct order *order)
{
    return order->role == ROLE_PLAIN && (decimal_valid(order->stop) || decimal_valid(order->take));
}

/* Only what fills is protected: a message repeated after the exits did their work begins nothing.
 */
/* A bust or correction took back what the exits were to sell. */
static void follow_bust(struct protection *protection, decimal taken_back)
{
    protection->entered_qty =
        decimal_max(decimal_sub(protection->entered_qty, taken_back), DECIMAL_ZERO);
}

static void follow_entry(struct engine *engine, const struct order *before,
                         const struct order *order, decimal booked_qty)
{
    struct protection *protection = find_protection(engine, order->order_id);
    decimal taken_back = decimal_sub(before->filled_qty, order->filled_qty);
    if (protection && decimal_sign(taken_back) > 0)
        follow_bust(protection, taken_back);
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

/* ---- what the venue can do ---- */

struct ways {
    bool linked; /* both exits rest there: a fill of one reduces the other */
    bool stops;  /* it holds stops */
    bool amends;
    bool new_first; /* a grown exit may rest before the old one is gone */
};

static struct ways ways_of(const struct engine *engine, uint32_t instrument)
{
    const struct venue_port *venue = &engine->options.venue;
    const struct venue_abilities *abilities = venue->abilities(venue->self, instrument);
    bool stops = abilities->types & (1u << ORDER_STOP);
    return (struct ways){ .linked = abilities->oco && stops,
                          .stops = stops,
                          .amends = abilities->amend != AMEND_NONE,
                          .new_first = !abilities->cash_is_spot };
}

static struct order *open_order(const struct engine *engine, uint64_t order_id)
{
    struct order *order = order_id ? blotter_find(engine->blotter, order_id) : NULL;
    return order && order_is_open(order) ? order : NULL;
}

/* The order when it is at the venue, or on its way there or back. */
static struct order *order_there(const struct engine *engine, uint64_t order_id)
{
    struct order *order = open_order(engine, order_id);
    return order && !order->held ? order : NULL;
}

/* ---- what became of what was asked ---- */

static bool is_change_refused(const struct exit_leg *leg, const struct order *before,
                              const struct order *order)
{
    return before->pending && !order->pending && order_is_open(order) && !order->doubt &&
           decimal_valid(leg->asked) && decimal_cmp(order_remaining(order), leg->asked) != 0;
}

static void note_refusal(struct engine *engine, int instance, struct exit_leg *leg,
                         const struct order *order)
{
    bool again = decimal_valid(leg->told) && decimal_cmp(leg->told, leg->asked) == 0;
    leg->refused = leg->told = leg->asked;
    char text[REASON_MAX];
    snprintf(text, sizeof(text), "order %s: the venue does not change this exit",
             order->client_order_id);
    if (!again)
        turn_alert(engine, instance, "exit_refused", text);
}

/* Nothing more of this exit: neither for what the entry fills from now on, nor after a restart,
 * when its record is all that is known. */
static void give_up_leg(struct engine *engine, const struct order *order)
{
    struct order *entry = open_order(engine, order->parent_order_id);
    if (!entry)
        return;
    turn_command(engine, &(struct command){ .kind = COMMAND_HELD_CHANGE,
                                            .order_id = entry->order_id,
                                            .before = *entry });
    *(order->role == ROLE_STOP ? &entry->stop : &entry->take) = DECIMAL_NONE;
    entry->updated_ns = engine->now_ns;
    turn_record_order(engine, entry);
}

void exits_abandon(struct engine *engine, struct order *order)
{
    if (order->role == ROLE_PLAIN || !order_is_open(order) || order->pending & PENDING_CANCEL)
        return;
    order->wanted_qty = DECIMAL_NONE;
    give_up_leg(engine, order);
}

/* Venues refuse a stop that would trigger at once: it is wanted at once. */
static bool is_late_stop(const struct engine *engine, const struct order *order)
{
    return order->role == ROLE_STOP && order->type == ORDER_STOP && held_is_through(engine, order);
}

static void follow_rejection(struct engine *engine, struct exit_leg *leg, const struct order *order)
{
    if (is_late_stop(engine, order)) {
        leg->at_market = true;
    } else if (!open_order(engine, leg->old_id)) { /* else the old one stays */
        leg->price = DECIMAL_NONE;                 /* alerted: not repeated */
        give_up_leg(engine, order);
    }
}

/* What became of a change that was asked for, by us or by the guest. */
static void follow_leg(struct engine *engine, int instance, struct exit_leg *leg,
                       const struct order *before, const struct order *order)
{
    bool was_asked = before->pending & PENDING_CANCEL || before->held;
    bool guest_canceled =
        order->known == ORDER_CANCELED && order_is_open(before) && was_asked && !leg->canceling;
    if (guest_canceled)
        leg->price = DECIMAL_NONE; /* wanted */
    else if (order->known == ORDER_REJECTED && before->known != ORDER_REJECTED)
        follow_rejection(engine, leg, order);
    else if (is_change_refused(leg, before, order))
        note_refusal(engine, instance, leg, order);
    if (!order->pending)
        leg->canceling = false;
    if (order->role == ROLE_TAKE && decimal_valid(leg->price) && order_is_open(order))
        leg->price = order->price; /* the guest may have moved it */
}

/* The venue keeps an exit that was to go: then the one in its place goes. */
static void follow_old(struct engine *engine, int instance, struct exit_leg *leg,
                       const struct order *before, const struct order *order)
{
    if (!before->pending || order->pending || order->doubt || !order_is_open(order))
        return;
    note_refusal(engine, instance, leg, order);
    struct order *instead = open_order(engine, leg->order_id);
    if (instead)
        desk_cancel(engine, instead);
    leg->order_id = leg->old_id;
    leg->old_id = 0;
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
    else if (leg->old_id == order->order_id)
        follow_old(engine, protection->instance, leg, before, order);
    if (decimal_is_zero(booked_qty))
        return;
    protection->exited_qty = decimal_add(protection->exited_qty, booked_qty);
    /* Of one that had ended the venue may think otherwise. */
    if (order_is_open(before) && ways_of(engine, order->instrument).linked)
        engine->filled_exit = order->order_id;
}

void exits_follow(struct engine *engine, const struct order *before, const struct order *order,
                  decimal booked_qty)
{
    if (order->role != ROLE_PLAIN)
        follow_exit(engine, before, order, booked_qty);
    else if (is_protected_entry(order))
        follow_entry(engine, before, order, booked_qty);
    if (order->role == ROLE_PLAIN && order->group_id != 0)
        pairs_follow(engine, before, order, booked_qty);
}

static decimal protected_qty(const struct protection *protection)
{
    return decimal_max(decimal_sub(protection->entered_qty, protection->exited_qty), DECIMAL_ZERO);
}

/* ---- placed, changed, moved between here and the venue ---- */

static struct exit_leg *leg_of(struct protection *protection, enum order_role role)
{
    return role == ROLE_STOP ? &protection->stop : &protection->take;
}

static uint64_t place_exit(struct engine *engine, const struct protection *protection,
                           enum order_role role, struct exit_leg *leg, decimal qty, bool here)
{
    struct order order;
    order_init(&order);
    order.instrument = protection->instrument;
    order.side = protection->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    order.type = role == ROLE_STOP ? ORDER_STOP : ORDER_LIMIT;
    order.stop_on = protection->stop_on;
    order.qty = qty;
    order.price = role == ROLE_TAKE ? leg->price : DECIMAL_NONE;
    order.trigger_price = role == ROLE_STOP ? leg->price : DECIMAL_NONE;
    order.reduce_only = true;
    order.held = here;
    order.role = role;
    order.parent_order_id = protection->entry_id;
    order.group_id = protection->entry_id;
    memcpy(order.tag, protection->tag, sizeof(order.tag));
    bool linked = ways_of(engine, protection->instrument).linked;
    bool late = !here && !linked && role == ROLE_STOP && held_is_through(engine, &order);
    if (leg->at_market || late) { /* its trigger stays in the record: it is where the exit was */
        order.type = ORDER_MARKET;
        order.held = false;
    }
    leg->at_market = false;
    leg->refused = DECIMAL_NONE;
    return desk_place(engine, protection->instance, &order);
}

/* At a venue that changes no order another takes its place. Where it may, a larger one rests before
 * the old one goes; else the old one goes first, and the new one is watched here meanwhile. */
static void replace_exit(struct engine *engine, struct protection *protection, enum order_role role,
                         struct exit_leg *leg, struct order *order, decimal want)
{
    bool grows = decimal_cmp(want, order_remaining(order)) > 0;
    bool here = !grows || !ways_of(engine, protection->instrument).new_first;
    leg->old_id = leg->order_id;
    leg->order_id = place_exit(engine, protection, role, leg, want, here);
    if (here)
        desk_cancel(engine, order);
}

/* Asks for `want` to be left of a resting exit. What was refused is not asked for again: the answer
 * would be the same, and come back here. */
static void change_exit(struct engine *engine, struct protection *protection, enum order_role role,
                        struct exit_leg *leg, struct order *order, decimal want)
{
    struct ways ways = ways_of(engine, order->instrument);
    if (decimal_cmp(order_remaining(order), want) == 0 ||
        (decimal_valid(leg->refused) && decimal_cmp(leg->refused, want) == 0))
        return;
    leg->asked = want;
    leg->refused = DECIMAL_NONE;
    leg->canceling = decimal_is_zero(want) || (!order->held && !ways.amends && ways.linked);
    if (leg->canceling) /* a linked one is placed anew when it is gone */
        desk_cancel(engine, order);
    else if (order->held || ways.amends)
        desk_amend(engine, order, decimal_add(order->filled_qty, want), DECIMAL_NONE);
    else if (decimal_valid(leg->price))
        replace_exit(engine, protection, role, leg, order, want);
}

/* The one that is to go: true while it is there. */
static bool sync_old(struct engine *engine, struct exit_leg *leg)
{
    struct order *old = open_order(engine, leg->old_id);
    struct order *order = open_order(engine, leg->order_id);
    if (!old) {
        leg->old_id = 0;
        return false;
    }
    if (!order) { /* refused, or filled first: the old one is what there is */
        const struct order *ended = blotter_find(engine->blotter, leg->order_id);
        if (ended && ended->known == ORDER_REJECTED)
            leg->refused = leg->asked;
        leg->order_id = leg->old_id;
        leg->old_id = 0;
        leg->canceling = old->pending & PENDING_CANCEL;
        return false;
    }
    if (order->known != ORDER_PENDING_NEW && !order->doubt && !old->pending && !old->doubt)
        desk_cancel(engine, old);
    return true;
}

/* Notes in the order what is wanted of it, so that a restart knows. True: it is news. An exit that
 * the guest is canceling is wanted no more. */
static bool wish(const struct exit_leg *leg, struct order *order, decimal want)
{
    if (order->pending & PENDING_CANCEL && !leg->canceling)
        return false;
    decimal wanted = decimal_valid(order->wanted_qty) ? order->wanted_qty : order_remaining(order);
    if (decimal_cmp(wanted, want) == 0)
        return false;
    bool is_so = decimal_cmp(order_remaining(order), want) == 0;
    bool canceled = order->pending & PENDING_CANCEL; /* by us: a wish tells it from the guest's */
    order->wanted_qty = is_so && !canceled ? DECIMAL_NONE : want;
    return true;
}

/* It fills now: whatever is asked of it comes too late, and what it sells too much is closed. */
static bool is_at_market(const struct engine *engine, const struct order *order)
{
    if (order->held)
        return false;
    return order->type == ORDER_MARKET ||
           (held_is_needed(engine, order) && held_fired_type(order->type) == ORDER_MARKET);
}

/* Brings one exit to rest, here or at the venue, with `want` left to fill: placed, resized, or
 * canceled. One change at a time: while one is under way the next waits for its answer, which comes
 * here again. An exit that the venue ended by itself is placed again. */
static void sync_exit(struct engine *engine, struct protection *protection, enum order_role role,
                      decimal want, bool here)
{
    struct exit_leg *leg = leg_of(protection, role);
    bool old_is_there = sync_old(engine, leg);
    struct order *order = open_order(engine, leg->order_id);
    if (order) {
        bool is_news = wish(leg, order, want);
        size_t records = engine->record_count;
        if (!order->pending && !order->doubt && order->known != ORDER_PENDING_NEW &&
            (!old_is_there || order->held) && !is_at_market(engine, order))
            change_exit(engine, protection, role, leg, order, want);
        if (is_news && engine->record_count == records)
            turn_record_order(engine, order);
        bool may_go = order->held && !old_is_there && !here && order_is_open(order);
        if (may_go && decimal_cmp(order_remaining(order), want) == 0)
            held_release(engine, order);
        return;
    }
    if (decimal_valid(leg->price) && decimal_sign(want) > 0)
        leg->order_id = place_exit(engine, protection, role, leg, want, here);
}

/* ---- prices that were reached ---- */

/* True while an order that could fill beside the one that fires is at the venue; it is asked to go.
 */
static bool is_in_the_way(struct engine *engine, struct exit_leg *leg, uint64_t order_id)
{
    struct order *order = order_there(engine, order_id);
    if (!order)
        return false;
    if (!order->doubt && !(order->pending & PENDING_CANCEL)) {
        leg->asked = DECIMAL_ZERO;
        leg->canceling = true;
        if (!decimal_valid(order->wanted_qty))
            order->wanted_qty = order_remaining(order); /* ours: it is to rest again */
        desk_cancel(engine, order);
    }
    return true;
}

/* An exit that the engine watched leaves for the venue when nothing of the other is left there. */
static void advance_firing(struct engine *engine, struct protection *protection)
{
    struct exit_leg *leg = leg_of(protection, protection->firing);
    struct exit_leg *other =
        leg_of(protection, protection->firing == ROLE_STOP ? ROLE_TAKE : ROLE_STOP);
    struct order *order = open_order(engine, leg->order_id);
    if (!order || !order->held) {
        protection->firing = ROLE_PLAIN;
        return;
    }
    bool waits = is_in_the_way(engine, other, other->order_id);
    waits |= is_in_the_way(engine, other, other->old_id);
    waits |= is_in_the_way(engine, leg, leg->old_id);
    if (waits)
        return;
    protection->firing = ROLE_PLAIN;
    const struct venue_port *venue = &engine->options.venue;
    bool ioc = venue->abilities(venue->self, order->instrument)->tifs & (1u << TIF_IOC);
    if (order->role == ROLE_TAKE && ioc)
        order->tif = TIF_IOC; /* what does not fill at once is watched again, and the stop rests */
    leg->canceling = true;    /* should it not be allowed to leave */
    held_fire(engine, order);
    leg->canceling = false;
}

void exits_reached(struct engine *engine, struct order *order)
{
    struct protection *protection = find_protection(engine, order->parent_order_id);
    if (!protection || leg_of(protection, order->role)->order_id != order->order_id)
        return;
    if (protection->firing == ROLE_STOP && order->role == ROLE_TAKE)
        return; /* getting out comes first */
    protection->firing = order->role;
    exits_sync(engine, protection->instance, protection->instrument);
}

/* Whether the engine watches an exit, and why: where the venue links both they rest there. Else the
 * take waits here while a stop rests there, and the stop waits here where the venue holds none or
 * while the take is at work. */
static bool is_watched(const struct engine *engine, const struct protection *protection,
                       enum order_role role)
{
    struct ways ways = ways_of(engine, protection->instrument);
    const struct exit_leg *stop = &protection->stop, *take = &protection->take;
    if (ways.linked)
        return false;
    if (role == ROLE_TAKE)
        return decimal_valid(stop->price) || open_order(engine, stop->order_id);
    return !ways.stops || protection->firing != ROLE_PLAIN || order_there(engine, take->order_id);
}

/* The exit that filled in this turn reduces this one at the venue, to what is wanted: asking too
 * would only race it. When it filled whole the venue ends the others, whatever is wanted now. */
static bool is_reduced_there(const struct engine *engine, struct protection *protection,
                             enum order_role role, decimal want)
{
    const struct order *filled =
        engine->filled_exit ? blotter_find(engine->blotter, engine->filled_exit) : NULL;
    if (!filled || filled->parent_order_id != protection->entry_id)
        return false;
    if (!order_is_open(filled))
        return true;
    const struct order *order = open_order(engine, leg_of(protection, role)->order_id);
    return order && order != filled &&
           decimal_cmp(decimal_min(order_remaining(order), order_remaining(filled)), want) == 0;
}

static void sync_protection(struct engine *engine, struct protection *protection, decimal want)
{
    static const enum order_role roles[] = { ROLE_STOP, ROLE_TAKE };
    for (size_t i = 0; i < ARRAY_SIZE(roles); i++)
        if (!is_reduced_there(engine, protection, roles[i], want))
            sync_exit(engine, protection, roles[i], want, is_watched(engine, protection, roles[i]));
    if (protection->firing != ROLE_PLAIN)
        advance_firing(engine, protection);
}

static bool entry_is_open(const struct engine *engine, const struct protection *protection)
{
    const struct order *entry = blotter_find(engine->blotter, protection->entry_id);
    return entry && order_is_open(entry);
}

static bool exit_is_open(const struct engine *engine, const struct exit_leg *leg)
{
    return open_order(engine, leg->order_id) || open_order(engine, leg->old_id);
}

static bool is_over(const struct engine *engine, const struct protection *protection, decimal want)
{
    return decimal_is_zero(want) && !entry_is_open(engine, protection) &&
           !exit_is_open(engine, &protection->stop) && !exit_is_open(engine, &protection->take);
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
        sync_protection(engine, protection, want);
        if (is_over(engine, protection, want))
            forget_protection(engine, i);
    }
}

static bool is_known_exit(const struct engine *engine, const struct order *order)
{
    for (size_t i = 0; i < engine->protection_count; i++) {
        const struct exit_leg *legs[] = { &engine->protections[i].stop,
                                          &engine->protections[i].take };
        for (size_t k = 0; k < ARRAY_SIZE(legs); k++)
            if (legs[k]->order_id == order->order_id || legs[k]->old_id == order->order_id)
                return true;
    }
    return false;
}

/* Exits that others took the place of, and whose cancel was refused. */
static void cancel_superseded(struct engine *engine)
{
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->role != ROLE_PLAIN && !order->pending && !order->doubt &&
            order->known != ORDER_PENDING_NEW && !is_known_exit(engine, order))
            desk_cancel(engine, order);
    }
}

/* What was refused for a moment (a line that was down, a limit of requests) is asked for again, but
 * not at once: when the books were compared. */
void exits_try_again(struct engine *engine)
{
    cancel_superseded(engine);
    for (size_t i = 0; i < engine->protection_count; i++) {
        struct protection *protection = &engine->protections[i];
        protection->stop.refused = protection->take.refused = DECIMAL_NONE;
    }
}

/* ---- a restart ---- */

static struct protection *restore_protection(struct engine *engine, const struct order *order)
{
    struct protection *protection = find_protection(engine, order->parent_order_id);
    if (protection)
        return protection;
    protection = add_protection(engine);
    protection->entry_id = order->parent_order_id;
    protection->instance = instance_of_order(engine, order);
    protection->instrument = order->instrument;
    protection->side = order->side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
    protection->stop_on = order->stop_on;
    memcpy(protection->tag, order->tag, sizeof(protection->tag));
    return protection;
}

/* Of two of a kind the older one is to go. What an open entry does not want any more is not placed
 * again, nor what was being canceled without a wish of ours. */
static void restore_leg(struct protection *protection, const struct order *order)
{
    struct exit_leg *leg = leg_of(protection, order->role);
    bool canceled = order->pending & PENDING_CANCEL;
    leg->old_id = leg->order_id;
    leg->order_id = order->order_id;
    leg->canceling = canceled && decimal_valid(order->wanted_qty);
    if (protection->is_entry_known && !decimal_valid(leg->price))
        return;
    leg->price = order->role == ROLE_STOP ? order->trigger_price : order->price;
    if (canceled && !leg->canceling)
        leg->price = DECIMAL_NONE;
}

/* Its wish is the newest word on what is still protected: it is written whenever it changes. */
static void restore_size(struct protection *protection, const struct order *order)
{
    decimal left = decimal_valid(order->wanted_qty) ? order->wanted_qty : order_remaining(order);
    protection->entered_qty = decimal_max(protection->entered_qty, left);
    protection->exited_qty = decimal_sub(protection->entered_qty, left);
}

int exits_restore(struct engine *engine, const struct order *order, struct error *err)
{
    if (order->role == ROLE_PLAIN) {
        if (is_protected_entry(order))
            follow_entry(engine, order, order, order->filled_qty);
        struct protection *protection = find_protection(engine, order->order_id);
        if (protection)
            protection->is_entry_known = true;
        if (order->group_id != 0)
            pairs_restore(engine, order);
        return 0;
    }
    if (order->parent_order_id == 0)
        return error_set(err, ERROR_IO, "ledger: exit order %s has no entry",
                         order->client_order_id);
    struct protection *protection = restore_protection(engine, order);
    restore_leg(protection, order);
    restore_size(protection, order);
    return 0;
}
