/* config.h - what the user decided, where each value came from, and whether it is allowed.
 *
 * Three explicit steps: the YAML file, the environment, the built-in defaults; flags stand above
 * all. Precedence of a setting: flag > environment > file > default. Exceptions (CONTRACT 2 and 4):
 * symbols alone: flag > strategies[].symbols > the strategy's own > trading.symbols >
 * TRADING_SYMBOLS > default; a limit set in two places takes the stricter value; a safety switch
 * takes the safe side.
 *
 * One table in schema.c says every key: path, kind, range, default, environment name. Unknown and
 * duplicate keys, wrong types and values out of range are all reported at once, each as
 * file:line:column, key path, what was found, what is allowed, with the nearest known name. */
#ifndef RUNTIME_CONFIG_CONFIG_H
#define RUNTIME_CONFIG_CONFIG_H

#include "runtime/base/base.h"
#include "runtime/base/decimal.h"
#include "runtime/base/error.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"

enum config_source { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

/* What the command line said; NULL or 0 where it was silent. Strings are borrowed. */
struct config_flags {
    const char *config_path; /* --config */
    const char *mode;        /* --paper --live --backtest --mode */
    const char *broker;
    const char *symbols; /* "A,B" */
    const char *capital;
    const char *duration; /* seconds */
    const char *log_level;
};

struct config; /* opaque, immutable after config_load */

/* Reads file (per --config, CONFIG_PATH, or the search path of CONTRACT section 4), environment and
 * flags. `environment` is getenv in the program, a table in tests.
 * ERROR_NO_INPUT the named file is missing; ERROR_CONFIG every fault in `faults` (one line each,
 * err->message the first, err->where its file:line:column); ERROR_USAGE a flag's value is not
 * allowed. */
MUST_CHECK int config_load(const struct config_flags *flags,
                           const char *(*environment)(void *self, const char *name), void *self,
                           struct config **out, struct text *faults, struct error *err);
void config_release(struct config *config);
/* One log line per step: which file or none, which environment names, which flags; then one line
 * per value that is not a default, with its origin. */
void config_log(const struct config *config, struct log *log);

/* Values by key path ("trading.capital"). ASSERTs that the schema has the key with that kind;
 * config_string takes any scalar (as text, canonical), config_decimal and config_number any number.
 * What the environment alone may decide stands under "switches.": trading_mode, paper_trading,
 * live_trading_enabled, environment, emergency_stop; a switch that is not set is on its safe side.
 */
const char *config_string(const struct config *config, const char *key); /* NULL when null */
decimal config_decimal(const struct config *config, const char *key);  /* DECIMAL_NONE when null */
double config_number(const struct config *config, const char *key);    /* NaN when null */
int64_t config_integer(const struct config *config, const char *key);  /* 0 when null */
int64_t config_duration(const struct config *config, const char *key); /* ns */
bool config_bool(const struct config *config, const char *key);
enum config_source config_source(const struct config *config, const char *key);
/* "default", "config/runtime.yaml:12:3", "environment EQUITY_USD", "--capital" */
const char *config_origin(const struct config *config, const char *key);
bool config_set_by_user(const struct config *config, const char *key); /* not FROM_DEFAULT */

/* Lists of strings: trading.symbols, trading.broker, ... */
size_t config_list_count(const struct config *config, const char *key);
const char *config_list_at(const struct config *config, const char *key, size_t index);

/* Maps whose names the user chooses: strategies[] (by index), instruments.SYMBOL, brokers.NAME,
 * risk.symbols.SYMBOL, ... A member is the name; map "." name "." key is a path for the getters
 * above, for instance config_member(c, "instruments", 0) -> "BTC/USDT:USDT", then
 * config_has(c, "instruments.BTC/USDT:USDT.tick_size"); config_member(c, "strategies", 0) -> "0",
 * then config_string(c, "strategies.0.file"). A getter asked for a key that was not set under such
 * a name gives the schema's default. */
size_t config_members(const struct config *config, const char *map);
const char *config_member(const struct config *config, const char *map, size_t index);
bool config_has(const struct config *config,
                const char *path); /* set to a value that is not null */

/* The variable of a limit, or EMERGENCY_STOP, that somebody who sets `name` seems to mean. NULL:
 * none is near, or `name` is read itself. */
const char *config_near_variable(const char *name);

/* Every key with its value, for `config show`: the schema in its order, then the user's own names.
 * config_show appends the value as people write it; secrets are "(hidden)". */
size_t config_count(const struct config *config);
const char *config_key(const struct config *config, size_t index);
void config_show(const struct config *config, const char *key, struct text *out);

#endif
