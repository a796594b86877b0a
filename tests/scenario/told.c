/* told.c - what the venue of the script has told so far.
 *
 * The double knows nothing but what the script says: it answers a question about which the script
 * is silent from here. */
#include "tests/scenario/scenario.h"

#include <string.h>

struct told_name *told_name(struct told *told, const char *script)
{
    for (size_t i = told->name_count; i-- > 0;)
        if (strcmp(told->names[i].script, script) == 0)
            return &told->names[i];
    return NULL;
}

struct told_order *told_by_name(struct told *told, const char *script)
{
    struct told_name *name = told_name(told, script);
    return name ? &told->orders[name->order] : NULL;
}

struct told_order *told_by_id(struct told *told, uint64_t order_id)
{
    for (size_t i = 0; i < told->order_count; i++)
        if (told->orders[i].order_id == order_id)
            return &told->orders[i];
    return NULL;
}

struct told_order *told_add(struct told *told)
{
    ASSERT(told->order_count < ORDERS_TOLD_MAX);
    struct told_order *order = &told->orders[told->order_count++];
    *order = (struct told_order){ .qty = DECIMAL_NONE,
                                  .price = DECIMAL_NONE,
                                  .replace_qty = DECIMAL_NONE,
                                  .replace_price = DECIMAL_NONE,
                                  .status = ORDER_PENDING_NEW,
                                  .cum = DECIMAL_ZERO,
                                  .avg = DECIMAL_NONE,
                                  .traded_qty = DECIMAL_ZERO,
                                  .notional = DECIMAL_ZERO,
                                  .submit_ns = TIME_NEVER,
                                  .cancel_ns = TIME_NEVER,
                                  .replace_ns = TIME_NEVER };
    return order;
}

void told_call(struct told *told, struct told_order *order, const char *script, const char *id)
{
    ASSERT(told->name_count < NAMES_MAX);
    struct told_name *name = &told->names[told->name_count++];
    text_copy(name->script, sizeof(name->script), script);
    text_copy(name->id, sizeof(name->id), id);
    name->order = (size_t)(order - told->orders);
    if (order->name[0] == '\0')
        text_copy(order->name, sizeof(order->name), script);
}

decimal told_cum(const struct told_order *order)
{
    return decimal_max(order->cum, order->traded_qty);
}

decimal told_avg(const struct told_order *order)
{
    if (decimal_is_zero(told_cum(order)))
        return DECIMAL_NONE;
    if (decimal_cmp(order->traded_qty, order->cum) < 0)
        return order->avg;
    return decimal_div(order->notional, order->traded_qty, 18, ROUND_HALF_EVEN);
}

bool told_is_open(const struct told_order *order)
{
    return order->is_told &&
           (order->status == ORDER_NEW || order->status == ORDER_PARTIALLY_FILLED);
}

bool told_is_in_flight(const struct told_order *order)
{
    return order->submit_ns != TIME_NEVER || order->cancel_ns != TIME_NEVER ||
           order->replace_ns != TIME_NEVER;
}

void told_answered(struct told_order *order)
{
    order->is_silent = false;
    order->submit_ns = order->cancel_ns = order->replace_ns = TIME_NEVER;
}

static void follow_cum(struct told_order *order)
{
    bool some = decimal_sign(told_cum(order)) > 0;
    order->is_told = true;
    order->is_silent = false;
    order->submit_ns = TIME_NEVER;
    if (decimal_valid(order->qty) && some && decimal_cmp(told_cum(order), order->qty) >= 0) {
        order->status = ORDER_FILLED;
        order->is_listed = false;
    } else if (order->status == ORDER_PENDING_NEW || order->status == ORDER_NEW ||
               order->status == ORDER_PARTIALLY_FILLED || order->status == ORDER_FILLED) {
        order->status = some ? ORDER_PARTIALLY_FILLED : ORDER_NEW;
        order->is_listed = true;
    }
}

static struct told_trade *find_trade(struct told *told, const struct told_order *order,
                                     const char *trade)
{
    for (size_t i = 0; i < told->trade_count; i++)
        if (strcmp(told->trades[i].trade, trade) == 0 &&
            told->orders[told->trades[i].order].instrument == order->instrument)
            return &told->trades[i];
    return NULL;
}

void told_fill(struct told *told, struct told_order *order, const char *trade, decimal qty,
               decimal price, int64_t now_ns)
{
    if (find_trade(told, order, trade) || !decimal_valid(qty) || decimal_sign(qty) <= 0 ||
        !decimal_valid(price))
        return;
    ASSERT(told->trade_count < TRADES_MAX);
    struct told_trade *row = &told->trades[told->trade_count++];
    *row = (struct told_trade){
        .order = (size_t)(order - told->orders), .qty = qty, .price = price, .time_ns = now_ns
    };
    text_copy(row->trade, sizeof(row->trade), trade);
    order->traded_qty = decimal_add(order->traded_qty, qty);
    order->notional = decimal_add(order->notional, decimal_mul(qty, price));
    follow_cum(order);
}

void told_bust(struct told *told, struct told_order *order, const char *trade)
{
    struct told_trade *row = find_trade(told, order, trade);
    if (!row || row->is_gone)
        return;
    row->is_gone = true;
    order->traded_qty = decimal_sub(order->traded_qty, row->qty);
    order->notional = decimal_sub(order->notional, decimal_mul(row->qty, row->price));
    order->cum = DECIMAL_ZERO;
    follow_cum(order);
}

/* It keeps its number. */
void told_correct(struct told *told, struct told_order *order, const char *trade, decimal qty,
                  decimal price)
{
    struct told_trade *row = find_trade(told, order, trade);
    if (!row || row->is_gone || !decimal_valid(qty) || !decimal_valid(price))
        return;
    order->traded_qty = decimal_add(decimal_sub(order->traded_qty, row->qty), qty);
    order->notional = decimal_add(decimal_sub(order->notional, decimal_mul(row->qty, row->price)),
                                  decimal_mul(qty, price));
    row->qty = qty;
    row->price = price;
    order->cum = DECIMAL_ZERO;
    follow_cum(order);
}

void told_sum(struct told_order *order, enum order_status status, decimal cum, decimal avg)
{
    order->is_told = true;
    order->is_silent = false;
    order->submit_ns = TIME_NEVER;
    if (decimal_valid(cum) && decimal_cmp(cum, told_cum(order)) < 0)
        return; /* old news */
    if (decimal_valid(cum)) {
        order->cum = cum;
        if (decimal_valid(avg))
            order->avg = avg;
    }
    order->status = status;
    order->is_listed = status == ORDER_NEW || status == ORDER_PARTIALLY_FILLED;
}

decimal told_position(const struct told *told, uint32_t instrument)
{
    decimal sum = told->base_qty[instrument];
    for (size_t i = 0; i < told->order_count; i++) {
        const struct told_order *order = &told->orders[i];
        decimal cum = told_cum(order);
        if (order->instrument == instrument)
            sum = order->side == SIDE_SELL ? decimal_sub(sum, cum) : decimal_add(sum, cum);
    }
    return sum;
}
