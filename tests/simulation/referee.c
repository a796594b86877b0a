/* referee.c - see referee.h.
 *
 * What leaves is judged by what had left before, by what rests here and by itself. Commands leave
 * in the order in which the gate judged them, so an order of the same turn that has not left yet
 * was judged later, and counts then. Of the prices and the marks between two events each sees the
 * same, so sums are compared exactly, but for GRACE: quotients that the runtime rounded (the
 * average price of fills that only sums told) never decide. */
#include "tests/simulation/referee.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/account.h"
#include "tests/simulation/fuse.h"

#define SENT_KEPT 4096
#define RETURNS_LEAST 20
#define HOURS_A_YEAR 8760
/* Doubles that were added in another order. */
#define VOLATILITY_GRACE 1e-6

struct sent {
    int64_t time_ns;
    uint32_t slot, market;
    bool is_cancel;
};

struct referee {
    struct account account;
    struct fuse fuse;
    struct sent *sent; /* a ring of the newest messages */
    uint64_t sent_count;
    char why[256];
};

struct referee *referee_open(uint32_t market_count)
{
    struct referee *referee = memory_new(sizeof(*referee));
    referee->account.market_count = market_count;
    referee->account.day = -1;
    referee->sent = memory_new(SENT_KEPT * sizeof(struct sent));
    return referee;
}

void referee_close(struct referee *referee)
{
    if (!referee)
        return;
    account_release(&referee->account);
    free(referee->sent);
    free(referee);
}

/* ---- what it is told ---- */

void referee_restart(struct referee *referee)
{
    account_restart(&referee->account);
    fuse_restart(&referee->fuse);
}

void referee_begin(struct referee *referee, const struct rules *rules,
                   const struct referee_instances *instances)
{
    const char *names[RULE_STRATEGIES_MAX];
    for (size_t i = 0; i < instances->count; i++)
        names[i] = instances->names[i];
    referee->account.leverage = instances->leverage;
    account_begin(&referee->account, rules, instances->ids, names, instances->symbols,
                  instances->venue, instances->count, instances->now_ns);
    fuse_restart(
        &referee->fuse); /* a turn that was unsure until now may have told of the old one */
}

void referee_event(struct referee *referee, const struct event *event)
{
    struct account *account = &referee->account;
    bool is_tick = event->kind == EVENT_TRADE || event->kind == EVENT_QUOTE;
    int64_t before = is_tick ? mark2(&account->prices[event->instrument]) : 0;
    account_event(account, event, event->time_ns);
    if (is_tick)
        fuse_price(&referee->fuse, &account->rules, before,
                   mark2(&account->prices[event->instrument]), event->time_ns);
    if (event->kind == EVENT_CONNECTION && !event->connection.up)
        fuse_line_down(&referee->fuse, &account->rules, event->time_ns);
}

void referee_answer(struct referee *referee, const struct report *report, int64_t now_ns)
{
    bool refuses = report->kind == REPORT_REJECTED || report->kind == REPORT_CANCEL_REJECT ||
                   report->kind == REPORT_REPLACE_REJECT;
    fuse_answer(&referee->fuse, &referee->account.rules,
                refuses && strcmp(report->reason, "rate limit") == 0 ? FUSE_SLOW_DOWN
                : report->kind == REPORT_DOUBT                       ? FUSE_FAILED
                                                                     : FUSE_GOOD,
                now_ns);
}

void referee_breaker(struct referee *referee, bool open)
{
    fuse_operate(&referee->fuse, open);
}

void referee_record(struct referee *referee, const struct record *record, int64_t now_ns)
{
    account_record(&referee->account, record, now_ns);
    if (record->kind == RECORD_ALERT && strcmp(record->name, "breaker_open") == 0)
        fuse_told(&referee->fuse, &referee->account.rules, now_ns);
}

void referee_turn(struct referee *referee)
{
    account_turn(&referee->account);
}

void referee_order_is(struct referee *referee, const struct order *order)
{
    account_order_is(&referee->account, order);
}

void referee_position_is(struct referee *referee, uint32_t instance_id, uint32_t market,
                         const struct position *position)
{
    account_position_is(&referee->account, instance_id, market, position);
}

