/* describe_test.c - strategy files: reading them, describing them, their params. */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/bindings_fixture.h"

static struct sandbox_limits limits(void)
{
    struct sandbox_limits limits;
    sandbox_limits_init(&limits);
    return limits;
}

static int describe(const char *text, struct strategy_info *info, struct error *err)
{
    struct sandbox_limits bounds = limits();
    struct source source = source_of(text);
    int code = strategy_describe(&source, &bounds, info, err);
    source_release(&source);
    return code;
}

static struct strategy_info info_of(const char *text)
{
    static struct strategy_info info;
    struct error err = { 0 };
    if (describe(text, &info, &err) < 0)
        fail_msg("%s: %s", err.where, err.message);
    return info;
}

/* ---- describing ---- */

static void every_field_is_read(void **state)
{
    (void)state;
    struct strategy_info info = info_of(
        "local S = { api = 1, name = 'trend', version = '1.2.0', author = 'A', license = 'MIT',\n"
        "  about = 'goes\\nwith the trend', scope = 'portfolio', symbols = { 'BTC/USDT', "
        "'ETH/USDT' } }\n"
        "S.params = { fast = { 12, min = 2, max = 100, step = 2, help = 'bars' },\n"
        "  tf = { '1m', choices = { '1m', '1h' } }, risk = { 0.5, live = true }, on = { true } }\n"
        "S.needs = { warmup = false }\n"
        "S.limits = { max_order_size_usd = 250.5, max_open_positions = 2, max_daily_loss = '10' }\n"
        "function S.check(p) end\nfunction S.migrate(state, old) end\n"
        "function S.on_start(ctx, p) end\nfunction S.on_bar(ctx, bar, p) end\n"
        "return S");
    assert_string_equal(info.name, "trend");
    assert_string_equal(info.version, "1.2.0");
    assert_string_equal(info.author, "A");
    assert_string_equal(info.license, "MIT");
    assert_true(info.portfolio);
    assert_false(info.warmup);
    assert_int_equal(info.symbol_count, 2);
    assert_string_equal(info.symbols[1], "ETH/USDT");
    assert_true(info.has_check && info.has_migrate);
    assert_int_equal(info.calls, 1u << GUEST_START | 1u << GUEST_BAR);
    assert_int_equal(decimal_cmp(info.limits.value[LIMIT_ORDER_SIZE], decimal_text("250.5")), 0);
    assert_int_equal(decimal_cmp(info.limits.value[LIMIT_DAILY_LOSS], decimal_int(10)), 0);
    assert_int_equal(decimal_cmp(info.limits.value[LIMIT_OPEN_POSITIONS], decimal_int(2)), 0);
    assert_false(decimal_valid(info.limits.value[LIMIT_POSITION_SIZE]));
    assert_string_equal(info.notes, "");
    assert_true(info.memory > 0);

    assert_int_equal(info.param_count, 4); /* by name: a table has no order */
    const struct param_spec *fast = &info.params[0];
    assert_string_equal(fast->name, "fast");
    assert_int_equal(fast->value.kind, PARAM_INTEGER);
    assert_int_equal(fast->value.integer, 12);
    assert_true(fast->min == 2 && fast->max == 100 && fast->step == 2);
    assert_string_equal(fast->help, "bars");
    assert_int_equal(info.params[1].value.kind, PARAM_BOOL);
    assert_int_equal(info.params[2].value.kind, PARAM_NUMBER);
    assert_true(info.params[2].live && isnan(info.params[2].min));
    assert_int_equal(info.params[3].choice_count, 2);
    assert_string_equal(info.params[3].choices[1].string, "1h");
}

static void little_is_enough(void **state)
{
    (void)state;
    struct strategy_info info = info_of("return { api = 1, on_tick = function() end }");
    assert_string_equal(info.name, "test"); /* the file's */
    assert_true(info.warmup);
    assert_false(info.portfolio);
    assert_int_equal(info.param_count, 0);
}

