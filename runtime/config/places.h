/* places.h - the directories in which files of the user and of the installation are looked for. */
#ifndef RUNTIME_CONFIG_PLACES_H
#define RUNTIME_CONFIG_PLACES_H

#include "runtime/base/base.h"

/* $XDG_CONFIG_HOME/runtime, else ~/.config/runtime. False when there is neither, or it does not
 * fit. `environment` as in config_load; NULL: nothing is set. */
bool places_user(const char *(*environment)(void *self, const char *name), void *self, char *out,
                 size_t size);
/* "/usr/local/share/runtime": what `make install` wrote. */
const char *places_installed(void);

#endif
