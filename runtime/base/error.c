/* error.c - filling in error values. */
#include "runtime/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#define ELLIPSIS "..."

/* Fits `text`, which may have been cut by vsnprintf, into a field and marks a cut. */
static void fit(char *field, size_t size, const char *text, size_t full_length)
{
    size_t length = strlen(text);
    while (length > 0 && length == full_length && text[length - 1] == '\n')
        full_length = --length;

    if (full_length < size) {
        memcpy(field, text, length);
        field[length] = '\0';
        return;
    }
    size_t cut = utf8_cut(text, length, size - sizeof(ELLIPSIS));
    memcpy(field, text, cut);
    memcpy(field + cut, ELLIPSIS, sizeof(ELLIPSIS));
}

/* The arguments may point into *err itself, so the sentence is made aside. */
static void set_message(struct error *err, const char *format, va_list arguments)
{
    char message[sizeof(err->message) + 8];
    int length = vsnprintf(message, sizeof(message), format, arguments);
    ASSERT(length >= 0);
    fit(err->message, sizeof(err->message), message, (size_t)length);
}

int error_set(struct error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list arguments;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    err->where[0] = '\0';
    err->code = code;
    return code;
}

int error_at(struct error *err, int code, const char *where, const char *format, ...)
{
    if (!err)
        return code;
    va_list arguments;
    va_start(arguments, format);
    set_message(err, format, arguments);
    va_end(arguments);
    if (where != err->where)
        text_copy(err->where, sizeof(err->where), where);
    err->code = code;
    return code;
}

int error_wrap(struct error *err, const char *format, ...)
{
    if (!err) /* the code is lost with the error; any failure is better than a false success */
        return ERROR_INTERNAL;

    char doing[sizeof(err->message)];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(doing, sizeof(doing), format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);

    char message[2 * sizeof(err->message) + 8];
    length = snprintf(message, sizeof(message), "%s: %s", doing, err->message);
    fit(err->message, sizeof(err->message), message, (size_t)length);
    return err->code;
}
