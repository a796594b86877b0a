/* source.c - the bytes of a strategy: its file and the modules under lib/ beside it.
 *
 * All modules are read at once, so that what runs is what was hashed, and a replay has every byte.
 */
#include "bindings/strategy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/utf8.h"

#define SOURCE_BYTES_MAX ((size_t)1 << 20) /* of one file; what sandbox_load takes */
#define LIB_DEPTH_MAX 4                    /* directories below lib/ */

/* Text that Lua may compile: no bytecode, no NUL, valid UTF-8. ERROR_DATA with the line. */
static int check_text(const char *path, const char *bytes, size_t length, struct error *err)
{
    if (length > 0 && bytes[0] == '\x1b')
        return error_at(err, ERROR_DATA, path,
                        "compiled Lua is not accepted: give the source text");

    unsigned line = 1;
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(bytes + i, length - i);
        if (step == 0 || bytes[i] == '\0') {
            char where[sizeof(err->where)];
            snprintf(where, sizeof(where), "%.230s:%u", path, line);
            return error_at(err, ERROR_DATA, where, "byte 0x%02x is not UTF-8 text",
                            (unsigned char)bytes[i]);
        }
        line += bytes[i] == '\n';
        i += step;
    }
    return 0;
}

static int read_text(const char *path, char **bytes, size_t *length, struct error *err)
{
    int code = text_read_file(path, SOURCE_BYTES_MAX, bytes, length, err);
    if (code < 0)
        return code;
    code = check_text(path, *bytes, *length, err);
    if (code < 0) {
        free(*bytes);
        *bytes = NULL;
    }
    return code;
}

/* ---- modules ---- */

