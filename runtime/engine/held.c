/* held.c - orders that rest here because the venue cannot hold them, and the end of those whose
 * time in force it does not know.
 *
 * A held order is in the ledger like any other and is NEW for its strategy; the venue does not know
 * it. Each price of its instrument is compared with the bounds of struct held_watch: integers, and
 * nothing at all while nothing is held. Beyond a bound the orders are looked at one by one.
 *
 * What a stop watches (as the paper venue does): the last trade; with TRIGGER_QUOTE the side of the
 * quote that it would deal at; whichever of the two the market has when it lacks the other. There
 * is no feed of mark prices: TRIGGER_MARK watches the last trade. A take watches the quote it would
 * meet, and trades where there are no quotes. Where only bars come, a stop sees the adverse extreme
 * first.
 *
 * Invariants:
 *  1. Nothing is removed from the blotter's open list while guests or loops may walk it: an order
 *     that ends here is dropped from it when the turn is committed (held_settle).
 *  2. The bounds only widen until all orders were looked at: what a failed callback takes back is
 *     always inside them.
 *  3. A trailing stop's trigger is never loosened. It is recorded at most once a second while it
 *     moves and when it fires, so a crash loses at most one second of its way. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRAIL_RECORD_NS NS_PER_SECOND
#define EXPIRE_AGAIN_NS (10 * NS_PER_SECOND) /* a cancel that did not end it is asked again */

enum price_source { FROM_TRADE, FROM_QUOTE, FROM_BAR };
/* What the market says now: the price that each side would deal at, as mantissas. */
struct price_now {
    enum price_source source;
    int64_t buy, sell; /* quote: ask and bid; else the same */
    int64_t low, high; /* bar */
    int64_t bar_open_ns;
};

static const struct instrument *instrument_of(const struct engine *engine,
                                              const struct order *order)
{
    return &engine->instruments->list[order->instrument];
}

static const struct venue_abilities *abilities_of(const struct engine *engine, uint32_t instrument)
{
    return engine->options.venue.abilities(engine->options.venue.self, instrument);
}

/* ---- what the venue is told ---- */

bool held_is_stop(enum order_type type)
{
    return type == ORDER_STOP || type == ORDER_STOP_LIMIT || type == ORDER_TRAILING;
}

enum order_type held_fired_type(enum order_type type)
{
    return type == ORDER_STOP || type == ORDER_TRAILING ? ORDER_MARKET
           : type == ORDER_STOP_LIMIT                   ? ORDER_LIMIT
                                                        : type;
}

static bool takes_type(const struct venue_abilities *abilities, enum order_type type)
{
    return abilities->types & (1u << type);
}

static bool takes_tif(const struct venue_abilities *abilities, enum order_tif tif)
{
    return abilities->tifs & (1u << tif);
}

bool held_is_needed(const struct engine *engine, const struct order *order)
{
    return held_is_stop(order->type) &&
           !takes_type(abilities_of(engine, order->instrument), order->type);
}

bool held_is_linked(const struct engine *engine, const struct order *order)
{
    if (order->group_id == 0 || !abilities_of(engine, order->instrument)->oco)
        return false;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *other = blotter_open_at(engine->blotter, i);
        if (other->group_id == order->group_id && (other->held || held_is_needed(engine, other)))
            return false;
    }
    return !held_is_needed(engine, order);
}

const struct order *held_form(const struct engine *engine, const struct order *order,
                              struct order *form)
{
    const struct venue_abilities *abilities = abilities_of(engine, order->instrument);
    bool type = takes_type(abilities, order->type) &&
                (order->type != ORDER_MARKET || !decimal_valid(order->trigger_price));
    bool tif = takes_tif(abilities, order->tif);
    bool group = order->group_id == 0 || held_is_linked(engine, order);
    bool bound = order->type == ORDER_MARKET && decimal_valid(order->price);
    if (type && tif && group && !bound)
        return order;
    *form = *order;
    if (!type) {
        form->type = held_fired_type(order->type);
        form->trigger_price = form->trail = DECIMAL_NONE;
    }
    if (!tif && (order->tif == TIF_DAY || order->tif == TIF_GTD)) {
        form->tif = TIF_GTC;
        form->expires_ns = TIME_NEVER;
    }
    if (!group)
        form->group_id = 0;
    if (form->type == ORDER_MARKET && decimal_valid(form->price)) { /* at this price at worst */
        form->type = ORDER_LIMIT;
        form->tif = TIF_IOC;
    }
    return form;
}

