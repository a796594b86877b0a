/* state.h - what the files of this room share; nobody else includes it.
 *
 *   engine.c   events in: dispatch, the clock, instances
 *   turn.c     what a turn gathers: records, commands, deliveries; commit and send
 *   reports.c  a venue's word on an order: order, position, cash, trips
 *   doubt.c    orders whose answer is missing: asked for until the venue says how they stand
 *   strangers.c orders at the venue that we do not know: kept, told, ours are canceled
 *   reconcile.c our books against the venue's: orders, fills, positions, cash
 *   halts.c    where no new risk may go: the session, or one instrument
 *   sessions.c markets that open and close
 *   held.c     orders that rest here because the venue cannot hold them: triggers, expiry
 *   pairs.c    two orders of which one fills (oco), where the venue links nothing
 *   exits.c    the stop and take of protected entries
 *   stops.c    stops of positions that have none, by policy
 *   desk.c     what a guest asks: submit, cancel, amend; and what we ask ourselves
 *   gate.c     what risk/check.c is told of the account, and what becomes of its verdict
 *   scopes.c   the account, venues, strategies, symbols: their limits, equity and day
 *   exposure.c what open orders and positions have at stake, as running sums
 *   portfolio_risk.c heat and volatility of all positions together
 *   rollout_watch.c what happens during a stage of the rollout
 *   guards.c   closed markets, old data, breakers, repeated orders, our own orders
 *   targets.c  target, close, size, flatten
 *   totals.c   equity, drawdown, exposure, the day's figures
 *   operator.c what a person asks: halt, lift, flatten, and why an order did not leave */
#ifndef RUNTIME_ENGINE_STATE_H
#define RUNTIME_ENGINE_STATE_H

#include "runtime/engine/blotter.h"
#include "runtime/engine/engine.h"
#include "runtime/risk/throttle.h"
#include "runtime/risk/volatility.h"

#define SUBSCRIPTIONS_MAX 256
#define REQUESTS_PER_CALL 1000 /* orders, cancels and amends of one callback */
#define DELIVERIES_PER_TURN                                                                        \
    10000 /* to one instance; a turn that does not come to rest stops it                           \
           */
#define STRANGERS_KEPT 256
#define UNDEAD_KEPT 64
#define EARLY_BUSTS_KEPT 64
#define VERDICTS_KEPT 256
#define VENUES_MAX 16

struct timer {
    char name[48];
    int64_t period_ns, next_ns;
};

/* When something was computed: it holds while none of these moves. */
struct stamp {
    uint64_t event, money, stakes;
};

/* What one instrument is worth in a scope, worse side; computed once an event. */
struct worth {
    uint64_t event;   /* UINT64_MAX: not known */
    decimal bound;    /* account currency */
    double weight[2]; /* signed, account currency: with open orders, and without */
};

/* What an instance has in one instrument. */
struct holding {
    struct position position;
    struct position restored;    /* what the ledger gave back at the start, flat otherwise */
    decimal restored_unrealized; /* at the first mark after that; DECIMAL_NONE before it */
    struct trip trip;
    /* exposure.c */
    decimal counted;                   /* the position as last counted */
    decimal working_buy, working_sell; /* of open orders that add risk */
    uint32_t entries;                  /* such orders */
    struct worth worth;
    bool is_open;                   /* something is held, or may come to be */
    decimal covered, heat;          /* by stops, and lost at them; portfolio_risk.c */
    struct throttle fills, repeats; /* executions, and equal orders in a row */
    uint64_t policy_stop;           /* the newest that stops.c placed, 0: none */
    int64_t policy_waits_ns;        /* a change of one was refused: none is asked for until then */
    uint64_t last_order;            /* what the newest order looked like */
};

struct halt {
    bool set;
    int64_t since_ns;
    char code[32], reason[REASON_MAX];
};

/* The account, a venue, a strategy's instance or a symbol (scopes.c). */
struct scope {
    enum scope_kind kind;
    uint32_t index;         /* of the venue, instance or instrument */
    char name[96], key[96]; /* for a person; for the ledger, unique */
    struct risk_limits limits;
    bool is_limited, watches_loss;
    decimal open_value, open_heat; /* of open orders that add risk */
    decimal position_heat;         /* as last computed */
    uint32_t open_unfilled, open_positions;
    decimal day_opening, peak; /* equity; DECIMAL_NONE: not known yet */
    decimal day_volume;        /* filled */
    uint32_t day_trades;
    bool lost;              /* a loss limit halted it, and no person lifted that yet */
    struct halt halt;       /* until the day ends; of the account see `halted` */
    struct stamp equity_at; /* of `equity`, stakes left out */
    decimal equity;
    struct known_portfolio { /* [0] with open orders, [1] without */
        struct stamp at;
        double *weights; /* by instrument; NULL before the first */
        double q;
        bool is_known; /* false: there is no estimate */
        struct volatility_book book;
    } portfolios[2];
    struct throttle messages; /* as many as a second may have */
    uint32_t orders_a_second; /* of these; 0: no limit */
};

