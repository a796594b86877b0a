/* schema.c - the tables, for people who query them, and every statement this room runs on them.
 *
 * Money, prices and quantities are TEXT: exact decimals. Times are INTEGER nanoseconds since
 * 1970-01-01 UTC, of the market unless said otherwise. There is no secondary index on what a turn
 * writes: it would cost more than the row (an order and its event are two page writes). */
#include "runtime/ledger/private.h"

#include <stdio.h>

/* clang-format off */
static const char *const schema[] = {
"CREATE TABLE meta(                   -- ledger_id: four letters in every client order id\n"
"    key   TEXT PRIMARY KEY,\n"
"    value TEXT NOT NULL\n"
") STRICT",

"CREATE TABLE sessions(\n"
"    session_id     INTEGER PRIMARY KEY,\n"
"    epoch          INTEGER NOT NULL, -- seconds of wall time; in client order ids; never used twice\n"
"    mode           TEXT NOT NULL,    -- paper, live, backtest\n"
"    source         TEXT NOT NULL,    -- sim, feed, or a venue\n"
"    started_ns     INTEGER NOT NULL,\n"
"    market_ns      INTEGER NOT NULL, -- reached; the session's newest trading_events row may be later\n"
"    ended_ns       INTEGER,          -- NULL: running, or did not end cleanly\n"
"    events         INTEGER NOT NULL, -- number of the last event, as market_ns\n"
"    first_seq      INTEGER NOT NULL, -- where its rows of trading_events begin\n"
"    first_order_id INTEGER NOT NULL,\n"
"    config         TEXT NOT NULL,    -- JSON\n"
"    build          TEXT NOT NULL\n"
") STRICT",

"CREATE TABLE instances(\n"
"    instance_id INTEGER PRIMARY KEY,\n"
"    scope       TEXT NOT NULL,       -- the source, or feed#session: who shares positions and state\n"
"    strategy    TEXT NOT NULL,\n"
"    symbol      TEXT NOT NULL,       -- * for a portfolio\n"
"    version     TEXT NOT NULL,\n"
"    file        TEXT NOT NULL,\n"
"    hash        TEXT NOT NULL,       -- of its source, see sources\n"
"    capital     TEXT NOT NULL,\n"
"    UNIQUE(scope, strategy, symbol)\n"
") STRICT",

"CREATE TABLE sources(                -- strategy files as they were when they ran\n"
"    hash TEXT PRIMARY KEY,\n"
"    body TEXT NOT NULL               -- JSON\n"
") STRICT",

"CREATE TABLE orders(                 -- as they are now; their history is in trading_events\n"
"    order_id                INTEGER PRIMARY KEY,\n"
"    client_order_id         TEXT NOT NULL, -- the first one, for ever\n"
"    current_client_order_id TEXT NOT NULL, -- differs where a venue gives a replaced order a new one\n"
"    pending_client_order_id TEXT NOT NULL, -- of a replace under way, else empty\n"
"    venue_order_id          TEXT NOT NULL, -- empty until the venue said it\n"
"    instance_id             INTEGER NOT NULL,\n"
"    venue                   TEXT NOT NULL,\n"
"    symbol                  TEXT NOT NULL,\n"
"    side                    TEXT NOT NULL,\n"
"    type                    TEXT NOT NULL,\n"
"    tif                     TEXT NOT NULL,\n"
"    qty                     TEXT NOT NULL,\n"
"    price                   TEXT,\n"
"    trigger_price           TEXT,\n"
"    trail                   TEXT,          -- distance of a trailing stop\n"
"    trail_is_share          INTEGER NOT NULL, -- 1: the distance is a share of the price\n"
"    held                    INTEGER NOT NULL, -- 1: rests in the engine, the venue does not know it\n"
"    status                  TEXT NOT NULL, -- the public one\n"
"    known_status            TEXT NOT NULL, -- what the venue last confirmed\n"
"    pending                 INTEGER NOT NULL, -- 1 a cancel, 2 a replace is under way; 3 both\n"
"    doubt_since_ns          INTEGER,       -- not NULL: an answer is missing\n"
"    filled_qty              TEXT NOT NULL, -- sums of its rows in fills\n"
"    notional                TEXT NOT NULL,\n"
"    inferred_qty            TEXT NOT NULL, -- of these, what only a sum of the venue told\n"
"    inferred_notional       TEXT NOT NULL,\n"
"    revision                INTEGER NOT NULL, -- fills that we made: inferred, reversal\n"
"    reduce_only             INTEGER NOT NULL,\n"
"    group_id                INTEGER NOT NULL, -- 0: none\n"
"    parent_order_id         INTEGER NOT NULL, -- 0: none\n"
"    reason                  TEXT NOT NULL,\n"
"    tag                     TEXT NOT NULL,\n"
"    created_ns              INTEGER NOT NULL,\n"
"    updated_ns              INTEGER NOT NULL,\n"
"    fees                    TEXT NOT NULL,\n"
"    role                    TEXT NOT NULL, -- an exit of a protected entry is a stop or a take\n"
"    stop                    TEXT,          -- exits wanted by a protected entry\n"
"    take                    TEXT,\n"
"    stop_on                 TEXT NOT NULL,\n"
"    post_only               INTEGER NOT NULL,\n"
"    pending_qty             TEXT,          -- terms a replace under way asked for\n"
"    pending_price           TEXT,\n"
"    expires_ns              INTEGER,       -- of gtd\n"
"    wanted_qty              TEXT           -- of an exit: what is wanted to be left of it\n"
") STRICT",

"CREATE TABLE fills(\n"
"    fill_id      INTEGER PRIMARY KEY, -- the seq of its row in trading_events\n"
"    venue        TEXT NOT NULL,\n"
"    symbol       TEXT NOT NULL,\n"
"    exec_id      TEXT NOT NULL,\n"
"    order_id     INTEGER NOT NULL,\n"
"    side         TEXT NOT NULL,\n"
"    qty          TEXT NOT NULL,      -- below 0 in a reversal, and so are notional and fee\n"
"    price        TEXT NOT NULL,\n"
"    notional     TEXT NOT NULL,      -- exact; of an inferred fill price is rounded from it\n"
"    fee          TEXT NOT NULL,      -- paid positive\n"
"    fee_currency TEXT NOT NULL,\n"
"    liquidity    TEXT NOT NULL,      -- maker, taker\n"
"    transact_ns  INTEGER NOT NULL,   -- the venue's own time\n"
"    kind         TEXT NOT NULL,      -- trade; inferred from a sum; reversal of another row\n"
"    replaces     INTEGER,            -- of a reversal: the fill_id taken back; NULL: an inferred part\n"
"                                     -- of a corrected trade: the fill_id of the first one told\n"
"    UNIQUE(venue, symbol, exec_id)\n"
") STRICT",

"CREATE TABLE positions(\n"
"    instance_id  INTEGER NOT NULL,\n"
"    venue        TEXT NOT NULL,\n"
"    symbol       TEXT NOT NULL,\n"
"    qty          TEXT NOT NULL,      -- signed\n"
"    cost         TEXT NOT NULL,      -- signed, exact, of what is open\n"
"    realized_pnl TEXT NOT NULL,      -- gross\n"
"    fees         TEXT NOT NULL,      -- paid\n"
"    funding      TEXT NOT NULL,      -- received positive\n"
"    PRIMARY KEY(instance_id, venue, symbol)\n"
") STRICT, WITHOUT ROWID",

"CREATE TABLE strategy_state(         -- ctx.state\n"
"    instance_id INTEGER PRIMARY KEY,\n"
"    event       INTEGER NOT NULL,\n"
"    body        TEXT NOT NULL        -- JSON\n"
") STRICT",

"CREATE TABLE halts(\n"
"    halt_id   INTEGER PRIMARY KEY,   -- the seq of its row in trading_events\n"
"    scope     TEXT NOT NULL,         -- session, or a symbol\n"
"    code      TEXT NOT NULL,\n"
"    reason    TEXT NOT NULL,\n"
"    since_ns  INTEGER NOT NULL,\n"
"    lifted_ns INTEGER,\n"
"    lifted_by TEXT\n"
") STRICT",

"CREATE TABLE adjustments(            -- positions made equal to the venue's\n"
"    seq           INTEGER PRIMARY KEY, -- of its row in trading_events\n"
"    adjustment_id TEXT NOT NULL UNIQUE, -- hash over what was seen\n"
"    time_ns       INTEGER NOT NULL,\n"
"    instance_id   INTEGER NOT NULL,\n"
"    venue         TEXT NOT NULL,\n"
"    symbol        TEXT NOT NULL,\n"
"    qty_before    TEXT NOT NULL,     -- of the instance\n"
"    qty_after     TEXT NOT NULL,\n"
"    venue_qty     TEXT NOT NULL,     -- of the account, as the venue told it\n"
"    price         TEXT,              -- at which the difference was booked\n"
"    reason        TEXT NOT NULL\n"
") STRICT",

"CREATE TABLE cash(                   -- as last agreed with the venue\n"
"    venue    TEXT NOT NULL,\n"
"    currency TEXT NOT NULL,\n"
"    amount   TEXT NOT NULL,          -- what the venue said\n"
"    own      TEXT NOT NULL,          -- what our own books said then\n"
"    time_ns  INTEGER NOT NULL,\n"
"    PRIMARY KEY(venue, currency)\n"
") STRICT, WITHOUT ROWID",

"CREATE TABLE journal(                -- what came from outside and is not market data\n"
"    seq        INTEGER PRIMARY KEY,  -- of its row in trading_events\n"
"    session_id INTEGER NOT NULL,\n"
"    event      INTEGER NOT NULL,     -- it applied when so many events had been seen\n"
"    kind       TEXT NOT NULL,\n"
"    body       TEXT NOT NULL         -- JSON\n"
") STRICT",

"CREATE TABLE trading_events(         -- all that happened, in order; never changed, only added to\n"
"    seq        INTEGER PRIMARY KEY,  -- 1, 2, 3 ... over all sessions\n"
"    session_id INTEGER NOT NULL,\n"
"    time_ns    INTEGER NOT NULL,     -- of the turn\n"
"    event      INTEGER NOT NULL,     -- number of the event that began the turn\n"
"    kind       TEXT NOT NULL,        -- order, fill, blocked, trip, halt, journal, alert, adjustment, cash\n"
"    order_id   INTEGER NOT NULL,     -- 0: none\n"
"    body       TEXT NOT NULL,        -- JSON\n"
"    prev_hash  TEXT NOT NULL,        -- hash of the row before; 64 zeros in the first\n"
"    hash       TEXT NOT NULL         -- SHA-256 of prev_hash || seq|session_id|time_ns|event|kind|order_id|body\n"
") STRICT",

"CREATE TRIGGER trading_events_unchanged BEFORE UPDATE ON trading_events\n"
"    BEGIN SELECT RAISE(ABORT, 'trading_events is never changed'); END",
"CREATE TRIGGER trading_events_kept BEFORE DELETE ON trading_events\n"
"    BEGIN SELECT RAISE(ABORT, 'trading_events is never shortened'); END",

/* Partial: an ordinary order or fill has no entry in them, and pays nothing. */
"CREATE INDEX orders_renamed ON orders(current_client_order_id)\n"
"    WHERE current_client_order_id <> client_order_id",
"CREATE INDEX orders_renaming ON orders(pending_client_order_id)\n"
"    WHERE pending_client_order_id <> ''",
"CREATE INDEX fills_reversals ON fills(replaces) WHERE replaces IS NOT NULL",
};

