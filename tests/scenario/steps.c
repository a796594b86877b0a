/* steps.c - one step played: what the strategy does, what the venue says, what a fault does, and
 * what the runtime is expected to have sent. */
#include "tests/scenario/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/engine/state.h" /* the operator's kill */

#define ASKED_WITHIN_NS (70 * NS_PER_SECOND)   /* a question that the script expects */
#define SENT_WITHIN_NS (20 * NS_PER_SECOND)    /* an order, cancel or replace */
#define ANSWER_AHEAD_NS (10 * NS_PER_SECOND)   /* so far ahead a step may stand that answers */
#define QUESTION_WITHIN_NS (5 * NS_PER_SECOND) /* an answer waits so long for its question */

static const struct step *step_at(const struct player *player, size_t at)
{
    return &player->script.steps[at];
}

/* ---- which step answers which question ---- */

static const char *id_of(const struct player *player, const struct told_order *told, const char *cl)
{
    for (size_t i = player->told.name_count; i-- > 0;)
        if (strcmp(player->told.names[i].script, cl) == 0)
            return player->told.names[i].id;
    return told->id;
}

static bool is_about(const struct player *player, const struct step *step, size_t order)
{
    const struct told *told = &player->told;
    if (step->cl[0] == '\0' || order == SIZE_MAX)
        return true;
    for (size_t i = 0; i < told->name_count; i++)
        if (told->names[i].order == order && strcmp(told->names[i].script, step->cl) == 0)
            return true;
    return false;
}

static bool is_ask(const struct step *step, enum venue_query_kind kind)
{
    static const struct {
        const char *verb;
        enum venue_query_kind kind;
    } asks[] = { { "query", QUERY_ORDER },
                 { "query_trades", QUERY_FILLS },
                 { "snapshot_orders", QUERY_OPEN_ORDERS },
                 { "resync", QUERY_OPEN_ORDERS },
                 { "snapshot_positions", QUERY_POSITIONS },
                 { "resync", QUERY_POSITIONS },
                 { "orders", QUERY_OPEN_ORDERS },
                 { "open_orders", QUERY_OPEN_ORDERS },
                 { "snapshot", QUERY_OPEN_ORDERS },
                 { "snapshot", QUERY_POSITIONS },
                 { "positions", QUERY_POSITIONS },
                 { "trades", QUERY_FILLS } };
    for (size_t i = 0; i < ARRAY_SIZE(asks); i++)
        if (asks[i].kind == kind && strcmp(asks[i].verb, step->verb) == 0)
            return true;
    return false;
}

/* Whether an error or a time-out of the script ends a question: it says so, or follows one. */
static bool is_error_of(const struct player *player, size_t at, enum venue_query_kind kind,
                        size_t order)
{
    const struct step *step = step_at(player, at);
    const char *of = member_text(step->node, "of");
    bool is_any = of && strcmp(of, "query") == 0 && step->cl[0] == '\0';
    if (of && !is_any) {
        struct step asked = { .verb = of };
        return is_ask(&asked, kind) && is_about(player, step, order);
    }
    while (at-- > 0)
        if (step_at(player, at)->who == WHO_RUNTIME || step_at(player, at)->who == WHO_STRATEGY)
            return step_at(player, at)->who == WHO_RUNTIME && is_ask(step_at(player, at), kind) &&
                   is_about(player, step, order);
    return false;
}

static bool answers(const struct player *player, size_t at, enum venue_query_kind kind,
                    size_t order)
{
    const struct step *step = step_at(player, at);
    if (step->is_played)
        return false;
    if (step->who == WHO_FAULT)
        return strcmp(step->verb, "timeout") == 0 && is_error_of(player, at, kind, order);
    if (step->who != WHO_VENUE)
        return false;
    if (strcmp(step->verb, "http_error") == 0 || strcmp(step->verb, "garbage") == 0)
        return is_error_of(player, at, kind, order);
    const char *via = member_text(step->node, "via");
    bool is_pushed = via && strcmp(via, "ws") == 0;
    switch (kind) {
    case QUERY_ORDER:
        return !is_pushed && order != SIZE_MAX && is_about(player, step, order) &&
               (strcmp(step->verb, "status") == 0 || strcmp(step->verb, "not_found") == 0);
    case QUERY_FILLS:
        return strcmp(step->verb, "trades") == 0 && is_about(player, step, order);
    case QUERY_OPEN_ORDERS:
        return strcmp(step->verb, "snapshot_orders") == 0;
    case QUERY_POSITIONS:
        return strcmp(step->verb, "snapshot_positions") == 0;
    default:
        return false;
    }
}

/* Of an order with two ids, a replace under way, the step says which one it is about. */
static bool is_by_id(const struct player *player, const struct step *step,
                     const struct question *question)
{
    if (question->query.kind != QUERY_ORDER || question->order == SIZE_MAX || step->cl[0] == '\0')
        return true;
    const struct told_order *told = &player->told.orders[question->order];
    bool has_two = told->replace_id[0] && strcmp(told->replace_id, told->id) != 0;
    return !has_two || strcmp(id_of(player, told, step->cl), question->client_order_id) == 0;
}

/* The runtime is to do something else first, and asks once more what was answered already: a later
 * step answers a later question. */
