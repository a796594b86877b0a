/* state.c - ctx.state: what a strategy keeps across callbacks, reloads and restarts.
 *
 * Scripts see proxies: empty tables whose __index is the raw table behind (reads cost nothing
 * extra) and whose __newindex is C. Invariants:
 *   1. Raw tables form a tree: what is assigned is copied, so no table has two parents, no cycles.
 *   2. Every value in it can be written: numbers (not NaN), strings up to STATE_STRING_MAX,
 * booleans, tables; keys are numbers, strings, booleans; depth and size are bounded.
 *   3. The undo log holds the old value of every key changed since the last commit, first change
 *      first, so taking back newest first restores the tree.
 *   4. A raw table that left the tree is marked detached: writing to it raises, since the change
 *      would be lost. */
#include "bindings/script.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

#define STATE_DEPTH_MAX 16
#define STATE_STRING_MAX ((size_t)65536)
#define STATE_SIZE_MAX ((size_t)1 << 20)
#define STATE_TEXT_MAX ((size_t)16 << 20) /* escapes can multiply the bytes */
#define SQUEEZE_FIRST 1024                /* changes in the log before it is squeezed */

/* What a value counts against STATE_SIZE_MAX, so that the JSON text is less than twice that. */
#define NUMBER_SIZE 16
#define STRING_SIZE 16 /* and its bytes as JSON spells them */
#define TABLE_SIZE 16

/* Keys of a proxy's metatable and of the undo log; their addresses are what counts. */
static const char DEPTH_KEY = 0; /* 1.. in the tree, 0 when detached */
static const char NO_VALUE = 0;  /* stands for nil in the log */

/* ---- sizes ---- */

/* Text that JSON can hold as it is; other bytes are written in hexadecimal. */
static bool is_plain_text(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t step = utf8_length(bytes + i, length - i);
        if (step == 0 || bytes[i] == '\0')
            return false;
        i += step;
    }
    return true;
}

static size_t string_size(const char *bytes, size_t length)
{
    if (!is_plain_text(bytes, length))
        return STRING_SIZE + 2 * length;
    size_t size = STRING_SIZE + length;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)bytes[i] < 0x20)
            size += 5; /* \u001f */
        else if (bytes[i] == '"' || bytes[i] == '\\')
            size++;
    return size;
}

static size_t scalar_size(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return NUMBER_SIZE;
    size_t length;
    const char *bytes = lua_tolstring(L, index, &length);
    return string_size(bytes, length);
}

/* Of the value at index, a proxy or a scalar. */
static size_t size_of(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return scalar_size(L, index);
    size_t size = TABLE_SIZE;
    luaL_checkstack(L, 6, "ctx.state");
    push_plain(L, index);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        size += scalar_size(L, -2) + size_of(L, -1);
    lua_pop(L, 1);
    return size;
}

/* Marks the proxy at index and those below it: `depth` of its place in the tree, 0 for out of it.
 * Allocates nothing. */
static void mark(lua_State *L, int index, int depth)
{
    luaL_checkstack(L, 6, "ctx.state");
    lua_getmetatable(L, index);
    lua_pushinteger(L, depth);
    lua_rawsetp(L, -2, &DEPTH_KEY);
    lua_rawgetp(L, -1, &SANDBOX_PROXY_KEY);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_istable(L, -1))
            mark(L, -1, depth ? depth + 1 : 0);
    lua_pop(L, 2);
}

/* ---- checks: `key` is the stack index of the key that the script assigned, for messages ---- */

static NORETURN void refuse(lua_State *L, int key, const char *what)
{
    if (lua_type(L, key) == LUA_TSTRING)
        luaL_error(L, "ctx.state: '%s' %s", lua_tostring(L, key), what);
    if (lua_isinteger(L, key))
        luaL_error(L, "ctx.state: [%I] %s", (LUAI_UACINT)lua_tointeger(L, key), what);
    luaL_error(L, "ctx.state: [%s] %s", luaL_typename(L, key), what);
    abort(); /* luaL_error does not return */
}

static void check_string(lua_State *L, int index, int key)
{
    if (lua_rawlen(L, index) > STATE_STRING_MAX)
        refuse(L, key, "holds a string of more than 65536 bytes");
}

