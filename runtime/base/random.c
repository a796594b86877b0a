/* random.c - xoshiro256++ and the distributions drawn from it. */
#include "runtime/base/random.h"

#include <math.h>

__extension__ typedef unsigned __int128 uint128;

static uint64_t splitmix64(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

void random_seed(struct random *random, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_SIZE(random->word); i++)
        random->word[i] = splitmix64(&seed);
}

uint64_t random_next(struct random *random)
{
    uint64_t *s = random->word;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double random_unit(struct random *random)
{
    return (double)(random_next(random) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval" (2019): a multiplication instead of a
 * division, and the few values that would favour small results are drawn again. */
uint64_t random_below(struct random *random, uint64_t bound)
{
    ASSERT(bound > 0);
    uint128 product = (uint128)random_next(random) * bound;
    if ((uint64_t)product < bound) {
        uint64_t surplus = -bound % bound; /* 2^64 mod bound */
        while ((uint64_t)product < surplus)
            product = (uint128)random_next(random) * bound;
    }
    return (uint64_t)(product >> 64);
}

/* Natural logarithm by +, -, * and / alone. The C library's picks its instructions by processor
 * (fused multiply-add or not), so its last bit is not the same on every machine; this one's is.
 * ln m = 2 atanh((m-1)/(m+1)) with m in [sqrt(1/2), sqrt(2)), eleven terms: error below 1e-15. */
static double logarithm(double x)
{
    int exponent;
    double m = frexp(x, &exponent); /* exact */
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double sum = 0;
    for (int n = 21; n >= 1; n -= 2)
        sum = sum * square + 1.0 / n;
    return 2 * s * sum + exponent * 0.69314718055994531;
}

/* Marsaglia's polar method. The second value of a pair is not kept: the state is the four words
 * and nothing else, so it can be saved and restored whole. */
double random_normal(struct random *random)
{
    for (;;) {
        double u = 2 * random_unit(random) - 1;
        double v = 2 * random_unit(random) - 1;
        double square = u * u + v * v;
        if (square > 0 && square < 1)
            return u * sqrt(-2 * logarithm(square) / square);
    }
}
