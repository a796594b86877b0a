/* player.c - the process on its store: engine, ledger, strategy; the clock; the run of a file. */
#include "tests/scenario/scenario.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WALL_NS (INT64_C(1704067200) * NS_PER_SECOND)
#define EARLY_NS (120 * NS_PER_SECOND) /* a quiet start before the first step */
#define SETTLE_NS (3 * NS_PER_SECOND)
#define SETTLE_MOST_NS (20 * NS_PER_SECOND)
#define END_WITHIN_NS (60 * NS_PER_SECOND)

/* ---- what is said ---- */

void fail_step(struct player *player, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&player->failures, format, arguments);
    text_add(&player->failures, "\n");
    va_end(arguments);
}

void trace(struct player *player, const char *format, ...)
{
    if (!player->options->trace)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%9.3f  ", (double)(player->now_ns - START_NS) / 1e9);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

uint32_t instrument_named(const struct player *player, const char *symbol)
{
    uint32_t index = symbol ? instruments_find(&player->instruments, symbol, NULL) : 0;
    return index == INSTRUMENT_NONE ? 0 : index;
}

/* ---- events in ---- */

static void check(struct player *player, int code, const struct error *err)
{
    if (code < 0 && !player->lose_commits)
        fail_step(player, "engine: expected no error, got %s", err->message);
}

void player_put(struct player *player, const struct event *event)
{
    player->queue = memory_grow(player->queue, &player->queue_capacity, player->queue_count + 1,
                                sizeof(struct queued));
    struct queued *queued = &player->queue[player->queue_count++];
    queued->event = *event;
    if (event->kind == EVENT_REPORT)
        queued->report = *event->report;
}

static void trace_event(struct player *player, const struct event *event)
{
    static const char *const names[] = { "trade",  "quote",    "bar",  "report",
                                         "answer", "position", "cash", "connection" };
    if (event->kind == EVENT_REPORT)
        trace(player, "< %s %s%s %s %s", report_kind_name(event->report->kind),
              event->report->client_order_id, event->report->ticket ? " (answer)" : "",
              event->report->kind == REPORT_STATUS ? order_status_name(event->report->status) : "",
              event->report->fill.exec_id);
    else if (event->kind != EVENT_ANSWER && event->kind != EVENT_TRADE)
        trace(player, "< %s%s", names[event->kind],
              event->kind == EVENT_CONNECTION ? event->connection.up ? " up" : " down" : "");
}

void player_drain(struct player *player)
{
    if (player->is_draining)
        return;
    player->is_draining = true;
    for (size_t i = 0; i < player->queue_count && player->engine; i++) {
        struct queued queued = player->queue[i];
        struct error err = { 0 };
        if (queued.event.kind == EVENT_REPORT)
            queued.event.report = &queued.report;
        queued.event.time_ns = player->now_ns;
        trace_event(player, &queued.event);
        check(player, engine_step(player->engine, &queued.event, &err), &err);
    }
    player->queue_count = 0;
    player->is_draining = false;
}

static int64_t due_ns(const struct player *player)
{
    int64_t engine_ns = player->engine ? engine_due_ns(player->engine) : TIME_NEVER;
    int64_t venue_ns = scripted_due_ns(player);
    return engine_ns < venue_ns ? engine_ns : venue_ns;
}

/* What the strategy could not ask for while something else was under way, it asks for now. */
static void retry_deferred(struct player *player)
{
    size_t count = player->deferred_count;
    for (size_t i = 0; i < count; i++) {
        const struct step *step = player->deferred[0];
        player->deferred_count--;
        memmove(player->deferred, player->deferred + 1,
                player->deferred_count * sizeof(player->deferred[0]));
        player_task(player, step);
    }
}

static void step_due(struct player *player)
{
    int64_t due = due_ns(player);
    struct error err = { 0 };
    if (due > player->now_ns)
        player->now_ns = due;
    if (player->engine && engine_due_ns(player->engine) <= player->now_ns)
        check(player, engine_advance(player->engine, player->now_ns, &err), &err);
    scripted_advance(player);
    player_drain(player);
}

void player_run_to(struct player *player, int64_t time_ns)
{
    player_drain(player);
    if (player->deferred_count > 0)
        retry_deferred(player);
    for (unsigned guard = 0; due_ns(player) <= time_ns; guard++) {
        if (guard == 100000) {
            fail_step(player, "clock: expected to go on, got 100000 instants without an end");
            break;
        }
        step_due(player);
    }
    if (time_ns > player->now_ns)
        player->now_ns = time_ns;
}

bool player_wait(struct player *player, bool (*met)(struct player *player, const struct step *step),
                 const struct step *step, int64_t bound_ns)
{
    int64_t until_ns = player->now_ns + bound_ns;
    player_drain(player);
    while (!met(player, step)) {
        if (due_ns(player) > until_ns) {
            player_run_to(player, until_ns);
            return met(player, step);
        }
        step_due(player);
    }
    return true;
}

/* ---- the strategy: a guest that does what the script says ---- */

static enum order_side side_of(const struct step *step)
{
    const char *side = member_text(step->node, "side");
    return side && strcmp(side, "sell") == 0 ? SIDE_SELL : SIDE_BUY;
}

static bool flag_of(const struct step *step, const char *key)
{
    const struct json *member = json_get(step->node, key);
    return member && json_kind(member) == JSON_BOOL && json_as_bool(member);
}

static void read_request(struct player *player, const struct step *step,
                         struct order_request *request)
{
    const char *type = member_text(step->node, "type"), *tif = member_text(step->node, "tif");
    order_request_init(request);
    request->instrument = instrument_named(player, member_text(step->node, "sym"));
    request->side = side_of(step);
    if (type && !type_named(type, &request->type))
        fail_step(player, "steps: expected an order type, got %s", type);
    if (tif && strcmp(tif, "post_only") == 0)
        request->post_only = true;
    else if (tif && !order_tif_parse(tif, &request->tif))
        fail_step(player, "steps: expected a time in force, got %s", tif);
    request->qty = member_decimal(step->node, "qty");
    request->price = member_decimal(step->node, "px");
    request->trigger_price = member_decimal(step->node, "trigger");
    if (request->type == ORDER_STOP && !decimal_valid(request->trigger_price)) {
        request->trigger_price = request->price;
        request->price = DECIMAL_NONE;
    }
    if (request->type == ORDER_MARKET)
        request->price = DECIMAL_NONE;
    request->stop = member_decimal(step->node, "stop");
    request->take = member_decimal(step->node, "take");
    request->reduce_only = flag_of(step, "reduce_only");
    request->post_only |= flag_of(step, "post_only");
}

static void refused(struct player *player, const struct step *step, const struct refusal *refusal)
{
    snprintf(player->refusal, sizeof(player->refusal), "%s: %s", refusal->code, refusal->reason);
    trace(player, "strategy %s %s refused: %s", step->verb, step->cl, player->refusal);
}

static void do_submit(struct player *player, const struct step *step)
{
    struct order_request request;
    struct refusal refusal;
    if (told_name(&player->told, step->cl)) {
        trace(player, "strategy submit %s: it has that order already", step->cl);
        return; /* ids are the runtime's: a strategy cannot send one twice */
    }
    read_request(player, step, &request);
    uint64_t id = engine_submit(player->engine, 0, &request, &refusal);
    if (id == 0) {
        refused(player, step, &refusal);
        if (player->refused_count < ARRAY_SIZE(player->refused))
            text_copy(player->refused[player->refused_count++], NAME_MAX_BYTES, step->cl);
        return;
    }
    const struct order *order = engine_order(player->engine, id);
    struct told_order *told = told_add(&player->told);
    told->order_id = id;
    told->instrument = order->instrument;
    told->side = order->side;
    told->type = order->type;
    told->qty = order->qty;
    told->price = decimal_valid(order->price) ? order->price : order->trigger_price;
    text_copy(told->id, sizeof(told->id), order->client_order_id);
    told_call(&player->told, told, step->cl, order->client_order_id);
}

/* One that waits for an answer takes no second replace: the strategy asks again after it. */
static void defer(struct player *player, const struct step *step)
{
    if (player->deferred_count < ARRAY_SIZE(player->deferred))
        player->deferred[player->deferred_count++] = step;
}

static void do_replace(struct player *player, const struct step *step, struct told_order *told)
{
    struct refusal refusal = { 0 };
    const char *new_name = member_text(step->node, "new");
    bool done = engine_amend(player->engine, 0, told->order_id, member_decimal(step->node, "qty"),
                             member_decimal(step->node, "px"), &refusal);
    const struct order *order = engine_order(player->engine, told->order_id);
    if (!done)
        refused(player, step, &refusal);
    if (!done && (strcmp(refusal.code, "pending") == 0)) {
        defer(player, step);
        return;
    }
    if (new_name && order)
        told_call(&player->told, told, new_name,
                  done && order->pending_client_order_id[0] ? order->pending_client_order_id
                                                            : order->current_client_order_id);
}

static void do_task(struct player *player, const struct step *step)
{
    struct refusal refusal = { 0 };
    player->refusal[0] = '\0';
    if (strcmp(step->verb, "submit") == 0) {
        do_submit(player, step);
        return;
    }
    struct told_order *told = told_by_name(&player->told, step->cl);
    if (!told) {
        for (size_t i = 0; i < player->deferred_count; i++)
            if (told_name(&player->told, step->cl) == NULL) {
                defer(player, step); /* of an id that is not accepted yet */
                return;
            }
        trace(player, "strategy %s %s: there is no such order", step->verb, step->cl);
        return;
    }
    if (strcmp(step->verb, "replace") == 0)
        do_replace(player, step, told);
    else if (!engine_cancel(player->engine, 0, told->order_id, &refusal))
        refused(player, step, &refusal);
}

static bool is_done(const struct order *order)
{
    return !order_is_open(order);
}

static int on_call(void *self, enum guest_call call, const struct guest_event *event,
                   struct error *err)
{
    struct player *player = self;
    (void)err;
    if (call == GUEST_TRADE && player->task) {
        const struct step *task = player->task;
        player->task = NULL;
        do_task(player, task);
    } else if (call == GUEST_FILL) {
        char qty[DECIMAL_TEXT_MAX];
        player->fills_in_turn++;
        trace(player, "on_fill %s %s", event->fill->exec_id, decimal_format(event->fill->qty, qty));
    } else if (call == GUEST_ORDER) {
        struct told_order *told = told_by_id(&player->told, event->order->order_id);
        size_t at = told ? (size_t)(told - player->told.orders) : 0;
        if (told && is_done(event->order) && !decimal_valid(player->done_qty[at]))
            player->done_qty[at] = event->order->filled_qty;
        trace(player, "on_order %s %s", event->order->client_order_id,
              order_status_name(order_status(event->order)));
    }
    return 0;
}

static bool no_state(void *self, struct text *body)
{
    (void)self, (void)body;
    return false;
}

static bool ready(void *self, uint32_t instrument)
{
    (void)self, (void)instrument;
    return true;
}

static void close_guest(void *self)
{
    (void)self;
}

/* The last price told; before there is one, what was paid for what is held, or the first price of
 * the script. A stop says where the price is not. */
static decimal price_now(const struct player *player)
{
    decimal price = player->last_price;
    const struct json *held = json_get(player->script.start, "positions");
    for (size_t i = 0; !decimal_valid(price) && i < json_count(held); i++)
        price = member_decimal(json_at(held, i), "avg");
    for (size_t i = 0; !decimal_valid(price) && i < player->script.count; i++) {
        const struct json *node = player->script.steps[i].node;
        const char *type = member_text(node, "type");
        if (!type || strncmp(type, "stop", 4) != 0)
            price = member_decimal(node, "px");
    }
    return price;
}

/* Its callback is a trade at the last price told, so that there is one. */
void player_task(struct player *player, const struct step *step)
{
    uint32_t instrument = instrument_named(player, member_text(step->node, "sym"));
    decimal price = price_now(player);
    if (!decimal_valid(price))
        price = member_decimal(step->node, "px");
    if (!decimal_valid(price))
        price = decimal_int(100);
    struct event event = { .kind = EVENT_TRADE, .instrument = instrument };
    if (decimal_mantissa(price, player->instruments.list[instrument].price_scale,
                         &event.trade.price) < 0)
        event.trade.price = INT64_C(10000000000);
    event.trade.qty = 1;
    player->task = step;
    player_put(player, &event);
    player_drain(player);
    if (player->task) {
        player->task = NULL;
        fail_step(player, "strategy: expected to be called, got nothing");
    }
}

/* ---- the ledger: the real one; the player looks on ---- */

static void keep_order(struct player *player, const struct order *order)
{
    for (size_t i = 0; i < player->order_count; i++)
        if (player->orders[i].order_id == order->order_id) {
            player->orders[i] = *order;
            return;
        }
    player->orders = memory_grow(player->orders, &player->order_capacity, player->order_count + 1,
                                 sizeof(struct order));
    player->orders[player->order_count++] = *order;
}

static int commit(void *self, const struct turn *turn, struct error *err)
{
    struct player *player = self;
    if (player->lose_commits)
        return error_set(err, ERROR_IO, "the process is about to die");
    int code = player->port.commit(player->port.self, turn, err);
    if (code == 0)
        player->fills_delivered += player->fills_in_turn;
    player->fills_in_turn = 0;
    for (size_t i = 0; code == 0 && i < turn->count; i++) {
        const struct record *record = &turn->records[i];
        if (record->kind == RECORD_ORDER)
            keep_order(player, &record->order);
        if (record->kind == RECORD_ALERT && player->alert_count < ALERTS_MAX) {
            trace(player, "ALERT %s: %s", record->name, record->body);
            text_copy(player->alerts[player->alert_count++], 40, record->name);
        }
        if (record->kind == RECORD_HALT)
            trace(player, "HALT %s: %s", record->name, record->body);
    }
    return code;
}

static uint64_t next_order_id(void *self, char id[CLIENT_ORDER_ID_MAX])
{
    struct player *player = self;
    return player->port.next_order_id(player->port.self, id);
}

static void next_client_order_id(void *self, char id[CLIENT_ORDER_ID_MAX])
{
    struct player *player = self;
    player->port.next_client_order_id(player->port.self, id);
}

static bool is_ours(void *self, const char *id)
{
    struct player *player = self;
    return player->port.is_ours(player->port.self, id);
}

static bool find_order(void *self, const char *id, struct order *order)
{
    struct player *player = self;
    return player->port.find_order(player->port.self, id, order);
}

static int find_fill(void *self, uint32_t instrument, const char *exec_id, struct fill *fill,
                     uint64_t *order_id)
{
    struct player *player = self;
    return player->port.find_fill(player->port.self, instrument, exec_id, fill, order_id);
}

static struct ledger_port watched_ledger(struct player *player)
{
    player->port = ledger_port(player->ledger);
    return (struct ledger_port){ .self = player,
                                 .commit = commit,
                                 .next_order_id = next_order_id,
                                 .next_client_order_id = next_client_order_id,
                                 .is_ours = is_ours,
                                 .find_order = find_order,
                                 .find_fill = find_fill };
}

static int open_ledger(struct player *player, struct error *err)
{
    struct ledger_options options = { .path = player->path, .instruments = &player->instruments };
    struct session_record session = { .started_ns = player->now_ns,
                                      .market_ns = player->now_ns,
                                      .ended_ns = TIME_NEVER,
                                      .mode = "live",
                                      .source = "scripted",
                                      .build = "test" };
    struct instance_record instance = { .strategy = "script",
                                        .symbol = "*",
                                        .version = "1",
                                        .capital = decimal_int(INT64_C(1000000000000)) };
    struct instance_record external = { .strategy = "external",
                                        .symbol = "*",
                                        .capital = DECIMAL_ZERO };
    bool is_new;
    char config[] = "{}";
    session.config = config;
    player->wall_ns += NS_PER_MINUTE;
    struct session_record last = { 0 };
    bool found = false;
    int code = ledger_open(&options, &player->ledger, err);
    if (code == 0)
        code = ledger_last_session(player->ledger, "live", "scripted", &found, &last, err);
    player->known_until_ns = found ? last.market_ns : player->now_ns;
    session_record_release(&last);
    if (code == 0)
        code = ledger_session_begin(player->ledger, &session, false, false, player->wall_ns, err);
    if (code == 0)
        code = ledger_instance(player->ledger, &instance, &is_new, err);
    if (code == 0)
        code = ledger_instance(player->ledger, &external, &is_new, err);
    player->instance_id = instance.instance_id;
    player->external_id = external.instance_id;
    return code;
}

/* ---- the process ---- */

static decimal capital_of(const struct script *script)
{
    decimal capital = member_decimal(json_get(script->start, "limits"), "capital");
    return decimal_valid(capital) ? capital : decimal_int(INT64_C(1000000000000));
}

static enum reconcile_mode mode_of(const struct script *script)
{
    if (strcmp(script->mode, "strict") == 0)
        return RECONCILE_STRICT;
    return strcmp(script->mode, "auto_sync") == 0 ? RECONCILE_AUTO_SYNC : RECONCILE_WARN;
}

/* Money may be said without its "_usd". */
static void read_limits(const struct script *script, struct risk_limits *limits)
{
    const struct json *given = json_get(script->start, "limits");
    risk_limits_init(limits);
    for (unsigned i = 0; i < LIMITS; i++) {
        const struct limit_info *info = limit_info((enum limit)i);
        char name[48];
        text_copy(name, sizeof(name), info->name);
        size_t length = strlen(name);
        if (length > 4 && strcmp(name + length - 4, "_usd") == 0 && !member_text(given, name))
            name[length - 4] = '\0';
        limits->value[i] = member_decimal(given, name);
    }
}

static int restore_position(void *self, uint32_t instrument, const struct position *position,
                            struct error *err)
{
    struct player *player = self;
    return engine_restore_position(player->engine, 0, instrument, position, err);
}

static int restore_external(void *self, uint32_t instrument, const struct position *position,
                            struct error *err)
{
    struct player *player = self;
    return engine_restore_position(player->engine, 1, instrument, position, err);
}

static int restore_order(void *self, const struct order *order, struct error *err)
{
    struct player *player = self;
    return engine_restore_order(player->engine, order, err);
}

static void restore_halt(void *self, const struct halt_record *halt)
{
    struct player *player = self;
    engine_restore_halt(player->engine, halt->scope, halt->code, halt->reason);
}

static void restore_cash(void *self, const struct cash_record *cash)
{
    struct player *player = self;
    engine_restore_cash(player->engine, cash);
}

static int restore(struct player *player, struct error *err)
{
    int code =
        ledger_each_position(player->ledger, player->instance_id, restore_position, player, err);
    if (code == 0)
        code =
            ledger_each_open_order(player->ledger, player->instance_id, restore_order, player, err);
    if (code == 0)
        code = ledger_each_position(player->ledger, player->external_id, restore_external, player,
                                    err);
    if (code == 0)
        code =
            ledger_each_open_order(player->ledger, player->external_id, restore_order, player, err);
    if (code == 0)
        code = ledger_each_halt(player->ledger, restore_halt, player, err);
    if (code == 0)
        code = ledger_each_cash(player->ledger, "scripted", restore_cash, player, err);
    return code == 0 ? engine_resume(player->engine, player->now_ns, player->known_until_ns, err)
                     : code;
}

static int open_engine(struct player *player, struct error *err)
{
    struct engine_options options = {
        .instruments = &player->instruments,
        .market = player->market,
        .venue = scripted_venue(player),
        .ledger = watched_ledger(player),
        .doubt = { .resolve_grace_ns = 10 * NS_PER_SECOND, .resend_within_ns = NS_PER_MINUTE },
        .reconcile = { .mode = mode_of(&player->script),
                       .qty_tolerance = DECIMAL_ZERO,
                       .cash_tolerance = DECIMAL_ZERO,
                       .every_reports = 100 },
    };
    uint32_t all[INSTRUMENTS_MAX];
    for (uint32_t i = 0; i < player->instruments.count; i++)
        all[i] = i;
    struct instance_options instance = { .instance_id = player->instance_id,
                                         .strategy = "script",
                                         .capital = capital_of(&player->script),
                                         .instruments = all,
                                         .instrument_count = player->instruments.count };
    read_limits(&player->script, &options.account);
    risk_limits_init(&instance.limits);
    player->engine = engine_open(&options);
    int code = engine_add_instance(player->engine, &instance, err);
    if (code < 0)
        return code;
    engine_set_external(player->engine, player->external_id);
    player->has_external = true;
    struct guest guest = { .self = player,
                           .calls = 1u << GUEST_TRADE | 1u << GUEST_FILL | 1u << GUEST_ORDER,
                           .call = on_call,
                           .state = no_state,
                           .ready = ready,
                           .close = close_guest };
    engine_set_guest(player->engine, 0, guest);
    return 0;
}

/* The market goes on while the process is down: there is a price, if the script knows one. */
static void put_market(struct player *player)
{
    decimal price = price_now(player);
    struct event event = { .kind = EVENT_TRADE };
    if (!decimal_valid(price) ||
        decimal_mantissa(price, player->instruments.list[0].price_scale, &event.trade.price) < 0)
        return;
    event.trade.qty = 1;
    player_put(player, &event);
}

bool process_start(struct player *player)
{
    struct error err = { 0 };
    ASSERT(!player->engine);
    trace(player, "-- the process starts");
    player->starts++;
    player->is_up = true;
    player->market = market_open(&player->instruments);
    int code = open_ledger(player, &err);
    if (code == 0)
        code = open_engine(player, &err);
    if (code == 0)
        code = restore(player, &err);
    if (code == 0)
        code = engine_begin(player->engine, 0, player->now_ns, NULL, &err);
    if (code < 0) {
        fail_step(player, "start: expected to start, got %s", err.message);
        return false;
    }
    put_market(player);
    struct event event = { .kind = EVENT_CONNECTION, .connection = { .up = true } };
    player_put(player, &event);
    player_drain(player);
    return true;
}

void process_crash(struct player *player)
{
    trace(player, "-- the process dies");
    engine_close(player->engine);
    market_close(player->market);
    ledger_close(player->ledger);
    player->engine = NULL;
    player->market = NULL;
    player->ledger = NULL;
    player->question_count = 0;
    player->queue_count = 0;
    player->deferred_count = 0;
    player->drop_sends = player->lose_commits = false;
    player->fills_in_turn = 0;
}

/* ---- the store before the first step ---- */

static void add_instrument(struct player *player, const char *symbol)
{
    uint32_t index;
    struct error err = { 0 };
    const struct json *given = json_get(player->script.start, "instrument");
    if (!symbol || instruments_find(&player->instruments, symbol, NULL) != INSTRUMENT_NONE)
        return;
    decimal tick = member_decimal(given, "tick_size"), lot = member_decimal(given, "lot_size");
    decimal minimum = member_decimal(given, "min_notional");
    struct instrument instrument = { .venue = "scripted",
                                     .currency = "USDT",
                                     .tick_size = decimal_valid(tick) ? tick : decimal_make(1, 8),
                                     .lot_size = decimal_valid(lot) ? lot : decimal_make(1, 8),
                                     .min_notional =
                                         decimal_valid(minimum) ? minimum : DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .short_allowed = true,
                                     .price_scale = 8,
                                     .qty_scale = 8 };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    text_copy(instrument.origin, sizeof(instrument.origin), "script");
    if (instruments_add(&player->instruments, &instrument, &index, &err) < 0)
        fail_step(player, "start: expected an instrument, got %s", err.message);
}

static void add_keys(struct player *player, const struct json *positions)
{
    if (json_kind(positions) == JSON_OBJECT)
        for (size_t i = 0; i < json_count(positions); i++)
            add_instrument(player, json_key_at(positions, i));
}

/* Every member "sym", wherever it stands. */
static void add_symbols(struct player *player, const struct json *node)
{
    if (json_kind(node) == JSON_OBJECT)
        add_instrument(player, member_text(node, "sym"));
    if (json_kind(node) == JSON_OBJECT || json_kind(node) == JSON_ARRAY)
        for (size_t i = 0; i < json_count(node); i++)
            add_symbols(player, json_at(node, i));
}

static int store(struct player *player, struct record *record, struct error *err)
{
    struct turn turn = { .time_ns = player->now_ns, .event = 1, .records = record, .count = 1 };
    record->instance_id = player->instance_id;
    if (record->kind == RECORD_ORDER)
        keep_order(player, &record->order);
    return player->port.commit(player->port.self, &turn, err);
}

static int store_position(struct player *player, const char *symbol, const struct json *given,
                          struct error *err)
{
    struct record record = { .kind = RECORD_POSITION };
    record.instrument = instrument_named(player, symbol);
    position_init(&record.position);
    record.position.qty = member_decimal(given, "qty");
    decimal avg = member_decimal(given, "avg");
    record.position.cost =
        decimal_valid(avg) ? decimal_mul(record.position.qty, avg) : DECIMAL_ZERO;
    player->told.base_qty[record.instrument] =
        decimal_add(player->told.base_qty[record.instrument], record.position.qty);
    return store(player, &record, err);
}

static enum order_status status_named(const char *state, decimal cum)
{
    static const char *const names[] = { "filled",   "canceled",    "expired",
                                         "rejected", "pending_new", "unknown" };
    static const enum order_status statuses[] = { ORDER_FILLED,      ORDER_CANCELED,
                                                  ORDER_EXPIRED,     ORDER_REJECTED,
                                                  ORDER_PENDING_NEW, ORDER_PENDING_NEW };
    for (size_t i = 0; state && i < ARRAY_SIZE(names); i++)
        if (strcmp(state, names[i]) == 0)
            return statuses[i];
    return decimal_valid(cum) && decimal_sign(cum) > 0 ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
}

static int store_order(struct player *player, const char *name, const struct json *given,
                       struct error *err)
{
    const struct step step = { .node = given, .verb = "submit", .cl = name };
    struct order_request request;
    read_request(player, &step, &request);
    decimal cum = member_decimal(given, "cum"), avg = member_decimal(given, "avg");
    const char *ex = member_text(given, "ex");
    struct record record = { .kind = RECORD_ORDER, .instrument = request.instrument };
    record.order = (struct order){ .instance_id = player->instance_id,
                                   .instrument = request.instrument,
                                   .side = request.side,
                                   .type = request.type,
                                   .tif = request.tif,
                                   .qty = request.qty,
                                   .price = request.price,
                                   .trigger_price = request.trigger_price,
                                   .trail = DECIMAL_NONE,
                                   .stop = request.stop,
                                   .take = request.take,
                                   .reduce_only = request.reduce_only,
                                   .post_only = request.post_only,
                                   .known = status_named(member_text(given, "state"), cum),
                                   .pending_qty = DECIMAL_NONE,
                                   .pending_price = DECIMAL_NONE,
                                   .filled_qty = DECIMAL_ZERO,
                                   .notional = DECIMAL_ZERO,
                                   .fees = DECIMAL_ZERO,
                                   .inferred_qty = DECIMAL_ZERO,
                                   .inferred_notional = DECIMAL_ZERO,
                                   .expires_ns = TIME_NEVER,
                                   .created_ns = player->now_ns,
                                   .updated_ns = player->now_ns };
    struct order *order = &record.order;
    order->order_id = player->port.next_order_id(player->port.self, order->client_order_id);
    memcpy(order->current_client_order_id, order->client_order_id, CLIENT_ORDER_ID_MAX);
    if (ex)
        text_copy(order->venue_order_id, sizeof(order->venue_order_id), ex);
    const char *state = member_text(given, "state");
    bool is_canceling = state && strcmp(state, "pending_cancel") == 0;
    if (is_canceling)
        order->pending = PENDING_CANCEL;
    struct told_order *told = told_add(&player->told);
    told->order_id = order->order_id;
    told->instrument = order->instrument;
    told->side = order->side;
    told->type = order->type;
    told->qty = order->qty;
    told->price = decimal_valid(order->price) ? order->price : order->trigger_price;
    text_copy(told->id, sizeof(told->id), order->client_order_id);
    memcpy(told->venue_order_id, order->venue_order_id, sizeof(told->venue_order_id));
    told_call(&player->told, told, name, order->client_order_id);
    if (order->known != ORDER_PENDING_NEW)
        told_sum(told, order->known, DECIMAL_NONE, DECIMAL_NONE);
    else
        told->submit_ns = player->now_ns;
    if (is_canceling)
        told->cancel_ns = player->now_ns;
    int code = store(player, &record, err);
    if (code < 0 || !decimal_valid(cum) || decimal_sign(cum) <= 0)
        return code;
    record.kind = RECORD_FILL;
    record.fill = (struct fill){ .kind = FILL_TRADE,
                                 .qty = cum,
                                 .price = avg,
                                 .notional = decimal_mul(cum, avg),
                                 .fee = DECIMAL_ZERO,
                                 .transact_ns = player->now_ns };
    snprintf(record.fill.exec_id, sizeof(record.fill.exec_id), "before-%s", name);
    order->filled_qty = cum;
    order->notional = record.fill.notional;
    /* What is held says so already. */
    decimal signed_cum = order->side == SIDE_BUY ? cum : decimal_neg(cum);
    player->told.base_qty[order->instrument] =
        decimal_sub(player->told.base_qty[order->instrument], signed_cum);
    told_fill(&player->told, told, record.fill.exec_id, cum, avg, player->now_ns);
    if ((code = store(player, &record, err)) < 0)
        return code;
    record.kind = RECORD_ORDER;
    return store(player, &record, err);
}

static int each_member(struct player *player, const char *key,
                       int (*put)(struct player *player, const char *name, const struct json *node,
                                  struct error *err),
                       struct error *err)
{
    const struct json *list = json_get(player->script.start, key);
    int code = 0;
    for (size_t i = 0; code == 0 && i < json_count(list); i++) {
        const struct json *node = json_at(list, i);
        const char *name = json_kind(list) == JSON_OBJECT ? json_key_at(list, i)
                           : strcmp(key, "orders") == 0   ? member_text(node, "cl")
                                                          : member_text(node, "sym");
        code = put(player, name, node, err);
    }
    return code;
}

/* As an earlier run left it: closed without an end. */
static int prepare_store(struct player *player, struct error *err)
{
    int code = open_ledger(player, err);
    if (code == 0) {
        player->port = ledger_port(player->ledger);
        code = each_member(player, "positions", store_position, err);
    }
    if (code == 0)
        code = each_member(player, "orders", store_order, err);
    ledger_close(player->ledger);
    player->ledger = NULL;
    return code;
}

/* ---- one run ---- */

static bool has_step(const struct script *script, enum who who, const char *verb, const char *key)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->steps[i];
        if (step->who == who && strcmp(step->verb, verb) == 0 &&
            (!key || member_text(step->node, key)))
            return true;
    }
    return false;
}

