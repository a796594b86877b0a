/* world.c - see world.h.
 *
 * The runtime is the real one, Lua and ledger included: only venue, wall clock and disk are ours.
 * The ledger's port is taken at link time (--wrap=ledger_port), so that each turn can be looked at,
 * and a process can end before, inside and after its commit. */
#include "tests/simulation/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/app/session.h"
#include "tests/simulation/chain.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/exchange.h"
#include "tests/simulation/model.h"
#include "tests/simulation/rules.h"
#include "tests/simulation/wire.h"

#define START_NS (INT64_C(1735689600) * NS_PER_SECOND) /* 2025-01-01 */
#define HEALED_SECONDS 150                             /* strategies trade on, nothing fails */
#define REST_SECONDS 200                               /* no market, no strategies */
#define STRATEGY_FILES 3
#define ORDER_MOST_USD 20 /* the limit that an operator lowers to */
#define VENUE "binance"   /* one that the configuration knows */
#define LEDGER "state/ledger-live.sqlite"
/* Trades are asked for from ten minutes before the last one known: a clock that is wrong by more
 * may miss one, and the money then rests on what the sums told. */
#define SKEW_MOST_NS (9 * NS_PER_MINUTE)

static const char *const files[] = { "probe", "chaos",   "protected", "quoter",
                                     "slow",  "failing", "looping",   "greedy" };

struct world {
    const struct world_options *options;
    struct world_result *result;
    uint64_t seed;
    struct random random;
    struct exchange exchange;
    struct wire *wire;
    struct model *model;
    struct fault_plan plan;
    struct disk *disk, *after; /* after: what the next process finds */
    struct options arguments;
    struct session_world seams;
    struct session *session;
    struct ledger_port ledger;
    char symbols[64], config[600], paths[STRATEGY_FILES][600];
    const char *chosen[STRATEGY_FILES];
    size_t chosen_count;
    bool dead; /* the process has ended, but its code runs on to the end of the step */
    size_t mode;
    int interval;
    uint64_t kill_in; /* disk points until it ends, 0: not planned */
    bool committing, faults_on;
    bool power_safe;
    bool asks, asked; /* at each point whether the process ends there; it did */
    int64_t start_ns;
    int64_t skew_ns, flush_ns, reload_ns, end_ns;
    int64_t offset_ns; /* how far the process's clock is ahead */
    struct rules rules;
    struct random operator;    /* draws what only worlds with limits do */
    int64_t lift_ns, close_ns; /* when the operator lifts his halt, closes the breaker */
    unsigned revision;
    struct chain chain; /* how far the ledger was followed */
    bool shared;        /* all strategies trade one market */
    bool lowered;       /* the operator has lowered a limit */
    bool disk_breaks;   /* its calls fail now */
    bool disk_broke;    /* they did since the process began: it may have given up since */
    int64_t disk_back_ns;
    bool started; /* a process came to its first event */
    struct sha256 *digest;
    uint64_t deaths;
};

static struct world *current; /* of the seams that carry no self */

/* ---- the trace ---- */

PRINTF_LIKE(2, 3) static void trace(struct world *world, const char *format, ...)
{
    if (!world->options->trace && !world->digest)
        return;
    char line[512];
    int64_t now = wire_now_ns(world->wire) - world->start_ns;
    int length = snprintf(line, sizeof(line), "%" PRId64 ".%09" PRId64 " ", now / NS_PER_SECOND,
                          now % NS_PER_SECOND);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof(line) - (size_t)length - 2, format, arguments);
    va_end(arguments);
    if ((size_t)length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    line[length++] = '\n';
    if (world->digest)
        sha256_update(world->digest, line, (size_t)length);
    if (world->options->trace)
        fwrite(line, 1, (size_t)length, stdout);
}

static void trace_report(struct world *world, const struct event *event, const char *mark)
{
    const struct report *report = event->report;
    char qty[DECIMAL_TEXT_MAX], price[DECIMAL_TEXT_MAX];
    bool is_fill = report->kind == REPORT_FILL || report->kind == REPORT_BUST ||
                   report->kind == REPORT_CORRECT;
    bool is_status = report->kind == REPORT_STATUS;
    decimal q = is_fill ? report->fill.qty : is_status ? report->cum_qty : report->qty;
    trace(world, "event report %s %s%s%s %s %s%s%s %s", report_kind_name(report->kind),
          report->client_order_id, is_status ? " " : "",
          is_status ? order_status_name(report->status) : "", decimal_format(q, qty),
          decimal_format(is_fill ? report->fill.price : report->price, price), is_fill ? " " : "",
          is_fill ? report->fill.exec_id : report->reason, mark);
}

