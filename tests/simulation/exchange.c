/* exchange.c - see exchange.h.
 *
 * The market is a walk of one mid price an instrument, with a quote around it and strangers who
 * trade at the quote. Our orders take from the quote, level by level, and rest behind what stood at
 * their price when they came. Two of our own orders never meet. */
#include "tests/simulation/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS 6 /* of the book that a taker may walk through */

static bool chance(struct exchange *exchange, unsigned percent)
{
    return random_below(&exchange->random, 100) < percent;
}

static int64_t between(struct exchange *exchange, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(&exchange->random, (uint64_t)(high - low + 1));
}

void exchange_init(struct exchange *exchange, const struct exchange_profile *profile,
                   uint32_t market_count, uint64_t seed, int64_t now_ns)
{
    *exchange = (struct exchange){ .profile = *profile,
                                   .market_count = market_count,
                                   .now_ns = now_ns,
                                   .gap_ns = 2 * NS_PER_SECOND };
    random_seed(&exchange->random, seed);
    for (uint32_t i = 0; i < market_count; i++) {
        struct market_book *market = &exchange->markets[i];
        market->mid = between(exchange, 5000, 50000);
        market->last = market->mid;
        market->quote = (struct exchange_quote){ market->mid - 1, market->mid + 1, 100, 100 };
        market->next_ns = now_ns + between(exchange, NS_PER_MS, NS_PER_SECOND);
    }
}

void exchange_release(struct exchange *exchange)
{
    free(exchange->orders);
    free(exchange->open);
    free(exchange->trades);
}

/* ---- orders ---- */

static struct exchange_order *order_at(struct exchange *exchange, uint64_t id)
{
    ASSERT(id >= 1 && id <= exchange->order_count);
    return &exchange->orders[id - 1];
}

const struct exchange_order *exchange_order(const struct exchange *exchange, uint64_t id)
{
    ASSERT(id >= 1 && id <= exchange->order_count);
    return &exchange->orders[id - 1];
}

const struct exchange_order *exchange_find(const struct exchange *exchange, const char *client_id)
{
    for (size_t i = exchange->order_count; i-- > 0;) {
        const struct exchange_order *order = &exchange->orders[i];
        if (strcmp(order->client_id, client_id) == 0)
            return order;
    }
    return NULL;
}

static struct exchange_order *find_open(struct exchange *exchange, const char *client_id)
{
    for (size_t i = 0; i < exchange->open_count; i++) {
        struct exchange_order *order = order_at(exchange, exchange->open[i]);
        if (strcmp(order->client_id, client_id) == 0)
            return order;
    }
    return NULL;
}

static void tell(struct exchange *exchange, enum exchange_news news, struct exchange_order *order,
                 const struct exchange_trade *trade)
{
    order->tells++;
    exchange->listener.news(exchange->listener.self, news, order, trade);
}

static void unlist(struct exchange *exchange, uint64_t id)
{
    size_t i = 0;
    while (i < exchange->open_count && exchange->open[i] != id)
        i++;
    if (i == exchange->open_count)
        return;
    memmove(&exchange->open[i], &exchange->open[i + 1],
            (--exchange->open_count - i) * sizeof(exchange->open[0]));
}

static void end(struct exchange *exchange, struct exchange_order *order,
                enum exchange_status status, const char *reason)
{
    order->status = status;
    order->reason = reason;
    unlist(exchange, order->id);
    if (status == EX_CANCELED)
        tell(exchange, NEWS_CANCELED, order, NULL);
    else if (status == EX_EXPIRED)
        tell(exchange, NEWS_EXPIRED, order, NULL);
}

/* ---- the account ---- */

/* What is open keeps its average cost, rounded down; what is closed takes the rest with it. */
static void move_position(struct market_book *market, int side, int64_t qty, money value)
{
    int64_t before = market->position;
    int64_t after = before + side * qty;
    market->flow -= side * value;
    if (before == 0 || (before > 0) == (side > 0)) {
        market->open_cost += side * value;
    } else if (after == 0) {
        market->open_cost = 0;
    } else if ((after > 0) == (before > 0)) {
        market->open_cost = market->open_cost * after / before;
    } else {
        market->open_cost = value * after / qty;
    }
    market->position = after;
}

