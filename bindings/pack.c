/* pack.c - string.pack, packsize and unpack, in bounded size (reference manual, 6.4.2). */
#include "bindings/lib_string.h"

#include <ctype.h>
#include <string.h>

#define INTEGER_SIZE_MAX 16
#define ALIGN_NATIVE 8

enum kind {
    PACK_INTEGER,
    PACK_UNSIGNED,
    PACK_FLOAT,
    PACK_DOUBLE,
    PACK_FIXED,  /* c[n] */
    PACK_STRING, /* s[n] */
    PACK_ZERO,   /* z */
    PACK_BYTE,   /* x */
    PACK_ALIGN,  /* X */
    PACK_NOTHING /* < > = ! blank */
};

struct layout {
    lua_State *L;
    const char *at, *end;
    bool big; /* endian */
    size_t align_max;
};

struct item {
    enum kind kind;
    size_t size;  /* bytes; of the length prefix for PACK_STRING */
    size_t align; /* padding bytes in front */
};

static void layout_open(struct layout *layout, lua_State *L)
{
    size_t length;
    layout->L = L;
    layout->at = luaL_checklstring(L, 1, &length);
    layout->end = layout->at + length;
    layout->big = false;
    layout->align_max = 1;
}

static bool read_count(struct layout *layout, size_t *count)
{
    size_t limit = sandbox_of(layout->L)->limits.string_max;
    if (layout->at == layout->end || !isdigit((unsigned char)*layout->at))
        return false;
    for (*count = 0; layout->at < layout->end && isdigit((unsigned char)*layout->at); layout->at++)
        if (*count <= limit)
            *count = 10 * *count + (size_t)(*layout->at - '0');
    if (*count > limit)
        luaL_error(layout->L, "a size in the format is too large");
    return true;
}

static size_t integer_size(struct layout *layout, size_t normal)
{
    size_t size = normal;
    if (read_count(layout, &size) && (size < 1 || size > INTEGER_SIZE_MAX))
        luaL_error(layout->L, "integral size (%d) out of limits [1,%d]", (int)size,
                   INTEGER_SIZE_MAX);
    return size;
}

static enum kind read_option(struct layout *layout, size_t *size)
{
    *size = 0;
    char option = *layout->at++;
    switch (option) {
    case 'b':
    case 'B':
        *size = 1;
        return option == 'b' ? PACK_INTEGER : PACK_UNSIGNED;
    case 'h':
    case 'H':
        *size = 2;
        return option == 'h' ? PACK_INTEGER : PACK_UNSIGNED;
    case 'i':
    case 'I':
        *size = integer_size(layout, 4);
        return option == 'i' ? PACK_INTEGER : PACK_UNSIGNED;
    case 'l':
    case 'j':
        *size = 8;
        return PACK_INTEGER;
    case 'L':
    case 'J':
    case 'T':
        *size = 8;
        return PACK_UNSIGNED;
    case 'f':
        *size = 4;
        return PACK_FLOAT;
    case 'd':
    case 'n':
        *size = 8;
        return PACK_DOUBLE;
    case 's':
        *size = integer_size(layout, 8);
        return PACK_STRING;
    case 'c':
        if (!read_count(layout, size))
            luaL_error(layout->L, "missing size for format option 'c'");
        return PACK_FIXED;
    case 'z':
        return PACK_ZERO;
    case 'x':
        *size = 1;
        return PACK_BYTE;
    case 'X':
        return PACK_ALIGN;
    case ' ':
        return PACK_NOTHING;
    case '<':
    case '=':
        layout->big = false;
        return PACK_NOTHING;
    case '>':
        layout->big = true;
        return PACK_NOTHING;
    case '!':
        layout->align_max = integer_size(layout, ALIGN_NATIVE);
        return PACK_NOTHING;
    default:
        luaL_error(layout->L, "invalid format option");
        return PACK_NOTHING;
    }
}

