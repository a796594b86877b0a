/* order_test.c - the order state machine: every cell of its table, then the races it exists for. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/base/text.h"
#include "runtime/domain/order.h"

#define STATUSES (ORDER_EXPIRED + 1)
#define KINDS (REPORT_DOUBT + 1)
#define NOW INT64_C(1700000000000000000)

#define FILLED (ORDER_CHANGED | ORDER_BOOKED)
#define LATE (FILLED | ORDER_ALERT)
#define SUSPECT (LATE | ORDER_SUSPECT)

/* ---- orders and reports to begin with ---- */

static struct order order_in(enum order_status known) /* buy 10 at 100 */
{
    static const int filled[STATUSES] = {
        [ORDER_PARTIALLY_FILLED] = 4, [ORDER_FILLED] = 10, [ORDER_CANCELED] = 4, [ORDER_EXPIRED] = 4
    };
    struct order order;
    order_init(&order);
    text_copy(order.client_order_id, sizeof(order.client_order_id), "r0001");
    order.side = SIDE_BUY;
    order.type = ORDER_LIMIT;
    order.qty = decimal_int(10);
    order.price = decimal_int(100);
    order.known = known;
    order.filled_qty = decimal_int(filled[known]);
    order.notional = decimal_int(filled[known] * 100);
    return order;
}

static struct report report_of(enum report_kind kind)
{
    struct report report;
    memset(&report, 0, sizeof(report));
    report.kind = kind;
    report.qty = report.price = report.cum_qty = report.avg_price = DECIMAL_NONE;
    return report;
}

static struct report fill_of(const char *qty, const char *price)
{
    struct report report = report_of(REPORT_FILL);
    text_copy(report.fill.exec_id, sizeof(report.fill.exec_id), "e-1");
    report.fill.qty = decimal_text(qty);
    report.fill.price = decimal_text(price);
    report.fill.fee = decimal_text("0.01");
    return report;
}

static struct report terms_of(enum report_kind kind, int qty, int price)
{
    struct report report = report_of(kind);
    report.qty = decimal_int(qty);
    report.price = decimal_int(price);
    return report;
}

static struct report report_with(enum report_kind kind, const char *reason)
{
    struct report report = report_of(kind);
    text_copy(report.reason, sizeof(report.reason), reason);
    return report;
}

static struct report status_of(enum order_status status, const char *cum, const char *avg)
{
    struct report report = report_of(REPORT_STATUS);
    report.status = status;
    report.cum_qty = cum ? decimal_text(cum) : DECIMAL_NONE;
    report.avg_price = avg ? decimal_text(avg) : DECIMAL_NONE;
    return report;
}

/* A bust or a correction of trade e-1, of which `booked` at 100 stands in the books. */
static struct report word_on_a_trade(enum report_kind kind, const char *qty, const char *booked)
{
    struct report report = fill_of(qty, "100");
    report.kind = kind;
    report.booked_state = BOOKED_YES;
    report.booked = report.fill;
    report.booked.qty = decimal_text(booked);
    return report;
}

static int apply(struct order *order, struct report report)
{
    struct order_outcome outcome;
    struct error err = { 0 };
    return order_apply(order, &report, NOW, &outcome, &err);
}

static void assert_decimal(decimal found, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(found, text), expected);
}

/* ---- the beginning ---- */

static void an_order_begins_with_nothing(void **state)
{
    (void)state;
    struct order order;
    memset(&order, 0xa5, sizeof(order));
    order_init(&order);
    const decimal none[] = { order.price,       order.trigger_price, order.trail,
                             order.stop,        order.take,          order.wanted_qty,
                             order.pending_qty, order.pending_price };
    const decimal zero[] = { order.qty,  order.filled_qty,   order.notional,
                             order.fees, order.inferred_qty, order.inferred_notional };
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_false(decimal_valid(none[i]));
    for (size_t i = 0; i < ARRAY_SIZE(zero); i++)
        assert_decimal(zero[i], "0");
    assert_int_equal(order.type, ORDER_MARKET);
    assert_int_equal(order.tif, TIF_GTC);
    assert_int_equal(order.role, ROLE_PLAIN);
    assert_int_equal(order_status(&order), ORDER_PENDING_NEW);
    assert_true(order.expires_ns == TIME_NEVER);
    assert_int_equal(order.order_id, 0);
    assert_string_equal(order.client_order_id, "");
    assert_false(order.held || order.doubt || order.reduce_only || order.post_only);
}

/* ---- every cell ---- */

#define CANCEL PENDING_CANCEL
#define REPLACE PENDING_REPLACE
#define BOTH (PENDING_CANCEL | PENDING_REPLACE)
#define ASKED (ORDER_CHANGED | ORDER_ASK)
#define ALERTED (ORDER_CHANGED | ORDER_ALERT)
#define COUNTED ORDER_COUNTED
#define WRONG (ORDER_COUNTED | ORDER_ALERT)

/* Sets of statuses, of pending bits and of doubt before. */
#define IN(status) (1u << ORDER_##status)
#define WORKING (IN(NEW) | IN(PARTIALLY_FILLED))
#define OPEN (IN(PENDING_NEW) | WORKING)
#define ENDED (IN(CANCELED) | IN(EXPIRED))
#define DONE (IN(FILLED) | ENDED | IN(REJECTED))
#define WITH(pending) (1u << (pending))
#define ANY (WITH(PENDING_NONE) | WITH(CANCEL) | WITH(REPLACE) | WITH(BOTH))
#define NOTHING WITH(PENDING_NONE)
#define SOMETHING (ANY & ~NOTHING)
#define SURE 1u
#define DOUBT 2u
#define EITHER (SURE | DOUBT)
#define STAYS (-1) /* then: the status that it had */

enum doubt_after { KEPT, ENDS, BEGINS };

struct cell {
    enum report_kind kind;
    unsigned known, pending, doubt; /* before */
    int change;
    int then;
    unsigned answers; /* pending bits that are gone then */
    enum doubt_after after;
};

/* The specification. The reports: a fill of 1, new terms of 12 at 101 (which are those asked for
 * where a replace is under way), a restatement to 8, a status of 5 filled at 100, a bust of a trade
 * of 2 and its correction to 1. The orders: see order_in. */
static const struct cell CELLS[] = {
    { REPORT_ACK, IN(PENDING_NEW), NOTHING, EITHER, ORDER_CHANGED, ORDER_NEW, 0, ENDS },
    { REPORT_ACK, IN(PENDING_NEW), SOMETHING, EITHER, ORDER_CHANGED, ORDER_NEW, 0, KEPT },
    { REPORT_ACK, WORKING, NOTHING, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_ACK, WORKING, NOTHING, DOUBT, ORDER_CHANGED, STAYS, 0, ENDS },
    { REPORT_ACK, WORKING, SOMETHING, EITHER, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_ACK, IN(FILLED) | ENDED, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_ACK, IN(REJECTED), ANY, SURE, ORDER_ALERT | ORDER_REVIVED, STAYS, 0, KEPT },

    { REPORT_FILL, IN(PENDING_NEW), NOTHING, EITHER, FILLED, ORDER_PARTIALLY_FILLED, 0, ENDS },
    { REPORT_FILL, IN(PENDING_NEW), SOMETHING, EITHER, FILLED, ORDER_PARTIALLY_FILLED, 0, KEPT },
    { REPORT_FILL, WORKING, ANY, EITHER, FILLED, ORDER_PARTIALLY_FILLED, 0, KEPT },
    { REPORT_FILL, IN(FILLED), NOTHING, SURE, SUSPECT, STAYS, 0, KEPT },
    /* within what the replace asks for: the venue has made it */
    { REPORT_FILL, IN(FILLED), SOMETHING, SURE, FILLED, ORDER_PARTIALLY_FILLED, REPLACE, KEPT },
    { REPORT_FILL, ENDED, ANY, SURE, LATE, STAYS, 0, KEPT },
    { REPORT_FILL, IN(REJECTED), ANY, SURE, SUSPECT, STAYS, 0, KEPT },

    { REPORT_CANCELED, IN(PENDING_NEW), ANY, EITHER, ORDER_CHANGED, ORDER_CANCELED, BOTH, ENDS },
    { REPORT_CANCELED, WORKING, WITH(CANCEL) | WITH(BOTH), EITHER, ORDER_CHANGED, ORDER_CANCELED,
      BOTH, ENDS },
    { REPORT_CANCELED, WORKING, NOTHING | WITH(REPLACE), EITHER, ALERTED, ORDER_CANCELED, BOTH,
      ENDS },
    { REPORT_CANCELED, IN(FILLED) | ENDED, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_CANCELED, IN(REJECTED), ANY, SURE, COUNTED, STAYS, 0, KEPT },

    { REPORT_EXPIRED, IN(PENDING_NEW), ANY, EITHER, ORDER_CHANGED, ORDER_EXPIRED, BOTH, ENDS },
    { REPORT_EXPIRED, WORKING, WITH(CANCEL) | WITH(BOTH), EITHER, ORDER_CHANGED, ORDER_EXPIRED,
      BOTH, ENDS },
    { REPORT_EXPIRED, WORKING, NOTHING | WITH(REPLACE), EITHER, ALERTED, ORDER_EXPIRED, BOTH,
      ENDS },
    { REPORT_EXPIRED, IN(FILLED) | ENDED, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_EXPIRED, IN(REJECTED), ANY, SURE, COUNTED, STAYS, 0, KEPT },

    { REPORT_REJECTED, IN(PENDING_NEW), ANY, EITHER, ORDER_CHANGED, ORDER_REJECTED, BOTH, ENDS },
    { REPORT_REJECTED, IN(NEW), ANY, EITHER, ALERTED, ORDER_REJECTED, BOTH, ENDS },
    { REPORT_REJECTED, IN(PARTIALLY_FILLED), ANY, EITHER, ALERTED, ORDER_CANCELED, BOTH, ENDS },
    { REPORT_REJECTED, IN(FILLED) | ENDED, ANY, SURE, COUNTED, STAYS, 0, KEPT },
    { REPORT_REJECTED, IN(REJECTED), ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },

    { REPORT_CANCEL_REJECT, IN(PENDING_NEW), ANY, EITHER, COUNTED, STAYS, 0, KEPT },
    { REPORT_CANCEL_REJECT, WORKING, NOTHING | WITH(REPLACE), EITHER, ORDER_UNCHANGED, STAYS, 0,
      KEPT },
    { REPORT_CANCEL_REJECT, WORKING, WITH(CANCEL), EITHER, ORDER_CHANGED, STAYS, CANCEL, ENDS },
    { REPORT_CANCEL_REJECT, WORKING, WITH(BOTH), EITHER, ORDER_CHANGED, STAYS, CANCEL, KEPT },
    { REPORT_CANCEL_REJECT, DONE, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },

    { REPORT_REPLACED, IN(PENDING_NEW), ANY, EITHER, COUNTED, STAYS, 0, KEPT },
    { REPORT_REPLACED, WORKING, NOTHING | WITH(CANCEL), EITHER, ALERTED, STAYS, 0, KEPT },
    { REPORT_REPLACED, WORKING, WITH(REPLACE), EITHER, ORDER_CHANGED, STAYS, REPLACE, ENDS },
    { REPORT_REPLACED, WORKING, WITH(BOTH), EITHER, ORDER_CHANGED, STAYS, REPLACE, KEPT },
    { REPORT_REPLACED, IN(FILLED), NOTHING, SURE, COUNTED | ORDER_ALERT, STAYS, 0, KEPT },
    { REPORT_REPLACED, IN(FILLED), SOMETHING, SURE, ORDER_CHANGED, ORDER_PARTIALLY_FILLED, REPLACE,
      KEPT },
    { REPORT_REPLACED, ENDED | IN(REJECTED), ANY, SURE, COUNTED, STAYS, 0, KEPT },

    { REPORT_REPLACE_REJECT, IN(PENDING_NEW), ANY, EITHER, COUNTED, STAYS, 0, KEPT },
    { REPORT_REPLACE_REJECT, WORKING, NOTHING | WITH(CANCEL), EITHER, ORDER_UNCHANGED, STAYS, 0,
      KEPT },
    { REPORT_REPLACE_REJECT, WORKING, WITH(REPLACE), EITHER, ORDER_CHANGED, STAYS, REPLACE, ENDS },
    { REPORT_REPLACE_REJECT, WORKING, WITH(BOTH), EITHER, ORDER_CHANGED, STAYS, REPLACE, KEPT },
    { REPORT_REPLACE_REJECT, DONE, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },

    { REPORT_RESTATED, OPEN, ANY, EITHER, ALERTED, STAYS, 0, KEPT },
    { REPORT_RESTATED, IN(FILLED), ANY, SURE, ORDER_ALERT | ORDER_ASK, STAYS, 0, KEPT },
    { REPORT_RESTATED, ENDED | IN(REJECTED), ANY, SURE, COUNTED, STAYS, 0, KEPT },

    { REPORT_STATUS, OPEN, NOTHING, EITHER, FILLED, ORDER_PARTIALLY_FILLED, 0, ENDS },
    { REPORT_STATUS, OPEN, SOMETHING, EITHER, FILLED, ORDER_PARTIALLY_FILLED, 0, KEPT },
    { REPORT_STATUS, IN(FILLED), ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT }, /* stale */
    { REPORT_STATUS, ENDED, ANY, SURE, LATE, STAYS, 0, KEPT },
    { REPORT_STATUS, IN(REJECTED), ANY, SURE, SUSPECT | ORDER_REVIVED, STAYS, 0, KEPT },

    { REPORT_BUST, IN(PENDING_NEW), ANY, EITHER, COUNTED, STAYS, 0, KEPT },
    { REPORT_BUST, IN(NEW), ANY, EITHER, WRONG, STAYS, 0, KEPT }, /* it has no trades */
    { REPORT_BUST, IN(PARTIALLY_FILLED), ANY, EITHER, LATE, STAYS, 0, KEPT },
    { REPORT_BUST, IN(FILLED), ANY, SURE, LATE | ORDER_ASK, ORDER_PARTIALLY_FILLED, 0, BEGINS },
    { REPORT_BUST, ENDED, ANY, SURE, LATE, STAYS, 0, KEPT },
    { REPORT_BUST, IN(REJECTED), ANY, SURE, WRONG, STAYS, 0, KEPT }, /* it has no trades */

    { REPORT_CORRECT, IN(PENDING_NEW), ANY, EITHER, COUNTED, STAYS, 0, KEPT },
    { REPORT_CORRECT, IN(NEW), ANY, EITHER, WRONG, STAYS, 0, KEPT },
    { REPORT_CORRECT, IN(PARTIALLY_FILLED), ANY, EITHER, LATE, STAYS, 0, KEPT },
    { REPORT_CORRECT, IN(FILLED), ANY, SURE, LATE | ORDER_ASK, ORDER_PARTIALLY_FILLED, 0, BEGINS },
    { REPORT_CORRECT, ENDED, ANY, SURE, LATE, STAYS, 0, KEPT },
    { REPORT_CORRECT, IN(REJECTED), ANY, SURE, WRONG, STAYS, 0, KEPT },

    { REPORT_NOT_FOUND, OPEN, ANY, SURE, ASKED, STAYS, 0, BEGINS },
    { REPORT_NOT_FOUND, OPEN, ANY, DOUBT, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_NOT_FOUND, DONE, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },

    { REPORT_DOUBT, IN(PENDING_NEW), ANY, SURE, ASKED, STAYS, 0, BEGINS },
    { REPORT_DOUBT, IN(PENDING_NEW), ANY, DOUBT, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_DOUBT, WORKING, NOTHING, EITHER, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_DOUBT, WORKING, SOMETHING, SURE, ASKED, STAYS, 0, BEGINS },
    { REPORT_DOUBT, WORKING, SOMETHING, DOUBT, ORDER_UNCHANGED, STAYS, 0, KEPT },
    { REPORT_DOUBT, DONE, ANY, SURE, ORDER_UNCHANGED, STAYS, 0, KEPT },
};

