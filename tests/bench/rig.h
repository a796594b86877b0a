/* rig.h - what the benches of the whole engine share: a market of random ticks, an EMA cross in
 * Lua, and an engine with market, paper venue, gate and a ledger on disk around it. */
#ifndef TESTS_BENCH_RIG_H
#define TESTS_BENCH_RIG_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/strategy.h"
#include "runtime/base/random.h"
#include "runtime/ledger/ledger.h"
#include "runtime/sim/paper.h"

/* %d: the fast and the slow period. */
static const char strategy_text[] =
    "local S = { api = 1, name = 'cross', version = '1' }\n"
    "S.params = { fast = { %d, min = 1, max = 100000 }, slow = { %d, min = 1, max = 100000 } }\n"
    "local fast, slow, above, a, b\n"
    "function S.on_tick(ctx, tick, p)\n"
    "  local price = tick.price\n"
    "  if not fast then\n"
    "    fast, slow, above = price, price, false\n"
    "    a, b = 2 / (p.fast + 1), 2 / (p.slow + 1)\n"
    "  end\n"
    "  fast = fast + (price - fast) * a\n"
    "  slow = slow + (price - slow) * b\n"
    "  if (fast > slow) ~= above then\n"
    "    above = not above\n"
    "    ctx:target(above and 0.001 or 0)\n"
    "  end\n"
    "end\n"
    "return S\n";

struct ticks {
    struct event *events;
    size_t count;
};

/* From start_ns on, ten a second. */
static inline struct ticks make_ticks(size_t count, int64_t start_ns)
{
    struct ticks ticks = { memory_new(count * sizeof(struct event)), count };
    struct random random;
    random_seed(&random, 7);
    double price = 42000;
    for (size_t i = 0; i < count; i++) {
        price *= 1 + 1e-4 * random_normal(&random);
        ticks.events[i] = (struct event){ .kind = EVENT_TRADE,
                                          .time_ns = start_ns + (int64_t)i * 100 * NS_PER_MS,
                                          .trade = { .price = llround(price * 10),
                                                     .qty = 100000,
                                                     .side = i & 1 ? SIDE_BUY : SIDE_SELL } };
    }
    return ticks;
}

/* ---- the engine ---- */

struct queue {
    struct event events[64];
    struct report reports[64];
    size_t count;
};

static inline void put(void *self, const struct event *event)
{
    struct queue *queue = self;
    ASSERT(queue->count < ARRAY_SIZE(queue->events));
    queue->events[queue->count] = *event;
    if (event->kind == EVENT_REPORT)
        queue->reports[queue->count] = *event->report;
    queue->count++;
}

static inline void check(int code, const struct error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "bench: %s %s\n", err->where, err->message);
    exit(1);
}

struct rig {
    struct instruments instruments;
    struct market *market;
    struct venue_port venue;
    struct ledger *ledger;
    struct engine *engine;
    struct watchdog *watchdog;
    struct source source;
    struct strategy_info info;
    struct params params;
    struct sandbox_limits limits;
    struct queue queue;
    char folder[64];
};

static inline void open_ledger(struct rig *rig, int64_t start_ns)
{
    struct error err = { 0 };
    char path[128];
    snprintf(path, sizeof(path), "%s/ledger.sqlite", rig->folder);
    struct ledger_options options = { .path = path, .instruments = &rig->instruments };
    check(ledger_open(&options, &rig->ledger, &err), &err);
    struct session_record record = { .mode = "paper", .source = "feed", .ended_ns = TIME_NEVER };
    record.config = strdup("{}");
    check(ledger_session_begin(rig->ledger, &record, false, false, start_ns, &err), &err);
    session_record_release(&record);
    ledger_group_turns(rig->ledger); /* as on every feed */
}

