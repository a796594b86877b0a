/* options.h - the command line, as data. */
#ifndef RUNTIME_APP_OPTIONS_H
#define RUNTIME_APP_OPTIONS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

#define OPTION_LIST_MAX 64

/* Values of an option that may be given several times; borrowed from argv. */
struct option_list {
    const char *items[OPTION_LIST_MAX];
    size_t count;
};

#define SPEED_MAX 0.0 /* --speed max */

struct options {
    struct option_list strategies; /* operands that end in .lua */
    struct option_list operands;   /* the others, of commands */
    const char *mode;              /* "paper" "live" "backtest", NULL when not said */
    bool live_and_paper;           /* --live --paper */
    const char *broker, *symbols, *config, *capital, *duration, *log_level;
    struct option_list params; /* NAME=VALUE, FILE:NAME=VALUE, SYMBOL:NAME=VALUE */
    const char *state;         /* default "artifacts" */
    struct option_list feeds;  /* [SYMBOL=]FILE of --feed and --data */
    const char *columns, *timeframe;
    uint64_t skip_bad_rows;
    bool sort;
    double speed; /* market seconds per wall second, SPEED_MAX */
    bool speed_given;
    int64_t clock_start_ns; /* of sim */
    uint64_t seed;
    bool fresh, record, exact_budget, json, quiet, help, version;
    bool emergency;       /* of halt */
    uint64_t given;       /* which were, for options_check */
    char **argv;          /* all of it as it came, borrowed: for a process that begins again; */
    int argc;             /* set by who knows that it lives as long */
    int64_t guardian_pid; /* not an option: the parent process of a live run; 0: none */
};

/* Fills *options from argv (command word removed). Options may follow operands; "--" ends options.
 * ERROR_USAGE names the nearest known option, or the value that is not allowed and what is. */
MUST_CHECK int options_parse(int argc, char **argv, struct options *options, struct error *err);
/* Whether a command takes all that was given. `takes`: names with blanks between; "mode" stands for
 * --paper, --live and --backtest too; --json, --help and --version are always taken. NULL: those of
 * a run. ERROR_USAGE names the first that is not. */
MUST_CHECK int options_check(const struct options *options, const char *command, const char *takes,
                             struct error *err);

#endif
