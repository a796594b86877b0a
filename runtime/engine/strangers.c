/* strangers.c - orders at the venue that the blotter does not hold.
 *
 * Three kinds. An order of ours that ended long ago: the ledger has it, and it is looked at again.
 * One that bears our name and that even the ledger lacks (a backup was restored): adopted by the
 * external instance, told, and canceled. And other people's: told once, left alone; what they hold
 * shows when positions are compared. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

static void tell(struct engine *engine, const struct report *report, const char *what)
{
    char text[REASON_MAX];
    bool named = report->client_order_id[0] != '\0';
    snprintf(text, sizeof(text), "%s: %s %s reported as %s", what, named ? "client id" : "venue id",
             named ? report->client_order_id : report->venue_order_id,
             report_kind_name(report->kind));
    turn_alert(engine, -1, "unknown_order", text);
}

static void tell_flood(struct engine *engine)
{
    if (engine->now_ns - engine->strangers_flood_ns < NS_PER_DAY)
        return;
    engine->strangers_flood_ns = engine->now_ns;
    turn_alert(engine, -1, "unknown_order",
               "more unknown orders than can be told one by one; the others are not told today");
}

/* Each name is told once a day, and so many names a day: an account that others trade too lists all
 * of theirs at each look. */
static bool is_told(struct engine *engine, const struct report *report)
{
    const char *name =
        report->client_order_id[0] ? report->client_order_id : report->venue_order_id;
    for (size_t i = 0; i < STRANGERS_KEPT; i++)
        if (strcmp(engine->strangers[i], name) == 0)
            return true;
    size_t at = engine->stranger_next % STRANGERS_KEPT;
    if (engine->stranger_next >= STRANGERS_KEPT &&
        engine->now_ns - engine->strangers_ns[at] < NS_PER_DAY) {
        tell_flood(engine);
        return true;
    }
    engine->stranger_next++;
    engine->strangers_ns[at] = engine->now_ns;
    text_copy(engine->strangers[at], sizeof(engine->strangers[at]), name);
    return false;
}

static bool is_live_word(const struct report *report)
{
    if (report->kind == REPORT_STATUS)
        return report->status <= ORDER_PARTIALLY_FILLED;
    return report->kind == REPORT_ACK || report->kind == REPORT_FILL;
}

/* The quantity that a report lets us know of: all of it, or at least what filled. */
static decimal known_qty(const struct report *report)
{
    if (report->kind == REPORT_FILL)
        return report->fill.qty;
    return decimal_valid(report->qty) ? report->qty : report->cum_qty;
}

static struct order *adopt(struct engine *engine, uint32_t instrument, const struct report *report)
{
    decimal qty = known_qty(report);
    if (engine->external < 0 || instrument >= engine->instruments->count || report->side == 0 ||
        !decimal_valid(qty) || decimal_sign(qty) <= 0)
        return NULL;
    struct order order;
    order_init(&order);
    order.instance_id = engine->instances[engine->external].instance_id;
    order.instrument = instrument;
    order.side = report->side;
    order.type = decimal_valid(report->price) ? ORDER_LIMIT : ORDER_MARKET;
    order.qty = qty;
    order.price = report->price;
    order.created_ns = engine->now_ns;
    order.updated_ns = engine->now_ns;
    text_copy(order.tag, sizeof(order.tag), "adopted");
    char made[CLIENT_ORDER_ID_MAX]; /* only the number is new: it has a name already */
    order.order_id = engine->options.ledger.next_order_id(engine->options.ledger.self, made);
    memcpy(order.client_order_id, report->client_order_id, sizeof(order.client_order_id));
    memcpy(order.current_client_order_id, report->client_order_id, sizeof(order.client_order_id));
    memcpy(order.venue_order_id, report->venue_order_id, sizeof(order.venue_order_id));
    return blotter_add(engine->blotter, &order);
}

/* An order that ended before this start, or was forgotten: what comes late belongs to it. */
static struct order *remember(struct engine *engine, const struct report *report)
{
    const struct ledger_port *ledger = &engine->options.ledger;
    struct order found;
    if (report->client_order_id[0] == '\0' || !ledger->find_order ||
        !ledger->find_order(ledger->self, report->client_order_id, &found))
        return NULL;
    int index = instance_of_order(engine, &found);
    if (index < 0 || holding_index(&engine->instances[index], found.instrument) == SIZE_MAX)
        return NULL;
    return blotter_add(engine->blotter, &found);
}

/* A trade that is in the books, told under a name that its order had between two replaces. */
static bool is_old_trade(struct engine *engine, uint32_t instrument, const struct report *report)
{
    const struct ledger_port *ledger = &engine->options.ledger;
    return report->kind == REPORT_FILL && instrument < engine->instruments->count &&
           ledger->find_fill(ledger->self, instrument, report->fill.exec_id, NULL, NULL) !=
               BOOKED_NOT;
}

void strangers_report(struct engine *engine, uint32_t instrument, const struct report *report)
{
    const struct ledger_port *ledger = &engine->options.ledger;
    struct order *order = remember(engine, report);
    if (order) {
        report_apply_to(engine, order, report);
        return;
    }
    if (is_old_trade(engine, instrument, report))
        return;
    engine->counts.illegal_reports++;
    bool is_lost_one = ledger->is_ours && ledger->is_ours(ledger->self, report->client_order_id) &&
                       is_live_word(report);
    const char *what =
        is_lost_one ? "an order of this ledger that it does not know" : "not an order of ours";
    order = is_lost_one ? adopt(engine, instrument, report) : NULL;
    if (order) {
        tell(engine, report, what);
        turn_record_order(engine, order);
        report_apply_to(engine, order, report);
        desk_cancel(engine, order);
        return;
    }
    if (!is_told(engine, report))
        tell(engine, report, what);
    if (report->kind == REPORT_FILL && report->ticket == 0) /* told again by each look otherwise */
        reconcile_soon(engine);
}
