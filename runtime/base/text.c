/* text.c - growable text, string helpers, whole files. */
#include "runtime/base/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/decimal.h"
#include "runtime/base/error.h"
#include "runtime/base/utf8.h"

#define CAPACITY_FIRST 64 /* bytes */

/* ---- growable text ---- */

/* Room for `more` bytes and the NUL; false, and overflow, beyond the limit. */
static bool reserve(struct text *text, size_t more)
{
    if (text->overflow || more > text->limit - text->length) {
        text->overflow = true;
        return false;
    }
    text->data = memory_grow(text->data, &text->capacity, text->length + more + 1, 1);
    return true;
}

void text_init(struct text *text, size_t limit)
{
    ASSERT(limit < SIZE_MAX);
    *text = (struct text){ .capacity = CAPACITY_FIRST, .limit = limit };
    text->data = memory_new(text->capacity);
}

void text_release(struct text *text)
{
    free(text->data);
    *text = (struct text){ .limit = text->limit };
}

void text_clear(struct text *text)
{
    text->length = 0;
    text->overflow = false;
    if (text->data)
        text->data[0] = '\0';
}

void text_append(struct text *text, const void *bytes, size_t length)
{
    if (!reserve(text, length))
        return;
    if (length > 0)
        memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(text, format, arguments);
    va_end(arguments);
}

void text_vprintf(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    if (reserve(text, 0)) {
        size_t room = text->capacity - text->length;
        int length = vsnprintf(text->data + text->length, room, format, arguments);
        ASSERT(length >= 0);
        if (!reserve(text, (size_t)length))
            text->data[text->length] = '\0'; /* whole or not at all */
        else if ((size_t)length >= room)
            vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        if (!text->overflow)
            text->length += (size_t)length;
    }
    va_end(again);
}

/* ---- fixed fields ---- */

bool text_copy(char *field, size_t size, const char *string)
{
    return text_copy_span(field, size, string, strlen(string));
}

bool text_copy_span(char *field, size_t size, const char *bytes, size_t length)
{
    ASSERT(size > 0);
    size_t cut = utf8_cut(bytes, length, size - 1);
    memmove(field, bytes, cut);
    field[cut] = '\0';
    return cut == length;
}

bool text_starts_with(const char *string, const char *prefix)
{
    return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *string, const char *suffix)
{
    size_t length = strlen(string);
    size_t end = strlen(suffix);
    return length >= end && memcmp(string + length - end, suffix, end) == 0;
}

char *double_format(double value, char buffer[DOUBLE_TEXT_MAX])
{
    decimal exact = decimal_from_double(value);
    double size = value < 0 ? -value : value;
    if (decimal_valid(exact) && (size == 0 || (size >= 1e-6 && size < 1e16))) {
        char text[DECIMAL_TEXT_MAX];
        text_copy(buffer, DOUBLE_TEXT_MAX, decimal_format(exact, text));
        return buffer;
    }
    for (int digits = 1; digits <= 17; digits += digits == 1 ? 14 : 1) {
        snprintf(buffer, DOUBLE_TEXT_MAX, "%.*g", digits, value);
        if (strtod(buffer, NULL) == value)
            break;
    }
    return buffer;
}

/* ---- the nearest word ---- */

#define WORD_MAX 64 /* letters; longer words get no suggestion */

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Edits from a to b, where a swap of neighbours counts one and case counts nothing: optimal string
 * alignment, over three rows of the usual table. */
static int edit_distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][WORD_MAX + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int *spare = before;
        before = above;
        above = row;
        row = spare;
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(above[j - 1] + (x != y), 1 + smaller(above[j], row[j - 1]));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]))
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
    }
    return row[b_length];
}

const char *text_nearest(const char *word, const char *const *words)
{
    const char *nearest = NULL;
    int least = WORD_MAX + 1;
    size_t length = strlen(word);
    if (length > WORD_MAX)
        return NULL;

    for (; *words; words++) {
        size_t other = strlen(*words);
        if (other > WORD_MAX)
            continue;
        int distance = edit_distance(word, (int)length, *words, (int)other);
        size_t letters = length > other ? length : other;
        if (distance < least && 3 * (size_t)distance <= letters) {
            least = distance;
            nearest = *words;
        }
    }
    return nearest;
}

