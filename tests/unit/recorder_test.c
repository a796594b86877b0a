/* recorder_test.c - what a run saw comes back from its files as the same events. */
#include "tests/unit/research_fixture.h"

#include "runtime/research/recorder.h"

static struct instruments *two_instruments(const char *first, const char *second)
{
    struct instruments *instruments = memory_new(sizeof(*instruments));
    struct error err = { 0 };
    uint32_t index;
    for (int i = 0; i < 2; i++) {
        struct instrument instrument = { .venue = "sim",
                                         .tick_size = decimal_text("0.01"),
                                         .lot_size = decimal_text("0.00001"),
                                         .multiplier = decimal_int(1),
                                         .leverage = decimal_int(1),
                                         .price_scale = 2,
                                         .qty_scale = 5 };
        text_copy(instrument.symbol, sizeof(instrument.symbol), i ? second : first);
        assert_int_equal(instruments_add(instruments, &instrument, &index, &err), 0);
    }
    return instruments;
}

static struct event trade(int64_t time_ns, int64_t price, int64_t qty, int side)
{
    return (struct event){ .kind = EVENT_TRADE,
                           .time_ns = time_ns,
                           .trade = { .price = price, .qty = qty, .side = side } };
}

static char *file_text(struct room *room, const char *name)
{
    char path[200], *text;
    size_t length;
    struct error err = { 0 };
    snprintf(path, sizeof(path), "%s/%s", room->directory, name);
    assert_int_equal(text_read_file(path, 1 << 20, &text, &length, &err), 0);
    return text;
}

static void each_kind_has_its_file(void **state)
{
    struct room *room = *state;
    struct instruments *instruments = two_instruments("BTC/USDT:USDT", "AAPL");
    struct recorder *recorder;
    struct error err = { 0 };
    int64_t start_ns = at_time("2022-01-15");
    struct event events[] = {
        trade(start_ns, 4305997, 713, SIDE_BUY),
        trade(start_ns, 4305900, 0, SIDE_SELL),
        trade(start_ns + 1, 7, 100000, 0),
        { .kind = EVENT_QUOTE,
          .time_ns = start_ns,
          .instrument = 1,
          .quote = { .bid = 99, .ask = 100, .bid_qty = 0, .ask_qty = 12345678 } },
        { .kind = EVENT_BAR,
          .time_ns = start_ns + NS_PER_MINUTE,
          .instrument = 1,
          .bar = { .open_ns = start_ns,
                   .open = 5,
                   .high = 700,
                   .low = 5,
                   .close = 6,
                   .volume = 1 } },
        { .kind = EVENT_BAR, .time_ns = start_ns, .instrument = 1, .bar = { .is_history = true } },
        { .kind = EVENT_ANSWER },
        { .kind = EVENT_REPORT },
    };
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        assert_int_equal(recorder_put(recorder, &events[i], &err), 0);
    assert_int_equal(recorder_close(recorder, &err), 0);

    char *text = file_text(room, "BTC-USDT-USDT-trades.csv");
    assert_string_equal(text, "time,price,qty,side\n"
                              "1642204800000000000,43059.97,0.00713,buy\n"
                              "1642204800000000000,43059.00,0.00000,sell\n"
                              "1642204800000000001,0.07,1.00000,\n");
    free(text);
    text = file_text(room, "AAPL-quotes.csv");
    assert_string_equal(text, "time,bid,ask,bid_qty,ask_qty\n"
                              "1642204800000000000,0.99,1.00,0.00000,123.45678\n");
    free(text);
    text = file_text(room, "AAPL-bars.csv");
    assert_string_equal(text, "time,open,high,low,close,volume\n"
                              "1642204800000000000,0.05,7.00,0.05,0.06,0.00001\n");
    free(text);
    free(instruments);
}

/* More rows than a buffer holds, all read back bit by bit. */
static void trades_come_back_as_they_were(void **state)
{
    struct room *room = *state;
    enum { COUNT = 5000 };
    struct instruments *instruments = two_instruments("BTC/USDT", "ETH/USDT");
    struct recorder *recorder;
    struct error err = { 0 };
    struct event *events = memory_new(COUNT * sizeof(*events));
    struct event *found = memory_new(COUNT * sizeof(*found));
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        events[i] = trade(at_time("2022-01-15") + (int64_t)(i / 3),
                          1 + (int64_t)(hash64(1, i, 0) % 9999999),
                          (int64_t)hash64(2, i, 0) & 0xffff, (int)(i % 3) - 1);
        assert_int_equal(recorder_put(recorder, &events[i], &err), 0);
    }
    assert_int_equal(recorder_close(recorder, &err), 0);

    char path[200];
    snprintf(path, sizeof(path), "%s/BTC-USDT-trades.csv", room->directory);
    struct data_options options = options_of(path);
    struct data_info info;
    assert_int_equal(read_events(&options, &info, found, COUNT), COUNT);
    assert_int_equal(info.price_scale, 2);
    assert_int_equal(info.qty_scale, 5);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(found[i].time_ns == events[i].time_ns);
        assert_true(found[i].trade.price == events[i].trade.price);
        assert_true(found[i].trade.qty == events[i].trade.qty);
        assert_int_equal(found[i].trade.side, events[i].trade.side);
    }
    free(found);
    free(events);
    free(instruments);
}

