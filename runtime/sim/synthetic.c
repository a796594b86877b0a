/* synthetic.c - a market made of arithmetic.
 *
 * A symbol's log price at the start of minute k is the sum of two parts:
 *
 *   walk(k)    a random walk. Minute j moves it by deviation(j) * z(j); the deviation is the asked
 *              volatility times exp(value noise over octaves from minutes to a day), so it
 * clusters. swing(k)   value noise over octaves of 20 to 90 minutes: bounded, so it makes trends
 * and reversals without adding volatility over days.
 *
 * Inside a minute the price is a Brownian bridge between the two ends. A minute is cut into SLOTS;
 * each slot holds at most one event, so times are strictly increasing and the count is bounded.
 *
 * Invariants:
 *  1. Everything in minute k follows from (seed, symbol, k) and walk(k). The first event of a
 *     minute is a quote, so no minute needs the one before.
 *  2. The walk is summed in integers (2^-44 of a log unit): exact, so a walk that is resumed or
 *     taken backwards from the origin meets the same values.
 *  3. No function of libm whose last bit depends on the machine: +, -, *, /, sqrt and floor only.
 *  4. bid < ask, both multiples of the tick, bid >= PRICE_TICKS_MIN ticks; a trade stands at the
 *     touch of the quote before it: buyers at the ask, sellers at the bid. */
#include "runtime/sim/synthetic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/random.h"
#include "runtime/base/text.h"

#define SLOTS 400 /* of a minute: 150 ms each */
#define SLOT_NS (NS_PER_MINUTE / SLOTS)
#define SLOT_TAKEN 0.45 /* mean share of slots with an event: 60 trades and 120 quotes a minute */
#define TRADE_SHARE (1.0 / 3)
#define MINUTES_A_YEAR 525600.0
#define WALK_UNIT 0x1p44
#define WALK_BOUND 2.5 /* log units from the base price at which the walk turns round */
#define PRICE_TICKS_MIN 5
#define TRADE_NOTIONAL 1500.0  /* of the median trade, quote units */
#define SHOWN_NOTIONAL 25000.0 /* of the median size at the touch */
#define MARKET_SALT                                                                                \
    30 /* of the many worlds, one where seed 1 has trends to trade from the start                  \
        */
#define TIME_LATEST INT64_C(4102444800000000000) /* 2100-01-01 */

/* Channels of randomness: each use has its own, so that none disturbs another. */
enum channel { CHANNEL_RETURN = 1, CHANNEL_EVENTS, CHANNEL_VOLATILITY = 100, CHANNEL_SWING = 200 };

struct octave {
    int64_t period; /* minutes between two lattice points */
    double amplitude;
};

/* Of the log of the volatility. The mean of its square stays near 1: VOLATILITY_SCALE. */
static const struct octave VOLATILITY_OCTAVES[] = {
    { 5, 0.25 }, { 20, 0.40 }, { 80, 0.50 }, { 320, 0.45 }, { 1440, 0.30 },
};
#define VOLATILITY_SCALE 0.84

/* Of the log price, in minute deviations. */
static const struct octave SWING_OCTAVES[] = { { 13, 3.0 }, { 31, 7.0 }, { 73, 9.0 } };

/* One market event, small: a minute of them is kept per symbol. */
struct tick {
    int64_t time_ns;
    int64_t price, ask; /* of a quote: bid and ask */
    int64_t qty, ask_qty;
    enum event_kind kind;
    int side;
};

struct stream {
    uint64_t key;      /* of (seed, symbol) */
    double base;       /* price at the origin */
    double swing_base; /* swing at the origin */
    int64_t tick_mantissa, lot_mantissa;
    double tick, lot; /* the same as numbers */

    int64_t minute; /* whose events are in ticks */
    int64_t walk;   /* at that minute's start */
    size_t at, count;
    struct tick *ticks; /* SLOTS of them */

    int64_t history_minute, history_walk; /* last place history was asked for: a shorter way */
};

struct synthetic {
    double deviation; /* of one minute's log return, at mean volatility */
    double spread;    /* share of price */
    int64_t origin_minute;
    uint32_t count;
    uint32_t next; /* the stream with the earliest event */
    struct stream *streams;
    struct tick *scratch; /* a minute for history */
};