static void check_key(lua_State *L, int index, int key)
{
    int type = lua_type(L, index);
    if (type == LUA_TSTRING && lua_rawlen(L, index) > STATE_STRING_MAX)
        luaL_error(L, "ctx.state: a key is longer than 65536 bytes");
    if (type == LUA_TNUMBER && isnan(lua_tonumber(L, index)))
        refuse(L, key, "has a key that is not a number (nan)");
    if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
        luaL_error(L, "ctx.state: a key must be a string, number or boolean, not %s",
                   luaL_typename(L, index));
}

static void check_scalar(lua_State *L, int index, int key)
{
    char what[80];
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return;
    case LUA_TNUMBER:
        if (!lua_isinteger(L, index) && isnan(lua_tonumber(L, index)))
            refuse(L, key, "is not a number (nan)");
        return;
    case LUA_TSTRING:
        check_string(L, index, key);
        return;
    default:
        snprintf(what, sizeof(what), "holds a %s; numbers, strings, booleans and tables are kept",
                 luaL_typename(L, index));
        refuse(L, key, what);
    }
}

static void check_size(lua_State *L, size_t size, int key)
{
    if (size > STATE_SIZE_MAX)
        refuse(L, key, "does not fit: ctx.state holds at most 1 MiB");
}

/* ---- proxies ---- */

/* Replaces the raw table on the stack top by a proxy for it. */
static void push_proxy(lua_State *L, const struct state *state, int depth)
{
    int raw = lua_gettop(L);
    luaL_checkstack(L, 6, "ctx.state");
    lua_newtable(L);
    lua_createtable(L, 0, 8);
    lua_pushvalue(L, raw);
    lua_setfield(L, -2, "__index");
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->newindex_ref);
    lua_setfield(L, -2, "__newindex");
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->length_ref);
    lua_setfield(L, -2, "__len");
    lua_pushvalue(L, raw);
    lua_rawsetp(L, -2, &SANDBOX_PROXY_KEY);
    lua_pushinteger(L, depth);
    lua_rawsetp(L, -2, &DEPTH_KEY);
    sandbox_seal_metatable(L);
    lua_setmetatable(L, -2);
    lua_remove(L, raw);
}

/* Pushes a copy of the value at index as the tree holds it. *size grows by what it counts. */
static void push_copy(lua_State *L, const struct state *state, int index, int depth, size_t *size,
                      int key)
{
    index = lua_absindex(L, index);
    if (!lua_istable(L, index)) {
        check_scalar(L, index, key);
        *size += scalar_size(L, index);
        check_size(L, *size, key);
        lua_pushvalue(L, index);
        return;
    }
    if (depth > STATE_DEPTH_MAX)
        refuse(L, key, "is nested deeper than 16 tables, or holds itself");
    luaL_checkstack(L, 8, "ctx.state");
    *size += TABLE_SIZE;
    push_plain(L, index);
    if (lua_rawequal(L, index, -1) && lua_getmetatable(L, index))
        refuse(L, key, "holds a table with a metatable; plain tables are kept");

    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
        check_key(L, -2, key);
        *size += scalar_size(L, -2);
        lua_pushvalue(L, -2);
        push_copy(L, state, -2, depth + 1, size, key);
        lua_rawset(L, -5);
    }
    push_proxy(L, state, depth);
    lua_remove(L, -2);
}

/* ---- the undo log ---- */

/* Keeps only the first old value of each key: later ones are never needed. */
static void squeeze(lua_State *L, struct state *state, int log)
{
    size_t kept = 0;
    lua_newtable(L);
    for (size_t i = 0; i < state->undo_count; i++) {
        lua_Integer at = (lua_Integer)(3 * i);
        lua_rawgeti(L, log, at + 1);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
        }
        lua_rawgeti(L, log, at + 2); /* seen, raw, keys of raw, key */
        lua_pushvalue(L, -1);
        bool known = lua_rawget(L, -3) != LUA_TNIL;
        lua_pop(L, 1);
        if (!known) {
            lua_pushvalue(L, -1);
            lua_pushboolean(L, true);
            lua_rawset(L, -4);
            for (int part = 1; part <= 3; part++) {
                lua_rawgeti(L, log, at + part);
                lua_rawseti(L, log, (lua_Integer)(3 * kept) + part);
            }
            kept++;
        }
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
    state->undo_count = kept;
    state->undo_squeeze = kept > SQUEEZE_FIRST / 2 ? 2 * kept : SQUEEZE_FIRST;
}