/* A whole default among fractions: { 2, min = 0.5 } is meant to take 2.5. */
static void fractions_make_a_param_a_number(void **state)
{
    (void)state;
    struct strategy_info info =
        info_of("return { api = 1, params = { a = { 2, min = 0.5 },\n"
                " b = { 2, choices = { 1, 1.5, 2 } }, c = { 2, max = 4 } } }");
    assert_int_equal(info.params[0].value.kind, PARAM_NUMBER);
    assert_int_equal(info.params[1].value.kind, PARAM_NUMBER);
    assert_int_equal(info.params[2].value.kind, PARAM_INTEGER);
}

static void what_does_nothing_yet_is_noted(void **state)
{
    (void)state;
    struct strategy_info info = info_of("return { api = 1, on_book = function() end,\n"
                                        " on_bar = function() end, needs = { book = 10 } }");
    assert_contains(info.notes, "on_book: never called in this version\n");
    assert_contains(info.notes, "needs.book");
    assert_contains(info.notes, "on_bar: no bars without an on_start");
}

/* Helpers on the table let specs reach them. */
static void a_helper_function_may_stand_in_the_table(void **state)
{
    (void)state;
    info_of("local S = { api = 1 }\nfunction S.weight(x) return x end\nreturn S");
}

static void faults_name_field_value_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        { "return 1", "returns its table; this one returns number" },
        { "local S = {}", "returns its table" },
        { "return { name = 'x' }", "api is missing; write: api = 1" },
        { "return { api = 2 }", "api is 2; allowed: 1" },
        { "return { api = '1' }", "api is '1'" },
        { "return { api = 1, name = 'a b' }", "name is 'a b'; allowed: letters" },
        { "return { api = 1, name = 5 }", "name is 5; allowed: a text" },
        { "return { api = 1, version = {} }", "version is a table" },
        { "return { api = 1, scope = 'all' }", "scope is 'all'; allowed: 'symbol'" },
        { "return { api = 1, symbols = 'BTC' }", "symbols is 'BTC'" },
        { "return { api = 1, symbols = {} }", "symbols is empty" },
        { "return { api = 1, symbols = { 'A', 5 } }", "symbols[2] is 5" },
        { "return { api = 1, symbols = { 'A', 'A' } }", "names 'A' again" },
        { "return { api = 1, parms = {} }", "there is no field 'parms'; did you mean 'params'?" },
        { "return { api = 1, foo = 1 }", "there is no field 'foo'; keep values of your own" },
        { "return { api = 1, 5 }", "a value without a name at [1]" },
        { "return { api = 1, on_tik = function() end }",
          "no callback 'on_tik'; did you mean 'on_tick'?" },
        { "return { api = 1, on_weather = function() end }", "no callback 'on_weather'" },
        { "return { api = 1, on_tick = 5 }", "on_tick is 5; allowed: a function" },
        { "return { api = 1, check = true }", "check is true" },
        { "return { api = 1, params = { a = 12 } }", "params.a is 12; allowed: a table such as" },
        { "return { api = 1, params = { a = {} } }", "params.a has no default" },
        { "return { api = 1, params = { a = { 1, mim = 2 } } }",
          "no field 'mim'; did you mean 'min'?" },
        { "return { api = 1, params = { a = { 1, 2 } } }", "without a name at [2]" },
        { "return { api = 1, params = { a = { 1, min = 2 } } }", "a = 1 is below its min 2" },
        { "return { api = 1, params = { a = { 1, min = 5, max = 2 } } }", "min 5 is above max 2" },
        { "return { api = 1, params = { a = { 1, step = 0 } } }", "params.a.step is 0" },
        { "return { api = 1, params = { a = { 'x', min = 2 } } }", "is for numbers" },
        { "return { api = 1, params = { a = { 'x', choices = { 'y' } } } }",
          "not one of its choices: y" },
        { "return { api = 1, params = { a = { 1, choices = { 'y' } } } }",
          "values of the default's type" },
        { "return { api = 1, params = { a = { 1, choices = {} } } }", "has 0 values" },
        { "return { api = 1, params = { ['a b'] = { 1 } } }", "params has a name 'a b'" },
        { "return { api = 1, params = { [1] = { 1 } } }", "params has a name 1" },
        { "return { api = 1, params = { a = { 0/0 } } }", "a finite number" },
        { "return { api = 1, params = { a = { 1, max = math.huge } } }", "a finite number" },
        { "return { api = 1, params = { a = { print } } }", "params.a is a function" },
        { "return { api = 1, params = { a = { 1, live = 1 } } }", "params.a.live is 1" },
        { "return { api = 1, needs = { boook = 1 } }", "no field 'boook'; did you mean 'book'?" },
        { "return { api = 1, needs = { warmup = 1 } }", "needs.warmup is 1" },
        { "return { api = 1, limits = { max_order_size = 1 } }",
          "did you mean 'max_order_size_usd'?" },
        { "return { api = 1, limits = { max_open_positions = 1.5 } }",
          "a whole number >0 <=1000000" },
        { "return { api = 1, limits = { max_order_size_usd = -1 } }",
          "a number >0 <=1000000000000000" },
        { "error('no')", "no" },
        { "return {", "unexpected symbol" },
        { "while true do end", "instructions" },
        { "return setmetatable({ api = 1 }, { __index = error, __pairs = error }).x", "" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct strategy_info info;
        struct error err = { 0 };
        if (describe(cases[i].text, &info, &err) == 0)
            fail_msg("taken: %s", cases[i].text);
        assert_contains(err.message, cases[i].part);
        assert_contains(err.where, "test.lua");
    }
}