/* ---- numbers that are the same everywhere ---- */

/* e^x for |x| < 700: x = k ln 2 + r, then the series for r, |r| < 0.35: error below 1e-15. */
static double exponential(double x)
{
    static const double factors[] = { /* 1 / n! */
                                      1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                                      1.0 / 40320,     1.0 / 5040,     1.0 / 720,     1.0 / 120,
                                      1.0 / 24,        1.0 / 6,        1.0 / 2,       1.0
    };
    double k = floor(x * 1.4426950408889634 + 0.5);
    double r = x - k * 0.69314718055994531;
    double sum = 0;
    for (size_t i = 0; i < ARRAY_SIZE(factors); i++)
        sum = sum * r + factors[i];
    return ldexp(1 + sum * r, (int)k);
}

static double unit(uint64_t word) /* [0, 1) */
{
    return (double)(word >> 11) * 0x1p-53;
}

/* Nearly normal, from one word: four uniform pieces of it, deviation 1. */
static double bell(uint64_t word)
{
    double sum =
        (double)((word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) + (word >> 48));
    return (sum - 131070.0) * (1.7320508075688772 / 65536);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static double lattice(uint64_t key, int64_t at) /* (-1, 1) */
{
    return 2 * unit(hash64(key, (uint64_t)at, 0)) - 1;
}

/* Value noise: random values at lattice points, smoothly joined. */
static double noise(uint64_t key, int64_t period, int64_t minute)
{
    int64_t i = floor_div(minute, period);
    double f = (double)(minute - i * period) / (double)period;
    double a = lattice(key, i);
    double b = lattice(key, i + 1);
    return a + (b - a) * f * f * (3 - 2 * f);
}

static double octaves(uint64_t key, enum channel channel, const struct octave *list, size_t count,
                      int64_t minute)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += list[i].amplitude *
               noise(hash64(key, (uint64_t)channel + i, 0), list[i].period, minute);
    return sum;
}

/* ---- one symbol's log price ---- */

static double volatility_at(const struct stream *stream, int64_t minute)
{
    return VOLATILITY_SCALE *
           exponential(octaves(stream->key, CHANNEL_VOLATILITY, VOLATILITY_OCTAVES,
                               ARRAY_SIZE(VOLATILITY_OCTAVES), minute));
}

static double swing_at(const struct synthetic *synthetic, const struct stream *stream,
                       int64_t minute)
{
    return synthetic->deviation *
           octaves(stream->key, CHANNEL_SWING, SWING_OCTAVES, ARRAY_SIZE(SWING_OCTAVES), minute);
}

/* By how much the walk moves in this minute. */
static int64_t walk_step(const struct synthetic *synthetic, const struct stream *stream,
                         int64_t minute)
{
    double z = bell(hash64(stream->key, CHANNEL_RETURN, (uint64_t)minute));
    return (int64_t)floor(synthetic->deviation * volatility_at(stream, minute) * z * WALK_UNIT);
}

static int64_t walk_move(const struct synthetic *synthetic, const struct stream *stream,
                         int64_t walk, int64_t from, int64_t to)
{
    for (; from < to; from++)
        walk += walk_step(synthetic, stream, from);
    while (from > to)
        walk -= walk_step(synthetic, stream, --from);
    return walk;
}

/* The walk folded into its bounds, as by mirrors, so that a price never runs off. */
static double walk_fold(int64_t walk)
{
    double x = (double)walk / WALK_UNIT / WALK_BOUND; /* bounds at -1 and 1 */
    double phase = x + 1 - 4 * floor((x + 1) / 4);    /* [0, 4) */
    return WALK_BOUND * (phase < 2 ? phase - 1 : 3 - phase);
}

static double log_price(const struct synthetic *synthetic, const struct stream *stream,
                        int64_t walk, int64_t minute)
{
    return walk_fold(walk) + swing_at(synthetic, stream, minute) - stream->swing_base;
}

/* ---- one minute's events ---- */

