/* paper.c - the paper venue's counter: requests come in, reports go out, accounts are kept.
 *
 * Invariants:
 *  1. Requests are handled in the order of (arrival, sequence); nothing is handled before it
 * arrives.
 *  2. Event times never decrease; transact_ns is the market's instant, which can be earlier than
 * the event that told it (a bar tells of its whole span at its end).
 *  3. A reduce-only order is never filled beyond its instance's position, and none rests when there
 *     is nothing to reduce.
 *  4. When one order of a group is filled, the others have the same quantity left, or are gone. */
#include "runtime/sim/paper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/map.h"
#include "runtime/base/text.h"
#include "runtime/sim/matching.h"

#define ORDERS_MAX 32768   /* open ones: more than an engine keeps */
#define REQUESTS_MAX 65536 /* on their way */

/* ---- telling ---- */

void paper_put_event(struct paper *paper, struct event *event, int64_t ns)
{
    if (ns > paper->told_ns)
        paper->told_ns = ns;
    event->time_ns = paper->told_ns;
    paper->options.sink.put(paper->options.sink.self, event);
}

void paper_put_report(struct paper *paper, uint32_t instrument, struct report *report, int64_t ns)
{
    report->transact_ns = ns;
    struct event event = { .kind = EVENT_REPORT, .instrument = instrument, .report = report };
    paper_put_event(paper, &event, ns);
}

static struct report report_of(const struct paper_order *order, enum report_kind kind,
                               const char *reason)
{
    struct report report = { .kind = kind, .qty = DECIMAL_NONE, .price = DECIMAL_NONE };
    memcpy(report.client_order_id, order->client_order_id, sizeof(report.client_order_id));
    memcpy(report.venue_order_id, order->venue_order_id, sizeof(report.venue_order_id));
    text_copy(report.reason, sizeof(report.reason), reason);
    return report;
}

static void tell(struct paper *paper, const struct paper_order *order, enum report_kind kind,
                 const char *reason, int64_t ns)
{
    struct report report = report_of(order, kind, reason);
    paper_put_report(paper, order->instrument, &report, ns);
}

static void tell_qty(struct paper *paper, const struct paper_order *order, enum report_kind kind,
                     const char *reason, int64_t ns)
{
    struct report report = report_of(order, kind, reason);
    report.qty = order->qty;
    report.price = order->price;
    paper_put_report(paper, order->instrument, &report, ns);
}

static void tell_fill(struct paper *paper, const struct paper_order *order, decimal price,
                      decimal qty, enum liquidity liquidity, int64_t ns)
{
    struct report report = report_of(order, REPORT_FILL, "");
    struct fill *fill = &report.fill;
    fill->qty = qty;
    fill->price = price;
    fill->liquidity = liquidity;
    fill->transact_ns = ns;
    fill->fee = costs_fee(&paper->options.costs, paper->books[order->instrument].instrument, price,
                          qty, liquidity);
    snprintf(fill->exec_id, sizeof(fill->exec_id), "%s%" PRIu64, paper->exec_prefix,
             paper->next_exec++);
    recall_fill(paper, order, fill);
    paper_put_report(paper, order->instrument, &report, ns);
}

/* ---- slots and lists ---- */

static uint32_t slot_of(const struct paper *paper, const struct paper_order *order)
{
    return (uint32_t)(order - paper->orders);
}

static void list_append(struct paper *paper, struct paper_order *order)
{
    struct book *book = &paper->books[order->instrument];
    uint32_t slot = slot_of(paper, order);
    order->sequence = ++paper->next_sequence;
    order->previous = book->last;
    order->next = NOBODY;
    *(book->last == NOBODY ? &book->first : &paper->orders[book->last].next) = slot;
    book->last = slot;
    book->count++;
    book->watch_low = INT64_MAX; /* look again */
}

static void list_remove(struct paper *paper, struct paper_order *order)
{
    struct book *book = &paper->books[order->instrument];
    *(order->previous == NOBODY ? &book->first : &paper->orders[order->previous].next) =
        order->next;
    *(order->next == NOBODY ? &book->last : &paper->orders[order->next].previous) = order->previous;
    book->count--;
    book->watch_low = INT64_MAX;
}

