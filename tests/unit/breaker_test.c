/* breaker_test.c - the circuit breaker: every state by every input, and both sides of each edge.
 * All times are made up; nothing waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/risk/breaker.h"

#define SECOND NS_PER_SECOND
#define START (INT64_C(1704067200) * SECOND)
#define FAST NS_PER_MS

static const struct breaker_options usual = { .failures = 5,
                                              .open_for_ns = 60 * SECOND,
                                              .half_open_probes = 3,
                                              .max_error_rate = 0.05,
                                              .max_latency_ns = 2 * SECOND,
                                              .price_jump_pct = 0.10 };

static struct breaker make(const struct breaker_options *options)
{
    struct breaker breaker;
    memset(&breaker, 0xff, sizeof(breaker));
    breaker_init(&breaker, options);
    return breaker;
}

/* One that a lost line opened at START: half open from START + 60 s on. */
static struct breaker make_open(void)
{
    struct breaker breaker = make(&usual);
    assert_true(breaker_trip(&breaker, START, 0, "disconnected", "the line is lost"));
    return breaker;
}

static struct breaker make_half_open(void)
{
    struct breaker breaker = make_open();
    assert_true(breaker_allows(&breaker, START + 60 * SECOND));
    return breaker;
}

/* ---- every state by every input ---- */

enum begin { CLOSED, OPEN, OPEN_DUE, BY_HAND, HALF_OPEN, PROBE_OUT, LAST_PROBE_OUT, BEGINS };
enum input { ALLOWS, SENT, GOOD, SLOW, FAILED, STEP, JUMP, TRIP, HAND_OPEN, HAND_CLOSE, INPUTS };

/* Within the minute that it is open for, or after it. */
static int64_t moment(enum begin begin)
{
    return begin == OPEN ? START + SECOND : START + 70 * SECOND;
}

static struct breaker in_state(enum begin begin)
{
    if (begin == CLOSED)
        return make(&usual);
    if (begin == OPEN || begin == OPEN_DUE)
        return make_open();
    if (begin == BY_HAND) {
        struct breaker breaker = make(&usual);
        assert_true(breaker_open(&breaker, START, "maintenance"));
        return breaker;
    }
    struct breaker breaker = make_half_open();
    int64_t now_ns = START + 61 * SECOND;
    for (int i = 0; begin == LAST_PROBE_OUT && i < 2; i++) {
        breaker_sent(&breaker, now_ns);
        assert_false(breaker_success(&breaker, now_ns, FAST));
    }
    if (begin != HALF_OPEN)
        breaker_sent(&breaker, now_ns);
    return breaker;
}

static bool feed(struct breaker *breaker, enum input input, int64_t now_ns)
{
    switch (input) {
    case ALLOWS:
        return breaker_allows(breaker, now_ns);
    case SENT:
        breaker_sent(breaker, now_ns);
        return false;
    case GOOD:
        return breaker_success(breaker, now_ns, FAST);
    case SLOW:
        return breaker_success(breaker, now_ns, 3 * SECOND);
    case FAILED:
        return breaker_failure(breaker, now_ns, "time-out");
    case STEP:
        return breaker_price(breaker, now_ns, 100, 101);
    case JUMP:
        return breaker_price(breaker, now_ns, 100, 120);
    case TRIP:
        return breaker_trip(breaker, now_ns, 0, "slow_down", "429");
    case HAND_OPEN:
        return breaker_open(breaker, now_ns, "by order");
    case HAND_CLOSE:
        return breaker_close(breaker);
    default:
        fail();
        return false;
    }
}

/* What each input returns, and the state after it: C, O, H; h is open by hand. */
static const char *const expected[BEGINS][INPUTS] = {
    /*                   ALLOWS SENT  GOOD  SLOW  FAILED STEP  JUMP  TRIP  HAND+ HAND- */
    [CLOSED] = { "1C", "0C", "0C", "0C", "0C", "0C", "1O", "1O", "1h", "0C" },
    [OPEN] = { "0O", "0O", "0O", "0O", "0O", "0O", "0O", "0O", "1h", "1C" },
    [OPEN_DUE] = { "1H", "0O", "0O", "0O", "0O", "0O", "0O", "0O", "1h", "1C" },
    [BY_HAND] = { "0h", "0h", "0h", "0h", "0h", "0h", "0h", "0h", "0h", "1C" },
    [HALF_OPEN] = { "1H", "0H", "0H", "1O", "1O", "0H", "1O", "1O", "1h", "1C" },
    [PROBE_OUT] = { "0H", "0H", "0H", "1O", "1O", "0H", "1O", "1O", "1h", "1C" },
    [LAST_PROBE_OUT] = { "0H", "0H", "1C", "1O", "1O", "0H", "1O", "1O", "1h", "1C" },
};

