/* walk.h - a YAML tree into the store, by the schema. */
#ifndef RUNTIME_CONFIG_WALK_H
#define RUNTIME_CONFIG_WALK_H

#include "runtime/config/faults.h"
#include "runtime/config/store.h"
#include "runtime/config/yaml.h"

/* Checks every key and value under `root` and offers what is right to the store; what is wrong goes
 * to `faults`, whose file names the origin. */
void walk_file(struct store *store, struct faults *faults, const struct yaml_node *root);

/* The lists of mappings that the file left out get their defaults. */
void walk_defaults(struct store *store);

#endif
