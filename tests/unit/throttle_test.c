/* throttle_test.c - sliding windows, against a plain list of all that was noted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/risk/throttle.h"

#define SECOND NS_PER_SECOND
#define MUCH 1000

static void the_edge_of_a_window(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 3);
    assert_int_equal(throttle_within(&throttle, 0, SECOND, MUCH), 0);
    assert_false(throttle_is_full(&throttle, 0, SECOND, 1));
    throttle_note(&throttle, 10 * SECOND);
    /* Later than now - window: a nanosecond before the second is over it still counts. */
    assert_int_equal(throttle_within(&throttle, 10 * SECOND, SECOND, MUCH), 1);
    assert_int_equal(throttle_within(&throttle, 11 * SECOND - 1, SECOND, MUCH), 1);
    assert_int_equal(throttle_within(&throttle, 11 * SECOND, SECOND, MUCH), 0);
    assert_true(throttle_is_full(&throttle, 11 * SECOND - 1, SECOND, 1));
    assert_false(throttle_is_full(&throttle, 11 * SECOND, SECOND, 1));
    assert_false(throttle_is_full(&throttle, 11 * SECOND - 1, SECOND, 2));
    throttle_note(&throttle, 11 * SECOND - 1);
    assert_int_equal(throttle_within(&throttle, 11 * SECOND - 1, SECOND, MUCH), 2);
    assert_true(throttle_is_full(&throttle, 11 * SECOND - 1, SECOND, 2));
    assert_int_equal(throttle_within(&throttle, 11 * SECOND, SECOND, MUCH), 1);
    assert_false(throttle_is_full(&throttle, 11 * SECOND, SECOND, 2));
    throttle_release(&throttle);
}

static void no_further_than_asked_nor_than_the_size(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 3);
    for (int i = 0; i < 20; i++)
        throttle_note(&throttle, i);
    assert_int_equal(throttle.count, 20);
    assert_int_equal(throttle_within(&throttle, 20, SECOND, 0), 0);
    assert_int_equal(throttle_within(&throttle, 20, SECOND, 2), 2);
    assert_int_equal(throttle_within(&throttle, 20, SECOND, 3), 3);
    assert_int_equal(throttle_within(&throttle, 20, SECOND, 4), 3);
    assert_true(throttle_is_full(&throttle, 20, SECOND, 3));
    assert_true(throttle_is_full(&throttle, 20, 4, 3)); /* 17, 18 and 19 are later than 16 */
    assert_false(throttle_is_full(&throttle, 20, 3, 3));
    assert_true(throttle_is_full(&throttle, 20, 3, 2));
    throttle_release(&throttle);
}

static void without_a_size_nothing_is_counted(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 0);
    throttle_note(&throttle, 1);
    throttle_take_back(&throttle, 1);
    throttle_note(&throttle, 2);
    assert_null(throttle.times);
    assert_int_equal(throttle.count, 0);
    assert_int_equal(throttle_within(&throttle, 2, SECOND, MUCH), 0);
    throttle_release(&throttle);

    throttle_init(&throttle, THROTTLE_MAX);
    assert_non_null(throttle.times);
    throttle_note(&throttle, 2);
    throttle_release(&throttle);
    assert_null(throttle.times);
    assert_int_equal(throttle.size, 0);
    throttle_release(&throttle); /* twice is harmless */
}

