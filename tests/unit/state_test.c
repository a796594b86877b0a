/* state_test.c - ctx.state: what it keeps, what it refuses, and that it can be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bindings/sandbox_internal.h"
#include "bindings/script.h"

struct bench {
    struct sandbox *sandbox;
    struct state state;
    struct text text;
    struct error err;
};

static int open_state(lua_State *L)
{
    struct bench *bench = lua_touserdata(L, 1);
    state_open(L, &bench->state);
    state_push(L, &bench->state);
    lua_setglobal(L, "state");
    return 0;
}

static struct bench *bench_open(void)
{
    struct bench *bench = memory_new(sizeof(*bench));
    struct sandbox_limits limits;
    sandbox_limits_init(&limits);
    assert_int_equal(sandbox_open(&limits, NULL, 1, NULL, &bench->sandbox, &bench->err), 0);
    assert_int_equal(sandbox_protect(bench->sandbox, open_state, bench, &bench->err), 0);
    text_init(&bench->text, (size_t)8 << 20);
    return bench;
}

static void bench_close(struct bench *bench)
{
    sandbox_close(bench->sandbox);
    state_close(&bench->state);
    text_release(&bench->text);
    free(bench);
}

/* Runs a chunk as a callback would run, its transaction included. */
static int run(struct bench *bench, const char *chunk)
{
    bench->err = (struct error){ 0 };
    int code = sandbox_load(bench->sandbox, "test.lua", chunk, strlen(chunk), &bench->err);
    if (code < 0) {
        state_rollback(bench->sandbox, &bench->state);
        return code;
    }
    lua_pop(sandbox_lua(bench->sandbox), 1);
    state_commit(sandbox_lua(bench->sandbox), &bench->state);
    return 0;
}

static void run_well(struct bench *bench, const char *chunk)
{
    if (run(bench, chunk) < 0)
        fail_msg("%s: %s", bench->err.where, bench->err.message);
}

static const char *written(struct bench *bench)
{
    text_clear(&bench->text);
    assert_int_equal(state_write(bench->sandbox, &bench->state, &bench->text, &bench->err), 0);
    return bench->text.data;
}

static void assert_fails(struct bench *bench, const char *chunk, const char *part)
{
    char *before = strdup(written(bench));
    assert_true(run(bench, chunk) < 0);
    if (!strstr(bench->err.message, part))
        fail_msg("'%s' does not contain '%s'", bench->err.message, part);
    assert_string_equal(written(bench), before);
    free(before);
}

/* ---- what is kept ---- */

static void values_are_written_in_one_canonical_way(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    assert_string_equal(written(bench), "{}");
    run_well(bench, "state.b = 1; state.a = 1.0; state.t = {true, 'x', {}}; state.c = 0.1");
    assert_string_equal(written(bench), "{\"a\":1.0,\"b\":1,\"c\":0.1,\"t\":[true,\"x\",{}]}");
    run_well(bench, "state.t[2] = nil; state.c = nil; state.a = -0.0; state.b = 1e100");
    assert_string_equal(written(bench), "{\"a\":-0.0,\"b\":1e+100,\"t\":{\"$keys\":[1,3],"
                                        "\"$values\":[true,{}]}}");
    bench_close(bench);
}

