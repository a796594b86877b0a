/* bindings_fixture.h - strategies from strings, and a session of engine and market around one.
 *
 * The venue only notes what it was sent; a test answers by reports. The ledger keeps nothing. */
#ifndef TESTS_UNIT_BINDINGS_FIXTURE_H
#define TESTS_UNIT_BINDINGS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bindings/script.h"
#include "bindings/strategy.h"

#define FIXTURE_START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */
#define HEAD "local S = { api = 1, name = 'test', version = '1.0.0' }\n"

static inline struct source source_of(const char *text)
{
    struct source source = { .path = "test.lua", .length = strlen(text) };
    source.bytes = strdup(text);
    sha256_hex(text, source.length, source.hash);
    return source;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text, part);
}

/* ---- a session ---- */

#define SENT_MAX 64

struct fixture {
    struct instruments instruments;
    struct market *market;
    struct engine *engine;
    struct sandbox_limits limits;
    struct source source;
    struct strategy_info info;
    struct params params;
    int instance;
    int64_t now_ns;
    uint64_t next_id;
    char sent[SENT_MAX][96]; /* "buy 1 BTC market", "cancel 1" */
    size_t sent_count;
    struct order newest; /* as the venue got it */
    char state[4096];    /* of the last RECORD_STATE */
    char plotted[256];
};

static inline const struct venue_abilities *fixture_abilities(void *self, uint32_t instrument)
{
    static const struct venue_abilities all = { .types = ~0u,
                                                .tifs = ~0u,
                                                .oco = true,
                                                .reduce_only = true,
                                                .amend = AMEND_IN_PLACE,
                                                .answer_within_ns = TIME_NEVER,
                                                .post_only = true };
    (void)self;
    (void)instrument;
    return &all;
}

static inline int fixture_submit(void *self, const struct order *order, int64_t now_ns,
                                 struct error *err)
{
    struct fixture *fixture = self;
    char qty[DECIMAL_TEXT_MAX], line[sizeof(fixture->sent[0])], symbol[SYMBOL_MAX];
    (void)now_ns;
    (void)err;
    assert_true(fixture->sent_count < SENT_MAX);
    memcpy(symbol, fixture->instruments.list[order->instrument].symbol, sizeof(symbol));
    snprintf(line, sizeof(line), "%s %.30s %s %s", order_side_name(order->side),
             decimal_format(order->qty, qty), symbol, order_type_name(order->type));
    memcpy(fixture->sent[fixture->sent_count++], line, sizeof(line));
    fixture->newest = *order;
    return 0;
}

static inline int fixture_amend(void *self, const struct order *order, decimal qty, decimal price,
                                int64_t now_ns, struct error *err)
{
    struct fixture *fixture = self;
    char q[DECIMAL_TEXT_MAX], p[DECIMAL_TEXT_MAX];
    (void)order;
    (void)now_ns;
    (void)err;
    snprintf(fixture->sent[fixture->sent_count++], sizeof(fixture->sent[0]), "amend %s @ %s",
             decimal_format(qty, q), decimal_format(price, p));
    return 0;
}

static inline int fixture_cancel(void *self, const struct order *order, int64_t now_ns,
                                 struct error *err)
{
    struct fixture *fixture = self;
    (void)now_ns;
    (void)err;
    snprintf(fixture->sent[fixture->sent_count++], sizeof(fixture->sent[0]), "cancel %s",
             order->tag);
    return 0;
}

static inline int fixture_commit(void *self, const struct turn *turn, struct error *err)
{
    struct fixture *fixture = self;
    (void)err;
    for (size_t i = 0; i < turn->count; i++)
        if (turn->records[i].kind == RECORD_STATE)
            snprintf(fixture->state, sizeof(fixture->state), "%.*s",
                     (int)turn->records[i].body_length, turn->records[i].body);
    return 0;
}