/* ---- the price an order watches ---- */

static bool watches(const struct engine *engine, const struct order *order,
                    enum price_source source)
{
    bool has_trade = market_last(engine->market, order->instrument)->price != 0;
    bool has_quote = market_quote_now(engine->market, order->instrument) != NULL;
    bool prefers_quote = order->stop_on == TRIGGER_QUOTE || !held_is_stop(order->type);
    bool on_quote = prefers_quote ? has_quote : !has_trade;
    if (source == FROM_BAR)
        return !prefers_quote || !has_quote;
    return on_quote == (source == FROM_QUOTE);
}

/* The price that stands and that this order watches; false: none yet. */
static bool price_standing(const struct engine *engine, const struct order *order, int64_t *price)
{
    const struct quote_event *quote = market_quote_now(engine->market, order->instrument);
    *price = market_last(engine->market, order->instrument)->price;
    if (quote && watches(engine, order, FROM_QUOTE))
        *price = order->side == SIDE_BUY ? quote->ask : quote->bid;
    return *price != 0;
}

static decimal price_of(const struct engine *engine, const struct order *order, int64_t mantissa)
{
    return decimal_make(mantissa, instrument_of(engine, order)->price_scale);
}

/* What it waits for: the trigger of a stop, the limit of a take. */
static decimal bound_of(const struct order *order)
{
    return held_is_stop(order->type) ? order->trigger_price : order->price;
}

/* A buy stop and a take that sells wait for a price at or above. */
static bool waits_above(const struct order *order)
{
    return held_is_stop(order->type) == (order->side == SIDE_BUY);
}

static bool is_reached(const struct engine *engine, const struct order *order, int64_t mantissa)
{
    decimal bound = bound_of(order);
    if (!decimal_valid(bound))
        return false;
    int against = decimal_cmp(price_of(engine, order, mantissa), bound);
    return waits_above(order) ? against >= 0 : against <= 0;
}

bool held_is_through(const struct engine *engine, const struct order *order)
{
    int64_t price;
    return price_standing(engine, order, &price) && is_reached(engine, order, price);
}

/* ---- the bounds ---- */

/* The mantissa next to a price, rounded as asked; beyond int64 it is never reached. */
static int64_t mantissa_of(const struct engine *engine, const struct order *order, decimal price,
                           enum rounding rounding)
{
    int scale = instrument_of(engine, order)->price_scale;
    int64_t mantissa;
    if (decimal_mantissa(decimal_round(price, scale, rounding), scale, &mantissa) == 0)
        return mantissa;
    return decimal_valid(price) && decimal_sign(price) < 0 ? INT64_MIN : INT64_MAX;
}

static void widen(struct held_watch *watch, const struct order *order, int64_t low, int64_t high)
{
    int64_t *side_low = order->side == SIDE_BUY ? &watch->ask_low : &watch->bid_low;
    int64_t *side_high = order->side == SIDE_BUY ? &watch->ask_high : &watch->bid_high;
    watch->low = low > watch->low ? low : watch->low;
    watch->high = high < watch->high ? high : watch->high;
    *side_low = low > *side_low ? low : *side_low;
    *side_high = high < *side_high ? high : *side_high;
}

/* The price beyond which a trailing stop moves its trigger. */
static decimal best_of(const struct order *order)
{
    decimal one = decimal_int(1);
    bool buys = order->side == SIDE_BUY;
    if (!order->trail_is_share)
        return buys ? decimal_sub(order->trigger_price, order->trail)
                    : decimal_add(order->trigger_price, order->trail);
    return buys
               ? decimal_div(order->trigger_price, decimal_add(one, order->trail), 18,
                             ROUND_CEILING)
               : decimal_div(order->trigger_price, decimal_sub(one, order->trail), 18, ROUND_FLOOR);
}

