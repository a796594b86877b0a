/* lib_table.c - concat insert move pack remove sort unpack, on raw lengths.
 *
 * Plain tables are read and written raw: a script's __index, __newindex and __len play no part, so
 * no step of a loop here runs script code but a comparator. A proxy (SANDBOX_PROXY_KEY) has the
 * length of the table behind it, and its elements go through its own __index and __newindex. */
#include "bindings/sandbox_internal.h"

#include <string.h>

#define MOVE_MAX ((lua_Unsigned)1 << 24)  /* elements of one table.move */
#define UNPACK_MAX ((lua_Unsigned)250000) /* values of one table.unpack */
#define TURNS 1024                        /* between two charges */
#define TURN_COST 4                       /* loop turns in C that cost what one instruction does */

struct list {
    int index;
    bool is_proxy;
    lua_Integer length;
};

static struct list check_list(lua_State *L, int index, bool writes)
{
    struct list list = { .index = index };
    if (proxy_push_behind(L, index)) {
        list.is_proxy = true;
        list.length = (lua_Integer)lua_rawlen(L, -1);
        lua_pop(L, 1);
        return list;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    if (writes && value_is_sealed(L, index))
        luaL_argerror(L, index, "a table of the runtime cannot be changed this way");
    list.length = (lua_Integer)lua_rawlen(L, index);
    return list;
}

static int get(lua_State *L, const struct list *list, lua_Integer i)
{
    return list->is_proxy ? lua_geti(L, list->index, i) : lua_rawgeti(L, list->index, i);
}

static void set(lua_State *L, const struct list *list, lua_Integer i)
{
    if (list->is_proxy)
        lua_seti(L, list->index, i);
    else
        lua_rawseti(L, list->index, i);
}

static void take_turn(lua_State *L, lua_Unsigned turn)
{
    if (turn % TURNS == TURNS - 1)
        sandbox_charge(L, TURNS / TURN_COST);
}

/* ---- insert, remove, move ---- */

static int table_insert(lua_State *L)
{
    struct list list = check_list(L, 1, true);
    lua_Integer end = list.length + 1, at = end;
    int count = lua_gettop(L);
    if (count != 2 && count != 3)
        return luaL_error(L, "wrong number of arguments to 'insert'");
    if (count == 3) {
        at = luaL_checkinteger(L, 2);
        luaL_argcheck(L, at >= 1 && at <= end, 2, "position out of bounds");
    }
    for (lua_Integer i = end; i > at; i--) {
        take_turn(L, (lua_Unsigned)i);
        get(L, &list, i - 1);
        set(L, &list, i);
    }
    lua_settop(L, count);
    set(L, &list, at);
    return 0;
}

static int table_remove(lua_State *L)
{
    struct list list = check_list(L, 1, true);
    lua_Integer size = list.length;
    lua_Integer at = luaL_optinteger(L, 2, size);
    if (lua_gettop(L) >= 2)
        luaL_argcheck(L, (at >= 1 && at <= size + 1) || (size == 0 && at == 0), 2,
                      "position out of bounds");
    lua_settop(L, 2);
    get(L, &list, at);
    for (; at < size; at++) {
        take_turn(L, (lua_Unsigned)at);
        get(L, &list, at + 1);
        set(L, &list, at);
    }
    lua_pushnil(L);
    set(L, &list, at);
    return 1;
}

static int table_move(lua_State *L)
{
    int to_index = lua_isnoneornil(L, 5) ? 1 : 5;
    struct list from = check_list(L, 1, false);
    lua_Integer first = luaL_checkinteger(L, 2);
    lua_Integer last = luaL_checkinteger(L, 3);
    lua_Integer to = luaL_checkinteger(L, 4);
    struct list target = check_list(L, to_index, true);
    if (last >= first) {
        lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first + 1;
        luaL_argcheck(L, count != 0 && count <= MOVE_MAX, 3, "too many elements to move");
        luaL_argcheck(L, to <= LUA_MAXINTEGER - (lua_Integer)count + 1, 4,
                      "destination wrap around");
        bool upward = to > last || to <= first || (to_index != 1 && !lua_rawequal(L, 1, to_index));
        for (lua_Unsigned i = 0; i < count; i++) {
            lua_Integer step = (lua_Integer)(upward ? i : count - 1 - i);
            take_turn(L, i);
            get(L, &from, first + step);
            set(L, &target, to + step);
        }
    }
    lua_pushvalue(L, to_index);
    return 1;
}

/* ---- pack, unpack, concat ---- */

static int table_pack(lua_State *L)
{
    int count = lua_gettop(L);
    lua_createtable(L, count, 1);
    lua_insert(L, 1);
    for (int i = count; i >= 1; i--)
        lua_rawseti(L, 1, i);
    lua_pushinteger(L, count);
    lua_setfield(L, 1, "n");
    return 1;
}

static int table_unpack(lua_State *L)
{
    struct list list = check_list(L, 1, false);
    lua_Integer first = luaL_optinteger(L, 2, 1);
    lua_Integer last = luaL_opt(L, luaL_checkinteger, 3, list.length);
    if (first > last)
        return 0;
    lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first + 1;
    if (count == 0 || count > UNPACK_MAX || !lua_checkstack(L, (int)count + 4))
        return luaL_error(L, "too many results to unpack");
    for (lua_Unsigned i = 0; i < count; i++) {
        take_turn(L, i);
        get(L, &list, first + (lua_Integer)i);
    }
    return (int)count;
}

static void add_element(lua_State *L, const struct list *list, struct builder *builder,
                        lua_Integer i)
{
    char number[NUMBER_TEXT_MAX];
    size_t length;
    int kind = get(L, list, i);
    if (kind == LUA_TSTRING) {
        const char *bytes = lua_tolstring(L, -1, &length);
        builder_add(builder, bytes, length);
    } else if (kind == LUA_TNUMBER) {
        length = number_text(L, -1, number);
        builder_add(builder, number, length);
    } else {
        luaL_error(L, "invalid value (a %s at index %I) in table for 'concat'",
                   luaL_typename(L, -1), (LUAI_UACINT)i);
    }
    lua_pop(L, 1);
}

static int table_concat(lua_State *L)
{
    struct builder builder;
    struct list list = check_list(L, 1, false);
    size_t length;
    const char *separator = luaL_optlstring(L, 2, "", &length);
    lua_Integer first = luaL_optinteger(L, 3, 1);
    lua_Integer last = luaL_optinteger(L, 4, list.length);
    lua_settop(L, 4);
    builder_open(L, &builder);
    for (lua_Integer i = first; i <= last; i++) {
        take_turn(L, (lua_Unsigned)(i - first));
        if (i > first)
            builder_add(&builder, separator, length);
        add_element(L, &list, &builder, i);
        if (i == LUA_MAXINTEGER)
            break;
    }
    builder_push(&builder);
    return 1;
}

/* ---- sort: stable, and any comparator ends ---- */

/* All numbers, or all strings: sorted without asking Lua. */
static bool sort_plain(lua_State *L, int values, lua_Integer count, struct key *keys)
{
    for (lua_Integer i = 0; i < count; i++) {
        take_turn(L, (lua_Unsigned)i);
        lua_rawgeti(L, values, i + 1);
        bool plain = key_read(L, -1, &keys[i]) && keys[i].kind != KEY_BOOLEAN &&
                     keys[i].kind == keys[0].kind;
        keys[i].at = (uint32_t)i;
        lua_pop(L, 1);
        if (!plain)
            return false;
    }
    keys_sort(L, keys, keys + count, (size_t)count);
    return true;
}

/* Is the element b less than a? */
static bool is_less(lua_State *L, int values, int comparator, uint32_t b, uint32_t a)
{
    bool less;
    if (comparator) {
        lua_pushvalue(L, comparator);
        lua_rawgeti(L, values, (lua_Integer)b + 1);
        lua_rawgeti(L, values, (lua_Integer)a + 1);
        lua_call(L, 2, 1);
        less = lua_toboolean(L, -1);
        lua_pop(L, 1);
    } else {
        lua_rawgeti(L, values, (lua_Integer)b + 1);
        lua_rawgeti(L, values, (lua_Integer)a + 1);
        less = lua_compare(L, -2, -1, LUA_OPLT);
        lua_pop(L, 2);
    }
    return less;
}

/* Merge sort of places, asking the comparator; returns where the result lies. */
static uint32_t *sort_asking(lua_State *L, int values, int comparator, uint32_t *from, uint32_t *to,
                             size_t count)
{
    for (size_t i = 0; i < count; i++)
        from[i] = (uint32_t)i;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = low + 2 * width < count ? low + 2 * width : count;
            size_t left = low, right = middle;
            for (size_t at = low; at < high; at++) {
                bool take_right = right < high && left >= middle;
                if (right < high && left < middle) {
                    sandbox_charge(L, 2);
                    take_right = is_less(L, values, comparator, from[right], from[left]);
                }
                to[at] = from[take_right ? right++ : left++];
            }
        }
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

/* The table is read once before and written once after: a comparator that raises leaves it as it
 * was, and one that changes it meanwhile changes nothing of the order. */
static int table_sort(lua_State *L)
{
    struct list list = check_list(L, 1, true);
    int comparator = 0;
    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TFUNCTION);
        comparator = 2;
    }
    lua_settop(L, 2);
    luaL_checkstack(L, 16, NULL);
    lua_Integer count = list.length;
    if (count < 2)
        return 0;
    luaL_argcheck(L, count < INT32_MAX, 1, "array too big");

    lua_createtable(L, (int)count, 0);
    int values = lua_gettop(L);
    for (lua_Integer i = 1; i <= count; i++) {
        take_turn(L, (lua_Unsigned)i);
        get(L, &list, i);
        lua_rawseti(L, values, i);
    }

    struct key *keys = NULL;
    uint32_t *places = NULL;
    if (!comparator) {
        keys = lua_newuserdatauv(L, 2 * (size_t)count * sizeof *keys, 0);
        if (!sort_plain(L, values, count, keys))
            keys = NULL;
    }
    if (!keys) {
        uint32_t *scratch = lua_newuserdatauv(L, 2 * (size_t)count * sizeof *places, 0);
        places = sort_asking(L, values, comparator, scratch, scratch + count, (size_t)count);
    }
    for (lua_Integer i = 0; i < count; i++) {
        take_turn(L, (lua_Unsigned)i);
        lua_rawgeti(L, values, (lua_Integer)(keys ? keys[i].at : places[i]) + 1);
        set(L, &list, i + 1);
    }
    return 0;
}

static const luaL_Reg functions[] = {
    { "concat", table_concat }, { "insert", table_insert },
    { "move", table_move },     { "pack", table_pack },
    { "remove", table_remove }, { "sort", table_sort },
    { "unpack", table_unpack }, { NULL, NULL },
};

void lib_table_open(lua_State *L)
{
    luaL_newlib(L, functions);
}