money exchange_cash(const struct exchange *exchange)
{
    money sum = -exchange->fees;
    for (uint32_t i = 0; i < exchange->market_count; i++) {
        const struct market_book *market = &exchange->markets[i];
        sum += market->flow;
        if (!exchange->profile.is_spot)
            sum += market->open_cost;
    }
    return sum;
}

static void cancel_group(struct exchange *exchange, const struct exchange_order *filled)
{
    if (!filled->group || !exchange->profile.oco)
        return;
    uint64_t group = filled->group, id = filled->id;
    for (size_t i = exchange->open_count; i-- > 0;) {
        struct exchange_order *other = order_at(exchange, exchange->open[i]);
        if (other->group == group && other->id != id)
            end(exchange, other, EX_CANCELED, "oco");
    }
}

static struct exchange_trade *book_trade(struct exchange *exchange, struct exchange_order *order,
                                         int64_t price, int64_t qty, bool is_maker)
{
    exchange->trades = memory_grow(exchange->trades, &exchange->trade_capacity,
                                   exchange->trade_count + 1, sizeof(exchange->trades[0]));
    struct exchange_trade *trade = &exchange->trades[exchange->trade_count++];
    const struct exchange_profile *profile = &exchange->profile;
    money notional = (money)price * qty;
    *trade = (struct exchange_trade){
        .id = exchange->trade_count,
        .order = order->id,
        .market = order->market,
        .side = order->side,
        .qty = qty,
        .price = price,
        .first_qty = qty,
        .first_price = price,
        .fee = notional * (is_maker ? profile->maker_fee : profile->taker_fee),
        .is_maker = is_maker,
        .time_ns = exchange->now_ns,
    };
    exchange->fees += trade->fee;
    order->cum += qty;
    order->notional += notional;
    move_position(&exchange->markets[order->market], order->side, qty,
                  notional * MONEY_PER_NOTIONAL);
    return trade;
}

static int64_t reducible(const struct exchange *exchange, const struct exchange_order *order)
{
    int64_t held = -order->side * exchange->markets[order->market].position;
    return held > 0 ? held : 0;
}

/* Fills what may be; a reduce-only order never passes zero here, and ends where there is nothing
 * left to reduce. */
static void fill(struct exchange *exchange, uint64_t id, int64_t price, int64_t qty, bool is_maker)
{
    struct exchange_order *order = order_at(exchange, id);
    int64_t left = order->qty - order->cum;
    if (qty > left)
        qty = left;
    if (order->reduce_only && qty > reducible(exchange, order))
        qty = reducible(exchange, order);
    if (qty <= 0) {
        end(exchange, order, EX_EXPIRED, "nothing to reduce");
        return;
    }
    struct exchange_trade *trade = book_trade(exchange, order, price, qty, is_maker);
    bool done = order->cum >= order->qty;
    order->status = done ? EX_FILLED : EX_PARTIAL;
    if (done)
        unlist(exchange, id);
    tell(exchange, NEWS_TRADE, order, trade);
    cancel_group(exchange, order);
}

/* What a taker would find, without taking it. */
static int64_t depth(const struct exchange *exchange, const struct exchange_order *order)
{
    const struct exchange_quote *quote = &exchange->markets[order->market].quote;
    int64_t price = order->side > 0 ? quote->ask : quote->bid;
    int64_t size = order->side > 0 ? quote->ask_qty : quote->bid_qty;
    int64_t sum = 0;
    for (int level = 0; level < LEVELS; level++) {
        int64_t at = price + order->side * level;
        if (order->price > 0 && order->side * (at - order->price) > 0)
            break;
        sum += size * (level + 1);
    }
    return sum;
}

static void take(struct exchange *exchange, uint64_t id)
{
    const struct exchange_quote quote = exchange->markets[order_at(exchange, id)->market].quote;
    for (int level = 0; level < LEVELS; level++) {
        struct exchange_order *order = order_at(exchange, id);
        if (!exchange_is_open(order))
            return;
        int64_t at = (order->side > 0 ? quote.ask : quote.bid) + order->side * level;
        int64_t size = (order->side > 0 ? quote.ask_qty : quote.bid_qty) * (level + 1);
        if (order->price > 0 && order->side * (at - order->price) > 0)
            return;
        fill(exchange, id, at, size, false);
    }
}

