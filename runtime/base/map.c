/* map.c - open addressing with linear probing; removal shifts back, so there are no tombstones. */
#include "runtime/base/map.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"

#define CAPACITY_FIRST 16 /* slots; always a power of two */

struct slot {
    char *key; /* NULL when free */
    uint64_t hash;
    uint64_t value;
};

struct map {
    struct slot *slots;
    size_t capacity;
    size_t count;
};

struct map *map_open(void)
{
    struct map *map = memory_new(sizeof(*map));
    map->capacity = CAPACITY_FIRST;
    map->slots = memory_new(map->capacity * sizeof(*map->slots));
    return map;
}

void map_close(struct map *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->capacity; i++)
        free(map->slots[i].key);
    free(map->slots);
    free(map);
}

/* The slot that holds the key, or the free one where it would go. */
static struct slot *find(const struct map *map, const char *key, uint64_t hash)
{
    size_t mask = map->capacity - 1;
    size_t i = (size_t)hash & mask;
    while (map->slots[i].key && (map->slots[i].hash != hash || strcmp(map->slots[i].key, key) != 0))
        i = (i + 1) & mask;
    return &map->slots[i];
}

static void grow(struct map *map)
{
    struct map wider = { .capacity = 2 * map->capacity, .count = map->count };
    wider.slots = memory_new(wider.capacity * sizeof(*wider.slots));
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key)
            *find(&wider, map->slots[i].key, map->slots[i].hash) = map->slots[i];
    free(map->slots);
    *map = wider;
}

void map_put(struct map *map, const char *key, uint64_t value)
{
    if (4 * (map->count + 1) > 3 * map->capacity) /* a free slot ends every search */
        grow(map);

    size_t length = strlen(key);
    uint64_t hash = hash64_bytes(key, length);
    struct slot *slot = find(map, key, hash);
    if (!slot->key) {
        slot->key = memory_new(length + 1);
        memcpy(slot->key, key, length);
        slot->hash = hash;
        map->count++;
    }
    slot->value = value;
}

bool map_get(const struct map *map, const char *key, uint64_t *value)
{
    const struct slot *slot = find(map, key, hash64_bytes(key, strlen(key)));
    if (!slot->key)
        return false;
    *value = slot->value;
    return true;
}

bool map_remove(struct map *map, const char *key)
{
    struct slot *slot = find(map, key, hash64_bytes(key, strlen(key)));
    if (!slot->key)
        return false;
    free(slot->key);
    map->count--;

    /* Whoever probed past the hole moves into it, or its next search would end there. */
    size_t mask = map->capacity - 1;
    size_t hole = (size_t)(slot - map->slots);
    for (size_t i = (hole + 1) & mask; map->slots[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (struct slot){ .key = NULL };
    return true;
}

size_t map_count(const struct map *map)
{
    return map->count;
}
