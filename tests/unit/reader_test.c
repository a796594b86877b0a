/* reader_test.c - files of every layout and container, what is refused and where, order, merging.
 */
#include "tests/unit/research_fixture.h"

#define EVENTS_MAX 16

/* ---- layouts ---- */

struct file_case {
    const char *text, *columns;
    enum data_layout layout;
    uint64_t rows;
    const char *first, *last;
    int price_scale, qty_scale;
    int64_t timeframe_ns;
};

static const struct file_case FILES[] = {
    { "1,43059.97000000,0.00713000,307.0,1642204800000,True,True\n"
      "2,43059.98000000,0.10000000,4306.0,1642204800001,False,True\n",
      NULL, DATA_BINANCE_TRADES, 2, "2022-01-15T00:00:00Z", "2022-01-15T00:00:00.001Z", 2, 5, 0 },
    { "id,price,qty,quote_qty,time,is_buyer_maker\n"
      "1,61800.30,0.006,370.8,1723161256322,false\n",
      NULL, DATA_BINANCE_TRADES, 1, "2024-08-08T23:54:16.322Z", "2024-08-08T23:54:16.322Z", 1, 3,
      0 },
    { "1,2.5,3,10,12,1642204800000000,true,True\n2,2.6,3,13,13,1642204800000001,true,True\n", NULL,
      DATA_BINANCE_AGG_TRADES, 2, "2022-01-15T00:00:00Z", "2022-01-15T00:00:00.000001Z", 1, 0, 0 },
    { "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
      "1,2.5,3,10,12,1642204800000,true\n",
      NULL, DATA_BINANCE_AGG_TRADES, 1, "2022-01-15T00:00:00Z", "2022-01-15T00:00:00Z", 1, 0, 0 },
    { "1642204800000,1.5,2,1,2,5.25,1642204859999,10,3,1.5,2.5,0\n"
      "1642204860000,2,2,2,2,0,1642204919999,0,0,0,0,0\n",
      NULL, DATA_BINANCE_KLINES, 2, "2022-01-15T00:00:00Z", "2022-01-15T00:01:00Z", 1, 2,
      NS_PER_MINUTE },
    { "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
      "taker_buy_quote_volume,ignore\n"
      "1735689600000000,1,2,1,2,5,1735689659999999,10,3,1.5,2.5,0\n"
      "1735689900000000,1,2,1,2,5,1735689959999999,10,3,1.5,2.5,0\n",
      NULL, DATA_BINANCE_KLINES, 2, "2025-01-01T00:00:00Z", "2025-01-01T00:05:00Z", 0, 0,
      5 * NS_PER_MINUTE },
    { "77,1.5,2,1.6,3,1642204800000,1642204800001\n", NULL, DATA_BINANCE_BOOK_TICKER, 1,
      "2022-01-15T00:00:00Z", "2022-01-15T00:00:00Z", 1, 0, 0 },
    { "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,"
      "event_time\n77,1.5,2,1.6,3,1642204800000,1642204800001\n",
      NULL, DATA_BINANCE_BOOK_TICKER, 1, "2022-01-15T00:00:00Z", "2022-01-15T00:00:00Z", 1, 0, 0 },
    { "Timestamp,Price,Quantity\n1642204800,1,1\n1642204800,1e-05,1.50\n", NULL, DATA_CSV_TRADES, 2,
      "2022-01-15T00:00:00Z", "2022-01-15T00:00:00Z", 5, 1, 0 },
    { "\xef\xbb\xbftime;price;amount;side\r\n1642204800000000000;5;0;buy\r\n", NULL,
      DATA_CSV_TRADES, 1, "2022-01-15T00:00:00Z", "2022-01-15T00:00:00Z", 0, 0, 0 },
    { "date,open,high,low,close,volume\n2021-12-31 23:01:00.000000,46319.0,46385.0,46319.0,46377.0,"
      "2300413.7295\n2021-12-31 23:02:00.000000,46377.0,46411.0,46377.0,46410.5,1829623.1938\n",
      NULL, DATA_CSV_BARS, 2, "2021-12-31T23:01:00Z", "2021-12-31T23:02:00Z", 1, 4, NS_PER_MINUTE },
    { "ts,bid,ask,bid_qty,ask_qty\n1642204800.25,1.5,1.75,,2\n", NULL, DATA_CSV_QUOTES, 1,
      "2022-01-15T00:00:00.25Z", "2022-01-15T00:00:00.25Z", 2, 0, 0 },
    { "1642204800000,1,2,2,1,5\n1642204860000,1,2,2,1,5", "time,open,close,high,low,volume",
      DATA_CSV_BARS, 2, "2022-01-15T00:00:00Z", "2022-01-15T00:01:00Z", 0, 0, NS_PER_MINUTE },
    { "\n\ntime,price,qty\n\n1642204800,1,1\n\n", NULL, DATA_CSV_TRADES, 1, "2022-01-15",
      "2022-01-15", 0, 0, 0 },
};

