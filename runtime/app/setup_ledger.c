/* setup_ledger.c - the state directory, its lock, and what an earlier session left there. */
#include "runtime/app/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/operate/latch.h"

int setup_state_path(const struct session *session, const char *name, char *out, size_t size,
                     struct error *err)
{
    int length = snprintf(out, size, "%s/%s", session->state_dir, name);
    if (length < 0 || (size_t)length >= size)
        return error_set(err, ERROR_USAGE, "--state %s: the path is too long", session->state_dir);
    return 0;
}

/* ---- the directory and its lock
 * ------------------------------------------------------------------- */

int setup_lock(struct session *session, struct error *err)
{
    char path[600];
    int code = setup_state_path(session, "lock", path, sizeof(path), err);
    if (code < 0 || session->lock_fd >= 0)
        return code;
    session->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (session->lock_fd < 0)
        return error_at(err, ERROR_IO, path,
                        "cannot write to the state directory: %s; choose another with --state",
                        strerror(errno));
    if (flock(session->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return error_at(
            err, ERROR_UNAVAILABLE, session->state_dir,
            "another runtime uses this state directory; stop it, or choose another with --state");
    return 0;
}

/* What --fresh moves aside: the ledger with its side files, the checkpoint and the quarantine. */
static int move_aside(struct session *session, int64_t wall_ns, struct error *err)
{
    static const char *const names[] = { "ledger-paper.sqlite",
                                         "ledger-paper.sqlite-wal",
                                         "ledger-paper.sqlite-shm",
                                         "audit-paper.head",
                                         "checkpoints/paper_state_latest.json",
                                         "quarantine",
                                         "journal" };
    char stamp[TIME_TEXT_MAX], folder[700], from[700], to[1500];
    time_format(wall_ns, stamp);
    snprintf(folder, sizeof(folder), "%s/backups/%s", session->state_dir, stamp);
    int code = text_make_directories(folder, err);
    for (size_t i = 0; code == 0 && i < ARRAY_SIZE(names); i++) {
        snprintf(from, sizeof(from), "%s/%s", session->state_dir, names[i]);
        const char *base = strrchr(names[i], '/');
        snprintf(to, sizeof(to), "%s/%s", folder, base ? base + 1 : names[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return error_at(err, ERROR_IO, from, "cannot move to %s: %s", to, strerror(errno));
    }
    if (code == 0)
        LOG(session->log, LOG_INFO, "session", "old session moved aside", F_STR("to", folder));
    return code;
}

/* The watchdog's record of a callback that it ended the process in (watchdog.c has its form). */
static int read_quarantine(struct session *session, struct error *err)
{
    char path[600], *bytes;
    size_t length;
    int code = setup_state_path(session, "quarantine", path, sizeof(path), err);
    if (code < 0)
        return code;
    session->quarantine_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (session->quarantine_fd < 0)
        return error_at(err, ERROR_IO, path, "cannot open: %s", strerror(errno));
    if ((code = text_read_file(path, 64 * 1024, &bytes, &length, err)) < 0)
        return code;
    char *end = memchr(bytes, '\n', length);
    struct json *root = NULL;
    if (end && json_parse(bytes, (size_t)(end - bytes), &root, NULL) == 0) {
        struct quarantine *quarantine = &session->quarantine;
        const char *hash = json_as_string(json_get(root, "source_hash"));
        const char *instance = json_as_number_text(json_get(root, "instance_id"));
        const char *event = json_as_number_text(json_get(root, "event"));
        if (hash && instance && event) {
            quarantine->set = true;
            text_copy(quarantine->hash, sizeof(quarantine->hash), hash);
            quarantine->instance_id = (uint32_t)strtoul(instance, NULL, 10);
            quarantine->event = strtoull(event, NULL, 10);
            LOG(session->log, LOG_WARN, "session", "a strategy is quarantined",
                F_STR("strategy", json_as_string(json_get(root, "strategy"))),
                F_STR("symbol", json_as_string(json_get(root, "symbol"))),
                F_INT("event", (int64_t)quarantine->event));
        }
        json_release(root);
    }
    free(bytes);
    return 0;
}

/* A changed file lifts the quarantine: it is about one content. */
void session_lift_quarantine(struct session *session)
{
    if (!session->quarantine.set)
        return;
    for (size_t i = 0; i < session->strategy_count; i++)
        if (strcmp(session->strategies[i].code->source.hash, session->quarantine.hash) == 0)
            return;
    session->quarantine.set = false;
    if (ftruncate(session->quarantine_fd, 0) == 0)
        log_line(session->log, LOG_INFO, "session", "quarantine lifted: the file has changed");
}

static int refuse_emergency(struct session *session, struct error *err)
{
    char path[600];
    struct stat status;
    int code = setup_state_path(session, "EMERGENCY_STOP", path, sizeof(path), err);
    if (code < 0)
        return code;
    if (config_bool(session->config, "switches.emergency_stop"))
        return error_set(err, ERROR_HALTED,
                         "EMERGENCY_STOP is set in the environment; unset it to trade");
    if (stat(path, &status) == 0)
        return error_at(err, ERROR_HALTED, path, "this file stops all trading; remove it to trade");
    return 0;
}

int setup_state(struct session *session, struct error *err)
{
    if (session->world && session->world->without_files)
        return 0;
    static const char *const folders[] = { "", "logs", "checkpoints", "journal", "backups" };
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
        char path[600];
        if ((code = setup_state_path(session, folders[i], path, sizeof(path), err)) == 0)
            code = text_make_directories(path, err);
        if (code < 0)
            return error_wrap(err, "--state must name a directory that can be written");
    }
    if ((code = setup_lock(session, err)) < 0)
        return code;
    if (session->options->fresh && (code = move_aside(session, clock_now(session->wall), err)) < 0)
        return code;
    char path[600];
    if ((code = setup_state_path(session, "logs/events.jsonl", path, sizeof(path), err)) < 0)
        return code;
    if (session->log && config_bool(session->config, "logging.file") &&
        (code = log_attach_file(session->log, path, err)) < 0)
        return code;
    if ((code = refuse_emergency(session, err)) < 0)
        return code;
    if (session_goes_on(session) &&
        (code = latch_open(session->state_dir, session->mode, &session->latch_fd, err)) < 0)
        return code;
    return read_quarantine(session, err);
}

/* ---- the session's place in the ledger
 * --------------------------------------------------------------- */

static void write_params(const struct strategy_info *info, const struct params *params,
                         struct json_writer *writer)
{
    json_key(writer, "params");
    json_object_begin(writer);
    for (size_t i = 0; i < info->param_count; i++) {
        char value[80];
        param_format(&params->values[i], value, sizeof(value));
        json_key(writer, info->params[i].name);
        json_string(writer, value);
    }
    json_object_end(writer);
}

static void write_limits(const struct risk_limits *limits, struct json_writer *writer)
{
    json_array_begin(writer);
    for (enum limit i = 0; i < LIMITS; i++)
        json_decimal(writer, limits->value[i]);
    json_array_end(writer);
}

/* What decides the outcome of a run, but for the bytes of the strategy files, which the journal
 * holds: equal text is the same command. */
void setup_write_command(struct session *session, struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    json_object_begin(writer);
    json_key(writer, "seed");
    json_int(writer, (int64_t)session->seed);
    json_key(writer, "clock_start_ns");
    json_int(writer, session->options->clock_start_ns);
    json_key(writer, "capital");
    json_decimal(writer, session->capital);
    json_key(writer, "duration_ns");
    json_int(writer, config_duration(session->config, "trading.duration"));
    json_key(writer, "feeds");
    json_array_begin(writer);
    for (size_t i = 0; i < session->feed_count; i++) {
        const struct session_feed *feed = &session->feeds[i];
        json_object_begin(writer);
        json_key(writer, "symbol");
        json_string(writer, feed->symbol);
        json_key(writer, "sha256");
        json_string(writer, feed->info.hash);
        json_key(writer, "rows");
        json_int(writer, (int64_t)feed->info.rows);
        json_key(writer, "timeframe_ns");
        json_int(writer, feed->info.timeframe_ns);
        json_key(writer, "columns");
        json_string(writer, feed->options.columns);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_key(writer, "instruments");
    json_array_begin(writer);
    for (uint32_t i = 0; i < session->instruments.count; i++) {
        const struct instrument *instrument = &session->instruments.list[i];
        json_object_begin(writer);
        json_key(writer, "symbol");
        json_string(writer, instrument->symbol);
        json_key(writer, "tick_size");
        json_decimal(writer, instrument->tick_size);
        json_key(writer, "lot_size");
        json_decimal(writer, instrument->lot_size);
        json_key(writer, "multiplier");
        json_decimal(writer, instrument->multiplier);
        json_key(writer, "leverage");
        json_decimal(writer, instrument->leverage);
        json_key(writer, "min_notional");
        json_decimal(writer, instrument->min_notional);
        json_key(writer, "short");
        json_bool(writer, instrument->short_allowed);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_key(writer, "models");
    json_object_begin(writer);
    static const char *const models[] = { "backtest.fees.maker", "backtest.fees.taker",
                                          "backtest.slippage_bps" };
    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        json_key(writer, models[i]);
        json_decimal(writer, config_decimal(session->config, models[i]));
    }
    json_key(writer, "risk");
    setup_write_risk(session, writer);
    json_key(writer, "slippage");
    json_string(writer, config_string(session->config, "backtest.slippage_model"));
    json_key(writer, "fill_on");
    json_string(writer, config_string(session->config, "backtest.fill_on"));
    json_key(writer, "latency_ns");
    json_int(writer, config_duration(session->config, "backtest.latency"));
    json_object_end(writer);
    json_key(writer, "instances");
    json_array_begin(writer);
    for (int i = 0; i < session->instance_count && !session->only_remains; i++) {
        const struct session_instance *instance = &session->instances[i];
        json_object_begin(writer);
        json_key(writer, "file");
        json_string(writer, instance->record.file);
        json_key(writer, "symbol");
        json_string(writer, instance->record.symbol);
        json_key(writer, "capital");
        json_decimal(writer, instance->record.capital);
        json_key(writer, "limits");
        write_limits(&session->strategies[instance->strategy].limits, writer);
        json_key(writer, "on_error");
        json_int(writer, session->strategies[instance->strategy].on_error);
        const struct strategy *strategy = &session->strategies[instance->strategy];
        write_params(&strategy->code->info, &strategy->code->params[i - strategy->first_instance],
                     writer);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
    json_writer_close(writer);
}

/* A sim session goes on in the market that it began in: another seed or beginning would move prices
 * under what is held. */
static int check_same_market(const struct session *session, const struct session_record *last,
                             struct error *err)
{
    struct json *config;
    if (json_parse(last->config, strlen(last->config), &config, err) < 0)
        return error_wrap(err, "read the last session's configuration");
    const char *seed = json_as_number_text(json_get(config, "seed"));
    const char *start = json_as_number_text(json_get(config, "clock_start_ns"));
    bool same_seed = !seed || strtoull(seed, NULL, 10) == session->seed;
    bool same_start = !start || strtoll(start, NULL, 10) == session->options->clock_start_ns;
    char began[TIME_TEXT_MAX] = "";
    if (start)
        time_format(strtoll(start, NULL, 10), began);
    int code = 0;
    if (!same_seed)
        code = error_set(err, ERROR_USAGE,
                         "this state directory goes on in the sim market of seed %s; give --seed "
                         "%s, or begin anew with --fresh",
                         seed, seed);
    else if (!same_start)
        code = error_set(err, ERROR_USAGE,
                         "this state directory goes on in the sim market that began at %s; give "
                         "--clock-start %s, or begin anew with --fresh",
                         began, began);
    json_release(config);
    return code;
}

static int begin_session(struct session *session, const char *config, struct error *err)
{
    const char *source = session->source == SOURCE_SIM     ? "sim"
                         : session->source == SOURCE_VENUE ? session->world->venue
                                                           : "feed";
    struct session_record last = { 0 };
    bool found = false;
    int code = ledger_last_session(session->ledger, session->mode, source, &found, &last, err);
    if (code < 0)
        return code;
    bool unclean = found && last.ended_ns == TIME_NEVER;
    bool replay = session->source == SOURCE_FEED && unclean && !session->another_command &&
                  strcmp(last.config, config) == 0;
    struct session_record *record = &session->record;
    if (replay) {
        *record = last;
        session->resumed = session->catching_up = true;
        LOG(session->log, LOG_WARN, "session", "the last run did not end cleanly: replaying it",
            F_INT("session", record->session_id), F_INT("events", (int64_t)record->events));
        return ledger_session_begin(session->ledger, record, true, true, 0, err);
    }
    if (session->source == SOURCE_FEED && unclean && !session->another_command)
        log_line(session->log, LOG_WARN, "session", SETUP_ANOTHER_COMMAND);
    text_copy(record->mode, sizeof(record->mode), session->mode);
    text_copy(record->source, sizeof(record->source), source);
    text_copy(record->build, sizeof(record->build), RUNTIME_VERSION);
    record->config = strdup(config);
    record->ended_ns = TIME_NEVER;
    session->resumed = session_goes_on(session) && found;
    if (session->resumed && session->source == SOURCE_SIM &&
        (code = check_same_market(session, &last, err)) < 0) {
        session_record_release(&last);
        return code;
    }
    if (session->resumed && last.market_ns > session->now_ns)
        session->now_ns = last.market_ns;
    record->started_ns = record->market_ns = session->now_ns;
    session->known_until_ns = session->resumed ? last.market_ns : session->now_ns;
    session_record_release(&last);
    if (session->resumed) {
        char time[TIME_TEXT_MAX];
        LOG(session->log, unclean ? LOG_WARN : LOG_INFO, "session", "resuming from the ledger",
            F_STR("market_time", time_format(session->now_ns, time)),
            F_STR("last_end", unclean ? "not clean" : "clean"));
    }
    return ledger_session_begin(session->ledger, record, false, false, clock_now(session->wall),
                                err);
}

static int store_sources(struct session *session, struct error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < session->strategy_count; i++)
        code = session_store_source(session, &session->strategies[i].code->source, err);
    return code;
}

/* The instances' ids, and for those the ledger knows the capital that they began with. */
static int find_instances(struct session *session, struct error *err)
{
    for (int i = 0; i < session->instance_count; i++) {
        struct instance_record *record = &session->instances[i].record;
        decimal asked = record->capital;
        bool is_new;
        text_copy(record->hash, sizeof(record->hash),
                  session->strategies[session->instances[i].strategy].code->source.hash);
        int code = ledger_instance(session->ledger, record, &is_new, err);
        if (code < 0)
            return code;
        if (decimal_cmp(asked, record->capital) != 0)
            LOG(session->log, LOG_WARN, "session",
                "an instance goes on with the capital it began with; --fresh begins with another",
                F_STR("strategy", record->strategy), F_STR("symbol", record->symbol),
                F_DEC("capital", record->capital), F_DEC("asked", asked));
    }
    struct text left;
    text_init(&left, 4096);
    int code = ledger_left_over(session->ledger, &left, err);
    if (code == 0 && left.length > 0)
        LOG(session->log, LOG_WARN, "session",
            "positions of strategies or symbols that do not run now are left as they are, and "
            "nobody watches them",
            F_STR("positions", left.data));
    text_release(&left);
    return code;
}

/* Whether a commit waits for the disk: as the user says, else only where real money is. */
static bool is_power_safe(const struct session *session)
{
    if (!config_set_by_user(session->config, "persistence.durability"))
        return session->source == SOURCE_VENUE;
    return strcmp(config_string(session->config, "persistence.durability"), "power") == 0;
}

int setup_open_ledger(struct session *session, struct error *err)
{
    char path[600], anchor[600], name[40];
    if (session->ledger)
        return 0;
    snprintf(name, sizeof(name), "ledger-%s.sqlite", session->mode);
    int code = setup_state_path(session, name, path, sizeof(path), err);
    snprintf(name, sizeof(name), "audit-%s.head", session->mode);
    if (code == 0)
        code = setup_state_path(session, name, anchor, sizeof(anchor), err);
    if (code < 0)
        return code;
    struct ledger_options options = { .path = path,
                                      .anchor_path = anchor,
                                      .instruments = &session->instruments,
                                      .power_safe = is_power_safe(session) };
    return ledger_open(&options, &session->ledger, err);
}

int setup_ledger(struct session *session, struct error *err)
{
    int code = setup_open_ledger(session, err);
    if (code < 0)
        return code;
    struct text config;
    text_init(&config, SESSION_CONFIG_MAX);
    setup_write_command(session, &config);
    code = begin_session(session, config.data, err);
    text_release(&config);
    if (session->source == SOURCE_FEED)
        ledger_group_turns(session->ledger);
    if (code == 0)
        code = store_sources(session, err);
    if (code == 0 && !session->only_remains)
        code = find_instances(session, err);
    if (code == 0)
        code = setup_keeper(session, err);
    session_lift_quarantine(session);
    return code;
}

/* ---- what rested and what was held
 * ---------------------------------------------------------------------- */

struct restoring {
    struct session *session;
    int instance; /* the engine's */
    uint32_t instance_id;
};

/* A simulated venue died with us and is told what rested there; what was under way is asked for
 * again, which is safe: it is the same order. A venue that outlived us is asked how things stand
 * (engine_resume). */
static int restore_order(void *self, const struct order *order, struct error *err)
{
    struct session *session = ((struct restoring *)self)->session;
    const struct venue_port *venue = &session->venue;
    int code = engine_restore_order(session->engine, order, err);
    if (code < 0 || !venue->restore || order->held || !order_is_open(order))
        return code;
    if ((code = venue->restore(venue->self, order, err)) < 0)
        return code;
    if (order->pending & PENDING_CANCEL)
        return venue->cancel(venue->self, order, session->now_ns, err);
    if (order->pending & PENDING_REPLACE)
        return venue->amend(venue->self, order, order->pending_qty, order->pending_price,
                            session->now_ns, err);
    return 0;
}

static int restore_position(void *self, uint32_t instrument, const struct position *position,
                            struct error *err)
{
    struct restoring *restoring = self;
    struct session *session = restoring->session;
    if (session->paper)
        paper_restore_position(session->paper, restoring->instance_id, instrument, position->qty);
    return engine_restore_position(session->engine, restoring->instance, instrument, position, err);
}

static void restore_halt(void *self, const struct halt_record *halt)
{
    struct session *session = self;
    engine_restore_halt(session->engine, halt->scope, halt->code, halt->reason);
    LOG(session->log, LOG_WARN, "risk", "a halt goes on", F_STR("scope", halt->scope),
        F_STR("code", halt->code), F_STR("reason", halt->reason));
}

static void restore_cash(void *self, const struct cash_record *cash)
{
    engine_restore_cash(((struct session *)self)->engine, cash);
}

/* The instance that holds what is nobody's; the engine's index of it follows the others. */
static int open_external(struct session *session, uint32_t *instance_id, struct error *err)
{
    struct instance_record record = { .strategy = "external",
                                      .symbol = "*",
                                      .capital = DECIMAL_ZERO };
    bool is_new;
    int code = ledger_instance(session->ledger, &record, &is_new, err);
    if (code < 0)
        return code;
    *instance_id = record.instance_id;
    engine_set_external(session->engine, record.instance_id);
    return 0;
}

static int restore_instance(struct session *session, int instance, uint32_t instance_id,
                            struct error *err)
{
    struct restoring restoring = { session, instance, instance_id };
    int code =
        ledger_each_position(session->ledger, instance_id, restore_position, &restoring, err);
    if (code < 0)
        return code;
    return ledger_each_open_order(session->ledger, instance_id, restore_order, &restoring, err);
}

/* The day's figures stand in the ledger as what instance 0 remembers. */
static int restore_risk(struct session *session, struct error *err)
{
    char *json = NULL;
    size_t length = 0;
    int code = ledger_state(session->ledger, 0, &json, &length, err);
    if (code >= 0 && json && session->resumed)
        code = engine_restore_risk(session->engine, json, length, err);
    free(json);
    return code < 0 ? code : 0;
}

/* The first stage of a live rollout opens after clean days on paper, in the same state directory.
 */
static int count_paper_days(struct session *session, struct error *err)
{
    char path[600];
    struct ledger *paper = NULL;
    uint32_t days = 0;
    int code = setup_state_path(session, "ledger-paper.sqlite", path, sizeof(path), err);
    if (strcmp(session->mode, "live") != 0 || !config_bool(session->config, "rollout.enabled"))
        return 0;
    if (code < 0 || access(path, F_OK) < 0)
        return code;
    struct ledger_options options = { .path = path };
    if ((code = ledger_open(&options, &paper, err)) == 0)
        code = ledger_clean_days(paper, &days, err);
    ledger_close(paper);
    engine_set_paper_days(session->engine, days);
    return code;
}

int setup_restore(struct session *session, struct error *err)
{
    uint32_t external = 0;
    int code = 0;
    if (!session_goes_on(session))
        return 0;
    if ((code = restore_risk(session, err)) < 0 || (code = count_paper_days(session, err)) < 0)
        return code;
    if (session->source == SOURCE_VENUE && (code = open_external(session, &external, err)) < 0)
        return code;
    for (int i = 0; session->resumed && code == 0 && i < session->instance_count; i++)
        code = restore_instance(session, i, session->instances[i].record.instance_id, err);
    if (code == 0 && session->resumed && external)
        code = restore_instance(session, session->instance_count, external, err);
    if (code == 0)
        code = ledger_each_halt(session->ledger, restore_halt, session, err);
    if (code == 0 && external)
        code = ledger_each_cash(session->ledger, session->world->venue, restore_cash, session, err);
    if (code == 0 && session->source == SOURCE_VENUE)
        code = engine_resume(session->engine, session->now_ns, session->known_until_ns, err);
    return code;
}

/* What was set when nothing could be written is now made true in the ledger too: with a turn that
 * also cancels what a halt cancels. */
int setup_latch(struct session *session, struct error *err)
{
    struct latch_record latch;
    if (session->latch_fd < 0)
        return 0;
    (void)latch_read(session->latch_fd, &latch); /* what cannot be read is set */
    session->latch_is_set = latch.set;
    if (!latch.set || engine_is_halted(session->engine, NULL))
        return 0;
    LOG(session->log, LOG_WARN, "risk", "the latch is set: the session begins halted",
        F_STR("code", latch.code), F_STR("reason", latch.reason));
    return engine_halt(session->engine, session->now_ns, latch.code, latch.reason, latch.emergency,
                       false, err);
}
