/* private.h - what the files of this room share; no other room includes it.
 *
 * Invariants, cited by number:
 *   1. A turn is in the file whole or not at all, and what memory knows of the file (seq, head,
 * last statuses) changes only after COMMIT. Where turns are grouped, memory runs ahead by the
 * group; when it fails the ledger is unusable and the session ends.
 *   2. Every row of trading_events carries the hash of the row before it; seq has no gaps.
 *   3. While replaying nothing is written to a turn's tables: rows are compared.
 *   4. fills.fill_id is the seq of the row that booked it, so that "known then" is "fill_id below".
 *   5. The anchor is written after COMMIT and before anything leaves: behind the file, never ahead.
 *   6. An order id that was handed out but whose turn never committed was never seen outside. */
#ifndef RUNTIME_LEDGER_PRIVATE_H
#define RUNTIME_LEDGER_PRIVATE_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "runtime/base/json.h"
#include "runtime/ledger/anchor.h"
#include "runtime/ledger/ledger.h"

#define LEDGER_APPLICATION_ID                                                                      \
    0x72746c67 /* "rtlg": in the file's header, so that file(1) can tell */
#define LEDGER_SCHEMA_VERSION 2
#define LEDGER_ID_MAX 5            /* four of [0-9a-z] and NUL */
#define ROW_BODY_MAX (16u << 20)   /* bytes of one row of trading_events */
#define SCOPE_MAX (VENUE_MAX + 24) /* "sim", "feed#12" */

/* ---- schema.c: the tables, and every statement on them ---- */

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    INSERT_EVENT,
    UPSERT_ORDER,
    INSERT_FILL,
    UPSERT_POSITION,
    UPSERT_STATE,
    INSERT_HALT,
    LIFT_HALT,
    INSERT_JOURNAL,
    FIND_FILL,
    FIND_REVERSAL,
    FIND_CORRECTED,
    INSERT_ADJUSTMENT,
    SEQ_OF_ADJUSTMENT,
    UPSERT_CASH,
    STATUS_OF_ORDER,
    INSERT_LEDGER_ID,
    SELECT_LEDGER_ID,
    LAST_EVENT,
    HASH_AT,
    LAST_ORDER_ID,
    LAST_ORDER_ID_BETWEEN,
    LAST_EPOCH,
    LAST_SESSION,
    LAST_EVENT_OF_SESSION,
    INSERT_SESSION,
    SELECT_SESSION,
    RESUME_SESSION,
    REOPEN_SESSION,
    END_SESSION,
    PROGRESS_SESSION,
    EVENTS_OF_SESSION,
    SELECT_INSTANCE,
    INSTANCE_BY_ID,
    INSERT_INSTANCE,
    UPDATE_INSTANCE,
    INSERT_SOURCE,
    SELECT_SOURCE,
    SELECT_JOURNAL,
    OPEN_ORDERS,
    ORDER_BY_ID,
    ORDER_BY_NEW_NAME,
    ORDER_BY_NAME,
    OPEN_BEFORE,
    ORDER_FOR_CHECKPOINT,
    POSITIONS,
    HALTS,
    CASH,
    STANDING_HALTS,
    CLEAN_DAYS,
    REMAINING_ORDERS,
    REMAINING_POSITIONS,
    REFUSALS,
    SELECT_STATE,
    LEFT_OVER,
    RESULT_ROWS,
    EXPORT_DAYS,
    EXPORT_ROWS,
    STATEMENTS
};
extern const char *const statement_texts[STATEMENTS];

/* Reads whether the file is a ledger that we can read, or is empty (*version 0). Writes nothing.
 * ERROR_DATA another program's, or of a newer schema; ERROR_IO, ERROR_UNAVAILABLE. */
MUST_CHECK int schema_recognise(sqlite3 *db, const char *path, int64_t *version, struct error *err);

/* Creates the tables in an empty file, or checks that the file is a ledger we can read. */
MUST_CHECK int schema_prepare(sqlite3 *db, const char *path, struct error *err);

