/* walk.c - each key of a file finds its line in the schema, or is refused.
 *
 * While walking down, three paths are kept: as written in the file ("live_trading.brokers.ibkr.
 * port"), as the settings are read ("brokers.ibkr.settings.port"), and as the schema spells it
 * ("brokers.*.settings.*"). */
#include "runtime/config/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/fragments.h"

#define PLACE_MAX 1024 /* bytes: six levels of YAML_KEY_MAX, and more */
#define NAMES_MAX 64   /* keys under one path of the schema, and the final NULL */
#define MESSAGE_MAX 2048
#define ROOT "live_trading"

struct walk {
    struct store *store;
    struct faults *faults;
    enum config_source source;
};

struct place {
    char written[PLACE_MAX];
    char path[PLACE_MAX];
    char pattern[PLACE_MAX];
    const char *name; /* the last one of path */
    int line, column; /* of the key */
};

static void walk_node(struct walk *walk, const struct place *at, const struct yaml_node *node);

/* ---- paths ---- */

static void join(char out[PLACE_MAX], const char *path, const char *name)
{
    int length = snprintf(out, PLACE_MAX, "%s%s%s", path, *path ? "." : "", name);
    ASSERT(length >= 0 && length < PLACE_MAX);
}

static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

/* The line of the mapping or list that the place stands in, or NULL. */
static const struct schema_key *parent_line(const struct place *place)
{
    char parent[PLACE_MAX];
    memcpy(parent, place->pattern, sizeof(parent));
    char *dot = strrchr(parent, '.');
    if (!dot)
        return NULL;
    *dot = '\0';
    return schema_find(parent);
}

/* ---- faults ---- */

static void fault(struct walk *walk, const struct place *at, const struct yaml_node *node,
                  const char *message)
{
    faults_add(walk->faults, node->line, node->column, at->written, "%s", message);
    store_spoil(walk->store, at->path);
}

static void key_fault(struct walk *walk, const struct place *to, const char *message)
{
    faults_add(walk->faults, to->line, to->column, to->written, "%s", message);
}

static void wrong_scalar(struct walk *walk, const struct place *at, const struct yaml_node *node,
                         const struct schema_key *key)
{
    struct text message;
    text_init(&message, MESSAGE_MAX);
    value_explain(&message, key, node->text, node->quoted ? VALUE_QUOTED : VALUE_PLAIN,
                  walk->store->venues);
    fault(walk, at, node, message.data);
    text_release(&message);
}

/* A list, a mapping or nothing where something else is wanted. */
static void wrong_kind(struct walk *walk, const struct place *at, const struct yaml_node *node,
                       const struct schema_key *key)
{
    struct text message;
    text_init(&message, MESSAGE_MAX);
    const char *found = node->kind == YAML_LIST      ? "a list"
                        : node->kind == YAML_MAPPING ? "a mapping"
                        : yaml_is_null(node)         ? "nothing"
                                                     : "a single value";
    text_printf(&message, "found %s; allowed ", found);
    value_allowed(&message, key, walk->store->venues);
    fault(walk, at, node, message.data);
    text_release(&message);
}

static void secret_fault(struct walk *walk, const struct place *to)
{
    key_fault(walk, to,
              "found a secret; allowed none in this file: keep it in the vault (runtime vault), in "
              "an environment variable (api_key_env and api_secret_env name it), in a file named "
              "by NAME_FILE, or in a systemd credential");
}

static void unknown_fault(struct walk *walk, const struct place *at, const struct place *to,
                          const char *key)
{
    char *names[NAMES_MAX];
    struct text message;
    size_t count = schema_children(at->pattern, names, NAMES_MAX);
    const char *nearest = text_nearest(key, (const char *const *)names);
    const struct schema_key *elsewhere = schema_elsewhere(key);

    text_init(&message, MESSAGE_MAX);
    text_add(&message, "found an unknown key; allowed ");
    if (elsewhere && (elsewhere->flags & FLAG_SWITCH))
        text_printf(&message, "in the environment alone: %s", elsewhere->environment);
    else
        value_join(&message, (const char *const *)names);
    if (nearest)
        text_printf(&message, "; did you mean %s?", nearest);
    else if (elsewhere && !(elsewhere->flags & FLAG_SWITCH))
        text_printf(&message, "; did you mean %s?", elsewhere->path);
    key_fault(walk, to, message.data);

    text_release(&message);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
}

