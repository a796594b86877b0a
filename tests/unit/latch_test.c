/* latch_test.c - the halt that outlives everything: what is set stays, and doubt counts as set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/operate/latch.h"

struct place {
    char folder[64], file[128];
    int fd;
};

static int enter(void **state)
{
    struct place *place = memory_new(sizeof(*place));
    struct error err = { 0 };
    strcpy(place->folder, "/tmp/latch_test_XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof(place->file), "%s/halt-paper.latch", place->folder);
    *state = place;
    return latch_open(place->folder, "paper", &place->fd, &err);
}

static int leave(void **state)
{
    struct place *place = *state;
    if (place->fd >= 0)
        close(place->fd);
    unlink(place->file);
    rmdir(place->folder);
    free(place);
    return 0;
}

static struct latch_record record_of(const char *code, const char *reason, bool emergency)
{
    struct latch_record record = { .set = true,
                                   .emergency = emergency,
                                   .since_ns = INT64_C(1704067200123456789) };
    snprintf(record.code, sizeof(record.code), "%s", code);
    snprintf(record.reason, sizeof(record.reason), "%s", reason);
    return record;
}

static struct latch_record look(const struct place *place)
{
    struct latch_record seen;
    struct error err = { 0 };
    assert_int_equal(latch_look(place->folder, "paper", &seen, &err), 0);
    return seen;
}

static void a_new_one_is_clear_and_has_its_whole_size(void **state)
{
    struct place *place = *state;
    struct stat status;
    assert_false(look(place).set);
    assert_int_equal(stat(place->file, &status), 0);
    assert_int_equal(status.st_size, LATCH_SIZE);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(status.st_blocks * 512 >= LATCH_SIZE); /* its blocks are there, not only promised */
}

static void what_is_set_is_read_back(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("max_daily_loss", "12.5 of 10 \xc3\xa4", false);
    assert_int_equal(latch_set(place->fd, &record), 0);
    struct latch_record seen = look(place);
    assert_true(seen.set);
    assert_false(seen.emergency);
    assert_int_equal(seen.since_ns, record.since_ns);
    assert_string_equal(seen.code, "max_daily_loss");
    assert_string_equal(seen.reason, "12.5 of 10 \xc3\xa4");
}

static void another_mode_is_not_touched(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "b", false), seen;
    struct error err = { 0 };
    assert_int_equal(latch_set(place->fd, &record), 0);
    assert_int_equal(latch_look(place->folder, "live", &seen, &err), 0);
    assert_false(seen.set);
}

static void the_first_reason_stays_but_an_emergency_comes_before_it(void **state)
{
    struct place *place = *state;
    struct latch_record first = record_of("first", "why", false),
                        second = record_of("second", "later", false),
                        emergency = record_of("emergency_stop", "SIGUSR2", true),
                        again = record_of("again", "", true);
    assert_int_equal(latch_set(place->fd, &first), 0);
    assert_int_equal(latch_set(place->fd, &second), 0);
    assert_string_equal(look(place).code, "first");
    assert_int_equal(latch_set(place->fd, &emergency), 0);
    assert_int_equal(latch_set(place->fd, &again), 0);
    assert_int_equal(latch_set(place->fd, &second), 0);
    assert_string_equal(look(place).code, "emergency_stop");
    assert_true(look(place).emergency);
}

static void only_clearing_clears(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "b", true);
    struct error err = { 0 };
    assert_int_equal(latch_set(place->fd, &record), 0);
    close(place->fd);
    assert_int_equal(latch_open(place->folder, "paper", &place->fd, &err), 0);
    assert_true(look(place).set);
    assert_int_equal(latch_clear(place->fd, &err), 0);
    assert_false(look(place).set);
}

/* A reason may come from anywhere: it must not make lines of its own. */
static void a_reason_cannot_forge_a_line(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "x\ncode: forged\nreason: y", false);
    assert_int_equal(latch_set(place->fd, &record), 0);
    assert_string_equal(look(place).code, "a");
    assert_string_equal(look(place).reason, "x code: forged reason: y");
}

static void the_longest_texts_fit(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "b", false);
    memset(record.code, 'c', sizeof(record.code) - 1);
    memset(record.reason, 'r', sizeof(record.reason) - 1);
    assert_int_equal(latch_set(place->fd, &record), 0);
    assert_string_equal(look(place).code, record.code);
    assert_string_equal(look(place).reason, record.reason);
}

static void scribble(const struct place *place, off_t at, const void *bytes, size_t length)
{
    assert_int_equal(pwrite(place->fd, bytes, length, at), length);
}

