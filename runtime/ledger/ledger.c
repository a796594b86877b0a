/* ledger.c - opening the file, running statements, and saying what went wrong.
 *
 * One connection, one thread. Other programs may read the file at any time (WAL); one that holds a
 * write lock makes a commit fail at once: nothing here waits. */
#include "runtime/ledger/private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what a failure means ---- */

static const char *advice(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "the disk is full; free some space and start again";
    case SQLITE_READONLY:
        return "the file or its directory is read-only";
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return "permission denied";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds a lock on it; close that program";
    case SQLITE_CORRUPT:
        return "the file is damaged; go back to a backup with runtime restore, or begin anew with "
               "--fresh";
    case SQLITE_NOTADB:
        return "the file is no ledger; move it away, or give another directory with --state";
    case SQLITE_CANTOPEN:
        return "the file cannot be opened";
    case SQLITE_IOERR:
        return "the disk failed";
    case SQLITE_TOOBIG:
        return "a row is too long";
    default:
        return "SQLite refused";
    }
}

static bool is_busy(int code)
{
    return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
}

int ledger_failed(sqlite3 *db, const char *path, int busy, struct error *err, const char *doing,
                  ...)
{
    int code = sqlite3_extended_errcode(db);
    /* SQLite keeps the system's reason only now and then; ours is of the last call that failed. */
    int reason = sqlite3_system_errno(db) ? sqlite3_system_errno(db) : errno;
    bool is_system = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
    char what[128];
    va_list arguments;
    va_start(arguments, doing);
    vsnprintf(what, sizeof(what), doing, arguments);
    va_end(arguments);
    return error_set(err, is_busy(code) ? busy : ERROR_IO, "ledger %s: cannot %s: %s (%s%s%s)",
                     path, what, advice(code), sqlite3_errmsg(db), is_system && reason ? ": " : "",
                     is_system && reason ? strerror(reason) : "");
}

/* ---- statements ---- */

struct binder bind_begin(struct ledger *ledger, enum statement which)
{
    return (struct binder){ .statement = ledger->statements[which], .at = 1 };
}

/* A bind fails only without memory or for our own bug: a wrong index, a busy statement. */
static void bound(struct binder *binder, int code)
{
    ASSERT(code == SQLITE_OK);
    binder->at++;
}

void bind_int(struct binder *binder, int64_t value)
{
    bound(binder, sqlite3_bind_int64(binder->statement, binder->at, value));
}

void bind_null(struct binder *binder)
{
    bound(binder, sqlite3_bind_null(binder->statement, binder->at));
}

void bind_time(struct binder *binder, int64_t time_ns)
{
    if (time_ns == TIME_NEVER)
        bind_null(binder);
    else
        bind_int(binder, time_ns);
}

void bind_bytes(struct binder *binder, const char *bytes, size_t length)
{
    ASSERT(length <= INT32_MAX);
    bound(binder,
          sqlite3_bind_text(binder->statement, binder->at, bytes, (int)length, SQLITE_STATIC));
}

void bind_text(struct binder *binder, const char *text)
{
    bind_bytes(binder, text, strlen(text));
}

void bind_money(struct binder *binder, decimal value)
{
    char text[DECIMAL_TEXT_MAX];
    binder->invalid |= !decimal_valid(value);
    decimal_format(value, text);
    bound(binder, sqlite3_bind_text(binder->statement, binder->at, text, (int)strlen(text),
                                    SQLITE_TRANSIENT));
}

void bind_optional(struct binder *binder, decimal value)
{
    if (decimal_valid(value))
        bind_money(binder, value);
    else
        bind_null(binder);
}

int ledger_run(struct ledger *ledger, struct binder *binder, struct error *err, const char *doing,
               ...)
{
    char what[96];
    va_list arguments;
    int code = 0;
    errno = 0;
    if (!binder->invalid && sqlite3_step(binder->statement) == SQLITE_DONE)
        goto out;

    va_start(arguments, doing);
    vsnprintf(what, sizeof(what), doing, arguments);
    va_end(arguments);
    if (binder->invalid) /* the engine checks every sum before it records it */
        code = error_set(err, ERROR_INTERNAL, "ledger %s: cannot %s: a number in it is invalid",
                         ledger->path, what);
    else if ((sqlite3_extended_errcode(ledger->db) & 0xff) == SQLITE_CONSTRAINT)
        code = error_set(err, ERROR_INTERNAL, "ledger %s: cannot %s: it is there already (%s)",
                         ledger->path, what, sqlite3_errmsg(ledger->db));
    else
        code = ledger_failed(ledger->db, ledger->path, ERROR_IO, err, "%s", what);
out:
    sqlite3_reset(binder->statement);
    return code;
}

