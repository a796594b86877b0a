/* sandbox_test.c - what the sandbox promises its callers, what scripts may count on, and what
 * happens when memory fails at any moment or a call never returns. Attacks are hostile_test.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/sandbox_internal.h"
#include "runtime/base/text.h"

#define NOON (INT64_C(1704110400) * NS_PER_SECOND) /* 2024-01-01 12:00 UTC */

/* ---- a scene: one sandbox and what it said ---- */

struct scene {
    struct sandbox_limits limits;
    struct sandbox *sandbox;
    lua_State *L;
    struct error err;
    char printed[256];
    int64_t slow_ns;
};

static int64_t noon(void *self)
{
    (void)self;
    return NOON + 250 * NS_PER_MS;
}

static void keep_print(void *self, const char *text)
{
    struct scene *scene = self;
    text_copy(scene->printed, sizeof scene->printed, text);
}

static void keep_slow(void *self, int64_t elapsed_ns)
{
    struct scene *scene = self;
    scene->slow_ns = elapsed_ns;
}

static const char *two_modules(void *self, const char *name, size_t *length)
{
    (void)self;
    static const char good[] = "return { name = ..., pi = math.pi }";
    static const char bad[] = "\n\nlocal x = = 1";
    const char *text = strcmp(name, "stats/good") == 0 ? good
                       : strcmp(name, "bad") == 0      ? bad
                                                       : NULL;
    if (text)
        *length = strlen(text);
    return text;
}

static struct sandbox_host host_of(struct scene *scene)
{
    return (struct sandbox_host){
        .self = scene, .now_ns = noon, .print = keep_print, .slow = keep_slow, .module = two_modules
    };
}

static void open_scene(struct scene *scene, struct watchdog *watchdog)
{
    struct sandbox_host host = host_of(scene);
    assert_int_equal(sandbox_open(&scene->limits, &host, 7, watchdog, &scene->sandbox, &scene->err),
                     0);
    scene->L = sandbox_lua(scene->sandbox);
}

static int begin(void **state)
{
    struct scene *scene = memory_new(sizeof *scene);
    sandbox_limits_init(&scene->limits);
    open_scene(scene, NULL);
    *state = scene;
    return 0;
}

static int end(void **state)
{
    struct scene *scene = *state;
    sandbox_close(scene->sandbox);
    free(scene);
    return 0;
}

static int load(struct scene *scene, const char *text)
{
    return sandbox_load(scene->sandbox, "strategies/test.lua", text, strlen(text), &scene->err);
}

/* Runs a chunk that asserts what it claims. */
static void holds(struct scene *scene, const char *text)
{
    if (load(scene, text) < 0)
        fail_msg("[%s] %s", scene->err.where, scene->err.message);
    lua_pop(scene->L, 1);
}

static void refused(struct scene *scene, const char *text, const char *where, const char *message)
{
    int top = lua_gettop(scene->L);
    assert_int_equal(load(scene, text), ERROR_DATA);
    assert_int_equal(scene->err.code, ERROR_DATA);
    assert_string_equal(scene->err.where, where);
    if (!strstr(scene->err.message, message))
        fail_msg("not in the message: '%s' of '%s'", message, scene->err.message);
    assert_int_equal(lua_gettop(scene->L), top);
}

/* ---- loading ---- */

static void the_result_of_a_chunk_is_left_on_the_stack(void **state)
{
    struct scene *scene = *state;
    int top = lua_gettop(scene->L);
    assert_int_equal(load(scene, "return 6 * 7, 'dropped'"), 0);
    assert_int_equal(lua_gettop(scene->L), top + 1);
    assert_int_equal(lua_tointeger(scene->L, -1), 42);
    assert_int_equal(load(scene, ""), 0);
    assert_true(lua_isnil(scene->L, -1));
}

static void a_file_that_is_no_text_is_refused_with_its_line(void **state)
{
    struct scene *scene = *state;
    static const char nul[] = "return 1\n\0";
    refused(scene, "\x1bLua", "strategies/test.lua:1", "bytecode");
    refused(scene, "x = 1\nx = 2 -- \xe2\x80\xae\n", "strategies/test.lua:2", "bidirectional");
    refused(scene, "-- \xe2\x81\xa6", "strategies/test.lua:1", "bidirectional");
    refused(scene, "\n\n'\xff'", "strategies/test.lua:3", "UTF-8");
    assert_int_equal(sandbox_load(scene->sandbox, "f.lua", nul, sizeof nul - 1, &scene->err),
                     ERROR_DATA);
    assert_string_equal(scene->err.where, "f.lua:2");
    assert_non_null(strstr(scene->err.message, "NUL"));

    char *large = memory_new(((size_t)1 << 20) + 2);
    memset(large, ' ', ((size_t)1 << 20) + 1);
    assert_int_equal(load(scene, large), ERROR_DATA);
    assert_non_null(strstr(scene->err.message, "1 MiB"));
    large[(size_t)1 << 20] = '\0';
    assert_int_equal(load(scene, large), 0);
    free(large);
}

static void a_first_line_for_the_shell_and_a_mark_are_skipped(void **state)
{
    struct scene *scene = *state;
    refused(scene, "#!/usr/bin/env runtime\n=", "strategies/test.lua:2", "unexpected symbol");
    assert_int_equal(load(scene, "\xef\xbb\xbfreturn 5"), 0);
    assert_int_equal(lua_tointeger(scene->L, -1), 5);
}

