/* control_client.h - the other end of control.h: the commands of an operator. */
#ifndef RUNTIME_APP_CONTROL_CLIENT_H
#define RUNTIME_APP_CONTROL_CLIENT_H

#include "runtime/app/options.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"

/* The mode whose ledger is meant: --mode, else live where only live ever ran, else paper. */
const char *control_mode(const struct options *options);

/* Asks the instance that runs there; request and *answer are JSON objects. ERROR_UNAVAILABLE with
 * *pid 0: nothing runs; -1: it opens or ends. A refusal of the instance comes back as its own code
 * and message. */
MUST_CHECK int control_request(const struct options *options, const char *request,
                               int64_t timeout_ns, struct text *answer, int64_t *pid,
                               struct error *err);

/* Prints an answer: as it is with --json, else as a table. */
void control_print(const struct options *options, const char *what, const struct text *answer);

/* Whether a process holds the directory's lock: one that does not listen begins, or ends. Looks
 * without touching the lock, so that nobody who begins just then is kept out. */
bool control_is_held(const struct options *options);

/* control_offline.c: the same answers of a stopped process, from its ledger. what: "status",
 * "orders", "positions", "why". ERROR_UNAVAILABLE: nothing ever ran there. */
MUST_CHECK int control_offline(const struct options *options, const char *what, size_t count,
                               struct text *answer, struct error *err);

/* control_tables.c: an answer as people read it, at most 80 columns where its texts allow it. */
void control_table(const char *what, const struct json *answer, struct text *out);

#endif
