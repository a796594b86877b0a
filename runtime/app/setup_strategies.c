/* setup_strategies.c - which files, on which symbols, with how much money and which params. */
#include "runtime/app/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files -------------------------------------------------------------------------------------
 */

static int add_strategy(struct session *session, const char *path, size_t config_index,
                        struct error *err)
{
    if (session->strategy_count >= STRATEGIES_MAX)
        return error_set(err, ERROR_USAGE, "more than %d strategy files", STRATEGIES_MAX);
    struct strategy *strategy = &session->strategies[session->strategy_count];
    strategy->config_index = config_index;
    strategy->on_error = POLICY_CANCEL;
    risk_limits_init(&strategy->limits);
    if (!text_copy(strategy->path, sizeof(strategy->path), path))
        return error_set(err, ERROR_USAGE, "the path of a strategy is longer than %zu bytes",
                         sizeof(strategy->path) - 1);
    strategy->code = memory_new(sizeof(*strategy->code));
    session->strategy_count++;
    struct source *source = &strategy->code->source;
    int code = session->journal_count > 0 ? setup_recorded_source(session, path, source, err)
                                          : source_read(path, source, err);
    if (code < 0)
        return code;
    if (config_index != SIZE_MAX) {
        char key[64];
        snprintf(key, sizeof(key), "strategies.%zu.on_error", config_index);
        const char *policy =
            config_has(session->config, key) ? config_string(session->config, key) : "cancel";
        strategy->on_error = strcmp(policy, "leave") == 0     ? POLICY_LEAVE
                             : strcmp(policy, "flatten") == 0 ? POLICY_FLATTEN
                                                              : POLICY_CANCEL;
        snprintf(key, sizeof(key), "strategies.%zu.limits", config_index);
        setup_limits(session, key, &strategy->limits);
    }
    return 0;
}

/* An operand that the configuration lists too takes its entry: capital, params, symbols. */
static size_t config_entry(const struct session *session, const char *path)
{
    size_t count = config_members(session->config, "strategies");
    for (size_t i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "strategies.%zu.file", i);
        if (strcmp(config_string(session->config, key), path) == 0)
            return i;
    }
    return SIZE_MAX;
}

static int read_files(struct session *session, struct error *err)
{
    const struct option_list *operands = &session->options->strategies;
    int code;
    for (size_t i = 0; i < operands->count; i++)
        if ((code = add_strategy(session, operands->items[i],
                                 config_entry(session, operands->items[i]), err)) < 0)
            return code;
    size_t configured = config_members(session->config, "strategies");
    for (size_t i = 0; operands->count == 0 && i < configured; i++) {
        char key[64];
        snprintf(key, sizeof(key), "strategies.%zu.file", i);
        if ((code = add_strategy(session, config_string(session->config, key), i, err)) < 0)
            return code;
    }
    if (session->strategy_count == 0)
        return error_set(err, ERROR_USAGE,
                         "no strategy: give a file (runtime strategies/momentum.lua), or list it "
                         "under strategies: in the configuration");
    return 0;
}

int setup_sources(struct session *session, struct error *err)
{
    int code = read_files(session, err);
    for (size_t i = 0; code == 0 && i < session->strategy_count; i++) {
        struct strategy *strategy = &session->strategies[i];
        code = strategy_describe(&strategy->code->source, &session->limits, &strategy->code->info,
                                 err);
        if (code == 0)
            LOG(session->log, LOG_INFO, "strategy", "file read", F_STR("file", strategy->path),
                F_STR("name", strategy->code->info.name),
                F_STR("version", strategy->code->info.version),
                F_STR("hash", strategy->code->source.hash));
    }
    for (size_t i = 0; code == 0 && i < session->strategy_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(session->strategies[i].code->info.name,
                       session->strategies[k].code->info.name) == 0)
                return error_set(err, ERROR_DATA,
                                 "%s and %s are both named '%s'; the name is what a strategy's "
                                 "orders and state are kept under, so give each its own",
                                 session->strategies[k].path, session->strategies[i].path,
                                 session->strategies[i].code->info.name);
    return code;
}

/* ---- symbols
 * ------------------------------------------------------------------------------------- */

struct symbol_list {
    const char *items[STRATEGY_SYMBOLS_MAX];
    size_t count;
    const char *origin;
};

static void list_from_config(const struct config *config, const char *key, struct symbol_list *list)
{
    size_t count = config_list_count(config, key);
    for (size_t i = 0; i < count && list->count < STRATEGY_SYMBOLS_MAX; i++)
        list->items[list->count++] = config_list_at(config, key, i);
}

