/* engine.c - events in: the clock, dispatch to guests, the instances.
 *
 * Order at one instant: bars that end now close and all series update; on_bar runs, longest
 * timeframe first, instruments in listed order, instances in the order they were added; then timers
 * in the order they are due; then markets that open or close; then events at that instant. */
#include "runtime/engine/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_BYTES_MAX (2u << 20) /* JSON text of one ctx.state */

struct engine *engine_open(const struct engine_options *options)
{
    struct engine *engine = memory_new(sizeof(*engine));
    engine->options = *options;
    engine->instruments = options->instruments;
    engine->market = options->market;
    engine->blotter = blotter_open(ORDERS_OPEN_MAX + ORDERS_OUT_MAX, ORDERS_DONE_KEPT);
    engine->started_ns = TIME_NEVER;
    engine->is_connected = true;
    engine->external = -1;
    engine->strangers_flood_ns = INT64_MIN / 2;
    engine->inquiries_due_ns = TIME_NEVER;
    engine->reconciliation.next_ns = TIME_NEVER;
    engine->reconciliation.agreed.amount = DECIMAL_NONE;
    engine->timers_due_ns = engine->sessions_due_ns = TIME_NEVER;
    engine->expiry_due_ns = engine->trails_due_ns = TIME_NEVER;
    engine->next_mark_ns = TIME_NEVER;
    engine->gross_won = engine->gross_lost = engine->traded_notional = DECIMAL_ZERO;
    engine->day_end_ns = TIME_NEVER;
    text_init(&engine->risk_text, STATE_BYTES_MAX);
    engine->known.event = engine->heat_at.event = UINT64_MAX;
    engine->exposures = memory_new(INSTRUMENTS_MAX * sizeof(*engine->exposures));
    engine->verdicts = memory_new(VERDICTS_KEPT * sizeof(*engine->verdicts));
    totals_open(engine);
    scopes_open(engine);
    guards_open(engine);
    portfolio_open(engine);
    return engine;
}

static void instance_release(struct instance *instance)
{
    if (instance->guest.self)
        instance->guest.close(instance->guest.self);
    for (size_t i = 0; i < instance->instrument_count; i++) {
        throttle_release(&instance->holdings[i].fills);
        throttle_release(&instance->holdings[i].repeats);
    }
    free(instance->instruments);
    free(instance->holdings);
    free(instance->warm);
    free(instance->timers);
    text_release(&instance->state);
}

void engine_close(struct engine *engine)
{
    if (!engine)
        return;
    scopes_close(engine);
    guards_close(engine);
    portfolio_close(engine);
    text_release(&engine->risk_text);
    free(engine->exposures);
    free(engine->verdicts);
    for (int i = 0; i < engine->instance_count; i++)
        instance_release(&engine->instances[i]);
    for (uint32_t i = 0; i < INSTRUMENTS_MAX; i++) {
        free(engine->trade_callers[i]);
        free(engine->quote_callers[i]);
    }
    for (size_t i = 0; i < engine->text_count; i++)
        free(engine->texts[i]);
    blotter_close(engine->blotter);
    free(engine->records);
    free(engine->commands);
    free(engine->deliveries);
    free(engine->texts);
    free(engine->inquiries);
    free(engine->reconciliation.listed);
    free(engine->expiries);
    free(engine->early_cancels);
    free(engine->pairs);
    free(engine->protections);
    free(engine->daily);
    free(engine);
}

/* ---- instances ------------------------------------------------------------------------------ */

size_t holding_index(const struct instance *instance, uint32_t instrument)
{
    for (size_t i = 0; i < instance->instrument_count; i++)
        if (instance->instruments[i] == instrument)
            return i;
    return SIZE_MAX;
}

struct holding *instance_holding(struct engine *engine, int index, uint32_t instrument)
{
    struct instance *instance = &engine->instances[index];
    size_t i = holding_index(instance, instrument);
    ASSERT(i != SIZE_MAX);
    return &instance->holdings[i];
}

