/* fakes.h - an engine between a fake venue, a fake ledger and fake guests, all in plain sight.
 *
 * What happens goes into one script, a line each, in the order it happened: "A trade" (guest A was
 * called), "commit 3" (a turn of three records), "submit 1", "cancel 1", "amend 1". Tests compare
 * the script, so they see order as well as content. */
#ifndef TESTS_UNIT_FAKES_H
#define TESTS_UNIT_FAKES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/map.h"
#include "runtime/engine/engine.h"

#define D(text) decimal_text(text)
#define T0 (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01T00:00:00Z */
#define SECOND NS_PER_SECOND
#define MINUTE NS_PER_MINUTE
#define GUESTS_MAX 4
#define SENT_MAX 30000
#define RECORDS_KEPT 4096
#define QUERIES_KEPT 512
enum { BTC, ETH, FUT }; /* the instruments of every stage, see stage_setup */

struct stage;
struct fake_guest;
typedef int (*guest_function)(struct fake_guest *guest, enum guest_call call,
                              const struct guest_event *event, struct error *err);

struct fake_guest {
    struct stage *stage;
    int index;         /* of the instance */
    guest_function on; /* may be NULL: nothing is done */
    void *self;        /* the test's own */
    bool cold;         /* series are not ready */
    const char *state; /* ctx.state has changed to this; NULL: it has not */
    bool running;      /* a callback runs: another one would be nested */
    int calls[GUEST_CALLS];
    int closed;
};

enum sent_kind { SENT_SUBMIT, SENT_CANCEL, SENT_AMEND };
struct sent {
    enum sent_kind kind;
    struct order order;
    decimal qty, price;
};

struct stage {
    struct instruments instruments;
    struct market *market;
    struct engine *engine;
    struct error err;
    int64_t now_ns;
    int64_t last_price[3]; /* mantissas */

    struct venue_abilities abilities;
    struct sent *sent;
    size_t sent_count;
    struct venue_query queries[QUERIES_KEPT]; /* the newest; their ids are in query_ids */
    char query_ids[QUERIES_KEPT][CLIENT_ORDER_ID_MAX];
    size_t query_count;
    bool refuse_queries;
    bool refuse[3];   /* by enum sent_kind: the port takes none */
    bool is_line_cut; /* the port can take nothing now */

    int commit_code; /* what commit answers; below 0 it fails */
    uint64_t next_id, next_exec;
    struct map *exec_ids;
    struct record *records; /* of all turns, the newest RECORDS_KEPT */
    size_t record_count;
    uint64_t commits;
    struct text risk_state;        /* body of the newest RECORD_STATE of instance 0 */
    const struct order *forgotten; /* an order that only the ledger has; NULL: none */

    struct fake_guest guests[GUESTS_MAX];
    int guest_count;
    struct text script;
    bool quiet; /* nothing goes into the script */
    struct refusal refusal;
};

/* ---- the script ---- */

PRINTF_LIKE(2, 3)
static inline void note(struct stage *s, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!s->quiet) {
        text_vprintf(&s->script, format, arguments);
        text_add(&s->script, "\n");
    }
    va_end(arguments);
}

/* What happened since the last look. */
#define assert_script(s, expected)                                                                 \
    do {                                                                                           \
        assert_string_equal((s)->script.data, expected);                                           \
        text_clear(&(s)->script);                                                                  \
    } while (0)

#define assert_decimal(actual, expected)                                                           \
    do {                                                                                           \
        char text_[DECIMAL_TEXT_MAX];                                                              \
        assert_string_equal(decimal_format(actual, text_), expected);                              \
    } while (0)

/* ---- the venue ---- */

static inline const struct venue_abilities *fake_abilities(void *self, uint32_t instrument)
{
    (void)instrument;
    return &((struct stage *)self)->abilities;
}

static inline int fake_send(struct stage *s, enum sent_kind kind, const struct order *order,
                            decimal qty, decimal price, struct error *err)
{
    static const char *const names[] = { "submit", "cancel", "amend" };
    if (s->is_line_cut)
        return error_set(err, ERROR_UNAVAILABLE, "no line to the venue");
    if (s->refuse[kind]) {
        note(s, "refused %s %" PRIu64, names[kind], order->order_id);
        return error_set(err, ERROR_REFUSED, "the port is full");
    }
    assert_true(s->sent_count < SENT_MAX);
    note(s, "%s %" PRIu64, names[kind], order->order_id);
    s->sent[s->sent_count++] =
        (struct sent){ .kind = kind, .order = *order, .qty = qty, .price = price };
    return 0;
}