static bool is_repeated(const struct player *player, const struct question *question)
{
    if (question->query.kind != QUERY_ORDER || question->order == SIZE_MAX ||
        player->at >= player->script.count)
        return false;
    const struct step *step = step_at(player, player->at);
    const struct told_order *told = &player->told.orders[question->order];
    bool is_answered = told->not_found || (told->is_told && !told_is_in_flight(told));
    bool is_elsewhere =
        step->who == WHO_RUNTIME && !is_ask(step, QUERY_ORDER) && strcmp(step->verb, "start") != 0;
    return is_elsewhere && is_answered && !told->is_silent;
}

static size_t answer_ahead(const struct player *player, const struct question *question)
{
    enum venue_query_kind kind = question->query.kind;
    size_t from = player->at;
    if (is_repeated(player, question))
        return SIZE_MAX;
    /* The step that is played has had its say, unless the question is what it waits for. */
    if (from < player->script.count && step_at(player, from)->who == WHO_VENUE &&
        !player->is_waiting)
        from++;
    for (size_t at = from; at < player->script.count; at++) {
        const struct step *step = step_at(player, at);
        if (START_NS + step->t_ns + player->shift_ns > player->now_ns + ANSWER_AHEAD_NS)
            return SIZE_MAX;
        if (step->who == WHO_FAULT &&
            (strcmp(step->verb, "crash") == 0 || strcmp(step->verb, "disconnect") == 0))
            return SIZE_MAX;
        if (answers(player, at, kind, question->order) && is_by_id(player, step, question))
            return at;
    }
    return SIZE_MAX;
}

bool script_answers(const struct player *player, const struct question *question)
{
    return answer_ahead(player, question) != SIZE_MAX;
}

/* The runtime asks in its own order: what it waits for is answered before its turn. */
bool step_play_ahead(struct player *player)
{
    size_t at = player->at;
    for (size_t i = 0; i < player->question_count; i++) {
        size_t ahead = answer_ahead(player, &player->questions[i]);
        if (ahead == SIZE_MAX || ahead <= at || player->is_ahead)
            continue;
        player->is_ahead = true;
        player->at = ahead;
        trace(player, "(%s is told ahead of its turn)", step_at(player, ahead)->verb);
        player->script.steps[ahead].is_played = true;
        step_play(player, step_at(player, ahead));
        player_drain(player);
        player->at = at;
        player->is_ahead = false;
        return true;
    }
    return false;
}

/* ---- what the runtime is expected to send ---- */

static bool is_sent(const struct player *player, const struct step *step, const struct sent *sent)
{
    static const char *const verbs[] = { "submit", "cancel", "replace" };
    if (sent->is_early || sent->is_met)
        return false;
    if (sent->kind != SENT_QUERY)
        return strcmp(step->verb, verbs[sent->kind]) == 0 && sent->order != SIZE_MAX &&
               is_about(player, step, sent->order);
    return is_ask(step, sent->query) && (sent->query != QUERY_ORDER || sent->order == SIZE_MAX ||
                                         is_about(player, step, sent->order));
}

static bool was_sent(struct player *player, const struct step *step)
{
    bool found = false;
    for (size_t i = 0; i < player->sent_count; i++)
        if (is_sent(player, step, &player->sent[i]))
            found = player->sent[i].is_met = true;
    return found;
}

/* An order of the runtime's own making that the script has not named yet: an exit, a close-out. */
static bool may_be(const struct player *player, const struct step *step,
                   const struct told_order *told)
{
    const char *side = member_text(step->node, "side"), *type = member_text(step->node, "type");
    decimal price = member_decimal(step->node, "px");
    if (told->order_id == 0 || told->name[0] != '\0')
        return false;
    if (side && strcmp(side, order_side_name(told->side)) != 0)
        return false;
    enum order_type named;
    if (type && type_named(type, &named) && named != told->type)
        return false;
    if (decimal_valid(price) &&
        (!decimal_valid(told->price) || decimal_cmp(told->price, price) != 0))
        return false;
    const struct order *order = engine_order(player->engine, told->order_id);
    return order && order_is_open(order);
}

static bool has_qty(const struct player *player, const struct step *step,
                    const struct told_order *told)
{
    const struct order *order = engine_order(player->engine, told->order_id);
    decimal qty = member_decimal(step->node, "qty");
    return !decimal_valid(qty) || (order && (decimal_cmp(order->qty, qty) == 0 ||
                                             decimal_cmp(order_remaining(order), qty) == 0));
}

/* It was placed for less (or more) than the script says: let it be changed. */
static void let_change(struct player *player, struct told_order *told)
{
    struct report report = report_new(player, REPORT_ACK, told->id);
    if (told->submit_ns != TIME_NEVER) {
        told_sum(told, ORDER_NEW, DECIMAL_NONE, DECIMAL_NONE);
    } else if (told->cancel_ns != TIME_NEVER) {
        report.kind = REPORT_CANCELED;
        told_sum(told, ORDER_CANCELED, DECIMAL_NONE, DECIMAL_NONE);
    } else if (told->replace_ns != TIME_NEVER) {
        report.kind = REPORT_REPLACED;
        report.qty = told->qty = told->replace_qty;
        report.price = told->type == ORDER_STOP ? DECIMAL_NONE : told->replace_price;
        memcpy(report.client_order_id, told->replace_id, sizeof(report.client_order_id));
    } else {
        return;
    }
    told_answered(told);
    report_put(player, told->instrument, &report);
    player_drain(player);
}

