/* permute.c - the same conversation as other channels might have brought it.
 *
 * Between two steps of others the stream's messages about independent orders come in any order,
 * fills and sums of one order come in any order, and any of them may come twice. The end must be
 * the same. What depends on order is left alone: an end and what comes after it, corrections,
 * replaces, numbered messages, orders that trade against each other. */
#include "tests/scenario/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"

static bool is_stream(const struct step *step)
{
    const char *via = member_text(step->node, "via");
    return step->who == WHO_VENUE && via && strcmp(via, "ws") == 0 &&
           !member_text(step->node, "seq");
}

static bool is_told(const struct step *step)
{
    static const char *const verbs[] = { "ack",    "fill",   "canceled", "expired",
                                         "reject", "status", NULL };
    return is_stream(step) && is_one_of(step->verb, verbs);
}

/* Sums and trades: they add up to the same in any order, and an ack says less than they do. */
static bool is_sum(const struct step *step)
{
    static const char *const verbs[] = { "ack", "fill", "status", NULL };
    static const char *const live[] = { "working", "partially_filled", "filled", NULL };
    const char *state = member_text(step->node, "state");
    return is_stream(step) && is_one_of(step->verb, verbs) && (!state || is_one_of(state, live));
}

/* The step by which the strategy sent the order that a message is about; NULL: another's order. */
static const struct step *submit_of(const struct script *script, const char *cl)
{
    for (size_t i = script->count; i-- > 0;) {
        const struct step *step = &script->steps[i];
        const char *new_name = member_text(step->node, "new");
        if (step->who != WHO_STRATEGY)
            continue;
        if (strcmp(step->verb, "submit") == 0 && strcmp(step->cl, cl) == 0)
            return step;
        if (new_name && strcmp(new_name, cl) == 0)
            return submit_of(script, step->cl);
    }
    return NULL;
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool differ(const char *a, const char *b)
{
    return a && b && strcmp(a, b) != 0;
}

/* Each word that a rejected order works is answered by a cancel. */
static bool may_repeat(const struct script *script, size_t at)
{
    const struct step *step = &script->steps[at];
    if (!is_told(step) || !submit_of(script, step->cl))
        return false;
    for (size_t i = 0; i < at; i++)
        if (strcmp(script->steps[i].verb, "reject") == 0 &&
            strcmp(script->steps[i].cl, step->cl) == 0)
            return strcmp(step->verb, "ack") != 0;
    return true;
}

static bool commute(const struct script *script, const struct step *a, const struct step *b)
{
    const struct step *of_a = submit_of(script, a->cl), *of_b = submit_of(script, b->cl);
    if (!of_a || !of_b || member_text(of_a->node, "stop") || member_text(of_a->node, "take") ||
        !is_same_text(member_text(of_a->node, "side"), member_text(of_b->node, "side")) ||
        is_same_text(member_text(a->node, "trade"), member_text(b->node, "trade")))
        return false;
    if (of_a == of_b)
        return is_sum(a) && is_sum(b) &&
               !differ(member_text(a->node, "ex"), member_text(b->node, "ex"));
    return is_told(a) && is_told(b);
}

static void swap(struct step *a, struct step *b)
{
    struct step kept = *a;
    int64_t a_ns = a->t_ns, b_ns = b->t_ns;
    *a = *b;
    *b = kept;
    a->t_ns = a_ns;
    b->t_ns = b_ns;
}

static void insert(struct script *script, size_t at, const struct step *step)
{
    memmove(&script->steps[at + 1], &script->steps[at], (script->count - at) * sizeof(struct step));
    script->steps[at] = *step;
    script->count++;
}

void script_permute(struct script *script, uint64_t seed)
{
    struct random random;
    random_seed(&random, seed);
    struct step *steps = memory_new((2 * script->count + 1) * sizeof(struct step));
    memcpy(steps, script->steps, script->count * sizeof(struct step));
    free(script->steps);
    script->steps = steps;
    for (size_t at = 0; at < script->count; at++)
        if (may_repeat(script, at) && random_below(&random, 4) == 0) {
            struct step again = steps[at];
            insert(script, ++at, &again);
        }
    for (size_t round = 0; round < 2 * script->count; round++)
        for (size_t at = 0; at + 1 < script->count; at++)
            if (random_below(&random, 2) == 0 && commute(script, &steps[at], &steps[at + 1]))
                swap(&steps[at], &steps[at + 1]);
}

bool script_tells_sums(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        if (is_stream(&script->steps[i]) && strcmp(script->steps[i].verb, "status") == 0)
            return true;
    return false;
}
