/* sentinel_test.c - who hears an emergency while the engine's thread hangs. What hangs here is a
 * child that waits for ever; nobody waits for it by time alone, but for its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/operate/latch.h"
#include "runtime/operate/sentinel.h"

#define AGAIN "what a hung process becomes"
#define FOREVER (3600 * NS_PER_SECOND)

struct place {
    char folder[64], file[96], latch[96];
    struct sentinel_options options;
    struct sentinel *sentinel;
};

static int enter(void **state)
{
    struct place *place = memory_new(sizeof(*place));
    struct error err = { 0 };
    strcpy(place->folder, "/tmp/sentinel_test_XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof(place->file), "%s/EMERGENCY_STOP", place->folder);
    snprintf(place->latch, sizeof(place->latch), "%s/halt-paper.latch", place->folder);
    place->options = (struct sentinel_options){
        .state_dir = place->folder, .patience_ns = FOREVER, .stop_ns = FOREVER, .wall = clock_wall()
    };
    *state = place;
    return latch_open(place->folder, "paper", &place->options.latch_fd, &err);
}

static int leave(void **state)
{
    struct place *place = *state;
    sentinel_close(place->sentinel);
    close(place->options.latch_fd);
    unlink(place->file);
    unlink(place->latch);
    rmdir(place->folder);
    free(place);
    return 0;
}

static void begin(struct place *place)
{
    struct error err = { 0 };
    assert_int_equal(sentinel_open(&place->options, &place->sentinel, &err), 0);
    assert_null(sentinel_heard(place->sentinel));
}

static const char *wait_for_news(const struct place *place)
{
    const char *how;
    while (!(how = sentinel_heard(place->sentinel)))
        sched_yield();
    return how;
}

static struct latch_record look(const struct place *place)
{
    struct latch_record seen;
    assert_int_equal(latch_read(place->options.latch_fd, &seen), 0);
    return seen;
}

static void the_signal_is_heard(void **state)
{
    struct place *place = *state;
    begin(place);
    kill(getpid(), SIGUSR2);
    assert_string_equal(wait_for_news(place), "SIGUSR2");
    assert_false(look(place).set); /* there is time yet */
}

static void the_file_is_heard(void **state)
{
    struct place *place = *state;
    begin(place);
    int fd = open(place->file, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(wait_for_news(place), "the file EMERGENCY_STOP");
}

static void a_request_is_heard_and_the_first_one_counts(void **state)
{
    struct place *place = *state;
    begin(place);
    sentinel_ask(place->sentinel, "first");
    sentinel_ask(place->sentinel, "second");
    assert_string_equal(sentinel_heard(place->sentinel), "first");
    sentinel_ask(NULL, "nobody");
    sentinel_begun(NULL);
    sentinel_done(NULL);
    sentinel_close(NULL);
    assert_null(sentinel_heard(NULL));
}

/* Ends in a child; says with what. */
static int end_of_a_hung_one(struct place *place, void (*hang)(struct place *place))
{
    pid_t child = fork();
    if (child == 0) {
        struct error err = { 0 };
        if (sentinel_open(&place->options, &place->sentinel, &err) < 0)
            _exit(1);
        hang(place);
        for (;;)
            pause();
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void asks_and_hangs(struct place *place)
{
    sentinel_ask(place->sentinel, "a test");
}

static void one_that_hangs_is_ended_with_the_latch_set(void **state)
{
    struct place *place = *state;
    place->options.patience_ns = NS_PER_MS;
    assert_int_equal(end_of_a_hung_one(place, asks_and_hangs), 75);
    struct latch_record seen = look(place);
    assert_true(seen.set && seen.emergency);
    assert_string_equal(seen.code, "emergency_stop");
    assert_non_null(strstr(seen.reason, "a test"));
}

/* The new program has SIGUSR2 blocked, and nothing else. */
static void one_that_hangs_becomes_the_program_again(void **state)
{
    struct place *place = *state;
    char program[] = "sentinel_test", word[] = AGAIN;
    char *argv[] = { program, word, NULL };
    place->options.patience_ns = NS_PER_MS;
    place->options.argv = argv;
    assert_int_equal(end_of_a_hung_one(place, asks_and_hangs), 42);
}

static void begins_and_hangs(struct place *place)
{
    sentinel_ask(place->sentinel, "a test");
    sentinel_begun(place->sentinel);
}

static void a_stop_that_begins_and_hangs_is_ended_too(void **state)
{
    struct place *place = *state;
    place->options.stop_ns = NS_PER_MS; /* and patience for ever */
    assert_int_equal(end_of_a_hung_one(place, begins_and_hangs), 75);
}

static void is_done(struct place *place)
{
    sentinel_ask(place->sentinel, "a test");
    sentinel_done(place->sentinel);
    sentinel_close(place->sentinel);
    _exit(7);
}

static void one_that_is_done_is_left_alone(void **state)
{
    struct place *place = *state;
    place->options.stop_ns = NS_PER_MS;
    assert_int_equal(end_of_a_hung_one(place, is_done), 7);
    assert_false(look(place).set);
}

/* Nothing to be set: it ends all the same. */
static void without_a_latch_it_ends_too(void **state)
{
    struct place *place = *state;
    int latch_fd = place->options.latch_fd;
    place->options.patience_ns = NS_PER_MS;
    place->options.latch_fd = -1;
    assert_int_equal(end_of_a_hung_one(place, asks_and_hangs), 75);
    place->options.latch_fd = latch_fd;
    assert_false(look(place).set);
}

static void signals_itself(struct place *place)
{
    (void)place;
    kill(getpid(), SIGUSR2);
}

/* It latches and waits to be killed: its guardian cancels then. */
static void a_guardian_is_told_and_does_the_rest(void **state)
{
    struct place *place = *state;
    sigset_t set, before;
    int number, status;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &before);
    place->options.patience_ns = NS_PER_MS;
    place->options.guardian_pid = getpid();
    pid_t child = fork();
    if (child == 0) {
        struct error err = { 0 };
        if (sentinel_open(&place->options, &place->sentinel, &err) < 0)
            _exit(1);
        signals_itself(place);
        for (;;)
            pause();
    }
    assert_int_equal(sigwait(&set, &number), 0); /* told by the child */
    struct latch_record seen = look(place);
    while (!seen.set) {
        sched_yield();
        seen = look(place);
    }
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void no_directory_is_an_error(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    place->options.state_dir = "/nowhere/at/all";
    assert_int_equal(sentinel_open(&place->options, &place->sentinel, &err), ERROR_IO);
    assert_null(place->sentinel);
    place->options.state_dir = place->folder;
}

static int be_the_program_again(void)
{
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++)
        if (sigismember(&mask, number) != (number == SIGUSR2))
            return 1;
    return 42;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], AGAIN) == 0)
        return be_the_program_again();
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(the_signal_is_heard),
        TEST(the_file_is_heard),
        TEST(a_request_is_heard_and_the_first_one_counts),
        TEST(one_that_hangs_is_ended_with_the_latch_set),
        TEST(one_that_hangs_becomes_the_program_again),
        TEST(a_stop_that_begins_and_hangs_is_ended_too),
        TEST(one_that_is_done_is_left_alone),
        TEST(without_a_latch_it_ends_too),
        TEST(a_guardian_is_told_and_does_the_rest),
        TEST(no_directory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
