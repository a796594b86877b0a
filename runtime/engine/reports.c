/* reports.c - a venue's word on one of our orders: order, position, cash, trips, and who is told.
 */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

static void tell_order(struct engine *engine, enum guest_call call, int instance,
                       const struct order *order, const struct fill *fill)
{
    struct delivery *delivery = turn_deliver(engine, call, instance, order->instrument);
    delivery->order = *order;
    if (fill)
        delivery->fill = *fill;
}

static void alert_order(struct engine *engine, int instance, const struct order *order,
                        const char *kind, const char *what)
{
    char text[REASON_MAX];
    snprintf(text, sizeof(text), "order %s: %.120s", order->client_order_id, what);
    turn_alert(engine, instance, kind, text);
}

/* Something about this order cannot be: no new risk in its instrument until a clean reconciliation.
 */
static void halt_for(struct engine *engine, const struct order *order, const char *code,
                     const char *why)
{
    char text[REASON_MAX];
    snprintf(text, sizeof(text), "order %s: %.120s", order->client_order_id, why);
    halts_instrument(engine, order->instrument, code, text);
    reconcile_soon(engine);
}

/* reduce_only means our own book and is enforced by us. Where the venue does not, two exits may
 * race and both fill: what went past zero is closed again. */
static void check_reduce_only(struct engine *engine, int instance, const struct order *order,
                              decimal qty_before, decimal qty)
{
    decimal reducible =
        decimal_max(order->side == SIDE_BUY ? decimal_neg(qty_before) : qty_before, DECIMAL_ZERO);
    if (!order->reduce_only || decimal_cmp(qty, reducible) <= 0)
        return;
    alert_order(engine, instance, order,
                order->group_id ? "oco_both_filled" : "reduce_only_overfill",
                "a reduce-only order opened a position; it is closed");
    targets_flatten(engine, instance, order->instrument, decimal_sub(qty, reducible));
}

/* An entry that was quicker than its cancel, or a flip that was: closed like what was held before.
 */
static void close_late(struct engine *engine, int index, uint32_t instrument)
{
    const struct instance *instance = &engine->instances[index];
    bool closes =
        engine->closes_all || (engine->is_stopping && engine->stopping == POLICY_FLATTEN) ||
        (instance->guest.self && !instance->alive && instance->on_error == POLICY_FLATTEN);
    if (closes)
        targets_flatten(engine, index, instrument,
                        decimal_abs(instance_holding(engine, index, instrument)->position.qty));
}

/* All that one report took back, as one fill. */
static struct fill taken_back(const struct order_outcome *outcome)
{
    struct fill all = outcome->fills[0];
    for (size_t i = 1; i + 1 < outcome->fill_count; i++) {
        const struct fill *fill = &outcome->fills[i];
        all.qty = decimal_add(all.qty, fill->qty);
        all.notional = decimal_add(all.notional, fill->notional);
        all.fee = decimal_add(all.fee, fill->fee);
        all.price = decimal_div(all.notional, all.qty, 18, ROUND_HALF_EVEN);
    }
    return all;
}

/* The trip of what is new: of a correction the part that was known changes its worth only. */
static void book_trip(struct engine *engine, int instance, const struct order *order,
                      const struct order_outcome *outcome, decimal qty_before)
{
    struct holding *holding = instance_holding(engine, instance, order->instrument);
    decimal multiplier = engine->instruments->list[order->instrument].multiplier;
    const struct fill *last = &outcome->fills[outcome->fill_count - 1];
    struct fill rest = *last;
    if (outcome->fill_count > 1) {
        const struct fill was = taken_back(outcome);
        decimal known = decimal_min(was.qty, last->qty);
        trip_correct(&holding->trip, order->side, &was, last, known, multiplier);
        bool more = decimal_cmp(last->qty, was.qty) > 0;
        rest = more ? *last : was;
        rest.qty = decimal_sub(rest.qty, known);
        rest.notional = decimal_sub(rest.notional, decimal_mul(known, rest.price));
        rest.fee = DECIMAL_ZERO; /* told with the correction */
    }
    if (decimal_is_zero(rest.qty))
        return;
    struct trip done;
    if (trip_apply(&holding->trip, qty_before, fill_side(order->side, &rest), &rest, multiplier,
                   order->tag, engine->now_ns, engine->instances[instance].bars_seen, &done)) {
        turn_record(engine, RECORD_TRIP, instance, order->instrument)->trip = done;
        totals_trip(engine, &done);
    }
}

/* Position, trip and figures of what was booked. A sum that does not fit halts the instrument: the
 * order has it, the position cannot. */