static void errors_name_the_line_of_the_script(void **state)
{
    struct scene *scene = *state;
    refused(scene, "local x =\n = 1", "strategies/test.lua:2", "unexpected symbol near '='");
    refused(scene, "\n\nlocal t\nt.x = 1", "strategies/test.lua:4", "attempt to index a nil value");
    refused(scene, "error({})", "strategies/test.lua:1", "error value is a table");
    refused(scene, "\nerror()", "strategies/test.lua:2", "nil");
    refused(scene, "error('plain', 0)", "strategies/test.lua:1", "plain");
    refused(scene, "error(1.5)", "strategies/test.lua:1", "1.5");
    refused(scene, "require('bad')", "lib/bad.lua:3", "unexpected symbol");
    /* level 2 blames the caller */
    refused(scene, "local function f() error('no', 2) end\n\nf()", "strategies/test.lua:3", "no");
    refused(scene, "coroutine.wrap(function()\n error('inside') end)()", "strategies/test.lua:2",
            "inside");
}

static void errors_say_who_called(void **state)
{
    struct scene *scene = *state;
    refused(scene, "local function a() error('no') end\nlocal function b() a() end\nb()",
            "strategies/test.lua:1",
            "no (called from strategies/test.lua:2, strategies/test.lua:3)");
}

static void a_long_path_is_named_whole(void **state)
{
    struct scene *scene = *state;
    char path[200] = "";
    for (int i = 0; i < 12; i++)
        strcat(path, "a-folder/");
    strcat(path, "x.lua");
    static const char text[] = "\nlocal t = nil + 1";
    assert_int_equal(sandbox_load(scene->sandbox, path, text, strlen(text), &scene->err),
                     ERROR_DATA);
    strcat(path, ":2");
    assert_string_equal(scene->err.where, path);
    assert_true(text_starts_with(scene->err.message, "attempt to perform arithmetic"));
}

/* ---- globals ---- */

static void globals_are_declared_while_the_file_loads(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(load(scene, "counter = 0  later = nil\n"
                                 "function helper() counter = counter + 1 return counter end\n"
                                 "return { helper = helper,\n"
                                 "  misspelt = function() return coutner end,\n"
                                 "  makes = function() brand_new = 1 end,\n"
                                 "  sets = function() later = 5 return later end }"),
                     0);
    sandbox_freeze_globals(scene->sandbox);
    static const struct {
        const char *name, *message;
    } calls[] = {
        { "helper", NULL },
        { "sets", NULL },
        { "misspelt", "reading undeclared global 'coutner' (did you mean 'counter'?)" },
        { "makes", "writing undeclared global 'brand_new'" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        lua_getfield(scene->L, -1, calls[i].name);
        int code = sandbox_call(scene->sandbox, 0, 0, BUDGET_CALLBACK, &scene->err);
        assert_int_equal(code, calls[i].message ? ERROR_DATA : 0);
        if (calls[i].message)
            assert_non_null(strstr(scene->err.message, calls[i].message));
    }
}

static int make_table(lua_State *L)
{
    lua_createtable(L, 2, 1);
    lua_pushinteger(L, 10);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, 20);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, 1);
    lua_setfield(L, -2, "field");
    sandbox_read_only(L, "given");
    return 0;
}

static void read_only_tables_read_like_tables(void **state)
{
    struct scene *scene = *state;
    int top = lua_gettop(scene->L);
    assert_int_equal(sandbox_protect(scene->sandbox, make_table, NULL, &scene->err), 0);
    assert_int_equal(lua_gettop(scene->L), top);
    holds(scene, "assert(given.field == 1 and #given == 2 and given[2] == 20)\n"
                 "assert(rawlen(given) == 2 and rawget(given, 1) == 10 and next(given) == 1)\n"
                 "assert(table.concat(given, '-') == '10-20' and table.unpack(given) == 10)\n"
                 "local keys = {} for k, v in pairs(given) do keys[#keys + 1] = k end\n"
                 "assert(#keys == 3 and keys[3] == 'field')\n"
                 "local n = 0 for i, v in ipairs(given) do n = n + v end assert(n == 30)\n"
                 "assert(table.move(given, 1, 2, 1, {})[2] == 20)\n"
                 "for _, f in ipairs{ table.insert, table.remove, table.sort } do\n"
                 "  assert(not pcall(f, given, 1)) end");
    refused(scene, "given.field = 2", "strategies/test.lua:1",
            "given is read-only (field 'field')");
    refused(scene, "given[1] = 2", "strategies/test.lua:1", "given is read-only");
}

/* ---- host proxies: what ctx.state is made of ---- */

static int proxy_index(lua_State *L)
{
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int proxy_newindex(lua_State *L)
{
    lua_pushinteger(L, lua_tointeger(L, lua_upvalueindex(2)) + 1);
    lua_replace(L, lua_upvalueindex(2));
    lua_rawset(L, lua_upvalueindex(1));
    return 0;
}

static int make_proxy(lua_State *L)
{
    lua_newtable(L); /* what the script holds */
    lua_newtable(L); /* its metatable */
    lua_newtable(L); /* what is behind */
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, &SANDBOX_PROXY_KEY);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, proxy_index, 1);
    lua_setfield(L, -3, "__index");
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, proxy_newindex, 2);
    lua_setfield(L, -2, "__newindex");
    sandbox_seal_metatable(L);
    lua_setmetatable(L, -2);
    lua_setglobal(L, "state");
    return 0;
}

