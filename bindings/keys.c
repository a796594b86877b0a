/* keys.c - keys in the contract's order, and the stable sort behind it.
 *
 * Lua's own order depends on addresses and on a seed that differs between two runs. */
#include "bindings/sandbox_internal.h"

#include <math.h>
#include <string.h>

#define KEYS_LOCAL 32 /* keys sorted on the C stack */

/* ---- order ---- */

static int compare_integers(lua_Integer a, lua_Integer b)
{
    return (a > b) - (a < b);
}

/* Exact, also where a double cannot hold the integer. */
static int compare_mixed(lua_Integer integer, lua_Number number)
{
    if (number >= 0x1p63)
        return -1;
    if (number < -0x1p63)
        return 1;
    lua_Integer whole = (lua_Integer)number; /* towards zero */
    if (integer != whole)
        return compare_integers(integer, whole);
    lua_Number rest = number - (lua_Number)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_numbers(const struct key *a, const struct key *b)
{
    if (a->is_integer && b->is_integer)
        return compare_integers(a->as.integer, b->as.integer);
    if (a->is_integer)
        return compare_mixed(a->as.integer, b->as.number);
    if (b->is_integer)
        return -compare_mixed(b->as.integer, a->as.number);
    return (a->as.number > b->as.number) - (a->as.number < b->as.number);
}

int key_compare(const struct key *a, const struct key *b)
{
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    if (a->kind == KEY_NUMBER)
        return compare_numbers(a, b);
    if (a->kind == KEY_BOOLEAN)
        return (int)a->as.boolean - (int)b->as.boolean;
    size_t n = a->as.string.length, m = b->as.string.length;
    int order = memcmp(a->as.string.bytes, b->as.string.bytes, n < m ? n : m);
    return order != 0 ? order : (n > m) - (n < m);
}

bool key_read(lua_State *L, int index, struct key *key)
{
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        key->kind = KEY_NUMBER;
        key->is_integer = lua_isinteger(L, index);
        if (key->is_integer)
            key->as.integer = lua_tointeger(L, index);
        else
            key->as.number = lua_tonumber(L, index);
        return key->is_integer || !isnan(key->as.number);
    case LUA_TSTRING:
        key->kind = KEY_STRING;
        key->as.string.bytes = lua_tolstring(L, index, &key->as.string.length);
        return true;
    case LUA_TBOOLEAN:
        key->kind = KEY_BOOLEAN;
        key->as.boolean = lua_toboolean(L, index);
        return true;
    default:
        return false;
    }
}

/* Merges from[low, middle) and from[middle, high) into to; equal keys keep their order. */
static void merge(lua_State *L, const struct key *from, struct key *to, size_t low, size_t middle,
                  size_t high)
{
    size_t left = low, right = middle;
    for (size_t at = low; at < high; at++) {
        if (at % 4096 == 4095)
            sandbox_charge(L, 512);
        bool take_right =
            right < high && (left >= middle || key_compare(&from[right], &from[left]) < 0);
        to[at] = from[take_right ? right++ : left++];
    }
}

static bool in_order(const struct key *keys, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (key_compare(&keys[i - 1], &keys[i]) > 0)
            return false;
    return true;
}

void keys_sort(lua_State *L, struct key *keys, struct key *spare, size_t count)
{
    if (in_order(keys, count))
        return;
    struct key *from = keys, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            merge(L, from, to, low, middle, high);
        }
        struct key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, count * sizeof *keys);
}

/* ---- the keys of a table ---- */

/* Counts the keys a script may see. Raises on a kind of key that has no order. */
static size_t count_keys(lua_State *L, int table)
{
    size_t count = 0;
    struct key key;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA)
            continue; /* ours */
        if (!key_read(L, -1, &key))
            luaL_error(L,
                       "pairs has no order for a key that is a %s: keys are numbers, strings and "
                       "booleans; use ipairs or keep a list of the keys",
                       luaL_typename(L, -1));
        if (++count % 512 == 0)
            sandbox_charge(L, 64);
    }
    return count;
}

/* Fills the array on the stack top with the keys as they come, and keys with what to sort by. */
static void fill_keys(lua_State *L, int table, struct key *keys, size_t count)
{
    int array = lua_gettop(L);
    size_t n = 0;
    lua_pushnil(L);
    while (n < count && lua_next(L, table)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA || !key_read(L, -1, &keys[n]))
            continue;
        keys[n].at = (uint32_t)n;
        lua_pushvalue(L, -1);
        lua_rawseti(L, array, (lua_Integer)++n);
        if (n % 512 == 0)
            sandbox_charge(L, 64);
    }
    lua_settop(L, array);
}

/* Puts the array on the stack top in the order of keys: follows each cycle of the permutation. */
static void permute(lua_State *L, struct key *keys, size_t count)
{
    int array = lua_gettop(L);
    for (size_t start = 0; start < count; start++) {
        if (keys[start].at == start)
            continue;
        lua_rawgeti(L, array, (lua_Integer)start + 1);
        size_t hole = start;
        while (keys[hole].at != start) {
            size_t next = keys[hole].at;
            lua_rawgeti(L, array, (lua_Integer)next + 1);
            lua_rawseti(L, array, (lua_Integer)hole + 1);
            keys[hole].at = (uint32_t)hole;
            hole = next;
        }
        lua_rawseti(L, array, (lua_Integer)hole + 1);
        keys[hole].at = (uint32_t)hole;
    }
}