static int compare_modules(const void *a, const void *b)
{
    const struct source_module *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Adds lib/NAME.lua, whose bytes become the source's. */
static int add_module(struct source *source, const char *path, const char *name, size_t name_length,
                      struct error *err)
{
    if (source->module_count == MODULES_MAX)
        return error_at(err, ERROR_DATA, path, "more than the %d modules allowed under lib/",
                        MODULES_MAX);

    struct source_module *module = &source->modules[source->module_count];
    if (!text_copy_span(module->name, sizeof(module->name), name, name_length))
        return error_at(err, ERROR_DATA, path, "its name is longer than the %zu bytes allowed",
                        sizeof(module->name) - 1);
    int code = read_text(path, &module->bytes, &module->length, err);
    if (code < 0)
        return error_wrap(err, "read module %s", module->name);
    source->module_count++;
    return 0;
}

static int read_directory(struct source *source, const char *path, size_t root_length, int depth,
                          struct error *err);

/* One entry of a directory: a module, another directory, or nothing of ours. */
static int read_entry(struct source *source, const char *path, size_t root_length, int depth,
                      struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return error_at(err, ERROR_IO, path, "cannot look at it: %s", strerror(errno));
    if (S_ISDIR(info.st_mode))
        return depth == LIB_DEPTH_MAX ? 0
                                      : read_directory(source, path, root_length, depth + 1, err);
    if (!S_ISREG(info.st_mode) || !text_ends_with(path, ".lua"))
        return 0;
    const char *name = path + root_length;
    return add_module(source, path, name, strlen(name) - strlen(".lua"), err);
}

/* A missing directory is an empty one. root_length: bytes of "DIR/lib/" in front of a name. */
static int read_directory(struct source *source, const char *path, size_t root_length, int depth,
                          struct error *err)
{
    DIR *directory = opendir(path);
    if (!directory && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (!directory)
        return error_at(err, ERROR_IO, path, "cannot read it: %s", strerror(errno));

    int code = 0;
    for (struct dirent *entry; code == 0 && (entry = readdir(directory));) {
        char inner[sizeof(source->path) + sizeof(entry->d_name)];
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof(inner))
            code = error_at(err, ERROR_DATA, path, "a path in it is too long");
        else
            code = read_entry(source, inner, root_length, depth, err);
    }
    closedir(directory);
    return code;
}

static int read_modules(struct source *source, struct error *err)
{
    char lib[sizeof(source->path) + 8];
    const char *slash = strrchr(source->path, '/');
    int directory = slash ? (int)(slash - source->path) + 1 : 0;
    int length = snprintf(lib, sizeof(lib), "%.*slib", directory, source->path);

    int code = read_directory(source, lib, (size_t)length + 1, 0, err);
    if (code < 0)
        return code;
    qsort(source->modules, source->module_count, sizeof(source->modules[0]), compare_modules);
    return 0;
}

/* Without modules it is what sha256sum says of the file. */
static void hash_source(struct source *source)
{
    struct sha256 *hash = sha256_open();
    sha256_update(hash, source->bytes, source->length);
    for (size_t i = 0; i < source->module_count; i++) {
        const struct source_module *module = &source->modules[i];
        char head[sizeof(module->name) + 32];
        int length =
            snprintf(head, sizeof(head), "\nlib/%s.lua %zu\n", module->name, module->length);
        sha256_update(hash, head, (size_t)length);
        sha256_update(hash, module->bytes, module->length);
    }
    sha256_finish(hash, source->hash);
}

int source_read(const char *path, struct source *out, struct error *err)
{
    *out = (struct source){ 0 };
    if (!text_copy(out->path, sizeof(out->path), path))
        return error_set(err, ERROR_NO_INPUT, "the path of the strategy is longer than %zu bytes",
                         sizeof(out->path) - 1);
    int code = read_text(path, &out->bytes, &out->length, err);
    if (code == 0)
        code = read_modules(out, err);
    if (code < 0) {
        source_release(out);
        return code;
    }
    hash_source(out);
    return 0;
}

void source_release(struct source *source)
{
    free(source->bytes);
    for (size_t i = 0; i < source->module_count; i++)
        free(source->modules[i].bytes);
    *source = (struct source){ 0 };
}

const char *source_module(const struct source *source, const char *name, size_t *length)
{
    char plain[sizeof(source->modules[0].name)];
    if (text_starts_with(name, "lib/") || text_starts_with(name, "lib."))
        name += strlen("lib/");
    if (!text_copy(plain, sizeof(plain), name))
        return NULL;
    for (char *dot = plain; (dot = strchr(dot, '.'));)
        *dot = '/';

    for (size_t i = 0; i < source->module_count; i++) {
        if (strcmp(source->modules[i].name, plain) == 0) {
            *length = source->modules[i].length;
            return source->modules[i].bytes;
        }
    }
    return NULL;
}

/* ---- as JSON ---- */

void source_write(const struct source *source, struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    json_key(writer, "path");
    json_string(writer, source->path);
    json_key(writer, "hash");
    json_string(writer, source->hash);
    json_key(writer, "text");
    json_bytes(writer, source->bytes, source->length);
    json_key(writer, "modules");
    json_array_begin(writer);
    for (size_t i = 0; i < source->module_count; i++) {
        json_object_begin(writer);
        json_key(writer, "name");
        json_string(writer, source->modules[i].name);
        json_key(writer, "text");
        json_bytes(writer, source->modules[i].bytes, source->modules[i].length);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
    json_writer_close(writer);
}

static bool copy_member(const struct json *object, const char *key, char *field, size_t size)
{
    const char *value = json_as_string(json_get(object, key));
    return value && text_copy(field, size, value);
}

static bool copy_text(const struct json *object, char **bytes, size_t *length)
{
    const char *value = json_as_string(json_get(object, "text"));
    if (!value)
        return false;
    *length = strlen(value);
    *bytes = memory_new(*length + 1);
    memcpy(*bytes, value, *length);
    return true;
}

static bool fill_source(const struct json *root, struct source *out)
{
    const struct json *modules = json_get(root, "modules");
    if (!copy_member(root, "path", out->path, sizeof(out->path)) ||
        !copy_text(root, &out->bytes, &out->length) || json_count(modules) > MODULES_MAX)
        return false;
    for (size_t i = 0; i < json_count(modules); i++) {
        struct source_module *module = &out->modules[i];
        if (!copy_member(json_at(modules, i), "name", module->name, sizeof(module->name)) ||
            !copy_text(json_at(modules, i), &module->bytes, &module->length))
            return false;
        out->module_count++;
    }
    return true;
}

int source_parse(const char *json, size_t length, struct source *out, struct error *err)
{
    *out = (struct source){ 0 };
    struct json *root;
    int code = json_parse(json, length, &root, err);
    if (code < 0)
        return error_wrap(err, "read a stored strategy");

    char hash[SHA256_TEXT_MAX] = "";
    if (!fill_source(root, out) || !copy_member(root, "hash", hash, sizeof(hash)))
        code = error_set(err, ERROR_DATA, "a stored strategy lacks its path, text or modules");
    json_release(root);
    if (code == 0) {
        hash_source(out);
        if (strcmp(hash, out->hash) != 0)
            code = error_set(err, ERROR_DATA, "the stored text of %s has hash %s, not %s",
                             out->path, out->hash, hash);
    }
    if (code < 0)
        source_release(out);
    return code;
}