/* flag > strategies[].symbols > the strategy's own > trading.symbols > TRADING_SYMBOLS > default */
static void symbols_of(const struct session *session, const struct strategy *strategy,
                       struct symbol_list *list)
{
    const struct config *config = session->config;
    *list = (struct symbol_list){ .origin = config_origin(config, "trading.symbols") };
    char key[64];
    snprintf(key, sizeof(key), "strategies.%zu.symbols", strategy->config_index);
    bool flag = config_source(config, "trading.symbols") == FROM_FLAG;
    if (!flag && strategy->config_index != SIZE_MAX && config_has(config, key)) {
        list_from_config(config, key, list);
        list->origin = key;
        if (list->count > 0) {
            list->origin = "strategies[].symbols";
            return;
        }
    }
    if (!flag && strategy->code->info.symbol_count > 0) {
        for (size_t i = 0; i < strategy->code->info.symbol_count; i++)
            list->items[list->count++] = strategy->code->info.symbols[i];
        list->origin = "the strategy";
        return;
    }
    list->origin = config_origin(config, "trading.symbols");
    list_from_config(config, "trading.symbols", list);
}

/* With feeds that name their symbols, and no other word about symbols, the feeds say. */
static bool feeds_say(const struct session *session, const struct strategy *strategy)
{
    return session->source == SOURCE_FEED &&
           config_source(session->config, "trading.symbols") == FROM_DEFAULT &&
           strategy->code->info.symbol_count == 0 && strategy->config_index == SIZE_MAX;
}

static void add_unique(const char **symbols, size_t *count, const char *symbol)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(symbols[i], symbol) == 0)
            return;
    if (*count < SESSION_SYMBOLS_MAX)
        symbols[(*count)++] = symbol;
}

size_t setup_all_symbols(struct session *session, const char **symbols)
{
    size_t count = 0;
    for (size_t i = 0; i < session->strategy_count; i++) {
        const struct strategy *strategy = &session->strategies[i];
        if (feeds_say(session, strategy)) {
            for (size_t k = 0; k < session->feed_count; k++)
                add_unique(symbols, &count, session->feeds[k].symbol);
            continue;
        }
        struct symbol_list list;
        symbols_of(session, strategy, &list);
        for (size_t k = 0; k < list.count; k++)
            add_unique(symbols, &count, list.items[k]);
    }
    return count;
}

int setup_symbols(struct session *session, struct error *err)
{
    for (size_t i = 0; i < session->strategy_count; i++) {
        struct strategy *strategy = &session->strategies[i];
        struct symbol_list list = { .origin = "--feed" };
        if (feeds_say(session, strategy)) {
            for (uint32_t k = 0; k < session->instruments.count; k++)
                list.items[list.count++] = session->instruments.list[k].symbol;
        } else {
            symbols_of(session, strategy, &list);
        }
        struct text names;
        text_init(&names, 4096);
        for (size_t k = 0; k < list.count; k++) {
            uint32_t index = instruments_find(&session->instruments, list.items[k], NULL);
            ASSERT(index != INSTRUMENT_NONE);
            strategy->instruments[strategy->instrument_count++] = index;
            text_printf(&names, "%s%s", k ? "," : "", list.items[k]);
        }
        LOG(session->log, LOG_INFO, "config", "symbols",
            F_STR("strategy", strategy->code->info.name), F_STR("symbols", names.data),
            F_STR("from", list.origin));
        text_release(&names);
    }
    if (session->instruments.count == 0)
        return error_set(err, ERROR_USAGE, "no symbols to trade; give --symbols A,B");
    return 0;
}

/* ---- money
 * ----------------------------------------------------------------------------------------- */

static int share_capital(struct session *session, struct error *err)
{
    decimal left = session->capital;
    size_t sharing = 0;
    for (size_t i = 0; i < session->strategy_count; i++) {
        struct strategy *strategy = &session->strategies[i];
        char key[64];
        snprintf(key, sizeof(key), "strategies.%zu.capital", strategy->config_index);
        strategy->capital = DECIMAL_NONE;
        if (strategy->config_index == SIZE_MAX || !config_has(session->config, key)) {
            sharing++;
            continue;
        }
        decimal given = config_decimal(session->config, key);
        bool is_share = decimal_cmp(given, decimal_int(1)) <= 0;
        strategy->capital = is_share ? decimal_mul(session->capital, given) : given;
        left = decimal_sub(left, strategy->capital);
    }
    if (decimal_sign(left) < 0 || (sharing > 0 && decimal_is_zero(left)))
        return error_at(
            err, ERROR_CONFIG, "strategies[].capital",
            "the strategies' capital adds up to more than trading.capital leaves for all");
    decimal share =
        sharing ? decimal_div(left, decimal_int((int64_t)sharing), 8, ROUND_DOWN) : DECIMAL_ZERO;
    for (size_t i = 0; i < session->strategy_count; i++) {
        struct strategy *strategy = &session->strategies[i];
        if (decimal_valid(strategy->capital))
            continue;
        /* What rounding leaves goes to the last, so that the sum is exact. */
        strategy->capital = --sharing == 0 ? left : share;
        left = decimal_sub(left, share);
    }
    return 0;
}