static struct report cell_report(enum report_kind kind)
{
    switch (kind) {
    case REPORT_FILL:
        return fill_of("1", "99");
    case REPORT_REPLACED:
        return terms_of(kind, 12, 101);
    case REPORT_RESTATED:
        return terms_of(kind, 8, 100);
    case REPORT_STATUS:
        return status_of(ORDER_PARTIALLY_FILLED, "5", "100");
    case REPORT_BUST:
    case REPORT_CORRECT:
        return word_on_a_trade(kind, "1", "2");
    default:
        return report_with(kind, "because");
    }
}

/* One place in the product of what an order can be. */
struct place {
    enum order_status known;
    unsigned pending;
    bool doubt, held;
};

static struct order order_at(const struct place *at)
{
    struct order order = order_in(at->known);
    order.pending = at->pending;
    order.doubt = at->doubt;
    order.held = at->held;
    if (at->pending & PENDING_REPLACE) {
        order.pending_qty = decimal_int(12);
        order.pending_price = decimal_int(101);
    }
    return order;
}

static bool is_expected(const struct cell *cell, const struct place *at, const struct order *found,
                        int change)
{
    enum order_status then = cell->then == STAYS ? at->known : (enum order_status)cell->then;
    bool doubt = cell->after == KEPT ? at->doubt : cell->after == BEGINS;
    return change == cell->change && found->known == then && found->doubt == doubt &&
           found->pending == (at->pending & ~cell->answers);
}

static int check_place(const struct cell *cell, const struct place *at)
{
    struct order order = order_at(at);
    struct order before;
    memcpy(&before, &order, sizeof(order));
    int change = apply(&order, cell_report(cell->kind));
    bool untouched = memcmp(&before, &order, sizeof(order)) == 0;
    if (is_expected(cell, at, &order, change) && untouched == !(change & ORDER_CHANGED))
        return 0;
    print_error("%s in %s, pending %u, doubt %d, held %d: change %d not %d, then %s, pending %u, "
                "doubt %d, %s\n",
                report_kind_name(cell->kind), order_status_name(at->known), at->pending, at->doubt,
                at->held, change, cell->change, order_status_name(order.known), order.pending,
                order.doubt, untouched ? "untouched" : "touched");
    return 1;
}

/* A done order is in no doubt, and only a filled one waits for the answer to a replace. */
static bool is_possible(const struct place *at)
{
    if (at->known < ORDER_FILLED)
        return true;
    return !at->doubt && !at->held &&
           (at->pending == 0 || (at->known == ORDER_FILLED && at->pending == PENDING_REPLACE));
}

/* The venue knows nothing of an order that rests in the engine: all its word is refused, but for
 * trades, which moved money and are suspect. */
static struct cell held_cell(const struct cell *cell)
{
    static const struct cell refused = { .change = COUNTED, .then = STAYS };
    struct cell held = *cell;
    if (cell->kind != REPORT_FILL && cell->kind != REPORT_BUST && cell->kind != REPORT_CORRECT) {
        held = refused;
        held.kind = cell->kind;
    } else if (cell->change & ORDER_BOOKED) {
        held.change |= ORDER_ALERT | ORDER_SUSPECT;
    }
    return held;
}

/* Exactly one line of the table is about each place. */
static int check_kind_at(enum report_kind kind, const struct place *at)
{
    int lines = 0, wrong = 0;
    for (size_t i = 0; i < ARRAY_SIZE(CELLS); i++) {
        const struct cell *cell = &CELLS[i];
        if (cell->kind != kind || !(cell->known & 1u << at->known) ||
            !(cell->pending & 1u << at->pending) || !(cell->doubt & (at->doubt ? DOUBT : SURE)))
            continue;
        struct cell held = held_cell(cell);
        lines++;
        wrong += check_place(at->held ? &held : cell, at);
    }
    if (lines != 1)
        print_error("%d lines for %s in %s, pending %u, doubt %d\n", lines, report_kind_name(kind),
                    order_status_name(at->known), at->pending, at->doubt);
    return wrong + (lines != 1);
}

/* The table is the specification, and it speaks of every kind of report in every place. */
static void every_report_in_every_place_does_what_the_table_says(void **state)
{
    (void)state;
    int wrong = 0, places = 0;
    for (unsigned at = 0; at < STATUSES * 16; at++) {
        struct place place = { .known = (enum order_status)(at / 16),
                               .pending = at % 4,
                               .doubt = at & 4,
                               .held = at & 8 };
        if (!is_possible(&place))
            continue;
        places++;
        for (unsigned kind = 0; kind < KINDS; kind++)
            wrong += check_kind_at((enum report_kind)kind, &place);
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(places, 3 * 16 + 2 + 3);
}

/* ---- fills ---- */

/* OR-001. Sums are exact; the average is derived from them and not kept. */
static void three_fills_fill_the_order_at_their_average(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order.qty = decimal_int(10000);

    assert_int_equal(apply(&order, fill_of("2000", "100")), FILLED);
    assert_int_equal(apply(&order, fill_of("1000", "101")), FILLED);
    assert_decimal(order_remaining(&order), "7000");
    assert_int_equal(apply(&order, fill_of("7000", "99")), FILLED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_decimal(order.filled_qty, "10000");
    assert_decimal(order.notional, "994000");
    assert_decimal(order_avg_price(&order), "99.4");
    assert_decimal(order.fees, "0.03");
    assert_decimal(order_remaining(&order), "0");
}

static void the_average_price_has_eighteen_digits_and_none_before_a_fill(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    assert_false(decimal_valid(order_avg_price(&order)));
    apply(&order, fill_of("1", "100"));
    apply(&order, fill_of("2", "101"));
    assert_decimal(order_avg_price(&order), "100.666666666666666667");
}

/* A market order's fill often overtakes its acknowledgement: two channels, no order between them.
 */
static void a_fill_before_the_ack_counts_and_the_ack_changes_nothing(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
}

/* Venues resend fills after a reconnect: counting one twice would double the position. */
static void a_repeated_fill_changes_nothing(void **state)
{
    (void)state;
    for (int status = 0; status < STATUSES; status++) {
        struct order order = order_in((enum order_status)status);
        struct order before;
        memcpy(&before, &order, sizeof(order));
        struct report report = fill_of("1", "100");
        report.booked_state = BOOKED_YES;
        assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
        report.booked_state = BOOKED_REVERSED; /* a bust trade told again is still bust */
        assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
        assert_memory_equal(&order, &before, sizeof(order));
    }
}

/* Bad data must not move a position, and a person should hear of it. */
static void a_fill_of_nothing_is_refused_and_alerted(void **state)
{
    (void)state;
    for (int status = 0; status < STATUSES; status++) {
        struct order order = order_in((enum order_status)status);
        struct order before;
        memcpy(&before, &order, sizeof(order));
        struct report none = fill_of("1", "100");
        none.fill.qty = DECIMAL_NONE;
        struct report unpriced = fill_of("1", "100");
        unpriced.fill.price = DECIMAL_NONE;
        assert_int_equal(apply(&order, fill_of("0", "100")), ORDER_COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, fill_of("-1", "100")), ORDER_COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, none), ORDER_COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, unpriced), ORDER_COUNTED | ORDER_ALERT);
        assert_memory_equal(&order, &before, sizeof(order));
    }
}

/* The venue sold us more than we asked for: the money moved, and nobody knows why. */
static void a_fill_beyond_the_quantity_is_booked_and_suspect(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply(&order, fill_of("7", "100")), SUSPECT);
    assert_int_equal(order.known, ORDER_FILLED);
    assert_decimal(order.filled_qty, "11");
    assert_decimal(order_remaining(&order), "0");
}

/* A sum that wraps would be a wrong position: the instrument halts with the last right one. */
static void a_fill_too_large_to_add_leaves_the_order_as_it_was(void **state)
{
    (void)state;
    static const char *const huge[][3] = {
        { "100000000000000000000000000000000000000", "1e-36", "0" },
        { "1e20", "1e20", "0" },
        { "1", "1", "1e38" },
    };
    for (int status = 0; status < STATUSES; status++) {
        for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
            struct order order = order_in((enum order_status)status);
            order.filled_qty = decimal_text("1e38");
            order.fees = decimal_text("1e38");
            struct order before;
            memcpy(&before, &order, sizeof(order));
            struct report report = fill_of(huge[i][0], huge[i][1]);
            report.fill.fee = decimal_text(huge[i][2]);
            struct error err = { 0 };
            struct order_outcome outcome;
            assert_int_equal(order_apply(&order, &report, NOW, &outcome, &err), ERROR_RANGE);
            assert_memory_equal(&order, &before, sizeof(order));
            assert_string_equal(err.message,
                                "order r0001: fill e-1 is too large to add to what is filled");
        }
    }
}

/* ---- fills against the end of an order ---- */

/* OR-042. Cancel and fill race at the venue; the position follows the money, the status stays. */
static void a_fill_after_the_cancel_is_booked_and_the_order_stays_canceled(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, report_with(REPORT_CANCELED, "by user")), ORDER_CHANGED);
    assert_int_equal(apply(&order, fill_of("3", "100")), LATE);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_decimal(order.filled_qty, "3");
    assert_decimal(order_remaining(&order), "0");
    assert_string_equal(order.reason, "by user");
}

/* The cancel's confirmation was wrong in full: nothing of the order was canceled. */
static void late_fills_that_complete_a_canceled_order_fill_it(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_CANCELED);
    text_copy(order.reason, sizeof(order.reason), "by user");
    assert_int_equal(apply(&order, fill_of("5", "100")), LATE);
    assert_int_equal(order.known, ORDER_CANCELED);
    assert_int_equal(apply(&order, fill_of("1", "100")), LATE);
    assert_int_equal(order.known, ORDER_FILLED);
    assert_string_equal(order.reason, "");
    assert_int_equal(apply(&order, fill_of("1", "100")), SUSPECT);
}

static void a_late_fill_beyond_the_quantity_is_suspect(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_EXPIRED);
    assert_int_equal(apply(&order, fill_of("7", "100")), SUSPECT);
    assert_int_equal(order.known, ORDER_FILLED);
}

/* A venue that fills what it rejected cannot be trusted about the rest: even complete it stays. */
static void a_rejected_order_stays_rejected_whatever_it_fills(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_REJECTED);
    assert_int_equal(apply(&order, fill_of("10", "100")), SUSPECT);
    assert_int_equal(order.known, ORDER_REJECTED);
    assert_decimal(order.filled_qty, "10");
    assert_decimal(order_remaining(&order), "0");
}

/* OR-005. The reject says "too late" because of the fill that came first: no doubt, no question. */
static void a_cancel_reject_after_the_fill_changes_nothing(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
    assert_int_equal(apply(&order, report_with(REPORT_CANCEL_REJECT, "too_late")), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_int_equal(order.pending, PENDING_NONE);
}

/* A part fill does not answer the cancel. */
static void a_part_fill_leaves_the_cancel_pending(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, fill_of("4", "100")), FILLED);
    assert_int_equal(order_status(&order), ORDER_PENDING_CANCEL);
    assert_int_equal(apply(&order, report_of(REPORT_CANCELED)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_decimal(order.filled_qty, "4");
}

/* The reject overtook the fill it speaks of: only a question tells how the order ended. */
static void a_cancel_that_came_too_late_leads_to_doubt(void **state)
{
    (void)state;
    static const char *const reasons[] = {
        "too late to cancel", "TOO_LATE_TO_CANCEL",    "Unknown order sent.",
        "order not found",    "Order does not exist.", "order is already in \"filled\" state"
    };
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        struct order order = order_in(ORDER_NEW);
        order_mark_cancel(&order, NOW);
        assert_int_equal(apply(&order, report_with(REPORT_CANCEL_REJECT, reasons[i])), ASKED);
        assert_int_equal(order_status(&order), ORDER_UNKNOWN);
        assert_int_equal(order.pending, PENDING_NONE);
        assert_int_equal(order.doubt_since_ns, NOW);
        assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
        assert_int_equal(order_status(&order), ORDER_FILLED);
        assert_false(order.doubt);
    }
}