/* From version 1 to 2. What a table gains by ALTER comes last in it, and needs a default: the same
 * columns as above in another order. */
static const char *const from_1[] = {
"ALTER TABLE orders ADD COLUMN pending_client_order_id TEXT NOT NULL DEFAULT ''",
"ALTER TABLE orders ADD COLUMN trail TEXT",
"ALTER TABLE orders ADD COLUMN trail_is_share INTEGER NOT NULL DEFAULT 0",
"ALTER TABLE orders ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
"ALTER TABLE orders ADD COLUMN inferred_qty TEXT NOT NULL DEFAULT '0'",
"ALTER TABLE orders ADD COLUMN inferred_notional TEXT NOT NULL DEFAULT '0'",
"ALTER TABLE orders ADD COLUMN revision INTEGER NOT NULL DEFAULT 0",
"ALTER TABLE orders ADD COLUMN wanted_qty TEXT",
};

#define ORDER_COLUMNS                                                                              \
    "order_id, client_order_id, venue_order_id, instance_id, venue, symbol, side, type, tif, qty," \
    " price, trigger_price, status, known_status, pending, doubt_since_ns, filled_qty, notional,"  \
    " reduce_only, group_id, parent_order_id, reason, tag, created_ns, updated_ns, fees, role,"    \
    " stop, take, stop_on, post_only, pending_qty, pending_price, expires_ns,"                     \
    " current_client_order_id, pending_client_order_id, trail, trail_is_share, held,"              \
    " inferred_qty, inferred_notional, revision, wanted_qty"