/* The next item of the format, to be placed at offset `total`. */
static struct item read_item(struct layout *layout, size_t total)
{
    struct item item = { 0 };
    item.kind = read_option(layout, &item.size);
    size_t align = item.size;
    if (item.kind == PACK_ALIGN) {
        if (layout->at == layout->end)
            luaL_argerror(layout->L, 1, "invalid next option for option 'X'");
        enum kind next = read_option(layout, &align);
        if (next == PACK_FIXED || align == 0)
            luaL_argerror(layout->L, 1, "invalid next option for option 'X'");
    }
    if (align <= 1 || item.kind == PACK_FIXED || item.kind == PACK_BYTE)
        return item;
    if (align > layout->align_max)
        align = layout->align_max;
    if (align & (align - 1))
        luaL_argerror(layout->L, 1, "format asks for alignment not power of 2");
    item.align = (align - (total & (align - 1))) & (align - 1);
    return item;
}

static void take_turn(struct layout *layout, uint64_t *turn)
{
    if (++*turn % 1024 == 0)
        sandbox_charge(layout->L, 256);
}

/* ---- bytes ---- */

static void put_integer(struct builder *out, const struct layout *layout, uint64_t value,
                        bool negative, size_t size)
{
    char bytes[INTEGER_SIZE_MAX];
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = i < 8 ? (unsigned char)(value >> (8 * i)) : negative ? 0xff : 0;
        bytes[layout->big ? size - 1 - i : i] = (char)byte;
    }
    builder_add(out, bytes, size);
}

static lua_Integer get_integer(const struct layout *layout, const char *bytes, size_t size,
                               bool is_signed)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) {
        unsigned char byte = (unsigned char)bytes[layout->big ? size - 1 - i : i];
        if (i < 8) {
            value = value << 8 | byte;
        } else {
            bool extends = byte == 0 || (is_signed && byte == 0xff);
            if (!extends)
                luaL_error(layout->L, "%d-byte integer does not fit into Lua Integer", (int)size);
        }
    }
    if (size < 8 && is_signed && value >> (8 * size - 1))
        value |= ~UINT64_C(0) << (8 * size);
    return (lua_Integer)value;
}

static void put_double(struct builder *out, const struct layout *layout, const void *number,
                       size_t size)
{
    char bytes[8];
    memcpy(bytes, number, size);
    if (layout->big)
        for (size_t i = 0; i < size / 2; i++) {
            char swap = bytes[i];
            bytes[i] = bytes[size - 1 - i];
            bytes[size - 1 - i] = swap;
        }
    builder_add(out, bytes, size);
}

static double get_double(const struct layout *layout, const char *at, size_t size)
{
    char bytes[8] = { 0 };
    for (size_t i = 0; i < size; i++)
        bytes[i] = at[layout->big ? size - 1 - i : i];
    if (size == 4) {
        float number;
        memcpy(&number, bytes, 4);
        return (double)number;
    }
    double number;
    memcpy(&number, bytes, 8);
    return number;
}

/* ---- pack ---- */

static void put_zeros(struct builder *out, size_t count)
{
    memset(builder_reserve(out, count), 0, count);
    out->length += count;
}

static void pack_integer(struct layout *layout, struct builder *out, struct item item, int index)
{
    lua_State *L = layout->L;
    lua_Integer value = luaL_checkinteger(L, index);
    if (item.size < 8) {
        lua_Integer limit = (lua_Integer)1 << (8 * item.size - 1);
        if (item.kind == PACK_INTEGER)
            luaL_argcheck(L, -limit <= value && value < limit, index, "integer overflow");
        else
            luaL_argcheck(L, (lua_Unsigned)value < (lua_Unsigned)limit * 2, index,
                          "unsigned overflow");
    }
    put_integer(out, layout, (uint64_t)value, value < 0 && item.kind == PACK_INTEGER, item.size);
}

static void pack_string(struct layout *layout, struct builder *out, struct item item, int index)
{
    lua_State *L = layout->L;
    size_t length;
    const char *bytes = luaL_checklstring(L, index, &length);
    switch (item.kind) {
    case PACK_FIXED:
        luaL_argcheck(L, length <= item.size, index, "string longer than given size");
        builder_add(out, bytes, length);
        put_zeros(out, item.size - length);
        break;
    case PACK_STRING:
        luaL_argcheck(L, item.size >= 8 || length < (size_t)1 << (8 * item.size), index,
                      "string length does not fit in given size");
        put_integer(out, layout, length, false, item.size);
        builder_add(out, bytes, length);
        break;
    default:
        luaL_argcheck(L, strlen(bytes) == length, index, "string contains zeros");
        builder_add(out, bytes, length + 1);
    }
}