static void a_cancel_refused_for_another_reason_leaves_a_working_order(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, report_with(REPORT_CANCEL_REJECT, "market is in auction")),
                     ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
}

/* ---- ends nobody asked for ---- */

/* What is not asked for may be a risk check of the venue, or somebody else on the account. */
static void an_end_is_alerted_only_when_nothing_asked_for_it(void **state)
{
    (void)state;
    static const struct {
        enum report_kind kind;
        enum order_type type;
        enum order_tif tif;
        uint64_t group_id;
        bool alert;
    } ends[] = {
        { REPORT_CANCELED, ORDER_LIMIT, TIF_GTC, 0, true },
        { REPORT_CANCELED, ORDER_LIMIT, TIF_DAY, 0, true },
        { REPORT_CANCELED, ORDER_LIMIT, TIF_IOC, 0, false },
        { REPORT_CANCELED, ORDER_LIMIT, TIF_FOK, 0, false },
        { REPORT_CANCELED, ORDER_MARKET, TIF_GTC, 0, false },
        { REPORT_CANCELED, ORDER_STOP, TIF_GTC, 7, false }, /* its take filled */
        { REPORT_EXPIRED, ORDER_LIMIT, TIF_GTC, 0, true },
        { REPORT_EXPIRED, ORDER_LIMIT, TIF_DAY, 0, false },
        { REPORT_EXPIRED, ORDER_LIMIT, TIF_GTD, 0, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct order order = order_in(ORDER_NEW);
        order.type = ends[i].type;
        order.tif = ends[i].tif;
        order.group_id = ends[i].group_id;
        int expected = ORDER_CHANGED | (ends[i].alert ? ORDER_ALERT : 0);
        assert_int_equal(apply(&order, report_of(ends[i].kind)), expected);
    }
}

static void the_reason_of_an_end_is_kept(void **state)
{
    (void)state;
    static const enum report_kind kinds[] = { REPORT_CANCELED, REPORT_EXPIRED, REPORT_REJECTED };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct order order = order_in(ORDER_PENDING_NEW);
        apply(&order, report_with(kinds[i], "insufficient margin"));
        assert_string_equal(order.reason, "insufficient margin");
        assert_int_equal(order.updated_ns, NOW);
    }
}

/* The venue works what it had rejected: the caller cancels it, for which it needs the id. */
static void an_ack_after_the_reject_alerts_and_brings_the_id(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_REJECTED);
    struct report ack = report_of(REPORT_ACK);
    text_copy(ack.venue_order_id, sizeof(ack.venue_order_id), "X1");
    assert_int_equal(apply(&order, ack), ORDER_ALERT | ORDER_CHANGED | ORDER_REVIVED);
    assert_int_equal(order_status(&order), ORDER_REJECTED);
    assert_string_equal(order.venue_order_id, "X1");
}

/* ---- replaces ---- */

static void a_replace_takes_effect_when_the_venue_says_so(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "", NOW);
    assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);
    assert_decimal(order.qty, "10");

    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 8, 102)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_decimal(order.qty, "8");
    assert_decimal(order.price, "102");
    assert_decimal(order_remaining(&order), "4");
    assert_false(decimal_valid(order.pending_qty));
}

/* Many venues confirm an amendment without repeating it. */
static void a_replace_confirmed_without_terms_takes_those_asked_for(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "", NOW);
    assert_int_equal(apply(&order, report_of(REPORT_REPLACED)), ORDER_CHANGED);
    assert_decimal(order.qty, "8");
    assert_decimal(order.price, "102");

    order_mark_replace(&order, DECIMAL_NONE, DECIMAL_NONE, "", NOW);
    assert_int_equal(apply(&order, report_of(REPORT_REPLACED)), ORDER_CHANGED);
    assert_decimal(order.qty, "8");
    assert_decimal(order.price, "102");
}

/* Two channels tell of each replace: the slower word on the one before must not end the one that is
 * under way, or the order would go by a name that the venue does not know. */
static void a_replace_told_again_is_not_the_answer_to_the_next(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "b", NOW);
    struct report first = terms_of(REPORT_REPLACED, 8, 102);
    strcpy(first.client_order_id, "b");
    assert_int_equal(apply(&order, first), ORDER_CHANGED);
    order_mark_replace(&order, decimal_int(6), decimal_int(103), "c", NOW);

    assert_int_equal(apply(&order, first), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);
    assert_string_equal(order.current_client_order_id, "b");
    order.known = ORDER_FILLED;
    assert_int_equal(apply(&order, first), ORDER_UNCHANGED);
    assert_string_equal(order.pending_client_order_id, "c");
}

/* Asked for the terms that it has: only the name tells whether the replace was done. */
static void a_status_under_the_old_name_is_no_word_of_a_replace(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(10), decimal_int(100), "b", NOW);
    struct report report = status_of(ORDER_NEW, "0", NULL);
    report.qty = decimal_int(10);
    report.price = decimal_int(100);
    strcpy(report.client_order_id,
           order.current_client_order_id[0] ? order.current_client_order_id : "a");
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);

    strcpy(report.client_order_id, "b");
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_NEW);
    assert_string_equal(order.current_client_order_id, "b");
}

/* The old half of a replace ends when the new one begins; the end of the new one is an end. */
static void a_replaced_order_that_ended_under_its_new_name_is_over(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "b", NOW);
    struct report report = status_of(ORDER_CANCELED, "0", NULL);
    strcpy(report.client_order_id, "a");
    apply(&order, report);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);

    strcpy(report.client_order_id, "b");
    apply(&order, report);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_false(order.doubt);
    assert_string_equal(order.current_client_order_id, "b");
}

/* The venue lowered its quantity, and the word of that was lost: asking again would not help. */
static void an_order_filled_at_a_quantity_that_was_lowered_is_filled(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    struct report report = status_of(ORDER_FILLED, "7", "100");
    report.qty = decimal_int(7);
    assert_int_equal(apply(&order, report), ALERTED | ORDER_BOOKED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_decimal(order.qty, "7");
    assert_decimal(order.filled_qty, "7");

    order = order_in(ORDER_PARTIALLY_FILLED); /* lowered by ourselves: it has its new name too */
    order_mark_replace(&order, decimal_int(7), DECIMAL_NONE, "b", NOW);
    strcpy(report.client_order_id, "b");
    assert_int_equal(apply(&order, report), ORDER_CHANGED | ORDER_BOOKED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_string_equal(order.current_client_order_id, "b");

    order = order_in(ORDER_PARTIALLY_FILLED); /* where it does not say its quantity */
    apply(&order, status_of(ORDER_FILLED, "7", "100"));
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
}

/* A trade was taken back and nobody heard of it: the order is over all the same, and would
 * otherwise be asked for until the end of time. */
static void an_asked_for_end_with_less_than_is_booked_ends_the_order(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_doubt(&order, NOW);
    struct report report = status_of(ORDER_CANCELED, "1", "100");
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED); /* not asked for: old news */
    report.ticket = 7;
    apply(&order, report);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_false(order.doubt);
    assert_decimal(order.filled_qty, "4");
}

/* Fields of an order that nobody ever replaced may be zero: they are not terms. */
static void an_unasked_replace_never_takes_terms_nobody_asked_for(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order.pending_qty = order.pending_price = DECIMAL_ZERO;
    assert_int_equal(apply(&order, report_of(REPORT_REPLACED)), ORDER_UNCHANGED);
    struct report report = terms_of(REPORT_REPLACED, 9, 0);
    assert_int_equal(apply(&order, report), ALERTED);
    assert_decimal(order.qty, "9");
    assert_decimal(order.price, "100");
}

/* The answer to the request and the message on the stream say the same. */
static void a_replace_told_twice_changes_nothing_the_second_time(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "", NOW);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 8, 102)), ORDER_CHANGED);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 8, 102)), ORDER_UNCHANGED);
}

/* Fills went on while the replace travelled: the smaller order is done. */
static void a_replace_to_what_is_filled_or_less_fills_the_order(void **state)
{
    (void)state;
    for (int qty = 3; qty <= 4; qty++) {
        struct order order = order_in(ORDER_NEW);
        order_mark_replace(&order, decimal_int(qty), DECIMAL_NONE, "", NOW);
        assert_int_equal(apply(&order, fill_of("4", "100")), FILLED);
        assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);
        assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, qty, 100)), ORDER_CHANGED);
        assert_int_equal(order_status(&order), ORDER_FILLED);
        assert_int_equal(order.pending, PENDING_NONE);
        assert_decimal(order_remaining(&order), "0");
    }
}

/* OR-010. */
static void a_replace_refused_because_a_fill_came_first_leaves_the_old_terms(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(10), decimal_int(101), "", NOW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
    assert_int_equal(apply(&order, report_with(REPORT_REPLACE_REJECT, "too_late")),
                     ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_decimal(order.price, "100");
}

static void a_refused_replace_leaves_a_working_order_with_the_old_terms(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_replace(&order, decimal_int(20), decimal_int(101), "", NOW);
    assert_int_equal(apply(&order, report_of(REPORT_REPLACE_REJECT)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_decimal(order.qty, "10");
    assert_decimal(order.price, "100");
}

/* The venue raised the quantity, then filled the old one; its messages came the other way round. */
static void an_order_filled_while_its_raise_was_under_way_reopens(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(15), decimal_int(100), "", NOW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 15, 100)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_decimal(order_remaining(&order), "5");
    assert_int_equal(order.pending, PENDING_NONE);
}

static void a_filled_order_does_not_reopen_for_terms_it_already_met(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(12), decimal_int(101), "", NOW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED); /* an earlier replace, again: */
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 10, 100)), ORDER_UNCHANGED);
    order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(10), decimal_int(101), "", NOW);
    assert_int_equal(apply(&order, fill_of("10", "100")), FILLED);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 10, 101)), ORDER_COUNTED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_decimal(order.price, "100");
}

/* Terms of nothing are bad data: as a quantity they would turn the order into a filled one. */
static void terms_without_quantity_are_refused_and_alerted(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 0, 100)), ORDER_COUNTED | ORDER_ALERT);
    assert_int_equal(apply(&order, terms_of(REPORT_RESTATED, -1, 1)), ORDER_COUNTED | ORDER_ALERT);
    assert_int_equal(apply(&order, report_of(REPORT_RESTATED)), ORDER_COUNTED | ORDER_ALERT);
    assert_decimal(order.qty, "10");
}

/* Some venues amend by a new order behind the old one's name. */
static void a_replace_may_bring_a_new_venue_order_id_and_nothing_else_may(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    struct report report = report_of(REPORT_ACK);
    text_copy(report.venue_order_id, sizeof(report.venue_order_id), "X1");
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
    text_copy(report.venue_order_id, sizeof(report.venue_order_id), "X2");
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
    assert_string_equal(order.venue_order_id, "X1");
    report.kind = REPORT_REPLACED;
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_string_equal(order.venue_order_id, "X2");
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
}

static void a_restatement_to_what_is_filled_fills_the_order(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, terms_of(REPORT_RESTATED, 4, 100)), ALERTED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
    assert_int_equal(order.pending, PENDING_NONE);
}

static void a_restatement_of_the_same_quantity_is_no_news(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    assert_int_equal(apply(&order, terms_of(REPORT_RESTATED, 10, 100)), ORDER_UNCHANGED);
    struct report tenth = terms_of(REPORT_RESTATED, 1, 100);
    order.qty = decimal_int(15);
    tenth.qty = decimal_text("1.5"); /* the same digits are not the same number */
    assert_int_equal(apply(&order, tenth), ALERTED);
}

/* ---- doubt ---- */

/* OR-053. The answer to the question is an ack: the order is known again, and was sent once. */
static void a_submit_that_timed_out_is_in_doubt_until_an_ack_or_a_fill(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    assert_int_equal(apply(&order, report_of(REPORT_DOUBT)), ASKED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_int_equal(order.doubt_since_ns, NOW);
    assert_true(order_is_open(&order));
    assert_decimal(order_remaining(&order), "10");

    struct order filled = order;
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_NEW);
    assert_int_equal(order.doubt_since_ns, 0);
    assert_int_equal(apply(&filled, fill_of("4", "100")), FILLED);
    assert_int_equal(order_status(&filled), ORDER_PARTIALLY_FILLED);
}

/* The question fails too, again and again: it is already being repeated at its own pace. */
static void doubt_asks_once(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    assert_int_equal(apply(&order, report_of(REPORT_DOUBT)), ASKED);
    assert_int_equal(apply(&order, report_of(REPORT_DOUBT)), ORDER_UNCHANGED);
    assert_int_equal(apply(&order, report_of(REPORT_NOT_FOUND)), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
}

/* The ack may be older than the cancel, and a fill says only that the order lived until then. */
static void acks_and_fills_never_clear_the_doubt_of_a_cancel(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply(&order, report_of(REPORT_DOUBT)), ASKED);
    struct order filled = order;
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_UNCHANGED);
    assert_int_equal(apply(&order, fill_of("4", "100")), FILLED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_int_equal(apply(&filled, fill_of("4", "100")), FILLED);
    assert_int_equal(order_status(&filled), ORDER_UNKNOWN);

    assert_int_equal(apply(&order, report_of(REPORT_CANCELED)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_false(order.doubt);
}

static void the_doubt_of_a_cancel_ends_with_its_own_answer(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_cancel(&order, NOW);
    apply(&order, report_of(REPORT_DOUBT));
    assert_int_equal(apply(&order, report_with(REPORT_CANCEL_REJECT, "busy")), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_NEW);
}

/* Two requests, one answer: the other one may still change everything. */
static void doubt_stays_until_the_last_of_two_requests_is_answered(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), DECIMAL_NONE, "", NOW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(order_status(&order), ORDER_PENDING_CANCEL);
    apply(&order, report_of(REPORT_DOUBT));
    apply(&order, report_of(REPORT_REPLACE_REJECT));
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    apply(&order, report_with(REPORT_CANCEL_REJECT, "busy"));
    assert_int_equal(order_status(&order), ORDER_NEW);
}

/* Absent from an answer is not canceled; found again it works as before. */
static void an_order_not_found_is_in_doubt_until_the_venue_finds_it(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply(&order, report_of(REPORT_NOT_FOUND)), ASKED);
    assert_int_equal(apply(&order, fill_of("1", "100")), FILLED); /* may be an old one */
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
}

