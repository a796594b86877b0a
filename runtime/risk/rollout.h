/* rollout.h - capital in stages: the next one opens when the one before was clean for its time.
 *
 * Pure. A stage bounds the exposure of the account (code "rollout_stage"). What happened during the
 * stage is gathered in rollout_record, which the ledger keeps; rollout_judge says whether the next
 * stage may open and, if not, what is missing. A stage never goes back by itself. Formulas:
 * docs/risk.md, "Rollout". */
#ifndef RUNTIME_RISK_ROLLOUT_H
#define RUNTIME_RISK_ROLLOUT_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/text.h"

#define ROLLOUT_STAGES_MAX 16

struct rollout_options {
    bool enabled;
    struct {
        decimal capital; /* account currency */
        uint32_t days;   /* at least so long */
    } stages[ROLLOUT_STAGES_MAX];
    size_t stage_count;
    double order_success_rate;      /* at least: orders that the venue took, of those it answered */
    double api_error_rate;          /* at most: failed requests, of all */
    int64_t latency_ns;             /* at most: mean time from sending to answer */
    double slippage;                /* at most: mean share of the price, worse than the reference */
    double breaker_events_per_week; /* at most */
    uint32_t paper_days;            /* clean days of paper trading before the first stage */
};

/* Of the stage that runs; all of it is kept over restarts. */
struct rollout_record {
    uint32_t stage; /* index; the last one has no next */
    int64_t began_ns;
    uint64_t orders_good, orders_bad;
    uint64_t requests_good, requests_bad;
    int64_t latency_sum_ns;
    uint64_t latency_count;
    double slippage_sum; /* of slippage shares, below 0 where the price was better */
    uint64_t slippage_count;
    uint32_t breaker_events;
    uint32_t critical_errors; /* alerts of kinds that stop or halt; ledger and internal errors */
    uint32_t paper_days;      /* clean days of paper trading seen before the first stage */
};
void rollout_begin(struct rollout_record *record, int64_t now_ns); /* stage 0 */

/* The most that the account may have at stake now: DECIMAL_NONE when rollout is not enabled; 0
 * while the paper days of stage 0 are missing, and when there is no stage at all. A stage that the
 * options no longer have counts as their last one. */
decimal rollout_capital(const struct rollout_options *options, const struct rollout_record *record);

enum rollout_verdict { ROLLOUT_STAYS, ROLLOUT_NEXT, ROLLOUT_LAST };
/* Whether the next stage may open now; ROLLOUT_LAST: there is none. One line for each condition
 * that is not met is appended to *missing: what, how it stands, what is asked for. A rate without a
 * single case is not met. */
enum rollout_verdict rollout_judge(const struct rollout_options *options,
                                   const struct rollout_record *record, int64_t now_ns,
                                   struct text *missing);
/* Opens the next stage: counts begin anew, the paper days stay as they were. */
void rollout_advance(struct rollout_record *record, int64_t now_ns);

/* As JSON, for the ledger, and back. Members that it does not know are passed over. ERROR_DATA: it
 * is no such record; *out is as it was. */
void rollout_write(const struct rollout_record *record, struct text *out);
MUST_CHECK int rollout_read(const char *json, size_t length, struct rollout_record *out,
                            struct error *err);

#endif
