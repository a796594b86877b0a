/* turn.c - what a turn gathers, and how it ends: callbacks until quiet, commit, send.
 *
 * Invariants:
 *  1. Nothing leaves before the transaction that holds its intent is committed.
 *  2. A callback is a transaction: what a failed one asked for is taken back whole.
 *  3. Callbacks never nest: deliveries wait in a queue while one runs. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record *turn_record(struct engine *engine, enum record_kind kind, int instance,
                           uint32_t instrument)
{
    engine->records = memory_grow(engine->records, &engine->record_capacity,
                                  engine->record_count + 1, sizeof(struct record));
    struct record *record = &engine->records[engine->record_count++];
    memset(record, 0, sizeof(*record));
    record->kind = kind;
    record->instance_id = instance >= 0 ? engine->instances[instance].instance_id : 0;
    record->instrument = instrument;
    return record;
}

void turn_record_order(struct engine *engine, struct order *order)
{
    exposure_follow(engine, order);
    int instance = instance_of_order(engine, order);
    turn_record(engine, RECORD_ORDER, instance, order->instrument)->order = *order;
}

/* What the venue gets, and counts. */
static bool is_message(const struct command *command)
{
    return command->kind == COMMAND_SUBMIT || command->kind == COMMAND_RESEND ||
           command->kind == COMMAND_CANCEL || command->kind == COMMAND_AMEND;
}

void turn_command(struct engine *engine, const struct command *command)
{
    if (is_message(command))
        scopes_message(engine, blotter_find(engine->blotter, command->order_id));
    engine->commands = memory_grow(engine->commands, &engine->command_capacity,
                                   engine->command_count + 1, sizeof(struct command));
    engine->commands[engine->command_count++] = *command;
}

struct delivery *turn_deliver(struct engine *engine, enum guest_call call, int instance,
                              uint32_t instrument)
{
    engine->deliveries = memory_grow(engine->deliveries, &engine->delivery_capacity,
                                     engine->delivery_count + 1, sizeof(struct delivery));
    struct delivery *delivery = &engine->deliveries[engine->delivery_count++];
    memset(delivery, 0, sizeof(*delivery));
    delivery->call = call;
    delivery->instance = instance;
    delivery->instrument = instrument;
    engine->instances[instance].deliveries++;
    return delivery;
}

void turn_say(struct engine *engine, enum record_kind kind, int instance, const char *name,
              const char *text)
{
    engine->texts =
        memory_grow(engine->texts, &engine->text_capacity, engine->text_count + 1, sizeof(char *));
    char *copy = strdup(text);
    ASSERT(copy);
    engine->texts[engine->text_count++] = copy;
    struct record *record = turn_record(engine, kind, instance, INSTRUMENT_NONE);
    record->name = name;
    record->body = copy;
    record->body_length = strlen(copy);
}

void turn_alert(struct engine *engine, int instance, const char *kind, const char *text)
{
    engine->counts.alerts++;
    turn_say(engine, RECORD_ALERT, instance, kind, text);
    LOG(engine->options.log, LOG_WARN, "alert", text, F_STR("kind", kind),
        F_STR("strategy", instance >= 0 ? engine->instances[instance].strategy : "-"));
}

struct turn_mark turn_mark(const struct engine *engine)
{
    return (struct turn_mark){ .records = engine->record_count,
                               .commands = engine->command_count,
                               .deliveries = engine->delivery_count,
                               .counts = engine->counts,
                               .halted = engine->halted,
                               .halted_for_day = engine->halted_for_day };
}

