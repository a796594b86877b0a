/* commands_test.c - the program as it is called: which command answers, with which exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/app/app.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

#define ARGUMENTS_MAX 16
#define OUTPUT_MAX ((size_t)1 << 20)

/* A directory of its own; both streams go into files there. */
struct shell {
    char directory[64], home[4096];
    int saved_out, saved_err;
    char *out, *err; /* of the last call */
};

static int enter(void **state)
{
    struct shell *shell = memory_new(sizeof(*shell));
    strcpy(shell->directory, "/tmp/commands_test_XXXXXX");
    if (!mkdtemp(shell->directory) || !getcwd(shell->home, sizeof(shell->home)))
        return -1;
    *state = shell;
    return chdir(shell->directory);
}

static int leave(void **state)
{
    struct shell *shell = *state;
    static const char *const files[] = { "out", "err", "strategies/first.lua", "first.lua",
                                         "bad.lua" };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        unlink(files[i]);
    rmdir("strategies");
    int code = chdir(shell->home) | rmdir(shell->directory);
    free(shell->out);
    free(shell->err);
    free(shell);
    return code;
}

static char *read_back(const char *path)
{
    char *data;
    size_t length;
    struct error err = { 0 };
    assert_int_equal(text_read_file(path, OUTPUT_MAX, &data, &length, &err), 0);
    return data;
}

static int redirect(FILE *stream, const char *path)
{
    fflush(stream);
    int saved = dup(fileno(stream));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(dup2(fileno(file), fileno(stream)) >= 0);
    fclose(file);
    return saved;
}

static void restore(FILE *stream, int saved)
{
    fflush(stream);
    assert_true(dup2(saved, fileno(stream)) >= 0);
    close(saved);
}

static int call(struct shell *shell, const char *line)
{
    char words[512], *argv[ARGUMENTS_MAX] = { NULL };
    int argc = 0;
    snprintf(words, sizeof(words), "runtime %s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    shell->saved_out = redirect(stdout, "out");
    shell->saved_err = redirect(stderr, "err");
    int code = app_main(argc, argv);
    restore(stdout, shell->saved_out);
    restore(stderr, shell->saved_err);
    free(shell->out);
    free(shell->err);
    shell->out = read_back("out");
    shell->err = read_back("err");
    return code;
}

static void has(const char *text, const char *words)
{
    if (!strstr(text, words))
        print_error("%s\nlacks: %s\n", text, words);
    assert_non_null(strstr(text, words));
}

/* stdout is for results: a bare call has none. */
static void a_bare_call_is_a_usage_error(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, ""), 64);
    has(shell->err, "usage: runtime STRATEGY.lua");
    assert_string_equal(shell->out, "");
}

static void help_lists_what_is_built(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "--help"), 0);
    has(shell->out, "usage: runtime STRATEGY.lua");
    has(shell->out, "--speed max|N");
    has(shell->out, "  check  ");
    has(shell->out, "64 usage");
    assert_null(strstr(shell->out, "sweep"));
    assert_null(strstr(shell->out, "--live"));
    assert_int_equal(call(shell, "help check"), 0);
    has(shell->out, "usage: runtime check FILE");
    assert_int_equal(call(shell, "check --help"), 0);
    has(shell->out, "usage: runtime check FILE");
}

static void version_names_the_libraries(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "--version"), 0);
    const char *const names[] = { "runtime ", "Lua 5.4", "SQLite 3.", "libuv 1.", "OpenSSL " };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        has(shell->out, names[i]);
}

static void an_unknown_command_names_the_nearest(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "chekc"), 64);
    has(shell->err, "unknown command 'chekc'; did you mean 'check'?");
    assert_int_equal(call(shell, "help inspekt"), 64);
    has(shell->err, "did you mean 'inspect'?");
    assert_int_equal(call(shell, "a.lua data.csv"), 64);
    has(shell->err, "'data.csv' is no strategy file");
}

static void a_planned_command_says_so(void **state)
{
    struct shell *shell = *state;
    assert_true(command_is_planned("sweep"));
    assert_false(command_is_planned("check"));
    assert_null(command_find("sweep"));
    assert_int_equal(call(shell, "sweep a.lua"), 64);
    assert_string_equal(shell->err, "runtime sweep: not in this version\n");
    assert_int_equal(call(shell, "help sweep"), 64);
}