/* ---- the ledger ---- */

struct session_instance { /* of this process: names for rows, the list in the checkpoint */
    uint32_t instance_id;
    char strategy[64], version[32], file[512], symbol[SYMBOL_MAX], hash[SHA256_TEXT_MAX];
};

/* Where a replay stands: the recorded row that must come next. */
struct replay {
    bool active;
    sqlite3_stmt *rows; /* EVENTS_OF_SESSION, stepped on that row */
    int64_t seq;
};

struct ledger {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    char *path;
    const struct instruments *instruments;
    char ledger_id[LEDGER_ID_MAX];

    int64_t session_id; /* 0: none begun */
    int64_t epoch;
    int64_t first_seq; /* the session's rows have this seq or a later one */
    char source[VENUE_MAX];
    char scope[SCOPE_MAX];
    bool is_alone; /* the scope is this session's own */
    uint64_t next_order_id;
    struct replay replay;

    bool grouping;              /* turns share a transaction */
    bool group_open;            /* it has begun */
    int64_t seq;                /* of the newest row of trading_events */
    char head[SHA256_TEXT_MAX]; /* its hash */
    atomic_int wal_pages;       /* of the WAL after the newest commit; a keeper reads it */
    struct anchor *anchor;      /* NULL: none */
    int64_t anchored_seq;       /* -1: it says nothing yet */
    bool power_safe;
    bool broken; /* a commit failed: memory may be ahead of the file, nothing more is recorded */

    /* The newest status of each order from base_order_id on, plus 1; 0: not seen. */
    uint64_t base_order_id;
    unsigned char *last_status;
    size_t last_status_capacity;
    struct status_undo {
        uint64_t order_id;
        unsigned char status;
    } * undo;
    size_t undo_count, undo_capacity;

    struct session_instance *instances;
    size_t instance_count, instance_capacity;

    struct text body;           /* of the row being made */
    struct text line;           /* its canonical text */
    struct json_writer *writer; /* into body */
};

/* ---- ledger.c: running statements ---- */

/* Puts values into a statement in the order of its parameters. */
struct binder {
    sqlite3_stmt *statement;
    int at;
    bool invalid; /* a decimal that must exist does not */
};
struct binder bind_begin(struct ledger *ledger, enum statement which);
void bind_int(struct binder *binder, int64_t value);
void bind_null(struct binder *binder);
void bind_time(struct binder *binder, int64_t time_ns);  /* TIME_NEVER is NULL */
void bind_text(struct binder *binder, const char *text); /* must live until the statement ran */
void bind_bytes(struct binder *binder, const char *bytes, size_t length);
void bind_money(struct binder *binder, decimal value);    /* must be valid */
void bind_optional(struct binder *binder, decimal value); /* DECIMAL_NONE is NULL */

/* Runs a statement that returns no rows. `doing` is for the message: "write order 12". */
MUST_CHECK int ledger_run(struct ledger *ledger, struct binder *binder, struct error *err,
                          const char *doing, ...) PRINTF_LIKE(4, 5);
/* 1 a row, 0 no more, negative on failure; at 0 or failure the statement is reset. */
MUST_CHECK int ledger_step(struct ledger *ledger, sqlite3_stmt *statement, struct error *err);

/* Whether a lookup has a row. A file that cannot be read has no answer, and "no" would be a guess:
 * then nothing more is recorded. */
MUST_CHECK bool ledger_found(struct ledger *ledger, sqlite3_stmt *statement);

/* From which id next_order_id goes on. ERROR_IO: no file of ours says so. */
MUST_CHECK int ledger_set_next_order_id(struct ledger *ledger, int64_t id, struct error *err);

/* The number in a client order id that this ledger made: of its order, or of a replace. 0: none. */
int64_t ledger_order_number(const struct ledger *ledger, const char *client_order_id);