static void every_layout_is_read(void **state)
{
    struct room *room = *state;
    for (size_t i = 0; i < ARRAY_SIZE(FILES); i++) {
        const struct file_case *c = &FILES[i];
        struct data_options options = options_of(room_write_text(room, c->text));
        options.columns = c->columns;
        struct data_info info;
        struct event events[EVENTS_MAX];
        read_events(&options, &info, events, EVENTS_MAX);
        if (info.layout != c->layout || info.rows != c->rows ||
            info.first_ns != at_time(c->first) || info.last_ns != at_time(c->last) ||
            info.price_scale != c->price_scale || info.qty_scale != c->qty_scale ||
            info.timeframe_ns != c->timeframe_ns)
            fail_msg("case %zu: %s, %" PRIu64 " rows, scales %d %d", i,
                     data_layout_name(info.layout), info.rows, info.price_scale, info.qty_scale);
        char hash[SHA256_TEXT_MAX];
        sha256_hex(c->text, strlen(c->text), hash);
        assert_string_equal(info.hash, hash);
        assert_int_equal(info.size, strlen(c->text));
    }
}

static void a_trade_keeps_its_numbers_and_side(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[0].text));
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
    assert_int_equal(events[0].kind, EVENT_TRADE);
    assert_int_equal(events[0].trade.price, 4305997);
    assert_int_equal(events[0].trade.qty, 713);
    assert_int_equal(events[0].trade.side, SIDE_SELL); /* the buyer was the maker */
    assert_int_equal(events[1].trade.side, SIDE_BUY);
    assert_int_equal(events[1].trade.qty, 10000);
}

/* A strategy must not know a bar before it ended. */
static void a_bar_is_told_at_its_end(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[4].text));
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
    assert_int_equal(events[0].kind, EVENT_BAR);
    assert_true(events[0].bar.open_ns == at_time("2022-01-15T00:00:00Z"));
    assert_true(events[0].time_ns == at_time("2022-01-15T00:01:00Z"));
    assert_int_equal(events[0].bar.open, 15);
    assert_int_equal(events[0].bar.high, 20);
    assert_int_equal(events[0].bar.low, 10);
    assert_int_equal(events[0].bar.close, 20);
    assert_int_equal(events[0].bar.volume, 525);
    assert_false(events[0].bar.is_history);
}

static void a_quote_without_quantities_does_not_know_them(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[11].text));
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 1);
    assert_int_equal(events[0].kind, EVENT_QUOTE);
    assert_int_equal(events[0].quote.bid, 150);
    assert_int_equal(events[0].quote.ask, 175);
    assert_int_equal(events[0].quote.bid_qty, 0);
    assert_int_equal(events[0].quote.ask_qty, 2);
}

static void the_data_tells_tick_and_lot(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[0].text));
    struct data_info info;
    struct instrument instrument;
    struct error err = { 0 };
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), 0);
    data_instrument(&options, &info, &instrument);
    assert_string_equal(instrument.symbol, "BTC/USDT");
    assert_string_equal(instrument.origin, "finest decimals in data.csv");
    assert_int_equal(decimal_cmp(instrument.tick_size, decimal_text("0.01")), 0);
    assert_int_equal(decimal_cmp(instrument.lot_size, decimal_text("0.00001")), 0);
    assert_true(instrument.short_allowed);
}

/* ---- what is refused ---- */

static void assert_refused(const struct data_options *options, int code, const char *where_end,
                           const char *fragment)
{
    struct data_info info;
    struct error err = { 0 };
    int found = data_scan(options, &info, NULL, NULL, &err);
    char where[400] = "";
    if (where_end)
        snprintf(where, sizeof(where), "%s:%s", options->path, where_end);
    if (found != code || strcmp(err.where, where) != 0 || !strstr(err.message, fragment))
        fail_msg("%d \"%s\": %s; wanted %d \"%s\": %s", found, err.where, err.message, code, where,
                 fragment);
}

