/* export_private.h - what export.c and checkpoint.c share; no other file includes it. */
#ifndef RUNTIME_LEDGER_EXPORT_PRIVATE_H
#define RUNTIME_LEDGER_EXPORT_PRIVATE_H

#include <stdio.h>

#include "runtime/ledger/export.h"
#include "runtime/ledger/private.h"

#define EXPORT_PATH_MAX 4096

struct export
{
    struct ledger *ledger;
    char mode[12];
    char *root;           /* STATE/journal, STATE/live */
    char *checkpoint_dir; /* STATE/checkpoints */

    int64_t exported_seq; /* rows up to here are in the files */
    bool failed;          /* the last append may have left half a row: rewrite */
    char day[12];         /* whose files are open; empty for none */
    FILE *open[3];        /* orders, fills, trades */

    /* Orders that were open when the session began; later ones the ledger has in memory. */
    uint64_t *open_before;
    size_t open_before_count, open_before_capacity;
    bool open_before_known;

    struct text line, path; /* scratch */
};

#endif
