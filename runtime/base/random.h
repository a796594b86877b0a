/* random.h - seeded random numbers (xoshiro256++), the only randomness the program knows.
 *
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021); seeding by
 * splitmix64 as they advise. */
#ifndef RUNTIME_BASE_RANDOM_H
#define RUNTIME_BASE_RANDOM_H

#include "runtime/base/base.h"

struct random {
    uint64_t word[4];
};

void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
double random_unit(struct random *random);                    /* [0, 1), 53 bits */
uint64_t random_below(struct random *random, uint64_t bound); /* [0, bound), unbiased, bound > 0 */
double random_normal(struct random *random);                  /* mean 0, deviation 1 */

#endif