static void an_unknown_callback_is_told_with_its_line(void **state)
{
    (void)state;
    struct strategy_info info;
    struct error err = { 0 };
    assert_int_equal(
        describe("local S = { api = 1 }\n\nfunction S.on_brr(ctx) end\nreturn S", &info, &err),
        ERROR_DATA);
    assert_string_equal(err.where, "test.lua:3");
    assert_string_equal(err.message, "there is no callback 'on_brr'; did you mean 'on_bar'?");
}

/* ta and stats are there while the chunk runs; ctx is not. */
static void the_chunk_sees_the_globals(void **state)
{
    (void)state;
    info_of("local e = ta.ema(3)\nassert(stats.mean({ 1, 2 }) == 1.5)\nreturn { api = 1 }");
    struct strategy_info info;
    struct error err = { 0 };
    assert_int_equal(describe("ctx:log('x')\nreturn { api = 1 }", &info, &err), ERROR_DATA);
    assert_string_equal(err.where, "test.lua:1");
}

/* ---- params ---- */

static const char PARAMS[] =
    "return { api = 1, name = 'p', params = { fast = { 12, min = 2, max = 100 },\n"
    "  k = { 0.5, min = 0.1, max = 2 }, tf = { '1m', choices = { '1m', '1h' } }, on = { true } },\n"
    "  check = function(p) if p.fast > 50 and p.tf == '1h' then return false, 'too slow' end\n"
    "    if p.fast == 13 then error('unlucky') end if p.fast == 14 then return p.fsat end\n"
    "    if p.fast == 15 then p.fast = 1 end if p.fast == 16 then return false end end }";

static void params_are_set_from_text(void **state)
{
    (void)state;
    struct strategy_info info = info_of(PARAMS);
    struct params params;
    struct error err = { 0 };
    params_init(&info, &params);
    assert_int_equal(params_set(&info, &params, "fast", "20", &err), 0);
    assert_int_equal(params_set(&info, &params, "k", "1.25e0", &err), 0);
    assert_int_equal(params_set(&info, &params, "tf", "1h", &err), 0);
    assert_int_equal(params_set(&info, &params, "on", "false", &err), 0);
    const char *shown[4] = { "20", "1.25", "false", "1h" };
    for (size_t i = 0; i < 4; i++) {
        char buffer[80];
        param_format(&params.values[i], buffer, sizeof(buffer));
        assert_string_equal(buffer, shown[i]);
    }
    assert_int_equal(params_set(&info, &params, "fast", "2e1", &err), 0); /* as sweeps write */
    assert_int_equal(params.values[0].integer, 20);
}

