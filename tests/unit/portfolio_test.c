/* portfolio_test.c - positions and round trips against values computed by hand, then at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/base/text.h"
#include "runtime/domain/portfolio.h"

static const int64_t HOUR = 3600 * NS_PER_SECOND;

static struct fill fill_of(const char *qty, const char *price, const char *fee)
{
    struct fill fill = { .qty = decimal_text(qty),
                         .price = decimal_text(price),
                         .fee = decimal_text(fee) };
    text_copy(fill.exec_id, sizeof(fill.exec_id), "e-1");
    return fill;
}

static void assert_decimal(decimal found, const char *expected)
{
    char text[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(found, text), expected);
}

static void assert_equal(decimal a, decimal b)
{
    char text_a[DECIMAL_TEXT_MAX], text_b[DECIMAL_TEXT_MAX];
    assert_string_equal(decimal_format(a, text_a), decimal_format(b, text_b));
}

/* Books a fill with fee 0.5 and checks what it earned and what is held after it. */
static void book(struct position *position, enum order_side side, const char *qty,
                 const char *price, const char *multiplier, const char *earned, const char *held,
                 const char *cost)
{
    struct fill fill = fill_of(qty, price, "0.5");
    struct error err = { 0 };
    decimal realized = DECIMAL_NONE;
    assert_int_equal(
        position_apply(position, side, &fill, decimal_text(multiplier), &realized, &err), 0);
    assert_decimal(realized, earned);
    assert_decimal(position->qty, held);
    assert_decimal(position->cost, cost);
}

/* ---- positions ---- */

static void a_new_position_is_flat_and_has_no_average_price(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    assert_decimal(position.qty, "0");
    assert_decimal(position.cost, "0");
    assert_decimal(position.funding, "0");
    assert_false(decimal_valid(position_avg_price(&position, decimal_int(1))));
    assert_decimal(position_unrealized(&position, decimal_int(100), decimal_int(1)), "0");
    assert_decimal(position_value(&position, decimal_int(100), decimal_int(1)), "0");
}

static void a_long_position_averages_in_and_realizes_on_the_way_out(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_BUY, "2", "100", "1", "0", "2", "200");
    book(&position, SIDE_BUY, "1", "103", "1", "0", "3", "303");
    assert_decimal(position_avg_price(&position, decimal_int(1)), "101");
    book(&position, SIDE_SELL, "1", "105", "1", "4", "2", "202");
    assert_decimal(position_avg_price(&position, decimal_int(1)), "101");
    assert_decimal(position_unrealized(&position, decimal_int(100), decimal_int(1)), "-2");
    book(&position, SIDE_SELL, "2", "99", "1", "-4", "0", "0");
    assert_decimal(position.realized_pnl, "0");
    assert_decimal(position.fees, "2"); /* beside the gross result, never in it */
}

/* A short's cost is what selling it brought in, so it is negative; a contract is worth ten units.
 */
static void a_short_position_earns_when_the_price_falls(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_SELL, "3", "100", "10", "0", "-3", "-3000");
    book(&position, SIDE_BUY, "1", "90", "10", "100", "-2", "-2000");
    assert_decimal(position_avg_price(&position, decimal_int(10)), "100");
    assert_decimal(position_value(&position, decimal_int(95), decimal_int(10)), "-1900");
    assert_decimal(position_unrealized(&position, decimal_int(95), decimal_int(10)), "100");
    book(&position, SIDE_BUY, "2", "105", "10", "-100", "0", "0");
}

static void a_flip_closes_the_old_side_and_opens_the_new_at_the_fill_price(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_BUY, "2", "100", "1", "0", "2", "200");
    book(&position, SIDE_SELL, "5", "110", "1", "20", "-3", "-330");
    assert_decimal(position_avg_price(&position, decimal_int(1)), "110");
    book(&position, SIDE_BUY, "4", "100", "1", "30", "1", "100");
}

/* 301 / 3 has no last digit. What one close rounds off stays in the rest: the three results add up
 * to the 2 that were earned, which three averages of 18 digits would miss. */