static void table_functions_write_to_proxies_through_their_metamethod(void **state)
{
    struct scene *scene = *state;
    assert_int_equal(sandbox_protect(scene->sandbox, make_proxy, NULL, &scene->err), 0);
    holds(
        scene,
        "for i = 5, 1, -1 do table.insert(state, 1, i) end\n"
        "table.insert(state, 0) table.sort(state)\n"
        "assert(table.concat(state, ' ') == '0 1 2 3 4 5')\n"
        "assert(table.remove(state, 1) == 0 and table.remove(state) == 5)\n"
        "assert(table.concat(state, ' ') == '1 2 3 4' and select('#', table.unpack(state)) == 4)\n"
        "table.sort(state, function(a, b) return a > b end)\n"
        "local seen = {} for k, v in pairs(state) do seen[k] = v end\n"
        "assert(table.concat(seen, ' ') == '4 3 2 1')\n"
        "local k, v = next(state) assert(k == 1 and v == 4)\n"
        "assert(getmetatable(state) == false and not pcall(setmetatable, state, {}))\n"
        "assert(not pcall(rawset, state, 1, 2))\n"
        "assert(tostring(state):find('^table: #%d+$'))");
}

/* ---- what scripts count on ---- */

static void keys_come_in_the_order_of_the_contract(void **state)
{
    struct scene *scene = *state;
    holds(scene,
          "local t, n = {}, 0\n"
          "for i = 1, 500 do t['k' .. (i * 7919) % 500] = i t[(i * 31) % 500 - 250] = i end\n"
          "local last for k in pairs(t) do\n"
          "  if last then\n"
          "    if type(last) == type(k) then assert(last < k)\n"
          "    else assert(type(last) == 'number') end\n"
          "  end\n"
          "  last, n = k, n + 1\n"
          "end assert(n == 1000)\n"
          "local a = {} for k in next, t do a[#a + 1] = k end\n"
          "local i = 0 for k in pairs(t) do i = i + 1 assert(a[i] == k) end assert(i == #a)\n"
          "local m = {} m[2^53] = 1 m[2^53 + 1.0] = 2 m[(1 << 53) + 1] = 3 m[-2^70] = 4\n"
          "local o = {} for _, v in pairs(m) do o[#o + 1] = v end\n"
          "assert(table.concat(o) == '423')");
}

static void sorting_is_stable(void **state)
{
    struct scene *scene = *state;
    holds(scene, "local t = {} for i = 1, 1000 do t[i] = { key = i % 7, at = i } end\n"
                 "table.sort(t, function(a, b) return a.key < b.key end)\n"
                 "for i = 2, #t do local a, b = t[i - 1], t[i]\n"
                 "  assert(a.key < b.key or a.key == b.key and a.at < b.at) end\n"
                 "local s = { 'b', 'a', 'c\\0b', 'c\\0a', '' } table.sort(s)\n"
                 "assert(table.concat(s, ',') == ',a,b,c\\0a,c\\0b')\n"
                 "local n = { 3, 1.5, -2, math.huge, 2^53, (1 << 53) + 1 } table.sort(n)\n"
                 "assert(n[1] == -2 and n[5] == (1 << 53) + 1 and n[6] == math.huge)\n"
                 "local mt = { __lt = function(a, b) return a.v < b.v end }\n"
                 "local o = {} for i = 1, 9 do o[i] = setmetatable({ v = 10 - i }, mt) end\n"
                 "table.sort(o) assert(o[1].v == 1 and o[9].v == 9)");
}

static void classes_work_and_see_later_changes(void **state)
{
    struct scene *scene = *state;
    holds(scene, "local C = {} C.__index = C\n"
                 "function C.new(v) return setmetatable({ v = v }, C) end\n"
                 "function C:get() return self.v end\n"
                 "C.__add = function(a, b) return C.new(a.v + b.v) end\n"
                 "C.__tostring = function(s) return 'C' .. s.v end\n"
                 "C.__eq = function(a, b) return a.v == b.v end\n"
                 "C.__lt = function(a, b) return a.v < b.v end\n"
                 "C.__call = function(s, x) return s.v * x end\n"
                 "C.__len = function() return 99 end\n"
                 "local a = C.new(1)\n"
                 "assert((a + C.new(2)):get() == 3 and tostring(a) == 'C1' and a == C.new(1))\n"
                 "assert(a < C.new(2) and a(5) == 5 and #a == 99 and getmetatable(a) == C)\n"
                 "C.__unm = function(s) return C.new(-s.v) end\n"
                 "local b = C.new(4) assert((-b).v == -4 and (-a).v == -1)\n"
                 "local D = setmetatable({}, { __index = C }) D.__index = D\n"
                 "assert(setmetatable({ v = 8 }, D):get() == 8)\n"
                 "assert(getmetatable(setmetatable(a, nil)) == nil and a.get == nil)");
}