/* In the script the runtime ends an exit to place another one at the same price. */
static bool changes_nothing(const struct script *script)
{
    const char *ended[16];
    size_t count = 0;
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->steps[i];
        if (step->who != WHO_RUNTIME)
            continue;
        if (strcmp(step->verb, "cancel") == 0 && count < ARRAY_SIZE(ended))
            ended[count++] = step->cl;
        const char *price = member_text(step->node, "px");
        for (size_t k = 0; k < i && price && strcmp(step->verb, "submit") == 0; k++) {
            const struct step *former = &script->steps[k];
            const char *was = member_text(former->node, "px");
            for (size_t e = 0; e < count; e++)
                if (former->who == WHO_RUNTIME && strcmp(former->verb, "submit") == 0 &&
                    strcmp(former->cl, ended[e]) == 0 && was && strcmp(was, price) == 0)
                    return true;
        }
    }
    return false;
}

static void set_abilities(struct player *player)
{
    const struct script *script = &player->script;
    bool renames = has_step(script, WHO_STRATEGY, "replace", "new");
    player->abilities =
        (struct venue_abilities){ .types = ~0u,
                                  .tifs = ~0u,
                                  .oco = true,
                                  .reduce_only = true,
                                  .amend = renames                   ? AMEND_NEW_ID
                                           : changes_nothing(script) ? AMEND_NONE
                                                                     : AMEND_IN_PLACE,
                                  .post_only = true,
                                  .answer_within_ns = 10 * NS_PER_SECOND };
}

