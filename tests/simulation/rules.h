/* rules.h - the limits that an operator set in one world, drawn at random, and as YAML.
 *
 * Names and units of its own: nothing of runtime/risk is used, so that the referee (referee.h)
 * judges by docs/risk.md and not by what the runtime makes of it. */
#ifndef SIMULATION_RULES_H
#define SIMULATION_RULES_H

#include "runtime/base/base.h"
#include "runtime/base/random.h"
#include "runtime/base/text.h"
#include "tests/simulation/exchange.h"

#define RULE_STRATEGIES_MAX 4
#define CENTS_PER_UNIT 100000           /* money in 0.00001: a tick times a lot */
#define SHARE_WHOLE INT64_C(1000000000) /* shares in 1e-9 */

enum rule {
    RULE_ORDER_SIZE,
    RULE_DAILY_VOLUME,
    RULE_OPEN_POSITIONS,
    RULE_DAILY_LOSS,
    RULE_DAILY_LOSS_PCT,
    RULE_POSITION_SIZE,
    RULE_VOLATILITY,
    RULE_HEAT,
    RULE_DRAWDOWN,
    RULE_TRADE_RISK,
    RULE_DAILY_TRADES,
    RULE_ORDER_RATE,
    RULE_COLLAR,
    RULES
};
const char *rule_name(enum rule rule);

/* Of one scope. 0: not set. Money in 0.00001, shares in 1e-9, counts as they are. */
struct rule_set {
    int64_t value[RULES];
};

struct rules {
    bool any; /* false: the world has no limits at all */
    struct rule_set account, venue, symbols[MARKETS_MAX], strategies[RULE_STRATEGIES_MAX];
    int64_t capital[RULE_STRATEGIES_MAX]; /* whole units; 0: the runtime shares it out */
    int64_t leverage;                     /* of each instrument, but at a spot venue */
    int64_t reserve;                      /* of the message rate, kept for cancels: percent */
    int64_t no_stop;                      /* share that is lost without a stop */
    bool self_trade_prevention;
    int64_t stop_distance;        /* share; 0: no stop is required */
    int64_t repeated, repeated_s; /* executions within so many seconds; 0: any */
    /* Of the venue's breaker; failures 0: it has none. */
    int64_t failures, open_for_s, probes, latency_ms, error_rate, price_jump;
    int64_t begins_ns; /* the world does, after midnight; a day's end comes while it runs, or
                          none however wrong its clock is */
    bool crosses_day;
};

/* From the seed, in a stream of its own: what else a seed does stays as it is. */
void rules_draw(struct rules *rules, uint64_t seed, uint32_t market_count, size_t strategy_count);
/* What an operator lowers between two processes: limits of the account, under what is held. */
void rules_lower(struct rules *rules, struct random *random);

/* `{ max_order_size_usd: 20, ... }` of one scope; false and nothing written: it sets none. */
bool rules_write_set(const struct rule_set *set, struct text *out);
/* The whole `risk:` line. */
void rules_write(const struct rules *rules, const char *venue, const char *const *symbols,
                 uint32_t market_count, struct text *out);

#endif
