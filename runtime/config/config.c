/* config.c - file, environment and flags into one immutable set of values.
 *
 * Order of work: the flags are read first, for a wrong one is a usage error whatever the file says;
 * then the file, then the environment; then the flags are laid on top. */
#include "runtime/config/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/config/places.h"
#include "runtime/config/rules.h"
#include "runtime/config/store.h"
#include "runtime/config/walk.h"
#include "runtime/config/yaml.h"
#include "runtime/domain/instrument.h"

#define VENUES_MAX 128
#define LINE_MAX_BYTES 4096
#define BEGINNING_MIN 10 /* letters of a name that was left unfinished: MAX_PORTFOLIO_VOL */
#define NEAR_MAX 24      /* names that a near miss is compared with */

struct config {
    struct store store;
    const char *venues[VENUES_MAX + 1]; /* malloc'd; of the schema, then those found in brokers/ */
    size_t venue_count;
    char *file;              /* the one that was read, or NULL */
    struct text searched;    /* where it was looked for */
    struct text environment; /* names of the variables that were set */
    struct text flags;       /* names of the flags that were given */
};

struct source {
    const char *(*get)(void *self, const char *name);
    void *self;
};

static const char *look_up(const struct source *source, const char *name)
{
    return source->get ? source->get(source->self, name) : NULL;
}

static void add_word(struct text *text, const char *word)
{
    text_printf(text, "%s%s", text->length ? ", " : "", word);
}

/* ---- directories ---- */

static bool user_directory(const struct source *source, char *out, size_t size)
{
    return places_user(source->get, source->self, out, size);
}

/* ---- venues ---- */

static bool is_venue_file(const char *name, char venue[VENUE_MAX])
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length > 0 && length < VENUE_MAX && strcmp(name + length, ".lua") == 0 &&
           text_copy_span(venue, VENUE_MAX, name, length);
}

static void add_venue(struct config *config, const char *venue)
{
    for (size_t i = 0; i < config->venue_count; i++)
        if (strcmp(config->venues[i], venue) == 0)
            return;
    if (config->venue_count < VENUES_MAX)
        config->venues[config->venue_count++] = value_clone(venue);
}

static void add_venues_of(struct config *config, const char *directory)
{
    char path[LINE_MAX_BYTES];
    snprintf(path, sizeof(path), "%s/brokers", directory);
    DIR *files = opendir(path);
    if (!files)
        return;
    char venue[VENUE_MAX];
    for (const struct dirent *file; (file = readdir(files));)
        if (is_venue_file(file->d_name, venue))
            add_venue(config, venue);
    closedir(files);
}

/* A new venue is a file in brokers/: nothing in C has to learn its name. */
static void find_venues(struct config *config, const struct source *source)
{
    for (const char *const *known = schema_venues(); *known; known++)
        add_venue(config, *known);
    char directory[LINE_MAX_BYTES];
    add_venues_of(config, ".");
    if (user_directory(source, directory, sizeof(directory)))
        add_venues_of(config, directory);
    add_venues_of(config, places_installed());
}

/* ---- values from outside the file ---- */

/* Items parted by commas, blanks around them dropped. The first that is wrong is kept in *wrong,
 * for the caller to free; *twice when it stands there a second time. */
static bool read_outside_list(struct value *value, const char *text, venue_names venues,
                              char **wrong, bool *twice)
{
    char *copy = value_clone(text);
    for (char *item = copy, *end; item && !*wrong; item = end) {
        end = strchr(item, ',');
        if (end)
            *end++ = '\0';
        item += strspn(item, " ");
        size_t length = strlen(item);
        while (length > 0 && item[length - 1] == ' ')
            item[--length] = '\0';
        *twice = value_has(value, item);
        if (*twice || value->count == VALUE_ITEMS_MAX ||
            !value_add(value, item, VALUE_OUTSIDE, venues))
            *wrong = value_clone(item);
    }
    free(copy);
    return !*wrong;
}

/* Reads a variable or flag into *value; false after a fault. Without `faults` nobody is told. */
static bool read_outside(const struct store *store, struct faults *faults, struct value *value,
                         const char *where, const char *text)
{
    const struct schema_key *key = value->key;
    char *wrong = NULL;
    bool twice = false;
    bool right = key->flags & FLAG_LIST
                     ? read_outside_list(value, text, store->venues, &wrong, &twice)
                     : value_read(value, text, VALUE_OUTSIDE, store->venues);
    if (!right && faults) {
        struct text message;
        text_init(&message, LINE_MAX_BYTES);
        if (twice)
            text_printf(&message, "found %s twice; allowed once", wrong);
        else
            value_explain(&message, key, wrong ? wrong : text, VALUE_OUTSIDE, store->venues);
        faults_add_at(faults, where, key->path, "%s", message.data);
        text_release(&message);
    }
    free(wrong);
    return right;
}