static struct paper_order *slot_new(struct paper *paper)
{
    uint32_t slot;
    if (paper->free_count > 0) {
        slot = paper->free_slots[--paper->free_count];
    } else {
        if (paper->order_count == ORDERS_MAX)
            return NULL;
        size_t need = paper->order_count + 1;
        paper->orders =
            memory_grow(paper->orders, &paper->order_capacity, need, sizeof(*paper->orders));
        paper->free_slots =
            memory_grow(paper->free_slots, &paper->free_capacity, need, sizeof(*paper->free_slots));
        paper->scratch =
            memory_grow(paper->scratch, &paper->scratch_capacity, need, sizeof(*paper->scratch));
        slot = (uint32_t)paper->order_count++;
    }
    struct paper_order *order = &paper->orders[slot];
    memset(order, 0, sizeof(*order));
    return order;
}

static void order_forget(struct paper *paper, struct paper_order *order)
{
    map_remove(paper->by_id, order->client_order_id);
    list_remove(paper, order);
    order->stage = STAGE_FREE;
    order->sequence = 0;
    paper->free_slots[paper->free_count++] = slot_of(paper, order);
}

struct paper_order *paper_find(struct paper *paper, const char *client_order_id)
{
    uint64_t slot;
    return map_get(paper->by_id, client_order_id, &slot) ? &paper->orders[slot] : NULL;
}

struct account *paper_account(struct paper *paper, struct book *book, uint32_t instance_id)
{
    (void)paper;
    for (size_t i = 0; i < book->account_count; i++)
        if (book->accounts[i].instance_id == instance_id)
            return &book->accounts[i];
    book->accounts = memory_grow(book->accounts, &book->account_capacity, book->account_count + 1,
                                 sizeof(*book->accounts));
    struct account *account = &book->accounts[book->account_count++];
    *account = (struct account){ .instance_id = instance_id, .position = DECIMAL_ZERO };
    return account;
}

/* ---- what follows a fill ---- */

/* How much of the position an order on this side could reduce; zero when it would add to it. */
static decimal reducible(const struct account *account, enum order_side side)
{
    decimal against = side == SIDE_BUY ? decimal_neg(account->position) : account->position;
    return decimal_max(against, DECIMAL_ZERO);
}

decimal paper_remaining(struct paper *paper, const struct paper_order *order)
{
    decimal remaining = decimal_sub(order->qty, order->filled);
    if (!order->reduce_only)
        return remaining;
    struct book *book = &paper->books[order->instrument];
    return decimal_min(remaining,
                       reducible(paper_account(paper, book, order->instance_id), order->side));
}

void paper_end(struct paper *paper, struct paper_order *order, enum report_kind kind,
               const char *reason, int64_t ns)
{
    tell(paper, order, kind, reason, ns);
    recall_end(paper, order,
               kind == REPORT_CANCELED  ? ORDER_CANCELED
               : kind == REPORT_EXPIRED ? ORDER_EXPIRED
                                        : ORDER_REJECTED);
    order_forget(paper, order);
}

static void order_complete(struct paper *paper, struct paper_order *order)
{
    recall_end(paper, order, ORDER_FILLED);
    order_forget(paper, order);
}

static void sibling_cut(struct paper *paper, struct paper_order *sibling, decimal left, int64_t ns)
{
    decimal qty = decimal_add(sibling->filled, left);
    if (decimal_cmp(qty, sibling->qty) >= 0)
        return;
    sibling->qty = qty;
    if (sibling->stage == STAGE_TRAVELLING)
        sibling->is_restated = true;
    else
        tell_qty(paper, sibling, REPORT_RESTATED, "oco", ns);
}