/* Logs that raw[key] was `old` (all three stack indices). */
static void log_change(lua_State *L, struct state *state, int raw, int key, int old)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->undo_ref);
    int log = lua_gettop(L);
    if (state->undo_count >= state->undo_squeeze)
        squeeze(L, state, log);
    if (state->undo_count == 0) {
        state->was_dirty = state->dirty;
        state->size_before = state->size;
    }

    lua_Integer at = (lua_Integer)(3 * state->undo_count);
    lua_pushvalue(L, raw);
    lua_rawseti(L, log, at + 1);
    lua_pushvalue(L, key);
    lua_rawseti(L, log, at + 2);
    if (lua_isnil(L, old))
        lua_pushlightuserdata(L, (void *)(uintptr_t)&NO_VALUE);
    else
        lua_pushvalue(L, old);
    lua_rawseti(L, log, at + 3);
    state->undo_count++;
    lua_pop(L, 1);
}

void state_commit(lua_State *L, struct state *state)
{
    if (state->undo_count == 0)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->undo_ref);
    for (lua_Integer i = 1; i <= (lua_Integer)(3 * state->undo_count); i++) {
        lua_pushboolean(L, false); /* the key exists: no allocation */
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
    state->undo_count = 0;
}

static int take_back(lua_State *L)
{
    struct state *state = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->undo_ref);
    for (; state->undo_count > 0; state->undo_count--) {
        lua_Integer at = (lua_Integer)(3 * (state->undo_count - 1));
        lua_rawgeti(L, 2, at + 1);
        lua_rawgeti(L, 2, at + 2);
        lua_rawgeti(L, 2, at + 3);
        if (lua_touserdata(L, -1) == &NO_VALUE) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
        lua_rawset(L, 3);
        lua_pop(L, 1);
    }
    state_push(L, state);
    mark(L, -1, 1);
    return 0;
}

void state_rollback(struct sandbox *sandbox, struct state *state)
{
    if (state->undo_count == 0)
        return;
    struct error err = { 0 };
    state->dirty = state->was_dirty;
    state->size = state->size_before;
    if (sandbox_protect(sandbox, take_back, state, &err) < 0)
        state->lost = true; /* out of memory: what was written last stays the truth */
}

/* ---- assignment ---- */

static bool is_same(lua_State *L, int a, int b)
{
    return lua_rawequal(L, a, b) && lua_isinteger(L, a) == lua_isinteger(L, b);
}

/* raw[key] = value, where raw is a table of the tree at `depth` (all stack indices). Whatever
 * raises does so before anything has changed. */
static void assign(lua_State *L, struct state *state, int raw, int depth, int key, int value)
{
    check_key(L, key, key);
    lua_pushvalue(L, key);
    lua_rawget(L, raw);
    int old = lua_gettop(L);
    if (is_same(L, old, value))
        return;

    size_t size = state->size;
    if (!lua_isnil(L, old))
        size -= size_of(L, old);
    if (lua_isnil(L, value))
        size -= scalar_size(L, key);
    else if (lua_isnil(L, old))
        size += scalar_size(L, key);
    if (lua_isnil(L, value))
        lua_pushnil(L);
    else
        push_copy(L, state, value, depth + 1, &size, key);
    int copy = lua_gettop(L);

    log_change(L, state, raw, key, old);
    lua_pushvalue(L, key);
    lua_pushvalue(L, copy);
    lua_rawset(L, raw); /* out of memory here leaves a harmless entry in the log */
    if (lua_istable(L, old))
        mark(L, old, 0);
    state->size = size;
    state->dirty = true;
}

/* state.key = value, or any table inside it.
 *
 *   raises when the key or value cannot be kept, when the whole would be larger than 1 MiB, and
 * when the table is no longer part of ctx.state */
static int state_newindex(lua_State *L)
{
    struct state *state = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 3);
    lua_getmetatable(L, 1);
    lua_rawgetp(L, 4, &DEPTH_KEY);
    int depth = (int)lua_tointeger(L, 5);
    if (depth == 0)
        return luaL_error(L, "this table was taken out of ctx.state, a change to it would be lost; "
                             "read it from ctx.state again");
    lua_rawgetp(L, 4, &SANDBOX_PROXY_KEY);
    assign(L, state, 6, depth, 2, 3);
    return 0;
}

