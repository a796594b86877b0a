/* json.c - JSON by libyajl: its generator for writing, a tree built from its events for reading. */
#include "runtime/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "runtime/base/clock.h"
#include "runtime/base/utf8.h"

/* yajl does not check its own allocations everywhere: ours do not fail. */
static void *yajl_new(void *context, size_t size)
{
    (void)context;
    return memory_new(size);
}

static void *yajl_resize(void *context, void *block, size_t size)
{
    (void)context;
    void *resized = realloc(block, size ? size : 1);
    ASSERT(resized);
    return resized;
}

static void yajl_drop(void *context, void *block)
{
    (void)context;
    free(block);
}

static const yajl_alloc_funcs allocation = { yajl_new, yajl_resize, yajl_drop, NULL };

static yajl_alloc_funcs own_allocation(void)
{
    return allocation; /* a copy: yajl asks for a pointer that is not const */
}

/* ---- writing ---- */

struct json_writer {
    yajl_gen generator;
    struct text *out;
    struct text clean; /* a string whose bad bytes were replaced */
};

static void print(void *context, const char *bytes, size_t length)
{
    struct json_writer *writer = context;
    text_append(writer->out, bytes, length);
}

struct json_writer *json_writer_open(struct text *out, bool pretty)
{
    struct json_writer *writer = memory_new(sizeof(*writer));
    yajl_alloc_funcs own = own_allocation();
    writer->out = out;
    text_init(&writer->clean, SIZE_MAX - 1);
    writer->generator = yajl_gen_alloc(&own);
    ASSERT(writer->generator);
    ASSERT(yajl_gen_config(writer->generator, yajl_gen_print_callback, print, writer));
    if (pretty) {
        ASSERT(yajl_gen_config(writer->generator, yajl_gen_beautify, 1));
        ASSERT(yajl_gen_config(writer->generator, yajl_gen_indent_string, "  "));
    }
    return writer;
}

void json_writer_close(struct json_writer *writer)
{
    if (!writer)
        return;
    yajl_gen_free(writer->generator);
    text_release(&writer->clean);
    free(writer);
}

void json_writer_reset(struct json_writer *writer)
{
    yajl_gen_reset(writer->generator, NULL);
}

void json_object_begin(struct json_writer *writer)
{
    ASSERT(yajl_gen_map_open(writer->generator) == yajl_gen_status_ok);
}

void json_object_end(struct json_writer *writer)
{
    ASSERT(yajl_gen_map_close(writer->generator) == yajl_gen_status_ok);
}

void json_array_begin(struct json_writer *writer)
{
    ASSERT(yajl_gen_array_open(writer->generator) == yajl_gen_status_ok);
}

void json_array_end(struct json_writer *writer)
{
    ASSERT(yajl_gen_array_close(writer->generator) == yajl_gen_status_ok);
}

void json_key(struct json_writer *writer, const char *key)
{
    json_bytes(writer, key, strlen(key));
}

void json_string(struct json_writer *writer, const char *value)
{
    if (value)
        json_bytes(writer, value, strlen(value));
    else
        json_null(writer);
}

