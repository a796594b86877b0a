/* check_property_test.c - the gate against a second one, over random views.
 *
 * The second gate is this file's own: whole numbers in units of 10^-12 over 128 bits, no decimal,
 * and every lowered quantity found by trying lots. It reads docs/risk.md, not check.c. */
#include "check_fixture.h"

#include <math.h>

#include "runtime/base/random.h"

__extension__ typedef __int128 whole;

#define NONE INT64_MIN /* no such number */

/* Steps of the numbers below: prices 0.01, quantities 0.001, money 0.01, multipliers 0.1, rates of
 * exchange 0.01, shares 0.0001. A quantity times a price times both is then in 10^-8. */
struct side_view {
    bool is_limited;
    int64_t limit[LIMITS]; /* money 0.01, share 0.0001, count 1 */
    int64_t equity, opening, peak, volume, heat;
    int64_t position, buys, sells; /* quantities */
    uint32_t trades, positions;
    bool is_open, rate_is_reached;
};

struct naive {
    struct side_view scopes[SCOPES];
    int64_t reference, fx, working_price, no_stop, others, left;
    int64_t lot, minimum, multiplier, leverage; /* leverage: 0.1 */
    bool short_allowed, reduce_only, is_barred, buys;
    int64_t qty, price, trigger, stop;

    int64_t closing;           /* of the order as asked */
    int64_t reducing, opening; /* what is left of the order */
    enum verdict verdict;
    enum scope_kind scope;
    int64_t allowed;
    const char *code;
};

/* ---- the second gate ---- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static whole money(int64_t cents) /* in 10^-12 */
{
    return (whole)cents * 10000000000;
}

static whole worth(const struct naive *n, int64_t qty, int64_t price)
{
    return (whole)qty * price * n->multiplier * n->fx * 10000;
}

static int64_t worst_price(const struct naive *n) /* NONE is below every price */
{
    return larger(n->reference, larger(n->price, n->trigger));
}

static whole share_of(int64_t cents, int64_t share)
{
    return (whole)cents * share * 1000000;
}

static int64_t entry(const struct naive *n)
{
    return n->price != NONE ? n->price : n->trigger != NONE ? n->trigger : n->reference;
}

static whole loss(const struct naive *n, int64_t qty)
{
    if (n->stop == NONE)
        return worth(n, qty, entry(n)) / 10000 * n->no_stop; /* a multiple of 10^4: exact */
    return worth(n, qty, entry(n) > n->stop ? entry(n) - n->stop : n->stop - entry(n));
}

/* What the order's side holds in a scope with `opening` of it filled, the closing part first. */
static whole side_worth(const struct naive *n, const struct side_view *scope, int64_t price)
{
    int64_t held = (n->buys ? scope->position + scope->buys : scope->sells - scope->position);
    return worth(n, larger(held + n->reducing, 0), price);
}

static whole exposure(const struct naive *n, const struct side_view *scope, int64_t opening)
{
    return side_worth(n, scope, larger(worst_price(n), n->working_price)) +
           worth(n, opening, worst_price(n));
}

enum size_check { STAGE = LIMITS, BUYING_POWER };

/* Whether a limit is kept with so much opened. What is used up opens nothing, not even what costs
 * nothing. */
static bool keeps(const struct naive *n, const struct side_view *scope, int check, int64_t opening)
{
    whole used, cost, most;
    int64_t price = worst_price(n);
    int64_t limit = check < LIMITS ? scope->limit[check] : 0;
    if (limit == NONE)
        return true;
    switch (check) {
    case LIMIT_ORDER_SIZE:
        used = worth(n, n->reducing, price);
        cost = worth(n, opening, price);
        most = money(limit);
        break;
    case LIMIT_DAILY_VOLUME:
        used = money(scope->volume) + worth(n, n->reducing, price);
        cost = worth(n, opening, price);
        most = money(limit);
        break;
    case LIMIT_POSITION_SIZE:
        used = exposure(n, scope, 0);
        cost = worth(n, opening, price);
        most = share_of(scope->equity, limit);
        break;
    case LIMIT_TRADE_RISK:
        used = 0;
        cost = loss(n, opening);
        most = share_of(scope->equity, limit);
        break;
    case LIMIT_HEAT:
        used = money(scope->heat);
        cost = loss(n, opening);
        most = share_of(scope->equity, limit);
        break;
    case STAGE:
        if (n->left == NONE)
            return true;
        used = exposure(n, &n->scopes[SCOPE_ACCOUNT], 0);
        cost = worth(n, opening, price);
        most = money(n->left);
        break;
    default: /* BUYING_POWER */
        used = exposure(n, &n->scopes[SCOPE_STRATEGY], 0) + money(n->others);
        cost = worth(n, opening, price);
        most = money(n->scopes[SCOPE_STRATEGY].equity) / 10 * n->leverage;
    }
    return used < most && used + cost <= most;
}

