/* latch.c - see latch.h.
 *
 * Two halves, one for a halt of entries and one for an emergency: who sets one never writes over
 * the other, so that no lock is needed between threads and processes. Each half is text that a
 * person can read, padded with blanks, and ends with a checksum over what is before it: what was
 * torn, or is no latch, counts as set. */
#include "runtime/operate/latch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/text.h"

#define HALF (LATCH_SIZE / 2)
#define SUM_DIGITS 16
#define SUM_AT (HALF - SUM_DIGITS - 1) /* then a newline */

static const char clear_word[] = "runtime latch 1: clear\n";
static const char set_word[] = "runtime latch 1: set\n";

/* ---- one half, as text. Nothing here allocates, locks or formats with the library: it runs in
 * signal handlers, and beside a thread that hangs anywhere. ---- */

struct half {
    char bytes[HALF];
    size_t length;
};

static void put(struct half *half, const char *text)
{
    while (*text && half->length < SUM_AT)
        half->bytes[half->length++] = *text++;
}

/* A value ends at the line's end: what would end it earlier becomes a blank. */
static void put_value(struct half *half, const char *key, const char *value, size_t size)
{
    put(half, key);
    for (size_t i = 0; i < size && value[i] && half->length < SUM_AT; i++)
        half->bytes[half->length++] = (unsigned char)value[i] < 0x20 ? ' ' : value[i];
    put(half, "\n");
}

static void put_number(struct half *half, const char *key, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? 0 : (uint64_t)value;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    put_value(half, key, digits + at, sizeof(digits) - at);
}

/* FNV-1a, 64 bits: against tears, not against people. */
static void checksum(const char *bytes, char digits[SUM_DIGITS])
{
    uint64_t sum = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < SUM_AT; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    for (size_t i = SUM_DIGITS; i-- > 0; sum >>= 4)
        digits[i] = "0123456789abcdef"[sum & 15];
}

static void finish(struct half *half)
{
    memset(half->bytes + half->length, ' ', HALF - half->length);
    half->bytes[SUM_AT - 1] = '\n';
    checksum(half->bytes, half->bytes + SUM_AT);
    half->bytes[HALF - 1] = '\n';
}

static void make_clear(struct half *half)
{
    half->length = 0;
    put(half, clear_word);
    finish(half);
}

static void make_set(struct half *half, const struct latch_record *record)
{
    half->length = 0;
    put(half, set_word);
    put_value(half, "orders: ", record->emergency ? "all" : "entries", 8);
    put_number(half, "since_ns: ", record->since_ns);
    put_value(half, "code: ", record->code, sizeof(record->code));
    put_value(half, "reason: ", record->reason, sizeof(record->reason));
    finish(half);
}

static bool begins_with(const char *bytes, const char *word)
{
    return memcmp(bytes, word, strlen(word)) == 0;
}

/* The value of a line "key: value"; false when there is none. */
static bool find_value(const char *bytes, const char *key, char *out, size_t size)
{
    size_t key_length = strlen(key);
    for (size_t at = 0; at < SUM_AT;) {
        const char *end = memchr(bytes + at, '\n', SUM_AT - at);
        size_t length = end ? (size_t)(end - (bytes + at)) : SUM_AT - at;
        if (length >= key_length && memcmp(bytes + at, key, key_length) == 0) {
            text_copy_span(out, size, bytes + at + key_length, length - key_length);
            return true;
        }
        at += length + 1;
    }
    return false;
}

static void be_unreadable(struct latch_record *out)
{
    *out = (struct latch_record){ .set = true };
    text_copy(out->code, sizeof(out->code), "latch_unreadable");
    text_copy(out->reason, sizeof(out->reason),
              "the latch cannot be read, so it counts as set; runtime resume makes it anew");
}

static void read_half(const char *bytes, bool emergency, struct latch_record *out)
{
    char sum[SUM_DIGITS], since[24] = "0";
    checksum(bytes, sum);
    *out = (struct latch_record){ .emergency = emergency };
    if (memcmp(sum, bytes + SUM_AT, SUM_DIGITS) != 0) {
        be_unreadable(out);
        return;
    }
    if (begins_with(bytes, clear_word))
        return;
    out->set = begins_with(bytes, set_word) &&
               find_value(bytes, "since_ns: ", since, sizeof(since)) &&
               find_value(bytes, "code: ", out->code, sizeof(out->code)) &&
               find_value(bytes, "reason: ", out->reason, sizeof(out->reason));
    out->since_ns = strtoll(since, NULL, 10);
    if (!out->set)
        be_unreadable(out);
}

/* ---- the file ---- */