/* Doubt is no permission, wherever the doubt is. */
static void what_is_no_latch_counts_as_set(void **state)
{
    struct place *place = *state;
    char zeros[LATCH_SIZE] = { 0 };
    struct error err = { 0 };
    for (off_t at = 0; at < LATCH_SIZE; at += 97) {
        char byte;
        assert_int_equal(latch_clear(place->fd, &err), 0);
        assert_int_equal(pread(place->fd, &byte, 1, at), 1);
        byte ^= 1;
        scribble(place, at, &byte, 1);
        if (at % (LATCH_SIZE / 2) == LATCH_SIZE / 2 - 1)
            continue; /* the newline at the end says nothing */
        assert_true(look(place).set);
        assert_string_equal(look(place).code, "latch_unreadable");
    }
    scribble(place, 0, zeros, sizeof(zeros));
    assert_true(look(place).set);
    assert_int_equal(ftruncate(place->fd, 0), 0);
    assert_true(look(place).set);
    assert_int_equal(latch_clear(place->fd, &err), 0);
    assert_false(look(place).set);
}

/* A tear while an emergency is written leaves the halt that was there. */
static void a_half_that_is_torn_can_still_be_set(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("emergency_stop", "why", true);
    scribble(place, LATCH_SIZE / 2, "runtime latch 1: set\ngarbage", 28);
    assert_true(look(place).set);
    assert_int_equal(latch_set(place->fd, &record), 0);
    assert_string_equal(look(place).code, "emergency_stop");
}

static void what_cannot_be_opened_counts_as_set(void **state)
{
    struct place *place = *state;
    struct latch_record seen;
    struct error err = { 0 };
    unlink(place->file);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(latch_look(place->folder, "paper", &seen, &err), ERROR_IO);
    assert_true(seen.set);
    rmdir(place->file);
    assert_int_equal(latch_look(place->folder, "paper", &seen, &err), 0);
    assert_false(seen.set); /* there is none */
}

/* No block of the disk is to be had, as on a full one: the limit of a file's size is 0. */
static void a_full_disk_does_not_keep_it_from_being_set(void **state)
{
    struct place *place = *state;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = { LATCH_SIZE, LATCH_SIZE };
        struct latch_record record = record_of("emergency_stop", "full", true);
        char other[140];
        signal(SIGXFSZ, SIG_IGN);
        snprintf(other, sizeof(other), "%s/other", place->folder);
        if (setrlimit(RLIMIT_FSIZE, &none) != 0)
            _exit(1);
        int fd = open(other, O_RDWR | O_CREAT, 0600);
        bool is_full = fd >= 0 && pwrite(fd, "x", 1, LATCH_SIZE) < 0;
        unlink(other);
        _exit(is_full && latch_set(place->fd, &record) == 0 ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(look(place).emergency);
}

static int handler_fd; /* what the handler below writes to */

static void on_signal(int number)
{
    struct latch_record record = record_of("emergency_stop", "a handler", true);
    (void)number;
    (void)latch_set(handler_fd, &record);
}

static void a_signal_handler_may_set_it(void **state)
{
    struct place *place = *state;
    handler_fd = place->fd;
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    assert_string_equal(look(place).reason, "a handler");
}

/* Two that make it at once make one. */
static void making_it_again_changes_nothing(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "b", false);
    struct error err = { 0 };
    int other;
    assert_int_equal(latch_set(place->fd, &record), 0);
    assert_int_equal(latch_open(place->folder, "paper", &other, &err), 0);
    close(other);
    assert_string_equal(look(place).code, "a");
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct error err = { 0 };
    int fd;
    (void)state;
    assert_int_equal(latch_open("/nowhere/at/all", "paper", &fd, &err), ERROR_IO);
    assert_int_equal(fd, -1);
}

/* ---- what can go wrong with the file ---- */

/* With the sum that any half ends with: FNV-1a over what is before it. */
static void write_half(const struct place *place, off_t at, const char *text)
{
    enum { HALF = LATCH_SIZE / 2, DIGITS = 16, SUM_AT = HALF - DIGITS - 1 };
    char half[HALF + 1];
    uint64_t sum = UINT64_C(14695981039346656037);
    memset(half, ' ', sizeof(half));
    memcpy(half, text, strlen(text));
    for (int i = 0; i < SUM_AT; i++)
        sum = (sum ^ (unsigned char)half[i]) * UINT64_C(1099511628211);
    snprintf(half + SUM_AT, DIGITS + 2, "%016llx\n", (unsigned long long)sum);
    scribble(place, at, half, HALF);
}

