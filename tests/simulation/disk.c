/* disk.c - files in memory, with an image of what was synced, behind SQLite's VFS.
 *
 * Invariants
 *  1 A file belongs to at most one name, as what is there now, as what is there for good, or both.
 *  2 Outside [dirty_from, dirty_to) both images of a file are equal, but for their lengths.
 *  3 Shared memory and locks live as long as a handle does: no crash keeps them. */
#include "tests/simulation/disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/random.h"

#define SECTOR 512                         /* what a power cut keeps or loses as one */
#define DEFAULT_BYTES 4096                 /* the sector size that SQLite is told, as on unix */
#define PATH_BYTES 512                     /* of the longest path */
#define SHM_REGIONS 256                    /* 32 KiB each: an index of a million frames */
#define JULIAN_MS INT64_C(210866760000000) /* from noon of -4713-11-24 to 1970-01-01 */
#define FIRST_NS (INT64_C(1704067200) * NS_PER_SECOND) /* 2024-01-01 */

struct image {
    unsigned char *bytes;
    size_t length, capacity;
};

struct handle;

struct file {
    struct image now, synced;
    size_t dirty_from, dirty_to;
    unsigned references; /* names and handles */

    /* Locks: how many share it, who will write, who lets no new reader in. */
    unsigned shared;
    const struct handle *reserved, *pending;

    /* The index of a write-ahead log. */
    void *shm[SHM_REGIONS];
    int shm_locks[SQLITE_SHM_NLOCK]; /* -1 exclusive, else how many share it */
    unsigned shm_users;
};

struct name {
    char path[PATH_BYTES];
    struct file *now, *durable; /* NULL: there is none */
};

struct disk {
    sqlite3_vfs vfs;    /* one per disk: a database stays on the disk that it was opened on */
    struct name *names; /* sorted by path */
    size_t name_count, name_capacity;
    unsigned handles;
    struct random words, chances;
    struct clock clock;
    struct disk_faults faults;
    uint64_t faults_made, points;
    int64_t spent_ns, used;
    int last_errno;
    void (*watch)(void *self, enum disk_point kind, const char *path, uint64_t number);
    void *watch_self;
    struct {
        const struct file *file; /* NULL: none */
        const unsigned char *bytes;
        size_t length, offset;
    } write; /* under way */
};

/* What sqlite3_vfs.xOpen fills. */
struct handle {
    sqlite3_file base;
    struct disk *disk;
    struct file *file;
    char path[PATH_BYTES]; /* "": of no name */
    bool remove_on_close, sync_directory;
    int lock;
    bool has_shm;
    uint16_t shm_shared, shm_exclusive;
};

/* SQLite keeps its list of VFSs per process, and so what is in use is the process's too. */
static struct disk *in_use;
static sqlite3_vfs *system_vfs; /* the default before the first disk */

/* ---- images ---- */

static void image_resize(struct image *image, size_t length)
{
    if (length > image->length) {
        image->bytes = memory_grow(image->bytes, &image->capacity, length, 1);
        memset(image->bytes + image->length, 0, length - image->length);
    }
    image->length = length;
}

static void image_put(struct image *image, size_t offset, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    if (offset + length > image->length)
        image_resize(image, offset + length);
    memcpy(image->bytes + offset, bytes, length);
}

static struct image image_copy(const struct image *image)
{
    struct image copy = { 0 };
    image_put(&copy, 0, image->bytes, image->length);
    return copy;
}

/* ---- files and names ---- */

static void file_release(struct file *file)
{
    if (!file || --file->references > 0)
        return;
    for (size_t i = 0; i < SHM_REGIONS; i++)
        free(file->shm[i]);
    free(file->now.bytes);
    free(file->synced.bytes);
    free(file);
}

static struct file *file_new(void)
{
    struct file *file = memory_new(sizeof(*file));
    file->references = 1;
    return file;
}

static void file_dirty(struct file *file, size_t from, size_t to)
{
    bool is_clean = file->dirty_from == file->dirty_to;
    if (is_clean || from < file->dirty_from)
        file->dirty_from = from;
    if (is_clean || to > file->dirty_to)
        file->dirty_to = to;
}

static void file_write(struct file *file, size_t offset, const void *bytes, size_t length)
{
    size_t from = offset < file->now.length ? offset : file->now.length; /* a gap is written too */
    image_put(&file->now, offset, bytes, length);
    if (length > 0)
        file_dirty(file, from, offset + length);
}

