/* setup.h - the steps of session_open, shared between its files. */
#ifndef RUNTIME_APP_SETUP_H
#define RUNTIME_APP_SETUP_H

#include "runtime/app/session.h"
#include "runtime/base/json.h"

/* setup_market.c: instruments, data files, costs; then feed and venue once the start is known. */
MUST_CHECK int setup_instruments(struct session *session, struct error *err);
/* Adds the instrument of a symbol, as the source and the configuration have it. */
MUST_CHECK int setup_instrument(struct session *session, const char *symbol, struct error *err);
MUST_CHECK int setup_venue(struct session *session, struct error *err);

/* setup_strategies.c: files, symbols, capital, params; then instances and their guests. */
MUST_CHECK int setup_sources(struct session *session, struct error *err);
MUST_CHECK int setup_symbols(struct session *session, struct error *err);
MUST_CHECK int setup_instances(struct session *session, struct error *err);
MUST_CHECK int setup_guests(struct session *session, struct error *err);
/* The symbols the session trades, in listed order and without repeats, before instruments exist. */
#define SESSION_SYMBOLS_MAX INSTRUMENTS_MAX
size_t setup_all_symbols(struct session *session, const char **symbols);

/* setup_risk.c: the calendar of each instrument, before venue and engine, which borrow the list,
 * and before anything is written. ERROR_CONFIG. */
MUST_CHECK int setup_calendars(struct session *session, struct error *err);
const struct calendar *const *setup_calendar_list(const struct session *session);
/* Then limits, breakers and stages as the engine's gate wants them, and warnings of what binds
 * nothing, and of calendars whose dates end before the run; what it borrows lives as long
 * as the session. ERROR_CONFIG; ERROR_PERMISSION: live, without limits of the user's own. */
MUST_CHECK int setup_risk(struct session *session, struct engine_options *options,
                          struct error *err);
void setup_risk_release(struct session_risk *risk); /* NULL is fine */
/* The limits that the user set under a prefix ("strategies.0.limits"). */
void setup_limits(const struct session *session, const char *prefix, struct risk_limits *limits);
/* All that the user set of them, as a JSON object. */
void setup_write_risk(const struct session *session, struct json_writer *writer);

/* cancel.c: instead of strategies, the instances that the ledger still knows orders or positions
 * of, and the instruments of these; then their places in the engine, without guests. */
MUST_CHECK int setup_remains(struct session *session, struct error *err);
MUST_CHECK int setup_holders(struct session *session, struct error *err);

/* setup_replay.c: the last session of a feed, when it did not end cleanly. Afterwards
 * session->journal holds what it recorded, its strategy files included; empty when there is none.
 */
MUST_CHECK int setup_recorded(struct session *session, struct error *err);
/* The content that a file had when that session began. ERROR_NO_INPUT: it did not run then. */
MUST_CHECK int setup_recorded_source(struct session *session, const char *path,
                                     struct source *source, struct error *err);
/* True when what was set up since is the command of that session. */
bool setup_is_same_command(struct session *session);
/* It is not: takes the set-up of strategies and instruments back, and forgets that session. */
void setup_forget_recorded(struct session *session);
#define SETUP_ANOTHER_COMMAND                                                                      \
    "the last run did not end cleanly, but this is another command: a new session"

/* setup_ledger.c: state directory, lock, resume. */
MUST_CHECK int setup_state(struct session *session, struct error *err);
MUST_CHECK int setup_ledger(struct session *session, struct error *err);
/* Parts of the two above that may come earlier; each does nothing the second time. */
MUST_CHECK int setup_lock(struct session *session, struct error *err);
MUST_CHECK int setup_open_ledger(struct session *session, struct error *err);
MUST_CHECK int setup_state_path(const struct session *session, const char *name, char *out,
                                size_t size, struct error *err);
/* What decides the outcome of a run, as JSON: equal text is the same command. */
void setup_write_command(struct session *session, struct text *out);
MUST_CHECK int setup_restore(struct session *session, struct error *err);
/* A latch that is set halts the session, as the halt of the ledger that it stands for would have.
 */
MUST_CHECK int setup_latch(struct session *session, struct error *err);

/* setup_keeper.c: backups and WAL checkpoints on a second thread; none where no files are written.
 */
MUST_CHECK int setup_keeper(struct session *session, struct error *err);

#endif
