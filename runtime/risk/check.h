/* check.h - the one gate between every strategy and every venue.
 *
 * A pure function: a view of the account in, a verdict out, in exact decimals. The same in
 * backtest, paper and live. What only reduces a position passes, whatever the limits say; of an
 * order that flips a position the opening part alone is lowered. What each check means:
 * docs/risk.md. */
#ifndef RUNTIME_RISK_CHECK_H
#define RUNTIME_RISK_CHECK_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/domain/instrument.h"
#include "runtime/domain/order.h"
#include "runtime/risk/limits.h"
#include "runtime/risk/volatility.h"

enum verdict { VERDICT_APPROVE, VERDICT_REDUCE, VERDICT_BLOCK, VERDICT_HALT };
const char *verdict_name(enum verdict verdict); /* "approve", "reduce", "block", "halt" */

/* What an order falls into: each has limits of its own, and its own equity, day and exposure. */
enum scope_kind { SCOPE_ACCOUNT, SCOPE_VENUE, SCOPE_STRATEGY, SCOPE_SYMBOL, SCOPES };

/* Money in account currency, quantities in base units of the order's instrument. A member that no
 * limit of the scope needs may be left 0. */
struct scope_view {
    const struct risk_limits *limits; /* NULL: the scope has none, the rest says nothing */
    const char *name;                 /* for a person: "the account", "venue sim" */
    decimal equity, day_opening_equity, peak_equity;
    decimal day_volume; /* filled today, and open orders that add risk */
    decimal heat;       /* lost if every stop is hit */
    decimal position_qty, working_buy, working_sell; /* exits are not counted */
    uint32_t day_trades; /* filled today, and open orders that have not filled */
    uint32_t open_positions;
    bool is_open;         /* the order's own position is one of them */
    bool rate_is_reached; /* as many messages as a second may have */
    /* As if all open orders were filled, and as if none were: what hedges is not
     * counted on. NULL: no estimate. */
    const struct volatility_book *volatility[2];
};

struct risk_view {
    const struct instrument *instrument;
    decimal reference; /* touch, or last trade; DECIMAL_NONE: no price yet */
    decimal fx;        /* account currency per unit of the instrument's; DECIMAL_NONE: no rate */
    decimal working_price; /* the highest of open orders in this instrument; DECIMAL_NONE without */
    decimal beside; /* of its side, counted in `working` but in no volatility book: an order that
                       leaves just before it */
    decimal no_stop_pct;     /* what an order without a stop loses, as a share of its value */
    decimal exposure_others; /* bound by the instance's other instruments */
    decimal exposure_left;   /* what the account may still have at stake, this
                                instrument's included; DECIMAL_NONE: no such bound */
    const char *barred_code, *barred_why; /* nothing that adds risk may leave now; NULL: it may */
    struct scope_view scopes[SCOPES]; /* of STRATEGY position, working and equity are always set */
};

struct risk_verdict {
    enum verdict verdict;
    enum scope_kind scope; /* whose limit spoke */
    decimal qty;           /* what may leave: as asked, lowered, or zero */
    char code[32];         /* "buying_power", "max_order_size", ... empty when approved */
    char reason[REASON_MAX];
};

/* Judges one order whose price and quantity are rounded to tick and lot already. */
void risk_check(const struct risk_view *view, const struct order *order, struct risk_verdict *out);

/* Whether a loss of the day or from the peak has reached a limit: true, and *out says HALT and why.
 * A loss that cannot be told (a sum that does not fit) counts as reached. */
bool risk_is_lost(const struct risk_limits *limits, decimal equity, decimal day_opening_equity,
                  decimal peak_equity, struct risk_verdict *out);

/* The price at which an order is expected to enter: its limit, else its trigger, else the
 * reference.
 */
decimal risk_entry_price(const struct order *order, decimal reference);
/* What one unit loses at the order's stop, in the instrument's currency; without a stop no_stop_pct
 * of its price. */
decimal risk_of_unit(const struct order *order, const struct instrument *instrument,
                     decimal reference, decimal no_stop_pct);
/* The worst price that a market order may get: the reference beyond by the collar, rounded to the
 * tick toward the reference. DECIMAL_NONE: no price above 0 is one. */
decimal risk_collar_bound(const struct instrument *instrument, enum order_side side,
                          decimal reference, decimal collar);

#endif