static bool was_placed(struct player *player, const struct step *step)
{
    if (!player->engine)
        return false;
    for (size_t i = 0; i < player->told.order_count; i++) {
        struct told_order *told = &player->told.orders[i];
        if (!may_be(player, step, told))
            continue;
        if (has_qty(player, step, told)) {
            told_call(&player->told, told, step->cl, told->id);
            for (size_t k = 0; k < player->sent_count; k++)
                if (player->sent[k].order == i)
                    player->sent[k].is_met = true;
            return true;
        }
        let_change(player, told);
    }
    return false;
}

/* A venue that links two orders ends the other one by itself. Where the script has the runtime end
 * it, the venue says that it still works. */
static void still_works(struct player *player, const struct step *step)
{
    const struct told_order *told = told_by_name(&player->told, step->cl);
    const struct order *order = told && told->order_id && player->engine
                                    ? engine_order(player->engine, told->order_id)
                                    : NULL;
    if (!order || order->group_id == 0 || !order_is_open(order) || order->pending ||
        order->known == ORDER_PENDING_NEW)
        return;
    struct report report = report_new(player, REPORT_ACK, told->id);
    report_put(player, told->instrument, &report);
    player_drain(player);
}

/* Waits; what keeps the runtime from it, an answer that comes later in the script, is told. */
static bool wait_patiently(struct player *player,
                           bool (*met)(struct player *player, const struct step *step),
                           const struct step *step, int64_t bound_ns)
{
    int64_t until_ns = player->now_ns + bound_ns;
    while (!player_wait(player, met, step, NS_PER_SECOND))
        if (!step_play_ahead(player) && player->now_ns >= until_ns)
            return false;
    return true;
}

static void expect_sent(struct player *player, const struct step *step)
{
    if (strcmp(step->verb, "cancel") == 0)
        still_works(player, step);
    bool is_new = strcmp(step->verb, "submit") == 0 && !told_name(&player->told, step->cl);
    bool is_order = step->verb[0] == 'c' || strcmp(step->verb, "submit") == 0 ||
                    strcmp(step->verb, "replace") == 0;
    int64_t began_ns = player->now_ns;
    if (!wait_patiently(player, is_new ? was_placed : was_sent, step,
                        is_order ? SENT_WITHIN_NS : ASKED_WITHIN_NS))
        fail_step(player, "steps: expected the runtime to send %s %s, got nothing", step->verb,
                  step->cl);
    player->shift_ns += player->now_ns - began_ns;
}

/* ---- faults ---- */

static const char *text_of(const struct step *step, const char *key, const char *otherwise)
{
    const char *text = member_text(step->node, key);
    return text ? text : otherwise;
}

static void fail_questions(struct player *player)
{
    memset(player->told.is_silent, 0, sizeof(player->told.is_silent));
    while (player->question_count > 0)
        question_end(player, 0, false);
}

static void put_connection(struct player *player, bool up, const char *reason)
{
    struct event event = { .kind = EVENT_CONNECTION, .connection = { .up = up } };
    text_copy(event.connection.reason, sizeof(event.connection.reason), reason);
    player->is_up = up;
    player_put(player, &event);
}

enum request { REQUEST_NONE, REQUEST_SUBMIT, REQUEST_CANCEL, REQUEST_REPLACE };

/* The newest of what was sent about the order and is not answered. */
static enum request newest_request(const struct told_order *told)
{
    const int64_t sent_ns[] = { INT64_MIN, told->submit_ns, told->cancel_ns, told->replace_ns };
    enum request newest = REQUEST_NONE;
    for (size_t i = 1; i < ARRAY_SIZE(sent_ns); i++)
        if (sent_ns[i] != TIME_NEVER && sent_ns[i] >= sent_ns[newest])
            newest = (enum request)i;
    return newest;
}

static enum request request_named(const char *of)
{
    return strcmp(of, "submit") == 0    ? REQUEST_SUBMIT
           : strcmp(of, "cancel") == 0  ? REQUEST_CANCEL
           : strcmp(of, "replace") == 0 ? REQUEST_REPLACE
                                        : REQUEST_NONE;
}

/* The last order with something under way. */
static struct told_order *any_in_flight(struct player *player)
{
    for (size_t i = player->told.order_count; i-- > 0;)
        if (told_is_in_flight(&player->told.orders[i]))
            return &player->told.orders[i];
    return NULL;
}

static bool is_any_question(struct player *player, const struct step *step)
{
    (void)step;
    return player->question_count > 0;
}

/* Ends questions that the step is about with a failure. False: it is about none. */
static bool fail_asked(struct player *player, const struct step *step)
{
    const char *of = text_of(step, "of", "");
    if (of[0] && request_named(of) != REQUEST_NONE)
        return false;
    if (of[0])
        player_wait(player, is_any_question, step, QUESTION_WITHIN_NS);
    bool found = false;
    for (size_t i = player->question_count; i-- > 0;) {
        const struct question *question = &player->questions[i];
        if (!is_error_of(player, player->at, question->query.kind, question->order))
            continue;
        if (question->order != SIZE_MAX)
            player->told.orders[question->order].is_silent = true;
        else
            player->told.is_silent[question->query.kind] = true;
        question_end(player, i, false);
        found = true;
    }
    return found || of[0];
}

