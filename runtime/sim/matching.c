/* matching.c - what market data does to the orders of the paper venue.
 *
 * The finest data an instrument has shown decides (enum source):
 *
 *   quotes  A taker gets what is displayed at the touch. A limit is filled when the opposite
 *           quote crosses it, when a trade goes through it, or by trades at its price once the
 *           quantity in front of it has traded.
 *   trades  A taker gets the next trade's price. Limits as above, the quantity in front unknown.
 *   bars    The path is open, first extreme, second extreme, close. The open stands for a third;
 *           the moves happen at one third, two thirds and five sixths; the close is the last
 *           instant. The adverse extreme of the position comes first.
 *
 * A limit's fill is at its limit; a taker's is the market's price moved by the costs' slippage, not
 * beyond its limit. docs/paper.md has an example of each rule. */
#include "runtime/sim/matching.h"

#include <string.h>

/* ---- small facts ---- */

static decimal price_of(const struct book *book, int64_t mantissa)
{
    return decimal_make(mantissa, book->instrument->price_scale);
}

static decimal qty_of(const struct book *book, int64_t mantissa)
{
    return decimal_make(mantissa, book->instrument->qty_scale);
}

/* True while the order behaves as a limit: its price binds. */
static bool has_limit(const struct paper_order *order)
{
    return order->type == ORDER_LIMIT || order->type == ORDER_STOP_LIMIT;
}

static bool is_at_once(const struct paper_order *order)
{
    return order->tif == TIF_IOC || order->tif == TIF_FOK;
}

/* a is a better price than b for somebody on this side to deal at. */
static bool is_better(enum order_side side, int64_t a, int64_t b)
{
    return side == SIDE_BUY ? a < b : a > b;
}

/* A price that fills the limit without it being passed: at it or better. */
static bool is_within(const struct paper_order *order, int64_t price)
{
    return price == order->price_m || is_better(order->side, price, order->price_m);
}

/* Better than the limit, so that someone at the limit must have been served before. */
static bool is_through(const struct paper_order *order, int64_t price)
{
    return order->price_exact ? is_better(order->side, price, order->price_m)
                              : is_within(order, price);
}

static bool is_triggered_by(const struct paper_order *order, int64_t price)
{
    return order->side == SIDE_BUY ? price >= order->trigger_m : price <= order->trigger_m;
}

static bool is_alive(const struct paper_order *order, uint64_t sequence)
{
    return order->stage != STAGE_FREE && order->sequence == sequence;
}

/* The slots of a book's orders that have arrived, in order of their sequence. */
static size_t collect(struct paper *paper, const struct book *book)
{
    size_t count = 0;
    for (uint32_t slot = book->first; slot != NOBODY; slot = paper->orders[slot].next)
        if (paper->orders[slot].stage != STAGE_TRAVELLING)
            paper->scratch[count++] = slot;
    return count;
}

/* ---- trailing stops ---- */

static bool is_trailing(const struct paper_order *order)
{
    return order->type == ORDER_TRAILING && !order->is_triggered;
}

/* Where the stop stands when `best` is the best price: a whole tick, rounded so that its distance
 * is not above the trail, but one tick at least. */
static decimal trail_trigger(const struct book *book, const struct paper_order *order, decimal best)
{
    const struct instrument *instrument = book->instrument;
    decimal distance = order->trail_is_share ? decimal_mul(best, order->trail) : order->trail;
    distance = decimal_max(distance, instrument->tick_size);
    return order->side == SIDE_SELL ? decimal_to_multiple(decimal_sub(best, distance),
                                                          instrument->tick_size, ROUND_CEILING)
                                    : decimal_to_multiple(decimal_add(best, distance),
                                                          instrument->tick_size, ROUND_FLOOR);
}