/* ---- environment ---- */

/* faults may be NULL: then a wrong value is passed over. */
static void take_variable(struct config *config, struct faults *faults, const struct source *source,
                          const struct schema_key *key, const char *name)
{
    const char *text = look_up(source, name);
    char where[96];
    if (!text)
        return;
    snprintf(where, sizeof(where), "environment %s", name);

    struct value value = { .key = key, .number = DECIMAL_NONE, .source = FROM_ENVIRONMENT };
    if (read_outside(&config->store, faults, &value, where, text)) {
        value.origin = value_clone(where);
        store_offer(&config->store, key->path, &value);
    } else {
        store_spoil(&config->store, key->path);
    }
    value_release(&value);
    if (faults)
        add_word(&config->environment, name);
}

/* TRADING_MODE sets two lines: the mode, and the gate that must know what the environment said
 * though a flag stands above it. A fault of it is told once. */
static bool is_second_line(const struct schema_key *key)
{
    for (size_t i = 0; i < schema_index(key); i++)
        if (schema_at(i)->environment && strcmp(schema_at(i)->environment, key->environment) == 0)
            return true;
    return false;
}

/* Limits are known in lower case too (max_daily_loss_usd=50). */
static void take_environment(struct config *config, struct faults *faults,
                             const struct source *source)
{
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        if (!key->environment)
            continue;
        take_variable(config, is_second_line(key) ? NULL : faults, source, key, key->environment);
        if (key->flags & FLAG_LIMIT)
            take_variable(config, faults, source, key, strrchr(key->path, '.') + 1);
    }
    /* The other name that files accept: a limit that somebody set must not be passed over. */
    const struct schema_key *loss = schema_find("risk.max_daily_loss_usd");
    take_variable(config, faults, source, loss, "MAX_DAILY_LOSS");
    take_variable(config, faults, source, loss, "max_daily_loss");
}

/* ---- flags ---- */

struct flag {
    const char *path, *name, *text; /* text NULL: not given */
    struct value value;
};

#define FLAGS 6

static void list_flags(const struct config_flags *given, struct flag flags[FLAGS])
{
    const struct flag list[FLAGS] = {
        { .path = "trading.mode", .name = "--mode", .text = given->mode },
        { .path = "trading.broker", .name = "--broker", .text = given->broker },
        { .path = "trading.symbols", .name = "--symbols", .text = given->symbols },
        { .path = "trading.capital", .name = "--capital", .text = given->capital },
        { .path = "trading.duration", .name = "--duration", .text = given->duration },
        { .path = "logging.level", .name = "--log-level", .text = given->log_level },
    };
    memcpy(flags, list, sizeof(list));
}

/* --live and --mode live are the same; people say --live. */
static void name_mode(struct value *value)
{
    struct text origin;
    text_init(&origin, LINE_MAX_BYTES);
    text_printf(&origin, "--%s", value->text);
    free(value->origin);
    value->origin = origin.data;
}

static void read_flags(struct config *config, struct faults *faults, struct flag flags[FLAGS])
{
    for (size_t i = 0; i < FLAGS; i++) {
        struct flag *flag = &flags[i];
        if (!flag->text)
            continue;
        flag->value = (struct value){
            .key = schema_find(flag->path),
            .number = DECIMAL_NONE,
            .source = FROM_FLAG,
            .origin = value_clone(flag->name),
        };
        add_word(&config->flags, flag->name);
        if (read_outside(&config->store, faults, &flag->value, flag->name, flag->text) &&
            strcmp(flag->path, "trading.mode") == 0)
            name_mode(&flag->value);
    }
}

static void take_flags(struct config *config, struct flag flags[FLAGS])
{
    for (size_t i = 0; i < FLAGS; i++)
        if (flags[i].text)
            store_offer(&config->store, flags[i].path, &flags[i].value);
}

/* ---- the file ---- */