/* ---- how it stands: statuses ---- */

static struct order_outcome last; /* of apply_last */

static int apply_last(struct order *order, struct report report)
{
    struct error err = { 0 };
    return order_apply(order, &report, NOW, &last, &err);
}

/* Under a name that the order has or is about to get. */
static struct report named(struct report report, const char *client_order_id)
{
    text_copy(report.client_order_id, sizeof(report.client_order_id), client_order_id);
    return report;
}

static struct report with_terms(struct report report, const char *qty, const char *price)
{
    report.qty = qty ? decimal_text(qty) : DECIMAL_NONE;
    report.price = price ? decimal_text(price) : DECIMAL_NONE;
    return report;
}

static struct report answer(struct report report) /* to a question */
{
    report.ticket = 7;
    return report;
}

/* The sum is all there is: what it tells beyond our fills is a fill at what is missing to its
 * average. 4 at 100 and 2 at 106 make 6 at 102. */
static void a_sum_above_what_is_booked_is_an_inferred_fill(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply_last(&order, status_of(ORDER_PARTIALLY_FILLED, "6", "102")), FILLED);
    assert_int_equal(last.fill_count, 1);
    assert_int_equal(last.fills[0].kind, FILL_INFERRED);
    assert_string_equal(last.fills[0].exec_id, "inferred-r0001-1");
    assert_decimal(last.fills[0].qty, "2");
    assert_decimal(last.fills[0].price, "106");
    assert_decimal(last.fills[0].notional, "212");
    assert_decimal(last.fills[0].fee, "0");
    assert_decimal(last.news, "2");
    assert_decimal(order.filled_qty, "6");
    assert_decimal(order.notional, "612");
    assert_decimal(order.inferred_qty, "2");
    assert_decimal(order.inferred_notional, "212");
    assert_decimal(order_avg_price(&order), "102");
    assert_int_equal(apply_last(&order, status_of(ORDER_PARTIALLY_FILLED, "6", "102")),
                     ORDER_UNCHANGED);
    assert_int_equal(apply_last(&order, status_of(ORDER_PARTIALLY_FILLED, "5", "102")),
                     ORDER_UNCHANGED);
    assert_int_equal(apply_last(&order, status_of(ORDER_FILLED, "10", "102")), FILLED);
    assert_int_equal(order.known, ORDER_FILLED);
}

static void a_sum_above_the_quantity_is_booked_and_suspect(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply_last(&order, status_of(ORDER_FILLED, "12", "100")), SUSPECT);
    assert_string_equal(last.alert, "overfill");
    assert_int_equal(order.known, ORDER_FILLED);
    assert_decimal(order.filled_qty, "12");
    assert_decimal(order_remaining(&order), "0");
    /* the trades behind it are no second overfill */
    assert_int_equal(apply_last(&order, fill_of("8", "100")), FILLED);
    assert_decimal(last.news, "0");
    assert_decimal(order.filled_qty, "12");
}

/* "Filled", and yet less than we ordered: only another question can tell. */
static void an_order_called_filled_below_its_quantity_is_asked_about(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    assert_int_equal(apply_last(&order, status_of(ORDER_FILLED, "6", "100")), LATE | ORDER_ASK);
    assert_string_equal(last.alert, "bad_venue_data");
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_decimal(order.filled_qty, "6");
    assert_int_equal(apply_last(&order, status_of(ORDER_FILLED, NULL, NULL)), ORDER_ALERT);
    assert_int_equal(apply_last(&order, status_of(ORDER_FILLED, "10", "100")), FILLED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
}

/* The restatement before it was lost: the venue's own quantity explains it. */
static void an_order_called_filled_at_another_quantity_was_restated(void **state)
{
    (void)state;
    static const char *const qtys[] = { "6", "12" };
    for (size_t i = 0; i < ARRAY_SIZE(qtys); i++) {
        struct order order = order_in(ORDER_PARTIALLY_FILLED);
        struct report report = with_terms(status_of(ORDER_FILLED, qtys[i], "100"), qtys[i], NULL);
        assert_int_equal(apply_last(&order, report), LATE);
        assert_string_equal(last.alert, "restated");
        assert_int_equal(order.known, ORDER_FILLED);
        assert_decimal(order.qty, qtys[i]);
        assert_decimal(order.filled_qty, qtys[i]);
    }
    struct order order = order_in(ORDER_NEW); /* while a replace asks for something else */
    order_mark_replace(&order, decimal_int(15), DECIMAL_NONE, "", NOW);
    assert_int_equal(apply(&order, with_terms(status_of(ORDER_FILLED, "6", "100"), "6", NULL)),
                     LATE);
    assert_int_equal(order.known, ORDER_FILLED);
    order = order_in(ORDER_NEW); /* another quantity that explains nothing */
    struct report report = with_terms(status_of(ORDER_FILLED, "6", "100"), "7", NULL);
    assert_int_equal(apply_last(&order, report), LATE | ORDER_ASK);
    assert_decimal(order.qty, "10");
}

/* What is pushed may be older than the terms we have; an answer to a question is not. */
static void an_answer_restates_the_quantity_and_a_pushed_status_does_not(void **state)
{
    (void)state;
    struct report report = with_terms(status_of(ORDER_PARTIALLY_FILLED, "4", "100"), "8", "100");
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply_last(&order, report), ORDER_UNCHANGED);
    assert_int_equal(apply_last(&order, answer(report)), ALERTED);
    assert_decimal(order.qty, "8");
    assert_int_equal(apply_last(&order, answer(report)), ORDER_UNCHANGED);

    report = with_terms(status_of(ORDER_NEW, "3", "100"), "9", "100"); /* an old sum: old terms */
    assert_int_equal(apply_last(&order, answer(report)), ORDER_UNCHANGED);
    order_mark_replace(&order, decimal_int(7), DECIMAL_NONE, "", NOW); /* old, or halfway */
    report = with_terms(status_of(ORDER_PARTIALLY_FILLED, "4", "100"), "9", "100");
    assert_int_equal(apply_last(&order, answer(report)), ORDER_UNCHANGED);
    report = with_terms(status_of(ORDER_CANCELED, "4", "100"), "4", "100"); /* what was left */
    assert_int_equal(apply_last(&order, answer(report)), ALERTED);
    assert_decimal(order.qty, "8");

    order = order_in(ORDER_PARTIALLY_FILLED);
    report = with_terms(status_of(ORDER_PARTIALLY_FILLED, "4", "100"), "4", "100");
    assert_int_equal(apply_last(&order, answer(report)), ALERTED);
    assert_int_equal(order.known, ORDER_FILLED);
}

static void a_sum_without_an_average_is_asked_about(void **state)
{
    (void)state;
    static const char *const averages[] = { NULL, "0" };
    for (size_t i = 0; i < ARRAY_SIZE(averages); i++) {
        struct order order = order_in(ORDER_PARTIALLY_FILLED);
        struct report report = status_of(ORDER_CANCELED, "5", averages[i]);
        assert_int_equal(apply_last(&order, report), ALERTED | ORDER_ASK);
        assert_string_equal(last.alert, "bad_venue_data");
        assert_int_equal(order_status(&order), ORDER_UNKNOWN);
        assert_int_equal(apply_last(&order, report), ORDER_ALERT);
        order = order_in(ORDER_CANCELED); /* done: one question, no doubt */
        assert_int_equal(apply_last(&order, report), ORDER_ALERT | ORDER_ASK);
        assert_false(order.doubt);
    }
}

/* The sum may be old; the end is not, and our books say that it is not over. */
static void an_end_told_with_an_old_sum_is_asked_about(void **state)
{
    (void)state;
    static const enum order_status ends[] = { ORDER_FILLED, ORDER_CANCELED, ORDER_REJECTED,
                                              ORDER_EXPIRED };
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct order order = order_in(ORDER_PARTIALLY_FILLED);
        assert_int_equal(apply(&order, status_of(ends[i], "3", "100")), ASKED);
        assert_int_equal(order_status(&order), ORDER_UNKNOWN);
        assert_int_equal(apply(&order, status_of(ends[i], "3", "100")), ORDER_UNCHANGED);
        bool ends_it = ends[i] == ORDER_CANCELED || ends[i] == ORDER_EXPIRED;
        assert_int_equal(apply(&order, answer(status_of(ends[i], "3", "100"))),
                         ends_it ? ALERTED : ORDER_UNCHANGED);
        assert_int_equal(order_status(&order), ends_it ? ends[i] : ORDER_UNKNOWN);
        assert_decimal(order.filled_qty, "4");
        order = order_in(ORDER_CANCELED);
        assert_int_equal(apply(&order, status_of(ends[i], "3", "100")), ORDER_UNCHANGED);
    }
}

static void a_status_without_news_says_what_its_word_says(void **state)
{
    (void)state;
    static const struct {
        enum order_status known, said, then;
        int change;
    } cases[] = {
        { ORDER_PENDING_NEW, ORDER_PENDING_NEW, ORDER_PENDING_NEW, ORDER_UNCHANGED },
        { ORDER_PENDING_NEW, ORDER_NEW, ORDER_NEW, ORDER_CHANGED },
        { ORDER_PENDING_NEW, ORDER_REJECTED, ORDER_REJECTED, ORDER_CHANGED },
        { ORDER_PENDING_NEW, ORDER_CANCELED, ORDER_CANCELED, ORDER_CHANGED },
        { ORDER_PENDING_NEW, ORDER_EXPIRED, ORDER_EXPIRED, ORDER_CHANGED },
        { ORDER_NEW, ORDER_NEW, ORDER_NEW, ORDER_UNCHANGED },
        { ORDER_NEW, ORDER_PENDING_NEW, ORDER_NEW, ORDER_UNCHANGED },
        { ORDER_NEW, ORDER_REJECTED, ORDER_REJECTED, ALERTED },
        { ORDER_NEW, ORDER_CANCELED, ORDER_CANCELED, ALERTED },
        { ORDER_PARTIALLY_FILLED, ORDER_REJECTED, ORDER_CANCELED, ALERTED },
        { ORDER_PARTIALLY_FILLED, ORDER_EXPIRED, ORDER_EXPIRED, ALERTED },
        { ORDER_FILLED, ORDER_NEW, ORDER_FILLED, ORDER_UNCHANGED },
        { ORDER_CANCELED, ORDER_CANCELED, ORDER_CANCELED, ORDER_UNCHANGED },
        { ORDER_CANCELED, ORDER_NEW, ORDER_CANCELED, ORDER_UNCHANGED },
        { ORDER_REJECTED, ORDER_REJECTED, ORDER_REJECTED, ORDER_UNCHANGED },
        { ORDER_REJECTED, ORDER_NEW, ORDER_REJECTED, ORDER_ALERT | ORDER_REVIVED },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct order order = order_in(cases[i].known);
        assert_int_equal(apply(&order, status_of(cases[i].said, NULL, NULL)), cases[i].change);
        assert_int_equal(order.known, cases[i].then);
    }
}

/* The venue rejected the rest of what had filled: the part that a sum tells counts first. */
static void a_rejection_with_a_part_filled_cancels_the_rest(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    assert_int_equal(apply(&order, status_of(ORDER_REJECTED, "3", "100")), LATE);
    assert_int_equal(order.known, ORDER_CANCELED);
    assert_decimal(order.filled_qty, "3");
}

static void nonsense_in_a_status_is_refused_and_alerted(void **state)
{
    (void)state;
    for (int known = 0; known < STATUSES; known++) {
        struct order order = order_in((enum order_status)known);
        assert_int_equal(apply(&order, status_of(ORDER_NEW, "-1", "100")), COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, status_of(ORDER_UNKNOWN, "1", "100")),
                         COUNTED | ORDER_ALERT);
    }
}

/* ---- replaces that rename ---- */

static struct order renaming(enum order_status known) /* from "r0001" to "r0002", 12 at 101 */
{
    struct order order = order_in(known);
    text_copy(order.current_client_order_id, sizeof(order.current_client_order_id), "r0001");
    text_copy(order.venue_order_id, sizeof(order.venue_order_id), "X1");
    order_mark_replace(&order, decimal_int(12), decimal_int(101), "r0002", NOW);
    return order;
}

/* The venue ends the old order to make the new one. Taken for the end of all, the new one would
 * work on with nobody watching. */
static void the_end_of_the_old_name_is_only_half_of_a_replace(void **state)
{
    (void)state;
    static const enum order_status open[] = { ORDER_PENDING_NEW, ORDER_NEW,
                                              ORDER_PARTIALLY_FILLED };
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        for (int with_cancel = 0; with_cancel < 2; with_cancel++) {
            struct order order = renaming(open[i]);
            if (with_cancel)
                order_mark_cancel(&order, NOW);
            assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "r0001")), ASKED);
            assert_int_equal(order_status(&order), ORDER_UNKNOWN);
            assert_int_equal(apply(&order, named(status_of(ORDER_CANCELED, NULL, NULL), "r0001")),
                             ORDER_UNCHANGED);
        }
    }
    struct order order = renaming(ORDER_NEW);
    apply(&order, named(report_of(REPORT_CANCELED), "r0001"));
    assert_int_equal(apply(&order, named(terms_of(REPORT_REPLACED, 12, 101), "r0002")),
                     ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_NEW);
    assert_string_equal(order.current_client_order_id, "r0002");
    assert_string_equal(order.client_order_id, "r0001");
}

/* The venue named it by its own id alone: then it is the order that is there. */
static void an_end_without_a_name_is_the_orders(void **state)
{
    (void)state;
    struct order order = renaming(ORDER_NEW);
    assert_int_equal(apply(&order, named(terms_of(REPORT_REPLACED, 12, 101), "r0002")),
                     ORDER_CHANGED);
    assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "")), ALERTED);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
}

