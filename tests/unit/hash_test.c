/* hash_test.c - digests and random numbers against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/base/random.h"

/* NIST FIPS 180-4 examples. */
static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    };
    char hex[SHA256_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        sha256_hex(cases[i][0], strlen(cases[i][0]), hex);
        assert_string_equal(hex, cases[i][1]);
    }
    struct sha256 *hash = sha256_open();
    for (int i = 0; i < 100000; i++)
        sha256_update(hash, "aaaaaaaaaa", 10);
    sha256_finish(hash, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The authors' reference code from state 1, 2, 3, 4 (prng.di.unimi.it/xoshiro256plusplus.c). */
static void xoshiro_gives_the_published_numbers(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        41943041u,
        58720359u,
        3588806011781223u,
        3591011842654386u,
        9228616714210784205u,
        9973669472204895162u,
        14011001112246962877u,
        12406186145184390807u,
        15849039046786891736u,
        10450023813501588000u,
    };
    struct random random = { .word = { 1, 2, 3, 4 } };
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        assert_true(random_next(&random) == expected[i]);
}

/* splitmix64 from 0 (prng.di.unimi.it/splitmix64.c). */
static void seeding_is_by_splitmix(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 0);
    assert_true(random.word[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(random.word[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(random.word[2] == UINT64_C(0x06c45d188009454f));
}

/* Runs are compared byte by byte between machines: these may never change. Computed apart, in
 * Python. */
static void draws_are_the_same_for_ever(void **state)
{
    (void)state;
    struct random random;
    random_seed(&random, 1);
    double normal = random_normal(&random);
    assert_true(normal == 0x1.7fe2b6e80acbfp-1);
    assert_true(hash64(1, 2, 3) == UINT64_C(0xd0734750fde362b3));
    assert_true(hash64_bytes("BTC/USDT", 8) == UINT64_C(0x8740cafd6e2c8704));
    assert_true(hash64(1, 2, 3) != hash64(3, 2, 1));
}

static void draws_follow_their_distributions(void **state)
{
    (void)state;
    enum { DRAWS = 200000 };
    struct random random;
    random_seed(&random, 42);
    double sum = 0, squares = 0, cubes = 0, units = 0;
    int below[6] = { 0 }, beyond_two = 0;
    for (int i = 0; i < DRAWS; i++) {
        double normal = random_normal(&random);
        sum += normal;
        squares += normal * normal;
        cubes += normal * normal * normal;
        beyond_two += fabs(normal) > 2;

        double unit = random_unit(&random);
        assert_true(unit >= 0 && unit < 1);
        units += unit;
        below[random_below(&random, 6)]++;
    }
    /* Tolerances are about five standard errors. */
    assert_true(fabs(sum / DRAWS) < 0.012);
    assert_true(fabs(squares / DRAWS - 1) < 0.016);
    assert_true(fabs(cubes / DRAWS) < 0.045);
    assert_true(fabs((double)beyond_two / DRAWS - 0.0455) < 0.0024);
    assert_true(fabs(units / DRAWS - 0.5) < 0.0033);
    for (int i = 0; i < 6; i++)
        assert_true(fabs((double)below[i] / DRAWS - 1.0 / 6) < 0.0042);
    assert_true(random_below(&random, 1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(xoshiro_gives_the_published_numbers),
        cmocka_unit_test(seeding_is_by_splitmix),
        cmocka_unit_test(draws_are_the_same_for_ever),
        cmocka_unit_test(draws_follow_their_distributions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
