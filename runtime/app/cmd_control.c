/* cmd_control.c - the commands that ask a running instance: status, orders, positions, why, halt,
 * flatten, reload, stop. What only looks is answered from the ledger where nothing runs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/app/app.h"
#include "runtime/app/control_client.h"
#include "runtime/base/clock.h"
#include "runtime/operate/control.h"

#define ANSWER_NS (10 * NS_PER_SECOND)
#define OPENING_NS (2 * NS_PER_SECOND)
#define PAUSE_NS (20 * NS_PER_MS)
#define EMERGENCY_NS NS_PER_SECOND /* then the signal: it works when the loop hangs */
#define WHY_DEFAULT 20
#define WHY_MOST 256

/* ---- asking ---- */

/* A refusal is the instance's own error. */
static int read_refusal(const struct text *answer, struct error *err)
{
    struct json *root;
    if (json_parse(answer->data, answer->length, &root, NULL) < 0)
        return error_set(err, ERROR_IO, "the instance gave no answer that can be read");
    const struct json *ok = json_get(root, "ok");
    int code = 0;
    if (!ok || !json_as_bool(ok)) {
        const char *number = json_as_number_text(json_get(root, "code"));
        const char *message = json_as_string(json_get(root, "message"));
        code = error_set(err, number ? -(int)strtol(number, NULL, 10) : ERROR_INTERNAL, "%s",
                         message ? message : "refused");
    }
    json_release(root);
    return code;
}

/* A run that opens, or ends, holds its directory and does not listen: it is waited for, a little.
 */
int control_request(const struct options *options, const char *request, int64_t timeout_ns,
                    struct text *answer, int64_t *pid, struct error *err)
{
    const struct timespec pause = { .tv_nsec = PAUSE_NS };
    int code = control_ask(options->state, request, timeout_ns, answer, pid, err);
    int64_t until_ns = clock_now(clock_monotonic()) + OPENING_NS;
    while (code == ERROR_UNAVAILABLE && *pid == 0 && control_is_held(options)) {
        if (clock_now(clock_monotonic()) >= until_ns) {
            *pid = -1;
            return error_at(err, code, options->state,
                            "a run opens or ends there and does not answer yet; in an emergency "
                            "send it SIGUSR2, or create the file EMERGENCY_STOP there");
        }
        nanosleep(&pause, NULL);
        code = control_ask(options->state, request, timeout_ns, answer, pid, err);
    }
    return code < 0 ? code : read_refusal(answer, err);
}

/* A reason may come from anywhere, and must not move the cursor of a terminal. */
static void keep_plain(struct text *out)
{
    for (size_t i = 0; i < out->length; i++) {
        unsigned char byte = (unsigned char)out->data[i];
        if ((byte < 0x20 && byte != '\n') || byte == 0x7f)
            out->data[i] = '?';
    }
}

void control_print(const struct options *options, const char *what, const struct text *answer)
{
    struct json *root;
    if (options->json) {
        printf("%s\n", answer->data);
        return;
    }
    if (json_parse(answer->data, answer->length, &root, NULL) < 0)
        return; /* it was read before */
    struct text out;
    text_init(&out, CONTROL_ANSWER_MAX);
    control_table(what, root, &out);
    keep_plain(&out);
    fwrite(out.data, 1, out.length, stdout);
    text_release(&out);
    json_release(root);
}

struct question {
    const char *command;
    const char *key, *value; /* an argument, or NULL */
    const char *what;        /* of breaker: "open", "close" */
    bool emergency;
    size_t count; /* of why */
};

static void write_request(const struct question *question, struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    json_key(writer, "command");
    json_string(writer, question->command);
    if (question->key) {
        json_key(writer, question->key);
        json_string(writer, question->value);
    }
    if (question->what) {
        json_key(writer, "do");
        json_string(writer, question->what);
    }
    if (question->emergency) {
        json_key(writer, "emergency");
        json_bool(writer, true);
    }
    if (question->count > 0) {
        json_key(writer, "count");
        json_int(writer, (int64_t)question->count);
    }
    json_object_end(writer);
    json_writer_close(writer);
}

/* ---- what only looks: from the ledger where nothing runs ---- */

static int look(const struct options *options, const struct question *question)
{
    struct error err = { 0 };
    struct text request, answer;
    int64_t pid = 0;
    text_init(&request, CONTROL_LINE_MAX);
    text_init(&answer, CONTROL_ANSWER_MAX);
    write_request(question, &request);
    int code = control_request(options, request.data, ANSWER_NS, &answer, &pid, &err);
    if (code == ERROR_UNAVAILABLE && pid == 0) {
        text_clear(&answer);
        err = (struct error){ 0 };
        code = control_offline(options, question->command, question->count, &answer, &err);
    }
    if (code == 0)
        control_print(options, question->command, &answer);
    text_release(&request);
    text_release(&answer);
    return code < 0 ? app_fail(options, &err) : 0;
}

