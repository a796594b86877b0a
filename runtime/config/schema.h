/* schema.h - every key a configuration may hold: one table, a line per key.
 *
 * A path is written with dots; `*` stands for a name the user chooses (a venue, a symbol) or for
 * the index in a list. Nothing else in the program knows what keys there are. */
#ifndef RUNTIME_CONFIG_SCHEMA_H
#define RUNTIME_CONFIG_SCHEMA_H

#include "runtime/base/base.h"

enum kind {
    KIND_TEXT,
    KIND_ANY,      /* any scalar, kept as text: who declared it will check it */
    KIND_CHOICE,   /* allowed: "leave|cancel|flatten" */
    KIND_BOOL,     /* true or false */
    KIND_INTEGER,  /* allowed: ">0 <=1000" */
    KIND_DECIMAL,  /* the same */
    KIND_FRACTION, /* a decimal; a percentage is a fraction: 0.02 = 2 % */
    KIND_DURATION, /* allowed: ">0s"; always with a unit */
    KIND_DATE,     /* 2024-01-31 */
    KIND_NAME,     /* letters, digits and _ */
    KIND_URL,      /* https http wss ws tcp, without a user or password in it */
    KIND_ADDRESS,  /* HOST:PORT */
    KIND_VENUE,
    KIND_PROVIDER, /* a venue, or "broker": the one that is traded on */
    KIND_SYMBOL,
    KIND_TIMEFRAME,
    KIND_ENTRIES, /* a mapping with names the user chooses; allowed says which: name venue symbol */
    KIND_ROWS,    /* a list of mappings; allowed: the keys each must have */
};

enum schema_flags {
    FLAG_LIST = 1 << 0,   /* a list of these */
    FLAG_SINGLE = 1 << 1, /* a single one counts as a list of one */
    FLAG_EMPTY = 1 << 2,  /* the list may be empty */
    FLAG_NULL = 1 << 3,   /* null is a value: it switches the thing off */
    FLAG_ABSENT = 1 << 4, /* null means: not given */
    FLAG_LIMIT = 1 << 5,  /* set in two places, the smaller value counts */
    FLAG_SECONDS =
        1 << 6,           /* a plain number of seconds in the environment and on the command line */
    FLAG_HIDDEN = 1 << 7, /* never shown: whoever has it can use it */
    FLAG_SHY = 1 << 8,    /* a wrong value is not shown: it may be a secret in the wrong place */
    FLAG_SWITCH = 1 << 9, /* environment alone, refused in files */
    FLAG_FILE_FIRST = 1 << 10, /* the file stands above the environment */
};

struct schema_key {
    const char *path;
    enum kind kind;
    const char *allowed;     /* range, choices, names; NULL: anything of the kind */
    const char *normal;      /* the default; NULL: none */
    const char *environment; /* the variable that sets it, or NULL */
    unsigned flags;
};

/* The table. */
size_t schema_count(void);
const struct schema_key *schema_at(size_t index);
size_t schema_index(const struct schema_key *key);

/* The line with this very path, or NULL. */
const struct schema_key *schema_find(const char *pattern);
/* The line whose path matches when `*` may be any text, or NULL: "brokers.kraken.rest_url". */
const struct schema_key *schema_match(const char *path);
/* Whether some line, other than a switch, has this path or begins with it. */
bool schema_knows(const char *pattern);

/* The names that may stand directly under a path, as a NULL-terminated list in `names`; `*` is left
 * out. Pieces of paths: each entry is malloc'd. Returns how many. */
size_t schema_children(const char *pattern, char **names, size_t size);

/* A key elsewhere whose last name is this, or NULL. */
const struct schema_key *schema_elsewhere(const char *name);

/* The venues that come with the program, NULL-terminated. */
const char *const *schema_venues(void);

#endif
