/* reports.c - a venue's word on one of our orders: order, position, cash, trips, and who is told. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

static void tell_order(struct engine *engine, enum guest_call call, int instance,
                       const struct order *order, const struct fill *fill)
{
    if (instance < 0)
        return;
    struct delivery *delivery = turn_deliver(engine, call, instance, order->instrument);
    delivery->order = *order;
    if (fill)
        delivery->fill = *fill;
}

static void halt_for(struct engine *engine, const struct order *order, const char *why)
{
    const char *symbol = engine->instruments->list[order->instrument].symbol;
    char text[REASON_MAX + SYMBOL_MAX + 64];
    snprintf(text, sizeof(text), "%s: order %s: %s", symbol, order->client_order_id, why);
    engine->halted = true;
    text_copy(engine->halt_reason, sizeof(engine->halt_reason), text);
    turn_alert(engine, instance_of_order(engine, order), text);
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
    turn_record(engine, RECORD_POSITION, instance, order->instrument)->position =
        holding->position;

    struct trip done;
    if (trip_apply(&holding->trip, qty_before, order->side, fill, multiplier, order->tag,
                   engine->now_ns, engine->instances[instance].bars_seen, &done)) {
        turn_record(engine, RECORD_TRIP, instance, order->instrument)->trip = done;
        totals_trip(engine, &done);
    }
    totals_fill(engine, order, fill, first_of_order);
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
        book_fill(engine, instance, order, &report->fill, first_fill);
        tell_order(engine, GUEST_FILL, instance, order, &report->fill);
        tell_order(engine, GUEST_POSITION, instance, order, NULL);
    }
    if (report->kind == REPORT_REJECTED && order->known == ORDER_REJECTED)
        tell_order(engine, GUEST_REJECT, instance, order, NULL);
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
    bool was_open = order_is_open(order), first_fill = decimal_is_zero(order->filled_qty);
    struct error err = { 0 };
    int change = order_apply(order, &report, engine->now_ns, &err);
    if (change < 0) {
        halt_for(engine, order, err.message);
        return;
    }
    if (change & ORDER_COUNTED) {
        engine->counts.illegal_reports++;
        log_report(engine, order, &report, LOG_WARN, "report refused");
    }
    if (change & ORDER_ALERT) {
        char text[REASON_MAX];
        snprintf(text, sizeof(text), "order %s: unexpected %s", order->client_order_id,
                 report_kind_name(report.kind));
        turn_alert(engine, instance, text);
    }
    if (change & ORDER_SUSPECT)
        halt_for(engine, order, "a fill after rejection or beyond its quantity");
    if (change & (ORDER_CHANGED | ORDER_BOOKED)) {
        log_report(engine, order, &report, LOG_DEBUG, "report applied");
        record_change(engine, instance, order, &report, change, first_fill);
        if (was_open && !order_is_open(order))
            count_end(engine, order);
        blotter_update(engine->blotter, order);
    }
    exits_follow(engine, order, change & ORDER_BOOKED ? report.fill.qty : DECIMAL_ZERO);
    if (instance >= 0)
        exits_sync(engine, instance, order->instrument);
    engine->filled_group = 0;
}