int instance_of_order(const struct engine *engine, const struct order *order)
{
    for (int i = 0; i < engine->instance_count; i++)
        if (engine->instances[i].instance_id == order->instance_id)
            return i;
    return -1;
}

int engine_add_instance(struct engine *engine, const struct instance_options *options,
                        struct error *err)
{
    ASSERT(options->instrument_count > 0);
    if (engine->instance_count >= INSTANCES_MAX)
        return error_set(err, ERROR_CONFIG,
                         "more than %d instances (strategies times symbols); run fewer symbols",
                         INSTANCES_MAX);
    int index = engine->instance_count++;
    struct instance *instance = &engine->instances[index];
    instance->instance_id = options->instance_id;
    text_copy(instance->strategy, sizeof(instance->strategy), options->strategy);
    instance->capital = options->capital;
    instance->on_error = options->on_error;
    instance->wait_for_warmup = options->wait_for_warmup;
    instance->instrument_count = options->instrument_count;
    instance->instruments = memory_new(options->instrument_count * sizeof(uint32_t));
    instance->holdings = memory_new(options->instrument_count * sizeof(struct holding));
    instance->warm = memory_new(options->instrument_count * sizeof(bool));
    for (size_t i = 0; i < options->instrument_count; i++) {
        instance->instruments[i] = options->instruments[i];
        position_init(&instance->holdings[i].position);
        position_init(&instance->holdings[i].restored);
        instance->holdings[i].restored_unrealized = DECIMAL_ZERO;
        trip_init(&instance->holdings[i].trip);
        throttle_init(&instance->holdings[i].fills, engine->options.risk.repeated_count);
        throttle_init(&instance->holdings[i].repeats, engine->options.risk.repeated_count);
        instance->holdings[i].counted = DECIMAL_ZERO;
        instance->holdings[i].worth.event = UINT64_MAX;
        instance->holdings[i].working_buy = instance->holdings[i].working_sell = DECIMAL_ZERO;
    }
    scopes_add_instance(engine, instance, &options->limits);
    instance->known.event = instance->bound_at.event = UINT64_MAX;
    portfolio_open(engine);
    text_init(&instance->state, STATE_BYTES_MAX);
    return index;
}

static void add_caller(uint8_t *callers[], uint16_t counts[], uint32_t instrument, int instance)
{
    if (!callers[instrument])
        callers[instrument] = memory_new(INSTANCES_MAX);
    callers[instrument][counts[instrument]++] = (uint8_t)instance;
}

/* Whom a tick concerns, so that a tick nobody asked for costs nothing. */
static void rebuild_callers(struct engine *engine)
{
    memset(engine->trade_caller_count, 0, sizeof(engine->trade_caller_count));
    memset(engine->quote_caller_count, 0, sizeof(engine->quote_caller_count));
    for (int i = 0; i < engine->instance_count; i++) {
        const struct instance *instance = &engine->instances[i];
        for (size_t k = 0; instance->alive && k < instance->instrument_count; k++) {
            if (instance->guest.calls & (1u << GUEST_TRADE))
                add_caller(engine->trade_callers, engine->trade_caller_count,
                           instance->instruments[k], i);
            if (instance->guest.calls & (1u << GUEST_QUOTE))
                add_caller(engine->quote_callers, engine->quote_caller_count,
                           instance->instruments[k], i);
        }
    }
}

static void find_timers_due(struct engine *engine)
{
    engine->timers_due_ns = TIME_NEVER;
    for (int i = 0; i < engine->instance_count; i++)
        for (size_t k = 0; k < engine->instances[i].timer_count; k++)
            if (engine->instances[i].timers[k].next_ns < engine->timers_due_ns)
                engine->timers_due_ns = engine->instances[i].timers[k].next_ns;
}