static bool says(struct naive *n, enum verdict verdict, enum scope_kind scope, const char *code)
{
    n->verdict = verdict;
    n->scope = scope;
    n->code = code;
    n->allowed = 0;
    return verdict == VERDICT_REDUCE;
}

/* The most whole lots that keep it; what closes may leave in any case. False: nothing may. */
static bool lowers(struct naive *n, enum scope_kind scope, int check, const char *code)
{
    if (n->opening <= 0 || keeps(n, &n->scopes[scope], check, n->opening))
        return true;
    int64_t low = n->reducing / n->lot, high = (n->reducing + n->opening) / n->lot + 1;
    while (high - low > 1) { /* `low` lots keep it */
        int64_t middle = low + (high - low) / 2;
        int64_t opening = middle * n->lot - n->reducing;
        if (opening <= 0 || keeps(n, &n->scopes[scope], check, opening))
            low = middle;
        else
            high = middle;
    }
    if (low == 0)
        return says(n, VERDICT_BLOCK, scope, code);
    n->opening = larger(low * n->lot - n->reducing, 0);
    n->reducing = low * n->lot - n->opening;
    return says(n, VERDICT_REDUCE, scope, code);
}

static bool judge_scope(struct naive *n, enum scope_kind k)
{
    const struct side_view *s = &n->scopes[k];
    const int64_t *limit = s->limit;
    if (limit[LIMIT_ORDER_RATE] != NONE && s->rate_is_reached)
        return says(n, VERDICT_BLOCK, k, "max_orders_per_second");
    if (limit[LIMIT_DAILY_TRADES] != NONE && s->trades >= limit[LIMIT_DAILY_TRADES])
        return says(n, VERDICT_BLOCK, k, "max_daily_trades");
    if (limit[LIMIT_OPEN_POSITIONS] != NONE && !s->is_open &&
        s->positions >= limit[LIMIT_OPEN_POSITIONS])
        return says(n, VERDICT_BLOCK, k, "max_open_positions");
    if (limit[LIMIT_COLLAR] != NONE && n->price != NONE) {
        int64_t through = n->buys ? n->price - n->reference : n->reference - n->price;
        if ((whole)through * 10000 > (whole)n->reference * limit[LIMIT_COLLAR])
            return says(n, VERDICT_BLOCK, k, "price_collar");
    }
    if (limit[LIMIT_DAILY_LOSS] != NONE && s->opening - s->equity >= limit[LIMIT_DAILY_LOSS])
        return says(n, VERDICT_HALT, k, "max_daily_loss");
    if (limit[LIMIT_DAILY_LOSS_PCT] != NONE &&
        money(s->opening - s->equity) >= share_of(s->opening, limit[LIMIT_DAILY_LOSS_PCT]))
        return says(n, VERDICT_HALT, k, "max_daily_loss");
    if (limit[LIMIT_DRAWDOWN] != NONE &&
        money(s->peak - s->equity) >= share_of(s->peak, limit[LIMIT_DRAWDOWN]))
        return says(n, VERDICT_HALT, k, "max_drawdown");
    return lowers(n, k, LIMIT_ORDER_SIZE, "max_order_size") &&
           lowers(n, k, LIMIT_DAILY_VOLUME, "max_daily_volume") &&
           lowers(n, k, LIMIT_POSITION_SIZE, "max_position_size") &&
           lowers(n, k, LIMIT_TRADE_RISK, "per_trade_risk") &&
           lowers(n, k, LIMIT_HEAT, "max_portfolio_heat");
}