static void trace_event(struct world *world, const struct event *event, enum fault fault)
{
    const char *mark = fault == FAULTS ? "" : fault_name(fault);
    char text[DECIMAL_TEXT_MAX];
    switch (event->kind) {
    case EVENT_TRADE:
        trace(world, "event trade %" PRIu32 " %" PRId64 " %" PRId64, event->instrument,
              event->trade.price, event->trade.qty);
        break;
    case EVENT_QUOTE:
        trace(world, "event quote %" PRIu32 " %" PRId64 " %" PRId64, event->instrument,
              event->quote.bid, event->quote.ask);
        break;
    case EVENT_BAR:
        trace(world, "event bar %" PRIu32 " %" PRId64, event->instrument, event->bar.close);
        break;
    case EVENT_REPORT:
        trace_report(world, event, mark);
        break;
    case EVENT_ANSWER:
        trace(world, "event answer %" PRIu64 " %s %s", event->answer.ticket,
              event->answer.complete ? "complete" : "failed", event->answer.reason);
        break;
    case EVENT_POSITION:
        trace(world, "event position %" PRIu32 " %s", event->instrument,
              decimal_format(event->position.qty, text));
        break;
    case EVENT_CASH:
        trace(world, "event cash %s", decimal_format(event->cash.amount, text));
        break;
    case EVENT_HEARTBEAT:
    case EVENT_CLOCK:
    case EVENT_SLOW_DOWN:
        break;
    case EVENT_CONNECTION:
        trace(world, "event connection %s", event->connection.up ? "up" : "down");
        break;
    }
}

static void trace_record(struct world *world, const struct record *record)
{
    char qty[DECIMAL_TEXT_MAX], filled[DECIMAL_TEXT_MAX];
    const struct order *order = &record->order;
    switch (record->kind) {
    case RECORD_ORDER:
        trace(world, "record order %s %s %s %s/%s%s %s", order->client_order_id,
              order_side_name(order->side), order_status_name(order_status(order)),
              decimal_format(order->filled_qty, filled), decimal_format(order->qty, qty),
              order->held ? " held" : "", order->reason);
        break;
    case RECORD_FILL:
        trace(world, "record fill %s %s %s %s", order->client_order_id, record->fill.exec_id,
              fill_kind_name(record->fill.kind), decimal_format(record->fill.qty, qty));
        break;
    case RECORD_POSITION:
        trace(world, "record position %" PRIu32 " %" PRIu32 " %s", record->instance_id,
              record->instrument, decimal_format(record->position.qty, qty));
        break;
    case RECORD_ADJUSTMENT:
        trace(world, "record adjustment %" PRIu32 " %" PRIu32 " %s -> %s %s", record->instance_id,
              record->instrument, decimal_format(record->adjustment.qty_before, qty),
              decimal_format(record->adjustment.qty_after, filled), record->adjustment.reason);
        break;
    case RECORD_CASH:
        trace(world, "record cash %s own %s", decimal_format(record->cash.amount, qty),
              decimal_format(record->cash.own, filled));
        break;
    case RECORD_BLOCKED:
        trace(world, "record blocked %s", record->code);
        break;
    case RECORD_REDUCED:
        trace(world, "record reduced %s", record->code);
        break;
    case RECORD_TRIP:
        trace(world, "record trip");
        break;
    case RECORD_STATE:
        trace(world, "record state %" PRIu32 " %.*s", record->instance_id,
              (int)(record->body_length > 200 ? 200 : record->body_length), record->body);
        break;
    case RECORD_HALT:
    case RECORD_ALERT:
    case RECORD_JOURNAL:
        trace(world, "record %s %s %s",
              record->kind == RECORD_HALT    ? "halt"
              : record->kind == RECORD_ALERT ? "alert"
                                             : "journal",
              record->name, record->kind == RECORD_JOURNAL ? "" : record->body);
        break;
    }
}

/* ---- faults of the process ---- */

static bool fault(struct world *world, enum fault kind)
{
    if (!world->faults_on || !world->plan.on[kind] ||
        random_below(&world->random, 100) >= world->plan.percent[kind])
        return false;
    world->result->faults[kind]++;
    trace(world, "fault %s", fault_name(kind));
    model_count_open(world->model, world->result->reach.hits[kind]);
    return true;
}

/* What was written so far is what the next process finds. Code of this one runs on for a moment,
 * and nothing of what it does counts. */
static void die(struct world *world, enum crash crash, size_t torn)
{
    if (world->dead)
        return;
    trace(world, "the process ends");
    world->dead = true;
    world->kill_in = 0;
    world->after =
        disk_after_crash(world->disk, crash, torn, hash64(world->seed, ++world->deaths, 7));
    wire_detach(world->wire);
}

/* Whether somebody wants it to end here: then that is the last thing that goes wrong. */
static bool ends_here(struct world *world, const struct world_point *point, struct world_end *end)
{
    *end = (struct world_end){ 0 };
    if (!world->asks || world->dead || !world->options->crash)
        return false;
    trace(world, "point %s %s", point->what, point->name);
    world->options->crash(world->options->crash_self, point, end);
    if (!end->ends)
        return false;
    world->asks = world->faults_on = false;
    world->asked = true;
    world->end_ns = wire_now_ns(world->wire);
    die(world, end->crash, end->torn);
    return true;
}