void referee_forget_orders(struct referee *referee, bool (*is_known)(void *self, uint64_t order_id),
                           void *self)
{
    struct account *account = &referee->account;
    for (size_t i = account->open_count; i-- > 0;) {
        struct paper *paper = &account->papers[account->open[i]];
        if (!is_known(self, paper->id))
            account_close_order(account, paper);
    }
}

void referee_forget_figures(struct referee *referee)
{
    struct account *account = &referee->account;
    for (size_t i = 0; i < account->scope_count; i++)
        account->scopes[i].is_unsure = true;
    referee->fuse.by_hand = false;
}

void referee_halt_unsure(struct referee *referee, const char *scope)
{
    struct account *account = &referee->account;
    for (size_t i = 0; i < account->scope_count; i++)
        account->scopes[i].halted &= strcmp(account->scopes[i].name, scope) != 0;
}

/* ---- what an order adds ---- */

/* One that is judged, with what it asks for now. */
struct asked {
    const struct paper *paper;
    int64_t qty;     /* left to fill */
    int64_t price;   /* the highest of limit, trigger and reference */
    int64_t limit;   /* 0: none */
    int64_t opening; /* what is beyond zero for its instance */
    bool is_new;     /* not an amend */
    bool is_first;   /* nor sent again */
    bool is_bare;    /* a market order without a price */
};

static bool counts(const struct account *account, const struct paper *paper,
                   const struct paper *judged)
{
    if (paper->reduces || paper == judged)
        return false;
    return paper->left || (paper->held && (paper->turn < account->turn || paper->id < judged->id));
}

/* Of linked orders one fills: the larger counts, whether the venue links them or not. */
static bool is_counted_by_another(const struct account *account, const struct paper *paper,
                                  const struct asked *asked)
{
    if (paper->group == 0)
        return false;
    if (paper->group == asked->paper->group && paper->side == asked->paper->side)
        return true; /* by the judged one */
    for (size_t i = 0; i < account->open_count; i++) {
        const struct paper *other = account_open(account, i);
        if (other->group == paper->group && other->side == paper->side && other->id < paper->id &&
            counts(account, other, asked->paper))
            return true;
    }
    return false;
}

static bool is_beside(const struct account *account, const struct scope *scope,
                      const struct paper *paper, const struct asked *asked)
{
    return is_in(scope, paper->slot, paper->market) && counts(account, paper, asked->paper) &&
           !is_counted_by_another(account, paper, asked);
}

static int64_t held_in(const struct account *account, const struct scope *scope, uint32_t market)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < account->slot_count; i++)
        if (is_in(scope, i, market))
            sum += account->slots[i].books[market].qty;
    return sum;
}

static int64_t working_in(const struct account *account, const struct scope *scope, uint32_t market,
                          int side, const struct asked *asked)
{
    int64_t sum = 0;
    for (size_t i = 0; i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        if (paper->side == side && paper->market == market &&
            is_beside(account, scope, paper, asked))
            sum += left_of(paper);
    }
    return sum;
}

/* What the order's side of its market would hold at worst, in lots, with all of it filled. */
static int64_t held_after(const struct account *account, const struct scope *scope,
                          const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    return asked->qty + judged->side * held_in(account, scope, judged->market) +
           working_in(account, scope, judged->market, judged->side, asked);
}

/* ---- limits in money ---- */

static bool complain(struct referee *referee, const struct scope *scope, const char *what,
                     const struct asked *asked, money is, money most)
{
    if (is <= most + GRACE)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: %" PRId64 " lots at %" PRId64 " ticks make %.6f, allowed are %.6f", what,
             scope->name, asked->qty, asked->price, (double)is / 1e12, (double)most / 1e12);
    return false;
}

static bool judge_order_size(struct referee *referee, const struct scope *scope,
                             const struct asked *asked)
{
    int64_t most = scope->rules->value[RULE_ORDER_SIZE];
    return !most || complain(referee, scope, rule_name(RULE_ORDER_SIZE), asked,
                             value_of(asked->qty, asked->price), (money)most * NOTIONAL);
}

/* A share of equity that is above zero; false: it is not known here. */
static bool share_of(const struct referee *referee, const struct scope *scope, enum rule rule,
                     money *most)
{
    if (!scope->rules->value[rule] || !account_equity(&referee->account, scope, most))
        return false;
    *most = *most > 0 ? *most / SHARE_WHOLE * scope->rules->value[rule] : 0;
    return true;
}