/* One instrument, all instances together. */
struct exposure {
    struct scope scope;
    decimal position, buy, sell; /* net; open orders that add risk */
    struct worth worth;
    decimal price; /* the highest of theirs; DECIMAL_NONE without */
    bool is_price_stale;
    uint32_t resting[2]; /* limit orders at the venue: [0] sells, [1] buys */
};

/* What guards.c watches. */
#define AGES_KEPT 31
struct guards {
    int64_t frame_ns; /* when the venue was last heard; TIME_NEVER: not yet */
    int64_t skew_ns;  /* the venue's clock less ours, as last told */
    struct reference_age {
        int64_t last_ns; /* of its newest price; 0: none yet */
        int64_t gaps[AGES_KEPT];
        size_t count;
    } * ages;           /* by instrument; NULL: nothing grows old (a replayed market) */
    double *last_price; /* by instrument; NULL: no breaker watches prices */
    bool watches_ticks;
    bool is_own_word;          /* the report that is applied is ours: the venue was never asked */
    char why[REASON_MAX + 32]; /* what of it does not fit a reason is cut there */
};

struct venue {
    char name[VENUE_MAX];
    struct scope scope;
    struct breaker breaker;
};

struct instance {
    uint32_t instance_id;
    char strategy[64];
    decimal capital;
    uint32_t *instruments;
    size_t instrument_count;
    struct holding *holdings; /* parallel to instruments */
    enum stop_policy on_error;
    struct scope scope;
    bool wait_for_warmup;

    struct guest guest;
    bool alive;    /* has code that may be called */
    bool started;  /* its on_start ran, in engine_try_guests */
    bool in_start; /* on_start is running: order calls are mistakes */
    bool *warm;    /* parallel to instruments: guest.ready said yes */
    int failure;   /* enum error_code of what stopped it, 0 */
    char why[256];
    bool stop_asked;
    unsigned requests; /* in the callback that runs */

    struct bar_subscription subscriptions[SUBSCRIPTIONS_MAX];
    size_t subscription_count;
    struct timer *timers;
    size_t timer_count, timer_capacity;
    uint64_t bars_seen;
    struct text state;     /* body of the last RECORD_STATE, valid until the commit */
    bool touched;          /* called since its state was last asked for */
    size_t deliveries;     /* queued for it in this turn */
    struct stamp bound_at; /* of `bound`: what it has at stake in all its instruments */
    decimal bound;
    struct known_equity { /* as last computed */
        uint64_t event, money;
        decimal equity;
    } known;
};

/* Between questions that bring nothing new: 1, 2, 4 ... 60 s. */
static inline int64_t pause_ns(unsigned doublings)
{
    return (doublings < 6 ? INT64_C(1) << doublings : 60) * NS_PER_SECOND;
}

enum command_kind {
    COMMAND_SUBMIT,
    COMMAND_RESEND, /* the same order again, after the venue was asked */
    COMMAND_CANCEL,
    COMMAND_AMEND,
    COMMAND_QUERY,
    /* Nothing leaves, of orders that rest here (held.c): a new one, taken back like a submit, and
     * one that changed or ended, taken back like a cancel. */
    COMMAND_HOLD,
    COMMAND_HELD_CHANGE,
};
struct command {
    enum command_kind kind;
    uint64_t order_id;
    decimal qty, price;  /* AMEND: the whole new terms */
    struct order before; /* CANCEL, AMEND, HELD_CHANGE: to take it back when the callback fails */
    struct venue_query query; /* QUERY; its ids point into the order, or to "" */
    bool keeps; /* SUBMIT, RESEND: a way out; where the port cannot take it now it leaves later */
};

struct delivery {
    enum guest_call call;
    int instance;
    struct order order;
    struct fill fill;
    struct difference difference;
    char code[32];
    enum verdict verdict;
    uint32_t instrument;
};

/* One exit of a protected entry. */
struct exit_leg {
    decimal price;     /* trigger of a stop, limit of a take; DECIMAL_NONE: not wanted (any more) */
    uint64_t order_id; /* 0: not placed */
    uint64_t old_id;   /* what it takes the place of and that is to go, 0: nothing */
    decimal asked;     /* what was last asked to be left of it: 0 a cancel */
    decimal refused;   /* what the venue would not change it to: not asked for again at once */
    decimal told;      /* the last such that a person was told of */
    bool canceling;    /* by ourselves, not by the guest: it may be placed again */
    bool at_market;    /* the venue refused a trigger that is through already */
};

/* An order in doubt, and how far asking for it has come. */
struct inquiry {
    uint64_t order_id;
    uint64_t ticket; /* of the question under way, 0: none */
    int64_t asked_ns;
    int64_t next_ns; /* when to ask (again) */
    /* When the sending of what is in doubt ended, at the latest. Not the order's doubt_since_ns:
     * that one outlives a restart, and does not move when a cancel is refused during the doubt. */
    int64_t sent_ns;
    unsigned tries;     /* questions so far: the pause doubles */
    unsigned missing;   /* well-formed not-founds in a row */
    unsigned confirmed; /* times it was said to work with its old terms, after the grace */
    unsigned word;      /* what it last answered: while it says the same, the pause grows */
    bool ask_old;       /* of a replace that gives a new id: ask for the old one next */
    int64_t missing_ns; /* since when it was not found */
    bool was_seen;      /* the venue said once that it works */
    bool was_resent;
    bool is_unsent;   /* the port could not take it: it is sent, not asked for */
    bool insists;     /* on a cancel that was refused: what is asked next is planned */
    bool old_is_gone; /* of a replace that gives a new id: the old one was said to have ended */
};