/* A restart reads what was written: every value must come back the same, bit for bit. */
static void what_was_written_reads_back_exactly(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(
        bench,
        "local s = state\n"
        "s.numbers = { 1, 1.0, -0.0, 0.1, 1/3, 1e308, 5e-324, math.huge, -math.huge,\n"
        "              math.maxinteger, math.mininteger, 2^53, 123456789012345678 }\n"
        "s.strings = { '', 'a\"b\\\\c\\n\\t\\0d', '\\xff\\xfe', 'gr\\u{fc}n \\u{1F600}', '\\u{7f}' "
        "}\n"
        "s.keys = { [1.5] = 'float', [-3] = 'negative', ['x'] = 1, [true] = 't', [false] = 'f',\n"
        "           ['\\xff'] = 'raw' }\n"
        "s['$keys'] = { ['$keys'] = 1, ['$bytes'] = 2 }\n"
        "s.nested = { { { { x = { 1, 2, { y = false } } } } } }\n"
        "s.sparse = { [1] = 1, [3] = 3 }\n"
        "s.empty = {}\n");
    char *first = strdup(written(bench));

    struct bench *other = bench_open();
    assert_int_equal(state_parse(other->sandbox, &other->state, first, &other->err), 0);
    assert_false(other->state.dirty);
    assert_string_equal(written(other), first);
    run_well(other,
             "local s = state\n"
             "assert(math.type(s.numbers[1]) == 'integer' and math.type(s.numbers[2]) == 'float')\n"
             "assert(1 / s.numbers[3] == -math.huge and s.numbers[4] == 0.1)\n"
             "assert(s.numbers[5] == 1/3 and s.numbers[6] == 1e308 and s.numbers[7] == 5e-324)\n"
             "assert(s.numbers[8] == math.huge and s.numbers[9] == -math.huge)\n"
             "assert(s.numbers[10] == math.maxinteger and s.numbers[11] == math.mininteger)\n"
             "assert(s.strings[2] == 'a\"b\\\\c\\n\\t\\0d' and s.strings[3] == '\\xff\\xfe')\n"
             "assert(s.keys[1.5] == 'float' and s.keys[true] == 't' and s.keys['\\xff'] == 'raw')\n"
             "assert(s['$keys']['$keys'] == 1 and s.nested[1][1][1].x[3].y == false)\n"
             "assert(s.sparse[3] == 3 and s.sparse[2] == nil)\n");
    free(first);
    bench_close(other);
    bench_close(bench);
}

/* The order in which keys were made is not visible, so equal runs write equal bytes. */
static void the_order_of_keys_does_not_depend_on_history(void **state)
{
    (void)state;
    struct bench *a = bench_open(), *b = bench_open();
    run_well(a, "for i = 1, 200 do state['k' .. i] = i end");
    run_well(b, "for i = 200, 1, -1 do state['k' .. i] = i; state['z' .. i] = i end\n"
                "for i = 1, 200 do state['z' .. i] = nil end");
    char *first = strdup(written(a));
    assert_string_equal(written(b), first);
    free(first);
    bench_close(a);
    bench_close(b);
}

static void library_functions_see_through_it(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.list = { 3, 1, 2 }\n"
                    "local l = state.list\n"
                    "table.insert(l, 5); table.insert(l, 1, 9)\n"
                    "assert(#l == 5 and l[1] == 9 and l[5] == 5)\n"
                    "assert(table.remove(l, 1) == 9 and #l == 4)\n"
                    "table.sort(l)\n"
                    "assert(table.concat(l, ',') == '1,2,3,5')\n"
                    "local sum = 0\n"
                    "for _, v in ipairs(l) do sum = sum + v end\n"
                    "for _, v in pairs(l) do sum = sum + v end\n"
                    "assert(sum == 22)\n"
                    "local a, b = table.unpack(l)\n"
                    "assert(a == 1 and b == 2 and next(state) == 'list' and rawlen(l) == 4)\n"
                    "state.map = { b = 2, a = 1 }\n"
                    "local keys = {}\n"
                    "for k in pairs(state.map) do keys[#keys + 1] = k end\n"
                    "assert(table.concat(keys) == 'ab')\n"
                    "for k in pairs(state.map) do state.map[k] = nil end\n"
                    "assert(next(state.map) == nil)\n");
    assert_string_equal(written(bench), "{\"list\":[1,2,3,5],\"map\":{}}");
    bench_close(bench);
}

static void what_is_assigned_is_copied(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "local t = { x = 1, inner = { y = 2 } }\n"
                    "state.a = t; state.b = t; state.c = state.a\n"
                    "t.x = 9; state.a.inner.y = 3\n"
                    "assert(state.a ~= state.b and state.a == state.a)\n");
    assert_string_equal(written(bench), "{\"a\":{\"inner\":{\"y\":3},\"x\":1},"
                                        "\"b\":{\"inner\":{\"y\":2},\"x\":1},"
                                        "\"c\":{\"inner\":{\"y\":2},\"x\":1}}");
    bench_close(bench);
}

/* ---- what is refused ---- */