static inline int fake_submit(void *self, const struct order *order, int64_t now_ns,
                              struct error *err)
{
    (void)now_ns;
    return fake_send(self, SENT_SUBMIT, order, order->qty, order->price, err);
}

static inline int fake_cancel(void *self, const struct order *order, int64_t now_ns,
                              struct error *err)
{
    (void)now_ns;
    return fake_send(self, SENT_CANCEL, order, DECIMAL_NONE, DECIMAL_NONE, err);
}

static inline int fake_amend(void *self, const struct order *order, decimal qty, decimal price,
                             int64_t now_ns, struct error *err)
{
    (void)now_ns;
    return fake_send(self, SENT_AMEND, order, qty, price, err);
}

static inline int fake_query(void *self, const struct venue_query *query, int64_t now_ns,
                             struct error *err)
{
    struct stage *s = self;
    (void)now_ns;
    if (s->refuse_queries || s->is_line_cut)
        return error_set(err, ERROR_UNAVAILABLE, "the port takes no question");
    size_t at = s->query_count++ % QUERIES_KEPT;
    s->queries[at] = *query;
    text_copy(s->query_ids[at], CLIENT_ORDER_ID_MAX,
              query->client_order_id ? query->client_order_id : "");
    return 0;
}

/* The newest question; NULL when there was none. */
static inline const struct venue_query *last_query(const struct stage *s)
{
    return s->query_count ? &s->queries[(s->query_count - 1) % QUERIES_KEPT] : NULL;
}

/* The newest request of a kind; NULL when there was none. */
static inline const struct sent *last_sent(const struct stage *s, enum sent_kind kind)
{
    for (size_t i = s->sent_count; i-- > 0;)
        if (s->sent[i].kind == kind)
            return &s->sent[i];
    return NULL;
}

static inline size_t count_sent(const struct stage *s, enum sent_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < s->sent_count; i++)
        count += s->sent[i].kind == kind;
    return count;
}

/* ---- the ledger ---- */

static inline int fake_commit(void *self, const struct turn *turn, struct error *err)
{
    struct stage *s = self;
    if (s->commit_code < 0) {
        note(s, "commit fails");
        return error_set(err, s->commit_code, "the disk is full");
    }
    note(s, "commit %zu", turn->count);
    s->commits++;
    for (size_t i = 0; i < turn->count; i++) {
        const struct record *record = &turn->records[i];
        if (record->kind == RECORD_FILL)
            map_put(s->exec_ids, record->fill.exec_id, 1);
        if (record->kind == RECORD_STATE && record->instance_id == 0) {
            text_clear(&s->risk_state);
            text_add(&s->risk_state, record->body);
        }
        s->records[s->record_count++ % RECORDS_KEPT] = *record;
    }
    return 0;
}

static inline uint64_t fake_next_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    struct stage *s = self;
    snprintf(client_order_id, CLIENT_ORDER_ID_MAX, "c%" PRIu64, ++s->next_id);
    return s->next_id;
}

static inline void fake_next_client_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    fake_next_id(self, client_order_id);
}

static inline bool fake_is_ours(void *self, const char *client_order_id)
{
    (void)self;
    return client_order_id[0] == 'c';
}

static inline bool fake_find_order(void *self, const char *client_order_id, struct order *order)
{
    const struct order *forgotten = ((struct stage *)self)->forgotten;
    if (!forgotten || strcmp(forgotten->client_order_id, client_order_id) != 0)
        return false;
    *order = *forgotten;
    return true;
}

static inline int fake_find_fill(void *self, uint32_t instrument, const char *exec_id,
                                 struct fill *fill, uint64_t *order_id)
{
    const struct stage *s = self;
    uint64_t value;
    (void)instrument;
    if (!map_get(s->exec_ids, exec_id, &value))
        return BOOKED_NOT;
    for (size_t i = 0; i < s->record_count && i < RECORDS_KEPT; i++) {
        const struct record *record = &s->records[i];
        if (record->kind != RECORD_FILL || strcmp(record->fill.exec_id, exec_id) != 0)
            continue;
        if (fill)
            *fill = record->fill;
        if (order_id)
            *order_id = record->order.order_id;
    }
    return BOOKED_YES;
}