/* Whatever is there counts as found, readable or not: a broken file is never passed over. */
static bool is_there(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static bool try_file(struct config *config, const char *path)
{
    add_word(&config->searched, path);
    if (!is_there(path))
        return false;
    config->file = value_clone(path);
    return true;
}

/* CONTRACT section 4: the first config/runtime.yaml of three places. */
static void search_file(struct config *config, const struct source *source)
{
    char directory[LINE_MAX_BYTES], path[LINE_MAX_BYTES + 64];
    if (try_file(config, "config/runtime.yaml"))
        return;
    if (user_directory(source, directory, sizeof(directory))) {
        snprintf(path, sizeof(path), "%s/config/runtime.yaml", directory);
        if (try_file(config, path))
            return;
        snprintf(path, sizeof(path), "%s/runtime.yaml", directory);
        if (try_file(config, path))
            return;
    }
    snprintf(path, sizeof(path), "%s/config/runtime.yaml", places_installed());
    try_file(config, path);
}

static int read_file(struct config *config, struct faults *faults, struct text *told,
                     const char *named_by, struct error *err)
{
    char *bytes;
    size_t length;
    struct error why = { 0 };
    int code = text_read_file(config->file, YAML_FILE_MAX, &bytes, &length, &why);
    if (code) {
        code = code == ERROR_NO_INPUT ? ERROR_NO_INPUT : ERROR_CONFIG;
        faults_add_at(faults, *config->file ? config->file : named_by, "",
                      "%s; allowed a YAML file of at most 1 MiB%s%s%s", why.message,
                      named_by ? " (" : "", named_by ? named_by : "", named_by ? " names it)" : "");
        return faults_tell(faults, code, told, err);
    }
    faults->file = config->file;
    struct yaml_node *root = yaml_parse(bytes, length, faults);
    if (root)
        walk_file(&config->store, faults, root);
    yaml_release(root);
    free(bytes);
    return 0;
}

static int take_file(struct config *config, const struct config_flags *flags,
                     const struct source *source, struct faults *faults, struct text *told,
                     struct error *err)
{
    const char *named_by = "--config", *named = flags->config_path;
    if (!named) {
        named_by = "CONFIG_PATH";
        named = look_up(source, "CONFIG_PATH");
    }
    if (named) {
        add_word(&config->searched, named_by);
        config->file = value_clone(named);
    } else {
        named_by = NULL;
        search_file(config, source);
    }
    return config->file ? read_file(config, faults, told, named_by, err) : 0;
}

/* ---- loading ---- */

static struct config *make_config(const struct source *source)
{
    struct config *config = memory_new(sizeof(*config));
    text_init(&config->searched, 4 * LINE_MAX_BYTES);
    text_init(&config->environment, LINE_MAX_BYTES);
    text_init(&config->flags, LINE_MAX_BYTES);
    find_venues(config, source);
    store_init(&config->store, config->venues);
    return config;
}

void config_release(struct config *config)
{
    if (!config)
        return;
    store_release(&config->store);
    for (size_t i = 0; i < config->venue_count; i++)
        free((void *)(uintptr_t)config->venues[i]); /* ours: value_clone made each */
    free(config->file);
    text_release(&config->searched);
    text_release(&config->environment);
    text_release(&config->flags);
    free(config);
}

static int load(struct config *config, const struct config_flags *given,
                const struct source *source, struct flag flags[FLAGS], struct faults *faults,
                struct text *told, struct error *err)
{
    read_flags(config, faults, flags);
    if (faults->count > 0)
        return faults_tell(faults, ERROR_USAGE, told, err);

    int code = take_file(config, given, source, faults, told, err);
    if (code)
        return code;
    walk_defaults(&config->store);
    take_environment(config, faults, source);
    take_flags(config, flags);
    rules_settle(&config->store, faults);
    return faults->count > 0 ? faults_tell(faults, ERROR_CONFIG, told, err) : 0;
}

int config_load(const struct config_flags *flags,
                const char *(*environment)(void *self, const char *name), void *self,
                struct config **out, struct text *faults, struct error *err)
{
    struct source source = { .get = environment, .self = self };
    struct config *config = make_config(&source);
    struct faults found = { .file = NULL };
    struct flag list[FLAGS];
    list_flags(flags, list);

    int code = load(config, flags, &source, list, &found, faults, err);
    for (size_t i = 0; i < FLAGS; i++)
        value_release(&list[i].value);
    faults_release(&found);
    if (code) {
        config_release(config);
        config = NULL;
    }
    *out = config;
    return code;
}

/* ---- reading values ---- */

static const struct value *get(const struct config *config, const char *key)
{
    const struct value *value = store_find(&config->store, key);
    ASSERT(value);
    ASSERT(value->key->kind != KIND_ROWS && value->key->kind != KIND_ENTRIES);
    return value;
}

static bool is_number(const struct value *value)
{
    enum kind kind = value->key->kind;
    return kind == KIND_INTEGER || kind == KIND_DECIMAL || kind == KIND_FRACTION;
}

const char *config_string(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(!(value->key->flags & FLAG_LIST));
    return value->text;
}

decimal config_decimal(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(is_number(value));
    return value->null ? DECIMAL_NONE : value->number;
}

double config_number(const struct config *config, const char *key)
{
    decimal number = config_decimal(config, key);
    return decimal_valid(number) ? decimal_to_double(number) : (double)NAN;
}

int64_t config_integer(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(value->key->kind == KIND_INTEGER);
    return value->integer;
}

int64_t config_duration(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(value->key->kind == KIND_DURATION);
    return value->integer;
}

bool config_bool(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(value->key->kind == KIND_BOOL);
    return value->integer;
}

enum config_source config_source(const struct config *config, const char *key)
{
    return get(config, key)->source;
}

const char *config_origin(const struct config *config, const char *key)
{
    return get(config, key)->origin;
}

bool config_set_by_user(const struct config *config, const char *key)
{
    return config_source(config, key) != FROM_DEFAULT;
}

size_t config_list_count(const struct config *config, const char *key)
{
    const struct value *value = get(config, key);
    ASSERT(value->key->flags & FLAG_LIST);
    return value->count;
}

const char *config_list_at(const struct config *config, const char *key, size_t index)
{
    const struct value *value = get(config, key);
    ASSERT((value->key->flags & FLAG_LIST) && index < value->count);
    return value->items[index];
}

size_t config_members(const struct config *config, const char *map)
{
    size_t count = 0;
    while (store_member(&config->store, map, count))
        count++;
    return count;
}

const char *config_member(const struct config *config, const char *map, size_t index)
{
    const struct store_member *member = store_member(&config->store, map, index);
    ASSERT(member);
    return member->name;
}

bool config_has(const struct config *config, const char *path)
{
    const struct value *value = store_at(&config->store, path);
    return (value && !value->null) || store_is_member(&config->store, path);
}

/* ---- everything ---- */

/* A line of the schema with a star, or a mapping, holds no value of its own. */
static bool is_shown(const struct value *value)
{
    return value->path && value->key->kind != KIND_ROWS && value->key->kind != KIND_ENTRIES;
}

size_t config_count(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->store.count; i++)
        count += is_shown(&config->store.values[i]);
    return count;
}