struct guest engine_set_guest(struct engine *engine, int index, struct guest guest)
{
    struct instance *instance = &engine->instances[index];
    struct guest old = instance->guest;
    instance->guest = guest;
    instance->alive = guest.self != NULL;
    instance->failure = 0;
    instance->why[0] = '\0';
    instance->stop_asked = instance->started = false;
    instance->timer_count = 0;
    instance->subscription_count = 0;
    memset(instance->warm, 0, instance->instrument_count * sizeof(bool));
    find_timers_due(engine);
    rebuild_callers(engine);
    return old;
}

void engine_set_limits(struct engine *engine, int index, const struct risk_limits *limits)
{
    scope_set_limits(engine, &engine->instances[index].scope, limits);
    portfolio_open(engine);
}

void engine_set_warmup(struct engine *engine, int index, bool wait)
{
    engine->instances[index].wait_for_warmup = wait;
}

const struct guest *engine_guest(const struct engine *engine, int index)
{
    return &engine->instances[index].guest;
}

void engine_subscribe_bars(struct engine *engine, int index, const struct bar_subscription *list,
                           size_t count)
{
    struct instance *instance = &engine->instances[index];
    ASSERT(count <= SUBSCRIPTIONS_MAX);
    memcpy(instance->subscriptions, list, count * sizeof(*list));
    instance->subscription_count = count;
}

int engine_restore_position(struct engine *engine, int index, uint32_t instrument,
                            const struct position *position, struct error *err)
{
    size_t i = holding_index(&engine->instances[index], instrument);
    if (i == SIZE_MAX)
        return error_set(err, ERROR_CONFIG,
                         "the ledger holds a position in %s for %s, which no longer trades it; "
                         "add the symbol, or start anew with --fresh",
                         engine->instruments->list[instrument].symbol,
                         engine->instances[index].strategy);
    struct holding *holding = &engine->instances[index].holdings[i];
    holding->position = holding->restored = *position;
    exposure_follow_position(engine, index, instrument);
    if (!decimal_is_zero(position->qty)) {
        engine->open_position_seen = true;
        holding->restored_unrealized = DECIMAL_NONE;
        engine->unmarked++;
    }
    return 0;
}

int engine_restore_order(struct engine *engine, const struct order *order, struct error *err)
{
    int index = instance_of_order(engine, order);
    if (index < 0 || holding_index(&engine->instances[index], order->instrument) == SIZE_MAX)
        return error_set(err, ERROR_CONFIG,
                         "the ledger holds open order %s in %s of a strategy that no longer trades "
                         "it; add it again, or start anew with --fresh",
                         order->client_order_id,
                         engine->instruments->list[order->instrument].symbol);
    struct order *kept = blotter_add(engine->blotter, order);
    if (!kept)
        return error_set(err, ERROR_IO, "the ledger holds more than %d open orders",
                         ORDERS_OPEN_MAX + ORDERS_OUT_MAX);
    exposure_follow(engine, kept);
    if (!order_is_open(order)) { /* its trades are still missing, or its pair still works */
        if (order->role == ROLE_PLAIN && order->group_id != 0)
            pairs_restore(engine, order);
        return 0;
    }
    held_restore(engine, order);
    return exits_restore(engine, order, err);
}

void engine_set_external(struct engine *engine, uint32_t instance_id)
{
    uint32_t all[INSTRUMENTS_MAX];
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        all[i] = i;
    struct instance_options options = { .instance_id = instance_id,
                                        .strategy = "external",
                                        .capital = DECIMAL_ZERO,
                                        .instruments = all,
                                        .instrument_count = engine->instruments->count };
    risk_limits_init(&options.limits);
    struct error err = { 0 };
    int index = engine_add_instance(engine, &options, &err);
    engine->external = index < 0 ? -1 : index; /* without room for it, nothing is adopted */
}

/* The guest of a failed instance is kept, silent, until a reload or the end: its code is not run.
 * The lists of callers may be walked at this moment and are left; callers are asked if they live.
 */