static int plain_table(lua_State *L, int index)
{
    if (proxy_push_behind(L, index))
        return lua_gettop(L);
    luaL_checktype(L, index, LUA_TTABLE);
    return index;
}

void sandbox_push_sorted_keys(lua_State *L, int index)
{
    luaL_checkstack(L, 8, NULL);
    index = lua_absindex(L, index);
    int base = lua_gettop(L);
    int table = plain_table(L, index);
    size_t count = count_keys(L, table);
    if (count > UINT32_MAX)
        luaL_error(L, "too many keys");

    struct key local[2 * KEYS_LOCAL];
    struct key *keys = local;
    if (count > KEYS_LOCAL)
        keys = lua_newuserdatauv(L, 2 * count * sizeof *keys, 0);
    lua_createtable(L, (int)(count < INT32_MAX ? count : INT32_MAX), 0);
    fill_keys(L, table, keys, count);
    keys_sort(L, keys, keys + count, count);
    permute(L, keys, count);
    lua_insert(L, base + 1);
    lua_settop(L, base + 1);
}

/* ---- next ---- */

/* One scan finds the least key above the given one; a scan per step would make a traversal by next
 * quadratic, so from the second step on the sorted keys are kept in upvalues (1 the table, 2 the
 * array, 3 where we are, 4 the call they were made in). */
static void push_least_above(lua_State *L, int table, const struct key *above)
{
    struct key best = { 0 }, key;
    bool found = false;
    size_t count = 0;
    lua_pushnil(L); /* the answer */
    int answer = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        if (++count % 512 == 0)
            sandbox_charge(L, 64);
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA)
            continue;
        if (!key_read(L, -1, &key))
            luaL_error(L, "next has no order for a key that is a %s", luaL_typename(L, -1));
        if ((above && key_compare(&key, above) <= 0) || (found && key_compare(&key, &best) >= 0))
            continue;
        best = key;
        found = true;
        lua_pushvalue(L, -1);
        lua_replace(L, answer);
    }
    lua_settop(L, answer);
}

/* Index, from 1, of the first of the sorted keys (array on the stack top) above `key`. */
static lua_Integer upper_bound(lua_State *L, const struct key *key)
{
    lua_Integer low = 1, high = (lua_Integer)lua_rawlen(L, -1) + 1;
    while (low < high) {
        lua_Integer middle = low + (high - low) / 2;
        struct key other;
        lua_rawgeti(L, -1, middle);
        bool readable = key_read(L, -1, &other);
        lua_pop(L, 1);
        if (readable && key_compare(&other, key) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_kept(lua_State *L, int table, int key_index)
{
    if (lua_tointeger(L, lua_upvalueindex(4)) != (lua_Integer)sandbox_of(L)->serial ||
        !lua_rawequal(L, lua_upvalueindex(1), table))
        return false;
    lua_rawgeti(L, lua_upvalueindex(2), lua_tointeger(L, lua_upvalueindex(3)));
    bool same = lua_rawequal(L, -1, key_index);
    lua_pop(L, 1);
    return same;
}

static void keep(lua_State *L, int table, const struct key *key)
{
    sandbox_push_sorted_keys(L, table);
    lua_pushinteger(L, upper_bound(L, key) - 1);
    lua_replace(L, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(2));
    lua_pushvalue(L, table);
    lua_replace(L, lua_upvalueindex(1));
    lua_pushinteger(L, (lua_Integer)sandbox_of(L)->serial);
    lua_replace(L, lua_upvalueindex(4));
}

void keys_push_next(lua_State *L, int table_index, int key_index)
{
    struct key key;
    int table = plain_table(L, table_index);
    if (lua_isnil(L, key_index)) {
        lua_pushnil(L); /* a new traversal: keys may have been added */
        lua_replace(L, lua_upvalueindex(1));
        push_least_above(L, table, NULL);
        return;
    }
    if (!key_read(L, key_index, &key))
        luaL_error(L, "next has no order for a key that is a %s", luaL_typename(L, key_index));
    if (!is_kept(L, table, key_index))
        keep(L, table, &key);

    for (lua_Integer at = lua_tointeger(L, lua_upvalueindex(3)) + 1;; at++) {
        if (lua_rawgeti(L, lua_upvalueindex(2), at) == LUA_TNIL)
            return; /* the end */
        lua_pushvalue(L, -1);
        if (lua_rawget(L, table) != LUA_TNIL) {
            lua_pop(L, 1);
            lua_pushinteger(L, at);
            lua_replace(L, lua_upvalueindex(3));
            return;
        }
        lua_pop(L, 2); /* removed since */
        if (at % 512 == 0)
            sandbox_charge(L, 64);
    }
}
