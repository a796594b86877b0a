/* source_text.c - what a chunk may look like, and compiling it.
 *
 * Lua's parser is one C call, and not linear: each name is looked up in every enclosing function, a
 * label is compared with all labels, a chain of `or` walks its jumps at each link (1 MiB of `or a`
 * took 48 s). So it is fed in small pieces, and each piece is charged and looks at the clock: a
 * slow compile is stopped by the load budget like a slow script. */
#include "bindings/sandbox_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

#define PIECE 128 /* bytes handed to the parser at once, charged as so many instructions */

struct pieces {
    const char *at, *end;
};

static const char *read_piece(lua_State *L, void *self, size_t *size)
{
    struct pieces *pieces = self;
    sandbox_charge(L, PIECE);
    size_t left = (size_t)(pieces->end - pieces->at);
    *size = left < PIECE ? left : PIECE;
    const char *piece = pieces->at;
    pieces->at += *size;
    return *size ? piece : NULL;
}

static bool is_bidi(const char *bytes, size_t step)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (step == 2)
        return b[0] == 0xd8 && b[1] == 0x9c; /* U+061C */
    if (step != 3 || b[0] != 0xe2)
        return false;
    return (b[1] == 0x80 && (b[2] == 0x8e || b[2] == 0x8f || (b[2] >= 0xaa && b[2] <= 0xae))) ||
           (b[1] == 0x81 && b[2] >= 0xa6 && b[2] <= 0xa9);
}

const char *source_fault(const char *bytes, size_t length, int *line)
{
    *line = 1;
    if (length > SOURCE_MAX)
        return "the file is larger than the 1 MiB allowed";
    if (length > 0 && bytes[0] == LUA_SIGNATURE[0])
        return "compiled Lua (bytecode) is not run; give the source text";
    for (const char *at = bytes, *end = bytes + length; at < end;) {
        size_t step = utf8_length(at, (size_t)(end - at));
        if (step == 0)
            return "the text is not valid UTF-8";
        if (*at == '\0')
            return "the text holds a NUL byte";
        if (is_bidi(at, step))
            return "the text holds a bidirectional control character, which can make code look "
                   "like what it is not; write it as an escape (\\u{...})";
        *line += *at == '\n';
        at += step;
    }
    return NULL;
}

static const char *chunk_name(struct sandbox *sandbox, const char *name)
{
    for (size_t i = 0; i < sandbox->chunk_count; i++)
        if (strcmp(sandbox->chunks[i] + 1, name) == 0)
            return sandbox->chunks[i];
    if (sandbox->chunk_count == ARRAY_SIZE(sandbox->chunks))
        return NULL;
    size_t size = strlen(name) + 2;
    char *copy = memory_new(size);
    snprintf(copy, size, "@%s", name);
    return sandbox->chunks[sandbox->chunk_count++] = copy;
}

int source_compile(struct sandbox *sandbox, lua_State *L, const char *name, const char *bytes,
                   size_t length)
{
    struct pieces pieces = { bytes, bytes + length };
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        pieces.at += 3;
    if (pieces.at < pieces.end && *pieces.at == '#') /* "#!/usr/bin/env runtime" */
        while (pieces.at < pieces.end && *pieces.at != '\n')
            pieces.at++;
    const char *chunk = chunk_name(sandbox, name);
    return lua_load(L, read_piece, &pieces, chunk ? chunk : "=module", "t");
}
