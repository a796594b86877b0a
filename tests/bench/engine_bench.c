/* engine_bench.c - what the whole engine adds to a strategy's callback, in one run.
 *
 * The same array of trades and the same EMA cross, three ways: an inlined C loop, a C loop that
 * calls the Lua function by lua_pcall with the contract's three arguments, and the engine with
 * market, paper venue, gate and a ledger on disk. Each figure is the least of several rounds, and
 * each round runs all ways in turn. Only ratios are to be quoted.
 *
 *   sparse: an order on at most one of 1,000 ticks (the aim: engine within 2x of bare lua_pcall)
 *   dense:  an order on every thirtieth tick or so (printed without an aim) */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/strategy.h"
#include "runtime/base/random.h"
#include "runtime/ledger/ledger.h"
#include "runtime/sim/paper.h"

#define ROUNDS 5
#define START_NS INT64_C(1704067200000000000)

/* Counts every allocation of this process: glibc lets a program stand before its malloc. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
static uint64_t allocations;
void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *block, size_t size)
{
    allocations++;
    return __libc_realloc(block, size);
}

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

static struct ticks make_ticks(size_t count)
{
    struct ticks ticks = { memory_new(count * sizeof(struct event)), count };
    struct random random;
    random_seed(&random, 7);
    double price = 42000;
    for (size_t i = 0; i < count; i++) {
        price *= 1 + 1e-4 * random_normal(&random);
        ticks.events[i] = (struct event){ .kind = EVENT_TRADE,
                                          .time_ns = START_NS + (int64_t)i * 100 * NS_PER_MS,
                                          .trade = { .price = llround(price * 10),
                                                     .qty = 100000,
                                                     .side = i & 1 ? SIDE_BUY : SIDE_SELL } };
    }
    return ticks;
}

/* ---- the inlined C loop ------------------------------------------------------------------------
 */

static uint64_t run_c(const struct ticks *ticks, int fast_n, int slow_n)
{
    double fast = 0, slow = 0, a = 2.0 / (fast_n + 1), b = 2.0 / (slow_n + 1);
    bool above = false;
    uint64_t orders = 0;
    for (size_t i = 0; i < ticks->count; i++) {
        double price = (double)ticks->events[i].trade.price / 10.0;
        if (i == 0)
            fast = slow = price;
        fast = fast + (price - fast) * a;
        slow = slow + (price - slow) * b;
        if ((fast > slow) != above) {
            above = !above;
            orders++;
        }
    }
    return orders;
}

/* ---- the bare lua_pcall loop: a ctx that does nothing, a reused tick userdata
 * -------------------- */

struct bare_tick {
    const struct event *event;
};

static int bare_index(lua_State *L)
{
    const struct bare_tick *tick = lua_touserdata(L, 1);
    size_t length;
    const char *key = lua_tolstring(L, 2, &length);
    if (length == 5 && memcmp(key, "price", 5) == 0)
        lua_pushnumber(L, (double)tick->event->trade.price / 10.0);
    else
        lua_pushnil(L);
    return 1;
}

static uint64_t bare_orders;

static int bare_target(lua_State *L)
{
    (void)L;
    bare_orders++;
    return 0;
}

static int keep_message(lua_State *L)
{
    (void)L;
    return 1;
}

static uint64_t run_bare(const struct ticks *ticks, const char *text, int fast_n, int slow_n)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dostring(L, text) != LUA_OK)
        abort();
    lua_getfield(L, -1, "on_tick");
    int function = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L); /* ctx */
    lua_pushcfunction(L, bare_target);
    lua_setfield(L, -2, "target");
    struct bare_tick *tick = lua_newuserdatauv(L, sizeof(*tick), 0);
    lua_newtable(L);
    lua_pushcfunction(L, bare_index);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_newtable(L); /* p */
    lua_pushinteger(L, fast_n);
    lua_setfield(L, -2, "fast");
    lua_pushinteger(L, slow_n);
    lua_setfield(L, -2, "slow");
    int p = lua_gettop(L), ctx = p - 2;
    lua_pushcfunction(L, keep_message);
    int handler = lua_gettop(L);
    bare_orders = 0;
    for (size_t i = 0; i < ticks->count; i++) {
        tick->event = &ticks->events[i];
        lua_rawgeti(L, LUA_REGISTRYINDEX, function);
        lua_pushvalue(L, ctx);
        lua_pushvalue(L, ctx + 1);
        lua_pushvalue(L, p);
        if (lua_pcall(L, 3, 0, handler) != LUA_OK)
            abort();
    }
    lua_close(L);
    return bare_orders;
}