static void time_is_the_markets_and_utc(void **state)
{
    struct scene *scene = *state;
    holds(scene,
          "assert(os.time() == 1704110400 and os.clock() == 1704110400.25)\n"
          "assert(os.date('!%c') == 'Mon Jan  1 12:00:00 2024')\n"
          "assert(os.date('%Y-%m-%d %H:%M:%S %Z %z') == '2024-01-01 12:00:00 UTC +0000')\n"
          "local d = os.date('*t') assert(d.hour == 12 and d.wday == 2 and d.isdst == false)\n"
          "assert(os.time(d) == os.time())\n"
          "assert(os.date('%F', -1) == '1969-12-31' and os.date('%j', 1709251200) == '061')\n"
          "for t = -62135596800, 253402300799, 9999999999 do\n"
          "  local f = os.date('*t', t) assert(os.time(f) == t) end");
}

static void random_numbers_repeat_with_the_seed(void **state)
{
    struct scene *scene = *state;
    static const char text[] = "math.randomseed(os.time()) local t = {}\n"
                               "for i = 1, 10 do t[i] = math.random(1000) end\n"
                               "return table.concat(t, ' ')";
    struct scene other = { .limits = scene->limits };
    open_scene(&other, NULL);
    assert_int_equal(load(scene, text), 0);
    assert_int_equal(load(&other, text), 0);
    assert_string_equal(lua_tostring(scene->L, -1), lua_tostring(other.L, -1));
    sandbox_close(other.sandbox);
}

static void print_goes_to_the_host_in_one_line(void **state)
{
    struct scene *scene = *state;
    holds(scene, "print('a', 1, 2.5, nil, true, 'b\\n\\27[31m')");
    assert_string_equal(scene->printed, "a\t1\t2.5\tnil\ttrue\tb\\n\\x1b[31m");
    holds(scene, "print(('x'):rep(5000))");
    assert_int_equal(strlen(scene->printed), sizeof scene->printed - 1);
}

static void modules_load_once_by_either_spelling(void **state)
{
    struct scene *scene = *state;
    holds(scene, "local m = require('stats/good')\n"
                 "assert(m.name == 'stats/good' and require('stats.good') == m)\n"
                 "local ok, e = pcall(require, 'nowhere') assert(e:find('no lib/nowhere.lua'))");
}

static void strings_do_what_the_manual_says(void **state)
{
    struct scene *scene = *state;
    holds(
        scene,
        "assert(('hello'):find('l') == 3 and ('hello'):find('xyz') == nil)\n"
        "assert(('hello'):find('', 10) == nil and ('hello'):find('', 6) == 6)\n"
        "assert(('a+b'):find('+', 1, true) == 2 and ('hello'):find('l', -2) == 4)\n"
        "assert(('  trim  '):match('^%s*(.-)%s*$') == 'trim')\n"
        "assert(('2024-01-02'):match('(%d+)-(%d+)-(%d+)') == '2024')\n"
        "local a, b, c, d = ('key = value'):find('^(%w+)%s*=%s*(%w+)$')\n"
        "assert(a == 1 and b == 11 and c == 'key' and d == 'value')\n"
        "assert(('f(a(b)c)d'):match('%b()') == '(a(b)c)')\n"
        "assert(('THE (quick) fox'):find('%f[%a]%a+%f[%A]') == 1)\n"
        "assert(('abcabc'):match('(abc)%1') == 'abc' and ('x'):match('()') == 1)\n"
        "assert(('[test]'):match('^%[(.*)%]$') == 'test' and ('a-z'):match('[a%-z]+') == 'a-z')\n"
        "assert(('aXb'):gsub('%u', { X = 'y' }) == 'ayb')\n"
        "assert(('abc'):gsub('%w', function(c) return c ~= 'b' and c:upper() end) == 'AbC')\n"
        "assert(select(2, ('aaa'):gsub('a', 'b', 2)) == 2)\n"
        "assert(('x y z'):gsub('%s+', '') == 'xyz' and ('abc'):gsub('^a', 'x') == 'xbc')\n"
        "local w = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do w[k] = v end\n"
        "assert(w.a == '1' and w.b == '2')\n"
        "assert(('%d items'):format(3) == '3 items' and ('%s'):format(nil) == 'nil')\n"
        "assert(('%q'):format('a\\n\"\\0001') == '\"a\\\\\\n\\\\\"\\\\0001\"')\n"
        "assert(('%g %e %a'):format(0.1, 1, 1) == '0.1 1.000000e+00 0x1p+0')\n"
        "assert(('%-5d|%+d|%05.1f|%.3s|%c'):format(1, 2, 3.25, 'abcdef', 65) == '1    "
        "|+2|003.2|abc|A')\n"
        "assert(tostring(1e15) == '1e+15' and tostring(2^53) == '9.007199254741e+15')\n"
        "assert(tostring(-0.0) == '-0.0' and tostring(1e100) == '1e+100' and 1 .. '' == '1')\n"
        "assert(tostring(0/0) == 'nan' and tostring(-(0/0)) == 'nan')\n"
        "assert('10' + 5 == 15 and '0x10' * 1 == 16 and not pcall(function() return 'a' + 1 end))\n"
        "assert(('Abc'):upper() == 'ABC' and ('Abc'):lower() == 'abc' and ('Abc'):reverse() == "
        "'cbA')\n"
        "assert(string.pack('>I2 s1 z', 258, 'ab', 'c') == '\\1\\2\\2abc\\0')\n"
        "local x, y, z, at = string.unpack('>I2 s1 z', '\\1\\2\\2abc\\0')\n"
        "assert(x == 258 and y == 'ab' and z == 'c' and at == 8)\n"
        "assert(string.packsize('i4 !8 d') == 16 and #string.pack('i16', -1) == 16)\n"
        "assert(string.unpack('i16', string.pack('i16', -5)) == -5)");
}

