/* venue.c - the scripted venue: keeps what was sent, answers what is asked.
 *
 * A question that a step of the script answers within its patience waits for that step; any other
 * is answered at once from what the script told so far. A question about an order of which nothing
 * is told, or with something under way that is not answered, fails: nobody knows. */
#include "tests/scenario/scenario.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (10 * NS_PER_SECOND)

static const char *const SENT_NAMES[] = { "submit", "cancel", "replace", "query" };
static const char *const QUERY_NAMES[] = { "bars",  "order",     "open orders",
                                           "fills", "positions", "balances" };

/* ---- reports ---- */

struct report report_new(const struct player *player, enum report_kind kind, const char *id)
{
    struct report report = { .kind = kind,
                             .qty = DECIMAL_NONE,
                             .price = DECIMAL_NONE,
                             .cum_qty = DECIMAL_NONE,
                             .avg_price = DECIMAL_NONE,
                             .fill = { .qty = DECIMAL_NONE,
                                       .price = DECIMAL_NONE,
                                       .notional = DECIMAL_NONE,
                                       .fee = DECIMAL_ZERO },
                             .transact_ns = player->now_ns };
    report.fill.transact_ns = player->now_ns;
    text_copy(report.client_order_id, sizeof(report.client_order_id), id);
    return report;
}

void report_put(struct player *player, uint32_t instrument, const struct report *report)
{
    struct event event = {
        .kind = EVENT_REPORT, .instrument = instrument, .time_ns = player->now_ns, .report = report
    };
    player_put(player, &event);
}

static void put_status(struct player *player, const struct told_order *order, uint64_t ticket)
{
    struct report report = report_new(player, REPORT_STATUS, order->id);
    report.ticket = ticket;
    report.status = order->status;
    report.side = order->side;
    report.cum_qty = told_cum(order);
    report.avg_price = told_avg(order);
    report.qty = order->qty;
    report.price = order->type == ORDER_STOP ? DECIMAL_NONE : order->price;
    memcpy(report.venue_order_id, order->venue_order_id, sizeof(report.venue_order_id));
    report_put(player, order->instrument, &report);
}

/* ---- questions ---- */

size_t question_find(const struct player *player, enum venue_query_kind kind, size_t order)
{
    for (size_t i = 0; i < player->question_count; i++) {
        const struct question *question = &player->questions[i];
        if (question->query.kind == kind &&
            (order == SIZE_MAX || question->order == SIZE_MAX || question->order == order))
            return i;
    }
    return SIZE_MAX;
}

size_t question_by_id(const struct player *player, size_t order, const char *id)
{
    for (size_t i = 0; i < player->question_count; i++)
        if (player->questions[i].query.kind == QUERY_ORDER && player->questions[i].order == order &&
            strcmp(player->questions[i].client_order_id, id) == 0)
            return i;
    return SIZE_MAX;
}

void question_end(struct player *player, size_t index, bool complete)
{
    struct event event = { .kind = EVENT_ANSWER, .time_ns = player->now_ns };
    event.answer.ticket = player->questions[index].query.ticket;
    event.answer.complete = complete;
    if (!complete)
        text_copy(event.answer.reason, sizeof(event.answer.reason), "no answer");
    trace(player, "answer %s: %s", QUERY_NAMES[player->questions[index].query.kind],
          complete ? "complete" : "failed");
    player_put(player, &event);
    player->question_count--;
    memmove(&player->questions[index], &player->questions[index + 1],
            (player->question_count - index) * sizeof(struct question));
}

static void answer_order(struct player *player, size_t index)
{
    struct question *question = &player->questions[index];
    struct told_order *order =
        question->order == SIZE_MAX ? NULL : &player->told.orders[question->order];
    bool knows = order && order->is_told && !told_is_in_flight(order) && !order->is_silent;
    bool is_new = order && strcmp(question->client_order_id, order->replace_id) == 0 &&
                  strcmp(order->replace_id, order->id) != 0;
    bool missing =
        order && (is_new ? order->new_not_found : order->not_found && !told_is_in_flight(order));
    knows &= !is_new;
    if (missing) {
        struct report report = report_new(player, REPORT_NOT_FOUND, question->client_order_id);
        report.ticket = question->query.ticket;
        report_put(player, order->instrument, &report);
    } else if (knows) {
        put_status(player, order, question->query.ticket);
    }
    question_end(player, index, knows || missing);
}

