/* account.c - see account.h. */
#include "tests/simulation/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLES (2 * NS_PER_SECOND)

void account_release(struct account *account)
{
    free(account->papers);
    free(account->open);
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

int64_t account_lots(decimal qty)
{
    return (int64_t)units(qty, QTY_SCALE);
}

int64_t account_ticks(decimal price)
{
    return (int64_t)units(price, PRICE_SCALE);
}

/* ---- books ---- */

uint32_t account_slot(struct account *account, uint32_t instance_id)
{
    for (uint32_t i = 0; i < account->slot_count; i++)
        if (account->slots[i].instance_id == instance_id)
            return i;
    ASSERT(account->slot_count < SLOTS_MAX);
    account->slots[account->slot_count].instance_id = instance_id;
    return (uint32_t)account->slot_count++;
}

/* Where it is, or where it would be. */
static size_t place_of(const struct account *account, uint64_t id)
{
    size_t low = 0, high = account->paper_count;
    if (high > 0 && account->papers[high - 1].id < id)
        return high;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (account->papers[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct paper *account_paper(const struct account *account, uint64_t id)
{
    size_t at = place_of(account, id);
    return at < account->paper_count && account->papers[at].id == id ? &account->papers[at] : NULL;
}

static struct paper *add_paper(struct account *account, uint64_t id)
{
    size_t at = place_of(account, id);
    account->papers = memory_grow(account->papers, &account->paper_capacity,
                                  account->paper_count + 1, sizeof(struct paper));
    memmove(&account->papers[at + 1], &account->papers[at],
            (account->paper_count - at) * sizeof(struct paper));
    for (size_t i = 0; i < account->open_count; i++)
        account->open[i] += account->open[i] >= at;
    account->paper_count++;
    struct paper *paper = &account->papers[at];
    *paper = (struct paper){ .id = id, .turn = account->turn };
    return paper;
}

static void list_open(struct account *account, struct paper *paper, bool open)
{
    size_t index = (size_t)(paper - account->papers), at = 0;
    if (paper->open == open)
        return;
    paper->open = open;
    if (open) {
        account->open = memory_grow(account->open, &account->open_capacity, account->open_count + 1,
                                    sizeof(size_t));
        account->open[account->open_count++] = index;
        return;
    }
    while (account->open[at] != index)
        at++;
    account->open[at] = account->open[--account->open_count];
}

void account_close_order(struct account *account, struct paper *paper)
{
    list_open(account, paper, false);
}

static bool is_open(const struct order *order)
{
    return order->known == ORDER_PENDING_NEW || order->known == ORDER_NEW ||
           order->known == ORDER_PARTIALLY_FILLED;
}

static bool is_stop(enum order_type type)
{
    return type == ORDER_STOP || type == ORDER_STOP_LIMIT || type == ORDER_TRAILING;
}

void account_order_is(struct account *account, const struct order *order)
{
    struct paper *paper = account_paper(account, order->order_id);
    if (!paper)
        paper = add_paper(account, order->order_id);
    paper->slot = account_slot(account, order->instance_id);
    paper->market = order->instrument;
    paper->side = order->side == SIDE_BUY ? 1 : -1;
    paper->role = order->role;
    paper->group = order->group_id;
    paper->parent = order->parent_order_id;
    paper->reduces = order->reduce_only;
    paper->held = order->held;
    paper->left &= !order->held;
    paper->is_limit = order->type == ORDER_LIMIT;
    if (order->reduce_only && order->type != ORDER_LIMIT && order->type != ORDER_MARKET)
        account->stops_turn = account->turn;
    paper->is_stop = is_stop(order->type);
    paper->qty = account_lots(order->qty);
    paper->filled = account_lots(order->filled_qty);
    paper->price = account_ticks(order->price);
    paper->trigger = account_ticks(order->trigger_price);
    paper->stop = account_ticks(order->stop);
    paper->most = larger(paper->most, paper->qty);
    if (!(order->pending & PENDING_REPLACE))
        paper->asked = 0;
    list_open(account, paper, is_open(order));
}

static money worth_of(const struct fill *fill)
{
    if (fill->kind != FILL_TRADE)
        return units(fill->notional, 12);
    return units(fill->qty, QTY_SCALE) * units(fill->price, PRICE_SCALE) * NOTIONAL;
}

/* Executions that came too often: so many within so long. */
static void note_execution(struct account *account, struct book *book, int64_t now_ns)
{
    uint64_t most = (uint64_t)account->rules.repeated;
    book->fills_ns[book->fills++ % FILLS_KEPT] = now_ns;
    if (most == 0 || book->fills < most)
        return;
    int64_t first_ns = book->fills_ns[(book->fills - most) % FILLS_KEPT];
    if (now_ns - first_ns < account->rules.repeated_s * NS_PER_SECOND)
        snprintf(account->repeated, sizeof(account->repeated),
                 "%" PRIu64 " executions within %" PRId64 " s", most, account->rules.repeated_s);
}

static void book_fill(struct account *account, const struct record *record, int64_t now_ns)
{
    const struct fill *fill = &record->fill;
    struct paper *paper = account_paper(account, record->order.order_id);
    struct book *book =
        &account->slots[account_slot(account, record->instance_id)].books[record->instrument];
    int sign = fill->kind == FILL_REVERSAL ? -1 : 1;
    int side = record->order.side == SIDE_BUY ? 1 : -1;
    int64_t qty = sign * account_lots(fill->qty);
    book->qty += side * qty;
    book->flow -= sign * side * worth_of(fill);
    book->fees += sign * units(fill->fee, 12);
    book->volume += sign * worth_of(fill);
    account->booked = true;
    if (sign > 0)
        note_execution(account, book, now_ns);
    /* The first fill of an order makes a trade of the day; one that is taken back leaves it. */
    if (paper && !paper->ever_filled && paper->role == ROLE_PLAIN) {
        paper->counts_today = true;
        book->trades++;
    }
    if (paper)
        paper->ever_filled = true;
}

void account_position_is(struct account *account, uint32_t instance_id, uint32_t market,
                         const struct position *position)
{
    struct book *book = &account->slots[account_slot(account, instance_id)].books[market];
    book->qty = account_lots(position->qty);
    book->flow = units(position->realized_pnl, 12) + units(position->funding, 12) -
                 units(position->cost, 12);
    book->fees = units(position->fees, 12);
}

/* ---- equity ---- */

bool account_equity(const struct account *account, const struct scope *scope, money *equity)
{
    *equity = (money)scope->capital * UNIT;
    for (uint32_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++) {
            const struct book *book = &account->slots[i].books[k];
            if (!is_in(scope, i, k))
                continue;
            *equity += book->flow - book->fees;
            if (book->qty != 0 && !has_price(&account->prices[k]))
                return false;
            *equity += (money)book->qty * mark2(&account->prices[k]) * (NOTIONAL / 2);
        }
    return true;
}

/* ---- losses ---- */

static bool watches(const struct scope *scope)
{
    const int64_t *limits = scope->rules->value;
    return limits[RULE_DAILY_LOSS] || limits[RULE_DAILY_LOSS_PCT] || limits[RULE_DRAWDOWN];
}

static void lose(struct scope *scope, enum rule rule, money lost, money bound)
{
    if (scope->lost || bound <= 0 || lost <= bound + GRACE)
        return;
    scope->lost = true;
    snprintf(scope->why, sizeof(scope->why), "%s of %s: %.6f lost, %.6f allowed", rule_name(rule),
             scope->name, (double)lost / 1e12, (double)bound / 1e12);
}

/* The runtime judges at each fill and at the first event of each market second, with what stood
 * before that event: so does this. It may judge oftener, and halt earlier. */
static void judge_losses(struct account *account)
{
    for (size_t i = 0; i < account->scope_count; i++) {
        struct scope *scope = &account->scopes[i];
        const int64_t *limits = scope->rules->value;
        money equity;
        if (!watches(scope) || scope->settles_ns || !account_equity(account, scope, &equity))
            continue;
        if (equity > scope->peak)
            scope->peak = equity;
        lose(scope, RULE_DAILY_LOSS, scope->opening - equity,
             (money)limits[RULE_DAILY_LOSS] * NOTIONAL);
        lose(scope, RULE_DAILY_LOSS_PCT, scope->opening - equity,
             scope->opening / SHARE_WHOLE * limits[RULE_DAILY_LOSS_PCT]);
        lose(scope, RULE_DRAWDOWN, scope->peak - equity,
             scope->peak / SHARE_WHOLE * limits[RULE_DRAWDOWN]);
    }
}

/* What a restart does not know it takes from what it finds, at an instant of its own: the least of
 * what is found soon after counts here. */
static void settle(struct account *account, int64_t now_ns)
{
    account->settles = false;
    for (size_t i = 0; i < account->scope_count; i++) {
        struct scope *scope = &account->scopes[i];
        money equity;
        if (!scope->settles_ns)
            continue;
        account->settles = true;
        if (!account_equity(account, scope, &equity))
            continue;
        if (scope->settles_ns == TIME_NEVER)
            scope->settles_ns = now_ns + SETTLES;
        if (!scope->is_opened || equity < scope->opening)
            scope->opening = equity;
        if (!scope->has_peak || equity < scope->peak)
            scope->peak = equity;
        scope->is_opened = scope->has_peak = true;
        if (now_ns >= scope->settles_ns)
            scope->settles_ns = 0;
    }
}

/* ---- the day ---- */

static void begin_day(struct account *account, int64_t now_ns)
{
    account->day = now_ns / NS_PER_DAY;
    for (size_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < account->market_count; k++) {
            account->slots[i].books[k].volume = 0;
            account->slots[i].books[k].trades = 0;
        }
    for (size_t i = 0; i < account->paper_count; i++)
        account->papers[i].counts_today = false;
    for (size_t i = 0; i < account->scope_count; i++) {
        struct scope *scope = &account->scopes[i];
        scope->lost = false;
        scope->is_opened = account_equity(account, scope, &scope->opening);
        if (!scope->is_opened)
            scope->settles_ns = TIME_NEVER;
    }
}

/* Nothing has changed since the clock was looked at last. */
void account_reach(struct account *account, int64_t now_ns)
{
    if (account->settles)
        settle(account, now_ns);
    if (now_ns / NS_PER_SECOND > account->second) {
        account->second = now_ns / NS_PER_SECOND;
        if (account->watches_losses)
            judge_losses(account);
    }
    if (now_ns / NS_PER_DAY > account->day)
        begin_day(account, now_ns);
}

/* ---- what the runtime hears ---- */

static void note_hour(struct price *price, int64_t hour, int64_t close2)
{
    size_t count = price->hour_count;
    if (close2 <= 0 || (count > 0 && price->hours[count - 1] >= hour))
        return;
    if (count == HOURS_MAX) {
        memmove(price->hours, price->hours + 1, (count - 1) * sizeof(price->hours[0]));
        memmove(price->closes2, price->closes2 + 1, (count - 1) * sizeof(price->closes2[0]));
        count--;
    }
    price->hours[count] = hour;
    price->closes2[count] = close2;
    price->hour_count = count + 1;
}

/* The first event of an hour finds the marks that the last one ended with. */
static void reach_hour(struct account *account, int64_t now_ns)
{
    int64_t hour = now_ns / NS_PER_HOUR;
    if (hour == account->hour)
        return;
    for (uint32_t k = 0; k < account->market_count && account->hour != 0; k++)
        if (has_price(&account->prices[k]))
            note_hour(&account->prices[k], hour - 1, mark2(&account->prices[k]));
    account->hour = hour;
}

void account_event(struct account *account, const struct event *event, int64_t now_ns)
{
    if (event->kind == EVENT_BAR && event->bar.is_history) {
        if (event->time_ns - event->bar.open_ns == NS_PER_HOUR)
            note_hour(&account->prices[event->instrument], event->time_ns / NS_PER_HOUR - 1,
                      2 * event->bar.close);
        return;
    }
    if (!account->rules.any)
        return;
    account_reach(account, now_ns);
    reach_hour(account, now_ns);
    if (event->kind == EVENT_TRADE)
        account->prices[event->instrument].last = event->trade.price;
    if (event->kind == EVENT_QUOTE) {
        struct price *price = &account->prices[event->instrument];
        price->has_quote = true;
        price->bid = event->quote.bid;
        price->ask = event->quote.ask;
    }
}

/* ---- what it stores ---- */

static struct scope *scope_named(struct account *account, const char *name)
{
    for (size_t i = 0; i < account->scope_count; i++)
        if (strcmp(account->scopes[i].name, name) == 0)
            return &account->scopes[i];
    return NULL;
}

/* Whoever lifts the halt of a loss accepts it: counting begins anew. A day's end accepts nothing.
 * Whether the runtime saw a loss that was near its limit is not known here: the smaller one counts.
 */
static void note_lift(struct account *account, struct scope *scope, const struct record *record)
{
    money equity;
    if (!strstr(record->body, "the day's end") && account_equity(account, scope, &equity)) {
        scope->opening = equity < scope->opening ? equity : scope->opening;
        scope->peak = equity < scope->peak ? equity : scope->peak;
    } else if (!strstr(record->body, "the day's end")) {
        scope->is_opened = scope->has_peak = false; /* no price yet: with the first one */
        scope->settles_ns = TIME_NEVER;
        account->settles = true;
    }
    scope->lost = false;
}

static void note_halt(struct account *account, const struct record *record)
{
    bool is_lifted = strstr(record->body, "\"lifted_by\"") != NULL;
    struct scope *scope = scope_named(account, record->name);
    if (!scope)
        return;
    scope->halted = !is_lifted;
    if (is_lifted)
        note_lift(account, scope, record);
    if (is_lifted && scope == &account->scopes[0])
        account->repeated[0] = '\0';
}

/* The day's figures as they stand now are in the ledger. */
static void note_saved(struct account *account)
{
    for (size_t i = 0; i < account->scope_count; i++) {
        struct scope *scope = &account->scopes[i];
        scope->was_saved = scope->is_opened && scope->has_peak && !scope->settles_ns;
        scope->is_unsure = false;
        scope->saved_day = account->day;
        scope->saved_opening = scope->opening;
        scope->saved_peak = scope->peak;
    }
}

void account_record(struct account *account, const struct record *record, int64_t now_ns)
{
    account_reach(account, now_ns);
    switch (record->kind) {
    case RECORD_ORDER:
        account_order_is(account, &record->order);
        return;
    case RECORD_FILL:
        book_fill(account, record, now_ns);
        return;
    case RECORD_HALT:
        note_halt(account, record);
        return;
    case RECORD_STATE:
        if (strcmp(record->name, "risk") == 0)
            note_saved(account);
        return;
    case RECORD_ADJUSTMENT:
    case RECORD_POSITION:
        break;
    default:
        return;
    }
    struct book *book =
        &account->slots[account_slot(account, record->instance_id)].books[record->instrument];
    book->adjusted |= record->kind == RECORD_ADJUSTMENT;
    if (book->adjusted && record->kind == RECORD_POSITION) /* not the sum of fills any more */
        account_position_is(account, record->instance_id, record->instrument, &record->position);
}

void account_turn(struct account *account)
{
    account->turn++;
    if (account->booked && account->watches_losses)
        judge_losses(account);
    account->booked = false;
}

/* ---- a process begins ---- */

void account_restart(struct account *account)
{
    memset(account->prices, 0, sizeof(account->prices));
    account->hour = 0;
    for (size_t i = 0; i < account->slot_count; i++)
        for (uint32_t k = 0; k < MARKETS_MAX; k++)
            account->slots[i].books[k].fills = 0;
}

PRINTF_LIKE(6, 7)
static void add_scope(struct account *account, const struct rule_set *rules, uint32_t slot,
                      uint32_t market, int64_t capital, const char *format, ...)
{
    struct scope *scope = &account->scopes[account->scope_count++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(scope->name, sizeof(scope->name), format, arguments);
    va_end(arguments);
    scope->rules = rules;
    scope->slot = slot;
    scope->market = market;
    scope->capital = capital;
    account->watches_losses |= watches(scope);
}

/* What it goes on from: what was recorded, on the same day. */
static void recall(struct account *account, struct scope *scope)
{
    scope->lost = false;
    scope->is_opened = scope->was_saved && scope->saved_day == account->day;
    scope->has_peak = scope->was_saved;
    scope->opening = scope->saved_opening;
    scope->peak = scope->saved_peak;
    scope->settles_ns = scope->is_opened && !scope->is_unsure ? 0 : TIME_NEVER;
    account->settles |= scope->settles_ns != 0;
}

void account_begin(struct account *account, const struct rules *rules, const uint32_t *ids,
                   const char *const *names, const char *const *symbols, const char *venue,
                   size_t count, int64_t now_ns)
{
    int64_t capital = 0;
    account->rules = *rules;
    rules = &account->rules;
    for (size_t i = 0; i < account->open_count; i++)
        account->papers[account->open[i]].left = !account->papers[account->open[i]].held;
    for (size_t i = 0; i < count; i++)
        capital += rules->capital[i];
    account->scope_count = 0;
    account->watches_losses = false;
    account->second = now_ns / NS_PER_SECOND;
    add_scope(account, &rules->account, ANY, ANY, capital, "session");
    add_scope(account, &rules->venue, ANY, ANY, capital, "venue %s", venue);
    for (uint32_t k = 0; k < account->market_count; k++)
        add_scope(account, &rules->symbols[k], ANY, k, capital, "symbol %s", symbols[k]);
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = account_slot(account, ids[i]);
        snprintf(account->slots[slot].strategy, sizeof(account->slots[slot].strategy), "%s",
                 names[i]);
        add_scope(account, &rules->strategies[i], slot, ANY, rules->capital[i], "instance %" PRIu32,
                  ids[i]);
    }
    if (now_ns / NS_PER_DAY > account->day)
        begin_day(account, now_ns);
    for (size_t i = 0; i < account->scope_count; i++)
        recall(account, &account->scopes[i]);
}