#define IS_OPEN "known_status IN ('pending_new', 'new', 'partially_filled')"

/* A session that is run again from its start (its id) shares halts with no other; sessions of a
 * source that goes on (id 0) share theirs. */
#define OF_SCOPE(id, source)                                                                       \
    "CASE WHEN " id " THEN s.session_id = " id " ELSE s.source = " source " END"

/* Of all sources that go on (0), or of one session of a feed (its id). */
#define IS_REMAINING                                                                               \
    "CASE WHEN ?1 THEN i.scope = 'feed#' || ?1 ELSE substr(i.scope, 1, 5) <> 'feed#' END"

/* Rows that CSV files are made of; the body of each begins {"time":"YYYY-MM-DDT... */
#define EXPORTED "kind IN ('order', 'fill', 'blocked', 'trip')"
#define BODY_DAY "substr(body, 10, 10)"

const char *const statement_texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",

    [INSERT_EVENT] =
        "INSERT INTO trading_events(seq, session_id, time_ns, event, kind, order_id, body,"
        " prev_hash, hash) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [UPSERT_ORDER] =
        "INSERT INTO orders(" ORDER_COLUMNS ")"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(order_id) DO UPDATE SET venue_order_id = excluded.venue_order_id,"
        " qty = excluded.qty, price = excluded.price, trigger_price = excluded.trigger_price,"
        " status = excluded.status, known_status = excluded.known_status,"
        " pending = excluded.pending, doubt_since_ns = excluded.doubt_since_ns,"
        " filled_qty = excluded.filled_qty, notional = excluded.notional,"
        " reason = excluded.reason, updated_ns = excluded.updated_ns, fees = excluded.fees,"
        " stop = excluded.stop, take = excluded.take, group_id = excluded.group_id,"
        " pending_qty = excluded.pending_qty, pending_price = excluded.pending_price,"
        " current_client_order_id = excluded.current_client_order_id,"
        " pending_client_order_id = excluded.pending_client_order_id,"
        " type = excluded.type, tif = excluded.tif, wanted_qty = excluded.wanted_qty,"
        " trail = excluded.trail, held = excluded.held,"
        " inferred_qty = excluded.inferred_qty,"
        " inferred_notional = excluded.inferred_notional, revision = excluded.revision",
    [INSERT_FILL] =
        "INSERT INTO fills(fill_id, venue, symbol, exec_id, order_id, side, qty, price, notional,"
        " fee, fee_currency, liquidity, transact_ns, kind, replaces)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [UPSERT_POSITION] =
        "INSERT INTO positions(instance_id, venue, symbol, qty, cost, realized_pnl, fees, funding)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(instance_id, venue, symbol) DO UPDATE SET"
        " qty = excluded.qty, cost = excluded.cost, realized_pnl = excluded.realized_pnl,"
        " fees = excluded.fees, funding = excluded.funding",
    [UPSERT_STATE] =
        "INSERT INTO strategy_state(instance_id, event, body) VALUES(?, ?, ?)"
        " ON CONFLICT(instance_id) DO UPDATE SET event = excluded.event, body = excluded.body",
    [INSERT_HALT] =
        "INSERT INTO halts(halt_id, scope, code, reason, since_ns) VALUES(?, ?, ?, ?, ?)",
    [LIFT_HALT] =
        "UPDATE halts SET lifted_ns = ?, lifted_by = ? WHERE scope = ? AND lifted_ns IS NULL"
        " AND halt_id IN (SELECT h.halt_id FROM halts h JOIN trading_events e ON e.seq = h.halt_id"
        " JOIN sessions s ON s.session_id = e.session_id WHERE " OF_SCOPE("?4", "?5") ")",
    [INSERT_ADJUSTMENT] =
        "INSERT INTO adjustments(seq, adjustment_id, time_ns, instance_id, venue, symbol,"
        " qty_before, qty_after, venue_qty, price, reason) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SEQ_OF_ADJUSTMENT] = "SELECT seq FROM adjustments WHERE adjustment_id = ?",
    [UPSERT_CASH] =
        "INSERT INTO cash(venue, currency, amount, own, time_ns) VALUES(?, ?, ?, ?, ?)"
        " ON CONFLICT(venue, currency) DO UPDATE SET amount = excluded.amount,"
        " own = excluded.own, time_ns = excluded.time_ns",
    [INSERT_JOURNAL] =
        "INSERT INTO journal(seq, session_id, event, kind, body) VALUES(?, ?, ?, ?, ?)",
    [FIND_FILL] =
        "SELECT fill_id, order_id, kind, qty, price, notional, fee, liquidity, transact_ns FROM"
        " fills WHERE venue = ? AND symbol = ? AND exec_id = ? AND fill_id < ?",
    [FIND_REVERSAL] =
        "SELECT 1 FROM fills WHERE replaces = ? AND fill_id < ? AND kind = 'reversal'",
    [FIND_CORRECTED] =
        "SELECT fill_id, order_id, kind, qty, price, notional, fee, liquidity, transact_ns, exec_id"
        " FROM fills WHERE replaces = ? AND fill_id < ? AND kind = 'trade'"
        " ORDER BY fill_id DESC LIMIT 1",
    [STATUS_OF_ORDER] = "SELECT status FROM orders WHERE order_id = ?",

    [INSERT_LEDGER_ID] = "INSERT INTO meta(key, value) VALUES('ledger_id', ?)",
    [SELECT_LEDGER_ID] = "SELECT value FROM meta WHERE key = 'ledger_id'",
    [LAST_EVENT] = "SELECT seq, hash FROM trading_events ORDER BY seq DESC LIMIT 1",
    [HASH_AT] = "SELECT hash FROM trading_events WHERE seq = ?",
    [LAST_ORDER_ID] = "SELECT coalesce(max(order_id), 0) FROM orders",
    [LAST_ORDER_ID_BETWEEN] =
        "SELECT coalesce(max(order_id), 0) FROM trading_events WHERE seq > ? AND seq < ?",
    [LAST_EPOCH] = "SELECT coalesce(max(epoch), 0) FROM sessions",
    [LAST_SESSION] =
        "SELECT session_id FROM sessions WHERE mode = ?1 AND (?2 = '' OR source = ?2)"
        " ORDER BY session_id DESC LIMIT 1",
    [LAST_EVENT_OF_SESSION] =
        "SELECT time_ns, event FROM trading_events WHERE session_id = ? AND seq >= ?"
        " ORDER BY seq DESC LIMIT 1",
    [INSERT_SESSION] =
        "INSERT INTO sessions(epoch, mode, source, started_ns, market_ns, events, first_seq,"
        " first_order_id, config, build) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SELECT_SESSION] =
        "SELECT epoch, mode, source, started_ns, market_ns, ended_ns, events, first_seq,"
        " first_order_id, config, build FROM sessions WHERE session_id = ?",
    [RESUME_SESSION] =
        "UPDATE sessions SET epoch = ?, config = ?, build = ?, ended_ns = NULL"
        " WHERE session_id = ?",
    [REOPEN_SESSION] = "UPDATE sessions SET ended_ns = NULL WHERE session_id = ?",
    [END_SESSION] =
        "UPDATE sessions SET ended_ns = ?1, market_ns = max(market_ns, ?1) WHERE session_id = ?2",
    [PROGRESS_SESSION] =
        "UPDATE sessions SET market_ns = max(market_ns, ?), events = max(events, ?)"
        " WHERE session_id = ?",
    [EVENTS_OF_SESSION] =
        "SELECT seq, time_ns, event, kind, order_id, body FROM trading_events"
        " WHERE session_id = ? AND seq >= ? ORDER BY seq",

    [SELECT_INSTANCE] =
        "SELECT instance_id, capital FROM instances WHERE scope = ? AND strategy = ? AND symbol = ?",
    [INSTANCE_BY_ID] =
        "SELECT strategy, symbol, version, file, hash, capital FROM instances"
        " WHERE instance_id = ?",
    [INSERT_INSTANCE] =
        "INSERT INTO instances(scope, strategy, symbol, version, file, hash, capital)"
        " VALUES(?, ?, ?, ?, ?, ?, ?)",
    [UPDATE_INSTANCE] =
        "UPDATE instances SET version = ?, file = ?, hash = ? WHERE instance_id = ?",
    [INSERT_SOURCE] = "INSERT OR IGNORE INTO sources(hash, body) VALUES(?, ?)",
    [SELECT_SOURCE] = "SELECT body FROM sources WHERE hash = ?",
    [SELECT_JOURNAL] = "SELECT event, kind, body FROM journal WHERE session_id = ? ORDER BY seq",

    [OPEN_ORDERS] =
        "SELECT " ORDER_COLUMNS " FROM orders WHERE instance_id = ?"
        " AND (" IS_OPEN " OR inferred_qty <> '0' OR (role = 'plain' AND group_id IN"
        " (SELECT group_id FROM orders WHERE instance_id = ?1 AND group_id <> 0 AND " IS_OPEN
        "))) ORDER BY order_id",
    [ORDER_BY_ID] =
        "SELECT " ORDER_COLUMNS " FROM orders WHERE order_id = ? AND client_order_id = ?",
    /* The terms of the partial indexes, spelled as there. */
    [ORDER_BY_NEW_NAME] =
        "SELECT " ORDER_COLUMNS " FROM orders WHERE order_id = coalesce("
        "(SELECT order_id FROM orders WHERE current_client_order_id = ?1"
        " AND current_client_order_id <> client_order_id),"
        "(SELECT order_id FROM orders WHERE pending_client_order_id = ?1"
        " AND pending_client_order_id <> ''))",
    [ORDER_BY_NAME] =
        "SELECT " ORDER_COLUMNS " FROM orders WHERE client_order_id = ?"
        " ORDER BY order_id DESC LIMIT 1",
    [OPEN_BEFORE] =
        "SELECT order_id FROM orders WHERE order_id < ? AND " IS_OPEN " ORDER BY order_id",
    [ORDER_FOR_CHECKPOINT] =
        "SELECT instance_id, order_id, client_order_id, venue_order_id, venue, symbol, side, type,"
        " tif, qty, price, trigger_price, filled_qty, status, tag FROM orders WHERE order_id = ?"
        " AND " IS_OPEN,
    [POSITIONS] =
        "SELECT venue, symbol, qty, cost, realized_pnl, fees, funding FROM positions"
        " WHERE instance_id = ? ORDER BY venue, symbol",
    [HALTS] =
        "SELECT h.scope, h.code, h.reason FROM halts h JOIN trading_events e ON e.seq = h.halt_id"
        " JOIN sessions s ON s.session_id = e.session_id"
        " WHERE h.lifted_ns IS NULL AND " OF_SCOPE("?1", "?2") " ORDER BY h.halt_id",
    [CASH] = "SELECT currency, amount, own FROM cash WHERE venue = ? ORDER BY currency",
    [STANDING_HALTS] =
        "SELECT h.scope, h.code, h.reason, h.since_ns, s.mode, s.source,"
        " coalesce((SELECT 'strategy ' || i.strategy || ' on ' || i.symbol FROM instances i"
        " WHERE 'instance ' || i.instance_id = h.scope), h.scope) FROM halts h"
        " JOIN trading_events e ON e.seq = h.halt_id"
        " JOIN sessions s ON s.session_id = e.session_id"
        " WHERE h.lifted_ns IS NULL AND s.source <> 'feed' ORDER BY h.halt_id",
    [CLEAN_DAYS] = "SELECT count(DISTINCT time_ns / 86400000000000) FROM trading_events"
                   " WHERE kind = 'order' AND time_ns / 86400000000000 NOT IN"
                   " (SELECT time_ns / 86400000000000 FROM trading_events WHERE kind = 'halt')",
    [REMAINING_ORDERS] =
        "SELECT i.instance_id, i.strategy, o.venue, o.symbol, o.side, o.type, o.qty, o.filled_qty,"
        " coalesce(o.price, ''), coalesce(o.trigger_price, ''), o.status, o.reduce_only,"
        " o.current_client_order_id, o.venue_order_id FROM orders o"
        " JOIN instances i ON i.instance_id = o.instance_id"
        " WHERE " IS_REMAINING " AND o." IS_OPEN " ORDER BY o.order_id",
    [REMAINING_POSITIONS] =
        "SELECT i.instance_id, i.strategy, p.venue, p.symbol, p.qty FROM positions p"
        " JOIN instances i ON i.instance_id = p.instance_id"
        " WHERE " IS_REMAINING " AND p.qty <> '0'"
        " ORDER BY i.instance_id, p.venue, p.symbol",
    [REFUSALS] =
        /* the end of a halt is of its kind, but refuses nothing */
        "SELECT kind, time_ns, body FROM trading_events WHERE kind IN ('blocked', 'reduced',"
        " 'halt') AND instr(body, '\"body\":{\"lifted_by\":') = 0 ORDER BY seq DESC LIMIT ?",
    [SELECT_STATE] = "SELECT body FROM strategy_state WHERE instance_id = ?",
    [RESULT_ROWS] =
        "SELECT kind, body FROM trading_events WHERE session_id = ? AND seq >= ?"
        " AND kind IN ('order', 'fill') ORDER BY seq",
    [LEFT_OVER] =
        "SELECT i.instance_id, i.strategy, p.symbol, p.qty FROM positions p"
        " JOIN instances i ON i.instance_id = p.instance_id"
        " WHERE i.scope = ? AND p.qty <> '0' ORDER BY i.instance_id, p.symbol",
    [EXPORT_DAYS] =
        "SELECT DISTINCT " BODY_DAY " FROM trading_events WHERE session_id >= ? AND " EXPORTED
        " ORDER BY 1",
    [EXPORT_ROWS] =
        "SELECT kind, order_id, body, " BODY_DAY " FROM trading_events WHERE seq > ? AND seq <= ?"
        " AND " EXPORTED " ORDER BY seq",
};
/* clang-format on */

