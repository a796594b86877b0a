/* summary.h - what a run ends with: CONTRACT section 1, as a table for people and as JSON. */
#ifndef RUNTIME_APP_SUMMARY_H
#define RUNTIME_APP_SUMMARY_H

#include <stdio.h>

#include "bindings/strategy.h"
#include "runtime/engine/engine.h"

struct summary_strategy {
    const char *file;
    const struct strategy_info *info;
    const char *symbol; /* "*" for a portfolio */
    const struct params *params;
    bool alive;
    const char *why_not;
};

struct summary {
    const char *mode, *broker;
    const struct summary_strategy *strategies;
    size_t strategy_count;
    const struct engine *engine; /* counts, totals, positions by way of its functions */
    int instance_count;
    int64_t started_ns, ended_ns; /* market time */
    decimal equity_start;
    struct {
        size_t files;
        uint64_t rows, skipped, sorted;
        int64_t first_ns, last_ns;    /* TIME_NEVER without data files */
        const char *instruments_from; /* where ticks and lots come from */
    } data;
    const char *fees, *slippage, *latency, *fill; /* the models, as text */
    const char *result_hash;
    const char *stopped_by; /* "end of data", "duration", "SIGINT" */
    double wall_seconds;
};

void summary_json(const struct summary *summary, struct text *out); /* one object, one line */
void summary_table(const struct summary *summary, struct text *out, bool colour);

/* Ratios from daily equity: annualised with 365 days, sample deviation; NaN below two returns. */
struct summary_ratios {
    double sharpe, sortino, calmar;
};
struct summary_ratios summary_ratios(const double *daily, size_t count, double max_drawdown);

#endif