static void on_disk_point(void *self, enum disk_point kind, const char *path, uint64_t number)
{
    struct world *world = self;
    size_t length = disk_write_length(world->disk);
    struct world_point point = { .what = disk_point_name(kind),
                                 .name = path,
                                 .write_length = length,
                                 .power_safe = world->power_safe };
    struct world_end end;
    (void)number;
    if (ends_here(world, &point, &end) || world->dead || world->kill_in == 0 ||
        --world->kill_in > 0)
        return;
    die(world, CRASH_KILL, length ? random_below(&world->random, length + 1) : 0);
}

/* ---- the seams ---- */

/* A limit that spoke, by the code in its record. */
static void note_verdict(struct world *world, const struct record *record)
{
    struct reach *reach = &world->result->reach;
    if (record->kind == RECORD_BLOCKED)
        reach_spoke(reach, record->code, REACH_BLOCK, &world->rules);
    if (record->kind == RECORD_REDUCED)
        reach_spoke(reach, record->code, REACH_REDUCE, &world->rules);
    if (record->kind == RECORD_HALT && strstr(record->body, "\"daily_loss_limit\""))
        reach_spoke(reach, "max_daily_loss", REACH_HALT, &world->rules);
    if (record->kind == RECORD_HALT && strstr(record->body, "\"drawdown_limit\""))
        reach_spoke(reach, "max_drawdown", REACH_HALT, &world->rules);
}

static int commit(void *self, const struct turn *turn, struct error *err)
{
    struct world *world = current;
    if (world->dead)
        return world->ledger.commit(self, turn, err);
    for (size_t i = 0; i < turn->count; i++) {
        trace_record(world, &turn->records[i]);
        note_verdict(world, &turn->records[i]);
    }
    bool kill = random_below(&world->random, 8) == 0 && fault(world, FAULT_KILL_COMMIT);
    bool power =
        world->power_safe && random_below(&world->random, 8) == 0 && fault(world, FAULT_POWER);
    if (kill)
        world->kill_in = 1 + random_below(&world->random, 12);
    int code = world->ledger.commit(self, turn, err);
    if (world->dead || code < 0) {
        model_commit_unsure(world->model, turn);
        return code;
    }
    model_commit(world->model, turn);
    if (kill)
        die(world, CRASH_KILL, 0);
    if (power) {
        model_loses_power(world->model);
        die(world, CRASH_POWER, 0);
    }
    return code;
}

struct ledger_port __real_ledger_port(struct ledger *ledger);
struct ledger_port __wrap_ledger_port(struct ledger *ledger);

struct ledger_port __wrap_ledger_port(struct ledger *ledger)
{
    struct ledger_port port = __real_ledger_port(ledger);
    current->ledger = port;
    model_settle_unsure(current->model, &port);
    port.commit = commit;
    return port;
}

static const char *const query_names[] = {
    [QUERY_BARS] = "bars",   [QUERY_ORDER] = "order",         [QUERY_OPEN_ORDERS] = "open_orders",
    [QUERY_FILLS] = "fills", [QUERY_POSITIONS] = "positions", [QUERY_BALANCES] = "balances",
};

static const char *const send_names[] = {
    [SEND_SUBMIT] = "send submit",
    [SEND_CANCEL] = "send cancel",
    [SEND_AMEND] = "send amend",
    [SEND_QUERY] = "send query",
};

static void trace_send(struct world *world, enum wire_send kind, const struct order *order,
                       const struct venue_query *query, decimal qty, decimal price)
{
    char a[DECIMAL_TEXT_MAX], b[DECIMAL_TEXT_MAX];
    if (kind == SEND_QUERY) {
        trace(world, "send query %s %" PRIu64 " %s%s%.3f", query_names[query->kind], query->ticket,
              query->client_order_id ? query->client_order_id : "", query->from_ns ? " from " : " ",
              query->from_ns ? (double)(query->from_ns - world->start_ns) / 1e9 : 0.0);
        return;
    }
    if (kind != SEND_AMEND) {
        qty = order->qty;
        price = order->price;
    }
    trace(world, "send %s %s %" PRIu32 " %s %s %s %s%s%s",
          kind == SEND_SUBMIT   ? "submit"
          : kind == SEND_CANCEL ? "cancel"
                                : "amend",
          order->current_client_order_id, order->instrument, order_side_name(order->side),
          order_type_name(order->type), decimal_format(qty, a),
          decimal_valid(price) ? decimal_format(price, b) : "-",
          order->reduce_only ? " reduce_only" : "", order->pending_client_order_id);
}

