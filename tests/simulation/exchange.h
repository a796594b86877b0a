/* exchange.h - the simulated venue's own truth: a market, a book, orders, an account.
 *
 * Counts in int64 ticks and lots, money in 1e-6 of tick times lot. Shares no rule with the runtime:
 * of its headers it uses enumerators and lengths at the edge, nothing else. It is asked and told
 * without delay or fault; what lies between it and the engine is wire.c.
 *
 * Client order ids are unique among open orders only, as at Binance: the same id sent again after
 * the first order has finished is a second order. */
#ifndef SIMULATION_EXCHANGE_H
#define SIMULATION_EXCHANGE_H

#include "runtime/base/base.h"
#include "runtime/base/random.h"
#include "runtime/domain/order.h"

#define MARKETS_MAX 3
#define MONEY_PER_NOTIONAL 1000000 /* money units in one tick times one lot */

__extension__ typedef __int128 money;

/* What kind of venue it is. */
struct exchange_profile {
    unsigned types, tifs; /* 1 << enum order_type, 1 << enum order_tif */
    bool oco, post_only, reduce_only;
    bool amends, renames; /* changes orders; under a new client order id */
    bool ends_to_rename;  /* and tells it as the end of the old one */
    bool tells_trades;    /* each fill with its id; else only how much is filled */
    bool tells_twice;     /* the stream repeats what requests were answered */
    bool is_spot;
    int64_t maker_fee, taker_fee; /* parts per million of the notional */
};

enum exchange_status {
    EX_NEW,
    EX_PARTIAL,
    EX_FILLED,
    EX_CANCELED,
    EX_EXPIRED,
    EX_REJECTED /* only in answers: a rejected order is not kept */
};

struct exchange_order {
    uint64_t id;
    char first_id[CLIENT_ORDER_ID_MAX]; /* under which it came */
    char client_id[CLIENT_ORDER_ID_MAX];
    uint32_t market;
    int side; /* 1, -1 */
    enum order_type type;
    enum order_tif tif;
    bool post_only, reduce_only, triggered;
    uint64_t group;
    int64_t qty, price, trigger; /* lots, ticks, ticks */
    int64_t cum;                 /* lots */
    money notional;              /* tick times lot */
    int64_t queue;               /* lots of others before it at its price */
    int64_t expires_ns;
    int64_t accepted_ns;
    enum exchange_status status;
    const char *reason; /* a literal: why it ended */
    uint64_t tells;     /* how often something was told of it */
};

struct exchange_trade {
    uint64_t id; /* the exec id is this number; what follows a correction has a new one */
    uint64_t order;
    uint32_t market;
    int side;
    int64_t qty, price; /* as it stands: 0 lots after a bust */
    int64_t first_qty, first_price;
    money fee;
    bool is_maker, is_corrected;
    int64_t time_ns;
};

enum exchange_news {
    NEWS_ACK,
    NEWS_TRADE, /* trade */
    NEWS_CANCELED,
    NEWS_EXPIRED,
    NEWS_REPLACED,
    NEWS_RESTATED,
    NEWS_BUST,    /* trade */
    NEWS_CORRECT, /* trade */
};

struct exchange_quote {
    int64_t bid, ask, bid_qty, ask_qty;
};

/* How the market behaves; a fault for a while. */
enum market_mood { MOOD_NORMAL, MOOD_SILENT, MOOD_BURST, MOOD_TENFOLD, MOOD_CROSSED, MOODS };

struct market_book {
    int64_t mid; /* ticks */
    int64_t last;
    struct exchange_quote quote;
    int64_t next_ns;
    enum market_mood mood;
    int64_t mood_until_ns;
    int64_t position;      /* of the account, lots */
    money open_cost;       /* signed money of what is open, by average */
    money flow;            /* signed money: sales less purchases */
    int64_t adjusted;      /* lots moved by hand of the venue (busts of unknown orders and such) */
    int64_t traded_volume; /* of the last minute bars: lots */
};

struct exchange_listener {
    void *self;
    void (*news)(void *self, enum exchange_news news, const struct exchange_order *order,
                 const struct exchange_trade *trade);
    void (*trade)(void *self, uint32_t market, int64_t price, int64_t qty, int side);
    void (*quote)(void *self, uint32_t market, const struct exchange_quote *quote);
};

struct exchange {
    struct exchange_profile profile;
    struct exchange_listener listener;
    struct random random;
    uint32_t market_count;
    struct market_book markets[MARKETS_MAX];
    struct exchange_order *orders;
    size_t order_count, order_capacity;
    uint64_t *open; /* indices of open orders, oldest first */
    size_t open_count, open_capacity;
    struct exchange_trade *trades;
    size_t trade_count, trade_capacity;
    money fees;
    int64_t now_ns;
    int64_t gap_ns; /* mean time between two market events of one market */
};

void exchange_init(struct exchange *exchange, const struct exchange_profile *profile,
                   uint32_t market_count, uint64_t seed, int64_t now_ns);
void exchange_release(struct exchange *exchange);

/* ---- the market ---- */
int64_t exchange_due_ns(const struct exchange *exchange);
void exchange_advance(struct exchange *exchange, int64_t now_ns);
void exchange_mood(struct exchange *exchange, uint32_t market, enum market_mood mood,
                   int64_t until_ns);

/* ---- requests: what happens happens at once, and is told by the listener ---- */

struct exchange_request {
    char client_id[CLIENT_ORDER_ID_MAX];
    uint32_t market;
    int side;
    enum order_type type;
    enum order_tif tif;
    bool post_only, reduce_only;
    uint64_t group;
    int64_t qty, price, trigger;
    int64_t expires_ns;
};
/* NULL: accepted; else why not. */
const char *exchange_submit(struct exchange *exchange, const struct exchange_request *request);
/* Quantity and price as they shall be; 0: as it is. new_id "" keeps the id. */
const char *exchange_amend(struct exchange *exchange, const char *client_id, const char *new_id,
                           int64_t qty, int64_t price);
const char *exchange_cancel(struct exchange *exchange, const char *client_id);

/* The newest order of this client order id, open or not; NULL: none. */
const struct exchange_order *exchange_find(const struct exchange *exchange, const char *client_id);
const struct exchange_order *exchange_order(const struct exchange *exchange, uint64_t id);
static inline bool exchange_is_open(const struct exchange_order *order)
{
    return order->status == EX_NEW || order->status == EX_PARTIAL;
}
/* What the account is worth of cash moves since the beginning: at spot sales less purchases less
 * fees, else what closing earned less fees. */
money exchange_cash(const struct exchange *exchange);

/* ---- what venues do to one unasked ---- */
void exchange_cancel_unasked(struct exchange *exchange, uint64_t order);
void exchange_restate(struct exchange *exchange, uint64_t order, int64_t qty);
void exchange_bust(struct exchange *exchange, size_t trade);
void exchange_correct(struct exchange *exchange, size_t trade, int64_t qty, int64_t price);
/* A trade of an order that is over, or beyond its quantity. */
void exchange_fill_late(struct exchange *exchange, uint64_t order, int64_t qty);

#endif
