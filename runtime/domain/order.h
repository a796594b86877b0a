/* order.h - one order's life: which execution reports change it, and how.
 *
 * Pure: no clock, no I/O, no allocation. Every struct is the caller's memory.
 *
 * An order is three things: its known status (what the venue last confirmed), what is pending (a
 * new, cancel or replace under way) and doubt (an answer is missing). The public status is derived:
 * terminal, else unknown while in doubt, else pending_x, else the known one. Terms and transitions
 * follow FIX 4.4 execution reports ("Order State Change Matrices", volume 4, appendix D). */
#ifndef RUNTIME_DOMAIN_ORDER_H
#define RUNTIME_DOMAIN_ORDER_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"

#define CLIENT_ORDER_ID_MAX 24
#define VENUE_ORDER_ID_MAX 40
#define EXEC_ID_MAX 48
#define TAG_MAX 64
#define REASON_MAX 160
#define ORDER_PRICE_DIGITS 18 /* of an average, after the point */

enum order_side { SIDE_BUY = 1, SIDE_SELL = -1 };
enum order_type { ORDER_MARKET, ORDER_LIMIT, ORDER_STOP, ORDER_STOP_LIMIT, ORDER_TRAILING };
enum order_tif { TIF_GTC, TIF_DAY, TIF_IOC, TIF_FOK, TIF_GTD };
enum order_trigger { TRIGGER_LAST, TRIGGER_MARK, TRIGGER_QUOTE }; /* what a stop watches */
enum order_role { ROLE_PLAIN, ROLE_STOP, ROLE_TAKE };             /* an exit of a protected entry */

enum order_status {
    ORDER_PENDING_NEW,
    ORDER_NEW,
    ORDER_PARTIALLY_FILLED,
    ORDER_FILLED,
    ORDER_CANCELED,
    ORDER_REJECTED,
    ORDER_EXPIRED,
    ORDER_PENDING_CANCEL,  /* public only: never a known status */
    ORDER_PENDING_REPLACE, /* public only */
    ORDER_UNKNOWN,         /* public only */
};
enum order_pending { PENDING_NONE, PENDING_CANCEL = 1, PENDING_REPLACE = 2 }; /* bits */

struct order {
    uint64_t order_id;                         /* ours, unique in the ledger, ascending */
    char client_order_id[CLIENT_ORDER_ID_MAX]; /* of the intent: the first one, for ever */
    /* What the venue calls it now: differs where a replaced order gets a new id (FIX style). */
    char current_client_order_id[CLIENT_ORDER_ID_MAX];
    char pending_client_order_id[CLIENT_ORDER_ID_MAX]; /* of a replace under way, or empty */
    char venue_order_id[VENUE_ORDER_ID_MAX];           /* empty until the venue says it */
    uint32_t instance_id;
    uint32_t instrument;
    enum order_side side;
    enum order_type type;
    enum order_tif tif;
    enum order_trigger stop_on;
    decimal qty;           /* base units, > 0 */
    decimal price;         /* limit price; DECIMAL_NONE when the type has none */
    decimal trigger_price; /* DECIMAL_NONE when the type has none */
    decimal trail;         /* of a trailing stop: the distance; DECIMAL_NONE otherwise */
    bool trail_is_share;   /* the distance is a share of the price (0.015 = 1.5 %) */
    bool held;             /* rests in the engine until its trigger: the venue cannot hold it */
    decimal stop, take;    /* exits of a protected entry, DECIMAL_NONE without */
    bool reduce_only, post_only;
    enum order_role role;
    uint64_t parent_order_id; /* the entry of an exit, 0 without */
    /* Of an exit: what its protection wants left of it, where that is not what is left already. */
    decimal wanted_qty;
    uint64_t group_id; /* orders of which one fill cancels the others, 0 without */

    enum order_status known;
    unsigned pending; /* enum order_pending bits */
    bool doubt;
    int64_t doubt_since_ns;
    decimal pending_qty, pending_price; /* terms asked for by a replace under way */

