/* cmd_resume.c - runtime resume: lifts what stands in the way of new risk after a halt. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/app/app.h"
#include "runtime/app/control_client.h"
#include "runtime/base/clock.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/ledger/ledger.h"
#include "runtime/operate/control.h"
#include "runtime/operate/latch.h"

#define OUTPUT_MAX (1u << 20)
#define ASK_NS (10 * NS_PER_SECOND)

struct listing {
    struct json_writer *writer; /* NULL: a table */
    struct text *out;
    const char *mode;
    size_t count;
};

static void list_json(struct json_writer *writer, const char *mode,
                      const struct standing_halt *standing, const char *since)
{
    const char *const fields[][2] = { { "mode", mode },
                                      { "scope", standing->halt.scope },
                                      { "code", standing->halt.code },
                                      { "reason", standing->halt.reason },
                                      { "since", since } };
    json_object_begin(writer);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        json_key(writer, fields[i][0]);
        json_string(writer, fields[i][1]);
    }
    json_object_end(writer);
}

static void list_halt(void *self, const struct standing_halt *standing)
{
    struct listing *listing = self;
    char since[TIME_TEXT_MAX];
    time_format(standing->since_ns, since);
    if (listing->writer)
        list_json(listing->writer, listing->mode, standing, since);
    else
        text_printf(
            listing->out, "%s%-5s %-31s %-20s %.19s\n    %s\n",
            listing->count ? ""
                           : "mode  scope                           code                 since\n",
            listing->mode, standing->halt.scope, standing->halt.code, since, standing->halt.reason);
    listing->count++;
}

/* A halt is lifted by whoever lists it: what was not seen is not agreed to. */
static int resume_ledger(const char *path, const char *anchor, struct listing *listing,
                         struct error *err)
{
    struct ledger_options options = { .path = path, .anchor_path = anchor, .power_safe = true };
    struct ledger *ledger;
    int code = ledger_open(&options, &ledger, err);
    if (code < 0)
        return code;
    code = ledger_each_standing_halt(ledger, list_halt, listing, err);
    if (code == 0)
        code = ledger_lift_halts(ledger, "resume", clock_now(clock_wall()), err);
    ledger_close(ledger);
    return code < 0 ? code : 0;
}

