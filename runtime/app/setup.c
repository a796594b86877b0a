/* setup.c - session_open: from options and configuration to a session that can be stepped.
 *
 * The order matters: everything a user can get wrong is checked before the state directory is
 * touched; the ledger is opened before anything that could trade exists. */
#include "runtime/app/control.h"
#include "runtime/app/setup.h"
#include "runtime/app/signals.h"
#include "runtime/ledger/keeper.h"
#include "runtime/operate/sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCHDOG_KILL_FACTOR 5
#define EMERGENCY_PATIENCE_NS (2 * NS_PER_SECOND)
#define EMERGENCY_STOP_NS (15 * NS_PER_SECOND)
#define HANG_NS                                                                                    \
    (2 * NS_PER_SECOND) /* silence of a live process, unless the watchdog needs longer */

/* ---- configuration
 * ---------------------------------------------------------------------------------- */

static const char *read_environment(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

/* A limit that nobody reads is missed when it is needed. The value is not shown: it may be a
 * stranger's secret. */
static void warn_of_near_names(const struct session *session)
{
    for (char *const *variable = environ; variable && *variable; variable++) {
        char name[64];
        if (!text_copy_span(name, sizeof(name), *variable, strcspn(*variable, "=")))
            continue;
        const char *meant = config_near_variable(name);
        if (meant)
            LOG(session->log, LOG_WARN, "config", "no variable of this program: it sets nothing",
                F_STR("name", name), F_STR("did_you_mean", meant));
    }
}

static int load_configuration(struct session *session, struct error *err)
{
    const struct options *options = session->options;
    struct config_flags flags = {
        .config_path = options->config,
        .mode = options->mode,
        .broker = options->broker,
        .symbols = options->symbols,
        .capital = options->capital,
        .duration = options->duration,
        .log_level = options->log_level,
    };
    struct text faults;
    text_init(&faults, 1u << 20);
    int code = config_load(&flags, read_environment, NULL, &session->config, &faults, err);
    if (code < 0 && faults.length > 0) {
        /* All faults at once; the first one is the error itself. */
        for (char *line = strtok(faults.data, "\n"); line; line = strtok(NULL, "\n"))
            log_line(session->log, LOG_ERROR, "config", line);
    }
    text_release(&faults);
    if (code < 0)
        return code;
    enum log_level level;
    if (log_level_parse(config_string(session->config, "logging.level"), &level))
        log_set_level(session->log, level);
    config_log(session->config, session->log);
    if (!session->world)
        warn_of_near_names(session);
    return 0;
}

static bool trades_on_sim_alone(const struct config *config)
{
    size_t brokers = config_list_count(config, "trading.broker");
    for (size_t i = 0; i < brokers; i++)
        if (strcmp(config_list_at(config, "trading.broker", i), "sim") != 0)
            return false;
    return true;
}

/* This version trades on the simulated venue only; what is not built is refused, never replaced. */
static int check_mode(struct session *session, struct error *err)
{
    if (session->world)
        return 0;
    const char *mode = config_string(session->config, "trading.mode");
    bool live = strcmp(mode, "live") == 0 || session->options->live_and_paper;
    bool asked = config_source(session->config, "trading.mode") == FROM_FLAG;
    if (live && asked && trades_on_sim_alone(session->config))
        return error_set(err, ERROR_USAGE,
                         "live trading needs a real venue, and sim is none; leave --live out to "
                         "trade on paper");
    if (live)
        return error_set(
            err, ERROR_PERMISSION,
            "live trading and live market data are not in this version: no venue is "
            "built in. Trade on paper (the default), or on recorded data with --feed FILE");
    if (strcmp(mode, "backtest") == 0)
        return error_set(err, ERROR_USAGE,
                         "backtest mode is not in this version; --paper --feed FILE --speed max "
                         "runs a strategy on recorded data");
    if (!trades_on_sim_alone(session->config))
        return error_at(err, ERROR_USAGE, config_origin(session->config, "trading.broker"),
                        "this version trades on the venue 'sim' alone");
    return 0;
}

/* What would not work must not look as if it did. */
static int check_settings(struct session *session, struct error *err)
{
    const struct config *config = session->config;
    if (config_bool(config, "dashboard.enabled"))
        return error_at(err, ERROR_CONFIG, config_origin(config, "dashboard.enabled"),
                        "dashboard.enabled is not in this version; leave it out");
    return 0;
}

static void read_limits(struct session *session)
{
    const struct config *config = session->config;
    struct sandbox_limits *limits = &session->limits;
    sandbox_limits_init(limits);
    limits->callback_soft_ns = config_integer(config, "sandbox.callback_ms") * NS_PER_MS;
    limits->callback_hard_ns = config_integer(config, "sandbox.callback_hard_ms") * NS_PER_MS;
    /* On a feed results must not depend on the machine's speed: time only guards. */
    if (session->source == SOURCE_FEED && !config_set_by_user(config, "sandbox.callback_hard_ms")) {
        limits->callback_hard_ns = 10 * NS_PER_SECOND;
        limits->callback_soft_ns = NS_PER_SECOND;
    }
    limits->instructions = (uint64_t)config_integer(config, "sandbox.instructions");
    limits->memory = (size_t)config_integer(config, "sandbox.memory_mb") << 20;
    limits->pattern_steps = (uint64_t)config_integer(config, "sandbox.pattern_steps");
    limits->table_slots = (uint32_t)config_integer(config, "sandbox.table_slots");
    limits->exact_budget = session->options->exact_budget || session->world;
}

static void read_settings(struct session *session)
{
    const struct config *config = session->config;
    const struct options *options = session->options;
    session->source = session->world             ? SOURCE_VENUE
                      : options->feeds.count > 0 ? SOURCE_FEED
                                                 : SOURCE_SIM;
    session->mode = session->world ? "live" : "paper";
    session->seed =
        options->seed ? options->seed : (uint64_t)config_integer(config, "brokers.sim.seed");
    bool paper_capital = config_has(config, "trading.paper_capital") &&
                         config_source(config, "trading.capital") == FROM_DEFAULT;
    session->capital =
        config_decimal(config, paper_capital ? "trading.paper_capital" : "trading.capital");
    text_copy(session->state_dir, sizeof(session->state_dir), options->state);
    session->now_ns = session->world ? clock_now(session->wall) : options->clock_start_ns;
    read_limits(session);
}

/* ---- time
 * --------------------------------------------------------------------------------------------- */

static int find_start(struct session *session, struct error *err)
{
    (void)err;
    for (size_t i = 0; i < session->feed_count; i++)
        if (i == 0 || session->feeds[i].info.first_ns < session->now_ns)
            session->now_ns = session->feeds[i].info.first_ns;
    return 0;
}

static void find_end(struct session *session)
{
    int64_t duration = config_duration(session->config, "trading.duration");
    session->started_ns = session->now_ns;
    session->end_ns = duration > 0 && session->now_ns < TIME_NEVER - duration
                          ? session->now_ns + duration
                          : TIME_NEVER;
}

/* ---- the engine and its guests
 * ---------------------------------------------------------------------------- */

static void read_recovery(const struct session *session, struct engine_options *options)
{
    const struct config *config = session->config;
    const char *mode = config_string(config, "reconciliation.mode");
    options->doubt = (struct doubt_options){
        .resolve_grace_ns = config_duration(config, "orders.resolve_grace"),
        .resend_within_ns = config_duration(config, "orders.resend_within"),
    };
    options->reconcile = (struct reconcile_options){
        .mode = !session_goes_on(session)        ? RECONCILE_OFF
                : strcmp(mode, "strict") == 0    ? RECONCILE_STRICT
                : strcmp(mode, "auto_sync") == 0 ? RECONCILE_AUTO_SYNC
                                                 : RECONCILE_WARN,
        .qty_tolerance = config_decimal(config, "reconciliation.qty_tolerance"),
        .cash_tolerance = config_decimal(config, "reconciliation.cash_tolerance"),
        .every_reports = (uint32_t)config_integer(config, "reconciliation.periodic_interval"),
        .interval_ns = config_has(config, "reconciliation.interval")
                           ? config_duration(config, "reconciliation.interval")
                           : 0,
    };
}

static int open_engine(struct session *session, struct error *err)
{
    struct engine_options options = {
        .instruments = &session->instruments,
        .market = session->market,
        .venue = session->venue,
        .ledger = ledger_port(session->ledger),
        .log = session->log,
    };
    int code = setup_risk(session, &options, err);
    if (code < 0)
        return code;
    read_recovery(session, &options);
    session->engine = engine_open(&options);
    return session->only_remains ? setup_holders(session, err) : setup_guests(session, err);
}

static bool without_files(const struct session *session)
{
    return session->world && session->world->without_files;
}

static int open_watchdog(struct session *session, struct error *err)
{
    if (without_files(session))
        return 0;
    struct watchdog_options options = { .hard_ns = session->limits.callback_hard_ns,
                                        .quarantine_fd = session->quarantine_fd,
                                        .kill_factor = WATCHDOG_KILL_FACTOR };
    return watchdog_open(&options, &session->watchdog, err);
}

/* The words of this command again, for the process that cancels what a hung one left. */
static void remember_command(struct session *session)
{
    const struct options *options = session->options;
    static char program[] = "runtime", word[] = "emergency";
    session->again = memory_new(((size_t)options->argc + 3) * sizeof(char *));
    session->again[0] = program;
    session->again[1] = word;
    for (int i = 0; i < options->argc; i++)
        session->again[i + 2] = options->argv[i];
}

static int open_sentinel(struct session *session, struct error *err)
{
    if (without_files(session))
        return 0;
    remember_command(session);
    struct sentinel_options options = { .state_dir = session->state_dir,
                                        .latch_fd = session->latch_fd,
                                        .patience_ns = EMERGENCY_PATIENCE_NS,
                                        .stop_ns = EMERGENCY_STOP_NS,
                                        .wall = session->wall,
                                        .argv = session->again,
                                        .guardian_pid = session->options->guardian_pid };
    return sentinel_open(&options, &session->sentinel, err);
}

/* Between two steps of the opening: whether somebody wants it to end. */
static int check_signals(const struct session *session, struct error *err)
{
    if (session->only_remains) /* who cancels is not asked to stop */
        return 0;
    const char *how = session_emergency_asked(session);
    if (how)
        return error_set(err, ERROR_HALTED, "emergency stop (%s) before trading began", how);
    return signals_check(err);
}

static int open_export(struct session *session, struct error *err)
{
    if (without_files(session))
        return 0;
    return export_open(session->ledger, session->state_dir, session->mode, &session->export, err);
}

/* The files that run, by content, in the journal of the session: what a replay begins with. */
static int journal_sources(struct session *session, struct error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < session->strategy_count; i++)
        code = session_journal(session, "source", &session->strategies[i], "hash",
                               session->strategies[i].code->source.hash, err);
    return code;
}