/* Nobody knows what became of a request, or the venue refused it for good. */
static void fail_request(struct player *player, const struct step *step, bool is_final)
{
    static const enum report_kind refusals[] = { REPORT_DOUBT, REPORT_REJECTED,
                                                 REPORT_CANCEL_REJECT, REPORT_REPLACE_REJECT };
    if (fail_asked(player, step))
        return;
    struct told_order *told = told_by_name(&player->told, step->cl);
    if (!told)
        told = any_in_flight(player);
    if (!told)
        return;
    enum request request = request_named(text_of(step, "of", ""));
    if (request == REQUEST_NONE)
        request = newest_request(told);
    struct report report = report_new(player, is_final ? refusals[request] : REPORT_DOUBT,
                                      request == REQUEST_REPLACE ? told->replace_id : told->id);
    if (is_final && request != REQUEST_NONE)
        *(int64_t *[]){ &told->submit_ns, &told->submit_ns, &told->cancel_ns,
                        &told->replace_ns }[request] = TIME_NEVER;
    if (is_final && request == REQUEST_SUBMIT)
        told_sum(told, ORDER_REJECTED, DECIMAL_NONE, DECIMAL_NONE);
    snprintf(report.reason, sizeof(report.reason), "%s %s %s", step->verb,
             text_of(step, "status", ""), text_of(step, "reason", ""));
    report_put(player, told->instrument, &report);
}

static bool is_start_ahead(const struct player *player)
{
    for (size_t at = player->at + 1; at < player->script.count; at++) {
        const struct step *step = step_at(player, at);
        if (step->who == WHO_RUNTIME && strcmp(step->verb, "start") == 0)
            return true;
        if (step->who == WHO_FAULT && strcmp(step->verb, "crash") == 0)
            return false;
    }
    return false;
}

static void play_fault(struct player *player, const struct step *step)
{
    int64_t ms = member_int(step->node, "ms", 0);
    if (strcmp(step->verb, "timeout") == 0) {
        fail_request(player, step, false);
    } else if (strcmp(step->verb, "disconnect") == 0) {
        fail_questions(player);
        put_connection(player, false, "disconnect");
    } else if (strcmp(step->verb, "reconnect") == 0) {
        put_connection(player, true, "reconnect");
    } else if (strcmp(step->verb, "crash") == 0) {
        memset(player->told.is_silent, 0, sizeof(player->told.is_silent));
        if (player->engine)
            process_crash(player);
        if (!is_start_ahead(player))
            process_start(player);
    } else if (strcmp(step->verb, "clock_advance") == 0) {
        player->shift_ns += ms * NS_PER_MS;
        player_run_to(player, player->now_ns + ms * NS_PER_MS);
    } else if (strcmp(step->verb, "stream_silent") == 0) {
        player->shift_ns += ms * NS_PER_MS;
        player_run_to(player, player->now_ns + ms * NS_PER_MS);
        fail_questions(player);
        put_connection(player, false, "stale_private_stream");
        put_connection(player, true, "the private stream is back");
    } else {
        fail_step(player, "steps: expected a fault that is known, got %s", step->verb);
    }
}

/* ---- what the venue says ---- */

static enum order_status status_of(const struct step *step, const struct json *node)
{
    static const struct {
        const char *name;
        enum order_status status;
    } states[] = { { "pending_new", ORDER_PENDING_NEW },
                   { "working", ORDER_NEW },
                   { "new", ORDER_NEW },
                   { "partially_filled", ORDER_PARTIALLY_FILLED },
                   { "filled", ORDER_FILLED },
                   { "canceled", ORDER_CANCELED },
                   { "expired", ORDER_EXPIRED },
                   { "rejected", ORDER_REJECTED } };
    const char *state = member_text(node, "state");
    (void)step;
    for (size_t i = 0; state && i < ARRAY_SIZE(states); i++)
        if (strcmp(states[i].name, state) == 0)
            return states[i].status;
    decimal cum = member_decimal(node, "cum"); /* pending_cancel, pending_replace: it works */
    return decimal_valid(cum) && decimal_sign(cum) > 0 ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
}

static struct told_order *stranger(struct player *player, const char *name, const struct json *node)
{
    struct told_order *told = told_add(&player->told);
    const struct json *ours = json_get(node, "ours");
    const char *side = member_text(node, "side"), *ex = member_text(node, "ex");
    told->instrument = instrument_named(player, member_text(node, "sym"));
    told->side = side && strcmp(side, "sell") == 0 ? SIDE_SELL : SIDE_BUY;
    told->qty = member_decimal(node, "qty");
    told->price = member_decimal(node, "px");
    told->type = ORDER_LIMIT;
    if (ours && json_as_bool(ours) && player->ledger)
        player->port.next_client_order_id(player->port.self, told->id);
    else
        text_copy(told->id, sizeof(told->id), name);
    if (ex)
        text_copy(told->venue_order_id, sizeof(told->venue_order_id), ex);
    told_call(&player->told, told, name[0] ? name : ex ? ex : "?", told->id);
    return told;
}