/* Scripts read the error where they would have read the result. */
static void with_json_an_error_is_json(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "sweep --json"), 64);
    assert_string_equal(shell->out,
                        "{\"error\":{\"code\":64,\"message\":\"runtime sweep: not in this "
                        "version\",\"where\":null}}\n");
    assert_int_equal(call(shell, "check none.lua --json"), 66);
    has(shell->out, "{\"error\":{\"code\":66,");
}

/* The template is the first strategy many people see: it must be without fault. */
static void new_writes_what_check_accepts(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "new first"), 0);
    has(shell->out, "wrote first.lua");
    assert_int_equal(call(shell, "check first.lua"), 0);
    has(shell->out, "first.lua: first 0.1.0");
    has(shell->out, "bars 1m of BTC/USDT:USDT");
    has(shell->out, "problems: none");
    assert_int_equal(call(shell, "inspect first.lua --json"), 0);
    struct json *root;
    struct error err = { 0 };
    assert_int_equal(json_parse(shell->out, strlen(shell->out), &root, &err), 0);
    assert_string_equal(json_as_string(json_get(root, "name")), "first");
    assert_int_equal(json_count(json_get(root, "params")), 4);
    json_release(root);
}

static void new_never_overwrites(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(call(shell, "new first"), 0);
    char *before = read_back("first.lua");
    assert_int_equal(call(shell, "new first.lua"), 64);
    has(shell->err, "first.lua is there already");
    char *after = read_back("first.lua");
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void new_takes_a_plain_name(void **state)
{
    struct shell *shell = *state;
    const char *const wrong[] = { "new ../x", "new 1st", "new a.b", "new .lua", "new x;y" };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(call(shell, wrong[i]), 64);
        has(shell->err, "cannot be a strategy's name");
    }
    assert_int_equal(call(shell, "new"), 64);
}

static void new_uses_the_strategies_folder(void **state)
{
    struct shell *shell = *state;
    struct error err = { 0 };
    assert_int_equal(text_make_directories("strategies", &err), 0);
    assert_int_equal(call(shell, "new first"), 0);
    assert_int_equal(access("strategies/first.lua", R_OK), 0);
}

/* The fault is where the user made it: file and line, on stderr, and 65. */
static void check_places_a_fault(void **state)
{
    struct shell *shell = *state;
    struct error err = { 0 };
    const char source[] = "local S = { api = 1 }\n"
                          "function S.on_start(ctx)\n"
                          "  ctx:bras('1m')\n"
                          "end\n"
                          "return S\n";
    assert_int_equal(text_write_file("bad.lua", source, strlen(source), &err), 0);
    assert_int_equal(call(shell, "check bad.lua"), 65);
    has(shell->err, "bad.lua:3: ");
    has(shell->err, "did you mean 'bars'?");
    assert_int_equal(call(shell, "check bad.lua --json"), 65);
    has(shell->out, "\"ok\":false");
    has(shell->out, "\"where\":\"bad.lua:3\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bare_call_is_a_usage_error, enter, leave),
        cmocka_unit_test_setup_teardown(help_lists_what_is_built, enter, leave),
        cmocka_unit_test_setup_teardown(version_names_the_libraries, enter, leave),
        cmocka_unit_test_setup_teardown(an_unknown_command_names_the_nearest, enter, leave),
        cmocka_unit_test_setup_teardown(a_planned_command_says_so, enter, leave),
        cmocka_unit_test_setup_teardown(with_json_an_error_is_json, enter, leave),
        cmocka_unit_test_setup_teardown(new_writes_what_check_accepts, enter, leave),
        cmocka_unit_test_setup_teardown(new_never_overwrites, enter, leave),
        cmocka_unit_test_setup_teardown(new_takes_a_plain_name, enter, leave),
        cmocka_unit_test_setup_teardown(new_uses_the_strategies_folder, enter, leave),
        cmocka_unit_test_setup_teardown(check_places_a_fault, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