static void tables_do_what_the_manual_says(void **state)
{
    struct scene *scene = *state;
    holds(
        scene,
        "local t = { 1, 2, 3 } table.insert(t, 4) table.insert(t, 1, 0)\n"
        "assert(table.concat(t, ',') == '0,1,2,3,4' and table.concat(t, ',', 2, 3) == '1,2')\n"
        "assert(table.remove(t) == 4 and table.remove(t, 1) == 0 and #t == 3)\n"
        "assert(table.remove({}) == nil and table.remove({}, 0) == nil)\n"
        "assert(not pcall(table.insert, t, 9, 1) and not pcall(table.insert, t))\n"
        "assert(not pcall(table.remove, t, 9) and table.remove(t, 4) == nil)\n"
        "local p = table.pack(1, nil, 3) assert(p.n == 3 and p[3] == 3)\n"
        "assert(select('#', table.unpack(p, 1, p.n)) == 3)\n"
        "local m = table.move({ 1, 2, 3, 4 }, 2, 4, 1) assert(table.concat(m) == '2344')\n"
        "local ok, v = pcall(error, { code = 5 }) assert(not ok and v.code == 5)\n"
        "local r = { xpcall(function(...) return ... end, print, 1, 2) }\n"
        "assert(r[1] == true and r[3] == 2)\n"
        "assert(select(2, xpcall(error, function(m) return m .. '!' end, 'x')) == 'x!')\n"
        "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 "
        "end)\n"
        "assert(select(2, coroutine.resume(co, 1)) == 2 and coroutine.status(co) == 'suspended')\n"
        "assert(select(2, coroutine.resume(co, 5)) == 10 and coroutine.status(co) == 'dead')");
}

/* ---- budgets ---- */

static void instructions_are_counted_alike_each_time(void **state)
{
    struct scene *scene = *state;
    static const char text[] = "return function(n) for i = 1, n do local _ = i * 2 end end";
    assert_int_equal(load(scene, text), 0);
    uint64_t first = 0;
    for (int i = 0; i < 3; i++) {
        lua_pushvalue(scene->L, -1);
        lua_pushinteger(scene->L, 100000);
        assert_int_equal(sandbox_call(scene->sandbox, 1, 0, BUDGET_CALLBACK, &scene->err), 0);
        uint64_t counted = sandbox_instructions_last(scene->sandbox);
        assert_in_range(counted, 200000, 400000);
        if (i > 0)
            assert_true(counted == first);
        first = counted;
    }
    lua_pushvalue(scene->L, -1);
    lua_pushinteger(scene->L, 10000000);
    assert_int_equal(sandbox_call(scene->sandbox, 1, 0, BUDGET_CALLBACK, &scene->err), ERROR_RANGE);
    assert_string_equal(scene->err.where, "strategies/test.lua:1");
    assert_non_null(strstr(scene->err.message, "1000000 instructions"));

    lua_pushvalue(scene->L, -1);
    lua_pushinteger(scene->L, 10000000); /* loading may take more */
    assert_int_equal(sandbox_call(scene->sandbox, 1, 0, BUDGET_LOAD, &scene->err), 0);
}

static void a_state_without_watchdog_still_ends_by_the_clock(void **state)
{
    struct scene *scene = *state;
    sandbox_close(scene->sandbox);
    scene->limits.instructions = UINT64_MAX / 2;
    open_scene(scene, NULL);
    scene->sandbox->guard_span_ns = 20 * NS_PER_MS;
    assert_int_equal(load(scene, "return function() while true do end end"), 0);
    assert_int_equal(sandbox_call(scene->sandbox, 0, 0, BUDGET_CALLBACK, &scene->err), ERROR_TIME);
}

static void memory_is_capped_and_given_back(void **state)
{
    struct scene *scene = *state;
    size_t before = sandbox_memory(scene->sandbox);
    assert_int_equal(load(scene, "local t = {}\nfor i = 1, 1e9 do t[i] = { i } end"), ERROR_DATA);
    assert_string_equal(scene->err.where, "strategies/test.lua:2");
    assert_non_null(strstr(scene->err.message, "65536 KiB"));
    assert_true(sandbox_memory(scene->sandbox) <= scene->limits.memory);
    lua_gc(scene->L, LUA_GCCOLLECT);
    assert_true(sandbox_memory(scene->sandbox) < before + 20000);
}

static void a_cap_too_small_for_the_libraries_is_said(void **state)
{
    struct scene *scene = *state;
    struct sandbox *small;
    struct sandbox_limits limits = scene->limits;
    for (limits.memory = 0; limits.memory < 20000; limits.memory += 500) {
        struct error err = { 0 };
        assert_int_equal(sandbox_open(&limits, NULL, 1, NULL, &small, &err), ERROR_RANGE);
        assert_null(small);
        assert_non_null(strstr(err.message, "too small"));
    }
}

