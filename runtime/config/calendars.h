/* calendars.h - calendars from files: config/calendars/NAME.yaml.
 *
 * Looked for, like the configuration, in ./config/calendars, $XDG_CONFIG_HOME/runtime/calendars and
 * $(PREFIX)/share/runtime/calendars. "24x7" needs no file. The format: docs/calendars.md. */
#ifndef RUNTIME_CONFIG_CALENDARS_H
#define RUNTIME_CONFIG_CALENDARS_H

#include "runtime/base/error.h"
#include "runtime/domain/calendar.h"

/* ERROR_CONFIG naming the file, line and what is allowed; or that there is no such calendar, with
 * the places that were looked at. `environment` as in config_load. The caller releases *out. */
MUST_CHECK int calendar_load(const char *name,
                             const char *(*environment)(void *self, const char *name), void *self,
                             struct calendar **out, struct error *err);
/* The same from text; `name` names it in messages. For tests, and for calendars that a venue tells.
 */
MUST_CHECK int calendar_parse(const char *name, const char *text, size_t length,
                              struct calendar **out, struct error *err);

#endif