/* Told late, or again: the new one works. */
static void the_end_of_the_old_name_comes_after_the_replace(void **state)
{
    (void)state;
    static const enum order_status open[] = { ORDER_NEW, ORDER_PARTIALLY_FILLED };
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        struct order order = renaming(open[i]);
        assert_int_equal(apply(&order, named(terms_of(REPORT_REPLACED, 12, 101), "r0002")),
                         ORDER_CHANGED);
        assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "r0001")), ASKED);
        assert_int_equal(order_status(&order), ORDER_UNKNOWN);
        assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "r0001")),
                         ORDER_UNCHANGED);
        assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "r0002")), ALERTED);
        assert_int_equal(order_status(&order), ORDER_CANCELED);
    }
}

/* The new one never came into being: then the end of the old one was the end. */
static void without_the_new_name_the_end_of_the_old_one_is_the_end(void **state)
{
    (void)state;
    struct order order = renaming(ORDER_PARTIALLY_FILLED);
    apply(&order, named(report_of(REPORT_CANCELED), "r0001"));
    order_forget_replace(&order, NOW + 1);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_int_equal(order.doubt_since_ns, 0);
    assert_int_equal(order.updated_ns, NOW + 1);
    assert_string_equal(order.pending_client_order_id, "");
    assert_decimal(order.qty, "10");
    assert_int_equal(apply(&order, named(report_of(REPORT_CANCELED), "r0001")), ALERTED);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
}

/* That the replace never arrived says nothing of an order that may not have arrived either. */
static void a_forgotten_replace_leaves_the_doubt_of_a_new_order(void **state)
{
    (void)state;
    struct order order = renaming(ORDER_PENDING_NEW);
    assert_true(order_mark_doubt(&order, NOW));
    order_forget_replace(&order, NOW + 1);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_int_equal(order.doubt_since_ns, NOW);
    order_forget_replace(&order, NOW + 2); /* nothing to forget */
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
}

static void the_end_of_the_new_name_is_the_end_and_the_replace_was_made(void **state)
{
    (void)state;
    static const enum report_kind ends[] = { REPORT_CANCELED, REPORT_EXPIRED };
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        struct order order = renaming(ORDER_NEW);
        assert_int_equal(apply(&order, named(report_of(ends[i]), "r0002")), ALERTED);
        assert_false(order_is_open(&order));
        assert_string_equal(order.current_client_order_id, "r0002");
        assert_decimal(order.qty, "12");
        assert_int_equal(order.pending, PENDING_NONE);
    }
}

static void a_rejection_of_the_new_name_ends_the_replace_and_asks(void **state)
{
    (void)state;
    static const enum order_status open[] = { ORDER_PENDING_NEW, ORDER_NEW,
                                              ORDER_PARTIALLY_FILLED };
    for (size_t i = 0; i < ARRAY_SIZE(open); i++) {
        struct order order = renaming(open[i]);
        assert_int_equal(apply(&order, named(report_of(REPORT_REJECTED), "r0002")), ASKED);
        assert_int_equal(order_status(&order), ORDER_UNKNOWN);
        assert_int_equal(order.known, open[i]);
        assert_int_equal(order.pending, PENDING_NONE);
        assert_string_equal(order.current_client_order_id, "r0001");
        assert_decimal(order.qty, "10");
    }
}

/* The answer to a question under the new name shows what the lost message said. */
static void a_status_under_the_new_name_makes_the_replace(void **state)
{
    (void)state;
    struct order order = renaming(ORDER_PARTIALLY_FILLED);
    apply(&order, report_of(REPORT_DOUBT));
    struct report report = named(status_of(ORDER_PARTIALLY_FILLED, "4", "100"), "r0002");
    text_copy(report.venue_order_id, sizeof(report.venue_order_id), "X2");
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_string_equal(order.current_client_order_id, "r0002");
    assert_string_equal(order.venue_order_id, "X2");
    assert_decimal(order.qty, "12");
    assert_decimal(order.price, "101");

    order = renaming(ORDER_PARTIALLY_FILLED); /* under the old name it shows nothing */
    report = named(with_terms(status_of(ORDER_NEW, "4", "100"), "12", "101"), "r0001");
    assert_int_equal(apply(&order, report), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);
    assert_string_equal(order.venue_order_id, "X1");
}

/* ---- replaces that a status or a fill shows ---- */

static void terms_that_only_the_replace_gave_show_that_it_was_made(void **state)
{
    (void)state;
    static const struct {
        const char *asked_qty, *asked_price, *qty, *price;
        bool made;
    } cases[] = {
        { "12", "101", "12", "101", true },  { "12", "101", "12", NULL, true },
        { "12", "101", NULL, "101", true },  { NULL, "101", NULL, "101", true },
        { NULL, "101", "10", "101", true },  { "12", NULL, "12", "100", true },
        { "12", "101", "10", "100", false }, { "12", "101", "12", "100", false },
        { "12", "101", NULL, NULL, false },  { "10", "100", "10", "100", false },
        { "12", "101", NULL, "100", false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct order order = order_in(ORDER_NEW);
        struct report asked =
            with_terms(report_of(REPORT_ACK), cases[i].asked_qty, cases[i].asked_price);
        order_mark_replace(&order, asked.qty, asked.price, "", NOW);
        struct report report =
            with_terms(status_of(ORDER_NEW, "0", NULL), cases[i].qty, cases[i].price);
        assert_int_equal(apply(&order, report), cases[i].made ? ORDER_CHANGED : ORDER_UNCHANGED);
        assert_int_equal(order.pending, cases[i].made ? PENDING_NONE : PENDING_REPLACE);
    }
}

/* Both at once: the sum is judged against the terms that came with it. */
static void a_status_with_raised_terms_and_more_filled_is_no_overfill(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    order_mark_replace(&order, decimal_int(15), DECIMAL_NONE, "", NOW);
    struct report report = with_terms(status_of(ORDER_PARTIALLY_FILLED, "12", "100"), "15", NULL);
    assert_int_equal(apply(&order, report), FILLED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
    assert_decimal(order_remaining(&order), "3");

    order = order_in(ORDER_FILLED); /* its raise was under way when it filled */
    order.pending = PENDING_REPLACE;
    order.pending_qty = decimal_int(15);
    report = with_terms(status_of(ORDER_PARTIALLY_FILLED, "10", "100"), "15", NULL);
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);

    order = order_in(ORDER_PARTIALLY_FILLED); /* lowered to what has filled */
    order_mark_replace(&order, decimal_int(4), DECIMAL_NONE, "", NOW);
    report = with_terms(status_of(ORDER_FILLED, "4", "100"), "4", NULL);
    assert_int_equal(apply(&order, report), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_FILLED);
}

/* The venue fills what the replace asked for before it says that it made it. */
static void a_fill_within_the_terms_asked_for_is_no_overfill(void **state)
{
    (void)state;
    static const struct {
        const char *fill;
        int change;
        enum order_status then;
        const char *qty;
    } cases[] = {
        { "6", FILLED, ORDER_FILLED, "10" }, /* the old quantity: the replace may still fail */
        { "8", FILLED, ORDER_PARTIALLY_FILLED, "15" },
        { "11", FILLED, ORDER_FILLED, "15" },
        { "12", SUSPECT, ORDER_FILLED, "10" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct order order = order_in(ORDER_PARTIALLY_FILLED);
        order_mark_replace(&order, decimal_int(15), decimal_int(100), "", NOW);
        assert_int_equal(apply(&order, fill_of(cases[i].fill, "100")), cases[i].change);
        assert_int_equal(order.known, cases[i].then);
        assert_decimal(order.qty, cases[i].qty);
    }
}

/* Two replaces in a row, and the confirmation of the first is told on two channels. */
static void the_replace_before_told_again_does_not_answer_this_one(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), decimal_int(102), "", NOW);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 8, 102)), ORDER_CHANGED);
    order_mark_replace(&order, decimal_int(9), decimal_int(103), "", NOW);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 8, 102)), ORDER_UNCHANGED);
    assert_int_equal(order_status(&order), ORDER_PENDING_REPLACE);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 9, 103)), ORDER_CHANGED);
    assert_decimal(order.price, "103");
    /* asked for what it is: the answer says just that */
    order_mark_replace(&order, decimal_int(9), decimal_int(103), "", NOW);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 9, 103)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_NEW);
    order_mark_replace(&order, DECIMAL_NONE, decimal_int(104), "", NOW); /* the price alone */
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 9, 103)), ORDER_UNCHANGED);
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 9, 104)), ORDER_CHANGED);
    order = renaming(ORDER_NEW); /* a venue that names nothing is taken by its terms */
    assert_int_equal(apply(&order, terms_of(REPORT_REPLACED, 12, 101)), ORDER_CHANGED);
    /* a venue may grant less than asked; under the new name it is the answer for sure */
    order = renaming(ORDER_NEW);
    assert_int_equal(apply(&order, named(terms_of(REPORT_REPLACED, 12, 101), "r0001")),
                     ORDER_UNCHANGED);
    assert_int_equal(apply(&order, named(terms_of(REPORT_REPLACED, 10, 100), "r0002")),
                     ORDER_CHANGED);
    assert_string_equal(order.current_client_order_id, "r0002");
}

static void a_replace_that_came_too_late_leads_to_doubt(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order_mark_replace(&order, decimal_int(8), DECIMAL_NONE, "", NOW);
    assert_int_equal(apply(&order, report_with(REPORT_REPLACE_REJECT, "too late")), ASKED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN);
    assert_decimal(order.qty, "10");
}

/* ---- trades that come after a sum, and trades that are taken back ---- */

/* All fills booked, and what is found there: as a ledger would answer. */
#define ROWS_MAX 256
struct book {
    struct fill rows[ROWS_MAX];
    size_t count;
};

static const struct fill *find_trade(const struct book *book, const char *exec_id)
{
    for (size_t i = book->count; i-- > 0;)
        if (book->rows[i].kind == FILL_TRADE && (strcmp(book->rows[i].exec_id, exec_id) == 0 ||
                                                 strcmp(book->rows[i].replaces, exec_id) == 0))
            return &book->rows[i];
    return NULL;
}

static bool is_taken_back(const struct book *book, const char *exec_id)
{
    for (size_t i = 0; i < book->count; i++)
        if (book->rows[i].kind == FILL_REVERSAL && strcmp(book->rows[i].replaces, exec_id) == 0)
            return true;
    return false;
}

static int apply_booked(struct order *order, struct book *book, struct report report)
{
    const struct fill *booked = find_trade(book, report.fill.exec_id);
    report.booked_state = BOOKED_NOT;
    if (booked && report.kind != REPORT_STATUS) {
        report.booked = *booked;
        report.booked_state = is_taken_back(book, booked->exec_id) ? BOOKED_REVERSED : BOOKED_YES;
    }
    int change = apply_last(order, report);
    for (size_t i = 0; i < last.fill_count; i++) {
        assert_true(book->count < ROWS_MAX);
        for (size_t k = 0; k < book->count; k++) /* each exec id is unique */
            assert_string_not_equal(book->rows[k].exec_id, last.fills[i].exec_id);
        book->rows[book->count++] = last.fills[i];
    }
    return change;
}

static struct report trade(const char *exec_id, const char *qty, const char *price)
{
    struct report report = fill_of(qty, price);
    text_copy(report.fill.exec_id, sizeof(report.fill.exec_id), exec_id);
    return report;
}

static struct report about(enum report_kind kind, struct report report)
{
    report.kind = kind;
    return report;
}

static void assert_sums(const struct order *order, const char *qty, const char *notional,
                        const char *fees)
{
    assert_decimal(order->filled_qty, qty);
    assert_decimal(order->notional, notional);
    assert_decimal(order->fees, fees);
}

/* 7 for 100.1 each is 700.7; a third of that has no end. What a small trade takes back is rounded,
 * the last one takes what is left. */
static void real_trades_take_the_place_of_an_inferred_fill(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    order.qty = decimal_int(7);
    assert_int_equal(apply_booked(&order, &book, status_of(ORDER_FILLED, "7", "100.1")), FILLED);
    assert_int_equal(apply_booked(&order, &book, trade("a", "3", "100.3")), FILLED);
    assert_int_equal(last.fill_count, 2);
    assert_int_equal(last.fills[0].kind, FILL_REVERSAL);
    assert_string_equal(last.fills[0].exec_id, "reversal-r0001-2");
    assert_string_equal(last.fills[0].replaces, "inferred");
    assert_decimal(last.fills[0].qty, "3");
    assert_decimal(last.fills[0].notional, "300.3");
    assert_int_equal(last.fills[1].kind, FILL_TRADE);
    assert_decimal(last.news, "0");
    assert_sums(&order, "7", "701.3", "0.01");
    assert_decimal(order.inferred_qty, "4");
    assert_int_equal(apply_booked(&order, &book, trade("b", "4", "100")), FILLED);
    assert_sums(&order, "7", "700.9", "0.02");
    assert_decimal(order.inferred_qty, "0");
    assert_decimal(order.inferred_notional, "0");
    assert_int_equal(order.known, ORDER_FILLED);
}

static void a_trade_larger_than_the_inferred_part_is_news_for_the_rest(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    apply_booked(&order, &book, status_of(ORDER_PARTIALLY_FILLED, "2", "100"));
    assert_int_equal(apply_booked(&order, &book, trade("a", "5", "101")), FILLED);
    assert_decimal(last.news, "3");
    assert_sums(&order, "5", "505", "0.01");
    assert_decimal(order.inferred_qty, "0");
}

/* The cancel's sum told the late trades already: they are no second alert. */
static void late_trades_that_a_sum_told_before_are_no_news(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    order_mark_cancel(&order, NOW);
    assert_int_equal(apply_booked(&order, &book, status_of(ORDER_CANCELED, "6", "100")), FILLED);
    assert_int_equal(order.known, ORDER_CANCELED);
    assert_int_equal(apply_booked(&order, &book, trade("a", "2", "99")), FILLED);
    assert_int_equal(apply_booked(&order, &book, trade("b", "5", "99")), LATE); /* 1 is new */
    assert_string_equal(last.alert, "late_fill");
    assert_decimal(last.news, "1");
    assert_sums(&order, "7", "693", "0.02");
    assert_int_equal(apply_booked(&order, &book, status_of(ORDER_CANCELED, "10", "99")), LATE);
    assert_int_equal(order.known, ORDER_FILLED);

    order = order_in(ORDER_REJECTED);
    book.count = 0;
    assert_int_equal(apply_booked(&order, &book, status_of(ORDER_FILLED, "10", "100")), SUSPECT);
    assert_int_equal(apply_booked(&order, &book, trade("a", "10", "100")), FILLED);
    assert_int_equal(order.known, ORDER_REJECTED);
}