static void answer_open_orders(struct player *player, size_t index)
{
    uint64_t ticket = player->questions[index].query.ticket;
    for (size_t i = 0; i < player->told.order_count; i++)
        if (player->told.orders[i].is_listed && told_is_open(&player->told.orders[i]))
            put_status(player, &player->told.orders[i], ticket);
    question_end(player, index, true);
}

static void answer_fills(struct player *player, size_t index)
{
    const struct question *question = &player->questions[index];
    for (size_t i = 0; i < player->told.trade_count; i++) {
        const struct told_trade *trade = &player->told.trades[i];
        const struct told_order *order = &player->told.orders[trade->order];
        if (trade->is_gone || trade->time_ns < question->query.from_ns ||
            (question->order != SIZE_MAX && question->order != trade->order))
            continue;
        struct report report = report_new(player, REPORT_FILL, order->id);
        report.ticket = question->query.ticket;
        report.side = order->side;
        text_copy(report.fill.exec_id, sizeof(report.fill.exec_id), trade->trade);
        report.fill.qty = trade->qty;
        report.fill.price = trade->price;
        report.fill.transact_ns = report.transact_ns = trade->time_ns;
        report_put(player, order->instrument, &report);
    }
    question_end(player, index, true);
}

/* Of what is held as the last snapshot said it. */
static decimal said_average(const struct told *told, uint32_t instrument)
{
    bool is_same = decimal_valid(told->said_qty[instrument]) &&
                   decimal_cmp(told->said_qty[instrument], told_position(told, instrument)) == 0;
    return is_same ? told->said_avg[instrument] : DECIMAL_NONE;
}

static void answer_positions(struct player *player, size_t index)
{
    for (uint32_t i = 0; i < player->instruments.count; i++) {
        struct event event = { .kind = EVENT_POSITION, .instrument = i, .time_ns = player->now_ns };
        event.position.ticket = player->questions[index].query.ticket;
        event.position.qty = told_position(&player->told, i);
        event.position.avg_price = said_average(&player->told, i);
        if (!decimal_is_zero(event.position.qty))
            player_put(player, &event);
    }
    question_end(player, index, true);
}

void question_answer_default(struct player *player, size_t index)
{
    enum venue_query_kind kind = player->questions[index].query.kind;
    if (player->told.is_silent[kind]) {
        question_end(player, index, false);
        return;
    }
    switch (kind) {
    case QUERY_ORDER:
        answer_order(player, index);
        break;
    case QUERY_OPEN_ORDERS:
        answer_open_orders(player, index);
        break;
    case QUERY_FILLS:
        answer_fills(player, index);
        break;
    case QUERY_POSITIONS:
        answer_positions(player, index);
        break;
    default:
        question_end(player, index, true);
    }
}

void questions_look_again(struct player *player)
{
    for (size_t i = player->question_count; i-- > 0;)
        if (player->is_early || !script_answers(player, &player->questions[i]))
            question_answer_default(player, i);
}

int64_t scripted_due_ns(const struct player *player)
{
    int64_t due_ns = TIME_NEVER;
    for (size_t i = 0; i < player->question_count; i++)
        if (player->questions[i].fails_ns < due_ns)
            due_ns = player->questions[i].fails_ns;
    return due_ns;
}

void scripted_advance(struct player *player)
{
    for (size_t i = player->question_count; i-- > 0;)
        if (player->questions[i].fails_ns <= player->now_ns)
            question_end(player, i, false);
}

/* ---- the port ---- */

static struct sent *keep_sent(struct player *player, enum sent_kind kind, size_t order)
{
    player->sent = memory_grow(player->sent, &player->sent_capacity, player->sent_count + 1,
                               sizeof(struct sent));
    struct sent *sent = &player->sent[player->sent_count++];
    *sent = (struct sent){ .kind = kind,
                           .order = order,
                           .time_ns = player->now_ns,
                           .step = player->at,
                           .is_early = player->is_early };
    return sent;
}

static const struct venue_abilities *abilities(void *self, uint32_t instrument)
{
    (void)instrument;
    return &((struct player *)self)->abilities;
}

/* The double's own of what the runtime sends. An order is met for the first time at its submit, or
 * after a restart. */
static struct told_order *order_of(struct player *player, const struct order *order)
{
    struct told_order *told = told_by_id(&player->told, order->order_id);
    if (!told) {
        told = told_add(&player->told);
        told->order_id = order->order_id;
        told->instrument = order->instrument;
        told->side = order->side;
        told->type = order->type;
        told->qty = order->qty;
        told->price = decimal_valid(order->price) ? order->price : order->trigger_price;
    }
    text_copy(told->id, sizeof(told->id), order->current_client_order_id);
    return told;
}