static void what_cannot_be_written_is_refused_at_once(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.x = { 1 }");
    assert_fails(bench, "state.n = 0/0", "'n' is not a number");
    assert_fails(bench, "state.x[2] = 0/0", "[2] is not a number");
    assert_fails(bench, "state.f = print", "'f' holds a function");
    assert_fails(bench, "state.f = { { print } }", "'f' holds a function");
    assert_fails(bench, "state.c = coroutine.create(function() end)", "'c' holds a thread");
    assert_fails(bench, "state.m = setmetatable({}, {})", "metatable");
    assert_fails(bench, "state[{}] = 1", "a key must be");
    assert_fails(bench, "state.t = { [print] = 1 }", "a key must be");
    assert_fails(bench, "state[0/0] = 1", "nan");
    assert_fails(bench, "state[nil] = 1", "not nil");
    assert_fails(bench, "local t = {}; t.t = t; state.t = t", "deeper than 16");
    assert_fails(bench, "state.s = string.rep('x', 65537)", "65536 bytes");
    assert_fails(bench, "state.k = { [string.rep('x', 65537)] = 1 }", "65536 bytes");
    assert_fails(bench, "rawset(state, 'x', print)", "");
    assert_fails(bench, "setmetatable(state, {})", "");
    assert_string_equal(written(bench), "{\"x\":[1]}");
    bench_close(bench);
}

static void errors_name_the_line_of_the_script(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    assert_true(run(bench, "local x = 1\nlocal y = 2\nstate.n = 0/0\n") < 0);
    assert_string_equal(bench->err.where, "test.lua:3");
    bench_close(bench);
}

static void it_is_16_tables_deep_and_no_deeper(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "local t = {}\nfor i = 1, 14 do t = { t } end\nstate.t = t");
    assert_fails(bench, "local t = {}\nfor i = 1, 15 do t = { t } end\nstate.t = t", "deeper");
    assert_fails(bench, "local t = state.t\nwhile #t > 0 do t = t[1] end\nt[1] = {}", "deeper");
    bench_close(bench);
}

/* A doubling of tables would take for ever if its size were looked at only at the end. */
static void its_size_is_bounded_while_it_is_copied(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    assert_fails(bench,
                 "local t = { 1 }\n"
                 "for i = 1, 13 do local u = {} for k = 1, 9 do u[k] = t end t = u end\n"
                 "state.t = t",
                 "1 MiB");
    assert_fails(bench, "for i = 1, 20 do state[i] = string.rep('x', 65000) end", "1 MiB");
    run_well(bench, "for i = 1, 1000 do state.s = string.rep('x', 65000) end"); /* replaced: one */
    run_well(bench, "for i = 1, 15 do state[i] = string.rep('x', 65000) end state.s = nil");
    assert_fails(bench, "state.a = { 1, string.rep('x', 65000), string.rep('x', 65000) }", "1 MiB");
    run_well(bench, "for i = 1, 15 do state[i] = nil end");
    assert_string_equal(written(bench), "{}");
    assert_int_equal(bench->state.size, 16);
    bench_close(bench);
}

/* A write that would be lost is told. */
static void a_table_that_was_taken_out_cannot_be_written(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.q = { { n = 1 }, { n = 2 } }");
    assert_fails(bench, "local first = table.remove(state.q, 1)\nassert(first.n == 1)\nfirst.n = 5",
                 "taken out of ctx.state");
    assert_fails(bench, "local q = state.q\nlocal inner = q[1]\nstate.q = nil\ninner.n = 5",
                 "taken out of ctx.state");
    run_well(bench, "local first = table.remove(state.q, 1)\nstate.q[#state.q + 1] = first\n"
                    "state.q[2].n = 7\nassert(#state.q == 2)");
    assert_string_equal(written(bench), "{\"q\":[{\"n\":2},{\"n\":7}]}");
    bench_close(bench);
}

/* ---- taking back ---- */

static void a_failed_callback_leaves_no_trace(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.a = 1; state.t = { x = 1, list = { 1, 2, 3 } }; state.gone = 'no'");
    bench->state.dirty = false;
    assert_fails(bench,
                 "state.a = 2; state.a = 3; state.new = 1; state.gone = nil\n"
                 "state.t.x = 5; state.t.list[4] = 4; table.remove(state.t.list, 1)\n"
                 "local t = state.t; state.t = { other = true }; state.t.other = false\n"
                 "state.t = nil; state[1] = 1; error('stop')",
                 "stop");
    assert_false(bench->state.dirty);
    assert_string_equal(written(bench),
                        "{\"a\":1,\"gone\":\"no\",\"t\":{\"list\":[1,2,3],\"x\":1}}");
    bench_close(bench);
}

