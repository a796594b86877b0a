/* log.c - records to the terminal and to the events file, each a single write. */
#include "runtime/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#define VALUE_MAX 1024        /* bytes of a message or a value */
#define NAME_MAX_SHOWN 128    /* bytes of a component or a key */
#define FIELDS_MAX 64         /* with the limits above a line always fits LINE_MAX_BYTES */
#define LINE_MAX_BYTES 524288 /* escaping makes at most six bytes of one */
#define EARLY_MAX_BYTES (256u << 10)

struct log {
    struct log_options options;
    int64_t market_ns;
    bool held;
    int file;          /* -1 for none */
    struct text early; /* records from before there was a file: it begins with them */
    bool line_is_torn; /* the last write to the file stopped half way */
    uint64_t lost;     /* records the file did not take */
    struct text line;
    struct text json;
    struct json_writer *writer;
    void (*before)(void *self);
    void (*after)(void *self);
    void *line_self;
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
        if (strcmp(name, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* ---- text for people ---- */

/* One character that may not reach a terminal as it is: a control (C0, DEL, C1, which some
 * terminals obey too), or a byte that is not UTF-8. */
static bool needs_escape(const char *bytes, size_t step)
{
    unsigned char first = (unsigned char)bytes[0];
    return step == 0 || first < 0x20 || first == 0x7f ||
           (first == 0xc2 && (unsigned char)bytes[1] < 0xa0);
}

static void add_escape(struct text *line, unsigned char byte)
{
    if (byte == '\n')
        text_add(line, "\\n");
    else if (byte == '\t')
        text_add(line, "\\t");
    else if (byte == '\r')
        text_add(line, "\\r");
    else
        text_printf(line, "\\x%02x", byte);
}

/* Appends at most `limit` bytes of the value, escaped, and "..." if that is not all of it. */
static void add_escaped(struct text *line, const char *value, size_t limit, bool quoted)
{
    size_t full = strlen(value);
    size_t length = utf8_cut(value, full, limit);
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(value + i, length - i);
        size_t bytes = step ? step : 1;
        if (needs_escape(value + i, step)) {
            for (size_t k = 0; k < bytes; k++)
                add_escape(line, (unsigned char)value[i + k]);
        } else {
            if (quoted && (value[i] == '"' || value[i] == '\\'))
                text_add(line, "\\");
            text_append(line, value + i, bytes);
        }
        i += bytes;
    }
    if (length < full)
        text_add(line, "...");
}

static void add_quoted(struct text *line, const char *value)
{
    text_add(line, "\"");
    add_escaped(line, value, VALUE_MAX, true);
    text_add(line, "\"");
}

/* The value of a field as text; numbers are spelled into `buffer`. */
static const char *field_text(const struct log_field *field, char buffer[DECIMAL_TEXT_MAX])
{
    switch (field->kind) {
    case FIELD_STRING:
        return field->string ? field->string : "-";
    case FIELD_INT:
        return decimal_format(decimal_int(field->integer), buffer);
    case FIELD_DOUBLE:
        return double_format(field->real, buffer);
    case FIELD_DECIMAL:
        return decimal_format(field->number, buffer);
    }
    ASSERT(!"a kind of field");
    return "";
}
_Static_assert(DOUBLE_TEXT_MAX <= DECIMAL_TEXT_MAX, "field_text spells both into one buffer");

static void add_field(struct text *line, const struct log_field *field)
{
    char buffer[DECIMAL_TEXT_MAX];
    const char *value = field_text(field, buffer);
    text_add(line, " ");
    add_escaped(line, field->key, NAME_MAX_SHOWN, false);
    text_add(line, "=");
    if (*value == '\0' || strpbrk(value, " \"=")) /* or its end could not be told */
        add_quoted(line, value);
    else
        add_escaped(line, value, VALUE_MAX, false);
}

/* What one record holds, on its way to both outputs. */
struct record {
    int64_t time_ns;
    enum log_level level;
    const char *component;
    const char *message;
    const struct log_field *fields;
    size_t count;
};

/* 12:00:01 info  engine   order filled  symbol=BTC/USDT:USDT qty=0.1 */
static void format_terminal(struct text *line, const struct record *record, bool colour)
{
    static const char *const colours[] = { "\033[2m", "\033[36m", "\033[33m", "\033[31m" };
    char stamp[TIME_TEXT_MAX];
    time_format_short(record->time_ns, stamp);
    text_printf(line, "%s %s%-5s%s ", stamp + sizeof("2024-01-01"),
                colour ? colours[record->level] : "", log_level_name(record->level),
                colour ? "\033[0m" : "");

    size_t start = line->length;
    add_escaped(line, record->component, NAME_MAX_SHOWN, false);
    text_printf(line, "%*s ", line->length - start < 8 ? (int)(8 - (line->length - start)) : 0, "");
    add_escaped(line, record->message, VALUE_MAX, false);
    if (record->count > 0)
        text_add(line, " ");
    for (size_t i = 0; i < record->count; i++)
        add_field(line, &record->fields[i]);
    text_add(line, "\n");
}

/* 2024-01-01T12:00:01.000000000Z info engine "order filled" symbol=BTC/USDT:USDT qty=0.1 */
static void format_plain(struct text *line, const struct record *record, int64_t market_ns)
{
    char stamp[TIME_TEXT_MAX];
    text_printf(line, "%s %s ", time_format(record->time_ns, stamp), log_level_name(record->level));
    add_escaped(line, record->component, NAME_MAX_SHOWN, false);
    text_add(line, " ");
    add_quoted(line, record->message);
    if (market_ns != TIME_NEVER)
        text_printf(line, " market_time=%s", time_format(market_ns, stamp));
    for (size_t i = 0; i < record->count; i++)
        add_field(line, &record->fields[i]);
    text_add(line, "\n");
}

/* ---- JSON for machines ---- */

/* A string of at most `limit` bytes, then "..." if that is not all of it. */
static void add_json_string(struct log *log, const char *value, size_t limit)
{
    char cut[VALUE_MAX + sizeof("...")];
    if (!value || strlen(value) <= limit) {
        json_string(log->writer, value);
        return;
    }
    text_copy(cut, limit + 1, value);
    memcpy(cut + strlen(cut), "...", sizeof("..."));
    json_string(log->writer, cut);
}

static void add_json_field(struct log *log, const struct log_field *field)
{
    add_json_string(log, field->key, NAME_MAX_SHOWN);
    switch (field->kind) {
    case FIELD_STRING:
        add_json_string(log, field->string, VALUE_MAX);
        return;
    case FIELD_INT:
        json_int(log->writer, field->integer);
        return;
    case FIELD_DOUBLE:
        json_double(log->writer, field->real);
        return;
    case FIELD_DECIMAL:
        json_decimal(log->writer, field->number);
        return;
    }
}

static void format_json(struct log *log, const struct record *record)
{
    json_writer_reset(log->writer);
    json_object_begin(log->writer);
    json_key(log->writer, "time");
    json_time(log->writer, record->time_ns);
    if (log->market_ns != TIME_NEVER) {
        json_key(log->writer, "market_time");
        json_time(log->writer, log->market_ns);
    }
    json_key(log->writer, "level");
    json_string(log->writer, log_level_name(record->level));
    json_key(log->writer, "component");
    add_json_string(log, record->component, NAME_MAX_SHOWN);
    json_key(log->writer, "message");
    add_json_string(log, record->message, VALUE_MAX);
    for (size_t i = 0; i < record->count; i++)
        add_json_field(log, &record->fields[i]);
    json_object_end(log->writer);
    text_add(&log->json, "\n");
}

/* ---- the outputs ---- */

/* One write a record, so that lines of several processes do not mix. Returns what was taken. */
static size_t write_once(int file, const struct text *line)
{
    ssize_t written;
    do
        written = write(file, line->data, line->length);
    while (written < 0 && errno == EINTR);
    return written < 0 ? 0 : (size_t)written;
}

static void write_stderr(struct log *log, const struct record *record)
{
    text_clear(&log->line);
    if (log->options.terminal)
        format_terminal(&log->line, record, log->options.colour);
    else
        format_plain(&log->line, record, log->market_ns);

    if (log->before)
        log->before(log->line_self);
    write_once(STDERR_FILENO, &log->line); /* nobody is left to tell if this fails */
    if (log->after)
        log->after(log->line_self);
}

/* Says on stderr alone what the file cannot say of itself. */
static void complain(struct log *log, const char *message)
{
    const struct log_field field = F_INT("records_lost", (int64_t)log->lost);
    const struct record record = { .time_ns = clock_now(log->options.clock),
                                   .level = LOG_ERROR,
                                   .component = "log",
                                   .message = message,
                                   .fields = &field,
                                   .count = 1 };
    write_stderr(log, &record);
}

static void write_file(struct log *log, const struct record *record)
{
    text_clear(&log->json);
    if (log->line_is_torn) /* end it, so that this record stands alone */
        text_add(&log->json, "\n");
    format_json(log, record);
    if (log->file < 0) {
        text_append(&log->early, log->json.data, log->json.length);
        return;
    }

    size_t taken = write_once(log->file, &log->json);
    if (taken == log->json.length) {
        log->line_is_torn = false;
        return;
    }
    log->line_is_torn |= taken > 0;
    if (log->lost++ == 0)
        complain(log, "the events file cannot be written");
}

struct log *log_open(const struct log_options *options)
{
    struct log *log = memory_new(sizeof(*log));
    log->options = *options;
    log->market_ns = TIME_NEVER;
    log->file = -1;
    text_init(&log->line, LINE_MAX_BYTES);
    text_init(&log->json, LINE_MAX_BYTES);
    text_init(&log->early, EARLY_MAX_BYTES);
    log->writer = json_writer_open(&log->json, false);
    return log;
}

void log_close(struct log *log)
{
    if (!log)
        return;
    if (log->lost > 0)
        complain(log, "the events file is not complete");
    if (log->file >= 0)
        close(log->file);
    json_writer_close(log->writer);
    text_release(&log->early);
    text_release(&log->json);
    text_release(&log->line);
    free(log);
}

int log_attach_file(struct log *log, const char *path, struct error *err)
{
    int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return error_set(err, ERROR_IO, "cannot open the events file %s: %s", path,
                         strerror(errno));
    if (log->file >= 0)
        close(log->file);
    log->file = file;
    log->line_is_torn = false;
    errno = ENOSPC; /* what a short write means; one that fails says why itself */
    if (write_once(file, &log->early) < log->early.length)
        return error_set(err, ERROR_IO, "cannot write to the events file %s: %s", path,
                         strerror(errno));
    text_release(&log->early);
    return 0;
}

void log_hold(struct log *log, bool held)
{
    if (log)
        log->held = held;
}

void log_set_level(struct log *log, enum log_level level)
{
    if (log)
        log->options.level = level;
}

void log_on_line(struct log *log, void (*before)(void *self), void (*after)(void *self), void *self)
{
    log->before = before;
    log->after = after;
    log->line_self = self;
}

void log_set_market_time(struct log *log, int64_t market_ns)
{
    if (log)
        log->market_ns = market_ns;
}

void log_fields(struct log *log, enum log_level level, const char *component, const char *message,
                const struct log_field *fields, size_t count)
{
    ASSERT(count <= FIELDS_MAX);
    if (!log || (log->held && level < LOG_ERROR))
        return;

    enum log_level lowest = log->options.level;
    bool to_file = level >= (lowest < LOG_INFO ? lowest : LOG_INFO);
    if (log->options.quiet && lowest < LOG_WARN)
        lowest = LOG_WARN;
    if (level < lowest && !to_file)
        return;

    const struct record record = { .time_ns = clock_now(log->options.clock),
                                   .level = level,
                                   .component = component,
                                   .message = message,
                                   .fields = fields,
                                   .count = count };
    if (level >= lowest)
        write_stderr(log, &record);
    if (to_file)
        write_file(log, &record);
}