static bool judge_rest(struct naive *n)
{
    if (n->is_barred)
        return says(n, VERDICT_BLOCK, SCOPE_ACCOUNT, "halted");
    if (n->reference <= 0)
        return says(n, VERDICT_BLOCK, SCOPE_ACCOUNT, "no_quote");
    if (n->fx <= 0)
        return says(n, VERDICT_BLOCK, SCOPE_ACCOUNT, "no_fx_rate");
    if (!n->buys && !n->short_allowed) { /* what closes, in whole lots */
        n->opening = 0;
        n->reducing -= n->reducing % n->lot;
        return says(n, n->reducing > 0 ? VERDICT_REDUCE : VERDICT_BLOCK, SCOPE_ACCOUNT, "no_short");
    }
    for (enum scope_kind k = 0; k < SCOPES; k++)
        if (n->scopes[k].is_limited && n->opening > 0 && !judge_scope(n, k))
            return false;
    if (!lowers(n, SCOPE_ACCOUNT, STAGE, "rollout_stage") ||
        !lowers(n, SCOPE_ACCOUNT, BUYING_POWER, "buying_power"))
        return false;
    /* In the instrument's own money: quantity 0.001, price 0.01, multiplier 0.1. */
    whole value = (whole)(n->reducing + n->opening) * entry(n) * n->multiplier;
    if (n->opening > 0 && value < (whole)n->minimum * 10000)
        return says(n, VERDICT_BLOCK, n->code[0] ? n->scope : SCOPE_ACCOUNT,
                    n->code[0] ? n->code : "min_notional");
    return true;
}

static void judge_naive(struct naive *n)
{
    const struct side_view *own = &n->scopes[SCOPE_STRATEGY];
    int64_t against = n->buys ? -own->position - own->buys : own->position - own->sells;
    n->reducing = against <= 0 ? 0 : n->qty < against ? n->qty : against;
    if (n->reduce_only)
        n->reducing = n->qty;
    n->closing = n->reducing;
    n->opening = n->qty - n->reducing;
    says(n, VERDICT_APPROVE, SCOPE_ACCOUNT, "");
    if (n->opening == 0 || judge_rest(n))
        n->allowed = n->reducing + n->opening;
}

/* Whether `qty` keeps every limit of size: what was found is the most. */
static bool keeps_all(struct naive *n, int64_t qty)
{
    n->reducing = n->closing;
    static const int limits[] = { LIMIT_ORDER_SIZE, LIMIT_DAILY_VOLUME, LIMIT_POSITION_SIZE,
                                  LIMIT_TRADE_RISK, LIMIT_HEAT };
    int64_t opening = qty - n->reducing;
    bool kept = keeps(n, NULL, STAGE, opening) && keeps(n, NULL, BUYING_POWER, opening);
    for (enum scope_kind k = 0; k < SCOPES; k++)
        for (size_t i = 0; i < ARRAY_SIZE(limits) && n->scopes[k].is_limited; i++)
            kept = kept && keeps(n, &n->scopes[k], limits[i], opening);
    return kept && (n->buys || n->short_allowed);
}

/* ---- random views ---- */

static int64_t between(struct random *random, int64_t low, int64_t high)
{
    return low + (int64_t)random_below(random, (uint64_t)(high - low + 1));
}

static bool one_in(struct random *random, uint64_t n)
{
    return random_below(random, n) == 0;
}