static void wrong_params_are_usage_errors(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *part;
    } cases[] = {
        { "fsat", "1", "p has no param 'fsat'; did you mean 'fast'?" },
        { "fast", "abc", "fast = abc: a whole number is wanted" },
        { "fast", "12.5", "a whole number" },
        { "fast", "", "a whole number" },
        { "fast", " 5", "a whole number" },
        { "fast", "500", "fast = 500 is above its max 100" },
        { "fast", "1", "fast = 1 is below its min 2" },
        { "fast", "99999999999999999999", "a whole number" },
        { "k", "nan", "a number" },
        { "k", "inf", "a number" },
        { "k", "0x1", "a number" },
        { "k", "1e999", "a number" },
        { "tf", "2h", "tf = 2h is not one of its choices: 1m, 1h" },
        { "on", "yes", "true or false" },
    };
    struct strategy_info info = info_of(PARAMS);
    struct params params, before;
    params_init(&info, &params);
    before = params;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = { 0 };
        assert_int_equal(params_set(&info, &params, cases[i].name, cases[i].text, &err),
                         ERROR_USAGE);
        assert_contains(err.message, cases[i].part);
    }
    assert_memory_equal(&params, &before, sizeof(params));
}

static int check_with(const char *fast, const char *tf, struct error *err)
{
    struct sandbox_limits bounds = limits();
    struct source source = source_of(PARAMS);
    struct strategy_info info = info_of(PARAMS);
    struct params params;
    params_init(&info, &params);
    assert_int_equal(params_set(&info, &params, "fast", fast, err), 0);
    assert_int_equal(params_set(&info, &params, "tf", tf, err), 0);
    int code = params_check(&source, &info, &bounds, &params, err);
    source_release(&source);
    return code;
}

static void the_script_may_refuse_params_together(void **state)
{
    (void)state;
    struct error err = { 0 };
    assert_int_equal(check_with("60", "1m", &err), 0);
    assert_int_equal(check_with("60", "1h", &err), ERROR_USAGE);
    assert_contains(err.message, "too slow");
    assert_int_equal(check_with("16", "1h", &err), ERROR_USAGE);
    assert_contains(err.message, "without a reason");
    assert_int_equal(check_with("13", "1m", &err), ERROR_DATA);
    assert_contains(err.message, "unlucky");
    assert_int_equal(check_with("14", "1m", &err), ERROR_DATA);
    assert_contains(err.message, "params has no 'fsat'; did you mean 'fast'?");
    assert_int_equal(check_with("15", "1m", &err), ERROR_DATA); /* p is read-only */
}

/* ---- sources ---- */

static void write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void a_source_brings_its_modules_along(void **state)
{
    (void)state;
    char directory[] = "/tmp/describe_test.XXXXXX", path[128];
    assert_non_null(mkdtemp(directory));
    const char *const files[][2] = {
        { "s.lua", "local k = require('stats.kalman')\nassert(require('lib/a').x == 1)\n"
                   "return { api = 1, name = k.name }" },
        { "lib/a.lua", "return { x = 1 }" },
        { "lib/stats/kalman.lua", "return { name = 'kalman' }" },
        { "lib/notes.txt", "\xff" },
    };
    snprintf(path, sizeof(path), "%s/lib", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/lib/stats", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, files[i][0]);
        write_file(path, files[i][1], strlen(files[i][1]));
    }

    struct source source, copy;
    struct error err = { 0 };
    struct sandbox_limits bounds = limits();
    static struct strategy_info info;
    snprintf(path, sizeof(path), "%s/s.lua", directory);
    assert_int_equal(source_read(path, &source, &err), 0);
    assert_int_equal(source.module_count, 2);
    assert_string_equal(source.modules[0].name, "a");
    assert_string_equal(source.modules[1].name, "stats/kalman");
    assert_int_equal(strategy_describe(&source, &bounds, &info, &err), 0);
    assert_string_equal(info.name, "kalman");

    /* The ledger keeps it as text; what is read back is what ran. */
    struct text text;
    text_init(&text, (size_t)1 << 20);
    source_write(&source, &text);
    assert_int_equal(source_parse(text.data, text.length, &copy, &err), 0);
    assert_string_equal(copy.hash, source.hash);
    assert_string_equal(copy.modules[1].bytes, source.modules[1].bytes);
    assert_string_equal(copy.path, source.path);
    source_release(&copy);
    *strstr(text.data, "kalman'") = 'K';
    assert_int_equal(source_parse(text.data, text.length, &copy, &err), ERROR_DATA);
    assert_contains(err.message, "has hash");
    assert_int_equal(source_parse("{}", 2, &copy, &err), ERROR_DATA);
    text_release(&text);
    char before[SHA256_TEXT_MAX];
    memcpy(before, source.hash, sizeof(before));
    source_release(&source);

    /* A changed module is a changed strategy. */
    char module[128];
    snprintf(module, sizeof(module), "%s/lib/a.lua", directory);
    write_file(module, "return { x = 2 }", 16);
    assert_int_equal(source_read(path, &source, &err), 0);
    assert_string_not_equal(source.hash, before);
    source_release(&source);

    write_file(module, "\x1bLua", 4);
    assert_int_equal(source_read(path, &source, &err), ERROR_DATA);
    assert_contains(err.message, "read module a: compiled Lua");
    char command[160];
    snprintf(command, sizeof(command), "rm -r %s", directory);
    assert_int_equal(system(command), 0);
}