static int too_many(const struct options *options, const char *command, const char *takes)
{
    struct error err = { 0 };
    error_set(&err, ERROR_USAGE, "runtime %s takes %s", command, takes);
    return app_fail(options, &err);
}

static size_t operands(const struct options *options)
{
    return options->operands.count + options->strategies.count;
}

/* The only one, whatever it looks like: a reason, too, may end in .lua. */
static const char *only_operand(const struct options *options)
{
    return options->operands.count == 1 ? options->operands.items[0] : options->strategies.items[0];
}

static int look_at(const struct options *options, const char *what)
{
    struct question question = { .command = what };
    if (operands(options) > 0)
        return too_many(options, what, "no operand");
    return look(options, &question);
}

static int run_status(const struct options *options)
{
    return look_at(options, "status");
}

static int run_orders(const struct options *options)
{
    return look_at(options, "orders");
}

static int run_positions(const struct options *options)
{
    return look_at(options, "positions");
}

static int run_why(const struct options *options)
{
    struct question question = { .command = "why", .count = WHY_DEFAULT };
    if (operands(options) == 1 && options->operands.count == 1) {
        const char *asked = options->operands.items[0];
        char *end;
        long count = strtol(asked, &end, 10);
        if (*end || count < 1 || count > WHY_MOST)
            return too_many(options, "why", "a number from 1 to 256");
        question.count = (size_t)count;
    } else if (operands(options) > 0) {
        return too_many(options, "why", "a number from 1 to 256");
    }
    return look(options, &question);
}

/* ---- what changes something: only while it runs ---- */

static int ask(const struct options *options, const struct question *question)
{
    struct error err = { 0 };
    struct text request, answer;
    int64_t pid = 0;
    text_init(&request, CONTROL_LINE_MAX);
    text_init(&answer, CONTROL_ANSWER_MAX);
    write_request(question, &request);
    int code = control_request(options, request.data,
                               question->emergency ? EMERGENCY_NS : ANSWER_NS, &answer, &pid, &err);
    if (code == ERROR_UNAVAILABLE && question->emergency && pid > 0 &&
        kill((pid_t)pid, SIGUSR2) == 0) {
        text_clear(&answer);
        text_printf(
            &answer,
            "{\"ok\":true,\"message\":\"it does not answer: SIGUSR2 sent to process %" PRId64
            ", which ends with 75\"}",
            pid);
        code = 0;
    }
    if (code == 0)
        control_print(options, question->command, &answer);
    text_release(&request);
    text_release(&answer);
    return code < 0 ? app_fail(options, &err) : 0;
}

static int ask_plainly(const struct options *options, const char *command)
{
    struct question question = { .command = command };
    if (operands(options) > 0)
        return too_many(options, command, "no operand");
    return ask(options, &question);
}

static int run_halt(const struct options *options)
{
    struct question question = { .command = "halt", .emergency = options->emergency };
    if (operands(options) > 1)
        return too_many(options, "halt", "at most one operand, the reason");
    if (operands(options) == 1) {
        question.key = "reason";
        question.value = only_operand(options);
    }
    return ask(options, &question);
}

static int run_flatten(const struct options *options)
{
    struct question question = { .command = "flatten" };
    if (operands(options) > 1)
        return too_many(options, "flatten", "at most one SYMBOL");
    if (operands(options) == 1) {
        question.key = "symbol";
        question.value = only_operand(options);
    }
    return ask(options, &question);
}

static int run_breaker(const struct options *options)
{
    struct question question = { .command = "breaker" };
    const struct option_list *words = &options->operands;
    question.what = words->count > 0 ? words->items[0] : "";
    if (words->count < 1 || words->count > 2 || options->strategies.count > 0 ||
        (strcmp(question.what, "open") != 0 && strcmp(question.what, "close") != 0))
        return too_many(options, "breaker", "open or close, and at most one VENUE");
    if (words->count == 2) {
        question.key = "venue";
        question.value = words->items[1];
    }
    return ask(options, &question);
}

static int run_reload(const struct options *options)
{
    return ask_plainly(options, "reload");
}

static int run_stop(const struct options *options)
{
    return ask_plainly(options, "stop");
}

#define STATE_HELP                                                                                 \
    "  --state DIR   where it runs (default artifacts)\n"                                          \
    "  --json        the answer as one JSON object\n"                                              \
    "\n"
#define LOOK_CODES                                                                                 \
    "Exit codes: 0 done, 69 nothing runs there and nothing ever did, or it does not\n"             \
    "answer, 74 the ledger cannot be read, 77 it belongs to another user.\n"                       \
    "\n"