/* #state: as # of the plain table behind. */
static int state_length(lua_State *L)
{
    push_plain(L, 1);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
    return 1;
}

void state_push(lua_State *L, const struct state *state)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, state->root_ref);
}

static void push_root(lua_State *L, const struct state *state)
{
    state_push(L, state);
    push_plain(L, -1);
    lua_remove(L, -2);
}

void state_replace(lua_State *L, struct state *state, int index)
{
    push_plain(L, index);
    push_root(L, state);
    int from = lua_gettop(L) - 1, to = lua_gettop(L);
    if (lua_rawequal(L, from, to)) {
        lua_pop(L, 2);
        return; /* S.migrate gave back the state it was given */
    }
    /* Old keys first; assigning nil to a key that is visited is allowed. */
    lua_pushnil(L);
    while (lua_next(L, to)) {
        lua_settop(L, to + 1);
        lua_pushnil(L);
        assign(L, state, to, 1, to + 1, to + 2);
        lua_settop(L, to + 1);
    }
    lua_pushnil(L);
    while (lua_next(L, from)) {
        assign(L, state, to, 1, to + 1, to + 2);
        lua_settop(L, to + 1);
    }
    lua_pop(L, 2);
}

void state_open(lua_State *L, struct state *state)
{
    *state = (struct state){ .undo_squeeze = SQUEEZE_FIRST, .size = TABLE_SIZE };
    lua_pushlightuserdata(L, state);
    lua_pushcclosure(L, state_newindex, 1);
    state->newindex_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, state_length);
    state->length_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    state->undo_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    push_proxy(L, state, 1);
    state->root_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void state_close(struct state *state)
{
    free(state->keys);
    state->keys = NULL;
    state->key_count = state->key_capacity = 0;
}

/* ---- writing ---- */

/* A key in C's hands; strings stay where Lua has them while their table is reachable. */
struct state_key {
    int type; /* LUA_TNUMBER, LUA_TSTRING, LUA_TBOOLEAN */
    bool is_integer, boolean;
    lua_Integer integer;
    lua_Number number;
    const char *string;
    size_t length;
};

static int key_rank(const struct state_key *key)
{
    return key->type == LUA_TNUMBER ? 0 : key->type == LUA_TSTRING ? 1 : 2;
}

/* An integer and a float, compared without rounding the integer: 64 bits of mantissa at least. */
static long double key_number(const struct state_key *key)
{
    return key->is_integer ? (long double)key->integer : (long double)key->number;
}

