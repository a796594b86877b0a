/* limits.h - the limits that a user may set, and the one table of their names.
 *
 * A set of limits belongs to a scope: the account, one venue, one strategy, one symbol. Every scope
 * that an order falls into binds. What each limit means stands in docs/risk.md. */
#ifndef RUNTIME_RISK_LIMITS_H
#define RUNTIME_RISK_LIMITS_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"

enum limit {
    LIMIT_ORDER_SIZE,
    LIMIT_DAILY_VOLUME,
    LIMIT_OPEN_POSITIONS,
    LIMIT_DAILY_LOSS,
    LIMIT_DAILY_LOSS_PCT,
    LIMIT_POSITION_SIZE,
    LIMIT_VOLATILITY,
    LIMIT_HEAT,
    LIMIT_DRAWDOWN,
    LIMIT_TRADE_RISK,
    LIMIT_DAILY_TRADES,
    LIMIT_ORDER_RATE,
    LIMIT_COLLAR,
    LIMITS
};

enum limit_kind {
    LIMIT_IS_MONEY, /* account currency, above 0 */
    LIMIT_IS_SHARE, /* a fraction, above 0: 0.02 is 2 % */
    LIMIT_IS_COUNT  /* a whole number, above 0 */
};

struct limit_info {
    const char
        *name; /* in YAML and Lua, "max_order_size_usd"; the environment has it in capitals */
    const char *code; /* of a verdict that it causes, "max_order_size" */
    enum limit_kind kind;
};
const struct limit_info *limit_info(enum limit limit);
/* By its name, or by one that users have for it ("max_daily_loss"); LIMITS: there is none. */
enum limit limit_by_name(const char *name);

struct risk_limits {
    decimal value[LIMITS]; /* DECIMAL_NONE: no such limit */
};
void risk_limits_init(struct risk_limits *limits); /* no limits */
/* Where both say something the stricter counts. */
void risk_limits_narrow(struct risk_limits *limits, const struct risk_limits *by);

static inline bool limit_is_set(const struct risk_limits *limits, enum limit limit)
{
    return decimal_valid(limits->value[limit]);
}

#endif