static bool is_quarantined(const struct session *session, int index)
{
    const struct quarantine *quarantine = &session->quarantine;
    const struct session_instance *instance = &session->instances[index];
    return quarantine->set && session_goes_on(session) &&
           instance->record.instance_id == quarantine->instance_id &&
           strcmp(session->strategies[instance->strategy].code->source.hash, quarantine->hash) == 0;
}

/* A quarantined instance of a market that cannot be replayed never runs: its policy does. */
static int stop_at_once(struct session *session, int index, struct error *err)
{
    session->quarantine.set = false;
    return engine_stop_instance(session->engine, index, session->now_ns,
                                "quarantined: the watchdog ended the process in this code; "
                                "change the file, or start with --fresh",
                                err);
}

static int open_guest(struct session *session, int index, struct error *err)
{
    const struct session_instance *instance = &session->instances[index];
    const struct strategy_code *running = session->strategies[instance->strategy].code;
    struct guest_options options = session_guest_options(session, index, running);
    char *state = NULL;
    size_t length;
    if (session_goes_on(session) &&
        ledger_state(session->ledger, instance->record.instance_id, &state, &length, err) < 0)
        return err->code;
    options.state_json = state;
    struct guest guest;
    int code = guest_open(&options, &guest, err);
    free(state);
    if (code < 0)
        return code;
    engine_set_guest(session->engine, index, guest);
    if ((code = engine_begin(session->engine, index, session->now_ns, NULL, err)) < 0)
        return code;
    int failure;
    const char *why;
    if (!engine_instance_alive(session->engine, index, &failure, &why) && failure != 0)
        return error_set(err, ERROR_DATA, "%s", why);
    return session_history(session, &guest, err);
}