/* Keeps invariant 4 after a fill that leaves `left` of this order. */
static void group_follow(struct paper *paper, const struct paper_order *order, decimal left,
                         int64_t ns)
{
    if (order->group_id == 0)
        return;
    for (size_t i = 0; i < paper->order_count; i++) {
        struct paper_order *sibling = &paper->orders[i];
        if (sibling == order || sibling->stage == STAGE_FREE ||
            sibling->group_id != order->group_id)
            continue;
        if (decimal_sign(left) > 0)
            sibling_cut(paper, sibling, left, ns);
        else if (sibling->stage == STAGE_TRAVELLING)
            sibling->is_doomed = true;
        else
            paper_end(paper, sibling, REPORT_CANCELED, "oco", ns);
    }
}

/* Keeps the second half of invariant 3. */
static void reduce_only_follow(struct paper *paper, struct book *book, uint32_t instance_id,
                               int64_t ns)
{
    for (uint32_t slot = book->first; slot != NOBODY;) {
        struct paper_order *order = &paper->orders[slot];
        slot = order->next;
        if (!order->reduce_only || order->instance_id != instance_id ||
            order->stage == STAGE_TRAVELLING)
            continue;
        if (decimal_is_zero(reducible(paper_account(paper, book, instance_id), order->side)))
            paper_end(paper, order, REPORT_CANCELED, "reduce-only: nothing left to reduce", ns);
    }
}

/* What of an offered quantity the order takes: all it may, or whole lots. */
static decimal fillable(struct paper *paper, const struct book *book,
                        const struct paper_order *order, decimal offered)
{
    decimal most = paper_remaining(paper, order);
    if (decimal_cmp(offered, most) >= 0)
        return most;
    return decimal_min(decimal_to_multiple(offered, book->instrument->lot_size, ROUND_DOWN), most);
}

decimal paper_fill(struct paper *paper, struct paper_order *order, decimal price, decimal qty,
                   enum liquidity liquidity, int64_t ns)
{
    struct book *book = &paper->books[order->instrument];
    qty = fillable(paper, book, order, qty);
    if (decimal_sign(qty) <= 0 || decimal_sign(price) <= 0) /* data may hold what nobody deals at */
        return DECIMAL_ZERO;
    struct account *account = paper_account(paper, book, order->instance_id);
    uint32_t instance_id = order->instance_id;
    order->filled = decimal_add(order->filled, qty);
    order->notional = decimal_add(order->notional, decimal_mul(price, qty));
    account->position = order->side == SIDE_BUY ? decimal_add(account->position, qty)
                                                : decimal_sub(account->position, qty);
    if (order->role == ROLE_PLAIN) {
        account->entry_id = book->is_telling ? order->order_id : 0;
        account->entry_ns = ns;
    }
    decimal left = decimal_sub(order->qty, order->filled);
    /* Of plain orders the others first: a crash between the two leaves one that was filled and does
     * not know it, and meets the same market again; not another that should be gone. Exits the
     * engine compares with the position, so they are told as a venue tells them. */
    if (order->role == ROLE_PLAIN)
        group_follow(paper, order, left, ns);
    tell_fill(paper, order, price, qty, liquidity, ns);
    if (order->role != ROLE_PLAIN)
        group_follow(paper, order, left, ns);
    if (decimal_sign(left) <= 0)
        order_complete(paper, order);
    reduce_only_follow(paper, book, instance_id, ns);
    return qty;
}

/* ---- the heap of requests ---- */

static bool request_before(const struct request *a, const struct request *b)
{
    return a->arrival_ns != b->arrival_ns ? a->arrival_ns < b->arrival_ns
                                          : a->sequence < b->sequence;
}

static int request_push(struct paper *paper, struct request *request, struct error *err)
{
    if (paper->request_count == REQUESTS_MAX)
        return error_set(err, ERROR_REFUSED, "the paper venue has %d requests on their way",
                         REQUESTS_MAX);
    request->sequence = ++paper->next_sequence;
    paper->requests = memory_grow(paper->requests, &paper->request_capacity,
                                  paper->request_count + 1, sizeof(*paper->requests));
    size_t at = paper->request_count++;
    for (; at > 0 && request_before(request, &paper->requests[(at - 1) / 2]); at = (at - 1) / 2)
        paper->requests[at] = paper->requests[(at - 1) / 2];
    paper->requests[at] = *request;
    return 0;
}