int ledger_step(struct ledger *ledger, sqlite3_stmt *statement, struct error *err)
{
    errno = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int failed =
        code == SQLITE_DONE ? 0 : ledger_failed(ledger->db, ledger->path, ERROR_IO, err, "read it");
    sqlite3_reset(statement);
    return failed;
}

bool ledger_found(struct ledger *ledger, sqlite3_stmt *statement)
{
    int found = ledger_step(ledger, statement, NULL);
    ledger->broken |= found < 0;
    return found == 1;
}

const char *column_text(sqlite3_stmt *statement, int column)
{
    const void *text = sqlite3_column_text(statement, column);
    return text ? text : "";
}

int64_t column_int(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_int64(statement, column);
}

bool column_is_null(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL;
}

int64_t column_time(sqlite3_stmt *statement, int column)
{
    return column_is_null(statement, column) ? TIME_NEVER : column_int(statement, column);
}

bool column_decimal(sqlite3_stmt *statement, int column, decimal *out)
{
    *out = DECIMAL_NONE;
    if (column_is_null(statement, column))
        return true;
    const char *text = column_text(statement, column);
    return decimal_parse(text, strlen(text), out) == 0;
}

/* ---- open and close ---- */

/* SQLite says "unable to open database file" for all of these. */
static int check_path(const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT
                   ? 0
                   : error_set(err, ERROR_IO, "cannot open ledger %s: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return error_set(err, ERROR_IO, "cannot open ledger %s: it is a directory", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, ERROR_IO, "cannot open ledger %s: it is not a regular file", path);
    return 0;
}

static int open_database(const struct ledger_options *options, sqlite3 **db, struct error *err)
{
    errno = 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(options->path, db, flags, NULL);
    ASSERT(*db); /* NULL only without memory */
    if (code != SQLITE_OK)
        return ledger_failed(*db, options->path, ERROR_UNAVAILABLE, err, "open it");

    sqlite3_extended_result_codes(*db, 1);
    /* What is refused is not written to: neither its header by the journal mode, nor its pages by
     * the checkpoint that closing would make. */
    int64_t version = 0;
    sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    code = schema_recognise(*db, options->path, &version, err);
    if (code < 0)
        return code;
    sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);

    const char *pragmas = options->power_safe
                              ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"
                              : "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL";
    if (sqlite3_exec(*db, pragmas, NULL, NULL, NULL) != SQLITE_OK)
        return ledger_failed(*db, options->path, ERROR_UNAVAILABLE, err, "open it");
    return schema_prepare(*db, options->path, err);
}

/* Instead of SQLite's own, which checkpoints within the commit: somebody else does it later. */
static int count_wal_pages(void *self, sqlite3 *db, const char *name, int pages)
{
    struct ledger *ledger = self;
    (void)db, (void)name;
    atomic_store(&ledger->wal_pages, pages);
    return SQLITE_OK;
}

int ledger_checkpoint_now(struct ledger *ledger, int wal_pages, struct error *err)
{
    if (atomic_load(&ledger->wal_pages) < wal_pages)
        return 0;
    errno = 0;
    int code = sqlite3_wal_checkpoint_v2(ledger->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code == SQLITE_OK || is_busy(code)) /* a reader holds it: later */
        return 0;
    ledger->broken = true;
    return ledger_failed(ledger->db, ledger->path, ERROR_IO, err, "checkpoint its WAL");
}

static int prepare_statements(struct ledger *ledger, struct error *err)
{
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(ledger->db, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &ledger->statements[i], NULL) != SQLITE_OK)
            return error_set(err, ERROR_IO,
                             "ledger %s: its tables are not as this program made them (%s); go "
                             "back to a backup with runtime restore, or begin anew with --fresh",
                             ledger->path, sqlite3_errmsg(ledger->db));
    return 0;
}

/* Four random letters, once: what tells this ledger's orders at a venue from another one's.
 * SQLite's generator begins with the system's randomness, or with what stands in for the system. */
static void make_ledger_id(char id[LEDGER_ID_MAX])
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    int at = 0;
    while (at < LEDGER_ID_MAX - 1) {
        unsigned char byte;
        sqlite3_randomness(1, &byte);
        if (byte < 252) /* 7 * 36: every letter equally often */
            id[at++] = letters[byte % 36];
    }
    id[at] = '\0';
}

