/* setup_risk.c - from risk:, circuit_breaker:, calendar: and rollout: to what the engine's gate
 * knows.
 *
 * In paper and backtest a limit, a breaker and a throttle bind only where the user set them. In
 * live the defaults bind too, and the limits in money and the counts must be the user's own. */
#include "runtime/app/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/config/calendars.h"
#include "runtime/config/schema.h"

#define NAMED_MAX 256

struct session_risk {
    struct named_limits symbols[NAMED_MAX], venues[NAMED_MAX];
    struct loaded {
        char name[CALENDAR_NAME_MAX];
        struct calendar *calendar;
    } loaded[INSTRUMENTS_MAX];
    size_t loaded_count;
    const struct calendar *calendars[INSTRUMENTS_MAX]; /* NULL: always open */
};

void setup_risk_release(struct session_risk *risk)
{
    for (size_t i = 0; risk && i < risk->loaded_count; i++)
        calendar_release(risk->loaded[i].calendar);
    free(risk);
}

static bool is_live(const struct session *session)
{
    return session->source == SOURCE_VENUE &&
           !(session->world && session->world->only_set_limits_bind);
}

const struct calendar *const *setup_calendar_list(const struct session *session)
{
    return session->risk->calendars;
}

/* ---- limits ---- */

static void read_limits(const struct session *session, const char *prefix, bool defaults,
                        struct risk_limits *limits)
{
    char key[200];
    risk_limits_init(limits);
    for (enum limit i = 0; i < LIMITS; i++) {
        snprintf(key, sizeof(key), "%s.%s", prefix, limit_info(i)->name);
        if (config_has(session->config, key) &&
            (defaults || config_set_by_user(session->config, key)))
            limits->value[i] = config_decimal(session->config, key);
    }
}

void setup_limits(const struct session *session, const char *prefix, struct risk_limits *limits)
{
    read_limits(session, prefix, false, limits);
}

/* What a person must have thought about before money is at stake. */
static int check_own_limits(const struct session *session, struct error *err)
{
    char missing[512] = "", key[64];
    size_t length = 0;
    for (enum limit i = 0; i < LIMITS; i++) {
        snprintf(key, sizeof(key), "risk.%s", limit_info(i)->name);
        if (limit_info(i)->kind != LIMIT_IS_SHARE && !config_set_by_user(session->config, key) &&
            length < sizeof(missing))
            length += (size_t)snprintf(missing + length, sizeof(missing) - length, "%s%s",
                                       length ? ", " : "", key);
    }
    if (length == 0)
        return 0;
    return error_set(err, ERROR_PERMISSION,
                     "live trading needs limits of your own; set %s in the configuration, or the "
                     "same names in capitals in the environment",
                     missing);
}

static size_t read_named(const struct session *session, const char *map,
                         struct named_limits list[NAMED_MAX])
{
    char prefix[120];
    size_t count = config_members(session->config, map);
    for (size_t i = 0; i < count && i < NAMED_MAX; i++) {
        const char *name = config_member(session->config, map, i);
        snprintf(prefix, sizeof(prefix), "%s.%s", map, name);
        text_copy(list[i].name, sizeof(list[i].name), name);
        read_limits(session, prefix, false, &list[i].limits);
    }
    return count < NAMED_MAX ? count : NAMED_MAX;
}

/* ---- calendars ---- */

static const char *environment(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

/* A symbol's own entry, else its venue's. NULL: none was named. */
static const char *calendar_of(const struct session *session, const struct instrument *instrument)
{
    const char *const paths[][3] = { { "instruments.", instrument->symbol, ".calendar" },
                                     { "calendar.venues.", instrument->symbol, "" },
                                     { "calendar.venues.", instrument->venue, "" } };
    char key[160];
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        snprintf(key, sizeof(key), "%s%s%s", paths[i][0], paths[i][1], paths[i][2]);
        if (config_has(session->config, key))
            return config_string(session->config, key);
    }
    return NULL;
}

static int load_calendar(struct session *session, const char *name, const struct calendar **out,
                         struct error *err)
{
    struct session_risk *risk = session->risk;
    for (size_t i = 0; i < risk->loaded_count; i++)
        if (strcmp(risk->loaded[i].name, name) == 0) {
            *out = risk->loaded[i].calendar;
            return 0;
        }
    struct loaded *loaded = &risk->loaded[risk->loaded_count];
    int code = calendar_load(name, environment, NULL, &loaded->calendar, err);
    if (code < 0)
        return code;
    text_copy(loaded->name, sizeof(loaded->name), name);
    risk->loaded_count++;
    *out = loaded->calendar;
    return 0;
}