static int read_all(int fd, char bytes[LATCH_SIZE])
{
    size_t have = 0;
    while (have < LATCH_SIZE) {
        ssize_t count = pread(fd, bytes + have, LATCH_SIZE - have, (off_t)have);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return ERROR_IO;
        if (count == 0) /* it was cut: what is missing is no latch */
            break;
        have += (size_t)count;
    }
    memset(bytes + have, 0, LATCH_SIZE - have);
    return 0;
}

static int write_at(int fd, const char *bytes, size_t length, off_t at)
{
    ssize_t count;
    do
        count = pwrite(fd, bytes, length, at);
    while (count < 0 && errno == EINTR);
    return count == (ssize_t)length && fdatasync(fd) == 0 ? 0 : ERROR_IO;
}

int latch_read(int fd, struct latch_record *out)
{
    char bytes[LATCH_SIZE];
    struct latch_record emergency;
    int code = read_all(fd, bytes);
    if (code < 0) {
        be_unreadable(out);
        return code;
    }
    read_half(bytes, false, out);
    read_half(bytes + HALF, true, &emergency);
    if (emergency.set)
        *out = emergency;
    return 0;
}

int latch_set(int fd, const struct latch_record *record)
{
    char bytes[LATCH_SIZE];
    struct half half;
    int at = record->emergency ? HALF : 0;
    /* The first record says why; one that cannot be read counts as set already, but is replaced. */
    if (read_all(fd, bytes) == 0) {
        char sum[SUM_DIGITS];
        checksum(bytes + at, sum);
        if (memcmp(sum, bytes + at + SUM_AT, SUM_DIGITS) == 0 && begins_with(bytes + at, set_word))
            return 0;
    }
    make_set(&half, record);
    return write_at(fd, half.bytes, HALF, at);
}

int latch_clear(int fd, struct error *err)
{
    struct half half;
    char bytes[LATCH_SIZE];
    make_clear(&half);
    memcpy(bytes, half.bytes, HALF);
    memcpy(bytes + HALF, half.bytes, HALF);
    if (write_at(fd, bytes, LATCH_SIZE, 0) < 0)
        return error_set(err, ERROR_IO, "the latch cannot be cleared: %s", strerror(errno));
    return 0;
}

static int path_of(const char *state_dir, const char *mode, char *path, size_t size,
                   struct error *err)
{
    int length = snprintf(path, size, "%s/halt-%s.latch", state_dir, mode);
    if (length < 0 || (size_t)length >= size)
        return error_set(err, ERROR_USAGE, "--state %.80s...: the path is too long", state_dir);
    return 0;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return code;
}

/* Never over one that is there. Some file systems know no links. */
static int publish(const char *draft, const char *path)
{
    if (link(draft, path) == 0 || errno == EEXIST)
        return 0;
    return errno == EPERM || errno == EOPNOTSUPP ? rename(draft, path) : -1;
}

/* Whole or not at all: a latch that is there but empty would count as set. The bytes are written,
 * not only reserved, so that setting it needs no block that a full disk could refuse. */
static int make_file(const char *state_dir, const char *path, struct error *err)
{
    char draft[1200];
    struct error why = { 0 };
    snprintf(draft, sizeof(draft), "%s.%ld", path, (long)getpid());
    int fd = open(draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int code = fd < 0 ? ERROR_IO : latch_clear(fd, &why);
    if (code == 0 && (fsync(fd) < 0 || publish(draft, path) < 0 || sync_directory(state_dir) < 0))
        code = ERROR_IO;
    if (code < 0)
        error_at(err, code, path, "cannot make the latch: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    unlink(draft);
    return code;
}

int latch_open(const char *state_dir, const char *mode, int *fd, struct error *err)
{
    char path[1100];
    *fd = -1;
    int code = path_of(state_dir, mode, path, sizeof(path), err);
    if (code < 0)
        return code;
    *fd = open(path, O_RDWR | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT) {
        if ((code = make_file(state_dir, path, err)) < 0)
            return code;
        *fd = open(path, O_RDWR | O_CLOEXEC);
    }
    if (*fd < 0)
        return error_at(err, ERROR_IO, path, "cannot open the latch: %s", strerror(errno));
    return 0;
}

int latch_look(const char *state_dir, const char *mode, struct latch_record *out, struct error *err)
{
    char path[1100];
    *out = (struct latch_record){ .set = false };
    int code = path_of(state_dir, mode, path, sizeof(path), err);
    if (code < 0)
        return code;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || latch_read(fd, out) < 0) {
        be_unreadable(out);
        code = error_at(err, ERROR_IO, path, "cannot read the latch: %s", strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    return code;
}
