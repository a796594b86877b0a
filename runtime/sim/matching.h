/* matching.h - the inside of the paper venue: its orders, its books, and what may fill them.
 *
 * paper.c carries requests and reports and keeps the accounts; matching.c looks at market data and
 * decides who is filled, how much and at which price; recall.c answers queries. Only these three
 * include this file.
 *
 * Prices are compared as mantissas at the instrument's scale; decimals appear where an order is
 * really filled. */
#ifndef RUNTIME_SIM_MATCHING_H
#define RUNTIME_SIM_MATCHING_H

#include "runtime/sim/paper.h"

#define NOBODY UINT32_MAX /* no slot */

enum stage {
    STAGE_FREE,
    STAGE_TRAVELLING, /* submitted, not there yet */
    STAGE_TAKING,     /* takes at the next price: market orders, IOC and FOK without a price yet */
    STAGE_RESTING,    /* a limit in the book */
    STAGE_ARMED,      /* a stop that waits for its trigger */
};

struct paper_order {
    enum stage stage;
    uint64_t sequence;       /* place in the queue; changes when it goes to the back */
    uint32_t next, previous; /* of its book, in order of sequence */
    char client_order_id[CLIENT_ORDER_ID_MAX];
    char venue_order_id[VENUE_ORDER_ID_MAX];
    uint64_t order_id, group_id, parent_order_id;
    uint32_t instance_id, instrument;
    enum order_side side;
    enum order_type type;
    enum order_tif tif;
    enum order_trigger stop_on;
    enum order_role role;
    bool reduce_only, post_only;
    bool is_triggered; /* a stop that has become a market or limit order */
    bool is_new;       /* no bar has been held against it yet */
    bool is_doomed;    /* its group was filled while it travelled */
    bool is_restated;  /* its group was filled in part while it travelled */
    bool price_exact;  /* price_m is the price; else it is the next worse mantissa */
    bool ahead_known;
    decimal qty, filled;
    decimal notional; /* of what is filled: sum of price x quantity */
    decimal price, trigger;
    int64_t price_m, trigger_m;
    decimal trail;        /* of a trailing stop: its distance from best_m, or its share */
    bool trail_is_share;  /* of the price */
    int64_t best_m;       /* the best price since it arrived, 0 before the first */
    bool is_looking_back; /* restored: what was best before the restart is not known yet */
    decimal ahead;        /* quantity of others in front of it at its price */
    int64_t arrival_ns, expires_ns;
    uint64_t pass; /* of the sweep that looked at it last */
};

/* One instance's holding in one instrument. */
struct account {
    uint32_t instance_id;
    decimal position;  /* signed */
    uint64_t entry_id; /* the order without a role that a bar filled last, and when */
    int64_t entry_ns;
};

/* The finest market data that an instrument has shown; coarser data no longer fill. */
enum source { SOURCE_NONE, SOURCE_BAR, SOURCE_TRADE, SOURCE_QUOTE };

struct book {
    const struct instrument *instrument;
    enum source source;
    uint32_t first, last; /* orders */
    uint32_t count;
    int64_t watch_low, watch_high; /* prices strictly between concern no order */
    struct quote_event quote;      /* standing, once source is SOURCE_QUOTE */
    int64_t last_price;            /* of a trade; 0 before the first */
    bool is_touched;               /* something of the standing quote is taken */
    bool is_telling;               /* a bar is being told */
    bool is_late;                  /* orders arrived inside the bar already told */
    decimal bid_taken, ask_taken;  /* by our fills, of the standing quote */
    int64_t tick_m;                /* one tick, at least 1 */
    struct bar_event bar;          /* the last one, once source is SOURCE_BAR */
    int64_t bar_end_ns;
    struct account *accounts;
    size_t account_count, account_capacity;
};

enum request_kind { REQUEST_SUBMIT, REQUEST_AMEND, REQUEST_CANCEL, REQUEST_QUERY };

