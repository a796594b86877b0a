/* script.h - what the files of this room share about one strategy that runs; nobody else includes
 * it.
 *
 *   values.c   numbers, names and refusals between Lua and C
 *   state.c    ctx.state            ctx.c      ctx: reading, log, timers
 *   orders.c   order calls, handles events.c   tick, quote, bar, fill, verdict, difference,
 * position series.c   bars and series      ta.c, stats.c  globals guest.c    puts a script together
 * and answers the engine
 *
 * C functions that scripts call find their script in upvalue 1 or in their userdata; both are out
 * of a script's reach. Functions marked "may raise" leave by a Lua error: they hold nothing then.
 */
#ifndef BINDINGS_SCRIPT_H
#define BINDINGS_SCRIPT_H

#include <lauxlib.h>
#include <lua.h>

#include "bindings/sandbox.h"
#include "bindings/strategy.h"

#define NAMES_MAX 28
#define SCRIPT_BARS_MAX 256 /* bars of one script; what the engine takes */

/* The field names of one kind of userdata as this state's own pointers: Lua keeps one copy of a
 * short string, so a field is found by comparing pointers. */
struct names {
    const char *const *spelled; /* NULL-terminated */
    const char *interned[NAMES_MAX];
    int count;
};
enum names_class {
    NAMES_TICK,
    NAMES_QUOTE,
    NAMES_BAR,
    NAMES_FILL,
    NAMES_VERDICT,
    NAMES_DIFFERENCE,
    NAMES_POSITION,
    NAMES_ORDER,
    NAMES_OPTIONS,
    NAMES_BARS,
    NAMES_CLASSES
};

/* ---- state.c ---- */

/* ctx.state: a tree of proxies whose changes can be taken back. */
struct state {
    int root_ref;     /* the proxy that scripts see */
    int undo_ref;     /* raw table, key, old value of each change of this callback */
    int newindex_ref; /* shared by all proxies */
    int length_ref;
    size_t undo_count;   /* changes logged */
    size_t undo_squeeze; /* count at which repeated changes are dropped from the log */
    size_t size;         /* bytes counted against STATE_SIZE_MAX */
    bool dirty;          /* changed since it was last written */
    bool was_dirty;      /* before this callback, as is */
    size_t size_before;
    bool lost;              /* taking back failed: never write it again */
    struct state_key *keys; /* scratch of the writer */
    size_t key_count, key_capacity;
};

void state_open(lua_State *L, struct state *state); /* may raise */
void state_close(struct state *state);
void state_push(lua_State *L, const struct state *state);
/* Replaces everything by the plain table at index; may raise, as an assignment by a script may. */
void state_replace(lua_State *L, struct state *state, int index);
/* Replaces everything by what state_write wrote. ERROR_DATA. */
MUST_CHECK int state_parse(struct sandbox *sandbox, struct state *state, const char *json,
                           struct error *err);
/* After a callback: keep its changes, or take them back. */
void state_commit(lua_State *L, struct state *state);
void state_rollback(struct sandbox *sandbox, struct state *state);
/* Canonical JSON: equal states are equal bytes. Negative: out of memory, nothing to be relied on.
 */
MUST_CHECK int state_write(struct sandbox *sandbox, struct state *state, struct text *out,
                           struct error *err);

/* ---- ta.c, stats.c ---- */

#define TA_MAX 1024 /* stand-alone indicators of one script */
struct ta {
    struct indicator *list[TA_MAX];
    size_t count;
    double values; /* sum of their periods */
};
void ta_open(lua_State *L, struct ta *ta); /* global `ta`; may raise */
void ta_release(struct ta *ta);
struct indicator_spec check_spec(lua_State *L, enum indicator_kind kind, int index,
                                 const char *what); /* params from index on; may raise */
void stats_open(lua_State *L);                      /* global `stats`; may raise */

/* ---- the script ---- */

