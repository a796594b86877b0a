/* rules.c - see rules.h. */
#include "tests/simulation/rules.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/hash.h"

enum unit { MONEY, SHARE, COUNT };

/* The range of a limit in which it often speaks here: prices are 50 to 500, orders 0.001 to 0.5.
 * `of_capital`: a share, drawn as money and divided by the capital. */
static const struct {
    const char *name;
    enum unit unit;
    bool of_capital;
    int64_t least, most; /* in the units of struct rule_set; of_capital: money */
} table[RULES] = {
    [RULE_ORDER_SIZE] = { "max_order_size_usd", MONEY, false, 100000, 15000000 },
    [RULE_DAILY_VOLUME] = { "max_daily_volume_usd", MONEY, false, 5000000, 300000000 },
    [RULE_OPEN_POSITIONS] = { "max_open_positions", COUNT, false, 1, 2 },
    [RULE_DAILY_LOSS] = { "max_daily_loss_usd", MONEY, false, 5000, 300000 },
    [RULE_DAILY_LOSS_PCT] = { "max_daily_loss_pct", SHARE, true, 5000, 300000 },
    [RULE_POSITION_SIZE] = { "max_position_size", SHARE, true, 200000, 15000000 },
    [RULE_VOLATILITY] = { "max_portfolio_volatility", SHARE, false, 1000, SHARE_WHOLE / 50 },
    [RULE_HEAT] = { "max_portfolio_heat", SHARE, true, 5000, 500000 },
    [RULE_DRAWDOWN] = { "max_drawdown", SHARE, true, 5000, 300000 },
    [RULE_TRADE_RISK] = { "per_trade_risk_pct", SHARE, true, 1000, 50000 },
    [RULE_DAILY_TRADES] = { "max_daily_trades", COUNT, false, 3, 60 },
    [RULE_ORDER_RATE] = { "max_orders_per_second", COUNT, false, 1, 5 },
    [RULE_COLLAR] = { "price_collar_pct", SHARE, false, SHARE_WHOLE / 5000, SHARE_WHOLE / 200 },
};

const char *rule_name(enum rule rule)
{
    return table[rule].name;
}

