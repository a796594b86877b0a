/* order_test.c - the order state machine: every cell of its table, then the races it exists for. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
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
    memset(&order, 0, sizeof(order));
    text_copy(order.client_order_id, sizeof(order.client_order_id), "r0001");
    order.side = SIDE_BUY;
    order.type = ORDER_LIMIT;
    order.tif = TIF_GTC;
    order.qty = decimal_int(10);
    order.price = decimal_int(100);
    order.trigger_price = order.stop = order.take = DECIMAL_NONE;
    order.pending_qty = order.pending_price = DECIMAL_NONE;
    order.known = known;
    order.filled_qty = decimal_int(filled[known]);
    order.notional = decimal_int(filled[known] * 100);
    order.fees = order.inferred_qty = order.inferred_notional = DECIMAL_ZERO;
    order.expires_ns = TIME_NEVER;
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

/* ---- every cell ---- */

struct cell {
    enum report_kind kind;
    enum order_status known;
    unsigned pending; /* before */
    int change;
    enum order_status then;
    bool doubt; /* after */
};

#define CANCEL PENDING_CANCEL
#define REPLACE PENDING_REPLACE
#define ASKED (ORDER_CHANGED | ORDER_ASK)
#define ALERTED (ORDER_CHANGED | ORDER_ALERT)

/* The reports: a fill of 1, new terms of 12 at 101, a restatement to 8, a status of 5 filled at
 * 100, a bust of a trade of 2 and its correction to 1. The orders: see order_in. */
