/* commands.c - from the command line to one command, and how its failure is told. */
#include "runtime/app/app.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "bindings/strategy.h" /* the version of Lua */
#include "runtime/app/help.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

#define OUTPUT_MAX 65536

/* In the order of --help. */
static const struct command_entry *const table[] = {
    &command_run,     &command_check,     &command_inspect,   &command_new,  &command_status,
    &command_orders,  &command_positions, &command_why,       &command_halt, &command_resume,
    &command_flatten, &command_breaker,   &command_reload,    &command_stop, &command_audit,
    &command_restore, &command_help,      &command_emergency,
};

static const char *const planned[] = {
    "backtest", "sweep",    "walkforward", "report", "test",  "sign",  "verify", "record", "replay",
    "import",   "download", "doctor",      "venues", "vault", "login", "config", NULL,
};

const struct command_entry *const *commands(size_t *count)
{
    *count = ARRAY_SIZE(table);
    return table;
}

const struct command_entry *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (strcmp(table[i]->name, name) == 0)
            return table[i];
    return NULL;
}

bool command_is_planned(const char *name)
{
    for (size_t i = 0; planned[i]; i++)
        if (strcmp(planned[i], name) == 0)
            return true;
    return false;
}

static const char *nearest_command(const char *name)
{
    const char *names[ARRAY_SIZE(table) + 1];
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (!table[i]->is_hidden)
            names[count++] = table[i]->name;
    names[count] = NULL;
    const char *nearest = text_nearest(name, names);
    return nearest ? nearest : text_nearest(name, planned);
}

/* A strategy whose ".lua" was forgotten is the likeliest unknown word that looks like a path. */
static int unknown_command(const char *name, struct error *err)
{
    char file[512];
    snprintf(file, sizeof(file), "%.500s.lua", name);
    if (access(file, F_OK) == 0)
        return error_set(err, ERROR_USAGE, "unknown command '%s'; did you mean %s?", name, file);
    if (strpbrk(name, "/."))
        return error_set(err, ERROR_USAGE,
                         "'%s' is neither a command nor a strategy file, whose name ends in .lua",
                         name);
    const char *nearest = nearest_command(name);
    if (nearest)
        return error_set(err, ERROR_USAGE, "unknown command '%s'; did you mean '%s'?", name,
                         nearest);
    return error_set(err, ERROR_USAGE, "unknown command '%s'; runtime --help lists them", name);
}

const struct command_entry *command_require(const char *name, struct error *err)
{
    const struct command_entry *command = command_find(name);
    if (command)
        return command;
    if (command_is_planned(name))
        error_set(err, ERROR_USAGE, "runtime %s: not in this version", name);
    else
        unknown_command(name, err);
    return NULL;
}

/* ---- failing ---- */

/* What came from a file or a venue must not move the cursor of a terminal. */
static void put_plain(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        fputc((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f ? '?' : byte, out);
    }
}

static void fail_json(const struct error *err, int exit_code)
{
    struct text text;
    text_init(&text, OUTPUT_MAX);
    struct json_writer *writer = json_writer_open(&text, false);
    json_object_begin(writer);
    json_key(writer, "error");
    json_object_begin(writer);
    json_key(writer, "code");
    json_int(writer, exit_code);
    json_key(writer, "message");
    json_string(writer, err->message);
    json_key(writer, "where");
    json_string(writer, err->where[0] ? err->where : NULL);
    json_object_end(writer);
    json_object_end(writer);
    json_writer_close(writer);
    fwrite(text.data, 1, text.length, stdout);
    fputc('\n', stdout);
    text_release(&text);
}

int app_fail(const struct options *options, const struct error *err)
{
    int exit_code = err->code <= ERROR_USAGE ? -err->code : -ERROR_INTERNAL;
    fflush(stdout);
    if (!text_starts_with(err->message, "runtime ")) /* "runtime sweep: not in this version" */
        fputs("runtime: ", stderr);
    if (err->where[0] && !text_starts_with(err->message, err->where)) {
        put_plain(stderr, err->where);
        fputs(": ", stderr);
    }
    put_plain(stderr, err->message);
    fputc('\n', stderr);
    if (options->json)
        fail_json(err, exit_code);
    return exit_code;
}

/* ---- the way in ---- */

static void print_version(const struct options *options)
{
    const char *const rows[][2] = {
        { "runtime", RUNTIME_VERSION },
        { "Lua", LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE },
        { "SQLite", sqlite3_libversion() },
        { "libuv", uv_version_string() },
        { "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING) },
    };
    if (!options->json) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
            printf("%s %s\n", rows[i][0], rows[i][1]);
        return;
    }
    struct text text;
    text_init(&text, OUTPUT_MAX);
    struct json_writer *writer = json_writer_open(&text, false);
    json_object_begin(writer);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        json_key(writer, rows[i][0]);
        json_string(writer, rows[i][1]);
    }
    json_object_end(writer);
    json_writer_close(writer);
    puts(text.data);
    text_release(&text);
}

/* Operands of the form without a command are strategies; data files come with --backtest. */
static int check_operands(const struct options *options, struct error *err)
{
    if (options->operands.count == 0 || (options->mode && strcmp(options->mode, "backtest") == 0))
        return 0;
    const char *operand = options->operands.items[0];
    if (command_find(operand) || command_is_planned(operand))
        return error_set(err, ERROR_USAGE, "'%s' is a command: it comes first, as in runtime %s",
                         operand, operand);
    return error_set(err, ERROR_USAGE,
                     "'%s' is no strategy file: its name does not end in .lua (market data is "
                     "given with --feed)",
                     operand);
}

static int run(const struct command_entry *command, int argc, char **argv)
{
    struct options options;
    struct error err = { 0 };
    if (options_parse(argc, argv, &options, &err) < 0)
        return app_fail(&options, &err);
    options.argv = argv;
    options.argc = argc;
    if (options.help) {
        help_command(stdout, command);
        return 0;
    }
    if (options.version) {
        print_version(&options);
        return 0;
    }
    if (options_check(&options, command->name, command->takes, &err) < 0)
        return app_fail(&options, &err);
    if (command == &command_run && check_operands(&options, &err) < 0)
        return app_fail(&options, &err);
    return command->run(&options);
}

/* The first word is a command, unless it is an option or a strategy. */
static int dispatch(int argc, char **argv)
{
    const char *first = argv[1];
    if (first[0] == '-' || text_ends_with(first, ".lua"))
        return run(&command_run, argc - 1, argv + 1);

    struct error err = { 0 };
    const struct command_entry *command = command_require(first, &err);
    if (command)
        return run(command, argc - 2, argv + 2);

    struct options options = { 0 };
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        options.json |= strcmp(argv[i], "--json") == 0;
    return app_fail(&options, &err);
}

int app_main(int argc, char **argv)
{
    if (argc < 2) {
        help_short(stderr);
        return -ERROR_USAGE;
    }
    int exit_code = dispatch(argc, argv);
    /* A result that did not reach its reader is no result. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == 0) {
        fputs("runtime: cannot write to standard output\n", stderr);
        return -ERROR_IO;
    }
    return exit_code;
}
