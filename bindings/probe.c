/* probe.c - bugs of the Lua we are linked with that a script can meet.
 *
 * The package (5.4.4) gives `1 | (2 or 3)` as 2 where a function has more than 255 constants,
 * without a word; 5.4.8 does not. Other known bugs are behind closed doors: no coroutine.close, no
 * __close, no __gc, no weak tables, no bytecode. */
#include "bindings/sandbox_internal.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/text.h"

#define CONSTANTS_MAX 255           /* that fit an operand of an instruction */
#define DUMP_MAX ((size_t)64 << 20) /* bytes of a dumped chunk */

unsigned sandbox_lua_bugs(void)
{
    struct text chunk;
    unsigned bugs = 0;
    text_init(&chunk, 1 << 16);
    text_add(&chunk, "local a ");
    for (int i = 0; i < 300; i++)
        text_printf(&chunk, "a = 'constant %d' ", i);
    text_add(&chunk, "return 1 | (2 or 3)");

    lua_State *L = luaL_newstate();
    if (L && luaL_loadbufferx(L, chunk.data, chunk.length, "=probe", "t") == LUA_OK &&
        lua_pcall(L, 0, 1, 0) == LUA_OK && lua_tointeger(L, -1) != 3)
        bugs |= LUA_BUG_CONSTANTS;
    if (L)
        lua_close(L);
    text_release(&chunk);
    return bugs;
}

/* ---- counting constants: a walk over the dumped chunk ----
 * Source: Lua 5.4, ldump.c. Debug information is stripped, line numbers of functions are not. */

struct walk {
    const unsigned char *at, *end;
    bool bad;
    int line, constants; /* the first function found */
};

static size_t skip(struct walk *walk, size_t bytes)
{
    if (walk->bad || bytes > (size_t)(walk->end - walk->at)) {
        walk->bad = true;
        return 0;
    }
    walk->at += bytes;
    return bytes;
}

static unsigned read_byte(struct walk *walk)
{
    return skip(walk, 1) ? walk->at[-1] : 0;
}

/* Seven bits a byte, the highest first; the last byte has its top bit set. */
static size_t read_size(struct walk *walk)
{
    size_t size = 0;
    unsigned byte;
    do {
        byte = read_byte(walk);
        size = size << 7 | (byte & 0x7f);
    } while (!walk->bad && !(byte & 0x80));
    return size;
}

static void skip_string(struct walk *walk)
{
    size_t size = read_size(walk);
    if (size > 0)
        skip(walk, size - 1);
}

static void skip_constant(struct walk *walk)
{
    switch (read_byte(walk) & 0x3f) {
    case 0x03: /* integer */
    case 0x13: /* float */
        skip(walk, 8);
        break;
    case 0x04: /* short string */
    case 0x14: /* long string */
        skip_string(walk);
        break;
    default: /* nil, false, true */
        break;
    }
}

/* Recursion: functions nest at most 200 deep, or the parser refuses. */
static void walk_function(struct walk *walk)
{
    skip_string(walk); /* source: stripped */
    int line = (int)read_size(walk);
    read_size(walk); /* last line */
    skip(walk, 3);
    skip(walk, 4 * read_size(walk)); /* code */
    size_t constants = read_size(walk);
    if (constants > CONSTANTS_MAX && walk->constants == 0) {
        walk->line = line;
        walk->constants = (int)constants;
    }
    for (size_t i = 0; i < constants && !walk->bad; i++)
        skip_constant(walk);
    skip(walk, 3 * read_size(walk)); /* upvalues */
    for (size_t left = read_size(walk); left > 0 && !walk->bad; left--)
        walk_function(walk);
    for (int i = 0; i < 4; i++)
        read_size(walk); /* debug information: none */
}

static int collect(lua_State *L, const void *bytes, size_t length, void *self)
{
    (void)L;
    struct text *text = self;
    text_append(text, bytes, length);
    return text->overflow;
}

int sandbox_find_constants(struct sandbox *sandbox, const char *path, const char *bytes,
                           size_t length, int *line, int *constants, struct error *err)
{
    *line = *constants = 0;
    int code = sandbox_compile(sandbox, path, bytes, length, err);
    if (code < 0)
        return err ? (err->code = ERROR_DATA) : ERROR_DATA;

    struct text dump;
    text_init(&dump, DUMP_MAX);
    if (lua_dump(sandbox->L, collect, &dump, 1) == 0) {
        struct walk walk = { .at = (const unsigned char *)dump.data };
        walk.end = walk.at + dump.length;
        skip(&walk, 4 + 1 + 1 + 6 + 3 + 8 + 8); /* header */
        skip(&walk, 1);                         /* number of upvalues */
        walk_function(&walk);
        if (!walk.bad) {
            *line = walk.line;
            *constants = walk.constants;
        }
    }
    lua_pop(sandbox->L, 1);
    text_release(&dump);
    return 0;
}
