/* control_test.c - the socket of a running instance, as friends and fools use it. One thread: what
 * a peer sent is there when control_poll looks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/operate/control.h"

#define NOBODY 65534

struct place {
    char folder[400], socket[460];
    struct control *control;
    int64_t now_ns; /* what its clock says */
    size_t answered, answer_size;
    bool has_two_lines; /* its answer */
    char request[CONTROL_LINE_MAX + 1], peer[80];
};

static int64_t read_clock(void *self)
{
    return ((struct place *)self)->now_ns;
}

/* Says back how long the request was; or, when told so, something large. */
static void answer(void *self, const char *request, size_t length, const char *peer,
                   struct text *out)
{
    struct place *place = self;
    place->answered++;
    assert_true(length <= CONTROL_LINE_MAX);
    memcpy(place->request, request, length + 1); /* its NUL too */
    snprintf(place->peer, sizeof(place->peer), "%s", peer);
    text_printf(out, "{\"length\":%zu", length);
    if (place->answer_size > 0) {
        char *filler = memory_new(place->answer_size);
        memset(filler, 'x', place->answer_size);
        text_add(out, ",\"x\":\"");
        text_append(out, filler, place->answer_size);
        text_add(out, "\"");
        free(filler);
    }
    text_add(out, place->has_two_lines ? "}\n{}" : "}");
}

static struct control_options options_of(struct place *place)
{
    return (struct control_options){
        .state_dir = place->folder, .clock = { place, read_clock }, .self = place, .answer = answer
    };
}

static int open_place(struct place *place)
{
    struct control_options options = options_of(place);
    struct error err = { 0 };
    snprintf(place->socket, sizeof(place->socket), "%s/control.sock", place->folder);
    int code = control_open(&options, &place->control, &err);
    if (code < 0)
        print_error("%s %s\n", err.where, err.message);
    return code;
}