/* The last instant that the run is known to reach: a feed's last row, --duration, or now. */
static int64_t reaches(const struct session *session)
{
    int64_t last_ns = session->now_ns;
    for (size_t i = 0; i < session->feed_count; i++)
        if (session->feeds[i].info.last_ns > last_ns)
            last_ns = session->feeds[i].info.last_ns;
    bool ends_itself = session->end_ns != TIME_NEVER;
    if (session->source == SOURCE_FEED)
        return ends_itself && session->end_ns < last_ns ? session->end_ns : last_ns;
    return ends_itself ? session->end_ns : last_ns;
}

/* Beyond its dates a calendar knows no holidays. */
static void warn_of_end(const struct session *session, const struct calendar *calendar)
{
    int64_t until = calendar_covers_until(calendar), last_ns = reaches(session);
    char known[DAY_TEXT_MAX], last[DAY_TEXT_MAX];
    if (until == INT64_MAX || last_ns / NS_PER_DAY <= until)
        return;
    LOG(session->log, LOG_WARN, "calendar",
        "the holidays of this calendar are not known for all of this run: beyond them only its "
        "weekly hours count",
        F_STR("calendar", calendar_name(calendar)),
        F_STR("known_until", time_format_day(until * NS_PER_DAY, known)),
        F_STR("run_until", time_format_day(last_ns, last)));
}

int setup_calendars(struct session *session, struct error *err)
{
    session->risk = memory_new(sizeof(*session->risk));
    for (uint32_t i = 0; i < session->instruments.count; i++) {
        const char *name = calendar_of(session, &session->instruments.list[i]);
        int code = name && strcmp(name, "24x7") != 0
                       ? load_calendar(session, name, &session->risk->calendars[i], err)
                       : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

/* ---- what binds nothing ---- */

static bool is_venue(const char *name)
{
    for (const char *const *venue = schema_venues(); *venue; venue++)
        if (strcmp(*venue, name) == 0)
            return true;
    return false;
}

/* One file may serve several runs, so that a stranger is no fault; but a symbol with a letter too
 * many would be a limit that nobody misses until it is needed. */
static void warn_of_strangers(const struct session *session, const char *map, bool venues_too,
                              const char *module, const char *what)
{
    char key[160];
    for (size_t i = 0; i < config_members(session->config, map); i++) {
        const char *name = config_member(session->config, map, i);
        if (instruments_find(&session->instruments, name, NULL) != INSTRUMENT_NONE ||
            (venues_too && is_venue(name)))
            continue;
        snprintf(key, sizeof(key), "%s.%s", map, name);
        LOG(session->log, LOG_WARN, module, what, F_STR("key", key));
    }
}

/* ---- breakers, throttles, rollout ---- */

static bool any_set(const struct session *session, const char *prefix)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < config_count(session->config); i++) {
        const char *key = config_key(session->config, i);
        if (strncmp(key, prefix, length) == 0 && config_set_by_user(session->config, key))
            return true;
    }
    return false;
}

static struct breaker_options read_breaker(const struct session *session)
{
    const struct config *config = session->config;
    if (!is_live(session) && !any_set(session, "circuit_breaker."))
        return (struct breaker_options){ 0 };
    return (struct breaker_options){
        .failures = (uint32_t)config_integer(config, "circuit_breaker.failures"),
        .open_for_ns = config_duration(config, "circuit_breaker.open_for"),
        .half_open_probes = (uint32_t)config_integer(config, "circuit_breaker.half_open_probes"),
        .max_error_rate = config_number(config, "circuit_breaker.max_error_rate"),
        .max_latency_ns = config_duration(config, "circuit_breaker.max_latency"),
        .price_jump_pct = config_number(config, "circuit_breaker.price_jump_pct"),
    };
}

