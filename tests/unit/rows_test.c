/* rows_test.c - numbers and times as text, columns by name and shape, one row at a time. */
#include "tests/unit/research_fixture.h"

#include "runtime/base/decimal.h"
#include "runtime/research/layout.h"
#include "runtime/research/rows.h"

/* ---- numbers ---- */

static void assert_number(const char *text, int64_t mantissa, int scale)
{
    struct number number;
    assert_int_equal(number_parse(text, strlen(text), &number), NUMBER_FINE);
    int64_t found;
    assert_true(number_rescale(number, scale, &found));
    assert_true(found == mantissa);
}

static void numbers_are_exact(void **state)
{
    (void)state;
    assert_number("0", 0, 0);
    assert_number("43059.97", 4305997, 2);
    assert_number("007.50", 75, 1);
    assert_number("+1.5", 15, 1);
    assert_number("-1.5", -15, 1);
    assert_number("1e-05", 1, 5);
    assert_number("2.50E+3", 2500, 0);
    assert_number("0.00002853", 2853, 8);
    assert_number("123456789012345678", INT64_C(123456789012345678), 0);
    assert_number("0.12345678901234567", INT64_C(12345678901234567), 17);
    assert_number("9223372036854775807", INT64_MAX, 0);
    assert_number("1.00000000000000000000000000", 1, 0);
}

static void what_is_no_number_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = { "",      "NaN",  "nan", "inf",     "-Infinity", "1,000.5",
                                         "1_000", ".5",   "5.",  "1.2.3",   "0x10",      "1e",
                                         " 1",    "1 ",   "abc", "--1",     "1,5",       "null",
                                         "None",  "1e5x", "1d3", "\xc2\xb2" };
    struct number number;
    for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++)
        if (number_parse(TEXTS[i], strlen(TEXTS[i]), &number) != NUMBER_NONE)
            fail_msg("accepted \"%s\"", TEXTS[i]);
    assert_int_equal(number_parse("1\0002", 3, &number), NUMBER_NONE);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const TEXTS[] = { "9223372036854775808",
                                         "1e19",
                                         "1e-19",
                                         "1e-400",
                                         "1e999999999999",
                                         "0.1234567890123456789",
                                         "12345678901234567890123456789012345678901234567890" };
    struct number number;
    for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++)
        if (number_parse(TEXTS[i], strlen(TEXTS[i]), &number) != NUMBER_TOO_LONG)
            fail_msg("accepted \"%s\"", TEXTS[i]);
}

/* The fast path and decimal_parse are two implementations of one rule. */
static void the_fast_parser_agrees_with_the_decimal_one(void **state)
{
    (void)state;
    static const char ALPHABET[] = "0123456789..0001e-+";
    uint64_t seed = 7;
    for (int i = 0; i < 200000; i++) {
        char text[24];
        size_t length = 1 + hash64(seed, (uint64_t)i, 0) % 22;
        for (size_t k = 0; k < length; k++)
            text[k] = ALPHABET[hash64(seed, (uint64_t)i, k + 1) % (sizeof(ALPHABET) - 1)];
        struct number number;
        decimal slow;
        enum number_fault fault = number_parse(text, length, &number);
        int code = decimal_parse(text, length, &slow);
        assert_int_equal(fault == NUMBER_NONE, code == ERROR_DATA);
        if (fault == NUMBER_FINE)
            assert_int_equal(decimal_cmp(decimal_make(number.mantissa, number.scale), slow), 0);
    }
}

static void numbers_compare_across_scales(void **state)
{
    (void)state;
    struct number a = { .mantissa = 150, .scale = 2 }, b = { .mantissa = 15, .scale = 1 };
    struct number large = { .mantissa = INT64_MAX, .scale = 0 };
    struct number small = { .mantissa = INT64_MAX, .scale = 18 };
    assert_int_equal(number_cmp(a, b), 0);
    assert_int_equal(number_cmp(large, small), 1);
    assert_int_equal(number_cmp(small, large), -1);
    assert_int_equal(number_scale(a, 0), 1);
    assert_int_equal(number_scale(a, 3), 3);
    assert_int_equal(number_scale((struct number){ .mantissa = 0, .scale = 8 }, 0), 0);
}

