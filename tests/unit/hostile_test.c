/* hostile_test.c - every script of tests/hostile, run as a stranger's file.
 *
 * Each says in its head what it attacks and how it is to end:
 *   -- Load: ok | error | stopped | any    how loading it ends (ok when absent)
 *   -- Ends: ok | error | stopped | any    how the call of the function it returns ends
 *   -- Modes: timed | counted              when it is not run in both
 * error is a script error, stopped a spent budget (time, instructions or memory). Afterwards the
 * same state must still work and give all its memory back. No duration is asserted: a script that
 * is not stopped hangs the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/sandbox.h"
#include "runtime/base/text.h"

#define HOSTILE "tests/hostile"
#define HARD_NS (30 * NS_PER_MS)
#define SECONDS_MAX 900 /* for all of them, under sanitizers, on a busy machine */

enum ending { ENDS_OK, ENDS_ERROR, ENDS_STOPPED, ENDS_ANY };

struct attack {
    char name[80];
    char path[128];
    char *bytes;
    size_t length;
    bool timed; /* by the watchdog; else instructions are counted */
    enum ending load, call;
};

static struct watchdog *the_watchdog; /* one a process */

static const char healthy[] = "local kept = {}\n"
                              "return function()\n"
                              "  for i = 1, 100 do kept[i] = ('x'):rep(i) .. i end\n"
                              "  table.sort(kept, function(a, b) return a > b end)\n"
                              "  return coroutine.wrap(function() return select(2, "
                              "pcall(function() return #kept end)) end)()\n"
                              "end\n";