static struct request request_pop(struct paper *paper)
{
    struct request *heap = paper->requests;
    struct request top = heap[0];
    struct request moved = heap[--paper->request_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= paper->request_count)
            break;
        if (child + 1 < paper->request_count && request_before(&heap[child + 1], &heap[child]))
            child++;
        if (!request_before(&heap[child], &moved))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
    return top;
}

/* ---- requests that come in ---- */

static int64_t mantissa_toward(decimal price, int scale, enum rounding rounding, bool *exact)
{
    int64_t mantissa;
    *exact = decimal_mantissa(price, scale, &mantissa) == 0;
    if (*exact || decimal_mantissa(decimal_round(price, scale, rounding), scale, &mantissa) == 0)
        return mantissa;
    return decimal_sign(price) < 0 ? INT64_MIN : INT64_MAX;
}

/* The mantissas its prices are compared by; what falls between two is moved against the order. */
static void order_prices(struct paper *paper, struct paper_order *order)
{
    int scale = paper->books[order->instrument].instrument->price_scale;
    bool is_buy = order->side == SIDE_BUY, exact;
    if (decimal_valid(order->price))
        order->price_m = mantissa_toward(order->price, scale, is_buy ? ROUND_FLOOR : ROUND_CEILING,
                                         &order->price_exact);
    if (decimal_valid(order->trigger))
        order->trigger_m =
            mantissa_toward(order->trigger, scale, is_buy ? ROUND_CEILING : ROUND_FLOOR, &exact);
    else
        order->trigger_m = is_buy ? INT64_MAX : INT64_MIN; /* no price reaches it */
}

static struct paper_order *order_take_in(struct paper *paper, const struct order *terms)
{
    struct paper_order *order = slot_new(paper);
    if (!order)
        return NULL;
    memcpy(order->client_order_id, terms->client_order_id, sizeof(order->client_order_id));
    snprintf(order->venue_order_id, sizeof(order->venue_order_id), "sim-%" PRIu64, terms->order_id);
    order->stage = STAGE_TRAVELLING;
    order->order_id = terms->order_id;
    order->group_id = terms->group_id;
    order->parent_order_id = terms->parent_order_id;
    order->instance_id = terms->instance_id;
    order->instrument = terms->instrument;
    order->side = terms->side;
    order->type = terms->type;
    order->tif = terms->tif;
    order->stop_on = terms->stop_on;
    order->role = terms->role;
    order->reduce_only = terms->reduce_only;
    order->post_only = terms->post_only;
    order->qty = terms->qty;
    order->filled = terms->filled_qty;
    order->notional = terms->notional;
    order->price = terms->price;
    order->trigger = terms->trigger_price;
    order->trail = terms->trail;
    order->trail_is_share = terms->trail_is_share;
    order->ahead = DECIMAL_ZERO;
    order->expires_ns = terms->expires_ns;
    order_prices(paper, order);
    paper_account(paper, &paper->books[order->instrument], order->instance_id);
    map_put(paper->by_id, order->client_order_id, slot_of(paper, order));
    list_append(paper, order);
    return order;
}

/* When an order submitted now is there. Exits of an entry that was filled inside the bar told last
 * arrive in that bar: the strategy asked for them when the entry was filled. */
static int64_t order_arrival(struct paper *paper, const struct order *terms, int64_t now_ns)
{
    struct book *book = &paper->books[terms->instrument];
    if (paper->options.fill_on == FILL_ON_INSTANT ||
        (paper->options.fill_on == FILL_ON_CLOSE && terms->type == ORDER_MARKET))
        return now_ns;
    int64_t arrival_ns = now_ns + paper->options.latency_ns;
    const struct account *account = paper_account(paper, book, terms->instance_id);
    if (book->source != SOURCE_BAR || terms->role == ROLE_PLAIN || now_ns > book->bar_end_ns ||
        account->entry_id == 0 || account->entry_id != terms->parent_order_id ||
        account->entry_ns < book->bar.open_ns)
        return arrival_ns;
    int64_t attached_ns = account->entry_ns + paper->options.latency_ns;
    return attached_ns < book->bar_end_ns ? attached_ns : arrival_ns;
}

