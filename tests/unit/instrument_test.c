/* instrument_test.c - what may be traded, and that each refusal says what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/text.h"
#include "runtime/domain/instrument.h"

static struct instrument instrument_named(const char *symbol)
{
    struct instrument instrument = {
        .venue = "sim",
        .tick_size = decimal_text("0.01"),
        .lot_size = decimal_text("0.00001"),
        .min_notional = decimal_text("5"),
        .multiplier = decimal_text("1"),
        .leverage = decimal_text("1"),
        .price_scale = 2,
        .qty_scale = 5,
        .origin = "sim",
    };
    text_copy(instrument.symbol, sizeof(instrument.symbol), symbol);
    return instrument;
}

static void set_decimal(decimal *field, const char *text)
{
    *field = *text ? decimal_text(text) : DECIMAL_NONE;
}

/* One list for a test: it is too large for the stack of a small thread. */
static int setup(void **state)
{
    *state = memory_new(sizeof(struct instruments));
    return 0;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static uint32_t add(struct instruments *instruments, struct instrument instrument)
{
    uint32_t index = INSTRUMENT_NONE;
    struct error err = { 0 };
    assert_int_equal(instruments_add(instruments, &instrument, &index, &err), 0);
    return index;
}

static void assert_refused(struct instruments *instruments, struct instrument instrument,
                           const char *message)
{
    uint32_t index = 77;
    uint32_t count = instruments->count;
    struct error err = { 0 };
    assert_int_equal(instruments_add(instruments, &instrument, &index, &err), ERROR_CONFIG);
    assert_string_equal(err.message, message);
    assert_int_equal(index, 77);
    assert_int_equal(instruments->count, count);
}

static void an_added_instrument_is_found_by_its_index(void **state)
{
    struct instruments *instruments = *state;
    assert_int_equal(add(instruments, instrument_named("BTC/USDT:USDT")), 0);
    assert_int_equal(add(instruments, instrument_named("ETH/USDT")), 1);
    assert_int_equal(instruments->count, 2);
    assert_string_equal(instruments->list[1].symbol, "ETH/USDT");
    assert_string_equal(instruments->list[1].origin, "sim");
    assert_int_equal(instruments_find(instruments, "ETH/USDT", "sim"), 1);
    assert_int_equal(instruments_find(instruments, "ETH/USDT", NULL), 1);
    assert_int_equal(instruments_find(instruments, "ETH/USDT", "binance"), INSTRUMENT_NONE);
    assert_int_equal(instruments_find(instruments, "ETH", NULL), INSTRUMENT_NONE);
}

/* The same name at two venues is two instruments, with their own books. */
static void a_symbol_is_known_once_at_each_venue(void **state)
{
    struct instruments *instruments = *state;
    struct instrument elsewhere = instrument_named("BTC/USDT");
    text_copy(elsewhere.venue, sizeof(elsewhere.venue), "kraken");
    assert_int_equal(add(instruments, instrument_named("BTC/USDT")), 0);
    assert_int_equal(add(instruments, elsewhere), 1);
    assert_int_equal(instruments_find(instruments, "BTC/USDT", "kraken"), 1);
    assert_refused(instruments, instrument_named("BTC/USDT"),
                   "instrument BTC/USDT: symbol: found it twice, allowed once at each venue");
}

static void the_currency_comes_from_the_symbol(void **state)
{
    static const char *const cases[][2] = {
        { "BTC/USDT:USDT", "USDT" },
        { "BTC/USD:BTC", "BTC" },
        { "BTC/USD:BTC-240628", "BTC" },
        { "BTC/USDT:USDT-240628-40000-C", "USDT" },
        { "ETH/EUR", "EUR" },
        { "AAPL", "USD" },
        { "BRK-B", "USD" },
    };
    struct instruments *instruments = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t index = add(instruments, instrument_named(cases[i][0]));
        assert_string_equal(instruments->list[index].currency, cases[i][1]);
    }
}

static void a_currency_that_is_given_stays(void **state)
{
    struct instruments *instruments = *state;
    struct instrument instrument = instrument_named("RELIANCE");
    text_copy(instrument.currency, sizeof(instrument.currency), "INR");
    assert_string_equal(instruments->list[add(instruments, instrument)].currency, "INR");
}

static void a_currency_that_cannot_be_read_is_refused(void **state)
{
    static const char *const symbols[] = { "BTC/", "BTC/USDT:", "BTC/ABCDEFGHIJKLM" };
    struct instruments *instruments = *state;
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        char message[200];
        snprintf(message, sizeof(message),
                 "instrument %s: currency: found none in the symbol, allowed 1 to 11 letters after "
                 "':' or '/', or its own field",
                 symbols[i]);
        assert_refused(instruments, instrument_named(symbols[i]), message);
    }
}

/* Dividing by 10^scale is exact where multiplying by its reciprocal is not. */
static void mantissas_become_doubles_with_one_rounding(void **state)
{
    struct instruments *instruments = *state;
    struct instrument instrument = instrument_named("BTC/USDT");
    instrument.qty_scale = 18;
    uint32_t index = add(instruments, instrument);
    const struct instrument *added = &instruments->list[index];
    assert_true(added->price_unit == 1e2);
    assert_true(added->qty_unit == 1e18);
    assert_true(instrument_price(added, 6543217) == 65432.17);
    assert_true(instrument_price(added, -3763) == -37.63);
    assert_true(instrument_qty(added, INT64_C(1500000000000000000)) == 1.5);
}