/* The first column of the first row, as an integer. Anything but SQLITE_OK: there is none. */
static int read_int(sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *value = column_int(statement, 0);
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

static int run_all(sqlite3 *db, const char *const *texts, size_t count)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < count && code == SQLITE_OK; i++)
        code = sqlite3_exec(db, texts[i], NULL, NULL, NULL);
    return code;
}

static int set_version(sqlite3 *db)
{
    char pragmas[96];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             LEDGER_APPLICATION_ID, LEDGER_SCHEMA_VERSION);
    return sqlite3_exec(db, pragmas, NULL, NULL, NULL);
}

static int create(sqlite3 *db)
{
    int code = run_all(db, schema, ARRAY_SIZE(schema));
    return code == SQLITE_OK ? set_version(db) : code;
}

/* What version 2 made new is made by the statements of a new file, told by their names. */
static int add_new(sqlite3 *db)
{
    static const char *const names[] = { "CREATE TABLE adjustments(", "CREATE TABLE cash(",
                                         "CREATE INDEX " };
    int code = SQLITE_OK;
    for (size_t i = 0; i < ARRAY_SIZE(schema); i++)
        for (size_t k = 0; k < ARRAY_SIZE(names) && code == SQLITE_OK; k++)
            if (text_starts_with(schema[i], names[k]))
                code = run_all(db, &schema[i], 1);
    return code;
}