static void hear(struct paper *paper, int64_t now_ns)
{
    if (now_ns > paper->told_ns)
        paper->told_ns = now_ns;
}

static int paper_submit(void *self, const struct order *terms, int64_t now_ns, struct error *err)
{
    struct paper *paper = self;
    ASSERT(terms->instrument < paper->options.instruments->count);
    hear(paper, now_ns);
    if (paper_find(paper, terms->client_order_id))
        return error_set(err, ERROR_REFUSED, "order %s is here already", terms->client_order_id);
    struct paper_order *order = order_take_in(paper, terms);
    if (!order)
        return error_set(err, ERROR_REFUSED, "the paper venue holds %d orders already", ORDERS_MAX);
    struct request request = { .kind = REQUEST_SUBMIT,
                               .instrument = terms->instrument,
                               .slot = slot_of(paper, order),
                               .arrival_ns = order_arrival(paper, terms, now_ns) };
    int code = request_push(paper, &request, err);
    if (code)
        order_forget(paper, order);
    return code;
}

static int push_change(struct paper *paper, enum request_kind kind, const struct order *order,
                       decimal qty, decimal price, int64_t now_ns, struct error *err)
{
    hear(paper, now_ns);
    int64_t latency_ns = paper->options.fill_on == FILL_ON_INSTANT ? 0 : paper->options.latency_ns;
    struct request request = { .kind = kind,
                               .instrument = order->instrument,
                               .arrival_ns = now_ns + latency_ns,
                               .qty = qty,
                               .price = price };
    memcpy(request.client_order_id, order->client_order_id, sizeof(request.client_order_id));
    memcpy(request.venue_order_id, order->venue_order_id, sizeof(request.venue_order_id));
    return request_push(paper, &request, err);
}

static int paper_amend(void *self, const struct order *order, decimal qty, decimal price,
                       int64_t now_ns, struct error *err)
{
    return push_change(self, REQUEST_AMEND, order, qty, price, now_ns, err);
}

static int paper_cancel(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    return push_change(self, REQUEST_CANCEL, order, DECIMAL_NONE, DECIMAL_NONE, now_ns, err);
}

static int paper_query(void *self, const struct venue_query *query, int64_t now_ns,
                       struct error *err)
{
    struct paper *paper = self;
    hear(paper, now_ns);
    struct request request = { .kind = REQUEST_QUERY,
                               .query = query->kind,
                               .instrument = query->instrument,
                               .arrival_ns = now_ns, /* a look is no race with the market */
                               .ticket = query->ticket,
                               .limit = query->limit,
                               .from_ns = query->from_ns,
                               .to_ns = query->to_ns,
                               .tf_ns = query->tf_ns };
    if (query->client_order_id)
        text_copy(request.client_order_id, sizeof(request.client_order_id), query->client_order_id);
    if (query->venue_order_id)
        text_copy(request.venue_order_id, sizeof(request.venue_order_id), query->venue_order_id);
    return request_push(paper, &request, err);
}

/* ---- requests that arrive ---- */

/* Why the order cannot be taken, or NULL. */
static const char *order_refused(struct paper *paper, const struct paper_order *order)
{
    struct book *book = &paper->books[order->instrument];
    if (order->type == ORDER_TRAILING &&
        (!decimal_valid(order->trail) || decimal_sign(order->trail) <= 0))
        return "a trail must be above zero";
    if (order->type == ORDER_TRAILING && order->trail_is_share &&
        decimal_cmp(order->trail, decimal_int(1)) >= 0)
        return "a trail must be below the whole price";
    if (order->reduce_only &&
        decimal_is_zero(reducible(paper_account(paper, book, order->instance_id), order->side)))
        return "reduce-only: nothing to reduce";
    if (order->post_only && order->type != ORDER_LIMIT)
        return "post-only is for limit orders";
    if (order->post_only && match_would_take(book, order))
        return "post-only would take";
    return NULL;
}

static const struct calendar *calendar_of(const struct paper *paper,
                                          const struct paper_order *order)
{
    const struct calendar *const *calendars = paper->options.calendars;
    return calendars ? calendars[order->instrument] : NULL;
}

