/* signals.h - SIGINT, SIGTERM and SIGUSR2 while nothing can handle them yet.
 *
 * Opening a session may take long (a large data file is read whole) and runs outside the event
 * loop. The signals wait meanwhile: the opening asks between two steps whether one is there, and
 * the loop takes what is left. No handler, no global. */
#ifndef RUNTIME_APP_SIGNALS_H
#define RUNTIME_APP_SIGNALS_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"

/* From now on they wait. */
void signals_hold(void);
/* Those that waited reach their handlers; but SIGUSR2, which is the sentinel's. */
void signals_release(void);
/* 0: none waits. ERROR_STOPPED: SIGINT or SIGTERM, *err names it; ERROR_HALTED: SIGUSR2. */
MUST_CHECK int signals_check(struct error *err);

#endif
