/* chain.c - see chain.h. */
#include "tests/simulation/chain.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/text.h"

static const char rows[] = "SELECT seq, session_id, time_ns, event, kind, order_id, body,"
                           " prev_hash, hash FROM trading_events WHERE seq >= ? ORDER BY seq";

static const char *text_at(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

static const char *follow_row(struct chain *chain, sqlite3_stmt *row, struct text *scratch)
{
    char hash[SHA256_TEXT_MAX];
    int64_t seq = sqlite3_column_int64(row, 0);
    if (seq == chain->seq)
        return strcmp(text_at(row, 8), chain->hash) == 0 ? NULL : "a row has changed";
    if (seq != chain->seq + 1)
        return "a row is missing";
    if (strcmp(text_at(row, 7), chain->hash) != 0)
        return "a row does not follow the one before";
    text_clear(scratch);
    text_printf(scratch, "%s%" PRId64 "|%" PRId64 "|%" PRId64 "|%" PRId64 "|%s|%" PRId64 "|",
                chain->hash, seq, (int64_t)sqlite3_column_int64(row, 1),
                (int64_t)sqlite3_column_int64(row, 2), (int64_t)sqlite3_column_int64(row, 3),
                text_at(row, 4), (int64_t)sqlite3_column_int64(row, 5));
    text_add(scratch, text_at(row, 6));
    sha256_hex(scratch->data, scratch->length, hash);
    if (strcmp(hash, text_at(row, 8)) != 0)
        return "a row's hash is not its own";
    memcpy(chain->hash, hash, sizeof(chain->hash));
    chain->seq = seq;
    return NULL;
}

const char *chain_follow(struct chain *chain, const char *path)
{
    static char words[160];
    const char *wrong = NULL;
    sqlite3 *database = NULL;
    sqlite3_stmt *row = NULL;
    struct text scratch;
    text_init(&scratch, 1u << 22);
    if (chain->seq == 0)
        memset(chain->hash, '0', SHA256_TEXT_MAX - 1);
    int code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(database, rows, -1, &row, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(row, 1, chain->seq);
    while (code == SQLITE_OK && !wrong) {
        int step = sqlite3_step(row);
        if (step == SQLITE_DONE)
            break;
        if (step != SQLITE_ROW)
            code = step;
        else
            wrong = follow_row(chain, row, &scratch);
    }
    if (code != SQLITE_OK) {
        snprintf(words, sizeof(words), "%s", sqlite3_errmsg(database));
        wrong = words;
    }
    sqlite3_finalize(row);
    sqlite3_close(database);
    text_release(&scratch);
    return wrong;
}