static void note_expiry(struct paper *paper, struct paper_order *order)
{
    if (order->tif == TIF_DAY && order->expires_ns == TIME_NEVER)
        order->expires_ns = market_day_end(calendar_of(paper, order), order->arrival_ns);
    if (order->expires_ns < paper->expiry_ns)
        paper->expiry_ns = order->expires_ns;
}

static void arrive_submit(struct paper *paper, const struct request *request)
{
    struct paper_order *order = &paper->orders[request->slot];
    struct book *book = &paper->books[order->instrument];
    int64_t ns = request->arrival_ns;
    list_remove(paper, order);
    list_append(paper, order);
    order->arrival_ns = ns;
    order->is_new = true;
    if (order->is_doomed) {
        paper_end(paper, order, REPORT_CANCELED, "oco", ns);
        return;
    }
    if (order->expires_ns <= ns) { /* too late to be anything else */
        paper_end(paper, order, REPORT_EXPIRED, "", ns);
        return;
    }
    const char *why = order_refused(paper, order);
    if (why) {
        paper_end(paper, order, REPORT_REJECTED, why, ns);
        return;
    }
    tell(paper, order, REPORT_ACK, "", ns);
    if (order->is_restated)
        tell_qty(paper, order, REPORT_RESTATED, "oco", ns);
    note_expiry(paper, order);
    match_arrival(paper, book, order, ns);
}

static void refuse_change(struct paper *paper, const struct request *request, const char *why)
{
    struct report report = { .kind = request->kind == REQUEST_CANCEL ? REPORT_CANCEL_REJECT
                                                                     : REPORT_REPLACE_REJECT,
                             .qty = DECIMAL_NONE,
                             .price = DECIMAL_NONE };
    memcpy(report.client_order_id, request->client_order_id, sizeof(report.client_order_id));
    memcpy(report.venue_order_id, request->venue_order_id, sizeof(report.venue_order_id));
    text_copy(report.reason, sizeof(report.reason), why);
    paper_put_report(paper, request->instrument, &report, request->arrival_ns);
}

static void arrive_cancel(struct paper *paper, const struct request *request)
{
    struct paper_order *order = paper_find(paper, request->client_order_id);
    if (order)
        paper_end(paper, order, REPORT_CANCELED, "", request->arrival_ns);
    else
        refuse_change(paper, request, "too late");
}

/* Why the new terms cannot be taken, or NULL. `next` is the order as it would be. */
static const char *amend_refused(const struct book *book, const struct paper_order *order,
                                 const struct paper_order *next)
{
    bool has_limit = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
    if (decimal_sign(next->qty) <= 0)
        return "a quantity must be above zero";
    if (decimal_valid(next->price) && !has_limit)
        return "this order has no limit price";
    if (decimal_valid(next->price) && decimal_sign(next->price) <= 0)
        return "a price must be above zero";
    if (next->post_only && next->stage == STAGE_RESTING && match_would_take(book, next))
        return "post-only would take";
    return NULL;
}

static void arrive_amend(struct paper *paper, const struct request *request)
{
    struct paper_order *order = paper_find(paper, request->client_order_id);
    if (!order || order->stage == STAGE_TRAVELLING) {
        refuse_change(paper, request, order ? "not here yet" : "too late");
        return;
    }
    struct book *book = &paper->books[order->instrument];
    struct paper_order next = *order;
    if (decimal_valid(request->qty))
        next.qty = request->qty;
    if (decimal_valid(request->price))
        next.price = request->price;
    order_prices(paper, &next);
    const char *why = amend_refused(book, order, &next);
    if (why) {
        refuse_change(paper, request, why);
        return;
    }
    bool moved = decimal_valid(next.price) && decimal_cmp(next.price, order->price) != 0;
    bool grew = decimal_cmp(next.qty, order->qty) > 0;
    *order = next;
    book->watch_low = INT64_MAX;
    tell_qty(paper, order, REPORT_REPLACED, "", request->arrival_ns);
    if (decimal_cmp(order->qty, order->filled) <= 0) {
        group_follow(paper, order, DECIMAL_ZERO, request->arrival_ns);
        order_complete(paper, order);
        return;
    }
    if (order->stage != STAGE_RESTING || (!moved && !grew))
        return;
    list_remove(paper, order); /* to the back of the queue */
    list_append(paper, order);
    if (moved) {
        order->is_new = true;
        order->arrival_ns = request->arrival_ns;
    }
    match_arrival(paper, book, order, request->arrival_ns);
}