static void file_truncate(struct file *file, size_t length)
{
    size_t was = file->now.length;
    image_resize(&file->now, length);
    file_dirty(file, length < was ? length : was, length < was ? was : length);
}

static void file_sync(struct file *file)
{
    size_t from = file->dirty_from;
    size_t to = file->dirty_to < file->now.length ? file->dirty_to : file->now.length;
    image_resize(&file->synced, file->now.length);
    if (from < to)
        image_put(&file->synced, from, file->now.bytes + from, to - from);
    file->dirty_from = file->dirty_to = 0;
}

/* Where the path is or would be. */
static size_t name_place(const struct disk *disk, const char *path, bool *found)
{
    size_t low = 0, high = disk->name_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(disk->names[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < disk->name_count && strcmp(disk->names[low].path, path) == 0;
    return low;
}

static struct name *name_find(const struct disk *disk, const char *path)
{
    bool found;
    size_t at = name_place(disk, path, &found);
    return found ? &disk->names[at] : NULL;
}

static struct file *file_find(const struct disk *disk, const char *path)
{
    const struct name *name = name_find(disk, path);
    return name ? name->now : NULL;
}

static struct name *name_add(struct disk *disk, const char *path)
{
    bool found;
    size_t at = name_place(disk, path, &found);
    if (found)
        return &disk->names[at];
    disk->names =
        memory_grow(disk->names, &disk->name_capacity, disk->name_count + 1, sizeof(*disk->names));
    memmove(disk->names + at + 1, disk->names + at, (disk->name_count - at) * sizeof(*disk->names));
    disk->name_count++;
    disk->names[at] = (struct name){ 0 };
    snprintf(disk->names[at].path, PATH_BYTES, "%s", path);
    return &disk->names[at];
}

static void name_set(struct file **place, struct file *file)
{
    if (file)
        file->references++;
    file_release(*place);
    *place = file;
}

static void names_sweep(struct disk *disk)
{
    size_t kept = 0;
    for (size_t i = 0; i < disk->name_count; i++)
        if (disk->names[i].now || disk->names[i].durable)
            disk->names[kept++] = disk->names[i];
    disk->name_count = kept;
}

static struct file *file_make(struct disk *disk, const char *path)
{
    struct file *file = file_new();
    name_set(&name_add(disk, path)->now, file);
    file_release(file); /* the name has it now */
    return file;
}

static void file_unlink(struct disk *disk, const char *path)
{
    struct name *name = name_find(disk, path);
    disk->used -= (int64_t)name->now->now.length;
    name_set(&name->now, NULL);
    names_sweep(disk);
}

static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* All names beside this one are now there, or gone, for good. */
static void directory_sync(struct disk *disk, const char *path)
{
    size_t length = directory_length(path);
    for (size_t i = 0; i < disk->name_count; i++) {
        struct name *name = &disk->names[i];
        if (directory_length(name->path) == length && strncmp(name->path, path, length) == 0)
            name_set(&name->durable, name->now);
    }
    names_sweep(disk);
}

/* ---- faults and points ---- */

static bool strikes(struct disk *disk, unsigned rate, int reason)
{
    if (rate == 0 || random_below(&disk->chances, 10000) >= rate)
        return false;
    disk->faults_made++;
    disk->last_errno = reason;
    return true;
}

static void point(struct disk *disk, enum disk_point kind, const char *path)
{
    if (path[0] == '\0') /* temporary: no crash keeps it */
        return;
    if (disk->watch)
        disk->watch(disk->watch_self, kind, path, disk->points);
    disk->points++;
}

const char *disk_point_name(enum disk_point kind)
{
    static const char *const names[DISK_POINTS] = { "create", "write", "truncate", "sync",
                                                    "delete" };
    return names[kind];
}

/* ---- reading and writing ---- */

static int vfs_close(sqlite3_file *base)
{
    struct handle *handle = (struct handle *)base;
    ASSERT(handle->lock == SQLITE_LOCK_NONE && !handle->has_shm);
    if (handle->remove_on_close && handle->path[0] && file_find(handle->disk, handle->path))
        file_unlink(handle->disk, handle->path);
    if (handle->path[0] == '\0')
        handle->disk->used -= (int64_t)handle->file->now.length;
    file_release(handle->file);
    handle->disk->handles--;
    return SQLITE_OK;
}

static int vfs_read(sqlite3_file *base, void *bytes, int length, sqlite3_int64 offset)
{
    struct handle *handle = (struct handle *)base;
    struct disk *disk = handle->disk;
    const struct image *image = &handle->file->now;
    disk->spent_ns += disk->faults.slow_ns;
    if (strikes(disk, disk->faults.read_error, EIO))
        return SQLITE_IOERR_READ;

    size_t at = (size_t)offset, asked = (size_t)length;
    size_t there = at >= image->length ? 0 : image->length - at;
    size_t taken = there < asked ? there : asked;
    if (taken > 0)
        memcpy(bytes, image->bytes + at, taken);
    memset((char *)bytes + taken, 0, asked - taken);
    return taken < asked ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static void write_now(struct handle *handle, const void *bytes, size_t length, size_t offset)
{
    size_t was = handle->file->now.length;
    file_write(handle->file, offset, bytes, length);
    handle->disk->used += (int64_t)(handle->file->now.length - was);
}

/* How much of the write the disk has room for. */
static size_t room_for(const struct handle *handle, size_t length, size_t offset)
{
    const struct disk *disk = handle->disk;
    size_t end = handle->file->now.length;
    if (disk->faults.capacity <= 0 || offset + length <= end)
        return length;
    int64_t room = disk->faults.capacity - disk->used;
    size_t limit = end + (room > 0 ? (size_t)room : 0);
    if (offset >= limit)
        return 0;
    return offset + length <= limit ? length : limit - offset;
}

static int vfs_write(sqlite3_file *base, const void *bytes, int length, sqlite3_int64 offset)
{
    struct handle *handle = (struct handle *)base;
    struct disk *disk = handle->disk;
    size_t asked = (size_t)length, at = (size_t)offset;
    disk->spent_ns += disk->faults.slow_ns;
    disk->write.file = handle->file;
    disk->write.bytes = bytes;
    disk->write.length = asked;
    disk->write.offset = at;
    point(disk, DISK_WRITE, handle->path);
    disk->write.file = NULL;

    if (strikes(disk, disk->faults.write_error, EIO))
        return SQLITE_IOERR_WRITE;
    if (strikes(disk, disk->faults.short_write, EIO)) {
        write_now(handle, bytes, asked / 2, at);
        return SQLITE_IOERR_WRITE;
    }
    size_t fits = room_for(handle, asked, at);
    write_now(handle, bytes, fits, at);
    if (fits == asked)
        return SQLITE_OK;
    disk->faults_made++;
    disk->last_errno = ENOSPC;
    return SQLITE_FULL;
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 length)
{
    struct handle *handle = (struct handle *)base;
    struct disk *disk = handle->disk;
    point(disk, DISK_TRUNCATE, handle->path);
    if (strikes(disk, disk->faults.write_error, EIO))
        return SQLITE_IOERR_TRUNCATE;
    disk->used += length - (int64_t)handle->file->now.length;
    file_truncate(handle->file, (size_t)length);
    return SQLITE_OK;
}

static int vfs_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    struct handle *handle = (struct handle *)base;
    struct disk *disk = handle->disk;
    disk->spent_ns += disk->faults.slow_ns;
    point(disk, DISK_SYNC, handle->path);
    if (strikes(disk, disk->faults.sync_error, EIO))
        return SQLITE_IOERR_FSYNC;
    if (disk->faults.lying_sync)
        return SQLITE_OK;
    file_sync(handle->file);
    if (handle->sync_directory)
        directory_sync(disk, handle->path);
    handle->sync_directory = false;
    return SQLITE_OK;
}

static int vfs_file_size(sqlite3_file *base, sqlite3_int64 *length)
{
    *length = (sqlite3_int64)((struct handle *)base)->file->now.length;
    return SQLITE_OK;
}

/* ---- locks: many readers, one who prepares to write, one who writes ---- */

static int vfs_lock(sqlite3_file *base, int level)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;
    if (handle->lock >= level)
        return SQLITE_OK;
    if (strikes(handle->disk, handle->disk->faults.locked, EAGAIN))
        return SQLITE_BUSY;

    if (level == SQLITE_LOCK_SHARED) {
        if (file->pending)
            return SQLITE_BUSY;
        file->shared++;
    } else if (level == SQLITE_LOCK_RESERVED) {
        if (file->reserved)
            return SQLITE_BUSY;
        file->reserved = handle;
    } else { /* exclusive: nobody new may come, then wait until those who are there are gone */
        if ((file->pending && file->pending != handle) ||
            (file->reserved && file->reserved != handle))
            return SQLITE_BUSY;
        file->pending = handle;
        handle->lock = SQLITE_LOCK_PENDING;
        if (file->shared > 1)
            return SQLITE_BUSY;
    }
    handle->lock = level;
    return SQLITE_OK;
}

static int vfs_unlock(sqlite3_file *base, int level)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;
    if (handle->lock <= level)
        return SQLITE_OK;
    if (file->reserved == handle)
        file->reserved = NULL;
    if (file->pending == handle)
        file->pending = NULL;
    if (level == SQLITE_LOCK_NONE)
        file->shared--;
    handle->lock = level;
    return SQLITE_OK;
}