static void a_trade_whose_fee_is_not_said_costs_none(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    struct report report = trade("a", "2", "100");
    report.fill.fee = DECIMAL_NONE;
    assert_int_equal(apply_booked(&order, &book, report), FILLED);
    assert_sums(&order, "2", "200", "0");
    report.fill.fee = decimal_text("0.5"); /* told later */
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, report)), LATE);
    assert_sums(&order, "2", "200", "0.5");
    report.fill.fee = DECIMAL_NONE; /* a correction that is silent about it leaves it */
    report.fill.price = decimal_int(101);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, report)), LATE);
    assert_sums(&order, "2", "202", "0.5");
}

static void a_busted_trade_is_taken_back_once_and_never_comes_again(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    apply_booked(&order, &book, trade("a", "4", "100"));
    apply_booked(&order, &book, trade("b", "6", "101"));
    struct report word = about(REPORT_BUST, trade("b", "6", "101"));
    assert_int_equal(apply_booked(&order, &book, word), LATE | ORDER_ASK);
    assert_string_equal(last.alert, "trade_bust");
    assert_string_equal(last.fills[0].replaces, "b");
    assert_decimal(last.fills[0].price, "101");
    assert_decimal(last.news, "0");
    assert_sums(&order, "4", "400", "0.01");
    assert_int_equal(order.known, ORDER_PARTIALLY_FILLED);
    assert_int_equal(order_status(&order), ORDER_UNKNOWN); /* does it work again? */
    assert_int_equal(apply_booked(&order, &book, word), ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, trade("b", "6", "101")), ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("b", "5", "101"))),
                     COUNTED | ORDER_ALERT);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_BUST, trade("a", "4", "100"))), LATE);
    assert_int_equal(order.known, ORDER_NEW);
    assert_sums(&order, "0", "0", "0");
}

/* There is nothing to take back; a person hears of it. */
static void a_word_on_an_unknown_trade_is_refused_and_alerted(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    struct order before;
    memcpy(&before, &order, sizeof(order));
    assert_int_equal(apply_booked(&order, &book, about(REPORT_BUST, trade("z", "1", "1"))), WRONG);
    assert_string_equal(last.alert, "trade_bust");
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("z", "1", "1"))),
                     WRONG);
    assert_string_equal(last.alert, "trade_correct");
    assert_memory_equal(&order, &before, sizeof(order));
}

static void a_busted_trade_that_a_sum_had_told_is_gone_with_both(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    apply_booked(&order, &book, status_of(ORDER_PARTIALLY_FILLED, "5", "100.1"));
    apply_booked(&order, &book, trade("a", "3", "100"));
    assert_int_equal(apply_booked(&order, &book, about(REPORT_BUST, trade("a", "3", "100"))), LATE);
    assert_decimal(order.filled_qty, "2");
    assert_decimal(order.inferred_qty, "2");
    assert_int_equal(apply_booked(&order, &book, trade("b", "2", "100.25")), FILLED);
    assert_sums(&order, "2", "200.5", "0.01");
}

/* The venue goes on naming the trade by its first id. */
static void a_corrected_trade_can_be_corrected_again_and_busted(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    apply_booked(&order, &book, trade("a", "4", "100"));
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("a", "5", "99"))),
                     LATE);
    assert_string_equal(last.alert, "trade_correct");
    assert_int_equal(last.fill_count, 2);
    assert_string_equal(last.fills[0].replaces, "a");
    assert_string_equal(last.fills[1].exec_id, "correct-r0001-1");
    assert_string_equal(last.fills[1].replaces, "a");
    assert_int_equal(last.fills[1].kind, FILL_TRADE);
    assert_decimal(last.news, "0");
    assert_sums(&order, "5", "495", "0.01");
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("a", "5", "99"))),
                     ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, trade("a", "4", "100")), ORDER_UNCHANGED);

    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("a", "10", "98"))),
                     LATE);
    assert_string_equal(last.fills[0].replaces, "correct-r0001-1");
    assert_string_equal(last.fills[1].replaces, "a");
    assert_int_equal(order.known, ORDER_FILLED);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("a", "9", "98"))),
                     LATE | ORDER_ASK);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_BUST, trade("a", "9", "98"))), LATE);
    assert_sums(&order, "0", "0", "0");
    assert_int_equal(order.known, ORDER_NEW);
    assert_int_equal(apply_booked(&order, &book, about(REPORT_BUST, trade("a", "9", "98"))),
                     ORDER_UNCHANGED);
}

static void an_older_correction_told_again_changes_nothing(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    struct report first = about(REPORT_CORRECT, trade("a", "5", "99"));
    struct report second = about(REPORT_CORRECT, trade("a", "6", "99"));
    first.transact_ns = NOW + 1;
    second.transact_ns = NOW + 2;
    apply_booked(&order, &book, trade("a", "4", "100"));
    assert_int_equal(apply_booked(&order, &book, first), LATE);
    assert_int_equal(apply_booked(&order, &book, second), LATE);
    assert_int_equal(apply_booked(&order, &book, first), ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, second), ORDER_UNCHANGED);
    assert_decimal(order.filled_qty, "6");
}

/* A list of trades says how they stand. What is pushed may be the trade as it was first told. */
static void a_listed_trade_with_other_numbers_was_corrected_unheard(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    struct report first = trade("a", "4", "100");
    struct report listed = answer(trade("a", "5", "99"));
    first.fill.transact_ns = listed.fill.transact_ns = NOW;
    apply_booked(&order, &book, first);
    assert_int_equal(apply_booked(&order, &book, trade("a", "5", "99")), ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, answer(first)), ORDER_UNCHANGED);
    assert_int_equal(apply_booked(&order, &book, listed), LATE);
    assert_string_equal(last.alert, "trade_correct");
    assert_sums(&order, "5", "495", "0.01");
    assert_int_equal(apply_booked(&order, &book, listed), ORDER_UNCHANGED);
    listed.fill.fee = DECIMAL_NONE; /* lists may be silent about fees */
    assert_int_equal(apply_booked(&order, &book, listed), ORDER_UNCHANGED);

    struct report word = about(REPORT_CORRECT, trade("a", "6", "99"));
    word.transact_ns = NOW + 1;
    assert_int_equal(apply_booked(&order, &book, word), LATE);
    assert_int_equal(apply_booked(&order, &book, listed), ORDER_UNCHANGED); /* an older list */
    apply_booked(&order, &book, about(REPORT_BUST, word));
    assert_int_equal(apply_booked(&order, &book, answer(first)), ORDER_UNCHANGED);
}

/* The sum knew of the correction before it was told. */
static void what_a_correction_adds_a_sum_may_have_told_before(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    apply_booked(&order, &book, trade("a", "4", "100"));
    apply_booked(&order, &book, status_of(ORDER_PARTIALLY_FILLED, "6", "100"));
    assert_int_equal(apply_booked(&order, &book, about(REPORT_CORRECT, trade("a", "6", "100"))),
                     LATE);
    assert_int_equal(last.fill_count, 3);
    assert_sums(&order, "6", "600", "0.01");
    assert_decimal(order.inferred_qty, "0");
}

static void a_correction_is_judged_like_fills(void **state)
{
    (void)state;
    struct report more = word_on_a_trade(REPORT_CORRECT, "8", "2"); /* 4 become 10 */
    struct report too_many = word_on_a_trade(REPORT_CORRECT, "9", "2");
    struct order order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply(&order, more), LATE);
    assert_int_equal(order.known, ORDER_FILLED);
    order = order_in(ORDER_EXPIRED);
    assert_int_equal(apply(&order, more), LATE);
    assert_int_equal(order.known, ORDER_FILLED);
    order = order_in(ORDER_PARTIALLY_FILLED);
    assert_int_equal(apply_last(&order, too_many), SUSPECT);
    assert_string_equal(last.alert, "trade_correct");
    assert_decimal(order.filled_qty, "11");
    assert_int_equal(order.known, ORDER_FILLED);
    order = order_in(ORDER_PARTIALLY_FILLED); /* a raise is under way: see above */
    order_mark_replace(&order, decimal_int(15), DECIMAL_NONE, "", NOW);
    assert_int_equal(apply(&order, too_many), LATE);
    assert_decimal(order_remaining(&order), "4");
    order = order_in(ORDER_REJECTED); /* it stays what it was */
    order.filled_qty = decimal_int(4);
    assert_int_equal(apply(&order, more), LATE);
    assert_int_equal(order.known, ORDER_REJECTED);
}

/* ---- sums at the limits ---- */

/* 18 digits of an average, 8 of a quantity and 9 before the point are more than 128 bits hold in
 * one product. Digits that nobody has are given up, not the fill. */
static void a_sum_with_more_digits_than_fit_is_booked_all_the_same(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW);
    order.qty = decimal_text("5000000.12345678");
    struct report report =
        status_of(ORDER_PARTIALLY_FILLED, "4000000.12345678", "65432.123456789123456789");
    assert_int_equal(apply_booked(&order, &book, report), FILLED);
    assert_int_equal(apply_booked(&order, &book, trade("a", "1234567.87654321", "65432.12")),
                     FILLED);
    assert_int_equal(apply_booked(&order, &book, trade("b", "2765432.24691357", "65432.13")),
                     FILLED);
    assert_decimal(order.inferred_notional, "0");
    assert_decimal(order.filled_qty, "4000000.12345678");
    /* 1234567.87654321 * 65432.12 + 2765432.24691357 * 65432.13, by hand in another tool */
    assert_decimal(order.notional, "261728515732.3613129093");
}

static void a_sum_too_large_to_add_leaves_the_order_as_it_was(void **state)
{
    (void)state;
    static const char *const huge[][2] = {
        { "100000000000000000000000000000000000000", "100" }, /* no notional */
        { "4.000000000000000000000000000000000001", "1e37" }, /* no price */
    };
    for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
        struct order order = order_in(ORDER_PARTIALLY_FILLED), before;
        memcpy(&before, &order, sizeof(order));
        struct report report = status_of(ORDER_PARTIALLY_FILLED, huge[i][0], huge[i][1]);
        assert_int_equal(apply_last(&order, report), ERROR_RANGE);
        assert_memory_equal(&order, &before, sizeof(order));
        assert_int_equal(last.fill_count, 0);
        assert_null(last.alert);
        assert_decimal(last.news, "0");
    }
    struct order order = order_in(ORDER_PARTIALLY_FILLED); /* the scales are too far apart */
    order.filled_qty = decimal_text("1e-36");
    assert_int_equal(apply_last(&order, status_of(ORDER_NEW, "1000", "1")), ERROR_RANGE);
}

static void a_word_on_a_trade_too_large_to_add_leaves_the_order_as_it_was(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PARTIALLY_FILLED), before;
    order.fees = decimal_text("1e-36");
    memcpy(&before, &order, sizeof(order));
    struct report bust = word_on_a_trade(REPORT_BUST, "1", "2");
    bust.booked.fee = decimal_int(1000);
    assert_int_equal(apply_last(&order, bust), ERROR_RANGE);
    bust.kind = REPORT_CORRECT;
    assert_int_equal(apply_last(&order, bust), ERROR_RANGE);
    struct report correction = word_on_a_trade(REPORT_CORRECT, "1", "2");
    correction.booked.fee = DECIMAL_ZERO;
    correction.fill.fee = decimal_int(1000);
    assert_int_equal(apply_last(&order, correction), ERROR_RANGE);
    assert_int_equal(last.fill_count, 0);
    assert_memory_equal(&order, &before, sizeof(order));
}

static void a_share_too_large_to_take_back_leaves_the_order_as_it_was(void **state)
{
    (void)state;
    struct book book = { .count = 0 };
    struct order order = order_in(ORDER_NEW), before;
    struct report sum =
        status_of(ORDER_PARTIALLY_FILLED, "2", "40000000000000000000000000000000000001");
    assert_int_equal(apply_booked(&order, &book, sum), FILLED);
    memcpy(&before, &order, sizeof(order));
    assert_int_equal(apply_booked(&order, &book, trade("a", "1.23456789", "1")), ERROR_RANGE);
    assert_memory_equal(&order, &before, sizeof(order));
    assert_int_equal(apply_booked(&order, &book, trade("a", "2", "1")), FILLED); /* all of it */
    assert_decimal(order.notional, "2");
}

/* ---- what we decide ourselves ---- */

static void an_order_given_up_is_rejected_or_canceled_and_nothing_is_under_way(void **state)
{
    (void)state;
    for (unsigned pending = 0; pending < 4; pending++) {
        struct order order = renaming(ORDER_PENDING_NEW);
        order.pending = pending | PENDING_REPLACE;
        order_mark_doubt(&order, NOW);
        order_give_up(&order, "it never arrived", NOW + 1);
        assert_int_equal(order_status(&order), ORDER_REJECTED);
        assert_int_equal(order.pending, PENDING_NONE);
        assert_false(order.doubt);
        assert_int_equal(order.doubt_since_ns, 0);
        assert_int_equal(order.updated_ns, NOW + 1);
        assert_string_equal(order.pending_client_order_id, "");
        assert_false(decimal_valid(order.pending_qty));
        assert_string_equal(order.reason, "it never arrived");
    }
    struct order order = order_in(ORDER_NEW); /* it had arrived: gone, not rejected */
    order_give_up(&order, "gone", NOW);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    order = order_in(ORDER_PARTIALLY_FILLED);
    order_give_up(&order, "gone", NOW);
    assert_int_equal(order_status(&order), ORDER_CANCELED);
    assert_int_equal(apply(&order, fill_of("6", "100")), LATE); /* it was there after all */
    assert_int_equal(order_status(&order), ORDER_FILLED);
}

