/* calendars.h - calendars from files: config/calendars/NAME.yaml.
 *
 * Looked for, like the configuration, in ./config/calendars, $XDG_CONFIG_HOME/runtime/calendars and
 * $(PREFIX)/share/runtime/calendars. "24x7" needs no file. The format: docs/calendars.md. */
#ifndef RUNTIME_CONFIG_CALENDARS_H
#define RUNTIME_CONFIG_CALENDARS_H

#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/domain/calendar.h"

#define CALENDAR_FILE_MAX (256 << 10) /* bytes */

/* ERROR_CONFIG naming the file, line and what is allowed; or that there is no such calendar, with
 * the places that were looked at. Of several faults err->where is the first one's place; the
 * others follow in err->message, a line each, as many as fit. `environment` as in config_load. The
 * caller releases *out, which is NULL after an error. */
MUST_CHECK int calendar_load(const char *name,
                             const char *(*environment)(void *self, const char *name), void *self,
                             struct calendar **out, struct error *err);
/* The same from text; `name` names it in messages. For tests, and for calendars that a venue tells.
 */
MUST_CHECK int calendar_parse(const char *name, const char *text, size_t length,
                              struct calendar **out, struct error *err);
/* The same, and every fault in `faults` (may be NULL), one line each. */
MUST_CHECK int calendar_check(const char *name, const char *text, size_t length,
                              struct calendar **out, struct text *faults, struct error *err);

#endif
