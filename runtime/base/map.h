/* map.h - a table from short strings to numbers, whose order is never visible. */
#ifndef RUNTIME_BASE_MAP_H
#define RUNTIME_BASE_MAP_H

#include "runtime/base/base.h"

struct map; /* opaque */
struct map *map_open(void);
void map_close(struct map *map);
void map_put(struct map *map, const char *key, uint64_t value); /* copies the key; replaces */
bool map_get(const struct map *map, const char *key, uint64_t *value);
bool map_remove(struct map *map, const char *key);
size_t map_count(const struct map *map);

#endif