static int lock_state(const char *state, int *lock_fd, struct error *err)
{
    char path[700];
    snprintf(path, sizeof(path), "%.600s/lock", state);
    *lock_fd = open(path, O_RDWR | O_CLOEXEC);
    if (*lock_fd < 0 && errno == ENOENT)
        return error_at(err, ERROR_NO_INPUT, state,
                        "nothing ever ran in this state directory; name the one that it ran in "
                        "with --state");
    if (*lock_fd < 0)
        return error_at(err, ERROR_IO, path, "cannot open: %s", strerror(errno));
    if (flock(*lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_at(err, ERROR_UNAVAILABLE, state,
                        "a runtime uses this state directory; stop it first");
    return 0;
}

/* Listed where no halt of the ledger stands for it: it was set when nothing could be written. */
static int resume_latch(const char *state, bool is_listed, struct listing *listing,
                        struct error *err)
{
    struct latch_record latch;
    struct error unreadable = { 0 };
    int fd;
    if (latch_look(state, listing->mode, &latch, &unreadable) == 0 && !latch.set)
        return 0;
    if (!is_listed) {
        struct standing_halt standing = { .since_ns = latch.since_ns };
        text_copy(standing.halt.scope, sizeof(standing.halt.scope), "session");
        text_copy(standing.halt.code, sizeof(standing.halt.code), latch.code);
        text_copy(standing.halt.reason, sizeof(standing.halt.reason), latch.reason);
        list_halt(listing, &standing);
    }
    int code = latch_open(state, listing->mode, &fd, err);
    if (code == 0)
        code = latch_clear(fd, err);
    if (fd >= 0)
        close(fd);
    return code;
}

static int resume(const char *state, struct listing *listing, struct error *err)
{
    static const char *const modes[] = { "paper", "live" };
    int code = 0;
    for (size_t i = 0; code == 0 && i < ARRAY_SIZE(modes); i++) {
        size_t before = listing->count;
        char path[700], anchor[700];
        snprintf(path, sizeof(path), "%.600s/ledger-%s.sqlite", state, modes[i]);
        snprintf(anchor, sizeof(anchor), "%.600s/audit-%s.head", state, modes[i]);
        listing->mode = modes[i];
        if (access(path, F_OK) == 0)
            code = resume_ledger(path, anchor, listing, err);
        if (code == 0) /* last: a crash before this leaves a run that is halted */
            code = resume_latch(state, listing->count > before, listing, err);
    }
    return code;
}

static void print(const struct options *options, struct listing *listing)
{
    if (listing->writer) {
        json_array_end(listing->writer);
        json_object_end(listing->writer);
    } else if (listing->count == 0) {
        text_add(listing->out, "no halt stands\n");
    } else {
        text_printf(listing->out, "%zu %s lifted; the next start trades again\n", listing->count,
                    listing->count == 1 ? "halt is" : "halts are");
    }
    fwrite(listing->out->data, 1, listing->out->length, stdout);
    if (options->json)
        fputc('\n', stdout);
}

/* A running instance does it itself. False: nothing runs there. */
static bool ask_running(const struct options *options, int *code, struct error *err)
{
    struct text answer;
    int64_t pid = 0;
    text_init(&answer, OUTPUT_MAX);
    *code = control_request(options, "{\"command\":\"resume\"}", ASK_NS, &answer, &pid, err);
    bool is_running = *code != ERROR_UNAVAILABLE || pid != 0;
    if (*code == 0)
        control_print(options, "resume", &answer);
    text_release(&answer);
    return is_running;
}

static int run(const struct options *options)
{
    struct error err = { 0 };
    struct text out;
    int lock_fd = -1, code = 0;
    if (options->operands.count + options->strategies.count > 0) {
        error_set(&err, ERROR_USAGE,
                  "runtime resume takes no operand; the halts of a state directory are lifted "
                  "together");
        return app_fail(options, &err);
    }
    if (ask_running(options, &code, &err))
        return code < 0 ? app_fail(options, &err) : 0;
    code = 0;
    err = (struct error){ 0 };
    text_init(&out, OUTPUT_MAX);
    struct listing listing = { .out = &out };
    if (options->json) {
        listing.writer = json_writer_open(&out, false);
        json_object_begin(listing.writer);
        json_key(listing.writer, "lifted");
        json_array_begin(listing.writer);
    }
    if (code == 0)
        code = lock_state(options->state, &lock_fd, &err);
    if (code == 0)
        code = resume(options->state, &listing, &err);
    if (code == 0)
        print(options, &listing);
    if (listing.writer)
        json_writer_close(listing.writer);
    text_release(&out);
    if (lock_fd >= 0)
        close(lock_fd);
    return code < 0 ? app_fail(options, &err) : 0;
}

const struct command_entry command_resume = {
    .name = "resume",
    .summary = "lift the halts of a run: new risk may leave again",
    .usage = "usage: runtime resume [--state DIR] [--json]\n"
             "\n"
             "A running instance lifts its halts and trades again. Of a stopped one the halts\n"
             "that stand (which, why, since when) are listed and lifted, of paper and of live,\n"
             "and the latch is cleared: the next start may take new risk again.\n"
             "\n"
             "  --state DIR   where the ledger is (default artifacts)\n"
             "  --json        {\"lifted\": [{mode, scope, code, reason, since}]}\n"
             "\n"
             "Exit codes: 0 done, 65 no ledger, or one of another version, 66 nothing ever\n"
             "ran there, 69 what runs there does not answer, 74 the ledger cannot be read or\n"
             "written.\n"
             "\n"
             "Example:\n"
             "  runtime resume --state artifacts\n",
    .run = run,
    .takes = "state",
};