const char *config_key(const struct config *config, size_t index)
{
    for (size_t i = 0; i < config->store.count; i++)
        if (is_shown(&config->store.values[i]) && index-- == 0)
            return config->store.values[i].path;
    ASSERT(false);
    return NULL;
}

void config_show(const struct config *config, const char *key, struct text *out)
{
    value_show(out, get(config, key));
}

static bool is_read(const char *name)
{
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        if (!key->environment)
            continue;
        if (strcmp(key->environment, name) == 0 ||
            ((key->flags & FLAG_LIMIT) && strcmp(strrchr(key->path, '.') + 1, name) == 0))
            return true;
    }
    return strcmp(name, "MAX_DAILY_LOSS") == 0 || strcmp(name, "max_daily_loss") == 0;
}

const char *config_near_variable(const char *name)
{
    const char *names[NEAR_MAX + 1];
    char upper[64];
    size_t count = 0;
    if (is_read(name) || !text_copy(upper, sizeof(upper), name))
        return NULL;
    for (char *at = upper; *at; at++)
        *at = (char)toupper((unsigned char)*at);
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_key *key = schema_at(i);
        if (!key->environment ||
            (!(key->flags & FLAG_LIMIT) && strcmp(key->environment, "EMERGENCY_STOP") != 0))
            continue;
        ASSERT(count < NEAR_MAX);
        if (strlen(upper) >= BEGINNING_MIN && text_starts_with(key->environment, upper))
            return key->environment;
        names[count++] = key->environment;
    }
    names[count] = NULL;
    return text_nearest(upper, names);
}

static void log_steps(const struct config *config, struct log *log)
{
    if (config->file)
        LOG(log, LOG_INFO, "config", "step 1: configuration file", F_STR("file", config->file));
    else
        LOG(log, LOG_INFO, "config", "step 1: no configuration file found",
            F_STR("searched", config->searched.data));
    const char *environment = config->environment.data, *flags = config->flags.data;
    LOG(log, LOG_INFO, "config", "step 2: environment",
        F_STR("variables", *environment ? environment : "none"));
    LOG(log, LOG_INFO, "config", "step 3: defaults for the rest; flags stand above all",
        F_STR("flags", *flags ? flags : "none"));
    for (size_t i = 0; i < config->store.note_count; i++)
        log_line(log, LOG_INFO, "config", config->store.notes[i]);
}

void config_log(const struct config *config, struct log *log)
{
    log_steps(config, log);
    struct text shown;
    text_init(&shown, 4 * LINE_MAX_BYTES);
    for (size_t i = 0; i < config->store.count; i++) {
        const struct value *value = &config->store.values[i];
        bool symbols = value->path && strcmp(value->path, "trading.symbols") == 0;
        if (!is_shown(value) || (value->source == FROM_DEFAULT && !symbols))
            continue;
        text_clear(&shown);
        value_show(&shown, value);
        LOG(log, LOG_INFO, "config", "setting", F_STR("key", value->path),
            F_STR("value", shown.data), F_STR("origin", value->origin));
    }
    text_release(&shown);
}
