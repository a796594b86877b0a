/* yaml.c - libyaml's events into a tree, refusing what the header says.
 *
 * Events rather than libyaml's own document: that keeps duplicate keys and resolves aliases
 * silently (an alias bomb would be unfolded before we saw it), and forgets the anchors. */
#include "runtime/config/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PATH_MAX_BYTES ((YAML_DEPTH_MAX + 1) * (YAML_KEY_MAX + 1))

struct reader {
    yaml_parser_t parser;
    struct faults *faults;
    const char *bytes;
    size_t length;
    struct text path; /* of the node being read */
    size_t nodes;
    bool failed; /* nothing after this can be read */
};

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && !node->quoted &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

void yaml_release(struct yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++) {
        free(node->entries[i].key);
        yaml_release(node->entries[i].value);
    }
    free(node->entries);
    free(node->text);
    free(node);
}

/* ---- before libyaml looks ---- */

/* The line and column of the byte after `length` others. */
static void locate(const char *bytes, size_t length, int *line, int *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < length; i++) {
        bool pair = bytes[i] == '\r' && i + 1 < length && bytes[i + 1] == '\n';
        if (bytes[i] == '\n' || (bytes[i] == '\r' && !pair)) {
            ++*line;
            *column = 1;
        } else if (((unsigned char)bytes[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

static void refuse_tab(struct faults *faults, const char *line, size_t length, int number)
{
    size_t blank = 0;
    while (blank < length && (line[blank] == ' ' || line[blank] == '\t'))
        blank++;
    const char *tab = memchr(line, '\t', blank);
    if (!tab)
        return;

    char key[YAML_KEY_MAX + 1] = "";
    const char *colon = memchr(line + blank, ':', length - blank);
    if (colon && line[blank] != '#' && (size_t)(colon - line) - blank < 32)
        text_copy_span(key, sizeof(key), line + blank, (size_t)(colon - line) - blank);
    faults_add(faults, number, (int)(tab - line) + 1, key,
               "found a tab in the indentation; allowed spaces");
}

/* libyaml names no tab in its messages, and lets some pass inside brackets. */
static bool has_tabs(struct faults *faults, const char *bytes, size_t length)
{
    size_t before = faults->count;
    int number = 1;
    for (size_t at = 0; at < length; number++) {
        size_t size = 0;
        while (at + size < length && bytes[at + size] != '\n' && bytes[at + size] != '\r')
            size++;
        refuse_tab(faults, bytes + at, size, number);
        at += size;
        if (at + 1 < length && bytes[at] == '\r' && bytes[at + 1] == '\n')
            at++;
        at++;
    }
    return faults->count > before;
}

/* ---- faults ---- */

static void fault(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
    faults_add(reader->faults, (int)mark->line + 1, (int)mark->column + 1, reader->path.data, "%s",
               what);
}

/* A fault after which the rest cannot be read. */
static void stop(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
    fault(reader, mark, what);
    reader->failed = true;
}

static void stop_at_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "out of memory";
    int line = (int)parser->problem_mark.line + 1, column = (int)parser->problem_mark.column + 1;
    reader->failed = true;

    if (parser->error == YAML_READER_ERROR) { /* has an offset, but no mark */
        size_t offset = parser->problem_offset;
        locate(reader->bytes, offset < reader->length ? offset : reader->length, &line, &column);
        faults_add(reader->faults, line, column, reader->path.data,
                   "found byte 0x%02x (%s); allowed UTF-8 text", (unsigned)parser->problem_value,
                   problem);
        return;
    }
    char begun[48] = "";
    int from = (int)parser->context_mark.line + 1;
    if (parser->context && from < line)
        snprintf(begun, sizeof(begun), " that began in line %d", from);
    faults_add(reader->faults, line, column, reader->path.data,
               "found broken YAML: %s%s%s%s; allowed lines of `key: value`, indented by spaces",
               problem, parser->context ? " " : "", parser->context ? parser->context : "", begun);
}

/* ---- events into nodes ---- */

static bool next(struct reader *reader, yaml_event_t *event)
{
    if (reader->failed)
        return false;
    if (!yaml_parser_parse(&reader->parser, event)) {
        stop_at_syntax(reader);
        return false;
    }
    return true;
}

static struct yaml_node *make_node(struct reader *reader, enum yaml_kind kind,
                                   const yaml_mark_t *mark)
{
    if (++reader->nodes > YAML_NODES_MAX)
        stop(reader, mark, "found more than 65536 values; allowed fewer");
    struct yaml_node *node = memory_new(sizeof(*node));
    node->kind = kind;
    node->line = (int)mark->line + 1;
    node->column = (int)mark->column + 1;
    return node;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

static void refuse_decoration(struct reader *reader, const yaml_event_t *event,
                              const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        fault(reader, &event->start_mark, "found an anchor (&); allowed the value alone");
    if (tag)
        fault(reader, &event->start_mark, "found a tag (!); allowed the value alone");
}

static struct yaml_node *read_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct yaml_node *node = make_node(reader, YAML_SCALAR, &event->start_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    refuse_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag);

    const char *wrong = NULL;
    if (length > YAML_SCALAR_MAX)
        wrong = "found a text of more than 4096 bytes; allowed a shorter one";
    else if (has_control(text, length))
        wrong = "found a control character or a line break in a text; allowed one line";
    if (wrong) {
        fault(reader, &event->start_mark, wrong);
        node->kind = YAML_REFUSED;
        return node;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = strdup(text);
    ASSERT(node->text);
    return node;
}

static struct yaml_node *read_node(struct reader *reader, const yaml_event_t *event, int depth);

static struct yaml_entry *add_entry(struct reader *reader, struct yaml_node *node,
                                    const yaml_mark_t *mark)
{
    if (node->count == YAML_ENTRIES_MAX)
        stop(reader, mark, "found more than 4096 entries; allowed fewer");
    node->entries =
        memory_grow(node->entries, &node->capacity, node->count + 1, sizeof(*node->entries));
    struct yaml_entry *entry = &node->entries[node->count++];
    *entry = (struct yaml_entry){ .line = (int)mark->line + 1, .column = (int)mark->column + 1 };
    return entry;
}

static void enter(struct reader *reader, const char *name)
{
    text_printf(&reader->path, "%s%s", reader->path.length ? "." : "", name);
}

static void leave(struct reader *reader, size_t length)
{
    reader->path.length = length;
    reader->path.data[length] = '\0';
}

static void read_list(struct reader *reader, struct yaml_node *node, int depth)
{
    yaml_event_t event;
    while (next(reader, &event)) {
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        if (!end) {
            size_t length = reader->path.length;
            char index[24];
            snprintf(index, sizeof(index), "%zu", node->count);
            enter(reader, index);
            struct yaml_node *value = read_node(reader, &event, depth + 1);
            add_entry(reader, node, &event.start_mark)->value = value;
            leave(reader, length);
        }
        yaml_event_delete(&event);
        if (end)
            return;
    }
}

static const struct yaml_entry *find_entry(const struct yaml_node *node, const char *key)
{
    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->entries[i].key, key) == 0)
            return &node->entries[i];
    return NULL;
}

/* A key as text, or NULL after a fault that ends the reading. */
static char *read_key(struct reader *reader, const yaml_event_t *event)
{
    const char *wrong = NULL;
    if (event->type != YAML_SCALAR_EVENT)
        wrong = "found a key that is no plain word; allowed lines of `key: value`";
    else if (event->data.scalar.length > YAML_KEY_MAX)
        wrong = "found a key of more than 100 bytes; allowed a shorter one";
    else if (has_control((const char *)event->data.scalar.value, event->data.scalar.length))
        wrong = "found a control character in a key; allowed a plain word";
    if (wrong) {
        stop(reader, &event->start_mark, wrong);
        return NULL;
    }
    refuse_decoration(reader, event, event->data.scalar.anchor, event->data.scalar.tag);
    char *key = strdup((const char *)event->data.scalar.value);
    ASSERT(key);
    return key;
}

/* One pair. A second value of a key is read, told and forgotten. */
static void read_pair(struct reader *reader, struct yaml_node *node, const yaml_event_t *event,
                      int depth)
{
    char *key = read_key(reader, event);
    if (!key)
        return;
    size_t length = reader->path.length;
    enter(reader, key);

    const struct yaml_entry *first = find_entry(node, key);
    if (first)
        faults_add(reader->faults, (int)event->start_mark.line + 1,
                   (int)event->start_mark.column + 1, reader->path.data,
                   "found the key a second time; allowed once (the first is in line %d)",
                   first->line);

    yaml_event_t value_event;
    if (!next(reader, &value_event)) {
        free(key);
        return;
    }
    struct yaml_node *value = read_node(reader, &value_event, depth + 1);
    yaml_event_delete(&value_event);
    if (first) {
        yaml_release(value);
        free(key);
    } else {
        struct yaml_entry *entry = add_entry(reader, node, &event->start_mark);
        entry->key = key;
        entry->value = value;
    }
    leave(reader, length);
}

static void read_mapping(struct reader *reader, struct yaml_node *node, int depth)
{
    yaml_event_t event;
    while (next(reader, &event)) {
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            read_pair(reader, node, &event, depth);
        yaml_event_delete(&event);
        if (end)
            return;
    }
}

static struct yaml_node *read_node(struct reader *reader, const yaml_event_t *event, int depth)
{
    if (depth > YAML_DEPTH_MAX) {
        stop(reader, &event->start_mark, "found more than 16 levels; allowed fewer");
        return make_node(reader, YAML_REFUSED, &event->start_mark);
    }
    struct yaml_node *node;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reader, event);
    case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(reader, event, event->data.sequence_start.anchor,
                          event->data.sequence_start.tag);
        node = make_node(reader, YAML_LIST, &event->start_mark);
        read_list(reader, node, depth);
        return node;
    case YAML_MAPPING_START_EVENT:
        refuse_decoration(reader, event, event->data.mapping_start.anchor,
                          event->data.mapping_start.tag);
        node = make_node(reader, YAML_MAPPING, &event->start_mark);
        read_mapping(reader, node, depth);
        return node;
    default:
        ASSERT(event->type == YAML_ALIAS_EVENT);
        fault(reader, &event->start_mark, "found an alias (*); allowed the value written out");
        return make_node(reader, YAML_REFUSED, &event->start_mark);
    }
}