static inline uint64_t fixture_next_order_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    struct fixture *fixture = self;
    snprintf(client_order_id, CLIENT_ORDER_ID_MAX, "c%" PRIu64, fixture->next_id + 1);
    return ++fixture->next_id;
}

static inline int fixture_find_fill(void *self, uint32_t instrument, const char *exec_id,
                                    struct fill *fill, uint64_t *order_id)
{
    (void)fill, (void)order_id;
    (void)self;
    (void)instrument;
    (void)exec_id;
    return BOOKED_NOT;
}

static inline void fixture_plot(void *self, int instance, const char *name, double value,
                                bool metric)
{
    struct fixture *fixture = self;
    (void)instance;
    snprintf(fixture->plotted, sizeof(fixture->plotted), "%s %s %g", metric ? "metric" : "plot",
             name, value);
}

static inline void fixture_instrument(struct fixture *fixture, const char *symbol)
{
    struct instrument instrument = { .venue = "sim",
                                     .currency = "USDT",
                                     .tick_size = decimal_text("0.5"),
                                     .lot_size = decimal_text("0.001"),
                                     .min_notional = decimal_text("5"),
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(10),
                                     .short_allowed = true,
                                     .price_scale = 1,
                                     .qty_scale = 3 };
    uint32_t index;
    struct error err = { 0 };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    assert_int_equal(instruments_add(&fixture->instruments, &instrument, &index, &err), 0);
}

static inline struct guest_options fixture_options(struct fixture *fixture)
{
    return (struct guest_options){ .source = &fixture->source,
                                   .info = &fixture->info,
                                   .params = &fixture->params,
                                   .limits = &fixture->limits,
                                   .engine = fixture->engine,
                                   .instance = fixture->instance,
                                   .instance_id = 7,
                                   .mode = "paper",
                                   .plot = fixture_plot,
                                   .plot_self = fixture };
}

/* A session of two symbols, "BTC" and "ETH", around the text; the guest is not opened yet. */
static inline struct fixture *fixture_new_in(const char *text,
                                             const struct calendar *const *calendars)
{
    struct fixture *fixture = memory_new(sizeof(*fixture));
    struct error err = { 0 };
    fixture_instrument(fixture, "BTC");
    fixture_instrument(fixture, "ETH");
    fixture->market = market_open(&fixture->instruments);
    struct engine_options options = {
        .instruments = &fixture->instruments,
        .market = fixture->market,
        .venue = { .self = fixture,
                   .abilities = fixture_abilities,
                   .submit = fixture_submit,
                   .amend = fixture_amend,
                   .cancel = fixture_cancel },
        .ledger = { .self = fixture,
                    .commit = fixture_commit,
                    .next_order_id = fixture_next_order_id,
                    .find_fill = fixture_find_fill },
        .risk = { .calendars = calendars },
    };
    risk_limits_init(&options.account);
    fixture->engine = engine_open(&options);

    sandbox_limits_init(&fixture->limits);
    fixture->source = source_of(text);
    int code = strategy_describe(&fixture->source, &fixture->limits, &fixture->info, &err);
    if (code < 0)
        fail_msg("%s: %s", err.where, err.message);
    params_init(&fixture->info, &fixture->params);
    const uint32_t symbols[] = { 0, 1 };
    struct instance_options instance = { .instance_id = 7,
                                         .strategy = "test",
                                         .capital = decimal_int(100000),
                                         .instruments = symbols,
                                         .instrument_count = 2,
                                         .on_error = POLICY_LEAVE,
                                         .wait_for_warmup = true };
    instance.limits = fixture->info.limits;
    fixture->instance = engine_add_instance(fixture->engine, &instance, &err);
    assert_true(fixture->instance >= 0);

    fixture->now_ns = FIXTURE_START_NS;
    return fixture;
}

static inline struct fixture *fixture_new(const char *text)
{
    return fixture_new_in(text, NULL);
}