/* A token bucket on market time: the same in every run of the same events. */
struct bucket {
    bool begun;
    int64_t filled_ns; /* when `tokens` was right */
    int64_t tokens;    /* in ns worth of refill */
    uint64_t dropped;  /* since the last that passed */
};

/* An event argument: one userdata per kind, pointed at the event while its callback runs. */
struct view {
    struct script *script;
    const struct guest_event *event; /* NULL: the callback ended */
    uint32_t live;                   /* of ctx:quote(): the instrument, else INSTRUMENT_NONE */
};
enum view_kind {
    VIEW_TICK,
    VIEW_QUOTE,
    VIEW_BAR,
    VIEW_FILL,
    VIEW_VERDICT,
    VIEW_DIFFERENCE,
    VIEW_KINDS
};

struct held_study {
    struct study *study;
    uint32_t instrument;
};

struct bars_asked {
    bool events, flat;
};

struct script {
    struct sandbox *sandbox;
    lua_State *L;
    const struct source *source;
    const struct strategy_info *info;
    struct params params;
    struct engine *engine;
    struct market *market;
    const struct instruments *instruments;
    const uint32_t *symbols; /* instruments of this instance, the first is ctx.symbol */
    size_t symbol_count;
    int instance;
    uint32_t instance_id;
    char mode[16];
    struct log *log;
    struct watchdog *watchdog;
    struct watchdog_subject subject; /* who the watchdog blames */
    void (*plot)(void *self, int instance, const char *name, double value, bool metric);
    void *plot_self;

    bool rehearsal;
    bool in_start;   /* on_start runs: bars may be asked for, orders not */
    bool stop_asked; /* ctx:stop in a rehearsal */
    char stop_reason[REASON_MAX];

    const void *ctx;                        /* the userdata */
    const void *series_class, *lines_class; /* metatables, to know their userdata by */
    /* registry references */
    int calls[GUEST_CALLS]; /* LUA_NOREF: the script has none */
    int ctx_ref, params_ref, params_raw_ref, handles_ref, series_ref;
    int view_refs[VIEW_KINDS];
    int slots; /* main stack: what market callbacks take */
    struct view *views[VIEW_KINDS];
    int positions_ref, quotes_ref, instruments_ref; /* tables by place in `symbols`, from 1 */
    int format_ref;                                 /* the sandbox's string.format */

    struct names names[NAMES_CLASSES];
    struct state state;
    struct ta ta;
    struct bucket log_bucket, alert_bucket;

    struct bars **bars;            /* each once, as asked for in on_start */
    struct bars_asked *bars_asked; /* parallel to bars */
    size_t bars_count, bars_capacity, bars_asked_capacity;
    struct held_study *studies; /* each once; the first `studies_at_start` were made in on_start */
    size_t study_count, study_capacity, studies_at_start;
    struct params params_before; /* what on_params is told of */
    enum guest_call running;     /* for messages about slow callbacks */
};