static void draw_scope(struct random *random, struct side_view *s, uint64_t rare)
{
    s->is_limited = !one_in(random, 5);
    for (int i = 0; i < LIMITS; i++)
        s->limit[i] = NONE;
    static const struct {
        enum limit limit;
        int64_t most;
    } limits[] = { { LIMIT_ORDER_SIZE, 3000000 },  { LIMIT_DAILY_VOLUME, 4000000 },
                   { LIMIT_POSITION_SIZE, 30000 }, { LIMIT_TRADE_RISK, 2000 },
                   { LIMIT_HEAT, 3000 },           { LIMIT_COLLAR, 3000 },
                   { LIMIT_DAILY_LOSS, 500000 },   { LIMIT_DAILY_LOSS_PCT, 5000 },
                   { LIMIT_DRAWDOWN, 5000 },       { LIMIT_DAILY_TRADES, 20 },
                   { LIMIT_OPEN_POSITIONS, 20 },   { LIMIT_ORDER_RATE, 20 } };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (one_in(random, 3))
            s->limit[limits[i].limit] = between(random, 1, limits[i].most);
    s->equity = between(random, one_in(random, rare) ? -1000 : 100, 3000000);
    s->opening = s->equity + between(random, -1000, 100000);
    s->peak = larger(s->equity, s->opening) + between(random, 0, 100000);
    s->volume = between(random, 0, 1000000);
    s->heat = between(random, 0, 50000);
    s->position = one_in(random, 3) ? 0 : between(random, -50000, 50000);
    s->buys = one_in(random, 2) ? 0 : between(random, 0, 40000);
    s->sells = one_in(random, 2) ? 0 : between(random, 0, 40000);
    s->trades = (uint32_t)between(random, 0, 6);
    s->positions = (uint32_t)between(random, 0, 6);
    s->is_open = one_in(random, 2);
    s->rate_is_reached = one_in(random, 10);
}

static void draw(struct random *random, struct naive *n)
{
    static const int64_t lots[] = { 1, 10, 100, 300, 1000, 7000, 50 };
    memset(n, 0, sizeof(*n));
    for (int i = 0; i < SCOPES; i++)
        draw_scope(random, &n->scopes[i], 10);
    n->lot = lots[random_below(random, ARRAY_SIZE(lots))];
    n->minimum = one_in(random, 2) ? 0 : between(random, 0, 100000);
    n->multiplier = one_in(random, 2) ? 10 : between(random, 1, 100);
    n->leverage = one_in(random, 2) ? 10 : between(random, 10, 100);
    n->reference = one_in(random, 50) ? 0 : between(random, 1, 20000);
    n->fx = one_in(random, 50) ? 0 : one_in(random, 2) ? 100 : between(random, 1, 300);
    n->working_price = one_in(random, 2) ? NONE : n->reference + between(random, 0, 2000);
    n->no_stop = between(random, 1, 1000);
    n->others = one_in(random, 2) ? 0 : between(random, 0, 500000);
    n->left = one_in(random, 3) ? between(random, -10000, 5000000) : NONE;
    n->short_allowed = !one_in(random, 6);
    n->reduce_only = one_in(random, 20);
    n->is_barred = one_in(random, 30);
    n->buys = one_in(random, 2);
    n->qty = n->lot * between(random, 1, larger(120000 / n->lot, 1));
    n->price = one_in(random, 2) ? NONE : larger(n->reference + between(random, -2000, 2000), 1);
    n->trigger = one_in(random, 4) ? larger(n->reference + between(random, -2000, 2000), 1) : NONE;
    n->stop = one_in(random, 2) ? larger(entry(n) + between(random, -1500, 1500), 1) : NONE;
}

/* ---- the same for the gate ---- */

static decimal number(int64_t value, int scale)
{
    return value == NONE ? DECIMAL_NONE : decimal_make(value, scale);
}

static void tell_scope(const struct side_view *s, struct risk_limits *limits,
                       struct scope_view *out)
{
    for (enum limit i = 0; i < LIMITS; i++) {
        enum limit_kind kind = limit_info(i)->kind;
        int scale = kind == LIMIT_IS_MONEY ? 2 : kind == LIMIT_IS_SHARE ? 4 : 0;
        limits->value[i] = number(s->limit[i], scale);
    }
    out->limits = s->is_limited ? limits : NULL;
    out->equity = number(s->equity, 2);
    out->day_opening_equity = number(s->opening, 2);
    out->peak_equity = number(s->peak, 2);
    out->day_volume = number(s->volume, 2);
    out->heat = number(s->heat, 2);
    out->position_qty = number(s->position, 3);
    out->working_buy = number(s->buys, 3);
    out->working_sell = number(s->sells, 3);
    out->day_trades = s->trades;
    out->open_positions = s->positions;
    out->is_open = s->is_open;
    out->rate_is_reached = s->rate_is_reached;
}

