/* blotter_test.c - the orders of a session: found, listed, forgotten in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "runtime/base/random.h"
#include "runtime/engine/blotter.h"

#define KEPT 4
#define OPEN_MAX 8

static int open_blotter(void **state)
{
    *state = blotter_open(OPEN_MAX, KEPT);
    return 0;
}

static int close_blotter(void **state)
{
    blotter_close(*state);
    return 0;
}

static struct order *add(struct blotter *blotter, uint64_t id, enum order_status known)
{
    struct order order = { .order_id = id, .known = known, .qty = DECIMAL_ZERO };
    snprintf(order.client_order_id, sizeof(order.client_order_id), "c%u", (unsigned)id);
    return blotter_add(blotter, &order);
}

static void end(struct blotter *blotter, uint64_t id)
{
    struct order *order = blotter_find(blotter, id);
    order->known = ORDER_FILLED;
    blotter_update(blotter, order);
}

static void an_order_is_found_by_both_ids(void **state)
{
    struct blotter *blotter = *state;
    struct order *order = add(blotter, 7, ORDER_NEW);
    assert_ptr_equal(blotter_find(blotter, 7), order);
    assert_ptr_equal(blotter_find_client(blotter, "c7"), order);
    assert_null(blotter_find(blotter, 6));
    assert_null(blotter_find(blotter, 8));
    assert_null(blotter_find_client(blotter, "c8"));
    assert_null(blotter_find_client(blotter, ""));
}

static void only_open_orders_are_limited(void **state)
{
    struct blotter *blotter = *state;
    for (uint64_t id = 1; id <= OPEN_MAX; id++)
        assert_non_null(add(blotter, id, ORDER_NEW));
    assert_null(add(blotter, 20, ORDER_NEW));
    assert_null(blotter_find(blotter, 20));
    end(blotter, 3);
    assert_non_null(add(blotter, 21, ORDER_NEW));
    assert_int_equal(blotter_open_count(blotter), OPEN_MAX);
    assert_int_equal(blotter_count(blotter), OPEN_MAX + 1);
}

static void open_orders_are_listed_oldest_first(void **state)
{
    struct blotter *blotter = *state;
    for (uint64_t id = 1; id <= 5; id++)
        add(blotter, id, ORDER_NEW);
    end(blotter, 1);
    end(blotter, 4);
    const uint64_t expected[] = { 2, 3, 5 };
    assert_int_equal(blotter_open_count(blotter), ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_int_equal(blotter_open_at(blotter, i)->order_id, expected[i]);
}

/* A replace that raises a filled order's quantity reopens it. */
static void an_order_that_lives_again_returns_to_its_place(void **state)
{
    struct blotter *blotter = *state;
    for (uint64_t id = 1; id <= 3; id++)
        add(blotter, id, ORDER_NEW);
    end(blotter, 2);
    struct order *order = blotter_find(blotter, 2);
    order->known = ORDER_PARTIALLY_FILLED;
    blotter_update(blotter, order);
    blotter_update(blotter, order);
    assert_int_equal(blotter_open_count(blotter), 3);
    assert_int_equal(blotter_open_at(blotter, 1)->order_id, 2);
}

/* The ledger tells open orders instance by instance, so their ids do not ascend over all. */
static void orders_may_come_in_any_order_of_ids(void **state)
{
    struct blotter *blotter = *state;
    const uint64_t given[] = { 4, 9, 2, 6 };
    for (size_t i = 0; i < ARRAY_SIZE(given); i++)
        assert_non_null(add(blotter, given[i], ORDER_NEW));
    const uint64_t sorted[] = { 2, 4, 6, 9 };
    for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
        assert_int_equal(blotter_at(blotter, i)->order_id, sorted[i]);
        assert_int_equal(blotter_open_at(blotter, i)->order_id, sorted[i]);
        assert_int_equal(blotter_find(blotter, sorted[i])->order_id, sorted[i]);
    }
}

static void a_dropped_order_is_forgotten_whole(void **state)
{
    struct blotter *blotter = *state;
    add(blotter, 1, ORDER_NEW);
    add(blotter, 2, ORDER_PENDING_NEW);
    blotter_drop(blotter, 2);
    blotter_drop(blotter, 2);
    assert_null(blotter_find(blotter, 2));
    assert_null(blotter_find_client(blotter, "c2"));
    assert_int_equal(blotter_count(blotter), 1);
    assert_int_equal(blotter_open_count(blotter), 1);
}

/* Pruning waits for twice what is kept, so that a finished order costs the same whatever is kept.
 */
static void the_oldest_finished_orders_are_forgotten_and_no_open_one(void **state)
{
    struct blotter *blotter = *state;
    add(blotter, 1, ORDER_NEW);
    for (uint64_t id = 2; id <= 2 * KEPT + 1; id++)
        add(blotter, id, ORDER_FILLED);
    blotter_prune(blotter);
    assert_int_equal(blotter_count(blotter), 2 * KEPT + 1);
    add(blotter, 2 * KEPT + 2, ORDER_FILLED);
    blotter_prune(blotter);
    assert_int_equal(blotter_count(blotter), 1 + KEPT);
    assert_int_equal(blotter_at(blotter, 0)->order_id, 1);
    assert_int_equal(blotter_at(blotter, 1)->order_id, KEPT + 3);
    assert_null(blotter_find_client(blotter, "c2"));
    assert_non_null(blotter_find_client(blotter, "c1"));
}

/* Against a plain array over a long random life. */
static void it_agrees_with_a_plain_list(void **state)
{
    struct blotter *blotter = *state;
    struct random random;
    random_seed(&random, 1);
    bool open[4096] = { false };
    for (uint64_t id = 1; id < ARRAY_SIZE(open); id++) {
        open[id] = add(blotter, id, ORDER_NEW) != NULL;
        uint64_t any = 1 + random_below(&random, id);
        if (open[any] && random_below(&random, 3) > 0) {
            end(blotter, any);
            open[any] = false;
        }
        blotter_prune(blotter);
        size_t at = 0;
        for (uint64_t i = 1; i <= id; i++)
            if (open[i])
                assert_int_equal(blotter_open_at(blotter, at++)->order_id, i);
        assert_int_equal(blotter_open_count(blotter), at);
        assert_true(blotter_count(blotter) <= at + 2 * KEPT);
        if (at == OPEN_MAX) { /* make room */
            uint64_t oldest = blotter_open_at(blotter, 0)->order_id;
            end(blotter, oldest);
            open[oldest] = false;
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_blotter, close_blotter)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_order_is_found_by_both_ids),
        TEST(only_open_orders_are_limited),
        TEST(open_orders_are_listed_oldest_first),
        TEST(an_order_that_lives_again_returns_to_its_place),
        TEST(orders_may_come_in_any_order_of_ids),
        TEST(a_dropped_order_is_forgotten_whole),
        TEST(the_oldest_finished_orders_are_forgotten_and_no_open_one),
        TEST(it_agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