static void rescaling_never_loses_a_digit_unasked(void **state)
{
    (void)state;
    int64_t mantissa;
    assert_false(number_rescale((struct number){ .mantissa = 155, .scale = 2 }, 1, &mantissa));
    assert_false(
        number_rescale((struct number){ .mantissa = INT64_MAX, .scale = 0 }, 1, &mantissa));
    assert_true(number_round((struct number){ .mantissa = 125, .scale = 2 }, 1, &mantissa));
    assert_int_equal(mantissa, 12); /* half even */
    assert_true(number_round((struct number){ .mantissa = 135, .scale = 2 }, 1, &mantissa));
    assert_int_equal(mantissa, 14);
    assert_true(number_round((struct number){ .mantissa = 1251, .scale = 3 }, 1, &mantissa));
    assert_int_equal(mantissa, 13);
}

/* ---- time ---- */

static void times_are_told_apart_by_their_size(void **state)
{
    (void)state;
    int64_t wanted = at_time("2022-01-15T00:00:00Z"), found;
    static const char *const TEXTS[] = { "1642204800",
                                         "1642204800000",
                                         "1642204800000000",
                                         "1642204800000000000",
                                         "1642204800.000",
                                         "2022-01-15",
                                         "2022-01-15 00:00:00",
                                         "2022-01-15T00:00:00",
                                         "2022-01-15 05:30:00+05:30",
                                         "2022-01-15 00:00:00.000000" };
    for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++) {
        if (!row_time_parse(TEXTS[i], strlen(TEXTS[i]), &found))
            fail_msg("refused %s", TEXTS[i]);
        assert_true(found == wanted);
    }
    static const char *const BAD[] = { "",
                                       "0",
                                       "20220115",
                                       "1642204800x",
                                       "16422048000",
                                       "9999999999999999999",
                                       "9999999999999999",
                                       "9999999999",
                                       "2022-13-01",
                                       "0000000000",
                                       "-1642204800",
                                       "9223372036854775807" };
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++)
        if (row_time_parse(BAD[i], strlen(BAD[i]), &found))
            fail_msg("accepted %s", BAD[i]);
}

/* ---- layouts ---- */

struct layout_case {
    const char *line, *columns;
    enum data_layout layout;
    bool has_header;
};

