/* scopes.c - the account, each venue, strategy and symbol: their limits, equity and day.
 *
 * A scope's equity is its capital plus what was earned in it. The day's loss and the drawdown are
 * judged at fills and each market second; of the account they halt the session, of the others that
 * scope until the day ends. What a restart must know of the day is one JSON text. */
#include "runtime/engine/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"

/* ---- who there is ---- */

static void watch_limits(struct scope *scope, double cancel_reserve)
{
    const struct risk_limits *limits = &scope->limits;
    scope->is_limited = false;
    for (enum limit i = 0; i < LIMITS; i++)
        scope->is_limited |= limit_is_set(limits, i);
    scope->watches_loss = limit_is_set(limits, LIMIT_DAILY_LOSS) ||
                          limit_is_set(limits, LIMIT_DAILY_LOSS_PCT) ||
                          limit_is_set(limits, LIMIT_DRAWDOWN);
    int64_t rate = 0;
    if (limit_is_set(limits, LIMIT_ORDER_RATE) &&
        decimal_mantissa(limits->value[LIMIT_ORDER_RATE], 0, &rate) < 0)
        rate = THROTTLE_MAX;
    rate = rate < THROTTLE_MAX ? rate : THROTTLE_MAX;
    struct throttle sent = scope->messages; /* they left, whatever the limit is now */
    throttle_init(&scope->messages, (uint32_t)rate);
    throttle_adopt(&scope->messages, &sent);
    throttle_release(&sent);
    scope->orders_a_second = rate > 0 ? throttle_for_orders((uint32_t)rate, cancel_reserve) : 0;
}

static void scope_init(struct engine *engine, struct scope *scope, enum scope_kind kind,
                       uint32_t index, const char *what, const char *name)
{
    memset(scope, 0, sizeof(*scope));
    snprintf(scope->name, sizeof(scope->name), "%s%s", what, name);
    memcpy(scope->key, scope->name, sizeof(scope->key));
    scope->kind = kind;
    scope->index = index;
    scope->equity_at.event = UINT64_MAX;
    scope->portfolios[0].at.event = scope->portfolios[1].at.event = UINT64_MAX;
    scope->open_value = scope->open_heat = scope->day_volume = DECIMAL_ZERO;
    scope->day_opening = scope->peak = DECIMAL_NONE;
    risk_limits_init(&scope->limits);
    watch_limits(scope, engine->options.risk.cancel_reserve);
}

void scope_set_limits(struct engine *engine, struct scope *scope, const struct risk_limits *limits)
{
    engine->watching -= scope->watches_loss;
    scope->limits = *limits;
    watch_limits(scope, engine->options.risk.cancel_reserve);
    engine->watching += scope->watches_loss;
}

static void narrow_named(struct engine *engine, struct scope *scope, const char *name,
                         const struct named_limits *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            scope_set_limits(engine, scope, &list[i].limits);
}

static uint8_t venue_at(struct engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->venue_count; i++)
        if (strcmp(engine->venues[i].name, name) == 0)
            return (uint8_t)i;
    ASSERT(engine->venue_count < VENUES_MAX);
    struct venue *venue = &engine->venues[engine->venue_count];
    const struct risk_options *risk = &engine->options.risk;
    text_copy(venue->name, sizeof(venue->name), name);
    scope_init(engine, &venue->scope, SCOPE_VENUE, (uint32_t)engine->venue_count, "venue ", name);
    narrow_named(engine, &venue->scope, name, risk->venues, risk->venue_count);
    breaker_init(&venue->breaker, &risk->breaker);
    return (uint8_t)engine->venue_count++;
}

void scopes_open(struct engine *engine)
{
    const struct risk_options *risk = &engine->options.risk;
    scope_init(engine, &engine->account, SCOPE_ACCOUNT, 0, "the account", "");
    scope_set_limits(engine, &engine->account, &engine->options.account);
    for (uint32_t i = 0; i < engine->instruments->count; i++) {
        const struct instrument *instrument = instrument_at(engine, i);
        struct exposure *exposure = &engine->exposures[i];
        scope_init(engine, &exposure->scope, SCOPE_SYMBOL, i, "symbol ", instrument->symbol);
        narrow_named(engine, &exposure->scope, instrument->symbol, risk->symbols,
                     risk->symbol_count);
        exposure->position = exposure->buy = exposure->sell = DECIMAL_ZERO;
        exposure->price = DECIMAL_NONE;
        exposure->worth.event = UINT64_MAX;
        engine->venue_of[i] = venue_at(engine, instrument->venue);
    }
}