static void name_fault(struct walk *walk, const struct place *to, const char *name,
                       const char *allowed)
{
    struct text message;
    text_init(&message, MESSAGE_MAX);
    text_add(&message, "found ");
    value_quote(&message, name);
    text_add(&message, " as a name; allowed ");
    bool venue = strstr(allowed, "venue");
    if (venue)
        value_join(&message, walk->store->venues);
    if (strstr(allowed, "symbol"))
        text_printf(&message, "%sa symbol such as BTC/USDT:USDT", venue ? ", or " : "");
    if (strstr(allowed, "name"))
        text_add(&message, "letters, digits and _");
    const char *nearest = venue ? text_nearest(name, walk->store->venues) : NULL;
    if (nearest)
        text_printf(&message, "; did you mean %s?", nearest);
    key_fault(walk, to, message.data);
    text_release(&message);
}

/* ---- keys ---- */

/* A path that users have already. */
static bool step_fragment(const struct place *at, const char *key, struct place *to)
{
    const char *meaning = fragment_meaning(to->pattern);
    char path[PLACE_MAX];
    join(path, at->path, key);
    if (!meaning)
        meaning = fragment_meaning(path);
    if (!meaning)
        return false;

    to->name = last_name(meaning);
    if (strchr(meaning, '*')) { /* beside the written one: only the last names differ */
        size_t parent = strlen(at->pattern);
        ASSERT(strncmp(meaning, at->pattern, parent) == 0 && meaning[parent] == '.');
        join(to->path, at->path, meaning + parent + 1);
        text_copy(to->pattern, PLACE_MAX, meaning);
    } else {
        text_copy(to->path, PLACE_MAX, meaning);
        text_copy(to->pattern, PLACE_MAX, schema_match(meaning)->path);
    }
    return true;
}

/* A name of the user's own. */
static bool step_name(struct walk *walk, const struct place *at, const char *key, struct place *to)
{
    const struct schema_key *line = schema_find(at->pattern);
    if (!value_name_allowed(line->allowed, key, walk->store->venues)) {
        name_fault(walk, to, key, line->allowed);
        return false;
    }
    join(to->pattern, at->pattern, "*");
    return true;
}

/* From a mapping down to one of its keys; false after a fault. */
static bool step(struct walk *walk, const struct place *at, const struct yaml_entry *entry,
                 struct place *to)
{
    const char *key = entry->key;
    const struct schema_key *line = schema_find(at->pattern);
    to->name = key;
    to->line = entry->line;
    to->column = entry->column;
    join(to->written, at->written, key);
    join(to->path, at->path, key);
    join(to->pattern, at->pattern, key);

    if (!strpbrk(key, ".*") && schema_knows(to->pattern))
        return true;
    if (!strpbrk(key, ".*") && step_fragment(at, key, to))
        return true;
    if (fragment_is_secret(key)) {
        secret_fault(walk, to);
        return false;
    }
    if (line && line->kind == KIND_ENTRIES)
        return step_name(walk, at, key, to);
    if (fragment_section(to->pattern))
        return true;
    unknown_fault(walk, at, to, key);
    return false;
}

/* ---- values ---- */

static char *make_origin(const struct walk *walk, const struct place *at)
{
    if (walk->source == FROM_DEFAULT)
        return value_clone("default");
    struct text origin;
    text_init(&origin, MESSAGE_MAX);
    text_printf(&origin, "%s:%d:%d", walk->faults->file, at->line, at->column);
    return origin.data;
}

/* universe.fixed_symbols beside trading.symbols, base_url beside rest_url: which one is meant? */
static bool is_second(struct walk *walk, const struct place *at)
{
    const struct value *kept = store_at(walk->store, at->path);
    if (!kept || kept->source != FROM_FILE || (kept->key->flags & FLAG_LIMIT))
        return false;
    faults_add(walk->faults, at->line, at->column, at->written,
               "found a second value for %s; allowed one (the first is at %s)", at->path,
               kept->origin);
    return true;
}

