/* control.h - how a running instance is talked to: STATE/control.sock, JSON lines, owner only.
 *
 * One request a line, {"command": "halt", ...}; one answer a line, {"ok": true, ...} or {"ok":
 * false, "code": N, "message": "..."}, N an exit code. The socket has mode 0600; a peer of another
 * user (SO_PEERCRED) is refused, but for root, who can be any user. It is bound and reached through
 * /proc/self/fd, so that a long path of the state directory does not matter. At most
 * CONTROL_PEERS_MAX peers at a time: one more takes the place of the one that was silent for the
 * longest, so that nobody can keep an operator out. A line has at most CONTROL_LINE_MAX bytes, and
 * a peer that does not read its answer for CONTROL_PATIENCE_NS is closed: nothing here waits. */
#ifndef RUNTIME_OPERATE_CONTROL_H
#define RUNTIME_OPERATE_CONTROL_H

#include "runtime/base/base.h"
#include "runtime/base/clock.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#define CONTROL_PEERS_MAX 16
#define CONTROL_LINE_MAX 65536
#define CONTROL_ANSWER_MAX (8u << 20)
#define CONTROL_PATIENCE_NS (5 * NS_PER_SECOND)

struct control_options {
    const char *state_dir;
    struct clock clock; /* monotonic; now_ns NULL: this machine's */
    void *self;
    /* Answers one request: a JSON object without its newline, NUL-terminated; `peer` says who asked
     * ("uid 1000, pid 4711") for the audit. The answer is a JSON object. */
    void (*answer)(void *self, const char *request, size_t length, const char *peer,
                   struct text *answer);
};
struct control; /* opaque */
/* ERROR_IO, ERROR_UNAVAILABLE: another process answers there. A stale socket is replaced. */
MUST_CHECK int control_open(const struct control_options *options, struct control **out,
                            struct error *err);
void control_close(struct control *control); /* removes the socket; NULL is fine */
/* Accepts, reads, answers, writes what can be done now. Call often; never blocks. */
void control_poll(struct control *control);

/* The other side: sends one request and waits for its answer. ERROR_UNAVAILABLE: nobody is running
 * there (*pid 0), or who runs there did not answer in time (*pid: its process); ERROR_PERMISSION;
 * ERROR_IO. pid may be NULL. */
MUST_CHECK int control_ask(const char *state_dir, const char *request, int64_t timeout_ns,
                           struct text *answer, int64_t *pid, struct error *err);

#endif
