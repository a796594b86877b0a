/* engine.h - the engine is a function over events.
 *
 * engine_step takes one event, updates market and portfolio, calls guests, and at the end of the
 * turn commits what must be durable and then sends what must leave. It reads no clock, opens no
 * socket, touches no file: everything else is a port (ports.h).
 *
 * A turn: event -> order and position changes -> exits -> callbacks until quiet -> commit -> send.
 * Callbacks never nest: what an order causes is delivered after the current callback.
 *
 * At one instant: bars close, timers fire, markets open and close, orders whose time is over end;
 * then events. Sessions: venues in the order in which the instruments list them, each told to its
 * instances in the order they were added.
 *
 * The same events in the same order give the same records, byte for byte. */
#ifndef RUNTIME_ENGINE_ENGINE_H
#define RUNTIME_ENGINE_ENGINE_H

#include "runtime/base/base.h"
#include "runtime/base/log.h"
#include "runtime/engine/ports.h"
#include "runtime/risk/breaker.h"
#include "runtime/risk/check.h"
#include "runtime/risk/rollout.h"
#include "runtime/domain/calendar.h"
#include "runtime/market/market.h"

#define INSTANCES_MAX 256
#define TIMERS_MAX 1000       /* of one instance */
#define ORDERS_OPEN_MAX 10000 /* of one session */
#define ORDERS_OUT_MAX 10000  /* beside them: ways out, a half of them for strategies */
#define ORDERS_DONE_KEPT 4096 /* finished orders that can still be looked up */

enum stop_policy { POLICY_LEAVE, POLICY_CANCEL /* entries; exits stay */, POLICY_FLATTEN };

struct engine; /* opaque */

/* How doubt about an order is resolved (orders: in the configuration). */
struct doubt_options {
    int64_t resolve_grace_ns; /* "never arrived" needs a not-found this long after the sending */
    int64_t resend_within_ns; /* an order that adds risk is sent again only while younger */
};

enum reconcile_mode {
    RECONCILE_OFF, /* a market that is replayed: its venue is a function of the same events */
    RECONCILE_STRICT,
    RECONCILE_WARN,
    RECONCILE_AUTO_SYNC
};
struct reconcile_options {
    enum reconcile_mode mode;
    decimal qty_tolerance;  /* share of our own quantity; none when we think we are flat */
    decimal cash_tolerance; /* account currency */
    uint32_t every_reports; /* order reports between two, never nearer than 5 s, nor 60 s apart */
    int64_t interval_ns;    /* instead of that; 0: not set */
};

/* Limits of one symbol or venue. */
struct named_limits {
    char name[SYMBOL_MAX];
    struct risk_limits limits;
};

/* What binds besides the limits of the account (risk: and circuit_breaker: in the configuration).
 * All zero: nothing does. */
struct risk_options {
    const struct named_limits *symbols, *venues; /* borrowed while the engine opens */
    size_t symbol_count, venue_count;
    decimal no_stop_pct;       /* what a position without a stop may lose, share of its value */
    bool require_stop;         /* a position without one is given one ... */
    decimal stop_distance_pct; /* ... so far from its price */
    bool self_trade_prevention;
    bool halts_latch;        /* a halt for the day's loss does not end with the day */
    bool keeps_day;          /* the day's figures are recorded, for a restart */
    uint32_t repeated_count; /* fills, or equal orders, within repeated_within_ns; 0: any */
    int64_t repeated_within_ns;
    double cancel_reserve;          /* share of the order rate kept for cancels */
    int64_t max_clock_skew_ns;      /* 0: any */
    int64_t stale_after_ns;         /* silence of a live venue; 0: nothing grows old */
    struct breaker_options breaker; /* open_for_ns 0: there is none */
    bool day_is_venues;             /* the day ends with the first instrument's calendar's */
    const struct calendar *const *calendars; /* by instrument, NULL: always open; borrowed */
    struct rollout_options rollout;
};

