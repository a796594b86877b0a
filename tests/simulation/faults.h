/* faults.h - what can go wrong between engine and venue, and how often it does in one seed.
 *
 * Each kind is on in a quarter of the seeds, then fires at 1 to 25 % of its chances. */
#ifndef SIMULATION_FAULTS_H
#define SIMULATION_FAULTS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/random.h"

enum fault {
    FAULT_DELAY,          /* a message takes seconds */
    FAULT_REQUEST_LOST,   /* never reaches the venue; a time-out later */
    FAULT_ANSWER_LOST,    /* done at the venue, the answer never comes; a time-out later */
    FAULT_SERVER_ERROR,   /* done at the venue, answered 5xx */
    FAULT_SILENCE,        /* as ANSWER_LOST, and nobody says that it timed out */
    FAULT_RATE_LIMIT,     /* rejected before the venue looked at it */
    FAULT_REFUSED,        /* the port cannot take it */
    FAULT_DUPLICATE,      /* told twice by the stream */
    FAULT_STREAM_LOSS,    /* the stream drops a message and nobody notices */
    FAULT_REORDER,        /* the stream tells fills out of order */
    FAULT_DISCONNECT,     /* all channels */
    FAULT_PRIVATE_DOWN,   /* the private stream alone; requests go on */
    FAULT_PUBLIC_DOWN,    /* the market stream alone, silently */
    FAULT_HALF_OPEN,      /* the private stream is dead and nobody notices for a while */
    FAULT_NOT_FOUND,      /* a query does not find a young order */
    FAULT_STALE,          /* a snapshot is old when it comes */
    FAULT_QUERY_FAILS,    /* incomplete or an error */
    FAULT_LATE_FILL,      /* a fill is told after the cancel that it came before */
    FAULT_BUST,           /* a trade never was */
    FAULT_CORRECT,        /* a trade was another */
    FAULT_CANCEL_UNASKED, /* the venue ends an order */
    FAULT_RESTATE,        /* the venue changes a quantity */
    FAULT_OVERFILL,       /* more is filled than was ordered */
    FAULT_ZERO_FILL,      /* a fill of nothing */
    FAULT_STRANGER,       /* a report and an order of nobody's */
    FAULT_CROSSED,        /* market: bid above ask */
    FAULT_TENFOLD,        /* market: prices times ten */
    FAULT_QUIET,          /* market: nothing comes */
    FAULT_BURST,          /* market: hundreds of events a second */
    FAULT_KILL_SEND,      /* the process ends before or after something was sent */
    FAULT_KILL_COMMIT,    /* ... inside or after a commit */
    FAULT_KILL_WRITE,     /* ... at any write to the disk, starts and flushes included */
    FAULT_POWER,          /* the machine loses power, where the ledger was told to survive that */
    FAULT_DISK,           /* writes, syncs, reads or locks fail for a while, or the disk is full */
    FAULT_CLOCK,          /* the wall clock stands elsewhere at the next start */
    FAULT_RELOAD,         /* a strategy file changes */
    FAULT_BAD_RELOAD,     /* ... to something that is half, or fails */
    FAULT_STOP,   /* the operator stops in order, by any policy, lowers a limit, starts again */
    FAULT_ABSENT, /* a list of open orders leaves one out that works */
    FAULT_LAG,    /* one answer about positions does not know the newest trades */
    /* What the operator does besides, in worlds with limits. */
    FAULT_HALT,    /* halts: entries alone, everything, or everything and flat */
    FAULT_LIFT,    /* lifts all halts */
    FAULT_FLATTEN, /* closes what is held of one or all, and goes on */
    FAULT_BREAKER, /* opens or closes the venue's breaker */
    FAULTS
};

struct fault_plan {
    bool on[FAULTS];
    unsigned percent[FAULTS];
};

const char *fault_name(enum fault fault);
/* "loss,bust" by name, "all" as drawn, "none"; ERROR_USAGE names the unknown one. */
MUST_CHECK int fault_mask(const char *list, bool allowed[FAULTS], struct error *err);
/* Draws a plan; kinds that are not allowed stay off. `always`: allowed kinds are on in each seed.
 */
void fault_draw(struct fault_plan *plan, const bool allowed[FAULTS], bool always,
                struct random *random);

#endif