static bool on_send(void *self, enum wire_send kind, const struct order *order,
                    const struct venue_query *query, decimal qty, decimal price, bool *left)
{
    struct world *world = self;
    trace_send(world, kind, order, query, qty, price);
    int64_t now_ns = wire_now_ns(world->wire) + world->offset_ns;
    int64_t event_ns = world->session ? engine_now(world->session->engine) : now_ns;
    model_send(world->model, &(struct referee_send){ .kind = kind,
                                                     .order = order,
                                                     .qty = qty,
                                                     .price = price,
                                                     .now_ns = now_ns,
                                                     .rate_ns = event_ns - world->offset_ns });
    struct world_point point = { .what = send_names[kind],
                                 .name = order ? order->client_order_id : "",
                                 .is_send = true,
                                 .power_safe = world->power_safe };
    struct world_end end;
    if (ends_here(world, &point, &end)) {
        *left = end.left;
        return false;
    }
    if (random_below(&world->random, 8) != 0 || !fault(world, FAULT_KILL_SEND))
        return true;
    *left = random_below(&world->random, 2) == 0;
    die(world, CRASH_KILL, 0);
    return false;
}

static void on_event(void *self, const struct event *event, enum fault fault)
{
    struct world *world = self;
    world->result->events++;
    trace_event(world, event, fault);
    model_event(world->model, event);
}

static void on_fault(void *self, enum fault fault, const char *client_order_id)
{
    struct world *world = self;
    world->result->faults[fault]++;
    trace(world, "fault %s %s", fault_name(fault), client_order_id);
    if (client_order_id[0])
        reach_hit(&world->result->reach, fault, model_status(world->model, client_order_id));
    else
        model_count_open(world->model, world->result->reach.hits[fault]);
}

static int64_t wall_now(void *self)
{
    const struct world *world = self;
    return wire_now_ns(world->wire) + world->skew_ns;
}

static int open_venue(void *self, struct event_sink sink, struct venue_port *out, struct error *err)
{
    struct world *world = self;
    (void)err;
    wire_attach(world->wire, sink, out);
    return 0;
}

static int64_t leverage_of(const struct world *world)
{
    return world->exchange.profile.is_spot ? 1 : world->rules.leverage;
}

static int find_instrument(void *self, const char *symbol, struct instrument *out,
                           struct error *err)
{
    const struct world *world = self;
    (void)symbol, (void)err;
    *out = (struct instrument){ .tick_size = wire_price(1),
                                .lot_size = wire_qty(1),
                                .min_notional = DECIMAL_ZERO,
                                .multiplier = decimal_int(1),
                                .leverage = decimal_int(leverage_of(world)),
                                .short_allowed = !world->exchange.profile.is_spot,
                                .price_scale = PRICE_SCALE,
                                .qty_scale = QTY_SCALE };
    strcpy(out->currency, "USDT");
    strcpy(out->origin, "simulation");
    return 0;
}

/* ---- drawing a seed ---- */

static bool chance(struct world *world, unsigned percent)
{
    return random_below(&world->random, 100) < percent;
}

static struct exchange_profile draw_profile(struct world *world, bool shared)
{
    struct exchange_profile profile = {
        .types = 1u << ORDER_MARKET | 1u << ORDER_LIMIT,
        .tifs = 1u << TIF_GTC | 1u << TIF_IOC,
        .oco = chance(world, 50),
        .post_only = chance(world, 70),
        .reduce_only = !shared && chance(world, 60),
        .amends = chance(world, 70),
        .renames = chance(world, 50),
        .ends_to_rename = chance(world, 40),
        .tells_trades = chance(world, 75),
        .tells_twice = chance(world, 50),
        .is_spot = chance(world, 40),
        .maker_fee = (int64_t)random_below(&world->random, 300),
        .taker_fee = (int64_t)random_below(&world->random, 600),
    };
    if (chance(world, 45))
        profile.types |= 1u << ORDER_STOP | 1u << ORDER_STOP_LIMIT;
    if (chance(world, 60))
        profile.tifs |= 1u << TIF_FOK;
    if (chance(world, 40))
        profile.tifs |= 1u << TIF_GTD;
    return profile;
}

static void choose_strategies(struct world *world)
{
    world->chosen[world->chosen_count++] = files[0];
    size_t wanted = 2 + random_below(&world->random, STRATEGY_FILES - 1);
    while (world->chosen_count < wanted) {
        const char *file = files[1 + random_below(&world->random, ARRAY_SIZE(files) - 1)];
        bool there = false;
        for (size_t i = 0; i < world->chosen_count; i++)
            there |= world->chosen[i] == file;
        if (!there)
            world->chosen[world->chosen_count++] = file;
    }
}

static const char *const symbols[MARKETS_MAX] = { "AAA/USDT", "BBB/USDT", "CCC/USDT" };

static void write_strategy(struct world *world, size_t index, bool changed)
{
    char from[128], *text;
    size_t length;
    struct error err = { 0 };
    snprintf(from, sizeof(from), "tests/simulation/strategies/%s.lua", world->chosen[index]);
    if (text_read_file(from, 1 << 20, &text, &length, &err) < 0) {
        model_fail(world->model, "%s: %s", err.where, err.message);
        return;
    }
    struct text out;
    text_init(&out, 1 << 20);
    text_add(&out, text);
    if (changed)
        text_printf(&out, "-- revision %u\n", ++world->revision);
    if (text_write_file(world->paths[index], out.data, out.length, &err) < 0)
        model_fail(world->model, "%s: %s", err.where, err.message);
    text_release(&out);
    free(text);
}

