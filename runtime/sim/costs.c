/* costs.c - fees and slippage in exact decimals. */
#include "runtime/sim/costs.h"

#include <string.h>

static const char *const SLIPPAGE_NAMES[] = {
    [SLIPPAGE_NONE] = "none",
    [SLIPPAGE_FIXED] = "fixed",
    [SLIPPAGE_HALF_SPREAD] = "half_spread",
};

decimal costs_fee(const struct costs *costs, const struct instrument *instrument, decimal price,
                  decimal qty, enum liquidity liquidity)
{
    decimal rate = liquidity == LIQUIDITY_MAKER ? costs->maker_fee : costs->taker_fee;
    decimal notional = decimal_mul(decimal_mul(price, qty), instrument->multiplier);
    return decimal_round(decimal_mul(notional, rate), 8, ROUND_HALF_EVEN);
}

/* How far the price moves against the order, before rounding. */
static decimal slip_distance(const struct costs *costs, decimal price, decimal spread)
{
    switch (costs->slippage) {
    case SLIPPAGE_NONE:
        return DECIMAL_ZERO;
    case SLIPPAGE_FIXED:
        return decimal_mul(price, decimal_mul(costs->slippage_bps, decimal_make(1, 4)));
    case SLIPPAGE_HALF_SPREAD:
        return decimal_mul(spread, decimal_make(5, 1));
    }
    ASSERT(!"a slippage model");
    return DECIMAL_NONE;
}

decimal costs_slip(const struct costs *costs, const struct instrument *instrument,
                   enum order_side side, decimal price, decimal spread)
{
    decimal distance = slip_distance(costs, price, spread);
    if (side == SIDE_BUY)
        return decimal_to_multiple(decimal_add(price, distance), instrument->tick_size,
                                   ROUND_CEILING);
    decimal lower =
        decimal_to_multiple(decimal_sub(price, distance), instrument->tick_size, ROUND_FLOOR);
    return decimal_max(lower, instrument->tick_size); /* nothing is sold for nothing */
}

bool slippage_parse(const char *name, enum slippage_model *model)
{
    for (size_t i = 0; i < ARRAY_SIZE(SLIPPAGE_NAMES); i++) {
        if (strcmp(name, SLIPPAGE_NAMES[i]) != 0)
            continue;
        *model = (enum slippage_model)i;
        return true;
    }
    return false;
}

const char *slippage_name(enum slippage_model model)
{
    ASSERT((size_t)model < ARRAY_SIZE(SLIPPAGE_NAMES));
    return SLIPPAGE_NAMES[model];
}
