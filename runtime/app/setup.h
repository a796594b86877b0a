/* setup.h - the steps of session_open, shared between its files. */
#ifndef RUNTIME_APP_SETUP_H
#define RUNTIME_APP_SETUP_H

#include "runtime/app/session.h"

/* setup_market.c: instruments, data files, costs; then feed and venue once the start is known. */
MUST_CHECK int setup_instruments(struct session *session, struct error *err);
MUST_CHECK int setup_venue(struct session *session, struct error *err);

/* setup_strategies.c: files, symbols, capital, params; then instances and their guests. */
MUST_CHECK int setup_sources(struct session *session, struct error *err);
MUST_CHECK int setup_symbols(struct session *session, struct error *err);
MUST_CHECK int setup_instances(struct session *session, struct error *err);
MUST_CHECK int setup_guests(struct session *session, struct error *err);
/* The symbols the session trades, in listed order and without repeats, before instruments exist. */
#define SESSION_SYMBOLS_MAX INSTRUMENTS_MAX
size_t setup_all_symbols(struct session *session, const char **symbols);
void setup_limits(const struct config *config, const char *prefix, struct risk_limits *limits);

/* setup_ledger.c: state directory, lock, resume. */
MUST_CHECK int setup_state(struct session *session, struct error *err);
MUST_CHECK int setup_ledger(struct session *session, struct error *err);
MUST_CHECK int setup_restore(struct session *session, struct error *err);

#endif