static void the_slots_of_a_hash_part_are_capped_lists_are_not(void **state)
{
    struct scene *scene = *state;
    holds(scene, "local t = {} for i = 1, 500000 do t[i] = i end");
    holds(scene, "local t = {} for i = 1, 65536 do t['k' .. i] = i end");
    refused(scene, "local t = {} for i = 1, 65537 do t['k' .. i] = i end", "strategies/test.lua:1",
            "65536 keys");
}

static int raise_text(lua_State *L)
{
    return luaL_error(L, "%s", (const char *)lua_touserdata(L, 1));
}

static void protected_c_functions_may_raise(void **state)
{
    struct scene *scene = *state;
    char text[] = "a bad description";
    int top = lua_gettop(scene->L);
    assert_int_equal(sandbox_protect(scene->sandbox, raise_text, text, &scene->err), ERROR_DATA);
    assert_string_equal(scene->err.message, "a bad description");
    assert_int_equal(lua_gettop(scene->L), top);
}

static struct scene *the_scene; /* for C functions called by scripts */

static int call_back(lua_State *L)
{
    struct scene *scene = the_scene;
    struct error err;
    lua_pushboolean(L, sandbox_protect(scene->sandbox, raise_text, (char[]){ "nested" }, &err) < 0);
    return 1;
}

/* The engine's C functions may protect a step of theirs while a script calls them. */
static void calls_from_c_may_nest(void **state)
{
    struct scene *scene = *state;
    the_scene = scene;
    lua_pushcfunction(scene->L, call_back);
    lua_setglobal(scene->L, "call_back");
    holds(scene, "assert(call_back())\n"
                 "assert(coroutine.wrap(function() return call_back() end)())");
    refused(scene, "call_back() error('after')", "strategies/test.lua:1", "after");
}

static void text_of_values_has_no_address(void **state)
{
    struct scene *scene = *state;
    lua_State *L = scene->L;
    lua_newuserdatauv(L, 8, 0);
    lua_pushlightuserdata(L, L);
    sandbox_push_text(L, -2);
    assert_string_equal(lua_tostring(L, -1), "userdata: #1");
    sandbox_push_text(L, -2);
    assert_string_equal(lua_tostring(L, -1), "userdata");
    sandbox_push_text(L, -4);
    assert_string_equal(lua_tostring(L, -1), "userdata: #1");
    lua_pushnumber(L, 3.0);
    sandbox_push_text(L, -1);
    assert_string_equal(lua_tostring(L, -1), "3.0");
}

/* ---- compiling that is not linear in the text ---- */

static void repeat(struct text *text, const char *format, size_t limit)
{
    for (int i = 0; text->length < limit; i++)
        text_printf(text, format, i, i);
}

/* Each of these grows with the square of the text, or nests; each ends, one way or another, and the
 * guard by which it does is the one against slow scripts. */
static void slow_compiles_are_bounded(void **state)
{
    struct scene *scene = *state;
    static const struct {
        const char *before, *repeated, *after;
        size_t limit;
    } texts[] = {
        { "", "a=%d ", "", 1000000 },
        { "", "::l%d:: ", "", 1000000 },
        { "goto z ", "do goto l%d end ", "", 1000000 },
        { "", "if a then b=%d elseif a then ", "", 100000 },
        { "if a then ", "elseif a%d then ", "end", 1000000 },
        { "return a ", "and a%d ", "", 1000000 },
        { "return a ", ".. a%d ", "", 1000000 },
        { "return ", "(", "", 100000 },
        { "return ", "{", "", 100000 },
        { "return ", "-", "1", 100000 },
        { "return ", "function() return ", "", 100000 },
        { "local t = { ", "%d.5, ", "}", 1000000 },
        { "return '", "\\u{10ffff}", "'", 1000000 },
        { "--[==[", "]]", "", 1000000 },
        { "return 0x", "f", "", 1000000 },
        { "", "local a%d ", "", 10000 },
        { "", "while a%d do break end ", "", 1000000 },
        { "return f", "(a)", "", 1000000 },
    };
    scene->sandbox->guard_span_ns = 300 * NS_PER_MS;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct text text;
        text_init(&text, 1 << 20);
        text_add(&text, texts[i].before);
        repeat(&text, texts[i].repeated, texts[i].limit);
        text_add(&text, texts[i].after);
        int code = sandbox_compile(scene->sandbox, "slow.lua", text.data, text.length, &scene->err);
        assert_true(code == 0 || code == ERROR_DATA || code == ERROR_RANGE);
        if (code == 0)
            lua_pop(scene->L, 1);
        text_release(&text);
    }
}

/* Every name is looked up in each of 190 enclosing functions of 190 locals. */
static void names_looked_up_in_many_functions_are_bounded(void **state)
{
    struct scene *scene = *state;
    struct text text;
    text_init(&text, 1 << 20);
    for (int depth = 0; depth < 150; depth++) {
        text_add(&text, "local function f() local x0");
        for (int i = 1; i < 190; i++)
            text_printf(&text, ",x%d", i);
        text_add(&text, " ");
    }
    repeat(&text, "a=a ", 1000000);
    for (int depth = 0; depth < 150; depth++)
        text_add(&text, "end ");
    scene->sandbox->guard_span_ns = 100 * NS_PER_MS;
    int code = sandbox_compile(scene->sandbox, "slow.lua", text.data, text.length, &scene->err);
    assert_true(code == 0 || code == ERROR_DATA || code == ERROR_RANGE);
    text_release(&text);
}