/* The log of changes stays small whatever a callback does. */
static void many_changes_of_few_keys_are_taken_back(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.n = 0; state.t = { 0, 0, 0 }");
    assert_fails(
        bench,
        "for i = 1, 20000 do state.n = i; state.t[i % 3 + 1] = i; state['k' .. i % 50] = i end\n"
        "error('stop')",
        "stop");
    assert_string_equal(written(bench), "{\"n\":0,\"t\":[0,0,0]}");
    run_well(bench, "for i = 1, 20000 do state.n = i end");
    assert_string_equal(written(bench), "{\"n\":20000,\"t\":[0,0,0]}");
    assert_int_equal(bench->state.undo_count, 0);
    bench_close(bench);
}

static void dirty_means_changed(void **state)
{
    (void)state;
    struct bench *bench = bench_open();
    run_well(bench, "state.a = 1; state.t = {}");
    bench->state.dirty = false;
    run_well(bench, "state.a = 1; state.b = nil; state.t = state.t; local x = state.a");
    assert_false(bench->state.dirty);
    run_well(bench, "state.a = 1.0");
    assert_true(bench->state.dirty);
    bench_close(bench);
}

/* Memory may end at any allocation: the state is then as it was, or is never written again. */
static void running_out_of_memory_tears_nothing(void **state)
{
    (void)state;
    struct sandbox_limits limits;
    sandbox_limits_init(&limits);
    static const char chunk[] = "for i = 1, 40 do state[i] = { x = i, s = ('y'):rep(i) } end\n"
                                "state.t = { { 1, 2 }, { 3 } }; state.t[1][3] = 3";
    static const char stored[] = "{\"t\":[1,2]}";
    int failed = 0;
    for (uint64_t n = 1; n < 4000; n += 7) {
        struct bench bench = { 0 };
        if (sandbox_open_failing(&limits, NULL, 1, NULL, n, n % 2 == 0, &bench.sandbox,
                                 &bench.err) < 0)
            continue;
        text_init(&bench.text, (size_t)8 << 20);
        if (sandbox_protect(bench.sandbox, open_state, &bench, &bench.err) == 0 &&
            state_parse(bench.sandbox, &bench.state, stored, &bench.err) == 0) {
            int code = run(&bench, chunk);
            failed += code < 0;
            if (code < 0 && !bench.state.lost &&
                state_write(bench.sandbox, &bench.state, &bench.text, &bench.err) == 0)
                assert_string_equal(bench.text.data, stored);
        }
        sandbox_close(bench.sandbox);
        state_close(&bench.state);
        text_release(&bench.text);
    }
    assert_true(failed > 10);
}

/* ---- reading ---- */

static void damaged_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "{",
                                         "[1,",
                                         "1",
                                         "\"x\"",
                                         "{\"a\":null}",
                                         "{\"$keys\":[1],\"$values\":[]}",
                                         "{\"$bytes\":\"zz\"}" };
    struct bench *bench = bench_open();
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        bench->err = (struct error){ 0 };
        if (state_parse(bench->sandbox, &bench->state, texts[i], &bench->err) == 0)
            fail_msg("'%s' was taken", texts[i]);
        assert_non_null(strstr(bench->err.message, "read a stored ctx.state"));
    }
    bench_close(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_in_one_canonical_way),
        cmocka_unit_test(what_was_written_reads_back_exactly),
        cmocka_unit_test(the_order_of_keys_does_not_depend_on_history),
        cmocka_unit_test(library_functions_see_through_it),
        cmocka_unit_test(what_is_assigned_is_copied),
        cmocka_unit_test(what_cannot_be_written_is_refused_at_once),
        cmocka_unit_test(errors_name_the_line_of_the_script),
        cmocka_unit_test(it_is_16_tables_deep_and_no_deeper),
        cmocka_unit_test(its_size_is_bounded_while_it_is_copied),
        cmocka_unit_test(a_table_that_was_taken_out_cannot_be_written),
        cmocka_unit_test(a_failed_callback_leaves_no_trace),
        cmocka_unit_test(many_changes_of_few_keys_are_taken_back),
        cmocka_unit_test(dirty_means_changed),
        cmocka_unit_test(running_out_of_memory_tears_nothing),
        cmocka_unit_test(damaged_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
