/* referee.c - see referee.h.
 *
 * Units: quantities in lots, prices in ticks (marks in halves), money in 1e-12. A limit is broken
 * only by more than GRACE, far less than a lot is worth: quotients that the runtime rounded (the
 * average price of fills that only sums told) never decide.
 *
 * What leaves is judged by what had left before, by what rests here and by itself. Commands leave
 * in the order in which the gate judged them, so an order of the same turn that has not left yet
 * was judged later, and counts then. */
#include "tests/simulation/referee.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 64
#define UNIT INT64_C(1000000000000)      /* money: one unit of account */
#define NOTIONAL (UNIT / CENTS_PER_UNIT) /* of a tick times a lot */
#define GRACE (UNIT / 1000000)
#define SENT_KEPT 4096
#define SCOPES (3 + RULE_STRATEGIES_MAX + MARKETS_MAX)
#define ANY UINT32_MAX

/* An order in the books. */
struct paper {
    uint64_t id, group, parent;
    uint32_t slot, market;
    int side;
    enum order_role role;
    bool reduces, held, open, left;
    bool counts_today;                /* it filled on this day */
    int64_t qty, asked, most, filled; /* asked: of an amend that left and is not answered */
    int64_t today;                    /* lots filled on this day */
    int64_t price, trigger;           /* 0: none */
    uint64_t turn;                    /* in which it came */
};

struct book {
    int64_t qty;
    money flow, fees;
    money volume; /* of the day */
    uint32_t trades;
    bool adjusted;
};

struct slot {
    uint32_t instance_id;
    char strategy[24]; /* "": nobody's */
    struct book books[MARKETS_MAX];
};

/* One that has limits: who and what is in it. */
struct scope {
    char name[24];
    const struct rule_set *rules;
    uint32_t slot, market; /* ANY */
    int64_t capital;
    bool is_opened, has_peak, was_opened; /* was: today, by a process before */
    money opening, peak;
    bool lost; /* a loss was reached that a limit bounds */
    char why[96];
};

struct sent {
    int64_t time_ns;
    uint32_t slot, market;
};

struct price {
    bool has_quote;
    int64_t bid, ask, last;
};

struct referee {
    uint32_t market_count;
    struct rules rules;
    struct slot slots[SLOTS_MAX];
    size_t slot_count;
    struct paper *papers; /* by id, ascending */
    size_t paper_count, paper_capacity;
    size_t *open; /* indices */
    size_t open_count, open_capacity;
    struct price prices[MARKETS_MAX];
    struct scope scopes[SCOPES];
    size_t scope_count;
    struct sent *sent; /* a ring of the newest messages */
    uint64_t sent_count;
    int64_t day, second, leverage;
    uint64_t turn;
    bool watches_losses, booked;
    char why[256];
};

struct referee *referee_open(uint32_t market_count)
{
    struct referee *referee = memory_new(sizeof(*referee));
    referee->market_count = market_count;
    referee->sent = memory_new(SENT_KEPT * sizeof(struct sent));
    referee->day = -1;
    return referee;
}

void referee_close(struct referee *referee)
{
    if (!referee)
        return;
    free(referee->papers);
    free(referee->open);
    free(referee->sent);
    free(referee);
}

/* ---- numbers at the edge ---- */

static money units(decimal value, int scale)
{
    if (!decimal_valid(value))
        return 0;
    money result = value.coefficient;
    for (int i = value.scale; i < scale; i++)
        result *= 10;
    for (int i = value.scale; i > scale; i--)
        result /= 10;
    return result;
}

static int64_t lots(decimal qty)
{
    return (int64_t)units(qty, QTY_SCALE);
}