static void a_bad_row_says_file_and_line(void **state)
{
    struct room *room = *state;
    static const struct {
        const char *text, *columns, *line, *fragment;
    } CASES[] = {
        { "time,price,qty\n1642204800,1,1\n1642204800,NaN,1\n", NULL, "3", "price: found \"NaN\"" },
        { "time,price,qty\r\n\r\n1642204800,1\r\n", NULL, "3", "found 2 columns" },
        { "1642204800,0,1\n", "time,price,qty", "1", "price: found \"0\"" },
        { "1642204800,1,1\n", NULL, "1", "--columns" },
        { "time,cost,qty\n", NULL, "1", "found no column price" },
        { "time,open,high,low,close\n1642204800,1,1,2,1\n", NULL, "2", "high: found \"1\"" },
        { "time,bid,ask\n1642204800,1,1\n", NULL, "2", "not below the ask" },
        { "time,price,qty\n1642204800,1,1\n1642204799,1,1\n", NULL, "3",
          "out of time order: found 2022-01-14T23:59:59.000000000Z after "
          "2022-01-15T00:00:00.000000000Z; --sort" },
        { "time,open,high,low,close\n1642204800,1,1,1,1\n1642204800,1,1,1,1\n", NULL, "3",
          "a second bar of 2022-01-15T00:00:00" },
        { "time,price,qty\n1642204800,1,1\n1642204801,0.0000000001,1\n1642204802,9999999999,1\n",
          NULL, "4", "price: found a number too large beside the 10 decimals of line 3" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        struct data_options options = options_of(room_write_text(room, CASES[i].text));
        options.columns = CASES[i].columns;
        assert_refused(&options, ERROR_DATA, CASES[i].line, CASES[i].fragment);
    }
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct room *room = *state;
    static const char ROW[] = "time,price,qty\n1642204800,1\0002,1\n";
    struct data_options options = options_of(room_write(room, "nul.csv", ROW, sizeof(ROW) - 1));
    assert_refused(&options, ERROR_DATA, "2", "price: found \"1?2\"");
    static const char HEADER[] = "t\0i\0m\0e\0,\0\n";
    options = options_of(room_write(room, "wide.csv", HEADER, sizeof(HEADER) - 1));
    assert_refused(&options, ERROR_DATA, "1", "this is no text");
}

static void a_line_has_a_limit(void **state)
{
    struct room *room = *state;
    static const char HEAD[] = "time,price,qty\n";
    size_t length = sizeof(HEAD) - 1 + 65537;
    char *text = memory_new(length);
    memset(text, '1', length);
    memcpy(text, HEAD, sizeof(HEAD) - 1);
    struct data_options options = options_of(room_write(room, "long.csv", text, length));
    assert_refused(&options, ERROR_DATA, "2", "longer than 64 KiB");
    options = options_of(room_write(room, "full.csv", text, length - 1));
    assert_refused(&options, ERROR_DATA, "2", "found 1 columns");
    free(text);
}

static void a_file_without_rows_says_so(void **state)
{
    struct room *room = *state;
    static const char *const TEXTS[] = { "", "\n\n", "time,price,qty\n", "time,price,qty",
                                         "\xef\xbb\xbf" };
    for (size_t i = 0; i < ARRAY_SIZE(TEXTS); i++) {
        struct data_options options = options_of(room_write_text(room, TEXTS[i]));
        assert_refused(&options, ERROR_DATA, NULL, "no rows");
    }
    char packed[256];
    for (enum packing p = PACK_GZIP; p <= PACK_XZ; p++) {
        size_t length = pack(p, "", 0, 1, packed, sizeof(packed));
        struct data_options options = options_of(room_write(room, "empty", packed, length));
        assert_refused(&options, ERROR_DATA, NULL, "no rows: the file is empty");
    }
}

static void what_is_no_file_is_refused(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of("/nonexistent/data.csv");
    assert_refused(&options, ERROR_NO_INPUT, NULL, "/nonexistent/data.csv: No such file");
    options = options_of(room->directory);
    assert_refused(&options, ERROR_DATA, NULL, "found a directory");
    options = options_of("/dev/null");
    assert_refused(&options, ERROR_DATA, NULL, "something that is no file");
}

/* The line number is what a person looks for: a long path must not push it out. */
static void a_long_path_keeps_its_line_number(void **state)
{
    struct room *room = *state;
    char name[251];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    char path[400];
    snprintf(path, sizeof(path), "%s/%s", room->directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("time,price,qty\nx,1,1\n", file);
    fclose(file);
    struct data_options options = options_of(path);
    struct data_info info;
    struct error err = { 0 };
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), ERROR_DATA);
    assert_true(text_starts_with(err.where, "..."));
    assert_true(text_ends_with(err.where, "nnn:2"));
}

/* ---- containers ---- */

/* Trades that do not compress to nothing, so that many lines stand before a cut. */
static char *many_trades(size_t count, size_t *length)
{
    size_t room = 64 + count * 48;
    char *text = memory_new(room);
    size_t at = (size_t)snprintf(text, room, "time,price,qty\n");
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, room - at, "%" PRIu64 ",%" PRIu64 ".%02d,0.%05d\n",
                               UINT64_C(1642204800000) + i, 40000 + hash64(1, i, 0) % 1000,
                               (int)(hash64(2, i, 0) % 100), (int)(hash64(3, i, 0) % 100000));
    *length = at;
    return text;
}

