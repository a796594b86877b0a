/* setup_market.c - what is traded and what drives it: instruments, data files, costs, the venue. */
#include "runtime/app/setup.h"
#include "runtime/app/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- data files --------------------------------------------------------------------------------
 */

/* "[SYMBOL=]FILE". A file that is there under the whole text is a file, so that a name with '='
 * stays one; otherwise what stands before the first '=' is the symbol. */
static void split_feed(const char *text, char symbol[SYMBOL_MAX], const char **path)
{
    const char *equals = strchr(text, '=');
    bool named = equals && equals > text && access(text, F_OK) < 0 &&
                 text_copy_span(symbol, SYMBOL_MAX, text, (size_t)(equals - text));
    if (!named)
        symbol[0] = '\0';
    *path = named ? equals + 1 : text;
}

static int name_feed(struct session *session, struct session_feed *feed, const char *path,
                     struct error *err)
{
    if (feed->symbol[0])
        return 0;
    if (access(path, F_OK) < 0)
        return error_at(err, ERROR_NO_INPUT, path, "there is no such data file");
    const char *symbols[SESSION_SYMBOLS_MAX];
    size_t count = setup_all_symbols(session, symbols);
    if (count != 1)
        return error_set(err, ERROR_USAGE,
                         "%s: which symbol are its rows of? Say --symbols SYMBOL, or --feed "
                         "SYMBOL=%s",
                         path, path);
    text_copy(feed->symbol, sizeof(feed->symbol), symbols[0]);
    return 0;
}

static int look_for_signals(void *self, uint64_t done, uint64_t all, struct error *err)
{
    (void)self, (void)done, (void)all;
    return signals_check(err);
}

static int scan_feed(struct session *session, const char *text, struct error *err)
{
    const struct options *options = session->options;
    if (session->feed_count >= FEEDS_MAX)
        return error_set(err, ERROR_USAGE, "more than %d data files", FEEDS_MAX);
    struct session_feed *feed = &session->feeds[session->feed_count];
    struct session_feed before = *feed; /* scanned for a command that this one is not? */
    const char *path;
    split_feed(text, feed->symbol, &path);
    if (name_feed(session, feed, path, err) < 0)
        return err->code;
    feed->options = (struct data_options){ .path = path,
                                           .symbol = feed->symbol,
                                           .columns = options->columns,
                                           .skip_bad_rows = options->skip_bad_rows,
                                           .sort = options->sort };
    if (options->timeframe && !timeframe_parse(options->timeframe, &feed->options.timeframe_ns))
        return error_set(
            err, ERROR_USAGE,
            "--timeframe %s: allowed are 1s 5s 15s 30s 1m 3m 5m 15m 30m 1h 2h 4h 6h 12h 1d",
            options->timeframe);
    bool is_scanned = before.info.rows > 0 && strcmp(before.symbol, feed->symbol) == 0;
    int code = is_scanned ? 0 : data_scan(&feed->options, &feed->info, look_for_signals, NULL, err);
    if (code < 0)
        return code;
    session->feed_count++;
    char first[TIME_TEXT_MAX], last[TIME_TEXT_MAX];
    LOG(session->log, LOG_INFO, "data", "data file checked", F_STR("file", path),
        F_STR("layout", data_layout_name(feed->info.layout)), F_STR("symbol", feed->symbol),
        F_INT("rows", (int64_t)feed->info.rows), F_INT("skipped", (int64_t)feed->info.skipped),
        F_INT("sorted", (int64_t)feed->info.sorted),
        F_STR("first", time_format(feed->info.first_ns, first)),
        F_STR("last", time_format(feed->info.last_ns, last)));
    return 0;
}

/* ---- instruments --------------------------------------------------------------------------------
 */

static decimal configured(const struct config *config, const char *symbol, const char *field,
                          decimal otherwise)
{
    char key[160];
    snprintf(key, sizeof(key), "instruments.%s.%s", symbol, field);
    return config_has(config, key) ? config_decimal(config, key) : otherwise;
}

/* What the user says under instruments: stands above what venue or data say. */
static void apply_configuration(const struct config *config, struct instrument *instrument)
{
    const char *symbol = instrument->symbol;
    char key[160];
    snprintf(key, sizeof(key), "instruments.%s", symbol);
    decimal tick = configured(config, symbol, "tick_size", instrument->tick_size);
    decimal lot = configured(config, symbol, "lot_size", instrument->lot_size);
    if (decimal_cmp(tick, instrument->tick_size) != 0 ||
        decimal_cmp(lot, instrument->lot_size) != 0)
        text_copy(instrument->origin, sizeof(instrument->origin), "instruments:");
    instrument->tick_size = tick;
    instrument->lot_size = lot;
    if (tick.scale > instrument->price_scale)
        instrument->price_scale = tick.scale;
    if (lot.scale > instrument->qty_scale)
        instrument->qty_scale = lot.scale;
    instrument->min_notional = configured(config, symbol, "min_notional", instrument->min_notional);
    instrument->multiplier = configured(config, symbol, "multiplier", instrument->multiplier);
    instrument->leverage = configured(config, symbol, "leverage", instrument->leverage);
    snprintf(key, sizeof(key), "instruments.%s.short", symbol);
    if (config_has(config, key))
        instrument->short_allowed = config_bool(config, key);
    snprintf(key, sizeof(key), "instruments.%s.currency", symbol);
    if (config_has(config, key))
        text_copy(instrument->currency, sizeof(instrument->currency), config_string(config, key));
}