static bool judge_position_size(struct referee *referee, const struct scope *scope,
                                const struct asked *asked)
{
    money most;
    return !share_of(referee, scope, RULE_POSITION_SIZE, &most) ||
           complain(referee, scope, rule_name(RULE_POSITION_SIZE), asked,
                    value_of(held_after(&referee->account, scope, asked), asked->price), most);
}

/* Where an order will fill at least: its limit, else its trigger; a market order counts at the
 * price of when it was asked for, which is here taken to be four fifths of today's. */
static int64_t least_price(const struct account *account, const struct paper *paper)
{
    const struct price *price = &account->prices[paper->market];
    int64_t at = paper->price ? paper->price : paper->trigger;
    if (at != 0)
        return at;
    return (price->has_quote ? price->bid : price->last) * 4 / 5;
}

/* What takes a position toward zero the runtime may leave out: others count when their market has
 * nothing against them. */
static bool adds_surely(const struct account *account, const struct paper *paper)
{
    return paper->side * account->slots[paper->slot].books[paper->market].qty >= 0;
}

static bool judge_volume(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    const struct account *account = &referee->account;
    int64_t most = scope->rules->value[RULE_DAILY_VOLUME];
    money sum = value_of(asked->opening, asked->price);
    for (uint32_t i = 0; most && i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++)
            if (is_in(scope, i, k))
                sum += account->slots[i].books[k].volume;
    for (size_t i = 0; most && i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        if (is_beside(account, scope, paper, asked) && adds_surely(account, paper))
            sum += value_of(left_of(paper), least_price(account, paper));
    }
    return !most || complain(referee, scope, rule_name(RULE_DAILY_VOLUME), asked, sum,
                             (money)most * NOTIONAL);
}

/* ---- what stops would lose ---- */

/* Of one lot, in money. Without a stop a share of its price. */
static money risk_of_lot(const struct account *account, int64_t entry, int64_t stop)
{
    if (stop == 0)
        return (money)entry * NOTIONAL / SHARE_WHOLE * account->rules.no_stop;
    return (money)(entry > stop ? entry - stop : stop - entry) * NOTIONAL;
}

static money risk_asked(const struct account *account, const struct asked *asked)
{
    const struct paper *paper = asked->paper;
    int64_t at = asked->limit ? asked->limit : paper->trigger;
    if (at == 0)
        at = reference(&account->prices[paper->market], paper->side);
    return asked->opening * risk_of_lot(account, at, paper->stop);
}

static bool judge_trade_risk(struct referee *referee, const struct scope *scope,
                             const struct asked *asked)
{
    money most;
    return !share_of(referee, scope, RULE_TRADE_RISK, &most) ||
           complain(referee, scope, rule_name(RULE_TRADE_RISK), asked,
                    risk_asked(&referee->account, asked), most);
}

/* Lots of a position are covered by the stops that lose the least: the runtime may say more. */
static money heat_of_position(const struct account *account, uint32_t slot, uint32_t market)
{
    const struct price *price = &account->prices[market];
    int64_t held = account->slots[slot].books[market].qty;
    int64_t left = held < 0 ? -held : held, at2 = mark2(price);
    int side = held < 0 ? 1 : -1; /* of a way out */
    money heat = 0, last = -1;
    if (held == 0 || !has_price(price))
        return 0;
    while (left > 0) { /* the next cheapest, all those of one price at once */
        money next = -1;
        int64_t lots = 0;
        for (size_t i = 0; i < account->open_count; i++) {
            const struct paper *paper = account_open(account, i);
            if (paper->slot != slot || paper->market != market || paper->side != side ||
                !paper->reduces || !paper->is_stop || paper->trigger == 0)
                continue;
            money lost = (money)-side * (at2 - 2 * paper->trigger) * (NOTIONAL / 2);
            lost = lost > 0 ? lost : 0;
            if (lost > last && (next < 0 || lost < next))
                next = lost, lots = 0;
            lots += lost == next ? left_of(paper) : 0;
        }
        if (next < 0)
            break;
        heat += smaller(lots, left) * next;
        left -= smaller(lots, left);
        last = next;
    }
    return heat + left * ((money)at2 * (NOTIONAL / 2) / SHARE_WHOLE * account->rules.no_stop);
}