static const char *module(void *self, const char *name, size_t *length)
{
    (void)self;
    static const char *const modules[][2] = {
        { "good", "return { answer = 42 }" },
        { "cycle", "return require('cycle')" },
        { "broken", "return return" },
        { "loop", "while true do end" },
        { "bytecode", "\x1bLua" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
        if (strcmp(modules[i][0], name) == 0) {
            *length = strlen(modules[i][1]);
            return modules[i][1];
        }
    return NULL;
}

static void print(void *self, const char *text)
{
    (void)self;
    for (; *text; text++)
        assert_true((unsigned char)*text >= 0x20 || *text == '\t');
}

/* ---- reading the corpus ---- */

static enum ending ending_of(const char *bytes, const char *key, enum ending normal)
{
    static const char *const words[] = { "ok", "error", "stopped", "any" };
    const char *at = strstr(bytes, key);
    if (!at)
        return normal;
    at += strlen(key);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return (enum ending)i;
    fail_msg("unknown ending: %.40s", at);
    return ENDS_ANY;
}

static void add_attack(struct attack *attack, const char *file, bool timed)
{
    struct error err;
    snprintf(attack->name, sizeof attack->name, "%.50s, %s", file, timed ? "timed" : "counted");
    snprintf(attack->path, sizeof attack->path, HOSTILE "/%.90s", file);
    attack->timed = timed;
    if (text_read_file(attack->path, 1 << 20, &attack->bytes, &attack->length, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    attack->load = ending_of(attack->bytes, "-- Load: ", ENDS_OK);
    attack->call = ending_of(attack->bytes, "-- Ends: ", ENDS_ANY);
}

static int is_script(const struct dirent *entry)
{
    return text_ends_with(entry->d_name, ".lua");
}

static size_t read_corpus(struct attack **out)
{
    struct dirent **entries;
    int count = scandir(HOSTILE, &entries, is_script, alphasort);
    if (count <= 0) {
        fprintf(stderr, "no scripts in " HOSTILE ": run from the root of the tree\n");
        exit(1);
    }
    struct attack *attacks = memory_new(2 * (size_t)count * sizeof *attacks);
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        for (int timed = 0; timed <= 1; timed++) {
            struct attack *attack = &attacks[used];
            add_attack(attack, entries[i]->d_name, timed);
            const char *modes = strstr(attack->bytes, "-- Modes: ");
            if (modes && strncmp(modes + 10, timed ? "timed" : "counted", 5) != 0)
                free(attack->bytes);
            else
                used++;
        }
        free(entries[i]);
    }
    free(entries);
    *out = attacks;
    return used;
}

/* ---- running one ---- */

static void check_message(const struct error *err)
{
    assert_true(strlen(err->message) > 0 && strlen(err->message) <= 700);
    assert_null(strstr(err->message, "0x"));
    for (const char *c = err->message; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
    for (const char *c = err->where; *c; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_ending(const struct attack *attack, int code, bool loading,
                         const struct error *err)
{
    const char *what = attack->name;
    enum ending was = ENDS_OK, wanted = loading ? attack->load : attack->call;
    if (code < 0) {
        check_message(err);
        /* Loading says ERROR_DATA for both: only the text tells. */
        bool stopped = loading ? text_starts_with(err->message, "stopped: ")
                               : code == ERROR_RANGE || code == ERROR_TIME;
        was = stopped ? ENDS_STOPPED : ENDS_ERROR;
        if (loading || was == ENDS_ERROR)
            assert_int_equal(code, ERROR_DATA);
        if (getenv("HOSTILE_VERBOSE"))
            fprintf(stderr, "# %s: %s: [%s] %s\n", what, loading ? "load" : "call", err->where,
                    err->message);
    }
    if (attack->timed && was == ENDS_STOPPED)
        return; /* a slow machine may stop what a fast one lets end */
    if (wanted != ENDS_ANY && was != wanted)
        fail_msg("%s: %s ended %d instead of %d: [%s] %s", what, loading ? "load" : "call",
                 (int)was, (int)wanted, code < 0 ? err->where : "", code < 0 ? err->message : "");
}

/* The function on the stack top is kept and called again after the attack. */
static void check_healthy(struct sandbox *sandbox, int function)
{
    lua_State *L = sandbox_lua(sandbox);
    struct error err = { 0 };
    lua_gc(L, LUA_GCCOLLECT);
    lua_rawgeti(L, LUA_REGISTRYINDEX, function);
    int code = sandbox_call(sandbox, 0, 1, BUDGET_CALLBACK, &err);
    if (code < 0)
        fail_msg("not healthy afterwards: [%s] %s", err.where, err.message);
    assert_int_equal(lua_tointeger(L, -1), 100);
    lua_pop(L, 1);
}

static void ends_within_bounds(void **state)
{
    const struct attack *attack = *state;
    struct sandbox_limits limits;
    struct sandbox_host host = { .module = module, .print = print };
    struct sandbox *sandbox;
    struct error err = { 0 };
    sandbox_limits_init(&limits);
    limits.callback_hard_ns = HARD_NS;
    limits.memory = (size_t)32 << 20;
    limits.table_slots = 32768;
    struct watchdog *watchdog = attack->timed ? the_watchdog : NULL;
    assert_int_equal(sandbox_open(&limits, &host, 1, watchdog, &sandbox, &err), 0);
    lua_State *L = sandbox_lua(sandbox);
    assert_int_equal(sandbox_load(sandbox, "healthy.lua", healthy, strlen(healthy), &err), 0);
    int function = luaL_ref(L, LUA_REGISTRYINDEX);
    int top = lua_gettop(L);

    int code = sandbox_load(sandbox, attack->path, attack->bytes, attack->length, &err);
    check_ending(attack, code, true, &err);
    assert_int_equal(lua_gettop(L), code < 0 ? top : top + 1);
    if (code == 0) {
        assert_true(lua_isfunction(L, -1));
        sandbox_freeze_globals(sandbox);
        code = sandbox_call(sandbox, 0, 0, BUDGET_CALLBACK, &err);
        check_ending(attack, code, false, &err);
        assert_int_equal(lua_gettop(L), top);
    }
    check_healthy(sandbox, function);
    sandbox_close(sandbox); /* asserts that no byte is left */
}

int main(int count, char **arguments)
{
    struct attack *attacks;
    size_t attack_count = read_corpus(&attacks), used = 0;
    struct CMUnitTest *tests = memory_new(attack_count * sizeof *tests);
    for (size_t i = 0; i < attack_count; i++)
        if (count < 2 || strstr(attacks[i].name, arguments[1]))
            tests[used++] = (struct CMUnitTest){ .name = attacks[i].name,
                                                 .test_func = ends_within_bounds,
                                                 .initial_state = &attacks[i] };
    alarm(SECONDS_MAX);

    /* A single instruction of a script may take long (see "colliding"): the watchdog's last resort
     * is another test's business. */
    struct watchdog_options options = { .hard_ns = HARD_NS,
                                        .quarantine_fd = -1,
                                        .kill_factor = 1000 };
    struct error err;
    if (watchdog_open(&options, &the_watchdog, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    int failed = _cmocka_run_group_tests("hostile", tests, used, NULL, NULL);
    watchdog_close(the_watchdog);
    for (size_t i = 0; i < attack_count; i++)
        free(attacks[i].bytes);
    free(attacks);
    free(tests);
    return failed;
}
