/* error.h - an error is a value: a code, where it is, and a sentence a person can act on.
 *
 * Codes below -63 are minus the process exit code (sysexits) of the public contract, so that the
 * outermost caller exits with -code. Codes above -64 are for callers inside the program.
 *
 * A message says what failed, what was found, what is allowed and what to do. Callers that know
 * more add it in front with error_wrap: "start session: read strategy: ...". */
#ifndef RUNTIME_BASE_ERROR_H
#define RUNTIME_BASE_ERROR_H

#include "runtime/base/base.h"

enum error_code {
    ERROR_NONE = 0,
    ERROR_RANGE = -1,   /* a number does not fit */
    ERROR_REFUSED = -2, /* an expected refusal; the message is the reason */
    ERROR_TIME = -3,    /* a time budget is spent: on another machine it might not have been */
    ERROR_STOPPED = -4, /* somebody asked to stop before it was done: no failure */
    ERROR_USAGE = -64,
    ERROR_DATA = -65,        /* strategy file or market data */
    ERROR_NO_INPUT = -66,    /* no such file */
    ERROR_UNAVAILABLE = -69, /* venue down, state directory in use */
    ERROR_INTERNAL = -70,
    ERROR_IO = -74, /* disk or ledger */
    ERROR_HALTED = -75,
    ERROR_PERMISSION = -77,
    ERROR_CONFIG = -78,
};

struct error {
    int code;          /* an enum error_code, 0 when nothing failed */
    char where[256];   /* "file:line[:column]", a key path, a row; empty when the message says it */
    char message[768]; /* without trailing newline, cut with "..." when longer */
};

/* Each returns `code`, so that a failing function ends with `return error_set(err, ...)`. err may
 * be NULL: then only the code travels. */
int error_set(struct error *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);
int error_at(struct error *err, int code, const char *where, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Puts "doing what: " in front of the message; keeps and returns err->code. (With err NULL the code
 * is gone: ERROR_INTERNAL.) */
int error_wrap(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