/* A price that is better than all before draws the stop after it. It never goes back. */
static void trail_to(struct book *book, struct paper_order *order, int64_t price)
{
    if (price <= 0 || (order->best_m != 0 && !is_better(order->side, price, order->best_m)))
        return;
    order->best_m = price;
    book->watch_low = INT64_MAX; /* look again */
    int scale = book->instrument->price_scale;
    int64_t trigger_m;
    decimal trigger = trail_trigger(book, order, price_of(book, price));
    decimal shown =
        decimal_round(trigger, scale, order->side == SIDE_SELL ? ROUND_FLOOR : ROUND_CEILING);
    if (decimal_mantissa(shown, scale, &trigger_m) < 0 ||
        !is_better(order->side, trigger_m, order->trigger_m))
        return;
    order->trigger = trigger;
    order->trigger_m = trigger_m;
}

static void trail_follow(struct paper *paper, struct book *book, struct paper_order *order,
                         int64_t price, int64_t ns)
{
    if (!is_trailing(order))
        return;
    if (order->is_looking_back) {
        order->is_looking_back = false;
        struct span seen = recall_span(paper, order, ns);
        trail_to(book, order, order->side == SIDE_SELL ? seen.high : seen.low);
    }
    trail_to(book, order, price);
}

/* ---- prices of takers ---- */

/* The market's price moved by slippage, but not beyond the order's limit. */
static decimal taker_price(const struct paper *paper, const struct book *book,
                           const struct paper_order *order, decimal price, decimal spread)
{
    if (paper->options.fill_on != FILL_ON_INSTANT)
        price = costs_slip(&paper->options.costs, book->instrument, order->side, price, spread);
    if (!has_limit(order))
        return price;
    return order->side == SIDE_BUY ? decimal_min(price, order->price)
                                   : decimal_max(price, order->price);
}

static decimal take_at(struct paper *paper, const struct book *book, struct paper_order *order,
                       int64_t price, int64_t ns)
{
    return paper_fill(paper, order,
                      taker_price(paper, book, order, price_of(book, price), DECIMAL_ZERO),
                      order->qty, LIQUIDITY_TAKER, ns);
}

/* On trades alone the price printed is taken for the middle of a spread of two ticks, so a taker
 * pays one tick more; with slippage "none" it is taken as it is. */
static void take_trade(struct paper *paper, const struct book *book, struct paper_order *order,
                       int64_t price, int64_t ns)
{
    enum slippage_model slippage = paper->options.costs.slippage;
    decimal half = slippage == SLIPPAGE_NONE || paper->options.fill_on == FILL_ON_INSTANT
                       ? DECIMAL_ZERO
                       : book->instrument->tick_size;
    decimal base = price_of(book, price);
    base = order->side == SIDE_BUY ? decimal_add(base, half) : decimal_sub(base, half);
    paper_fill(paper, order, taker_price(paper, book, order, base, DECIMAL_ZERO), order->qty,
               LIQUIDITY_TAKER, ns);
}

/* ---- the standing quote ---- */

static int64_t touch_of(const struct book *book, enum order_side side)
{
    return side == SIDE_BUY ? book->quote.ask : book->quote.bid;
}

/* What is left of the displayed quantity; all that is wanted when none is displayed. */
static decimal shown_left(const struct book *book, enum order_side side, decimal wanted)
{
    int64_t shown = side == SIDE_BUY ? book->quote.ask_qty : book->quote.bid_qty;
    if (shown == 0)
        return wanted;
    return decimal_sub(qty_of(book, shown), side == SIDE_BUY ? book->ask_taken : book->bid_taken);
}

static void shown_take(struct book *book, enum order_side side, decimal qty)
{
    decimal *taken = side == SIDE_BUY ? &book->ask_taken : &book->bid_taken;
    *taken = decimal_add(*taken, qty);
    book->is_touched = true;
}

static void take_quote(struct paper *paper, struct book *book, struct paper_order *order,
                       int64_t ns)
{
    enum order_side side = order->side;
    int64_t touch = touch_of(book, side);
    if (has_limit(order) && !is_within(order, touch))
        return;
    decimal wanted = paper_remaining(paper, order);
    decimal qty = decimal_min(wanted, shown_left(book, side, wanted));
    if (decimal_sign(qty) <= 0 || (order->tif == TIF_FOK && decimal_cmp(qty, wanted) < 0))
        return;
    decimal spread = price_of(book, book->quote.ask - book->quote.bid);
    decimal price = taker_price(paper, book, order, price_of(book, touch), spread);
    shown_take(book, side, paper_fill(paper, order, price, qty, LIQUIDITY_TAKER, ns));
}

