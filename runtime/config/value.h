/* value.h - one value of a configuration: read from text by its line in the schema. */
#ifndef RUNTIME_CONFIG_VALUE_H
#define RUNTIME_CONFIG_VALUE_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/text.h"
#include "runtime/config/config.h"
#include "runtime/config/schema.h"

#define VALUE_ITEMS_MAX 256 /* of a list */

struct value {
    const struct schema_key *key;
    char *path; /* NULL for a line of the schema whose path has a star */
    enum config_source source;
    char *origin;
    bool null;
    char *text;      /* of a scalar, canonical; NULL when null */
    decimal number;  /* INTEGER, DECIMAL, FRACTION */
    int64_t integer; /* INTEGER; DURATION in ns; BOOL 0 or 1 */
    char **items;    /* of a list */
    size_t count, capacity;
    bool spoiled; /* a wrong value was found for it: what it holds was not chosen */
};

/* How a text was written. Only a file knows types; the environment and flags are text alone. */
enum value_form { VALUE_PLAIN, VALUE_QUOTED, VALUE_OUTSIDE };

/* Names of venues, NULL-terminated: those of the schema and what lies in brokers/. */
typedef const char *const *venue_names;

void value_release(struct value *value);

/* Whether a number that was not read from text is allowed for a key: in its range, and not finer
 * than the 18 digits that a text may have. */
bool value_number_allowed(const struct schema_key *key, decimal number);

/* Reads a scalar into *value, whose key is set. False when it is not allowed. */
bool value_read(struct value *value, const char *text, enum value_form form, venue_names venues);
/* Adds an item to a list. False when it is not allowed. */
bool value_add(struct value *value, const char *item, enum value_form form, venue_names venues);
bool value_has(const struct value *value, const char *item);

/* Whether a name may stand in a mapping of the user's names; allowed as in the schema. */
bool value_name_allowed(const char *allowed, const char *name, venue_names venues);

/* "found nan; allowed a number >0; did you mean ...?" for a scalar, or for one item of a list. */
void value_explain(struct text *out, const struct schema_key *key, const char *found,
                   enum value_form form, venue_names venues);
/* What may stand in a file: "a number >0", "a list, each a symbol such as BTC/USDT:USDT". */
void value_allowed(struct text *out, const struct schema_key *key, venue_names venues);
/* The text between quotes, escaped, and cut when long. */
void value_quote(struct text *out, const char *text);
/* "a, b, c" */
void value_join(struct text *out, const char *const *words);
/* The value for people: lists in brackets, null, (hidden). */
void value_show(struct text *out, const struct value *value);

char *value_clone(const char *text);

#endif
