/* ports.h - what the outside must fill: the only way the engine touches the world.
 *
 * Every port is a struct of functions with a `void *self`. The engine never includes a filler.
 * Thread: all calls are the engine thread's. Memory passed in is the caller's, for the call. */
#ifndef RUNTIME_ENGINE_PORTS_H
#define RUNTIME_ENGINE_PORTS_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"
#include "runtime/base/text.h"
#include "runtime/domain/event.h"
#include "runtime/domain/instrument.h"
#include "runtime/domain/order.h"
#include "runtime/domain/portfolio.h"

/* ---- market data: where events come from ------------------------------------------------ */

/* Events in time order. Two fillers: recorded files (research/) and the synthetic market (sim/). */
struct feed_port {
    void *self;
    /* The next event's time without taking it; TIME_NEVER at the end. */
    int64_t (*next_ns)(void *self);
    /* Takes the next event: 1 taken, 0 at the end, negative on failure (bad row, read error). */
    int (*next)(void *self, struct event *event, struct error *err);
    void (*close)(void *self);
};

/* ---- a venue ----------------------------------------------------------------------------- */

/* Where a venue's events go: a queue that the driver drains between two engine steps. */
struct event_sink {
    void *self;
    void (*put)(void *self, const struct event *event); /* copies the event and its report */
};

enum amend_kind {
    AMEND_NONE,
    AMEND_IN_PLACE, /* qty and price of a resting order; it keeps its client order id */
    AMEND_NEW_ID,   /* the replaced order is known by a new client order id (FIX style) */
};

struct venue_abilities {
    unsigned types;   /* 1 << enum order_type: those it can hold; the engine emulates the others */
    unsigned tifs;    /* 1 << enum order_tif: DAY and GTD are emulated, IOC and FOK cannot be */
    bool oco;         /* orders of one group_id: a fill of one cancels the others, at the venue */
    bool reduce_only; /* enforced at the venue per instance */
    enum amend_kind amend;
    bool post_only;
    bool cash_is_spot; /* a trade moves cash by its notional; else by what closing earned */
    /* An answer to submit, amend or cancel that is not there after so long is in doubt. TIME_NEVER:
     * it always answers (a simulated venue in this process). */
    int64_t answer_within_ns;
};

enum venue_query_kind {
    QUERY_BARS,        /* instrument, to_ns, tf_ns, limit -> EVENT_BAR, is_history */
    QUERY_ORDER,       /* instrument, client_order_id (the current one), venue_order_id ("": not
                          known) -> one REPORT_STATUS or REPORT_NOT_FOUND */
    QUERY_OPEN_ORDERS, /* -> a REPORT_STATUS each, all instruments, ours or not */
    QUERY_FILLS,       /* instrument (INSTRUMENT_NONE: all), from_ns, client_order_id ("": all) ->
                          a REPORT_FILL each, those that are booked already too */
    QUERY_POSITIONS,   /* -> an EVENT_POSITION each */
    QUERY_BALANCES,    /* -> an EVENT_CASH each */
};
struct venue_query {
    enum venue_query_kind kind;
    uint64_t ticket; /* echoed in each event of the answer, and in the EVENT_ANSWER that ends it */
    uint32_t instrument;
    const char *client_order_id, *venue_order_id;
    int64_t from_ns;      /* fills of this instant or later */
    int64_t to_ns, tf_ns; /* bars that ended at or before to_ns, oldest first ... */
    uint64_t limit;       /* ... at most so many */
};

/* Nothing here answers synchronously: an int says only that the request was taken (0) or cannot be
 * (negative, *err). Every answer is an event put into the sink. A request whose outcome is not
 * known (time-out, 5xx, unreadable, line lost after it was sent) is answered by REPORT_DOUBT; a
 * query that failed by EVENT_ANSWER with complete = false: then nothing is known, least of all
 * "flat".
 *
 * The order given to submit, amend and cancel has the form that the venue knows (held_form). Where
 * its abilities lack something that is a copy of ours: a stop that fired is `market` or `limit`
 * without a trigger, `day` and `gtd` are `gtc` (the engine cancels at the end), and group_id is 0
 * where the venue does not link that group. An order that rests in the engine is never given. */
struct venue_port {
    void *self;
    const struct venue_abilities *(*abilities)(void *self, uint32_t instrument);
    int (*submit)(void *self, const struct order *order, int64_t now_ns,
                  struct error *err); /* intent is already durable */
    /* order->pending_client_order_id is the new id at a venue with AMEND_NEW_ID. */
    int (*amend)(void *self, const struct order *order, decimal qty, decimal price, int64_t now_ns,
                 struct error *err);
    int (*cancel)(void *self, const struct order *order, int64_t now_ns, struct error *err);
    int (*query)(void *self, const struct venue_query *query, int64_t now_ns, struct error *err);
    int64_t (*due_ns)(void *self); /* next instant it wants to be stepped, TIME_NEVER for none */
    void (*advance)(void *self, int64_t now_ns); /* emits what is due at now_ns, in order */
    /* A simulated venue matches against market events before the engine; NULL otherwise. */
    void (*market)(void *self, const struct event *event);
    /* A simulated venue gets back what rested there before a restart; NULL otherwise. */
    int (*restore)(void *self, const struct order *order, struct error *err);
    void (*close)(void *self);
};

/* ---- the ledger: one transaction a turn, before anything leaves ------------------------- */