void instance_fail(struct engine *engine, int index, int code, const char *why)
{
    struct instance *instance = &engine->instances[index];
    if (!instance->alive)
        return;
    instance->alive = false;
    instance->failure = code;
    text_copy(instance->why, sizeof(instance->why), why);
    instance->timer_count = 0;
    find_timers_due(engine);
    if (code != ERROR_NONE) {
        engine->counts.failed_instances++;
        rollout_watch_critical(engine);
    }
    char text[sizeof(instance->why) + 128];
    snprintf(text, sizeof(text), "%s on %s stopped: %s", instance->strategy,
             engine->instruments->list[instance->instruments[0]].symbol, why);
    turn_alert(engine, index, "strategy_stopped", text);
    desk_stop_orders(engine, index, instance->on_error);
}

int engine_stop_instance(struct engine *engine, int index, int64_t now_ns, const char *why,
                         struct error *err)
{
    engine->now_ns = now_ns > engine->now_ns ? now_ns : engine->now_ns;
    totals_begin(engine, engine->now_ns);
    sessions_begin(engine, engine->now_ns);
    engine->instances[index].alive = true; /* a quarantined one never ran, its policy still does */
    instance_fail(engine, index, ERROR_INTERNAL, why);
    return turn_finish(engine, err);
}

/* ---- market events --------------------------------------------------------------------------- */

/* No market callback runs for a symbol until every series made in on_start has its values. */
static bool is_warm(struct instance *instance, size_t holding, uint32_t instrument)
{
    if (instance->warm[holding] || !instance->wait_for_warmup)
        return true;
    instance->warm[holding] = instance->guest.ready(instance->guest.self, instrument);
    return instance->warm[holding];
}

static void call_market(struct engine *engine, const struct event *event, enum guest_call call,
                        const uint8_t *callers, uint16_t count)
{
    struct guest_event guest_event = { .time_ns = event->time_ns,
                                       .instrument = event->instrument,
                                       .market = event };
    for (uint16_t i = 0; i < count; i++) {
        struct instance *instance = &engine->instances[callers[i]];
        size_t holding =
            instance->instrument_count == 1 ? 0 : holding_index(instance, event->instrument);
        if (!instance->alive || !is_warm(instance, holding, event->instrument))
            continue;
        turn_call(engine, callers[i], call, &guest_event);
    }
}

static bool wants_bar(const struct instance *instance, const struct bar *bar)
{
    for (size_t i = 0; i < instance->subscription_count; i++)
        if (instance->subscriptions[i].instrument == bar->instrument &&
            instance->subscriptions[i].tf_ns == bar->tf_ns)
            return true;
    return false;
}

static void call_bar(struct engine *engine, const struct bar *bar)
{
    struct guest_event event = { .time_ns = bar->time_end_ns,
                                 .instrument = bar->instrument,
                                 .bar = bar };
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        if (!instance->alive || !wants_bar(instance, bar))
            continue;
        instance->bars_seen++;
        size_t holding = holding_index(instance, bar->instrument);
        if (holding != SIZE_MAX && is_warm(instance, holding, bar->instrument) &&
            instance->guest.calls & (1u << GUEST_BAR))
            turn_call(engine, i, GUEST_BAR, &event);
    }
}

static void call_bars(struct engine *engine, const struct bars *const *closed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        engine->counts.bars++;
        call_bar(engine, bars_newest(closed[i]));
    }
}

/* ---- the clock ---------------------------------------------------------------------------------
 */

int64_t engine_due_ns(const struct engine *engine)
{
    int64_t due_ns = market_due_ns(engine->market);
    due_ns = due_ns < engine->timers_due_ns ? due_ns : engine->timers_due_ns;
    due_ns = due_ns < engine->sessions_due_ns ? due_ns : engine->sessions_due_ns;
    int64_t held_ns = held_due_ns(engine);
    due_ns = due_ns < held_ns ? due_ns : held_ns;
    int64_t doubt_ns = doubt_due_ns(engine), reconcile_ns = reconcile_due_ns(engine);
    due_ns = due_ns < doubt_ns ? due_ns : doubt_ns;
    due_ns = due_ns < reconcile_ns ? due_ns : reconcile_ns;
    return due_ns > engine->now_ns ? due_ns : engine->now_ns; /* a venue's clock may run ahead */
}