void scopes_add_instance(struct engine *engine, struct instance *instance,
                         const struct risk_limits *limits)
{
    char name[sizeof(instance->scope.name)];
    snprintf(name, sizeof(name), "%.40s on %.30s", instance->strategy,
             instrument_at(engine, instance->instruments[0])->symbol);
    scope_init(engine, &instance->scope, SCOPE_STRATEGY, (uint32_t)(instance - engine->instances),
               "strategy ", name);
    snprintf(instance->scope.key, sizeof(instance->scope.key), "instance %" PRIu32,
             instance->instance_id);
    scope_set_limits(engine, &instance->scope, limits);
}

void scopes_of(struct engine *engine, int instance, uint32_t instrument, struct scope *list[SCOPES])
{
    list[SCOPE_ACCOUNT] = &engine->account;
    list[SCOPE_VENUE] = &engine->venues[engine->venue_of[instrument]].scope;
    list[SCOPE_STRATEGY] = &engine->instances[instance].scope;
    list[SCOPE_SYMBOL] = &engine->exposures[instrument].scope;
}

/* Every scope there is, in one order; NULL after the last. */
static struct scope *scope_at(struct engine *engine, size_t index)
{
    size_t instances = (size_t)engine->instance_count;
    if (index == 0)
        return &engine->account;
    if (--index < engine->venue_count)
        return &engine->venues[index].scope;
    index -= engine->venue_count;
    if (index < instances)
        return &engine->instances[index].scope;
    index -= instances;
    return index < engine->instruments->count ? &engine->exposures[index].scope : NULL;
}

struct scope *scope_find(struct engine *engine, const char *key)
{
    struct scope *scope;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++)
        if (strcmp(scope->key, key) == 0)
            return scope;
    return NULL;
}

bool scopes_watch_loss(const struct engine *engine)
{
    return engine->watching > 0;
}

static bool narrow_halt(const struct halt *halt, const char *scope, size_t *left,
                        struct narrow_halt *out)
{
    if (!halt->set || (*left)-- > 0)
        return false;
    *out = (struct narrow_halt){ scope, halt->code, halt->reason };
    return true;
}

bool engine_narrow_halt(struct engine *engine, size_t index, struct narrow_halt *out)
{
    struct scope *scope;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++)
        if (narrow_halt(&scope->halt, scope->name, &index, out))
            return true;
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        if (narrow_halt(&engine->instrument_halts[i], instrument_at(engine, i)->symbol, &index,
                        out))
            return true;
    return false;
}

void scopes_close(struct engine *engine)
{
    struct scope *scope;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++) {
        throttle_release(&scope->messages);
        free(scope->portfolios[0].weights);
        free(scope->portfolios[1].weights);
    }
}

/* ---- messages ---- */

void scopes_message(struct engine *engine, const struct order *order)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance_of_order(engine, order), order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        throttle_note(&scopes[i]->messages, engine->now_ns);
}

void scopes_take_message_back(struct engine *engine, const struct order *order)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance_of_order(engine, order), order->instrument, scopes);
    for (size_t i = 0; i < SCOPES; i++)
        throttle_take_back(&scopes[i]->messages, 1);
}

bool scope_rate_is_reached(const struct scope *scope, int64_t now_ns, uint32_t more)
{
    uint32_t most = scope->orders_a_second;
    return most > 0 &&
           (more >= most || throttle_is_full(&scope->messages, now_ns, NS_PER_SECOND, most - more));
}

/* ---- equity ---- */

/* What was earned in one instrument, by all instances, at the mark. */
static decimal earned_in(const struct engine *engine, uint32_t instrument)
{
    decimal earned = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++) {
        size_t at = holding_index(&engine->instances[i], instrument);
        if (at != SIZE_MAX)
            earned = decimal_add(earned, totals_earned(engine, &engine->instances[i], at));
    }
    return earned;
}

static decimal account_capital(const struct engine *engine)
{
    decimal capital = DECIMAL_ZERO;
    for (int i = 0; i < engine->instance_count; i++)
        capital = decimal_add(capital, engine->instances[i].capital);
    return capital;
}

static decimal venue_equity(const struct engine *engine, const struct scope *scope)
{
    decimal equity = account_capital(engine);
    for (uint32_t i = 0; i < engine->instruments->count; i++)
        if (engine->venue_of[i] == scope->index)
            equity = decimal_add(equity, earned_in(engine, i));
    return equity;
}

static decimal compute_equity(struct engine *engine, const struct scope *scope)
{
    switch (scope->kind) {
    case SCOPE_ACCOUNT:
        return totals_account_equity(engine);
    case SCOPE_VENUE:
        return venue_equity(engine, scope);
    case SCOPE_STRATEGY:
        return totals_equity(engine, (int)scope->index);
    default:
        return decimal_add(account_capital(engine), earned_in(engine, scope->index));
    }
}

