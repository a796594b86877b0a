/* guardian_test.c - children that end, crash and hang under a guardian. Nothing is timed: who has
 * to wait for somebody waits for a byte, or the end, of a pipe. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/operate/guardian.h"
#include "runtime/operate/latch.h"

#define SOON (20 * NS_PER_MS)
#define IN_A_WHILE (500 * NS_PER_MS) /* where a child must come to its first words before */
#define FOREVER (3600 * NS_PER_SECOND)

/* What children say, in order, and what the test says to them. */
struct scene {
    int told[2], asked[2];
    int code;        /* of a trading child that ends */
    unsigned fails;  /* so many children before it fail */
    int cancel_code; /* of cancel_entries */
    struct guardian_options options;
};

static void tell(const struct scene *scene, char letter)
{
    ssize_t written = write(scene->told[1], &letter, 1);
    if (written != 1)
        _exit(99);
}

static void tell_remaining(void *self)
{
    tell(self, 'r');
}

static int cancel_entries(void *self, int heartbeat_fd, bool emergency)
{
    const struct scene *scene = self;
    guardian_beat(heartbeat_fd);
    tell(scene, emergency ? 'E' : 'c');
    return scene->cancel_code;
}

/* Each child says its number. */
static bool is_to_fail(struct scene *scene, unsigned restarts)
{
    tell(scene, (char)('0' + restarts));
    return restarts < scene->fails;
}

static int crashes_then_ends(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    guardian_beat(heartbeat_fd);
    if (is_to_fail(scene, restarts))
        raise(SIGKILL);
    return scene->code;
}

static int ends_as_the_watchdog_does(void *self, int heartbeat_fd, unsigned restarts)
{
    (void)heartbeat_fd;
    return is_to_fail(self, restarts) ? 70 : ((struct scene *)self)->code;
}

/* Beats once, then hangs in a way that no signal but SIGKILL ends. Who ends does not beat, so that
 * no machine is too slow for it. */
static int hangs_then_ends(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    if (!is_to_fail(scene, restarts))
        return scene->code;
    guardian_beat(heartbeat_fd);
    for (;;)
        pause();
}

static int hangs_before_it_begins(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    (void)heartbeat_fd;
    if (is_to_fail(scene, restarts))
        for (;;)
            pause();
    return scene->code;
}

static int setup(void **state)
{
    struct scene *scene = memory_new(sizeof(*scene));
    assert_int_equal(pipe2(scene->told, O_CLOEXEC), 0);
    assert_int_equal(pipe2(scene->asked, O_CLOEXEC), 0);
    scene->options = (struct guardian_options){
        .self = scene,
        .trade = crashes_then_ends,
        .cancel_entries = cancel_entries,
        .tell_remaining = tell_remaining,
        .start_ns = FOREVER,
        .hang_ns = FOREVER,
        .cancel_ns = FOREVER,
        .backoff_ns = 1,
        .backoff_max_ns = 1,
        .window_ns = FOREVER,
        .failures_max = 3,
        .emergency_ns = FOREVER,
    };
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    for (int i = 0; i < 2; i++) {
        close(scene->told[i]);
        close(scene->asked[i]);
    }
    free(scene);
    return 0;
}

static int run(struct scene *scene)
{
    struct error err = { 0 };
    return guardian_run(&scene->options, &err);
}

/* All that children said. */
static void assert_told(struct scene *scene, const char *wanted)
{
    char told[64] = "";
    close(scene->told[1]);
    ssize_t length = read(scene->told[0], told, sizeof(told) - 1);
    assert_true(length >= 0);
    assert_string_equal(told, wanted);
    scene->told[1] = -1;
}

static void a_final_code_passes_through(void **state)
{
    struct scene *scene = *state;
    static const int codes[] = { 0, 64, 65, 66, 69, 74, 75, 77, 78, 130 };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        scene->code = codes[i];
        assert_int_equal(run(scene), codes[i]);
    }
    assert_told(scene, "0000000000");
}

static void a_crash_starts_it_again(void **state)
{
    struct scene *scene = *state;
    scene->fails = 2;
    scene->code = 75;
    assert_int_equal(run(scene), 75);
    assert_told(scene, "012");
}