static void offer(struct walk *walk, const struct place *at, struct value *value)
{
    value->source = walk->source;
    value->origin = make_origin(walk, at);
    store_offer(walk->store, at->path, value);
}

static bool walk_item(struct walk *walk, const struct place *at, const struct yaml_node *item,
                      struct value *value)
{
    enum value_form form = item->quoted ? VALUE_QUOTED : VALUE_PLAIN;
    if (item->kind == YAML_REFUSED)
        return false;
    if (item->kind != YAML_SCALAR || yaml_is_null(item)) {
        wrong_kind(walk, at, item, value->key);
    } else if (value_has(value, item->text)) {
        fault(walk, at, item, "found the same entry twice; allowed once");
    } else if (value->count == VALUE_ITEMS_MAX) {
        fault(walk, at, item, "found more than 256 entries; allowed fewer");
    } else if (!value_add(value, item->text, form, walk->store->venues)) {
        wrong_scalar(walk, at, item, value->key);
    } else {
        return true;
    }
    return false;
}

static void walk_list(struct walk *walk, const struct place *at, const struct yaml_node *node,
                      struct value *value)
{
    bool right = true;
    if (node->count == 0 && !(value->key->flags & FLAG_EMPTY)) {
        struct text message;
        text_init(&message, MESSAGE_MAX);
        text_add(&message, "found an empty list; allowed ");
        value_allowed(&message, value->key, walk->store->venues);
        text_add(&message, ", at least one");
        fault(walk, at, node, message.data);
        text_release(&message);
        right = false;
    }
    for (size_t i = 0; i < node->count; i++)
        right &= walk_item(walk, at, node->entries[i].value, value);
    if (right)
        offer(walk, at, value);
}

static void walk_scalar(struct walk *walk, const struct place *at, const struct yaml_node *node,
                        struct value *value)
{
    bool list = value->key->flags & FLAG_LIST;
    if (list && walk_item(walk, at, node, value))
        offer(walk, at, value);
    if (list)
        return;
    if (value_read(value, node->text, node->quoted ? VALUE_QUOTED : VALUE_PLAIN,
                   walk->store->venues))
        offer(walk, at, value);
    else
        wrong_scalar(walk, at, node, value->key);
}

static void walk_null(struct walk *walk, const struct place *at, const struct yaml_node *node,
                      struct value *value)
{
    const struct schema_key *key = value->key;
    bool is_needed = key->normal && !(key->flags & FLAG_ABSENT);
    value->null = true;
    if (key->flags & FLAG_NULL)
        offer(walk, at, value);
    else if (is_needed || (key->flags & FLAG_LIMIT)) /* a limit without a value limits nothing */
        wrong_kind(walk, at, node, value->key);
}

static void walk_leaf(struct walk *walk, const struct place *at, const struct yaml_node *node,
                      const struct schema_key *key)
{
    struct value value = { .key = key, .number = DECIMAL_NONE };
    bool list = key->flags & FLAG_LIST;
    if (yaml_is_null(node))
        walk_null(walk, at, node, &value);
    else if (is_second(walk, at))
        ; /* told */
    else if (list && node->kind == YAML_LIST)
        walk_list(walk, at, node, &value);
    else if (node->kind == YAML_SCALAR && (!list || (key->flags & FLAG_SINGLE)))
        walk_scalar(walk, at, node, &value);
    else
        wrong_kind(walk, at, node, key);
    value_release(&value);
}

/* ---- mappings and lists of mappings ---- */

static void walk_entry(struct walk *walk, const struct place *at, const struct yaml_entry *entry)
{
    struct place to;
    if (!*at->path && strcmp(entry->key, ROOT) == 0 && !*at->written) {
        to = *at; /* the whole may stand under one root key */
        join(to.written, "", ROOT);
        to.line = entry->line;
        to.column = entry->column;
    } else if (!step(walk, at, entry, &to)) {
        return;
    }
    const struct schema_key *parent = parent_line(&to);
    if (parent && parent->kind == KIND_ENTRIES)
        store_add_member(walk->store, to.path, to.name);
    walk_node(walk, &to, entry->value);
}