/* What is going on inside a minute while its events are made. */
struct minute {
    const struct stream *stream;
    struct random random;
    double start_price;
    double to_go;     /* log return of the whole minute */
    double moved;     /* so far */
    double at;        /* share of the minute that has passed */
    double deviation; /* of this minute's return */
    double spread;    /* share of price, at this minute's volatility */
    double buyers;    /* probability that a trade is a buy */
    bool for_bars;    /* sizes of quotes are not wanted */
    int64_t bid, ask; /* in ticks */
};

static void bridge_to(struct minute *minute, double at)
{
    double left = 1 - minute->at;
    double step = (at - minute->at) / left;
    double variance = (at - minute->at) * (1 - at) / left;
    minute->moved += (minute->to_go - minute->moved) * step +
                     minute->deviation * sqrt(variance) * bell(random_next(&minute->random));
    minute->at = at;
}

/* Lognormal around the median, in lots, as an event's mantissa. */
static int64_t size_of(const struct minute *minute, double notional, double width, uint64_t word)
{
    double size =
        notional / (minute->start_price * minute->stream->lot) * exponential(width * bell(word));
    double lots = floor(size + 0.5);
    return (lots < 1 ? 1 : (int64_t)lots) * minute->stream->lot_mantissa;
}

static void make_quote(struct minute *minute, struct tick *tick)
{
    const struct stream *stream = minute->stream;
    double x = minute->moved;
    double price = minute->start_price * (1 + x * (1 + x * (0.5 + x / 6)));
    double half = 0.5 * minute->spread * price * (0.7 + 0.6 * random_unit(&minute->random));

    minute->bid = (int64_t)floor((price - half) / stream->tick);
    minute->ask = (int64_t)ceil((price + half) / stream->tick);
    if (minute->bid < PRICE_TICKS_MIN)
        minute->bid = PRICE_TICKS_MIN;
    if (minute->ask <= minute->bid)
        minute->ask = minute->bid + 1;

    tick->kind = EVENT_QUOTE;
    tick->side = 0;
    tick->price = minute->bid * stream->tick_mantissa;
    tick->ask = minute->ask * stream->tick_mantissa;
    uint64_t bid_word = random_next(&minute->random), ask_word = random_next(&minute->random);
    if (minute->for_bars)
        return;
    tick->qty = size_of(minute, SHOWN_NOTIONAL, 0.8, bid_word);
    tick->ask_qty = size_of(minute, SHOWN_NOTIONAL, 0.8, ask_word);
}

