/* strategy.h - a strategy file: read, described, and opened as guests of the engine.
 *
 * Describing runs the chunk once in a throw-away sandbox with no ctx. Opening makes one sandbox per
 * instance. Floor: bindings; the engine knows only struct guest. */
#ifndef BINDINGS_STRATEGY_H
#define BINDINGS_STRATEGY_H

#include "bindings/sandbox.h"
#include "runtime/base/hash.h"
#include "runtime/base/json.h"
#include "runtime/base/log.h"
#include "runtime/engine/engine.h"

#define PARAMS_MAX 64
#define CHOICES_MAX 32
#define STRATEGY_SYMBOLS_MAX 64
#define MODULES_MAX 32

/* The bytes of a strategy: its file and the modules under lib/ beside it. */
struct source_module {
    char name[64]; /* "stats/kalman" as require spells it */
    char *bytes;
    size_t length;
};
struct source {
    char path[512];
    char *bytes;
    size_t length;
    struct source_module modules[MODULES_MAX];
    size_t module_count;
    char hash[SHA256_TEXT_MAX]; /* over file and modules, by name */
};
/* ERROR_NO_INPUT, ERROR_DATA (directory, bytecode, too large, not UTF-8). */
MUST_CHECK int source_read(const char *path, struct source *out, struct error *err);
void source_release(struct source *source);
/* What require(name) means: "stats/kalman", "stats.kalman" or "lib.stats.kalman"; NULL when there
 * is no such module. */
const char *source_module(const struct source *source, const char *name, size_t *length);
/* A source as one JSON text for the ledger, and back: a replay runs what ran then. */
void source_write(const struct source *source, struct text *out);
MUST_CHECK int source_parse(const char *json, size_t length, struct source *out, struct error *err);

enum param_kind { PARAM_NUMBER, PARAM_INTEGER, PARAM_STRING, PARAM_BOOL };
struct param_value {
    enum param_kind kind;
    double number; /* also the integer's value */
    int64_t integer;
    bool boolean;
    char string[64];
};
struct param_spec {
    char name[48];
    struct param_value value; /* the default */
    double min, max, step;    /* NaN when not given */
    struct param_value choices[CHOICES_MAX];
    size_t choice_count;
    char help[160];
    bool live;
};

struct strategy_info {
    char name[64], version[32], author[64], license[64], about[256];
    bool portfolio; /* scope = "portfolio" */
    char symbols[STRATEGY_SYMBOLS_MAX][SYMBOL_MAX];
    size_t symbol_count;
    struct param_spec params[PARAMS_MAX];
    size_t param_count;
    unsigned calls; /* 1 << enum guest_call that have a function */
    bool has_migrate, has_check;
    bool warmup; /* needs.warmup, default true */
    struct risk_limits limits;
    char notes[512]; /* lines for `runtime check`: what is declared but does nothing yet */
    char hash[SHA256_TEXT_MAX];
    uint64_t instructions, memory; /* what describing cost */
};

/* What a strategy file calls them ("on_bar"), by enum guest_call; NULL ends the list. */
extern const char *const callback_names[GUEST_CALLS + 1];

/* Runs the chunk and reads the table it returns. Every fault names file, field, what was found,
 * what is allowed; near misses of field and callback names are named. ERROR_DATA. */
MUST_CHECK int strategy_describe(const struct source *source, const struct sandbox_limits *limits,
                                 struct strategy_info *info, struct error *err);

/* The params of one instance: defaults, then the values given. */
struct params {
    struct param_value values[PARAMS_MAX]; /* in the order of info->params */
};
void params_init(const struct strategy_info *info, struct params *params);
/* One value as text ("12", "1h", "true"). ERROR_USAGE naming the nearest param, range, choices. */
MUST_CHECK int params_set(const struct strategy_info *info, struct params *params, const char *name,
                          const char *text, struct error *err);
/* Is the value within the spec's range and choices? Returns 0, or `code` and *err saying what is.
 */
int param_allowed(const struct param_spec *spec, const struct param_value *value, int code,
                  struct error *err);
bool param_equal(const struct param_value *a, const struct param_value *b); /* of one kind */
/* Runs S.check(p) in a throw-away sandbox. ERROR_USAGE with its reason. */
MUST_CHECK int params_check(const struct source *source, const struct strategy_info *info,
                            const struct sandbox_limits *limits, const struct params *params,
                            struct error *err);
void param_format(const struct param_value *value, char *buffer, size_t size);

struct guest_options {
    const struct source *source;
    const struct strategy_info *info;
    const struct params *params;
    const struct sandbox_limits *limits;
    struct watchdog *watchdog;
    struct engine *engine;
    int instance; /* engine's index */
    uint32_t instance_id;
    const char *mode; /* "paper" */
    struct log *log;
    uint64_t seed;            /* of math.random; mixed with the instance by the caller */
    const char *state_json;   /* ctx.state to begin with, or NULL */
    const char *migrate_from; /* run S.migrate(state, this version) first, or NULL */
    bool rehearsal;           /* on_start's log, plot, timers do nothing; see guest_rehearse */
    /* ctx:plot and ctx:metric values go here; may be NULL. */
    void (*plot)(void *self, int instance, const char *name, double value, bool metric);
    void *plot_self;
};
/* ERROR_DATA the file fails (its place in err->where); ERROR_RANGE a budget. The engine's
 * engine_begin runs on_start; a rehearsal runs it by guest_rehearse. */
MUST_CHECK int guest_open(const struct guest_options *options, struct guest *out,
                          struct error *err);

/* Rehearsal: runs on_start so that its series register and warm up; the guest then says by
 * guest.ready when they are. */
MUST_CHECK int guest_rehearse(struct guest *guest, struct error *err);

/* Changes the live params of a running guest to those of `params`, for its next callback on; the
 * engine's GUEST_PARAMS then tells on_params(ctx, p, changed), where changed holds the old value of
 * each name that changed. ERROR_REFUSED names a param that is not live; nothing has changed then.
 */
MUST_CHECK int guest_set_params(struct guest *guest, const struct params *params,
                                struct error *err);

/* The longest history each instrument's bars need, for QUERY_BARS, is asked of the market itself
 * (bars_needed). The bars a guest asked for, after on_start: */
size_t guest_bars(const struct guest *guest, struct bars *const **list);
/* ctx.state as canonical JSON, whether it changed or not. */
void guest_state(const struct guest *guest, struct text *body);

#endif