int string_pack(lua_State *L)
{
    struct layout layout;
    struct builder out;
    uint64_t turn = 0;
    int index = 1;
    layout_open(&layout, L);
    lua_pushnil(L); /* so that a missing argument is nil, not the builder's slot */
    builder_open(L, &out);
    while (layout.at < layout.end) {
        take_turn(&layout, &turn);
        struct item item = read_item(&layout, out.length);
        put_zeros(&out, item.align);
        switch (item.kind) {
        case PACK_INTEGER:
        case PACK_UNSIGNED:
            pack_integer(&layout, &out, item, ++index);
            break;
        case PACK_FLOAT: {
            float number = (float)luaL_checknumber(L, ++index);
            put_double(&out, &layout, &number, 4);
            break;
        }
        case PACK_DOUBLE: {
            double number = luaL_checknumber(L, ++index);
            put_double(&out, &layout, &number, 8);
            break;
        }
        case PACK_FIXED:
        case PACK_STRING:
        case PACK_ZERO:
            pack_string(&layout, &out, item, ++index);
            break;
        case PACK_BYTE:
            put_zeros(&out, 1);
            break;
        default:
            break;
        }
    }
    builder_push(&out);
    return 1;
}

int string_packsize(lua_State *L)
{
    struct layout layout;
    uint64_t turn = 0;
    size_t total = 0;
    layout_open(&layout, L);
    while (layout.at < layout.end) {
        take_turn(&layout, &turn);
        struct item item = read_item(&layout, total);
        luaL_argcheck(L, item.kind != PACK_STRING && item.kind != PACK_ZERO, 1,
                      "variable-length format");
        total += item.align + item.size;
        luaL_argcheck(L, total <= INT32_MAX, 1, "format result too large");
    }
    lua_pushinteger(L, (lua_Integer)total);
    return 1;
}

/* ---- unpack ---- */

/* Pushes the item at data[at]; returns the bytes it took. */
static size_t unpack_item(struct layout *layout, struct item item, const char *data, size_t length,
                          size_t at)
{
    lua_State *L = layout->L;
    switch (item.kind) {
    case PACK_INTEGER:
    case PACK_UNSIGNED:
        lua_pushinteger(L, get_integer(layout, data + at, item.size, item.kind == PACK_INTEGER));
        return item.size;
    case PACK_FLOAT:
    case PACK_DOUBLE:
        lua_pushnumber(L, get_double(layout, data + at, item.size));
        return item.size;
    case PACK_FIXED:
        lua_pushlstring(L, data + at, item.size);
        return item.size;
    case PACK_STRING: {
        size_t size = (size_t)get_integer(layout, data + at, item.size, false);
        luaL_argcheck(L, size <= length - at - item.size, 2, "data string too short");
        lua_pushlstring(L, data + at + item.size, size);
        return item.size + size;
    }
    case PACK_ZERO: {
        const char *end = memchr(data + at, '\0', length - at);
        luaL_argcheck(L, end, 2, "unfinished string for format 'z'");
        lua_pushlstring(L, data + at, (size_t)(end - (data + at)));
        return (size_t)(end - (data + at)) + 1;
    }
    default:
        return item.size;
    }
}

int string_unpack(lua_State *L)
{
    struct layout layout;
    uint64_t turn = 0;
    size_t length;
    layout_open(&layout, L);
    const char *data = luaL_checklstring(L, 2, &length);
    lua_Integer start = luaL_optinteger(L, 3, 1);
    if (start == 0 || start < -(lua_Integer)length)
        start = 1;
    else if (start < 0)
        start += (lua_Integer)length + 1;
    luaL_argcheck(L, start >= 1 && (size_t)start - 1 <= length, 3,
                  "initial position out of string");
    size_t at = (size_t)start - 1;
    int before = lua_gettop(L);
    while (layout.at < layout.end) {
        take_turn(&layout, &turn);
        struct item item = read_item(&layout, at);
        luaL_argcheck(L, item.align + item.size <= length - at, 2, "data string too short");
        at += item.align;
        luaL_checkstack(L, 2, "too many results");
        at += unpack_item(&layout, item, data, length, at);
    }
    int results = lua_gettop(L) - before;
    luaL_checkstack(L, 1, "too many results");
    lua_pushinteger(L, (lua_Integer)at + 1);
    return results + 1;
}