/* Of another size: what is known of the old window counts on, oldest first. */
static void another_size_counts_on(void **state)
{
    (void)state;
    static const struct {
        int noted;
        uint32_t taken_back, adopted;
        int oldest, newest;
    } cases[] = {
        { 0, 0, 0, 0, 0 },   { 1, 0, 1, 1, 1 },   { 3, 0, 3, 1, 3 },
        { 8, 0, 8, 1, 8 },   { 12, 0, 8, 5, 12 }, /* twice the size is known */
        { 12, 2, 6, 5, 10 },                      /* and what was taken back is lost */
        { 3, 1, 2, 1, 2 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct throttle from, to;
        throttle_init(&from, 4);
        throttle_init(&to, 10);
        for (int now = 1; now <= cases[i].noted; now++)
            throttle_note(&from, now);
        throttle_take_back(&from, cases[i].taken_back);
        throttle_adopt(&to, &from);
        uint32_t count = cases[i].adopted;
        assert_int_equal(to.count, count);
        assert_int_equal(throttle_within(&to, 100, 101 - cases[i].oldest, MUCH), count);
        if (count > 0) {
            assert_int_equal(throttle_within(&to, 100, 100 - cases[i].oldest, MUCH), count - 1);
            assert_int_equal(throttle_within(&to, 100, 101 - cases[i].newest, MUCH), 1);
            assert_int_equal(throttle_within(&to, 100, 100 - cases[i].newest, MUCH), 0);
        }
        throttle_release(&from);
        throttle_release(&to);
    }
    /* None of none, and none to one. */
    struct throttle none, one;
    throttle_init(&none, 0);
    throttle_init(&one, 1);
    throttle_adopt(&one, &none);
    assert_int_equal(one.count, 0);
    throttle_note(&one, 7);
    throttle_adopt(&none, &one);
    assert_int_equal(none.count, 0);
    throttle_release(&one);
}

static void times_at_the_ends_of_time(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 2);
    throttle_note(&throttle, INT64_MIN);
    assert_true(throttle_is_full(&throttle, INT64_MIN, 1, 1)); /* now - window is no time */
    assert_true(throttle_is_full(&throttle, INT64_MIN, INT64_MAX, 1));
    assert_true(throttle_is_full(&throttle, INT64_MIN + 6, 7, 1));
    assert_false(throttle_is_full(&throttle, INT64_MIN + 7, 7, 1));
    assert_false(throttle_is_full(&throttle, INT64_MAX, INT64_MAX, 1));
    throttle_note(&throttle, INT64_MAX);
    assert_int_equal(throttle_within(&throttle, INT64_MAX, 1, MUCH), 1);
    assert_int_equal(throttle_within(&throttle, INT64_MAX, 0, MUCH), 0);
    throttle_release(&throttle);
}

/* A clock that goes back makes no room. */
static void time_that_goes_backwards(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 3);
    throttle_note(&throttle, 100 * SECOND);
    throttle_note(&throttle, 40 * SECOND); /* counts as of 100 */
    assert_int_equal(throttle_within(&throttle, 40 * SECOND, SECOND, MUCH), 2);
    assert_int_equal(throttle_within(&throttle, 101 * SECOND - 1, SECOND, MUCH), 2);
    assert_int_equal(throttle_within(&throttle, 101 * SECOND, SECOND, MUCH), 0);
    assert_true(throttle_is_full(&throttle, 1, SECOND, 2));
    throttle_release(&throttle);
}

static void what_is_taken_back_never_was(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 3);
    for (int i = 1; i <= 4; i++)
        throttle_note(&throttle, i * SECOND);
    for (int repeat = 0; repeat < 5; repeat++) {
        for (int i = 0; i < 3; i++)
            throttle_note(&throttle, 5 * SECOND);
        throttle_take_back(&throttle, 3);
        /* 2, 3 and 4 are known still. */
        assert_int_equal(throttle.count, 4);
        assert_int_equal(throttle_within(&throttle, 5 * SECOND, SECOND, MUCH), 0);
        assert_int_equal(throttle_within(&throttle, 5 * SECOND, 2 * SECOND, MUCH), 1);
        assert_int_equal(throttle_within(&throttle, 5 * SECOND, 3 * SECOND, MUCH), 2);
        assert_int_equal(throttle_within(&throttle, 5 * SECOND, 4 * SECOND, MUCH), 3);
    }
    throttle_take_back(&throttle, 0);
    assert_int_equal(throttle.count, 4);
    throttle_note(&throttle, 6 * SECOND);
    throttle_take_back(&throttle, 1);
    assert_int_equal(throttle_within(&throttle, 6 * SECOND, 3 * SECOND, MUCH), 1);
    throttle_release(&throttle);
}

/* Five in one callback where three are remembered: two of the five stay counted. */
static void more_than_the_size_taken_back_counts_too_many(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 3);
    throttle_note(&throttle, 1 * SECOND);
    for (int i = 0; i < 5; i++)
        throttle_note(&throttle, 9 * SECOND);
    throttle_take_back(&throttle, 5);
    assert_int_equal(throttle.count, 3);
    assert_int_equal(throttle_within(&throttle, 9 * SECOND, SECOND, MUCH), 2);
    assert_int_equal(throttle_within(&throttle, 9 * SECOND, 9 * SECOND, MUCH), 3);
    throttle_take_back(&throttle, 2); /* no further: what was before is lost */
    assert_int_equal(throttle.count, 3);
    assert_int_equal(throttle_within(&throttle, 10 * SECOND, SECOND, MUCH), 0);
    throttle_release(&throttle);
}

/* ---- the same, by a list that forgets nothing ---- */

struct list {
    int64_t times[200000];
    size_t count;
};

