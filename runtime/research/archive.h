/* archive.h - bytes in, lines out: a plain, gzip, zstd, xz or zip file read in bounded memory.
 *
 * The container is told by the first bytes, never by the name, and is one deep: a gzip inside a
 * gzip is refused, and so is a zip with several files. A line has at most LINE_BYTES_MAX bytes, so
 * that a decompression bomb ends as an error at a line. Knows nothing of columns. */
#ifndef RUNTIME_RESEARCH_ARCHIVE_H
#define RUNTIME_RESEARCH_ARCHIVE_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"

#define LINE_BYTES_MAX ((size_t)65536)

struct lines; /* opaque */

/* Opens a regular file; with `hashed`, lines_finish tells the SHA-256 of its bytes. ERROR_NO_INPUT
 * missing or not readable; ERROR_DATA a directory, no regular file, empty, a damaged container;
 * ERROR_IO. `path` is copied. */
MUST_CHECK int lines_open(const char *path, bool hashed, struct lines **out, struct error *err);

/* The same over bytes in memory, which stay the caller's; `path` is what errors name. */
MUST_CHECK int lines_open_bytes(const char *path, const void *bytes, size_t length,
                                struct lines **out, struct error *err);

/* The next line without its "\n" or "\r\n", and without the byte order mark of the first. Valid
 * until the next call; not NUL-terminated. Returns 1, 0 at the end, negative: ERROR_DATA (where =
 * "path:line") a line too long, compressed data that is damaged or ends too early; ERROR_IO. */
MUST_CHECK int lines_next(struct lines *lines, const char **line, size_t *length,
                          struct error *err);

uint64_t lines_number(const struct lines *lines); /* of the line last given; the first is 1 */
uint64_t lines_done(const struct lines *lines);   /* bytes on disk that were read */
uint64_t lines_size(const struct lines *lines);   /* bytes on disk */

/* "path:number" for struct error; the front of a long path gives way, the number never does. */
#define WHERE_MAX 256
char *lines_where(const struct lines *lines, uint64_t number, char where[WHERE_MAX]);

/* Reads what the container left unread and gives the hash of all bytes. Needs `hashed`. ERROR_IO.
 */
MUST_CHECK int lines_finish(struct lines *lines, char hash[SHA256_TEXT_MAX], struct error *err);
void lines_close(struct lines *lines); /* NULL is fine */

#endif