static void functions_with_many_constants_are_found(void **state)
{
    struct scene *scene = *state;
    struct text text;
    int line, constants;
    text_init(&text, 1 << 20);
    text_add(&text, "local a = 'x' .. 1 .. 2.5\nlocal function small() return 1 end\n"
                    "function large()\n local t = {}\n");
    for (int i = 0; i < 300; i++)
        text_printf(&text, " t.key%d = 1\n", i);
    text_add(&text, "end\n");
    assert_int_equal(sandbox_find_constants(scene->sandbox, "c.lua", text.data, text.length, &line,
                                            &constants, &scene->err),
                     0);
    assert_int_equal(line, 3);
    assert_in_range(constants, 300, 310);
    assert_int_equal(sandbox_find_constants(scene->sandbox, "c.lua", "return 1", 8, &line,
                                            &constants, &scene->err),
                     0);
    assert_int_equal(constants, 0);
    assert_int_equal(sandbox_find_constants(scene->sandbox, "c.lua", "return =", 8, &line,
                                            &constants, &scene->err),
                     ERROR_DATA);
    assert_true(sandbox_lua_bugs() <= LUA_BUG_CONSTANTS);
    text_release(&text);
}

/* ---- memory that fails at any moment ---- */

static const char busy[] =
    "local t = {}\n"
    "for i = 1, 40 do t[i] = { ('x'):rep(i), i / 3, k = function() return i end } end\n"
    "table.sort(t, function(a, b) return a[2] > b[2] end)\n"
    "local C = setmetatable({}, { __index = t, __name = 'C', __tostring = function() return 'c' "
    "end })\n"
    "local co = coroutine.wrap(function(...) local n = select('#', ...) coroutine.yield(n) "
    "error('x') end)\n"
    "local out = { co(1, 2), pcall(co), tostring(C), tostring(t) }\n"
    "for k, v in pairs{ a = 1, b = 2, [1] = 3 } do out[#out + 1] = tostring(k) .. v end\n"
    "for w in ('one two three'):gmatch('%a+') do out[#out + 1] = w:upper() end\n"
    "out[#out + 1] = ('abc'):gsub('%w', { a = 'x' }) .. ('%q %5.2f'):format('s', 1.5)\n"
    "out[#out + 1] = string.pack('s4', ('y'):rep(600)) .. os.date() .. next{ z = 1 }\n"
    "pcall(require, 'bad') require('stats/good') print(table.concat({ 1, 2 }, ','))\n"
    "xpcall(error, function(m) return { m } end, 'handled')\n"
    "local big = {} for i = 1, 300 do big['k' .. i] = i end for k in next, big do big[k] = nil "
    "end\n"
    "return function() local s = {} for i = 1, 20 do s[i] = { i .. '' } end return #s end\n";

/* One run with the nth allocation failing; false when none did. */
static bool survives(struct scene *scene, uint64_t fail_at, bool fail_on)
{
    struct sandbox_host host = host_of(scene);
    struct error err = { 0 };
    struct sandbox *sandbox;
    int code =
        sandbox_open_failing(&scene->limits, &host, 1, NULL, fail_at, fail_on, &sandbox, &err);
    if (code < 0) {
        assert_int_equal(code, ERROR_RANGE);
        assert_null(sandbox);
        return true;
    }
    code = sandbox_load(sandbox, "busy.lua", busy, strlen(busy), &err);
    if (code == 0)
        code = sandbox_call(sandbox, 0, 1, BUDGET_CALLBACK, &err);
    assert_true(code == 0 || code == ERROR_DATA || code == ERROR_RANGE);
    bool failed = sandbox->memory.count >= fail_at;
    sandbox_close(sandbox); /* asserts that nothing is left */
    return failed;
}

static void any_allocation_may_fail(void **state)
{
    struct scene *scene = *state;
    uint64_t at = 1;
    while (survives(scene, at, true))
        at++;
    assert_true(at > 500); /* else the script above tests little */
}

/* A refused allocation is asked for again after a full collection: what the collector must not find
 * half made is found here. */
static void a_collection_may_come_at_any_allocation(void **state)
{
    struct scene *scene = *state;
    uint64_t at = 1;
    while (survives(scene, at, false))
        at++;
    assert_true(at > 500);
}

/* ---- the watchdog ---- */

static struct watchdog *open_watchdog(int64_t hard_ns, int fd)
{
    struct watchdog_options options = { .hard_ns = hard_ns, .quarantine_fd = fd, .kill_factor = 5 };
    struct watchdog *watchdog;
    struct error err;
    if (watchdog_open(&options, &watchdog, &err) < 0)
        abort();
    return watchdog;
}

