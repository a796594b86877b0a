/* emergency.h - the end of an emergency stop that the session could not bring about itself: it was
 * not open yet, its ledger failed, or its thread hung and the process became this one. */
#ifndef RUNTIME_APP_EMERGENCY_H
#define RUNTIME_APP_EMERGENCY_H

#include "runtime/app/session.h"

/* No session may be open. Cancels what the ledger says remains (flattens, where risk.emergency says
 * so), sets the latch, and lists what is left then. On a feed nothing can be canceled without its
 * market: it is listed. `is_asked`: the latch is set even if nothing remains. *why is told as the
 * result; returns the exit code, 75. */
int emergency_end(const struct options *options, struct log *log, bool is_asked,
                  const struct error *why);

#endif