static int64_t ticks(decimal price)
{
    return (int64_t)units(price, PRICE_SCALE);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- the books ---- */

static uint32_t slot_of(struct referee *referee, uint32_t instance_id)
{
    for (uint32_t i = 0; i < referee->slot_count; i++)
        if (referee->slots[i].instance_id == instance_id)
            return i;
    ASSERT(referee->slot_count < SLOTS_MAX);
    referee->slots[referee->slot_count].instance_id = instance_id;
    return (uint32_t)referee->slot_count++;
}

/* Where it is, or where it would be. */
static size_t place_of(const struct referee *referee, uint64_t id)
{
    size_t low = 0, high = referee->paper_count;
    if (high > 0 && referee->papers[high - 1].id < id)
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (referee->papers[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct paper *paper_of(const struct referee *referee, uint64_t id)
{
    size_t at = place_of(referee, id);
    return at < referee->paper_count && referee->papers[at].id == id ? &referee->papers[at] : NULL;
}

static struct paper *add_paper(struct referee *referee, uint64_t id)
{
    size_t at = place_of(referee, id);
    referee->papers = memory_grow(referee->papers, &referee->paper_capacity,
                                  referee->paper_count + 1, sizeof(struct paper));
    memmove(&referee->papers[at + 1], &referee->papers[at],
            (referee->paper_count - at) * sizeof(struct paper));
    for (size_t i = 0; i < referee->open_count; i++)
        referee->open[i] += referee->open[i] >= at;
    referee->paper_count++;
    struct paper *paper = &referee->papers[at];
    *paper = (struct paper){ .id = id, .turn = referee->turn };
    return paper;
}

static void list_open(struct referee *referee, struct paper *paper, bool open)
{
    size_t index = (size_t)(paper - referee->papers), at = 0;
    if (paper->open == open)
        return;
    paper->open = open;
    if (open) {
        referee->open = memory_grow(referee->open, &referee->open_capacity, referee->open_count + 1,
                                    sizeof(size_t));
        referee->open[referee->open_count++] = index;
        return;
    }
    while (referee->open[at] != index)
        at++;
    referee->open[at] = referee->open[--referee->open_count];
}

static bool is_open(const struct order *order)
{
    return order->known == ORDER_PENDING_NEW || order->known == ORDER_NEW ||
           order->known == ORDER_PARTIALLY_FILLED;
}

void referee_order_is(struct referee *referee, const struct order *order)
{
    struct paper *paper = paper_of(referee, order->order_id);
    if (!paper)
        paper = add_paper(referee, order->order_id);
    paper->slot = slot_of(referee, order->instance_id);
    paper->market = order->instrument;
    paper->side = order->side == SIDE_BUY ? 1 : -1;
    paper->role = order->role;
    paper->group = order->group_id;
    paper->parent = order->parent_order_id;
    paper->reduces = order->reduce_only;
    paper->held = order->held;
    paper->left &= !order->held;
    paper->qty = lots(order->qty);
    paper->filled = lots(order->filled_qty);
    paper->price = ticks(order->price);
    paper->trigger = ticks(order->trigger_price);
    paper->most = larger(paper->most, paper->qty);
    if (!(order->pending & PENDING_REPLACE))
        paper->asked = 0;
    list_open(referee, paper, is_open(order));
}

static money worth_of(const struct fill *fill)
{
    if (fill->kind != FILL_TRADE)
        return units(fill->notional, 12);
    return units(fill->qty, QTY_SCALE) * units(fill->price, PRICE_SCALE) * NOTIONAL;
}

static void book_fill(struct referee *referee, const struct record *record)
{
    const struct fill *fill = &record->fill;
    struct paper *paper = paper_of(referee, record->order.order_id);
    struct book *book =
        &referee->slots[slot_of(referee, record->instance_id)].books[record->instrument];
    int sign = fill->kind == FILL_REVERSAL ? -1 : 1;
    int side = record->order.side == SIDE_BUY ? 1 : -1;
    int64_t qty = sign * lots(fill->qty);
    book->qty += side * qty;
    book->flow -= sign * side * worth_of(fill);
    book->fees += sign * units(fill->fee, 12);
    book->volume += sign * worth_of(fill);
    referee->booked = true;
    if (!paper || paper->role != ROLE_PLAIN)
        return;
    paper->today += qty;
    book->trades += (paper->today > 0) - paper->counts_today;
    paper->counts_today = paper->today > 0;
}

void referee_position_is(struct referee *referee, uint32_t instance_id, uint32_t market,
                         const struct position *position)
{
    struct book *book = &referee->slots[slot_of(referee, instance_id)].books[market];
    book->qty = lots(position->qty);
    book->flow = units(position->realized_pnl, 12) + units(position->funding, 12) -
                 units(position->cost, 12);
    book->fees = units(position->fees, 12);
}

void referee_forget_orders(struct referee *referee, bool (*is_known)(void *self, uint64_t order_id),
                           void *self)
{
    for (size_t i = referee->open_count; i-- > 0;) {
        struct paper *paper = &referee->papers[referee->open[i]];
        if (!is_known(self, paper->id))
            list_open(referee, paper, false);
    }
}

/* ---- prices ---- */

static bool has_price(const struct price *price)
{
    return price->has_quote || price->last != 0;
}

/* The touch that a taker would meet, else the last trade. */
static int64_t reference(const struct price *price, int side)
{
    return !price->has_quote ? price->last : side > 0 ? price->ask : price->bid;
}

/* In half ticks. */
static int64_t mark(const struct price *price)
{
    return price->has_quote ? price->bid + price->ask : 2 * price->last;
}

/* ---- equity ---- */

static bool is_in(const struct scope *scope, uint32_t slot, uint32_t market)
{
    return (scope->slot == ANY || scope->slot == slot) &&
           (scope->market == ANY || scope->market == market);
}

/* False: something is held whose price this process has not seen. */
static bool equity_of(const struct referee *referee, const struct scope *scope, money *equity)
{
    *equity = (money)scope->capital * UNIT;
    for (uint32_t i = 0; i < referee->slot_count; i++)
        for (uint32_t k = 0; k < referee->market_count; k++) {
            const struct book *book = &referee->slots[i].books[k];
            if (!is_in(scope, i, k))
                continue;
            *equity += book->flow - book->fees;
            if (book->qty != 0 && !has_price(&referee->prices[k]))
                return false;
            *equity += (money)book->qty * mark(&referee->prices[k]) * (NOTIONAL / 2);
        }
    return true;
}

static void begin_day(struct referee *referee, int64_t now_ns)
{
    referee->day = now_ns / NS_PER_DAY;
    for (size_t i = 0; i < referee->slot_count; i++)
        for (uint32_t k = 0; k < referee->market_count; k++) {
            referee->slots[i].books[k].volume = 0;
            referee->slots[i].books[k].trades = 0;
        }
    for (size_t i = 0; i < referee->paper_count; i++) {
        referee->papers[i].today = 0;
        referee->papers[i].counts_today = false;
    }
    for (size_t i = 0; i < referee->scope_count; i++) {
        struct scope *scope = &referee->scopes[i];
        scope->lost = false;
        scope->was_opened = false;
        scope->is_opened = equity_of(referee, scope, &scope->opening);
    }
}

static void lose(struct scope *scope, enum rule rule, money lost, money bound)
{
    if (scope->lost)
        return;
    scope->lost = true;
    snprintf(scope->why, sizeof(scope->why), "%s of %s: %.6f lost, %.6f allowed", rule_name(rule),
             scope->name, (double)lost / 1e12, (double)bound / 1e12);
}

/* The runtime judges at each fill and at the first event of each market second, with what stood
 * before that event: so does this. It may judge oftener, and halt earlier. */
static void judge_losses(struct referee *referee)
{
    for (size_t i = 0; i < referee->scope_count; i++) {
        struct scope *scope = &referee->scopes[i];
        const int64_t *limits = scope->rules->value;
        money equity, bound;
        if ((!limits[RULE_DAILY_LOSS] && !limits[RULE_DAILY_LOSS_PCT] && !limits[RULE_DRAWDOWN]) ||
            !equity_of(referee, scope, &equity))
            continue;
        if (!scope->has_peak || equity > scope->peak)
            scope->peak = equity;
        /* What a process knew of the day is kept, but for what a power cut took: the smaller loss.
         */
        if (!scope->is_opened)
            scope->opening = scope->was_opened && scope->opening < equity ? scope->opening : equity;
        scope->is_opened = scope->has_peak = true;
        bound = (money)limits[RULE_DAILY_LOSS] * NOTIONAL;
        if (bound > 0 && scope->opening - equity > bound + GRACE)
            lose(scope, RULE_DAILY_LOSS, scope->opening - equity, bound);
        bound = scope->opening / SHARE_WHOLE * limits[RULE_DAILY_LOSS_PCT];
        if (bound > 0 && scope->opening - equity > bound + GRACE)
            lose(scope, RULE_DAILY_LOSS_PCT, scope->opening - equity, bound);
        bound = scope->peak / SHARE_WHOLE * limits[RULE_DRAWDOWN];
        if (bound > 0 && scope->peak - equity > bound + GRACE)
            lose(scope, RULE_DRAWDOWN, scope->peak - equity, bound);
    }
}

/* The clock reaches an instant; nothing has changed since it was looked at last. */
static void reach(struct referee *referee, int64_t now_ns)
{
    if (now_ns / NS_PER_SECOND > referee->second) {
        referee->second = now_ns / NS_PER_SECOND;
        if (referee->watches_losses)
            judge_losses(referee);
    }
    if (now_ns / NS_PER_DAY != referee->day)
        begin_day(referee, now_ns);
}

/* ---- what the runtime hears and stores ---- */

void referee_event(struct referee *referee, const struct event *event, int64_t now_ns)
{
    if (!referee->rules.any)
        return;
    reach(referee, now_ns);
    if (event->kind == EVENT_TRADE)
        referee->prices[event->instrument].last = event->trade.price;
    if (event->kind == EVENT_QUOTE) {
        struct price *price = &referee->prices[event->instrument];
        price->has_quote = true;
        price->bid = event->quote.bid;
        price->ask = event->quote.ask;
    }
}

/* A loss that was reached counts again when it is looked at the next time. */
static void lift(struct referee *referee, const char *scope)
{
    bool all = strcmp(scope, "session") == 0;
    for (size_t i = 0; i < referee->scope_count; i++)
        referee->scopes[i].lost &= !all;
}

void referee_record(struct referee *referee, const struct record *record, int64_t now_ns)
{
    reach(referee, now_ns);
    if (record->kind == RECORD_ORDER)
        referee_order_is(referee, &record->order);
    if (record->kind == RECORD_FILL)
        book_fill(referee, record);
    if (record->kind == RECORD_HALT && strstr(record->body, "\"lifted_by\""))
        lift(referee, record->name);
    if (record->kind != RECORD_ADJUSTMENT && record->kind != RECORD_POSITION)
        return;
    struct book *book =
        &referee->slots[slot_of(referee, record->instance_id)].books[record->instrument];
    book->adjusted |= record->kind == RECORD_ADJUSTMENT;
    if (book->adjusted && record->kind == RECORD_POSITION) /* not the sum of fills any more */
        referee_position_is(referee, record->instance_id, record->instrument, &record->position);
}

void referee_turn(struct referee *referee, int64_t now_ns)
{
    (void)now_ns;
    referee->turn++;
    if (referee->booked && referee->watches_losses)
        judge_losses(referee);
    referee->booked = false;
}

/* ---- a process begins ---- */

static void add_scope(struct referee *referee, const char *name, const struct rule_set *rules,
                      uint32_t slot, uint32_t market, int64_t capital)
{
    struct scope *scope = &referee->scopes[referee->scope_count++];
    if (scope->name[0] == '\0')
        snprintf(scope->name, sizeof(scope->name), "%s", name);
    scope->rules = rules;
    scope->slot = slot;
    scope->market = market;
    scope->capital = capital;
    for (int i = 0; i < RULES; i++)
        referee->watches_losses |=
            rules->value[i] != 0 &&
            (i == RULE_DAILY_LOSS || i == RULE_DAILY_LOSS_PCT || i == RULE_DRAWDOWN);
}

void referee_begin(struct referee *referee, const struct rules *rules,
                   const struct referee_instances *instances)
{
    char name[24];
    int64_t capital = 0;
    referee->rules = *rules;
    rules = &referee->rules;
    referee->leverage = instances->leverage;
    memset(referee->prices, 0, sizeof(referee->prices));
    for (size_t i = 0; i < referee->open_count; i++)
        referee->papers[referee->open[i]].left = !referee->papers[referee->open[i]].held;
    for (size_t i = 0; i < instances->count; i++)
        capital += rules->capital[i];
    referee->scope_count = 0;
    add_scope(referee, "the account", &rules->account, ANY, ANY, capital);
    add_scope(referee, "the venue", &rules->venue, ANY, ANY, capital);
    for (uint32_t k = 0; k < referee->market_count; k++) {
        snprintf(name, sizeof(name), "market %" PRIu32, k);
        add_scope(referee, name, &rules->symbols[k], ANY, k, capital);
    }
    for (uint32_t i = 0; i < instances->count; i++) {
        uint32_t slot = slot_of(referee, instances->ids[i]);
        snprintf(referee->slots[slot].strategy, sizeof(referee->slots[slot].strategy), "%s",
                 instances->names[i]);
        add_scope(referee, instances->names[i], &rules->strategies[i], slot, ANY,
                  rules->capital[i]);
    }
    for (size_t i = 0; i < referee->scope_count; i++) {
        referee->scopes[i].was_opened |= referee->scopes[i].is_opened;
        referee->scopes[i].is_opened = referee->scopes[i].has_peak = false;
        referee->scopes[i].lost = false;
    }
}

/* ---- what an order adds ---- */

/* One that is judged, with what it asks for now. */
struct asked {
    const struct paper *paper;
    int64_t qty;   /* left to fill */
    int64_t price; /* the highest of limit, trigger and reference */
    int64_t limit; /* 0: none */
    int64_t opening;
    bool is_new;   /* not an amend */
    bool is_first; /* nor sent again */
};

static bool counts(const struct referee *referee, const struct paper *paper,
                   const struct paper *judged)
{
    if (paper->reduces || paper == judged)
        return false;
    return paper->left || (paper->held && (paper->turn < referee->turn || paper->id < judged->id));
}

static int64_t left_of(const struct paper *paper)
{
    return larger(larger(paper->qty, paper->asked) - paper->filled, 0);
}

/* Of linked orders one fills: the larger counts, whether the venue links them or not. */
static bool is_counted_by_another(const struct referee *referee, const struct paper *paper,
                                  const struct asked *asked)
{
    if (paper->group == 0)
        return false;
    if (paper->group == asked->paper->group && paper->side == asked->paper->side)
        return true; /* the judged one; see held_after */
    for (size_t i = 0; i < referee->open_count; i++) {
        const struct paper *other = &referee->papers[referee->open[i]];
        if (other->group == paper->group && other->side == paper->side && other->id < paper->id &&
            counts(referee, other, asked->paper))
            return true;
    }
    return false;
}

/* What the order's side of its market would hold at worst, in lots, with all of it filled. */
static int64_t held_after(const struct referee *referee, const struct scope *scope,
                          const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    int64_t sum = asked->qty;
    for (uint32_t i = 0; i < referee->slot_count; i++)
        if (is_in(scope, i, judged->market))
            sum += judged->side * referee->slots[i].books[judged->market].qty;
    for (size_t i = 0; i < referee->open_count; i++) {
        const struct paper *paper = &referee->papers[referee->open[i]];
        if (paper->side == judged->side && paper->market == judged->market &&
            is_in(scope, paper->slot, paper->market) && counts(referee, paper, judged) &&
            !is_counted_by_another(referee, paper, asked))
            sum += left_of(paper);
    }
    return sum;
}

static bool complain(struct referee *referee, const struct scope *scope, enum rule rule,
                     const struct asked *asked, money is, money most)
{
    if (is <= most + GRACE)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: %" PRId64 " lots at %" PRId64 " ticks make %.6f, allowed are %.6f",
             rule_name(rule), scope->name, asked->qty, asked->price, (double)is / 1e12,
             (double)most / 1e12);
    return false;
}

static money value_of(int64_t qty, int64_t price)
{
    return (money)qty * price * NOTIONAL;
}

static bool judge_sizes(struct referee *referee, const struct scope *scope,
                        const struct asked *asked, int64_t after)
{
    const int64_t *limits = scope->rules->value;
    money equity;
    if (limits[RULE_ORDER_SIZE] &&
        !complain(referee, scope, RULE_ORDER_SIZE, asked, value_of(asked->qty, asked->price),
                  (money)limits[RULE_ORDER_SIZE] * NOTIONAL))
        return false;
    if (!limits[RULE_POSITION_SIZE] || !equity_of(referee, scope, &equity))
        return true;
    equity = equity > 0 ? equity : 0;
    return complain(referee, scope, RULE_POSITION_SIZE, asked, value_of(after, asked->price),
                    equity / SHARE_WHOLE * limits[RULE_POSITION_SIZE]);
}

/* A limit order counts at its limit, others at the lower touch: the runtime counts no less. */
static money open_worth(const struct referee *referee, const struct paper *paper)
{
    const struct price *price = &referee->prices[paper->market];
    int64_t at = larger(paper->price, paper->trigger);
    if (at == 0)
        at = price->has_quote ? smaller(price->bid, larger(price->last, 1)) : price->last;
    return value_of(left_of(paper), at);
}

/* What only takes a position toward zero may be left out by the runtime: one order at least adds,
 * the judged one, and others count when their market has nothing against them. */
static bool adds_surely(const struct referee *referee, const struct paper *paper)
{
    return paper->side * referee->slots[paper->slot].books[paper->market].qty >= 0;
}

static bool judge_volume(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    money sum = value_of(asked->opening, asked->price);
    if (!scope->rules->value[RULE_DAILY_VOLUME])
        return true;
    for (uint32_t i = 0; i < referee->slot_count; i++)
        for (uint32_t k = 0; k < referee->market_count; k++)
            if (is_in(scope, i, k))
                sum += referee->slots[i].books[k].volume;
    for (size_t i = 0; i < referee->open_count; i++) {
        const struct paper *paper = &referee->papers[referee->open[i]];
        if (is_in(scope, paper->slot, paper->market) && counts(referee, paper, asked->paper) &&
            !is_counted_by_another(referee, paper, asked) && adds_surely(referee, paper))
            sum += open_worth(referee, paper);
    }
    return complain(referee, scope, RULE_DAILY_VOLUME, asked, sum,
                    (money)scope->rules->value[RULE_DAILY_VOLUME] * NOTIONAL);
}

static bool complain_count(struct referee *referee, const struct scope *scope, enum rule rule,
                           int64_t is, int64_t most)
{
    if (is <= most)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: it makes %" PRId64 ", allowed are %" PRId64, rule_name(rule),
             scope->name, is, most);
    return false;
}

/* Of an instance in a market: something is held, or may come to be by what counts. */
static bool is_taken(const struct referee *referee, uint32_t slot, uint32_t market,
                     const struct paper *judged)
{
    bool taken = referee->slots[slot].books[market].qty != 0;
    for (size_t i = 0; !taken && i < referee->open_count; i++) {
        const struct paper *paper = &referee->papers[referee->open[i]];
        taken = paper->slot == slot && paper->market == market && counts(referee, paper, judged);
    }
    return taken;
}

static bool judge_positions(struct referee *referee, const struct scope *scope,
                            const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    int64_t most = scope->rules->value[RULE_OPEN_POSITIONS], sum = 1;
    if (!most || !asked->is_new || is_taken(referee, judged->slot, judged->market, judged))
        return true;
    for (uint32_t i = 0; i < referee->slot_count; i++)
        for (uint32_t k = 0; k < referee->market_count; k++)
            sum += is_in(scope, i, k) && is_taken(referee, i, k, judged);
    return complain_count(referee, scope, RULE_OPEN_POSITIONS, sum, most);
}

static bool judge_trades(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    int64_t most = scope->rules->value[RULE_DAILY_TRADES], sum = !asked->paper->counts_today;
    if (!most || !asked->is_new)
        return true;
    for (uint32_t i = 0; i < referee->slot_count; i++)
        for (uint32_t k = 0; k < referee->market_count; k++)
            if (is_in(scope, i, k) && referee->slots[i].strategy[0])
                sum += referee->slots[i].books[k].trades;
    for (size_t i = 0; i < referee->open_count; i++) {
        const struct paper *paper = &referee->papers[referee->open[i]];
        sum += is_in(scope, paper->slot, paper->market) && !paper->counts_today &&
               referee->slots[paper->slot].strategy[0] && counts(referee, paper, asked->paper) &&
               !is_counted_by_another(referee, paper, asked) && adds_surely(referee, paper);
    }
    return complain_count(referee, scope, RULE_DAILY_TRADES, sum, most);
}

static bool judge_rate(struct referee *referee, const struct scope *scope,
                       const struct referee_send *send)
{
    int64_t most = scope->rules->value[RULE_ORDER_RATE], sum = 1;
    for (uint64_t i = referee->sent_count; most && i-- > 0;) {
        const struct sent *sent = &referee->sent[i % SENT_KEPT];
        if (sent->time_ns <= send->true_ns - NS_PER_SECOND || i + SENT_KEPT < referee->sent_count)
            break;
        sum += is_in(scope, sent->slot, sent->market);
    }
    return !most || complain_count(referee, scope, RULE_ORDER_RATE, sum, most);
}

static bool judge_collar(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    int64_t pct = scope->rules->value[RULE_COLLAR];
    int64_t at = reference(&referee->prices[judged->market], judged->side);
    if (!pct || asked->limit == 0 || judged->trigger != 0 ||
        (money)judged->side * (asked->limit - at) * SHARE_WHOLE <= (money)at * pct)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: %" PRId64 " is too far through %" PRId64, rule_name(RULE_COLLAR),
             scope->name, asked->limit, at);
    return false;
}

static bool judge_halt(struct referee *referee, const struct scope *scope)
{
    if (scope->lost)
        snprintf(referee->why, sizeof(referee->why), "C8 it adds risk after %s", scope->why);
    return !scope->lost;
}

static bool judge(struct referee *referee, const struct scope *scope, struct asked *asked,
                  const struct referee_send *send)
{
    int64_t after = held_after(referee, scope, asked);
    if (after <= 0) /* it only reduces what this scope holds */
        return true;
    return judge_halt(referee, scope) && judge_sizes(referee, scope, asked, after) &&
           judge_volume(referee, scope, asked) && judge_positions(referee, scope, asked) &&
           judge_trades(referee, scope, asked) && judge_rate(referee, scope, send) &&
           judge_collar(referee, scope, asked);
}

/* ---- sums of children ---- */

/* Strategies that only ever ask for targets: no more than so many lots on either side. */
static int64_t target_most(const char *strategy)
{
    return strcmp(strategy, "failing") == 0   ? 20
           : strcmp(strategy, "looping") == 0 ? 30
           : strcmp(strategy, "slow") == 0    ? 100
                                              : 0;
}

/* What is under way the other way counts as done: the runtime asks for what is then missing. It may
 * have turned out since that it never arrived, so one that is sent again is not judged. */
static bool judge_target(struct referee *referee, const struct asked *asked, int64_t after)
{
    const struct paper *judged = asked->paper;
    const char *strategy = referee->slots[judged->slot].strategy;
    int64_t most = target_most(strategy);
    for (size_t i = 0; most > 0 && i < referee->open_count; i++) {
        const struct paper *paper = &referee->papers[referee->open[i]];
        if (paper->slot == judged->slot && paper->market == judged->market &&
            paper->side != judged->side && paper->left)
            after -= left_of(paper);
    }
    if (most == 0 || after <= most || !asked->is_first)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C12 %s asks for no more than %" PRId64 " lots, this makes %" PRId64, strategy, most,
             after);
    return false;
}

