/* guards.c - what stops new risk besides halts and limits: a closed market, old data, a clock that
 * is off, an open breaker, orders that repeat, and orders that would meet our own. */
#include "runtime/engine/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"

#define STALE_LEAST (60 * NS_PER_SECOND) /* a reference may be as old, however busy its market */
#define STALE_GAPS 10                    /* or so many of its usual gaps */

void guards_open(struct engine *engine)
{
    const struct risk_options *risk = &engine->options.risk;
    struct guards *guards = &engine->guards;
    guards->frame_ns = TIME_NEVER;
    if (risk->stale_after_ns > 0)
        guards->ages = memory_new(INSTRUMENTS_MAX * sizeof(*guards->ages));
    if (risk->breaker.price_jump_pct > 0)
        guards->last_price = memory_new(INSTRUMENTS_MAX * sizeof(double));
    guards->watches_ticks = guards->ages || guards->last_price;
}

void guards_close(struct engine *engine)
{
    free(engine->guards.ages);
    free(engine->guards.last_price);
}

static struct breaker *breaker_of(struct engine *engine, uint32_t instrument)
{
    return &engine->venues[engine->venue_of[instrument]].breaker;
}

/* ---- breakers ---- */

static void tell_breaker(struct engine *engine, const struct venue *venue)
{
    const struct breaker *breaker = &venue->breaker;
    char text[REASON_MAX];
    bool is_open = breaker->state == BREAKER_OPEN;
    snprintf(text, sizeof(text), "%s: the breaker is %s%s%.120s", venue->name,
             breaker_state_name(breaker->state), is_open ? ": " : "", is_open ? breaker->why : "");
    if (is_open) {
        turn_alert(engine, -1, "breaker_open", text);
        if (!breaker->by_hand)
            rollout_watch_breaker(engine);
    } else
        LOG(engine->options.log, LOG_WARN, "risk", text, F_STR("venue", venue->name));
    engine->day_is_news = true;
}

static void told(struct engine *engine, struct venue *venue, bool changed)
{
    if (changed)
        tell_breaker(engine, venue);
}

static bool is_watched(const struct engine *engine)
{
    return engine->options.risk.breaker.open_for_ns > 0;
}

static struct venue *venue_of(struct engine *engine, uint32_t instrument)
{
    return &engine->venues[engine->venue_of[instrument]];
}

/* The answer to what was under way. What a venue refuses by its rules is an answer like another. */
void guards_report(struct engine *engine, const struct order *before, const struct report *report)
{
    bool waited = before->known == ORDER_PENDING_NEW || before->pending != 0;
    if (!waited || report->ticket != 0 || engine->guards.is_own_word)
        return;
    rollout_watch_answer(engine, report->kind != REPORT_DOUBT);
    if (!is_watched(engine))
        return;
    struct venue *venue = venue_of(engine, before->instrument);
    bool is_probe = before->known == ORDER_PENDING_NEW && !before->reduce_only;
    if (report->kind == REPORT_DOUBT)
        told(engine, venue, breaker_failure(&venue->breaker, engine->now_ns, report->reason));
    else if (is_probe || venue->breaker.state == BREAKER_CLOSED)
        told(engine, venue,
             breaker_success(&venue->breaker, engine->now_ns, engine->now_ns - before->updated_ns));
}

void guards_silence(struct engine *engine, const struct order *order)
{
    struct venue *venue = venue_of(engine, order->instrument);
    rollout_watch_answer(engine, false);
    if (is_watched(engine))
        told(engine, venue, breaker_failure(&venue->breaker, engine->now_ns, "no answer in time"));
}

void guards_slow_down(struct engine *engine, uint32_t instrument, int64_t for_ns, const char *why)
{
    for (size_t i = 0; i < engine->venue_count; i++) {
        struct venue *venue = &engine->venues[i];
        bool meant = instrument == INSTRUMENT_NONE || engine->venue_of[instrument] == i;
        if (meant && is_watched(engine))
            told(engine, venue,
                 breaker_trip(&venue->breaker, engine->now_ns, for_ns, "slow_down", why));
    }
}

void guards_line_down(struct engine *engine, const char *why)
{
    for (size_t i = 0; is_watched(engine) && i < engine->venue_count; i++)
        told(engine, &engine->venues[i],
             breaker_trip(&engine->venues[i].breaker, engine->now_ns, 0, "disconnected", why));
}

