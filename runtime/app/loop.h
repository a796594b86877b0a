/* loop.h - wall time, signals and the terminal around a session.
 *
 * One thread, one libuv loop. Market time runs at `speed` market seconds a wall second, or as fast
 * as it goes. The first SIGINT or SIGTERM stops in order; the second leaves at once (130). */
#ifndef RUNTIME_APP_LOOP_H
#define RUNTIME_APP_LOOP_H

#include "runtime/app/session.h"
#include "runtime/operate/status.h"

enum loop_end { LOOP_DATA_ENDED, LOOP_STOPPED /* signal */, LOOP_EMERGENCY };

struct loop_options {
    struct session *session;
    struct status *status; /* or NULL */
    struct log *log;
    double speed; /* SPEED_MAX */
};

/* Runs until the data ends, the duration is over, no instance is alive, or somebody stops it.
 * Returns enum loop_end, or negative with *err. *stopped_by is a word for the summary. */
MUST_CHECK int loop_run(const struct loop_options *options, const char **stopped_by,
                        struct error *err);
/* Draws the status line once more, with the last figures. */
void loop_draw(const struct loop_options *options);

#endif