struct engine_options {
    const struct instruments *instruments; /* borrowed for the engine's life */
    struct market *market;                 /* borrowed */
    struct venue_port venue;
    struct ledger_port ledger;
    struct log *log;
    struct risk_limits account; /* of the whole account */
    struct risk_options risk;
    struct doubt_options doubt;
    struct reconcile_options reconcile;
};

struct engine *engine_open(const struct engine_options *options);
void engine_close(struct engine *engine);

/* ---- instances ---- */

struct instance_options {
    uint32_t instance_id;        /* the ledger's */
    char strategy[64];           /* its name */
    decimal capital;             /* account currency */
    const uint32_t *instruments; /* those it may see and trade, the first is ctx.symbol */
    size_t instrument_count;
    enum stop_policy on_error;
    struct risk_limits limits; /* narrows the account's */
    bool wait_for_warmup;      /* false: needs.warmup = false */
};

/* Makes room for an instance; its guest comes with engine_set_guest. Returns its index, which all
 * functions below take, or ERROR_CONFIG. */
int engine_add_instance(struct engine *engine, const struct instance_options *options,
                        struct error *err);

/* Installs, or swaps between two events, the code behind an instance. The old guest is returned for
 * the caller to close (self NULL when there was none). Timers are dropped at a swap. */
struct guest engine_set_guest(struct engine *engine, int instance, struct guest guest);

/* Puts other code behind `count` instances from `first` on, all or none: each is installed with
 * these limits and needs.warmup, and started. 0: guests[] are now the old ones, for the caller to
 * close; journal, then engine_begin tells the new ones in the same turn. ERROR_REFUSED: one of them
 * failed or stopped itself, *why says it; everything is as it was, what was asked for is taken
 * back, and guests[] are the caller's still. Between two events. */
MUST_CHECK int engine_try_guests(struct engine *engine, int first, int count, struct guest *guests,
                                 const struct risk_limits *limits, bool wait_for_warmup,
                                 int64_t now_ns, struct error *why);

/* New limits of an instance, from the next order on. */
void engine_set_limits(struct engine *engine, int instance, const struct risk_limits *limits);
/* needs.warmup of new code; before engine_set_guest. */
void engine_set_warmup(struct engine *engine, int instance, bool wait);

/* The guest behind an instance, whether it still runs or not; self NULL: none yet. */
const struct guest *engine_guest(const struct engine *engine, int instance);

/* Which bars call GUEST_BAR for this instance: replaces the whole set. */
struct bar_subscription {
    uint32_t instrument;
    int64_t tf_ns;
};
void engine_subscribe_bars(struct engine *engine, int instance, const struct bar_subscription *list,
                           size_t count);

/* Makes the instance that holds what is nobody's: orders of this ledger that it does not know any
 * more, positions that reconciliation found. It has no guest and all instruments; after the others.
 */
void engine_set_external(struct engine *engine, uint32_t instance_id);

/* Before the first event: what the ledger knew. */
int engine_restore_position(struct engine *engine, int instance, uint32_t instrument,
                            const struct position *position, struct error *err);
int engine_restore_order(struct engine *engine, const struct order *order, struct error *err);
/* A halt that nobody lifted: scope "session" or a symbol. */
void engine_restore_halt(struct engine *engine, const char *scope, const char *code,
                         const char *reason);
/* What RECORD_STATE of instance 0 said: the day's figures. ERROR_IO: it cannot be read. */
MUST_CHECK int engine_restore_risk(struct engine *engine, const char *json, size_t length,
                                   struct error *err);
/* Whether a limit needs hourly prices, and one hour's close from history, told in order before the
 * first event. */
bool engine_wants_hours(const struct engine *engine);
/* For tests: whether the running sums are what a walk over all orders and positions finds. */
bool engine_sums_agree(struct engine *engine);
/* Cash as last agreed with the venue. */
void engine_restore_cash(struct engine *engine, const struct cash_record *cash);
/* At a venue that outlives us, after all of these: what was under way is in doubt, and is asked for
 * before anything else. Nothing new leaves until the line is up (EVENT_CONNECTION) and the books
 * were compared. known_until_ns: market time that the ledger had reached; trades since then are
 * asked for. Also for a session that begins. */
