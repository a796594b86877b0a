/* setup_keeper.c - the ledger's second thread in a session: who starts it, and who hears its news.
 */
#include "runtime/app/setup.h"

#include <stdio.h>

#include "runtime/ledger/keeper.h"

#define WAL_TIMES_MAX                                                                              \
    4 /* a WAL so much over its limit is cut between two events, at that price                     \
       */

static int wal_limit(const struct session *session)
{
    return (int)config_integer(session->config, "persistence.wal_max_entries");
}

int setup_keeper(struct session *session, struct error *err)
{
    char ledger[600], backups[600], name[40], file[48];
    if (session->world && session->world->without_files)
        return 0; /* a simulated disk knows one thread: session_keep does it */
    snprintf(name, sizeof(name), "ledger-%s", session->mode);
    snprintf(file, sizeof(file), "%s.sqlite", name);
    int code = setup_state_path(session, file, ledger, sizeof(ledger), err);
    if (code == 0)
        code = setup_state_path(session, "backups", backups, sizeof(backups), err);
    if (code < 0)
        return code;
    struct keeper_options options = {
        .ledger = ledger,
        .backups = backups,
        .name = name,
        .backup_count = (size_t)config_integer(session->config, "persistence.backup_count"),
        .backup_every_ns = config_duration(session->config, "persistence.backup_every"),
        .wal_pages = wal_limit(session),
        .wall = session->wall,
    };
    return keeper_open(session->ledger, &options, &session->keeper, err);
}

/* A backup that failed is no reason to stop trading, and every reason to tell somebody. */
static void tell_news(struct session *session)
{
    struct keeper_news news;
    uint64_t failures = session->keeper_failures, backups = session->keeper_backups;
    if (!keeper_news(session->keeper, &news))
        return;
    session->keeper_failures = news.failures;
    session->keeper_backups = news.backups;
    if (news.backups > backups)
        LOG(session->log, LOG_INFO, "ledger", "backup made", F_STR("file", news.path));
    if (news.failures > failures)
        LOG(session->log, LOG_ERROR, "ledger",
            "ALERT: trading goes on, but the ledger is not being kept as it should be",
            F_STR("alert", "backup_failed"), F_STR("reason", news.failure));
}

int session_keep(struct session *session, struct error *err)
{
    int limit = wal_limit(session);
    if (session->keeper) {
        tell_news(session);
        limit = limit < INT32_MAX / WAL_TIMES_MAX ? limit * WAL_TIMES_MAX : INT32_MAX;
    }
    return ledger_checkpoint_now(session->ledger, limit, err);
}