static void every_container_gives_the_same_rows(void **state)
{
    struct room *room = *state;
    size_t length, packed_size = 1 << 20;
    char *text = many_trades(20000, &length), *packed = memory_new(packed_size);
    for (enum packing p = PACK_GZIP; p <= PACK_ZIP; p++) {
        size_t size = pack(p, text, length, 1, packed, packed_size);
        struct data_options options = options_of(room_write(room, "any.name", packed, size));
        struct data_info info;
        struct event event;
        assert_int_equal(read_events(&options, &info, &event, 1), 20000);
        char hash[SHA256_TEXT_MAX];
        sha256_hex(packed, size, hash);
        assert_string_equal(info.hash, hash); /* of the bytes on disk */
        assert_int_equal(info.size, size);
        assert_true(info.last_ns == at_time("2022-01-15T00:00:19.999Z"));
    }
    free(packed);
    free(text);
}

/* Half a download must not pass for a quiet day, wherever it ends. */
static void a_cut_container_is_never_taken_for_whole(void **state)
{
    struct room *room = *state;
    size_t length;
    char *text = many_trades(40, &length), packed[8192];
    for (enum packing p = PACK_GZIP; p <= PACK_ZIP; p++) {
        size_t size = pack(p, text, length, 1, packed, sizeof(packed));
        struct data_info whole;
        struct error err = { 0 };
        struct data_options options = options_of(room_write(room, "whole", packed, size));
        assert_int_equal(data_scan(&options, &whole, NULL, NULL, &err), 0);
        for (size_t cut = 1; cut < size; cut++) {
            struct data_info info;
            options = options_of(room_write(room, "cut", packed, cut));
            int code = data_scan(&options, &info, NULL, NULL, &err);
            if (code == 0 && info.rows == whole.rows && p == PACK_ZIP)
                continue; /* only the directory behind the data is missing */
            if (code != ERROR_DATA)
                fail_msg("packing %d cut at %zu of %zu: code %d, %" PRIu64 " rows", p, cut, size,
                         code, info.rows);
        }
    }
    free(text);
}

/* A flipped bit that still unpacks would be another price. (The last byte of packed data, before
 * the checksum, has bits that nobody uses.) */
static void a_damaged_container_is_never_taken_for_whole(void **state)
{
    struct room *room = *state;
    size_t length;
    char *text = many_trades(40, &length), packed[8192];
    for (enum packing p = PACK_GZIP; p <= PACK_ZIP; p++) {
        size_t size = pack(p, text, length, 1, packed, sizeof(packed));
        size_t from = p == PACK_ZIP ? 60 : 16, to = p == PACK_ZIP ? size - 150 : size - 9;
        for (size_t at = from; at < to && p != PACK_ZSTD; at++) { /* zstd has a checksum or not */
            packed[at] ^= 0x10;
            struct data_options options = options_of(room_write(room, "damaged", packed, size));
            struct data_info info;
            struct error err = { 0 };
            if (data_scan(&options, &info, NULL, NULL, &err) != ERROR_DATA)
                fail_msg("packing %d with byte %zu of %zu changed: %" PRIu64 " rows", p, at, size,
                         info.rows);
            packed[at] ^= 0x10;
        }
    }
    free(text);
}

static void joined_gzips_are_one_file(void **state)
{
    struct room *room = *state;
    char packed[1024];
    static const char HEAD[] = "time,price,qty\n1642204800,1,1\n", TAIL[] = "1642204801,2,1\n";
    size_t size = pack(PACK_GZIP, HEAD, sizeof(HEAD) - 1, 1, packed, sizeof(packed));
    size += pack(PACK_GZIP, TAIL, sizeof(TAIL) - 1, 1, packed + size, sizeof(packed) - size);
    struct data_options options = options_of(room_write(room, "joined.gz", packed, size));
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
}

static void a_truncated_gzip_names_the_line_reached(void **state)
{
    struct room *room = *state;
    size_t length, packed_size = 1 << 22;
    char *text = many_trades(50000, &length), *packed = memory_new(packed_size);
    size_t size = pack(PACK_GZIP, text, length, 1, packed, packed_size);
    struct data_options options = options_of(room_write(room, "cut.gz", packed, size / 2));
    struct data_info info;
    struct error err = { 0 };
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "the gzip data is damaged or ends too early here, after "));
    const char *line = strrchr(err.where, ':');
    assert_non_null(line);
    long number = strtol(line + 1, NULL, 10);
    assert_in_range(number, 20000, 30000); /* half of it */
    free(packed);
    free(text);
}