static int64_t capital_of(const struct world *world)
{
    int64_t sum = 0;
    for (size_t i = 0; i < world->chosen_count; i++)
        sum += world->rules.capital[i];
    return sum > 0 ? sum : 1000000;
}

static void write_entry(const struct world *world, size_t index, struct text *text)
{
    text_printf(text, "  - { file: %s, symbols: [%s]", world->paths[index],
                symbols[world->shared ? 0 : index]);
    if (world->rules.any) {
        text_printf(text, ", capital: %" PRId64, world->rules.capital[index]);
        text_add(text, ", limits: ");
        if (!rules_write_set(&world->rules.strategies[index], text))
            text_add(text, "{}");
    }
    text_add(text, " }\n");
}

/* The file that a user would have written, from the seed. */
static void write_config(struct world *world)
{
    static const char *const modes[] = { "strict", "warn", "auto_sync" };
    struct text text;
    struct error err = { 0 };
    text_init(&text, 1 << 16);
    text_printf(&text, "trading: { capital: %" PRId64 ", symbols: [", capital_of(world));
    for (uint32_t i = 0; i < world->exchange.market_count; i++)
        text_printf(&text, "%s%s", i ? ", " : "", symbols[i]);
    text_add(&text, "] }\nstrategies:\n");
    for (size_t i = 0; i < world->chosen_count; i++)
        write_entry(world, i, &text);
    text_printf(&text, "reconciliation: { mode: %s, periodic_interval: %d }\n", modes[world->mode],
                world->interval);
    text_add(&text, "sandbox: { instructions: 20000, memory_mb: 2 }\n");
    if (world->rules.any)
        rules_write(&world->rules, VENUE, symbols, world->exchange.market_count, &text);
    else if (world->lowered)
        text_printf(&text, "risk: { max_order_size_usd: %d }\n", ORDER_MOST_USD);
    text_printf(&text, "persistence: { durability: %s }\n",
                world->power_safe ? "power" : "process");
    if (text_write_file(world->config, text.data, text.length, &err) < 0)
        model_fail(world->model, "%s: %s", err.where, err.message);
    text_release(&text);
}

static void draw(struct world *world)
{
    random_seed(&world->random, hash64(world->seed, 1, 2));
    choose_strategies(world);
    bool shared = chance(world, 40);
    struct exchange_profile profile = draw_profile(world, shared);
    uint32_t market_count = shared ? 1 : (uint32_t)world->chosen_count;
    rules_draw(&world->rules, world->seed, market_count, world->chosen_count);
    world->start_ns = START_NS + world->rules.begins_ns;
    exchange_init(&world->exchange, &profile, market_count, hash64(world->seed, 3, 4),
                  world->start_ns);
    struct random faults;
    random_seed(&faults, hash64(world->seed, 5, 6));
    fault_draw(&world->plan, world->options->allowed, world->options->always, &faults);
    if (world->rules.crosses_day) /* which day it is would be the clock's word against ours */
        world->plan.on[FAULT_CLOCK] = false;
    world->model = model_open(&world->exchange);
    struct wire_options wire = {
        .exchange = &world->exchange,
        .plan = world->plan,
        .watch = { .self = world, .send = on_send, .event = on_event, .fault = on_fault },
        .seed = hash64(world->seed, 7, 8),
        .now_ns = world->start_ns
    };
    world->wire = wire_open(&wire);
    model_set_wire(world->model, world->wire);
    snprintf(world->config, sizeof(world->config), "%s/config.yaml", world->options->folder);
    for (size_t i = 0; i < world->chosen_count; i++) {
        snprintf(world->paths[i], sizeof(world->paths[i]), "%s/%s.lua", world->options->folder,
                 world->chosen[i]);
        write_strategy(world, i, false);
        world->arguments.strategies.items[world->arguments.strategies.count++] = world->paths[i];
    }
    world->shared = shared;
    random_seed(&world->operator, hash64(world->seed, 13, 14));
    world->lift_ns = world->close_ns = TIME_NEVER;
    world->mode = random_below(&world->random, 3);
    world->interval = chance(world, 50) ? 100 : 20;
    world->power_safe = chance(world, 20);
    write_config(world);
    world->arguments.config = world->config;
    world->arguments.state = "state";
    world->arguments.seed = world->seed + 1;
    world->seams = (struct session_world){ .self = world,
                                           .wall = { world, wall_now },
                                           .open_venue = open_venue,
                                           .instrument = find_instrument,
                                           .venue = VENUE,
                                           .without_files = true,
                                           .only_set_limits_bind = true };
    world->disk = disk_open(hash64(world->seed, 9, 10));
    disk_use(world->disk);
    disk_watch(world->disk, on_disk_point, world);
}

/* ---- processes ---- */