/* The newest record of a kind, of those kept; NULL when there is none. Its texts are gone. */
static inline const struct record *last_record(const struct stage *s, enum record_kind kind)
{
    size_t oldest = s->record_count > RECORDS_KEPT ? s->record_count - RECORDS_KEPT : 0;
    for (size_t i = s->record_count; i-- > oldest;)
        if (s->records[i % RECORDS_KEPT].kind == kind)
            return &s->records[i % RECORDS_KEPT];
    return NULL;
}

static inline size_t count_records(const struct stage *s, enum record_kind kind)
{
    size_t count = 0;
    assert_true(s->record_count <= RECORDS_KEPT);
    for (size_t i = 0; i < s->record_count; i++)
        count += s->records[i].kind == kind;
    return count;
}

/* ---- guests ---- */

static inline const char *call_name(enum guest_call call)
{
    static const char *const names[] = { "start",    "stop",       "trade",     "quote",
                                         "bar",      "order",      "fill",      "reject",
                                         "position", "timer",      "risk",      "reload",
                                         "params",   "connection", "reconcile", "session" };
    return names[call];
}

static inline int fake_call(void *self, enum guest_call call, const struct guest_event *event,
                            struct error *err)
{
    struct fake_guest *guest = self;
    assert_false(guest->running); /* callbacks never nest */
    guest->calls[call]++;
    note(guest->stage, "%c %s", 'A' + guest->index, call_name(call));
    if (!guest->on)
        return 0;
    guest->running = true;
    int code = guest->on(guest, call, event, err);
    guest->running = false;
    return code;
}

static inline bool fake_state(void *self, struct text *body)
{
    struct fake_guest *guest = self;
    if (!guest->state)
        return false;
    text_add(body, guest->state);
    guest->state = NULL;
    return true;
}

static inline bool fake_ready(void *self, uint32_t instrument)
{
    (void)instrument;
    return !((struct fake_guest *)self)->cold;
}

static inline void fake_close(void *self)
{
    ((struct fake_guest *)self)->closed++;
}

static inline struct guest fake_guest_port(struct fake_guest *guest)
{
    return (struct guest){ .self = guest,
                           .calls = (1u << GUEST_CALLS) - 1,
                           .call = fake_call,
                           .state = fake_state,
                           .ready = fake_ready,
                           .close = fake_close };
}

/* ---- the stage ---- */

static inline struct instance_options instance_defaults(void)
{
    static const uint32_t all[] = { BTC, ETH, FUT };
    struct instance_options options = { .strategy = "fake",
                                        .capital = D("100000"),
                                        .instruments = all,
                                        .instrument_count = ARRAY_SIZE(all) };
    risk_limits_init(&options.limits);
    return options;
}

/* Adds an instance with a guest that is called for everything. Returns its index. */
static inline int stage_add(struct stage *s, struct instance_options options)
{
    int index = s->guest_count++;
    assert_true(index < GUESTS_MAX);
    options.instance_id = (uint32_t)index + 1;
    s->guests[index] = (struct fake_guest){ .stage = s, .index = index };
    assert_int_equal(engine_add_instance(s->engine, &options, &s->err), index);
    engine_set_guest(s->engine, index, fake_guest_port(&s->guests[index]));
    return index;
}

