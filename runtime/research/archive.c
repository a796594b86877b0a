/* archive.c - the container is opened by libarchive, the lines are cut here.
 *
 * libarchive is given no seek and no skip callback: it reads every byte in order, so the same pass
 * hashes the file. Only the filter and the format that the first bytes announce are enabled: with
 * all of them, a text that starts with "begin 644" is taken for uuencoded data. */
#include "runtime/research/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/text.h"
#include "runtime/research/checksum.h"

#define INPUT_BYTES ((size_t)65536)
#define BUFFER_BYTES (4 * LINE_BYTES_MAX)

enum container { CONTAINER_PLAIN, CONTAINER_GZIP, CONTAINER_ZSTD, CONTAINER_XZ, CONTAINER_ZIP };

static const struct {
    const char *name;
    const char *magic;
    size_t length;
} CONTAINERS[] = {
    [CONTAINER_PLAIN] = { "plain", "", 0 },
    [CONTAINER_GZIP] = { "gzip", "\x1f\x8b", 2 },
    [CONTAINER_ZSTD] = { "zstd", "\x28\xb5\x2f\xfd", 4 },
    [CONTAINER_XZ] = { "xz",
                       "\xfd"
                       "7zXZ\0",
                       6 },
    [CONTAINER_ZIP] = { "zip", "PK\x03\x04", 4 },
};

struct lines {
    char *path;
    int fd;            /* -1: bytes in memory */
    const char *bytes; /* in memory: what is still unread */
    size_t bytes_left;
    uint64_t size, done;
    struct sha256 *hash; /* NULL: not wanted */
    int read_errno;      /* of a failed read */

    enum container container;
    struct archive *archive; /* NULL: plain */
    char *input;             /* INPUT_BYTES: what was read and libarchive has not seen */
    size_t input_length;     /* > 0: the bytes that told the container, not passed on yet */
    const char *block;       /* decoded by libarchive, not copied yet */
    size_t block_left;
    struct checksum *checksum; /* of the unpacked bytes; NULL: not gzip, or not wanted */

    char *buffer; /* BUFFER_BYTES of text; [start, end) is not given out yet */
    size_t start, end;
    bool at_end;
    uint64_t number;
};

/* ---- places ---- */

char *lines_where(const struct lines *lines, uint64_t number, char where[WHERE_MAX])
{
    char tail[24];
    int tail_length = snprintf(tail, sizeof(tail), ":%" PRIu64, number);
    size_t room = (size_t)WHERE_MAX - 1 - (size_t)tail_length;
    size_t length = strlen(lines->path);
    if (length <= room)
        snprintf(where, WHERE_MAX, "%s%s", lines->path, tail);
    else
        snprintf(where, WHERE_MAX, "...%s%s", lines->path + (length - (room - 3)), tail);
    return where;
}

static int fail_at(const struct lines *lines, uint64_t number, struct error *err,
                   const char *message)
{
    char where[WHERE_MAX];
    return error_at(err, ERROR_DATA, lines_where(lines, number, where), "%s", message);
}

static int fail_read(const struct lines *lines, struct error *err)
{
    return error_set(err, ERROR_IO, "read %s: %s", lines->path, strerror(lines->read_errno));
}

/* ---- bytes on disk ---- */

/* Up to `room` bytes: 0 at the end, -1 with read_errno. */
static ssize_t take_bytes(struct lines *lines, char *to, size_t room)
{
    ssize_t got;
    if (lines->fd < 0) {
        size_t count = lines->bytes_left < room ? lines->bytes_left : room;
        if (count > 0) /* memcpy from NULL is undefined even for nothing */
            memcpy(to, lines->bytes, count);
        lines->bytes += count;
        lines->bytes_left -= count;
        got = (ssize_t)count;
    } else {
        do {
            got = read(lines->fd, to, room);
        } while (got < 0 && errno == EINTR);
        if (got < 0) {
            lines->read_errno = errno;
            return -1;
        }
    }
    lines->done += (uint64_t)got;
    if (lines->hash && got > 0)
        sha256_update(lines->hash, to, (size_t)got);
    return got;
}