/* Whole by its sum, and yet not what we write: set, and nobody knows why. */
static void what_lacks_a_line_counts_as_set(void **state)
{
    struct place *place = *state;
    static const char *const bad[] = {
        "runtime latch 2: clear\n",
        "runtime latch 1: set\n",
        "runtime latch 1: set\nsince_ns: 5\n",
        "runtime latch 1: set\nsince_ns: 5\ncode: a\n",
        "runtime latch 1: set\ncode: a\nreason: b\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        write_half(place, 0, bad[i]);
        struct latch_record seen = look(place);
        assert_true(seen.set);
        assert_string_equal(seen.code, "latch_unreadable");
    }
    write_half(place, 0, "runtime latch 1: set\nsince_ns: 5\ncode: a\nreason: b\n"); /* the frame */
    assert_string_equal(look(place).code, "a");
    assert_int_equal(look(place).since_ns, 5);
    write_half(place, 0, "runtime latch 1: clear\n");
    assert_false(look(place).set);
}

static void what_cannot_be_read_counts_as_set_and_can_be_set(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("emergency_stop", "why", true), seen;
    int fd = open(place->file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(latch_read(fd, &seen), ERROR_IO);
    assert_true(seen.set);
    assert_string_equal(seen.code, "latch_unreadable");
    assert_int_equal(latch_set(fd, &record), 0); /* written without a look */
    close(fd);
    assert_string_equal(look(place).code, "emergency_stop");
}

/* What was not stored is not told to be: neither set nor clear. */
static void what_cannot_be_written_is_an_error(void **state)
{
    struct place *place = *state;
    struct latch_record record = record_of("a", "b", false);
    struct error err = { 0 };
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(latch_set(fd, &record), ERROR_IO);
    assert_int_equal(latch_clear(fd, &err), ERROR_IO);
    assert_non_null(strstr(err.message, "cannot be cleared"));
    close(fd);
    assert_false(look(place).set);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* takes all, and can keep nothing */
    assert_true(fd >= 0);
    assert_int_equal(latch_set(fd, &record), ERROR_IO);
    close(fd);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    char folder[2000];
    struct latch_record seen;
    struct error err = { 0 };
    int fd;
    (void)state;
    memset(folder, 'd', sizeof(folder) - 1);
    folder[sizeof(folder) - 1] = '\0';
    assert_int_equal(latch_open(folder, "paper", &fd, &err), ERROR_USAGE);
    assert_int_equal(fd, -1);
    assert_int_equal(latch_look(folder, "paper", &seen, &err), ERROR_USAGE);
}

static void what_is_in_its_place_is_left_alone(void **state)
{
    struct place *place = *state;
    struct latch_record seen;
    struct error err = { 0 };
    struct stat status;
    int fd;
    unlink(place->file);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(latch_open(place->folder, "paper", &fd, &err), ERROR_IO);
    assert_int_equal(fd, -1);
    assert_int_equal(rmdir(place->file), 0);
    assert_int_equal(symlink("/nowhere/at/all", place->file), 0); /* is no file, and is one */
    assert_int_equal(latch_open(place->folder, "paper", &fd, &err), ERROR_IO);
    assert_int_equal(fd, -1);
    assert_int_equal(lstat(place->file, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(latch_look("/dev/null", "paper", &seen, &err), ERROR_IO); /* no directory */
    assert_true(seen.set);
}

/* Whole or not at all: no draft and no empty latch is left where the disk is full. */
static void a_full_disk_makes_none(void **state)
{
    struct place *place = *state;
    struct rlimit before, none;
    struct error err = { 0 };
    char draft[200];
    int fd;
    unlink(place->file);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int code = latch_open(place->folder, "paper", &fd, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(code, ERROR_IO);
    assert_int_equal(access(place->file, F_OK), -1);
    snprintf(draft, sizeof(draft), "%s.%ld", place->file, (long)getpid());
    assert_int_equal(access(draft, F_OK), -1);
    assert_int_equal(latch_open(place->folder, "paper", &fd, &err), 0);
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_is_clear_and_has_its_whole_size),
        TEST(what_is_set_is_read_back),
        TEST(another_mode_is_not_touched),
        TEST(the_first_reason_stays_but_an_emergency_comes_before_it),
        TEST(only_clearing_clears),
        TEST(a_reason_cannot_forge_a_line),
        TEST(the_longest_texts_fit),
        TEST(what_is_no_latch_counts_as_set),
        TEST(a_half_that_is_torn_can_still_be_set),
        TEST(what_cannot_be_opened_counts_as_set),
        TEST(a_full_disk_does_not_keep_it_from_being_set),
        TEST(a_signal_handler_may_set_it),
        TEST(making_it_again_changes_nothing),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
        TEST(what_lacks_a_line_counts_as_set),
        TEST(what_cannot_be_read_counts_as_set_and_can_be_set),
        TEST(what_cannot_be_written_is_an_error),
        TEST(what_is_in_its_place_is_left_alone),
        TEST(a_full_disk_makes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
