/* reach.c - see reach.h. */
#include "tests/simulation/reach.h"

#include <string.h>

/* What a fault can meet: one about an order strikes when something of it is sent, happens or is
 * told, and the status is what the runtime believes then; one about a line, a market or the process
 * strikes all that is open. A done order is reached by what comes late. */
#define SENT (1u << ORDER_PENDING_NEW | 1u << ORDER_PENDING_CANCEL | 1u << ORDER_PENDING_REPLACE)
#define WORKS (1u << ORDER_NEW | 1u << ORDER_PARTIALLY_FILLED)
#define DOUBT (1u << ORDER_UNKNOWN)
#define FILLED (1u << ORDER_FILLED)
#define OPEN (SENT | WORKS | DOUBT)

static const unsigned declared[FAULTS] = {
    [FAULT_DELAY] = OPEN,
    [FAULT_REQUEST_LOST] = SENT | DOUBT,
    [FAULT_ANSWER_LOST] = SENT | DOUBT,
    [FAULT_SERVER_ERROR] = SENT | DOUBT,
    [FAULT_SILENCE] = SENT | DOUBT,
    [FAULT_RATE_LIMIT] = SENT | DOUBT,
    [FAULT_REFUSED] = SENT | DOUBT,
    [FAULT_DUPLICATE] = SENT | WORKS | DOUBT | FILLED,
    [FAULT_STREAM_LOSS] = SENT | WORKS | DOUBT | FILLED,
    [FAULT_REORDER] = SENT | WORKS | DOUBT | FILLED,
    [FAULT_DISCONNECT] = OPEN,
    [FAULT_PRIVATE_DOWN] = OPEN,
    [FAULT_PUBLIC_DOWN] = OPEN,
    [FAULT_HALF_OPEN] = OPEN,
    [FAULT_NOT_FOUND] = DOUBT | 1u << ORDER_NEW,
    [FAULT_STALE] = OPEN,
    [FAULT_QUERY_FAILS] = OPEN,
    [FAULT_LATE_FILL] = 1u << ORDER_PENDING_CANCEL | DOUBT,
    [FAULT_BUST] = FILLED | 1u << ORDER_PARTIALLY_FILLED,
    [FAULT_CORRECT] = FILLED | 1u << ORDER_PARTIALLY_FILLED,
    [FAULT_CANCEL_UNASKED] = WORKS | DOUBT,
    [FAULT_RESTATE] = WORKS | DOUBT,
    [FAULT_OVERFILL] = FILLED,
    [FAULT_ZERO_FILL] = 1u << ORDER_PENDING_NEW | WORKS | FILLED,
    [FAULT_STRANGER] = OPEN,
    [FAULT_CROSSED] = OPEN,
    [FAULT_TENFOLD] = OPEN,
    [FAULT_QUIET] = OPEN,
    [FAULT_BURST] = OPEN,
    [FAULT_KILL_SEND] = OPEN,
    [FAULT_KILL_COMMIT] = OPEN,
    [FAULT_KILL_WRITE] = OPEN,
    [FAULT_POWER] = OPEN,
    [FAULT_DISK] = OPEN,
    [FAULT_CLOCK] = OPEN,
    [FAULT_RELOAD] = OPEN,
    [FAULT_BAD_RELOAD] = OPEN,
    [FAULT_ABSENT] = WORKS | DOUBT,
    [FAULT_LAG] = OPEN,
    [FAULT_HALT] = OPEN,
    [FAULT_LIFT] = OPEN,
    [FAULT_FLATTEN] = OPEN,
    [FAULT_BREAKER] = OPEN,
};

#define REDUCES (1u << REACH_REDUCE | 1u << REACH_BLOCK) /* to nothing: it blocks */
#define BLOCKS (1u << REACH_BLOCK)
#define HALTS (1u << REACH_HALT)

