/* world.h - one seed: a venue, strategies, a configuration and a plan of faults, run to its end. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "runtime/base/hash.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/reach.h"

struct world_options {
    const char *folder; /* an existing directory for configuration and strategy files */
    int64_t seconds;    /* with faults; healing and rest come on top */
    bool allowed[FAULTS];
    bool always; /* faults named on the command line are on in each seed */
    bool trace;  /* a line for each event, send and record on standard output */
    bool digest; /* the same lines into a hash */
};

struct world_result {
    bool failed;
    char failure[512];
    char digest[SHA256_TEXT_MAX];
    uint64_t events, orders, trades, transitions, restarts, reloads;
    uint64_t faults[FAULTS];
    int64_t simulated_ns;
    struct reach reach;
};

void world_run(uint64_t seed, const struct world_options *options, struct world_result *result);

#endif
