/* log.h - structured logs: people on a terminal, machines in a file.
 *
 * One record goes to stderr (coloured and short on a terminal, otherwise one line each:
 * UTC time, level, component, message, key=value) and, as a JSON line, to the events file.
 * Only what comes before the file is attached is kept in memory (256 KiB at most) and then begins
 * the file. A failing write to the file is counted, never fatal.
 *
 * Thread: the engine's. */
#ifndef RUNTIME_BASE_LOG_H
#define RUNTIME_BASE_LOG_H

#include "runtime/base/base.h"
#include "runtime/base/clock.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log; /* opaque */

struct log_options {
    enum log_level level; /* below it nothing is written to stderr; the file takes INFO and above,
                             or level if lower */
    bool quiet;           /* stderr shows only WARN and above */
    bool terminal;        /* stderr is a terminal: short human lines */
    bool colour;
    struct clock clock; /* stamps each record */
};

struct log *log_open(const struct log_options *options);
void log_close(struct log *log);

/* From now on records also go to this JSON-lines file (appended, created 0600). ERROR_IO. */
MUST_CHECK int log_attach_file(struct log *log, const char *path, struct error *err);

/* While held only errors are written: a replay has said everything before. */
void log_hold(struct log *log, bool held);

/* From now on; the configuration says it after the log was opened. */
void log_set_level(struct log *log, enum log_level level);

/* Called around a line on the terminal, so that a status line can be cleared and drawn again. */
void log_on_line(struct log *log, void (*before)(void *self), void (*after)(void *self),
                 void *self);

/* The market's time, added to every later record as `market_time`; TIME_NEVER for none. */
void log_set_market_time(struct log *log, int64_t market_ns);

enum log_field_kind { FIELD_STRING, FIELD_INT, FIELD_DOUBLE, FIELD_DECIMAL };
struct log_field {
    const char *key;
    enum log_field_kind kind;
    const char *string;
    int64_t integer;
    double real;
    decimal number;
};
#define F_STR(k, v) ((struct log_field){ .key = (k), .kind = FIELD_STRING, .string = (v) })
#define F_INT(k, v) ((struct log_field){ .key = (k), .kind = FIELD_INT, .integer = (v) })
#define F_DBL(k, v) ((struct log_field){ .key = (k), .kind = FIELD_DOUBLE, .real = (v) })
#define F_DEC(k, v) ((struct log_field){ .key = (k), .kind = FIELD_DECIMAL, .number = (v) })

/* log may be NULL: then nothing happens (tests, rehearsals). Control characters in message and
 * values are escaped; message and values are cut at 1 KiB. At most 64 fields. */
void log_fields(struct log *log, enum log_level level, const char *component, const char *message,
                const struct log_field *fields, size_t count);

/* A record without fields. */
static inline void log_line(struct log *log, enum log_level level, const char *component,
                            const char *message)
{
    log_fields(log, level, component, message, NULL, 0);
}

/* A record with one or more fields:
 * LOG(log, LOG_INFO, "engine", "order filled", F_STR("symbol", s), F_DEC("qty", q)); */
#define LOG(log, level, component, message, ...)                                                   \
    log_fields((log), (level), (component), (message), (const struct log_field[]){ __VA_ARGS__ },  \
               sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

bool log_level_parse(const char *name, enum log_level *level); /* debug info warn error */
const char *log_level_name(enum log_level level);

#endif
