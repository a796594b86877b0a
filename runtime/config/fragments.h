/* fragments.h - the pieces of configuration users already have, and what they mean here.
 *
 * A fragment is the same setting under another path. It is checked by the line of the path it
 * means, while messages name the path that was written. */
#ifndef RUNTIME_CONFIG_FRAGMENTS_H
#define RUNTIME_CONFIG_FRAGMENTS_H

#include "runtime/base/base.h"

/* The path in the schema that a written one means, or NULL. Both have the same stars. */
const char *fragment_meaning(const char *written);
/* Whether some fragment begins with this path and a dot ("universe"). */
bool fragment_section(const char *written);

/* Whether a key's name says that its value is a secret (api_key, token, ...). */
bool fragment_is_secret(const char *name);

#endif