/* After it took what it could. */
static void rest(struct exchange *exchange, uint64_t id)
{
    struct exchange_order *order = order_at(exchange, id);
    if (!exchange_is_open(order))
        return;
    if (order->price == 0 || order->tif == TIF_IOC) {
        end(exchange, order, order->cum ? EX_CANCELED : EX_EXPIRED, "not all could be filled");
        return;
    }
    order->queue = between(exchange, 0, 40);
}

static void work(struct exchange *exchange, uint64_t id)
{
    struct exchange_order *order = order_at(exchange, id);
    if (order->tif == TIF_FOK && depth(exchange, order) < order->qty - order->cum) {
        end(exchange, order, EX_EXPIRED, "not at once");
        return;
    }
    take(exchange, id);
    rest(exchange, id);
}

static bool is_stop(enum order_type type)
{
    return type == ORDER_STOP || type == ORDER_STOP_LIMIT;
}

static bool would_take(const struct exchange *exchange, uint32_t market, int side, int64_t price)
{
    const struct exchange_quote *quote = &exchange->markets[market].quote;
    return side > 0 ? price >= quote->ask : price <= quote->bid;
}

static const char *why_not(struct exchange *exchange, const struct exchange_request *request)
{
    const struct exchange_profile *profile = &exchange->profile;
    const struct market_book *market = &exchange->markets[request->market];
    if (find_open(exchange, request->client_id))
        return "duplicate client order id";
    if (!(profile->types & (1u << request->type)) || !(profile->tifs & (1u << request->tif)))
        return "no such order type";
    if (request->qty <= 0 || (request->type == ORDER_LIMIT && request->price <= 0))
        return "bad quantity or price";
    if (request->post_only && would_take(exchange, request->market, request->side, request->price))
        return "would take";
    if (request->reduce_only && request->side * market->position >= 0)
        return "nothing to reduce";
    if (profile->is_spot && request->side < 0 && request->qty > market->position)
        return "insufficient balance";
    return NULL;
}

const char *exchange_submit(struct exchange *exchange, const struct exchange_request *request)
{
    const char *reason = why_not(exchange, request);
    if (reason)
        return reason;
    exchange->orders = memory_grow(exchange->orders, &exchange->order_capacity,
                                   exchange->order_count + 1, sizeof(exchange->orders[0]));
    struct exchange_order *order = &exchange->orders[exchange->order_count++];
    *order = (struct exchange_order){ .id = exchange->order_count,
                                      .market = request->market,
                                      .side = request->side,
                                      .type = request->type,
                                      .tif = request->tif,
                                      .post_only = request->post_only,
                                      .reduce_only = request->reduce_only,
                                      .group = request->group,
                                      .qty = request->qty,
                                      .price = request->price,
                                      .trigger = request->trigger,
                                      .expires_ns = request->expires_ns,
                                      .accepted_ns = exchange->now_ns };
    memcpy(order->first_id, request->client_id, sizeof(order->first_id));
    memcpy(order->client_id, request->client_id, sizeof(order->client_id));
    exchange->open = memory_grow(exchange->open, &exchange->open_capacity, exchange->open_count + 1,
                                 sizeof(exchange->open[0]));
    exchange->open[exchange->open_count++] = order->id;
    uint64_t id = order->id;
    tell(exchange, NEWS_ACK, order, NULL);
    if (!is_stop(request->type))
        work(exchange, id);
    return NULL;
}

const char *exchange_amend(struct exchange *exchange, const char *client_id, const char *new_id,
                           int64_t qty, int64_t price)
{
    struct exchange_order *order = find_open(exchange, client_id);
    if (!order)
        return "unknown order";
    if (!exchange->profile.amends)
        return "cannot be changed";
    if (qty > 0 && qty <= order->cum)
        return "below what is filled";
    if (price > 0 && order->post_only && would_take(exchange, order->market, order->side, price))
        return "would take";
    if (price > 0 && price != order->price)
        order->queue = between(exchange, 0, 40);
    order->qty = qty > 0 ? qty : order->qty;
    order->price = price > 0 ? price : order->price;
    if (new_id[0] && exchange->profile.ends_to_rename)
        tell(exchange, NEWS_CANCELED, order, NULL);
    if (new_id[0])
        snprintf(order->client_id, sizeof(order->client_id), "%s", new_id);
    uint64_t id = order->id;
    tell(exchange, NEWS_REPLACED, order, NULL);
    if (!is_stop(order_at(exchange, id)->type) || order_at(exchange, id)->triggered)
        take(exchange, id);
    return NULL;
}

