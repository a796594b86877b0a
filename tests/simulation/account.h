/* account.h - the referee's books: orders, positions, prices, equity and the day, kept naively.
 *
 * In integers of lots and ticks (marks in half ticks), money in 1e-12; of the runtime's headers
 * only structs and enumerators at the edge are used. Fed by referee.c, which judges by it. */
#ifndef SIMULATION_ACCOUNT_H
#define SIMULATION_ACCOUNT_H

#include "runtime/engine/ports.h"
#include "tests/simulation/rules.h"
#include "tests/simulation/wire.h"

#define SLOTS_MAX 64
#define UNIT INT64_C(1000000000000)      /* money: one unit of account */
#define NOTIONAL (UNIT / CENTS_PER_UNIT) /* of a tick times a lot */
#define GRACE (UNIT / 1000000)           /* what a quotient that was rounded may be off */
#define SCOPES_MAX (2 + RULE_STRATEGIES_MAX + MARKETS_MAX)
#define ANY UINT32_MAX
#define HOURS_MAX 501 /* 500 returns are kept */
#define FILLS_KEPT 64 /* the most that a rule about repeated executions counts */

/* An order in the books. */
struct paper {
    uint64_t id, group, parent;
    uint32_t slot, market;
    int side;
    enum order_role role;
    bool reduces, held, open, left;
    bool is_limit, is_stop;
    bool ever_filled, counts_today;   /* its first fill was on this day */
    int64_t qty, asked, most, filled; /* asked: of an amend that left and is not answered */
    int64_t price, trigger, stop;     /* ticks, 0: none */
    uint64_t turn;                    /* in which it came */
};

struct book {
    int64_t qty;
    money flow, fees;
    money volume; /* of the day */
    uint32_t trades;
    bool adjusted;
    int64_t fills_ns[FILLS_KEPT]; /* a ring of the newest executions of this process */
    uint64_t fills;
};

struct slot {
    uint32_t instance_id;
    char strategy[24]; /* "": nobody's */
    struct book books[MARKETS_MAX];
};

/* What can have limits: who and what is in it. */
struct scope {
    char name[48]; /* as the runtime names it in the record of a halt; "session": the account */
    const struct rule_set *rules;
    uint32_t slot, market; /* ANY */
    int64_t capital;
    bool is_opened, has_peak;
    money opening, peak;
    /* As a record of the day's figures said last: what a restart goes on from. */
    bool was_saved, is_unsure; /* unsure: that record may be lost */
    int64_t saved_day;
    money saved_opening, saved_peak;
    int64_t settles_ns; /* until then opening and peak are what a restart finds; 0: they stand */
    bool halted;        /* by a record */
    bool lost;          /* a loss was reached that a limit bounds */
    char why[96];
};

struct price {
    bool has_quote;
    int64_t bid, ask, last;
    /* Closes of hours, oldest first. */
    int64_t hours[HOURS_MAX], closes2[HOURS_MAX]; /* in half ticks */
    size_t hour_count;
};

struct account {
    uint32_t market_count;
    struct rules rules;
    struct slot slots[SLOTS_MAX];
    size_t slot_count;
    struct paper *papers; /* by id, ascending */
    size_t paper_count, paper_capacity;
    size_t *open; /* indices */
    size_t open_count, open_capacity;
    struct price prices[MARKETS_MAX];
    struct scope scopes[SCOPES_MAX]; /* the account, the venue, markets, strategies */
    size_t scope_count;
    int64_t day, second, hour, leverage;
    uint64_t turn;
    uint64_t stops_turn; /* in which a stop that protects was placed, moved or taken away */
    bool watches_losses, booked, settles;
    char repeated[96]; /* executions came too often: nothing new until somebody lifts it */
};

void account_release(struct account *account);

/* ---- numbers at the edge ---- */
int64_t account_lots(decimal qty);
int64_t account_ticks(decimal price);
static inline int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline money value_of(int64_t qty, int64_t price)
{
    return (money)qty * price * NOTIONAL;
}

/* ---- books ---- */
uint32_t account_slot(struct account *account, uint32_t instance_id);
struct paper *account_paper(const struct account *account, uint64_t id); /* NULL: none */
static inline const struct paper *account_open(const struct account *account, size_t index)
{
    return &account->papers[account->open[index]];
}
void account_order_is(struct account *account, const struct order *order);
void account_position_is(struct account *account, uint32_t instance_id, uint32_t market,
                         const struct position *position);
void account_close_order(struct account *account, struct paper *paper);
static inline int64_t left_of(const struct paper *paper)
{
    return larger(larger(paper->qty, paper->asked) - paper->filled, 0);
}

/* ---- prices, scopes ---- */
static inline bool has_price(const struct price *price)
{
    return price->has_quote || price->last != 0;
}
/* The touch that a taker would meet, else the last trade. */
static inline int64_t reference(const struct price *price, int side)
{
    return !price->has_quote ? price->last : side > 0 ? price->ask : price->bid;
}
/* In half ticks. */
static inline int64_t mark2(const struct price *price)
{
    return price->has_quote ? price->bid + price->ask : 2 * price->last;
}
static inline bool is_in(const struct scope *scope, uint32_t slot, uint32_t market)
{
    return (scope->slot == ANY || scope->slot == slot) &&
           (scope->market == ANY || scope->market == market);
}
/* False: something is held whose price this process has not seen. */
bool account_equity(const struct account *account, const struct scope *scope, money *equity);

/* ---- what the runtime hears and stores ---- */
void account_reach(struct account *account, int64_t now_ns);
void account_event(struct account *account, const struct event *event, int64_t now_ns);
void account_record(struct account *account, const struct record *record, int64_t now_ns);
void account_turn(struct account *account);
/* Another process: what it heard is forgotten. */
void account_restart(struct account *account);
void account_begin(struct account *account, const struct rules *rules, const uint32_t *ids,
                   const char *const *names, const char *const *symbols, const char *venue,
                   size_t count, int64_t now_ns);

#endif
