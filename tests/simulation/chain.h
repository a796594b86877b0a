/* chain.h - reads a ledger beside the runtime and follows its chain of hashes.
 *
 * Each row of trading_events holds the SHA-256 of the hash before it and of itself. Read with
 * SQLite alone, from the disk in use. */
#ifndef SIMULATION_CHAIN_H
#define SIMULATION_CHAIN_H

#include "runtime/base/hash.h"

struct chain {
    int64_t seq; /* of the last row that was followed, 0: none */
    char hash[SHA256_TEXT_MAX];
};

/* Goes on from where it came to; NULL, or what is wrong (a literal, or SQLite's words). */
const char *chain_follow(struct chain *chain, const char *path);

#endif
