/* check.h - the one gate between every strategy and every venue.
 *
 * A pure function: limits and a view of the account in, a verdict out, in exact decimals. The same
 * in backtest, paper and live. Reducing orders skip the size limits. */
#ifndef RUNTIME_RISK_CHECK_H
#define RUNTIME_RISK_CHECK_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/domain/instrument.h"
#include "runtime/domain/order.h"
#include "runtime/risk/limits.h"

enum verdict { VERDICT_APPROVE, VERDICT_REDUCE, VERDICT_BLOCK, VERDICT_HALT };

/* What the gate knows of the account when it judges. Quantities in base units, money in account
 * currency. "working" counts pending, resting and unknown orders' remaining quantity. */
struct risk_view {
    const struct instrument *instrument;
    decimal reference;                 /* last trade or mid; DECIMAL_NONE: no price yet */
    decimal equity;                    /* of the instance */
    decimal position_qty;              /* the instance's, signed */
    decimal working_buy, working_sell; /* of the instance on this instrument, exits not counted */
    decimal exposure_others; /* money bound by the instance's other instruments, worse side */
    decimal day_opening_equity, account_equity, day_volume;
    uint32_t open_positions; /* of the account, this instrument's not counted */
    uint32_t day_trades;
    uint32_t orders_last_second;
    bool halted;           /* the session, or this instrument */
    const char *halt_code; /* "halted", "disconnected", "reconciling" */
    const char *halt_reason;
};

struct risk_verdict {
    enum verdict verdict;
    decimal qty;   /* what may leave: as asked, lowered, or zero */
    char code[32]; /* "buying_power", "max_order_size", ... empty when approved */
    char reason[REASON_MAX];
};

/* Judges one order whose price and quantity are rounded to tick and lot already. */
void risk_check(const struct risk_limits *account, const struct risk_limits *strategy,
                const struct risk_view *view, const struct order *order, struct risk_verdict *out);

/* Whether the day's loss has reached a limit: true, and *out says HALT and why. */
bool risk_day_is_lost(const struct risk_limits *limits, decimal day_opening_equity,
                      decimal account_equity, struct risk_verdict *out);

const char *verdict_name(enum verdict verdict);

#endif