/* Reads the ledger as the next process will find it, on a copy: that process shall recover it. */
static void check_chain(struct world *world)
{
    if (!disk_exists(world->disk, LEDGER))
        return;
    struct disk *copy = disk_after_crash(world->disk, CRASH_KILL, 0, world->seed);
    disk_use(copy);
    const char *wrong = chain_follow(&world->chain, LEDGER);
    if (wrong && world->started)
        model_fail(world->model, "C7 after row %" PRId64 " of the ledger: %s", world->chain.seq,
                   wrong);
    disk_use(world->disk);
    disk_close(copy);
}

static void bury(struct world *world)
{
    session_close(world->session);
    world->session = NULL;
    wire_detach(world->wire);
    if (world->after) {
        disk_use(world->after);
        disk_close(world->disk);
        world->disk = world->after;
        world->after = NULL;
        world->dead = false;
        disk_watch(world->disk, on_disk_point, world);
    }
    if (!model_failure(world->model))
        check_chain(world);
}

static void mend_disk(struct world *world)
{
    disk_set_faults(world->disk, &(struct disk_faults){ 0 });
    world->disk_breaks = false;
}

static bool start(struct world *world)
{
    struct error err = { 0 };
    trace(world, "a process begins");
    model_restart(world->model);
    int code = session_open(&world->arguments, &world->seams, NULL, &world->session, &err);
    if (code < 0) {
        world->session = NULL;
        if (!world->dead)
            model_fail(world->model, "start: %s: %s", err.where, err.message);
        return false;
    }
    if (world->dead)
        return false;
    world->started = true;
    world->offset_ns = world->session->now_ns - wire_now_ns(world->wire);
    wire_set_offset(world->wire, world->offset_ns);
    world->flush_ns = wire_now_ns(world->wire) + NS_PER_SECOND;
    trace(world, "its clock is %.3f s ahead", (double)world->offset_ns / 1e9);
    model_reopened(world->model, &world->rules, world->session, symbols);
    return true;
}

/* The process has ended; after a pause another begins, and may end as well. */
static void restart(struct world *world)
{
    do {
        world->result->restarts++;
        bury(world);
        mend_disk(world);
        world->disk_broke = false;
        int64_t pause = chance(world, 50)
                            ? (int64_t)random_below(&world->random, NS_PER_SECOND)
                            : (int64_t)random_below(&world->random, 120 * NS_PER_SECOND);
        wire_run_alone(world->wire, wire_now_ns(world->wire) + pause);
        if (fault(world, FAULT_CLOCK))
            world->skew_ns = (int64_t)random_below(&world->random, 2 * SKEW_MOST_NS) - SKEW_MOST_NS;
    } while (!model_failure(world->model) && !start(world));
}

/* One that nothing but its own end keeps from beginning. */
static bool start_surely(struct world *world)
{
    if (!start(world) && world->dead)
        restart(world);
    return !model_failure(world->model);
}

static void reload(struct world *world)
{
    static const char *const bad[] = { "return 1", "local S = {", "error('at load')",
                                       "local S = { api = 1, name = 'other' }\nreturn S" };
    bool good = fault(world, FAULT_RELOAD);
    if (!good && !fault(world, FAULT_BAD_RELOAD))
        return;
    struct source source;
    struct error err = { 0 };
    size_t index = random_below(&world->random, world->chosen_count);
    write_strategy(world, index, true);
    if (!good) {
        const char *text = bad[random_below(&world->random, ARRAY_SIZE(bad))];
        if (text_write_file(world->paths[index], text, strlen(text), &err) < 0)
            model_fail(world->model, "%s: %s", err.where, err.message);
    }
    world->result->reloads++;
    trace(world, "reload %s", world->chosen[index]);
    int code = source_read(world->paths[index], &source, &err);
    if (code == 0)
        code = reload_prepare(world->session, index, &source, &err);
    if (code < 0 && !world->dead && !world->disk_broke)
        model_fail(world->model, "reload: %s: %s", err.where, err.message);
    if (!good) /* a start would refuse it */
        write_strategy(world, index, false);
}

/* For a few seconds, or until a process ends of it. */
static void break_disk(struct world *world)
{
    int64_t now = wire_now_ns(world->wire);
    if (world->disk_breaks && now >= world->disk_back_ns)
        mend_disk(world);
    if (world->disk_breaks || random_below(&world->random, 8) != 0 || !fault(world, FAULT_DISK))
        return;
    struct disk_faults faults = { 0 };
    unsigned *rates[] = { &faults.read_error, &faults.write_error, &faults.short_write,
                          &faults.sync_error, &faults.locked };
    size_t kind = random_below(&world->random, ARRAY_SIZE(rates) + 1);
    if (kind == ARRAY_SIZE(rates))
        faults.capacity = 1;
    else
        *rates[kind] = 100 + (unsigned)random_below(&world->random, 5000);
    disk_set_faults(world->disk, &faults);
    world->disk_breaks = world->disk_broke = true;
    world->disk_back_ns = now + (int64_t)random_below(&world->random, 5 * NS_PER_SECOND);
}

