/* status_test.c - the live line, as a terminal receives it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "runtime/operate/status.h"

#define CLEAR "\r\033[K"

/* A terminal: what is written to `side` is read from `keeper`. */
struct terminal {
    int keeper, side;
    char seen[8192];
};

static void terminal_open(struct terminal *terminal, unsigned short columns)
{
    struct winsize size = { .ws_row = 24, .ws_col = columns };
    struct termios mode;
    terminal->keeper = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(terminal->keeper >= 0);
    assert_int_equal(grantpt(terminal->keeper) | unlockpt(terminal->keeper), 0);
    terminal->side = open(ptsname(terminal->keeper), O_RDWR | O_NOCTTY);
    assert_true(terminal->side >= 0);
    assert_int_equal(tcgetattr(terminal->side, &mode), 0);
    mode.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(terminal->side, TCSANOW, &mode), 0);
    assert_int_equal(ioctl(terminal->side, TIOCSWINSZ, &size), 0);
}

static void terminal_close(struct terminal *terminal)
{
    close(terminal->side);
    close(terminal->keeper);
}

/* What came since the last time: up to a mark that is written behind it, for what a terminal has
 * taken arrives at its other end later, and in parts. */
static const char *seen(struct terminal *terminal)
{
    static const char mark = '\x1e';
    struct pollfd keeper = { .fd = terminal->keeper, .events = POLLIN };
    size_t length = 0;
    assert_int_equal(write(terminal->side, &mark, 1), 1);
    do {
        assert_int_equal(poll(&keeper, 1, 10000), 1);
        ssize_t got =
            read(terminal->keeper, terminal->seen + length, sizeof(terminal->seen) - 1 - length);
        assert_true(got > 0);
        length += (size_t)got;
    } while (terminal->seen[length - 1] != mark);
    terminal->seen[length - 1] = '\0';
    return terminal->seen;
}

static struct status_facts facts(void)
{
    return (struct status_facts){ .mode = "PAPER",
                                  .market_ns = INT64_C(1704067200) * NS_PER_SECOND,
                                  .equity = decimal_text("101.23456"),
                                  .equity_start = decimal_int(100),
                                  .positions = "BTC +0.001",
                                  .open_orders = 2,
                                  .fills = 7,
                                  .events = 100,
                                  .progress = -1 };
}

static void a_line_says_where_the_run_is(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 120);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    status_draw(status, &now, 0, false);
    assert_string_equal(seen(&terminal), CLEAR "PAPER  2024-01-01 00:00:00  equity 101.23 (+1.23%)"
                                               "  orders 2  fills 7  BTC +0.001");
    status_close(status);
    assert_string_equal(seen(&terminal), CLEAR);
    terminal_close(&terminal);
}

/* Events a second between two draws, not since the start: a stall must be seen. */
static void the_rate_is_that_of_now(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 120);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    status_draw(status, &now, 0, true);
    assert_null(strstr(seen(&terminal), "ev/s"));
    now.events = 50100;
    status_draw(status, &now, NS_PER_SECOND, true);
    assert_non_null(strstr(seen(&terminal), "  50k ev/s"));
    now.events = 50300;
    status_draw(status, &now, 2 * NS_PER_SECOND, true);
    assert_non_null(strstr(seen(&terminal), "  200 ev/s"));
    status_close(status);
    terminal_close(&terminal);
}

static void progress_is_a_bar_with_an_end(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 160);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    now.progress = 0;
    status_draw(status, &now, 0, true);
    assert_non_null(strstr(seen(&terminal), "[....................] 0%  equity"));
    now.progress = 0.25;
    status_draw(status, &now, 10 * NS_PER_SECOND, true);
    assert_non_null(strstr(seen(&terminal), "[#####...............] 25% ETA 30s"));
    now.progress = 1.5;
    status_draw(status, &now, 50 * NS_PER_SECOND, true);
    assert_non_null(strstr(seen(&terminal), "[####################] 100%  equity"));
    status_close(status);
    terminal_close(&terminal);
}