/* A venue of this process is always connected; the books are compared once it knows what it had. */
static void announce_connection(struct session *session)
{
    struct event event = { .kind = EVENT_CONNECTION,
                           .time_ns = session->now_ns,
                           .connection = { .up = true } };
    session_queue_put(&session->queue, &event);
}

/* The volatility limit begins with the hours that the venue remembers. */
static int ask_for_hours(struct session *session, struct error *err)
{
    int code = 0;
    if (!engine_wants_hours(session->engine) || !session_goes_on(session))
        return 0;
    for (uint32_t i = 0; code == 0 && i < session->instruments.count; i++) {
        struct venue_query query = { .kind = QUERY_BARS,
                                     .ticket = ++session->next_ticket,
                                     .instrument = i,
                                     .to_ns = session->now_ns,
                                     .tf_ns = NS_PER_HOUR,
                                     .limit = VOLATILITY_RETURNS + 1 };
        code = session->venue.query(session->venue.self, &query, session->now_ns, err);
    }
    return code;
}

static int start_guests(struct session *session, struct error *err)
{
    int code = journal_sources(session, err);
    for (int i = 0; code == 0 && i < session->instance_count; i++)
        if ((code = check_signals(session, err)) == 0)
            code = is_quarantined(session, i) ? stop_at_once(session, i, err)
                                              : open_guest(session, i, err);
    if (code == 0)
        code = ask_for_hours(session, err);
    if (code == 0 && session->source == SOURCE_SIM)
        announce_connection(session);
    return code == 0 ? session_settle(session, session->now_ns, err) : code;
}