    decimal filled_qty; /* sum of booked fills, reversals taken off */
    decimal notional;   /* sum of their notionals, exact */
    decimal fees;       /* sum, fee currency of the instrument */
    /* The part of filled_qty and notional that only a cumulative report told: real trades replace
     * it and never add to it. */
    decimal inferred_qty, inferred_notional;
    uint32_t revision; /* inferred fills and reversals made: makes their exec ids unique */
    int64_t created_ns, updated_ns;
    int64_t expires_ns; /* for gtd, else TIME_NEVER */
    char tag[TAG_MAX];
    char reason[REASON_MAX]; /* of a rejection, cancel or block; empty otherwise */
};

enum liquidity { LIQUIDITY_TAKER, LIQUIDITY_MAKER };

enum fill_kind {
    FILL_TRADE,    /* a trade as the venue told it */
    FILL_INFERRED, /* made from a cumulative report; no fee is known */
    FILL_REVERSAL, /* takes back `replaces`: a bust, a correction, or an inferred fill come true */
};

struct fill {
    /* ExecID (FIX 17) as the venue sent it, unique per venue and symbol; ours for other kinds. */
    char exec_id[EXEC_ID_MAX];
    enum fill_kind kind;
    /* REVERSAL: the exec_id of the booked fill taken back; "inferred" when it takes back a part
     * that only sums told. TRADE: empty, or the venue's own exec_id of the trade that this one
     * corrects: what the venue says next about that exec_id is about this fill. */
    char replaces[EXEC_ID_MAX];
    decimal qty;      /* base units, > 0, of a reversal too */
    decimal price;    /* quote units per base unit */
    decimal notional; /* of INFERRED and REVERSAL: exact, price is rounded from it */
    decimal fee;      /* paid positive, rebate negative; in a report DECIMAL_NONE when not said */
    enum liquidity liquidity;
    int64_t transact_ns; /* the venue's own time */
};

enum report_kind {
    REPORT_ACK,
    REPORT_FILL, /* `fill` */
    REPORT_CANCELED,
    REPORT_EXPIRED,
    REPORT_REJECTED,
    REPORT_CANCEL_REJECT,
    REPORT_REPLACED, /* `qty`, `price`: the new terms */
    REPORT_REPLACE_REJECT,
    REPORT_RESTATED,  /* `qty` */
    REPORT_STATUS,    /* how it stands: `status`, `cum_qty`, `avg_price`, may be `qty`, `price` */
    REPORT_BUST,      /* the trade `fill.exec_id` never was */
    REPORT_CORRECT,   /* the trade `fill.exec_id` was `fill.qty` at `fill.price`, fee `fill.fee` */
    REPORT_NOT_FOUND, /* a well-formed "no such order" */
    REPORT_DOUBT,     /* time-out, 5xx, garbage, disconnect while in flight */
};

/* What a venue says about one order. */
struct report {
    enum report_kind kind;
    char client_order_id[CLIENT_ORDER_ID_MAX]; /* any of the ids the order has had */
    char venue_order_id[VENUE_ORDER_ID_MAX];   /* empty when not said */
    uint64_t ticket;                           /* of the query that it answers; 0: pushed */
    enum order_side side;                      /* 0 when not said; of orders we do not know */
    struct fill fill;
    decimal qty, price;
    enum order_status status; /* STATUS: NEW, PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED
                                 or PENDING_NEW */
    decimal cum_qty;          /* STATUS: filled so far; DECIMAL_NONE when not said */
    decimal avg_price;        /* STATUS: of it; DECIMAL_NONE when nothing is filled */
    /* FILL, BUST, CORRECT: what is booked under fill.exec_id, the venue's own id of the trade; set
     * by who knows all fills. `booked` is the newest TRADE whose exec_id is that id or whose
     * `replaces` is (a trade that was corrected stands under an id of ours), and it is REVERSED
     * when a REVERSAL replaces the exec_id of that very fill. */
    enum { BOOKED_NOT, BOOKED_YES, BOOKED_REVERSED } booked_state;
    struct fill booked;
    int64_t transact_ns;
    char reason[REASON_MAX];
};