static void book_fills(struct engine *engine, int instance, const struct order *order,
                       const struct order_outcome *outcome, bool first_of_order)
{
    struct holding *holding = instance_holding(engine, instance, order->instrument);
    decimal multiplier = engine->instruments->list[order->instrument].multiplier;
    decimal qty_before = holding->position.qty;
    for (size_t i = 0; i < outcome->fill_count; i++) {
        const struct fill *fill = &outcome->fills[i];
        struct record *record = turn_record(engine, RECORD_FILL, instance, order->instrument);
        record->order = *order;
        record->fill = *fill;
        struct error err = { 0 };
        if (position_apply(&holding->position, fill_side(order->side, fill), fill, multiplier, NULL,
                           &err) < 0) {
            halt_for(engine, order, "range", err.message);
            return;
        }
        exposure_follow_position(engine, instance, order->instrument);
        totals_fill(engine, order, fill, first_of_order);
        if (fill->kind != FILL_REVERSAL)
            guards_fill(engine, instance, order->instrument);
    }
    engine->bookings += decimal_cmp(holding->position.qty, qty_before) != 0;
    turn_record(engine, RECORD_POSITION, instance, order->instrument)->position = holding->position;
    book_trip(engine, instance, order, outcome, qty_before);
    if (decimal_sign(outcome->news) > 0)
        check_reduce_only(engine, instance, order, qty_before, outcome->news);
    if (decimal_sign(outcome->news) > 0 && !order->reduce_only)
        close_late(engine, instance, order->instrument);
}

static void count_end(struct engine *engine, const struct order *order)
{
    switch (order_status(order)) {
    case ORDER_FILLED:
        engine->counts.filled++;
        break;
    case ORDER_CANCELED:
        engine->counts.canceled++;
        break;
    case ORDER_REJECTED:
        engine->counts.rejected++;
        break;
    case ORDER_EXPIRED:
        engine->counts.expired++;
        break;
    default:
        break;
    }
}

static void log_report(struct engine *engine, const struct order *order,
                       const struct report *report, enum log_level level, const char *message)
{
    LOG(engine->options.log, level, "orders", message,
        F_STR("symbol", engine->instruments->list[order->instrument].symbol),
        F_STR("client_order_id", order->client_order_id),
        F_STR("report", report_kind_name(report->kind)),
        F_STR("status", order_status_name(order_status(order))), F_STR("reason", report->reason));
}

static void log_fill(struct engine *engine, const struct order *order, const struct fill *fill)
{
    LOG(engine->options.log, LOG_INFO, "orders", "fill",
        F_STR("symbol", engine->instruments->list[order->instrument].symbol),
        F_STR("side", order_side_name(order->side)), F_DEC("qty", fill->qty),
        F_DEC("price", fill->price), F_DEC("fee", fill->fee), F_STR("tag", order->tag),
        F_STR("status", order_status_name(order_status(order))),
        F_STR("client_order_id", order->client_order_id));
}

/* What changed is recorded and told; the order of callbacks is on_order, on_fill, on_position,
 * on_reject. A correction is no fill: the strategy sees it in its position. */
static void record_change(struct engine *engine, int instance, struct order *order,
                          const struct report *report, const struct order_outcome *outcome,
                          bool first_fill)
{
    turn_record_order(engine, order);
    tell_order(engine, GUEST_ORDER, instance, order, NULL);
    if (outcome->fill_count > 0) {
        struct fill news = outcome->fills[outcome->fill_count - 1];
        log_fill(engine, order, &news);
        book_fills(engine, instance, order, outcome, first_fill);
        if (decimal_sign(outcome->news) > 0) {
            news.qty = outcome->news;
            tell_order(engine, GUEST_FILL, instance, order, &news);
        }
        tell_order(engine, GUEST_POSITION, instance, order, NULL);
    }
    if (order->known != ORDER_REJECTED || report->kind == REPORT_FILL)
        return;
    tell_order(engine, GUEST_REJECT, instance, order, NULL);
    if (order->role != ROLE_PLAIN)
        alert_order(engine, instance, order, "exit_rejected",
                    "an exit was rejected; the position is less protected");
}

/* Of orders that a venue holds together it changes one when another fills: that is no news. */
static bool is_expected(const struct order *order, const struct report *report)
{
    return report->kind == REPORT_RESTATED && order->group_id != 0;
}

/* The venue refused a request for their number alone. */
static bool is_rate_limited(const struct report *report)
{
    bool refuses = report->kind == REPORT_REJECTED || report->kind == REPORT_CANCEL_REJECT ||
                   report->kind == REPORT_REPLACE_REJECT;
    return refuses &&
           (strcasestr(report->reason, "rate limit") ||
            strcasestr(report->reason, "too many requests") || strstr(report->reason, "429"));
}

static void act_on(struct engine *engine, int instance, const struct order *order,
                   const struct report *report, const struct order_outcome *outcome, int change)
{
    if (change & ORDER_COUNTED) {
        engine->counts.illegal_reports++;
        log_report(engine, order, report, LOG_WARN, "report refused");
    }
    if (change & ORDER_ALERT && !is_expected(order, report)) {
        char text[96];
        snprintf(text, sizeof(text), "%s in status %s", report_kind_name(report->kind),
                 order_status_name(order_status(order)));
        alert_order(engine, instance, order, outcome->alert, text);
    }
    if (change & ORDER_REVIVED)
        desk_send_cancel(engine, order);
    if (is_rate_limited(report)) {
        alert_order(engine, instance, order, "rate_limited", report->reason);
        guards_slow_down(engine, order->instrument, 0, report->reason);
    }
    if (change & ORDER_COUNTED && outcome->alert) /* about a trade we do not know */
        reconcile_soon(engine);
    if (change & ORDER_SUSPECT)
        halt_for(engine, order, order->known == ORDER_REJECTED ? "late_fill" : "overfill",
                 "a fill after rejection or beyond its quantity");
}