enum reconcile_step {
    RECONCILE_IDLE,
    RECONCILE_ORDERS, /* the list of open orders was asked for */
    RECONCILE_ASKING, /* those it lacks are asked for one by one */
    RECONCILE_POSITIONS,
    RECONCILE_CASH,
    RECONCILE_FILLS, /* trades since the last one we know */
};

/* What a reconciliation has gathered so far. */
struct reconciliation {
    enum reconcile_step step;
    uint64_t ticket;     /* of the question under way */
    int64_t asked_ns;    /* when: silence is a failed step */
    int64_t next_ns;     /* when the next one begins; TIME_NEVER: not planned */
    uint64_t reports_at; /* engine->reports when the last one ended */
    uint64_t fence;      /* booked fills when positions were asked for */
    unsigned failures;   /* failed or repeated in a row: the pause doubles */
    unsigned repeats;    /* looks in a row during which a position moved */
    bool at_start;       /* the first after a start or a reconnect: new risk waits for it */
    bool is_second_read; /* a difference was seen, this is the look that confirms it */
    uint64_t *listed;    /* order ids that the list of open orders held */
    size_t listed_count, listed_capacity;
    uint64_t undead[UNDEAD_KEPT]; /* done orders that a list held once, a ring */
    size_t undead_next;
    bool is_odd; /* look again soon */
    int64_t began_ns;
    size_t missing_next; /* which order's missing trades are asked for next */
    decimal venue_qty[INSTRUMENTS_MAX], venue_price[INSTRUMENTS_MAX];
    decimal seen_own[INSTRUMENTS_MAX], seen_venue[INSTRUMENTS_MAX]; /* at the first read */
    bool differed[INSTRUMENTS_MAX];
    bool cash_said, cash_differed;
    struct cash_record cash;   /* what the venue says now; own: what our books say now */
    struct cash_record agreed; /* last agreed; amount DECIMAL_NONE: never */
};

/* Prices of one instrument, as mantissas, at or beyond which a held order may be concerned. */
struct held_watch {
    bool armed;                /* false: nothing is held, the rest says nothing */
    int64_t low, high;         /* of trades */
    int64_t bid_low, bid_high; /* of quotes: sells look at the bid, buys at the ask */
    int64_t ask_low, ask_high;
};

/* When an order whose time in force the venue does not know must be ended. */
struct expiry {
    uint64_t order_id;
    int64_t next_ns;
    bool is_asked; /* its cancel is for this: the order ends as expired */
};

/* Two orders that a strategy linked. */
struct pair {
    uint64_t group_id;
    uint64_t ids[2];
    decimal total[2]; /* what this order may fill while the other fills nothing */
    decimal asked[2]; /* what was last asked to be left of it: 0 a cancel; none: nothing */
    bool is_ours[2];  /* the change under way is ours, not the strategy's */
    bool again[2];    /* canceled to be placed anew for the rest: the venue changes no orders */
};

/* The exits of one protected entry. */
struct protection {
    uint64_t entry_id;
    int instance;
    uint32_t instrument;
    enum order_side side; /* of the entry */
    enum order_trigger stop_on;
    struct exit_leg stop, take;
    enum order_role
        firing; /* its price was reached; the other leaves the venue first. PLAIN: none */
    decimal entered_qty, exited_qty;
    bool is_entry_known; /* restored: the entry was told, and says which exits are wanted */
    char tag[TAG_MAX];
};

struct engine {
    struct engine_options options;
    const struct instruments *instruments;
    struct market *market;
    struct blotter *blotter;
    int64_t now_ns;
    int64_t started_ns;

    struct instance instances[INSTANCES_MAX];
    int instance_count;
    /* Who is called for a trade or quote of an instrument: rebuilt when guests change. */
    uint8_t *trade_callers[INSTRUMENTS_MAX];
    uint8_t *quote_callers[INSTRUMENTS_MAX];
    uint16_t trade_caller_count[INSTRUMENTS_MAX], quote_caller_count[INSTRUMENTS_MAX];

    /* the turn */
    struct record *records;
    size_t record_count, record_capacity;
    struct command *commands;
    size_t command_count, command_capacity;
    struct delivery *deliveries;
    size_t delivery_first, delivery_count, delivery_capacity; /* first..count are waiting */
    char **texts; /* of RECORD_ALERT and RECORD_HALT, freed after the commit */
    size_t text_count, text_capacity;
    int broken; /* the code of a commit that failed: nothing may leave any more; 0 */

