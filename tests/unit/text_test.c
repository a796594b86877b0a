/* text_test.c - growable text, fields, suggestions, files, and the errors that carry text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/error.h"
#include "runtime/base/text.h"

static void text_grows(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 100000);
    assert_string_equal(text.data, "");
    for (int i = 0; i < 5000; i++)
        text_printf(&text, "%d,", i % 10);
    assert_int_equal(text.length, 10000);
    assert_int_equal(strlen(text.data), 10000);
    assert_int_equal(text.data[9998], '9');
    text_clear(&text);
    assert_string_equal(text.data, "");
    text_add(&text, "again");
    text_append(&text, "\0x", 2);
    assert_int_equal(text.length, 7);
    text_release(&text);
    text_add(&text, "after release");
    assert_string_equal(text.data, "after release");
    text_release(&text);
}

/* Outside input names its limit: beyond it a piece is whole or not there, and the flag says so. */
static void text_refuses_beyond_its_limit(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 10);
    text_add(&text, "0123456789");
    assert_false(text.overflow);
    text_add(&text, "x");
    assert_true(text.overflow);
    assert_string_equal(text.data, "0123456789");

    text_clear(&text);
    assert_false(text.overflow);
    text_printf(&text, "%s", "01234");
    text_printf(&text, "%s", "567890");
    assert_true(text.overflow);
    assert_string_equal(text.data, "01234");
    text_add(&text, "5"); /* would fit, but a hole is worse than an end */
    assert_string_equal(text.data, "01234");
    assert_int_equal(text.length, 5);
    text_release(&text);
}

static void fields_are_cut_between_characters(void **state)
{
    (void)state;
    char field[6];
    assert_true(text_copy(field, sizeof(field), "abcde"));
    assert_string_equal(field, "abcde");
    assert_false(text_copy(field, sizeof(field), "abcdef"));
    assert_string_equal(field, "abcde");
    assert_false(text_copy(field, sizeof(field), "abcd\xc3\xa9")); /* e acute would be halved */
    assert_string_equal(field, "abcd");
    assert_false(text_copy(field, sizeof(field), "ab\xf0\x9f\x92\xb0z"));
    assert_string_equal(field, "ab");
    assert_false(text_copy(field, sizeof(field), "\x80\x80\x80\x80\x80\x80\x80")); /* no UTF-8 */
    assert_int_equal(strlen(field), 5);
    assert_true(text_copy_span(field, sizeof(field), "abcdefgh", 3));
    assert_string_equal(field, "abc");
    assert_true(text_copy_span(field, sizeof(field), "", 0));
    assert_string_equal(field, "");
}

static void beginnings_and_ends(void **state)
{
    (void)state;
    assert_true(text_starts_with("strategies/a.lua", "strategies/"));
    assert_false(text_starts_with("str", "strategies"));
    assert_true(text_starts_with("a", ""));
    assert_true(text_ends_with("a.lua", ".lua"));
    assert_false(text_ends_with("lua", ".lua"));
    assert_true(text_ends_with("a", ""));
}

static void the_nearest_word_is_suggested(void **state)
{
    (void)state;
    static const char *const words[] = {
        "backtest", "paper", "live", "max_daily_loss", "buy", NULL
    };
    assert_string_equal(text_nearest("backtset", words), "backtest"); /* a swap is one edit */
    assert_string_equal(text_nearest("papr", words), "paper");
    assert_string_equal(text_nearest("by", words), "buy");
    assert_string_equal(text_nearest("LIVE", words), "live");
    assert_string_equal(text_nearest("max_dayly_los", words), "max_daily_loss");
    assert_null(text_nearest("reload", words));
    assert_null(text_nearest("", words));
    char word[200];
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_null(text_nearest(word, words));
}

static void doubles_are_spelled_shortest(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *expected;
    } cases[] = {
        { 0.1, "0.1" },
        { 5, "5" },
        { -0.0, "0" },
        { 1e22, "1e+22" },
        { 1e-7, "1e-07" },
        { 5e-324, "5e-324" },
        { 64123.45, "64123.45" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char buffer[DOUBLE_TEXT_MAX];
        assert_string_equal(double_format(cases[i].value, buffer), cases[i].expected);
        assert_true(strtod(buffer, NULL) == cases[i].value);
    }
}

/* ---- files ---- */

static int make_directory(void **state)
{
    char path[] = "/tmp/text_test-XXXXXX";
    *state = mkdtemp(path) ? strdup(path) : NULL;
    return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return system(command);
}

static char *in(void **state, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", (char *)*state, name);
    return path;
}

