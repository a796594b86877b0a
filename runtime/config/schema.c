/* schema.c - the table of keys, and how to find a line in it. */
#include "runtime/config/schema.h"

#include <stdlib.h>
#include <string.h>

/* The limits, once: they stand under risk: for the account, and again for one strategy, symbol or
 * venue, where they have no default. Each also has an environment name, in capitals or not. */
#define MONEY ">0 <=1000000000000000" /* far from where sums of money would not fit a decimal */
#define LIMITS(LINE)                                                                               \
    LINE("max_order_size_usd", KIND_DECIMAL, MONEY, "100", "MAX_ORDER_SIZE_USD")                   \
    LINE("max_daily_volume_usd", KIND_DECIMAL, MONEY, "500", "MAX_DAILY_VOLUME_USD")               \
    LINE("max_open_positions", KIND_INTEGER, ">0 <=1000000", "3", "MAX_OPEN_POSITIONS")            \
    LINE("max_daily_loss_usd", KIND_DECIMAL, MONEY, "100", "MAX_DAILY_LOSS_USD")                   \
    LINE("max_daily_loss_pct", KIND_FRACTION, ">0 <=1", "0.02", "MAX_DAILY_LOSS_PCT")              \
    LINE("max_position_size", KIND_FRACTION, ">0 <=1", "0.20", "MAX_POSITION_SIZE")                \
    LINE("max_portfolio_volatility", KIND_FRACTION, ">0 <=3", "0.25", "MAX_PORTFOLIO_VOLATILITY")  \
    LINE("max_portfolio_heat", KIND_FRACTION, ">0 <=1", "0.06", "MAX_PORTFOLIO_HEAT")              \
    LINE("max_drawdown", KIND_FRACTION, ">0 <=1", "0.20", "MAX_DRAWDOWN")                          \
    LINE("per_trade_risk_pct", KIND_FRACTION, ">0 <=1", "0.0025", "PER_TRADE_RISK_PCT")            \
    LINE("max_daily_trades", KIND_INTEGER, ">0 <=1000000", "40", "MAX_DAILY_TRADES")               \
    LINE("max_orders_per_second", KIND_INTEGER, ">0 <=100000", "10", "MAX_ORDERS_PER_SECOND")      \
    LINE("price_collar_pct", KIND_FRACTION, ">0 <=1", "0.05", "PRICE_COLLAR_PCT")

#define OF_ACCOUNT(name, kind, allowed, normal, environment)                                       \
    { "risk." name, kind, allowed, normal, environment, FLAG_LIMIT },
#define OF_STRATEGY(name, kind, allowed, normal, environment)                                      \
    { "strategies.*.limits." name, kind, allowed, NULL, NULL, FLAG_LIMIT },
#define OF_SYMBOL(name, kind, allowed, normal, environment)                                        \
    { "risk.symbols.*." name, kind, allowed, NULL, NULL, FLAG_LIMIT },
#define OF_VENUE(name, kind, allowed, normal, environment)                                         \
    { "risk.venues.*." name, kind, allowed, NULL, NULL, FLAG_LIMIT },

#define CALENDARS "nse|nfo|mcx|nyse|cme|24x7"
#define DEFAULT_STAGES                                                                             \
    "[{capital: 200, days: 7}, {capital: 500, days: 7}, {capital: 1000, days: 7}, "                \
    "{capital: 2000, days: 7}]"