static void the_watchdogs_code_starts_it_again(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = ends_as_the_watchdog_does;
    scene->fails = 1;
    assert_int_equal(run(scene), 0);
    assert_told(scene, "01");
}

static void one_that_hangs_is_killed_and_started_again(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = hangs_then_ends;
    scene->options.hang_ns = SOON;
    scene->fails = 1;
    assert_int_equal(run(scene), 0);
    assert_told(scene, "01");
}

static void one_that_never_begins_is_killed(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = hangs_before_it_begins;
    scene->options.start_ns = IN_A_WHILE;
    scene->fails = 1;
    assert_int_equal(run(scene), 0);
    assert_told(scene, "01");
}

/* Entries must not rest where nobody watches them. */
static void after_three_failures_the_entries_are_canceled(void **state)
{
    struct scene *scene = *state;
    scene->fails = 9;
    assert_int_equal(run(scene), ERROR_INTERNAL);
    assert_told(scene, "012c");
}

static void what_cannot_be_canceled_is_told(void **state)
{
    struct scene *scene = *state;
    scene->fails = 9;
    scene->cancel_code = 69;
    assert_int_equal(run(scene), ERROR_HALTED);
    assert_told(scene, "012cr");
}

static int cancel_hangs(void *self, int heartbeat_fd, bool emergency)
{
    (void)emergency;
    tell(self, 'h');
    do
        guardian_beat(heartbeat_fd); /* alive, and yet it does not end */
    while (getppid() > 0);
    return 0;
}

static void canceling_is_bounded(void **state)
{
    struct scene *scene = *state;
    scene->fails = 9;
    scene->options.cancel_entries = cancel_hangs;
    scene->options.cancel_ns = IN_A_WHILE;
    assert_int_equal(run(scene), ERROR_HALTED);
    assert_told(scene, "012hr");
}

/* Failures that lie apart are no reason to give up. */
static void failures_outside_the_window_do_not_add_up(void **state)
{
    struct scene *scene = *state;
    scene->options.window_ns = 0;
    scene->options.backoff_ns = scene->options.backoff_max_ns = NS_PER_MS;
    scene->fails = 6;
    assert_int_equal(run(scene), 0);
    assert_told(scene, "0123456");
}

/* ---- a guardian in a process of its own ---- */

static pid_t start_guardian(struct scene *scene)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct error err = { 0 };
        close(scene->told[0]);
        close(scene->asked[1]);
        int code = guardian_run(&scene->options, &err);
        _exit(code < 0 ? -code : code);
    }
    close(scene->told[1]);
    scene->told[1] = -1;
    return pid;
}

static char next_told(const struct scene *scene)
{
    char letter = '-';
    ssize_t length = read(scene->told[0], &letter, 1);
    assert_true(length >= 0);
    return letter; /* '-': nobody is left who could say anything */
}

static int end_of(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Says which signals come, and ends with the first one but SIGUSR2. */
static int says_signals(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    guardian_beat(heartbeat_fd);
    tell(scene, (char)('0' + restarts));
    do { /* they wait since the beginning: none is lost */
        sigwait(&set, &number);
        tell(scene, number == SIGINT ? 'I' : number == SIGTERM ? 'T' : 'U');
    } while (number == SIGUSR2);
    return 0;
}

static void signals_are_passed_on(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = says_signals;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGPIPE); /* does nothing to it */
    kill(guardian, SIGUSR2);
    assert_int_equal(next_told(scene), 'U');
    kill(guardian, SIGTERM);
    assert_int_equal(next_told(scene), 'T');
    /* It ended as if nothing had been wrong: the emergency is not over with that. */
    assert_int_equal(next_told(scene), 'E');
    assert_int_equal(end_of(guardian), 75);
    assert_int_equal(next_told(scene), '-');
}

/* The child waits for the test's word, then dies. */
static int dies_when_told(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    char byte;
    guardian_beat(heartbeat_fd);
    tell(scene, (char)('0' + restarts));
    if (read(scene->asked[0], &byte, 1) == 1)
        raise(SIGKILL);
    return 0;
}