enum record_kind {
    RECORD_ORDER,      /* an order changed status or terms: `order`; `status_before` */
    RECORD_FILL,       /* a fill was booked on `order`: rows of one order add up, reversals off */
    RECORD_BLOCKED,    /* risk or validation blocked a request: `order` as asked, reason in it */
    RECORD_REDUCED,    /* risk lowered a request to `allowed`: `order` as asked, reason in it */
    RECORD_TRIP,       /* a round trip ended */
    RECORD_POSITION,   /* `position` of (instance_id, instrument) after this turn */
    RECORD_STATE,      /* ctx.state of an instance: `body` */
    RECORD_HALT,       /* `name` the scope ("session" or SYMBOL), `body` JSON: code, reason; or
                          lifted_by */
    RECORD_JOURNAL,    /* from outside: reload, control, budget stop; `name`, `body` */
    RECORD_ALERT,      /* `name` its kind ("late_fill", ...), `body` */
    RECORD_ADJUSTMENT, /* reconciliation changed a position: `adjustment` */
    RECORD_CASH,       /* cash as last agreed with the venue: `cash` */
};

/* A position made equal to the venue's. The id is a hash over what was seen, so that the same
 * difference seen twice is one adjustment. */
struct adjustment {
    char id[SHA256_TEXT_MAX];
    decimal qty_before, qty_after; /* of the instance */
    decimal venue_qty;
    decimal price; /* at which the difference was booked */
    char reason[REASON_MAX];
};

/* What the venue said, and what our own books (realized - fees + funding, of all instances; at a
 * spot venue less what is bound in positions) said then: later differences are told from both. */
struct cash_record {
    char currency[16];
    decimal amount, own;
};

struct record {
    enum record_kind kind;
    uint32_t instance_id;
    uint32_t instrument;
    union {
        struct {
            struct order order;
            struct fill fill; /* RECORD_FILL */
            char code[32];    /* RECORD_BLOCKED, RECORD_REDUCED: risk's reason code */
            decimal allowed;  /* RECORD_REDUCED */
        };
        struct trip trip;
        struct position position;
        struct adjustment adjustment;
        struct cash_record cash;
        struct {
            const char *name; /* RECORD_JOURNAL: what happened */
            const char *body; /* JSON text; valid during commit */
            size_t body_length;
        };
    };
};

struct turn {
    int64_t time_ns; /* market time of the turn */
    uint64_t event;  /* number of the event that began it */
    const struct record *records;
    size_t count;
};

struct ledger_port {
    void *self;
    /* All of it or nothing. ERROR_IO: trading must stop, nothing of the turn may leave.
     * ERROR_INTERNAL while replaying: the turn is not what was recorded. */
    int (*commit)(void *self, const struct turn *turn, struct error *err);
    /* The next order id and the client order id that goes with it, unique over restarts. */
    uint64_t (*next_order_id)(void *self, char client_order_id[CLIENT_ORDER_ID_MAX]);
    /* Another client order id of the same kind, for a replace at a venue that renames orders. */
    void (*next_client_order_id)(void *self, char client_order_id[CLIENT_ORDER_ID_MAX]);
    /* True when the id was made by this ledger, whether it still knows the order or not. */
    bool (*is_ours)(void *self, const char *client_order_id);
    /* An order of this ledger by any of its client order ids, finished ones too: true and *order.
     */
    bool (*find_order)(void *self, const char *client_order_id, struct order *order);
    /* Whether this execution is booked: BOOKED_NOT, BOOKED_YES or BOOKED_REVERSED of struct report.
     * *fill (may be NULL) is what was booked, order_id (may be NULL) on which order. */
    int (*find_fill)(void *self, uint32_t instrument, const char *exec_id, struct fill *fill,
                     uint64_t *order_id);
};

/* ---- a guest: one instance of a strategy ------------------------------------------------- */

enum guest_call {
    GUEST_START,
    GUEST_STOP,
    GUEST_TRADE,
    GUEST_QUOTE,
    GUEST_BAR,
    GUEST_ORDER,
    GUEST_FILL,
    GUEST_REJECT,
    GUEST_POSITION,
    GUEST_TIMER,
    GUEST_RISK,
    GUEST_RELOAD,
    GUEST_PARAMS,
    GUEST_CONNECTION,
    GUEST_RECONCILE,
    GUEST_SESSION,
    GUEST_CALLS
};

/* What reconciliation found and did. */
struct difference {
    uint32_t instrument; /* INSTRUMENT_NONE: cash */
    decimal own, venue;
    const char *action; /* "halt", "block", "adjust" */
};

/* What a callback is about; only the members of its call are set. Valid during the call. */
struct guest_event {
    int64_t time_ns;
    uint32_t instrument;
    const struct event *market;          /* TRADE, QUOTE */
    const struct bar *bar;               /* BAR */
    const struct order *order;           /* ORDER, FILL, REJECT, RISK */
    const struct fill *fill;             /* FILL */
    const struct position *position;     /* POSITION */
    const struct difference *difference; /* RECONCILE */
    const char *name;    /* TIMER: its name; STOP, REJECT, RISK: the reason; RELOAD: old version;
                            CONNECTION: "up", "down"; SESSION: "open", "closed" */
    const char *code;    /* RISK: reason code */
    const char *verdict; /* RISK: "reduce", "block", "halt" */
};

struct guest {
    void *self;
    unsigned calls; /* 1 << enum guest_call with a function behind it */
    /* Runs the callback. Negative: it failed or overran its budget (*err says where and why); its
     * changes to ctx.state are undone already and it will not be called again. */
    int (*call)(void *self, enum guest_call call, const struct guest_event *event,
                struct error *err);
    /* ctx.state as JSON when it changed since the last time this was asked: true and *body is
     * filled. The engine asks when a turn commits, and once a second. */
    bool (*state)(void *self, struct text *body);
    /* All series made in on_start have their values (per instrument of the instance). */
    bool (*ready)(void *self, uint32_t instrument);
    void (*close)(void *self);
};

#endif