/* A limit rests: how much stands in front of it. Behind the touch nobody knows, and on trades alone
 * neither: then the first trade at its price counts whole as the queue. */
static void rest(const struct book *book, struct paper_order *order)
{
    order->stage = STAGE_RESTING;
    order->ahead = DECIMAL_ZERO;
    order->ahead_known = false;
    if (book->source != SOURCE_QUOTE)
        return;
    int64_t touch = order->side == SIDE_BUY ? book->quote.bid : book->quote.ask;
    int64_t shown = order->side == SIDE_BUY ? book->quote.bid_qty : book->quote.ask_qty;
    if (is_better(order->side, touch, order->price_m)) {
        order->ahead_known = true; /* it improves the touch: it is first */
    } else if (order->price_exact && touch == order->price_m && shown > 0) {
        order->ahead = qty_of(book, shown);
        order->ahead_known = true;
    }
}

/* After a taker had its chance: what is left waits, rests or ends. */
static void settle(struct paper *paper, const struct book *book, struct paper_order *order,
                   int64_t ns)
{
    if (is_at_once(order))
        paper_end(paper, order, REPORT_CANCELED,
                  order->tif == TIF_IOC ? "ioc: not filled at once" : "fok: not filled whole", ns);
    else if (has_limit(order))
        rest(book, order);
    else
        order->stage = STAGE_TAKING;
}

static void take_quote_and_settle(struct paper *paper, struct book *book, struct paper_order *order,
                                  int64_t ns)
{
    uint64_t sequence = order->sequence;
    take_quote(paper, book, order, ns);
    if (is_alive(order, sequence))
        settle(paper, book, order, ns);
}

/* ---- arrival ---- */

bool match_would_take(const struct book *book, const struct paper_order *order)
{
    if (book->source == SOURCE_QUOTE)
        return is_within(order, touch_of(book, order->side));
    if (book->source == SOURCE_TRADE)
        return is_through(order, book->last_price);
    return false; /* bars: known when the bar is told */
}

/* Without latency and queue: a taker gets the price that stands, a limit its limit. Exits wait for
 * their price. False when there is no price yet, or it must wait. */
static bool fill_instantly(struct paper *paper, struct book *book, struct paper_order *order,
                           int64_t ns)
{
    if (order->type == ORDER_LIMIT && order->role == ROLE_PLAIN) {
        paper_fill(paper, order, order->price, order->qty,
                   order->post_only ? LIQUIDITY_MAKER : LIQUIDITY_TAKER, ns);
        return true;
    }
    if (order->type != ORDER_MARKET || book->source == SOURCE_NONE)
        return false;
    int64_t price = book->source == SOURCE_QUOTE   ? touch_of(book, order->side)
                    : book->source == SOURCE_TRADE ? book->last_price
                                                   : book->bar.close;
    take_at(paper, book, order, price, ns);
    return true;
}

/* The close of the bar that ends now: the last price. */
static bool fill_on_close(struct paper *paper, struct book *book, struct paper_order *order,
                          int64_t ns)
{
    int64_t price = book->source == SOURCE_BAR ? book->bar.close : book->last_price;
    if (order->type != ORDER_MARKET || price == 0)
        return false;
    take_at(paper, book, order, price, ns);
    return true;
}

/* A stop has become what it was for. */
static void trigger(struct paper *paper, struct book *book, struct paper_order *order, int64_t ns)
{
    order->is_triggered = true;
    if (book->source == SOURCE_QUOTE)
        take_quote_and_settle(paper, book, order, ns);
    else
        order->stage = STAGE_TAKING; /* the next trade is the first after its trigger */
}

static bool watches_quote(const struct book *book, const struct paper_order *order)
{
    return book->source == SOURCE_QUOTE &&
           (order->stop_on == TRIGGER_QUOTE || book->last_price == 0);
}

/* A restored stop that had fired before the restart: its limit rests again. What it saw on quotes
 * nobody remembers. */
