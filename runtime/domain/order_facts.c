/* order_facts.c - what an order says of itself: how it begins, its public status, its sums, and the
 * words for all of it. What changes it is in order.c. */
#include "runtime/domain/order.h"

#include <string.h>

void order_init(struct order *order)
{
    *order = (struct order){ .type = ORDER_MARKET,
                             .tif = TIF_GTC,
                             .qty = DECIMAL_ZERO,
                             .price = DECIMAL_NONE,
                             .trigger_price = DECIMAL_NONE,
                             .trail = DECIMAL_NONE,
                             .stop = DECIMAL_NONE,
                             .take = DECIMAL_NONE,
                             .wanted_qty = DECIMAL_NONE,
                             .known = ORDER_PENDING_NEW,
                             .pending_qty = DECIMAL_NONE,
                             .pending_price = DECIMAL_NONE,
                             .filled_qty = DECIMAL_ZERO,
                             .notional = DECIMAL_ZERO,
                             .fees = DECIMAL_ZERO,
                             .inferred_qty = DECIMAL_ZERO,
                             .inferred_notional = DECIMAL_ZERO,
                             .expires_ns = TIME_NEVER };
}

enum order_status order_status(const struct order *order)
{
    if (!order_is_open(order))
        return order->known;
    if (order->doubt)
        return ORDER_UNKNOWN;
    if (order->pending & PENDING_CANCEL) /* of two wishes the last word */
        return ORDER_PENDING_CANCEL;
    return order->pending & PENDING_REPLACE ? ORDER_PENDING_REPLACE : order->known;
}

bool order_is_open(const struct order *order)
{
    return order->known == ORDER_PENDING_NEW || order->known == ORDER_NEW ||
           order->known == ORDER_PARTIALLY_FILLED;
}

decimal order_remaining(const struct order *order)
{
    if (!order_is_open(order))
        return DECIMAL_ZERO;
    return decimal_max(decimal_sub(order->qty, order->filled_qty), DECIMAL_ZERO);
}

decimal order_avg_price(const struct order *order)
{
    if (!decimal_valid(order->filled_qty) || decimal_sign(order->filled_qty) <= 0)
        return DECIMAL_NONE;
    return decimal_div(order->notional, order->filled_qty, ORDER_PRICE_DIGITS, ROUND_HALF_EVEN);
}

decimal fill_notional(const struct fill *fill)
{
    return fill->kind == FILL_TRADE ? decimal_mul(fill->qty, fill->price) : fill->notional;
}

enum order_side fill_side(enum order_side order_side, const struct fill *fill)
{
    if (fill->kind != FILL_REVERSAL)
        return order_side;
    return order_side == SIDE_BUY ? SIDE_SELL : SIDE_BUY;
}

/* ---- names: the words of the contract, in Lua and in files ---- */

static const char *const TYPES[] = {
    [ORDER_MARKET] = "market",         [ORDER_LIMIT] = "limit",       [ORDER_STOP] = "stop",
    [ORDER_STOP_LIMIT] = "stop_limit", [ORDER_TRAILING] = "trailing",
};

static const char *const TIFS[] = {
    [TIF_GTC] = "gtc", [TIF_DAY] = "day", [TIF_IOC] = "ioc", [TIF_FOK] = "fok", [TIF_GTD] = "gtd",
};

static const char *const ROLES[] = {
    [ROLE_PLAIN] = "plain",
    [ROLE_STOP] = "stop",
    [ROLE_TAKE] = "take",
};

static const char *const STATUS_NAMES[] = {
    [ORDER_PENDING_NEW] = "pending_new",
    [ORDER_NEW] = "new",
    [ORDER_PARTIALLY_FILLED] = "partially_filled",
    [ORDER_FILLED] = "filled",
    [ORDER_CANCELED] = "canceled",
    [ORDER_REJECTED] = "rejected",
    [ORDER_EXPIRED] = "expired",
    [ORDER_PENDING_CANCEL] = "pending_cancel",
    [ORDER_PENDING_REPLACE] = "pending_replace",
    [ORDER_UNKNOWN] = "unknown",
};

static const char *const KIND_NAMES[] = {
    [REPORT_ACK] = "ack",
    [REPORT_FILL] = "fill",
    [REPORT_CANCELED] = "canceled",
    [REPORT_EXPIRED] = "expired",
    [REPORT_REJECTED] = "rejected",
    [REPORT_CANCEL_REJECT] = "cancel_reject",
    [REPORT_REPLACED] = "replaced",
    [REPORT_REPLACE_REJECT] = "replace_reject",
    [REPORT_RESTATED] = "restated",
    [REPORT_STATUS] = "status",
    [REPORT_BUST] = "bust",
    [REPORT_CORRECT] = "correct",
    [REPORT_NOT_FOUND] = "not_found",
    [REPORT_DOUBT] = "doubt",
};

static const char *const FILL_KINDS[] = {
    [FILL_TRADE] = "trade",
    [FILL_INFERRED] = "inferred",
    [FILL_REVERSAL] = "reversal",
};

static const char *name_of(const char *const *names, size_t count, unsigned value)
{
    ASSERT(value < count);
    return names[value];
}

static bool name_parse(const char *const *names, size_t count, const char *text, unsigned *value)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            *value = (unsigned)i;
            return true;
        }
    }
    return false;
}

const char *order_side_name(enum order_side side)
{
    return side == SIDE_BUY ? "buy" : "sell";
}

const char *order_type_name(enum order_type type)
{
    return name_of(TYPES, ARRAY_SIZE(TYPES), type);
}

const char *order_tif_name(enum order_tif tif)
{
    return name_of(TIFS, ARRAY_SIZE(TIFS), tif);
}

const char *order_status_name(enum order_status status)
{
    return name_of(STATUS_NAMES, ARRAY_SIZE(STATUS_NAMES), status);
}

const char *order_role_name(enum order_role role)
{
    return name_of(ROLES, ARRAY_SIZE(ROLES), role);
}

const char *report_kind_name(enum report_kind kind)
{
    return name_of(KIND_NAMES, ARRAY_SIZE(KIND_NAMES), kind);
}

bool order_type_parse(const char *text, enum order_type *type)
{
    unsigned value;
    if (!name_parse(TYPES, ARRAY_SIZE(TYPES), text, &value))
        return false;
    *type = (enum order_type)value;
    return true;
}

bool order_tif_parse(const char *text, enum order_tif *tif)
{
    unsigned value;
    if (!name_parse(TIFS, ARRAY_SIZE(TIFS), text, &value))
        return false;
    *tif = (enum order_tif)value;
    return true;
}

const char *fill_kind_name(enum fill_kind kind)
{
    return name_of(FILL_KINDS, ARRAY_SIZE(FILL_KINDS), kind);
}
