/* faults.h - every fault of a configuration, collected so that all can be told at once. */
#ifndef RUNTIME_CONFIG_FAULTS_H
#define RUNTIME_CONFIG_FAULTS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#define FAULTS_MAX 100 /* more are counted, not kept */

struct fault {
    int line, column; /* in the file, from 1; beyond every line when it is not in the file */
    char *where;      /* "config/runtime.yaml:3:5", "environment EQUITY_USD", "--capital" */
    char *message;    /* "trading.capital: found nan; allowed a number >0" */
};

struct faults {
    const char *file; /* what stands before line and column; borrowed */
    struct fault *list;
    size_t count, capacity, dropped;
};

void faults_release(struct faults *faults);

/* A fault in the file. `path` may be empty. */
void faults_add(struct faults *faults, int line, int column, const char *path, const char *format,
                ...) PRINTF_LIKE(5, 6);
/* A fault somewhere else. */
void faults_add_at(struct faults *faults, const char *where, const char *path, const char *format,
                   ...) PRINTF_LIKE(4, 5);

/* Writes one line a fault, in the order of the file, to `out` (may be NULL); *err gets the first
 * and `code`. Returns `code`. There must be a fault. */
int faults_tell(struct faults *faults, int code, struct text *out, struct error *err);

#endif
