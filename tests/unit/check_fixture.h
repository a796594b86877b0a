/* check_fixture.h - a view of the account that the gate approves, for tests to spoil one thing of.
 *
 * The instrument trades in lots of 0.1 at a tick of 1, the reference is 100, every scope has an
 * equity of 10,000 and no limit, nothing is held and nothing works. */
#ifndef TESTS_UNIT_CHECK_FIXTURE_H
#define TESTS_UNIT_CHECK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "runtime/risk/check.h"

#define D(text) decimal_text(text)
#define OR_NONE(text) ((text) ? D(text) : DECIMAL_NONE)

struct gate {
    struct instrument instrument;
    struct risk_limits limits[SCOPES];
    struct volatility_book book[2]; /* all open orders filled, none filled */
    struct risk_view view;
    struct scope_view beyond; /* the end of the view: whoever asks it is blocked */
    struct risk_limits trap;
    struct order order;
    struct risk_verdict verdict;
};

static const char *const scope_names[SCOPES] = { "the account", "venue sim", "strategy trend",
                                                 "symbol BTC/USDT" };

static inline void gate_reset(struct gate *gate)
{
    memset(gate, 0, sizeof(*gate));
    gate->instrument = (struct instrument){ .tick_size = D("1"),
                                            .lot_size = D("0.1"),
                                            .min_notional = D("10"),
                                            .multiplier = D("1"),
                                            .leverage = D("1"),
                                            .short_allowed = true };
    gate->view = (struct risk_view){ .instrument = &gate->instrument,
                                     .reference = D("100"),
                                     .fx = D("1"),
                                     .working_price = DECIMAL_NONE,
                                     .no_stop_pct = D("0.05"),
                                     .exposure_others = DECIMAL_ZERO,
                                     .exposure_left = DECIMAL_NONE };
    for (int i = 0; i < SCOPES; i++) {
        risk_limits_init(&gate->limits[i]);
        gate->view.scopes[i] = (struct scope_view){ .limits = &gate->limits[i],
                                                    .name = scope_names[i],
                                                    .equity = D("10000"),
                                                    .day_opening_equity = D("10000"),
                                                    .peak_equity = D("10000"),
                                                    .day_volume = DECIMAL_ZERO,
                                                    .heat = DECIMAL_ZERO,
                                                    .position_qty = DECIMAL_ZERO,
                                                    .working_buy = DECIMAL_ZERO,
                                                    .working_sell = DECIMAL_ZERO };
    }
    risk_limits_init(&gate->trap);
    gate->trap.value[LIMIT_ORDER_RATE] = D("1");
    gate->beyond =
        (struct scope_view){ .limits = &gate->trap, .name = "nobody", .rate_is_reached = true };
    gate->order = (struct order){ .type = ORDER_MARKET,
                                  .price = DECIMAL_NONE,
                                  .trigger_price = DECIMAL_NONE,
                                  .stop = DECIMAL_NONE,
                                  .take = DECIMAL_NONE };
}

static inline void limit_scope(struct gate *gate, enum scope_kind scope, enum limit limit,
                               const char *value)
{
    gate->limits[scope].value[limit] = D(value);
}

static inline void show_books(struct gate *gate, enum scope_kind scope)
{
    for (int i = 0; i < 2; i++)
        gate->view.scopes[scope].volatility[i] = &gate->book[i];
}

/* The same in every scope, as where one strategy trades one instrument at one venue. */
static inline void hold(struct gate *gate, const char *qty, const char *buys, const char *sells)
{
    for (int i = 0; i < SCOPES; i++) {
        gate->view.scopes[i].position_qty = D(qty);
        gate->view.scopes[i].working_buy = D(buys);
        gate->view.scopes[i].working_sell = D(sells);
    }
}

static inline void judge_decimal(struct gate *gate, enum order_side side, decimal qty)
{
    gate->order.side = side;
    gate->order.qty = qty;
    /* What is left over from the last judgement must not matter. */
    memset(&gate->verdict, 0x55, sizeof(gate->verdict));
    risk_check(&gate->view, &gate->order, &gate->verdict);
}

static inline void judge(struct gate *gate, enum order_side side, const char *qty)
{
    judge_decimal(gate, side, D(qty));
}

static inline void judge_limit(struct gate *gate, enum order_side side, const char *qty,
                               const char *price)
{
    gate->order.type = ORDER_LIMIT;
    gate->order.price = D(price);
    judge(gate, side, qty);
}

/* reason: as a person reads it, without the scope's name; NULL: whatever it is. */
static inline void assert_verdict(const struct gate *gate, enum verdict verdict,
                                  enum scope_kind scope, const char *qty, const char *code,
                                  const char *reason)
{
    char text[DECIMAL_TEXT_MAX], full[2 * REASON_MAX];
    assert_string_equal(verdict_name(gate->verdict.verdict), verdict_name(verdict));
    assert_string_equal(gate->verdict.code, code);
    assert_string_equal(decimal_format(gate->verdict.qty, text), qty);
    assert_int_equal(gate->verdict.scope, scope);
    if (!reason)
        return;
    if (scope == SCOPE_ACCOUNT)
        snprintf(full, sizeof(full), "%s", reason);
    else
        snprintf(full, sizeof(full), "%s (%s)", reason, scope_names[scope]);
    assert_string_equal(gate->verdict.reason, full);
}

#define assert_approved(gate, qty) assert_verdict(gate, VERDICT_APPROVE, SCOPE_ACCOUNT, qty, "", "")
#define assert_reduced(gate, scope, qty, code)                                                     \
    assert_verdict(gate, VERDICT_REDUCE, scope, qty, code, NULL)
#define assert_blocked(gate, scope, code)                                                          \
    assert_verdict(gate, VERDICT_BLOCK, scope, "0", code, NULL)
#define assert_halted(gate, scope, code) assert_verdict(gate, VERDICT_HALT, scope, "0", code, NULL)

#endif