static bool complain_child(struct referee *referee, const struct asked *asked, const char *what,
                           int64_t most)
{
    if (asked->qty <= larger(most, 0))
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C12 it has %" PRId64 " lots left, %s leave %" PRId64, asked->qty, what, most);
    return false;
}

/* What all orders of an entry or of a group have filled, and the most that one was asked for. */
static int64_t filled_by(const struct referee *referee, const struct paper *judged, int64_t *most)
{
    int64_t sum = 0;
    for (size_t i = 0; i < referee->paper_count; i++) {
        const struct paper *paper = &referee->papers[i];
        bool same =
            judged->parent ? paper->parent == judged->parent : paper->group == judged->group;
        if (!same || paper->slot != judged->slot)
            continue;
        sum += paper->filled;
        *most = larger(*most, paper->most);
    }
    return sum;
}

/* An exit: what its entry filled and no exit has, and what is held. */
static bool judge_exit(struct referee *referee, const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    const struct paper *entry = paper_of(referee, judged->parent);
    int64_t most = 0, filled = filled_by(referee, judged, &most);
    int64_t held = referee->slots[judged->slot].books[judged->market].qty;
    if (entry && !complain_child(referee, asked, "its entry and the exits", entry->filled - filled))
        return false;
    return complain_child(referee, asked, "the position does", -judged->side * held);
}