/* Time stands still until those outside have caught up: a wall clock may be set back, and a frame
 * may be stamped before the clock that was stepped meanwhile. */
static void move_clock(struct engine *engine, int64_t now_ns)
{
    now_ns = now_ns > engine->now_ns ? now_ns : engine->now_ns;
    if (engine->started_ns == TIME_NEVER) {
        totals_begin(engine, now_ns);
        sessions_begin(engine, now_ns);
    } else {
        totals_mark(engine, now_ns);
    }
    engine->now_ns = now_ns;
}

/* The timer that is due first; of those due together the one set first. */
static struct timer *first_due_timer(struct engine *engine, int64_t now_ns, int *index)
{
    struct timer *first = NULL;
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        for (size_t k = 0; k < instance->timer_count; k++) {
            struct timer *timer = &instance->timers[k];
            if (timer->next_ns <= now_ns && (!first || timer->next_ns < first->next_ns)) {
                first = timer;
                *index = i;
            }
        }
    }
    return first;
}

static void fire_timers(struct engine *engine, int64_t now_ns)
{
    int index = 0;
    struct timer *timer;
    while ((timer = first_due_timer(engine, now_ns, &index)) != NULL) {
        char name[sizeof(timer->name)];
        memcpy(name, timer->name, sizeof(name));
        timer->next_ns += timer->period_ns;
        if (timer->next_ns <= now_ns) /* late by more than a period: fire once, not many times */
            timer->next_ns = now_ns + timer->period_ns;
        struct guest_event event = { .time_ns = now_ns,
                                     .instrument = engine->instances[index].instruments[0],
                                     .name = name };
        if (engine->instances[index].guest.calls & (1u << GUEST_TIMER))
            turn_call(engine, index, GUEST_TIMER, &event);
    }
    find_timers_due(engine);
}

int engine_advance(struct engine *engine, int64_t now_ns, struct error *err)
{
    move_clock(engine, now_ns);
    now_ns = engine->now_ns;
    engine->counts.events++;
    const struct bars *const *closed;
    size_t count = market_advance(engine->market, now_ns, &closed);
    call_bars(engine, closed, count);
    if (engine->timers_due_ns <= now_ns)
        fire_timers(engine, now_ns);
    if (engine->sessions_due_ns <= now_ns)
        sessions_advance(engine);
    held_advance(engine);
    doubt_advance(engine);
    reconcile_advance(engine);
    return turn_is_idle(engine) ? 0 : turn_finish(engine, err);
}

bool engine_timer(struct engine *engine, int index, const char *name, double seconds)
{
    struct instance *instance = &engine->instances[index];
    char kept[sizeof(instance->timers[0].name)];
    text_copy(kept, sizeof(kept), name);
    size_t at = 0;
    while (at < instance->timer_count && strcmp(instance->timers[at].name, kept) != 0)
        at++;
    if (!(seconds > 0)) {
        if (at < instance->timer_count)
            memmove(&instance->timers[at], &instance->timers[at + 1],
                    (--instance->timer_count - at) * sizeof(struct timer));
        find_timers_due(engine);
        return true;
    }
    if (at == instance->timer_count) {
        if (instance->timer_count >= TIMERS_MAX)
            return false;
        instance->timers = memory_grow(instance->timers, &instance->timer_capacity,
                                       instance->timer_count + 1, sizeof(struct timer));
        instance->timer_count++;
    }
    struct timer *timer = &instance->timers[at];
    memcpy(timer->name, kept, sizeof(kept));
    double period = seconds * 1e9;
    timer->period_ns = period < 1e6 ? NS_PER_MS : period > 9e17 ? (int64_t)9e17 : llround(period);
    timer->next_ns = engine->now_ns + timer->period_ns;
    find_timers_due(engine);
    return true;
}

/* ---- one event
 * ----------------------------------------------------------------------------------- */

