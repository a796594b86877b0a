/* verify.h - does the ledger still say what it said when it was written?
 *
 * Walks the chain of trading_events from its first row, compares the rows of fills, orders,
 * journal, halts, adjustments and cash with what the chain says of them, and the chain's end with
 * the anchor. Reads one state of the file: a running instance may go on writing.
 *
 * The chain is not keyed: who edits the ledger and the anchor together, and computes all hashes
 * anew, is not found. Positions, ctx.state and sources are not in the chain. */
#ifndef RUNTIME_LEDGER_VERIFY_H
#define RUNTIME_LEDGER_VERIFY_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"

struct verify_options {
    const char *path;
    const char *anchor_path;    /* NULL: none is looked for */
    bool at_rest;               /* nobody has it open, as a backup: no side files are made */
    int (*pause)(void *pauser); /* called now and then; not 0: give up. NULL: never */
    void *pauser;
};

struct verify_result {
    bool good;
    int64_t rows; /* of trading_events that are as they were */
    int64_t sessions, orders, fills;
    int64_t last_ns;            /* market time of the newest row of a session, 0 without */
    char head[SHA256_TEXT_MAX]; /* hash of the newest row read */
    bool anchored;              /* an anchor was there and agrees */

    /* The first bad record, when not good. */
    int64_t seq;
    char kind[16]; /* of the row: order, fill ... "" not known */
    /* hash, prev_hash, gap, foreign (a row that no session or no chain row knows), cut (rows after
     * the last are missing), anchor, fills, orders, journal, halts, adjustments, cash (the row of
     * that table says something else), file (SQLite finds damage) */
    char what[16];
    char message[512];
};

/* 0: *result says whether it is good. ERROR_NO_INPUT no ledger; ERROR_DATA not one, or of another
 * version; ERROR_IO cannot be read; ERROR_TIME `pause` gave up. */
MUST_CHECK int ledger_verify(const struct verify_options *options, struct verify_result *result,
                             struct error *err);

#endif
