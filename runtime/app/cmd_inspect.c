/* cmd_inspect.c - `runtime inspect FILE`: everything that a strategy file says of itself. */
#include "runtime/app/app.h"

#include <stdio.h>
#include <string.h>

#include "runtime/app/describe.h"

#define REPORT_MAX 262144
#define NOTE_MAX 256

/* ---- for people ---- */

#define LABEL "%-14s "

static void add_row(struct text *out, const char *label, const char *value)
{
    text_printf(out, LABEL "%s\n", label, value && *value ? value : "-");
}

static void add_symbols(const struct strategy_info *info, struct text *out)
{
    text_printf(out, LABEL, "symbols");
    for (size_t i = 0; i < info->symbol_count; i++)
        text_printf(out, "%s%s", i ? " " : "", info->symbols[i]);
    text_add(out, info->symbol_count ? "\n" : "as given (--symbols, configuration, defaults)\n");
}

static void add_modules(const struct source *source, struct text *out)
{
    text_printf(out, LABEL, "modules");
    for (size_t i = 0; i < source->module_count; i++)
        text_printf(out, "%s%s", i ? " " : "", source->modules[i].name);
    text_add(out, source->module_count ? "\n" : "-\n");
}

static void add_limits(const struct risk_limits *limits, struct text *out)
{
    bool any = false;
    for (enum limit i = 0; i < LIMITS; i++) {
        char value[DECIMAL_TEXT_MAX];
        if (!limit_is_set(limits, i))
            continue;
        text_printf(out, LABEL "%s %s\n", any ? "" : "limits", limit_info(i)->name,
                    decimal_format(limits->value[i], value));
        any = true;
    }
    if (!any)
        add_row(out, "limits", "none of its own");
}

static void report(const struct description *description, struct text *out)
{
    const struct strategy_info *info = description->info;
    char note[NOTE_MAX];
    add_row(out, "file", description->path);
    add_row(out, "name", info->name);
    add_row(out, "version", info->version);
    add_row(out, "author", info->author);
    add_row(out, "license", info->license);
    add_row(out, "about", info->about);
    add_row(out, "scope",
            info->portfolio ? "portfolio: one instance sees all symbols"
                            : "symbol: one instance for each symbol");
    add_symbols(info, out);
    text_printf(out, LABEL, "callbacks");
    describe_callbacks(info, out);
    text_add(out, "\n");
    add_row(out, "warm-up", info->warmup ? "waits until all series are ready" : "does not wait");
    add_row(out, "S.check", info->has_check ? "yes" : "no");
    add_row(out, "S.migrate", info->has_migrate ? "yes" : "no");
    add_limits(&info->limits, out);
    add_modules(&description->source, out);
    add_row(out, "hash", info->hash);
    text_printf(out, LABEL "%" PRIu64 " KiB", "memory", (info->memory + 1023) / 1024);
    if (info->instructions > 0)
        text_printf(out, ", %" PRIu64 " instructions", info->instructions);
    text_add(out, " to load\n");
    for (const char *at = info->notes; describe_note(&at, note, sizeof(note));)
        add_row(out, "note", note);
    text_add(out, info->param_count ? "params\n" : "");
    if (info->param_count == 0)
        add_row(out, "params", "none");
    describe_params(info, out);
}

/* ---- for machines ---- */

static void put_string(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value && *value ? value : NULL);
}

static void put_bool(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_bool(writer, value);
}

static void put_limits(struct json_writer *writer, const struct risk_limits *limits)
{
    json_key(writer, "limits");
    json_object_begin(writer);
    for (enum limit i = 0; i < LIMITS; i++)
        if (limit_is_set(limits, i)) {
            json_key(writer, limit_info(i)->name);
            json_decimal(writer, limits->value[i]);
        }
    json_object_end(writer);
}

static void put_lists(struct json_writer *writer, const struct description *description)
{
    char note[NOTE_MAX];
    const struct strategy_info *info = description->info;
    json_key(writer, "symbols");
    json_array_begin(writer);
    for (size_t i = 0; i < info->symbol_count; i++)
        json_string(writer, info->symbols[i]);
    json_array_end(writer);
    describe_params_json(info, writer);
    describe_callbacks_json(info, writer);
    json_key(writer, "modules");
    json_array_begin(writer);
    for (size_t i = 0; i < description->source.module_count; i++)
        json_string(writer, description->source.modules[i].name);
    json_array_end(writer);
    json_key(writer, "notes");
    json_array_begin(writer);
    for (const char *at = info->notes; describe_note(&at, note, sizeof(note));)
        json_string(writer, note);
    json_array_end(writer);
}

static void report_json(const struct description *description, struct text *out)
{
    const struct strategy_info *info = description->info;
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    put_string(writer, "file", description->path);
    put_string(writer, "name", info->name);
    put_string(writer, "version", info->version);
    put_string(writer, "author", info->author);
    put_string(writer, "license", info->license);
    put_string(writer, "about", info->about);
    put_string(writer, "scope", info->portfolio ? "portfolio" : "symbol");
    put_lists(writer, description);
    put_bool(writer, "warmup", info->warmup);
    put_bool(writer, "has_check", info->has_check);
    put_bool(writer, "has_migrate", info->has_migrate);
    put_limits(writer, &info->limits);
    put_string(writer, "hash", info->hash);
    json_key(writer, "instructions");
    json_int(writer, (int64_t)info->instructions);
    json_key(writer, "memory_bytes");
    json_int(writer, (int64_t)info->memory);
    json_object_end(writer);
    json_writer_close(writer);
    text_add(out, "\n");
}

/* ---- the command ---- */

static int run_inspect(const struct options *options)
{
    struct error err = { 0 };
    if (options->strategies.count + options->operands.count != 1) {
        error_set(&err, ERROR_USAGE, "inspect takes one file: runtime inspect FILE");
        return app_fail(options, &err);
    }
    const char *path =
        options->strategies.count ? options->strategies.items[0] : options->operands.items[0];
    struct description description;
    struct text out;
    text_init(&out, REPORT_MAX);
    int exit_code = 0;
    if (description_open(path, &description, &err) < 0)
        exit_code = app_fail(options, &err);
    else if (options->json)
        report_json(&description, &out);
    else
        report(&description, &out);
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
    description_release(&description);
    return exit_code;
}

const struct command_entry command_inspect = {
    .name = "inspect",
    .summary = "everything a strategy file says of itself",
    .usage = "usage: runtime inspect FILE [--json]\n"
             "\n"
             "Shows what the file declares: name, version, params with default, range and\n"
             "help, symbols, callbacks, limits, modules, and the hash that a run records. Its\n"
             "on_start is not run: see runtime help check.\n"
             "\n"
             "  --json    one JSON object\n"
             "\n"
             "Example:\n"
             "  runtime inspect strategies/momentum.lua\n",
    .run = run_inspect,
    .takes = "",
};