static const struct cell CELLS[] = {
    { REPORT_ACK, ORDER_PENDING_NEW, 0, ORDER_CHANGED, ORDER_NEW, false },
    { REPORT_ACK, ORDER_NEW, 0, ORDER_UNCHANGED, ORDER_NEW, false },
    { REPORT_ACK, ORDER_PARTIALLY_FILLED, 0, ORDER_UNCHANGED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_ACK, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_ACK, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_ACK, ORDER_REJECTED, 0, ORDER_ALERT, ORDER_REJECTED, false },
    { REPORT_ACK, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_FILL, ORDER_PENDING_NEW, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_FILL, ORDER_NEW, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_FILL, ORDER_PARTIALLY_FILLED, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_FILL, ORDER_FILLED, 0, SUSPECT, ORDER_FILLED, false },
    { REPORT_FILL, ORDER_CANCELED, 0, LATE, ORDER_CANCELED, false },
    { REPORT_FILL, ORDER_REJECTED, 0, SUSPECT, ORDER_REJECTED, false },
    { REPORT_FILL, ORDER_EXPIRED, 0, LATE, ORDER_EXPIRED, false },

    { REPORT_CANCELED, ORDER_PENDING_NEW, 0, ORDER_CHANGED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_NEW, CANCEL, ORDER_CHANGED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_NEW, 0, ALERTED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_PARTIALLY_FILLED, CANCEL, ORDER_CHANGED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_PARTIALLY_FILLED, 0, ALERTED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_CANCELED, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_CANCELED, ORDER_REJECTED, 0, ORDER_COUNTED, ORDER_REJECTED, false },
    { REPORT_CANCELED, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_EXPIRED, ORDER_PENDING_NEW, 0, ORDER_CHANGED, ORDER_EXPIRED, false },
    { REPORT_EXPIRED, ORDER_NEW, CANCEL, ORDER_CHANGED, ORDER_EXPIRED, false },
    { REPORT_EXPIRED, ORDER_NEW, 0, ALERTED, ORDER_EXPIRED, false },
    { REPORT_EXPIRED, ORDER_PARTIALLY_FILLED, CANCEL, ORDER_CHANGED, ORDER_EXPIRED, false },
    { REPORT_EXPIRED, ORDER_PARTIALLY_FILLED, 0, ALERTED, ORDER_EXPIRED, false },
    { REPORT_EXPIRED, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_EXPIRED, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_EXPIRED, ORDER_REJECTED, 0, ORDER_COUNTED, ORDER_REJECTED, false },
    { REPORT_EXPIRED, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_REJECTED, ORDER_PENDING_NEW, 0, ORDER_CHANGED, ORDER_REJECTED, false },
    { REPORT_REJECTED, ORDER_NEW, 0, ALERTED, ORDER_REJECTED, false },
    { REPORT_REJECTED, ORDER_PARTIALLY_FILLED, 0, ALERTED, ORDER_CANCELED, false },
    { REPORT_REJECTED, ORDER_FILLED, 0, ORDER_COUNTED, ORDER_FILLED, false },
    { REPORT_REJECTED, ORDER_CANCELED, 0, ORDER_COUNTED, ORDER_CANCELED, false },
    { REPORT_REJECTED, ORDER_REJECTED, 0, ORDER_UNCHANGED, ORDER_REJECTED, false },
    { REPORT_REJECTED, ORDER_EXPIRED, 0, ORDER_COUNTED, ORDER_EXPIRED, false },

    { REPORT_CANCEL_REJECT, ORDER_PENDING_NEW, CANCEL, ORDER_COUNTED, ORDER_PENDING_NEW, false },
    { REPORT_CANCEL_REJECT, ORDER_NEW, CANCEL, ORDER_CHANGED, ORDER_NEW, false },
    { REPORT_CANCEL_REJECT, ORDER_NEW, 0, ORDER_UNCHANGED, ORDER_NEW, false },
    { REPORT_CANCEL_REJECT, ORDER_PARTIALLY_FILLED, CANCEL, ORDER_CHANGED, ORDER_PARTIALLY_FILLED,
      false },
    { REPORT_CANCEL_REJECT, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_CANCEL_REJECT, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_CANCEL_REJECT, ORDER_REJECTED, 0, ORDER_UNCHANGED, ORDER_REJECTED, false },
    { REPORT_CANCEL_REJECT, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_REPLACED, ORDER_PENDING_NEW, REPLACE, ORDER_COUNTED, ORDER_PENDING_NEW, false },
    { REPORT_REPLACED, ORDER_NEW, REPLACE, ORDER_CHANGED, ORDER_NEW, false },
    { REPORT_REPLACED, ORDER_NEW, 0, ALERTED, ORDER_NEW, false },
    { REPORT_REPLACED, ORDER_PARTIALLY_FILLED, REPLACE, ORDER_CHANGED, ORDER_PARTIALLY_FILLED,
      false },
    { REPORT_REPLACED, ORDER_PARTIALLY_FILLED, 0, ALERTED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_REPLACED, ORDER_FILLED, REPLACE, ORDER_CHANGED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_REPLACED, ORDER_FILLED, 0, ORDER_COUNTED | ORDER_ALERT, ORDER_FILLED, false },
    { REPORT_REPLACED, ORDER_CANCELED, 0, ORDER_COUNTED, ORDER_CANCELED, false },
    { REPORT_REPLACED, ORDER_REJECTED, 0, ORDER_COUNTED, ORDER_REJECTED, false },
    { REPORT_REPLACED, ORDER_EXPIRED, 0, ORDER_COUNTED, ORDER_EXPIRED, false },

    { REPORT_REPLACE_REJECT, ORDER_PENDING_NEW, REPLACE, ORDER_COUNTED, ORDER_PENDING_NEW, false },
    { REPORT_REPLACE_REJECT, ORDER_NEW, REPLACE, ORDER_CHANGED, ORDER_NEW, false },
    { REPORT_REPLACE_REJECT, ORDER_NEW, 0, ORDER_UNCHANGED, ORDER_NEW, false },
    { REPORT_REPLACE_REJECT, ORDER_PARTIALLY_FILLED, REPLACE, ORDER_CHANGED, ORDER_PARTIALLY_FILLED,
      false },
    { REPORT_REPLACE_REJECT, ORDER_FILLED, REPLACE, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_REPLACE_REJECT, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_REPLACE_REJECT, ORDER_REJECTED, 0, ORDER_UNCHANGED, ORDER_REJECTED, false },
    { REPORT_REPLACE_REJECT, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_RESTATED, ORDER_PENDING_NEW, 0, ALERTED, ORDER_PENDING_NEW, false },
    { REPORT_RESTATED, ORDER_NEW, 0, ALERTED, ORDER_NEW, false },
    { REPORT_RESTATED, ORDER_PARTIALLY_FILLED, 0, ALERTED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_RESTATED, ORDER_FILLED, 0, ORDER_ALERT | ORDER_ASK, ORDER_FILLED, false },
    { REPORT_RESTATED, ORDER_CANCELED, 0, ORDER_COUNTED, ORDER_CANCELED, false },
    { REPORT_RESTATED, ORDER_REJECTED, 0, ORDER_COUNTED, ORDER_REJECTED, false },
    { REPORT_RESTATED, ORDER_EXPIRED, 0, ORDER_COUNTED, ORDER_EXPIRED, false },

    { REPORT_STATUS, ORDER_PENDING_NEW, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_STATUS, ORDER_NEW, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_STATUS, ORDER_PARTIALLY_FILLED, 0, FILLED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_STATUS, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_STATUS, ORDER_CANCELED, 0, LATE, ORDER_CANCELED, false },
    { REPORT_STATUS, ORDER_REJECTED, 0, SUSPECT, ORDER_REJECTED, false },
    { REPORT_STATUS, ORDER_EXPIRED, 0, LATE, ORDER_EXPIRED, false },

    { REPORT_BUST, ORDER_PENDING_NEW, 0, ORDER_COUNTED, ORDER_PENDING_NEW, false },
    { REPORT_BUST, ORDER_NEW, 0, ORDER_COUNTED | ORDER_ALERT, ORDER_NEW, false },
    { REPORT_BUST, ORDER_PARTIALLY_FILLED, 0, LATE, ORDER_PARTIALLY_FILLED, false },
    { REPORT_BUST, ORDER_FILLED, 0, LATE | ORDER_ASK, ORDER_PARTIALLY_FILLED, true },
    { REPORT_BUST, ORDER_CANCELED, 0, LATE, ORDER_CANCELED, false },
    { REPORT_BUST, ORDER_REJECTED, 0, ORDER_COUNTED | ORDER_ALERT, ORDER_REJECTED, false },
    { REPORT_BUST, ORDER_EXPIRED, 0, LATE, ORDER_EXPIRED, false },

    { REPORT_CORRECT, ORDER_PENDING_NEW, 0, ORDER_COUNTED, ORDER_PENDING_NEW, false },
    { REPORT_CORRECT, ORDER_NEW, 0, ORDER_COUNTED | ORDER_ALERT, ORDER_NEW, false },
    { REPORT_CORRECT, ORDER_PARTIALLY_FILLED, 0, LATE, ORDER_PARTIALLY_FILLED, false },
    { REPORT_CORRECT, ORDER_FILLED, 0, LATE | ORDER_ASK, ORDER_PARTIALLY_FILLED, true },
    { REPORT_CORRECT, ORDER_CANCELED, 0, LATE, ORDER_CANCELED, false },
    { REPORT_CORRECT, ORDER_REJECTED, 0, ORDER_COUNTED | ORDER_ALERT, ORDER_REJECTED, false },
    { REPORT_CORRECT, ORDER_EXPIRED, 0, LATE, ORDER_EXPIRED, false },

    { REPORT_NOT_FOUND, ORDER_PENDING_NEW, 0, ASKED, ORDER_PENDING_NEW, true },
    { REPORT_NOT_FOUND, ORDER_NEW, 0, ASKED, ORDER_NEW, true },
    { REPORT_NOT_FOUND, ORDER_PARTIALLY_FILLED, 0, ASKED, ORDER_PARTIALLY_FILLED, true },
    { REPORT_NOT_FOUND, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_NOT_FOUND, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_NOT_FOUND, ORDER_REJECTED, 0, ORDER_UNCHANGED, ORDER_REJECTED, false },
    { REPORT_NOT_FOUND, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },

    { REPORT_DOUBT, ORDER_PENDING_NEW, 0, ASKED, ORDER_PENDING_NEW, true },
    { REPORT_DOUBT, ORDER_NEW, 0, ORDER_UNCHANGED, ORDER_NEW, false },
    { REPORT_DOUBT, ORDER_NEW, CANCEL, ASKED, ORDER_NEW, true },
    { REPORT_DOUBT, ORDER_PARTIALLY_FILLED, 0, ORDER_UNCHANGED, ORDER_PARTIALLY_FILLED, false },
    { REPORT_DOUBT, ORDER_PARTIALLY_FILLED, REPLACE, ASKED, ORDER_PARTIALLY_FILLED, true },
    { REPORT_DOUBT, ORDER_FILLED, 0, ORDER_UNCHANGED, ORDER_FILLED, false },
    { REPORT_DOUBT, ORDER_CANCELED, 0, ORDER_UNCHANGED, ORDER_CANCELED, false },
    { REPORT_DOUBT, ORDER_REJECTED, 0, ORDER_UNCHANGED, ORDER_REJECTED, false },
    { REPORT_DOUBT, ORDER_EXPIRED, 0, ORDER_UNCHANGED, ORDER_EXPIRED, false },
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

static bool cell_holds(const struct cell *cell)
{
    struct order order = order_in(cell->known);
    order.pending = cell->pending;
    struct order before;
    memcpy(&before, &order, sizeof(order));

    int change = apply(&order, cell_report(cell->kind));
    bool untouched = memcmp(&before, &order, sizeof(order)) == 0;
    bool holds = change == cell->change && order.known == cell->then &&
                 order.doubt == cell->doubt && untouched == !(change & ORDER_CHANGED);
    if (!holds)
        print_error("%s in %s (pending %u): change %d not %d, then %s not %s, doubt %d, %s\n",
                    report_kind_name(cell->kind), order_status_name(cell->known), cell->pending,
                    change, cell->change, order_status_name(order.known),
                    order_status_name(cell->then), order.doubt,
                    untouched ? "untouched" : "touched");
    return holds;
}

/* The table is the specification: each of its cells has at least one line above. */
static void every_cell_of_the_table_does_what_it_says(void **state)
{
    (void)state;
    bool told[KINDS][STATUSES] = { { false } };
    int wrong = 0;
    for (size_t i = 0; i < ARRAY_SIZE(CELLS); i++) {
        told[CELLS[i].kind][CELLS[i].known] = true;
        wrong += !cell_holds(&CELLS[i]);
    }
    assert_int_equal(wrong, 0);
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t status = 0; status < STATUSES; status++)
            assert_true(told[kind][status]);
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
        assert_int_equal(apply(&order, fill_of("0", "100")), ORDER_COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, fill_of("-1", "100")), ORDER_COUNTED | ORDER_ALERT);
        assert_int_equal(apply(&order, none), ORDER_COUNTED | ORDER_ALERT);
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
    assert_int_equal(apply(&order, ack), ORDER_ALERT | ORDER_CHANGED);
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

/* A filled order comes back for a replace that was asked for, or when its trades were undone. */
static bool may_reopen(const struct order *before, const struct order *after,
                       const struct report *report)
{
    if (report->kind == REPORT_REPLACED)
        return before->pending & PENDING_REPLACE;
    return (report->kind == REPORT_BUST || report->kind == REPORT_CORRECT) && after->doubt;
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
        cmocka_unit_test(every_cell_of_the_table_does_what_it_says),
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
        cmocka_unit_test(our_own_mistakes_stop_the_program),
        cmocka_unit_test(the_public_status_is_derived_from_the_three_facts),
        cmocka_unit_test(only_open_orders_have_a_remaining_quantity),
        cmocka_unit_test(the_names_are_those_of_the_contract),
        cmocka_unit_test(an_unknown_word_is_no_type_and_no_tif),
        cmocka_unit_test(no_conversation_breaks_an_invariant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
