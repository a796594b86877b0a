/* stops.c - risk.require_stop: a position that no working stop protects is given one.
 *
 * Looked at when a turn ends, so that a strategy's own stop comes first. What the policy placed
 * goes again when the position is flat, or when others protect it. It rests at the venue where that
 * can hold it, else here, like any stop. */
#include "runtime/engine/state.h"

#include <string.h>

#define POLICY_TAG "require_stop"
#define RETRY_NS (10 * NS_PER_SECOND) /* after one that was rejected, or whose change was */

static bool is_stop_of(const struct instance *instance, uint32_t instrument, enum order_side out,
                       const struct order *order)
{
    return order->instance_id == instance->instance_id && order->instrument == instrument &&
           order->side == out && order->reduce_only && held_is_stop(order->type) &&
           order_is_open(order);
}

static bool is_policy(const struct order *order)
{
    return order->role == ROLE_PLAIN && strcmp(order->tag, POLICY_TAG) == 0;
}

/* What protects one position: all stops together, the policy's own among them. */
struct cover {
    decimal qty;
    struct order *policy; /* the newest of them; NULL: none */
    bool waits;           /* it was rejected a moment ago */
};

static struct cover cover_of(struct engine *engine, int index, size_t k, enum order_side out)
{
    const struct instance *instance = &engine->instances[index];
    struct cover cover = { .qty = DECIMAL_ZERO };
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (!is_stop_of(instance, instance->instruments[k], out, order) ||
            order->pending & PENDING_CANCEL)
            continue;
        cover.qty = decimal_add(cover.qty, order_remaining(order));
        if (is_policy(order))
            cover.policy = order;
    }
    const struct order *last = blotter_find(engine->blotter, instance->holdings[k].policy_stop);
    cover.waits =
        last && last->known == ORDER_REJECTED && engine->now_ns < last->updated_ns + RETRY_NS;
    return cover;
}

/* So far from what it cost; of a tick's two sides the nearer one. */
static decimal trigger_of(const struct engine *engine, const struct position *position,
                          uint32_t instrument)
{
    const struct instrument *is = instrument_at(engine, instrument);
    decimal cost = position_avg_price(position, is->multiplier);
    decimal distance = decimal_mul(cost, engine->options.risk.stop_distance_pct);
    bool is_long = decimal_sign(position->qty) > 0;
    return decimal_to_multiple(is_long ? decimal_sub(cost, distance) : decimal_add(cost, distance),
                               is->tick_size, is_long ? ROUND_CEILING : ROUND_FLOOR);
}

static void place(struct engine *engine, int index, size_t k, enum order_side out, decimal qty)
{
    struct instance *instance = &engine->instances[index];
    struct holding *holding = &instance->holdings[k];
    decimal trigger = trigger_of(engine, &holding->position, instance->instruments[k]);
    if (decimal_sign(trigger) <= 0) /* of a price that cannot be told there is none either */
        return;
    struct order order;
    order_init(&order);
    order.instrument = instance->instruments[k];
    order.side = out;
    order.type = ORDER_STOP;
    order.tif = TIF_GTC;
    order.qty = qty;
    order.trigger_price = trigger;
    order.reduce_only = true;
    memcpy(order.tag, POLICY_TAG, sizeof(POLICY_TAG));
    holding->policy_stop = desk_place(engine, index, &order);
    LOG(engine->options.log, LOG_INFO, "risk", "a position without a stop is given one",
        F_STR("symbol", instrument_at(engine, order.instrument)->symbol), F_DEC("qty", qty),
        F_DEC("trigger", trigger));
}

/* One that rests grows, where it can: parts of an entry do not leave a row of small stops. */
static void protect(struct engine *engine, int index, size_t k, enum order_side out,
                    const struct cover *cover, decimal missing)
{
    struct order *policy = cover->policy;
    const struct venue_port *venue = &engine->options.venue;
    bool amends =
        policy && policy->known == ORDER_NEW && !policy->pending && !policy->doubt &&
        engine->now_ns >= engine->instances[index].holdings[k].policy_waits_ns &&
        (policy->held || venue->abilities(venue->self, policy->instrument)->amend != AMEND_NONE);
    if (amends)
        desk_amend(engine, policy, decimal_add(policy->qty, missing), DECIMAL_NONE);
    else if (!cover->waits)
        place(engine, index, k, out, missing);
}

/* Those of the policy that are not needed (any more). Reduce-only: a part too much does no harm.
 * One in doubt is not touched: a cancel that was refused because the order is gone would be refused
 * again, as fast as the venue answers. */
static void release(struct engine *engine, int index, size_t k, enum order_side out, decimal most)
{
    const struct instance *instance = &engine->instances[index];
    if (engine->now_ns < instance->holdings[k].policy_waits_ns)
        return;
    for (size_t i = blotter_open_count(engine->blotter); i-- > 0;) {
        struct order *order = blotter_open_at(engine->blotter, i);
        if (!is_stop_of(instance, instance->instruments[k], out, order) || !is_policy(order) ||
            order->pending & PENDING_CANCEL || order->doubt ||
            decimal_cmp(order_remaining(order), most) > 0)
            continue;
        most = decimal_sub(most, order_remaining(order));
        desk_cancel(engine, order);
    }
}

static void sync_holding(struct engine *engine, int index, size_t k)
{
    static const enum order_side sides[] = { SIDE_BUY, SIDE_SELL };
    decimal position = engine->instances[index].holdings[k].position.qty;
    for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
        enum order_side out = sides[i];
        decimal held =
            decimal_max(out == SIDE_SELL ? position : decimal_neg(position), DECIMAL_ZERO);
        struct cover cover = cover_of(engine, index, k, out);
        int over = decimal_cmp(cover.qty, held);
        if (over < 0)
            protect(engine, index, k, out, &cover, decimal_sub(held, cover.qty));
        else if (over > 0 && cover.policy)
            release(engine, index, k, out, decimal_sub(cover.qty, held));
    }
}

/* The venue keeps it as it is: asked again at once it would say the same. */
void stops_follow(struct engine *engine, const struct order *order, const struct report *report)
{
    bool refused = report->kind == REPORT_CANCEL_REJECT || report->kind == REPORT_REPLACE_REJECT;
    if (!refused || !is_policy(order))
        return;
    struct instance *instance = &engine->instances[instance_of_order(engine, order)];
    for (size_t k = 0; k < instance->instrument_count; k++)
        if (instance->instruments[k] == order->instrument)
            instance->holdings[k].policy_waits_ns = engine->now_ns + RETRY_NS;
}

void stops_sync(struct engine *engine)
{
    bool ends = engine->cancels_all || engine->closes_all ||
                (engine->is_stopping && engine->stopping == POLICY_FLATTEN);
    if (!engine->options.risk.require_stop || ends || !engine->is_connected)
        return;
    for (int i = 0; i < engine->instance_count; i++)
        for (size_t k = 0; i != engine->external && k < engine->instances[i].instrument_count; k++)
            sync_holding(engine, i, k);
}