/* 100 MB of zeros in 100 KB: stopped at the limit of a line, in bounded memory. */
static void a_bomb_stops_at_the_line_limit(void **state)
{
    struct room *room = *state;
    size_t length = 100u << 20, packed_size = 1 << 20;
    char *zeros = calloc(1, length), *packed = memory_new(packed_size);
    assert_non_null(zeros);
    size_t size = pack(PACK_GZIP, zeros, length, 1, packed, packed_size);
    free(zeros);
    struct data_options options = options_of(room_write(room, "bomb.gz", packed, size));
    assert_refused(&options, ERROR_DATA, "1", "longer than 64 KiB");
    free(packed);
}

static void a_container_in_a_container_is_refused(void **state)
{
    struct room *room = *state;
    char once[512], twice[1024];
    const char *text = FILES[8].text;
    for (enum packing p = PACK_GZIP; p <= PACK_ZIP; p++) {
        size_t size = pack(p, text, strlen(text), 1, once, sizeof(once));
        size = pack(PACK_GZIP, once, size, 1, twice, sizeof(twice));
        struct data_options options = options_of(room_write(room, "twice.gz", twice, size));
        struct data_info info;
        struct error err = { 0 };
        assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), ERROR_DATA);
    }
    size_t size = pack(PACK_ZIP, text, strlen(text), 2, twice, sizeof(twice));
    struct data_options options = options_of(room_write(room, "two.zip", twice, size));
    assert_refused(&options, ERROR_DATA, NULL, "several files in one zip");
}

/* All filters on, libarchive takes this for uuencoded data. */
static void only_the_announced_filter_is_on(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "begin 644 x\n1642204800,1,1\n"));
    assert_refused(&options, ERROR_DATA, "1", "found no column time");
}

/* ---- bad rows allowed ---- */

static const char BAD_ROWS[] = "time,price,qty\n1642204800,1,1\n1642204801,NaN,1\n"
                               "1642204802,2,1\n1642204803,0,1\n1642204804,3\n1642204805,3,1\n";

static void bad_rows_are_passed_over_up_to_the_limit(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, BAD_ROWS));
    struct data_info info;
    struct event events[EVENTS_MAX];
    options.skip_bad_rows = 3;
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 3);
    assert_int_equal(info.skipped, 3);
    assert_int_equal(events[1].trade.price, 2);
    assert_int_equal(events[2].trade.price, 3);

    options.skip_bad_rows = 2;
    assert_refused(&options, ERROR_DATA, "6", "2 bad rows were passed over before");
    options.skip_bad_rows = 0;
    assert_refused(&options, ERROR_DATA, "3", "--skip-bad-rows N passes over");
}

static void a_file_of_bad_rows_only_has_no_rows(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,price,qty\n1642204800,0,1\n"));
    options.skip_bad_rows = 5;
    assert_refused(&options, ERROR_DATA, NULL, "no rows: all were bad");
}

/* Order is not a matter of one row: passing over rows would hide half of a shuffled file. */
static void a_step_back_is_not_a_bad_row_to_pass_over(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,price,qty\n1642204801,1,1\n1642204800,1,1\n"));
    options.skip_bad_rows = 5;
    assert_refused(&options, ERROR_DATA, "3", "--sort");
}

/* ---- sorting ---- */

static void sorting_is_stable_and_counted(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(
        room, "time,price,qty\n1642204802,1,1\n1642204800,2,1\n1642204803,3,1\n1642204802,4,1\n"
              "1642204800,5,1\n"));
    options.sort = true;
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 5);
    assert_int_equal(info.sorted, 3);
    static const int64_t PRICES[] = { 2, 5, 1, 4, 3 };
    for (size_t i = 0; i < 5; i++)
        assert_true(events[i].trade.price == PRICES[i]);
    assert_true(info.first_ns == at_time("2022-01-15T00:00:00Z"));
    assert_true(info.last_ns == at_time("2022-01-15T00:00:03Z"));
}

static void sorted_bars_find_their_timeframe(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,open,high,low,close,volume\n1642205400,1,1,1,1,1\n"
                                         "1642204800,2,2,2,2,2\n1642205100,3,3,3,3,3\n"));
    options.sort = true;
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 3);
    assert_true(info.timeframe_ns == 5 * NS_PER_MINUTE);
    assert_int_equal(events[0].bar.open, 2);
    assert_int_equal(events[2].bar.open, 1);
}

static void sorting_does_not_allow_two_bars_of_one_time(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,open,high,low,close,volume\n1642204860,1,1,1,1,1\n"
                                         "1642204800,2,2,2,2,2\n1642204860,3,3,3,3,3\n"));
    options.sort = true;
    assert_refused(&options, ERROR_DATA, "4", "the first is on line 2");
    options.skip_bad_rows = 1;
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
    assert_int_equal(info.skipped, 1);
    assert_int_equal(events[1].bar.open, 1);
}

static void sorting_what_is_in_order_changes_nothing(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[10].text));
    options.sort = true;
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
    assert_int_equal(info.sorted, 0);
    assert_true(info.timeframe_ns == NS_PER_MINUTE);
}