static la_ssize_t feed_archive(struct archive *archive, void *self, const void **bytes)
{
    struct lines *lines = self;
    *bytes = lines->input;
    if (lines->input_length > 0) {
        size_t length = lines->input_length;
        lines->input_length = 0;
        return (la_ssize_t)length;
    }
    ssize_t got = take_bytes(lines, lines->input, INPUT_BYTES);
    if (got < 0) {
        archive_set_error(archive, lines->read_errno, "%s", strerror(lines->read_errno));
        return -1;
    }
    return got;
}

/* ---- the container ---- */

static int fail_container(struct lines *lines, struct error *err)
{
    char message[512];
    if (lines->read_errno)
        return fail_read(lines, err);
    const char *reason = archive_error_string(lines->archive);
    snprintf(message, sizeof(message),
             "the %s data is damaged or ends too early here, after %" PRIu64
             " whole lines (%s): copy or download the file again",
             CONTAINERS[lines->container].name, lines->number, reason ? reason : "no reason given");
    return fail_at(lines, lines->number + 1, err, message);
}

static int fail_empty(const struct lines *lines, struct error *err)
{
    return error_set(err, ERROR_DATA, "%s: no rows: the file is empty", lines->path);
}

static int enable(struct archive *archive, enum container container)
{
    int code = container == CONTAINER_ZIP ? archive_read_support_format_zip_streamable(archive)
                                          : archive_read_support_format_raw(archive);
    switch (container) {
    case CONTAINER_GZIP:
        return code ? code : archive_read_support_filter_gzip(archive);
    case CONTAINER_ZSTD:
        return code ? code : archive_read_support_filter_zstd(archive);
    case CONTAINER_XZ:
        return code ? code : archive_read_support_filter_xz(archive);
    case CONTAINER_ZIP:
    case CONTAINER_PLAIN:
        break;
    }
    return code;
}

/* The header of the next file in the container: 1, 0 there is none, negative on failure. */
static int next_entry(struct lines *lines, struct error *err)
{
    struct archive_entry *entry;
    for (;;) {
        int code = archive_read_next_header(lines->archive, &entry);
        if (code == ARCHIVE_EOF)
            return 0;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail_container(lines, err);
        if (lines->container != CONTAINER_ZIP || archive_entry_filetype(entry) != AE_IFDIR)
            return 1;
    }
}

static int open_container(struct lines *lines, struct error *err)
{
    lines->archive = archive_read_new();
    if (!lines->archive || enable(lines->archive, lines->container) != ARCHIVE_OK)
        return error_set(err, ERROR_INTERNAL, "%s: this libarchive cannot read %s", lines->path,
                         CONTAINERS[lines->container].name);
    if (archive_read_open(lines->archive, lines, NULL, feed_archive, NULL) != ARCHIVE_OK) {
        /* A gzip of nothing has no format to recognise. Its bytes were all read without complaint,
         * which is what tells it from a damaged one. */
        const char *reason = archive_error_string(lines->archive);
        if (!lines->read_errno && reason && strstr(reason, "Unrecognized archive format"))
            return fail_empty(lines, err);
        return fail_container(lines, err);
    }
    int code = next_entry(lines, err);
    if (code == 0)
        return fail_empty(lines, err);
    if (code < 0)
        return code;
    if (lines->container == CONTAINER_GZIP && lines->hash) {
        lines->checksum = memory_new(sizeof(*lines->checksum));
        checksum_init(lines->checksum);
    }
    int filters = archive_filter_count(lines->archive) - 1; /* the last one is "none" */
    if (filters > 1 || (filters == 1 && lines->container == CONTAINER_ZIP))
        return error_set(err, ERROR_DATA,
                         "%s: compressed %d times: unpack it until one compression is left",
                         lines->path, filters);
    return 0;
}