static inline void stage_instrument(struct stage *s, const char *symbol, const char *tick,
                                    const char *lot, const char *minimum, const char *multiplier,
                                    const char *leverage)
{
    uint32_t index;
    struct instrument instrument = { .venue = "fake",
                                     .tick_size = D(tick),
                                     .lot_size = D(lot),
                                     .min_notional = D(minimum),
                                     .multiplier = D(multiplier),
                                     .leverage = D(leverage),
                                     .short_allowed = true,
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    assert_int_equal(instruments_add(&s->instruments, &instrument, &index, &s->err), 0);
}

static inline void stage_instruments(struct stage *s)
{
    stage_instrument(s, "BTC/USDT", "0.1", "0.001", "5", "1", "1");
    stage_instrument(s, "ETH/USDT", "0.01", "0.01", "5", "1", "2");
    stage_instrument(s, "FUT/USDT", "0.5", "1", "0", "10", "1");
}

/* Where a stage differs from the usual one; zero: it does not. */
struct stage_plan {
    const struct risk_limits *account;
    struct risk_options risk;
    struct reconcile_options looks;
    void (*more_instruments)(struct stage *s); /* after the usual ones */
};

static inline struct stage *stage_new_planned(const struct stage_plan *plan)
{
    struct stage *s = calloc(1, sizeof(*s));
    s->sent = calloc(SENT_MAX, sizeof(*s->sent));
    s->records = calloc(RECORDS_KEPT, sizeof(*s->records));
    assert_true(s->sent && s->records);
    s->exec_ids = map_open();
    s->now_ns = T0;
    text_init(&s->script, 1 << 20);
    text_init(&s->risk_state, 1 << 20);
    stage_instruments(s);
    if (plan->more_instruments)
        plan->more_instruments(s);
    s->abilities = (struct venue_abilities){ .types = ~0u,
                                             .tifs = ~0u,
                                             .oco = true,
                                             .reduce_only = true,
                                             .amend = AMEND_IN_PLACE,
                                             .answer_within_ns = TIME_NEVER,
                                             .post_only = true };
    s->market = market_open(&s->instruments);
    struct engine_options options = {
        .instruments = &s->instruments,
        .market = s->market,
        .risk = plan->risk,
        .venue = { .self = s,
                   .abilities = fake_abilities,
                   .submit = fake_submit,
                   .amend = fake_amend,
                   .cancel = fake_cancel,
                   .query = fake_query },
        .ledger = { .self = s,
                    .commit = fake_commit,
                    .next_order_id = fake_next_id,
                    .next_client_order_id = fake_next_client_id,
                    .is_ours = fake_is_ours,
                    .find_order = fake_find_order,
                    .find_fill = fake_find_fill },
    };
    options.doubt = (struct doubt_options){ 10 * NS_PER_SECOND, 60 * NS_PER_SECOND };
    options.reconcile = plan->looks;
    if (plan->account)
        options.account = *plan->account;
    else
        risk_limits_init(&options.account);
    s->engine = engine_open(&options);
    return s;
}

/* With a venue that outlives us, whose books are compared as these say. */
static inline struct stage *stage_new_looking(const struct risk_limits *account,
                                              struct reconcile_options looks)
{
    return stage_new_planned(&(struct stage_plan){ .account = account, .looks = looks });
}

static inline struct reconcile_options reconcile_defaults(enum reconcile_mode mode)
{
    return (struct reconcile_options){
        .mode = mode, .qty_tolerance = D("0.01"), .cash_tolerance = D("1"), .every_reports = 100
    };
}

static inline struct stage *stage_new_in(const struct risk_limits *account,
                                         enum reconcile_mode mode)
{
    return stage_new_looking(account, reconcile_defaults(mode));
}

static inline struct stage *stage_new(const struct risk_limits *account)
{
    return stage_new_in(account, RECONCILE_OFF);
}

static inline void stage_free(struct stage *s)
{
    engine_close(s->engine);
    market_close(s->market);
    map_close(s->exec_ids);
    text_release(&s->script);
    text_release(&s->risk_state);
    free(s->records);
    free(s->sent);
    free(s);
}

/* cmocka: one instance, A, that sees all instruments. */
static inline int stage_setup(void **state)
{
    struct stage *s = stage_new(NULL);
    stage_add(s, instance_defaults());
    *state = s;
    return 0;
}

static inline int stage_teardown(void **state)
{
    stage_free(*state);
    return 0;
}

/* ---- what happens ---- */

#define assert_done(s, call)                                                                       \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s", (s)->err.message);                                                      \
    } while (0)

/* As the driver does: each due instant in turn. */
static inline void clock_to(struct stage *s, int64_t now_ns)
{
    while (engine_due_ns(s->engine) <= now_ns) {
        int64_t due_ns = engine_due_ns(s->engine);
        assert_done(s, engine_advance(s->engine, due_ns, &s->err));
        assert_true(engine_due_ns(s->engine) > due_ns);
    }
    s->now_ns = now_ns;
}

static inline int64_t mantissa(const char *text, int scale)
{
    int64_t value;
    assert_int_equal(decimal_mantissa(D(text), scale, &value), 0);
    return value;
}

static inline int trade_code(struct stage *s, uint32_t instrument, const char *price)
{
    struct event event = { .kind = EVENT_TRADE, .instrument = instrument, .time_ns = s->now_ns };
    event.trade.price = mantissa(price, 2);
    event.trade.qty = 1000;
    return engine_step(s->engine, &event, &s->err);
}

static inline void trade(struct stage *s, uint32_t instrument, const char *price)
{
    assert_done(s, trade_code(s, instrument, price));
}