/* The operator stops, by any policy, perhaps lowers a limit, and starts again. */
static void stop_and_start(struct world *world)
{
    char hash[SHA256_TEXT_MAX];
    struct error err = { 0 };
    enum stop_policy policy = (enum stop_policy)random_below(&world->random, 3);
    trace(world, "the operator stops, policy %d", (int)policy);
    model_silence(world->model, true);
    int code = session_stop(world->session, policy, "operator", &err);
    if (code == 0 && !world->dead)
        code = session_end(world->session, hash, &err);
    if (code < 0 && !world->dead && !world->disk_broke)
        model_fail(world->model, "stop: %s: %s", err.where, err.message);
    if (chance(world, 50)) {
        world->lowered = true;
        rules_lower(&world->rules, &world->operator);
        write_config(world);
    }
    restart(world);
    if (world->lowered && !world->rules.any)
        model_limit_orders(world->model, ORDER_MOST_USD);
}

/* ---- the operator ---- */

/* Of chances that come each second; in a stream of its own. */
static bool acts(struct world *world, enum fault kind, bool anyhow)
{
    if (!world->faults_on || !world->rules.any)
        return false;
    bool wants =
        world->plan.on[kind] && random_below(&world->operator, 2000) < world->plan.percent[kind];
    if (!wants && !anyhow)
        return false;
    world->result->faults[kind]++;
    trace(world, "fault %s", fault_name(kind));
    model_count_open(world->model, world->result->reach.hits[kind]);
    return true;
}

static int halt(struct world *world, int64_t now_ns, struct error *err)
{
    uint64_t how = random_below(&world->operator, 3);
    world->lift_ns = random_below(&world->operator, 4) == 0
                         ? TIME_NEVER
                         : wire_now_ns(world->wire) +
                               (int64_t)random_below(&world->operator, 60 * NS_PER_SECOND);
    return engine_halt(world->session->engine, now_ns, "operator", "the operator halts", how > 0,
                       how > 1, err);
}

static int flatten(struct world *world, int64_t now_ns, struct error *err)
{
    int count = world->session->instance_count;
    int instance = (int)random_below(&world->operator,(uint64_t) count + 1) - 1;
    uint32_t markets = world->exchange.market_count;
    uint32_t market = (uint32_t)random_below(&world->operator, markets + 1);
    return engine_flatten(world->session->engine, now_ns, instance,
                          market == markets ? INSTRUMENT_NONE : market, err);
}

/* Opens the breaker, and closes it later or never. Where the process ends meanwhile nobody knows
 * how it stands. */
static int use_breaker(struct world *world, int64_t now_ns, bool open, struct error *err)
{
    const char *venue = random_below(&world->operator, 2) ? VENUE : NULL;
    world->close_ns = !open || random_below(&world->operator, 4) == 0
                          ? TIME_NEVER
                          : wire_now_ns(world->wire) +
                                (int64_t)random_below(&world->operator, 60 * NS_PER_SECOND);
    model_breaker(world->model, open);
    int code = engine_set_breaker(world->session->engine, now_ns, venue, open, "the operator", err);
    if (world->dead || code < 0)
        model_breaker(world->model, false);
    return code;
}

/* Each second; negative: the turn failed. */
static int operate(struct world *world, struct error *err)
{
    int code = 0;
    int64_t now_ns = world->session->now_ns;
    if (acts(world, FAULT_HALT, false))
        code = halt(world, now_ns, err);
    bool is_time = wire_now_ns(world->wire) >= world->lift_ns;
    if (code == 0 && !world->dead && acts(world, FAULT_LIFT, is_time)) {
        world->lift_ns = TIME_NEVER;
        code = engine_lift_halts(world->session->engine, now_ns, "the operator", err);
    }
    if (code == 0 && !world->dead && acts(world, FAULT_FLATTEN, false))
        code = flatten(world, now_ns, err);
    is_time = wire_now_ns(world->wire) >= world->close_ns;
    if (code == 0 && !world->dead && acts(world, FAULT_BREAKER, is_time))
        code = use_breaker(world, now_ns, !is_time, err);
    return code;
}

/* One event, and what a second brings. */
static void step(struct world *world)
{
    struct error err = { 0 };
    int code = session_run(world->session, TIME_NEVER - 1, 1, &err);
    int64_t now = wire_now_ns(world->wire);
    if (!world->dead && code >= 0 && now >= world->flush_ns) {
        world->flush_ns = now + NS_PER_SECOND;
        if (world->kill_in == 0 && random_below(&world->random, 16) == 0 &&
            fault(world, FAULT_KILL_WRITE))
            world->kill_in = 1 + random_below(&world->random, 100);
        break_disk(world);
        code = session_flush(world->session, false, &err);
        if (code == 0 && !world->dead)
            code = operate(world, &err);
        if (code == 0 && now >= world->reload_ns) {
            world->reload_ns = now + 20 * NS_PER_SECOND;
            reload(world);
            if (!world->dead && random_below(&world->random, 4) == 0 && fault(world, FAULT_STOP)) {
                stop_and_start(world);
                return;
            }
        }
    }
    if (world->dead || (code == ERROR_IO && world->disk_broke)) {
        trace(world, "ended with %d", code);
        restart(world);
        return;
    }
    if (code == SESSION_ENDED)
        model_fail(world->model, "the session ended by itself");
    else if (code < 0)
        model_fail(world->model, "run: %s: %s", err.where, err.message);
    else
        model_step(world->model, world->session);
}