static bool had_fired(struct paper *paper, struct paper_order *order, int64_t ns)
{
    if (!order->is_looking_back || is_trailing(order))
        return false;
    order->is_looking_back = false;
    if (order->stop_on == TRIGGER_QUOTE)
        return false;
    struct span seen = recall_span(paper, order, ns);
    int64_t price = order->side == SIDE_BUY ? seen.high : seen.low;
    return price != 0 && is_triggered_by(order, price);
}

/* A price that an armed stop watches. */
static void watch_price(struct paper *paper, struct book *book, struct paper_order *order,
                        int64_t price, int64_t ns)
{
    trail_follow(paper, book, order, price, ns);
    if (had_fired(paper, order, ns)) {
        order->is_triggered = true;
        match_arrival(paper, book, order, ns);
    } else if (is_triggered_by(order, price)) {
        trigger(paper, book, order, ns);
    }
}

static void arm(struct paper *paper, struct book *book, struct paper_order *order, int64_t ns)
{
    order->stage = STAGE_ARMED;
    if (book->source != SOURCE_QUOTE && book->source != SOURCE_TRADE)
        return;
    int64_t price = watches_quote(book, order) ? touch_of(book, order->side) : book->last_price;
    watch_price(paper, book, order, price, ns);
}

void match_arrival(struct paper *paper, struct book *book, struct paper_order *order, int64_t ns)
{
    bool is_stop = (order->type == ORDER_STOP || order->type == ORDER_STOP_LIMIT ||
                    order->type == ORDER_TRAILING) &&
                   !order->is_triggered;
    order->stage = STAGE_TAKING;
    if (paper->options.fill_on == FILL_ON_INSTANT && fill_instantly(paper, book, order, ns))
        return;
    if (paper->options.fill_on == FILL_ON_CLOSE && fill_on_close(paper, book, order, ns))
        return;
    if (is_stop)
        arm(paper, book, order, ns);
    else if (book->source == SOURCE_QUOTE)
        take_quote_and_settle(paper, book, order, ns);
    else if (has_limit(order) && !is_at_once(order) && !match_would_take(book, order))
        rest(book, order);
    if (book->source == SOURCE_BAR && ns < book->bar_end_ns)
        book->is_late = true;
}

/* ---- quotes ---- */

static void meet_quote(struct paper *paper, struct book *book, struct paper_order *order,
                       int64_t ns)
{
    if (order->stage == STAGE_TAKING) {
        take_quote_and_settle(paper, book, order, ns);
    } else if (order->stage == STAGE_ARMED) {
        if (watches_quote(book, order))
            watch_price(paper, book, order, touch_of(book, order->side), ns);
    } else if (is_within(order, touch_of(book, order->side))) {
        /* The opposite side came to it: those who came deal at its price. */
        decimal wanted = paper_remaining(paper, order);
        enum order_side side = order->side;
        decimal qty =
            paper->options.fill_on == FILL_ON_INSTANT ? wanted : shown_left(book, side, wanted);
        if (decimal_sign(qty) > 0)
            shown_take(book, side,
                       paper_fill(paper, order, order->price, qty, LIQUIDITY_MAKER, ns));
    }
}

void match_quote(struct paper *paper, struct book *book, const struct event *event)
{
    book->quote = event->quote;
    book->source = SOURCE_QUOTE;
    if (book->is_touched) {
        book->is_touched = false;
        book->bid_taken = book->ask_taken = DECIMAL_ZERO;
    }
    if (book->count == 0 ||
        (event->quote.bid > book->watch_low && event->quote.ask < book->watch_high))
        return;
    size_t count = collect(paper, book);
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (order->stage != STAGE_FREE)
            meet_quote(paper, book, order, event->time_ns);
    }
    match_watch(paper, book);
}

/* ---- trades ---- */

/* A trade and what of it our own orders took. */
struct print {
    int64_t price, ns;
    int side;
    decimal qty, taken;
};

/* How much of a trade reaches an order: all when it went through, what is beyond the queue when it
 * was at the order's price and not between others (an aggressor on our own side lifts the other).
 */