/* ---- params
 * ------------------------------------------------------------------------------------------ */

static bool names_file(const char *scope, const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(scope, path) == 0 || (slash && strcmp(scope, slash + 1) == 0);
}

/* "FILE:NAME=VALUE", "SYMBOL:NAME=VALUE" or "NAME=VALUE"; the name is what stands after the last
 * ':' before '='. How closely a --param is meant for this instance: 0 not at all, 1 for all, 2 for
 * its strategy, 3 for its symbol. */
static int param_concerns(const char *text, const struct strategy *strategy, const char *symbol,
                          char name[64], const char **value)
{
    const char *equals = strchr(text, '=');
    size_t head = (size_t)(equals - text);
    const char *colon = memrchr(text, ':', head);
    const char *begin = colon ? colon + 1 : text;
    text_copy_span(name, 64, begin, (size_t)(equals - begin));
    *value = equals + 1;
    if (!colon)
        return 1;
    char scope[512];
    text_copy_span(scope, sizeof(scope), text, (size_t)(colon - text));
    if (strcmp(scope, symbol) == 0)
        return 3;
    return names_file(scope, strategy->path) || strcmp(scope, strategy->code->info.name) == 0 ? 2
                                                                                              : 0;
}

static int params_from_config(const struct session *session, const struct strategy *strategy,
                              const struct strategy_info *info, struct params *params,
                              struct error *err)
{
    char map[64];
    snprintf(map, sizeof(map), "strategies.%zu.params", strategy->config_index);
    if (strategy->config_index == SIZE_MAX)
        return 0;
    size_t count = config_members(session->config, map);
    for (size_t i = 0; i < count; i++) {
        const char *name = config_member(session->config, map, i);
        char key[160];
        snprintf(key, sizeof(key), "%s.%s", map, name);
        struct error why = { 0 };
        if (params_set(info, params, name, config_string(session->config, key), &why) < 0)
            return error_at(err, ERROR_CONFIG, config_origin(session->config, key), "%s: %s", key,
                            why.message);
    }
    return 0;
}

static int params_of(const struct session *session, const struct strategy *strategy,
                     const struct strategy_code *code, const char *symbol, struct params *params,
                     struct error *err)
{
    params_init(&code->info, params);
    int failure = params_from_config(session, strategy, &code->info, params, err);
    const struct option_list *given = &session->options->params;
    /* The wider word first, so that the closer one stands. */
    for (int closeness = 1; closeness <= 3; closeness++)
        for (size_t i = 0; failure == 0 && i < given->count; i++) {
            char name[64];
            const char *value;
            if (param_concerns(given->items[i], strategy, symbol, name, &value) == closeness)
                failure = params_set(&code->info, params, name, value, err);
        }
    if (failure < 0)
        return failure;
    return params_check(&code->source, &code->info, &session->limits, params, err);
}

int session_params(struct session *session, size_t strategy_index, struct strategy_code *code,
                   struct error *err)
{
    struct strategy *strategy = &session->strategies[strategy_index];
    free(code->params);
    code->params = memory_new((size_t)strategy->instance_count * sizeof(struct params));
    for (int i = 0; i < strategy->instance_count; i++) {
        const char *symbol = session->instances[strategy->first_instance + i].record.symbol;
        int failure = params_of(session, strategy, code, symbol, &code->params[i], err);
        if (failure < 0)
            return failure;
    }
    return 0;
}

/* A scope that names neither a file nor a symbol of the run is a mistake, not a no-op. */
static int check_param_scopes(const struct session *session, struct error *err)
{
    const struct option_list *given = &session->options->params;
    for (size_t i = 0; i < given->count; i++) {
        if (!strchr(given->items[i], '='))
            return error_set(err, ERROR_USAGE, "--param %s: write NAME=VALUE", given->items[i]);
        bool concerns = false;
        char name[64];
        const char *value;
        for (size_t s = 0; s < session->strategy_count; s++)
            for (size_t k = 0; k < session->strategies[s].instrument_count; k++)
                concerns |=
                    0 < param_concerns(
                            given->items[i], &session->strategies[s],
                            session->instruments.list[session->strategies[s].instruments[k]].symbol,
                            name, &value);
        if (!concerns)
            return error_set(
                err, ERROR_USAGE,
                "--param %s: what stands before its last ':' is no strategy file, strategy name or "
                "symbol of this run",
                given->items[i]);
    }
    return 0;
}