const char *exchange_cancel(struct exchange *exchange, const char *client_id)
{
    struct exchange_order *order = find_open(exchange, client_id);
    if (!order)
        return exchange_find(exchange, client_id) ? "too late to cancel" : "unknown order";
    end(exchange, order, EX_CANCELED, "asked");
    return NULL;
}

/* ---- the market moves ---- */

static void fire_stops(struct exchange *exchange, uint32_t index)
{
    int64_t last = exchange->markets[index].last;
    for (size_t i = 0; i < exchange->open_count; i++) {
        struct exchange_order *order = order_at(exchange, exchange->open[i]);
        if (order->market != index || !is_stop(order->type) || order->triggered ||
            order->side * (last - order->trigger) < 0)
            continue;
        uint64_t id = order->id;
        order->triggered = true;
        work(exchange, id);
        if (i >= exchange->open_count || exchange->open[i] != id)
            i = SIZE_MAX; /* the list changed: look again */
    }
}

/* A stranger's trade reaches our orders at and beyond its price. */
static void meet(struct exchange *exchange, uint32_t index, int64_t price, int64_t qty,
                 int aggressor)
{
    for (size_t i = 0; i < exchange->open_count && qty > 0; i++) {
        struct exchange_order *order = order_at(exchange, exchange->open[i]);
        if (order->market != index || order->side == aggressor || order->price == 0 ||
            (is_stop(order->type) && !order->triggered) || order->side * (order->price - price) < 0)
            continue;
        uint64_t id = order->id;
        if (order->price == price && order->queue > 0) {
            int64_t before = order->queue < qty ? order->queue : qty;
            order->queue -= before;
            qty -= before;
            if (qty == 0)
                break;
        }
        int64_t left = order->qty - order->cum;
        int64_t part = left < qty ? left : qty;
        qty -= part;
        fill(exchange, id, order->price, part, true);
        if (i >= exchange->open_count || exchange->open[i] != id)
            i = SIZE_MAX;
    }
}

static void expire(struct exchange *exchange)
{
    for (size_t i = exchange->open_count; i-- > 0;) {
        struct exchange_order *order = order_at(exchange, exchange->open[i]);
        if (order->tif == TIF_GTD && order->expires_ns <= exchange->now_ns)
            end(exchange, order, EX_EXPIRED, "its time is over");
    }
}

static void walk(struct exchange *exchange, struct market_book *market)
{
    int64_t step = between(exchange, -3, 3);
    if (chance(exchange, 2)) /* a gap */
        step += between(exchange, -60, 60);
    market->mid += step;
    if (market->mid < 1000)
        market->mid = 1000;
    int64_t half = between(exchange, 1, 3);
    market->quote = (struct exchange_quote){ market->mid - half, market->mid + half,
                                             between(exchange, 1, 200), between(exchange, 1, 200) };
}

static void step_market(struct exchange *exchange, uint32_t index)
{
    struct market_book *market = &exchange->markets[index];
    if (market->mood != MOOD_NORMAL && exchange->now_ns >= market->mood_until_ns)
        market->mood = MOOD_NORMAL;
    walk(exchange, market);
    if (market->mood == MOOD_SILENT)
        return; /* nobody trades, and nobody is told */
    /* What crossed the new quote is taken by it. */
    meet(exchange, index, market->quote.ask, INT32_MAX, 1 * -1);
    meet(exchange, index, market->quote.bid, INT32_MAX, 1);
    struct exchange_quote told = market->quote;
    if (market->mood == MOOD_CROSSED) {
        told.bid = market->quote.ask;
        told.ask = market->quote.bid;
    }
    exchange->listener.quote(exchange->listener.self, index, &told);
    if (!chance(exchange, 60))
        return;
    int side = chance(exchange, 50) ? 1 : -1;
    int64_t price = side > 0 ? market->quote.ask : market->quote.bid;
    int64_t qty = between(exchange, 1, 120);
    market->last = price;
    meet(exchange, index, price, qty, side);
    fire_stops(exchange, index);
    exchange->listener.trade(exchange->listener.self, index,
                             market->mood == MOOD_TENFOLD ? price * 10 : price, qty, side);
}