    /* the venue's truth and ours */
    bool is_connected;
    uint64_t tickets;  /* questions asked: each has its own number */
    uint64_t reports;  /* order reports seen */
    uint64_t bookings; /* times that fills moved a position */
    struct inquiry *inquiries;
    size_t inquiry_count, inquiry_capacity;
    int64_t inquiries_due_ns;
    struct reconciliation reconciliation;
    int external;           /* the instance that holds what is nobody's, -1: none */
    int64_t fills_known_ns; /* trades before this are booked: the newest one's time */
    char last_exec_id[INSTRUMENTS_MAX][EXEC_ID_MAX];
    struct early_bust { /* of trades that had not come, a ring */
        uint32_t instrument;
        char exec_id[EXEC_ID_MAX];
    } early_busts[EARLY_BUSTS_KEPT];
    size_t early_bust_next;
    char strangers[STRANGERS_KEPT][VENUE_ORDER_ID_MAX]; /* told already, a ring */
    int64_t strangers_ns[STRANGERS_KEPT];               /* when */
    size_t stranger_next;
    int64_t strangers_flood_ns; /* when it was said that there are too many */
    struct halt instrument_halts[INSTRUMENTS_MAX];

    /* orders that rest here */
    struct held_watch held[INSTRUMENTS_MAX];
    struct expiry *expiries;
    size_t expiry_count, expiry_capacity;
    int64_t expiry_due_ns;
    int64_t trails_due_ns; /* when moved triggers are recorded */
    uint64_t slept;        /* held orders that the ledger gave back, until it was told */

    uint64_t *early_cancels; /* orders whose cancel was refused because they were not there yet */
    size_t early_cancel_count, early_cancel_capacity;
    struct pair *pairs;
    size_t pair_count, pair_capacity;

    struct protection *protections;
    size_t protection_count, protection_capacity;
    uint64_t filled_exit; /* whose siblings the venue reduces by itself, during its report */

    int64_t timers_due_ns;
    int64_t sessions_due_ns; /* the next border of any market; TIME_NEVER without calendars */

    /* figures */
    struct engine_counts counts;
    decimal gross_won, gross_lost, traded_notional;
    size_t unmarked;      /* restored holdings that wait for their first mark */
    int64_t next_mark_ns; /* the market second at which equity is judged next */
    double peak, max_drawdown;
    int64_t exposed_ns;
    double *daily;
    size_t daily_count, daily_capacity;
    int64_t day; /* UTC day number of the last mark */
    /* risk */
    bool is_dollar[INSTRUMENTS_MAX]; /* its money counts as the account's */
    struct known_equity known;       /* of the account */
    struct scope account;
    struct venue venues[VENUES_MAX];
    size_t venue_count;
    uint8_t venue_of[INSTRUMENTS_MAX];
    struct exposure *exposures; /* by instrument */
    /* Changes so far: of what orders have at stake, of positions, of stops that protect them. */
    uint64_t stakes, money, covers;
    size_t watching; /* scopes whose losses are limited */
    int64_t day_began_ns;
    int64_t day_end_ns; /* of the day that limits know; TIME_NEVER before the first event */
    bool day_is_news, peak_is_news; /* not in the ledger yet */
    struct text risk_text;          /* body of the last record of it */
    struct guards guards;
    struct volatility *volatility; /* NULL: no limit asks for it */
    int64_t hour;                  /* that market time is in */
    struct stamp heat_at;
    uint32_t unpriced; /* open orders that count without a price yet: exposure.c */
    struct rollout_record rollout;
    bool halted, halted_for_day; /* the day's loss ends with the day, other halts do not */
    bool is_stopping;            /* engine_stop was called: no new risk for nobody */
    enum stop_policy stopping;   /* of engine_stop */
    bool closes_all;             /* an emergency: what still fills is closed, too */
    bool cancels_all;            /* engine_cancel_everything was called */
    char halt_code[32], halt_reason[REASON_MAX];
    struct told_verdict *verdicts; /* a ring of VERDICTS_KEPT */
    size_t verdict_next;
    bool open_position_seen; /* any position open: equity must be marked */
};

/* ---- turn.c ---- */
struct record *turn_record(struct engine *engine, enum record_kind kind, int instance,
                           uint32_t instrument);
void turn_record_order(struct engine *engine, struct order *order);
void turn_command(struct engine *engine, const struct command *command);
struct delivery *turn_deliver(struct engine *engine, enum guest_call call, int instance,
                              uint32_t instrument);
void turn_say(struct engine *engine, enum record_kind kind, int instance, const char *name,
              const char *text);
void turn_alert(struct engine *engine, int instance, const char *kind /* a literal */,
                const char *text);
/* Where a turn stands, before something that may have to be undone. */
struct turn_mark {
    size_t records, commands, deliveries;
    struct engine_counts counts;
    bool halted, halted_for_day;
};
struct turn_mark turn_mark(const struct engine *engine);
/* Takes back what was asked for since the mark, newest first. */
void turn_take_back(struct engine *engine, const struct turn_mark *mark);
/* Calls one guest function as a transaction: when it fails, what it asked for is taken back and the
 * instance is stopped by its policy. False when it failed. */
