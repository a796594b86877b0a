/* places.c - the directory of the user, and that of the installation. */
#include "runtime/config/places.h"

#include <stdio.h>

#ifndef RUNTIME_PREFIX
#define RUNTIME_PREFIX "/usr/local"
#endif

/* Source: XDG Base Directory Specification 0.8 (a relative path is to be ignored). */
bool places_user(const char *(*environment)(void *self, const char *name), void *self, char *out,
                 size_t size)
{
    const char *base = environment ? environment(self, "XDG_CONFIG_HOME") : NULL;
    if (base && *base == '/')
        return snprintf(out, size, "%s/runtime", base) < (int)size;
    const char *home = environment ? environment(self, "HOME") : NULL;
    return home && *home == '/' && snprintf(out, size, "%s/.config/runtime", home) < (int)size;
}

const char *places_installed(void)
{
    return RUNTIME_PREFIX "/share/runtime";
}
