/* yaml.h - a YAML document as a tree whose every node knows its line and column.
 *
 * A small and strict part of YAML: mappings, lists and scalars. What surprises people is refused
 * with its position: duplicate keys, tabs in the indentation, anchors and aliases, tags, several
 * documents, control characters. What a scalar means is not decided here: libyaml's own rules
 * (yes, 0o17, 1_000, 1:30) are never asked. */
#ifndef RUNTIME_CONFIG_YAML_H
#define RUNTIME_CONFIG_YAML_H

#include "runtime/base/base.h"
#include "runtime/config/faults.h"

#define YAML_FILE_MAX (1 << 20) /* bytes */
#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 65536
#define YAML_ENTRIES_MAX 4096 /* of one mapping or list */
#define YAML_KEY_MAX 100      /* bytes */
#define YAML_SCALAR_MAX 4096  /* bytes */

enum yaml_kind {
    YAML_SCALAR,
    YAML_LIST,
    YAML_MAPPING,
    YAML_REFUSED, /* a fault was told; the place is kept */
};

struct yaml_node;

struct yaml_entry {
    char *key; /* NULL in a list */
    int line, column;
    struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    int line, column; /* from 1 */
    bool quoted;      /* '...' or "...": text, whatever it looks like */
    char *text;       /* of a scalar */
    struct yaml_entry *entries;
    size_t count, capacity;
};

/* The tree, or NULL when the text cannot be read to its end. In both cases `faults` has grown by
 * what was wrong. An empty document is a null scalar. Released with yaml_release. */
struct yaml_node *yaml_parse(const char *bytes, size_t length, struct faults *faults);
void yaml_release(struct yaml_node *node);

/* null, ~ or nothing, without quotes. */
bool yaml_is_null(const struct yaml_node *node);

#endif