bool turn_call(struct engine *engine, int instance, enum guest_call call,
               const struct guest_event *event);
/* Callbacks until quiet, then commit, then send. ERROR_IO, ERROR_INTERNAL from the ledger. */
MUST_CHECK int turn_finish(struct engine *engine, struct error *err);
static inline bool turn_is_idle(const struct engine *engine)
{
    return engine->delivery_count == 0 && engine->record_count == 0 && engine->command_count == 0;
}

/* ---- engine.c ---- */
static inline const struct instrument *instrument_at(const struct engine *engine, uint32_t index)
{
    return &engine->instruments->list[index];
}
void instance_fail(struct engine *engine, int instance, int code, const char *why);
int instance_of_order(const struct engine *engine, const struct order *order); /* -1: none */
size_t holding_index(const struct instance *instance,
                     uint32_t instrument); /* SIZE_MAX: not its own */
struct holding *instance_holding(struct engine *engine, int instance, uint32_t instrument);

/* ---- reports.c ---- */
void report_apply(struct engine *engine, uint32_t instrument, const struct report *report);
void report_apply_to(struct engine *engine, struct order *order, const struct report *report);
/* What we changed of an order ourselves: recorded and told. */
void report_changed(struct engine *engine, struct order *order);
void report_ended(struct engine *engine, struct order *order); /* it was open before */
void report_alert(struct engine *engine, const struct order *order, const char *kind,
                  const char *what);

/* ---- doubt.c ---- */
/* After any report on an order: doubt that began or ended, and answers to what was asked. */
void doubt_follow(struct engine *engine, struct order *order, const struct report *report,
                  int change);
/* Before a report is applied: what it means for an order that was sent twice. */
void doubt_read(struct engine *engine, const struct order *order, struct report *report);
/* Asks for an order from now on until the doubt is over. */
void doubt_begin(struct engine *engine, struct order *order);
/* It could not be sent, and is wanted all the same: tried again, later and later, for ever. */
void doubt_unsent(struct engine *engine, struct order *order);
/* Its cancel was refused and is wanted all the same: sent again, later and later, for ever. */
void doubt_insist(struct engine *engine, struct order *order);
/* All trades of one order, by its name: the venue's clock may not be ours. */
void doubt_ask_for_trades(struct engine *engine, const struct order *order);
/* Everything that is under way is in doubt: a restart, a lost line. */
void doubt_all_in_flight(struct engine *engine);
/* Now, for those that were not found so far. */
void doubt_ask_all(struct engine *engine);
void doubt_answer(struct engine *engine, const struct answer_event *answer);
/* An order, cancel or amend has left: its answer is waited for. */
void doubt_sent(struct engine *engine, const struct order *order);
int64_t doubt_due_ns(const struct engine *engine);
void doubt_advance(struct engine *engine);

/* ---- strangers.c ---- */
void strangers_report(struct engine *engine, uint32_t instrument, const struct report *report);

/* ---- reconcile.c ---- */
void reconcile_begin(struct engine *engine, bool at_start); /* now; ends one under way */
void reconcile_soon(struct engine *engine);                 /* something is odd: within 5 s */
void reconcile_stop(struct engine *engine);                 /* the line is down */
void reconcile_follow(struct engine *engine, const struct report *report);
void reconcile_position(struct engine *engine, uint32_t instrument,
                        const struct position_event *position);
void reconcile_cash(struct engine *engine, const struct cash_event *cash);
void reconcile_answer(struct engine *engine, const struct answer_event *answer);
int64_t reconcile_due_ns(const struct engine *engine);
void reconcile_advance(struct engine *engine);

/* ---- halts.c ---- */
/* Nothing new in this instrument; its entries are canceled, exits stay. */
void halts_instrument(struct engine *engine, uint32_t instrument, const char *code,
                      const char *reason);
/* One that was set before since_ns. */
void halts_lift_instrument(struct engine *engine, uint32_t instrument, int64_t since_ns,
                           const char *by);
/* Nothing new at all. `code` a stable name, `text` for a person. */
void halts_session(struct engine *engine, int instance, const char *code, const char *text,
                   bool for_day);
/* Whatever it is for. */
void halts_lift_session(struct engine *engine, const char *by);
/* A halt for the day is over with it. */
void halts_lift_day(struct engine *engine);
/* Nothing new in a scope until the day ends; its entries are canceled. */
/* After a restart: what a halt that was restored is about does not go on working. */
void halts_enforce(struct engine *engine);
void halts_scope(struct engine *engine, struct scope *scope, const char *code, const char *reason);
void halts_lift_scope(struct engine *engine, struct scope *scope, const char *by);
/* Whether one of the scopes that the order falls into is halted. */
bool halts_of_scopes(struct engine *engine, const struct order *order);
/* Why a new order of the instance that adds risk may not leave now; NULL: no halt is in its way. */
const char *halts_why(struct engine *engine, int instance, uint32_t instrument, const char **code);

