/* api_docs_test.c - every name that is bound for scripts has its completion stub in docs/api. */
#include "tests/unit/bindings_fixture.h"

static char *stubs(const char *file)
{
    char path[128], *bytes;
    size_t length;
    struct error err = { 0 };
    snprintf(path, sizeof(path), "docs/api/%s.lua", file);
    if (text_read_file(path, (size_t)1 << 20, &bytes, &length, &err) < 0)
        fail_msg("%s (run from the root of the tree)", err.message);
    return bytes;
}

static void assert_functions(const char *text, const char *owner, const luaL_Reg *list)
{
    for (; list->name; list++) {
        char stub[96];
        snprintf(stub, sizeof(stub), "\nfunction %s%s(", owner, list->name);
        if (!strstr(text, stub))
            fail_msg("docs/api lacks: function %s%s(...)", owner, list->name);
    }
}

/* Each name is a field of the class, or a method of the table that stands for it. */
static void assert_fields(const char *text, const char *class, const char *methods,
                          const char *const *names)
{
    char head[64];
    snprintf(head, sizeof(head), "\n---@class runtime.%s\n", class);
    const char *begin = strstr(text, head);
    if (!begin) {
        fail_msg("docs/api lacks: ---@class runtime.%s", class);
        return;
    }
    const char *end = strstr(begin + 1, "\n---@class ");
    size_t length = end ? (size_t)(end - begin) + 1 : strlen(begin);
    for (; *names; names++) {
        char field[96], optional[96], method[96];
        snprintf(field, sizeof(field), "\n---@field %s ", *names);
        snprintf(optional, sizeof(optional), "\n---@field %s? ", *names);
        snprintf(method, sizeof(method), "\nfunction %s:%s(", methods, *names);
        if (!memmem(begin, length, field, strlen(field)) &&
            !memmem(begin, length, optional, strlen(optional)) && !strstr(text, method))
            fail_msg("docs/api lacks field '%s' of runtime.%s", *names, class);
    }
}

static void every_function_has_a_stub(void **state)
{
    (void)state;
    luaL_Reg indicators[INDICATOR_KINDS + 1] = { { NULL, NULL } };
    for (int kind = 0; kind < INDICATOR_KINDS; kind++)
        indicators[kind].name = indicator_info((enum indicator_kind)kind)->name;

    char *ctx = stubs("ctx"), *orders = stubs("orders"), *series = stubs("series");
    char *ta = stubs("ta"), *statistics = stubs("stats");
    assert_functions(ctx, "ctx:", ctx_functions);
    assert_functions(orders, "ctx:", order_functions);
    assert_functions(statistics, "stats.", stats_functions);
    assert_functions(ta, "ta.", indicators);
    assert_functions(series, "bars:", indicators);
    free(ctx);
    free(orders);
    free(series);
    free(ta);
    free(statistics);
}

static void every_field_has_a_stub(void **state)
{
    (void)state;
    char *ctx = stubs("ctx"), *orders = stubs("orders"), *events = stubs("events");
    char *series = stubs("series"), *strategy = stubs("strategy");
    assert_fields(ctx, "ctx", "ctx", ctx_fields);
    assert_fields(orders, "order", "order", order_fields);
    assert_fields(orders, "options", "options", order_options);
    assert_fields(events, "tick", "tick", tick_fields);
    assert_fields(events, "quote", "quote", quote_fields);
    assert_fields(events, "bar", "bar", bar_fields);
    assert_fields(events, "fill", "fill", fill_fields);
    assert_fields(events, "verdict", "verdict", verdict_fields);
    assert_fields(events, "difference", "difference", difference_fields);
    assert_fields(events, "position", "position", position_fields);
    assert_fields(series, "series", "series", series_fields);
    assert_fields(series, "bars", "bars", bars_fields);
    assert_fields(strategy, "strategy", "S", strategy_fields);
    assert_fields(strategy, "strategy", "S", callback_names);
    assert_fields(strategy, "param", "param", param_fields);
    free(ctx);
    free(orders);
    free(events);
    free(series);
    free(strategy);
}

/* Stubs are Lua that compiles, or editors show nothing. */
static void every_stub_compiles(void **state)
{
    (void)state;
    static const char *const files[] = { "ctx",   "events",   "orders", "series",
                                         "stats", "strategy", "ta" };
    lua_State *L = luaL_newstate();
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char *text = stubs(files[i]);
        if (luaL_loadbufferx(L, text, strlen(text), files[i], "t") != LUA_OK)
            fail_msg("%s", lua_tostring(L, -1));
        assert_int_equal(strncmp(text, "---@meta\n", 9), 0);
        free(text);
    }
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_has_a_stub),
        cmocka_unit_test(every_field_has_a_stub),
        cmocka_unit_test(every_stub_compiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