void held_watch(struct engine *engine, const struct order *order)
{
    struct held_watch *watch = &engine->held[order->instrument];
    int64_t low = INT64_MIN, high = INT64_MAX;
    decimal bound = bound_of(order);
    if (!watch->armed)
        *watch = (struct held_watch){ .armed = true,
                                      .low = INT64_MIN,
                                      .high = INT64_MAX,
                                      .ask_low = INT64_MIN,
                                      .ask_high = INT64_MAX,
                                      .bid_low = INT64_MIN,
                                      .bid_high = INT64_MAX };
    if (!decimal_valid(bound)) { /* a trailing stop that waits for its first price */
        low = INT64_MAX;
    } else {
        if (waits_above(order))
            high = mantissa_of(engine, order, bound, ROUND_CEILING);
        else
            low = mantissa_of(engine, order, bound, ROUND_FLOOR);
        if (order->type == ORDER_TRAILING && order->side == SIDE_BUY)
            low = mantissa_of(engine, order, best_of(order), ROUND_CEILING) - 1;
        else if (order->type == ORDER_TRAILING)
            high = mantissa_of(engine, order, best_of(order), ROUND_FLOOR) + 1;
    }
    widen(watch, order, low, high);
}

static void rebuild_watch(struct engine *engine, uint32_t instrument)
{
    engine->held[instrument].armed = false;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        if (order->held && order->instrument == instrument)
            held_watch(engine, order);
    }
}

/* ---- trailing ---- */

/* Never nearer than a tick, rounded toward the price: the safe side of a stop. */
static decimal trail_from(const struct engine *engine, const struct order *order, decimal price)
{
    decimal tick = instrument_of(engine, order)->tick_size;
    decimal distance = order->trail_is_share ? decimal_mul(price, order->trail) : order->trail;
    distance = decimal_max(distance, tick);
    return order->side == SIDE_BUY
               ? decimal_to_multiple(decimal_add(price, distance), tick, ROUND_FLOOR)
               : decimal_to_multiple(decimal_sub(price, distance), tick, ROUND_CEILING);
}

static void follow_price(struct engine *engine, struct order *order, int64_t mantissa)
{
    decimal trigger = trail_from(engine, order, price_of(engine, order, mantissa));
    if (!decimal_valid(trigger) || decimal_sign(trigger) <= 0)
        return;
    if (decimal_valid(order->trigger_price)) {
        int against = decimal_cmp(trigger, order->trigger_price);
        if (order->side == SIDE_BUY ? against >= 0 : against <= 0)
            return;
    }
    order->trigger_price = trigger;
    order->updated_ns = engine->now_ns;
    if (engine->trails_due_ns == TIME_NEVER)
        engine->trails_due_ns = engine->now_ns + TRAIL_RECORD_NS;
}

bool held_trail_begin(struct engine *engine, struct order *order)
{
    int64_t price;
    if (order->type == ORDER_TRAILING && !decimal_valid(order->trigger_price) &&
        price_standing(engine, order, &price)) {
        order->trigger_price = trail_from(engine, order, price_of(engine, order, price));
        return decimal_valid(order->trigger_price) && decimal_sign(order->trigger_price) > 0;
    }
    return true;
}

static void record_trails(struct engine *engine)
{
    int64_t since_ns = engine->trails_due_ns - TRAIL_RECORD_NS;
    engine->trails_due_ns = TIME_NEVER;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (order->held && order->type == ORDER_TRAILING && order->updated_ns >= since_ns)
            turn_record_order(engine, order);
    }
}

/* ---- begin, change, end ---- */

static void tell(struct engine *engine, struct order *order)
{
    report_changed(engine, order);
}

void held_begin(struct engine *engine, struct order *order)
{
    order_hold(order, engine->now_ns);
    held_watch(engine, order);
    turn_command(engine, &(struct command){ .kind = COMMAND_HOLD, .order_id = order->order_id });
    tell(engine, order);
}

static void note_change(struct engine *engine, const struct order *order)
{
    turn_command(engine, &(struct command){ .kind = COMMAND_HELD_CHANGE,
                                            .order_id = order->order_id,
                                            .before = *order });
}

