/* cmd_check.c - `runtime check FILE`: may this strategy run, and what does it ask for?
 *
 * The file describes itself in the sandbox, then S.check and on_start are rehearsed on an empty
 * market with the default params. Nothing is traded and nothing is written. */
#include "runtime/app/app.h"

#include <stdio.h>
#include <string.h>

#include "runtime/app/describe.h"
#include "runtime/base/clock.h"

#define REPORT_MAX 262144
#define NOTE_MAX 256

/* ---- for people ---- */

static void add_subscriptions(const struct description *description, struct text *out)
{
    const struct strategy_info *info = description->info;
    text_add(out, "subscriptions:");
    if (info->calls & (1u << GUEST_TRADE))
        text_add(out, " trades (on_tick)");
    if (info->calls & (1u << GUEST_QUOTE))
        text_add(out, " quotes (on_quote)");
    bool none = !(info->calls & (1u << GUEST_TRADE | 1u << GUEST_QUOTE));
    text_add(out, none && description->bars_count == 0 ? " none\n" : "\n");
    for (size_t i = 0; i < description->bars_count; i++) {
        const struct described_bars *bars = &description->bars[i];
        text_printf(out, "  bars %s of %s", timeframe_name(bars->tf_ns), bars->symbol);
        if (info->warmup && bars->needed > 0)
            text_printf(out, ", ready after %" PRIu64, bars->needed);
        text_add(out, "\n");
    }
}

static void report(const struct description *description, struct text *out)
{
    const struct strategy_info *info = description->info;
    char note[NOTE_MAX];
    text_printf(out, "%s: %s %s%s\n", description->path, info->name, info->version,
                info->portfolio ? ", one instance for all symbols" : "");
    text_add(out, info->param_count ? "params:\n" : "params: none\n");
    describe_params(info, out);
    text_add(out, "callbacks: ");
    describe_callbacks(info, out);
    text_add(out, "\n");
    add_subscriptions(description, out);
    for (const char *at = info->notes; describe_note(&at, note, sizeof(note));)
        text_printf(out, "note: %s\n", note);
    text_add(out, "problems: none\n");
}

/* ---- for machines ---- */

static void add_problem(struct json_writer *writer, const char *severity, const char *where,
                        const char *message)
{
    json_object_begin(writer);
    json_key(writer, "severity");
    json_string(writer, severity);
    json_key(writer, "where");
    json_string(writer, where && *where ? where : NULL);
    json_key(writer, "message");
    json_string(writer, message);
    json_object_end(writer);
}

static void add_problems(const struct description *description, const struct error *err,
                         struct json_writer *writer)
{
    char note[NOTE_MAX];
    json_key(writer, "problems");
    json_array_begin(writer);
    if (err->code < 0)
        add_problem(writer, "error", err->where, err->message);
    for (const char *at = description->info->notes; describe_note(&at, note, sizeof(note));)
        add_problem(writer, "note", description->path, note);
    json_array_end(writer);
}

static void add_description(const struct description *description, struct json_writer *writer)
{
    const struct strategy_info *info = description->info;
    json_key(writer, "name");
    json_string(writer, info->name);
    json_key(writer, "version");
    json_string(writer, info->version);
    json_key(writer, "scope");
    json_string(writer, info->portfolio ? "portfolio" : "symbol");
    describe_params_json(info, writer);
    describe_callbacks_json(info, writer);
    json_key(writer, "subscriptions");
    json_object_begin(writer);
    json_key(writer, "trades");
    json_bool(writer, info->calls & (1u << GUEST_TRADE));
    json_key(writer, "quotes");
    json_bool(writer, info->calls & (1u << GUEST_QUOTE));
    json_key(writer, "bars");
    describe_bars_json(description, writer);
    json_object_end(writer);
}

/* The description as far as it goes; with a fault also the "error" of every command. */
static void report_json(const struct description *description, const struct error *err,
                        struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    json_key(writer, "file");
    json_string(writer, description->path);
    json_key(writer, "ok");
    json_bool(writer, err->code == 0);
    if (err->code == 0)
        add_description(description, writer);
    add_problems(description, err, writer);
    if (err->code < 0) {
        json_key(writer, "error");
        json_object_begin(writer);
        json_key(writer, "code");
        json_int(writer, -err->code);
        json_key(writer, "message");
        json_string(writer, err->message);
        json_key(writer, "where");
        json_string(writer, err->where[0] ? err->where : NULL);
        json_object_end(writer);
    }
    json_object_end(writer);
    json_writer_close(writer);
    text_add(out, "\n");
}

/* ---- the command ---- */

static int check_file(const struct options *options, const char *path)
{
    struct error err = { 0 };
    struct description description;
    int code = description_open(path, &description, &err);
    if (code >= 0)
        code = description_rehearse(&description, &err);

    struct text out;
    text_init(&out, REPORT_MAX);
    int exit_code = 0;
    if (code == ERROR_DATA && options->json) {
        struct options plain = *options;
        plain.json = false; /* the report holds the error */
        exit_code = app_fail(&plain, &err);
        report_json(&description, &err, &out);
    } else if (code < 0) {
        exit_code = app_fail(options, &err);
    } else if (options->json) {
        report_json(&description, &err, &out);
    } else {
        report(&description, &out);
    }
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
    description_release(&description);
    return exit_code;
}

static int run_check(const struct options *options)
{
    struct error err = { 0 };
    const struct option_list *lists[] = { &options->strategies, &options->operands };
    if (options->strategies.count + options->operands.count == 0) {
        error_set(&err, ERROR_USAGE, "check what? runtime check FILE");
        return app_fail(options, &err);
    }
    int exit_code = 0;
    for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
        for (size_t i = 0; i < lists[k]->count; i++) {
            int one = check_file(options, lists[k]->items[i]);
            exit_code = exit_code ? exit_code : one;
        }
    return exit_code;
}

const struct command_entry command_check = {
    .name = "check",
    .summary = "what a strategy asks for, and what is wrong with it",
    .usage = "usage: runtime check FILE [FILE ...] [--json]\n"
             "\n"
             "Loads a strategy in the sandbox, rehearses its on_start with the default params,\n"
             "and lists what it takes and asks for. Nothing is traded, nothing is written.\n"
             "\n"
             "  --json    one JSON object for each file\n"
             "\n"
             "Exit codes: 0 it can run, 65 it cannot (the fault is told as file:line), 66 no\n"
             "file.\n"
             "\n"
             "Example:\n"
             "  runtime check strategies/momentum.lua\n",
    .run = run_check,
    .takes = "",
};
