/* describe.c - a strategy file as text and as JSON, and a rehearsal of its on_start. */
#include "runtime/app/describe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/market/market.h"

#define CELL_MAX 512

/* ---- reading ---- */

/* Whatever is wrong with a file is bad data, and has a place. */
static int as_data(const struct description *description, int code, struct error *err)
{
    if (code >= 0)
        return 0;
    if (code == ERROR_RANGE || code == ERROR_TIME || code == ERROR_REFUSED || code == ERROR_USAGE ||
        code == ERROR_CONFIG)
        err->code = ERROR_DATA;
    if (!err->where[0])
        text_copy(err->where, sizeof(err->where), description->path);
    return err->code;
}

int description_open(const char *path, struct description *description, struct error *err)
{
    struct sandbox_limits limits;
    sandbox_limits_init(&limits);
    *description = (struct description){ .path = path };
    description->info = memory_new(sizeof(*description->info));
    int code = source_read(path, &description->source, err);
    if (code < 0) {
        description->source = (struct source){ 0 };
        return code;
    }
    code = strategy_describe(&description->source, &limits, description->info, err);
    return as_data(description, code, err);
}

void description_release(struct description *description)
{
    source_release(&description->source);
    free(description->info);
    description->info = NULL;
}

/* ---- rehearsing ---- */

/* An empty market with one instance of the strategy. */
struct stage {
    struct instruments *instruments;
    struct params *params;
    struct market *market;
    struct engine *engine;
    struct guest guest;
    uint32_t list[STRATEGY_SYMBOLS_MAX];
    size_t count;
    int instance;
};

static int add_symbol(struct stage *stage, const char *symbol, struct error *err)
{
    struct instrument instrument = { .venue = "sim",
                                     .tick_size = decimal_make(1, 2),
                                     .lot_size = decimal_make(1, 3),
                                     .min_notional = DECIMAL_ZERO,
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1),
                                     .short_allowed = true,
                                     .price_scale = 2,
                                     .qty_scale = 3 };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    text_copy(instrument.origin, sizeof(instrument.origin), "check");
    return instruments_add(stage->instruments, &instrument, &stage->list[stage->count++], err);
}

/* Its own symbols, else the defaults; an instance that is not a portfolio sees one. */
static int add_symbols(struct stage *stage, const struct strategy_info *info, struct error *err)
{
    static const char *const defaults[] = { "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT" };
    size_t count = info->symbol_count ? info->symbol_count : ARRAY_SIZE(defaults);
    int code = 0;
    for (size_t i = 0; code >= 0 && i < (info->portfolio ? count : 1); i++)
        code = add_symbol(stage, info->symbol_count ? info->symbols[i] : defaults[i], err);
    return code;
}

static int add_instance(struct stage *stage, const struct strategy_info *info, struct error *err)
{
    stage->market = market_open(stage->instruments);
    struct engine_options engine = { .instruments = stage->instruments, .market = stage->market };
    risk_limits_init(&engine.account);
    stage->engine = engine_open(&engine);
    struct instance_options options = { .instance_id = 1,
                                        .capital = decimal_int(100),
                                        .instruments = stage->list,
                                        .instrument_count = stage->count,
                                        .wait_for_warmup = info->warmup };
    text_copy(options.strategy, sizeof(options.strategy), info->name);
    risk_limits_init(&options.limits);
    stage->instance = engine_add_instance(stage->engine, &options, err);
    return stage->instance < 0 ? stage->instance : 0;
}

static int rehearse(struct stage *stage, const struct description *description,
                    const struct sandbox_limits *limits, struct error *err)
{
    struct guest_options options = { .source = &description->source,
                                     .info = description->info,
                                     .params = stage->params,
                                     .limits = limits,
                                     .engine = stage->engine,
                                     .instance = stage->instance,
                                     .instance_id = 1,
                                     .mode = "paper",
                                     .rehearsal = true };
    int code = guest_open(&options, &stage->guest, err);
    if (code < 0) {
        stage->guest = (struct guest){ 0 };
        return code;
    }
    return guest_rehearse(&stage->guest, err);
}