static void tell(const struct naive *n, struct gate *gate)
{
    gate_reset(gate);
    for (int i = 0; i < SCOPES; i++)
        tell_scope(&n->scopes[i], &gate->limits[i], &gate->view.scopes[i]);
    gate->instrument.lot_size = number(n->lot, 3);
    gate->instrument.min_notional = number(n->minimum, 2);
    gate->instrument.multiplier = number(n->multiplier, 1);
    gate->instrument.leverage = number(n->leverage, 1);
    gate->instrument.short_allowed = n->short_allowed;
    gate->view.reference = number(n->reference, 2);
    gate->view.fx = number(n->fx, 2);
    gate->view.working_price = number(n->working_price, 2);
    gate->view.no_stop_pct = number(n->no_stop, 4);
    gate->view.exposure_others = number(n->others, 2);
    gate->view.exposure_left = number(n->left, 2);
    gate->view.barred_code = n->is_barred ? "halted" : NULL;
    gate->order.price = number(n->price, 2);
    gate->order.trigger_price = number(n->trigger, 2);
    gate->order.stop = number(n->stop, 2);
    gate->order.reduce_only = n->reduce_only;
}

static void assert_same(const struct gate *gate, const struct naive *n, int round)
{
    const struct risk_verdict *out = &gate->verdict;
    bool same = out->verdict == n->verdict && strcmp(out->code, n->code) == 0 &&
                out->scope == n->scope && decimal_cmp(out->qty, number(n->allowed, 3)) == 0;
    if (same)
        return;
    char text[DECIMAL_TEXT_MAX];
    fail_msg("view %d: the gate says %s %s %d %s (%s), the second one %s %lld/1000 %d %s", round,
             verdict_name(out->verdict), decimal_format(out->qty, text), out->scope, out->code,
             out->reason, verdict_name(n->verdict), (long long)n->allowed, n->scope, n->code);
}

static void two_gates_say_the_same(void **state)
{
    (void)state;
    int count[VERDICT_HALT + 1] = { 0 };
    struct random random;
    random_seed(&random, 2026);
    for (int round = 0; round < 200000; round++) {
        struct naive n;
        struct gate gate;
        draw(&random, &n);
        if (round % 2) /* half of them with nothing that blocks or halts: more is lowered */
            for (int i = 0; i < SCOPES; i++) {
                struct side_view *s = &n.scopes[i];
                s->limit[LIMIT_ORDER_RATE] = s->limit[LIMIT_DAILY_TRADES] = NONE;
                s->limit[LIMIT_OPEN_POSITIONS] = s->limit[LIMIT_COLLAR] = NONE;
                s->limit[LIMIT_DAILY_LOSS] = s->limit[LIMIT_DAILY_LOSS_PCT] = NONE;
                s->limit[LIMIT_DRAWDOWN] = NONE;
            }
        tell(&n, &gate);
        judge_naive(&n);
        judge_decimal(&gate, n.buys ? SIDE_BUY : SIDE_SELL, number(n.qty, 3));
        assert_same(&gate, &n, round);
        count[n.verdict]++;
        if (n.verdict == VERDICT_APPROVE && n.opening > 0)
            assert_true(keeps_all(&n, n.allowed));
        if (n.verdict == VERDICT_REDUCE) {
            assert_true(n.opening == 0 || keeps_all(&n, n.allowed));
            assert_int_equal(n.allowed % n.lot, 0);
            assert_false(keeps_all(&n, n.allowed + n.lot));
        }
    }
    /* Each verdict was asked for often enough to mean something. */
    for (int i = 0; i <= VERDICT_HALT; i++)
        assert_true(count[i] > 2000);
}

/* ---- volatility, which is in doubles: kept, and one lot more would break it ---- */

static long double volatility_at(const struct volatility_book *book, long double change)
{
    long double w = book->weight, sum = book->q + 2 * change * book->g + change * change * book->s2;
    long double a = w + change < 0 ? -(w + change) : w + change, b = w < 0 ? -w : w;
    sum += 2 * book->fold * (a - b);
    return sum > 0 ? __builtin_sqrtl(sum) : 0;
}

/* Whether neither book is above the limit, or above what it is without the order, once `qty` of it
 * (0.1, on `side`) are filled and `with` before them. */