/* That their capital grows is checked with the file. */
static void read_stages(const struct session *session, struct rollout_options *rollout)
{
    const struct config *config = session->config;
    size_t count = config_members(config, "rollout.stages");
    ASSERT(count > 0 && count <= ROLLOUT_STAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        char key[64];
        snprintf(key, sizeof(key), "rollout.stages.%zu.capital", i);
        rollout->stages[i].capital = config_decimal(config, key);
        snprintf(key, sizeof(key), "rollout.stages.%zu.days", i);
        rollout->stages[i].days = (uint32_t)config_integer(config, key);
    }
    rollout->stage_count = count;
}

static void read_rollout(const struct session *session, struct rollout_options *rollout)
{
    const struct config *config = session->config;
    rollout->enabled = config_bool(config, "rollout.enabled");
    if (!rollout->enabled)
        return;
    rollout->order_success_rate = config_number(config, "rollout.require.order_success_rate");
    rollout->api_error_rate = config_number(config, "rollout.require.api_error_rate");
    rollout->latency_ns = config_duration(config, "rollout.require.latency");
    rollout->slippage = config_number(config, "rollout.require.slippage");
    rollout->breaker_events_per_week =
        config_number(config, "rollout.require.breaker_events_per_week");
    /* On paper the stages run as they would in live, but nothing has to come before them. */
    rollout->paper_days =
        is_live(session) ? (uint32_t)config_integer(config, "rollout.require.paper_days") : 0;
    read_stages(session, rollout);
}

static void read_switches(const struct session *session, struct risk_options *risk)
{
    const struct config *config = session->config;
    bool live = is_live(session);
    risk->no_stop_pct = config_decimal(config, "risk.heat_no_stop_pct");
    risk->require_stop = config_bool(config, "risk.require_stop");
    risk->stop_distance_pct = config_decimal(config, "risk.stop_distance_pct");
    risk->self_trade_prevention = config_bool(config, "risk.self_trade_prevention");
    risk->cancel_reserve = config_number(config, "risk.cancel_reserve");
    risk->halts_latch = risk->keeps_day = session_goes_on(session);
    risk->day_is_venues = strcmp(config_string(config, "risk.day"), "venue") == 0;
    if (live || any_set(session, "risk.repeated_executions.")) {
        risk->repeated_count = (uint32_t)config_integer(config, "risk.repeated_executions.count");
        risk->repeated_within_ns = config_duration(config, "risk.repeated_executions.within");
    }
    if (session->source == SOURCE_VENUE) {
        risk->max_clock_skew_ns = config_duration(config, "risk.max_clock_skew");
        risk->stale_after_ns = live ? config_duration(config, "websocket.stale_after") : 0;
    }
}

static void warn(const struct session *session)
{
    warn_of_strangers(session, "risk.symbols", false, "risk",
                      "no symbol of this run: its limits bind nothing");
    warn_of_strangers(session, "calendar.venues", true, "calendar",
                      "neither a venue nor a symbol of this run: its hours bind nothing");
    for (size_t i = 0; i < session->risk->loaded_count; i++)
        warn_of_end(session, session->risk->loaded[i].calendar);
}

int setup_risk(struct session *session, struct engine_options *options, struct error *err)
{
    struct risk_options *risk = &options->risk;
    read_limits(session, "risk", is_live(session), &options->account);
    if (is_live(session) && !session->only_remains && check_own_limits(session, err) < 0)
        return err->code;
    risk->symbols = session->risk->symbols;
    risk->symbol_count = read_named(session, "risk.symbols", session->risk->symbols);
    risk->venues = session->risk->venues;
    risk->venue_count = read_named(session, "risk.venues", session->risk->venues);
    risk->breaker = read_breaker(session);
    read_switches(session, risk);
    if (!session->only_remains)
        warn(session);
    risk->calendars = session->risk->calendars;
    read_rollout(session, &risk->rollout);
    return 0;
}

/* ---- what decides a run ---- */

static bool decides(const char *key)
{
    static const char *const prefixes[] = { "risk.", "circuit_breaker.", "calendar.", "rollout." };
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

void setup_write_risk(const struct session *session, struct json_writer *writer)
{
    struct text value;
    text_init(&value, 4096);
    json_object_begin(writer);
    for (size_t i = 0; i < config_count(session->config); i++) {
        const char *key = config_key(session->config, i);
        if (!decides(key) || !config_set_by_user(session->config, key))
            continue;
        text_clear(&value);
        config_show(session->config, key, &value);
        json_key(writer, key);
        json_string(writer, value.data);
    }
    json_object_end(writer);
    text_release(&value);
}