static void layouts_are_known_by_names_and_by_shape(void **state)
{
    (void)state;
    static const struct layout_case CASES[] = {
        { "id,price,qty,quote_qty,time,is_buyer_maker", NULL, DATA_BINANCE_TRADES, true },
        { "id,price,qty,quoteQty,time,is_buyer_maker", NULL, DATA_CSV_TRADES, true },
        { "1,2.5,3,7.5,1642204800000,True,true", NULL, DATA_BINANCE_TRADES, false },
        { "1,2.5,3,7.5,1642204800000000,false", NULL, DATA_BINANCE_TRADES, false },
        { "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
          NULL, DATA_BINANCE_AGG_TRADES, true },
        { "1,2.5,3,10,12,1642204800000,true", NULL, DATA_BINANCE_AGG_TRADES, false },
        { "1,2.5,3,10,12,1642204800000,true,True", NULL, DATA_BINANCE_AGG_TRADES, false },
        { "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
          "taker_buy_quote_volume,ignore",
          NULL, DATA_BINANCE_KLINES, true },
        { "1642204800000,1,2,1,2,5,1642204859999,10,3,1.5,2.5,0", NULL, DATA_BINANCE_KLINES,
          false },
        { "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,"
          "event_time",
          NULL, DATA_BINANCE_BOOK_TICKER, true },
        { "77,1.5,2,1.6,3,1642204800000,1642204800001", NULL, DATA_BINANCE_BOOK_TICKER, false },
        { "TIMESTAMP;Price;Amount", NULL, DATA_CSV_TRADES, true },
        { "ts,price,size,side", NULL, DATA_CSV_TRADES, true },
        { "\"date\",\"price\",\"volume\"", NULL, DATA_CSV_TRADES, true },
        { "Date,Open,High,Low,Close,Adj Close,Volume", NULL, DATA_CSV_BARS, true },
        { "Open Time,open,high,low,close,qty", NULL, DATA_CSV_BARS, true },
        { "timestamp,open,high,low,close", NULL, DATA_CSV_BARS, true },
        { "time,bid,ask", NULL, DATA_CSV_QUOTES, true },
        { "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount",
          NULL, DATA_CSV_QUOTES, true },
        { "1642204800000,1,2,2,1,5", "time,open,close,high,low,volume", DATA_CSV_BARS, false },
        { "a,b,c", "time,price,qty", DATA_CSV_TRADES, true },
        { "1642204800;x;2.5;3", "time,-,price,qty", DATA_CSV_TRADES, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct layout layout;
        struct error err = { 0 };
        const struct layout_case *c = &CASES[i];
        if (layout_recognise(c->line, strlen(c->line), c->columns, &layout, &err) < 0)
            fail_msg("%s: %s", c->line, err.message);
        if (layout.layout != c->layout || layout.has_header != c->has_header)
            fail_msg("%s: taken for %s", c->line, data_layout_name(layout.layout));
    }
}

static void assert_unknown(const char *line, size_t length, const char *columns,
                           const char *fragment)
{
    struct layout layout;
    struct error err = { 0 };
    assert_int_equal(layout_recognise(line, length, columns, &layout, &err), ERROR_DATA);
    if (!strstr(err.message, fragment))
        fail_msg("\"%s\" is not in \"%s\"", fragment, err.message);
}

static void what_is_not_known_says_columns(void **state)
{
    (void)state;
    static const struct {
        const char *line, *columns, *fragment;
    } CASES[] = {
        { "1642204800000,1,2,2,1,5", NULL, "--columns" },
        { "hello world", NULL, "--columns" },
        { "time,price", NULL, "no column qty" },
        { "price,qty", NULL, "no column time" },
        { "time,open,high,low", NULL, "no column close" },
        { "time,bid,x", NULL, "no column ask" },
        { "time,timestamp,price,qty", NULL, "the time twice, as time and timestamp" },
        { "time,price,qty,amount", NULL, "the qty twice" },
        { "1642204800000,1,2", "time,price", "names 2 columns, the first line has 3" },
        { "1642204800000,1,2", "time,price,cost", "no column qty" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        assert_unknown(CASES[i].line, strlen(CASES[i].line), CASES[i].columns, CASES[i].fragment);
    assert_unknown("time\0,price,qty", 15, NULL, "this is no text: byte 5 is 0x00");
    assert_unknown("DBN\003\001", 5, NULL, "this is no text");
    char many[2 * COLUMNS_MAX + 2];
    memset(many, ',', sizeof(many));
    assert_unknown(many, COLUMNS_MAX, NULL, "found 257 columns, allowed are 256");
}

/* ---- rows ---- */

static int parse(const char *header, const char *line, struct row *row, struct error *err)
{
    struct layout layout;
    assert_int_equal(layout_recognise(header, strlen(header), NULL, &layout, err), 0);
    return row_parse(&layout, line, strlen(line), row, err);
}

static void a_side_is_the_aggressors(void **state)
{
    (void)state;
    static const struct {
        const char *header, *line;
        int side;
    } CASES[] = {
        { "time,price,qty,side", "1642204800,1,2,BUY", SIDE_BUY },
        { "time,price,qty,side", "1642204800,1,2,Sell", SIDE_SELL },
        { "time,price,qty,side", "1642204800,1,2,", 0 },
        { "time,price,qty,side", "1642204800,1,2,unknown", 0 },
        { "time,price,qty", "1642204800,1,2", 0 },
        { "time,price,qty,is_buyer_maker", "1642204800,1,2,true", SIDE_SELL },
        { "time,price,qty,is_buyer_maker", "1642204800,1,2,False", SIDE_BUY },
        { "time,price,qty,is_buyer_maker", "1642204800,1,2,1", SIDE_SELL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct row row;
        struct error err = { 0 };
        assert_int_equal(parse(CASES[i].header, CASES[i].line, &row, &err), 0);
        assert_int_equal(row.side, CASES[i].side);
    }
}

static void fields_may_be_quoted_and_blank_at_the_ends(void **state)
{
    (void)state;
    struct row row;
    struct error err = { 0 };
    assert_int_equal(parse("time;price;qty", "\"2022-01-15 00:00:00\"; 1.25 ;\t\"0\"", &row, &err),
                     0);
    assert_true(row.time_ns == at_time("2022-01-15"));
    assert_true(row.value[0].mantissa == 125 && row.value[0].scale == 2);
    assert_true(row.value[1].mantissa == 0); /* an index tick has no quantity */
}

static void a_bad_row_names_column_found_and_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *header, *line, *fragment;
    } CASES[] = {
        { "time,price,qty", "1642204800,NaN,1", "price: found \"NaN\", allowed is a plain number" },
        { "time,price,qty", "1642204800,inf,1", "price: found \"inf\"" },
        { "time,price,qty", "1642204800,0,1",
          "price: found \"0\", allowed is a plain number above 0" },
        { "time,price,qty", "1642204800,0.000,1", "price: found \"0.000\"" },
        { "time,price,qty", "1642204800,-5,1", "price: found \"-5\"" },
        { "time,price,qty", "1642204800,5,-1", "qty: found \"-1\", allowed is 0 or" },
        { "time,price,qty", "1642204800,,1", "price: found \"\"" },
        { "time,price,qty", "1642204800,5,", "qty: found \"\"" },
        { "time;price;qty", "1642204800;1,000.5;1", "price: found \"1,000.5\"" },
        { "time;price;qty", "1642204800;1,5;1", "price: found \"1,5\"" },
        { "time,price,qty", "1642204800,1e30,1",
          "price: found \"1e30\", allowed is a number of up to 18" },
        { "time,price,qty", "yesterday,1,1", "time: found \"yesterday\", allowed is ISO 8601" },
        { "time,price,qty", "1642204800,1", "found 2 columns, allowed are the 3" },
        { "time,price,qty", "1642204800,1,2,3", "found 4 columns" },
        { "time,price,qty,side", "1642204800,1,2,long",
          "side: found \"long\", allowed is buy or sell" },
        { "time,price,qty,is_buyer_maker", "1642204800,1,2,", "is_buyer_maker: found \"\"" },
        { "time,open,high,low,close,volume", "1642204800,2,1,3,2,5",
          "high: found \"1\", which is below the low \"3\"" },
        { "time,open,high,low,close,volume", "1642204800,4,3,1,2,5",
          "open: found \"4\", which is above the high \"3\"" },
        { "time,open,high,low,close,volume", "1642204800,2,3,1,0.5,5",
          "close: found \"0.5\", which is below the low \"1\"" },
        { "time,open,high,low,close,volume", "1642204800,2,3,1,2,-5", "volume: found \"-5\"" },
        { "time,bid,ask", "1642204800,2,2.0",
          "bid: found \"2\", which is not below the ask \"2.0\"" },
        { "time,bid,ask", "1642204800,3,2", "bid: found \"3\", which is not below the ask" },
        { "time,bid,ask", "1642204800,,2", "bid: found \"\"" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct row row;
        struct error err = { 0 };
        assert_int_equal(parse(CASES[i].header, CASES[i].line, &row, &err), ERROR_DATA);
        if (!strstr(err.message, CASES[i].fragment))
            fail_msg("\"%s\" is not in \"%s\"", CASES[i].fragment, err.message);
    }
}

/* Bytes of the outside never reach a terminal raw, nor at length. */
static void what_was_found_is_shown_short_and_printable(void **state)
{
    (void)state;
    char line[1200];
    struct row row;
    struct error err = { 0 };
    memset(line, '9', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    memcpy(line, "1642204800,1,", 13);
    assert_int_equal(parse("time,price,qty", line, &row, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "9...\", allowed is a number of up to 18"));
    assert_true(strlen(err.message) < 200);
    assert_int_equal(parse("time,price,qty", "1642204800,\x1b[31m\xff,1", &row, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "found \"?[31m?\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(the_fast_parser_agrees_with_the_decimal_one),
        cmocka_unit_test(numbers_compare_across_scales),
        cmocka_unit_test(rescaling_never_loses_a_digit_unasked),
        cmocka_unit_test(times_are_told_apart_by_their_size),
        cmocka_unit_test(layouts_are_known_by_names_and_by_shape),
        cmocka_unit_test(what_is_not_known_says_columns),
        cmocka_unit_test(a_side_is_the_aggressors),
        cmocka_unit_test(fields_may_be_quoted_and_blank_at_the_ends),
        cmocka_unit_test(a_bad_row_names_column_found_and_allowed),
        cmocka_unit_test(what_was_found_is_shown_short_and_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
