/* limits.c - see limits.h. */
#include "runtime/risk/limits.h"

#include <string.h>

static const struct limit_info table[LIMITS] = {
    [LIMIT_ORDER_SIZE] = { "max_order_size_usd", "max_order_size", LIMIT_IS_MONEY },
    [LIMIT_DAILY_VOLUME] = { "max_daily_volume_usd", "max_daily_volume", LIMIT_IS_MONEY },
    [LIMIT_OPEN_POSITIONS] = { "max_open_positions", "max_open_positions", LIMIT_IS_COUNT },
    [LIMIT_DAILY_LOSS] = { "max_daily_loss_usd", "max_daily_loss", LIMIT_IS_MONEY },
    [LIMIT_DAILY_LOSS_PCT] = { "max_daily_loss_pct", "max_daily_loss", LIMIT_IS_SHARE },
    [LIMIT_POSITION_SIZE] = { "max_position_size", "max_position_size", LIMIT_IS_SHARE },
    [LIMIT_VOLATILITY] = { "max_portfolio_volatility", "max_portfolio_volatility", LIMIT_IS_SHARE },
    [LIMIT_HEAT] = { "max_portfolio_heat", "max_portfolio_heat", LIMIT_IS_SHARE },
    [LIMIT_DRAWDOWN] = { "max_drawdown", "max_drawdown", LIMIT_IS_SHARE },
    [LIMIT_TRADE_RISK] = { "per_trade_risk_pct", "per_trade_risk", LIMIT_IS_SHARE },
    [LIMIT_DAILY_TRADES] = { "max_daily_trades", "max_daily_trades", LIMIT_IS_COUNT },
    [LIMIT_ORDER_RATE] = { "max_orders_per_second", "max_orders_per_second", LIMIT_IS_COUNT },
    [LIMIT_COLLAR] = { "price_collar_pct", "price_collar", LIMIT_IS_SHARE },
};

const struct limit_info *limit_info(enum limit limit)
{
    ASSERT((unsigned)limit < LIMITS);
    return &table[limit];
}

enum limit limit_by_name(const char *name)
{
    if (strcmp(name, "max_daily_loss") == 0) /* the name users have */
        return LIMIT_DAILY_LOSS;
    for (unsigned i = 0; i < LIMITS; i++)
        if (strcmp(table[i].name, name) == 0)
            return (enum limit)i;
    return LIMITS;
}

void risk_limits_init(struct risk_limits *limits)
{
    for (unsigned i = 0; i < LIMITS; i++)
        limits->value[i] = DECIMAL_NONE;
}

void risk_limits_narrow(struct risk_limits *limits, const struct risk_limits *by)
{
    for (unsigned i = 0; i < LIMITS; i++) {
        decimal *limit = &limits->value[i];
        if (decimal_valid(by->value[i]))
            *limit = decimal_valid(*limit) ? decimal_min(*limit, by->value[i]) : by->value[i];
    }
}