bool guards_overtook(struct engine *engine, const struct order *order)
{
    if (order->reduce_only || breaker_of(engine, order->instrument)->state != BREAKER_OPEN)
        return false;
    decimal reducible = desk_reducible(engine, instance_of_order(engine, order), order);
    return decimal_cmp(order_remaining(order), reducible) > 0;
}

void guards_sent(struct engine *engine, const struct order *order)
{
    if (is_watched(engine) && !order->reduce_only)
        breaker_sent(breaker_of(engine, order->instrument), engine->now_ns);
}

void guards_take_back(struct engine *engine, const struct order *order)
{
    if (is_watched(engine) && !order->reduce_only)
        breaker_take_back(breaker_of(engine, order->instrument));
}

int engine_set_breaker(struct engine *engine, int64_t now_ns, const char *name, bool open,
                       const char *by, struct error *err)
{
    size_t found = 0;
    (void)now_ns;
    for (size_t i = 0; i < engine->venue_count; i++) {
        struct venue *venue = &engine->venues[i];
        if (name && strcmp(venue->name, name) != 0)
            continue;
        found++;
        told(engine, venue,
             open ? breaker_open(&venue->breaker, engine->now_ns, by)
                  : breaker_close(&venue->breaker));
    }
    if (found == 0)
        return error_set(err, ERROR_USAGE, "this run has no venue '%s'", name);
    return turn_finish(engine, err);
}

const struct breaker *engine_breaker(const struct engine *engine, size_t index, const char **venue)
{
    if (index >= engine->venue_count)
        return NULL;
    *venue = engine->venues[index].name;
    return &engine->venues[index].breaker;
}

/* ---- ticks ---- */

static void note_age(struct reference_age *age, int64_t now_ns)
{
    if (age->last_ns > 0)
        age->gaps[age->count++ % AGES_KEPT] = now_ns - age->last_ns;
    age->last_ns = now_ns;
}

void guards_tick(struct engine *engine, uint32_t instrument)
{
    struct guards *guards = &engine->guards;
    if (guards->ages)
        note_age(&guards->ages[instrument], engine->now_ns);
    if (!guards->last_price)
        return;
    double price = market_mark_double(engine->market, instrument);
    double before = guards->last_price[instrument];
    guards->last_price[instrument] = price;
    struct venue *venue = venue_of(engine, instrument);
    if (before > 0)
        told(engine, venue, breaker_price(&venue->breaker, engine->now_ns, before, price));
}

void guards_frame(struct engine *engine)
{
    engine->guards.frame_ns = engine->now_ns;
}

static int compare_gaps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How old a reference may be: 60 s, or ten of its usual gaps. */
static int64_t age_allowed(const struct reference_age *age)
{
    int64_t gaps[AGES_KEPT];
    size_t count = age->count < AGES_KEPT ? age->count : AGES_KEPT;
    if (count == 0)
        return STALE_LEAST;
    memcpy(gaps, age->gaps, count * sizeof(*gaps));
    qsort(gaps, count, sizeof(*gaps), compare_gaps);
    int64_t usual = gaps[count / 2];
    return usual > STALE_LEAST / STALE_GAPS ? STALE_GAPS * usual : STALE_LEAST;
}

/* ---- why not ---- */

static const char *say(struct engine *engine, const char **code, const char *name,
                       const char *format, const char *what)
{
    *code = name;
    snprintf(engine->guards.why, sizeof(engine->guards.why), format, what);
    return engine->guards.why;
}

static const char *closed_why(struct engine *engine, uint32_t instrument, const char **code)
{
    const struct calendar *const *calendars = engine->options.risk.calendars;
    const struct calendar *calendar = calendars ? calendars[instrument] : NULL;
    char text[TIME_TEXT_MAX];
    if (!calendar || calendar_is_open(calendar, engine->now_ns))
        return NULL;
    int64_t next_ns = calendar_next_open(calendar, engine->now_ns);
    if (next_ns == TIME_NEVER)
        return say(engine, code, "market_closed",
                   "the market %s is closed, and its calendar knows "
                   "no next opening",
                   calendar_name(calendar));
    return say(engine, code, "market_closed", "the market is closed; it opens at %s",
               time_format(next_ns, text));
}