/* Stream start, document start, the node, document end, stream end. */
static struct yaml_node *read_stream(struct reader *reader)
{
    static const yaml_mark_t start = { 0 };
    struct yaml_node *root = NULL;
    yaml_event_t event;
    bool end = false;
    while (!end && next(reader, &event)) {
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (root)
                stop(reader, &event.start_mark,
                     "found a second document (---); allowed one in a file");
            break;
        case YAML_STREAM_END_EVENT:
            end = true;
            break;
        default:
            root = read_node(reader, &event, 1);
        }
        yaml_event_delete(&event);
    }
    if (!root) {
        root = make_node(reader, YAML_SCALAR, &start);
        root->text = strdup("");
        ASSERT(root->text);
    }
    return root;
}

struct yaml_node *yaml_parse(const char *bytes, size_t length, struct faults *faults)
{
    if (length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
        faults_add(faults, 1, 1, "", "found UTF-16 text; allowed UTF-8");
        return NULL;
    }
    /* libyaml would count the mark as a column, and refuse the second line for its indentation. */
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        length -= 3;
    }
    if (has_tabs(faults, bytes, length))
        return NULL;

    struct reader reader = { .faults = faults, .bytes = bytes, .length = length };
    text_init(&reader.path, PATH_MAX_BYTES);
    int ready = yaml_parser_initialize(&reader.parser);
    ASSERT(ready);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes, length);

    struct yaml_node *root = read_stream(&reader);
    if (reader.failed) {
        yaml_release(root);
        root = NULL;
    }
    yaml_parser_delete(&reader.parser);
    text_release(&reader.path);
    return root;
}