/* ---- sessions.c ---- */
/* Of the instrument; NULL: always open. */
const struct calendar *sessions_calendar(const struct engine *engine, uint32_t instrument);
void sessions_begin(struct engine *engine, int64_t now_ns); /* the first instant is known */
void sessions_advance(struct engine *engine);               /* one is due */

/* ---- held.c ---- */
bool held_is_stop(enum order_type type); /* has a trigger */
/* What a stop becomes when it fires: MARKET or LIMIT; other types stay. */
enum order_type held_fired_type(enum order_type type);
/* The venue cannot hold this type: a stop that the engine emulates. */
bool held_is_needed(const struct engine *engine, const struct order *order);
/* The venue cancels the others of its group by itself when it fills. */
bool held_is_linked(const struct engine *engine, const struct order *order);
/* The order as the venue must see it: itself, or *form without what the venue does not know. */
const struct order *held_form(const struct engine *engine, const struct order *order,
                              struct order *form);
/* The price that stands is beyond what it waits for. */
bool held_is_through(const struct engine *engine, const struct order *order);
/* First trigger of a trailing stop, where there is a price. False: it is not above zero. */
bool held_trail_begin(struct engine *engine, struct order *order);
/* An order in the blotter begins to rest here, changes, or ends: recorded, told, taken back with
 * the callback. */
void held_begin(struct engine *engine, struct order *order);
void held_amend(struct engine *engine, struct order *order, decimal qty, decimal price);
void held_end(struct engine *engine, struct order *order, enum order_status status,
              const char *reason);
/* After the commit of such a change. */
void held_settle(struct engine *engine, const struct command *command);
/* To the venue: as it is, or as what it becomes when it fires, if it may leave. */
void held_release(struct engine *engine, struct order *order);
void held_fire(struct engine *engine, struct order *order);
void held_watch(struct engine *engine, const struct order *order);
void held_meet_trade(struct engine *engine, uint32_t instrument, int64_t price);
void held_meet_quote(struct engine *engine, uint32_t instrument, const struct quote_event *quote);
void held_meet_bar(struct engine *engine, uint32_t instrument, const struct bar_event *bar);
static inline void held_trade(struct engine *engine, uint32_t instrument, int64_t price)
{
    const struct held_watch *watch = &engine->held[instrument];
    if (watch->armed && (price <= watch->low || price >= watch->high))
        held_meet_trade(engine, instrument, price);
}
static inline void held_quote(struct engine *engine, uint32_t instrument,
                              const struct quote_event *quote)
{
    const struct held_watch *watch = &engine->held[instrument];
    if (watch->armed && (quote->bid <= watch->bid_low || quote->bid >= watch->bid_high ||
                         quote->ask <= watch->ask_low || quote->ask >= watch->ask_high))
        held_meet_quote(engine, instrument, quote);
}
static inline void held_bar(struct engine *engine, uint32_t instrument, const struct bar_event *bar)
{
    if (engine->held[instrument].armed)
        held_meet_bar(engine, instrument, bar);
}
/* When it ends by its time in force; TIME_NEVER: it does not. */
int64_t held_expiry_ns(const struct engine *engine, const struct order *order);
void held_note_expiry(struct engine *engine, const struct order *order);
/* The end of a cancel that was for its time in force is an expiry. */
void held_name_end(const struct engine *engine, const struct order *order, struct report *report);
int64_t held_due_ns(const struct engine *engine);
void held_advance(struct engine *engine);
void held_restore(struct engine *engine, const struct order *order);
void held_awake(struct engine *engine); /* says how many slept, once */

/* ---- pairs.c ---- */
void pairs_begin(struct engine *engine, const uint64_t ids[2]);
void pairs_follow(struct engine *engine, const struct order *before, const struct order *order,
                  decimal booked_qty);
void pairs_restore(struct engine *engine, const struct order *order);
void pairs_try_again(struct engine *engine); /* after the books were compared */

/* ---- exits.c ---- */
/* A held exit's price was reached. */
void exits_reached(struct engine *engine, struct order *order);
/* After any report on an order; booked_qty is what the report filled, or zero. */
void exits_follow(struct engine *engine, const struct order *before, const struct order *order,
                  decimal booked_qty);
/* A guest cancels an exit: what its entry fills later gets none either, after a restart too. */
void exits_abandon(struct engine *engine, struct order *order);
void exits_sync(struct engine *engine, int instance, uint32_t instrument);
/* Changes that were refused may be asked for again. */
void exits_try_again(struct engine *engine);
int exits_restore(struct engine *engine, const struct order *order, struct error *err);

/* ---- stops.c ---- */
void stops_sync(struct engine *engine); /* when a turn ends */
void stops_follow(struct engine *engine, const struct order *order, const struct report *report);

/* ---- desk.c ---- */
#define GROUP_OWN UINT64_MAX /* desk_place: the first order of a group, which bears its id */
/* After any report on an order: a cancel that came too early, or must not be refused. */
void desk_follow(struct engine *engine, const struct order *before, struct order *order,
                 const struct report *report);
uint64_t desk_place(struct engine *engine, int instance,
                    struct order *order); /* no gate: exits, close-outs */