/* account: limits of the whole account. Begins at start_ns. */
static inline struct rig *rig_open(const char *text, const struct risk_limits *account,
                                   int64_t start_ns)
{
    struct rig *rig = memory_new(sizeof(*rig));
    struct error err = { 0 };
    strcpy(rig->folder, "/tmp/bench.XXXXXX");
    if (!mkdtemp(rig->folder))
        abort();
    struct instrument instrument = { .symbol = "BTC/USDT:USDT",
                                     .venue = "sim",
                                     .tick_size = decimal_text("0.1"),
                                     .lot_size = decimal_text("0.00001"),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .short_allowed = true,
                                     .price_scale = 1,
                                     .qty_scale = 5 };
    uint32_t index;
    check(instruments_add(&rig->instruments, &instrument, &index, &err), &err);
    open_ledger(rig, start_ns);
    struct paper *paper;
    struct paper_options venue = { .instruments = &rig->instruments,
                                   .costs = { .maker_fee = decimal_text("0.0002"),
                                              .taker_fee = decimal_text("0.0005"),
                                              .slippage = SLIPPAGE_NONE },
                                   .latency_ns = 50 * NS_PER_MS,
                                   .sink = { &rig->queue, put },
                                   .first_exec = 1,
                                   .exec_prefix = "b" };
    check(paper_open(&venue, &paper, &err), &err);
    rig->venue = paper_port(paper);
    rig->market = market_open(&rig->instruments);
    struct engine_options options = { .instruments = &rig->instruments,
                                      .market = rig->market,
                                      .venue = rig->venue,
                                      .ledger = ledger_port(rig->ledger),
                                      .account = *account };
    rig->engine = engine_open(&options);

    char path[128];
    snprintf(path, sizeof(path), "%s/cross.lua", rig->folder);
    check(text_write_file(path, text, strlen(text), &err), &err);
    sandbox_limits_init(&rig->limits);
    check(source_read(path, &rig->source, &err), &err);
    check(strategy_describe(&rig->source, &rig->limits, &rig->info, &err), &err);
    params_init(&rig->info, &rig->params);
    struct instance_options instance = { .instance_id = 1,
                                         .strategy = "cross",
                                         .capital = decimal_int(100000),
                                         .instruments = &index,
                                         .instrument_count = 1,
                                         .on_error = POLICY_CANCEL,
                                         .wait_for_warmup = true };
    risk_limits_init(&instance.limits);
    check(engine_add_instance(rig->engine, &instance, &err), &err);
    struct watchdog_options watch = { .hard_ns = 10 * NS_PER_SECOND,
                                      .quarantine_fd = -1,
                                      .kill_factor = 5 };
    check(watchdog_open(&watch, &rig->watchdog, &err), &err);
    struct guest_options guest_options = { .source = &rig->source,
                                           .info = &rig->info,
                                           .params = &rig->params,
                                           .limits = &rig->limits,
                                           .watchdog = rig->watchdog,
                                           .engine = rig->engine,
                                           .instance_id = 1,
                                           .mode = "paper",
                                           .seed = 1 };
    struct guest guest;
    check(guest_open(&guest_options, &guest, &err), &err);
    engine_set_guest(rig->engine, 0, guest);
    check(engine_begin(rig->engine, 0, start_ns, NULL, &err), &err);
    return rig;
}

static inline void drain(struct rig *rig)
{
    struct error err = { 0 };
    for (size_t i = 0; i < rig->queue.count; i++) {
        struct event event = rig->queue.events[i];
        if (event.kind == EVENT_REPORT)
            event.report = &rig->queue.reports[i];
        check(engine_step(rig->engine, &event, &err), &err);
    }
    rig->queue.count = 0;
}

/* The driver's loop of app/session.c, on an array. */
static inline uint64_t rig_run(struct rig *rig, const struct ticks *ticks)
{
    struct error err = { 0 };
    for (size_t i = 0; i < ticks->count; i++) {
        const struct event *event = &ticks->events[i];
        int64_t due;
        while ((due = engine_due_ns(rig->engine)) <= event->time_ns)
            check(engine_advance(rig->engine, due, &err), &err);
        while ((due = rig->venue.due_ns(rig->venue.self)) <= event->time_ns) {
            rig->venue.advance(rig->venue.self, due);
            drain(rig);
        }
        rig->venue.market(rig->venue.self, event);
        if (rig->queue.count > 0)
            drain(rig);
        watchdog_set_event(rig->watchdog, i);
        check(engine_step(rig->engine, event, &err), &err);
        if (rig->queue.count > 0)
            drain(rig);
    }
    return engine_counts(rig->engine)->submitted;
}

static inline void rig_close(struct rig *rig)
{
    engine_close(rig->engine);
    watchdog_close(rig->watchdog);
    rig->venue.close(rig->venue.self);
    market_close(rig->market);
    ledger_close(rig->ledger);
    source_release(&rig->source);
    char command[160];
    static const char *const names[] = { "ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm",
                                         "cross.lua" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(command, sizeof(command), "%s/%s", rig->folder, names[i]);
        unlink(command);
    }
    rmdir(rig->folder);
    free(rig);
}

/* ---- time ---- */

static inline double since(int64_t begun)
{
    return (double)(clock_now(clock_monotonic()) - begun);
}

static inline void keep_least(double *least, double value)
{
    if (*least == 0 || value < *least)
        *least = value;
}

#endif