static void what_is_no_text_is_no_source(void **state)
{
    (void)state;
    char directory[] = "/tmp/describe_test.XXXXXX", path[128];
    struct source source;
    struct error err = { 0 };
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s.lua", directory);
    assert_int_equal(source_read(path, &source, &err), ERROR_NO_INPUT);
    assert_int_equal(source_read(directory, &source, &err), ERROR_DATA);
    write_file(path, "\x1bLuaS", 5);
    assert_int_equal(source_read(path, &source, &err), ERROR_DATA);
    write_file(path, "local x\n-- \xff\n", 13);
    assert_int_equal(source_read(path, &source, &err), ERROR_DATA);
    assert_contains(err.where, "s.lua:2");
    write_file(path, "a\0b", 3);
    assert_int_equal(source_read(path, &source, &err), ERROR_DATA);
    write_file(path, "return {}", 9);
    assert_int_equal(source_read(path, &source, &err), 0);
    char expected[SHA256_TEXT_MAX];
    sha256_hex("return {}", 9, expected);
    assert_string_equal(source.hash, expected); /* what sha256sum says */
    source_release(&source);
    assert_int_equal(truncate(path, (1 << 20) + 1), 0);
    assert_int_equal(source_read(path, &source, &err), ERROR_DATA);
    unlink(path);
    rmdir(directory);
}

/* Lua 5.4.4 computes `1 | (2 or 3)` as 2 in a function with more than 255 constants: silently. */
static void a_function_with_too_many_constants_is_noted(void **state)
{
    (void)state;
    if (!(sandbox_lua_bugs() & LUA_BUG_CONSTANTS))
        skip();
    struct text file;
    struct strategy_info info;
    struct error err = { 0 };
    text_init(&file, 1u << 20);
    text_add(&file, "local S = { api = 1, name = 'many' }\nfunction S.on_tick()\n  local x = 0\n");
    for (int i = 0; i < 300; i++)
        text_printf(&file, "  x = x + %d.5\n", i);
    text_add(&file, "end\nreturn S\n");
    assert_int_equal(describe(file.data, &info, &err), 0);
    assert_non_null(strstr(info.notes, "the function at line 2 has 300 constants"));
    text_release(&file);
    assert_int_equal(describe("return { api = 1, name = 'few' }", &info, &err), 0);
    assert_null(strstr(info.notes, "constants"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(little_is_enough),
        cmocka_unit_test(fractions_make_a_param_a_number),
        cmocka_unit_test(what_does_nothing_yet_is_noted),
        cmocka_unit_test(a_helper_function_may_stand_in_the_table),
        cmocka_unit_test(faults_name_field_value_and_what_is_allowed),
        cmocka_unit_test(an_unknown_callback_is_told_with_its_line),
        cmocka_unit_test(the_chunk_sees_the_globals),
        cmocka_unit_test(params_are_set_from_text),
        cmocka_unit_test(wrong_params_are_usage_errors),
        cmocka_unit_test(the_script_may_refuse_params_together),
        cmocka_unit_test(a_source_brings_its_modules_along),
        cmocka_unit_test(what_is_no_text_is_no_source),
        cmocka_unit_test(a_function_with_too_many_constants_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
