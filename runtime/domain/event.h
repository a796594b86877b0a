/* event.h - what can happen: the one thing the engine eats.
 *
 * Prices and quantities of market events are mantissas at the instrument's scales. */
#ifndef RUNTIME_DOMAIN_EVENT_H
#define RUNTIME_DOMAIN_EVENT_H

#include "runtime/base/base.h"
#include "runtime/domain/order.h"

enum event_kind {
    EVENT_TRADE,
    EVENT_QUOTE,
    EVENT_BAR,        /* a bar supplied from outside, told at its end */
    EVENT_REPORT,     /* a venue's word on one of our orders */
    EVENT_ANSWER,     /* the end of a query's answer */
    EVENT_POSITION,   /* a venue's word on what it holds for us: part of QUERY_POSITIONS */
    EVENT_CASH,       /* part of QUERY_BALANCES */
    EVENT_CONNECTION, /* the line to the venue went down, or is up and ready */
    EVENT_HEARTBEAT,  /* a frame without news: the line lives */
    EVENT_CLOCK,      /* `venue`: the venue's clock less ours, as measured */
    EVENT_SLOW_DOWN,  /* `venue`: it asks for less (429, 418): for how long, what it said */
};

struct trade_event {
    int64_t price, qty;
    int side; /* of the aggressor: SIDE_BUY, SIDE_SELL, 0 not known */
};

struct quote_event {
    int64_t bid, ask;         /* bid < ask, both > 0 */
    int64_t bid_qty, ask_qty; /* 0 when not known */
};

struct bar_event {
    int64_t open_ns; /* its end is the event's time */
    int64_t open, high, low, close;
    int64_t volume;
    bool is_history; /* answer to QUERY_BARS: warms series, is not delivered */
};

struct position_event {
    uint64_t ticket;
    decimal qty;       /* signed; an instrument that is not told is flat */
    decimal avg_price; /* DECIMAL_NONE when the venue does not say */
};

struct cash_event {
    uint64_t ticket;
    char currency[16];
    decimal amount;
};

struct connection_event {
    bool up;                 /* logged in, streams running: reconciliation may begin */
    char reason[REASON_MAX]; /* of down: "sequence_gap" and "stale_private_stream" are names, told
                                as such; other text is for people */
};

struct answer_event {
    uint64_t ticket;
    bool complete; /* false: the query failed, nothing is known */
    char reason[REASON_MAX];
};

/* The instrument names the venue; INSTRUMENT_NONE: all. */
struct venue_event {
    int64_t value_ns;
    char reason[REASON_MAX];
};

struct event {
    enum event_kind kind;
    uint32_t instrument;
    int64_t time_ns; /* when it happened (market) or arrived (reports) */
    union {
        struct trade_event trade;
        struct quote_event quote;
        struct bar_event bar;
        struct answer_event answer;
        struct position_event position;
        struct cash_event cash;
        struct connection_event connection;
        struct venue_event venue;
        const struct report *report; /* valid during the call */
    };
};

#endif