/* clang-format off */
static const struct schema_key table[] = {
/*    path                                      kind            allowed             default                 environment         flags */
    { "trading.mode",                           KIND_CHOICE,    "paper|live|backtest", "paper",            "TRADING_MODE",     0 },
    { "trading.broker",                         KIND_VENUE,     NULL,               "sim",                  "EXCHANGES",        FLAG_LIST | FLAG_SINGLE },
    { "trading.capital",                        KIND_DECIMAL,   ">0",               "100",                  "EQUITY_USD",       0 },
    { "trading.paper_capital",                  KIND_DECIMAL,   ">0",               NULL,                   NULL,               0 },
    { "trading.symbols",                        KIND_SYMBOL,    NULL,               "BTC/USDT:USDT, ETH/USDT:USDT, SOL/USDT:USDT", "TRADING_SYMBOLS", FLAG_LIST | FLAG_ABSENT | FLAG_FILE_FIRST },
    { "trading.logical_universe",               KIND_TEXT,      NULL,               "",                     NULL,               FLAG_LIST | FLAG_EMPTY | FLAG_ABSENT },
    { "trading.duration",                       KIND_DURATION,  ">=0s",             "0s",                   "TRADING_DURATION", FLAG_SECONDS },
    { "trading.stop_policy",                    KIND_CHOICE,    "leave|cancel|flatten", "leave",            NULL,               0 },

    { "strategies",                             KIND_ROWS,      "file",             NULL,                   NULL,               FLAG_EMPTY },
    { "strategies.*.file",                      KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "strategies.*.capital",                   KIND_DECIMAL,   ">0",               NULL,                   NULL,               0 },
    { "strategies.*.symbols",                   KIND_SYMBOL,    NULL,               NULL,                   NULL,               FLAG_LIST | FLAG_EMPTY },
    { "strategies.*.params",                    KIND_ENTRIES,   "name",             NULL,                   NULL,               0 },
    { "strategies.*.params.*",                  KIND_ANY,       NULL,               NULL,                   NULL,               0 },
    LIMITS(OF_STRATEGY)
    { "strategies.*.on_error",                  KIND_CHOICE,    "leave|cancel|flatten", "cancel",           NULL,               0 },

    { "brokers",                                KIND_ENTRIES,   "venue",            NULL,                   NULL,               0 },
    { "brokers.sim.seed",                       KIND_INTEGER,   ">=0",              "1",                    NULL,               0 },
    { "brokers.sim.volatility",                 KIND_FRACTION,  ">=0 <=10",         "0.6",                  NULL,               0 },
    { "brokers.sim.spread_bps",                 KIND_DECIMAL,   ">=0 <=10000",      "1.0",                  NULL,               0 },
    { "brokers.*.environment",                  KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "brokers.*.credentials",                  KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "brokers.*.api_key_env",                  KIND_NAME,      NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.api_secret_env",               KIND_NAME,      NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.rest_url",                     KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.ws_url",                       KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.private_ws_url",               KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.urls",                         KIND_ENTRIES,   "name",             NULL,                   NULL,               0 },
    { "brokers.*.urls.*",                       KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY },
    { "brokers.*.allow_hosts",                  KIND_TEXT,      NULL,               NULL,                   NULL,               FLAG_LIST },
    { "brokers.*.ca_file",                      KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "brokers.*.settings",                     KIND_ENTRIES,   "name",             NULL,                   NULL,               0 },
    { "brokers.*.settings.*",                   KIND_ANY,       NULL,               NULL,                   NULL,               0 },
    { "brokers.*.fees.maker",                   KIND_FRACTION,  ">=-0.1 <=0.1",     NULL,                   NULL,               0 },
    { "brokers.*.fees.taker",                   KIND_FRACTION,  ">=-0.1 <=0.1",     NULL,                   NULL,               0 },
    { "brokers.*.fees.per_share",               KIND_DECIMAL,   ">=0",              NULL,                   NULL,               0 },
    { "brokers.*.fees.minimum",                 KIND_DECIMAL,   ">=0",              NULL,                   NULL,               0 },
    { "brokers.*.busy_poll",                    KIND_BOOL,      NULL,               "false",                NULL,               0 },
    { "brokers.*.trust",                        KIND_TEXT,      NULL,               NULL,                   NULL,               0 },

    { "data.provider",                          KIND_PROVIDER,  NULL,               "broker",               NULL,               0 },
    { "data.alpaca.feed",                       KIND_TEXT,      NULL,               "iex",                  NULL,               0 },
    { "data.polygon.api_key_env",               KIND_NAME,      NULL,               "POLYGON_API_KEY",      NULL,               FLAG_SHY },

    { "websocket.max_streams_per_exchange",     KIND_ENTRIES,   "venue",            NULL,                   NULL,               0 },
    { "websocket.max_streams_per_exchange.bingx", KIND_INTEGER, ">0 <=10000",       "10",                   NULL,               0 },
    { "websocket.max_streams_per_exchange.binance", KIND_INTEGER, ">0 <=10000",     "20",                   NULL,               0 },
    { "websocket.max_streams_per_exchange.kucoinfutures", KIND_INTEGER, ">0 <=10000", "15",                 NULL,               0 },
    { "websocket.max_streams_per_exchange.*",   KIND_INTEGER,   ">0 <=10000",       "10",                   NULL,               0 },
    { "websocket.stream_timeframes",            KIND_TIMEFRAME, NULL,               "1m",                   NULL,               FLAG_LIST },
    { "websocket.stale_after",                  KIND_DURATION,  ">0s",              "10s",                  NULL,               0 },

    { "instruments",                            KIND_ENTRIES,   "symbol",           NULL,                   NULL,               0 },
    { "instruments.*.tick_size",                KIND_DECIMAL,   ">0",               NULL,                   NULL,               0 },
    { "instruments.*.lot_size",                 KIND_DECIMAL,   ">0",               NULL,                   NULL,               0 },
    { "instruments.*.min_notional",             KIND_DECIMAL,   ">=0",              NULL,                   NULL,               0 },
    { "instruments.*.multiplier",               KIND_DECIMAL,   ">0",               NULL,                   NULL,               0 },
    { "instruments.*.currency",                 KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "instruments.*.calendar",                 KIND_CHOICE,    CALENDARS,          NULL,                   NULL,               0 },
    { "instruments.*.short",                    KIND_BOOL,      NULL,               "true",                 NULL,               0 },
    { "instruments.*.leverage",                 KIND_DECIMAL,   ">=1 <=1000",       "1",                    NULL,               0 },

    LIMITS(OF_ACCOUNT)
    { "risk.self_trade_prevention",             KIND_BOOL,      NULL,               "true",                 NULL,               0 },
    { "risk.require_stop",                      KIND_BOOL,      NULL,               "false",                NULL,               0 },
    { "risk.stop_distance_pct",                 KIND_FRACTION,  ">0 <1",            "0.02",                 NULL,               0 },
    { "risk.heat_no_stop_pct",                  KIND_FRACTION,  ">0 <=1",           "0.05",                 NULL,               0 },
    { "risk.day",                               KIND_CHOICE,    "utc|venue",        "utc",                  NULL,               0 },
    { "risk.emergency",                         KIND_CHOICE,    "cancel|flatten",   "cancel",               NULL,               0 },
    { "risk.repeated_executions.count",         KIND_INTEGER,   ">0 <=1000000",     "20",                   NULL,               0 },
    { "risk.repeated_executions.within",        KIND_DURATION,  ">0s",              "10s",                  NULL,               0 },
    { "risk.cancel_reserve",                    KIND_FRACTION,  ">=0 <1",           "0.2",                  NULL,               0 },
    { "risk.max_clock_skew",                    KIND_DURATION,  ">0s",              "1s",                   NULL,               0 },
    { "risk.symbols",                           KIND_ENTRIES,   "symbol",           NULL,                   NULL,               0 },
    LIMITS(OF_SYMBOL)
    { "risk.venues",                            KIND_ENTRIES,   "venue",            NULL,                   NULL,               0 },
    LIMITS(OF_VENUE)

    { "orders.resolve_grace",                   KIND_DURATION,  ">=0s",             "10s",                  NULL,               0 },
    { "orders.resend_within",                   KIND_DURATION,  ">=0s",             "60s",                  NULL,               0 },

    { "circuit_breaker.failures",               KIND_INTEGER,   ">0 <=1000000",     "5",                    NULL,               0 },
    { "circuit_breaker.open_for",               KIND_DURATION,  ">0s",              "60s",                  NULL,               0 },
    { "circuit_breaker.half_open_probes",       KIND_INTEGER,   ">0 <=1000000",     "3",                    NULL,               0 },
    { "circuit_breaker.max_error_rate",         KIND_FRACTION,  ">0 <=1",           "0.05",                 NULL,               0 },
    { "circuit_breaker.max_latency",            KIND_DURATION,  ">0s",              "2s",                   NULL,               0 },
    { "circuit_breaker.price_jump_pct",         KIND_FRACTION,  ">0 <=1",           "0.10",                 NULL,               0 },

    { "rollout.enabled",                        KIND_BOOL,      NULL,               "false",                NULL,               0 },
    { "rollout.stages",                         KIND_ROWS,      "capital|days",     DEFAULT_STAGES,         NULL,               0 },
    { "rollout.stages.*.capital",               KIND_DECIMAL,   MONEY,              NULL,                   NULL,               0 },
    { "rollout.stages.*.days",                  KIND_INTEGER,   ">0 <=10000",       NULL,                   NULL,               0 },
    { "rollout.require.order_success_rate",     KIND_FRACTION,  ">=0 <=1",          "0.99",                 NULL,               0 },
    { "rollout.require.api_error_rate",         KIND_FRACTION,  ">=0 <=1",          "0.01",                 NULL,               0 },
    { "rollout.require.latency",                KIND_DURATION,  ">0s",              "500ms",                NULL,               0 },
    { "rollout.require.slippage",               KIND_FRACTION,  ">=0 <=1",          "0.001",                NULL,               0 },
    { "rollout.require.breaker_events_per_week", KIND_INTEGER,  ">=0 <=1000000",    "1",                    NULL,               0 },
    { "rollout.require.paper_days",             KIND_INTEGER,   ">=0 <=10000",      "7",                    NULL,               0 },

    { "reconciliation.mode",                    KIND_CHOICE,    "strict|warn|auto_sync", "warn",            NULL,               0 },
    { "reconciliation.qty_tolerance",           KIND_FRACTION,  ">=0 <=1",          "0.01",                 NULL,               0 },
    { "reconciliation.cash_tolerance",          KIND_DECIMAL,   ">=0",              "1.0",                  NULL,               0 },
    { "reconciliation.periodic_interval",       KIND_INTEGER,   ">0 <=1000000",     "100",                  NULL,               0 },
    { "reconciliation.interval",                KIND_DURATION,  ">0s",              NULL,                   NULL,               0 },

    { "persistence.backup_count",               KIND_INTEGER,   ">=0 <=10000",      "5",                    NULL,               0 },
    { "persistence.backup_every",               KIND_DURATION,  ">0s",              "1h",                   NULL,               0 },
    { "persistence.use_wal",                    KIND_BOOL,      "true",             "true",                 NULL,               0 },
    { "persistence.wal_max_entries",            KIND_INTEGER,   ">0 <=100000000",   "10000",                NULL,               0 },
    { "persistence.durability",                 KIND_CHOICE,    "process|power",    "process",              NULL,               0 },

    { "reload.watch",                           KIND_BOOL,      NULL,               "true",                 NULL,               0 },
    { "reload.live",                            KIND_CHOICE,    "ask|watch",        "ask",                  NULL,               0 },

    { "sandbox.callback_ms",                    KIND_INTEGER,   ">0 <=3600000",     "10",                   NULL,               0 },
    { "sandbox.callback_hard_ms",               KIND_INTEGER,   ">0 <=3600000",     "100",                  NULL,               0 },
    { "sandbox.instructions",                   KIND_INTEGER,   ">=1000 <=1000000000000", "1000000",        NULL,               0 },
    { "sandbox.memory_mb",                      KIND_INTEGER,   ">0 <=65536",       "64",                   NULL,               0 },
    { "sandbox.pattern_steps",                  KIND_INTEGER,   ">=1000 <=1000000000000", "1000000",        NULL,               0 },
    { "sandbox.table_slots",                    KIND_INTEGER,   ">=64 <=1000000000", "65536",               NULL,               0 },

    { "observability.enabled",                  KIND_BOOL,      NULL,               "true",                 NULL,               0 },
    { "observability.metrics.prefix",           KIND_NAME,      NULL,               "live_trading",         NULL,               0 },
    { "observability.metrics.export_interval_seconds", KIND_INTEGER, ">0 <=86400",  "60",                   NULL,               0 },
    { "observability.metrics.prometheus",       KIND_ADDRESS,   NULL,               "127.0.0.1:9464",       NULL,               FLAG_NULL },
    { "observability.metrics.statsd",           KIND_ADDRESS,   NULL,               NULL,                   NULL,               0 },
    { "observability.events.buffer_size",       KIND_INTEGER,   ">0 <=10000000",    "1000",                 NULL,               0 },

    { "dashboard.listen",                       KIND_ADDRESS,   NULL,               "127.0.0.1:8480",       NULL,               0 },
    { "dashboard.enabled",                      KIND_BOOL,      NULL,               "false",                NULL,               0 },

    { "alerting.min_severity",                  KIND_CHOICE,    "info|warning|error|critical", "info",      NULL,               0 },
    { "alerting.rate_limit_seconds",            KIND_DECIMAL,   ">=0 <=86400",      "1.0",                  NULL,               0 },
    { "alerting.webhook.url",                   KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY | FLAG_HIDDEN },
    { "alerting.discord.webhook_url",           KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY | FLAG_HIDDEN },
    { "alerting.slack.webhook_url",             KIND_URL,       NULL,               NULL,                   NULL,               FLAG_SHY | FLAG_HIDDEN },

    { "backtest.data_dir",                      KIND_TEXT,      NULL,               "data/historical",      NULL,               0 },
    { "backtest.default_start",                 KIND_DATE,      NULL,               "2020-01-01",           NULL,               0 },
    { "backtest.default_end",                   KIND_DATE,      NULL,               "2024-01-01",           NULL,               0 },
    { "backtest.fees.maker",                    KIND_FRACTION,  ">=-0.1 <=0.1",     "0.0002",               NULL,               0 },
    { "backtest.fees.taker",                    KIND_FRACTION,  ">=-0.1 <=0.1",     "0.0005",               NULL,               0 },
    { "backtest.fees.per_share",                KIND_DECIMAL,   ">=0",              NULL,                   NULL,               0 },
    { "backtest.fees.minimum",                  KIND_DECIMAL,   ">=0",              NULL,                   NULL,               0 },
    { "backtest.slippage_model",                KIND_CHOICE,    "none|fixed|half_spread|volume|book", "fixed", NULL,              0 },
    { "backtest.slippage_bps",                  KIND_DECIMAL,   ">=0 <=10000",      "5.0",                  NULL,               0 },
    { "backtest.latency",                       KIND_DURATION,  ">=0s",             "50ms",                 NULL,               0 },
    { "backtest.queue",                         KIND_CHOICE,    "back|progress|exact", "back",              NULL,               0 },
    { "backtest.queue_power",                   KIND_DECIMAL,   ">0 <=100",         "1",                    NULL,               0 },
    { "backtest.margin",                        KIND_FRACTION,  ">0 <=1",           NULL,                   NULL,               0 },
    { "backtest.borrow",                        KIND_FRACTION,  ">=0 <=10",         NULL,                   NULL,               0 },
    { "backtest.funding_file",                  KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "backtest.corporate_actions",             KIND_TEXT,      NULL,               NULL,                   NULL,               0 },
    { "backtest.fill_on",                       KIND_CHOICE,    "next|close|instant", "next",               NULL,               0 },

    { "calendar.venues",                        KIND_ENTRIES,   "venue|symbol",     NULL,                   NULL,               0 },
    { "calendar.venues.*",                      KIND_CHOICE,    CALENDARS,          NULL,                   NULL,               0 },

    { "logging.level",                          KIND_CHOICE,    "debug|info|warn|error", "info",            "LOG_LEVEL",        0 },
    { "logging.file",                           KIND_BOOL,      NULL,               "true",                 NULL,               0 },

    /* What a file may not decide: the gates of live trading, and the emergency stop. */
    { "switches.trading_mode",                  KIND_CHOICE,    "paper|live|backtest", NULL,               "TRADING_MODE",     FLAG_SWITCH },
    { "switches.paper_trading",                 KIND_BOOL,      NULL,               "true",                 "PAPER_TRADING",    FLAG_SWITCH },
    { "switches.live_trading_enabled",          KIND_BOOL,      NULL,               "false",                "LIVE_TRADING_ENABLED", FLAG_SWITCH },
    { "switches.environment",                   KIND_TEXT,      NULL,               NULL,                   "ENVIRONMENT",      FLAG_SWITCH },
    { "switches.emergency_stop",                KIND_BOOL,      NULL,               "false",                "EMERGENCY_STOP",   FLAG_SWITCH },
};
/* clang-format on */

static const char *const venues[] = { "sim",      "binance", "bingx",  "kucoinfutures",
                                      "coinbase", "kraken",  "alpaca", "ibkr",
                                      "kite",     "polygon", NULL };

size_t schema_count(void)
{
    return ARRAY_SIZE(table);
}

const struct schema_key *schema_at(size_t index)
{
    ASSERT(index < ARRAY_SIZE(table));
    return &table[index];
}

size_t schema_index(const struct schema_key *key)
{
    return (size_t)(key - table);
}

const struct schema_key *schema_find(const char *pattern)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strcmp(table[i].path, pattern) == 0)
            return &table[i];
    return NULL;
}