void held_amend(struct engine *engine, struct order *order, decimal qty, decimal price)
{
    note_change(engine, order);
    order->qty = qty;
    order->price = price;
    order->updated_ns = engine->now_ns;
    held_watch(engine, order);
    tell(engine, order);
}

void held_end(struct engine *engine, struct order *order, enum order_status status,
              const char *reason)
{
    note_change(engine, order);
    order_end_held(order, status, reason, engine->now_ns);
    tell(engine, order);
    if (status == ORDER_EXPIRED)
        engine->counts.expired++;
    else
        engine->counts.canceled++;
}

void held_settle(struct engine *engine, const struct command *command)
{
    struct order *order = blotter_find(engine->blotter, command->order_id);
    blotter_update(engine->blotter, order);
    rebuild_watch(engine, order->instrument);
    exits_follow(engine, &command->before, order, DECIMAL_ZERO);
    exits_sync(engine, instance_of_order(engine, order), order->instrument);
}

void held_release(struct engine *engine, struct order *order)
{
    order_release(order, engine->now_ns);
    guards_clear_way(engine, order);
    guards_sent(engine, order);
    tell(engine, order);
    turn_command(engine, &(struct command){ .kind = COMMAND_SUBMIT,
                                            .order_id = order->order_id,
                                            .keeps = order->reduce_only });
}

/* Ends an order that may not leave; a person is told, for it was wanted. */
static void refuse_release(struct engine *engine, struct order *order, const char *why)
{
    char text[REASON_MAX];
    snprintf(text, sizeof(text), "its trigger was reached, but it was not sent: %.100s", why);
    report_alert(engine, order, "trigger_refused", text);
    if (order->held) /* or the halt that it caused ended it */
        held_end(engine, order, ORDER_CANCELED, why);
}

void held_fire(struct engine *engine, struct order *order)
{
    char why[REASON_MAX] = "";
    if (!gate_may_leave(engine, order, why)) {
        refuse_release(engine, order, why);
        return;
    }
    if (takes_type(abilities_of(engine, order->instrument), order->type))
        order->type = held_fired_type(order->type); /* a native stop that was watched meanwhile */
    held_release(engine, order);
}

/* ---- prices ---- */

/* The price at which the order fires now, or 0. A bar's adverse extreme comes first; its range
 * counts only for orders that were there when it began. */
static bool is_hit(struct engine *engine, struct order *order, const struct price_now *now)
{
    bool trails = order->type == ORDER_TRAILING;
    if (now->source != FROM_BAR) {
        int64_t price = order->side == SIDE_BUY ? now->buy : now->sell;
        if (is_reached(engine, order, price))
            return true;
        if (trails)
            follow_price(engine, order, price);
        return false;
    }
    bool was_there = order->created_ns <= now->bar_open_ns;
    if (was_there && is_reached(engine, order, waits_above(order) ? now->high : now->low))
        return true;
    if (trails)
        follow_price(engine, order,
                     !was_there                ? now->buy
                     : order->side == SIDE_BUY ? now->low
                                               : now->high);
    return is_reached(engine, order, now->buy);
}

static void meet(struct engine *engine, uint32_t instrument, const struct price_now *now)
{
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (!order->held || order->instrument != instrument || !order_is_open(order) ||
            !watches(engine, order, now->source) || !is_hit(engine, order, now))
            continue;
        if (order->role == ROLE_PLAIN)
            held_fire(engine, order);
        else
            exits_reached(engine, order);
    }
    rebuild_watch(engine, instrument);
}

void held_meet_trade(struct engine *engine, uint32_t instrument, int64_t price)
{
    meet(engine, instrument,
         &(struct price_now){ .source = FROM_TRADE, .buy = price, .sell = price });
}

void held_meet_quote(struct engine *engine, uint32_t instrument, const struct quote_event *quote)
{
    meet(engine, instrument,
         &(struct price_now){ .source = FROM_QUOTE, .buy = quote->ask, .sell = quote->bid });
}

void held_meet_bar(struct engine *engine, uint32_t instrument, const struct bar_event *bar)
{
    meet(engine, instrument,
         &(struct price_now){ .source = FROM_BAR,
                              .buy = bar->close,
                              .sell = bar->close,
                              .low = bar->low,
                              .high = bar->high,
                              .bar_open_ns = bar->open_ns });
}