/* Warm-up: each kind of bars that has none yet asks the venue for what its series need. */
int session_history(struct session *session, const struct guest *guest, struct error *err)
{
    struct bars *const *list;
    size_t count = guest_bars(guest, &list);
    for (size_t i = 0; i < count; i++) {
        if (bars_count(list[i]) > 0)
            continue;
        struct venue_query query = { .kind = QUERY_BARS,
                                     .ticket = ++session->next_ticket,
                                     .instrument = bars_instrument(list[i]),
                                     .to_ns = session->now_ns,
                                     .tf_ns = bars_tf_ns(list[i]),
                                     .limit = bars_needed(list[i]) + HISTORY_MARGIN };
        int code = session->venue.query(session->venue.self, &query, session->now_ns, err);
        if (code < 0 || (code = session_drain(session, err)) < 0)
            return code;
    }
    return 0;
}

/* ---- open and close
 * --------------------------------------------------------------------------------------- */

static int open_recorder(struct session *session, struct error *err)
{
    if (!session->options->record)
        return 0;
    char path[700];
    snprintf(path, sizeof(path), "%s/recordings/session-%" PRId64, session->state_dir,
             session->record.session_id);
    int code = text_make_directories(path, err);
    return code < 0 ? code : recorder_open(path, &session->instruments, &session->recorder, err);
}

typedef int setup_step(struct session *session, struct error *err);

static int take_steps(struct session *session, setup_step *const *steps, size_t count,
                      struct error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        if ((code = check_signals(session, err)) == 0)
            code = steps[i](session, err);
    return code;
}

/* Which files run, on what. A feed session that did not end cleanly is tried first, with the files
 * as they were when it began: what they are now is seen when it was replayed. When that does not
 * make the same command, the files on disk are what counts. */
static int choose(struct session *session, struct error *err)
{
    static setup_step *const steps[] = { setup_sources, setup_instruments, find_start,
                                         setup_symbols, setup_instances };
    int code = setup_recorded(session, err);
    if (code < 0)
        return code;
    if (session->journal_count > 0) {
        struct error not_so = { 0 };
        code = take_steps(session, steps, ARRAY_SIZE(steps), &not_so);
        if (code == 0 && setup_is_same_command(session))
            return 0;
        if ((code = signals_check(err)) < 0)
            return code;
        setup_forget_recorded(session);
    }
    return take_steps(session, steps, ARRAY_SIZE(steps), err);
}