/* A symbol with several files gets the finest scales of them all. */
static int instrument_of_feeds(struct session *session, const char *symbol,
                               struct instrument *instrument, struct error *err)
{
    bool found = false;
    for (size_t i = 0; i < session->feed_count; i++) {
        const struct session_feed *feed = &session->feeds[i];
        if (strcmp(feed->symbol, symbol) != 0)
            continue;
        struct instrument seen;
        data_instrument(&feed->options, &feed->info, &seen);
        if (!found || seen.price_scale > instrument->price_scale) {
            instrument->price_scale = seen.price_scale;
            instrument->tick_size = seen.tick_size;
        }
        if (!found)
            *instrument = seen;
        if (seen.qty_scale > instrument->qty_scale) {
            instrument->qty_scale = seen.qty_scale;
            instrument->lot_size = seen.lot_size;
        }
        found = true;
    }
    if (!found)
        return error_set(
            err, ERROR_USAGE,
            "no data for %s: give --feed %s=FILE, or leave the symbol out of --symbols", symbol,
            symbol);
    return 0;
}

static int find_instrument(struct session *session, const char *symbol,
                           struct instrument *instrument, struct error *err)
{
    switch (session->source) {
    case SOURCE_SIM:
        synthetic_instrument(symbol, instrument);
        return 0;
    case SOURCE_FEED:
        return instrument_of_feeds(session, symbol, instrument, err);
    case SOURCE_VENUE:
        break;
    }
    return session->world->instrument(session->world->self, symbol, instrument, err);
}

int setup_instrument(struct session *session, const char *symbol, struct error *err)
{
    int code;
    struct instrument instrument = { 0 };
    if ((code = find_instrument(session, symbol, &instrument, err)) < 0)
        return code;
    if (strlen(symbol) >= sizeof(instrument.symbol))
        return error_set(err, ERROR_USAGE, "symbol %s is longer than %d characters", symbol,
                         SYMBOL_MAX - 1);
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    text_copy(instrument.venue, sizeof(instrument.venue),
              session->world ? session->world->venue : "sim");
    apply_configuration(session->config, &instrument);
    uint32_t index;
    if ((code = instruments_add(&session->instruments, &instrument, &index, err)) < 0)
        return code;
    char tick[DECIMAL_TEXT_MAX], lot[DECIMAL_TEXT_MAX];
    LOG(session->log, LOG_INFO, "market", "instrument", F_STR("symbol", symbol),
        F_STR("tick_size", decimal_format(instrument.tick_size, tick)),
        F_STR("lot_size", decimal_format(instrument.lot_size, lot)),
        F_STR("from", instrument.origin));
    return 0;
}

int setup_instruments(struct session *session, struct error *err)
{
    const struct options *options = session->options;
    int code;
    for (size_t i = 0; i < options->feeds.count; i++)
        if ((code = scan_feed(session, options->feeds.items[i], err)) < 0)
            return code;

    const char *symbols[SESSION_SYMBOLS_MAX];
    size_t count = setup_all_symbols(session, symbols);
    for (size_t i = 0; i < count; i++)
        if ((code = setup_instrument(session, symbols[i], err)) < 0)
            return code;
    for (size_t i = 0; i < session->feed_count; i++) {
        struct session_feed *feed = &session->feeds[i];
        feed->instrument = instruments_find(&session->instruments, feed->symbol, NULL);
        if (feed->instrument == INSTRUMENT_NONE)
            return error_set(err, ERROR_USAGE, "%s holds %s, which no strategy trades",
                             feed->options.path, feed->symbol);
    }
    return 0;
}

/* ---- costs and the venue
 * ------------------------------------------------------------------------- */