/* An hour of history is a price for the volatility limit, whoever asked for it. */
static void note_hour(struct engine *engine, const struct event *event)
{
    if (event->time_ns - event->bar.open_ns == NS_PER_HOUR)
        portfolio_price(
            engine, event->instrument, event->time_ns,
            instrument_price(instrument_at(engine, event->instrument), event->bar.close));
}

static void step_bar(struct engine *engine, const struct event *event)
{
    market_bar(engine->market, event);
    if (event->bar.is_history) {
        note_hour(engine, event);
        return;
    }
    held_bar(engine, event->instrument, &event->bar);
    const struct bars *const *closed;
    size_t count = market_closed_by_bar(engine->market, &closed);
    call_bars(engine, closed, count);
}

/* Why nothing that was heard can be relied on any more. */
static const char *down_name(const struct connection_event *connection)
{
    static const char *const names[] = { "sequence_gap", "stale_private_stream" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(connection->reason, names[i]) == 0)
            return names[i];
    return "disconnected";
}

static void step_connection(struct engine *engine, const struct connection_event *connection)
{
    bool was_up = engine->is_connected;
    engine->is_connected = connection->up;
    for (int i = 0; i < engine->instance_count; i++)
        text_copy(
            turn_deliver(engine, GUEST_CONNECTION, i, engine->instances[i].instruments[0])->code,
            32, connection->up ? "up" : "down");
    if (connection->up) {
        doubt_all_in_flight(engine);
        reconcile_begin(engine, true);
        return;
    }
    reconcile_stop(engine);
    doubt_all_in_flight(engine);
    if (was_up)
        turn_alert(engine, -1, down_name(connection), connection->reason);
    guards_line_down(engine, connection->reason);
}

int engine_step(struct engine *engine, const struct event *event, struct error *err)
{
    bool history = event->kind == EVENT_BAR && event->bar.is_history;
    struct event late;
    if (!history && event->time_ns < engine->now_ns) {
        late = *event;
        late.time_ns = engine->now_ns;
        event = &late;
    }
    if (!history)
        move_clock(engine, event->time_ns);
    /* Answers to our own questions are no events of the market: how many there are must not move
     * the numbers by which a journal finds its place. */
    engine->counts.events += !history && event->kind != EVENT_ANSWER;
    guards_frame(engine);
    switch (event->kind) {
    case EVENT_TRADE:
        engine->counts.trades++;
        market_trade(engine->market, event);
        if (engine->guards.watches_ticks)
            guards_tick(engine, event->instrument);
        held_trade(engine, event->instrument, event->trade.price);
        call_market(engine, event, GUEST_TRADE, engine->trade_callers[event->instrument],
                    engine->trade_caller_count[event->instrument]);
        break;
    case EVENT_QUOTE:
        engine->counts.quotes++;
        market_quote(engine->market, event);
        if (engine->guards.watches_ticks)
            guards_tick(engine, event->instrument);
        held_quote(engine, event->instrument, &event->quote);
        call_market(engine, event, GUEST_QUOTE, engine->quote_callers[event->instrument],
                    engine->quote_caller_count[event->instrument]);
        break;
    case EVENT_BAR:
        step_bar(engine, event);
        break;
    case EVENT_REPORT:
        report_apply(engine, event->instrument, event->report);
        break;
    case EVENT_ANSWER: /* of a warm-up's bars: the driver's own, nobody here waits for it */
        doubt_answer(engine, &event->answer);
        reconcile_answer(engine, &event->answer);
        break;
    case EVENT_POSITION:
        reconcile_position(engine, event->instrument, &event->position);
        break;
    case EVENT_CASH:
        reconcile_cash(engine, &event->cash);
        break;
    case EVENT_HEARTBEAT: /* it was heard: that is all */
        break;
    case EVENT_CLOCK:
        engine->guards.skew_ns = event->venue.value_ns;
        break;
    case EVENT_SLOW_DOWN:
        guards_slow_down(engine, event->instrument, event->venue.value_ns, event->venue.reason);
        break;
    case EVENT_CONNECTION:
        step_connection(engine, &event->connection);
        break;
    }
    return turn_is_idle(engine) ? 0 : turn_finish(engine, err);
}