static int compare_strings(const struct state_key *x, const struct state_key *y)
{
    int order = memcmp(x->string, y->string, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int compare_keys(const void *a, const void *b)
{
    const struct state_key *x = a, *y = b;
    if (key_rank(x) != key_rank(y))
        return key_rank(x) - key_rank(y);
    if (x->type == LUA_TSTRING)
        return compare_strings(x, y);
    if (x->type == LUA_TBOOLEAN)
        return x->boolean - y->boolean;
    return (key_number(x) > key_number(y)) - (key_number(x) < key_number(y));
}

static struct state_key read_key(lua_State *L, int index)
{
    struct state_key key = { .type = lua_type(L, index) };
    key.boolean = lua_toboolean(L, index);
    key.is_integer = lua_isinteger(L, index);
    if (key.is_integer)
        key.integer = lua_tointeger(L, index);
    else if (key.type == LUA_TNUMBER)
        key.number = lua_tonumber(L, index);
    else if (key.type == LUA_TSTRING)
        key.string = lua_tolstring(L, index, &key.length);
    return key;
}

static void push_key(lua_State *L, const struct state_key *key)
{
    if (key->type == LUA_TSTRING)
        lua_pushlstring(L, key->string, key->length);
    else if (key->type == LUA_TBOOLEAN)
        lua_pushboolean(L, key->boolean);
    else if (key->is_integer)
        lua_pushinteger(L, key->integer);
    else
        lua_pushnumber(L, key->number);
}

static void write_string(struct json_writer *writer, const char *bytes, size_t length)
{
    if (is_plain_text(bytes, length)) {
        json_bytes(writer, bytes, length);
        return;
    }
    static const char digits[] = "0123456789abcdef";
    char *hex = memory_new(2 * length + 1);
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    json_object_begin(writer);
    json_key(writer, "$bytes");
    json_bytes(writer, hex, 2 * length);
    json_object_end(writer);
    free(hex);
}

static void write_float(struct json_writer *writer, double value)
{
    if (isinf(value)) {
        json_object_begin(writer);
        json_key(writer, "$number");
        json_string(writer, value > 0 ? "inf" : "-inf");
        json_object_end(writer);
        return;
    }
    char digits[DOUBLE_TEXT_MAX], number[DOUBLE_TEXT_MAX + 4];
    double_format(value, digits);
    snprintf(number, sizeof(number), "%s%s%s", value == 0 && signbit(value) ? "-" : "", digits,
             strpbrk(digits, ".eE") ? "" : ".0"); /* 1 and 1.0 are not the same in Lua */
    json_number_text(writer, number);
}

static void write_scalar(lua_State *L, struct json_writer *writer, int index)
{
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t length;
        const char *bytes = lua_tolstring(L, index, &length);
        write_string(writer, bytes, length);
    } else if (lua_type(L, index) == LUA_TBOOLEAN) {
        json_bool(writer, lua_toboolean(L, index));
    } else if (lua_isinteger(L, index)) {
        json_int(writer, lua_tointeger(L, index));
    } else {
        write_float(writer, lua_tonumber(L, index));
    }
}

struct writing {
    struct state *state;
    struct json_writer *writer;
};

static void write_value(lua_State *L, struct writing *writing, int index);

enum shape { SHAPE_ARRAY, SHAPE_OBJECT, SHAPE_PAIRS };

static enum shape shape_of(const struct state_key *keys, size_t count)
{
    bool array = count > 0, object = true;
    for (size_t i = 0; i < count; i++) {
        array = array && keys[i].is_integer && keys[i].integer == (lua_Integer)i + 1;
        object = object && keys[i].type == LUA_TSTRING && keys[i].string[0] != '$' &&
                 is_plain_text(keys[i].string, keys[i].length);
    }
    return array ? SHAPE_ARRAY : object ? SHAPE_OBJECT : SHAPE_PAIRS;
}

/* Appends the keys of the raw table at index to the scratch, in the order of the contract. */
static size_t collect_keys(lua_State *L, struct state *state, int index)
{
    size_t first = state->key_count;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        state->keys = memory_grow(state->keys, &state->key_capacity, state->key_count + 1,
                                  sizeof(state->keys[0]));
        state->keys[state->key_count++] = read_key(L, -2);
    }
    if (state->key_count > first)
        qsort(state->keys + first, state->key_count - first, sizeof(state->keys[0]), compare_keys);
    return first;
}

/* The values of keys first..last, each after its key where `named`. */
static void write_values(lua_State *L, struct writing *writing, int raw, size_t first, size_t last,
                         bool named)
{
    struct state *state = writing->state;
    for (size_t i = first; i < last; i++) {
        if (named)
            json_bytes(writing->writer, state->keys[i].string, state->keys[i].length);
        push_key(L, &state->keys[i]);
        lua_rawget(L, raw);
        write_value(L, writing, -1);
        lua_pop(L, 1);
    }
}

static void write_pairs(lua_State *L, struct writing *writing, int raw, size_t first, size_t last)
{
    json_object_begin(writing->writer);
    json_key(writing->writer, "$keys");
    json_array_begin(writing->writer);
    for (size_t i = first; i < last; i++) {
        push_key(L, &writing->state->keys[i]);
        write_scalar(L, writing->writer, -1);
        lua_pop(L, 1);
    }
    json_array_end(writing->writer);
    json_key(writing->writer, "$values");
    json_array_begin(writing->writer);
    write_values(L, writing, raw, first, last, false);
    json_array_end(writing->writer);
    json_object_end(writing->writer);
}

static void write_value(lua_State *L, struct writing *writing, int index)
{
    if (!lua_istable(L, index)) {
        write_scalar(L, writing->writer, index);
        return;
    }
    luaL_checkstack(L, 8, "ctx.state");
    push_plain(L, index);
    struct state *state = writing->state;
    int raw = lua_gettop(L);
    size_t first = collect_keys(L, state, raw), last = state->key_count;

    switch (shape_of(state->keys + first, last - first)) {
    case SHAPE_ARRAY:
        json_array_begin(writing->writer);
        write_values(L, writing, raw, first, last, false);
        json_array_end(writing->writer);
        break;
    case SHAPE_OBJECT:
        json_object_begin(writing->writer);
        write_values(L, writing, raw, first, last, true);
        json_object_end(writing->writer);
        break;
    case SHAPE_PAIRS:
        write_pairs(L, writing, raw, first, last);
    }
    state->key_count = first;
    lua_pop(L, 1);
}

