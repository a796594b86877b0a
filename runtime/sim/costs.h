/* costs.h - what trading costs in the simulation: fees and slippage, each with its formula. */
#ifndef RUNTIME_SIM_COSTS_H
#define RUNTIME_SIM_COSTS_H

#include "runtime/base/decimal.h"
#include "runtime/domain/instrument.h"
#include "runtime/domain/order.h"

enum slippage_model { SLIPPAGE_NONE, SLIPPAGE_FIXED, SLIPPAGE_HALF_SPREAD };

struct costs {
    decimal maker_fee, taker_fee; /* share of notional */
    enum slippage_model slippage;
    decimal slippage_bps; /* of SLIPPAGE_FIXED */
};

/* notional * rate, rounded half-even to 8 digits after the point. */
decimal costs_fee(const struct costs *costs, const struct instrument *instrument, decimal price,
                  decimal qty, enum liquidity liquidity);
/* A taker price moved against the order and rounded to the tick against it. spread: the quoted
 * spread, DECIMAL_ZERO when there is none. */
decimal costs_slip(const struct costs *costs, const struct instrument *instrument,
                   enum order_side side, decimal price, decimal spread);
bool slippage_parse(const char *name, enum slippage_model *model);
const char *slippage_name(enum slippage_model model);

#endif