static char letter(const struct breaker *breaker)
{
    return breaker->by_hand ? 'h' : "COH"[breaker->state];
}

static void every_state_by_every_input(void **state)
{
    (void)state;
    for (enum begin begin = 0; begin < BEGINS; begin++)
        for (enum input input = 0; input < INPUTS; input++) {
            struct breaker breaker = in_state(begin);
            struct breaker before = breaker;
            bool said = feed(&breaker, input, moment(begin));
            char got[3] = { said ? '1' : '0', letter(&breaker), 0 };
            if (strcmp(got, expected[begin][input]) != 0)
                fail_msg("state %d, input %d: %s", begin, input, got);
            if (breaker.by_hand && breaker.state != BREAKER_OPEN)
                fail_msg("state %d, input %d: by hand, but not open", begin, input);
            bool opens = breaker.state == BREAKER_OPEN && before.state != BREAKER_OPEN;
            assert_int_equal(breaker.opened, before.opened + opens);
            assert_memory_equal(&breaker.options, &usual, sizeof(usual));
            /* Closed says nothing of why; all else does. */
            assert_int_equal(breaker.code[0] == 0, breaker.state == BREAKER_CLOSED);
            assert_int_equal(breaker.why[0] == 0, breaker.state == BREAKER_CLOSED);
            if (breaker.state != BREAKER_OPEN || before.state == BREAKER_OPEN || breaker.by_hand)
                continue;
            /* Just opened: for a minute from this input. */
            assert_int_equal(breaker.until_ns, moment(begin) + 60 * SECOND);
            assert_false(breaker_allows(&breaker, moment(begin) + 60 * SECOND - 1));
            assert_true(breaker_allows(&breaker, moment(begin) + 60 * SECOND));
        }
}