static void bars_and_quotes_come_back_as_they_were(void **state)
{
    struct room *room = *state;
    struct instruments *instruments = two_instruments("BTC/USDT", "ETH/USDT");
    struct recorder *recorder;
    struct error err = { 0 };
    int64_t start_ns = at_time("2022-01-15");
    struct event found[4];
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), 0);
    for (int64_t i = 0; i < 3; i++) {
        struct event bar = { .kind = EVENT_BAR,
                             .time_ns = start_ns + (i + 1) * NS_PER_MINUTE,
                             .bar = { .open_ns = start_ns + i * NS_PER_MINUTE,
                                      .open = 101 + i,
                                      .high = 110 + i,
                                      .low = 99 + i,
                                      .close = 100 + i,
                                      .volume = 7 } };
        struct event quote = { .kind = EVENT_QUOTE,
                               .time_ns = start_ns + i,
                               .quote = { .bid = 99, .ask = 101 + i, .bid_qty = 0, .ask_qty = 3 } };
        assert_int_equal(recorder_put(recorder, &bar, &err), 0);
        assert_int_equal(recorder_put(recorder, &quote, &err), 0);
    }
    assert_int_equal(recorder_close(recorder, &err), 0);

    char path[200];
    snprintf(path, sizeof(path), "%s/BTC-USDT-bars.csv", room->directory);
    struct data_options options = options_of(path);
    struct data_info info;
    assert_int_equal(read_events(&options, &info, found, 4), 3);
    assert_true(found[2].time_ns == start_ns + 3 * NS_PER_MINUTE);
    assert_int_equal(found[2].bar.open, 103);
    assert_int_equal(found[2].bar.volume, 7);
    snprintf(path, sizeof(path), "%s/BTC-USDT-quotes.csv", room->directory);
    assert_int_equal(read_events(&options, &info, found, 4), 3);
    assert_int_equal(found[2].quote.ask, 103);
    assert_int_equal(found[2].quote.bid_qty, 0);
    assert_int_equal(found[2].quote.ask_qty, 3);
    free(instruments);
}

/* Two markets in one file would read back as one. */
static void symbols_that_share_a_file_are_refused(void **state)
{
    struct room *room = *state;
    struct instruments *instruments = two_instruments("BTC/USDT", "BTC-USDT");
    struct recorder *recorder;
    struct error err = { 0 };
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), ERROR_CONFIG);
    assert_non_null(strstr(err.message, "BTC-USDT-*.csv"));
    assert_null(recorder);
    free(instruments);
}

static void a_recording_that_cannot_be_written_says_so(void **state)
{
    struct room *room = *state;
    struct instruments *instruments = two_instruments("BTC/USDT", "ETH/USDT");
    struct recorder *recorder;
    struct error err = { 0 };
    char path[200];
    room_write(room, "file", "", 0);
    snprintf(path, sizeof(path), "%s/file/below", room->directory);
    assert_int_equal(recorder_open(path, instruments, &recorder, &err), ERROR_IO);

    snprintf(path, sizeof(path), "%s/BTC-USDT-trades.csv", room->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), 0);
    struct event event = trade(at_time("2022-01-15"), 1, 1, 0);
    assert_int_equal(recorder_put(recorder, &event, &err), ERROR_IO);
    assert_non_null(strstr(err.message, "BTC-USDT-trades.csv"));
    assert_int_equal(recorder_close(recorder, &err), 0);
    rmdir(path);

    assert_int_equal(symlink("/dev/full", path), 0);
    assert_int_equal(recorder_open(room->directory, instruments, &recorder, &err), 0);
    assert_int_equal(recorder_put(recorder, &event, &err), 0);
    assert_int_equal(recorder_close(recorder, &err), ERROR_IO);
    assert_int_equal(recorder_close(NULL, &err), 0);
    free(instruments);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_setup, room_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(each_kind_has_its_file),
        IN_ROOM(trades_come_back_as_they_were),
        IN_ROOM(bars_and_quotes_come_back_as_they_were),
        IN_ROOM(symbols_that_share_a_file_are_refused),
        IN_ROOM(a_recording_that_cannot_be_written_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