/* ---- instances
 * ---------------------------------------------------------------------------------------- */

static void add_instance(struct session *session, size_t strategy_index, size_t symbol_index,
                         decimal capital)
{
    const struct strategy *strategy = &session->strategies[strategy_index];
    const struct strategy_code *code = strategy->code;
    struct session_instance *instance = &session->instances[session->instance_count++];
    instance->strategy = strategy_index;
    struct instance_record *record = &instance->record;
    text_copy(record->strategy, sizeof(record->strategy), code->info.name);
    text_copy(record->version, sizeof(record->version), code->info.version);
    text_copy(record->file, sizeof(record->file), strategy->path);
    text_copy(record->symbol, sizeof(record->symbol),
              code->info.portfolio
                  ? "*"
                  : session->instruments.list[strategy->instruments[symbol_index]].symbol);
    text_copy(record->hash, sizeof(record->hash), code->source.hash);
    record->capital = capital;
}

int setup_instances(struct session *session, struct error *err)
{
    int code = share_capital(session, err);
    if (code < 0 || (code = check_param_scopes(session, err)) < 0)
        return code;
    for (size_t i = 0; i < session->strategy_count; i++) {
        struct strategy *strategy = &session->strategies[i];
        size_t count = strategy->code->info.portfolio ? 1 : strategy->instrument_count;
        if ((size_t)session->instance_count + count > INSTANCES_MAX)
            return error_set(err, ERROR_USAGE, "more than %d instances (strategies times symbols)",
                             INSTANCES_MAX);
        strategy->first_instance = session->instance_count;
        strategy->instance_count = (int)count;
        decimal share = decimal_div(strategy->capital, decimal_int((int64_t)count), 8, ROUND_DOWN);
        decimal left = strategy->capital;
        for (size_t k = 0; k < count; k++) {
            decimal part = k + 1 == count ? left : share;
            left = decimal_sub(left, part);
            add_instance(session, i, k, part);
        }
        if ((code = session_params(session, i, strategy->code, err)) < 0)
            return code;
    }
    return 0;
}

void strategy_code_release(struct strategy_code *code)
{
    if (!code)
        return;
    source_release(&code->source);
    free(code->params);
    free(code);
}

struct guest_options session_guest_options(struct session *session, int index,
                                           const struct strategy_code *code)
{
    const struct session_instance *instance = &session->instances[index];
    const struct strategy *strategy = &session->strategies[instance->strategy];
    const char *symbol = instance->record.symbol, *name = code->info.name;
    return (struct guest_options){
        .source = &code->source,
        .info = &code->info,
        .params = &code->params[index - strategy->first_instance],
        .limits = &session->limits,
        .watchdog = session->watchdog,
        .engine = session->engine,
        .instance = index,
        .instance_id = instance->record.instance_id,
        .mode = "paper",
        .log = session->log,
        .seed = hash64(session->seed, hash64_bytes(symbol, strlen(symbol)),
                       hash64_bytes(name, strlen(name))),
    };
}

struct risk_limits session_limits(const struct strategy *strategy, const struct strategy_code *code)
{
    struct risk_limits limits = strategy->limits;
    risk_limits_narrow(&limits, &code->info.limits);
    return limits;
}

int setup_guests(struct session *session, struct error *err)
{
    for (int i = 0; i < session->instance_count; i++) {
        struct session_instance *instance = &session->instances[i];
        struct strategy *strategy = &session->strategies[instance->strategy];
        struct instance_options options = {
            .instance_id = instance->record.instance_id,
            .capital = instance->record.capital,
            .instruments = strategy->code->info.portfolio
                               ? strategy->instruments
                               : &strategy->instruments[i - strategy->first_instance],
            .instrument_count = strategy->code->info.portfolio ? strategy->instrument_count : 1,
            .on_error = strategy->on_error,
            .limits = session_limits(strategy, strategy->code),
            .wait_for_warmup = strategy->code->info.warmup,
        };
        text_copy(options.strategy, sizeof(options.strategy), strategy->code->info.name);
        int index = engine_add_instance(session->engine, &options, err);
        if (index < 0)
            return index;
        ASSERT(index == i);
    }
    return 0;
}