static int vfs_is_reserved(sqlite3_file *base, int *result)
{
    const struct file *file = ((struct handle *)base)->file;
    *result = file->reserved || file->pending;
    return SQLITE_OK;
}

/* ---- the rest of a file ---- */

static int vfs_file_control(sqlite3_file *base, int what, void *value)
{
    (void)base, (void)what, (void)value;
    return SQLITE_NOTFOUND;
}

static int vfs_sector_size(sqlite3_file *base)
{
    (void)base;
    return DEFAULT_BYTES;
}

/* As on unix: a torn write harms no byte that was not written. */
static int vfs_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- shared memory ---- */

static int vfs_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;
    *out = NULL;
    if (region >= SHM_REGIONS)
        return SQLITE_FULL;
    if (!handle->has_shm) {
        handle->has_shm = true;
        file->shm_users++;
    }
    if (!file->shm[region] && extend)
        file->shm[region] = memory_new((size_t)size);
    *out = file->shm[region];
    return SQLITE_OK;
}

static uint16_t shm_mask(int first, int count)
{
    return (uint16_t)(((1u << count) - 1) << first);
}

static void shm_release(struct handle *handle, uint16_t mask)
{
    int *locks = handle->file->shm_locks;
    for (int i = 0; i < SQLITE_SHM_NLOCK; i++) {
        if (mask & handle->shm_exclusive & (1u << i))
            locks[i] = 0;
        if (mask & handle->shm_shared & (1u << i))
            locks[i]--;
    }
    handle->shm_exclusive &= (uint16_t)~mask;
    handle->shm_shared &= (uint16_t)~mask;
}