#define ASK_CODES                                                                                  \
    "Exit codes: 0 done, 64 it cannot be asked that, 69 nothing runs there, or it\n"               \
    "does not answer, 77 it belongs to another user.\n"                                            \
    "\n"

const struct command_entry command_status = {
    .name = "status",
    .summary = "how a run stands: equity, halts, the day, strategies, positions",
    .usage = "usage: runtime status [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "Of the run in DIR; of one that is stopped what its ledger knows.\n"
             "\n" STATE_HELP LOOK_CODES "Example:\n"
             "  runtime status --state artifacts\n",
    .run = run_status,
    .takes = "state mode",
};

const struct command_entry command_orders = {
    .name = "orders",
    .summary = "the open orders of a run",
    .usage = "usage: runtime orders [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "Orders that are open, in doubt or on their way; of a stopped run those that its\n"
             "ledger knows.\n"
             "\n" STATE_HELP LOOK_CODES "Example:\n"
             "  runtime orders --json\n",
    .run = run_orders,
    .takes = "state mode",
};

const struct command_entry command_positions = {
    .name = "positions",
    .summary = "the positions of a run",
    .usage = "usage: runtime positions [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "What each strategy holds. A stopped run has no prices: mark and P&L are empty.\n"
             "\n" STATE_HELP LOOK_CODES "Example:\n"
             "  runtime positions\n",
    .run = run_positions,
    .takes = "state mode",
};

const struct command_entry command_why = {
    .name = "why",
    .summary = "why orders did not leave as asked: the newest verdicts",
    .usage = "usage: runtime why [N] [--state DIR] [--mode paper|live] [--json]\n"
             "\n"
             "The newest N (20, at most 256) verdicts of risk that were no approval, newest\n"
             "first: when, which strategy, what it asked for, what was allowed, and why.\n"
             "\n" STATE_HELP LOOK_CODES "Example:\n"
             "  runtime why 5\n",
    .run = run_why,
    .takes = "state mode",
};

const struct command_entry command_halt = {
    .name = "halt",
    .summary = "no new risk from now on; --emergency cancels everything and ends",
    .usage = "usage: runtime halt [REASON] [--emergency] [--state DIR] [--json]\n"
             "\n"
             "Orders that add risk are canceled and none leaves any more; exits stay, and the\n"
             "run stays up to manage them. A restart is halted too, until runtime resume.\n"
             "\n"
             "  --emergency   cancels all orders, exits too, closes positions if\n"
             "                risk.emergency is flatten, and ends the run with 75; works\n"
             "                when the run hangs\n" STATE_HELP ASK_CODES "Example:\n"
             "  runtime halt 'venue acts oddly'\n",
    .run = run_halt,
    .takes = "state emergency",
};

const struct command_entry command_flatten = {
    .name = "flatten",
    .summary = "cancel entries and close positions at market, of one symbol or all",
    .usage = "usage: runtime flatten [SYMBOL] [--state DIR] [--json]\n"
             "\n"
             "The strategies go on and may trade again: halt first where they shall not.\n"
             "\n" STATE_HELP ASK_CODES "Example:\n"
             "  runtime flatten BTC/USDT:USDT\n",
    .run = run_flatten,
    .takes = "state",
};

const struct command_entry command_breaker = {
    .name = "breaker",
    .summary = "open or close the circuit breaker of a venue by hand",
    .usage = "usage: runtime breaker open|close [VENUE] [--state DIR] [--json]\n"
             "\n"
             "While a breaker is open no order that adds risk leaves for its venue; cancels\n"
             "and exits do. One that is opened by hand stays open until it is closed by hand;\n"
             "close also ends one that opened by itself. Without VENUE: all of the run.\n"
             "\n" STATE_HELP ASK_CODES "Example:\n"
             "  runtime breaker open sim\n",
    .run = run_breaker,
    .takes = "state",
};

const struct command_entry command_reload = {
    .name = "reload",
    .summary = "take the strategy files as they are now into the run",
    .usage = "usage: runtime reload [--state DIR] [--json]\n"
             "\n"
             "Each file that changed is checked and rehearsed; it takes over between two\n"
             "events once it is warm. What is refused says why, and the old code goes on.\n"
             "\n" STATE_HELP ASK_CODES "Example:\n"
             "  runtime reload\n",
    .run = run_reload,
    .takes = "state",
};

const struct command_entry command_stop = {
    .name = "stop",
    .summary = "end a run in order, as SIGTERM does",
    .usage = "usage: runtime stop [--state DIR] [--json]\n"
             "\n"
             "The run applies trading.stop_policy, writes its summary and ends with 0.\n"
             "\n" STATE_HELP ASK_CODES "Example:\n"
             "  runtime stop\n",
    .run = run_stop,
    .takes = "state",
};