static bool is_set(const struct json *object, const char *key, bool otherwise)
{
    const struct json *member = json_get(object, key);
    return member && json_kind(member) == JSON_BOOL ? json_as_bool(member) : otherwise;
}

/* What this venue can do, where a case is about it: start.venue. */
static void read_abilities(struct player *player)
{
    const struct json *given = json_get(player->script.start, "venue");
    const struct json *types = json_get(given, "types"), *tifs = json_get(given, "tifs");
    struct venue_abilities *abilities = &player->abilities;
    enum order_type type;
    enum order_tif tif;
    if (types)
        abilities->types = 0;
    for (size_t i = 0; i < json_count(types); i++)
        if (order_type_parse(json_as_string(json_at(types, i)), &type))
            abilities->types |= 1u << type;
    if (tifs)
        abilities->tifs = 0;
    for (size_t i = 0; i < json_count(tifs); i++)
        if (order_tif_parse(json_as_string(json_at(tifs, i)), &tif))
            abilities->tifs |= 1u << tif;
    abilities->oco = is_set(given, "oco", abilities->oco);
    abilities->post_only = is_set(given, "post_only", abilities->post_only);
    abilities->cash_is_spot = is_set(given, "spot", abilities->cash_is_spot);
    if (!is_set(given, "amend", true))
        abilities->amend = AMEND_NONE;
}

