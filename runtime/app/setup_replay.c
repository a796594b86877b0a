/* setup_replay.c - the last session of a feed, when it did not end cleanly: is this its command? It
 * is looked at before the strategy files on disk are, since those may have changed, or broken,
 * while the process was down: what began with the old ones is replayed with the old ones. */
#include "runtime/app/setup.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_last_session(struct session *session, struct error *err)
{
    struct session_record last = { 0 };
    bool found = false;
    int code = ledger_last_session(session->ledger, session->mode, "feed", &found, &last, err);
    if (code < 0 || !found)
        return code;
    if (last.ended_ns == TIME_NEVER) {
        session->recorded_command = last.config;
        last.config = NULL;
        code = ledger_session_journal(session->ledger, last.session_id, &session->journal,
                                      &session->journal_count, err);
    }
    session_record_release(&last);
    return code;
}

int setup_recorded(struct session *session, struct error *err)
{
    char path[600];
    if (session->source != SOURCE_FEED || session->options->fresh)
        return 0;
    int code = setup_state_path(session, "ledger-paper.sqlite", path, sizeof(path), err);
    if (code < 0 || access(path, F_OK) < 0)
        return code;
    if ((code = setup_lock(session, err)) < 0 || (code = setup_open_ledger(session, err)) < 0)
        return code;
    return read_last_session(session, err);
}

static int load_source(struct session *session, const char *path, const char *hash,
                       struct source *source, struct error *err)
{
    char *json = NULL;
    size_t length;
    int code = ledger_get_source(session->ledger, hash, &json, &length, err);
    if (code == 0 && !json)
        code = error_set(err, ERROR_IO, "the ledger lacks the source %s of %s", hash, path);
    if (code == 0)
        code = source_parse(json, length, source, err);
    free(json);
    return code;
}

int setup_recorded_source(struct session *session, const char *path, struct source *source,
                          struct error *err)
{
    int code = 0;
    bool found = false;
    for (size_t i = 0; code == 0 && !found && i < session->journal_count; i++) {
        const struct journal_entry *entry = &session->journal[i];
        struct json *root;
        if (strcmp(entry->name, "source") != 0)
            continue;
        if ((code = json_parse(entry->body, strlen(entry->body), &root, err)) < 0)
            return error_wrap(err, "read the ledger's journal");
        const char *file = json_as_string(json_get(root, "file"));
        const char *hash = json_as_string(json_get(root, "hash"));
        found = file && hash && strcmp(file, path) == 0;
        if (found)
            code = load_source(session, path, hash, source, err);
        json_release(root);
    }
    if (code == 0 && !found)
        return error_at(err, ERROR_NO_INPUT, path, "did not run in the last session");
    return code;
}

bool setup_is_same_command(struct session *session)
{
    struct text command;
    text_init(&command, SESSION_CONFIG_MAX);
    setup_write_command(session, &command);
    bool same = strcmp(command.data, session->recorded_command) == 0;
    text_release(&command);
    return same;
}

void setup_forget_recorded(struct session *session)
{
    log_line(session->log, LOG_WARN, "session", SETUP_ANOTHER_COMMAND);
    session->another_command = true;
    journal_release(session->journal, session->journal_count);
    session->journal = NULL;
    session->journal_count = 0;
    for (size_t i = 0; i < session->strategy_count; i++) {
        strategy_code_release(session->strategies[i].code);
        session->strategies[i] = (struct strategy){ 0 };
    }
    for (int i = 0; i < session->instance_count; i++)
        session->instances[i] = (struct session_instance){ 0 };
    session->strategy_count = 0;
    session->instance_count = 0;
    session->instruments.count = 0;
    session->feed_count = 0; /* what was scanned stays there, and is used when it is asked again */
}