static int recognise(struct lines *lines, struct error *err)
{
    while (lines->input_length < INPUT_BYTES) {
        ssize_t got = take_bytes(lines, lines->input + lines->input_length,
                                 INPUT_BYTES - lines->input_length);
        if (got < 0)
            return fail_read(lines, err);
        if (got == 0)
            break;
        lines->input_length += (size_t)got;
    }
    if (lines->input_length == 0)
        return fail_empty(lines, err);
    for (enum container c = CONTAINER_GZIP; c < ARRAY_SIZE(CONTAINERS); c++)
        if (lines->input_length >= CONTAINERS[c].length &&
            memcmp(lines->input, CONTAINERS[c].magic, CONTAINERS[c].length) == 0)
            lines->container = c;
    return lines->container == CONTAINER_PLAIN ? 0 : open_container(lines, err);
}

/* ---- opening and closing ---- */

static int begin(struct lines *lines, struct lines **out, struct error *err)
{
    lines->input = memory_new(INPUT_BYTES);
    lines->buffer = memory_new(BUFFER_BYTES);
    int code = recognise(lines, err);
    if (code < 0) {
        lines_close(lines);
        return code;
    }
    *out = lines;
    return 0;
}

static struct lines *make(const char *path, int fd)
{
    struct lines *lines = memory_new(sizeof(*lines));
    size_t size = strlen(path) + 1;
    lines->path = memory_new(size);
    memcpy(lines->path, path, size);
    lines->fd = fd;
    return lines;
}

int lines_open(const char *path, bool hashed, struct lines **out, struct error *err)
{
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO does not hang */
    if (fd < 0)
        return error_set(err, ERROR_NO_INPUT, "%s: %s", path, strerror(errno));
    struct stat status;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return error_set(err, ERROR_DATA, "%s: found %s, allowed is a file", path,
                         S_ISDIR(status.st_mode) ? "a directory" : "something that is no file");
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct lines *lines = make(path, fd);
    lines->size = (uint64_t)status.st_size;
    if (hashed)
        lines->hash = sha256_open();
    return begin(lines, out, err);
}

int lines_open_bytes(const char *path, const void *bytes, size_t length, struct lines **out,
                     struct error *err)
{
    *out = NULL;
    struct lines *lines = make(path, -1);
    lines->bytes = bytes;
    lines->bytes_left = length;
    lines->size = length;
    return begin(lines, out, err);
}

int lines_finish(struct lines *lines, char hash[SHA256_TEXT_MAX], struct error *err)
{
    ASSERT(lines->hash);
    ssize_t got;
    while ((got = take_bytes(lines, lines->input, INPUT_BYTES)) > 0)
        ;
    if (got < 0)
        return fail_read(lines, err);
    sha256_finish(lines->hash, hash);
    lines->hash = NULL;
    return 0;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    if (lines->archive)
        archive_read_free(lines->archive);
    if (lines->hash) {
        char unused[SHA256_TEXT_MAX];
        sha256_finish(lines->hash, unused);
    }
    if (lines->fd >= 0)
        close(lines->fd);
    free(lines->checksum);
    free(lines->input);
    free(lines->buffer);
    free(lines->path);
    free(lines);
}

/* ---- text ---- */

static int fill_plain(struct lines *lines, struct error *err)
{
    char *to = lines->buffer + lines->end;
    size_t room = BUFFER_BYTES - lines->end;
    if (lines->input_length > 0) { /* INPUT_BYTES always fit: a line never holds so much back */
        ASSERT(lines->input_length <= room);
        memcpy(to, lines->input, lines->input_length);
        lines->end += lines->input_length;
        lines->input_length = 0;
        return 0;
    }
    ssize_t got = take_bytes(lines, to, room);
    if (got < 0)
        return fail_read(lines, err);
    lines->end += (size_t)got;
    lines->at_end = got == 0;
    return 0;
}

static uint32_t little_endian(const unsigned char bytes[4])
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Whether another gzip may begin after the first one: files joined into one are legal. */
static bool may_be_joined(const struct lines *lines)
{
    static const char MAGIC[] = { '\x1f', '\x8b', '\x08' };
    uint64_t at = 1;
    ssize_t got;
    while ((got = pread(lines->fd, lines->input, INPUT_BYTES, (off_t)at)) >=
           (ssize_t)sizeof(MAGIC)) {
        if (memmem(lines->input, (size_t)got, MAGIC, sizeof(MAGIC)))
            return true;
        at += (uint64_t)got - (sizeof(MAGIC) - 1);
    }
    return false;
}