/* ---- timeframes ---- */

static void a_timeframe_is_known_or_asked_for(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,open,high,low,close\n1642204800,1,1,1,1\n"));
    assert_refused(&options, ERROR_DATA, NULL, "--timeframe");
    options.timeframe_ns = 5 * NS_PER_MINUTE;
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 1);
    assert_true(events[0].time_ns == at_time("2022-01-15T00:05:00Z"));

    options = options_of(room_write_text(
        room, "time,open,high,low,close\n1642204800,1,1,1,1\n1642204807,1,1,1,1\n"));
    assert_refused(&options, ERROR_DATA, NULL, "found bars 7s apart");
    options.timeframe_ns = NS_PER_MINUTE;
    assert_refused(&options, ERROR_DATA, NULL, "less than --timeframe 1m");
    options.timeframe_ns = NS_PER_SECOND;
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
}

/* Floats leave digits that nobody traded; the volume of the file must fit its integers. */
static void volumes_too_fine_are_rounded_and_prices_never(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(
        room_write_text(room, "time,open,high,low,close,volume\n"
                              "1642204800,1,1,1,1,218102.59507500002\n1642204860,1,1,1,1,9e8\n"));
    struct data_info info;
    struct event events[EVENTS_MAX];
    assert_int_equal(read_events(&options, &info, events, EVENTS_MAX), 2);
    assert_int_equal(info.qty_scale, 10);
    assert_true(events[0].bar.volume == INT64_C(2181025950750000));
    assert_true(events[1].bar.volume == INT64_C(9000000000000000000));
}

/* ---- progress, feeds that fail ---- */

static int note_progress(void *self, uint64_t done, uint64_t all, struct error *err)
{
    (void)err;
    uint64_t *last = self;
    assert_true(done >= *last && done <= all);
    *last = done;
    return 0;
}

static int stop_in_the_middle(void *self, uint64_t done, uint64_t all, struct error *err)
{
    ++*(int *)self;
    return done < all ? error_set(err, ERROR_STOPPED, "enough") : 0;
}

static void progress_ends_at_the_whole_file(void **state)
{
    struct room *room = *state;
    size_t length;
    char *text = many_trades(50000, &length);
    struct data_options options = options_of(room_write(room, "many.csv", text, length));
    struct data_info info;
    struct error err = { 0 };
    uint64_t done = 0;
    assert_int_equal(data_scan(&options, &info, note_progress, &done, &err), 0);
    assert_int_equal(done, length);
    free(text);
}

/* A file of gigabytes must not keep a user who wants to leave. */
static void a_scan_can_be_stopped(void **state)
{
    struct room *room = *state;
    size_t length;
    char *text = many_trades(50000, &length);
    struct data_options options = options_of(room_write(room, "many.csv", text, length));
    struct data_info info;
    struct error err = { 0 };
    int asked = 0;
    assert_int_equal(data_scan(&options, &info, stop_in_the_middle, &asked, &err), ERROR_STOPPED);
    assert_string_equal(err.message, "enough");
    assert_int_equal(asked, 1);
    free(text);
}

/* What waits has a time, so that the driver comes for it. */
static void a_file_that_changes_under_the_feed_is_an_error(void **state)
{
    struct room *room = *state;
    struct data_options options =
        options_of(room_write_text(room, "time,price,qty\n1642204800,1,1\n1642204801,1,1\n"));
    struct data_info info;
    struct error err = { 0 };
    struct feed_port feed;
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), 0);
    struct instruments *instruments = instruments_of(&options, &info);
    room_write_text(room, "time,price,qty\n1642204800,1,1\n1642204801,0,1\n");
    assert_int_equal(data_feed(&options, &info, instruments, 0, &feed, &err), 0);
    struct event event;
    assert_int_equal(feed.next(feed.self, &event, &err), 1);
    assert_true(feed.next_ns(feed.self) == event.time_ns);
    assert_int_equal(feed.next(feed.self, &event, &err), ERROR_DATA);
    assert_true(text_ends_with(err.where, ":3"));
    assert_int_equal(feed.next(feed.self, &event, &err), ERROR_DATA);
    feed.close(feed.self);

    room_write_text(room, "time,price,qty\n1642204800,1,1\n");
    assert_int_equal(data_feed(&options, &info, instruments, 0, &feed, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "changed while it was read"));
    free(instruments);
}

static void an_instrument_too_coarse_for_the_file_is_refused(void **state)
{
    struct room *room = *state;
    struct data_options options = options_of(room_write_text(room, FILES[0].text));
    struct data_info info;
    struct error err = { 0 };
    struct feed_port feed;
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), 0);
    struct instruments *instruments = instruments_of(&options, &info);
    instruments->list[0].price_scale = 1;
    assert_int_equal(data_feed(&options, &info, instruments, 0, &feed, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "found 2 decimals in prices"));
    free(instruments);
}