static inline struct script *upvalue_script(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* ---- values.c ---- */

/* "ctx has no 'by'; did you mean 'buy'?" `owner` names the thing. */
NORETURN void raise_unknown(lua_State *L, const char *owner, const char *name,
                            const char *const *known);
void names_open(lua_State *L, struct names *names, const char *const *spelled); /* may raise */
/* The index of the string at `index`, or -1. */
int names_find(lua_State *L, const struct names *names, int index);
/* The same, raising when the key is unknown: "tick has no 'pric'; did you mean 'price'?" */
int names_field(lua_State *L, const struct names *names, int index, const char *owner);

/* A finite number. `what` leads the message: "ctx:timer: seconds". May raise. */
double check_finite(lua_State *L, int index, const char *what);
/* An exact decimal: an integer, a float's shortest text, or a string. May raise. */
decimal check_decimal(lua_State *L, int index, const char *what);
/* A string of at most `limit` bytes without control characters. May raise. */
const char *check_name(lua_State *L, int index, size_t limit, const char *what);
bool check_flag(lua_State *L, int index, const char *what);
/* An instrument of this instance by its symbol; nil or none is ctx.symbol. May raise. */
uint32_t check_symbol(lua_State *L, const struct script *script, int index, const char *what);
size_t symbol_place(const struct script *script, uint32_t instrument); /* in script->symbols */

void push_decimal(lua_State *L, decimal value);                /* a float; nil when invalid */
void push_double(lua_State *L, double value);                  /* nil when NaN */
void push_time(lua_State *L, int64_t time_ns);                 /* seconds, float */
int push_refusal(lua_State *L, const struct refusal *refusal); /* nil, reason, code; or nil alone */
int push_failure(lua_State *L, const char *code, const char *reason);

/* The plain table behind a proxy (ctx.state, params) at index, or the table itself; pushed. */
void push_plain(lua_State *L, int index);
/* Is the string one of the words? Else raises naming all and the nearest. */
int check_word(lua_State *L, int index, const char *const *words, const char *what);

/* Functions of `list` as closures over the light userdata `self` into the table on the stack top.
 */
void add_functions(lua_State *L, const luaL_Reg *list, void *self);
/* A sealed metatable for userdata, left on the stack; the second time the same one. */
void push_metatable(lua_State *L, const char *name, const luaL_Reg *metamethods, void *self);
/* The table on the top becomes one that scripts cannot write, and where reading an absent name
 * raises with the nearest: "instrument has no 'tick'; did you mean 'tick_size'?" */
void make_strict(lua_State *L, const char *owner);
int raise_read_only(lua_State *L); /* a __newindex; upvalue 1 unused */

bool bucket_take(struct bucket *bucket, int64_t now_ns, int64_t per_second, int64_t burst);

/* ---- the tables; each may raise while it is made ---- */

extern const luaL_Reg ctx_functions[], order_functions[], stats_functions[];
extern const char *const ctx_fields[],
    *const tick_fields[], *const quote_fields[],
                              *const bar_fields[],
                                  *const fill_fields[],
                                      *const verdict_fields[],
                                          *const difference_fields[],
                                              *const position_fields[],
                                                  *const order_fields[],
                                                      *const order_options[],
                                                          *const bars_fields[],
                                                              *const series_fields[];

void ctx_open(lua_State *L, struct script *script);
/* The script of a ctx function; raises unless argument 1 is ctx. `call` names it: "ctx:buy". */
struct script *check_ctx(lua_State *L, const char *call);
void events_open(lua_State *L, struct script *script);
void orders_open(lua_State *L, struct script *script);
void series_open(lua_State *L, struct script *script);
void push_order(lua_State *L, struct script *script, uint64_t order_id);
void push_position(lua_State *L, struct script *script, uint32_t instrument);
void push_quote(lua_State *L, struct script *script, uint32_t instrument);
int ctx_bars(lua_State *L);
void series_close(struct script *script); /* gives bars and studies back to the market */
bool series_ready(const struct script *script, uint32_t instrument);

/* Strategy text to the log, at most 100 a second of market time. */
void script_log(struct script *script, enum log_level level, const char *text);

/* ---- load.c ---- */

/* Opens ta and stats, runs the file's chunk, freezes the globals and keeps the table it returned.
 * ERROR_DATA, ERROR_RANGE as sandbox_load. */
MUST_CHECK int strategy_load(struct sandbox *sandbox, const struct source *source, struct ta *ta,
                             struct error *err);
void strategy_push(lua_State *L); /* the table that the file returned */
/* A sandbox_host.module over a struct source. */
const char *strategy_module(void *source, const char *name, size_t *length);

extern const char *const strategy_fields[], *const param_fields[]; /* describe.c */

/* ---- params.c ---- */

/* A plain table of the values; make_strict turns it into what scripts see. */
void params_push_raw(lua_State *L, const struct strategy_info *info, const struct params *params);
void param_push(lua_State *L, const struct param_value *value);

#endif