static bool chance(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

/* Small values as often as large ones: the exponent is drawn, then the rest. */
static int64_t between(struct random *random, int64_t least, int64_t most)
{
    int64_t top = most;
    while (top / 2 > least && chance(random, 50))
        top /= 2;
    return least + (int64_t)random_below(random, (uint64_t)(top - least + 1));
}

static void draw_rule(struct rule_set *set, enum rule rule, int64_t capital, struct random *random)
{
    int64_t value = between(random, table[rule].least, table[rule].most);
    if (table[rule].of_capital)
        value = value * (SHARE_WHOLE / CENTS_PER_UNIT) / capital;
    set->value[rule] = value > SHARE_WHOLE && table[rule].unit == SHARE ? SHARE_WHOLE : value;
    if (set->value[rule] < 1)
        set->value[rule] = 1;
}

static void draw_set(struct rule_set *set, unsigned percent, int64_t capital, struct random *random)
{
    for (int i = 0; i < RULES; i++)
        if (chance(random, percent))
            draw_rule(set, (enum rule)i, capital, random);
}

static int64_t capital_of(const struct rules *rules)
{
    int64_t sum = 0;
    for (size_t i = 0; i < RULE_STRATEGIES_MAX; i++)
        sum += rules->capital[i];
    return sum;
}

static void draw_others(struct rules *rules, struct random *random)
{
    rules->self_trade_prevention = chance(random, 75);
    if (chance(random, 30))
        rules->reserve = between(random, 0, 90);
    if (chance(random, 30))
        rules->no_stop = between(random, SHARE_WHOLE / 1000, SHARE_WHOLE / 5);
    if (chance(random, 15))
        rules->stop_distance = between(random, SHARE_WHOLE / 2000, SHARE_WHOLE / 50);
    if (chance(random, 15)) {
        rules->repeated = between(random, 2, 20);
        rules->repeated_s = between(random, 1, 100);
    }
    if (chance(random, 25)) {
        rules->failures = between(random, 1, 6);
        rules->open_for_s = between(random, 1, 60);
        rules->probes = between(random, 1, 4);
        rules->latency_ms = between(random, 1000, 20000);
        rules->error_rate = between(random, SHARE_WHOLE / 20, SHARE_WHOLE);
        rules->price_jump = between(random, SHARE_WHOLE / 1000, SHARE_WHOLE / 10);
    }
}

void rules_draw(struct rules *rules, uint64_t seed, uint32_t market_count, size_t strategy_count)
{
    struct random random;
    *rules = (struct rules){
        .leverage = 5, .reserve = 20, .no_stop = SHARE_WHOLE / 20, .self_trade_prevention = true
    };
    random_seed(&random, hash64(seed, 11, 12));
    rules->any = chance(&random, 65);
    if (!rules->any)
        return;
    for (size_t i = 0; i < strategy_count; i++)
        rules->capital[i] = between(&random, 100, 5000);
    rules->leverage = between(&random, 1, 10);
    draw_others(rules, &random);
    rules->crosses_day = chance(&random, 30);
    rules->begins_ns = NS_PER_DAY / 2;
    if (rules->crosses_day)
        rules->begins_ns = NS_PER_DAY - between(&random, 60, 600) * NS_PER_SECOND;
    int64_t capital = capital_of(rules);
    /* Few at once: each then speaks for itself, and the strategies still get somewhere. */
    draw_set(&rules->account, chance(&random, 80) ? 15 : 40, capital, &random);
    if (chance(&random, 35))
        draw_set(&rules->venue, 15, capital, &random);
    for (uint32_t i = 0; i < market_count; i++)
        if (chance(&random, 35))
            draw_set(&rules->symbols[i], 15, capital, &random);
    for (size_t i = 0; i < strategy_count; i++)
        if (chance(&random, 35))
            draw_set(&rules->strategies[i], 15, rules->capital[i], &random);
}

void rules_lower(struct rules *rules, struct random *random)
{
    for (int i = 0; i < RULES; i++) {
        int64_t *value = &rules->account.value[i];
        int64_t lower = *value / (2 + (int64_t)random_below(random, 8));
        if (*value > 0 && chance(random, 50))
            *value = lower > 0 ? lower : 1;
    }
}

/* ---- as YAML ---- */

static void write_value(enum rule rule, int64_t value, struct text *out)
{
    int64_t whole = table[rule].unit == MONEY ? CENTS_PER_UNIT : SHARE_WHOLE;
    int digits = table[rule].unit == MONEY ? 5 : 9;
    if (table[rule].unit == COUNT)
        text_printf(out, "%s: %" PRId64, table[rule].name, value);
    else
        text_printf(out, "%s: %" PRId64 ".%0*" PRId64, table[rule].name, value / whole, digits,
                    value % whole);
}

static bool write_members(const struct rule_set *set, bool first, struct text *out)
{
    for (int i = 0; i < RULES; i++) {
        if (set->value[i] == 0)
            continue;
        text_add(out, first ? "" : ", ");
        write_value((enum rule)i, set->value[i], out);
        first = false;
    }
    return first;
}

static bool is_empty(const struct rule_set *set)
{
    bool any = false;
    for (int i = 0; i < RULES; i++)
        any |= set->value[i] != 0;
    return !any;
}

bool rules_write_set(const struct rule_set *set, struct text *out)
{
    if (is_empty(set))
        return false;
    text_add(out, "{ ");
    write_members(set, true, out);
    text_add(out, " }");
    return true;
}

static void write_scope(const char *name, const struct rule_set *set, bool *first, struct text *out)
{
    if (is_empty(set))
        return;
    text_printf(out, "%s%s: ", *first ? "" : ", ", name);
    rules_write_set(set, out);
    *first = false;
}

static void write_share(const char *name, int64_t value, struct text *out)
{
    text_printf(out, "%s: %" PRId64 ".%09" PRId64, name, value / SHARE_WHOLE, value % SHARE_WHOLE);
}

static void write_others(const struct rules *rules, bool first, struct text *out)
{
    text_printf(out, "%scancel_reserve: 0.%02" PRId64 ", ", first ? "" : ", ", rules->reserve);
    write_share("heat_no_stop_pct", rules->no_stop, out);
    if (!rules->self_trade_prevention)
        text_add(out, ", self_trade_prevention: false");
    if (rules->stop_distance > 0) {
        text_add(out, ", require_stop: true, ");
        write_share("stop_distance_pct", rules->stop_distance, out);
    }
    if (rules->repeated > 0)
        text_printf(out, ", repeated_executions: { count: %" PRId64 ", within: %" PRId64 "s }",
                    rules->repeated, rules->repeated_s);
}

static void write_breaker(const struct rules *rules, struct text *out)
{
    text_printf(out,
                "circuit_breaker: { failures: %" PRId64 ", open_for: %" PRId64
                "s, half_open_probes: %" PRId64 ", max_latency: %" PRId64 "ms, ",
                rules->failures, rules->open_for_s, rules->probes, rules->latency_ms);
    write_share("max_error_rate", rules->error_rate, out);
    text_add(out, ", ");
    write_share("price_jump_pct", rules->price_jump, out);
    text_add(out, " }\n");
}

void rules_write(const struct rules *rules, const char *venue, const char *const *symbols,
                 uint32_t market_count, struct text *out)
{
    text_add(out, "risk: { ");
    bool first = write_members(&rules->account, true, out);
    bool alone = true;
    if (!is_empty(&rules->venue)) {
        text_printf(out, "%svenues: { ", first ? "" : ", ");
        write_scope(venue, &rules->venue, &alone, out);
        text_add(out, " }");
        first = false;
    }
    alone = true;
    for (uint32_t i = 0; i < market_count; i++) {
        if (is_empty(&rules->symbols[i]))
            continue;
        if (alone)
            text_printf(out, "%ssymbols: { ", first ? "" : ", ");
        write_scope(symbols[i], &rules->symbols[i], &alone, out);
    }
    text_add(out, alone ? "" : " }");
    write_others(rules, first && alone, out);
    text_add(out, " }\n");
    if (rules->failures > 0)
        write_breaker(rules, out);
}