/* ---- begin and end
 * ---------------------------------------------------------------------------------- */

int engine_begin(struct engine *engine, int index, int64_t now_ns, const char *reloaded_from,
                 struct error *err)
{
    struct instance *instance = &engine->instances[index];
    move_clock(engine, now_ns);
    struct guest_event event = { .time_ns = now_ns,
                                 .instrument = instance->instruments[0],
                                 .name = reloaded_from };
    bool started = instance->started;
    if (!started) {
        instance->in_start = true;
        started = turn_call(engine, index, GUEST_START, &event);
        instance->in_start = false;
    }
    instance->started = false;
    if (started && reloaded_from && instance->alive && instance->guest.calls & (1u << GUEST_RELOAD))
        turn_call(engine, index, GUEST_RELOAD, &event);
    /* After a restart: what the crash kept from being placed, resized or canceled. */
    for (size_t k = 0; !reloaded_from && k < instance->instrument_count; k++)
        exits_sync(engine, index, instance->instruments[k]);
    held_awake(engine);
    if (!reloaded_from)
        halts_enforce(engine);
    rebuild_callers(engine);
    return turn_finish(engine, err);
}

/* ---- other code behind instances, all or none ---- */

/* What cannot be given back by copying the struct begins empty; the old ones wait in the copy. */
static void install(struct engine *engine, int index, const struct guest *guest,
                    const struct risk_limits *limits, bool wait_for_warmup)
{
    struct instance *instance = &engine->instances[index];
    instance->timers = NULL;
    instance->timer_count = instance->timer_capacity = 0;
    instance->warm = memory_new(instance->instrument_count * sizeof(bool));
    engine_set_guest(engine, index, *guest);
    struct throttle sent = instance->scope.messages; /* the copy has it, too */
    instance->scope.messages = (struct throttle){ 0 };
    scope_set_limits(engine, &instance->scope, limits);
    throttle_adopt(&instance->scope.messages, &sent);
    instance->wait_for_warmup = wait_for_warmup;
}

static int try_start(struct engine *engine, int index, struct error *why)
{
    struct instance *instance = &engine->instances[index];
    struct guest_event event = { .time_ns = engine->now_ns,
                                 .instrument = instance->instruments[0] };
    instance->requests = 0;
    instance->touched = instance->in_start = true;
    int code = instance->guest.call(instance->guest.self, GUEST_START, &event, why);
    instance->in_start = false;
    if (code == 0 && instance->stop_asked)
        error_set(why, ERROR_REFUSED, "on_start stops the strategy: %s", instance->why);
    instance->started = code == 0 && !instance->stop_asked;
    return instance->started ? 0 : ERROR_REFUSED;
}

static void drop_parts(struct instance *instance)
{
    free(instance->timers);
    free(instance->warm);
    throttle_release(&instance->scope.messages);
}

int engine_try_guests(struct engine *engine, int first, int count, struct guest *guests,
                      const struct risk_limits *limits, bool wait_for_warmup, int64_t now_ns,
                      struct error *why)
{
    move_clock(engine, now_ns);
    struct turn_mark mark = turn_mark(engine);
    struct instance *before = memory_new((size_t)count * sizeof(*before));
    memcpy(before, &engine->instances[first], (size_t)count * sizeof(*before));
    for (int i = 0; i < count; i++)
        install(engine, first + i, &guests[i], limits, wait_for_warmup);
    int code = 0;
    for (int i = 0; code == 0 && i < count; i++)
        code = try_start(engine, first + i, why);
    if (code < 0)
        turn_take_back(engine, &mark);
    for (int i = 0; i < count; i++) {
        struct instance *instance = &engine->instances[first + i];
        drop_parts(code < 0 ? instance : &before[i]);
        if (code < 0) {
            engine->watching -= instance->scope.watches_loss;
            engine->watching += before[i].scope.watches_loss;
            *instance = before[i];
        } else
            guests[i] = before[i].guest;
    }
    free(before);
    portfolio_open(engine);
    find_timers_due(engine);
    rebuild_callers(engine);
    return code;
}

