/* recall.c - what the paper venue answers when it is asked.
 *
 * It knows its open orders and its accounts, and remembers the newest of its fills and of the
 * orders that ended. After a restart it knows what it was given back: orders and positions, no
 * fills. It keeps no cash: what an account is worth is the books' own arithmetic, and a restored
 * venue has not seen the trades that made it. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/sim/matching.h"

#define FILLS_KEPT 4096
#define ENDED_KEPT 1024

/* ---- rings ---- */

static void *ring_put(struct ring *ring)
{
    if (ring->count < ring->most) {
        ring->list = memory_grow(ring->list, &ring->capacity, ring->count + 1, ring->size);
        return (char *)ring->list + ring->count++ * ring->size;
    }
    size_t at = ring->next;
    ring->next = (at + 1) % ring->most;
    return (char *)ring->list + at * ring->size;
}

/* Oldest first. */
static const void *ring_at(const struct ring *ring, size_t i)
{
    return (const char *)ring->list + (ring->next + i) % ring->count * ring->size;
}

void recall_open(struct paper *paper)
{
    paper->fills = (struct ring){ .size = sizeof(struct told_fill), .most = FILLS_KEPT };
    paper->ended = (struct ring){ .size = sizeof(struct ended_order), .most = ENDED_KEPT };
}

void recall_close(struct paper *paper)
{
    free(paper->fills.list);
    free(paper->ended.list);
}

/* ---- remembering ---- */

void recall_fill(struct paper *paper, const struct paper_order *order, const struct fill *fill)
{
    struct told_fill *told = ring_put(&paper->fills);
    told->instrument = order->instrument;
    told->side = order->side;
    memcpy(told->client_order_id, order->client_order_id, sizeof(told->client_order_id));
    memcpy(told->venue_order_id, order->venue_order_id, sizeof(told->venue_order_id));
    told->fill = *fill;
}

static struct report status_of(const struct paper_order *order, enum order_status status)
{
    struct report report = {
        .kind = REPORT_STATUS,
        .side = order->side,
        .qty = order->qty,
        .price = order->price,
        .status = status,
        .cum_qty = order->filled,
        .avg_price =
            decimal_is_zero(order->filled)
                ? DECIMAL_NONE
                : decimal_div(order->notional, order->filled, ORDER_PRICE_DIGITS, ROUND_HALF_EVEN),
    };
    memcpy(report.client_order_id, order->client_order_id, sizeof(report.client_order_id));
    memcpy(report.venue_order_id, order->venue_order_id, sizeof(report.venue_order_id));
    return report;
}

void recall_end(struct paper *paper, const struct paper_order *order, enum order_status status)
{
    struct ended_order *ended = ring_put(&paper->ended);
    ended->order = *order;
    ended->status = status;
}

/* ---- looking back ---- */

struct look {
    int64_t from_ns;
    struct span span;
};

static void look_at(void *self, const struct event *event)
{
    struct look *look = self;
    const struct bar_event *bar = &event->bar;
    if (bar->open_ns < look->from_ns)
        return;
    if (look->span.low == 0 || bar->low < look->span.low)
        look->span.low = bar->low;
    if (bar->high > look->span.high)
        look->span.high = bar->high;
}

/* Whole minutes as minutes; what is cut at both ends trade by trade, as bars of a nanosecond. */
struct span recall_span(const struct paper *paper, const struct paper_order *order, int64_t to_ns)
{
    const struct paper_options *options = &paper->options;
    struct look look = { .from_ns = order->arrival_ns };
    if (!options->history || to_ns <= order->arrival_ns)
        return look.span;
    int64_t first = (order->arrival_ns / NS_PER_MINUTE + 1) * NS_PER_MINUTE;
    int64_t last = to_ns / NS_PER_MINUTE * NS_PER_MINUTE;
    if (last > first)
        options->history(options->history_self, order->instrument, NS_PER_MINUTE, last,
                         (uint64_t)((last - first) / NS_PER_MINUTE), look_at, &look);
    int64_t head_ns = first < to_ns ? first : to_ns;
    options->history(options->history_self, order->instrument, 1, head_ns,
                     (uint64_t)(head_ns - order->arrival_ns), look_at, &look);
    if (last > head_ns || (last == first && to_ns > last))
        options->history(options->history_self, order->instrument, 1, to_ns,
                         (uint64_t)(to_ns - last), look_at, &look);
    return look.span;
}

/* ---- answers ---- */

static void tell_status(struct paper *paper, const struct request *request,
                        const struct paper_order *order, enum order_status status)
{
    struct report report = status_of(order, status);
    report.ticket = request->ticket;
    paper_put_report(paper, order->instrument, &report, request->arrival_ns);
}

static void tell_open(struct paper *paper, const struct request *request,
                      const struct paper_order *order)
{
    enum order_status status = order->stage == STAGE_TRAVELLING ? ORDER_PENDING_NEW
                               : decimal_is_zero(order->filled) ? ORDER_NEW
                                                                : ORDER_PARTIALLY_FILLED;
    tell_status(paper, request, order, status);
}

