/* research_fixture.h - files of market data in a directory of the test's own. */
#ifndef TESTS_UNIT_RESEARCH_FIXTURE_H
#define TESTS_UNIT_RESEARCH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/text.h"
#include "runtime/research/reader.h"

struct room {
    char directory[64];
    char path[160]; /* of the file last written */
};

static inline int room_setup(void **state)
{
    struct room *room = memory_new(sizeof(*room));
    text_copy(room->directory, sizeof(room->directory), "/tmp/research_test.XXXXXX");
    if (!mkdtemp(room->directory))
        return -1;
    *state = room;
    return 0;
}

static inline int room_teardown(void **state)
{
    struct room *room = *state;
    DIR *directory = opendir(room->directory);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char path[400];
        snprintf(path, sizeof(path), "%s/%s", room->directory, entry->d_name);
        if (entry->d_name[0] != '.')
            remove(path);
    }
    if (directory)
        closedir(directory);
    rmdir(room->directory);
    free(room);
    return 0;
}

static inline const char *room_write(struct room *room, const char *name, const void *bytes,
                                     size_t length)
{
    snprintf(room->path, sizeof(room->path), "%s/%s", room->directory, name);
    FILE *file = fopen(room->path, "wb");
    assert_non_null(file);
    if (length > 0)
        assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return room->path;
}

static inline const char *room_write_text(struct room *room, const char *text)
{
    return room_write(room, "data.csv", text, strlen(text));
}

enum packing { PACK_GZIP, PACK_ZSTD, PACK_XZ, PACK_ZIP };

/* Compresses into `out`; zip holds `count` copies under different names. */
static inline size_t pack(enum packing packing, const void *bytes, size_t length, int count,
                          void *out, size_t room)
{
    size_t used = 0;
    struct archive *archive = archive_write_new();
    assert_int_equal(packing == PACK_ZIP ? archive_write_set_format_zip(archive)
                                         : archive_write_set_format_raw(archive),
                     ARCHIVE_OK);
    int code = packing == PACK_GZIP   ? archive_write_add_filter_gzip(archive)
               : packing == PACK_ZSTD ? archive_write_add_filter_zstd(archive)
               : packing == PACK_XZ   ? archive_write_add_filter_xz(archive)
                                      : ARCHIVE_OK;
    assert_int_equal(code, ARCHIVE_OK);
    archive_write_set_bytes_per_block(archive, 0);
    assert_int_equal(archive_write_open_memory(archive, out, room, &used), ARCHIVE_OK);
    for (int i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "data-%d.csv", i);
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, name);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_size(entry, (la_int64_t)length);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (length > 0)
            assert_int_equal(archive_write_data(archive, bytes, length), length);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    return used;
}

static inline struct data_options options_of(const char *path)
{
    return (struct data_options){ .path = path, .symbol = "BTC/USDT" };
}

/* The instrument that the data tells, as instrument 0. */
static inline struct instruments *instruments_of(const struct data_options *options,
                                                 const struct data_info *info)
{
    struct instruments *instruments = memory_new(sizeof(*instruments));
    struct instrument instrument;
    uint32_t index;
    struct error err = { 0 };
    data_instrument(options, info, &instrument);
    assert_int_equal(instruments_add(instruments, &instrument, &index, &err), 0);
    return instruments;
}

/* Scans and reads all events, up to `max`; the number of them. */
static inline size_t read_events(const struct data_options *options, struct data_info *info,
                                 struct event *events, size_t max)
{
    struct error err = { 0 };
    if (data_scan(options, info, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", err.where, err.message);
    struct instruments *instruments = instruments_of(options, info);
    struct feed_port feed;
    if (data_feed(options, info, instruments, 0, &feed, &err) < 0)
        fail_msg("%s: %s", err.where, err.message);
    size_t count = 0;
    struct event event = { 0 };
    for (;;) {
        int64_t next_ns = feed.next_ns(feed.self);
        int code = feed.next(feed.self, &event, &err);
        if (code < 0)
            fail_msg("%s: %s", err.where, err.message);
        if (code == 0) {
            assert_true(next_ns == TIME_NEVER);
            break;
        }
        assert_true(next_ns == event.time_ns);
        assert_int_equal(event.instrument, 0);
        if (count < max)
            events[count] = event;
        count++;
    }
    feed.close(feed.self);
    free(instruments);
    assert_true(count == info->rows);
    return count;
}

static inline int64_t at_time(const char *text)
{
    int64_t time_ns;
    assert_true(time_parse(text, strlen(text), &time_ns));
    return time_ns;
}

#endif