static decimal reach(struct paper_order *order, const struct print *print)
{
    if (is_through(order, print->price))
        return print->qty;
    if (!is_within(order, print->price) || print->side == (int)order->side)
        return DECIMAL_ZERO;
    if (!order->ahead_known) {
        order->ahead = print->qty;
        order->ahead_known = true;
    }
    decimal beyond = decimal_max(decimal_sub(print->qty, order->ahead), DECIMAL_ZERO);
    order->ahead = decimal_max(decimal_sub(order->ahead, print->qty), DECIMAL_ZERO);
    return beyond;
}

static void meet_print(struct paper *paper, struct paper_order *order, struct print *print)
{
    if (paper->options.fill_on == FILL_ON_INSTANT) {
        if (is_within(order, print->price))
            paper_fill(paper, order, order->price, order->qty, LIQUIDITY_MAKER, print->ns);
        return;
    }
    decimal qty = decimal_sub(reach(order, print), print->taken);
    if (decimal_sign(qty) <= 0)
        return;
    print->taken = decimal_add(
        print->taken, paper_fill(paper, order, order->price, qty, LIQUIDITY_MAKER, print->ns));
}

/* A waiting taker on trades alone meets the first trade after its arrival. */
static void take_print(struct paper *paper, struct book *book, struct paper_order *order,
                       const struct print *print)
{
    uint64_t sequence = order->sequence;
    if (!has_limit(order) || is_within(order, print->price))
        take_trade(paper, book, order, print->price, print->ns);
    if (is_alive(order, sequence))
        settle(paper, book, order, print->ns);
}

/* Resting limits, best price first, then first come. Sorts the slots in place; few are ever hit. */
static size_t collect_hit(struct paper *paper, const struct book *book, int64_t price)
{
    size_t count = collect(paper, book), hit = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = paper->scratch[i];
        const struct paper_order *order = &paper->orders[slot];
        if (order->stage != STAGE_RESTING || !is_within(order, price))
            continue;
        size_t at = hit++;
        for (; at > 0 && is_better(order->side, paper->orders[paper->scratch[at - 1]].price_m,
                                   order->price_m);
             at--)
            paper->scratch[at] = paper->scratch[at - 1];
        paper->scratch[at] = slot;
    }
    return hit;
}

static void print_to_takers(struct paper *paper, struct book *book, const struct print *print)
{
    size_t count = collect(paper, book);
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (order->stage == STAGE_TAKING)
            take_print(paper, book, order, print);
    }
}

static void print_to_limits(struct paper *paper, struct book *book, struct print *print)
{
    size_t count = collect_hit(paper, book, print->price);
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (order->stage == STAGE_RESTING)
            meet_print(paper, order, print);
    }
}

static void print_to_stops(struct paper *paper, struct book *book, const struct print *print)
{
    size_t count = collect(paper, book);
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (order->stage == STAGE_ARMED && !watches_quote(book, order))
            watch_price(paper, book, order, print->price, print->ns);
    }
}

void match_trade(struct paper *paper, struct book *book, const struct event *event)
{
    book->last_price = event->trade.price;
    if (book->source < SOURCE_TRADE)
        book->source = SOURCE_TRADE;
    if (book->count == 0 ||
        (event->trade.price > book->watch_low && event->trade.price < book->watch_high))
        return;
    struct print print = { .price = event->trade.price,
                           .ns = event->time_ns,
                           .side = event->trade.side,
                           .qty = qty_of(book, event->trade.qty),
                           .taken = DECIMAL_ZERO };
    if (event->trade.qty > 0) { /* an index tick moves marks and stops, but nobody traded */
        if (book->source == SOURCE_TRADE)
            print_to_takers(paper, book, &print);
        print_to_limits(paper, book, &print);
    }
    print_to_stops(paper, book, &print);
    match_watch(paper, book);
}

/* ---- the window of prices that matter ---- */