/* A market order with a stop may have been asked for anywhere: it counts nothing here. */
static money heat_of_order(const struct account *account, const struct paper *paper)
{
    if (paper->stop && paper->price == 0 && paper->trigger == 0)
        return 0;
    return left_of(paper) * risk_of_lot(account, least_price(account, paper), paper->stop);
}

static bool judge_heat(struct referee *referee, const struct scope *scope,
                       const struct asked *asked)
{
    const struct account *account = &referee->account;
    money most, sum = risk_asked(account, asked);
    /* A strategy may loosen a stop after it asked, in the same turn: no limit is on that. */
    if (!share_of(referee, scope, RULE_HEAT, &most) || account->stops_turn + 1 >= account->turn)
        return true;
    for (uint32_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++)
            if (is_in(scope, i, k))
                sum += heat_of_position(account, i, k);
    for (size_t i = 0; i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        if (is_beside(account, scope, paper, asked) && adds_surely(account, paper))
            sum += heat_of_order(account, paper);
    }
    return complain(referee, scope, rule_name(RULE_HEAT), asked, sum, most);
}

/* ---- how much it moves ---- */

static double return_of(const struct price *price, size_t index)
{
    return log((double)price->closes2[index] / (double)price->closes2[index - 1]);
}

static bool has_return(const struct price *price, size_t index)
{
    return index > 0 && price->hours[index] == price->hours[index - 1] + 1;
}

/* Of the hours that both have; the sample covariance of a year. Fewer than enough: as if one were
 * the other, on the side that is worse. */
static double covariance(const struct price *a, const struct price *b, size_t *common)
{
    double sum_a = 0, sum_b = 0, sum_ab = 0;
    size_t count = 0, j = 0;
    for (size_t i = 1; i < a->hour_count; i++) {
        while (j < b->hour_count && b->hours[j] < a->hours[i])
            j++;
        if (j == b->hour_count || b->hours[j] != a->hours[i] || !has_return(a, i) ||
            !has_return(b, j))
            continue;
        double x = return_of(a, i), y = return_of(b, j);
        sum_a += x;
        sum_b += y;
        sum_ab += x * y;
        count++;
    }
    *common = count;
    if (count < 2)
        return 0;
    double n = (double)count;
    return (sum_ab - sum_a * sum_b / n) / (n - 1) * HOURS_A_YEAR;
}

/* The variance of a year. False: there is no estimate for something. */
static bool variance_of(const struct account *account, const double *weights, double *variance)
{
    *variance = 0;
    for (uint32_t i = 0; i < account->market_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++) {
            size_t own, other, common;
            if (weights[i] == 0 || weights[k] == 0)
                continue;
            double of_i = covariance(&account->prices[i], &account->prices[i], &own);
            double of_k = covariance(&account->prices[k], &account->prices[k], &other);
            double both = covariance(&account->prices[i], &account->prices[k], &common);
            if (own < RETURNS_LEAST || other < RETURNS_LEAST)
                return false;
            double product = weights[i] * weights[k];
            *variance += common < RETURNS_LEAST && i != k ? fabs(product) * sqrt(of_i * of_k)
                                                          : product * both;
        }
    return true;
}

/* As if no other order would fill but those of its own side that were there before it, and as if
 * none of another market: what hedges is not counted on. The runtime also asks what if all fill. */
static bool judge_volatility(struct referee *referee, const struct scope *scope,
                             const struct asked *asked)
{
    const struct account *account = &referee->account;
    const struct paper *judged = asked->paper;
    int64_t limit = scope->rules->value[RULE_VOLATILITY];
    double weights[MARKETS_MAX] = { 0 }, before, after;
    money equity;
    if (!limit || !account_equity(account, scope, &equity) || equity <= 0)
        return true;
    double whole = (double)equity / 1e12;
    for (uint32_t k = 0; k < account->market_count; k++)
        weights[k] =
            (double)held_in(account, scope, k) * (double)mark2(&account->prices[k]) * 5e-6 / whole;
    int64_t change = asked->qty + working_in(account, scope, judged->market, judged->side, asked);
    bool known = variance_of(account, weights, &before);
    weights[judged->market] += judged->side * (double)change * (double)asked->price * 1e-5 / whole;
    known &= variance_of(account, weights, &after);
    double most = (double)limit / 1e9 * (1 + VOLATILITY_GRACE);
    if (known && (after <= most * most || after <= before * (1 + VOLATILITY_GRACE)))
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: %" PRId64 " lots make %.9f of %.9f, allowed are %.9f%s",
             rule_name(RULE_VOLATILITY), scope->name, asked->opening, sqrt(after), sqrt(before),
             (double)limit / 1e9, known ? "" : ", and there is no estimate");
    return false;
}