/* Till end_ns, which an end of the process may bring forward. */
static void run_on(struct world *world)
{
    while (!model_failure(world->model) && wire_now_ns(world->wire) < world->end_ns)
        step(world);
}

static void run_for(struct world *world, int64_t seconds)
{
    world->end_ns = wire_now_ns(world->wire) + seconds * NS_PER_SECOND;
    run_on(world);
}

/* ---- a seed ---- */

static bool any_halt(const struct world *world)
{
    bool halted = engine_is_halted(world->session->engine, NULL);
    for (uint32_t i = 0; i < world->exchange.market_count; i++)
        halted |= engine_is_instrument_halted(world->session->engine, i);
    return halted;
}

static void heal(struct world *world)
{
    trace(world, "faults end");
    world->faults_on = false;
    world->kill_in = 0;
    mend_disk(world);
    wire_heal(world->wire);
    run_for(world, HEALED_SECONDS / 2);
    uint64_t orders = world->exchange.order_count, refused = model_refused(world->model);
    run_for(world, HEALED_SECONDS / 2);
    if (!model_failure(world->model) && world->exchange.order_count == orders && !any_halt(world) &&
        model_refused(world->model) == refused)
        model_fail(world->model, "Q5 no order went through after healing");
}

static bool loses_messages(const struct fault_plan *plan)
{
    static const enum fault lossy[] = { FAULT_STREAM_LOSS, FAULT_DISCONNECT, FAULT_PRIVATE_DOWN,
                                        FAULT_HALF_OPEN,   FAULT_KILL_SEND,  FAULT_KILL_COMMIT,
                                        FAULT_KILL_WRITE,  FAULT_POWER,      FAULT_DISK };
    for (size_t i = 0; i < ARRAY_SIZE(lossy); i++)
        if (plan->on[lossy[i]])
            return true;
    return false;
}

static void rest(struct world *world)
{
    struct error err = { 0 };
    if (model_failure(world->model))
        return;
    trace(world, "strategies and markets rest");
    model_silence(world->model, true);
    for (uint32_t i = 0; i < world->exchange.market_count; i++)
        world->exchange.markets[i].next_ns = TIME_NEVER;
    if (session_stop(world->session, POLICY_LEAVE, "rest", &err) < 0)
        model_fail(world->model, "stop: %s: %s", err.where, err.message);
    run_for(world, REST_SECONDS);
    bool takes_back = world->plan.on[FAULT_BUST] || world->plan.on[FAULT_CORRECT];
    struct model_excuses excuses = { .quantity = takes_back || world->plan.on[FAULT_OVERFILL],
                                     .money = takes_back && loses_messages(&world->plan) };
    if (!model_failure(world->model))
        model_rest(world->model, world->session, &excuses);
}

static void reopen(struct world *world)
{
    char hash[SHA256_TEXT_MAX];
    struct error err = { 0 };
    if (model_failure(world->model))
        return;
    world->asks = !world->asked;
    if (session_end(world->session, hash, &err) < 0 && !world->dead)
        model_fail(world->model, "end: %s: %s", err.where, err.message);
    trace(world, "result %s", hash);
    bury(world);
    start_surely(world);
    if (!world->session && !model_failure(world->model))
        model_fail(world->model, "Q4 cannot be opened again");
}

static void finish(struct world *world)
{
    struct world_result *result = world->result;
    bury(world);
    const char *failure = model_failure(world->model);
    result->failed = failure != NULL;
    if (failure)
        text_copy(result->failure, sizeof(result->failure), failure);
    result->simulated_ns = wire_now_ns(world->wire) - world->start_ns;
    result->transitions = model_transitions(world->model);
    result->orders = world->exchange.order_count;
    result->trades = world->exchange.trade_count;
    if (world->digest)
        sha256_finish(world->digest, result->digest);
    disk_use(NULL);
    disk_close(world->disk);
    model_close(world->model);
    wire_close(world->wire);
    exchange_release(&world->exchange);
    free(world);
    current = NULL;
}

void world_run(uint64_t seed, const struct world_options *options, struct world_result *result)
{
    struct world *world = memory_new(sizeof(*world));
    memset(result, 0, sizeof(*result));
    world->options = options;
    world->result = result;
    world->seed = seed;
    if (options->digest)
        world->digest = sha256_open();
    current = world;
    draw(world);
    world->asks = true;
    world->end_ns = world->start_ns + options->seconds * NS_PER_SECOND;
    if (!model_failure(world->model) && start_surely(world)) {
        world->faults_on = !world->asked;
        world->reload_ns = world->start_ns + 20 * NS_PER_SECOND;
        run_on(world);
        world->asks = false;
        heal(world);
        rest(world);
        reopen(world);
    }
    finish(world);
}
