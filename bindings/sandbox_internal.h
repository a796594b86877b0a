/* sandbox_internal.h - what the files of the sandbox share; nobody else includes it.
 *
 *   sandbox.c    open, call, protect, read-only tables, globals
 *   source_text.c  what a chunk may look like; compiling it
 *   allocator.c  the memory cap and the cap on hash parts
 *   budget.c     instructions, time, and why a call was stopped
 *   failure.c    an error value as a message with a place
 *   keys.c       keys in the contract's order, stable sorting
 *   lib_*.c      one library each; pattern.c matches, format.c formats, pack.c packs
 *
 * Rules of this room, numbered once:
 *   R1  Every loop in a C function that a script can reach is bounded by a cap, or calls
 *       sandbox_charge at least every 4,096 turns.
 *   R2  Once sandbox->stop is set no script instruction runs again in this call: pcall, xpcall,
 *       resume and wrap raise again, the hook raises at each instruction.
 *   R3  No C function holds a heap block across a call that may raise: scratch memory is userdata.
 *   R4  Metatables that Lua's core consults are made by C: shadows of what the script gave
 *       (lib_base.c), so that __gc, __close and __mode are never a script's. */
#ifndef BINDINGS_SANDBOX_INTERNAL_H
#define BINDINGS_SANDBOX_INTERNAL_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "bindings/sandbox.h"
#include "bindings/watchdog_beat.h"
#include "runtime/base/random.h"

/* How much slower the program may be under the address sanitizer: time limits are scaled. */
#if defined(__SANITIZE_ADDRESS__)
#define SLOWNESS 5
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOWNESS 5
#endif
#endif
#ifndef SLOWNESS
#define SLOWNESS 1
#endif

#define SOURCE_MAX ((size_t)1 << 20)       /* bytes of one chunk */
#define MEMORY_HEADROOM ((size_t)64 << 10) /* beyond the cap, for the host's own calls */
#define ERROR_TEXT_MAX 700                 /* bytes of a message */
#define MEMORY_HITS_MAX 3                  /* memory errors a call may catch */
#define REFUSALS_MAX 20                    /* collections forced by the cap in one call */
#define HOOK_EVERY 1000                    /* instructions between two looks of a counting hook */
#define HOOK_EVERY_COROUTINE 100           /* the same in coroutines, which may be many and short */
#define GUARD_NS (10 * NS_PER_SECOND * SLOWNESS) /* of a call without a watchdog */
#define COMPILE_NS                                                                                 \
    (2 * NS_PER_SECOND * SLOWNESS) /* of compiling without a watchdog; 1 MiB takes 20 ms */
#define MODULES_MAX_LOADED 64

enum stop { STOP_NONE, STOP_TIME, STOP_INSTRUCTIONS, STOP_MEMORY };

struct allocator {
    size_t used, limit;
    size_t node_size;        /* bytes of one slot of a hash part, measured when opening */
    size_t nodes_max;        /* slots of one hash part; 0: not enforced yet */
    size_t last_vector;      /* bytes of the newest block that is no object */
    uint32_t refusals;       /* in this call */
    bool refused_slots;      /* the newest refusal was about slots */
    bool stopped;            /* refuse all growth until the call ends */
    uint64_t count, fail_at; /* tests: fail the fail_at-th growth; 0 never */
    bool fail_on;            /* ... and all after it */
    struct sandbox *owner;
};

/* The first thing that went wrong in a call, as text: taken where it was raised. */
struct failure {
    bool is_set;
    char where[256];
    char message[ERROR_TEXT_MAX + 1];
};

struct sandbox {
    struct sandbox_limits limits;
    struct sandbox_host host;
    struct beat *beat; /* of the watchdog; NULL without one */
    lua_State *L;
    struct allocator memory;

    enum stop stop;     /* why this call must end, R2 */
    int depth;          /* calls from C under way */
    lua_State *running; /* the thread that runs: the main one or a coroutine */
    bool loading;       /* the budget is that of loading */
    bool counting;      /* this call counts instructions */
    bool always_counting;
    bool frozen;           /* globals */
    uint64_t used, limit;  /* instructions of this call */
    uint64_t last;         /* of the last counted call */
    uint64_t serial;       /* number of the call, for caches that live as long as one */
    uint32_t memory_hits;  /* memory errors caught in this call */
    int64_t guard_span_ns; /* how long a call without watchdog may run: GUARD_NS */
    int64_t guard_ns;      /* monotonic; a call without watchdog ends here */

    struct failure failure;
    char memory_where[256]; /* the script line that was refused memory last */
    struct random random;
    uint32_t coroutines;                  /* at least those alive */
    uint64_t identities;                  /* handed out by sandbox_push_text */
    char *chunks[MODULES_MAX_LOADED + 2]; /* chunk names, "@path" */
    size_t chunk_count;
};

/* ---- allocator.c ---- */
void *allocator_run(void *self, void *block, size_t old_size, size_t new_size);
/* Learns the size of a hash slot; may raise. */
void allocator_measure(lua_State *L, struct allocator *allocator, uint32_t table_slots);