/* ---- the engine ---------------------------------------------------------------------------------
 */

struct queue {
    struct event events[64];
    struct report reports[64];
    size_t count;
};

static void put(void *self, const struct event *event)
{
    struct queue *queue = self;
    ASSERT(queue->count < ARRAY_SIZE(queue->events));
    queue->events[queue->count] = *event;
    if (event->kind == EVENT_REPORT)
        queue->reports[queue->count] = *event->report;
    queue->count++;
}

static void check(int code, const struct error *err)
{
    if (code >= 0)
        return;
    fprintf(stderr, "engine_bench: %s %s\n", err->where, err->message);
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

static void open_ledger(struct rig *rig)
{
    struct error err = { 0 };
    char path[128];
    snprintf(path, sizeof(path), "%s/ledger.sqlite", rig->folder);
    struct ledger_options options = { .path = path, .instruments = &rig->instruments };
    check(ledger_open(&options, &rig->ledger, &err), &err);
    struct session_record record = { .mode = "paper", .source = "feed", .ended_ns = TIME_NEVER };
    record.config = strdup("{}");
    check(ledger_session_begin(rig->ledger, &record, false, false, START_NS, &err), &err);
    session_record_release(&record);
    ledger_group_turns(rig->ledger); /* as on every feed */
}

static struct rig *rig_open(const char *text)
{
    struct rig *rig = memory_new(sizeof(*rig));
    struct error err = { 0 };
    strcpy(rig->folder, "/tmp/engine_bench.XXXXXX");
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
    open_ledger(rig);
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
                                      .ledger = ledger_port(rig->ledger) };
    risk_limits_init(&options.account);
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
    check(engine_begin(rig->engine, 0, START_NS, NULL, &err), &err);
    return rig;
}

static void drain(struct rig *rig)
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
static uint64_t rig_run(struct rig *rig, const struct ticks *ticks)
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

static void rig_close(struct rig *rig)
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

/* ---- the figures
 * ------------------------------------------------------------------------------------ */

static double since(int64_t begun)
{
    return (double)(clock_now(clock_monotonic()) - begun);
}

static void keep_least(double *least, double value)
{
    if (*least == 0 || value < *least)
        *least = value;
}

static void measure(const char *name, size_t count, int fast, int slow)
{
    char text[2048];
    snprintf(text, sizeof(text), strategy_text, fast, slow);
    struct ticks ticks = make_ticks(count);
    double c = 0, bare = 0, whole = 0;
    uint64_t orders = 0, wanted = 0, per_tick = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begun = clock_now(clock_monotonic());
        wanted = run_c(&ticks, fast, slow);
        keep_least(&c, since(begun));
        begun = clock_now(clock_monotonic());
        if (run_bare(&ticks, text, fast, slow) != wanted)
            abort();
        keep_least(&bare, since(begun));
        struct rig *rig = rig_open(text);
        uint64_t before = allocations;
        begun = clock_now(clock_monotonic());
        orders = rig_run(rig, &ticks);
        keep_least(&whole, since(begun));
        per_tick = allocations - before;
        rig_close(rig);
    }
    double n = (double)count;
    printf("%-7s %9zu ticks, %6" PRIu64 " orders (%.2f of 1,000 ticks)\n", name, count, orders,
           1000.0 * (double)orders / n);
    printf(
        "        C loop %6.1f ns/tick   bare lua_pcall %6.1f   engine %6.1f   (%.1f M ticks/s)\n",
        c / n, bare / n, whole / n, n / whole * 1e3);
    printf("        engine to bare lua_pcall: %.2f   engine to C loop: %.1f\n", whole / bare,
           whole / c);
    printf("        allocations: %.4f a tick, %.0f an order\n", (double)per_tick / n,
           orders ? (double)per_tick / (double)orders : 0.0);
    free(ticks.events);
}

int main(void)
{
    measure("quiet", 1000000, 50000, 99999);
    measure("sparse", 100000, 600, 3000);
    measure("sparse", 1000000, 600, 3000);
    measure("sparse", 10000000, 600, 3000);
    measure("dense", 1000000, 12, 26);
    return 0;
}