static void arrive(struct paper *paper, const struct request *request)
{
    switch (request->kind) {
    case REQUEST_SUBMIT:
        arrive_submit(paper, request);
        break;
    case REQUEST_AMEND:
        arrive_amend(paper, request);
        break;
    case REQUEST_CANCEL:
        arrive_cancel(paper, request);
        break;
    case REQUEST_QUERY:
        recall_answer(paper, request);
        break;
    }
}

/* ---- time ---- */

/* Where bars drive the market an expiry is judged when the bar that covers it is told. */
static bool expires_by_clock(const struct paper *paper, const struct paper_order *order)
{
    return order->stage != STAGE_FREE && order->stage != STAGE_TRAVELLING &&
           paper->books[order->instrument].source != SOURCE_BAR;
}

static void expire(struct paper *paper)
{
    int64_t due_ns = paper->expiry_ns;
    paper->expiry_ns = TIME_NEVER;
    for (size_t i = 0; i < paper->order_count; i++) {
        struct paper_order *order = &paper->orders[i];
        if (!expires_by_clock(paper, order))
            continue;
        if (order->expires_ns <= due_ns)
            paper_end(paper, order, REPORT_EXPIRED, "", order->expires_ns);
        else if (order->expires_ns < paper->expiry_ns)
            paper->expiry_ns = order->expires_ns;
    }
}

/* When something happens here next, in market time. */
static int64_t next_ns(const struct paper *paper)
{
    int64_t arrival_ns = paper->request_count > 0 ? paper->requests[0].arrival_ns : TIME_NEVER;
    return arrival_ns < paper->expiry_ns ? arrival_ns : paper->expiry_ns;
}

/* The same for the driver, whose clock does not go back: exits that arrive inside a bar are due
 * when the bar is told. */
static int64_t paper_due_ns(void *self)
{
    const struct paper *paper = self;
    int64_t due_ns = next_ns(paper);
    return due_ns > paper->told_ns ? due_ns : paper->told_ns;
}

static void paper_advance(void *self, int64_t now_ns)
{
    struct paper *paper = self;
    bool late = false;
    hear(paper, now_ns);
    for (;;) {
        int64_t due_ns = next_ns(paper);
        if (due_ns > now_ns)
            break;
        if (due_ns == paper->expiry_ns && due_ns != TIME_NEVER) {
            expire(paper);
            continue;
        }
        struct request request = request_pop(paper);
        arrive(paper, &request);
        late |= request.kind != REQUEST_QUERY && paper->books[request.instrument].is_late;
    }
    if (!late)
        return;
    for (uint32_t i = 0; i < paper->options.instruments->count; i++)
        if (paper->books[i].is_late)
            match_late(paper, &paper->books[i]);
}

/* ---- market data: the hot path ---- */

static void paper_market(void *self, const struct event *event)
{
    struct paper *paper = self;
    struct book *book = &paper->books[event->instrument];
    if (paper->request_count > 0 && paper->requests[0].arrival_ns <= event->time_ns)
        paper_advance(paper, event->time_ns);
    hear(paper, event->time_ns);
    switch (event->kind) {
    case EVENT_TRADE:
        match_trade(paper, book, event);
        break;
    case EVENT_QUOTE:
        match_quote(paper, book, event);
        break;
    case EVENT_BAR:
        match_bar(paper, book, event);
        break;
    default: /* not market data */
        break;
    }
}

/* ---- after a restart ---- */