static const struct {
    const char *code;
    unsigned verdicts; /* that must be met */
} limits[RULES] = {
    [RULE_ORDER_SIZE] = { "max_order_size", REDUCES },
    [RULE_DAILY_VOLUME] = { "max_daily_volume", REDUCES },
    [RULE_OPEN_POSITIONS] = { "max_open_positions", BLOCKS },
    [RULE_DAILY_LOSS] = { "max_daily_loss", HALTS },
    [RULE_DAILY_LOSS_PCT] = { "max_daily_loss", HALTS },
    [RULE_POSITION_SIZE] = { "max_position_size", REDUCES },
    [RULE_VOLATILITY] = { "max_portfolio_volatility", REDUCES },
    [RULE_HEAT] = { "max_portfolio_heat", REDUCES },
    [RULE_DRAWDOWN] = { "max_drawdown", HALTS },
    [RULE_TRADE_RISK] = { "per_trade_risk", REDUCES },
    [RULE_DAILY_TRADES] = { "max_daily_trades", BLOCKS },
    [RULE_ORDER_RATE] = { "max_orders_per_second", BLOCKS },
    [RULE_COLLAR] = { "price_collar", BLOCKS },
};

void reach_hit(struct reach *reach, enum fault fault, int status)
{
    if (status >= 0)
        reach->hits[fault][status]++;
}

static bool is_set(const struct rules *rules, enum rule rule)
{
    bool set = rules->account.value[rule] != 0 || rules->venue.value[rule] != 0;
    for (size_t i = 0; i < ARRAY_SIZE(rules->symbols); i++)
        set |= rules->symbols[i].value[rule] != 0;
    for (size_t i = 0; i < ARRAY_SIZE(rules->strategies); i++)
        set |= rules->strategies[i].value[rule] != 0;
    return set;
}

void reach_spoke(struct reach *reach, const char *code, enum reach_verdict verdict,
                 const struct rules *rules)
{
    for (int i = 0; i < RULES; i++)
        if (strcmp(limits[i].code, code) == 0 && is_set(rules, (enum rule)i))
            reach->spoke[i][verdict]++;
}

void reach_add(struct reach *sum, const struct reach *more)
{
    for (int f = 0; f < FAULTS; f++)
        for (int s = 0; s < REACH_STATUSES; s++)
            sum->hits[f][s] += more->hits[f][s];
    for (int i = 0; i < RULES; i++)
        for (int v = 0; v < REACH_VERDICTS; v++)
            sum->spoke[i][v] += more->spoke[i][v];
}

static char mark(bool must, uint64_t hits)
{
    return must && hits == 0 ? '!' : must ? '+' : ' ';
}

static size_t print_limits(const struct reach *reach, FILE *out)
{
    size_t missing = 0;
    fprintf(out, "%-26s     reduce      block       halt\n", "limit");
    for (int i = 0; i < RULES; i++) {
        fprintf(out, "%-26s", rule_name((enum rule)i));
        for (int v = 0; v < REACH_VERDICTS; v++) {
            bool must = limits[i].verdicts & (1u << v);
            missing += must && reach->spoke[i][v] == 0;
            fprintf(out, " %9" PRIu64 "%c", reach->spoke[i][v], mark(must, reach->spoke[i][v]));
        }
        fprintf(out, "\n");
    }
    return missing;
}

size_t reach_print(const struct reach *reach, FILE *out)
{
    size_t missing = 0;
    fprintf(out, "%-16s", "fault");
    for (int s = 0; s < REACH_STATUSES; s++)
        fprintf(out, " %10.10s", order_status_name((enum order_status)s));
    fprintf(out, "\n");
    for (int f = 0; f < FAULTS; f++) {
        if (!declared[f])
            continue;
        fprintf(out, "%-16s", fault_name((enum fault)f));
        for (int s = 0; s < REACH_STATUSES; s++) {
            bool must = declared[f] & (1u << s);
            missing += must && reach->hits[f][s] == 0;
            fprintf(out, " %9" PRIu64 "%c", reach->hits[f][s], mark(must, reach->hits[f][s]));
        }
        fprintf(out, "\n");
    }
    missing += print_limits(reach, out);
    if (missing)
        fprintf(out, "%zu pairs that can be reached were not (marked !)\n", missing);
    return missing;
}