static bool is_lost(struct player *player, enum sent_kind kind, const struct order *order)
{
    char qty[DECIMAL_TEXT_MAX], price[DECIMAL_TEXT_MAX];
    trace(player, "%s %s %s %s %s at %s%s", SENT_NAMES[kind], order->client_order_id,
          order_side_name(order->side), decimal_format(order->qty, qty),
          order_type_name(order->type),
          decimal_format(decimal_valid(order->price) ? order->price : order->trigger_price, price),
          player->drop_sends ? " (never left)" : "");
    return player->drop_sends;
}

static int scripted_submit(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct player *player = self;
    (void)err;
    struct told_order *told = order_of(player, order);
    if (is_lost(player, SENT_SUBMIT, order))
        return 0;
    told->submit_ns = now_ns;
    keep_sent(player, SENT_SUBMIT, (size_t)(told - player->told.orders));
    return 0;
}

static int scripted_amend(void *self, const struct order *order, decimal qty, decimal price,
                          int64_t now_ns, struct error *err)
{
    struct player *player = self;
    (void)err;
    struct told_order *told = order_of(player, order);
    told->replace_qty = qty;
    told->replace_price = price;
    text_copy(told->replace_id, sizeof(told->replace_id),
              order->pending_client_order_id[0] ? order->pending_client_order_id : told->id);
    if (is_lost(player, SENT_REPLACE, order))
        return 0;
    told->replace_ns = now_ns;
    told->new_not_found = false;
    keep_sent(player, SENT_REPLACE, (size_t)(told - player->told.orders));
    return 0;
}

static int scripted_cancel(void *self, const struct order *order, int64_t now_ns, struct error *err)
{
    struct player *player = self;
    (void)err;
    struct told_order *told = order_of(player, order);
    if (is_lost(player, SENT_CANCEL, order))
        return 0;
    told->cancel_ns = now_ns;
    keep_sent(player, SENT_CANCEL, (size_t)(told - player->told.orders));
    return 0;
}

static size_t order_asked_for(const struct player *player, const char *id)
{
    const struct told *told = &player->told;
    for (size_t i = told->order_count; id[0] && i-- > 0;)
        if (strcmp(told->orders[i].id, id) == 0 || strcmp(told->orders[i].replace_id, id) == 0)
            return i;
    for (size_t i = told->name_count; id[0] && i-- > 0;)
        if (strcmp(told->names[i].id, id) == 0)
            return told->names[i].order;
    return SIZE_MAX;
}

static int scripted_query(void *self, const struct venue_query *query, int64_t now_ns,
                          struct error *err)
{
    struct player *player = self;
    if (player->question_count == QUESTIONS_MAX)
        return error_set(err, ERROR_REFUSED, "too many questions");
    struct question *question = &player->questions[player->question_count++];
    *question =
        (struct question){ .query = *query, .order = SIZE_MAX, .fails_ns = now_ns + PATIENCE_NS };
    const char *id = query->client_order_id ? query->client_order_id : "";
    text_copy(question->client_order_id, sizeof(question->client_order_id), id);
    question->query.client_order_id = question->client_order_id;
    question->query.venue_order_id = question->venue_order_id;
    question->order = order_asked_for(player, id);
    trace(player, "ask %s %s", QUERY_NAMES[query->kind], id);
    struct sent *sent = keep_sent(player, SENT_QUERY, question->order);
    sent->query = query->kind;
    if (!player->is_up)
        question_end(player, player->question_count - 1, false);
    else if (player->is_early || !script_answers(player, question))
        question_answer_default(player, player->question_count - 1);
    return 0;
}

static int64_t never(void *self)
{
    (void)self;
    return TIME_NEVER;
}

static void nothing(void *self, int64_t now_ns)
{
    (void)self, (void)now_ns;
}

static void close_nothing(void *self)
{
    (void)self;
}

struct venue_port scripted_venue(struct player *player)
{
    return (struct venue_port){ .self = player,
                                .abilities = abilities,
                                .submit = scripted_submit,
                                .amend = scripted_amend,
                                .cancel = scripted_cancel,
                                .query = scripted_query,
                                .due_ns = never,
                                .advance = nothing,
                                .close = close_nothing };
}