/* The last eight bytes of a gzip are CRC-32 and length of what it holds. Of several joined ones
 * they speak for the last alone: then there is nothing to compare with. */
static int check_gzip(const struct lines *lines, struct error *err)
{
    unsigned char trailer[8];
    if (lines->size < sizeof(trailer) ||
        pread(lines->fd, trailer, sizeof(trailer), (off_t)(lines->size - sizeof(trailer))) !=
            (ssize_t)sizeof(trailer))
        return 0;
    if ((little_endian(trailer) == checksum_value(lines->checksum) &&
         little_endian(trailer + 4) == (uint32_t)lines->checksum->length) ||
        may_be_joined(lines))
        return 0;
    return error_set(err, ERROR_DATA,
                     "%s: the gzip data is damaged: its checksum does not match: copy or download "
                     "the file again",
                     lines->path);
}

/* The end of the file inside a zip must be the end of the zip. */
static int end_container(struct lines *lines, struct error *err)
{
    lines->at_end = true;
    if (lines->checksum)
        return check_gzip(lines, err);
    int code = lines->container == CONTAINER_ZIP ? next_entry(lines, err) : 0;
    if (code == 1)
        return error_set(err, ERROR_DATA,
                         "%s: several files in one zip: unpack it and give them one by one",
                         lines->path);
    return code;
}

static int fill_unpacked(struct lines *lines, struct error *err)
{
    while (lines->block_left == 0) {
        const void *block;
        size_t length;
        la_int64_t offset;
        int code = archive_read_data_block(lines->archive, &block, &length, &offset);
        if (code == ARCHIVE_EOF)
            return end_container(lines, err);
        if (code != ARCHIVE_OK)
            return fail_container(lines, err);
        lines->block = block;
        lines->block_left = length;
        if (lines->checksum)
            checksum_update(lines->checksum, block, length);
    }
    size_t room = BUFFER_BYTES - lines->end;
    size_t count = lines->block_left < room ? lines->block_left : room;
    memcpy(lines->buffer + lines->end, lines->block, count);
    lines->end += count;
    lines->block += count;
    lines->block_left -= count;
    return 0;
}

static int fill(struct lines *lines, struct error *err)
{
    if (lines->start > 0) {
        memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
    }
    return lines->archive ? fill_unpacked(lines, err) : fill_plain(lines, err);
}

static int fail_length(const struct lines *lines, struct error *err)
{
    return fail_at(lines, lines->number + 1, err,
                   "the line is longer than 64 KiB: this is not a table of market data");
}

int lines_next(struct lines *lines, const char **line, size_t *length, struct error *err)
{
    size_t searched = 0; /* of what is unread: no newline there */
    const char *newline;
    for (;;) {
        const char *from = lines->buffer + lines->start;
        size_t unread = lines->end - lines->start;
        newline = memchr(from + searched, '\n', unread - searched);
        if (newline || lines->at_end)
            break;
        if (unread > LINE_BYTES_MAX)
            return fail_length(lines, err);
        searched = unread;
        int code = fill(lines, err);
        if (code < 0)
            return code;
    }

    const char *from = lines->buffer + lines->start;
    size_t count = newline ? (size_t)(newline - from) : lines->end - lines->start;
    if (!newline && count == 0)
        return 0;
    if (count > LINE_BYTES_MAX)
        return fail_length(lines, err);
    lines->start += count + (newline ? 1 : 0);
    lines->number++;
    if (lines->number == 1 && count >= 3 && memcmp(from, "\xef\xbb\xbf", 3) == 0) {
        from += 3;
        count -= 3;
    }
    if (count > 0 && from[count - 1] == '\r')
        count--;
    *line = from;
    *length = count;
    return 1;
}

uint64_t lines_number(const struct lines *lines)
{
    return lines->number;
}

uint64_t lines_done(const struct lines *lines)
{
    return lines->done;
}

uint64_t lines_size(const struct lines *lines)
{
    return lines->size;
}