static void partial_closes_round_and_still_add_up(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_BUY, "1", "100", "1", "0", "1", "100");
    book(&position, SIDE_BUY, "2", "100.5", "1", "0", "3", "301");
    assert_decimal(position_avg_price(&position, decimal_int(1)), "100.333333333333333333");
    book(&position, SIDE_SELL, "1", "101", "1", "0.666666666666666667", "2",
         "200.666666666666666667");
    book(&position, SIDE_SELL, "1", "101", "1", "0.666666666666666666", "1",
         "100.333333333333333333");
    book(&position, SIDE_SELL, "1", "101", "1", "0.666666666666666667", "0", "0");
    assert_decimal(position.realized_pnl, "2");
}

/* Released cost times quantity needs more than 128 bits here; a halt of the instrument because of
 * our own intermediate result would be our fault, not the market's. */
static void a_partial_close_of_a_huge_position_in_a_tiny_coin_fits(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_BUY, "70000000000007", "0.00001234", "1", "0", "70000000000007",
         "863800000.00008638");
    book(&position, SIDE_BUY, "3", "0.00001235", "1", "0", "70000000000010", "863800000.00012343");
    book(&position, SIDE_SELL, "30000000000001", "0.00001234", "1", "-0.000000012857142857",
         "40000000000009", "493600000.000111077142857143");
    book(&position, SIDE_SELL, "10000000000001", "0.00001234", "1", "-0.000000004285714286",
         "30000000000008", "370200000.000098732857142857");
}

/* 20 April 2020: crude oil settled at -37.63. */
static void prices_below_zero_are_prices(void **state)
{
    (void)state;
    struct position position;
    position_init(&position);
    book(&position, SIDE_BUY, "2", "-37.63", "1000", "0", "2", "-75260");
    assert_decimal(position_avg_price(&position, decimal_int(1000)), "-37.63");
    assert_decimal(position_unrealized(&position, decimal_int(10), decimal_int(1000)), "95260");
    book(&position, SIDE_SELL, "1", "10", "1000", "47630", "1", "-37630");
    book(&position, SIDE_SELL, "1", "-40", "1000", "-2370", "0", "0");
}