/* ---- counts ---- */

static bool complain_count(struct referee *referee, const struct scope *scope, const char *what,
                           int64_t is, int64_t most)
{
    if (is <= most)
        return true;
    snprintf(referee->why, sizeof(referee->why),
             "C1 %s of %s: it makes %" PRId64 ", allowed are %" PRId64, what, scope->name, is,
             most);
    return false;
}

/* Of an instance in a market: something is held, or may come to be by what counts. */
static bool is_taken(const struct account *account, uint32_t slot, uint32_t market,
                     const struct paper *judged)
{
    bool taken = account->slots[slot].books[market].qty != 0;
    for (size_t i = 0; !taken && i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        taken = paper->slot == slot && paper->market == market && counts(account, paper, judged);
    }
    return taken;
}

static bool judge_positions(struct referee *referee, const struct scope *scope,
                            const struct asked *asked)
{
    const struct account *account = &referee->account;
    const struct paper *judged = asked->paper;
    int64_t most = scope->rules->value[RULE_OPEN_POSITIONS], sum = 1;
    if (!most || !asked->is_new || is_taken(account, judged->slot, judged->market, judged))
        return true;
    for (uint32_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++)
            sum += is_in(scope, i, k) && is_taken(account, i, k, judged);
    return complain_count(referee, scope, rule_name(RULE_OPEN_POSITIONS), sum, most);
}

static bool judge_trades(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    const struct account *account = &referee->account;
    int64_t most = scope->rules->value[RULE_DAILY_TRADES], sum = !asked->paper->ever_filled;
    if (!most || !asked->is_new)
        return true;
    for (uint32_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++)
            if (is_in(scope, i, k) && account->slots[i].strategy[0])
                sum += account->slots[i].books[k].trades;
    for (size_t i = 0; i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        sum += !paper->ever_filled && account->slots[paper->slot].strategy[0] &&
               is_beside(account, scope, paper, asked) && adds_surely(account, paper);
    }
    return complain_count(referee, scope, rule_name(RULE_DAILY_TRADES), sum, most);
}

/* Messages in the second that ends now, this one included: all of them, and of those that are no
 * cancels no more than is not kept for cancels. */
static bool judge_rate(struct referee *referee, const struct scope *scope, int64_t now_ns)
{
    int64_t most = scope->rules->value[RULE_ORDER_RATE], all = 1, orders = 1;
    int64_t kept = (most * referee->account.rules.reserve + 99) / 100;
    int64_t part = larger(most - kept, 1);
    for (uint64_t i = referee->sent_count; most && i-- > 0;) {
        const struct sent *sent = &referee->sent[i % SENT_KEPT];
        if (sent->time_ns <= now_ns - NS_PER_SECOND || i + SENT_KEPT < referee->sent_count)
            break;
        bool concerns = is_in(scope, sent->slot, sent->market);
        all += concerns;
        orders += concerns && !sent->is_cancel;
    }
    return !most || (complain_count(referee, scope, "max_orders_per_second", all, most) &&
                     complain_count(referee, scope, "max_orders_per_second, less what is kept,",
                                    orders, part));
}

/* ---- prices ---- */

static bool complain_price(struct referee *referee, const char *what, const struct asked *asked,
                           int64_t against)
{
    snprintf(referee->why, sizeof(referee->why), "C1 %s: %s at %" PRId64 " against %" PRId64, what,
             asked->paper->side > 0 ? "a buy" : "a sell", asked->limit, against);
    return false;
}

/* What waits at the venue for its trigger is judged by the venue's price then. */
static bool judge_collar(struct referee *referee, const struct scope *scope,
                         const struct asked *asked)
{
    const struct paper *judged = asked->paper;
    int64_t pct = scope->rules->value[RULE_COLLAR];
    int64_t at = reference(&referee->account.prices[judged->market], judged->side);
    bool waits = judged->trigger != 0 && !asked->is_bare;
    bool beyond = (money)judged->side * (asked->limit - at) * SHARE_WHOLE >
                  (money)at * pct; /* no limit: no */
    if (!pct || waits || (asked->limit == 0 && !asked->is_bare))
        return true;
    if (asked->is_bare)
        return complain_price(referee, "price_collar_pct, and it leaves without a price", asked,
                              at);
    return !beyond || complain_price(referee, rule_name(RULE_COLLAR), asked, at);
}