/* Linked orders fill together what one of them may. An amend may ask for more. */
static bool judge_linked(struct referee *referee, const struct asked *asked)
{
    int64_t most = 0, filled = filled_by(referee, asked->paper, &most);
    return !asked->is_new || complain_child(referee, asked, "the linked orders", most - filled);
}

static bool judge_children(struct referee *referee, const struct asked *asked)
{
    if (asked->paper->parent)
        return judge_exit(referee, asked);
    return !asked->paper->group || judge_linked(referee, asked);
}

/* ---- one that leaves ---- */

/* No instance here has more than one market. */
static bool judge_power(struct referee *referee, const struct asked *asked, int64_t after)
{
    for (size_t i = 0; i < referee->scope_count; i++) {
        const struct scope *scope = &referee->scopes[i];
        money equity, worth = value_of(after, asked->price);
        if (scope->slot != asked->paper->slot || !equity_of(referee, scope, &equity) ||
            worth <= equity * referee->leverage + GRACE)
            continue;
        snprintf(referee->why, sizeof(referee->why),
                 "C1 buying power: %.6f bound, equity is %.6f, leverage %" PRId64,
                 (double)worth / 1e12, (double)equity / 1e12, referee->leverage);
        return false;
    }
    return true;
}

static bool judge_all(struct referee *referee, const struct referee_send *send, struct asked *asked)
{
    const struct paper *paper = asked->paper;
    struct scope own = { .slot = paper->slot, .market = ANY };
    int64_t after = held_after(referee, &own, asked);
    asked->opening = smaller(after, asked->qty);
    if (asked->opening <= 0)
        return true; /* getting out is never forbidden */
    if (!judge_target(referee, asked, after))
        return false;
    if (!referee->rules.any)
        return true;
    if (!judge_power(referee, asked, after))
        return false;
    if (!has_price(&referee->prices[paper->market])) {
        snprintf(referee->why, sizeof(referee->why), "C1 it adds risk, and no price was seen");
        return false;
    }
    for (size_t i = 0; i < referee->scope_count; i++)
        if (is_in(&referee->scopes[i], paper->slot, paper->market) &&
            !judge(referee, &referee->scopes[i], asked, send))
            return false;
    return true;
}

