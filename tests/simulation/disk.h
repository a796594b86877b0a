/* disk.h - a disk in memory for the simulator: an SQLite VFS that fails, fills up and loses power.
 *
 * A disk in use is SQLite's default VFS, so that the ledger needs no seam of its own. Each file has
 * two images: what was written, which a killed process leaves behind, and what was synced, which a
 * power cut leaves behind. Names are like that too: a file that was made or deleted is so for good
 * when its directory is synced, as the unix VFS does it.
 *
 * Everything is a function of the seed and of the calls made: random bytes, faults, what a power
 * cut keeps. One thread. Several disks may live at once; databases are opened on the one in use and
 * stay on theirs. */
#ifndef TESTS_SIMULATION_DISK_H
#define TESTS_SIMULATION_DISK_H

#include "runtime/base/base.h"
#include "runtime/base/clock.h"

struct disk; /* opaque */

/* An empty disk; the first one opened is in use at once. */
struct disk *disk_open(uint64_t seed);
/* Nothing may be open on it. NULL is fine. The disk in use: none is, and opening fails. */
void disk_close(struct disk *disk);
/* Where files are opened from now on, and where SQLite gets its randomness and time: its generator
 * begins anew. NULL: none, and SQLite's own VFS is the default again. */
void disk_use(struct disk *disk);
struct disk *disk_in_use(void);
/* What SQLite is told the time is; 2024-01-01 without. */
void disk_set_clock(struct disk *disk, struct clock clock);

/* ---- faults ---- */

struct disk_faults {
    /* So many of 10,000 calls fail. */
    unsigned read_error;
    unsigned write_error; /* nothing is written */
    unsigned short_write; /* the first half is written */
    unsigned sync_error;  /* nothing is synced */
    unsigned locked;      /* a lock is refused, as if another program held it */
    bool lying_sync;      /* says yes and syncs nothing */
    int64_t capacity;     /* bytes of all files; writes beyond it: the disk is full. 0: no limit */
    int64_t slow_ns;      /* each read, write and sync takes so long: see disk_spent_ns */
};

/* At any time; all zero: a sound disk. */
void disk_set_faults(struct disk *disk, const struct disk_faults *faults);
uint64_t disk_faults_made(const struct disk *disk);
/* Time that calls have taken since the last time this was asked; the driver moves its clock by it.
 */
int64_t disk_spent_ns(struct disk *disk);

/* ---- points: where a crash makes a difference ---- */

enum disk_point { DISK_CREATE, DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_DELETE, DISK_POINTS };
const char *disk_point_name(enum disk_point kind);

/* How many there were; the next one has this number. */
uint64_t disk_points(const struct disk *disk);
/* `watch` is called before a point takes effect, faults or not. It may copy this disk, use another
 * one and come back, but not touch this one. NULL: nobody watches. */
void disk_watch(struct disk *disk,
                void (*watch)(void *self, enum disk_point kind, const char *path, uint64_t number),
                void *self);
/* Inside watch: bytes of the write that is about to happen; otherwise 0. */
size_t disk_write_length(const struct disk *disk);

enum crash {
    CRASH_KILL,  /* the process ends: all that was written is there */
    CRASH_POWER, /* what was synced, and any subset of the 512-byte sectors, sizes and names that
                    were not: the seed chooses */
    CRASH_POWER_BARE, /* what was synced and nothing else */
};

/* What the next start finds: a new disk, sound, with nothing open and no watcher. `torn`: so many
 * bytes of the write under way (inside watch) were made; with a power cut they count as written and
 * not synced. */
struct disk *disk_after_crash(const struct disk *disk, enum crash crash, size_t torn,
                              uint64_t seed);

/* ---- files, for tests: no fault, no point, at once for good ---- */

bool disk_exists(const struct disk *disk, const char *path);
/* malloc'd, NUL-terminated; NULL: no such file. */
char *disk_read_file(const struct disk *disk, const char *path, size_t *length);
void disk_write_file(struct disk *disk, const char *path, const void *data, size_t length);
void disk_remove_file(struct disk *disk, const char *path);
/* Sorted by path. Stops at the first visit that says false. */
void disk_list(const struct disk *disk, bool (*visit)(void *self, const char *path, size_t length),
               void *self);
/* Flips one bit, in what was synced too. False: there is no such byte. */
bool disk_corrupt(struct disk *disk, const char *path, size_t offset, unsigned bit);
/* SHA-256 over the names and bytes of all files: equal disks, equal text. */
void disk_digest(const struct disk *disk, char hex[65]);

#endif