/* ---- time in force ---- */

int64_t held_expiry_ns(const struct engine *engine, const struct order *order)
{
    if (order->tif == TIF_GTD)
        return order->expires_ns;
    if (order->tif == TIF_DAY)
        return market_day_end(sessions_calendar(engine, order->instrument), order->created_ns);
    return TIME_NEVER;
}

static bool expires_here(const struct engine *engine, const struct order *order)
{
    return order->held || !takes_tif(abilities_of(engine, order->instrument), order->tif);
}

void held_note_expiry(struct engine *engine, const struct order *order)
{
    int64_t at_ns = held_expiry_ns(engine, order);
    if (at_ns == TIME_NEVER || !expires_here(engine, order))
        return;
    engine->expiries = memory_grow(engine->expiries, &engine->expiry_capacity,
                                   engine->expiry_count + 1, sizeof(struct expiry));
    engine->expiries[engine->expiry_count++] =
        (struct expiry){ .order_id = order->order_id,
                         .next_ns = at_ns,
                         .is_asked =
                             order->pending & PENDING_CANCEL && order->updated_ns >= at_ns };
    if (at_ns < engine->expiry_due_ns)
        engine->expiry_due_ns = at_ns;
}

static void expire(struct engine *engine, struct expiry *expiry, struct order *order)
{
    expiry->next_ns = engine->now_ns + EXPIRE_AGAIN_NS;
    if (order->held)
        held_end(engine, order, ORDER_EXPIRED, "expired");
    else if (expires_here(engine, order) && desk_cancel(engine, order))
        expiry->is_asked = true;
}

/* What is due is ended; what is over is forgotten. */
static void expire_due(struct engine *engine)
{
    size_t kept = 0;
    engine->expiry_due_ns = TIME_NEVER;
    for (size_t i = 0; i < engine->expiry_count; i++) {
        struct expiry expiry = engine->expiries[i];
        struct order *order = blotter_find(engine->blotter, expiry.order_id);
        if (!order || !order_is_open(order))
            continue;
        if (expiry.next_ns <= engine->now_ns)
            expire(engine, &expiry, order);
        if (expiry.next_ns < engine->expiry_due_ns)
            engine->expiry_due_ns = expiry.next_ns;
        engine->expiries[kept++] = expiry;
    }
    engine->expiry_count = kept;
}

void held_name_end(const struct engine *engine, const struct order *order, struct report *report)
{
    bool ends = report->kind == REPORT_CANCELED ||
                (report->kind == REPORT_STATUS && report->status == ORDER_CANCELED);
    for (size_t i = 0; ends && i < engine->expiry_count; i++) {
        if (engine->expiries[i].order_id != order->order_id || !engine->expiries[i].is_asked)
            continue;
        if (report->kind == REPORT_CANCELED)
            report->kind = REPORT_EXPIRED;
        report->status = ORDER_EXPIRED;
        text_copy(report->reason, sizeof(report->reason), "expired");
    }
}

int64_t held_due_ns(const struct engine *engine)
{
    int64_t due_ns = engine->expiry_due_ns < engine->trails_due_ns ? engine->expiry_due_ns
                                                                   : engine->trails_due_ns;
    return due_ns > engine->now_ns ? due_ns : engine->now_ns; /* slept through: now */
}

void held_advance(struct engine *engine)
{
    if (engine->expiry_due_ns <= engine->now_ns)
        expire_due(engine);
    if (engine->trails_due_ns <= engine->now_ns)
        record_trails(engine);
}

/* ---- a restart ---- */

void held_restore(struct engine *engine, const struct order *order)
{
    held_note_expiry(engine, order);
    if (!order->held)
        return;
    held_watch(engine, order);
    engine->slept++;
}

void held_awake(struct engine *engine)
{
    if (engine->slept > 0)
        LOG(engine->options.log, LOG_WARN, "orders",
            "emulated exits slept while the process was down",
            F_INT("orders", (int64_t)engine->slept));
    engine->slept = 0;
}