/* ---- merging ---- */

static struct feed_port feed_at(struct room *room, const char *name, const char *text,
                                const struct instruments *instruments, uint32_t instrument)
{
    struct data_options options = options_of(room_write(room, name, text, strlen(text)));
    struct data_info info;
    struct error err = { 0 };
    struct feed_port feed;
    assert_int_equal(data_scan(&options, &info, NULL, NULL, &err), 0);
    assert_int_equal(data_feed(&options, &info, instruments, instrument, &feed, &err), 0);
    return feed;
}

static void feeds_merge_by_time_and_ties_by_the_order_given(void **state)
{
    struct room *room = *state;
    struct instruments *instruments = memory_new(sizeof(*instruments));
    struct instrument instrument = { .venue = "sim",
                                     .tick_size = decimal_int(1),
                                     .lot_size = decimal_int(1),
                                     .multiplier = decimal_int(1),
                                     .leverage = decimal_int(1) };
    struct error err = { 0 };
    uint32_t index;
    for (int i = 0; i < 3; i++) {
        snprintf(instrument.symbol, sizeof(instrument.symbol), "S%d/USD", i);
        assert_int_equal(instruments_add(instruments, &instrument, &index, &err), 0);
    }
    struct feed_port feeds[3] = {
        feed_at(room, "a.csv",
                "time,price,qty\n1642204801,10,1\n1642204803,11,1\n1642204803,12,1\n"
                "1642204809,13,1\n",
                instruments, 0),
        feed_at(room, "b.csv", "time,price,qty\n1642204800,20,1\n1642204803,21,1\n", instruments,
                1),
        feed_at(room, "c.csv",
                "time,price,qty\n1642204800,30,1\n1642204803,31,1\n1642204804,32,1\n", instruments,
                2),
    };
    static const int64_t PRICES[] = { 20, 30, 10, 11, 12, 21, 31, 32, 13 };
    struct feed_port merged;
    assert_int_equal(feed_merge(feeds, 3, &merged, &err), 0);
    struct event event;
    for (size_t i = 0; i < ARRAY_SIZE(PRICES); i++) {
        int64_t next_ns = merged.next_ns(merged.self);
        assert_int_equal(merged.next(merged.self, &event, &err), 1);
        assert_true(event.time_ns == next_ns);
        assert_true(event.trade.price == PRICES[i]);
        assert_int_equal(event.instrument, PRICES[i] / 10 - 1);
    }
    assert_true(merged.next_ns(merged.self) == TIME_NEVER);
    assert_int_equal(merged.next(merged.self, &event, &err), 0);
    assert_int_equal(merged.next(merged.self, &event, &err), 0);
    merged.close(merged.self);

    assert_int_equal(feed_merge(NULL, 0, &merged, &err), 0);
    assert_true(merged.next_ns(merged.self) == TIME_NEVER);
    assert_int_equal(merged.next(merged.self, &event, &err), 0);
    merged.close(merged.self);
    free(instruments);
}

/* ---- recorded markets ---- */

struct shared_case {
    const char *path, *columns;
    enum data_layout layout;
    uint64_t rows;
    const char *first, *last, *hash;
};

#define BITFINEX "time,open,close,high,low,volume"

static const struct shared_case SHARED[] = {
    { "crypto/trades/btcusdt_binance_trades_2022-01-15.csv.gz", NULL, DATA_CSV_TRADES, 451466,
      "2022-01-15T00:00:00.000Z", "2022-01-15T23:59:30.134Z",
      "f3676291945109eab5bbbfb94653be42dd1c5947a5ad13b4b9a17288d12ec4de" },
    { "crypto/binance-vision/BTCUSDT-trades-2024-08-08-partial.csv.gz", NULL, DATA_BINANCE_TRADES,
      21313, "2024-08-08T23:54:16.322Z", "2024-08-08T23:59:59.643Z",
      "1642976a0c7836d1cd71d1fc34d5e01918dd54585e5187865db12e3c4926ecc1" },
    { "crypto/binance-vision/ADABTC-1m-2021-11-27.csv", NULL, DATA_BINANCE_KLINES, 10,
      "2021-11-27T00:00:00.000Z", "2021-11-27T00:09:00.000Z",
      "5ceb1568e561c967b8fb0baff3e797207b69ace9cf00e9614bbdb5421762f751" },
    { "crypto/bars-1m/btc-perp-20211231-20220201_1m.csv.gz", NULL, DATA_CSV_BARS, 45031,
      "2021-12-31T23:01:00Z", "2022-02-01T05:31:00Z",
      "d3fb68d1f07a9ef9360d212bd426988dccb2cf4263a07f4e0ba0b45a83a7a0b6" },
    { "crypto/bars-1m/bitfinex_BTCUSD_1m_2017.csv.gz", BITFINEX, DATA_CSV_BARS, 505209,
      "2017-01-01T00:00:00.000Z", "2017-12-31T23:59:00.000Z",
      "33574d2c0df19d86a43972c1ffb2887b4fd06d5c426052b414b35266efac643f" },
    { "crypto/bars-1m/bitfinex_ETHUSD_1m_2018.csv.gz", BITFINEX, DATA_CSV_BARS, 508048,
      "2018-01-01T00:00:00.000Z", "2018-12-31T23:59:00.000Z",
      "466e7717ffc144b5b82f1f1c3f21523450a59c700082004167305ec3dbeb3110" },
    { "crypto/tardis-csv/binance-futures_quotes_2020-02-22_BTCUSDT.csv.gz", NULL, DATA_CSV_QUOTES,
      9999, "2020-02-22T00:00:01.096Z", "2020-02-22T00:03:47.061Z",
      "f8e6db37c3b535b17a6ad5ac68fcc52c4b16ac5fb27f6f7c44ff3794eb2fdeaf" },
    { "crypto/tardis-csv/binance-futures_trades_2020-02-22_BTCUSDT.csv.gz", NULL, DATA_CSV_TRADES,
      9999, "2020-02-22T00:00:02.111Z", "2020-02-22T02:05:47.728Z",
      "97c34105e723e5aca98d80855e93bf22db58e35bee7cccdc7ef193cbec005270" },
};