/* A wrapped sum would be a wrong position: the last right one stays, and the caller halts. */
static void a_fill_too_large_to_add_leaves_the_position_as_it_was(void **state)
{
    (void)state;
    static const char *const huge[][3] = {
        { "1e38", "0.00000001", "0" },
        { "1e20", "1e20", "0" },
        { "1", "1.6e38", "0" },
        { "1", "1", "1e38" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(huge); i++) {
        struct position position, before;
        memset(&position, 0, sizeof(position));
        position_init(&position);
        position.qty = position.cost = position.fees = decimal_text("1e38");
        memcpy(&before, &position, sizeof(before));
        struct fill fill = fill_of(huge[i][0], huge[i][1], huge[i][2]);
        struct error err = { 0 };
        decimal realized = decimal_int(7);
        assert_int_equal(
            position_apply(&position, SIDE_BUY, &fill, decimal_int(1), &realized, &err),
            ERROR_RANGE);
        assert_memory_equal(&position, &before, sizeof(before));
        assert_decimal(realized, "7");
        assert_string_equal(err.message, "fill e-1 is too large to add to the position");
    }
}

static void a_result_too_large_to_add_leaves_the_position_as_it_was(void **state)
{
    (void)state;
    struct position position;
    struct fill fill = fill_of("1", "1e38", "0");
    struct error err = { 0 };
    position_init(&position);
    position.qty = position.cost = decimal_int(1);
    position.realized_pnl = decimal_text("1e38");
    assert_int_equal(position_apply(&position, SIDE_SELL, &fill, decimal_int(1), NULL, &err),
                     ERROR_RANGE);
    assert_decimal(position.qty, "1");
}

static void what_a_fill_earned_need_not_be_asked_for(void **state)
{
    (void)state;
    struct position position;
    struct fill fill = fill_of("1", "100", "0");
    struct error err = { 0 };
    position_init(&position);
    assert_int_equal(position_apply(&position, SIDE_BUY, &fill, decimal_int(1), NULL, &err), 0);
    assert_decimal(position.qty, "1");
}

/* ---- reversals ---- */

static struct fill reversal_of(struct fill fill)
{
    fill.notional = fill_notional(&fill);
    fill.kind = FILL_REVERSAL;
    return fill;
}

/* Books it on its order's side; a reversal moves the other way. */
static void book_kind(struct position *position, enum order_side side, struct fill fill,
                      const char *earned, const char *held, const char *cost, const char *fees)
{
    struct error err = { 0 };
    decimal realized = DECIMAL_NONE;
    assert_int_equal(
        position_apply(position, fill_side(side, &fill), &fill, decimal_int(1), &realized, &err),
        0);
    assert_decimal(realized, earned);
    assert_decimal(position->qty, held);
    assert_decimal(position->cost, cost);
    assert_decimal(position->fees, fees);
}

/* 100 held at 50; a sum told 10 more at 100, the trade says 100.1. Nothing was sold: closing the
 * inferred part at the average cost would show a profit of 454. */
static void a_trade_in_place_of_an_inferred_fill_earns_nothing(void **state)
{
    (void)state;
    struct position position;
    struct fill inferred = fill_of("10", "100", "0");
    inferred.kind = FILL_INFERRED;
    inferred.notional = decimal_int(1000);
    position_init(&position);
    book_kind(&position, SIDE_BUY, fill_of("100", "50", "1"), "0", "100", "5000", "1");
    book_kind(&position, SIDE_BUY, inferred, "0", "110", "6000", "1");
    book_kind(&position, SIDE_BUY, reversal_of(inferred), "0", "100", "5000", "1");
    book_kind(&position, SIDE_BUY, fill_of("10", "100.1", "0.2"), "0", "110", "6001", "1.2");

    position_init(&position); /* the same, short */
    book_kind(&position, SIDE_SELL, fill_of("100", "50", "0"), "0", "-100", "-5000", "0");
    book_kind(&position, SIDE_SELL, inferred, "0", "-110", "-6000", "0");
    book_kind(&position, SIDE_SELL, reversal_of(inferred), "0", "-100", "-5000", "0");
}

/* The sale that earned 100 never was: what it had cost comes back, and the 100 go. */
static void a_busted_close_takes_back_what_it_earned(void **state)
{
    (void)state;
    struct position position;
    struct fill sale = fill_of("2", "100", "0.3");
    position_init(&position);
    book_kind(&position, SIDE_BUY, fill_of("10", "50", "0"), "0", "10", "500", "0");
    book_kind(&position, SIDE_SELL, sale, "100", "8", "400", "0.3");
    book_kind(&position, SIDE_SELL, reversal_of(sale), "-100", "10", "500", "0");
}

/* Flat costs nothing: what the reversal is worth and what was left of the cost may differ. */
static void a_reversal_to_flat_realizes_the_rest(void **state)
{
    (void)state;
    struct position position;
    struct fill dear = fill_of("5", "110", "0");
    position_init(&position);
    book_kind(&position, SIDE_BUY, fill_of("5", "90", "0"), "0", "5", "450", "0");
    book_kind(&position, SIDE_BUY, dear, "0", "10", "1000", "0");
    book_kind(&position, SIDE_SELL, fill_of("5", "100", "0"), "0", "5", "500", "0");
    book_kind(&position, SIDE_BUY, reversal_of(dear), "50", "0", "0", "0"); /* sold 5 at 100, */
    assert_decimal(position.realized_pnl, "50");                            /* had cost 90 */
}

/* Bought 5 and sold 5; the purchase was busted: what was sold is short. */
static void a_busted_entry_after_its_exit_leaves_the_exit_open(void **state)
{
    (void)state;
    struct position position;
    struct fill entry = fill_of("5", "90", "0");
    position_init(&position);
    book_kind(&position, SIDE_BUY, entry, "0", "5", "450", "0");
    book_kind(&position, SIDE_SELL, fill_of("3", "100", "0"), "30", "2", "180", "0");
    book_kind(&position, SIDE_BUY, reversal_of(entry), "0", "-3", "-270", "0");
}

/* A share of 10^38 that has no end does not fit, whatever is rounded. */
static void a_share_too_large_to_release_leaves_the_position_as_it_was(void **state)
{
    (void)state;
    struct position position;
    struct fill fill = fill_of("1.23456789", "1", "0");
    struct error err = { 0 };
    position_init(&position);
    position.qty = decimal_int(2);
    position.cost = decimal_text("80000000000000000000000000000000000002");
    assert_int_equal(position_apply(&position, SIDE_SELL, &fill, decimal_int(1), NULL, &err),
                     ERROR_RANGE);
    assert_decimal(position.qty, "2");
}

/* ---- round trips ---- */

static bool trade(struct trip *trip, const char *before, enum order_side side, struct fill fill,
                  const char *tag, int hour, struct trip *done)
{
    return trip_apply(trip, decimal_text(before), side, &fill, decimal_int(2), tag, hour * HOUR,
                      (uint64_t)hour * 60, done);
}

static void a_trip_runs_from_flat_to_flat(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    assert_false(trade(&trip, "0", SIDE_BUY, fill_of("2", "100", "0.2"), "entry", 1, &done));
    assert_true(trip.open);
    assert_false(trade(&trip, "2", SIDE_BUY, fill_of("1", "103", "0.1"), "more", 2, &done));
    assert_false(trade(&trip, "3", SIDE_SELL, fill_of("1", "105", "0.1"), "exit", 3, &done));
    assert_true(trade(&trip, "2", SIDE_SELL, fill_of("2", "110", "-0.3"), "exit", 5, &done));

    assert_false(done.open);
    assert_int_equal(done.opened_ns, 1 * HOUR);
    assert_int_equal(done.closed_ns, 5 * HOUR);
    assert_int_equal(done.bars_held, 240);
    assert_int_equal(done.side, SIDE_BUY);
    assert_string_equal(done.tag, "entry");
    assert_decimal(done.qty, "3");
    assert_decimal(done.exit_qty, "3");
    assert_decimal(done.entry_notional, "606"); /* (200 + 103) * 2 */
    assert_decimal(done.exit_notional, "650");  /* (105 + 220) * 2 */
    assert_decimal(done.gross_pnl, "44");
    assert_decimal(done.fees, "0.1"); /* 0.4 paid, a rebate of 0.3 */
    assert_false(trip.open);
}

static void a_short_trip_earns_what_it_sold_above_what_it_bought(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    assert_false(trade(&trip, "0", SIDE_SELL, fill_of("3", "100", "0"), NULL, 1, &done));
    assert_true(trade(&trip, "-3", SIDE_BUY, fill_of("3", "90", "0"), NULL, 1, &done));
    assert_int_equal(done.side, SIDE_SELL);
    assert_decimal(done.gross_pnl, "60");
    assert_int_equal(done.bars_held, 0);
    assert_string_equal(done.tag, "");
}

/* One fill belongs to two trips: its fee is split by quantity, to the last digit. */
static void a_flip_ends_one_trip_and_begins_the_next(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    assert_false(trade(&trip, "0", SIDE_BUY, fill_of("1", "100", "0.1"), "long", 1, &done));
    assert_true(trade(&trip, "1", SIDE_SELL, fill_of("3", "110", "1"), "short", 2, &done));
    assert_string_equal(done.tag, "long");
    assert_decimal(done.exit_qty, "1");
    assert_decimal(done.gross_pnl, "20");
    assert_decimal(done.fees, "0.433333333333333333");

    assert_true(trip.open);
    assert_int_equal(trip.side, SIDE_SELL);
    assert_int_equal(trip.opened_ns, 2 * HOUR);
    assert_string_equal(trip.tag, "short");
    assert_decimal(trip.qty, "2");
    assert_decimal(trip.entry_notional, "440");
    assert_decimal(trip.fees, "0.666666666666666667");
    assert_true(trade(&trip, "-2", SIDE_BUY, fill_of("2", "100", "0"), "", 4, &done));
    assert_int_equal(done.bars_held, 120);
    assert_decimal(done.gross_pnl, "40");
}

/* A position taken over at a start has no entry we saw: a result for it would be invented. */
static void a_position_taken_over_makes_no_trip_until_it_is_flat(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    assert_false(trade(&trip, "5", SIDE_BUY, fill_of("1", "100", "0"), "", 1, &done));
    assert_false(trade(&trip, "6", SIDE_SELL, fill_of("2", "100", "0"), "", 1, &done));
    assert_false(trip.open);
    assert_false(trade(&trip, "4", SIDE_SELL, fill_of("6", "100", "0"), "flip", 1, &done));
    assert_true(trip.open);
    assert_decimal(trip.qty, "2");
    assert_true(trade(&trip, "-2", SIDE_BUY, fill_of("2", "99", "0"), "", 2, &done));
    assert_decimal(done.gross_pnl, "4");
}

static struct fill undo(const char *qty, const char *price, const char *fee)
{
    return reversal_of(fill_of(qty, price, fee));
}

/* Its entry is smaller than it was told: quantity, worth and fee. */
static void a_busted_entry_leaves_the_trip_as_if_it_had_not_been(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    trade(&trip, "0", SIDE_BUY, fill_of("2", "100", "0.2"), "entry", 1, &done);
    trade(&trip, "2", SIDE_BUY, fill_of("3", "103", "0.3"), "more", 1, &done);
    assert_false(trade(&trip, "5", SIDE_SELL, undo("3", "103", "0.3"), "more", 2, &done));
    assert_decimal(trip.qty, "2");
    assert_decimal(trip.entry_notional, "400");
    assert_decimal(trip.exit_qty, "0");
    assert_decimal(trip.fees, "0.2");
    assert_false(trade(&trip, "2", SIDE_SELL, undo("2", "100", "0.2"), "entry", 3, &done));
    assert_false(trip.open); /* nothing was ever traded */
}

static void a_busted_exit_leaves_the_trip_as_if_it_had_not_been(void **state)
{
    (void)state;
    struct trip trip, done;
    trip_init(&trip);
    trade(&trip, "0", SIDE_BUY, fill_of("5", "100", "0.2"), "", 1, &done);
    trade(&trip, "5", SIDE_SELL, fill_of("2", "110", "0.1"), "", 1, &done);
    assert_false(trade(&trip, "3", SIDE_BUY, undo("2", "110", "0.1"), "", 2, &done));
    assert_decimal(trip.qty, "5");
    assert_decimal(trip.exit_qty, "0");
    assert_decimal(trip.exit_notional, "0");
    assert_decimal(trip.fees, "0.2");
    /* the exit of a trip that has ended: this trip never had it, so it is an entry */
    assert_false(trade(&trip, "5", SIDE_BUY, undo("2", "99", "0.1"), "", 2, &done));
    assert_decimal(trip.qty, "7");
    assert_decimal(trip.entry_notional, "1396"); /* (500 + 198) * 2 */
    assert_decimal(trip.fees, "0.1");
}

/* What a fill of an earlier trip was worth, or cost in fees, is part of the result of this one. */
static void a_busted_fill_of_an_earlier_trip_ends_this_one_as_an_exit(void **state)
{
    (void)state;
    static const struct {
        const char *price, *fee, *pnl, *fees;
    } cases[] = {
        { "90", "0.2", "-40", "0" },  /* 2 * 2 * (90 - 100) */
        { "100", "0.1", "0", "0.1" }, /* the same worth, another fee */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct trip trip, done;
        trip_init(&trip);
        trade(&trip, "0", SIDE_BUY, fill_of("2", "100", "0.2"), "", 1, &done);
        struct fill fill = undo("2", cases[i].price, cases[i].fee);
        assert_true(trade(&trip, "2", SIDE_SELL, fill, "", 2, &done));
        assert_decimal(done.qty, "2");
        assert_decimal(done.exit_qty, "2");
        assert_decimal(done.gross_pnl, cases[i].pnl);
        assert_decimal(done.fees, cases[i].fees);
    }
    struct trip trip, done; /* its exit was taken back at another price: worth is left */
    trip_init(&trip);
    trade(&trip, "0", SIDE_BUY, fill_of("2", "100", "0"), "", 1, &done);
    trade(&trip, "2", SIDE_SELL, fill_of("1", "105", "0"), "", 1, &done);
    trade(&trip, "1", SIDE_BUY, undo("1", "103", "0"), "", 1, &done);
    assert_true(trade(&trip, "2", SIDE_SELL, undo("2", "100", "0"), "", 1, &done));
    assert_decimal(done.gross_pnl, "4");
}

/* What stands now instead of what was told: the open trip is worth what the truth says. */
static void a_correction_changes_the_worth_of_the_open_trip(void **state)
{
    (void)state;
    struct trip trip, done;
    struct fill was = undo("2", "100", "0.1");
    struct fill is = fill_of("2", "101", "0.3");
    trip_init(&trip);
    trip_correct(&trip, SIDE_BUY, &was, &is, decimal_int(2), decimal_int(2)); /* ended: no change */
    assert_decimal(trip.entry_notional, "0");
    trade(&trip, "0", SIDE_BUY, fill_of("5", "100", "0.1"), "", 1, &done);
    trip_correct(&trip, SIDE_BUY, &was, &is, decimal_int(2), decimal_int(2));
    assert_decimal(trip.entry_notional, "1004");
    assert_decimal(trip.fees, "0.3");
    trade(&trip, "5", SIDE_SELL, fill_of("3", "100", "0"), "", 1, &done);
    trip_correct(&trip, SIDE_SELL, &was, &is, decimal_int(1), decimal_int(2)); /* of half of it */
    assert_decimal(trip.exit_notional, "602");
    assert_decimal(trip.entry_notional, "1004");
    assert_decimal(trip.qty, "5");
}

/* ---- at random ---- */

/* Two ledgers of the same fills: ours, and one that only counts cash. */
struct run {
    struct position position;
    struct trip trip;
    decimal cash;     /* sells less buys */
    decimal earned;   /* sum of what position_apply answered */
    decimal trip_pnl; /* sum over ended trips */
    decimal trip_fees;
    decimal multiplier;
};

static void run_begin(struct run *run, struct random *random)
{
    static const char *const multipliers[] = { "1", "10", "0.001", "12.5" };
    position_init(&run->position);
    trip_init(&run->trip);
    run->cash = run->earned = run->trip_pnl = run->trip_fees = DECIMAL_ZERO;
    run->multiplier = decimal_text(multipliers[random_below(random, ARRAY_SIZE(multipliers))]);
}

static void run_fill(struct run *run, enum order_side side, const struct fill *fill)
{
    struct error err = { 0 };
    struct trip done;
    decimal earned;
    decimal worth = decimal_mul(fill_notional(fill), run->multiplier);
    decimal paid = side == SIDE_BUY ? worth : decimal_neg(worth);

    if (trip_apply(&run->trip, run->position.qty, side, fill, run->multiplier, "", 0, 0, &done)) {
        run->trip_pnl = decimal_add(run->trip_pnl, done.gross_pnl);
        run->trip_fees = decimal_add(run->trip_fees, done.fees);
        assert_equal(done.qty, done.exit_qty);
    }
    assert_int_equal(position_apply(&run->position, side, fill, run->multiplier, &earned, &err), 0);
    run->cash = decimal_sub(run->cash, paid);
    run->earned = decimal_add(run->earned, earned);
}

static decimal any_decimal(struct random *random, uint64_t bound, int digits)
{
    return decimal_make(1 + (int64_t)random_below(random, bound),
                        (int)random_below(random, (uint64_t)digits + 1));
}

static void run_random_fill(struct run *run, struct random *random)
{
    struct fill fill = { .qty = any_decimal(random, 1000000, 8),
                         .price = any_decimal(random, 10000000, 6),
                         .fee = any_decimal(random, 1000, 6) };
    run_fill(run, random_below(random, 2) ? SIDE_BUY : SIDE_SELL, &fill);
}

static void run_close(struct run *run, struct random *random)
{
    bool is_long = decimal_sign(run->position.qty) > 0;
    struct fill fill = { .qty = decimal_abs(run->position.qty),
                         .price = any_decimal(random, 10000000, 6),
                         .fee = any_decimal(random, 1000, 6) };
    if (!decimal_is_zero(fill.qty))
        run_fill(run, is_long ? SIDE_SELL : SIDE_BUY, &fill);
}

/* What was earned and what is open, at any mark, is the cash that moved and what is held at that
 * mark: to the last digit, whatever was rounded on the way. */
static void assert_adds_up(const struct run *run, struct random *random)
{
    decimal mark = any_decimal(random, 10000000, 6);
    decimal open = position_unrealized(&run->position, mark, run->multiplier);
    decimal held = position_value(&run->position, mark, run->multiplier);
    assert_true(decimal_valid(open));
    assert_equal(decimal_add(run->position.realized_pnl, open), decimal_add(run->cash, held));
    assert_equal(run->position.realized_pnl, run->earned);
}

static void assert_flat_and_settled(const struct run *run)
{
    assert_decimal(run->position.qty, "0");
    assert_decimal(run->position.cost, "0");
    assert_equal(run->position.realized_pnl, run->cash);
    assert_equal(run->trip_pnl, run->cash);
    assert_equal(run->trip_fees, run->position.fees);
    assert_false(run->trip.open);
}

static void profit_is_the_cash_that_moved_and_flat_costs_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct random random;
        struct run run;
        random_seed(&random, seed);
        run_begin(&run, &random);
        for (int i = 0; i < 100; i++) {
            run_random_fill(&run, &random);
            assert_adds_up(&run, &random);
            if (random_below(&random, 20) == 0) {
                run_close(&run, &random);
                assert_flat_and_settled(&run);
            }
        }
        run_close(&run, &random);
        assert_flat_and_settled(&run);
    }
}