static void doubt_is_marked_once(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    assert_true(order_mark_doubt(&order, NOW));
    assert_false(order_mark_doubt(&order, NOW + 1));
    assert_int_equal(order.doubt_since_ns, NOW);
}

static void a_held_order_rests_ends_or_leaves(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_PENDING_NEW);
    order.type = ORDER_STOP;
    order_hold(&order, NOW);
    assert_true(order.held);
    assert_int_equal(order_status(&order), ORDER_NEW);
    struct order ended = order;
    order_end_held(&ended, ORDER_EXPIRED, "its day is over", NOW + 1);
    assert_false(ended.held);
    assert_int_equal(order_status(&ended), ORDER_EXPIRED);
    assert_string_equal(ended.reason, "its day is over");
    assert_int_equal(ended.updated_ns, NOW + 1);
    order_release(&order, NOW + 2);
    assert_false(order.held);
    assert_int_equal(order_status(&order), ORDER_PENDING_NEW);
    assert_int_equal(order.updated_ns, NOW + 2);
}

/* It never left, and yet it trades: booked, suspect, and what is left may still leave. */
static void a_held_order_that_the_venue_filled_is_suspect_and_goes_on(void **state)
{
    (void)state;
    struct order order = order_in(ORDER_NEW);
    order.held = true;
    assert_int_equal(apply_last(&order, fill_of("4", "100")), SUSPECT);
    assert_string_equal(last.alert, "bad_venue_data");
    struct report again = fill_of("4", "100");
    again.booked_state = BOOKED_YES;
    assert_int_equal(apply(&order, again), ORDER_UNCHANGED);
    order_release(&order, NOW);
    struct order given_up = order;
    order_give_up(&given_up, "it never arrived", NOW);
    assert_int_equal(order_status(&given_up), ORDER_CANCELED);
    assert_int_equal(apply(&order, report_of(REPORT_ACK)), ORDER_CHANGED);
    assert_int_equal(order_status(&order), ORDER_PARTIALLY_FILLED);
}

/* ---- any interleaving of trades and sums ---- */

#define TRADES_MAX 6
#define STEPS_MAX 48

/* A venue's own account of one order, in integers: quantities in thousandths, prices in hundredths,
 * notionals in 1e-5. */
struct truth {
    int64_t qty[TRADES_MAX], price[TRADES_MAX], fee[TRADES_MAX];
    size_t count;
    int64_t total_qty, total_notional, total_fee;
};

static void draw_truth(struct truth *truth, struct random *random)
{
    *truth = (struct truth){ .count = 1 + random_below(random, TRADES_MAX) };
    for (size_t i = 0; i < truth->count; i++) {
        truth->qty[i] = 1 + (int64_t)random_below(random, 9000);
        truth->price[i] = 9000 + (int64_t)random_below(random, 2000);
        truth->fee[i] = (int64_t)random_below(random, 200) - 50;
        truth->total_qty += truth->qty[i];
        truth->total_notional += truth->qty[i] * truth->price[i];
        truth->total_fee += truth->fee[i];
    }
}

static struct report true_trade(const struct truth *truth, size_t i)
{
    struct report report = report_of(REPORT_FILL);
    snprintf(report.fill.exec_id, sizeof(report.fill.exec_id), "t-%zu", i);
    report.fill.qty = decimal_make(truth->qty[i], 3);
    report.fill.price = decimal_make(truth->price[i], 2);
    report.fill.fee = decimal_make(truth->fee[i], 4);
    return report;
}

/* The sum after the first `count` trades; its average has as many digits as the venue likes. */
static struct report true_sum(const struct truth *truth, size_t count, struct random *random)
{
    int64_t qty = 0, notional = 0;
    for (size_t i = 0; i < count; i++) {
        qty += truth->qty[i];
        notional += truth->qty[i] * truth->price[i];
    }
    bool is_full = count == truth->count;
    struct report report = report_of(REPORT_STATUS);
    report.status = is_full ? ORDER_FILLED : ORDER_PARTIALLY_FILLED;
    report.cum_qty = decimal_make(qty, 3);
    report.avg_price = decimal_div(decimal_make(notional, 5), decimal_make(qty, 3),
                                   (int)random_below(random, 19), ROUND_HALF_EVEN);
    return report;
}

/* Each trade once and, at random, again; sums at random; all shuffled. */
static size_t draw_steps(const struct truth *truth, struct random *random,
                         struct report steps[STEPS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < truth->count; i++)
        for (uint64_t times = 1 + random_below(random, 2); times > 0; times--)
            steps[count++] = true_trade(truth, i);
    for (uint64_t sums = random_below(random, 12); sums > 0; sums--)
        steps[count++] = true_sum(truth, 1 + random_below(random, truth->count), random);
    for (size_t i = count; i-- > 1;) {
        size_t other = random_below(random, i + 1);
        struct report step = steps[i];
        steps[i] = steps[other];
        steps[other] = step;
    }
    return count;
}

static void assert_equals_truth(const struct order *order, const struct book *book,
                                const struct truth *truth)
{
    decimal qty = DECIMAL_ZERO, notional = DECIMAL_ZERO;
    for (size_t i = 0; i < book->count; i++) { /* the rows say the same */
        const struct fill *fill = &book->rows[i];
        bool off = fill->kind == FILL_REVERSAL;
        qty = off ? decimal_sub(qty, fill->qty) : decimal_add(qty, fill->qty);
        notional = off ? decimal_sub(notional, fill_notional(fill))
                       : decimal_add(notional, fill_notional(fill));
    }
    assert_int_equal(decimal_cmp(order->filled_qty, decimal_make(truth->total_qty, 3)), 0);
    assert_int_equal(decimal_cmp(order->notional, decimal_make(truth->total_notional, 5)), 0);
    assert_int_equal(decimal_cmp(order->fees, decimal_make(truth->total_fee, 4)), 0);
    assert_int_equal(decimal_cmp(qty, order->filled_qty), 0);
    assert_int_equal(decimal_cmp(notional, order->notional), 0);
    assert_decimal(order->inferred_qty, "0");
    assert_decimal(order->inferred_notional, "0");
}

/* Whatever order trades, their repetitions and sums come in: once the trades are there, the books
 * are theirs to the last digit, and the strategy has heard of each unit once. */
static void trades_and_sums_in_any_order_end_in_the_sums_of_the_trades(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20000; seed++) {
        struct random random;
        struct truth truth;
        struct report steps[STEPS_MAX];
        struct book book = { .count = 0 };
        random_seed(&random, seed);
        draw_truth(&truth, &random);
        size_t count = draw_steps(&truth, &random, steps);
        struct order order = order_in(ORDER_NEW);
        order.qty = decimal_make(truth.total_qty, 3);
        decimal told = DECIMAL_ZERO;
        for (size_t i = 0; i < count; i++) {
            int change = apply_booked(&order, &book, steps[i]);
            assert_true(change >= 0);
            assert_false(change & (ORDER_SUSPECT | ORDER_COUNTED));
            assert_true(decimal_cmp(order.filled_qty, order.qty) <= 0);
            told = decimal_add(told, last.news);
        }
        assert_equals_truth(&order, &book, &truth);
        assert_int_equal(order.known, ORDER_FILLED);
        assert_int_equal(decimal_cmp(told, order.filled_qty), 0);
    }
}

/* After them trades are corrected, corrected again and busted, each word told once or more. */
static void corrections_and_busts_end_in_the_sums_of_what_stands(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5000; seed++) {
        struct random random;
        struct truth truth;
        struct report steps[STEPS_MAX];
        struct book book = { .count = 0 };
        bool busted[TRADES_MAX] = { false };
        random_seed(&random, seed);
        draw_truth(&truth, &random);
        size_t count = draw_steps(&truth, &random, steps);
        struct order order = order_in(ORDER_NEW);
        order.qty = decimal_make(truth.total_qty, 3);
        for (size_t i = 0; i < count; i++)
            apply_booked(&order, &book, steps[i]);
        for (int64_t time = 1; time <= 10; time++) {
            size_t i = random_below(&random, truth.count);
            bool is_bust = busted[i] || random_below(&random, 4) == 0;
            if (!is_bust) {
                truth.qty[i] = 1 + (int64_t)random_below(&random, 9000);
                truth.price[i] = 9000 + (int64_t)random_below(&random, 2000);
                truth.fee[i] = (int64_t)random_below(&random, 200) - 50;
            }
            struct report word =
                about(is_bust ? REPORT_BUST : REPORT_CORRECT, true_trade(&truth, i));
            word.transact_ns = time;
            busted[i] = is_bust;
            for (uint64_t times = 1 + random_below(&random, 2); times > 0; times--)
                assert_true(apply_booked(&order, &book, word) >= 0);
            assert_int_equal(apply_booked(&order, &book, true_trade(&truth, i)), ORDER_UNCHANGED);
        }
        truth.total_qty = truth.total_notional = truth.total_fee = 0;
        for (size_t i = 0; i < truth.count; i++) {
            if (busted[i])
                continue;
            truth.total_qty += truth.qty[i];
            truth.total_notional += truth.qty[i] * truth.price[i];
            truth.total_fee += truth.fee[i];
        }
        assert_equals_truth(&order, &book, &truth);
    }
}

static void a_reversal_moves_the_position_the_other_way(void **state)
{
    (void)state;
    static const enum fill_kind kinds[] = { FILL_TRADE, FILL_INFERRED };
    struct fill fill = { .kind = FILL_REVERSAL };
    assert_int_equal(fill_side(SIDE_BUY, &fill), SIDE_SELL);
    assert_int_equal(fill_side(SIDE_SELL, &fill), SIDE_BUY);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        fill.kind = kinds[i];
        assert_int_equal(fill_side(SIDE_BUY, &fill), SIDE_BUY);
        assert_int_equal(fill_side(SIDE_SELL, &fill), SIDE_SELL);
    }
}

/* ---- our own mistakes ---- */

static void cancel_it(struct order *order)
{
    order_mark_cancel(order, NOW);
}

static void replace_it(struct order *order)
{
    order_mark_replace(order, decimal_int(1), DECIMAL_NONE, "", NOW);
}

static void name_it(struct order *order)
{
    order_status_name((enum order_status)(order->known + 100));
}

static void hold_it(struct order *order)
{
    order_hold(order, NOW);
}

static void release_it(struct order *order) /* open, but not held */
{
    order->known = ORDER_NEW;
    order_release(order, NOW);
}

static void end_it(struct order *order)
{
    order->known = ORDER_NEW;
    order_end_held(order, ORDER_EXPIRED, "", NOW);
}

static void give_it_up(struct order *order)
{
    order_give_up(order, "", NOW);
}

static void doubt_it(struct order *order)
{
    order_mark_doubt(order, NOW);
}

static void report_nonsense(struct order *order)
{
    apply(order, report_of((enum report_kind)KINDS));
}

static void report_to_nonsense(struct order *order)
{
    order->known = ORDER_UNKNOWN;
    apply(order, report_of(REPORT_ACK));
}

/* Runs it in a child; true when the child was aborted. */
static bool stops_the_program(void (*mistake)(struct order *))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct order order = order_in(ORDER_CANCELED);
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        mistake(&order);
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* A stopped trader beats a wrong one. */
static void our_own_mistakes_stop_the_program(void **state)
{
    (void)state;
    assert_true(stops_the_program(cancel_it));
    assert_true(stops_the_program(replace_it));
    assert_true(stops_the_program(name_it));
    assert_true(stops_the_program(hold_it));
    assert_true(stops_the_program(release_it));
    assert_true(stops_the_program(end_it));
    assert_true(stops_the_program(give_it_up));
    assert_true(stops_the_program(doubt_it));
    assert_true(stops_the_program(report_nonsense));
    assert_true(stops_the_program(report_to_nonsense));
}

/* ---- what an order says ---- */

static void the_public_status_is_derived_from_the_three_facts(void **state)
{
    (void)state;
    static const struct {
        enum order_status known;
        unsigned pending;
        bool doubt;
        enum order_status shown;
    } cases[] = {
        { ORDER_PENDING_NEW, 0, false, ORDER_PENDING_NEW },
        { ORDER_NEW, PENDING_REPLACE, false, ORDER_PENDING_REPLACE },
        { ORDER_NEW, PENDING_CANCEL | PENDING_REPLACE, false, ORDER_PENDING_CANCEL },
        { ORDER_PARTIALLY_FILLED, PENDING_CANCEL, true, ORDER_UNKNOWN },
        { ORDER_FILLED, PENDING_REPLACE, false, ORDER_FILLED },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct order order = order_in(cases[i].known);
        order.pending = cases[i].pending;
        order.doubt = cases[i].doubt;
        assert_int_equal(order_status(&order), cases[i].shown);
    }
}

static void only_open_orders_have_a_remaining_quantity(void **state)
{
    (void)state;
    static const char *const remaining[STATUSES] = { "10", "10", "6", "0", "0", "0", "0" };
    for (int status = 0; status < STATUSES; status++) {
        struct order order = order_in((enum order_status)status);
        assert_decimal(order_remaining(&order), remaining[status]);
        assert_int_equal(order_is_open(&order), status < ORDER_FILLED);
    }
}

