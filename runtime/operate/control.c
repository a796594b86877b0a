/* control.c - see control.h.
 *
 * A peer is in one of two moods: its request is being read, or its answer is being written; while
 * it has not taken the answer nothing more is read from it. A poll does a bounded amount of work
 * for each peer, so that one that floods us does not hold up trading. */
#include "runtime/operate/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/json.h"

#define SOCKET_NAME "control.sock"
#define PEER_TEXT_MAX 64
#define REQUESTS_PER_POLL 8 /* of one peer */
#define READ_SIZE 4096

struct peer {
    int fd; /* -1: this place is free */
    char who[PEER_TEXT_MAX];
    struct text request, answer;
    size_t written;   /* of the answer */
    bool is_ending;   /* closed once the answer is written */
    uint64_t heard;   /* when it last did anything: a count of all that was heard */
    int64_t moved_ns; /* when its answer last got on */
};

struct control {
    struct control_options options;
    int directory, listener;
    struct stat bound; /* the socket as we made it: another one is not ours to remove */
    uint64_t heard;
    struct peer peers[CONTROL_PEERS_MAX];
};

/* ---- where it is ---- */

/* The directory by a descriptor, its socket by a name that is short whatever the path is. */
static int open_directory(const char *state_dir)
{
    return open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static struct sockaddr_un address_in(int directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" SOCKET_NAME,
             directory);
    return address;
}