static int vfs_shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    struct handle *handle = (struct handle *)base;
    int *locks = handle->file->shm_locks;
    uint16_t mask = shm_mask(first, count);
    if (flags & SQLITE_SHM_UNLOCK) {
        shm_release(handle, mask);
        return SQLITE_OK;
    }
    if (strikes(handle->disk, handle->disk->faults.locked, EAGAIN))
        return SQLITE_BUSY;

    bool is_shared = flags & SQLITE_SHM_SHARED;
    if ((is_shared ? handle->shm_shared : handle->shm_exclusive) & mask)
        return SQLITE_OK; /* held already; sharing is of one lock at a time */
    for (int i = first; i < first + count; i++)
        if (is_shared ? locks[i] < 0 : locks[i] != 0)
            return SQLITE_BUSY;
    for (int i = first; i < first + count; i++)
        locks[i] = is_shared ? locks[i] + 1 : -1;
    if (is_shared)
        handle->shm_shared |= mask;
    else
        handle->shm_exclusive |= mask;
    return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *base)
{
    (void)base; /* one thread */
}

static int vfs_shm_unmap(sqlite3_file *base, int remove)
{
    (void)remove; /* the last one ends it anyway */
    struct handle *handle = (struct handle *)base;
    struct file *file = handle->file;
    if (!handle->has_shm)
        return SQLITE_OK;
    shm_release(handle, shm_mask(0, SQLITE_SHM_NLOCK));
    handle->has_shm = false;
    if (--file->shm_users > 0)
        return SQLITE_OK;
    for (size_t i = 0; i < SHM_REGIONS; i++) {
        free(file->shm[i]);
        file->shm[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2, /* with shared memory, without mmap */
    .xClose = vfs_close,
    .xRead = vfs_read,
    .xWrite = vfs_write,
    .xTruncate = vfs_truncate,
    .xSync = vfs_sync,
    .xFileSize = vfs_file_size,
    .xLock = vfs_lock,
    .xUnlock = vfs_unlock,
    .xCheckReservedLock = vfs_is_reserved,
    .xFileControl = vfs_file_control,
    .xSectorSize = vfs_sector_size,
    .xDeviceCharacteristics = vfs_characteristics,
    .xShmMap = vfs_shm_map,
    .xShmLock = vfs_shm_lock,
    .xShmBarrier = vfs_shm_barrier,
    .xShmUnmap = vfs_shm_unmap,
};

/* ---- the disk as SQLite sees it ---- */

static int cannot_open(struct disk *disk, int reason)
{
    disk->last_errno = reason;
    return SQLITE_CANTOPEN;
}

static int open_named(struct disk *disk, struct handle *handle, const char *path, int flags)
{
    struct file *file = file_find(disk, path);
    if (file && (flags & SQLITE_OPEN_EXCLUSIVE))
        return cannot_open(disk, EEXIST);
    if (!file && !(flags & SQLITE_OPEN_CREATE))
        return cannot_open(disk, ENOENT);
    if (!file) {
        point(disk, DISK_CREATE, path);
        if (strikes(disk, disk->faults.write_error, EIO))
            return SQLITE_CANTOPEN;
        file = file_make(disk, path);
        /* The unix VFS syncs the directory with the first sync of a new one of these. */
        handle->sync_directory =
            flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL);
    }
    file->references++;
    handle->file = file;
    snprintf(handle->path, sizeof(handle->path), "%s", path);
    return SQLITE_OK;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *got)
{
    struct handle *handle = (struct handle *)base;
    struct disk *disk = vfs->pAppData;
    *handle = (struct handle){ .disk = disk };
    if (path) {
        int code = open_named(disk, handle, path, flags);
        if (code != SQLITE_OK)
            return code;
    } else {
        handle->file = file_new();
    }
    handle->remove_on_close = flags & SQLITE_OPEN_DELETEONCLOSE;
    handle->base.pMethods = &file_methods;
    disk->handles++;
    if (got)
        *got = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    struct disk *disk = vfs->pAppData;
    if (!file_find(disk, path)) {
        disk->last_errno = ENOENT;
        return SQLITE_IOERR_DELETE_NOENT;
    }
    point(disk, DISK_DELETE, path);
    if (strikes(disk, disk->faults.write_error, EIO))
        return SQLITE_IOERR_DELETE;
    file_unlink(disk, path);
    if (!sync_directory)
        return SQLITE_OK;
    if (strikes(disk, disk->faults.sync_error, EIO))
        return SQLITE_IOERR_DIR_FSYNC;
    if (!disk->faults.lying_sync)
        directory_sync(disk, path);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int what, int *result)
{
    const struct file *file = file_find(vfs->pAppData, path);
    /* As on unix: an empty journal is none. */
    *result = what == SQLITE_ACCESS_EXISTS ? file && file->now.length > 0 : file != NULL;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    int length = snprintf(out, (size_t)size, "%s", path);
    return length < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_randomness(sqlite3_vfs *vfs, int length, char *bytes)
{
    struct disk *disk = vfs->pAppData;
    for (int i = 0; i < length; i++)
        bytes[i] = (char)random_below(&disk->words, 256);
    return length;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    struct disk *disk = vfs->pAppData;
    disk->spent_ns += microseconds * INT64_C(1000);
    return microseconds;
}

static int vfs_now(sqlite3_vfs *vfs, sqlite3_int64 *julian_ms)
{
    const struct disk *disk = vfs->pAppData;
    int64_t now_ns = disk->clock.now_ns ? clock_now(disk->clock) : FIRST_NS;
    *julian_ms = JULIAN_MS + now_ns / NS_PER_MS;
    return SQLITE_OK;
}

static int vfs_now_days(sqlite3_vfs *vfs, double *days)
{
    sqlite3_int64 julian_ms;
    vfs_now(vfs, &julian_ms);
    *days = (double)julian_ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *text)
{
    (void)size, (void)text;
    return ((const struct disk *)vfs->pAppData)->last_errno;
}

/* ---- disks ---- */

void disk_use(struct disk *disk)
{
    sqlite3_vfs *before = sqlite3_vfs_find(NULL);
    if (!system_vfs)
        system_vfs = before;
    in_use = disk;
    sqlite3_vfs_register(disk ? &disk->vfs : system_vfs, 1);
    sqlite3_randomness(0, NULL); /* else the generator goes on with what another disk gave it */
}

struct disk *disk_in_use(void)
{
    return in_use;
}

static struct disk *disk_new(uint64_t seed)
{
    struct disk *disk = memory_new(sizeof(*disk));
    disk->vfs = (sqlite3_vfs){ .iVersion = 2,
                               .szOsFile = sizeof(struct handle),
                               .mxPathname = PATH_BYTES - 1,
                               .zName = "simulated",
                               .pAppData = disk,
                               .xOpen = vfs_open,
                               .xDelete = vfs_delete,
                               .xAccess = vfs_access,
                               .xFullPathname = vfs_full_path,
                               .xRandomness = vfs_randomness,
                               .xSleep = vfs_sleep,
                               .xCurrentTime = vfs_now_days,
                               .xGetLastError = vfs_last_error,
                               .xCurrentTimeInt64 = vfs_now };
    random_seed(&disk->words, hash64(seed, 1, 0));
    random_seed(&disk->chances, hash64(seed, 2, 0));
    return disk;
}

struct disk *disk_open(uint64_t seed)
{
    struct disk *disk = disk_new(seed);
    if (!in_use)
        disk_use(disk);
    return disk;
}

void disk_close(struct disk *disk)
{
    if (!disk)
        return;
    ASSERT(disk->handles == 0);
    if (in_use == disk)
        disk_use(NULL);
    sqlite3_vfs_unregister(&disk->vfs);
    for (size_t i = 0; i < disk->name_count; i++) {
        file_release(disk->names[i].now);
        file_release(disk->names[i].durable);
    }
    free(disk->names);
    free(disk);
}

void disk_set_clock(struct disk *disk, struct clock clock)
{
    disk->clock = clock;
}

void disk_set_faults(struct disk *disk, const struct disk_faults *faults)
{
    disk->faults = *faults;
}

uint64_t disk_faults_made(const struct disk *disk)
{
    return disk->faults_made;
}

int64_t disk_spent_ns(struct disk *disk)
{
    int64_t spent_ns = disk->spent_ns;
    disk->spent_ns = 0;
    return spent_ns;
}

uint64_t disk_points(const struct disk *disk)
{
    return disk->points;
}

void disk_watch(struct disk *disk,
                void (*watch)(void *self, enum disk_point kind, const char *path, uint64_t number),
                void *self)
{
    disk->watch = watch;
    disk->watch_self = self;
}

size_t disk_write_length(const struct disk *disk)
{
    return disk->write.file ? disk->write.length : 0;
}

/* ---- crashes ---- */

static struct file *copy_file(const struct disk *disk, const struct file *file, size_t torn)
{
    struct file *copy = file_new();
    copy->now = image_copy(&file->now);
    copy->synced = image_copy(&file->synced);
    copy->dirty_from = file->dirty_from;
    copy->dirty_to = file->dirty_to;
    if (disk->write.file == file)
        file_write(copy, disk->write.offset, disk->write.bytes,
                   torn < disk->write.length ? torn : disk->write.length);
    return copy;
}

static void copy_name(struct disk *to, const struct disk *disk, const struct name *name,
                      size_t torn)
{
    struct name *copy = name_add(to, name->path);
    if (name->now)
        copy->now = copy_file(disk, name->now, torn);
    if (name->durable == name->now)
        name_set(&copy->durable, copy->now);
    else if (name->durable)
        copy->durable = copy_file(disk, name->durable, torn);
}

/* The old one, the new one, or a number of whole sectors between. */
static size_t surviving_length(struct random *chances, size_t old, size_t new)
{
    size_t low = old < new ? old : new, high = old < new ? new : old;
    switch (random_below(chances, 3)) {
    case 0:
        return old;
    case 1:
        return new;
    default:
        low += random_below(chances, high - low + 1);
        low += (SECTOR - low % SECTOR) % SECTOR;
        return low < high ? low : high;
    }
}

/* Of each sector that differs the old or the new one; `kept` of 8 new ones survive. */
static void cut_power(struct file *file, struct random *chances, unsigned kept)
{
    const struct image *old = &file->synced, *new = &file->now;
    if (file->dirty_from == file->dirty_to)
        return;
    struct image left = { 0 };
    size_t length = kept == 0   ? old->length
                    : kept == 8 ? new->length
                                : surviving_length(chances, old->length, new->length);
    image_put(&left, 0, old->bytes, old->length < length ? old->length : length);
    image_resize(&left, length);
    for (size_t at = 0; at < length; at += SECTOR) {
        bool is_new = random_below(chances, 8) < kept;
        size_t end = at + SECTOR < length ? at + SECTOR : length;
        if (is_new && at < new->length) /* beyond its end the old bytes stay, or zeros */
            memcpy(left.bytes + at, new->bytes + at, (end < new->length ? end : new->length) - at);
    }
    free(file->now.bytes);
    free(file->synced.bytes);
    file->now = left;
    file->synced = image_copy(&left);
    file->dirty_from = file->dirty_to = 0;
}

static void cut_power_of_all(struct disk *disk, bool is_bare)
{
    static const unsigned rates[] = { 0, 1, 4, 7, 8 }; /* of 8 sectors */
    struct random *chances = &disk->chances;
    unsigned kept = is_bare ? 0 : rates[random_below(chances, ARRAY_SIZE(rates))];
    for (size_t i = 0; i < disk->name_count; i++) {
        struct name *name = &disk->names[i];
        if (name->now != name->durable && random_below(chances, 8) < kept)
            name_set(&name->durable, name->now);
        name_set(&name->now, name->durable);
        if (name->now)
            cut_power(name->now, chances, kept);
    }
    names_sweep(disk);
}

struct disk *disk_after_crash(const struct disk *disk, enum crash crash, size_t torn, uint64_t seed)
{
    struct disk *copy = disk_new(seed);
    for (size_t i = 0; i < disk->name_count; i++)
        copy_name(copy, disk, &disk->names[i], torn);
    if (crash != CRASH_KILL)
        cut_power_of_all(copy, crash == CRASH_POWER_BARE);
    for (size_t i = 0; i < copy->name_count; i++)
        copy->used += copy->names[i].now ? (int64_t)copy->names[i].now->now.length : 0;
    return copy;
}

/* ---- files, for tests ---- */

bool disk_exists(const struct disk *disk, const char *path)
{
    return file_find(disk, path) != NULL;
}

char *disk_read_file(const struct disk *disk, const char *path, size_t *length)
{
    const struct file *file = file_find(disk, path);
    if (!file)
        return NULL;
    char *bytes = memory_new(file->now.length + 1);
    if (file->now.length > 0)
        memcpy(bytes, file->now.bytes, file->now.length);
    *length = file->now.length;
    return bytes;
}

void disk_write_file(struct disk *disk, const char *path, const void *data, size_t length)
{
    struct file *file = file_find(disk, path);
    if (!file)
        file = file_make(disk, path);
    disk->used += (int64_t)length - (int64_t)file->now.length;
    file_truncate(file, 0);
    file_write(file, 0, data, length);
    file_sync(file);
    directory_sync(disk, path);
}

void disk_remove_file(struct disk *disk, const char *path)
{
    if (!file_find(disk, path))
        return;
    file_unlink(disk, path);
    directory_sync(disk, path);
}

void disk_list(const struct disk *disk, bool (*visit)(void *self, const char *path, size_t length),
               void *self)
{
    for (size_t i = 0; i < disk->name_count; i++)
        if (disk->names[i].now && !visit(self, disk->names[i].path, disk->names[i].now->now.length))
            return;
}

bool disk_corrupt(struct disk *disk, const char *path, size_t offset, unsigned bit)
{
    struct file *file = file_find(disk, path);
    ASSERT(bit < 8);
    if (!file || offset >= file->now.length)
        return false;
    file->now.bytes[offset] ^= (unsigned char)(1u << bit);
    if (offset < file->synced.length)
        file->synced.bytes[offset] ^= (unsigned char)(1u << bit);
    return true;
}

void disk_digest(const struct disk *disk, char hex[65])
{
    struct sha256 *hash = sha256_open();
    for (size_t i = 0; i < disk->name_count; i++) {
        const struct file *file = disk->names[i].now;
        if (!file)
            continue;
        uint64_t length = file->now.length;
        sha256_update(hash, disk->names[i].path, strlen(disk->names[i].path) + 1);
        sha256_update(hash, &length, sizeof(length));
        if (length > 0)
            sha256_update(hash, file->now.bytes, length);
    }
    sha256_finish(hash, hex);
}
