/* doubt.c - orders whose answer is missing: asked for until the venue says how they stand.
 *
 * What leaves is watched by an inquiry until it is answered. Silence beyond what the venue may
 * take, a time-out, an unreadable answer, a lost line and a restart lead into doubt; only the
 * venue's own word leads out. It is asked at once, then after 1, 2, 4 ... 60 s, for ever.
 *
 * Invariants:
 *   1. An error is never a "not found". "It never arrived" takes two well-formed not-founds, the
 *      last one at least resolve_grace after the sending ended.
 *   2. Only then the order is sent again, once, with the same client order id, and only if it may
 *      still leave. So there is never a second submit for one intent before the first was asked
 * for.
 *   3. Cancels may be sent again freely: two cancels end one order. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_BOUND_NS (30 * NS_PER_SECOND) /* a question without any answer has failed */
#define TELL_AFTER_TRIES 5                   /* about 15 s: a person should know */

/* ---- the list ---- */

static struct inquiry *find_inquiry(struct engine *engine, uint64_t order_id)
{
    for (size_t i = 0; i < engine->inquiry_count; i++)
        if (engine->inquiries[i].order_id == order_id)
            return &engine->inquiries[i];
    return NULL;
}

static void find_due(struct engine *engine)
{
    engine->inquiries_due_ns = TIME_NEVER;
    for (size_t i = 0; i < engine->inquiry_count; i++)
        if (engine->inquiries[i].next_ns < engine->inquiries_due_ns)
            engine->inquiries_due_ns = engine->inquiries[i].next_ns;
}

static struct inquiry *add_inquiry(struct engine *engine, const struct order *order)
{
    struct inquiry *inquiry = find_inquiry(engine, order->order_id);
    if (inquiry)
        return inquiry;
    engine->inquiries = memory_grow(engine->inquiries, &engine->inquiry_capacity,
                                    engine->inquiry_count + 1, sizeof(struct inquiry));
    inquiry = &engine->inquiries[engine->inquiry_count++];
    *inquiry = (struct inquiry){ .order_id = order->order_id,
                                 .next_ns = TIME_NEVER,
                                 .sent_ns = engine->now_ns };
    return inquiry;
}

static void drop_inquiry(struct engine *engine, const struct inquiry *inquiry)
{
    size_t at = (size_t)(inquiry - engine->inquiries);
    engine->inquiry_count--;
    memmove(&engine->inquiries[at], &engine->inquiries[at + 1],
            (engine->inquiry_count - at) * sizeof(struct inquiry));
    find_due(engine);
}

static void plan(struct engine *engine, struct inquiry *inquiry, int64_t next_ns)
{
    inquiry->next_ns = next_ns;
    find_due(engine);
}

/* ---- what is under way ---- */

static bool is_in_flight(const struct order *order)
{
    return order_is_open(order) && !order->held &&
           (order->known == ORDER_PENDING_NEW || order->pending);
}

size_t engine_orders_in_flight(const struct engine *engine)
{
    size_t count = 0;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        const struct order *order = blotter_open_at(engine->blotter, i);
        count += order->doubt || is_in_flight(order);
    }
    return count;
}

void doubt_sent(struct engine *engine, const struct order *order)
{
    const struct venue_port *venue = &engine->options.venue;
    int64_t within_ns = venue->abilities(venue->self, order->instrument)->answer_within_ns;
    struct inquiry *inquiry = find_inquiry(engine, order->order_id);
    if (inquiry && inquiry->is_unsent) {
        if (order->pending & PENDING_CANCEL)
            return; /* that has left, not the order */
        inquiry->is_unsent = false;
        inquiry->tries = 0;
        inquiry->sent_ns = engine->now_ns;
    }
    if (within_ns == TIME_NEVER || !is_in_flight(order) || (inquiry && order->doubt))
        return; /* in doubt it is asked for anyway */
    inquiry = add_inquiry(engine, order);
    inquiry->sent_ns = engine->now_ns;
    plan(engine, inquiry, engine->now_ns + within_ns);
}

/* ---- asking ---- */

/* A replaced order that gets a new id is looked for under the new one first, then the old. */
static const char *id_to_ask(const struct inquiry *inquiry, const struct order *order)
{
    bool renamed = order->pending_client_order_id[0] != '\0';
    return renamed && !inquiry->ask_old ? order->pending_client_order_id
                                        : order->current_client_order_id;
}

static void ask(struct engine *engine, struct inquiry *inquiry, const struct order *order)
{
    struct venue_query query = { .kind = QUERY_ORDER,
                                 .instrument = order->instrument,
                                 .client_order_id = id_to_ask(inquiry, order),
                                 .venue_order_id = order->venue_order_id };
    inquiry->ticket = desk_query(engine, &query);
    inquiry->ask_old = !inquiry->ask_old;
    inquiry->asked_ns = engine->now_ns;
    inquiry->tries++;
    plan(engine, inquiry, engine->now_ns + ANSWER_BOUND_NS);
    if (inquiry->tries == TELL_AFTER_TRIES)
        report_alert(engine, order, "order_unknown", "the venue has not said how it stands");
}