/* Prices at which a trailing stop moves: beyond the best so far. */
static void watch_trail(const struct paper_order *order, int64_t *low, int64_t *high)
{
    if (order->best_m == 0)
        *low = INT64_MAX;
    else if (order->side == SIDE_BUY)
        *low = order->best_m - 1 > *low ? order->best_m - 1 : *low;
    else
        *high = order->best_m + 1 < *high ? order->best_m + 1 : *high;
}

static void watch_order(const struct paper_order *order, int64_t *low, int64_t *high)
{
    if (order->stage == STAGE_ARMED && is_trailing(order))
        watch_trail(order, low, high);
    if (order->stage == STAGE_ARMED && order->is_looking_back)
        *low = INT64_MAX; /* the next price decides whether it had fired */
    switch (order->stage) {
    case STAGE_TAKING:
        *low = INT64_MAX; /* every price matters */
        break;
    case STAGE_RESTING:
        if (order->side == SIDE_BUY)
            *low = order->price_m > *low ? order->price_m : *low;
        else
            *high = order->price_m < *high ? order->price_m : *high;
        break;
    case STAGE_ARMED:
        if (order->side == SIDE_BUY)
            *high = order->trigger_m < *high ? order->trigger_m : *high;
        else
            *low = order->trigger_m > *low ? order->trigger_m : *low;
        break;
    default:
        break;
    }
}

void match_watch(struct paper *paper, struct book *book)
{
    book->watch_low = INT64_MIN;
    book->watch_high = INT64_MAX;
    for (uint32_t slot = book->first; slot != NOBODY; slot = paper->orders[slot].next)
        watch_order(&paper->orders[slot], &book->watch_low, &book->watch_high);
}

/* ---- bars ---- */

static int64_t third_of(const struct book *book)
{
    return (book->bar_end_ns - book->bar.open_ns) / 3;
}

/* On bars a limit must be passed by one tick: at its price it may have been last in the queue. */
static bool is_passed(const struct book *book, const struct paper_order *order, int64_t price)
{
    return order->side == SIDE_BUY ? price <= order->price_m - book->tick_m
                                   : price >= order->price_m + book->tick_m;
}

static void rest_filled(struct paper *paper, struct paper_order *order, int64_t ns)
{
    paper_fill(paper, order, order->price, order->qty, LIQUIDITY_MAKER, ns);
}

/* A new limit or a taker meets the price that stands when it arrives. */
static void meet_standing(struct paper *paper, struct book *book, struct paper_order *order,
                          int64_t price, int64_t ns)
{
    uint64_t sequence = order->sequence;
    if (!has_limit(order)) {
        take_at(paper, book, order, price, ns);
    } else if (is_passed(book, order, price)) {
        if (order->post_only) {
            paper_end(paper, order, REPORT_CANCELED, "post-only would take", ns);
            return;
        }
        take_at(paper, book, order, price, ns);
    }
    if (is_alive(order, sequence) && order->stage == STAGE_TAKING)
        settle(paper, book, order, ns);
}

/* A stop is reached at `price`: its trigger, or a price beyond when the market jumped there. */
static void bar_trigger(struct paper *paper, struct book *book, struct paper_order *order,
                        int64_t price, int64_t ns)
{
    order->is_triggered = true;
    order->stage = STAGE_TAKING;
    uint64_t sequence = order->sequence;
    if (!has_limit(order) || is_within(order, price))
        take_at(paper, book, order, price, ns);
    if (is_alive(order, sequence))
        settle(paper, book, order, ns);
}

static void meet_open(struct paper *paper, struct book *book, struct paper_order *order)
{
    int64_t open = book->bar.open;
    int64_t ns = order->arrival_ns > book->bar.open_ns ? order->arrival_ns : book->bar.open_ns;
    if (order->stage == STAGE_ARMED) {
        trail_follow(paper, book, order, open, ns);
        if (is_triggered_by(order, open))
            bar_trigger(paper, book, order, open, ns);
    } else if (order->stage == STAGE_TAKING || order->is_new) {
        meet_standing(paper, book, order, open, ns);
    } else if (is_passed(book, order, open)) {
        rest_filled(paper, order, ns);
    }
}

