/* breaker.h - the circuit breaker of one venue: CLOSED -> OPEN -> HALF_OPEN -> CLOSED.
 *
 * Pure; time is an argument. While it is open nothing that adds risk leaves; cancels and orders
 * that reduce always do. After open_for it is half open: a few probes may leave, one at a time;
 * when all of them succeed it closes, and the first that fails opens it again.
 *
 * Opens by itself when: `failures` answers in a row failed; the share of failures among the last
 * BREAKER_WINDOW answers (at least BREAKER_WINDOW_LEAST) is above max_error_rate; a price moved by
 * more than price_jump_pct against the one before it; the venue said to slow down (429, 418); the
 * line was lost. An answer slower than max_latency is a failure. By hand it opens for good, until
 * it is closed by hand. Formulas: docs/risk.md.
 *
 * What left before it opened is answered later: while it is open no answer counts. While it is half
 * open a success counts when a probe is out, and any failure opens it again. Time that goes
 * backwards closes nothing and opens nothing. */
#ifndef RUNTIME_RISK_BREAKER_H
#define RUNTIME_RISK_BREAKER_H

#include "runtime/base/base.h"

#define BREAKER_WINDOW 100
#define BREAKER_WINDOW_LEAST 20
#define BREAKER_WHY_MAX 160
#define BREAKER_PROBE_LOST_NS NS_PER_MINUTE /* without any answer: another probe may leave */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* A member that is 0 does not bind; half_open_probes 0 is 1, open_for 0 is half open at once. */
struct breaker_options {
    uint32_t failures;
    int64_t open_for_ns;
    uint32_t half_open_probes;
    double max_error_rate;
    int64_t max_latency_ns;
    double price_jump_pct;
};

struct breaker {
    struct breaker_options options;
    enum breaker_state state;
    bool by_hand;        /* opened by a person: time does not close it */
    int64_t until_ns;    /* open: half open from then on; a probe is out: lost from then on */
    uint32_t probes_out; /* half open: sent, not answered: at most 1 */
    uint32_t probes_good;
    uint32_t failed_in_a_row;
    uint8_t window[BREAKER_WINDOW]; /* 1: failed; a ring of the newest answers */
    uint32_t window_count, window_next, window_failed;
    uint64_t opened;           /* times, for reports and rollout */
    char code[32];             /* why it opened: "failures", "error_rate", "price_jump",
                                  "probe_failed", "by_hand", or a caller's; empty while closed */
    char why[BREAKER_WHY_MAX]; /* the same for a person */
};

void breaker_init(struct breaker *breaker, const struct breaker_options *options);
const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half_open" */

/* Whether an order that adds risk may leave now. Moves OPEN to HALF_OPEN when its time has come. */
bool breaker_allows(struct breaker *breaker, int64_t now_ns);
/* Such an order left: while half open it is a probe. */
void breaker_sent(struct breaker *breaker, int64_t now_ns);
/* The order that left last never did: the callback that asked for it has failed. */
void breaker_take_back(struct breaker *breaker);

/* What happened. Each returns true when the state changed. latency_ns: from the sending to the
 * answer. A refusal of an order by the venue's rules is an answer like any other: a success.
 * Silence is a failure that the caller tells. A price of zero, below it, or that is no number is a
 * jump; one that comes after no such price is compared with nothing. */
bool breaker_success(struct breaker *breaker, int64_t now_ns, int64_t latency_ns);
bool breaker_failure(struct breaker *breaker, int64_t now_ns, const char *why);
bool breaker_price(struct breaker *breaker, int64_t now_ns, double before, double now);
/* Opens for `for_ns` (at least open_for), whatever the options say: a lost line, "slow down". One
 * that is open already stays so for the longer of the two. */
bool breaker_trip(struct breaker *breaker, int64_t now_ns, int64_t for_ns, const char *code,
                  const char *why);
/* A person's: opens until it is closed (false: it was so already); closes and forgets what failed
 * (false: it was closed). */
bool breaker_open(struct breaker *breaker, int64_t now_ns, const char *why);
bool breaker_close(struct breaker *breaker);

#endif