/* The order that a message is about; one that nobody sent is the venue's own. */
static struct told_order *subject(struct player *player, const char *cl, const struct json *node)
{
    const char *ex = member_text(node, "ex"), *orig = member_text(node, "orig");
    struct told_order *told = cl[0] ? told_by_name(&player->told, cl) : NULL;
    for (size_t i = 0; !told && !cl[0] && ex && i < player->told.order_count; i++)
        if (strcmp(player->told.orders[i].venue_order_id, ex) == 0)
            told = &player->told.orders[i];
    if (!told && orig)
        told = told_by_name(&player->told, orig);
    return told ? told : stranger(player, cl, node);
}

static struct report report_of(struct player *player, const struct step *step,
                               const struct told_order *told, const struct json *node,
                               enum report_kind kind)
{
    const char *ex = member_text(node, "ex"), *reason = member_text(node, "reason");
    const char *trade = member_text(node, "trade"), *fee = member_text(node, "fee");
    int64_t venue_ms = member_int(node, "venue_ts", -1);
    struct report report = report_new(player, kind, id_of(player, told, step->cl));
    report.side = told->side;
    if (ex)
        text_copy(report.venue_order_id, sizeof(report.venue_order_id), ex);
    if (reason)
        text_copy(report.reason, sizeof(report.reason), reason);
    if (trade)
        text_copy(report.fill.exec_id, sizeof(report.fill.exec_id), trade);
    if (fee)
        report.fill.fee = member_decimal(node, "fee");
    report.fill.qty = report.qty = member_decimal(node, "qty");
    report.fill.price = report.price = member_decimal(node, "px");
    if (venue_ms >= 0)
        report.transact_ns = report.fill.transact_ns = START_NS + venue_ms * NS_PER_MS;
    return report;
}

/* Nothing of the stream arrives while the line or the process is down; what is asked for does. */
static bool is_heard(const struct player *player, const struct step *step)
{
    const char *via = member_text(step->node, "via");
    return player->engine && (player->is_up || (via && strcmp(via, "rest") == 0));
}

static void tell(struct player *player, const struct step *step, const struct told_order *told,
                 const struct report *report)
{
    if (is_heard(player, step))
        report_put(player, told->instrument, report);
}

static bool is_invalid(const struct json *node)
{
    const struct json *invalid = json_get(node, "invalid");
    return invalid && json_as_bool(invalid);
}

static void hear_fill(struct player *player, const struct step *step, struct told_order *told,
                      const struct json *node, uint64_t ticket)
{
    struct report report = report_of(player, step, told, node, REPORT_FILL);
    report.ticket = ticket;
    if (!is_invalid(node)) {
        told_fill(&player->told, told, report.fill.exec_id, report.fill.qty, report.fill.price,
                  report.fill.transact_ns);
        if (decimal_valid(report.fill.price))
            player->last_price = report.fill.price;
    }
    report.qty = report.price = DECIMAL_NONE;
    if (ticket || is_heard(player, step))
        report_put(player, told->instrument, &report);
}

static bool is_in_doubt(const struct player *player, const struct told_order *told)
{
    const struct order *order =
        told && told->order_id ? engine_order(player->engine, told->order_id) : NULL;
    return order && order->doubt;
}

/* Whether the runtime is about to ask: an answer without a question waits for it. */
static bool is_asking(const struct player *player, const struct told_order *told)
{
    if (!player->engine || !player->is_up)
        return false;
    return engine_is_reconciling(player->engine) || is_in_doubt(player, told);
}

static bool is_asked(struct player *player, const struct step *step)
{
    return question_find(player, player->waits_for, player->waits_order) != SIZE_MAX &&
           step != NULL;
}

/* The question that a step answers, or SIZE_MAX: it comes unasked. */
static size_t await_question(struct player *player, const struct step *step,
                             enum venue_query_kind kind, size_t order, int64_t bound_ns)
{
    int64_t began_ns = player->now_ns;
    player->waits_for = kind;
    player->waits_order = order;
    player->is_waiting = true;
    wait_patiently(player, is_asked, step, bound_ns);
    player->is_waiting = false;
    player->shift_ns += player->now_ns - began_ns;
    return question_find(player, kind, order);
}

/* A question about the order; by that id, where a replace under way gives it two. */
static size_t find_asked(const struct player *player, size_t order, const char *id)
{
    const struct told_order *told = &player->told.orders[order];
    bool has_two = told->replace_id[0] && strcmp(told->replace_id, told->id) != 0;
    return has_two ? question_by_id(player, order, id) : question_find(player, QUERY_ORDER, order);
}