void turn_take_back(struct engine *engine, const struct turn_mark *mark)
{
    while (engine->command_count > mark->commands) {
        const struct command *command = &engine->commands[--engine->command_count];
        if (command->kind == COMMAND_QUERY)
            continue;
        if (is_message(command))
            scopes_take_message_back(engine, blotter_find(engine->blotter, command->order_id));
        if (command->kind == COMMAND_SUBMIT)
            guards_take_back(engine, blotter_find(engine->blotter, command->order_id));
        if (command->kind == COMMAND_SUBMIT || command->kind == COMMAND_HOLD) {
            exposure_forget(engine, command->order_id);
            blotter_drop(engine->blotter, command->order_id);
        } else {
            struct order *order = blotter_find(engine->blotter, command->order_id);
            ASSERT(order);
            *order = command->before;
            exposure_follow(engine, order);
        }
    }
    engine->record_count = mark->records;
    engine->delivery_count = mark->deliveries;
    engine->counts = mark->counts;
    engine->halted = mark->halted;
    engine->halted_for_day = mark->halted_for_day;
}

bool turn_call(struct engine *engine, int index, enum guest_call call,
               const struct guest_event *event)
{
    struct instance *instance = &engine->instances[index];
    struct turn_mark mark = turn_mark(engine);
    struct error err; /* a kilobyte: only what is read without a failure is cleared */
    err.code = 0;
    err.where[0] = err.message[0] = '\0';

    instance->requests = 0;
    instance->touched = true;
    int code = instance->guest.call(instance->guest.self, call, event, &err);
    if (code < 0) {
        turn_take_back(engine, &mark);
        char why[sizeof(err.where) + sizeof(err.message) + 4];
        snprintf(why, sizeof(why), "%s%s%s", err.where, err.where[0] ? ": " : "", err.message);
        instance_fail(engine, index, err.code < 0 ? err.code : code, why);
        return false;
    }
    if (instance->stop_asked) {
        instance->stop_asked = false;
        char why[sizeof(instance->why)];
        memcpy(why, instance->why, sizeof(why));
        instance_fail(engine, index, ERROR_NONE, why);
    }
    return true;
}

/* What the guest is told: pointers into the delivery, which the queue may move while it runs. */
static void deliver(struct engine *engine, const struct delivery *queued)
{
    struct delivery delivery = *queued;
    struct instance *instance = &engine->instances[delivery.instance];
    if (!instance->alive || !(instance->guest.calls & (1u << delivery.call)))
        return;
    struct guest_event event = { .time_ns = engine->now_ns,
                                 .instrument = delivery.instrument,
                                 .order = &delivery.order,
                                 .name = delivery.order.reason };
    if (delivery.call == GUEST_FILL)
        event.fill = &delivery.fill;
    if (delivery.call == GUEST_POSITION)
        event.position =
            &instance_holding(engine, delivery.instance, delivery.instrument)->position;
    if (delivery.call == GUEST_RECONCILE)
        event.difference = &delivery.difference;
    if (delivery.call == GUEST_CONNECTION)
        event.name = delivery.code;
    if (delivery.call == GUEST_RISK) {
        event.code = delivery.code;
        event.verdict = verdict_name(delivery.verdict);
    }
    turn_call(engine, delivery.instance, delivery.call, &event);
}

static void deliver_until_quiet(struct engine *engine)
{
    while (engine->delivery_first < engine->delivery_count) {
        const struct delivery *delivery = &engine->deliveries[engine->delivery_first++];
        if (engine->instances[delivery->instance].deliveries > DELIVERIES_PER_TURN)
            instance_fail(engine, delivery->instance, ERROR_RANGE,
                          "its callbacks caused each other without end");
        deliver(engine, delivery);
    }
    engine->delivery_first = engine->delivery_count = 0;
}

static void gather_states(struct engine *engine, bool only_touched)
{
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        if (!instance->guest.self || (only_touched && !instance->touched))
            continue;
        instance->touched = false;
        text_clear(&instance->state);
        if (!instance->guest.state(instance->guest.self, &instance->state))
            continue;
        struct record *record = turn_record(engine, RECORD_STATE, i, INSTRUMENT_NONE);
        record->name = "state";
        record->body = instance->state.data;
        record->body_length = instance->state.length;
    }
}