static inline void quote(struct stage *s, uint32_t instrument, const char *bid, const char *ask)
{
    struct event event = { .kind = EVENT_QUOTE, .instrument = instrument, .time_ns = s->now_ns };
    event.quote.bid = mantissa(bid, 2);
    event.quote.ask = mantissa(ask, 2);
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

/* Ends the turn of what a test asked for outside a callback. */
static inline int settle_code(struct stage *s)
{
    struct event event = { .kind = EVENT_ANSWER, .time_ns = s->now_ns };
    return engine_step(s->engine, &event, &s->err);
}

static inline void settle(struct stage *s)
{
    assert_done(s, settle_code(s));
}

/* ---- what is asked ---- */

static inline struct order_request request_of(enum order_side side, const char *qty)
{
    struct order_request request;
    order_request_init(&request);
    request.instrument = BTC;
    request.side = side;
    request.qty = D(qty);
    return request;
}

static inline struct order_request limit_of(enum order_side side, const char *qty,
                                            const char *price)
{
    struct order_request request = request_of(side, qty);
    request.type = ORDER_LIMIT;
    request.price = D(price);
    return request;
}

/* As a callback would, and the turn ends. 0: refused, see s->refusal. */
static inline uint64_t submit(struct stage *s, int who, struct order_request request)
{
    uint64_t id = engine_submit(s->engine, who, &request, &s->refusal);
    settle(s);
    return id;
}

static inline uint64_t market_order(struct stage *s, enum order_side side, const char *qty)
{
    return submit(s, 0, request_of(side, qty));
}

static inline const struct order *order_at(struct stage *s, uint64_t id)
{
    const struct order *order = engine_order(s->engine, id);
    assert_non_null(order);
    return order;
}

static inline const char *status_of(struct stage *s, uint64_t id)
{
    return order_status_name(order_status(order_at(s, id)));
}

/* ---- what the venue says ---- */

static inline struct report report_on(struct stage *s, uint64_t id, enum report_kind kind)
{
    struct report report = {
        .kind = kind, .qty = DECIMAL_NONE, .price = DECIMAL_NONE, .transact_ns = s->now_ns
    };
    const struct order *order = engine_order(s->engine, id);
    bool renamed = order && order->current_client_order_id[0];
    if (renamed) /* a venue speaks of an order by the name it has now */
        text_copy(report.client_order_id, sizeof(report.client_order_id),
                  order->current_client_order_id);
    else
        snprintf(report.client_order_id, sizeof(report.client_order_id), "c%" PRIu64, id);
    return report;
}

static inline int tell_code(struct stage *s, const struct report *report)
{
    struct event event = { .kind = EVENT_REPORT, .time_ns = s->now_ns, .report = report };
    return engine_step(s->engine, &event, &s->err);
}

static inline void tell(struct stage *s, uint64_t id, enum report_kind kind)
{
    struct report report = report_on(s, id, kind);
    assert_done(s, tell_code(s, &report));
}

static inline void tell_why(struct stage *s, uint64_t id, enum report_kind kind, const char *why)
{
    struct report report = report_on(s, id, kind);
    text_copy(report.reason, sizeof(report.reason), why);
    assert_done(s, tell_code(s, &report));
}

static inline void tell_terms(struct stage *s, uint64_t id, enum report_kind kind, decimal qty)
{
    struct report report = report_on(s, id, kind);
    report.qty = qty;
    assert_done(s, tell_code(s, &report));
}

static inline struct report fill_report(struct stage *s, uint64_t id, decimal qty, decimal price,
                                        decimal fee)
{
    struct report report = report_on(s, id, REPORT_FILL);
    report.fill = (struct fill){ .qty = qty, .price = price, .fee = fee, .transact_ns = s->now_ns };
    snprintf(report.fill.exec_id, sizeof(report.fill.exec_id), "e%" PRIu64, ++s->next_exec);
    return report;
}

static inline void fill(struct stage *s, uint64_t id, const char *qty, const char *price)
{
    struct report report = fill_report(s, id, D(qty), D(price), DECIMAL_ZERO);
    assert_done(s, tell_code(s, &report));
}

/* A market order that is filled at once. */
static inline uint64_t bought(struct stage *s, enum order_side side, const char *qty,
                              const char *price)
{
    uint64_t id = market_order(s, side, qty);
    assert_true(id != 0);
    fill(s, id, qty, price);
    return id;
}

static inline decimal held(struct stage *s, uint32_t instrument)
{
    return engine_position(s->engine, 0, instrument)->qty;
}

#endif
