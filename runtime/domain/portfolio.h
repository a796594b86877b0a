/* portfolio.h - what is held: positions, their exact cost, and what closing them earned.
 *
 * Pure. Cost basis is kept exactly; the average price is derived from it. On a partial close the
 * released cost is rounded to 18 digits and the rest kept, so the sum stays exact. */
#ifndef RUNTIME_DOMAIN_PORTFOLIO_H
#define RUNTIME_DOMAIN_PORTFOLIO_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"
#include "runtime/domain/order.h"

struct position {
    decimal qty;          /* signed base units; + long */
    decimal cost;         /* signed: sum of qty * price * multiplier of what is open */
    decimal realized_pnl; /* gross, account currency */
    decimal fees;         /* paid */
    decimal funding;      /* received positive */
};

void position_init(struct position *position);

/* Books one fill on `side` (fill_side of it): a flip closes and opens. *realized (may be NULL) is
 * what this fill earned, gross; a reversal takes back what was earned, not at today's cost.
 * ERROR_RANGE when a sum would not fit; *position is then as it was.
 */
MUST_CHECK int position_apply(struct position *position, enum order_side side,
                              const struct fill *fill, decimal multiplier, decimal *realized,
                              struct error *err);
decimal position_avg_price(const struct position *position,
                           decimal multiplier); /* DECIMAL_NONE when flat */
decimal position_unrealized(const struct position *position, decimal mark, decimal multiplier);
decimal position_value(const struct position *position, decimal mark,
                       decimal multiplier); /* signed */

/* A round trip: one row from flat to flat; a flip ends one and begins the next. */
struct trip {
    int64_t opened_ns, closed_ns;
    enum order_side side; /* of the entry */
    decimal qty;          /* total entered */
    decimal entry_notional, exit_notional, exit_qty;
    decimal fees;
    decimal gross_pnl;
    uint64_t bars_held; /* while open: the bar counter at the entry */
    char tag[TAG_MAX];  /* of the first entry order */
    bool open;
};

void trip_init(struct trip *trip);

/* Books one fill given the position's qty before it. When it ends a trip, *done is filled and true
 * is returned; a flip's fee is split by quantity (rounded to 18 digits, the rest to the new trip).
 * bars_now is the instance's bar counter. */
bool trip_apply(struct trip *trip, decimal qty_before, enum order_side side,
                const struct fill *fill, decimal multiplier, const char *tag, int64_t now_ns,
                uint64_t bars_now, struct trip *done);
/* `qty` that was booked as *was really was *is: the open trip is worth what the truth says. One
 * that has ended stays as it was told. */
void trip_correct(struct trip *trip, enum order_side side, const struct fill *was,
                  const struct fill *is, decimal qty, decimal multiplier);

#endif