/* Within one event neither marks nor, but for what `money` counts, positions move. */
decimal scope_equity(struct engine *engine, struct scope *scope)
{
    if (scope->equity_at.event != engine->counts.events ||
        scope->equity_at.money != engine->money) {
        scope->equity_at = stamp_now(engine);
        scope->equity = compute_equity(engine, scope);
    }
    return scope->equity;
}

/* ---- the day ---- */

/* Where the day of `now_ns` ends: UTC midnight, or by the calendar of the first instrument. */
static int64_t day_end(const struct engine *engine, int64_t now_ns)
{
    const struct calendar *const *calendars = engine->options.risk.calendars;
    if (engine->options.risk.day_is_venues && calendars && calendars[0])
        return calendar_day_end(calendars[0], now_ns);
    return (now_ns / NS_PER_DAY + 1) * NS_PER_DAY;
}

/* Before the first mark of what was restored nobody knows what the day opens with. */
static void open_day(struct engine *engine, struct scope *scope)
{
    scope->day_opening = DECIMAL_NONE;
    if (engine->unmarked > 0)
        return;
    decimal equity = scope_equity(engine, scope);
    scope->day_opening = equity;
    if (decimal_valid(equity))
        scope->peak = decimal_valid(scope->peak) ? decimal_max(scope->peak, equity) : equity;
}

/* A person lifted the halt: what was lost is accepted, and counting begins anew from what is left.
 */
static void accept_loss(struct engine *engine, struct scope *scope)
{
    decimal equity = scope_equity(engine, scope);
    if (!scope->lost || engine->unmarked > 0) /* what is left is known with the first marks */
        return;
    scope->lost = false;
    scope->day_opening = scope->peak = equity;
    engine->day_is_news = true;
}

static void begin_day(struct engine *engine, int64_t now_ns)
{
    struct scope *scope;
    bool was_lost = engine->account.lost;
    int64_t before_ns = engine->day_end_ns;
    engine->day_end_ns = day_end(engine, now_ns);
    engine->day_began_ns =
        engine->options.risk.day_is_venues ? before_ns : engine->day_end_ns - NS_PER_DAY;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++) {
        open_day(engine, scope);
        scope->day_volume = DECIMAL_ZERO;
        scope->day_trades = 0;
        halts_lift_scope(engine, scope, "the day's end");
        scope->lost = false;
    }
    if (!engine->options.risk.halts_latch)
        halts_lift_day(engine);
    engine->account.lost = engine->halted && was_lost;
    rollout_watch_day(engine, now_ns);
    engine->day_is_news = true;
}

/* What the session begins with is known: at once, or with the first mark of what was restored. */
void scopes_begin(struct engine *engine, int64_t now_ns)
{
    struct scope *scope;
    if (engine->day_end_ns == TIME_NEVER) {
        engine->day_end_ns = day_end(engine, now_ns);
        engine->day_began_ns = engine->day_end_ns - NS_PER_DAY;
    } else if (now_ns >= engine->day_end_ns) {
        begin_day(engine, now_ns);
    } else {
        engine->day_began_ns = engine->day_end_ns - NS_PER_DAY;
    }
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++) {
        if (!decimal_valid(scope->day_opening))
            open_day(engine, scope);
        if (!(scope->kind == SCOPE_ACCOUNT ? engine->halted : scope->halt.set))
            accept_loss(engine, scope); /* lifted while nothing ran */
    }
    if (engine->rollout.began_ns == 0)
        rollout_watch_day(engine, now_ns);
    engine->day_is_news = true;
}

void scopes_lose(struct engine *engine, int instance, struct scope *scope,
                 const struct risk_verdict *verdict)
{
    bool day = strcmp(verdict->code, "max_daily_loss") == 0;
    const char *kind = day ? "daily_loss_limit" : "drawdown_limit";
    if (scope->kind != SCOPE_ACCOUNT) {
        halts_scope(engine, scope, kind, verdict->reason);
    } else if (!engine->halted) {
        turn_alert(engine, instance, kind, verdict->reason);
        halts_session(engine, instance, kind, verdict->reason, day);
    }
    engine->day_is_news |= !scope->lost;
    scope->lost = true;
}

void scopes_lift_all(struct engine *engine, const char *by)
{
    struct scope *scope;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++) {
        halts_lift_scope(engine, scope, by);
        accept_loss(engine, scope);
    }
}

static void judge(struct engine *engine, struct scope *scope)
{
    struct risk_verdict verdict;
    if (!scope->watches_loss)
        return;
    decimal equity = scope_equity(engine, scope);
    if (decimal_valid(equity) && decimal_cmp(equity, scope->peak) > 0) {
        scope->peak = equity;
        engine->peak_is_news = true;
    }
    if (risk_is_lost(&scope->limits, equity, scope->day_opening, scope->peak, &verdict))
        scopes_lose(engine, -1, scope, &verdict);
}