static bool is_calm(const struct gate *gate, double side, int64_t with, int64_t qty,
                    long double limit, long double tolerance)
{
    bool calm = true;
    for (int i = 0; i < 2; i++) {
        long double change = side * (long double)(qty + (i == 1 ? with : 0)) / 1000;
        long double bound = fmaxl(limit, volatility_at(&gate->book[i], 0));
        calm = calm && volatility_at(&gate->book[i], change) <= bound * (1 + tolerance);
    }
    return calm;
}

/* One instrument is held beside the one that is traded, correlated by rho. */
static void draw_books(struct random *random, double all, double none,
                       struct volatility_book books[2])
{
    double s = 0.1 + random_unit(random), t = 0.1 + random_unit(random);
    double rho = 2 * random_unit(random) - 1, other = 2 * random_unit(random) - 1;
    double fold = one_in(random, 2) ? 0 : 1e-3 * random_unit(random) * s * t * fabs(other);
    double cross = rho * s * t * other * 0.99;
    for (int i = 0; i < 2; i++) {
        double own = i == 0 ? all : none;
        books[i] = (struct volatility_book){ .q = other * other * t * t + 2 * own * cross +
                                                  own * own * s * s + 2 * fold * fabs(own),
                                             .g = cross + own * s * s,
                                             .s2 = s * s,
                                             .weight = own,
                                             .fold = fold };
    }
}

static void volatility_is_kept_and_used_up(void **state)
{
    (void)state;
    int reduced = 0;
    struct random random;
    random_seed(&random, 11);
    for (int round = 0; round < 20000; round++) {
        struct gate gate;
        gate_reset(&gate);
        gate.instrument.min_notional = DECIMAL_ZERO;
        gate.instrument.leverage = D("1000");
        /* Units of 1 % of the equity each: reference 100, equity 10,000. */
        bool buys = one_in(&random, 2);
        double side = buys ? 1 : -1;
        int64_t position = one_in(&random, 3) ? 0 : between(&random, -500, 500); /* 0.1 */
        int64_t with = one_in(&random, 2) ? 0 : between(&random, 0, 300);
        int64_t beside = one_in(&random, 2) ? 0 : between(&random, 0, 300);
        int64_t qty = between(&random, 1, 2000), limit = between(&random, 1, 20000);
        int64_t toward = (buys ? position : -position) + with;
        int64_t opposite = (buys ? -position : position) + beside;
        double own = side * (double)(toward >= opposite ? toward : -opposite) / 1000;
        draw_books(&random, own, (double)position / 1000, gate.book);
        for (int i = 0; i < SCOPES; i++) {
            struct scope_view *scope = &gate.view.scopes[i];
            scope->position_qty = decimal_make(position, 1);
            scope->working_buy = decimal_make(buys ? with : beside, 1);
            scope->working_sell = decimal_make(buys ? beside : with, 1);
        }
        enum scope_kind k = (enum scope_kind)random_below(&random, SCOPES);
        show_books(&gate, k);
        gate.limits[k].value[LIMIT_VOLATILITY] = decimal_make(limit, 4);
        judge_decimal(&gate, buys ? SIDE_BUY : SIDE_SELL, decimal_make(qty, 1));

        int64_t closes = -toward > 0 ? -toward : 0, left = 0;
        assert_int_equal(decimal_mantissa(gate.verdict.qty, 1, &left), 0);
        long double bound = (long double)limit / 10000;
        if (left > closes) /* opens something */
            assert_true(is_calm(&gate, side, with, left, bound, 1e-12L));
        if (gate.verdict.verdict == VERDICT_APPROVE) {
            assert_int_equal(left, qty);
            continue;
        }
        assert_string_equal(gate.verdict.code, "max_portfolio_volatility");
        assert_true(left >= (closes < qty ? closes : qty) && left < qty);
        assert_false(is_calm(&gate, side, with, left + 1, bound, -1e-8L));
        reduced += gate.verdict.verdict == VERDICT_REDUCE;
    }
    assert_true(reduced > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_gates_say_the_same),
        cmocka_unit_test(volatility_is_kept_and_used_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
