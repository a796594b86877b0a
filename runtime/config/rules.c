/* rules.c - what one line of the schema cannot say. */
#include "runtime/config/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A copy of `from` as a value of another key: same kind, same origin. */
static void adopt(struct store *store, const struct value *from, const char *path)
{
    struct value value = {
        .key = schema_match(path),
        .source = from->source,
        .origin = value_clone(from->origin),
    };
    ASSERT(value_read(&value, from->text, VALUE_PLAIN, store->venues));
    store_offer(store, path, &value);
}

/* paper_capital is the capital of paper runs, unless the environment or a flag says otherwise. */
static void settle_capital(struct store *store)
{
    const struct value *paper = store_at(store, "trading.paper_capital");
    const struct value *mode = store_at(store, "trading.mode");
    if (!paper->null && strcmp(mode->text, "paper") == 0)
        adopt(store, paper, "trading.capital");
}

/* Users write the feed under data.alpaca; the venue file reads its settings. */
static void settle_feed(struct store *store, struct faults *faults)
{
    const struct value *feed = store_at(store, "data.alpaca.feed");
    const char *path = "brokers.alpaca.settings.data_feed";
    const struct value *setting = store_at(store, path);
    if (feed->source == FROM_DEFAULT)
        return;
    if (!setting) {
        store_add_member(store, "brokers.alpaca", "alpaca");
        store_add_member(store, path, "data_feed");
        adopt(store, feed, path);
    } else if (strcmp(setting->text, feed->text) != 0) {
        faults_add_at(faults, feed->origin, "data.alpaca.feed",
                      "found %s; allowed the same as %s, which is %s at %s", feed->text, path,
                      setting->text, setting->origin);
    }
}

/* Live trading waits for the disk, unless the user decided. */
static void settle_durability(struct store *store)
{
    const struct value *mode = store_at(store, "trading.mode");
    const struct value *durability = store_at(store, "persistence.durability");
    if (durability->source != FROM_DEFAULT || strcmp(mode->text, "live") != 0)
        return;
    struct value value = { .key = durability->key, .origin = value_clone("default of live mode") };
    ASSERT(value_read(&value, "power", VALUE_PLAIN, store->venues));
    store_offer(store, "persistence.durability", &value);
}

/* Both were understood, and the user chose at least one. */
static bool can_compare(const struct value *a, const struct value *b)
{
    return !a->spoiled && !b->spoiled && (a->source != FROM_DEFAULT || b->source != FROM_DEFAULT);
}

/* The one to blame: what the user wrote. */
static void contradict(struct faults *faults, const struct value *low, const struct value *high)
{
    const struct value *blamed = low->source != FROM_DEFAULT ? low : high;
    const struct value *other = blamed == low ? high : low;
    faults_add_at(faults, blamed->origin, blamed->path, "found %s; allowed %s %s, which is %s (%s)",
                  blamed->text, blamed == low ? "at most" : "at least", other->path, other->text,
                  other->origin);
}

static void check_orders(const struct store *store, struct faults *faults)
{
    const struct value *soft = store_at(store, "sandbox.callback_ms");
    const struct value *hard = store_at(store, "sandbox.callback_hard_ms");
    if (can_compare(soft, hard) && soft->integer > hard->integer)
        contradict(faults, soft, hard);

    const struct value *start = store_at(store, "backtest.default_start");
    const struct value *end = store_at(store, "backtest.default_end");
    if (can_compare(start, end) && strcmp(start->text, end->text) > 0) /* ISO days sort as text */
        contradict(faults, start, end);
}

/* What a record of the rollout can count to (runtime/risk/rollout.h). */
#define STAGES_MAX 16

static const struct value *stage_capital(const struct store *store, size_t stage)
{
    char path[64];
    snprintf(path, sizeof(path), "rollout.stages.%zu.capital", stage);
    return store_at(store, path);
}

static void check_stages(const struct store *store, struct faults *faults)
{
    const struct value *extra = store_at(store, "rollout.stages.16.capital");
    if (store_member(store, "rollout.stages", STAGES_MAX))
        faults_add_at(faults, extra ? extra->origin : "rollout.stages", "rollout.stages",
                      "found more stages; allowed at most %d", STAGES_MAX);
    for (size_t i = 1; i < STAGES_MAX && store_member(store, "rollout.stages", i); i++) {
        const struct value *before = stage_capital(store, i - 1),
                           *capital = stage_capital(store, i);
        if (before && capital && !before->spoiled && !capital->spoiled &&
            decimal_cmp(capital->number, before->number) <= 0)
            faults_add_at(faults, capital->origin, capital->path,
                          "found %s; allowed more than the stage before has: %s (%s)",
                          capital->text, before->text, before->origin);
    }
}

void rules_settle(struct store *store, struct faults *faults)
{
    settle_capital(store);
    settle_feed(store, faults);
    settle_durability(store);
    check_orders(store, faults);
    check_stages(store, faults);
}