/* The price at which a move from a to b meets the order; false when it does not. */
static bool meets(const struct book *book, const struct paper_order *order, int64_t a, int64_t b,
                  int64_t *level)
{
    bool down = b < a;
    if (order->stage == STAGE_RESTING) {
        *level =
            order->side == SIDE_BUY ? order->price_m - book->tick_m : order->price_m + book->tick_m;
        if (down != (order->side == SIDE_BUY))
            return false;
    } else if (order->stage == STAGE_ARMED) {
        *level = order->trigger_m;
        if (down != (order->side == SIDE_SELL))
            return false;
    } else {
        return false;
    }
    return down ? *level >= b && *level <= a : *level <= b && *level >= a;
}

/* There before the bar's first extreme, and not expired when the market moves. */
static bool is_here(const struct book *book, const struct paper_order *order, int64_t ns)
{
    return order->expires_ns > ns &&
           !(order->is_new && order->arrival_ns >= book->bar.open_ns + third_of(book));
}

/* The order that a move meets first: nearest to its start, a stop before a limit. */
static struct paper_order *first_met(struct paper *paper, const struct book *book,
                                     uint32_t instance_id, int64_t a, int64_t b, int64_t ns)
{
    struct paper_order *first = NULL;
    int64_t nearest = 0;
    for (uint32_t slot = book->first; slot != NOBODY; slot = paper->orders[slot].next) {
        struct paper_order *order = &paper->orders[slot];
        int64_t level;
        if (order->instance_id != instance_id || order->pass == paper->pass ||
            !is_here(book, order, ns) || !meets(book, order, a, b, &level))
            continue;
        int64_t distance = level > a ? level - a : a - level;
        if (first &&
            (distance > nearest || (distance == nearest &&
                                    !(order->stage == STAGE_ARMED && first->stage != STAGE_ARMED))))
            continue;
        first = order;
        nearest = distance;
    }
    return first;
}

/* The market moves from a to b at one instant and fills what it meets on its way. */
static void sweep(struct paper *paper, struct book *book, uint32_t instance_id, int64_t a,
                  int64_t b, int64_t ns)
{
    struct paper_order *order;
    paper->pass++;
    while ((order = first_met(paper, book, instance_id, a, b, ns)) != NULL) {
        order->pass = paper->pass;
        if (order->stage == STAGE_ARMED)
            bar_trigger(paper, book, order, order->trigger_m, ns);
        else
            rest_filled(paper, order, ns);
    }
    for (uint32_t slot = book->first; slot != NOBODY; slot = paper->orders[slot].next) {
        order = &paper->orders[slot];
        if (order->instance_id == instance_id && order->stage == STAGE_ARMED &&
            is_here(book, order, ns))
            trail_follow(paper, book, order, b, ns);
    }
}

/* ---- orders that arrive inside a bar whose path is told ---- */

/* Where the market stands then: the open until the first extreme, then, as nobody knows, the worst
 * of the bar, and in its last third the close. */
static int64_t standing(const struct book *book, const struct paper_order *order)
{
    int64_t into = order->arrival_ns - book->bar.open_ns;
    if (into < third_of(book))
        return book->bar.open;
    if (into >= 2 * third_of(book))
        return book->bar.close;
    return order->side == SIDE_BUY ? book->bar.high : book->bar.low;
}

/* A stop counts if its trigger is in the bar's range, whatever came first. */
static void late_stop(struct paper *paper, struct book *book, struct paper_order *order)
{
    const struct bar_event *bar = &book->bar;
    int64_t extreme_ns = bar->open_ns + third_of(book);
    int64_t ns = order->arrival_ns > extreme_ns ? order->arrival_ns : extreme_ns;
    int64_t now = standing(book, order);
    int64_t best = order->side == SIDE_BUY ? bar->low : bar->high;
    int64_t worst = order->side == SIDE_BUY ? bar->high : bar->low;
    if (order->expires_ns <= ns)
        return;
    if (order->arrival_ns < extreme_ns)
        trail_follow(paper, book, order, bar->open, order->arrival_ns);
    if (order->arrival_ns < extreme_ns && is_triggered_by(order, bar->open))
        bar_trigger(paper, book, order, bar->open, order->arrival_ns);
    else if (is_triggered_by(order, best)) /* all of the bar is beyond it */
        bar_trigger(paper, book, order, now, order->arrival_ns);
    else if (is_triggered_by(order, worst))
        bar_trigger(paper, book, order, order->trigger_m, ns);
    if (order->stage == STAGE_ARMED) /* what came before the close, nobody knows */
        trail_follow(paper, book, order, bar->close, book->bar_end_ns - 1);
}