static void note_bars(const struct stage *stage, struct description *description)
{
    struct bars *const *list;
    size_t count = guest_bars(&stage->guest, &list);
    for (size_t i = 0; i < count && description->bars_count < DESCRIBE_BARS_MAX; i++) {
        struct described_bars *bars = &description->bars[description->bars_count++];
        const struct instrument *instrument = &stage->instruments->list[bars_instrument(list[i])];
        text_copy(bars->symbol, sizeof(bars->symbol), instrument->symbol);
        bars->tf_ns = bars_tf_ns(list[i]);
        bars->needed = bars_needed(list[i]);
    }
}

int description_rehearse(struct description *description, struct error *err)
{
    const struct strategy_info *info = description->info;
    struct sandbox_limits limits;
    struct stage stage = { 0 };
    sandbox_limits_init(&limits);
    limits.exact_budget = true;
    stage.instruments = memory_new(sizeof(*stage.instruments));
    stage.params = memory_new(sizeof(*stage.params));
    params_init(info, stage.params);

    int code = params_check(&description->source, info, &limits, stage.params, err);
    if (code >= 0)
        code = add_symbols(&stage, info, err);
    if (code >= 0)
        code = add_instance(&stage, info, err);
    if (code >= 0)
        code = rehearse(&stage, description, &limits, err);
    if (code >= 0)
        note_bars(&stage, description);

    if (stage.guest.self)
        stage.guest.close(stage.guest.self);
    engine_close(stage.engine);
    if (stage.market)
        market_close(stage.market);
    free(stage.params);
    free(stage.instruments);
    return as_data(description, code, err);
}

/* ---- params ---- */

static void add_choices(const struct param_spec *spec, struct text *out)
{
    char value[CELL_MAX];
    for (size_t i = 0; i < spec->choice_count; i++) {
        param_format(&spec->choices[i], value, sizeof(value));
        text_printf(out, "%s%s", i ? ", " : "", value);
    }
}

static void add_range(const struct param_spec *spec, struct text *out)
{
    char number[DOUBLE_TEXT_MAX];
    bool has_min = !isnan(spec->min), has_max = !isnan(spec->max);
    if (has_min)
        text_printf(out, "%s%s", has_max ? "" : "from ", double_format(spec->min, number));
    if (has_max)
        text_printf(out, "%s%s", has_min ? " to " : "up to ", double_format(spec->max, number));
    if (!has_min && !has_max)
        text_add(out, "any");
    if (!isnan(spec->step))
        text_printf(out, ", step %s", double_format(spec->step, number));
}

/* "2 to 100, step 2", "1m, 5m", "true or false" */
static void add_allowed(const struct param_spec *spec, struct text *out)
{
    if (spec->choice_count > 0)
        add_choices(spec, out);
    else if (spec->value.kind == PARAM_BOOL)
        text_add(out, "true or false");
    else if (spec->value.kind == PARAM_STRING)
        text_add(out, "any text");
    else
        add_range(spec, out);
}

/* Columns as wide as their widest cell; a cell that is very wide pushes the rest of its row. */
struct widths {
    int name, value, allowed;
};

static int wider(int width, size_t length)
{
    return length <= 40 && (int)length > width ? (int)length : width;
}

static struct widths measure(const struct strategy_info *info, struct text *cell)
{
    char value[CELL_MAX];
    struct widths widths = { 4, 7, 7 };
    for (size_t i = 0; i < info->param_count; i++) {
        const struct param_spec *spec = &info->params[i];
        param_format(&spec->value, value, sizeof(value));
        text_clear(cell);
        add_allowed(spec, cell);
        widths.name = wider(widths.name, strlen(spec->name));
        widths.value = wider(widths.value, strlen(value));
        widths.allowed = wider(widths.allowed, cell->length);
    }
    return widths;
}