static void walk_mapping(struct walk *walk, const struct place *at, const struct yaml_node *node)
{
    if (node->kind != YAML_MAPPING) {
        struct text message;
        text_init(&message, MESSAGE_MAX);
        text_printf(&message, "found %s; allowed a mapping (lines of `key: value`)",
                    node->kind == YAML_LIST ? "a list" : "a single value");
        fault(walk, at, node, message.data);
        text_release(&message);
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        walk_entry(walk, at, &node->entries[i]);
}

/* required is "capital|days". */
static void check_required(struct walk *walk, const struct place *row, const struct yaml_node *node,
                           const char *required)
{
    for (const char *at = required; *at; at += *at == '|') {
        size_t size = strcspn(at, "|");
        bool found = false;
        for (size_t i = 0; i < node->count; i++)
            found |= strlen(node->entries[i].key) == size &&
                     strncmp(node->entries[i].key, at, size) == 0 &&
                     !yaml_is_null(node->entries[i].value);
        if (!found)
            faults_add(walk->faults, node->line, node->column, row->written,
                       "found no %.*s; allowed a mapping that has it", (int)size, at);
        at += size;
    }
}

static void walk_row(struct walk *walk, const struct place *at, const struct yaml_node *node,
                     size_t index, const char *required)
{
    struct place row = { .line = node->line, .column = node->column };
    char name[24];
    snprintf(name, sizeof(name), "%zu", index);
    join(row.written, at->written, name);
    join(row.path, at->path, name);
    join(row.pattern, at->pattern, "*");
    store_add_member(walk->store, row.path, name);
    walk_mapping(walk, &row, node);
    if (node->kind == YAML_MAPPING)
        check_required(walk, &row, node, required);
}

static void walk_rows(struct walk *walk, const struct place *at, const struct yaml_node *node,
                      const struct schema_key *key)
{
    if (node->kind != YAML_LIST || (node->count == 0 && !(key->flags & FLAG_EMPTY))) {
        fault(walk, at, node,
              node->kind == YAML_LIST ? "found an empty list; allowed at least one entry"
              : node->kind == YAML_MAPPING
                  ? "found a mapping; allowed a list of mappings (- key: value)"
                  : "found a single value; allowed a list of mappings");
        return;
    }
    if (store_member(walk->store, at->path, 0)) {
        fault(walk, at, node, "found a second list; allowed one");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        if (node->entries[i].value->kind != YAML_REFUSED)
            walk_row(walk, at, node->entries[i].value, i, key->allowed);
}

static void walk_node(struct walk *walk, const struct place *at, const struct yaml_node *node)
{
    const struct schema_key *key = schema_find(at->pattern);
    bool container = !key || key->kind == KIND_ENTRIES || key->kind == KIND_ROWS;
    if (node->kind == YAML_REFUSED)
        return;
    if (!container)
        walk_leaf(walk, at, node, key);
    else if (yaml_is_null(node))
        ; /* a section whose every line is commented out */
    else if (key && key->kind == KIND_ROWS)
        walk_rows(walk, at, node, key);
    else
        walk_mapping(walk, at, node);
}

void walk_file(struct store *store, struct faults *faults, const struct yaml_node *root)
{
    struct walk walk = { .store = store, .faults = faults, .source = FROM_FILE };
    struct place at = { .line = root->line, .column = root->column };
    walk_node(&walk, &at, root);
}

void walk_defaults(struct store *store)
{
    struct faults faults = { .file = "default" };
    struct walk walk = { .store = store, .faults = &faults, .source = FROM_DEFAULT };
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        if (key->kind != KIND_ROWS || !key->normal || store_member(store, key->path, 0))
            continue;
        struct yaml_node *node = yaml_parse(key->normal, strlen(key->normal), &faults);
        ASSERT(node);
        struct place at = { 0 };
        text_copy(at.written, PLACE_MAX, key->path);
        text_copy(at.path, PLACE_MAX, key->path);
        text_copy(at.pattern, PLACE_MAX, key->path);
        walk_rows(&walk, &at, node, key);
        yaml_release(node);
    }
    ASSERT(faults.count == 0);
    faults_release(&faults);
}