static const char *stale_why(struct engine *engine, uint32_t instrument, const char **code)
{
    const struct guards *guards = &engine->guards;
    const struct risk_options *risk = &engine->options.risk;
    char text[TIME_TEXT_MAX];
    if (!guards->ages)
        return NULL;
    int64_t silence = engine->now_ns - guards->frame_ns;
    if (guards->frame_ns == TIME_NEVER || silence > risk->stale_after_ns)
        return say(engine, code, "stale_data", "nothing was heard from the venue for more than %s",
                   duration_format(risk->stale_after_ns, text));
    const struct reference_age *age = &guards->ages[instrument];
    int64_t old = engine->now_ns - age->last_ns;
    if (age->last_ns == 0 || old > age_allowed(age))
        return say(engine, code, "stale_data", "its last price is older than %s",
                   duration_format(age_allowed(age), text));
    return NULL;
}

static const char *skew_why(struct engine *engine, const char **code)
{
    int64_t most = engine->options.risk.max_clock_skew_ns, skew = engine->guards.skew_ns;
    char text[TIME_TEXT_MAX];
    if (most <= 0 || (skew <= most && skew >= -most))
        return NULL;
    return say(engine, code, "clock_skew", "our clock and the venue's differ by %s",
               duration_format(skew < 0 ? -skew : skew, text));
}

static const char *breaker_why(struct engine *engine, uint32_t instrument, const char **code)
{
    struct breaker *breaker = breaker_of(engine, instrument);
    if (breaker->state == BREAKER_CLOSED || breaker_allows(breaker, engine->now_ns))
        return NULL;
    if (breaker->state == BREAKER_HALF_OPEN)
        return say(engine, code, "breaker_open", "the breaker is half open: a probe is under way%s",
                   "");
    return say(engine, code, "breaker_open", "the breaker is open: %s", breaker->why);
}

const char *guards_probing(struct engine *engine, uint32_t instrument, const char **code)
{
    if (breaker_of(engine, instrument)->state != BREAKER_HALF_OPEN)
        return NULL;
    return say(engine, code, "breaker_open", "the breaker is half open: one new order at a time%s",
               "");
}

const char *guards_why(struct engine *engine, uint32_t instrument, const char **code)
{
    const char *why = closed_why(engine, instrument, code);
    if (!why)
        why = stale_why(engine, instrument, code);
    if (!why)
        why = skew_why(engine, code);
    return why ? why : breaker_why(engine, instrument, code);
}

/* ---- executions and orders that repeat ---- */

static void halt_repeated(struct engine *engine, int index, uint32_t instrument, const char *what)
{
    const struct risk_options *risk = &engine->options.risk;
    char text[REASON_MAX], within[TIME_TEXT_MAX];
    snprintf(text, sizeof(text), "%" PRIu32 " %s of %.40s on %.30s within %s", risk->repeated_count,
             what, engine->instances[index].strategy, instrument_at(engine, instrument)->symbol,
             duration_format(risk->repeated_within_ns, within));
    if (engine->halted)
        return;
    turn_alert(engine, index, "repeated_executions", text);
    halts_session(engine, index, "repeated_executions", text, false);
}

static bool note_repeat(struct engine *engine, struct throttle *throttle)
{
    const struct risk_options *risk = &engine->options.risk;
    throttle_note(throttle, engine->now_ns);
    return throttle_is_full(throttle, engine->now_ns, risk->repeated_within_ns,
                            risk->repeated_count);
}

void guards_fill(struct engine *engine, int index, uint32_t instrument)
{
    struct holding *holding = instance_holding(engine, index, instrument);
    if (engine->options.risk.repeated_count > 0 && note_repeat(engine, &holding->fills))
        halt_repeated(engine, index, instrument, "fills");
}

/* Equal in all that a venue would see. */
static uint64_t looks_of(const struct order *order)
{
    uint64_t looks = 1469598103934665603u; /* FNV-1a */
    const int64_t parts[] = { order->side,
                              order->type,
                              (int64_t)order->qty.coefficient,
                              order->qty.scale,
                              (int64_t)order->price.coefficient,
                              order->price.scale,
                              (int64_t)order->trigger_price.coefficient,
                              order->trigger_price.scale };
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        looks = (looks ^ (uint64_t)parts[i]) * 1099511628211u;
    return looks;
}

