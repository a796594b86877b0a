/* app.h - the program: commands, and how a session is put together. */
#ifndef RUNTIME_APP_APP_H
#define RUNTIME_APP_APP_H

#include "runtime/app/options.h"

/* One subcommand: its file holds usage and code; commands.c holds the table. */
struct command_entry {
    const char *name;
    const char *summary; /* one line for --help */
    const char *usage;   /* whole text of `runtime help NAME`, with an example */
    int (*run)(const struct options *options); /* returns the exit code */
    const char *takes;                         /* the options that it takes, see options_check */
    bool is_hidden;                            /* not for people: in no list */
};
extern const struct command_entry command_run, command_check, command_inspect, command_new,
    command_status, command_orders, command_positions, command_why, command_halt, command_resume,
    command_flatten, command_breaker, command_reload, command_stop, command_audit, command_restore,
    command_help, command_emergency;
const struct command_entry *const *commands(size_t *count);
const struct command_entry *command_find(const char *name);
/* Names of the contract that this version does not have: answered with 64, "not in this version".
 */
bool command_is_planned(const char *name);

int app_main(int argc, char **argv);

/* Prints the error for people to stderr and, with --json, as {"error":{...}} to stdout; returns the
 * exit code of err->code. */
int app_fail(const struct options *options, const struct error *err);

#endif