/* The market may run on after a stop, for what is under way; the strategies do not. */
static void fall_silent(struct engine *engine)
{
    for (int i = 0; i < engine->instance_count; i++)
        engine->instances[i].guest.calls = 0;
    find_timers_due(engine);
    rebuild_callers(engine);
}

int engine_stop(struct engine *engine, int64_t now_ns, enum stop_policy policy, const char *why,
                struct error *err)
{
    move_clock(engine, now_ns);
    engine->is_stopping = true;
    engine->stopping = policy;
    for (int i = 0; i < engine->instance_count; i++) {
        struct instance *instance = &engine->instances[i];
        struct guest_event event = { .time_ns = now_ns,
                                     .instrument = instance->instruments[0],
                                     .name = why };
        if (instance->alive && instance->guest.calls & (1u << GUEST_STOP))
            turn_call(engine, i, GUEST_STOP, &event);
        desk_stop_orders(engine, i, policy);
        instance->timer_count = 0;
    }
    int code = turn_finish(engine, err);
    fall_silent(engine);
    return code;
}

void engine_request_stop(struct engine *engine, int index, const char *why)
{
    struct instance *instance = &engine->instances[index];
    instance->stop_asked = true;
    text_copy(instance->why, sizeof(instance->why), why);
}

void engine_alert(struct engine *engine, int index, const char *text)
{
    turn_alert(engine, index, "strategy", text);
}

/* ---- looking
 * ------------------------------------------------------------------------------------------ */

const struct order *engine_order(const struct engine *engine, uint64_t order_id)
{
    return blotter_find(engine->blotter, order_id);
}

void engine_each_order(const struct engine *engine, int index, bool all,
                       bool (*visit)(void *self, const struct order *order), void *self)
{
    uint32_t instance_id = engine->instances[index].instance_id;
    size_t count = all ? blotter_count(engine->blotter) : blotter_open_count(engine->blotter);
    for (size_t i = 0; i < count; i++) {
        const struct order *order =
            all ? blotter_at(engine->blotter, i) : blotter_open_at(engine->blotter, i);
        bool asked = all || order_is_open(order); /* a held one may have ended in this turn */
        if (order->instance_id == instance_id && asked && !visit(self, order))
            return;
    }
}

const struct position *engine_position(const struct engine *engine, int index, uint32_t instrument)
{
    const struct instance *instance = &engine->instances[index];
    size_t i = instance->instruments[0] == instrument ? 0 : holding_index(instance, instrument);
    return i == SIZE_MAX ? NULL : &instance->holdings[i].position;
}

int64_t engine_now(const struct engine *engine)
{
    return engine->now_ns;
}

struct market *engine_market(const struct engine *engine)
{
    return engine->market;
}

const struct instruments *engine_instruments(const struct engine *engine)
{
    return engine->instruments;
}

const uint32_t *engine_instance_instruments(const struct engine *engine, int index, size_t *count)
{
    *count = engine->instances[index].instrument_count;
    return engine->instances[index].instruments;
}

bool engine_in_start(const struct engine *engine, int index)
{
    return engine->instances[index].in_start;
}

size_t engine_open_orders(const struct engine *engine)
{
    return blotter_open_count(engine->blotter);
}

bool engine_instance_alive(const struct engine *engine, int index, int *failure,
                           const char **why_not)
{
    const struct instance *instance = &engine->instances[index];
    if (failure)
        *failure = instance->failure;
    if (why_not)
        *why_not = instance->why;
    return instance->alive;
}

size_t engine_instances_alive(const struct engine *engine)
{
    size_t count = 0;
    for (int i = 0; i < engine->instance_count; i++)
        count += engine->instances[i].alive;
    return count;
}