static bool is_asked_for(const struct request *request, const struct paper_order *order)
{
    return request->client_order_id[0] != '\0'
               ? strcmp(request->client_order_id, order->client_order_id) == 0
               : strcmp(request->venue_order_id, order->venue_order_id) == 0;
}

static void answer_order(struct paper *paper, const struct request *request)
{
    for (size_t i = 0; i < paper->order_count; i++) {
        const struct paper_order *order = &paper->orders[i];
        if (order->stage != STAGE_FREE && is_asked_for(request, order)) {
            tell_open(paper, request, order);
            return;
        }
    }
    for (size_t i = paper->ended.count; i-- > 0;) { /* the newest first */
        const struct ended_order *ended = ring_at(&paper->ended, i);
        if (is_asked_for(request, &ended->order)) {
            tell_status(paper, request, &ended->order, ended->status);
            return;
        }
    }
    struct report report = { .kind = REPORT_NOT_FOUND,
                             .ticket = request->ticket,
                             .qty = DECIMAL_NONE,
                             .price = DECIMAL_NONE,
                             .cum_qty = DECIMAL_NONE,
                             .avg_price = DECIMAL_NONE };
    memcpy(report.client_order_id, request->client_order_id, sizeof(report.client_order_id));
    memcpy(report.venue_order_id, request->venue_order_id, sizeof(report.venue_order_id));
    paper_put_report(paper, request->instrument, &report, request->arrival_ns);
}

static void answer_open_orders(struct paper *paper, const struct request *request)
{
    for (size_t i = 0; i < paper->order_count; i++)
        if (paper->orders[i].stage != STAGE_FREE && paper->orders[i].stage != STAGE_TRAVELLING)
            tell_open(paper, request, &paper->orders[i]);
}

static void answer_fills(struct paper *paper, const struct request *request)
{
    for (size_t i = 0; i < paper->fills.count; i++) {
        const struct told_fill *told = ring_at(&paper->fills, i);
        bool elsewhere =
            request->instrument != INSTRUMENT_NONE && told->instrument != request->instrument;
        if (elsewhere || told->fill.transact_ns < request->from_ns ||
            (request->client_order_id[0] != '\0' &&
             strcmp(request->client_order_id, told->client_order_id) != 0))
            continue;
        struct report report = { .kind = REPORT_FILL,
                                 .ticket = request->ticket,
                                 .side = told->side,
                                 .fill = told->fill,
                                 .qty = DECIMAL_NONE,
                                 .price = DECIMAL_NONE };
        memcpy(report.client_order_id, told->client_order_id, sizeof(report.client_order_id));
        memcpy(report.venue_order_id, told->venue_order_id, sizeof(report.venue_order_id));
        paper_put_report(paper, told->instrument, &report, told->fill.transact_ns);
    }
}

/* The sub-accounts of all instances are one account to who asks. */
static void answer_positions(struct paper *paper, const struct request *request)
{
    for (uint32_t i = 0; i < paper->options.instruments->count; i++) {
        const struct book *book = &paper->books[i];
        decimal qty = DECIMAL_ZERO;
        for (size_t j = 0; j < book->account_count; j++)
            qty = decimal_add(qty, book->accounts[j].position);
        if (decimal_is_zero(qty))
            continue;
        struct event event = {
            .kind = EVENT_POSITION,
            .instrument = i,
            .position = { .ticket = request->ticket, .qty = qty, .avg_price = DECIMAL_NONE }
        };
        paper_put_event(paper, &event, request->arrival_ns);
    }
}

/* NULL, or why nothing is known. */
static const char *answer_bars(struct paper *paper, const struct request *request)
{
    const struct paper_options *options = &paper->options;
    if (!options->history)
        return "no history is known here";
    options->history(options->history_self, request->instrument, request->tf_ns, request->to_ns,
                     request->limit, options->sink.put, options->sink.self);
    return NULL;
}

void recall_answer(struct paper *paper, const struct request *request)
{
    const char *why = NULL;
    switch (request->query) {
    case QUERY_BARS:
        why = answer_bars(paper, request);
        break;
    case QUERY_ORDER:
        answer_order(paper, request);
        break;
    case QUERY_OPEN_ORDERS:
        answer_open_orders(paper, request);
        break;
    case QUERY_FILLS:
        answer_fills(paper, request);
        break;
    case QUERY_POSITIONS:
        answer_positions(paper, request);
        break;
    case QUERY_BALANCES: /* it keeps no cash: nothing is said, so nothing is compared */
        break;
    }
    struct event event = { .kind = EVENT_ANSWER,
                           .instrument = request->instrument,
                           .answer = { .ticket = request->ticket, .complete = !why } };
    text_copy(event.answer.reason, sizeof(event.answer.reason), why ? why : "");
    paper_put_event(paper, &event, request->arrival_ns);
}