/* ---- budget.c ---- */
void budget_begin(struct sandbox *sandbox, enum sandbox_budget budget);
void budget_end(struct sandbox *sandbox);
/* What begins at nothing in every call. */
static inline void budget_reset(struct sandbox *sandbox)
{
    sandbox->stop = STOP_NONE;
    sandbox->loading = false;
    sandbox->used = 0;
    sandbox->last = 0;
    sandbox->memory_hits = 0;
    sandbox->memory.refusals = 0;
    sandbox->memory.stopped = false;
    sandbox->memory.refused_slots = false;
    sandbox->failure.is_set = false;
    sandbox->memory_where[0] = '\0';
    sandbox->serial++;
}
/* Counts work done in C as instructions; raises when a budget is spent. */
void sandbox_charge(lua_State *L, uint64_t instructions);
/* Sets the hook of a thread as this call wants it. */
void budget_attend(struct sandbox *sandbox, lua_State *L);
void budget_hook(lua_State *L, lua_Debug *at);
/* Has the hook called before the next instruction. Setting a hook walks all frames of the thread:
 * done at each signal it would leave a deep recursion no time to end. Safe in a signal handler. */
void budget_arm(lua_State *L);
/* Marks the call as stopped. */
void budget_stop(struct sandbox *sandbox, lua_State *L, enum stop stop);
/* Raises what cannot be caught. */
NORETURN void budget_raise(lua_State *L);
/* To be called with the status of every protected call made for a script: counts memory errors and
 * raises again when the budget is spent. */
void budget_check(lua_State *L, int status);
bool budget_time_over(struct sandbox *sandbox);

/* ---- failure.c ---- */
/* Takes the error value at index, with the stack as it is; the first one wins. */
void failure_take(struct sandbox *sandbox, lua_State *L, int index);
/* The place of the running script line, "" when there is none. Allocates nothing. */
void failure_place(lua_State *L, char *where, size_t size);
/* Message handler of every call. */
int failure_handler(lua_State *L);
/* What the call failed of, as an error; `status` is Lua's. */
int failure_report(struct sandbox *sandbox, int status, struct error *err);
/* Copies text with control, bidi and malformed bytes escaped; returns the bytes written. */
size_t text_escape(char *out, size_t size, const char *bytes, size_t length);

/* ---- source_text.c ---- */
/* Compiles a chunk onto the stack. Returns Lua's status, a message on the stack when it failed.
 * `name` is kept for messages. May raise only when called from a script. */
int source_compile(struct sandbox *sandbox, lua_State *L, const char *name, const char *bytes,
                   size_t length);
/* NULL, or what is wrong with the text, and at which line. */
const char *source_fault(const char *bytes, size_t length, int *line);

/* ---- keys.c ---- */
enum key_kind { KEY_NUMBER, KEY_STRING, KEY_BOOLEAN };
struct key {
    enum key_kind kind;
    bool is_integer;
    uint32_t at; /* its place before sorting */
    union {
        lua_Integer integer;
        lua_Number number;
        struct {
            const char *bytes;
            size_t length;
        } string;
        bool boolean;
    } as;
};
/* False when the value at index is of another type (or NaN). */
bool key_read(lua_State *L, int index, struct key *key);
int key_compare(const struct key *a, const struct key *b);
/* Stable; spare is as long as keys. May raise. */
void keys_sort(lua_State *L, struct key *keys, struct key *spare, size_t count);
/* The successor of the key at key_index (nil: the first) among the keys of the table; pushes it, or
 * nil. May raise. */
void keys_push_next(lua_State *L, int table_index, int key_index);

/* ---- proxies and host tables ---- */
/* When the value at index is a proxy, pushes the table behind it. */
bool proxy_push_behind(lua_State *L, int index);
bool metatable_is_sealed(lua_State *L, int index);
/* True when the value has a metatable of the host. */
bool value_is_sealed(lua_State *L, int index);

/* ---- text of values ---- */
/* tostring with metamethods, pushed; never an address. */
const char *value_push_string(lua_State *L, int index, size_t *length);
#define NUMBER_TEXT_MAX 64
size_t number_text(lua_State *L, int index, char text[NUMBER_TEXT_MAX]);

/* ---- building long strings ---- */
/* Grows inside userdata at stack index `slot`; raises beyond limits.string_max. */
struct builder {
    lua_State *L;
    char *data;
    size_t length, capacity;
    int slot;
    char local[512];
};
void builder_open(lua_State *L, struct builder *builder); /* pushes one value, its slot */
char *builder_reserve(struct builder *builder, size_t more);
void builder_add(struct builder *builder, const char *bytes, size_t length);
void builder_push(struct builder *builder); /* the string, on the stack top */

/* ---- the libraries; each leaves its table on the stack ---- */
void lib_base_open(lua_State *L, int original); /* into the table on the stack top */
void lib_string_open(lua_State *L);             /* also the metatable of strings */
void lib_table_open(lua_State *L);
void lib_math_open(lua_State *L);
void lib_os_open(lua_State *L);
void lib_coroutine_open(lua_State *L);
void lib_utf8_open(lua_State *L);

/* The first half of sandbox_load: the chunk as a function on the stack. */
MUST_CHECK int sandbox_compile(struct sandbox *sandbox, const char *path, const char *bytes,
                               size_t length, struct error *err);

/* For tests: the fail_at-th allocation fails, with fail_on all after it too. Without, Lua makes
 * room by a full collection and asks again. */
MUST_CHECK int sandbox_open_failing(const struct sandbox_limits *limits,
                                    const struct sandbox_host *host, uint64_t seed,
                                    struct watchdog *watchdog, uint64_t fail_at, bool fail_on,
                                    struct sandbox **out, struct error *err);

#endif