static void ask_later(struct engine *engine, struct inquiry *inquiry)
{
    unsigned doublings = inquiry->tries > 0 ? inquiry->tries - 1 : 0;
    inquiry->ticket = 0;
    plan(engine, inquiry, engine->now_ns + pause_ns(doublings));
}

/* At once, or when the line is up again; what was said before counts no more. */
static void ask_from_the_start(struct engine *engine, struct inquiry *inquiry,
                               const struct order *order)
{
    inquiry->tries = 0;
    inquiry->missing = 0;
    inquiry->ask_old = false;
    if (engine->is_connected)
        ask(engine, inquiry, order);
    else
        plan(engine, inquiry, engine->now_ns);
}

void doubt_begin(struct engine *engine, struct order *order)
{
    ASSERT(order_is_open(order) && !order->held);
    bool is_new = order_mark_doubt(order, engine->now_ns);
    if (is_new)
        report_changed(engine, order);
    struct inquiry *inquiry = add_inquiry(engine, order);
    if (is_new)
        inquiry->sent_ns = engine->now_ns;
    if (inquiry->ticket == 0 && !inquiry->insists)
        ask_from_the_start(engine, inquiry, order);
}

/* Asked at once the first time; a venue that goes on refusing sets the pace no more. */
void doubt_insist(struct engine *engine, struct order *order)
{
    order_mark_cancel(order, engine->now_ns);
    order_mark_doubt(order, engine->now_ns);
    report_changed(engine, order);
    struct inquiry *inquiry = add_inquiry(engine, order);
    if (inquiry->insists)
        return;
    inquiry->insists = true;
    report_alert(engine, order, "cancel_refused", "it has to go, and is canceled again");
    ask_from_the_start(engine, inquiry, order);
}

void doubt_all_in_flight(struct engine *engine)
{
    for (size_t i = 0; i < engine->inquiry_count; i++) {
        engine->inquiries[i].ticket = 0; /* what was asked on the old line is lost with it */
        engine->inquiries[i].insists = false;
    }
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++) {
        struct order *order = blotter_open_at(engine->blotter, i);
        struct inquiry *inquiry = find_inquiry(engine, order->order_id);
        if (inquiry && inquiry->is_unsent && !order->doubt)
            plan(engine, inquiry, engine->now_ns); /* where it is is known: here */
        else if (order->doubt || is_in_flight(order))
            doubt_begin(engine, order);
    }
}

/* ---- what the answers mean ---- */

static void give_up(struct engine *engine, struct order *order, const char *kind, const char *why)
{
    report_alert(engine, order, kind, why);
    order_give_up(order, why, engine->now_ns);
    engine->counts.lost++;
    report_ended(engine, order);
    reconcile_soon(engine);
}

void doubt_unsent(struct engine *engine, struct order *order)
{
    struct inquiry *inquiry = add_inquiry(engine, order);
    if (!inquiry->is_unsent) {
        inquiry->is_unsent = true;
        inquiry->tries = 0;
        report_alert(engine, order, "exit_waits",
                     "the venue cannot be reached; it is sent when it can be");
    }
    inquiry->tries++;
    ask_later(engine, inquiry);
}

/* Like a new one: what rests in the way of a way out goes first, and an entry is a probe where the
 * breaker is half open. */
static void send_again(struct engine *engine, struct order *order, bool keeps)
{
    guards_clear_way(engine, order);
    guards_sent(engine, order);
    turn_command(engine, &(struct command){
                             .kind = COMMAND_RESEND, .order_id = order->order_id, .keeps = keeps });
}

/* What is held may be less by now, or it is not wanted any more: then it ends here, and what is
 * wanted instead is placed. */
static void send_unsent(struct engine *engine, struct inquiry *inquiry, struct order *order)
{
    if (order->pending & PENDING_CANCEL || !gate_passes_again(engine, order)) {
        order_give_up(order, "it was not sent, and is not wanted any more", engine->now_ns);
        report_ended(engine, order);
        return;
    }
    plan(engine, inquiry, TIME_NEVER);
    send_again(engine, order, true);
}

/* Sent again is what is still wanted: nobody canceled it, and it reduces, or is young and its
 * strategy still runs. */
static bool is_wanted(const struct engine *engine, const struct inquiry *inquiry,
                      const struct order *order)
{
    if (inquiry->was_resent || order->pending & PENDING_CANCEL)
        return false;
    if (order->reduce_only)
        return true;
    return !engine->is_stopping &&
           engine->now_ns - order->created_ns < engine->options.doubt.resend_within_ns;
}

