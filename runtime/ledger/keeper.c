/* keeper.c - the thread, and when it does what. */
#include "runtime/ledger/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/ledger/private.h"

#define LOOK_NS (100 * NS_PER_MS) /* at the WAL's size */
#define NAP_NS NS_PER_MS          /* between the steps of a backup */
#define PAUSES_A_NAP 8
#define FIRST_BACKUP_NS (60 * NS_PER_SECOND) /* after the start, at the latest */
#define RETRY_NS (60 * NS_PER_SECOND)        /* after a failure, at the latest */

struct keeper {
    struct ledger *ledger; /* only its wal_pages */
    struct backup_options backup;
    char *path, *directory, *name;
    size_t backup_count;
    int64_t backup_every_ns;
    int wal_pages;
    struct clock wall, monotonic;
    sqlite3 *db; /* for checkpoints */
    unsigned pauses;

    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    bool quit;
    bool has_news;
    struct keeper_news news;
};

/* Sleeps; true when the thread has to end. */
static bool nap(struct keeper *keeper, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ns / NS_PER_SECOND;
    until.tv_nsec += ns % NS_PER_SECOND;
    if (until.tv_nsec >= NS_PER_SECOND) {
        until.tv_nsec -= NS_PER_SECOND;
        until.tv_sec++;
    }
    pthread_mutex_lock(&keeper->lock);
    int code = 0;
    while (!keeper->quit && code == 0)
        code = pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until);
    bool quit = keeper->quit;
    pthread_mutex_unlock(&keeper->lock);
    return quit;
}

/* The machine is for trading: about half of the time is slept. */
static int pause_backup(void *pauser)
{
    struct keeper *keeper = pauser;
    return nap(keeper, keeper->pauses++ % PAUSES_A_NAP == 0 ? NAP_NS : 0);
}

static void tell_failure(struct keeper *keeper, const char *doing, const char *message)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->news.failures++;
    snprintf(keeper->news.failure, sizeof(keeper->news.failure), "%s: %.700s", doing, message);
    keeper->has_news = true;
    pthread_mutex_unlock(&keeper->lock);
}

static void tell_backup(struct keeper *keeper, const char *path)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->news.backups++;
    text_copy(keeper->news.path, sizeof(keeper->news.path), path);
    keeper->has_news = true;
    pthread_mutex_unlock(&keeper->lock);
}

/* ---- its two works ---- */

/* Once a size: where a reader holds the WAL, or a commit came meanwhile, the next look sees more.
 */
static void checkpoint(struct keeper *keeper, int *seen)
{
    int pages = atomic_load(&keeper->ledger->wal_pages);
    if (pages < keeper->wal_pages || pages == *seen)
        return;
    *seen = pages;
    int code = sqlite3_wal_checkpoint_v2(keeper->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY && (code & 0xff) != SQLITE_LOCKED)
        tell_failure(keeper, "checkpoint of the ledger's WAL", sqlite3_errmsg(keeper->db));
    pthread_mutex_lock(&keeper->lock);
    keeper->news.checkpoints += code == SQLITE_OK;
    pthread_mutex_unlock(&keeper->lock);
}

/* How long until the next one. */
static int64_t make_backup(struct keeper *keeper)
{
    struct error err = { 0 };
    char path[BACKUP_PATH_MAX];
    int code = backup_make(&keeper->backup, clock_now(keeper->wall), path, &err);
    if (code == 0) {
        tell_backup(keeper, path);
        code = backups_prune(keeper->directory, keeper->name, keeper->backup_count, &err);
    }
    if (code < 0 && code != ERROR_TIME) /* that is: the session ends */
        tell_failure(keeper, "backup", err.message);
    bool soon = code < 0 && keeper->backup_every_ns > RETRY_NS;
    return soon ? RETRY_NS : keeper->backup_every_ns;
}

/* After the newest one that is there. */
static int64_t first_wait(struct keeper *keeper)
{
    struct backup_file *list = NULL;
    struct error err = { 0 };
    size_t count = 0;
    if (backups_list(keeper->directory, keeper->name, &list, &count, &err) < 0)
        tell_failure(keeper, "backup", err.message);
    int64_t wait = keeper->backup_every_ns;
    int64_t age = count > 0 ? clock_now(keeper->wall) - list[0].made_ns : wait;
    free(list);
    if (age >= 0 && age < wait) /* not: made in the future, by a clock that was set back */
        return wait - age;
    return wait < FIRST_BACKUP_NS ? wait : FIRST_BACKUP_NS;
}

static void *keep(void *self)
{
    struct keeper *keeper = self;
    int seen = 0;
    int64_t due_ns = TIME_NEVER;
    if (keeper->backup_count > 0)
        due_ns = clock_now(keeper->monotonic) + first_wait(keeper);
    for (;;) {
        int64_t left = due_ns == TIME_NEVER ? LOOK_NS : due_ns - clock_now(keeper->monotonic);
        if (left <= 0)
            due_ns = make_backup(keeper) + clock_now(keeper->monotonic);
        if (nap(keeper, left <= 0 ? NAP_NS : left < LOOK_NS ? left : LOOK_NS))
            return NULL;
        checkpoint(keeper, &seen);
    }
}

/* ---- opening and closing ---- */

static char *copy(const char *text)
{
    char *copied = strdup(text);
    ASSERT(copied);
    return copied;
}

static void release(struct keeper *keeper)
{
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->lock);
    sqlite3_close(keeper->db);
    free(keeper->path);
    free(keeper->directory);
    free(keeper->name);
    free(keeper);
}

static int start(struct keeper *keeper, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals of the process are the engine thread's. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&keeper->thread, NULL, keep, keeper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? 0
                     : error_set(err, ERROR_INTERNAL, "ledger: cannot start its second thread: %s",
                                 strerror(code));
}

int keeper_open(struct ledger *ledger, const struct keeper_options *options, struct keeper **out,
                struct error *err)
{
    struct keeper *keeper = memory_new(sizeof(*keeper));
    pthread_condattr_t attributes;
    *out = NULL;
    keeper->ledger = ledger;
    keeper->path = copy(options->ledger);
    keeper->directory = copy(options->backups);
    keeper->name = copy(options->name);
    keeper->backup_count = options->backup_count;
    keeper->backup_every_ns = options->backup_every_ns;
    keeper->wal_pages = options->wal_pages;
    keeper->wall = options->wall;
    keeper->monotonic = clock_monotonic();
    keeper->backup = (struct backup_options){ .ledger = keeper->path,
                                              .directory = keeper->directory,
                                              .name = keeper->name,
                                              .pause = pause_backup,
                                              .pauser = keeper };
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_condattr_destroy(&attributes);

    int code = 0;
    /* Before its first read a connection does not know of the WAL, and checkpoints nothing. */
    if (sqlite3_open_v2(keeper->path, &keeper->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(keeper->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL) !=
            SQLITE_OK)
        code = ledger_failed(keeper->db, keeper->path, ERROR_UNAVAILABLE, err,
                             "open it a second time");
    if (code == 0)
        code = start(keeper, err);
    if (code < 0) {
        release(keeper);
        return code;
    }
    *out = keeper;
    return 0;
}

void keeper_close(struct keeper *keeper)
{
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->quit = true;
    pthread_cond_broadcast(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    release(keeper);
}

bool keeper_news(struct keeper *keeper, struct keeper_news *news)
{
    pthread_mutex_lock(&keeper->lock);
    bool has = keeper->has_news;
    keeper->has_news = false;
    *news = keeper->news;
    pthread_mutex_unlock(&keeper->lock);
    return has;
}
