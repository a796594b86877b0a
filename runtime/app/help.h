/* help.h - what the program says about itself, made from the option table and the command table. */
#ifndef RUNTIME_APP_HELP_H
#define RUNTIME_APP_HELP_H

#include <stdio.h>

#include "runtime/app/app.h"
#include "runtime/base/text.h"

/* The command of that name. NULL and ERROR_USAGE: planned, or unknown with the nearest name. */
const struct command_entry *command_require(const char *name, struct error *err);

/* The option table as text, one section after the other; what this version lacks is left out. */
void options_help(struct text *out);

/* "  left      words": the words wrapped to 80 columns in a column of their own. */
void help_row(struct text *out, const char *left, const char *words);

void help_main(FILE *out);  /* all of `runtime --help` */
void help_short(FILE *out); /* what a bare `runtime` answers */
void help_command(FILE *out, const struct command_entry *command);

#endif