/* The contract fixes these words: they are in users' scripts and files. */
static void the_names_are_those_of_the_contract(void **state)
{
    (void)state;
    static const char *const statuses[] = {
        "pending_new", "new",     "partially_filled", "filled",          "canceled",
        "rejected",    "expired", "pending_cancel",   "pending_replace", "unknown"
    };
    static const char *const types[] = { "market", "limit", "stop", "stop_limit", "trailing" };
    static const char *const tifs[] = { "gtc", "day", "ioc", "fok", "gtd" };

    for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++)
        assert_string_equal(order_status_name((enum order_status)i), statuses[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        enum order_type type;
        assert_string_equal(order_type_name((enum order_type)i), types[i]);
        assert_true(order_type_parse(types[i], &type));
        assert_int_equal(type, i);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tifs); i++) {
        enum order_tif tif;
        assert_string_equal(order_tif_name((enum order_tif)i), tifs[i]);
        assert_true(order_tif_parse(tifs[i], &tif));
        assert_int_equal(tif, i);
    }
    assert_string_equal(report_kind_name(REPORT_CANCEL_REJECT), "cancel_reject");
    assert_string_equal(fill_kind_name(FILL_TRADE), "trade");
    assert_string_equal(fill_kind_name(FILL_INFERRED), "inferred");
    assert_string_equal(fill_kind_name(FILL_REVERSAL), "reversal");
    assert_string_equal(order_side_name(SIDE_BUY), "buy");
    assert_string_equal(order_side_name(SIDE_SELL), "sell");
    assert_string_equal(order_role_name(ROLE_PLAIN), "plain");
    assert_string_equal(order_role_name(ROLE_STOP), "stop");
    assert_string_equal(order_role_name(ROLE_TAKE), "take");
}

static void an_unknown_word_is_no_type_and_no_tif(void **state)
{
    (void)state;
    enum order_type type = ORDER_TRAILING;
    enum order_tif tif = TIF_GTD;
    assert_false(order_type_parse("Limit", &type));
    assert_false(order_type_parse("", &type));
    assert_false(order_tif_parse("gtc ", &tif));
    assert_int_equal(type, ORDER_TRAILING);
    assert_int_equal(tif, TIF_GTD);
}

/* ---- any conversation ---- */

static struct report any_report(struct random *random)
{
    static const char *const reasons[] = { "", "too late", "busy" };
    struct report report = report_with((enum report_kind)random_below(random, KINDS),
                                       reasons[random_below(random, ARRAY_SIZE(reasons))]);
    report.status = (enum order_status)random_below(random, STATUSES);
    if (random_below(random, 2))
        report.cum_qty = decimal_int((int64_t)random_below(random, 12));
    if (random_below(random, 8))
        report.avg_price = decimal_int(100);
    report.booked.qty = decimal_int(1);
    report.booked.price = decimal_int(99);
    report.booked.fee = DECIMAL_ZERO;
    report.fill.qty = decimal_int((int64_t)random_below(random, 6) - 1);
    report.fill.price = decimal_int(100);
    report.fill.fee = DECIMAL_ZERO;
    report.booked_state = random_below(random, 5) == 0 ? BOOKED_YES : BOOKED_NOT;
    report.qty = decimal_int((int64_t)random_below(random, 20));
    report.price = random_below(random, 2) ? decimal_int(101) : DECIMAL_NONE;
    return report;
}

/* What the fills of an outcome add up to. */
static decimal moved_by(const struct order_outcome *outcome)
{
    decimal sum = DECIMAL_ZERO;
    for (size_t i = 0; i < outcome->fill_count; i++) {
        const struct fill *fill = &outcome->fills[i];
        sum = decimal_add(sum, fill->kind == FILL_REVERSAL ? decimal_neg(fill->qty) : fill->qty);
    }
    return sum;
}

/* A filled order comes back for a replace that was asked for, when its trades were undone, or when
 * its trades show that the replace was made. */
static bool may_reopen(const struct order *before, const struct order *after,
                       const struct report *report)
{
    bool replaced = before->pending & ~after->pending & PENDING_REPLACE;
    if (report->kind == REPORT_REPLACED || report->kind == REPORT_FILL ||
        report->kind == REPORT_STATUS)
        return replaced;
    return (report->kind == REPORT_BUST || report->kind == REPORT_CORRECT) &&
           (after->doubt || replaced);
}

static void assert_step_is_sane(const struct order *before, const struct order *after,
                                const struct report *report, const struct order_outcome *outcome,
                                int change)
{
    bool was_done = !order_is_open(before);
    bool is_done = !order_is_open(after);
    decimal moved = moved_by(outcome);

    assert_true(change >= 0);
    if (!(change & ORDER_CHANGED))
        assert_memory_equal(before, after, sizeof(*after));
    if (change & ORDER_COUNTED)
        assert_false(change & (ORDER_CHANGED | ORDER_BOOKED));
    assert_int_equal(decimal_cmp(after->filled_qty, decimal_add(before->filled_qty, moved)), 0);
    assert_int_equal(!!(change & ORDER_BOOKED), outcome->fill_count > 0);
    if (was_done && !is_done) {
        assert_int_equal(before->known, ORDER_FILLED);
        assert_true(may_reopen(before, after, report));
    }
    if (is_done) {
        assert_false(after->doubt);
        assert_int_equal(after->pending & ~(after->known == ORDER_FILLED ? REPLACE : 0u), 0);
    }
    if (!is_done)
        assert_true(decimal_cmp(after->filled_qty, after->qty) < 0);
    if (decimal_sign(outcome->news) > 0 && decimal_cmp(after->filled_qty, after->qty) > 0)
        assert_true(change & ORDER_SUSPECT);
}

/* Whatever a venue says, in whatever order, what is booked adds up and the dead stay dead. */
static void no_conversation_breaks_an_invariant(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct random random;
        random_seed(&random, seed);
        struct order order = order_in(ORDER_PENDING_NEW);
        for (int i = 0; i < 40; i++) {
            if (order_is_open(&order) && random_below(&random, 4) == 0)
                order_mark_cancel(&order, NOW);
            if (order_is_open(&order) && random_below(&random, 4) == 0)
                order_mark_replace(&order, decimal_int(1 + (int64_t)random_below(&random, 20)),
                                   DECIMAL_NONE, "", NOW);
            struct order before;
            memcpy(&before, &order, sizeof(order));
            struct report report = any_report(&random);
            struct order_outcome outcome;
            struct error err = { 0 };
            int change = order_apply(&order, &report, NOW, &outcome, &err);
            assert_step_is_sane(&before, &order, &report, &outcome, change);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_begins_with_nothing),
        cmocka_unit_test(every_report_in_every_place_does_what_the_table_says),
        cmocka_unit_test(three_fills_fill_the_order_at_their_average),
        cmocka_unit_test(the_average_price_has_eighteen_digits_and_none_before_a_fill),
        cmocka_unit_test(a_fill_before_the_ack_counts_and_the_ack_changes_nothing),
        cmocka_unit_test(a_repeated_fill_changes_nothing),
        cmocka_unit_test(a_fill_of_nothing_is_refused_and_alerted),
        cmocka_unit_test(a_fill_beyond_the_quantity_is_booked_and_suspect),
        cmocka_unit_test(a_fill_too_large_to_add_leaves_the_order_as_it_was),
        cmocka_unit_test(a_fill_after_the_cancel_is_booked_and_the_order_stays_canceled),
        cmocka_unit_test(late_fills_that_complete_a_canceled_order_fill_it),
        cmocka_unit_test(a_late_fill_beyond_the_quantity_is_suspect),
        cmocka_unit_test(a_rejected_order_stays_rejected_whatever_it_fills),
        cmocka_unit_test(a_cancel_reject_after_the_fill_changes_nothing),
        cmocka_unit_test(a_part_fill_leaves_the_cancel_pending),
        cmocka_unit_test(a_cancel_that_came_too_late_leads_to_doubt),
        cmocka_unit_test(a_cancel_refused_for_another_reason_leaves_a_working_order),
        cmocka_unit_test(an_end_is_alerted_only_when_nothing_asked_for_it),
        cmocka_unit_test(the_reason_of_an_end_is_kept),
        cmocka_unit_test(an_ack_after_the_reject_alerts_and_brings_the_id),
        cmocka_unit_test(a_replace_takes_effect_when_the_venue_says_so),
        cmocka_unit_test(a_replace_confirmed_without_terms_takes_those_asked_for),
        cmocka_unit_test(a_replace_told_again_is_not_the_answer_to_the_next),
        cmocka_unit_test(a_replaced_order_that_ended_under_its_new_name_is_over),
        cmocka_unit_test(an_order_filled_at_a_quantity_that_was_lowered_is_filled),
        cmocka_unit_test(an_asked_for_end_with_less_than_is_booked_ends_the_order),
        cmocka_unit_test(a_status_under_the_old_name_is_no_word_of_a_replace),
        cmocka_unit_test(an_unasked_replace_never_takes_terms_nobody_asked_for),
        cmocka_unit_test(a_replace_told_twice_changes_nothing_the_second_time),
        cmocka_unit_test(a_replace_to_what_is_filled_or_less_fills_the_order),
        cmocka_unit_test(a_replace_refused_because_a_fill_came_first_leaves_the_old_terms),
        cmocka_unit_test(a_refused_replace_leaves_a_working_order_with_the_old_terms),
        cmocka_unit_test(an_order_filled_while_its_raise_was_under_way_reopens),
        cmocka_unit_test(a_filled_order_does_not_reopen_for_terms_it_already_met),
        cmocka_unit_test(terms_without_quantity_are_refused_and_alerted),
        cmocka_unit_test(a_replace_may_bring_a_new_venue_order_id_and_nothing_else_may),
        cmocka_unit_test(a_restatement_to_what_is_filled_fills_the_order),
        cmocka_unit_test(a_restatement_of_the_same_quantity_is_no_news),
        cmocka_unit_test(a_submit_that_timed_out_is_in_doubt_until_an_ack_or_a_fill),
        cmocka_unit_test(doubt_asks_once),
        cmocka_unit_test(acks_and_fills_never_clear_the_doubt_of_a_cancel),
        cmocka_unit_test(the_doubt_of_a_cancel_ends_with_its_own_answer),
        cmocka_unit_test(doubt_stays_until_the_last_of_two_requests_is_answered),
        cmocka_unit_test(an_order_not_found_is_in_doubt_until_the_venue_finds_it),
        cmocka_unit_test(a_sum_above_what_is_booked_is_an_inferred_fill),
        cmocka_unit_test(a_sum_above_the_quantity_is_booked_and_suspect),
        cmocka_unit_test(an_order_called_filled_below_its_quantity_is_asked_about),
        cmocka_unit_test(an_order_called_filled_at_another_quantity_was_restated),
        cmocka_unit_test(an_answer_restates_the_quantity_and_a_pushed_status_does_not),
        cmocka_unit_test(a_sum_without_an_average_is_asked_about),
        cmocka_unit_test(an_end_told_with_an_old_sum_is_asked_about),
        cmocka_unit_test(a_status_without_news_says_what_its_word_says),
        cmocka_unit_test(a_rejection_with_a_part_filled_cancels_the_rest),
        cmocka_unit_test(nonsense_in_a_status_is_refused_and_alerted),
        cmocka_unit_test(the_end_of_the_old_name_is_only_half_of_a_replace),
        cmocka_unit_test(the_end_of_the_old_name_comes_after_the_replace),
        cmocka_unit_test(an_end_without_a_name_is_the_orders),
        cmocka_unit_test(without_the_new_name_the_end_of_the_old_one_is_the_end),
        cmocka_unit_test(a_forgotten_replace_leaves_the_doubt_of_a_new_order),
        cmocka_unit_test(the_end_of_the_new_name_is_the_end_and_the_replace_was_made),
        cmocka_unit_test(a_rejection_of_the_new_name_ends_the_replace_and_asks),
        cmocka_unit_test(a_status_under_the_new_name_makes_the_replace),
        cmocka_unit_test(terms_that_only_the_replace_gave_show_that_it_was_made),
        cmocka_unit_test(a_status_with_raised_terms_and_more_filled_is_no_overfill),
        cmocka_unit_test(a_fill_within_the_terms_asked_for_is_no_overfill),
        cmocka_unit_test(the_replace_before_told_again_does_not_answer_this_one),
        cmocka_unit_test(a_replace_that_came_too_late_leads_to_doubt),
        cmocka_unit_test(real_trades_take_the_place_of_an_inferred_fill),
        cmocka_unit_test(a_trade_larger_than_the_inferred_part_is_news_for_the_rest),
        cmocka_unit_test(late_trades_that_a_sum_told_before_are_no_news),
        cmocka_unit_test(a_trade_whose_fee_is_not_said_costs_none),
        cmocka_unit_test(a_busted_trade_is_taken_back_once_and_never_comes_again),
        cmocka_unit_test(a_word_on_an_unknown_trade_is_refused_and_alerted),
        cmocka_unit_test(a_busted_trade_that_a_sum_had_told_is_gone_with_both),
        cmocka_unit_test(a_corrected_trade_can_be_corrected_again_and_busted),
        cmocka_unit_test(an_older_correction_told_again_changes_nothing),
        cmocka_unit_test(a_listed_trade_with_other_numbers_was_corrected_unheard),
        cmocka_unit_test(what_a_correction_adds_a_sum_may_have_told_before),
        cmocka_unit_test(a_correction_is_judged_like_fills),
        cmocka_unit_test(a_sum_with_more_digits_than_fit_is_booked_all_the_same),
        cmocka_unit_test(a_sum_too_large_to_add_leaves_the_order_as_it_was),
        cmocka_unit_test(a_word_on_a_trade_too_large_to_add_leaves_the_order_as_it_was),
        cmocka_unit_test(an_order_given_up_is_rejected_or_canceled_and_nothing_is_under_way),
        cmocka_unit_test(doubt_is_marked_once),
        cmocka_unit_test(a_held_order_rests_ends_or_leaves),
        cmocka_unit_test(trades_and_sums_in_any_order_end_in_the_sums_of_the_trades),
        cmocka_unit_test(corrections_and_busts_end_in_the_sums_of_what_stands),
        cmocka_unit_test(a_held_order_that_the_venue_filled_is_suspect_and_goes_on),
        cmocka_unit_test(a_share_too_large_to_take_back_leaves_the_order_as_it_was),
        cmocka_unit_test(a_reversal_moves_the_position_the_other_way),
        cmocka_unit_test(our_own_mistakes_stop_the_program),
        cmocka_unit_test(the_public_status_is_derived_from_the_three_facts),
        cmocka_unit_test(only_open_orders_have_a_remaining_quantity),
        cmocka_unit_test(the_names_are_those_of_the_contract),
        cmocka_unit_test(an_unknown_word_is_no_type_and_no_tif),
        cmocka_unit_test(no_conversation_breaks_an_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