static void recorded_markets_are_read_whole(void **state)
{
    (void)state;
    const char *folder = getenv("RUNTIME_SHARED_DATA");
    folder = folder ? folder : "../shared/data";
    if (access(folder, R_OK) < 0) {
        print_message("no recorded markets in %s (RUNTIME_SHARED_DATA names another place)\n",
                      folder);
        skip();
    }
    for (size_t i = 0; i < ARRAY_SIZE(SHARED); i++) {
        const struct shared_case *c = &SHARED[i];
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, c->path);
        struct data_options options = options_of(path);
        options.columns = c->columns;
        struct data_info info;
        struct event event;
        assert_int_equal(read_events(&options, &info, &event, 1), c->rows);
        assert_int_equal(info.layout, c->layout);
        assert_true(info.first_ns == at_time(c->first));
        assert_true(info.last_ns == at_time(c->last));
        assert_string_equal(info.hash, c->hash);
        assert_true(info.timeframe_ns == (event.kind == EVENT_BAR ? NS_PER_MINUTE : 0));
    }
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(every_layout_is_read),
        IN_ROOM(a_trade_keeps_its_numbers_and_side),
        IN_ROOM(a_bar_is_told_at_its_end),
        IN_ROOM(a_quote_without_quantities_does_not_know_them),
        IN_ROOM(the_data_tells_tick_and_lot),
        IN_ROOM(a_bad_row_says_file_and_line),
        IN_ROOM(bytes_that_are_no_text_are_refused),
        IN_ROOM(a_line_has_a_limit),
        IN_ROOM(a_file_without_rows_says_so),
        IN_ROOM(what_is_no_file_is_refused),
        IN_ROOM(a_long_path_keeps_its_line_number),
        IN_ROOM(every_container_gives_the_same_rows),
        IN_ROOM(a_cut_container_is_never_taken_for_whole),
        IN_ROOM(a_damaged_container_is_never_taken_for_whole),
        IN_ROOM(joined_gzips_are_one_file),
        IN_ROOM(a_truncated_gzip_names_the_line_reached),
        IN_ROOM(a_bomb_stops_at_the_line_limit),
        IN_ROOM(a_container_in_a_container_is_refused),
        IN_ROOM(only_the_announced_filter_is_on),
        IN_ROOM(bad_rows_are_passed_over_up_to_the_limit),
        IN_ROOM(a_file_of_bad_rows_only_has_no_rows),
        IN_ROOM(a_step_back_is_not_a_bad_row_to_pass_over),
        IN_ROOM(sorting_is_stable_and_counted),
        IN_ROOM(sorted_bars_find_their_timeframe),
        IN_ROOM(sorting_does_not_allow_two_bars_of_one_time),
        IN_ROOM(sorting_what_is_in_order_changes_nothing),
        IN_ROOM(a_timeframe_is_known_or_asked_for),
        IN_ROOM(volumes_too_fine_are_rounded_and_prices_never),
        IN_ROOM(progress_ends_at_the_whole_file),
        IN_ROOM(a_scan_can_be_stopped),
        IN_ROOM(a_file_that_changes_under_the_feed_is_an_error),
        IN_ROOM(an_instrument_too_coarse_for_the_file_is_refused),
        IN_ROOM(feeds_merge_by_time_and_ties_by_the_order_given),
        cmocka_unit_test(recorded_markets_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