static void a_name_that_cannot_be_written_in_a_list_is_refused(void **state)
{
    static const char *const symbols[] = { "BTC USDT", "BTC,ETH", "BTC@sim", "BTC\x7f" };
    struct instruments *instruments = *state;
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
        char message[200];
        snprintf(message, sizeof(message),
                 "instrument %s: symbol: found \"%s\", allowed a name without blanks, ',' and '@', "
                 "for instance BTC/USDT:USDT",
                 symbols[i], symbols[i]);
        assert_refused(instruments, instrument_named(symbols[i]), message);
    }
    assert_refused(instruments, instrument_named(""),
                   "instrument (unnamed): symbol: found \"\", allowed a name without blanks, ',' "
                   "and '@', for instance BTC/USDT:USDT");
    struct instrument nowhere = instrument_named("BTC/USDT");
    nowhere.venue[0] = '\0';
    assert_refused(instruments, nowhere,
                   "instrument BTC/USDT: venue: found \"\", allowed the name of a venue, for "
                   "instance sim");
}

/* Each message names the field, what was found, and what is allowed. */
static void a_number_out_of_range_is_refused_by_name(void **state)
{
    static const struct {
        size_t field;
        const char *value;
        const char *message;
    } cases[] = {
        { offsetof(struct instrument, tick_size), "0",
          "tick_size: found 0, allowed a number above 0" },
        { offsetof(struct instrument, tick_size), "",
          "tick_size: found none, allowed a number above 0" },
        { offsetof(struct instrument, tick_size), "1e-19",
          "tick_size: found 0.0000000000000000001, allowed 18 digits after the point" },
        { offsetof(struct instrument, tick_size), "0.005",
          "price_scale: found 2, allowed 3 (the digits of tick_size) to 18" },
        { offsetof(struct instrument, lot_size), "-1",
          "lot_size: found -1, allowed a number above 0" },
        { offsetof(struct instrument, lot_size), "1e-6",
          "qty_scale: found 5, allowed 6 (the digits of lot_size) to 18" },
        { offsetof(struct instrument, min_notional), "-0.5",
          "min_notional: found -0.5, allowed 0 or a number above 0" },
        { offsetof(struct instrument, min_notional), "",
          "min_notional: found none, allowed 0 or a number above 0" },
        { offsetof(struct instrument, multiplier), "0",
          "multiplier: found 0, allowed a number above 0" },
        { offsetof(struct instrument, multiplier), "",
          "multiplier: found none, allowed a number above 0" },
        { offsetof(struct instrument, leverage), "0.99",
          "leverage: found 0.99, allowed 1 (no borrowing) or more" },
        { offsetof(struct instrument, leverage), "",
          "leverage: found none, allowed 1 (no borrowing) or more" },
    };
    struct instruments *instruments = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct instrument instrument = instrument_named("BTC/USDT");
        char message[200];
        set_decimal((decimal *)(void *)((char *)&instrument + cases[i].field), cases[i].value);
        snprintf(message, sizeof(message), "instrument BTC/USDT: %s", cases[i].message);
        assert_refused(instruments, instrument, message);
    }
}

static void a_scale_beyond_an_integers_digits_is_refused(void **state)
{
    struct instruments *instruments = *state;
    struct instrument instrument = instrument_named("BTC/USDT");
    instrument.price_scale = 19;
    assert_refused(instruments, instrument,
                   "instrument BTC/USDT: price_scale: found 19, allowed 2 (the digits of "
                   "tick_size) to 18");
}

static void a_tick_coarser_than_the_scale_and_no_minimum_are_fine(void **state)
{
    struct instruments *instruments = *state;
    struct instrument instrument = instrument_named("ES");
    instrument.tick_size = decimal_text("0.25");
    instrument.lot_size = decimal_int(1);
    instrument.min_notional = DECIMAL_ZERO;
    instrument.multiplier = decimal_int(50);
    instrument.leverage = decimal_int(20);
    instrument.price_scale = 4;
    instrument.qty_scale = 0;
    assert_true(instruments->list[add(instruments, instrument)].qty_unit == 1);
}

static void a_full_list_refuses_one_more(void **state)
{
    struct instruments *instruments = *state;
    for (int i = 0; i < INSTRUMENTS_MAX; i++) {
        char symbol[SYMBOL_MAX];
        snprintf(symbol, sizeof(symbol), "S%d", i);
        add(instruments, instrument_named(symbol));
    }
    assert_refused(instruments, instrument_named("BTC/USDT"),
                   "instrument BTC/USDT: found 256 others, allowed 256 in all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_added_instrument_is_found_by_its_index, setup, teardown),
        cmocka_unit_test_setup_teardown(a_symbol_is_known_once_at_each_venue, setup, teardown),
        cmocka_unit_test_setup_teardown(the_currency_comes_from_the_symbol, setup, teardown),
        cmocka_unit_test_setup_teardown(a_currency_that_is_given_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_currency_that_cannot_be_read_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(mantissas_become_doubles_with_one_rounding, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_cannot_be_written_in_a_list_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_number_out_of_range_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scale_beyond_an_integers_digits_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_tick_coarser_than_the_scale_and_no_minimum_are_fine,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_list_refuses_one_more, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
