/* map_test.c - the table, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "runtime/base/map.h"
#include "runtime/base/random.h"

static void what_is_put_is_found(void **state)
{
    (void)state;
    struct map *map = map_open();
    uint64_t value = 0;
    assert_false(map_get(map, "a", &value));
    map_put(map, "a", 1);
    map_put(map, "b", 2);
    map_put(map, "", 3);
    map_put(map, "a", 4); /* replaces */
    assert_int_equal(map_count(map), 3);
    assert_true(map_get(map, "a", &value));
    assert_int_equal(value, 4);
    assert_true(map_get(map, "", &value));
    assert_int_equal(value, 3);
    map_close(map);
    map_close(NULL);
}

static void keys_are_copied(void **state)
{
    (void)state;
    struct map *map = map_open();
    char key[] = "BTC/USDT";
    uint64_t value;
    map_put(map, key, 7);
    key[0] = 'X';
    assert_true(map_get(map, "BTC/USDT", &value));
    assert_false(map_get(map, key, &value));
    map_close(map);
}

/* Removal shifts others back: a mistake there loses keys that collided. */
static void puts_and_removals_in_any_order(void **state)
{
    (void)state;
    enum { KEYS = 500, STEPS = 100000 };
    uint64_t values[KEYS];
    bool held[KEYS] = { false };
    size_t count = 0;
    struct map *map = map_open();
    struct random random;
    random_seed(&random, 3);
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)random_below(&random, KEYS);
        char key[16];
        uint64_t value;
        snprintf(key, sizeof(key), "key-%zu", i);
        assert_int_equal(map_get(map, key, &value), held[i]);
        if (held[i])
            assert_true(value == values[i]);
        if (random_below(&random, 2)) {
            values[i] = random_next(&random);
            map_put(map, key, values[i]);
            count += !held[i];
            held[i] = true;
        } else {
            assert_int_equal(map_remove(map, key), held[i]);
            count -= held[i];
            held[i] = false;
        }
        assert_int_equal(map_count(map), count);
    }
    map_close(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(puts_and_removals_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