/* Who asked to stop does not want it started again, and nobody else will cancel its entries. */
static void one_that_dies_while_stopping_is_not_started_again(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = dies_when_told;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGTERM);
    assert_int_equal(write(scene->asked[1], "x", 1), 1);
    assert_int_equal(next_told(scene), 'c');
    assert_int_equal(end_of(guardian), 70);
}

static void a_stop_ends_the_pause_before_a_restart(void **state)
{
    struct scene *scene = *state;
    scene->options.backoff_ns = scene->options.backoff_max_ns = FOREVER;
    scene->fails = 9;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGINT); /* before or in the pause: the same */
    assert_int_equal(next_told(scene), 'c');
    assert_int_equal(end_of(guardian), 70);
}

static void an_emergency_cancels_everything(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = dies_when_told;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGUSR2);
    assert_int_equal(write(scene->asked[1], "x", 1), 1);
    assert_int_equal(next_told(scene), 'E');
    assert_int_equal(end_of(guardian), 75);
}

/* Alive and well, but busy with something else than stopping. */
static int only_beats(void *self, int heartbeat_fd, unsigned restarts)
{
    tell(self, (char)('0' + restarts));
    do
        guardian_beat(heartbeat_fd);
    while (getppid() > 0);
    return 0;
}

static void in_an_emergency_a_child_that_does_not_end_is_killed(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = only_beats;
    scene->options.emergency_ns = SOON;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGUSR2);
    assert_int_equal(next_told(scene), 'E');
    assert_int_equal(end_of(guardian), 75);
}

static int ends_with_75(void *self, int heartbeat_fd, unsigned restarts)
{
    sigset_t set;
    int number;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    guardian_beat(heartbeat_fd);
    tell(self, (char)('0' + restarts));
    sigwait(&set, &number);
    return 75;
}

static void a_child_that_did_it_itself_is_believed(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = ends_with_75;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGUSR2);
    assert_int_equal(end_of(guardian), 75);
    assert_int_equal(next_told(scene), '-');
}

/* Canceling entries alone is no longer enough. */
static int cancels_entries_slowly(void *self, int heartbeat_fd, bool emergency)
{
    guardian_beat(heartbeat_fd);
    tell(self, emergency ? 'E' : 'c');
    while (!emergency && getppid() > 0)
        pause();
    return 0;
}

static void an_emergency_while_entries_are_canceled_begins_anew(void **state)
{
    struct scene *scene = *state;
    scene->fails = 9;
    scene->options.failures_max = 1;
    scene->options.cancel_entries = cancels_entries_slowly;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    assert_int_equal(next_told(scene), 'c');
    kill(guardian, SIGUSR2);
    assert_int_equal(next_told(scene), 'E');
    assert_int_equal(end_of(guardian), 75);
}

/* ---- the file, and the latch ---- */

struct folder {
    char path[64], file[96], latch[96];
};