MUST_CHECK int engine_resume(struct engine *engine, int64_t now_ns, int64_t known_until_ns,
                             struct error *err);

/* ---- events ---- */

/* The next instant the engine must be stepped at (bar ends, timers, borders of sessions),
 * TIME_NEVER for none. */
int64_t engine_due_ns(const struct engine *engine);
/* Steps the clock to a due instant: bars close, timers fire. MUST be called with each due instant
 * in turn before an event at or after it. Same errors as engine_step. */
MUST_CHECK int engine_advance(struct engine *engine, int64_t now_ns, struct error *err);
/* One event. ERROR_IO: the ledger refused, nothing left, trading must stop; every later turn is
 * refused with the same code. */
MUST_CHECK int engine_step(struct engine *engine, const struct event *event, struct error *err);
/* Calls GUEST_START of an instance whose guest is new (no market event may have reached it) and was
 * not started by engine_try_guests; and GUEST_RELOAD after a swap. */
MUST_CHECK int engine_begin(struct engine *engine, int instance, int64_t now_ns,
                            const char *reloaded_from /* old version, or NULL */,
                            struct error *err);
/* Writes changed ctx.state of all instances: once a second, and before a clean end. */
MUST_CHECK int engine_flush(struct engine *engine, int64_t now_ns, struct error *err);
/* Records something from outside in this turn's journal (reload, control, budget stop). */
MUST_CHECK int engine_journal(struct engine *engine, int64_t now_ns, const char *name,
                              const char *body, struct error *err);
/* Clean stop: GUEST_STOP everywhere, then the policy for what is open. */
MUST_CHECK int engine_stop(struct engine *engine, int64_t now_ns, enum stop_policy policy,
                           const char *why, struct error *err);
/* Asks for the cancel of all open orders of all instances, whether they live or not: exits too, and
 * these are not placed again. Sent with the turn of the engine_stop that has to follow. */
void engine_cancel_everything(struct engine *engine);
/* Stops one instance (failed, quarantined, ctx:stop): its policy handles its orders. */
MUST_CHECK int engine_stop_instance(struct engine *engine, int instance, int64_t now_ns,
                                    const char *why, struct error *err);

/* ---- what an operator asks, between two events; the caller journals who asked ---- */

/* No new risk from now on, for good (engine_lift_halts ends it): orders that add risk are canceled.
 * `everything`: exits too, and with `flatten` positions are closed at market instead. */
MUST_CHECK int engine_halt(struct engine *engine, int64_t now_ns, const char *code,
                           const char *reason, bool everything, bool flatten, struct error *err);
/* What the account may have at stake in the rollout's stage, and what it saw so far; DECIMAL_NONE:
 * rollout is not enabled. */
decimal engine_rollout(const struct engine *engine, struct rollout_record *record);
/* Clean days of paper trading that came before, as its ledger knows them; before the first event.
 */
void engine_set_paper_days(struct engine *engine, uint32_t days);
/* Lifts the halts of the session, of scopes and of instruments. `by` says who, for the record. */
MUST_CHECK int engine_lift_halts(struct engine *engine, int64_t now_ns, const char *by,
                                 struct error *err);
/* Cancels the entries and closes at market what is held: of one instrument or of all
 * (INSTRUMENT_NONE), of one instance or of all (-1). The strategies go on. */
MUST_CHECK int engine_flatten(struct engine *engine, int64_t now_ns, int instance,
                              uint32_t instrument, struct error *err);
/* Opens or closes the breaker of a venue, or of all (NULL), by hand. ERROR_USAGE: there is no such
 * venue. */
MUST_CHECK int engine_set_breaker(struct engine *engine, int64_t now_ns, const char *venue,
                                  bool open, const char *by, struct error *err);