static uint32_t list_within(const struct list *list, int64_t now_ns, int64_t window_ns)
{
    uint32_t count = 0;
    for (size_t i = list->count; i-- > 0 && list->times[i] > now_ns - window_ns;)
        count++;
    return count;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Callbacks that note a few events, some of them taken back, at times that stand still, creep and
 * leap; after each event every answer is the list's. */
static void compare(uint32_t size, uint64_t seed, size_t events)
{
    static struct list list;
    list.count = 0;
    struct throttle throttle;
    throttle_init(&throttle, size);
    struct random random;
    random_seed(&random, seed);
    int64_t now_ns = -500;
    for (size_t done = 0; done < events;) {
        uint64_t pace = random_below(&random, 20);
        now_ns += pace == 0 ? 500 : pace < 12 ? (int64_t)random_below(&random, 30) : 0;
        uint32_t asked = (uint32_t)random_below(&random, size + 1);
        for (uint32_t i = 0; i < asked; i++, done++) {
            throttle_note(&throttle, now_ns);
            list.times[list.count++] = now_ns;
            int64_t window_ns = (int64_t)random_below(&random, 200);
            uint32_t most = 1 + (uint32_t)random_below(&random, size);
            uint32_t within = list_within(&list, now_ns, window_ns);
            assert_int_equal(throttle_within(&throttle, now_ns, window_ns, most),
                             least(within, most));
            assert_int_equal(throttle_is_full(&throttle, now_ns, window_ns, most), within >= most);
        }
        if (random_below(&random, 4) > 0)
            continue;
        uint32_t back = (uint32_t)random_below(&random, asked + 1);
        throttle_take_back(&throttle, back);
        list.count -= back;
        assert_int_equal(throttle.count, list.count);
        for (int64_t window_ns = 0; window_ns < 200; window_ns += 7)
            assert_int_equal(throttle_within(&throttle, now_ns + 3, window_ns, size),
                             least(list_within(&list, now_ns + 3, window_ns), size));
    }
    throttle_release(&throttle);
}

static void as_a_list_that_forgets_nothing(void **state)
{
    (void)state;
    compare(1, 1, 10000);
    compare(2, 2, 20000);
    compare(7, 3, 30000);
    compare(10, 4, 30000);
    compare(100, 5, 30000);
}

/* No instant sees more than the limit when each event asks first. */
static void a_storm_passes_at_the_limit_exactly(void **state)
{
    (void)state;
    enum { LIMIT = 10, STORM = 100000 };
    static int64_t sent[STORM];
    size_t count = 0;
    struct throttle throttle;
    throttle_init(&throttle, LIMIT);
    for (int i = 0; i < STORM; i++) { /* one each millisecond */
        int64_t now_ns = i * NS_PER_MS;
        if (throttle_is_full(&throttle, now_ns, SECOND, LIMIT))
            continue;
        throttle_note(&throttle, now_ns);
        sent[count++] = now_ns;
    }
    /* Ten at the start of each of 100 seconds: at 0..9 ms, then as each leaves the window. */
    assert_int_equal(count, 1000);
    for (size_t i = LIMIT; i < count; i++)
        assert_true(sent[i] - sent[i - LIMIT] >= SECOND);
    assert_int_equal(sent[LIMIT], SECOND);
    throttle_release(&throttle);
}

static void what_orders_may_use_of_a_limit(void **state)
{
    (void)state;
    static const struct {
        uint32_t limit;
        double reserve;
        uint32_t orders;
    } cases[] = {
        { 10, 0.2, 8 },
        { 10, 0, 10 },
        { 10, 0.25, 7 }, /* 2.5 kept: 3 */
        { 10, 0.01, 9 },
        { 1, 0.2, 1 },
        { 1, 0, 1 },
        { 2, 0.5, 1 },
        { 2, 0.51, 1 },
        { 10, 0.9, 1 },
        { 10, 0.999, 1 }, /* at least one */
        { 20, 0.9, 2 },
        { 20, 0.35, 13 },
        { 25, 0.28, 18 }, /* 7.000000000000001 */
        { 100, 0.07, 93 },
        { 100000, 0.2, 80000 },
        { 100000, 0.00001, 99999 },
        { 100000, 1e-40, 100000 },
        { 3, 0.34, 1 },
        { 3, 0.33, 2 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(throttle_for_orders(cases[i].limit, cases[i].reserve), cases[i].orders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_edge_of_a_window),
        cmocka_unit_test(no_further_than_asked_nor_than_the_size),
        cmocka_unit_test(without_a_size_nothing_is_counted),
        cmocka_unit_test(another_size_counts_on),
        cmocka_unit_test(times_at_the_ends_of_time),
        cmocka_unit_test(time_that_goes_backwards),
        cmocka_unit_test(what_is_taken_back_never_was),
        cmocka_unit_test(more_than_the_size_taken_back_counts_too_many),
        cmocka_unit_test(as_a_list_that_forgets_nothing),
        cmocka_unit_test(a_storm_passes_at_the_limit_exactly),
        cmocka_unit_test(what_orders_may_use_of_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