static int enter(void **state)
{
    struct place *place = memory_new(sizeof(*place));
    strcpy(place->folder, "/tmp/control_test_XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    *state = place;
    return open_place(place);
}

static int leave(void **state)
{
    struct place *place = *state;
    control_close(place->control);
    unlink(place->socket);
    rmdir(place->folder);
    free(place);
    return 0;
}

static int call(const struct place *place)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    assert_true(strlen(place->socket) < sizeof(address.sun_path));
    strcpy(address.sun_path, place->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void say_bytes(int fd, const void *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
}

static void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

/* What is there now. */
static const char *heard(int fd, char *out, size_t size)
{
    ssize_t count = recv(fd, out, size - 1, MSG_DONTWAIT);
    out[count > 0 ? count : 0] = '\0';
    return out;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t count = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return count == 0 || (count < 0 && errno == ECONNRESET);
}

#define HEARD(fd) heard((fd), (char[4096]){ 0 }, 4096)

static void a_line_gets_a_line(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    char who[80];
    say(fd, "{\"command\":\"status\"}\n");
    control_poll(place->control);
    assert_string_equal(HEARD(fd), "{\"length\":20}\n");
    assert_string_equal(place->request, "{\"command\":\"status\"}");
    snprintf(who, sizeof(who), "uid %ld, pid %ld", (long)geteuid(), (long)getpid());
    assert_string_equal(place->peer, who);
    say(fd, "12\n123\n"); /* two at once, in order */
    control_poll(place->control);
    assert_string_equal(HEARD(fd), "{\"length\":2}\n{\"length\":3}\n");
    close(fd);
    control_poll(place->control);
}

static void it_is_the_owners_alone(void **state)
{
    struct place *place = *state;
    struct stat status;
    assert_int_equal(stat(place->socket, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* Even where somebody widened the mode: the kernel says who asks. */
static void another_user_is_refused(void **state)
{
    struct place *place = *state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(place->folder, 0755), 0);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (int mode = 0600; mode <= 0666; mode += 066) {
        assert_int_equal(chmod(place->socket, (mode_t)mode), 0);
        pid_t child = fork();
        if (child == 0) {
            struct sockaddr_un address = { .sun_family = AF_UNIX };
            strcpy(address.sun_path, place->socket);
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
                _exit(9);
            bool reached = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
            char byte = 'x', text[200] = "";
            ssize_t said = reached ? send(fd, "{\"command\":\"halt\"}\n", 19, MSG_NOSIGNAL) : 0;
            if (write(ends[1], &byte, 1) != 1 || said < 0)
                _exit(8);
            if (!reached)
                _exit(1);
            for (size_t have = 0; have < sizeof(text) - 1;) {
                ssize_t count = recv(fd, text + have, sizeof(text) - 1 - have, 0);
                if (count <= 0)
                    break;
                have += (size_t)count;
            }
            _exit(strstr(text, "another user") ? 2 : 3);
        }
        char byte;
        int status;
        assert_int_equal(read(ends[0], &byte, 1), 1);
        control_poll(place->control);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), mode == 0600 ? 1 : 2);
    }
    assert_int_equal(place->answered, 0);
    close(ends[0]);
    close(ends[1]);
}

static void half_a_line_waits_for_its_other_half(void **state)
{
    struct place *place = *state;
    int fd = call(place), other = call(place);
    say(fd, "{\"comm");
    control_poll(place->control);
    assert_int_equal(place->answered, 0);
    say(other, "x\n");
    control_poll(place->control);
    assert_string_equal(HEARD(other), "{\"length\":1}\n");
    say(fd, "and\":1}\n");
    control_poll(place->control);
    assert_string_equal(place->request, "{\"command\":1}");
    say(fd, "gone in the middle");
    close(fd);
    close(other);
    control_poll(place->control);
    assert_int_equal(place->answered, 2);
}

static void the_longest_line_is_taken_and_a_longer_one_refused(void **state)
{
    struct place *place = *state;
    static char line[CONTROL_LINE_MAX + 2];
    for (size_t length = CONTROL_LINE_MAX; length <= CONTROL_LINE_MAX + 1; length++) {
        int fd = call(place);
        memset(line, 'a', length);
        for (size_t at = 0; at < length; at += 4096) {
            size_t left = length - at < 4096 ? length - at : 4096;
            say_bytes(fd, line + at, left);
            control_poll(place->control);
        }
        bool is_taken = length == CONTROL_LINE_MAX;
        if (is_taken)
            say(fd, "\n");
        control_poll(place->control);
        char text[400];
        heard(fd, text, sizeof(text));
        assert_string_equal(text, is_taken ? "{\"length\":65536}\n"
                                           : "{\"ok\":false,\"code\":64,\"message\":\"a request is "
                                             "one line of at most 64 KiB\"}\n");
        assert_int_equal(is_closed(fd), !is_taken);
        close(fd);
        control_poll(place->control);
    }
    assert_int_equal(place->answered, 1);
}

/* Never a newline: memory stays bounded, and the others are served. */
static void a_flood_without_a_line_is_cut_off(void **state)
{
    struct place *place = *state;
    static char flood[1 << 16];
    int fd = call(place), other = call(place);
    memset(flood, '{', sizeof(flood));
    for (int i = 0; i < 50; i++) {
        ssize_t said = send(fd, flood, sizeof(flood), MSG_NOSIGNAL | MSG_DONTWAIT);
        control_poll(place->control);
        if (said < 0 && errno != EAGAIN)
            break;
    }
    say(other, "x\n");
    control_poll(place->control);
    assert_string_equal(HEARD(other), "{\"length\":1}\n");
    assert_int_equal(place->answered, 1);
    close(fd);
    close(other);
}

static void a_line_with_a_nul_is_refused(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    say_bytes(fd, "{\"command\":\"halt\"}\0\n\n", 21);
    control_poll(place->control);
    assert_non_null(strstr(HEARD(fd), "no NUL"));
    assert_int_equal(place->answered, 1); /* the empty line after it */
    assert_string_equal(place->request, "");
    close(fd);
}

static void a_seventeenth_peer_takes_the_place_of_the_quietest(void **state)
{
    struct place *place = *state;
    int peers[CONTROL_PEERS_MAX + 1];
    for (int i = 0; i < CONTROL_PEERS_MAX; i++) {
        peers[i] = call(place);
        control_poll(place->control);
    }
    for (int i = 0; i < CONTROL_PEERS_MAX; i++) /* all but the third speak again */
        if (i != 2)
            say(peers[i], "x\n");
    control_poll(place->control);
    peers[CONTROL_PEERS_MAX] = call(place);
    say(peers[CONTROL_PEERS_MAX], "halt\n");
    control_poll(place->control);
    assert_string_equal(HEARD(peers[CONTROL_PEERS_MAX]), "{\"length\":4}\n");
    assert_true(is_closed(peers[2]));
    for (int i = 0; i <= CONTROL_PEERS_MAX; i++)
        close(peers[i]);
    control_poll(place->control);
}

static void a_large_answer_is_written_as_it_is_read(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    size_t have = 0;
    char bytes[65536];
    place->answer_size = 3u << 20;
    say(fd, "x\n");
    for (int i = 0; i < 10000; i++) {
        control_poll(place->control);
        ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        have += count > 0 ? (size_t)count : 0;
        if (count > 0 && bytes[count - 1] == '\n')
            break;
    }
    assert_int_equal(have, (3u << 20) + strlen("{\"length\":1,\"x\":\"\"}\n"));
    close(fd);
}

static void an_answer_that_is_too_long_says_so(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    place->answer_size = CONTROL_ANSWER_MAX;
    say(fd, "x\n");
    control_poll(place->control);
    assert_string_equal(HEARD(fd),
                        "{\"ok\":false,\"code\":70,\"message\":\"the answer is too long\"}\n");
    close(fd);
}

/* While it does not read nothing more is answered; after a while it is let go. */
static void who_never_reads_is_let_go(void **state)
{
    struct place *place = *state;
    int fd = call(place), other = call(place);
    place->answer_size = 1u << 20;
    for (int i = 0; i < 200; i++) {
        ssize_t said = send(fd, "x\n", 2, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(said == 2 || errno == EAGAIN);
        control_poll(place->control);
    }
    assert_int_equal(place->answered, 1);
    place->answer_size = 0;
    say(other, "x\n");
    control_poll(place->control);
    assert_string_equal(HEARD(other), "{\"length\":1}\n");
    place->now_ns += CONTROL_PATIENCE_NS - 1;
    control_poll(place->control);
    assert_int_equal(send(fd, "x\n", 2, MSG_NOSIGNAL | MSG_DONTWAIT), 2);
    place->now_ns += 1;
    control_poll(place->control);
    assert_true(send(fd, "x\n", 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
    close(fd);
    close(other);
}

/* One peer cannot hold the loop: so many requests are answered in one poll. */
static void a_poll_does_a_bounded_amount_of_work(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    for (int i = 0; i < 100; i++)
        say(fd, "x\n");
    control_poll(place->control);
    assert_int_equal(place->answered, 8);
    for (int i = 0; i < 20; i++)
        control_poll(place->control);
    assert_int_equal(place->answered, 100);
    close(fd);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct control *second = NULL;
    struct error err = { 0 };
    assert_int_equal(control_open(&options, &second, &err), ERROR_UNAVAILABLE);
    assert_null(second);
    assert_int_equal(access(place->socket, F_OK), 0);
    control_poll(place->control); /* the one that only looked is gone again */

    pid_t child = fork(); /* it dies without a word */
    if (child == 0) {
        control_close(place->control);
        _exit(control_open(&options, &second, &err) == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(access(place->socket, F_OK), 0);
    assert_int_equal(control_open(&options, &second, &err), 0);
    int fd = call(place);
    say(fd, "x\n");
    control_poll(second);
    assert_string_equal(HEARD(fd), "{\"length\":1}\n");
    close(fd);
    control_close(second);
    assert_int_equal(access(place->socket, F_OK), -1);
}

/* One that is not the one it made. */
static void closing_removes_only_its_own_socket(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct control *second = NULL;
    struct error err = { 0 };
    assert_int_equal(unlink(place->socket), 0);
    assert_int_equal(control_open(&options, &second, &err), 0);
    control_close(place->control);
    place->control = NULL;
    assert_int_equal(access(place->socket, F_OK), 0);
    control_close(second);
}

static void a_file_of_that_name_is_left_alone(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct control_options options = options_of(place);
    control_close(place->control);
    int fd = open(place->socket, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(control_open(&options, &place->control, &err), ERROR_IO);
    assert_int_equal(access(place->socket, F_OK), 0);
}

/* ---- the other side ---- */

static void asking_where_nobody_is(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    int64_t pid = 7;
    text_init(&out, CONTROL_ANSWER_MAX);
    assert_int_equal(control_ask("/nowhere/at/all", "{}", NS_PER_SECOND, &out, &pid, &err),
                     ERROR_UNAVAILABLE);
    assert_int_equal(pid, 0);
    control_close(place->control);
    place->control = NULL;
    assert_int_equal(control_ask(place->folder, "{}", NS_PER_SECOND, &out, &pid, &err),
                     ERROR_UNAVAILABLE);
    text_release(&out);
}

/* The process behind it hangs: nobody polls. Its number is told, so that it can be signaled. */
static void asking_who_does_not_answer(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    int64_t pid = 0;
    text_init(&out, CONTROL_ANSWER_MAX);
    assert_int_equal(control_ask(place->folder, "{}", NS_PER_MS, &out, &pid, &err),
                     ERROR_UNAVAILABLE);
    assert_int_equal(pid, getpid());
    text_release(&out);
}

/* Serves until the client, a child, has ended. */
static int serve_client(struct place *place, const char *folder, size_t size)
{
    pid_t child = fork();
    if (child == 0) {
        struct error err = { 0 };
        struct text out;
        text_init(&out, CONTROL_ANSWER_MAX);
        int code = control_ask(folder, "{\"command\":\"x\"}", 60 * NS_PER_SECOND, &out, NULL, &err);
        _exit(code == 0 && out.length == size ? 0 : 1);
    }
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        control_poll(place->control);
    return status;
}

static void a_question_and_its_answer(void **state)
{
    struct place *place = *state;
    assert_int_equal(serve_client(place, place->folder, strlen("{\"length\":15}")), 0);
    place->answer_size = 2u << 20;
    assert_int_equal(
        serve_client(place, place->folder, strlen("{\"length\":15,\"x\":\"\"}") + (2u << 20)), 0);
}

/* A name in the file system may have 4095 bytes, the address of a socket 107. */
static void a_long_path_does_not_matter(void **state)
{
    struct place *place = *state;
    struct place *deep = memory_new(sizeof(*deep));
    char name[121];
    memset(name, 'd', 120);
    name[120] = '\0';
    snprintf(deep->folder, sizeof(deep->folder), "%.60s/%s", place->folder, name);
    assert_int_equal(mkdir(deep->folder, 0700), 0);
    snprintf(deep->folder, sizeof(deep->folder), "%.60s/%s/%s", place->folder, name, name);
    assert_int_equal(mkdir(deep->folder, 0700), 0);
    assert_true(strlen(deep->folder) > 250);
    assert_int_equal(open_place(deep), 0);
    assert_int_equal(serve_client(deep, deep->folder, strlen("{\"length\":15}")), 0);
    control_close(deep->control);
    assert_int_equal(access(deep->socket, F_OK), -1);
    assert_int_equal(rmdir(deep->folder), 0);
    *strrchr(deep->folder, '/') = '\0';
    assert_int_equal(rmdir(deep->folder), 0);
    free(deep);
}

static void nothing_is_fine_too(void **state)
{
    (void)state;
    control_poll(NULL);
    control_close(NULL);
}

/* ---- descriptors and peers that fail ---- */

static void who_does_not_wait_for_its_answer_is_let_go(void **state)
{
    struct place *place = *state;
    int gone = call(place), other = call(place);
    say(gone, "{}\n{}\n");
    say(other, "{}\n");
    close(gone);
    control_poll(place->control);
    assert_int_equal(place->answered, 2); /* its second request is not even looked at */
    assert_string_equal(HEARD(other), "{\"length\":2}\n");
    close(other);
}

/* One more than the limit comes whole, its end with it. */
static void a_long_line_with_its_end_is_refused(void **state)
{
    struct place *place = *state;
    char *line = memory_new(CONTROL_LINE_MAX + 3);
    int fd = call(place);
    memset(line, 'x', CONTROL_LINE_MAX + 1);
    line[CONTROL_LINE_MAX + 1] = '\n';
    say_bytes(fd, line, CONTROL_LINE_MAX + 2);
    control_poll(place->control);
    control_poll(place->control);
    assert_non_null(strstr(HEARD(fd), "at most 64 KiB"));
    assert_true(is_closed(fd));
    assert_int_equal(place->answered, 0);
    close(fd);
    free(line);
}

/* An answer is one line too: what follows a second one would answer a question not asked yet. */
static void an_answer_of_two_lines_is_refused(void **state)
{
    struct place *place = *state;
    int fd = call(place);
    place->has_two_lines = true;
    say(fd, "{}\n");
    control_poll(place->control);
    assert_non_null(strstr(HEARD(fd), "\"ok\":false"));
    close(fd);
}

/* What can listen is refused no more than needed: the seventeenth waits for the next poll. */
static void a_poll_takes_sixteen_newcomers(void **state)
{
    struct place *place = *state;
    int fds[CONTROL_PEERS_MAX + 1];
    for (int i = 0; i <= CONTROL_PEERS_MAX; i++) {
        fds[i] = call(place);
        say(fds[i], "{}\n");
    }
    control_poll(place->control);
    assert_int_equal(place->answered, CONTROL_PEERS_MAX);
    control_poll(place->control);
    assert_int_equal(place->answered, CONTROL_PEERS_MAX + 1);
    for (int i = 0; i <= CONTROL_PEERS_MAX; i++)
        close(fds[i]);
}

/* No descriptor is left but for the directory's. */
static void without_descriptors_it_says_so(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct control *second = place->control;
    struct error err = { 0 }, asked = { 0 };
    struct rlimit before, few;
    struct text out;
    control_close(place->control);
    place->control = NULL;
    text_init(&out, CONTROL_ANSWER_MAX);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)next + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int code = control_open(&options, &second, &err);
    int ask = control_ask(place->folder, "{}", NS_PER_SECOND, &out, NULL, &asked);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, ERROR_IO);
    assert_null(second);
    assert_non_null(strstr(err.message, "cannot make control.sock"));
    assert_int_equal(ask, ERROR_IO);
    text_release(&out);
}

static void where_nothing_can_be_made_it_says_so(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct control *second = place->control;
    struct error err = { 0 };
    options.state_dir = "/proc/self";
    assert_int_equal(control_open(&options, &second, &err), ERROR_IO);
    assert_null(second);
    options.state_dir = "/nowhere/at/all";
    assert_int_equal(control_open(&options, &second, &err), ERROR_IO);
    assert_null(second);
}

/* ---- those who answer badly ---- */

/* Listens in the place of an instance. */
static int listen_badly(struct place *place, int type, int backlog)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    control_close(place->control);
    place->control = NULL;
    assert_true(strlen(place->socket) < sizeof(address.sun_path));
    strcpy(address.sun_path, place->socket);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* Its queue of peers is full: it lives, and does nothing. */
static void whose_queue_is_full_is_alive(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct error err = { 0 };
    struct text out;
    int listener = listen_badly(place, SOCK_STREAM, 0);
    int waiting = call(place);
    text_init(&out, CONTROL_ANSWER_MAX);
    assert_int_equal(control_ask(place->folder, "{}", NS_PER_SECOND, &out, NULL, &err),
                     ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "does not answer"));
    assert_int_equal(control_open(&options, &place->control, &err), ERROR_UNAVAILABLE);
    assert_int_equal(access(place->socket, F_OK), 0);
    text_release(&out);
    close(waiting);
    close(listener);
}

static void what_speaks_another_way_is_an_error(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    int listener = listen_badly(place, SOCK_DGRAM, 0);
    text_init(&out, CONTROL_ANSWER_MAX);
    assert_int_equal(control_ask(place->folder, "{}", NS_PER_SECOND, &out, NULL, &err), ERROR_IO);
    text_release(&out);
    close(listener);
}

/* Answers one peer with these parts, and goes. */
struct server {
    int listener;
    bool reads; /* the request, up to its end */
    const char *parts[3];
};

static void *serve_badly(void *self)
{
    const struct server *server = self;
    char byte = 0;
    int fd = accept(server->listener, NULL, NULL);
    while (server->reads && byte != '\n' && recv(fd, &byte, 1, 0) == 1)
        continue;
    for (size_t i = 0; server->parts[i]; i++)
        (void)send(fd, server->parts[i], strlen(server->parts[i]), MSG_NOSIGNAL);
    close(fd);
    return NULL;
}

/* Asks such a server; what came is in *out. */
static int ask_server(struct place *place, struct server server, const char *request,
                      struct text *out, struct error *err)
{
    pthread_t thread;
    int64_t pid;
    server.listener = listen_badly(place, SOCK_STREAM, 1);
    assert_int_equal(pthread_create(&thread, NULL, serve_badly, &server), 0);
    int code = control_ask(place->folder, request, 60 * NS_PER_SECOND, out, &pid, err);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pid, getpid());
    close(server.listener);
    unlink(place->socket);
    return code;
}

static void an_answer_may_come_in_parts(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    text_init(&out, CONTROL_ANSWER_MAX);
    struct server server = { .reads = true, .parts = { "{\"a\":", "1}\nmore" } };
    assert_int_equal(ask_server(place, server, "{}", &out, &err), 0);
    assert_string_equal(out.data, "{\"a\":1}"); /* what follows the line is not of it */
    text_release(&out);
}

/* Gone before the end of its answer, with the request read or not. */
static void who_ends_before_it_answered_is_told(void **state)
{
    struct place *place = *state;
    for (int reads = 0; reads < 2; reads++) {
        struct error err = { 0 };
        struct text out;
        text_init(&out, CONTROL_ANSWER_MAX);
        struct server server = { .reads = reads, .parts = { "{\"a\":" } };
        assert_int_equal(ask_server(place, server, "{}", &out, &err), ERROR_UNAVAILABLE);
        assert_non_null(strstr(err.message, "ended before it answered"));
        text_release(&out);
    }
}

/* It refuses without reading, as a request that is too long is: what it said is heard. */
static void who_refuses_while_we_still_speak_is_heard(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    char *request = memory_new((4u << 20) + 1); /* more than a socket holds */
    memset(request, 'x', 4u << 20);
    text_init(&out, CONTROL_ANSWER_MAX);
    struct server server = { .parts = { "{\"ok\":false}\n" } };
    assert_int_equal(ask_server(place, server, request, &out, &err), 0);
    assert_string_equal(out.data, "{\"ok\":false}");
    text_release(&out);
    free(request);
}

static void an_answer_beyond_measure_is_an_error(void **state)
{
    struct place *place = *state;
    struct error err = { 0 };
    struct text out;
    text_init(&out, 8);
    struct server server = { .reads = true, .parts = { "{\"a\":\"0123456789\"}\n" } };
    assert_int_equal(ask_server(place, server, "{}", &out, &err), ERROR_IO);
    assert_non_null(strstr(err.message, "too long"));
    text_release(&out);
}

/* Its own clock is the monotonic one. */
static void without_a_clock_it_has_its_own(void **state)
{
    struct place *place = *state;
    struct control_options options = options_of(place);
    struct error err = { 0 };
    control_close(place->control);
    options.clock = (struct clock){ 0 };
    assert_int_equal(control_open(&options, &place->control, &err), 0);
    int fd = call(place);
    say(fd, "{}\n");
    control_poll(place->control);
    assert_string_equal(HEARD(fd), "{\"length\":2}\n");
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)
    const struct CMUnitTest tests[] = {
        TEST(a_line_gets_a_line),
        TEST(it_is_the_owners_alone),
        TEST(another_user_is_refused),
        TEST(half_a_line_waits_for_its_other_half),
        TEST(the_longest_line_is_taken_and_a_longer_one_refused),
        TEST(a_flood_without_a_line_is_cut_off),
        TEST(a_line_with_a_nul_is_refused),
        TEST(a_seventeenth_peer_takes_the_place_of_the_quietest),
        TEST(a_large_answer_is_written_as_it_is_read),
        TEST(an_answer_that_is_too_long_says_so),
        TEST(who_never_reads_is_let_go),
        TEST(a_poll_does_a_bounded_amount_of_work),
        TEST(a_stale_socket_is_replaced_and_a_live_one_is_not),
        TEST(closing_removes_only_its_own_socket),
        TEST(a_file_of_that_name_is_left_alone),
        TEST(asking_where_nobody_is),
        TEST(asking_who_does_not_answer),
        TEST(a_question_and_its_answer),
        TEST(a_long_path_does_not_matter),
        cmocka_unit_test(nothing_is_fine_too),
        TEST(who_does_not_wait_for_its_answer_is_let_go),
        TEST(a_long_line_with_its_end_is_refused),
        TEST(an_answer_of_two_lines_is_refused),
        TEST(a_poll_takes_sixteen_newcomers),
        TEST(without_descriptors_it_says_so),
        TEST(where_nothing_can_be_made_it_says_so),
        TEST(whose_queue_is_full_is_alive),
        TEST(what_speaks_another_way_is_an_error),
        TEST(an_answer_may_come_in_parts),
        TEST(who_ends_before_it_answered_is_told),
        TEST(who_refuses_while_we_still_speak_is_heard),
        TEST(an_answer_beyond_measure_is_an_error),
        TEST(without_a_clock_it_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