/* The breaker of the venue with this index, its name in *venue; NULL: there are no more. */
const struct breaker *engine_breaker(const struct engine *engine, size_t index, const char **venue);
/* A verdict that was no approval. */
struct told_verdict {
    int64_t time_ns;
    int instance;
    uint32_t instrument;
    enum verdict verdict;
    enum order_side side;
    decimal asked, allowed;
    char code[32], reason[REASON_MAX];
};
/* The newest ones, newest first; false: there are no more (256 are kept). */
bool engine_verdict(const struct engine *engine, size_t index, struct told_verdict *out);

/* ---- what a guest may ask (bindings/ calls these during a callback) ---- */

/* An expected "no": a market fact, not a mistake. */
struct refusal {
    char code[32]; /* "zero_qty", "no_quote", "min_notional", "buying_power", ... stable names */
    char reason[REASON_MAX];
};

struct order_request {
    uint32_t instrument;
    enum order_side side;
    enum order_type type;
    enum order_tif tif;
    enum order_trigger stop_on;
    decimal qty;      /* as asked: rounded to lots toward zero here, once */
    decimal notional; /* instead of qty, else DECIMAL_NONE */
    decimal price, trigger_price;
    decimal trail;       /* of ORDER_TRAILING: the distance, else DECIMAL_NONE */
    bool trail_is_share; /* the distance is a share of the price (0.015 = 1.5 %) */
    decimal stop, take;  /* DECIMAL_NONE without */
    bool reduce_only, post_only;
    int64_t expires_ns; /* of TIF_GTD, else TIME_NEVER */
    char tag[TAG_MAX];
};
void order_request_init(struct order_request *request);

/* Returns the order id (provisional until the turn commits), or 0 and *refusal. Price is rounded
 * in the safe direction: a buy limit down, a sell limit up. */
uint64_t engine_submit(struct engine *engine, int instance, const struct order_request *request,
                       struct refusal *refusal);
/* Two orders of which a fill of one cancels the other (a part of it reduces the other by as much):
 * at the venue where it links orders, else by the engine, and then both may fill in a race (alert
 * "oco_both_filled"). Both or none: false and *refusal when one of them is refused. The gate counts
 * the larger leg where the venue links them, else both. A leg that is canceled, or that the venue
 * rejects, leaves the other. */
bool engine_oco(struct engine *engine, int instance, const struct order_request requests[2],
                uint64_t ids[2], struct refusal *refusal);
/* True when asked for; false and *refusal when the order is done, not this instance's, or unknown.
 * An exit of a protected entry that is canceled here is not placed again. */
bool engine_cancel(struct engine *engine, int instance, uint64_t order_id, struct refusal *refusal);
int engine_cancel_all(struct engine *engine, int instance,
                      uint32_t instrument_or_none); /* how many */
bool engine_amend(struct engine *engine, int instance, uint64_t order_id, decimal qty_or_none,
                  decimal price_or_none, struct refusal *refusal);
/* Moves the instance's position toward `qty` with one order for what is missing, counting working
 * market orders of the instance. An order that only reduces is reduce-only. 0 with an empty refusal
 * code when there is nothing to do. */
uint64_t engine_target(struct engine *engine, int instance, uint32_t instrument, decimal qty,
                       const struct order_request *options, struct refusal *refusal);
/* Ends the position exactly, in decimals. 0 with an empty code when flat. */
uint64_t engine_close_position(struct engine *engine, int instance, uint32_t instrument,
                               const struct order_request *options, struct refusal *refusal);
/* Lot multiple that loses risk_percent of equity over stop_distance, capped by buying power and
 * limits. Zero and *refusal otherwise. */
decimal engine_size(struct engine *engine, int instance, uint32_t instrument, double risk_percent,
                    double stop_distance, struct refusal *refusal);
/* seconds <= 0 ends it. False: too many timers. */
bool engine_timer(struct engine *engine, int instance, const char *name, double seconds);
void engine_request_stop(struct engine *engine, int instance,
                         const char *why); /* after this callback */
void engine_alert(struct engine *engine, int instance, const char *text);

const struct order *engine_order(const struct engine *engine,
                                 uint64_t order_id); /* NULL: never was, or finished long ago */
/* Calls visit for each open order of the instance (all kept ones if `all`), oldest first, until it
 * returns false. */