bool desk_cancel(struct engine *engine, struct order *order);
/* The cancel alone, at the end of the turn: again, or of an order that is done here. */
void desk_send_cancel(struct engine *engine, const struct order *order);
bool desk_amend(struct engine *engine, struct order *order, decimal qty, decimal price);
void desk_stop_orders(struct engine *engine, int instance, enum stop_policy policy);
bool desk_ends_with(const struct order *order, enum stop_policy policy);
/* Its cancel is no strategy's wish, which may change: a halt, a stop or an adoption ends it. */
bool desk_must_go(struct engine *engine, const struct order *order);
/* What is left for this order to reduce of the instance's own position. */
decimal desk_reducible(struct engine *engine, int instance, const struct order *order);
/* Asks the venue; sent at the end of the turn. Returns the ticket. */
uint64_t desk_query(struct engine *engine, const struct venue_query *query);
/* Fills *refusal; always false. */
bool desk_refuse(struct refusal *refusal, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* ---- gate.c ---- */
decimal gate_reference_price(const struct engine *engine, uint32_t instrument,
                             enum order_side side);
/* Money the instance has bound in its other instruments, worse side. */
decimal gate_exposure_others(struct engine *engine, struct instance *instance, uint32_t except);
/* A new order: true, its quantity lowered where that is enough; or false and *refusal. `beside`: an
 * order that will work beside it and is not in the blotter yet, or NULL. */
bool gate_pass(struct engine *engine, int instance, struct order *order, const struct order *beside,
               struct refusal *refusal);
/* Orders of one group that the venue links: at most one of them fills. */
bool gate_may_link(const struct engine *engine, const struct order *a, const struct order *b);
/* New terms of an order: what asks for more passes like a new order of what would then be left. */
bool gate_amend(struct engine *engine, int instance, struct order *order, decimal qty,
                decimal price, struct refusal *refusal);
/* Whether a held order may leave now: through the gate like a new one, its quantity lowered where
 * that is enough. False and *why. */
bool gate_may_leave(struct engine *engine, struct order *order, char why[REASON_MAX]);
/* The rest of an order that was canceled to be smaller: like a new one. False and *why. */
bool gate_pass_rest(struct engine *engine, int instance, struct order *order, char why[REASON_MAX]);
/* Whether an order that never arrived would pass the gate now. */
bool gate_passes_again(struct engine *engine, struct order *order);
void gate_record_blocked(struct engine *engine, int instance, const struct order *order,
                         const char *code);

/* ---- operator.c ---- */
void operator_note_verdict(struct engine *engine, const struct told_verdict *verdict);

/* ---- targets.c ---- */
/* Signed quantity of the instance's market orders under way: they will be position soon. */
decimal targets_under_way(const struct engine *engine, int instance, uint32_t instrument);
/* Ends `qty` of the instance's position by a market order; what is held bounds it. */
void targets_flatten(struct engine *engine, int instance, uint32_t instrument, decimal qty);

/* ---- totals.c ---- */
void totals_begin(struct engine *engine, int64_t now_ns);
void totals_mark(struct engine *engine, int64_t now_ns); /* the clock is about to reach now_ns */
void totals_fill(struct engine *engine, const struct order *order, const struct fill *fill,
                 bool first_of_order);
void totals_trip(struct engine *engine, const struct trip *trip);
/* Account currency per unit of the instrument's: 1 for dollars of any kind, else the mark of an
 * instrument that quotes it. DECIMAL_NONE: there is no rate. */
decimal totals_fx(const struct engine *engine, uint32_t instrument);
void totals_open(struct engine *engine);
/* Of one holding, account currency: realized and unrealized, less fees, plus funding. */
decimal totals_earned(const struct engine *engine, const struct instance *instance, size_t holding);
/* engine_equity, computed once an event. */
decimal totals_equity(struct engine *engine, int instance);
decimal totals_account_equity(struct engine *engine);

/* ---- scopes.c ---- */
void scopes_open(struct engine *engine); /* the account, venues and symbols */
void scopes_add_instance(struct engine *engine, struct instance *instance,
                         const struct risk_limits *limits);
void scopes_close(struct engine *engine);
void scope_set_limits(struct engine *engine, struct scope *scope, const struct risk_limits *limits);
/* Those that an order of the instance in the instrument falls into. */
void scopes_of(struct engine *engine, int instance, uint32_t instrument,
               struct scope *list[SCOPES]);
decimal scope_equity(struct engine *engine, struct scope *scope);
struct scope *scope_find(struct engine *engine, const char *key); /* NULL: there is none */
bool scopes_watch_loss(const struct engine *engine);              /* any of them */
void scopes_lift_all(struct engine *engine, const char *by);
/* A message about this order is asked for: it counts for the rate; or is taken back. */
void scopes_message(struct engine *engine, const struct order *order);
void scopes_take_message_back(struct engine *engine, const struct order *order);
/* With `more` that will be counted before this one. */
bool scope_rate_is_reached(const struct scope *scope, int64_t now_ns, uint32_t more);
void scopes_begin(struct engine *engine, int64_t now_ns); /* what it begins with is known */
void scopes_mark(struct engine *engine, int64_t now_ns);  /* each market second: the day's border */
/* A loss has reached its limit: the session halts, or this scope until the day ends. */
void scopes_lose(struct engine *engine, int instance, struct scope *scope,
                 const struct risk_verdict *verdict);
void scopes_judge(struct engine *engine); /* losses: at fills and market seconds */
void scopes_fill(struct engine *engine, const struct order *order, decimal worth, bool is_trade);
void scopes_write(struct engine *engine, struct text *out);

/* ---- portfolio_risk.c ---- */
void portfolio_open(struct engine *engine); /* when limits are known, and whenever they change */
void portfolio_close(struct engine *engine);
/* What all positions and entries of a scope lose when every stop is hit, account currency. */
decimal portfolio_heat(struct engine *engine, const struct scope *scope);
/* Of what is held and, of the instrument asked about always, else with_orders, of what is at work.
 * NULL: there is no estimate. */
const struct volatility_book *portfolio_book(struct engine *engine, struct scope *scope,
                                             uint32_t instrument, bool with_orders);
void portfolio_hour(struct engine *engine, int64_t now_ns);
/* The close of an hour that ended at end_ns, from history. */
void portfolio_price(struct engine *engine, uint32_t instrument, int64_t end_ns, double price);

/* ---- rollout_watch.c ---- */
struct json;
struct json_writer;
void rollout_watch_answer(struct engine *engine, bool good); /* a request was answered, or not */
void rollout_watch_report(struct engine *engine, const struct order *before, struct order *order,
                          const struct report *report);
void rollout_watch_breaker(struct engine *engine);
void rollout_watch_critical(struct engine *engine); /* a halt, a failed strategy */
/* A session or a day begins. */
void rollout_watch_day(struct engine *engine, int64_t now_ns);
void rollout_watch_write(const struct engine *engine, struct json_writer *writer);
MUST_CHECK int rollout_watch_read(struct engine *engine, const struct json *root,
                                  struct error *err);

/* ---- guards.c ---- */
void guards_open(struct engine *engine);
void guards_close(struct engine *engine);
/* Why an order that adds risk may not leave now; NULL: it may. */
const char *guards_why(struct engine *engine, uint32_t instrument, const char **code);
/* Why nothing but one new order may leave: a breaker is half open. NULL: more may. */
const char *guards_probing(struct engine *engine, uint32_t instrument, const char **code);
void guards_frame(struct engine *engine); /* anything was heard */
void guards_tick(struct engine *engine, uint32_t instrument);
/* What the breakers learn: an answer, none, "slow down", a line that was lost, an order that left.
 */
void guards_report(struct engine *engine, const struct order *before, const struct report *report);
void guards_silence(struct engine *engine, const struct order *order);
void guards_slow_down(struct engine *engine, uint32_t instrument, int64_t for_ns, const char *why);
void guards_line_down(struct engine *engine, const char *why);
void guards_sent(struct engine *engine, const struct order *order);
/* Its breaker opened after it was asked for, and it adds risk. */
bool guards_overtook(struct engine *engine, const struct order *order);
void guards_take_back(struct engine *engine, const struct order *order); /* it never left */
/* Executions and equal orders that repeat halt the session. True: this order did it. */
void guards_fill(struct engine *engine, int instance, uint32_t instrument);
bool guards_repeats(struct engine *engine, int instance, const struct order *order);
/* An order of ours that this one would trade with; NULL: none. */
const struct order *guards_own_order(struct engine *engine, const struct order *order);
/* Cancels what adds risk and would be met by this way out. */
void guards_clear_way(struct engine *engine, const struct order *order);
void guards_write(const struct engine *engine, struct json_writer *writer);
void guards_read(struct engine *engine, const struct json *root);

/* ---- exposure.c ---- */
/* An order may have changed; a position may have. */
void exposure_follow(struct engine *engine, struct order *order);
void exposure_forget(struct engine *engine, uint64_t order_id);
/* Orders that a restart found before there was a price count as soon as there is one. */
void exposure_price_all(struct engine *engine);
void exposure_follow_position(struct engine *engine, int instance, uint32_t instrument);
/* What an order would count for, were it placed. */
struct stake exposure_stake(const struct engine *engine, const struct order *order);
/* The highest price of open orders in the instrument that add risk; DECIMAL_NONE without. */
decimal exposure_price(struct engine *engine, uint32_t instrument);
/* Of all instances together; of one instance's k-th instrument. Valid until something changes. */
const struct worth *exposure_worth(struct engine *engine, uint32_t instrument);
const struct worth *exposure_worth_of(struct engine *engine, struct instance *instance, size_t k);
static inline struct stamp stamp_now(const struct engine *engine)
{
    return (struct stamp){ engine->counts.events, engine->money, engine->stakes };
}
static inline bool stamp_holds(const struct stamp *stamp, const struct engine *engine)
{
    return stamp->event == engine->counts.events && stamp->money == engine->money &&
           stamp->stakes == engine->stakes;
}

#endif