void report_alert(struct engine *engine, const struct order *order, const char *kind,
                  const char *what)
{
    alert_order(engine, instance_of_order(engine, order), order, kind, what);
}

void report_changed(struct engine *engine, struct order *order)
{
    turn_record_order(engine, order);
    tell_order(engine, GUEST_ORDER, instance_of_order(engine, order), order, NULL);
}

void report_ended(struct engine *engine, struct order *order)
{
    const struct order before = *order;
    int instance = instance_of_order(engine, order);
    report_changed(engine, order);
    if (order->known == ORDER_REJECTED)
        tell_order(engine, GUEST_REJECT, instance, order, NULL);
    count_end(engine, order);
    blotter_update(engine->blotter, order);
    doubt_follow(engine, order, &(struct report){ .kind = REPORT_CANCELED }, ORDER_CHANGED);
    exits_follow(engine, &before, order, DECIMAL_ZERO);
    exits_sync(engine, instance, order->instrument);
}

static bool is_busted_early(const struct engine *engine, uint32_t instrument, const char *exec_id)
{
    for (size_t i = 0; i < EARLY_BUSTS_KEPT; i++)
        if (engine->early_busts[i].exec_id[0] && engine->early_busts[i].instrument == instrument &&
            strcmp(engine->early_busts[i].exec_id, exec_id) == 0)
            return true;
    return false;
}

/* Two channels may bring a bust before its trade: then the trade never was when it comes. */
static void follow_early_bust(struct engine *engine, const struct order *order,
                              struct report *report)
{
    bool busted = is_busted_early(engine, order->instrument, report->fill.exec_id);
    if (report->kind == REPORT_FILL && busted) {
        report->booked_state = BOOKED_REVERSED;
    } else if (report->kind == REPORT_BUST && !busted) {
        struct early_bust *bust =
            &engine->early_busts[engine->early_bust_next++ % EARLY_BUSTS_KEPT];
        bust->instrument = order->instrument;
        memcpy(bust->exec_id, report->fill.exec_id, sizeof(bust->exec_id));
    }
}

/* What was booked before under the exec id that a report names. */
static void look_up_fill(struct engine *engine, const struct order *order, struct report *report)
{
    const struct ledger_port *ledger = &engine->options.ledger;
    if (report->kind != REPORT_FILL && report->kind != REPORT_BUST &&
        report->kind != REPORT_CORRECT)
        return;
    uint64_t order_id = order->order_id;
    report->booked_state = ledger->find_fill(ledger->self, order->instrument, report->fill.exec_id,
                                             &report->booked, &order_id);
    if (report->kind != REPORT_FILL && report->booked_state != BOOKED_NOT &&
        order_id != order->order_id)
        report->booked_state = BOOKED_NOT; /* another order's trade */
    if (report->booked_state == BOOKED_NOT)
        follow_early_bust(engine, order, report);
}

void report_apply_to(struct engine *engine, struct order *order, const struct report *given)
{
    struct report report = *given;
    look_up_fill(engine, order, &report);
    doubt_read(engine, order, &report);
    held_name_end(engine, order, &report);
    int instance = instance_of_order(engine, order);
    const struct order before = *order;
    struct order_outcome outcome;
    struct error err = { 0 };
    int change = order_apply(order, &report, engine->now_ns, &outcome, &err);
    if (change < 0) {
        halt_for(engine, order, "range", err.message);
        return;
    }
    act_on(engine, instance, order, &report, &outcome, change);
    if (change & (ORDER_CHANGED | ORDER_BOOKED)) {
        log_report(engine, order, &report, LOG_DEBUG, "report applied");
        record_change(engine, instance, order, &report, &outcome,
                      decimal_is_zero(before.filled_qty));
        if (order_is_open(&before) && !order_is_open(order))
            count_end(engine, order);
        blotter_update(engine->blotter, order);
    }
    guards_report(engine, &before, &report);
    rollout_watch_report(engine, &before, order, &report);
    stops_follow(engine, order, &report);
    desk_follow(engine, &before, order, &report);
    doubt_follow(engine, order, &report, change);
    exits_follow(engine, &before, order, outcome.news);
    exits_sync(engine, instance, order->instrument);
    engine->filled_exit = 0;
}

void report_apply(struct engine *engine, uint32_t instrument, const struct report *report)
{
    engine->reports++;
    struct order *order = blotter_find_client(engine->blotter, report->client_order_id);
    if (order)
        report_apply_to(engine, order, report);
    else
        strangers_report(engine, instrument, report);
    reconcile_follow(engine, report);
}