/* The day's figures, as instance 0's own memory: what a restart in the middle of a day goes on
 * from.
 */
static void gather_risk(struct engine *engine, bool flush)
{
    bool is_news = engine->day_is_news || (flush && engine->peak_is_news);
    if (!engine->options.risk.keeps_day || !is_news)
        return;
    engine->day_is_news = engine->peak_is_news = false;
    text_clear(&engine->risk_text);
    scopes_write(engine, &engine->risk_text);
    struct record *record = turn_record(engine, RECORD_STATE, -1, INSTRUMENT_NONE);
    record->name = "risk";
    record->body = engine->risk_text.data;
    record->body_length = engine->risk_text.length;
}

static int commit(struct engine *engine, struct error *err)
{
    struct turn turn = { .time_ns = engine->now_ns,
                         .event = engine->counts.events,
                         .records = engine->records,
                         .count = engine->record_count };
    int code = engine->options.ledger.commit(engine->options.ledger.self, &turn, err);
    for (size_t i = 0; i < engine->text_count; i++)
        free(engine->texts[i]);
    engine->text_count = 0;
    engine->record_count = 0;
    if (code < 0) {
        engine->broken = code;
        engine->command_count = 0;
    }
    return code;
}

static int refuse_turn(const struct engine *engine, struct error *err)
{
    return error_set(err, engine->broken,
                     "an earlier turn could not be stored in the ledger: nothing may leave");
}

/* A command that the port cannot even take is a rejection by ourselves; but for a way out, which is
 * tried again, and for a cancel, whose wish stands: it is sent again once the venue has said how
 * the order stands. */
static void refuse_command(struct engine *engine, const struct command *command,
                           const struct error *why)
{
    struct order *order = blotter_find(engine->blotter, command->order_id);
    if (command->keeps && (why->code == ERROR_UNAVAILABLE || !engine->is_connected)) {
        doubt_unsent(engine, order);
        return;
    }
    static const enum report_kind kinds[] = { [COMMAND_SUBMIT] = REPORT_REJECTED,
                                              [COMMAND_RESEND] = REPORT_DOUBT,
                                              [COMMAND_CANCEL] = REPORT_DOUBT,
                                              [COMMAND_AMEND] = REPORT_REPLACE_REJECT };
    struct report report = { .kind = kinds[command->kind],
                             .qty = DECIMAL_NONE,
                             .price = DECIMAL_NONE,
                             .transact_ns = engine->now_ns };
    memcpy(report.client_order_id, order->client_order_id, sizeof(report.client_order_id));
    text_copy(report.reason, sizeof(report.reason), why->message);
    engine->guards.is_own_word = true;
    report_apply_to(engine, order, &report);
    engine->guards.is_own_word = false;
}

/* A question that the port cannot take is answered "failed" by ourselves. */
static void refuse_query(struct engine *engine, const struct venue_query *query,
                         const struct error *why)
{
    struct answer_event answer = { .ticket = query->ticket, .complete = false };
    text_copy(answer.reason, sizeof(answer.reason), why->message);
    doubt_answer(engine, &answer);
    reconcile_answer(engine, &answer);
}

static int send_command(struct engine *engine, const struct command *command, struct error *err)
{
    const struct venue_port *venue = &engine->options.venue;
    if (command->kind == COMMAND_QUERY)
        return venue->query(venue->self, &command->query, engine->now_ns, err);
    struct order form;
    const struct order *order = blotter_find(engine->blotter, command->order_id);
    ASSERT(order);
    order = held_form(engine, order, &form);
    switch (command->kind) {
    case COMMAND_SUBMIT:
    case COMMAND_RESEND:
        return venue->submit(venue->self, order, engine->now_ns, err);
    case COMMAND_CANCEL:
        return venue->cancel(venue->self, order, engine->now_ns, err);
    case COMMAND_AMEND:
        return venue->amend(venue->self, order, command->qty, command->price, engine->now_ns, err);
    default:
        return 0;
    }
}

