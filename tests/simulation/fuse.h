/* fuse.h - when the breaker of the venue must be open, at least: a naive one of the referee's.
 *
 * It knows failures in a row, "slow down", a lost line, a jump of a price, and the operator; not
 * the share of failures, slow answers and probes: for these the runtime's may be open when this is
 * not. */
#ifndef SIMULATION_FUSE_H
#define SIMULATION_FUSE_H

#include "tests/simulation/rules.h"

struct fuse {
    int64_t failures; /* in a row */
    int64_t until_ns; /* it is open until then */
    bool blown;       /* and deaf until an order leaves after that */
    bool by_hand;
};

enum fuse_answer { FUSE_GOOD, FUSE_FAILED, FUSE_SLOW_DOWN };

/* An answer to what an order waited for. */
void fuse_answer(struct fuse *fuse, const struct rules *rules, enum fuse_answer answer,
                 int64_t now_ns);
void fuse_line_down(struct fuse *fuse, const struct rules *rules, int64_t now_ns);
/* A mark that was `before` and is `now`, in one unit. */
void fuse_price(struct fuse *fuse, const struct rules *rules, int64_t before, int64_t now,
                int64_t now_ns);
/* The ledger says that the runtime's has opened: it is held to that. */
void fuse_told(struct fuse *fuse, const struct rules *rules, int64_t now_ns);
/* An order that adds risk leaves. */
void fuse_sent(struct fuse *fuse, int64_t now_ns);
void fuse_operate(struct fuse *fuse, bool open);
/* Another process: what failed is forgotten, what a person opened is not. */
void fuse_restart(struct fuse *fuse);
static inline bool fuse_is_open(const struct fuse *fuse, int64_t now_ns)
{
    return fuse->by_hand || now_ns < fuse->until_ns;
}

#endif
