/* cmd_new.c - `runtime new NAME`: a strategy to begin with, which trades as it is. */
#include "runtime/app/app.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/text.h"

#define NAME_MAX_BYTES 60
#define TEMPLATE_MAX 16384

/* Lua source with the name put in where %s stands. */
static const char template_head[] =
    "-- %s: long while a fast average of closes leads a slow one, flat otherwise.\n"
    "-- Why it may work: trends persist. Where it fails: ranges, where every cross costs a "
    "spread.\n"
    "--\n"
    "--   runtime check %s     what this file asks for, and its problems\n"
    "--   runtime %s --speed 60     paper trading, a minute each second\n"
    "\n"
    "local S = { api = 1, name = \"%s\", version = \"0.1.0\" }\n";

static const char template_body[] =
    "\n"
    "-- A default first, then what is allowed: --param fast=8 sets one, out of range is refused.\n"
    "-- `live = true` may change while the strategy runs.\n"
    "S.params = {\n"
    "  tf   = { \"1m\", choices = { \"1m\", \"5m\", \"15m\", \"1h\" }, help = \"bars to look at\" "
    "},\n"
    "  fast = { 5, min = 2, max = 100, help = \"fast average, bars\" },\n"
    "  slow = { 20, min = 5, max = 400, help = \"slow average, bars\" },\n"
    "  risk = { 1.0, min = 0.1, max = 5, live = true, help = \"% of capital lost at the stop\" },\n"
    "}\n"
    "\n"
    "-- A rule across params: false and the reason refuse the start.\n"
    "function S.check(p)\n"
    "  if p.fast >= p.slow then\n"
    "    return false, \"fast must be below slow\"\n"
    "  end\n"
    "end\n"
    "\n"
    "local fast, slow, atr\n"
    "\n"
    "-- Runs at start and after every reload, before any market event. What is asked for here is\n"
    "-- what the strategy subscribes to; it is called once all of it has values.\n"
    "function S.on_start(ctx, p)\n"
    "  local bars = ctx:bars(p.tf)\n"
    "  fast, slow, atr = bars:ema(p.fast), bars:ema(p.slow), bars:atr(14)\n"
    "end\n"
    "\n"
    "-- A bar has closed. x[1] is the newest value of a series, x[2] the one before.\n"
    "function S.on_bar(ctx, bar, p)\n"
    "  local held = ctx:position().qty\n"
    "  if held == 0 and fast[1] > slow[1] then\n"
    "    local gap = 2 * atr[1]\n"
    "    local qty, why = ctx:size(p.risk, gap)\n"
    "    if qty == 0 then\n"
    "      ctx:log(\"info\", \"no entry: %s\", why)\n"
    "      return\n"
    "    end\n"
    "    ctx:buy(qty, { stop = bar.close - gap, tag = \"entry\" })\n"
    "  elseif held > 0 and fast[1] < slow[1] then\n"
    "    ctx:close({ tag = \"exit\" })\n"
    "  end\n"
    "end\n"
    "\n"
    "-- Something that was ordered has been traded, in whole or in part.\n"
    "function S.on_fill(ctx, fill)\n"
    "  ctx:log(\"info\", \"%s %s at %s\", fill.side, fill.qty, fill.price)\n"
    "end\n"
    "\n"
    "return S\n";

/* Letters, digits, _ and -, a letter first: it becomes a file name, a Lua string and a key. */
static int check_name(const char *given, char *name, size_t size, struct error *err)
{
    size_t length = strlen(given) - (text_ends_with(given, ".lua") ? strlen(".lua") : 0);
    bool good = length > 0 && length < size && isalpha((unsigned char)given[0]);
    for (size_t i = 0; good && i < length; i++)
        good = isalnum((unsigned char)given[i]) || given[i] == '_' || given[i] == '-';
    if (!good)
        return error_set(err, ERROR_USAGE,
                         "'%s' cannot be a strategy's name: letters, digits, _ and -, a letter "
                         "first, up to %d of them, no directory",
                         given, NAME_MAX_BYTES);
    text_copy_span(name, size, given, length);
    return 0;
}

static bool is_directory(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool write_all(int file, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* O_EXCL: what somebody wrote is never replaced, not even in a race. */
static int write_new(const char *path, const struct text *text, struct error *err)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 && errno == EEXIST)
        return error_set(err, ERROR_USAGE,
                         "%s is there already and is not overwritten; choose another name", path);
    if (file < 0)
        return error_set(err, ERROR_IO, "cannot create %s: %s", path, strerror(errno));
    bool written = write_all(file, text->data, text->length);
    int reason = errno;
    if (close(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written)
        return 0;
    unlink(path);
    return error_set(err, ERROR_IO, "cannot write %s: %s", path, strerror(reason));
}

static int write_strategy(const char *name, const char *path, struct error *err)
{
    struct text text;
    text_init(&text, TEMPLATE_MAX);
    text_printf(&text, template_head, name, path, path, name);
    text_add(&text, template_body);
    ASSERT(!text.overflow);
    int code = write_new(path, &text, err);
    text_release(&text);
    return code;
}

static void tell(const struct options *options, const char *path)
{
    if (!options->json) {
        printf("wrote %s\n"
               "  runtime check %s\n"
               "  runtime %s --speed 60\n",
               path, path, path);
        return;
    }
    struct text text;
    text_init(&text, TEMPLATE_MAX);
    struct json_writer *writer = json_writer_open(&text, false);
    json_object_begin(writer);
    json_key(writer, "file");
    json_string(writer, path);
    json_object_end(writer);
    json_writer_close(writer);
    puts(text.data);
    text_release(&text);
}

static int run_new(const struct options *options)
{
    struct error err = { 0 };
    char name[NAME_MAX_BYTES + 1], path[NAME_MAX_BYTES + 32];
    if (options->strategies.count + options->operands.count != 1) {
        error_set(&err, ERROR_USAGE, "new takes one name: runtime new NAME");
        return app_fail(options, &err);
    }
    const char *given =
        options->strategies.count ? options->strategies.items[0] : options->operands.items[0];
    if (check_name(given, name, sizeof(name), &err) < 0)
        return app_fail(options, &err);
    snprintf(path, sizeof(path), "%s%s.lua", is_directory("strategies") ? "strategies/" : "", name);
    if (write_strategy(name, path, &err) < 0)
        return app_fail(options, &err);
    tell(options, path);
    return 0;
}

const struct command_entry command_new = {
    .name = "new",
    .summary = "write a commented strategy to begin with",
    .usage = "usage: runtime new NAME [--json]\n"
             "\n"
             "Writes NAME.lua, into strategies/ where there is such a directory here. The file\n"
             "is complete: it passes runtime check and trades on the simulated market. A file\n"
             "that is there already is never overwritten.\n"
             "\n"
             "  --json    {\"file\": ...}\n"
             "\n"
             "Example:\n"
             "  runtime new breakout && runtime strategies/breakout.lua --speed 60\n",
    .run = run_new,
    .takes = "",
};