static int write_root(lua_State *L)
{
    struct writing *writing = lua_touserdata(L, 1);
    writing->state->key_count = 0;
    state_push(L, writing->state);
    write_value(L, writing, -1);
    return 0;
}

int state_write(struct sandbox *sandbox, struct state *state, struct text *out, struct error *err)
{
    struct writing writing = { .state = state, .writer = json_writer_open(out, false) };
    int code = sandbox_protect(sandbox, write_root, &writing, err);
    json_writer_close(writing.writer);
    return code < 0 ? error_wrap(err, "write ctx.state") : 0;
}

/* ---- reading ---- */

static void push_json(lua_State *L, const struct json *node);

static void push_number(lua_State *L, const char *number)
{
    if (lua_stringtonumber(L, number) == 0)
        luaL_error(L, "'%s' is no number", number);
}

static void push_hex(lua_State *L, const char *hex)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (; hex[0] && hex[1]; hex += 2) {
        unsigned byte = 0;
        if (sscanf(hex, "%2x", &byte) != 1)
            luaL_error(L, "'$bytes' holds something else than hex digits");
        luaL_addchar(&buffer, (char)byte);
    }
    luaL_pushresult(&buffer);
}

static void push_pairs(lua_State *L, const struct json *keys, const struct json *values)
{
    if (json_count(keys) != json_count(values))
        luaL_error(L, "'$keys' and '$values' differ in length");
    lua_newtable(L);
    for (size_t i = 0; i < json_count(keys); i++) {
        push_json(L, json_at(keys, i));
        push_json(L, json_at(values, i));
        lua_rawset(L, -3);
    }
}

static void push_object(lua_State *L, const struct json *node)
{
    if (json_get(node, "$keys")) {
        push_pairs(L, json_get(node, "$keys"), json_get(node, "$values"));
    } else if (json_as_string(json_get(node, "$bytes"))) {
        push_hex(L, json_as_string(json_get(node, "$bytes")));
    } else if (json_as_string(json_get(node, "$number"))) {
        lua_pushnumber(L,
                       json_as_string(json_get(node, "$number"))[0] == '-' ? -HUGE_VAL : HUGE_VAL);
    } else {
        lua_newtable(L);
        for (size_t i = 0; i < json_count(node); i++) {
            lua_pushstring(L, json_key_at(node, i));
            push_json(L, json_at(node, i));
            lua_rawset(L, -3);
        }
    }
}

static void push_json(lua_State *L, const struct json *node)
{
    luaL_checkstack(L, 6, "ctx.state");
    switch (json_kind(node)) {
    case JSON_BOOL:
        lua_pushboolean(L, json_as_bool(node));
        break;
    case JSON_NUMBER:
        push_number(L, json_as_number_text(node));
        break;
    case JSON_STRING:
        lua_pushstring(L, json_as_string(node));
        break;
    case JSON_OBJECT:
        push_object(L, node);
        break;
    case JSON_ARRAY:
        lua_newtable(L);
        for (size_t i = 0; i < json_count(node); i++) {
            push_json(L, json_at(node, i));
            lua_rawseti(L, -2, (lua_Integer)i + 1);
        }
        break;
    case JSON_NULL:
        luaL_error(L, "null cannot be kept");
    }
}

struct reading {
    struct state *state;
    const struct json *root;
};

static int read_root(lua_State *L)
{
    struct reading *reading = lua_touserdata(L, 1);
    push_json(L, reading->root);
    if (!lua_istable(L, -1))
        return luaL_error(L, "it must be an object");
    state_replace(L, reading->state, -1);
    return 0;
}

int state_parse(struct sandbox *sandbox, struct state *state, const char *json, struct error *err)
{
    struct json *root;
    int code = json_parse(json, strlen(json), &root, err);
    if (code < 0)
        return error_wrap(err, "read a stored ctx.state");
    struct reading reading = { .state = state, .root = root };
    code = sandbox_protect(sandbox, read_root, &reading, err);
    json_release(root);
    if (code < 0)
        return error_wrap(err, "read a stored ctx.state");
    state_commit(sandbox_lua(sandbox), state);
    state->dirty = false;
    return 0;
}