/* A limit counts only if the close is beyond it. */
static void late_limit(struct paper *paper, struct book *book, struct paper_order *order)
{
    uint64_t sequence = order->sequence;
    meet_standing(paper, book, order, standing(book, order), order->arrival_ns);
    int64_t ns = book->bar_end_ns - 1; /* the end is the next bar's */
    if (is_alive(order, sequence) && order->stage == STAGE_RESTING && order->expires_ns > ns &&
        is_passed(book, order, book->bar.close))
        rest_filled(paper, order, ns);
}

static bool is_late(const struct book *book, const struct paper_order *order)
{
    return order->stage != STAGE_FREE && order->is_new && order->arrival_ns < book->bar_end_ns;
}

void match_late(struct paper *paper, struct book *book)
{
    size_t count = collect(paper, book);
    for (size_t i = 0; i < count; i++) { /* stops first: when both could be, it is the loss */
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (is_late(book, order) && order->stage == STAGE_ARMED) {
            order->is_new = false;
            late_stop(paper, book, order);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (is_late(book, order)) {
            order->is_new = false;
            late_limit(paper, book, order);
        }
    }
    book->is_late = false;
}

/* ---- a bar ---- */

static bool low_comes_first(struct paper *paper, struct book *book, uint32_t instance_id)
{
    int sign = decimal_sign(paper_account(paper, book, instance_id)->position);
    if (sign != 0)
        return sign > 0; /* a long sees the low first, a short the high */
    return book->bar.close >= book->bar.open;
}

static void bar_account(struct paper *paper, struct book *book, uint32_t instance_id)
{
    const struct bar_event *bar = &book->bar;
    int64_t third = third_of(book);
    size_t count = collect(paper, book);
    for (size_t i = 0; i < count; i++) {
        struct paper_order *order = &paper->orders[paper->scratch[i]];
        if (order->stage == STAGE_FREE || order->instance_id != instance_id ||
            order->arrival_ns >= bar->open_ns + third)
            continue;
        uint64_t sequence = order->sequence;
        meet_open(paper, book, order);
        if (is_alive(order, sequence))
            order->is_new = false;
    }
    bool low_first = low_comes_first(paper, book, instance_id);
    int64_t first = low_first ? bar->low : bar->high;
    int64_t second = low_first ? bar->high : bar->low;
    sweep(paper, book, instance_id, bar->open, first, bar->open_ns + third);
    sweep(paper, book, instance_id, first, second, bar->open_ns + 2 * third);
    sweep(paper, book, instance_id, second, bar->close, bar->open_ns + 5 * third / 2);
}

static void bar_expire(struct paper *paper, struct book *book, int64_t until_ns)
{
    for (uint32_t slot = book->first; slot != NOBODY;) {
        struct paper_order *order = &paper->orders[slot];
        slot = order->next;
        if (order->stage != STAGE_TRAVELLING && order->expires_ns <= until_ns)
            paper_end(paper, order, REPORT_EXPIRED, "", order->expires_ns);
    }
}

void match_bar(struct paper *paper, struct book *book, const struct event *event)
{
    if (book->source > SOURCE_BAR || event->bar.is_history)
        return;
    book->source = SOURCE_BAR;
    book->bar = event->bar;
    book->bar_end_ns = event->time_ns;
    if (book->count == 0)
        return;
    bar_expire(paper, book, event->bar.open_ns);
    book->is_telling = true;
    for (size_t i = 0; i < book->account_count; i++)
        bar_account(paper, book, book->accounts[i].instance_id);
    match_late(paper, book);
    book->is_telling = false;
    bar_expire(paper, book, event->time_ns);
}