struct request {
    int64_t arrival_ns;
    uint64_t sequence;
    enum request_kind kind;
    enum venue_query_kind query;
    uint32_t instrument;
    uint32_t slot; /* of a submit */
    char client_order_id[CLIENT_ORDER_ID_MAX];
    char venue_order_id[VENUE_ORDER_ID_MAX];
    decimal qty, price;
    uint64_t ticket, limit;
    int64_t from_ns, to_ns, tf_ns;
};

/* A fill as it was told. */
struct told_fill {
    uint32_t instrument;
    enum order_side side;
    char client_order_id[CLIENT_ORDER_ID_MAX];
    char venue_order_id[VENUE_ORDER_ID_MAX];
    struct fill fill;
};

/* How an order stood at its end. */
struct ended_order {
    struct paper_order order;
    enum order_status status;
};

/* The newest `most` of something, the others forgotten. */
struct ring {
    void *list;
    size_t size, most; /* of one, in bytes; how many are kept */
    size_t count, capacity, next;
};

struct map;
struct paper {
    struct paper_options options;
    char exec_prefix[EXEC_ID_MAX - 24];
    uint64_t next_exec, next_sequence, pass;
    int64_t told_ns;   /* no event goes out with an earlier time */
    int64_t expiry_ns; /* not after the next expiry */
    struct book books[INSTRUMENTS_MAX];
    struct paper_order *orders;
    size_t order_count, order_capacity; /* slots */
    uint32_t *free_slots;
    size_t free_count, free_capacity;
    uint32_t *scratch; /* slots: as many as there are orders */
    size_t scratch_capacity;
    struct map *by_id;        /* client order id -> slot */
    struct request *requests; /* a heap by (arrival, sequence) */
    size_t request_count, request_capacity;
    struct ring fills, ended; /* struct told_fill, struct ended_order */
};

/* ---- paper.c: what happens to an order ---- */

decimal paper_remaining(struct paper *paper,
                        const struct paper_order *order); /* and may be filled */
/* Fills up to qty and tells it, with all that follows: group, reduce-only. Returns what was filled;
 * the order may be gone afterwards. */
decimal paper_fill(struct paper *paper, struct paper_order *order, decimal price, decimal qty,
                   enum liquidity liquidity, int64_t ns);
/* Ends an order: REPORT_CANCELED, REPORT_EXPIRED, REPORT_REJECTED. */
void paper_end(struct paper *paper, struct paper_order *order, enum report_kind kind,
               const char *reason, int64_t ns);
struct account *paper_account(struct paper *paper, struct book *book, uint32_t instance_id);
struct paper_order *paper_find(struct paper *paper, const char *client_order_id); /* NULL: none */
void paper_put_report(struct paper *paper, uint32_t instrument, struct report *report, int64_t ns);
void paper_put_event(struct paper *paper, struct event *event, int64_t ns);

/* ---- recall.c: what it remembers, and answers when it is asked ---- */

void recall_open(struct paper *paper);
void recall_fill(struct paper *paper, const struct paper_order *order, const struct fill *fill);
void recall_end(struct paper *paper, const struct paper_order *order, enum order_status status);
void recall_answer(struct paper *paper, const struct request *request);
/* The lowest and highest trade from the order's arrival until to_ns, as far as history tells; 0:
 * not known. */
struct span {
    int64_t low, high;
};
struct span recall_span(const struct paper *paper, const struct paper_order *order, int64_t to_ns);
void recall_close(struct paper *paper);

/* ---- matching.c: what the market does to orders ---- */

/* A limit that would trade at once against the standing price. */
bool match_would_take(const struct book *book, const struct paper_order *order);
/* An order has just arrived, or come back with other terms. */
void match_arrival(struct paper *paper, struct book *book, struct paper_order *order, int64_t ns);
void match_quote(struct paper *paper, struct book *book, const struct event *event);
void match_trade(struct paper *paper, struct book *book, const struct event *event);
void match_bar(struct paper *paper, struct book *book, const struct event *event);
/* Orders that arrived inside the bar that was told last. */
void match_late(struct paper *paper, struct book *book);
void match_watch(struct paper *paper, struct book *book); /* after orders changed */

#endif
