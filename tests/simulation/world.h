/* world.h - one seed: a venue, strategies, a configuration and a plan of faults, run to its end. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include "runtime/base/hash.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/reach.h"

/* Where the process may end: before a disk point takes effect, or at a send. */
struct world_point {
    const char *what; /* "write", ...; "send submit", ... */
    const char *name; /* a path, a client order id */
    bool is_send;
    size_t write_length; /* bytes of the write under way, else 0 */
    bool power_safe;     /* what was committed must outlive a power cut */
};
/* How it ends there. */
struct world_end {
    bool ends;
    enum crash crash;
    size_t torn; /* bytes of the write under way that were made */
    bool left;   /* a send: it had left already */
};

struct world_options {
    const char *folder; /* an existing directory for configuration and strategy files */
    int64_t seconds;    /* with faults; healing and rest come on top */
    bool allowed[FAULTS];
    bool always; /* faults named on the command line are on in each seed */
    bool trace;  /* a line for each event, send and record on standard output */
    bool digest; /* the same lines into a hash */
    /* Asked at each point, but for those of healing and rest: *end says that nothing ends. After an
     * end another process begins, and the faults are over. NULL: nobody is asked. */
    void (*crash)(void *self, const struct world_point *point, struct world_end *end);
    void *crash_self;
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