/* Opens the guest and runs on_start. Returns what guest_open said. */
static inline int fixture_open(struct fixture *fixture, struct error *err)
{
    struct guest guest = { 0 };
    struct guest_options options = fixture_options(fixture);
    int code = guest_open(&options, &guest, err);
    if (code < 0)
        return code;
    struct guest old = engine_set_guest(fixture->engine, fixture->instance, guest);
    assert_null(old.self);
    return engine_begin(fixture->engine, fixture->instance, fixture->now_ns, NULL, err);
}

/* Why the instance was stopped; empty while it lives. */
static inline const char *fixture_failure(struct fixture *fixture)
{
    const char *why = "";
    int failure;
    return engine_instance_alive(fixture->engine, fixture->instance, &failure, &why) ? "" : why;
}

static inline struct fixture *fixture_run(const char *text)
{
    struct fixture *fixture = fixture_new(text);
    struct error err = { 0 };
    int code = fixture_open(fixture, &err);
    if (code < 0)
        fail_msg("%s: %s", err.where, err.message);
    return fixture;
}

static inline void fixture_close(struct fixture *fixture)
{
    engine_close(fixture->engine);
    market_close(fixture->market);
    source_release(&fixture->source);
    free(fixture);
}

/* ---- events ---- */

static inline void fixture_advance(struct fixture *fixture, int64_t now_ns)
{
    struct error err = { 0 };
    for (int64_t due; (due = engine_due_ns(fixture->engine)) <= now_ns;)
        assert_int_equal(engine_advance(fixture->engine, due, &err), 0);
    fixture->now_ns = now_ns;
}

static inline void fixture_step(struct fixture *fixture, struct event event)
{
    struct error err = { 0 };
    fixture_advance(fixture, event.time_ns);
    int code = engine_step(fixture->engine, &event, &err);
    if (code < 0)
        fail_msg("%s", err.message);
}

/* A trade of 0.25 so many seconds later. */
static inline void fixture_trade(struct fixture *fixture, uint32_t instrument, double price,
                                 int seconds)
{
    fixture_step(fixture, (struct event){ .kind = EVENT_TRADE,
                                          .instrument = instrument,
                                          .time_ns = fixture->now_ns + seconds * NS_PER_SECOND,
                                          .trade = { .price = (int64_t)(price * 10 + 0.5),
                                                     .qty = 250,
                                                     .side = SIDE_BUY } });
}

static inline void fixture_quote(struct fixture *fixture, double bid, double ask)
{
    fixture_step(fixture, (struct event){ .kind = EVENT_QUOTE,
                                          .time_ns = fixture->now_ns + NS_PER_SECOND,
                                          .quote = { .bid = (int64_t)(bid * 10 + 0.5),
                                                     .ask = (int64_t)(ask * 10 + 0.5),
                                                     .bid_qty = 1500 } });
}

static inline void fixture_report(struct fixture *fixture, enum report_kind kind, const char *qty,
                                  const char *price)
{
    struct report report = { .kind = kind, .transact_ns = fixture->now_ns };
    memcpy(report.client_order_id, fixture->newest.client_order_id, sizeof(report.client_order_id));
    if (kind == REPORT_FILL) {
        snprintf(report.fill.exec_id, sizeof(report.fill.exec_id), "e%lld",
                 (long long)fixture->now_ns);
        report.fill.qty = decimal_text(qty);
        report.fill.price = decimal_text(price);
        report.fill.fee = decimal_text("0.1");
        report.fill.transact_ns = fixture->now_ns;
    }
    if (kind == REPORT_REJECTED)
        text_copy(report.reason, sizeof(report.reason), "no margin");
    fixture_step(fixture, (struct event){ .kind = EVENT_REPORT,
                                          .instrument = fixture->newest.instrument,
                                          .time_ns = fixture->now_ns + NS_PER_MS,
                                          .report = &report });
}

#endif