/* A line that wraps cannot be cleared again: the screen would fill with halves of it. */
static void a_line_is_cut_to_the_width(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 20);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    status_draw(status, &now, 0, true);
    assert_string_equal(seen(&terminal), CLEAR "PAPER  2024-01-01 0");
    now.note = "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
               "\xc3\xa9\xc3\xa9\xc3\xa9"; /* 13 letters of two bytes */
    status_draw(status, &now, 0, true);
    assert_string_equal(seen(&terminal),
                        CLEAR "PAPER  \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                              "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    status_close(status);
    terminal_close(&terminal);
}

/* A symbol comes from outside: it must not move the cursor. */
static void control_characters_are_not_sent(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 160);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    now.positions = "A\033[2J \x9b \xc2\x9b";
    status_draw(status, &now, 0, true);
    assert_non_null(strstr(seen(&terminal), "A?[2J ? ?"));
    status_close(status);
    terminal_close(&terminal);
}

static void it_draws_ten_times_a_second(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 120);
    struct status *status = status_open(terminal.side, false, NULL);
    struct status_facts now = facts();
    status_draw(status, &now, 0, false);
    seen(&terminal);
    status_draw(status, &now, 99 * NS_PER_MS, false);
    assert_string_equal(seen(&terminal), "");
    status_draw(status, &now, 100 * NS_PER_MS, false);
    assert_string_not_equal(seen(&terminal), "");
    status_draw(status, &now, 101 * NS_PER_MS, true);
    assert_string_not_equal(seen(&terminal), "");
    status_close(status);
    terminal_close(&terminal);
}

static void live_is_red(void **state)
{
    (void)state;
    struct terminal terminal;
    terminal_open(&terminal, 120);
    struct status *status = status_open(terminal.side, true, NULL);
    struct status_facts now = facts();
    now.mode = "LIVE";
    status_draw(status, &now, 0, true);
    assert_non_null(strstr(seen(&terminal), CLEAR "\033[1;31mLIVE\033[0m  2024"));
    status_close(status);
    terminal_close(&terminal);
}

/* stderr is the terminal here, as it is for users: a log line goes between, on a clean line. */
static void a_log_line_clears_it_and_draws_it_again(void **state)
{
    (void)state;
    struct terminal terminal;
    struct log_options options = { .level = LOG_INFO, .terminal = true, .clock = clock_wall() };
    terminal_open(&terminal, 120);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(terminal.side, STDERR_FILENO) >= 0);
    struct log *log = log_open(&options);
    struct status *status = status_open(STDERR_FILENO, false, log);
    log_line(log, LOG_INFO, "test", "before"); /* nothing is shown yet: nothing to clear */
    assert_null(strstr(seen(&terminal), CLEAR));
    struct status_facts now = facts();
    status_draw(status, &now, 0, true);
    seen(&terminal);
    log_line(log, LOG_INFO, "test", "hello");
    const char *text = seen(&terminal);
    assert_true(strncmp(text, CLEAR, strlen(CLEAR)) == 0);
    const char *hello = strstr(text, "hello");
    assert_non_null(hello);
    assert_non_null(strstr(hello, "\n" CLEAR "PAPER"));
    status_close(status);
    seen(&terminal);
    log_line(log, LOG_INFO, "test", "after");
    assert_null(strstr(seen(&terminal), CLEAR));
    log_close(log);
    dup2(saved, STDERR_FILENO);
    close(saved);
    terminal_close(&terminal);
}

static void without_a_terminal_nothing_happens(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct status *status = status_open(ends[1], true, NULL);
    struct status_facts now = facts();
    assert_null(status);
    status_draw(status, &now, 0, true);
    status_close(status);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_where_the_run_is),
        cmocka_unit_test(the_rate_is_that_of_now),
        cmocka_unit_test(progress_is_a_bar_with_an_end),
        cmocka_unit_test(a_line_is_cut_to_the_width),
        cmocka_unit_test(control_characters_are_not_sent),
        cmocka_unit_test(it_draws_ten_times_a_second),
        cmocka_unit_test(live_is_red),
        cmocka_unit_test(a_log_line_clears_it_and_draws_it_again),
        cmocka_unit_test(without_a_terminal_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
