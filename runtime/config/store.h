/* store.h - the values of a configuration, and which of several counts.
 *
 * There is one value for each line of the schema from the start: its default. Values that are
 * offered later replace it by rank (flag > environment > file > default; a key marked
 * FLAG_FILE_FIRST takes the file before the environment). Of a limit the smaller value counts,
 * whoever set it. */
#ifndef RUNTIME_CONFIG_STORE_H
#define RUNTIME_CONFIG_STORE_H

#include "runtime/base/map.h"
#include "runtime/config/value.h"

struct store_member {
    char *map;  /* "brokers" */
    char *name; /* "alpaca" */
};

struct store {
    venue_names venues;
    struct value *values; /* the lines of the schema, then the user's own names */
    size_t count, capacity;
    struct map *index;        /* path -> place in values */
    struct map *member_index; /* path -> place in members */
    struct store_member *members;
    size_t member_count, member_capacity;
    char **notes; /* "trading.capital: --capital stands above environment EQUITY_USD" */
    size_t note_count, note_capacity;
};

void store_init(struct store *store, venue_names venues);
void store_release(struct store *store);

/* The value of a path: what was offered, else the default; NULL when the schema has no such path.
 */
const struct value *store_find(const struct store *store, const char *path);
/* What was stored under this very path, or NULL. */
struct value *store_at(const struct store *store, const char *path);

/* Takes *value over, which has key, source and origin; it is empty afterwards. */
void store_offer(struct store *store, const char *path, struct value *value);
/* A wrong value was found for this path. */
void store_spoil(struct store *store, const char *path);

/* Notes a name once. `path` is map + "." + name. */
void store_add_member(struct store *store, const char *path, const char *name);
const struct store_member *store_member(const struct store *store, const char *map, size_t index);
bool store_is_member(const struct store *store, const char *path);

void store_note(struct store *store, const char *path, const char *winner, const char *loser);

#endif