static int load_ledger_id(struct ledger *ledger, struct error *err)
{
    char made[LEDGER_ID_MAX];
    int code = 0;
    make_ledger_id(made);

    struct binder put = bind_begin(ledger, INSERT_LEDGER_ID);
    bind_text(&put, made);
    sqlite3_stmt *get = ledger->statements[SELECT_LEDGER_ID];
    int found = ledger_step(ledger, get, err);
    if (found == 0) {
        code = ledger_run(ledger, &put, err, "write its id");
        if (code == 0)
            found = ledger_step(ledger, get, err);
    }
    if (code < 0 || found < 0)
        return code < 0 ? code : found;
    const char *id = column_text(get, 0);
    if (strlen(id) != LEDGER_ID_MAX - 1 ||
        strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz") != LEDGER_ID_MAX - 1)
        code = error_set(err, ERROR_IO, "ledger %s: its id '%s' is not four of 0-9 a-z",
                         ledger->path, id);
    text_copy(ledger->ledger_id, sizeof(ledger->ledger_id), id);
    sqlite3_reset(get);
    return code;
}

static int load_head(struct ledger *ledger, struct error *err)
{
    sqlite3_stmt *last = ledger->statements[LAST_EVENT];
    memset(ledger->head, '0', SHA256_TEXT_MAX - 1);
    int found = ledger_step(ledger, last, err);
    if (found <= 0)
        return found;
    ledger->seq = column_int(last, 0);
    text_copy(ledger->head, sizeof(ledger->head), column_text(last, 1));
    sqlite3_reset(last);
    return 0;
}

/* ---- the anchor ---- */

static int cut_tail(const struct ledger *ledger, const char *anchor_path,
                    const struct anchor_head *head, struct error *err)
{
    return error_set(
        err, ERROR_IO,
        "ledger %s ends at row %" PRId64 ", but %s knows row %" PRId64
        ": its tail was cut, or an older copy lies there (or, with durability process, the machine "
        "lost power). Put the right file in its place; or go on with runtime restore, or with what "
        "is there by removing %s",
        ledger->path, ledger->seq, anchor_path, head->seq, anchor_path);
}

/* The anchor may be behind the ledger after a crash, never ahead, and what it names is there. */
static int check_anchor(struct ledger *ledger, const char *anchor_path,
                        const struct anchor_head *head, struct error *err)
{
    if (head->seq > ledger->seq)
        return cut_tail(ledger, anchor_path, head, err);
    if (head->seq == 0)
        return 0;
    struct binder find = bind_begin(ledger, HASH_AT);
    bind_int(&find, head->seq);
    int found = ledger_step(ledger, find.statement, err);
    if (found < 0)
        return found;
    bool same = found && strcmp(column_text(find.statement, 0), head->hash) == 0;
    sqlite3_reset(find.statement);
    return same ? 0
                : error_set(err, ERROR_IO,
                            "ledger %s: row %" PRId64
                            " is not the one that %s knows: another ledger lies there, or it was "
                            "rewritten; see runtime audit verify. Put the right file in its place; "
                            "or go on with runtime restore, or with what is there by removing %s",
                            ledger->path, head->seq, anchor_path, anchor_path);
}

int ledger_write_anchor(struct ledger *ledger, bool sync, struct error *err)
{
    if (!ledger->anchor || ledger->anchored_seq == ledger->seq)
        return 0;
    struct anchor_head head = { .seq = ledger->seq };
    text_copy(head.hash, sizeof(head.hash), ledger->head);
    int code = anchor_write(ledger->anchor, &head, sync && ledger->power_safe, err);
    if (code == 0)
        ledger->anchored_seq = ledger->seq;
    return code;
}

/* Through SQLite's file system, as it is opened. An empty file is none. */
static bool is_there(const char *path)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    char *full = memory_new((size_t)vfs->mxPathname + 1);
    int there = 1; /* where it cannot be seen, opening it says why */
    if (vfs->xFullPathname(vfs, path, vfs->mxPathname + 1, full) == SQLITE_OK &&
        vfs->xAccess(vfs, full, SQLITE_ACCESS_EXISTS, &there) != SQLITE_OK)
        there = 1;
    free(full);
    return there;
}

/* Before anything is made: a ledger that is gone is not begun anew where its anchor knows it. */
static int check_gone(const struct ledger_options *options, struct error *err)
{
    bool found;
    struct anchor_head head;
    if (!options->anchor_path || is_there(options->path))
        return 0;
    int code = anchor_read(options->anchor_path, &found, &head, err);
    if (code < 0 || !found || head.seq == 0)
        return code;
    return error_set(err, ERROR_IO,
                     "ledger %s is not there, but %s knows row %" PRId64
                     " of it. Put the right file in its place; or go on with runtime restore, or "
                     "begin anew by removing %s",
                     options->path, options->anchor_path, head.seq, options->anchor_path);
}

static int open_anchor(struct ledger *ledger, const char *path, struct error *err)
{
    bool found;
    struct anchor_head head;
    int code = anchor_open(path, &ledger->anchor, &found, &head, err);
    if (code == 0 && found)
        code = check_anchor(ledger, path, &head, err);
    ledger->anchored_seq = found ? head.seq : -1;
    return code < 0 ? code : ledger_write_anchor(ledger, true, err);
}