/* The answer of order_apply: bits. */
enum order_change {
    ORDER_UNCHANGED = 0,
    ORDER_CHANGED = 1,  /* the order is not what it was: record and tell */
    ORDER_BOOKED = 2,   /* outcome.fills were added: move position and cash */
    ORDER_ALERT = 4,    /* late, unasked or unexpected: tell a person (outcome.alert says what) */
    ORDER_SUSPECT = 8,  /* after REJECTED or beyond qty: halt the instrument until reconciled */
    ORDER_ASK = 16,     /* only the venue knows: query it; said once, go on while order.doubt */
    ORDER_COUNTED = 32, /* refused by the table: counted and logged, nothing changed */
    ORDER_REVIVED = 64, /* done in our books, works at the venue: cancel it */
};

#define ORDER_FILLS_MAX 3 /* of one report: at most two reversals, then what stands instead */

/* What a report made. */
struct order_outcome {
    struct fill fills[ORDER_FILLS_MAX]; /* to be booked in this order */
    size_t fill_count;
    decimal news;      /* quantity of the last fill that is new to the strategy; 0: a correction */
    const char *alert; /* with ORDER_ALERT: a stable name ("late_fill", "overfill", ...) */
};

/* An order before anything is known of it: nothing asked for, nothing filled, at market, no prices,
 * until canceled. The side is still to be said. */
void order_init(struct order *order);

/* Applies one report: the table in order.c says which are legal in which status.
 * now_ns stamps updated_ns. Returns enum order_change bits, or ERROR_RANGE (a sum would not fit a
 * decimal: halt the instrument), then *order is as it was. */
int order_apply(struct order *order, const struct report *report, int64_t now_ns,
                struct order_outcome *outcome, struct error *err);

/* qty * price of a trade; what an inferred fill or a reversal says of itself. Always > 0 where the
 * price is: a reversal is told by its kind. */
decimal fill_notional(const struct fill *fill);
/* The side that a fill moves a position to: of a reversal the opposite of its order's. */
enum order_side fill_side(enum order_side order_side, const struct fill *fill);

/* Ours: a cancel or replace was sent. ASSERTs that the order is open. new_id: the client order id
 * the replaced order will have, "" where it keeps its own. */
void order_mark_cancel(struct order *order, int64_t now_ns);
void order_mark_replace(struct order *order, decimal qty, decimal price, const char *new_id,
                        int64_t now_ns);
/* Ours: an order that rests in the engine (`held`) begins to rest, is changed, ends, or leaves for
 * the venue as `type` (MARKET, LIMIT): it is PENDING_NEW then, like any order that was just sent.
 */
void order_hold(struct order *order, int64_t now_ns);
void order_end_held(struct order *order, enum order_status status, const char *reason,
                    int64_t now_ns);
void order_release(struct order *order, int64_t now_ns);
/* Ours: the venue was asked as decided by rule and does not have it. REJECTED if it never arrived,
 * else CANCELED; ends all doubt. */
void order_give_up(struct order *order, const char *reason, int64_t now_ns);
/* Ours: the venue works it with its old terms after all: the replace under way never arrived. */
void order_forget_replace(struct order *order, int64_t now_ns);
/* Ours: nobody knows what became of what was sent (restart, silence, disconnect). */
bool order_mark_doubt(struct order *order, int64_t now_ns); /* false: it was in doubt already */

enum order_status order_status(const struct order *order); /* the public one */
bool order_is_open(const struct order *order);             /* known status is not terminal */
decimal
order_remaining(const struct order *order); /* qty - filled_qty, never below 0; 0 when done */
decimal order_avg_price(const struct order *order); /* DECIMAL_NONE before a fill */

const char *order_side_name(enum order_side side);
const char *order_type_name(enum order_type type);
const char *order_tif_name(enum order_tif tif);
const char *order_status_name(enum order_status status);
const char *order_role_name(enum order_role role);
const char *report_kind_name(enum report_kind kind);
const char *fill_kind_name(enum fill_kind kind);
bool order_type_parse(const char *text, enum order_type *type);
bool order_tif_parse(const char *text, enum order_tif *tif);

#endif