void engine_each_order(const struct engine *engine, int instance, bool all,
                       bool (*visit)(void *self, const struct order *order), void *self);
const struct position *engine_position(const struct engine *engine, int instance,
                                       uint32_t instrument);
decimal engine_capital(const struct engine *engine, int instance);
decimal engine_cash(const struct engine *engine,
                    int instance); /* capital + realized - fees + funding */
decimal engine_equity(const struct engine *engine,
                      int instance); /* cash + unrealized at the mark */
int64_t engine_now(const struct engine *engine);
struct market *engine_market(const struct engine *engine);
const struct instruments *engine_instruments(const struct engine *engine);
const uint32_t *engine_instance_instruments(const struct engine *engine, int instance,
                                            size_t *count);
bool engine_in_start(const struct engine *engine, int instance); /* order calls raise then */

/* When a venue trades, as an instance sees it: it is open while one of its instruments there is,
 * and without a calendar that is always. Instants after now, TIME_NEVER for none within two years.
 */
struct venue_session {
    bool is_open;
    int64_t opens_ns, closes_ns;
    int64_t day_end_ns; /* of the first of these instruments; without a calendar midnight UTC */
};
/* `instrument`: any of the instance's at the venue. */
void engine_venue_session(const struct engine *engine, int instance, uint32_t instrument,
                          struct venue_session *out);

/* ---- the session's figures ---- */

struct engine_counts {
    uint64_t events, trades, quotes, bars;
    uint64_t submitted, filled, canceled, rejected, blocked, reduced, expired;
    uint64_t fills, trips, trips_won;
    uint64_t illegal_reports, alerts, failed_instances;
    uint64_t halts; /* that began: of the session, a scope, an instrument */
    uint64_t asked, resent, lost, reconciled, differences, adjustments;
};
const struct engine_counts *engine_counts(const struct engine *engine);

struct engine_totals {
    decimal realized_pnl, fees, funding; /* of this session, not of what it went on from */
    decimal unrealized_pnl;
    decimal equity, cash;
    decimal gross_won, gross_lost; /* net P&L of winning and of losing trips, both >= 0 */
    decimal traded_notional;
    double max_drawdown; /* share of the running peak, judged at fills and each market second */
    double exposure;     /* share of market time with a position open */
};
void engine_totals(const struct engine *engine, struct engine_totals *totals);
/* The UTC day that market time is in. */
struct engine_day {
    int64_t began_ns;
    decimal opening_equity, volume; /* volume: fills of the day, money */
    uint32_t trades;                /* orders that filled */
};
void engine_day(const struct engine *engine, struct engine_day *day);
/* What the session began with: capital and what the ledger gave back, positions at the first price
 * that this session saw of them. */
decimal engine_equity_start(const struct engine *engine);
size_t engine_open_orders(const struct engine *engine);
/* Orders in doubt, or with something under way. */
size_t engine_orders_in_flight(const struct engine *engine);
/* True while new risk is refused because the books are being compared with the venue. */
bool engine_is_reconciling(const struct engine *engine);
/* The session's halt; *reason may be NULL. */
bool engine_is_halted(const struct engine *engine, const char **reason);
const char *engine_halt_code(const struct engine *engine); /* of the newest halt of the session */
bool engine_is_instrument_halted(const struct engine *engine, uint32_t instrument);
/* What is halted beside the session: venues, strategies, symbols, then instruments. False: there
 * are no more than `index`. */
struct narrow_halt {
    const char *scope, *code, *reason; /* scope: "symbol X/USDT", "strategy a on X/USDT" ... */
};
bool engine_narrow_halt(struct engine *engine, size_t index, struct narrow_halt *out);
/* UTC-daily equity at each day's end, then the newest; for Sharpe and Sortino. */
size_t engine_daily_equity(const struct engine *engine, const double **values);
/* failure: the enum error_code of what stopped it, 0 when it asked to stop. Both may be NULL. */
bool engine_instance_alive(const struct engine *engine, int instance, int *failure,
                           const char **why_not);
size_t engine_instances_alive(const struct engine *engine);

#endif