static int read_costs(struct session *session, struct error *err)
{
    const struct config *config = session->config;
    session->costs = (struct costs){
        .maker_fee = config_decimal(config, "backtest.fees.maker"),
        .taker_fee = config_decimal(config, "backtest.fees.taker"),
        .slippage_bps = config_decimal(config, "backtest.slippage_bps"),
    };
    const char *model = config_string(config, "backtest.slippage_model");
    if (!slippage_parse(model, &session->costs.slippage))
        return error_at(
            err, ERROR_CONFIG, "backtest.slippage_model",
            "slippage model '%s' is not in this version; allowed are none, fixed, half_spread",
            model);
    const char *queue = config_string(config, "backtest.queue");
    if (queue && strcmp(queue, "back") != 0)
        return error_at(err, ERROR_CONFIG, "backtest.queue",
                        "queue model '%s' is not in this version; allowed is back", queue);
    static const char *const later[] = { "backtest.margin", "backtest.borrow",
                                         "backtest.funding_file", "backtest.corporate_actions",
                                         "backtest.fees.per_share" };
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (config_has(config, later[i]))
            return error_at(err, ERROR_CONFIG, later[i],
                            "this model is not in this version; leave it out");
    session->latency_ns = config_duration(config, "backtest.latency");
    const char *fill_on = config_string(config, "backtest.fill_on");
    session->fill_on = strcmp(fill_on, "instant") == 0 ? FILL_ON_INSTANT
                       : strcmp(fill_on, "close") == 0 ? FILL_ON_CLOSE
                                                       : FILL_ON_NEXT;
    if (session->fill_on == FILL_ON_INSTANT)
        session->latency_ns = 0;
    return 0;
}

void session_queue_put(void *self, const struct event *event)
{
    struct event_queue *queue = self;
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity ? queue->capacity * 2 : 64;
        struct queued_event *items = memory_new(capacity * sizeof(*items));
        for (size_t i = 0; i < queue->count; i++)
            items[i] = queue->items[(queue->first + i) % queue->capacity];
        free(queue->items);
        *queue =
            (struct event_queue){ .items = items, .count = queue->count, .capacity = capacity };
    }
    struct queued_event *item = &queue->items[(queue->first + queue->count++) % queue->capacity];
    item->event = *event;
    if (event->kind == EVENT_REPORT)
        item->report = *event->report;
}

static void history(void *self, uint32_t instrument, int64_t tf_ns, int64_t to_ns, uint64_t limit,
                    void (*put)(void *self, const struct event *event), void *put_self)
{
    synthetic_history(self, instrument, tf_ns, to_ns, limit, put, put_self);
}

static int open_synthetic(struct session *session, struct error *err)
{
    struct synthetic_options options = {
        .seed = session->seed,
        .volatility = config_number(session->config, "brokers.sim.volatility"),
        .spread_bps = config_number(session->config, "brokers.sim.spread_bps"),
        .origin_ns = session->options->clock_start_ns,
        .start_ns = session->now_ns,
    };
    int code = synthetic_open(&options, &session->instruments, &session->synthetic, err);
    if (code == 0)
        session->feed = synthetic_feed(session->synthetic);
    return code;
}

static int open_feeds(struct session *session, struct error *err)
{
    struct feed_port feeds[FEEDS_MAX];
    for (size_t i = 0; i < session->feed_count; i++) {
        struct session_feed *feed = &session->feeds[i];
        int code = data_feed(&feed->options, &feed->info, &session->instruments, feed->instrument,
                             &feeds[i], err);
        if (code < 0) {
            while (i-- > 0)
                feeds[i].close(feeds[i].self);
            return code;
        }
    }
    return feed_merge(feeds, session->feed_count, &session->feed, err);
}

static int open_paper(struct session *session, struct error *err)
{
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "s%" PRId64 "-", session->record.session_id);
    struct paper_options options = {
        .instruments = &session->instruments,
        .costs = session->costs,
        .latency_ns = session->latency_ns,
        .fill_on = session->fill_on,
        .calendars = setup_calendar_list(session),
        .sink = { .self = &session->queue, .put = session_queue_put },
        .first_exec = 1,
        .exec_prefix = prefix,
        .history = session->source == SOURCE_SIM ? history : NULL,
        .history_self = session->synthetic,
    };
    int code = paper_open(&options, &session->paper, err);
    if (code == 0)
        session->venue = paper_port(session->paper);
    return code;
}

/* A venue that tells the market itself: what it says comes by its sink, not by a feed. */
static int open_world(struct session *session, struct error *err)
{
    struct event_sink sink = { .self = &session->queue, .put = session_queue_put };
    return session->world->open_venue(session->world->self, sink, &session->venue, err);
}

int setup_venue(struct session *session, struct error *err)
{
    int code = read_costs(session, err);
    if (code < 0)
        return code;
    session->market = market_open(&session->instruments);
    if (session->source == SOURCE_VENUE)
        return open_world(session, err);
    code = session->source == SOURCE_SIM ? open_synthetic(session, err) : open_feeds(session, err);
    return code < 0 ? code : open_paper(session, err);
}