static void hear_status(struct player *player, const struct step *step, struct told_order *told)
{
    bool missing = strcmp(step->verb, "not_found") == 0;
    const char *via = text_of(step, "via", "ws");
    size_t order = (size_t)(told - player->told.orders);
    struct report report =
        report_of(player, step, told, step->node, missing ? REPORT_NOT_FOUND : REPORT_STATUS);
    size_t question = find_asked(player, order, report.client_order_id);
    if (question == SIZE_MAX && strcmp(via, "rest") == 0 && is_asking(player, told))
        await_question(player, step, QUERY_ORDER, order,
                       is_in_doubt(player, told) ? ASKED_WITHIN_NS : QUESTION_WITHIN_NS);
    question = find_asked(player, order, report.client_order_id);
    report.status = status_of(step, step->node);
    report.cum_qty = member_decimal(step->node, "cum");
    report.avg_price = member_decimal(step->node, "avg");
    if (!missing && !is_invalid(step->node)) {
        told_sum(told, report.status, report.cum_qty, report.avg_price);
        if (decimal_valid(report.qty))
            told->qty = report.qty;
        if (decimal_valid(report.price))
            told->price = report.price;
    }
    if (question == SIZE_MAX) {
        tell(player, step, told, &report);
        return;
    }
    bool is_new = strcmp(report.client_order_id, told->id) != 0 &&
                  strcmp(report.client_order_id, told->replace_id) == 0;
    if (is_new && missing) {
        told->new_not_found = true;
    } else {
        told->not_found = missing;
        told_answered(told);
        memcpy(told->id, report.client_order_id, sizeof(told->id));
    }
    for (; question != SIZE_MAX; question = find_asked(player, order, report.client_order_id)) {
        report.ticket = player->questions[question].query.ticket;
        report_put(player, told->instrument, &report);
        question_end(player, question, true);
    }
}

static void hear_trades(struct player *player, const struct step *step)
{
    const struct json *list = json_get(step->node, "list");
    struct told_order *told = step->cl[0] ? subject(player, step->cl, step->node) : NULL;
    size_t order = told ? (size_t)(told - player->told.orders) : SIZE_MAX;
    size_t question = question_find(player, QUERY_FILLS, order);
    if (question == SIZE_MAX && is_asking(player, told))
        question = await_question(player, step, QUERY_FILLS, order, QUESTION_WITHIN_NS);
    player->told.is_silent[QUERY_FILLS] = false;
    uint64_t ticket = question == SIZE_MAX ? 0 : player->questions[question].query.ticket;
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *node = json_at(list, i);
        const char *cl = member_text(node, "cl");
        struct step part = *step;
        part.cl = cl ? cl : step->cl;
        hear_fill(player, &part, cl || !told ? subject(player, part.cl, node) : told, node, ticket);
    }
    if (question != SIZE_MAX)
        question_end(player, question, true);
}

static void hear_orders(struct player *player, const struct step *step)
{
    const struct json *list = json_get(step->node, "orders");
    size_t question = question_find(player, QUERY_OPEN_ORDERS, SIZE_MAX);
    if (question == SIZE_MAX && player->engine && player->is_up)
        question = await_question(player, step, QUERY_OPEN_ORDERS, SIZE_MAX, ASKED_WITHIN_NS);
    player->told.is_silent[QUERY_OPEN_ORDERS] = false;
    for (size_t i = 0; i < player->told.order_count; i++)
        player->told.orders[i].is_listed = false;
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *node = json_at(list, i);
        const char *cl = member_text(node, "cl");
        struct step part = *step;
        part.cl = cl ? cl : "";
        struct told_order *told = subject(player, part.cl, node);
        struct report report = report_of(player, &part, told, node, REPORT_STATUS);
        report.status = status_of(step, node);
        report.cum_qty = member_decimal(node, "cum");
        report.avg_price = member_decimal(node, "avg");
        if (!decimal_valid(report.qty))
            report.qty = told->qty;
        told_sum(told, report.status, report.cum_qty, report.avg_price);
        told->is_listed = true;
        if (question == SIZE_MAX)
            continue;
        report.ticket = player->questions[question].query.ticket;
        report_put(player, told->instrument, &report);
    }
    if (question != SIZE_MAX)
        question_end(player, question, true);
}

static void hear_positions(struct player *player, const struct step *step)
{
    const struct json *list = json_get(step->node, "positions");
    size_t question = question_find(player, QUERY_POSITIONS, SIZE_MAX);
    if (question == SIZE_MAX && player->engine && player->is_up)
        question = await_question(player, step, QUERY_POSITIONS, SIZE_MAX, ASKED_WITHIN_NS);
    player->told.is_silent[QUERY_POSITIONS] = false;
    for (uint32_t i = 0; i < player->instruments.count; i++)
        player->told.base_qty[i] =
            decimal_sub(player->told.base_qty[i], told_position(&player->told, i));
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *node = json_at(list, i);
        struct event event = { .kind = EVENT_POSITION,
                               .instrument = instrument_named(player, member_text(node, "sym")) };
        event.position.qty = member_decimal(node, "qty");
        event.position.avg_price = member_decimal(node, "avg");
        player->told.base_qty[event.instrument] =
            decimal_add(player->told.base_qty[event.instrument], event.position.qty);
        player->told.said_qty[event.instrument] = event.position.qty;
        player->told.said_avg[event.instrument] = event.position.avg_price;
        if (question == SIZE_MAX)
            continue;
        event.position.ticket = player->questions[question].query.ticket;
        player_put(player, &event);
    }
    if (question != SIZE_MAX)
        question_end(player, question, true);
}

/* A new id that the strategy has not sent yet: its replace waits for the one before. */
static bool is_deferred(struct player *player, const struct step *step)
{
    for (size_t i = 0; i < player->deferred_count; i++) {
        const char *name = member_text(player->deferred[i]->node, "new");
        if (!name || strcmp(name, step->cl) != 0)
            continue;
        if (strcmp(step->verb, "replace_reject") == 0) {
            player->deferred_count--;
            memmove(&player->deferred[i], &player->deferred[i + 1],
                    (player->deferred_count - i) * sizeof(player->deferred[0]));
        }
        return true;
    }
    return false;
}