static void time_stops_a_callback_and_the_state_goes_on(void **state)
{
    struct scene *scene = *state;
    struct watchdog *watchdog = open_watchdog(20 * NS_PER_MS, -1);
    struct watchdog *second;
    struct watchdog_options options = { .hard_ns = NS_PER_SECOND, .quarantine_fd = -1 };
    assert_int_equal(watchdog_open(&options, &second, &scene->err), ERROR_INTERNAL);

    sandbox_close(scene->sandbox);
    scene->limits.callback_hard_ns = 20 * NS_PER_MS;
    scene->limits.callback_soft_ns = 1;
    open_scene(scene, watchdog);
    assert_int_equal(load(scene, "return { loop = function() while true do end end,\n"
                                 "one = function() return 1 end }"),
                     0);
    for (int i = 0; i < 5; i++) {
        lua_getfield(scene->L, -1, "loop");
        assert_int_equal(sandbox_call(scene->sandbox, 0, 0, BUDGET_CALLBACK, &scene->err),
                         ERROR_TIME);
        assert_string_equal(scene->err.where, "strategies/test.lua:1");
        assert_non_null(strstr(scene->err.message, "20 ms"));
        assert_true(scene->slow_ns > 0);
        assert_true(sandbox_instructions_last(scene->sandbox) == 0);
        for (int n = 0; n < 100; n++) {
            lua_getfield(scene->L, -1, "one");
            assert_int_equal(sandbox_call(scene->sandbox, 0, 1, BUDGET_CALLBACK, &scene->err), 0);
            assert_int_equal(lua_tointeger(scene->L, -1), 1);
            lua_pop(scene->L, 1);
        }
    }
    sandbox_close(scene->sandbox);
    watchdog_close(watchdog);
    watchdog_close(open_watchdog(NS_PER_SECOND, -1)); /* another may follow */
    open_scene(scene, NULL);
}

static int spin(lua_State *L)
{
    (void)L;
    for (volatile int always = 1; always;)
        ;
    return 0;
}

/* The child: a C function of ours that has no bound, which is what the watchdog is for. */
NORETURN static void hang(int fd)
{
    struct watchdog *watchdog = open_watchdog(10 * NS_PER_MS, fd);
    struct sandbox_limits limits;
    struct sandbox *sandbox;
    struct error err;
    sandbox_limits_init(&limits);
    if (sandbox_open(&limits, NULL, 1, watchdog, &sandbox, &err) < 0)
        _exit(1);
    const struct watchdog_subject ignored = { "ignored", "ignored", "ignored", 1 };
    const struct watchdog_subject subject = { "0123abcd", "mo\"men\\tum\n", "BTC/USDT", 7 };
    watchdog_describe(watchdog, &ignored);
    watchdog_describe(watchdog, &subject);
    watchdog_set_event(watchdog, 1234567890123);
    if (!freopen("/dev/null", "w", stderr))
        _exit(2);
    lua_pushcfunction(sandbox_lua(sandbox), spin);
    int code = sandbox_call(sandbox, 0, 0, BUDGET_CALLBACK, &err);
    _exit(code < 0 ? 3 : 4);
}

static void what_never_returns_ends_the_process_and_is_recorded(void **state)
{
    (void)state;
    char path[] = "/tmp/sandbox_test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    pid_t child = fork();
    if (child == 0)
        hang(fd);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 70);

    char record[512] = "";
    ssize_t length = pread(fd, record, sizeof record - 1, 0);
    assert_true(length > 0);
    assert_string_equal(record, "{\"source_hash\":\"0123abcd\",\"strategy\":\"mo\\\"men\\\\tum \","
                                "\"symbol\":\"BTC/USDT\",\"instance_id\":7,"
                                "\"event\":1234567890123}\n");
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_result_of_a_chunk_is_left_on_the_stack),
        TEST(a_file_that_is_no_text_is_refused_with_its_line),
        TEST(a_first_line_for_the_shell_and_a_mark_are_skipped),
        TEST(errors_name_the_line_of_the_script),
        TEST(errors_say_who_called),
        TEST(a_long_path_is_named_whole),
        TEST(globals_are_declared_while_the_file_loads),
        TEST(read_only_tables_read_like_tables),
        TEST(table_functions_write_to_proxies_through_their_metamethod),
        TEST(keys_come_in_the_order_of_the_contract),
        TEST(sorting_is_stable),
        TEST(classes_work_and_see_later_changes),
        TEST(time_is_the_markets_and_utc),
        TEST(random_numbers_repeat_with_the_seed),
        TEST(print_goes_to_the_host_in_one_line),
        TEST(modules_load_once_by_either_spelling),
        TEST(strings_do_what_the_manual_says),
        TEST(tables_do_what_the_manual_says),
        TEST(instructions_are_counted_alike_each_time),
        TEST(a_state_without_watchdog_still_ends_by_the_clock),
        TEST(memory_is_capped_and_given_back),
        TEST(a_cap_too_small_for_the_libraries_is_said),
        TEST(the_slots_of_a_hash_part_are_capped_lists_are_not),
        TEST(protected_c_functions_may_raise),
        TEST(calls_from_c_may_nest),
        TEST(text_of_values_has_no_address),
        TEST(slow_compiles_are_bounded),
        TEST(names_looked_up_in_many_functions_are_bounded),
        TEST(functions_with_many_constants_are_found),
        TEST(any_allocation_may_fail),
        TEST(a_collection_may_come_at_any_allocation),
        TEST(time_stops_a_callback_and_the_state_goes_on),
        TEST(what_never_returns_ends_the_process_and_is_recorded),
    };
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