static int migrate(sqlite3 *db)
{
    int code = run_all(db, from_1, ARRAY_SIZE(from_1));
    if (code == SQLITE_OK)
        code = add_new(db);
    return code == SQLITE_OK ? set_version(db) : code;
}

int schema_recognise(sqlite3 *db, const char *path, int64_t *version, struct error *err)
{
    int64_t application = 0, tables = 0;
    if (read_int(db, "PRAGMA application_id", &application) != SQLITE_OK ||
        read_int(db, "PRAGMA user_version", version) != SQLITE_OK ||
        read_int(db, "SELECT count(*) FROM sqlite_schema", &tables) != SQLITE_OK)
        return ledger_failed(db, path, ERROR_UNAVAILABLE, err, "read it");

    if (application == 0 && *version == 0 && tables == 0)
        return 0;
    if (application != LEDGER_APPLICATION_ID)
        return error_set(err, ERROR_DATA,
                         "%s is a database of another program, not a ledger: move it away or give "
                         "another directory with --state",
                         path);
    if (*version < 1 || *version > LEDGER_SCHEMA_VERSION)
        return error_set(err, ERROR_DATA,
                         "%s has schema version %" PRId64 "; this program reads version %d: use "
                         "the program that wrote it, put back a backup of before with runtime "
                         "restore, or give another directory with --state",
                         path, *version, LEDGER_SCHEMA_VERSION);
    return 0;
}

/* Inside a transaction, so that two starts at once make one ledger, and a crash makes none, or
 * leaves the version there was. */
static int create_or_check(sqlite3 *db, const char *path, struct error *err)
{
    int64_t version = 0;
    int code = schema_recognise(db, path, &version, err);
    if (code < 0)
        return code;
    if (version == 0 && create(db) != SQLITE_OK)
        return ledger_failed(db, path, ERROR_UNAVAILABLE, err, "create its tables");
    if (version == 1 && migrate(db) != SQLITE_OK)
        return ledger_failed(db, path, ERROR_UNAVAILABLE, err,
                             "bring it from version 1 to version %d", LEDGER_SCHEMA_VERSION);
    return 0;
}

int schema_prepare(sqlite3 *db, const char *path, struct error *err)
{
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return ledger_failed(db, path, ERROR_UNAVAILABLE, err, "open it");
    int code = create_or_check(db, path, err);
    const char *end = code < 0 ? "ROLLBACK" : "COMMIT";
    if (sqlite3_exec(db, end, NULL, NULL, NULL) != SQLITE_OK && code == 0)
        code = ledger_failed(db, path, ERROR_UNAVAILABLE, err, "create its tables");
    return code;
}