static void hear_end(struct player *player, const struct step *step, struct told_order *told,
                     enum report_kind kind, enum order_status status)
{
    struct report report = report_of(player, step, told, step->node, kind);
    decimal cum = member_decimal(step->node, "cum");
    told_sum(told, status, DECIMAL_NONE, DECIMAL_NONE);
    told_answered(told);
    report.qty = report.price = DECIMAL_NONE;
    if (decimal_valid(cum)) { /* an end that says how much had filled */
        report.kind = REPORT_STATUS;
        report.status = status;
        report.cum_qty = cum;
        report.avg_price = member_decimal(step->node, "avg");
        if (!decimal_valid(report.avg_price) && decimal_cmp(cum, told_cum(told)) <= 0)
            report.avg_price = told_avg(told);
        told_sum(told, status, cum, report.avg_price);
    }
    tell(player, step, told, &report);
}

static void hear_replaced(struct player *player, const struct step *step, struct told_order *told)
{
    struct report report = report_of(player, step, told, step->node, REPORT_REPLACED);
    decimal qty = decimal_valid(report.qty) ? report.qty : told->replace_qty;
    decimal price = decimal_valid(report.price) ? report.price : told->replace_price;
    if (decimal_valid(qty))
        told->qty = qty;
    if (decimal_valid(price))
        told->price = price;
    memcpy(told->id, report.client_order_id, sizeof(told->id));
    told->replace_ns = TIME_NEVER;
    told_sum(told,
             decimal_valid(told->qty) && decimal_cmp(told_cum(told), told->qty) >= 0 ? ORDER_FILLED
             : decimal_is_zero(told_cum(told))                                       ? ORDER_NEW
                                               : ORDER_PARTIALLY_FILLED,
             DECIMAL_NONE, DECIMAL_NONE);
    tell(player, step, told, &report);
}

static void hear_correct(struct player *player, const struct step *step, struct told_order *told)
{
    struct report report = report_of(player, step, told, step->node, REPORT_CORRECT);
    told_correct(&player->told, told, report.fill.exec_id, report.fill.qty, report.fill.price);
    report.qty = report.price = DECIMAL_NONE;
    tell(player, step, told, &report);
}

static void hear_simple(struct player *player, const struct step *step, struct told_order *told,
                        enum report_kind kind)
{
    struct report report = report_of(player, step, told, step->node, kind);
    if (kind == REPORT_ACK && !told_is_open(told)) {
        if (told->status == ORDER_PENDING_NEW)
            told_sum(told, ORDER_NEW, DECIMAL_NONE, DECIMAL_NONE);
        told->submit_ns = TIME_NEVER;
    } else if (kind == REPORT_CANCEL_REJECT) {
        told->cancel_ns = TIME_NEVER;
    } else if (kind == REPORT_REPLACE_REJECT) {
        told->replace_ns = TIME_NEVER;
    } else if (kind == REPORT_RESTATED && decimal_valid(report.qty)) {
        told->qty = report.qty;
        if (told_is_open(told) && decimal_cmp(told_cum(told), told->qty) >= 0)
            told_sum(told, ORDER_FILLED, DECIMAL_NONE, DECIMAL_NONE);
    } else if (kind == REPORT_BUST) {
        told_bust(&player->told, told, report.fill.exec_id);
    }
    if (report.venue_order_id[0])
        memcpy(told->venue_order_id, report.venue_order_id, sizeof(told->venue_order_id));
    if (kind != REPORT_RESTATED)
        report.qty = report.price = DECIMAL_NONE;
    tell(player, step, told, &report);
}

/* Others trade at a price. */
static void hear_market(struct player *player, const struct step *step)
{
    uint32_t instrument = instrument_named(player, member_text(step->node, "sym"));
    struct event event = { .kind = EVENT_TRADE, .instrument = instrument };
    player->last_price = member_decimal(step->node, "px");
    event.trade.qty = 1;
    if (decimal_mantissa(player->last_price, player->instruments.list[instrument].price_scale,
                         &event.trade.price) < 0)
        fail_step(player, "steps: expected a price, got %s", text_of(step, "px", "none"));
    else if (player->engine)
        player_put(player, &event);
}

/* A number of the stream that is missing is what a gateway answers by a new line. */
static void follow_sequence(struct player *player, const struct step *step)
{
    int64_t seq = member_int(step->node, "seq", -1);
    if (seq < 0)
        return;
    if (player->seq >= 0 && seq > player->seq + 1 && player->engine && player->is_up) {
        put_connection(player, false, "sequence_gap");
        put_connection(player, true, "sequence_gap");
    }
    if (seq > player->seq)
        player->seq = seq;
}

