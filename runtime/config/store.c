/* store.c - defaults, precedence, and the names that users choose. */
#include "runtime/config/store.h"

#include <stdlib.h>
#include <string.h>

#define NOTE_MAX 1024 /* bytes */

/* ---- defaults ---- */

static void add_default_items(struct value *value, const char *list, venue_names venues)
{
    char *copy = value_clone(list);
    for (char *save, *item = strtok_r(copy, ", ", &save); item; item = strtok_r(NULL, ", ", &save))
        ASSERT(value_add(value, item, VALUE_QUOTED, venues));
    free(copy);
}

static struct value make_default(const struct schema_key *key, venue_names venues)
{
    struct value value = { .key = key, .number = DECIMAL_NONE, .origin = value_clone("default") };
    bool container = key->kind == KIND_ROWS || key->kind == KIND_ENTRIES;
    value.null = container || !key->normal;
    if (value.null)
        return value;
    if (key->flags & FLAG_LIST)
        add_default_items(&value, key->normal, venues);
    else
        ASSERT(value_read(&value, key->normal, VALUE_PLAIN, venues));
    return value;
}

static struct value *add_value(struct store *store)
{
    store->values =
        memory_grow(store->values, &store->capacity, store->count + 1, sizeof(*store->values));
    struct value *value = &store->values[store->count++];
    *value = (struct value){ 0 };
    return value;
}

void store_init(struct store *store, venue_names venues)
{
    *store = (struct store){ .venues = venues, .index = map_open(), .member_index = map_open() };
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        struct value *value = add_value(store);
        *value = make_default(key, venues);
        if (strchr(key->path, '*'))
            continue;
        value->path = value_clone(key->path);
        map_put(store->index, key->path, i);
    }
}

void store_release(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        value_release(&store->values[i]);
    for (size_t i = 0; i < store->member_count; i++) {
        free(store->members[i].map);
        free(store->members[i].name);
    }
    for (size_t i = 0; i < store->note_count; i++)
        free(store->notes[i]);
    free(store->values);
    free(store->members);
    free(store->notes);
    map_close(store->index);
    map_close(store->member_index);
    *store = (struct store){ 0 };
}

/* ---- finding ---- */

struct value *store_at(const struct store *store, const char *path)
{
    uint64_t place;
    return map_get(store->index, path, &place) ? &store->values[place] : NULL;
}

const struct value *store_find(const struct store *store, const char *path)
{
    const struct value *value = store_at(store, path);
    if (value)
        return value;
    const struct schema_key *key = schema_match(path);
    return key ? &store->values[schema_index(key)] : NULL;
}

/* ---- precedence ---- */

static int rank(const struct value *value)
{
    if (!(value->key->flags & FLAG_FILE_FIRST))
        return (int)value->source;
    switch (value->source) {
    case FROM_FILE:
        return FROM_ENVIRONMENT;
    case FROM_ENVIRONMENT:
        return FROM_FILE;
    default:
        return (int)value->source;
    }
}

void store_note(struct store *store, const char *path, const char *winner, const char *loser)
{
    struct text note;
    text_init(&note, NOTE_MAX);
    text_printf(&note, "%s: %s stands above %s", path, winner, loser);
    store->notes =
        memory_grow(store->notes, &store->note_capacity, store->note_count + 1, sizeof(char *));
    store->notes[store->note_count++] = note.data;
}

/* Of two limits the smaller counts. Its origin names both. */
static void keep_stricter(struct value *kept, struct value *offered)
{
    int order = decimal_cmp(offered->number, kept->number);
    if (order < 0 || (order == 0 && rank(offered) >= rank(kept))) {
        struct value other = *kept;
        *kept = *offered;
        kept->path = other.path;
        other.path = NULL;
        *offered = other;
    }
    struct text origin;
    text_init(&origin, NOTE_MAX);
    text_printf(&origin, "%s (%s %s)", kept->origin, order == 0 ? "as" : "stricter than",
                offered->origin);
    free(kept->origin);
    kept->origin = origin.data;
}

static void replace(struct value *kept, struct value *offered)
{
    char *path = kept->path;
    kept->path = NULL;
    value_release(kept);
    *kept = *offered;
    kept->path = path;
    *offered = (struct value){ 0 };
}

void store_offer(struct store *store, const char *path, struct value *value)
{
    struct value *kept = store_at(store, path);
    if (!kept) {
        map_put(store->index, path, store->count);
        kept = add_value(store);
        kept->path = value_clone(path);
        replace(kept, value);
        return;
    }
    bool both = kept->source != FROM_DEFAULT && value->source != FROM_DEFAULT;
    if (both && (kept->key->flags & FLAG_LIMIT)) {
        keep_stricter(kept, value);
    } else if (rank(value) >= rank(kept)) {
        if (both)
            store_note(store, path, value->origin, kept->origin);
        replace(kept, value);
    } else {
        store_note(store, path, kept->origin, value->origin);
    }
    value_release(value);
}

void store_spoil(struct store *store, const char *path)
{
    struct value *value = store_at(store, path);
    if (value)
        value->spoiled = true;
}

/* ---- the user's names ---- */

void store_add_member(struct store *store, const char *path, const char *name)
{
    ASSERT(text_ends_with(path, name) && strlen(path) > strlen(name));
    if (store_is_member(store, path))
        return;
    map_put(store->member_index, path, store->member_count);
    store->members = memory_grow(store->members, &store->member_capacity, store->member_count + 1,
                                 sizeof(*store->members));
    char *map = strndup(path, strlen(path) - strlen(name) - 1);
    ASSERT(map);
    store->members[store->member_count++] =
        (struct store_member){ .map = map, .name = value_clone(name) };
}

const struct store_member *store_member(const struct store *store, const char *map, size_t index)
{
    for (size_t i = 0; i < store->member_count; i++)
        if (strcmp(store->members[i].map, map) == 0 && index-- == 0)
            return &store->members[i];
    return NULL;
}

bool store_is_member(const struct store *store, const char *path)
{
    uint64_t place;
    return map_get(store->member_index, path, &place);
}
