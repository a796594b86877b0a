/* text.h - growable text with a limit, and the few string helpers the standard library lacks. */
#ifndef RUNTIME_BASE_TEXT_H
#define RUNTIME_BASE_TEXT_H

#include <stdarg.h>

#include "runtime/base/base.h"

/* A buffer that grows to `limit` bytes and then refuses: `overflow` is set and further appends do
 * nothing, so a caller checks once at the end. `data` is always NUL-terminated (never NULL after
 * init). Released with text_release; a released or cleared text may be used again. */
struct text {
    char *data;
    size_t length;
    size_t capacity;
    size_t limit;
    bool overflow;
};

void text_init(struct text *text, size_t limit);
void text_release(struct text *text);
void text_clear(struct text *text); /* keeps the memory */
void text_append(struct text *text, const void *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
void text_vprintf(struct text *text, const char *format, va_list arguments);

/* Copies a string into a fixed field. False when it was cut to fit. */
bool text_copy(char *field, size_t size, const char *string);
/* The same, for a piece of a longer text. */
bool text_copy_span(char *field, size_t size, const char *bytes, size_t length);

/* The shortest plain or scientific text that reads back as the same double (0 for -0). */
#define DOUBLE_TEXT_MAX 40
char *double_format(double value, char buffer[DOUBLE_TEXT_MAX]);

bool text_starts_with(const char *string, const char *prefix);
bool text_ends_with(const char *string, const char *suffix);

/* The word of `words` (NULL-terminated) nearest to `word` by edit distance (swaps count one), or
 * NULL when none is near enough to suggest (more than a third of its letters differ). */
const char *text_nearest(const char *word, const char *const *words);

/* Reads a whole regular file. *data is malloc'd, NUL-terminated, the caller frees it.
 * ERROR_NO_INPUT missing; ERROR_DATA a directory, no regular file, or over the limit; ERROR_IO. */
struct error;
MUST_CHECK int text_read_file(const char *path, size_t limit, char **data, size_t *length,
                              struct error *err);

/* Writes path whole or not at all: temporary file beside it, fsync, rename. ERROR_IO. */
MUST_CHECK int text_write_file(const char *path, const void *data, size_t length,
                               struct error *err);

/* Makes a directory and its missing parents (0700). ERROR_IO. */
MUST_CHECK int text_make_directories(const char *path, struct error *err);

#endif