/* The comparison of the books shuts the gate for a moment: that is no judgement of this order. */
static bool is_gate_shut(const struct engine *engine, const struct order *order)
{
    return !order->reduce_only && engine_is_reconciling(engine);
}

/* It never arrived: the venue said so twice, late enough. */
static void resolve_missing(struct engine *engine, struct inquiry *inquiry, struct order *order)
{
    if (order->known != ORDER_PENDING_NEW) {
        give_up(engine, order, "order_lost", "the venue does not know it any more");
        return;
    }
    bool wanted = is_wanted(engine, inquiry, order);
    if (wanted && is_gate_shut(engine, order)) {
        ask_later(engine, inquiry);
        return;
    }
    if (!wanted || !gate_passes_again(engine, order)) {
        bool unwanted = order->pending & PENDING_CANCEL;
        give_up(engine, order, "order_lost",
                unwanted ? "canceled; it never arrived" : "it never arrived at the venue");
        return;
    }
    inquiry->was_resent = true;
    inquiry->ticket = 0;
    inquiry->missing = 0;
    order->doubt = false;
    order->doubt_since_ns = 0;
    report_changed(engine, order);
    engine->counts.resent++;
    send_again(engine, order, false);
}

static bool grace_is_over(const struct engine *engine, const struct inquiry *inquiry)
{
    return inquiry->asked_ns - inquiry->sent_ns >= engine->options.doubt.resolve_grace_ns;
}

/* One that was there before must be missing for as long: venues look things up in more than one
 * place. */
static bool has_been_missing(const struct engine *engine, const struct inquiry *inquiry,
                             const struct order *order)
{
    bool was_there = order->known != ORDER_PENDING_NEW || inquiry->was_seen;
    int64_t since_ns = was_there ? inquiry->missing_ns : inquiry->sent_ns;
    return inquiry->asked_ns - since_ns >= engine->options.doubt.resolve_grace_ns;
}

/* About the new order of a replace that gives a new id: how the old one stands is the other half of
 * the answer. */
static bool is_half(const struct order *order, const struct report *report)
{
    return order->pending_client_order_id[0] != '\0' &&
           strcmp(report->client_order_id, order->pending_client_order_id) == 0;
}

static void follow_not_found(struct engine *engine, struct inquiry *inquiry, struct order *order,
                             const struct report *report)
{
    bool half = is_half(order, report);
    if (inquiry->missing++ == 0)
        inquiry->missing_ns = engine->now_ns;
    if (inquiry->missing < 2 || !has_been_missing(engine, inquiry, order)) {
        ask_later(engine, inquiry);
        if (half)
            ask(engine, inquiry, order);
        return;
    }
    inquiry->old_is_gone |= !half;
    if (order->pending_client_order_id[0] == '\0')
        resolve_missing(engine, inquiry, order);
    else if (half && inquiry->old_is_gone)
        give_up(engine, order, "replace_half_done",
                "the venue ended it to replace it, and made no new one");
    else
        ask_later(engine, inquiry);
}

/* The venue works it. What else was asked for has not arrived, or not yet. */
static void follow_working(struct engine *engine, struct inquiry *inquiry, struct order *order)
{
    bool had_time = grace_is_over(engine, inquiry);
    if (order->pending & PENDING_REPLACE && had_time && inquiry->confirmed++ > 0) {
        order_forget_replace(order, engine->now_ns);
        report_changed(engine, order);
    }
    if (order->pending & PENDING_CANCEL)
        desk_send_cancel(engine, order);
    if (order->doubt)
        ask_later(engine, inquiry);
}

void doubt_ask_for_trades(struct engine *engine, const struct order *order)
{
    desk_query(engine, &(struct venue_query){ .kind = QUERY_FILLS,
                                              .instrument = order->instrument,
                                              .client_order_id = order->current_client_order_id,
                                              .venue_order_id = order->venue_order_id });
}

/* It spoke of the order: it may say more now. */
static void ask_sooner(struct engine *engine, struct inquiry *inquiry)
{
    int64_t soon_ns = inquiry->asked_ns + NS_PER_SECOND;
    if (soon_ns < engine->now_ns)
        soon_ns = engine->now_ns;
    if (inquiry->ticket == 0 && inquiry->next_ns > soon_ns)
        plan(engine, inquiry, soon_ns);
}

/* A done order that the venue says odd things of: nothing is in doubt, but it may know more. */
static void ask_once(struct engine *engine, const struct order *order)
{
    desk_query(engine, &(struct venue_query){ .kind = QUERY_ORDER,
                                              .instrument = order->instrument,
                                              .client_order_id = order->current_client_order_id,
                                              .venue_order_id = order->venue_order_id });
}