static void a_file_is_written_and_read_back(void **state)
{
    char path[256], *data;
    size_t length;
    struct error err = { 0 };
    in(state, "file", path);
    assert_int_equal(text_write_file(path, "old", 3, &err), 0);
    assert_int_equal(text_write_file(path, "new\0x", 5, &err), 0);
    assert_int_equal(text_read_file(path, 5, &data, &length, &err), 0);
    assert_int_equal(length, 5);
    assert_memory_equal(data, "new\0x", 6); /* and the NUL after it */
    free(data);

    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(text_write_file(path, "", 0, &err), 0);
    assert_int_equal(text_read_file(path, 0, &data, &length, &err), 0);
    assert_string_equal(data, "");
    free(data);
}

static void unreadable_files_say_why(void **state)
{
    char path[256], *data = NULL;
    size_t length;
    struct error err = { 0 };
    assert_int_equal(text_read_file(in(state, "missing", path), 9, &data, &length, &err),
                     ERROR_NO_INPUT);
    assert_non_null(strstr(err.message, path));
    assert_null(data);
    assert_int_equal(text_read_file(in(state, "", path), 9, &data, &length, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "directory"));

    in(state, "pipe", path); /* must not wait for a writer */
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(text_read_file(path, 9, &data, &length, &err), ERROR_DATA);
    in(state, "large", path);
    assert_int_equal(text_write_file(path, "0123456789", 10, &err), 0);
    assert_int_equal(text_read_file(path, 9, &data, &length, &err), ERROR_DATA);
    assert_null(data);
}

/* A half-written file must not replace a whole one, nor leave litter. */
static void a_failed_write_leaves_nothing(void **state)
{
    char path[256], command[300];
    struct error err = { 0 };
    in(state, "absent/file", path);
    assert_int_equal(text_write_file(path, "x", 1, &err), ERROR_IO);
    assert_non_null(strstr(err.message, path));

    in(state, "occupied", path);
    assert_int_equal(text_make_directories(path, &err), 0);
    assert_int_equal(text_write_file(path, "x", 1, &err), ERROR_IO); /* cannot rename onto it */
    snprintf(command, sizeof(command), "! ls '%s' | grep -q tmp", (char *)*state);
    assert_int_equal(system(command), 0);
}

static void directories_are_made_with_their_parents(void **state)
{
    char path[256];
    struct stat info;
    struct error err = { 0 };
    in(state, "a/b//c/", path);
    assert_int_equal(text_make_directories(path, &err), 0);
    assert_int_equal(text_make_directories(path, &err), 0); /* there already */
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);

    in(state, "a/file", path);
    assert_int_equal(text_write_file(path, "x", 1, &err), 0);
    assert_int_equal(text_make_directories(path, &err), ERROR_IO);
    in(state, "a/file/below", path);
    assert_int_equal(text_make_directories(path, &err), ERROR_IO);
    assert_int_equal(text_make_directories("", &err), ERROR_IO);
}

/* ---- errors ---- */

static void an_error_collects_what_was_being_done(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_int_equal(error_at(&err, ERROR_CONFIG, "a.yaml:3:1", "unknown key %s\n", "x"),
                     ERROR_CONFIG);
    assert_string_equal(err.message, "unknown key x");
    assert_string_equal(err.where, "a.yaml:3:1");
    assert_int_equal(error_wrap(&err, "start %s", "session"), ERROR_CONFIG);
    assert_string_equal(err.message, "start session: unknown key x");
    assert_string_equal(err.where, "a.yaml:3:1");
    assert_int_equal(error_set(&err, ERROR_IO, "%s (twice)", err.message), ERROR_IO);
    assert_string_equal(err.message, "start session: unknown key x (twice)");
    assert_string_equal(err.where, "");
    assert_int_equal(error_set(NULL, ERROR_IO, "nobody listens"), ERROR_IO);
    assert_int_equal(error_at(NULL, ERROR_IO, "x", "nobody listens"), ERROR_IO);
    assert_true(error_wrap(NULL, "nobody listens") < 0);
}

static void a_long_error_is_cut_with_dots(void **state)
{
    (void)state;
    struct error err = { 0 };
    char longer[2000];
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    error_set(&err, ERROR_IO, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
    assert_true(text_ends_with(err.message, "x..."));
    error_wrap(&err, "reading");
    assert_true(text_starts_with(err.message, "reading: xx"));
    assert_true(text_ends_with(err.message, "x..."));
    error_at(&err, ERROR_IO, longer, "short");
    assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),
        cmocka_unit_test(text_refuses_beyond_its_limit),
        cmocka_unit_test(fields_are_cut_between_characters),
        cmocka_unit_test(beginnings_and_ends),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(doubles_are_spelled_shortest),
        cmocka_unit_test_setup_teardown(a_file_is_written_and_read_back, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(unreadable_files_say_why, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_nothing, make_directory,
                                        remove_directory),
        cmocka_unit_test_setup_teardown(directories_are_made_with_their_parents, make_directory,
                                        remove_directory),
        cmocka_unit_test(an_error_collects_what_was_being_done),
        cmocka_unit_test(a_long_error_is_cut_with_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
