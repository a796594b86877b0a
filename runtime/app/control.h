/* control.h - what an operator asks of a running session, and how the answer looks.
 *
 * Requests come over the socket (runtime/operate/control.h) and are answered between two events.
 * What changes something is in the session's journal, with who asked, before it is done: a replay
 * of a feed repeats it at the same event.
 *
 *   halt {emergency, reason}   no new risk; emergency: everything is canceled and the run ends (75)
 *   resume                     lifts the halts and the latch
 *   flatten {symbol}           entries go, positions are closed; without a symbol all
 *   breaker {do, venue}        "open" or "close", by hand
 *   reload, stop
 *   status, orders, positions, why {count}   answer objects; the commands print them */
#ifndef RUNTIME_APP_CONTROL_H
#define RUNTIME_APP_CONTROL_H

#include "runtime/app/session.h"

/* Listens in the state directory from now on. A socket that cannot be made is told in the log, and
 * nothing listens; ERROR_UNAVAILABLE: another process answers there. */
MUST_CHECK int session_control_open(struct session *session, struct error *err);
void session_control_close(struct session *session);
/* Answers what was asked meanwhile; between two events. Negative, with *err, when the engine could
 * not do it: the session is over then. */
MUST_CHECK int session_control_poll(struct session *session, struct error *err);

/* One request, as the socket hands it in. Negative as above; a refusal is an answer. */
MUST_CHECK int session_control_answer(struct session *session, const char *request, size_t length,
                                      const char *peer, struct text *answer, struct error *err);
/* A journal entry "control" of a session that is replayed: done again. */
MUST_CHECK int session_control_repeat(struct session *session, const char *body, struct error *err);

/* The emergency that was asked for: sets the latch, cancels all there is, flattens if
 * risk.emergency says so. Then session_stop. */
MUST_CHECK int session_emergency(struct session *session, struct error *err);
enum stop_policy session_emergency_policy(const struct session *session); /* risk.emergency */

/* ---- control_view.c: the answers that only look ---- */

void control_view_status(const struct session *session, struct json_writer *writer);
void control_view_orders(const struct session *session, struct json_writer *writer);
void control_view_positions(const struct session *session, struct json_writer *writer);
void control_view_why(const struct session *session, size_t count, struct json_writer *writer);

#endif