void describe_params(const struct strategy_info *info, struct text *out)
{
    struct text cell;
    if (info->param_count == 0)
        return;
    text_init(&cell, CELL_MAX * CHOICES_MAX);
    struct widths widths = measure(info, &cell);
    text_printf(out, "  %-*s  %-*s  %-*s  LIVE  HELP\n", widths.name, "NAME", widths.value,
                "DEFAULT", widths.allowed, "ALLOWED");
    for (size_t i = 0; i < info->param_count; i++) {
        const struct param_spec *spec = &info->params[i];
        char value[CELL_MAX];
        param_format(&spec->value, value, sizeof(value));
        text_clear(&cell);
        add_allowed(spec, &cell);
        text_printf(out, "  %-*s  %-*s  %-*s  %s", widths.name, spec->name, widths.value, value,
                    widths.allowed, cell.data, spec->live ? "yes" : "no");
        if (spec->help[0])
            text_printf(out, "%s  %s", spec->live ? " " : "  ", spec->help);
        text_add(out, "\n");
    }
    text_release(&cell);
}

static void add_value_json(const struct param_value *value, struct json_writer *writer)
{
    switch (value->kind) {
    case PARAM_NUMBER:
        json_double(writer, value->number);
        return;
    case PARAM_INTEGER:
        json_int(writer, value->integer);
        return;
    case PARAM_STRING:
        json_string(writer, value->string);
        return;
    case PARAM_BOOL:
        json_bool(writer, value->boolean);
        return;
    }
}

static const char *kind_name(enum param_kind kind)
{
    switch (kind) {
    case PARAM_NUMBER:
        return "number";
    case PARAM_INTEGER:
        return "integer";
    case PARAM_STRING:
        return "string";
    case PARAM_BOOL:
        return "boolean";
    }
    return "";
}

static void add_param_json(const struct param_spec *spec, struct json_writer *writer)
{
    json_object_begin(writer);
    json_key(writer, "name");
    json_string(writer, spec->name);
    json_key(writer, "type");
    json_string(writer, kind_name(spec->value.kind));
    json_key(writer, "default");
    add_value_json(&spec->value, writer);
    json_key(writer, "min");
    json_double(writer, spec->min);
    json_key(writer, "max");
    json_double(writer, spec->max);
    json_key(writer, "step");
    json_double(writer, spec->step);
    json_key(writer, "choices");
    if (spec->choice_count == 0) {
        json_null(writer);
    } else {
        json_array_begin(writer);
        for (size_t i = 0; i < spec->choice_count; i++)
            add_value_json(&spec->choices[i], writer);
        json_array_end(writer);
    }
    json_key(writer, "live");
    json_bool(writer, spec->live);
    json_key(writer, "help");
    json_string(writer, spec->help[0] ? spec->help : NULL);
    json_object_end(writer);
}

void describe_params_json(const struct strategy_info *info, struct json_writer *writer)
{
    json_key(writer, "params");
    json_array_begin(writer);
    for (size_t i = 0; i < info->param_count; i++)
        add_param_json(&info->params[i], writer);
    json_array_end(writer);
}

/* ---- callbacks, bars, notes ---- */

void describe_callbacks(const struct strategy_info *info, struct text *out)
{
    const char *gap = "";
    for (int call = 0; call < GUEST_CALLS; call++) {
        if (!(info->calls & (1u << call)))
            continue;
        text_printf(out, "%s%s", gap, callback_names[call]);
        gap = " ";
    }
    if (!*gap)
        text_add(out, "none");
}

void describe_callbacks_json(const struct strategy_info *info, struct json_writer *writer)
{
    json_key(writer, "callbacks");
    json_array_begin(writer);
    for (int call = 0; call < GUEST_CALLS; call++)
        if (info->calls & (1u << call))
            json_string(writer, callback_names[call]);
    json_array_end(writer);
}

void describe_bars_json(const struct description *description, struct json_writer *writer)
{
    json_array_begin(writer);
    for (size_t i = 0; i < description->bars_count; i++) {
        const struct described_bars *bars = &description->bars[i];
        json_object_begin(writer);
        json_key(writer, "symbol");
        json_string(writer, bars->symbol);
        json_key(writer, "timeframe");
        json_string(writer, timeframe_name(bars->tf_ns));
        json_key(writer, "warmup_bars");
        json_int(writer, (int64_t)bars->needed);
        json_object_end(writer);
    }
    json_array_end(writer);
}

bool describe_note(const char **at, char *note, size_t size)
{
    size_t length = strcspn(*at, "\n");
    if (length == 0)
        return false;
    text_copy_span(note, size, *at, length);
    *at += length + ((*at)[length] == '\n');
    return true;
}