static int connect_to(int directory, int flags)
{
    struct sockaddr_un address = address_in(directory);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* A socket that nobody listens on any more is what a crash leaves. */
static int remove_stale(const struct control *control, struct error *err)
{
    struct stat status;
    const char *state_dir = control->options.state_dir;
    if (fstatat(control->directory, SOCKET_NAME, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT
                   ? 0
                   : error_at(err, ERROR_IO, state_dir, SOCKET_NAME ": %s", strerror(errno));
    if (!S_ISSOCK(status.st_mode))
        return error_at(err, ERROR_IO, state_dir,
                        SOCKET_NAME " is there and is no socket; move it away");
    int fd = connect_to(control->directory, SOCK_NONBLOCK);
    bool is_alive = fd >= 0 || errno == EAGAIN; /* EAGAIN: its queue of peers is full */
    if (fd >= 0)
        close(fd);
    if (is_alive)
        return error_at(err, ERROR_UNAVAILABLE, state_dir,
                        "another process answers on " SOCKET_NAME);
    if (unlinkat(control->directory, SOCKET_NAME, 0) < 0 && errno != ENOENT)
        return error_at(err, ERROR_IO, state_dir, "cannot remove the stale " SOCKET_NAME ": %s",
                        strerror(errno));
    return 0;
}

/* The mode is given to the socket before it has a name: there is no instant at which it is wider.
 */
static int listen_there(struct control *control, struct error *err)
{
    struct sockaddr_un address = address_in(control->directory);
    const char *state_dir = control->options.state_dir;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    control->listener = fd;
    if (fd < 0 || fchmod(fd, 0600) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return error_at(err, ERROR_IO, state_dir, "cannot make " SOCKET_NAME ": %s",
                        strerror(errno));
    if (fstatat(control->directory, SOCKET_NAME, &control->bound, AT_SYMLINK_NOFOLLOW) < 0 ||
        (control->bound.st_mode & 0777) != 0600 || listen(fd, CONTROL_PEERS_MAX) < 0) {
        unlinkat(control->directory, SOCKET_NAME, 0);
        return error_at(err, ERROR_IO, state_dir, "cannot make " SOCKET_NAME " private: %s",
                        strerror(errno));
    }
    return 0;
}

int control_open(const struct control_options *options, struct control **out, struct error *err)
{
    struct control *control = memory_new(sizeof(*control));
    control->options = *options;
    if (!control->options.clock.now_ns)
        control->options.clock = clock_monotonic();
    control->listener = -1;
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++)
        control->peers[i].fd = -1;
    *out = NULL;
    control->directory = open_directory(options->state_dir);
    int code = control->directory >= 0 ? remove_stale(control, err)
                                       : error_at(err, ERROR_IO, options->state_dir,
                                                  "cannot open: %s", strerror(errno));
    if (code == 0)
        code = listen_there(control, err);
    if (code < 0) {
        control_close(control);
        return code;
    }
    *out = control;
    return 0;
}

/* ---- peers ---- */

static void drop(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    text_release(&peer->request);
    text_release(&peer->answer);
    *peer = (struct peer){ .fd = -1 };
}

void control_close(struct control *control)
{
    if (!control)
        return;
    struct stat there;
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++)
        if (control->peers[i].fd >= 0)
            drop(&control->peers[i]);
    if (control->bound.st_ino != 0 &&
        fstatat(control->directory, SOCKET_NAME, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
        there.st_ino == control->bound.st_ino && there.st_dev == control->bound.st_dev)
        unlinkat(control->directory, SOCKET_NAME, 0);
    if (control->listener >= 0)
        close(control->listener);
    if (control->directory >= 0)
        close(control->directory);
    free(control);
}

static void refuse(struct peer *peer, int code, const char *message)
{
    struct json_writer *writer = json_writer_open(&peer->answer, false);
    text_clear(&peer->answer);
    json_object_begin(writer);
    json_key(writer, "ok");
    json_bool(writer, false);
    json_key(writer, "code");
    json_int(writer, -code);
    json_key(writer, "message");
    json_string(writer, message);
    json_object_end(writer);
    json_writer_close(writer);
    text_add(&peer->answer, "\n");
}

/* A free place, or that of who was silent for the longest. */
static struct peer *find_place(struct control *control)
{
    struct peer *place = &control->peers[0];
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++) {
        struct peer *peer = &control->peers[i];
        if (peer->fd < 0)
            return peer;
        if (peer->heard < place->heard)
            place = peer;
    }
    drop(place);
    return place;
}

static void greet(struct control *control, int fd)
{
    struct ucred who = { 0 };
    socklen_t size = sizeof(who);
    struct peer *peer = find_place(control);
    peer->fd = fd;
    peer->heard = ++control->heard;
    peer->moved_ns = clock_now(control->options.clock);
    text_init(&peer->request, CONTROL_LINE_MAX + READ_SIZE);
    text_init(&peer->answer, CONTROL_ANSWER_MAX);
    bool is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;
    snprintf(peer->who, sizeof(peer->who), "uid %ld, pid %ld", (long)who.uid, (long)who.pid);
    if (is_known && (who.uid == geteuid() || who.uid == 0))
        return;
    refuse(peer, ERROR_PERMISSION, "this instance belongs to another user");
    peer->is_ending = true;
}

static void accept_peers(struct control *control)
{
    for (int i = 0; i < CONTROL_PEERS_MAX; i++) {
        int fd = accept4(control->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        greet(control, fd);
    }
}

/* ---- one peer ---- */

/* As much as it takes. False: it is gone, or was closed. */
static bool write_answer(struct control *control, struct peer *peer)
{
    int64_t now_ns = clock_now(control->options.clock);
    while (peer->written < peer->answer.length) {
        ssize_t count = send(peer->fd, peer->answer.data + peer->written,
                             peer->answer.length - peer->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) {
            peer->written += (size_t)count;
            peer->moved_ns = now_ns;
            peer->heard = ++control->heard;
        } else if (count < 0 && errno == EINTR) {
            continue;
        } else {
            bool is_patient = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
                              now_ns - peer->moved_ns < CONTROL_PATIENCE_NS;
            if (!is_patient)
                drop(peer);
            return is_patient;
        }
    }
    text_release(&peer->answer); /* a large one is not kept for the next */
    text_init(&peer->answer, CONTROL_ANSWER_MAX);
    peer->written = 0;
    if (peer->is_ending)
        drop(peer);
    return peer->fd >= 0;
}

static void answer_line(struct control *control, struct peer *peer, char *line, size_t length)
{
    const struct control_options *options = &control->options;
    line[length] = '\0';
    peer->moved_ns = clock_now(options->clock);
    if (memchr(line, '\0', length)) {
        refuse(peer, ERROR_USAGE, "a request is one line of JSON, and holds no NUL");
        return;
    }
    options->answer(options->self, line, length, peer->who, &peer->answer);
    text_add(&peer->answer, "\n");
    if (peer->answer.overflow || memchr(peer->answer.data, '\n', peer->answer.length - 1))
        refuse(peer, ERROR_INTERNAL, "the answer is too long");
}

/* What is left after all whole lines were answered is the beginning of one. */
static bool is_too_long(const struct peer *peer)
{
    return peer->request.length > CONTROL_LINE_MAX;
}

static void refuse_long_line(struct peer *peer)
{
    refuse(peer, ERROR_USAGE, "a request is one line of at most 64 KiB");
    peer->is_ending = true;
}

/* Answers the lines that are there, in order, while their answers can be written. */
static bool answer_lines(struct control *control, struct peer *peer, int *answered)
{
    struct text *request = &peer->request;
    char *end;
    while (*answered < REQUESTS_PER_POLL && peer->answer.length == 0 &&
           (end = request->length > 0 ? memchr(request->data, '\n', request->length) : NULL)) {
        size_t used = (size_t)(end - request->data) + 1;
        if (used - 1 > CONTROL_LINE_MAX)
            refuse_long_line(peer);
        else
            answer_line(control, peer, request->data, used - 1);
        request->length -= used;
        memmove(request->data, request->data + used, request->length);
        request->data[request->length] = '\0';
        ++*answered;
        if (!write_answer(control, peer))
            return false;
    }
    return true;
}

/* False: there is nothing more to read now. */
static bool read_some(struct control *control, struct peer *peer)
{
    char bytes[READ_SIZE];
    ssize_t count = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (count > 0) {
        peer->heard = ++control->heard;
        text_append(&peer->request, bytes, (size_t)count);
        return true;
    }
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return false;
    drop(peer);
    return false;
}

static void serve(struct control *control, struct peer *peer)
{
    int answered = 0;
    if (peer->answer.length > 0 && !write_answer(control, peer))
        return;
    for (int i = 0; i <= CONTROL_LINE_MAX / READ_SIZE; i++) {
        if (!answer_lines(control, peer, &answered))
            return;
        if (peer->answer.length > 0 || answered >= REQUESTS_PER_POLL)
            return;
        if (is_too_long(peer)) {
            refuse_long_line(peer);
            (void)write_answer(control, peer);
            return;
        }
        if (!read_some(control, peer))
            return;
    }
}

void control_poll(struct control *control)
{
    if (!control)
        return;
    accept_peers(control);
    for (size_t i = 0; i < CONTROL_PEERS_MAX; i++)
        if (control->peers[i].fd >= 0)
            serve(control, &control->peers[i]);
}

/* ---- the other side ---- */

struct asking {
    int fd;
    const char *state_dir;
    int64_t until_ns; /* monotonic */
};

/* 0: it can be read or written now. */
static int wait_for(const struct asking *asking, short events, struct error *err)
{
    for (;;) {
        int64_t left_ns = asking->until_ns - clock_now(clock_monotonic());
        struct pollfd watched = { .fd = asking->fd, .events = events };
        int count = left_ns > 0 ? poll(&watched, 1, (int)(left_ns / NS_PER_MS) + 1) : 0;
        if (count > 0)
            return 0;
        if (count == 0)
            return error_at(
                err, ERROR_UNAVAILABLE, asking->state_dir,
                "the instance that runs there does not answer; what was asked it may still do. "
                "In an emergency: runtime halt --emergency");
        if (errno != EINTR)
            return error_at(err, ERROR_IO, asking->state_dir, SOCKET_NAME ": %s", strerror(errno));
    }
}

static int ended(const struct asking *asking, struct error *err)
{
    return error_at(err, ERROR_UNAVAILABLE, asking->state_dir,
                    "the instance that ran there ended before it answered");
}

static int send_all(const struct asking *asking, const char *bytes, size_t length,
                    struct error *err)
{
    while (length > 0) {
        int code = wait_for(asking, POLLOUT, err);
        if (code < 0)
            return code;
        ssize_t count = send(asking->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0; /* it may have said why before it closed */
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return error_at(err, ERROR_IO, asking->state_dir, SOCKET_NAME ": %s", strerror(errno));
        if (count > 0) {
            bytes += count;
            length -= (size_t)count;
        }
    }
    return 0;
}

/* Up to the line's end, which is not kept. */
static int receive_line(const struct asking *asking, struct text *answer, struct error *err)
{
    char bytes[READ_SIZE];
    for (;;) {
        int code = wait_for(asking, POLLIN, err);
        if (code < 0)
            return code;
        ssize_t count = recv(asking->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (count == 0 || (count < 0 && errno == ECONNRESET))
            return ended(asking, err);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            return error_at(err, ERROR_IO, asking->state_dir, SOCKET_NAME ": %s", strerror(errno));
        const char *end = count > 0 ? memchr(bytes, '\n', (size_t)count) : NULL;
        if (count > 0)
            text_append(answer, bytes, end ? (size_t)(end - bytes) : (size_t)count);
        if (answer->overflow)
            return error_at(err, ERROR_IO, asking->state_dir, "the answer is too long");
        if (end)
            return 0;
    }
}

static int cannot_connect(const char *state_dir, struct error *err)
{
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
        return error_at(err, ERROR_UNAVAILABLE, state_dir,
                        "nothing runs in this state directory; name another with --state");
    if (errno == EACCES || errno == EPERM)
        return error_at(err, ERROR_PERMISSION, state_dir,
                        "what runs there belongs to another user");
    if (errno == EAGAIN)
        return error_at(
            err, ERROR_UNAVAILABLE, state_dir,
            "the instance that runs there does not answer; what was asked it may still do. "
            "In an emergency: runtime halt --emergency");
    return error_at(err, ERROR_IO, state_dir, SOCKET_NAME ": %s", strerror(errno));
}

int control_ask(const char *state_dir, const char *request, int64_t timeout_ns, struct text *answer,
                int64_t *pid, struct error *err)
{
    struct asking asking = { .fd = -1,
                             .state_dir = state_dir,
                             .until_ns = clock_now(clock_monotonic()) + timeout_ns };
    struct ucred who = { 0 };
    socklen_t size = sizeof(who);
    if (pid)
        *pid = 0;
    int directory = open_directory(state_dir);
    if (directory >= 0)
        asking.fd = connect_to(directory, SOCK_NONBLOCK);
    int code = asking.fd >= 0 ? 0 : cannot_connect(state_dir, err);
    if (directory >= 0)
        close(directory);
    if (code < 0)
        return code;
    if (pid && getsockopt(asking.fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
        *pid = who.pid;
    if ((code = send_all(&asking, request, strlen(request), err)) == 0 &&
        (code = send_all(&asking, "\n", 1, err)) == 0)
        code = receive_line(&asking, answer, err);
    close(asking.fd);
    return code;
}
