/* rules.h - settings that lean on other settings, looked at when all are known. */
#ifndef RUNTIME_CONFIG_RULES_H
#define RUNTIME_CONFIG_RULES_H

#include "runtime/config/faults.h"
#include "runtime/config/store.h"

void rules_settle(struct store *store, struct faults *faults);

#endif
