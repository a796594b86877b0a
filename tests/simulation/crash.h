/* crash.h - the end of the process at every point of one world: each write, sync, deletion and
 * send. */
#ifndef SIMULATION_CRASH_H
#define SIMULATION_CRASH_H

#include "tests/simulation/world.h"

struct crash_options {
    const struct world_options *world;
    const char *faults; /* as named, for the words that repeat a failure; "": none */
    unsigned jobs;
    uint64_t only; /* the crash of this number and no other, in this process; 0: all */
};

/* Runs the world of the seed once. At each point the process is forked: the child is the world in
 * which the process ended there; it begins another one, heals, comes to rest, and must fulfil all
 * that the model demands. Prints each crash that fails, with the words that repeat it, and the sum.
 * Returns how many failed. */
uint64_t crash_points(uint64_t seed, const struct crash_options *options);

#endif