bool player_open(struct player *player, struct error *err)
{
    text_init(&player->failures, 1 << 20);
    player->last_price = DECIMAL_NONE;
    player->first_fault = SIZE_MAX;
    player->seq = -1;
    player->wall_ns = WALL_NS;
    player->now_ns = START_NS - EARLY_NS;
    for (size_t i = 0; i < INSTRUMENTS_MAX; i++) {
        player->told.base_qty[i] = DECIMAL_ZERO;
        player->told.said_qty[i] = player->told.said_avg[i] = DECIMAL_NONE;
    }
    for (size_t i = 0; i < ORDERS_TOLD_MAX; i++)
        player->done_qty[i] = DECIMAL_NONE;
    snprintf(player->directory, sizeof(player->directory), "%s/scenario-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(player->directory))
        return error_set(err, ERROR_IO, "no temporary directory") == 0;
    snprintf(player->path, sizeof(player->path), "%s/ledger.sqlite", player->directory);
    add_instrument(player, "BTCUSDT");
    add_symbols(player, player->script.root);
    if (json_get(player->script.start, "positions"))
        add_keys(player, json_get(player->script.start, "positions"));
    if (json_get(player->script.expect, "positions"))
        add_keys(player, json_get(player->script.expect, "positions"));
    set_abilities(player);
    read_abilities(player);
    return prepare_store(player, err) == 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void player_close(struct player *player)
{
    if (player->engine || player->market || player->ledger)
        process_crash(player);
    if (player->directory[0])
        nftw(player->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    text_release(&player->failures);
    free(player->queue);
    free(player->sent);
    free(player->orders);
    script_release(&player->script);
}

/* The process runs and has compared its books before the first step, unless the script begins with
 * the start itself. */
static void start_quietly(struct player *player)
{
    const struct script *script = &player->script;
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->steps[i];
        if (step->who == WHO_RUNTIME && strcmp(step->verb, "start") == 0) {
            player->now_ns = START_NS;
            return;
        }
        if (step->who == WHO_STRATEGY ||
            (step->who == WHO_FAULT && strcmp(step->verb, "crash") == 0))
            break;
    }
    player->is_early = true;
    if (process_start(player))
        player_run_to(player, START_NS);
    player->is_early = false;
    player->now_ns = START_NS;
}

static bool is_quiet(struct player *player, const struct step *step)
{
    (void)step;
    return player->question_count == 0 && player->queue_count == 0 &&
           (!player->engine || !engine_is_reconciling(player->engine));
}

static void run(struct player *player)
{
    start_quietly(player);
    for (player->at = 0; player->at < player->script.count && player->failures.length == 0;
         player->at++) {
        const struct step *step = &player->script.steps[player->at];
        if (step->is_played)
            continue;
        int64_t at_ns = START_NS + step->t_ns + player->shift_ns;
        player_run_to(player, at_ns);
        trace(player, "%s %s %s",
              (const char *[]){ "strategy", "operator", "runtime", "venue", "fault" }[step->who],
              step->verb, step->cl);
        step_play(player, step);
        player_drain(player);
        questions_look_again(player);
        player_drain(player);
    }
    if (player->failures.length > 0)
        return;
    player_run_to(player, player->now_ns + SETTLE_NS);
    player_wait(player, is_quiet, NULL, SETTLE_MOST_NS);
}

/* The end that is expected must be reached within bounded time. */
static void come_to_the_end(struct player *player)
{
    int64_t until_ns = player->now_ns + END_WITHIN_NS;
    struct text first;
    text_init(&first, 1 << 20);
    for (;;) {
        if (!player->engine) {
            fail_step(player, "process: expected to run, got a crash without a start");
            break;
        }
        expect_check(player);
        if (player->failures.length == 0)
            break;
        if (first.length == 0)
            text_add(&first, player->failures.data);
        text_clear(&player->failures);
        if (player->now_ns >= until_ns) { /* how it stood first says most */
            text_add(&player->failures, first.data);
            break;
        }
        player_run_to(player, player->now_ns + NS_PER_SECOND);
    }
    text_release(&first);
}

static bool say(struct player *player)
{
    const char *line = player->failures.data;
    char shuffled[40] = "";
    if (player->failures.length == 0)
        return true;
    if (player->permutation > 0)
        snprintf(shuffled, sizeof(shuffled), " (permutation %" PRIu64 ")", player->permutation);
    const char *end = strchr(line, '\n');
    printf("FAIL %s %.*s%s\n", player->script.id, (int)(end - line), line, shuffled);
    for (line = end + 1; *line; line = end + 1) {
        end = strchr(line, '\n');
        printf("  %s %.*s\n", player->script.id, (int)(end - line), line);
    }
    return false;
}

/* Plays it once: as written, or the given permutation of it. The id is copied out. */
static bool play_once(const char *path, const struct options *options, uint64_t permutation,
                      char *id, size_t size)
{
    struct player *player = memory_new(sizeof(*player));
    struct error err = { 0 };
    player->options = options;
    player->permutation = permutation;
    if (script_read(path, &player->script, &err) < 0) {
        printf("FAIL %s file: expected a conversation, got %s\n", path, err.message);
        script_release(&player->script);
        free(player);
        return false;
    }
    text_copy(id, size, player->script.id);
    if (permutation > 0)
        script_permute(&player->script, permutation);
    if (player_open(player, &err)) {
        run(player);
        if (player->failures.length == 0)
            come_to_the_end(player);
    } else {
        fail_step(player, "start: expected a store, got %s", err.message);
    }
    bool is_ok = say(player);
    player_close(player);
    free(player);
    return is_ok;
}

bool play(const char *path, const struct options *options)
{
    char id[128];
    for (uint64_t i = 0; i <= options->permute; i++)
        if (!play_once(path, options, i, id, sizeof(id)))
            return false;
    printf("ok %s\n", id);
    return true;
}