bool guards_repeats(struct engine *engine, int index, const struct order *order)
{
    struct holding *holding = instance_holding(engine, index, order->instrument);
    const struct risk_options *risk = &engine->options.risk;
    if (risk->repeated_count == 0)
        return false;
    uint64_t looks = looks_of(order);
    if (looks != holding->last_order) {
        throttle_release(&holding->repeats);
        throttle_init(&holding->repeats, risk->repeated_count);
        holding->last_order = looks;
    }
    if (!note_repeat(engine, &holding->repeats))
        return false;
    halt_repeated(engine, index, order->instrument, "equal orders in a row");
    return true;
}

/* ---- our own orders ---- */

/* What it is once it leaves: a stop that rests here fires first. */
static enum order_type leaving_type(struct engine *engine, const struct order *order)
{
    return held_is_needed(engine, order) ? held_fired_type(order->type) : order->type;
}

/* The worst price at which it takes what rests; DECIMAL_NONE: it does not take now. */
static decimal taking_price(struct engine *engine, const struct order *order)
{
    enum order_type type = leaving_type(engine, order);
    if (type == ORDER_LIMIT)
        return order->price;
    return type == ORDER_MARKET ? gate_reference_price(engine, order->instrument, order->side)
                                : DECIMAL_NONE;
}

static bool is_met(enum order_side side, decimal price, decimal resting)
{
    int above = decimal_cmp(price, resting);
    return side == SIDE_BUY ? above >= 0 : above <= 0;
}

/* Of those that are listed as open: a limit order that ended is not, it leaves the list at once. */
static bool would_meet(const struct order *resting, const struct order *order, decimal price)
{
    if (resting->instrument != order->instrument || resting->side == order->side || resting->held ||
        resting->type != ORDER_LIMIT)
        return false;
    bool is_replaced = resting->pending & PENDING_REPLACE;
    return is_met(order->side, price, resting->price) ||
           (is_replaced && is_met(order->side, price, resting->pending_price));
}

static bool rests_against(const struct engine *engine, const struct order *order)
{
    const struct exposure *exposure = &engine->exposures[order->instrument];
    return engine->options.risk.self_trade_prevention &&
           (exposure->resting[0] > 0 || exposure->resting[1] > 0);
}

const struct order *guards_own_order(struct engine *engine, const struct order *order)
{
    bool waits = !order->held && held_is_needed(engine, order) && !held_is_through(engine, order);
    decimal price = taking_price(engine, order);
    if (waits || !rests_against(engine, order) || !decimal_valid(price))
        return NULL;
    for (size_t i = 0; i < blotter_open_count(engine->blotter); i++)
        if (would_meet(blotter_open_at(engine->blotter, i), order, price))
            return blotter_open_at(engine->blotter, i);
    return NULL;
}

/* A way out is not held back: what it would meet and adds risk is canceled first. */
void guards_clear_way(struct engine *engine, const struct order *order)
{
    decimal price = taking_price(engine, order);
    if (!rests_against(engine, order) || !decimal_valid(price))
        return;
    for (size_t i = blotter_open_count(engine->blotter); i-- > 0;) {
        struct order *resting = blotter_open_at(engine->blotter, i);
        if (!resting->reduce_only && would_meet(resting, order, price))
            desk_cancel(engine, resting);
    }
}

/* ---- what a restart must know: what a person opened ---- */

void guards_write(const struct engine *engine, struct json_writer *writer)
{
    json_key(writer, "breakers");
    json_object_begin(writer);
    for (size_t i = 0; i < engine->venue_count; i++)
        if (engine->venues[i].breaker.by_hand) {
            json_key(writer, engine->venues[i].name);
            json_string(writer, engine->venues[i].breaker.why);
        }
    json_object_end(writer);
}

void guards_read(struct engine *engine, const struct json *root)
{
    const struct json *breakers = json_get(root, "breakers");
    for (size_t i = 0; breakers && i < engine->venue_count; i++) {
        const char *why = json_as_string(json_get(breakers, engine->venues[i].name));
        if (why)
            breaker_open(&engine->venues[i].breaker, 0, why);
    }
}