static void play_venue(struct player *player, const struct step *step)
{
    static const struct {
        const char *verb;
        enum report_kind kind;
    } simple[] = { { "ack", REPORT_ACK },
                   { "cancel_reject", REPORT_CANCEL_REJECT },
                   { "replace_reject", REPORT_REPLACE_REJECT },
                   { "restated", REPORT_RESTATED },
                   { "bust", REPORT_BUST } };
    const char *verb = step->verb;
    follow_sequence(player, step);
    if (strcmp(verb, "snapshot_orders") == 0) {
        hear_orders(player, step);
        return;
    }
    if (strcmp(verb, "snapshot_positions") == 0) {
        hear_positions(player, step);
        return;
    }
    if (strcmp(verb, "trades") == 0) {
        hear_trades(player, step);
        return;
    }
    if (strcmp(verb, "http_error") == 0 || strcmp(verb, "garbage") == 0) {
        int64_t status = member_int(step->node, "status", 500);
        fail_request(player, step, strcmp(verb, "http_error") == 0 && status < 500);
        return;
    }
    if (strcmp(verb, "market") == 0) {
        hear_market(player, step);
        return;
    }
    if (is_deferred(player, step))
        return;
    struct told_order *told = subject(player, step->cl, step->node);
    const char *ex = member_text(step->node, "ex");
    if (ex && told->venue_order_id[0] == '\0')
        text_copy(told->venue_order_id, sizeof(told->venue_order_id), ex);
    for (size_t i = 0; i < ARRAY_SIZE(simple); i++)
        if (strcmp(simple[i].verb, verb) == 0) {
            hear_simple(player, step, told, simple[i].kind);
            return;
        }
    if (strcmp(verb, "fill") == 0)
        hear_fill(player, step, told, step->node, 0);
    else if (strcmp(verb, "status") == 0 || strcmp(verb, "not_found") == 0)
        hear_status(player, step, told);
    else if (strcmp(verb, "reject") == 0)
        hear_end(player, step, told, REPORT_REJECTED, ORDER_REJECTED);
    else if (strcmp(verb, "canceled") == 0)
        hear_end(player, step, told, REPORT_CANCELED, ORDER_CANCELED);
    else if (strcmp(verb, "expired") == 0)
        hear_end(player, step, told, REPORT_EXPIRED, ORDER_EXPIRED);
    else if (strcmp(verb, "replaced") == 0)
        hear_replaced(player, step, told);
    else if (strcmp(verb, "correct") == 0)
        hear_correct(player, step, told);
    else if (strcmp(verb, "pending_cancel") != 0 && strcmp(verb, "pending_replace") != 0)
        fail_step(player, "steps: expected a venue event that is known, got %s", verb);
}

/* ---- the operator, and the dispatch ---- */

static void play_operator(struct player *player, const struct step *step)
{
    if (strcmp(step->verb, "kill") != 0) {
        fail_step(player, "steps: expected an operator's command that is known, got %s",
                  step->verb);
        return;
    }
    if (!player->engine)
        return;
    turn_alert(player->engine, -1, "kill_switch", "the operator stopped all trading");
    halts_session(player->engine, -1, "kill_switch", "the operator stopped all trading", false);
    player_put(player, &(struct event){ .kind = EVENT_ANSWER });
}

static bool contains_any(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strstr(text, *words))
            return true;
    return false;
}

/* A crash may lie inside the step before it: between commit and send, or before the commit. */
static void prepare_crash(struct player *player)
{
    static const char *const sends[] = { "before_send", "before send", NULL };
    static const char *const stored[] = {
        "after_intent", "after_wal",   "after_store", "after_write",
        "after_commit", "after_fsync", NULL
    };
    static const char *const commits[] = { "before_commit",
                                           "before_intent",
                                           "before_write",
                                           "before_store",
                                           "before_wal",
                                           "before_record",
                                           "before_fsync",
                                           "before_persist",
                                           "torn",
                                           "mid_write",
                                           "during_write",
                                           "half",
                                           NULL };
    if (player->at + 1 >= player->script.count)
        return;
    const struct step *next = step_at(player, player->at + 1);
    if (next->who != WHO_FAULT || strcmp(next->verb, "crash") != 0)
        return;
    const char *where = text_of(next, "at", "");
    const struct step *step = step_at(player, player->at);
    player->drop_sends =
        contains_any(where, sends) ||
        (step->who == WHO_STRATEGY && !strstr(where, "send") && contains_any(where, stored));
    player->lose_commits = contains_any(where, commits);
}

static void play_strategy(struct player *player, const struct step *step)
{
    size_t sent = player->sent_count;
    if (!player->engine) {
        trace(player, "strategy %s: the process is down", step->verb);
        return;
    }
    player_task(player, step);
    for (size_t i = sent; i < player->sent_count; i++)
        if (is_sent(player, step, &player->sent[i]))
            player->sent[i].is_met = true;
}

void step_play(struct player *player, const struct step *step)
{
    static const char *const harmless[] = { "clock_advance", "reconnect", NULL };
    bool is_fault =
        step->who == WHO_OPERATOR || (step->who == WHO_FAULT && !is_one_of(step->verb, harmless));
    if (is_fault && player->first_fault == SIZE_MAX)
        player->first_fault = player->sent_count;
    prepare_crash(player);
    switch (step->who) {
    case WHO_STRATEGY:
        play_strategy(player, step);
        break;
    case WHO_OPERATOR:
        play_operator(player, step);
        break;
    case WHO_VENUE:
        play_venue(player, step);
        break;
    case WHO_FAULT:
        play_fault(player, step);
        break;
    case WHO_RUNTIME:
        if (strcmp(step->verb, "start") != 0)
            expect_sent(player, step);
        else if (!player->engine)
            process_start(player);
        break;
    }
}