/* A model too simple to be wrong: the list of what stands, added up in integers. Quantities are in
 * thousandths, worths in 1e-5, fees in 1e-4. */
#define STANDING_MAX 128
struct model {
    struct standing {
        enum order_side side;
        struct fill fill;
        int64_t qty, worth, fee;
    } list[STANDING_MAX];
    size_t count;
};

static void assert_is_the_sum(const struct run *run, const struct model *model)
{
    int128 qty = 0, cash = 0, fees = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct standing *one = &model->list[i];
        qty += one->side * (int128)one->qty;
        cash -= one->side * (int128)one->worth;
        fees += one->fee;
    }
    const struct position *position = &run->position;
    assert_equal(position->qty, decimal_make((int64_t)qty, 3));
    assert_equal(position->fees, decimal_make((int64_t)fees, 4));
    assert_equal(decimal_sub(position->realized_pnl, position->cost),
                 decimal_mul(decimal_make((int64_t)cash, 5), run->multiplier));
    if (decimal_is_zero(position->qty))
        assert_decimal(position->cost, "0");
}

static struct standing draw_fill(struct random *random)
{
    struct standing one = { .side = random_below(random, 2) ? SIDE_BUY : SIDE_SELL,
                            .qty = 1 + (int64_t)random_below(random, 9000),
                            .fee = (int64_t)random_below(random, 200) - 50 };
    int64_t price = 9000 + (int64_t)random_below(random, 2000);
    bool is_inferred = random_below(random, 3) == 0;
    one.worth = one.qty * price + (is_inferred ? (int64_t)random_below(random, 999) : 0);
    one.fill = (struct fill){ .kind = is_inferred ? FILL_INFERRED : FILL_TRADE,
                              .qty = decimal_make(one.qty, 3),
                              .price = decimal_make(price, 2),
                              .notional = decimal_make(one.worth, 5),
                              .fee = decimal_make(one.fee, 4) };
    if (is_inferred)
        one.fill.price = decimal_div(one.fill.notional, one.fill.qty, 18, ROUND_HALF_EVEN);
    return one;
}