static int prepare(struct session *session, struct error *err)
{
    static setup_step *const first[] = { load_configuration, check_mode, check_settings };
    static setup_step *const rest[] = { choose, setup_calendars, setup_state, setup_ledger };
    static setup_step *const last[] = {
        setup_venue,   open_watchdog, open_sentinel, open_engine,
        setup_restore, setup_latch,   open_export,   open_recorder
    };
    int code = take_steps(session, first, ARRAY_SIZE(first), err);
    if (code < 0)
        return code;
    read_settings(session);
    if ((code = take_steps(session, rest, ARRAY_SIZE(rest), err)) < 0)
        return code;
    find_end(session);
    log_hold(session->log, ledger_replaying(session->ledger));
    code = take_steps(session, last, ARRAY_SIZE(last), err);
    return code < 0 ? code : start_guests(session, err);
}

/* The directory's folders, log and halts are of no interest here; its lock is. */
static int prepare_remains(struct session *session, struct error *err)
{
    static setup_step *const first[] = { load_configuration, check_mode };
    static setup_step *const rest[] = { setup_lock,  setup_remains, setup_ledger, setup_calendars,
                                        setup_venue, open_engine,   setup_restore };
    int code = take_steps(session, first, ARRAY_SIZE(first), err);
    if (code < 0)
        return code;
    read_settings(session);
    session->end_ns = TIME_NEVER;
    return take_steps(session, rest, ARRAY_SIZE(rest), err);
}

static int open_session(const struct options *options, const struct session_world *world,
                        struct log *log, setup_step *how, struct session **out, struct error *err)
{
    struct session *session = memory_new(sizeof(*session));
    session->options = options;
    session->world = world;
    session->wall = world ? world->wall : clock_wall();
    session->log = log;
    session->lock_fd = session->quarantine_fd = session->heartbeat_fd = session->latch_fd = -1;
    session->strategies = memory_new(STRATEGIES_MAX * sizeof(struct strategy));
    session->instances = memory_new(INSTANCES_MAX * sizeof(struct session_instance));
    session->only_remains = how == prepare_remains;
    int code = how(session, err);
    if (code < 0) {
        session_close(session);
        return code;
    }
    *out = session;
    return 0;
}

int session_open(const struct options *options, const struct session_world *world, struct log *log,
                 struct session **out, struct error *err)
{
    return open_session(options, world, log, prepare, out, err);
}

int session_open_remains(const struct options *options, const struct session_world *world,
                         struct log *log, struct session **out, struct error *err)
{
    return open_session(options, world, log, prepare_remains, out, err);
}

bool session_wants_guardian(const struct options *options, int64_t *hang_ns)
{
    struct session session = { .options = options };
    struct error err = { 0 };
    bool is_live = load_configuration(&session, &err) == 0 && !options->live_and_paper &&
                   strcmp(config_string(session.config, "trading.mode"), "live") == 0;
    if (is_live) {
        int64_t hard_ms = config_integer(session.config, "sandbox.callback_hard_ms");
        int64_t longest_ns = WATCHDOG_KILL_FACTOR * hard_ms * NS_PER_MS + NS_PER_SECOND;
        *hang_ns = longest_ns > HANG_NS ? longest_ns : HANG_NS;
    }
    config_release(session.config);
    return is_live;
}

void session_close(struct session *session)
{
    if (!session)
        return;
    for (size_t i = 0; i < session->strategy_count; i++)
        reload_abandon(session, i);
    engine_close(session->engine);
    setup_risk_release(session->risk);
    watchdog_close(session->watchdog);
    if (session->recorder && recorder_close(session->recorder, NULL) < 0)
        log_line(session->log, LOG_ERROR, "session", "the recording could not be written whole");
    export_close(session->export);
    if (session->venue.close)
        session->venue.close(session->venue.self);
    if (session->feed.close)
        session->feed.close(session->feed.self);
    market_close(session->market);
    keeper_close(session->keeper);
    ledger_close(session->ledger);
    journal_release(session->journal, session->journal_count);
    session_record_release(&session->record);
    for (size_t i = 0; i < session->strategy_count; i++)
        strategy_code_release(session->strategies[i].code);
    config_release(session->config);
    if (session->quarantine_fd >= 0)
        close(session->quarantine_fd);
    sentinel_close(session->sentinel);
    free(session->again);
    if (session->latch_fd >= 0)
        close(session->latch_fd);
    session_control_close(session); /* before the lock: the next one may make its own */
    if (session->lock_fd >= 0)
        close(session->lock_fd);
    free(session->queue.items);
    free(session->recorded_command);
    free(session->strategies);
    free(session->instances);
    free(session);
}