/* Tells the anchor what the head is; `sync` where the turn must outlive a power cut. */
MUST_CHECK int ledger_write_anchor(struct ledger *ledger, bool sync, struct error *err);
/* ERROR_IO when a write failed before: whoever goes on trading would trade unrecorded. */
MUST_CHECK int ledger_check_usable(const struct ledger *ledger, struct error *err);

/* What SQLite's last failure on db means for a person. `busy` is the code of a locked file. */
int ledger_failed(sqlite3 *db, const char *path, int busy, struct error *err, const char *doing,
                  ...) PRINTF_LIKE(5, 6);

/* Columns of a stepped row. Text is valid until the next step; never NULL. */
const char *column_text(sqlite3_stmt *statement, int column);
int64_t column_int(sqlite3_stmt *statement, int column);
bool column_is_null(sqlite3_stmt *statement, int column);
int64_t column_time(sqlite3_stmt *statement, int column); /* NULL is TIME_NEVER */
/* False when the text is no decimal. NULL gives DECIMAL_NONE. */
MUST_CHECK bool column_decimal(sqlite3_stmt *statement, int column, decimal *out);

/* ---- audit.c: rows of trading_events ---- */

struct event_row {
    int64_t time_ns;
    uint64_t event;
    const char *kind; /* NULL: this record makes no row */
    uint64_t order_id;
    const char *body;
    size_t body_length;
};
/* The row a record makes; its body is in ledger->body until the next call. */
MUST_CHECK int audit_row(struct ledger *ledger, const struct turn *turn,
                         const struct record *record, struct event_row *row, struct error *err);
/* The hash of a row that follows one with hash `prev_hash`. */
void audit_hash(struct text *scratch, const char *prev_hash, int64_t seq, int64_t session_id,
                const struct event_row *row, char hash[SHA256_TEXT_MAX]);

/* ---- names that domain/ has no words for ---- */

const char *ledger_strategy(const struct ledger *ledger, uint32_t instance_id); /* "" unknown */
/* As a row of the order shows it: a reversal takes off what it holds. */
decimal ledger_fill_sign(const struct fill *fill, decimal value);
const char *ledger_venue(const struct ledger *ledger, const struct record *record);
const char *ledger_liquidity_name(enum liquidity liquidity);
const char *ledger_trigger_name(enum order_trigger trigger);

/* ---- commit.c ---- */

int commit_turn(void *self, const struct turn *turn, struct error *err);
int commit_group(struct ledger *ledger, struct error *err); /* the turns gathered so far */
/* A journal row outside all sessions: nothing has begun. */
MUST_CHECK int commit_note(struct ledger *ledger, int64_t time_ns, const char *name,
                           const char *body, size_t length, struct error *err);
int commit_find_fill(void *self, uint32_t instrument, const char *exec_id, struct fill *fill,
                     uint64_t *order_id);
/* True when an adjustment of this id is booked; while replaying, in the session's past. */
bool commit_knows_adjustment(struct ledger *ledger, const char *id);
/* Bound where a statement has OF_SCOPE. */
void bind_scope(const struct ledger *ledger, struct binder *binder);
/* The public status the order had in its record before, or -1 for its first. */
int commit_status_before(struct ledger *ledger, uint64_t order_id);
void commit_set_status(struct ledger *ledger, const struct order *order);
bool commit_is_open(const struct ledger *ledger, uint64_t order_id); /* from base_order_id on */

/* ---- load.c ---- */

bool load_find_order(void *self, const char *client_order_id, struct order *order);

/* ---- sessions.c ---- */

MUST_CHECK int ledger_write_progress(struct ledger *ledger, int64_t market_ns, uint64_t event,
                                     struct error *err);

/* ---- replay.c ---- */

MUST_CHECK int replay_begin(struct ledger *ledger, struct error *err);
MUST_CHECK int replay_turn(struct ledger *ledger, const struct turn *turn, struct error *err);
void replay_end(struct ledger *ledger);

#endif