/* ---- files ---- */

static int open_regular(const char *path, size_t limit, int *file, struct error *err)
{
    struct stat info;
    /* Without O_NONBLOCK the opening of a named pipe would wait for a writer. */
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0)
        return error_set(err, errno == ENOENT || errno == ENOTDIR ? ERROR_NO_INPUT : ERROR_IO,
                         "cannot open %s: %s", path, strerror(errno));
    if (fstat(*file, &info) != 0)
        return error_set(err, ERROR_IO, "cannot look at %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return error_set(err, ERROR_DATA, "%s is a directory, not a file", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERROR_DATA, "%s is not a regular file", path);
    if ((uint64_t)info.st_size > limit)
        return error_set(err, ERROR_DATA, "%s is %jd bytes, more than the %zu allowed", path,
                         (intmax_t)info.st_size, limit);
    return 0;
}

/* Up to the end of the file rather than to a size known before: it may grow meanwhile. */
static int read_all(int file, const char *path, struct text *text, struct error *err)
{
    char block[65536];
    for (;;) {
        ssize_t got = read(file, block, sizeof(block));
        if (got == 0)
            return 0;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set(err, ERROR_IO, "cannot read %s: %s", path, strerror(errno));
        text_append(text, block, (size_t)got);
        if (text->overflow)
            return error_set(err, ERROR_DATA, "%s is more than the %zu bytes allowed", path,
                             text->limit);
    }
}

int text_read_file(const char *path, size_t limit, char **data, size_t *length, struct error *err)
{
    int file = -1;
    struct text text;
    *data = NULL;
    *length = 0;
    text_init(&text, limit < SIZE_MAX ? limit : SIZE_MAX - 1);

    int code = open_regular(path, limit, &file, err);
    if (!code)
        code = read_all(file, path, &text, err);
    if (!code) {
        *data = text.data;
        *length = text.length;
    } else {
        text_release(&text);
    }
    if (file >= 0)
        close(file);
    return code;
}

static bool write_all(int file, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(file, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes += written;
        length -= (size_t)written;
    }
    return true;
}

/* Makes the names in the directory of `path` durable: a rename alone may be lost with the power. */
static bool sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    ASSERT(parent);
    int directory = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (directory < 0)
        return false;
    bool synced = fsync(directory) == 0;
    int reason = errno;
    close(directory);
    errno = reason;
    return synced;
}

int text_write_file(const char *path, const void *data, size_t length, struct error *err)
{
    struct text temporary;
    text_init(&temporary, SIZE_MAX - 1);
    text_printf(&temporary, "%s.tmp-XXXXXX", path);
    int code = 0;

    int file = mkostemp(temporary.data, O_CLOEXEC); /* 0600 */
    bool made = file >= 0;
    bool written = made && write_all(file, data, length) && fsync(file) == 0;
    int reason = errno;
    if (made && close(file) != 0 && written) {
        written = false;
        reason = errno;
    }
    if (written && rename(temporary.data, path) != 0) {
        written = false;
        reason = errno;
    }
    if (made && !written)
        unlink(temporary.data);
    if (written && !sync_directory(path)) {
        written = false;
        reason = errno;
    }
    if (!written)
        code = error_set(err, ERROR_IO, "cannot write %s: %s", path, strerror(reason));
    text_release(&temporary);
    return code;
}

/* One directory of a path; fine when it is there already. */
static int make_directory(const char *path, struct error *err)
{
    struct stat info;
    if (mkdir(path, 0700) == 0)
        return 0;
    int reason = errno;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode))
            return 0;
        reason = ENOTDIR;
    }
    return error_set(err, ERROR_IO, "cannot make directory %s: %s", path, strerror(reason));
}

int text_make_directories(const char *path, struct error *err)
{
    if (!*path)
        return error_set(err, ERROR_IO, "cannot make a directory without a name");
    char *partial = strdup(path);
    ASSERT(partial);

    int code = 0;
    for (char *slash = strchr(partial + 1, '/'); slash && !code; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        code = make_directory(partial, err);
        *slash = '/';
    }
    if (!code)
        code = make_directory(partial, err);
    free(partial);
    return code;
}