static void make_folder(struct folder *folder)
{
    strcpy(folder->path, "/tmp/guardian_test_XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->file, sizeof(folder->file), "%s/EMERGENCY_STOP", folder->path);
    snprintf(folder->latch, sizeof(folder->latch), "%s/halt-live.latch", folder->path);
}

static void remove_folder(const struct folder *folder)
{
    unlink(folder->file);
    unlink(folder->latch);
    assert_int_equal(rmdir(folder->path), 0);
}

static void touch(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static void the_file_is_an_emergency_and_sets_the_latch(void **state)
{
    struct scene *scene = *state;
    struct folder folder;
    struct latch_record latch;
    struct error err = { 0 };
    make_folder(&folder);
    scene->options.trade = only_beats;
    scene->options.emergency_ns = SOON;
    scene->options.state_dir = folder.path;
    scene->options.mode = "live";
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    assert_int_equal(latch_look(folder.path, "live", &latch, &err), 0);
    assert_false(latch.set);
    touch(folder.file);
    assert_int_equal(next_told(scene), 'E');
    assert_int_equal(end_of(guardian), 75);
    assert_int_equal(latch_look(folder.path, "live", &latch, &err), 0);
    assert_true(latch.set && latch.emergency);
    remove_folder(&folder);
}

/* The child refuses to start; nothing was stopped. */
static void a_file_that_is_there_at_the_start_is_the_childs_matter(void **state)
{
    struct scene *scene = *state;
    struct folder folder;
    make_folder(&folder);
    touch(folder.file);
    scene->options.state_dir = folder.path;
    scene->options.mode = "live";
    scene->code = 75;
    assert_int_equal(run(scene), 75);
    assert_int_equal(access(folder.latch, F_OK), -1);
    remove_folder(&folder);
    assert_told(scene, "0");
}

static int waits(void *self, int heartbeat_fd, unsigned restarts)
{
    guardian_beat(heartbeat_fd);
    tell(self, (char)('0' + restarts));
    while (getppid() > 0)
        pause();
    return 0;
}

/* A trader without its guardian has nobody who sees it hang. */
static void a_child_dies_with_its_guardian(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = waits;
    pid_t guardian = start_guardian(scene);
    assert_int_equal(next_told(scene), '0');
    kill(guardian, SIGKILL);
    assert_int_equal(end_of(guardian), 128 + SIGKILL);
    assert_int_equal(next_told(scene), '-'); /* the other end is closed: the child is gone */
}

/* ---- what must be as before ---- */

static size_t open_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void nothing_is_left_behind(void **state)
{
    struct scene *scene = *state;
    sigset_t before, after;
    struct sigaction action = { 0 };
    scene->options.hang_ns = SOON;
    scene->options.trade = hangs_then_ends;
    scene->fails = 9;
    scene->cancel_code = 1;
    sigprocmask(SIG_SETMASK, NULL, &before);
    size_t files = open_files();
    assert_int_equal(run(scene), ERROR_HALTED);
    assert_int_equal(open_files(), files);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* neither children nor zombies */
    assert_int_equal(errno, ECHILD);
    sigprocmask(SIG_SETMASK, NULL, &after);
    for (int number = 1; number < 32; number++)
        assert_int_equal(sigismember(&before, number), sigismember(&after, number));
    sigaction(SIGPIPE, NULL, &action);
    assert_true(action.sa_handler == SIG_DFL);
}

static int counts_files(void *self, int heartbeat_fd, unsigned restarts)
{
    struct scene *scene = self;
    (void)restarts;
    guardian_beat(heartbeat_fd);
    return (int)open_files() == scene->code ? 0 : 66;
}

/* Of the guardian's descriptors a child has its end of the heartbeat, and no other. */
static void a_child_has_one_descriptor_more(void **state)
{
    struct scene *scene = *state;
    scene->options.trade = counts_files;
    scene->code = (int)open_files() + 1;
    assert_int_equal(run(scene), 0);
}

/* Beats that nobody reads must not stop the trader. */
static void a_beat_never_blocks(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    for (int i = 0; i < 100000; i++)
        guardian_beat(ends[1]);
    guardian_beat(-1);
    close(ends[0]);
    close(ends[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_final_code_passes_through),
        TEST(a_crash_starts_it_again),
        TEST(the_watchdogs_code_starts_it_again),
        TEST(one_that_hangs_is_killed_and_started_again),
        TEST(one_that_never_begins_is_killed),
        TEST(after_three_failures_the_entries_are_canceled),
        TEST(what_cannot_be_canceled_is_told),
        TEST(canceling_is_bounded),
        TEST(failures_outside_the_window_do_not_add_up),
        TEST(signals_are_passed_on),
        TEST(one_that_dies_while_stopping_is_not_started_again),
        TEST(a_stop_ends_the_pause_before_a_restart),
        TEST(an_emergency_cancels_everything),
        TEST(in_an_emergency_a_child_that_does_not_end_is_killed),
        TEST(a_child_that_did_it_itself_is_believed),
        TEST(an_emergency_while_entries_are_canceled_begins_anew),
        TEST(the_file_is_an_emergency_and_sets_the_latch),
        TEST(a_file_that_is_there_at_the_start_is_the_childs_matter),
        TEST(a_child_dies_with_its_guardian),
        TEST(nothing_is_left_behind),
        TEST(a_child_has_one_descriptor_more),
        TEST(a_beat_never_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