static void refuse(struct engine *engine, const struct command *command, const struct error *why)
{
    if (command->kind == COMMAND_QUERY)
        refuse_query(engine, &command->query, why);
    else
        refuse_command(engine, command, why);
}

/* A halt of this turn came after it was asked for, and canceled it; or a breaker opened meanwhile.
 */
static bool is_too_late(struct engine *engine, const struct command *command)
{
    if (command->kind != COMMAND_SUBMIT && command->kind != COMMAND_RESEND &&
        command->kind != COMMAND_AMEND)
        return false;
    const struct order *order = blotter_find(engine->blotter, command->order_id);
    if (order->pending & PENDING_CANCEL && desk_must_go(engine, order))
        return true;
    return command->kind != COMMAND_AMEND && guards_overtook(engine, order);
}

/* It stays here, and where it never was at the venue its cancel does too. */
static void withhold(struct engine *engine, const struct command *command, size_t count)
{
    struct error why;
    error_set(&why, ERROR_REFUSED,
              "trading was halted, or its breaker opened, before it could leave");
    for (size_t i = 0; command->kind == COMMAND_SUBMIT && i < count; i++)
        if (engine->commands[i].order_id == command->order_id)
            engine->commands[i].kind = COMMAND_HOLD; /* nothing leaves */
    refuse(engine, command, &why);
}

static void send_one(struct engine *engine, const struct command *command)
{
    struct error err = { 0 };
    if (command->kind == COMMAND_HOLD)
        return;
    if (command->kind == COMMAND_HELD_CHANGE)
        held_settle(engine, command);
    else if (send_command(engine, command, &err) < 0)
        refuse(engine, command, &err);
    else if (command->kind != COMMAND_QUERY)
        doubt_sent(engine, blotter_find(engine->blotter, command->order_id));
}

/* What a refusal causes (an exit to be changed) is added behind, and stays: it is not committed. */
static void send_commands(struct engine *engine)
{
    size_t count = engine->command_count;
    for (size_t i = 0; i < count; i++) {
        struct command command = engine->commands[i];
        if (is_too_late(engine, &command))
            withhold(engine, &command, count);
        else
            send_one(engine, &command);
    }
    engine->command_count -= count;
    memmove(engine->commands, engine->commands + count,
            engine->command_count * sizeof(struct command));
}

int turn_finish(struct engine *engine, struct error *err)
{
    if (engine->broken)
        return refuse_turn(engine, err);
    do {
        deliver_until_quiet(engine);
        stops_sync(engine);
        if (engine->record_count > 0) {
            gather_states(engine, true);
            gather_risk(engine, false);
            int code = commit(engine, err);
            if (code < 0)
                return code;
        }
        if (engine->command_count > 0)
            send_commands(engine);
    } while (!turn_is_idle(engine)); /* what a refusal caused is the next round's */
    for (int i = 0; i < engine->instance_count; i++)
        engine->instances[i].deliveries = 0;
    blotter_prune(engine->blotter);
    return 0;
}

int engine_flush(struct engine *engine, int64_t now_ns, struct error *err)
{
    (void)now_ns;
    if (engine->broken)
        return refuse_turn(engine, err);
    gather_states(engine, false);
    gather_risk(engine, true);
    return engine->record_count ? commit(engine, err) : 0;
}

int engine_journal(struct engine *engine, int64_t now_ns, const char *name, const char *body,
                   struct error *err)
{
    if (engine->started_ns == TIME_NEVER)
        engine->now_ns = now_ns;
    struct record *record = turn_record(engine, RECORD_JOURNAL, -1, INSTRUMENT_NONE);
    record->name = name;
    record->body = body;
    record->body_length = strlen(body);
    return turn_finish(engine, err);
}
