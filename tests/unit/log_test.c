/* log_test.c - what reaches stderr and the events file. stderr is a temporary file meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"

#define NOON (1704110401 * NS_PER_SECOND) /* 2024-01-01T12:00:01Z */

static int64_t noon(void *self)
{
    (void)self;
    return NOON;
}

struct scene {
    char directory[32];
    char events[64];
    char errors[64];
    int true_stderr;
};

static int begin(void **state)
{
    struct scene *scene = memory_new(sizeof(*scene));
    strcpy(scene->directory, "/tmp/log_test-XXXXXX");
    if (!mkdtemp(scene->directory))
        return -1;
    snprintf(scene->events, sizeof(scene->events), "%s/events.jsonl", scene->directory);
    snprintf(scene->errors, sizeof(scene->errors), "%s/stderr", scene->directory);
    scene->true_stderr = dup(STDERR_FILENO);
    int file = open(scene->errors, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(file, STDERR_FILENO);
    close(file);
    *state = scene;
    return 0;
}

static int end(void **state)
{
    struct scene *scene = *state;
    dup2(scene->true_stderr, STDERR_FILENO);
    close(scene->true_stderr);
    unlink(scene->events);
    unlink(scene->errors);
    rmdir(scene->directory);
    free(scene);
    return 0;
}

static struct log *open_log(struct log_options options)
{
    options.clock = (struct clock){ .now_ns = noon };
    return log_open(&options);
}

static void assert_file(const char *path, const char *expected)
{
    char *data;
    size_t length;
    struct error err = { 0 };
    assert_int_equal(text_read_file(path, 1 << 20, &data, &length, &err), 0);
    assert_string_equal(data, expected);
    free(data);
}

static void plain_lines_are_for_grep(void **state)
{
    struct scene *scene = *state;
    struct log *log = open_log((struct log_options){ .level = LOG_INFO });
    LOG(log, LOG_INFO, "engine", "order filled", F_STR("symbol", "BTC/USDT:USDT"),
        F_DEC("qty", decimal_text("0.10")), F_INT("n", INT64_MIN), F_DBL("slip", 0.1),
        F_STR("why", "two words"), F_STR("empty", ""), F_STR("none", NULL));
    log_set_market_time(log, 0);
    log_line(log, LOG_ERROR, "feed", "gone");
    log_close(log);
    assert_file(scene->errors,
                "2024-01-01T12:00:01.000000000Z info engine \"order filled\" symbol=BTC/USDT:USDT "
                "qty=0.1 n=-9223372036854775808 slip=0.1 why=\"two words\" empty=\"\" none=-\n"
                "2024-01-01T12:00:01.000000000Z error feed \"gone\" "
                "market_time=1970-01-01T00:00:00.000000000Z\n");
}

static void terminal_lines_are_short(void **state)
{
    struct scene *scene = *state;
    struct log *log = open_log((struct log_options){ .terminal = true });
    LOG(log, LOG_INFO, "engine", "order filled", F_STR("symbol", "BTC/USDT:USDT"),
        F_DEC("qty", decimal_text("0.1")));
    log_line(log, LOG_WARN, "reconciliation", "slow");
    log_close(log);
    log = open_log((struct log_options){ .terminal = true, .colour = true });
    log_line(log, LOG_ERROR, "a", "b");
    log_close(log);
    assert_file(scene->errors,
                "12:00:01 info  engine   order filled  symbol=BTC/USDT:USDT qty=0.1\n"
                "12:00:01 warn  reconciliation slow\n"
                "12:00:01 \033[31merror\033[0m a        b\n");
}

/* A venue's message must not drive the operator's terminal, nor forge a second line. */
static void control_characters_are_escaped(void **state)
{
    struct scene *scene = *state;
    struct log *log = open_log((struct log_options){ .terminal = true });
    LOG(log, LOG_INFO, "a", "x\n12:00:02 info forged\033[2J",
        F_STR("v", "\r\t\x7f\xc2\x9b\xff\xc3\xa9"));
    log_close(log);
    assert_file(scene->errors, "12:00:01 info  a        x\\n12:00:02 info forged\\x1b[2J  "
                               "v=\\r\\t\\x7f\\xc2\\x9b\\xff\xc3\xa9\n");
}

static void events_are_json_lines(void **state)
{
    struct scene *scene = *state;
    struct error err = { 0 };
    struct log *log = open_log((struct log_options){ .level = LOG_ERROR });
    assert_int_equal(log_attach_file(log, scene->events, &err), 0);
    LOG(log, LOG_INFO, "engine", "a \"b\"\n", F_STR("s", NULL), F_INT("i", 7), F_DBL("d", NAN),
        F_DEC("q", decimal_text("1.50")), F_DEC("none", DECIMAL_NONE));
    log_line(log, LOG_DEBUG, "engine", "not for the file");
    log_set_market_time(log, 0);
    log_line(log, LOG_WARN, "feed", "late");
    log_close(log);
    assert_file(scene->errors, ""); /* both are below the level of stderr */
    assert_file(scene->events,
                "{\"time\":\"2024-01-01T12:00:01.000000000Z\",\"level\":\"info\","
                "\"component\":\"engine\",\"message\":\"a \\\"b\\\"\\n\",\"s\":null,\"i\":7,"
                "\"d\":null,\"q\":\"1.5\",\"none\":null}\n"
                "{\"time\":\"2024-01-01T12:00:01.000000000Z\","
                "\"market_time\":\"1970-01-01T00:00:00.000000000Z\",\"level\":\"warn\","
                "\"component\":\"feed\",\"message\":\"late\"}\n");
    struct stat info;
    assert_int_equal(stat(scene->events, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void levels_choose_what_is_shown(void **state)
{
    struct scene *scene = *state;
    struct error err = { 0 };
    struct log *log =
        open_log((struct log_options){ .level = LOG_DEBUG, .quiet = true, .terminal = true });
    assert_int_equal(log_attach_file(log, scene->events, &err), 0);
    log_line(log, LOG_DEBUG, "a", "1");
    log_line(log, LOG_INFO, "a", "2");
    log_line(log, LOG_WARN, "a", "3");
    log_close(log);
    assert_file(scene->errors, "12:00:01 warn  a        3\n");

    char *data;
    size_t length;
    assert_int_equal(text_read_file(scene->events, 1 << 20, &data, &length, &err), 0);
    assert_non_null(strstr(data, "\"message\":\"1\"")); /* the level is lower than info */
    free(data);

    enum log_level level;
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("INFO", &level));
    assert_false(log_level_parse("", &level));
}

static void long_values_are_cut(void **state)
{
    struct scene *scene = *state;
    struct error err = { 0 };
    char value[5000], *data;
    size_t length;
    memset(value, 1, sizeof(value)); /* the worst: four bytes each when escaped, six in JSON */
    value[sizeof(value) - 1] = '\0';
    struct log_field fields[64];
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        fields[i] = F_STR(value, value);
    struct log *log = open_log((struct log_options){ 0 });
    assert_int_equal(log_attach_file(log, scene->events, &err), 0);
    log_fields(log, LOG_INFO, value, value, fields, ARRAY_SIZE(fields));
    log_close(log);

    assert_int_equal(text_read_file(scene->errors, 1 << 20, &data, &length, &err), 0);
    assert_true(text_ends_with(data, "\\x01...\n"));
    free(data);
    assert_int_equal(text_read_file(scene->events, 1 << 20, &data, &length, &err), 0);
    assert_true(text_ends_with(data, "\\u0001...\"}\n"));
    free(data);
}

static void a_full_disk_is_reported_once_and_counted(void **state)
{
    struct scene *scene = *state;
    struct error err = { 0 };
    if (access("/dev/full", W_OK) != 0)
        skip();
    struct log *log = open_log((struct log_options){ .level = LOG_ERROR, .terminal = true });
    assert_int_equal(log_attach_file(log, "/dev/full", &err), 0);
    for (int i = 0; i < 3; i++)
        log_line(log, LOG_INFO, "a", "b");
    log_close(log);
    assert_file(scene->errors,
                "12:00:01 error log      the events file cannot be written  records_lost=1\n"
                "12:00:01 error log      the events file is not complete  records_lost=3\n");
}

/* A short write sets no errno: what some earlier call left there is not the reason. */
static void a_disk_that_fills_up_at_the_start_is_an_error(void **state)
{
    struct scene *scene = *state;
    struct error err = { 0 };
    struct log *log = open_log((struct log_options){ 0 });
    log_line(log, LOG_INFO, "a", "before there was a file");

    struct rlimit was, short_of_room;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    short_of_room = (struct rlimit){ .rlim_cur = 4096, .rlim_max = was.rlim_max };
    int file = open(scene->events, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(ftruncate(file, 4096 - 10), 0);
    close(file);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &short_of_room), 0);
    errno = EEXIST;
    int code = log_attach_file(log, scene->events, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(code, ERROR_IO);
    assert_non_null(strstr(err.message, "No space left on device"));
    log_close(log);
}

static void an_impossible_file_is_an_error(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct log *log = open_log((struct log_options){ 0 });
    assert_int_equal(log_attach_file(log, "/nowhere/events.jsonl", &err), ERROR_IO);
    assert_non_null(strstr(err.message, "/nowhere/events.jsonl"));
    log_close(log);
    log_line(NULL, LOG_ERROR, "a", "nothing happens");
    log_set_market_time(NULL, 0);
    log_close(NULL);
}

static void count_call(void *self)
{
    int *calls = self;
    ++*calls;
}

/* The status line is wiped before a record and drawn again after it. */
static void lines_are_announced(void **state)
{
    (void)state;
    int calls = 0;
    struct log *log = open_log((struct log_options){ .level = LOG_WARN, .terminal = true });
    log_on_line(log, count_call, count_call, &calls);
    log_line(log, LOG_WARN, "a", "b");
    log_line(log, LOG_INFO, "a", "not shown");
    log_close(log);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_lines_are_for_grep, begin, end),
        cmocka_unit_test_setup_teardown(terminal_lines_are_short, begin, end),
        cmocka_unit_test_setup_teardown(control_characters_are_escaped, begin, end),
        cmocka_unit_test_setup_teardown(events_are_json_lines, begin, end),
        cmocka_unit_test_setup_teardown(levels_choose_what_is_shown, begin, end),
        cmocka_unit_test_setup_teardown(long_values_are_cut, begin, end),
        cmocka_unit_test_setup_teardown(a_full_disk_is_reported_once_and_counted, begin, end),
        cmocka_unit_test_setup_teardown(a_disk_that_fills_up_at_the_start_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(an_impossible_file_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(lines_are_announced, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