static void note_sent(struct referee *referee, const struct referee_send *send,
                      const struct paper *paper)
{
    referee->sent[referee->sent_count++ % SENT_KEPT] =
        (struct sent){ .time_ns = send->true_ns, .slot = paper->slot, .market = paper->market };
}

static struct asked ask(const struct referee *referee, const struct referee_send *send,
                        const struct paper *paper)
{
    bool amends = send->kind == SEND_AMEND;
    int64_t limit = ticks(amends ? send->price : send->order->price);
    int64_t price = larger(limit, paper->trigger);
    return (struct asked){ .paper = paper,
                           .qty = lots(amends ? send->qty : send->order->qty) - paper->filled,
                           .price = larger(price,
                                           reference(&referee->prices[paper->market], paper->side)),
                           .limit = limit,
                           .is_new = !amends,
                           .is_first = !amends && !paper->left };
}

/* More lots, a dearer buy, a sell at another price. */
static bool asks_more(const struct paper *paper, const struct asked *asked)
{
    return asked->qty > left_of(paper) ||
           (paper->side > 0 ? asked->limit > paper->price : asked->limit != paper->price);
}

const char *referee_send(struct referee *referee, const struct referee_send *send)
{
    struct paper *paper = paper_of(referee, send->order->order_id);
    referee->why[0] = '\0';
    if (!paper || (send->kind != SEND_SUBMIT && send->kind != SEND_AMEND))
        return referee->why;
    reach(referee, send->now_ns);
    struct asked asked = ask(referee, send, paper);
    bool amends = send->kind == SEND_AMEND;
    bool asks = !amends || asks_more(paper, &asked);
    if (asks && judge_children(referee, &asked) && !paper->reduces)
        judge_all(referee, send, &asked);
    if (amends)
        paper->asked = asked.qty + paper->filled;
    paper->most = larger(paper->most, paper->asked);
    if (!amends && !paper->left)
        note_sent(referee, send, paper);
    paper->left = true;
    return referee->why;
}
