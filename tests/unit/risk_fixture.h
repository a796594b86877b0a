/* risk_fixture.h - stages with limits in one of the four scopes, and what the gate said last. */
#ifndef TESTS_UNIT_RISK_FIXTURE_H
#define TESTS_UNIT_RISK_FIXTURE_H

#include "tests/unit/fakes.h"

#define A 0
#define B 1
#define SECONDS(n) ((n)*NS_PER_SECOND)
#define DAY NS_PER_DAY
enum { OTHER = FUT + 1 }; /* an instrument of another venue, with more_venues */

static const char *const scope_suffix[SCOPES] = { "", " (venue fake)",
                                                  " (strategy fake on BTC/USDT)",
                                                  " (symbol BTC/USDT)" };

static inline struct risk_limits limits_of(enum limit limit, const char *value)
{
    struct risk_limits limits;
    risk_limits_init(&limits);
    limits.value[limit] = D(value);
    return limits;
}

static inline void more_venues(struct stage *s)
{
    uint32_t index;
    struct instrument instrument = { .venue = "other",
                                     .symbol = "ABC/USDT",
                                     .tick_size = D("0.1"),
                                     .lot_size = D("0.001"),
                                     .min_notional = D("5"),
                                     .multiplier = D("1"),
                                     .leverage = D("1"),
                                     .short_allowed = true,
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    assert_int_equal(instruments_add(&s->instruments, &instrument, &index, &s->err), 0);
    assert_int_equal(index, OTHER);
}

static inline int add_of_all(struct stage *s, const struct risk_limits *limits)
{
    static const uint32_t all[] = { BTC, ETH, FUT, OTHER };
    struct instance_options options = instance_defaults();
    options.instruments = all;
    options.instrument_count = s->instruments.count;
    if (limits)
        options.limits = *limits;
    return stage_add(s, options);
}

/* One instance that sees all, with limits in one scope: that of BTC at the venue "fake". */
static inline struct stage *stage_limited(enum scope_kind scope, const struct risk_limits *limits,
                                          struct risk_options risk)
{
    struct named_limits named = { .limits = *limits };
    text_copy(named.name, sizeof(named.name), scope == SCOPE_VENUE ? "fake" : "BTC/USDT");
    if (scope == SCOPE_VENUE) {
        risk.venues = &named;
        risk.venue_count = 1;
    } else if (scope == SCOPE_SYMBOL) {
        risk.symbols = &named;
        risk.symbol_count = 1;
    }
    struct stage *s =
        stage_new_planned(&(struct stage_plan){ .account = scope == SCOPE_ACCOUNT ? limits : NULL,
                                                .risk = risk,
                                                .more_instruments = more_venues });
    add_of_all(s, scope == SCOPE_STRATEGY ? limits : NULL);
    return s;
}

static inline struct order_request in(uint32_t instrument, struct order_request request)
{
    request.instrument = instrument;
    return request;
}

static inline struct order_request reduce_only(struct order_request request)
{
    request.reduce_only = true;
    return request;
}

/* A position of instance `who`, bought (or sold) at a price that stands. */
static inline void take(struct stage *s, int who, uint32_t instrument, enum order_side side,
                        const char *qty, const char *price)
{
    trade(s, instrument, price);
    uint64_t id = submit(s, who, in(instrument, request_of(side, qty)));
    if (id == 0)
        fail_msg("refused: %s", s->refusal.reason);
    fill(s, id, qty, price);
}

static inline void sums_agree(struct stage *s)
{
    assert_true(engine_sums_agree(s->engine));
}

#define assert_passes(s, id)                                                                       \
    do {                                                                                           \
        uint64_t id_ = (id);                                                                       \
        if (id_ == 0)                                                                              \
            fail_msg("refused: %s: %s", (s)->refusal.code, (s)->refusal.reason);                   \
        sums_agree(s);                                                                             \
    } while (0)

/* Refused with this code; the reason holds this text. */
#define assert_refused(s, id, expected, text)                                                      \
    do {                                                                                           \
        assert_int_equal(id, 0);                                                                   \
        assert_string_equal((s)->refusal.code, expected);                                          \
        if (!strstr((s)->refusal.reason, text))                                                    \
            fail_msg("\"%s\" is not in \"%s\"", text, (s)->refusal.reason);                        \
        sums_agree(s);                                                                             \
    } while (0)

/* The newest verdict that was no approval. */
static inline struct told_verdict newest_verdict(struct stage *s)
{
    struct told_verdict told;
    assert_true(engine_verdict(s->engine, 0, &told));
    return told;
}

#define assert_reduced(s, id, expected, qty_, text)                                                \
    do {                                                                                           \
        uint64_t reduced_ = (id);                                                                  \
        assert_passes(s, reduced_);                                                                \
        struct told_verdict told_ = newest_verdict(s);                                             \
        assert_string_equal(verdict_name(told_.verdict), "reduce");                                \
        assert_string_equal(told_.code, expected);                                                 \
        assert_decimal(told_.allowed, qty_);                                                       \
        assert_decimal(order_at(s, reduced_)->qty, qty_);                                          \
        if (!strstr(told_.reason, text))                                                           \
            fail_msg("\"%s\" is not in \"%s\"", text, told_.reason);                               \
    } while (0)

static inline size_t count_verdicts(struct stage *s)
{
    struct told_verdict told;
    size_t count = 0;
    while (engine_verdict(s->engine, count, &told))
        count++;
    return count;
}

static inline void to(struct stage *s, int64_t now_ns)
{
    clock_to(s, now_ns);
}

static inline void later(struct stage *s, int64_t ns)
{
    clock_to(s, s->now_ns + ns);
}

/* An event that moves the market's clock and nothing else. */
static inline void heartbeat(struct stage *s)
{
    struct event event = { .kind = EVENT_HEARTBEAT, .time_ns = s->now_ns };
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

/* The close of an hour of history. */
static inline void hour(struct stage *s, uint32_t instrument, int64_t end_ns, const char *close)
{
    int64_t price = mantissa(close, 2);
    struct event event = { .kind = EVENT_BAR,
                           .instrument = instrument,
                           .time_ns = end_ns,
                           .bar = { .open_ns = end_ns - NS_PER_HOUR,
                                    .open = price,
                                    .high = price,
                                    .low = price,
                                    .close = price,
                                    .volume = 1000,
                                    .is_history = true } };
    assert_done(s, engine_step(s->engine, &event, &s->err));
}

/* 21 closes of the example in docs/risk.md, the last one an hour ago: A swings between 100 and 101
 * every hour, B goes 50, 51, 50, 50. */
static inline void swing(struct stage *s, uint32_t instrument, bool as_b)
{
    static const char *const a[] = { "100", "101", "100", "101" };
    static const char *const b[] = { "50", "51", "50", "50" };
    for (int i = 0; i < 21; i++)
        hour(s, instrument, T0 - (20 - i) * NS_PER_HOUR, (as_b ? b : a)[i % 4]);
}

#endif