/* An order of ours that rests at the venue, on the other side. What goes to the market meets the
 * touch first, whatever it may get at worst. */
static bool judge_self_trade(struct referee *referee, const struct asked *asked)
{
    const struct account *account = &referee->account;
    const struct paper *judged = asked->paper;
    int64_t at =
        judged->is_limit ? asked->limit : reference(&account->prices[judged->market], judged->side);
    if (!account->rules.self_trade_prevention || (judged->trigger != 0 && !asked->is_bare))
        return true;
    for (size_t i = 0; i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
        if (paper->left && paper->is_limit && paper->market == judged->market &&
            paper->side != judged->side && judged->side * (at - paper->price) >= 0)
            return complain_price(referee, "it would trade with our own order", asked,
                                  paper->price);
    }
    return true;
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
    const struct account *account = &referee->account;
    const struct paper *judged = asked->paper;
    const char *strategy = account->slots[judged->slot].strategy;
    int64_t most = target_most(strategy);
    for (size_t i = 0; most > 0 && i < account->open_count; i++) {
        const struct paper *paper = account_open(account, i);
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
static int64_t filled_by(const struct account *account, const struct paper *judged, int64_t *most)
{
    int64_t sum = 0;
    for (size_t i = 0; i < account->paper_count; i++) {
        const struct paper *paper = &account->papers[i];
        bool same =
            judged->parent ? paper->parent == judged->parent : paper->group == judged->group;
        if (!same || paper->slot != judged->slot)
            continue;
        sum += paper->filled;
        *most = larger(*most, paper->most);
    }
    return sum;
}

/* An exit: what its entry filled and no exit has, and what is held. Strategies that change exits
 * themselves may ask for all that is held, and may ask for less of one that is too large already:
 * its position went, and the venue would not cancel it. */
static bool judge_exit(struct referee *referee, const struct asked *asked)
{
    const struct account *account = &referee->account;
    const struct paper *judged = asked->paper;
    const struct paper *entry = account_paper(account, judged->parent);
    int64_t most = 0, filled = filled_by(account, judged, &most);
    int64_t held = account->slots[judged->slot].books[judged->market].qty;
    if (!asked->is_new && asked->qty <= left_of(judged))
        return true;
    bool is_ours = strcmp(account->slots[judged->slot].strategy, "protected") == 0;
    if (is_ours && entry &&
        !complain_child(referee, asked, "its entry and the exits", entry->filled - filled))
        return false;
    return complain_child(referee, asked, "the position does", -judged->side * held);
}

/* Linked orders fill together what one of them may. An amend may ask for more. */
static bool judge_linked(struct referee *referee, const struct asked *asked)
{
    int64_t most = 0, filled = filled_by(&referee->account, asked->paper, &most);
    return !asked->is_new || complain_child(referee, asked, "the linked orders", most - filled);
}

static bool judge_children(struct referee *referee, const struct asked *asked)
{
    if (asked->paper->parent)
        return judge_exit(referee, asked);
    return !asked->paper->group || judge_linked(referee, asked);
}

/* ---- one that leaves ---- */

static bool judge_halt(struct referee *referee, const struct scope *scope)
{
    if (scope->lost)
        snprintf(referee->why, sizeof(referee->why), "C8 it adds risk after %s", scope->why);
    else if (scope->halted)
        snprintf(referee->why, sizeof(referee->why), "C8 it adds risk while %s is halted",
                 scope->name);
    return !scope->lost && !scope->halted;
}

/* What only reduces what a scope holds, all others of its side filled, is not bound by it: another
 * strategy may hold the other side. */
static bool judge(struct referee *referee, const struct scope *scope, const struct asked *asked,
                  const struct referee_send *send)
{
    return judge_halt(referee, scope) && judge_rate(referee, scope, send->rate_ns) &&
           judge_trades(referee, scope, asked) && judge_positions(referee, scope, asked) &&
           judge_collar(referee, scope, asked) && judge_order_size(referee, scope, asked) &&
           judge_volume(referee, scope, asked) && judge_position_size(referee, scope, asked) &&
           judge_trade_risk(referee, scope, asked) && judge_heat(referee, scope, asked) &&
           judge_volatility(referee, scope, asked);
}

/* No instance here has more than one market. */
static bool judge_power(struct referee *referee, const struct scope *own, const struct asked *asked,
                        int64_t after)
{
    const struct account *account = &referee->account;
    money equity;
    return !account_equity(account, own, &equity) ||
           complain(referee, own, "buying power", asked, value_of(after, asked->price),
                    equity * account->leverage);
}

static const struct scope *own_scope(const struct account *account, uint32_t slot)
{
    for (size_t i = 0; i < account->scope_count; i++)
        if (account->scopes[i].slot == slot)
            return &account->scopes[i];
    return NULL;
}

static bool judge_all(struct referee *referee, const struct referee_send *send, struct asked *asked)
{
    const struct account *account = &referee->account;
    const struct paper *paper = asked->paper;
    const struct scope *own = own_scope(account, paper->slot);
    struct scope alone = { .slot = paper->slot, .market = ANY };
    int64_t after = held_after(account, &alone, asked);
    asked->opening = smaller(after, asked->qty);
    if (asked->opening <= 0)
        return true; /* getting out is never forbidden */
    if (!judge_target(referee, asked, after))
        return false;
    if (!account->rules.any)
        return true;
    if (fuse_is_open(&referee->fuse, send->now_ns)) {
        snprintf(referee->why, sizeof(referee->why), "C8 it adds risk while the breaker is open%s",
                 referee->fuse.by_hand ? ", by hand" : "");
        return false;
    }
    fuse_sent(&referee->fuse, send->now_ns);
    if (account->repeated[0] || !has_price(&account->prices[paper->market])) {
        snprintf(referee->why, sizeof(referee->why), "%s%s",
                 account->repeated[0] ? "C8 it adds risk after " : "C1 no price was seen",
                 account->repeated);
        return false;
    }
    if ((own && !judge_power(referee, own, asked, after)) || !judge_self_trade(referee, asked))
        return false;
    for (size_t i = 0; i < account->scope_count; i++)
        if (is_in(&account->scopes[i], paper->slot, paper->market) &&
            !judge(referee, &account->scopes[i], asked, send))
            return false;
    return true;
}

static struct asked ask(const struct account *account, const struct referee_send *send,
                        const struct paper *paper)
{
    bool amends = send->kind == SEND_AMEND;
    int64_t limit = account_ticks(amends ? send->price : send->order->price);
    int64_t price = larger(limit, paper->trigger);
    int64_t at = reference(&account->prices[paper->market], paper->side);
    return (struct asked){ .paper = paper,
                           .qty =
                               account_lots(amends ? send->qty : send->order->qty) - paper->filled,
                           .price = larger(price, at),
                           .limit = limit,
                           .is_new = !amends,
                           .is_first = !amends && !paper->left,
                           .is_bare = !amends && send->order->type == ORDER_MARKET && !limit };
}

/* More lots, a dearer buy, a sell at another price. */
static bool asks_more(const struct paper *paper, const struct asked *asked)
{
    return asked->qty > left_of(paper) ||
           (paper->side > 0 ? asked->limit > paper->price : asked->limit != paper->price);
}

static void note_sent(struct referee *referee, const struct referee_send *send,
                      const struct paper *paper)
{
    referee->sent[referee->sent_count++ % SENT_KEPT] =
        (struct sent){ .time_ns = send->rate_ns,
                       .slot = paper->slot,
                       .market = paper->market,
                       .is_cancel = send->kind == SEND_CANCEL };
}

const char *referee_send(struct referee *referee, const struct referee_send *send)
{
    struct account *account = &referee->account;
    struct paper *paper = account_paper(account, send->order->order_id);
    referee->why[0] = '\0';
    if (!paper)
        return referee->why;
    account_reach(account, send->now_ns);
    if (send->kind != SEND_CANCEL) {
        struct asked asked = ask(account, send, paper);
        bool amends = send->kind == SEND_AMEND;
        bool asks = !amends || asks_more(paper, &asked);
        if (asks && judge_children(referee, &asked) && !paper->reduces)
            judge_all(referee, send, &asked);
        if (amends)
            paper->asked = asked.qty + paper->filled;
        paper->most = larger(paper->most, paper->asked);
        paper->left = true;
    }
    note_sent(referee, send, paper);
    return referee->why;
}