static void add_one(struct run *run, struct model *model, struct random *random)
{
    struct standing one = draw_fill(random);
    assert_true(model->count < STANDING_MAX);
    model->list[model->count++] = one;
    run_fill(run, one.side, &one.fill);
}

static void take_one_back(struct run *run, struct model *model, size_t at)
{
    struct standing one = model->list[at];
    struct fill fill = reversal_of(one.fill);
    model->list[at] = model->list[--model->count];
    run_fill(run, fill_side(one.side, &fill), &fill);
}

static void reversals_leave_what_the_standing_fills_add_up_to(void **state)
{
    (void)state;
    static struct model model;
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct random random;
        struct run run;
        random_seed(&random, seed);
        run_begin(&run, &random);
        model.count = 0;
        for (int i = 0; i < 60; i++) {
            if (model.count == 0 || random_below(&random, 5) < 3)
                add_one(&run, &model, &random);
            else
                take_one_back(&run, &model, random_below(&random, model.count));
            assert_is_the_sum(&run, &model);
        }
        while (model.count > 0) {
            take_one_back(&run, &model, random_below(&random, model.count));
            assert_is_the_sum(&run, &model);
        }
        assert_flat_and_settled(&run);
        assert_decimal(run.position.realized_pnl, "0");
        assert_decimal(run.position.fees, "0");
    }
}

