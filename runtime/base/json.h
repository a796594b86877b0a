/* json.h - JSON in and out, over libyajl; the one header that would change with the library.
 *
 * Numbers keep their text: exact decimals are written and read without passing a double. */
#ifndef RUNTIME_BASE_JSON_H
#define RUNTIME_BASE_JSON_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

/* ---- writing: appends to a text; keys in the order of the calls; UTF-8 is the caller's ----
 *
 * A call out of place (a value where a key belongs, over 127 levels) is our own bug: asserted. */

struct json_writer; /* opaque */
struct json_writer *json_writer_open(struct text *out, bool pretty);
void json_writer_close(struct json_writer *writer);
void json_writer_reset(struct json_writer *writer); /* begin another document in the same text */

void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
/* NULL writes null; a byte that is not UTF-8 becomes U+FFFD. */
void json_string(struct json_writer *writer, const char *value);
void json_bytes(struct json_writer *writer, const char *value, size_t length);
void json_int(struct json_writer *writer, int64_t value);
/* The shortest text that reads back; NaN and infinity write null. */
void json_double(struct json_writer *writer, double value);
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);
/* A string, "1.25"; invalid writes null. */
void json_decimal(struct json_writer *writer, decimal value);
/* A string, RFC 3339; TIME_NEVER writes null. */
void json_time(struct json_writer *writer, int64_t time_ns);
/* The number as spelled; what is no JSON number becomes a string. */
void json_number_text(struct json_writer *writer, const char *number);

/* ---- reading: a whole document into a tree ---- */

struct json; /* opaque node; the root owns all */
enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* ERROR_DATA with the place of the fault: not JSON, bad UTF-8, nested over 64 deep, a key twice in
 * one object, or a NUL (\u0000) in a string, which a C string cannot hold. */
MUST_CHECK int json_parse(const char *text, size_t length, struct json **root, struct error *err);
void json_release(struct json *root);

enum json_kind json_kind(const struct json *node);
/* NULL when absent or no object. */
const struct json *json_get(const struct json *object, const char *key);
size_t json_count(const struct json *node); /* elements or members; 0 of anything else */
/* Element, or value of the member; NULL beyond the last. */
const struct json *json_at(const struct json *node, size_t index);
const char *json_key_at(const struct json *object, size_t index);
const char *json_as_string(const struct json *node);      /* NULL when no string */
const char *json_as_number_text(const struct json *node); /* NULL when no number */
bool json_as_bool(const struct json *node);

#endif
