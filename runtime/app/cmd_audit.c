/* cmd_audit.c - `runtime audit verify`: is the ledger still what was written? */
#include "runtime/app/app.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/ledger/verify.h"

#define REPORT_MAX 16384

static void put_text(struct json_writer *writer, const char *key, const char *value)
{
    json_key(writer, key);
    json_string(writer, value);
}

static void put_int(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_int(writer, value);
}

static void report_json(const char *path, const struct verify_result *result, struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    put_text(writer, "ledger", path);
    json_key(writer, "good");
    json_bool(writer, result->good);
    put_int(writer, "rows", result->rows);
    put_int(writer, "sessions", result->sessions);
    put_int(writer, "orders", result->orders);
    put_int(writer, "fills", result->fills);
    put_text(writer, "head", result->head);
    json_key(writer, "anchored");
    json_bool(writer, result->anchored);
    json_key(writer, "last_event");
    json_time(writer, result->rows ? result->last_ns : TIME_NEVER);
    json_key(writer, "first_bad");
    if (result->good) {
        json_null(writer);
    } else {
        json_object_begin(writer);
        put_int(writer, "seq", result->seq);
        put_text(writer, "kind", result->kind[0] ? result->kind : NULL);
        put_text(writer, "what", result->what);
        put_text(writer, "message", result->message);
        json_object_end(writer);
    }
    json_object_end(writer);
    json_writer_close(writer);
    text_add(out, "\n");
}

#define LABEL "%-12s "

static void report(const char *path, const struct verify_result *result, struct text *out)
{
    char time[TIME_TEXT_MAX];
    text_printf(out, LABEL "%s\n", "ledger", path);
    text_printf(out, LABEL "%" PRId64 " as written, of %" PRId64 " session%s\n", "rows",
                result->rows, result->sessions, result->sessions == 1 ? "" : "s");
    text_printf(out, LABEL "%" PRId64 " orders, %" PRId64 " fills\n", "tables", result->orders,
                result->fills);
    text_printf(out, LABEL "%s\n", "last event",
                result->rows ? time_format_short(result->last_ns, time) : "-");
    text_printf(out, LABEL "%s\n", "head", result->head);
    if (result->good)
        text_printf(out, LABEL "%s\n", "anchor",
                    result->anchored ? "agrees"
                                     : "there is none: a tail that was cut would not show");
    text_printf(out, LABEL "%s\n", "verdict", result->good ? "good" : result->message);
    if (!result->good)
        text_printf(out, LABEL "%s\n", "way back", "runtime restore lists the backups");
}

static int verify(const struct options *options)
{
    const char *mode = options->mode ? options->mode : "paper";
    struct error err = { 0 };
    struct verify_result result;
    struct text path, anchor, out;
    text_init(&path, 4096);
    text_init(&anchor, 4096);
    text_init(&out, REPORT_MAX);
    text_printf(&path, "%s/ledger-%s.sqlite", options->state, mode);
    text_printf(&anchor, "%s/audit-%s.head", options->state, mode);

    struct verify_options asked = { .path = path.data, .anchor_path = anchor.data };
    int exit_code;
    if (ledger_verify(&asked, &result, &err) < 0) {
        exit_code = app_fail(options, &err);
    } else {
        (options->json ? report_json : report)(path.data, &result, &out);
        fwrite(out.data, 1, out.length, stdout);
        exit_code = result.good ? 0 : -ERROR_IO;
    }
    text_release(&path);
    text_release(&anchor);
    text_release(&out);
    return exit_code;
}

static int run_audit(const struct options *options)
{
    struct error err = { 0 };
    if (options->operands.count == 1 && strcmp(options->operands.items[0], "verify") == 0 &&
        options->strategies.count == 0)
        return verify(options);
    error_set(&err, ERROR_USAGE, "runtime audit takes one word: runtime audit verify");
    return app_fail(options, &err);
}

const struct command_entry command_audit = {
    .name = "audit",
    .summary = "check that the ledger is as it was written",
    .usage = "usage: runtime audit verify [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "Walks the hash chain of everything that was recorded, compares fills, orders,\n"
             "halts, journal, adjustments and cash with it, and its end with the anchor in\n"
             "DIR/audit-MODE.head. Names the first bad record. Works while an instance runs.\n"
             "\n"
             "  --state DIR   where the ledger is (default artifacts)\n"
             "  --mode MODE   paper or live (default paper)\n"
             "  --json        one JSON object\n"
             "\n"
             "The chain is not keyed: who edits ledger and anchor together is not found.\n"
             "\n"
             "Exit codes: 0 good, 65 no ledger, or one of another version, 66 there is none,\n"
             "74 a bad record, or the file cannot be read.\n"
             "\n"
             "Example:\n"
             "  runtime audit verify --state artifacts\n",
    .run = run_audit,
    .takes = "state mode",
};