/* 10^15, say of rupiahs: digits nobody has are given up, not the fill, and no sum is lost. */
static void a_cost_too_large_for_eighteen_digits_still_adds_up(void **state)
{
    (void)state;
    struct random random;
    struct run run;
    random_seed(&random, 1);
    run_begin(&run, &random);
    struct fill large = fill_of("12345678.12345678", "98765432.1", "0");
    struct fill odd = fill_of("3", "0.7", "0");
    struct fill part = fill_of("1.00000001", "98765433", "0");
    run_fill(&run, SIDE_BUY, &large);
    run_fill(&run, SIDE_BUY, &odd);
    for (int i = 0; i < 100; i++) {
        run_fill(&run, SIDE_SELL, &part);
        assert_adds_up(&run, &random);
    }
    run_close(&run, &random);
    assert_flat_and_settled(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_position_is_flat_and_has_no_average_price),
        cmocka_unit_test(a_long_position_averages_in_and_realizes_on_the_way_out),
        cmocka_unit_test(a_short_position_earns_when_the_price_falls),
        cmocka_unit_test(a_flip_closes_the_old_side_and_opens_the_new_at_the_fill_price),
        cmocka_unit_test(partial_closes_round_and_still_add_up),
        cmocka_unit_test(a_partial_close_of_a_huge_position_in_a_tiny_coin_fits),
        cmocka_unit_test(prices_below_zero_are_prices),
        cmocka_unit_test(a_fill_too_large_to_add_leaves_the_position_as_it_was),
        cmocka_unit_test(a_result_too_large_to_add_leaves_the_position_as_it_was),
        cmocka_unit_test(what_a_fill_earned_need_not_be_asked_for),
        cmocka_unit_test(a_trade_in_place_of_an_inferred_fill_earns_nothing),
        cmocka_unit_test(a_busted_close_takes_back_what_it_earned),
        cmocka_unit_test(a_reversal_to_flat_realizes_the_rest),
        cmocka_unit_test(a_busted_entry_after_its_exit_leaves_the_exit_open),
        cmocka_unit_test(a_share_too_large_to_release_leaves_the_position_as_it_was),
        cmocka_unit_test(a_busted_entry_leaves_the_trip_as_if_it_had_not_been),
        cmocka_unit_test(a_busted_exit_leaves_the_trip_as_if_it_had_not_been),
        cmocka_unit_test(a_busted_fill_of_an_earlier_trip_ends_this_one_as_an_exit),
        cmocka_unit_test(a_correction_changes_the_worth_of_the_open_trip),
        cmocka_unit_test(reversals_leave_what_the_standing_fills_add_up_to),
        cmocka_unit_test(a_trip_runs_from_flat_to_flat),
        cmocka_unit_test(a_short_trip_earns_what_it_sold_above_what_it_bought),
        cmocka_unit_test(a_flip_ends_one_trip_and_begins_the_next),
        cmocka_unit_test(a_position_taken_over_makes_no_trip_until_it_is_flat),
        cmocka_unit_test(a_cost_too_large_for_eighteen_digits_still_adds_up),
        cmocka_unit_test(profit_is_the_cash_that_moved_and_flat_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
