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
                        const char *what)
{
    char text[REASON_MAX];
    snprintf(text, sizeof(text), "order %s: %s", order->client_order_id, what);
    turn_alert(engine, instance, text);
}

static void halt_for(struct engine *engine, const struct order *order, const char *why)
{
    const char *symbol = engine->instruments->list[order->instrument].symbol;
    char text[REASON_MAX + SYMBOL_MAX + 64];
    snprintf(text, sizeof(text), "%s: order %s: %s", symbol, order->client_order_id, why);
    turn_alert(engine, instance_of_order(engine, order), text);
    desk_halt(engine, instance_of_order(engine, order), text, false);
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
    alert_order(engine, instance, order, "a reduce-only order opened a position; it is closed");
    desk_flatten(engine, instance, order->instrument, decimal_sub(qty, reducible));
}

/* Position, trip and figures of one booked fill. A sum that does not fit halts trading: the order
 * has it, the position cannot. */
static void book_fill(struct engine *engine, int instance, const struct order *order,
                      const struct fill *fill, bool first_of_order)
{
    struct record *record = turn_record(engine, RECORD_FILL, instance, order->instrument);
    record->order = *order;
    record->fill = *fill;

    struct holding *holding = instance_holding(engine, instance, order->instrument);
    decimal multiplier = engine->instruments->list[order->instrument].multiplier;
    decimal qty_before = holding->position.qty;
    struct error err = { 0 };
    if (position_apply(&holding->position, order->side, fill, multiplier, NULL, &err) < 0) {
        halt_for(engine, order, err.message);
        return;
    }
    turn_record(engine, RECORD_POSITION, instance, order->instrument)->position = holding->position;

    struct trip done;
    if (trip_apply(&holding->trip, qty_before, order->side, fill, multiplier, order->tag,
                   engine->now_ns, engine->instances[instance].bars_seen, &done)) {
        turn_record(engine, RECORD_TRIP, instance, order->instrument)->trip = done;
        totals_trip(engine, &done);
    }
    totals_fill(engine, order, fill, first_of_order);
    check_reduce_only(engine, instance, order, qty_before, fill->qty);
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

static void report_unknown(struct engine *engine, const struct report *report)
{
    char text[REASON_MAX];
    engine->counts.illegal_reports++;
    snprintf(text, sizeof(text), "the venue reports %s for an order we do not know: %s",
             report_kind_name(report->kind), report->client_order_id);
    turn_alert(engine, -1, text);
}

/* What changed is recorded and told; the order of callbacks is on_order, on_fill, on_position,
 * on_reject. */
static void record_change(struct engine *engine, int instance, struct order *order,
                          const struct report *report, int change, bool first_fill)
{
    turn_record_order(engine, order);
    tell_order(engine, GUEST_ORDER, instance, order, NULL);
    if (change & ORDER_BOOKED) {
        log_fill(engine, order, &report->fill);
        book_fill(engine, instance, order, &report->fill, first_fill);
        tell_order(engine, GUEST_FILL, instance, order, &report->fill);
        tell_order(engine, GUEST_POSITION, instance, order, NULL);
    }
    if (report->kind == REPORT_REJECTED && order->known == ORDER_REJECTED)
        tell_order(engine, GUEST_REJECT, instance, order, NULL);
    if (report->kind == REPORT_REJECTED && order->role != ROLE_PLAIN)
        alert_order(engine, instance, order,
                    "an exit was rejected; the position is less protected");
}

/* Of orders that a venue holds together it changes one when another fills: that is no news. */
static bool is_expected(const struct order *order, const struct report *report)
{
    return report->kind == REPORT_RESTATED && order->group_id != 0;
}

static void act_on(struct engine *engine, int instance, const struct order *order,
                   const struct report *report, int change)
{
    if (change & ORDER_COUNTED) {
        engine->counts.illegal_reports++;
        log_report(engine, order, report, LOG_WARN, "report refused");
    }
    if (change & ORDER_ALERT && !is_expected(order, report)) {
        char text[64];
        snprintf(text, sizeof(text), "unexpected %s", report_kind_name(report->kind));
        alert_order(engine, instance, order, text);
    }
    if (change & ORDER_ALERT && report->kind == REPORT_ACK) /* it was rejected, and works */
        turn_command(engine, &(struct command){ .kind = COMMAND_CANCEL,
                                                .order_id = order->order_id,
                                                .before = *order });
    if (change & ORDER_SUSPECT)
        halt_for(engine, order, "a fill after rejection or beyond its quantity");
}

void report_apply(struct engine *engine, const struct report *given)
{
    struct order *order = blotter_find_client(engine->blotter, given->client_order_id);
    if (!order) {
        report_unknown(engine, given);
        return;
    }
    struct report report = *given;
    if (report.kind == REPORT_FILL)
        report.fill_is_repeat = engine->options.ledger.knows_fill(
            engine->options.ledger.self, order->instrument, report.fill.exec_id);

    int instance = instance_of_order(engine, order);
    const struct order before = *order;
    struct error err = { 0 };
    int change = order_apply(order, &report, engine->now_ns, &err);
    if (change < 0) {
        halt_for(engine, order, err.message);
        return;
    }
    act_on(engine, instance, order, &report, change);
    if (change & (ORDER_CHANGED | ORDER_BOOKED)) {
        log_report(engine, order, &report, LOG_DEBUG, "report applied");
        record_change(engine, instance, order, &report, change, decimal_is_zero(before.filled_qty));
        if (order_is_open(&before) && !order_is_open(order))
            count_end(engine, order);
        blotter_update(engine->blotter, order);
    }
    exits_follow(engine, &before, order, change & ORDER_BOOKED ? report.fill.qty : DECIMAL_ZERO);
    exits_sync(engine, instance, order->instrument);
    engine->filled_group = 0;
}