/* The pause grows while nothing new is learned. */
static void note_word(struct inquiry *inquiry, const struct order *order,
                      const struct report *report)
{
    unsigned not_found = is_half(order, report) ? 2 : 1;
    unsigned word = report->kind == REPORT_STATUS ? 3u + report->status : not_found;
    if (word != inquiry->word)
        inquiry->tries = 1;
    inquiry->word = word;
}

static void follow_answer(struct engine *engine, struct inquiry *inquiry, struct order *order,
                          const struct report *report)
{
    note_word(inquiry, order, report);
    if (report->kind == REPORT_NOT_FOUND) {
        follow_not_found(engine, inquiry, order, report);
        return;
    }
    if (report->status == ORDER_CANCELED || report->status == ORDER_EXPIRED) {
        inquiry->old_is_gone = true; /* open all the same: the new one is looked for */
        ask_later(engine, inquiry);
        return;
    }
    inquiry->missing = 0;
    inquiry->was_seen = true;
    follow_working(engine, inquiry, order);
}

/* The venue refuses the second copy of an order because it has the first. */
void doubt_read(struct engine *engine, const struct order *order, struct report *report)
{
    const struct inquiry *inquiry = find_inquiry(engine, order->order_id);
    if (report->kind != REPORT_REJECTED || !inquiry || !inquiry->was_resent ||
        !strcasestr(report->reason, "duplicate"))
        return;
    report->kind = REPORT_DOUBT;
    report_alert(engine, order, "duplicate_client_id", "it was sent again and had arrived before");
}

/* The sending ended now, without an answer: the grace begins here. */
static void begin_anew(struct engine *engine, struct order *order)
{
    add_inquiry(engine, order)->sent_ns = engine->now_ns;
    doubt_begin(engine, order);
}

void doubt_follow(struct engine *engine, struct order *order, const struct report *report,
                  int change)
{
    if (report->ticket != 0 && decimal_sign(order->inferred_qty) > 0 && change & ORDER_BOOKED)
        doubt_ask_for_trades(engine, order);
    if (!order_is_open(order) && change & ORDER_ASK)
        ask_once(engine, order);
    struct inquiry *inquiry = find_inquiry(engine, order->order_id);
    if (!order_is_open(order) || (!order->doubt && !is_in_flight(order))) {
        if (inquiry)
            drop_inquiry(engine, inquiry);
        return;
    }
    if (inquiry && report->ticket != 0 && report->ticket == inquiry->ticket)
        follow_answer(engine, inquiry, order, report);
    else if (order->doubt && (change & ORDER_ASK || !inquiry))
        begin_anew(engine, order);
    else if (order->doubt && report->ticket == 0 && !inquiry->insists)
        ask_sooner(engine, inquiry);
}

/* The end of an answer. One that told nothing of the order, or failed, says nothing about it. */
void doubt_answer(struct engine *engine, const struct answer_event *answer)
{
    for (size_t i = 0; i < engine->inquiry_count; i++) {
        struct inquiry *inquiry = &engine->inquiries[i];
        if (inquiry->ticket != 0 && inquiry->ticket == answer->ticket) {
            ask_later(engine, inquiry);
            return;
        }
    }
}

/* The books were compared: what waited for that is asked for again now. */
void doubt_ask_all(struct engine *engine)
{
    for (size_t i = 0; i < engine->inquiry_count; i++) {
        struct inquiry *inquiry = &engine->inquiries[i];
        if (inquiry->missing > 0 && inquiry->ticket == 0)
            plan(engine, inquiry, engine->now_ns);
    }
}

/* ---- time ---- */

int64_t doubt_due_ns(const struct engine *engine)
{
    return engine->is_connected ? engine->inquiries_due_ns : TIME_NEVER;
}

/* Silence has become doubt, or it is time to ask again. */
static void act_on_due(struct engine *engine, struct inquiry *inquiry, struct order *order)
{
    inquiry->ticket = 0;
    if (order->doubt) {
        ask(engine, inquiry, order);
    } else if (inquiry->is_unsent) {
        send_unsent(engine, inquiry, order);
    } else {
        guards_silence(engine, order);
        doubt_begin(engine, order);
    }
}

void doubt_advance(struct engine *engine)
{
    for (size_t i = 0; i < engine->inquiry_count; i++) {
        struct inquiry *inquiry = &engine->inquiries[i];
        if (inquiry->next_ns > engine->now_ns)
            continue;
        struct order *order = blotter_find(engine->blotter, inquiry->order_id);
        ASSERT(order && order_is_open(order)); /* a done order has no inquiry */
        size_t count = engine->inquiry_count;
        act_on_due(engine, inquiry, order);
        i -= count - engine->inquiry_count; /* it ended, and the next one is in its place */
    }
}
