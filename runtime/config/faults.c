/* faults.c - collecting, ordering and telling the faults of a configuration. */
#include "runtime/config/faults.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX 4096 /* bytes */

void faults_release(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++) {
        free(faults->list[i].where);
        free(faults->list[i].message);
    }
    free(faults->list);
    *faults = (struct faults){ .file = faults->file };
}

static void add(struct faults *faults, int line, int column, const char *where, const char *path,
                const char *format, va_list arguments)
{
    if (faults->count == FAULTS_MAX) {
        faults->dropped++;
        return;
    }
    struct text message;
    text_init(&message, MESSAGE_MAX);
    if (*path)
        text_printf(&message, "%s: ", path);
    text_vprintf(&message, format, arguments);

    faults->list =
        memory_grow(faults->list, &faults->capacity, faults->count + 1, sizeof(*faults->list));
    faults->list[faults->count++] = (struct fault){
        .line = line,
        .column = column,
        .where = strdup(where),
        .message = message.data,
    };
    ASSERT(faults->list[faults->count - 1].where);
}

void faults_add(struct faults *faults, int line, int column, const char *path, const char *format,
                ...)
{
    struct text where;
    text_init(&where, MESSAGE_MAX);
    text_printf(&where, "%s:%d:%d", faults->file, line, column);
    va_list arguments;
    va_start(arguments, format);
    add(faults, line, column, where.data, path, format, arguments);
    va_end(arguments);
    text_release(&where);
}

void faults_add_at(struct faults *faults, const char *where, const char *path, const char *format,
                   ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(faults, INT_MAX, (int)faults->count, where, path, format, arguments);
    va_end(arguments);
}

static int compare(const void *left, const void *right)
{
    const struct fault *a = left, *b = right;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return (a->column > b->column) - (a->column < b->column);
}

int faults_tell(struct faults *faults, int code, struct text *out, struct error *err)
{
    ASSERT(faults->count > 0);
    qsort(faults->list, faults->count, sizeof(*faults->list), compare);
    for (size_t i = 0; out && i < faults->count; i++)
        text_printf(out, "%s: %s\n", faults->list[i].where, faults->list[i].message);
    if (out && faults->dropped > 0)
        text_printf(out, "%s: and %zu more\n", faults->file ? faults->file : "configuration",
                    faults->dropped);
    return error_at(err, code, faults->list[0].where, "%s", faults->list[0].message);
}