/* Length of the well-formed beginning. */
static size_t good_length(const char *bytes, size_t length)
{
    size_t at = 0;
    while (at < length) {
        size_t step = utf8_length(bytes + at, length - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

void json_bytes(struct json_writer *writer, const char *value, size_t length)
{
    size_t good = good_length(value, length);
    if (good < length) {
        text_clear(&writer->clean);
        while (good < length) {
            text_append(&writer->clean, value, good);
            text_add(&writer->clean, "\xef\xbf\xbd"); /* U+FFFD for each bad byte */
            value += good + 1;
            length -= good + 1;
            good = good_length(value, length);
        }
        text_append(&writer->clean, value, length);
        value = writer->clean.data;
        length = writer->clean.length;
    }
    ASSERT(yajl_gen_string(writer->generator, (const unsigned char *)value, length) ==
           yajl_gen_status_ok);
}

static void number(struct json_writer *writer, const char *text)
{
    ASSERT(yajl_gen_number(writer->generator, text, strlen(text)) == yajl_gen_status_ok);
}

void json_int(struct json_writer *writer, int64_t value)
{
    ASSERT(yajl_gen_integer(writer->generator, value) == yajl_gen_status_ok);
}

void json_double(struct json_writer *writer, double value)
{
    char text[DOUBLE_TEXT_MAX];
    if (isfinite(value))
        number(writer, double_format(value, text));
    else
        json_null(writer);
}

void json_bool(struct json_writer *writer, bool value)
{
    ASSERT(yajl_gen_bool(writer->generator, value) == yajl_gen_status_ok);
}

void json_null(struct json_writer *writer)
{
    ASSERT(yajl_gen_null(writer->generator) == yajl_gen_status_ok);
}

void json_decimal(struct json_writer *writer, decimal value)
{
    char text[DECIMAL_TEXT_MAX];
    if (decimal_valid(value))
        json_string(writer, decimal_format(value, text));
    else
        json_null(writer);
}

void json_time(struct json_writer *writer, int64_t time_ns)
{
    char text[TIME_TEXT_MAX];
    if (time_ns != TIME_NEVER)
        json_string(writer, time_format(time_ns, text));
    else
        json_null(writer);
}

/* RFC 8259, section 6. */
static bool is_json_number(const char *at)
{
    static const char digits[] = "0123456789";
    at += *at == '-';
    size_t whole = strspn(at, digits);
    if (whole == 0 || (whole > 1 && *at == '0'))
        return false;
    at += whole;
    if (*at == '.') {
        size_t fraction = strspn(++at, digits);
        if (fraction == 0)
            return false;
        at += fraction;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        size_t exponent = strspn(at, digits);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    return *at == '\0';
}

void json_number_text(struct json_writer *writer, const char *text)
{
    if (is_json_number(text))
        number(writer, text);
    else /* "NaN" from outside must not break the document */
        json_string(writer, text);
}

/* ---- the tree ---- */

#define DEPTH_MAX 64
#define SMALL_OBJECT 16 /* members up to which looking at each is quicker than a search */

struct member {
    const char *key; /* NULL in arrays */
    struct json *value;
};

struct json {
    enum json_kind kind;
    bool boolean;
    const char *text; /* of strings and numbers */
    size_t count;
    struct member *members;
    struct member *sorted; /* by key; NULL in small objects */
};

struct chunk {
    struct chunk *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

/* The root and the memory of all nodes below. The root comes first, so that one is the other. */
struct document {
    struct json root;
    struct chunk *chunks;
};

static void *document_alloc(struct document *document, size_t size)
{
    size_t rounded = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
    struct chunk *chunk = document->chunks;
    if (!chunk || rounded > chunk->size - chunk->used) {
        size_t room = chunk ? 2 * chunk->size : 1024; /* bytes */
        if (room > 1 << 20)
            room = 1 << 20;
        if (room < rounded)
            room = rounded;
        chunk = memory_new(sizeof(*chunk) + room);
        chunk->size = room;
        chunk->next = document->chunks;
        document->chunks = chunk;
    }
    void *block = chunk->bytes + chunk->used;
    chunk->used += rounded;
    return block;
}

void json_release(struct json *root)
{
    struct document *document = (struct document *)root;
    if (!document)
        return;
    for (struct chunk *chunk = document->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(document);
}

/* ---- reading: yajl's events, in order ---- */

struct pending {
    struct member member;
    size_t offset; /* just after the key */
};

struct frame {
    struct json *node;
    size_t first; /* where its members begin in the pending ones */
};

struct reader {
    struct document *document;
    yajl_handle parser;
    struct frame frames[DEPTH_MAX];
    size_t depth;
    struct pending *pending; /* members of the containers that are still open */
    size_t pending_count;
    size_t pending_capacity;
    const char *key; /* read, its value not yet */
    size_t key_offset;
    size_t fault_offset;
    char fault[160]; /* empty when yajl has the reason */
};

/* Stops the parse. */
static int refuse(struct reader *reader, size_t offset, const char *reason, const char *name)
{
    snprintf(reader->fault, sizeof(reader->fault), "%s%.100s", reason, name);
    reader->fault_offset = offset;
    return 0;
}

static struct json *add_node(struct reader *reader, enum json_kind kind)
{
    struct json *node = &reader->document->root;
    if (reader->depth > 0) {
        node = document_alloc(reader->document, sizeof(*node));
        reader->pending = memory_grow(reader->pending, &reader->pending_capacity,
                                      reader->pending_count + 1, sizeof(*reader->pending));
        reader->pending[reader->pending_count++] =
            (struct pending){ .member = { .key = reader->key, .value = node },
                              .offset = reader->key_offset };
        reader->key = NULL;
    }
    node->kind = kind;
    return node;
}

static char *copy_text(struct reader *reader, const void *bytes, size_t length)
{
    char *copy = document_alloc(reader->document, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

/* NULL, and the parse refused, when the text is nothing for a C string. yajl checks UTF-8 loosely:
 * overlong forms and surrogates pass it. */
static char *copy_string(struct reader *reader, const unsigned char *bytes, size_t length)
{
    size_t offset = yajl_get_bytes_consumed(reader->parser);
    if (length > 0 && memchr(bytes, '\0', length)) {
        refuse(reader, offset, "a string holds a NUL character", "");
        return NULL;
    }
    if (good_length((const char *)bytes, length) < length) {
        refuse(reader, offset, "a string is not UTF-8", "");
        return NULL;
    }
    return copy_text(reader, bytes, length);
}

static int on_null(void *context)
{
    add_node(context, JSON_NULL);
    return 1;
}

static int on_bool(void *context, int value)
{
    add_node(context, JSON_BOOL)->boolean = value;
    return 1;
}

static int on_number(void *context, const char *text, size_t length)
{
    struct reader *reader = context;
    add_node(reader, JSON_NUMBER)->text = copy_text(reader, text, length);
    return 1;
}

static int on_string(void *context, const unsigned char *bytes, size_t length)
{
    struct reader *reader = context;
    const char *text = copy_string(reader, bytes, length);
    if (!text)
        return 0;
    add_node(reader, JSON_STRING)->text = text;
    return 1;
}

static int on_key(void *context, const unsigned char *bytes, size_t length)
{
    struct reader *reader = context;
    reader->key = copy_string(reader, bytes, length);
    reader->key_offset = yajl_get_bytes_consumed(reader->parser);
    return reader->key != NULL;
}

static int begin(struct reader *reader, enum json_kind kind)
{
    if (reader->depth == DEPTH_MAX)
        return refuse(reader, yajl_get_bytes_consumed(reader->parser),
                      "values are nested more than 64 deep", "");
    struct json *node = add_node(reader, kind);
    reader->frames[reader->depth++] =
        (struct frame){ .node = node, .first = reader->pending_count };
    return 1;
}

static int on_object_begin(void *context)
{
    return begin(context, JSON_OBJECT);
}

static int on_array_begin(void *context)
{
    return begin(context, JSON_ARRAY);
}

/* Moves the members of the innermost container from the pending ones into its node. */
static struct json *end(struct reader *reader)
{
    struct frame *frame = &reader->frames[--reader->depth];
    struct json *node = frame->node;
    node->count = reader->pending_count - frame->first;
    node->members = document_alloc(reader->document, node->count * sizeof(*node->members));
    for (size_t i = 0; i < node->count; i++)
        node->members[i] = reader->pending[frame->first + i].member;
    reader->pending_count = frame->first;
    return node;
}

static int on_array_end(void *context)
{
    end(context);
    return 1;
}

static int compare_keys(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return strcmp(x->key, y->key);
}

/* A key that stands twice, or NULL. Large objects are sorted for it, and keep that order for
 * lookups: a message of a million keys costs no more than its sorting. */
static const char *repeated_key(struct reader *reader, struct json *node)
{
    if (node->count <= SMALL_OBJECT) {
        for (size_t i = 1; i < node->count; i++)
            for (size_t j = 0; j < i; j++)
                if (strcmp(node->members[i].key, node->members[j].key) == 0)
                    return node->members[i].key;
        return NULL;
    }
    size_t size = node->count * sizeof(*node->members);
    node->sorted = document_alloc(reader->document, size);
    memcpy(node->sorted, node->members, size);
    qsort(node->sorted, node->count, sizeof(*node->sorted), compare_keys);
    for (size_t i = 1; i < node->count; i++)
        if (strcmp(node->sorted[i - 1].key, node->sorted[i].key) == 0)
            return node->sorted[i].key;
    return NULL;
}

static int on_object_end(void *context)
{
    struct reader *reader = context;
    struct json *node = end(reader);
    const char *key = repeated_key(reader, node);
    if (!key)
        return 1;

    const struct pending *members = &reader->pending[reader->pending_count]; /* still there */
    size_t second = node->count - 1;
    while (strcmp(members[second].member.key, key) != 0)
        second--;
    return refuse(reader, members[second].offset, "a key appears twice: ", key);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object_begin,
    .yajl_map_key = on_key,
    .yajl_end_map = on_object_end,
    .yajl_start_array = on_array_begin,
    .yajl_end_array = on_array_end,
};

/* Takes over yajl's reason, unless we refused ourselves. `offset` is where it stopped. */
static void take_fault(struct reader *reader, size_t offset)
{
    if (reader->fault[0])
        return;
    unsigned char *reason = yajl_get_error(reader->parser, 0, NULL, 0);
    refuse(reader, offset, (const char *)reason, "");
    yajl_free_error(reader->parser, reason);
    reader->fault[strcspn(reader->fault, "\n")] = '\0';
}

static int report(const struct reader *reader, const char *text, struct error *err)
{
    size_t offset = reader->fault_offset;
    size_t last = offset > 0 ? offset - 1 : 0; /* the byte at which it stopped */
    size_t line = 1, start = 0;
    for (size_t i = 0; i < last; i++)
        if (text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return error_set(err, ERROR_DATA, "not acceptable JSON at line %zu, column %zu (byte %zu): %s",
                     line, last - start + 1, offset, reader->fault);
}

int json_parse(const char *text, size_t length, struct json **root, struct error *err)
{
    struct reader reader = { .document = memory_new(sizeof(struct document)) };
    yajl_alloc_funcs own = own_allocation();
    *root = NULL;
    reader.parser = yajl_alloc(&callbacks, &own, &reader);
    ASSERT(reader.parser);

    bool failed = true;
    if (yajl_parse(reader.parser, (const unsigned char *)text, length) != yajl_status_ok)
        take_fault(&reader, yajl_get_bytes_consumed(reader.parser));
    else if (yajl_complete_parse(reader.parser) != yajl_status_ok)
        take_fault(&reader, length); /* it ends too early */
    else
        failed = false;
    yajl_free(reader.parser);
    free(reader.pending);

    if (failed) {
        json_release(&reader.document->root);
        return report(&reader, text, err);
    }
    *root = &reader.document->root;
    return 0;
}

/* ---- looking at the tree ---- */

enum json_kind json_kind(const struct json *node)
{
    return node->kind;
}

const struct json *json_get(const struct json *object, const char *key)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    if (object->sorted) {
        const struct member wanted = { .key = key };
        const struct member *found =
            bsearch(&wanted, object->sorted, object->count, sizeof(*object->sorted), compare_keys);
        return found ? found->value : NULL;
    }
    for (size_t i = 0; i < object->count; i++)
        if (strcmp(object->members[i].key, key) == 0)
            return object->members[i].value;
    return NULL;
}

size_t json_count(const struct json *node)
{
    return node ? node->count : 0;
}

const struct json *json_at(const struct json *node, size_t index)
{
    return index < json_count(node) ? node->members[index].value : NULL;
}

const char *json_key_at(const struct json *object, size_t index)
{
    return index < json_count(object) ? object->members[index].key : NULL;
}

const char *json_as_string(const struct json *node)
{
    return node && node->kind == JSON_STRING ? node->text : NULL;
}

const char *json_as_number_text(const struct json *node)
{
    return node && node->kind == JSON_NUMBER ? node->text : NULL;
}

bool json_as_bool(const struct json *node)
{
    return node && node->kind == JSON_BOOL && node->boolean;
}
