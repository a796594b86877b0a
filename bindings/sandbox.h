/* sandbox.h - one Lua state that a stranger's file may run in.
 *
 * Allow-list of globals, text chunks only, no finalizers; every C function a script can reach is
 * bounded; an allocator with a cap; a budget of time (or instructions) that neither pcall, xpcall
 * handlers nor coroutines can swallow. One state per instance. The rest of bindings/ builds on this
 * room-within-a-room and never calls lua_pcall by itself. */
#ifndef BINDINGS_SANDBOX_H
#define BINDINGS_SANDBOX_H

#include <lua.h>

#include "bindings/watchdog.h"
#include "runtime/base/base.h"
#include "runtime/base/error.h"

struct sandbox_limits {
    int64_t callback_soft_ns;   /* warn beyond it */
    int64_t callback_hard_ns;   /* stop beyond it */
    uint64_t instructions;      /* of a callback, where instructions are counted */
    uint64_t load_instructions; /* of the chunk's run and of on_start: always counted */
    bool exact_budget;          /* count instructions in every callback (costs 1.7 times) */
    size_t memory;              /* bytes of one state */
    uint64_t pattern_steps;     /* of one string.find/match/gmatch/gsub step */
    uint32_t table_slots;       /* of one table's hash part */
    size_t string_max;          /* bytes a library function may make at once (16 MiB) */
    uint32_t coroutines;        /* alive at once (1,000) */
};
void sandbox_limits_init(struct sandbox_limits *limits); /* the defaults of runtime.yaml */

/* What a state asks of its surroundings. Functions may be NULL. */
struct sandbox_host {
    void *self;
    int64_t (*now_ns)(void *self);                /* market time: os.time, os.date, os.clock */
    void (*print)(void *self, const char *text);  /* print() */
    void (*slow)(void *self, int64_t elapsed_ns); /* a callback took longer than the soft limit */
    /* require("name"): module source beside the strategy under lib/, or NULL. Bytes stay valid. */
    const char *(*module)(void *self, const char *name, size_t *length);
};

struct sandbox; /* opaque */

/* seed seeds math.random. watchdog may be NULL (tests, check): then only instructions are counted.
 * ERROR_RANGE when the memory cap is too small to open the libraries. */
MUST_CHECK int sandbox_open(const struct sandbox_limits *limits, const struct sandbox_host *host,
                            uint64_t seed, struct watchdog *watchdog, struct sandbox **out,
                            struct error *err);
void sandbox_close(struct sandbox *sandbox); /* runs no script code */

/* Stack slot 1 of the main thread is the sandbox's own: never lua_settop(L, 0) there. */
lua_State *sandbox_lua(struct sandbox *sandbox);
struct sandbox *sandbox_of(lua_State *L); /* from any of its coroutines */

/* Compiles and runs a text chunk under the load budget; its one result is left on the stack.
 * `path` names it in messages ("strategies/momentum.lua:12: ..."). ERROR_DATA with where =
 * path:line: bytecode, NUL bytes, bidi controls, invalid UTF-8, larger than 1 MiB, syntax, a
 * runtime error, budget spent. */
MUST_CHECK int sandbox_load(struct sandbox *sandbox, const char *path, const char *bytes,
                            size_t length, struct error *err);

/* From now on reading or writing an undeclared global is an error with a suggestion. */
void sandbox_freeze_globals(struct sandbox *sandbox);

enum sandbox_budget { BUDGET_LOAD, BUDGET_CALLBACK };

/* Calls the function below its `arguments` on the stack, protected, under a budget; leaves
 * `results` values. On failure nothing is left. Errors are formatted without metamethods, cut at
 * 700 bytes, control bytes escaped, with the script's own file:line in err->where and a short
 * traceback after the message. Hot path: costs a pcall, two atomic stores and two compares.
 * ERROR_DATA the script failed; ERROR_TIME its time is spent; ERROR_RANGE its instructions or
 * memory are. */
MUST_CHECK int sandbox_call(struct sandbox *sandbox, int arguments, int results,
                            enum sandbox_budget budget, struct error *err);

/* Runs a C function that itself may raise (building API tables, reading a description) with the
 * same protection: lua_CFunction with one light userdata argument. */
MUST_CHECK int sandbox_protect(struct sandbox *sandbox, lua_CFunction function, void *argument,
                               struct error *err);

/* Registers a table that scripts can read but not write (error naming it), as global `name`, or
 * left on the stack when name is NULL. The table to protect is on top of the stack and is consumed.
 */
void sandbox_read_only(lua_State *L, const char *name);

/* Marks the metatable on the stack top as the host's: getmetatable shows false, setmetatable and
 * rawset refuse it. */
void sandbox_seal_metatable(lua_State *L);

size_t sandbox_memory(const struct sandbox *sandbox); /* bytes in use */
uint64_t
sandbox_instructions_last(const struct sandbox *sandbox); /* of the last exact call, else 0 */

/* A table whose __index is handled by us: library functions (pairs, next, #, table.*, ipairs,
 * unpack) treat such a "proxy" as the plain table behind it for reading and go through its
 * __newindex for writing. ctx.state is made of these. The metatable must hold the raw table under
 * this light userdata key. */
extern const char SANDBOX_PROXY_KEY;

/* Pushes "table: #12"-like text for values whose address must not be seen. */
void sandbox_push_text(lua_State *L, int index);

/* What the Lua we are linked with gets wrong, found by trying it: bits of enum sandbox_lua_bug. */
enum sandbox_lua_bug {
    LUA_BUG_CONSTANTS = 1, /* `1 | (2 or 3)` is 2 in a function with more than 255 constants */
};
unsigned sandbox_lua_bugs(void);

/* For `check` on a Lua with LUA_BUG_CONSTANTS: compiles the text and sets *line to where the first
 * function with more than 255 constants begins (0: the file itself), *constants to their number;
 * both 0 when there is none. ERROR_DATA when it does not compile. */
MUST_CHECK int sandbox_find_constants(struct sandbox *sandbox, const char *path, const char *bytes,
                                      size_t length, int *line, int *constants, struct error *err);

/* pairs order of the contract: numbers ascending, strings bytewise, booleans; used by ctx.state
 * too. Pushes an array of the keys of the table at index. Raises when it holds other keys. */
void sandbox_push_sorted_keys(lua_State *L, int index);

#endif