/* Names may hold dots (BRK.B), so a star takes any text that is not empty. */
static bool matches(const char *pattern, const char *path)
{
    while (*pattern && *pattern != '*')
        if (*pattern++ != *path++)
            return false;
    if (!*pattern)
        return !*path;
    for (; *path; path++)
        if (matches(pattern + 1, path + 1))
            return true;
    return false;
}

static int levels(const char *path)
{
    int count = 0;
    for (; *path; path++)
        count += *path == '.';
    return count;
}

/* "strategies.0.params.capital" is a parameter, though strategies.*.capital would match as well:
 * the line with most levels says most. */
const struct schema_key *schema_match(const char *path)
{
    const struct schema_key *found = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (matches(table[i].path, path) && (!found || levels(table[i].path) > levels(found->path)))
            found = &table[i];
    return found;
}

/* What follows `pattern` and a dot in `path`, or NULL. */
static const char *rest(const char *path, const char *pattern)
{
    size_t length = strlen(pattern);
    if (length == 0)
        return path;
    if (strncmp(path, pattern, length) != 0 || path[length] != '.')
        return NULL;
    return path + length + 1;
}

bool schema_knows(const char *pattern)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (!(table[i].flags & FLAG_SWITCH) &&
            (strcmp(table[i].path, pattern) == 0 || rest(table[i].path, pattern)))
            return true;
    return false;
}

static bool has_name(char *const *names, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(names[i], name, length) == 0 && !names[i][length])
            return true;
    return false;
}

size_t schema_children(const char *pattern, char **names, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(table) && count + 1 < size; i++) {
        const char *name = rest(table[i].path, pattern);
        if (!name || *name == '*' || (table[i].flags & FLAG_SWITCH))
            continue;
        size_t length = strcspn(name, ".");
        if (has_name(names, count, name, length))
            continue;
        names[count] = strndup(name, length);
        ASSERT(names[count]);
        count++;
    }
    names[count] = NULL;
    return count;
}

const struct schema_key *schema_elsewhere(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *dot = strrchr(table[i].path, '.');
        if (dot && !strchr(table[i].path, '*') && strcmp(dot + 1, name) == 0)
            return &table[i];
    }
    return NULL;
}

const char *const *schema_venues(void)
{
    return venues;
}