static void names_of_states(void **state)
{
    (void)state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

/* ---- failures in a row ---- */

static void failures_in_a_row(void **state)
{
    (void)state;
    struct breaker breaker = make(&usual);
    for (int i = 0; i < 4; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_false(breaker_success(&breaker, START, FAST)); /* the row begins anew */
    for (int i = 0; i < 4; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_true(breaker_allows(&breaker, START));
    assert_true(breaker_failure(&breaker, START, "502"));
    assert_false(breaker_allows(&breaker, START));
    assert_string_equal(breaker.code, "failures");
    assert_string_equal(breaker.why, "5 answers in a row failed: 502");
    assert_int_equal(breaker.opened, 1);

    struct breaker_options one = { .failures = 1, .open_for_ns = SECOND };
    breaker = make(&one);
    assert_true(breaker_failure(&breaker, START, NULL));
    assert_string_equal(breaker.why, "1 answers in a row failed: no reason given");
}

static void a_slow_answer_is_a_failure(void **state)
{
    (void)state;
    struct breaker_options options = usual;
    options.failures = 2;
    struct breaker breaker = make(&options);
    assert_false(breaker_success(&breaker, START, 2 * SECOND + 1));
    assert_false(breaker_success(&breaker, START, 2 * SECOND)); /* just in time */
    assert_false(breaker_success(&breaker, START, 2 * SECOND + 1));
    assert_true(breaker_success(&breaker, START, 2500 * NS_PER_MS));
    assert_string_equal(breaker.code, "failures");
    assert_string_equal(breaker.why,
                        "2 answers in a row failed: an answer took 2500.0 ms, allowed 2000.0 ms");

    options.max_latency_ns = 1000 * SECOND;
    breaker = make(&options);
    assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_true(breaker_success(&breaker, START, 2000 * SECOND));
    assert_string_equal(
        breaker.why,
        "2 answers in a row failed: an answer took 2000000.0 ms, allowed 1000000.0 ms");
    options.max_latency_ns = 2 * SECOND;

    static const int64_t fast[] = { 0, -1, INT64_MIN }; /* before it was asked: odd, but not slow */
    for (size_t i = 0; i < ARRAY_SIZE(fast); i++) {
        breaker = make(&options);
        assert_false(breaker_failure(&breaker, START, "time-out"));
        assert_false(breaker_success(&breaker, START, fast[i]));
        assert_int_equal(breaker.failed_in_a_row, 0);
    }
    breaker = make(&options);
    assert_false(breaker_success(&breaker, START, INT64_MAX));
    assert_int_equal(breaker.failed_in_a_row, 1);

    options.max_latency_ns = 1;
    breaker = make(&options);
    assert_false(breaker_success(&breaker, START, 1));
    assert_int_equal(breaker.failed_in_a_row, 0);
    assert_false(breaker_success(&breaker, START, 2));
    assert_int_equal(breaker.failed_in_a_row, 1);
}

/* ---- the share of failures ---- */

static struct breaker rated(double most)
{
    struct breaker_options options = { .max_error_rate = most, .open_for_ns = 60 * SECOND };
    return make(&options);
}

/* Answers, 'x' failed and '.' good; only the last may open it. */
static bool answer(struct breaker *breaker, const char *answers)
{
    bool opened = false;
    for (; *answers; answers++) {
        assert_false(opened);
        opened = *answers == 'x' ? breaker_failure(breaker, START, "502")
                                 : breaker_success(breaker, START, FAST);
    }
    return opened;
}

static void no_share_of_too_few_answers(void **state)
{
    (void)state;
    struct breaker breaker = rated(0.05);
    assert_false(answer(&breaker, "xxxxxxxxxxxxxxxxxxx")); /* 19 */
    assert_true(answer(&breaker, "x"));
    assert_string_equal(breaker.code, "error_rate");
    assert_string_equal(breaker.why, "20 of the last 20 answers failed");

    breaker = rated(0.05);
    assert_false(answer(&breaker, "xx................."));
    assert_true(answer(&breaker, ".")); /* the twentieth is good, two of them are too many still */
    assert_string_equal(breaker.why, "2 of the last 20 answers failed");

    breaker = rated(0.05);
    assert_false(answer(&breaker, "x..................")); /* 1 of 20 is not above 0.05 */
    assert_false(answer(&breaker, "."));
    assert_true(answer(&breaker, "x"));
    assert_string_equal(breaker.why, "2 of the last 21 answers failed");
}

/* 29 of 100 is not above 0.29; 0.29 * 100 is 28.999999999999996. */
static void a_share_at_its_edge(void **state)
{
    (void)state;
    for (int percent = 1; percent <= 99; percent++) {
        struct breaker breaker = rated(percent / 100.0);
        for (int i = 0; i < 100 - percent; i++)
            assert_false(answer(&breaker, "."));
        for (int i = 0; i < percent; i++)
            assert_false(answer(&breaker, "x"));
        assert_int_equal(breaker.window_failed, percent);
        assert_true(answer(&breaker, "x")); /* it takes the place of a good one */
    }
    struct breaker breaker = rated(1);
    for (int i = 0; i < 300; i++)
        assert_false(answer(&breaker, "x")); /* all is not above all */
}

/* The newest hundred: what went before is forgotten. */
static void the_share_is_of_the_newest(void **state)
{
    (void)state;
    struct breaker breaker = rated(0.05);
    for (int i = 0; i < 95; i++)
        assert_false(answer(&breaker, "."));
    assert_false(answer(&breaker, "xxxxx")); /* 5 of 100 */
    for (int i = 0; i < 95; i++)
        assert_false(answer(&breaker, "."));
    assert_int_equal(breaker.window_failed, 5);
    assert_false(answer(&breaker, "x")); /* the first of the five is out */
    assert_int_equal(breaker.window_failed, 5);
    assert_false(answer(&breaker, "xxxx"));
    assert_int_equal(breaker.window_count, 100);
    assert_true(answer(&breaker, "x"));
    assert_string_equal(breaker.why, "6 of the last 100 answers failed");
}

/* ---- prices ---- */

static void prices(void **state)
{
    (void)state;
    static const struct {
        double before, now;
        bool opens;
    } cases[] = {
        { 100, 110, false },
        { 100, 90, false },
        { 100, 110.00000001, true },
        { 100, 89.99999999, true },
        { 100, 100, false },
        { 100, 0, true },
        { 100, -0.0, true },
        { 100, -100, true },
        { 100, NAN, true },
        { 100, INFINITY, true },
        { 100, -INFINITY, true },
        { NAN, 100, false },
        { INFINITY, 100, false },
        { -INFINITY, 100, false },
        { 0, 100, false },
        { -0.0, 100, false },
        { -100, 100, false },
        { NAN, NAN, false },
        { 0, 0, false },
        { 1e-320, 1e308, true },
        { 1e308, 1e-320, true },
        { 5e-324, 5e-324, false },
        { 1e308, 1.05e308, false },
        { 5e-324, 1e-323, true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct breaker breaker = make(&usual);
        if (breaker_price(&breaker, START, cases[i].before, cases[i].now) != cases[i].opens)
            fail_msg("case %zu: %g to %g", i, cases[i].before, cases[i].now);
        assert_int_equal(breaker.state, cases[i].opens ? BREAKER_OPEN : BREAKER_CLOSED);
    }
    struct breaker breaker = make(&usual);
    assert_true(breaker_price(&breaker, START, 42000.5, 50000));
    assert_string_equal(breaker.code, "price_jump");
    assert_string_equal(breaker.why, "a price went from 42000.5 to 50000, allowed is 0.1 of it");
    assert_int_equal(breaker.until_ns, START + 60 * SECOND);
    /* More jumps while it is open change nothing, not even its end. */
    assert_false(breaker_price(&breaker, START + SECOND, 100, 200));
    assert_int_equal(breaker.until_ns, START + 60 * SECOND);

    struct breaker_options whole = usual;
    whole.price_jump_pct = 1;
    breaker = make(&whole);
    assert_false(breaker_price(&breaker, START, 100, 200));
    assert_true(breaker_price(&breaker, START, 100, 0)); /* no price, though it moved by 1 only */
}

/* ---- what does not bind ---- */

static void a_zero_does_not_bind(void **state)
{
    (void)state;
    struct breaker_options none = { 0 };
    struct breaker breaker = make(&none);
    for (int i = 0; i < 1000; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_false(breaker_success(&breaker, START, INT64_MAX));
    assert_int_equal(breaker.failed_in_a_row, 0);
    assert_false(breaker_price(&breaker, START, 100, 100000));
    assert_false(breaker_price(&breaker, START, 100, NAN));
    assert_true(breaker_allows(&breaker, START));

    struct breaker_options odd = { .max_error_rate = NAN,
                                   .price_jump_pct = NAN,
                                   .max_latency_ns = -1 };
    breaker = make(&odd);
    for (int i = 0; i < 200; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_false(breaker_price(&breaker, START, 100, 100000));
    assert_false(breaker_success(&breaker, START, 1));
    assert_int_equal(breaker.failed_in_a_row, 0);

    /* No open_for: half open at once. No half_open_probes: one. */
    breaker = make(&none);
    assert_true(breaker_trip(&breaker, START, 0, "disconnected", "lost"));
    assert_int_equal(breaker.until_ns, START);
    assert_false(breaker_allows(&breaker, START - 1));
    assert_true(breaker_allows(&breaker, START));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    breaker_sent(&breaker, START);
    assert_true(breaker_success(&breaker, START, FAST));
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

/* Each way of opening by itself is as long as open_for, to the nanosecond. */
static void how_long_it_opens(void **state)
{
    (void)state;
    struct breaker_options options = { .failures = 1, .half_open_probes = 1 };
    struct breaker breaker = make(&options);
    assert_true(breaker_failure(&breaker, START, "502"));
    assert_int_equal(breaker.until_ns, START);
    assert_true(breaker_allows(&breaker, START));
    assert_true(breaker_failure(&breaker, START + 7, "502")); /* probe_failed */
    assert_int_equal(breaker.until_ns, START + 7);
    breaker = rated(0.5);
    breaker.options.open_for_ns = 0;
    assert_true(answer(&breaker, "xxxxxxxxxxxxxxxxxxxx"));
    assert_int_equal(breaker.until_ns, START);
    breaker = make(&usual);
    breaker.options.open_for_ns = 0;
    assert_true(breaker_price(&breaker, START, 100, 200));
    assert_int_equal(breaker.until_ns, START);
}

/* ---- half open ---- */

static void probes_one_at_a_time(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    int64_t now_ns = START + 60 * SECOND;
    for (int probe = 0; probe < 3; probe++) {
        assert_true(breaker_allows(&breaker, now_ns));
        assert_true(breaker_allows(&breaker, now_ns)); /* asked is not sent */
        breaker_sent(&breaker, now_ns);
        assert_int_equal(breaker.probes_out, 1);
        assert_false(breaker_allows(&breaker, now_ns));
        assert_false(breaker_allows(&breaker, now_ns + SECOND));
        assert_int_equal(breaker_success(&breaker, now_ns + SECOND, FAST), probe == 2);
        now_ns += 2 * SECOND;
    }
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_true(breaker_allows(&breaker, now_ns));
    assert_int_equal(breaker.opened, 1);
    /* What failed before is forgotten, why it opened too. */
    assert_int_equal(breaker.failed_in_a_row, 0);
    assert_int_equal(breaker.window_count, 0);
    assert_string_equal(breaker.code, "");
}

static void the_first_probe_that_fails_opens_it_again(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    int64_t now_ns = START + 61 * SECOND;
    breaker_sent(&breaker, now_ns);
    assert_false(breaker_success(&breaker, now_ns, FAST));
    breaker_sent(&breaker, now_ns);
    assert_true(breaker_failure(&breaker, now_ns + SECOND, "time-out"));
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_string_equal(breaker.code, "probe_failed");
    assert_string_equal(breaker.why, "time-out");
    assert_int_equal(breaker.opened, 2);
    assert_false(breaker_allows(&breaker, now_ns + 61 * SECOND - 1));
    assert_true(breaker_allows(&breaker, now_ns + 61 * SECOND));
    /* From the beginning: three good ones are needed again, and none is out. */
    for (int i = 0; i < 3; i++) {
        assert_true(breaker_allows(&breaker, now_ns + 62 * SECOND));
        breaker_sent(&breaker, now_ns + 62 * SECOND);
        assert_int_equal(breaker_success(&breaker, now_ns + 62 * SECOND, FAST), i == 2);
    }
}

/* Cancels and exits leave while it is half open too: without a probe their success proves nothing.
 */
static void a_success_without_a_probe_is_no_probe(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    for (int i = 0; i < 10; i++)
        assert_false(breaker_success(&breaker, START + 61 * SECOND, FAST));
    assert_int_equal(breaker.probes_good, 0);
    breaker_sent(&breaker, START + 61 * SECOND);
    for (int i = 0; i < 10; i++)
        assert_false(breaker_success(&breaker, START + 61 * SECOND, FAST));
    assert_int_equal(breaker.probes_good, 1);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
}

/* A probe that nobody answers does not keep it half open for ever. */
static void a_lost_probe_makes_room_for_another(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    int64_t sent_ns = START + 100 * SECOND;
    breaker_sent(&breaker, sent_ns);
    assert_false(breaker_allows(&breaker, sent_ns + BREAKER_PROBE_LOST_NS - 1));
    assert_true(breaker_allows(&breaker, sent_ns + BREAKER_PROBE_LOST_NS));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    breaker_sent(&breaker, sent_ns + BREAKER_PROBE_LOST_NS);
    assert_int_equal(breaker.probes_out, 1);
    assert_false(breaker_allows(&breaker, sent_ns + BREAKER_PROBE_LOST_NS));
    assert_int_equal(breaker.probes_good, 0);
}

/* A probe that never left leaves its place to another, and is not what an answer is to. In another
 * state there is nothing to take back. */
static void a_probe_that_never_left_is_none(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    breaker_sent(&breaker, START + 61 * SECOND);
    assert_false(breaker_allows(&breaker, START + 61 * SECOND));
    breaker_take_back(&breaker);
    assert_false(breaker_success(&breaker, START + 61 * SECOND, FAST));
    assert_int_equal(breaker.probes_good, 0);
    assert_true(breaker_allows(&breaker, START + 61 * SECOND));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    breaker = make(&usual);
    breaker_take_back(&breaker);
    assert_true(breaker_allows(&breaker, START));
    breaker = make_open();
    breaker_take_back(&breaker);
    assert_false(breaker_allows(&breaker, START + SECOND));
}

/* Nothing was out when a probe was sent in another state. */
static void sent_while_not_half_open_is_no_probe(void **state)
{
    (void)state;
    struct breaker breaker = make(&usual);
    breaker_sent(&breaker, START);
    assert_int_equal(breaker.probes_out, 0);
    breaker = make_open();
    breaker_sent(&breaker, START + SECOND);
    assert_int_equal(breaker.probes_out, 0);
    assert_int_equal(breaker.until_ns, START + 60 * SECOND);
}

/* Opened with a probe out, and half open again: that probe is not waited for. */
static void a_probe_of_before_is_forgotten(void **state)
{
    (void)state;
    struct breaker breaker = make_half_open();
    breaker_sent(&breaker, START + 61 * SECOND);
    assert_false(breaker_success(&breaker, START + 61 * SECOND, FAST));
    breaker_sent(&breaker, START + 61 * SECOND);
    assert_true(breaker_trip(&breaker, START + 62 * SECOND, 0, "disconnected", "lost"));
    assert_false(breaker_success(&breaker, START + 63 * SECOND, FAST)); /* late: does not count */
    assert_true(breaker_allows(&breaker, START + 122 * SECOND));
    assert_int_equal(breaker.probes_out, 0);
    assert_int_equal(breaker.probes_good, 0);
}

/* Late answers of what left before it opened say nothing of the venue now. */
static void answers_while_open_do_not_count(void **state)
{
    (void)state;
    struct breaker breaker = make_open();
    struct breaker before = breaker;
    for (int i = 0; i < 50; i++) {
        assert_false(breaker_failure(&breaker, START + SECOND, "time-out"));
        assert_false(breaker_success(&breaker, START + SECOND, FAST));
    }
    assert_memory_equal(&breaker, &before, sizeof(breaker));
}

/* ---- opened from outside ---- */

static void a_trip_is_as_long_as_asked(void **state)
{
    (void)state;
    static const struct {
        int64_t for_ns, opens_for_ns;
    } cases[] = {
        { 0, 60 * SECOND },
        { -SECOND, 60 * SECOND },
        { INT64_MIN, 60 * SECOND },
        { 60 * SECOND - 1, 60 * SECOND },
        { 60 * SECOND + 1, 60 * SECOND + 1 },
        { 3600 * SECOND, 3600 * SECOND },
        { INT64_MAX, TIME_NEVER - START },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct breaker breaker = make(&usual);
        assert_true(breaker_trip(&breaker, START, cases[i].for_ns, "slow_down", "429"));
        assert_int_equal(breaker.until_ns, START + cases[i].opens_for_ns);
        assert_string_equal(breaker.code, "slow_down");
        assert_string_equal(breaker.why, "429");
    }
}

static void a_second_trip_can_only_make_it_longer(void **state)
{
    (void)state;
    struct breaker breaker = make_open();                               /* until START + 60 s */
    assert_false(breaker_trip(&breaker, START, 0, "slow_down", "429")); /* as long: the first */
    assert_string_equal(breaker.code, "disconnected");
    assert_false(breaker_trip(&breaker, START - SECOND, 0, "slow_down", "429"));
    assert_int_equal(breaker.until_ns, START + 60 * SECOND);
    assert_string_equal(breaker.code, "disconnected");
    assert_false(breaker_trip(&breaker, START + 1, 0, "slow_down", "429"));
    assert_int_equal(breaker.until_ns, START + 60 * SECOND + 1);
    assert_string_equal(breaker.code, "slow_down");
    assert_string_equal(breaker.why, "429");
    assert_int_equal(breaker.opened, 1);
}

static void texts_that_are_too_long_are_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    struct breaker breaker = make(&usual);
    assert_true(breaker_trip(&breaker, START, 0, text, text));
    assert_int_equal(strlen(breaker.code), sizeof(breaker.code) - 1);
    assert_int_equal(strlen(breaker.why), sizeof(breaker.why) - 1);
    breaker = make(&usual);
    for (int i = 0; i < 5; i++)
        assert_int_equal(breaker_failure(&breaker, START, text), i == 4);
    assert_int_equal(strlen(breaker.why), sizeof(breaker.why) - 1);
    breaker = make(&usual);
    assert_true(breaker_trip(&breaker, START, 0, "disconnected", NULL));
    assert_string_equal(breaker.why, "");
}

/* ---- by hand ---- */

static void by_hand_time_does_not_close_it(void **state)
{
    (void)state;
    struct breaker breaker = make_open();
    assert_true(breaker_open(&breaker, START + SECOND, "maintenance"));
    assert_int_equal(breaker.opened, 1); /* it was open */
    assert_string_equal(breaker.code, "by_hand");
    assert_string_equal(breaker.why, "maintenance");
    assert_int_equal(breaker.until_ns, TIME_NEVER);
    assert_false(breaker_allows(&breaker, START + 60 * SECOND));
    assert_false(breaker_allows(&breaker, TIME_NEVER));
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_false(breaker_trip(&breaker, TIME_NEVER, INT64_MAX, "disconnected", "lost"));
    assert_false(breaker_open(&breaker, START + 2 * SECOND, "again"));
    assert_string_equal(breaker.why, "maintenance");
    assert_true(breaker_close(&breaker));
    assert_true(breaker_allows(&breaker, START));
    assert_int_equal(breaker.opened, 1);
    assert_int_equal(breaker.until_ns, 0);
}

static void closing_forgets_what_failed(void **state)
{
    (void)state;
    struct breaker breaker = make(&usual);
    for (int i = 0; i < 4; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_false(breaker_close(&breaker)); /* it was closed */
    struct breaker fresh = make(&usual);
    assert_memory_equal(&breaker, &fresh, sizeof(fresh));
    for (int i = 0; i < 4; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_true(breaker_failure(&breaker, START, "time-out"));
    assert_true(breaker_close(&breaker));
    assert_int_equal(breaker.window_count, 0);
    for (int i = 0; i < 4; i++)
        assert_false(breaker_failure(&breaker, START, "time-out"));
    assert_int_equal(breaker.opened, 1);
}

/* ---- time ---- */

static void time_that_leaps(void **state)
{
    (void)state;
    struct breaker breaker = make_open();
    assert_false(breaker_allows(&breaker, START - NS_PER_DAY));
    assert_false(breaker_allows(&breaker, INT64_MIN));
    assert_false(breaker_allows(&breaker, START + 60 * SECOND - 1));
    assert_true(breaker_allows(&breaker, START + 80000 * NS_PER_DAY));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    /* Half open it stays, whatever the clock says; so does a probe that is out. */
    assert_true(breaker_allows(&breaker, START - NS_PER_DAY));
    breaker_sent(&breaker, START);
    assert_false(breaker_allows(&breaker, INT64_MIN));

    /* At the end of time it opens until then. */
    breaker = make(&usual);
    assert_true(breaker_trip(&breaker, TIME_NEVER - SECOND, 0, "disconnected", "lost"));
    assert_int_equal(breaker.until_ns, TIME_NEVER);
    assert_false(breaker_allows(&breaker, TIME_NEVER - 1));
    assert_true(breaker_allows(&breaker, TIME_NEVER));
    breaker_sent(&breaker, TIME_NEVER - 1);
    assert_int_equal(breaker.until_ns, TIME_NEVER);

    /* Before 1970 too. */
    breaker = make(&usual);
    assert_true(breaker_trip(&breaker, INT64_MIN, 0, "disconnected", "lost"));
    assert_int_equal(breaker.until_ns, INT64_MIN + 60 * SECOND);
    assert_true(breaker_allows(&breaker, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_by_every_input),
        cmocka_unit_test(names_of_states),
        cmocka_unit_test(failures_in_a_row),
        cmocka_unit_test(a_slow_answer_is_a_failure),
        cmocka_unit_test(no_share_of_too_few_answers),
        cmocka_unit_test(a_share_at_its_edge),
        cmocka_unit_test(the_share_is_of_the_newest),
        cmocka_unit_test(prices),
        cmocka_unit_test(a_zero_does_not_bind),
        cmocka_unit_test(how_long_it_opens),
        cmocka_unit_test(probes_one_at_a_time),
        cmocka_unit_test(the_first_probe_that_fails_opens_it_again),
        cmocka_unit_test(a_success_without_a_probe_is_no_probe),
        cmocka_unit_test(a_lost_probe_makes_room_for_another),
        cmocka_unit_test(a_probe_that_never_left_is_none),
        cmocka_unit_test(sent_while_not_half_open_is_no_probe),
        cmocka_unit_test(a_probe_of_before_is_forgotten),
        cmocka_unit_test(answers_while_open_do_not_count),
        cmocka_unit_test(a_trip_is_as_long_as_asked),
        cmocka_unit_test(a_second_trip_can_only_make_it_longer),
        cmocka_unit_test(texts_that_are_too_long_are_cut),
        cmocka_unit_test(by_hand_time_does_not_close_it),
        cmocka_unit_test(closing_forgets_what_failed),
        cmocka_unit_test(time_that_leaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