int ledger_open(const struct ledger_options *options, struct ledger **out, struct error *err)
{
    *out = NULL;
    int code = check_path(options->path, err);
    if (code == 0)
        code = check_gone(options, err);
    if (code < 0)
        return code;

    struct ledger *ledger = memory_new(sizeof(*ledger));
    ledger->path = strdup(options->path);
    ASSERT(ledger->path);
    ledger->instruments = options->instruments;
    ledger->power_safe = options->power_safe;
    text_init(&ledger->body, ROW_BODY_MAX);
    text_init(&ledger->line, 2 * (size_t)ROW_BODY_MAX);
    ledger->writer = json_writer_open(&ledger->body, false);

    code = open_database(options, &ledger->db, err);
    if (code == 0)
        sqlite3_wal_hook(ledger->db, count_wal_pages, ledger);
    if (code == 0)
        code = prepare_statements(ledger, err);
    if (code == 0)
        code = load_ledger_id(ledger, err);
    if (code == 0)
        code = load_head(ledger, err);
    if (code == 0 && options->anchor_path)
        code = open_anchor(ledger, options->anchor_path, err);
    if (code < 0) {
        ledger_close(ledger);
        return code;
    }
    *out = ledger;
    return 0;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(ledger->statements[i]);
    ASSERT(sqlite3_close(ledger->db) == SQLITE_OK); /* busy only if we kept a statement */
    anchor_close(ledger->anchor);
    json_writer_close(ledger->writer);
    text_release(&ledger->body);
    text_release(&ledger->line);
    free(ledger->instances);
    free(ledger->last_status);
    free(ledger->undo);
    free(ledger->path);
    free(ledger);
}

/* ---- the port ---- */

static char *base36(char *at, uint64_t value, int digits)
{
    static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (int i = digits - 1; i >= 0; i--, value /= 36)
        at[i] = letters[value % 36];
    return at + digits;
}

#define ORDER_ID_MAX INT64_C(2176782335) /* zzzzzz */

int ledger_set_next_order_id(struct ledger *ledger, int64_t id, struct error *err)
{
    if (id < 1 || id > ORDER_ID_MAX)
        return error_set(err, ERROR_IO,
                         "ledger %s: the next order id would be %" PRId64 ", allowed 1 to %" PRId64
                         "; go back to a backup with runtime restore, or "
                         "begin anew with --fresh",
                         ledger->path, id, ORDER_ID_MAX);
    ledger->next_order_id = (uint64_t)id;
    return 0;
}

/* r, the ledger (4), the session's epoch (6), the order (6): two starts never share an epoch, and
 * one start never shares an order id, so the name is unique even over a restored backup. Six digits
 * last until 2038, when the epoch begins again, and for ORDER_ID_MAX orders. */
static uint64_t next_order_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    struct ledger *ledger = self;
    ASSERT(ledger->session_id != 0);
    uint64_t id = ledger->next_order_id++;

    char *at = client_order_id;
    *at++ = 'r';
    memcpy(at, ledger->ledger_id, LEDGER_ID_MAX - 1);
    at = base36(at + LEDGER_ID_MAX - 1, (uint64_t)ledger->epoch, 6);
    at = base36(at, id, 6);
    *at = '\0';
    return id;
}

static void next_client_order_id(void *self, char client_order_id[CLIENT_ORDER_ID_MAX])
{
    next_order_id(self, client_order_id);
}

static bool has_our_form(const struct ledger *ledger, const char *client_order_id)
{
    return client_order_id[0] == 'r' && strlen(client_order_id) == 17 &&
           strncmp(client_order_id + 1, ledger->ledger_id, LEDGER_ID_MAX - 1) == 0;
}

static bool is_ours(void *self, const char *client_order_id)
{
    return has_our_form(self, client_order_id);
}

int64_t ledger_order_number(const struct ledger *ledger, const char *client_order_id)
{
    int64_t number = 0;
    if (!has_our_form(ledger, client_order_id))
        return 0;
    for (const char *at = client_order_id + 11; *at; at++) {
        bool is_digit = *at >= '0' && *at <= '9';
        if (!is_digit && (*at < 'a' || *at > 'z'))
            return 0;
        number = number * 36 + (is_digit ? *at - '0' : *at - 'a' + 10);
    }
    return number;
}

struct ledger_port ledger_port(struct ledger *ledger)
{
    return (struct ledger_port){ .self = ledger,
                                 .commit = commit_turn,
                                 .next_order_id = next_order_id,
                                 .next_client_order_id = next_client_order_id,
                                 .is_ours = is_ours,
                                 .find_order = load_find_order,
                                 .find_fill = commit_find_fill };
}