void scopes_judge(struct engine *engine)
{
    struct scope *scope;
    if (engine->watching == 0 ||
        engine->unmarked > 0) /* what is restored has no price yet: what is lost is not known */
        return;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++)
        judge(engine, scope);
}

/* Called once a market second, before what the second brings. */
void scopes_mark(struct engine *engine, int64_t now_ns)
{
    if (now_ns >= engine->day_end_ns)
        begin_day(engine, now_ns);
}

void scopes_fill(struct engine *engine, const struct order *order, decimal worth, bool is_trade)
{
    struct scope *scopes[SCOPES];
    scopes_of(engine, instance_of_order(engine, order), order->instrument, scopes);
    decimal fx = totals_fx(engine, order->instrument);
    decimal money = decimal_valid(fx) ? decimal_mul(worth, fx) : worth;
    for (size_t i = 0; i < SCOPES; i++) {
        scopes[i]->day_volume = decimal_add(scopes[i]->day_volume, money);
        scopes[i]->day_trades += is_trade;
    }
    engine->day_is_news = true;
}

/* ---- what a restart must know ---- */

static void write_scope(const struct scope *scope, struct json_writer *writer)
{
    json_key(writer, scope->key);
    json_object_begin(writer);
    json_key(writer, "opening");
    json_decimal(writer, scope->day_opening);
    json_key(writer, "peak");
    json_decimal(writer, scope->peak);
    json_key(writer, "volume");
    json_decimal(writer, scope->day_volume);
    json_key(writer, "trades");
    json_int(writer, scope->day_trades);
    json_key(writer, "lost");
    json_bool(writer, scope->lost);
    json_object_end(writer);
}

/* A scope that traded today may get a limit at the next start, which then counts from the day's
 * beginning. */
static bool is_worth_keeping(const struct scope *scope)
{
    return scope->is_limited || scope->kind == SCOPE_ACCOUNT || scope->day_trades > 0 ||
           !decimal_is_zero(scope->day_volume);
}

void scopes_write(struct engine *engine, struct text *out)
{
    struct json_writer *writer = json_writer_open(out, false);
    struct scope *scope;
    json_object_begin(writer);
    json_key(writer, "day_end_ns");
    json_int(writer, engine->day_end_ns);
    json_key(writer, "scopes");
    json_object_begin(writer);
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++)
        if (is_worth_keeping(scope))
            write_scope(scope, writer);
    json_object_end(writer);
    guards_write(engine, writer);
    rollout_watch_write(engine, writer);
    json_object_end(writer);
    json_writer_close(writer);
}

/* A text, or nothing at all where it was not known. */
static bool read_decimal(const struct json *node, decimal *value)
{
    const char *text = json_as_string(node);
    *value = DECIMAL_NONE;
    if (node && json_kind(node) == JSON_NULL)
        return true;
    return text && decimal_parse(text, strlen(text), value) == 0;
}

static bool read_int(const struct json *node, int64_t *value)
{
    decimal number;
    const char *text = json_as_number_text(node);
    return text && decimal_parse(text, strlen(text), &number) == 0 &&
           decimal_mantissa(number, 0, value) == 0;
}

static bool read_scope(struct scope *scope, const struct json *node)
{
    int64_t trades;
    bool good = read_decimal(json_get(node, "opening"), &scope->day_opening) &&
                read_decimal(json_get(node, "peak"), &scope->peak) &&
                read_decimal(json_get(node, "volume"), &scope->day_volume) &&
                decimal_valid(scope->day_volume) && read_int(json_get(node, "trades"), &trades) &&
                trades >= 0 && trades <= UINT32_MAX;
    scope->day_trades = good ? (uint32_t)trades : 0;
    const struct json *lost = json_get(node, "lost");
    scope->lost = lost && json_kind(lost) == JSON_BOOL && json_as_bool(lost);
    return good;
}

static bool read_scopes(struct engine *engine, const struct json *root)
{
    struct scope *scope;
    const struct json *scopes = json_get(root, "scopes");
    if (!read_int(json_get(root, "day_end_ns"), &engine->day_end_ns) || !scopes ||
        json_kind(scopes) != JSON_OBJECT)
        return false;
    for (size_t i = 0; (scope = scope_at(engine, i)) != NULL; i++) {
        const struct json *node = json_get(scopes, scope->key);
        if (node && !read_scope(scope, node))
            return false;
    }
    return true;
}

int engine_restore_risk(struct engine *engine, const char *json, size_t length, struct error *err)
{
    struct json *root = NULL;
    bool good = json_parse(json, length, &root, err) == 0 && read_scopes(engine, root);
    if (good)
        guards_read(engine, root);
    good = good && rollout_watch_read(engine, root, err) == 0;
    json_release(root);
    return good ? 0 : error_set(err, ERROR_IO, "ledger: the day's figures cannot be read");
}