int64_t exchange_due_ns(const struct exchange *exchange)
{
    int64_t due = TIME_NEVER;
    for (uint32_t i = 0; i < exchange->market_count; i++)
        if (exchange->markets[i].next_ns < due)
            due = exchange->markets[i].next_ns;
    return due;
}

void exchange_advance(struct exchange *exchange, int64_t now_ns)
{
    exchange->now_ns = now_ns;
    expire(exchange);
    for (uint32_t i = 0; i < exchange->market_count; i++) {
        struct market_book *market = &exchange->markets[i];
        if (market->next_ns > now_ns)
            continue;
        step_market(exchange, i);
        int64_t gap = market->mood == MOOD_BURST ? NS_PER_MS : exchange->gap_ns;
        market->next_ns = now_ns + 1 + between(exchange, 0, 2 * gap);
        return; /* one at a time */
    }
}

void exchange_mood(struct exchange *exchange, uint32_t market, enum market_mood mood,
                   int64_t until_ns)
{
    exchange->markets[market].mood = mood;
    exchange->markets[market].mood_until_ns = until_ns;
    if (mood == MOOD_BURST)
        exchange->markets[market].next_ns = exchange->now_ns + 1;
}

/* ---- unasked ---- */

void exchange_cancel_unasked(struct exchange *exchange, uint64_t id)
{
    struct exchange_order *order = order_at(exchange, id);
    if (exchange_is_open(order))
        end(exchange, order, EX_CANCELED, "venue");
}

void exchange_restate(struct exchange *exchange, uint64_t id, int64_t qty)
{
    struct exchange_order *order = order_at(exchange, id);
    if (!exchange_is_open(order) || qty <= order->cum)
        return;
    order->qty = qty;
    tell(exchange, NEWS_RESTATED, order, NULL);
}

/* The trade as it was leaves the account; what it is now enters. */
static void retake(struct exchange *exchange, struct exchange_trade *trade, int64_t qty,
                   int64_t price)
{
    struct exchange_order *order = order_at(exchange, trade->order);
    struct market_book *market = &exchange->markets[trade->market];
    money was = (money)trade->price * trade->qty, is = (money)price * qty;
    money rate = was ? trade->fee / was : 0;
    move_position(market, -trade->side, trade->qty, was * MONEY_PER_NOTIONAL);
    if (qty > 0)
        move_position(market, trade->side, qty, is * MONEY_PER_NOTIONAL);
    exchange->fees += is * rate - trade->fee;
    order->cum += qty - trade->qty;
    order->notional += is - was;
    trade->fee = is * rate;
    trade->qty = qty;
    trade->price = price;
    trade->is_corrected = true;
    if (order->status == EX_PARTIAL && order->cum == 0)
        order->status = EX_NEW;
}

void exchange_bust(struct exchange *exchange, size_t index)
{
    struct exchange_trade *trade = &exchange->trades[index];
    if (trade->is_corrected)
        return;
    retake(exchange, trade, 0, trade->price);
    struct exchange_order *order = order_at(exchange, trade->order);
    if (order->status == EX_FILLED) { /* what is not filled any more is not worked any more */
        order->status = EX_CANCELED;
        order->reason = "bust";
    }
    tell(exchange, NEWS_BUST, order, trade);
}

void exchange_correct(struct exchange *exchange, size_t index, int64_t qty, int64_t price)
{
    struct exchange_trade *trade = &exchange->trades[index];
    if (trade->is_corrected || qty <= 0 || price <= 0)
        return;
    retake(exchange, trade, qty, price);
    struct exchange_order *order = order_at(exchange, trade->order);
    if (order->status == EX_FILLED && order->cum < order->qty) {
        order->status = EX_CANCELED;
        order->reason = "corrected";
    }
    tell(exchange, NEWS_CORRECT, order, trade);
}

void exchange_fill_late(struct exchange *exchange, uint64_t id, int64_t qty)
{
    struct exchange_order *order = order_at(exchange, id);
    int64_t price = exchange->markets[order->market].last;
    struct exchange_trade *trade = book_trade(exchange, order, price, qty, false);
    if (order->cum >= order->qty && exchange_is_open(order)) {
        order->status = EX_FILLED;
        unlist(exchange, id);
    } else if (order->cum >= order->qty) {
        order->status = EX_FILLED;
    }
    tell(exchange, NEWS_TRADE, order, trade);
}