static int paper_restore(void *self, const struct order *terms, struct error *err)
{
    struct paper *paper = self;
    if (terms->known == ORDER_PENDING_NEW)
        return paper_submit(self, terms, terms->created_ns, err);
    struct paper_order *order = order_take_in(paper, terms);
    if (!order)
        return error_set(err, ERROR_REFUSED, "the paper venue holds %d orders already", ORDERS_MAX);
    order->arrival_ns = terms->created_ns + paper->options.latency_ns;
    bool is_stop = order->type == ORDER_STOP || order->type == ORDER_STOP_LIMIT ||
                   order->type == ORDER_TRAILING;
    bool is_at_once = order->tif == TIF_IOC || order->tif == TIF_FOK;
    bool has_limit = order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
    order->is_triggered = is_stop && decimal_sign(order->filled) > 0;
    order->is_looking_back = order->type == ORDER_TRAILING || order->type == ORDER_STOP_LIMIT;
    order->stage = is_stop && !order->is_triggered ? STAGE_ARMED
                   : has_limit && !is_at_once      ? STAGE_RESTING
                                                   : STAGE_TAKING;
    note_expiry(paper, order);
    return 0;
}

void paper_restore_position(struct paper *paper, uint32_t instance_id, uint32_t instrument,
                            decimal qty)
{
    paper_account(paper, &paper->books[instrument], instance_id)->position = qty;
}

/* ---- life ---- */

static const struct venue_abilities *paper_abilities(void *self, uint32_t instrument)
{
    static const struct venue_abilities abilities = {
        .types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT | 1u << ORDER_STOP |
                 1u << ORDER_STOP_LIMIT | 1u << ORDER_TRAILING,
        .tifs = 1u << TIF_GTC | 1u << TIF_DAY | 1u << TIF_IOC | 1u << TIF_FOK | 1u << TIF_GTD,
        .oco = true,
        .reduce_only = true,
        .amend = AMEND_IN_PLACE,
        .answer_within_ns = TIME_NEVER,
        .post_only = true,
    };
    (void)self;
    (void)instrument;
    return &abilities;
}

static void book_init(struct book *book, const struct instrument *instrument)
{
    bool exact;
    book->instrument = instrument;
    book->first = book->last = NOBODY;
    book->watch_low = INT64_MIN;
    book->watch_high = INT64_MAX;
    book->bid_taken = book->ask_taken = DECIMAL_ZERO;
    book->tick_m =
        mantissa_toward(instrument->tick_size, instrument->price_scale, ROUND_CEILING, &exact);
}

int paper_open(const struct paper_options *options, struct paper **out, struct error *err)
{
    *out = NULL;
    if (options->latency_ns < 0)
        return error_at(err, ERROR_CONFIG, "backtest.latency", "a latency cannot be below zero");
    const char *prefix = options->exec_prefix ? options->exec_prefix : "";
    if (strlen(prefix) >= sizeof((*out)->exec_prefix))
        return error_set(err, ERROR_CONFIG, "the prefix of execution ids is too long: %s", prefix);
    struct paper *paper = memory_new(sizeof(*paper));
    paper->options = *options;
    text_copy(paper->exec_prefix, sizeof(paper->exec_prefix), prefix);
    paper->next_exec = options->first_exec;
    paper->told_ns = INT64_MIN;
    paper->expiry_ns = TIME_NEVER;
    paper->by_id = map_open();
    recall_open(paper);
    for (uint32_t i = 0; i < options->instruments->count; i++)
        book_init(&paper->books[i], &options->instruments->list[i]);
    *out = paper;
    return 0;
}

static void paper_close(void *self)
{
    struct paper *paper = self;
    for (size_t i = 0; i < ARRAY_SIZE(paper->books); i++)
        free(paper->books[i].accounts);
    map_close(paper->by_id);
    recall_close(paper);
    free(paper->requests);
    free(paper->orders);
    free(paper->free_slots);
    free(paper->scratch);
    free(paper);
}

struct venue_port paper_port(struct paper *paper)
{
    return (struct venue_port){ .self = paper,
                                .abilities = paper_abilities,
                                .submit = paper_submit,
                                .amend = paper_amend,
                                .cancel = paper_cancel,
                                .query = paper_query,
                                .due_ns = paper_due_ns,
                                .advance = paper_advance,
                                .market = paper_market,
                                .restore = paper_restore,
                                .close = paper_close };
}