static void make_trade(struct minute *minute, struct tick *tick)
{
    bool is_buy = random_unit(&minute->random) < minute->buyers;
    tick->kind = EVENT_TRADE;
    tick->side = is_buy ? SIDE_BUY : SIDE_SELL;
    tick->price = (is_buy ? minute->ask : minute->bid) * minute->stream->tick_mantissa;
    tick->qty = size_of(minute, TRADE_NOTIONAL, 1.2, random_next(&minute->random));
    tick->ask = tick->ask_qty = 0;
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void minute_begin(struct minute *minute, const struct synthetic *synthetic,
                         const struct stream *stream, int64_t at, int64_t walk, double activity)
{
    double start = log_price(synthetic, stream, walk, at);
    int64_t walk_after = walk + walk_step(synthetic, stream, at);
    *minute = (struct minute){ .stream = stream };
    random_seed(&minute->random, hash64(stream->key, CHANNEL_EVENTS, (uint64_t)at));
    minute->start_price = stream->base * exponential(start);
    minute->to_go = log_price(synthetic, stream, walk_after, at + 1) - start;
    minute->deviation = synthetic->deviation * activity;
    minute->spread = synthetic->spread * sqrt(activity);
    minute->buyers = 0.5 + 0.15 * clamp(minute->to_go / minute->deviation, -2, 2);
}

/* All events of one minute, given the walk at its start; for bars the sizes of quotes are left out.
 * Returns how many, at least 1. */
static size_t make_minute(const struct synthetic *synthetic, const struct stream *stream,
                          int64_t at, int64_t walk, bool for_bars, struct tick ticks[SLOTS])
{
    struct minute minute;
    double activity = volatility_at(stream, at);
    minute_begin(&minute, synthetic, stream, at, walk, activity);
    minute.for_bars = for_bars;

    double taken = clamp(SLOT_TAKEN * (0.4 + 0.6 * activity / VOLATILITY_SCALE), 0.15, 0.95);
    uint64_t taken_below = (uint64_t)(taken * 65536);
    uint64_t trade_below = (uint64_t)(taken * TRADE_SHARE * 65536);
    size_t count = 0;
    for (int64_t slot = 0; slot < SLOTS; slot++) {
        uint64_t word = random_next(&minute.random);
        uint64_t dice = word & 0xffff;
        if (slot > 0 && dice >= taken_below)
            continue;
        int64_t offset = slot * SLOT_NS + (int64_t)((word >> 32) * (uint64_t)SLOT_NS >> 32);
        struct tick *tick = &ticks[count++];
        tick->time_ns = at * NS_PER_MINUTE + offset;
        if (slot > 0 && dice < trade_below) {
            make_trade(&minute, tick);
            continue;
        }
        bridge_to(&minute, (double)offset / (double)NS_PER_MINUTE);
        make_quote(&minute, tick);
    }
    return count;
}

/* ---- the feed ---- */

static void stream_fill(const struct synthetic *synthetic, struct stream *stream)
{
    stream->count =
        make_minute(synthetic, stream, stream->minute, stream->walk, false, stream->ticks);
    stream->at = 0;
}

static void stream_next_minute(const struct synthetic *synthetic, struct stream *stream)
{
    stream->walk += walk_step(synthetic, stream, stream->minute);
    stream->minute++;
    stream_fill(synthetic, stream);
}

static int64_t stream_time(const struct stream *stream)
{
    return stream->ticks[stream->at].time_ns;
}

static void find_earliest(struct synthetic *synthetic)
{
    uint32_t earliest = 0;
    for (uint32_t i = 1; i < synthetic->count; i++)
        if (stream_time(&synthetic->streams[i]) < stream_time(&synthetic->streams[earliest]))
            earliest = i; /* a tie goes to the lower index */
    synthetic->next = earliest;
}

static void stream_step(const struct synthetic *synthetic, struct stream *stream)
{
    if (++stream->at == stream->count)
        stream_next_minute(synthetic, stream);
}

static int64_t feed_next_ns(void *self)
{
    const struct synthetic *synthetic = self;
    return synthetic->count > 0 ? stream_time(&synthetic->streams[synthetic->next]) : TIME_NEVER;
}

static void tick_event(const struct tick *tick, uint32_t instrument, struct event *event)
{
    event->kind = tick->kind;
    event->instrument = instrument;
    event->time_ns = tick->time_ns;
    if (tick->kind == EVENT_TRADE)
        event->trade = (struct trade_event){ tick->price, tick->qty, tick->side };
    else
        event->quote = (struct quote_event){ tick->price, tick->ask, tick->qty, tick->ask_qty };
}

static int feed_next(void *self, struct event *event, struct error *err)
{
    (void)err;
    struct synthetic *synthetic = self;
    if (synthetic->count == 0)
        return 0;
    struct stream *stream = &synthetic->streams[synthetic->next];
    tick_event(&stream->ticks[stream->at], synthetic->next, event);
    stream_step(synthetic, stream);
    find_earliest(synthetic);
    return 1;
}

static void feed_close(void *self)
{
    synthetic_close(self);
}

struct feed_port synthetic_feed(struct synthetic *synthetic)
{
    return (struct feed_port){ synthetic, feed_next_ns, feed_next, feed_close };
}

/* ---- history ---- */

/* Bars in the making while the minutes of a span go by. */
struct builder {
    struct event event;
    int64_t tf_ns;
    int64_t skip; /* bars at the front that are too many */
    int64_t made;
    bool open;
    void (*put)(void *self, const struct event *event); /* NULL: only count */
    void *self;
};

static void builder_close(struct builder *builder)
{
    if (builder->open && builder->made++ >= builder->skip && builder->put)
        builder->put(builder->self, &builder->event);
    builder->open = false;
}

static void builder_trade(struct builder *builder, const struct tick *tick)
{
    struct bar_event *bar = &builder->event.bar;
    if (builder->open && tick->time_ns >= builder->event.time_ns)
        builder_close(builder);
    if (!builder->open) {
        bar->open_ns = floor_div(tick->time_ns, builder->tf_ns) * builder->tf_ns;
        builder->event.time_ns = bar->open_ns + builder->tf_ns;
        bar->open = bar->high = bar->low = tick->price;
        bar->volume = 0;
        builder->open = true;
    }
    bar->high = tick->price > bar->high ? tick->price : bar->high;
    bar->low = tick->price < bar->low ? tick->price : bar->low;
    bar->close = tick->price;
    bar->volume += tick->qty;
}

/* Feeds the trades of [from_ns, to_ns) to the builder. */
static void build_span(struct synthetic *synthetic, struct stream *stream, int64_t from_ns,
                       int64_t to_ns, struct builder *builder)
{
    int64_t minute = floor_div(from_ns, NS_PER_MINUTE);
    int64_t walk =
        walk_move(synthetic, stream, stream->history_walk, stream->history_minute, minute);
    stream->history_minute = minute;
    stream->history_walk = walk;
    for (; minute * NS_PER_MINUTE < to_ns; minute++) {
        size_t count = make_minute(synthetic, stream, minute, walk, true, synthetic->scratch);
        for (size_t i = 0; i < count; i++) {
            const struct tick *tick = &synthetic->scratch[i];
            if (tick->kind == EVENT_TRADE && tick->time_ns >= from_ns && tick->time_ns < to_ns)
                builder_trade(builder, tick);
        }
        walk += walk_step(synthetic, stream, minute);
    }
    builder_close(builder);
}

void synthetic_history(struct synthetic *synthetic, uint32_t instrument, int64_t tf_ns,
                       int64_t to_ns, uint64_t limit,
                       void (*put)(void *self, const struct event *event), void *self)
{
    ASSERT(instrument < synthetic->count && tf_ns > 0);
    struct stream *stream = &synthetic->streams[instrument];
    int64_t end_ns = floor_div(to_ns, tf_ns) * tf_ns;
    /* Below a minute some bars are empty and are not told, so the span is wider and cut in front.
     */
    int64_t spread = tf_ns < NS_PER_MINUTE ? 4 : 1;
    uint64_t most = (uint64_t)(end_ns / (spread * tf_ns));
    int64_t wanted = (int64_t)(limit < most ? limit : most);
    int64_t from_ns = end_ns - wanted * spread * tf_ns;

    struct builder builder = { .tf_ns = tf_ns };
    builder.event.kind = EVENT_BAR;
    builder.event.instrument = instrument;
    builder.event.bar.is_history = true;
    if (spread > 1) {
        build_span(synthetic, stream, from_ns, end_ns, &builder);
        builder.skip = builder.made > wanted ? builder.made - wanted : 0;
        builder.made = 0;
    }
    builder.put = put;
    builder.self = self;
    build_span(synthetic, stream, from_ns, end_ns, &builder);
}

/* ---- instruments ---- */

struct known_symbol {
    const char *symbol;
    double price;
    int price_scale, qty_scale;
};

static const struct known_symbol KNOWN_SYMBOLS[] = {
    { "BTC/USDT:USDT", 42000, 1, 5 },
    { "ETH/USDT:USDT", 2300, 2, 4 },
    { "SOL/USDT:USDT", 100, 2, 3 },
};

/* A known symbol, or one made from its name: a price in [1, 1000), a tick of 1e-4 to 1e-5 of it, a
 * lot worth less than 1. */
static struct known_symbol symbol_lookup(const char *symbol)
{
    for (size_t i = 0; i < ARRAY_SIZE(KNOWN_SYMBOLS); i++)
        if (strcmp(symbol, KNOWN_SYMBOLS[i].symbol) == 0)
            return KNOWN_SYMBOLS[i];

    static const double decades[] = { 1, 10, 100 };
    uint64_t hash = hash64_bytes(symbol, strlen(symbol));
    int decade = (int)(hash % 3);
    double price = decades[decade] * (1 + 9 * unit(hash64(hash, 1, 0)));
    return (struct known_symbol){ symbol, price, 4 - decade, 1 + decade };
}

void synthetic_instrument(const char *symbol, struct instrument *out)
{
    struct known_symbol known = symbol_lookup(symbol);
    *out = (struct instrument){
        .tick_size = decimal_make(1, known.price_scale),
        .lot_size = decimal_make(1, known.qty_scale),
        .min_notional = decimal_int(1),
        .multiplier = decimal_int(1),
        .leverage = decimal_int(1),
        .short_allowed = true,
        .price_scale = known.price_scale,
        .qty_scale = known.qty_scale,
    };
    text_copy(out->symbol, sizeof(out->symbol), symbol);
    text_copy(out->venue, sizeof(out->venue), "sim");
    text_copy(out->origin, sizeof(out->origin), "sim");
}

/* ---- life ---- */

static int options_check(const struct synthetic_options *options, struct error *err)
{
    if (!(options->volatility > 0 && options->volatility <= 10))
        return error_at(err, ERROR_CONFIG, "brokers.sim.volatility",
                        "volatility %g is not in (0, 10]: 0.6 is 60 %% a year",
                        options->volatility);
    if (!(options->spread_bps >= 0 && options->spread_bps <= 500))
        return error_at(err, ERROR_CONFIG, "brokers.sim.spread_bps",
                        "spread of %g basis points is not in [0, 500]", options->spread_bps);
    if (options->origin_ns < 0 || options->start_ns > TIME_LATEST)
        return error_set(err, ERROR_CONFIG, "the sim's clock must stand between 1970 and 2100");
    if (options->start_ns < options->origin_ns)
        return error_set(err, ERROR_CONFIG, "the sim cannot start before its --clock-start");
    return 0;
}

static int stream_open(struct synthetic *synthetic, struct stream *stream, uint64_t seed,
                       int64_t start_ns, const struct instrument *instrument, struct error *err)
{
    if (decimal_mantissa(instrument->tick_size, instrument->price_scale, &stream->tick_mantissa) ||
        decimal_mantissa(instrument->lot_size, instrument->qty_scale, &stream->lot_mantissa))
        return error_set(err, ERROR_CONFIG, "%s: tick or lot is finer than the scale of its events",
                         instrument->symbol);
    stream->ticks = memory_new(SLOTS * sizeof(*stream->ticks));
    stream->key =
        hash64(seed, hash64_bytes(instrument->symbol, strlen(instrument->symbol)), MARKET_SALT);
    stream->base = symbol_lookup(instrument->symbol).price;
    stream->tick = decimal_to_double(instrument->tick_size);
    stream->lot = decimal_to_double(instrument->lot_size);
    stream->swing_base = swing_at(synthetic, stream, synthetic->origin_minute);

    stream->minute = floor_div(start_ns, NS_PER_MINUTE);
    stream->walk = walk_move(synthetic, stream, 0, synthetic->origin_minute, stream->minute);
    stream->history_minute = stream->minute;
    stream->history_walk = stream->walk;
    stream_fill(synthetic, stream);
    while (stream_time(stream) < start_ns)
        stream_step(synthetic, stream);
    return 0;
}

int synthetic_open(const struct synthetic_options *options, const struct instruments *instruments,
                   struct synthetic **out, struct error *err)
{
    *out = NULL;
    int code = options_check(options, err);
    if (code)
        return code;

    struct synthetic *synthetic = memory_new(sizeof(*synthetic));
    synthetic->deviation = options->volatility / sqrt(MINUTES_A_YEAR);
    synthetic->spread = options->spread_bps * 1e-4;
    synthetic->origin_minute = floor_div(options->origin_ns, NS_PER_MINUTE);
    synthetic->count = instruments->count;
    synthetic->streams = memory_new((instruments->count + 1) * sizeof(*synthetic->streams));
    synthetic->scratch = memory_new(SLOTS * sizeof(*synthetic->scratch));
    for (uint32_t i = 0; i < instruments->count && !code; i++)
        code = stream_open(synthetic, &synthetic->streams[i], options->seed, options->start_ns,
                           &instruments->list[i], err);
    if (code) {
        synthetic_close(synthetic);
        return code;
    }
    if (synthetic->count > 0)
        find_earliest(synthetic);
    *out = synthetic;
    return 0;
}

void synthetic_close(struct synthetic *synthetic)
{
    if (!synthetic)
        return;
    for (uint32_t i = 0; i < synthetic->count; i++)
        free(synthetic->streams[i].ticks);
    free(synthetic->streams);
    free(synthetic->scratch);
    free(synthetic);
}
