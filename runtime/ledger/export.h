/* export.h - files derived from the ledger: the day's CSV files and the checkpoint.
 *
 * journal/YYYY-MM-DD/{orders,fills,trades}.csv (live/... in live mode), RFC 4180 with LF and a
 * header; checkpoints/{mode}_state_latest.json. All can be deleted; export_open rewrites the days
 * of the session from the ledger, export_update appends what the ledger has since. */
#ifndef RUNTIME_LEDGER_EXPORT_H
#define RUNTIME_LEDGER_EXPORT_H

#include "runtime/ledger/ledger.h"

struct export; /* opaque */
MUST_CHECK int export_open(struct ledger *ledger, const char *state_dir, const char *mode,
                           struct export **out, struct error *err);
MUST_CHECK int export_update(struct export *export, struct error *err);
/* `extra` is JSON members text of the session (feed position, ...) put in as they are, or NULL. */
MUST_CHECK int export_checkpoint(struct export *export, int64_t market_ns, decimal cash,
                                 decimal equity, const char *extra, struct error *err);
void export_close(struct export *export);

#endif
